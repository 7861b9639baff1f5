/* test_keyenc.c: encoded keys against ORDER BY and WHERE of SQLite itself. */
#include "keyenc.h"

#include "codec_util.h"

Suite *keyenc_suite(void);

static const char *const coll_name[] = {"BINARY", "NOCASE", "RTRIM"};

static lsm_key_part part_of(lsm_collation coll, bool desc) {
  lsm_key_part p = {0, LSM_AFF_BLOB, coll, desc};
  return p;
}

static void put(lsm_buf *key, lsm_value v, const lsm_key_part *p) {
  ck_assert_int_eq(lsm_key_put(key, &v, p), LSM_OK);
}

/*----------------------------------------------------------- golden bytes */

static void check_bytes(lsm_value v, lsm_key_part p, const char *hex) {
  lsm_buf key = {0};
  char got[200] = "";
  put(&key, v, &p);
  for (size_t i = 0; i < key.size; i++) sprintf(got + 2 * i, "%02X", key.data[i]);
  ck_assert_str_eq(got, hex);
  lsm_buf_fini(&key);
}

START_TEST(test_golden) {
  lsm_key_part asc = part_of(LSM_COLL_BINARY, false), desc = part_of(LSM_COLL_BINARY, true);
  lsm_key_part nocase = part_of(LSM_COLL_NOCASE, false), rtrim = part_of(LSM_COLL_RTRIM, false);
  check_bytes(lsm_value_null(), asc, "05");
  check_bytes(lsm_value_null(), desc, "FA");
  check_bytes(lsm_value_int(0), asc, "158000000000000000");
  check_bytes(lsm_value_real(-0.0), asc, "158000000000000000");
  check_bytes(lsm_value_int(1), asc, "15BFF0000000000000");
  check_bytes(lsm_value_real(1), asc, "15BFF0000000000000");
  check_bytes(lsm_value_int(1), desc, "EA400FFFFFFFFFFFFF");
  check_bytes(lsm_value_int(-1), asc, "15400FFFFFFFFFFFFF");
  check_bytes(lsm_value_int(INT64_C(9007199254740991)), asc, "15C33FFFFFFFFFFFFF");
  check_bytes(lsm_value_int(INT64_C(9007199254740992)), asc, "15C3400000000000000000");
  check_bytes(lsm_value_int(INT64_C(9007199254740993)), asc, "15C3400000000000000001");
  check_bytes(lsm_value_int(INT64_C(-9007199254740993)), asc, "153CBFFFFFFFFFFFFE0001");
  check_bytes(lsm_value_int(INT64_MAX), asc, "15C3DFFFFFFFFFFFFF03FF");
  check_bytes(lsm_value_int(INT64_MIN), asc, "153C1FFFFFFFFFFFFF0000");
  check_bytes(lsm_value_real(9223372036854775808.0), asc, "15C3E00000000000000000");
  check_bytes(lsm_value_real(INFINITY), asc, "15FFF00000000000000000");
  check_bytes(text_of(""), asc, "2500");
  check_bytes(text_of("aZ "), asc, "25615A2000");
  check_bytes(text_of("aZ "), nocase, "25617A2000");
  check_bytes(text_of("aZ "), rtrim, "25615A00");
  check_bytes(text_of("a"), desc, "DA9EFFFF");
  check_bytes(lsm_value_text(lsm_slice_of("a\0", 2)), asc, "256100FF00");
  check_bytes(lsm_value_text(lsm_slice_of("a\0", 2)), desc, "DA9EFF00FFFF");
  check_bytes(lsm_value_text(lsm_slice_of("A\0B", 3)), nocase, "256100FF00FF00FF00FF0300");
  check_bytes(lsm_value_blob(lsm_slice_of("A\0", 2)), nocase, "354100FF00");
}
END_TEST

/*--------------------------------------------------------- order and range */

enum { NCOLS = 3, NROWS = 250 };

/* A table of random rows, with the same rows encoded. */
typedef struct rows {
  sqlite3 *db;
  lsm_key_part part[NCOLS];
  lsm_value v[NROWS][NCOLS];
  lsm_buf key[NROWS];
  pool pool;
} rows;

static void make_rows(rows *t, rng *r) {
  char sql[300];
  for (int c = 0; c < NCOLS; c++) {
    t->part[c] = part_of((lsm_collation)rng_below(r, 3), rng_below(r, 2) == 0);
    t->part[c].column = c;
  }
  sql_run(t->db, "DROP TABLE IF EXISTS t");
  snprintf(sql, sizeof sql,
           "CREATE TABLE t(id INTEGER PRIMARY KEY, c0 COLLATE %s, c1 COLLATE %s, c2 COLLATE %s)",
           coll_name[t->part[0].collation], coll_name[t->part[1].collation],
           coll_name[t->part[2].collation]);
  sql_run(t->db, sql);
  sqlite3_stmt *st = sql_prepare(t->db, "INSERT INTO t VALUES(?,?,?,?)");
  t->pool.used = 0;
  for (int i = 0; i < NROWS; i++) {
    sqlite3_bind_int(st, 1, i);
    for (int c = 0; c < NCOLS; c++) {
      /* taken from other rows now and then, so that later columns decide */
      t->v[i][c] = i > 4 && rng_below(r, 2) ? t->v[rng_below(r, 5)][c] : random_value(r, &t->pool);
      bind_value(st, c + 2, &t->v[i][c]);
    }
    lsm_buf_clear(&t->key[i]);
    ck_assert_int_eq(lsm_key_put_parts(&t->key[i], t->part, NCOLS, t->v[i]), LSM_OK);
    ck_assert_int_eq(sqlite3_step(st), SQLITE_DONE);
    sqlite3_reset(st);
  }
  sqlite3_finalize(st);
}

static rows *rows_new(void) {
  rows *t = calloc(1, sizeof *t);
  ck_assert_ptr_nonnull(t);
  t->db = open_judge();
  return t;
}

static void rows_free(rows *t) {
  for (int i = 0; i < NROWS; i++) lsm_buf_fini(&t->key[i]);
  sqlite3_close(t->db);
  free(t);
}

static bool equal_rows(const rows *t, int a, int b) {
  for (int c = 0; c < NCOLS; c++) {
    if (value_cmp(&t->v[a][c], &t->v[b][c], t->part[c].collation) != 0) return false;
  }
  return true;
}

START_TEST(test_order) {
  rng r = {1234 + (uint64_t)_i};
  rows *t = rows_new();
  for (int round = 0; round < 25; round++) {
    char sql[200];
    make_rows(t, &r);
    snprintf(sql, sizeof sql, "SELECT id FROM t ORDER BY c0 %s, c1 %s, c2 %s",
             t->part[0].desc ? "DESC" : "", t->part[1].desc ? "DESC" : "",
             t->part[2].desc ? "DESC" : "");
    sqlite3_stmt *st = sql_prepare(t->db, sql);
    int last = -1, n = 0;
    for (; sqlite3_step(st) == SQLITE_ROW; n++) {
      int id = sqlite3_column_int(st, 0);
      if (last >= 0) {
        int c = lsm_slice_cmp(lsm_buf_slice(&t->key[last]), lsm_buf_slice(&t->key[id]));
        ck_assert_int_le(c, 0);
        ck_assert_int_eq(c == 0, equal_rows(t, last, id));
      }
      last = id;
    }
    ck_assert_int_eq(n, NROWS);
    sqlite3_finalize(st);
  }
  rows_free(t);
}
END_TEST

/* "c0 IS ?1 AND c1 > ?4 ...": what the range must select. */
static sqlite3_stmt *where(rows *t, int neq, lsm_value *eq, lsm_key_bound lo, lsm_key_bound hi) {
  char sql[300] = "SELECT id FROM t WHERE 1";
  size_t n = strlen(sql);
  for (int i = 0; i < neq; i++) {
    n += (size_t)snprintf(sql + n, sizeof sql - n, " AND c%d IS ?%d", i, i + 1);
  }
  if (lo.value != NULL) {
    n += (size_t)snprintf(sql + n, sizeof sql - n, " AND c%d %s ?4", neq, lo.strict ? ">" : ">=");
  }
  if (hi.value != NULL) {
    n += (size_t)snprintf(sql + n, sizeof sql - n, " AND c%d %s ?5", neq, hi.strict ? "<" : "<=");
  }
  snprintf(sql + n, sizeof sql - n, " ORDER BY id");
  sqlite3_stmt *st = sql_prepare(t->db, sql);
  for (int i = 0; i < neq; i++) bind_value(st, i + 1, &eq[i]);
  if (lo.value != NULL) bind_value(st, 4, lo.value);
  if (hi.value != NULL) bind_value(st, 5, hi.value);
  return st;
}

static bool in_range(const lsm_key_range *g, lsm_slice key) {
  lsm_slice lo = lsm_key_range_lower(g), hi = lsm_key_range_upper(g);
  return !g->empty && (lo.data == NULL || lsm_slice_cmp(key, lo) >= 0) &&
         (hi.data == NULL || lsm_slice_cmp(key, hi) < 0);
}

static lsm_key_bound random_bound(rng *r, rows *t, int col, lsm_value *v) {
  lsm_key_bound none = {NULL, false}, b = {v, rng_below(r, 2) == 0};
  if (col >= NCOLS || rng_below(r, 3) == 0) return none;
  *v = rng_below(r, 3) ? t->v[rng_below(r, NROWS)][col] : random_value(r, &t->pool);
  return b;
}

START_TEST(test_range) {
  rng r = {777 + (uint64_t)_i};
  rows *t = rows_new();
  lsm_key_range g = {0};
  int selected = 0;
  for (int round = 0; round < 600; round++) {
    if (round % 20 == 0) make_rows(t, &r);
    lsm_value eq[NCOLS], lo_value, hi_value;
    int neq = (int)rng_below(&r, NCOLS + 1);
    unsigned like = rng_below(&r, NROWS);
    for (int i = 0; i < neq; i++) eq[i] = t->v[like][i];
    lsm_key_bound lo = random_bound(&r, t, neq, &lo_value);
    lsm_key_bound hi = random_bound(&r, t, neq, &hi_value);
    ck_assert_int_eq(lsm_key_range_of(&g, t->part, eq, neq, lo, hi), LSM_OK);
    sqlite3_stmt *st = where(t, neq, eq, lo, hi);
    int next = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int(st, 0) : -1;
    for (int i = 0; i < NROWS; i++) {
      bool want = i == next;
      ck_assert_msg(in_range(&g, lsm_buf_slice(&t->key[i])) == want, "round %d row %d", round, i);
      selected += want;
      if (want) next = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int(st, 0) : -1;
    }
    sqlite3_finalize(st);
  }
  ck_assert_int_gt(selected, 1000);
  lsm_key_range_fini(&g);
  rows_free(t);
}
END_TEST

START_TEST(test_successor) {
  static const struct {
    const char *in, *want;
    size_t n;
  } t[] = {{"a", "b", 1},
           {"a\xFF", "b", 1},
           {"a\xFE\xFF\xFF", "a\xFF", 2},
           {"\xFF\xFF", "", 0},
           {"", "", 0}};
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    lsm_buf b = {0};
    ck_assert_int_eq(lsm_buf_append(&b, t[i].in, strlen(t[i].in)), LSM_OK);
    lsm_key_successor(&b);
    ck_assert(lsm_slice_eq(lsm_buf_slice(&b), lsm_slice_of(t[i].want, t[i].n)));
    lsm_buf_fini(&b);
  }
}
END_TEST

/*----------------------------------------------------------------- rowids */

START_TEST(test_rowid) {
  static const int64_t ids[] = {INT64_MIN, INT64_MIN + 1, -256,          -1,       0, 1,
                                255,       256,           INT64_MAX - 1, INT64_MAX};
  lsm_buf key = {0}, last = {0};
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    int64_t got = 0;
    lsm_buf_clear(&key);
    ck_assert_int_eq(lsm_key_put_rowid(&key, ids[i]), LSM_OK);
    ck_assert_int_eq(key.size, LSM_ROWID_KEY_SIZE);
    ck_assert_int_eq(lsm_key_get_rowid(lsm_buf_slice(&key), &got), LSM_OK);
    ck_assert_int_eq(got, ids[i]);
    if (i > 0) ck_assert_int_lt(lsm_slice_cmp(lsm_buf_slice(&last), lsm_buf_slice(&key)), 0);
    ck_assert_int_eq(lsm_buf_set(&last, lsm_buf_slice(&key)), LSM_OK);
    for (size_t n = 0; n < 10; n++) {
      uint8_t other[10] = {0};
      if (n != 8) ck_assert_int_eq(lsm_key_get_rowid(lsm_slice_of(other, n), &got), LSM_CORRUPT);
    }
  }
  lsm_buf_fini(&key);
  lsm_buf_fini(&last);
}
END_TEST

START_TEST(test_rowid_range) {
  static pool p;
  sqlite3 *db = open_judge();
  lsm_key_range g = {0};
  rng r = {31};
  int64_t ids[60];
  sql_run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY)");
  sqlite3_stmt *st = sql_prepare(db, "INSERT OR REPLACE INTO t VALUES(?)");
  for (int i = 0; i < 60; i++) {
    ids[i] = random_int(&r);
    sqlite3_bind_int64(st, 1, ids[i]);
    ck_assert_int_eq(sqlite3_step(st), SQLITE_DONE);
    sqlite3_reset(st);
  }
  sqlite3_finalize(st);
  for (int round = 0; round < 800; round++) {
    lsm_value a = random_value(&r, &p), b = random_value(&r, &p);
    if (round % 2) a = lsm_value_real((double)ids[round % 60]);
    lsm_key_bound lo = {rng_below(&r, 3) ? &a : NULL, rng_below(&r, 2) == 0};
    lsm_key_bound hi = {rng_below(&r, 3) ? &b : NULL, rng_below(&r, 2) == 0};
    if (round % 5 == 0) hi = lo = (lsm_key_bound){&a, false};
    char sql[200];
    /* +id has no affinity: the comparison is that of the values as they are */
    snprintf(sql, sizeof sql, "SELECT (?1 %s +id) IS %s AND (+id %s ?2) IS %s FROM t WHERE id=?3",
             lo.strict ? "<" : "<=", lo.value ? "TRUE" : "NULL",
             hi.strict ? "<" : "<=", hi.value ? "TRUE" : "NULL");
    st = sql_prepare(db, sql);
    if (lo.value) bind_value(st, 1, lo.value);
    if (hi.value) bind_value(st, 2, hi.value);
    ck_assert_int_eq(lsm_key_range_of_rowids(&g, lo, hi), LSM_OK);
    for (int i = 0; i < 60; i++) {
      uint8_t key[LSM_ROWID_KEY_SIZE];
      lsm_key_set_rowid(key, ids[i]);
      sqlite3_bind_int64(st, 3, ids[i]);
      ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
      ck_assert_int_eq(in_range(&g, lsm_slice_of(key, sizeof key)), sqlite3_column_int(st, 0));
      sqlite3_reset(st);
    }
    sqlite3_finalize(st);
  }
  lsm_key_range_fini(&g);
  sqlite3_close(db);
}
END_TEST

/*--------------------------------------------------------------- decoding */

/* Peeking says nothing or what lsm_key_get() says, without scratch. */
static bool check_peek(lsm_slice key, const lsm_key_part *part, const lsm_value *want) {
  lsm_value v;
  if (!lsm_key_peek(key, part, &v)) return false;
  ck_assert(same_value(&v, want));
  ck_assert(v.u.s.data == key.data + 1);
  return true;
}

START_TEST(test_decode) {
  static pool p;
  lsm_buf key = {0}, scratch = {0};
  rng r = {8};
  int faithful = 0, peeked = 0;
  for (int round = 0; round < 20000; round++) {
    lsm_key_part part = part_of((lsm_collation)rng_below(&r, 3), rng_below(&r, 2) == 0);
    lsm_value v = random_value(&r, &p), got;
    if (p.used > sizeof p.bytes / 2) p.used = 0;
    if (rng_below(&r, 3) == 0) {
      part.affinity = LSM_AFF_REAL;
      if (v.type == SQLITE_INTEGER) v = lsm_value_real((double)v.u.i);
    }
    lsm_buf_clear(&key);
    put(&key, v, &part);
    size_t n = key.size;
    ck_assert_int_eq(lsm_buf_append(&key, "\x05more", 5), LSM_OK);
    lsm_slice at = lsm_buf_slice(&key), skip = at;
    ck_assert_int_eq(lsm_key_get(&at, &part, &got, &scratch), LSM_OK);
    ck_assert_int_eq(lsm_key_skip(&skip, &part), LSM_OK);
    peeked += check_peek(lsm_buf_slice(&key), &part, &got);
    ck_assert_ptr_eq(at.data, key.data + n);
    ck_assert_ptr_eq(skip.data, key.data + n);
    ck_assert_int_eq(at.size, 5);
    ck_assert_int_eq(same_value(&got, &v), lsm_key_is_faithful(&v, &part));
    faithful += lsm_key_is_faithful(&v, &part);
    bool with_zero =
        v.type == SQLITE_TEXT && v.u.s.size > 0 && memchr(v.u.s.data, 0, v.u.s.size) != NULL;
    if (part.collation != LSM_COLL_NOCASE || !with_zero) {
      ck_assert_int_eq(value_cmp(&got, &v, part.collation), 0);
    }
  }
  ck_assert_int_gt(faithful, 10000);
  ck_assert_int_gt(peeked, 500);
  lsm_buf_fini(&key);
  lsm_buf_fini(&scratch);
}
END_TEST

/* Whatever decodes without an error is what lsm_key_put() writes. */
static void decode_hostile(const uint8_t *data, size_t n, const lsm_key_part *part, lsm_buf *again,
                           lsm_buf *scratch) {
  uint8_t *exact = malloc(n + (n == 0)); /* so that a sanitizer sees every overrun */
  memcpy(exact, data, n);
  lsm_slice at = lsm_slice_of(exact, n), skip = at;
  lsm_value v;
  lsm_rc rc = lsm_key_get(&at, part, &v, scratch);
  lsm_rc skipped = lsm_key_skip(&skip, part);
  ck_assert(rc == LSM_OK || rc == LSM_CORRUPT);
  lsm_value peek;
  if (rc != LSM_OK) ck_assert(!lsm_key_peek(lsm_slice_of(exact, n), part, &peek));
  if (rc == LSM_OK) {
    (void)check_peek(lsm_slice_of(exact, n), part, &v);
    ck_assert_int_eq(skipped, LSM_OK);
    ck_assert_ptr_eq(skip.data, at.data);
    bool zero = v.type == SQLITE_TEXT && v.u.s.size > 0 && memchr(v.u.s.data, 0, v.u.s.size);
    if (!(zero && part->collation == LSM_COLL_NOCASE)) {
      lsm_buf_clear(again);
      put(again, v, part);
      ck_assert(lsm_slice_eq(lsm_buf_slice(again), lsm_slice_of(exact, n - at.size)));
    }
  }
  free(exact);
}

START_TEST(test_hostile) {
  static pool p;
  lsm_buf key = {0}, scratch = {0}, again = {0};
  rng r = {2};
  for (int round = 0; round < 70; round++) {
    lsm_key_part part = part_of((lsm_collation)rng_below(&r, 3), rng_below(&r, 2) == 0);
    if (rng_below(&r, 4) == 0) part.affinity = LSM_AFF_REAL;
    lsm_value v = random_value(&r, &p);
    if (part.affinity == LSM_AFF_REAL && v.type == SQLITE_INTEGER) v.type = SQLITE_NULL;
    lsm_buf_clear(&key);
    put(&key, v, &part);
    for (size_t n = 0; n <= key.size; n++) decode_hostile(key.data, n, &part, &again, &scratch);
    for (size_t i = 0; i < key.size; i++) {
      uint8_t old = key.data[i];
      for (int k = 0; k < 256; k++) {
        key.data[i] = (uint8_t)k;
        decode_hostile(key.data, key.size, &part, &again, &scratch);
      }
      key.data[i] = old;
    }
  }
  lsm_key_part asc = part_of(LSM_COLL_BINARY, false);
  lsm_slice empty = LSM_SLICE_NULL;
  lsm_value v;
  ck_assert_int_eq(lsm_key_get(&empty, &asc, &v, &scratch), LSM_CORRUPT);
  ck_assert_int_eq(lsm_key_skip(&empty, &asc), LSM_CORRUPT);
  lsm_buf_fini(&key);
  lsm_buf_fini(&again);
  lsm_buf_fini(&scratch);
}
END_TEST

START_TEST(test_nomem) {
  lsm_key_part part[2] = {part_of(LSM_COLL_NOCASE, false), part_of(LSM_COLL_BINARY, true)};
  lsm_value eq =
      text_of("a text that does not fit into the smallest buffer: 0123456789 0123456789");
  lsm_value lo = text_of("x"), hi = text_of("y");
  lsm_key_bound lower = {&lo, true}, upper = {&hi, false};
  lsm_rc rc = LSM_NOMEM;
  int n = 0;
  while (rc == LSM_NOMEM) {
    lsm_key_range g = {0};
    int left = ++n;
    lsm_set_malloc_hook(count_down, &left);
    rc = lsm_key_range_of(&g, part, &eq, 1, lower, upper);
    lsm_set_malloc_hook(NULL, NULL);
    lsm_key_range_fini(&g);
  }
  ck_assert_int_eq(rc, LSM_OK);
  ck_assert_int_gt(n, 2);
}
END_TEST

Suite *keyenc_suite(void) {
  Suite *s = suite_create("keyenc");
  TCase *tc = tcase_create("keyenc");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_golden);
  tcase_add_loop_test(tc, test_order, 0, 3);
  tcase_add_loop_test(tc, test_range, 0, 3);
  tcase_add_test(tc, test_successor);
  tcase_add_test(tc, test_rowid);
  tcase_add_test(tc, test_rowid_range);
  tcase_add_test(tc, test_decode);
  tcase_add_test(tc, test_hostile);
  tcase_add_test(tc, test_nomem);
  suite_add_tcase(s, tc);
  return s;
}
