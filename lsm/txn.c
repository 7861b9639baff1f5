/* txn.c: the write transaction, from begin to the memtable.
**
** Its changes live in a private memtable, the overlay, whose arena is the
** batch the log gets. Savepoints are marks in it. prepare() does all that can
** fail, in this order: the log role, room, memory, log record, sync; commit()
** then merges the overlay into the active memtable, in order.
**
**            put, delete, ...                 put, delete (ABORT goes to the log)
**             +----+                        +---------------------+
**             v    |       prepare          v                     |
**   begin -> OPEN -+--------------------> OPEN <----------- PREPARED -> commit
**             +-> rollback                                        +---> rollback
**
** Threads: one at a time; the writer role makes it the only one of the store. */
#include "batch.h"
#include "db_int.h"

#define BEGIN_WAIT_US 5000u /* between looks at the interrupt function */

typedef struct savepoint {
  int n;
  lsm_memmark mark;
  uint64_t user_bytes;
} savepoint;

struct lsm_txn {
  lsm_db *db;
  lsm_memtable *overlay;
  lsm_snapshot *base; /* the store when it began; nobody else commits meanwhile */
  savepoint *marks;
  size_t nmarks, marks_cap;
  lsm_buf key, bound; /* scratch for internal keys */
  lsm_buf scratch;    /* batch made anew */
  uint64_t user_bytes;
  uint64_t txid; /* once it has been in the log */
  bool prepared; /* the log role is ours */
  bool logged;   /* and the log's last record is this transaction */
  bool has_host; /* prepared for this host */
  uint8_t host[LSM_HOST_SIZE];
  bool keep_base; /* after commit, for readers of an older state of the host */
  bool abort_unsynced; /* an ABORT was to be durable, and may not be */
  lsm_sync sync;
};

/*---------------------------------------------------------- begin and end */

static void give_role_back(lsm_db *db) {
  lsm_mutex_lock(&db->mu);
  db->writer_held = false;
  lsm_cond_broadcast(&db->cv);
  lsm_mutex_unlock(&db->mu);
}

static lsm_rc take_writer_role(lsm_db *db, int64_t busy_ms, const lsm_interrupt *intr) {
  lsm_rc rc = LSM_OK;
  uint64_t start = 0;
  lsm_mutex_lock(&db->mu);
  while (db->writer_held) {
    uint64_t now = db->env->now_us(db->env);
    if (start == 0) start = now;
    if (busy_ms <= 0 || now - start >= (uint64_t)busy_ms * 1000) {
      rc = lsm_fail(LSM_BUSY, "%s: another transaction is writing", db->dir);
      break;
    }
    lsm_cond_wait_us(&db->cv, &db->mu, BEGIN_WAIT_US);
    lsm_mutex_unlock(&db->mu);
    bool stop = lsm_interrupted(intr);
    lsm_mutex_lock(&db->mu);
    if (stop) {
      rc = lsm_fail(LSM_INTERRUPT, "interrupted");
      break;
    }
  }
  if (rc == LSM_OK) db->writer_held = true;
  lsm_mutex_unlock(&db->mu);
  if (rc != LSM_OK) return rc;
  rc = lsm_writer_enter(db, busy_ms > 0 ? (uint64_t)busy_ms * 1000 : 0, intr);
  if (rc != LSM_OK) give_role_back(db);
  return rc;
}

static void drop_writer_role(lsm_db *db) {
  lsm_writer_exit(db);
  give_role_back(db);
}

/* An empty overlay: the spare one if nobody looks at it any more. */
static lsm_rc take_overlay(lsm_db *db, lsm_memtable **mt) {
  *mt = db->spare;
  db->spare = NULL;
  return *mt != NULL ? LSM_OK : lsm_memtable_new(mt);
}

static void give_overlay_back(lsm_db *db, lsm_memtable *mt) {
  if (db->spare == NULL && !lsm_memtable_is_shared(mt)) {
    lsm_memtable_reset(mt);
    db->spare = mt;
  } else {
    lsm_memtable_unref(mt);
  }
}

lsm_rc lsm_writer_look(lsm_db *db) {
  lsm_rc rc = take_writer_role(db, 0, NULL);
  if (rc == LSM_OK) drop_writer_role(db);
  return rc;
}

lsm_rc lsm_txn_begin(lsm_db *db, int64_t busy_ms, const lsm_interrupt *intr, lsm_txn **out) {
  *out = NULL;
  if (db->opt.read_only) return lsm_fail(LSM_READONLY, "%s: opened read-only", db->dir);
  lsm_txn *t = lsm_calloc(sizeof(*t));
  if (t == NULL) return lsm_nomem();
  lsm_rc rc = take_writer_role(db, busy_ms, intr);
  if (rc != LSM_OK) {
    lsm_free(t);
    return rc;
  }
  t->db = db;
  rc = take_overlay(db, &t->overlay);
  if (rc == LSM_OK) rc = lsm_snapshot_make(db, NULL, NULL, &t->base);
  if (rc != LSM_OK) {
    lsm_memtable_unref(t->overlay);
    drop_writer_role(db);
    lsm_free(t);
    return rc;
  }
  *out = t;
  return LSM_OK;
}

static void release_marks(lsm_txn *t, size_t keep) {
  while (t->nmarks > keep) lsm_memtable_unmark(&t->marks[--t->nmarks].mark);
}

/* Gives everything back, roles included. */
static void free_txn(lsm_txn *t) {
  lsm_db *db = t->db;
  release_marks(t, 0);
  lsm_free(t->marks);
  lsm_snapshot_release(t->base);
  give_overlay_back(db, t->overlay);
  lsm_buf_fini(&t->key);
  lsm_buf_fini(&t->bound);
  lsm_buf_fini(&t->scratch);
  if (t->prepared) lsm_log_release(db);
  drop_writer_role(db);
  lsm_free(t);
}

/*---------------------------------------------------------------- changes */

/* Takes a prepare back: the log is told, the role returned. Fails only when the
** log could not be told; an ABORT that is there but may not be durable is
** remembered for the rollback: only a power loss now would miss it. */
static lsm_rc unprepare(lsm_txn *t) {
  if (!t->prepared) return LSM_OK;
  if (t->logged && !t->has_host) {
    lsm_rc rc = lsm_wal_append(t->db->wal, LSM_WAL_ABORT, t->txid, NULL, 0);
    if (rc != LSM_OK) return rc;
    if (t->sync == LSM_SYNC_FULL && lsm_log_sync(t->db) != LSM_OK) t->abort_unsynced = true;
  }
  t->prepared = t->logged = false;
  lsm_log_release(t->db);
  return LSM_OK;
}

/* The internal key of (keyspace, key) in *buf. */
static lsm_rc make_key(lsm_buf *buf, uint32_t keyspace, lsm_slice key) {
  uint8_t prefix[LSM_PREFIX_MAX];
  size_t n = lsm_prefix_put(prefix, keyspace);
  lsm_buf_clear(buf);
  lsm_rc rc = lsm_buf_reserve(buf, n + key.size);
  if (rc != LSM_OK) return rc;
  (void)lsm_buf_append(buf, prefix, n);
  if (key.size > 0) (void)lsm_buf_append(buf, key.data, key.size);
  return LSM_OK;
}

static lsm_rc write_entry(lsm_txn *t, lsm_kind kind, uint32_t keyspace, lsm_slice key,
                          lsm_slice value) {
  if (keyspace == 0 || keyspace > LSM_KEYSPACE_MAX) {
    return lsm_fail(LSM_MISUSE, "%s: no keyspace %u", t->db->dir, (unsigned)keyspace);
  }
  if (key.size > LSM_KEY_MAX - LSM_PREFIX_MAX || value.size > LSM_VALUE_MAX) {
    return lsm_fail(LSM_MISUSE, "%s: key or value too long", t->db->dir);
  }
  lsm_rc rc = unprepare(t);
  if (rc == LSM_OK) rc = make_key(&t->key, keyspace, key);
  if (rc == LSM_OK) rc = lsm_memtable_write(t->overlay, kind, lsm_buf_slice(&t->key), value);
  if (rc == LSM_OK) t->user_bytes += key.size + value.size;
  return rc;
}

lsm_rc lsm_txn_put(lsm_txn *t, uint32_t keyspace, lsm_slice key, lsm_slice value) {
  return write_entry(t, LSM_KIND_PUT, keyspace, key, value);
}

lsm_rc lsm_txn_delete(lsm_txn *t, uint32_t keyspace, lsm_slice key) {
  return write_entry(t, LSM_KIND_DELETE, keyspace, key, LSM_SLICE_NULL);
}

lsm_rc lsm_txn_delete_range(lsm_txn *t, uint32_t keyspace, lsm_slice lower, lsm_slice upper) {
  if (keyspace == 0 || keyspace >= LSM_KEYSPACE_MAX) {
    return lsm_fail(LSM_MISUSE, "%s: no keyspace %u", t->db->dir, (unsigned)keyspace);
  }
  lsm_rc rc = unprepare(t);
  if (rc == LSM_OK) rc = make_key(&t->key, keyspace, lower);
  if (rc == LSM_OK) {
    rc = upper.data != NULL ? make_key(&t->bound, keyspace, upper)
                            : make_key(&t->bound, keyspace + 1, LSM_SLICE_NULL);
  }
  if (rc != LSM_OK) return rc;
  lsm_slice lo = lsm_buf_slice(&t->key), hi = lsm_buf_slice(&t->bound);
  if (lsm_slice_cmp(lo, hi) >= 0) return LSM_OK; /* an empty range */
  rc = lsm_memtable_write(t->overlay, LSM_KIND_DELETE_RANGE, lo, hi);
  if (rc == LSM_OK) t->user_bytes += lower.size + upper.size;
  return rc;
}

lsm_rc lsm_txn_get(lsm_txn *t, uint32_t keyspace, lsm_slice key, lsm_buf *value) {
  lsm_rc rc = make_key(&t->key, keyspace, key);
  if (rc != LSM_OK) return rc;
  lsm_slice k = lsm_buf_slice(&t->key);
  if (!lsm_memtable_is_empty(t->overlay)) {
    lsm_memview v = lsm_memtable_peek(t->overlay);
    lsm_kind kind;
    lsm_slice found;
    bool covered = false;
    rc = lsm_memview_get(&v, k, &kind, &found, &covered);
    if (rc == LSM_OK) return kind == LSM_KIND_PUT ? lsm_buf_set(value, found) : LSM_NOTFOUND;
    if (rc != LSM_NOTFOUND || covered) return rc;
  }
  return lsm_snapshot_get(t->base, k, value);
}

lsm_rc lsm_txn_snapshot(lsm_txn *t, lsm_snapshot **snap) {
  return lsm_snapshot_make(t->db, t->base, t->overlay, snap);
}

bool lsm_txn_is_empty(const lsm_txn *t) { return lsm_memtable_is_empty(t->overlay); }

uint64_t lsm_txn_id(const lsm_txn *t) { return t->txid; }

/*------------------------------------------------------------- savepoints */

/* How many marks have a number below n. */
static size_t marks_below(const lsm_txn *t, int n) {
  size_t i = t->nmarks;
  while (i > 0 && t->marks[i - 1].n >= n) i--;
  return i;
}

lsm_rc lsm_txn_savepoint(lsm_txn *t, int n) {
  release_marks(t, marks_below(t, n));
  if (t->nmarks == t->marks_cap) {
    size_t cap = t->marks_cap == 0 ? 4 : 2 * t->marks_cap;
    savepoint *m = lsm_realloc(t->marks, cap * sizeof(*m));
    if (m == NULL) return lsm_nomem();
    t->marks = m;
    t->marks_cap = cap;
  }
  savepoint *s = &t->marks[t->nmarks++];
  s->n = n;
  s->user_bytes = t->user_bytes;
  s->mark = lsm_memtable_mark(t->overlay);
  return LSM_OK;
}

bool lsm_txn_has_savepoint(const lsm_txn *t, int n) {
  size_t i = marks_below(t, n);
  return i < t->nmarks && t->marks[i].n == n;
}

void lsm_txn_release(lsm_txn *t, int n) { release_marks(t, marks_below(t, n)); }

/* Back to the very start. */
static void rollback_all(lsm_txn *t) {
  release_marks(t, 0);
  lsm_memtable_clear(t->overlay);
  t->user_bytes = 0;
}

lsm_rc lsm_txn_rollback_to(lsm_txn *t, int n) {
  lsm_rc rc = unprepare(t);
  if (rc != LSM_OK) return rc;
  size_t keep = marks_below(t, n);
  if (keep < t->nmarks && t->marks[keep].n == n) keep++;
  if (n < 0 || keep == 0) {
    rollback_all(t);
    return LSM_OK;
  }
  release_marks(t, keep);
  savepoint *s = &t->marks[keep - 1];
  lsm_memtable_rollback(t->overlay, &s->mark);
  t->user_bytes = s->user_bytes;
  return LSM_OK;
}

/*---------------------------------------------------------------- prepare */

/* Appends the batch, the host's name in front if there is one. On failure the
** log is as it was. */
static lsm_rc log_batch(lsm_txn *t, const uint8_t *host) {
  lsm_db *db = t->db;
  const lsm_slice *parts;
  lsm_slice *with_host = NULL;
  int n;
  lsm_rc rc = lsm_memtable_batch(t->overlay, &t->scratch, &parts, &n);
  if (rc != LSM_OK) return rc;
  uint64_t before = lsm_wal_end(db->wal);
  if (host != NULL) {
    with_host = lsm_malloc(((size_t)n + 1) * sizeof(*with_host));
    if (with_host == NULL) return lsm_nomem();
    with_host[0] = lsm_slice_of(host, LSM_HOST_SIZE);
    memcpy(with_host + 1, parts, (size_t)n * sizeof(*parts));
    parts = with_host;
    n++;
  }
  rc = lsm_wal_append(db->wal, host != NULL ? LSM_WAL_PREPARE : LSM_WAL_BATCH, db->last_txid + 1,
                      parts, n);
  lsm_free(with_host);
  if (rc != LSM_OK) return rc;
  t->txid = ++db->last_txid;
  LSM_COUNT(db, wal_bytes, lsm_wal_end(db->wal) - before);
  return LSM_OK;
}

bool lsm_txn_is_prepared(const lsm_txn *t) { return t->prepared; }

/* Is it prepared just so already? */
static bool is_prepared_for(const lsm_txn *t, lsm_sync sync, const uint8_t *host) {
  return t->prepared && t->logged && t->sync == sync && t->has_host == (host != NULL) &&
         (host == NULL || memcmp(t->host, host, LSM_HOST_SIZE) == 0);
}

lsm_rc lsm_txn_prepare(lsm_txn *t, lsm_sync sync, const uint8_t *host,
                       const lsm_interrupt *intr) {
  lsm_db *db = t->db;
  if (lsm_memtable_is_empty(t->overlay)) return LSM_OK;
  if (is_prepared_for(t, sync, host)) return LSM_OK;
  lsm_rc rc = unprepare(t);
  if (rc == LSM_OK) rc = lsm_log_acquire(db, intr);
  if (rc != LSM_OK) return rc;
  rc = lsm_make_room(db, lsm_memtable_used(t->overlay), intr);
  if (rc == LSM_OK) {
    lsm_memview v = lsm_memtable_peek(t->overlay);
    lsm_mutex_lock(&db->apply_mu);
    rc = lsm_memtable_reserve_merge(db->mem, &v);
    lsm_mutex_unlock(&db->apply_mu);
  }
  /* When the host goes on without a sync of the log, its number may be durable
  ** before the COMMITs that it then no longer stands for. */
  if (rc == LSM_OK && host != NULL && lsm_owed(db, LSM_OWED_COMMIT) && sync != LSM_SYNC_FULL) {
    rc = lsm_log_sync(db);
  }
  if (rc == LSM_OK && host != NULL) {
    rc = lsm_host_enter(db, host);
    if (rc == LSM_OK) lsm_host_announce(db);
  }
  /* What a host loses goes with all that follows in the log. */
  if (rc == LSM_OK && host == NULL && sync == LSM_SYNC_FULL) rc = lsm_settle_host(db);
  if (rc == LSM_OK) rc = log_batch(t, host);
  if (rc == LSM_OK && sync == LSM_SYNC_FULL) {
    rc = lsm_log_sync(db);
    if (rc != LSM_OK) (void)lsm_wal_undo(db->wal); /* broken at worst: rotated next time */
  }
  if (rc != LSM_OK) {
    lsm_log_release(db);
    return rc;
  }
  t->prepared = t->logged = true;
  t->has_host = host != NULL;
  if (host != NULL) memcpy(t->host, host, LSM_HOST_SIZE);
  t->sync = sync;
  return LSM_OK;
}

/*----------------------------------------------------- commit and rollback */

/* The log learns that the host has committed. Without the record only the host
** knows, and only until its next transaction: then the memtable has to be on
** disk before there is one. */
static void note_decision(lsm_txn *t) {
  lsm_db *db = t->db;
  db->mem_has_host = true;
  lsm_set_owed(db, LSM_OWED_HOST | (t->sync == LSM_SYNC_FULL ? LSM_OWED_COMMIT : 0u), true);
  if (lsm_wal_append(db->wal, LSM_WAL_COMMIT, t->txid, NULL, 0) != LSM_OK) {
    lsm_decision_unlogged(db, t->txid);
  }
}

void lsm_txn_keep_base(lsm_txn *t) { t->keep_base = true; }

void lsm_txn_commit(lsm_txn *t) {
  lsm_db *db = t->db;
  if (!lsm_memtable_is_empty(t->overlay)) {
    assert(t->prepared);
    if (t->has_host) note_decision(t);
    release_marks(t, 0);
    lsm_snapshot *before = t->has_host && t->keep_base ? t->base : NULL;
    if (before == NULL) lsm_snapshot_release(t->base); /* or the merge would copy nodes for it */
    t->base = NULL;
    lsm_memview v = lsm_memtable_peek(t->overlay);
    lsm_mutex_lock(&db->apply_mu);
    lsm_memtable_merge(db->mem, &v);
    atomic_store(&db->committed, t->txid);
    if (t->has_host) lsm_host_note(db, t->host, t->txid, before);
    lsm_mutex_unlock(&db->apply_mu);
    if (t->has_host) lsm_hosts_sweep(db);
    LSM_COUNT(db, user_bytes, t->user_bytes);
    LSM_COUNT(db, commits, 1);
  }
  free_txn(t);
}

lsm_rc lsm_txn_rollback(lsm_txn *t) {
  if (t == NULL) return LSM_OK;
  lsm_rc rc = unprepare(t);
  if (rc != LSM_OK) {
    /* The record can't be contradicted: take it out of the log. If even that
    ** fails the log is broken, and the next one will say where it ended. */
    rc = lsm_wal_undo(t->db->wal);
    if (rc == LSM_OK && t->sync == LSM_SYNC_FULL) rc = lsm_log_sync(t->db);
  } else if (t->abort_unsynced) {
    rc = lsm_fail(LSM_IOERR, "%s: a power loss may bring transaction %llu back", t->db->dir,
                  (unsigned long long)t->txid);
  }
  free_txn(t);
  return rc;
}
