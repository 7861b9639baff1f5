/* merge.c: the k-way merge.
**
** Owns:  the source iterators, a heap of those that are on a key.
** Holds: (1) up: each source stands on its first key >= the current one, down:
**            on its last <= it; what range tombstones hide may be left out.
**        (2) heap[0] is the current entry: the nearest key, of the newest
**            source that has it. Older sources may still stand on the same
**            key; they are passed when the merge moves on.
**        (3) ranges of a source hide keys of older sources only, those with a
**            higher index.
**
** What makes a step cheap: the first 16 bytes of each key stand in the heap
** as two integers (inverted when going down, so that smaller is always
** nearer); the lesser child of the root and whether the root's key is distinct
** are remembered, so that a source that yields many keys in a row pays one
** comparison a key; the stretch where the last range lookup holds is
** remembered too, whether it is an interval or a gap. A source that has no
** ranges in front of it pays nothing for them. */
#include "merge.h"

typedef struct node {
  uint64_t head[2]; /* the key's first 16 bytes, zero-padded */
  lsm_iter *it;
  size_t src;
} node;

/* The range tombstones of one source, and where they were last asked. */
typedef struct shade {
  lsm_ranges ranges;
  const lsm_rangeset *set; /* when they are one: gaps can be told */
  bool known;              /* the answer for lo <= key < hi (NULL data: open) is covers */
  bool covers;
  lsm_slice lo, hi;
} shade;

typedef struct source {
  lsm_iter *it;
  size_t nshades; /* how many of merge.shades are of newer sources */
} source;

typedef struct merge {
  lsm_iter base;
  bool down;
  bool distinct; /* no other source stands on heap[0]'s key */
  size_t second; /* the lesser of heap[1] and heap[2]; 0: not known */
  size_t nheap;
  size_t nsources;
  size_t nshades;
  size_t cap;  /* of heap, sources and shades */
  bool owns;   /* the sources' iterators */
  node *heap;
  source *sources;
  shade *shades; /* newest first */
} merge;

/*----------------------------------------------------------------- order */

static inline void load_head(const merge *m, node *nd) {
  const uint8_t *p = nd->it->key.data;
  size_t size = nd->it->key.size;
  uint64_t a = 0, b = 0;
  if (LSM_LIKELY(size >= 8)) {
    a = lsm_get_be64(p);
    if (size >= 16) {
      b = lsm_get_be64(p + 8);
    } else if (size > 8) {
      b = lsm_get_be64(p + size - 8) << (8 * (16 - size));
    }
  } else {
    a = lsm_head_of(p, size);
  }
  nd->head[0] = m->down ? ~a : a;
  nd->head[1] = m->down ? ~b : b;
}

/* Keys whose heads are equal: zero padding makes a key of up to 16 bytes look
** like a longer one only when it is its prefix, and then size decides. */
static int cmp_tails(lsm_slice a, lsm_slice b) {
  size_t n = a.size < b.size ? a.size : b.size;
  if (n > 16) {
    int c = memcmp(a.data + 16, b.data + 16, n - 16);
    if (c != 0) return c;
  }
  return a.size < b.size ? -1 : a.size > b.size;
}

/* Negative: a's key comes first in the direction of travel. */
static inline int cmp_keys(const merge *m, const node *a, const node *b) {
  if (a->head[0] != b->head[0]) return a->head[0] < b->head[0] ? -1 : 1;
  if (a->head[1] != b->head[1]) return a->head[1] < b->head[1] ? -1 : 1;
  int c = cmp_tails(a->it->key, b->it->key);
  return m->down ? -c : c;
}

static inline bool before(const merge *m, const node *a, const node *b) {
  int c = cmp_keys(m, a, b);
  return c < 0 || (c == 0 && a->src < b->src);
}

/*------------------------------------------------------------------ heap */

static void sift_down(merge *m, size_t i) {
  node moving = m->heap[i];
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= m->nheap) break;
    if (child + 1 < m->nheap && before(m, &m->heap[child + 1], &m->heap[child])) child++;
    if (!before(m, &m->heap[child], &moving)) break;
    m->heap[i] = m->heap[child];
    i = child;
  }
  m->heap[i] = moving;
}

/* heap[i] has moved its iterator on: put it where it belongs. */
static void reload(merge *m, size_t i) {
  if (m->heap[i].it->valid) {
    load_head(m, &m->heap[i]);
  } else {
    m->heap[i] = m->heap[--m->nheap];
    if (i >= m->nheap) return;
  }
  sift_down(m, i);
}

/* REQUIRES: nheap > 1. */
static inline size_t second_of(merge *m) {
  if (m->second == 0) {
    m->second = m->nheap > 2 && before(m, &m->heap[2], &m->heap[1]) ? 2 : 1;
  }
  return m->second;
}

/* As reload(m, 0), for the root, which mostly stays the root. */
static inline void reload_root(merge *m) {
  m->distinct = false;
  if (LSM_LIKELY(m->heap[0].it->valid)) {
    load_head(m, &m->heap[0]);
    if (m->nheap == 1) {
      m->distinct = true;
      return;
    }
    const node *second = &m->heap[second_of(m)];
    int c = cmp_keys(m, &m->heap[0], second);
    if (c < 0) {
      m->distinct = true;
      return;
    }
    if (c == 0 && m->heap[0].src < second->src) return;
    m->distinct = c > 0 && m->nheap == 2;
    sift_down(m, 0);
  } else {
    m->heap[0] = m->heap[--m->nheap];
    if (m->nheap > 1) sift_down(m, 0);
  }
  m->second = 0;
}

/* After all sources were sought. */
static void build_heap(merge *m) {
  m->nheap = 0;
  m->second = 0;
  m->distinct = false;
  for (size_t i = 0; i < m->nsources; i++) {
    if (!m->sources[i].it->valid) continue;
    node *nd = &m->heap[m->nheap++];
    nd->it = m->sources[i].it;
    nd->src = i;
    load_head(m, nd);
  }
  for (size_t i = m->nheap / 2; i-- > 0;) sift_down(m, i);
}

/*---------------------------------------------------------------- shades */

static bool in_zone(const shade *s, lsm_slice key) {
  return s->known && (s->hi.data == NULL || lsm_slice_cmp(key, s->hi) < 0) &&
         (s->lo.data == NULL || lsm_slice_cmp(key, s->lo) >= 0);
}

/* Looks key up and remembers how far the answer holds. */
static bool ask(shade *s, lsm_slice key) {
  if (s->set == NULL) {
    s->covers = s->ranges.find(s->ranges.ctx, key, &s->lo, &s->hi);
    s->known = s->covers; /* how wide a gap is cannot be asked */
    return s->covers;
  }
  const lsm_range *r = lsm_rangeset_after(s->set, key);
  const lsm_range *end = s->set->items + s->set->count;
  s->known = true;
  s->covers = r != NULL && lsm_slice_cmp(r->lo, key) <= 0;
  if (s->covers) {
    s->lo = r->lo;
    s->hi = r->hi;
  } else {
    const lsm_range *left = r != NULL ? r : end;
    s->lo = left > s->set->items ? left[-1].hi : LSM_SLICE_NULL;
    s->hi = r != NULL ? r->lo : LSM_SLICE_NULL;
  }
  return s->covers;
}

/* The shade that hides the root's entry, or NULL. */
static shade *hidden_by(merge *m) {
  size_t n = m->sources[m->heap[0].src].nshades;
  for (size_t i = 0; i < n; i++) {
    shade *s = &m->shades[i];
    lsm_slice key = m->heap[0].it->key;
    if (in_zone(s, key) ? s->covers : ask(s, key)) return s;
  }
  return NULL;
}

/* Moves it to the last key < key. */
static lsm_rc seek_lt(lsm_iter *it, lsm_slice key) {
  lsm_rc rc = it->ops->seek_le(it, key);
  if (rc == LSM_OK && it->valid && lsm_slice_eq(it->key, key)) rc = it->ops->prev(it);
  return rc;
}

/* Moves it to the first key > key. */
static lsm_rc seek_gt(lsm_iter *it, lsm_slice key) {
  lsm_rc rc = it->ops->seek_ge(it, key);
  if (rc == LSM_OK && it->valid && lsm_slice_eq(it->key, key)) rc = it->ops->next(it);
  return rc;
}

/*----------------------------------------------------------------- moves */

static lsm_rc give_up(merge *m, lsm_rc rc) {
  m->base.valid = false;
  m->nheap = 0;
  return rc;
}

/* The root is the next candidate: skips what is hidden and shows the rest. */
static lsm_rc settle(merge *m) {
  while (m->nheap > 0) {
    const lsm_iter *it = m->heap[0].it;
    if (m->sources[m->heap[0].src].nshades > 0) {
      const shade *s = hidden_by(m);
      if (s != NULL) {
        lsm_iter *hidden = m->heap[0].it;
        lsm_rc rc = m->down ? seek_lt(hidden, s->lo) : hidden->ops->seek_ge(hidden, s->hi);
        if (rc != LSM_OK) return give_up(m, rc);
        reload_root(m);
        continue;
      }
    }
    m->base.valid = true;
    m->base.kind = it->kind;
    m->base.key = it->key;
    m->base.value = it->value;
    return LSM_OK;
  }
  m->base.valid = false;
  return LSM_OK;
}

static inline lsm_rc step(const merge *m, lsm_iter *it) {
  return m->down ? it->ops->prev(it) : it->ops->next(it);
}

/* Takes the older sources off the current key, then the root. */
static lsm_rc advance(merge *m) {
  while (!m->distinct && m->nheap > 1) {
    size_t i = second_of(m);
    if (cmp_keys(m, &m->heap[0], &m->heap[i]) != 0) break;
    lsm_rc rc = step(m, m->heap[i].it);
    if (rc != LSM_OK) return give_up(m, rc);
    reload(m, i);
    m->second = 0;
  }
  lsm_rc rc = step(m, m->heap[0].it);
  if (rc != LSM_OK) return give_up(m, rc);
  reload_root(m);
  return settle(m);
}

/* Changes direction and moves: all other sources are sought by the current
** key, which lives until its own iterator moves, last of all. */
static lsm_rc turn(merge *m) {
  lsm_iter *cur = m->heap[0].it;
  m->down = !m->down;
  for (size_t i = 0; i < m->nsources; i++) {
    lsm_iter *it = m->sources[i].it;
    if (it == cur) continue;
    lsm_rc rc = m->down ? seek_lt(it, cur->key) : seek_gt(it, cur->key);
    if (rc != LSM_OK) return give_up(m, rc);
  }
  lsm_rc rc = step(m, cur);
  if (rc != LSM_OK) return give_up(m, rc);
  build_heap(m);
  return settle(m);
}

static lsm_rc merge_next(lsm_iter *base) {
  merge *m = (merge *)base;
  assert(base->valid);
  return m->down ? turn(m) : advance(m);
}

static lsm_rc merge_prev(lsm_iter *base) {
  merge *m = (merge *)base;
  assert(base->valid);
  return m->down ? advance(m) : turn(m);
}

static lsm_rc merge_first(lsm_iter *base) {
  merge *m = (merge *)base;
  m->down = false;
  for (size_t i = 0; i < m->nsources; i++) {
    lsm_rc rc = m->sources[i].it->ops->first(m->sources[i].it);
    if (rc != LSM_OK) return give_up(m, rc);
  }
  build_heap(m);
  return settle(m);
}

static lsm_rc merge_last(lsm_iter *base) {
  merge *m = (merge *)base;
  m->down = true;
  for (size_t i = 0; i < m->nsources; i++) {
    lsm_rc rc = m->sources[i].it->ops->last(m->sources[i].it);
    if (rc != LSM_OK) return give_up(m, rc);
  }
  build_heap(m);
  return settle(m);
}

static lsm_rc merge_seek_ge(lsm_iter *base, lsm_slice key) {
  merge *m = (merge *)base;
  m->down = false;
  for (size_t i = 0; i < m->nsources; i++) {
    lsm_rc rc = m->sources[i].it->ops->seek_ge(m->sources[i].it, key);
    if (rc != LSM_OK) return give_up(m, rc);
  }
  build_heap(m);
  return settle(m);
}

static lsm_rc merge_seek_le(lsm_iter *base, lsm_slice key) {
  merge *m = (merge *)base;
  m->down = true;
  for (size_t i = 0; i < m->nsources; i++) {
    lsm_rc rc = m->sources[i].it->ops->seek_le(m->sources[i].it, key);
    if (rc != LSM_OK) return give_up(m, rc);
  }
  build_heap(m);
  return settle(m);
}

/* Those of the root before the next one's key, if it is nobody's who can be hidden. */
static uint64_t merge_ahead(lsm_iter *base, lsm_slice bound) {
  merge *m = (merge *)base;
  lsm_iter *it = m->heap[0].it;
  if (m->down || !m->distinct || it->ops->ahead == NULL) return 0;
  if (m->sources[m->heap[0].src].nshades > 0) return 0;
  if (m->nheap > 1) {
    lsm_slice key = m->heap[second_of(m)].it->key;
    if (bound.data == NULL || lsm_slice_cmp(key, bound) < 0) bound = key;
  }
  return it->ops->ahead(it, bound);
}

/* What is passed over is the root's alone. */
static lsm_rc merge_pass(lsm_iter *base, uint64_t n) {
  merge *m = (merge *)base;
  lsm_iter *it = m->heap[0].it;
  lsm_rc rc = it->ops->pass(it, n);
  if (rc != LSM_OK) return give_up(m, rc);
  reload_root(m);
  return settle(m);
}

static void merge_free(lsm_iter *base) {
  merge *m = (merge *)base;
  if (m == NULL) return;
  for (size_t i = 0; i < m->nsources && m->owns; i++) lsm_iter_free(m->sources[i].it);
  lsm_free(m->heap);
  lsm_free(m->sources);
  lsm_free(m->shades);
  lsm_free(m);
}

static const lsm_iter_ops merge_ops = {merge_first, merge_last, merge_seek_ge, merge_seek_le,
                                       merge_next,  merge_prev, merge_free,    merge_ahead,
                                       merge_pass};

/*---------------------------------------------------------------- making */

static void add_source(merge *m, const lsm_source *s) {
  size_t i = m->nsources++;
  m->sources[i].it = s->iter;
  m->sources[i].nshades = m->nshades;
  if (s->ranges.find == NULL) return;
  shade *sh = &m->shades[m->nshades++];
  memset(sh, 0, sizeof *sh);
  sh->ranges = s->ranges;
  sh->set = lsm_rangeset_of(s->ranges);
}

/* A merge over nothing, with room for COUNT sources. */
static lsm_rc new_merge(size_t count, merge **out) {
  merge *m = *out = lsm_calloc(sizeof *m);
  if (m == NULL) return lsm_nomem();
  m->base.ops = &merge_ops;
  m->cap = count + 1;
  m->heap = lsm_calloc(m->cap * sizeof *m->heap);
  m->sources = lsm_calloc(m->cap * sizeof *m->sources);
  m->shades = lsm_calloc(m->cap * sizeof *m->shades);
  if (m->heap != NULL && m->sources != NULL && m->shades != NULL) return LSM_OK;
  merge_free(&m->base);
  *out = NULL;
  return lsm_nomem();
}

lsm_rc lsm_merge_new(const lsm_source *sources, int n, lsm_iter **out) {
  *out = NULL;
  if (n == 1) { /* nothing to merge with, nothing newer to hide it */
    *out = sources[0].iter;
    return LSM_OK;
  }
  size_t count = n > 0 ? (size_t)n : 0;
  merge *m;
  lsm_rc rc = new_merge(count, &m);
  if (rc != LSM_OK) {
    for (size_t i = 0; i < count; i++) lsm_iter_free(sources[i].iter);
    return rc;
  }
  m->owns = true;
  for (size_t i = 0; i < count; i++) add_source(m, &sources[i]);
  *out = &m->base;
  return LSM_OK;
}

lsm_rc lsm_merge_reuse(lsm_iter **it, const lsm_source *sources, int n) {
  merge *m = (merge *)*it;
  size_t count = n > 0 ? (size_t)n : 0;
  if (m == NULL || m->cap < count) {
    merge_free(*it);
    *it = NULL;
    lsm_rc rc = new_merge(count + count / 2, &m);
    if (rc != LSM_OK) return rc;
    *it = &m->base;
  }
  assert(!m->owns);
  m->base.valid = false;
  m->down = false;
  m->nheap = m->nsources = m->nshades = 0;
  for (size_t i = 0; i < count; i++) add_source(m, &sources[i]);
  return LSM_OK;
}
