/* test_expiry.c: times of values: summed up, applied to a walk, kept by a table, what
** the picker makes of them, and which files go for them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "db_int.h"
#include "env.h"
#include "expiry.h"
#include "picker.h"
#include "sst.h"
#include "vec_iter.h"

Suite *expiry_suite(void);

/*------------------------------------------------------------------- tally */

static lsm_expiry sum_of(const uint64_t *until, size_t n) {
  lsm_expiry_tally t = {0};
  for (size_t i = 0; i < n; i++) {
    uint8_t value[9] = {0};
    lsm_set_u64(value, until[i]);
    ck_assert_int_eq(lsm_expiry_note(&t, lsm_slice_of(value, 8 + i % 2)), LSM_OK);
  }
  lsm_expiry e = lsm_expiry_sum(&t);
  lsm_expiry_tally_fini(&t);
  return e;
}

static const struct {
  size_t n;
  uint64_t until[6];
  lsm_expiry want;
} sums[] = {
    {0, {0}, {1, 1, 1}}, /* no value: of tombstones alone */
    {1, {7}, {7, 7, 7}},
    {2, {9, 7}, {7, 7, 9}},
    {3, {9, 7, 8}, {7, 8, 9}},
    {4, {4, 1, 3, 2}, {1, 2, 4}},
    {1, {0}, {0, 0, 0}}, /* none ever expires */
    {3, {0, 0, 0}, {0, 0, 0}},
    {2, {0, 5}, {5, 5, 0}},
    {3, {0, 5, 0}, {5, 0, 0}},
    {3, {UINT64_MAX, 0, 1}, {1, UINT64_MAX, 0}},
};

START_TEST(test_sum) {
  lsm_expiry e = sum_of(sums[_i].until, sums[_i].n);
  ck_assert_uint_eq(e.first, sums[_i].want.first);
  ck_assert_uint_eq(e.half, sums[_i].want.half);
  ck_assert_uint_eq(e.last, sums[_i].want.last);
  ck_assert(lsm_expiry_is_sound(&e) || e.first == 0);
}
END_TEST

/* More values than the sample holds: the ends are exact, the middle nearly. */
START_TEST(test_large_sum) {
  size_t n = 10 * LSM_EXPIRY_SAMPLE + 3;
  uint64_t *until = malloc(n * sizeof *until);
  for (size_t i = 0; i < n; i++) until[i] = 1000 + (i * 7919) % n;
  lsm_expiry e = sum_of(until, n);
  free(until);
  ck_assert_uint_eq(e.first, 1000);
  ck_assert_uint_eq(e.last, 1000 + n - 1);
  ck_assert_uint_gt(e.half, 1000 + n / 2 - n / 20);
  ck_assert_uint_lt(e.half, 1000 + n / 2 + n / 20);
}
END_TEST

START_TEST(test_past) {
  ck_assert(!lsm_until_past(0, 1));
  ck_assert(!lsm_until_past(0, UINT64_MAX));
  ck_assert(lsm_until_past(1, 1));
  ck_assert(!lsm_until_past(2, 1));
  ck_assert(!lsm_until_past(1, 0)); /* no time: nothing has expired */
  ck_assert(!lsm_until_past(UINT64_MAX, UINT64_MAX - 1));
  ck_assert(lsm_until_past(UINT64_MAX, UINT64_MAX));
  ck_assert_uint_eq(lsm_until_of(lsm_slice_str("1234567")), 0);
  lsm_slice v = lsm_slice_str("12345678x");
  ck_assert(lsm_until_strip(&v) && lsm_slice_eq(v, lsm_slice_str("x")));
  ck_assert(!lsm_until_strip(&v));
}
END_TEST

/*-------------------------------------------------------------------- walk */

/* Values "<time, one byte><seven zeros>text". */
#define VALUE(t, text) {(const uint8_t *)t "\0\0\0\0\0\0\0" text, 8 + sizeof(text) - 1}
#define KEY(k) {(const uint8_t *)k, sizeof(k) - 1}

static const vec_entry entries[] = {
    {KEY("\x01z"), KEY("no time"), LSM_KIND_PUT}, /* another keyspace's */
    {KEY("\x02"), VALUE("\x05", "empty"), LSM_KIND_PUT},
    {KEY("\x02" "a"), VALUE("\x09", "A"), LSM_KIND_PUT},
    {KEY("\x02" "b"), {NULL, 0}, LSM_KIND_DELETE},
    {KEY("\x02" "c"), VALUE("\x00", ""), LSM_KIND_PUT},
    {KEY("\x02" "d"), VALUE("\x05", "D"), LSM_KIND_PUT},
    {KEY("\x03"), KEY(""), LSM_KIND_PUT},
};
#define NENTRIES (sizeof entries / sizeof entries[0])

static void show(const lsm_iter *it, char *out) {
  out += strlen(out);
  if (!it->valid) return;
  sprintf(out, " %d%.*s=%.*s", it->key.data[0], (int)it->key.size - 1,
          (const char *)it->key.data + 1, (int)it->value.size,
          it->kind == LSM_KIND_PUT ? (const char *)it->value.data : "");
  if (it->kind == LSM_KIND_DELETE) strcat(out, "-");
}

static const struct {
  uint64_t now;
  const char *all;
} walks[] = {
    {1, " 1z=no time 2=empty 2a=A 2b=- 2c= 2d=D 3="},
    {4, " 1z=no time 2=empty 2a=A 2b=- 2c= 2d=D 3="},
    {5, " 1z=no time 2=- 2a=A 2b=- 2c= 2d=- 3="},
    {9, " 1z=no time 2=- 2a=- 2b=- 2c= 2d=- 3="},
};

START_TEST(test_walk) {
  lsm_iter *it = NULL;
  char text[400] = "", back[400] = "";
  ck_assert_int_eq(lsm_live_new(vec_iter_new(entries, NENTRIES, NULL), 2, walks[_i].now, "t", &it),
                   LSM_OK);
  ck_assert_int_eq(it->ops->first(it), LSM_OK);
  while (it->valid) {
    show(it, text);
    ck_assert_int_eq(it->ops->next(it), LSM_OK);
  }
  ck_assert_str_eq(text, walks[_i].all);
  ck_assert_int_eq(it->ops->last(it), LSM_OK);
  int n = 0;
  for (; it->valid; n++) ck_assert_int_eq(it->ops->prev(it), LSM_OK);
  ck_assert_int_eq(n, NENTRIES);
  ck_assert_int_eq(it->ops->seek_ge(it, lsm_slice_str("\x02" "c")), LSM_OK);
  show(it, back);
  ck_assert_str_eq(back, " 2c=");
  ck_assert_uint_eq(lsm_live_until(it), 0);
  ck_assert_int_eq(it->ops->seek_le(it, lsm_slice_str("\x02" "aa")), LSM_OK);
  ck_assert_uint_eq(lsm_live_until(it), 9);
  lsm_iter_free(it);
}
END_TEST

START_TEST(test_walk_damaged) {
  static const vec_entry bad[] = {{KEY("\x02" "a"), KEY("short"), LSM_KIND_PUT}};
  lsm_iter *it = NULL;
  ck_assert_int_eq(lsm_live_new(vec_iter_new(bad, 1, NULL), 2, 7, "name", &it), LSM_OK);
  ck_assert_int_eq(it->ops->first(it), LSM_CORRUPT);
  ck_assert(!it->valid && strstr(lsm_errmsg(), "name") != NULL);
  lsm_iter_free(it);
}
END_TEST

/*------------------------------------------------------------------- tables */

static const uint8_t store_id[16] = "a store's number";

/* A table of so many rows "\5<n>", expiring at 100 + n, and a tombstone; read back. */
static void table_with(bool expires, int rows, lsm_expiry *e) {
  lsm_env *env;
  lsm_cache *cache;
  lsm_sst_writer *w;
  lsm_sst *sst;
  lsm_sst_props props = {0};
  lsm_sst_options o = {.block_size = 200, .bloom_bits = 10, .keyspace = 5, .store_id = store_id,
                       .file_number = 9, .expires = expires};
  ck_assert_int_eq(lsm_env_mem_new(&env), LSM_OK);
  ck_assert_int_eq(lsm_cache_new(1 << 20, &cache), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_new(env, "/t", &o, &w), LSM_OK);
  for (int i = 0; i <= rows; i++) {
    uint8_t value[12] = {0};
    char key[16];
    snprintf(key, sizeof key, "\5%03d", i);
    lsm_set_u64(value, 100 + (uint64_t)i);
    lsm_slice v = i < rows ? lsm_slice_of(value, sizeof value) : LSM_SLICE_NULL;
    ck_assert_int_eq(lsm_sst_writer_add(w, i < rows ? LSM_KIND_PUT : LSM_KIND_DELETE,
                                        lsm_slice_str(key), v), LSM_OK);
  }
  ck_assert_int_eq(lsm_sst_writer_finish(w, &props), LSM_OK);
  lsm_sst_writer_free(w);
  ck_assert_int_eq(lsm_sst_open(env, "/t", store_id, 9, props.size, cache, NULL, &sst), LSM_OK);
  *e = lsm_sst_get_props(sst)->expiry;
  ck_assert_mem_eq(e, &props.expiry, sizeof *e);
  ck_assert_int_eq(lsm_sst_verify(sst, NULL), LSM_OK);
  lsm_sst_close(sst);
  lsm_sst_props_fini(&props);
  lsm_cache_free(cache);
  lsm_env_mem_free(env);
}

START_TEST(test_table) {
  lsm_expiry e;
  table_with(true, 20, &e);
  ck_assert(e.first == 100 && e.half == 109 && e.last == 119);
  table_with(true, 0, &e);
  ck_assert(e.first == 1 && e.half == 1 && e.last == 1);
  table_with(false, 20, &e);
  ck_assert(e.first == 0 && e.half == 0 && e.last == 0);
}
END_TEST

/*------------------------------------------------------------------- picker */

#define SOON LSM_EXPIRY_SOON

typedef struct file_spec {
  int level;
  uint64_t run;
  const char *keys; /* "a-c" */
  lsm_expiry expiry;
} file_spec;

static const struct {
  const char *name;
  lsm_compaction compaction;
  file_spec files[4]; /* keys NULL ends them */
  uint64_t now;
  const char *want; /* levels and inputs, by number from 1 */
  const char *full; /* inputs of lsm_picker_full() */
} picks[] = {
    {"nothing expires", LSM_LEVELED, {{2, 0, "a-c", {0, 0, 0}}}, SOON * 9, "none", "none"},
    {"not yet", LSM_LEVELED, {{2, 0, "a-c", {9, 90, 0}}}, 89, "none", "1"},
    {"not at all yet", LSM_LEVELED, {{2, 0, "a-c", {9, 90, 0}}}, 8, "none", "none"},
    {"half, in place", LSM_LEVELED, {{2, 0, "a-c", {9, 90, 0}}}, 90, "2>2 1", "1"},
    {"half, the rest much later", LSM_LEVELED, {{2, 0, "a-c", {9, 90, 91 + SOON}}}, 90, "2>2 1",
     "1"},
    {"half, the rest soon", LSM_LEVELED, {{2, 0, "a-c", {9, 90, 90 + SOON}}}, 90, "none", "1"},
    {"half, down",
     LSM_LEVELED,
     {{2, 0, "a-c", {9, 90, 0}}, {3, 0, "b-d", {0, 0, 0}}, {3, 0, "e-f", {0, 0, 0}}},
     90,
     "2>3 1 2",
     "1 2 3"},
    {"half, moved to where it is in the way",
     LSM_LEVELED,
     {{2, 0, "a-c", {9, 90, 0}}, {4, 0, "b-d", {0, 0, 0}}},
     90,
     "2>3 move 1",
     "1 2"},
    {"all of it, in the way",
     LSM_LEVELED,
     {{2, 0, "a-c", {9, 9, 9}}, {3, 0, "b-d", {0, 0, 0}}},
     9,
     "2>3 1 2",
     "1 2"},
    {"tiered: not half a run",
     LSM_TIERED,
     {{0, 7, "a-c", {9, 9, 0}}, {0, 7, "d-e", {0, 0, 0}}, {0, 7, "f-g", {0, 0, 0}}},
     9,
     "none",
     "1 2 3"},
    {"tiered: half a run",
     LSM_TIERED,
     {{0, 7, "a-c", {9, 9, 0}}, {0, 7, "d-e", {0, 0, 0}}},
     9,
     "0>0 1 2",
     "1 2"},
    {"tiered: over an older one",
     LSM_TIERED,
     {{0, 7, "a-c", {9, 9, 9}}, {0, 5, "b-b", {0, 0, 0}}},
     9,
     "0>0 1 2",
     "1 2"},
};

static lsm_version *version_of(lsm_compaction compaction, const file_spec *files) {
  lsm_keyspace_options opt = {.compaction = compaction, .block_size = 4096, .expires = true};
  lsm_version *v, *next;
  lsm_edit e = {0};
  ck_assert_int_eq(lsm_version_new(NULL, NULL, &v), LSM_OK);
  ck_assert_int_eq(lsm_edit_add_keyspace(&e, 1, &opt), LSM_OK);
  for (uint64_t n = 0; n < 4 && files[n].keys != NULL; n++) {
    const file_spec *s = &files[n];
    char lo[2] = {1, s->keys[0]}, hi[2] = {1, s->keys[2]};
    lsm_sst_props p = {.size = 1000, .entries = 10, .raw_bytes = 900, .expiry = s->expiry};
    lsm_filemeta *f;
    p.smallest = (lsm_buf){(uint8_t *)lo, 2, 0};
    p.largest = (lsm_buf){(uint8_t *)hi, 2, 0};
    ck_assert_int_eq(lsm_filemeta_new(n + 1, 1, s->level, s->run, &p, &f), LSM_OK);
    ck_assert_int_eq(lsm_edit_add_file(&e, f), LSM_OK);
    lsm_filemeta_unref(f);
  }
  ck_assert_int_eq(lsm_version_apply(v, &e, "test", 0, &next), LSM_OK);
  lsm_edit_fini(&e);
  lsm_version_unref(v);
  return next;
}

static void show_plan(bool found, lsm_plan *p, bool levels, char *out) {
  if (!found) strcpy(out, "none");
  if (found && levels) {
    sprintf(out, "%d>%d%s", p->source_level, p->output_level, p->move ? " move" : "");
  }
  for (size_t i = 0; found && i < p->ninputs; i++) {
    sprintf(out + strlen(out), "%s%d", out[0] != 0 ? " " : "", (int)p->inputs[i]->number);
  }
  lsm_plan_fini(p);
}

START_TEST(test_pick) {
  static const lsm_picker_options small = {4, 1u << 20, 10, 2.0, 16, 1u << 30, 1u << 30, 0, 4};
  lsm_picker_options opt = small;
  lsm_version *v = version_of(picks[_i].compaction, picks[_i].files);
  lsm_plan plan;
  bool found;
  char text[100] = "", full[100] = "";
  double score[LSM_MAX_LEVELS], most = 0;
  opt.now = picks[_i].now;
  ck_assert_int_eq(lsm_picker_pick(lsm_version_tree(v, 1), &opt, &found, &plan), LSM_OK);
  lsm_picker_scores(lsm_version_tree(v, 1), &opt, score);
  for (int l = 0; l < LSM_MAX_LEVELS; l++) most = score[l] > most ? score[l] : most;
  ck_assert_int_eq(found, most >= 1);
  show_plan(found, &plan, true, text);
  ck_assert_msg(strcmp(text, picks[_i].want) == 0, "%s: %s", picks[_i].name, text);
  ck_assert_int_eq(lsm_picker_full(lsm_version_tree(v, 1), opt.now, &found, &plan), LSM_OK);
  show_plan(found, &plan, false, full);
  ck_assert_msg(strcmp(full, picks[_i].full) == 0, "%s, full: %s", picks[_i].name, full);
  lsm_version_unref(v);
}
END_TEST

/*-------------------------------------------------------------------- drops */

#define DEAD  {5, 6, 7}
#define ALIVE {5, 6, 0}

static const struct {
  lsm_compaction compaction;
  file_spec files[4]; /* keys NULL ends them */
  const char *gone;
} drops[] = {
    {LSM_LEVELED, {{1, 0, "a-c", DEAD}}, "1"},
    {LSM_LEVELED, {{1, 0, "a-c", ALIVE}}, ""},
    {LSM_LEVELED, {{1, 0, "a-c", {0, 0, 0}}}, ""},
    {LSM_LEVELED, {{1, 0, "a-c", {8, 8, 8}}}, ""},
    {LSM_LEVELED, {{1, 0, "a-c", DEAD}, {1, 0, "d-e", ALIVE}, {1, 0, "f-f", DEAD}}, "1 3"},
    /* what is older, and stays, is in the way */
    {LSM_LEVELED, {{1, 0, "a-c", DEAD}, {2, 0, "c-e", ALIVE}}, ""},
    {LSM_LEVELED, {{1, 0, "a-c", DEAD}, {6, 0, "b-b", ALIVE}}, ""},
    {LSM_LEVELED, {{1, 0, "a-c", DEAD}, {2, 0, "d-e", ALIVE}}, "1"},
    {LSM_LEVELED, {{1, 0, "a-c", DEAD}, {2, 0, "c-e", DEAD}}, "2 1"},
    /* what is newer is not */
    {LSM_LEVELED, {{1, 0, "a-c", ALIVE}, {2, 0, "c-e", DEAD}}, "2"},
    {LSM_LEVELED, {{0, 9, "a-c", ALIVE}, {0, 8, "c-e", DEAD}, {1, 0, "b-d", DEAD}}, "3 2"},
    /* one that has to wait holds others up */
    {LSM_LEVELED, {{1, 0, "a-c", DEAD}, {2, 0, "c-e", DEAD}, {3, 0, "e-f", ALIVE}}, ""},
    {LSM_TIERED, {{0, 9, "a-c", DEAD}, {0, 8, "c-e", DEAD}, {0, 7, "e-f", ALIVE}}, ""},
    {LSM_TIERED, {{0, 7, "a-c", DEAD}, {0, 8, "c-e", DEAD}, {0, 9, "e-f", ALIVE}}, "1 2"},
    {LSM_TIERED, {{0, 9, "a-c", DEAD}, {0, 9, "d-e", ALIVE}, {0, 8, "d-f", DEAD}}, "3 1"},
};

START_TEST(test_drop) {
  lsm_version *v = version_of(drops[_i].compaction, drops[_i].files);
  lsm_edit e = {0};
  char text[100] = "";
  uint64_t values = 0;
  ck_assert_int_eq(lsm_tree_drop_expired(lsm_version_tree(v, 1), 7, &e, &values), LSM_OK);
  for (size_t i = 0; i < e.nremoved; i++) {
    sprintf(text + strlen(text), "%s%d", i > 0 ? " " : "", (int)e.removed[i].number);
  }
  ck_assert_str_eq(text, drops[_i].gone);
  ck_assert_uint_eq(values, 10 * e.nremoved);
  ck_assert_uint_eq(e.nadded, 0);
  lsm_edit_fini(&e);
  lsm_version_unref(v);
}
END_TEST

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

Suite *expiry_suite(void) {
  Suite *s = suite_create("expiry");
  TCase *tc = tcase_create("expiry");
  tcase_add_loop_test(tc, test_sum, 0, COUNT(sums));
  tcase_add_test(tc, test_large_sum);
  tcase_add_test(tc, test_past);
  tcase_add_loop_test(tc, test_walk, 0, COUNT(walks));
  tcase_add_test(tc, test_walk_damaged);
  tcase_add_test(tc, test_table);
  tcase_add_loop_test(tc, test_pick, 0, COUNT(picks));
  tcase_add_loop_test(tc, test_drop, 0, COUNT(drops));
  suite_add_tcase(s, tc);
  return s;
}
