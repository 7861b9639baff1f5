/* test_base.c: messages, memory, buffers, coding, checksums. The values of
** lsm_crc() and lsm_hash64() are on disk: they must not change. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base.h"

Suite *base_suite(void);

/*---------------------------------------------------------------- results */

START_TEST(rc_names) {
  ck_assert_str_eq(lsm_rc_name(LSM_OK), "LSM_OK");
  ck_assert_str_eq(lsm_rc_name(LSM_CORRUPT), "LSM_CORRUPT");
  ck_assert_str_eq(lsm_rc_name(LSM_MISUSE), "LSM_MISUSE");
  for (int rc = LSM_OK; rc <= LSM_STALE; rc++) {
    for (int other = LSM_OK; other < rc; other++) {
      ck_assert_str_ne(lsm_rc_name((lsm_rc)rc), lsm_rc_name((lsm_rc)other));
    }
  }
}
END_TEST

START_TEST(messages) {
  ck_assert_int_eq(lsm_fail(LSM_BUSY, "%s: %d of %d", "x", 3, 4), LSM_BUSY);
  ck_assert_str_eq(lsm_errmsg(), "x: 3 of 4");
  ck_assert_int_eq(lsm_fail(LSM_IOERR, "while flushing: %s", lsm_errmsg()), LSM_IOERR);
  ck_assert_str_eq(lsm_errmsg(), "while flushing: x: 3 of 4");
  ck_assert_int_eq(lsm_corrupt("a/000001.sst", UINT64_C(1) << 33, "bad checksum"), LSM_CORRUPT);
  ck_assert_str_eq(lsm_errmsg(), "a/000001.sst: bad checksum at offset 8589934592");
  ck_assert_int_eq(lsm_nomem(), LSM_NOMEM);
  ck_assert_str_eq(lsm_errmsg(), "out of memory");
  lsm_set_errmsg("from elsewhere");
  ck_assert_str_eq(lsm_errmsg(), "from elsewhere");
  lsm_set_errmsg(lsm_errmsg() + 5); /* a part of itself */
  ck_assert_str_eq(lsm_errmsg(), "elsewhere");
  ck_assert_int_eq(lsm_first_rc(LSM_OK, LSM_FULL), LSM_FULL);
  ck_assert_int_eq(lsm_first_rc(LSM_IOERR, LSM_FULL), LSM_IOERR);
}
END_TEST

START_TEST(messages_too_long) {
  char text[2000];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = '\0';
  ck_assert_int_eq(lsm_fail(LSM_BUSY, "%s", text), LSM_BUSY);
  ck_assert_uint_eq(strlen(lsm_errmsg()), 511);
  /* A character of two bytes across the end is left out whole, both ways in. */
  memcpy(text + 510, "\xC3\xA4", 2);
  lsm_set_errmsg(text);
  ck_assert_uint_eq(strlen(lsm_errmsg()), 510);
  lsm_set_errmsg("");
  lsm_fail(LSM_BUSY, "%s", text);
  ck_assert_uint_eq(strlen(lsm_errmsg()), 510);
  text[512] = '\0'; /* too long by this one character only */
  lsm_fail(LSM_BUSY, "%s", text);
  ck_assert_uint_eq(strlen(lsm_errmsg()), 510);
}
END_TEST

static void *other_thread(void *arg) {
  *(bool *)arg = lsm_errmsg()[0] == '\0';
  lsm_fail(LSM_BUSY, "other");
  return NULL;
}

START_TEST(messages_belong_to_threads) {
  bool empty = false;
  pthread_t t;
  lsm_fail(LSM_BUSY, "mine");
  ck_assert_int_eq(pthread_create(&t, NULL, other_thread, &empty), 0);
  pthread_join(t, NULL);
  ck_assert(empty);
  ck_assert_str_eq(lsm_errmsg(), "mine");
}
END_TEST

/*----------------------------------------------------- memory and buffers */

static bool count_down(void *arg) {
  int *left = arg;
  return (*left)-- != 0;
}

START_TEST(malloc_hook) {
  int left = 2;
  lsm_set_malloc_hook(count_down, &left);
  void *a = lsm_malloc(0), *b = lsm_calloc(100), *c = lsm_malloc(1), *d = lsm_realloc(a, 9);
  lsm_set_malloc_hook(NULL, NULL);
  ck_assert_ptr_nonnull(a);
  ck_assert_ptr_nonnull(b);
  ck_assert_ptr_null(c);
  ck_assert_ptr_nonnull(d);
  for (int i = 0; i < 100; i++) ck_assert_uint_eq(((uint8_t *)b)[i], 0);
  lsm_free(b);
  lsm_free(d);
  lsm_free(NULL);
}
END_TEST

START_TEST(buffers_append) {
  lsm_buf b = {0};
  ck_assert_int_eq(lsm_buf_append(&b, NULL, 0), LSM_OK);
  size_t grown = 0;
  for (int i = 0; i < 100000; i++) {
    size_t cap = b.cap;
    uint8_t byte = (uint8_t)(i * 7);
    if (lsm_buf_append(&b, &byte, 1) != LSM_OK) break;
    if (b.cap != cap) grown++;
  }
  ck_assert_uint_lt(grown, 20); /* doubling */
  ck_assert_uint_eq(b.size, 100000);
  size_t wrong = 0;
  for (int i = 0; i < 100000; i++) wrong += b.data[i] != (uint8_t)(i * 7);
  ck_assert_uint_eq(wrong, 0);
  ck_assert_int_eq(lsm_buf_set(&b, lsm_slice_of(b.data + 10, 5)), LSM_OK);
  ck_assert_uint_eq(b.size, 5);
  ck_assert_uint_eq(b.data[0], 70);
  lsm_buf_fini(&b);
  ck_assert_ptr_null(b.data);
  ck_assert_int_eq(lsm_buf_set(&b, lsm_slice_str("abc")), LSM_OK);
  ck_assert(lsm_slice_eq(lsm_buf_slice(&b), lsm_slice_str("abc")));
  ck_assert_int_eq(lsm_buf_set(&b, LSM_SLICE_NULL), LSM_OK);
  ck_assert_uint_eq(b.size, 0);
  lsm_buf_fini(&b);
}
END_TEST

START_TEST(buffers_put) {
  static const uint8_t golden[] = {0x01, 0x0F, 0x0E, 0x0D, 0x0C, 0x0B, 0x0A, 0x09,
                                   0x08, 0xAC, 0x02, 3,    'a',  'b',  'c',  0};
  lsm_buf b = {0};
  ck_assert_int_eq(lsm_buf_put_u8(&b, 1), LSM_OK);
  ck_assert_int_eq(lsm_buf_put_u64(&b, UINT64_C(0x08090A0B0C0D0E0F)), LSM_OK);
  ck_assert_int_eq(lsm_buf_put_varint(&b, 300), LSM_OK);
  ck_assert_int_eq(lsm_buf_put_slice(&b, lsm_slice_str("abc")), LSM_OK);
  ck_assert_int_eq(lsm_buf_put_slice(&b, LSM_SLICE_NULL), LSM_OK);
  ck_assert_uint_eq(b.size, sizeof golden);
  ck_assert_mem_eq(b.data, golden, sizeof golden);

  lsm_reader r = lsm_reader_of(lsm_buf_slice(&b));
  ck_assert_uint_eq(lsm_read_u8(&r), 1);
  ck_assert_uint_eq(lsm_get_u64(lsm_read_bytes(&r, 8).data), UINT64_C(0x08090A0B0C0D0E0F));
  ck_assert_uint_eq(lsm_read_varint(&r), 300);
  ck_assert(lsm_slice_eq(lsm_read_slice(&r), lsm_slice_str("abc")));
  ck_assert_uint_eq(lsm_read_slice(&r).size, 0);
  ck_assert(r.ok && r.p == r.end);
  ck_assert_uint_eq(lsm_read_u8(&r), 0);
  ck_assert(!r.ok);

  /* Cut off anywhere: never past the end, and ok tells. */
  for (size_t n = 0; n < sizeof golden; n++) {
    uint8_t *copy = malloc(n + 1); /* its own block, so that ASan sees overruns */
    memcpy(copy + 1, golden, n);
    lsm_reader cut = lsm_reader_of(lsm_slice_of(copy + 1, n));
    lsm_read_u8(&cut);
    lsm_read_bytes(&cut, 8);
    lsm_read_varint(&cut);
    lsm_read_slice(&cut);
    lsm_read_slice(&cut);
    ck_assert(!cut.ok);
    free(copy);
  }
  lsm_buf_fini(&b);
}
END_TEST

/* What fails for want of memory changes nothing. */
START_TEST(buffers_without_memory) {
  uint8_t bytes[200];
  memset(bytes, 'y', sizeof bytes);
  lsm_buf b = {0};
  ck_assert_int_eq(lsm_buf_append(&b, bytes, 60), LSM_OK);
  int left = 0;
  lsm_set_malloc_hook(count_down, &left);
  lsm_rc append = lsm_buf_append(&b, bytes, 100);
  left = 0;
  lsm_rc slice = lsm_buf_put_slice(&b, lsm_slice_of(bytes, 60));
  left = 0;
  lsm_rc set = lsm_buf_set(&b, lsm_slice_of(bytes, 200));
  lsm_set_malloc_hook(NULL, NULL);
  ck_assert_int_eq(append, LSM_NOMEM);
  ck_assert_int_eq(slice, LSM_NOMEM);
  ck_assert_int_eq(set, LSM_NOMEM);
  ck_assert_uint_eq(b.size, 60);
  ck_assert_mem_eq(b.data, bytes, 60);
  ck_assert_int_eq(lsm_buf_reserve(&b, SIZE_MAX), LSM_NOMEM);
  ck_assert_int_eq(lsm_buf_reserve(&b, SIZE_MAX - 60), LSM_NOMEM);
  ck_assert_uint_eq(b.size, 60);
  lsm_buf_fini(&b);
}
END_TEST

START_TEST(slices_compare) {
  static const char *const sorted[] = {"", "a", "aa", "ab", "b", "\x7F", "\x80", "\xFF"};
  for (int i = 0; i < 8; i++) {
    for (int j = 0; j < 8; j++) {
      int c = lsm_slice_cmp(lsm_slice_str(sorted[i]), lsm_slice_str(sorted[j]));
      ck_assert_int_eq((c > 0) - (c < 0), (i > j) - (i < j));
      ck_assert_int_eq(lsm_slice_eq(lsm_slice_str(sorted[i]), lsm_slice_str(sorted[j])), i == j);
    }
  }
  ck_assert_int_eq(lsm_slice_cmp(LSM_SLICE_NULL, lsm_slice_str("")), 0);
}
END_TEST

/*----------------------------------------------------------------- coding */

START_TEST(varints) {
  for (unsigned bit = 0; bit <= 64; bit++) {
    for (int delta = -1; delta <= 1; delta++) {
      uint64_t v = (bit < 64 ? UINT64_C(1) << bit : 0) + (uint64_t)(int64_t)delta, back = 1;
      uint8_t p[LSM_VARINT_MAX];
      size_t n = (size_t)(lsm_varint_put(p, v) - p);
      ck_assert_uint_eq(n, lsm_varint_len(v));
      ck_assert_ptr_eq(lsm_varint_get(p, p + n, &back), p + n);
      ck_assert_uint_eq(back, v);
      for (size_t cut = 0; cut < n; cut++) ck_assert_ptr_null(lsm_varint_get(p, p + cut, &back));
    }
  }
  ck_assert_uint_eq(lsm_varint_len(127), 1);
  ck_assert_uint_eq(lsm_varint_len(128), 2);
  ck_assert_uint_eq(lsm_varint_len(UINT64_MAX), 10);
}
END_TEST

START_TEST(varints_that_do_not_fit) {
  uint8_t p[12];
  uint64_t v;
  memset(p, 0xFF, sizeof p);
  ck_assert_ptr_null(lsm_varint_get(p, p + sizeof p, &v));
  p[9] = 0x01;
  ck_assert_ptr_eq(lsm_varint_get(p, p + sizeof p, &v), p + 10);
  ck_assert_uint_eq(v, UINT64_MAX);
  p[9] = 0x02; /* bit 64 */
  ck_assert_ptr_null(lsm_varint_get(p, p + sizeof p, &v));
  p[9] = 0x81; /* an eleventh byte */
  ck_assert_ptr_null(lsm_varint_get(p, p + sizeof p, &v));
  static const uint8_t padded[] = {0x85, 0x80, 0x00}; /* longer than need be */
  ck_assert_ptr_eq(lsm_varint_get(padded, padded + 3, &v), padded + 3);
  ck_assert_uint_eq(v, 5);
  /* A slice whose length is beyond everything. */
  lsm_buf b = {0};
  ck_assert_int_eq(lsm_buf_put_varint(&b, UINT64_MAX), LSM_OK);
  lsm_reader r = lsm_reader_of(lsm_buf_slice(&b));
  ck_assert_ptr_null(lsm_read_slice(&r).data);
  ck_assert(!r.ok);
  lsm_buf_fini(&b);
}
END_TEST

/*-------------------------------------------------------------- checksums */

START_TEST(crc_golden) {
  static const char fox[] = "The quick brown fox jumps over the lazy dog";
  ck_assert_uint_eq(lsm_crc(0, "123456789", 9), 0xCBF43926);
  ck_assert_uint_eq(lsm_crc(0, fox, 43), 0x414FA339);
  ck_assert_uint_eq(lsm_crc(0, NULL, 0), 0);
  ck_assert_uint_eq(lsm_crc(77, NULL, 0), 77);
  for (size_t n = 0; n <= 43; n++) {
    ck_assert_uint_eq(lsm_crc(lsm_crc(0, fox, n), fox + n, 43 - n), 0x414FA339);
  }
}
END_TEST

/* Bit by bit, as the polynomial says. */
static uint32_t slow_crc(uint32_t crc, const uint8_t *p, size_t n) {
  crc = ~crc;
  for (size_t i = 0; i < n; i++) {
    crc ^= p[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  return ~crc;
}

/* Libraries take other ways for long, short and unaligned input. */
START_TEST(crc_any_length) {
  static uint8_t bytes[5000];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * i / 7 + i);
  for (size_t n = 0; n < sizeof bytes - 70; n += n < 300 ? 1 : 61) {
    size_t off = n % 67;
    ck_assert_uint_eq(lsm_crc(0, bytes + off, n), slow_crc(0, bytes + off, n));
    ck_assert_uint_eq(lsm_crc(0x12345678, bytes + off, n), slow_crc(0x12345678, bytes + off, n));
  }
}
END_TEST

START_TEST(hash_golden) {
  static const char fox[] = "The quick brown fox jumps over the lazy dog";
  static const struct {
    const char *data;
    size_t size;
    uint64_t seed, hash;
  } golden[] = {
      {"", 0, 0, UINT64_C(0xBECE05F804E08995)},
      {"", 0, 1, UINT64_C(0x6D7AF6572C0FC4CD)},
      {"a", 1, 0, UINT64_C(0x4F72676C1142292A)},
      {"abc", 3, 0, UINT64_C(0xC85C15CC9453EAA5)},
      {"abcd", 4, 0, UINT64_C(0x812FA10EB55328EC)},
      {"abcdefg", 7, 7, UINT64_C(0x2924043489802AAA)},
      {"abcdefgh", 8, 0, UINT64_C(0x26808001AA77D123)},
      {"abcdefghijk", 11, 0, UINT64_C(0x467CAAE7DBF4F5EA)},
      {"0123456789abcdef", 16, 0, UINT64_C(0x4F9FF7E010567A03)},
      {fox, 43, 0, UINT64_C(0x35D4B340D3525EFA)},
      {fox, 43, UINT64_MAX, UINT64_C(0x7A86E9D8C6FADEA7)},
      {"\0\0\0\0\0\0\0\0", 8, 0, UINT64_C(0xDEFC986488E0613F)},
      {"\0\0\0\0\0\0\0\0\0", 9, 0, UINT64_C(0x12FB49961A60620A)},
  };
  for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
    lsm_slice s = lsm_slice_of(golden[i].data, golden[i].size);
    ck_assert_uint_eq(lsm_hash64(s, golden[i].seed), golden[i].hash);
  }
  ck_assert_uint_eq(lsm_hash64(LSM_SLICE_NULL, 0), golden[0].hash);
}
END_TEST

static int compare_u64(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static int bit_count(uint64_t v) {
  int n = 0;
  for (; v != 0; v &= v - 1) n++;
  return n;
}

/* Keys as stores have them: counters, big-endian, with a common prefix. */
START_TEST(hash_spreads) {
  enum { N = 100000, BUCKETS = 256 };
  uint64_t *hashes = malloc(N * sizeof *hashes);
  int low[BUCKETS] = {0}, high[BUCKETS] = {0};
  for (int i = 0; i < N; i++) {
    uint8_t key[13] = "table";
    for (int k = 0; k < 8; k++) key[5 + k] = (uint8_t)((uint64_t)i >> (56 - 8 * k));
    hashes[i] = lsm_hash64(lsm_slice_of(key, sizeof key), 0);
    low[hashes[i] % BUCKETS]++;
    high[hashes[i] >> 56]++;
  }
  for (int i = 0; i < BUCKETS; i++) { /* 390 expected, deviation 20 */
    ck_assert_int_gt(low[i], 290);
    ck_assert_int_lt(low[i], 490);
    ck_assert_int_gt(high[i], 290);
    ck_assert_int_lt(high[i], 490);
  }
  qsort(hashes, N, sizeof *hashes, compare_u64);
  int same = 0;
  for (int i = 1; i < N; i++) same += hashes[i - 1] == hashes[i];
  ck_assert_int_eq(same, 0);
  free(hashes);
}
END_TEST

/* Every bit of the key, whatever its length, turns about half of the hash. */
START_TEST(hash_avalanche) {
  for (size_t n = 1; n <= 40; n++) {
    uint8_t key[40];
    for (size_t i = 0; i < n; i++) key[i] = (uint8_t)(i * 37 + n);
    uint64_t base = lsm_hash64(lsm_slice_of(key, n), 0);
    int total = 0;
    for (size_t bit = 0; bit < n * 8; bit++) {
      key[bit / 8] ^= (uint8_t)(1u << bit % 8);
      int turned = bit_count(base ^ lsm_hash64(lsm_slice_of(key, n), 0));
      key[bit / 8] ^= (uint8_t)(1u << bit % 8);
      ck_assert_int_ge(turned, 8);
      total += turned;
    }
    int average = total / (int)(n * 8);
    ck_assert_int_ge(average, 27);
    ck_assert_int_le(average, 37);
    ck_assert_uint_ne(base, lsm_hash64(lsm_slice_of(key, n), 1));
  }
}
END_TEST

Suite *base_suite(void) {
  Suite *s = suite_create("base");
  TCase *t = tcase_create("base");
  suite_add_tcase(s, t);
  tcase_add_test(t, rc_names);
  tcase_add_test(t, messages);
  tcase_add_test(t, messages_too_long);
  tcase_add_test(t, messages_belong_to_threads);
  tcase_add_test(t, malloc_hook);
  tcase_add_test(t, buffers_append);
  tcase_add_test(t, buffers_put);
  tcase_add_test(t, buffers_without_memory);
  tcase_add_test(t, slices_compare);
  tcase_add_test(t, varints);
  tcase_add_test(t, varints_that_do_not_fit);
  tcase_add_test(t, crc_golden);
  tcase_add_test(t, crc_any_length);
  tcase_add_test(t, hash_golden);
  tcase_add_test(t, hash_spreads);
  tcase_add_test(t, hash_avalanche);
  return s;
}
