/* rangeset.c: disjoint intervals of keys in a sorted array.
**
** Owns:  the array and the bytes of every bound, each its own allocation, so
**        that joining intervals moves bounds and copies none.
** Holds: items[i].lo < items[i].hi < items[i+1].lo: intervals that touch are
**        one interval.
** Bytes: nothing here reaches disk.
**
** A set is built in rising order as a rule (an SSTable's ranges, a compaction's
** output): adding at the end is O(log n), elsewhere it moves the tail. */
#include "iter.h"

/* Index of the first interval with hi > key; with touch, hi >= key. */
static size_t first_ending_after(const lsm_rangeset *set, lsm_slice key, bool touch) {
  size_t lo = 0, hi = set->count;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    int c = lsm_slice_cmp(set->items[mid].hi, key);
    if (c > 0 || (touch && c == 0)) {
      hi = mid;
    } else {
      lo = mid + 1;
    }
  }
  return lo;
}

static bool copy_slice(lsm_slice s, lsm_slice *copy) {
  uint8_t *p = lsm_malloc(s.size);
  if (p == NULL) return false;
  if (s.size > 0) memcpy(p, s.data, s.size);
  *copy = lsm_slice_of(p, s.size);
  return true;
}

static void free_slice(lsm_slice s) {
  lsm_free((void *)(uintptr_t)s.data);
}

static bool make_room(lsm_rangeset *set) {
  if (set->count < set->cap) return true;
  size_t cap = set->cap == 0 ? 4 : 2 * set->cap;
  lsm_range *items = lsm_realloc(set->items, cap * sizeof *items);
  if (items == NULL) return false;
  set->items = items;
  set->cap = cap;
  return true;
}

/* [lo, hi) becomes items[i]; nothing there overlaps or touches it. */
static lsm_rc insert_at(lsm_rangeset *set, size_t i, lsm_slice lo, lsm_slice hi) {
  lsm_range r = {LSM_SLICE_NULL, LSM_SLICE_NULL};
  if (!make_room(set) || !copy_slice(lo, &r.lo) || !copy_slice(hi, &r.hi)) {
    free_slice(r.lo);
    return lsm_nomem();
  }
  memmove(set->items + i + 1, set->items + i, (set->count - i) * sizeof *set->items);
  set->items[i] = r;
  set->count++;
  return LSM_OK;
}

/* items[i..j) and [lo, hi) become items[i]; REQUIRES i < j. */
static lsm_rc join(lsm_rangeset *set, size_t i, size_t j, lsm_slice lo, lsm_slice hi) {
  lsm_range *first = &set->items[i], *last = &set->items[j - 1];
  bool new_lo = lsm_slice_cmp(lo, first->lo) < 0;
  bool new_hi = lsm_slice_cmp(hi, last->hi) > 0;
  lsm_range r = {first->lo, last->hi};
  if (new_lo && !copy_slice(lo, &r.lo)) return lsm_nomem();
  if (new_hi && !copy_slice(hi, &r.hi)) {
    if (new_lo) free_slice(r.lo);
    return lsm_nomem();
  }
  for (size_t k = i; k < j; k++) {
    if (k > i || new_lo) free_slice(set->items[k].lo);
    if (k < j - 1 || new_hi) free_slice(set->items[k].hi);
  }
  set->items[i] = r;
  memmove(set->items + i + 1, set->items + j, (set->count - j) * sizeof *set->items);
  set->count -= j - i - 1;
  return LSM_OK;
}

lsm_rc lsm_rangeset_add(lsm_rangeset *set, lsm_slice lo, lsm_slice hi) {
  if (lsm_slice_cmp(lo, hi) >= 0) return LSM_OK;
  size_t i = first_ending_after(set, lo, true);
  size_t j = i;
  while (j < set->count && lsm_slice_cmp(set->items[j].lo, hi) <= 0) j++;
  return i == j ? insert_at(set, i, lo, hi) : join(set, i, j, lo, hi);
}

void lsm_rangeset_fini(lsm_rangeset *set) {
  for (size_t i = 0; i < set->count; i++) {
    free_slice(set->items[i].lo);
    free_slice(set->items[i].hi);
  }
  lsm_free(set->items);
  memset(set, 0, sizeof *set);
}

const lsm_range *lsm_rangeset_after(const lsm_rangeset *set, lsm_slice key) {
  size_t i = first_ending_after(set, key, false);
  return i == set->count ? NULL : &set->items[i];
}

const lsm_range *lsm_rangeset_find(const lsm_rangeset *set, lsm_slice key) {
  const lsm_range *r = lsm_rangeset_after(set, key);
  return r != NULL && lsm_slice_cmp(r->lo, key) <= 0 ? r : NULL;
}

static bool find_range(const void *ctx, lsm_slice key, lsm_slice *lo, lsm_slice *hi) {
  const lsm_range *r = lsm_rangeset_find(ctx, key);
  if (r == NULL) return false;
  *lo = r->lo;
  *hi = r->hi;
  return true;
}

lsm_ranges lsm_rangeset_ranges(const lsm_rangeset *set) {
  lsm_ranges none = {NULL, NULL};
  lsm_ranges some = {find_range, set};
  return set == NULL || set->count == 0 ? none : some;
}

const lsm_rangeset *lsm_rangeset_of(lsm_ranges ranges) {
  return ranges.find == find_range ? ranges.ctx : NULL;
}
