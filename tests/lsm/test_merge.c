/* test_merge.c: the newest entry of each key, less what ranges hide, in both
** directions, against a model that is an array. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "merge.h"
#include "vec_iter.h"

Suite *merge_suite(void);

#define MAX_SOURCES 40
#define MAX_WORDS   32

/* A source in words: "a=1 b- c..f" is a put, a tombstone, a range [c, f). */
typedef struct text_source {
  char bytes[128];
  vec_entry entries[MAX_WORDS];
  size_t n;
  lsm_rangeset ranges;
} text_source;

static void parse(text_source *s, const char *text) {
  memset(s, 0, sizeof *s);
  ck_assert_uint_lt(strlen(text), sizeof s->bytes);
  strcpy(s->bytes, text);
  for (char *w = strtok(s->bytes, " "); w != NULL; w = strtok(NULL, " ")) {
    char *dots = strstr(w, ".."), *eq = strchr(w, '=');
    vec_entry *e = &s->entries[s->n];
    if (dots != NULL) {
      ck_assert_int_eq(lsm_rangeset_add(&s->ranges, lsm_slice_of(w, (size_t)(dots - w)),
                                        lsm_slice_str(dots + 2)),
                       LSM_OK);
      continue;
    }
    s->n++;
    if (eq != NULL) {
      e->kind = LSM_KIND_PUT;
      e->key = lsm_slice_of(w, (size_t)(eq - w));
      e->value = lsm_slice_str(eq + 1);
    } else {
      e->kind = LSM_KIND_DELETE;
      e->key = lsm_slice_of(w, strlen(w) - 1);
    }
  }
}

static void word(const lsm_iter *it, char *out, size_t cap) {
  snprintf(out, cap, it->kind == LSM_KIND_PUT ? "%.*s=%.*s" : "%.*s-", (int)it->key.size,
           (const char *)it->key.data, (int)it->value.size, (const char *)it->value.data);
}

/* All of it in words, upwards or downwards. */
static void walk(lsm_iter *it, bool down, char *out, size_t cap) {
  out[0] = 0;
  ck_assert_int_eq(down ? it->ops->last(it) : it->ops->first(it), LSM_OK);
  while (it->valid) {
    size_t n = strlen(out);
    if (n > 0) out[n++] = ' ';
    word(it, out + n, cap - n);
    ck_assert_int_eq(down ? it->ops->prev(it) : it->ops->next(it), LSM_OK);
  }
}

static const struct {
  const char *source[4]; /* newest first */
  const char *up, *down;
} cases[] = {
    {{"a=1", "b=2"}, "a=1 b=2", "b=2 a=1"},
    {{"", ""}, "", ""},
    {{"a=1 c=3", "a=0 b=0 c=0"}, "a=1 b=0 c=3", "c=3 b=0 a=1"},
    {{"a=2 b-", "a=1 b=1"}, "a=2 b-", "b- a=2"},
    {{"a=3", "a=2", "a=1", "a=0 b=0"}, "a=3 b=0", "b=0 a=3"},
    {{"b..d", "a=1 b=1 c=1 d=1"}, "a=1 d=1", "d=1 a=1"},
    {{"b..d c=9", "a=1 b=1 c=1 d=1"}, "a=1 c=9 d=1", "d=1 c=9 a=1"},
    {{"a=1 b=1 c=1", "a..z"}, "a=1 b=1 c=1", "c=1 b=1 a=1"},
    {{"a..z", "a=1 b-", "c=1"}, "", ""},
    {{"a=5", "a..c", "a=1 b=1 c=1", "b=0 d=0"}, "a=5 c=1 d=0", "d=0 c=1 a=5"},
    {{"c..e", "b=1 d=1", "a..c", "a=0 b=0 c=0 d=0 e=0"}, "b=1 e=0", "e=0 b=1"},
    {{"a..b c..d", "a=1 b=1 c=1 d=1", "b..c"}, "b=1 d=1", "d=1 b=1"},
    {{"", "a=1 ab=2 abc=3", "aa=1"}, "a=1 aa=1 ab=2 abc=3", "abc=3 ab=2 aa=1 a=1"},
    /* long keys that part late, and a prefix of 16 bytes */
    {{"aaaaaaaaaaaaaaaaaab=1", "aaaaaaaaaaaaaaaa=0 aaaaaaaaaaaaaaaaaaa=2"},
     "aaaaaaaaaaaaaaaa=0 aaaaaaaaaaaaaaaaaaa=2 aaaaaaaaaaaaaaaaaab=1",
     "aaaaaaaaaaaaaaaaaab=1 aaaaaaaaaaaaaaaaaaa=2 aaaaaaaaaaaaaaaa=0"},
};

START_TEST(test_tables) {
  text_source src[4];
  lsm_source in[4];
  int n = 0;
  vec_stats stats = {0};
  for (; n < 4 && cases[_i].source[n] != NULL; n++) {
    parse(&src[n], cases[_i].source[n]);
    in[n].iter = vec_iter_new(src[n].entries, src[n].n, &stats);
    in[n].ranges = lsm_rangeset_ranges(&src[n].ranges);
  }
  lsm_iter *it;
  ck_assert_int_eq(lsm_merge_new(in, n, &it), LSM_OK);
  ck_assert(!it->valid);
  char got[512];
  walk(it, false, got, sizeof got);
  ck_assert_str_eq(got, cases[_i].up);
  walk(it, true, got, sizeof got);
  ck_assert_str_eq(got, cases[_i].down);
  lsm_iter_free(it);
  ck_assert_int_eq(stats.live, 0);
  for (int i = 0; i < n; i++) lsm_rangeset_fini(&src[i].ranges);
}
END_TEST

/* Keys that only differ in zero bytes: where padded prefixes could mislead. */
START_TEST(test_zero_bytes) {
  static const uint8_t zeros[40] = {0};
  vec_entry e[41];
  for (size_t i = 0; i <= 40; i++) {
    e[i].kind = LSM_KIND_PUT;
    e[i].key = lsm_slice_of(zeros, i);
    e[i].value = lsm_slice_str("v");
  }
  vec_entry part[3][41];
  size_t n[3] = {0};
  for (size_t i = 0; i <= 40; i++) part[i % 3][n[i % 3]++] = e[i];
  lsm_source in[3];
  memset(in, 0, sizeof in);
  for (int i = 0; i < 3; i++) in[i].iter = vec_iter_new(part[i], n[i], NULL);
  lsm_iter *it;
  ck_assert_int_eq(lsm_merge_new(in, 3, &it), LSM_OK);
  ck_assert_int_eq(it->ops->first(it), LSM_OK);
  for (size_t i = 0; i <= 40; i++) {
    ck_assert(it->valid);
    ck_assert_uint_eq(it->key.size, i);
    ck_assert_int_eq(it->ops->next(it), LSM_OK);
  }
  ck_assert(!it->valid);
  ck_assert_int_eq(it->ops->last(it), LSM_OK);
  for (size_t i = 41; i-- > 0;) {
    ck_assert(it->valid);
    ck_assert_uint_eq(it->key.size, i);
    ck_assert_int_eq(it->ops->prev(it), LSM_OK);
  }
  ck_assert(!it->valid);
  lsm_iter_free(it);
}
END_TEST

START_TEST(test_none_and_one) {
  lsm_iter *it;
  ck_assert_int_eq(lsm_merge_new(NULL, 0, &it), LSM_OK);
  ck_assert_int_eq(it->ops->first(it), LSM_OK);
  ck_assert(!it->valid);
  ck_assert_int_eq(it->ops->seek_le(it, lsm_slice_str("k")), LSM_OK);
  ck_assert(!it->valid);
  lsm_iter_free(it);

  text_source src;
  parse(&src, "a=1 b- a..z");
  lsm_source in = {vec_iter_new(src.entries, src.n, NULL), lsm_rangeset_ranges(&src.ranges)};
  char got[64];
  ck_assert_int_eq(lsm_merge_new(&in, 1, &it), LSM_OK);
  walk(it, false, got, sizeof got);
  ck_assert_str_eq(got, "a=1 b-"); /* its own ranges hide nothing of it */
  lsm_iter_free(it);
  lsm_rangeset_fini(&src.ranges);
}
END_TEST

/*------------------------------------------------------- against a model */

#define SPACE 120

typedef struct model {
  int nsources;
  vec_entry entries[MAX_SOURCES][SPACE];
  size_t n[MAX_SOURCES];
  lsm_rangeset ranges[MAX_SOURCES];
  /* what must come out, in key order */
  vec_entry want[SPACE];
  size_t nwant;
} model;

static uint8_t key_bytes[SPACE][20];
static lsm_slice keys[SPACE];
static uint32_t values[MAX_SOURCES][SPACE];
static int passed; /* how often something was ahead */

/* Rising keys of many lengths, most with a long prefix in common: forty that
** part in the third byte, forty of 9 to 12 bytes that part in the ninth or
** later, forty around the sixteenth. */
static void make_keys(void) {
  for (int k = 0; k < SPACE; k++) {
    int v = k % 40;
    uint8_t *p = key_bytes[k];
    memset(p, 0, sizeof key_bytes[k]);
    p[0] = 1;
    p[1] = (uint8_t)(k / 40);
    size_t len = 4;
    if (k < 40) {
      p[2] = (uint8_t)v;
      p[3] = (uint8_t)(255 - v);
    } else if (k < 80) {
      p[8] = (uint8_t)(v / 3);
      p[9] = (uint8_t)(v % 3 * 4);
      p[11] = (uint8_t)(255 - v);
      len = v % 3 == 0 ? 9 : v % 3 == 1 ? 10 : 12;
    } else {
      p[15] = (uint8_t)v;
      p[16] = (uint8_t)(255 - v);
      len = v % 2 == 0 ? 16 : 17;
    }
    keys[k] = lsm_slice_of(p, len);
    if (k > 0) ck_assert_int_lt(lsm_slice_cmp(keys[k - 1], keys[k]), 0);
  }
}

static void make_model(model *m, int nsources) {
  memset(m, 0, sizeof *m);
  m->nsources = nsources;
  uint8_t taken[SPACE] = {0}; /* 1: found an entry or a range */
  int density = 1 + rand() % 4;
  for (int s = 0; s < nsources; s++) {
    for (int k = 0; k < SPACE; k++) {
      if (rand() % (density * 2) != 0) continue;
      vec_entry *e = &m->entries[s][m->n[s]++];
      values[s][k] = (uint32_t)rand();
      e->key = keys[k];
      e->kind = rand() % 4 == 0 ? LSM_KIND_DELETE : LSM_KIND_PUT;
      if (e->kind == LSM_KIND_PUT) e->value = lsm_slice_of(&values[s][k], 4);
      if (!taken[k]) m->want[k] = *e;
      taken[k] = 1;
    }
    for (int r = rand() % 3 == 0 ? rand() % 4 : 0; r > 0; r--) {
      int lo = rand() % SPACE, hi = lo + rand() % 30;
      if (hi >= SPACE) hi = SPACE - 1;
      ck_assert_int_eq(lsm_rangeset_add(&m->ranges[s], keys[lo], keys[hi]), LSM_OK);
      for (int k = lo; k < hi; k++) taken[k] = 1;
    }
  }
  for (int k = 0; k < SPACE; k++) {
    if (m->want[k].kind != 0) m->want[m->nwant++] = m->want[k];
  }
}

static void free_model(model *m) {
  for (int s = 0; s < m->nsources; s++) lsm_rangeset_fini(&m->ranges[s]);
}

/* The same answers as a rangeset, without being known as one. */
static bool opaque_find(const void *ctx, lsm_slice key, lsm_slice *lo, lsm_slice *hi) {
  lsm_ranges r = lsm_rangeset_ranges(ctx);
  *lo = lsm_slice_str(""); /* meaningless when it says no */
  *hi = lsm_slice_str("\xff");
  return r.find(r.ctx, key, lo, hi);
}

static void sources_of(model *m, vec_stats *stats, lsm_source *in) {
  for (int s = 0; s < m->nsources; s++) {
    in[s].iter = vec_iter_new(m->entries[s], m->n[s], stats);
    in[s].ranges = lsm_rangeset_ranges(&m->ranges[s]);
    if (in[s].ranges.find != NULL && rand() % 2) in[s].ranges.find = opaque_find;
  }
}

static lsm_iter *merge_of(model *m, vec_stats *stats) {
  lsm_source in[MAX_SOURCES];
  lsm_iter *it;
  sources_of(m, stats, in);
  ck_assert_int_eq(lsm_merge_new(in, m->nsources, &it), LSM_OK);
  return it;
}

static void check_at(const model *m, const lsm_iter *it, size_t pos) {
  ck_assert_int_eq(it->valid, pos < m->nwant);
  if (!it->valid) return;
  ck_assert(lsm_slice_eq(it->key, m->want[pos].key));
  ck_assert_int_eq(it->kind, m->want[pos].kind);
  ck_assert(lsm_slice_eq(it->value, m->want[pos].value));
}

/* What it says is ahead is: some of that is passed. */
static lsm_rc pass_some(const model *m, lsm_iter *it, size_t *pos, lsm_slice bound) {
  uint64_t ahead = it->ops->ahead(it, bound);
  passed += ahead > 0;
  for (size_t i = 1; i <= ahead; i++) {
    ck_assert_uint_lt(*pos + i, m->nwant);
    ck_assert_int_eq(m->want[*pos + i].kind, LSM_KIND_PUT);
    ck_assert(bound.data == NULL || lsm_slice_cmp(m->want[*pos + i].key, bound) < 0);
  }
  uint64_t n = 1 + (uint64_t)rand() % (ahead + 1);
  *pos += n;
  return ahead > 0 ? it->ops->pass(it, n) : it->ops->next(it);
}

/* One random move of both; pos >= nwant: nowhere. */
static lsm_rc random_move(const model *m, lsm_iter *it, size_t *pos) {
  int op = rand() % (it->valid ? 20 : 4);
  lsm_slice key = keys[rand() % SPACE];
  size_t below = 0, upto = 0;
  for (size_t i = 0; i < m->nwant; i++) {
    int c = lsm_slice_cmp(m->want[i].key, key);
    below += c < 0;
    upto += c <= 0;
  }
  switch (op) {
    case 0:
      *pos = 0;
      return it->ops->first(it);
    case 1:
      *pos = m->nwant - 1;
      return it->ops->last(it);
    case 2:
      *pos = below;
      return it->ops->seek_ge(it, key);
    case 3:
      *pos = upto - 1;
      return it->ops->seek_le(it, key);
    case 4:
    case 5:
      return pass_some(m, it, pos, LSM_SLICE_NULL);
    case 6:
      return pass_some(m, it, pos, key);
    default:
      if (op % 2 == 0) {
        *pos += 1;
        return it->ops->next(it);
      }
      *pos -= 1;
      return it->ops->prev(it);
  }
}

/* One merge over sources of all numbers, one after another: nothing of the last time
** is left. */
START_TEST(test_reuse) {
  static model m;
  lsm_source in[MAX_SOURCES];
  lsm_iter *it = NULL;
  make_keys();
  srand(6);
  for (int round = 0; round < 300; round++) {
    make_model(&m, round % 9 == 0 ? MAX_SOURCES : rand() % 6);
    sources_of(&m, NULL, in);
    ck_assert_int_eq(lsm_merge_reuse(&it, in, m.nsources), LSM_OK);
    ck_assert(!it->valid);
    size_t pos = SIZE_MAX;
    for (int i = rand() % 100; i > 0; i--) {
      ck_assert_int_eq(random_move(&m, it, &pos), LSM_OK);
      check_at(&m, it, pos);
    }
    for (int s = 0; s < m.nsources; s++) lsm_iter_free(in[s].iter);
    free_model(&m);
  }
  lsm_iter_free(it);
}
END_TEST

START_TEST(test_random) {
  static model m;
  make_keys();
  srand(5);
  for (int round = 0; round < 400; round++) {
    make_model(&m, round < 20 ? MAX_SOURCES : 1 + rand() % 8);
    lsm_iter *it = merge_of(&m, NULL);
    size_t pos = SIZE_MAX;
    for (int i = 0; i < 150; i++) {
      ck_assert_int_eq(random_move(&m, it, &pos), LSM_OK);
      check_at(&m, it, pos);
    }
    ck_assert_int_eq(it->ops->first(it), LSM_OK);
    for (pos = 0; pos < m.nwant; pos++) {
      check_at(&m, it, pos);
      ck_assert_int_eq(it->ops->next(it), LSM_OK);
    }
    ck_assert(!it->valid);
    ck_assert_int_eq(it->ops->last(it), LSM_OK);
    for (pos = m.nwant; pos-- > 0;) {
      check_at(&m, it, pos);
      ck_assert_int_eq(it->ops->prev(it), LSM_OK);
    }
    ck_assert(!it->valid);
    lsm_iter_free(it);
    free_model(&m);
  }
  ck_assert_int_gt(passed, 100);
}
END_TEST

/* A source that fails makes the merge invalid; the next seek is as good as new. */
START_TEST(test_errors) {
  static model m;
  make_keys();
  srand(6);
  int failures = 0;
  for (int round = 0; round < 400; round++) {
    make_model(&m, 2 + rand() % 6);
    vec_stats stats = {0};
    lsm_iter *it = merge_of(&m, &stats);
    size_t pos = SIZE_MAX;
    for (int i = 0; i < 60; i++) {
      stats.fail = rand() % 4 == 0 ? (uint64_t)(1 + rand() % 8) : 0;
      lsm_rc rc = random_move(&m, it, &pos);
      if (rc != LSM_OK) {
        failures++;
        ck_assert_int_eq(rc, LSM_IOERR);
        ck_assert(!it->valid);
        pos = SIZE_MAX;
      }
      check_at(&m, it, pos);
    }
    stats.fail = 0;
    lsm_iter_free(it);
    ck_assert_int_eq(stats.live, 0);
    free_model(&m);
  }
  ck_assert_int_gt(failures, 400);
}
END_TEST

/*------------------------------------------------------------------ cost */

#define MANY 2000
static uint8_t many_bytes[MANY][4];
static vec_entry many[MANY];

static void make_many(void) {
  for (int i = 0; i < MANY; i++) {
    many_bytes[i][0] = 1;
    many_bytes[i][1] = (uint8_t)(i >> 8);
    many_bytes[i][2] = (uint8_t)i;
    many[i].key = lsm_slice_of(many_bytes[i], 3);
    many[i].kind = LSM_KIND_PUT;
  }
}

/* What a range hides is jumped over, up and down. */
START_TEST(test_skips_by_seeking) {
  make_many();
  vec_stats stats = {0};
  lsm_rangeset hide = {0};
  ck_assert_int_eq(lsm_rangeset_add(&hide, many[5].key, many[MANY - 5].key), LSM_OK);
  lsm_source in[3] = {{vec_iter_new(NULL, 0, &stats), lsm_rangeset_ranges(&hide)},
                      {vec_iter_new(many, MANY, &stats), {NULL, NULL}},
                      {vec_iter_new(many, MANY, &stats), {NULL, NULL}}};
  lsm_iter *it;
  ck_assert_int_eq(lsm_merge_new(in, 3, &it), LSM_OK);
  int n = 0;
  ck_assert_int_eq(it->ops->first(it), LSM_OK);
  for (; it->valid; n++) ck_assert_int_eq(it->ops->next(it), LSM_OK);
  ck_assert_int_eq(n, 10);
  ck_assert_int_eq(it->ops->last(it), LSM_OK);
  for (; it->valid; n++) ck_assert_int_eq(it->ops->prev(it), LSM_OK);
  ck_assert_int_eq(n, 20);
  ck_assert_uint_le(stats.steps, 50);
  ck_assert_uint_le(stats.seeks, 10);
  lsm_iter_free(it);
  lsm_rangeset_fini(&hide);
}
END_TEST

/* Without ranges and turns a scan moves each source once a key, never seeks. */
START_TEST(test_steps_once) {
  make_many();
  vec_stats stats = {0};
  lsm_source in[3];
  memset(in, 0, sizeof in);
  in[0].iter = vec_iter_new(many, MANY / 2, &stats);
  in[1].iter = vec_iter_new(many + MANY / 2, MANY / 2, &stats);
  in[2].iter = vec_iter_new(many, MANY, &stats);
  lsm_iter *it;
  ck_assert_int_eq(lsm_merge_new(in, 3, &it), LSM_OK);
  int n = 0;
  ck_assert_int_eq(it->ops->first(it), LSM_OK);
  for (; it->valid; n++) ck_assert_int_eq(it->ops->next(it), LSM_OK);
  ck_assert_int_eq(n, MANY);
  ck_assert_uint_eq(stats.steps, 2 * MANY);
  ck_assert_uint_eq(stats.seeks, 3);
  lsm_iter_free(it);
}
END_TEST

static int found;
static bool counting_find(const void *ctx, lsm_slice key, lsm_slice *lo, lsm_slice *hi) {
  found++;
  lsm_ranges r = lsm_rangeset_ranges(ctx);
  return r.find(r.ctx, key, lo, hi);
}

/* Ranges are not asked for the entries of newer sources or their own. */
START_TEST(test_asks_older_only) {
  make_many();
  lsm_rangeset hide = {0};
  ck_assert_int_eq(lsm_rangeset_add(&hide, many[0].key, many[9].key), LSM_OK);
  lsm_source in[3];
  memset(in, 0, sizeof in);
  in[0].iter = vec_iter_new(many, 50, NULL);
  in[1].iter = vec_iter_new(many + 50, 50, NULL);
  in[1].ranges.find = counting_find;
  in[1].ranges.ctx = &hide;
  in[2].iter = vec_iter_new(many + 100, 1, NULL);
  lsm_iter *it;
  ck_assert_int_eq(lsm_merge_new(in, 3, &it), LSM_OK);
  int n = 0;
  found = 0;
  ck_assert_int_eq(it->ops->first(it), LSM_OK);
  for (; it->valid; n++) ck_assert_int_eq(it->ops->next(it), LSM_OK);
  ck_assert_int_eq(n, 101);
  ck_assert_int_eq(found, 1);
  lsm_iter_free(it);
  lsm_rangeset_fini(&hide);
}
END_TEST

static bool fail_nth(void *arg) {
  int *n = arg;
  return --*n != 0;
}

/* The iterators are taken, also when there is no memory. */
START_TEST(test_nomem) {
  make_many();
  for (int nth = 1;; nth++) {
    vec_stats stats = {0};
    lsm_source in[3];
    memset(in, 0, sizeof in);
    for (int i = 0; i < 3; i++) in[i].iter = vec_iter_new(many, 5, &stats);
    int n = nth;
    lsm_iter *it;
    lsm_set_malloc_hook(fail_nth, &n);
    lsm_rc rc = lsm_merge_new(in, 3, &it);
    lsm_set_malloc_hook(NULL, NULL);
    if (rc == LSM_OK) {
      ck_assert_int_gt(nth, 1);
      ck_assert_int_eq(stats.live, 3);
      lsm_iter_free(it);
      break;
    }
    ck_assert_int_eq(rc, LSM_NOMEM);
    ck_assert_ptr_null(it);
    ck_assert_int_eq(stats.live, 0);
    ck_assert_int_lt(nth, 20);
  }
}
END_TEST

Suite *merge_suite(void) {
  Suite *s = suite_create("merge");
  TCase *tc = tcase_create("merge");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, test_tables, 0, (int)(sizeof cases / sizeof *cases));
  tcase_add_test(tc, test_zero_bytes);
  tcase_add_test(tc, test_none_and_one);
  tcase_add_test(tc, test_reuse);
  tcase_add_test(tc, test_random);
  tcase_add_test(tc, test_errors);
  tcase_add_test(tc, test_skips_by_seeking);
  tcase_add_test(tc, test_steps_once);
  tcase_add_test(tc, test_asks_older_only);
  tcase_add_test(tc, test_nomem);
  suite_add_tcase(s, tc);
  return s;
}
