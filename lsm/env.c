/* env.c: what every environment shares: shorthands over its table of
** functions, and threads through pthreads.
**
** Owns     an lsm_thread, from start to join. */
#if !defined(_POSIX_C_SOURCE) && !defined(__APPLE__)
#define _POSIX_C_SOURCE 200809L /* pthread_sigmask */
#endif

#include "env.h"

#include <pthread.h>
#include <signal.h>

lsm_rc lsm_file_write(lsm_file *f, uint64_t off, const void *buf, size_t n) {
  lsm_slice part = lsm_slice_of(buf, n);
  return f->ops->writev(f, off, &part, 1);
}

lsm_rc lsm_env_read_file(lsm_env *env, const char *path, lsm_buf *buf) {
  lsm_file *f = NULL;
  lsm_buf_clear(buf);
  lsm_rc rc = env->open(env, path, LSM_OPEN_READ, &f);
  if (rc != LSM_OK) return rc;
  uint64_t size = 0;
  rc = f->ops->size(f, &size);
  if (rc == LSM_OK && size >= SIZE_MAX) rc = lsm_nomem();
  /* One byte more than the file has, to see its end in the first round; it
  ** may have grown meanwhile. */
  while (rc == LSM_OK) {
    size_t got = 0, want = size >= buf->size ? (size_t)size - buf->size + 1 : 4096;
    rc = lsm_buf_reserve(buf, want);
    if (rc == LSM_OK) rc = lsm_file_read(f, buf->size, buf->data + buf->size, want, &got);
    if (rc == LSM_OK) buf->size += got;
    if (got < want) break;
  }
  lsm_file_close(f);
  if (rc != LSM_OK) lsm_buf_clear(buf);
  return rc;
}

lsm_rc lsm_sync_parent(lsm_env *env, const char *dir) {
  lsm_buf parent = {0};
  const char *slash = strrchr(dir, '/');
  size_t n = slash == NULL ? 0 : (size_t)(slash - dir);
  lsm_rc rc = slash == NULL ? lsm_buf_append(&parent, ".", 2)
              : n == 0      ? lsm_buf_append(&parent, "/", 2)
                            : lsm_buf_append(&parent, dir, n);
  if (rc == LSM_OK && n > 0) rc = lsm_buf_put_u8(&parent, 0);
  if (rc == LSM_OK) rc = env->sync_dir(env, (const char *)parent.data);
  if (rc == LSM_CANTOPEN) rc = LSM_OK; /* it may not be read: the system will have to do */
  lsm_buf_fini(&parent);
  return rc;
}

/*---------------------------------------------------------------- threads */

struct lsm_thread {
  pthread_t id;
  void (*fn)(void *arg);
  void *arg;
};

static void *thread_main(void *p) {
  lsm_thread *t = p;
  t->fn(t->arg);
  return NULL;
}

lsm_rc lsm_pthread_start(lsm_env *env, void (*fn)(void *arg), void *arg, lsm_thread **t) {
  (void)env;
  *t = NULL;
  lsm_thread *thread = lsm_calloc(sizeof *thread);
  if (thread == NULL) return lsm_nomem();
  thread->fn = fn;
  thread->arg = arg;
  /* The host's signals are for the host's own threads. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int err = pthread_create(&thread->id, NULL, thread_main, thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (err != 0) {
    lsm_free(thread);
    return lsm_fail(LSM_IOERR, "cannot start a thread (error %d)", err);
  }
  *t = thread;
  return LSM_OK;
}

void lsm_pthread_join(lsm_env *env, lsm_thread *t) {
  (void)env;
  if (t == NULL) return;
  pthread_join(t->id, NULL);
  lsm_free(t);
}
