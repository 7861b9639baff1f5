/* test_block.c: blocks against a sorted array, malformed bytes, golden bytes. */
#include <check.h>
#include <stdlib.h>

#include "block.h"

Suite *block_suite(void);

static uint64_t seed;

static uint32_t rnd(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % n;
}

/*------------------------------------------------------------------- model */

enum { MODEL_MAX = 400, KEY_ROOM = 300 };

typedef struct item {
  uint8_t key[KEY_ROOM];
  size_t size;
  bool tombstone;
  uint8_t value[200];
  size_t vsize;
} item;

typedef struct model {
  item items[MODEL_MAX];
  size_t n;
} model;

static lsm_slice key_of(const item *i) {
  return lsm_slice_of(i->key, i->size);
}

static int cmp_items(const void *a, const void *b) {
  return lsm_slice_cmp(key_of(a), key_of(b));
}

/* Few letters and common beginnings: keys share a lot, and are found again. */
static void random_key(item *i, int shape) {
  size_t common = shape == 2 ? 150 : 0;
  memset(i->key, 'c', common);
  i->size = common + rnd(shape == 0 ? 4 : 100);
  for (size_t k = common; k < i->size; k++)
    i->key[k] = (uint8_t)(shape == 1 && k < 30 ? 'p' : rnd(3) == 0 ? 0xFF : 'a' + (int)rnd(3));
}

static void fill_model(model *m, size_t n, int shape) {
  for (size_t i = 0; i < n; i++) {
    random_key(&m->items[i], shape);
    m->items[i].tombstone = rnd(5) == 0;
    m->items[i].vsize = m->items[i].tombstone ? 0 : rnd(200);
    for (size_t k = 0; k < m->items[i].vsize; k++) m->items[i].value[k] = (uint8_t)rnd(256);
  }
  qsort(m->items, n, sizeof m->items[0], cmp_items);
  m->n = 0;
  for (size_t i = 0; i < n; i++) {
    if (m->n > 0 && cmp_items(&m->items[m->n - 1], &m->items[i]) == 0) continue;
    memmove(&m->items[m->n++], &m->items[i], sizeof m->items[0]);
  }
}

static lsm_slice build(lsm_block_builder *b, const model *m) {
  lsm_slice block;
  lsm_block_builder_clear(b);
  for (size_t i = 0; i < m->n; i++) {
    const item *it = &m->items[i];
    ck_assert_int_eq(lsm_block_builder_add(b, it->tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT,
                                           key_of(it), lsm_slice_of(it->value, it->vsize)),
                     LSM_OK);
  }
  size_t size = lsm_block_builder_size(b);
  ck_assert_uint_eq(b->entries, m->n);
  ck_assert_int_eq(lsm_block_builder_finish(b, &block), LSM_OK);
  ck_assert_uint_eq(block.size, size);
  return block;
}

/* It stands on item i; i outside of the model: nowhere. */
static void assert_at(const lsm_block_iter *it, const model *m, size_t i) {
  ck_assert_int_eq(it->base.valid, i < m->n);
  if (i >= m->n) return;
  const item *want = &m->items[i];
  ck_assert(lsm_slice_eq(it->base.key, key_of(want)));
  ck_assert(lsm_slice_eq(it->base.value, lsm_slice_of(want->value, want->vsize)));
  ck_assert_int_eq(it->base.kind, want->tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT);
}

static size_t model_ge(const model *m, lsm_slice key) {
  size_t i = 0;
  while (i < m->n && lsm_slice_cmp(key_of(&m->items[i]), key) < 0) i++;
  return i;
}

static size_t model_le(const model *m, lsm_slice key) {
  size_t i = model_ge(m, key);
  if (i < m->n && lsm_slice_eq(key_of(&m->items[i]), key)) return i;
  return i == 0 ? SIZE_MAX : i - 1;
}

static void check_get(lsm_slice block, const model *m, lsm_slice key) {
  lsm_kind kind;
  lsm_slice value;
  lsm_block_index index;
  lsm_block_index_make(&index, block);
  lsm_rc rc = lsm_block_get(block, rnd(2) == 0 ? NULL : &index, key, "f", 0, &kind, &value);
  size_t i = model_ge(m, key);
  if (i < m->n && lsm_slice_eq(key_of(&m->items[i]), key)) {
    ck_assert_int_eq(rc, LSM_OK);
    ck_assert_int_eq(kind, m->items[i].tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT);
    ck_assert(lsm_slice_eq(value, lsm_slice_of(m->items[i].value, m->items[i].vsize)));
  } else {
    ck_assert_int_eq(rc, LSM_NOTFOUND);
  }
}

static void random_moves(lsm_block_iter *it, const model *m, lsm_slice block, int shape) {
  size_t at = SIZE_MAX;
  for (int step = 0; step < 400; step++) {
    item probe;
    random_key(&probe, shape);
    if (rnd(2) == 0 && m->n > 0) probe = m->items[rnd((uint32_t)m->n)];
    lsm_slice key = key_of(&probe);
    uint32_t what = rnd(12);
    if (at >= m->n && what >= 4) what = rnd(4);
    lsm_rc rc;
    if (what == 0) {
      rc = lsm_block_iter_first(it);
      at = 0;
    } else if (what == 1) {
      rc = lsm_block_iter_last(it);
      at = m->n - 1;
    } else if (what == 2) {
      rc = lsm_block_iter_seek_ge(it, key);
      at = model_ge(m, key);
    } else if (what == 3) {
      rc = lsm_block_iter_seek_le(it, key);
      at = model_le(m, key);
    } else if (what < 9) {
      rc = lsm_block_iter_next(it);
      at++;
    } else {
      rc = lsm_block_iter_prev(it);
      at--;
    }
    ck_assert_int_eq(rc, LSM_OK);
    assert_at(it, m, at);
    check_get(block, m, key);
  }
}

static model the_model;

/* With an index or without. */
static void init_some(lsm_block_iter *it, lsm_slice block, lsm_block_index *index, bool indexed) {
  lsm_block_index_make(index, block);
  ck_assert_int_eq(lsm_block_iter_init_indexed(it, block, indexed ? index : NULL, "f", 0), LSM_OK);
}

START_TEST(test_against_model) {
  static const size_t sizes[] = {1, 2, 15, 16, 17, 32, 33, 100, 400};
  lsm_block_builder b = {0};
  lsm_block_iter it = {0};
  model *m = &the_model;
  seed = 1;
  for (int round = 0; round < 6; round++) {
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
      int shape = round % 3;
      fill_model(m, sizes[i], shape);
      lsm_slice block = build(&b, m);
      lsm_block_index index;
      init_some(&it, block, &index, round % 2 == 0);
      ck_assert_int_eq(index.nrestarts > 0, m->n <= 16 * LSM_BLOCK_INDEXED);
      ck_assert(!it.base.valid);
      size_t k = 0;
      ck_assert_int_eq(lsm_block_iter_first(&it), LSM_OK);
      for (; it.base.valid; k++) {
        assert_at(&it, m, k);
        ck_assert_int_eq(lsm_block_iter_next(&it), LSM_OK);
      }
      ck_assert_uint_eq(k, m->n);
      ck_assert_int_eq(lsm_block_iter_last(&it), LSM_OK);
      for (; it.base.valid; k--) {
        assert_at(&it, m, k - 1);
        ck_assert_int_eq(lsm_block_iter_prev(&it), LSM_OK);
      }
      ck_assert_uint_eq(k, 0);
      random_moves(&it, m, block, shape);
    }
  }
  lsm_block_iter_fini(&it);
  lsm_block_builder_fini(&b);
}
END_TEST

static void put_u32(lsm_buf *b, uint32_t v) {
  uint8_t bytes[4];
  lsm_set_u32(bytes, v);
  ck_assert_int_eq(lsm_buf_append(b, bytes, sizeof bytes), LSM_OK);
}

/* Intervals of any length are allowed: a block with a restart every EVERY entries. */
static void build_sparse(lsm_buf *out, const model *m, size_t every) {
  lsm_buf array = {0};
  lsm_slice last = LSM_SLICE_NULL;
  uint32_t n = 0;
  lsm_buf_clear(out);
  for (size_t i = 0; i < m->n; i++) {
    const item *it = &m->items[i];
    size_t shared = 0, most = it->size < last.size ? it->size : last.size;
    if (i % every == 0) {
      put_u32(&array, (uint32_t)out->size);
      n++;
    } else {
      shared = lsm_common_prefix(it->key, last.data, most);
    }
    ck_assert_int_eq(lsm_buf_put_varint(out, shared), LSM_OK);
    ck_assert_int_eq(lsm_buf_put_varint(out, it->size - shared), LSM_OK);
    ck_assert_int_eq(lsm_buf_put_varint(out, it->tombstone ? 0 : it->vsize + 1), LSM_OK);
    ck_assert_int_eq(lsm_buf_append(out, it->key + shared, it->size - shared), LSM_OK);
    ck_assert_int_eq(lsm_buf_append(out, it->value, it->vsize), LSM_OK);
    last = key_of(it);
  }
  ck_assert_int_eq(lsm_buf_append(out, array.data, array.size), LSM_OK);
  put_u32(out, n);
  lsm_buf_fini(&array);
}

START_TEST(test_long_intervals) {
  static const size_t every[] = {1, 3, 17, 40, 1000};
  lsm_block_iter it = {0};
  lsm_buf bytes = {0};
  model *m = &the_model;
  seed = 11;
  for (int round = 0; round < 6; round++) {
    for (size_t e = 0; e < sizeof every / sizeof every[0]; e++) {
      fill_model(m, 150, round % 3);
      build_sparse(&bytes, m, every[e]);
      lsm_block_index index;
      init_some(&it, lsm_buf_slice(&bytes), &index, round % 2 == 0);
      ck_assert_int_eq(lsm_block_iter_last(&it), LSM_OK);
      size_t k = m->n;
      for (; it.base.valid; k--) {
        assert_at(&it, m, k - 1);
        ck_assert_int_eq(lsm_block_iter_prev(&it), LSM_OK);
      }
      ck_assert_uint_eq(k, 0);
      random_moves(&it, m, lsm_buf_slice(&bytes), round % 3);
    }
  }
  lsm_block_iter_fini(&it);
  lsm_buf_fini(&bytes);
}
END_TEST

START_TEST(test_empty_block) {
  lsm_block_builder b = {0};
  lsm_block_iter it = {0};
  lsm_slice block;
  lsm_kind kind;
  lsm_slice value;
  ck_assert_int_eq(lsm_block_builder_finish(&b, &block), LSM_OK);
  ck_assert_uint_eq(block.size, 4);
  ck_assert_int_eq(lsm_block_iter_init(&it, block, "f", 0), LSM_OK);
  ck_assert_int_eq(lsm_block_iter_first(&it), LSM_OK);
  ck_assert(!it.base.valid);
  ck_assert_int_eq(lsm_block_iter_last(&it), LSM_OK);
  ck_assert(!it.base.valid);
  ck_assert_int_eq(lsm_block_iter_seek_ge(&it, lsm_slice_str("a")), LSM_OK);
  ck_assert(!it.base.valid);
  ck_assert_int_eq(lsm_block_iter_seek_le(&it, lsm_slice_str("a")), LSM_OK);
  ck_assert(!it.base.valid);
  ck_assert_int_eq(lsm_block_get(block, NULL, lsm_slice_str("a"), "f", 0, &kind, &value), LSM_NOTFOUND);
  lsm_block_iter_fini(&it);
  lsm_block_builder_fini(&b);
}
END_TEST

START_TEST(test_order_is_checked) {
  static const char *const wrong[] = {"bb", "ba", "b", "a", ""};
  lsm_block_builder b = {0};
  lsm_slice none = LSM_SLICE_NULL, block;
  ck_assert_int_eq(lsm_block_builder_add(&b, LSM_KIND_PUT, lsm_slice_str("bb"), none), LSM_OK);
  size_t size = lsm_block_builder_size(&b);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    ck_assert_int_eq(lsm_block_builder_add(&b, LSM_KIND_PUT, lsm_slice_str(wrong[i]), none),
                     LSM_MISUSE);
  ck_assert_uint_eq(lsm_block_builder_size(&b), size);
  ck_assert_int_eq(lsm_block_builder_add(&b, LSM_KIND_PUT, lsm_slice_str("bbb"), none), LSM_OK);
  ck_assert_int_eq(lsm_block_builder_finish(&b, &block), LSM_OK);
  ck_assert_uint_eq(b.entries, 2);
  lsm_block_builder_fini(&b);
}
END_TEST

START_TEST(test_common_prefix) {
  uint8_t a[40], b[40];
  for (size_t n = 0; n <= 40; n++) {
    for (size_t k = 0; k <= n; k++) {
      memset(a, 7, sizeof a);
      memset(b, 7, sizeof b);
      if (k < n) b[k] = (uint8_t)(k % 2 ? 8 : 0x87);
      ck_assert_uint_eq(lsm_common_prefix(a, b, n), k);
    }
  }
}
END_TEST

/*--------------------------------------------------------------- malformed */

/* Everything that can be done with it, whatever it says. */
static void exercise(lsm_slice block, lsm_block_iter *it) {
  lsm_kind kind;
  lsm_slice value, key = lsm_slice_str("keyb7");
  lsm_block_index index;
  lsm_block_index_make(&index, block);
  (void)lsm_block_get(block, NULL, key, "f", 0, &kind, &value);
  (void)lsm_block_get(block, &index, key, "f", 0, &kind, &value);
  if (lsm_block_iter_init_indexed(it, block, rnd(2) ? &index : NULL, "f", 0) != LSM_OK) return;
  size_t steps = 0;
  for (lsm_rc rc = lsm_block_iter_first(it); rc == LSM_OK && it->base.valid; steps++)
    rc = lsm_block_iter_next(it);
  ck_assert_uint_le(steps, block.size);
  for (lsm_rc rc = lsm_block_iter_last(it); rc == LSM_OK && it->base.valid && steps < 10000;
       steps++)
    rc = lsm_block_iter_prev(it);
  ck_assert_uint_lt(steps, 10000);
  if (lsm_block_iter_seek_ge(it, key) == LSM_OK && it->base.valid) (void)lsm_block_iter_prev(it);
  if (lsm_block_iter_seek_le(it, key) == LSM_OK && it->base.valid) (void)lsm_block_iter_next(it);
}

/* A copy of its own size, for the sanitizer to see the end of. */
static void exercise_copy(const uint8_t *data, size_t n, lsm_block_iter *it) {
  uint8_t *copy = lsm_malloc(n);
  ck_assert_ptr_nonnull(copy);
  memcpy(copy, data, n);
  exercise(lsm_slice_of(copy, n), it);
  lsm_free(copy);
  (void)lsm_block_iter_init(it, LSM_SLICE_NULL, "f", 0);
}

static lsm_slice small_block(lsm_block_builder *b) {
  lsm_slice block;
  for (int i = 0; i < 20; i++) {
    uint8_t key[] = {'k', 'e', 'y', 'b', (uint8_t)('A' + 2 * i)};
    lsm_kind kind = i % 4 == 3 ? LSM_KIND_DELETE : LSM_KIND_PUT;
    lsm_slice value = lsm_slice_of("0123456789", (size_t)i % 11);
    ck_assert_int_eq(lsm_block_builder_add(b, kind, lsm_slice_of(key, sizeof key), value), LSM_OK);
  }
  ck_assert_int_eq(lsm_block_builder_finish(b, &block), LSM_OK);
  return block;
}

START_TEST(test_malformed) {
  lsm_block_builder b = {0};
  lsm_block_iter it = {0};
  lsm_slice block = small_block(&b);
  for (size_t n = 0; n < block.size; n++) exercise_copy(block.data, n, &it);
  for (size_t i = 0; i < block.size; i++) {
    uint8_t old = b.data.data[i];
    for (int v = 0; v < 256; v++) {
      b.data.data[i] = (uint8_t)v;
      if (v < 4 || v > 251 || (v & (v - 1)) == 0 || (v ^ old) == 1)
        exercise_copy(block.data, block.size, &it);
    }
    b.data.data[i] = old;
  }
  lsm_block_iter_fini(&it);
  lsm_block_builder_fini(&b);
}
END_TEST

START_TEST(test_random_bytes) {
  lsm_block_iter it = {0};
  uint8_t bytes[64];
  seed = 3;
  for (int round = 0; round < 20000; round++) {
    size_t n = 4 + rnd(60);
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(rnd(2) ? rnd(6) : rnd(256));
    uint32_t restarts = rnd(3);
    lsm_set_u32(bytes + n - 4, restarts);
    for (uint32_t i = 1; i <= restarts && 4 + 4 * i <= n; i++)
      lsm_set_u32(bytes + n - 4 - 4 * i, i == restarts ? 0 : rnd(40));
    exercise_copy(bytes, n, &it);
  }
  lsm_block_iter_fini(&it);
}
END_TEST

static void assert_walk_is_corrupt(lsm_slice block) {
  lsm_block_iter it = {0};
  lsm_rc rc = lsm_block_iter_init(&it, block, "some.sst", 4711);
  if (rc == LSM_OK) rc = lsm_block_iter_first(&it);
  while (rc == LSM_OK && it.base.valid) rc = lsm_block_iter_next(&it);
  ck_assert_int_eq(rc, LSM_CORRUPT);
  ck_assert(!it.base.valid);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "some.sst"));
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "4711"));
  lsm_block_iter_fini(&it);
}

START_TEST(test_named_faults) {
  lsm_block_builder b = {0};
  lsm_slice block = small_block(&b);
  uint8_t *p = b.data.data;
  size_t array = block.size - 12; /* two restarts */
  ck_assert_uint_eq(lsm_get_u32(p + block.size - 4), 2);
  uint32_t second = lsm_get_u32(p + array + 4);

  static const uint32_t counts[] = {0, 1, 3, 1000, UINT32_MAX, 1u << 30};
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    lsm_set_u32(p + block.size - 4, counts[i]);
    assert_walk_is_corrupt(block);
  }
  lsm_set_u32(p + block.size - 4, 2);
  const uint32_t offsets[] = {0, 1, second - 1, second + 1, (uint32_t)array, UINT32_MAX};
  for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
    lsm_set_u32(p + array + 4, offsets[i]);
    assert_walk_is_corrupt(block);
  }
  lsm_set_u32(p + array + 4, second);
  lsm_set_u32(p + array, 1); /* the first is not at 0 */
  assert_walk_is_corrupt(block);
  lsm_set_u32(p + array, 0);

  p[0] = 1; /* shared, and nothing before */
  assert_walk_is_corrupt(block);
  p[0] = 0;
  p[second] = 1; /* a restart that shares */
  assert_walk_is_corrupt(block);
  p[second] = 0;
  p[1] = 0x7F; /* longer than what is left before the restart */
  assert_walk_is_corrupt(block);
  p[1] = 5;
  lsm_block_builder_fini(&b);
}
END_TEST

START_TEST(test_golden) {
  static const uint8_t want[] = {
      0, 2, 4, 'k', 'a', 'o', 'n', 'e', /* ka = one */
      2, 1, 1, 'b',                     /* kab = "" */
      1, 1, 0, 'b',                     /* kb deleted */
      0, 0, 0, 0,                       /* restart */
      1, 0, 0, 0,                       /* one of them */
  };
  lsm_block_builder b = {0};
  lsm_slice block, none = LSM_SLICE_NULL;
  lsm_slice one = lsm_slice_str("one");
  ck_assert_int_eq(lsm_block_builder_add(&b, LSM_KIND_PUT, lsm_slice_str("ka"), one), LSM_OK);
  ck_assert_int_eq(lsm_block_builder_add(&b, LSM_KIND_PUT, lsm_slice_str("kab"), none), LSM_OK);
  ck_assert_int_eq(lsm_block_builder_add(&b, LSM_KIND_DELETE, lsm_slice_str("kb"), one), LSM_OK);
  ck_assert_int_eq(lsm_block_builder_finish(&b, &block), LSM_OK);
  ck_assert_uint_eq(block.size, sizeof want);
  ck_assert_mem_eq(block.data, want, sizeof want);
  lsm_block_builder_fini(&b);
}
END_TEST

static bool fail_nth(void *arg) {
  int *left = arg;
  return --*left != 0;
}

START_TEST(test_out_of_memory) {
  model *m = &the_model;
  seed = 9;
  fill_model(m, 100, 2);
  lsm_rc rc = LSM_NOMEM;
  for (int n = 1; rc != LSM_OK; n++) {
    ck_assert_int_lt(n, 100);
    int left = n;
    lsm_block_builder b = {0};
    lsm_block_iter it = {0};
    lsm_slice block;
    size_t seen = 0;
    lsm_set_malloc_hook(fail_nth, &left);
    rc = LSM_OK;
    for (size_t i = 0; rc == LSM_OK && i < m->n; i++)
      rc = lsm_block_builder_add(&b, LSM_KIND_PUT, key_of(&m->items[i]), LSM_SLICE_NULL);
    if (rc == LSM_OK) rc = lsm_block_builder_finish(&b, &block);
    if (rc == LSM_OK) rc = lsm_block_iter_init(&it, block, "f", 0);
    if (rc == LSM_OK) rc = lsm_block_iter_first(&it);
    while (rc == LSM_OK && it.base.valid) {
      seen++;
      rc = lsm_block_iter_next(&it);
    }
    if (rc == LSM_OK) rc = lsm_block_iter_seek_le(&it, key_of(&m->items[m->n - 1]));
    while (rc == LSM_OK && it.base.valid) {
      seen++;
      rc = lsm_block_iter_prev(&it);
    }
    lsm_set_malloc_hook(NULL, NULL);
    if (rc == LSM_OK)
      ck_assert_uint_eq(seen, 2 * m->n);
    else
      ck_assert_int_eq(rc, LSM_NOMEM);
    lsm_block_iter_fini(&it);
    lsm_block_builder_fini(&b);
  }
}
END_TEST

Suite *block_suite(void) {
  Suite *s = suite_create("block");
  TCase *tc = tcase_create("block");
  tcase_add_test(tc, test_against_model);
  tcase_add_test(tc, test_long_intervals);
  tcase_add_test(tc, test_empty_block);
  tcase_add_test(tc, test_order_is_checked);
  tcase_add_test(tc, test_common_prefix);
  tcase_add_test(tc, test_malformed);
  tcase_add_test(tc, test_random_bytes);
  tcase_add_test(tc, test_named_faults);
  tcase_add_test(tc, test_golden);
  tcase_add_test(tc, test_out_of_memory);
  suite_add_tcase(s, tc);
  return s;
}
