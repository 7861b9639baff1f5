/* memtable.c: the writer's side of a memtable: entries, range tombstones,
** merging, marks.
**
** Every change first reserves all the memory it can need, then happens; so
** nothing has to be undone, and a merge that was reserved cannot fail.
**
** When may a node be changed in place? When no view is held (live == 0), or
** when it was made after the last view was taken (its number tells: avl.h).
** Views are taken under the caller's lock, so during a write none appears;
** they are released at any time, hence the acquire when live is read: what
** their readers did happened before the change.
**
** Bytes of entries are never changed; they are written over only after going
** back to a mark while no view but marks is held. */
#include "memtable_int.h"

/* Memory kept by lsm_memtable_reset(): in nodes and in bytes. */
#define KEEP_NODES (400u << 10)
#define KEEP_BYTES (600u << 10)

/* Keys of the first layer of a filter: at least, at most. */
#define FILTER_MIN 4096u
#define FILTER_MAX (4u << 20)

/* Trees of fewer entries are in cache anyway. */
#define WARM_ENTRIES 20000

static lsm_keyfilter *filter_of(lsm_memtable *mt) {
  return atomic_load_explicit(&mt->filter, memory_order_relaxed);
}

lsm_rc lsm_memtable_new(lsm_memtable **out) {
  *out = NULL;
  lsm_memtable *mt = lsm_calloc(sizeof *mt);
  if (mt == NULL) return lsm_nomem();
  atomic_init(&mt->refs, 1);
  lsm_avl_init(&mt->nodes);
  atomic_init(&mt->filter, NULL);
  *out = mt;
  return LSM_OK;
}

lsm_memtable *lsm_memtable_ref(lsm_memtable *mt) {
  atomic_fetch_add_explicit(&mt->refs, 1, memory_order_relaxed);
  return mt;
}

void lsm_memtable_unref(lsm_memtable *mt) {
  if (mt == NULL || atomic_fetch_sub_explicit(&mt->refs, 1, memory_order_acq_rel) != 1) return;
  lsm_avl_fini(&mt->nodes);
  lsm_arena_fini(&mt->batch);
  lsm_arena_fini(&mt->side);
  lsm_keyfilter_free(filter_of(mt));
  lsm_free(mt);
}

bool lsm_memtable_is_shared(lsm_memtable *mt) {
  return atomic_load_explicit(&mt->refs, memory_order_acquire) != 1;
}

/* Tells all threads the sizes after a change. */
static void publish(lsm_memtable *mt) {
  size_t arenas = lsm_arena_used(&mt->batch) + lsm_arena_used(&mt->side);
  size_t nodes = lsm_avl_count(&mt->nodes) * sizeof(lsm_avl_node);
  size_t memory = mt->batch.memory + mt->side.memory + mt->nodes.memory + mt->filter_memory;
  atomic_store_explicit(&mt->now_entries, mt->entries, memory_order_relaxed);
  atomic_store_explicit(&mt->now_used, arenas + nodes, memory_order_relaxed);
  atomic_store_explicit(&mt->now_memory, memory + sizeof *mt, memory_order_relaxed);
}

void lsm_memtable_expect(lsm_memtable *mt, uint64_t keys) {
  assert(mt->points == 0 && filter_of(mt) == NULL);
  if (keys < FILTER_MIN) keys = FILTER_MIN;
  if (keys > FILTER_MAX) keys = FILTER_MAX;
  lsm_keyfilter *f = lsm_keyfilter_new(keys, NULL);
  atomic_store_explicit(&mt->filter, f, memory_order_release);
  mt->filter_memory = lsm_keyfilter_memory(f);
  publish(mt);
}

void lsm_memtable_reset(lsm_memtable *mt) {
  assert(!lsm_memtable_is_shared(mt));
  lsm_avl_reset(&mt->nodes, KEEP_NODES);
  lsm_arena_reset(&mt->batch, KEEP_BYTES);
  lsm_arena_reset(&mt->side, 0);
  mt->points = mt->ranges = mt->marks = 0;
  mt->entries = 0;
  lsm_keyfilter_free(filter_of(mt));
  atomic_store_explicit(&mt->filter, NULL, memory_order_relaxed);
  mt->filter_memory = 0;
  publish(mt);
}

/* Begins a change: are there views to be careful of? */
static bool begin_write(lsm_memtable *mt) {
  bool shared = atomic_load_explicit(&mt->live, memory_order_acquire) != 0;
  if (!shared) mt->nodes.shared_below = 0;
  return shared;
}

/*----------------------------------------------------------------- points */

/* The filter, if there is one, learns of a key before any view shows it. */
static void note_key(lsm_memtable *mt, lsm_slice key) {
  lsm_keyfilter *f = filter_of(mt);
  if (f == NULL) return;
  if (f->count >= f->room) {
    lsm_keyfilter *next = lsm_keyfilter_new(4 * f->room, f);
    if (next != NULL) {
      atomic_store_explicit(&mt->filter, next, memory_order_release);
      mt->filter_memory = lsm_keyfilter_memory(next);
      f = next;
    } else {
      f->room *= 2; /* it answers "perhaps" more often; tried again later */
    }
  }
  lsm_keyfilter_add(f, lsm_hash64(key, 0));
}

/* HEAD stands in front of the value. */
static lsm_rc write_point(lsm_memtable *mt, const lsm_entry *e, lsm_slice head) {
  uint64_t nodes = 1;
  if (begin_write(mt)) {
    nodes = LSM_AVL_PUT_NODES(lsm_avl_height(lsm_avl_load(&mt->nodes), mt->points));
  }
  lsm_rc rc = lsm_avl_reserve(&mt->nodes, nodes);
  if (rc != LSM_OK) return rc;
  size_t size = lsm_entry_size(e->key.size, head.size + e->value.size);
  uint8_t *p = lsm_arena_append(&mt->batch, size);
  if (p == NULL) return lsm_nomem();
  if (LSM_LIKELY(head.size == 0)) {
    lsm_entry_put(p, e->kind, e->key, e->value);
  } else {
    lsm_entry_put_parts(p, e->kind, e->key, head, e->value);
  }
  lsm_avl_key key = lsm_avl_key_of(e->key);
  lsm_avl_path path;
  path.depth = 0;
  bool added;
  mt->points = lsm_avl_put(&mt->nodes, mt->points, &key, p, &path, &added);
  mt->entries += added;
  if (added) note_key(mt, key.key);
  return LSM_OK;
}

/*----------------------------------------------------------------- ranges */

/* What a range tombstone [lo, hi) becomes among those there are. */
typedef struct range_plan {
  bool known;  /* one there is covers it: nothing to do */
  bool joined; /* bounds are those of several */
  bool touch;  /* one that begins at hi is in the same keyspace */
  lsm_slice lo;
  lsm_slice hi;
} range_plan;

static lsm_entry node_entry(const lsm_avl_node *n) {
  lsm_entry e;
  lsm_entry_get(n->entry, &e);
  return e;
}

static bool same_keyspace(lsm_slice a, lsm_slice b) {
  uint32_t keyspace;
  size_t n = lsm_prefix_get(a, &keyspace);
  return n > 0 && b.size >= n && memcmp(a.data, b.data, n) == 0;
}

/* Ranges that overlap become one, and so do those that touch in one keyspace;
** across keyspaces they stay apart, as tables do. */
static range_plan plan_range(const lsm_memtable *mt, lsm_slice lo, lsm_slice hi) {
  range_plan p = {.lo = lo, .hi = hi, .touch = same_keyspace(lo, hi)};
  if (mt->ranges == 0) return p;
  const lsm_avl_table *t = lsm_avl_load(&mt->nodes);
  lsm_avl_key klo = lsm_avl_key_of(lo), khi = lsm_avl_key_of(hi);
  const lsm_avl_node *n = lsm_avl_floor(t, mt->ranges, &klo, false);
  if (n != NULL) {
    lsm_entry e = node_entry(n);
    int c = lsm_slice_cmp(e.value, lo);
    if (c > 0 || (c == 0 && same_keyspace(e.key, lo))) {
      p.known = lsm_slice_cmp(e.value, hi) >= 0;
      if (lsm_slice_cmp(e.key, lo) < 0) p.lo = e.key;
    }
  }
  n = lsm_avl_floor(t, mt->ranges, &khi, !p.touch);
  if (n != NULL) {
    lsm_entry e = node_entry(n);
    if (lsm_slice_cmp(e.key, lo) >= 0 && lsm_slice_cmp(e.value, hi) > 0) p.hi = e.value;
  }
  p.joined = p.lo.data != lo.data || p.hi.data != hi.data;
  return p;
}

/* Unlinks the points in [lo, hi). */
static void cut_points(lsm_memtable *mt, lsm_slice lo, lsm_slice hi) {
  lsm_avl_key klo = lsm_avl_key_of(lo), khi = lsm_avl_key_of(hi);
  if (mt->points == 0) return;
  const lsm_avl_node *n = lsm_avl_ceiling(lsm_avl_load(&mt->nodes), mt->points, &klo);
  if (n == NULL || lsm_slice_cmp(lsm_avl_node_key(n), hi) >= 0) return;
  uint32_t l, r;
  mt->entries -= lsm_avl_cut(&mt->nodes, mt->points, &klo, &khi, false, &l, &r);
  mt->points = lsm_avl_join2(&mt->nodes, l, r);
}

/* Makes the range tombstone at ENTRY, of the batch, count. REQUIRES: memory
** reserved, in the side arena for an entry with the bounds of the plan. */
static void apply_range(lsm_memtable *mt, const uint8_t *entry) {
  lsm_entry e;
  lsm_entry_get(entry, &e);
  cut_points(mt, e.key, e.value);
  range_plan p = plan_range(mt, e.key, e.value);
  if (p.known) return;
  lsm_avl_key khi = lsm_avl_key_of(e.value);
  if (p.joined) {
    uint8_t *q = lsm_arena_append(&mt->side, lsm_entry_size(p.lo.size, p.hi.size));
    assert(q != NULL);
    lsm_entry_put(q, LSM_KIND_DELETE_RANGE, p.lo, p.hi);
    entry = q;
    lsm_entry_get(entry, &e);
  }
  /* All that the plan joined begins between its lo and the hi that was asked
  ** for, even if the last of it ends behind that. */
  lsm_avl_key klo = lsm_avl_key_of(e.key);
  uint32_t l, r;
  mt->entries -= lsm_avl_cut(&mt->nodes, mt->ranges, &klo, &khi, p.touch, &l, &r);
  mt->ranges = lsm_avl_join(&mt->nodes, l, &klo, entry, r);
  mt->entries++;
}

static lsm_rc write_range(lsm_memtable *mt, const lsm_entry *e) {
  uint64_t nodes = 1;
  if (begin_write(mt)) {
    uint64_t most = LSM_AVL_CUT_NODES(lsm_avl_height_bound(mt->entries + 1)) * 2;
    nodes += most < mt->entries ? most : mt->entries;
  }
  range_plan p = plan_range(mt, e->key, e->value);
  lsm_rc rc = lsm_avl_reserve(&mt->nodes, nodes);
  if (rc != LSM_OK) return rc;
  if (p.joined && !lsm_arena_reserve(&mt->side, lsm_entry_size(p.lo.size, p.hi.size))) {
    return lsm_nomem();
  }
  uint8_t *q = lsm_arena_append(&mt->batch, lsm_entry_size(e->key.size, e->value.size));
  if (q == NULL) return lsm_nomem();
  lsm_entry_put(q, LSM_KIND_DELETE_RANGE, e->key, e->value);
  apply_range(mt, q);
  return LSM_OK;
}

static bool can_be(const lsm_entry *e) {
  if (e->key.size > LSM_KEY_MAX || e->value.size > LSM_VALUE_MAX) return false;
  switch (e->kind) {
    case LSM_KIND_PUT:
      return true;
    case LSM_KIND_DELETE:
      return e->value.size == 0;
    case LSM_KIND_DELETE_RANGE:
      return e->value.size <= LSM_KEY_MAX && lsm_slice_cmp(e->key, e->value) < 0;
  }
  return false;
}

lsm_rc lsm_memtable_write(lsm_memtable *mt, lsm_kind kind, lsm_slice key, lsm_slice value) {
  lsm_entry e = {kind, key, value};
  if (LSM_UNLIKELY(!can_be(&e))) return lsm_fail(LSM_MISUSE, "not a valid entry");
  lsm_rc rc =
      kind == LSM_KIND_DELETE_RANGE ? write_range(mt, &e) : write_point(mt, &e, LSM_SLICE_NULL);
  if (rc == LSM_OK) publish(mt);
  return rc;
}

lsm_rc lsm_memtable_put_parts(lsm_memtable *mt, lsm_slice key, lsm_slice head, lsm_slice value) {
  lsm_entry e = {LSM_KIND_PUT, key, value};
  if (LSM_UNLIKELY(!can_be(&e) || head.size > LSM_VALUE_MAX - value.size)) {
    return lsm_fail(LSM_MISUSE, "not a valid entry");
  }
  lsm_rc rc = write_point(mt, &e, head);
  if (rc == LSM_OK) publish(mt);
  return rc;
}

/*------------------------------------------------------------------ merge */

/* The most that merging ranges can take from the side arena: each becomes at
** most one joined entry, whose bounds are among those looked at here. */
static size_t side_bound(const lsm_memtable *mt, const lsm_avl_table *t, uint32_t ranges,
                         uint64_t *count) {
  size_t most = 0;
  lsm_avl_iter it;
  lsm_avl_iter_init(&it, t, ranges);
  *count = 0;
  for (const lsm_avl_node *n = lsm_avl_iter_first(&it); n != NULL; n = lsm_avl_iter_next(&it)) {
    lsm_entry e = node_entry(n);
    range_plan p = plan_range(mt, e.key, e.value);
    size_t sizes[4] = {e.key.size, e.value.size, p.lo.size, p.hi.size};
    for (int i = 0; i < 4; i++) most = sizes[i] > most ? sizes[i] : most;
    ++*count;
  }
  return (size_t)*count * lsm_entry_size(most, most);
}

lsm_rc lsm_memtable_reserve_merge(lsm_memtable *mt, const lsm_memview *src) {
  const lsm_memtable *from = src->mt;
  if (from == NULL || (src->points == 0 && src->ranges == 0)) return LSM_OK;
  const lsm_avl_table *t = lsm_avl_load(&from->nodes);
  uint64_t ranges, points;
  size_t side = side_bound(mt, t, src->ranges, &ranges);
  bool current = src->points == from->points && src->ranges == from->ranges;
  points = current ? from->entries - ranges : lsm_avl_size(t, src->points);

  /* A node for each; and each of those there are is copied at most once, on
  ** the paths that are touched. */
  uint64_t high = lsm_avl_height_bound(mt->entries + points + ranges);
  uint64_t touched = points * LSM_AVL_PUT_NODES(high) + ranges * LSM_AVL_CUT_NODES(high) * 2;
  if (touched > mt->entries) touched = mt->entries;
  lsm_rc rc = lsm_avl_reserve(&mt->nodes, points + ranges + touched);
  if (rc != LSM_OK) return rc;
  if (side > 0 && !lsm_arena_reserve(&mt->side, side)) return lsm_nomem();
  size_t bytes = lsm_arena_used(&from->batch) + lsm_arena_used(&from->side);
  return lsm_arena_reserve(&mt->batch, bytes) ? LSM_OK : lsm_nomem();
}

/* Copies an entry of another memtable to the end of the batch; *key is the
** copy's. */
static const uint8_t *copy_entry(lsm_memtable *mt, const uint8_t *entry, lsm_slice *key) {
  lsm_entry e;
  size_t n = (size_t)(lsm_entry_get(entry, &e) - entry);
  uint8_t *p = lsm_arena_append(&mt->batch, n);
  assert(p != NULL);
  memcpy(p, entry, n);
  *key = lsm_slice_of(p + (e.key.data - entry), e.key.size);
  return p;
}

/* Points come in order: each is put in from where the one before it went. A
** large tree is warmed up for a group of them first. */
static void merge_points(lsm_memtable *mt, const lsm_avl_table *t, uint32_t points) {
  lsm_avl_path path;
  path.depth = 0;
  lsm_avl_iter it;
  lsm_avl_iter_init(&it, t, points);
  const lsm_avl_node *nodes[LSM_AVL_WARM];
  const lsm_avl_node *node = lsm_avl_iter_first(&it);
  while (node != NULL) {
    int n = 0;
    for (; n < LSM_AVL_WARM && node != NULL; node = lsm_avl_iter_next(&it)) nodes[n++] = node;
    if (n >= 4 && mt->entries >= WARM_ENTRIES) {
      lsm_avl_warm(lsm_avl_load(&mt->nodes), mt->points, nodes, n);
    }
    for (int i = 0; i < n; i++) {
      lsm_avl_key key;
      const uint8_t *entry = copy_entry(mt, nodes[i]->entry, &key.key);
      lsm_avl_node_prefix(nodes[i], &key);
      bool added;
      lsm_avl_climb(&mt->nodes, &key, &path);
      mt->points = lsm_avl_put(&mt->nodes, mt->points, &key, entry, &path, &added);
      mt->entries += added;
      if (added) note_key(mt, key.key);
    }
  }
}

void lsm_memtable_merge(lsm_memtable *mt, const lsm_memview *src) {
  if (src->mt == NULL) return;
  begin_write(mt);
  const lsm_avl_table *t = lsm_avl_load(&src->mt->nodes);
  lsm_avl_iter it;
  lsm_avl_iter_init(&it, t, src->ranges);
  for (const lsm_avl_node *n = lsm_avl_iter_first(&it); n != NULL; n = lsm_avl_iter_next(&it)) {
    lsm_slice key;
    apply_range(mt, copy_entry(mt, n->entry, &key));
  }
  merge_points(mt, t, src->points);
  publish(mt);
}

/*-------------------------------------------------------- views and marks */

lsm_memview lsm_memtable_view(lsm_memtable *mt) {
  lsm_memview v = {lsm_memtable_ref(mt), mt->points, mt->ranges};
  atomic_fetch_add_explicit(&mt->live, 1, memory_order_relaxed);
  mt->nodes.shared_below = mt->nodes.next;
  return v;
}

lsm_memview lsm_memtable_peek(lsm_memtable *mt) {
  lsm_memview v = {mt, mt->points, mt->ranges};
  return v;
}

lsm_memview lsm_memview_ref(const lsm_memview *v) {
  if (v->mt != NULL) {
    lsm_memtable_ref(v->mt);
    atomic_fetch_add_explicit(&v->mt->live, 1, memory_order_relaxed);
  }
  return *v;
}

void lsm_memview_release(lsm_memview *v) {
  lsm_memtable *mt = v->mt;
  memset(v, 0, sizeof *v);
  if (mt == NULL) return;
  atomic_fetch_sub_explicit(&mt->live, 1, memory_order_release);
  lsm_memtable_unref(mt);
}

lsm_memmark lsm_memtable_mark(lsm_memtable *mt) {
  lsm_memmark m;
  memset(&m, 0, sizeof m);
  m.view = lsm_memtable_view(mt);
  m.arena_pos = mt->batch.pos;
  m.side_pos = mt->side.pos;
  m.node_pos = mt->nodes.next;
  m.entries = mt->entries;
  mt->marks++;
  return m;
}

void lsm_memtable_unmark(lsm_memmark *mark) {
  if (mark->view.mt == NULL) return;
  mark->view.mt->marks--;
  lsm_memview_release(&mark->view);
}

void lsm_memtable_rollback(lsm_memtable *mt, const lsm_memmark *mark) {
  assert(mark->view.mt == mt);
  /* Marks made later are dead, those made before show nothing newer. */
  bool reuse = atomic_load_explicit(&mt->live, memory_order_acquire) == mt->marks;
  lsm_arena_rewind(&mt->batch, mark->arena_pos, reuse);
  lsm_arena_rewind(&mt->side, mark->side_pos, reuse);
  if (reuse) {
    lsm_avl_rewind(&mt->nodes, mark->node_pos);
    mt->nodes.shared_below = mark->node_pos;
  }
  mt->points = mark->view.points;
  mt->ranges = mark->view.ranges;
  mt->entries = mark->entries;
  publish(mt);
}

void lsm_memtable_clear(lsm_memtable *mt) {
  assert(mt->marks == 0);
  bool reuse = atomic_load_explicit(&mt->live, memory_order_acquire) == 0;
  lsm_arena_rewind(&mt->batch, 0, reuse);
  lsm_arena_rewind(&mt->side, 0, reuse);
  if (reuse) {
    lsm_avl_rewind(&mt->nodes, 1);
    mt->nodes.shared_below = 0;
  }
  mt->points = mt->ranges = 0;
  mt->entries = 0;
  publish(mt);
}

/*------------------------------------------------------------------ sizes */

lsm_rc lsm_memtable_batch(lsm_memtable *mt, lsm_buf *scratch, const lsm_slice **parts, int *n) {
  (void)scratch;
  *parts = mt->batch.parts;
  *n = mt->batch.n_parts;
  return LSM_OK;
}

size_t lsm_memtable_used(const lsm_memtable *mt) {
  return atomic_load_explicit(&mt->now_used, memory_order_relaxed);
}

size_t lsm_memtable_memory(const lsm_memtable *mt) {
  return atomic_load_explicit(&mt->now_memory, memory_order_relaxed);
}

uint64_t lsm_memtable_entries(const lsm_memtable *mt) {
  return atomic_load_explicit(&mt->now_entries, memory_order_relaxed);
}

bool lsm_memtable_is_empty(const lsm_memtable *mt) {
  return lsm_memtable_entries(mt) == 0;
}
