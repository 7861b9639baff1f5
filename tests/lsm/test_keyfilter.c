/* test_keyfilter.c: no key is ever lost, few are found that are not there. */
#include <check.h>

#include "keyfilter.h"

Suite *keyfilter_suite(void);

static uint64_t hash_of(uint64_t i) {
  uint8_t key[8];
  lsm_set_u64(key, i);
  return lsm_hash64(lsm_slice_of(key, sizeof key), 0);
}

/* Of 10,000 others, how many are taken for one of ours? */
static int false_ones(const lsm_keyfilter *f) {
  int n = 0;
  for (uint64_t i = 0; i < 10000; i++) n += lsm_keyfilter_may_have(f, hash_of(UINT64_MAX - i));
  return n;
}

START_TEST(test_layers) {
  lsm_keyfilter *f = lsm_keyfilter_new(1000, NULL);
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_ge(f->room, 1000);
  ck_assert(!lsm_keyfilter_may_have(f, hash_of(0)));
  for (uint64_t i = 0; i < 100000; i++) {
    if (f->count >= f->room) {
      ck_assert_int_lt(false_ones(f), 1000); /* of all layers, all full */
      lsm_keyfilter *next = lsm_keyfilter_new(4 * f->room, f);
      ck_assert_ptr_nonnull(next);
      f = next;
    }
    lsm_keyfilter_add(f, hash_of(i));
  }
  for (uint64_t i = 0; i < 100000; i++) ck_assert(lsm_keyfilter_may_have(f, hash_of(i)));
  size_t memory = lsm_keyfilter_memory(f);
  ck_assert(memory > 100000 && memory < 100000 * 16);
  lsm_keyfilter_free(f);
  lsm_keyfilter_free(NULL);
  ck_assert_uint_eq(lsm_keyfilter_memory(NULL), 0);
  ck_assert(!lsm_keyfilter_may_have(NULL, 1));
}
END_TEST

/* With more keys than it is made for it answers "perhaps" more often, no more. */
START_TEST(test_overfull) {
  lsm_keyfilter *f = lsm_keyfilter_new(1, NULL);
  ck_assert_ptr_nonnull(f);
  for (uint64_t i = 0; i < 5000; i++) lsm_keyfilter_add(f, hash_of(i));
  for (uint64_t i = 0; i < 5000; i++) ck_assert(lsm_keyfilter_may_have(f, hash_of(i)));
  lsm_keyfilter_free(f);
}
END_TEST

static bool refuse(void *arg) {
  (void)arg;
  return false;
}

START_TEST(test_nomem) {
  lsm_set_malloc_hook(refuse, NULL);
  lsm_keyfilter *f = lsm_keyfilter_new(1000, NULL);
  lsm_set_malloc_hook(NULL, NULL);
  ck_assert_ptr_null(f);
}
END_TEST

Suite *keyfilter_suite(void) {
  Suite *s = suite_create("keyfilter");
  TCase *tc = tcase_create("keyfilter");
  tcase_add_test(tc, test_layers);
  tcase_add_test(tc, test_overfull);
  tcase_add_test(tc, test_nomem);
  suite_add_tcase(s, tc);
  return s;
}
