/* test_avl.c: trees against a sorted array, old roots included, and how many
** nodes a change takes. */
#include <check.h>
#include <stdlib.h>

#include "avl.h"

Suite *avl_suite(void);

#define KEYS 3000 /* of two bytes: their number */

static uint8_t entries[KEYS][8]; /* PUT, key of four bytes, no value */
static uint64_t seed;

static uint32_t rnd(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((seed >> 33) % n);
}

static void make_entries(void) {
  for (uint32_t i = 0; i < KEYS; i++) {
    uint8_t key[4] = {1, (uint8_t)(i >> 8), (uint8_t)i, 0};
    lsm_entry_put(entries[i], LSM_KIND_PUT, lsm_slice_of(key, 4), LSM_SLICE_NULL);
  }
}

static lsm_avl_key key_at(uint32_t i) {
  return lsm_avl_key_of(lsm_slice_of(entries[i] + 3, 4));
}

static uint32_t put(lsm_avl *a, uint32_t root, uint32_t i, bool *added) {
  lsm_avl_key k = key_at(i);
  lsm_avl_path path;
  path.depth = 0;
  ck_assert_int_eq(lsm_avl_reserve(a, 64), LSM_OK);
  return lsm_avl_put(a, root, &k, entries[i], &path, added);
}

static uint32_t node_number(const lsm_avl_node *n) {
  return (uint32_t)(n->entry - entries[0]) / 8;
}

/* The tree has exactly the keys of has[]. */
static void check_tree(const lsm_avl *a, uint32_t root, const bool *has) {
  const lsm_avl_table *t = lsm_avl_load(a);
  ck_assert(lsm_avl_check(t, root));
  lsm_avl_iter it;
  lsm_avl_iter_init(&it, t, root);
  const lsm_avl_node *n = lsm_avl_iter_first(&it);
  uint64_t count = 0;
  for (uint32_t i = 0; i < KEYS; i++) {
    if (!has[i]) continue;
    ck_assert_ptr_nonnull(n);
    ck_assert_uint_eq(node_number(n), i);
    n = lsm_avl_iter_next(&it);
    count++;
  }
  ck_assert_ptr_null(n);
  ck_assert_uint_eq(lsm_avl_size(t, root), count);
  ck_assert_uint_le(lsm_avl_height(t, root), lsm_avl_height_bound(count));
}

static void check_find(const lsm_avl *a, uint32_t root, const bool *has) {
  const lsm_avl_table *t = lsm_avl_load(a);
  for (int round = 0; round < 100; round++) {
    int i = (int)rnd(KEYS), lo = i, hi = i, below = i - 1;
    lsm_avl_key k = key_at((uint32_t)i);
    while (lo >= 0 && !has[lo]) lo--;
    while (hi < KEYS && !has[hi]) hi++;
    while (below >= 0 && !has[below]) below--;
    const lsm_avl_node *n = lsm_avl_find(t, root, &k);
    ck_assert((n != NULL) == has[i]);
    n = lsm_avl_floor(t, root, &k, false);
    ck_assert_int_eq(n == NULL ? -1 : (int)node_number(n), lo);
    n = lsm_avl_floor(t, root, &k, true);
    ck_assert_int_eq(n == NULL ? -1 : (int)node_number(n), below);
    n = lsm_avl_ceiling(t, root, &k);
    ck_assert_int_eq(n == NULL ? KEYS : (int)node_number(n), hi);
  }
}

/* Random puts and cuts; every so often the tree is frozen and kept. */
START_TEST(test_model) {
  static bool has[KEYS], kept[4][KEYS];
  uint32_t roots[4] = {0}, root = 0;
  lsm_avl a;
  make_entries();
  memset(has, 0, sizeof has);
  memset(kept, 0, sizeof kept);
  seed = 17 + (uint64_t)_i;
  lsm_avl_init(&a);
  for (int step = 0; step < 6000; step++) {
    if (rnd(150) == 0) {
      uint32_t lo = rnd(KEYS), hi = lo + rnd(rnd(4) == 0 ? KEYS : 60), l, r;
      hi = hi >= KEYS ? KEYS - 1 : hi;
      bool too = rnd(2) == 0;
      lsm_avl_key klo = key_at(lo), khi = key_at(hi);
      uint64_t taken = 0;
      for (uint32_t i = lo; i < hi + too; i++) taken += has[i], has[i] = false;
      ck_assert_int_eq(lsm_avl_reserve(&a, 5000), LSM_OK);
      ck_assert_uint_eq(lsm_avl_cut(&a, root, &klo, &khi, too, &l, &r), taken);
      if (rnd(2) == 0 && !has[lo]) {
        root = lsm_avl_join(&a, l, &klo, entries[lo], r);
        has[lo] = true;
      } else {
        root = lsm_avl_join2(&a, l, r);
      }
    } else {
      bool added;
      uint32_t i = _i % 2 == 0 ? rnd(KEYS) : (uint32_t)step % KEYS;
      root = put(&a, root, i, &added);
      ck_assert(added == !has[i]);
      has[i] = true;
    }
    if (_i > 1 && rnd(100) == 0) {
      int s = (int)rnd(4);
      check_tree(&a, roots[s], kept[s]);
      roots[s] = root;
      memcpy(kept[s], has, sizeof has);
      a.shared_below = a.next;
    }
    if (step % 300 == 0) {
      check_tree(&a, root, has);
      check_find(&a, root, has);
    }
  }
  for (int s = 0; s < 4; s++) check_tree(&a, roots[s], kept[s]);
  lsm_avl_fini(&a);
}
END_TEST

/* No change of a wholly shared tree takes more nodes than are reserved for it,
** and insertions in order through one path are the same as others. */
START_TEST(test_nodes) {
  lsm_avl a;
  static bool has[KEYS];
  make_entries();
  seed = 23;
  for (int round = 0; round < 250; round++) {
    lsm_avl_init(&a);
    memset(has, 0, sizeof has);
    uint32_t n = 1 + rnd(rnd(2) == 0 ? 40 : KEYS), root = 0;
    lsm_avl_path path;
    path.depth = 0;
    bool added;
    if (round % 2 == 0) {
      for (uint32_t i = 0; i < n; i++) {
        uint32_t k = rnd(KEYS);
        root = put(&a, root, k, &added);
        has[k] = true;
      }
    }
    for (uint32_t i = rnd(5); round % 4 != 0 && i < KEYS; i += 1 + rnd(KEYS / n + 1)) {
      lsm_avl_key k = key_at(i);
      ck_assert_int_eq(lsm_avl_reserve(&a, 64), LSM_OK);
      lsm_avl_climb(&a, &k, &path);
      root = lsm_avl_put(&a, root, &k, entries[i], &path, &added);
      ck_assert(added == !has[i]);
      has[i] = true;
    }
    if (round % 10 == 1) check_tree(&a, root, has);
    uint32_t h = lsm_avl_height(lsm_avl_load(&a), root);
    for (int i = 0; i < 20; i++) {
      ck_assert_int_eq(lsm_avl_reserve(&a, 5000), LSM_OK);
      a.shared_below = a.next;
      uint32_t before = lsm_avl_count(&a), l, r;
      (void)put(&a, root, rnd(KEYS), &added);
      ck_assert_uint_le(lsm_avl_count(&a) - before, LSM_AVL_PUT_NODES(h));
      a.shared_below = a.next;
      before = lsm_avl_count(&a);
      uint32_t lo = rnd(KEYS), hi = lo + rnd(KEYS - lo);
      lsm_avl_key klo = key_at(lo), khi = key_at(hi);
      (void)lsm_avl_cut(&a, root, &klo, &khi, true, &l, &r);
      (void)lsm_avl_join2(&a, l, r);
      ck_assert_uint_le(lsm_avl_count(&a) - before, LSM_AVL_CUT_NODES(h));
    }
    check_tree(&a, root, has);
    lsm_avl_fini(&a);
  }
}
END_TEST

/* Numbers jump over what the first chunks lack; going back finds the way. */
START_TEST(test_chunks) {
  lsm_avl a;
  static const uint32_t marks[] = {1, 2, 255, 256, 257, 2303, 2304, 2305, 10496, 10497, 20000};
  uint32_t at[11], m = 0, made = 0, root;
  make_entries();
  lsm_avl_init(&a);
  ck_assert_int_eq(lsm_avl_reserve(&a, 200000), LSM_OK);
  size_t memory = a.memory;
  lsm_avl_key k = key_at(0);
  for (; made < 200000; made++) {
    if (m < 11 && made + 1 == marks[m]) at[m++] = a.next;
    ck_assert_uint_eq(lsm_avl_count(&a), made);
    root = lsm_avl_join(&a, 0, &k, entries[0], 0);
    ck_assert_uint_ne(root, 0);
  }
  ck_assert_uint_eq(a.memory, memory);
  ck_assert_uint_eq(m, 11);
  while (m-- > 0) {
    lsm_avl_rewind(&a, at[m]);
    ck_assert_uint_eq(lsm_avl_count(&a), marks[m] - 1);
    ck_assert_int_eq(lsm_avl_reserve(&a, 199000 - marks[m]), LSM_OK);
    ck_assert_uint_eq(a.memory, memory);
  }
  lsm_avl_reset(&a, 100000);
  ck_assert_uint_lt(a.memory, 101000);
  ck_assert_uint_eq(lsm_avl_count(&a), 0);
  bool added;
  root = put(&a, 0, 5, &added);
  ck_assert_uint_eq(lsm_avl_size(lsm_avl_load(&a), root), 1);
  lsm_avl_fini(&a);
  ck_assert_uint_eq(a.memory, 0);
}
END_TEST

static bool fail_nth(void *arg) {
  int *left = arg;
  return (*left)-- != 0;
}

START_TEST(test_nomem) {
  for (int nth = 0;; nth++) {
    lsm_avl a;
    int left = nth;
    lsm_avl_init(&a);
    lsm_set_malloc_hook(fail_nth, &left);
    lsm_rc rc = lsm_avl_reserve(&a, 150000);
    lsm_set_malloc_hook(NULL, NULL);
    ck_assert(rc == LSM_OK || rc == LSM_NOMEM);
    ck_assert_int_eq(lsm_avl_reserve(&a, 150000), LSM_OK);
    ck_assert_uint_eq(lsm_avl_count(&a), 0);
    lsm_avl_fini(&a);
    if (rc == LSM_OK) {
      ck_assert_int_gt(nth, 5);
      break;
    }
  }
}
END_TEST

/* Keys whose padded prefixes are equal, or that part after them. */
START_TEST(test_prefixes) {
  static uint8_t bytes[40][32];
  uint8_t key[20] = {0};
  lsm_avl a;
  lsm_avl_init(&a);
  uint32_t root = 0, n = 0;
  for (size_t size = 0; size <= 18; size++) {
    for (uint8_t last = 0; last < 2 && (size > 0 || last == 0); last++) {
      if (size > 0) key[size - 1] = last;
      lsm_slice s = lsm_slice_of(key, size);
      lsm_entry_put(bytes[n], LSM_KIND_PUT, s, LSM_SLICE_NULL);
      lsm_avl_key k = lsm_avl_key_of(s);
      lsm_avl_path path;
      path.depth = 0;
      bool added;
      ck_assert_int_eq(lsm_avl_reserve(&a, 64), LSM_OK);
      ck_assert_ptr_null((void *)(uintptr_t)lsm_avl_find(lsm_avl_load(&a), root, &k));
      root = lsm_avl_put(&a, root, &k, bytes[n++], &path, &added);
      ck_assert(added);
      ck_assert(lsm_avl_check(lsm_avl_load(&a), root));
      ck_assert_ptr_nonnull((void *)(uintptr_t)lsm_avl_find(lsm_avl_load(&a), root, &k));
      key[size > 0 ? size - 1 : 0] = 0;
    }
  }
  ck_assert_uint_eq(lsm_avl_size(lsm_avl_load(&a), root), n);
  lsm_avl_fini(&a);
}
END_TEST

Suite *avl_suite(void) {
  Suite *s = suite_create("avl");
  TCase *tc = tcase_create("avl");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, test_model, 0, 6);
  tcase_add_test(tc, test_nodes);
  tcase_add_test(tc, test_chunks);
  tcase_add_test(tc, test_nomem);
  tcase_add_test(tc, test_prefixes);
  suite_add_tcase(s, tc);
  return s;
}
