/* run_iter.c: a run (a level, or a run of level 0) as one source of a merge:
** its points as an iterator, its range tombstones as an lsm_ranges.
**
** Owns:  lsm_run_iter's iterator, with at most one table pinned; lsm_run_ranges
**        with all those tables of the run pinned that have range tombstones.
** Holds: files are sorted and disjoint, so the one that may contain a key is
**        found by their bounds; files without points are never opened by the
**        iterator. */
#include "table_cache.h"

/*---------------------------------------------------------------- iterator */

typedef struct run_iter {
  lsm_iter it; /* first: an lsm_iter * is a run_iter * */
  lsm_table_cache *tc;
  lsm_filemeta *const *files;
  size_t count;
  bool fill_cache;
  size_t at;     /* the file cur is of */
  lsm_sst *sst;  /* its table, pinned; NULL with cur */
  lsm_iter *cur; /* NULL: none is open */
} run_iter;

static void close_file(run_iter *r) {
  lsm_iter_free(r->cur);
  r->cur = NULL;
  lsm_table_cache_unpin(r->tc, r->sst);
  r->sst = NULL;
}

static lsm_rc open_file(run_iter *r, size_t at) {
  if (r->cur != NULL && r->at == at) return LSM_OK;
  close_file(r);
  r->at = at;
  lsm_rc rc = lsm_table_cache_get(r->tc, r->files[at], &r->sst);
  if (rc == LSM_OK) rc = lsm_sst_iter(r->sst, r->fill_cache, &r->cur);
  if (rc != LSM_OK) {
    r->cur = NULL;
    close_file(r);
  }
  return rc;
}

/* Shows what cur stands on, rc permitting. */
static lsm_rc show(run_iter *r, lsm_rc rc) {
  r->it.valid = rc == LSM_OK && r->cur != NULL && r->cur->valid;
  if (r->it.valid) {
    r->it.kind = r->cur->kind;
    r->it.key = r->cur->key;
    r->it.value = r->cur->value;
  }
  return rc;
}

/* The first entry of files[at], or of a later file. */
static lsm_rc first_from(run_iter *r, size_t at) {
  lsm_rc rc = LSM_OK;
  r->it.valid = false;
  for (; at < r->count && rc == LSM_OK && !r->it.valid; at++) {
    if (r->files[at]->entries == 0) continue;
    rc = open_file(r, at);
    if (rc == LSM_OK) rc = r->cur->ops->first(r->cur);
    (void)show(r, rc);
  }
  return rc;
}

/* The last entry of files[end - 1], or of an earlier file. */
static lsm_rc last_before(run_iter *r, size_t end) {
  lsm_rc rc = LSM_OK;
  r->it.valid = false;
  for (; end > 0 && rc == LSM_OK && !r->it.valid; end--) {
    if (r->files[end - 1]->entries == 0) continue;
    rc = open_file(r, end - 1);
    if (rc == LSM_OK) rc = r->cur->ops->last(r->cur);
    (void)show(r, rc);
  }
  return rc;
}

static lsm_rc run_first(lsm_iter *it) {
  return first_from((run_iter *)it, 0);
}

static lsm_rc run_last(lsm_iter *it) {
  run_iter *r = (run_iter *)it;
  return last_before(r, r->count);
}

static lsm_rc run_seek_ge(lsm_iter *it, lsm_slice key) {
  run_iter *r = (run_iter *)it;
  r->it.valid = false;
  size_t at = lsm_files_find(r->files, r->count, key);
  if (at == r->count) return LSM_OK;
  if (r->files[at]->entries == 0) return first_from(r, at + 1);
  lsm_rc rc = open_file(r, at);
  if (rc == LSM_OK) rc = r->cur->ops->seek_ge(r->cur, key);
  (void)show(r, rc);
  return rc != LSM_OK || it->valid ? rc : first_from(r, at + 1);
}

static lsm_rc run_seek_le(lsm_iter *it, lsm_slice key) {
  run_iter *r = (run_iter *)it;
  r->it.valid = false;
  size_t at = lsm_files_find(r->files, r->count, key);
  if (at == r->count || r->files[at]->entries == 0 ||
      lsm_slice_cmp(r->files[at]->smallest, key) > 0) {
    return last_before(r, at);
  }
  lsm_rc rc = open_file(r, at);
  if (rc == LSM_OK) rc = r->cur->ops->seek_le(r->cur, key);
  (void)show(r, rc);
  return rc != LSM_OK || it->valid ? rc : last_before(r, at);
}

static lsm_rc run_next(lsm_iter *it) {
  run_iter *r = (run_iter *)it;
  lsm_rc rc = show(r, r->cur->ops->next(r->cur));
  return rc != LSM_OK || it->valid ? rc : first_from(r, r->at + 1);
}

static lsm_rc run_prev(lsm_iter *it) {
  run_iter *r = (run_iter *)it;
  lsm_rc rc = show(r, r->cur->ops->prev(r->cur));
  return rc != LSM_OK || it->valid ? rc : last_before(r, r->at);
}

static void run_free(lsm_iter *it) {
  run_iter *r = (run_iter *)it;
  close_file(r);
  lsm_free(r);
}

static const lsm_iter_ops run_ops = {run_first, run_last, run_seek_ge, run_seek_le,
                                     run_next,  run_prev, run_free};

lsm_rc lsm_run_iter(lsm_table_cache *tc, lsm_filemeta *const *files, size_t count, bool fill_cache,
                    lsm_iter **it) {
  *it = NULL;
  run_iter *r = lsm_calloc(sizeof *r);
  if (r == NULL) return lsm_nomem();
  r->it.ops = &run_ops;
  r->tc = tc;
  r->files = files;
  r->count = count;
  r->fill_cache = fill_cache;
  *it = &r->it;
  return LSM_OK;
}

/*-------------------------------------------------------- range tombstones */

typedef struct ranged_table {
  lsm_sst *sst;
  const lsm_rangeset *set;
} ranged_table;

struct lsm_run_ranges {
  lsm_table_cache *tc;
  size_t count;
  ranged_table *tables; /* those of the run that have ranges, in its order */
  lsm_filemeta **files; /* theirs; borrowed */
};

static bool run_find(const void *ctx, lsm_slice key, lsm_slice *lo, lsm_slice *hi) {
  const lsm_run_ranges *rr = ctx;
  size_t at = lsm_files_find(rr->files, rr->count, key);
  if (at == rr->count || lsm_slice_cmp(rr->files[at]->smallest, key) > 0) return false;
  const lsm_range *range = lsm_rangeset_find(rr->tables[at].set, key);
  if (range == NULL) return false;
  *lo = range->lo;
  *hi = range->hi;
  return true;
}

lsm_rc lsm_run_ranges_new(lsm_table_cache *tc, lsm_filemeta *const *files, size_t count,
                          lsm_run_ranges **out, lsm_ranges *ranges) {
  *out = NULL;
  *ranges = (lsm_ranges){NULL, NULL};
  lsm_rc rc = LSM_OK;
  size_t n = 0;
  for (size_t i = 0; i < count; i++) n += files[i]->ranges > 0;
  if (n == 0) return LSM_OK;
  lsm_run_ranges *rr = lsm_calloc(sizeof *rr);
  if (rr == NULL) return lsm_nomem();
  rr->tc = tc;
  rr->tables = lsm_calloc(n * sizeof *rr->tables);
  rr->files = lsm_calloc(n * sizeof *rr->files);
  if (rr->tables == NULL || rr->files == NULL) rc = lsm_nomem();
  for (size_t i = 0; i < count && rc == LSM_OK; i++) {
    if (files[i]->ranges == 0) continue;
    ranged_table *t = &rr->tables[rr->count];
    rc = lsm_table_cache_get(tc, files[i], &t->sst);
    if (rc != LSM_OK) break;
    t->set = lsm_sst_ranges(t->sst);
    rr->files[rr->count++] = files[i];
  }
  if (rc != LSM_OK) {
    lsm_run_ranges_free(rr);
    return rc;
  }
  *out = rr;
  *ranges = (lsm_ranges){run_find, rr};
  return LSM_OK;
}

void lsm_run_ranges_free(lsm_run_ranges *rr) {
  if (rr == NULL) return;
  for (size_t i = 0; i < rr->count; i++) lsm_table_cache_unpin(rr->tc, rr->tables[i].sst);
  lsm_free(rr->tables);
  lsm_free(rr->files);
  lsm_free(rr);
}
