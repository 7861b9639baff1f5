/* memtable_view.c: the readers' side of a memtable. Nothing here locks or
** writes anything but the counts of owners: what a view shows does not change
** while it is held. */
#include "avl_int.h"
#include "memtable_int.h"

static const lsm_avl_table *table_of(const lsm_memview *v) {
  return lsm_avl_load(&v->mt->nodes);
}

/* The range tombstone that covers key, or NULL. */
static const lsm_avl_node *covering(const lsm_memview *v, const lsm_avl_key *key, lsm_entry *e) {
  if (v->ranges == 0) return NULL;
  const lsm_avl_node *n = lsm_avl_floor(table_of(v), v->ranges, key, false);
  if (n == NULL) return NULL;
  lsm_entry_get(n->entry, e);
  return lsm_slice_cmp(key->key, e->value) < 0 ? n : NULL;
}

lsm_rc lsm_memview_get(const lsm_memview *v, lsm_slice key, lsm_kind *kind, lsm_slice *value,
                       bool *covered) {
  *covered = false;
  *value = LSM_SLICE_NULL;
  if (v->mt == NULL) return LSM_NOTFOUND;
  lsm_avl_key k = lsm_avl_key_of(key);
  lsm_entry e;
  const lsm_avl_node *n = NULL;
  const lsm_keyfilter *f = atomic_load_explicit(&v->mt->filter, memory_order_acquire);
  if (f == NULL || lsm_keyfilter_may_have(f, lsm_hash64(key, 0))) {
    n = lsm_avl_find(table_of(v), v->points, &k);
  }
  if (n == NULL) {
    *covered = covering(v, &k, &e) != NULL;
    return LSM_NOTFOUND;
  }
  lsm_entry_get(n->entry, &e);
  *kind = e.kind;
  *value = e.value;
  return LSM_OK;
}

/*--------------------------------------------------------------- iterator */

typedef struct view_iter {
  lsm_iter base;
  lsm_memview view; /* owned; an empty one when what is shown is borrowed */
  lsm_avl_iter it;
} view_iter;

/* Shows the node it stands on now. */
static lsm_rc show(view_iter *it, const lsm_avl_node *n) {
  it->base.valid = n != NULL;
  if (n != NULL) {
    lsm_entry e;
    lsm_entry_get(n->entry, &e);
    it->base.kind = (uint8_t)e.kind;
    it->base.key = e.key;
    it->base.value = e.value;
  }
  return LSM_OK;
}

static lsm_rc iter_first(lsm_iter *base) {
  view_iter *it = (view_iter *)base;
  return show(it, lsm_avl_iter_first(&it->it));
}

static lsm_rc iter_last(lsm_iter *base) {
  view_iter *it = (view_iter *)base;
  return show(it, lsm_avl_iter_last(&it->it));
}

static lsm_rc iter_seek_ge(lsm_iter *base, lsm_slice key) {
  view_iter *it = (view_iter *)base;
  lsm_avl_key k = lsm_avl_key_of(key);
  return show(it, lsm_avl_iter_ge(&it->it, &k));
}

static lsm_rc iter_seek_le(lsm_iter *base, lsm_slice key) {
  view_iter *it = (view_iter *)base;
  lsm_avl_key k = lsm_avl_key_of(key);
  return show(it, lsm_avl_iter_le(&it->it, &k));
}

static lsm_rc iter_next(lsm_iter *base) {
  view_iter *it = (view_iter *)base;
  return show(it, lsm_avl_iter_next(&it->it));
}

static lsm_rc iter_prev(lsm_iter *base) {
  view_iter *it = (view_iter *)base;
  return show(it, lsm_avl_iter_prev(&it->it));
}

static void iter_free(lsm_iter *base) {
  view_iter *it = (view_iter *)base;
  lsm_memview_release(&it->view);
  lsm_free(it);
}

static const lsm_iter_ops view_iter_ops = {iter_first, iter_last, iter_seek_ge, iter_seek_le,
                                           iter_next,  iter_prev, iter_free,
                                           NULL,       NULL};

lsm_rc lsm_memview_iter_reuse(lsm_iter **out, const lsm_memview *v) {
  view_iter *it = (view_iter *)*out;
  if (it == NULL) {
    it = lsm_calloc(sizeof *it);
    if (it == NULL) return lsm_nomem();
    it->base.ops = &view_iter_ops;
    *out = &it->base;
  }
  it->base.valid = false;
  lsm_avl_iter_init(&it->it, v->mt == NULL ? NULL : table_of(v), v->points);
  return LSM_OK;
}

lsm_rc lsm_memview_iter(const lsm_memview *v, lsm_iter **out) {
  *out = NULL;
  lsm_rc rc = lsm_memview_iter_reuse(out, v);
  if (rc == LSM_OK) ((view_iter *)*out)->view = lsm_memview_ref(v);
  return rc;
}

/*-------------------------------------------------------------------- scan */

#define AHEAD 16 /* nodes asked for before they are shown */
#define LINE  64

typedef struct scan_iter {
  lsm_iter base;
  lsm_memview view; /* owned */
  lsm_avl_iter it;
  size_t at, end; /* nodes[at % AHEAD] is shown; those up to END, exclusive, follow */
  const lsm_avl_node *nodes[AHEAD];
} scan_iter;

/* n is where the tree's iterator has come to; it goes on as far as there is room. */
static lsm_rc scan_from(scan_iter *s, const lsm_avl_node *n) {
  while (n != NULL) {
    s->nodes[s->end++ % AHEAD] = n;
    AVL_PREFETCH(n->entry);
    AVL_PREFETCH((const uint8_t *)((uintptr_t)n->entry + LINE));
    AVL_PREFETCH((const uint8_t *)((uintptr_t)n->entry + 2 * LINE));
    n = s->end - s->at < AHEAD ? lsm_avl_iter_next(&s->it) : NULL;
  }
  s->base.valid = s->at < s->end;
  if (s->base.valid) {
    lsm_entry e;
    lsm_entry_get(s->nodes[s->at % AHEAD]->entry, &e);
    s->base.kind = (uint8_t)e.kind;
    s->base.key = e.key;
    s->base.value = e.value;
  }
  return LSM_OK;
}

static lsm_rc scan_first(lsm_iter *base) {
  scan_iter *s = (scan_iter *)base;
  s->at = s->end = 0;
  return scan_from(s, lsm_avl_iter_first(&s->it));
}

static lsm_rc scan_seek_ge(lsm_iter *base, lsm_slice key) {
  scan_iter *s = (scan_iter *)base;
  lsm_avl_key k = lsm_avl_key_of(key);
  s->at = s->end = 0;
  return scan_from(s, lsm_avl_iter_ge(&s->it, &k));
}

static lsm_rc scan_next(lsm_iter *base) {
  scan_iter *s = (scan_iter *)base;
  bool full = s->end - s->at == AHEAD; /* else the tree has come to its end */
  s->at++;
  return scan_from(s, full ? lsm_avl_iter_next(&s->it) : NULL);
}

static lsm_rc scan_no(lsm_iter *base) {
  base->valid = false;
  return lsm_fail(LSM_MISUSE, "a scan of a memtable goes up");
}

static lsm_rc scan_no_seek(lsm_iter *base, lsm_slice key) {
  (void)key;
  return scan_no(base);
}

static void scan_free(lsm_iter *base) {
  scan_iter *s = (scan_iter *)base;
  lsm_memview_release(&s->view);
  lsm_free(s);
}

static const lsm_iter_ops scan_ops = {scan_first, scan_no, scan_seek_ge, scan_no_seek,
                                      scan_next,  scan_no, scan_free, NULL, NULL};

lsm_rc lsm_memview_scan(const lsm_memview *v, lsm_iter **out) {
  scan_iter *s = lsm_calloc(sizeof *s);
  *out = NULL;
  if (s == NULL) return lsm_nomem();
  s->base.ops = &scan_ops;
  s->view = lsm_memview_ref(v);
  lsm_avl_iter_init(&s->it, v->mt == NULL ? NULL : table_of(v), v->points);
  *out = &s->base;
  return LSM_OK;
}

/*----------------------------------------------------------------- ranges */

static bool find_range(const void *ctx, lsm_slice key, lsm_slice *lo, lsm_slice *hi) {
  lsm_avl_key k = lsm_avl_key_of(key);
  lsm_entry e;
  if (covering((const lsm_memview *)ctx, &k, &e) == NULL) return false;
  *lo = e.key;
  *hi = e.value;
  return true;
}

lsm_ranges lsm_memview_ranges(const lsm_memview *v) {
  bool none = v->mt == NULL || v->ranges == 0;
  lsm_ranges r = {none ? NULL : find_range, none ? NULL : v};
  return r;
}

lsm_rc lsm_memview_each_range(const lsm_memview *v,
                              lsm_rc (*fn)(void *arg, lsm_slice lo, lsm_slice hi), void *arg) {
  if (v->mt == NULL) return LSM_OK;
  lsm_avl_iter it;
  lsm_avl_iter_init(&it, table_of(v), v->ranges);
  for (const lsm_avl_node *n = lsm_avl_iter_first(&it); n != NULL; n = lsm_avl_iter_next(&it)) {
    lsm_entry e;
    lsm_entry_get(n->entry, &e);
    lsm_rc rc = fn(arg, e.key, e.value);
    if (rc != LSM_OK) return rc;
  }
  return LSM_OK;
}

/*--------------------------------------------------------------- planning */

/* Short ranges are counted, up to this many. */
#define COUNT_LIMIT 32

uint64_t lsm_memview_estimate(const lsm_memview *v, lsm_slice lo, lsm_slice hi) {
  if (v->mt == NULL || v->points == 0) return 0;
  const lsm_avl_table *t = table_of(v);
  lsm_avl_key klo = lsm_avl_key_of(lo), khi = lsm_avl_key_of(hi);
  lsm_avl_iter it;
  lsm_avl_iter_init(&it, t, v->points);
  const lsm_avl_node *n = lsm_avl_iter_ge(&it, &klo); /* no lo is an empty key */
  uint64_t count = 0;
  for (; n != NULL && count < COUNT_LIMIT; n = lsm_avl_iter_next(&it), count++) {
    if (hi.data != NULL && lsm_slice_cmp(lsm_avl_node_key(n), hi) >= 0) return count;
  }
  if (n == NULL) return count;
  double low = lsm_avl_rank(t, v->points, &klo);
  double high = hi.data == NULL ? 1 : lsm_avl_rank(t, v->points, &khi);
  double rows = (high - low) * (double)lsm_avl_estimate(t, v->points, lsm_memtable_entries(v->mt));
  return rows > COUNT_LIMIT ? (uint64_t)rows : COUNT_LIMIT;
}

/*--------------------------------------------------------------- checking */

bool lsm_memview_check(const lsm_memview *v) {
  if (v->mt == NULL) return v->points == 0 && v->ranges == 0;
  const lsm_avl_table *t = table_of(v);
  if (!lsm_avl_check(t, v->points) || !lsm_avl_check(t, v->ranges)) return false;
  lsm_entry e, before = {LSM_KIND_DELETE_RANGE, {NULL, 0}, {NULL, 0}};
  lsm_avl_iter it;
  lsm_avl_iter_init(&it, t, v->ranges);
  for (const lsm_avl_node *n = lsm_avl_iter_first(&it); n != NULL; n = lsm_avl_iter_next(&it)) {
    lsm_entry_get(n->entry, &e);
    if (e.kind != LSM_KIND_DELETE_RANGE || lsm_slice_cmp(e.key, e.value) >= 0) return false;
    if (before.key.data != NULL && lsm_slice_cmp(before.value, e.key) > 0) return false;
    before = e;
  }
  lsm_avl_iter_init(&it, t, v->points);
  for (const lsm_avl_node *n = lsm_avl_iter_first(&it); n != NULL; n = lsm_avl_iter_next(&it)) {
    lsm_entry_get(n->entry, &e);
    if (e.kind != LSM_KIND_PUT && (e.kind != LSM_KIND_DELETE || e.value.size != 0)) return false;
  }
  return true;
}
