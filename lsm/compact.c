/* compact.c: compaction plans carried out.
**
** One at a time a store, in the background or in the thread that asked
** (lsm_compact); the slot is a flag under mu. Execute (unlocked): merge the
** inputs, newest first, through the drop rules (gc.h) into a new run. Complete:
** one edit puts the new files in the place of the old. Abort: the new files go.
** A plan pins its inputs; what lies below them cannot change meanwhile, since
** only compactions write there. */
#include "db_int.h"
#include "gc.h"
#include "merge.h"

#define ASK_EVERY 1024 /* entries between looks at the interrupt function */

/*------------------------------------------------------------------- slot */

static void give_slot_back(lsm_db *db) {
  lsm_mutex_lock(&db->mu);
  db->compact_held = false;
  lsm_cond_broadcast(&db->cv);
  lsm_mutex_unlock(&db->mu);
}

lsm_rc lsm_compact_acquire(lsm_db *db, const lsm_interrupt *intr) {
  lsm_rc rc = LSM_OK;
  lsm_mutex_lock(&db->mu);
  while (db->compact_held && !db->closing) {
    lsm_cond_wait_us(&db->cv, &db->mu, 20000);
    lsm_mutex_unlock(&db->mu);
    bool stop = lsm_interrupted(intr);
    lsm_mutex_lock(&db->mu);
    if (stop) break;
  }
  if (db->compact_held || db->closing) {
    rc = lsm_fail(LSM_INTERRUPT, "interrupted");
  } else {
    db->compact_held = true;
  }
  lsm_mutex_unlock(&db->mu);
  if (rc != LSM_OK) return rc;
  lsm_reading_begin(db);
  rc = lsm_job_lock(db, LSM_SHARE_COMPACT, intr);
  if (rc != LSM_OK) {
    lsm_reading_end(db);
    give_slot_back(db);
  }
  return rc;
}

void lsm_compact_release(lsm_db *db) {
  lsm_job_unlock(db, LSM_SHARE_COMPACT);
  lsm_reading_end(db);
  lsm_db_purge(db); /* what had to wait for us */
  give_slot_back(db);
}

lsm_picker_options lsm_picker_now(lsm_db *db) {
  lsm_picker_options opt = db->picker;
  opt.now = lsm_now(db);
  return opt;
}

lsm_rc lsm_compact_pick(lsm_db *db, const lsm_stuck *stuck, bool *found, lsm_plan *plan) {
  lsm_version *v = lsm_db_version(db);
  lsm_picker_options opt = lsm_picker_now(db);
  lsm_rc rc = LSM_OK;
  const lsm_tree *best = NULL;
  double most = 0;
  *found = false;
  for (size_t t = 0; t < v->count; t++) {
    double score[LSM_MAX_LEVELS];
    if (lsm_is_stuck(stuck, v->trees[t]->keyspace)) continue;
    lsm_picker_scores(v->trees[t], &opt, score);
    for (int l = 0; l < LSM_MAX_LEVELS; l++) {
      if (score[l] >= 1.0 && score[l] > most) {
        most = score[l];
        best = v->trees[t];
      }
    }
  }
  if (best != NULL) rc = lsm_picker_pick(best, &opt, found, plan);
  /* Tombstone-dense files count with their own score: ask every tree. */
  for (size_t t = 0; best == NULL && rc == LSM_OK && !*found && t < v->count; t++) {
    if (lsm_is_stuck(stuck, v->trees[t]->keyspace)) continue;
    rc = lsm_picker_pick(v->trees[t], &opt, found, plan);
  }
  lsm_version_unref(v);
  return rc;
}

/* A tree that takes much more room than what it shows: a step towards one run. An
** estimate that fails (a damaged table) is no reason for anything. */
static lsm_rc pick_hidden(lsm_db *db, const lsm_tree *t, const lsm_picker_options *opt, bool *found,
                          lsm_plan *plan) {
  bool much = false;
  if (lsm_tree_hides_much(db, t, &much) != LSM_OK || !much) return LSM_OK;
  return lsm_picker_down(t, opt, found, plan);
}

lsm_rc lsm_compact_pick_rest(lsm_db *db, const lsm_stuck *stuck, bool hidden, bool *found,
                             lsm_plan *plan) {
  lsm_version *v = lsm_db_version(db);
  lsm_picker_options opt = lsm_picker_now(db);
  lsm_rc rc = LSM_OK;
  *found = false;
  for (size_t t = 0; rc == LSM_OK && !*found && t < v->count; t++) {
    if (lsm_is_stuck(stuck, v->trees[t]->keyspace)) continue;
    rc = lsm_picker_rest(v->trees[t], &opt, found, plan);
  }
  for (size_t t = 0; hidden && rc == LSM_OK && !*found && t < v->count; t++) {
    if (lsm_is_stuck(stuck, v->trees[t]->keyspace)) continue;
    rc = pick_hidden(db, v->trees[t], &opt, found, plan);
  }
  lsm_version_unref(v);
  return rc;
}

/*---------------------------------------------------------------- execute */

typedef struct job {
  lsm_db *db;
  const lsm_plan *plan;
  const lsm_interrupt *intr;
  lsm_keyspace_options opt;
  lsm_source *sources;
  lsm_run_ranges **run_ranges;
  size_t nsources;
  lsm_rangeset ranges; /* of all inputs, as far as they must stay */
  lsm_gc *gc;
  lsm_iter *merge;
  lsm_output *out;
  int level0_runs; /* among the inputs */
  lsm_edit edit;
  uint64_t now;     /* what has expired then goes; 0: nothing does */
  uint64_t expired; /* so many */
} job;

/* The inputs are a sequence of sorted runs; where does the next one begin? */
static size_t input_run_length(const lsm_plan *p, size_t i) {
  size_t n = 1;
  const lsm_filemeta *f = p->inputs[i];
  while (i + n < p->ninputs && p->inputs[i + n]->level == f->level &&
         (f->level > 0 || p->inputs[i + n]->run == f->run)) {
    n++;
  }
  return n;
}

static lsm_rc open_sources(job *j) {
  const lsm_plan *p = j->plan;
  lsm_rc rc = LSM_OK;
  j->sources = lsm_calloc(p->ninputs * sizeof(*j->sources));
  j->run_ranges = lsm_calloc(p->ninputs * sizeof(lsm_run_ranges *));
  if (j->sources == NULL || j->run_ranges == NULL) return lsm_nomem();
  for (size_t i = 0; i < p->ninputs && rc == LSM_OK;) {
    size_t n = input_run_length(p, i), s = j->nsources;
    rc = lsm_run_iter(j->db->tables, p->inputs + i, n, false, &j->sources[s].iter);
    if (rc != LSM_OK) break;
    j->nsources++;
    j->level0_runs += p->inputs[i]->level == 0;
    rc = lsm_run_ranges_new(j->db->tables, p->inputs + i, n, &j->run_ranges[s],
                            &j->sources[s].ranges);
    i += n;
  }
  return rc;
}

/* The range tombstones of all inputs that may still hide something below. */
static lsm_rc collect_ranges(job *j) {
  lsm_rc rc = LSM_OK;
  for (size_t i = 0; i < j->plan->ninputs && rc == LSM_OK; i++) {
    const lsm_filemeta *f = j->plan->inputs[i];
    lsm_sst *sst = NULL;
    if (f->ranges == 0) continue;
    rc = lsm_table_cache_get(j->db->tables, f, &sst);
    if (rc != LSM_OK) break;
    const lsm_rangeset *set = lsm_sst_ranges(sst);
    for (size_t r = 0; set != NULL && r < set->count && rc == LSM_OK; r++) {
      lsm_range x = set->items[r];
      if (lsm_gc_keep_range(j->gc, x.lo, x.hi)) rc = lsm_rangeset_add(&j->ranges, x.lo, x.hi);
    }
    lsm_table_cache_unpin(j->db->tables, sst);
  }
  return rc;
}

/* Looks around: must we stop? And is there time to compress? That is most of the
** work, and a writer who has to wait for it waits long; what is left uncompressed
** is packed when it is quiet (picker.h). */
static bool must_stop(job *j) {
  if (lsm_interrupted(j->intr)) return true;
  lsm_mutex_lock(&j->db->mu);
  bool closing = j->db->closing;
  bool purge = j->db->purge_asked;
  j->db->purge_asked = false;
  int waiting = j->db->l0_pressure - j->level0_runs;
  int behind = waiting > 0 ? j->db->l0_pressure - j->db->picker.l0_trigger : 0;
  lsm_mutex_unlock(&j->db->mu);
  if (purge) lsm_db_purge(j->db);
  uint64_t bytes = atomic_load_explicit(&j->db->counters.user_bytes, memory_order_relaxed);
  bool hurry = lsm_pace_is_fast(&j->db->meter, j->db->env->now_us(j->db->env), bytes) ||
               waiting >= LSM_L0_HURRY || behind >= LSM_L0_HURRY;
  lsm_output_pack(j->out, j->plan->pack || (!hurry && !j->plan->raw));
  return closing;
}

static lsm_rc copy_entries(job *j) {
  lsm_iter *it = j->merge;
  lsm_rc rc = it->ops->first(it);
  (void)must_stop(j); /* for the first file */
  for (uint64_t n = 1; rc == LSM_OK && it->valid; n++) {
    lsm_kind kind = (lsm_kind)it->kind;
    lsm_slice value = it->value;
    if (j->now != 0 && kind == LSM_KIND_PUT && lsm_until_past(lsm_until_of(value), j->now)) {
      kind = LSM_KIND_DELETE;
      value = LSM_SLICE_NULL;
      j->expired++;
    }
    if (kind == LSM_KIND_PUT || lsm_gc_keep_tombstone(j->gc, it->key)) {
      rc = lsm_output_add(j->out, kind, it->key, value);
    }
    if (rc == LSM_OK) rc = it->ops->next(it);
    if (rc == LSM_OK && n % ASK_EVERY == 0 && must_stop(j)) {
      rc = lsm_fail(LSM_INTERRUPT, "interrupted");
    }
  }
  return rc;
}

static lsm_rc execute(job *j) {
  const lsm_plan *p = j->plan;
  lsm_rc rc = lsm_gc_new(p->below, p->nbelow, &j->gc);
  if (rc == LSM_OK) rc = open_sources(j);
  if (rc == LSM_OK) rc = collect_ranges(j);
  if (rc == LSM_OK) {
    rc = lsm_merge_new(j->sources, (int)j->nsources, &j->merge); /* owns the iterators now */
    for (size_t i = 0; i < j->nsources; i++) j->sources[i].iter = NULL;
  }
  if (rc == LSM_OK) {
    rc = lsm_output_new(j->db, &j->opt, p->keyspace, p->output_level, p->output_run,
                        &j->db->counters.compaction_bytes, &j->out);
  }
  if (rc == LSM_OK) {
    lsm_output_set_ranges(j->out, &j->ranges);
    rc = copy_entries(j);
  }
  if (rc == LSM_OK) rc = lsm_output_finish(j->out, &j->edit);
  if (rc == LSM_OK && j->edit.nadded > 0) rc = j->db->env->sync_dir(j->db->env, j->db->dir);
  return rc;
}

/*--------------------------------------------------------------- complete */

/* A file that goes down a level as it is, without being looked at. */
static lsm_rc move_file(job *j) {
  const lsm_filemeta *f = j->plan->inputs[0];
  lsm_filemeta *moved = NULL;
  lsm_rc rc = lsm_filemeta_place(f, j->plan->output_level, j->plan->output_run, &moved);
  if (rc == LSM_OK) rc = lsm_edit_add_file(&j->edit, moved);
  lsm_filemeta_unref(moved);
  return rc;
}

/* Is every input still part of the store? Not when its keyspace was dropped. */
static bool inputs_are_live(job *j) {
  return lsm_version_tree(j->db->version, j->plan->keyspace) != NULL;
}

static lsm_rc complete(job *j) {
  const lsm_plan *p = j->plan;
  lsm_db *db = j->db;
  lsm_rc rc = LSM_OK;
  bool unknown = false;
  for (size_t i = 0; i < p->ninputs && rc == LSM_OK; i++) {
    rc = lsm_edit_remove_file(&j->edit, p->inputs[i]);
  }
  if (rc == LSM_OK && p->next_key.data != NULL) {
    rc = lsm_edit_set_pointer(&j->edit, p->keyspace, p->source_level, p->next_key);
  }
  if (rc == LSM_OK) {
    rc = lsm_manifest_enter(db);
  }
  if (rc == LSM_OK) {
    rc = inputs_are_live(j) ? lsm_db_log_edit(db, &j->edit, &unknown)
                            : lsm_fail(LSM_NOTFOUND, "%s: keyspace dropped", db->dir);
    lsm_manifest_exit(db);
  }
  if (rc != LSM_OK && !unknown && !p->move) lsm_output_discard(db, &j->edit);
  return rc;
}

static void job_fini(job *j) {
  lsm_iter_free(j->merge);
  for (size_t i = 0; i < j->nsources; i++) {
    lsm_iter_free(j->sources[i].iter); /* only when the merge was never made */
    lsm_run_ranges_free(j->run_ranges[i]);
  }
  lsm_free(j->sources);
  lsm_free(j->run_ranges);
  lsm_output_free(j->out);
  lsm_gc_free(j->gc);
  lsm_rangeset_fini(&j->ranges);
  lsm_edit_fini(&j->edit);
}

lsm_rc lsm_compact_run(lsm_db *db, const lsm_plan *plan, const lsm_interrupt *intr) {
  job j;
  memset(&j, 0, sizeof(j));
  j.db = db;
  j.plan = plan;
  j.intr = intr;
  lsm_rc rc = lsm_keyspace_get(db, plan->keyspace, &j.opt);
  if (rc == LSM_OK && j.opt.expires) j.now = lsm_now(db);
  if (rc == LSM_OK) rc = plan->move ? move_file(&j) : execute(&j);
  if (rc == LSM_OK) {
    rc = complete(&j);
  } else if (!plan->move) {
    lsm_output_discard(db, &j.edit);
  }
  if (rc == LSM_OK && plan->move) LSM_COUNT(db, trivial_moves, 1);
  if (rc == LSM_OK && !plan->move) {
    LSM_COUNT(db, compactions, 1);
    LSM_COUNT(db, expired_entries, j.expired);
    for (size_t i = 0; i < plan->ninputs; i++) {
      LSM_COUNT(db, compaction_read_bytes, plan->inputs[i]->size);
    }
  }
  job_fini(&j);
  lsm_db_purge(db);
  if (rc == LSM_NOTFOUND) rc = LSM_OK; /* dropped meanwhile: nothing left to do */
  return rc;
}

/*---------------------------------------------------------------- by hand */

lsm_rc lsm_compact(lsm_db *db, uint32_t keyspace, const lsm_interrupt *intr) {
  lsm_keyspace_options opt;
  lsm_rc rc = lsm_keyspace_get(db, keyspace, &opt);
  if (rc == LSM_OK) rc = lsm_flush(db, intr);
  if (rc == LSM_OK) rc = lsm_compact_acquire(db, intr);
  if (rc != LSM_OK) return rc;
  lsm_plan plan;
  bool found = false;
  memset(&plan, 0, sizeof(plan));
  lsm_version *v = lsm_db_version(db);
  const lsm_tree *t = lsm_version_tree(v, keyspace);
  if (t != NULL) rc = lsm_picker_full(t, lsm_now(db), &found, &plan);
  if (rc == LSM_OK && found) rc = lsm_compact_run(db, &plan, intr);
  if (found) lsm_plan_fini(&plan);
  lsm_version_unref(v);
  lsm_db_purge(db);
  lsm_compact_release(db);
  return rc;
}
