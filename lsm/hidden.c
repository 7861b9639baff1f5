/* hidden.c: how much of a keyspace nobody can see any more, because something newer has
** taken its place: what merging would give back.
**
** Nothing keeps count: a blind write does not know what it replaces. So some keys of
** the newer runs are looked up in the older ones, at even distances by number of
** entries; the share that is found there is the share of what hides something. What a
** range tombstone hides the indexes of older files tell. Levels say before anything is
** read whether newer runs have enough entries at all. */
#include "db_int.h"

#define SAMPLES 64

/* One source of a tree: a run of level 0, or a level. */
typedef struct source {
  lsm_filemeta *const *files;
  size_t count;
  uint64_t entries;
} source;

#define SOURCES_MAX 128 /* more are not looked at: merging has other reasons then */

static void add_source(source *s, size_t *n, lsm_filemeta *const *files, size_t count) {
  if (count == 0 || *n == SOURCES_MAX) return;
  source *x = &s[(*n)++];
  x->files = files;
  x->count = count;
  x->entries = 0;
  for (size_t i = 0; i < count; i++) x->entries += files[i]->entries;
}

/* Newest first. */
static size_t list_sources(const lsm_tree *t, source *s) {
  const lsm_level *l0 = &t->levels[0];
  size_t n = 0;
  for (size_t i = 0, len; i < l0->count; i += len) {
    len = lsm_run_length(l0, i);
    add_source(s, &n, l0->files + i, len);
  }
  for (int l = 1; l < LSM_MAX_LEVELS; l++) {
    add_source(s, &n, t->levels[l].files, t->levels[l].count);
  }
  return n;
}

/* Has the source an entry for the key? */
static lsm_rc has_key(lsm_db *db, const source *s, lsm_slice key, uint64_t hash, bool *has) {
  size_t at = lsm_files_find(s->files, s->count, key);
  *has = false;
  if (at == s->count || !lsm_filemeta_contains(s->files[at], key)) return LSM_OK;
  lsm_sst *sst = NULL;
  lsm_block *pin = NULL;
  lsm_kind kind;
  lsm_slice value;
  lsm_rc rc = lsm_table_cache_get(db->tables, s->files[at], &sst);
  if (rc != LSM_OK) return rc;
  rc = lsm_sst_get(sst, key, hash, &kind, &value, &pin);
  lsm_block_unpin(db->cache, pin);
  lsm_table_cache_unpin(db->tables, sst);
  *has = rc == LSM_OK;
  return rc == LSM_NOTFOUND ? LSM_OK : rc;
}

/* The key of about the nth entry of a source; none: *key is empty. */
static lsm_rc sample(lsm_db *db, const source *s, uint64_t nth, lsm_buf *key) {
  size_t i = 0;
  while (i + 1 < s->count && nth >= s->files[i]->entries) nth -= s->files[i++]->entries;
  lsm_buf_clear(key);
  if (s->files[i]->entries == 0) return LSM_OK;
  lsm_sst *sst = NULL;
  lsm_rc rc = lsm_table_cache_get(db->tables, s->files[i], &sst);
  if (rc != LSM_OK) return rc;
  rc = lsm_sst_sample(sst, (double)nth / (double)s->files[i]->entries, key);
  lsm_table_cache_unpin(db->tables, sst);
  return rc;
}

/* Samples of all sources but the last; *hits of SAMPLES hide something. */
static lsm_rc count_hits(lsm_db *db, const source *s, size_t n, uint64_t newer, int *hits) {
  lsm_buf key = {0};
  lsm_rc rc = LSM_OK;
  *hits = 0;
  for (uint64_t k = 0; k < SAMPLES && rc == LSM_OK; k++) {
    uint64_t nth = newer / SAMPLES * k + newer / SAMPLES / 2;
    size_t from = 0;
    while (from + 1 < n && nth >= s[from].entries) nth -= s[from++].entries;
    rc = sample(db, &s[from], nth, &key);
    bool has = false;
    uint64_t hash = lsm_hash64(lsm_buf_slice(&key), 0);
    for (size_t i = from + 1; i < n && rc == LSM_OK && key.size > 0 && !has; i++) {
      rc = has_key(db, &s[i], lsm_buf_slice(&key), hash, &has);
    }
    *hits += has;
  }
  lsm_buf_fini(&key);
  return rc;
}

/* About how many entries of a file lie in the range: its index says where the bounds
** are. */
static lsm_rc covered_of(lsm_db *db, const lsm_filemeta *f, const lsm_range *r, uint64_t *n) {
  bool cut_lo = lsm_slice_cmp(f->smallest, r->lo) < 0, cut_hi = lsm_slice_cmp(f->largest, r->hi) > 0;
  double from = 0, to = 1;
  if (cut_lo || cut_hi) {
    lsm_sst *sst = NULL;
    lsm_rc rc = lsm_table_cache_get(db->tables, f, &sst);
    if (rc != LSM_OK) return rc;
    if (cut_lo) from = lsm_sst_position(sst, r->lo);
    if (cut_hi) to = lsm_sst_position(sst, r->hi);
    lsm_table_cache_unpin(db->tables, sst);
  }
  if (to > from) *n += (uint64_t)((to - from) * (double)f->entries);
  return LSM_OK;
}

/* Entries that the range, of a source before these, hides. */
static lsm_rc add_covered(lsm_db *db, const source *s, size_t n, const lsm_range *r,
                          uint64_t *covered) {
  lsm_rc rc = LSM_OK;
  for (size_t i = 0; i < n; i++) {
    for (size_t k = lsm_files_find(s[i].files, s[i].count, r->lo); k < s[i].count; k++) {
      if (rc != LSM_OK || !lsm_filemeta_overlaps(s[i].files[k], r->lo, r->hi, true)) break;
      rc = covered_of(db, s[i].files[k], r, covered);
    }
  }
  return rc;
}

static lsm_rc count_covered(lsm_db *db, const source *s, size_t n, uint64_t *covered) {
  lsm_rc rc = LSM_OK;
  *covered = 0;
  for (size_t i = 0; i + 1 < n; i++) {
    for (size_t k = 0; k < s[i].count && rc == LSM_OK; k++) {
      lsm_sst *sst = NULL;
      if (s[i].files[k]->ranges == 0) continue;
      rc = lsm_table_cache_get(db->tables, s[i].files[k], &sst);
      const lsm_rangeset *set = rc == LSM_OK ? lsm_sst_ranges(sst) : NULL;
      for (size_t r = 0; rc == LSM_OK && r < set->count && r < SAMPLES; r++) {
        rc = add_covered(db, s + i + 1, n - i - 1, &set->items[r], covered);
      }
      lsm_table_cache_unpin(db->tables, sst);
    }
  }
  return rc;
}

lsm_rc lsm_tree_hides_much(lsm_db *db, const lsm_tree *t, bool *much) {
  source s[SOURCES_MAX];
  size_t n = list_sources(t, s);
  uint64_t newer = 0, ranges = 0, bytes = 0;
  *much = false;
  if (n < 2) return LSM_OK;
  for (size_t i = 0; i < n; i++) {
    for (size_t k = 0; k < s[i].count; k++) {
      bytes += s[i].files[k]->size;
      if (i + 1 < n) ranges += s[i].files[k]->ranges;
    }
    if (i + 1 < n) newer += s[i].entries;
  }
  uint64_t least = (newer + s[n - 1].entries) / LSM_HIDDEN_SHARE;
  if (bytes < LSM_HIDDEN_JOBS * db->picker.rest_bytes || (newer < least && ranges == 0)) {
    return LSM_OK;
  }
  uint64_t hidden = 0;
  int hits = 0;
  lsm_rc rc = ranges > 0 ? count_covered(db, s, n, &hidden) : LSM_OK;
  if (rc == LSM_OK && newer >= least) rc = count_hits(db, s, n, newer, &hits);
  hidden += newer / SAMPLES * (uint64_t)hits;
  *much = rc == LSM_OK && hidden > 0 && hidden >= least;
  return rc;
}
