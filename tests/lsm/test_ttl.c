/* test_ttl.c: stores in which values expire, by a clock that stands until it is set. */
#include <stdio.h>
#include <stdlib.h>

#include "store.h"

Suite *ttl_suite(void);

#define START UINT64_C(1000000000000) /* the clock at first, milliseconds */
#define LATER (START + 1000)          /* when most expires */
#define DAY   UINT64_C(86400000)

static lsm_env *env;
static lsm_options opt;
static lsm_db *db;

static void set_clock(uint64_t ms) {
  env_fault_set_time(env, ms * 1000);
}

static void setup(void) {
  ck_lsm(env_fault_new(NULL, &env));
  set_clock(START);
  opt = store_options(1u << 20);
  db = store_open(env, &opt);
}

static void teardown(void) {
  ck_lsm(lsm_close(db));
  env_fault_free(env);
}

static uint32_t expiring(lsm_compaction compaction) {
  lsm_keyspace_options o;
  uint32_t id = 0;
  lsm_keyspace_options_init(&o);
  o.compaction = compaction;
  o.block_size = 256;
  o.compression = LSM_COMPRESS_NONE; /* or files are packed, and joined, when it is quiet */
  o.expires = true;
  ck_lsm(lsm_keyspace_create(db, &o, &id));
  ck_lsm(lsm_keyspace_get(db, id, &o));
  ck_assert(o.expires);
  return id;
}

static void put(uint32_t ks, const char *key, const char *value, uint64_t until) {
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put_until(t, ks, S(key), S(value), until));
  store_commit(t, LSM_SYNC_NORMAL);
}

/* Keys c000, c001, ... for c: n of them, in one file. */
static void fill(uint32_t ks, char c, int n, uint64_t until) {
  lsm_txn *t = store_begin(db);
  for (int i = 0; i < n; i++) {
    char key[16];
    snprintf(key, sizeof(key), "%c%03d", c, i);
    ck_lsm(lsm_txn_put_until(t, ks, S(key), S("some value or other"), until));
  }
  store_commit(t, LSM_SYNC_NORMAL);
  ck_lsm(lsm_flush(db, NULL));
}

static int count(uint32_t ks) {
  lsm_snapshot *snap = NULL;
  lsm_cursor *cur = NULL;
  int n = 0;
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  ck_lsm(lsm_cursor_open(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &cur));
  ck_lsm(lsm_cursor_first(cur));
  while (lsm_cursor_valid(cur)) {
    n++;
    ck_lsm(lsm_cursor_next(cur));
  }
  lsm_cursor_close(cur);
  lsm_snapshot_release(snap);
  return n;
}

static void idle(void) {
  ck_lsm(lsm_wait_idle(db, NULL));
}

/* Entries of the keyspace's files, tombstones among them. */
static lsm_rc add_entries(void *arg, const lsm_file_info *info) {
  *(uint64_t *)arg += info->entries;
  return LSM_OK;
}

static uint64_t entries(uint32_t ks) {
  uint64_t n = 0;
  ck_lsm(lsm_list_files(db, ks, add_entries, &n));
  return n;
}

static void reopen(void) {
  ck_lsm(lsm_close(db));
  db = store_open(env, &opt);
}

/*-------------------------------------------------------------------- reads */

static void fill_to_look(uint32_t ks) {
  set_clock(START);
  put(ks, "a", "1", LATER);
  put(ks, "b", "2", LATER + DAY);
  put(ks, "c", "3", 1); /* long ago */
  put(ks, "d", "4", LATER);
  store_put(db, ks, "e", ""); /* never */
}

/* The clock goes on: what has expired may be gone from disk at any moment. */
static void look(uint32_t ks) {
  lsm_snapshot *snap = NULL;
  set_clock(LATER - 1);
  ck_assert_str_eq(store_all(db, ks), "a=1 b=2 d=4 e=");
  set_clock(LATER);
  ck_assert_str_eq(store_all(db, ks), "b=2 e=");
  ck_assert_str_eq(store_get(db, ks, "a"), "-");
  ck_assert_str_eq(store_get(db, ks, "b"), "2");
  ck_assert_str_eq(store_get(db, ks, "c"), "-");
  ck_assert_str_eq(store_get(db, ks, "e"), "");
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  ck_assert_str_eq(store_scan(snap, ks, NULL, NULL, true), "e= b=2");
  ck_assert_str_eq(store_scan(snap, ks, "a", "c", false), "b=2");
  lsm_snapshot_release(snap);
  set_clock(LATER + DAY);
  ck_assert_str_eq(store_all(db, ks), "e=");
}

/* The same in the memtable, in a table, and after a reopen. */
START_TEST(test_reads) {
  for (int where = 0; where < 4; where++) {
    uint32_t before = store_keyspace(db, LSM_LEVELED); /* neighbours whose values do not */
    uint32_t ks = expiring(_i ? LSM_TIERED : LSM_LEVELED);
    uint32_t after = store_keyspace(db, LSM_LEVELED);
    store_put(db, before, "z", "no");
    store_put(db, after, "", "x");
    fill_to_look(ks);
    if (where & 1) ck_lsm(lsm_flush(db, NULL));
    if (where & 2) reopen();
    look(ks);
    ck_assert_str_eq(store_all(db, before), "z=no");
    ck_assert_str_eq(store_all(db, after), "=x");
    store_verify(db);
  }
}
END_TEST

START_TEST(test_until) {
  uint32_t ks = expiring(LSM_LEVELED), plain = store_keyspace(db, LSM_LEVELED);
  lsm_snapshot *snap = NULL;
  lsm_cursor *cur = NULL;
  lsm_txn *t = store_begin(db);
  ck_assert_int_eq(lsm_txn_put_until(t, plain, S("k"), S("v"), 5), LSM_MISUSE);
  ck_assert(lsm_txn_is_empty(t));
  ck_lsm(lsm_txn_put(t, plain, S("k"), S("v")));
  ck_lsm(lsm_txn_put(t, ks, S("a"), S("1")));
  ck_lsm(lsm_txn_put_until(t, ks, S("b"), S("2"), LATER));
  store_commit(t, LSM_SYNC_FULL);
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  ck_lsm(lsm_cursor_open(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &cur));
  ck_lsm(lsm_cursor_first(cur));
  ck_assert_uint_eq(lsm_cursor_until(cur), 0);
  ck_lsm(lsm_cursor_next(cur));
  ck_assert_uint_eq(lsm_cursor_until(cur), LATER);
  lsm_cursor_close(cur);
  ck_lsm(lsm_cursor_open(snap, plain, LSM_SLICE_NULL, LSM_SLICE_NULL, &cur));
  ck_lsm(lsm_cursor_first(cur));
  ck_assert_uint_eq(lsm_cursor_until(cur), 0);
  ck_assert(lsm_slice_eq(lsm_cursor_value(cur), S("v")));
  lsm_cursor_close(cur);
  lsm_snapshot_release(snap);
}
END_TEST

/* An expired value hides what is older, as a tombstone does, wherever both are. */
START_TEST(test_hides_older) {
  uint32_t ks = expiring(_i & 1 ? LSM_TIERED : LSM_LEVELED);
  put(ks, "a", "old", 0);
  put(ks, "b", "old", 0);
  if (_i & 2) ck_lsm(lsm_flush(db, NULL));
  put(ks, "a", "new", LATER);
  if (_i & 4) ck_lsm(lsm_flush(db, NULL));
  set_clock(LATER);
  ck_assert_str_eq(store_all(db, ks), "b=old");
  idle();
  ck_assert_str_eq(store_all(db, ks), "b=old");
  ck_lsm(lsm_flush(db, NULL));
  idle();
  ck_assert_str_eq(store_all(db, ks), "b=old");
  ck_lsm(lsm_compact(db, ks, NULL));
  ck_assert_str_eq(store_all(db, ks), "b=old");
  ck_assert_uint_eq(entries(ks), 1);
  reopen();
  ck_assert_str_eq(store_all(db, ks), "b=old");
  store_verify(db);
}
END_TEST

/* A cursor keeps the time at which it was opened, a snapshot the one it was made for. */
START_TEST(test_snapshots) {
  uint32_t ks = expiring(LSM_LEVELED);
  lsm_snapshot *early = NULL, *late = NULL, *at = NULL;
  lsm_cursor *cur = NULL;
  put(ks, "a", "1", LATER);
  put(ks, "b", "2", LATER);
  ck_lsm(lsm_snapshot_acquire(db, &early));
  ck_lsm(lsm_snapshot_acquire(db, &late));
  ck_assert_str_eq(store_get_in(early, ks, "a"), "1");
  ck_lsm(lsm_cursor_open(early, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &cur));
  ck_lsm(lsm_cursor_first(cur));
  set_clock(LATER);
  ck_assert_str_eq(store_get_in(early, ks, "a"), "-");
  ck_assert_str_eq(store_get_in(late, ks, "a"), "-");
  ck_lsm(lsm_snapshot_at(early, LATER, &at));
  ck_assert_str_eq(store_scan(at, ks, NULL, NULL, false), "");
  lsm_snapshot_release(at);
  ck_lsm(lsm_flush(db, NULL)); /* what goes from the store stays in the snapshot */
  ck_lsm(lsm_compact(db, ks, NULL));
  ck_assert_uint_eq(entries(ks), 0);
  ck_lsm(lsm_cursor_next(cur));
  ck_assert(lsm_cursor_valid(cur) && lsm_slice_eq(lsm_cursor_value(cur), S("2")));
  ck_lsm(lsm_snapshot_at(late, LATER - 1, &at));
  ck_assert_str_eq(store_scan(at, ks, NULL, NULL, true), "b=2 a=1");
  lsm_snapshot_release(at);
  lsm_cursor_close(cur);
  lsm_snapshot_release(early);
  lsm_snapshot_release(late);
}
END_TEST

static const char *txn_get(lsm_txn *t, uint32_t ks, const char *key) {
  static char text[100];
  lsm_buf value = {0};
  lsm_rc rc = lsm_txn_get(t, ks, S(key), &value);
  snprintf(text, sizeof(text), "%s", rc == LSM_NOTFOUND ? "-" : "");
  if (rc != LSM_NOTFOUND) {
    ck_lsm(rc);
    snprintf(text, sizeof(text), "%.*s", (int)value.size, (const char *)value.data);
  }
  lsm_buf_fini(&value);
  return text;
}

/* Its own writes expire like others', in a keyspace that it knows nothing of as well;
** in files when it is large. */
START_TEST(test_transaction) {
  uint32_t ks = expiring(LSM_LEVELED);
  lsm_snapshot *snap = NULL;
  put(ks, "a", "1", LATER);
  reopen();
  opt.txn_memory = 20000;
  if (_i) reopen();
  lsm_txn *t = store_begin(db);
  uint32_t fresh = expiring(LSM_TIERED);
  ck_lsm(lsm_txn_put_until(t, ks, S("b"), S("2"), LATER));
  ck_lsm(lsm_txn_put_until(t, fresh, S("c"), S("3"), LATER));
  ck_lsm(lsm_txn_put(t, fresh, S("d"), S("4")));
  for (int i = 0; _i && i < 3000; i++) {
    char key[16];
    snprintf(key, sizeof(key), "k%06d", i);
    ck_lsm(lsm_txn_put_until(t, ks, S(key), S("something"), i % 2 ? LATER : 0));
  }
  ck_assert_str_eq(txn_get(t, ks, "a"), "1");
  ck_assert_str_eq(txn_get(t, ks, "b"), "2");
  ck_assert_str_eq(txn_get(t, fresh, "c"), "3");
  set_clock(LATER);
  ck_assert_str_eq(txn_get(t, ks, "a"), "-");
  ck_assert_str_eq(txn_get(t, ks, "b"), "-");
  ck_assert_str_eq(txn_get(t, fresh, "c"), "-");
  ck_assert_str_eq(txn_get(t, fresh, "d"), "4");
  lsm_txn_set_now(t, LATER - 1);
  ck_assert_str_eq(txn_get(t, ks, "a"), "1");
  ck_assert_str_eq(txn_get(t, fresh, "c"), "3");
  ck_lsm(lsm_txn_snapshot(t, &snap));
  ck_assert_str_eq(store_scan(snap, fresh, NULL, NULL, false), "c=3 d=4");
  ck_assert_str_eq(store_scan(snap, ks, NULL, "c", true), "b=2 a=1");
  lsm_snapshot_release(snap);
  lsm_txn_set_now(t, 0);
  store_commit(t, LSM_SYNC_FULL);
  ck_assert_int_eq(count(ks), _i ? 1500 : 0);
  ck_assert_str_eq(store_all(db, fresh), "d=4");
  reopen();
  ck_assert_int_eq(count(ks), _i ? 1500 : 0);
  ck_assert_str_eq(store_all(db, fresh), "d=4");
  ck_lsm(lsm_flush(db, NULL));
  ck_lsm(lsm_compact(db, ks, NULL));
  ck_assert_uint_eq(entries(ks), _i ? 1500 : 0);
  store_verify(db);
}
END_TEST

/*-------------------------------------------------------------------- disk */

/* Files in which all has expired go, and nobody reads them. */
START_TEST(test_whole_files) {
  uint32_t ks = expiring(_i ? LSM_TIERED : LSM_LEVELED);
  fill(ks, 'a', 300, LATER);
  fill(ks, 'b', 200, LATER + DAY);
  idle();
  reopen(); /* no table is open, no block cached */
  idle();
  ck_assert_int_eq(store_await_files(env, ".sst", 2), 2);
  expiring(LSM_LEVELED); /* opens the manifest */
  env_fault_fail(env, ENV_FAULT_READ, 0, LSM_OK, 0);
  set_clock(LATER);
  idle();
  ck_assert_uint_eq(env_fault_calls(env), 0);
  ck_assert_int_eq(store_await_files(env, ".sst", 1), 1);
  ck_assert_uint_eq(store_stats(db).expired_files, 1);
  ck_assert_uint_eq(store_stats(db).expired_entries, 300);
  ck_assert_uint_eq(store_stats(db).compactions, 0);
  ck_assert_int_eq(count(ks), 200);
  set_clock(LATER + DAY);
  idle();
  ck_assert_int_eq(store_await_files(env, ".sst", 0), 0);
  store_verify(db);
  reopen();
  ck_assert_int_eq(count(ks), 0);
}
END_TEST

/* So does what expired while the store was closed, without a write. */
START_TEST(test_at_open) {
  uint32_t ks = expiring(LSM_LEVELED);
  fill(ks, 'a', 100, LATER);
  ck_lsm(lsm_close(db));
  set_clock(LATER);
  db = store_open(env, &opt);
  for (int i = 0; i < 100000 && store_stats(db).sst_files > 0; i++) env->sleep_us(env, 100);
  ck_assert_uint_eq(store_stats(db).sst_files, 0);
}
END_TEST

/* A file that hides something stays, or is merged; never does that come back. */
START_TEST(test_blocked) {
  uint32_t ks = expiring(_i ? LSM_TIERED : LSM_LEVELED);
  fill(ks, 'a', 100, 0);
  ck_lsm(lsm_compact(db, ks, NULL));
  fill(ks, 'a', 50, LATER); /* newer, and shorter-lived */
  set_clock(LATER);
  ck_assert_int_eq(count(ks), 50);
  idle();
  ck_assert_int_eq(count(ks), 50);
  ck_assert_uint_eq(entries(ks), 50); /* it was merged with what it hid */
  ck_assert_uint_eq(store_stats(db).expired_files, 0);
  set_clock(START);
  ck_assert_int_eq(count(ks), 50);
  store_verify(db);
}
END_TEST

/* A tombstone goes with what it hides, in one step, so that not even a clock that is
** set back shows it. */
START_TEST(test_clock_set_back) {
  uint32_t ks = expiring(_i ? LSM_TIERED : LSM_LEVELED);
  fill(ks, 'a', 20, LATER);
  if (!_i) ck_lsm(lsm_compact(db, ks, NULL));
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_delete(t, ks, S("a003")));
  ck_lsm(lsm_txn_delete_range(t, ks, S("a005"), S("a007")));
  for (int i = 0; i < 40; i++) {
    char key[16];
    snprintf(key, sizeof(key), "b%03d", i);
    ck_lsm(lsm_txn_put_until(t, ks, S(key), S("x"), LATER));
  }
  store_commit(t, LSM_SYNC_NORMAL);
  ck_lsm(lsm_flush(db, NULL));
  idle();
  ck_assert_int_eq(count(ks), 57);
  uint64_t files = store_stats(db).sst_files;
  ck_assert_uint_eq(files, 2);
  set_clock(LATER);
  idle();
  ck_assert_uint_eq(store_stats(db).sst_files, 0);
  ck_assert_uint_eq(store_stats(db).expired_files, files);
  set_clock(START);
  ck_assert_int_eq(count(ks), 0);
}
END_TEST

/* A over B over C, of which only C lives and A meets B alone: A waits for B. */
START_TEST(test_chain) {
  uint32_t ks = expiring(LSM_TIERED);
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S("c"), S("lives")));
  ck_lsm(lsm_txn_put(t, ks, S("d"), S("lives")));
  store_commit(t, LSM_SYNC_NORMAL);
  ck_lsm(lsm_flush(db, NULL));
  t = store_begin(db);
  ck_lsm(lsm_txn_put_until(t, ks, S("b"), S("B"), LATER));
  ck_lsm(lsm_txn_put_until(t, ks, S("c"), S("B"), LATER));
  store_commit(t, LSM_SYNC_NORMAL);
  ck_lsm(lsm_flush(db, NULL));
  store_put(db, ks, "b", NULL);
  put(ks, "a", "A", LATER);
  ck_lsm(lsm_flush(db, NULL));
  set_clock(LATER);
  idle();
  ck_assert_str_eq(store_all(db, ks), "d=lives");
  set_clock(START); /* neither what A deleted nor what B hid */
  ck_assert_str_eq(store_all(db, ks), "d=lives");
  store_verify(db);
}
END_TEST

/* Runs are merged over an older one that stays: what has expired in them still hides
** what that has. */
START_TEST(test_partial_merge) {
  uint32_t ks = expiring(LSM_TIERED);
  fill(ks, 'a', 300, 0);
  ck_lsm(lsm_compact(db, ks, NULL));
  for (int run = 0; run < 4; run++) {
    if (run == 3) {
      idle();
      ck_assert_int_eq(store_await_files(env, ".sst", 4), 4);
      set_clock(LATER);
    }
    lsm_txn *t = store_begin(db);
    for (char c = 'p'; c < 'v'; c++) ck_lsm(lsm_txn_put(t, ks, lsm_slice_of(&c, 1), S("x")));
    if (run < 3) ck_lsm(lsm_txn_put_until(t, ks, S("a001"), S("new"), LATER));
    store_commit(t, LSM_SYNC_NORMAL);
    ck_lsm(lsm_flush(db, NULL));
  }
  idle();
  ck_assert_uint_eq(store_stats(db).expired_entries, 1);
  ck_assert_int_eq(store_count_files(env, ".sst"), 2); /* the four are one */
  ck_assert_str_eq(store_get(db, ks, "a001"), "-");
  set_clock(START);
  ck_assert_str_eq(store_get(db, ks, "a001"), "-");
  ck_assert_int_eq(count(ks), 299 + 6);
}
END_TEST

/* Half of a file has expired: it is written anew, unless soon it will go as a whole. */
START_TEST(test_half) {
  uint32_t ks = expiring(_i ? LSM_TIERED : LSM_LEVELED);
  lsm_txn *t = store_begin(db);
  for (int i = 0; i < 1000; i++) {
    char key[16];
    snprintf(key, sizeof(key), "k%04d", i);
    uint64_t until = i % 10 < 6 ? LATER : i % 10 < 9 ? LATER + DAY : LATER + DAY + 1000;
    ck_lsm(lsm_txn_put_until(t, ks, S(key), S("twenty bytes of text"), until));
  }
  store_commit(t, LSM_SYNC_NORMAL);
  ck_lsm(lsm_flush(db, NULL));
  idle();
  set_clock(LATER - 1);
  idle();
  ck_assert_uint_eq(entries(ks), 1000);
  set_clock(LATER);
  idle();
  ck_assert_uint_eq(entries(ks), 400);
  ck_assert_uint_eq(store_stats(db).expired_entries, 600);
  ck_assert_uint_eq(store_stats(db).expired_files, 0);
  set_clock(LATER + DAY);
  idle();
  ck_assert_uint_eq(entries(ks), 400);
  ck_assert_int_eq(count(ks), 100);
  ck_lsm(lsm_compact(db, ks, NULL)); /* by hand at once */
  ck_assert_uint_eq(entries(ks), 100);
  ck_lsm(lsm_compact(db, ks, NULL));
  set_clock(LATER + DAY + 1000);
  idle();
  ck_assert_uint_eq(entries(ks), 0);
  ck_assert_int_eq(store_await_files(env, ".sst", 0), 0);
}
END_TEST

/* What has expired in memory is not written at all, or as a tombstone. */
START_TEST(test_flush) {
  uint32_t ks = expiring(LSM_LEVELED);
  put(ks, "a", "1", LATER);
  set_clock(LATER);
  ck_lsm(lsm_flush(db, NULL));
  ck_assert_uint_eq(entries(ks), 0);
  put(ks, "b", "old", 0);
  ck_lsm(lsm_flush(db, NULL));
  put(ks, "b", "new", LATER);
  ck_lsm(lsm_flush(db, NULL));
  ck_assert_uint_eq(store_stats(db).expired_entries, 2);
  ck_assert_str_eq(store_all(db, ks), "");
  set_clock(START);
  ck_assert_str_eq(store_all(db, ks), "");
}
END_TEST

START_TEST(test_drop_keyspace) {
  uint32_t ks = expiring(LSM_LEVELED), other = expiring(LSM_TIERED);
  fill(ks, 'a', 100, LATER);
  fill(other, 'a', 100, LATER);
  set_clock(LATER);
  ck_lsm(lsm_keyspace_drop(db, ks));
  idle();
  ck_assert_int_eq(store_await_files(env, ".sst", 0), 0);
  ck_assert_int_eq(count(other), 0);
}
END_TEST

START_TEST(test_estimate) {
  uint32_t ks = expiring(LSM_LEVELED);
  lsm_snapshot *snap = NULL;
  uint64_t rows, bytes;
  fill(ks, 'a', 100, LATER);
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  ck_lsm(lsm_estimate(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &rows, &bytes));
  ck_assert_uint_eq(rows, 100);
  set_clock(LATER);
  ck_lsm(lsm_estimate(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &rows, &bytes));
  ck_assert_uint_eq(rows, 0);
  lsm_snapshot_release(snap);
}
END_TEST

/* Two processes, as two handles: one drops what the other still reads. */
START_TEST(test_two_processes) {
  uint32_t ks = expiring(_i ? LSM_TIERED : LSM_LEVELED);
  lsm_db *other = NULL;
  lsm_snapshot *snap = NULL;
  lsm_cursor *cur = NULL;
  int n = 0;
  ck_lsm(lsm_open(env, STORE_DIR, &opt, &other));
  fill(ks, 'a', 100, LATER);
  ck_lsm(lsm_snapshot_acquire(other, &snap));
  ck_lsm(lsm_cursor_open(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &cur));
  ck_lsm(lsm_cursor_first(cur));
  set_clock(LATER);
  idle();
  ck_assert_uint_eq(store_stats(db).sst_files, 0);
  for (; lsm_cursor_valid(cur); n++) ck_lsm(lsm_cursor_next(cur));
  ck_assert_int_eq(n, 100);
  ck_assert_str_eq(store_get_in(snap, ks, "a001"), "-");
  lsm_cursor_close(cur);
  lsm_snapshot_release(snap);
  ck_assert_str_eq(store_get(other, ks, "a001"), "-");
  ck_lsm(lsm_wait_idle(other, NULL));
  ck_assert_uint_eq(store_stats(other).sst_files, 0);
  fill(ks, 'a', 1, 0);
  ck_assert_str_eq(store_get(other, ks, "a000"), "some value or other");
  store_verify(other);
  ck_lsm(lsm_close(other));
  idle();
  ck_assert_int_eq(count(ks), 1);
  reopen();
  ck_assert_int_eq(store_await_files(env, ".sst", 1), 1);
}
END_TEST

/*------------------------------------------------------------------ formats */

/* The version in the header of the manifest that is in force: of the greatest number. */
typedef struct newest {
  char name[64];
} newest;

static lsm_rc find_manifest(void *arg, const char *name) {
  newest *n = arg;
  size_t len = strlen(name);
  if (len > 9 && strcmp(name + len - 9, ".manifest") == 0 && strcmp(name, n->name) > 0) {
    snprintf(n->name, sizeof(n->name), "%s", name);
  }
  return LSM_OK;
}

static int manifest_version(const char *dir) {
  newest n = {""};
  char path[200];
  lsm_buf bytes = {0};
  ck_lsm(env->list(env, dir, find_manifest, &n));
  snprintf(path, sizeof(path), "%s/%s", dir, n.name);
  ck_lsm(lsm_env_read_file(env, path, &bytes));
  int version = (int)lsm_get_u32(bytes.data + 8);
  lsm_buf_fini(&bytes);
  return version;
}

/* Programs that do not know of expiry are told by the manifest's version. */
START_TEST(test_manifest_version) {
  uint32_t plain = store_keyspace(db, LSM_LEVELED);
  store_put(db, plain, "a", "1");
  ck_lsm(lsm_flush(db, NULL));
  ck_assert_int_eq(manifest_version(STORE_DIR), 1);
  uint32_t ks = expiring(LSM_LEVELED);
  ck_assert_int_eq(manifest_version(STORE_DIR), 2);
  fill(ks, 'a', 10, LATER);
  expiring(LSM_TIERED);
  ck_assert_int_eq(manifest_version(STORE_DIR), 2);
  reopen();
  ck_assert_str_eq(store_all(db, plain), "a=1");
  ck_assert_int_eq(count(ks), 10);
  ck_lsm(lsm_backup(db, "/copy", NULL));
  ck_assert_int_eq(manifest_version("/copy"), 2);
  lsm_db *copy = NULL;
  ck_lsm(lsm_open(env, "/copy", &opt, &copy));
  ck_assert_str_eq(store_get(copy, ks, "a000"), "some value or other");
  set_clock(LATER);
  ck_assert_str_eq(store_get(copy, ks, "a000"), "-");
  ck_lsm(lsm_wait_idle(copy, NULL));
  ck_assert_uint_eq(store_stats(copy).sst_files, 1);
  ck_lsm(lsm_close(copy));
}
END_TEST

/*----------------------------------------------------------------- failures */

/* What a store has that failed, or lost power, at any step of getting rid of files. */
static void check_image(lsm_env *image, uint32_t ks) {
  lsm_env *was = env;
  lsm_db *old = db;
  env = image;
  set_clock(LATER);
  db = store_open(env, &opt);
  ck_assert_int_eq(count(ks), 50);
  idle();
  ck_assert_int_eq(count(ks), 50);
  store_verify(db);
  set_clock(START);
  ck_assert_int_eq(count(ks), 50);
  ck_lsm(lsm_close(db));
  env_fault_free(image);
  env = was;
  db = old;
}

START_TEST(test_failures) {
  for (uint64_t n = 1;; n++) {
    uint32_t ks = expiring(_i & 1 ? LSM_TIERED : LSM_LEVELED);
    fill(ks, 'a', 100, 0);
    ck_lsm(lsm_compact(db, ks, NULL));
    fill(ks, 'b', 100, LATER); /* to be dropped */
    fill(ks, 'a', 50, LATER);  /* to be merged */
    idle();
    env_fault_fail(env, ENV_FAULT_CHANGES, n, _i & 2 ? LSM_IOERR : LSM_FULL, ENV_FAULT_STICKY);
    set_clock(LATER);
    lsm_rc rc = lsm_wait_idle(db, NULL);
    bool fired = env_fault_fired(env) > 0;
    ck_assert(fired || rc == LSM_OK);
    ck_assert_int_eq(count(ks), 50);
    for (uint64_t seed = 1; seed < 4; seed++) {
      lsm_env *image = NULL;
      ck_lsm(env_fault_crash(env, seed == 1 ? ENV_FAULT_KEEP : ENV_FAULT_TEAR, seed, &image));
      check_image(image, ks);
    }
    env_fault_clear(env);
    idle();
    ck_assert_int_eq(count(ks), 50);
    ck_assert_uint_eq(entries(ks), 50);
    store_verify(db);
    ck_lsm(lsm_keyspace_drop(db, ks));
    set_clock(START);
    if (!fired) break;
  }
}
END_TEST

static bool count_down(void *arg) {
  return --*(_Atomic int *)arg != 0;
}

START_TEST(test_out_of_memory) {
  uint32_t ks = expiring(LSM_LEVELED);
  fill(ks, 'a', 20, LATER);
  idle();
  for (int n = 1; n < 400; n++) {
    static _Atomic int left;
    lsm_snapshot *snap = NULL, *at = NULL;
    lsm_cursor *cur = NULL;
    lsm_txn *t = NULL;
    left = n;
    lsm_set_malloc_hook(count_down, &left);
    lsm_rc rc = lsm_txn_begin(db, 0, NULL, &t);
    if (rc == LSM_OK) rc = lsm_txn_put_until(t, ks, S("b"), S("2"), LATER);
    if (rc == LSM_OK) rc = lsm_txn_prepare(t, LSM_SYNC_NORMAL, NULL, NULL);
    if (rc == LSM_OK) lsm_txn_commit(t);
    if (rc != LSM_OK) (void)lsm_txn_rollback(t);
    if (rc == LSM_OK) rc = lsm_snapshot_acquire(db, &snap);
    if (rc == LSM_OK) rc = lsm_snapshot_at(snap, LATER - 1, &at);
    if (rc == LSM_OK) rc = lsm_cursor_open(at, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &cur);
    if (rc == LSM_OK) rc = lsm_cursor_first(cur);
    lsm_set_malloc_hook(NULL, NULL);
    if (rc == LSM_OK) ck_assert(lsm_slice_eq(lsm_cursor_key(cur), S("a000")));
    lsm_cursor_close(cur);
    lsm_snapshot_release(at);
    lsm_snapshot_release(snap);
    if (rc == LSM_OK && left > 0) return;
    ck_assert(rc == LSM_OK || rc == LSM_NOMEM);
  }
  ck_abort_msg("no end");
}
END_TEST

Suite *ttl_suite(void) {
  Suite *s = suite_create("ttl");
  TCase *tc = tcase_create("ttl");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 300);
  tcase_add_loop_test(tc, test_reads, 0, 2);
  tcase_add_test(tc, test_until);
  tcase_add_loop_test(tc, test_hides_older, 0, 8);
  tcase_add_test(tc, test_snapshots);
  tcase_add_loop_test(tc, test_transaction, 0, 2);
  tcase_add_loop_test(tc, test_whole_files, 0, 2);
  tcase_add_test(tc, test_at_open);
  tcase_add_loop_test(tc, test_blocked, 0, 2);
  tcase_add_loop_test(tc, test_clock_set_back, 0, 2);
  tcase_add_test(tc, test_chain);
  tcase_add_test(tc, test_partial_merge);
  tcase_add_loop_test(tc, test_half, 0, 2);
  tcase_add_test(tc, test_flush);
  tcase_add_test(tc, test_drop_keyspace);
  tcase_add_test(tc, test_estimate);
  tcase_add_loop_test(tc, test_two_processes, 0, 2);
  tcase_add_test(tc, test_manifest_version);
  tcase_add_loop_test(tc, test_failures, 0, 4);
  tcase_add_test(tc, test_out_of_memory);
  suite_add_tcase(s, tc);
  return s;
}
