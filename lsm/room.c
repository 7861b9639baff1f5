/* room.c: making room for a write: the log role, rotation of log and memtable,
** slowing writers down (pace.c), stalling them: at LSM_L0_STOP runs in level 0, or
** with both memtables full, commits wait. */
#include "db_int.h"

#define WAIT_US 20000u             /* between looks at the interrupt function */
#define LOG_ROLE_WAIT_US 10000000u /* for the log role, before LSM_BUSY */

lsm_rc lsm_log_acquire(lsm_db *db, const lsm_interrupt *intr) {
  uint64_t deadline = 0;
  lsm_rc rc = db->share != NULL ? lsm_share_check(db->share) : LSM_OK;
  if (rc != LSM_OK) return rc;
  lsm_mutex_lock(&db->mu);
  bool have = !db->log_held && lsm_writer_join(db);
  if (have) db->log_held = true;
  lsm_mutex_unlock(&db->mu);
  if (have) {
    if (db->share != NULL) lsm_share_set_dirty(db->share, true);
    return LSM_OK;
  }
  rc = lsm_writer_enter(db, LOG_ROLE_WAIT_US, intr);
  if (rc != LSM_OK) return rc;
  lsm_mutex_lock(&db->mu);
  while (db->log_held) {
    uint64_t now = db->env->now_us(db->env);
    if (deadline == 0) deadline = now + LOG_ROLE_WAIT_US;
    if (now >= deadline) {
      rc = lsm_fail(LSM_BUSY, "%s: another transaction is being committed", db->dir);
      break;
    }
    lsm_cond_wait_us(&db->roles_cv, &db->mu, WAIT_US);
    lsm_mutex_unlock(&db->mu);
    bool stop = lsm_interrupted(intr);
    lsm_mutex_lock(&db->mu);
    if (stop) {
      rc = lsm_fail(LSM_INTERRUPT, "interrupted");
      break;
    }
  }
  if (rc == LSM_OK) db->log_held = true;
  lsm_mutex_unlock(&db->mu);
  if (rc != LSM_OK) {
    lsm_writer_exit(db);
  } else if (db->share != NULL) {
    lsm_share_set_dirty(db->share, true);
  }
  return rc;
}

void lsm_log_release(lsm_db *db) {
  if (db->share != NULL && db->wal != NULL) {
    (void)lsm_wal_sync_cut(db->wal); /* else it is broken */
    if (lsm_wal_is_broken(db->wal)) lsm_share_set_broken(db->share, db->log_number);
  }
  lsm_publish_log(db);
  if (db->share != NULL) lsm_share_set_dirty(db->share, false);
  lsm_mutex_lock(&db->mu);
  db->log_held = false;
  lsm_writer_leave(db);
  lsm_cond_broadcast(&db->roles_cv);
  lsm_mutex_unlock(&db->mu);
}

/*---------------------------------------------------------------- the log */

/* Makes older logs, whose content is in the active memtable, durable. They
** come from a process that crashed; what it had synced is not known. */
static lsm_rc sync_old_logs(lsm_db *db) {
  lsm_rc rc = LSM_OK;
  for (size_t i = 0; i < db->old_logs.size && rc == LSM_OK; i += 8) {
    lsm_file *f = NULL;
    lsm_buf path = {0};
    rc = lsm_filename(&path, db->dir, LSM_FILE_WAL, lsm_get_u64(db->old_logs.data + i));
    if (rc == LSM_OK) rc = db->env->open(db->env, (const char *)path.data, LSM_OPEN_WRITE, &f);
    if (rc == LSM_OK) rc = lsm_file_sync(f);
    lsm_file_close(f);
    lsm_buf_fini(&path);
  }
  return rc;
}

/* Logs that recovery dropped must be gone, durably, before the log they once
** followed grows again: else they would seem to follow it. */
static lsm_rc remove_dropped_logs(lsm_db *db) {
  if (db->dropped_logs.size == 0) return LSM_OK;
  for (size_t i = 0; i < db->dropped_logs.size; i += 8) {
    lsm_rc rc = lsm_remove_file(db, LSM_FILE_WAL, lsm_get_u64(db->dropped_logs.data + i));
    if (rc != LSM_OK && rc != LSM_NOTFOUND) return rc;
  }
  lsm_rc rc = db->env->sync_dir(db->env, db->dir);
  if (rc == LSM_OK) lsm_buf_clear(&db->dropped_logs);
  return rc;
}

/* A new log file, empty. *wal NULL on failure. */
static lsm_rc new_log(lsm_db *db, lsm_wal_prev prev, uint64_t *number, uint32_t *log_salt,
                      lsm_wal **wal) {
  uint32_t salt = 0;
  *wal = NULL;
  *number = lsm_db_new_number(db);
  lsm_rc rc = db->env->random(db->env, &salt, sizeof(salt));
  if (rc != LSM_OK) return rc;
  char *path = lsm_filename_new(db->dir, LSM_FILE_WAL, *number);
  if (path == NULL) return lsm_nomem();
  rc = lsm_wal_create(db->env, path, db->store_id, *number, salt, prev, wal);
  lsm_free(path);
  *log_salt = salt;
  if (rc == LSM_OK) LSM_COUNT(db, wal_bytes, lsm_wal_end(*wal));
  return rc;
}

void lsm_decision_unlogged(lsm_db *db, uint64_t txid) {
  db->flush_first = true;
  if (db->share != NULL) lsm_share_set_decided(db->share, txid);
}

static uint64_t all_owed(const lsm_db *db) {
  return db->owed | (db->share != NULL ? lsm_share_owed(db->share) : 0);
}

bool lsm_owed(const lsm_db *db, uint64_t what) { return (all_owed(db) & what) != 0; }

void lsm_set_owed(lsm_db *db, uint64_t what, bool owed) {
  db->owed = owed ? all_owed(db) | what : all_owed(db) & ~what;
  if (db->share != NULL && lsm_share_owed(db->share) != db->owed) {
    lsm_share_set_owed(db->share, db->owed);
  }
}

lsm_rc lsm_settle_host(lsm_db *db) {
  if (db->opt.host_sync == NULL || !lsm_owed(db, LSM_OWED_HOST)) return LSM_OK;
  lsm_rc rc = db->opt.host_sync(db->opt.host_arg);
  if (rc == LSM_OK) lsm_set_owed(db, LSM_OWED_HOST, false);
  return rc;
}

/* Files that wait to be packed since before this process wrote: now it is awake. */
static void kick_rest(lsm_db *db) {
  lsm_plan plan;
  lsm_stuck none = {0};
  bool found = false;
  if (lsm_compact_pick_rest(db, &none, false, &found, &plan) == LSM_OK && found) {
    lsm_plan_fini(&plan);
    (void)lsm_sched_kick(db); /* else with the first flush */
  }
}

/* The store's first log is in use. The other processes must know before there is a record
** in it: of a log that nobody has told of they believe that it is empty. */
static void begin_log(lsm_db *db, uint64_t number, const lsm_wal *wal) {
  lsm_mutex_lock(&db->catch_mu);
  db->log_number = number;
  db->log_end = lsm_wal_end(wal);
  lsm_announce_log(db);
  lsm_mutex_unlock(&db->catch_mu);
}

lsm_rc lsm_log_ensure(lsm_db *db) {
  if (db->wal != NULL) return LSM_OK;
  lsm_wal *wal = NULL;
  lsm_rc rc = lsm_db_settle(db);
  if (rc == LSM_OK) rc = sync_old_logs(db);
  if (rc == LSM_OK) rc = remove_dropped_logs(db);
  if (rc != LSM_OK) return rc;
  if (db->log_number == 0) {
    lsm_wal_prev none = {0, 0};
    uint64_t number;
    rc = new_log(db, none, &number, &db->log_salt, &wal);
    if (rc == LSM_OK) begin_log(db, number, wal);
  } else {
    char *path = lsm_filename_new(db->dir, LSM_FILE_WAL, db->log_number);
    if (path == NULL) return lsm_nomem();
    rc = lsm_wal_reopen(db->env, path, db->log_number, db->log_salt, db->log_end, &wal);
    lsm_free(path);
  }
  if (rc == LSM_OK && db->share != NULL && lsm_share_broken(db->share) == db->log_number) {
    lsm_wal_break(wal);
    if (db->log_commit != 0) lsm_decision_unlogged(db, db->log_commit);
    db->log_commit = 0;
  }
  if (rc == LSM_OK && db->log_commit != 0) {
    rc = lsm_wal_append(wal, LSM_WAL_COMMIT, db->log_commit, NULL, 0);
    if (rc == LSM_OK) db->log_commit = 0;
  }
  if (rc != LSM_OK) {
    lsm_wal_close(wal);
    return rc;
  }
  db->wal = wal;
  kick_rest(db);
  return LSM_OK;
}

/* The immutable memtable's log was another process': what of it is durable only
** that one knows. When it is gone the table is there instead. */
static lsm_rc sync_foreign_log(lsm_db *db) {
  lsm_file *f = NULL;
  lsm_buf path = {0};
  lsm_mutex_lock(&db->mu);
  bool need = db->imm != NULL && db->imm_foreign && !db->imm_synced;
  uint64_t number = db->imm_log;
  lsm_mutex_unlock(&db->mu);
  if (!need) return LSM_OK;
  if (lsm_share_broken(db->share) == number) return lsm_wait_flushed(db, NULL);
  lsm_rc rc = lsm_filename(&path, db->dir, LSM_FILE_WAL, number);
  if (rc == LSM_OK) rc = db->env->open(db->env, (const char *)path.data, LSM_OPEN_WRITE, &f);
  if (rc == LSM_OK) rc = lsm_file_sync(f);
  lsm_file_close(f);
  lsm_buf_fini(&path);
  if (rc == LSM_NOTFOUND) rc = LSM_OK;
  lsm_mutex_lock(&db->mu);
  if (rc == LSM_OK && db->imm_log == number) db->imm_synced = true;
  lsm_mutex_unlock(&db->mu);
  return rc;
}

lsm_rc lsm_log_sync(lsm_db *db) {
  lsm_rc rc = sync_foreign_log(db);
  if (rc != LSM_OK) return rc;
  lsm_mutex_lock(&db->mu);
  lsm_wal *older = db->imm != NULL ? db->imm_wal : NULL; /* NULL: foreign */
  bool need = older != NULL && (lsm_wal_is_broken(older) ||
                                lsm_wal_synced(older) < lsm_wal_end(older));
  if (need) db->imm_wal_pins++;
  lsm_mutex_unlock(&db->mu);
  if (need) {
    rc = lsm_wal_is_broken(older) ? LSM_IOERR : lsm_wal_sync(older);
    LSM_COUNT(db, syncs, 1);
    lsm_mutex_lock(&db->mu);
    db->imm_wal_pins--;
    lsm_cond_broadcast(&db->cv);
    lsm_mutex_unlock(&db->mu);
    /* What the log cannot promise any more, the flushed table can. */
    if (rc != LSM_OK) rc = lsm_wait_flushed(db, NULL);
  }
  if (rc == LSM_OK && db->wal != NULL) {
    rc = lsm_wal_sync(db->wal);
    LSM_COUNT(db, syncs, 1);
  }
  if (rc == LSM_OK) lsm_set_owed(db, LSM_OWED_COMMIT, false);
  return rc;
}

/*--------------------------------------------------------------- rotation */

/* A background failure, as this thread's own. REQUIRES: mu. */
static lsm_rc job_error(const lsm_job_error *e) {
  return e->rc == LSM_OK ? LSM_OK : lsm_fail(e->rc, "%s", e->msg);
}

lsm_rc lsm_wait_flushed(lsm_db *db, const lsm_interrupt *intr) {
  lsm_rc rc = LSM_OK;
  lsm_mutex_lock(&db->mu);
  bool idle = db->imm == NULL;
  /* An old failure counts only if it happens again: its cause may be gone. */
  uint64_t from = db->flush_begun, log = db->imm_log;
  db->flush_asked = !idle;
  lsm_mutex_unlock(&db->mu);
  if (idle) return LSM_OK;
  rc = lsm_sched_kick(db);
  lsm_mutex_lock(&db->mu);
  while (db->imm != NULL && db->imm_log == log && rc == LSM_OK) {
    if (db->flush_ended > from) rc = job_error(&db->flush_error);
    if (rc == LSM_OK && !db->threads_started) {
      rc = lsm_fail(LSM_IOERR, "%s: the memtable could not be flushed", db->dir);
    }
    if (rc != LSM_OK) break;
    lsm_cond_wait_us(&db->cv, &db->mu, WAIT_US);
    lsm_mutex_unlock(&db->mu);
    rc = lsm_interrupted(intr) ? lsm_fail(LSM_INTERRUPT, "interrupted") : lsm_catch_up(db);
    lsm_mutex_lock(&db->mu);
  }
  lsm_mutex_unlock(&db->mu);
  return rc;
}

lsm_rc lsm_rotate(lsm_db *db, const lsm_interrupt *intr) {
  lsm_memtable *mem = NULL;
  lsm_wal *wal = NULL;
  uint64_t number = 0;
  uint32_t salt = 0;
  lsm_rc rc = lsm_wait_flushed(db, intr);
  if (rc != LSM_OK) return rc;
  lsm_wal_prev prev = {db->log_number, lsm_wal_end(db->wal)};
  lsm_wal_trim(db->wal);
  rc = lsm_memtable_new(&mem);
  if (rc == LSM_OK) lsm_memtable_expect(mem, lsm_memtable_entries(db->mem));
  if (rc == LSM_OK) rc = new_log(db, prev, &number, &salt, &wal);
  if (rc != LSM_OK) {
    lsm_memtable_unref(mem);
    return rc;
  }
  lsm_mutex_lock(&db->catch_mu);
  lsm_mutex_lock(&db->apply_mu);
  lsm_mutex_lock(&db->mu);
  lsm_snapshot *outdated = lsm_snapshot_outdate(db);
  db->imm = db->mem;
  db->imm_runs = db->mem_runs;
  db->mem_runs = NULL;
  db->imm_wal = db->wal;
  db->imm_log = db->log_number;
  db->imm_txid = db->last_txid;
  db->imm_old_logs = db->old_logs; /* empty till now: the last flush took them */
  memset(&db->old_logs, 0, sizeof(db->old_logs));
  db->imm_has_host = db->mem_has_host;
  db->mem_has_host = false;
  db->mem = mem;
  db->wal = wal;
  db->log_number = number;
  db->log_salt = salt;
  db->log_end = lsm_wal_end(wal);
  db->imm_foreign = false;
  lsm_wal_follower *followed = db->followed;
  db->followed = NULL;
  lsm_announce_log(db); /* before the flusher can have it flushed, and announce that */
  lsm_mutex_unlock(&db->mu);
  lsm_mutex_unlock(&db->apply_mu);
  lsm_mutex_unlock(&db->catch_mu);
  lsm_wal_unfollow(followed);
  lsm_snapshot_drop(outdated);
  return lsm_sched_kick(db);
}

/*----------------------------------------------------- slow-down and stall */

/* A tiered keyspace is measured against what its policy keeps. */
int lsm_l0_pressure(const lsm_db *db, const lsm_version *v) {
  int most = 0;
  for (size_t t = 0; t < v->count; t++) {
    const lsm_tree *tree = v->trees[t];
    int runs = 0;
    for (size_t i = 0; i < tree->levels[0].count; i += lsm_run_length(&tree->levels[0], i)) runs++;
    if (tree->opt.compaction == LSM_TIERED) runs -= db->picker.max_runs - db->picker.l0_trigger;
    if (runs > most) most = runs;
  }
  return most;
}

/* Waits while level 0 is over its limit. */
static lsm_rc stall(lsm_db *db, const lsm_interrupt *intr) {
  lsm_rc rc = LSM_OK;
  uint64_t start = db->env->now_us(db->env);
  lsm_mutex_lock(&db->mu);
  uint64_t from = db->compact_begun;
  while (rc == LSM_OK && db->l0_pressure >= LSM_L0_STOP) {
    rc = lsm_compact_failed(db, from);
    if (rc != LSM_OK) break;
    lsm_cond_wait_us(&db->cv, &db->mu, WAIT_US);
    lsm_mutex_unlock(&db->mu);
    rc = lsm_interrupted(intr) ? lsm_fail(LSM_INTERRUPT, "interrupted") : lsm_catch_up(db);
    lsm_mutex_lock(&db->mu);
  }
  lsm_mutex_unlock(&db->mu);
  LSM_COUNT(db, stalls, 1);
  LSM_COUNT(db, stall_us, db->env->now_us(db->env) - start);
  return rc;
}

lsm_rc lsm_make_room(lsm_db *db, size_t bytes, const lsm_interrupt *intr) {
  lsm_rc rc = lsm_log_ensure(db);
  if (rc != LSM_OK) return rc;
  lsm_mutex_lock(&db->mu);
  int runs = db->l0_pressure;
  bool waiting = db->imm != NULL;
  bool started = db->threads_started;
  lsm_mutex_unlock(&db->mu);
  /* Level 0 may be full since before this process. */
  if (runs >= LSM_L0_SLOW && !started) {
    rc = lsm_sched_kick(db);
    if (rc != LSM_OK) return rc;
  }
  if (runs >= LSM_L0_STOP) {
    rc = stall(db, intr);
    if (rc != LSM_OK) return rc;
  } else {
    lsm_pace(db, bytes, runs);
  }
  lsm_lend_cache(db);
  bool full = db->mem_runs != NULL ||
              (!lsm_memtable_is_empty(db->mem) &&
               lsm_memtable_used(db->mem) + bytes > lsm_memtable_limit(db));
  if (!full && !db->flush_first && !lsm_wal_is_broken(db->wal)) return LSM_OK;
  uint64_t start = db->env->now_us(db->env);
  rc = lsm_rotate(db, intr);
  if (rc == LSM_OK && db->flush_first) {
    rc = lsm_wait_flushed(db, intr);
    if (rc == LSM_OK) db->flush_first = false;
    if (rc == LSM_OK && db->share != NULL) lsm_share_set_decided(db->share, 0);
  }
  if (waiting) {
    LSM_COUNT(db, stalls, 1);
    LSM_COUNT(db, stall_us, db->env->now_us(db->env) - start);
  }
  return rc;
}
