/* test_arena.c: what is appended is read back in order, where it was put. */
#include <check.h>
#include <stdlib.h>

#include "arena.h"

Suite *arena_suite(void);

static uint64_t seed;

static uint32_t rnd(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((seed >> 33) % n);
}

static uint8_t byte_of(size_t id) {
  return (uint8_t)(id * 37 + 11);
}

typedef struct piece {
  uint8_t *p;
  size_t n;
  uint8_t fill;
} piece;

#define PIECES 3000

static void check_parts(const lsm_arena *a, const piece *pieces, int n) {
  int part = 0;
  size_t off = 0, total = 0;
  for (int i = 0; i < n; i++) {
    if (off == a->parts[part].size) part++, off = 0;
    ck_assert_int_lt(part, a->n_parts);
    ck_assert_ptr_eq(a->parts[part].data + off, pieces[i].p);
    ck_assert_uint_eq(pieces[i].p[0], pieces[i].fill);
    ck_assert_uint_eq(pieces[i].p[pieces[i].n - 1], pieces[i].fill);
    off += pieces[i].n;
    ck_assert_uint_le(off, a->parts[part].size);
    total += pieces[i].n;
  }
  ck_assert_int_eq(part + (n > 0), a->n_parts);
  if (n > 0) ck_assert_uint_eq(off, a->parts[part].size);
  ck_assert_uint_eq(total, a->pos);
  ck_assert_uint_le(total, lsm_arena_used(a));
  ck_assert_uint_le(lsm_arena_used(a), a->memory);
}

/* Appends and rewinds. What was rewound without reuse keeps its bytes. */
START_TEST(test_random) {
  static piece pieces[PIECES];
  lsm_arena a = {0};
  const uint8_t *kept = NULL; /* rewound, not to be reused while kept */
  uint8_t kept_fill = 0;
  int n = 0;
  seed = 5 + (uint64_t)_i;
  for (int step = 0; step < 4000; step++) {
    uint32_t what = rnd(40);
    if (what == 0 && n > 0) {
      int to = n - 1 - (int)rnd(rnd(5) == 0 ? (uint32_t)n : 10 < n ? 10 : (uint32_t)n);
      size_t pos = 0;
      for (int i = 0; i < to; i++) pos += pieces[i].n;
      if (kept == NULL) kept = pieces[to].p, kept_fill = pieces[to].fill;
      lsm_arena_rewind(&a, pos, false);
      n = to;
    } else if (what == 1) {
      size_t pos = 0;
      int to = (int)rnd((uint32_t)n + 1);
      for (int i = 0; i < to; i++) pos += pieces[i].n;
      lsm_arena_rewind(&a, pos, true);
      ck_assert_uint_ge(lsm_arena_used(&a), pos);
      kept = NULL;
      n = to;
    } else if (n < PIECES) {
      size_t size = 1 + rnd(rnd(60) == 0 ? 400000 : rnd(10) == 0 ? 20000 : 200);
      bool reserved = rnd(20) == 0;
      if (reserved) ck_assert(lsm_arena_reserve(&a, size));
      size_t memory = a.memory;
      pieces[n].p = lsm_arena_append(&a, size);
      ck_assert_ptr_nonnull(pieces[n].p);
      if (reserved) ck_assert_uint_eq(memory, a.memory);
      pieces[n].n = size;
      pieces[n].fill = byte_of((size_t)step);
      memset(pieces[n].p, pieces[n].fill, size);
      n++;
    }
    if (kept != NULL) ck_assert_uint_eq(*kept, kept_fill);
    if (step % 50 == 0) check_parts(&a, pieces, n);
  }
  check_parts(&a, pieces, n);
  lsm_arena_rewind(&a, 0, true);
  ck_assert_uint_eq(lsm_arena_used(&a), 0);
  ck_assert_int_eq(a.n_parts, 0);
  lsm_arena_reset(&a, 300000);
  ck_assert_uint_le(a.memory, 300000);
  lsm_arena_fini(&a);
  ck_assert_uint_eq(a.memory, 0);
}
END_TEST

static bool refuse(void *arg) {
  (void)arg;
  return false;
}

/* After a reserve, pieces of that many bytes in all never need memory. */
START_TEST(test_reserve) {
  lsm_arena a = {0};
  seed = 77;
  for (int round = 0; round < 300; round++) {
    size_t total = 1 + rnd(rnd(5) == 0 ? 600000 : 30000);
    ck_assert(lsm_arena_reserve(&a, total));
    lsm_set_malloc_hook(refuse, NULL);
    for (size_t left = total; left > 0;) {
      size_t n = 1 + rnd(rnd(4) == 0 ? (uint32_t)left : 300);
      if (n > left) n = left;
      ck_assert_ptr_nonnull(lsm_arena_append(&a, n));
      left -= n;
    }
    lsm_set_malloc_hook(NULL, NULL);
    if (rnd(10) == 0) lsm_arena_rewind(&a, rnd((uint32_t)a.pos), rnd(2) == 0);
    if (rnd(50) == 0) lsm_arena_reset(&a, 1u << 20);
  }
  lsm_arena_fini(&a);
}
END_TEST

/* A small arena is cheap; big pieces get what they need and little more. */
START_TEST(test_sizes) {
  lsm_arena a = {0};
  ck_assert_ptr_nonnull(lsm_arena_append(&a, 10));
  ck_assert_uint_le(a.memory, LSM_ARENA_FIRST);
  for (int i = 0; i < 100; i++) ck_assert_ptr_nonnull(lsm_arena_append(&a, 65600));
  ck_assert_uint_le(a.memory, 100 * 65600 * 3 / 2);
  lsm_arena_fini(&a);
  for (int i = 0; i < 20; i++) ck_assert_ptr_nonnull(lsm_arena_append(&a, 1000000));
  ck_assert_uint_eq(a.memory, 20 * 1000000);
  lsm_arena_fini(&a);
}
END_TEST

static bool fail_nth(void *arg) {
  int *left = arg;
  return (*left)-- != 0;
}

START_TEST(test_nomem) {
  for (int nth = 0;; nth++) {
    lsm_arena a = {0};
    int left = nth, failed = 0;
    size_t total = 0;
    lsm_set_malloc_hook(fail_nth, &left);
    for (int i = 0; i < 60; i++) {
      size_t n = 1 + (size_t)i * 700;
      if (i % 7 == 6 && !lsm_arena_reserve(&a, n)) failed++;
      uint8_t *p = lsm_arena_append(&a, n);
      failed += p == NULL;
      if (p != NULL) {
        memset(p, 1, n);
        total += n;
      }
      ck_assert_uint_eq(a.pos, total);
    }
    lsm_set_malloc_hook(NULL, NULL);
    lsm_arena_fini(&a);
    if (failed == 0) {
      ck_assert_int_gt(nth, 3);
      break;
    }
    ck_assert_int_eq(failed, 1);
  }
}
END_TEST

Suite *arena_suite(void) {
  Suite *s = suite_create("arena");
  TCase *tc = tcase_create("arena");
  tcase_add_loop_test(tc, test_random, 0, 5);
  tcase_add_test(tc, test_reserve);
  tcase_add_test(tc, test_sizes);
  tcase_add_test(tc, test_nomem);
  suite_add_tcase(s, tc);
  return s;
}
