/* test_rest.c: what is left of a load when it has come to rest: compressed files,
** written once more at most, whatever that saved. */
#include <stdio.h>
#include <stdlib.h>

#include "db_int.h"
#include "store.h"

Suite *rest_suite(void);

static lsm_env *env;
static lsm_db *db;
static lsm_options opt;

static void setup(void) {
  ck_lsm(lsm_env_mem_new(&env));
  opt = store_options(256 << 10);
  db = store_open(env, &opt);
}

static void teardown(void) {
  ck_lsm(lsm_close(db));
  lsm_env_mem_free(env);
}

static void reopen(void) {
  ck_lsm(lsm_close(db));
  db = store_open(env, &opt);
}

static uint32_t keyspace(lsm_compaction compaction, lsm_compression compression) {
  lsm_keyspace_options ko;
  uint32_t ks;
  lsm_keyspace_options_init(&ko);
  ko.compaction = compaction;
  ko.compression = compression;
  ck_lsm(lsm_keyspace_create(db, &ko, &ks));
  return ks;
}

typedef enum keys { RISING, SCATTERED } keys;
typedef enum values { TEXT, NOISE } values;

static void load(uint32_t ks, unsigned from, unsigned to, keys k, values v) {
  uint32_t noise = 12345;
  while (from < to) {
    lsm_txn *t = store_begin(db);
    for (unsigned end = from + 100; from < end && from < to; from++) {
      char key[16], value[96];
      snprintf(key, sizeof key, "%08x", k == RISING ? from : from * 2654435761u);
      memset(value, 'a' + (int)(from % 26), sizeof value);
      for (size_t i = 0; v == NOISE && i < sizeof value; i++) {
        noise = noise * 1664525u + 1013904223u;
        value[i] = (char)(noise >> 24);
      }
      ck_lsm(lsm_txn_put(t, ks, S(key), lsm_slice_of((uint8_t *)value, sizeof value)));
    }
    store_commit(t, LSM_SYNC_NORMAL);
  }
}

/* Bytes of files to which compression was not tried. */
static uint64_t unpacked(void) {
  lsm_version *v = lsm_db_version(db);
  uint64_t sum = 0;
  for (size_t t = 0; t < v->count; t++) {
    for (int l = 0; l < LSM_MAX_LEVELS; l++) {
      for (size_t i = 0; i < v->trees[t]->levels[l].count; i++) {
        const lsm_filemeta *f = v->trees[t]->levels[l].files[i];
        if (!f->packed) sum += f->size;
      }
    }
  }
  lsm_version_unref(v);
  return sum;
}

/* Nothing is written any more, in this process or the next. */
static void check_at_rest(uint32_t ks) {
  lsm_stats before = store_stats(db);
  ck_lsm(lsm_wait_idle(db, NULL));
  ck_assert_uint_eq(store_stats(db).compaction_bytes, before.compaction_bytes);
  reopen();
  store_put(db, ks, "one", "more");
  ck_lsm(lsm_flush(db, NULL)); /* starts the threads; too little to be packed */
  ck_lsm(lsm_wait_idle(db, NULL));
  ck_assert_uint_lt(store_stats(db).compaction_bytes, 16 << 10);
  ck_assert_uint_lt(unpacked(), db->picker.rest_bytes);
}

static const struct {
  lsm_compaction compaction;
  keys keys;
  values values;
} loads[] = {
    {LSM_LEVELED, RISING, TEXT}, {LSM_LEVELED, SCATTERED, TEXT},  {LSM_LEVELED, RISING, NOISE},
    {LSM_TIERED, RISING, TEXT},  {LSM_TIERED, SCATTERED, NOISE},
};

START_TEST(test_settles_packed) {
  uint32_t ks = keyspace(loads[_i].compaction, LSM_COMPRESS_ZLIB);
  load(ks, 0, 20000, loads[_i].keys, loads[_i].values);
  ck_lsm(lsm_flush(db, NULL));
  ck_lsm(lsm_wait_idle(db, NULL));
  lsm_stats s = store_stats(db);
  ck_assert_uint_lt(unpacked(), db->picker.rest_bytes);
  if (loads[_i].values == TEXT) {
    ck_assert_uint_lt(s.sst_bytes, s.sst_raw_bytes / 2);
  } else {
    ck_assert_uint_gt(s.sst_bytes, s.sst_raw_bytes / 10 * 9);
  }
  store_verify(db);
  check_at_rest(ks);
}
END_TEST

/* Who wants no compression gets none, and rows in rising order are written once. */
START_TEST(test_no_compression) {
  uint32_t ks = keyspace(LSM_LEVELED, LSM_COMPRESS_NONE);
  load(ks, 0, 20000, RISING, TEXT);
  ck_lsm(lsm_wait_idle(db, NULL));
  lsm_stats s = store_stats(db);
  ck_assert_uint_eq(s.compactions, 0);
  ck_assert_uint_eq(s.compaction_bytes, 0);
  ck_assert_uint_gt(unpacked(), 0);
}
END_TEST

/* One run, in level 1 by a move alone: compacting by hand packs it. */
START_TEST(test_compact_packs) {
  uint32_t ks = keyspace(LSM_LEVELED, LSM_COMPRESS_ZLIB);
  load(ks, 0, 2000, RISING, TEXT);
  ck_lsm(lsm_compact(db, ks, NULL));
  ck_assert_uint_eq(unpacked(), 0);
  uint64_t written = store_stats(db).compaction_bytes;
  ck_lsm(lsm_compact(db, ks, NULL));
  ck_assert_uint_eq(store_stats(db).compaction_bytes, written);
}
END_TEST

/* What a process did not come to, the next that writes does. */
START_TEST(test_after_reopen) {
  uint32_t ks = keyspace(LSM_LEVELED, LSM_COMPRESS_ZLIB);
  for (unsigned i = 0; i < 8; i++) {
    load(ks, i * 500, (i + 1) * 500, RISING, TEXT);
    ck_lsm(lsm_flush(db, NULL));
    reopen();
  }
  store_put(db, ks, "one", "more");
  while (unpacked() >= db->picker.rest_bytes) ck_lsm(lsm_wait_idle(db, NULL));
  store_verify(db);
}
END_TEST

/* Rows that were written again, and many that went with one record: in the end there
** is not much more than what can be seen. */
START_TEST(test_hidden) {
  uint32_t ks = keyspace(_i % 2 == 0 ? LSM_LEVELED : LSM_TIERED, LSM_COMPRESS_ZLIB);
  load(ks, 0, 20000, SCATTERED, TEXT);
  ck_lsm(lsm_flush(db, NULL));
  ck_lsm(lsm_wait_idle(db, NULL));
  uint64_t live = store_stats(db).sst_raw_bytes;
  ck_assert_uint_eq(live, 20000 * (8 + 96 + 1));
  if (_i < 2) {
    for (unsigned i = 0; i < 4; i++) load(ks, i * 5000, i * 5000 + 2000, SCATTERED, TEXT);
  } else {
    store_delete_range(db, ks, "2", "d"); /* as hex digits: 11 of 16 rows */
    live = live / 16 * 5;
  }
  ck_lsm(lsm_flush(db, NULL));
  ck_lsm(lsm_wait_idle(db, NULL));
  lsm_stats s = store_stats(db);
  ck_assert_msg(s.sst_raw_bytes <= live / 4 * 5, "%zu bytes of %zu", (size_t)s.sst_raw_bytes,
                (size_t)live);
  store_verify(db);
  check_at_rest(ks);
}
END_TEST

/* New rows hide nothing, however many there are. */
START_TEST(test_nothing_hidden) {
  uint32_t ks = keyspace(LSM_LEVELED, LSM_COMPRESS_ZLIB);
  bool much = true;
  for (unsigned i = 0; i < 3; i++) {
    load(ks, i * 3000, (i + 1) * 3000, SCATTERED, TEXT);
    ck_lsm(lsm_flush(db, NULL));
  }
  lsm_version *v = lsm_db_version(db);
  ck_lsm(lsm_tree_hides_much(db, lsm_version_tree(v, ks), &much));
  ck_assert(!much);
  lsm_version_unref(v);
  load(ks, 0, 9000, SCATTERED, TEXT);
  ck_lsm(lsm_flush(db, NULL));
  v = lsm_db_version(db);
  lsm_rc rc = lsm_tree_hides_much(db, lsm_version_tree(v, ks), &much);
  ck_assert(rc == LSM_OK && (much || lsm_version_tree(v, ks)->levels[0].count < 3));
  lsm_version_unref(v);
}
END_TEST

/* Files that a snapshot held, and not few, are removed by the compactor when it is
** released; with nobody to do it, at once. */
START_TEST(test_removal) {
  uint32_t ks = keyspace(LSM_LEVELED, LSM_COMPRESS_NONE);
  lsm_snapshot *s;
  for (unsigned i = 0; i < 3; i++) {
    load(ks, 0, 6000, SCATTERED, TEXT);
    ck_lsm(lsm_flush(db, NULL));
  }
  ck_lsm(lsm_wait_idle(db, NULL));
  int before = store_count_files(env, ".sst");
  ck_assert_int_ge(before, 3);
  ck_lsm(lsm_snapshot_acquire(db, &s));
  store_delete_range(db, ks, NULL, NULL);
  ck_lsm(lsm_compact(db, ks, NULL));
  ck_assert_int_ge(store_count_files(env, ".sst"), 3);
  lsm_snapshot_release(s);
  ck_lsm(lsm_wait_idle(db, NULL));
  ck_assert_int_eq(store_await_files(env, ".sst", 0), 0);
}
END_TEST

Suite *rest_suite(void) {
  Suite *s = suite_create("rest");
  TCase *tc = tcase_create("rest");
  tcase_set_timeout(tc, 120);
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_loop_test(tc, test_settles_packed, 0, (int)(sizeof loads / sizeof *loads));
  tcase_add_test(tc, test_no_compression);
  tcase_add_test(tc, test_compact_packs);
  tcase_add_test(tc, test_after_reopen);
  tcase_add_loop_test(tc, test_hidden, 0, 4);
  tcase_add_test(tc, test_nothing_hidden);
  tcase_add_test(tc, test_removal);
  suite_add_tcase(s, tc);
  return s;
}
