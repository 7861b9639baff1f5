/* sched.c: the two background threads of a store.
**
** The flusher writes immutable memtables, the compactor carries out plans;
** apart, so that a flush never waits behind a compaction. Both start with the
** first flush. A job that fails leaves its reason where writers that depend on
** it find it, and is tried again after a pause that grows, or as soon as a writer
** asks. Success clears the reason. A keyspace that cannot be compacted for a reason
** of its own, a damaged table, is passed over till then: the others go on. */
#include "db_int.h"

#define RETRY_US 250000u      /* pause after a first failure; doubles */
#define RETRY_MAX_US 8000000u /* up to this */
#define IDLE_US 5000000u      /* longest sleep; wakes are by cv */
#define QUIET_US 70000u       /* between looks whether it is quiet */
#define QUIET_LOOKS 2         /* so many in a row must say so: one may be a writer's hiccup */
#define QUIET_BYTES_PER_US 2u /* what users may write meanwhile */

/* Keeps this thread's last message. REQUIRES: mu. */
static void note_error(lsm_job_error *e, lsm_rc rc) {
  e->rc = rc;
  e->msg[0] = 0;
  if (rc == LSM_OK) return;
  const char *msg = lsm_errmsg();
  size_t n = strlen(msg);
  if (n >= sizeof(e->msg)) n = sizeof(e->msg) - 1;
  memcpy(e->msg, msg, n);
  e->msg[n] = 0;
}

/* The pause after a failure, or none after a success. */
static uint64_t next_pause(lsm_rc rc, uint64_t pause) {
  if (rc == LSM_OK) return 0;
  if (pause == 0) return RETRY_US;
  return pause < RETRY_MAX_US ? 2 * pause : pause;
}

static void flusher_main(void *arg) {
  lsm_db *db = arg;
  uint64_t pause = 0, until = 0;
  lsm_mutex_lock(&db->mu);
  for (;;) {
    /* What another process has rotated it flushes; if it died, a writer asks. */
    bool others = db->imm_foreign && !db->flush_asked;
    if (db->imm == NULL || others || (db->closing && pause != 0)) {
      if (db->closing) break; /* what could not be flushed is in the log */
      lsm_cond_wait_us(&db->cv, &db->mu, IDLE_US);
      continue;
    }
    uint64_t now = db->env->now_us(db->env);
    if (pause != 0 && !db->flush_asked && now < until) {
      lsm_cond_wait_us(&db->cv, &db->mu, until - now);
      continue;
    }
    uint64_t n = ++db->flush_begun;
    db->flush_asked = false;
    lsm_mutex_unlock(&db->mu);
    lsm_rc rc = lsm_job_lock(db, LSM_SHARE_FLUSH, NULL);
    if (rc == LSM_OK) {
      rc = lsm_flush_imm(db);
      lsm_job_unlock(db, LSM_SHARE_FLUSH);
    }
    lsm_mutex_lock(&db->mu);
    note_error(&db->flush_error, rc);
    db->flush_ended = n;
    lsm_cond_broadcast(&db->cv);
    pause = next_pause(rc, pause);
    until = db->env->now_us(db->env) + pause;
  }
  lsm_mutex_unlock(&db->mu);
}

bool lsm_is_stuck(const lsm_stuck *stuck, uint32_t keyspace) {
  int i = 0;
  while (i < stuck->n && stuck->keyspaces[i] != keyspace) i++;
  return i < stuck->n;
}

/* When there is time for what is not due. */
typedef struct lookout {
  uint64_t at, bytes; /* of user data committed then */
  int quiet; /* looks in a row */
  uint64_t rest_at; /* when to look for rest again */
  uint64_t known;   /* the version in which there was nothing left */
} lookout;

/* Are there cycles to spare? Whoever waits for the store to be idle says so. */
static bool is_quiet(lsm_db *db, lookout *l) {
  lsm_mutex_lock(&db->mu);
  bool asked = db->rest_asked > 0;
  lsm_mutex_unlock(&db->mu);
  if (asked) return true;
  uint64_t now = db->env->now_us(db->env);
  uint64_t bytes = atomic_load_explicit(&db->counters.user_bytes, memory_order_relaxed);
  if (l->at != 0 && now - l->at < QUIET_US) return l->quiet >= QUIET_LOOKS;
  bool calm = l->at != 0 && (bytes - l->bytes) / QUIET_BYTES_PER_US < now - l->at;
  l->quiet = !calm ? 0 : l->quiet < QUIET_LOOKS ? l->quiet + 1 : QUIET_LOOKS;
  l->at = now;
  l->bytes = bytes;
  return l->quiet >= QUIET_LOOKS;
}

/* What can be done when nothing is due; *later: when it is quiet. */
static lsm_rc pick_rest(lsm_db *db, lookout *l, const lsm_stuck *stuck, bool *found,
                        lsm_plan *plan, bool *later) {
  lsm_mutex_lock(&db->mu);
  uint64_t gen = db->version->gen;
  lsm_mutex_unlock(&db->mu);
  bool quiet = gen != l->known && is_quiet(db, l);
  lsm_rc rc = LSM_OK;
  if (quiet) rc = lsm_compact_pick_rest(db, stuck, true, found, plan);
  if (quiet && rc == LSM_OK && !*found) l->known = gen;
  *later = gen != l->known && !quiet;
  if (*later) l->rest_at = db->env->now_us(db->env) + QUIET_US;
  return rc;
}

/* Looks for work and does it. compact_checked is set before the look, so that
** an edit that comes meanwhile, and clears it, is not overlooked. *keyspace: whose
** work it was, 0 if it came to none. */
static lsm_rc compact_once(lsm_db *db, lookout *look, uint32_t *keyspace) {
  lsm_plan plan;
  bool found = false, later = false;
  *keyspace = 0;
  memset(&plan, 0, sizeof(plan));
  bool dropped = false;
  lsm_rc rc = lsm_compact_acquire(db, NULL);
  if (rc != LSM_OK) return rc;
  uint64_t now = lsm_now(db);
  lsm_mutex_lock(&db->mu);
  db->compact_checked = true;
  db->look_at = lsm_next_expiry(db->version, now);
  lsm_stuck stuck = db->stuck;
  lsm_mutex_unlock(&db->mu);
  rc = lsm_drop_expired(db, &dropped);
  if (rc == LSM_OK && !dropped) rc = lsm_compact_pick(db, &stuck, &found, &plan);
  if (rc == LSM_OK && !dropped && !found) {
    rc = pick_rest(db, look, &stuck, &found, &plan, &later);
  }
  lsm_mutex_lock(&db->mu);
  db->rest_left = later;
  lsm_mutex_unlock(&db->mu);
  if (rc == LSM_OK && found) {
    *keyspace = plan.keyspace;
    rc = lsm_compact_run(db, &plan, NULL);
  }
  if (found) lsm_plan_fini(&plan);
  lsm_db_purge(db); /* the pick or the plan may have been the last to hold a file */
  if (rc != LSM_OK || found || dropped) {
    lsm_mutex_lock(&db->mu);
    db->compact_checked = false;
    lsm_mutex_unlock(&db->mu);
  }
  lsm_compact_release(db);
  return rc;
}

/* What the compactor remembers of failures. */
typedef struct retries {
  bool blocked;        /* the last one concerns all keyspaces */
  bool failed_last;
  uint64_t pause, until; /* they are tried again then, or when somebody asks */
} retries;

/* A try ended. One that a damaged table made fail is no reason to leave the other
** keyspaces alone. REQUIRES: mu. */
static void note_compaction(lsm_db *db, retries *c, lsm_rc rc, uint32_t keyspace) {
  c->failed_last = rc != LSM_OK;
  if (rc == LSM_OK) {
    if (db->compact_checked && db->stuck.n == 0) { /* nothing more is due */
      note_error(&db->compact_error, LSM_OK);
      c->pause = 0;
    }
    return;
  }
  note_error(&db->compact_error, rc == LSM_INTERRUPT ? LSM_OK : rc);
  db->compact_failed = db->compact_begun;
  bool its_own = keyspace != 0 && (rc == LSM_CORRUPT || rc == LSM_IOERR);
  if (its_own && db->stuck.n < LSM_STUCK_MAX) {
    db->stuck.keyspaces[db->stuck.n++] = keyspace;
  } else {
    c->blocked = true;
  }
  if (c->pause == 0 || db->env->now_us(db->env) >= c->until) {
    c->pause = next_pause(rc, c->pause);
    c->until = db->env->now_us(db->env) + c->pause;
  }
}

/* Has the time come at which something expires in the version that was looked at? Who
** waits for the clock looks at it as often as he wakes anyway. REQUIRES: mu. */
static bool clock_asks(const lsm_db *db) {
  return db->look_at != 0 && db->look_at <= lsm_now(db);
}

/* Whether there may be something to do; else how long to sleep. REQUIRES: mu. */
static bool is_due(lsm_db *db, retries *c, const lookout *look, uint64_t *sleep_us) {
  uint64_t now = db->env->now_us(db->env);
  bool failed = c->blocked || db->stuck.n > 0;
  bool again = failed && (now >= c->until || db->compact_asked);
  if (clock_asks(db)) db->compact_checked = false;
  /* Who asks all the time must not keep the others from their turn. */
  if (again && (c->blocked || db->compact_checked || !c->failed_last)) {
    db->stuck.n = 0;
    c->blocked = false;
    db->compact_checked = false;
  }
  *sleep_us = failed && now < c->until ? c->until - now : IDLE_US;
  bool rest = db->rest_left && (db->rest_asked > 0 || now >= look->rest_at);
  if (db->rest_left && !rest && look->rest_at - now < *sleep_us) *sleep_us = look->rest_at - now;
  return !c->blocked && (!db->compact_checked || rest);
}

/* Removes files for users. REQUIRES: mu, which is free meanwhile. */
static void purge(lsm_db *db) {
  db->purge_asked = false;
  db->purging = true;
  lsm_mutex_unlock(&db->mu);
  lsm_db_purge(db);
  lsm_mutex_lock(&db->mu);
  db->purging = false;
  lsm_cond_broadcast(&db->cv);
}

static void compactor_main(void *arg) {
  lsm_db *db = arg;
  retries c = {0};
  lookout look = {0};
  uint64_t sleep_us;
  uint32_t keyspace;
  lsm_mutex_lock(&db->mu);
  while (!db->closing) {
    if (db->purge_asked) {
      purge(db);
      continue;
    }
    if (!is_due(db, &c, &look, &sleep_us)) {
      lsm_cond_wait_us(&db->cv, &db->mu, sleep_us);
      continue;
    }
    uint64_t n = ++db->compact_begun;
    db->compact_asked = false;
    lsm_mutex_unlock(&db->mu);
    lsm_rc rc = compact_once(db, &look, &keyspace);
    lsm_mutex_lock(&db->mu);
    note_compaction(db, &c, rc, keyspace);
    db->compact_ended = n;
    lsm_cond_broadcast(&db->cv);
  }
  lsm_mutex_unlock(&db->mu);
}

lsm_rc lsm_sched_kick(lsm_db *db) {
  lsm_mutex_lock(&db->mu);
  lsm_thread *flusher = db->flusher, *compactor = db->compactor;
  bool start = !db->threads_started && !db->closing && !db->opt.read_only;
  if (start) db->threads_started = true;
  lsm_cond_broadcast(&db->cv);
  lsm_mutex_unlock(&db->mu);
  if (!start) return LSM_OK;
  lsm_rc rc = LSM_OK;
  if (flusher == NULL) rc = db->env->thread_start(db->env, flusher_main, db, &flusher);
  if (rc == LSM_OK) rc = db->env->thread_start(db->env, compactor_main, db, &compactor);
  lsm_mutex_lock(&db->mu);
  db->flusher = flusher;
  db->compactor = compactor;
  if (rc != LSM_OK) db->threads_started = false; /* the next kick tries again */
  lsm_cond_broadcast(&db->cv);
  lsm_mutex_unlock(&db->mu);
  return rc;
}

void lsm_sched_stop(lsm_db *db) {
  lsm_mutex_lock(&db->mu);
  db->closing = true;
  lsm_cond_broadcast(&db->cv);
  lsm_thread *flusher = db->flusher, *compactor = db->compactor;
  db->flusher = db->compactor = NULL;
  lsm_mutex_unlock(&db->mu);
  if (flusher != NULL) db->env->thread_join(db->env, flusher);
  if (compactor != NULL) db->env->thread_join(db->env, compactor);
  lsm_mutex_lock(&db->mu);
  db->threads_started = false; /* nobody waits for them from now on */
  lsm_mutex_unlock(&db->mu);
}

/*---------------------------------------------------------------- by hand */

lsm_rc lsm_flush(lsm_db *db, const lsm_interrupt *intr) {
  if (db->opt.read_only) return lsm_fail(LSM_READONLY, "%s: opened read-only", db->dir);
  lsm_rc rc = lsm_log_acquire(db, intr);
  if (rc != LSM_OK) return rc;
  /* A broken log goes even if nothing is in it: what was to be taken out of it
  ** may be there still. */
  bool broken = db->wal != NULL && lsm_wal_is_broken(db->wal);
  if (broken || !lsm_memtable_is_empty(db->mem) || db->mem_runs != NULL) {
    rc = lsm_log_ensure(db);
    if (rc == LSM_OK) rc = lsm_rotate(db, intr);
  }
  lsm_log_release(db);
  if (rc == LSM_OK) rc = lsm_wait_flushed(db, intr);
  return rc;
}

/* The compactor's failure, if it has one that is not older than the call of the
** caller: FROM is compact_begun as it was then. REQUIRES: mu. */
lsm_rc lsm_compact_failed(lsm_db *db, uint64_t from) {
  const lsm_job_error *e = &db->compact_error;
  if (e->rc == LSM_OK) return LSM_OK;
  if (db->compact_failed > from) return lsm_fail(e->rc, "%s", e->msg);
  if (!db->compact_asked) { /* its cause may be gone */
    db->compact_asked = true;
    lsm_cond_broadcast(&db->cv);
  }
  return LSM_OK;
}

/* Nothing is due and nobody is at it, not even removing files. REQUIRES: mu. */
static bool is_idle(const lsm_db *db) {
  return db->compact_checked && !clock_asks(db) && db->stuck.n == 0 && !db->rest_left &&
         !db->compact_held && !db->purge_asked && !db->purging && db->imm == NULL &&
         db->flush_begun == db->flush_ended && db->compact_begun == db->compact_ended;
}

lsm_rc lsm_wait_idle(lsm_db *db, const lsm_interrupt *intr) {
  lsm_rc rc = lsm_wait_flushed(db, intr);
  if (db->opt.read_only) return rc; /* nothing is ever due */
  if (rc == LSM_OK) rc = lsm_sched_kick(db);
  lsm_mutex_lock(&db->mu);
  uint64_t from = db->compact_begun;
  db->rest_asked++;
  lsm_cond_broadcast(&db->cv);
  while (rc == LSM_OK && !is_idle(db)) {
    if (db->imm != NULL && db->flush_error.rc != LSM_OK) {
      lsm_mutex_unlock(&db->mu);
      rc = lsm_wait_flushed(db, intr);
      lsm_mutex_lock(&db->mu);
      continue;
    }
    rc = lsm_compact_failed(db, from);
    if (rc != LSM_OK) break;
    lsm_cond_wait_us(&db->cv, &db->mu, 20000);
    lsm_mutex_unlock(&db->mu);
    if (lsm_interrupted(intr)) rc = lsm_fail(LSM_INTERRUPT, "interrupted");
    lsm_mutex_lock(&db->mu);
  }
  db->rest_asked--;
  lsm_mutex_unlock(&db->mu);
  return rc;
}
