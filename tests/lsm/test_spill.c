/* test_spill.c: transactions that are larger than their share of memory: what is
** written out early, what is seen of it, and what is left of it after commit and
** rollback; of random ones after a crash too. The share is tiny here.
** LSM_TEST_SEEDS: how many seeds of the random test. */
#include <stdio.h>
#include <stdlib.h>

#include "db_int.h"
#include "store.h"

Suite *spill_suite(void);

enum { KEYSPACES = 3, MARKS = 8, SNAPSHOTS = 6, KEYS = 300 };

static lsm_env *env;
static lsm_options opt;
static lsm_db *db;
static uint64_t seed;

static void setup(void) {
  ck_lsm(env_fault_new(NULL, &env));
  opt = store_options(16u << 10);
  opt.txn_memory = 600;
  db = store_open(env, &opt);
  seed = 7;
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

static uint64_t rnd(uint64_t n) {
  return disk_random(&seed) % n;
}

static int tables(void) {
  return store_count_files(env, ".sst");
}

/* Nothing is on disk but what the store has. */
static void check_no_orphans(void) {
  ck_lsm(lsm_wait_idle(db, NULL));
  lsm_db_purge(db);
  store_check_files(env, db);
}

static void check_txn(lsm_txn *t, uint32_t ks, const model *m) {
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_txn_snapshot(t, &snap));
  store_check_in(snap, ks, m);
  lsm_snapshot_release(snap);
  for (int i = 0; i < 5; i++) {
    char key[16];
    lsm_buf got = {0};
    lsm_slice want;
    snprintf(key, sizeof(key), "k%05d", (int)rnd(KEYS));
    lsm_rc rc = lsm_txn_get(t, ks, S(key), &got);
    if (model_get(m, S(key), &want)) {
      ck_lsm(rc);
      ck_assert(lsm_slice_eq(lsm_buf_slice(&got), want));
    } else {
      ck_assert_int_eq(rc, LSM_NOTFOUND);
    }
    lsm_buf_fini(&got);
  }
}

/*---------------------------------------------------------------- by hand */

/* Overlay, runs and store hide each other in the order of age. */
START_TEST(test_layers) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  model *m = model_new();
  lsm_txn *t = store_begin(db);
  store_fill(t, ks, 0, 100, "store", m);
  store_commit(t, LSM_SYNC_NORMAL);
  ck_lsm(lsm_compact(db, ks, NULL));
  check_no_orphans();
  int few = tables();

  t = store_begin(db);
  ck_assert(lsm_txn_is_empty(t));
  store_fill(t, ks, 50, 150, "first", m);
  ck_lsm(lsm_txn_delete_range(t, ks, S("k00020"), S("k00060")));
  model_delete_range(m, S("k00020"), S("k00060"));
  store_fill(t, ks, 30, 40, "second", m);
  ck_lsm(lsm_txn_delete(t, ks, S("k00035")));
  model_delete(m, S("k00035"));
  ck_assert_int_gt(tables(), few + 2);
  ck_assert(!lsm_txn_is_empty(t));
  check_txn(t, ks, m);
  ck_assert_str_eq(store_get(db, ks, "k00120"), "-"); /* nobody else sees it */
  ck_assert_str_eq(store_get(db, ks, "k00030"), "store-30");
  uint64_t rows = 0, bytes = 0;
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_txn_snapshot(t, &snap));
  ck_lsm(lsm_estimate(snap, ks, S("k00100"), LSM_SLICE_NULL, &rows, &bytes));
  ck_assert(rows >= 25 && rows <= 100 && bytes > 0);
  store_commit(t, LSM_SYNC_FULL);
  store_check_in(snap, ks, m);
  lsm_snapshot_release(snap);
  store_check(db, ks, m);
  store_verify(db);
  check_no_orphans();
  reopen();
  store_check(db, ks, m);
  ck_lsm(lsm_compact(db, ks, NULL));
  store_check(db, ks, m);
  check_no_orphans();
  model_free(m);
}
END_TEST

/* All is given back: at once, or when the last snapshot goes. */
START_TEST(test_rollback) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  model *m = model_new(), *inner;
  lsm_snapshot *snap = NULL;
  lsm_txn *t = store_begin(db);
  store_fill(t, ks, 0, 300, "never", m);
  int many = tables();
  ck_assert_int_gt(many, 2);
  ck_lsm(lsm_txn_savepoint(t, 0));
  inner = model_copy(m);
  ck_lsm(lsm_txn_savepoint(t, 1));
  store_fill(t, ks, 100, 500, "inner", inner);
  check_txn(t, ks, inner);
  ck_assert_int_gt(tables(), many);
  ck_lsm(lsm_txn_rollback_to(t, 0));
  check_txn(t, ks, m);
  ck_assert_int_le(tables(), many + 1);
  if (_i == 1) ck_lsm(lsm_txn_snapshot(t, &snap));
  if (_i == 2) ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, NULL, NULL));
  if (_i == 3) ck_lsm(lsm_txn_prepare(t, LSM_SYNC_OFF, store_host_name, NULL));
  if (_i == 4) {
    ck_lsm(lsm_txn_rollback_to(t, -1));
    ck_assert(lsm_txn_is_empty(t));
    ck_assert_int_eq(store_await_files(env, ".sst", 0), 0);
  }
  ck_lsm(lsm_txn_rollback(t));
  if (snap != NULL) {
    ck_assert_int_gt(tables(), 0);
    store_check_in(snap, ks, m);
    lsm_snapshot_release(snap);
  }
  ck_assert_int_eq(store_await_files(env, ".sst", 0), 0);
  ck_assert_str_eq(store_all(db, ks), "");
  reopen();
  ck_assert_str_eq(store_all(db, ks), "");
  ck_assert_int_eq(store_await_files(env, ".sst", 0), 0);
  model_free(inner);
  model_free(m);
}
END_TEST

/* Rising keys make one run, others few: level 0 is not flooded by a commit. */
START_TEST(test_number_of_runs) {
  uint32_t ks = store_keyspace(db, _i == 0 ? LSM_LEVELED : LSM_TIERED);
  model *m = model_new();
  lsm_txn *t = store_begin(db);
  store_fill(t, ks, 0, 2000, "rising", m);
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_txn_snapshot(t, &snap));
  ck_assert_ptr_nonnull(snap->runs[0]);
  ck_assert_uint_eq(lsm_runs_count(snap->runs[0]), 1);
  lsm_snapshot_release(snap);
  for (int i = 0; i < 3000; i++) {
    char key[16];
    snprintf(key, sizeof(key), "k%05d", (int)rnd(5000));
    ck_lsm(lsm_txn_put(t, ks, S(key), S("random")));
    model_put(m, S(key), S("random"));
    if (i % 500 == 7) {
      ck_lsm(lsm_txn_delete_range(t, ks, S(key), S("k00777")));
      model_delete_range(m, S(key), S("k00777"));
    }
  }
  ck_lsm(lsm_txn_snapshot(t, &snap));
  ck_assert_uint_lt(lsm_runs_count(snap->runs[0]), 24);
  ck_assert_uint_gt(store_stats(db).compaction_bytes, 0);
  store_check_in(snap, ks, m);
  lsm_snapshot_release(snap);
  store_commit(t, LSM_SYNC_NORMAL);
  store_check(db, ks, m);
  store_put(db, ks, "k", "newer");
  ck_assert_str_eq(store_get(db, ks, "k"), "newer");
  model_put(m, S("k"), S("newer"));
  reopen();
  store_check(db, ks, m);
  check_no_orphans();
  model_free(m);
}
END_TEST

/* A mark that shows part of an overlay that was written since. */
START_TEST(test_marks) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  model *states[5];
  opt.txn_memory = 4000;
  reopen();
  lsm_txn *t = store_begin(db);
  states[0] = model_new();
  for (int i = 0; i < 4; i++) {
    states[i + 1] = model_copy(states[i]);
    ck_lsm(lsm_txn_savepoint(t, i));
    store_fill(t, ks, i, 10 + i, i % 2 == 0 ? "even" : "odd", states[i + 1]);
    ck_lsm(lsm_txn_delete(t, ks, S("k00005")));
    model_delete(states[i + 1], S("k00005"));
  }
  ck_assert_int_eq(store_await_files(env, ".sst", 0), 0);
  lsm_txn_release(t, 3);
  ck_lsm(lsm_txn_savepoint(t, 3)); /* at the end: nothing of its own */
  model *all = model_copy(states[4]);
  store_fill(t, ks, 50, 400, "large", all);
  ck_assert_int_gt(tables(), 3);
  check_txn(t, ks, all);
  for (int n = 3; n >= 0; n--) {
    ck_assert(lsm_txn_has_savepoint(t, n));
    model *now = model_copy(states[n == 3 ? 4 : n]);
    ck_lsm(lsm_txn_rollback_to(t, n));
    check_txn(t, ks, now);
    store_fill(t, ks, 0, 60, "again", now); /* and on from there */
    check_txn(t, ks, now);
    ck_lsm(lsm_txn_rollback_to(t, n));
    model_free(now);
    if (n == 1) break;
  }
  check_txn(t, ks, states[1]);
  store_commit(t, LSM_SYNC_FULL);
  store_check(db, ks, states[1]);
  check_no_orphans();
  reopen();
  store_check(db, ks, states[1]);
  for (int i = 0; i < 5; i++) model_free(states[i]);
  model_free(all);
}
END_TEST

/* Keyspaces that come and go while a transaction has files of them. */
START_TEST(test_keyspaces) {
  uint32_t a = store_keyspace(db, LSM_LEVELED), b = store_keyspace(db, LSM_LEVELED);
  model *m = model_new();
  lsm_txn *t = store_begin(db);
  uint32_t c = store_keyspace(db, LSM_TIERED);
  store_fill(t, a, 0, 100, "a", m);
  store_fill(t, b, 0, 100, "b", NULL);
  store_fill(t, c, 0, 100, "a", NULL);
  if (_i == 0) ck_lsm(lsm_keyspace_drop(db, b));
  store_fill(t, b, 100, 200, "b", NULL);
  check_txn(t, a, m);
  check_txn(t, c, m);
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_NORMAL, NULL, NULL));
  if (_i == 1) ck_lsm(lsm_keyspace_drop(db, b));
  lsm_txn_commit(t);
  if (_i == 2) ck_lsm(lsm_keyspace_drop(db, b));
  store_check(db, a, m);
  store_check(db, c, m);
  ck_assert_str_eq(store_all(db, b), "");
  ck_lsm(lsm_flush(db, NULL));
  store_check(db, c, m);
  check_no_orphans();
  reopen();
  store_check(db, a, m);
  store_check(db, c, m);
  ck_assert_str_eq(store_all(db, b), "");
  check_no_orphans();
  model_free(m);
}
END_TEST

/* Prepared, changed, prepared again: what counts is the last. */
START_TEST(test_prepare_again) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  const uint8_t *host = _i == 1 ? store_host_name : NULL;
  model *m = model_new();
  store_put(db, ks, "before", "1");
  model_put(m, S("before"), S("1"));
  lsm_txn *t = store_begin(db);
  for (int round = 0; round < 3; round++) {
    store_fill(t, ks, round * 50, round * 50 + 80, "x", m);
    ck_lsm(lsm_txn_savepoint(t, round));
    ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, host, NULL));
    ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, host, NULL)); /* nothing new */
    ck_assert(lsm_txn_is_prepared(t));
    check_txn(t, ks, m);
  }
  model *now = model_copy(m);
  store_fill(t, ks, 0, 200, "gone", now);
  ck_assert(!lsm_txn_is_prepared(t));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, host, NULL));
  ck_lsm(lsm_txn_rollback_to(t, 2));
  check_txn(t, ks, m);
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_NORMAL, host, NULL));
  lsm_txn_commit(t);
  store_put(db, ks, "after", "2");
  model_put(m, S("after"), S("2"));
  store_check(db, ks, m);
  lsm_env *image = NULL; /* killed before anything was flushed, perhaps */
  ck_lsm(env_fault_crash(env, ENV_FAULT_KEEP, 1, &image));
  lsm_db *second = store_open(image, &opt);
  store_check(second, ks, m);
  store_verify(second);
  ck_lsm(lsm_close(second));
  env_fault_free(image);
  check_no_orphans();
  model_free(m);
  model_free(now);
}
END_TEST

/*------------------------------------------------------------------ random */

typedef struct state {
  model *m[KEYSPACES];
} state;

typedef struct held {
  lsm_snapshot *snap;
  state s;
} held;

static struct {
  uint32_t ids[KEYSPACES];
  state committed, now;
  state marks[MARKS];
  bool marked[MARKS];
  held held[SNAPSHOTS];
  bool power_loss; /* else kills: then commits need no sync */
} fx;

static state copy_state(const state *s) {
  state c;
  for (int k = 0; k < KEYSPACES; k++) c.m[k] = model_copy(s->m[k]);
  return c;
}

static void free_state(state *s) {
  for (int k = 0; k < KEYSPACES; k++) model_free(s->m[k]);
  memset(s, 0, sizeof(*s));
}

static void release_held(int i) {
  held *h = &fx.held[i];
  if (h->snap == NULL) return;
  for (int k = 0; k < KEYSPACES; k++) store_check_in(h->snap, fx.ids[k], h->s.m[k]);
  lsm_snapshot_release(h->snap);
  h->snap = NULL;
  free_state(&h->s);
}

static void drop_marks(int from) {
  for (int i = from; i < MARKS; i++) {
    if (fx.marked[i]) free_state(&fx.marks[i]);
    fx.marked[i] = false;
  }
}

static void make_mark(lsm_txn *t) {
  int n = (int)rnd(MARKS);
  ck_lsm(lsm_txn_savepoint(t, n));
  drop_marks(n);
  fx.marks[n] = copy_state(&fx.now);
  fx.marked[n] = true;
}

static void go_back(lsm_txn *t) {
  int n = (int)rnd(MARKS), at = n;
  ck_lsm(lsm_txn_rollback_to(t, n));
  while (at >= 0 && !fx.marked[at]) at--;
  drop_marks(n + 1);
  free_state(&fx.now);
  fx.now = copy_state(at >= 0 ? &fx.marks[at] : &fx.committed);
}

static void change(lsm_txn *t) {
  int k = (int)rnd(KEYSPACES);
  char key[16], hi[16], value[80];
  int i = (int)rnd(KEYS);
  snprintf(key, sizeof(key), "k%05d", i);
  snprintf(hi, sizeof(hi), "k%05d", i + 1 + (int)rnd(40));
  snprintf(value, sizeof(value), "%0*d", 1 + (int)rnd(60), (int)rnd(100000));
  uint64_t what = rnd(20);
  if (what == 0) {
    bool all = rnd(12) == 0;
    ck_lsm(lsm_txn_delete_range(t, fx.ids[k], all ? LSM_SLICE_NULL : S(key),
                                all ? LSM_SLICE_NULL : S(hi)));
    model_delete_range(fx.now.m[k], all ? LSM_SLICE_NULL : S(key), all ? LSM_SLICE_NULL : S(hi));
  } else if (what < 4) {
    ck_lsm(lsm_txn_delete(t, fx.ids[k], S(key)));
    model_delete(fx.now.m[k], S(key));
  } else {
    ck_lsm(lsm_txn_put(t, fx.ids[k], S(key), S(value)));
    model_put(fx.now.m[k], S(key), S(value));
  }
}

static void hold(lsm_txn *t) {
  int i = (int)rnd(SNAPSHOTS);
  release_held(i);
  ck_lsm(t != NULL ? lsm_txn_snapshot(t, &fx.held[i].snap)
                   : lsm_snapshot_acquire(db, &fx.held[i].snap));
  fx.held[i].s = copy_state(&fx.now);
}

/* A commit, or the undoing of a prepare, is durable before power is lost. */
static lsm_sync random_sync(void) {
  return fx.power_loss ? LSM_SYNC_FULL : (lsm_sync)rnd(3);
}

static void transaction(void) {
  lsm_txn *t = store_begin(db);
  for (uint64_t n = rnd(250); n > 0; n--) {
    uint64_t what = rnd(100);
    if (what < 82) {
      change(t);
    } else if (what < 90) {
      make_mark(t);
    } else if (what < 93) {
      go_back(t);
    } else if (what < 95) {
      int m = (int)rnd(MARKS);
      lsm_txn_release(t, m);
      drop_marks(m);
    } else if (what < 97) {
      hold(t);
    } else if (what < 98) {
      ck_lsm(lsm_txn_prepare(t, random_sync(), NULL, NULL));
    } else {
      int k = (int)rnd(KEYSPACES);
      check_txn(t, fx.ids[k], fx.now.m[k]);
    }
  }
  drop_marks(0);
  bool keep = rnd(3) != 0;
  if (keep || rnd(2) == 0) ck_lsm(lsm_txn_prepare(t, random_sync(), NULL, NULL));
  if (keep) {
    lsm_txn_commit(t);
    free_state(&fx.committed);
    fx.committed = copy_state(&fx.now);
  } else {
    ck_lsm(lsm_txn_rollback(t));
    free_state(&fx.now);
    fx.now = copy_state(&fx.committed);
  }
}

static void check_committed(void) {
  for (int k = 0; k < KEYSPACES; k++) store_check(db, fx.ids[k], fx.committed.m[k]);
}

/* The store closed, or killed and robbed of what is not durable, and opened again with another
 * share of memory. */
static void open_again(bool kill) {
  static const size_t shares[] = {1, 300, 1000, 4000, 20000};
  for (int i = 0; i < SNAPSHOTS; i++) release_held(i);
  opt.txn_memory = shares[rnd(5)];
  if (kill) { /* in the middle of a transaction */
    lsm_env *image = NULL;
    lsm_txn *t = store_begin(db);
    for (uint64_t n = rnd(200); n > 0; n--) change(t);
    ck_lsm(
        env_fault_crash(env, fx.power_loss ? ENV_FAULT_TEAR : ENV_FAULT_KEEP, rnd(1000), &image));
    ck_lsm(lsm_txn_rollback(t));
    free_state(&fx.now);
    fx.now = copy_state(&fx.committed);
    ck_lsm(lsm_close(db));
    env_fault_free(env);
    env = image;
    db = store_open(env, &opt);
  } else {
    reopen();
  }
}

START_TEST(test_random) {
  uint64_t seeds = store_param("LSM_TEST_SEEDS", 2);
  for (seed = 1; seeds > 0; seeds--) {
    memset(&fx, 0, sizeof(fx));
    fx.power_loss = seeds % 2 == 0;
    for (int k = 0; k < KEYSPACES; k++) {
      fx.ids[k] = store_keyspace(db, k == 1 ? LSM_TIERED : LSM_LEVELED);
      fx.committed.m[k] = model_new();
    }
    fx.now = copy_state(&fx.committed);
    for (int step = 0; step < 60 / STORE_SLOW; step++) {
      transaction();
      uint64_t what = rnd(20);
      if (what < 2) ck_lsm(lsm_flush(db, NULL));
      if (what == 2) ck_lsm(lsm_compact(db, fx.ids[rnd(KEYSPACES)], NULL));
      if (what < 8) check_committed();
      if (what == 8) hold(NULL);
      if (what == 9 || what == 10) open_again(what == 10);
    }
    check_committed();
    store_verify(db);
    for (int i = 0; i < SNAPSHOTS; i++) release_held(i);
    check_no_orphans();
    open_again(true);
    check_committed();
    check_no_orphans();
    for (int k = 0; k < KEYSPACES; k++) ck_lsm(lsm_keyspace_drop(db, fx.ids[k]));
    free_state(&fx.committed);
    free_state(&fx.now);
  }
}
END_TEST

Suite *spill_suite(void) {
  Suite *s = suite_create("spill");
  TCase *tc = tcase_create("spill");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, test_layers);
  tcase_add_loop_test(tc, test_rollback, 0, 5);
  tcase_add_loop_test(tc, test_number_of_runs, 0, 2);
  tcase_add_test(tc, test_marks);
  tcase_add_loop_test(tc, test_keyspaces, 0, 3);
  tcase_add_loop_test(tc, test_prepare_again, 0, 2);
  tcase_add_test(tc, test_random);
  tcase_set_timeout(tc, 0);
  suite_add_tcase(s, tc);
  return s;
}
