/* recover.c: the logs, read back into the memtable on open.
**
** Every log from the manifest's on is replayed in the order of its number. A
** log's header says how far the one before it went. Is that one shorter, or
** missing, then a power loss took its tail, and what came later was never
** promised either: the later logs are dropped, so that the store stands at one
** instant. The first write removes them (room.c).
**
** A record that can be taken back (BATCH, PREPARE) waits for the next one: an
** ABORT drops it, anything else lets it be. A PREPARE at the very end is for
** the host to decide (opt->resolve).
** Writes nothing: the first write after open mends the log (room.c). */
#include "batch.h"
#include "db_int.h"
#include "wal_format.h"

typedef struct replay {
  lsm_db *db;
  const char *path;
  lsm_buf pending; /* payload that waits */
  bool has_pending;
  lsm_wal_type type; /* of it */
  uint64_t txid;
  uint64_t off;
} replay;

/* Checks a batch as a whole, then writes its entries. */
static lsm_rc apply_batch(replay *r) {
  const uint8_t *end = r->pending.data + r->pending.size;
  lsm_entry e;
  for (const uint8_t *p = r->pending.data; p < end;) {
    p = lsm_entry_parse(p, end, &e);
    if (p == NULL) return lsm_corrupt(r->path, r->off, "malformed batch");
  }
  for (const uint8_t *p = r->pending.data; p < end;) {
    p = lsm_entry_get(p, &e);
    lsm_rc rc = lsm_memtable_write(r->db->mem, e.kind, e.key, e.value);
    if (rc != LSM_OK) return rc;
  }
  if (r->txid > r->db->last_txid) r->db->last_txid = r->txid;
  return LSM_OK;
}

static lsm_rc settle(replay *r) {
  if (!r->has_pending) return LSM_OK;
  r->has_pending = false;
  return apply_batch(r);
}

static lsm_rc replay_record(void *arg, const lsm_wal_record *rec) {
  replay *r = arg;
  lsm_rc rc = LSM_OK;
  switch (rec->type) {
    case LSM_WAL_BATCH:
    case LSM_WAL_PREPARE:
      rc = settle(r);
      if (rc == LSM_OK) rc = lsm_buf_set(&r->pending, rec->payload);
      if (rc != LSM_OK) return rc;
      r->has_pending = true;
      r->type = rec->type;
      r->txid = rec->txid;
      r->off = rec->off;
      return LSM_OK;
    case LSM_WAL_ABORT:
      if (!r->has_pending || r->txid != rec->txid) {
        return lsm_corrupt(r->path, rec->off, "ABORT of no transaction");
      }
      r->has_pending = false;
      if (r->txid > r->db->last_txid) r->db->last_txid = r->txid;
      return LSM_OK;
    case LSM_WAL_COMMIT:
      if (!r->has_pending || r->txid != rec->txid) {
        return lsm_corrupt(r->path, rec->off, "COMMIT of no transaction");
      }
      return settle(r);
    case LSM_WAL_CLOSE: return settle(r);
  }
  return lsm_corrupt(r->path, rec->off, "unknown record");
}

/* What is left waiting at the end of the last log. */
static lsm_rc settle_last(replay *r) {
  if (!r->has_pending) return LSM_OK;
  if (r->type == LSM_WAL_BATCH) return settle(r);
  lsm_db *db = r->db;
  bool committed = false;
  if (db->opt.resolve != NULL) {
    lsm_rc rc = db->opt.resolve(db->opt.resolve_arg, r->txid, &committed);
    if (rc != LSM_OK) return rc;
  }
  db->log_undecided = true; /* the log learns of it with the next write */
  db->log_decision = committed;
  db->log_undecided_txid = r->txid;
  if (r->txid > db->last_txid) db->last_txid = r->txid;
  if (committed) return settle(r);
  r->has_pending = false;
  return LSM_OK;
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

static lsm_rc replay_logs(lsm_db *db, replay *r, uint64_t first, const lsm_buf *logs) {
  lsm_wal_info info, next;
  uint64_t number = 0, after = 0;
  size_t i = 0;
  lsm_rc rc = next_log(db, logs, &i, &number, &next);
  while (rc == LSM_OK && number != 0) {
    if (!follows(db, first, &next)) {
      rc = lsm_buf_put_u64(&db->dropped_logs, number);
      for (; rc == LSM_OK && i < logs->size; i += 8) {
        rc = lsm_buf_put_u64(&db->dropped_logs, lsm_get_u64(logs->data + i));
      }
      return rc;
    }
    rc = next_log(db, logs, &i, &after, &next);
    if (rc != LSM_OK) return rc;
    uint64_t limit = after != 0 && next.prev.number == number ? next.prev.end : 0;
    rc = replay_log(db, r, number, limit, &info);
    if (rc == LSM_OK) rc = lsm_buf_put_u64(&db->old_logs, number);
    db->log_number = number;
    db->log_salt = info.salt;
    db->log_end = info.end;
    number = after;
  }
  return rc;
}

lsm_rc lsm_recover(lsm_db *db, uint64_t manifest_log) {
  lsm_buf logs = {0};
  replay r = {0};
  r.db = db;
  lsm_rc rc = select_logs(db, manifest_log, &logs);
  if (rc == LSM_OK) rc = replay_logs(db, &r, manifest_log, &logs);
  if (rc == LSM_OK) {
    /* The message of a malformed batch needs a name even now. */
    r.path = db->dir;
    rc = settle_last(&r);
  }
  /* The last one goes on as the active log; the others are in mem with it. */
  if (rc == LSM_OK && db->old_logs.size >= 8) db->old_logs.size -= 8;
  lsm_buf_fini(&r.pending);
  lsm_buf_fini(&logs);
  return rc;
}
