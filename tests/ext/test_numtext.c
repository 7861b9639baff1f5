/* test_numtext.c: no text that SQLite takes for the number is passed over. */
#include "numtext.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>

Suite *numtext_suite(void);

static sqlite3_stmt *judge; /* ?1 = ?2 with numeric affinity */
static sqlite3 *db;

static void setup(void) {
  ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
  ck_assert_int_eq(sqlite3_exec(db, "CREATE TABLE n(x NUMERIC)", NULL, NULL, NULL), SQLITE_OK);
  ck_assert_int_eq(sqlite3_exec(db, "INSERT INTO n VALUES(0)", NULL, NULL, NULL), SQLITE_OK);
  ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT x = ?1 FROM n", -1, &judge, NULL), SQLITE_OK);
}

static void teardown(void) {
  sqlite3_finalize(judge);
  sqlite3_close(db);
}

static void let_x_be(double r, bool integer) {
  sqlite3_stmt *set;
  ck_assert_int_eq(sqlite3_prepare_v2(db, "UPDATE n SET x = ?1", -1, &set, NULL), SQLITE_OK);
  if (integer) {
    sqlite3_bind_int64(set, 1, (sqlite3_int64)r);
  } else {
    sqlite3_bind_double(set, 1, r);
  }
  sqlite3_step(set);
  sqlite3_finalize(set);
}

static bool equals(const char *text) {
  sqlite3_bind_text(judge, 1, text, -1, SQLITE_STATIC);
  ck_assert_int_eq(sqlite3_step(judge), SQLITE_ROW);
  bool yes = sqlite3_column_int(judge, 0) != 0;
  sqlite3_reset(judge);
  return yes;
}

#define MAX_TEXTS 150
static char ways[MAX_TEXTS][64]; /* texts that equal the number */
static int nways;

static void add(const char *text) {
  if (nways < MAX_TEXTS && strlen(text) < sizeof ways[0] && equals(text)) {
    strcpy(ways[nways++], text);
  }
}

/* Ways to write R. */
static void find_ways(double r) {
  static const char *const before[] = {"", " ", "\t ", "+", "0", "-", "-0", "- ", "+000"};
  static const char *const after[] = {"", " ", ".", ".0", "e0", "E+00", "0000e-4", ".000 \n"};
  char number[48], text[96];
  nways = 0;
  for (int precision = 0; precision < 21; precision++) {
    for (int form = 0; form < 3; form++) {
      const char *const forms[] = {"%.*g", "%.*e", "%.*f"};
      if (form == 2 && fabs(r) > 1e20) continue;
      snprintf(number, sizeof number, forms[form], precision, fabs(r));
      for (size_t b = 0; b < sizeof before / sizeof before[0]; b++) {
        for (size_t a = 0; a < sizeof after / sizeof after[0]; a++) {
          snprintf(text, sizeof text, "%s%s%s", before[b], number, after[a]);
          add(text);
        }
      }
    }
  }
  if (r > 0 && r == floor(r) && r < 1e15) {
    snprintf(text, sizeof text, "%.0f.99999999999999999999999", r - 1);
    add(text);
    snprintf(text, sizeof text, "%.0f.00000000000000000000001", r);
    add(text);
  }
}

static void check(const lsm_numtext *n, const char *text) {
  lsm_buf next = {0};
  bool may = false;
  ck_assert_int_eq(lsm_buf_append(&next, text, strlen(text)), LSM_OK);
  ck_assert_int_eq(lsm_numtext_next(n, &next, &may), LSM_OK);
  lsm_slice from = lsm_slice_str(text), to = lsm_buf_slice(&next);
  ck_assert_msg(may || !equals(text), "'%s' equals", text);
  ck_assert(!may || lsm_slice_eq(from, to));
  for (int i = 0; i < nways && !may; i++) {
    lsm_slice p = lsm_slice_str(ways[i]);
    bool above = lsm_slice_cmp(p, from) > 0, below = to.size == 0 || lsm_slice_cmp(p, to) < 0;
    ck_assert_msg(!above || !below, "'%s' is passed over from '%s' to '%.*s'", ways[i], text,
                  (int)to.size, (const char *)to.data);
  }
  ck_assert(may || to.size == 0 || lsm_slice_cmp(to, from) > 0);
  lsm_buf_fini(&next);
}

static const double numbers[] = {1,    5,    10,   -5,      9,       100,    99999, 123456789, 0.5,
                                 -0.1, 0.3,  1e15, 1e16,    -1e300,  1e-280, 2.5,   1e22,      4503599627370497,
                                 9007199254740994, 0.1 + 0.2, 3.14159265358979, -999999999999999,
                                 100000000000000,  1.7976931348623157e308};
enum { NNUMBERS = sizeof numbers / sizeof numbers[0] };

START_TEST(test_none_is_passed_over) {
  double r = numbers[_i];
  static const char alphabet[] = "0123456789+-. eE\tx:";
  lsm_numtext n;
  lsm_numtext_init(&n, r);
  ck_assert(!n.any);
  let_x_be(r, r == floor(r) && fabs(r) < 9e18);
  find_ways(r);
  ck_assert_int_gt(nways, 5);
  for (int i = 0; i < nways; i++) check(&n, ways[i]);
  uint64_t seed = 1 + (uint64_t)_i;
  for (int i = 0; i < 600; i++) {
    char text[64];
    /* A text that equals, with a byte or two changed; or any text. */
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    size_t from = i % 2 == 0 ? strlen(ways[(seed >> 33) % (uint64_t)nways]) : 0;
    if (from > 0) strcpy(text, ways[(seed >> 33) % (uint64_t)nways]);
    for (int k = 0; k < (from > 0 ? 2 : 6); k++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      size_t at = from > 0 ? (seed >> 40) % from : (size_t)k;
      text[at] = alphabet[(seed >> 20) % (sizeof alphabet - 1)];
    }
    text[from > 0 ? from : 6] = 0;
    check(&n, text);
  }
}
END_TEST

/* Numbers of which nothing can be said: every text may. */
START_TEST(test_any) {
  const double odd[] = {0, -0.0, INFINITY, -INFINITY, DBL_MIN, 5e-324};
  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
    lsm_numtext n;
    lsm_buf text = {0};
    bool may = false;
    lsm_numtext_init(&n, odd[i]);
    ck_assert_int_eq(lsm_buf_append(&text, "7", 1), LSM_OK);
    ck_assert_int_eq(lsm_numtext_next(&n, &text, &may), LSM_OK);
    ck_assert(may);
    lsm_buf_fini(&text);
  }
}
END_TEST

Suite *numtext_suite(void) {
  Suite *s = suite_create("numtext");
  TCase *tc = tcase_create("numtext");
  tcase_set_timeout(tc, 60);
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_loop_test(tc, test_none_is_passed_over, 0, NNUMBERS);
  tcase_add_test(tc, test_any);
  suite_add_tcase(s, tc);
  return s;
}
