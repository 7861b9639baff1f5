/* test_db_fault.c: a load that flushes and compacts, while calls of the
** environment fail, power is lost, or memory runs out.
**
** The load is a row of transactions; what each does follows from its number,
** so that the state after each is known (fx.states). Row "last" of the first
** keyspace says the number.
** LSM_TEST_STRIDE: 1 tries every call, sync or allocation; the default is a
** sample. LSM_TEST_FROM: the first of them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "store.h"

Suite *db_fault_suite(void);

enum { TXNS = 60, KEYSPACES = 2, HELD_AT = 10 };

static struct {
  model *states[TXNS + 1][KEYSPACES];
  lsm_env *env;
  lsm_options opt;
  lsm_db *db;
  uint32_t ids[KEYSPACES];
  int txns;    /* length of the load */
  lsm_rc rc;   /* that injected failures have */
  int verbose; /* a campaign by hand */
} fx;

/*--------------------------------------------------------------- the load */

/* A change goes to the transaction, if there is one, and to the models. */
typedef struct target {
  lsm_txn *t;
  model *const *models;
} target;

static lsm_rc put(const target *to, int k, lsm_slice key, lsm_slice value) {
  if (to->models != NULL) model_put(to->models[k], key, value);
  return to->t == NULL ? LSM_OK : lsm_txn_put(to->t, fx.ids[k], key, value);
}

static lsm_rc delete (const target *to, int k, lsm_slice key) {
  if (to->models != NULL) model_delete(to->models[k], key);
  return to->t == NULL ? LSM_OK : lsm_txn_delete(to->t, fx.ids[k], key);
}

static lsm_rc delete_range(const target *to, int k, lsm_slice lo, lsm_slice hi) {
  if (to->models != NULL) model_delete_range(to->models[k], lo, hi);
  return to->t == NULL ? LSM_OK : lsm_txn_delete_range(to->t, fx.ids[k], lo, hi);
}

/* One savepoint that is taken back; the models know nothing of it. */
static lsm_rc savepoint(const target *to, int k) {
  if (to->t == NULL) return LSM_OK;
  lsm_rc rc = lsm_txn_savepoint(to->t, 0);
  if (rc == LSM_OK) rc = lsm_txn_put(to->t, fx.ids[k], S("never"), S("seen"));
  if (rc == LSM_OK) rc = lsm_txn_delete_range(to->t, fx.ids[k], S("k0"), S("k1"));
  if (rc == LSM_OK) rc = lsm_txn_rollback_to(to->t, 0);
  return rc;
}

/* What transaction i does. */
static lsm_rc apply(const target *to, int i) {
  uint64_t seed = (uint64_t)i * 104729 + 1;
  char key[32], hi[32];
  char value[160];
  snprintf(value, sizeof(value), "%d", i);
  lsm_rc rc = put(to, 0, S("last"), S(value));
  int n = 3 + (int)(disk_random(&seed) % 25);
  for (int j = 0; j < n && rc == LSM_OK; j++) {
    int k = (int)(disk_random(&seed) % KEYSPACES);
    uint64_t r = disk_random(&seed);
    snprintf(key, sizeof(key), "k%04d", (int)(r % 400));
    if (r / 400 % 100 < 80) {
      int len = (int)(r / 40000 % 100);
      snprintf(value, sizeof(value), "%d.%d.%0*d", i, j, len, 7);
      rc = put(to, k, S(key), S(value));
    } else {
      rc = delete (to, k, S(key));
    }
  }
  if (i % 7 == 3 && rc == LSM_OK) {
    int from = (int)(disk_random(&seed) % 400);
    snprintf(key, sizeof(key), "k%04d", from);
    snprintf(hi, sizeof(hi), "k%04d", from + 40);
    rc = delete_range(to, i % 2, S(key), S(hi));
  }
  if (i % 5 == 2 && rc == LSM_OK) rc = savepoint(to, i % 2);
  return rc;
}

/* Every third does not wait for the disk, but the last does. */
static lsm_sync sync_of(int i) {
  return i % 3 == 0 && i != fx.txns ? LSM_SYNC_NORMAL : LSM_SYNC_FULL;
}

static void setup(void) {
  memset(&fx, 0, sizeof(fx));
  fx.txns = TXNS;
  fx.verbose = (int)store_param("LSM_TEST_VERBOSE", getenv("LSM_TEST_STRIDE") != NULL);
  fx.opt = store_options(6u << 10);
  for (int k = 0; k < KEYSPACES; k++) fx.states[0][k] = model_new();
  for (int i = 1; i <= TXNS; i++) {
    for (int k = 0; k < KEYSPACES; k++) fx.states[i][k] = model_copy(fx.states[i - 1][k]);
    target to = {NULL, fx.states[i]};
    ck_lsm(apply(&to, i));
  }
}

static void teardown(void) {
  for (int i = 0; i <= TXNS; i++) {
    for (int k = 0; k < KEYSPACES; k++) model_free(fx.states[i][k]);
  }
}

static lsm_rc create_keyspace(int k) {
  lsm_keyspace_options o;
  lsm_keyspace_options_init(&o);
  o.compaction = k == 0 ? LSM_LEVELED : LSM_TIERED;
  o.block_size = 512;
  return lsm_keyspace_create(fx.db, &o, &fx.ids[k]);
}

static lsm_rc commit(int i) {
  lsm_txn *t = NULL;
  char msg[512];
  lsm_rc rc = lsm_txn_begin(fx.db, 0, NULL, &t);
  if (rc != LSM_OK) return rc;
  target to = {t, NULL};
  rc = apply(&to, i);
  if (rc == LSM_OK) rc = lsm_txn_prepare(t, sync_of(i), NULL, NULL);
  if (rc == LSM_OK) {
    lsm_txn_commit(t);
    return LSM_OK;
  }
  snprintf(msg, sizeof(msg), "%s", lsm_errmsg());
  lsm_rc undone = lsm_txn_rollback(t);
  ck_assert_msg(undone == LSM_OK, "rollback of what is not prepared: %s", lsm_errmsg());
  lsm_set_errmsg(msg);
  return rc;
}

/* Reads all; a difference from state i ends the test, an error is returned. */
static lsm_rc read_all_in(lsm_snapshot *snap, int i) {
  char why[MODEL_WHY] = "";
  lsm_rc rc = LSM_OK;
  for (int k = 0; k < KEYSPACES && rc == LSM_OK; k++) {
    rc = model_compare(fx.states[i][k], snap, fx.ids[k], why);
    ck_assert_msg(why[0] == 0, "after transaction %d, keyspace %d: %s", i, k, why);
  }
  return rc;
}

static lsm_rc read_all(int i) {
  lsm_snapshot *snap = NULL;
  lsm_rc rc = lsm_snapshot_acquire(fx.db, &snap);
  if (rc == LSM_OK) rc = read_all_in(snap, i);
  lsm_snapshot_release(snap);
  return rc;
}

/*------------------------------------------------------------ failed calls */

typedef struct fault {
  const char *name;
  unsigned mask;
  lsm_rc rc;
  unsigned flags;
} fault;

static const fault faults[] = {
    {"one call", ENV_FAULT_ALL, LSM_IOERR, 0},
    {"one call, disk full", ENV_FAULT_ALL, LSM_FULL, ENV_FAULT_SHORT},
    {"all calls from one on", ENV_FAULT_ALL, LSM_IOERR, ENV_FAULT_STICKY},
    {"all changes, disk full", ENV_FAULT_CHANGES, LSM_FULL, ENV_FAULT_STICKY | ENV_FAULT_SHORT},
    {"writes, disk full", ENV_FAULT_WRITE | ENV_FAULT_SYNC, LSM_FULL,
     ENV_FAULT_STICKY | ENV_FAULT_SHORT},
    {"syncs", ENV_FAULT_SYNC | ENV_FAULT_SYNC_DIR, LSM_IOERR, ENV_FAULT_STICKY},
    {"cuts and removals", ENV_FAULT_TRUNCATE | ENV_FAULT_REMOVE | ENV_FAULT_SYNC, LSM_IOERR,
     ENV_FAULT_STICKY},
};

enum { FAULTS = (int)(sizeof(faults) / sizeof(faults[0])) };

/* A failure that may be: of the injected kind (a log or manifest that takes
** nothing more is LSM_IOERR), while or after something was injected. */
static void check_error(lsm_rc rc, const char *what) {
  ck_assert_msg(rc == fx.rc || (rc == LSM_IOERR && fx.rc == LSM_FULL), "%s: %s: %s", what,
                lsm_rc_name(rc), lsm_errmsg());
  ck_assert_msg(lsm_errmsg()[0] != 0, "%s: no message", what);
  ck_assert_msg(fx.rc == LSM_NOMEM || strchr(lsm_errmsg(), '/') != NULL, "%s: \"%s\" names no file",
                what, lsm_errmsg());
}

/* When the cause is to end: at once for a single failure. */
typedef struct course {
  bool sticky;
  bool over;
  int failed; /* while it lasts */
  void (*clear)(void);
} course;

static void end_of_cause(course *c) {
  if (!c->over) c->clear();
  c->over = true;
}

/* Does STEP until it succeeds; failures must be right, and end with the cause. */
#define UNTIL_OK(c, step, after_failure)                                          \
  do {                                                                            \
    lsm_rc rc_ = (step);                                                          \
    if (rc_ == LSM_OK) break;                                                     \
    check_error(rc_, #step);                                                      \
    ck_assert_msg(!(c)->over, "%s fails after the cause has gone: %s: %s", #step, \
                  lsm_rc_name(rc_), lsm_errmsg());                                \
    after_failure;                                                                \
    if (!(c)->sticky || ++(c)->failed >= 3) end_of_cause(c);                      \
  } while (1)

/* Right or an error. */
static void try_to_read(course *c, int i) {
  lsm_rc rc = read_all(i);
  if (rc == LSM_OK) return;
  check_error(rc, "read");
  if (c->sticky && !c->over) return;
  ck_assert_msg(!c->over, "reads fail after the cause has gone: %s", lsm_errmsg());
  c->over = true;
  ck_lsm(read_all(i));
}

static void maintain(course *c, int i) {
  if (i % 20 == 5) UNTIL_OK(c, lsm_flush(fx.db, NULL), try_to_read(c, i));
  if (i % 20 == 15) UNTIL_OK(c, lsm_compact(fx.db, fx.ids[i % 2], NULL), try_to_read(c, i));
}

static lsm_rc hold(lsm_snapshot **snap) {
  return lsm_snapshot_acquire(fx.db, snap);
}

/* The whole load; fx.env is there, the cause is set up. */
static void run_load(course *c) {
  lsm_snapshot *held = NULL;
  UNTIL_OK(c, lsm_open(fx.env, STORE_DIR, &fx.opt, &fx.db), ck_assert_ptr_null(fx.db));
  for (int k = 0; k < KEYSPACES; k++) UNTIL_OK(c, create_keyspace(k), (void)0);
  for (int i = 1; i <= fx.txns; i++) {
    UNTIL_OK(c, commit(i), try_to_read(c, i - 1));
    maintain(c, i);
    if (i == HELD_AT) UNTIL_OK(c, hold(&held), (void)0);
    if (i % 9 == 0) try_to_read(c, i);
  }
  end_of_cause(c);
  ck_lsm(read_all_in(held, HELD_AT));
  lsm_snapshot_release(held);
  ck_lsm(read_all(fx.txns));
  ck_lsm(lsm_wait_idle(fx.db, NULL));
  ck_lsm(read_all(fx.txns));
}

/* All that was acknowledged is there, in the store and in what power loss
** leaves of it now. */
static void check_end(void) {
  lsm_env *image = NULL, *env = fx.env;
  lsm_db *db = fx.db;
  ck_lsm(env_fault_crash(env, ENV_FAULT_DROP, 1, &image));
  fx.db = store_open(image, &fx.opt);
  ck_lsm(read_all(fx.txns));
  store_verify(fx.db);
  ck_lsm(lsm_close(fx.db));
  env_fault_free(image);
  fx.db = db;
  ck_lsm(lsm_compact(fx.db, fx.ids[0], NULL));
  ck_lsm(lsm_wait_idle(fx.db, NULL));
  ck_lsm(read_all(fx.txns));
  store_verify(fx.db);
  ck_lsm(lsm_close(fx.db));
  fx.db = store_open(env, &fx.opt);
  ck_lsm(read_all(fx.txns));
  store_verify(fx.db);
  store_check_files(env, fx.db);
  ck_assert_int_eq(store_await_files(env, ".manifest", 1), 1);
  ck_lsm(lsm_close(fx.db));
  fx.db = NULL;
}

static void clear_fault(void) {
  env_fault_clear(fx.env);
}

/* false: the load has no nth call. */
static bool run_fault(const fault *f, uint64_t n) {
  course c = {f->flags & ENV_FAULT_STICKY, false, 0, clear_fault};
  fx.rc = f->rc;
  ck_lsm(env_fault_new(NULL, &fx.env));
  env_fault_fail(fx.env, f->mask, n, f->rc, f->flags);
  run_load(&c);
  bool fired = env_fault_fired(fx.env) > 0;
  check_end();
  env_fault_free(fx.env);
  return fired;
}

/* Transactions that go to files, bit by bit, when they are larger than this. */
static void spill_early(bool yes) {
  if (yes) fx.opt.txn_memory = 900;
}

START_TEST(test_failed_calls) {
  bool spill = _i >= FAULTS;
  const fault *f = &faults[_i % FAULTS];
  uint64_t stride = store_param("LSM_TEST_STRIDE", (spill ? 487 : 97) * STORE_SLOW),
           n = store_param("LSM_TEST_FROM", 1);
  spill_early(spill);
  if (n == 1) n += stride == 1 ? 0 : (uint64_t)_i * 5; /* not the same ones each time */
  for (; run_fault(f, n); n += stride) {
    if (fx.verbose && n % (fx.verbose > 1 ? 1 : 50) == 0)
      fprintf(stderr, "%s: %d\n", f->name, (int)n);
  }
  ck_assert_uint_gt(n, 60);
}
END_TEST

/*------------------------------------------------------------- power loss */

static struct {
  pthread_mutex_t mu;
  uint64_t stride;
  store_host host; /* decides about some of the transactions, and loses none */
  bool with_host;
  bool lazy;          /* hardly ever waits for the disk: logs follow each other unsynced */
  _Atomic bool ready; /* the keyspaces are there */
  int kept;           /* what a crash of the process must not lose */
  int durable;        /* what a power loss must not lose */
  int begun;          /* what may be there */
  int images;
  char failure[1024];
} loss;

static void fail_image(const char *what, const char *why, uint64_t n, bool after, int mode) {
  pthread_mutex_lock(&loss.mu);
  if (loss.failure[0] == 0) {
    snprintf(loss.failure, sizeof(loss.failure), "%s sync %d, mode %d: %s: %s",
             after ? "after" : "before", (int)n, mode, what, why);
  }
  pthread_mutex_unlock(&loss.mu);
}

typedef struct image { /* taken at one instant */
  lsm_env *env;
  store_host host;
  bool ready;
  int from, to; /* the transactions of which one must be its last */
  uint64_t n;
  bool after;
  int mode;
} image;

static void on_finding(void *arg, const char *text) {
  snprintf(arg, MODEL_WHY, "%s", text);
}

/* Reads the number of its last transaction and compares all. -1: failed. */
static int check_content(const image *im, lsm_db *db) {
  char why[MODEL_WHY] = "";
  lsm_snapshot *snap = NULL;
  lsm_buf value = {0};
  uint64_t findings = 0;
  int k = 0;
  lsm_rc rc = lsm_snapshot_acquire(db, &snap);
  if (rc == LSM_OK) rc = lsm_get(snap, fx.ids[0], S("last"), &value);
  if (rc == LSM_OK) rc = lsm_buf_put_u8(&value, 0);
  if (rc == LSM_OK) k = atoi((const char *)value.data);
  if (rc == LSM_NOTFOUND) rc = LSM_OK;
  lsm_buf_fini(&value);
  if (rc == LSM_OK && (k < im->from || k > im->to)) {
    snprintf(why, sizeof(why), "last transaction is %d, not %d to %d", k, im->from, im->to);
  }
  for (int s = 0; s < KEYSPACES && rc == LSM_OK && why[0] == 0; s++) {
    rc = model_compare(fx.states[k][s], snap, fx.ids[s], why);
  }
  lsm_snapshot_release(snap);
  if (rc == LSM_OK && why[0] == 0) rc = lsm_verify(db, NULL, on_finding, why, &findings);
  if (rc == LSM_OK && why[0] == 0) return k;
  fail_image("content", rc != LSM_OK ? lsm_errmsg() : why, im->n, im->after, im->mode);
  return -1;
}

/* Goes on where the image stands, and loses power again. */
static void check_second_loss(const image *im, lsm_db *db, int last) {
  lsm_txn *t = NULL;
  image next = *im;
  if (last < 0 || last >= fx.txns) return;
  lsm_rc rc = lsm_txn_begin(db, 0, NULL, &t);
  target to = {t, NULL};
  if (rc == LSM_OK) rc = apply(&to, last + 1);
  if (rc == LSM_OK) rc = lsm_txn_prepare(t, LSM_SYNC_FULL, NULL, NULL);
  if (rc != LSM_OK) {
    fail_image("another commit", lsm_errmsg(), im->n, im->after, im->mode);
    (void)lsm_txn_rollback(t);
    return;
  }
  lsm_txn_commit(t);
  next.from = next.to = last + 1;
  next.mode += 100;
  lsm_db *second = NULL;
  if (env_fault_crash(im->env, ENV_FAULT_DROP, 1, &next.env) != LSM_OK) return;
  lsm_options o = fx.opt;
  o.host_txid = store_host_txid;
  o.host_arg = &next.host;
  rc = lsm_open(next.env, STORE_DIR, &o, &second);
  if (rc != LSM_OK) {
    fail_image("second open", lsm_errmsg(), im->n, im->after, next.mode);
  } else {
    (void)check_content(&next, second);
    (void)lsm_close(second);
  }
  env_fault_free(next.env);
}

/* In a thread of its own: that of the sync may hold locks of its store. */
static void *check_image(void *arg) {
  image *im = arg;
  lsm_db *db = NULL;
  lsm_keyspace_options o;
  lsm_options opt = fx.opt;
  opt.host_txid = store_host_txid;
  opt.host_arg = &im->host;
  lsm_rc rc = lsm_open(im->env, STORE_DIR, &opt, &db);
  if (rc != LSM_OK) {
    fail_image("open", lsm_errmsg(), im->n, im->after, im->mode);
  } else if (im->ready) {
    int k = check_content(im, db);
    if ((im->n + (uint64_t)im->mode) % 4 == 0) check_second_loss(im, db, k);
  } else if (lsm_keyspace_get(db, 3, &o) == LSM_OK) {
    fail_image("keyspaces", "one that nobody made", im->n, im->after, im->mode);
  }
  if (db != NULL) (void)lsm_close(db);
  env_fault_free(im->env);
  return NULL;
}

/* mode: 0 drop, 1 keep, then seeds of tear. */
static void take_image(lsm_env *env, uint64_t n, bool after, int mode) {
  image im;
  memset(&im, 0, sizeof(im));
  im.n = n;
  im.after = after;
  im.mode = mode;
  pthread_mutex_lock(&loss.mu);
  im.host = loss.host;
  im.ready = loss.ready;
  im.from = mode == 1 ? loss.kept : loss.durable;
  im.to = loss.begun;
  bool stop = loss.failure[0] != 0;
  lsm_rc rc = stop ? LSM_OK
                   : env_fault_crash(env,
                                     mode == 0   ? ENV_FAULT_DROP
                                     : mode == 1 ? ENV_FAULT_KEEP
                                                 : ENV_FAULT_TEAR,
                                     n * 64 + (uint64_t)mode, &im.env);
  loss.images++;
  pthread_mutex_unlock(&loss.mu);
  if (stop) return;
  if (rc != LSM_OK) {
    fail_image("crash", lsm_errmsg(), n, after, mode);
    return;
  }
  pthread_t thread;
  if (pthread_create(&thread, NULL, check_image, &im) != 0) abort();
  pthread_join(thread, NULL);
}

static void on_sync(void *arg, lsm_env *env, uint64_t n, bool after) {
  (void)arg;
  uint64_t at = 2 * n + after;
  if (loss.stride > 1 && at % loss.stride > 1) return;
  for (int mode = 0; mode < (loss.stride > 1 ? 4 : 8); mode++) take_image(env, n, after, mode);
}

static void commit_known(int i) {
  lsm_txn *t = store_begin(fx.db);
  target to = {t, NULL};
  bool hosted = loss.with_host && i % 4 != 1;
  lsm_sync sync = sync_of(i);
  if (loss.lazy && i % 12 != 0) sync = LSM_SYNC_NORMAL;
  ck_lsm(apply(&to, i));
  pthread_mutex_lock(&loss.mu);
  if (!hosted) loss.begun = i;
  pthread_mutex_unlock(&loss.mu);
  ck_lsm(lsm_txn_prepare(t, sync, hosted ? store_host_name : NULL, NULL));
  pthread_mutex_lock(&loss.mu);
  if (hosted) loss.host.txid = lsm_txn_id(t); /* this is the host's commit */
  loss.begun = loss.kept = i;
  if (sync == LSM_SYNC_FULL) loss.durable = i;
  pthread_mutex_unlock(&loss.mu);
  lsm_txn_commit(t);
}

/* _i: 1 with a host that decides about most transactions; 2 lazy; from 3 on the
** same with transactions in files. */
START_TEST(test_power_loss) {
  memset(&loss, 0, sizeof(loss));
  pthread_mutex_init(&loss.mu, NULL);
  loss.with_host = _i % 3 == 1;
  loss.lazy = _i % 3 == 2;
  /* A lazy store has fewer syncs to sample, one that spills many. */
  loss.stride = store_param("LSM_TEST_STRIDE", (_i >= 3 ? 67 : loss.lazy ? 9 : 23) * STORE_SLOW);
  spill_early(_i >= 3);
  ck_lsm(env_fault_new(NULL, &fx.env));
  env_fault_on_sync(fx.env, on_sync, NULL);
  lsm_options opt = fx.opt;
  opt.host_txid = store_host_txid;
  opt.host_arg = &loss.host;
  fx.db = store_open(fx.env, &opt);
  for (int k = 0; k < KEYSPACES; k++) ck_lsm(create_keyspace(k));
  loss.ready = true;
  for (int i = 1; i <= fx.txns; i++) {
    commit_known(i);
    if (i % 20 == 5) ck_lsm(lsm_flush(fx.db, NULL));
    if (i % 20 == 15) ck_lsm(lsm_compact(fx.db, fx.ids[i % 2], NULL));
    if (i % 25 == 0) {
      ck_lsm(lsm_close(fx.db));
      fx.db = store_open(fx.env, &opt);
    }
    if (loss.failure[0] != 0) break;
  }
  if (loss.failure[0] == 0) ck_lsm(lsm_wait_idle(fx.db, NULL));
  if (loss.failure[0] == 0) ck_lsm(read_all(fx.txns));
  (void)lsm_close(fx.db);
  env_fault_free(fx.env);
  pthread_mutex_destroy(&loss.mu);
  if (fx.verbose) fprintf(stderr, "%d images\n", loss.images);
  ck_assert_msg(loss.failure[0] == 0, "%s", loss.failure);
  ck_assert_int_gt(loss.images, 10);
}
END_TEST

/*---------------------------------------------------------- out of memory */

static _Atomic uint64_t alloc_count;
static _Atomic uint64_t alloc_fail; /* 0: none */
static _Atomic bool alloc_sticky;
static _Atomic uint64_t alloc_fired;

static bool allow(void *arg) {
  (void)arg;
  uint64_t n = atomic_fetch_add(&alloc_count, 1) + 1, at = atomic_load(&alloc_fail);
  bool fail = at != 0 && (n == at || (n > at && atomic_load(&alloc_sticky)));
  if (fail) atomic_fetch_add(&alloc_fired, 1);
  return !fail;
}

static void clear_alloc(void) {
  atomic_store(&alloc_fail, 0);
}

static bool run_oom(uint64_t n, bool sticky) {
  course c = {sticky, false, 0, clear_alloc};
  fx.rc = LSM_NOMEM;
  fx.txns = 20;
  ck_lsm(env_fault_new(NULL, &fx.env));
  atomic_store(&alloc_count, 0);
  atomic_store(&alloc_fired, 0);
  atomic_store(&alloc_sticky, sticky);
  atomic_store(&alloc_fail, n);
  lsm_set_malloc_hook(allow, NULL);
  run_load(&c);
  ck_lsm(lsm_close(fx.db));
  lsm_set_malloc_hook(NULL, NULL);
  fx.db = store_open(fx.env, &fx.opt);
  ck_lsm(read_all(fx.txns));
  check_end();
  env_fault_free(fx.env);
  return atomic_load(&alloc_fired) > 0;
}

START_TEST(test_out_of_memory) {
  uint64_t stride = store_param("LSM_TEST_STRIDE", (_i < 2 ? 211 : 431) * STORE_SLOW),
           n = store_param("LSM_TEST_FROM", 1);
  spill_early(_i >= 2);
  /* The first ones, of opening, in any case. */
  for (; run_oom(n, _i % 2 == 1); n += n < 20 ? 1 : stride) {
    if (fx.verbose && n % 50 == 0) fprintf(stderr, "allocation %d\n", (int)n);
  }
  ck_assert_uint_gt(n, 500);
}
END_TEST

Suite *db_fault_suite(void) {
  Suite *s = suite_create("db_fault");
  TCase *tc = tcase_create("db_fault");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_loop_test(tc, test_failed_calls, 0, 2 * FAULTS);
  tcase_add_loop_test(tc, test_power_loss, 0, 6);
  tcase_add_loop_test(tc, test_out_of_memory, 0, 4);
  tcase_set_timeout(tc, 0);
  suite_add_tcase(s, tc);
  return s;
}
