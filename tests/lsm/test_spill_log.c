/* test_spill_log.c: the record that names the tables of a transaction larger than its share of
** memory: what the log, the host, another process and a crash make of it. The share is tiny here. */
#include <stdio.h>

#include "db_int.h"
#include "store.h"

Suite *spill_log_suite(void);

static lsm_env *env;
static lsm_options opt;
static lsm_db *db;

static void setup(void) {
  ck_lsm(env_fault_new(NULL, &env));
  opt = store_options(16u << 10);
  opt.txn_memory = 600;
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

/* Nothing is on disk but what the store has. */
static void check_no_orphans(void) {
  ck_lsm(lsm_wait_idle(db, NULL));
  lsm_db_purge(db);
  store_check_files(env, db);
}

/*------------------------------------------------------------------ hosts */

/* The store as the log alone has it, opened with a host that kept TXID. */
static lsm_db *open_image(uint64_t txid, store_host *host, lsm_env **image) {
  lsm_options o = opt;
  memset(host, 0, sizeof(*host));
  host->txid = txid;
  o.host_txid = store_host_txid;
  o.host_arg = host;
  ck_lsm(env_fault_crash(env, ENV_FAULT_DROP, 3, image));
  return store_open(*image, &o);
}

static void check_image(uint64_t txid, uint32_t ks, const model *m, bool asked) {
  store_host host;
  lsm_env *image = NULL;
  lsm_db *second = open_image(txid, &host, &image);
  store_check(second, ks, m);
  store_verify(second);
  ck_assert_int_eq(host.calls > 0, asked);
  for (int round = 0; round < 2; round++) { /* and it stays so, whatever the host says then */
    store_put(second, ks, "zz", "later");
    ck_assert_str_eq(store_get(second, ks, "zz"), "later");
    store_put(second, ks, "zz", NULL);
    store_check(second, ks, m);
    ck_lsm(lsm_wait_idle(second, NULL));
    store_check_files(image, second);
    ck_lsm(lsm_close(second));
    second = store_open(image, &opt);
    store_check(second, ks, m);
  }
  ck_lsm(lsm_close(second));
  env_fault_free(image);
}

START_TEST(test_host_decides) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  model *before = model_new(), *after;
  lsm_txn *t = store_begin(db);
  store_fill(t, ks, 0, 50, "before", before);
  store_commit(t, LSM_SYNC_FULL);
  uint64_t first = lsm_last_txid(db);
  after = model_copy(before);
  t = store_begin(db);
  store_fill(t, ks, 30, 200, "after", after);
  ck_lsm(lsm_txn_delete_range(t, ks, S("k00000"), S("k00010")));
  model_delete_range(after, S("k00000"), S("k00010"));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, store_host_name, NULL));
  uint64_t txid = lsm_txn_id(t);
  ck_assert_uint_gt(txid, first);
  check_image(first, ks, before, true);
  check_image(txid, ks, after, true);
  check_image(txid + 7, ks, before, true); /* it has moved on without */

  store_host host;
  lsm_env *image = NULL; /* who cannot ask must not decide */
  lsm_options o = opt;
  memset(&host, 0, sizeof(host));
  host.unknown = true;
  o.host_txid = store_host_txid;
  o.host_arg = &host;
  ck_lsm(env_fault_crash(env, ENV_FAULT_DROP, 3, &image));
  int files = store_count_files(image, ".sst");
  lsm_db *second = NULL;
  ck_assert_int_eq(lsm_open(image, STORE_DIR, &o, &second), LSM_CANTOPEN);
  ck_assert_int_eq(store_await_files(image, ".sst", files), files);
  host.unknown = false;
  host.txid = txid;
  second = store_open(image, &o);
  store_check(second, ks, after);
  ck_lsm(lsm_close(second));
  env_fault_free(image);

  lsm_txn_commit(t);
  store_check(db, ks, after);
  ck_lsm(lsm_wait_idle(db, NULL));
  check_image(txid, ks, after, false); /* it is in tables */
  model_free(before);
  model_free(after);
}
END_TEST

static _Atomic int host_syncs;
static _Atomic lsm_rc host_sync_rc; /* the flusher asks too */
static lsm_rc count_host_sync(void *arg) {
  (void)arg;
  host_syncs++;
  return host_sync_rc == LSM_OK ? LSM_OK : lsm_fail(host_sync_rc, "/host: not now");
}

/* The tables leave the log only when the host has made its part durable. */
START_TEST(test_host_sync) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  ck_lsm(lsm_close(db));
  opt.host_sync = count_host_sync;
  host_syncs = 0;
  host_sync_rc = LSM_IOERR;
  db = store_open(env, &opt);
  model *m = model_new(), *none = model_new();
  lsm_txn *t = store_begin(db);
  store_fill(t, ks, 0, 200, "v", m);
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, store_host_name, NULL));
  uint64_t txid = lsm_txn_id(t);
  lsm_txn_commit(t);
  store_check(db, ks, m);
  ck_assert_int_eq(lsm_flush(db, NULL), LSM_IOERR);
  ck_assert_int_gt(host_syncs, 0);
  store_check(db, ks, m);
  store_put(db, ks, "x", "y");    /* goes on above the tables */
  check_image(0, ks, none, true); /* the host has lost it */
  model_put(m, S("x"), S("y"));
  store_put(db, ks, "k00001", NULL); /* of what is in the log alone */
  store_delete_range(db, ks, "k00002", "k00005");
  model_delete(m, S("k00001"));
  model_delete_range(m, S("k00002"), S("k00005"));
  store_verify(db);
  lsm_env *image = NULL; /* killed: both logs are read, and flushed together */
  ck_lsm(env_fault_crash(env, ENV_FAULT_KEEP, 1, &image));
  lsm_options o = opt;
  o.host_sync = NULL;
  lsm_db *second = store_open(image, &o);
  store_check(second, ks, m);
  ck_lsm(lsm_compact(second, ks, NULL));
  store_check(second, ks, m);
  ck_lsm(lsm_close(second));
  env_fault_free(image);
  host_sync_rc = LSM_OK;
  ck_lsm(lsm_flush(db, NULL));
  store_check(db, ks, m);
  ck_lsm(lsm_wait_idle(db, NULL));
  check_image(txid, ks, m, false);
  model_free(m);
  model_free(none);
}
END_TEST

/*---------------------------------------------------- another process */

/* Two handles: what one spills the other sees when it is committed, all at once. */
START_TEST(test_two_processes) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  lsm_env *mem = NULL;
  lsm_db *a = NULL, *b = NULL;
  model *m = model_new();
  ck_lsm(lsm_env_mem_new(&mem));
  ck_lsm(lsm_open(mem, STORE_DIR, &opt, &a));
  ks = store_keyspace(a, LSM_LEVELED);
  store_put(a, ks, "k00000", "old");
  ck_lsm(lsm_open(mem, STORE_DIR, &opt, &b));
  for (int round = 0; round < 6; round++) {
    lsm_db *writer = round % 2 == 0 ? a : b, *reader = round % 2 == 0 ? b : a;
    model *now = model_copy(m);
    lsm_snapshot *held = NULL, *own = NULL;
    if (round == 0) {
      model_put(m, S("k00000"), S("old"));
      model_put(now, S("k00000"), S("old"));
    }
    lsm_txn *t = store_begin(writer);
    store_fill(t, ks, round * 20, round * 20 + 150, round % 2 == 0 ? "a" : "b", now);
    ck_lsm(lsm_txn_delete_range(t, ks, S("k00010"), S("k00013")));
    model_delete_range(now, S("k00010"), S("k00013"));
    store_check(reader, ks, m);
    ck_lsm(lsm_snapshot_acquire(reader, &held));
    ck_lsm(lsm_txn_prepare(t, LSM_SYNC_NORMAL, NULL, NULL));
    store_check(reader, ks, m);
    ck_lsm(lsm_txn_snapshot(t, &own));
    if (round == 3) {
      ck_lsm(lsm_txn_rollback(t));
      store_check(reader, ks, m);
      store_check(writer, ks, m);
    } else {
      lsm_txn_commit(t);
      store_check(reader, ks, now);
    }
    ck_lsm(lsm_compact(round % 3 == 0 ? reader : writer, ks, NULL));
    ck_lsm(lsm_compact(reader, ks, NULL));
    store_check_in(held, ks, m);
    store_check_in(own, ks, now);
    lsm_snapshot_release(own);
    store_check_in(held, ks, m);
    lsm_snapshot_release(held);
    store_put(reader, ks, "last", "1");
    store_put(writer, ks, "last", NULL);
    store_check(reader, ks, round == 3 ? m : now);
    model_free(round == 3 ? now : m);
    if (round != 3) m = now;
  }
  store_verify(a);
  store_verify(b);
  ck_lsm(lsm_close(a));
  store_check(b, ks, m);
  ck_lsm(lsm_close(b));
  ck_lsm(lsm_open(mem, STORE_DIR, &opt, &a));
  store_check(a, ks, m);
  store_check_files(mem, a);
  ck_lsm(lsm_close(a));
  lsm_env_mem_free(mem);
  model_free(m);
}
END_TEST

/*------------------------------------------------------------------ damage */

/* What a power loss leaves is one of two states, and never a log that names
** tables that are gone. */
static void check_losses(uint32_t ks, const model *m, const model *other) {
  for (uint64_t i = 0; i < 60; i++) {
    lsm_env *image = NULL;
    char why[MODEL_WHY];
    lsm_snapshot *snap = NULL;
    ck_lsm(env_fault_crash(env, ENV_FAULT_TEAR, i, &image));
    lsm_db *second = store_open(image, &opt);
    ck_lsm(lsm_snapshot_acquire(second, &snap));
    ck_lsm(model_compare(m, snap, ks, why));
    if (why[0] != 0 && other != NULL) ck_lsm(model_compare(other, snap, ks, why));
    ck_assert_msg(why[0] == 0, "image %d: %s", (int)i, why);
    lsm_snapshot_release(snap);
    store_verify(second);
    ck_lsm(lsm_close(second));
    env_fault_free(image);
  }
}

/* Prepared without a sync and taken back; _i 1: small, of the log alone. */
START_TEST(test_abort_is_durable) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  model *m = model_new();
  store_put(db, ks, "a", "b");
  model_put(m, S("a"), S("b"));
  ck_lsm(lsm_flush(db, NULL));
  lsm_txn *t = store_begin(db);
  if (_i == 0) store_fill(t, ks, 0, 100, "v", NULL);
  ck_lsm(lsm_txn_put(t, ks, S("a"), S("never")));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_NORMAL, NULL, NULL));
  ck_lsm(lsm_txn_rollback(t));
  ck_assert_int_eq(store_await_files(env, ".sst", 1), 1);
  ck_lsm(env->sync_dir(env, STORE_DIR)); /* the tables are gone for good */
  check_losses(ks, m, NULL);
  model_free(m);
}
END_TEST

/* The record is written, but whether it is durable cannot be learnt. */
START_TEST(test_failed_sync) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  model *m = model_new(), *all;
  store_put(db, ks, "a", "b");
  model_put(m, S("a"), S("b"));
  ck_lsm(lsm_flush(db, NULL));
  all = model_copy(m);
  lsm_txn *t = store_begin(db);
  store_fill(t, ks, 0, 100, "v", all);
  lsm_rc rc = LSM_OK;
  uint64_t from = env_fault_syncs(env);
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, NULL, NULL));
  uint64_t syncs = env_fault_syncs(env) - from;
  ck_lsm(lsm_txn_rollback_to(t, -1)); /* the same again, with its last sync failing */
  store_fill(t, ks, 0, 100, "v", NULL);
  int before = store_count_files(env, ".sst");
  env_fault_fail(env, ENV_FAULT_SYNC | ENV_FAULT_SYNC_DIR | ENV_FAULT_TRUNCATE, 0, LSM_IOERR, 0);
  for (uint64_t n = syncs + 4; n > 0 && rc == LSM_OK; n--) {
    env_fault_fail(env, ENV_FAULT_SYNC | ENV_FAULT_SYNC_DIR | ENV_FAULT_TRUNCATE, n, LSM_IOERR,
                   ENV_FAULT_STICKY);
    rc = lsm_txn_prepare(t, LSM_SYNC_FULL, NULL, NULL);
    env_fault_clear(env);
    if (rc == LSM_OK) {
      ck_lsm(lsm_txn_rollback_to(t, -1));
      store_fill(t, ks, 0, 100, "v", NULL);
    }
  }
  ck_assert_int_eq(rc, LSM_IOERR);
  ck_lsm(lsm_txn_rollback(t));
  ck_assert_int_ge(store_count_files(env, ".sst"), before); /* they stay: the record may come back */
  check_losses(ks, m, all);
  store_check(db, ks, m);
  reopen();
  store_check(db, ks, m);
  check_no_orphans();
  model_free(m);
  model_free(all);
}
END_TEST

static lsm_rc keep_record(void *arg, const lsm_wal_record *rec) {
  lsm_buf *found = arg;
  if (rec->type != LSM_WAL_FILES && rec->type != LSM_WAL_PREPARE_FILES) return LSM_OK;
  found->size = 0;
  return lsm_buf_set(found, rec->payload);
}

/* The record is an edit that adds files of level 0, and no other is believed. */
START_TEST(test_record) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  lsm_txn *t = store_begin(db);
  store_fill(t, ks, 0, 100, "v", NULL);
  const uint8_t *host = _i == 1 ? store_host_name : NULL;
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, host, NULL));
  char path[64];
  lsm_buf found = {0};
  lsm_wal_info info;
  snprintf(path, sizeof(path), STORE_DIR "/%06d.wal", (int)db->log_number);
  ck_lsm(lsm_wal_replay(env, path, db->store_id, db->log_number, 0, keep_record, &found, &info));
  size_t skip = _i == 1 ? LSM_HOST_SIZE : 0;
  ck_assert_uint_gt(found.size, skip);
  if (_i == 1) ck_assert_mem_eq(found.data, store_host_name, LSM_HOST_SIZE);
  lsm_slice edit = lsm_slice_of(found.data + skip, found.size - skip);
  lsm_version *runs = NULL;
  ck_lsm(lsm_runs_decode(db, edit, path, 64, &runs));
  ck_assert_uint_eq(runs->count, 1);
  ck_assert_uint_eq(runs->trees[0]->keyspace, ks);
  uint64_t run = runs->trees[0]->levels[0].files[0]->run;
  ck_assert_uint_lt(run, db->log_number); /* older than what the log gets now */
  uint64_t entries = 0;
  for (size_t i = 0; i < runs->trees[0]->levels[0].count; i++) {
    entries += runs->trees[0]->levels[0].files[i]->entries;
  }
  ck_assert_uint_eq(entries, 100);
  lsm_version_unref(runs);
  for (size_t n = 1; n < edit.size; n++) { /* cut anywhere: an error, or fewer files */
    lsm_rc rc = lsm_runs_decode(db, lsm_slice_of(edit.data, n), path, 64, &runs);
    ck_assert(rc == LSM_OK || rc == LSM_CORRUPT);
    lsm_version_unref(runs);
  }
  static const uint8_t other[] = {2, 7}; /* "log 7" */
  ck_assert_int_eq(lsm_runs_decode(db, lsm_slice_of(other, 2), path, 64, &runs), LSM_CORRUPT);
  ck_assert_ptr_null(runs);
  ck_assert_str_eq(lsm_errmsg() + strlen(path), ": record that adds more than files at offset 64");
  lsm_buf_fini(&found);
  ck_lsm(lsm_txn_rollback(t));
}
END_TEST

/* A table that the log names is missing: said so, not an empty table. */
START_TEST(test_missing_table) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  host_sync_rc = LSM_IOERR; /* so that it stays in the log */
  ck_lsm(lsm_close(db));
  opt.host_sync = count_host_sync;
  db = store_open(env, &opt);
  lsm_txn *t = store_begin(db);
  store_fill(t, ks, 0, 100, "v", NULL);
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, store_host_name, NULL));
  lsm_txn_commit(t);
  lsm_env *image = NULL;
  ck_lsm(env_fault_crash(env, ENV_FAULT_KEEP, 3, &image));
  char path[64];
  bool exists = false;
  for (int n = 1; !exists; n++) {
    snprintf(path, sizeof(path), STORE_DIR "/%06d.sst", n);
    ck_lsm(image->exists(image, path, &exists));
  }
  ck_lsm(image->remove(image, path));
  lsm_db *second = NULL;
  ck_assert_int_eq(lsm_open(image, STORE_DIR, &opt, &second), LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), path));
  env_fault_free(image);
  host_sync_rc = LSM_OK;
}
END_TEST

Suite *spill_log_suite(void) {
  Suite *s = suite_create("spill_log");
  TCase *tc = tcase_create("spill_log");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, test_host_decides);
  tcase_add_test(tc, test_host_sync);
  tcase_add_test(tc, test_two_processes);
  tcase_add_loop_test(tc, test_abort_is_durable, 0, 2);
  tcase_add_test(tc, test_failed_sync);
  tcase_add_loop_test(tc, test_record, 0, 2);
  tcase_add_test(tc, test_missing_table);
  tcase_set_timeout(tc, 0);
  suite_add_tcase(s, tc);
  return s;
}
