/* Several processes on one store, as several handles in one environment: their
** locks exclude each other as those of processes do. A killed process is one
** whose handle is left behind (its locks are taken away by closing its files). */
#include <stdatomic.h>
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

static void teardown_handles(void) {
  for (int i = 0; i < PROCESSES; i++) {
    ck_lsm(lsm_close(dbs[i]));
    dbs[i] = NULL;
  }
}

static void teardown(void) {
  teardown_handles();
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
  if (_i >= 2) { /* transactions in files */
    opt.txn_memory = 1000;
    teardown_handles();
    for (int i = 0; i < PROCESSES; i++) ck_lsm(lsm_open(env, STORE_DIR, &opt, &dbs[i]));
  }
  uint32_t ks = store_keyspace(dbs[0], _i % 2 == 0 ? LSM_LEVELED : LSM_TIERED);
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

/*----------------------------------------------------- failures of one */

static lsm_db *open_through(lsm_env *e, const lsm_options *o) {
  lsm_db *db = NULL;
  ck_lsm(lsm_open(e, STORE_DIR, o, &db));
  return db;
}

/* A host has committed, but the log could not be told: others learn it all the
** same, and whoever writes next has it flushed. */
START_TEST(test_decision_not_logged) {
  lsm_env *faulty = NULL;
  store_host host = {0};
  lsm_options o = opt;
  o.host_txid = store_host_txid;
  o.host_arg = &host;
  uint32_t ks = store_keyspace(dbs[0], LSM_LEVELED);
  ck_lsm(env_fault_new(env, &faulty));
  lsm_db *db = open_through(faulty, &o);
  store_put(db, ks, "a", "1");
  ck_assert_str_eq(store_get(dbs[2], ks, "a"), "1");
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S("b"), S("2")));
  ck_lsm(lsm_txn_prepare(t, LSM_SYNC_FULL, store_host_name, NULL));
  host.txid = lsm_txn_id(t);
  env_fault_fail(faulty, ENV_FAULT_WRITE, 1, LSM_FULL, 0);
  lsm_txn_commit(t);
  ck_assert_uint_eq(env_fault_fired(faulty), 1);
  env_fault_clear(faulty);
  ck_assert_str_eq(store_get(db, ks, "b"), "2");
  ck_assert_str_eq(store_get(dbs[2], ks, "b"), "2"); /* reads on */
  lsm_db *joins = open_through(env, &o);
  ck_assert_str_eq(store_get(joins, ks, "b"), "2"); /* reads it all */
  if (_i == 0) store_put(dbs[1], ks, "c", "3"); /* another one goes on */
  if (_i == 1) store_put(db, ks, "c", "3");
  if (_i < 2) host.txid++; /* so the log alone would not tell any more */
  ck_assert_str_eq(store_get(dbs[0], ks, "b"), "2");
  ck_assert_str_eq(store_get(dbs[2], ks, "b"), "2");
  ck_lsm(lsm_close(joins));
  ck_lsm(lsm_close(db));
  for (int i = 0; i < PROCESSES; i++) ck_lsm(lsm_close(dbs[i]));
  dbs[0] = open_through(env, &o);
  ck_assert_str_eq(store_get(dbs[0], ks, "b"), "2");
  store_verify(dbs[0]);
  for (int i = 1; i < PROCESSES; i++) dbs[i] = open_through(env, &opt);
  env_fault_free(faulty);
}
END_TEST

/* A sync fails in one process: no other one believes in that log any more. */
START_TEST(test_broken_log) {
  lsm_env *faulty = NULL;
  uint32_t ks = store_keyspace(dbs[0], LSM_LEVELED);
  ck_lsm(env_fault_new(env, &faulty));
  lsm_db *db = open_through(faulty, &opt);
  store_put(dbs[1], ks, "a", "1"); /* it has the log open */
  store_put(db, ks, "b", "2");
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_put(t, ks, S("b"), S("never")));
  env_fault_fail(faulty, ENV_FAULT_SYNC, 1, LSM_IOERR, 0);
  ck_assert_int_eq(lsm_txn_prepare(t, LSM_SYNC_FULL, NULL, NULL), LSM_IOERR);
  env_fault_clear(faulty);
  (void)lsm_txn_rollback(t);
  ck_assert_str_eq(store_get(dbs[2], ks, "b"), "2");
  uint64_t before = store_stats(dbs[1]).flushes;
  t = store_begin(dbs[1]);
  ck_lsm(lsm_txn_put(t, ks, S("c"), S("3")));
  store_commit(t, LSM_SYNC_FULL); /* in a new log; and the old one's content in a table */
  ck_assert_uint_eq(store_stats(dbs[1]).flushes, before + 1);
  ck_assert_str_eq(store_all(dbs[2], ks), "a=1 b=2 c=3");
  ck_assert_str_eq(store_all(db, ks), "a=1 b=2 c=3");
  (void)lsm_close(db);
  env_fault_free(faulty);
}
END_TEST

/* Rotations and flushes run ahead of a reader, again and again. */
START_TEST(test_far_behind) {
  uint32_t ks = store_keyspace(dbs[0], LSM_LEVELED);
  char value[16];
  for (int round = 0; round < 30; round++) {
    lsm_snapshot *snap = NULL;
    ck_lsm(lsm_snapshot_acquire(dbs[2], &snap));
    char was[16];
    snprintf(was, sizeof(was), "%s", store_get_in(snap, ks, "k"));
    for (int i = 0; i < round % 5; i++) {
      snprintf(value, sizeof(value), "%d-%d", round, i);
      store_put(dbs[i % 2], ks, "k", value);
      ck_lsm(lsm_flush(dbs[(i + round) % 2], NULL));
      store_put(dbs[i % 2], ks, "j", value);
    }
    ck_assert_str_eq(store_get_in(snap, ks, "k"), was);
    if (round % 5 > 0) {
      ck_assert_str_eq(store_get(dbs[2], ks, "k"), value);
      ck_assert_str_eq(store_get(dbs[2], ks, "j"), value);
    }
    lsm_snapshot_release(snap);
  }
}
END_TEST

/* What others have written costs one read, of no more than is new; of a rotation, and
** of what a killed writer left, a few calls more. */
START_TEST(test_catching_up_costs_little) {
  lsm_env *counted = NULL;
  uint32_t ks = store_keyspace(dbs[0], LSM_LEVELED);
  ck_lsm(env_fault_new(env, &counted));
  lsm_db *db = open_through(counted, &opt);
  char value[16];
  store_put(dbs[0], ks, "k", "v");
  ck_assert_str_eq(store_get(db, ks, "k"), "v");
  for (int i = 0; i < 100; i++) {
    snprintf(value, sizeof(value), "%d", i);
    store_put(dbs[i % 3], ks, "k", value); /* together they fill one log after another */
    if (i % 30 == 29) ck_lsm(lsm_flush(dbs[i % 3], NULL)); /* too few to be compacted */
    env_fault_fail(counted, ENV_FAULT_ALL, 0, LSM_OK, 0);
    ck_assert_str_eq(store_get(db, ks, "k"), value);
    if (i % 30 < 29) ck_assert_uint_le(env_fault_calls(counted), i % 30 == 0 ? 4 : 1);
  }
  /* Large records, and many at once. */
  char *large = malloc(60001);
  ck_assert_ptr_nonnull(large);
  memset(large, 'x', 60000);
  large[60000] = 0;
  for (int i = 0; i < 20; i++) {
    large[0] = (char)('a' + i);
    large[i % 2 == 0 ? 50 : 59999] = 0;
    store_put(dbs[i % 3], ks, "large", large);
    if (i % 3 == 0) ck_assert(strcmp(store_get(db, ks, "large"), large) == 0);
    large[i % 2 == 0 ? 50 : 59999] = 'x';
  }
  large[0] = (char)('a' + 19);
  large[59999] = 0;
  ck_assert(strcmp(store_get(db, ks, "large"), large) == 0);
  free(large);
  ck_lsm(lsm_close(db));
  env_fault_free(counted);
}
END_TEST

/*----------------------------------------------------------- threads */

typedef struct racer {
  lsm_db *db;
  uint32_t ks;
  _Atomic bool *stop;
  _Atomic uint64_t commits;
  uint64_t longest_us;
  bool same; /* a reader: all keys of a snapshot had one value */
} racer;

/* Every transaction gives all keys one value. */
static void write_all(void *arg) {
  racer *r = arg;
  for (uint64_t n = 0; !atomic_load(r->stop); n++) {
    lsm_txn *t = NULL;
    char key[16], value[32];
    uint64_t start = env->now_us(env);
    ck_lsm(lsm_txn_begin(r->db, 20000, NULL, &t));
    uint64_t us = env->now_us(env) - start;
    if (us > r->longest_us) r->longest_us = us;
    snprintf(value, sizeof(value), "%p %d", (void *)r, (int)n);
    for (int i = 0; i < 8; i++) {
      snprintf(key, sizeof(key), "k%d", i);
      ck_lsm(lsm_txn_put(t, r->ks, S(key), S(value)));
    }
    store_commit(t, LSM_SYNC_NORMAL);
    atomic_fetch_add(&r->commits, 1);
    if (n % 16 == 7) ck_lsm(lsm_flush(r->db, NULL));
  }
}

static void read_all(void *arg) {
  racer *r = arg;
  r->same = true;
  while (!atomic_load(r->stop)) {
    lsm_snapshot *snap = NULL;
    lsm_buf first = {0}, value = {0};
    ck_lsm(lsm_snapshot_acquire(r->db, &snap));
    lsm_rc rc = lsm_get(snap, r->ks, S("k0"), &first);
    for (int i = 1; i < 8; i++) {
      char key[16];
      snprintf(key, sizeof(key), "k%d", i);
      if (lsm_get(snap, r->ks, S(key), &value) != rc) r->same = false;
      if (rc == LSM_OK && !lsm_slice_eq(lsm_buf_slice(&first), lsm_buf_slice(&value))) r->same = false;
    }
    lsm_snapshot_release(snap);
    lsm_buf_fini(&first);
    lsm_buf_fini(&value);
    atomic_fetch_add(&r->commits, 1);
  }
}

/* Two processes write and flush all the time, in the third one threads read. */
START_TEST(test_readers_see_whole_transactions) {
  _Atomic bool stop = false;
  racer r[4];
  lsm_thread *t[4];
  uint32_t ks = store_keyspace(dbs[0], LSM_LEVELED);
  for (int i = 0; i < 4; i++) {
    r[i] = (racer){dbs[i < 2 ? i : 2], ks, &stop, 0, 0, true};
    ck_lsm(env->thread_start(env, i < 2 ? write_all : read_all, &r[i], &t[i]));
  }
  env->sleep_us(env, store_param("SHARE_MS", 400) * 1000);
  /* However slow the machine is: until each has come to something. */
  for (int i = 0; i < 4; i++) {
    while (atomic_load(&r[i].commits) < 6) env->sleep_us(env, 1000);
  }
  atomic_store(&stop, true);
  for (int i = 0; i < 4; i++) env->thread_join(env, t[i]);
  ck_assert(r[2].same && r[3].same);
}
END_TEST

static void write_only(void *arg) {
  racer *r = arg;
  while (!atomic_load(r->stop)) {
    lsm_txn *t = NULL;
    uint64_t start = env->now_us(env);
    ck_lsm(lsm_txn_begin(r->db, 20000, NULL, &t));
    uint64_t us = env->now_us(env) - start;
    if (us > r->longest_us) r->longest_us = us;
    ck_lsm(lsm_txn_put(t, r->ks, S("k"), S("v")));
    env->sleep_us(env, 300); /* the lock is hardly ever free */
    store_commit(t, LSM_SYNC_OFF);
    atomic_fetch_add(&r->commits, 1);
  }
}

/* Three processes in tight loops for a while: has each had a tenth of the turns? */
static bool is_fair(uint32_t ks) {
  _Atomic bool stop = false;
  racer r[PROCESSES];
  lsm_thread *t[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) {
    r[i] = (racer){dbs[i], ks, &stop, 0, 0, true};
    ck_lsm(env->thread_start(env, write_only, &r[i], &t[i]));
  }
  env->sleep_us(env, store_param("SHARE_MS", 400) * 1000);
  atomic_store(&stop, true);
  uint64_t sum = 0;
  for (int i = 0; i < PROCESSES; i++) {
    env->thread_join(env, t[i]);
    sum += r[i].commits;
    if (store_param("SHARE_SHOW", 0)) {
      printf("process %d: %d commits, longest wait %d us\n", i, (int)r[i].commits,
             (int)r[i].longest_us);
    }
  }
  int fair = 0;
  for (int i = 0; i < PROCESSES; i++) fair += r[i].commits * 10 > sum;
  return fair == PROCESSES;
}

/* None waits for long. The machine may keep one from running, but not each time. */
START_TEST(test_fairness) {
  uint32_t ks = store_keyspace(dbs[0], LSM_LEVELED);
  int tries = 0;
  while (!is_fair(ks)) ck_assert_int_lt(++tries, 10);
}
END_TEST

/*------------------------------------------------------------- limits */

START_TEST(test_slots) {
  lsm_db *more[LSM_SHARE_SLOTS];
  lsm_db *none = NULL;
  for (int i = PROCESSES; i < LSM_SHARE_SLOTS; i++) more[i] = open_through(env, &opt);
  ck_assert_int_eq(lsm_open(env, STORE_DIR, &opt, &none), LSM_BUSY);
  ck_lsm(lsm_close(more[10]));
  more[10] = open_through(env, &opt);
  for (int i = PROCESSES; i < LSM_SHARE_SLOTS; i++) ck_lsm(lsm_close(more[i]));
}
END_TEST

/* What a system that went down left in SHM means nothing. */
START_TEST(test_garbage_in_shm) {
  uint32_t ks = store_keyspace(dbs[0], LSM_LEVELED);
  uint8_t *shm = NULL;
  store_put(dbs[0], ks, "a", "1");
  for (int i = 0; i < PROCESSES; i++) ck_lsm(lsm_close(dbs[i]));
  ck_lsm(env->shm_map(env, STORE_DIR "/SHM", 4096, (void **)&shm));
  for (int i = 0; i < 4096; i++) shm[i] = _i == 0 ? 0xFF : (uint8_t)rnd(256);
  for (int i = 0; i < PROCESSES; i++) dbs[i] = open_through(env, &opt);
  ck_assert_str_eq(store_get(dbs[1], ks, "a"), "1");
  store_put(dbs[2], ks, "a", "2");
  ck_assert_str_eq(store_get(dbs[1], ks, "a"), "2");
  store_verify(dbs[0]);
}
END_TEST

/* A keyspace goes while another process looks at it, and writes to it. */
START_TEST(test_drop_under_cursor) {
  uint32_t ks = store_keyspace(dbs[0], LSM_LEVELED);
  lsm_snapshot *snap = NULL;
  for (int i = 0; i < 300; i++) {
    char key[16];
    snprintf(key, sizeof(key), "k%03d", i);
    store_put(dbs[i % 2], ks, key, "v");
  }
  ck_lsm(lsm_flush(dbs[0], NULL));
  ck_lsm(lsm_snapshot_acquire(dbs[2], &snap));
  lsm_cursor *c = NULL;
  ck_lsm(lsm_cursor_open(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &c));
  lsm_txn *t = store_begin(dbs[1]);
  ck_lsm(lsm_txn_put(t, ks, S("late"), S("v")));
  ck_lsm(lsm_keyspace_drop(dbs[0], ks));
  store_commit(t, LSM_SYNC_FULL);
  store_put(dbs[0], store_keyspace(dbs[0], LSM_LEVELED), "other", "1");
  ck_lsm(lsm_flush(dbs[0], NULL));
  int n = 0;
  ck_lsm(lsm_cursor_first(c));
  for (; lsm_cursor_valid(c); n++) ck_lsm(lsm_cursor_next(c));
  ck_assert_int_eq(n, 300);
  lsm_cursor_close(c);
  lsm_snapshot_release(snap);
  ck_assert_str_eq(store_all(dbs[2], ks), "");
  store_verify(dbs[1]);
}
END_TEST

Suite *share_suite(void);
Suite *share_suite(void) {
  Suite *s = suite_create("share");
  TCase *tc = tcase_create("share");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, test_words);
  tcase_add_loop_test(tc, test_model, 0, 4);
  tcase_add_test(tc, test_files_stay_for_readers);
  tcase_add_test(tc, test_keyspaces);
  tcase_add_loop_test(tc, test_decision_not_logged, 0, 3);
  tcase_add_test(tc, test_broken_log);
  tcase_add_test(tc, test_far_behind);
  tcase_add_test(tc, test_catching_up_costs_little);
  tcase_add_test(tc, test_readers_see_whole_transactions);
  tcase_add_test(tc, test_fairness);
  tcase_add_test(tc, test_slots);
  tcase_add_loop_test(tc, test_garbage_in_shm, 0, 2);
  tcase_add_test(tc, test_drop_under_cursor);
  suite_add_tcase(s, tc);
  return s;
}
