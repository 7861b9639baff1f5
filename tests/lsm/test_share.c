/* Several processes on one store, as several handles in one environment: their
** locks exclude each other as those of processes do. A killed process is one
** whose handle is left behind (its locks are taken away by closing its files). */
#include <stdio.h>
#include <stdlib.h>

#include "share.h"
#include "store.h"

#define PROCESSES 3
#define KEYS      400

static lsm_env *env;
static lsm_db *dbs[PROCESSES];
static lsm_options opt;
static uint64_t seed;

static uint64_t rnd(uint64_t n) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed % n;
}

static void setup(void) {
  seed = 88172645463325252u;
  ck_lsm(lsm_env_mem_new(&env));
  opt = store_options(64 << 10);
  for (int i = 0; i < PROCESSES; i++) ck_lsm(lsm_open(env, STORE_DIR, &opt, &dbs[i]));
}

static void teardown(void) {
  for (int i = 0; i < PROCESSES; i++) {
    ck_lsm(lsm_close(dbs[i]));
    dbs[i] = NULL;
  }
  lsm_env_mem_free(env);
}

START_TEST(test_words) {
  lsm_share *a = NULL, *b = NULL;
  bool alone = false;
  ck_lsm(env->mkdir(env, "/words"));
  ck_lsm(lsm_share_open(env, "/words", true, &a));
  ck_lsm(lsm_share_attach(a, &alone));
  ck_assert(alone);
  lsm_share_set_log(a, lsm_pos(7, 4096));
  lsm_share_raise_number(a, 12);
  lsm_share_opened(a);
  ck_lsm(lsm_share_open(env, "/words", false, &b));
  ck_lsm(lsm_share_attach(b, &alone));
  ck_assert(!alone);
  lsm_share_opened(b);
  ck_assert_uint_eq(lsm_pos_number(lsm_share_log(b)), 7);
  ck_assert_uint_eq(lsm_pos_off(lsm_share_log(b)), 4096);
  ck_assert_uint_eq(lsm_share_new_number(b), 12);
  ck_assert_uint_eq(lsm_share_new_number(a), 13);
  ck_lsm(lsm_share_lock(a, LSM_SHARE_WRITER, 0, NULL));
  ck_assert_int_eq(lsm_share_lock(b, LSM_SHARE_WRITER, 0, NULL), LSM_BUSY);
  ck_assert_int_eq(lsm_share_lock(b, LSM_SHARE_WRITER, 3000, NULL), LSM_BUSY);
  lsm_share_unlock(a, LSM_SHARE_WRITER);
  ck_lsm(lsm_share_lock(b, LSM_SHARE_WRITER, 0, NULL));
  /* The slowest process counts, as long as it lives. */
  lsm_share_set_min(a, 100);
  lsm_share_set_min(b, 200);
  ck_assert(!lsm_share_all_past(a, 150) && !lsm_share_all_past(b, 150));
  ck_assert(lsm_share_all_past(b, 100));
  lsm_share_set_min(a, 300);
  ck_assert(lsm_share_all_past(a, 200) && !lsm_share_all_past(a, 201));
  lsm_share_close(b);
  ck_assert(lsm_share_all_past(a, 300));
  lsm_share_close(a);
}
END_TEST

/* Random work on random handles beside one model: every handle sees it all. */
START_TEST(test_model) {
  model *m = model_new();
  uint32_t ks = store_keyspace(dbs[0], _i == 0 ? LSM_LEVELED : LSM_TIERED);
  for (int step = 0; step < 600; step++) {
    lsm_db *db = dbs[rnd(PROCESSES)];
    uint64_t what = rnd(100);
    if (what < 70) {
      lsm_txn *t = store_begin(db);
      model *now = model_copy(m);
      for (uint64_t i = 0, n = 1 + rnd(60); i < n; i++) {
        char key[16], value[64];
        snprintf(key, sizeof(key), "k%03d", (int)rnd(KEYS));
        snprintf(value, sizeof(value), "%d-%0*d", step, (int)rnd(50) + 1, (int)i);
        if (rnd(5) == 0) {
          ck_lsm(lsm_txn_delete(t, ks, S(key)));
          model_delete(now, S(key));
        } else {
          ck_lsm(lsm_txn_put(t, ks, S(key), S(value)));
          model_put(now, S(key), S(value));
        }
      }
      bool keep = rnd(6) != 0;
      if (keep || rnd(2)) ck_lsm(lsm_txn_prepare(t, (lsm_sync)rnd(3), NULL, NULL));
      if (keep) {
        lsm_txn_commit(t);
      } else {
        ck_lsm(lsm_txn_rollback(t));
      }
      model_free(keep ? m : now);
      if (keep) m = now;
    } else if (what < 74) {
      ck_lsm(lsm_flush(db, NULL));
    } else if (what < 76) {
      ck_lsm(lsm_compact(db, ks, NULL));
    } else if (what < 80) {
      int i = (int)rnd(PROCESSES);
      ck_lsm(lsm_close(dbs[i]));
      ck_lsm(lsm_open(env, STORE_DIR, &opt, &dbs[i]));
    } else {
      store_check(db, ks, m);
    }
  }
  for (int i = 0; i < PROCESSES; i++) {
    store_check(dbs[i], ks, m);
    store_verify(dbs[i]);
  }
  model_free(m);
}
END_TEST

/* A snapshot in one process keeps the files that another replaces. */
START_TEST(test_files_stay_for_readers) {
  uint32_t ks = store_keyspace(dbs[0], LSM_LEVELED);
  model *m = model_new();
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < 50; i++) {
      char key[16];
      snprintf(key, sizeof(key), "k%03d", i);
      store_put(dbs[round % 2], ks, key, round % 2 ? "odd" : "even");
      model_put(m, S(key), S(round % 2 ? "odd" : "even"));
    }
    ck_lsm(lsm_flush(dbs[0], NULL));
  }
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_snapshot_acquire(dbs[2], &snap));
  for (int i = 0; i < 50; i += 2) {
    char key[16];
    snprintf(key, sizeof(key), "k%03d", i);
    store_put(dbs[1], ks, key, "later");
  }
  ck_lsm(lsm_compact(dbs[1], ks, NULL));
  ck_lsm(lsm_wait_idle(dbs[1], NULL));
  store_check_in(snap, ks, m);
  lsm_snapshot_release(snap);
  ck_assert_str_eq(store_get(dbs[2], ks, "k000"), "later");
  ck_lsm(lsm_compact(dbs[1], ks, NULL)); /* a purge, too: the reader has moved on */
  store_put(dbs[1], ks, "x", "y");
  ck_lsm(lsm_flush(dbs[1], NULL));
  ck_assert_str_eq(store_get(dbs[2], ks, "x"), "y");
  ck_assert_str_eq(store_get(dbs[0], ks, "x"), "y");
  store_put(dbs[1], ks, "x", "z");
  ck_lsm(lsm_compact(dbs[1], ks, NULL));
  ck_assert_int_le(store_count_files(env, ".sst"), 6);
  store_verify(dbs[2]);
  model_free(m);
}
END_TEST

/* What one makes in the catalog of keyspaces the others know. */
START_TEST(test_keyspaces) {
  uint32_t a = store_keyspace(dbs[0], LSM_LEVELED), b = store_keyspace(dbs[1], LSM_TIERED);
  lsm_keyspace_options o;
  ck_assert_uint_ne(a, b);
  ck_lsm(lsm_keyspace_get(dbs[2], b, &o));
  ck_assert_int_eq(o.compaction, LSM_TIERED);
  store_put(dbs[2], a, "x", "1");
  store_put(dbs[0], b, "x", "2");
  ck_lsm(lsm_keyspace_drop(dbs[1], a));
  ck_assert_int_eq(lsm_keyspace_get(dbs[0], a, &o), LSM_NOTFOUND);
  ck_assert_str_eq(store_all(dbs[2], b), "x=2");
  ck_lsm(lsm_flush(dbs[2], NULL));
  ck_assert_str_eq(store_all(dbs[1], b), "x=2");
}
END_TEST

Suite *share_suite(void);
Suite *share_suite(void) {
  Suite *s = suite_create("share");
  TCase *tc = tcase_create("share");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, test_words);
  tcase_add_loop_test(tc, test_model, 0, 2);
  tcase_add_test(tc, test_files_stay_for_readers);
  tcase_add_test(tc, test_keyspaces);
  suite_add_tcase(s, tc);
  return s;
}
