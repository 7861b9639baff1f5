/* test_picker_sim.c: carries the picker's plans out on a model tree, beside
** flushes. No plan may change what a read finds, what a plan calls below must
** be all that is, and picking must come to rest. */
#include <check.h>
#include <stdlib.h>

#include "gc.h"
#include "picker.h"

Suite *picker_sim_suite(void);

#define KEYSPACE 1

static lsm_version *version_with(lsm_compaction compaction) {
  lsm_version *v, *next;
  lsm_edit e;
  lsm_keyspace_options opt = {
      .compaction = compaction, .compression = LSM_COMPRESS_ZLIB, .block_size = 4096};
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

#define KEYS      200
#define MAX_FILES 20000

/* What a file holds: by key, 0 nothing, 1 a tombstone, else a version of the
** value; and which keys its range tombstones cover. */
typedef struct content {
  uint32_t point[KEYS];
  bool cover[KEYS];
} content;

typedef struct sim {
  lsm_version *v;
  content **files; /* by number */
  uint64_t next_file, next_run;
  uint32_t truth[KEYS]; /* what reads must find: 0 or a version */
  uint32_t clock;
  int cut;   /* points in a file, at most */
  bool pack; /* files are written packed */
  int merges, moves, in_place, rests, tiers;
} sim;

static const lsm_tree *tree(const sim *s) {
  return lsm_version_tree(s->v, KEYSPACE);
}

static lsm_slice key_of(int k, uint8_t *buf) {
  buf[0] = KEYSPACE;
  buf[1] = (uint8_t)(k >> 8);
  buf[2] = (uint8_t)k;
  return lsm_slice_of(buf, 3);
}

/* Makes a file of c's keys [from, to), unless that is nothing. */
static void write_file(sim *s, lsm_edit *e, const content *c, int from, int to, int level,
                       uint64_t run) {
  lsm_sst_props p = {0};
  content *copy = calloc(1, sizeof *copy);
  int lo = -1, last_point = -1, last_cover = -1;
  uint8_t small[3], large[3];
  for (int k = from; k < to; k++) {
    copy->point[k] = c->point[k];
    copy->cover[k] = c->cover[k];
    if (lo < 0 && (c->point[k] || c->cover[k])) lo = k;
    if (c->point[k]) last_point = k;
    if (c->cover[k]) last_cover = k;
    p.entries += c->point[k] != 0;
    p.tombstones += c->point[k] == 1;
    p.ranges += c->cover[k] && (k == from || !c->cover[k - 1]);
  }
  if (lo < 0) {
    free(copy);
    return;
  }
  p.largest_open = last_cover >= last_point;
  lsm_slice a = key_of(lo, small);
  lsm_slice b = key_of(p.largest_open ? last_cover + 1 : last_point, large);
  p.smallest = borrowed(a.data, a.size);
  p.largest = borrowed(b.data, b.size);
  p.size = 10 * p.entries + 5 * p.ranges;
  p.packed = s->pack;
  lsm_filemeta *f;
  ck_assert_uint_lt(s->next_file, MAX_FILES);
  s->files[s->next_file] = copy;
  ck_assert_int_eq(lsm_filemeta_new(s->next_file++, KEYSPACE, level, run, &p, &f), LSM_OK);
  ck_assert_int_eq(lsm_edit_add_file(e, f), LSM_OK);
  lsm_filemeta_unref(f);
}

/* A run, cut into files. Ranges are cut with it. */
static void write_run(sim *s, lsm_edit *e, const content *c, int level, uint64_t run) {
  int from = 0, points = 0;
  for (int k = 0; k < KEYS; k++) {
    if (points == s->cut) {
      write_file(s, e, c, from, k, level, run);
      from = k;
      points = 0;
    }
    points += c->point[k] != 0;
  }
  write_file(s, e, c, from, KEYS, level, run);
}

/* Reads every key: newest first, the first file that knows it answers. */
static void check_reads(const sim *s) {
  bool known[KEYS] = {false};
  uint32_t value[KEYS] = {0};
  uint8_t buf[3];
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    const lsm_level *level = &tree(s)->levels[l];
    for (size_t i = 0; i < level->count; i++) {
      const content *c = s->files[level->files[i]->number];
      for (int k = 0; k < KEYS; k++) {
        if (known[k] || (c->point[k] == 0 && !c->cover[k])) continue;
        if (!lsm_filemeta_contains(level->files[i], key_of(k, buf))) ck_abort_msg("bounds");
        known[k] = true;
        value[k] = c->point[k] > 1 ? c->point[k] : 0;
      }
    }
  }
  for (int k = 0; k < KEYS; k++) {
    if (value[k] != s->truth[k]) {
      ck_abort_msg("key %d: %u, not %u", k, value[k], s->truth[k]);
    }
  }
}

/* A memtable of random writes becomes a run. */
static void flush(sim *s) {
  static content c;
  memset(&c, 0, sizeof c);
  int style = rand() % 4, n = 1 + rand() % 40, at = rand() % KEYS;
  for (int r = rand() % 3 == 0 ? 1 + rand() % 2 : 0; r > 0; r--) {
    int lo = rand() % KEYS, hi = lo + 1 + rand() % (KEYS / 3);
    for (int k = lo; k < hi && k < KEYS; k++) c.cover[k] = true;
  }
  for (int i = 0; i < n; i++) {
    int k = style == 0 ? (at + i) % KEYS : style == 1 ? (at + rand() % 20) % KEYS : rand() % KEYS;
    c.point[k] = rand() % 4 < (style == 2 ? 3 : 1) ? 1 : ++s->clock;
  }
  for (int k = 0; k < KEYS; k++) {
    if (c.point[k] != 0) {
      s->truth[k] = c.point[k] == 1 ? 0 : c.point[k];
    } else if (c.cover[k]) {
      s->truth[k] = 0;
    }
  }
  lsm_edit e;
  memset(&e, 0, sizeof e);
  write_run(s, &e, &c, 0, s->next_run++);
  apply(&s->v, &e);
  check_reads(s);
}

/* What a compaction does with the plan's inputs. */
static void merge_inputs(const sim *s, const lsm_plan *plan, content *out) {
  lsm_gc *gc;
  uint8_t a[3], b[3];
  memset(out, 0, sizeof *out);
  ck_assert_int_eq(lsm_gc_new(plan->below, plan->nbelow, &gc), LSM_OK);
  for (int k = 0; k < KEYS; k++) {
    for (size_t i = 0; i < plan->ninputs && out->point[k] == 0; i++) {
      const content *c = s->files[plan->inputs[i]->number];
      if (c->point[k] != 0) out->point[k] = c->point[k];
      if (c->cover[k]) break;
    }
    for (size_t i = 0; i < plan->ninputs; i++) {
      out->cover[k] |= s->files[plan->inputs[i]->number]->cover[k];
    }
    if (out->point[k] == 1 && !lsm_gc_keep_tombstone(gc, key_of(k, a))) out->point[k] = 0;
  }
  for (int k = 0; k < KEYS; k++) {
    int end = k;
    while (end < KEYS && out->cover[end]) end++;
    if (end > k && !lsm_gc_keep_range(gc, key_of(k, a), key_of(end, b))) {
      for (int i = k; i < end; i++) out->cover[i] = false;
    }
    k = end;
  }
  lsm_gc_free(gc);
}

static bool is_in(lsm_filemeta *const *files, size_t n, const lsm_filemeta *f) {
  for (size_t i = 0; i < n; i++) {
    if (files[i] == f) return true;
  }
  return false;
}

/* below is exactly what is older than the inputs and meets their hull. */
static void check_below(const sim *s, const lsm_plan *plan) {
  uint64_t oldest = UINT64_MAX;
  int lo = KEYS, hi = -1; /* the hull, in keys that files could hold */
  for (size_t i = 0; i < plan->ninputs; i++) {
    const lsm_filemeta *f = plan->inputs[i];
    int a = f->smallest.data[1] << 8 | f->smallest.data[2];
    int b = (f->largest.data[1] << 8 | f->largest.data[2]) - f->largest_open;
    oldest = f->run < oldest ? f->run : oldest;
    lo = a < lo ? a : lo;
    hi = b > hi ? b : hi;
  }
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    const lsm_level *level = &tree(s)->levels[l];
    for (size_t i = 0; i < level->count; i++) {
      const lsm_filemeta *f = level->files[i];
      bool older = plan->output_level == 0 ? f->run < oldest : l > plan->output_level;
      int a = f->smallest.data[1] << 8 | f->smallest.data[2];
      int b = (f->largest.data[1] << 8 | f->largest.data[2]) - f->largest_open;
      bool input = is_in(plan->inputs, plan->ninputs, f);
      bool want = older && !input && a <= hi && b >= lo;
      if (is_in(plan->below, plan->nbelow, f) != want)
        ck_abort_msg("below is not what it should be");
    }
  }
}

/* Carries the plan out. */
static void carry_out(sim *s, const lsm_plan *plan) {
  static content out;
  lsm_edit e;
  memset(&e, 0, sizeof e);
  for (size_t i = 0; i < plan->ninputs; i++) {
    ck_assert_int_eq(lsm_edit_remove_file(&e, plan->inputs[i]), LSM_OK);
  }
  if (plan->move) {
    const lsm_filemeta *f = plan->inputs[0];
    lsm_filemeta *moved;
    lsm_sst_props p = {0};
    ck_assert_uint_eq(plan->ninputs, 1);
    ck_assert_int_gt(plan->output_level, plan->source_level);
    p.size = f->size;
    p.entries = f->entries;
    p.tombstones = f->tombstones;
    p.ranges = f->ranges;
    p.largest_open = f->largest_open;
    p.packed = f->packed;
    p.smallest = borrowed(f->smallest.data, f->smallest.size);
    p.largest = borrowed(f->largest.data, f->largest.size);
    ck_assert_int_eq(lsm_filemeta_new(f->number, KEYSPACE, plan->output_level, 0, &p, &moved),
                     LSM_OK);
    ck_assert_int_eq(lsm_edit_add_file(&e, moved), LSM_OK);
    lsm_filemeta_unref(moved);
    s->moves++;
  } else {
    merge_inputs(s, plan, &out);
    s->pack = plan->pack || (!plan->raw && rand() % 2 == 0); /* as time permits */
    write_run(s, &e, &out, plan->output_level, plan->output_run);
    s->pack = false;
    s->merges++;
    s->tiers += plan->raw;
    s->in_place += plan->source_level == plan->output_level && plan->ninputs == 1;
  }
  if (plan->next_key.data != NULL) {
    ck_assert_int_eq(lsm_edit_set_pointer(&e, KEYSPACE, plan->source_level, plan->next_key),
                     LSM_OK);
  }
  apply(&s->v, &e);
  check_reads(s);
}

/* Compacts until nothing is due; now and then a flush comes between plan and
** outcome, as it does in life. */
static void compact_until_idle(sim *s, const lsm_picker_options *opt, int flushes) {
  for (int steps = 0;; steps++) {
    lsm_plan plan;
    bool found;
    ck_assert_int_eq(lsm_picker_pick(tree(s), opt, &found, &plan), LSM_OK);
    if (!found) break;
    ck_assert_msg(steps < 2000, "compaction does not come to rest");
    check_below(s, &plan);
    if (flushes > 0 && rand() % 8 == 0) {
      flush(s);
      flushes--;
    }
    carry_out(s, &plan);
    lsm_plan_fini(&plan);
  }
  double score[LSM_MAX_LEVELS];
  lsm_picker_scores(tree(s), opt, score);
  for (int l = 0; l < LSM_MAX_LEVELS; l++) ck_assert(score[l] < 1);
}

/* And then packs what is left: each step must leave less of it, or lower. */
static void rest(sim *s, const lsm_picker_options *opt) {
  for (int steps = 0;; steps++) {
    lsm_plan plan;
    bool found;
    compact_until_idle(s, opt, 0);
    ck_assert_int_eq(lsm_picker_rest(tree(s), opt, &found, &plan), LSM_OK);
    if (!found) break;
    ck_assert_msg(steps < 2000, "packing does not come to rest");
    check_below(s, &plan);
    carry_out(s, &plan);
    s->rests++;
    lsm_plan_fini(&plan);
  }
  uint64_t left = 0;
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    const lsm_level *level = &tree(s)->levels[l];
    for (size_t i = 0; i < level->count; i++) {
      if (!level->files[i]->packed) left += level->files[i]->size;
    }
  }
  ck_assert(left == 0 || left < opt->rest_bytes);
}

/* Down, step by step, to one run. */
static void go_down(sim *s, const lsm_picker_options *opt) {
  size_t runs = 0;
  for (int steps = 0;; steps++) {
    lsm_plan plan;
    bool found;
    ck_assert_int_eq(lsm_picker_down(tree(s), opt, &found, &plan), LSM_OK);
    if (!found) break;
    ck_assert_msg(steps < 2000, "going down does not come to an end");
    check_below(s, &plan);
    carry_out(s, &plan);
    lsm_plan_fini(&plan);
  }
  const lsm_level *l0 = &tree(s)->levels[0];
  for (size_t i = 0; i < l0->count; i += lsm_run_length(l0, i)) runs++;
  for (int l = 1; l < LSM_MAX_LEVELS; l++) runs += tree(s)->levels[l].count > 0;
  ck_assert_uint_le(runs, 1);
}

static void compact_fully(sim *s) {
  lsm_plan plan;
  bool found;
  ck_assert_int_eq(lsm_picker_full(tree(s), 0, &found, &plan), LSM_OK);
  if (!found) return;
  check_below(s, &plan);
  carry_out(s, &plan);
  lsm_plan_fini(&plan);
  ck_assert_int_eq(lsm_picker_full(tree(s), 0, &found, &plan), LSM_OK);
  ck_assert(!found);
  lsm_plan_fini(&plan);
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    const lsm_level *level = &tree(s)->levels[l];
    for (size_t i = 0; i < level->count; i++) {
      ck_assert_uint_eq(level->files[i]->tombstones + level->files[i]->ranges, 0);
    }
  }
}

static const struct {
  lsm_compaction compaction;
  lsm_picker_options opt;
  int cut;
} sims[] = {
    {LSM_LEVELED, {4, 300, 3, 2.0, 16, 0, 100, 0, 4}, 8},
    {LSM_LEVELED, {2, 60, 1, 2.0, 16, 50, 0, 0, 4}, 3},     /* all levels in use */
    {LSM_LEVELED, {4, 6400, 10, 2.0, 16, 100, 800, 0, 4}, 20}, /* files are small */
    {LSM_LEVELED, {3, 900, 3, 2.0, 16, 0, 400, 0, 4}, 12},  /* level 0 has tiers */
    {LSM_LEVELED, {1, 100, 2, 2.0, 16, 0, 9999, 0, 4}, KEYS},
    {LSM_LEVELED, {0, 0, 0, 0.0, 0, 0, 0, 0, 0}, 5}, /* nonsense is survived */
    {LSM_TIERED, {8, 300, 3, 2.0, 16, 0, 200, 0, 4}, 8},
    {LSM_TIERED, {8, 300, 3, 1.2, 3, 0, 0, 0, 2}, KEYS},
    {LSM_TIERED, {4, 300, 3, 1.0, 5, 60, 100, 0, 8}, 4},
    {LSM_TIERED, {0, 0, 0, 0.0, 0, 0, 0, 0, 0}, 5},
};

START_TEST(test_simulation) {
  srand(100 + (unsigned)_i);
  for (int round = 0; round < 3; round++) {
    sim s;
    memset(&s, 0, sizeof s);
    s.v = version_with(sims[_i].compaction);
    s.files = calloc(MAX_FILES, sizeof *s.files);
    s.next_file = s.next_run = 1;
    s.clock = 1;
    s.cut = sims[_i].cut;
    for (int i = 0; i < 60; i++) {
      flush(&s);
      if (rand() % 4 != 0) compact_until_idle(&s, &sims[_i].opt, 2);
      if (rand() % 9 == 0) rest(&s, &sims[_i].opt);
      if (rand() % 25 == 0) compact_fully(&s);
      if (rand() % 25 == 0) go_down(&s, &sims[_i].opt);
    }
    compact_until_idle(&s, &sims[_i].opt, 0);
    ck_assert_int_gt(s.merges, 10);
    if (sims[_i].opt.base_level_bytes == 900) ck_assert_int_gt(s.tiers, 1);
    rest(&s, &sims[_i].opt);
    ck_assert_int_gt(s.rests, 1);
    compact_fully(&s);
    compact_until_idle(&s, &sims[_i].opt, 0);
    for (uint64_t i = 0; i < s.next_file; i++) free(s.files[i]);
    free(s.files);
    lsm_version_unref(s.v);
  }
}
END_TEST

/* Rows in rising order are moved down; hardly any is written twice. */
START_TEST(test_rising_keys_move) {
  sim s;
  memset(&s, 0, sizeof s);
  s.v = version_with(LSM_LEVELED);
  s.files = calloc(MAX_FILES, sizeof *s.files);
  s.next_file = s.next_run = 1;
  s.cut = KEYS;
  for (int at = 0; at < KEYS; at += 5) {
    content c;
    lsm_edit e;
    memset(&c, 0, sizeof c);
    memset(&e, 0, sizeof e);
    for (int k = at; k < at + 5; k++) s.truth[k] = c.point[k] = 7;
    write_run(&s, &e, &c, 0, s.next_run++);
    apply(&s.v, &e);
    compact_until_idle(&s, &(lsm_picker_options){4, 200, 2, 2.0, 16, 0, 0, 0, 4}, 0);
  }
  ck_assert_int_gt(s.moves, 40);
  ck_assert_int_eq(s.merges, 0);
  for (uint64_t i = 0; i < s.next_file; i++) free(s.files[i]);
  free(s.files);
  lsm_version_unref(s.v);
}
END_TEST

Suite *picker_sim_suite(void) {
  Suite *s = suite_create("picker_sim");
  TCase *tc = tcase_create("picker_sim");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, test_simulation, 0, (int)(sizeof sims / sizeof *sims));
  tcase_add_test(tc, test_rising_keys_move);
  suite_add_tcase(s, tc);
  return s;
}
