/* inspect.c: looking into a store: statistics, file lists, estimates. */
#include "db_int.h"

static uint64_t get(_Atomic uint64_t *counter) {
  return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Adds one file to the gauges. */
static void add_file(lsm_stats *s, const lsm_filemeta *f) {
  s->sst_files++;
  s->sst_bytes += f->size;
  s->sst_raw_bytes += f->raw_bytes;
}

/* The oldest run of a keyspace: its deepest level, or its oldest tier. */
static uint64_t oldest_run_bytes(const lsm_tree *t) {
  uint64_t bytes = 0;
  for (int l = LSM_MAX_LEVELS - 1; l >= 1; l--) {
    for (size_t i = 0; i < t->levels[l].count; i++) bytes += t->levels[l].files[i]->raw_bytes;
    if (bytes > 0) return bytes;
  }
  const lsm_level *l0 = &t->levels[0];
  for (size_t i = l0->count; i > 0 && l0->files[i - 1]->run == l0->files[l0->count - 1]->run; i--) {
    bytes += l0->files[i - 1]->raw_bytes;
  }
  return bytes;
}

static void count_files(const lsm_version *v, lsm_stats *s, bool all) {
  for (size_t t = 0; t < v->count; t++) {
    for (int l = 0; l < LSM_MAX_LEVELS; l++) {
      const lsm_level *level = &v->trees[t]->levels[l];
      for (size_t i = 0; i < level->count; i++) add_file(s, level->files[i]);
    }
    if (all) s->last_level_raw_bytes += oldest_run_bytes(v->trees[t]);
  }
}

void lsm_db_parts(lsm_db *db, lsm_version *parts[LSM_DB_PARTS]) {
  lsm_mutex_lock(&db->apply_mu);
  lsm_mutex_lock(&db->mu);
  parts[0] = lsm_version_ref(db->version);
  parts[1] = db->mem_runs != NULL ? lsm_version_ref(db->mem_runs) : NULL;
  parts[2] = db->imm_runs != NULL ? lsm_version_ref(db->imm_runs) : NULL;
  lsm_mutex_unlock(&db->mu);
  lsm_mutex_unlock(&db->apply_mu);
}

void lsm_get_stats(lsm_db *db, lsm_stats *s) {
  memset(s, 0, sizeof(*s));
  lsm_counters *c = &db->counters;
  s->user_bytes = get(&c->user_bytes);
  s->wal_bytes = get(&c->wal_bytes);
  s->flush_bytes = get(&c->flush_bytes);
  s->compaction_bytes = get(&c->compaction_bytes);
  s->compaction_read_bytes = get(&c->compaction_read_bytes);
  s->manifest_bytes = get(&c->manifest_bytes);
  s->flushes = get(&c->flushes);
  s->compactions = get(&c->compactions);
  s->trivial_moves = get(&c->trivial_moves);
  s->slowdowns = get(&c->slowdowns);
  s->stalls = get(&c->stalls);
  s->stall_us = get(&c->stall_us);
  s->commits = get(&c->commits);
  s->syncs = get(&c->syncs);
  s->gets = get(&c->gets);
  s->scans = get(&c->scans);
  s->snapshots = get(&c->snapshots);
  s->expired_entries = get(&c->expired_entries);
  s->expired_files = get(&c->expired_files);
  s->bloom_checks = get(&db->read_stats.bloom_checks);
  s->bloom_hits = get(&db->read_stats.bloom_hits);
  s->bloom_false_positives = get(&db->read_stats.bloom_false_positives);
  lsm_cache_stats cs;
  lsm_cache_get_stats(db->cache, &cs);
  s->cache_hits = cs.hits;
  s->cache_misses = cs.misses;
  s->cache_bytes = cs.bytes;
  lsm_mutex_lock(&db->apply_mu);
  lsm_mutex_lock(&db->mu);
  if (db->latest != NULL && atomic_load(&db->latest->refs) == 1) s->snapshots--; /* nobody's */
  s->memtable_bytes = lsm_memtable_memory(db->mem);
  s->memtable_entries = lsm_memtable_entries(db->mem);
  if (db->imm != NULL) {
    s->memtable_bytes += lsm_memtable_memory(db->imm);
    s->memtable_entries += lsm_memtable_entries(db->imm);
  }
  lsm_mutex_unlock(&db->mu);
  lsm_mutex_unlock(&db->apply_mu);
  lsm_version *parts[LSM_DB_PARTS];
  lsm_db_parts(db, parts);
  for (int i = 0; i < LSM_DB_PARTS; i++) {
    if (parts[i] != NULL) count_files(parts[i], s, i == 0);
    lsm_version_unref(parts[i]);
  }
  s->obsolete_files = atomic_load(&db->garbage_count);
}

/*------------------------------------------------------------------ lists */

/* A key without its keyspace's number. */
static lsm_slice user_key(lsm_slice key) {
  uint32_t keyspace;
  size_t n = lsm_prefix_get(key, &keyspace);
  return lsm_slice_of(key.data + n, key.size - n);
}

/* A range's upper bound may be the next keyspace's prefix: it has no user key. */
static void fill_info(lsm_file_info *info, const lsm_filemeta *f) {
  uint32_t keyspace;
  memset(info, 0, sizeof(*info));
  info->keyspace = f->keyspace;
  info->level = f->level;
  info->run = f->run;
  info->number = f->number;
  info->bytes = f->size;
  info->entries = f->entries + f->ranges;
  info->tombstones = f->tombstones + f->ranges;
  info->min_key = user_key(f->smallest);
  (void)lsm_prefix_get(f->largest, &keyspace);
  info->max_key = keyspace == f->keyspace ? user_key(f->largest) : LSM_SLICE_NULL;
}

static lsm_rc list_tree(const lsm_tree *t, lsm_rc (*fn)(void *arg, const lsm_file_info *info),
                        void *arg) {
  lsm_rc rc = LSM_OK;
  for (int l = 0; l < LSM_MAX_LEVELS && rc == LSM_OK; l++) {
    for (size_t i = 0; i < t->levels[l].count && rc == LSM_OK; i++) {
      lsm_file_info info;
      fill_info(&info, t->levels[l].files[i]);
      rc = fn(arg, &info);
    }
  }
  return rc;
}

lsm_rc lsm_list_files(lsm_db *db, uint32_t keyspace,
                      lsm_rc (*fn)(void *arg, const lsm_file_info *info), void *arg) {
  lsm_version *v = lsm_db_version(db);
  lsm_rc rc = LSM_OK;
  for (size_t t = 0; t < v->count && rc == LSM_OK; t++) {
    if (keyspace == 0 || v->trees[t]->keyspace == keyspace) rc = list_tree(v->trees[t], fn, arg);
  }
  lsm_version_unref(v);
  return rc;
}

lsm_rc lsm_level_scores(lsm_db *db, uint32_t keyspace, double *score) {
  lsm_version *v = lsm_db_version(db);
  const lsm_tree *t = lsm_version_tree(v, keyspace);
  for (int l = 0; l < LSM_MAX_LEVELS; l++) score[l] = 0;
  lsm_picker_options opt = lsm_picker_now(db);
  if (t != NULL) lsm_picker_scores(t, &opt, score);
  lsm_version_unref(v);
  if (t == NULL) return lsm_fail(LSM_NOTFOUND, "%s: no keyspace %u", db->dir, (unsigned)keyspace);
  return LSM_OK;
}

/*-------------------------------------------------------------- estimates */

/* The share of a file between the bounds: its index says where each lies. */
static lsm_rc file_share(lsm_db *db, const lsm_filemeta *f, lsm_slice lo, lsm_slice hi,
                         double *share) {
  bool cut_lo = lsm_slice_cmp(f->smallest, lo) < 0;
  bool cut_hi = lsm_slice_cmp(f->largest, hi) >= 0;
  *share = 1.0;
  if (!cut_lo && !cut_hi) return LSM_OK;
  lsm_sst *sst = NULL;
  lsm_rc rc = lsm_table_cache_get(db->tables, f, &sst);
  if (rc != LSM_OK) return rc;
  double from = cut_lo ? lsm_sst_position(sst, lo) : 0.0;
  double to = cut_hi ? lsm_sst_position(sst, hi) : 1.0;
  *share = to > from ? to - from : 0.0;
  lsm_table_cache_unpin(db->tables, sst);
  return LSM_OK;
}

/* Rows that a file adds to those there are, as far as one knows: a tombstone is no
** row, and takes one from an older file as a rule. */
static double added_rows(const lsm_filemeta *f, uint64_t now) {
  double values = (double)(f->entries - f->tombstones);
  if (lsm_until_past(f->expiry.last, now)) values = 0;
  if (lsm_until_past(f->expiry.half, now)) values /= 2;
  return values - (double)f->tombstones;
}

/* Adds what the files of a version (NULL: none) have between the bounds. */
static lsm_rc estimate_files(lsm_db *db, const lsm_version *v, uint32_t keyspace, lsm_slice from,
                             lsm_slice to, double *rows, double *bytes) {
  lsm_rc rc = LSM_OK;
  const lsm_tree *t = v != NULL ? lsm_version_tree(v, keyspace) : NULL;
  uint64_t now = t != NULL && t->opt.expires ? lsm_now(db) : 0;
  for (int l = 0; l < LSM_MAX_LEVELS && t != NULL && rc == LSM_OK; l++) {
    for (size_t i = 0; i < t->levels[l].count && rc == LSM_OK; i++) {
      const lsm_filemeta *f = t->levels[l].files[i];
      double share = 0;
      if (!lsm_filemeta_overlaps(f, from, to, true)) continue;
      rc = file_share(db, f, from, to, &share);
      *rows += share * added_rows(f, now);
      *bytes += share * (double)f->size;
    }
  }
  return rc;
}

lsm_rc lsm_estimate(lsm_snapshot *s, uint32_t keyspace, lsm_slice lower, lsm_slice upper,
                    uint64_t *rows, uint64_t *bytes) {
  lsm_buf lo = {0}, hi = {0};
  uint8_t prefix[LSM_PREFIX_MAX];
  double nrows = 0, nbytes = 0;
  *rows = *bytes = 0;
  lsm_rc rc = lsm_buf_append(&lo, prefix, lsm_prefix_put(prefix, keyspace));
  if (rc == LSM_OK && lower.size > 0) rc = lsm_buf_append(&lo, lower.data, lower.size);
  if (rc == LSM_OK) {
    rc = lsm_buf_append(&hi, prefix,
                        lsm_prefix_put(prefix, upper.data == NULL ? keyspace + 1 : keyspace));
  }
  if (rc == LSM_OK && upper.size > 0) rc = lsm_buf_append(&hi, upper.data, upper.size);
  lsm_slice from = lsm_buf_slice(&lo), to = lsm_buf_slice(&hi);
  for (int i = 0; i < s->nviews && rc == LSM_OK; i++) {
    nrows += (double)lsm_memview_estimate(&s->views[i], from, to);
    rc = estimate_files(s->db, s->runs[i], keyspace, from, to, &nrows, &nbytes);
  }
  if (rc == LSM_OK) rc = estimate_files(s->db, s->version, keyspace, from, to, &nrows, &nbytes);
  lsm_buf_fini(&lo);
  lsm_buf_fini(&hi);
  *rows = nrows > 0 ? (uint64_t)nrows : 0;
  *bytes = (uint64_t)nbytes;
  return rc;
}
