/* record.c: an LD_PRELOAD layer that writes down what its process does to files.
**
** Every call that changes a file or directory below RECORD_DIR, or syncs one, is
** carried out and noted under one lock of all processes, so that the log's order
** is the order of things. With RECORD_KILL=n the process kills itself instead of
** its nth such call (calls for locks count too), while it holds whatever it holds.
** What is changed through mapped memory is not seen: SHM and -shm files, which
** mean nothing once their processes are dead.
**
** Owns   the mapping of the log, to the end of the process.
** Holds  files are those of RECORD_DIR's file system: keep nothing else there
**        open that is written by system calls.
*/
#define _GNU_SOURCE
#include "record.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static record_head *head; /* NULL: nothing is recorded */
static char dir[PATH_MAX];
static size_t dir_len;
static dev_t dev;
static uint64_t kill_at; /* 0: never */

/* The C library's function of that name. */
#define REAL(type, name) ((type)real(name))
static void *real(const char *name) {
  void *f = dlsym(RTLD_NEXT, name);
  if (f == NULL) abort();
  return f;
}

typedef int open_fn(const char *, int, ...);
typedef ssize_t write_fn(int, const void *, size_t);
typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);
typedef ssize_t pwritev_fn(int, const struct iovec *, int, off_t);
typedef int truncate_fn(int, off_t);
typedef int allocate_fn(int, int, off_t, off_t);
typedef int sync_fn(int);
typedef int path_fn(const char *);
typedef int rename_fn(const char *, const char *);
typedef int mkdir_fn(const char *, mode_t);
typedef int fcntl_fn(int, int, ...);

__attribute__((constructor)) static void start(void) {
  const char *log = getenv(RECORD_LOG), *where = getenv(RECORD_DIR), *at = getenv(RECORD_KILL);
  struct stat st;
  if (log == NULL || where == NULL || stat(where, &st) != 0) return;
  dev = st.st_dev;
  dir_len = (size_t)snprintf(dir, sizeof dir, "%s", where);
  kill_at = at != NULL ? strtoull(at, NULL, 10) : 0;
  int fd = REAL(open_fn *, "open")(log, O_RDWR | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0) abort();
  void *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (p == MAP_FAILED) abort();
  head = p;
}

/*-------------------------------------------------------------- the log */

static void lock(void) {
  int r = pthread_mutex_lock(&head->mu);
  if (r == EOWNERDEAD) r = pthread_mutex_consistent(&head->mu);
  if (r != 0) abort();
}

/* Before a call that counts. A process that dies does so holding the lock, so
** that no other thread of it can be in the middle of an entry. */
static bool enter(void) {
  if (head == NULL) return false;
  lock();
  if (kill_at != 0 && ++head->calls == kill_at) raise(SIGKILL);
  return true;
}

static void leave(bool entered) {
  int err = errno;
  if (entered) pthread_mutex_unlock(&head->mu);
  errno = err;
}

/* REQUIRES: the lock. */
static void put(enum record_type type, uint64_t ino, uint64_t offset, const struct iovec *data,
                size_t size, const char *path, const char *path2) {
  size_t n1 = path != NULL ? strlen(path) + 1 : 0, n2 = path2 != NULL ? strlen(path2) + 1 : 0;
  size_t total = (sizeof(record_entry) + size + n1 + n2 + 7) & ~(size_t)7;
  if (kill_at != 0) return;
  if (head->size + total > head->limit) abort();
  uint8_t *p = (uint8_t *)head + head->size;
  record_entry e = {(uint32_t)type, (uint32_t)(n1 + n2), ino, offset, size};
  memcpy(p, &e, sizeof e);
  p += sizeof e;
  for (size_t left = size; left > 0; data++) {
    size_t n = data->iov_len < left ? data->iov_len : left;
    memcpy(p, data->iov_base, n);
    p += n;
    left -= n;
  }
  if (n1 > 0) memcpy(p, path, n1);
  if (n2 > 0) memcpy(p + n1, path2, n2);
  head->size += total;
}

EXPORT void record_mark(uint64_t what, uint64_t number) {
  if (head == NULL) return;
  lock();
  put(RECORD_MARK, what, number, NULL, 0, NULL, NULL);
  leave(true);
}

/* The part of a path behind the directory; NULL: elsewhere. */
static const char *inside(const char *path) {
  if (head == NULL || strncmp(path, dir, dir_len) != 0 || path[dir_len] != '/') return NULL;
  return path + dir_len + 1;
}

/* The inode of an open file that is recorded, else 0. */
static uint64_t inode(int fd) {
  struct stat st;
  if (head == NULL || fstat(fd, &st) != 0 || st.st_dev != dev) return 0;
  return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? st.st_ino : 0;
}

/*---------------------------------------------------------------- opening */

static int open_as(const char *name, const char *path, int flags, mode_t mode) {
  const char *rel = (flags & (O_CREAT | O_TRUNC)) != 0 ? inside(path) : NULL;
  open_fn *f = REAL(open_fn *, name);
  if (rel == NULL) return f(path, flags, mode);
  struct stat st;
  bool entered = enter(), existed = stat(path, &st) == 0;
  int fd = f(path, flags, mode);
  uint64_t ino = fd >= 0 ? inode(fd) : 0;
  if (ino != 0 && !existed) {
    put(RECORD_CREATE, ino, 0, NULL, 0, rel, NULL);
  } else if (ino != 0 && (flags & O_TRUNC) != 0) {
    put(RECORD_TRUNCATE, ino, 0, NULL, 0, NULL, NULL);
  }
  leave(entered);
  return fd;
}

static mode_t mode_of(int flags, va_list args) {
  return (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
}

EXPORT int open(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = mode_of(flags, args);
  va_end(args);
  return open_as("open", path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...);
EXPORT int open64(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = mode_of(flags, args);
  va_end(args);
  return open_as("open64", path, flags, mode);
}

/*---------------------------------------------------------------- writing */

static ssize_t note_write(uint64_t ino, ssize_t done, const struct iovec *v, off_t off) {
  if (done > 0) put(RECORD_WRITE, ino, (uint64_t)off, v, (size_t)done, NULL, NULL);
  return done;
}

EXPORT ssize_t write(int fd, const void *p, size_t n) {
  write_fn *f = REAL(write_fn *, "write");
  uint64_t ino = inode(fd);
  if (ino == 0) return f(fd, p, n);
  struct iovec v = {(void *)(uintptr_t)p, n};
  bool entered = enter();
  off_t off = lseek(fd, 0, SEEK_CUR);
  ssize_t done = note_write(ino, f(fd, p, n), &v, off);
  leave(entered);
  return done;
}

EXPORT ssize_t pwrite(int fd, const void *p, size_t n, off_t off) {
  pwrite_fn *f = REAL(pwrite_fn *, "pwrite");
  uint64_t ino = inode(fd);
  if (ino == 0) return f(fd, p, n, off);
  struct iovec v = {(void *)(uintptr_t)p, n};
  bool entered = enter();
  ssize_t done = note_write(ino, f(fd, p, n, off), &v, off);
  leave(entered);
  return done;
}

EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off) {
  return pwrite(fd, p, n, off);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *v, int count, off_t off) {
  pwritev_fn *f = REAL(pwritev_fn *, "pwritev");
  uint64_t ino = inode(fd);
  if (ino == 0) return f(fd, v, count, off);
  bool entered = enter();
  ssize_t done = note_write(ino, f(fd, v, count, off), v, off);
  leave(entered);
  return done;
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *v, int count, off64_t off) {
  return pwritev(fd, v, count, off);
}

EXPORT int ftruncate(int fd, off_t size) {
  truncate_fn *f = REAL(truncate_fn *, "ftruncate");
  uint64_t ino = inode(fd);
  if (ino == 0) return f(fd, size);
  bool entered = enter();
  int r = f(fd, size);
  if (r == 0) put(RECORD_TRUNCATE, ino, (uint64_t)size, NULL, 0, NULL, NULL);
  leave(entered);
  return r;
}

EXPORT int ftruncate64(int fd, off64_t size) {
  return ftruncate(fd, size);
}

/* Only in the way that changes nothing of a file but its size. */
EXPORT int fallocate(int fd, int mode, off_t off, off_t n) {
  allocate_fn *f = REAL(allocate_fn *, "fallocate");
  uint64_t ino = inode(fd);
  if (ino == 0) return f(fd, mode, off, n);
  if (mode != 0) abort();
  bool entered = enter();
  int r = f(fd, mode, off, n);
  if (r == 0) put(RECORD_EXTEND, ino, (uint64_t)(off + n), NULL, 0, NULL, NULL);
  leave(entered);
  return r;
}

EXPORT int fallocate64(int fd, int mode, off64_t off, off64_t n) {
  return fallocate(fd, mode, off, n);
}

/* Ways to change a file that nobody takes today: to be recorded before they are used. */
EXPORT ssize_t writev(int fd, const struct iovec *v, int count) {
  if (inode(fd) != 0) abort();
  return REAL(ssize_t(*)(int, const struct iovec *, int), "writev")(fd, v, count);
}

EXPORT int truncate(const char *path, off_t size) {
  if (inside(path) != NULL) abort();
  return REAL(int (*)(const char *, off_t), "truncate")(path, size);
}

/*---------------------------------------------------------------- syncing */

static int sync_as(const char *name, int fd) {
  sync_fn *f = REAL(sync_fn *, name);
  uint64_t ino = inode(fd);
  if (ino == 0) return f(fd);
  bool entered = enter();
  int r = f(fd);
  if (r == 0) put(RECORD_SYNC, ino, 0, NULL, 0, NULL, NULL);
  leave(entered);
  return r;
}

EXPORT int fsync(int fd) {
  return sync_as("fsync", fd);
}

EXPORT int fdatasync(int fd) {
  return sync_as("fdatasync", fd);
}

/*------------------------------------------------------------ directories */

static int path_as(const char *name, enum record_type type, const char *path) {
  path_fn *f = REAL(path_fn *, name);
  const char *rel = inside(path);
  if (rel == NULL) return f(path);
  bool entered = enter();
  int r = f(path);
  if (r == 0) put(type, 0, 0, NULL, 0, rel, NULL);
  leave(entered);
  return r;
}

EXPORT int unlink(const char *path) {
  return path_as("unlink", RECORD_UNLINK, path);
}

EXPORT int rmdir(const char *path) {
  return path_as("rmdir", RECORD_RMDIR, path);
}

EXPORT int mkdir(const char *path, mode_t mode) {
  mkdir_fn *f = REAL(mkdir_fn *, "mkdir");
  const char *rel = inside(path);
  if (rel == NULL) return f(path, mode);
  struct stat st;
  bool entered = enter();
  int r = f(path, mode);
  if (r == 0 && stat(path, &st) == 0) put(RECORD_MKDIR, st.st_ino, 0, NULL, 0, rel, NULL);
  leave(entered);
  return r;
}

EXPORT int rename(const char *from, const char *to) {
  rename_fn *f = REAL(rename_fn *, "rename");
  const char *a = inside(from), *b = inside(to);
  if (a == NULL || b == NULL) return f(from, to);
  bool entered = enter();
  int r = f(from, to);
  if (r == 0) put(RECORD_RENAME, 0, 0, NULL, 0, a, b);
  leave(entered);
  return r;
}

/*------------------------------------------------------------------ locks */

/* Only places to die at. */
static int fcntl_as(const char *name, int fd, int cmd, void *arg) {
  bool is_lock = cmd == F_SETLK || cmd == F_SETLKW || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
  if (is_lock && kill_at != 0 && inode(fd) != 0) leave(enter());
  return REAL(fcntl_fn *, name)(fd, cmd, arg);
}

EXPORT int fcntl(int fd, int cmd, ...) {
  va_list args;
  va_start(args, cmd);
  void *arg = va_arg(args, void *);
  va_end(args);
  return fcntl_as("fcntl", fd, cmd, arg);
}

EXPORT int fcntl64(int fd, int cmd, ...) {
  va_list args;
  va_start(args, cmd);
  void *arg = va_arg(args, void *);
  va_end(args);
  return fcntl_as("fcntl64", fd, cmd, arg);
}
