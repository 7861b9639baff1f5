/* test_view.c: values only, between two bounds, in both directions. */
#include <check.h>
#include <stdlib.h>

#include "merge.h"
#include "vec_iter.h"

Suite *view_suite(void);

#define SPACE 100

static uint8_t bytes[SPACE + 1][2];
static vec_entry all[SPACE]; /* the entries of a round, in order */
static size_t nall;

static lsm_slice key_of(int k) {
  bytes[k][0] = 9;
  bytes[k][1] = (uint8_t)k;
  return lsm_slice_of(bytes[k], 2);
}

static void fill(int one_in, int deletes_in_ten) {
  nall = 0;
  for (int k = 0; k < SPACE; k++) {
    lsm_slice key = key_of(k);
    if (rand() % one_in != 0) continue;
    all[nall].key = key;
    all[nall].kind = rand() % 10 < deletes_in_ten ? LSM_KIND_DELETE : LSM_KIND_PUT;
    all[nall].value = all[nall].kind == LSM_KIND_PUT ? key : LSM_SLICE_NULL;
    nall++;
  }
}

/* What the view must show. */
static lsm_slice want[SPACE];
static size_t nwant;
static int passed; /* how often something was ahead */

static void expect(lsm_slice lower, lsm_slice upper) {
  nwant = 0;
  for (size_t i = 0; i < nall; i++) {
    if (all[i].kind != LSM_KIND_PUT) continue;
    if (lower.data != NULL && lsm_slice_cmp(all[i].key, lower) < 0) continue;
    if (upper.data != NULL && lsm_slice_cmp(all[i].key, upper) >= 0) continue;
    want[nwant++] = all[i].key;
  }
}

static void check_at(const lsm_iter *it, size_t pos) {
  ck_assert_int_eq(it->valid, pos < nwant);
  if (!it->valid) return;
  ck_assert_int_eq(it->kind, LSM_KIND_PUT);
  ck_assert(lsm_slice_eq(it->key, want[pos]));
  ck_assert(lsm_slice_eq(it->value, want[pos]));
}

/* What it says is ahead is: some of that is passed. */
static lsm_rc pass_some(lsm_iter *it, size_t *pos, lsm_slice bound) {
  uint64_t ahead = it->ops->ahead(it, bound);
  passed += ahead > 0;
  ck_assert_uint_lt(*pos + ahead, nwant);
  ck_assert(ahead == 0 || bound.data == NULL || lsm_slice_cmp(want[*pos + ahead], bound) < 0);
  uint64_t n = 1 + (uint64_t)rand() % (ahead + 1);
  *pos += n;
  return ahead > 0 ? it->ops->pass(it, n) : it->ops->next(it);
}

static lsm_rc random_move(lsm_iter *it, size_t *pos) {
  int op = rand() % (it->valid ? 20 : 4);
  lsm_slice key = key_of(rand() % SPACE);
  size_t below = 0, upto = 0;
  for (size_t i = 0; i < nwant; i++) {
    int c = lsm_slice_cmp(want[i], key);
    below += c < 0;
    upto += c <= 0;
  }
  switch (op) {
    case 0:
      *pos = 0;
      return it->ops->first(it);
    case 1:
      *pos = nwant - 1;
      return it->ops->last(it);
    case 2:
      *pos = below;
      return it->ops->seek_ge(it, key);
    case 3:
      *pos = upto - 1;
      return it->ops->seek_le(it, key);
    case 4:
      return pass_some(it, pos, LSM_SLICE_NULL);
    case 5:
      return pass_some(it, pos, key);
    default:
      if (op % 2 == 0) {
        *pos += 1;
        return it->ops->next(it);
      }
      *pos -= 1;
      return it->ops->prev(it);
  }
}

START_TEST(test_random) {
  lsm_iter *again = NULL;
  srand(3);
  for (int round = 0; round < 600; round++) {
    fill(1 + rand() % 3, rand() % 11);
    lsm_slice lower = rand() % 3 == 0 ? LSM_SLICE_NULL : key_of(rand() % SPACE);
    lsm_slice upper = rand() % 3 == 0 ? LSM_SLICE_NULL : key_of(rand() % SPACE);
    expect(lower, upper);
    vec_stats stats = {0};
    lsm_iter *it, *inner = vec_iter_new(all, nall, &stats);
    bool reuse = round % 2 == 0;
    lsm_rc rc = reuse ? lsm_view_reuse(&again, inner, lower, upper)
                      : lsm_view_new(inner, lower, upper, &it);
    if (reuse) it = again;
    ck_assert_int_eq(rc, LSM_OK);
    ck_assert(!it->valid);
    size_t pos = SIZE_MAX;
    for (int i = 0; i < 100; i++) {
      bool fail = rand() % 16 == 0;
      stats.fail = fail;
      rc = random_move(it, &pos);
      if (rc != LSM_OK) {
        ck_assert(fail);
        ck_assert_int_eq(rc, LSM_IOERR);
        pos = SIZE_MAX;
      }
      check_at(it, pos);
    }
    stats.fail = 0;
    lsm_iter_free(reuse ? inner : it);
    ck_assert_int_eq(stats.live, 0);
  }
  lsm_iter_free(again);
  ck_assert_int_gt(passed, 1000);
}
END_TEST

static const struct {
  const char *lower, *upper; /* NULL: open */
  const char *first, *last;  /* of a b c d, where a and d are; NULL: none */
} bounds[] = {
    {NULL, NULL, "a", "d"},  {"a", NULL, "a", "d"},   {"b", NULL, "d", "d"},
    {NULL, "d", "a", "a"},   {NULL, "dd", "a", "d"},  {"b", "d", NULL, NULL},
    {"e", NULL, NULL, NULL}, {NULL, "a", NULL, NULL}, {"d", "a", NULL, NULL},
    {"a", "a", NULL, NULL},  {"", "", NULL, NULL},    {"", NULL, "a", "d"},
};

static void check_key(const lsm_iter *it, const char *key) {
  ck_assert_int_eq(it->valid, key != NULL);
  if (key != NULL) ck_assert(lsm_slice_eq(it->key, lsm_slice_str(key)));
}

START_TEST(test_bounds) {
  const vec_entry e[] = {{lsm_slice_str("a"), lsm_slice_str("1"), LSM_KIND_PUT},
                         {lsm_slice_str("b"), LSM_SLICE_NULL, LSM_KIND_DELETE},
                         {lsm_slice_str("c"), LSM_SLICE_NULL, LSM_KIND_DELETE},
                         {lsm_slice_str("d"), lsm_slice_str("4"), LSM_KIND_PUT}};
  lsm_slice lower = bounds[_i].lower ? lsm_slice_str(bounds[_i].lower) : LSM_SLICE_NULL;
  lsm_slice upper = bounds[_i].upper ? lsm_slice_str(bounds[_i].upper) : LSM_SLICE_NULL;
  lsm_iter *it;
  ck_assert_int_eq(lsm_view_new(vec_iter_new(e, 4, NULL), lower, upper, &it), LSM_OK);
  ck_assert_int_eq(it->ops->first(it), LSM_OK);
  check_key(it, bounds[_i].first);
  ck_assert_int_eq(it->ops->last(it), LSM_OK);
  check_key(it, bounds[_i].last);
  ck_assert_int_eq(it->ops->seek_ge(it, lsm_slice_str("")), LSM_OK);
  check_key(it, bounds[_i].first);
  ck_assert_int_eq(it->ops->seek_le(it, lsm_slice_str("z")), LSM_OK);
  check_key(it, bounds[_i].last);
  lsm_iter_free(it);
}
END_TEST

/* Tombstones beyond a bound are not walked through. */
START_TEST(test_stops_at_bound) {
  nall = 0;
  for (int k = 0; k < SPACE; k++) {
    all[nall].key = key_of(k);
    all[nall].kind = LSM_KIND_DELETE;
    all[nall++].value = LSM_SLICE_NULL;
  }
  vec_stats stats = {0};
  lsm_iter *it;
  lsm_rc rc = lsm_view_new(vec_iter_new(all, nall, &stats), key_of(40), key_of(45), &it);
  ck_assert_int_eq(rc, LSM_OK);
  ck_assert_int_eq(it->ops->first(it), LSM_OK);
  ck_assert(!it->valid);
  ck_assert_int_eq(it->ops->last(it), LSM_OK);
  ck_assert(!it->valid);
  ck_assert_uint_le(stats.steps, 12);
  lsm_iter_free(it);
}
END_TEST

/* The bounds are copied. */
START_TEST(test_copies_bounds) {
  nall = 0;
  for (int k = 0; k < 10; k++) {
    all[nall].key = key_of(k);
    all[nall].kind = LSM_KIND_PUT;
    all[nall++].value = LSM_SLICE_NULL;
  }
  uint8_t lo[2] = {9, 3}, hi[2] = {9, 6};
  lsm_iter *it;
  ck_assert_int_eq(
      lsm_view_new(vec_iter_new(all, nall, NULL), lsm_slice_of(lo, 2), lsm_slice_of(hi, 2), &it),
      LSM_OK);
  lo[1] = hi[1] = 0;
  ck_assert_int_eq(it->ops->first(it), LSM_OK);
  ck_assert_int_eq(it->key.data[1], 3);
  ck_assert_int_eq(it->ops->last(it), LSM_OK);
  ck_assert_int_eq(it->key.data[1], 5);
  lsm_iter_free(it);
}
END_TEST

static bool fail_nth(void *arg) {
  int *n = arg;
  return --*n != 0;
}

START_TEST(test_nomem) {
  for (int nth = 1;; nth++) {
    vec_stats stats = {0};
    lsm_iter *inner = vec_iter_new(all, 0, &stats), *it;
    int n = nth;
    lsm_set_malloc_hook(fail_nth, &n);
    lsm_rc rc = lsm_view_new(inner, key_of(1), key_of(2), &it);
    lsm_set_malloc_hook(NULL, NULL);
    if (rc == LSM_OK) {
      ck_assert_int_gt(nth, 1);
      lsm_iter_free(it);
      ck_assert_int_eq(stats.live, 0);
      break;
    }
    ck_assert_int_eq(rc, LSM_NOMEM);
    ck_assert_ptr_null(it);
    ck_assert_int_eq(stats.live, 0);
    ck_assert_int_lt(nth, 20);
  }
}
END_TEST

Suite *view_suite(void) {
  Suite *s = suite_create("view");
  TCase *tc = tcase_create("view");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_random);
  tcase_add_loop_test(tc, test_bounds, 0, (int)(sizeof bounds / sizeof *bounds));
  tcase_add_test(tc, test_stops_at_bound);
  tcase_add_test(tc, test_copies_bounds);
  tcase_add_test(tc, test_nomem);
  suite_add_tcase(s, tc);
  return s;
}
