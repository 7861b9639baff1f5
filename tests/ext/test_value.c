/* test_value.c: affinity and order, with an ordinary table as the judge. */
#include "codec_util.h"

Suite *value_suite(void);

static const struct {
  const char *type;
  lsm_affinity affinity;
} columns[] = {{"", LSM_AFF_BLOB},           {"BLOB", LSM_AFF_BLOB},       {"TEXT", LSM_AFF_TEXT},
               {"NUMERIC", LSM_AFF_NUMERIC}, {"INTEGER", LSM_AFF_INTEGER}, {"REAL", LSM_AFF_REAL}};
enum { NCOLUMNS = sizeof columns / sizeof columns[0] };

START_TEST(test_affinity_of_type) {
  static const struct {
    const char *type;
    lsm_affinity want;
  } t[] = {{NULL, LSM_AFF_BLOB},
           {"", LSM_AFF_BLOB},
           {"int", LSM_AFF_INTEGER},
           {"BIGINT", LSM_AFF_INTEGER},
           {"FLOATING POINT", LSM_AFF_INTEGER},
           {"CHARINT", LSM_AFF_INTEGER},
           {"varchar(10)", LSM_AFF_TEXT},
           {"Clob", LSM_AFF_TEXT},
           {"BLOBTEXT", LSM_AFF_TEXT},
           {"blob", LSM_AFF_BLOB},
           {"REALBLOB", LSM_AFF_BLOB},
           {"double precision", LSM_AFF_REAL},
           {"FLOAT", LSM_AFF_REAL},
           {"real", LSM_AFF_REAL},
           {"DECIMAL(10,5)", LSM_AFF_NUMERIC},
           {"ANY", LSM_AFF_NUMERIC},
           {"STRING", LSM_AFF_NUMERIC},
           {"DATE", LSM_AFF_NUMERIC}};
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    ck_assert_msg(lsm_affinity_of_type(t[i].type) == t[i].want, "%s", t[i].type);
  }
}
END_TEST

/* Stores the bound value into each column of t and compares with load(). */
static void compare_all(sqlite3_stmt *probe, sqlite3_stmt *insert, sqlite3_stmt *select) {
  ck_assert_int_eq(sqlite3_step(probe), SQLITE_ROW);
  sqlite3_value *in = sqlite3_value_dup(sqlite3_column_value(probe, 0));
  for (int c = 0; c < NCOLUMNS; c++) {
    sqlite3_bind_value(insert, c + 1, sqlite3_column_value(probe, 0));
  }
  ck_assert_int_eq(sqlite3_step(insert), SQLITE_DONE);
  sqlite3_reset(insert);
  ck_assert_int_eq(sqlite3_step(select), SQLITE_ROW);
  for (int c = 0; c < NCOLUMNS; c++) {
    lsm_value want = column_value(select, c), got;
    sqlite3_value *hold;
    ck_assert_int_eq(lsm_value_load(in, columns[c].affinity, &got, &hold), LSM_OK);
    ck_assert_msg(same_value(&got, &want), "%s into %s: type %d, want %d: %s",
                  (const char *)sqlite3_column_text(probe, 0), columns[c].type, got.type, want.type,
                  (const char *)sqlite3_column_text(select, c));
    if (hold != NULL) sqlite3_value_free(hold);
  }
  sqlite3_reset(select);
  sqlite3_reset(probe);
  sqlite3_value_free(in);
}

static void affinity_as_in_tables(const char *encoding) {
  static const char *const literals[] = {"NULL",
                                         "0",
                                         "1",
                                         "-1",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "0.0",
                                         "-0.0",
                                         "1.0",
                                         "1.5",
                                         "-2.0",
                                         "1e3",
                                         "1e15",
                                         "1e18",
                                         "1e19",
                                         "-1e18",
                                         "9223372036854775807.0",
                                         "-9223372036854775808.0",
                                         "9007199254740993",
                                         "4611686018427387905",
                                         "1e308",
                                         "9e999",
                                         "-9e999",
                                         "5e-324",
                                         "0.1",
                                         "123456789012345678",
                                         "140737488355328",
                                         "140737488355328.0",
                                         "''",
                                         "' '",
                                         "'0'",
                                         "'12'",
                                         "' 12'",
                                         "'12 '",
                                         "' 12 '",
                                         "'\t12\n'",
                                         "'12abc'",
                                         "'abc'",
                                         "'0x10'",
                                         "'1e3'",
                                         "'1E+3'",
                                         "'1e'",
                                         "'1e+'",
                                         "'e1'",
                                         "'.5'",
                                         "'5.'",
                                         "'.'",
                                         "'+'",
                                         "'-'",
                                         "'+5'",
                                         "'-5'",
                                         "'+-5'",
                                         "'- 5'",
                                         "'-0'",
                                         "'-0.0'",
                                         "'+0'",
                                         "'00012'",
                                         "'1.0'",
                                         "'1.50'",
                                         "'9223372036854775807'",
                                         "'9223372036854775808'",
                                         "'-9223372036854775808'",
                                         "'-9223372036854775809'",
                                         "'9223372036854775807.0'",
                                         "'9007199254740993'",
                                         "'9007199254740993.0'",
                                         "'123456789012345678901234567890'",
                                         "'1e400'",
                                         "'-1e400'",
                                         "'1e-400'",
                                         "'inf'",
                                         "'Infinity'",
                                         "'nan'",
                                         "'1_000'",
                                         "'1,5'",
                                         "'1 2'",
                                         "'true'",
                                         "'0.1'",
                                         "'1e18'",
                                         "'1e19'",
                                         "'4611686018427387904.5'",
                                         "'1.0e0'",
                                         "'\xc2\xa0 12'",
                                         "x''",
                                         "x'31'",
                                         "x'00'",
                                         "x'3132'",
                                         "zeroblob(0)",
                                         "zeroblob(5)",
                                         "CAST(x'310032' AS TEXT)",
                                         "CAST(x'3100' AS TEXT)",
                                         "CAST(x'0031' AS TEXT)",
                                         "'h\xc3\xa9llo'",
                                         "char(0)",
                                         "char(0x1F600)",
                                         "'1'||char(0)"};
  sqlite3 *db = open_judge();
  char sql[200];
  snprintf(sql, sizeof sql, "PRAGMA encoding='%s'", encoding);
  sql_run(db, sql);
  sql_run(db,
          "CREATE TABLE t(a, b BLOB, c TEXT, d NUMERIC, e INTEGER, f REAL);"
          "INSERT INTO t DEFAULT VALUES");
  sqlite3_stmt *insert = sql_prepare(db, "UPDATE t SET a=?1,b=?2,c=?3,d=?4,e=?5,f=?6");
  sqlite3_stmt *select = sql_prepare(db, "SELECT * FROM t");
  for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
    snprintf(sql, sizeof sql, "SELECT %s", literals[i]);
    sqlite3_stmt *probe = sql_prepare(db, sql);
    compare_all(probe, insert, select);
    sqlite3_finalize(probe);
  }
  rng r = {4711};
  sqlite3_stmt *probe = sql_prepare(db, "SELECT ?1");
  for (int i = 0; i < 3000; i++) {
    static const char letters[] = "0123456789019.eE+- \tx";
    char text[30];
    int n = (int)rng_below(&r, i % 3 == 0 ? 25 : 6);
    for (int k = 0; k < n; k++) text[k] = letters[rng_below(&r, sizeof letters - 1)];
    lsm_value v = lsm_value_text(lsm_slice_of(text, (size_t)n));
    if (i % 5 == 1) v = lsm_value_int(random_int(&r));
    if (i % 5 == 2) v = lsm_value_real(random_real(&r));
    bind_value(probe, 1, &v);
    compare_all(probe, insert, select);
  }
  sqlite3_finalize(probe);
  sqlite3_finalize(insert);
  sqlite3_finalize(select);
  sqlite3_close(db);
}

START_TEST(test_affinity) {
  affinity_as_in_tables("UTF-8");
}
END_TEST

START_TEST(test_affinity_utf16) {
  affinity_as_in_tables("UTF-16le");
}
END_TEST

START_TEST(test_nothing_is_copied) {
  sqlite3 *db = open_judge();
  sqlite3_stmt *st = sql_prepare(db, "SELECT 5, 2.5, 'abc', x'01', NULL, 'a', '1x'");
  const lsm_affinity aff[] = {LSM_AFF_INTEGER, LSM_AFF_REAL,    LSM_AFF_TEXT, LSM_AFF_NUMERIC,
                              LSM_AFF_TEXT,    LSM_AFF_NUMERIC, LSM_AFF_TEXT};
  sqlite3_value *in[7], *hold[7];
  lsm_value out[7];
  ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
  for (int i = 0; i < 7; i++) in[i] = sqlite3_value_dup(sqlite3_column_value(st, i));
  ck_assert_int_eq(lsm_value_load_all(in, aff, 7, out, hold), LSM_OK);
  for (int i = 0; i < 7; i++) ck_assert_ptr_null(hold[i]);
  ck_assert_ptr_eq(out[2].u.s.data, sqlite3_value_text(in[2]));
  ck_assert_int_eq(lsm_value_load(in[0], LSM_AFF_TEXT, &out[0], &hold[0]), LSM_OK);
  ck_assert_ptr_nonnull(hold[0]);
  ck_assert_int_eq(sqlite3_value_type(in[0]), SQLITE_INTEGER); /* left as it was */
  lsm_value_unhold(hold, 7);
  ck_assert_ptr_null(hold[0]);
  for (int i = 0; i < 7; i++) sqlite3_value_free(in[i]);
  sqlite3_finalize(st);
  sqlite3_close(db);
}
END_TEST

/* Against the order of ORDER BY, through the operators of an ordinary table
** without affinity. */
START_TEST(test_cmp) {
  static pool p;
  static const char *const sql[] = {
      "SELECT CASE WHEN ?1=?2 COLLATE BINARY THEN 0 WHEN ?1<?2 COLLATE BINARY THEN -1 ELSE 1 END",
      "SELECT CASE WHEN ?1=?2 COLLATE NOCASE THEN 0 WHEN ?1<?2 COLLATE NOCASE THEN -1 ELSE 1 END",
      "SELECT CASE WHEN ?1=?2 COLLATE RTRIM THEN 0 WHEN ?1<?2 COLLATE RTRIM THEN -1 ELSE 1 END"};
  sqlite3 *db = open_judge();
  rng r = {99};
  for (int coll = 0; coll < 3; coll++) {
    sqlite3_stmt *st = sql_prepare(db, sql[coll]);
    for (int i = 0; i < 6000; i++) {
      lsm_value a = random_value(&r, &p), b = random_value(&r, &p);
      if (i % 4 == 0 && a.type == SQLITE_INTEGER) b = lsm_value_real((double)a.u.i);
      int got = value_cmp(&a, &b, (lsm_collation)coll);
      ck_assert_int_eq(got, -value_cmp(&b, &a, (lsm_collation)coll));
      if (a.type == SQLITE_NULL || b.type == SQLITE_NULL) {
        ck_assert_int_eq(got, (b.type == SQLITE_NULL) - (a.type == SQLITE_NULL));
        continue;
      }
      bind_value(st, 1, &a);
      bind_value(st, 2, &b);
      ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
      ck_assert_int_eq(got < 0 ? -1 : got > 0, sqlite3_column_int(st, 0));
      sqlite3_reset(st);
    }
    sqlite3_finalize(st);
  }
  sqlite3_close(db);
}
END_TEST

static void give(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  (void)argc;
  (void)argv;
  const lsm_value *v = sqlite3_user_data(ctx);
  lsm_value_result(ctx, v, false);
}

START_TEST(test_result) {
  static pool p;
  sqlite3 *db = open_judge();
  lsm_value v = lsm_value_null();
  ck_assert_int_eq(sqlite3_create_function(db, "give", 0, SQLITE_UTF8, &v, give, NULL, NULL),
                   SQLITE_OK);
  sqlite3_stmt *st = sql_prepare(db, "SELECT give()");
  rng r = {5};
  for (int i = 0; i < 500; i++) {
    v = i == 0   ? lsm_value_text(LSM_SLICE_NULL)
        : i == 1 ? lsm_value_blob(LSM_SLICE_NULL)
                 : random_value(&r, &p);
    ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
    lsm_value got = column_value(st, 0);
    ck_assert(same_value(&got, &v));
    sqlite3_reset(st);
  }
  sqlite3_finalize(st);
  sqlite3_close(db);
}
END_TEST

Suite *value_suite(void) {
  Suite *s = suite_create("value");
  TCase *tc = tcase_create("value");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_affinity_of_type);
  tcase_add_test(tc, test_affinity);
  tcase_add_test(tc, test_affinity_utf16);
  tcase_add_test(tc, test_nothing_is_copied);
  tcase_add_test(tc, test_cmp);
  tcase_add_test(tc, test_result);
  suite_add_tcase(s, tc);
  return s;
}
