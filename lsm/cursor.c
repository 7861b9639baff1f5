/* cursor.c: scans. A cursor is a merge over the sources of a snapshot that
** meet its bounds, under a view that hides tombstones; the keyspace's prefix
** is put on at the way in and taken off at the way out. */
#include "db_int.h"
#include "merge.h"

struct lsm_cursor {
  lsm_snapshot *snap;
  lsm_iter *iter;
  lsm_iter *live; /* below iter, where values expire: knows when; else NULL */
  size_t prefix; /* bytes of the keyspace number in front of each key */
  uint32_t keyspace;
  lsm_buf lower, upper, target; /* internal keys */
  lsm_source *sources;
  size_t nsources, cap;
  lsm_run_ranges **run_ranges; /* as many as sources, NULL where none */
};

static lsm_rc add_source(lsm_cursor *c, lsm_iter *it, lsm_ranges ranges, lsm_run_ranges *rr) {
  if (c->nsources == c->cap) {
    size_t cap = c->cap == 0 ? 8 : 2 * c->cap;
    lsm_source *s = lsm_realloc(c->sources, cap * sizeof(*s));
    if (s != NULL) c->sources = s;
    lsm_run_ranges **r = lsm_realloc(c->run_ranges, cap * sizeof(lsm_run_ranges *));
    if (r != NULL) c->run_ranges = r;
    if (s == NULL || r == NULL) {
      lsm_iter_free(it);
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

static lsm_rc add_run(lsm_cursor *c, lsm_filemeta *const *files, size_t count) {
  lsm_table_cache *tables = c->snap->db->tables;
  lsm_run_ranges *rr = NULL;
  lsm_ranges ranges = {NULL, NULL};
  lsm_iter *it = NULL;
  clip_run(c, &files, &count);
  if (count == 0) return LSM_OK;
  lsm_rc rc = lsm_run_iter(tables, files, count, true, &it);
  if (rc == LSM_OK) rc = lsm_run_ranges_new(tables, files, count, &rr, &ranges);
  if (rc != LSM_OK) {
    lsm_iter_free(it);
    return rc;
  }
  return add_source(c, it, ranges, rr);
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
    lsm_iter *it = NULL;
    if (c->snap->views[i].mt != NULL) {
      rc = lsm_memview_iter(&c->snap->views[i], &it);
      if (rc == LSM_OK) rc = add_source(c, it, lsm_memview_ranges(&c->snap->views[i]), NULL);
    }
    if (rc == LSM_OK) rc = add_tree(c, c->snap->runs[i]);
  }
  return rc;
}

static lsm_rc set_key(lsm_buf *buf, uint32_t keyspace, lsm_slice key) {
  uint8_t prefix[LSM_PREFIX_MAX];
  size_t n = lsm_prefix_put(prefix, keyspace);
  lsm_buf_clear(buf);
  lsm_rc rc = lsm_buf_append(buf, prefix, n);
  if (rc == LSM_OK && key.size > 0) rc = lsm_buf_append(buf, key.data, key.size);
  return rc;
}

/* Hands the sources to a merge, the merge to a view. */
static lsm_rc build_iter(lsm_cursor *c) {
  lsm_iter *merge = NULL;
  size_t n = c->nsources;
  lsm_rc rc = lsm_merge_new(c->sources, (int)n, &merge); /* owns the iterators now */
  for (size_t i = 0; i < n; i++) c->sources[i].iter = NULL;
  if (rc != LSM_OK) return rc;
  if (lsm_keyspace_expires(c->snap->db, c->snap->version, c->keyspace)) {
    rc = lsm_live_new(merge, c->keyspace, lsm_snapshot_now(c->snap), c->snap->db->dir, &c->live);
    if (rc != LSM_OK) return rc;
    merge = c->live;
  }
  return lsm_view_new(merge, lsm_buf_slice(&c->lower), lsm_buf_slice(&c->upper), &c->iter);
}

lsm_rc lsm_cursor_open(lsm_snapshot *snap, uint32_t keyspace, lsm_slice lower, lsm_slice upper,
                       lsm_cursor **out) {
  *out = NULL;
  lsm_cursor *c = lsm_calloc(sizeof(*c));
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
  lsm_iter_free(c->iter);
  for (size_t i = 0; i < c->nsources; i++) {
    lsm_iter_free(c->sources[i].iter); /* only when the merge was never made */
    lsm_run_ranges_free(c->run_ranges[i]);
  }
  lsm_free(c->sources);
  lsm_free(c->run_ranges);
  lsm_buf_fini(&c->lower);
  lsm_buf_fini(&c->upper);
  lsm_buf_fini(&c->target);
  lsm_snapshot_release(c->snap);
  lsm_free(c);
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
bool lsm_cursor_valid(const lsm_cursor *c) { return c->iter->valid; }

lsm_slice lsm_cursor_key(const lsm_cursor *c) {
  return lsm_slice_of(c->iter->key.data + c->prefix, c->iter->key.size - c->prefix);
}

lsm_slice lsm_cursor_value(const lsm_cursor *c) { return c->iter->value; }

uint64_t lsm_cursor_until(const lsm_cursor *c) {
  return c->live != NULL ? lsm_live_until(c->live) : 0;
}
