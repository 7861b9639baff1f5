/* test_bloom.c: no false negative, few false positives, bytes as they were. */
#include <check.h>

#include "bloom.h"

Suite *bloom_suite(void);

static uint64_t hash_of(uint64_t i) {
  uint8_t b[8];
  lsm_set_u64(b, i);
  return lsm_hash64(lsm_slice_of(b, sizeof b), 0);
}

static void build(size_t count, uint32_t bits, lsm_buf *out) {
  uint64_t *hashes = lsm_malloc(count * sizeof *hashes);
  ck_assert_ptr_nonnull(hashes);
  for (size_t i = 0; i < count; i++) hashes[i] = hash_of(i);
  ck_assert_int_eq(lsm_bloom_build(hashes, count, bits, out), LSM_OK);
  lsm_free(hashes);
}

START_TEST(test_no_false_negatives) {
  static const size_t counts[] = {1, 2, 3, 50, 51, 52, 1000, 30000};
  static const uint32_t bits[] = {1, 2, 5, 10, 16, 30, 64};
  lsm_buf f = {0};
  for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
    for (size_t b = 0; b < sizeof bits / sizeof bits[0]; b++) {
      build(counts[c], bits[b], &f);
      ck_assert(lsm_bloom_is_valid(lsm_buf_slice(&f)));
      ck_assert_uint_le(f.size, counts[c] * bits[b] / 8 + 64 + 5);
      for (size_t i = 0; i < counts[c]; i++)
        ck_assert(lsm_bloom_may_contain(lsm_buf_slice(&f), hash_of(i)));
    }
  }
  lsm_buf_fini(&f);
}
END_TEST

static double false_positives(uint32_t bits) {
  enum { KEYS = 20000, PROBES = 100000 };
  lsm_buf f = {0};
  build(KEYS, bits, &f);
  size_t n = 0;
  for (uint64_t i = 0; i < PROBES; i++)
    n += lsm_bloom_may_contain(lsm_buf_slice(&f), hash_of(1000000 + i));
  lsm_buf_fini(&f);
  return (double)n / PROBES;
}

START_TEST(test_false_positive_rate) {
  double five = false_positives(5), ten = false_positives(10), twenty = false_positives(20);
  ck_assert_msg(five < 0.13 && five > 0.05, "5 bits: %f", five);
  ck_assert_msg(ten < 0.016, "10 bits: %f", ten);
  ck_assert_msg(twenty < 0.001, "20 bits: %f", twenty);
}
END_TEST

START_TEST(test_empty_says_maybe) {
  lsm_buf f = {0};
  uint64_t h = 1;
  ck_assert_int_eq(lsm_buf_append(&f, "old", 3), LSM_OK);
  ck_assert_int_eq(lsm_bloom_build(&h, 1, 0, &f), LSM_OK);
  ck_assert_uint_eq(f.size, 0);
  ck_assert_int_eq(lsm_bloom_build(NULL, 0, 10, &f), LSM_OK);
  ck_assert_uint_eq(f.size, 0);
  ck_assert(lsm_bloom_may_contain(LSM_SLICE_NULL, 123));
  ck_assert(lsm_bloom_is_valid(LSM_SLICE_NULL));
  lsm_buf_fini(&f);
}
END_TEST

/* Cut off or with another tail it is not valid and never says no. */
START_TEST(test_malformed) {
  lsm_buf f = {0};
  build(100, 10, &f);
  for (size_t n = 1; n < f.size; n++) {
    lsm_slice cut = lsm_slice_of(f.data, n);
    ck_assert(!lsm_bloom_is_valid(cut));
    ck_assert(lsm_bloom_may_contain(cut, hash_of(5000)));
  }
  for (size_t i = f.size - 5; i < f.size; i++) {
    for (int bit = 0; bit < 8; bit++) {
      f.data[i] ^= (uint8_t)(1 << bit);
      bool valid = lsm_bloom_is_valid(lsm_buf_slice(&f));
      ck_assert(i == f.size - 1 || !valid); /* another k may be one */
      if (!valid) ck_assert(lsm_bloom_may_contain(lsm_buf_slice(&f), hash_of(5000)));
      f.data[i] ^= (uint8_t)(1 << bit);
    }
  }
  f.data[f.size - 1] = 0;
  ck_assert(!lsm_bloom_is_valid(lsm_buf_slice(&f)));
  lsm_buf_fini(&f);
}
END_TEST

START_TEST(test_golden) {
  static const uint64_t hashes[] = {0x0123456789ABCDEF, 0xFEDCBA9876543210, 0};
  lsm_buf f = {0};
  ck_assert_int_eq(lsm_bloom_build(hashes, 3, 3, &f), LSM_OK);
  ck_assert_uint_eq(f.size, 69);
  uint8_t want[69] = {0};
  want[64] = 1; /* lines */
  want[68] = 2; /* probes */
  /* floor(h * STEP^j / 2^55) mod 512, for j = 1, 2 */
  static const unsigned bits[] = {25, 152, 170, 425, 0, 0};
  for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
    want[bits[i] / 8] |= (uint8_t)(1u << bits[i] % 8);
  ck_assert_mem_eq(f.data, want, sizeof want);
  lsm_buf_fini(&f);
}
END_TEST

static bool fail_all(void *arg) {
  (void)arg;
  return false;
}

START_TEST(test_out_of_memory) {
  lsm_buf f = {0};
  uint64_t h = 1;
  lsm_set_malloc_hook(fail_all, NULL);
  lsm_rc rc = lsm_bloom_build(&h, 1, 10, &f);
  lsm_set_malloc_hook(NULL, NULL);
  ck_assert_int_eq(rc, LSM_NOMEM);
  lsm_buf_fini(&f);
}
END_TEST

Suite *bloom_suite(void) {
  Suite *s = suite_create("bloom");
  TCase *tc = tcase_create("bloom");
  tcase_add_test(tc, test_no_false_negatives);
  tcase_add_test(tc, test_false_positive_rate);
  tcase_add_test(tc, test_empty_says_maybe);
  tcase_add_test(tc, test_malformed);
  tcase_add_test(tc, test_golden);
  tcase_add_test(tc, test_out_of_memory);
  suite_add_tcase(s, tc);
  return s;
}
