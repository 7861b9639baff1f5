/* recover.c: the logs, read back into the memtable on open.
**
** Every log from the manifest's on is replayed in the order of its number. A
** log's header says how far the one before it went. Is that one shorter, or
** missing, then a power loss took its tail, and what came later was never
** promised either: the later logs are dropped, so that the store stands at one
** instant. The first write removes them (room.c).
**
** A record that can be taken back (BATCH, FILES, PREPARE) waits for the next one.
** An ABORT drops it. BATCH and FILES count otherwise. A PREPARE belongs to a host, whose
** number T of its last transaction here decides about number x:
**   a COMMIT follows    it happened, but if T < x the host has lost it in a
**                       power loss: then it, and all after it, is dropped
**   anything else, end  it happened if T = x: else the host took it back
** With T = x in the middle of a log, or at its end, no later T will tell this:
** the log gets its COMMIT, or the memtable is flushed, before the next write.
** Writes nothing: the first write after open mends the log (room.c). */
#include "batch.h"
#include "db_int.h"
#include "wal_format.h"

typedef struct replay {
  lsm_db *db;
  lsm_memtable *mem; /* where it goes */
  lsm_version **runs; /* and files of a transaction, just below */
  bool fresh;        /* nothing was in either before */
  bool published;    /* a range that its writer has settled: ask nobody */
  lsm_keep keep;     /* asked before a host's transaction is applied */
  const char *path;
  lsm_buf pending; /* payload that waits */
  bool has_pending;
  lsm_wal_type type; /* of it */
  uint64_t txid;
  uint64_t off;
  bool stopped;      /* what follows is dropped */
  bool has_answer;   /* of the host asked last: */
  uint8_t host[LSM_HOST_SIZE];
  uint64_t host_txid;
  bool host_known;
} replay;

static bool has_host(lsm_wal_type type) {
  return type == LSM_WAL_PREPARE || type == LSM_WAL_PREPARE_FILES;
}

/* Is a value too short to begin with the time it expires at, where it should? */
static bool lacks_time(replay *r, const lsm_entry *e) {
  uint32_t keyspace;
  if (LSM_LIKELY(e->kind != LSM_KIND_PUT || e->value.size >= LSM_UNTIL_SIZE)) return false;
  (void)lsm_prefix_get(e->key, &keyspace);
  lsm_version *v = lsm_db_version(r->db);
  const lsm_tree *t = lsm_version_tree(v, keyspace);
  bool lacks = t != NULL && t->opt.expires;
  lsm_version_unref(v);
  return lacks;
}

/* Checks a batch as a whole, then writes its entries. */
static lsm_rc apply_batch(replay *r) {
  const uint8_t *begin = r->pending.data;
  const uint8_t *end = begin == NULL ? NULL : begin + r->pending.size; /* NULL: empty */
  lsm_entry e;
  if (has_host(r->type)) begin += LSM_HOST_SIZE;
  for (const uint8_t *p = begin; p < end;) {
    p = lsm_entry_parse(p, end, &e);
    if (p == NULL || lacks_time(r, &e)) return lsm_corrupt(r->path, r->off, "malformed batch");
  }
  for (const uint8_t *p = begin; p < end;) {
    p = lsm_entry_get(p, &e);
    lsm_rc rc = lsm_memtable_write(r->mem, e.kind, e.key, e.value);
    if (rc != LSM_OK) return rc;
  }
  return LSM_OK;
}

/* Files that a transaction wrote go below the memtable. Nothing of their log is
** older, and all logs before it had been flushed. */
static lsm_rc apply_files(replay *r) {
  lsm_version *runs = NULL;
  lsm_slice payload = lsm_buf_slice(&r->pending);
  if (has_host(r->type)) {
    payload = lsm_slice_of(payload.data + LSM_HOST_SIZE, payload.size - LSM_HOST_SIZE);
  }
  if (r->fresh && (*r->runs != NULL || !lsm_memtable_is_empty(r->mem))) {
    return lsm_corrupt(r->path, r->off, "files of a transaction behind other changes");
  }
  lsm_rc rc = lsm_runs_decode(r->db, payload, r->path, r->off, &runs);
  if (rc != LSM_OK) return rc;
  lsm_version_unref(*r->runs);
  *r->runs = runs;
  return LSM_OK;
}

static lsm_rc apply_payload(replay *r) {
  bool files = r->type == LSM_WAL_FILES || r->type == LSM_WAL_PREPARE_FILES;
  lsm_rc rc = files ? apply_files(r) : apply_batch(r);
  if (rc != LSM_OK) return rc;
  if (r->txid > r->db->last_txid) r->db->last_txid = r->txid;
  r->db->replayed = r->txid;
  return LSM_OK;
}

/* What waits has happened. Readers of the host's state before it may ask for ours. */
static lsm_rc apply(replay *r) {
  lsm_snapshot *before = NULL;
  if (!has_host(r->type)) return apply_payload(r);
  lsm_rc rc = lsm_host_enter(r->db, r->pending.data);
  if (rc == LSM_OK && r->keep.fn != NULL) before = r->keep.fn(r->keep.arg, r->pending.data);
  if (rc == LSM_OK) rc = apply_payload(r);
  if (rc == LSM_OK) {
    lsm_host_note(r->db, r->pending.data, r->txid, before);
  } else {
    lsm_snapshot_drop(before);
  }
  return rc;
}

/* Asks the host that the waiting PREPARE names, once. */
static lsm_rc ask_host(replay *r) {
  const lsm_options *opt = &r->db->opt;
  const uint8_t *host = r->pending.data;
  if (r->has_answer && memcmp(host, r->host, LSM_HOST_SIZE) == 0) return LSM_OK;
  memcpy(r->host, host, LSM_HOST_SIZE);
  r->host_known = false;
  r->has_answer = true;
  if (opt->host_txid == NULL) return LSM_OK;
  return opt->host_txid(opt->host_arg, r->host, &r->host_txid, &r->host_known);
}

/* The waiting PREPARE needs an answer that nobody here can give. */
static lsm_rc nobody_to_ask(const replay *r) {
  const lsm_options *opt = &r->db->opt;
  char name[512] = "";
  if (opt->host_name != NULL) opt->host_name(opt->host_arg, r->host, name, sizeof(name));
  return lsm_fail(LSM_CANTOPEN,
                  "%s: transaction %llu was cut off and is undecided; open the database it"
                  " belongs to first%s%s", r->path, (unsigned long long)r->txid,
                  name[0] != 0 ? ": " : "", name);
}

/* The waiting PREPARE has no COMMIT after it. */
static lsm_rc settle_undecided(replay *r, bool last) {
  lsm_db *db = r->db;
  if (r->published) { /* its writer took it back, or could not log the decision */
    return lsm_share_decided(db->share) == r->txid ? apply(r) : LSM_OK;
  }
  lsm_rc rc = ask_host(r);
  if (rc != LSM_OK) return rc;
  if (!r->host_known && db->opt.host_txid != NULL) return nobody_to_ask(r);
  if (!r->host_known || r->host_txid != r->txid) return LSM_OK;
  if (last) {
    db->log_commit = r->txid;
  } else {
    db->flush_first = true;
  }
  db->mem_has_host = true;
  return apply(r);
}

/* The waiting PREPARE has its COMMIT: did the host keep it? */
static lsm_rc settle_committed(replay *r) {
  lsm_rc rc = r->published ? LSM_OK : ask_host(r);
  if (rc != LSM_OK) return rc;
  if (!r->published && r->host_known && r->host_txid < r->txid) {
    r->stopped = true;
    return LSM_OK;
  }
  r->db->mem_has_host = true;
  return apply(r);
}

/* What waits is not taken back, nor committed by a record of its own. */
static lsm_rc settle(replay *r, bool last) {
  if (!r->has_pending) return LSM_OK;
  r->has_pending = false;
  if (r->txid > r->db->last_txid) r->db->last_txid = r->txid;
  return has_host(r->type) ? settle_undecided(r, last) : apply(r);
}

/* A COMMIT or ABORT must follow what it speaks of. */
static lsm_rc take_pending(replay *r, const lsm_wal_record *rec) {
  if (!r->has_pending || r->txid != rec->txid) {
    return lsm_corrupt(r->path, rec->off, "decision about no transaction");
  }
  r->has_pending = false;
  if (r->txid > r->db->last_txid) r->db->last_txid = r->txid;
  return LSM_OK;
}

static lsm_rc replay_record(void *arg, const lsm_wal_record *rec) {
  replay *r = arg;
  lsm_rc rc = LSM_OK;
  if (r->stopped) { /* its number is not given out again: a host may have kept it */
    if (rec->txid > r->db->last_txid) r->db->last_txid = rec->txid;
    return LSM_OK;
  }
  switch (rec->type) {
    case LSM_WAL_BATCH:
    case LSM_WAL_PREPARE:
    case LSM_WAL_FILES:
    case LSM_WAL_PREPARE_FILES:
      rc = settle(r, false);
      if (rc == LSM_OK && has_host(rec->type) && rec->payload.size < LSM_HOST_SIZE) {
        rc = lsm_corrupt(r->path, rec->off, "record without its host");
      }
      if (rc == LSM_OK) rc = lsm_buf_set(&r->pending, rec->payload);
      if (rc != LSM_OK) return rc;
      r->has_pending = true;
      r->type = rec->type;
      r->txid = rec->txid;
      r->off = rec->off;
      return LSM_OK;
    case LSM_WAL_ABORT: return take_pending(r, rec);
    case LSM_WAL_COMMIT:
      rc = take_pending(r, rec);
      return rc == LSM_OK ? settle_committed(r) : rc;
    case LSM_WAL_CLOSE: return settle(r, false);
  }
  return lsm_corrupt(r->path, rec->off, "unknown record");
}

/* Numbers of the logs that count, in order; the others are removed. */
static lsm_rc select_logs(lsm_db *db, uint64_t first, lsm_buf *logs) {
  lsm_rc rc = LSM_OK;
  for (size_t i = 0; i < db->old_logs.size && rc == LSM_OK; i += 8) {
    uint64_t number = lsm_get_u64(db->old_logs.data + i);
    if (number >= first) {
      rc = lsm_buf_put_u64(logs, number);
    } else if (!db->opt.read_only) {
      rc = lsm_db_settle(db);
      if (rc == LSM_OK) (void)lsm_remove_file(db, LSM_FILE_WAL, number); /* else next time */
    }
  }
  lsm_buf_clear(&db->old_logs);
  return rc;
}

/* The header of a log: a replay that ends before the first record. */
static lsm_rc read_header(lsm_db *db, uint64_t number, lsm_wal_info *info) {
  char *path = lsm_filename_new(db->dir, LSM_FILE_WAL, number);
  if (path == NULL) return lsm_nomem();
  lsm_rc rc = lsm_wal_replay(db->env, path, db->store_id, number, 1, NULL, NULL, info);
  lsm_free(path);
  return rc;
}

static lsm_rc replay_log(lsm_db *db, replay *r, uint64_t number, uint64_t limit,
                         lsm_wal_info *info) {
  char *path = lsm_filename_new(db->dir, LSM_FILE_WAL, number);
  if (path == NULL) return lsm_nomem();
  r->path = path;
  lsm_rc rc = lsm_wal_replay(db->env, path, db->store_id, number, limit, replay_record, r, info);
  r->path = NULL;
  lsm_free(path);
  return rc;
}

/* The next log from logs[*i] on that has a header: its number and header. The
** others never reached the disk, nor did any commit in them: they are dropped.
** *number 0: there is none. */
static lsm_rc next_log(lsm_db *db, const lsm_buf *logs, size_t *i, uint64_t *number,
                       lsm_wal_info *info) {
  for (*number = 0; *i < logs->size; *i += 8) {
    uint64_t n = lsm_get_u64(logs->data + *i);
    lsm_rc rc = read_header(db, n, info);
    if (rc == LSM_OK && info->empty) rc = lsm_buf_put_u64(&db->dropped_logs, n);
    if (rc != LSM_OK) return rc;
    if (info->empty) continue;
    *number = n;
    *i += 8;
    return LSM_OK;
  }
  return LSM_OK;
}

/* Does the log with header NEXT go on where the last one replayed ended? Yes if
** the one before it was flushed (its removal was lost), or had no records. */
static bool follows(const lsm_db *db, uint64_t first, const lsm_wal_info *next) {
  if (next->prev.number < first) return true;
  if (next->prev.number == db->log_number) return db->log_end >= next->prev.end;
  return next->prev.end <= LSM_WAL_HEADER_SIZE;
}

/* Log NUMBER (0: none) and those from logs[i] on do not count. */
static lsm_rc drop_from(lsm_db *db, uint64_t number, const lsm_buf *logs, size_t i) {
  lsm_rc rc = number == 0 ? LSM_OK : lsm_buf_put_u64(&db->dropped_logs, number);
  for (; rc == LSM_OK && i < logs->size; i += 8) {
    rc = lsm_buf_put_u64(&db->dropped_logs, lsm_get_u64(logs->data + i));
  }
  return rc;
}

static lsm_rc replay_logs(lsm_db *db, replay *r, uint64_t first, const lsm_buf *logs) {
  lsm_wal_info info, next;
  uint64_t number = 0, after = 0;
  size_t i = 0;
  lsm_rc rc = next_log(db, logs, &i, &number, &next);
  while (rc == LSM_OK && number != 0) {
    if (!follows(db, first, &next)) return drop_from(db, number, logs, i);
    rc = next_log(db, logs, &i, &after, &next);
    if (rc != LSM_OK) return rc;
    uint64_t limit = after != 0 && next.prev.number == number ? next.prev.end : 0;
    rc = replay_log(db, r, number, limit, &info);
    if (rc == LSM_OK) rc = lsm_buf_put_u64(&db->old_logs, number);
    db->log_number = number;
    db->log_salt = info.salt;
    db->log_end = r->stopped ? r->off : info.end;
    number = after;
    if (r->stopped && rc == LSM_OK) return drop_from(db, number, logs, i);
  }
  return rc;
}

lsm_rc lsm_recover(lsm_db *db, uint64_t manifest_log) {
  lsm_buf logs = {0};
  replay r = {0};
  r.db = db;
  r.mem = db->mem;
  r.runs = &db->mem_runs;
  r.fresh = true;
  lsm_rc rc = select_logs(db, manifest_log, &logs);
  if (rc == LSM_OK) rc = replay_logs(db, &r, manifest_log, &logs);
  if (rc == LSM_OK) {
    /* The message of a malformed batch needs a name even now. */
    r.path = db->dir;
    rc = settle(&r, true);
  }
  if (rc == LSM_OK) db->committed = db->unseen = db->last_txid; /* all of them are decided */
  /* Who knows what its writer had synced. */
  if (db->mem_has_host) db->owed = LSM_OWED_COMMIT | LSM_OWED_HOST;
  /* The last one goes on as the active log; the others are in mem with it. */
  if (rc == LSM_OK && db->old_logs.size >= 8) db->old_logs.size -= 8;
  lsm_buf_fini(&r.pending);
  lsm_buf_fini(&logs);
  return rc;
}

/*------------------------------------------------------- other processes */

lsm_rc lsm_replay_range(lsm_db *db, lsm_memtable *mem, lsm_version **runs, lsm_wal_follower *log,
                        uint64_t from, uint64_t to, lsm_keep keep) {
  replay r = {0};
  lsm_wal_info info;
  r.db = db;
  r.mem = mem;
  r.runs = runs;
  r.keep = keep;
  r.published = true;
  r.path = lsm_wal_followed_path(log);
  lsm_rc rc = lsm_wal_read_on(log, from, to, replay_record, &r, &info);
  if (rc == LSM_OK) rc = settle(&r, true);
  if (rc == LSM_OK && info.end < to) rc = lsm_corrupt(r.path, info.end, "damaged record");
  lsm_buf_fini(&r.pending);
  return rc;
}

lsm_rc lsm_recover_tail(lsm_db *db, lsm_keep keep) {
  replay r = {0};
  lsm_wal_info info = {0};
  r.db = db;
  r.keep = keep;
  r.mem = db->mem;
  r.runs = &db->mem_runs;
  if (db->log_number == 0) return LSM_OK;
  char *path = lsm_filename_new(db->dir, LSM_FILE_WAL, db->log_number);
  if (path == NULL) return lsm_nomem();
  r.path = path;
  lsm_snapshot_forget(db);
  lsm_mutex_lock(&db->apply_mu);
  lsm_mutex_lock(&db->mu);
  lsm_snapshot *outdated = lsm_snapshot_outdate(db);
  lsm_mutex_unlock(&db->mu);
  lsm_rc rc = lsm_wal_replay_from(db->env, path, db->store_id, db->log_number, db->log_end, 0,
                                  replay_record, &r, &info);
  if (rc == LSM_OK) rc = settle(&r, true);
  if (rc == LSM_OK) lsm_db_raise_committed(db, db->last_txid);
  lsm_mutex_unlock(&db->apply_mu);
  lsm_snapshot_drop(outdated);
  if (rc == LSM_OK) db->log_end = info.end;
  lsm_buf_fini(&r.pending);
  lsm_free(path);
  return rc;
}
