/* test_rowenc.c: rows in and out, and rows that are not rows. */
#include "rowenc.h"

#include "codec_util.h"

Suite *rowenc_suite(void);

static void encode(const lsm_schema *s, const lsm_value *v, int64_t rowid, lsm_buf *key,
                   lsm_buf *row) {
  lsm_buf_clear(key);
  if (s->kind == LSM_KEY_COLUMNS) {
    ck_assert_int_eq(lsm_key_put_row(key, s, v), LSM_OK);
  } else {
    ck_assert_int_eq(lsm_key_put_rowid(key, rowid), LSM_OK);
  }
  ck_assert_int_eq(lsm_row_encode(s, v, row), LSM_OK);
}

/*----------------------------------------------------------- golden bytes */

static void check_bytes(const lsm_schema *s, const lsm_value *v, const char *hex) {
  lsm_buf row = {0};
  char got[400] = "";
  ck_assert_int_eq(lsm_row_encode(s, v, &row), LSM_OK);
  for (size_t i = 0; i < row.size; i++) sprintf(got + 2 * i, "%02X", row.data[i]);
  ck_assert_str_eq(got, hex);
  lsm_buf_fini(&row);
}

START_TEST(test_golden) {
  sqlite3 *db = open_judge();
  lsm_schema *kv = PARSE(db, "key PRIMARY KEY", "value");
  check_bytes(kv, (lsm_value[]){text_of("a"), lsm_value_null()}, "100100");
  check_bytes(kv, (lsm_value[]){text_of("a"), text_of("")}, "10010D");
  check_bytes(kv, (lsm_value[]){text_of("a"), lsm_value_blob(LSM_SLICE_NULL)}, "10010C");
  check_bytes(kv, (lsm_value[]){text_of("a"), text_of("hey")}, "100113686579");
  check_bytes(kv, (lsm_value[]){text_of("a"), lsm_value_int(0)}, "100108");
  check_bytes(kv, (lsm_value[]){text_of("a"), lsm_value_int(1)}, "100109");
  check_bytes(kv, (lsm_value[]){text_of("a"), lsm_value_int(-1)}, "100101FF");
  check_bytes(kv, (lsm_value[]){text_of("a"), lsm_value_int(128)}, "1001020080");
  check_bytes(kv, (lsm_value[]){text_of("a"), lsm_value_int(-8388608)}, "100103800000");
  check_bytes(kv, (lsm_value[]){text_of("a"), lsm_value_int(8388608)}, "10010400800000");
  check_bytes(kv, (lsm_value[]){text_of("a"), lsm_value_int(INT64_C(1) << 31)},
              "100105000080000000");
  check_bytes(kv, (lsm_value[]){text_of("a"), lsm_value_int(INT64_C(1) << 47)},
              "1001060000800000000000");
  check_bytes(kv, (lsm_value[]){text_of("a"), lsm_value_real(1)}, "1001073FF0000000000000");
  check_bytes(kv, (lsm_value[]){lsm_value_int(5), lsm_value_int(1)}, "100109");
  check_bytes(kv, (lsm_value[]){lsm_value_real(5), lsm_value_int(1)}, "11020109");
  check_bytes(kv, (lsm_value[]){lsm_value_real(5.5), lsm_value_int(1)}, "100109");
  check_bytes(kv, (lsm_value[]){lsm_value_real(-0.0), lsm_value_int(1)},
              "110209098000000000000000");
  lsm_schema_free(kv);
  lsm_schema *folded = PARSE(db, "a TEXT COLLATE NOCASE", "r REAL", "PRIMARY KEY(r, a)");
  check_bytes(folded, (lsm_value[]){text_of("abc"), lsm_value_real(7)}, "1000");
  check_bytes(folded, (lsm_value[]){text_of("aBc"), lsm_value_real(7)}, "11020015614263");
  lsm_schema_free(folded);
  lsm_schema *real = PARSE(db, "r REAL");
  check_bytes(real, (lsm_value[]){lsm_value_real(300)}, "100102012C");
  check_bytes(real, (lsm_value[]){lsm_value_real(1)}, "100109");
  check_bytes(real, (lsm_value[]){lsm_value_real(-0.0)}, "1001078000000000000000");
  check_bytes(real, (lsm_value[]){lsm_value_real(140737488355328.0)}, "10010742E0000000000000");
  lsm_schema_free(real);
  sqlite3_close(db);
}
END_TEST

/*-------------------------------------------------------------- round trip */

/* A value the column could hold: without integers where there are only reals. */
static lsm_value random_for(rng *r, pool *p, lsm_affinity aff) {
  lsm_value v = random_value(r, p);
  if (aff == LSM_AFF_REAL && v.type == SQLITE_INTEGER) return lsm_value_real((double)v.u.i);
  if (rng_below(r, 40) == 0) { /* a type of more than one byte, and of two */
    static char big[20000];
    size_t n = rng_below(r, 2) ? 100 : sizeof big - rng_below(r, 9);
    memset(big, 'q', sizeof big);
    return rng_below(r, 2) ? lsm_value_text(lsm_slice_of(big, n))
                           : lsm_value_blob(lsm_slice_of(big, n));
  }
  return v;
}

static lsm_schema *schema_number(sqlite3 *db, int i) {
  switch (i) {
    case 0:
      return PARSE(db, "key PRIMARY KEY", "value");
    case 1:
      return PARSE(db, "a", "b REAL", "c TEXT", "d INT");
    case 2:
      return PARSE(db, "a", "id INTEGER PRIMARY KEY", "c REAL");
    case 3:
      return PARSE(db, "a COLLATE NOCASE", "b REAL", "c", "d COLLATE RTRIM", "e",
                   "PRIMARY KEY(d DESC, b, a)");
    case 4:
      return PARSE(db, "a COLLATE NOCASE", "b", "PRIMARY KEY(a DESC, b DESC)");
    default:
      return PARSE(db, "a REAL", "b", "PRIMARY KEY(a DESC)");
  }
}
enum { NSCHEMAS = 6, MAX_COLUMNS = 5 };

START_TEST(test_round_trip) {
  static pool p;
  sqlite3 *db = open_judge();
  rng r = {10 + (uint64_t)_i};
  lsm_schema *s = schema_number(db, _i);
  lsm_buf key = {0}, data = {0};
  lsm_row row;
  ck_assert_int_eq(lsm_row_init(&row, s), LSM_OK);
  for (int round = 0; round < 1500; round++) {
    lsm_value v[MAX_COLUMNS], got;
    int64_t rowid = random_int(&r), id = 0;
    p.used = 0;
    for (int c = 0; c < s->ncolumn; c++) v[c] = random_for(&r, &p, s->affinity[c]);
    if (s->alias_column >= 0) v[s->alias_column] = lsm_value_int(rowid);
    encode(s, v, rowid, &key, &data);
    lsm_row_point(&row, lsm_buf_slice(&key), lsm_buf_slice(&data));
    for (int k = 0; k < 6; k++) { /* in any order, again and again */
      int c = (int)rng_below(&r, (unsigned)s->ncolumn);
      bool borrowed = false;
      ck_assert_int_eq(lsm_row_get(&row, c, &got, &borrowed), LSM_OK);
      ck_assert_msg(same_value(&got, &v[c]), "schema %d round %d column %d", _i, round, c);
      ck_assert(borrowed || s->column[c].key_pos >= 0);
    }
    ck_assert_int_eq(lsm_row_get(&row, s->ncolumn, &got, NULL), LSM_OK);
    ck_assert(got.type == SQLITE_BLOB && lsm_slice_eq(got.u.s, lsm_buf_slice(&key)));
    ck_assert_int_eq(lsm_row_check(&row), LSM_OK);
    if (s->kind != LSM_KEY_COLUMNS) {
      ck_assert_int_eq(lsm_row_rowid(&row, &id), LSM_OK);
      ck_assert_int_eq(id, rowid);
    }
  }
  lsm_row_fini(&row);
  lsm_buf_fini(&key);
  lsm_buf_fini(&data);
  lsm_schema_free(s);
  sqlite3_close(db);
}
END_TEST

typedef struct giver {
  lsm_row row;
  bool stable;
} giver;

static void give(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  giver *g = sqlite3_user_data(ctx);
  (void)argc;
  ck_assert_int_eq(lsm_row_result(&g->row, sqlite3_value_int(argv[0]), ctx, g->stable), LSM_OK);
}

START_TEST(test_result) {
  sqlite3 *db = open_judge();
  lsm_schema *s = PARSE(db, "a TEXT", "b", "c", "d", "PRIMARY KEY(a DESC)");
  lsm_value v[] = {text_of("key"), text_of(""), lsm_value_blob(lsm_slice_of("\0\1", 2)),
                   lsm_value_text(lsm_slice_of("x\0\xFF", 3))};
  lsm_buf key = {0}, data = {0};
  giver g = {.stable = false};
  encode(s, v, 0, &key, &data);
  ck_assert_int_eq(lsm_row_init(&g.row, s), LSM_OK);
  lsm_row_point(&g.row, lsm_buf_slice(&key), lsm_buf_slice(&data));
  ck_assert_int_eq(sqlite3_create_function(db, "give", 1, SQLITE_UTF8, &g, give, NULL, NULL),
                   SQLITE_OK);
  sqlite3_stmt *st = sql_prepare(db, "SELECT give(0), give(1), give(2), give(3), give(4)");
  for (int k = 0; k < 2; k++) {
    g.stable = k == 1;
    ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
    for (int c = 0; c < 4; c++) {
      lsm_value got = column_value(st, c);
      ck_assert(same_value(&got, &v[c]));
    }
    ck_assert_int_eq(sqlite3_column_bytes(st, 4), (int)key.size);
    sqlite3_reset(st);
  }
  sqlite3_finalize(st);
  lsm_row_fini(&g.row);
  lsm_buf_fini(&key);
  lsm_buf_fini(&data);
  lsm_schema_free(s);
  sqlite3_close(db);
}
END_TEST

/* Rows written before columns were added. */
START_TEST(test_added_columns) {
  sqlite3 *db = open_judge();
  lsm_schema *old = PARSE(db, "k PRIMARY KEY", "a");
  lsm_schema *new = PARSE(db, "k PRIMARY KEY", "a", "b", "c TEXT NOT NULL DEFAULT 5");
  lsm_value v[] = {lsm_value_real(2), text_of("x"), lsm_value_int(1), text_of("y")}, got,
            want = text_of("5");
  lsm_buf key = {0}, data = {0};
  lsm_row row;
  encode(old, v, 0, &key, &data);
  ck_assert_int_eq(lsm_row_init(&row, new), LSM_OK);
  lsm_row_point(&row, lsm_buf_slice(&key), lsm_buf_slice(&data));
  ck_assert_int_eq(lsm_row_get(&row, 3, &got, NULL), LSM_OK);
  ck_assert(same_value(&got, &want));
  ck_assert_int_eq(lsm_row_get(&row, 2, &got, NULL), LSM_OK);
  ck_assert_int_eq(got.type, SQLITE_NULL);
  ck_assert_int_eq(lsm_row_get(&row, 1, &got, NULL), LSM_OK);
  ck_assert(same_value(&got, &v[1]));
  ck_assert_int_eq(lsm_row_get(&row, 0, &got, NULL), LSM_OK);
  ck_assert(same_value(&got, &v[0]));
  ck_assert_int_eq(lsm_row_check(&row), LSM_OK);
  lsm_row_fini(&row);
  /* a row with more than the schema knows is damage */
  encode(new, v, 0, &key, &data);
  ck_assert_int_eq(lsm_row_init(&row, old), LSM_OK);
  lsm_row_point(&row, lsm_buf_slice(&key), lsm_buf_slice(&data));
  ck_assert_int_eq(lsm_row_check(&row), LSM_CORRUPT);
  lsm_row_fini(&row);
  lsm_buf_fini(&key);
  lsm_buf_fini(&data);
  lsm_schema_free(old);
  lsm_schema_free(new);
  sqlite3_close(db);
}
END_TEST

/*----------------------------------------------------------------- damage */

/* Reads everything; what passes lsm_row_check() reads without an error and
** encodes to the same key. */
static int read_hostile(lsm_row *row, lsm_slice key, lsm_slice data) {
  const lsm_schema *s = row->schema;
  lsm_value v[MAX_COLUMNS];
  uint8_t *k = malloc(key.size + 1), *d = malloc(data.size + 1);
  memcpy(k, key.data, key.size);
  memcpy(d, data.data, data.size);
  k = realloc(k, key.size + (key.size == 0)); /* exact, for sanitizers */
  d = realloc(d, data.size + (data.size == 0));
  lsm_row_point(row, lsm_slice_of(k, key.size), lsm_slice_of(d, data.size));
  bool bad = false;
  for (int c = s->ncolumn - 1; c >= 0; c--) {
    lsm_rc rc = lsm_row_get(row, c, &v[c], NULL);
    ck_assert(rc == LSM_OK || rc == LSM_CORRUPT);
    bad = bad || rc != LSM_OK;
  }
  lsm_rc rc = lsm_row_check(row);
  ck_assert(rc == LSM_OK || rc == LSM_CORRUPT);
  if (rc == LSM_OK) ck_assert(!bad);
  if (bad) ck_assert_int_eq(rc, LSM_CORRUPT);
  free(k);
  free(d);
  return rc != LSM_OK;
}

START_TEST(test_hostile) {
  static pool p;
  sqlite3 *db = open_judge();
  rng r = {90 + (uint64_t)_i};
  lsm_schema *s = schema_number(db, _i);
  lsm_buf key = {0}, data = {0};
  lsm_row row;
  int found = 0, tried = 0;
  ck_assert_int_eq(lsm_row_init(&row, s), LSM_OK);
  for (int round = 0; round < 12; round++) {
    lsm_value v[MAX_COLUMNS];
    for (int c = 0; c < s->ncolumn; c++) {
      v[c] = random_value(&r, &p);
      if (s->affinity[c] == LSM_AFF_REAL && v[c].type == SQLITE_INTEGER) v[c].type = SQLITE_NULL;
    }
    encode(s, v, random_int(&r), &key, &data);
    for (size_t n = 0; n < data.size; n++, tried++) {
      found += read_hostile(&row, lsm_buf_slice(&key), lsm_slice_of(data.data, n));
    }
    ck_assert_int_eq(found, tried);         /* no cut goes unseen */
    for (size_t n = 0; n < key.size; n++) { /* "a\0" cut is "a": a key as well */
      read_hostile(&row, lsm_slice_of(key.data, n), lsm_buf_slice(&data));
    }
    for (size_t i = 0; i < data.size; i++) {
      uint8_t old = data.data[i];
      for (int k = 0; k < 256; k += i < 6 ? 1 : 37) {
        data.data[i] = (uint8_t)k;
        read_hostile(&row, lsm_buf_slice(&key), lsm_buf_slice(&data));
      }
      data.data[i] = old;
    }
    for (size_t i = 0; i < key.size; i++) {
      for (int bit = 0; bit < 8; bit++) {
        key.data[i] ^= (uint8_t)(1 << bit);
        read_hostile(&row, lsm_buf_slice(&key), lsm_buf_slice(&data));
        key.data[i] ^= (uint8_t)(1 << bit);
      }
    }
    found = tried = 0;
  }
  lsm_row_fini(&row);
  lsm_buf_fini(&key);
  lsm_buf_fini(&data);
  lsm_schema_free(s);
  sqlite3_close(db);
}
END_TEST

START_TEST(test_damage) {
  static const struct {
    const char *row, *what;
    size_t n;
  } t[] = {{"", "row cut off", 0},
           {"\x10", "row cut off", 1},
           {"\x20\x01\x00", "unknown version", 3},
           {"\x14\x01\x00", "unknown version", 3},
           {"\x10\x05\x00", "row cut off", 3},
           {"\x10\x01\x0A", "unknown type", 3},
           {"\x10\x01\x0B", "unknown type", 3},
           {"\x10\x01\x13"
            "ab",
            "value cut off", 5},
           {"\x10\x01\x13"
            "abcd",
            "left over", 7},
           {"\x10\x01\x80", "type cut off", 3},
           {"\x10\x02\x00\x00", "too many values", 4},
           {"\x11\x00", "key code missing", 2},
           {"\x11\x02\x01\x00", "does not fit", 4},
           {"\x11\x02\x11\x00z", "does not belong", 5},
           {"\x10\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", "value cut off", 12}};
  sqlite3 *db = open_judge();
  lsm_schema *kv = PARSE(db, "key PRIMARY KEY", "value");
  lsm_row row;
  ck_assert_int_eq(lsm_row_init(&row, kv), LSM_OK);
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    lsm_row_point(&row,
                  lsm_slice_of("\x25"
                               "a\0",
                               3),
                  lsm_slice_of(t[i].row, t[i].n));
    ck_assert_int_eq(lsm_row_check(&row), LSM_CORRUPT);
    ck_assert_msg(strstr(lsm_errmsg(), t[i].what) != NULL, "%zu: %s", i, lsm_errmsg());
  }
  lsm_row_fini(&row);
  lsm_schema_free(kv);
  sqlite3_close(db);
}
END_TEST

START_TEST(test_nomem) {
  sqlite3 *db = open_judge();
  lsm_schema *s = PARSE(db, "a", "b", "PRIMARY KEY(a DESC)");
  lsm_value v[] = {text_of("descending text needs a buffer"), text_of("b")}, got;
  lsm_buf key = {0}, data = {0};
  lsm_rc rc = LSM_NOMEM;
  int n = 0;
  encode(s, v, 0, &key, &data);
  lsm_buf_fini(&data);
  while (rc == LSM_NOMEM) {
    lsm_row row;
    int left = ++n;
    lsm_set_malloc_hook(count_down, &left);
    rc = lsm_row_encode(s, v, &data);
    if (rc == LSM_OK) rc = lsm_row_init(&row, s);
    if (rc == LSM_OK) {
      lsm_row_point(&row, lsm_buf_slice(&key), lsm_buf_slice(&data));
      rc = lsm_row_get(&row, 0, &got, NULL);
      if (rc == LSM_OK) rc = lsm_row_check(&row);
      lsm_row_fini(&row);
    }
    lsm_set_malloc_hook(NULL, NULL);
    lsm_buf_fini(&data);
  }
  ck_assert_int_eq(rc, LSM_OK);
  ck_assert_int_gt(n, 4);
  lsm_buf_fini(&key);
  lsm_schema_free(s);
  sqlite3_close(db);
}
END_TEST

Suite *rowenc_suite(void) {
  Suite *s = suite_create("rowenc");
  TCase *tc = tcase_create("rowenc");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_golden);
  tcase_add_loop_test(tc, test_round_trip, 0, NSCHEMAS);
  tcase_add_test(tc, test_result);
  tcase_add_test(tc, test_added_columns);
  tcase_add_loop_test(tc, test_hostile, 0, NSCHEMAS);
  tcase_add_test(tc, test_damage);
  tcase_add_test(tc, test_nomem);
  suite_add_tcase(s, tc);
  return s;
}
