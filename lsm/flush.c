/* flush.c: the immutable memtable becomes level-0 runs, one a keyspace.
**
** Execute: walk the memtable in key order and write one run for each keyspace
** met, points and range tombstones. Complete: one edit adds the files and says
** from which log on recovery has to read; then memtable and logs go. */
#include "db_int.h"

#define TELL_EVERY 512 /* entries: how far the flush has come (pace.c) */

/* Where a walk over points and ranges stands. */
typedef struct walk {
  lsm_db *db;
  const lsm_version *version; /* tells which keyspaces exist */
  const lsm_version *below;   /* runs between the memtable and the version, or NULL */
  bool keep;                  /* tombstones, and what belongs to no keyspace */
  lsm_iter *points;
  lsm_rangeset ranges; /* all of the memtable; one may span keyspaces */
  uint32_t from;       /* keyspaces below are done */
  uint64_t now;        /* what has expired then is flushed as a tombstone */
  uint64_t run;
  lsm_edit *edit;
} walk;

static lsm_rc collect_range(void *arg, lsm_slice lo, lsm_slice hi) {
  walk *j = arg;
  return lsm_rangeset_add(&j->ranges, lo, hi);
}

/* The least keyspace that still has points or ranges; false: done. */
static bool next_keyspace(const walk *j, uint32_t *keyspace) {
  uint8_t from[LSM_PREFIX_MAX];
  uint32_t a = UINT32_MAX, b = UINT32_MAX;
  if (j->points->valid) (void)lsm_prefix_get(j->points->key, &a);
  lsm_slice at = lsm_slice_of(from, lsm_prefix_put(from, j->from));
  const lsm_range *r = lsm_rangeset_after(&j->ranges, at);
  if (r != NULL) (void)lsm_prefix_get(lsm_slice_cmp(r->lo, at) > 0 ? r->lo : at, &b);
  *keyspace = a < b ? a : b;
  return *keyspace != UINT32_MAX;
}

/* The parts of the ranges that lie in [lo, hi). */
static lsm_rc clip_ranges(const lsm_rangeset *all, lsm_slice lo, lsm_slice hi, lsm_rangeset *part) {
  lsm_rc rc = LSM_OK;
  const lsm_range *r = lsm_rangeset_after(all, lo);
  if (r == NULL) return LSM_OK;
  const lsm_range *end = all->items + all->count;
  for (; rc == LSM_OK && r < end && lsm_slice_cmp(r->lo, hi) < 0; r++) {
    rc = lsm_rangeset_add(part, lsm_slice_cmp(r->lo, lo) > 0 ? r->lo : lo,
                          lsm_slice_cmp(r->hi, hi) < 0 ? r->hi : hi);
  }
  return rc;
}

/* Is there nothing of the keyspace on disk that a tombstone could hide? */
static bool nothing_below(const walk *j, const lsm_tree *t) {
  if (j->keep || t == NULL) return false;
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    if (t->levels[l].count > 0) return false;
  }
  return j->below == NULL || lsm_version_tree(j->below, t->keyspace) == NULL;
}

/* What is flushed is soon merged: compressing it would be wasted work. If it is not,
** it is packed when there is time (picker.h). */
void lsm_flush_options(const lsm_version *v, uint32_t keyspace, lsm_keyspace_options *opt) {
  const lsm_tree *t = lsm_version_tree(v, keyspace);
  if (t != NULL) {
    *opt = t->opt;
  } else {
    lsm_keyspace_options_init(opt);
  }
  opt->compression = LSM_COMPRESS_NONE;
}

static lsm_rc flush_keyspace(walk *j, uint32_t keyspace) {
  const lsm_tree *t = lsm_version_tree(j->version, keyspace);
  uint8_t lower[LSM_PREFIX_MAX], upper[LSM_PREFIX_MAX];
  lsm_slice lo = lsm_slice_of(lower, lsm_prefix_put(lower, keyspace));
  lsm_slice hi = lsm_slice_of(upper, lsm_prefix_put(upper, keyspace + 1));
  lsm_iter *it = j->points;
  j->from = keyspace + 1;
  if (t == NULL && !j->keep)
    return it->valid ? it->ops->seek_ge(it, hi) : LSM_OK; /* it was dropped */
  bool empty = nothing_below(j, t);
  lsm_rangeset part = {0};
  lsm_output *o = NULL;
  lsm_keyspace_options opt;
  lsm_flush_options(j->version, keyspace, &opt);
  lsm_rc rc = empty ? LSM_OK : clip_ranges(&j->ranges, lo, hi, &part);
  if (rc == LSM_OK) {
    rc = lsm_output_new(j->db, &opt, keyspace, 0, j->run, &j->db->counters.flush_bytes, &o);
  }
  if (rc == LSM_OK) lsm_output_set_ranges(o, &part);
  bool expires = t != NULL && t->opt.expires && !j->keep;
  for (uint64_t n = 1; rc == LSM_OK && it->valid && lsm_slice_cmp(it->key, hi) < 0; n++) {
    lsm_kind kind = (lsm_kind)it->kind;
    lsm_slice value = it->value;
    if (!j->keep && n % TELL_EVERY == 0) atomic_fetch_add(&j->db->flush_done, TELL_EVERY);
    if (expires && kind == LSM_KIND_PUT && lsm_until_past(lsm_until_of(value), j->now)) {
      kind = LSM_KIND_DELETE;
      value = LSM_SLICE_NULL;
      LSM_COUNT(j->db, expired_entries, 1);
    }
    if (kind == LSM_KIND_PUT || !empty) rc = lsm_output_add(o, kind, it->key, value);
    if (rc == LSM_OK) rc = it->ops->next(it);
  }
  if (rc == LSM_OK) rc = lsm_output_finish(o, j->edit);
  lsm_output_free(o);
  lsm_rangeset_fini(&part);
  return rc;
}

lsm_rc lsm_flush_view(lsm_db *db, const lsm_memview *v, const lsm_version *version,
                      const lsm_version *below, bool keep, uint64_t run, lsm_edit *e) {
  walk j;
  uint32_t keyspace;
  memset(&j, 0, sizeof(j));
  j.db = db;
  j.version = version;
  j.below = below;
  j.keep = keep;
  j.now = lsm_now(db);
  j.run = run;
  j.edit = e;
  lsm_rc rc = lsm_memview_each_range(v, collect_range, &j);
  if (rc == LSM_OK) rc = lsm_memview_scan(v, &j.points);
  if (rc == LSM_OK) rc = j.points->ops->first(j.points);
  while (rc == LSM_OK && next_keyspace(&j, &keyspace)) rc = flush_keyspace(&j, keyspace);
  if (rc == LSM_OK && e->nadded > 0) rc = db->env->sync_dir(db->env, db->dir);
  lsm_iter_free(j.points);
  lsm_rangeset_fini(&j.ranges);
  return rc;
}

/*---------------------------------------------------------------- the job */

typedef struct flush_job {
  lsm_db *db;
  lsm_version *runs; /* what a transaction's files put below the memtable, or NULL */
  lsm_edit edit;
  size_t own; /* files of the edit that we have written; RUNS' follow */
} flush_job;

/* Files of keyspaces that were dropped while we wrote do not go in. */
static void forget_dropped(flush_job *j) {
  lsm_edit *e = &j->edit;
  size_t n = 0;
  for (size_t i = 0; i < e->nadded; i++) {
    lsm_filemeta *f = e->added[i].file;
    if (lsm_version_tree(j->db->version, f->keyspace) != NULL) {
      e->added[n++] = e->added[i];
    } else {
      (void)lsm_remove_file(j->db, LSM_FILE_SST, f->number);
      lsm_filemeta_unref(f);
    }
  }
  e->nadded = n;
}

/* The files of transactions go to level 0 with the memtable above them. */
static lsm_rc add_runs(flush_job *j) {
  lsm_rc rc = LSM_OK;
  j->own = j->edit.nadded;
  for (size_t t = 0; j->runs != NULL && t < j->runs->count && rc == LSM_OK; t++) {
    const lsm_tree *tree = j->runs->trees[t];
    if (lsm_version_tree(j->db->version, tree->keyspace) == NULL) continue;
    for (size_t i = 0; i < tree->levels[0].count && rc == LSM_OK; i++) {
      rc = lsm_edit_add_file(&j->edit, tree->levels[0].files[i]);
    }
  }
  return rc;
}

/* Those of them whose keyspace was dropped are nobody's now. */
static void disown_runs(flush_job *j) {
  for (size_t t = 0; j->runs != NULL && t < j->runs->count; t++) {
    const lsm_tree *tree = j->runs->trees[t];
    bool added = false;
    for (size_t i = j->own; i < j->edit.nadded && !added; i++) {
      added = j->edit.added[i].file->keyspace == tree->keyspace;
    }
    for (size_t i = 0; i < tree->levels[0].count && !added; i++) {
      lsm_db_disown(j->db, tree->levels[0].files[i]);
    }
  }
}

/* The edit has not happened: what the job wrote goes. */
static void discard_own(flush_job *j) {
  while (j->edit.nadded > j->own) lsm_filemeta_unref(j->edit.added[--j->edit.nadded].file);
  lsm_output_discard(j->db, &j->edit);
}

/* The edit, durable; memtable and logs are not needed any more. */
static lsm_rc complete(flush_job *j, uint64_t imm_log, uint64_t txid) {
  lsm_db *db = j->db;
  bool unknown = false;
  lsm_rc rc = lsm_manifest_enter(db);
  if (rc != LSM_OK) {
    lsm_output_discard(db, &j->edit);
    return rc;
  }
  forget_dropped(j);
  rc = add_runs(j);
  j->edit.has_log = j->edit.has_last_txid = true;
  j->edit.log = imm_log + 1;
  j->edit.last_txid = txid;
  /* Installing the version drops the memtable, too. */
  /* Before those who wait for the flush look, and rotate again. */
  LSM_COUNT(db, flushes, 1);
  lsm_mutex_lock(&db->mu);
  lsm_buf logs = db->imm_old_logs;
  memset(&db->imm_old_logs, 0, sizeof(db->imm_old_logs));
  lsm_mutex_unlock(&db->mu);
  if (rc == LSM_OK) rc = lsm_db_log_edit(db, &j->edit, &unknown);
  if (rc == LSM_OK) disown_runs(j);
  lsm_manifest_exit(db);
  if (rc != LSM_OK) {
    atomic_fetch_sub(&db->counters.flushes, 1);
    lsm_mutex_lock(&db->mu);
    db->imm_old_logs = logs;
    lsm_mutex_unlock(&db->mu);
    if (!unknown) discard_own(j);
    return rc;
  }
  for (size_t i = 0; i < logs.size; i += 8) {
    (void)lsm_remove_file(db, LSM_FILE_WAL, lsm_get_u64(logs.data + i)); /* else on open */
  }
  (void)lsm_remove_file(db, LSM_FILE_WAL, imm_log);
  lsm_buf_fini(&logs);
  return LSM_OK;
}

lsm_rc lsm_flush_imm(lsm_db *db) {
  flush_job j;
  memset(&j, 0, sizeof(j));
  j.db = db;
  lsm_mutex_lock(&db->mu);
  if (db->imm == NULL) { /* another process was faster */
    lsm_mutex_unlock(&db->mu);
    return LSM_OK;
  }
  lsm_memtable *imm = lsm_memtable_ref(db->imm);
  uint64_t log = db->imm_log, txid = db->imm_txid;
  bool has_host = db->imm_has_host;
  lsm_version *version = lsm_version_ref(db->version);
  j.runs = db->imm_runs != NULL ? lsm_version_ref(db->imm_runs) : NULL;
  lsm_mutex_unlock(&db->mu);
  lsm_mutex_lock(&db->apply_mu);
  lsm_memview v = lsm_memtable_view(imm);
  lsm_mutex_unlock(&db->apply_mu);
  lsm_memtable_unref(imm); /* the view holds it */
  lsm_flush_begins(db, lsm_memtable_entries(v.mt));
  /* Runs are numbered by their log: in the order of age. */
  lsm_rc rc = lsm_flush_view(db, &v, version, j.runs, false, log, &j.edit);
  lsm_memview_release(&v);
  /* What a host may still lose must stay in the log, which can drop it too. */
  if (rc == LSM_OK && has_host && db->opt.host_sync != NULL) {
    rc = db->opt.host_sync(db->opt.host_arg);
  }
  if (rc == LSM_OK) {
    rc = complete(&j, log, txid);
  } else {
    lsm_output_discard(db, &j.edit);
  }
  lsm_flush_ends(db);
  lsm_edit_fini(&j.edit);
  lsm_version_unref(j.runs);
  lsm_version_unref(version);
  lsm_db_purge(db);
  return rc;
}
