/* test_db_regress.c: faults of the store that were found once, each with the
** smallest story that shows it. Through lsm.h, over env_fault. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base.h"
#include "env_fault.h"

Suite *db_regress_suite(void);

#define DIR "/store"

#define ck_lsm(expr)                                                                       \
  do {                                                                                     \
    lsm_rc ck_rc = (expr);                                                                 \
    ck_assert_msg(ck_rc == LSM_OK, "%s: %s: %s", #expr, lsm_rc_name(ck_rc), lsm_errmsg()); \
  } while (0)

/* A store with one keyspace, in a fresh environment that can fail. */
typedef struct fixture {
  lsm_env *env;
  lsm_options opt;
  lsm_db *db;
  uint32_t ks;
} fixture;

static void start(fixture *f, size_t memtable_size) {
  lsm_keyspace_options ko;
  lsm_keyspace_options_init(&ko);
  lsm_options_init(&f->opt);
  f->opt.create = true;
  if (memtable_size != 0) f->opt.memtable_size = memtable_size;
  ck_lsm(env_fault_new(NULL, &f->env));
  ck_lsm(lsm_open(f->env, DIR, &f->opt, &f->db));
  ck_lsm(lsm_keyspace_create(f->db, &ko, &f->ks));
}

static void put(lsm_db *db, uint32_t ks, const char *key, const char *value, lsm_sync sync) {
  lsm_txn *t;
  ck_lsm(lsm_txn_begin(db, 0, NULL, &t));
  ck_lsm(lsm_txn_put(t, ks, lsm_slice_str(key), lsm_slice_str(value)));
  ck_lsm(lsm_txn_prepare(t, sync, NULL, NULL));
  lsm_txn_commit(t);
}

static void check_value(lsm_db *db, uint32_t ks, const char *key, const char *value) {
  lsm_snapshot *s;
  lsm_buf b = {0};
  ck_lsm(lsm_snapshot_acquire(db, &s));
  ck_lsm(lsm_get(s, ks, lsm_slice_str(key), &b));
  ck_assert(lsm_slice_eq(lsm_buf_slice(&b), lsm_slice_str(value)));
  lsm_buf_fini(&b);
  lsm_snapshot_release(s);
}

/*-------------------------------------------------- durable before it counts */

/* After a power loss all that was ever committed with LSM_SYNC_FULL is there. */
static void check_after_power_loss(fixture *f, bool wrote, env_fault_mode mode, uint64_t seed) {
  lsm_env *image;
  lsm_db *db;
  ck_lsm(env_fault_crash(f->env, mode, seed, &image));
  ck_lsm(lsm_open(image, DIR, &f->opt, &db));
  check_value(db, f->ks, "a", "2");
  check_value(db, f->ks, "b", "2");
  if (wrote) check_value(db, f->ks, "c", "3");
  ck_lsm(lsm_close(db));
  env_fault_free(image);
}

/* A process dies between the write of a manifest's record and its sync: every
** sync from the nth on fails, and so does taking the record back. The next
** process reads the record; it must not act on it (remove logs or tables, or
** promise commits) before it is durable. false: there were fewer than n. */
static bool killed_before_nth_sync(bool compact, bool write, unsigned n) {
  fixture f;
  start(&f, 0);
  put(f.db, f.ks, "a", "1", LSM_SYNC_FULL);
  ck_lsm(lsm_flush(f.db, NULL));
  put(f.db, f.ks, "a", "2", LSM_SYNC_FULL);
  put(f.db, f.ks, "b", "2", LSM_SYNC_FULL);
  env_fault_fail(f.env, ENV_FAULT_SYNC | ENV_FAULT_SYNC_DIR | ENV_FAULT_TRUNCATE, n, LSM_IOERR,
                 ENV_FAULT_STICKY);
  (void)(compact ? lsm_compact(f.db, f.ks, NULL) : lsm_flush(f.db, NULL));
  (void)lsm_close(f.db);
  bool fired = env_fault_fired(f.env) > 0;
  env_fault_clear(f.env);

  ck_lsm(lsm_open(f.env, DIR, &f.opt, &f.db));
  check_value(f.db, f.ks, "a", "2");
  if (write) put(f.db, f.ks, "c", "3", LSM_SYNC_FULL);
  check_after_power_loss(&f, write, ENV_FAULT_DROP, 0);
  for (uint64_t seed = 1; seed <= 10; seed++) {
    check_after_power_loss(&f, write, ENV_FAULT_TEAR, seed);
  }
  (void)lsm_close(f.db);
  env_fault_free(f.env);
  return fired;
}

START_TEST(test_manifest_read_before_it_was_durable) {
  unsigned n = 1;
  while (killed_before_nth_sync((_i & 1) != 0, (_i & 2) != 0, n)) n++;
  ck_assert_uint_gt(n, 3);
}
END_TEST

/* Damages every table of the store that is there now. */
static lsm_rc damage_table(void *arg, const char *name) {
  fixture *f = arg;
  char path[100];
  uint8_t byte = 0;
  size_t got = 0, n = strlen(name);
  lsm_file *file = NULL;
  if (n < 4 || strcmp(name + n - 4, ".sst") != 0) return LSM_OK;
  snprintf(path, sizeof(path), DIR "/%s", name);
  ck_lsm(f->env->open(f->env, path, LSM_OPEN_WRITE, &file));
  ck_lsm(lsm_file_read(file, 2, &byte, 1, &got));
  byte ^= 1;
  ck_lsm(lsm_file_write(file, 2, &byte, 1));
  lsm_file_close(file);
  return LSM_OK;
}

/* The most urgent keyspace has damaged tables, so its compaction fails for ever; the
** others', of which one was passed over by then and one came later, goes on. */
START_TEST(test_damage_stops_only_its_keyspace) {
  fixture f;
  lsm_keyspace_options ko;
  uint32_t others[2];
  start(&f, 0);
  lsm_keyspace_options_init(&ko);
  for (int i = 0; i < 2; i++) ck_lsm(lsm_keyspace_create(f.db, &ko, &others[i]));
  for (int i = 0; i < 3; i++) { /* one run less than is due */
    put(f.db, f.ks, "a", "1", LSM_SYNC_OFF);
    ck_lsm(lsm_flush(f.db, NULL));
  }
  ck_lsm(lsm_close(f.db));
  ck_lsm(f.env->list(f.env, DIR, damage_table, &f));
  ck_lsm(lsm_open(f.env, DIR, &f.opt, &f.db));
  for (int i = 0; i < 9; i++) {
    put(f.db, f.ks, "a", "2", LSM_SYNC_OFF);
    if (i > 4) put(f.db, others[0], "a", "2", LSM_SYNC_OFF);
    ck_lsm(lsm_flush(f.db, NULL));
  }
  for (int k = 0; k < 2; k++) {
    double score[LSM_MAX_LEVELS] = {1};
    for (int i = 0; i < 4 && k == 1; i++) {
      put(f.db, others[1], "b", "3", LSM_SYNC_OFF);
      ck_lsm(lsm_flush(f.db, NULL));
    }
    for (int i = 0; i < 3000 && score[0] >= 1; i++) {
      ck_lsm(lsm_level_scores(f.db, others[k], score));
      f.env->sleep_us(f.env, 10000);
    }
    ck_assert_msg(score[0] < 1, "keyspace %d is not compacted", k);
    ck_assert_int_eq(lsm_wait_idle(f.db, NULL), LSM_CORRUPT); /* and names the table */
    ck_assert_ptr_nonnull(strstr(lsm_errmsg(), ".sst"));
  }
  check_value(f.db, others[0], "a", "2");
  check_value(f.db, others[1], "b", "3");
  (void)lsm_close(f.db);
  env_fault_free(f.env);
}
END_TEST

/* The bounds of one table take 6 MB of the manifest: it is written anew once, when
** they have come, and then only if as much again has come behind. */
START_TEST(test_large_manifest) {
  fixture f;
  lsm_keyspace_options ko;
  start(&f, 0);
  lsm_keyspace_options_init(&ko);
  ko.compression = LSM_COMPRESS_NONE; /* packing the table would bring its bounds again */
  ck_lsm(lsm_keyspace_create(f.db, &ko, &f.ks));
  size_t n = 3u << 20;
  char *key = malloc(n + 1);
  ck_assert_ptr_nonnull(key);
  memset(key, 'k', n);
  key[n] = 0;
  put(f.db, f.ks, key, "first", LSM_SYNC_OFF);
  key[n - 1] = 'l';
  put(f.db, f.ks, key, "last", LSM_SYNC_OFF);
  ck_lsm(lsm_flush(f.db, NULL));
  for (int round = 0; round < 2; round++) {
    lsm_keyspace_options o;
    uint32_t id;
    lsm_keyspace_options_init(&o);
    for (int i = 0; i < 40; i++) ck_lsm(lsm_keyspace_create(f.db, &o, &id));
    lsm_stats s;
    lsm_get_stats(f.db, &s);
    ck_assert_uint_gt(s.manifest_bytes, round == 0 ? 2 * n : 0);
    ck_assert_uint_lt(s.manifest_bytes, round == 0 ? 5 * n : 1 << 20);
    check_value(f.db, f.ks, key, "last");
    ck_lsm(lsm_close(f.db));
    ck_lsm(lsm_open(f.env, DIR, &f.opt, &f.db));
  }
  free(key);
  ck_lsm(lsm_close(f.db));
  env_fault_free(f.env);
}
END_TEST

/*--------------------------------------------------------- two hosts, one log */

static const uint8_t host_a[LSM_HOST_SIZE] = "first host";
static const uint8_t host_b[LSM_HOST_SIZE] = "second host";
static uint64_t txid_a, txid_b; /* what the hosts keep */

static lsm_rc host_txid(void *arg, const uint8_t *host, uint64_t *txid, bool *known) {
  (void)arg;
  *known = true;
  *txid = memcmp(host, host_a, LSM_HOST_SIZE) == 0 ? txid_a : txid_b;
  return LSM_OK;
}

/* A transaction of one key, prepared for the host. */
static lsm_txn *prepared(fixture *f, const char *key, const uint8_t *host) {
  lsm_txn *t;
  ck_lsm(lsm_txn_begin(f->db, 0, NULL, &t));
  ck_lsm(lsm_txn_put(t, f->ks, lsm_slice_str(key), lsm_slice_str("1")));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, host, NULL));
  return t;
}

/* Goes on with what a crash leaves now. */
static void crash(fixture *f) {
  lsm_env *image;
  ck_lsm(env_fault_crash(f->env, ENV_FAULT_KEEP, 0, &image));
  (void)lsm_close(f->db);
  env_fault_free(f->env);
  f->env = image;
  ck_lsm(lsm_open(f->env, DIR, &f->opt, &f->db));
}

/* Host A loses its transaction 1, so the log is cut there, and B's transaction 2
** goes with it, which B has kept. Was 2 given out again, B would seem to have
** committed what it never did. */
START_TEST(test_number_of_a_dropped_transaction) {
  fixture f;
  start(&f, 0);
  lsm_txn *t = prepared(&f, "a", host_a);
  lsm_txn_commit(t);
  t = prepared(&f, "b", host_b);
  txid_a = 0;
  txid_b = lsm_txn_id(t);
  lsm_txn_commit(t);
  f.opt.host_txid = host_txid;
  crash(&f);

  t = prepared(&f, "c", host_b);
  ck_assert_uint_gt(lsm_txn_id(t), txid_b);
  lsm_env *image;
  ck_lsm(env_fault_crash(f.env, ENV_FAULT_KEEP, 0, &image));
  ck_lsm(lsm_txn_rollback(t));
  ck_lsm(lsm_close(f.db));
  env_fault_free(f.env);
  f.env = image;
  ck_lsm(lsm_open(f.env, DIR, &f.opt, &f.db));
  lsm_snapshot *s;
  lsm_buf b = {0};
  ck_lsm(lsm_snapshot_acquire(f.db, &s));
  ck_assert_int_eq(lsm_get(s, f.ks, lsm_slice_str("c"), &b), LSM_NOTFOUND);
  lsm_snapshot_release(s);
  lsm_buf_fini(&b);
  ck_lsm(lsm_close(f.db));
  env_fault_free(f.env);
}
END_TEST

Suite *db_regress_suite(void) {
  Suite *s = suite_create("db_regress");
  TCase *tc = tcase_create("durable");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, test_manifest_read_before_it_was_durable, 0, 4);
  tcase_add_test(tc, test_large_manifest);
  tcase_add_test(tc, test_damage_stops_only_its_keyspace);
  suite_add_tcase(s, tc);
  tc = tcase_create("hosts");
  tcase_add_test(tc, test_number_of_a_dropped_transaction);
  suite_add_tcase(s, tc);
  return s;
}
