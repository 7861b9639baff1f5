/* fuzz_key.c: encoded keys that are not trusted, and values there and back.
** Input: how:u8 (affinity, collation, direction); three values; a key.
** Holds: memcmp of encoded values is SQLite's order; what lsm_key_get() takes
**        lsm_key_skip() takes too, and encoded again it is the same bytes; a
**        range has exactly the keys whose values are within its bounds. */
#include "fuzz_values.h"
#include "keyenc.h"
#include "value_cmp.h"

/* Order of a and b in a column like PART. */
static int compare(const lsm_value *a, const lsm_value *b, const lsm_key_part *part) {
  int c = value_cmp(a, b, part->collation);
  return part->desc ? -c : c;
}

static int sign(int c) {
  return (c > 0) - (c < 0);
}

static void check_value(const lsm_value *v, const lsm_key_part *part, lsm_buf *key) {
  lsm_buf scratch = {0};
  lsm_value back;
  FUZZ_OK(lsm_key_put(key, v, part));
  uint8_t *copy = fuzz_copy(lsm_buf_slice(key));
  lsm_slice a = lsm_slice_of(copy, key->size), b = a;
  FUZZ_OK(lsm_key_get(&a, part, &back, &scratch));
  FUZZ_OK(lsm_key_skip(&b, part));
  FUZZ_CHECK(a.size == 0 && b.size == 0);
  if (lsm_key_is_faithful(v, part)) FUZZ_CHECK(fuzz_same(v, &back));
  /* Cut off it is no key; but text with a zero byte has that zero as its end. */
  bool escapes = (v->type == SQLITE_TEXT || v->type == SQLITE_BLOB) && !part->desc &&
                 memchr(copy, 0, key->size) != copy + key->size - 1;
  for (size_t n = 0; n < key->size; n++) {
    uint8_t *cut = fuzz_copy(lsm_slice_of(copy, n));
    a = b = lsm_slice_of(cut, n);
    lsm_rc rc = lsm_key_get(&a, part, &back, &scratch);
    FUZZ_CHECK(rc == LSM_CORRUPT || (escapes && rc == LSM_OK));
    rc = lsm_key_skip(&b, part);
    FUZZ_CHECK(rc == LSM_CORRUPT || (escapes && rc == LSM_OK));
    free(cut);
  }
  free(copy);
  lsm_buf_fini(&scratch);
}

static bool in_range(const lsm_key_range *r, lsm_slice key) {
  lsm_slice lo = lsm_key_range_lower(r), hi = lsm_key_range_upper(r);
  return !r->empty && (lo.data == NULL || lsm_slice_cmp(lo, key) <= 0) &&
         (hi.data == NULL || lsm_slice_cmp(key, hi) < 0);
}

/* Is KEY, of v and another column, in the range between lo and hi, and is it
** so by the values? */
static void check_range(const lsm_value *v, const lsm_value *lo, const lsm_value *hi,
                        const lsm_key_part *part, lsm_slice key, unsigned how) {
  lsm_key_range r = {0};
  lsm_key_bound lower = {how & 1 ? lo : NULL, (how & 4) != 0};
  lsm_key_bound upper = {how & 2 ? hi : NULL, (how & 8) != 0};
  bool want = true;
  FUZZ_OK(lsm_key_range_of(&r, part, NULL, 0, lower, upper));
  if (lower.value != NULL || upper.value != NULL) want = v->type != SQLITE_NULL;
  if (lower.value != NULL) {
    int c = value_cmp(v, lo, part->collation);
    want = want && lo->type != SQLITE_NULL && (lower.strict ? c > 0 : c >= 0);
  }
  if (upper.value != NULL) {
    int c = value_cmp(v, hi, part->collation);
    want = want && hi->type != SQLITE_NULL && (upper.strict ? c < 0 : c <= 0);
  }
  FUZZ_CHECK(in_range(&r, key) == want);

  lsm_key_bound none = {NULL, false};
  FUZZ_OK(lsm_key_range_of(&r, part, lo, 1, none, none));
  FUZZ_CHECK(in_range(&r, key) == (value_cmp(v, lo, part->collation) == 0));
  lsm_key_range_fini(&r);
}

/* Rowids within bounds, which may be of any type. */
static void check_rowid(const lsm_value *v, const lsm_value *lo, const lsm_value *hi,
                        unsigned how) {
  uint8_t key[LSM_ROWID_KEY_SIZE];
  lsm_key_range r = {0};
  lsm_key_bound lower = {how & 1 ? lo : NULL, (how & 4) != 0};
  lsm_key_bound upper = {how & 2 ? hi : NULL, (how & 8) != 0};
  int64_t back;
  bool want = true;
  if (v->type != SQLITE_INTEGER) return;
  lsm_key_set_rowid(key, v->u.i);
  FUZZ_OK(lsm_key_get_rowid(lsm_slice_of(key, sizeof key), &back));
  FUZZ_CHECK(back == v->u.i);
  FUZZ_OK(lsm_key_range_of_rowids(&r, lower, upper));
  if (lower.value != NULL) {
    int c = value_cmp(v, lo, LSM_COLL_BINARY);
    want = want && lo->type != SQLITE_NULL && (lower.strict ? c > 0 : c >= 0);
  }
  if (upper.value != NULL) {
    int c = value_cmp(v, hi, LSM_COLL_BINARY);
    want = want && hi->type != SQLITE_NULL && (upper.strict ? c < 0 : c <= 0);
  }
  FUZZ_CHECK(in_range(&r, lsm_slice_of(key, sizeof key)) == want);
  lsm_key_range_fini(&r);
}

/* A key from a file: column by column. */
static void decode(lsm_slice key, const lsm_key_part *part) {
  lsm_buf scratch = {0}, again = {0};
  lsm_slice rest = key;
  for (;;) {
    lsm_slice got = rest, skipped = rest;
    lsm_value v;
    lsm_rc rc = lsm_key_get(&got, part, &v, &scratch);
    lsm_rc skip_rc = lsm_key_skip(&skipped, part);
    FUZZ_CHECK(rc == LSM_OK || rc == LSM_CORRUPT);
    if (rc != LSM_OK) {
      /* Skipping looks at less. */
      FUZZ_CHECK(skip_rc == LSM_OK || skip_rc == LSM_CORRUPT);
      FUZZ_CHECK(v.type == SQLITE_NULL && got.size == rest.size);
      break;
    }
    FUZZ_CHECK(skip_rc == LSM_OK && got.data == skipped.data && got.size == skipped.size);
    FUZZ_CHECK(got.size < rest.size);
    if (lsm_key_is_faithful(&v, part)) {
      lsm_buf_clear(&again);
      FUZZ_OK(lsm_key_put(&again, &v, part));
      FUZZ_CHECK(
          lsm_slice_eq(lsm_buf_slice(&again), lsm_slice_of(rest.data, rest.size - got.size)));
    }
    rest = got;
  }
  lsm_buf_fini(&scratch);
  lsm_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_in in = fuzz_in_of(data, size);
  unsigned how = (unsigned)fuzz_number(&in, 2);
  lsm_key_part part = {0, (lsm_affinity)(how % 5), (lsm_collation)(how / 5 % 3), how / 15 % 2};
  lsm_value v[3];
  lsm_buf key[3] = {{0}, {0}, {0}};
  for (int i = 0; i < 3; i++) {
    v[i] = fuzz_value(&in, part.affinity);
    check_value(&v[i], &part, &key[i]);
  }
  for (int i = 0; i < 3; i++) {
    for (int j = 0; j < 3; j++) {
      int c = lsm_slice_cmp(lsm_buf_slice(&key[i]), lsm_buf_slice(&key[j]));
      FUZZ_CHECK(sign(c) == sign(compare(&v[i], &v[j], &part)));
    }
  }
  /* The range test's key has a second column behind the first. */
  FUZZ_OK(lsm_key_put(&key[0], &v[1], &part));
  for (unsigned bounds = 0; bounds < 16; bounds++) {
    check_range(&v[0], &v[1], &v[2], &part, lsm_buf_slice(&key[0]), bounds);
    check_rowid(&v[0], &v[1], &v[2], bounds);
  }
  lsm_slice bytes = fuzz_take(&in, SIZE_MAX);
  uint8_t *copy = fuzz_copy(bytes);
  decode(lsm_slice_of(copy, bytes.size), &part);
  free(copy);
  for (int i = 0; i < 3; i++) lsm_buf_fini(&key[i]);
  return 0;
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  static const char text[] = "aB\0 c  ", blob[] = "\0\xFF\0\0";
  const lsm_value v[] = {lsm_value_null(),
                         lsm_value_int(0),
                         lsm_value_int(-1),
                         lsm_value_int(INT64_MAX),
                         lsm_value_int((INT64_C(1) << 53) + 1),
                         lsm_value_real(-2.5),
                         lsm_value_real(1e300),
                         lsm_value_text(lsm_slice_of(text, 7)),
                         lsm_value_text(lsm_slice_of(text, 2)),
                         lsm_value_blob(lsm_slice_of(blob, 4))};
  /* NULL, 1, 2^53+1 as input for fuzz_value(), and texts. */
  static const uint8_t values[3][24] = {
      {0, 1, 1, 43, 1, 0, 0, 0, 0, 0, 0x20, 0},
      {4, 3, 'a', 'B', 0, 4, 2, 'a', 'b', 5, 2, 0, 0xFF},
      {3, 0, 0, 0, 0, 0, 0, 0xE0, 0xC3, 44, 0, 0, 0, 0, 0, 0, 0, 0x80, 3}};
  static const size_t sizes[3] = {12, 13, 19};
  for (unsigned how = 0; how < 30; how++) {
    lsm_key_part part = {0, (lsm_affinity)(how % 5), (lsm_collation)(how / 5 % 3), how / 15 % 2};
    uint8_t front[40] = {(uint8_t)how};
    lsm_buf out = {0};
    memcpy(front + 2, values[how % 3], sizes[how % 3]);
    FUZZ_OK(lsm_buf_append(&out, front, 2 + sizes[how % 3]));
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
      lsm_value w = v[i];
      if (part.affinity == LSM_AFF_REAL && w.type == SQLITE_INTEGER) {
        w = lsm_value_real((double)w.u.i);
      }
      FUZZ_OK(lsm_key_put(&out, &w, &part));
    }
    add(arg, out.data, out.size);
    lsm_buf_fini(&out);
  }
}
