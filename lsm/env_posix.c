/* env_posix.c: files, clock and random bytes through POSIX.
**
** Owns     one file descriptor an open file, never 0 to 2: a host that closed
**          its standard files must not print into a store.
** Holds    a file keeps its path, for messages: "<path>: cannot <verb>: why".
** Locks    byte-range locks belong to the open file where the system knows that
**          (F_OFD_SETLK), else to the process. A forked child has the same open
**          files, and would keep the locks when the parent dies: it closes
**          them. Nor must it do in shared memory what is for the parent to do: it
**          gets an empty page of its own there. locked_mu guards both lists. */
#ifndef _WIN32
#define _GNU_SOURCE       /* F_OFD_SETLK, sync_file_range, pwritev */
#define _FILE_OFFSET_BITS 64
#ifdef __APPLE__
#define _DARWIN_C_SOURCE
#endif
#endif

#include "env.h"

#ifndef _WIN32

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/random.h>
#endif

enum {
  FILE_MODE = 0644, /* less the umask */
  DIR_MODE = 0755,
  FIRST_FD = 3,
  JOINED_MAX = 1024, /* bytes of several parts written as one */
  IOV_COUNT = 16,  /* parts for one system call; every POSIX allows 16 */
  IO_MAX = 1 << 30 /* bytes for one system call; some refuse 2 GB */
};

typedef struct posix_file {
  lsm_file base;
  int fd; /* -1: the parent's, who has locks on it */
  struct posix_file *next, **link; /* in the list of locked files; link NULL: not in it */
  char path[];
} posix_file;

static posix_file *file_of(lsm_file *f) {
  return (posix_file *)f;
}

/*----------------------------------------------------------------- errors */

typedef enum intent { TO_OPEN, TO_READ, TO_WRITE } intent;

static lsm_rc rc_of(int err, intent why) {
  switch (err) {
    case ENOENT:
      return LSM_NOTFOUND;
    case ENOMEM:
      return LSM_NOMEM;
    case ENOSPC:
    case EFBIG:
#ifdef EDQUOT
    case EDQUOT:
#endif
      return LSM_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
      return why == TO_WRITE ? LSM_READONLY : LSM_CANTOPEN;
    default:
      return why == TO_OPEN ? LSM_CANTOPEN : LSM_IOERR;
  }
}

static lsm_rc fail_as(lsm_rc rc, int err, const char *path, const char *verb) {
  char text[128] = "";
#ifdef __GLIBC__
  const char *why = strerror_r(err, text, sizeof text);
#else
  const char *why = strerror_r(err, text, sizeof text) == 0 ? text : "unknown error";
#endif
  return lsm_fail(rc, "%s: cannot %s: %s", path, verb, why);
}

/* REQUIRES: errno is fresh. */
static lsm_rc fail(intent why, const char *path, const char *verb) {
  int err = errno;
  return fail_as(rc_of(err, why), err, path, verb);
}

/*-------------------------------------------------------------- one file */

static lsm_rc posix_read(lsm_file *f, uint64_t off, void *buf, size_t n, size_t *got) {
  uint8_t *p = buf;
  size_t done = 0;
  *got = 0;
  while (done < n) {
    size_t want = n - done < IO_MAX ? n - done : IO_MAX;
    ssize_t r = pread(file_of(f)->fd, p + done, want, (off_t)(off + done));
    if (r < 0 && errno == EINTR) continue;
    if (r < 0) return fail(TO_READ, file_of(f)->path, "read");
    if (r == 0) break;
    done += (size_t)r;
  }
  *got = done;
  return LSM_OK;
}

/* Where a gathering write stands: SKIP bytes of part I are already written. */
typedef struct gather {
  const lsm_slice *parts;
  int n;
  int i;
  size_t skip;
} gather;

/* The next parts, as much as one call may take; returns how many. */
static int gather_iov(const gather *g, struct iovec iov[IOV_COUNT]) {
  size_t skip = g->skip, total = 0;
  int count = 0;
  for (int i = g->i; i < g->n && count < IOV_COUNT && total < IO_MAX; i++) {
    size_t len = g->parts[i].size - skip;
    if (len > IO_MAX - total) len = IO_MAX - total;
    if (len > 0) {
      iov[count].iov_base = (void *)(uintptr_t)(g->parts[i].data + skip);
      iov[count].iov_len = len;
      count++;
    }
    total += len;
    skip = 0;
  }
  return count;
}

static void gather_advance(gather *g, size_t written) {
  while (g->i < g->n && written >= g->parts[g->i].size - g->skip) {
    written -= g->parts[g->i].size - g->skip;
    g->skip = 0;
    g->i++;
  }
  g->skip += written;
}

/* Small parts become one: that costs less than telling the system of each. */
static bool join_parts(const lsm_slice *parts, int n, uint8_t buf[JOINED_MAX], size_t *size) {
  *size = 0;
  for (int i = 0; i < n; i++) {
    if (parts[i].size > JOINED_MAX - *size) return false;
    if (parts[i].size > 0) memcpy(buf + *size, parts[i].data, parts[i].size);
    *size += parts[i].size;
  }
  return true;
}

static lsm_rc posix_writev(lsm_file *f, uint64_t off, const lsm_slice *parts, int n) {
  uint8_t joined[JOINED_MAX];
  size_t size;
  if (n > 1 && join_parts(parts, n, joined, &size)) {
    lsm_slice one = lsm_slice_of(joined, size);
    return posix_writev(f, off, &one, 1);
  }
  gather g = {parts, n, 0, 0};
  struct iovec iov[IOV_COUNT];
  for (;;) {
    int count = gather_iov(&g, iov);
    if (count == 0) return LSM_OK;
    ssize_t r = count == 1 ? pwrite(file_of(f)->fd, iov[0].iov_base, iov[0].iov_len, (off_t)off)
                           : pwritev(file_of(f)->fd, iov, count, (off_t)off);
    if (r < 0 && errno == EINTR) continue;
    if (r == 0) errno = EIO; /* should not be; would loop for ever */
    if (r <= 0) return fail(TO_WRITE, file_of(f)->path, "write");
    off += (size_t)r;
    gather_advance(&g, (size_t)r);
  }
}

static int sync_fd(int fd) {
  int r;
  do {
#if defined(__APPLE__)
    r = fcntl(fd, F_FULLFSYNC);
    if (r != 0 && errno != EINTR) r = fsync(fd); /* not every file system can */
#else
    r = fdatasync(fd);
#endif
  } while (r != 0 && errno == EINTR);
  return r;
}

static lsm_rc posix_sync(lsm_file *f) {
  if (sync_fd(file_of(f)->fd) != 0) return fail(TO_WRITE, file_of(f)->path, "sync");
  return LSM_OK;
}

static void posix_sync_hint(lsm_file *f, uint64_t off, uint64_t len) {
#ifdef SYNC_FILE_RANGE_WRITE
  (void)sync_file_range(file_of(f)->fd, (off_t)off, (off_t)len, SYNC_FILE_RANGE_WRITE);
#else
  (void)f, (void)off, (void)len;
#endif
}

/* Not posix_fallocate(): where the file system cannot, that one writes. */
static void posix_reserve(lsm_file *f, uint64_t off, uint64_t len) {
#ifdef __linux__
  (void)fallocate(file_of(f)->fd, 0, (off_t)off, (off_t)len);
#else
  (void)f, (void)off, (void)len;
#endif
}

static lsm_rc posix_truncate(lsm_file *f, uint64_t size) {
  int r;
  do r = ftruncate(file_of(f)->fd, (off_t)size);
  while (r != 0 && errno == EINTR);
  return r == 0 ? LSM_OK : fail(TO_WRITE, file_of(f)->path, "truncate");
}

static lsm_rc posix_size(lsm_file *f, uint64_t *size) {
  struct stat st;
  *size = 0;
  if (fstat(file_of(f)->fd, &st) != 0) return fail(TO_READ, file_of(f)->path, "stat");
  *size = (uint64_t)st.st_size;
  return LSM_OK;
}

#ifdef F_OFD_SETLK
#define SET_LOCK F_OFD_SETLK
#else
#define SET_LOCK F_SETLK
#endif

/* Shared memory that is mapped. */
typedef struct shm_map {
  struct shm_map *next;
  void *mem;
  size_t size;
} shm_map;

static pthread_mutex_t locked_mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static posix_file *locked; /* guarded by locked_mu, as maps */
static shm_map *maps;

static void before_fork(void) { pthread_mutex_lock(&locked_mu); }
static void after_fork(void) { pthread_mutex_unlock(&locked_mu); }

static void after_fork_in_child(void) {
  while (locked != NULL) {
    posix_file *f = locked;
    locked = f->next;
    close(f->fd);
    f->fd = -1;
    f->link = NULL;
  }
  for (const shm_map *m = maps; m != NULL; m = m->next) {
    (void)mmap(m->mem, m->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0);
  }
  pthread_mutex_unlock(&locked_mu);
}

static void watch_forks(void) {
  /* Without memory for it: only a child that uses what is its parent's does harm, or
  ** outlives it. */
  (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

static void list_locked(posix_file *f) {
  pthread_once(&fork_once, watch_forks);
  pthread_mutex_lock(&locked_mu);
  if (f->link == NULL && f->fd >= 0) {
    f->next = locked;
    f->link = &locked;
    if (locked != NULL) locked->link = &f->next;
    locked = f;
  }
  pthread_mutex_unlock(&locked_mu);
}

static void unlist_locked(posix_file *f) {
  pthread_mutex_lock(&locked_mu);
  if (f->link != NULL) {
    *f->link = f->next;
    if (f->next != NULL) f->next->link = f->link;
    f->link = NULL;
  }
  pthread_mutex_unlock(&locked_mu);
}

static lsm_rc posix_lock(lsm_file *f, uint64_t off, uint64_t len, lsm_lock mode) {
  struct flock fl;
  memset(&fl, 0, sizeof fl); /* an OFD lock wants l_pid 0 */
  fl.l_type = mode == LSM_UNLOCK ? F_UNLCK : mode == LSM_LOCK_SHARED ? F_RDLCK : F_WRLCK;
  fl.l_whence = SEEK_SET;
  fl.l_start = (off_t)off;
  fl.l_len = (off_t)len;
  int r;
  list_locked(file_of(f));
  do r = fcntl(file_of(f)->fd, SET_LOCK, &fl);
  while (r != 0 && errno == EINTR);
  if (r == 0) return LSM_OK;
  if (errno == EAGAIN || errno == EACCES) {
    return lsm_fail(LSM_BUSY, "%s: locked by another user", file_of(f)->path);
  }
  return fail(TO_READ, file_of(f)->path, "lock");
}

static void posix_close(lsm_file *f) {
  unlist_locked(file_of(f));
  if (file_of(f)->fd >= 0) close(file_of(f)->fd); /* not again after EINTR: the number may be reused */
  lsm_free(f);
}

static const lsm_file_ops file_ops = {posix_read,      posix_writev,  posix_sync,
                                      posix_sync_hint, posix_reserve, posix_truncate,
                                      posix_size,      posix_lock,    posix_close};

/*---------------------------------------------------------------- opening */

#ifndef O_NOFOLLOW
#define O_NOFOLLOW 0
#endif

/* Of a store's own files. It may have come from anywhere: a link in the place of a
** file would lead out of the directory that was opened, a pipe would never open. */
#define OWN_FILE (O_NOFOLLOW | O_NONBLOCK)

/* open(2), but never 0 to 2; -1 and errno. */
static int open_fd(const char *path, int oflags) {
  int fd;
  do fd = open(path, oflags | O_CLOEXEC, FILE_MODE);
  while (fd < 0 && errno == EINTR);
  if (fd < 0 || fd >= FIRST_FD) return fd;
  int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
  int err = errno;
  close(fd);
  errno = err;
  return high;
}

static lsm_rc is_link(const char *path) {
  return lsm_fail(LSM_CANTOPEN, "%s: cannot open: it is a symbolic link", path);
}

static lsm_rc posix_open(lsm_env *env, const char *path, int flags, lsm_file **file) {
  (void)env;
  *file = NULL;
  bool write = (flags & LSM_OPEN_WRITE) != 0;
  int oflags = OWN_FILE | (write ? O_RDWR : O_RDONLY);
  if (write && (flags & LSM_OPEN_CREATE) != 0) {
    oflags |= O_CREAT;
    if ((flags & LSM_OPEN_EXCL) != 0) oflags |= O_EXCL;
  }
  if (write && (flags & LSM_OPEN_TRUNCATE) != 0) oflags |= O_TRUNC;
  size_t path_size = strlen(path) + 1;
  posix_file *f = lsm_malloc(sizeof *f + path_size);
  if (f == NULL) return lsm_nomem();
  f->base.ops = &file_ops;
  f->next = NULL;
  f->link = NULL;
  memcpy(f->path, path, path_size);
  f->fd = open_fd(path, oflags);
  if (f->fd < 0) {
    int err = errno;
    lsm_free(f);
    if (err == ELOOP) return is_link(path);
    bool denied = write && (err == EACCES || err == EPERM || err == EROFS);
    return fail_as(rc_of(err, denied ? TO_WRITE : TO_OPEN), err, path, "open");
  }
  struct stat st;
  if (fstat(f->fd, &st) == 0 && !S_ISREG(st.st_mode)) {
    posix_close(&f->base);
    return lsm_fail(LSM_CANTOPEN, "%s: cannot open: not a regular file", path);
  }
  *file = &f->base;
  return LSM_OK;
}

/*------------------------------------------------------------ directories */

static lsm_rc posix_remove(lsm_env *env, const char *path) {
  (void)env;
  return unlink(path) == 0 ? LSM_OK : fail(TO_WRITE, path, "remove");
}

static lsm_rc posix_rename(lsm_env *env, const char *from, const char *to) {
  (void)env;
  if (rename(from, to) == 0) return LSM_OK;
  return fail(TO_WRITE, from, "rename");
}

static lsm_rc posix_exists(lsm_env *env, const char *path, bool *exists) {
  (void)env;
  struct stat st;
  *exists = stat(path, &st) == 0;
  if (*exists || errno == ENOENT || errno == ENOTDIR) return LSM_OK;
  return fail(TO_OPEN, path, "look for");
}

static lsm_rc posix_mkdir(lsm_env *env, const char *path) {
  (void)env;
  if (mkdir(path, DIR_MODE) == 0) return LSM_OK;
  int err = errno;
  struct stat st;
  if (err == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return LSM_OK;
  bool denied = err == EACCES || err == EPERM || err == EROFS;
  return fail_as(rc_of(err, denied ? TO_WRITE : TO_OPEN), err, path, "make directory");
}

static lsm_rc posix_rmdir(lsm_env *env, const char *path) {
  (void)env;
  return rmdir(path) == 0 ? LSM_OK : fail(TO_WRITE, path, "remove directory");
}

static lsm_rc posix_list(lsm_env *env, const char *path, lsm_rc (*fn)(void *arg, const char *name),
                         void *arg) {
  (void)env;
  int fd = open_fd(path, O_RDONLY | O_DIRECTORY);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (dir == NULL) {
    lsm_rc rc = fail(TO_OPEN, path, "list");
    if (fd >= 0) close(fd);
    return rc;
  }
  lsm_rc rc = LSM_OK;
  while (rc == LSM_OK) {
    errno = 0;
    const struct dirent *e = readdir(dir);
    if (e == NULL) {
      if (errno != 0) rc = fail(TO_READ, path, "list");
      break;
    }
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    rc = fn(arg, e->d_name);
  }
  closedir(dir);
  return rc;
}

static lsm_rc posix_sync_dir(lsm_env *env, const char *path) {
  (void)env;
  int fd = open_fd(path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return fail(TO_OPEN, path, "open directory");
  int r;
  do r = fsync(fd);
  while (r != 0 && errno == EINTR);
  lsm_rc rc = LSM_OK;
  /* EINVAL: a file system that writes directories through and says so. */
  if (r != 0 && errno != EINVAL) rc = fail(TO_WRITE, path, "sync directory");
  close(fd);
  return rc;
}

/*---------------------------------------------------------- shared memory */

/* Maps SIZE bytes of the file and lists them, so that no fork comes between. */
static lsm_rc map_file(int fd, const char *path, size_t size, void **mem) {
  shm_map *m = lsm_malloc(sizeof(*m));
  if (m == NULL) return lsm_nomem();
  pthread_once(&fork_once, watch_forks);
  pthread_mutex_lock(&locked_mu);
  m->mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  int err = errno;
  bool ok = m->mem != MAP_FAILED;
  if (ok) {
    *mem = m->mem;
    m->size = size;
    m->next = maps;
    maps = m;
  }
  pthread_mutex_unlock(&locked_mu);
  if (ok) return LSM_OK;
  lsm_free(m);
  return fail_as(rc_of(err, TO_WRITE), err, path, "map");
}

/* Storage for it now: where there is none, writing to the memory is a signal (SIGBUS), no
** error. What the file holds stays: others may have it mapped. */
static bool allocate(int fd, size_t size) {
#ifdef __linux__
  int r;
  do r = fallocate(fd, 0, 0, (off_t)size);
  while (r != 0 && errno == EINTR);
  return r == 0 || (errno != ENOSPC && errno != EDQUOT);
#else
  (void)fd, (void)size;
  return true;
#endif
}

static lsm_rc posix_shm_map(lsm_env *env, const char *path, size_t size, void **mem) {
  (void)env;
  *mem = NULL;
  int fd = open_fd(path, OWN_FILE | O_RDWR | O_CREAT);
  if (fd < 0) return errno == ELOOP ? is_link(path) : fail(TO_WRITE, path, "open");
  struct stat st;
  lsm_rc rc = LSM_OK;
  if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
    rc = lsm_fail(LSM_CANTOPEN, "%s: cannot open: not a regular file", path);
  } else if (fstat(fd, &st) != 0 || (st.st_size < (off_t)size && ftruncate(fd, (off_t)size) != 0)) {
    rc = fail(TO_WRITE, path, "size");
  } else if (!allocate(fd, size)) {
    rc = fail(TO_WRITE, path, "allocate");
  } else {
    rc = map_file(fd, path, size, mem);
  }
  close(fd);
  return rc;
}

static void posix_shm_unmap(lsm_env *env, void *mem, size_t size) {
  (void)env;
  pthread_mutex_lock(&locked_mu);
  shm_map **p = &maps, *m = NULL;
  while (*p != NULL && (*p)->mem != mem) p = &(*p)->next;
  if (*p != NULL) {
    m = *p;
    *p = m->next;
  }
  munmap(mem, size);
  pthread_mutex_unlock(&locked_mu);
  lsm_free(m);
}

/*------------------------------------------------------- clock and random */

static uint64_t clock_us(clockid_t id) {
  struct timespec ts = {0, 0};
  clock_gettime(id, &ts);
  return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t posix_now_us(lsm_env *env) {
  (void)env;
  return clock_us(CLOCK_MONOTONIC);
}

static uint64_t posix_time_us(lsm_env *env) {
  (void)env;
  return clock_us(CLOCK_REALTIME);
}

static void posix_sleep_us(lsm_env *env, uint64_t us) {
  (void)env;
  struct timespec ts = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
  while (nanosleep(&ts, &ts) != 0 && errno == EINTR) continue;
}

static lsm_rc posix_random(lsm_env *env, void *buf, size_t n) {
  uint8_t *p = buf;
#ifdef __linux__
  while (n > 0) {
    ssize_t r = getrandom(p, n, 0);
    if (r < 0 && errno == EINTR) continue;
    if (r < 0) break; /* an old kernel: ask the file */
    p += r;
    n -= (size_t)r;
  }
#endif
  (void)env;
  if (n == 0) return LSM_OK;
  static const char path[] = "/dev/urandom";
  int fd = open_fd(path, O_RDONLY);
  if (fd < 0) return fail(TO_OPEN, path, "open");
  while (n > 0) {
    ssize_t r = read(fd, p, n);
    if (r < 0 && errno == EINTR) continue;
    if (r <= 0) break;
    p += r;
    n -= (size_t)r;
  }
  close(fd);
  return n == 0 ? LSM_OK : lsm_fail(LSM_IOERR, "%s: cannot read", path);
}

lsm_env *lsm_env_default(void) {
  static lsm_env env = {
      .open = posix_open,
      .remove = posix_remove,
      .rename = posix_rename,
      .exists = posix_exists,
      .mkdir = posix_mkdir,
      .rmdir = posix_rmdir,
      .list = posix_list,
      .sync_dir = posix_sync_dir,
      .shm_map = posix_shm_map,
      .shm_unmap = posix_shm_unmap,
      .now_us = posix_now_us,
      .time_us = posix_time_us,
      .sleep_us = posix_sleep_us,
      .random = posix_random,
      .thread_start = lsm_pthread_start,
      .thread_join = lsm_pthread_join,
  };
  return &env;
}

#endif
