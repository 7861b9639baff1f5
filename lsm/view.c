/* view.c: what a reader may see of a merge: values only, between two bounds.
**
** Owns:  the inner iterator, copies of the bounds; neither when it is reused.
** Holds: valid implies that inner is valid, stands on a PUT and within the
**        bounds; key and value are inner's.
**
** A move that goes up can only cross the upper bound, one that goes down only
** the lower one: each step compares one bound. */
#include "merge.h"

typedef struct view {
  lsm_iter base;
  lsm_iter *inner;
  bool owns;
  lsm_buf bounds; /* the bytes of both, if they are owned */
  lsm_slice lower;
  lsm_slice upper;
  uint64_t lower_head, upper_head; /* their first bytes, which mostly decide */
} view;

/* A key from the upper bound on. Where heads differ, padded with zeros or not, they
** differ as the keys do. */
static inline bool is_above(const view *v, lsm_slice key) {
  if (v->upper.data == NULL) return false;
  uint64_t head = lsm_head_of(key.data, key.size);
  return head != v->upper_head ? head > v->upper_head : lsm_slice_cmp(key, v->upper) >= 0;
}

static inline bool is_below(const view *v, lsm_slice key) {
  if (v->lower.data == NULL) return false;
  uint64_t head = lsm_head_of(key.data, key.size);
  return head != v->lower_head ? head < v->lower_head : lsm_slice_cmp(key, v->lower) < 0;
}

/* After inner went up: past tombstones, up to the bound. */
static inline lsm_rc settle_up(view *v, lsm_rc rc) {
  lsm_iter *in = v->inner;
  v->base.valid = false;
  while (rc == LSM_OK && in->valid && in->kind == LSM_KIND_DELETE) {
    /* A stretch of tombstones can be long: it ends at the bound too. */
    if (is_above(v, in->key)) return LSM_OK;
    rc = in->ops->next(in);
  }
  if (rc != LSM_OK || !in->valid) return rc;
  if (is_above(v, in->key)) return LSM_OK;
  v->base.valid = true;
  v->base.key = in->key;
  v->base.value = in->value;
  return LSM_OK;
}

/* After inner went down. */
static inline lsm_rc settle_down(view *v, lsm_rc rc) {
  lsm_iter *in = v->inner;
  v->base.valid = false;
  while (rc == LSM_OK && in->valid && in->kind == LSM_KIND_DELETE) {
    if (is_below(v, in->key)) return LSM_OK;
    rc = in->ops->prev(in);
  }
  if (rc != LSM_OK || !in->valid) return rc;
  if (is_below(v, in->key)) return LSM_OK;
  v->base.valid = true;
  v->base.key = in->key;
  v->base.value = in->value;
  return LSM_OK;
}

static lsm_rc view_first(lsm_iter *it) {
  view *v = (view *)it;
  lsm_iter *in = v->inner;
  return settle_up(v, v->lower.data == NULL ? in->ops->first(in) : in->ops->seek_ge(in, v->lower));
}

static lsm_rc view_last(lsm_iter *it) {
  view *v = (view *)it;
  lsm_iter *in = v->inner;
  lsm_rc rc;
  if (v->upper.data == NULL) {
    rc = in->ops->last(in);
  } else {
    rc = in->ops->seek_le(in, v->upper);
    if (rc == LSM_OK && in->valid && lsm_slice_eq(in->key, v->upper)) rc = in->ops->prev(in);
  }
  return settle_down(v, rc);
}

static lsm_rc view_seek_ge(lsm_iter *it, lsm_slice key) {
  view *v = (view *)it;
  if (is_below(v, key)) return view_first(it);
  if (is_above(v, key)) {
    it->valid = false;
    return LSM_OK;
  }
  return settle_up(v, v->inner->ops->seek_ge(v->inner, key));
}

static lsm_rc view_seek_le(lsm_iter *it, lsm_slice key) {
  view *v = (view *)it;
  if (is_above(v, key)) return view_last(it);
  if (is_below(v, key)) {
    it->valid = false;
    return LSM_OK;
  }
  return settle_down(v, v->inner->ops->seek_le(v->inner, key));
}

static lsm_rc view_next(lsm_iter *it) {
  view *v = (view *)it;
  assert(it->valid);
  return settle_up(v, v->inner->ops->next(v->inner));
}

static lsm_rc view_prev(lsm_iter *it) {
  view *v = (view *)it;
  assert(it->valid);
  return settle_down(v, v->inner->ops->prev(v->inner));
}

static uint64_t view_ahead(lsm_iter *it, lsm_slice bound) {
  view *v = (view *)it;
  lsm_iter *in = v->inner;
  bool own = bound.data == NULL || (v->upper.data != NULL && lsm_slice_cmp(v->upper, bound) < 0);
  return in->ops->ahead != NULL ? in->ops->ahead(in, own ? v->upper : bound) : 0;
}

static lsm_rc view_pass(lsm_iter *it, uint64_t n) {
  view *v = (view *)it;
  return settle_up(v, v->inner->ops->pass(v->inner, n));
}

static void view_free(lsm_iter *it) {
  view *v = (view *)it;
  if (v->owns) lsm_iter_free(v->inner);
  lsm_buf_fini(&v->bounds);
  lsm_free(v);
}

static const lsm_iter_ops view_ops = {view_first, view_last, view_seek_ge, view_seek_le,
                                      view_next,  view_prev, view_free,    view_ahead,
                                      view_pass};

static void set_bounds(view *v, lsm_slice lower, lsm_slice upper) {
  v->lower = lower;
  v->upper = upper;
  v->lower_head = lsm_head_of(lower.data, lower.size);
  v->upper_head = lsm_head_of(upper.data, upper.size);
}

lsm_rc lsm_view_new(lsm_iter *inner, lsm_slice lower, lsm_slice upper, lsm_iter **out) {
  *out = NULL;
  view *v = lsm_calloc(sizeof *v);
  if (v == NULL) {
    lsm_iter_free(inner);
    return lsm_nomem();
  }
  v->base.ops = &view_ops;
  v->base.kind = LSM_KIND_PUT;
  v->inner = inner;
  v->owns = true;
  lsm_rc rc = lsm_buf_reserve(&v->bounds, lower.size + upper.size + 1);
  if (rc == LSM_OK) rc = lsm_buf_append(&v->bounds, lower.data, lower.size);
  if (rc == LSM_OK) rc = lsm_buf_append(&v->bounds, upper.data, upper.size);
  if (rc != LSM_OK) {
    view_free(&v->base);
    return rc;
  }
  if (lower.data != NULL) lower = lsm_slice_of(v->bounds.data, lower.size);
  if (upper.data != NULL) upper = lsm_slice_of(v->bounds.data + lower.size, upper.size);
  set_bounds(v, lower, upper);
  *out = &v->base;
  return LSM_OK;
}

lsm_rc lsm_view_reuse(lsm_iter **it, lsm_iter *inner, lsm_slice lower, lsm_slice upper) {
  view *v = (view *)*it;
  if (v == NULL) {
    v = lsm_calloc(sizeof *v);
    if (v == NULL) return lsm_nomem();
    v->base.ops = &view_ops;
    v->base.kind = LSM_KIND_PUT;
    *it = &v->base;
  }
  v->base.valid = false;
  v->inner = inner;
  set_bounds(v, lower, upper);
  return LSM_OK;
}
