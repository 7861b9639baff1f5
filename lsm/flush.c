/* flush.c: the immutable memtable becomes level-0 runs, one a keyspace.
**
** Execute: walk the memtable in key order and write one run for each keyspace
** met, points and range tombstones. Complete: one edit adds the files and says
** from which log on recovery has to read; then memtable and logs go. */
#include "db_int.h"

/* Where a walk over points and ranges stands. */
typedef struct flush_job {
  lsm_db *db;
  lsm_version *version; /* tells which keyspaces exist */
  lsm_iter *points;
  lsm_rangeset ranges; /* all of the memtable; one may span keyspaces */
  uint32_t from;       /* keyspaces below are done */
  uint64_t run;
  lsm_edit edit;
} flush_job;

static lsm_rc collect_range(void *arg, lsm_slice lo, lsm_slice hi) {
  flush_job *j = arg;
  return lsm_rangeset_add(&j->ranges, lo, hi);
}

/* The least keyspace that still has points or ranges; false: done. */
static bool next_keyspace(const flush_job *j, uint32_t *keyspace) {
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
static lsm_rc clip_ranges(const lsm_rangeset *all, lsm_slice lo, lsm_slice hi,
                          lsm_rangeset *part) {
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

/* Is there anything of the keyspace on disk that a tombstone could hide? */
static bool tree_is_empty(const lsm_tree *t) {
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    if (t->levels[l].count > 0) return false;
  }
  return true;
}

static lsm_rc flush_keyspace(flush_job *j, uint32_t keyspace) {
  const lsm_tree *t = lsm_version_tree(j->version, keyspace);
  uint8_t lower[LSM_PREFIX_MAX], upper[LSM_PREFIX_MAX];
  lsm_slice lo = lsm_slice_of(lower, lsm_prefix_put(lower, keyspace));
  lsm_slice hi = lsm_slice_of(upper, lsm_prefix_put(upper, keyspace + 1));
  lsm_iter *it = j->points;
  j->from = keyspace + 1;
  if (t == NULL) return it->valid ? it->ops->seek_ge(it, hi) : LSM_OK; /* it was dropped */
  bool empty = tree_is_empty(t);
  lsm_rangeset part = {0};
  lsm_output *o = NULL;
  lsm_keyspace_options opt = t->opt;
  /* What is flushed is soon merged: compressing it would be wasted work. */
  opt.compression = LSM_COMPRESS_NONE;
  lsm_rc rc = empty ? LSM_OK : clip_ranges(&j->ranges, lo, hi, &part);
  if (rc == LSM_OK) {
    rc = lsm_output_new(j->db, &opt, keyspace, 0, j->run, &j->db->counters.flush_bytes, &o);
  }
  if (rc == LSM_OK) lsm_output_set_ranges(o, &part);
  while (rc == LSM_OK && it->valid && lsm_slice_cmp(it->key, hi) < 0) {
    if (it->kind == LSM_KIND_PUT || !empty) {
      rc = lsm_output_add(o, (lsm_kind)it->kind, it->key, it->value);
    }
    if (rc == LSM_OK) rc = it->ops->next(it);
  }
  if (rc == LSM_OK) rc = lsm_output_finish(o, &j->edit);
  lsm_output_free(o);
  lsm_rangeset_fini(&part);
  return rc;
}

/* Writes all files of the memtable. */
static lsm_rc execute(flush_job *j, lsm_memview *v) {
  uint32_t keyspace;
  lsm_rc rc = lsm_memview_each_range(v, collect_range, j);
  if (rc == LSM_OK) rc = lsm_memview_iter(v, &j->points);
  if (rc == LSM_OK) rc = j->points->ops->first(j->points);
  while (rc == LSM_OK && next_keyspace(j, &keyspace)) rc = flush_keyspace(j, keyspace);
  if (rc == LSM_OK && j->edit.nadded > 0) rc = j->db->env->sync_dir(j->db->env, j->db->dir);
  return rc;
}

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
  rc = lsm_db_log_edit(db, &j->edit, &unknown);
  lsm_manifest_exit(db);
  if (rc != LSM_OK) {
    atomic_fetch_sub(&db->counters.flushes, 1);
    lsm_mutex_lock(&db->mu);
    db->imm_old_logs = logs;
    lsm_mutex_unlock(&db->mu);
    if (!unknown) lsm_output_discard(db, &j->edit);
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
  j.run = log; /* logs are numbered in the order of their age */
  j.version = lsm_version_ref(db->version);
  lsm_mutex_unlock(&db->mu);
  lsm_mutex_lock(&db->apply_mu);
  lsm_memview v = lsm_memtable_view(imm);
  lsm_mutex_unlock(&db->apply_mu);
  lsm_memtable_unref(imm); /* the view holds it */
  lsm_rc rc = execute(&j, &v);
  lsm_iter_free(j.points);
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
  lsm_edit_fini(&j.edit);
  lsm_rangeset_fini(&j.ranges);
  lsm_version_unref(j.version);
  lsm_db_purge(db);
  return rc;
}
