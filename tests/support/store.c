/* store.c: short words for tests of a store. */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_MAX 65536

const uint8_t store_host_name[LSM_HOST_SIZE] = "a host's name";

lsm_rc store_host_txid(void *arg, const uint8_t *host, uint64_t *txid, bool *known) {
  store_host *h = arg;
  ck_assert_mem_eq(host, store_host_name, LSM_HOST_SIZE);
  h->calls++;
  *txid = h->txid;
  *known = !h->unknown;
  return h->rc == LSM_OK ? LSM_OK : lsm_fail(h->rc, "the host does not know");
}

lsm_options store_options(size_t memtable_size) {
  lsm_options o;
  lsm_options_init(&o);
  o.memtable_size = memtable_size;
  o.cache_size = 1u << 20;
  o.create = true;
  return o;
}

lsm_db *store_open(lsm_env *env, const lsm_options *opt) {
  lsm_db *db = NULL;
  ck_lsm(lsm_open(env, STORE_DIR, opt, &db));
  return db;
}

uint32_t store_keyspace(lsm_db *db, lsm_compaction compaction) {
  lsm_keyspace_options o;
  uint32_t id = 0;
  lsm_keyspace_options_init(&o);
  o.compaction = compaction;
  o.block_size = 256;
  ck_lsm(lsm_keyspace_create(db, &o, &id));
  return id;
}

lsm_txn *store_begin(lsm_db *db) {
  lsm_txn *t = NULL;
  ck_lsm(lsm_txn_begin(db, 20000, NULL, &t));
  return t;
}

void store_commit(lsm_txn *t, lsm_sync sync) {
  ck_lsm(lsm_txn_prepare(t, sync, NULL, NULL));
  lsm_txn_commit(t);
}

void store_put(lsm_db *db, uint32_t ks, const char *key, const char *value) {
  lsm_txn *t = store_begin(db);
  if (value != NULL) {
    ck_lsm(lsm_txn_put(t, ks, S(key), S(value)));
  } else {
    ck_lsm(lsm_txn_delete(t, ks, S(key)));
  }
  store_commit(t, LSM_SYNC_NORMAL);
}

static lsm_slice bound(const char *text) {
  return text == NULL ? LSM_SLICE_NULL : S(text);
}

void store_delete_range(lsm_db *db, uint32_t ks, const char *lower, const char *upper) {
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_delete_range(t, ks, bound(lower), bound(upper)));
  store_commit(t, LSM_SYNC_NORMAL);
}

void store_fill(lsm_txn *t, uint32_t ks, int from, int to, const char *value, model *m) {
  for (int i = from; i < to; i++) {
    char key[16], text[64];
    snprintf(key, sizeof(key), "k%05d", i);
    snprintf(text, sizeof(text), "%s-%d", value, i);
    ck_lsm(lsm_txn_put(t, ks, S(key), S(text)));
    if (m != NULL) model_put(m, S(key), S(text));
  }
}

const char *store_get_in(lsm_snapshot *snap, uint32_t ks, const char *key) {
  static char text[TEXT_MAX];
  lsm_buf value = {0};
  lsm_rc rc = lsm_get(snap, ks, S(key), &value);
  if (rc == LSM_NOTFOUND) {
    snprintf(text, sizeof(text), "-");
  } else {
    ck_lsm(rc);
    snprintf(text, sizeof(text), "%.*s", (int)value.size, (const char *)value.data);
  }
  lsm_buf_fini(&value);
  return text;
}

const char *store_get(lsm_db *db, uint32_t ks, const char *key) {
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  const char *text = store_get_in(snap, ks, key);
  lsm_snapshot_release(snap);
  return text;
}

const char *store_scan(lsm_snapshot *snap, uint32_t ks, const char *lower, const char *upper,
                       bool backward) {
  static char text[TEXT_MAX];
  size_t n = 0;
  lsm_cursor *c = NULL;
  text[0] = 0;
  ck_lsm(lsm_cursor_open(snap, ks, bound(lower), bound(upper), &c));
  ck_assert(!lsm_cursor_valid(c));
  ck_lsm(backward ? lsm_cursor_last(c) : lsm_cursor_first(c));
  while (lsm_cursor_valid(c)) {
    lsm_slice k = lsm_cursor_key(c), v = lsm_cursor_value(c);
    ck_assert_uint_lt(n + k.size + v.size + 3, sizeof(text));
    n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s=%.*s", n > 0 ? " " : "", (int)k.size,
                          (const char *)k.data, (int)v.size, (const char *)v.data);
    ck_lsm(backward ? lsm_cursor_prev(c) : lsm_cursor_next(c));
  }
  lsm_cursor_close(c);
  return text;
}

const char *store_all(lsm_db *db, uint32_t ks) {
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  const char *text = store_scan(snap, ks, NULL, NULL, false);
  lsm_snapshot_release(snap);
  return text;
}

void store_check_in(lsm_snapshot *snap, uint32_t ks, const model *m) {
  char why[MODEL_WHY];
  ck_lsm(model_compare(m, snap, ks, why));
  ck_assert_msg(why[0] == 0, "keyspace %u: %s", (unsigned)ks, why);
}

void store_check(lsm_db *db, uint32_t ks, const model *m) {
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  store_check_in(snap, ks, m);
  lsm_snapshot_release(snap);
}

static void on_finding(void *arg, const char *text) {
  snprintf(arg, 512, "%s", text);
}

void store_verify(lsm_db *db) {
  char text[512] = "";
  uint64_t findings = 0;
  ck_lsm(lsm_verify(db, NULL, on_finding, text, &findings));
  ck_assert_msg(findings == 0, "lsm_verify: %s", text);
}

lsm_stats store_stats(lsm_db *db) {
  lsm_stats s;
  lsm_get_stats(db, &s);
  return s;
}

typedef struct counting {
  const char *suffix;
  int n;
} counting;

static lsm_rc count_name(void *arg, const char *name) {
  counting *c = arg;
  size_t n = strlen(name), m = strlen(c->suffix);
  if (n >= m && strcmp(name + n - m, c->suffix) == 0) c->n++;
  return LSM_OK;
}

int store_count_files(lsm_env *env, const char *suffix) {
  counting c = {suffix, 0};
  ck_lsm(env->list(env, STORE_DIR, count_name, &c));
  return c.n;
}

int store_await_files(lsm_env *env, const char *suffix, int want) {
  const struct timespec ms = {0, 1000000};
  int n = store_count_files(env, suffix);
  for (int tries = 0; n != want && tries < 10000; tries++) {
    nanosleep(&ms, NULL);
    n = store_count_files(env, suffix);
  }
  return n;
}

void store_check_files(lsm_env *env, lsm_db *db) {
  int want = (int)store_stats(db).sst_files;
  ck_assert_int_eq(store_await_files(env, ".sst", want), want);
}

uint64_t store_param(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text == NULL || *text == 0 ? otherwise : strtoull(text, NULL, 10);
}
