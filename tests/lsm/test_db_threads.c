/* test_db_threads.c: writers and readers at once, while the store flushes and
** compacts. Made for ThreadSanitizer; no fault environment, whose lock would
** hide races.
**
** Accounts: each transaction moves money between some, so that the sum of a
** keyspace is the same in every snapshot; a row of the other keyspace counts
** the transactions, and only rises. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "env.h"
#include "store.h"

Suite *db_threads_suite(void);

enum { ACCOUNTS = 150, SUM = ACCOUNTS * 1000, WRITERS = 2, READERS = 3 };

static struct {
  lsm_env *env;
  lsm_db *db;
  uint32_t accounts, log;
  int txns; /* of each writer */
  _Atomic int running;
  _Atomic uint64_t committed, scans;
  _Atomic bool failed;
  char failure[512];
} fx;

static void give_up(const char *what) {
  char text[512];
  snprintf(text, sizeof(text), "%s: %s", what, lsm_errmsg());
  if (!atomic_exchange(&fx.failed, true)) memcpy(fx.failure, text, sizeof(text));
}

#define MUST(expr)                                                    \
  do {                                                                \
    if ((expr) != LSM_OK && !atomic_load(&fx.failed)) give_up(#expr); \
  } while (0)

/* The same beside writers who never rest: who has waited ten seconds is told LSM_BUSY. */
#define INSIST(expr)                                              \
  do {                                                            \
    lsm_rc rc;                                                    \
    while ((rc = (expr)) == LSM_BUSY && !atomic_load(&fx.failed)) \
      continue;                                                   \
    if (rc != LSM_OK && !atomic_load(&fx.failed)) give_up(#expr); \
  } while (0)

static lsm_slice account_key(uint64_t i, char *buf) {
  return lsm_slice_of(buf, (size_t)snprintf(buf, 32, "account-%04d", (int)i));
}

/* The balance with some ballast, so that memtables fill. */
static lsm_slice balance_value(long n, char *buf) {
  return lsm_slice_of(buf, (size_t)snprintf(buf, 128, "%ld %080ld", n, n));
}

static long balance_of(lsm_slice value) {
  char text[16];
  size_t n = value.size < sizeof(text) - 1 ? value.size : sizeof(text) - 1;
  memcpy(text, value.data, n);
  text[n] = 0;
  return atol(text);
}

/*----------------------------------------------------------------- writers */

/* Moves money from one account to another. */
static void move(lsm_txn *t, uint64_t from, uint64_t to, long sum) {
  char key[32], value[128];
  lsm_buf got = {0};
  uint64_t who[2] = {from, to};
  for (int i = 0; i < 2; i++) {
    long have = 0;
    lsm_rc rc = lsm_txn_get(t, fx.accounts, account_key(who[i], key), &got);
    if (rc == LSM_OK) have = balance_of(lsm_slice_of(got.data, got.size));
    if (rc != LSM_OK && rc != LSM_NOTFOUND) give_up("lsm_txn_get");
    have += i == 0 ? -sum : sum;
    if (have == 0) {
      MUST(lsm_txn_delete(t, fx.accounts, account_key(who[i], key)));
    } else {
      MUST(lsm_txn_put(t, fx.accounts, account_key(who[i], key), balance_value(have, value)));
    }
  }
  lsm_buf_fini(&got);
}

/* Everything of a few accounts goes to one other, with a range tombstone. */
static void empty_some(lsm_txn *t, uint64_t first) {
  char lo[32], hi[32], key[32], value[128];
  lsm_snapshot *snap = NULL;
  lsm_cursor *c = NULL;
  lsm_buf got = {0};
  long sum = 0;
  MUST(lsm_txn_snapshot(t, &snap));
  if (snap == NULL) return;
  MUST(lsm_cursor_open(snap, fx.accounts, account_key(first, lo), account_key(first + 5, hi), &c));
  MUST(lsm_cursor_last(c));
  while (lsm_cursor_valid(c)) {
    sum += balance_of(lsm_cursor_value(c));
    MUST(lsm_cursor_prev(c));
  }
  lsm_cursor_close(c);
  lsm_snapshot_release(snap);
  MUST(lsm_txn_delete_range(t, fx.accounts, account_key(first, lo), account_key(first + 5, hi)));
  lsm_slice other = account_key((first + 70) % ACCOUNTS, key);
  if (lsm_txn_get(t, fx.accounts, other, &got) == LSM_OK) {
    sum += balance_of(lsm_slice_of(got.data, got.size));
  }
  MUST(lsm_txn_put(t, fx.accounts, other, balance_value(sum, value)));
  lsm_buf_fini(&got);
}

static void count_transaction(lsm_txn *t) {
  lsm_buf got = {0};
  char value[32];
  long n = 0;
  if (lsm_txn_get(t, fx.log, S("count"), &got) == LSM_OK) {
    n = balance_of(lsm_slice_of(got.data, got.size));
  }
  snprintf(value, sizeof(value), "%ld", n + 1);
  MUST(lsm_txn_put(t, fx.log, S("count"), S(value)));
  lsm_buf_fini(&got);
}

static void writer(void *arg) {
  uint64_t seed = (uint64_t)(uintptr_t)arg;
  for (int i = 0; i < fx.txns && !atomic_load(&fx.failed); i++) {
    lsm_txn *t = NULL;
    lsm_rc rc = lsm_txn_begin(fx.db, 60000, NULL, &t);
    if (rc != LSM_OK) {
      give_up("lsm_txn_begin");
      break;
    }
    int n = 1 + (int)(disk_random(&seed) % 6);
    for (int j = 0; j < n; j++) {
      uint64_t r = disk_random(&seed);
      move(t, r % ACCOUNTS, r / 1000 % ACCOUNTS, (long)(r / 1000000 % 50));
    }
    if (i % 11 == 3) empty_some(t, disk_random(&seed) % (ACCOUNTS - 5));
    if (i % 5 == 2) { /* money from nowhere, taken back */
      MUST(lsm_txn_savepoint(t, 0));
      MUST(lsm_txn_put(t, fx.accounts, S("account-0000"), S("1000000")));
      MUST(lsm_txn_rollback_to(t, 0));
    }
    count_transaction(t);
    MUST(lsm_txn_prepare(t, i % 7 == 0 ? LSM_SYNC_FULL : LSM_SYNC_NORMAL, NULL, NULL));
    if (i % 9 == 4 || atomic_load(&fx.failed)) {
      MUST(lsm_txn_rollback(t));
    } else {
      lsm_txn_commit(t);
      atomic_fetch_add(&fx.committed, 1);
    }
  }
  atomic_fetch_sub(&fx.running, 1);
}

/*----------------------------------------------------------------- readers */

static long sum_by_scan(lsm_snapshot *snap, bool forward) {
  lsm_cursor *c = NULL;
  long sum = 0;
  MUST(lsm_cursor_open(snap, fx.accounts, LSM_SLICE_NULL, LSM_SLICE_NULL, &c));
  if (c == NULL) return 0;
  MUST(forward ? lsm_cursor_first(c) : lsm_cursor_last(c));
  while (lsm_cursor_valid(c)) {
    sum += balance_of(lsm_cursor_value(c));
    MUST(forward ? lsm_cursor_next(c) : lsm_cursor_prev(c));
  }
  lsm_cursor_close(c);
  return sum;
}

static long sum_by_gets(lsm_snapshot *snap) {
  char key[32];
  lsm_buf got = {0};
  long sum = 0;
  for (uint64_t i = 0; i < ACCOUNTS; i++) {
    lsm_rc rc = lsm_get(snap, fx.accounts, account_key(i, key), &got);
    if (rc == LSM_OK) sum += balance_of(lsm_slice_of(got.data, got.size));
    if (rc != LSM_OK && rc != LSM_NOTFOUND) give_up("lsm_get");
  }
  lsm_buf_fini(&got);
  return sum;
}

static void reader(void *arg) {
  uint64_t seed = (uint64_t)(uintptr_t)arg;
  lsm_snapshot *held = NULL;
  long count = 0;
  do { /* once, however late it comes to it */
    lsm_snapshot *snap = NULL;
    lsm_buf got = {0};
    uint64_t r = disk_random(&seed);
    MUST(lsm_snapshot_acquire(fx.db, &snap));
    if (snap == NULL) break;
    if (lsm_get(snap, fx.log, S("count"), &got) == LSM_OK) {
      long n = balance_of(lsm_slice_of(got.data, got.size));
      if (n < count) give_up("the count went back");
      count = n;
    }
    lsm_buf_fini(&got);
    if (sum_by_scan(snap, r % 2) != SUM) give_up("a scan's sum is wrong");
    if (r % 3 == 0 && sum_by_gets(snap) != SUM) give_up("the gets' sum is wrong");
    if (held != NULL && r % 4 == 0 && sum_by_scan(held, r % 2) != SUM)
      give_up("an old sum is wrong");
    if (r % 10 == 0) {
      lsm_snapshot_release(held);
      held = lsm_snapshot_ref(snap);
    }
    lsm_snapshot_release(snap);
    atomic_fetch_add(&fx.scans, 1);
  } while (atomic_load(&fx.running) > 0 && !atomic_load(&fx.failed));
  lsm_snapshot_release(held);
}

static void no_finding(void *arg, const char *text) {
  (void)arg;
  (void)text;
  give_up("lsm_verify finds something");
}

static lsm_rc look_at_file(void *arg, const lsm_file_info *info) {
  *(uint64_t *)arg += info->entries;
  return LSM_OK;
}

/* All that looks at a store or works on it by hand. */
static void keeper(void *arg) {
  uint64_t seed = (uint64_t)(uintptr_t)arg, n = 0;
  while (atomic_load(&fx.running) > 0 && !atomic_load(&fx.failed)) {
    lsm_stats stats;
    double score[LSM_MAX_LEVELS];
    uint32_t id = 0;
    lsm_keyspace_options o;
    switch (disk_random(&seed) % 7) {
      case 0:
        INSIST(lsm_flush(fx.db, NULL));
        break;
      case 1:
        INSIST(lsm_compact(fx.db, fx.accounts, NULL));
        break;
      case 2:
        INSIST(lsm_verify(fx.db, NULL, no_finding, NULL, &n));
        break;
      case 3:
        lsm_get_stats(fx.db, &stats);
        break;
      case 4:
        INSIST(lsm_list_files(fx.db, 0, look_at_file, &n));
        break;
      case 5:
        INSIST(lsm_level_scores(fx.db, fx.accounts, score));
        break;
      case 6:
        lsm_keyspace_options_init(&o);
        INSIST(lsm_keyspace_create(fx.db, &o, &id));
        INSIST(lsm_keyspace_drop(fx.db, id));
        break;
    }
  }
}

/*------------------------------------------------------------------ suite */

static void start(lsm_env *env, const char *dir) {
  lsm_options opt = store_options(24u << 10);
  char key[32], value[128];
  fx.env = env;
  ck_lsm(lsm_open(env, dir, &opt, &fx.db));
  fx.accounts = store_keyspace(fx.db, LSM_LEVELED);
  fx.log = store_keyspace(fx.db, LSM_TIERED);
  lsm_txn *t = store_begin(fx.db);
  for (uint64_t i = 0; i < ACCOUNTS; i++) {
    ck_lsm(lsm_txn_put(t, fx.accounts, account_key(i, key), balance_value(1000, value)));
  }
  store_commit(t, LSM_SYNC_NORMAL);
}

static void run(lsm_env *env, const char *dir) {
  lsm_thread *threads[WRITERS + READERS + 1];
  uintptr_t n = 0;
  memset(&fx, 0, sizeof(fx));
  fx.txns = (int)store_param("LSM_TEST_STEPS", 250);
  start(env, dir);
  fx.running = WRITERS;
  for (int i = 0; i < WRITERS; i++, n++) {
    ck_lsm(lsm_pthread_start(env, writer, (void *)(n + 1), &threads[n]));
  }
  for (int i = 0; i < READERS; i++, n++) {
    ck_lsm(lsm_pthread_start(env, reader, (void *)(n + 1), &threads[n]));
  }
  ck_lsm(lsm_pthread_start(env, keeper, (void *)(n + 1), &threads[n]));
  for (uintptr_t i = 0; i <= n; i++) lsm_pthread_join(env, threads[i]);
  ck_assert_msg(!fx.failed, "%s", fx.failure);
  ck_assert_uint_gt(fx.scans, 0);
  lsm_stats s = store_stats(fx.db);
  ck_assert_uint_eq(s.commits, fx.committed + 1);
  ck_assert_uint_gt(s.flushes, 3);
  ck_lsm(lsm_close(fx.db));
  lsm_options opt = store_options(24u << 10);
  ck_lsm(lsm_open(env, dir, &opt, &fx.db));
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_snapshot_acquire(fx.db, &snap));
  ck_assert_int_eq(sum_by_scan(snap, true), SUM);
  ck_assert_int_eq(sum_by_gets(snap), SUM);
  char want[32];
  snprintf(want, sizeof(want), "%d", (int)fx.committed);
  ck_assert_str_eq(store_get_in(snap, fx.log, "count"), want);
  lsm_snapshot_release(snap);
  store_verify(fx.db);
  ck_lsm(lsm_close(fx.db));
  ck_assert_msg(!fx.failed, "%s", fx.failure);
}

START_TEST(test_memory) {
  lsm_env *env = NULL;
  ck_lsm(lsm_env_mem_new(&env));
  run(env, "/store");
  lsm_env_mem_free(env);
}
END_TEST

static lsm_rc remove_entry(void *arg, const char *name) {
  char path[128];
  snprintf(path, sizeof(path), "%s/%s", (const char *)arg, name);
  return lsm_env_default()->remove(lsm_env_default(), path);
}

START_TEST(test_posix) {
  char dir[] = "/tmp/lsm-threads-XXXXXX";
  lsm_env *env = lsm_env_default();
  ck_assert_ptr_nonnull(mkdtemp(dir));
  run(env, dir);
  ck_lsm(env->list(env, dir, remove_entry, dir));
  ck_lsm(env->rmdir(env, dir));
}
END_TEST

Suite *db_threads_suite(void) {
  Suite *s = suite_create("db_threads");
  TCase *tc = tcase_create("db_threads");
  tcase_add_test(tc, test_memory);
  tcase_add_test(tc, test_posix);
  tcase_set_timeout(tc, 0);
  suite_add_tcase(s, tc);
  return s;
}
