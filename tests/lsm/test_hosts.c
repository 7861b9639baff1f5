/* test_hosts.c: snapshots that agree with a host's: what is kept, for how long,
** and what is said when it is not. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "env.h"
#include "store.h"

Suite *hosts_suite(void);

static const uint8_t HOST[LSM_HOST_SIZE] = "a host";
static const uint8_t OTHER[LSM_HOST_SIZE] = "another host";

static lsm_env *env;
static lsm_options opt;
static lsm_db *db;
static uint32_t ks;

static lsm_rc ask_nothing(void *arg, const uint8_t *host, uint64_t *txid, bool *known) {
  (void)arg, (void)host;
  *txid = 1000000; /* every decision in the log stands */
  *known = true;
  return LSM_OK;
}

static void setup(void) {
  ck_lsm(env_fault_new(NULL, &env));
  opt = store_options(64u << 10);
  opt.host_txid = ask_nothing;
  db = store_open(env, &opt);
  ks = store_keyspace(db, LSM_LEVELED);
}

static void teardown(void) {
  ck_lsm(lsm_close(db));
  env_fault_free(env);
}

/* A transaction that sets k to a number, prepared. */
static lsm_txn *prepare(const uint8_t *host, int value, uint64_t *txid) {
  char text[16];
  snprintf(text, sizeof(text), "%d", value);
  lsm_txn *t = NULL;
  ck_lsm(lsm_txn_begin(db, 10000, NULL, &t)); /* readers are the writer for a moment */
  ck_lsm(lsm_txn_put(t, ks, S("k"), S(text)));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_OFF, host, NULL));
  *txid = lsm_txn_id(t);
  return t;
}

static uint64_t commit(const uint8_t *host, int value) {
  uint64_t txid;
  lsm_txn *t = prepare(host, value, &txid);
  lsm_txn_keep_base(t);
  lsm_txn_commit(t);
  return txid;
}

/* What k is for the host at a number, or the name of the failure. */
static const char *seen_by(lsm_db *store, const uint8_t *host, uint64_t txid) {
  static char text[64];
  lsm_snapshot *s = NULL;
  lsm_rc rc = lsm_snapshot_acquire_at(store, host, txid, 0, NULL, &s);
  if (rc != LSM_OK) {
    ck_assert_ptr_null(s);
    return lsm_rc_name(rc);
  }
  snprintf(text, sizeof(text), "%s", store_get_in(s, ks, "k"));
  lsm_snapshot_release(s);
  return text;
}

#define ck_seen(host, txid, want) ck_assert_str_eq(seen_by(db, host, txid), want)

START_TEST(before_and_after) {
  store_put(db, ks, "k", "0");
  ck_assert(!lsm_has_hosts(db));
  uint64_t txid;
  lsm_txn *t = prepare(HOST, 1, &txid);
  ck_assert(lsm_has_hosts(db));
  ck_seen(HOST, 0, "0");
  ck_seen(HOST, txid, "LSM_BUSY"); /* the host has it, the store not yet */
  lsm_txn_keep_base(t);
  lsm_txn_commit(t);
  ck_seen(HOST, 0, "0");
  ck_seen(HOST, txid, "1");
  ck_seen(OTHER, 0, "1"); /* no transaction of its own */
  store_put(db, ks, "k", "2");
  ck_seen(HOST, 0, "0");
  ck_seen(HOST, txid, "2");
  uint64_t second = commit(OTHER, 3);
  ck_seen(OTHER, 0, "2");
  ck_seen(OTHER, second, "3");
  ck_seen(HOST, txid, "3");
}
END_TEST

START_TEST(without_keeping) {
  uint64_t txid;
  lsm_txn *t = prepare(HOST, 1, &txid);
  lsm_txn_commit(t);
  ck_seen(HOST, txid, "1");
  ck_seen(HOST, 0, "LSM_STALE");
  ck_assert_uint_eq(store_stats(db).snapshots, 0);
}
END_TEST

START_TEST(a_transaction_taken_back) {
  uint64_t first = commit(HOST, 1), txid;
  lsm_txn *t = prepare(HOST, 2, &txid);
  ck_lsm(lsm_txn_rollback(t));
  ck_seen(HOST, first, "1");
  uint64_t next = commit(HOST, 3);
  ck_assert_uint_gt(next, txid);
  ck_seen(HOST, first, "1");
  ck_seen(HOST, next, "3");
}
END_TEST

START_TEST(the_last_eight) {
  uint64_t txid[21] = {0};
  for (int i = 1; i <= 20; i++) txid[i] = commit(HOST, i);
  for (int i = 0; i <= 20; i++) {
    char want[16];
    snprintf(want, sizeof(want), "%d", i);
    ck_seen(HOST, txid[i], i < 12 ? "LSM_STALE" : want);
  }
  ck_assert_uint_eq(store_stats(db).snapshots, 8);
}
END_TEST

START_TEST(gone_with_the_files) {
  uint64_t txid = commit(HOST, 1), next = commit(HOST, 2);
  ck_seen(HOST, txid, "1");
  ck_lsm(lsm_flush(db, NULL));
  ck_assert_uint_eq(store_stats(db).snapshots, 0);
  ck_seen(HOST, txid, "LSM_STALE");
  ck_seen(HOST, next, "2");
}
END_TEST

/* After an open nobody knows whose the transactions are that were there. */
START_TEST(not_known_after_open) {
  uint64_t first = commit(HOST, 0), txid = commit(HOST, 1);
  store_put(db, ks, "k", "2");
  ck_lsm(lsm_close(db));
  db = store_open(env, &opt);
  ck_seen(HOST, txid, "LSM_STALE");
  lsm_snapshot *s = NULL;
  ck_lsm(lsm_snapshot_acquire(db, &s));
  ck_lsm(lsm_host_confirm(db, HOST, txid, s));
  lsm_snapshot_release(s);
  ck_seen(HOST, txid, "2");
  ck_seen(HOST, first, "LSM_STALE"); /* what its reader must not see is in the tables */
  ck_seen(OTHER, txid, "LSM_STALE");
  ck_seen(HOST, commit(HOST, 3), "3");
}
END_TEST

/* A number above all there are, with no transaction under way. */
START_TEST(a_host_that_is_ahead) {
  uint64_t txid = commit(HOST, 1);
  ck_seen(HOST, txid + 5, "1");
  lsm_txn *t = store_begin(db);
  ck_seen(HOST, txid + 5, "1"); /* that is settled */
  ck_seen(HOST, txid + 6, "LSM_BUSY");
  ck_lsm(lsm_txn_rollback(t));
}
END_TEST

static void right_or_stale(lsm_db *store, uint64_t txid, const char *want) {
  const char *text = seen_by(store, HOST, txid);
  ck_assert_msg(strcmp(text, want) == 0 || strcmp(text, "LSM_STALE") == 0, "%s", text);
}

/* Another process knows the states between what it has read in the log. */
START_TEST(in_another_process) {
  uint64_t first = commit(HOST, 1);
  lsm_db *b = store_open(env, &opt);
  ck_assert(lsm_has_hosts(b));
  ck_assert_str_eq(seen_by(b, HOST, first), "1");
  uint64_t second = commit(HOST, 2);
  ck_assert_str_eq(seen_by(b, HOST, first), "1");
  ck_assert_str_eq(seen_by(b, HOST, second), "2");
  uint64_t third = commit(HOST, 3), fourth = commit(HOST, 4);
  ck_assert_str_eq(seen_by(b, HOST, second), "2");
  ck_assert_str_eq(seen_by(b, HOST, third), "3");
  ck_assert_str_eq(seen_by(b, HOST, fourth), "4");
  uint64_t fifth;
  lsm_txn *t = prepare(HOST, 5, &fifth);
  ck_assert_str_eq(seen_by(b, HOST, fifth), "LSM_BUSY");
  lsm_txn_commit(t);
  ck_assert_str_eq(seen_by(b, HOST, fifth), "5");
  ck_lsm(lsm_flush(db, NULL));
  right_or_stale(b, fourth, "4");
  uint64_t sixth = commit(HOST, 6);
  ck_lsm(lsm_flush(db, NULL)); /* it may come in files: then nobody can tell */
  right_or_stale(b, fifth, "5");
  ck_assert_str_eq(seen_by(b, HOST, sixth), "6");
  right_or_stale(b, fifth, "5");
  ck_lsm(lsm_close(b));
}
END_TEST

/* Between two transactions that another process has read in the log there were others, which
** came to it in tables: the state before the second is not the one after the first. */
START_TEST(some_came_in_tables) {
  uint64_t first = commit(HOST, 1);
  lsm_db *b = store_open(env, &opt);
  ck_assert_str_eq(seen_by(b, HOST, first), "1");
  uint64_t second = commit(HOST, 2), third = commit(HOST, 3);
  ck_lsm(lsm_flush(db, NULL));
  ck_assert_str_eq(seen_by(b, HOST, third), "3");
  uint64_t fourth = commit(HOST, 4);
  ck_assert_str_eq(seen_by(b, HOST, fourth), "4");
  ck_assert_str_eq(seen_by(b, HOST, third), "3");
  ck_assert_str_eq(seen_by(b, HOST, second), "LSM_STALE");
  ck_assert_str_eq(seen_by(b, HOST, first), "LSM_STALE");
  ck_lsm(lsm_close(b));
}
END_TEST

/* What b shows of k and own to a reader of HOST at a number. */
static const char *both_seen_by(lsm_db *b, uint64_t txid) {
  static char text[64];
  lsm_snapshot *s = NULL;
  lsm_rc rc = lsm_snapshot_acquire_at(b, HOST, txid, 0, NULL, &s);
  if (rc != LSM_OK) return lsm_rc_name(rc);
  snprintf(text, sizeof(text), "%s", store_get_in(s, ks, "k"));
  snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", store_get_in(s, ks, "own"));
  lsm_snapshot_release(s);
  return text;
}

static lsm_rc sync_never(void *arg) {
  (void)arg;
  return lsm_fail(LSM_IOERR, "the host cannot be synced");
}

/* A reader of an older state of the host has what the store alone committed before the
** host went on, also when it all came here at once: in one log; with what another host
** did in between; in two logs, of which the first is not flushed; more than can be kept. */
START_TEST(commits_of_the_store_between) {
  opt.host_sync = _i == 2 ? sync_never : NULL; /* then nothing is flushed */
  opt.host_arg = NULL;
  ck_lsm(lsm_close(db));
  db = store_open(env, &opt);
  uint64_t first = commit(HOST, 1);
  lsm_db *b = store_open(env, &opt);
  ck_assert_str_eq(both_seen_by(b, first), "1 -");
  store_put(db, ks, "own", "x");
  if (_i == 1) (void)commit(OTHER, 1);
  if (_i == 1) store_put(db, ks, "own", "y");
  if (_i == 2) {
    char *large = calloc(1, 40001);
    ck_assert_ptr_nonnull(large);
    memset(large, 'l', 40000);
    store_put(db, ks, "large", large);
    store_put(db, ks, "no room beside it", large);
    free(large);
    ck_assert_int_eq(store_await_files(env, ".wal", 2), 2);
  }
  uint64_t second = commit(HOST, 2), last = second;
  store_put(db, ks, "own", "z");
  for (int i = 0; i < 2000 && _i == 3; i++) last = commit(HOST, 3);
  const char *want = _i == 1 ? "1 y" : "1 x";
  if (_i == 3) {
    ck_assert_str_eq(both_seen_by(b, last), "3 z");
    ck_assert_str_eq(both_seen_by(b, first), "LSM_STALE");
  } else {
    ck_assert_str_eq(both_seen_by(b, first), want);
    ck_assert_str_eq(both_seen_by(b, second), "2 z");
  }
  ck_lsm(lsm_close(b));
  if (_i == 2) { /* or it could not be closed in order */
    (void)lsm_close(db);
    opt.host_sync = NULL;
    db = store_open(env, &opt);
  }
}
END_TEST

/* A host commits, and a moment later the store: readers go by the host. */
#define TRANSFERS (1000 / STORE_SLOW)
static _Atomic uint64_t host_number; /* what the host's readers see */
static _Atomic uint64_t ends;
static int value_at[20 * TRANSFERS]; /* written before its number is seen */

static void read_by_host(void *arg) {
  int *wrong = arg;
  do {
    uint64_t txid = atomic_load(&host_number);
    lsm_snapshot *s = NULL;
    lsm_buf v = {0};
    lsm_rc rc = lsm_snapshot_acquire_at(db, HOST, txid, 60000, NULL, &s);
    if (rc == LSM_STALE) continue;
    if (rc == LSM_OK) rc = lsm_get(s, ks, S("k"), &v);
    char text[16];
    snprintf(text, sizeof(text), "%d", value_at[txid]);
    if (rc != LSM_OK || !lsm_slice_eq(lsm_buf_slice(&v), S(text))) ++*wrong;
    lsm_buf_fini(&v);
    lsm_snapshot_release(s);
  } while (atomic_load(&ends) == 0);
}

START_TEST(readers_in_threads) {
  lsm_thread *thread[3];
  int wrong[3] = {0};
  uint64_t txid = commit(HOST, 0);
  value_at[txid] = 0;
  atomic_store(&host_number, txid);
  atomic_store(&ends, 0);
  for (int i = 0; i < 3; i++) ck_lsm(env->thread_start(env, read_by_host, &wrong[i], &thread[i]));
  for (int i = 1; i <= TRANSFERS; i++) {
    lsm_txn *t = prepare(HOST, i, &txid);
    ck_assert_uint_lt(txid, sizeof(value_at) / sizeof(value_at[0]));
    if (i % 10 == 0) {
      ck_lsm(lsm_txn_rollback(t));
    } else {
      value_at[txid] = i;
      lsm_txn_keep_base(t);
      atomic_store(&host_number, txid);
      if (i % 7 == 0) env->sleep_us(env, 100);
      lsm_txn_commit(t);
    }
    if (i % 100 == 99) ck_lsm(lsm_flush(db, NULL));
  }
  atomic_store(&ends, 1);
  for (int i = 0; i < 3; i++) {
    env->thread_join(env, thread[i]);
    ck_assert_int_eq(wrong[i], 0);
  }
}
END_TEST

static int countdown;
static bool fail_nth(void *arg) {
  (void)arg;
  return --countdown != 0;
}

START_TEST(out_of_memory) {
  uint64_t txid = commit(HOST, 1);
  uint64_t next = commit(HOST, 2);
  for (int n = 1;; n++) {
    lsm_snapshot *s = NULL;
    countdown = n;
    lsm_set_malloc_hook(fail_nth, NULL);
    lsm_rc rc = lsm_snapshot_acquire_at(db, HOST, txid, 0, NULL, &s);
    lsm_set_malloc_hook(NULL, NULL);
    lsm_snapshot_release(s);
    if (rc == LSM_OK) break;
    ck_assert_int_eq(rc, LSM_NOMEM);
  }
  ck_seen(HOST, next, "2");
}
END_TEST

Suite *hosts_suite(void) {
  Suite *s = suite_create("hosts");
  TCase *tc = tcase_create("hosts");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, before_and_after);
  tcase_add_test(tc, without_keeping);
  tcase_add_test(tc, a_transaction_taken_back);
  tcase_add_test(tc, the_last_eight);
  tcase_add_test(tc, gone_with_the_files);
  tcase_add_test(tc, not_known_after_open);
  tcase_add_test(tc, a_host_that_is_ahead);
  tcase_add_test(tc, in_another_process);
  tcase_add_test(tc, some_came_in_tables);
  tcase_add_loop_test(tc, commits_of_the_store_between, 0, 4);
  tcase_add_test(tc, readers_in_threads);
  tcase_add_test(tc, out_of_memory);
  suite_add_tcase(s, tc);
  return s;
}
