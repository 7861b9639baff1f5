/* gc.c: what lies below a compaction, as disjoint spans of keys.
**
** Owns:  an array of spans made once from the files' bounds; a hint where the
**        last question fell.
** Holds: spans rise and do not meet. Their bounds are borrowed from the files.
**
** Rising questions move the hint forward, so a whole compaction costs one pass
** over the spans. A question that goes back is answered too, by a search:
** a wrong "nothing below" would bring deleted rows back. */
#include "gc.h"

#include <stdlib.h>

/* Keys lo <= k <= hi, or < hi when open. */
typedef struct span {
  lsm_slice lo;
  lsm_slice hi;
  bool open;
} span;

struct lsm_gc {
  size_t count;
  size_t hint; /* all spans before it end before the last key asked for */
  span spans[];
};

static int by_lo(const void *a, const void *b) {
  return lsm_slice_cmp(((const span *)a)->lo, ((const span *)b)->lo);
}

/* Does key lie behind all of s? */
static bool ends_before(const span *s, lsm_slice key) {
  int c = lsm_slice_cmp(s->hi, key);
  return c < 0 || (c == 0 && s->open);
}

/* Joins spans that meet; they are sorted by lo. */
static size_t coalesce(span *s, size_t n) {
  size_t m = 0;
  for (size_t i = 0; i < n; i++) {
    if (m == 0 || ends_before(&s[m - 1], s[i].lo)) {
      s[m++] = s[i];
      continue;
    }
    int c = lsm_slice_cmp(s[i].hi, s[m - 1].hi);
    if (c > 0 || (c == 0 && !s[i].open)) {
      s[m - 1].hi = s[i].hi;
      s[m - 1].open = s[i].open;
    }
  }
  return m;
}

lsm_rc lsm_gc_new(lsm_filemeta *const *files, size_t count, lsm_gc **out) {
  *out = NULL;
  lsm_gc *gc = lsm_malloc(sizeof *gc + count * sizeof gc->spans[0]);
  if (gc == NULL) return lsm_nomem();
  for (size_t i = 0; i < count; i++) {
    gc->spans[i].lo = files[i]->smallest;
    gc->spans[i].hi = files[i]->largest;
    gc->spans[i].open = files[i]->largest_open;
  }
  if (count > 1) qsort(gc->spans, count, sizeof gc->spans[0], by_lo);
  gc->count = coalesce(gc->spans, count);
  gc->hint = 0;
  *out = gc;
  return LSM_OK;
}

void lsm_gc_free(lsm_gc *gc) {
  lsm_free(gc);
}

/* Index of the first span that does not end before key. */
static size_t search(const lsm_gc *gc, lsm_slice key) {
  size_t lo = 0, hi = gc->count;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (ends_before(&gc->spans[mid], key)) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

bool lsm_gc_keep_tombstone(lsm_gc *gc, lsm_slice key) {
  if (LSM_UNLIKELY(gc->hint > 0 && !ends_before(&gc->spans[gc->hint - 1], key))) {
    gc->hint = search(gc, key);
  }
  while (gc->hint < gc->count && ends_before(&gc->spans[gc->hint], key)) gc->hint++;
  return gc->hint < gc->count && lsm_slice_cmp(gc->spans[gc->hint].lo, key) <= 0;
}

bool lsm_gc_keep_range(const lsm_gc *gc, lsm_slice lo, lsm_slice hi) {
  size_t i = search(gc, lo);
  return i < gc->count && lsm_slice_cmp(gc->spans[i].lo, hi) < 0;
}
