/* spill.c: runs of a transaction that is larger than its share of memory.
**
** What an overlay holds is written to SSTables that no manifest names: runs, in
** an lsm_version of their own with nothing but level 0. Versions do not change,
** so a savepoint or a snapshot keeps the one it was made with, and going back is
** taking that one again.
**
** Holds: (1) a file of such a version is garbage as soon as nobody holds it
**            (lsm_filemeta_doom), until a commit makes it the store's;
**        (2) tombstones stay: older runs, and the store, are below them;
**        (3) runs number 1, 2, ... by age; sealing, at prepare, gives numbers
**            that fit among those of the store's runs.
** Locks: none; the transaction's thread. */
#include "db_int.h"
#include "merge.h"

#define MERGE_RUNS 8 /* runs of like size that become one */
#define MERGE_LIKE 4 /* like: at most so many times the newest */

/*------------------------------------------------------- files that nobody has */

/* Noted as removed by an edit that everybody has passed. */
void lsm_db_note_doomed(void *arg, uint64_t number) {
  lsm_db *db = arg;
  lsm_mutex_lock(&db->garbage_mu);
  if (lsm_buf_reserve(&db->removed, 16) == LSM_OK &&
      lsm_buf_put_u64(&db->garbage, number) == LSM_OK) {
    (void)lsm_buf_put_u64(&db->removed, number);
    (void)lsm_buf_put_u64(&db->removed, 1);
    atomic_fetch_add(&db->garbage_count, 1);
  }
  lsm_mutex_unlock(&db->garbage_mu);
}

void lsm_db_disown(lsm_db *db, lsm_filemeta *f) {
  lsm_mutex_lock(&db->garbage_mu);
  if (lsm_buf_reserve(&db->removed, 16) == LSM_OK) {
    (void)lsm_buf_put_u64(&db->removed, f->number);
    (void)lsm_buf_put_u64(&db->removed, atomic_load(&db->seen_manifest));
  }
  lsm_mutex_unlock(&db->garbage_mu);
  lsm_filemeta_doom(f, true, lsm_db_note_garbage, db);
}

/*------------------------------------------------------- making versions */

static lsm_rc empty_runs(lsm_db *db, bool doomed, lsm_version **runs) {
  return lsm_version_new(doomed ? lsm_db_note_doomed : lsm_db_note_garbage, db, runs);
}

/* The trees that the edit's files need and BASE does not have. */
static lsm_rc add_keyspaces(const lsm_version *base, lsm_edit *e) {
  lsm_keyspace_options opt;
  lsm_keyspace_options_init(&opt); /* of no use: nothing is written by them */
  for (size_t i = 0; i < e->nadded; i++) {
    uint32_t keyspace = e->added[i].file->keyspace;
    bool known = lsm_version_tree(base, keyspace) != NULL;
    for (size_t j = 0; j < e->nkeyspaces && !known; j++) known = e->keyspaces[j].id == keyspace;
    lsm_rc rc = known ? LSM_OK : lsm_edit_add_keyspace(e, keyspace, &opt);
    if (rc != LSM_OK) return rc;
  }
  return LSM_OK;
}

/* RUNS (NULL: none) with the files of the edit. */
static lsm_rc extend(lsm_db *db, lsm_version *runs, lsm_edit *e, bool doomed, const char *path,
                     uint64_t off, lsm_version **next) {
  lsm_version *base = runs;
  *next = NULL;
  lsm_rc rc = runs == NULL ? empty_runs(db, doomed, &base) : LSM_OK;
  if (rc == LSM_OK) rc = add_keyspaces(base, e);
  if (rc == LSM_OK) rc = lsm_version_apply(base, e, path, off, next);
  if (runs == NULL) lsm_version_unref(base);
  return rc;
}

/* The files just written become part of *next, and garbage with their holders. */
static lsm_rc adopt_written(lsm_db *db, lsm_version *runs, lsm_edit *e, lsm_version **next) {
  lsm_rc rc = extend(db, runs, e, true, db->dir, 0, next);
  if (rc != LSM_OK) {
    lsm_output_discard(db, e);
    return rc;
  }
  for (size_t i = 0; i < e->nadded; i++) {
    lsm_filemeta_doom(e->added[i].file, true, lsm_db_note_doomed, db);
  }
  lsm_version_commit(*next, e); /* what a merge read goes when nobody else holds it */
  return LSM_OK;
}

/*--------------------------------------------------------------- a new run */

static uint64_t newest_run(const lsm_version *runs) {
  uint64_t newest = 0;
  for (size_t t = 0; runs != NULL && t < runs->count; t++) {
    const lsm_level *l0 = &runs->trees[t]->levels[0];
    if (l0->count > 0 && l0->files[0]->run > newest) newest = l0->files[0]->run;
  }
  return newest;
}

/* Keys that rise all the time make one run: files that meet none of the newest
** run of their keyspace join it. */
static void join_newest(const lsm_version *runs, lsm_edit *e, size_t from, size_t to) {
  const lsm_tree *t = lsm_version_tree(runs, e->added[from].file->keyspace);
  if (t == NULL || t->levels[0].count == 0) return;
  const lsm_level *l0 = &t->levels[0];
  size_t n = lsm_run_length(l0, 0);
  for (size_t i = from; i < to; i++) {
    const lsm_filemeta *f = e->added[i].file;
    size_t at = lsm_files_find(l0->files, n, f->smallest);
    if (at < n && lsm_filemeta_overlaps(l0->files[at], f->smallest, f->largest, f->largest_open)) {
      return;
    }
  }
  for (size_t i = from; i < to; i++) e->added[i].file->run = l0->files[0]->run;
}

lsm_rc lsm_runs_add(lsm_db *db, lsm_version *runs, const lsm_memview *view, lsm_version **next) {
  lsm_edit e = {0};
  *next = NULL;
  lsm_version *v = lsm_db_version(db); /* how the keyspaces want their files */
  lsm_rc rc = lsm_flush_view(db, view, v, NULL, true, newest_run(runs) + 1, &e);
  lsm_version_unref(v);
  if (rc != LSM_OK) {
    lsm_output_discard(db, &e);
  } else {
    for (size_t i = 0, to; i < e.nadded && runs != NULL; i = to) {
      for (to = i; to < e.nadded && e.added[to].file->keyspace == e.added[i].file->keyspace;) to++;
      join_newest(runs, &e, i, to);
    }
    rc = adopt_written(db, runs, &e, next);
  }
  lsm_edit_fini(&e);
  return rc;
}

/*------------------------------------------------------------------ merging */

/* Some of the newest runs of a keyspace, to be made one. */
typedef struct merging {
  lsm_db *db;
  const lsm_tree *tree;
  size_t nfiles, nruns; /* from the newest on */
  lsm_source sources[LSM_RUNS_MAX];
  lsm_run_ranges *run_ranges[LSM_RUNS_MAX];
  lsm_rangeset ranges;
  lsm_iter *merge;
  lsm_output *out;
  lsm_edit edit;
} merging;

/* How many of the newest runs are of like size. */
static void choose(merging *m) {
  const lsm_level *l0 = &m->tree->levels[0];
  uint64_t first = 0;
  m->nfiles = m->nruns = 0;
  while (m->nfiles < l0->count && m->nruns < LSM_RUNS_MAX) {
    size_t n = lsm_run_length(l0, m->nfiles);
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += l0->files[m->nfiles + i]->size;
    if (m->nruns == 0) first = bytes;
    if (bytes > MERGE_LIKE * first) break;
    m->nfiles += n;
    m->nruns++;
  }
}

static lsm_rc open_sources(merging *m) {
  const lsm_level *l0 = &m->tree->levels[0];
  lsm_table_cache *tables = m->db->tables;
  lsm_rc rc = LSM_OK;
  size_t at = 0;
  for (size_t s = 0; s < m->nruns && rc == LSM_OK; s++) {
    size_t n = lsm_run_length(l0, at);
    rc = lsm_run_iter(tables, l0->files + at, n, false, &m->sources[s].iter);
    if (rc == LSM_OK) {
      rc = lsm_run_ranges_new(tables, l0->files + at, n, &m->run_ranges[s], &m->sources[s].ranges);
    }
    at += n;
  }
  return rc;
}

static lsm_rc collect_ranges(merging *m) {
  lsm_rc rc = LSM_OK;
  for (size_t i = 0; i < m->nfiles && rc == LSM_OK; i++) {
    const lsm_filemeta *f = m->tree->levels[0].files[i];
    lsm_sst *sst = NULL;
    if (f->ranges == 0) continue;
    rc = lsm_table_cache_get(m->db->tables, f, &sst);
    if (rc != LSM_OK) break;
    const lsm_rangeset *set = lsm_sst_ranges(sst);
    for (size_t r = 0; set != NULL && r < set->count && rc == LSM_OK; r++) {
      rc = lsm_rangeset_add(&m->ranges, set->items[r].lo, set->items[r].hi);
    }
    lsm_table_cache_unpin(m->db->tables, sst);
  }
  return rc;
}

static lsm_rc write_merged(merging *m) {
  lsm_keyspace_options opt;
  const lsm_filemeta *newest = m->tree->levels[0].files[0];
  lsm_rc rc = open_sources(m);
  if (rc == LSM_OK) rc = collect_ranges(m);
  if (rc == LSM_OK) {
    rc = lsm_merge_new(m->sources, (int)m->nruns, &m->merge); /* owns the iterators now */
    for (size_t s = 0; s < m->nruns; s++) m->sources[s].iter = NULL;
  }
  if (rc != LSM_OK) return rc;
  lsm_version *v = lsm_db_version(m->db);
  lsm_flush_options(v, newest->keyspace, &opt);
  lsm_version_unref(v);
  rc = lsm_output_new(m->db, &opt, newest->keyspace, 0, newest->run,
                      &m->db->counters.compaction_bytes, &m->out);
  if (rc == LSM_OK) {
    lsm_output_set_ranges(m->out, &m->ranges);
    rc = m->merge->ops->first(m->merge);
  }
  while (rc == LSM_OK && m->merge->valid) {
    rc = lsm_output_add(m->out, (lsm_kind)m->merge->kind, m->merge->key, m->merge->value);
    if (rc == LSM_OK) rc = m->merge->ops->next(m->merge);
  }
  if (rc == LSM_OK) rc = lsm_output_finish(m->out, &m->edit);
  if (rc == LSM_OK) {
    for (size_t i = 0; i < m->nfiles; i++) {
      LSM_COUNT(m->db, compaction_read_bytes, m->tree->levels[0].files[i]->size);
    }
  }
  return rc;
}

static void merging_fini(merging *m) {
  lsm_iter_free(m->merge);
  for (size_t s = 0; s < m->nruns; s++) {
    lsm_iter_free(m->sources[s].iter); /* only when the merge was never made */
    lsm_run_ranges_free(m->run_ranges[s]);
  }
  lsm_output_free(m->out);
  lsm_rangeset_fini(&m->ranges);
  lsm_edit_fini(&m->edit);
}

/* One merge of one keyspace: *runs is replaced. */
static lsm_rc merge_tree(merging *m, lsm_version **runs) {
  lsm_version *next = NULL;
  lsm_rc rc = write_merged(m);
  for (size_t i = 0; i < m->nfiles && rc == LSM_OK; i++) {
    rc = lsm_edit_remove_file(&m->edit, m->tree->levels[0].files[i]);
  }
  if (rc != LSM_OK) {
    lsm_output_discard(m->db, &m->edit);
    return rc;
  }
  rc = adopt_written(m->db, *runs, &m->edit, &next);
  if (rc != LSM_OK) return rc;
  lsm_version_unref(*runs);
  *runs = next;
  return LSM_OK;
}

lsm_rc lsm_runs_merge(lsm_db *db, lsm_version **runs) {
  lsm_rc rc = LSM_OK;
  for (size_t t = 0; *runs != NULL && t < (*runs)->count && rc == LSM_OK;) {
    merging m;
    memset(&m, 0, sizeof(m));
    m.db = db;
    lsm_version *held = lsm_version_ref(*runs);
    m.tree = held->trees[t];
    choose(&m);
    if (m.nruns >= MERGE_RUNS) {
      rc = merge_tree(&m, runs); /* and looks again */
    } else {
      m.nruns = 0;
      t++;
    }
    merging_fini(&m);
    lsm_version_unref(held);
  }
  lsm_db_purge(db);
  return rc;
}

/*------------------------------------------------------------------ sealing */

size_t lsm_runs_count(const lsm_version *runs) {
  size_t most = 0;
  for (size_t t = 0; t < runs->count; t++) {
    const lsm_level *l0 = &runs->trees[t]->levels[0];
    size_t n = 0;
    for (size_t i = 0; i < l0->count; i += lsm_run_length(l0, i)) n++;
    if (n > most) most = n;
  }
  return most;
}

/* A tree's files under numbers of the store's: the newest run gets the last. */
static lsm_rc renumber(const lsm_level *l0, const uint64_t *numbers, size_t count, lsm_edit *e) {
  lsm_rc rc = LSM_OK;
  size_t k = count;
  for (size_t i = 0; i < l0->count && rc == LSM_OK;) {
    size_t end = i + lsm_run_length(l0, i);
    for (k--; i < end && rc == LSM_OK; i++) {
      lsm_filemeta *f = NULL;
      rc = lsm_filemeta_place(l0->files[i], 0, numbers[k], &f);
      if (rc == LSM_OK) rc = lsm_edit_add_file(e, f);
      lsm_filemeta_unref(f);
    }
  }
  return rc;
}

lsm_rc lsm_runs_seal(lsm_db *db, const lsm_version *runs, const uint64_t *numbers, size_t count,
                     lsm_buf *payload, lsm_version **sealed) {
  lsm_edit e = {0};
  lsm_rc rc = LSM_OK;
  *sealed = NULL;
  for (size_t t = 0; t < runs->count && rc == LSM_OK; t++) {
    rc = renumber(&runs->trees[t]->levels[0], numbers, count, &e);
  }
  if (rc == LSM_OK) rc = lsm_edit_encode(&e, payload);
  if (rc == LSM_OK) rc = extend(db, NULL, &e, true, db->dir, 0, sealed);
  lsm_edit_fini(&e);
  return rc;
}

void lsm_runs_keep(lsm_db *db, lsm_version *runs) {
  for (size_t t = 0; t < runs->count; t++) {
    const lsm_level *l0 = &runs->trees[t]->levels[0];
    for (size_t i = 0; i < l0->count; i++) {
      lsm_filemeta_doom(l0->files[i], false, lsm_db_note_garbage, db);
    }
  }
}

lsm_rc lsm_runs_decode(lsm_db *db, lsm_slice payload, const char *path, uint64_t off,
                       lsm_version **runs) {
  lsm_edit e = {0};
  *runs = NULL;
  lsm_rc rc = lsm_edit_decode(payload, path, off, &e);
  bool only_files = !e.has_next_file && !e.has_log && !e.has_next_keyspace && !e.has_last_txid &&
                    e.nkeyspaces == 0 && e.nremoved == 0 && e.npointers == 0;
  for (size_t i = 0; i < e.nadded; i++) only_files &= e.added[i].file->level == 0;
  if (rc == LSM_OK && !only_files) rc = lsm_corrupt(path, off, "record that adds more than files");
  if (rc == LSM_OK) rc = extend(db, NULL, &e, false, path, off, runs);
  lsm_edit_fini(&e);
  return rc;
}
