/* test_env.c: what env.h promises, of every environment there is: POSIX, memory,
** and the fault-injecting one over each. Then what only one of them has. */
#define _XOPEN_SOURCE 700 /* mkdtemp, setrlimit */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env.h"
#include "env_fault.h"

Suite *env_suite(void);

enum { POSIX, MEM, FAULT_MEM, FAULT_POSIX, ENVS };

#define ok(expr)        ck_assert_msg((expr) == LSM_OK, "%s", lsm_errmsg())
#define fails(expr, rc) ck_assert_int_eq((expr), (rc))

enum { CREATE = LSM_OPEN_WRITE | LSM_OPEN_CREATE };

/*---------------------------------------------------------------- fixture */

static lsm_env *env, *mem;
static char dir[100];
static char paths[8][200]; /* path() rotates through them */

static const char *path(const char *name) {
  static int next;
  char *p = paths[next++ % 8];
  snprintf(p, sizeof paths[0], "%s/%s", dir, name);
  return p;
}

static void setup(int which) {
  mem = NULL;
  env = lsm_env_default();
  if (which == POSIX || which == FAULT_POSIX) {
    strcpy(dir, "/tmp/lsm-test-env-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
  } else {
    strcpy(dir, "/store");
    ok(lsm_env_mem_new(&mem));
    env = mem;
    ok(env->mkdir(env, dir));
  }
  if (which == FAULT_MEM || which == FAULT_POSIX) ok(env_fault_new(env, &env));
}

static lsm_rc remove_one(void *arg, const char *name) {
  (void)arg;
  lsm_env *e = lsm_env_default();
  if (e->remove(e, path(name)) != LSM_OK) ok(e->rmdir(e, path(name)));
  return LSM_OK;
}

static void teardown(int which) {
  if (which == FAULT_MEM || which == FAULT_POSIX) env_fault_free(env);
  lsm_env_mem_free(mem);
  if (which == POSIX || which == FAULT_POSIX) {
    lsm_env *e = lsm_env_default();
    ok(e->list(e, dir, remove_one, NULL));
    ok(e->rmdir(e, dir));
  }
}

static lsm_file *open_file(const char *name, int flags) {
  lsm_file *f = NULL;
  ok(env->open(env, path(name), flags, &f));
  ck_assert_ptr_nonnull(f);
  return f;
}

static void put(const char *name, const char *text) {
  lsm_file *f = open_file(name, CREATE | LSM_OPEN_TRUNCATE);
  ok(lsm_file_write(f, 0, text, strlen(text)));
  lsm_file_close(f);
}

static void expect_bytes(lsm_file *f, const char *text) {
  char buf[100];
  size_t got = 0;
  ok(lsm_file_read(f, 0, buf, sizeof buf, &got));
  ck_assert_uint_eq(got, strlen(text));
  ck_assert_mem_eq(buf, text, got);
}

static void expect(const char *name, const char *text) {
  lsm_buf buf = {0};
  ok(lsm_env_read_file(env, path(name), &buf));
  ck_assert(lsm_slice_eq(lsm_buf_slice(&buf), lsm_slice_str(text)));
  lsm_buf_fini(&buf);
}

static bool exists(const char *name) {
  bool e = false;
  ok(env->exists(env, path(name), &e));
  return e;
}

/*------------------------------------------------------------------ files */

START_TEST(opening) {
  setup(_i);
  lsm_file *f = (lsm_file *)dir;
  fails(env->open(env, path("a"), LSM_OPEN_READ, &f), LSM_NOTFOUND);
  ck_assert_ptr_null(f);
  if (_i == POSIX) {
    ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "/a: cannot open: "));
    ck_assert_ptr_nonnull(strstr(lsm_errmsg(), strerror(ENOENT)));
  }
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), path("a")));
  fails(env->open(env, path("a"), LSM_OPEN_WRITE, &f), LSM_NOTFOUND);
  fails(env->open(env, path("no/a"), CREATE, &f), LSM_NOTFOUND);
  fails(env->open(env, dir, LSM_OPEN_READ, &f), LSM_CANTOPEN);
  fails(env->open(env, dir, CREATE, &f), LSM_CANTOPEN);
  ck_assert(!exists("a"));
  put("a", "hello");
  ck_assert(exists("a"));
  fails(env->open(env, path("a"), CREATE | LSM_OPEN_EXCL, &f), LSM_CANTOPEN);
  expect("a", "hello");
  lsm_file_close(open_file("a", CREATE));
  expect("a", "hello");
  lsm_file_close(open_file("b", CREATE | LSM_OPEN_EXCL));
  expect("b", "");
  lsm_file_close(open_file("a", LSM_OPEN_WRITE | LSM_OPEN_TRUNCATE));
  expect("a", "");
  put("a", "again");
  f = open_file("a", LSM_OPEN_READ);
  ck_assert_int_ne(lsm_file_write(f, 0, "x", 1), LSM_OK);
  ck_assert_int_ne(f->ops->truncate(f, 0), LSM_OK);
  lsm_file_close(f);
  lsm_file_close(NULL);
  expect("a", "again");
  teardown(_i);
}
END_TEST

/* One write of random parts, more of them than one system call takes. */
static size_t write_random(lsm_file *f, uint8_t *model, size_t off, uint64_t *seed) {
  static uint8_t data[40][300];
  lsm_slice parts[40];
  int n = (int)(disk_random(seed) % 40);
  size_t end = off;
  for (int i = 0; i < n; i++) {
    size_t len = disk_random(seed) % 8 == 0 ? 0 : disk_random(seed) % 300;
    memset(data[i], (int)(disk_random(seed) & 0xFF), len);
    parts[i] = lsm_slice_of(data[i], len);
    memcpy(model + end, data[i], len);
    end += len;
  }
  ok(f->ops->writev(f, off, parts, n));
  return end;
}

/* A hint: where it is followed the file is longer, with zeros; nothing else changes. */
START_TEST(reserving) {
  setup(_i);
  uint64_t size = 0;
  uint8_t buf[5000];
  size_t got;
  lsm_file *f = open_file("a", CREATE);
  ok(lsm_file_write(f, 0, "hello", 5));
  f->ops->reserve(f, 5, 4000);
  ok(f->ops->size(f, &size));
  ck_assert(size == 5 || size == 4005);
  ok(lsm_file_read(f, 0, buf, sizeof(buf), &got));
  ck_assert_uint_eq(got, size);
  ck_assert_mem_eq(buf, "hello", 5);
  for (size_t i = 5; i < got; i++) ck_assert_uint_eq(buf[i], 0);
  f->ops->reserve(f, 0, 100); /* it is there */
  uint64_t again = 0;
  ok(f->ops->size(f, &again));
  ck_assert(again == size || again == 100);
  ok(lsm_file_write(f, 5, " you", 4));
  ok(f->ops->truncate(f, 9));
  lsm_file_close(f);
  expect("a", "hello you");
  f = open_file("a", LSM_OPEN_READ);
  f->ops->reserve(f, 9, 4000); /* may not be written */
  lsm_file_close(f);
  expect("a", "hello you");
  teardown(_i);
}
END_TEST

START_TEST(reading_and_writing) {
  enum { MAX = 60000 };
  setup(_i);
  uint8_t *model = calloc(1, MAX), *buf = malloc(MAX);
  size_t size = 0, got;
  uint64_t seed = 1, file_size;
  lsm_file *f = open_file("a", CREATE);
  for (int round = 0; round < 400; round++) {
    uint64_t what = disk_random(&seed) % 10;
    size_t off = disk_random(&seed) % (size + 500), end;
    if (what < 4 && size < 40000) {
      end = write_random(f, model, size, &seed);
      size = end;
    } else if (what < 6 && off < 40000) { /* over the old, or past a gap */
      end = write_random(f, model, off, &seed);
      if (end > off && end > size) size = end;
    } else if (what == 6) {
      if (off > size && disk_random(&seed) % 2 == 0) off = size / 2;
      ok(f->ops->truncate(f, off));
      if (off < size) memset(model + off, 0, size - off);
      size = off;
    } else if (what == 7) {
      ok(lsm_file_sync(f));
      f->ops->sync_hint(f, 0, size);
    } else {
      size_t n = disk_random(&seed) % 5000, want = off < size ? size - off : 0;
      if (want > n) want = n;
      ok(lsm_file_read(f, off, buf, n, &got));
      ck_assert_uint_eq(got, want);
      if (got > 0) ck_assert_mem_eq(buf, model + off, got);
    }
    ok(f->ops->size(f, &file_size));
    ck_assert_uint_eq(file_size, size);
  }
  lsm_file_close(f);
  lsm_buf all = {0};
  ok(lsm_env_read_file(env, path("a"), &all));
  ck_assert(lsm_slice_eq(lsm_buf_slice(&all), lsm_slice_of(model, size)));
  fails(lsm_env_read_file(env, path("none"), &all), LSM_NOTFOUND);
  ck_assert_uint_eq(all.size, 0);
  lsm_buf_fini(&all);
  free(model);
  free(buf);
  teardown(_i);
}
END_TEST

/*------------------------------------------------------------ directories */

START_TEST(removing_and_renaming) {
  setup(_i);
  put("a", "one");
  put("b", "two");
  lsm_file *a = open_file("a", LSM_OPEN_READ), *b = open_file("b", LSM_OPEN_WRITE);
  ok(env->rename(env, path("a"), path("b")));
  ck_assert(!exists("a"));
  expect("b", "one");
  expect_bytes(a, "one");
  expect_bytes(b, "two"); /* nameless, but there */
  ok(lsm_file_write(b, 3, "!", 1));
  expect_bytes(b, "two!");
  expect("b", "one");
  ok(env->remove(env, path("b")));
  ck_assert(!exists("b"));
  expect_bytes(a, "one");
  fails(env->remove(env, path("b")), LSM_NOTFOUND);
  fails(env->rename(env, path("b"), path("c")), LSM_NOTFOUND);
  put("b", "new");
  expect_bytes(a, "one");
  ok(env->rename(env, path("b"), path("b")));
  expect("b", "new");
  ck_assert_int_ne(env->remove(env, dir), LSM_OK);
  lsm_file_close(a);
  lsm_file_close(b);
  ok(env->sync_dir(env, dir));
  teardown(_i);
}
END_TEST

/* Names of one letter, as bits. */
static lsm_rc gather(void *arg, const char *name) {
  ck_assert_uint_eq(strlen(name), 1);
  unsigned bit = 1u << (name[0] - 'a');
  ck_assert_uint_eq(*(unsigned *)arg & bit, 0);
  *(unsigned *)arg |= bit;
  return LSM_OK;
}

static lsm_rc stop(void *arg, const char *name) {
  (void)name;
  ++*(int *)arg;
  return LSM_INTERRUPT;
}

static lsm_rc remove_listed(void *arg, const char *name) {
  (void)arg;
  return env->remove(env, path(name));
}

START_TEST(directories) {
  unsigned seen = 0;
  int calls = 0;
  setup(_i);
  put("a", "");
  put("c", "");
  ok(env->mkdir(env, path("d")));
  ok(env->mkdir(env, path("d")));
  ok(env->mkdir(env, path("d/")));
  put("d/e", "inner");
  expect("d/e", "inner");
  ck_assert(exists("d") && exists("d/e") && !exists("d/a") && !exists("e"));
  ok(env->list(env, dir, gather, &seen));
  ck_assert_uint_eq(seen, 1 | 4 | 8);
  seen = 0;
  ok(env->list(env, path("d"), gather, &seen));
  ck_assert_uint_eq(seen, 16);
  fails(env->list(env, dir, stop, &calls), LSM_INTERRUPT);
  ck_assert_int_eq(calls, 1);
  fails(env->list(env, path("x"), gather, &seen), LSM_NOTFOUND);
  fails(env->mkdir(env, path("a")), LSM_CANTOPEN);
  fails(env->mkdir(env, path("x/y")), LSM_NOTFOUND);
  fails(env->sync_dir(env, path("x")), LSM_NOTFOUND);
  fails(env->rmdir(env, path("d")), LSM_IOERR);
  fails(env->rmdir(env, path("x")), LSM_NOTFOUND);
  ok(env->sync_dir(env, path("d")));
  ok(env->remove(env, path("d/e")));
  ok(env->rmdir(env, path("d")));
  ck_assert(!exists("d"));
  ok(env->list(env, dir, remove_listed, NULL)); /* while it is listed */
  ck_assert(!exists("a") && !exists("c"));
  ok(env->exists(env, "/", &(bool){false}));
  teardown(_i);
}
END_TEST

/*------------------------------------------------------------------ locks */

enum { USERS = 3, BYTES = 12 };

/* What a user may have, by the rules: others' exclusive locks exclude, and an
** exclusive one is excluded by any. */
static bool may_lock(lsm_lock held[USERS][BYTES], int user, int from, int to, lsm_lock mode) {
  for (int u = 0; u < USERS; u++) {
    for (int i = from; i < to && u != user; i++) {
      if (held[u][i] == LSM_LOCK_EXCLUSIVE && mode != LSM_UNLOCK) return false;
      if (held[u][i] == LSM_LOCK_SHARED && mode == LSM_LOCK_EXCLUSIVE) return false;
    }
  }
  return true;
}

START_TEST(locks) {
  setup(_i);
  lsm_lock held[USERS][BYTES] = {0};
  lsm_file *f[USERS];
  uint64_t seed = 2;
  int busy = 0;
  for (int u = 0; u < USERS; u++) f[u] = open_file("LOCK", CREATE);
  for (int round = 0; round < 3000; round++) {
    int u = (int)(disk_random(&seed) % USERS);
    int from = (int)(disk_random(&seed) % BYTES);
    int to = from + 1 + (int)(disk_random(&seed) % (uint64_t)(BYTES - from));
    lsm_lock mode = (lsm_lock)(disk_random(&seed) % 3);
    if (disk_random(&seed) % 50 == 0) { /* closing gives all up */
      lsm_file_close(f[u]);
      f[u] = open_file("LOCK", LSM_OPEN_WRITE);
      memset(held[u], 0, sizeof held[u]);
      continue;
    }
    lsm_rc rc = f[u]->ops->lock(f[u], (uint64_t)from, (uint64_t)(to - from), mode);
    bool may = may_lock(held, u, from, to, mode);
    fails(rc, may ? LSM_OK : LSM_BUSY);
    if (!may) busy++;
    for (int i = from; may && i < to; i++) held[u][i] = mode;
  }
  ck_assert_int_gt(busy, 300);
  ck_assert_int_lt(busy, 2700);
  for (int u = 0; u < USERS; u++) lsm_file_close(f[u]);
  teardown(_i);
}
END_TEST

/*------------------------------------------------- clock, random, threads */

static void set_flag(void *arg) {
  atomic_store((_Atomic int *)arg, 1);
}

START_TEST(clock_random_threads) {
  setup(_i);
  uint64_t a = env->now_us(env), wall = env->time_us(env);
  env->sleep_us(env, 3000);
  ck_assert_uint_ge(env->now_us(env) - a, 3000);
  ck_assert_uint_gt(wall, UINT64_C(1600000000) * 1000000);
  uint8_t x[300] = {0}, y[300] = {0};
  ok(env->random(env, x, sizeof x));
  ok(env->random(env, y, sizeof y));
  ck_assert_mem_ne(x, y, 16);
  ck_assert_mem_ne(x + 284, y + 284, 16);
  ok(env->random(env, NULL, 0));
  _Atomic int flag = 0;
  lsm_thread *t = NULL;
  ok(env->thread_start(env, set_flag, &flag, &t));
  env->thread_join(env, t);
  ck_assert_int_eq(flag, 1);
  env->thread_join(env, NULL);
  teardown(_i);
}
END_TEST

/* Several threads on files of their own, on one file, and on the names. */
typedef struct worker {
  lsm_env *env;
  int id;
  lsm_file *common;
  _Atomic int *failures;
} worker;

static void work(void *arg) {
  const worker *w = arg;
  int bad = 0;
  char own[300], moved[300];
  snprintf(own, sizeof own, "%s/own%d", dir, w->id);
  snprintf(moved, sizeof moved, "%s/moved%d", dir, w->id);
  for (int round = 0; round < 40; round++) {
    lsm_file *f = NULL;
    uint8_t buf[64];
    size_t got = 0;
    bad += w->env->open(w->env, own, CREATE | LSM_OPEN_TRUNCATE, &f) != LSM_OK;
    if (f == NULL) break;
    for (int i = 0; i < 20; i++) {
      memset(buf, w->id, sizeof buf);
      bad += lsm_file_write(f, (uint64_t)i * sizeof buf, buf, sizeof buf) != LSM_OK;
      bad += lsm_file_read(w->common, (uint64_t)i, buf, sizeof buf, &got) != LSM_OK;
      bad += got != sizeof buf || buf[0] != 'c';
    }
    bad += w->env->rename(w->env, own, moved) != LSM_OK;
    bad += lsm_file_read(f, 19 * sizeof buf, buf, sizeof buf, &got) != LSM_OK;
    bad += got != sizeof buf || buf[63] != w->id;
    lsm_file_close(f);
    bad += w->env->remove(w->env, moved) != LSM_OK;
  }
  atomic_fetch_add(w->failures, bad);
}

START_TEST(many_threads) {
  setup(_i);
  _Atomic int failures = 0;
  uint8_t content[1000];
  memset(content, 'c', sizeof content);
  lsm_file *f = open_file("common", CREATE);
  ok(lsm_file_write(f, 0, content, sizeof content));
  worker w[4];
  lsm_thread *t[4];
  for (int i = 0; i < 4; i++) {
    w[i] = (worker){env, i + 1, f, &failures};
    ok(env->thread_start(env, work, &w[i], &t[i]));
  }
  for (int i = 0; i < 4; i++) env->thread_join(env, t[i]);
  ck_assert_int_eq(failures, 0);
  lsm_file_close(f);
  teardown(_i);
}
END_TEST

/*------------------------------------------------------------ POSIX alone */

START_TEST(posix_no_space) {
  setup(POSIX);
  struct rlimit old, small;
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
  small = old;
  small.rlim_cur = 4096;
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  static uint8_t data[6000];
  lsm_slice parts[2] = {lsm_slice_of(data, 3000), lsm_slice_of(data, 3000)};
  lsm_file *f = open_file("a", CREATE);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
  lsm_rc rc = f->ops->writev(f, 0, parts, 2);
  setrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, handler);
  uint64_t size = 0;
  fails(rc, LSM_FULL);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "/a: cannot write: "));
  ok(f->ops->size(f, &size));
  ck_assert_uint_eq(size, 4096); /* a short write was gone on with */
  lsm_file_close(f);
  teardown(POSIX);
}
END_TEST

START_TEST(posix_permissions) {
  if (geteuid() == 0) return; /* everything is allowed */
  setup(POSIX);
  lsm_file *f = NULL;
  put("a", "x");
  ck_assert_int_eq(chmod(path("a"), 0444), 0);
  fails(env->open(env, path("a"), LSM_OPEN_WRITE, &f), LSM_READONLY);
  ck_assert_int_eq(chmod(path("a"), 0), 0);
  fails(env->open(env, path("a"), LSM_OPEN_READ, &f), LSM_CANTOPEN);
  ck_assert_int_eq(chmod(dir, 0555), 0);
  fails(env->open(env, path("b"), CREATE, &f), LSM_READONLY);
  fails(env->remove(env, path("a")), LSM_READONLY);
  fails(env->mkdir(env, path("d")), LSM_READONLY);
  ck_assert_int_eq(chmod(dir, 0755), 0);
  teardown(POSIX);
}
END_TEST

START_TEST(posix_too_many_files) {
  setup(POSIX);
  struct rlimit old, small;
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
  small = old;
  small.rlim_cur = 3;
  lsm_file *f = NULL;
  put("a", "x");
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &small), 0);
  lsm_rc rc = env->open(env, path("a"), LSM_OPEN_READ, &f);
  setrlimit(RLIMIT_NOFILE, &old);
  fails(rc, LSM_CANTOPEN);
  ck_assert_ptr_null(f);
  teardown(POSIX);
}
END_TEST

/* A program that closed its standard files must not print into ours. */
START_TEST(posix_spares_standard_files) {
  setup(POSIX);
  int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
  close(STDIN_FILENO);
  lsm_file *f = open_file("a", CREATE);
  int taken = fcntl(STDIN_FILENO, F_GETFD);
  int moved = -1;
  for (int fd = 3; fd < 10 && moved < 0; fd++) moved = fcntl(fd, F_GETFD);
  if (saved >= 0) {
    dup2(saved, STDIN_FILENO);
    close(saved);
  }
  ck_assert_int_eq(taken, -1);
  ck_assert_int_ne(moved, -1);
  ok(lsm_file_write(f, 0, "x", 1));
  lsm_file_close(f);
  expect("a", "x");
  teardown(POSIX);
}
END_TEST

START_TEST(posix_refuses_what_is_no_file) {
  lsm_file *f = NULL;
  env = lsm_env_default();
  fails(env->open(env, "/dev/null", LSM_OPEN_WRITE, &f), LSM_CANTOPEN);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "/dev/null: cannot open: not a regular file"));
  ck_assert_ptr_null(f);
}
END_TEST

/* A link would lead out of the directory, a pipe would be waited for. */
START_TEST(posix_refuses_links_and_pipes) {
  static const int flags[] = {LSM_OPEN_READ, LSM_OPEN_WRITE, CREATE, CREATE | LSM_OPEN_TRUNCATE,
                              CREATE | LSM_OPEN_EXCL};
  lsm_file *f = NULL;
  void *shm = NULL;
  setup(POSIX);
  ok(env->open(env, path("target"), CREATE, &f));
  ok(lsm_file_write(f, 0, "kept", 4));
  lsm_file_close(f);
  ck_assert_int_eq(symlink(path("target"), path("link")), 0);
  ck_assert_int_eq(symlink(path("missing"), path("dangling")), 0);
  ck_assert_int_eq(mkfifo(path("pipe"), 0600), 0);
  static const char *const names[] = {"link", "dangling", "pipe"};
  for (int n = 0; n < 3; n++) {
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
      ck_assert_int_ne(env->open(env, path(names[n]), flags[i], &f), LSM_OK);
      ck_assert_ptr_null(f);
    }
    fails(env->shm_map(env, path(names[n]), 4096, &shm), LSM_CANTOPEN);
    ck_assert_ptr_null(shm);
  }
  fails(env->open(env, path("link"), LSM_OPEN_WRITE, &f), LSM_CANTOPEN);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "/link: cannot open: it is a symbolic link"));
  bool exists = true;
  ok(env->exists(env, path("missing"), &exists));
  ck_assert(!exists);
  expect("target", "kept");
  teardown(POSIX);
}
END_TEST

/*----------------------------------------------------------- memory alone */

START_TEST(mem_paths) {
  bool e = false;
  unsigned seen = 0;
  lsm_file *f = NULL;
  ok(lsm_env_mem_new(&env));
  ok(env->exists(env, "/", &e));
  ck_assert(e);
  ok(env->mkdir(env, "/"));
  ok(env->mkdir(env, "a"));
  ok(env->mkdir(env, "/b"));
  ok(env->open(env, "a/c", CREATE, &f));
  lsm_file_close(f);
  ok(env->open(env, "d", CREATE, &f));
  lsm_file_close(f);
  ok(env->exists(env, "b", &e));
  ck_assert(!e);
  ok(env->exists(env, "a/", &e));
  ck_assert(e);
  ok(env->list(env, ".", gather, &seen));
  ck_assert_uint_eq(seen, 1 | 8);
  seen = 0;
  ok(env->list(env, "", gather, &seen));
  ck_assert_uint_eq(seen, 1 | 8);
  seen = 0;
  ok(env->list(env, "/", gather, &seen));
  ck_assert_uint_eq(seen, 2);
  ok(env->sync_dir(env, "/"));
  ok(env->sync_dir(env, "."));
  fails(env->rename(env, "a", "x"), LSM_IOERR);
  lsm_env_mem_free(env);
  lsm_env_mem_free(NULL);
}
END_TEST

/* Many files, so that the table of names is searched and not only met. */
START_TEST(mem_many_names) {
  enum { N = 500 };
  char name[30];
  bool e;
  ok(lsm_env_mem_new(&env));
  ok(env->mkdir(env, "/d"));
  strcpy(dir, "/d");
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "%d", i * 7919 % N);
    put(name, name);
  }
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "%d", i);
    expect(name, name);
    if (i % 3 == 0) ok(env->remove(env, path(name)));
  }
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "%d", i);
    ok(env->exists(env, path(name), &e));
    ck_assert_int_eq(e, i % 3 != 0);
  }
  lsm_env_mem_free(env);
}
END_TEST

START_TEST(mem_too_large) {
  lsm_file *f = NULL;
  ok(lsm_env_mem_new(&env));
  ok(env->open(env, "/a", CREATE, &f));
  ok(lsm_file_write(f, 0, "abc", 3));
  fails(lsm_file_write(f, UINT64_MAX - 1, "abc", 3), LSM_FULL);
  fails(lsm_file_write(f, UINT64_MAX / 2, "abc", 3), LSM_NOMEM);
  fails(f->ops->truncate(f, UINT64_MAX / 2), LSM_NOMEM);
  expect_bytes(f, "abc");
  lsm_file_close(f);
  lsm_env_mem_free(env);
}
END_TEST

static bool count_down(void *arg) {
  int *left = arg;
  return (*left)-- != 0;
}

/* Everything that allocates; stops at the first failure. */
static lsm_rc scenario(lsm_env *e) {
  lsm_file *f = NULL, *g = NULL;
  static uint8_t data[1000];
  unsigned seen = 0;
  lsm_rc rc = e->mkdir(e, "/d");
  if (rc == LSM_OK) rc = e->open(e, "/d/a", CREATE, &f);
  if (rc == LSM_OK) rc = e->open(e, "/d/a", LSM_OPEN_READ, &g);
  if (rc == LSM_OK) rc = lsm_file_write(f, 0, data, 10);
  if (rc == LSM_OK) rc = lsm_file_write(f, 10, data, 990);
  if (rc == LSM_OK) rc = f->ops->truncate(f, 200000);
  if (rc == LSM_OK) rc = f->ops->truncate(f, 1000);
  if (rc == LSM_OK) rc = f->ops->lock(f, 0, 10, LSM_LOCK_SHARED);
  if (rc == LSM_OK) rc = f->ops->lock(f, 4, 2, LSM_UNLOCK);
  if (rc == LSM_OK) rc = e->rename(e, "/d/a", "/d/b");
  if (rc == LSM_OK) rc = e->list(e, "/d", gather, &seen);
  lsm_file_close(f);
  lsm_file_close(g);
  return rc;
}

START_TEST(mem_out_of_memory) {
  for (int n = 0;; n++) {
    int left = n;
    lsm_set_malloc_hook(count_down, &left);
    env = NULL;
    lsm_rc rc = lsm_env_mem_new(&env);
    bool made = rc == LSM_OK;
    if (made) rc = scenario(env);
    lsm_set_malloc_hook(NULL, NULL);
    if (made) { /* and it goes on from there */
      ok(scenario(env));
    } else {
      ck_assert_ptr_null(env);
    }
    lsm_env_mem_free(env);
    if (left >= 0) {
      ok(rc);
      ck_assert_int_gt(n, 10);
      break;
    }
    /* Only the trimming on close may fail unseen. */
    if (rc != LSM_OK) fails(rc, LSM_NOMEM);
    ck_assert_int_lt(n, 100);
  }
}
END_TEST

Suite *env_suite(void) {
  Suite *s = suite_create("env");
  TCase *t = tcase_create("env");
  suite_add_tcase(s, t);
  tcase_set_timeout(t, 60);
  tcase_add_loop_test(t, opening, 0, ENVS);
  tcase_add_loop_test(t, reserving, 0, ENVS);
  tcase_add_loop_test(t, reading_and_writing, 0, ENVS);
  tcase_add_loop_test(t, removing_and_renaming, 0, ENVS);
  tcase_add_loop_test(t, directories, 0, ENVS);
  tcase_add_loop_test(t, locks, 0, ENVS);
  tcase_add_loop_test(t, clock_random_threads, 0, ENVS);
  tcase_add_loop_test(t, many_threads, 0, ENVS);
  tcase_add_test(t, posix_no_space);
  tcase_add_test(t, posix_permissions);
  tcase_add_test(t, posix_too_many_files);
  tcase_add_test(t, posix_spares_standard_files);
  tcase_add_test(t, posix_refuses_what_is_no_file);
  tcase_add_test(t, posix_refuses_links_and_pipes);
  tcase_add_test(t, mem_paths);
  tcase_add_test(t, mem_many_names);
  tcase_add_test(t, mem_too_large);
  tcase_add_test(t, mem_out_of_memory);
  return s;
}
