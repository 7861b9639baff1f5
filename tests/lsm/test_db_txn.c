/* test_db_txn.c: transactions as the public header describes them: what they
** see, savepoints, prepare and its undoing, hosts that decide, failures. */
#include <stdio.h>
#include <stdlib.h>

#include "store.h"

Suite *db_txn_suite(void);

static lsm_env *env;
static lsm_options opt;
static lsm_db *db;

static void setup(void) {
  ck_lsm(env_fault_new(NULL, &env));
  opt = store_options(64u << 10);
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

static void expect(lsm_rc rc, lsm_rc want, const char *text) {
  ck_assert_msg(rc == want, "%s instead of %s: %s", lsm_rc_name(rc), lsm_rc_name(want),
                lsm_errmsg());
  ck_assert_msg(strstr(lsm_errmsg(), text) != NULL, "\"%s\" does not say \"%s\"", lsm_errmsg(),
                text);
}

static const char *txn_get(lsm_txn *t, uint32_t ks, const char *key) {
  static char text[64];
  lsm_buf v = {0};
  lsm_rc rc = lsm_txn_get(t, ks, S(key), &v);
  if (rc == LSM_NOTFOUND) return "-";
  ck_lsm(rc);
  snprintf(text, sizeof(text), "%.*s", (int)v.size, (const char *)v.data);
  lsm_buf_fini(&v);
  return text;
}

static const char *txn_all(lsm_txn *t, uint32_t ks) {
  lsm_snapshot *s = NULL;
  ck_lsm(lsm_txn_snapshot(t, &s));
  const char *text = store_scan(s, ks, NULL, NULL, false);
  lsm_snapshot_release(s);
  return text;
}

START_TEST(test_txn_sees_itself) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  store_put(db, ks, "a", "1");
  store_put(db, ks, "b", "1");
  ck_lsm(lsm_flush(db, NULL));
  lsm_txn *t = store_begin(db);
  ck_assert(lsm_txn_is_empty(t));
  ck_lsm(lsm_txn_put(t, ks, S("b"), S("2")));
  ck_lsm(lsm_txn_put(t, ks, S("c"), S("2")));
  ck_lsm(lsm_txn_delete(t, ks, S("a")));
  ck_assert(!lsm_txn_is_empty(t));
  ck_assert_str_eq(txn_all(t, ks), "b=2 c=2");
  ck_assert_str_eq(txn_get(t, ks, "a"), "-");
  ck_assert_str_eq(txn_get(t, ks, "b"), "2");
  ck_assert_str_eq(store_all(db, ks), "a=1 b=1");
  lsm_snapshot *then = NULL;
  ck_lsm(lsm_txn_snapshot(t, &then));
  ck_lsm(lsm_txn_delete_range(t, ks, S("b"), LSM_SLICE_NULL));
  ck_lsm(lsm_txn_put(t, ks, S("d"), S("3")));
  ck_assert_str_eq(txn_all(t, ks), "d=3");
  ck_assert_str_eq(txn_get(t, ks, "b"), "-");
  ck_lsm(lsm_flush(db, NULL));
  store_commit(t, LSM_SYNC_FULL);
  ck_assert_str_eq(store_scan(then, ks, NULL, NULL, true), "c=2 b=2");
  ck_assert_str_eq(store_get_in(then, ks, "a"), "-");
  ck_lsm(lsm_compact(db, ks, NULL));
  ck_assert_str_eq(store_scan(then, ks, NULL, NULL, true), "c=2 b=2");
  lsm_snapshot_release(then);
  ck_assert_str_eq(store_all(db, ks), "d=3");
  reopen();
  ck_assert_str_eq(store_all(db, ks), "d=3");
}
END_TEST

START_TEST(test_savepoints) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  store_put(db, ks, "z", "0");
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S("a"), S("1")));
  ck_assert(!lsm_txn_has_savepoint(t, 0));
  ck_lsm(lsm_txn_savepoint(t, 0));
  ck_lsm(lsm_txn_put(t, ks, S("b"), S("2")));
  ck_lsm(lsm_txn_savepoint(t, 1));
  ck_lsm(lsm_txn_delete_range(t, ks, LSM_SLICE_NULL, LSM_SLICE_NULL));
  ck_lsm(lsm_txn_savepoint(t, 3));
  ck_lsm(lsm_txn_put(t, ks, S("c"), S("3")));
  ck_assert_str_eq(txn_all(t, ks), "c=3");
  lsm_snapshot *seen = NULL;
  ck_lsm(lsm_txn_snapshot(t, &seen));
  ck_lsm(lsm_txn_rollback_to(t, 3));
  ck_assert_str_eq(txn_all(t, ks), "");
  ck_lsm(lsm_txn_put(t, ks, S("d"), S("4")));
  ck_lsm(lsm_txn_rollback_to(t, 2)); /* never made: the nearest below, 1 */
  ck_assert_str_eq(txn_all(t, ks), "a=1 b=2 z=0");
  ck_assert(!lsm_txn_has_savepoint(t, 3) && !lsm_txn_has_savepoint(t, 2));
  ck_assert(lsm_txn_has_savepoint(t, 1) && lsm_txn_has_savepoint(t, 0));
  ck_lsm(lsm_txn_put(t, ks, S("e"), S("5")));
  lsm_txn_release(t, 1);
  ck_assert(!lsm_txn_has_savepoint(t, 1));
  ck_assert_str_eq(txn_all(t, ks), "a=1 b=2 e=5 z=0");
  ck_lsm(lsm_txn_savepoint(t, 2));
  ck_lsm(lsm_txn_put(t, ks, S("f"), S("6")));
  ck_lsm(lsm_txn_savepoint(t, 1)); /* drops 2 */
  ck_assert(!lsm_txn_has_savepoint(t, 2));
  ck_lsm(lsm_txn_delete(t, ks, S("f")));
  ck_lsm(lsm_txn_rollback_to(t, 1));
  ck_assert_str_eq(txn_get(t, ks, "f"), "6");
  ck_lsm(lsm_txn_rollback_to(t, 0));
  ck_assert_str_eq(txn_all(t, ks), "a=1 z=0");
  ck_lsm(lsm_txn_put(t, ks, S("g"), S("7")));
  ck_lsm(lsm_txn_rollback_to(t, 0));
  ck_assert(!lsm_txn_is_empty(t));
  ck_lsm(lsm_txn_rollback_to(t, -1));
  ck_assert(lsm_txn_is_empty(t) && !lsm_txn_has_savepoint(t, 0));
  ck_assert_str_eq(txn_all(t, ks), "z=0");
  ck_assert_str_eq(store_scan(seen, ks, NULL, NULL, false), "c=3");
  lsm_snapshot_release(seen);
  ck_lsm(lsm_txn_put(t, ks, S("h"), S("8")));
  store_commit(t, LSM_SYNC_NORMAL);
  ck_assert_str_eq(store_all(db, ks), "h=8 z=0");
  reopen();
  ck_assert_str_eq(store_all(db, ks), "h=8 z=0");
}
END_TEST

static const uint8_t HOST[LSM_HOST_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

START_TEST(test_prepare_then_change) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  const uint8_t *host = _i & 1 ? HOST : NULL;
  lsm_sync sync = _i & 2 ? LSM_SYNC_FULL : LSM_SYNC_NORMAL;
  lsm_txn *t = store_begin(db);
  ck_assert_uint_eq(lsm_txn_id(t), 0);
  ck_lsm(lsm_txn_put(t, ks, S("a"), S("1")));
  ck_lsm(lsm_txn_savepoint(t, 0));
  ck_lsm(lsm_txn_prepare(t, sync, host, NULL));
  uint64_t first = lsm_txn_id(t);
  ck_assert_uint_ne(first, 0);
  ck_assert_str_eq(store_all(db, ks), "");
  ck_lsm(lsm_txn_put(t, ks, S("b"), S("2")));
  ck_lsm(lsm_txn_prepare(t, sync, host, NULL));
  ck_lsm(lsm_txn_prepare(t, sync, host, NULL)); /* nothing new to do */
  ck_assert_uint_gt(lsm_txn_id(t), first);
  ck_lsm(lsm_txn_rollback_to(t, 0));
  ck_lsm(lsm_txn_prepare(t, sync, host, NULL));
  lsm_txn_commit(t);
  ck_assert_str_eq(store_all(db, ks), "a=1");
  t = store_begin(db); /* prepared, rolled back */
  ck_lsm(lsm_txn_put(t, ks, S("c"), S("3")));
  ck_lsm(lsm_txn_prepare(t, sync, host, NULL));
  ck_lsm(lsm_txn_rollback(t));
  ck_assert_str_eq(store_all(db, ks), "a=1");
  reopen();
  ck_assert_str_eq(store_all(db, ks), "a=1");
  store_put(db, ks, "d", "4");
  t = store_begin(db); /* prepared, changed, changed back */
  ck_lsm(lsm_txn_put(t, ks, S("e"), S("5")));
  ck_lsm(lsm_txn_prepare(t, sync, host, NULL));
  ck_lsm(lsm_txn_rollback_to(t, -1));
  lsm_txn_commit(t); /* empty: needs no prepare */
  reopen();
  ck_assert_str_eq(store_all(db, ks), "a=1 d=4");
  store_verify(db);
}
END_TEST

/* Prepares that the log can't take, one way or the other. */
START_TEST(test_prepare_fails) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  store_put(db, ks, "a", "1");
  unsigned mask = _i & 1 ? ENV_FAULT_SYNC : ENV_FAULT_WRITE;
  unsigned more = _i & 2 ? ENV_FAULT_TRUNCATE : 0;
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S("b"), S("2")));
  env_fault_fail(env, mask | more, 1, LSM_FULL, ENV_FAULT_STICKY | ENV_FAULT_SHORT);
  expect(lsm_txn_prepare(t, LSM_SYNC_FULL, false, NULL), LSM_FULL, ".wal");
  env_fault_clear(env);
  ck_assert_str_eq(txn_all(t, ks), "a=1 b=2");
  if (_i & 4) { /* given up, then another one */
    ck_lsm(lsm_txn_rollback(t));
    t = store_begin(db);
    ck_lsm(lsm_txn_put(t, ks, S("c"), S("3")));
  }
  const char *want = _i & 4 ? "a=1 c=3" : "a=1 b=2";
  store_commit(t, LSM_SYNC_FULL);
  ck_assert_str_eq(store_all(db, ks), want);
  lsm_env *image = NULL;
  ck_lsm(env_fault_crash(env, ENV_FAULT_DROP, 1, &image));
  lsm_db *after = store_open(image, &opt);
  ck_assert_str_eq(store_all(after, ks), want);
  ck_lsm(lsm_close(after));
  env_fault_free(image);
  reopen();
  ck_assert_str_eq(store_all(db, ks), want);
}
END_TEST

/* A rollback whose ABORT the log can't take: the transaction is gone all the
** same, now, after more commits, after a reopen and after a crash. */
START_TEST(test_rollback_fails) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  store_put(db, ks, "a", "1");
  unsigned mask = _i & 1 ? ENV_FAULT_SYNC : ENV_FAULT_WRITE;
  unsigned more = _i & 2 ? ENV_FAULT_TRUNCATE : 0;
  bool change = _i & 8;
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S("b"), S("2")));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, false, NULL));
  env_fault_fail(env, mask | more, 1, LSM_IOERR, ENV_FAULT_STICKY);
  if (change && lsm_txn_put(t, ks, S("c"), S("3")) == LSM_OK) {
    ck_assert_str_eq(txn_all(t, ks), "a=1 b=2 c=3");
  }
  lsm_rc rc = lsm_txn_rollback(t);
  env_fault_clear(env);
  ck_assert_str_eq(store_all(db, ks), "a=1");
  if (rc == LSM_OK) {
    lsm_env *image = NULL;
    ck_lsm(env_fault_crash(env, ENV_FAULT_DROP, 1, &image));
    lsm_db *after = store_open(image, &opt);
    ck_assert_str_eq(store_all(after, ks), "a=1");
    ck_lsm(lsm_close(after));
    env_fault_free(image);
  }
  const char *want = "a=1";
  if (_i & 4) {
    t = store_begin(db);
    ck_lsm(lsm_txn_put(t, ks, S("d"), S("4")));
    store_commit(t, LSM_SYNC_FULL);
    want = "a=1 d=4";
    for (int mode = 0; mode < 2; mode++) {
      lsm_env *image = NULL;
      ck_lsm(env_fault_crash(env, mode ? ENV_FAULT_KEEP : ENV_FAULT_DROP, 1, &image));
      lsm_db *after = store_open(image, &opt);
      ck_assert_str_eq(store_all(after, ks), want);
      ck_lsm(lsm_close(after));
      env_fault_free(image);
    }
  }
  ck_assert_str_eq(store_all(db, ks), want);
  reopen();
  ck_assert_str_eq(store_all(db, ks), want);
}
END_TEST

/* A host: the number it keeps, and how often it was asked. */
typedef struct host { /* the store's threads ask, too */
  _Atomic int calls;
  uint64_t txid;
  bool known;
  _Atomic lsm_rc rc;
} host;

static lsm_rc host_txid(void *arg, const uint8_t *name, uint64_t *txid, bool *known) {
  host *h = arg;
  h->calls++;
  ck_assert_mem_eq(name, HOST, LSM_HOST_SIZE);
  *txid = h->txid;
  *known = h->known;
  return h->rc == LSM_OK ? LSM_OK : lsm_fail(h->rc, "the host does not know");
}

/* Opens the image, checks what is there, adds a row and crashes again. */
static void open_after_crash(lsm_env **image, const lsm_options *o, uint32_t ks, const char *want,
                             const char *add) {
  lsm_db *after = NULL;
  lsm_env *second = NULL;
  ck_lsm(lsm_open(*image, STORE_DIR, o, &after));
  ck_assert_str_eq(store_all(after, ks), want);
  store_verify(after);
  if (add != NULL) {
    lsm_txn *t = store_begin(after);
    ck_lsm(lsm_txn_put(t, ks, S(add), S("x")));
    store_commit(t, LSM_SYNC_FULL);
  }
  ck_lsm(env_fault_crash(*image, ENV_FAULT_DROP, 1, &second));
  ck_lsm(lsm_close(after));
  env_fault_free(*image);
  *image = second;
}

/* A crash between prepare and commit. _i: 0 the host has not committed, 1 it
** has, 2 nobody to ask, 3 the host fails, 4 it is another's. */
START_TEST(test_two_phase) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  store_put(db, ks, "a", "1");
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S("a"), S("2")));
  ck_lsm(lsm_txn_put(t, ks, S("b"), S("2")));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, HOST, NULL));
  uint64_t id = lsm_txn_id(t);
  lsm_env *image = NULL;
  ck_lsm(env_fault_crash(env, ENV_FAULT_DROP, 1, &image));
  lsm_txn_commit(t);
  ck_assert_str_eq(store_all(db, ks), "a=2 b=2");

  host h = {0, _i == 1 ? id : id - 1, _i != 4, _i == 3 ? LSM_IOERR : LSM_OK};
  lsm_options o = opt;
  o.host_txid = _i == 2 ? NULL : host_txid;
  o.host_arg = &h;
  lsm_db *after = NULL;
  if (_i >= 3) {
    if (_i == 3) expect(lsm_open(image, STORE_DIR, &o, &after), LSM_IOERR, "does not know");
    if (_i == 4) expect(lsm_open(image, STORE_DIR, &o, &after), LSM_CANTOPEN, "undecided");
    ck_assert_ptr_null(after);
    h.rc = LSM_OK;
    h.known = true;
    h.calls = 0;
  }
  const char *want = _i == 1 ? "a=2 b=2" : "a=1";
  open_after_crash(&image, &o, ks, want, NULL);
  ck_assert_int_eq(h.calls, _i != 2);
  /* Nothing was written: it is asked again. Then a commit settles it, and what
  ** the host says later, of later transactions, changes nothing. */
  open_after_crash(&image, &o, ks, want, "c");
  h.txid = id + 7;
  open_after_crash(&image, &o, ks, _i == 1 ? "a=2 b=2 c=x" : "a=1 c=x", "d");
  open_after_crash(&image, &o, ks, _i == 1 ? "a=2 b=2 c=x d=x" : "a=1 c=x d=x", NULL);
  env_fault_free(image);
}
END_TEST

/* Rolled back here, though the host had committed: it finds it again. */
START_TEST(test_two_phase_in_doubt) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S("a"), S("1")));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, HOST, NULL));
  uint64_t id = lsm_txn_id(t);
  ck_lsm(lsm_txn_rollback(t));
  store_put(db, ks, "b", "2");
  ck_assert_str_eq(store_all(db, ks), "b=2");
  host h = {0, id, true, LSM_OK};
  lsm_options o = opt;
  o.host_txid = host_txid;
  o.host_arg = &h;
  lsm_env *image = NULL;
  ck_lsm(env_fault_crash(env, ENV_FAULT_KEEP, 1, &image));
  open_after_crash(&image, &o, ks, "a=1 b=2", "c");
  h.txid = id + 9;
  open_after_crash(&image, &o, ks, "a=1 b=2 c=x", NULL);
  env_fault_free(image);
}
END_TEST

/* The host lost its last commits in a power loss: the store drops the same, and
** all that came after, in later logs too. */
START_TEST(test_host_lost_commits) {
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  uint64_t ids[3];
  for (int i = 0; i < 3; i++) {
    char key[2] = {(char)('a' + i), 0};
    lsm_txn *t = store_begin(db);
    ck_lsm(lsm_txn_put(t, ks, S(key), S("1")));
    ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, HOST, NULL));
    ids[i] = lsm_txn_id(t);
    lsm_txn_commit(t);
  }
  store_put(db, ks, "z", "9");
  host h = {0, ids[_i], true, LSM_OK};
  lsm_options o = opt;
  o.host_txid = host_txid;
  o.host_arg = &h;
  lsm_env *image = NULL;
  ck_lsm(env_fault_crash(env, ENV_FAULT_KEEP, 1, &image));
  static const char *const want[] = {"a=1", "a=1 b=1", "a=1 b=1 c=1 z=9"};
  open_after_crash(&image, &o, ks, want[_i], "y");
  char all[64];
  snprintf(all, sizeof(all), _i == 2 ? "a=1 b=1 c=1 y=x z=9" : "%s y=x", want[_i]);
  open_after_crash(&image, &o, ks, all, NULL);
  env_fault_free(image);
}
END_TEST

/* What a host has committed leaves the log only when the host is durable. */
static lsm_rc count_sync(void *arg) {
  host *h = arg;
  h->calls++;
  return h->rc == LSM_OK ? LSM_OK : lsm_fail(h->rc, "the host cannot be synced");
}

START_TEST(test_host_sync_before_flush) {
  host h = {0, 0, true, LSM_OK};
  ck_lsm(lsm_close(db));
  opt.host_sync = count_sync;
  opt.host_arg = &h;
  ck_lsm(lsm_open(env, STORE_DIR, &opt, &db));
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  store_put(db, ks, "a", "1");
  ck_lsm(lsm_flush(db, NULL));
  ck_assert_int_eq(h.calls, 0);
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S("b"), S("1")));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, HOST, NULL));
  lsm_txn_commit(t);
  h.rc = LSM_IOERR;
  expect(lsm_flush(db, NULL), LSM_IOERR, "cannot be synced");
  ck_assert_int_ge(h.calls, 1);
  h.rc = LSM_OK;
  ck_lsm(lsm_flush(db, NULL));
  ck_assert_str_eq(store_all(db, ks), "a=1 b=1");
}
END_TEST

/* A host's commit that is lost takes with it what the log has behind it: a durable
** commit of the store's own makes the host durable first, once. */
START_TEST(test_host_sync_before_durable_commit) {
  host h = {0, 0, true, LSM_OK};
  ck_lsm(lsm_close(db));
  opt.host_sync = count_sync;
  opt.host_arg = &h;
  ck_lsm(lsm_open(env, STORE_DIR, &opt, &db));
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S("a"), S("1")));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, HOST, NULL));
  lsm_txn_commit(t);
  ck_assert_int_eq(h.calls, 0);
  for (int i = 0; i < 4; i++) {
    static const lsm_sync syncs[] = {LSM_SYNC_NORMAL, LSM_SYNC_FULL, LSM_SYNC_FULL, LSM_SYNC_FULL};
    static const int calls[] = {0, 1, 2, 2};
    h.rc = i == 1 ? LSM_IOERR : LSM_OK;
    t = store_begin(db);
    ck_lsm(lsm_txn_put(t, ks, S("b"), S("2")));
    lsm_rc rc = lsm_txn_prepare(t, syncs[i], NULL, NULL);
    ck_assert_int_eq(rc, h.rc);
    ck_assert_int_eq(h.calls, calls[i]);
    if (rc == LSM_OK) lsm_txn_commit(t);
    else ck_lsm(lsm_txn_rollback(t));
  }
  ck_assert_str_eq(store_all(db, ks), "a=1 b=2");
}
END_TEST

/* The host's commit that made a keyspace unwanted must not be lost when it is gone. */
START_TEST(test_host_sync_before_drop) {
  host h = {0, 0, true, LSM_IOERR};
  lsm_keyspace_options ko;
  ck_lsm(lsm_close(db));
  opt.host_sync = count_sync;
  opt.host_arg = &h;
  ck_lsm(lsm_open(env, STORE_DIR, &opt, &db));
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  expect(lsm_keyspace_drop(db, ks), LSM_IOERR, "cannot be synced");
  ck_lsm(lsm_keyspace_get(db, ks, &ko));
  h.rc = LSM_OK;
  ck_lsm(lsm_keyspace_drop(db, ks));
  ck_assert_int_eq(h.calls, 2);
  ck_assert_int_eq(lsm_keyspace_get(db, ks, &ko), LSM_NOTFOUND);
}
END_TEST

static bool stop_third(void *arg) {
  int *calls = arg;
  return ++*calls >= 3;
}

START_TEST(test_busy) {
  lsm_txn *t = store_begin(db), *second = NULL;
  expect(lsm_txn_begin(db, 0, NULL, &second), LSM_BUSY, "another transaction");
  uint64_t start = env->now_us(env);
  expect(lsm_txn_begin(db, 40, NULL, &second), LSM_BUSY, "another transaction");
  uint64_t us = env->now_us(env) - start;
  ck_assert_msg(us >= 39000 && us < 2000000, "%d us", (int)us);
  int calls = 0;
  lsm_interrupt intr = {stop_third, &calls};
  expect(lsm_txn_begin(db, 60000, &intr, &second), LSM_INTERRUPT, "interrupted");
  ck_assert_ptr_null(second);
  ck_lsm(lsm_txn_rollback(t));
  t = store_begin(db);
  ck_lsm(lsm_txn_rollback(t));
  ck_lsm(lsm_txn_rollback(NULL));
}
END_TEST

Suite *db_txn_suite(void) {
  Suite *s = suite_create("db_txn");
  TCase *tc = tcase_create("db_txn");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, test_txn_sees_itself);
  tcase_add_test(tc, test_savepoints);
  tcase_add_loop_test(tc, test_prepare_then_change, 0, 4);
  tcase_add_loop_test(tc, test_prepare_fails, 0, 8);
  tcase_add_loop_test(tc, test_rollback_fails, 0, 16);
  tcase_add_loop_test(tc, test_two_phase, 0, 5);
  tcase_add_test(tc, test_two_phase_in_doubt);
  tcase_add_loop_test(tc, test_host_lost_commits, 0, 3);
  tcase_add_test(tc, test_host_sync_before_flush);
  tcase_add_test(tc, test_host_sync_before_durable_commit);
  tcase_add_test(tc, test_host_sync_before_drop);
  tcase_add_test(tc, test_busy);
  tcase_set_timeout(tc, 60);
  suite_add_tcase(s, tc);
  return s;
}
