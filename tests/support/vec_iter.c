/* vec_iter.c: see the header. */
#include "vec_iter.h"

#include <stdlib.h>

typedef struct vec_iter {
  lsm_iter base;
  const vec_entry *entries;
  size_t n;
  size_t pos;
  uint8_t *copy; /* of key and value where it stands */
  vec_stats *stats;
  vec_stats own;
} vec_iter;

/* Puts the iterator on entries[pos]; pos >= n is off the end. */
static lsm_rc show(vec_iter *v, size_t pos) {
  free(v->copy);
  v->copy = NULL;
  v->base.valid = false;
  v->base.key = v->base.value = LSM_SLICE_NULL;
  v->pos = pos;
  if (v->stats->fail > 0 && --v->stats->fail == 0) return lsm_fail(LSM_IOERR, "made to fail");
  if (pos >= v->n) return LSM_OK;
  const vec_entry *e = &v->entries[pos];
  v->copy = malloc(e->key.size + e->value.size + 1);
  if (v->copy == NULL) return lsm_nomem();
  if (e->key.size > 0) memcpy(v->copy, e->key.data, e->key.size);
  if (e->value.size > 0) memcpy(v->copy + e->key.size, e->value.data, e->value.size);
  v->base.valid = true;
  v->base.kind = (uint8_t)e->kind;
  v->base.key = lsm_slice_of(v->copy, e->key.size);
  v->base.value = lsm_slice_of(v->copy + e->key.size, e->value.size);
  return LSM_OK;
}

/* Number of entries with a key < key (or <= key). */
static size_t rank(const vec_iter *v, lsm_slice key, bool or_equal) {
  size_t lo = 0, hi = v->n;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    int c = lsm_slice_cmp(v->entries[mid].key, key);
    if (c < 0 || (or_equal && c == 0)) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

static lsm_rc vec_first(lsm_iter *it) {
  vec_iter *v = (vec_iter *)it;
  v->stats->seeks++;
  return show(v, 0);
}

static lsm_rc vec_last(lsm_iter *it) {
  vec_iter *v = (vec_iter *)it;
  v->stats->seeks++;
  return show(v, v->n - 1); /* of an empty array: past any end */
}

static lsm_rc vec_seek_ge(lsm_iter *it, lsm_slice key) {
  vec_iter *v = (vec_iter *)it;
  v->stats->seeks++;
  return show(v, rank(v, key, false));
}

static lsm_rc vec_seek_le(lsm_iter *it, lsm_slice key) {
  vec_iter *v = (vec_iter *)it;
  v->stats->seeks++;
  return show(v, rank(v, key, true) - 1);
}

static lsm_rc vec_next(lsm_iter *it) {
  vec_iter *v = (vec_iter *)it;
  if (!it->valid) abort();
  v->stats->steps++;
  return show(v, v->pos + 1);
}

static lsm_rc vec_prev(lsm_iter *it) {
  vec_iter *v = (vec_iter *)it;
  if (!it->valid) abort();
  v->stats->steps++;
  return show(v, v->pos - 1);
}

/* All PUTs up to the next tombstone. */
static uint64_t vec_ahead(lsm_iter *it, lsm_slice bound) {
  const vec_iter *v = (vec_iter *)it;
  if (!it->valid) abort();
  uint64_t n = 0;
  for (size_t i = v->pos + 1; i < v->n; i++, n++) {
    if (v->entries[i].kind != LSM_KIND_PUT) break;
    if (bound.data != NULL && lsm_slice_cmp(v->entries[i].key, bound) >= 0) break;
  }
  return n;
}

static lsm_rc vec_pass(lsm_iter *it, uint64_t n) {
  vec_iter *v = (vec_iter *)it;
  if (!it->valid || n > vec_ahead(it, LSM_SLICE_NULL) + 1) abort();
  v->stats->steps++;
  return show(v, v->pos + n);
}

static void vec_free(lsm_iter *it) {
  vec_iter *v = (vec_iter *)it;
  v->stats->live--;
  free(v->copy);
  free(v);
}

static const lsm_iter_ops vec_ops = {vec_first, vec_last, vec_seek_ge, vec_seek_le,
                                     vec_next,  vec_prev, vec_free,
                                     vec_ahead, vec_pass};

lsm_iter *vec_iter_new(const vec_entry *entries, size_t n, vec_stats *stats) {
  vec_iter *v = calloc(1, sizeof *v);
  if (v == NULL) abort();
  v->base.ops = &vec_ops;
  v->entries = entries;
  v->n = n;
  v->stats = stats != NULL ? stats : &v->own;
  v->stats->live++;
  return &v->base;
}
