/* test_pace.c: how long a writer is held back; and that both memtables and the cache
** stay in their budget together. */
#include <stdio.h>

#include "db_int.h"
#include "store.h"

Suite *pace_suite(void);

START_TEST(test_level0) {
  ck_assert_uint_eq(lsm_pace_level0(64000, 0), 0);
  ck_assert_uint_eq(lsm_pace_level0(64000, LSM_L0_SLOW - 1), 0);
  ck_assert_uint_eq(lsm_pace_level0(64000, LSM_L0_SLOW), 1000);
  ck_assert_uint_eq(lsm_pace_level0(64000, LSM_L0_SLOW + 4), 5000);
}
END_TEST

/* What is left to flush is spread over the room that is left. */
START_TEST(test_flush) {
  static const struct {
    size_t bytes, room;
    uint64_t done, total, elapsed, us;
  } cases[] = {
      {1000, 100000, 0, 500, 7000, 0},         /* it has not begun */
      {1000, 100000, 250, 500, 80000, 900},    /* 80 ms to go, 10 to sync: 100 such batches */
      {1000, 1000000, 250, 500, 80000, 90},    /* more room */
      {1000, 100000, 400, 500, 80000, 300},    /* nearly done */
      {1000, 100000, 500, 500, 80000, 100},    /* being synced */
      {1000, 100000, 501, 500, 80000, 0},      /* of another flush */
      {1000, 1000, 250, 500, 80000, 0},        /* full: who comes waits */
      {1000, 2000, 250, 500, 80000, 45000},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint64_t us = lsm_pace_flush(cases[i].bytes, cases[i].room, cases[i].done, cases[i].total,
                                 cases[i].elapsed);
    ck_assert_msg(us == cases[i].us, "case %zu: %zu us", i, (size_t)us);
  }
}
END_TEST

/* Looks come often; only those a tenth of a second apart count. */
START_TEST(test_meter) {
  static const struct {
    uint64_t ms, mb;
    bool fast;
  } looks[] = {{1000, 50, false},  {1050, 70, false},  {1100, 60, true},    {1150, 60, true},
               {1199, 60, true},   {1200, 60, false},  {1290, 100, false},  {1400, 100, true},
               {9400, 300, false}, {9500, 303, false}, {9600, 310, true}};
  lsm_meter m = {0};
  for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
    bool fast = lsm_pace_is_fast(&m, looks[i].ms * 1000, looks[i].mb * 1000000);
    ck_assert_msg(fast == looks[i].fast, "look %zu", i);
  }
}
END_TEST

static void put_large(lsm_db *db, uint32_t ks, unsigned n) {
  static uint8_t value[8192];
  char key[16];
  snprintf(key, sizeof key, "%08u", n * 2654435761u);
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S(key), lsm_slice_of(value, sizeof value)));
  store_commit(t, LSM_SYNC_OFF);
}

/* While the flush cannot end the memtable behind it is filled, and the cache with
** what is read: all that is within memtable_size + cache_size. */
START_TEST(test_budget) {
  enum { MEMTABLE = 4 << 20, CACHE = 4 << 20, SLACK = 400 << 10 };
  lsm_env *env;
  ck_lsm(env_fault_new(NULL, &env));
  lsm_options opt = store_options(MEMTABLE);
  opt.cache_size = CACHE;
  lsm_db *db = store_open(env, &opt);
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  unsigned n = 0;
  while (store_stats(db).flushes < 4) put_large(db, ks, n++);
  ck_lsm(lsm_wait_idle(db, NULL));
  ck_assert_uint_eq(strlen(store_all(db, ks)) > 0, 1); /* fills the cache */
  ck_assert_uint_gt(store_stats(db).cache_bytes, CACHE / 4 * 3);
  uint64_t most = 0;
  env_fault_fail(env, ENV_FAULT_SYNC, 1, LSM_IOERR, ENV_FAULT_STICKY);
  for (unsigned end = n + MEMTABLE / 8192 * 2; n < end; n++) {
    lsm_stats s = store_stats(db);
    if (s.memtable_bytes > MEMTABLE / 4 * 5) break;
    if (s.memtable_bytes + s.cache_bytes > most) most = s.memtable_bytes + s.cache_bytes;
    put_large(db, ks, n);
  }
  ck_assert_uint_lt(most, MEMTABLE + CACHE + SLACK);
  ck_assert_uint_gt(store_stats(db).memtable_bytes, MEMTABLE);
  env_fault_clear(env);
  ck_lsm(lsm_flush(db, NULL));
  ck_lsm(lsm_close(db));
  env_fault_free(env);
}
END_TEST

Suite *pace_suite(void) {
  Suite *s = suite_create("pace");
  TCase *tc = tcase_create("pace");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_level0);
  tcase_add_test(tc, test_flush);
  tcase_add_test(tc, test_meter);
  tcase_add_test(tc, test_budget);
  suite_add_tcase(s, tc);
  return s;
}
