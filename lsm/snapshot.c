/* snapshot.c: one instant of the store, and point reads in it.
**
** A snapshot is a few memtable views, below some of them runs of a large
** transaction, and a version: immutability does the rest. Reads go from newest to
** oldest; within a source a point beats the source's range tombstones, and either
** ends the search.
**
** As long as nothing changes all who ask get the same one, db->latest. Whoever
** changes the state outdates it: before a merge, which would copy the nodes that it
** shows; and with a new version, so that it holds no files. */
#include "db_int.h"

/* One more layer; view is taken over, runs is not. */
static void add_layer(lsm_snapshot *s, lsm_memview view, lsm_version *runs) {
  s->views[s->nviews] = view;
  s->runs[s->nviews++] = runs != NULL ? lsm_version_ref(runs) : NULL;
}

/* The view of a memtable; an empty one if there is nothing in it. */
static lsm_memview view_of(lsm_memtable *mt) {
  lsm_memview none = {NULL, 0, 0};
  return mt == NULL || lsm_memtable_is_empty(mt) ? none : lsm_memtable_view(mt);
}

lsm_rc lsm_snapshot_alloc(lsm_db *db, lsm_snapshot **snap) {
  lsm_snapshot *s = lsm_calloc(sizeof(*s));
  *snap = s;
  if (s == NULL) return lsm_nomem();
  atomic_init(&s->refs, 1);
  s->db = db;
  LSM_COUNT(db, snapshots, 1);
  return LSM_OK;
}

void lsm_snapshot_fill(lsm_snapshot *s) {
  lsm_db *db = s->db;
  if (!lsm_memtable_is_empty(db->mem) || db->mem_runs != NULL) {
    add_layer(s, view_of(db->mem), db->mem_runs);
  }
  if (db->imm != NULL) add_layer(s, view_of(db->imm), db->imm_runs);
  s->version = lsm_version_ref(db->version);
  s->txid = atomic_load(&db->committed);
}

void lsm_snapshot_fill_rotated(lsm_snapshot *s, lsm_memtable *mem, lsm_version *runs,
                               uint64_t txid) {
  lsm_db *db = s->db;
  add_layer(s, view_of(mem), runs);
  add_layer(s, view_of(db->mem), db->mem_runs);
  s->version = lsm_version_ref(db->version);
  s->txid = txid;
}

/* For assertions: does s show the state as it is? REQUIRES: apply_mu, mu. */
static bool is_present(const lsm_snapshot *s) {
  lsm_db *db = s->db;
  lsm_memtable *const mt[] = {db->mem, db->imm};
  const lsm_version *const runs[] = {db->mem_runs, db->imm_runs};
  int n = 0;
  for (int i = 0; i < 2; i++) {
    bool empty = mt[i] == NULL || lsm_memtable_is_empty(mt[i]);
    if (i == 0 ? empty && runs[i] == NULL : mt[i] == NULL) continue;
    lsm_memview now = {NULL, 0, 0};
    if (!empty) now = lsm_memtable_peek(mt[i]);
    const lsm_memview *v = &s->views[n];
    if (n >= s->nviews || s->runs[n] != runs[i] || v->mt != now.mt || v->points != now.points ||
        v->ranges != now.ranges) {
      return false;
    }
    n++;
  }
  return n == s->nviews && s->version == db->version && s->txid == atomic_load(&db->committed);
}

lsm_snapshot *lsm_snapshot_latest(lsm_snapshot *fresh) {
  lsm_db *db = fresh->db;
  lsm_mutex_assert_held(&db->apply_mu);
  lsm_mutex_assert_held(&db->mu);
  if (db->latest == NULL) {
    lsm_snapshot_fill(fresh);
    db->latest = fresh;
  }
  assert(is_present(db->latest));
  return lsm_snapshot_keep(db->latest);
}

lsm_snapshot *lsm_snapshot_outdate(lsm_db *db) {
  lsm_mutex_assert_held(&db->mu);
  lsm_snapshot *s = db->latest;
  db->latest = NULL;
  return s;
}

void lsm_snapshot_forget(lsm_db *db) {
  lsm_mutex_lock(&db->mu);
  lsm_snapshot *s = lsm_snapshot_outdate(db);
  lsm_mutex_unlock(&db->mu);
  lsm_snapshot_drop(s); /* db->version is held still: no file is garbage by that */
}

/* Nobody has changed the state without saying so. */
static void check_latest(lsm_db *db) {
#ifdef LSM_DEBUG
  lsm_mutex_lock(&db->apply_mu);
  lsm_mutex_lock(&db->mu);
  assert(db->latest == NULL || is_present(db->latest));
  lsm_mutex_unlock(&db->mu);
  lsm_mutex_unlock(&db->apply_mu);
#else
  (void)db;
#endif
}

lsm_rc lsm_snapshot_known(lsm_db *db, lsm_snapshot **snap) {
  lsm_snapshot *fresh;
  check_latest(db);
  lsm_mutex_lock(&db->mu);
  *snap = db->latest != NULL ? lsm_snapshot_keep(db->latest) : NULL;
  lsm_mutex_unlock(&db->mu);
  if (*snap != NULL) return LSM_OK;
  lsm_rc rc = lsm_snapshot_alloc(db, &fresh);
  if (rc != LSM_OK) return rc;
  lsm_mutex_lock(&db->apply_mu);
  lsm_mutex_lock(&db->mu);
  *snap = lsm_snapshot_latest(fresh);
  lsm_mutex_unlock(&db->mu);
  lsm_mutex_unlock(&db->apply_mu);
  if (*snap != fresh) lsm_snapshot_drop(fresh);
  return LSM_OK;
}

/* Of a transaction: its overlay and runs over its base. */
static lsm_rc make_of_txn(lsm_db *db, const lsm_snapshot *base, lsm_memtable *overlay,
                          lsm_version *runs, lsm_snapshot **snap) {
  lsm_rc rc = lsm_snapshot_alloc(db, snap);
  if (rc != LSM_OK) return rc;
  lsm_snapshot *s = *snap;
  lsm_reading_begin(db); /* as the holder of base does already */
  if (runs != NULL || (overlay != NULL && !lsm_memtable_is_empty(overlay))) {
    add_layer(s, view_of(overlay), runs);
    s->noverlays = 1;
  }
  for (int i = 0; i < base->nviews; i++) {
    add_layer(s, lsm_memview_ref(&base->views[i]), base->runs[i]);
  }
  s->version = lsm_version_ref(base->version);
  s->txid = base->txid;
  return LSM_OK;
}

lsm_rc lsm_snapshot_make(lsm_db *db, const lsm_snapshot *base, lsm_memtable *overlay,
                         lsm_version *runs, lsm_snapshot **snap) {
  *snap = NULL;
  if (base != NULL) return make_of_txn(db, base, overlay, runs, snap);
  lsm_reading_begin(db);
  lsm_rc rc = lsm_catch_up(db);
  if (rc == LSM_OK) {
    lsm_settle_dead(db);
    rc = lsm_snapshot_known(db, snap);
  }
  if (rc != LSM_OK) lsm_reading_end(db);
  return rc;
}

lsm_rc lsm_snapshot_acquire(lsm_db *db, lsm_snapshot **snap) {
  return lsm_snapshot_make(db, NULL, NULL, NULL, snap);
}

uint64_t lsm_snapshot_txid(const lsm_snapshot *s) { return s->txid; }

uint64_t lsm_committed_txid(const lsm_db *db) { return atomic_load(&db->committed); }

lsm_rc lsm_snapshot_at(lsm_snapshot *of, uint64_t now, lsm_snapshot **snap) {
  lsm_rc rc = lsm_snapshot_alloc(of->db, snap);
  if (rc != LSM_OK) return rc;
  lsm_snapshot *s = *snap;
  lsm_reading_begin(of->db); /* as the holder of OF does already */
  for (int i = 0; i < of->nviews; i++) {
    add_layer(s, lsm_memview_ref(&of->views[i]), of->runs[i]);
  }
  s->noverlays = of->noverlays;
  s->version = lsm_version_ref(of->version);
  s->txid = of->txid;
  s->now = now;
  return LSM_OK;
}

lsm_snapshot *lsm_snapshot_keep(lsm_snapshot *s) {
  atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
  return s;
}

lsm_snapshot *lsm_snapshot_ref(lsm_snapshot *s) {
  lsm_reading_begin(s->db);
  return lsm_snapshot_keep(s);
}

void lsm_snapshot_drop(lsm_snapshot *s) {
  if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
  lsm_db *db = s->db;
  lsm_table_pins_release(&s->pins, db->tables); /* before the files may go */
  for (int i = 0; i < s->nviews; i++) {
    lsm_memview_release(&s->views[i]);
    lsm_version_unref(s->runs[i]);
  }
  if (s->version != NULL) lsm_version_unref(s->version);
  lsm_free(s);
  atomic_fetch_sub_explicit(&db->counters.snapshots, 1, memory_order_relaxed);
}

void lsm_snapshot_release(lsm_snapshot *s) {
  if (s == NULL) return;
  lsm_db *db = s->db;
  lsm_snapshot_drop(s);
  lsm_reading_end(db);
  lsm_db_purge_soon(db);
}

/*------------------------------------------------------------ point reads */

/* Asks one file. *done: the answer is final, rc says it. */
static lsm_rc get_in_file(lsm_db *db, lsm_table_pins *pins, const lsm_filemeta *f, lsm_slice key,
                          uint64_t hash, uint64_t now, lsm_buf *value, bool *done) {
  lsm_sst *sst = NULL;
  lsm_block *pin = NULL;
  lsm_kind kind;
  lsm_slice found;
  bool own = false;
  lsm_rc rc = lsm_table_pins_get(pins, db->tables, f, &sst, &own);
  if (rc != LSM_OK) {
    *done = true;
    return rc;
  }
  rc = lsm_sst_get(sst, key, hash, &kind, &found, &pin);
  if (rc == LSM_OK) {
    *done = true;
    rc = lsm_take_value(db, kind, found, now, value);
  } else if (rc == LSM_NOTFOUND) {
    *done = f->ranges > 0 && lsm_rangeset_find(lsm_sst_ranges(sst), key) != NULL;
  } else {
    *done = true;
  }
  lsm_block_unpin(db->cache, pin);
  if (own) lsm_table_cache_unpin(db->tables, sst);
  return rc;
}

/* Asks the one file of a sorted run that may have key, if any. */
static lsm_rc get_in_run(lsm_db *db, lsm_table_pins *pins, lsm_filemeta *const *files,
                         size_t count, lsm_slice key, uint64_t hash, uint64_t now, lsm_buf *value,
                         bool *done) {
  size_t i = lsm_files_find(files, count, key);
  if (i == count || lsm_slice_cmp(files[i]->smallest, key) > 0) return LSM_NOTFOUND;
  return get_in_file(db, pins, files[i], key, hash, now, value, done);
}

lsm_rc lsm_tree_get(lsm_db *db, lsm_table_pins *pins, const lsm_tree *t, lsm_slice key,
                    uint64_t now, lsm_buf *value, bool *done) {
  uint64_t hash = lsm_hash64(key, 0);
  lsm_rc rc;
  *done = false;
  const lsm_level *l0 = &t->levels[0];
  for (size_t i = 0; i < l0->count;) {
    size_t n = lsm_run_length(l0, i);
    rc = get_in_run(db, pins, l0->files + i, n, key, hash, now, value, done);
    if (*done) return rc;
    i += n;
  }
  for (int l = 1; l < LSM_MAX_LEVELS; l++) {
    const lsm_level *level = &t->levels[l];
    if (level->count == 0) continue;
    rc = get_in_run(db, pins, level->files, level->count, key, hash, now, value, done);
    if (*done) return rc;
  }
  return LSM_NOTFOUND;
}

lsm_rc lsm_snapshot_get(lsm_snapshot *s, lsm_slice key, uint64_t now, lsm_buf *value) {
  LSM_COUNT(s->db, gets, 1);
  uint32_t keyspace;
  (void)lsm_prefix_get(key, &keyspace);
  const lsm_tree *t = lsm_version_tree(s->version, keyspace);
  /* Of a keyspace that was dropped, or made since, only the overlay counts. */
  int nviews = t != NULL ? s->nviews : s->noverlays;
  bool expires = t != NULL      ? t->opt.expires
                 : nviews > 0 ? lsm_keyspace_expires(s->db, s->version, keyspace)
                              : false;
  if (LSM_LIKELY(!expires)) {
    now = 0;
  } else if (now == 0) {
    now = lsm_snapshot_now(s);
  }
  for (int i = 0; i < nviews; i++) {
    lsm_kind kind;
    lsm_slice found;
    bool covered = false, done = false;
    lsm_rc rc = lsm_memview_get(&s->views[i], key, &kind, &found, &covered);
    if (rc == LSM_OK) return lsm_take_value(s->db, kind, found, now, value);
    if (rc != LSM_NOTFOUND || covered) return rc;
    const lsm_tree *r = s->runs[i] != NULL ? lsm_version_tree(s->runs[i], keyspace) : NULL;
    if (r != NULL) rc = lsm_tree_get(s->db, &s->pins, r, key, now, value, &done);
    if (done) return rc;
  }
  bool done;
  return t == NULL ? LSM_NOTFOUND : lsm_tree_get(s->db, &s->pins, t, key, now, value, &done);
}

/* An internal key on the stack when it is short. */
#define SHORT_KEY 256

lsm_rc lsm_get(lsm_snapshot *s, uint32_t keyspace, lsm_slice key, lsm_buf *value) {
  uint8_t small[SHORT_KEY + LSM_PREFIX_MAX];
  uint8_t *p = key.size <= SHORT_KEY ? small : lsm_malloc(key.size + LSM_PREFIX_MAX);
  if (p == NULL) return lsm_nomem();
  size_t n = lsm_prefix_put(p, keyspace);
  if (key.size > 0) memcpy(p + n, key.data, key.size);
  lsm_rc rc = lsm_snapshot_get(s, lsm_slice_of(p, n + key.size), 0, value);
  if (p != small) lsm_free(p);
  return rc;
}
