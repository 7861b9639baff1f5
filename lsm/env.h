/* env.h: the only door to the operating system.
**
** An lsm_env is a table of functions over files named by path, a clock and
** threads. There are three: POSIX (env_posix.c), memory (env_mem.c), and the
** fault-injecting one of the tests (tests/support/env_fault.c), which wraps
** another. Files are written by offset, almost always at the end; nothing is
** mapped. Paths use '/' and are made by filename.c.
**
** Errors: LSM_NOTFOUND (no such file), LSM_FULL (no space, quota), LSM_BUSY
** (lock held), LSM_CANTOPEN / LSM_READONLY (permissions), LSM_IOERR (else),
** with the path in the message.
** Threads: every function may be called by several threads at once; one file
** is written by one thread at a time, reads may go on meanwhile. */
#ifndef LSM_ENV_H
#define LSM_ENV_H

#include "base.h"

typedef struct lsm_file lsm_file;
typedef struct lsm_thread lsm_thread;

/* How lsm_env.open() opens. */
enum {
  LSM_OPEN_READ = 0,
  LSM_OPEN_WRITE = 1,    /* read and write */
  LSM_OPEN_CREATE = 2,   /* make it when missing (with WRITE) */
  LSM_OPEN_TRUNCATE = 4, /* drop what it held (with WRITE) */
  LSM_OPEN_EXCL = 8      /* fail when it exists (with CREATE) */
};

typedef enum lsm_lock { LSM_UNLOCK, LSM_LOCK_SHARED, LSM_LOCK_EXCLUSIVE } lsm_lock;

typedef struct lsm_file_ops {
  /* Reads up to n bytes; *got < n only at the end of the file. */
  lsm_rc (*read)(lsm_file *f, uint64_t off, void *buf, size_t n, size_t *got);
  /* Writes all parts one after another at off. After an error any prefix may
  ** have been written. */
  lsm_rc (*writev)(lsm_file *f, uint64_t off, const lsm_slice *parts, int n);
  /* Returns when the content and size are on stable storage. */
  lsm_rc (*sync)(lsm_file *f);
  /* A hint, allowed to do nothing: start writing the range to storage now. */
  void (*sync_hint)(lsm_file *f, uint64_t off, uint64_t len);
  /* A hint, allowed to do nothing: the file is going to be written up to off + len.
  ** It becomes that long, if it is shorter, and has storage there: zeros, till they
  ** are written over. A sync then has less to do than after an append. */
  void (*reserve)(lsm_file *f, uint64_t off, uint64_t len);
  lsm_rc (*truncate)(lsm_file *f, uint64_t size);
  lsm_rc (*size)(lsm_file *f, uint64_t *size);
  /* Byte-range locks between processes and between open files; never waits:
  ** LSM_BUSY. Gone with close or the process. */
  lsm_rc (*lock)(lsm_file *f, uint64_t off, uint64_t len, lsm_lock mode);
  void (*close)(lsm_file *f); /* frees f */
} lsm_file_ops;

/* An environment's open file starts with this. */
struct lsm_file {
  const lsm_file_ops *ops;
};

struct lsm_env {
  void *ctx;
  lsm_rc (*open)(lsm_env *env, const char *path, int flags, lsm_file **file);
  lsm_rc (*remove)(lsm_env *env, const char *path); /* file; LSM_NOTFOUND when missing */
  lsm_rc (*rename)(lsm_env *env, const char *from, const char *to); /* replaces, atomically */
  lsm_rc (*exists)(lsm_env *env, const char *path, bool *exists);
  lsm_rc (*mkdir)(lsm_env *env, const char *path);  /* LSM_OK when it exists */
  lsm_rc (*rmdir)(lsm_env *env, const char *path);  /* must be empty */
  /* Calls fn(arg, name) for each entry but . and .. */
  lsm_rc (*list)(lsm_env *env, const char *path, lsm_rc (*fn)(void *arg, const char *name),
                 void *arg);
  /* Makes creations, removals and renames in the directory durable. */
  lsm_rc (*sync_dir)(lsm_env *env, const char *path);
  /* SIZE bytes of memory that all who map PATH share, zero when it is new; they
  ** outlive the map, but not by a promise. A forked child finds zeros there, which it
  ** shares with nobody. */
  lsm_rc (*shm_map)(lsm_env *env, const char *path, size_t size, void **mem);
  void (*shm_unmap)(lsm_env *env, void *mem, size_t size);
  uint64_t (*now_us)(lsm_env *env);  /* monotonic */
  uint64_t (*time_us)(lsm_env *env); /* since 1970 */
  void (*sleep_us)(lsm_env *env, uint64_t us);
  lsm_rc (*random)(lsm_env *env, void *buf, size_t n); /* unpredictable bytes */
  lsm_rc (*thread_start)(lsm_env *env, void (*fn)(void *arg), void *arg, lsm_thread **t);
  void (*thread_join)(lsm_env *env, lsm_thread *t); /* waits, frees t */
};

/* Shorthands over the tables (env.c). */
static inline lsm_rc lsm_file_read(lsm_file *f, uint64_t off, void *buf, size_t n, size_t *got) {
  return f->ops->read(f, off, buf, n, got);
}
lsm_rc lsm_file_write(lsm_file *f, uint64_t off, const void *buf, size_t n);
static inline lsm_rc lsm_file_sync(lsm_file *f) { return f->ops->sync(f); }
static inline void lsm_file_close(lsm_file *f) {
  if (f != NULL) f->ops->close(f);
}

/* Makes the entry of directory DIR in its parent durable. */
lsm_rc lsm_sync_parent(lsm_env *env, const char *dir);

/* The whole file at PATH into *buf, replacing its content. */
lsm_rc lsm_env_read_file(lsm_env *env, const char *path, lsm_buf *buf);

/* Threads through pthreads, for environments whose own are real. */
lsm_rc lsm_pthread_start(lsm_env *env, void (*fn)(void *arg), void *arg, lsm_thread **t);
void lsm_pthread_join(lsm_env *env, lsm_thread *t);

#endif
