/* picker.c: which files to merge next.
**
** Owns:  nothing; a plan holds references to its files.
** Holds: what makes a plan safe, whatever the policy:
**        (1) no entry passes an older or newer one of its key: the inputs are
**            neighbours in age over the keys they span. From level 0 that is
**            all of it (a file that overlaps no other run may go alone), or some
**            runs in a row that become one; from level n one file, since files of
**            a level share no key;
**        (2) the output fits its level: every file there that meets the span
**            (hull) of the inputs is an input;
**        (3) below holds every file that is older than the inputs and meets
**            their hull: what gc must know before it drops a tombstone;
**        and what makes picking end:
**        (4) a plan lowers the number of runs in level 0, or moves bytes to a
**            deeper level, or rewrites in place a file below which nothing
**            lies, which leaves it without tombstones and what had expired, or
**            (rest) files that are not packed, which makes them so. The last
**            level has no size to exceed. */
#include "picker.h"

#define LAST_LEVEL (LSM_MAX_LEVELS - 1)

/* Tiered: how many runs are looked at, newest first. Never so many in
** practice: from max_runs on the number is brought down. */
#define RUNS_SEEN 64

/*----------------------------------------------------------------- plans */

/* The keys that some files span. */
typedef struct hull {
  lsm_slice lo, hi; /* NULL data: no file yet */
  bool open;        /* hi is not in it */
} hull;

static void hull_add(hull *h, const lsm_filemeta *f) {
  if (h->lo.data == NULL || lsm_slice_cmp(f->smallest, h->lo) < 0) h->lo = f->smallest;
  int c = h->hi.data == NULL ? 1 : lsm_slice_cmp(f->largest, h->hi);
  if (c > 0) h->open = f->largest_open;
  if (c >= 0) {
    h->hi = f->largest;
    h->open = h->open && f->largest_open;
  }
}

static bool hull_meets(const hull *h, const lsm_filemeta *f) {
  return h->hi.data != NULL && lsm_filemeta_overlaps(f, h->lo, h->hi, h->open);
}

static hull hull_of(const lsm_plan *plan) {
  hull h = {LSM_SLICE_NULL, LSM_SLICE_NULL, false};
  for (size_t i = 0; i < plan->ninputs; i++) hull_add(&h, plan->inputs[i]);
  return h;
}

static size_t file_count(const lsm_tree *t) {
  size_t n = 0;
  for (int l = 0; l < LSM_MAX_LEVELS; l++) n += t->levels[l].count;
  return n;
}

/* An empty plan with room for every file of the tree. */
static lsm_rc plan_begin(const lsm_tree *t, int source, int output, lsm_plan *plan) {
  size_t room = (file_count(t) + 1) * sizeof(lsm_filemeta *);
  plan->keyspace = t->keyspace;
  plan->source_level = source;
  plan->output_level = output;
  plan->inputs = lsm_malloc(room);
  plan->below = lsm_malloc(room);
  return plan->inputs == NULL || plan->below == NULL ? lsm_nomem() : LSM_OK;
}

static void add_input(lsm_plan *plan, lsm_filemeta *f) {
  plan->inputs[plan->ninputs++] = lsm_filemeta_ref(f);
}

static void add_inputs(lsm_plan *plan, const lsm_level *level, size_t first, size_t end) {
  for (size_t i = first; i < end; i++) add_input(plan, level->files[i]);
}

/* Those of level[first..] that meet the hull lie below. */
static void add_below(lsm_plan *plan, const hull *h, const lsm_level *level, size_t first) {
  for (size_t i = first; i < level->count; i++) {
    if (hull_meets(h, level->files[i])) {
      plan->below[plan->nbelow++] = lsm_filemeta_ref(level->files[i]);
    }
  }
}

static void add_levels_below(lsm_plan *plan, const lsm_tree *t) {
  hull h = hull_of(plan);
  for (int l = plan->output_level + 1; l < LSM_MAX_LEVELS; l++) {
    add_below(plan, &h, &t->levels[l], 0);
  }
}

static lsm_rc set_next_key(lsm_plan *plan, lsm_slice key) {
  uint8_t *p = lsm_malloc(key.size);
  if (p == NULL) return lsm_nomem();
  if (key.size > 0) memcpy(p, key.data, key.size);
  plan->next_key = lsm_slice_of(p, key.size);
  return LSM_OK;
}

void lsm_plan_fini(lsm_plan *plan) {
  for (size_t i = 0; i < plan->ninputs; i++) lsm_filemeta_unref(plan->inputs[i]);
  for (size_t i = 0; i < plan->nbelow; i++) lsm_filemeta_unref(plan->below[i]);
  lsm_free(plan->inputs);
  lsm_free(plan->below);
  lsm_free((void *)(uintptr_t)plan->next_key.data);
  memset(plan, 0, sizeof *plan);
}

/*----------------------------------------------------------------- files */

/* At least two thirds tombstones. A range counts as an entry here. */
static bool is_dense(uint64_t entries, uint64_t tombstones, uint64_t ranges) {
  uint64_t all = entries + ranges, dead = tombstones + ranges;
  return dead > 0 && dead >= all - all / 3;
}

/* Half of its values have expired. Where soon all will have, it is worth the wait: then
** the file goes unread (drop.c), if nothing older is in the way. */
static bool is_stale(const lsm_filemeta *f, uint64_t now) {
  const lsm_expiry *e = &f->expiry;
  return lsm_until_past(e->half, now) &&
         (lsm_until_past(e->last, now) || !lsm_until_past(e->last, now + LSM_EXPIRY_SOON));
}

static bool file_is_dense(const lsm_filemeta *f, const lsm_picker_options *opt) {
  return is_dense(f->entries, f->tombstones, f->ranges) || is_stale(f, opt->now);
}

/* The first such file of a level, or NULL. */
static lsm_filemeta *first_dense(const lsm_level *level, const lsm_picker_options *opt) {
  for (size_t i = 0; i < level->count; i++) {
    if (file_is_dense(level->files[i], opt)) return level->files[i];
  }
  return NULL;
}

/* Small: not worth being a file of its own in level 1. */
static bool is_small(const lsm_filemeta *f, const lsm_picker_options *opt) {
  return f->size < opt->base_level_bytes / 64;
}

/* Does f meet any of these files, which are sorted and disjoint? */
static bool meets_any(lsm_filemeta *const *files, size_t count, const lsm_filemeta *f) {
  size_t i = lsm_files_find(files, count, f->smallest);
  return i < count && lsm_filemeta_overlaps(files[i], f->smallest, f->largest, f->largest_open);
}

static size_t run_count(const lsm_level *level0) {
  size_t n = 0;
  for (size_t i = 0; i < level0->count; i += lsm_run_length(level0, i)) n++;
  return n;
}

static double max2(double a, double b) {
  return a > b ? a : b;
}

/*--------------------------------------------------------- runs of level 0 */

typedef struct run_info {
  size_t first, count; /* of level 0's files */
  uint64_t bytes, entries, tombstones, ranges;
  uint64_t stale; /* entries in files of which half the values have expired */
} run_info;

/* Some runs next to each other, newest first, and why to merge them. */
typedef struct window {
  size_t first, count;
  double score;
} window;

/* The newest runs, up to RUNS_SEEN. */
static size_t list_runs(const lsm_level *level0, uint64_t now, run_info *runs) {
  size_t n = 0;
  for (size_t i = 0; i < level0->count && n < RUNS_SEEN; n++) {
    run_info *r = &runs[n];
    memset(r, 0, sizeof *r);
    r->first = i;
    r->count = lsm_run_length(level0, i);
    for (size_t end = i + r->count; i < end; i++) {
      const lsm_filemeta *f = level0->files[i];
      r->bytes += f->size;
      r->entries += f->entries;
      r->tombstones += f->tombstones;
      r->ranges += f->ranges;
      if (is_stale(f, now)) r->stale += f->entries;
    }
  }
  return n;
}

/* The row, of up to LONGEST, that costs the fewest bytes for each run it saves. */
static window find_cheapest(const run_info *runs, size_t n, size_t longest) {
  window best = {0, 0, 0};
  double cheapest = 0;
  for (size_t a = 0; a + 1 < n; a++) {
    double sum = (double)runs[a].bytes;
    for (size_t len = 2; a + len <= n && len <= longest; len++) {
      sum += (double)runs[a + len - 1].bytes;
      double cost = sum / (double)(len - 1);
      if (best.count != 0 && cost >= cheapest) continue;
      best.first = a;
      best.count = len;
      cheapest = cost;
    }
  }
  return best;
}

/* Some runs of level 0 become one, which takes the number of the newest. */
static lsm_rc plan_runs(const lsm_tree *t, const run_info *runs, window w, lsm_plan *plan) {
  const lsm_level *level0 = &t->levels[0];
  lsm_rc rc = plan_begin(t, 0, 0, plan);
  if (rc != LSM_OK) return rc;
  const run_info *oldest = &runs[w.first + w.count - 1];
  size_t end = oldest->first + oldest->count;
  plan->output_run = level0->files[runs[w.first].first]->run;
  add_inputs(plan, level0, runs[w.first].first, end);
  hull h = hull_of(plan);
  add_below(plan, &h, level0, end);
  add_levels_below(plan, t);
  return LSM_OK;
}

/*--------------------------------------------------------------- leveled */

static double base_bytes(const lsm_picker_options *opt) {
  return max2((double)opt->base_level_bytes, 1.0);
}

/* How full level n is; the last one has no limit. */
static double fullness(const lsm_tree *t, const lsm_picker_options *opt, int n) {
  if (n == LAST_LEVEL) return 0;
  double bytes = (double)lsm_level_bytes(&t->levels[n]);
  if (n == 0) {
    double runs = (double)run_count(&t->levels[0]) / max2(opt->l0_trigger, 1);
    return max2(runs, bytes / (2 * base_bytes(opt)));
  }
  double target = base_bytes(opt);
  for (int i = 1; i < n; i++) target *= max2(opt->multiplier, 1);
  return bytes / target;
}

static void leveled_scores(const lsm_tree *t, const lsm_picker_options *opt, double *score) {
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    score[l] = fullness(t, opt, l);
    if (score[l] < 1 && first_dense(&t->levels[l], opt) != NULL) score[l] = 1;
  }
}

/* Takes from the output level what the inputs overlap, with small neighbours
** if wanted, and finds what lies below. One file alone moves, unless its
** tombstones can go. */
static void add_lower(const lsm_tree *t, const lsm_picker_options *opt, bool small,
                      lsm_plan *plan) {
  const lsm_level *out = &t->levels[plan->output_level];
  hull h = hull_of(plan);
  size_t first = lsm_files_find(out->files, out->count, h.lo);
  size_t end = first;
  while (end < out->count && hull_meets(&h, out->files[end])) end++;
  bool alone = plan->ninputs == 1 && first == end;
  if (small && !alone) {
    if (first > 0 && is_small(out->files[first - 1], opt)) first--;
    if (end < out->count && is_small(out->files[end], opt)) end++;
  }
  add_inputs(plan, out, first, end);
  add_levels_below(plan, t);
  plan->move = alone && (plan->nbelow > 0 || !file_is_dense(plan->inputs[0], opt));
}

/* A file of level 0 that may move on its own: it meets no other run and
** nothing in level 1. Oldest first; NULL: none. */
static lsm_filemeta *find_movable(const lsm_tree *t, const lsm_picker_options *opt) {
  const lsm_level *l0 = &t->levels[0];
  for (size_t i = l0->count; i-- > 0;) {
    lsm_filemeta *f = l0->files[i];
    if (file_is_dense(f, opt) || (l0->count > 1 && is_small(f, opt))) continue;
    bool meets = meets_any(t->levels[1].files, t->levels[1].count, f);
    for (size_t r = 0, n; r < l0->count && !meets; r += n) {
      n = lsm_run_length(l0, r);
      meets = l0->files[r]->run != f->run && meets_any(l0->files + r, n, f);
    }
    if (!meets) return f;
  }
  return NULL;
}

static lsm_rc plan_level0(const lsm_tree *t, const lsm_picker_options *opt, lsm_plan *plan) {
  lsm_rc rc = plan_begin(t, 0, 1, plan);
  if (rc != LSM_OK) return rc;
  lsm_filemeta *f = find_movable(t, opt);
  if (f != NULL) {
    add_input(plan, f);
    add_levels_below(plan, t);
    plan->move = true;
    return LSM_OK;
  }
  add_inputs(plan, &t->levels[0], 0, t->levels[0].count);
  add_lower(t, opt, true, plan);
  return LSM_OK;
}

/* Level 0 has many runs, but few bytes beside those of level 1 that a merge would write
** again with them. */
static bool is_light(const lsm_tree *t, const lsm_picker_options *opt) {
  const lsm_level *l0 = &t->levels[0], *l1 = &t->levels[1];
  hull h = {LSM_SLICE_NULL, LSM_SLICE_NULL, false};
  uint64_t lower = 0;
  for (size_t i = 0; i < l0->count; i++) hull_add(&h, l0->files[i]);
  for (size_t i = 0; i < l1->count; i++) lower += hull_meets(&h, l1->files[i]) ? l1->files[i]->size : 0;
  if (lower > opt->base_level_bytes) lower = opt->base_level_bytes;
  return lsm_level_bytes(l0) < lower;
}

/* Level 0 is due. */
static lsm_rc pick_level0(const lsm_tree *t, const lsm_picker_options *opt, lsm_plan *plan) {
  const lsm_level *l0 = &t->levels[0];
  run_info runs[RUNS_SEEN];
  size_t n = list_runs(l0, opt->now, runs);
  if (n < 2 || first_dense(l0, opt) != NULL || find_movable(t, opt) != NULL || !is_light(t, opt)) {
    return plan_level0(t, opt, plan);
  }
  plan->raw = true;
  return plan_runs(t, runs, find_cheapest(runs, n, n), plan);
}

/* Level n is too big: its next file goes down. */
static lsm_rc plan_level(const lsm_tree *t, const lsm_picker_options *opt, int n, lsm_plan *plan) {
  const lsm_level *level = &t->levels[n];
  lsm_slice after = t->compact_key[n];
  size_t i = 0;
  if (after.data != NULL) {
    while (i < level->count && lsm_slice_cmp(level->files[i]->smallest, after) <= 0) i++;
    if (i == level->count) i = 0;
  }
  lsm_rc rc = plan_begin(t, n, n + 1, plan);
  if (rc == LSM_OK) rc = set_next_key(plan, level->files[i]->largest);
  if (rc != LSM_OK) return rc;
  add_input(plan, level->files[i]);
  add_lower(t, opt, false, plan);
  return LSM_OK;
}

/* A file of tombstones goes down to what they hide, or loses them. */
static lsm_rc plan_dense(const lsm_tree *t, const lsm_picker_options *opt, int n, lsm_plan *plan) {
  lsm_rc rc = plan_begin(t, n, n, plan);
  if (rc != LSM_OK) return rc;
  add_input(plan, first_dense(&t->levels[n], opt));
  add_levels_below(plan, t);
  if (plan->nbelow == 0) return LSM_OK; /* in place */
  while (plan->nbelow > 0) lsm_filemeta_unref(plan->below[--plan->nbelow]);
  plan->output_level = n + 1;
  add_lower(t, opt, false, plan);
  return LSM_OK;
}

static lsm_rc pick_leveled(const lsm_tree *t, const lsm_picker_options *opt, lsm_plan *plan,
                           bool *found) {
  double score[LSM_MAX_LEVELS];
  int best = 0;
  leveled_scores(t, opt, score);
  for (int l = 1; l < LSM_MAX_LEVELS; l++) {
    if (score[l] > score[best]) best = l;
  }
  if (score[best] < 1) return LSM_OK;
  *found = true;
  plan->score = score[best];
  if (best == 0) return pick_level0(t, opt, plan);
  if (fullness(t, opt, best) >= 1) return plan_level(t, opt, best, plan);
  return plan_dense(t, opt, best, plan);
}

/*---------------------------------------------------------------- tiered */

/* The longest row of runs of like size; of those the cheapest. */
static window find_tier(const run_info *runs, size_t n, const lsm_picker_options *opt) {
  window best = {0, 0, 0};
  double cheapest = 0;
  for (size_t a = 0; a < n; a++) {
    double least = (double)runs[a].bytes, most = least, sum = 0;
    size_t b = a;
    for (; b < n; b++) {
      double bytes = (double)runs[b].bytes;
      least = bytes < least ? bytes : least;
      most = max2(most, bytes);
      if (b > a && most > least * opt->size_ratio) break;
      sum += bytes;
    }
    if (b - a > best.count || (b - a == best.count && sum < cheapest)) {
      best.first = a;
      best.count = b - a;
      cheapest = sum;
    }
  }
  best.score = (double)best.count / max2(opt->tier_trigger, 2);
  return best;
}

/* The oldest run of tombstones, or of files with much that has expired, with the next older when that is there and
** anything at all lies below. */
static window find_dense(const lsm_level *level0, const run_info *runs, size_t n) {
  window w = {0, 0, 0};
  for (size_t i = n; i-- > 0;) {
    bool stale = runs[i].stale > 0 && runs[i].stale >= runs[i].entries - runs[i].stale;
    if (!stale && !is_dense(runs[i].entries, runs[i].tombstones, runs[i].ranges)) continue;
    hull h = {LSM_SLICE_NULL, LSM_SLICE_NULL, false};
    size_t end = runs[i].first + runs[i].count;
    for (size_t k = runs[i].first; k < end; k++) hull_add(&h, level0->files[k]);
    w.first = i;
    w.count = 1;
    w.score = 1;
    for (size_t k = end; k < level0->count; k++) {
      if (hull_meets(&h, level0->files[k]) && i + 1 < n) w.count = 2;
    }
    return w;
  }
  return w;
}

/* What to merge, and how urgently; less than 1: nothing. */
static window choose_runs(const lsm_tree *t, const lsm_picker_options *opt, const run_info *runs,
                          size_t n) {
  const lsm_level *level0 = &t->levels[0];
  double limit = opt->max_runs < RUNS_SEEN ? max2(opt->max_runs, 1) : RUNS_SEEN - 1;
  double crowd = (double)run_count(level0) / (limit + 1);
  window w = find_tier(runs, n, opt);
  if (w.score >= 1) {
    w.score = max2(w.score, crowd);
    return w;
  }
  if (crowd >= 1) {
    w = find_cheapest(runs, n, opt->tier_trigger > 2 ? (size_t)opt->tier_trigger : 2);
    w.score = crowd;
    return w;
  }
  window dense = find_dense(level0, runs, n);
  if (dense.count > 0) return dense;
  w.score = max2(w.score, crowd);
  return w;
}

static lsm_rc pick_tiered(const lsm_tree *t, const lsm_picker_options *opt, lsm_plan *plan,
                          bool *found) {
  const lsm_level *level0 = &t->levels[0];
  run_info runs[RUNS_SEEN];
  size_t n = list_runs(level0, opt->now, runs);
  window w = choose_runs(t, opt, runs, n);
  if (w.score < 1) return LSM_OK;
  *found = true;
  plan->score = w.score;
  return plan_runs(t, runs, w, plan);
}

/*------------------------------------------------------------------ rest */

static bool must_pack(const lsm_tree *t, const lsm_filemeta *f) {
  return t->opt.compression != LSM_COMPRESS_NONE && !f->packed;
}

static uint64_t bytes_to_pack(const lsm_tree *t) {
  uint64_t sum = 0;
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    for (size_t i = 0; i < t->levels[l].count; i++) {
      if (must_pack(t, t->levels[l].files[i])) sum += t->levels[l].files[i]->size;
    }
  }
  return sum;
}

/* The last, in level 0 of the oldest run, that is not packed; count: none. */
static size_t find_unpacked(const lsm_tree *t, int n) {
  const lsm_level *level = &t->levels[n];
  for (size_t i = level->count; i-- > 0;) {
    if (must_pack(t, level->files[i])) return i;
  }
  return level->count;
}

/* The file at i and those in front of it that are its run's, not packed either,
** and no more than fit one job. */
static lsm_rc plan_in_place(const lsm_tree *t, const lsm_picker_options *opt, int n, size_t i,
                            lsm_plan *plan) {
  const lsm_level *level = &t->levels[n];
  lsm_rc rc = plan_begin(t, n, n, plan);
  if (rc != LSM_OK) return rc;
  uint64_t run = level->files[i]->run, bytes = level->files[i]->size;
  size_t first = i, end = i + 1;
  while (first > 0 && level->files[first - 1]->run == run && must_pack(t, level->files[first - 1]) &&
         bytes + level->files[first - 1]->size <= opt->rest_job) {
    bytes += level->files[--first]->size;
  }
  add_inputs(plan, level, first, end);
  if (n == 0) {
    plan->output_run = run;
    while (end < level->count && level->files[end]->run == run) end++;
    hull h = hull_of(plan);
    add_below(plan, &h, level, end);
  }
  add_levels_below(plan, t);
  return LSM_OK;
}

/* The oldest runs in a row that have nothing packed; count 0: there are no two. */
static window find_raw_runs(const lsm_tree *t, const run_info *runs, size_t n) {
  window w = {0, 0, 0};
  for (size_t k = n; k-- > 0;) {
    bool raw = true;
    for (size_t i = 0; i < runs[k].count && raw; i++) {
      raw = must_pack(t, t->levels[0].files[runs[k].first + i]);
    }
    if (raw) {
      w.first = k;
      w.count++;
    } else if (w.count > 1) {
      return w;
    } else {
      w.count = 0;
    }
  }
  if (w.count < 2) w.count = 0;
  return w;
}

/* Level 0 has something to pack: down with it, if that costs little more; else its runs
** become one while they are packed, which costs nothing more. */
static lsm_rc rest_level0(const lsm_tree *t, const lsm_picker_options *opt, size_t i,
                          lsm_plan *plan) {
  if (t->opt.compaction == LSM_TIERED) return plan_in_place(t, opt, 0, i, plan);
  lsm_rc rc = plan_level0(t, opt, plan);
  if (rc != LSM_OK) return rc;
  if (plan->move) { /* what is packed already may just move */
    plan->move = plan->inputs[0]->packed;
    return LSM_OK;
  }
  uint64_t upper = 0, lower = 0;
  for (size_t k = 0; k < plan->ninputs; k++) {
    *(plan->inputs[k]->level == 0 ? &upper : &lower) += plan->inputs[k]->size;
  }
  if (lower <= upper) return LSM_OK;
  lsm_plan_fini(plan);
  run_info runs[RUNS_SEEN];
  window w = find_raw_runs(t, runs, list_runs(&t->levels[0], opt->now, runs));
  if (w.count > 0) return plan_runs(t, runs, w, plan);
  return plan_in_place(t, opt, 0, i, plan);
}

lsm_rc lsm_picker_rest(const lsm_tree *t, const lsm_picker_options *opt, bool *found,
                       lsm_plan *plan) {
  memset(plan, 0, sizeof *plan);
  *found = false;
  uint64_t bytes = bytes_to_pack(t);
  if (bytes == 0 || bytes < opt->rest_bytes) return LSM_OK;
  int n = 0;
  size_t i = find_unpacked(t, n);
  while (i == t->levels[n].count) i = find_unpacked(t, ++n);
  lsm_rc rc = n == 0 ? rest_level0(t, opt, i, plan) : plan_in_place(t, opt, n, i, plan);
  plan->pack = true;
  if (rc != LSM_OK) {
    lsm_plan_fini(plan);
  } else {
    *found = true;
  }
  return rc;
}

lsm_rc lsm_picker_down(const lsm_tree *t, const lsm_picker_options *opt, bool *found,
                       lsm_plan *plan) {
  if (t->opt.compaction == LSM_TIERED) return lsm_picker_full(t, opt->now, found, plan);
  memset(plan, 0, sizeof *plan);
  *found = false;
  int n = 0, deep = LAST_LEVEL;
  while (n < LAST_LEVEL && t->levels[n].count == 0) n++;
  while (deep > 0 && t->levels[deep].count == 0) deep--;
  if (n > 0 && n >= deep) return LSM_OK; /* one run, or nothing */
  if (n == 0 && deep == 0 && run_count(&t->levels[0]) < 2) return LSM_OK;
  lsm_rc rc = n == 0 ? plan_level0(t, opt, plan) : plan_level(t, opt, n, plan);
  plan->pack = true;
  if (rc != LSM_OK) {
    lsm_plan_fini(plan);
  } else {
    *found = true;
  }
  return rc;
}

/*------------------------------------------------------------- interface */

void lsm_picker_scores(const lsm_tree *t, const lsm_picker_options *opt, double *score) {
  if (t->opt.compaction != LSM_TIERED) {
    leveled_scores(t, opt, score);
    return;
  }
  run_info runs[RUNS_SEEN];
  size_t n = list_runs(&t->levels[0], opt->now, runs);
  for (int l = 0; l < LSM_MAX_LEVELS; l++) score[l] = 0;
  score[0] = choose_runs(t, opt, runs, n).score;
}

lsm_rc lsm_picker_pick(const lsm_tree *t, const lsm_picker_options *opt, bool *found,
                       lsm_plan *plan) {
  memset(plan, 0, sizeof *plan);
  *found = false;
  bool tiered = t->opt.compaction == LSM_TIERED;
  lsm_rc rc = tiered ? pick_tiered(t, opt, plan, found) : pick_leveled(t, opt, plan, found);
  if (rc != LSM_OK) {
    lsm_plan_fini(plan);
    *found = false;
  }
  return rc;
}

/* Is the tree one run that holds values only, packed, none expired, or nothing at all? */
static bool is_compact(const lsm_tree *t, uint64_t now) {
  size_t runs = run_count(&t->levels[0]);
  uint64_t dead = bytes_to_pack(t);
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    const lsm_level *level = &t->levels[l];
    if (l > 0 && level->count > 0) runs++;
    for (size_t i = 0; i < level->count; i++) {
      dead += level->files[i]->tombstones + level->files[i]->ranges;
      dead += lsm_until_past(level->files[i]->expiry.first, now);
    }
  }
  return runs == 0 || (runs == 1 && dead == 0);
}

lsm_rc lsm_picker_full(const lsm_tree *t, uint64_t now, bool *found, lsm_plan *plan) {
  memset(plan, 0, sizeof *plan);
  *found = false;
  if (is_compact(t, now)) return LSM_OK;
  int shallow = 0, deep = LAST_LEVEL;
  while (t->levels[shallow].count == 0) shallow++;
  while (t->levels[deep].count == 0) deep--;
  bool tiered = t->opt.compaction == LSM_TIERED;
  lsm_rc rc = plan_begin(t, shallow, tiered || deep > 0 ? deep : 1, plan);
  if (rc != LSM_OK) {
    lsm_plan_fini(plan);
    return rc;
  }
  plan->pack = true;
  if (tiered) plan->output_run = t->levels[0].files[0]->run;
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    add_inputs(plan, &t->levels[l], 0, t->levels[l].count);
  }
  *found = true;
  return LSM_OK;
}
