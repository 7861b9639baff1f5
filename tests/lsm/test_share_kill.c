/* Processes killed between any two calls of the operating system.
**
** The victim lives in an environment that dies at its nth call: from then on
** every call fails, and what the victim still writes to shared memory while its
** handle is closed, which takes its locks away, is undone. The other processes
** must not notice but for its work: whole or not at all. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "share.h"
#include "store.h"

#define SHM_WORDS 512

/* An environment that dies. */
typedef struct mortal {
  lsm_env base;
  lsm_env *inner;
  pthread_mutex_t mu; /* so that nothing happens while it dies */
  uint64_t calls, dies_at; /* guarded by mu; 0: never */
  _Atomic bool dead;
  _Atomic uint64_t *shm;
  uint64_t shm_then[SHM_WORDS]; /* when it died */
} mortal;

typedef struct mortal_file {
  lsm_file base;
  mortal *m;
  lsm_file *inner;
} mortal_file;

static lsm_env *env; /* of all processes */
static mortal *victim_env;
static lsm_options opt;
static store_host host;

/*---------------------------------------------------------- mortal env */

/* One more call: false when the process is dead. */
static bool lives(mortal *m) {
  pthread_mutex_lock(&m->mu);
  if (++m->calls == m->dies_at) {
    for (int i = 0; m->shm != NULL && i < SHM_WORDS; i++) m->shm_then[i] = atomic_load(&m->shm[i]);
    atomic_store(&m->dead, true);
  }
  bool alive = !atomic_load(&m->dead);
  pthread_mutex_unlock(&m->mu);
  return alive;
}

static lsm_rc killed(void) {
  return lsm_fail(LSM_IOERR, "killed");
}

#define M(e) ((mortal *)(e)->ctx)
#define F(f) ((mortal_file *)(f))
#define IF_ALIVE(m, call) (lives(m) ? (call) : killed())

static lsm_rc f_read(lsm_file *f, uint64_t off, void *buf, size_t n, size_t *got) {
  return IF_ALIVE(F(f)->m, F(f)->inner->ops->read(F(f)->inner, off, buf, n, got));
}
static lsm_rc f_writev(lsm_file *f, uint64_t off, const lsm_slice *parts, int n) {
  return IF_ALIVE(F(f)->m, F(f)->inner->ops->writev(F(f)->inner, off, parts, n));
}
static lsm_rc f_sync(lsm_file *f) {
  return IF_ALIVE(F(f)->m, F(f)->inner->ops->sync(F(f)->inner));
}
static void f_sync_hint(lsm_file *f, uint64_t off, uint64_t len) {
  (void)f, (void)off, (void)len;
}
static void f_reserve(lsm_file *f, uint64_t off, uint64_t len) {
  if (lives(F(f)->m)) F(f)->inner->ops->reserve(F(f)->inner, off, len);
}
static lsm_rc f_truncate(lsm_file *f, uint64_t size) {
  return IF_ALIVE(F(f)->m, F(f)->inner->ops->truncate(F(f)->inner, size));
}
static lsm_rc f_size(lsm_file *f, uint64_t *size) {
  return IF_ALIVE(F(f)->m, F(f)->inner->ops->size(F(f)->inner, size));
}
static lsm_rc f_lock(lsm_file *f, uint64_t off, uint64_t len, lsm_lock mode) {
  return IF_ALIVE(F(f)->m, F(f)->inner->ops->lock(F(f)->inner, off, len, mode));
}
static void f_close(lsm_file *f) {
  lsm_file_close(F(f)->inner);
  free(f);
}
static const lsm_file_ops mortal_ops = {f_read,     f_writev, f_sync, f_sync_hint, f_reserve,
                                        f_truncate, f_size,   f_lock, f_close};

static lsm_rc m_open(lsm_env *e, const char *path, int flags, lsm_file **file) {
  lsm_file *inner = NULL;
  *file = NULL;
  lsm_rc rc = IF_ALIVE(M(e), M(e)->inner->open(M(e)->inner, path, flags, &inner));
  if (rc != LSM_OK) return rc;
  mortal_file *f = calloc(1, sizeof(*f));
  ck_assert_ptr_nonnull(f);
  f->base.ops = &mortal_ops;
  f->m = M(e);
  f->inner = inner;
  *file = &f->base;
  return LSM_OK;
}
static lsm_rc m_remove(lsm_env *e, const char *path) {
  return IF_ALIVE(M(e), M(e)->inner->remove(M(e)->inner, path));
}
static lsm_rc m_rename(lsm_env *e, const char *from, const char *to) {
  return IF_ALIVE(M(e), M(e)->inner->rename(M(e)->inner, from, to));
}
static lsm_rc m_exists(lsm_env *e, const char *path, bool *exists) {
  return IF_ALIVE(M(e), M(e)->inner->exists(M(e)->inner, path, exists));
}
static lsm_rc m_mkdir(lsm_env *e, const char *path) {
  return IF_ALIVE(M(e), M(e)->inner->mkdir(M(e)->inner, path));
}
static lsm_rc m_list(lsm_env *e, const char *path, lsm_rc (*fn)(void *, const char *), void *arg) {
  return IF_ALIVE(M(e), M(e)->inner->list(M(e)->inner, path, fn, arg));
}
static lsm_rc m_sync_dir(lsm_env *e, const char *path) {
  return IF_ALIVE(M(e), M(e)->inner->sync_dir(M(e)->inner, path));
}
static lsm_rc m_shm_map(lsm_env *e, const char *path, size_t size, void **mem) {
  lsm_rc rc = IF_ALIVE(M(e), M(e)->inner->shm_map(M(e)->inner, path, size, mem));
  if (rc == LSM_OK) M(e)->shm = *mem;
  return rc;
}
static void m_shm_unmap(lsm_env *e, void *mem, size_t size) {
  M(e)->inner->shm_unmap(M(e)->inner, mem, size);
}

static mortal *mortal_new(lsm_env *inner, uint64_t dies_at) {
  mortal *m = calloc(1, sizeof(*m));
  ck_assert_ptr_nonnull(m);
  m->inner = inner;
  m->base = *inner; /* clock, threads, random bytes */
  m->base.ctx = m;
  m->base.open = m_open;
  m->base.remove = m_remove;
  m->base.rename = m_rename;
  m->base.exists = m_exists;
  m->base.mkdir = m_mkdir;
  m->base.list = m_list;
  m->base.sync_dir = m_sync_dir;
  m->base.shm_map = m_shm_map;
  m->base.shm_unmap = m_shm_unmap;
  m->dies_at = dies_at;
  ck_assert_int_eq(pthread_mutex_init(&m->mu, NULL), 0);
  return m;
}

static void mortal_free(mortal *m) {
  pthread_mutex_destroy(&m->mu);
  free(m);
}

/* The victim's handle goes, and nothing but its locks with it. */
static void bury(mortal *m, lsm_db *db) {
  (void)lsm_close(db);
  if (atomic_load(&m->dead)) {
    for (int i = 0; m->shm != NULL && i < SHM_WORDS; i++) atomic_store(&m->shm[i], m->shm_then[i]);
  }
  free(m);
}

/*------------------------------------------------------- the workload */

/* What may be in the store: all that was acknowledged, and the one change that
** was under way when the victim died. */
typedef struct truth {
  model *sure, *maybe; /* maybe NULL: nothing under way */
} truth;

static model *begin_change(truth *t) {
  t->maybe = model_copy(t->sure);
  return t->maybe;
}

static void end_change(truth *t, bool happened) {
  model_free(happened ? t->sure : t->maybe);
  if (happened) t->sure = t->maybe;
  t->maybe = NULL;
}

static lsm_rc change(lsm_db *db, uint32_t ks, truth *t, const char *tag, lsm_sync sync,
                     bool with_host, bool keep) {
  lsm_txn *txn = NULL;
  char key[16];
  lsm_rc rc = lsm_txn_begin(db, 20000, NULL, &txn);
  if (rc != LSM_OK) return rc;
  model *now = begin_change(t);
  for (int i = 0; i < 4 && rc == LSM_OK; i++) {
    snprintf(key, sizeof(key), "k%d%c", i * 3, tag[0]);
    rc = lsm_txn_put(txn, ks, S(key), S(tag));
    model_put(now, S(key), S(tag));
    if (rc == LSM_OK) rc = lsm_txn_put(txn, ks, S("last"), S(tag));
    model_put(now, S("last"), S(tag));
  }
  if (rc == LSM_OK) rc = lsm_txn_prepare(txn, sync, with_host ? store_host_name : NULL, NULL);
  /* A host knows that it has not committed; else a batch that is not taken back
  ** in time counts. */
  if (with_host && (rc != LSM_OK || !keep)) end_change(t, false);
  if (rc != LSM_OK || !keep) {
    lsm_rc back = lsm_txn_rollback(txn);
    if (rc == LSM_OK && back == LSM_OK && !with_host) end_change(t, false);
    return rc != LSM_OK ? rc : back;
  }
  if (with_host) { /* it commits: from now on there is no doubt */
    host.txid = lsm_txn_id(txn);
    end_change(t, true);
  }
  lsm_txn_commit(txn);
  /* A dead process acknowledges nothing. */
  if (!with_host && !atomic_load(&victim_env->dead)) end_change(t, true);
  return LSM_OK;
}

/* As if a process had failed to replace the manifest. */
static void spoil_manifest(void) {
  lsm_share *sh = NULL;
  bool alone;
  ck_lsm(lsm_share_open(env, STORE_DIR, false, &sh));
  ck_lsm(lsm_share_attach(sh, &alone));
  ck_assert(!alone);
  lsm_share_set_remake(sh, true);
  lsm_share_close(sh);
}

/* Everything a process does; other is another one, which is not killed. */
static lsm_rc live(lsm_db *db, lsm_db *other, uint32_t ks, truth *t) {
  uint32_t made;
  lsm_keyspace_options o;
  lsm_rc rc = change(db, ks, t, "a1", LSM_SYNC_FULL, false, true);
  if (rc == LSM_OK) rc = change(db, ks, t, "b1", LSM_SYNC_FULL, true, true);
  if (rc == LSM_OK) rc = change(db, ks, t, "x", LSM_SYNC_FULL, false, false);
  if (rc == LSM_OK) rc = lsm_flush(db, NULL);
  /* Nobody may die while another process writes to what is then undone. */
  if (rc == LSM_OK) rc = lsm_wait_idle(db, NULL);
  if (rc == LSM_OK && !atomic_load(&victim_env->dead)) {
    ck_lsm(change(other, ks, t, "o1", LSM_SYNC_NORMAL, false, true));
    ck_lsm(lsm_flush(other, NULL));
    ck_lsm(lsm_wait_idle(other, NULL));
  }
  if (rc == LSM_OK) rc = change(db, ks, t, "c1", LSM_SYNC_NORMAL, true, true);
  if (rc == LSM_OK) rc = change(db, ks, t, "y", LSM_SYNC_NORMAL, true, false);
  if (rc == LSM_OK) rc = lsm_compact(db, ks, NULL);
  lsm_keyspace_options_init(&o);
  if (rc == LSM_OK) rc = lsm_keyspace_create(db, &o, &made);
  if (rc == LSM_OK) rc = change(db, ks, t, "d1", LSM_SYNC_NORMAL, false, true);
  if (rc == LSM_OK) rc = lsm_wait_idle(db, NULL);
  if (rc == LSM_OK && !atomic_load(&victim_env->dead)) spoil_manifest();
  if (rc == LSM_OK) rc = lsm_flush(db, NULL);
  if (rc == LSM_OK) rc = change(db, ks, t, "e1", LSM_SYNC_FULL, false, true);
  return rc;
}

static bool shows(lsm_db *db, uint32_t ks, const model *m, char *why) {
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  ck_lsm(model_compare(m, snap, ks, why));
  lsm_snapshot_release(snap);
  return why[0] == 0;
}

/* Whether what was under way happened, as this process sees it. */
static void decide(lsm_db *db, uint32_t ks, truth *t, uint64_t n) {
  char why[MODEL_WHY], why_not[MODEL_WHY] = "nothing was under way";
  bool without = shows(db, ks, t->sure, why);
  bool with = !without && t->maybe != NULL && shows(db, ks, t->maybe, why_not);
  ck_assert_msg(without || with, "killed at call %d: %s; %s", (int)n, why, why_not);
  if (t->maybe != NULL) end_change(t, with);
}

/* The others go on, at once. */
static void check_others(lsm_db *writer, lsm_db *reader, uint32_t ks, truth *t, uint64_t n) {
  decide(reader, ks, t, n); /* who only reads settles what is left, too */
  store_check(writer, ks, t->sure);
  ck_lsm(change(writer, ks, t, "p1", LSM_SYNC_FULL, false, true));
  store_check(reader, ks, t->sure);
  ck_lsm(change(reader, ks, t, "q1", LSM_SYNC_FULL, true, true));
  ck_lsm(lsm_flush(writer, NULL));
  ck_lsm(change(writer, ks, t, "r1", LSM_SYNC_FULL, false, true));
  ck_lsm(lsm_flush(reader, NULL));
  ck_lsm(lsm_compact(writer, ks, NULL));
  ck_lsm(change(reader, ks, t, "s1", LSM_SYNC_NORMAL, false, true));
  store_check(writer, ks, t->sure);
  store_verify(writer);
  store_verify(reader);
}

/* Kills the victim at call n; false: it lived through all of it. first: the log that it
** writes to is one that it has begun itself, with a transaction that its host decides. */
static bool kill_at(uint64_t n, bool first) {
  truth t = {model_new(), NULL};
  lsm_db *writer = NULL, *reader = NULL, *db = NULL, *joins = NULL;
  ck_lsm(lsm_env_mem_new(&env));
  memset(&host, 0, sizeof(host));
  opt = store_options(256 << 10);
  opt.host_txid = store_host_txid;
  opt.host_arg = &host;
  victim_env = mortal_new(env, n);
  ck_lsm(lsm_open(env, STORE_DIR, &opt, &writer));
  ck_lsm(lsm_open(env, STORE_DIR, &opt, &reader));
  uint32_t ks = store_keyspace(writer, LSM_LEVELED);
  if (!first) {
    ck_lsm(change(writer, ks, &t, "w1", LSM_SYNC_NORMAL, false, true));
    ck_lsm(lsm_flush(writer, NULL));
  }
  store_check(reader, ks, t.sure);
  lsm_rc rc = lsm_open(&victim_env->base, STORE_DIR, &opt, &db);
  if (rc == LSM_OK && first) rc = change(db, ks, &t, "f1", LSM_SYNC_FULL, true, true);
  if (rc == LSM_OK) rc = live(db, writer, ks, &t);
  bool died = atomic_load(&victim_env->dead);
  ck_assert_msg(died || rc == LSM_OK, "%s", lsm_errmsg());
  bury(victim_env, db);
  victim_env = mortal_new(env, 0);
  check_others(writer, reader, ks, &t, n);
  ck_lsm(lsm_open(env, STORE_DIR, &opt, &joins));
  store_check(joins, ks, t.sure);
  ck_lsm(lsm_close(writer));
  ck_lsm(lsm_close(reader));
  store_check(joins, ks, t.sure);
  ck_lsm(lsm_close(joins));
  ck_lsm(lsm_open(env, STORE_DIR, &opt, &joins)); /* alone: from the disk */
  store_check(joins, ks, t.sure);
  store_verify(joins);
  ck_lsm(lsm_close(joins));
  mortal_free(victim_env);
  victim_env = NULL;
  model_free(t.sure);
  lsm_env_mem_free(env);
  return died;
}

START_TEST(test_kill_one_of_three) {
  uint64_t step = store_param("KILL_STEP", 2 * STORE_SLOW), n = 1 + store_param("KILL_FROM", 0);
  while (kill_at(n, false)) n += step;
  ck_assert_uint_gt(n, 150);
}
END_TEST

/* The store's first log, with what its host has committed, must not be taken for empty. */
START_TEST(test_kill_with_the_first_log) {
  for (uint64_t n = 100; n < 220; n++) ck_assert(kill_at(n, true)); /* it commits at about 150 */
}
END_TEST

/* Dies where it stands, and not in a call. */
static void die_here(mortal *m) {
  pthread_mutex_lock(&m->mu);
  m->dies_at = m->calls + 1;
  pthread_mutex_unlock(&m->mu);
  (void)lives(m);
}

/* A transaction's steps that need no call at all: the victim is killed behind one of them. */
START_TEST(test_kill_between_steps) {
  truth t = {model_new(), NULL};
  lsm_db *db = NULL, *writer = NULL, *reader = NULL;
  lsm_txn *txn = NULL;
  ck_lsm(lsm_env_mem_new(&env));
  memset(&host, 0, sizeof(host));
  opt = store_options(256 << 10);
  opt.host_txid = store_host_txid;
  opt.host_arg = &host;
  victim_env = mortal_new(env, 0);
  ck_lsm(lsm_open(env, STORE_DIR, &opt, &writer));
  ck_lsm(lsm_open(env, STORE_DIR, &opt, &reader));
  ck_lsm(lsm_open(&victim_env->base, STORE_DIR, &opt, &db));
  uint32_t ks = store_keyspace(writer, LSM_LEVELED);
  ck_lsm(change(_i < 6 ? db : writer, ks, &t, "a1", LSM_SYNC_NORMAL, false, true));
  ck_lsm(lsm_txn_begin(db, 0, NULL, &txn));
  if (_i % 6 > 0) {
    model_put(begin_change(&t), S("k"), S("v"));
    ck_lsm(lsm_txn_put(txn, ks, S("k"), S("v")));
  }
  if (_i % 6 > 1) ck_lsm(lsm_txn_prepare(txn, LSM_SYNC_NORMAL, NULL, NULL));
  if (_i % 6 == 3) ck_lsm(lsm_txn_rollback(txn));
  if (_i % 6 > 3) lsm_txn_commit(txn);
  if (_i % 6 == 5) ck_lsm(lsm_txn_begin(db, 0, NULL, &txn)); /* the next one */
  die_here(victim_env);
  if (_i % 6 < 3 || _i % 6 == 5) (void)lsm_txn_rollback(txn);
  bury(victim_env, db);
  victim_env = mortal_new(env, 0);
  /* What is in the log counts if nothing in it takes that back. */
  if (t.maybe != NULL) end_change(&t, _i % 6 == 2 || _i % 6 > 3);
  check_others(writer, reader, ks, &t, (uint64_t)_i);
  ck_lsm(lsm_close(writer));
  ck_lsm(lsm_close(reader));
  mortal_free(victim_env);
  model_free(t.sure);
  lsm_env_mem_free(env);
}
END_TEST

/* A store of one process with a transaction that only its host has decided, and
** another log before it; then a process that opens it, alone, is killed. */
static bool kill_recovery_at(uint64_t n) {
  truth t = {model_new(), NULL};
  lsm_db *db = NULL;
  lsm_env *all;
  ck_lsm(lsm_env_mem_new(&env));
  all = env;
  memset(&host, 0, sizeof(host));
  opt = store_options(256 << 10);
  opt.host_txid = store_host_txid;
  opt.host_arg = &host;
  victim_env = mortal_new(env, 0);
  ck_lsm(lsm_open(&victim_env->base, STORE_DIR, &opt, &db));
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  ck_lsm(change(db, ks, &t, "a1", LSM_SYNC_FULL, false, true));
  ck_lsm(lsm_flush(db, NULL));
  ck_lsm(lsm_wait_idle(db, NULL));
  ck_lsm(change(db, ks, &t, "b1", LSM_SYNC_FULL, false, true));
  lsm_txn *txn = store_begin(db);
  ck_lsm(lsm_txn_put(txn, ks, S("decided"), S("by the host")));
  ck_lsm(lsm_txn_prepare(txn, LSM_SYNC_FULL, store_host_name, NULL));
  host.txid = lsm_txn_id(txn);
  model_put(t.sure, S("decided"), S("by the host"));
  victim_env->dies_at = victim_env->calls + 1; /* before the log gets its COMMIT */
  lsm_txn_commit(txn);
  bury(victim_env, db);

  victim_env = mortal_new(all, n);
  lsm_rc rc = lsm_open(&victim_env->base, STORE_DIR, &opt, &db);
  bool died = atomic_load(&victim_env->dead);
  ck_assert_msg(died || rc == LSM_OK, "%s", lsm_errmsg());
  bury(victim_env, rc == LSM_OK ? db : NULL);
  victim_env = mortal_new(all, 0);
  ck_lsm(lsm_open(all, STORE_DIR, &opt, &db));
  store_check(db, ks, t.sure);
  ck_lsm(change(db, ks, &t, "c1", LSM_SYNC_FULL, true, true));
  store_check(db, ks, t.sure);
  store_verify(db);
  ck_lsm(lsm_close(db));
  mortal_free(victim_env);
  model_free(t.sure);
  lsm_env_mem_free(all);
  return died;
}

START_TEST(test_kill_recovery) {
  uint64_t n = 1;
  while (kill_recovery_at(n)) n++;
  ck_assert_uint_gt(n, 20);
}
END_TEST

/*-------------------------------------------------- real processes */

/* A process with an open transaction forks, and is killed: the child lives on,
** with all that it inherited, and must not keep the locks. */
static pid_t writer_that_forks(const char *dir, int tell) {
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid > 0) return pid;
  lsm_db *db = NULL;
  lsm_txn *t = NULL;
  if (lsm_open(lsm_env_default(), dir, &opt, &db) != LSM_OK ||
      lsm_txn_begin(db, 0, NULL, &t) != LSM_OK) {
    _exit(1);
  }
  pid_t grandchild = fork();
  if (grandchild == 0) {
    for (;;) pause();
  }
  if (write(tell, &grandchild, sizeof(grandchild)) != sizeof(grandchild)) _exit(1);
  for (;;) pause();
}

START_TEST(test_child_outlives_its_parent) {
  char dir[] = "/tmp/lsm-test-fork-XXXXXX", cmd[100];
  int pipe_fd[2], status;
  pid_t grandchild = 0;
  lsm_db *db = NULL;
  opt = store_options(256 << 10);
  ck_assert_ptr_nonnull(mkdtemp(dir));
  ck_lsm(lsm_open(lsm_env_default(), dir, &opt, &db));
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  ck_assert_int_eq(pipe(pipe_fd), 0);
  pid_t child = writer_that_forks(dir, pipe_fd[1]);
  ck_assert_int_eq(read(pipe_fd[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
  lsm_txn *t = NULL;
  ck_assert_int_eq(lsm_txn_begin(db, 0, NULL, &t), LSM_BUSY);
  kill(child, SIGKILL);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  store_put(db, ks, "a", "1");
  ck_assert_str_eq(store_get(db, ks, "a"), "1");
  ck_assert_int_eq(kill(grandchild, SIGKILL), 0);
  close(pipe_fd[0]);
  close(pipe_fd[1]);
  ck_lsm(lsm_close(db));
  snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
  ck_assert_int_eq(system(cmd), 0);
}
END_TEST

/* What a child does with its parent's handle is refused, or seen by nobody. */
static void use_inherited(lsm_db *db, uint32_t ks, lsm_txn *open) {
  lsm_txn *t = NULL;
  if (open != NULL) {
    if (lsm_txn_put(open, ks, S("c"), S("child")) != LSM_OK ||
        lsm_txn_prepare(open, LSM_SYNC_NORMAL, NULL, NULL) == LSM_OK) {
      _exit(1);
    }
    (void)lsm_txn_rollback(open);
  }
  for (int i = 0; i < 3; i++) {
    if (lsm_txn_begin(db, 0, NULL, &t) == LSM_OK) _exit(1);
  }
  _exit(0);
}

START_TEST(test_child_uses_what_it_inherits) {
  char dir[] = "/tmp/lsm-test-inherit-XXXXXX", cmd[100];
  int status;
  lsm_db *db = NULL;
  lsm_txn *t = NULL;
  opt = store_options(256 << 10);
  ck_assert_ptr_nonnull(mkdtemp(dir));
  ck_lsm(lsm_open(lsm_env_default(), dir, &opt, &db));
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  store_put(db, ks, "a", "1");
  for (int open = 0; open < 2; open++) { /* without a transaction, and in one */
    if (open) {
      ck_lsm(lsm_txn_begin(db, 0, NULL, &t));
      ck_lsm(lsm_txn_put(t, ks, S("b"), S("2")));
    }
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) use_inherited(db, ks, t);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (open) store_commit(t, LSM_SYNC_NORMAL);
    store_put(db, ks, "a", "3");
  }
  ck_assert_str_eq(store_all(db, ks), "a=3 b=2");
  ck_lsm(lsm_close(db));
  ck_lsm(lsm_open(lsm_env_default(), dir, &opt, &db));
  ck_assert_str_eq(store_all(db, ks), "a=3 b=2");
  ck_lsm(lsm_close(db));
  snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
  ck_assert_int_eq(system(cmd), 0);
}
END_TEST

/* A writer is killed whose host has committed; who reads next settles it. A reader of the
** host's state from before that sees the store's from before that, too. */
static pid_t writer_that_prepares(const char *dir, uint32_t ks, int tell) {
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid > 0) return pid;
  lsm_db *db = NULL;
  lsm_txn *t = NULL;
  if (lsm_open(lsm_env_default(), dir, &opt, &db) != LSM_OK ||
      lsm_txn_begin(db, 0, NULL, &t) != LSM_OK ||
      lsm_txn_put(t, ks, S("k"), S("2")) != LSM_OK ||
      lsm_txn_prepare(t, LSM_SYNC_NORMAL, store_host_name, NULL) != LSM_OK) {
    _exit(1);
  }
  uint64_t txid = lsm_txn_id(t);
  if (write(tell, &txid, sizeof(txid)) != sizeof(txid)) _exit(1);
  for (;;) pause();
}

START_TEST(test_state_before_a_killed_writer) {
  char dir[] = "/tmp/lsm-test-before-XXXXXX", cmd[100];
  int pipe_fd[2], status;
  lsm_db *db = NULL;
  lsm_snapshot *snap = NULL;
  memset(&host, 0, sizeof(host));
  opt = store_options(256 << 10);
  opt.host_txid = store_host_txid;
  opt.host_arg = &host;
  ck_assert_ptr_nonnull(mkdtemp(dir));
  ck_lsm(lsm_open(lsm_env_default(), dir, &opt, &db));
  uint32_t ks = store_keyspace(db, LSM_LEVELED);
  store_put(db, ks, "k", "1");
  uint64_t before = lsm_committed_txid(db);
  ck_assert_int_eq(pipe(pipe_fd), 0);
  pid_t child = writer_that_prepares(dir, ks, pipe_fd[1]);
  ck_assert_int_eq(read(pipe_fd[0], &host.txid, sizeof(host.txid)), sizeof(host.txid));
  kill(child, SIGKILL);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_str_eq(store_get(db, ks, "k"), "2");
  ck_lsm(lsm_snapshot_acquire_at(db, store_host_name, before, 0, NULL, &snap));
  ck_assert_str_eq(store_get_in(snap, ks, "k"), "1");
  lsm_snapshot_release(snap);
  ck_lsm(lsm_snapshot_acquire_at(db, store_host_name, host.txid, 0, NULL, &snap));
  ck_assert_str_eq(store_get_in(snap, ks, "k"), "2");
  lsm_snapshot_release(snap);
  close(pipe_fd[0]);
  close(pipe_fd[1]);
  ck_lsm(lsm_close(db));
  snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
  ck_assert_int_eq(system(cmd), 0);
}
END_TEST

Suite *share_kill_suite(void);
Suite *share_kill_suite(void) {
  Suite *s = suite_create("share_kill");
  TCase *tc = tcase_create("share_kill");
  tcase_set_timeout(tc, 300);
  tcase_add_test(tc, test_kill_one_of_three);
  tcase_add_test(tc, test_kill_with_the_first_log);
  tcase_add_loop_test(tc, test_kill_between_steps, 0, 12);
  tcase_add_test(tc, test_kill_recovery);
  tcase_add_test(tc, test_child_outlives_its_parent);
  tcase_add_test(tc, test_child_uses_what_it_inherits);
  tcase_add_test(tc, test_state_before_a_killed_writer);
  suite_add_tcase(s, tc);
  return s;
}
