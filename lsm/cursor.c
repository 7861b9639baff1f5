/* cursor.c: scans. A cursor is a merge over the sources of a snapshot that
** meet its bounds, under a view that hides tombstones; the keyspace's prefix
** is put on at the way in and taken off at the way out.
**
** Owns:  its iterators. Closed it holds nothing of the store; a few closed ones wait in
**        db->idle, so that opening one does not have to make all of it again. */
#include "db_int.h"
#include "merge.h"

struct lsm_cursor {
  lsm_snapshot *snap; /* NULL: idle */
  lsm_iter *iter;     /* the view */
  lsm_iter *live;     /* below it, where values expire: knows when; else NULL */
  size_t prefix;      /* bytes of the keyspace number in front of each key */
  uint32_t keyspace;
  lsm_buf lower, upper, target; /* internal keys */
  lsm_source *sources;
  size_t nsources, cap;
  lsm_run_ranges **run_ranges; /* as many as sources, NULL where none */
  /* Made when first needed, then used again: */
  lsm_iter *merge;
  lsm_iter *idle_live;
  lsm_iter *mems[LSM_SNAPSHOT_VIEWS];
  int nmems;
  lsm_iter **runs;
  size_t nruns, runs_made, runs_cap;
};

enum { IDLE_RUNS = 32, IDLE_KEY = 4096 }; /* what an idle cursor may keep */

static lsm_rc add_source(lsm_cursor *c, lsm_iter *it, lsm_ranges ranges, lsm_run_ranges *rr) {
  if (c->nsources == c->cap) {
    size_t cap = c->cap == 0 ? 8 : 2 * c->cap;
    lsm_source *s = lsm_realloc(c->sources, cap * sizeof(*s));
    if (s != NULL) c->sources = s;
    lsm_run_ranges **r = lsm_realloc(c->run_ranges, cap * sizeof(lsm_run_ranges *));
    if (r != NULL) c->run_ranges = r;
    if (s == NULL || r == NULL) {
      lsm_run_ranges_free(rr);
      return lsm_nomem();
    }
    c->cap = cap;
  }
  c->sources[c->nsources].iter = it;
  c->sources[c->nsources].ranges = ranges;
  c->run_ranges[c->nsources++] = rr;
  return LSM_OK;
}

/* The part of a sorted run that meets the bounds. */
static void clip_run(const lsm_cursor *c, lsm_filemeta *const **files, size_t *count) {
  lsm_slice lo = lsm_buf_slice(&c->lower), hi = lsm_buf_slice(&c->upper);
  size_t first = lsm_files_find(*files, *count, lo);
  size_t end = first;
  while (end < *count && lsm_filemeta_overlaps((*files)[end], lo, hi, true)) end++;
  *files += first;
  *count = end - first;
}

/* The place of the next run's iterator, NULL in it if there is none yet. */
static lsm_iter **next_run(lsm_cursor *c) {
  if (c->nruns == c->runs_cap) {
    size_t cap = c->runs_cap == 0 ? 8 : 2 * c->runs_cap;
    lsm_iter **p = lsm_realloc(c->runs, cap * sizeof(lsm_iter *));
    if (p == NULL) return NULL;
    c->runs = p;
    c->runs_cap = cap;
  }
  if (c->nruns == c->runs_made) c->runs[c->runs_made++] = NULL;
  return &c->runs[c->nruns++];
}

static lsm_rc add_run(lsm_cursor *c, lsm_filemeta *const *files, size_t count) {
  lsm_table_cache *tables = c->snap->db->tables;
  lsm_run_ranges *rr = NULL;
  lsm_ranges ranges = {NULL, NULL};
  clip_run(c, &files, &count);
  if (count == 0) return LSM_OK;
  lsm_iter **it = next_run(c);
  if (it == NULL) return lsm_nomem();
  lsm_rc rc = lsm_run_iter_reuse(it, tables, &c->snap->pins, files, count, true);
  if (rc == LSM_OK) rc = lsm_run_ranges_new(tables, files, count, &rr, &ranges);
  return rc == LSM_OK ? add_source(c, *it, ranges, rr) : rc;
}

static lsm_rc add_tree(lsm_cursor *c, const lsm_version *v) {
  lsm_rc rc = LSM_OK;
  const lsm_tree *t = v != NULL ? lsm_version_tree(v, c->keyspace) : NULL;
  if (t == NULL) return LSM_OK;
  const lsm_level *l0 = &t->levels[0];
  for (size_t i = 0; i < l0->count && rc == LSM_OK;) {
    size_t n = lsm_run_length(l0, i);
    rc = add_run(c, l0->files + i, n);
    i += n;
  }
  for (int l = 1; l < LSM_MAX_LEVELS && rc == LSM_OK; l++) {
    if (t->levels[l].count > 0) rc = add_run(c, t->levels[l].files, t->levels[l].count);
  }
  return rc;
}

static lsm_rc add_views(lsm_cursor *c) {
  lsm_rc rc = LSM_OK;
  /* Of a keyspace that was dropped, or made since, only the overlay counts. */
  bool there = lsm_version_tree(c->snap->version, c->keyspace) != NULL;
  int nviews = there ? c->snap->nviews : c->snap->noverlays;
  for (int i = 0; i < nviews && rc == LSM_OK; i++) {
    const lsm_memview *v = &c->snap->views[i];
    if (v->mt != NULL) {
      lsm_iter **it = &c->mems[c->nmems++];
      rc = lsm_memview_iter_reuse(it, v);
      if (rc == LSM_OK) rc = add_source(c, *it, lsm_memview_ranges(v), NULL);
    }
    if (rc == LSM_OK) rc = add_tree(c, c->snap->runs[i]);
  }
  return rc;
}

static lsm_rc set_key(lsm_buf *buf, uint32_t keyspace, lsm_slice key) {
  lsm_buf_clear(buf);
  lsm_rc rc = lsm_buf_reserve(buf, LSM_PREFIX_MAX + key.size);
  if (rc != LSM_OK) return rc;
  size_t n = lsm_prefix_put(buf->data, keyspace);
  if (key.size > 0) memcpy(buf->data + n, key.data, key.size);
  buf->size = n + key.size;
  return LSM_OK;
}

/* Puts a merge over the sources, unless one is all there is, and a view over that. */
static lsm_rc build_iter(lsm_cursor *c) {
  lsm_iter *inner = c->nsources == 1 ? c->sources[0].iter : NULL;
  lsm_rc rc = LSM_OK;
  if (inner == NULL) {
    rc = lsm_merge_reuse(&c->merge, c->sources, (int)c->nsources);
    inner = c->merge;
  }
  if (rc == LSM_OK && lsm_keyspace_expires(c->snap->db, c->snap->version, c->keyspace)) {
    rc = lsm_live_reuse(&c->idle_live, inner, c->keyspace, lsm_snapshot_now(c->snap),
                        c->snap->db->dir);
    inner = c->live = c->idle_live;
  }
  if (rc != LSM_OK) return rc;
  return lsm_view_reuse(&c->iter, inner, lsm_buf_slice(&c->lower), lsm_buf_slice(&c->upper));
}

/*------------------------------------------------------------ open, close */

static void free_cursor(lsm_cursor *c) {
  if (c == NULL) return;
  lsm_iter_free(c->iter);
  lsm_iter_free(c->idle_live);
  lsm_iter_free(c->merge);
  for (int i = 0; i < LSM_SNAPSHOT_VIEWS; i++) lsm_iter_free(c->mems[i]);
  for (size_t i = 0; i < c->runs_made; i++) lsm_iter_free(c->runs[i]);
  lsm_free(c->runs);
  lsm_free(c->sources);
  lsm_free(c->run_ranges);
  lsm_buf_fini(&c->lower);
  lsm_buf_fini(&c->upper);
  lsm_buf_fini(&c->target);
  lsm_free(c);
}

static lsm_cursor *take_idle(lsm_db *db) {
  for (int i = 0; i < LSM_IDLE_CURSORS; i++) {
    if (atomic_load_explicit(&db->idle[i], memory_order_relaxed) == NULL) continue;
    lsm_cursor *c = atomic_exchange_explicit(&db->idle[i], NULL, memory_order_acquire);
    if (c != NULL) return c;
  }
  return lsm_calloc(sizeof(lsm_cursor));
}

static void give_idle(lsm_db *db, lsm_cursor *c) {
  bool small = c->runs_made <= IDLE_RUNS && c->lower.cap <= IDLE_KEY && c->upper.cap <= IDLE_KEY &&
               c->target.cap <= IDLE_KEY;
  for (int i = 0; i < LSM_IDLE_CURSORS && small; i++) {
    lsm_cursor *none = NULL;
    if (atomic_load_explicit(&db->idle[i], memory_order_relaxed) == NULL &&
        atomic_compare_exchange_strong_explicit(&db->idle[i], &none, c, memory_order_release,
                                                memory_order_relaxed)) {
      return;
    }
  }
  free_cursor(c);
}

void lsm_cursors_free_idle(lsm_db *db) {
  for (int i = 0; i < LSM_IDLE_CURSORS; i++) free_cursor(atomic_exchange(&db->idle[i], NULL));
}

lsm_rc lsm_cursor_open(lsm_snapshot *snap, uint32_t keyspace, lsm_slice lower, lsm_slice upper,
                       lsm_cursor **out) {
  *out = NULL;
  lsm_cursor *c = take_idle(snap->db);
  if (c == NULL) return lsm_nomem();
  c->snap = lsm_snapshot_ref(snap);
  c->keyspace = keyspace;
  lsm_rc rc = set_key(&c->lower, keyspace, lower);
  if (rc == LSM_OK) {
    rc = upper.data != NULL ? set_key(&c->upper, keyspace, upper)
                            : set_key(&c->upper, keyspace + 1, LSM_SLICE_NULL);
  }
  c->prefix = c->lower.size - lower.size;
  if (rc == LSM_OK) rc = add_views(c);
  if (rc == LSM_OK) rc = add_tree(c, c->snap->version);
  if (rc == LSM_OK) rc = build_iter(c);
  if (rc != LSM_OK) {
    lsm_cursor_close(c);
    return rc;
  }
  *out = c;
  return LSM_OK;
}

void lsm_cursor_close(lsm_cursor *c) {
  if (c == NULL) return;
  lsm_snapshot *snap = c->snap;
  for (size_t i = 0; i < c->nruns; i++) {
    if (c->runs[i] != NULL) lsm_run_iter_close(c->runs[i]);
  }
  for (size_t i = 0; i < c->nsources; i++) lsm_run_ranges_free(c->run_ranges[i]);
  c->nsources = c->nruns = 0;
  c->nmems = 0;
  c->live = NULL;
  c->snap = NULL;
  give_idle(snap->db, c);
  lsm_snapshot_release(snap);
}

/*------------------------------------------------------------------ moves */

lsm_rc lsm_cursor_first(lsm_cursor *c) {
  LSM_COUNT(c->snap->db, scans, 1);
  return c->iter->ops->first(c->iter);
}

lsm_rc lsm_cursor_last(lsm_cursor *c) {
  LSM_COUNT(c->snap->db, scans, 1);
  return c->iter->ops->last(c->iter);
}

lsm_rc lsm_cursor_seek_ge(lsm_cursor *c, lsm_slice key) {
  LSM_COUNT(c->snap->db, scans, 1);
  lsm_rc rc = set_key(&c->target, c->keyspace, key);
  return rc == LSM_OK ? c->iter->ops->seek_ge(c->iter, lsm_buf_slice(&c->target)) : rc;
}

lsm_rc lsm_cursor_seek_le(lsm_cursor *c, lsm_slice key) {
  LSM_COUNT(c->snap->db, scans, 1);
  lsm_rc rc = set_key(&c->target, c->keyspace, key);
  return rc == LSM_OK ? c->iter->ops->seek_le(c->iter, lsm_buf_slice(&c->target)) : rc;
}

lsm_rc lsm_cursor_next(lsm_cursor *c) { return c->iter->ops->next(c->iter); }
lsm_rc lsm_cursor_prev(lsm_cursor *c) { return c->iter->ops->prev(c->iter); }

uint64_t lsm_cursor_ahead(const lsm_cursor *c) {
  return c->iter->ops->ahead(c->iter, LSM_SLICE_NULL);
}

lsm_rc lsm_cursor_pass(lsm_cursor *c, uint64_t n) {
  lsm_iter *it = c->iter;
  lsm_rc rc = LSM_OK;
  while (n > 0 && rc == LSM_OK && it->valid) {
    uint64_t ahead = it->ops->ahead(it, LSM_SLICE_NULL);
    uint64_t some = n <= ahead ? n : ahead + 1;
    rc = ahead > 0 ? it->ops->pass(it, some) : it->ops->next(it);
    n -= some;
  }
  return rc;
}

bool lsm_cursor_valid(const lsm_cursor *c) { return c->iter->valid; }

lsm_slice lsm_cursor_key(const lsm_cursor *c) {
  return lsm_slice_of(c->iter->key.data + c->prefix, c->iter->key.size - c->prefix);
}

lsm_slice lsm_cursor_value(const lsm_cursor *c) { return c->iter->value; }

bool lsm_cursor_pair(const lsm_cursor *c, lsm_slice *key, lsm_slice *value) {
  const lsm_iter *it = c->iter;
  if (!it->valid) return false;
  *key = lsm_slice_of(it->key.data + c->prefix, it->key.size - c->prefix);
  *value = it->value;
  return true;
}

uint64_t lsm_cursor_until(const lsm_cursor *c) {
  return c->live != NULL ? lsm_live_until(c->live) : 0;
}
