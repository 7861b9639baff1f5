/* test_backup.c: copies of a store, made while it is used, and made to fail. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "env_fault.h"
#include "filename.h"

Suite *backup_suite(void);

#define SOURCE "s"
#define DEST   "copy"

static lsm_env *env; /* memory that can fail and crash; fresh in each test */
static lsm_db *db;   /* the store in SOURCE */

/*------------------------------------------------------------------ helpers */

static lsm_rc open_at(lsm_env *e, const char *dir, bool create, lsm_db **out) {
  lsm_options opt;
  lsm_options_init(&opt);
  opt.create = create;
  opt.memtable_size = 1u << 20;
  opt.cache_size = 1u << 20;
  return lsm_open(e, dir, &opt, out);
}

static void setup(void) {
  ck_assert_int_eq(env_fault_new(NULL, &env), LSM_OK);
  ck_assert_int_eq(open_at(env, SOURCE, true, &db), LSM_OK);
}

static void teardown(void) {
  ck_assert_int_eq(lsm_close(db), LSM_OK);
  db = NULL;
  env_fault_free(env);
  env = NULL;
}

static uint32_t new_keyspace(lsm_compaction compaction, lsm_compression compression) {
  lsm_keyspace_options opt;
  uint32_t id;
  lsm_keyspace_options_init(&opt);
  opt.compaction = compaction;
  opt.compression = compression;
  ck_assert_int_eq(lsm_keyspace_create(db, &opt, &id), LSM_OK);
  return id;
}

static lsm_slice key_of(char *buf, unsigned n) {
  int len = snprintf(buf, 32, "key-%08u", n);
  return lsm_slice_of(buf, (size_t)len);
}

/* Long values that do not compress well, so that files have several pieces. */
static lsm_slice value_of(char *buf, size_t size, unsigned n, unsigned seed) {
  uint32_t x = n * 2654435761u + seed;
  for (size_t i = 0; i < size; i++) {
    x = x * 1664525u + 1013904223u;
    buf[i] = (char)(x >> 24);
  }
  return lsm_slice_of(buf, size);
}

/* Keys from..to-1, each with a value of SIZE bytes made from SEED, as one
** transaction. */
static void put_range(lsm_db *d, uint32_t ks, unsigned from, unsigned to, size_t size,
                      unsigned seed) {
  lsm_txn *txn;
  char key[32], *value = malloc(size + 1);
  ck_assert_int_eq(lsm_txn_begin(d, 1000, NULL, &txn), LSM_OK);
  for (unsigned i = from; i < to; i++) {
    ck_assert_int_eq(lsm_txn_put(txn, ks, key_of(key, i), value_of(value, size, i, seed)), LSM_OK);
  }
  ck_assert_int_eq(lsm_txn_prepare(txn, LSM_SYNC_FULL, false, NULL), LSM_OK);
  lsm_txn_commit(txn);
  free(value);
}

static void delete_range(lsm_db *d, uint32_t ks, unsigned from, unsigned to) {
  lsm_txn *txn;
  char lo[32], hi[32];
  ck_assert_int_eq(lsm_txn_begin(d, 1000, NULL, &txn), LSM_OK);
  ck_assert_int_eq(lsm_txn_delete_range(txn, ks, key_of(lo, from), key_of(hi, to)), LSM_OK);
  ck_assert_int_eq(lsm_txn_prepare(txn, LSM_SYNC_FULL, false, NULL), LSM_OK);
  lsm_txn_commit(txn);
}

/* The keyspace as one number and a count of rows. */
static uint32_t digest(lsm_db *d, uint32_t ks, unsigned *rows) {
  lsm_snapshot *snap;
  lsm_cursor *cur;
  uint32_t crc = 0;
  *rows = 0;
  ck_assert_int_eq(lsm_snapshot_acquire(d, &snap), LSM_OK);
  ck_assert_int_eq(lsm_cursor_open(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &cur), LSM_OK);
  ck_assert_int_eq(lsm_cursor_first(cur), LSM_OK);
  while (lsm_cursor_valid(cur)) {
    lsm_slice k = lsm_cursor_key(cur), v = lsm_cursor_value(cur);
    crc = lsm_crc(lsm_crc(crc, k.data, k.size), v.data, v.size);
    ++*rows;
    ck_assert_int_eq(lsm_cursor_next(cur), LSM_OK);
  }
  lsm_cursor_close(cur);
  lsm_snapshot_release(snap);
  return crc;
}

static void fail_on_finding(void *arg, const char *text) {
  (void)arg;
  ck_abort_msg("finding: %s", text);
}

static void must_be_sound(lsm_db *d) {
  uint64_t findings;
  ck_assert_int_eq(lsm_verify(d, NULL, fail_on_finding, NULL, &findings), LSM_OK);
  ck_assert_uint_eq(findings, 0);
}

static lsm_rc count_name(void *arg, const char *name) {
  (void)name;
  ++*(int *)arg;
  return LSM_OK;
}

static int names_in(const char *dir) {
  int n = 0;
  ck_assert_int_eq(env->list(env, dir, count_name, &n), LSM_OK);
  return n;
}

static bool there(const char *path) {
  bool exists;
  ck_assert_int_eq(env->exists(env, path, &exists), LSM_OK);
  return exists;
}

/* Two keyspaces with files in several levels and something in the memtable. */
static void fill(uint32_t ks[2]) {
  ks[0] = new_keyspace(LSM_LEVELED, LSM_COMPRESS_NONE);
  ks[1] = new_keyspace(LSM_TIERED, LSM_COMPRESS_ZLIB);
  put_range(db, ks[0], 0, 300, 3000, 1);
  put_range(db, ks[1], 0, 50, 10, 2);
  ck_assert_int_eq(lsm_compact(db, ks[0], NULL), LSM_OK);
  put_range(db, ks[0], 100, 200, 2000, 3);
  put_range(db, ks[1], 40, 90, 20, 4);
  ck_assert_int_eq(lsm_flush(db, NULL), LSM_OK);
  delete_range(db, ks[0], 150, 160);
  put_range(db, ks[1], 200, 210, 30, 5);
}

/*-------------------------------------------------------------------- tests */

START_TEST(copy_holds_everything) {
  uint32_t ks[2], id;
  lsm_db *copy;
  unsigned rows, copied;
  lsm_keyspace_options opt;
  fill(ks);
  ck_assert_int_eq(lsm_backup(db, DEST, NULL), LSM_OK);
  ck_assert_int_eq(open_at(env, DEST, false, &copy), LSM_OK);
  ck_assert_mem_eq(lsm_store_id(copy), lsm_store_id(db), 16);
  must_be_sound(copy);
  for (int i = 0; i < 2; i++) {
    uint32_t want = digest(db, ks[i], &rows);
    ck_assert_uint_eq(digest(copy, ks[i], &copied), want);
    ck_assert_uint_eq(copied, rows);
    ck_assert_uint_eq(rows, i == 0 ? 290 : 100);
  }
  ck_assert_int_eq(lsm_keyspace_get(copy, ks[1], &opt), LSM_OK);
  ck_assert_int_eq(opt.compaction, LSM_TIERED);
  ck_assert_int_eq(opt.compression, LSM_COMPRESS_ZLIB);
  lsm_keyspace_options_init(&opt);
  ck_assert_int_eq(lsm_keyspace_create(copy, &opt, &id), LSM_OK);
  ck_assert_uint_eq(id, ks[1] + 1);
  /* From here on they are two stores. */
  put_range(copy, ks[0], 1000, 1010, 10, 6);
  ck_assert_int_eq(lsm_flush(copy, NULL), LSM_OK);
  put_range(copy, ks[0], 1010, 1020, 10, 6);
  put_range(db, ks[0], 2000, 2001, 10, 7);
  (void)digest(db, ks[0], &rows);
  ck_assert_uint_eq(rows, 291);
  ck_assert_int_eq(lsm_close(copy), LSM_OK);
  ck_assert_int_eq(open_at(env, DEST, false, &copy), LSM_OK);
  (void)digest(copy, ks[0], &rows);
  ck_assert_uint_eq(rows, 310);
  ck_assert_int_eq(lsm_compact(copy, ks[0], NULL), LSM_OK);
  must_be_sound(copy);
  ck_assert_int_eq(lsm_close(copy), LSM_OK);
  must_be_sound(db);
}
END_TEST

START_TEST(copy_of_an_empty_store) {
  lsm_db *copy;
  uint32_t a = new_keyspace(LSM_LEVELED, LSM_COMPRESS_NONE), b;
  unsigned rows;
  ck_assert_int_eq(lsm_backup(db, DEST, NULL), LSM_OK);
  ck_assert_int_eq(names_in(DEST), 3); /* LOCK, CURRENT, manifest */
  ck_assert_int_eq(open_at(env, DEST, false, &copy), LSM_OK);
  (void)digest(copy, a, &rows);
  ck_assert_uint_eq(rows, 0);
  lsm_keyspace_options opt;
  lsm_keyspace_options_init(&opt);
  ck_assert_int_eq(lsm_keyspace_create(copy, &opt, &b), LSM_OK);
  ck_assert_uint_eq(b, a + 1);
  ck_assert_int_eq(lsm_close(copy), LSM_OK);
}
END_TEST

/* What happens after begin is not in the copy, even when the files of the
** instant are no longer in the store. */
START_TEST(instant_is_held) {
  uint32_t ks[2];
  lsm_backup_point *p;
  lsm_db *copy;
  unsigned rows;
  fill(ks);
  uint32_t want0 = digest(db, ks[0], &rows), want1 = digest(db, ks[1], &rows);
  ck_assert_int_eq(lsm_backup_begin(db, NULL, &p), LSM_OK);
  put_range(db, ks[0], 0, 1000, 50, 9);
  delete_range(db, ks[0], 500, 600);
  ck_assert_int_eq(lsm_compact(db, ks[0], NULL), LSM_OK);
  ck_assert_int_eq(lsm_keyspace_drop(db, ks[1]), LSM_OK);
  (void)new_keyspace(LSM_LEVELED, LSM_COMPRESS_NONE);
  ck_assert_int_eq(lsm_wait_idle(db, NULL), LSM_OK);
  ck_assert_int_eq(lsm_backup_copy(p, DEST, NULL), LSM_OK);
  ck_assert_int_eq(lsm_backup_copy(p, "again", NULL), LSM_OK);
  int held = names_in(SOURCE);
  lsm_backup_end(p);
  ck_assert_int_lt(names_in(SOURCE), held);
  lsm_backup_end(NULL);
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(open_at(env, i == 0 ? DEST : "again", false, &copy), LSM_OK);
    must_be_sound(copy);
    ck_assert_uint_eq(digest(copy, ks[0], &rows), want0);
    ck_assert_uint_eq(rows, 290);
    ck_assert_uint_eq(digest(copy, ks[1], &rows), want1);
    ck_assert_int_eq(lsm_close(copy), LSM_OK);
  }
}
END_TEST

static bool yes(void *arg) {
  (void)arg;
  return true;
}

START_TEST(refusals) {
  uint32_t ks[2];
  lsm_db *ro;
  fill(ks);
  ck_assert_int_eq(lsm_backup(db, SOURCE, NULL), LSM_CANTOPEN);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "exists already"));
  ck_assert_int_eq(lsm_backup(db, DEST, NULL), LSM_OK);
  int n = names_in(DEST);
  ck_assert_int_eq(lsm_backup(db, DEST, NULL), LSM_CANTOPEN);
  ck_assert_int_eq(names_in(DEST), n); /* the refusal took nothing away */
  must_be_sound(db);

  lsm_interrupt intr = {yes, NULL};
  lsm_backup_point *p;
  ck_assert_int_eq(lsm_backup_begin(db, NULL, &p), LSM_OK);
  ck_assert_int_eq(lsm_backup_copy(p, "other", &intr), LSM_INTERRUPT);
  ck_assert(!there("other"));
  ck_assert_int_ne(lsm_backup_copy(p, "no/such/place", NULL), LSM_OK);
  lsm_backup_end(p);

  /* A directory with files of others is used, and they stay. */
  lsm_file *f;
  ck_assert_int_eq(env->mkdir(env, "mine"), LSM_OK);
  ck_assert_int_eq(env->open(env, "mine/notes", LSM_OPEN_WRITE | LSM_OPEN_CREATE, &f), LSM_OK);
  lsm_file_close(f);
  env_fault_fail(env, ENV_FAULT_RENAME, 1, LSM_IOERR, 0);
  ck_assert_int_eq(lsm_backup(db, "mine", NULL), LSM_IOERR);
  env_fault_clear(env);
  ck_assert_int_eq(names_in("mine"), 1);
  ck_assert_int_eq(lsm_backup(db, "mine", NULL), LSM_OK);
  ck_assert(there("mine/notes"));

  lsm_options opt;
  lsm_options_init(&opt);
  opt.read_only = true;
  ck_assert_int_eq(lsm_open(env, DEST, &opt, &ro), LSM_OK);
  ck_assert_int_eq(lsm_backup(ro, "third", NULL), LSM_READONLY);
  ck_assert(!there("third"));
  ck_assert_int_eq(lsm_close(ro), LSM_OK);
}
END_TEST

/* Each call to the environment fails once: the copy is gone, the store whole. */
START_TEST(every_call_fails) {
  uint32_t ks[2];
  unsigned rows, tried = 0;
  lsm_db *copy;
  fill(ks);
  ck_assert_int_eq(lsm_flush(db, NULL), LSM_OK);
  ck_assert_int_eq(lsm_wait_idle(db, NULL), LSM_OK);
  uint32_t want = digest(db, ks[0], &rows);
  for (uint64_t n = 1;; n++) {
    lsm_rc rc = n % 2 == 0 ? LSM_FULL : LSM_IOERR;
    /* Giving a lock back cannot fail in a way that matters. */
    env_fault_fail(env, ENV_FAULT_ALL & ~ENV_FAULT_LOCK, n, rc, ENV_FAULT_SHORT);
    lsm_rc got = lsm_backup(db, DEST, NULL);
    uint64_t fired = env_fault_fired(env);
    env_fault_clear(env);
    if (fired == 0) {
      ck_assert_int_eq(got, LSM_OK);
      break;
    }
    tried++;
    ck_assert_int_eq(got, rc);
    ck_assert_msg(!there(DEST), "call %u left something", (unsigned)n);
  }
  ck_assert_uint_gt(tried, 20);
  ck_assert_int_eq(open_at(env, DEST, false, &copy), LSM_OK);
  ck_assert_uint_eq(digest(copy, ks[0], &rows), want);
  ck_assert_int_eq(lsm_close(copy), LSM_OK);
  must_be_sound(db);
}
END_TEST

static bool countdown(void *arg) {
  return --*(int *)arg >= 0;
}

START_TEST(every_allocation_fails) {
  uint32_t ks[2];
  unsigned tried = 0;
  fill(ks);
  ck_assert_int_eq(lsm_flush(db, NULL), LSM_OK);
  ck_assert_int_eq(lsm_wait_idle(db, NULL), LSM_OK);
  for (int n = 0;; n++) {
    int left = n;
    lsm_set_malloc_hook(countdown, &left);
    lsm_rc rc = lsm_backup(db, DEST, NULL);
    lsm_set_malloc_hook(NULL, NULL);
    if (rc == LSM_OK) break;
    tried++;
    ck_assert_int_eq(rc, LSM_NOMEM);
    ck_assert_msg(!there(DEST), "allocation %d left something", n);
  }
  ck_assert_uint_gt(tried, 5);
  must_be_sound(db);
}
END_TEST

typedef struct crash_arg {
  uint32_t keyspace, want;
  unsigned rows;
  int images, whole;
  bool returned;
} crash_arg;

/* After a crash the copy is whole or not a store; the source always is one. */
static void crash_now(void *arg, lsm_env *e, uint64_t n, bool after) {
  crash_arg *a = arg;
  for (int mode = 0; mode < 3; mode++) {
    static const env_fault_mode modes[] = {ENV_FAULT_KEEP, ENV_FAULT_DROP, ENV_FAULT_TEAR};
    lsm_env *image;
    lsm_db *copy;
    unsigned rows;
    ck_assert_int_eq(env_fault_crash(e, modes[mode], n * 2 + after, &image), LSM_OK);
    lsm_rc rc = open_at(image, DEST, false, &copy);
    a->images++;
    if (rc == LSM_OK) {
      ck_assert_uint_eq(digest(copy, a->keyspace, &rows), a->want);
      ck_assert_uint_eq(rows, a->rows);
      must_be_sound(copy);
      ck_assert_int_eq(lsm_close(copy), LSM_OK);
      a->whole++;
    } else {
      ck_assert_int_eq(rc, LSM_CANTOPEN);
      ck_assert(!a->returned);
    }
    ck_assert_int_eq(open_at(image, SOURCE, false, &copy), LSM_OK);
    ck_assert_uint_eq(digest(copy, a->keyspace, &rows), a->want);
    ck_assert_int_eq(lsm_close(copy), LSM_OK);
    env_fault_free(image);
  }
}

START_TEST(crash_at_every_sync) {
  uint32_t ks[2];
  crash_arg a = {0};
  fill(ks);
  ck_assert_int_eq(lsm_flush(db, NULL), LSM_OK);
  ck_assert_int_eq(lsm_wait_idle(db, NULL), LSM_OK);
  a.keyspace = ks[0];
  a.want = digest(db, ks[0], &a.rows);
  env_fault_on_sync(env, crash_now, &a);
  ck_assert_int_eq(lsm_backup(db, DEST, NULL), LSM_OK);
  env_fault_on_sync(env, NULL, NULL);
  ck_assert_int_gt(a.images, 30);
  ck_assert_int_lt(a.whole, a.images);
  a.returned = true;
  a.whole = 0;
  crash_now(&a, env, 1000, true);
  ck_assert_int_eq(a.whole, 3); /* done is durable */
}
END_TEST

typedef struct writer {
  uint32_t keyspace;
  _Atomic bool stop;
  _Atomic unsigned done;
} writer;

/* Transaction i writes the pair i, i + 1000000; some are deleted in pairs. */
static void write_pairs(void *arg) {
  writer *w = arg;
  char key[32], value[256];
  for (unsigned i = 0; !atomic_load(&w->stop); i++) {
    lsm_txn *txn;
    if (lsm_txn_begin(db, 60000, NULL, &txn) != LSM_OK) return;
    lsm_rc rc = LSM_OK;
    for (unsigned half = 0; half < 2; half++) {
      unsigned n = i + half * 1000000;
      lsm_slice v = value_of(value, sizeof(value), i, 1);
      rc = lsm_first_rc(rc, lsm_txn_put(txn, w->keyspace, key_of(key, n), v));
      if (i >= 100 && i % 3 == 0) {
        rc = lsm_first_rc(rc, lsm_txn_delete(txn, w->keyspace, key_of(key, n - 100)));
      }
    }
    if (rc == LSM_OK) rc = lsm_txn_prepare(txn, LSM_SYNC_OFF, false, NULL);
    if (rc != LSM_OK) {
      (void)lsm_txn_rollback(txn);
      return;
    }
    lsm_txn_commit(txn);
    atomic_store(&w->done, i + 1);
  }
}

START_TEST(while_writers_go_on) {
  writer w = {0};
  lsm_thread *t;
  w.keyspace = new_keyspace(LSM_LEVELED, LSM_COMPRESS_NONE);
  ck_assert_int_eq(env->thread_start(env, write_pairs, &w, &t), LSM_OK);
  for (int round = 0; round < 5; round++) {
    char dir[16], key[32];
    lsm_db *copy;
    unsigned rows;
    unsigned done = atomic_load(&w.done);
    while (atomic_load(&w.done) < done + 100) env->sleep_us(env, 200);
    unsigned before = atomic_load(&w.done);
    snprintf(dir, sizeof(dir), "copy%d", round);
    ck_assert_int_eq(lsm_backup(db, dir, NULL), LSM_OK);
    ck_assert_int_eq(open_at(env, dir, false, &copy), LSM_OK);
    must_be_sound(copy);
    (void)digest(copy, w.keyspace, &rows);
    ck_assert_uint_eq(rows % 2, 0);
    lsm_snapshot *snap;
    lsm_buf a = {0}, b = {0};
    ck_assert_int_eq(lsm_snapshot_acquire(copy, &snap), LSM_OK);
    unsigned newest = 0;
    for (unsigned i = 0; i < before + 100000; i++) {
      lsm_rc ra = lsm_get(snap, w.keyspace, key_of(key, i), &a);
      lsm_rc rb = lsm_get(snap, w.keyspace, key_of(key, i + 1000000), &b);
      ck_assert_int_eq(ra, rb);
      if (ra == LSM_OK) newest = i;
      if (i > before && i > newest + 300) break;
    }
    ck_assert_uint_ge(newest + 1, before); /* all that was committed is there */
    lsm_buf_fini(&a);
    lsm_buf_fini(&b);
    lsm_snapshot_release(snap);
    ck_assert_int_eq(lsm_close(copy), LSM_OK);
  }
  atomic_store(&w.stop, true);
  env->thread_join(env, t);
}
END_TEST

/* A source file that is too short is damage, and is named. */
START_TEST(damaged_source) {
  uint32_t ks[2];
  lsm_file *f;
  lsm_buf path = {0};
  uint64_t number = 0;
  fill(ks);
  ck_assert_int_eq(lsm_flush(db, NULL), LSM_OK);
  ck_assert_int_eq(lsm_wait_idle(db, NULL), LSM_OK);
  for (uint64_t n = 1; n < 100 && number == 0; n++) {
    ck_assert_int_eq(lsm_filename(&path, SOURCE, LSM_FILE_SST, n), LSM_OK);
    if (there((const char *)path.data)) number = n;
  }
  ck_assert_uint_ne(number, 0);
  lsm_buf whole = {0};
  ck_assert_int_eq(lsm_env_read_file(env, (const char *)path.data, &whole), LSM_OK);
  ck_assert_int_eq(env->open(env, (const char *)path.data, LSM_OPEN_WRITE, &f), LSM_OK);
  ck_assert_int_eq(f->ops->truncate(f, whole.size - 1), LSM_OK);
  ck_assert_int_eq(lsm_backup(db, DEST, NULL), LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), (const char *)path.data));
  ck_assert(!there(DEST));
  ck_assert_int_eq(lsm_file_write(f, 0, whole.data, whole.size), LSM_OK);
  lsm_file_close(f);
  ck_assert_int_eq(lsm_backup(db, DEST, NULL), LSM_OK);
  lsm_buf_fini(&whole);
  lsm_buf_fini(&path);
}
END_TEST

Suite *backup_suite(void) {
  Suite *s = suite_create("backup");
  TCase *t = tcase_create("backup");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, copy_holds_everything);
  tcase_add_test(t, copy_of_an_empty_store);
  tcase_add_test(t, instant_is_held);
  tcase_add_test(t, refusals);
  tcase_add_test(t, every_call_fails);
  tcase_add_test(t, every_allocation_fails);
  tcase_add_test(t, crash_at_every_sync);
  tcase_add_test(t, while_writers_go_on);
  tcase_add_test(t, damaged_source);
  suite_add_tcase(s, t);
  return s;
}
