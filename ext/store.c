/* store.c: the stores this process has open.
**
** Owns:  the list, the lsm_db of each entry, the environment of those in memory.
** Holds: one entry a path and process. After fork() the child's entries are the
**        parent's: they are not used, nor closed. */
#include "store.h"

#include <pthread.h>
#include <unistd.h>

#include "base.h"

struct lsm_store {
  lsm_store *next;
  char *path; /* "" in memory */
  lsm_env *env; /* in memory: owned */
  lsm_db *db;
  int refs;
  pid_t pid;
};

static pthread_mutex_t list_mu = PTHREAD_MUTEX_INITIALIZER;
static lsm_store *list; /* guarded by list_mu */

static void free_store(lsm_store *s) {
  if (s->env != NULL) lsm_env_mem_free(s->env);
  lsm_free(s->path);
  lsm_free(s);
}

static lsm_store *find_store(const char *path) {
  pid_t pid = getpid();
  for (lsm_store *s = list; s != NULL; s = s->next) {
    if (s->env == NULL && s->pid == pid && strcmp(s->path, path) == 0) return s;
  }
  return NULL;
}

/* REQUIRES: list_mu. */
static lsm_rc open_store(const char *path, const lsm_options *opt, lsm_store **out) {
  lsm_store *s = lsm_calloc(sizeof(*s));
  size_t n = path != NULL ? strlen(path) : 0;
  lsm_rc rc = LSM_OK;
  if (s == NULL) return lsm_nomem();
  s->path = lsm_calloc(n + 1);
  if (s->path == NULL) rc = lsm_nomem();
  if (rc == LSM_OK && n > 0) memcpy(s->path, path, n);
  if (rc == LSM_OK && path == NULL) rc = lsm_env_mem_new(&s->env);
  if (rc == LSM_OK) {
    rc = lsm_open(s->env != NULL ? s->env : lsm_env_default(), path != NULL ? path : "memory", opt,
                  &s->db);
  }
  if (rc != LSM_OK) {
    free_store(s);
    return rc;
  }
  s->refs = 1;
  s->pid = getpid();
  s->next = list;
  list = s;
  *out = s;
  return LSM_OK;
}

lsm_rc lsm_store_open(const char *path, const lsm_options *opt, lsm_store **out) {
  *out = NULL;
  pthread_mutex_lock(&list_mu);
  lsm_store *s = path != NULL ? find_store(path) : NULL;
  lsm_rc rc = LSM_OK;
  if (s != NULL) {
    s->refs++;
    *out = s;
  } else {
    rc = open_store(path, opt, out);
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
