/* test_rangeset.c: intervals join, and the set answers as an array of bits. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "iter.h"

Suite *rangeset_suite(void);

static lsm_slice S(const char *s) {
  return lsm_slice_str(s);
}

/* "a-c e-f": the set in words. */
static void show(const lsm_rangeset *set, char *out, size_t cap) {
  size_t n = 0;
  out[0] = 0;
  for (size_t i = 0; i < set->count; i++) {
    const lsm_range *r = &set->items[i];
    n += (size_t)snprintf(out + n, cap - n, "%s%.*s-%.*s", i > 0 ? " " : "", (int)r->lo.size,
                          (const char *)r->lo.data, (int)r->hi.size, (const char *)r->hi.data);
  }
}

/* Adds "lo-hi lo-hi ...". */
static lsm_rc add_all(lsm_rangeset *set, const char *text) {
  for (const char *p = text; *p != 0;) {
    const char *dash = strchr(p, '-');
    const char *end = strchr(dash, ' ');
    if (end == NULL) end = dash + strlen(dash);
    lsm_rc rc = lsm_rangeset_add(set, lsm_slice_of(p, (size_t)(dash - p)),
                                 lsm_slice_of(dash + 1, (size_t)(end - dash - 1)));
    if (rc != LSM_OK) return rc;
    p = *end == ' ' ? end + 1 : end;
  }
  return LSM_OK;
}

static const struct {
  const char *add;
  const char *want;
} join_cases[] = {
    {"", ""},
    {"b-d", "b-d"},
    {"d-b", ""},
    {"b-b", ""},
    {"b-d f-h", "b-d f-h"},
    {"f-h b-d", "b-d f-h"},
    {"b-d d-f", "b-f"},
    {"d-f b-d", "b-f"},
    {"b-d f-h d-f", "b-h"},
    {"b-d f-h c-g", "b-h"},
    {"b-d f-h a-z", "a-z"},
    {"a-z b-d", "a-z"},
    {"a-z a-b y-z", "a-z"},
    {"b-d f-h j-l e-k", "b-d e-l"},
    {"b-d f-h j-l c-i", "b-i j-l"},
    {"b-d f-h j-l c-j", "b-l"},
    {"-b a-c", "-c"},
    {"a-aa aa-ab", "a-ab"},
    {"a-c ca-d", "a-c ca-d"},
};

START_TEST(test_join) {
  lsm_rangeset set = {0};
  char got[256];
  ck_assert_int_eq(add_all(&set, join_cases[_i].add), LSM_OK);
  show(&set, got, sizeof got);
  ck_assert_str_eq(got, join_cases[_i].want);
  lsm_rangeset_fini(&set);
  ck_assert_uint_eq(set.count, 0);
}
END_TEST

START_TEST(test_find) {
  lsm_rangeset set = {0};
  ck_assert_ptr_null(lsm_rangeset_find(&set, S("a")));
  ck_assert_ptr_null(lsm_rangeset_after(&set, S("a")));
  ck_assert_ptr_null((void *)(uintptr_t)lsm_rangeset_ranges(&set).find);
  ck_assert_ptr_null((void *)(uintptr_t)lsm_rangeset_ranges(NULL).find);
  ck_assert_int_eq(add_all(&set, "b-d f-h"), LSM_OK);
  ck_assert_ptr_null(lsm_rangeset_find(&set, S("a")));
  ck_assert_ptr_eq(lsm_rangeset_find(&set, S("b")), &set.items[0]);
  ck_assert_ptr_eq(lsm_rangeset_find(&set, S("czz")), &set.items[0]);
  ck_assert_ptr_null(lsm_rangeset_find(&set, S("d")));
  ck_assert_ptr_eq(lsm_rangeset_find(&set, S("f")), &set.items[1]);
  ck_assert_ptr_null(lsm_rangeset_find(&set, S("h")));
  ck_assert_ptr_eq(lsm_rangeset_after(&set, S("")), &set.items[0]);
  ck_assert_ptr_eq(lsm_rangeset_after(&set, S("c")), &set.items[0]);
  ck_assert_ptr_eq(lsm_rangeset_after(&set, S("d")), &set.items[1]);
  ck_assert_ptr_null(lsm_rangeset_after(&set, S("h")));

  lsm_ranges r = lsm_rangeset_ranges(&set);
  lsm_slice lo, hi;
  ck_assert_ptr_eq(lsm_rangeset_of(r), &set);
  ck_assert(!r.find(r.ctx, S("e"), &lo, &hi));
  ck_assert(r.find(r.ctx, S("g"), &lo, &hi));
  ck_assert(lsm_slice_eq(lo, S("f")) && lsm_slice_eq(hi, S("h")));
  lsm_rangeset_fini(&set);
}
END_TEST

/* The bytes are the set's own. */
START_TEST(test_copies) {
  lsm_rangeset set = {0};
  char lo[2] = "b", hi[2] = "d";
  ck_assert_int_eq(lsm_rangeset_add(&set, S(lo), S(hi)), LSM_OK);
  lo[0] = hi[0] = 'x';
  char got[64];
  show(&set, got, sizeof got);
  ck_assert_str_eq(got, "b-d");
  lsm_rangeset_fini(&set);
}
END_TEST

#define SPACE 60

static lsm_slice int_key(int v, uint8_t *buf) {
  buf[0] = 7;
  buf[1] = (uint8_t)v;
  return lsm_slice_of(buf, 2);
}

START_TEST(test_random) {
  srand(11);
  for (int round = 0; round < 300; round++) {
    lsm_rangeset set = {0};
    bool covered[SPACE] = {false};
    uint8_t a[2], b[2];
    for (int n = 0; n < 20; n++) {
      int lo = rand() % SPACE, hi = lo + rand() % 8;
      if (hi > SPACE) hi = SPACE;
      ck_assert_int_eq(lsm_rangeset_add(&set, int_key(lo, a), int_key(hi, b)), LSM_OK);
      for (int k = lo; k < hi; k++) covered[k] = true;
      size_t spans = 0;
      for (int k = 0; k < SPACE; k++) {
        const lsm_range *r = lsm_rangeset_find(&set, int_key(k, a));
        ck_assert_int_eq(r != NULL, covered[k]);
        spans += covered[k] && (k == 0 || !covered[k - 1]);
      }
      ck_assert_uint_eq(set.count, spans); /* joined, all of them */
    }
    lsm_rangeset_fini(&set);
  }
}
END_TEST

static bool fail_nth(void *arg) {
  int *n = arg;
  return --*n != 0;
}

START_TEST(test_nomem) {
  for (int nth = 1; nth < 100; nth++) {
    lsm_rangeset set = {0};
    char was[256], now[256];
    ck_assert_int_eq(add_all(&set, "b-d f-h j-l n-p"), LSM_OK);
    show(&set, was, sizeof was);
    int n = nth;
    lsm_set_malloc_hook(fail_nth, &n);
    lsm_rc rc = lsm_rangeset_add(&set, S("a"), S("m"));            /* joins, both bounds new */
    if (rc == LSM_OK) rc = lsm_rangeset_add(&set, S("x"), S("y")); /* inserts and grows */
    lsm_set_malloc_hook(NULL, NULL);
    show(&set, now, sizeof now);
    if (rc == LSM_OK) {
      ck_assert_int_gt(nth, 3);
      ck_assert_str_eq(now, "a-m n-p x-y");
      lsm_rangeset_fini(&set);
      return;
    }
    ck_assert_int_eq(rc, LSM_NOMEM);
    if (nth <= 2) ck_assert_str_eq(now, was);
    if (nth > 2) ck_assert_str_eq(now, "a-m n-p");
    lsm_rangeset_fini(&set);
  }
  ck_abort_msg("never succeeded");
}
END_TEST

/* Growing the array may fail as well. */
START_TEST(test_nomem_grow) {
  for (int nth = 1;; nth++) {
    lsm_rangeset set = {0};
    int n = nth;
    lsm_set_malloc_hook(fail_nth, &n);
    lsm_rc rc = add_all(&set, "a-b c-d e-f g-h i-j k-l");
    lsm_set_malloc_hook(NULL, NULL);
    char got[256];
    show(&set, got, sizeof got);
    ck_assert(strncmp(got, "a-b c-d e-f g-h i-j k-l", strlen(got)) == 0);
    lsm_rangeset_fini(&set);
    if (rc == LSM_OK) break;
    ck_assert_int_eq(rc, LSM_NOMEM);
    ck_assert_int_lt(nth, 50);
  }
}
END_TEST

Suite *rangeset_suite(void) {
  Suite *s = suite_create("rangeset");
  TCase *tc = tcase_create("rangeset");
  tcase_add_loop_test(tc, test_join, 0, (int)(sizeof join_cases / sizeof *join_cases));
  tcase_add_test(tc, test_find);
  tcase_add_test(tc, test_copies);
  tcase_add_test(tc, test_random);
  tcase_add_test(tc, test_nomem);
  tcase_add_test(tc, test_nomem_grow);
  suite_add_tcase(s, tc);
  return s;
}
