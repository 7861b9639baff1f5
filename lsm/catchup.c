/* catchup.c: one store in several processes.
**
** The log and the manifest are what the processes share; each has its own
** memtables and version and brings them up to date by reading on from where it
** stopped. The words in SHM say how far the others have come.
**
** Three states can be met. The active log is the one we know: read on in it.
** It is another, and ours is the one before it: finish ours, which becomes the
** immutable memtable, and read the new one. It is another, and ours is flushed:
** forget ours. The order of loads matters: log first, manifest second, so that
** the manifest is never older than the log's rotation, which had to wait for
** the flush of all logs before the last. It can be newer, and say that the log
** is flushed: then the log's word has moved on, too, and both are loaded again.
**
** Owns:  the log that is followed (db->followed), open since it was first read on in.
**
** A writer that was killed left `dirty` set: the next one settles the end of
** the log as recovery would, before it does anything else; and so does a
** reader, for whom the host may show already what the log still hides. */
#include "db_int.h"

#define JOB_POLL_US 20000u
#define RELOADS 100          /* a log can vanish, flushed, while we go for it */
#define PATIENCE_US 2000u    /* for those who hold WRITER only to look */
#define MOVING_POLL_US 5000u /* between looks at the interrupt function */
#define SETTLE_PAUSE_US 1000000u /* after a reader could not settle */
#define FEW_BYTES (64u << 10) /* of a log: so little that copying nodes for views is cheap */

/*--------------------------------------------------------------- catch up */

/* The next state, in the making. */
typedef struct news {
  uint64_t log, manifest; /* the words it belongs to */
  lsm_manifest_state st;  /* version NULL: unchanged */
  uint64_t oldest;        /* log that is needed */
  lsm_memtable *mem;      /* NULL: unchanged */
  lsm_memtable *imm;      /* a new immutable one; NULL: none */
  uint64_t imm_log, imm_txid;
  lsm_version *mem_runs;  /* what is just below them */
  lsm_version *imm_runs;
  bool push;              /* the active one becomes immutable */
  bool has_log;           /* something was read from a log */
  lsm_wal_follower *followed; /* the active one, if it is another than before */
  uint64_t number, end;
  uint32_t salt;
} news;

static void news_fini(news *n) {
  lsm_version_unref(n->st.version);
  lsm_memtable_unref(n->mem);
  lsm_memtable_unref(n->imm);
  lsm_version_unref(n->mem_runs);
  lsm_version_unref(n->imm_runs);
  lsm_wal_unfollow(n->followed);
  memset(n, 0, sizeof(*n));
}

static void note_garbage_of(void *arg, uint64_t number) { lsm_db_note_garbage(arg, number); }

/* What the manifest says now. */
static lsm_rc read_manifest(lsm_db *db, news *n) {
  uint64_t number = lsm_pos_number(n->manifest), size = lsm_pos_off(n->manifest);
  n->oldest = db->log;
  if (n->manifest == 0 || n->manifest == atomic_load(&db->seen_manifest)) return LSM_OK;
  lsm_rc rc;
  if (number == db->manifest_number) {
    n->st.number = number;
    n->st.size = lsm_pos_off(atomic_load(&db->seen_manifest));
    n->st.version = lsm_version_ref(db->version);
    n->st.log = db->log;
    n->st.next_keyspace = db->next_keyspace;
    n->st.last_txid = db->flushed_txid;
    rc = lsm_manifest_read_on(db->env, db->dir, size, &n->st);
  } else {
    rc = lsm_manifest_load(db->env, db->dir, number, size, note_garbage_of, db, &n->st);
  }
  if (rc == LSM_OK) n->oldest = n->st.log;
  return rc;
}

static lsm_rc follow(lsm_db *db, uint64_t number, lsm_wal_follower **log, lsm_wal_info *head) {
  *log = NULL;
  char *path = lsm_filename_new(db->dir, LSM_FILE_WAL, number);
  if (path == NULL) return lsm_nomem();
  lsm_rc rc = lsm_wal_follow(db->env, path, db->store_id, number, log, head);
  if (rc == LSM_OK && *log == NULL) rc = lsm_corrupt(path, 0, "header of a log that is in use");
  lsm_free(path);
  return rc;
}

/* The state just before another process' transaction with a host, for readers who have
** the host's from before it; NULL without memory. Of many transactions only the first
** of each host: while there is a view, the memtable is not changed in place. */
typedef struct keeper {
  lsm_db *db;
  news *n;  /* NULL: what is read goes into the active memtable, apply_mu is held */
  bool few;
} keeper;

static lsm_snapshot *keep_state(void *arg, const uint8_t *host) {
  keeper *k = arg;
  lsm_db *db = k->db;
  lsm_snapshot *s = NULL;
  if (!lsm_host_first(db, host) && !k->few) return NULL;
  lsm_hosts_drop(db); /* what the last note has thrown out: there is little room */
  if (lsm_snapshot_alloc(db, &s) != LSM_OK) return NULL;
  uint64_t replayed = atomic_load(&db->replayed), committed = atomic_load(&db->committed);
  uint64_t txid = replayed > committed ? replayed : committed;
  if (k->n != NULL) lsm_mutex_lock(&db->apply_mu);
  if (k->n == NULL) lsm_db_raise_committed(db, replayed);
  lsm_mutex_lock(&db->mu);
  if (k->n == NULL) {
    lsm_snapshot_fill(s);
  } else {
    lsm_snapshot_fill_rotated(s, k->n->mem, k->n->mem_runs, txid);
  }
  lsm_mutex_unlock(&db->mu);
  if (k->n != NULL) lsm_mutex_unlock(&db->apply_mu);
  return s;
}

/* A log from its start into a new memtable. */
static lsm_rc read_log(lsm_db *db, lsm_wal_follower *log, uint64_t end, lsm_memtable **mem,
                       lsm_version **runs, lsm_keep keep) {
  lsm_rc rc = lsm_memtable_new(mem);
  if (rc == LSM_OK) lsm_memtable_expect(*mem, 0);
  return rc == LSM_OK ? lsm_replay_range(db, *mem, runs, log, 0, end, keep) : rc;
}

/* The same of the log before the active one. */
static lsm_rc read_log_before(lsm_db *db, const lsm_wal_prev *prev, news *n) {
  lsm_wal_follower *log = NULL;
  lsm_wal_info head;
  lsm_keep nothing = {NULL, NULL};
  lsm_rc rc = follow(db, prev->number, &log, &head);
  if (rc == LSM_OK) rc = read_log(db, log, prev->end, &n->imm, &n->imm_runs, nothing);
  lsm_wal_unfollow(log);
  n->imm_log = prev->number;
  return rc;
}

/* On in the active log, up to END. Readers' views must not see half a batch. */
static lsm_rc read_on(lsm_db *db, uint64_t end) {
  if (db->log_end >= end) return LSM_OK;
  if (db->followed == NULL || lsm_wal_followed(db->followed) != db->log_number) {
    lsm_wal_info head;
    lsm_wal_unfollow(db->followed);
    lsm_rc rc = follow(db, db->log_number, &db->followed, &head);
    if (rc != LSM_OK) return rc;
    db->log_salt = head.salt;
  }
  keeper k = {db, NULL, end - db->log_end <= FEW_BYTES};
  lsm_keep keep = {keep_state, &k};
  lsm_snapshot_forget(db);
  lsm_mutex_lock(&db->apply_mu);
  lsm_mutex_lock(&db->mu);
  lsm_snapshot *outdated = lsm_snapshot_outdate(db);
  lsm_mutex_unlock(&db->mu);
  lsm_rc rc = lsm_replay_range(db, db->mem, &db->mem_runs, db->followed, db->log_end, end, keep);
  if (rc == LSM_OK) lsm_db_raise_committed(db, db->replayed);
  lsm_mutex_unlock(&db->apply_mu);
  lsm_snapshot_drop(outdated);
  if (rc == LSM_OK) db->log_end = end;
  return rc;
}

static lsm_rc read_logs(lsm_db *db, news *n) {
  lsm_wal_info head;
  n->number = lsm_pos_number(n->log);
  n->end = lsm_pos_off(n->log);
  n->salt = db->log_salt;
  if (n->number == 0) return LSM_OK; /* nobody has written yet */
  if (n->number < n->oldest) return LSM_NOTFOUND; /* a word from before the rotation */
  n->has_log = true;
  if (n->number == db->log_number) return read_on(db, n->end);
  lsm_rc rc = follow(db, n->number, &n->followed, &head);
  if (rc != LSM_OK) return rc;
  n->salt = head.salt;
  uint64_t before = head.prev.number;
  if (before >= n->oldest && before == db->log_number) {
    rc = read_on(db, head.prev.end);
    n->push = true;
  } else if (before >= n->oldest && before != 0) {
    rc = read_log_before(db, &head.prev, n);
  }
  n->imm_txid = db->last_txid;
  /* Of a state over other files there is nothing to be kept. */
  keeper k = {db, n, n->end <= FEW_BYTES};
  lsm_keep keep = {n->push && n->st.version == NULL ? keep_state : NULL, &k};
  if (rc == LSM_OK) rc = read_log(db, n->followed, n->end, &n->mem, &n->mem_runs, keep);
  return rc;
}

/* The new state takes over, all at once: a reader that saw the new tables with
** the old memtable would take old values for new. REQUIRES: catch_mu. */
static void install(lsm_db *db, news *n) {
  lsm_left left = {0};
  lsm_wal *old_wal = NULL;
  lsm_memtable *old_mem = NULL;
  lsm_version *old_runs = NULL;
  lsm_mutex_lock(&db->apply_mu);
  lsm_mutex_lock(&db->mu);
  left.latest = lsm_snapshot_outdate(db);
  if (n->st.version != NULL) {
    db->manifest_number = n->st.number;
    db->foreign_edit = n->manifest;
    db->next_keyspace = n->st.next_keyspace;
    db->flushed_txid = n->st.last_txid;
    if (db->last_txid < n->st.last_txid) db->last_txid = n->st.last_txid;
    if (n->st.last_txid > atomic_load(&db->committed)) db->unseen = n->st.last_txid;
    lsm_db_raise_committed(db, n->st.last_txid);
    lsm_swap_version(db, n->st.version, n->oldest, n->manifest, &left);
    n->st.version = NULL;
  }
  if (n->mem != NULL) {
    old_wal = db->wal;
    db->wal = NULL;
    if (n->push || n->imm != NULL) {
      assert(db->imm == NULL);
      db->imm = n->push ? db->mem : n->imm;
      db->imm_runs = n->push ? db->mem_runs : n->imm_runs;
      db->imm_log = n->push ? db->log_number : n->imm_log;
      db->imm_txid = n->imm_txid;
      db->imm_has_host = true; /* who knows: a sync too many */
      db->imm_foreign = true;
      db->imm_synced = false;
      n->imm = NULL;
      n->imm_runs = NULL;
    }
    if (!n->push) {
      old_mem = db->mem;
      old_runs = db->mem_runs;
    }
    db->mem = n->mem;
    db->mem_runs = n->mem_runs;
    n->mem = NULL;
    n->mem_runs = NULL;
    db->log_number = n->number;
    db->log_end = n->end;
    db->log_salt = n->salt;
    lsm_wal_follower *last = db->followed;
    db->followed = n->followed;
    n->followed = last; /* goes with the news */
  }
  lsm_db_raise_committed(db, db->replayed);
  if (n->has_log) db->mem_has_host = true; /* and nobody here has the log role */
  lsm_cond_broadcast(&db->cv);
  lsm_mutex_unlock(&db->mu);
  lsm_mutex_unlock(&db->apply_mu);
  lsm_wal_close(old_wal);
  lsm_memtable_unref(old_mem);
  lsm_version_unref(old_runs);
  lsm_left_free(&left);
}

lsm_rc lsm_catch_up(lsm_db *db) {
  if (db->share == NULL) return LSM_OK;
  if (lsm_share_log(db->share) == atomic_load_explicit(&db->seen_log, memory_order_acquire) &&
      lsm_share_manifest(db->share) ==
          atomic_load_explicit(&db->seen_manifest, memory_order_acquire)) {
    return LSM_OK;
  }
  bool new_files = false;
  lsm_rc rc = LSM_OK;
  lsm_mutex_lock(&db->catch_mu);
  for (int tries = 0; tries < RELOADS; tries++) {
    news n;
    memset(&n, 0, sizeof(n));
    db->replayed = 0;
    lsm_hosts_go(db);
    n.log = lsm_share_log(db->share);
    n.manifest = lsm_share_manifest(db->share);
    rc = read_manifest(db, &n);
    if (rc == LSM_OK && n.log != atomic_load(&db->seen_log)) rc = read_logs(db, &n);
    if (rc == LSM_OK) {
      new_files = n.st.version != NULL;
      install(db, &n);
      atomic_store(&db->seen_log, n.log);
      if (n.manifest != 0) atomic_store(&db->seen_manifest, n.manifest);
    }
    news_fini(&n);
    if (rc != LSM_NOTFOUND) break;
  }
  lsm_mutex_unlock(&db->catch_mu);
  lsm_hosts_sweep(db);
  if (new_files) lsm_hosts_forget(db);
  lsm_db_purge(db);
  if (rc == LSM_NOTFOUND) rc = lsm_corrupt(db->dir, 0, "files that others write are missing");
  return rc;
}

/*------------------------------------------------------ the writer's lock */

/* Logs above the active one were begun by a writer that was killed before it
** could say so: nothing is in them. They go durably before the log grows, or
** they would seem to follow it from where it ended then. */
static lsm_rc find_log_above(void *arg, const char *name) {
  lsm_db *db = arg;
  uint64_t number;
  if (lsm_filename_parse(name, &number) != LSM_FILE_WAL || number <= db->log_number) return LSM_OK;
  return lsm_buf_put_u64(&db->dropped_logs, number);
}

/* The writer before us was killed at work. Whether its log, as it is now, is
** durable, a cut included, only that one knew. */
static lsm_rc settle_log(lsm_db *db) {
  keeper k = {db, NULL, true};
  lsm_keep keep = {keep_state, &k};
  lsm_buf_clear(&db->dropped_logs); /* of an attempt that failed */
  lsm_rc rc = lsm_recover_tail(db, keep);
  if (rc == LSM_OK) rc = db->env->list(db->env, db->dir, find_log_above, db);
  if (rc != LSM_OK) return rc;
  lsm_wal_close(db->wal); /* what it knows of the file may be wrong */
  db->wal = NULL;
  if (db->log_number != 0 || db->dropped_logs.size > 0) rc = lsm_log_ensure(db);
  if (rc == LSM_OK && db->wal != NULL && !lsm_wal_is_broken(db->wal)) rc = lsm_wal_sync(db->wal);
  if (rc != LSM_OK) return rc;
  lsm_publish_log(db);
  lsm_share_set_dirty(db->share, false);
  return LSM_OK;
}

/* WRITER is ours, fresh: what happened while others had it? */
static lsm_rc take_over(lsm_db *db) {
  lsm_rc rc = lsm_catch_up(db);
  if (rc == LSM_OK && lsm_share_dirty(db->share)) rc = settle_log(db);
  if (rc != LSM_OK) return rc;
  if (lsm_share_decided(db->share) != 0) db->flush_first = true;
  if (db->wal == NULL) return LSM_OK;
  lsm_wal_seek(db->wal, db->log_end);
  if (lsm_share_broken(db->share) == db->log_number) lsm_wal_break(db->wal);
  return LSM_OK;
}

/* WRITER is being taken no more. */
static void moved(lsm_db *db, int users) {
  lsm_mutex_lock(&db->mu);
  db->lock_moving = false;
  db->lock_users = users;
  lsm_cond_broadcast(&db->roles_cv);
  lsm_mutex_unlock(&db->mu);
}

void lsm_settle_dead(lsm_db *db) {
  if (db->share == NULL || db->opt.read_only || !lsm_share_dirty(db->share)) return;
  if (db->env->now_us(db->env) < atomic_load(&db->settle_after)) return;
  lsm_mutex_lock(&db->mu);
  bool alive = db->lock_moving || db->lock_users > 0; /* the writer is one of us */
  if (!alive) db->lock_moving = true;
  lsm_mutex_unlock(&db->mu);
  if (alive) return;
  if (lsm_share_try(db->share, LSM_SHARE_WRITER)) {
    if (take_over(db) != LSM_OK) {
      atomic_store(&db->settle_after, db->env->now_us(db->env) + SETTLE_PAUSE_US);
    }
    lsm_share_unlock(db->share, LSM_SHARE_WRITER);
  }
  moved(db, 0);
}

/* Waits till no other thread of ours is after the lock. */
static lsm_rc wait_moving(lsm_db *db, uint64_t wait_us, const lsm_interrupt *intr) {
  uint64_t start = 0;
  lsm_rc rc = LSM_OK;
  while (rc == LSM_OK && db->lock_moving) {
    uint64_t now = db->env->now_us(db->env);
    if (start == 0) start = now;
    if (now - start >= wait_us) return LSM_BUSY;
    lsm_cond_wait_us(&db->roles_cv, &db->mu, wait_us < MOVING_POLL_US ? wait_us : MOVING_POLL_US);
    lsm_mutex_unlock(&db->mu);
    if (lsm_interrupted(intr)) rc = lsm_fail(LSM_INTERRUPT, "interrupted");
    lsm_mutex_lock(&db->mu);
  }
  return rc;
}

/* Has nobody changed anything since we had WRITER last? REQUIRES: WRITER, mu. */
static bool is_up_to_date(lsm_db *db) {
  lsm_share *sh = db->share;
  if (lsm_share_log(sh) != atomic_load(&db->seen_log) ||
      lsm_share_manifest(sh) != atomic_load(&db->seen_manifest) || lsm_share_dirty(sh) ||
      lsm_share_decided(sh) != 0) {
    return false;
  }
  return db->wal == NULL || (lsm_wal_end(db->wal) == db->log_end &&
                             lsm_share_broken(sh) != db->log_number);
}

bool lsm_writer_join(lsm_db *db) {
  lsm_mutex_assert_held(&db->mu);
  if (db->share == NULL) return true;
  if (db->lock_moving) return false;
  if (db->lock_users == 0) {
    if (!lsm_share_take_free(db->share)) return false;
    if (!is_up_to_date(db)) {
      lsm_share_unlock(db->share, LSM_SHARE_WRITER);
      return false;
    }
  }
  db->lock_users++;
  return true;
}

void lsm_writer_leave(lsm_db *db) {
  lsm_mutex_assert_held(&db->mu);
  if (db->share == NULL || --db->lock_users > 0) return;
  lsm_share_unlock(db->share, LSM_SHARE_WRITER); /* a word in memory: no system call */
}

lsm_rc lsm_writer_enter(lsm_db *db, uint64_t wait_us, const lsm_interrupt *intr) {
  if (db->share == NULL) return LSM_OK;
  if (wait_us < PATIENCE_US) wait_us = PATIENCE_US;
  lsm_mutex_lock(&db->mu);
  lsm_rc rc = wait_moving(db, wait_us, intr);
  bool have = rc == LSM_OK && db->lock_users > 0;
  if (have) {
    db->lock_users++;
  } else if (rc == LSM_OK) {
    db->lock_moving = true;
  }
  lsm_mutex_unlock(&db->mu);
  if (rc == LSM_BUSY) return lsm_fail(LSM_BUSY, "%s: another thread waits to write", db->dir);
  if (rc != LSM_OK || have) return rc;
  rc = lsm_share_lock(db->share, LSM_SHARE_WRITER, wait_us, intr);
  if (rc == LSM_BUSY) rc = lsm_fail(LSM_BUSY, "%s: another process is writing", db->dir);
  if (rc == LSM_OK) {
    rc = take_over(db);
    if (rc != LSM_OK) lsm_share_unlock(db->share, LSM_SHARE_WRITER);
  }
  moved(db, rc == LSM_OK ? 1 : 0);
  return rc;
}

void lsm_writer_exit(lsm_db *db) {
  if (db->share == NULL) return;
  lsm_mutex_lock(&db->mu);
  lsm_writer_leave(db);
  lsm_mutex_unlock(&db->mu);
}

void lsm_announce_log(lsm_db *db) {
  if (db->share == NULL) return;
  lsm_mutex_assert_held(&db->catch_mu);
  if (db->wal != NULL) db->log_end = lsm_wal_end(db->wal);
  uint64_t pos = lsm_pos(db->log_number, db->log_end);
  lsm_share_set_log(db->share, pos);
  atomic_store(&db->seen_log, pos);
}

void lsm_publish_log(lsm_db *db) {
  if (db->share == NULL) return;
  lsm_mutex_lock(&db->catch_mu);
  lsm_announce_log(db);
  lsm_mutex_unlock(&db->catch_mu);
}

/*------------------------------------------------------------------- jobs */

lsm_rc lsm_job_lock(lsm_db *db, lsm_share_lock_id id, const lsm_interrupt *intr) {
  if (db->share == NULL) return LSM_OK;
  for (;;) {
    lsm_rc rc = lsm_share_lock(db->share, id, 0, NULL);
    if (rc == LSM_OK) {
      rc = lsm_catch_up(db);
      if (rc != LSM_OK) lsm_share_unlock(db->share, id);
    }
    if (rc != LSM_BUSY) return rc;
    lsm_mutex_lock(&db->mu);
    if (!db->closing) lsm_cond_wait_us(&db->cv, &db->mu, JOB_POLL_US);
    bool stop = db->closing;
    lsm_mutex_unlock(&db->mu);
    if (stop || lsm_interrupted(intr)) return lsm_fail(LSM_INTERRUPT, "interrupted");
  }
}

void lsm_job_unlock(lsm_db *db, lsm_share_lock_id id) {
  if (db->share != NULL) lsm_share_unlock(db->share, id);
}
