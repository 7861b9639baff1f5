/* run_iter.c: a run (a level, or a run of level 0) as one source of a merge:
** its points as an iterator, its range tombstones as an lsm_ranges.
**
** Owns:  lsm_run_iter's iterator, with at most one table pinned; lsm_run_ranges
**        with all those tables of the run pinned that have range tombstones.
** Holds: files are sorted and disjoint, so the one that may contain a key is
**        found by their bounds; files without points are never opened by the
**        iterator. */
#include "sst_iter.h"
#include "table_cache.h"

/*---------------------------------------------------------------- iterator */

typedef struct run_iter {
  lsm_sst_walk walk; /* first: what the walk stands on is what the whole stands on */
  lsm_table_cache *tc;
  lsm_table_pins *pins; /* NULL: each table is pinned and unpinned */
  lsm_filemeta *const *files;
  size_t count;
  bool fill_cache;
  bool own;     /* the pin on the table that is open */
  size_t at;    /* the file the walk is over */
  lsm_sst *sst; /* its table; NULL: none is open */
} run_iter;

static void close_file(run_iter *r) {
  lsm_sst_walk_detach(&r->walk);
  if (r->own) lsm_table_cache_unpin(r->tc, r->sst);
  r->own = false;
  r->sst = NULL;
}

static lsm_rc open_file(run_iter *r, size_t at) {
  if (r->sst != NULL && r->at == at) return LSM_OK;
  close_file(r);
  r->at = at;
  lsm_rc rc = lsm_table_pins_get(r->pins, r->tc, r->files[at], &r->sst, &r->own);
  if (rc != LSM_OK) {
    r->sst = NULL;
    r->own = false;
    return rc;
  }
  lsm_sst_walk_attach(&r->walk, r->sst, r->fill_cache);
  return LSM_OK;
}

/* The first entry of files[at], or of a later file. */
static lsm_rc first_from(run_iter *r, size_t at) {
  lsm_rc rc = LSM_OK;
  bool found = false;
  for (; at < r->count && rc == LSM_OK && !found; at++) {
    if (r->files[at]->entries == 0) continue;
    rc = open_file(r, at);
    if (rc == LSM_OK) rc = lsm_sst_walk_first(&r->walk);
    found = rc == LSM_OK && r->walk.b.base.valid;
  }
  r->walk.b.base.valid = found;
  return rc;
}

/* The last entry of files[end - 1], or of an earlier file. */
static lsm_rc last_before(run_iter *r, size_t end) {
  lsm_rc rc = LSM_OK;
  bool found = false;
  for (; end > 0 && rc == LSM_OK && !found; end--) {
    if (r->files[end - 1]->entries == 0) continue;
    rc = open_file(r, end - 1);
    if (rc == LSM_OK) rc = lsm_sst_walk_last(&r->walk);
    found = rc == LSM_OK && r->walk.b.base.valid;
  }
  r->walk.b.base.valid = found;
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
  it->valid = false;
  size_t at = lsm_files_find(r->files, r->count, key);
  if (at == r->count) return LSM_OK;
  if (r->files[at]->entries == 0) return first_from(r, at + 1);
  lsm_rc rc = open_file(r, at);
  if (rc == LSM_OK) rc = lsm_sst_walk_seek_ge(&r->walk, key);
  return rc != LSM_OK || it->valid ? rc : first_from(r, at + 1);
}

static lsm_rc run_seek_le(lsm_iter *it, lsm_slice key) {
  run_iter *r = (run_iter *)it;
  it->valid = false;
  size_t at = lsm_files_find(r->files, r->count, key);
  if (at == r->count || r->files[at]->entries == 0 ||
      lsm_slice_cmp(r->files[at]->smallest, key) > 0) {
    return last_before(r, at);
  }
  lsm_rc rc = open_file(r, at);
  if (rc == LSM_OK) rc = lsm_sst_walk_seek_le(&r->walk, key);
  return rc != LSM_OK || it->valid ? rc : last_before(r, at);
}

static lsm_rc run_next(lsm_iter *it) {
  run_iter *r = (run_iter *)it;
  lsm_rc rc = lsm_sst_walk_next(&r->walk);
  return rc != LSM_OK || LSM_LIKELY(it->valid) ? rc : first_from(r, r->at + 1);
}

static lsm_rc run_prev(lsm_iter *it) {
  run_iter *r = (run_iter *)it;
  lsm_rc rc = lsm_sst_walk_prev(&r->walk);
  return rc != LSM_OK || LSM_LIKELY(it->valid) ? rc : last_before(r, r->at);
}

static uint64_t run_ahead(lsm_iter *it, lsm_slice bound) {
  return lsm_sst_walk_ahead(&((run_iter *)it)->walk, bound);
}

static lsm_rc run_pass(lsm_iter *it, uint64_t n) {
  run_iter *r = (run_iter *)it;
  lsm_rc rc = lsm_sst_walk_pass(&r->walk, n);
  return rc != LSM_OK || it->valid ? rc : first_from(r, r->at + 1);
}

static void run_free(lsm_iter *it) {
  run_iter *r = (run_iter *)it;
  close_file(r);
  lsm_sst_walk_fini(&r->walk);
  lsm_free(r);
}

static const lsm_iter_ops run_ops = {run_first, run_last, run_seek_ge, run_seek_le,
                                     run_next,  run_prev, run_free,    run_ahead,
                                     run_pass};

lsm_rc lsm_run_iter_reuse(lsm_iter **it, lsm_table_cache *tc, lsm_table_pins *pins,
                          lsm_filemeta *const *files, size_t count, bool fill_cache) {
  run_iter *r = (run_iter *)*it;
  if (r == NULL) {
    r = lsm_calloc(sizeof *r);
    if (r == NULL) return lsm_nomem();
    r->walk.b.base.ops = &run_ops;
    *it = &r->walk.b.base;
  }
  close_file(r);
  r->walk.b.base.valid = false;
  r->tc = tc;
  r->pins = pins;
  r->files = files;
  r->count = count;
  r->fill_cache = fill_cache;
  return LSM_OK;
}

void lsm_run_iter_close(lsm_iter *it) {
  close_file((run_iter *)it);
  it->valid = false;
}

lsm_rc lsm_run_iter(lsm_table_cache *tc, lsm_filemeta *const *files, size_t count, bool fill_cache,
                    lsm_iter **it) {
  *it = NULL;
  return lsm_run_iter_reuse(it, tc, NULL, files, count, fill_cache);
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
