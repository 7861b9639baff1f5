/* Processes that read nothing, as several handles in one environment: they keep no
** table of others, and find out what has changed when they read again. */
#include <stdatomic.h>
#include <stdio.h>

#include "share.h"
#include "store.h"

#define PROCESSES 3

static lsm_env *env;
static lsm_db *dbs[PROCESSES];
static lsm_options opt;
static store_host host;
static uint32_t ks;

static void setup(void) {
  memset(&host, 0, sizeof(host));
  ck_lsm(lsm_env_mem_new(&env));
  opt = store_options(1 << 20);
  opt.host_txid = store_host_txid;
  opt.host_arg = &host;
  for (int i = 0; i < PROCESSES; i++) ck_lsm(lsm_open(env, STORE_DIR, &opt, &dbs[i]));
  ks = store_keyspace(dbs[0], LSM_LEVELED);
}

static void teardown(void) {
  for (int i = 0; i < PROCESSES; i++) ck_lsm(lsm_close(dbs[i]));
  lsm_env_mem_free(env);
}

/* One table more, then all of them in one. */
static void rewrite(lsm_db *db, const char *value) {
  store_put(db, ks, "k", value);
  ck_lsm(lsm_flush(db, NULL));
  ck_lsm(lsm_compact(db, ks, NULL));
  ck_lsm(lsm_wait_idle(db, NULL));
}

/* dbs[1] and dbs[2] have read, and then do nothing. */
START_TEST(test_idle_process_keeps_no_table) {
  rewrite(dbs[0], "0");
  for (int i = 1; i < PROCESSES; i++) ck_assert_str_eq(store_get(dbs[i], ks, "k"), "0");
  for (int round = 1; round < 10; round++) {
    char value[16];
    snprintf(value, sizeof(value), "%d", round);
    rewrite(dbs[0], value);
    ck_assert_int_eq(store_await_files(env, ".sst", 1), 1);
    ck_assert_uint_eq(store_stats(dbs[0]).obsolete_files, 0);
    if (round % 3 == 0) ck_assert_str_eq(store_get(dbs[1], ks, "k"), value);
  }
  ck_assert_str_eq(store_get(dbs[2], ks, "k"), "9");
  store_verify(dbs[1]);
  rewrite(dbs[2], "10"); /* and may remove, too */
  ck_assert_int_eq(store_await_files(env, ".sst", 1), 1);
}
END_TEST

/* What a process does the whole time keeps the tables it began with. */
enum { SNAPSHOT, CURSOR, SECOND_REFERENCE, TRANSACTION, BACKUP, HOLDERS };

typedef struct holder {
  lsm_snapshot *snap;
  lsm_cursor *cursor;
  lsm_txn *txn;
  lsm_backup_point *backup;
} holder;

static void hold(lsm_db *db, int what, holder *h) {
  memset(h, 0, sizeof(*h));
  switch (what) {
    case SNAPSHOT: ck_lsm(lsm_snapshot_acquire(db, &h->snap)); break;
    case CURSOR:
      ck_lsm(lsm_snapshot_acquire(db, &h->snap));
      ck_lsm(lsm_cursor_open(h->snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &h->cursor));
      lsm_snapshot_release(h->snap);
      h->snap = NULL;
      break;
    case SECOND_REFERENCE:
      ck_lsm(lsm_snapshot_acquire(db, &h->snap));
      lsm_snapshot_release(lsm_snapshot_ref(h->snap));
      break;
    case TRANSACTION:
      h->txn = store_begin(db);
      ck_lsm(lsm_txn_snapshot(h->txn, &h->snap));
      ck_lsm(lsm_txn_rollback(h->txn)); /* or nobody else could write */
      break;
    case BACKUP: ck_lsm(lsm_backup_begin(db, NULL, &h->backup)); break;
  }
}

static void check_held(int what, holder *h) {
  if (what == CURSOR) {
    ck_lsm(lsm_cursor_first(h->cursor));
    ck_assert(lsm_cursor_valid(h->cursor));
    ck_assert(lsm_slice_eq(lsm_cursor_value(h->cursor), S("old")));
  } else if (what == BACKUP) {
    ck_lsm(lsm_backup_copy(h->backup, "/copy", NULL));
  } else {
    ck_assert_str_eq(store_get_in(h->snap, ks, "k"), "old");
  }
}

static void let_go(holder *h) {
  lsm_cursor_close(h->cursor);
  lsm_snapshot_release(h->snap);
  lsm_backup_end(h->backup);
}

START_TEST(test_who_reads_keeps_tables) {
  holder h;
  rewrite(dbs[0], "old");
  ck_assert_str_eq(store_get(dbs[2], ks, "k"), "old");
  hold(dbs[2], _i, &h);
  for (int round = 0; round < 3; round++) rewrite(dbs[round % 2], "new");
  ck_assert_int_ge(store_count_files(env, ".sst"), 2);
  check_held(_i, &h);
  let_go(&h);
  rewrite(dbs[0], "newer");
  rewrite(dbs[1], "newest"); /* each removes its own */
  ck_assert_str_eq(store_get(dbs[0], ks, "k"), "newest");
  ck_assert_int_eq(store_await_files(env, ".sst", 1), 1);
}
END_TEST

/* The state from before a host's transaction is kept for readers, but keeps no table:
** it may have to be refused, and must not be read without its tables. */
START_TEST(test_kept_state_keeps_no_table) {
  rewrite(dbs[0], "0");
  lsm_txn *t = store_begin(dbs[1]);
  ck_lsm(lsm_txn_put(t, ks, S("k"), S("1")));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, store_host_name, NULL));
  lsm_txn_keep_base(t);
  host.txid = lsm_txn_id(t);
  lsm_txn_commit(t);
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_snapshot_acquire_at(dbs[1], store_host_name, host.txid - 1, 0, NULL, &snap));
  ck_assert_str_eq(store_get_in(snap, ks, "k"), "0");
  lsm_snapshot_release(snap);
  rewrite(dbs[0], "2");
  ck_assert_int_eq(store_await_files(env, ".sst", 1), 1);
  ck_assert_int_eq(
      lsm_snapshot_acquire_at(dbs[1], store_host_name, host.txid - 1, 0, NULL, &snap), LSM_STALE);
  ck_assert_str_eq(store_get(dbs[1], ks, "k"), "2");
}
END_TEST

/*----------------------------------------------------------- threads */

static _Atomic bool stop;
static _Atomic uint64_t reads, mistakes;

/* Begins and ends to read all the time, sometimes with another thread beside it. */
static void read_all(void *arg) {
  lsm_db *db = arg;
  while (!atomic_load(&stop)) {
    lsm_snapshot *snap = NULL;
    lsm_cursor *c = NULL;
    lsm_rc rc = lsm_snapshot_acquire(db, &snap);
    if (rc == LSM_OK) rc = lsm_cursor_open(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &c);
    if (rc == LSM_OK) rc = lsm_cursor_first(c);
    if (rc != LSM_OK || !lsm_cursor_valid(c)) {
      fprintf(stderr, "read: %s: %s\n", lsm_rc_name(rc), lsm_errmsg());
      atomic_fetch_add(&mistakes, 1);
    }
    lsm_cursor_close(c);
    lsm_snapshot_release(snap);
    atomic_fetch_add(&reads, 1);
  }
}

/* Two processes rewrite all there is, each in turn, under readers in a third one and
** in one of the two. */
START_TEST(test_readers_come_and_go) {
  lsm_thread *t[3];
  lsm_db *readers[3] = {dbs[2], dbs[2], dbs[1]};
  int rounds = (int)store_param("IDLE_ROUNDS", 200 / STORE_SLOW);
  atomic_store(&stop, false);
  atomic_store(&reads, 0);
  atomic_store(&mistakes, 0);
  rewrite(dbs[0], "value");
  for (int i = 0; i < 3; i++) ck_lsm(env->thread_start(env, read_all, readers[i], &t[i]));
  for (int round = 0; round < rounds; round++) {
    store_put(dbs[round % 2], ks, "k", "value");
    ck_lsm(lsm_flush(dbs[round % 2], NULL));
    ck_lsm(lsm_compact(dbs[round % 2], ks, NULL));
  }
  while (atomic_load(&reads) < 10) env->sleep_us(env, 1000);
  atomic_store(&stop, true);
  for (int i = 0; i < 3; i++) env->thread_join(env, t[i]);
  ck_assert_uint_eq(atomic_load(&mistakes), 0);
  rewrite(dbs[0], "value");
  rewrite(dbs[1], "value");
  ck_assert_str_eq(store_get(dbs[0], ks, "k"), "value");
  ck_assert_int_eq(store_await_files(env, ".sst", 1), 1);
}
END_TEST

Suite *share_idle_suite(void);
Suite *share_idle_suite(void) {
  Suite *s = suite_create("share_idle");
  TCase *tc = tcase_create("share_idle");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, test_idle_process_keeps_no_table);
  tcase_add_loop_test(tc, test_who_reads_keeps_tables, 0, HOLDERS);
  tcase_add_test(tc, test_kept_state_keeps_no_table);
  tcase_add_test(tc, test_readers_come_and_go);
  suite_add_tcase(s, tc);
  return s;
}
