/* test_db.c: the store as its public header describes it; transactions have a
** suite of their own. */
#include <stdio.h>
#include <stdlib.h>

#include "store.h"

Suite *db_suite(void);

static lsm_env *env;
static lsm_options opt;
static lsm_db *db;

static void setup(void) {
  ck_lsm(env_fault_new(NULL, &env));
  opt = store_options(64u << 10);
  db = store_open(env, &opt);
}

static void teardown(void) {
  ck_lsm(lsm_close(db));
  db = NULL;
  env_fault_free(env);
}

static void reopen(void) {
  ck_lsm(lsm_close(db));
  db = store_open(env, &opt);
}

/* Keys k00000 + i for i in [from, to), each with a value that TAG begins. */
static void fill(uint32_t ks, int from, int to, int step, const char *tag, model *m) {
  lsm_txn *t = store_begin(db);
  for (int i = from; i < to; i += step) {
    char key[16], value[128];
    snprintf(key, sizeof(key), "k%05d", i);
    snprintf(value, sizeof(value), "%s-%d-%0*d", tag, i, 20 + i % 60, i);
    ck_lsm(lsm_txn_put(t, ks, S(key), S(value)));
    if (m != NULL) model_put(m, S(key), S(value));
  }
  store_commit(t, LSM_SYNC_NORMAL);
}

static void expect(lsm_rc rc, lsm_rc want, const char *text) {
  ck_assert_msg(rc == want, "%s instead of %s: %s", lsm_rc_name(rc), lsm_rc_name(want),
                lsm_errmsg());
  ck_assert_msg(strstr(lsm_errmsg(), text) != NULL, "\"%s\" does not say \"%s\"", lsm_errmsg(),
                text);
}

/*------------------------------------------------------------------- open */

START_TEST(test_missing_and_foreign) {
  lsm_options o = opt;
  lsm_db *other = NULL;
  o.create = false;
  expect(lsm_open(env, "/nowhere", &o, &other), LSM_CANTOPEN, "/nowhere");
  ck_assert_ptr_null(other);
  bool there = true;
  ck_lsm(env->exists(env, "/nowhere", &there));
  ck_assert(!there);
  ck_lsm(env->mkdir(env, "/foreign"));
  lsm_file *f = NULL;
  ck_lsm(env->open(env, "/foreign/letter.txt", LSM_OPEN_WRITE | LSM_OPEN_CREATE, &f));
  lsm_file_close(f);
  expect(lsm_open(env, "/foreign", &o, &other), LSM_CANTOPEN, "/foreign");
  o.read_only = true;
  expect(lsm_open(env, "/foreign", &o, &other), LSM_CANTOPEN, "/foreign");
  expect(lsm_open(env, "/nowhere", &o, &other), LSM_CANTOPEN, "/nowhere");
}
END_TEST

static lsm_rc count_name(void *arg, const char *name) {
  (void)name;
  ++*(int *)arg;
  return LSM_OK;
}

/* A store that is not the one that is meant is not touched. */
START_TEST(test_another_id) {
  lsm_options o = opt;
  lsm_db *other = NULL;
  uint8_t id[16], wrong[16];
  int before = 0, after = 0;
  memcpy(id, lsm_store_id(db), sizeof id);
  memcpy(wrong, id, sizeof wrong);
  wrong[15] ^= 1;
  ck_lsm(lsm_close(db));
  ck_lsm(env->remove(env, STORE_DIR "/LOCK")); /* opening would make it again, or fail */
  ck_lsm(env->list(env, STORE_DIR, count_name, &before));
  o.create = false;
  o.store_id = wrong;
  for (int pass = 0; pass < 2; pass++) {
    expect(lsm_open(env, STORE_DIR, &o, &other), LSM_CANTOPEN, "another store");
    expect(lsm_open(env, "/nowhere", &o, &other), LSM_CANTOPEN, "no store there");
    o.read_only = true;
  }
  ck_lsm(env->list(env, STORE_DIR, count_name, &after));
  ck_assert_int_eq(after, before);
  o = opt;
  o.store_id = id;
  ck_lsm(lsm_open(env, STORE_DIR, &o, &db)); /* which makes LOCK */
}
END_TEST

/* Two that have the store (test_share.c has the rest): one's rows are the
** other's, and one writes at a time. */
START_TEST(test_opened_twice) {
  lsm_db *other = NULL, *reader = NULL;
  lsm_options ro = opt;
  ro.read_only = true;
  ck_lsm(lsm_open(env, STORE_DIR, &opt, &other));
  ck_lsm(lsm_open(env, STORE_DIR, &ro, &reader));
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  store_put(db, ks, "a", "1");
  ck_assert_str_eq(store_all(other, ks), "a=1");
  ck_assert_str_eq(store_all(reader, ks), "a=1");
  lsm_txn *t = store_begin(db), *second = NULL;
  expect(lsm_txn_begin(other, 0, NULL, &second), LSM_BUSY, "another process is writing");
  ck_lsm(lsm_txn_rollback(t));
  store_put(other, ks, "b", "2");
  ck_assert_str_eq(store_all(db, ks), "a=1 b=2");
  ck_assert_str_eq(store_all(reader, ks), "a=1 b=2");
  ck_lsm(lsm_close(reader));
  ck_lsm(lsm_close(other));
  reopen();
  ck_assert_str_eq(store_all(db, ks), "a=1 b=2");
}
END_TEST

START_TEST(test_id_is_for_ever) {
  uint8_t id[16];
  memcpy(id, lsm_store_id(db), 16);
  reopen();
  ck_assert_mem_eq(id, lsm_store_id(db), 16);
  lsm_db *other = NULL;
  ck_lsm(lsm_open(env, "/other", &opt, &other));
  ck_assert_mem_ne(id, lsm_store_id(other), 16);
  ck_lsm(lsm_close(other));
}
END_TEST

START_TEST(test_lost_files) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  store_put(db, ks, "a", "1");
  ck_lsm(lsm_flush(db, NULL));
  /* CURRENT gone: the rest must not be taken for a new store. */
  ck_lsm(lsm_close(db));
  ck_lsm(env->rename(env, STORE_DIR "/CURRENT", STORE_DIR "/elsewhere"));
  lsm_db *none = NULL;
  expect(lsm_open(env, STORE_DIR, &opt, &none), LSM_CORRUPT, "CURRENT");
  ck_lsm(env->rename(env, STORE_DIR "/elsewhere", STORE_DIR "/CURRENT"));
  db = store_open(env, &opt);
  ck_assert_str_eq(store_all(db, ks), "a=1");
}
END_TEST

static lsm_rc remove_sst(void *arg, const lsm_file_info *info) {
  char path[64];
  (void)arg;
  snprintf(path, sizeof(path), STORE_DIR "/%06llu.sst", (unsigned long long)info->number);
  return env->remove(env, path);
}

START_TEST(test_lost_table) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  lsm_snapshot *snap = NULL;
  lsm_cursor *c = NULL;
  lsm_buf value = {0};
  store_put(db, ks, "a", "1");
  ck_lsm(lsm_flush(db, NULL));
  ck_lsm(lsm_list_files(db, ks, remove_sst, NULL));
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  /* Not LSM_NOTFOUND: that would be an answer. */
  expect(lsm_get(snap, ks, S("a"), &value), LSM_CORRUPT, ".sst: missing");
  lsm_rc rc = lsm_cursor_open(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &c);
  if (rc == LSM_OK) rc = lsm_cursor_first(c);
  expect(rc, LSM_CORRUPT, ".sst: missing");
  lsm_cursor_close(c);
  lsm_snapshot_release(snap);
  store_put(db, ks, "a", "2");
  ck_lsm(lsm_flush(db, NULL));
  expect(lsm_compact(db, ks, NULL), LSM_CORRUPT, ".sst: missing");
  ck_lsm(lsm_close(db));
  db = NULL;
  expect(lsm_open(env, STORE_DIR, &opt, &db), LSM_CORRUPT, ".sst: missing");
  lsm_buf_fini(&value);
  env_fault_free(env);
  setup();
}
END_TEST

START_TEST(test_read_only_writes_nothing) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  for (int i = 0; i < 6; i++) { /* enough runs to make a compaction due */
    fill(ks, i, 200, 7, "v", NULL);
    ck_lsm(lsm_flush(db, NULL));
    store_put(db, ks, "last", "1");
  }
  char before[65536];
  snprintf(before, sizeof(before), "%s", store_all(db, ks));
  ck_lsm(lsm_close(db));
  lsm_options ro = opt;
  ro.read_only = true;
  env_fault_fail(env, ENV_FAULT_CHANGES, 0, LSM_OK, 0);
  ck_lsm(lsm_open(env, STORE_DIR, &ro, &db));
  lsm_txn *t = NULL;
  uint32_t id = 0;
  lsm_keyspace_options ko;
  lsm_keyspace_options_init(&ko);
  ck_assert_str_eq(store_all(db, ks), before);
  expect(lsm_txn_begin(db, 0, NULL, &t), LSM_READONLY, STORE_DIR);
  ck_assert_ptr_null(t);
  expect(lsm_keyspace_create(db, &ko, &id), LSM_READONLY, STORE_DIR);
  expect(lsm_keyspace_drop(db, ks), LSM_READONLY, STORE_DIR);
  expect(lsm_flush(db, NULL), LSM_READONLY, STORE_DIR);
  expect(lsm_compact(db, ks, NULL), LSM_READONLY, STORE_DIR);
  ck_lsm(lsm_wait_idle(db, NULL));
  store_verify(db);
  ck_lsm(lsm_close(db));
  ck_assert_uint_eq(env_fault_calls(env), 0);
  env_fault_clear(env);
  db = store_open(env, &opt);
  ck_assert_str_eq(store_all(db, ks), before);
}
END_TEST

/*-------------------------------------------------------------- keyspaces */

START_TEST(test_keyspaces) {
  lsm_keyspace_options o, back;
  lsm_keyspace_options_init(&o);
  o.compaction = LSM_TIERED;
  o.compression = LSM_COMPRESS_NONE;
  o.block_size = 1000;
  o.bloom_bits = 3;
  uint32_t a = 0, b = store_keyspace(db, LSM_LEVELED);
  ck_lsm(lsm_keyspace_create(db, &o, &a));
  ck_assert_uint_ne(a, b);
  store_put(db, a, "k", "in a");
  store_put(db, b, "k", "in b");
  store_put(db, b, "", "empty key");
  store_put(db, b, "empty value", "");
  ck_assert_str_eq(store_all(db, a), "k=in a");
  for (int i = 0; i < 3; i++) {
    ck_assert_str_eq(store_all(db, b), "=empty key empty value= k=in b");
    ck_assert_str_eq(store_get(db, b, ""), "empty key");
    ck_assert_str_eq(store_get(db, b, "empty value"), "");
    ck_lsm(lsm_keyspace_get(db, a, &back));
    ck_assert_mem_eq(&back, &o, sizeof(o));
    if (i == 0) ck_lsm(lsm_flush(db, NULL));
    if (i == 1) reopen();
  }
  expect(lsm_keyspace_get(db, 77, &back), LSM_NOTFOUND, "77");
  expect(lsm_keyspace_drop(db, 77), LSM_NOTFOUND, "77");
  /* Dropped with a cursor open on it: the cursor goes on. */
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  ck_lsm(lsm_keyspace_drop(db, b));
  expect(lsm_keyspace_get(db, b, &back), LSM_NOTFOUND, "no keyspace");
  ck_assert_str_eq(store_scan(snap, b, NULL, NULL, true), "k=in b empty value= =empty key");
  ck_assert_int_eq(store_await_files(env, ".sst", 2), 2);
  lsm_snapshot_release(snap);
  ck_assert_int_eq(store_await_files(env, ".sst", 1), 1);
  uint32_t c = store_keyspace(db, LSM_LEVELED);
  ck_assert(c != a && c != b);
  ck_assert_str_eq(store_all(db, c), "");
  reopen();
  ck_assert_str_eq(store_all(db, a), "k=in a");
  expect(lsm_keyspace_get(db, b, &back), LSM_NOTFOUND, "no keyspace");
  store_verify(db);
}
END_TEST

/* Rows in the memtable and the log when their keyspace is dropped. */
START_TEST(test_drop_unflushed) {
  uint32_t a = store_keyspace(db, LSM_LEVELED), b = store_keyspace(db, LSM_TIERED);
  store_put(db, a, "k", "1");
  store_put(db, b, "k", "2");
  store_delete_range(db, a, "x", NULL);
  ck_lsm(lsm_keyspace_drop(db, a));
  ck_assert_str_eq(store_all(db, a), "");
  ck_assert_str_eq(store_get(db, a, "k"), "-");
  reopen();
  ck_assert_str_eq(store_all(db, a), "");
  ck_assert_str_eq(store_all(db, b), "k=2");
  ck_lsm(lsm_flush(db, NULL));
  ck_assert_int_eq(store_await_files(env, ".sst", 1), 1);
  ck_assert_str_eq(store_all(db, b), "k=2");
  lsm_txn *t = store_begin(db);
  expect(lsm_txn_put(t, 0, S("k"), S("v")), LSM_MISUSE, "keyspace 0");
  expect(lsm_txn_put(t, 0xFFFFFFFFu, S("k"), S("v")), LSM_MISUSE, "no keyspace");
  expect(lsm_txn_delete_range(t, 0, S("k"), S("v")), LSM_MISUSE, "keyspace 0");
  ck_lsm(lsm_txn_rollback(t));
}
END_TEST

/* Numbers from 0xF0 on have a prefix of five bytes. */
START_TEST(test_many_keyspaces) {
  uint32_t id = 0;
  while (id < 0xF2) {
    id = store_keyspace(db, LSM_LEVELED);
    if (id >= 0xEE) store_put(db, id, "k", "v");
  }
  store_delete_range(db, 0xEF, NULL, NULL);
  store_delete_range(db, 0xF1, NULL, NULL);
  for (int i = 0; i < 3; i++) {
    ck_assert_str_eq(store_all(db, 0xEE), "k=v");
    ck_assert_str_eq(store_all(db, 0xEF), "");
    ck_assert_str_eq(store_all(db, 0xF0), "k=v");
    ck_assert_str_eq(store_all(db, 0xF1), "");
    ck_assert_str_eq(store_all(db, 0xF2), "k=v");
    if (i == 0) reopen();
    if (i == 1) ck_lsm(lsm_flush(db, NULL));
  }
  store_verify(db);
}
END_TEST

/*------------------------------------------------------------------ reads */

START_TEST(test_ranges_and_bounds) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  const char *const keys[] = {"a", "b", "c", "d", "e", "f"};
  for (int i = 0; i < 6; i++) store_put(db, ks, keys[i], "1");
  for (int pass = 0; pass < 2; pass++) {
    lsm_snapshot *s = NULL;
    ck_lsm(lsm_snapshot_acquire(db, &s));
    ck_assert_str_eq(store_scan(s, ks, "b", "e", false), "b=1 c=1 d=1");
    ck_assert_str_eq(store_scan(s, ks, "b", "e", true), "d=1 c=1 b=1");
    ck_assert_str_eq(store_scan(s, ks, "bb", NULL, true), "f=1 e=1 d=1 c=1");
    ck_assert_str_eq(store_scan(s, ks, NULL, "bb", false), "a=1 b=1");
    ck_assert_str_eq(store_scan(s, ks, "", "a", false), "");
    ck_assert_str_eq(store_scan(s, ks, "e", "b", false), "");
    lsm_cursor *c = NULL;
    ck_lsm(lsm_cursor_open(s, ks, S("b"), S("e"), &c));
    ck_lsm(lsm_cursor_seek_ge(c, S("a")));
    ck_assert_mem_eq(lsm_cursor_key(c).data, "b", 1);
    ck_lsm(lsm_cursor_prev(c));
    ck_assert(!lsm_cursor_valid(c));
    ck_lsm(lsm_cursor_seek_le(c, S("z")));
    ck_assert_mem_eq(lsm_cursor_key(c).data, "d", 1);
    ck_lsm(lsm_cursor_next(c));
    ck_assert(!lsm_cursor_valid(c));
    ck_lsm(lsm_cursor_seek_ge(c, S("e")));
    ck_assert(!lsm_cursor_valid(c));
    ck_lsm(lsm_cursor_seek_le(c, S("az")));
    ck_assert(!lsm_cursor_valid(c));
    ck_lsm(lsm_cursor_seek_ge(c, S("bx")));
    ck_assert_mem_eq(lsm_cursor_key(c).data, "c", 1);
    ck_lsm(lsm_cursor_prev(c));
    ck_assert_mem_eq(lsm_cursor_key(c).data, "b", 1);
    ck_lsm(lsm_cursor_next(c));
    ck_lsm(lsm_cursor_next(c));
    ck_assert_mem_eq(lsm_cursor_key(c).data, "d", 1);
    lsm_cursor_close(c);
    lsm_snapshot_release(s);
    ck_lsm(lsm_flush(db, NULL));
  }
  store_delete_range(db, ks, "b", "d");
  ck_assert_str_eq(store_all(db, ks), "a=1 d=1 e=1 f=1");
  store_put(db, ks, "c", "2");
  ck_assert_str_eq(store_all(db, ks), "a=1 c=2 d=1 e=1 f=1");
  store_delete_range(db, ks, "e", NULL);
  store_delete_range(db, ks, NULL, "b");
  store_delete_range(db, ks, "d", "c");
  for (int i = 0; i < 3; i++) {
    ck_assert_str_eq(store_all(db, ks), "c=2 d=1");
    ck_assert_str_eq(store_get(db, ks, "b"), "-");
    ck_assert_str_eq(store_get(db, ks, "c"), "2");
    ck_assert_str_eq(store_get(db, ks, "f"), "-");
    if (i == 0) ck_lsm(lsm_flush(db, NULL));
    if (i == 1) ck_lsm(lsm_compact(db, ks, NULL));
  }
}
END_TEST

static lsm_snapshot *snapshot_now(void) {
  lsm_snapshot *s;
  ck_lsm(lsm_snapshot_acquire(db, &s));
  return s;
}

/* While nothing changes all readers share one snapshot, which the store lets go of
** with the next change. */
START_TEST(test_snapshots_are_shared) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  model *m = model_new();
  fill(ks, 0, 600, 1, "a", m);
  ck_lsm(lsm_flush(db, NULL));
  fill(ks, 300, 900, 2, "b", m);
  lsm_snapshot *a = snapshot_now();
  ck_assert_uint_eq(store_stats(db).snapshots, 1);
  store_check_in(a, ks, m);
  lsm_snapshot_release(a);
  ck_assert_uint_eq(store_stats(db).snapshots, 0);
  lsm_snapshot *b = snapshot_now(), *c = snapshot_now();
  ck_assert_ptr_eq(b, c);
  ck_assert_uint_eq(store_stats(db).snapshots, 1);
  lsm_snapshot_release(c);
  model *then = model_copy(m);
  fill(ks, 500, 550, 1, "c", m);
  c = snapshot_now();
  ck_assert_ptr_ne(b, c);
  store_check_in(b, ks, then);
  store_check_in(c, ks, m);
  lsm_snapshot_release(b);
  lsm_snapshot_release(c);
  ck_lsm(lsm_flush(db, NULL)); /* what was shared last holds neither memory nor files: */
  ck_lsm(lsm_compact(db, ks, NULL));
  ck_lsm(lsm_wait_idle(db, NULL));
  store_check_files(env, db);
  store_check(db, ks, m);
  model_free(then);
  model_free(m);
}
END_TEST

START_TEST(test_snapshots_stay) {
  uint32_t ks = store_keyspace(db, _i == 0 ? LSM_LEVELED : LSM_TIERED);
  model *m = model_new(), *then[6];
  lsm_snapshot *snap[6];
  for (int i = 0; i < 6; i++) {
    fill(ks, i * 50, 600, 1 + i, i % 2 ? "odd" : "even", m);
    store_delete_range(db, ks, "k00100", "k00150");
    model_delete_range(m, S("k00100"), S("k00150"));
    ck_lsm(lsm_snapshot_acquire(db, &snap[i]));
    then[i] = model_copy(m);
    if (i == 1 || i == 4) ck_lsm(lsm_flush(db, NULL));
    if (i == 3) ck_lsm(lsm_compact(db, ks, NULL));
  }
  ck_assert_uint_eq(store_stats(db).snapshots, 6);
  ck_lsm(lsm_compact(db, ks, NULL));
  int many = store_count_files(env, ".sst");
  for (int i = 5; i >= 0; i--) {
    store_check_in(snap[i], ks, then[i]);
    lsm_snapshot *again = lsm_snapshot_ref(snap[i]);
    lsm_snapshot_release(snap[i]);
    store_check_in(again, ks, then[i]);
    lsm_snapshot_release(again);
    model_free(then[i]);
  }
  /* Files nobody holds are gone; what is left is the one run. */
  ck_lsm(lsm_wait_idle(db, NULL));
  ck_assert_int_lt(store_count_files(env, ".sst"), many);
  store_check_files(env, db);
  ck_assert_uint_eq(store_stats(db).snapshots, 0);
  store_check(db, ks, m);
  model_free(m);
}
END_TEST

/* A cursor keeps its place while all that it reads is replaced. */
START_TEST(test_cursor_under_writes) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  model *m = model_new();
  fill(ks, 0, 500, 1, "v", m);
  ck_lsm(lsm_flush(db, NULL));
  lsm_snapshot *snap = NULL;
  lsm_cursor *c = NULL;
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  ck_lsm(lsm_cursor_open(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &c));
  lsm_snapshot_release(snap); /* the cursor has its own reference */
  ck_lsm(lsm_cursor_first(c));
  for (size_t i = 0; i < model_count(m); i++) {
    ck_assert(lsm_cursor_valid(c));
    ck_assert(lsm_slice_eq(lsm_cursor_key(c), model_key(m, i)));
    ck_assert(lsm_slice_eq(lsm_cursor_value(c), model_value(m, i)));
    if (i == 100) store_delete_range(db, ks, NULL, NULL);
    if (i == 200) ck_lsm(lsm_compact(db, ks, NULL));
    if (i == 300) ck_lsm(lsm_keyspace_drop(db, ks));
    ck_lsm(lsm_cursor_next(c));
  }
  ck_assert(!lsm_cursor_valid(c));
  lsm_cursor_close(c);
  ck_lsm(lsm_wait_idle(db, NULL)); /* another thread may be removing them just now */
  ck_assert_int_eq(store_await_files(env, ".sst", 0), 0);
  model_free(m);
}
END_TEST

/*---------------------------------------------------------------- compact */

typedef struct listing {
  int files, runs;
  uint64_t last_run, tombstones, entries, bytes;
  int level;
} listing;

static lsm_rc add_to_listing(void *arg, const lsm_file_info *info) {
  listing *l = arg;
  l->runs += l->files == 0 || info->run != l->last_run || info->level != l->level;
  l->files++;
  l->last_run = info->run;
  l->level = info->level;
  l->tombstones += info->tombstones;
  l->entries += info->entries;
  l->bytes += info->bytes;
  return LSM_OK;
}

static listing list(uint32_t ks) {
  listing l = {0};
  ck_lsm(lsm_list_files(db, ks, add_to_listing, &l));
  return l;
}

START_TEST(test_compact_to_one_run) {
  lsm_compaction how = _i == 0 ? LSM_LEVELED : LSM_TIERED;
  uint32_t ks = store_keyspace(db, how), other = store_keyspace(db, how);
  model *m = model_new();
  store_put(db, other, "x", "y");
  for (int i = 0; i < 12; i++) {
    fill(ks, (i * 331) % 2000, 6000, 13, "some-value", m);
    char lo[16], hi[16];
    snprintf(lo, sizeof(lo), "k%05d", i * 400);
    snprintf(hi, sizeof(hi), "k%05d", i * 400 + 100);
    store_delete_range(db, ks, lo, hi);
    model_delete_range(m, S(lo), S(hi));
    store_put(db, ks, "k05999", NULL);
    model_delete(m, S("k05999"));
    if (i % 3 == 0) ck_lsm(lsm_flush(db, NULL));
  }
  ck_lsm(lsm_compact(db, ks, NULL));
  store_check(db, ks, m);
  listing l = list(ks);
  ck_assert_int_eq(l.runs, 1);
  ck_assert_uint_eq(l.tombstones, 0);
  ck_assert_uint_eq(l.entries, model_count(m));
  ck_assert(how == LSM_LEVELED ? l.level >= 1 : l.level == 0);
  ck_lsm(lsm_compact(db, ks, NULL)); /* nothing left to do */
  listing again = list(ks);
  ck_assert_mem_eq(&l, &again, sizeof(l));
  ck_assert_str_eq(store_all(db, other), "x=y");
  store_delete_range(db, ks, NULL, NULL);
  ck_lsm(lsm_compact(db, ks, NULL));
  ck_assert_int_eq(list(ks).files, 0);
  ck_assert_str_eq(store_all(db, ks), "");
  store_verify(db);
  ck_lsm(lsm_wait_idle(db, NULL));
  expect(lsm_compact(db, 99, NULL), LSM_NOTFOUND, "99");
  ck_assert_int_eq(store_await_files(env, ".sst", list(0).files), list(0).files);
  model_free(m);
}
END_TEST

START_TEST(test_background) {
  lsm_compaction how = _i == 0 ? LSM_LEVELED : LSM_TIERED;
  uint32_t ks = store_keyspace(db, how);
  model *m = model_new();
  for (int i = 0; i < 80; i++) fill(ks, i * 37 % 1000, 9000, 29, "background", m);
  ck_lsm(lsm_flush(db, NULL));
  ck_lsm(lsm_wait_idle(db, NULL));
  lsm_stats s = store_stats(db);
  ck_assert_uint_gt(s.flushes, 10);
  ck_assert_uint_gt(s.compactions, 2);
  double score[LSM_MAX_LEVELS];
  ck_lsm(lsm_level_scores(db, ks, score));
  for (int l = 0; l < LSM_MAX_LEVELS; l++) ck_assert(score[l] < 1.0);
  ck_assert_int_eq(store_await_files(env, ".sst", (int)s.sst_files), (int)s.sst_files);
  ck_assert_int_le(store_count_files(env, ".wal"), 1);
  ck_assert_int_eq(store_await_files(env, ".manifest", 1), 1);
  store_check(db, ks, m);
  store_verify(db);
  reopen();
  store_check(db, ks, m);
  ck_assert_int_eq(store_await_files(env, ".sst", (int)s.sst_files), (int)s.sst_files);
  model_free(m);
}
END_TEST

START_TEST(test_stats) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  lsm_stats s = store_stats(db);
  ck_assert_uint_eq(s.commits + s.user_bytes + s.flushes + s.sst_files + s.memtable_entries, 0);
  store_put(db, ks, "key", "value");
  store_put(db, ks, "gone", NULL);
  s = store_stats(db);
  ck_assert_uint_eq(s.commits, 2);
  ck_assert_uint_eq(s.user_bytes, 12);
  ck_assert_uint_eq(s.memtable_entries, 2);
  ck_assert_uint_gt(s.memtable_bytes, 12);
  ck_assert_uint_gt(s.wal_bytes, 12);
  ck_assert_uint_gt(s.manifest_bytes, 0);
  ck_lsm(lsm_flush(db, NULL));
  s = store_stats(db);
  ck_assert_uint_eq(s.flushes, 1);
  ck_assert_uint_eq(s.sst_files, 1);
  ck_assert_uint_eq(s.sst_bytes, s.flush_bytes);
  ck_assert_uint_eq(s.sst_raw_bytes, 9); /* no tombstone: nothing is below */
  ck_assert_uint_eq(s.last_level_raw_bytes, 9);
  ck_assert_uint_eq(s.memtable_entries, 0);
  ck_assert_str_eq(store_get(db, ks, "key"), "value");
  ck_assert_str_eq(store_get(db, ks, "kez"), "-");
  ck_assert_str_eq(store_all(db, ks), "key=value");
  s = store_stats(db);
  ck_assert_uint_eq(s.gets, 2);
  ck_assert_uint_eq(s.scans, 1);
  ck_assert_uint_le(s.bloom_checks, 2);
  ck_assert_uint_gt(s.cache_bytes, 0);
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S("k2"), S("v2")));
  store_commit(t, LSM_SYNC_FULL);
  ck_assert_uint_gt(store_stats(db).syncs, 0);
}
END_TEST

START_TEST(test_estimate) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  fill(ks, 0, 4000, 1, "estimate", NULL);
  for (int pass = 0; pass < 2; pass++) {
    lsm_snapshot *snap = NULL;
    uint64_t rows = 0, bytes = 0;
    ck_lsm(lsm_snapshot_acquire(db, &snap));
    ck_lsm(lsm_estimate(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &rows, &bytes));
    ck_assert_msg(rows > 1300 && rows < 12000, "%d rows", (int)rows);
    ck_lsm(lsm_estimate(snap, ks, S("k01000"), S("k02000"), &rows, &bytes));
    ck_assert_msg(rows > 300 && rows < 3000, "%d rows", (int)rows);
    ck_lsm(lsm_estimate(snap, ks, S("x"), LSM_SLICE_NULL, &rows, &bytes));
    ck_assert_msg(rows < 100, "%d rows", (int)rows);
    lsm_snapshot_release(snap);
    ck_lsm(lsm_flush(db, NULL));
  }
}
END_TEST

static uint64_t estimate(uint32_t ks, lsm_slice from, lsm_slice to) {
  lsm_snapshot *snap = NULL;
  uint64_t rows = 0, bytes = 0;
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  ck_lsm(lsm_estimate(snap, ks, from, to, &rows, &bytes));
  lsm_snapshot_release(snap);
  return rows;
}

/* Rows that were deleted do not count, be they still there. */
START_TEST(test_estimate_deleted) {
  uint32_t ks = store_keyspace(db, LSM_TIERED);
  char key[16];
  for (int pass = 0; pass < 2; pass++) {
    lsm_txn *t = store_begin(db);
    for (int i = 0; i < 4000; i++) {
      snprintf(key, sizeof key, "k%05d", i);
      if (pass == 0) ck_lsm(lsm_txn_put(t, ks, S(key), S("a value of some length")));
      if (pass == 1 && i < 3000) ck_lsm(lsm_txn_delete(t, ks, S(key)));
    }
    store_commit(t, LSM_SYNC_OFF);
    ck_lsm(lsm_flush(db, NULL));
    uint64_t all = estimate(ks, LSM_SLICE_NULL, LSM_SLICE_NULL);
    uint64_t deleted = estimate(ks, S("k01000"), S("k02000"));
    uint64_t rest = estimate(ks, S("k03100"), S("k03600"));
    ck_assert_msg(pass == 0 ? all == 4000 : all <= 1000, "%d rows in all", (int)all);
    ck_assert_msg(pass == 0 ? deleted > 800 && deleted < 1200 : deleted < 100, "%d rows deleted",
                  (int)deleted);
    ck_assert_msg(rest > 300 && rest < 700, "%d rows that stay", (int)rest);
    ck_assert_uint_eq(estimate(ks, S("k9"), LSM_SLICE_NULL), 0);
  }
}
END_TEST

static bool stop_now(void *arg) {
  (void)arg;
  return true;
}

START_TEST(test_interrupt) {
  uint32_t ks = store_keyspace(db, LSM_TIERED);
  model *m = model_new();
  for (int i = 0; i < 3; i++) {
    fill(ks, i, 3000, 2, "interrupted", m);
    ck_lsm(lsm_flush(db, NULL));
  }
  lsm_interrupt intr = {stop_now, NULL};
  expect(lsm_compact(db, ks, &intr), LSM_INTERRUPT, "interrupted");
  store_check(db, ks, m);
  ck_lsm(lsm_wait_idle(db, NULL)); /* what has come to rest may be packed meanwhile */
  int files = (int)store_stats(db).sst_files;
  ck_assert_int_eq(store_await_files(env, ".sst", files), files); /* nothing is left of it */
  store_check(db, ks, m);
  ck_lsm(lsm_compact(db, ks, NULL));
  store_check(db, ks, m);
  model_free(m);
}
END_TEST

/*----------------------------------------------------------------- reopen */

/* Crash images opened and crashed again: several logs are replayed together. */
START_TEST(test_several_logs) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  model *m = model_new();
  lsm_env *last = env;
  for (int i = 0; i < 4; i++) {
    fill(ks, i, 300, 3, i % 2 ? "odd" : "even", m);
    /* New tables can't be written: the memtable and its log stay. */
    env_fault_fail(last, ENV_FAULT_OPEN | ENV_FAULT_RENAME, 3, LSM_FULL, ENV_FAULT_STICKY);
    lsm_rc rc = lsm_flush(db, NULL);
    env_fault_clear(last);
    lsm_txn *t = store_begin(db);
    ck_lsm(lsm_txn_put(t, ks, S("late"), S("x")));
    ck_lsm(lsm_txn_prepare(t, LSM_SYNC_NORMAL, false, NULL));
    lsm_txn_commit(t);
    model_put(m, S("late"), S("x"));
    (void)rc;
    lsm_env *image = NULL;
    ck_lsm(env_fault_crash(last, ENV_FAULT_KEEP, 1, &image));
    ck_lsm(lsm_close(db));
    if (last != env) env_fault_free(last);
    last = image;
    db = store_open(last, &opt);
    store_check(db, ks, m);
  }
  ck_lsm(lsm_flush(db, NULL));
  store_check(db, ks, m);
  store_verify(db);
  ck_lsm(lsm_wait_idle(db, NULL));
  ck_assert_int_le(store_count_files(last, ".wal"), 1);
  ck_lsm(lsm_close(db));
  env_fault_free(last);
  db = store_open(env, &opt);
  model_free(m);
}
END_TEST

/* Level 0 may be full when a store is opened: writers must not wait for a
** compaction that nobody has started. */
START_TEST(test_reopen_with_full_level0) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  int runs = 0;
  /* Compactions fail while they read; flushes do not read. */
  while (runs < 22) {
    char value[16];
    snprintf(value, sizeof(value), "%d", runs);
    env_fault_fail(env, ENV_FAULT_READ, 1, LSM_IOERR, ENV_FAULT_STICKY);
    lsm_txn *t = store_begin(db);
    ck_lsm(lsm_txn_put(t, ks, S("k"), S(value)));
    lsm_rc rc = lsm_txn_prepare(t, LSM_SYNC_OFF, false, NULL);
    if (rc != LSM_OK) {
      ck_lsm(lsm_txn_rollback(t));
      break;
    }
    lsm_txn_commit(t);
    ck_lsm(lsm_flush(db, NULL));
    runs++;
  }
  ck_assert_int_ge(runs, 20);
  env_fault_clear(env);
  reopen();
  store_put(db, ks, "l", "1");
  ck_assert_str_eq(store_get(db, ks, "l"), "1");
  ck_lsm(lsm_wait_idle(db, NULL));
  ck_assert_int_lt(list(ks).runs, 4);
}
END_TEST

/* When the flush fails for good, close must come back and lose nothing. */
/* Bytes of all logs. */
static lsm_rc add_log(void *arg, const char *name) {
  uint64_t *sum = arg, size = 0;
  lsm_file *f = NULL;
  char path[64];
  if (strstr(name, ".wal") == NULL) return LSM_OK;
  snprintf(path, sizeof(path), STORE_DIR "/%s", name);
  ck_lsm(env->open(env, path, LSM_OPEN_READ, &f));
  ck_lsm(f->ops->size(f, &size));
  lsm_file_close(f);
  *sum += size;
  return LSM_OK;
}

static uint64_t log_bytes(void) {
  uint64_t sum = 0;
  ck_lsm(env->list(env, STORE_DIR, add_log, &sum));
  return sum;
}

/* Commits that are synced have room in the log; closing gives it back. */
START_TEST(test_room_in_log) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  char key[16];
  for (int i = 0; i < 40; i++) {
    snprintf(key, sizeof(key), "k%d", i);
    lsm_txn *t = store_begin(db);
    ck_lsm(lsm_txn_put(t, ks, S(key), S("value")));
    store_commit(t, LSM_SYNC_FULL);
    ck_assert_uint_eq(log_bytes(), opt.memtable_size); /* no more than that */
    if (i == 10) { /* a second process, which knows as much */
      lsm_db *other = store_open(env, &opt);
      store_put(other, ks, key, "other");
      ck_assert_str_eq(store_get(db, ks, key), "other");
      ck_lsm(lsm_close(other));
      ck_assert_uint_lt(log_bytes(), 4096);
    }
  }
  lsm_env *image, *keep = env; /* a crash leaves it; who goes on uses it */
  ck_lsm(env_fault_crash(env, ENV_FAULT_KEEP, 1, &image));
  env = image;
  lsm_db *after = store_open(image, &opt);
  ck_assert_str_eq(store_get(after, ks, "k39"), "value");
  store_put(after, ks, "k40", "value");
  ck_assert_uint_eq(log_bytes(), opt.memtable_size);
  store_verify(after);
  ck_lsm(lsm_close(after));
  ck_assert_uint_lt(log_bytes(), 5000);
  env_fault_free(image);
  env = keep;
  reopen();
  ck_assert_uint_lt(log_bytes(), 5000);
  ck_assert_str_eq(store_get(db, ks, "k10"), "other");
  ck_assert_str_eq(store_get(db, ks, "k39"), "value");
}
END_TEST

START_TEST(test_close_with_failed_flush) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  model *m = model_new();
  fill(ks, 0, 300, 1, "kept", m);
  fill(ks, 300, 600, 1, "kept", m);
  /* _i: what fails: new files; syncs; syncs and cuts of the log. */
  static const unsigned masks[] = {ENV_FAULT_OPEN, ENV_FAULT_SYNC,
                                   ENV_FAULT_SYNC | ENV_FAULT_TRUNCATE, ENV_FAULT_SYNC_DIR};
  env_fault_fail(env, masks[_i], 1, LSM_IOERR, ENV_FAULT_STICKY);
  lsm_rc rc = lsm_flush(db, NULL);
  ck_assert_int_eq(rc, LSM_IOERR);
  lsm_rc closed = lsm_close(db);
  env_fault_clear(env);
  if (_i != 0) ck_assert_int_eq(closed, LSM_IOERR); /* nothing was made durable */
  db = store_open(env, &opt);
  store_check(db, ks, m);
  fill(ks, 600, 700, 1, "more", m);
  store_check(db, ks, m);
  ck_lsm(lsm_flush(db, NULL));
  store_check(db, ks, m);
  model_free(m);
}
END_TEST

Suite *db_suite(void) {
  Suite *s = suite_create("db");
  TCase *tc = tcase_create("db");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, test_missing_and_foreign);
  tcase_add_test(tc, test_another_id);
  tcase_add_test(tc, test_opened_twice);
  tcase_add_test(tc, test_id_is_for_ever);
  tcase_add_test(tc, test_lost_files);
  tcase_add_test(tc, test_lost_table);
  tcase_add_test(tc, test_read_only_writes_nothing);
  tcase_add_test(tc, test_keyspaces);
  tcase_add_test(tc, test_drop_unflushed);
  tcase_add_test(tc, test_many_keyspaces);
  tcase_add_test(tc, test_ranges_and_bounds);
  tcase_add_test(tc, test_snapshots_are_shared);
  tcase_add_loop_test(tc, test_snapshots_stay, 0, 2);
  tcase_add_test(tc, test_cursor_under_writes);
  tcase_add_loop_test(tc, test_compact_to_one_run, 0, 2);
  tcase_add_loop_test(tc, test_background, 0, 2);
  tcase_add_test(tc, test_stats);
  tcase_add_test(tc, test_estimate);
  tcase_add_test(tc, test_estimate_deleted);
  tcase_add_test(tc, test_interrupt);
  tcase_add_test(tc, test_several_logs);
  tcase_add_test(tc, test_reopen_with_full_level0);
  tcase_add_test(tc, test_room_in_log);
  tcase_add_loop_test(tc, test_close_with_failed_flush, 0, 4);
  tcase_set_timeout(tc, 60);
  suite_add_tcase(s, tc);
  return s;
}
