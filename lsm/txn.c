/* txn.c: the write transaction, from begin to the memtable.
**
** Its changes live in a private memtable, the overlay, whose arena is the
** batch the log gets. Savepoints are marks in it. prepare() does all that can
** fail, in this order: the log role, room, memory, log record, sync; commit()
** then merges the overlay into the active memtable, in order.
**
** An overlay that exceeds its share of memory is written to files (spill.c), and
** a fresh one takes over: the transaction is then the overlay over its runs.
** Such a one is spilled wholly at prepare; the log gets a new file, in which a
** record that names the tables comes first; commit() puts them below the
** active memtable, which is empty then. The next flush makes them the store's.
**
**            put, delete, ...                 put, delete (ABORT goes to the log)
**             +----+                        +---------------------+
**             v    |       prepare          v                     |
**   begin -> OPEN -+--------------------> OPEN <----------- PREPARED -> commit
**             +-> rollback                                        +---> rollback
**
** Threads: one at a time; the writer role makes it the only one of the store. */
#include <stdio.h>

#include "batch.h"
#include "db_int.h"

#define BEGIN_WAIT_US 5000u /* between looks at the interrupt function */
#define MIN_BUDGET (1u << 20)
#define ERRMSG_SIZE 512
#define KINDS 8 /* keyspaces that are remembered */

/* All marks are of the present overlay; those made before it are empty ones. */
typedef struct savepoint {
  int n;
  lsm_version *runs; /* what was below the overlay then, or NULL */
  lsm_memmark mark;
  uint64_t user_bytes;
} savepoint;

struct lsm_txn {
  lsm_db *db;
  lsm_memtable *overlay;
  lsm_version *runs;   /* what was spilled of it, or NULL */
  lsm_version *sealed; /* prepared: the runs as the store will have them */
  size_t budget;       /* memory of the overlay at which it is spilled */
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
  uint64_t now; /* what has expired then is not seen; 0: the present */
  /* do the values of keyspaces expire? Those asked for last, by their low bits */
  struct {
    uint32_t keyspace;
    bool expires;
  } kinds[KINDS];
};

/*---------------------------------------------------------- begin and end */

static void give_role_back(lsm_db *db) {
  lsm_mutex_lock(&db->mu);
  db->writer_held = false;
  lsm_cond_broadcast(&db->roles_cv);
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
    lsm_cond_wait_us(&db->roles_cv, &db->mu, BEGIN_WAIT_US);
    lsm_mutex_unlock(&db->mu);
    bool stop = lsm_interrupted(intr);
    lsm_mutex_lock(&db->mu);
    if (stop) {
      rc = lsm_fail(LSM_INTERRUPT, "interrupted");
      break;
    }
  }
  bool have = rc == LSM_OK && lsm_writer_join(db);
  if (rc == LSM_OK) db->writer_held = true;
  lsm_mutex_unlock(&db->mu);
  if (rc != LSM_OK || have) return rc;
  rc = lsm_writer_enter(db, busy_ms > 0 ? (uint64_t)busy_ms * 1000 : 0, intr);
  if (rc != LSM_OK) give_role_back(db);
  return rc;
}

static void drop_writer_role(lsm_db *db) {
  lsm_mutex_lock(&db->mu);
  lsm_writer_leave(db);
  db->writer_held = false;
  lsm_cond_broadcast(&db->roles_cv);
  lsm_mutex_unlock(&db->mu);
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

static size_t budget_of(const lsm_db *db) {
  size_t bytes = db->opt.txn_memory > 0 ? db->opt.txn_memory : db->opt.memtable_size / 4;
  return bytes < MIN_BUDGET && db->opt.txn_memory == 0 ? MIN_BUDGET : bytes;
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
  t->budget = budget_of(db);
  rc = take_overlay(db, &t->overlay);
  if (rc == LSM_OK) rc = lsm_snapshot_make(db, NULL, NULL, NULL, &t->base);
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
  while (t->nmarks > keep) {
    savepoint *s = &t->marks[--t->nmarks];
    lsm_memtable_unmark(&s->mark);
    lsm_version_unref(s->runs);
  }
}

/* Gives everything back, roles included. */
static void free_txn(lsm_txn *t) {
  lsm_db *db = t->db;
  bool spilled = t->runs != NULL || t->sealed != NULL; /* ROLLBACK removes its files */
  release_marks(t, 0);
  lsm_free(t->marks);
  lsm_snapshot_release(t->base);
  lsm_version_unref(t->runs);
  lsm_version_unref(t->sealed);
  give_overlay_back(db, t->overlay);
  lsm_buf_fini(&t->key);
  lsm_buf_fini(&t->bound);
  lsm_buf_fini(&t->scratch);
  if (t->prepared) lsm_log_release(db);
  drop_writer_role(db);
  lsm_free(t);
  if (spilled) {
    lsm_db_purge(db);
  } else {
    lsm_db_purge_soon(db);
  }
}

/*------------------------------------------------------- taking a prepare back */

static void drop_sealed(lsm_txn *t) {
  lsm_version_unref(t->sealed);
  t->sealed = NULL;
}

static bool must_sync_abort(const lsm_txn *t) {
  return t->sync != LSM_SYNC_OFF || t->sealed != NULL;
}

/* Takes a prepare back: the log is told, the role returned. Fails only when the
** log could not be told; an ABORT that is there but may not be durable is
** remembered for the rollback: only a power loss now would miss it. */
static lsm_rc unprepare(lsm_txn *t) {
  if (!t->prepared) return LSM_OK;
  if (t->logged && !t->has_host) {
    lsm_rc rc = lsm_wal_append(t->db->wal, LSM_WAL_ABORT, t->txid, NULL, 0);
    if (rc != LSM_OK) return rc;
    /* A power loss may keep the record without the ABORT. And tables that the log
    ** names must be there, unless it surely takes that back. */
    if (must_sync_abort(t) && lsm_log_sync(t->db) != LSM_OK) {
      t->abort_unsynced = t->sync != LSM_SYNC_OFF;
      if (t->sealed != NULL) lsm_runs_keep(t->db, t->sealed);
    }
  }
  t->prepared = t->logged = false;
  drop_sealed(t);
  lsm_log_release(t->db);
  return LSM_OK;
}

/*------------------------------------------------------------------ spilling */

/* Marks under which something else is seen than now, or than what was spilled. */
static bool has_partial_marks(const lsm_txn *t) {
  if (t->nmarks == 0) return false;
  const lsm_memview *v = &t->marks[t->nmarks - 1].mark.view;
  return v->points != 0 || v->ranges != 0;
}

static bool same_view(const lsm_memview *a, const lsm_memview *b) {
  return a->points == b->points && a->ranges == b->ranges;
}

/* The runs as mark I of the overlay (nmarks: as it is now) needs them, referenced
** (NULL: none). DONE: those of the marks before it. What a mark shows is a run of
** its own, in the place of those for other marks. */
static lsm_rc runs_of(lsm_txn *t, size_t i, lsm_version *const *done, lsm_version **runs) {
  lsm_memview v = i == t->nmarks ? lsm_memtable_peek(t->overlay) : t->marks[i].mark.view;
  lsm_version *below = i == t->nmarks ? t->runs : t->marks[i].runs;
  bool empty = v.points == 0 && v.ranges == 0;
  *runs = empty ? below : NULL;
  if (!empty && i > 0 && same_view(&v, &t->marks[i - 1].mark.view)) *runs = done[i - 1];
  if (*runs != NULL) lsm_version_ref(*runs);
  return empty || *runs != NULL ? LSM_OK : lsm_runs_add(t->db, below, &v, runs);
}

/* Everything was written: marks and transaction stand on a fresh overlay. */
static void change_overlay(lsm_txn *t, lsm_memtable *fresh, lsm_version **runs) {
  for (size_t i = 0; i < t->nmarks; i++) {
    savepoint *s = &t->marks[i];
    lsm_memtable_unmark(&s->mark);
    s->mark = lsm_memtable_mark(fresh);
    lsm_version_unref(s->runs);
    s->runs = runs[i];
  }
  lsm_version_unref(t->runs);
  t->runs = runs[t->nmarks];
  give_overlay_back(t->db, t->overlay);
  t->overlay = fresh;
}

/* Writes the overlay to files; on failure nothing has changed. */
static lsm_rc spill(lsm_txn *t) {
  lsm_memtable *fresh = NULL;
  size_t n = 0;
  lsm_version **runs = lsm_calloc((t->nmarks + 1) * sizeof(lsm_version *));
  if (runs == NULL) return lsm_nomem();
  lsm_rc rc = take_overlay(t->db, &fresh);
  for (; rc == LSM_OK && n <= t->nmarks; n++) rc = runs_of(t, n, runs, &runs[n]);
  if (rc == LSM_OK) {
    change_overlay(t, fresh, runs);
    if (t->runs != NULL) (void)lsm_runs_merge(t->db, &t->runs); /* else they stay many */
  } else {
    for (size_t i = 0; i < n; i++) lsm_version_unref(runs[i]);
    lsm_memtable_unref(fresh);
    lsm_db_purge(t->db);
  }
  lsm_free(runs);
  return rc;
}

/* Between changes. While a mark shows part of the overlay it would have to be
** written apart: that can wait a little. */
static lsm_rc spill_if_large(lsm_txn *t) {
  size_t used = lsm_memtable_used(t->overlay);
  if (LSM_LIKELY(used <= t->budget)) return LSM_OK;
  return used > 2 * t->budget || !has_partial_marks(t) ? spill(t) : LSM_OK;
}

/*---------------------------------------------------------------- changes */

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

/* It never changes while the keyspace is there, and one that is not is not asked for twice. */
static bool keyspace_expires(lsm_txn *t, uint32_t keyspace) {
  size_t i = keyspace % KINDS;
  if (LSM_UNLIKELY(t->kinds[i].keyspace != keyspace)) {
    t->kinds[i].expires = lsm_keyspace_expires(t->db, t->base->version, keyspace);
    t->kinds[i].keyspace = keyspace;
  }
  return t->kinds[i].expires;
}

/* HEAD stands in front of the value. */
static lsm_rc write_entry(lsm_txn *t, lsm_kind kind, uint32_t keyspace, lsm_slice key,
                          lsm_slice head, lsm_slice value) {
  if (keyspace == 0 || keyspace > LSM_KEYSPACE_MAX) {
    return lsm_fail(LSM_MISUSE, "%s: no keyspace %u", t->db->dir, (unsigned)keyspace);
  }
  if (key.size > LSM_KEY_MAX - LSM_PREFIX_MAX || value.size > LSM_VALUE_MAX - head.size) {
    return lsm_fail(LSM_MISUSE, "%s: key or value too long", t->db->dir);
  }
  lsm_rc rc = unprepare(t);
  if (rc == LSM_OK) rc = spill_if_large(t);
  if (rc == LSM_OK) rc = make_key(&t->key, keyspace, key);
  if (rc != LSM_OK) return rc;
  rc = LSM_LIKELY(head.size == 0)
           ? lsm_memtable_write(t->overlay, kind, lsm_buf_slice(&t->key), value)
           : lsm_memtable_put_parts(t->overlay, lsm_buf_slice(&t->key), head, value);
  if (rc == LSM_OK) t->user_bytes += key.size + value.size;
  return rc;
}

static lsm_rc put_until(lsm_txn *t, uint32_t keyspace, lsm_slice key, lsm_slice value,
                        uint64_t until) {
  uint8_t head[LSM_UNTIL_SIZE];
  lsm_set_u64(head, until);
  return write_entry(t, LSM_KIND_PUT, keyspace, key, lsm_slice_of(head, sizeof(head)), value);
}

lsm_rc lsm_txn_put(lsm_txn *t, uint32_t keyspace, lsm_slice key, lsm_slice value) {
  if (LSM_UNLIKELY(keyspace_expires(t, keyspace))) return put_until(t, keyspace, key, value, 0);
  return write_entry(t, LSM_KIND_PUT, keyspace, key, LSM_SLICE_NULL, value);
}

lsm_rc lsm_txn_put_until(lsm_txn *t, uint32_t keyspace, lsm_slice key, lsm_slice value,
                         uint64_t until) {
  if (keyspace_expires(t, keyspace)) return put_until(t, keyspace, key, value, until);
  return lsm_fail(LSM_MISUSE, "%s: nothing expires in keyspace %u", t->db->dir,
                  (unsigned)keyspace);
}

lsm_rc lsm_txn_delete(lsm_txn *t, uint32_t keyspace, lsm_slice key) {
  return write_entry(t, LSM_KIND_DELETE, keyspace, key, LSM_SLICE_NULL, LSM_SLICE_NULL);
}

void lsm_txn_set_now(lsm_txn *t, uint64_t now) { t->now = now; }

lsm_rc lsm_txn_delete_range(lsm_txn *t, uint32_t keyspace, lsm_slice lower, lsm_slice upper) {
  if (keyspace == 0 || keyspace >= LSM_KEYSPACE_MAX) {
    return lsm_fail(LSM_MISUSE, "%s: no keyspace %u", t->db->dir, (unsigned)keyspace);
  }
  lsm_rc rc = unprepare(t);
  if (rc == LSM_OK) rc = spill_if_large(t);
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
  uint64_t now = 0;
  if (LSM_UNLIKELY(keyspace_expires(t, keyspace))) now = t->now != 0 ? t->now : lsm_now(t->db);
  if (!lsm_memtable_is_empty(t->overlay)) {
    lsm_memview v = lsm_memtable_peek(t->overlay);
    lsm_kind kind;
    lsm_slice found;
    bool covered = false;
    rc = lsm_memview_get(&v, k, &kind, &found, &covered);
    if (rc == LSM_OK) return lsm_take_value(t->db, kind, found, now, value);
    if (rc != LSM_NOTFOUND || covered) return rc;
  }
  const lsm_tree *r = t->runs != NULL ? lsm_version_tree(t->runs, keyspace) : NULL;
  bool done = false;
  if (r != NULL) rc = lsm_tree_get(t->db, NULL, r, k, now, value, &done);
  return done ? rc : lsm_snapshot_get(t->base, k, now, value);
}

lsm_rc lsm_txn_snapshot(lsm_txn *t, lsm_snapshot **snap) {
  lsm_rc rc = lsm_snapshot_make(t->db, t->base, t->overlay, t->runs, snap);
  if (rc == LSM_OK) (*snap)->now = t->now;
  return rc;
}

bool lsm_txn_is_empty(const lsm_txn *t) {
  return t->runs == NULL && lsm_memtable_is_empty(t->overlay);
}

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
  /* Before the mark, so that it need not be written apart. */
  if (lsm_memtable_used(t->overlay) > t->budget) {
    lsm_rc rc = unprepare(t);
    if (rc == LSM_OK) rc = spill(t);
    if (rc != LSM_OK) return rc;
  }
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
  s->runs = t->runs != NULL ? lsm_version_ref(t->runs) : NULL;
  s->mark = lsm_memtable_mark(t->overlay);
  return LSM_OK;
}

bool lsm_txn_has_savepoint(const lsm_txn *t, int n) {
  size_t i = marks_below(t, n);
  return i < t->nmarks && t->marks[i].n == n;
}

void lsm_txn_release(lsm_txn *t, int n) { release_marks(t, marks_below(t, n)); }

static void set_runs(lsm_txn *t, lsm_version *runs) {
  if (runs != NULL) lsm_version_ref(runs);
  lsm_version_unref(t->runs);
  t->runs = runs;
  lsm_db_purge(t->db);
}

/* Back to the very start. */
static void rollback_all(lsm_txn *t) {
  release_marks(t, 0);
  set_runs(t, NULL);
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
  set_runs(t, s->runs);
  t->user_bytes = s->user_bytes;
  return LSM_OK;
}

/*---------------------------------------------------------------- prepare */

/* Appends the transaction's record of one of two types, the second with the
** host's name in front if there is one. On failure the log is as it was. */
static lsm_rc log_record(lsm_txn *t, lsm_wal_type alone, lsm_wal_type hosted, const uint8_t *host,
                         const lsm_slice *parts, int n) {
  lsm_db *db = t->db;
  lsm_slice *with_host = NULL;
  uint64_t before = lsm_wal_end(db->wal);
  if (host != NULL) {
    with_host = lsm_malloc(((size_t)n + 1) * sizeof(*with_host));
    if (with_host == NULL) return lsm_nomem();
    with_host[0] = lsm_slice_of(host, LSM_HOST_SIZE);
    memcpy(with_host + 1, parts, (size_t)n * sizeof(*parts));
    parts = with_host;
    n++;
  }
  lsm_rc rc = lsm_wal_append(db->wal, host != NULL ? hosted : alone, db->last_txid + 1, parts, n);
  lsm_free(with_host);
  if (rc != LSM_OK) return rc;
  t->txid = ++db->last_txid;
  LSM_COUNT(db, wal_bytes, lsm_wal_end(db->wal) - before);
  return LSM_OK;
}

static lsm_rc log_batch(lsm_txn *t, const uint8_t *host) {
  const lsm_slice *parts;
  int n;
  lsm_rc rc = lsm_memtable_batch(t->overlay, &t->scratch, &parts, &n);
  return rc == LSM_OK ? log_record(t, LSM_WAL_BATCH, LSM_WAL_PREPARE, host, parts, n) : rc;
}

/* The runs become level-0 runs of the store, older than all that comes into the
** active memtable, newer than all there is: numbered between the log so far and
** a new one, and what the log so far holds goes to tables first. */
static lsm_rc seal_runs(lsm_txn *t, lsm_buf *payload, const lsm_interrupt *intr) {
  lsm_db *db = t->db;
  size_t count = lsm_runs_count(t->runs);
  uint64_t *numbers = lsm_malloc(count * sizeof(*numbers));
  if (numbers == NULL) return lsm_nomem();
  for (size_t i = 0; i < count; i++) numbers[i] = lsm_db_new_number(db);
  lsm_rc rc = lsm_rotate(db, intr);
  if (rc == LSM_OK) rc = lsm_wait_flushed(db, intr);
  if (rc == LSM_OK) rc = lsm_runs_seal(db, t->runs, numbers, count, payload, &t->sealed);
  lsm_free(numbers);
  return rc;
}

bool lsm_txn_is_prepared(const lsm_txn *t) { return t->prepared; }

/* Is it prepared just so already? */
static bool is_prepared_for(const lsm_txn *t, lsm_sync sync, const uint8_t *host) {
  return t->prepared && t->logged && t->sync == sync && t->has_host == (host != NULL) &&
         (host == NULL || memcmp(t->host, host, LSM_HOST_SIZE) == 0);
}

/* Makes room for the overlay in the active memtable; or, when the transaction is
** in files, for them below an empty one. */
static lsm_rc make_place(lsm_txn *t, lsm_buf *payload, const lsm_interrupt *intr) {
  lsm_db *db = t->db;
  bool files = t->runs != NULL;
  lsm_rc rc = lsm_make_room(db, files ? 0 : lsm_memtable_used(t->overlay), intr);
  if (rc != LSM_OK) return rc;
  if (files) return seal_runs(t, payload, intr);
  lsm_memview v = lsm_memtable_peek(t->overlay);
  lsm_mutex_lock(&db->apply_mu);
  rc = lsm_memtable_reserve_merge(db->mem, &v);
  lsm_mutex_unlock(&db->apply_mu);
  return rc;
}

/* The record, synced if asked. On failure it is taken back; a log that is broken
** by that is rotated next time. */
static lsm_rc log_changes(lsm_txn *t, lsm_sync sync, const uint8_t *host, const lsm_buf *payload) {
  lsm_db *db = t->db;
  lsm_slice edit = lsm_buf_slice(payload);
  lsm_rc rc = LSM_OK;
  /* When the host goes on without a sync of the log, its number may be durable
  ** before the COMMITs that it then no longer stands for. */
  if (host != NULL && lsm_owed(db, LSM_OWED_COMMIT) && sync != LSM_SYNC_FULL) rc = lsm_log_sync(db);
  if (rc == LSM_OK && host != NULL) {
    rc = lsm_host_enter(db, host);
    if (rc == LSM_OK) lsm_host_announce(db);
  }
  /* What a host loses goes with all that follows in the log. */
  if (rc == LSM_OK && host == NULL && sync == LSM_SYNC_FULL) rc = lsm_settle_host(db);
  if (rc != LSM_OK) return rc;
  rc = t->sealed == NULL
           ? log_batch(t, host)
           : log_record(t, LSM_WAL_FILES, LSM_WAL_PREPARE_FILES, host, &edit, 1);
  if (rc == LSM_OK && sync == LSM_SYNC_FULL) {
    lsm_wal_reserve(db->wal, db->opt.memtable_size);
    rc = lsm_log_sync(db);
    if (rc != LSM_OK) (void)lsm_wal_undo(db->wal);
  }
  if (rc != LSM_OK && t->sealed != NULL) {
    char msg[ERRMSG_SIZE];
    snprintf(msg, sizeof(msg), "%s", lsm_errmsg());
    /* A record that may come back after a power loss must find its tables. */
    if (lsm_log_sync(db) != LSM_OK) lsm_runs_keep(db, t->sealed);
    lsm_set_errmsg(msg);
  }
  return rc;
}

lsm_rc lsm_txn_prepare(lsm_txn *t, lsm_sync sync, const uint8_t *host,
                       const lsm_interrupt *intr) {
  lsm_db *db = t->db;
  lsm_buf payload = {0};
  if (lsm_txn_is_empty(t)) return LSM_OK;
  if (is_prepared_for(t, sync, host)) return LSM_OK;
  lsm_rc rc = unprepare(t);
  if (rc == LSM_OK && t->runs != NULL && !lsm_memtable_is_empty(t->overlay)) rc = spill(t);
  if (rc == LSM_OK) rc = lsm_log_acquire(db, intr);
  if (rc != LSM_OK) return rc;
  rc = make_place(t, &payload, intr);
  if (rc == LSM_OK) rc = log_changes(t, sync, host, &payload);
  lsm_buf_fini(&payload);
  if (rc != LSM_OK) {
    drop_sealed(t);
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

/* The changes become the store's. BEFORE: see lsm_host_note(). */
static void publish(lsm_txn *t, lsm_snapshot *before) {
  lsm_db *db = t->db;
  lsm_memview v = lsm_memtable_peek(t->overlay);
  if (t->sealed != NULL) lsm_runs_keep(db, t->sealed);
  lsm_snapshot_forget(db);
  lsm_mutex_lock(&db->apply_mu);
  lsm_mutex_lock(&db->mu);
  lsm_snapshot *outdated = lsm_snapshot_outdate(db);
  lsm_mutex_unlock(&db->mu);
  if (t->sealed != NULL) {
    assert(db->mem_runs == NULL && lsm_memtable_is_empty(db->mem));
    db->mem_runs = t->sealed;
    t->sealed = NULL;
  } else {
    lsm_memtable_merge(db->mem, &v);
  }
  atomic_store(&db->committed, t->txid);
  if (t->has_host) lsm_host_note(db, t->host, t->txid, before);
  lsm_mutex_unlock(&db->apply_mu);
  lsm_snapshot_drop(outdated);
  if (before != NULL) lsm_reading_end(db); /* it is only kept from now on */
  if (t->has_host) lsm_hosts_sweep(db);
  LSM_COUNT(db, user_bytes, t->user_bytes);
  LSM_COUNT(db, commits, 1);
}

void lsm_txn_commit(lsm_txn *t) {
  lsm_db *db = t->db;
  if (!lsm_txn_is_empty(t)) {
    assert(t->prepared);
    if (t->has_host) note_decision(t);
    release_marks(t, 0);
    lsm_snapshot *before = t->has_host && t->keep_base ? t->base : NULL;
    if (before == NULL) lsm_snapshot_release(t->base); /* or the merge would copy nodes for it */
    t->base = NULL;
    publish(t, before);
    /* Files should not wait in the log: no others can be merged with them there. If
    ** it cannot be rotated now the next write does it. */
    if (db->mem_runs != NULL && !db->flush_first) (void)lsm_rotate(db, NULL);
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
    if (rc == LSM_OK && must_sync_abort(t)) rc = lsm_log_sync(t->db);
    if (rc != LSM_OK && t->sealed != NULL) lsm_runs_keep(t->db, t->sealed);
  } else if (t->abort_unsynced) {
    rc = lsm_fail(LSM_IOERR, "%s: a power loss may bring transaction %llu back", t->db->dir,
                  (unsigned long long)t->txid);
  }
  free_txn(t);
  return rc;
}
