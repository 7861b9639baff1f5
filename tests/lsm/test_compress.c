/* test_compress.c: what goes in comes out, and lies about sizes cost nothing. */
#include <check.h>
#include <zlib.h>

#include "compress.h"

Suite *compress_suite(void);

static uint64_t seed = 42;

static uint32_t rnd(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % n;
}

/* n bytes that compress the better the fewer letters there are. */
static void fill(lsm_buf *b, size_t n, uint32_t letters) {
  lsm_buf_clear(b);
  ck_assert_int_eq(lsm_buf_reserve(b, n), LSM_OK);
  for (size_t i = 0; i < n; i++) b->data[i] = (uint8_t)rnd(letters);
  b->size = n;
}

static lsm_compressor *new_compressor(void) {
  lsm_compressor *c;
  ck_assert_int_eq(lsm_compressor_new(&c), LSM_OK);
  return c;
}

START_TEST(test_round_trip) {
  static const size_t sizes[] = {0, 1, 7, 8, 20, 100, 1000, 4096, 65536, 1000000};
  static const uint32_t letters[] = {1, 2, 10, 100, 256};
  lsm_compressor *c = new_compressor();
  lsm_buf raw = {0}, packed = {0}, back = {0};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    for (size_t k = 0; k < sizeof letters / sizeof letters[0]; k++) {
      fill(&raw, sizes[i], letters[k]);
      bool worth;
      ck_assert_int_eq(lsm_compress(c, lsm_buf_slice(&raw), &packed, &worth), LSM_OK);
      if (sizes[i] >= 100 && letters[k] != 100) ck_assert_int_eq(worth, letters[k] < 100);
      if (!worth) continue;
      ck_assert_uint_le(packed.size, raw.size - raw.size / 8);
      size_t n;
      ck_assert(lsm_decompress_size(lsm_buf_slice(&packed), &n));
      ck_assert_uint_eq(n, raw.size);
      lsm_buf_clear(&back);
      ck_assert_int_eq(lsm_buf_reserve(&back, n), LSM_OK);
      ck_assert_int_eq(lsm_decompress(lsm_buf_slice(&packed), back.data, n, "f", 0), LSM_OK);
      ck_assert_mem_eq(back.data, raw.data, n);
    }
  }
  lsm_buf_fini(&raw);
  lsm_buf_fini(&packed);
  lsm_buf_fini(&back);
  lsm_compressor_free(c);
}
END_TEST

/* The stream is zlib's, whichever library is built in. */
START_TEST(test_is_zlib) {
  uint8_t raw[1000], packed[1100];
  memset(raw, 'x', sizeof raw);
  uLongf n = sizeof packed - 2;
  ck_assert_int_eq(compress2(packed + 2, &n, raw, sizeof raw, 9), Z_OK);
  ck_assert_uint_eq((size_t)(lsm_varint_put(packed, sizeof raw) - packed), 2);
  uint8_t back[1000] = {0};
  lsm_slice s = lsm_slice_of(packed, n + 2);
  ck_assert_int_eq(lsm_decompress(s, back, sizeof back, "f", 0), LSM_OK);
  ck_assert_mem_eq(back, raw, sizeof raw);

  lsm_compressor *c = new_compressor();
  lsm_buf out = {0};
  bool worth;
  ck_assert_int_eq(lsm_compress(c, lsm_slice_of(raw, sizeof raw), &out, &worth), LSM_OK);
  ck_assert(worth);
  memset(back, 0, sizeof back);
  n = sizeof back;
  ck_assert_int_eq(uncompress(back, &n, out.data + 2, out.size - 2), Z_OK);
  ck_assert_uint_eq(n, sizeof raw);
  ck_assert_mem_eq(back, raw, sizeof raw);
  lsm_buf_fini(&out);
  lsm_compressor_free(c);
}
END_TEST

static void claim(lsm_buf *b, uint64_t raw_size, size_t stream) {
  lsm_buf_clear(b);
  ck_assert_int_eq(lsm_buf_put_varint(b, raw_size), LSM_OK);
  ck_assert_int_eq(lsm_buf_reserve(b, stream), LSM_OK);
  memset(b->data + b->size, 0, stream);
  b->size += stream;
}

START_TEST(test_claimed_size_is_bounded) {
  lsm_buf b = {0};
  size_t n;
  claim(&b, 1000 * 100, 100);
  ck_assert(lsm_decompress_size(lsm_buf_slice(&b), &n));
  ck_assert_uint_eq(n, 100000);
  claim(&b, 1200 * 100, 100);
  ck_assert(!lsm_decompress_size(lsm_buf_slice(&b), &n));
  ck_assert_uint_eq(n, 0);
  claim(&b, (uint64_t)UINT32_MAX, 100);
  ck_assert(!lsm_decompress_size(lsm_buf_slice(&b), &n));
  claim(&b, (uint64_t)UINT32_MAX + 1, 5000000);
  ck_assert(!lsm_decompress_size(lsm_buf_slice(&b), &n));
  claim(&b, UINT64_MAX, 100);
  ck_assert(!lsm_decompress_size(lsm_buf_slice(&b), &n));
  ck_assert(!lsm_decompress_size(LSM_SLICE_NULL, &n));
  ck_assert(!lsm_decompress_size(lsm_slice_str("\xFF\xFF"), &n));
  lsm_buf_fini(&b);
}
END_TEST

/* Every cut is noticed, and nearly every flip: zlib's own checksum is weak for
** short blocks, which is one reason why stored blocks have another. */
START_TEST(test_malformed) {
  lsm_compressor *c = new_compressor();
  lsm_buf raw = {0}, packed = {0};
  uint8_t back[600];
  bool worth;
  fill(&raw, 300, 4);
  ck_assert_int_eq(lsm_compress(c, lsm_buf_slice(&raw), &packed, &worth), LSM_OK);
  ck_assert(worth);
  lsm_slice s = lsm_buf_slice(&packed);
  size_t passed = 0;
  for (size_t n = 0; n < s.size; n++) {
    lsm_slice cut = lsm_slice_of(s.data, n);
    ck_assert_int_eq(lsm_decompress(cut, back, raw.size, "f", 77), LSM_CORRUPT);
  }
  for (size_t i = 0; i < s.size; i++) {
    for (int bit = 0; bit < 8; bit++) {
      packed.data[i] ^= (uint8_t)(1 << bit);
      lsm_rc rc = lsm_decompress(s, back, raw.size, "f", 77);
      ck_assert(rc == LSM_OK || rc == LSM_CORRUPT);
      passed += rc == LSM_OK;
      packed.data[i] ^= (uint8_t)(1 << bit);
    }
  }
  ck_assert_uint_lt(passed * 20, s.size * 8);
  ck_assert_int_eq(lsm_decompress(lsm_slice_of(s.data, 9), back, raw.size, "f", 77), LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "77"));
  ck_assert_int_eq(lsm_decompress(s, back, raw.size - 1, "f", 0), LSM_CORRUPT);
  ck_assert_int_eq(lsm_decompress(s, back, raw.size + 1, "f", 0), LSM_CORRUPT);
  ck_assert_int_eq(lsm_decompress(s, back, raw.size, "f", 0), LSM_OK);
  ck_assert_int_eq(lsm_buf_put_u8(&packed, 0), LSM_OK); /* something behind it */
  ck_assert_int_eq(lsm_decompress(lsm_buf_slice(&packed), back, raw.size, "f", 0), LSM_CORRUPT);
  lsm_buf_fini(&raw);
  lsm_buf_fini(&packed);
  lsm_compressor_free(c);
}
END_TEST

static bool fail_nth(void *arg) {
  int *left = arg;
  return --*left != 0;
}

START_TEST(test_out_of_memory) {
  uint8_t raw[1000], back[1000];
  memset(raw, 'y', sizeof raw);
  lsm_rc rc = LSM_NOMEM;
  for (int n = 1; rc != LSM_OK; n++) {
    ck_assert_int_lt(n, 50);
    int left = n;
    lsm_compressor *c = NULL;
    lsm_buf out = {0};
    bool worth = false;
    lsm_set_malloc_hook(fail_nth, &left);
    rc = lsm_compressor_new(&c);
    if (rc == LSM_OK) rc = lsm_compress(c, lsm_slice_of(raw, sizeof raw), &out, &worth);
    if (rc == LSM_OK) rc = lsm_decompress(lsm_buf_slice(&out), back, sizeof back, "f", 0);
    lsm_set_malloc_hook(NULL, NULL);
    if (rc != LSM_OK) ck_assert_int_eq(rc, LSM_NOMEM);
    lsm_buf_fini(&out);
    lsm_compressor_free(c);
  }
  ck_assert_mem_eq(raw, back, sizeof raw);
}
END_TEST

Suite *compress_suite(void) {
  Suite *s = suite_create("compress");
  TCase *tc = tcase_create("compress");
  tcase_add_test(tc, test_round_trip);
  tcase_add_test(tc, test_is_zlib);
  tcase_add_test(tc, test_claimed_size_is_bounded);
  tcase_add_test(tc, test_malformed);
  tcase_add_test(tc, test_out_of_memory);
  suite_add_tcase(s, tc);
  return s;
}
