/* store.c: the stores this process has open.
**
** Owns:  the list, the lsm_db of each entry, the environment of those in memory.
** Holds: one entry a path and process. After fork() the child's entries are the
**        parent's: they are not used, nor closed. */
#include "store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base.h"
#include "catalog.h"
#include "env.h"
#include "homes.h"
#include "token.h"

/* A database file that uses the store. */
typedef struct host {
  struct host *next;
  _Atomic bool foreign; /* nobody here has had it open: it is noted in the store (homes.h) */
  char file[];  /* flexible */
} host;

struct lsm_store {
  lsm_store *next;
  char *path; /* "" in memory */
  lsm_env *env; /* in memory: owned */
  lsm_db *db;
  int refs;
  pid_t pid;
  bool read_only;
  host *hosts; /* guarded by hosts_mu; grows only */
};

static pthread_mutex_t list_mu = PTHREAD_MUTEX_INITIALIZER;
static lsm_store *list; /* guarded by list_mu */
static pthread_mutex_t hosts_mu = PTHREAD_MUTEX_INITIALIZER; /* a leaf but for list_mu */

/*------------------------------------------------------------------ hosts */

static lsm_rc add_host(lsm_store *s, const char *file, bool foreign) {
  lsm_rc rc = LSM_OK;
  pthread_mutex_lock(&hosts_mu);
  host *h = s->hosts;
  while (h != NULL && strcmp(h->file, file) != 0) h = h->next;
  if (h != NULL && !foreign) atomic_store(&h->foreign, false);
  if (h == NULL) {
    size_t n = strlen(file) + 1;
    h = lsm_malloc(sizeof(*h) + n);
    if (h != NULL) {
      memcpy(h->file, file, n);
      atomic_init(&h->foreign, foreign);
      h->next = s->hosts;
      s->hosts = h;
    } else {
      rc = lsm_nomem();
    }
  }
  pthread_mutex_unlock(&hosts_mu);
  return rc;
}

static lsm_rc add_foreign_host(void *arg, const char *file) { return add_host(arg, file, true); }

/* The hosts that others have noted in the store join the list. */
static lsm_rc find_foreign_hosts(lsm_store *s) {
  return s->env != NULL ? LSM_OK : lsm_homes_each(s->path, add_foreign_host, s);
}

/* A database begins to use the store. */
static lsm_rc welcome_host(lsm_store *s, const char *file, bool read_only) {
  if (file == NULL || file[0] == 0) return LSM_OK;
  lsm_rc rc = add_host(s, file, false);
  if (rc == LSM_OK && s->env == NULL && !read_only) lsm_homes_note(s->path, file);
  return rc;
}

/* The list as it is now: it only grows, and in front. */
static host *first_host(lsm_store *s) {
  pthread_mutex_lock(&hosts_mu);
  host *h = s->hosts;
  pthread_mutex_unlock(&hosts_mu);
  return h;
}

/* Asks one. A foreign host that cannot answer, or does not know the id, says nothing: it
** may be another file of that name. */
static lsm_rc ask(host *h, const uint8_t *id, uint64_t *txid, bool *known) {
  if (!atomic_load(&h->foreign)) return lsm_token_peek(h->file, false, id, txid, known);
  *known = false;
  struct stat st; /* SQLite would wait for a pipe's other end */
  if (!lsm_token_has_name(id, h->file) || stat(h->file, &st) != 0 || !S_ISREG(st.st_mode)) {
    return LSM_OK;
  }
  lsm_rc rc = lsm_token_peek(h->file, true, id, txid, known);
  *known = rc == LSM_OK && *known && *txid != LSM_TOKEN_LOST;
  return rc == LSM_NOMEM ? rc : LSM_OK;
}

/* lsm_options.host_txid. A database that has lost the id is believed only when
** no other has it; one that is not open here is asked last. */
static lsm_rc host_txid(void *arg, const uint8_t *id, uint64_t *txid, bool *known) {
  lsm_rc rc = LSM_OK;
  bool lost = false;
  *known = false;
  for (int foreign = 0; foreign < 2 && !*known && !lost && rc == LSM_OK; foreign++) {
    if (foreign) rc = find_foreign_hosts(arg);
    for (host *h = first_host(arg); h != NULL && !*known && rc == LSM_OK; h = h->next) {
      if (atomic_load(&h->foreign) != (foreign != 0)) continue;
      rc = ask(h, id, txid, known);
      if (*known && *txid == LSM_TOKEN_LOST) {
        lost = true;
        *known = false;
      }
    }
  }
  if (!*known && lost) {
    *txid = LSM_TOKEN_LOST;
    *known = true;
  }
  return rc;
}

/* lsm_options.host_name */
static void host_name(void *arg, const uint8_t *id, char *name, size_t size) {
  for (host *h = first_host(arg); h != NULL; h = h->next) {
    if (lsm_token_has_name(id, h->file)) sqlite3_snprintf((int)size, name, "%s", h->file);
  }
}

/* Syncs the file PATH, if it is there. */
static lsm_rc sync_if_there(lsm_env *env, const char *path) {
  lsm_file *f = NULL;
  lsm_rc rc = env->open(env, path, LSM_OPEN_WRITE, &f);
  if (rc == LSM_OK) rc = lsm_file_sync(f);
  lsm_file_close(f);
  return rc == LSM_NOTFOUND ? LSM_OK : rc;
}

/* Makes what the database has committed durable: the content of its log and, in
** the rollback modes, the end of its journal, which may be its removal or, with
** PERSIST and TRUNCATE, a change of it. The database file itself is never opened
** here: closing it would drop SQLite's own locks on it. */
static lsm_rc sync_host(const char *file) {
  static const char *const beside[] = {"-wal", "-journal"};
  lsm_env *env = lsm_env_default();
  lsm_buf path = {0};
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < 2 && rc == LSM_OK; i++) {
    lsm_buf_clear(&path);
    rc = lsm_buf_append(&path, file, strlen(file));
    if (rc == LSM_OK) rc = lsm_buf_append(&path, beside[i], strlen(beside[i]) + 1);
    if (rc == LSM_OK) rc = sync_if_there(env, (const char *)path.data);
  }
  if (rc == LSM_OK) {
    char *slash = strrchr((char *)path.data, '/');
    if (slash != NULL) slash[slash == (char *)path.data ? 1 : 0] = 0;
    rc = env->sync_dir(env, slash != NULL ? (const char *)path.data : ".");
  }
  lsm_buf_fini(&path);
  return rc;
}

/* lsm_options.host_sync. What is in the log may be anybody's; a foreign host that has gone
** has nothing to be kept. */
static lsm_rc host_sync(void *arg) {
  lsm_rc rc = find_foreign_hosts(arg);
  for (host *h = first_host(arg); h != NULL && rc == LSM_OK; h = h->next) {
    rc = sync_host(h->file);
    if (atomic_load(&h->foreign) && (rc == LSM_NOTFOUND || rc == LSM_CANTOPEN)) rc = LSM_OK;
  }
  return rc;
}

/*----------------------------------------------------------------- copies */

typedef struct copy_search {
  const char *path;
  const char *file;
  struct stat st; /* of file */
  const uint8_t *host;
  lsm_buf *original;
} copy_search;

/* A noted database: does it have the same token as ours? One that is away, or is a
** database of its own by now, has moved to where ours is: its note goes, or it would
** pass for the original if it were copied back. */
static lsm_rc compare_home(void *arg, const char *file) {
  copy_search *s = arg;
  struct stat st;
  uint64_t txid;
  bool known = false;
  if (s->original->size > 0 || strcmp(file, s->file) == 0) return LSM_OK;
  if (stat(file, &st) != 0) {
    lsm_homes_forget(s->path, file);
    return LSM_OK;
  }
  if (!S_ISREG(st.st_mode) || (st.st_dev == s->st.st_dev && st.st_ino == s->st.st_ino)) return LSM_OK;
  lsm_rc rc = lsm_token_peek(file, true, s->host, &txid, &known);
  if (rc != LSM_OK) return rc == LSM_NOMEM ? rc : LSM_OK; /* busy, or not a database: it is not known */
  if (!known || txid == LSM_TOKEN_LOST) return LSM_OK;
  return lsm_buf_set(s->original, lsm_slice_of((const uint8_t *)file, strlen(file) + 1));
}

lsm_rc lsm_store_find_original(const char *path, const char *file, const uint8_t *store_id,
                               const uint8_t *id_of_host, lsm_buf *original) {
  copy_search s = {.path = path, .file = file, .host = id_of_host, .original = original};
  uint8_t id[LSM_STORE_ID_SIZE];
  lsm_buf_clear(original);
  if (lsm_homes_is_own(path, file) || stat(file, &s.st) != 0) return LSM_OK;
  /* Notes are read only in the store that the database knows. */
  if (lsm_peek_id(lsm_env_default(), path, id) != LSM_OK ||
      memcmp(id, store_id, sizeof(id)) != 0 || lsm_homes_noted(path, file)) {
    return LSM_OK;
  }
  return lsm_homes_each(path, compare_home, &s);
}

/*------------------------------------------------------------------- list */

static void free_store(lsm_store *s) {
  for (host *h = s->hosts, *next; h != NULL; h = next) {
    next = h->next;
    lsm_free(h);
  }
  if (s->env != NULL) lsm_env_mem_free(s->env);
  lsm_free(s->path);
  lsm_free(s);
}

/* One opened read-only serves only those who ask for that; beside it the store
** is opened once more, as another process would. */
static lsm_store *find_store(const char *path, bool read_only) {
  pid_t pid = getpid();
  for (lsm_store *s = list; s != NULL; s = s->next) {
    if (s->env == NULL && s->pid == pid && strcmp(s->path, path) == 0 &&
        (read_only || !s->read_only)) {
      return s;
    }
  }
  return NULL;
}

/* REQUIRES: list_mu. */
static lsm_rc open_store(const char *path, const char *file, const lsm_options *opt,
                         lsm_store **out) {
  lsm_store *s = lsm_calloc(sizeof(*s));
  size_t n = path != NULL ? strlen(path) : 0;
  lsm_rc rc = LSM_OK;
  if (s == NULL) return lsm_nomem();
  s->path = lsm_calloc(n + 1);
  if (s->path == NULL) rc = lsm_nomem();
  if (rc == LSM_OK && n > 0) memcpy(s->path, path, n);
  if (rc == LSM_OK && path == NULL) rc = lsm_env_mem_new(&s->env);
  if (rc == LSM_OK) rc = welcome_host(s, file, true);
  if (rc == LSM_OK) {
    lsm_options o = *opt;
    o.host_txid = host_txid;
    o.host_sync = host_sync;
    o.host_name = host_name;
    o.host_arg = s;
    rc = lsm_open(s->env != NULL ? s->env : lsm_env_default(), path != NULL ? path : "memory", &o,
                  &s->db);
  }
  if (rc == LSM_OK) rc = welcome_host(s, file, opt->read_only); /* now there is a directory */
  if (rc != LSM_OK) {
    if (s->db != NULL) (void)lsm_close(s->db);
    free_store(s);
    return rc;
  }
  s->refs = 1;
  s->pid = getpid();
  s->read_only = opt->read_only;
  s->next = list;
  list = s;
  *out = s;
  return LSM_OK;
}

lsm_rc lsm_store_open(const char *path, const char *file, const lsm_options *opt,
                      lsm_store **out) {
  *out = NULL;
  pthread_mutex_lock(&list_mu);
  lsm_store *s = path != NULL ? find_store(path, opt->read_only) : NULL;
  lsm_rc rc = LSM_OK;
  if (s == NULL) {
    rc = open_store(path, file, opt, out);
  } else if ((rc = welcome_host(s, file, opt->read_only)) == LSM_OK) {
    s->refs++;
    *out = s;
  }
  pthread_mutex_unlock(&list_mu);
  return rc;
}

void lsm_store_unref(lsm_store *s) {
  if (s == NULL || s->pid != getpid()) return;
  pthread_mutex_lock(&list_mu);
  if (--s->refs == 0) {
    lsm_store **p = &list;
    while (*p != s) p = &(*p)->next;
    *p = s->next;
    (void)lsm_close(s->db); /* what it could not sync, the log still holds */
    free_store(s);
  }
  pthread_mutex_unlock(&list_mu);
}

lsm_db *lsm_store_db(const lsm_store *s) { return s->db; }
const char *lsm_store_path(const lsm_store *s) { return s->path; }
bool lsm_store_is_memory(const lsm_store *s) { return s->env != NULL; }
