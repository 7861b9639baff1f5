/* test_picker.c: the plan for each shape of a tree, by tables. What plans do
** to a tree over time is in test_picker_sim.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "picker.h"

Suite *picker_suite(void);

#define KEYSPACE 1

static lsm_version *version_with(lsm_compaction compaction, lsm_compression compression) {
  lsm_version *v, *next;
  lsm_edit e;
  lsm_keyspace_options opt = {
      .compaction = compaction, .compression = compression, .block_size = 4096};
  memset(&e, 0, sizeof e);
  ck_assert_int_eq(lsm_version_new(NULL, NULL, &v), LSM_OK);
  ck_assert_int_eq(lsm_edit_add_keyspace(&e, KEYSPACE, &opt), LSM_OK);
  ck_assert_int_eq(lsm_version_apply(v, &e, "test", 0, &next), LSM_OK);
  lsm_edit_fini(&e);
  lsm_version_unref(v);
  return next;
}

/* Applies e, finis it, replaces *v. */
static void apply(lsm_version **v, lsm_edit *e) {
  lsm_version *next;
  lsm_rc rc = lsm_version_apply(*v, e, "test", 0, &next);
  ck_assert_msg(rc == LSM_OK, "%s", rc == LSM_OK ? "" : lsm_errmsg());
  lsm_edit_fini(e);
  lsm_version_unref(*v);
  *v = next;
}

static lsm_buf borrowed(const void *data, size_t size) {
  lsm_buf b = {(uint8_t *)(uintptr_t)data, size, 0};
  return b;
}

/*---------------------------------------------------------------- tables */

/* A file: where, its keys ("a-c", open: "a-c)"; packed: "a-c*"), size, what it holds. */
typedef struct spec {
  int level;
  uint64_t run;
  const char *keys;
  uint64_t size, entries, tombstones, ranges;
} spec;

typedef struct pick_case {
  const char *name;
  lsm_compaction compaction;
  spec files[10];          /* numbered from 1; size 0 ends them */
  const char *compact_key; /* of level 1 */
  const char *want;
} pick_case;

static void add_spec(lsm_edit *e, const spec *s, uint64_t number) {
  lsm_sst_props p = {0};
  lsm_filemeta *f;
  const char *dash = strchr(s->keys, '-');
  size_t len = strlen(dash + 1);
  p.packed = dash[len] == '*';
  len -= p.packed;
  p.largest_open = dash[len] == ')';
  p.smallest = borrowed(s->keys, (size_t)(dash - s->keys));
  p.largest = borrowed(dash + 1, len - p.largest_open);
  p.size = s->size;
  p.entries = s->entries;
  p.tombstones = s->tombstones;
  p.ranges = s->ranges;
  ck_assert_int_eq(lsm_filemeta_new(number, KEYSPACE, s->level, s->run, &p, &f), LSM_OK);
  ck_assert_int_eq(lsm_edit_add_file(e, f), LSM_OK);
  lsm_filemeta_unref(f);
}

static lsm_version *version_of(const pick_case *c, lsm_compression compression) {
  lsm_version *v = version_with(c->compaction, compression);
  lsm_edit e;
  memset(&e, 0, sizeof e);
  for (size_t i = 0; i < 10 && c->files[i].size > 0; i++) add_spec(&e, &c->files[i], i + 1);
  if (c->compact_key != NULL) {
    ck_assert_int_eq(lsm_edit_set_pointer(&e, KEYSPACE, 1, lsm_slice_str(c->compact_key)), LSM_OK);
  }
  apply(&v, &e);
  return v;
}

static void list(const char *what, lsm_filemeta **files, size_t n, char *out) {
  if (n == 0) return;
  out += strlen(out);
  out += sprintf(out, " %s", what);
  for (size_t i = 0; i < n; i++) {
    out += sprintf(out, "%c%d", i == 0 ? '=' : ',', (int)files[i]->number);
  }
}

/* "0>1 in=2,1 below=3": the plan in words. */
static void show(bool found, const lsm_plan *p, char *out) {
  if (!found) {
    strcpy(out, "none");
    return;
  }
  sprintf(out, "%d>%d%s", p->source_level, p->output_level,
          p->move ? " move" : p->raw ? " raw" : "");
  if (p->output_run != 0) sprintf(out + strlen(out), " run=%d", (int)p->output_run);
  list("in", p->inputs, p->ninputs, out);
  list("below", p->below, p->nbelow, out);
  if (p->next_key.data != NULL) {
    sprintf(out + strlen(out), " next=%.*s", (int)p->next_key.size, p->next_key.data);
  }
}

/* Level 1 may hold 6400 bytes, level 2 64000; below 100 a file is small. */
static const lsm_picker_options options = {4, 6400, 10, 2.0, 5, 50, 500, 0, 4};

static const pick_case pick_cases[] = {
    {"empty", LSM_LEVELED, {{0}}, NULL, "none"},
    {"three runs",
     LSM_LEVELED,
     {{0, 3, "a-c", 200, 9, 0, 0}, {0, 2, "a-c", 200, 9, 0, 0}, {0, 1, "a-c", 200, 9, 0, 0}},
     NULL,
     "none"},
    {"four runs: all, newest first, with what they overlap in 1, and below that",
     LSM_LEVELED,
     {{0, 7, "c-d", 200, 9, 0, 0},
      {0, 8, "c-f", 200, 9, 0, 0},
      {0, 9, "d-g", 200, 9, 0, 0},
      {0, 6, "f-h", 200, 9, 0, 0},
      {1, 0, "a-b", 200, 9, 0, 0},
      {1, 0, "bb-c)", 200, 9, 0, 0},
      {1, 0, "e-i", 200, 9, 0, 0},
      {1, 0, "k-m", 200, 9, 0, 0},
      {2, 0, "i-k", 200, 9, 0, 0},
      {3, 0, "j-k", 200, 9, 0, 0}},
     NULL,
     "0>1 in=3,2,1,4,7 below=9"},
    {"many runs of few bytes over much: the cheapest to merge become one, below the newest's number",
     LSM_LEVELED,
     {{0, 9, "a-b", 200, 9, 0, 0},
      {0, 8, "a-b", 100, 9, 0, 0},
      {0, 8, "c-d", 100, 9, 0, 0},
      {0, 7, "b-d", 200, 9, 0, 0},
      {0, 6, "a-d", 900, 9, 0, 0},
      {1, 0, "a-c", 1501, 9, 0, 0},
      {2, 0, "b-c", 200, 9, 0, 0},
      {3, 0, "e-f", 200, 9, 0, 0}},
     NULL,
     "0>0 raw run=9 in=1,2,3,4 below=5,6,7"},
    {"older ones, where they are cheaper",
     LSM_LEVELED,
     {{0, 9, "a-b", 900, 9, 0, 0},
      {0, 8, "a-b", 100, 9, 0, 0},
      {0, 7, "b-d", 100, 9, 0, 0},
      {0, 6, "a-d", 900, 9, 0, 0},
      {1, 0, "a-c", 5000, 9, 0, 0}},
     NULL,
     "0>0 raw run=8 in=2,3 below=4,5"},
    {"only what they overlap counts",
     LSM_LEVELED,
     {{0, 9, "a-b", 200, 9, 0, 0},
      {0, 8, "a-b", 200, 9, 0, 0},
      {0, 7, "b-d", 200, 9, 0, 0},
      {0, 6, "a-d", 900, 9, 0, 0},
      {1, 0, "a-c", 1500, 9, 0, 0},
      {1, 0, "e-f", 1500, 9, 0, 0}},
     NULL,
     "0>1 in=1,2,3,4,5"},
    {"and that up to what level 1 may hold",
     LSM_LEVELED,
     {{0, 9, "a-b", 800, 9, 0, 0},
      {0, 8, "a-b", 800, 9, 0, 0},
      {0, 7, "b-d", 800, 9, 0, 0},
      {0, 6, "a-d", 800, 9, 0, 0},
      {0, 5, "a-d", 800, 9, 0, 0},
      {0, 4, "a-d", 800, 9, 0, 0},
      {0, 3, "a-d", 800, 9, 0, 0},
      {0, 2, "a-d", 800, 9, 0, 0},
      {1, 0, "a-c", 12000, 9, 0, 0}},
     NULL,
     "0>1 in=1,2,3,4,5,6,7,8,9"},
    {"runs of tombstones do not stay",
     LSM_LEVELED,
     {{0, 9, "a-b", 200, 9, 0, 0},
      {0, 8, "a-b", 200, 9, 9, 0},
      {0, 7, "b-d", 200, 9, 0, 0},
      {0, 6, "a-d", 900, 9, 0, 0},
      {1, 0, "a-c", 5000, 9, 0, 0}},
     NULL,
     "0>1 in=1,2,3,4,5"},
    {"gaps in the hull count",
     LSM_LEVELED,
     {{0, 4, "a-b", 200, 9, 0, 0},
      {0, 3, "a-b", 200, 9, 0, 0},
      {0, 2, "x-y", 200, 9, 0, 0},
      {0, 1, "x-y", 200, 9, 0, 0},
      {1, 0, "m-n", 200, 9, 0, 0},
      {2, 0, "p-q", 200, 9, 0, 0}},
     NULL,
     "0>1 in=1,2,3,4,5 below=6"},
    {"runs of several files go whole",
     LSM_LEVELED,
     {{0, 4, "a-b", 200, 9, 0, 0},
      {0, 4, "c-d", 200, 9, 0, 0},
      {0, 3, "a-d", 200, 9, 0, 0},
      {0, 2, "a-d", 200, 9, 0, 0},
      {0, 1, "a-d", 200, 9, 0, 0}},
     NULL,
     "0>1 in=1,2,3,4,5"},
    {"small neighbours come along",
     LSM_LEVELED,
     {{0, 4, "e-f", 20, 9, 0, 0},
      {0, 3, "e-f", 20, 9, 0, 0},
      {0, 2, "e-f", 20, 9, 0, 0},
      {0, 1, "e-f", 20, 9, 0, 0},
      {1, 0, "a-b", 20, 9, 0, 0},
      {1, 0, "c-d", 20, 9, 0, 0},
      {1, 0, "g-h", 99, 9, 0, 0},
      {1, 0, "i-k", 20, 9, 0, 0},
      {2, 0, "c-c", 20, 9, 0, 0}},
     NULL,
     "0>1 in=1,2,3,4,6,7 below=9"},
    {"big neighbours do not",
     LSM_LEVELED,
     {{0, 4, "e-f", 20, 9, 0, 0},
      {0, 3, "e-f", 20, 9, 0, 0},
      {0, 2, "e-f", 20, 9, 0, 0},
      {0, 1, "e-f", 20, 9, 0, 0},
      {1, 0, "c-d", 100, 9, 0, 0},
      {1, 0, "g-h", 100, 9, 0, 0}},
     NULL,
     "0>1 in=1,2,3,4"},
    {"a big enough file that meets no other run moves",
     LSM_LEVELED,
     {{0, 4, "a-b", 200, 9, 0, 0},
      {0, 3, "a-b", 200, 9, 0, 0},
      {0, 2, "m-n", 200, 9, 0, 0},
      {0, 1, "a-b", 200, 9, 0, 0},
      {1, 0, "n-p", 200, 9, 0, 0}},
     NULL,
     "0>1 in=1,2,3,4,5"},
    {"a big enough file that meets nothing moves",
     LSM_LEVELED,
     {{0, 4, "a-b", 200, 9, 0, 0},
      {0, 3, "a-b", 200, 9, 0, 0},
      {0, 2, "m-n", 200, 9, 0, 1},
      {0, 1, "a-b", 200, 9, 0, 0},
      {1, 0, "o-p", 200, 9, 0, 0},
      {2, 0, "n-p", 200, 9, 0, 0}},
     NULL,
     "0>1 move in=3 below=6"},
    {"rising runs move, oldest first",
     LSM_LEVELED,
     {{0, 4, "g-h", 200, 9, 0, 0},
      {0, 3, "e-f", 200, 9, 0, 0},
      {0, 2, "c-d", 200, 9, 0, 0},
      {0, 1, "a-b", 200, 9, 0, 0}},
     NULL,
     "0>1 move in=4"},
    {"one big run", LSM_LEVELED, {{0, 1, "a-b", 12799, 9, 0, 0}}, NULL, "none"},
    {"one very big run moves", LSM_LEVELED, {{0, 1, "a-b", 12800, 9, 0, 0}}, NULL, "0>1 move in=1"},
    {"one very big run merges",
     LSM_LEVELED,
     {{0, 1, "a-f", 12800, 9, 0, 0}, {1, 0, "f-g", 10, 9, 0, 0}},
     NULL,
     "0>1 in=1,2"},
    {"level 1 too big: the first",
     LSM_LEVELED,
     {{1, 0, "a-b", 3200, 9, 0, 0},
      {1, 0, "c-d", 3200, 9, 0, 0},
      {2, 0, "b-c)", 9, 9, 0, 0},
      {3, 0, "bz-k", 9, 9, 0, 0}},
     NULL,
     "1>2 in=1,3 below=4 next=b"},
    {"the next after the pointer, which moves",
     LSM_LEVELED,
     {{1, 0, "a-b", 3200, 9, 0, 0}, {1, 0, "c-d", 3200, 9, 0, 0}, {2, 0, "b-c)", 9, 9, 0, 0}},
     "b",
     "1>2 move in=2 next=d"},
    {"round again",
     LSM_LEVELED,
     {{1, 0, "a-b", 3200, 9, 0, 0}, {1, 0, "c-d", 3200, 9, 0, 0}, {2, 0, "a-c)", 9, 9, 0, 0}},
     "d",
     "1>2 in=1,3 next=b"},
    {"within bounds",
     LSM_LEVELED,
     {{1, 0, "a-b", 3200, 9, 0, 0}, {1, 0, "c-d", 3199, 9, 0, 0}, {2, 0, "a-c)", 63999, 9, 0, 0}},
     NULL,
     "none"},
    {"the most overdue level",
     LSM_LEVELED,
     {{1, 0, "a-b", 6500, 9, 0, 0}, {2, 0, "a-d", 66000, 9, 0, 0}, {3, 0, "d-e", 9, 9, 0, 0}},
     NULL,
     "2>3 in=2,3 next=d"},
    {"the last level has no bounds",
     LSM_LEVELED,
     {{6, 0, "a-b", UINT32_MAX * 90ull, 9, 0, 0}},
     NULL,
     "none"},
    {"tombstones go down",
     LSM_LEVELED,
     {{1, 0, "a-b", 9, 9, 5, 0}, {1, 0, "c-d", 9, 9, 6, 0}, {2, 0, "a-c", 9, 9, 0, 0}},
     NULL,
     "1>2 in=2,3"},
    {"and over a gap",
     LSM_LEVELED,
     {{1, 0, "c-d", 9, 9, 6, 0}, {3, 0, "a-c", 9, 9, 0, 0}},
     NULL,
     "1>2 move in=1 below=2"},
    {"and are rewritten where nothing lies below",
     LSM_LEVELED,
     {{2, 0, "c-d", 9, 9, 6, 0}, {3, 0, "a-c)", 9, 9, 0, 0}, {1, 0, "a-d", 9, 9, 0, 0}},
     NULL,
     "2>2 in=1"},
    {"a range alone",
     LSM_LEVELED,
     {{2, 0, "c-d)", 9, 0, 0, 1}, {6, 0, "d-f", 9, 9, 0, 0}},
     NULL,
     "2>2 in=1"},
    {"the last level in place", LSM_LEVELED, {{6, 0, "c-d", 9, 9, 9, 0}}, NULL, "6>6 in=1"},
    {"tombstones in level 0 with nothing below are not moved",
     LSM_LEVELED,
     {{0, 1, "c-d", 9, 9, 9, 0}},
     NULL,
     "0>1 in=1"},
    {"tombstones in level 0 move to what they hide",
     LSM_LEVELED,
     {{0, 1, "c-d", 9, 9, 9, 0}, {2, 0, "d-f", 9, 9, 0, 0}},
     NULL,
     "0>1 move in=1 below=2"},
    {"size goes before density; no move with tombstones that can go",
     LSM_LEVELED,
     {{1, 0, "a-b", 9, 9, 9, 0}, {1, 0, "c-d", 6400, 9, 9, 0}},
     "b",
     "1>2 in=2 next=d"},

    {"tiered: empty", LSM_TIERED, {{0}}, NULL, "none"},
    {"tiered: three alike",
     LSM_TIERED,
     {{0, 3, "a-c", 10, 9, 0, 0}, {0, 2, "a-c", 10, 9, 0, 0}, {0, 1, "a-c", 20, 9, 0, 0}},
     NULL,
     "none"},
    {"tiered: four alike, whole runs, older ones below",
     LSM_TIERED,
     {{0, 9, "a-c", 10, 9, 0, 0},
      {0, 7, "a-b", 5, 9, 0, 0},
      {0, 7, "c-d", 5, 9, 0, 0},
      {0, 6, "a-c", 20, 9, 0, 0},
      {0, 5, "a-c", 19, 9, 0, 0},
      {0, 4, "c-f", 99, 9, 0, 0},
      {0, 4, "g-k", 99, 9, 0, 0}},
     NULL,
     "0>0 run=9 in=1,2,3,4,5 below=6"},
    {"tiered: older ones alike",
     LSM_TIERED,
     {{0, 9, "a-c", 10, 9, 0, 0},
      {0, 8, "a-c", 99, 9, 0, 0},
      {0, 7, "a-c", 99, 9, 0, 0},
      {0, 6, "a-c", 99, 9, 0, 0},
      {0, 5, "a-c", 99, 9, 0, 0}},
     NULL,
     "0>0 run=8 in=2,3,4,5"},
    {"tiered: one between them too large",
     LSM_TIERED,
     {{0, 9, "a-c", 10, 9, 0, 0},
      {0, 8, "a-c", 10, 9, 0, 0},
      {0, 7, "a-c", 99, 9, 0, 0},
      {0, 6, "a-c", 10, 9, 0, 0},
      {0, 5, "a-c", 10, 9, 0, 0}},
     NULL,
     "none"},
    {"tiered: too many runs, the cheapest go",
     LSM_TIERED,
     {{0, 9, "a-c", 900, 9, 0, 0},
      {0, 8, "a-c", 90, 9, 0, 0},
      {0, 7, "a-c", 9, 9, 0, 0},
      {0, 6, "a-c", 90, 9, 0, 0},
      {0, 5, "a-c", 900, 9, 0, 0},
      {0, 4, "d-e", 9000, 9, 0, 0}},
     NULL,
     "0>0 run=8 in=2,3,4 below=5"},
    {"tiered: tombstones with the next older",
     LSM_TIERED,
     {{0, 9, "a-c", 900, 9, 0, 0},
      {0, 8, "a-c", 90, 9, 9, 0},
      {0, 7, "c-d", 9, 9, 0, 0},
      {0, 6, "a-b", 90, 9, 0, 0}},
     NULL,
     "0>0 run=8 in=2,3 below=4"},
    {"tiered: tombstones over nothing",
     LSM_TIERED,
     {{0, 9, "a-c", 900, 9, 0, 0}, {0, 8, "a-c", 90, 9, 9, 0}, {0, 7, "d-d", 9, 9, 0, 0}},
     NULL,
     "0>0 run=8 in=2"},
    {"tiered: tombstones in the oldest",
     LSM_TIERED,
     {{0, 9, "a-c", 900, 9, 0, 0}, {0, 8, "a-c", 90, 9, 7, 5}},
     NULL,
     "0>0 run=8 in=2"},
};

START_TEST(test_pick) {
  const pick_case *c = &pick_cases[_i];
  lsm_version *v = version_of(c, LSM_COMPRESS_NONE);
  const lsm_tree *t = lsm_version_tree(v, KEYSPACE);
  lsm_plan plan;
  bool found;
  char got[256] = "";
  double score[LSM_MAX_LEVELS], most = 0;
  ck_assert_int_eq(lsm_picker_pick(t, &options, &found, &plan), LSM_OK);
  show(found, &plan, got);
  ck_assert_msg(strcmp(got, c->want) == 0, "%s: %s, not %s", c->name, got, c->want);
  lsm_picker_scores(t, &options, score);
  for (int l = 0; l < LSM_MAX_LEVELS; l++) most = score[l] > most ? score[l] : most;
  ck_assert_int_eq(most >= 1, found);
  if (found) ck_assert(plan.score == most && score[plan.source_level] == most);
  lsm_plan_fini(&plan);
  lsm_plan_fini(&plan); /* an empty one is fine */
  lsm_version_unref(v);
}
END_TEST

static const pick_case full_cases[] = {
    {"empty", LSM_LEVELED, {{0}}, NULL, "none"},
    {"one run", LSM_LEVELED, {{3, 0, "a-b", 9, 9, 0, 0}, {3, 0, "c-d", 9, 9, 0, 0}}, NULL, "none"},
    {"one run in level 0",
     LSM_LEVELED,
     {{0, 5, "a-b", 9, 9, 0, 0}, {0, 5, "c-d", 9, 9, 0, 0}},
     NULL,
     "none"},
    {"one run with a tombstone",
     LSM_LEVELED,
     {{3, 0, "a-b", 9, 9, 0, 0}, {3, 0, "c-d", 9, 9, 1, 0}},
     NULL,
     "3>3 in=1,2"},
    {"one run with a range", LSM_LEVELED, {{0, 2, "a-b", 9, 9, 0, 1}}, NULL, "0>1 in=1"},
    {"two in level 0",
     LSM_LEVELED,
     {{0, 2, "a-b", 9, 9, 0, 0}, {0, 3, "a-b", 9, 9, 0, 0}},
     NULL,
     "0>1 in=2,1"},
    {"all levels, in order",
     LSM_LEVELED,
     {{0, 2, "a-b", 9, 9, 0, 0},
      {0, 3, "a-b", 9, 9, 0, 0},
      {4, 0, "a-b", 9, 9, 0, 0},
      {1, 0, "c-d", 9, 9, 0, 0},
      {1, 0, "a-b", 9, 9, 0, 0}},
     NULL,
     "0>4 in=2,1,5,4,3"},
    {"tiered",
     LSM_TIERED,
     {{0, 2, "a-b", 9, 9, 0, 0}, {0, 3, "a-b", 9, 9, 0, 0}},
     NULL,
     "0>0 run=3 in=2,1"},
    {"tiered, one",
     LSM_TIERED,
     {{0, 2, "a-b", 9, 9, 0, 0}, {0, 2, "c-d", 9, 9, 0, 0}},
     NULL,
     "none"},
};

START_TEST(test_full) {
  const pick_case *c = &full_cases[_i];
  lsm_version *v = version_of(c, LSM_COMPRESS_NONE);
  lsm_plan plan;
  bool found;
  char got[256] = "";
  ck_assert_int_eq(lsm_picker_full(lsm_version_tree(v, KEYSPACE), 0, &found, &plan), LSM_OK);
  show(found, &plan, got);
  ck_assert_msg(strcmp(got, c->want) == 0, "%s: %s, not %s", c->name, got, c->want);
  lsm_plan_fini(&plan);
  lsm_version_unref(v);
}
END_TEST

/* Nothing is due; what is not packed? */
static const pick_case rest_cases[] = {
    {"all packed",
     LSM_LEVELED,
     {{0, 2, "a-b*", 200, 9, 0, 0}, {1, 0, "a-b*", 200, 9, 0, 0}},
     NULL,
     "none"},
    {"too little", LSM_LEVELED, {{0, 2, "a-b", 49, 9, 0, 0}}, NULL, "none"},
    {"a run alone goes down, file by file",
     LSM_LEVELED,
     {{0, 2, "a-b", 200, 9, 0, 0}, {0, 2, "c-d", 200, 9, 0, 0}, {2, 0, "c-d*", 900, 9, 0, 0}},
     NULL,
     "0>1 in=2 below=3"},
    {"what is packed just moves",
     LSM_LEVELED,
     {{0, 2, "a-b", 200, 9, 0, 0}, {0, 2, "c-d*", 200, 9, 0, 0}},
     NULL,
     "0>1 move in=2"},
    {"little lies below: level 0 goes down",
     LSM_LEVELED,
     {{0, 3, "a-d*", 200, 9, 0, 0},
      {0, 2, "a-b", 100, 9, 0, 0},
      {0, 2, "c-d", 100, 9, 0, 0},
      {1, 0, "b-c*", 400, 9, 0, 0},
      {1, 0, "e-f*", 900, 9, 0, 0}},
     NULL,
     "0>1 in=1,2,3,4"},
    {"much lies below: in place, the oldest first, with its neighbours",
     LSM_LEVELED,
     {{0, 3, "a-d", 100, 9, 0, 0},
      {0, 2, "a-b", 100, 9, 0, 0},
      {0, 2, "c-d", 100, 9, 0, 0},
      {0, 2, "e-f*", 100, 9, 0, 0},
      {0, 1, "b-f*", 100, 9, 0, 0},
      {1, 0, "b-c*", 501, 9, 0, 0},
      {2, 0, "e-f*", 900, 9, 0, 0}},
     NULL,
     "0>0 run=2 in=2,3 below=5,6"},
    {"runs in a row with nothing packed become one",
     LSM_LEVELED,
     {{0, 4, "a-d*", 100, 9, 0, 0},
      {0, 3, "a-d", 100, 9, 0, 0},
      {0, 2, "a-b", 100, 9, 0, 0},
      {0, 2, "c-d", 100, 9, 0, 0},
      {0, 1, "b-f*", 100, 9, 0, 0},
      {1, 0, "b-c*", 501, 9, 0, 0},
      {2, 0, "c-f*", 900, 9, 0, 0},
      {2, 0, "g-h*", 900, 9, 0, 0}},
     NULL,
     "0>0 run=3 in=2,3,4 below=5,6,7"},
    {"but no more than one job",
     LSM_LEVELED,
     {{1, 0, "a-b", 200, 9, 0, 0},
      {1, 0, "c-d", 200, 9, 0, 0},
      {1, 0, "e-f", 200, 9, 0, 0},
      {1, 0, "g-h", 200, 9, 0, 0},
      {2, 0, "f-h", 200, 9, 0, 0}},
     NULL,
     "1>1 in=3,4 below=5"},
    {"nor over what is packed",
     LSM_LEVELED,
     {{3, 0, "a-b", 10, 9, 0, 0}, {3, 0, "c-d*", 200, 9, 0, 0}, {3, 0, "e-f", 200, 9, 0, 0}},
     NULL,
     "3>3 in=3"},
    {"tiered: in its run",
     LSM_TIERED,
     {{0, 3, "a-d", 100, 9, 0, 0},
      {0, 2, "a-b", 100, 9, 0, 0},
      {0, 2, "c-d", 100, 9, 0, 0},
      {0, 1, "c-f*", 100, 9, 0, 0}},
     NULL,
     "0>0 run=2 in=2,3 below=4"},
};

START_TEST(test_rest) {
  const pick_case *c = &rest_cases[_i];
  for (int none = 0; none < 2; none++) {
    lsm_version *v = version_of(c, none ? LSM_COMPRESS_NONE : LSM_COMPRESS_ZLIB);
    const char *want = none ? "none" : c->want;
    lsm_plan plan;
    bool found;
    char got[256] = "";
    ck_assert_int_eq(lsm_picker_rest(lsm_version_tree(v, KEYSPACE), &options, &found, &plan),
                     LSM_OK);
    show(found, &plan, got);
    ck_assert_msg(strcmp(got, want) == 0, "%s: %s, not %s", c->name, got, want);
    ck_assert(!found || plan.pack);
    lsm_plan_fini(&plan);
    lsm_version_unref(v);
  }
}
END_TEST

static const pick_case down_cases[] = {
    {"empty", LSM_LEVELED, {{0}}, NULL, "none"},
    {"one run", LSM_LEVELED, {{0, 2, "a-b*", 200, 9, 0, 0}, {0, 2, "c-d*", 9, 9, 0, 0}}, NULL, "none"},
    {"one level", LSM_LEVELED, {{2, 0, "a-b*", 200, 9, 0, 0}, {2, 0, "c-d*", 9, 9, 0, 0}}, NULL, "none"},
    {"level 0 first",
     LSM_LEVELED,
     {{0, 3, "a-d*", 200, 9, 0, 0},
      {0, 2, "a-b*", 100, 9, 0, 0},
      {1, 0, "b-c*", 9000, 9, 0, 0},
      {1, 0, "e-f*", 900, 9, 0, 0},
      {2, 0, "a-f*", 900, 9, 0, 0}},
     NULL,
     "0>1 in=1,2,3 below=5"},
    {"then the next file of the next level",
     LSM_LEVELED,
     {{1, 0, "a-b*", 200, 9, 0, 0},
      {1, 0, "c-d*", 200, 9, 0, 0},
      {2, 0, "a-e*", 900, 9, 0, 0},
      {3, 0, "d-e*", 900, 9, 0, 0}},
     "b",
     "1>2 in=2,3 below=4 next=d"},
    {"tiered: all at once",
     LSM_TIERED,
     {{0, 3, "a-d*", 100, 9, 0, 0}, {0, 2, "a-b*", 900, 9, 0, 0}, {0, 1, "a-b*", 900, 9, 0, 0}},
     NULL,
     "0>0 run=3 in=1,2,3"},
};

START_TEST(test_down) {
  const pick_case *c = &down_cases[_i];
  lsm_version *v = version_of(c, LSM_COMPRESS_ZLIB);
  lsm_plan plan;
  bool found;
  char got[256] = "";
  ck_assert_int_eq(lsm_picker_down(lsm_version_tree(v, KEYSPACE), &options, &found, &plan), LSM_OK);
  show(found, &plan, got);
  ck_assert_msg(strcmp(got, c->want) == 0, "%s: %s, not %s", c->name, got, c->want);
  lsm_plan_fini(&plan);
  lsm_version_unref(v);
}
END_TEST

/* One run, which is only compact when it is packed. */
START_TEST(test_full_packs) {
  const pick_case c = {
      "", LSM_LEVELED, {{2, 0, "a-b*", 9, 9, 0, 0}, {2, 0, "c-d", 9, 9, 0, 0}}, NULL, "2>2 in=1,2"};
  lsm_version *v = version_of(&c, LSM_COMPRESS_ZLIB);
  lsm_plan plan;
  bool found;
  char got[256] = "";
  ck_assert_int_eq(lsm_picker_full(lsm_version_tree(v, KEYSPACE), 0, &found, &plan), LSM_OK);
  show(found, &plan, got);
  ck_assert_str_eq(got, c.want);
  ck_assert(plan.pack);
  lsm_plan_fini(&plan);
  lsm_version_unref(v);
}
END_TEST

START_TEST(test_scores) {
  const pick_case c = {"",
                       LSM_LEVELED,
                       {{0, 2, "a-b", 10, 9, 0, 0},
                        {0, 1, "a-b", 10, 9, 0, 0},
                        {1, 0, "a-b", 640, 9, 0, 0},
                        {2, 0, "a-b", 32000, 9, 0, 0},
                        {3, 0, "a-b", 9, 9, 9, 0},
                        {6, 0, "a-b", 1u << 31, 9, 0, 0}},
                       NULL,
                       NULL};
  lsm_version *v = version_of(&c, LSM_COMPRESS_NONE);
  double score[LSM_MAX_LEVELS];
  const double want[LSM_MAX_LEVELS] = {0.5, 0.1, 0.5, 1, 0, 0, 0};
  lsm_picker_scores(lsm_version_tree(v, KEYSPACE), &options, score);
  for (int l = 0; l < LSM_MAX_LEVELS; l++) ck_assert_double_eq_tol(score[l], want[l], 1e-9);
  lsm_version_unref(v);
}
END_TEST

static bool fail_nth(void *arg) {
  int *n = arg;
  return --*n != 0;
}

START_TEST(test_nomem) {
  const pick_case *c = pick_cases;
  while (strcmp(c->name, "level 1 too big: the first") != 0) c++; /* with a next_key */
  lsm_version *v = version_of(c, LSM_COMPRESS_ZLIB);
  const lsm_tree *t = lsm_version_tree(v, KEYSPACE);
  for (int how = 0; how < 4; how++) {
    for (int nth = 1;; nth++) {
      lsm_plan plan;
      bool found = true;
      int n = nth;
      lsm_set_malloc_hook(fail_nth, &n);
      lsm_rc rc = how == 0   ? lsm_picker_pick(t, &options, &found, &plan)
                  : how == 1 ? lsm_picker_full(t, 0, &found, &plan)
                  : how == 2 ? lsm_picker_rest(t, &options, &found, &plan)
                             : lsm_picker_down(t, &options, &found, &plan);
      lsm_set_malloc_hook(NULL, NULL);
      ck_assert_int_eq(found, rc == LSM_OK);
      lsm_plan_fini(&plan);
      if (rc == LSM_OK) {
        ck_assert_int_gt(nth, 2);
        break;
      }
      ck_assert_int_eq(rc, LSM_NOMEM);
      ck_assert_int_lt(nth, 10);
    }
  }
  lsm_version_unref(v);
}
END_TEST

Suite *picker_suite(void) {
  Suite *s = suite_create("picker");
  TCase *tc = tcase_create("picker");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, test_pick, 0, (int)(sizeof pick_cases / sizeof *pick_cases));
  tcase_add_loop_test(tc, test_full, 0, (int)(sizeof full_cases / sizeof *full_cases));
  tcase_add_loop_test(tc, test_rest, 0, (int)(sizeof rest_cases / sizeof *rest_cases));
  tcase_add_loop_test(tc, test_down, 0, (int)(sizeof down_cases / sizeof *down_cases));
  tcase_add_test(tc, test_full_packs);
  tcase_add_test(tc, test_scores);
  tcase_add_test(tc, test_nomem);
  suite_add_tcase(s, tc);
  return s;
}
