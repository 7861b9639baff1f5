/* test_index.c: entries of indexes: made from rows, read back, damaged. */
#include "index.h"

#include "codec_util.h"

Suite *index_suite(void);

static void row_key_of(const lsm_schema *s, const lsm_value *v, int64_t rowid, lsm_buf *key) {
  lsm_buf_clear(key);
  if (s->kind == LSM_KEY_COLUMNS) {
    ck_assert_int_eq(lsm_key_put_row(key, s, v), LSM_OK);
  } else {
    ck_assert_int_eq(lsm_key_put_rowid(key, rowid), LSM_OK);
  }
}

static void hex_of(const lsm_buf *b, char *out) {
  *out = 0;
  for (size_t i = 0; i < b->size; i++) sprintf(out + 2 * i, "%02X", b->data[i]);
}

/*----------------------------------------------------------- golden bytes */

static void check_entry(const lsm_schema *s, int index, const lsm_value *v, int64_t rowid,
                        const char *key_hex, const char *value_hex) {
  lsm_entry e = {0};
  lsm_buf key = {0}, back = {0};
  char got[400];
  bool faithful;
  row_key_of(s, v, rowid, &key);
  const lsm_index *x = &s->index[index];
  ck_assert_int_eq(lsm_entry_make(&e, s, x, v, NULL, lsm_buf_slice(&key)), LSM_OK);
  hex_of(&e.key, got);
  ck_assert_str_eq(got, key_hex);
  hex_of(&e.value, got);
  ck_assert_str_eq(got, value_hex);
  ck_assert_int_eq(
      lsm_entry_row_key(s, x, lsm_buf_slice(&e.key), lsm_buf_slice(&e.value), &back, &faithful),
      LSM_OK);
  ck_assert(lsm_slice_eq(lsm_buf_slice(&back), lsm_buf_slice(&key)));
  lsm_entry_fini(&e);
  lsm_buf_fini(&key);
  lsm_buf_fini(&back);
}

START_TEST(test_golden) {
  sqlite3 *db = open_judge();
  lsm_schema *s = PARSE(db, "a", "b", "UNIQUE(a)", "INDEX i(b COLLATE NOCASE)");
  lsm_value v[] = {lsm_value_int(1), text_of("x")};
  check_entry(s, 0, v, 5, "15BFF0000000000000", "008000000000000005");
  check_entry(s, 1, v, 5,
              "257800"
              "15C014000000000000",
              "");
  v[0] = lsm_value_null(); /* UNIQUE, but NULL equals nothing */
  v[1] = text_of("X");     /* folded */
  check_entry(s, 0, v, 5,
              "05"
              "15C014000000000000",
              "");
  check_entry(s, 1, v, 5,
              "257800"
              "15C014000000000000",
              "01");
  v[0] = lsm_value_real(1.0); /* not what comes back: 1 */
  check_entry(s, 0, v, 5, "15BFF0000000000000", "018000000000000005");
  /* a rowid whose own key begins with FF, after text: no FF follows the end */
  check_entry(s, 1, v, INT64_MAX,
              "257800"
              "15C3DFFFFFFFFFFFFF03FF",
              "01");
  lsm_schema_free(s);

  s = PARSE(db, "k TEXT", "n INT", "v", "PRIMARY KEY(k, n DESC)", "UNIQUE(v, n)",
            "INDEX i(v DESC)");
  lsm_value w[] = {text_of("a"), lsm_value_int(1), text_of("z")};
  check_entry(s, 0, w, 0,
              "257A00"
              "15BFF0000000000000",
              "00"
              "256100"
              "EA400FFFFFFFFFFFFF");
  check_entry(s, 1, w, 0,
              "DA85FFFF"
              "256100"
              "EA400FFFFFFFFFFFFF",
              "");
  lsm_schema_free(s);
  sqlite3_close(db);
}
END_TEST

/*------------------------------------------------------------ random rows */

static lsm_schema *random_schema(sqlite3 *db, unsigned i) {
  switch (i) {
    case 0:
      return PARSE(db, "a", "b TEXT COLLATE NOCASE", "c REAL", "UNIQUE(a, b)",
                   "INDEX i(c, a DESC)");
    case 1:
      return PARSE(db, "a", "b COLLATE RTRIM", "c", "PRIMARY KEY(a DESC, b)", "UNIQUE(c)",
                   "INDEX i(b DESC, c)");
    default:
      return PARSE(db, "a INTEGER PRIMARY KEY", "b", "c", "UNIQUE(c DESC, b)", "INDEX i(a, c)");
  }
}

/* Made from values or from the encoded row: the same; an entry gives back the
** key, and, when it says so, its columns. */
static void check_both_ways(const lsm_schema *s, const lsm_index *x, const lsm_value *v,
                            int64_t rowid) {
  lsm_entry e = {0}, again = {0};
  lsm_buf key = {0}, data = {0}, back = {0};
  lsm_row row = {0}, entry = {0};
  bool faithful;
  row_key_of(s, v, rowid, &key);
  ck_assert_int_eq(lsm_row_encode(s, v, &data), LSM_OK);
  ck_assert_int_eq(lsm_row_init(&row, s), LSM_OK);
  lsm_row_point(&row, lsm_buf_slice(&key), lsm_buf_slice(&data));
  ck_assert_int_eq(lsm_entry_make(&e, s, x, v, NULL, lsm_buf_slice(&key)), LSM_OK);
  ck_assert_int_eq(lsm_entry_make(&again, s, x, NULL, &row, lsm_buf_slice(&key)), LSM_OK);
  ck_assert(lsm_slice_eq(lsm_buf_slice(&e.key), lsm_buf_slice(&again.key)));
  ck_assert(lsm_slice_eq(lsm_buf_slice(&e.value), lsm_buf_slice(&again.value)));
  ck_assert_int_eq(
      lsm_entry_row_key(s, x, lsm_buf_slice(&e.key), lsm_buf_slice(&e.value), &back, &faithful),
      LSM_OK);
  ck_assert(lsm_slice_eq(lsm_buf_slice(&key), lsm_buf_slice(&back)));
  ck_assert_int_eq(lsm_row_init(&entry, x->entry), LSM_OK);
  lsm_row_point(&entry, lsm_buf_slice(&e.key), lsm_entry_no_codes());
  for (int i = 0; i < x->npart && faithful; i++) {
    int column = x->part[i].column;
    lsm_value got, want = column == s->alias_column ? lsm_value_int(rowid) : v[column];
    ck_assert_int_eq(lsm_row_get(&entry, column, &got, NULL), LSM_OK);
    ck_assert_int_eq(got.type, want.type);
    ck_assert_int_eq(value_cmp(&got, &want, LSM_COLL_BINARY), 0);
  }
  lsm_row_fini(&row);
  lsm_row_fini(&entry);
  lsm_entry_fini(&e);
  lsm_entry_fini(&again);
  lsm_buf_fini(&key);
  lsm_buf_fini(&data);
  lsm_buf_fini(&back);
}

START_TEST(test_random) {
  static pool p;
  rng r = {4711};
  sqlite3 *db = open_judge();
  for (unsigned i = 0; i < 3; i++) {
    lsm_schema *s = random_schema(db, i);
    for (int n = 0; n < 3000; n++) {
      lsm_value v[3];
      p.used = 0;
      for (int c = 0; c < 3; c++) {
        v[c] = random_value(&r, &p);
        bool real = v[c].type == SQLITE_INTEGER && s->column[c].affinity == LSM_AFF_REAL;
        if (real) v[c] = lsm_value_real((double)v[c].u.i);
        if (c == s->alias_column) v[c] = lsm_value_null();
      }
      for (int k = 0; k < s->nindex; k++) check_both_ways(s, &s->index[k], v, random_int(&r));
    }
    lsm_schema_free(s);
  }
  sqlite3_close(db);
}
END_TEST

/*----------------------------------------------------------------- damage */

/* Whatever the bytes: an error, or a key. */
static void try_entry(const lsm_schema *s, const lsm_index *x, const uint8_t *key, size_t nkey,
                      const uint8_t *value, size_t nvalue) {
  lsm_buf back = {0};
  bool faithful;
  uint8_t *k = malloc(nkey + 1), *v = malloc(nvalue + 1); /* exact, for the sanitizers */
  memcpy(k, key, nkey);
  if (nvalue > 0) memcpy(v, value, nvalue);
  lsm_rc rc =
      lsm_entry_row_key(s, x, lsm_slice_of(k, nkey), lsm_slice_of(v, nvalue), &back, &faithful);
  ck_assert(rc == LSM_OK || rc == LSM_CORRUPT);
  free(k);
  free(v);
  lsm_buf_fini(&back);
}

START_TEST(test_damage) {
  sqlite3 *db = open_judge();
  for (unsigned i = 0; i < 3; i++) {
    lsm_schema *s = random_schema(db, i);
    lsm_value v[] = {text_of("aB"), text_of("x"), lsm_value_real(2.5)};
    if (s->alias_column >= 0) v[0] = lsm_value_null();
    for (int n = 0; n < s->nindex; n++) {
      const lsm_index *x = &s->index[n];
      lsm_entry e = {0};
      lsm_buf key = {0};
      row_key_of(s, v, 77, &key);
      ck_assert_int_eq(lsm_entry_make(&e, s, x, v, NULL, lsm_buf_slice(&key)), LSM_OK);
      for (size_t cut = 0; cut < e.key.size; cut++) {
        try_entry(s, x, e.key.data, cut, e.value.data, e.value.size);
      }
      for (size_t at = 0; at < 8 * e.key.size; at++) {
        e.key.data[at / 8] ^= (uint8_t)(1u << at % 8);
        try_entry(s, x, e.key.data, e.key.size, e.value.data, e.value.size);
        e.key.data[at / 8] ^= (uint8_t)(1u << at % 8);
      }
      lsm_buf back = {0};
      bool faithful;
      const uint8_t flag[] = {0x80};
      ck_assert_int_eq(
          lsm_entry_row_key(s, x, lsm_buf_slice(&e.key), lsm_slice_of(flag, 1), &back, &faithful),
          LSM_CORRUPT);
      lsm_buf_fini(&back);
      lsm_entry_fini(&e);
      lsm_buf_fini(&key);
    }
    lsm_schema_free(s);
  }
  sqlite3_close(db);
}
END_TEST

/* Every allocation fails once: LSM_NOMEM, and nothing is lost. */
START_TEST(test_nomem) {
  sqlite3 *db = open_judge();
  lsm_schema *s = random_schema(db, 1);
  lsm_value v[] = {text_of("a long enough text to make a buffer grow again"), text_of("x "),
                   text_of("c")};
  lsm_buf key = {0};
  row_key_of(s, v, 0, &key);
  for (int n = 0; n < s->nindex; n++) {
    lsm_rc rc = LSM_NOMEM;
    for (int fail_at = 1; rc == LSM_NOMEM; fail_at++) {
      lsm_entry e = {0};
      lsm_buf back = {0};
      bool faithful;
      int left = fail_at;
      ck_assert_int_lt(fail_at, 100);
      lsm_set_malloc_hook(count_down, &left);
      rc = lsm_entry_make(&e, s, &s->index[n], v, NULL, lsm_buf_slice(&key));
      if (rc == LSM_OK) {
        rc = lsm_entry_row_key(s, &s->index[n], lsm_buf_slice(&e.key), lsm_buf_slice(&e.value),
                               &back, &faithful);
      }
      lsm_set_malloc_hook(NULL, NULL);
      if (rc == LSM_OK) {
        ck_assert(lsm_slice_eq(lsm_buf_slice(&back), lsm_buf_slice(&key)));
        ck_assert_int_gt(fail_at, 2);
      }
      lsm_entry_fini(&e);
      lsm_buf_fini(&back);
    }
    ck_assert_int_eq(rc, LSM_OK);
  }
  lsm_buf_fini(&key);
  lsm_schema_free(s);
  sqlite3_close(db);
}
END_TEST

Suite *index_suite(void) {
  Suite *suite = suite_create("index");
  TCase *tc = tcase_create("entries");
  tcase_add_test(tc, test_golden);
  tcase_add_test(tc, test_random);
  tcase_add_test(tc, test_damage);
  tcase_add_test(tc, test_nomem);
  suite_add_tcase(suite, tc);
  return suite;
}
