/* env_fault.c: failing calls and power loss, over any environment.
**
** Owns     the model of the disk, and a file's node in it while that is open.
** Holds    the model is what stable storage may hold, the wrapped environment
**          what programs see; both change under one lock, so an image is
**          always of one instant.
** Locks    mu, a bare pthread mutex: it is held while the wrapped environment
**          takes its own locks of rank ENV, and never while others' code runs. */
#include "env_fault.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "disk_model.h"

static void *must_alloc(size_t n) {
  void *p = calloc(1, n == 0 ? 1 : n);
  if (p == NULL) {
    fprintf(stderr, "env_fault: out of memory\n");
    abort();
  }
  return p;
}

/*-------------------------------------------------------- the environment */

typedef struct fault_env {
  lsm_env base;
  lsm_env *inner;
  bool own_inner;
  _Atomic uint64_t time_us; /* 0: the inner one tells */
  pthread_mutex_t mu;
  /* guarded by mu */
  disk_node *absolute, *relative; /* the directories "/" and "" */
  unsigned mask, flags;
  uint64_t nth, calls, fired, syncs, seed;
  lsm_rc rc;
  env_fault_hook hook;
  void *hook_arg;
} fault_env;

typedef struct fault_file {
  lsm_file base;
  fault_env *env;
  lsm_file *inner;
  disk_node *node;
  char *path;
} fault_file;

static fault_env *env_of(lsm_env *env) {
  return env->ctx;
}
static fault_file *file_of(lsm_file *f) {
  return (fault_file *)f;
}

static void lock(fault_env *env) {
  pthread_mutex_lock(&env->mu);
}
static void unlock(fault_env *env) {
  pthread_mutex_unlock(&env->mu);
}

static const char *kind_name(unsigned kind) {
  static const char *const text[] = {"open",  "read", "write",    "sync",   "truncate",
                                     "size",  "lock", "remove",   "rename", "mkdir",
                                     "rmdir", "list", "sync_dir", "exists"};
  unsigned i = 0;
  while (kind >> i > 1) i++;
  return text[i];
}

/* REQUIRES: mu. Counts a call; LSM_OK: it is to be done. */
static lsm_rc may(fault_env *env, unsigned kind, const char *path) {
  if ((env->mask & kind) == 0) return LSM_OK;
  uint64_t n = ++env->calls;
  if (env->nth == 0 || n < env->nth) return LSM_OK;
  if (n > env->nth && (env->flags & ENV_FAULT_STICKY) == 0) return LSM_OK;
  env->fired++;
  return lsm_fail(env->rc, "%s: injected failure of %s, call %" PRIu64, path, kind_name(kind), n);
}

/* REQUIRES: mu, which is released for the hook. */
static void call_hook(fault_env *env, uint64_t n, bool after) {
  env_fault_hook hook = env->hook;
  void *arg = env->hook_arg;
  if (hook == NULL) return;
  unlock(env);
  hook(arg, &env->base, n, after);
  lock(env);
}

static disk_node *root_of(fault_env *env, const char *path) {
  return path[0] == '/' ? env->absolute : env->relative;
}

/* REQUIRES: mu. See disk_find_dir(). */
static disk_node *find_dir(fault_env *env, const char *path, char **last) {
  return disk_find_dir(root_of(env, path), path, last);
}

/* REQUIRES: mu. The node of PATH when the model has it; borrowed. */
static disk_node *find_node(fault_env *env, const char *path) {
  return disk_find(root_of(env, path), path);
}

/* REQUIRES: mu. A file that was there before the environment was wrapped: it
** and its content are durable. */
static lsm_rc learn_file(fault_env *env, const char *path) {
  bool exists = false;
  if (find_node(env, path) != NULL) return LSM_OK;
  lsm_rc rc = env->inner->exists(env->inner, path, &exists);
  if (rc != LSM_OK || !exists) return rc;
  lsm_buf buf = {0};
  rc = lsm_env_read_file(env->inner, path, &buf);
  if (rc == LSM_OK) {
    disk_node *file = disk_node_new(false);
    char *last;
    disk_write(file, 0, buf.data, buf.size);
    disk_sync_file(file);
    disk_node *dir = find_dir(env, path, &last);
    disk_link_durable(dir, last, file);
    disk_node_unref(file);
    free(last);
  }
  lsm_buf_fini(&buf);
  return rc;
}

/*--------------------------------------------------------------- one file */

static lsm_rc fault_read(lsm_file *base, uint64_t off, void *buf, size_t n, size_t *got) {
  fault_file *f = file_of(base);
  *got = 0;
  lock(f->env);
  lsm_rc rc = may(f->env, ENV_FAULT_READ, f->path);
  if (rc == LSM_OK) rc = lsm_file_read(f->inner, off, buf, n, got);
  unlock(f->env);
  return rc;
}

/* REQUIRES: mu. Writes the first LIMIT bytes of the parts, to both sides. */
static lsm_rc write_parts(fault_file *f, uint64_t off, const lsm_slice *parts, int n,
                          size_t limit) {
  uint8_t *all = must_alloc(limit);
  size_t size = 0;
  for (int i = 0; i < n; i++) {
    size_t len = parts[i].size < limit - size ? parts[i].size : limit - size;
    if (len > 0) memcpy(all + size, parts[i].data, len);
    size += len;
  }
  lsm_rc rc = lsm_file_write(f->inner, off, all, size);
  if (rc == LSM_OK) disk_write(f->node, (size_t)off, all, size);
  free(all);
  return rc;
}

static lsm_rc fault_writev(lsm_file *base, uint64_t off, const lsm_slice *parts, int n) {
  fault_file *f = file_of(base);
  fault_env *env = f->env;
  size_t total = 0;
  for (int i = 0; i < n; i++) total += parts[i].size;
  lock(env);
  lsm_rc rc = may(env, ENV_FAULT_WRITE, f->path);
  if (rc == LSM_OK) {
    rc = write_parts(f, off, parts, n, total);
  } else if ((env->flags & ENV_FAULT_SHORT) != 0) {
    (void)write_parts(f, off, parts, n, (size_t)(disk_random(&env->seed) % (total + 1)));
    (void)lsm_fail(rc, "%s: injected failure of write, part of it written", f->path);
  }
  unlock(env);
  return rc;
}

static lsm_rc fault_sync(lsm_file *base) {
  fault_file *f = file_of(base);
  fault_env *env = f->env;
  lock(env);
  lsm_rc rc = may(env, ENV_FAULT_SYNC, f->path);
  if (rc == LSM_OK) {
    uint64_t n = ++env->syncs;
    call_hook(env, n, false);
    rc = lsm_file_sync(f->inner);
    if (rc == LSM_OK) {
      disk_sync_file(f->node);
      call_hook(env, n, true);
    }
  }
  unlock(env);
  return rc;
}

static void fault_sync_hint(lsm_file *base, uint64_t off, uint64_t len) {
  fault_file *f = file_of(base);
  f->inner->ops->sync_hint(f->inner, off, len);
}

/* A power loss may leave it done, or not, or in part: as a write of zeros. */
static void fault_reserve(lsm_file *base, uint64_t off, uint64_t len) {
  fault_file *f = file_of(base);
  uint64_t before = 0, after = 0;
  lock(f->env);
  if (f->inner->ops->size(f->inner, &before) == LSM_OK) {
    f->inner->ops->reserve(f->inner, off, len);
    if (f->inner->ops->size(f->inner, &after) == LSM_OK && after != before) {
      disk_truncate(f->node, (size_t)after);
    }
  }
  unlock(f->env);
}

static lsm_rc fault_truncate(lsm_file *base, uint64_t size) {
  fault_file *f = file_of(base);
  lock(f->env);
  lsm_rc rc = may(f->env, ENV_FAULT_TRUNCATE, f->path);
  if (rc == LSM_OK) rc = f->inner->ops->truncate(f->inner, size);
  if (rc == LSM_OK) disk_truncate(f->node, (size_t)size);
  unlock(f->env);
  return rc;
}

static lsm_rc fault_size(lsm_file *base, uint64_t *size) {
  fault_file *f = file_of(base);
  *size = 0;
  lock(f->env);
  lsm_rc rc = may(f->env, ENV_FAULT_SIZE, f->path);
  if (rc == LSM_OK) rc = f->inner->ops->size(f->inner, size);
  unlock(f->env);
  return rc;
}

static lsm_rc fault_lock(lsm_file *base, uint64_t off, uint64_t len, lsm_lock mode) {
  fault_file *f = file_of(base);
  lock(f->env);
  lsm_rc rc = may(f->env, ENV_FAULT_LOCK, f->path);
  if (rc == LSM_OK) rc = f->inner->ops->lock(f->inner, off, len, mode);
  unlock(f->env);
  return rc;
}

static void fault_close(lsm_file *base) {
  fault_file *f = file_of(base);
  fault_env *env = f->env;
  lock(env);
  lsm_file_close(f->inner);
  disk_node_unref(f->node);
  unlock(env);
  free(f->path);
  free(f);
}

static const lsm_file_ops file_ops = {fault_read,      fault_writev,  fault_sync,
                                      fault_sync_hint, fault_reserve, fault_truncate,
                                      fault_size,      fault_lock,    fault_close};

/*------------------------------------------------------ names and folders */

static lsm_rc fault_open(lsm_env *base, const char *path, int flags, lsm_file **file) {
  fault_env *env = env_of(base);
  lsm_file *inner = NULL;
  *file = NULL;
  lock(env);
  lsm_rc rc = may(env, ENV_FAULT_OPEN, path);
  if (rc == LSM_OK) rc = learn_file(env, path); /* before it may be truncated */
  if (rc == LSM_OK) rc = env->inner->open(env->inner, path, flags, &inner);
  if (rc == LSM_OK) {
    disk_node *file_node = disk_node_ref(find_node(env, path));
    if (file_node == NULL) {
      char *last;
      disk_node *dir = find_dir(env, path, &last);
      file_node = disk_node_new(false);
      disk_link(dir, last, file_node);
      free(last);
    }
    if ((flags & LSM_OPEN_WRITE) != 0 && (flags & LSM_OPEN_TRUNCATE) != 0) {
      disk_truncate(file_node, 0);
    }
    fault_file *f = must_alloc(sizeof *f);
    f->base.ops = &file_ops;
    f->env = env;
    f->inner = inner;
    f->node = file_node;
    f->path = strcpy(must_alloc(strlen(path) + 1), path);
    *file = &f->base;
  }
  unlock(env);
  return rc;
}

/* REQUIRES: mu. The model loses a name, which it may never have known. */
static void model_unlink(fault_env *env, const char *path) {
  char *last;
  disk_node *dir = find_dir(env, path, &last);
  if (last != NULL) disk_unlink(dir, last);
  free(last);
}

static lsm_rc fault_remove(lsm_env *base, const char *path) {
  fault_env *env = env_of(base);
  lock(env);
  lsm_rc rc = may(env, ENV_FAULT_REMOVE, path);
  if (rc == LSM_OK) rc = learn_file(env, path);
  if (rc == LSM_OK) rc = env->inner->remove(env->inner, path);
  if (rc == LSM_OK) model_unlink(env, path);
  unlock(env);
  return rc;
}

static lsm_rc fault_rename(lsm_env *base, const char *from, const char *to) {
  fault_env *env = env_of(base);
  lock(env);
  lsm_rc rc = may(env, ENV_FAULT_RENAME, from);
  if (rc == LSM_OK) rc = learn_file(env, from);
  if (rc == LSM_OK) rc = learn_file(env, to);
  if (rc == LSM_OK) rc = env->inner->rename(env->inner, from, to);
  if (rc == LSM_OK) {
    char *old, *text;
    disk_node *from_dir = find_dir(env, from, &old), *to_dir = find_dir(env, to, &text);
    disk_node *child = disk_node_ref(find_node(env, from));
    if (from_dir != to_dir) { /* not atomic over a crash, as on many disks */
      disk_link(to_dir, text, child);
      disk_unlink(from_dir, old);
    } else {
      disk_move(from_dir, old, text);
    }
    disk_node_unref(child);
    free(old);
    free(text);
  }
  unlock(env);
  return rc;
}

static lsm_rc fault_exists(lsm_env *base, const char *path, bool *exists) {
  fault_env *env = env_of(base);
  *exists = false;
  lock(env);
  lsm_rc rc = may(env, ENV_FAULT_EXISTS, path);
  if (rc == LSM_OK) rc = env->inner->exists(env->inner, path, exists);
  unlock(env);
  return rc;
}

static lsm_rc fault_mkdir(lsm_env *base, const char *path) {
  fault_env *env = env_of(base);
  bool exists = false;
  lock(env);
  lsm_rc rc = may(env, ENV_FAULT_MKDIR, path);
  if (rc == LSM_OK) rc = env->inner->exists(env->inner, path, &exists);
  if (rc == LSM_OK) rc = env->inner->mkdir(env->inner, path);
  if (rc == LSM_OK && find_node(env, path) == NULL) {
    char *last;
    disk_node *dir = find_dir(env, path, &last), *child = disk_node_new(true);
    if (exists) {
      disk_link_durable(dir, last, child);
    } else {
      disk_link(dir, last, child);
    }
    disk_node_unref(child);
    free(last);
  }
  unlock(env);
  return rc;
}

static lsm_rc fault_rmdir(lsm_env *base, const char *path) {
  fault_env *env = env_of(base);
  lock(env);
  lsm_rc rc = may(env, ENV_FAULT_RMDIR, path);
  if (rc == LSM_OK) rc = env->inner->rmdir(env->inner, path);
  if (rc == LSM_OK) model_unlink(env, path);
  unlock(env);
  return rc;
}

static lsm_rc fault_list(lsm_env *base, const char *path, lsm_rc (*fn)(void *arg, const char *name),
                         void *arg) {
  fault_env *env = env_of(base);
  lock(env);
  lsm_rc rc = may(env, ENV_FAULT_LIST, path);
  unlock(env); /* fn may come back to this environment */
  return rc == LSM_OK ? env->inner->list(env->inner, path, fn, arg) : rc;
}

static lsm_rc fault_sync_dir(lsm_env *base, const char *path) {
  fault_env *env = env_of(base);
  lock(env);
  lsm_rc rc = may(env, ENV_FAULT_SYNC_DIR, path);
  if (rc == LSM_OK) {
    uint64_t n = ++env->syncs;
    call_hook(env, n, false);
    rc = env->inner->sync_dir(env->inner, path);
    if (rc == LSM_OK) {
      disk_node *dir = find_node(env, path);
      if (dir != NULL) disk_sync_dir(dir);
      call_hook(env, n, true);
    }
  }
  unlock(env);
  return rc;
}

/*------------------------------------------- clock, random bytes, threads */

static lsm_rc fault_shm_map(lsm_env *base, const char *path, size_t size, void **mem) {
  return env_of(base)->inner->shm_map(env_of(base)->inner, path, size, mem);
}
static void fault_shm_unmap(lsm_env *base, void *mem, size_t size) {
  env_of(base)->inner->shm_unmap(env_of(base)->inner, mem, size);
}
static uint64_t fault_now_us(lsm_env *base) {
  return env_of(base)->inner->now_us(env_of(base)->inner);
}
static uint64_t fault_time_us(lsm_env *base) {
  uint64_t set = atomic_load(&env_of(base)->time_us);
  return set != 0 ? set : env_of(base)->inner->time_us(env_of(base)->inner);
}
void env_fault_set_time(lsm_env *base, uint64_t us) {
  atomic_store(&env_of(base)->time_us, us);
}
static void fault_sleep_us(lsm_env *base, uint64_t us) {
  env_of(base)->inner->sleep_us(env_of(base)->inner, us);
}
static lsm_rc fault_random(lsm_env *base, void *buf, size_t n) {
  return env_of(base)->inner->random(env_of(base)->inner, buf, n);
}
static lsm_rc fault_thread_start(lsm_env *base, void (*fn)(void *arg), void *arg, lsm_thread **t) {
  return env_of(base)->inner->thread_start(env_of(base)->inner, fn, arg, t);
}
static void fault_thread_join(lsm_env *base, lsm_thread *t) {
  env_of(base)->inner->thread_join(env_of(base)->inner, t);
}

static const lsm_env fault_ops = {
    .open = fault_open,
    .remove = fault_remove,
    .rename = fault_rename,
    .exists = fault_exists,
    .mkdir = fault_mkdir,
    .rmdir = fault_rmdir,
    .list = fault_list,
    .sync_dir = fault_sync_dir,
    .shm_map = fault_shm_map,
    .shm_unmap = fault_shm_unmap,
    .now_us = fault_now_us,
    .time_us = fault_time_us,
    .sleep_us = fault_sleep_us,
    .random = fault_random,
    .thread_start = fault_thread_start,
    .thread_join = fault_thread_join,
};

lsm_rc env_fault_new(lsm_env *inner, lsm_env **out) {
  *out = NULL;
  lsm_env *own = NULL;
  if (inner == NULL) {
    lsm_rc rc = lsm_env_mem_new(&own);
    if (rc != LSM_OK) return rc;
  }
  fault_env *env = must_alloc(sizeof *env);
  env->base = fault_ops;
  env->base.ctx = env;
  env->inner = own != NULL ? own : inner;
  env->own_inner = own != NULL;
  env->absolute = disk_node_new(true);
  env->relative = disk_node_new(true);
  pthread_mutex_init(&env->mu, NULL);
  *out = &env->base;
  return LSM_OK;
}

void env_fault_free(lsm_env *base) {
  if (base == NULL) return;
  fault_env *env = env_of(base);
  if (env->own_inner) lsm_env_mem_free(env->inner);
  disk_node_unref(env->absolute);
  disk_node_unref(env->relative);
  pthread_mutex_destroy(&env->mu);
  free(env);
}

/*--------------------------------------------------------------- control */

void env_fault_fail(lsm_env *base, unsigned mask, uint64_t nth, lsm_rc rc, unsigned flags) {
  fault_env *env = env_of(base);
  lock(env);
  env->mask = mask;
  env->nth = nth;
  env->rc = rc;
  env->flags = flags;
  env->calls = env->fired = 0;
  env->seed = nth;
  unlock(env);
}

void env_fault_clear(lsm_env *base) {
  lock(env_of(base));
  env_of(base)->nth = 0;
  unlock(env_of(base));
}

static uint64_t read_counter(lsm_env *base, const uint64_t *counter) {
  lock(env_of(base));
  uint64_t v = *counter;
  unlock(env_of(base));
  return v;
}

uint64_t env_fault_calls(lsm_env *env) {
  return read_counter(env, &env_of(env)->calls);
}
uint64_t env_fault_fired(lsm_env *env) {
  return read_counter(env, &env_of(env)->fired);
}
uint64_t env_fault_syncs(lsm_env *env) {
  return read_counter(env, &env_of(env)->syncs);
}

void env_fault_on_sync(lsm_env *base, env_fault_hook fn, void *arg) {
  fault_env *env = env_of(base);
  lock(env);
  env->hook = fn;
  env->hook_arg = arg;
  unlock(env);
}

/*----------------------------------------------------------------- crash */

/* Copies a file of the image to PATH. */
static lsm_rc copy_file(const disk_node *from, lsm_env *to, const char *path) {
  size_t size;
  const uint8_t *data = disk_content(from, &size);
  lsm_file *f = NULL;
  lsm_rc rc = to->open(to, path, LSM_OPEN_WRITE | LSM_OPEN_CREATE, &f);
  if (rc == LSM_OK) rc = lsm_file_write(f, 0, data, size);
  lsm_file_close(f);
  return rc;
}

/* Copies all below DIR; PATH ends with a slash, or is "". */
static lsm_rc copy_dir(const disk_node *dir, lsm_env *to, const char *path) {
  lsm_rc rc = LSM_OK;
  const char *text;
  disk_node *child;
  for (size_t i = 0; rc == LSM_OK && disk_child(dir, i, &text, &child); i++) {
    size_t size = strlen(path) + strlen(text) + 2;
    char *child_path = must_alloc(size);
    snprintf(child_path, size, "%s%s", path, text);
    if (disk_is_dir(child)) {
      rc = to->mkdir(to, child_path);
      if (rc == LSM_OK) {
        strcat(child_path, "/");
        rc = copy_dir(child, to, child_path);
      }
    } else {
      rc = copy_file(child, to, child_path);
    }
    free(child_path);
  }
  return rc;
}

lsm_rc env_fault_crash(lsm_env *base, env_fault_mode mode, uint64_t seed, lsm_env **image) {
  fault_env *env = env_of(base);
  *image = NULL;
  lsm_env *out = NULL;
  lsm_rc rc = env_fault_new(NULL, &out);
  if (rc != LSM_OK) return rc;
  lock(env);
  disk_node *absolute = disk_crash(env->absolute, mode, &seed);
  disk_node *relative = disk_crash(env->relative, mode, &seed);
  unlock(env);
  disk_node_unref(env_of(out)->absolute);
  disk_node_unref(env_of(out)->relative);
  env_of(out)->absolute = absolute;
  env_of(out)->relative = relative;
  rc = copy_dir(absolute, env_of(out)->inner, "/");
  if (rc == LSM_OK) rc = copy_dir(relative, env_of(out)->inner, "");
  if (rc != LSM_OK) {
    env_fault_free(out);
    return rc;
  }
  *image = out;
  return LSM_OK;
}
