/* kv_lsm.c: the store without SQL (lsm.h), as a rival. */
#define _GNU_SOURCE
#include "kv_bench.h"
#include "lsm.h"

struct store {
  lsm_db *db;
  lsm_txn *txn;
  uint32_t keyspace;
  lsm_sync sync;
  bool second;
  lsm_buf buf;
};

static void ok(lsm_rc rc) {
  if (rc != LSM_OK) die("%s: %s", lsm_rc_name(rc), lsm_errmsg());
}

static lsm_slice slice(const void *p, size_t n) {
  return (lsm_slice){p, n};
}

static store *new_store(void) {
  store *s = calloc(1, sizeof *s);
  if (s == NULL) die("out of memory");
  return s;
}

static store *db_open(const rival *rv, const open_options *o) {
  store *s = new_store();
  lsm_options opt;
  lsm_keyspace_options keyspace;
  (void)rv;
  lsm_options_init(&opt);
  lsm_keyspace_options_init(&keyspace);
  opt.memtable_size = (size_t)MEMTABLE_MB << 20;
  opt.cache_size = o->cache;
  opt.create = o->create;
  ok(lsm_open(lsm_env_default(), o->dir, &opt, &s->db));
  s->sync = LSM_SYNC_NORMAL;
  s->keyspace = 1;
  if (o->create) ok(lsm_keyspace_create(s->db, &keyspace, &s->keyspace));
  ok(lsm_keyspace_get(s->db, s->keyspace, &keyspace));
  return s;
}

static store *db_second(store *first) {
  store *s = new_store();
  s->db = first->db;
  s->keyspace = first->keyspace;
  s->sync = first->sync;
  s->second = true;
  return s;
}

static void db_close(store *s) {
  lsm_buf_fini(&s->buf);
  if (!s->second) ok(lsm_close(s->db));
  free(s);
}

static void db_set_full(store *s, bool full) {
  s->sync = full ? LSM_SYNC_FULL : LSM_SYNC_NORMAL;
}

static void db_begin(store *s) {
  ok(lsm_txn_begin(s->db, 60000, NULL, &s->txn));
}

static void db_commit(store *s) {
  ok(lsm_txn_prepare(s->txn, s->sync, NULL, NULL));
  lsm_txn_commit(s->txn);
  s->txn = NULL;
}

static void db_put(store *s, const row *r) {
  bool alone = s->txn == NULL;
  if (alone) db_begin(s);
  ok(lsm_txn_put(s->txn, s->keyspace, slice(r->key, KEY_SIZE), slice(r->value, VALUE_SIZE)));
  if (alone) db_commit(s);
}

static void db_erase(store *s, const row *r) {
  ok(lsm_txn_delete(s->txn, s->keyspace, slice(r->key, KEY_SIZE)));
}

static bool db_get(store *s, const uint8_t *key, check *c) {
  lsm_snapshot *snap;
  ok(lsm_snapshot_acquire(s->db, &snap));
  lsm_rc rc = lsm_get(snap, s->keyspace, slice(key, KEY_SIZE), &s->buf);
  lsm_snapshot_release(snap);
  if (rc == LSM_NOTFOUND) return false;
  ok(rc);
  check_row(c, NULL, 0, s->buf.data, s->buf.size);
  return true;
}

/* Visits up to `limit` rows from where the cursor stands; c NULL: only counts. */
static uint64_t walk(lsm_cursor *cur, uint64_t limit, bool backward, check *c) {
  uint64_t n = 0;
  for (; n < limit && lsm_cursor_valid(cur); n++) {
    lsm_slice key = lsm_cursor_key(cur);
    if (c != NULL) {
      lsm_slice value = lsm_cursor_value(cur);
      check_row(c, key.data, key.size, value.data, value.size);
    }
    if (n + 1 < limit) ok(backward ? lsm_cursor_prev(cur) : lsm_cursor_next(cur));
  }
  return n;
}

static uint64_t iterate(store *s, const uint8_t *key, uint64_t limit, bool backward, check *c) {
  lsm_snapshot *snap;
  lsm_cursor *cur;
  ok(lsm_snapshot_acquire(s->db, &snap));
  ok(lsm_cursor_open(snap, s->keyspace, slice(NULL, 0), slice(NULL, 0), &cur));
  if (key == NULL) {
    ok(backward ? lsm_cursor_last(cur) : lsm_cursor_first(cur));
  } else {
    lsm_slice at = slice(key, KEY_SIZE);
    ok(backward ? lsm_cursor_seek_le(cur, at) : lsm_cursor_seek_ge(cur, at));
  }
  uint64_t n = walk(cur, limit, backward, c);
  lsm_cursor_close(cur);
  lsm_snapshot_release(snap);
  return n;
}

static void db_seek(store *s, const uint8_t *key, int limit, bool backward, check *c) {
  iterate(s, key, (uint64_t)limit, backward, c);
}

static void db_scan(store *s, bool backward, check *c) {
  iterate(s, NULL, UINT64_MAX, backward, c);
}

static uint64_t db_count(store *s) {
  return iterate(s, NULL, UINT64_MAX, false, NULL);
}

static void db_flush(store *s) {
  ok(lsm_flush(s->db, NULL));
  ok(lsm_wait_idle(s->db, NULL));
}

static void db_compact(store *s) {
  ok(lsm_compact(s->db, s->keyspace, NULL));
}

const rival kv_lsm = {
    .name = "lsm.h",
    .open = db_open,
    .second = db_second,
    .close = db_close,
    .set_full = db_set_full,
    .begin = db_begin,
    .commit = db_commit,
    .insert = db_put,
    .put = db_put,
    .update = db_put,
    .erase = db_erase,
    .get = db_get,
    .seek = db_seek,
    .scan = db_scan,
    .count = db_count,
    .flush = db_flush,
    .compact = db_compact,
};
