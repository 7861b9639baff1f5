/* test_cache.c: blocks, their order of eviction, and the shared budget. */
#include <check.h>
#include <pthread.h>

#include "cache.h"

Suite *cache_suite(void);

#define BLOCK 1000

static lsm_cache *new_cache(size_t capacity) {
  lsm_cache *c;
  ck_assert_int_eq(lsm_cache_new(capacity, &c), LSM_OK);
  return c;
}

static uint8_t fill_of(uint64_t file, uint64_t off) {
  return (uint8_t)(file * 31 + off * 7);
}

static lsm_block *new_block(lsm_cache *c, size_t size, uint8_t fill) {
  lsm_block *b;
  ck_assert_int_eq(lsm_block_new(c, size, &b), LSM_OK);
  ck_assert_uint_eq(b->size, size);
  memset(b->data, fill, size);
  return b;
}

static lsm_block *put_pinned(lsm_cache *c, uint64_t file, uint64_t off) {
  lsm_block *b = new_block(c, BLOCK, fill_of(file, off));
  lsm_cache_insert(c, file, off, &b);
  return b;
}

static void put(lsm_cache *c, uint64_t file, uint64_t off) {
  lsm_block_unpin(c, put_pinned(c, file, off));
}

static bool has(lsm_cache *c, uint64_t file, uint64_t off) {
  lsm_block *b = lsm_cache_get(c, file, off);
  if (b == NULL) return false;
  ck_assert_uint_eq(b->data[0], fill_of(file, off));
  ck_assert_uint_eq(b->data[b->size - 1], fill_of(file, off));
  lsm_block_unpin(c, b);
  return true;
}

static lsm_cache_stats stats_of(lsm_cache *c) {
  lsm_cache_stats s;
  lsm_cache_get_stats(c, &s);
  return s;
}

/* What one block of size BLOCK is charged. */
static size_t charge(void) {
  lsm_cache *c = new_cache(100000);
  put(c, 1, 1);
  size_t n = (size_t)stats_of(c).bytes;
  lsm_cache_free(c);
  ck_assert_uint_ge(n, BLOCK + sizeof(lsm_block));
  ck_assert_uint_lt(n, BLOCK + 300);
  return n;
}

START_TEST(test_hit_and_miss) {
  lsm_cache *c = new_cache(100000);
  ck_assert(!has(c, 1, 0));
  put(c, 1, 0);
  put(c, 1, 4096);
  put(c, 2, 0);
  ck_assert(has(c, 1, 0) && has(c, 1, 4096) && has(c, 2, 0));
  ck_assert(!has(c, 2, 4096));
  lsm_cache_stats s = stats_of(c);
  ck_assert_uint_eq(s.hits, 3);
  ck_assert_uint_eq(s.misses, 2);
  ck_assert_uint_eq(s.bytes, 3 * charge());
  lsm_cache_free(c);
}
END_TEST

/* What is found now and then outlives what is not, and does not when nobody asks for it
** any more. */
START_TEST(test_found_stay) {
  lsm_cache *c = new_cache(40 * charge());
  uint64_t next = 100;
  for (uint64_t i = 0; i < 10; i++) put(c, 1, i);
  for (int round = 0; round < 30; round++) {
    for (uint64_t i = 0; i < 10; i++) ck_assert(has(c, 1, i));
    for (int i = 0; i < 15; i++) put(c, 1, next++);
    ck_assert_uint_le(stats_of(c).bytes, 40 * charge());
  }
  ck_assert_uint_eq(stats_of(c).bytes, 40 * charge());
  for (int i = 0; i < 200; i++) put(c, 1, next++);
  for (uint64_t i = 0; i < 10; i++) ck_assert(!has(c, 1, i));
  lsm_cache_free(c);
}
END_TEST

/* A scan may fill the cache, not exchange what is in it, except now and then. */
START_TEST(test_spares) {
  lsm_cache *c = new_cache(4 * charge());
  for (uint64_t i = 0; i < 4; i++) {
    ck_assert(!lsm_cache_spares(c, 1, i, BLOCK));
    put(c, 1, i);
  }
  int spared = 0;
  for (uint64_t i = 4; i < 4 + 320; i++) spared += lsm_cache_spares(c, 1, i, BLOCK);
  ck_assert_int_ge(spared, 280);
  ck_assert_int_lt(spared, 320);
  lsm_cache_evict_file(c, 1);
  ck_assert(!lsm_cache_spares(c, 1, 1, BLOCK));
  lsm_cache_reserve(c, (int64_t)(4 * charge()));
  ck_assert(lsm_cache_spares(c, 1, 1, BLOCK));
  lsm_cache_reserve(c, -(int64_t)(4 * charge()));
  lsm_cache_free(c);
}
END_TEST

START_TEST(test_pinned_stay) {
  lsm_cache *c = new_cache(2 * charge());
  lsm_block *a = put_pinned(c, 1, 1);
  lsm_block *b = put_pinned(c, 1, 2);
  lsm_block *d = put_pinned(c, 1, 3); /* over the budget, and all in use */
  ck_assert_uint_eq(stats_of(c).bytes, 3 * charge());
  ck_assert(has(c, 1, 1) && has(c, 1, 2) && has(c, 1, 3));
  lsm_block_unpin(c, b); /* has() above did not, as a pin remained */
  ck_assert_uint_eq(stats_of(c).bytes, 2 * charge());
  ck_assert(!has(c, 1, 2));
  ck_assert(has(c, 1, 1) && has(c, 1, 3));
  ck_assert_uint_eq(a->data[BLOCK - 1], fill_of(1, 1));
  lsm_block_unpin(c, a);
  lsm_block_unpin(c, d);
  ck_assert(has(c, 1, 1) && has(c, 1, 3));
  lsm_cache_free(c);
}
END_TEST

START_TEST(test_pinned_twice) {
  lsm_cache *c = new_cache(charge());
  lsm_block *a = put_pinned(c, 1, 1);
  lsm_block *again = lsm_cache_get(c, 1, 1);
  ck_assert_ptr_eq(a, again);
  put(c, 1, 2);
  lsm_block_unpin(c, a);
  ck_assert(has(c, 1, 1));
  put(c, 1, 3);
  ck_assert(has(c, 1, 1)); /* still one pin */
  lsm_block_unpin(c, again);
  put(c, 1, 4);
  ck_assert(!has(c, 1, 1));
  lsm_cache_free(c);
}
END_TEST

START_TEST(test_insert_twice) {
  lsm_cache *c = new_cache(100000);
  lsm_block *first = put_pinned(c, 1, 1);
  lsm_block *second = new_block(c, BLOCK, fill_of(1, 1));
  ck_assert_ptr_ne(first, second);
  lsm_cache_insert(c, 1, 1, &second);
  ck_assert_ptr_eq(first, second);
  ck_assert_uint_eq(stats_of(c).bytes, charge());
  lsm_block_unpin(c, first);
  ck_assert_uint_eq(second->data[0], fill_of(1, 1));
  lsm_block_unpin(c, second);
  lsm_cache_free(c);
}
END_TEST

START_TEST(test_private) {
  lsm_cache *c = new_cache(5000);
  lsm_block_unpin(c, new_block(c, 100, 1)); /* never inserted */
  lsm_block_unpin(c, new_block(c, 0, 1));
  lsm_block_unpin(c, NULL);
  lsm_block *big = new_block(c, 6000, 9);
  lsm_cache_insert(c, 1, 1, &big);
  ck_assert_uint_eq(big->data[5999], 9);
  ck_assert_ptr_null(lsm_cache_get(c, 1, 1));
  ck_assert_uint_eq(stats_of(c).bytes, 0);
  lsm_block_unpin(c, big);
  lsm_cache_free(c);

  c = new_cache(0);
  put(c, 1, 1);
  ck_assert(!has(c, 1, 1));
  lsm_cache_free(c);
}
END_TEST

START_TEST(test_evict_file) {
  lsm_cache *c = new_cache(8 << 20);
  for (uint64_t i = 0; i < 100; i++) {
    put(c, 1, i);
    put(c, 2, i);
  }
  lsm_block *pinned = lsm_cache_get(c, 1, 7);
  lsm_cache_evict_file(c, 1);
  for (uint64_t i = 0; i < 100; i++) ck_assert(!has(c, 1, i) && has(c, 2, i));
  ck_assert_uint_eq(stats_of(c).bytes, 100 * charge());
  ck_assert_uint_eq(pinned->data[BLOCK - 1], fill_of(1, 7));
  put(c, 1, 7); /* the place is free, whatever the pinned one does */
  lsm_block_unpin(c, pinned);
  ck_assert(has(c, 1, 7));
  lsm_cache_evict_file(c, 3);
  ck_assert_uint_eq(stats_of(c).bytes, 101 * charge());
  lsm_cache_free(c);
}
END_TEST

START_TEST(test_reserve) {
  lsm_cache *c = new_cache(4 * charge());
  for (uint64_t i = 0; i < 4; i++) put(c, 1, i);
  lsm_cache_reserve(c, (int64_t)(2 * charge()));
  ck_assert_uint_eq(stats_of(c).bytes, 4 * charge());
  uint64_t one = 4;
  int left = 0;
  for (uint64_t i = 0; i < 4; i++) {
    if (!has(c, 1, i)) continue;
    one = i;
    left++;
  }
  ck_assert_int_eq(left, 2);
  lsm_block *b = lsm_cache_get(c, 1, one);
  lsm_cache_reserve(c, 1 << 20);
  ck_assert_uint_eq(stats_of(c).bytes, 3 * charge() + (1 << 20));
  ck_assert_uint_eq(b->data[0], fill_of(1, one));
  lsm_block_unpin(c, b); /* the room is gone: so is the block */
  ck_assert_uint_eq(stats_of(c).bytes, 2 * charge() + (1 << 20));
  put(c, 1, 9);
  ck_assert(!has(c, 1, 9));
  lsm_cache_reserve(c, -(1 << 20));
  put(c, 1, 9);
  put(c, 1, 10);
  ck_assert(has(c, 1, 9) && has(c, 1, 10));
  lsm_cache_reserve(c, -(int64_t)(2 * charge()));
  ck_assert_uint_eq(stats_of(c).bytes, 2 * charge());
  put(c, 1, 11);
  put(c, 1, 12);
  ck_assert(has(c, 1, 9) && has(c, 1, 10) && has(c, 1, 11) && has(c, 1, 12));
  lsm_cache_free(c);
}
END_TEST

/* What is lent is not charged, but leaves less room. */
START_TEST(test_lend) {
  lsm_cache *c = new_cache(4 * charge());
  for (uint64_t i = 0; i < 4; i++) put(c, 1, i);
  lsm_cache_lend(c, charge());
  ck_assert_uint_eq(stats_of(c).bytes, 3 * charge());
  lsm_cache_lend(c, charge()); /* the same, not more */
  ck_assert_uint_eq(stats_of(c).bytes, 3 * charge());
  lsm_cache_reserve(c, (int64_t)charge());
  ck_assert_uint_eq(stats_of(c).bytes, 3 * charge()); /* two blocks and that */
  lsm_cache_lend(c, 1 << 20);
  ck_assert_uint_eq(stats_of(c).bytes, charge());
  lsm_cache_lend(c, 0);
  lsm_cache_reserve(c, -(int64_t)charge());
  for (uint64_t i = 0; i < 4; i++) put(c, 1, i);
  ck_assert_uint_eq(stats_of(c).bytes, 4 * charge());
  lsm_cache_free(c);
}
END_TEST

/* More blocks than the first table has room for, in eight shards. */
START_TEST(test_many) {
  lsm_cache *c = new_cache(64 << 20);
  for (uint64_t i = 0; i < 20000; i++) put(c, i % 37, i * 4096);
  for (uint64_t i = 0; i < 20000; i++) ck_assert(has(c, i % 37, i * 4096));
  ck_assert_uint_eq(stats_of(c).hits, 20000);
  lsm_cache_free(c);

  c = new_cache(4 << 20);
  for (uint64_t i = 0; i < 20000; i++) put(c, i % 37, i * 4096);
  ck_assert_uint_le(stats_of(c).bytes, 4 << 20);
  ck_assert_uint_gt(stats_of(c).bytes, 3 << 20);
  lsm_cache_free(c);
}
END_TEST

static bool fail_nth(void *arg) {
  return (*(int *)arg)-- != 0;
}
static bool fail_all(void *arg) {
  (void)arg;
  return false;
}

START_TEST(test_nomem) {
  lsm_cache *c = NULL;
  for (int n = 0; c == NULL; n++) {
    int left = n;
    lsm_set_malloc_hook(fail_nth, &left);
    lsm_rc rc = lsm_cache_new(1 << 20, &c);
    lsm_set_malloc_hook(NULL, NULL);
    ck_assert_int_eq(rc, c == NULL ? LSM_NOMEM : LSM_OK);
  }
  lsm_block *b;
  lsm_set_malloc_hook(fail_all, NULL);
  ck_assert_int_eq(lsm_block_new(c, 10, &b), LSM_NOMEM);
  lsm_set_malloc_hook(NULL, NULL);
  ck_assert_ptr_null(b);
  ck_assert_int_eq(lsm_block_new(c, SIZE_MAX - 4, &b), LSM_NOMEM);
  lsm_cache_free(c);

  /* Tables that cannot grow leave blocks to their users. */
  c = new_cache(1 << 19);
  for (uint64_t i = 0; i < 200; i++) {
    b = new_block(c, BLOCK, fill_of(1, i));
    lsm_set_malloc_hook(fail_all, NULL);
    lsm_cache_insert(c, 1, i, &b);
    lsm_set_malloc_hook(NULL, NULL);
    lsm_block_unpin(c, b);
  }
  int there = 0;
  for (uint64_t i = 0; i < 200; i++) there += has(c, 1, i);
  ck_assert_int_gt(there, 8);
  ck_assert_int_lt(there, 100);
  for (uint64_t i = 0; i < 200; i++) put(c, 1, i);
  for (uint64_t i = 0; i < 200; i++) ck_assert(has(c, 1, i));
  lsm_cache_free(c);
}
END_TEST

/*----------------------------------------------------------------- threads */

typedef struct worker {
  lsm_cache *cache;
  uint64_t seed;
  uint64_t gets;
  uint64_t bad;
} worker;

static void *work(void *arg) {
  worker *w = arg;
  lsm_block *held[4] = {NULL};
  for (int i = 0; i < 20000; i++) {
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    unsigned r = (unsigned)(w->seed >> 33);
    uint64_t file = r % 5;
    uint64_t off = r / 5 % 200;
    if (r % 1013 == 0) {
      lsm_cache_evict_file(w->cache, file);
      continue;
    }
    if (r % 499 == 0) {
      lsm_cache_reserve(w->cache, 100000);
      lsm_cache_reserve(w->cache, -100000);
      continue;
    }
    lsm_block *b = lsm_cache_get(w->cache, file, off);
    w->gets++;
    if (b == NULL) {
      if (lsm_block_new(w->cache, BLOCK, &b) != LSM_OK) return NULL;
      memset(b->data, fill_of(file, off), BLOCK);
      lsm_cache_insert(w->cache, file, off, &b);
    }
    if (b->data[0] != fill_of(file, off) || b->data[BLOCK - 1] != fill_of(file, off)) w->bad++;
    lsm_block_unpin(w->cache, held[i % 4]);
    held[i % 4] = b;
  }
  for (int i = 0; i < 4; i++) lsm_block_unpin(w->cache, held[i]);
  return NULL;
}

START_TEST(test_threads) {
  static const size_t capacities[] = {20 * BLOCK, 200 * BLOCK, 3 << 20};
  lsm_cache *c = new_cache(capacities[_i]);
  worker w[4];
  pthread_t t[4];
  uint64_t gets = 0;
  for (unsigned i = 0; i < 4; i++) {
    w[i] = (worker){c, i + 1, 0, 0};
    ck_assert_int_eq(pthread_create(&t[i], NULL, work, &w[i]), 0);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(t[i], NULL);
    ck_assert_uint_eq(w[i].bad, 0);
    gets += w[i].gets;
  }
  lsm_cache_stats s = stats_of(c);
  ck_assert_uint_eq(s.hits + s.misses, gets);
  ck_assert_uint_gt(s.hits, 0);
  ck_assert_uint_le(s.bytes, capacities[_i]);
  lsm_cache_free(c);
}
END_TEST

Suite *cache_suite(void) {
  Suite *s = suite_create("cache");
  TCase *tc = tcase_create("cache");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_hit_and_miss);
  tcase_add_test(tc, test_found_stay);
  tcase_add_test(tc, test_spares);
  tcase_add_test(tc, test_pinned_stay);
  tcase_add_test(tc, test_pinned_twice);
  tcase_add_test(tc, test_insert_twice);
  tcase_add_test(tc, test_private);
  tcase_add_test(tc, test_evict_file);
  tcase_add_test(tc, test_reserve);
  tcase_add_test(tc, test_lend);
  tcase_add_test(tc, test_many);
  tcase_add_test(tc, test_nomem);
  tcase_add_loop_test(tc, test_threads, 0, 3);
  suite_add_tcase(s, tc);
  return s;
}
