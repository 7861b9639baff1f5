/* expiry.c: the times of values: summed up for a file, and applied to a walk.
**
** Owns:  a tally's sample; of the walk, the iterator below.
** Holds: (1) a tally's sample is every stride-th value, at most
**            LSM_EXPIRY_SAMPLE of them: when it is full every second one goes;
**        (2) the walk stands where the one below stands; nothing is copied. */
#include "expiry.h"

#include <stdlib.h>

bool lsm_expiry_is_sound(const lsm_expiry *e) {
  return e->first != 0 && lsm_until_rank(e->first) <= lsm_until_rank(e->half) &&
         lsm_until_rank(e->half) <= lsm_until_rank(e->last);
}

/*------------------------------------------------------------------- tally */

lsm_rc lsm_expiry_note(lsm_expiry_tally *t, lsm_slice value) {
  uint64_t until = lsm_until_of(value);
  if (t->sample == NULL) {
    t->sample = lsm_malloc(LSM_EXPIRY_SAMPLE * sizeof *t->sample);
    if (t->sample == NULL) return lsm_nomem();
    t->stride = 1;
    t->first = t->last = until;
  }
  if (lsm_until_rank(until) < lsm_until_rank(t->first)) t->first = until;
  if (lsm_until_rank(until) > lsm_until_rank(t->last)) t->last = until;
  if (t->count++ % t->stride != 0) return LSM_OK;
  if (t->nsample == LSM_EXPIRY_SAMPLE) {
    t->nsample /= 2;
    for (size_t i = 0; i < t->nsample; i++) t->sample[i] = t->sample[2 * i];
    t->stride *= 2; /* this one, an even multiple of the old stride, stays */
  }
  t->sample[t->nsample++] = lsm_until_rank(until);
  return LSM_OK;
}

static int cmp_rank(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

lsm_expiry lsm_expiry_sum(lsm_expiry_tally *t) {
  lsm_expiry e = {1, 1, 1};
  if (t->count == 0) return e;
  qsort(t->sample, t->nsample, sizeof *t->sample, cmp_rank);
  e.first = t->first;
  e.half = t->sample[(t->nsample - 1) / 2] + 1;
  e.last = t->last;
  if (e.first == 0) memset(&e, 0, sizeof e); /* none ever expires */
  return e;
}

void lsm_expiry_tally_fini(lsm_expiry_tally *t) {
  lsm_free(t->sample);
  memset(t, 0, sizeof *t);
}

/*-------------------------------------------------------------------- walk */

typedef struct live {
  lsm_iter base;
  lsm_iter *inner;
  bool owns; /* inner */
  uint64_t now;
  uint64_t until;
  const char *name;
  size_t nprefix;
  uint8_t prefix[LSM_PREFIX_MAX]; /* of the keyspace's keys */
} live;

/* Shows what inner stands on, rc permitting. */
static lsm_rc show(live *l, lsm_rc rc) {
  const lsm_iter *in = l->inner;
  lsm_iter *it = &l->base;
  it->valid = rc == LSM_OK && in->valid;
  if (!it->valid) return rc;
  it->kind = in->kind;
  it->key = in->key;
  it->value = in->value;
  if (in->kind != LSM_KIND_PUT) return LSM_OK;
  bool ours = in->key.size >= l->nprefix && memcmp(in->key.data, l->prefix, l->nprefix) == 0;
  if (LSM_UNLIKELY(!ours)) return LSM_OK;
  l->until = lsm_until_of(in->value);
  if (lsm_until_past(l->until, l->now)) {
    it->kind = LSM_KIND_DELETE;
    it->value = LSM_SLICE_NULL;
  } else if (!lsm_until_strip(&it->value)) {
    it->valid = false;
    return lsm_corrupt(l->name, 0, "a value without the time when it expires");
  }
  return LSM_OK;
}

static lsm_rc live_first(lsm_iter *it) {
  live *l = (live *)it;
  return show(l, l->inner->ops->first(l->inner));
}

static lsm_rc live_last(lsm_iter *it) {
  live *l = (live *)it;
  return show(l, l->inner->ops->last(l->inner));
}

static lsm_rc live_seek_ge(lsm_iter *it, lsm_slice key) {
  live *l = (live *)it;
  return show(l, l->inner->ops->seek_ge(l->inner, key));
}

static lsm_rc live_seek_le(lsm_iter *it, lsm_slice key) {
  live *l = (live *)it;
  return show(l, l->inner->ops->seek_le(l->inner, key));
}

static lsm_rc live_next(lsm_iter *it) {
  live *l = (live *)it;
  return show(l, l->inner->ops->next(l->inner));
}

static lsm_rc live_prev(lsm_iter *it) {
  live *l = (live *)it;
  return show(l, l->inner->ops->prev(l->inner));
}

static void live_free(lsm_iter *it) {
  live *l = (live *)it;
  if (l->owns) lsm_iter_free(l->inner);
  lsm_free(l);
}

static const lsm_iter_ops live_ops = {live_first, live_last, live_seek_ge, live_seek_le,
                                      live_next,  live_prev, live_free,
                                      NULL,       NULL};

lsm_rc lsm_live_reuse(lsm_iter **it, lsm_iter *inner, uint32_t keyspace, uint64_t now,
                      const char *name) {
  live *l = (live *)*it;
  if (l == NULL) {
    l = lsm_calloc(sizeof *l);
    if (l == NULL) return lsm_nomem();
    l->base.ops = &live_ops;
    *it = &l->base;
  }
  l->base.valid = false;
  l->inner = inner;
  l->now = now;
  l->until = 0;
  l->name = name;
  l->nprefix = lsm_prefix_put(l->prefix, keyspace);
  return LSM_OK;
}

lsm_rc lsm_live_new(lsm_iter *inner, uint32_t keyspace, uint64_t now, const char *name,
                    lsm_iter **it) {
  *it = NULL;
  lsm_rc rc = lsm_live_reuse(it, inner, keyspace, now, name);
  if (rc == LSM_OK) {
    ((live *)*it)->owns = true;
  } else {
    lsm_iter_free(inner);
  }
  return rc;
}

uint64_t lsm_live_until(const lsm_iter *it) {
  return ((const live *)it)->until;
}
