/* test_db_model.c: random work on a store beside a simple ordered map.
**
** Small memtables, so that flushes and compactions never end; snapshots that
** are held for a while, cursors that turn round, savepoints, range deletes,
** keyspaces that come and go, stores closed and opened, and killed: what a
** kill leaves is opened in the place of what was. In some keyspaces values expire:
** there each begins with the time, by which the model drops it when the clock moves.
** LSM_TEST_SEEDS: how many seeds; LSM_TEST_STEPS: steps of each. */
#include <stdio.h>
#include <stdlib.h>

#include "store.h"

Suite *db_model_suite(void);

enum { KEYSPACES = 3, SNAPSHOTS = 4, MARKS = 6 };

typedef struct held { /* a snapshot and what it must show */
  lsm_snapshot *snap;
  uint32_t ids[KEYSPACES];
  model *models[KEYSPACES];
} held;

static struct {
  lsm_env *env;
  lsm_options opt;
  lsm_db *db;
  store_host host;
  uint64_t seed;
  uint32_t ids[KEYSPACES];
  model *models[KEYSPACES];
  bool expires[KEYSPACES];
  uint64_t now; /* the clock, in milliseconds */
  held held[SNAPSHOTS];
  unsigned keys; /* of how many keys it is about */
} fx;

static uint64_t rnd(uint64_t n) {
  return disk_random(&fx.seed) % n;
}

/* Keys of several lengths, some the beginning of others, some with zeros. */
static lsm_slice random_key(char *buf) {
  unsigned i = (unsigned)rnd(fx.keys);
  int n = snprintf(buf, 64, "%s%05u", i % 3 == 0 ? "a/rather/long/common/prefix/" : "k", i / 4);
  for (unsigned j = 0; j < i % 4; j++) buf[n++] = (char)(j == 2 ? 255 : 0);
  if (rnd(500) == 0) n = 0;
  return lsm_slice_of(buf, (size_t)n);
}

static lsm_slice random_value(uint8_t *buf) {
  size_t n = rnd(100) == 0 ? rnd(6000) : rnd(160);
  uint8_t c = (uint8_t)rnd(256);
  for (size_t i = 0; i < n; i++) buf[i] = (uint8_t)(i % 7 == 0 ? rnd(256) : c);
  return lsm_slice_of(buf, n);
}

/* NULL now and then; a range is usually short. */
static void random_range(char *a, char *b, lsm_slice *lo, lsm_slice *hi) {
  *lo = random_key(a);
  *hi = random_key(b);
  if (lsm_slice_cmp(*lo, *hi) > 0 && rnd(10) != 0) {
    lsm_slice x = *lo;
    *lo = *hi;
    *hi = x;
  }
  if (rnd(60) == 0) *lo = LSM_SLICE_NULL;
  if (rnd(60) == 0) *hi = LSM_SLICE_NULL;
}

/*-------------------------------------------------------------- the clock */

static uint64_t random_span(void) {
  static const uint32_t spans[] = {5, 1000, 60000, 3600000, 86400000};
  return rnd(spans[rnd(5)]);
}

/* Mostly some time ahead; now and then past, this very moment, or never. */
static uint64_t random_until(void) {
  uint64_t what = rnd(20);
  if (what == 0) return 0;
  return what == 1 ? 1 + rnd(fx.now + 2) : fx.now + random_span();
}

/* What has expired goes from the model. */
static void expire(model *m) {
  for (size_t i = model_count(m); i-- > 0;) {
    uint64_t until = lsm_get_u64(model_value(m, i).data);
    if (until != 0 && until <= fx.now) model_delete(m, model_key(m, i));
  }
}

/* REQUIRES: held models are not to change: their snapshots have their own time. */
static void move_clock(void) {
  fx.now += random_span();
  env_fault_set_time(fx.env, fx.now * 1000);
  for (int k = 0; k < KEYSPACES; k++) {
    if (fx.expires[k]) expire(fx.models[k]);
  }
}

/*------------------------------------------------------------------ reads */

static void check_get(lsm_snapshot *snap, uint32_t ks, const model *m, lsm_slice key) {
  lsm_buf got = {0};
  lsm_slice want;
  lsm_rc rc = lsm_get(snap, ks, key, &got);
  if (!model_get(m, key, &want)) {
    ck_assert_int_eq(rc, LSM_NOTFOUND);
  } else {
    ck_lsm(rc);
    ck_assert(lsm_slice_eq(lsm_buf_slice(&got), want));
  }
  lsm_buf_fini(&got);
}

/* A random walk: the cursor stands where a pointer into the model does. */
static void check_walk(lsm_snapshot *snap, uint32_t ks, const model *m, int steps) {
  char a[64], b[64], c[64];
  lsm_slice lo, hi;
  lsm_cursor *cur = NULL;
  random_range(a, b, &lo, &hi);
  if (rnd(2) == 0) lo = hi = LSM_SLICE_NULL;
  ck_lsm(lsm_cursor_open(snap, ks, lo, hi, &cur));
  long first = lo.data == NULL ? 0 : (long)model_rank(m, lo);
  long end = hi.data == NULL ? (long)model_count(m) : (long)model_rank(m, hi);
  if (end < first) end = first;
  long at = -1;
  for (int i = 0; i < steps; i++) {
    uint64_t what = rnd(at < first || at >= end ? 4 : 14), some;
    lsm_slice key = random_key(c), found;
    switch (what) {
      case 0:
        ck_lsm(lsm_cursor_first(cur));
        at = first;
        break;
      case 1:
        ck_lsm(lsm_cursor_last(cur));
        at = end - 1;
        break;
      case 2:
        ck_lsm(lsm_cursor_seek_ge(cur, key));
        at = (long)model_rank(m, key);
        if (at < first) at = first;
        break;
      case 3:
        ck_lsm(lsm_cursor_seek_le(cur, key));
        at = (long)model_rank(m, key) - !model_get(m, key, &found);
        if (at >= end) at = end - 1;
        break;
      case 4:
      case 5:
        ck_assert_int_lt(at + (long)lsm_cursor_ahead(cur), end);
        some = rnd(rnd(4) == 0 ? 300 : 20);
        ck_lsm(lsm_cursor_pass(cur, some));
        at += (long)some;
        break;
      default:
        if ((what + (uint64_t)(i / 16)) % 4 != 0) {
          ck_lsm(lsm_cursor_next(cur));
          at++;
        } else {
          ck_lsm(lsm_cursor_prev(cur));
          at--;
        }
    }
    ck_assert_int_eq(lsm_cursor_valid(cur), at >= first && at < end);
    if (!lsm_cursor_valid(cur)) continue;
    ck_assert(lsm_slice_eq(lsm_cursor_key(cur), model_key(m, (size_t)at)));
    ck_assert(lsm_slice_eq(lsm_cursor_value(cur), model_value(m, (size_t)at)));
  }
  lsm_cursor_close(cur);
}

static void read_some(lsm_snapshot *snap, const uint32_t *ids, model *const *models, int n) {
  char a[64];
  for (int i = 0; i < n; i++) {
    int k = (int)rnd(KEYSPACES);
    check_get(snap, ids[k], models[k], random_key(a));
  }
  int k = (int)rnd(KEYSPACES);
  check_walk(snap, ids[k], models[k], n);
}

static void check_all(void) {
  for (int k = 0; k < KEYSPACES; k++) store_check(fx.db, fx.ids[k], fx.models[k]);
}

/*-------------------------------------------------------------- snapshots */

static void release(held *h, bool check) {
  if (h->snap == NULL) return;
  for (int k = 0; k < KEYSPACES; k++) {
    if (check) store_check_in(h->snap, h->ids[k], h->models[k]);
    model_free(h->models[k]);
  }
  lsm_snapshot_release(h->snap);
  memset(h, 0, sizeof(*h));
}

static void hold(held *h) {
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_snapshot_acquire(fx.db, &snap));
  ck_lsm(lsm_snapshot_at(snap, fx.now, &h->snap));
  lsm_snapshot_release(snap);
  for (int k = 0; k < KEYSPACES; k++) {
    h->ids[k] = fx.ids[k];
    h->models[k] = model_copy(fx.models[k]);
  }
}

/*----------------------------------------------------------- transactions */

typedef struct work { /* an open transaction and what it must show */
  lsm_txn *t;
  model *now[KEYSPACES];
  model *mark[MARKS][KEYSPACES]; /* NULL: no such savepoint */
} work;

static void drop_marks(work *w, int from) {
  for (int n = from; n < MARKS; n++) {
    for (int k = 0; k < KEYSPACES; k++) {
      model_free(w->mark[n][k]);
      w->mark[n][k] = NULL;
    }
  }
}

static void go_back(work *w, int n) {
  while (n >= 0 && w->mark[n][0] == NULL) n--;
  for (int k = 0; k < KEYSPACES; k++) {
    model_free(w->now[k]);
    w->now[k] = model_copy(n >= 0 ? w->mark[n][k] : fx.models[k]);
  }
  drop_marks(w, n + 1);
}

static void change(work *w) {
  static uint8_t bytes[8192];
  char a[64], b[64];
  int k = (int)rnd(KEYSPACES);
  lsm_slice key = random_key(a), hi;
  uint64_t what = rnd(100);
  if (what < 65) {
    lsm_slice value = random_value(bytes + 8);
    if (fx.expires[k]) {
      uint64_t until = random_until();
      value = lsm_slice_of(bytes, value.size + 8);
      lsm_set_u64(bytes, until);
      ck_lsm(until == 0 && rnd(2) ? lsm_txn_put(w->t, fx.ids[k], key, value)
                                  : lsm_txn_put_until(w->t, fx.ids[k], key, value, until));
      model_put(w->now[k], key, value);
      if (until != 0 && until <= fx.now) model_delete(w->now[k], key);
    } else {
      ck_lsm(lsm_txn_put(w->t, fx.ids[k], key, value));
      model_put(w->now[k], key, value);
    }
  } else if (what < 97) {
    ck_lsm(lsm_txn_delete(w->t, fx.ids[k], key));
    model_delete(w->now[k], key);
  } else {
    random_range(a, b, &key, &hi);
    /* Mostly short: else nothing is ever left. */
    if (rnd(20) != 0 && key.data != NULL) {
      size_t at = model_rank(w->now[k], key) + rnd(40);
      hi = at < model_count(w->now[k]) ? model_key(w->now[k], at) : hi;
      if (hi.size >= sizeof(b)) return;
      if (hi.size > 0) memmove(b, hi.data, hi.size);
      if (hi.data != NULL) hi.data = (const uint8_t *)b;
    }
    ck_lsm(lsm_txn_delete_range(w->t, fx.ids[k], key, hi));
    model_delete_range(w->now[k], key, hi);
  }
}

static void savepoints(work *w) {
  int n = (int)rnd(MARKS);
  switch (rnd(4)) {
    case 0:
    case 1:
      drop_marks(w, n);
      ck_lsm(lsm_txn_savepoint(w->t, n));
      for (int k = 0; k < KEYSPACES; k++) w->mark[n][k] = model_copy(w->now[k]);
      break;
    case 2:
      ck_lsm(lsm_txn_rollback_to(w->t, rnd(8) == 0 ? (n = -1) : n));
      go_back(w, n);
      break;
    case 3:
      lsm_txn_release(w->t, n);
      drop_marks(w, n);
      break;
  }
  for (n = 0; n < MARKS; n++) {
    ck_assert_int_eq(lsm_txn_has_savepoint(w->t, n), w->mark[n][0] != NULL);
  }
}

static void look_inside(work *w) {
  lsm_snapshot *snap = NULL;
  lsm_buf got = {0};
  lsm_slice want;
  char a[64];
  for (int i = 0; i < 5; i++) {
    int k = (int)rnd(KEYSPACES);
    lsm_slice key = random_key(a);
    lsm_rc rc = lsm_txn_get(w->t, fx.ids[k], key, &got);
    bool there = model_get(w->now[k], key, &want);
    ck_assert_int_eq(rc, there ? LSM_OK : LSM_NOTFOUND);
    if (there) ck_assert(lsm_slice_eq(lsm_buf_slice(&got), want));
  }
  lsm_buf_fini(&got);
  ck_lsm(lsm_txn_snapshot(w->t, &snap));
  read_some(snap, fx.ids, w->now, 20);
  if (rnd(4) == 0) { /* moved by nothing that follows */
    model *then = model_copy(w->now[0]);
    for (int i = 0; i < 10; i++) change(w);
    store_check_in(snap, fx.ids[0], then);
    model_free(then);
  }
  lsm_snapshot_release(snap);
}

static void move_clock_inside(work *w) {
  move_clock();
  for (int k = 0; k < KEYSPACES; k++) {
    if (!fx.expires[k]) continue;
    expire(w->now[k]);
    for (int n = 0; n < MARKS; n++) {
      if (w->mark[n][k] != NULL) expire(w->mark[n][k]);
    }
  }
}

static void transaction(void) {
  work w = {0};
  w.t = store_begin(fx.db);
  for (int k = 0; k < KEYSPACES; k++) w.now[k] = model_copy(fx.models[k]);
  uint64_t n = rnd(10) == 0 ? rnd(600) : rnd(40);
  for (uint64_t i = 0; i < n; i++) {
    change(&w);
    if (rnd(12) == 0) savepoints(&w);
    if (rnd(60) == 0) look_inside(&w);
    if (rnd(200) == 0) move_clock_inside(&w);
    if (rnd(80) == 0)
      ck_lsm(lsm_txn_prepare(w.t, LSM_SYNC_NORMAL, rnd(2) ? store_host_name : NULL, NULL));
  }
  bool keep = rnd(8) != 0;
  const uint8_t *host = rnd(2) ? store_host_name : NULL;
  if (keep || rnd(2)) ck_lsm(lsm_txn_prepare(w.t, (lsm_sync)rnd(3), host, NULL));
  if (keep) {
    if (host != NULL && !lsm_txn_is_empty(w.t)) fx.host.txid = lsm_txn_id(w.t);
    lsm_txn_commit(w.t);
  } else {
    ck_lsm(lsm_txn_rollback(w.t));
  }
  for (int k = 0; k < KEYSPACES; k++) {
    model *other = keep ? fx.models[k] : w.now[k];
    if (keep) fx.models[k] = w.now[k];
    model_free(other);
  }
  drop_marks(&w, 0);
}

/*------------------------------------------------------------------ store */

static void new_keyspace(int k) {
  lsm_keyspace_options o;
  lsm_keyspace_options_init(&o);
  o.compaction = k == KEYSPACES - 1 ? LSM_TIERED : LSM_LEVELED;
  o.compression = rnd(2) ? LSM_COMPRESS_ZLIB : LSM_COMPRESS_NONE;
  o.block_size = (uint32_t)(200 + rnd(4000));
  o.bloom_bits = (uint32_t)rnd(12);
  o.expires = fx.expires[k] = rnd(2);
  ck_lsm(lsm_keyspace_create(fx.db, &o, &fx.ids[k]));
  fx.models[k] = model_new();
}

static void replace_keyspace(void) {
  int k = (int)rnd(KEYSPACES);
  ck_lsm(lsm_keyspace_drop(fx.db, fx.ids[k]));
  model_free(fx.models[k]);
  new_keyspace(k);
}

static void reopen(bool killed) {
  for (int i = 0; i < SNAPSHOTS; i++) release(&fx.held[i], i == 0);
  lsm_env *image = NULL;
  if (killed) ck_lsm(env_fault_crash(fx.env, ENV_FAULT_KEEP, fx.seed, &image));
  ck_lsm(lsm_close(fx.db));
  if (killed) {
    env_fault_free(fx.env);
    fx.env = image;
    env_fault_set_time(fx.env, fx.now * 1000);
  }
  if (rnd(2)) move_clock();
  fx.opt.memtable_size = (size_t)(8 + rnd(60)) << 10;
  fx.opt.cache_size = (size_t)(64 + rnd(400)) << 10;
  fx.db = store_open(fx.env, &fx.opt);
}

static void step(void) {
  lsm_snapshot *snap = NULL;
  uint64_t what = rnd(1000);
  if (what < 700) {
    transaction();
  } else if (what < 850) {
    ck_lsm(lsm_snapshot_acquire(fx.db, &snap));
    read_some(snap, fx.ids, fx.models, 60);
    lsm_snapshot_release(snap);
  } else if (what < 930) {
    held *h = &fx.held[rnd(SNAPSHOTS)];
    if (h->snap == NULL) {
      hold(h);
    } else if (rnd(2) == 0) {
      read_some(h->snap, h->ids, h->models, 40);
    } else {
      release(h, true);
    }
  } else if (what < 950) {
    ck_lsm(lsm_flush(fx.db, NULL));
  } else if (what < 960) {
    ck_lsm(lsm_compact(fx.db, fx.ids[rnd(KEYSPACES)], NULL));
  } else if (what < 965) {
    ck_lsm(lsm_wait_idle(fx.db, NULL));
  } else if (what < 970) {
    replace_keyspace();
  } else if (what < 980) {
    reopen(rnd(2));
  } else if (what < 990) {
    move_clock();
  } else {
    check_all();
  }
}

static void run_seed(uint64_t seed, uint64_t steps) {
  memset(&fx, 0, sizeof(fx));
  fx.seed = seed * 7919 + 1;
  fx.keys = seed % 3 == 0 ? 200 : seed % 3 == 1 ? 3000 : 12000;
  ck_lsm(env_fault_new(NULL, &fx.env));
  fx.now = 1000000000000;
  env_fault_set_time(fx.env, fx.now * 1000);
  fx.opt = store_options((size_t)(8 + rnd(60)) << 10);
  fx.opt.host_txid = store_host_txid;
  fx.opt.host_arg = &fx.host;
  fx.db = store_open(fx.env, &fx.opt);
  for (int k = 0; k < KEYSPACES; k++) new_keyspace(k);
  for (uint64_t i = 0; i < steps; i++) step();
  check_all();
  for (int i = 0; i < SNAPSHOTS; i++) release(&fx.held[i], true);
  store_verify(fx.db);
  ck_lsm(lsm_flush(fx.db, NULL));
  ck_lsm(lsm_wait_idle(fx.db, NULL));
  check_all();
  store_verify(fx.db);
  store_check_files(fx.env, fx.db);
  reopen(true);
  check_all();
  for (int k = 0; k < KEYSPACES; k++) {
    ck_lsm(lsm_compact(fx.db, fx.ids[k], NULL));
    store_check(fx.db, fx.ids[k], fx.models[k]);
    model_free(fx.models[k]);
  }
  ck_lsm(lsm_close(fx.db));
  env_fault_free(fx.env);
}

START_TEST(test_random) {
  uint64_t seeds = store_param("LSM_TEST_SEEDS", STORE_SLOW > 1 ? 2 : 6),
           from = store_param("LSM_TEST_FROM", 0);
  for (uint64_t s = from; s < from + seeds; s++) {
    if (getenv("LSM_TEST_SEEDS") != NULL) fprintf(stderr, "seed %d\n", (int)s);
    run_seed(s, store_param("LSM_TEST_STEPS", 250));
  }
}
END_TEST

Suite *db_model_suite(void) {
  Suite *s = suite_create("db_model");
  TCase *tc = tcase_create("db_model");
  tcase_add_test(tc, test_random);
  tcase_set_timeout(tc, 0);
  suite_add_tcase(s, tc);
  return s;
}
