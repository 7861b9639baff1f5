/* env_mem.c: a private file system in memory, with the real clock and real
** threads.
**
** Owns     the sorted table of names, and through it the nodes; a node lives
**          while a name or an open file refers to it, so what is removed while
**          open stays readable.
** Holds    (1) names are sorted by strcmp() and have no '/' at the end;
**          (2) the directory of every name is itself in the table, except the
**          roots "", "." and "/", which are always there.
** Locks    env->mu: names and reference counts. node->mu: content and byte-range
**          locks of one file. Both have rank ENV: never held together. */

#include "env.h"
#include "sync.h"

enum { NODE_MIN_CAP = 256, SPARE_KEPT = 64 * 1024 };

typedef struct mem_file mem_file;

/* A byte-range lock, [from, to). */
typedef struct range_lock {
  const mem_file *owner;
  uint64_t from, to;
  lsm_lock mode;
} range_lock;

typedef struct mem_node {
  /* constant */ bool is_dir;
  /* guarded by env->mu */ int refs;
  /* guarded by mu */
  lsm_mutex mu;
  uint8_t *data;
  size_t size, cap;
  range_lock *locks;
  size_t lock_count, lock_cap;
} mem_node;

typedef struct mem_name {
  char *path;
  mem_node *node;
} mem_name;

/* Shared memory, by name; kept until the environment goes. */
typedef struct mem_shm {
  struct mem_shm *next;
  void *mem;
  char path[];
} mem_shm;

typedef struct mem_env {
  lsm_env base;
  lsm_mutex mu;
  mem_shm *shms; /* guarded by mu */
  /* guarded by mu */
  mem_name *names;
  size_t count, cap;
} mem_env;

struct mem_file {
  lsm_file base;
  mem_env *env;
  mem_node *node;
  bool writable;
  char path[];
};

static mem_file *file_of(lsm_file *f) {
  return (mem_file *)f;
}
static mem_env *env_of(lsm_env *env) {
  return env->ctx;
}

/*------------------------------------------------------------------ nodes */

static mem_node *node_new(bool is_dir) {
  mem_node *node = lsm_calloc(sizeof *node);
  if (node == NULL) return NULL;
  if (lsm_mutex_init(&node->mu, LSM_RANK_ENV) != LSM_OK) {
    lsm_free(node);
    return NULL;
  }
  node->is_dir = is_dir;
  return node;
}

static void node_free(mem_node *node) {
  if (node == NULL) return;
  lsm_mutex_fini(&node->mu);
  lsm_free(node->data);
  lsm_free(node->locks);
  lsm_free(node);
}

/* REQUIRES: env->mu. Returns the node when it is to be freed, which is done
** without the lock. */
static mem_node *node_unref(mem_node *node) {
  return --node->refs == 0 ? node : NULL;
}

/* REQUIRES: node->mu. Zeroes what is added. */
static lsm_rc node_resize(mem_node *node, size_t size) {
  if (size > node->cap) {
    size_t cap = node->cap > SIZE_MAX / 2 ? size : node->cap * 2;
    if (cap < NODE_MIN_CAP) cap = NODE_MIN_CAP;
    if (cap < size) cap = size;
    uint8_t *data = lsm_realloc(node->data, cap);
    if (data == NULL) return lsm_nomem();
    node->data = data;
    node->cap = cap;
  }
  if (size > node->size) memset(node->data + node->size, 0, size - node->size);
  node->size = size;
  return LSM_OK;
}

/* REQUIRES: node->mu. Gives back what growing by doubling took too much. */
static void node_trim(mem_node *node) {
  if (node->cap - node->size <= SPARE_KEPT) return;
  uint8_t *data = lsm_realloc(node->data, node->size);
  if (data == NULL) return; /* it only stays larger */
  node->data = data;
  node->cap = node->size;
}

/*------------------------------------------------------------------ names */

/* Length of a path without the slashes at its end; "/" keeps its own. */
static size_t path_len(const char *path) {
  size_t n = strlen(path);
  while (n > 1 && path[n - 1] == '/') n--;
  return n;
}

/* Length of the directory part: "a/b" -> "a", "/a" -> "/", "a" -> "". */
static size_t dir_len(const char *path, size_t n) {
  while (n > 0 && path[n - 1] != '/') n--;
  return n > 1 ? n - 1 : n;
}

static bool is_root(const char *path, size_t n) {
  return n == 0 || (n == 1 && (path[0] == '/' || path[0] == '.'));
}

/* REQUIRES: env->mu. The first name not before PATH; *found: it is PATH. */
static size_t names_search(const mem_env *env, const char *path, size_t n, bool *found) {
  size_t lo = 0, hi = env->count;
  *found = false;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    const char *name = env->names[mid].path;
    int c = strncmp(name, path, n);
    if (c == 0 && name[n] != '\0') c = 1;
    if (c == 0) *found = true;
    if (c < 0) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

/* REQUIRES: env->mu. */
static mem_node *names_find(const mem_env *env, const char *path) {
  bool found;
  size_t i = names_search(env, path, path_len(path), &found);
  return found ? env->names[i].node : NULL;
}

/* REQUIRES: env->mu. */
static bool is_directory(const mem_env *env, const char *path, size_t n) {
  if (is_root(path, n)) return true;
  bool found;
  size_t i = names_search(env, path, n, &found);
  return found && env->names[i].node->is_dir;
}

/* REQUIRES: env->mu. Adds a name that is not there yet; takes one reference
** of its own. Nothing changes when it fails. */
static lsm_rc names_add(mem_env *env, const char *path, mem_node *node) {
  size_t n = path_len(path);
  if (is_root(path, n)) return lsm_fail(LSM_CANTOPEN, "%s: not a name for a file", path);
  if (!is_directory(env, path, dir_len(path, n))) {
    return lsm_fail(LSM_NOTFOUND, "%s: its directory does not exist", path);
  }
  if (env->count == env->cap) {
    size_t cap = env->cap == 0 ? 16 : env->cap * 2;
    mem_name *names = lsm_realloc(env->names, cap * sizeof *names);
    if (names == NULL) return lsm_nomem();
    env->names = names;
    env->cap = cap;
  }
  char *copy = lsm_malloc(n + 1);
  if (copy == NULL) return lsm_nomem();
  memcpy(copy, path, n);
  copy[n] = '\0';
  bool found;
  size_t i = names_search(env, path, n, &found);
  assert(!found);
  memmove(env->names + i + 1, env->names + i, (env->count - i) * sizeof *env->names);
  env->names[i].path = copy;
  env->names[i].node = node;
  env->count++;
  node->refs++;
  return LSM_OK;
}

/* REQUIRES: env->mu; the name exists. Returns its node when that is to be
** freed. */
static mem_node *names_drop(mem_env *env, const char *path) {
  bool found;
  size_t i = names_search(env, path, path_len(path), &found);
  assert(found);
  mem_node *dead = node_unref(env->names[i].node);
  lsm_free(env->names[i].path);
  env->count--;
  memmove(env->names + i, env->names + i + 1, (env->count - i) * sizeof *env->names);
  return dead;
}

/* What PATH/... starts with in the table: "" for the relative root. Returns
** the length of PATH to compare, *slash: a '/' must follow. */
static size_t child_prefix(const char *path, bool *slash) {
  size_t n = path_len(path);
  if (n == 1 && path[0] == '.') n = 0;
  *slash = n > 0 && path[n - 1] != '/';
  return n;
}

/* The name in the directory PATH that a table entry stands for, or NULL. */
static const char *child_name(const char *entry, const char *path, size_t n, bool slash) {
  if (strncmp(entry, path, n) != 0) return NULL;
  entry += n;
  if (slash && *entry++ != '/') return NULL;
  return *entry == '\0' || strchr(entry, '/') != NULL ? NULL : entry;
}

/*--------------------------------------------------------------- one file */

static lsm_rc mem_read(lsm_file *f, uint64_t off, void *buf, size_t n, size_t *got) {
  mem_node *node = file_of(f)->node;
  lsm_mutex_lock(&node->mu);
  size_t have = off < node->size ? node->size - (size_t)off : 0;
  if (have > n) have = n;
  if (have > 0) memcpy(buf, node->data + off, have);
  lsm_mutex_unlock(&node->mu);
  *got = have;
  return LSM_OK;
}

static lsm_rc refuse_write(const mem_file *f) {
  return lsm_fail(LSM_READONLY, "%s: cannot write: open for reading", f->path);
}

static lsm_rc mem_writev(lsm_file *f, uint64_t off, const lsm_slice *parts, int n) {
  mem_node *node = file_of(f)->node;
  if (!file_of(f)->writable) return refuse_write(file_of(f));
  uint64_t end = off;
  for (int i = 0; i < n; i++) {
    if (parts[i].size > UINT64_MAX - end) {
      return lsm_fail(LSM_FULL, "%s: too large", file_of(f)->path);
    }
    end += parts[i].size;
  }
  if (end == off) return LSM_OK;
  if (end > SIZE_MAX) return lsm_fail(LSM_FULL, "%s: too large", file_of(f)->path);
  lsm_mutex_lock(&node->mu);
  lsm_rc rc = end > node->size ? node_resize(node, (size_t)end) : LSM_OK;
  uint8_t *p = rc == LSM_OK ? node->data + off : NULL;
  for (int i = 0; rc == LSM_OK && i < n; i++) {
    if (parts[i].size == 0) continue;
    memcpy(p, parts[i].data, parts[i].size);
    p += parts[i].size;
  }
  lsm_mutex_unlock(&node->mu);
  return rc;
}

static lsm_rc mem_sync(lsm_file *f) {
  (void)f;
  return LSM_OK;
}

static void mem_sync_hint(lsm_file *f, uint64_t off, uint64_t len) {
  (void)f, (void)off, (void)len;
}

static void mem_reserve(lsm_file *f, uint64_t off, uint64_t len) {
  mem_node *node = file_of(f)->node;
  if (!file_of(f)->writable || off > SIZE_MAX - len) return;
  lsm_mutex_lock(&node->mu);
  if (off + len > node->size) (void)node_resize(node, (size_t)(off + len));
  lsm_mutex_unlock(&node->mu);
}

static lsm_rc mem_truncate(lsm_file *f, uint64_t size) {
  mem_node *node = file_of(f)->node;
  if (!file_of(f)->writable) return refuse_write(file_of(f));
  if (size > SIZE_MAX) return lsm_fail(LSM_FULL, "%s: too large", file_of(f)->path);
  lsm_mutex_lock(&node->mu);
  lsm_rc rc = node_resize(node, (size_t)size);
  lsm_mutex_unlock(&node->mu);
  return rc;
}

static lsm_rc mem_size(lsm_file *f, uint64_t *size) {
  mem_node *node = file_of(f)->node;
  lsm_mutex_lock(&node->mu);
  *size = node->size;
  lsm_mutex_unlock(&node->mu);
  return LSM_OK;
}

/*------------------------------------------------------- byte-range locks */

/* REQUIRES: node->mu. */
static bool is_locked_by_other(const mem_node *node, const range_lock *want) {
  for (size_t i = 0; i < node->lock_count; i++) {
    const range_lock *l = &node->locks[i];
    if (l->owner == want->owner || l->to <= want->from || want->to <= l->from) continue;
    if (l->mode == LSM_LOCK_EXCLUSIVE || want->mode == LSM_LOCK_EXCLUSIVE) return true;
  }
  return false;
}

/* REQUIRES: node->mu, room for one more. Cuts the range out of what its owner
** holds. */
static void locks_cut(mem_node *node, const range_lock *cut) {
  size_t count = node->lock_count;
  for (size_t i = 0; i < count;) {
    range_lock *l = &node->locks[i];
    if (l->owner != cut->owner || l->to <= cut->from || cut->to <= l->from) {
      i++;
      continue;
    }
    bool left = l->from<cut->from, right = l->to> cut->to;
    if (left && right) { /* then no other range of this owner overlaps */
      node->locks[node->lock_count] = *l;
      node->locks[node->lock_count++].from = cut->to;
      l->to = cut->from;
      return;
    }
    if (left) l->to = cut->from;
    if (right) l->from = cut->to;
    if (left || right) {
      i++;
    } else {
      *l = node->locks[--node->lock_count];
      count--;
    }
  }
}

static lsm_rc mem_lock(lsm_file *f, uint64_t off, uint64_t len, lsm_lock mode) {
  mem_node *node = file_of(f)->node;
  /* As with fcntl(), no length means to the end of everything. */
  uint64_t to = len == 0 || len > UINT64_MAX - off ? UINT64_MAX : off + len;
  range_lock want = {file_of(f), off, to, mode};
  lsm_rc rc = LSM_OK;
  lsm_mutex_lock(&node->mu);
  if (mode != LSM_UNLOCK && is_locked_by_other(node, &want)) rc = LSM_BUSY;
  if (rc == LSM_OK && node->lock_cap - node->lock_count < 2) {
    size_t cap = node->lock_cap * 2 + 4;
    range_lock *locks = lsm_realloc(node->locks, cap * sizeof *locks);
    if (locks == NULL) {
      rc = LSM_NOMEM;
    } else {
      node->locks = locks;
      node->lock_cap = cap;
    }
  }
  if (rc == LSM_OK) {
    locks_cut(node, &want);
    if (mode != LSM_UNLOCK) node->locks[node->lock_count++] = want;
  }
  lsm_mutex_unlock(&node->mu);
  if (rc == LSM_NOMEM) return lsm_nomem();
  if (rc == LSM_BUSY) return lsm_fail(LSM_BUSY, "%s: locked by another user", file_of(f)->path);
  return LSM_OK;
}

static void mem_close(lsm_file *f) {
  mem_env *env = file_of(f)->env;
  mem_node *node = file_of(f)->node;
  range_lock all = {file_of(f), 0, UINT64_MAX, LSM_UNLOCK};
  lsm_mutex_lock(&node->mu);
  locks_cut(node, &all); /* never splits: it is all */
  if (file_of(f)->writable) node_trim(node);
  lsm_mutex_unlock(&node->mu);
  lsm_mutex_lock(&env->mu);
  mem_node *dead = node_unref(node);
  lsm_mutex_unlock(&env->mu);
  node_free(dead);
  lsm_free(f);
}

static const lsm_file_ops file_ops = {mem_read,     mem_writev, mem_sync, mem_sync_hint, mem_reserve,
                                      mem_truncate, mem_size,   mem_lock, mem_close};

/*----------------------------------------------------- the environment */

/* REQUIRES: env->mu. Finds or makes the node; a reference for the caller. */
static lsm_rc open_node(mem_env *env, const char *path, int flags, mem_node **spare,
                        mem_node **node) {
  *node = NULL;
  mem_node *old = names_find(env, path);
  if (old == NULL && *spare == NULL) {
    return lsm_fail(LSM_NOTFOUND, "%s: cannot open: no such file", path);
  }
  if ((old != NULL && old->is_dir) || is_root(path, path_len(path))) {
    return lsm_fail(LSM_CANTOPEN, "%s: cannot open: is a directory", path);
  }
  if (old != NULL && *spare != NULL && (flags & LSM_OPEN_EXCL) != 0) {
    return lsm_fail(LSM_CANTOPEN, "%s: cannot open: file exists", path);
  }
  if (old == NULL) {
    lsm_rc rc = names_add(env, path, *spare);
    if (rc != LSM_OK) return rc;
    old = *spare;
    *spare = NULL;
  }
  old->refs++;
  *node = old;
  return LSM_OK;
}

static lsm_rc mem_open(lsm_env *base, const char *path, int flags, lsm_file **file) {
  mem_env *env = env_of(base);
  *file = NULL;
  bool write = (flags & LSM_OPEN_WRITE) != 0;
  bool create = write && (flags & LSM_OPEN_CREATE) != 0;
  size_t path_size = strlen(path) + 1;
  mem_file *f = lsm_malloc(sizeof *f + path_size);
  mem_node *spare = create ? node_new(false) : NULL;
  if (f == NULL || (create && spare == NULL)) {
    node_free(spare);
    lsm_free(f);
    return lsm_nomem();
  }
  f->base.ops = &file_ops;
  f->env = env;
  f->writable = write;
  memcpy(f->path, path, path_size);
  lsm_mutex_lock(&env->mu);
  lsm_rc rc = open_node(env, path, flags, &spare, &f->node);
  lsm_mutex_unlock(&env->mu);
  node_free(spare);
  if (rc != LSM_OK) {
    lsm_free(f);
    return rc;
  }
  if (write && (flags & LSM_OPEN_TRUNCATE) != 0) {
    lsm_mutex_lock(&f->node->mu);
    f->node->size = 0;
    lsm_mutex_unlock(&f->node->mu);
  }
  *file = &f->base;
  return LSM_OK;
}

static lsm_rc mem_remove(lsm_env *base, const char *path) {
  mem_env *env = env_of(base);
  lsm_mutex_lock(&env->mu);
  mem_node *node = names_find(env, path), *dead = NULL;
  lsm_rc rc = LSM_OK;
  if (node == NULL) {
    rc = lsm_fail(LSM_NOTFOUND, "%s: cannot remove: no such file", path);
  } else if (node->is_dir) {
    rc = lsm_fail(LSM_IOERR, "%s: cannot remove: is a directory", path);
  } else {
    dead = names_drop(env, path);
  }
  lsm_mutex_unlock(&env->mu);
  node_free(dead);
  return rc;
}

/* REQUIRES: env->mu. Files only. */
static lsm_rc rename_locked(mem_env *env, const char *from, const char *to, mem_node **dead) {
  mem_node *node = names_find(env, from), *old = names_find(env, to);
  if (node == NULL) return lsm_fail(LSM_NOTFOUND, "%s: cannot rename: no such file", from);
  if (node->is_dir || (old != NULL && old->is_dir)) {
    return lsm_fail(LSM_IOERR, "%s: cannot rename: is a directory", from);
  }
  if (node == old) return LSM_OK;
  if (old == NULL) {
    lsm_rc rc = names_add(env, to, node);
    if (rc != LSM_OK) return rc;
  } else {
    bool found;
    size_t i = names_search(env, to, path_len(to), &found);
    env->names[i].node = node;
    node->refs++;
    *dead = node_unref(old);
  }
  (void)names_drop(env, from); /* its node has the new name now */
  return LSM_OK;
}

static lsm_rc mem_rename(lsm_env *base, const char *from, const char *to) {
  mem_env *env = env_of(base);
  mem_node *dead = NULL;
  lsm_mutex_lock(&env->mu);
  lsm_rc rc = rename_locked(env, from, to, &dead);
  lsm_mutex_unlock(&env->mu);
  node_free(dead);
  return rc;
}

static lsm_rc mem_exists(lsm_env *base, const char *path, bool *exists) {
  mem_env *env = env_of(base);
  lsm_mutex_lock(&env->mu);
  *exists = is_root(path, path_len(path)) || names_find(env, path) != NULL;
  lsm_mutex_unlock(&env->mu);
  return LSM_OK;
}

static lsm_rc mem_mkdir(lsm_env *base, const char *path) {
  mem_env *env = env_of(base);
  mem_node *node = node_new(true);
  if (node == NULL) return lsm_nomem();
  lsm_mutex_lock(&env->mu);
  mem_node *old = names_find(env, path);
  lsm_rc rc = LSM_OK;
  if (old == NULL && !is_root(path, path_len(path))) {
    rc = names_add(env, path, node);
    if (rc == LSM_OK) node = NULL;
  } else if (old != NULL && !old->is_dir) {
    rc = lsm_fail(LSM_CANTOPEN, "%s: cannot make directory: file exists", path);
  }
  lsm_mutex_unlock(&env->mu);
  node_free(node);
  return rc;
}

/* REQUIRES: env->mu. */
static bool has_children(const mem_env *env, const char *path) {
  bool slash;
  size_t n = child_prefix(path, &slash);
  for (size_t i = 0; i < env->count; i++) {
    if (child_name(env->names[i].path, path, n, slash) != NULL) return true;
  }
  return false;
}

static lsm_rc mem_rmdir(lsm_env *base, const char *path) {
  mem_env *env = env_of(base);
  mem_node *dead = NULL;
  lsm_rc rc = LSM_OK;
  lsm_mutex_lock(&env->mu);
  const mem_node *node = names_find(env, path);
  if (node == NULL) {
    rc = lsm_fail(LSM_NOTFOUND, "%s: cannot remove: no such directory", path);
  } else if (!node->is_dir || has_children(env, path)) {
    rc = lsm_fail(LSM_IOERR, "%s: cannot remove: not an empty directory", path);
  } else {
    dead = names_drop(env, path);
  }
  lsm_mutex_unlock(&env->mu);
  node_free(dead);
  return rc;
}

static lsm_rc mem_list(lsm_env *base, const char *path, lsm_rc (*fn)(void *arg, const char *name),
                       void *arg) {
  mem_env *env = env_of(base);
  lsm_buf names = {0}; /* copied, so that fn may change the directory */
  bool slash;
  size_t n = child_prefix(path, &slash);
  lsm_rc rc = LSM_OK;
  lsm_mutex_lock(&env->mu);
  if (!is_directory(env, path, path_len(path))) {
    rc = lsm_fail(LSM_NOTFOUND, "%s: cannot list: no such directory", path);
  }
  for (size_t i = 0; rc == LSM_OK && i < env->count; i++) {
    const char *name = child_name(env->names[i].path, path, n, slash);
    if (name != NULL) rc = lsm_buf_append(&names, name, strlen(name) + 1);
  }
  lsm_mutex_unlock(&env->mu);
  for (size_t at = 0; rc == LSM_OK && at < names.size;) {
    const char *name = (const char *)names.data + at;
    rc = fn(arg, name);
    at += strlen(name) + 1;
  }
  lsm_buf_fini(&names);
  return rc;
}

static lsm_rc mem_sync_dir(lsm_env *base, const char *path) {
  mem_env *env = env_of(base);
  lsm_mutex_lock(&env->mu);
  bool found = is_directory(env, path, path_len(path));
  lsm_mutex_unlock(&env->mu);
  return found ? LSM_OK : lsm_fail(LSM_NOTFOUND, "%s: cannot sync: no such directory", path);
}

static lsm_rc mem_shm_map(lsm_env *base, const char *path, size_t size, void **mem) {
  mem_env *env = env_of(base);
  lsm_rc rc = LSM_OK;
  lsm_mutex_lock(&env->mu);
  mem_shm *s = env->shms;
  while (s != NULL && strcmp(s->path, path) != 0) s = s->next;
  if (s == NULL) {
    size_t n = strlen(path) + 1;
    s = lsm_malloc(sizeof(*s) + n);
    void *m = lsm_calloc(size);
    if (s == NULL || m == NULL) {
      lsm_free(s);
      lsm_free(m);
      s = NULL;
      rc = lsm_nomem();
    } else {
      memcpy(s->path, path, n);
      s->mem = m;
      s->next = env->shms;
      env->shms = s;
    }
  }
  *mem = s == NULL ? NULL : s->mem;
  lsm_mutex_unlock(&env->mu);
  return rc;
}

static void mem_shm_unmap(lsm_env *base, void *mem, size_t size) {
  (void)base, (void)mem, (void)size;
}

lsm_rc lsm_env_mem_new(lsm_env **out) {
  *out = NULL;
  mem_env *env = lsm_calloc(sizeof *env);
  if (env == NULL) return lsm_nomem();
  lsm_rc rc = lsm_mutex_init(&env->mu, LSM_RANK_ENV);
  if (rc != LSM_OK) {
    lsm_free(env);
    return rc;
  }
  const lsm_env *real = lsm_env_default(); /* clock, random bytes, threads */
  env->base = *real;
  env->base.ctx = env;
  env->base.open = mem_open;
  env->base.remove = mem_remove;
  env->base.rename = mem_rename;
  env->base.exists = mem_exists;
  env->base.mkdir = mem_mkdir;
  env->base.rmdir = mem_rmdir;
  env->base.list = mem_list;
  env->base.sync_dir = mem_sync_dir;
  env->base.shm_map = mem_shm_map;
  env->base.shm_unmap = mem_shm_unmap;
  *out = &env->base;
  return LSM_OK;
}

void lsm_env_mem_free(lsm_env *base) {
  if (base == NULL) return;
  mem_env *env = env_of(base);
  for (size_t i = 0; i < env->count; i++) {
    lsm_free(env->names[i].path);
    node_free(node_unref(env->names[i].node));
  }
  lsm_free(env->names);
  for (mem_shm *s = env->shms, *next; s != NULL; s = next) {
    next = s->next;
    lsm_free(s->mem);
    lsm_free(s);
  }
  lsm_mutex_fini(&env->mu);
  lsm_free(env);
}
