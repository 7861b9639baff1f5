/* test_memtable.c: memtables against a model that is an array, with views,
** marks, merges, threads and lack of memory.
**
** The model knows a fixed universe of keys, sorted; of each it notes what its
** newest entry says and whether a range tombstone covers it. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch.h"
#include "memtable.h"

Suite *memtable_suite(void);

/*------------------------------------------------------------------ model */

#define KEYS 400

static uint8_t key_bytes[KEYS][64];
static size_t key_size[KEYS];
static uint8_t key_space[KEYS]; /* number of the keyspace */

typedef struct model {
  uint8_t kind[KEYS]; /* 0: no point */
  uint32_t value[KEYS];
  bool covered[KEYS];
} model;

static uint64_t seed;

static uint32_t rnd(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((seed >> 33) % n);
}

static lsm_slice key_at(uint32_t i) {
  return lsm_slice_of(key_bytes[i], key_size[i]);
}

static int cmp_index(const void *a, const void *b) {
  const uint8_t *const *x = a, *const *y = b;
  return lsm_slice_cmp(lsm_slice_of(*x + 1, **x), lsm_slice_of(*y + 1, **y));
}

/* Keys in three keyspaces, the bare prefix of each first: short ones, ones that
** end in zeros, long ones that part late or not before the prefixes' end. */
static void make_keys(void) {
  static uint8_t raw[KEYS * 2][64];
  static const uint8_t *p[KEYS * 2];
  seed = 7;
  for (int i = 0; i < KEYS * 2; i++) {
    uint8_t *k = raw[i] + 1;
    size_t n = 0;
    k[n++] = (uint8_t)(1 + i % 3);
    if (i >= 3) {
      size_t shared = rnd(4) == 0 ? rnd(20) : 0;
      for (size_t j = 0; j < shared; j++) k[n++] = 'x';
      size_t rest = rnd(6) == 0 ? rnd(3) : rnd(18);
      for (size_t j = 0; j < rest; j++) k[n++] = (uint8_t)(rnd(3) == 0 ? 0 : rnd(256));
    }
    raw[i][0] = (uint8_t)n;
    p[i] = raw[i];
  }
  qsort(p, KEYS * 2, sizeof p[0], cmp_index);
  int n = 0;
  for (int i = 0; i < KEYS * 2 && n < KEYS; i++) {
    bool bare = p[i][0] == 1;
    if (i > 0 && cmp_index(&p[i], &p[i - 1]) == 0) continue;
    if (!bare && KEYS * 2 - i > KEYS - n && rnd(2) == 0) continue;
    key_size[n] = p[i][0];
    memcpy(key_bytes[n], p[i] + 1, p[i][0]);
    key_space[n] = p[i][1];
    n++;
  }
  ck_assert_int_eq(n, KEYS);
}

static size_t value_bytes(uint32_t v, uint8_t *buf) {
  memset(buf, (int)(v % 251), 200);
  memcpy(buf, &v, sizeof v);
  return 4 + v % 150;
}

static uint64_t model_ranges(const model *m) {
  uint64_t n = 0;
  for (int i = 0; i < KEYS; i++) {
    bool first = i == 0 || !m->covered[i - 1] || key_space[i - 1] != key_space[i];
    n += m->covered[i] && first;
  }
  return n;
}

static uint64_t model_entries(const model *m) {
  uint64_t n = model_ranges(m);
  for (int i = 0; i < KEYS; i++) n += m->kind[i] != 0;
  return n;
}

static void model_cut(model *m, uint32_t lo, uint32_t hi) {
  for (uint32_t i = lo; i < hi; i++) {
    m->kind[i] = 0;
    m->covered[i] = true;
  }
}

static void model_merge(model *dst, const model *src) {
  for (uint32_t i = 0; i < KEYS; i++) {
    if (src->covered[i]) model_cut(dst, i, i + 1);
    if (src->kind[i] == 0) continue;
    dst->kind[i] = src->kind[i];
    dst->value[i] = src->value[i];
  }
}

/*---------------------------------------------------------------- checking */

static void check_here(const lsm_iter *it, const model *m, int i) {
  if (i < 0 || i >= KEYS) {
    ck_assert(!it->valid);
    return;
  }
  uint8_t buf[200];
  ck_assert(it->valid);
  ck_assert(lsm_slice_eq(it->key, key_at((uint32_t)i)));
  ck_assert_int_eq(it->kind, m->kind[i]);
  size_t n = m->kind[i] == LSM_KIND_PUT ? value_bytes(m->value[i], buf) : 0;
  ck_assert(lsm_slice_eq(it->value, lsm_slice_of(buf, n)));
}

/* The next index from I on (step 1 or -1) that has a point. */
static int point_from(const model *m, int i, int step) {
  while (i >= 0 && i < KEYS && m->kind[i] == 0) i += step;
  return i;
}

static void check_moves(lsm_iter *it, const model *m) {
  for (int round = 0; round < 4; round++) {
    int i = (int)rnd(KEYS), step = rnd(2) == 0 ? 1 : -1;
    lsm_slice key = key_at((uint32_t)i);
    ck_assert_int_eq(step > 0 ? it->ops->seek_ge(it, key) : it->ops->seek_le(it, key), LSM_OK);
    i = point_from(m, i, step);
    check_here(it, m, i);
    for (int moves = 0; moves < 12 && it->valid; moves++) {
      step = rnd(3) == 0 ? -step : step;
      ck_assert_int_eq(step > 0 ? it->ops->next(it) : it->ops->prev(it), LSM_OK);
      i = point_from(m, i + step, step);
      check_here(it, m, i);
    }
  }
}

static lsm_rc count_range(void *arg, lsm_slice lo, lsm_slice hi) {
  ck_assert_int_lt(lsm_slice_cmp(lo, hi), 0);
  ++*(uint64_t *)arg;
  return LSM_OK;
}

static void check_gets(const lsm_memview *v, const model *m) {
  lsm_ranges ranges = lsm_memview_ranges(v);
  for (uint32_t i = 0; i < KEYS; i++) {
    lsm_kind kind = LSM_KIND_DELETE_RANGE;
    lsm_slice value, lo, hi;
    bool covered;
    uint8_t buf[200];
    lsm_rc rc = lsm_memview_get(v, key_at(i), &kind, &value, &covered);
    ck_assert_int_eq(rc, m->kind[i] != 0 ? LSM_OK : LSM_NOTFOUND);
    if (rc == LSM_OK) {
      size_t n = m->kind[i] == LSM_KIND_PUT ? value_bytes(m->value[i], buf) : 0;
      ck_assert_int_eq(kind, m->kind[i]);
      ck_assert(lsm_slice_eq(value, lsm_slice_of(buf, n)));
    } else {
      ck_assert(covered == m->covered[i]);
    }
    bool found = ranges.find != NULL && ranges.find(ranges.ctx, key_at(i), &lo, &hi);
    ck_assert(found == m->covered[i]);
    if (found) {
      ck_assert(lsm_slice_cmp(lo, key_at(i)) <= 0 && lsm_slice_cmp(key_at(i), hi) < 0);
    }
  }
}

/* All of it from the start, and from a key; nothing but up. */
static void check_scan(const lsm_memview *v, const model *m) {
  lsm_iter *it;
  ck_assert_int_eq(lsm_memview_scan(v, &it), LSM_OK);
  for (int round = 0; round < 2; round++) {
    int i = round == 0 ? 0 : (int)rnd(KEYS);
    lsm_slice key = key_at((uint32_t)i);
    ck_assert_int_eq(round == 0 ? it->ops->first(it) : it->ops->seek_ge(it, key), LSM_OK);
    for (i = point_from(m, i, 1); it->valid; i = point_from(m, i + 1, 1)) {
      check_here(it, m, i);
      ck_assert_int_eq(it->ops->next(it), LSM_OK);
    }
    ck_assert_int_eq(i, KEYS);
  }
  ck_assert_int_eq(it->ops->prev(it), LSM_MISUSE);
  ck_assert_int_eq(it->ops->last(it), LSM_MISUSE);
  ck_assert_int_eq(it->ops->seek_le(it, key_at(0)), LSM_MISUSE);
  ck_assert(!it->valid);
  lsm_iter_free(it);
}

static void check_view(const lsm_memview *v, const model *m) {
  ck_assert(lsm_memview_check(v));
  check_gets(v, m);
  uint64_t ranges = 0;
  ck_assert_int_eq(lsm_memview_each_range(v, count_range, &ranges), LSM_OK);
  ck_assert_uint_eq(ranges, model_ranges(m));
  lsm_iter *it;
  ck_assert_int_eq(lsm_memview_iter(v, &it), LSM_OK);
  int i = point_from(m, 0, 1);
  for (it->ops->first(it); it->valid; it->ops->next(it), i = point_from(m, i + 1, 1)) {
    check_here(it, m, i);
  }
  ck_assert_int_eq(i, KEYS);
  i = point_from(m, KEYS - 1, -1);
  for (it->ops->last(it); it->valid; it->ops->prev(it), i = point_from(m, i - 1, -1)) {
    check_here(it, m, i);
  }
  ck_assert_int_eq(i, -1);
  check_moves(it, m);
  lsm_iter_free(it);
  check_scan(v, m);
}

static void check_now(lsm_memtable *mt, const model *m) {
  lsm_memview v = lsm_memtable_peek(mt);
  check_view(&v, m);
  ck_assert_uint_eq(lsm_memtable_entries(mt), model_entries(m));
  ck_assert(lsm_memtable_is_empty(mt) == (model_entries(m) == 0));
}

/* The batch, written into a fresh memtable, gives the same content. */
static void check_batch(lsm_memtable *mt, const model *m) {
  lsm_buf scratch = {0};
  const lsm_slice *parts;
  int n;
  lsm_memtable *copy;
  ck_assert_int_eq(lsm_memtable_batch(mt, &scratch, &parts, &n), LSM_OK);
  ck_assert_int_eq(lsm_memtable_new(&copy), LSM_OK);
  for (int i = 0; i < n; i++) {
    const uint8_t *p = parts[i].data, *end = p + parts[i].size;
    while (p < end) {
      lsm_entry e;
      p = lsm_entry_parse(p, end, &e);
      ck_assert_ptr_nonnull(p);
      ck_assert_int_eq(lsm_memtable_write(copy, e.kind, e.key, e.value), LSM_OK);
    }
  }
  check_now(copy, m);
  lsm_memtable_unref(copy);
  lsm_buf_fini(&scratch);
}

/* A random write to both; the model's bounds stay in one keyspace. */
static lsm_rc write_random(lsm_memtable *mt, model *m, uint32_t range_odds) {
  static uint32_t version;
  uint32_t i = rnd(KEYS);
  lsm_rc rc;
  if (rnd(range_odds) == 0) {
    uint32_t hi = i + 1, most = rnd(3) == 0 ? 150 : 8;
    while (hi < KEYS - 1 && key_space[hi] == key_space[i] && rnd(most) != 0) hi++;
    if (hi >= KEYS) return LSM_OK;
    rc = lsm_memtable_write(mt, LSM_KIND_DELETE_RANGE, key_at(i), key_at(hi));
    if (rc == LSM_OK) model_cut(m, i, hi);
  } else if (rnd(4) == 0) {
    rc = lsm_memtable_write(mt, LSM_KIND_DELETE, key_at(i), LSM_SLICE_NULL);
    if (rc == LSM_OK) m->kind[i] = LSM_KIND_DELETE;
  } else {
    uint8_t buf[200];
    size_t n = value_bytes(++version, buf);
    rc = lsm_memtable_write(mt, LSM_KIND_PUT, key_at(i), lsm_slice_of(buf, n));
    if (rc == LSM_OK) {
      m->kind[i] = LSM_KIND_PUT;
      m->value[i] = version;
    }
  }
  return rc;
}

/*------------------------------------------------------------------- tests */

#define VIEWS 5
#define MARKS 4

START_TEST(test_model) {
  make_keys();
  seed = 1000 + (uint64_t)_i;
  static model now, seen[VIEWS], marked[MARKS];
  lsm_memview views[VIEWS];
  lsm_memmark marks[MARKS];
  int n_marks = 0;
  lsm_memtable *mt;
  memset(&now, 0, sizeof now);
  memset(views, 0, sizeof views);
  ck_assert_int_eq(lsm_memtable_new(&mt), LSM_OK);
  if (_i % 2 == 1) lsm_memtable_expect(mt, 0);
  for (int step = 0; step < 2000; step++) {
    uint32_t what = rnd(100);
    uint32_t v = rnd(VIEWS);
    if (what < 70) {
      ck_assert_int_eq(write_random(mt, &now, 12), LSM_OK);
    } else if (what < 76) {
      if (views[v].mt != NULL) check_view(&views[v], &seen[v]);
      lsm_memview_release(&views[v]);
      if (_i % 3 == 0) continue; /* few views: changes in place */
      bool same = v > 0 && rnd(4) == 0;
      views[v] = same ? lsm_memview_ref(&views[v - 1]) : lsm_memtable_view(mt);
      seen[v] = same ? seen[v - 1] : now;
    } else if (what < 80) {
      lsm_memview_release(&views[v]);
    } else if (what < 86 && n_marks < MARKS) {
      marks[n_marks] = lsm_memtable_mark(mt);
      marked[n_marks++] = now;
    } else if (what < 92 && n_marks > 0) {
      int to = (int)rnd((uint32_t)n_marks);
      bool first = rnd(2) == 0; /* unmark the later ones before or after */
      while (first && n_marks > to + 1) lsm_memtable_unmark(&marks[--n_marks]);
      lsm_memtable_rollback(mt, &marks[to]);
      while (n_marks > to + 1) lsm_memtable_unmark(&marks[--n_marks]);
      now = marked[to];
    } else if (what < 95 && n_marks > 0) {
      lsm_memtable_unmark(&marks[--n_marks]);
    } else if (what < 96) {
      check_batch(mt, &now);
    } else if (what < 97 && rnd(20) == 0) {
      while (n_marks > 0) lsm_memtable_unmark(&marks[--n_marks]);
      lsm_memtable_clear(mt);
      memset(&now, 0, sizeof now);
    }
    if (step % 40 == 0) check_now(mt, &now);
  }
  for (int i = 0; i < VIEWS; i++) {
    if (views[i].mt != NULL) check_view(&views[i], &seen[i]);
    lsm_memview_release(&views[i]);
  }
  check_batch(mt, &now);
  while (n_marks > 0) lsm_memtable_unmark(&marks[--n_marks]);
  ck_assert(!lsm_memtable_is_shared(mt));
  lsm_memtable_reset(mt);
  memset(&now, 0, sizeof now);
  check_now(mt, &now);
  check_batch(mt, &now);
  lsm_memtable_unref(mt);
}
END_TEST

static bool refuse(void *arg) {
  (void)arg;
  return false;
}

START_TEST(test_merge) {
  make_keys();
  seed = 2000 + (uint64_t)_i;
  static model base, over, seen[VIEWS];
  lsm_memview views[VIEWS];
  lsm_memtable *dst, *src;
  memset(&base, 0, sizeof base);
  memset(views, 0, sizeof views);
  ck_assert_int_eq(lsm_memtable_new(&dst), LSM_OK);
  ck_assert_int_eq(lsm_memtable_new(&src), LSM_OK);
  if (_i % 2 == 1) lsm_memtable_expect(dst, 0);
  for (int round = 0; round < 70; round++) {
    memset(&over, 0, sizeof over);
    uint32_t writes = rnd(8) == 0 ? rnd(300) : rnd(12);
    for (uint32_t i = 0; i < writes; i++) {
      ck_assert_int_eq(write_random(src, &over, rnd(2) == 0 ? 4 : 30), LSM_OK);
    }
    lsm_memview sv = lsm_memtable_view(src);
    if (rnd(4) == 0) { /* the view need not be what is newest */
      static model later;
      later = over;
      for (int i = 0; i < 10; i++) ck_assert_int_eq(write_random(src, &later, 5), LSM_OK);
    }
    ck_assert_int_eq(lsm_memtable_reserve_merge(dst, &sv), LSM_OK);
    uint32_t v = rnd(VIEWS);
    if (views[v].mt != NULL) check_view(&views[v], &seen[v]);
    lsm_memview_release(&views[v]);
    views[v] = lsm_memtable_view(dst);
    seen[v] = base;
    lsm_set_malloc_hook(refuse, NULL);
    lsm_memtable_merge(dst, &sv);
    lsm_set_malloc_hook(NULL, NULL);
    model_merge(&base, &over);
    check_now(dst, &base);
    if (rnd(3) == 0) check_batch(dst, &base);
    if (rnd(3) == 0) lsm_memview_release(&views[rnd(VIEWS)]);
    check_view(&sv, &over);
    lsm_memview_release(&sv);
    lsm_memtable_reset(src);
    if (rnd(60) == 0) {
      for (int i = 0; i < VIEWS; i++) lsm_memview_release(&views[i]);
      lsm_memtable_reset(dst);
      memset(&base, 0, sizeof base);
    }
  }
  for (int i = 0; i < VIEWS; i++) {
    if (views[i].mt != NULL) check_view(&views[i], &seen[i]);
    lsm_memview_release(&views[i]);
  }
  lsm_memtable_unref(src);
  lsm_memtable_unref(dst);
}
END_TEST

#define MANY 40000

static lsm_slice many_key(uint8_t *buf, uint32_t id) {
  uint32_t mixed = id * 2654435761u; /* a permutation */
  buf[0] = 1;
  lsm_set_u32(buf + 1, mixed);
  memset(buf + 5, 'x', 8); /* ids part within the first word or behind the prefix */
  lsm_set_u32(buf + 13, id);
  if (id % 4 == 0) memset(buf + 1, 'y', 8);
  return lsm_slice_of(buf, 17);
}

/* Merges into a memtable that is larger than any cache is asked to be. 1: with a
** filter, 2: which gets no memory to grow. */
START_TEST(test_merge_large) {
  static uint32_t value[MANY];
  lsm_memtable *dst, *src;
  lsm_memview held = {0};
  uint8_t key[17];
  uint64_t count = 0;
  seed = 31;
  memset(value, 0, sizeof value);
  ck_assert_int_eq(lsm_memtable_new(&dst), LSM_OK);
  ck_assert_int_eq(lsm_memtable_new(&src), LSM_OK);
  if (_i > 0) lsm_memtable_expect(dst, 0);
  for (uint32_t round = 1; round <= 120; round++) {
    for (int i = 0; i < 400; i++) {
      uint32_t id = rnd(MANY);
      count += value[id] == 0;
      value[id] = round;
      ck_assert_int_eq(lsm_memtable_write(src, LSM_KIND_PUT, many_key(key, id),
                                          lsm_slice_of(&round, sizeof round)),
                       LSM_OK);
    }
    lsm_memview sv = lsm_memtable_peek(src);
    ck_assert_int_eq(lsm_memtable_reserve_merge(dst, &sv), LSM_OK);
    if (round % 5 == 0) {
      lsm_memview_release(&held);
      held = lsm_memtable_view(dst);
    }
    if (_i != 1) lsm_set_malloc_hook(refuse, NULL);
    lsm_memtable_merge(dst, &sv);
    lsm_set_malloc_hook(NULL, NULL);
    lsm_memtable_reset(src);
  }
  ck_assert_uint_gt(count, MANY / 2);
  ck_assert_uint_eq(lsm_memtable_entries(dst), count);
  ck_assert(lsm_memview_check(&held));
  lsm_memview v = lsm_memtable_peek(dst);
  ck_assert(lsm_memview_check(&v));
  for (uint32_t id = 0; id < MANY; id++) {
    lsm_kind kind;
    lsm_slice found;
    bool covered;
    lsm_rc rc = lsm_memview_get(&v, many_key(key, id), &kind, &found, &covered);
    ck_assert_int_eq(rc, value[id] == 0 ? LSM_NOTFOUND : LSM_OK);
    if (rc == LSM_OK) ck_assert_mem_eq(found.data, &value[id], sizeof value[id]);
  }
  lsm_memview_release(&held);
  lsm_memtable_unref(src);
  lsm_memtable_unref(dst);
}
END_TEST

static bool fail_nth(void *arg) {
  int *left = arg;
  return (*left)-- != 0;
}

START_TEST(test_nomem) {
  make_keys();
  static model now, over;
  for (int nth = 0;; nth++) {
    int left = nth;
    bool failed = false;
    lsm_memtable *mt = NULL, *src = NULL;
    seed = 3;
    memset(&now, 0, sizeof now);
    memset(&over, 0, sizeof over);
    ck_assert_int_eq(lsm_memtable_new(&src), LSM_OK);
    for (int i = 0; i < 60; i++) ck_assert_int_eq(write_random(src, &over, 5), LSM_OK);
    lsm_set_malloc_hook(fail_nth, &left);
    if (lsm_memtable_new(&mt) != LSM_OK) {
      lsm_set_malloc_hook(NULL, NULL);
      ck_assert_ptr_null(mt);
      lsm_memtable_unref(src);
      continue;
    }
    lsm_memview held = {0};
    for (int i = 0; i < 1200; i++) {
      lsm_rc rc = write_random(mt, &now, 6);
      ck_assert(rc == LSM_OK || rc == LSM_NOMEM);
      failed = failed || rc != LSM_OK;
      if (i % 50 == 0) {
        lsm_memview_release(&held);
        held = lsm_memtable_view(mt);
      }
    }
    lsm_iter *it;
    lsm_rc rc = lsm_memview_iter(&held, &it);
    failed = failed || rc != LSM_OK;
    lsm_iter_free(it);
    lsm_memview sv = lsm_memtable_peek(src);
    rc = lsm_memtable_reserve_merge(mt, &sv);
    failed = failed || rc != LSM_OK;
    if (rc == LSM_OK) {
      lsm_memtable_merge(mt, &sv);
      model_merge(&now, &over);
    }
    lsm_set_malloc_hook(NULL, NULL);
    check_now(mt, &now);
    check_batch(mt, &now);
    lsm_memview_release(&held);
    lsm_memtable_unref(mt);
    lsm_memtable_unref(src);
    if (!failed) {
      ck_assert_int_gt(nth, 5);
      break;
    }
  }
}
END_TEST

/* Going back again and again costs no memory, unless a view is held; then the
** batch still has no trace of it. */
START_TEST(test_rollback_memory) {
  make_keys();
  static model now, kept;
  lsm_memtable *mt;
  memset(&now, 0, sizeof now);
  seed = 4;
  ck_assert_int_eq(lsm_memtable_new(&mt), LSM_OK);
  for (int i = 0; i < 300; i++) ck_assert_int_eq(write_random(mt, &now, 10), LSM_OK);
  kept = now;
  lsm_memmark mark = lsm_memtable_mark(mt);
  size_t used = lsm_memtable_used(mt), memory = 0;
  for (int round = 0; round < 50; round++) {
    for (int i = 0; i < 100; i++) ck_assert_int_eq(write_random(mt, &now, 10), LSM_OK);
    lsm_memtable_rollback(mt, &mark);
    now = kept;
    ck_assert_uint_eq(lsm_memtable_used(mt), used);
    if (round == 20) memory = lsm_memtable_memory(mt);
  }
  ck_assert_uint_le(lsm_memtable_memory(mt), memory + (512u << 10));
  check_now(mt, &now);
  check_batch(mt, &now);

  for (int i = 0; i < 100; i++) ck_assert_int_eq(write_random(mt, &now, 10), LSM_OK);
  static model viewed;
  viewed = now;
  lsm_memview v = lsm_memtable_view(mt);
  lsm_memtable_rollback(mt, &mark);
  now = kept;
  ck_assert_uint_gt(lsm_memtable_used(mt), used);
  for (int i = 0; i < 500; i++) ck_assert_int_eq(write_random(mt, &now, 10), LSM_OK);
  check_view(&v, &viewed);
  check_now(mt, &now);
  check_batch(mt, &now);
  lsm_memview_release(&v);
  lsm_memtable_rollback(mt, &mark);
  ck_assert_uint_eq(lsm_memtable_used(mt), used);
  now = kept;
  check_now(mt, &now);
  lsm_memtable_unmark(&mark);
  lsm_memtable_unmark(&mark); /* twice is once */
  lsm_memtable_unref(mt);
}
END_TEST

START_TEST(test_misuse) {
  lsm_memtable *mt;
  lsm_slice a = lsm_slice_str("\001a"), b = lsm_slice_str("\001b");
  ck_assert_int_eq(lsm_memtable_new(&mt), LSM_OK);
  ck_assert_int_eq(lsm_memtable_write(mt, LSM_KIND_DELETE, a, b), LSM_MISUSE);
  ck_assert_int_eq(lsm_memtable_write(mt, LSM_KIND_DELETE_RANGE, b, a), LSM_MISUSE);
  ck_assert_int_eq(lsm_memtable_write(mt, LSM_KIND_DELETE_RANGE, a, a), LSM_MISUSE);
  ck_assert_int_eq(lsm_memtable_write(mt, (lsm_kind)9, a, b), LSM_MISUSE);
  lsm_slice huge = lsm_slice_of(a.data, (size_t)LSM_KEY_MAX + 1);
  ck_assert_int_eq(lsm_memtable_write(mt, LSM_KIND_PUT, huge, b), LSM_MISUSE);
  ck_assert(lsm_memtable_is_empty(mt));
  ck_assert_uint_eq(lsm_memtable_used(mt), 0);

  /* empty keys and values, an empty view, a merge of nothing */
  ck_assert_int_eq(lsm_memtable_write(mt, LSM_KIND_PUT, LSM_SLICE_NULL, LSM_SLICE_NULL), LSM_OK);
  lsm_memview none = {0}, v = lsm_memtable_view(mt);
  lsm_kind kind;
  lsm_slice value;
  bool covered;
  ck_assert_int_eq(lsm_memview_get(&v, LSM_SLICE_NULL, &kind, &value, &covered), LSM_OK);
  ck_assert_uint_eq(value.size, 0);
  ck_assert_int_eq(lsm_memview_get(&none, a, &kind, &value, &covered), LSM_NOTFOUND);
  ck_assert(!covered);
  ck_assert_ptr_null((void *)(uintptr_t)lsm_memview_ranges(&none).ctx);
  ck_assert_uint_eq(lsm_memview_estimate(&none, LSM_SLICE_NULL, LSM_SLICE_NULL), 0);
  lsm_iter *it;
  ck_assert_int_eq(lsm_memview_iter(&none, &it), LSM_OK);
  it->ops->first(it);
  ck_assert(!it->valid);
  it->ops->seek_le(it, a);
  ck_assert(!it->valid);
  lsm_iter_free(it);
  ck_assert_int_eq(lsm_memtable_reserve_merge(mt, &none), LSM_OK);
  lsm_memtable_merge(mt, &none);
  ck_assert_uint_eq(lsm_memtable_entries(mt), 1);
  ck_assert(lsm_memtable_is_shared(mt));
  lsm_memview_release(&v);
  lsm_memview_release(&v);
  ck_assert(!lsm_memtable_is_shared(mt));
  lsm_memtable_unref(mt);
  lsm_memtable_unref(NULL);
}
END_TEST

/* Ranges of two keyspaces that touch stay two. */
START_TEST(test_keyspaces) {
  lsm_memtable *mt;
  uint64_t n = 0;
  ck_assert_int_eq(lsm_memtable_new(&mt), LSM_OK);
  lsm_slice k[4] = {lsm_slice_str("\001"), lsm_slice_str("\002"), lsm_slice_str("\003"),
                    lsm_slice_str("\001z")};
  ck_assert_int_eq(lsm_memtable_write(mt, LSM_KIND_DELETE_RANGE, k[1], k[2]), LSM_OK);
  ck_assert_int_eq(lsm_memtable_write(mt, LSM_KIND_DELETE_RANGE, k[0], k[1]), LSM_OK);
  ck_assert_int_eq(lsm_memtable_write(mt, LSM_KIND_DELETE_RANGE, k[3], k[1]), LSM_OK);
  lsm_memview v = lsm_memtable_peek(mt);
  ck_assert_int_eq(lsm_memview_each_range(&v, count_range, &n), LSM_OK);
  ck_assert_uint_eq(n, 2);
  ck_assert(lsm_memview_check(&v));
  lsm_memtable_unref(mt);
}
END_TEST

START_TEST(test_estimate) {
  lsm_memtable *mt;
  uint8_t key[9] = {1};
  seed = 11;
  ck_assert_int_eq(lsm_memtable_new(&mt), LSM_OK);
  for (uint32_t i = 0; i < 20000; i++) {
    lsm_set_u64(key + 1, 0);
    uint32_t k = i * 2654435761u; /* a permutation: random order, even spread */
    key[1] = (uint8_t)(k >> 24), key[2] = (uint8_t)(k >> 16);
    key[3] = (uint8_t)(k >> 8), key[4] = (uint8_t)k;
    ck_assert_int_eq(lsm_memtable_write(mt, LSM_KIND_PUT, lsm_slice_of(key, 9), LSM_SLICE_NULL),
                     LSM_OK);
  }
  lsm_memview v = lsm_memtable_peek(mt);
  uint8_t lo[2] = {1, 0}, hi[2] = {1, 0};
  for (int i = 0; i < 16; i++) {
    for (int j = i + 1; j < 16; j++) {
      lo[1] = (uint8_t)(i * 16), hi[1] = (uint8_t)(j * 16);
      double n = (double)lsm_memview_estimate(&v, lsm_slice_of(lo, 2), lsm_slice_of(hi, 2));
      double want = 20000.0 / 16 * (j - i);
      ck_assert_double_ge(n, want / 2);
      ck_assert_double_le(n, want * 2);
    }
  }
  double all = (double)lsm_memview_estimate(&v, LSM_SLICE_NULL, LSM_SLICE_NULL);
  ck_assert_double_ge(all, 10000);
  ck_assert_double_le(all, 40000);
  ck_assert_uint_eq(lsm_memview_estimate(&v, lsm_slice_str("\002"), LSM_SLICE_NULL), 0);
  ck_assert_uint_eq(lsm_memview_estimate(&v, LSM_SLICE_NULL, lsm_slice_str("\001")), 0);
  uint64_t few =
      lsm_memview_estimate(&v, lsm_slice_of("\001\020", 2), lsm_slice_of("\001\020\020", 3));
  uint64_t exact = 0;
  lsm_iter *it;
  ck_assert_int_eq(lsm_memview_iter(&v, &it), LSM_OK);
  it->ops->seek_ge(it, lsm_slice_of("\001\020", 2));
  for (; it->valid && memcmp(it->key.data, "\001\020\020", 3) < 0; it->ops->next(it)) exact++;
  lsm_iter_free(it);
  ck_assert_uint_gt(exact, 0);
  ck_assert_uint_eq(few, exact);
  lsm_memtable_unref(mt);
}
END_TEST

/*----------------------------------------------------------------- threads */

#define PAIRS 64

typedef struct shared {
  pthread_mutex_t mu;
  lsm_memtable *mt; /* guarded by mu */
  _Atomic bool done;
  _Atomic int rounds; /* views that readers have checked */
} shared;

static lsm_slice pair_key(uint8_t *buf, int side, int i) {
  buf[0] = 1;
  buf[1] = (uint8_t)side;
  memset(buf + 2, 'p', 14);
  buf[16] = (uint8_t)i;
  return lsm_slice_of(buf, 17);
}

/* Both keys of a pair are written under one lock: a view has both or none, and
** the same in both. Returns whether that holds. */
static bool pairs_agree(const lsm_memview *v) {
  uint8_t buf[17];
  for (int i = 0; i < PAIRS; i++) {
    lsm_kind k[2] = {0, 0};
    lsm_slice val[2];
    bool covered;
    for (int side = 0; side < 2; side++) {
      lsm_memview_get(v, pair_key(buf, side, i), &k[side], &val[side], &covered);
    }
    if (k[0] != k[1] || !lsm_slice_eq(val[0], val[1])) return false;
  }
  return true;
}

static void *read_views(void *arg) {
  shared *s = arg;
  bool ok = true;
  lsm_memview old = {0};
  for (int n = 0; !atomic_load(&s->done); n++) {
    pthread_mutex_lock(&s->mu);
    lsm_memview v = lsm_memtable_view(s->mt);
    pthread_mutex_unlock(&s->mu);
    lsm_iter *it;
    ok = ok && pairs_agree(&v) && lsm_memview_check(&v);
    if (lsm_memview_iter(&v, &it) == LSM_OK) {
      for (it->ops->first(it); it->valid; it->ops->next(it)) ok = ok && it->key.size == 17;
      lsm_iter_free(it);
    }
    ok = ok && (old.mt == NULL || pairs_agree(&old));
    atomic_fetch_add(&s->rounds, 1);
    if (n % 8 == 0) {
      lsm_memview_release(&old);
      old = lsm_memview_ref(&v);
    }
    lsm_memview_release(&v);
  }
  lsm_memview_release(&old);
  return ok ? arg : NULL;
}

START_TEST(test_threads) {
  shared s = {.mu = PTHREAD_MUTEX_INITIALIZER};
  pthread_t t[3];
  lsm_memtable *over;
  seed = 99;
  ck_assert_int_eq(lsm_memtable_new(&s.mt), LSM_OK);
  ck_assert_int_eq(lsm_memtable_new(&over), LSM_OK);
  lsm_memtable_expect(s.mt, 0);
  for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_create(&t[i], NULL, read_views, &s), 0);
  uint8_t a[17], b[17], end[17];
  lsm_rc rc = LSM_OK;
  for (uint32_t n = 0; (n < 2000 || atomic_load(&s.rounds) < 100) && rc == LSM_OK; n++) {
    int i = (int)rnd(PAIRS - 1), j = i + 1 + (int)rnd(PAIRS - 1 - (uint32_t)i + 1);
    if (j >= PAIRS) j = PAIRS - 1;
    lsm_memtable *mt = n % 3 == 0 ? over : s.mt;
    if (mt == s.mt) pthread_mutex_lock(&s.mu);
    for (int side = 0; side < 2 && rc == LSM_OK; side++) {
      lsm_slice key = pair_key(side == 0 ? a : b, side, i);
      if (n % 16 == 1 && i < j) {
        rc = lsm_memtable_write(mt, LSM_KIND_DELETE_RANGE, key, pair_key(end, side, j));
      } else {
        rc = lsm_memtable_write(mt, LSM_KIND_PUT, key, lsm_slice_of(&n, sizeof n));
      }
    }
    if (mt == s.mt) {
      pthread_mutex_unlock(&s.mu);
      continue;
    }
    lsm_memview v = lsm_memtable_peek(over);
    pthread_mutex_lock(&s.mu);
    if (rc == LSM_OK) rc = lsm_memtable_reserve_merge(s.mt, &v);
    if (rc == LSM_OK) lsm_memtable_merge(s.mt, &v);
    pthread_mutex_unlock(&s.mu);
    lsm_memtable_reset(over);
  }
  atomic_store(&s.done, true);
  for (int i = 0; i < 3; i++) {
    void *ok;
    pthread_join(t[i], &ok);
    ck_assert_ptr_nonnull(ok);
  }
  ck_assert_int_eq(rc, LSM_OK);
  ck_assert(!lsm_memtable_is_shared(s.mt));
  lsm_memtable_unref(s.mt);
  lsm_memtable_unref(over);
}
END_TEST

Suite *memtable_suite(void) {
  Suite *s = suite_create("memtable");
  TCase *tc = tcase_create("memtable");
  tcase_set_timeout(tc, 120);
  tcase_add_loop_test(tc, test_model, 0, 5);
  tcase_add_loop_test(tc, test_merge, 0, 3);
  tcase_add_loop_test(tc, test_merge_large, 0, 3);
  tcase_add_test(tc, test_nomem);
  tcase_add_test(tc, test_rollback_memory);
  tcase_add_test(tc, test_misuse);
  tcase_add_test(tc, test_keyspaces);
  tcase_add_test(tc, test_estimate);
  tcase_add_test(tc, test_threads);
  suite_add_tcase(s, tc);
  return s;
}
