/* test_batch.c: entries as bytes: golden ones, and malformed ones. */
#include <check.h>
#include <stdlib.h>

#include "batch.h"

Suite *batch_suite(void);

static void expect(lsm_kind kind, lsm_slice key, lsm_slice value, const char *bytes, size_t n) {
  uint8_t buf[64];
  lsm_entry e;
  ck_assert_uint_eq(lsm_entry_size(key.size, value.size), n);
  ck_assert_ptr_eq(lsm_entry_put(buf, kind, key, value), buf + n);
  ck_assert_mem_eq(buf, bytes, n);
  ck_assert_ptr_eq(lsm_entry_get(buf, &e), buf + n);
  ck_assert_int_eq(e.kind, kind);
  ck_assert(lsm_slice_eq(e.key, key) && lsm_slice_eq(e.value, value));
  memset(&e, 0, sizeof e);
  ck_assert_ptr_eq(lsm_entry_parse(buf, buf + n, &e), buf + n);
  ck_assert_int_eq(e.kind, kind);
  ck_assert(lsm_slice_eq(e.key, key) && lsm_slice_eq(e.value, value));
}

START_TEST(test_golden) {
  expect(LSM_KIND_PUT, lsm_slice_str("\005key"), lsm_slice_str("value"), "\1\4\5\5keyvalue", 12);
  expect(LSM_KIND_PUT, lsm_slice_str("\005"), LSM_SLICE_NULL, "\1\1\0\5", 4);
  expect(LSM_KIND_DELETE, lsm_slice_str("\005key"), LSM_SLICE_NULL, "\2\4\0\5key", 7);
  expect(LSM_KIND_DELETE_RANGE, lsm_slice_str("\005a"), lsm_slice_str("\005b"), "\3\2\2\5a\5b", 7);
  expect(LSM_KIND_DELETE_RANGE, lsm_slice_str("\005a"), lsm_slice_str("\006"), "\3\2\1\5a\6", 6);
}
END_TEST

/* Lengths of two and more bytes. */
START_TEST(test_long) {
  static const size_t sizes[] = {1, 127, 128, 16383, 16384, 100000};
  uint8_t *data = calloc(1, 100000), *buf = malloc(200100);
  ck_assert(data != NULL && buf != NULL);
  for (int i = 0; i < 6; i++) {
    for (int j = 0; j < 6; j++) {
      size_t n = lsm_entry_size(sizes[i], sizes[j]);
      lsm_entry e;
      uint8_t *end = lsm_entry_put(buf, LSM_KIND_PUT, lsm_slice_of(data, sizes[i]),
                                   lsm_slice_of(data, sizes[j]));
      ck_assert_uint_eq((size_t)(end - buf), n);
      ck_assert_ptr_eq(lsm_entry_get(buf, &e), end);
      ck_assert_uint_eq(e.key.size, sizes[i]);
      ck_assert_uint_eq(e.value.size, sizes[j]);
      ck_assert_ptr_eq(lsm_entry_parse(buf, end, &e), end);
      ck_assert_uint_eq(e.value.size, sizes[j]);
      ck_assert_ptr_null(lsm_entry_parse(buf, end - 1, &e));
    }
  }
  free(data);
  free(buf);
}
END_TEST

#define BYTES(s) s, sizeof(s) - 1

static const struct {
  const char *why;
  const char *bytes;
  size_t n;
  bool good;
} cases[] = {
    {"nothing", BYTES(""), false},
    {"kind 0", BYTES("\0\1\0\5"), false},
    {"kind 4", BYTES("\4\1\0\5"), false},
    {"no lengths", BYTES("\1"), false},
    {"no key", BYTES("\1\0\0"), false},
    {"key cut off", BYTES("\1\4\0\5ab"), false},
    {"value cut off", BYTES("\1\1\4\5abc"), false},
    {"key too long to be", BYTES("\1\x81\x80\x80\x80\x04\0\5"), false},
    {"lengths that overflow", BYTES("\1\1\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1\5"), false},
    {"length that never ends", BYTES("\1\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), false},
    {"tombstone with value", BYTES("\2\1\1\5x"), false},
    {"long prefix", BYTES("\1\6\0\xF0\0\0\0\xF0k"), true},
    {"long prefix of a small number", BYTES("\1\5\0\xF0\0\0\0\x10"), false},
    {"long prefix cut off", BYTES("\1\4\0\xF0\0\0\1"), false},
    {"no keyspace has this number", BYTES("\1\5\0\xF0\xFF\xFF\xFF\xFF"), false},
    {"first byte of no prefix", BYTES("\1\5\0\xF1\0\0\0\xF0"), false},
    {"range", BYTES("\3\2\3\5a\5ab"), true},
    {"range to the end", BYTES("\3\2\1\5a\6"), true},
    {"range into the next keyspace", BYTES("\3\2\2\5a\6a"), false},
    {"range over a keyspace", BYTES("\3\2\1\5a\7"), false},
    {"empty range", BYTES("\3\2\2\5a\5a"), false},
    {"range backwards", BYTES("\3\2\2\5b\5a"), false},
    {"range without end", BYTES("\3\2\0\5b"), false},
    {"last short number to its end", BYTES("\3\1\5\xEF\xF0\0\0\0\xF0"), true},
    {"last number to its end", BYTES("\3\5\5\xF0\xFF\xFF\xFF\xFE\xF0\xFF\xFF\xFF\xFF"), true},
    {"carry in the number", BYTES("\3\5\5\xF0\0\0\0\xFF\xF0\0\0\1\0"), true},
};

START_TEST(test_cases) {
  lsm_entry e;
  uint8_t *p = malloc(cases[_i].n + 1); /* its own block, for the sanitizer */
  memcpy(p, cases[_i].bytes, cases[_i].n);
  const uint8_t *end = lsm_entry_parse(p, p + cases[_i].n, &e);
  ck_assert_msg((end != NULL) == cases[_i].good, "%s", cases[_i].why);
  if (end != NULL) ck_assert_ptr_eq(end, p + cases[_i].n);
  free(p);
}
END_TEST

/* Cut anywhere it is malformed; with any byte changed it is so or still within
** its bytes. */
START_TEST(test_damage) {
  uint8_t good[64];
  lsm_entry e;
  for (int kind = LSM_KIND_PUT; kind <= LSM_KIND_DELETE_RANGE; kind++) {
    lsm_slice value = kind == LSM_KIND_DELETE ? LSM_SLICE_NULL : lsm_slice_str("\005zz");
    uint8_t *end = lsm_entry_put(good, (lsm_kind)kind, lsm_slice_str("\005key"), value);
    size_t n = (size_t)(end - good);
    for (size_t cut = 0; cut < n; cut++) {
      uint8_t *p = malloc(cut + 1);
      memcpy(p, good, cut);
      ck_assert_ptr_null(lsm_entry_parse(p, p + cut, &e));
      free(p);
    }
    uint8_t *p = malloc(n);
    for (size_t i = 0; i < n; i++) {
      for (int b = 0; b < 256; b++) {
        memcpy(p, good, n);
        p[i] = (uint8_t)b;
        const uint8_t *stop = lsm_entry_parse(p, p + n, &e);
        if (stop == NULL) continue;
        ck_assert(stop <= p + n && e.value.data + e.value.size == stop);
        ck_assert(e.key.data > p && e.key.data + e.key.size == e.value.data);
      }
    }
    free(p);
  }
}
END_TEST

Suite *batch_suite(void) {
  Suite *s = suite_create("batch");
  TCase *tc = tcase_create("batch");
  tcase_add_test(tc, test_golden);
  tcase_add_test(tc, test_long);
  tcase_add_loop_test(tc, test_cases, 0, sizeof cases / sizeof cases[0]);
  tcase_add_test(tc, test_damage);
  suite_add_tcase(s, tc);
  return s;
}
