/* db.c: a store from open to close; its keyspaces; edits of its manifest.
**
** Owns:  lsm_db, its directory's lock, the order of edits.
** Holds: (1) what CURRENT's manifest says is what db->version says, but for an
**            edit that is being made;
**        (2) a file in db->version is on stable storage before the edit that
**            adds it, and removed after the edit that drops it. */
#include <stdlib.h>

#include "db_int.h"

const uint8_t *lsm_store_id(const lsm_db *db) { return db->store_id; }

uint64_t lsm_last_txid(lsm_db *db) { return atomic_load(&db->last_txid); }

void lsm_options_init(lsm_options *opt) {
  memset(opt, 0, sizeof(*opt));
  opt->memtable_size = 64u << 20;
  opt->cache_size = 64u << 20;
}

void lsm_keyspace_options_init(lsm_keyspace_options *opt) {
  memset(opt, 0, sizeof(*opt));
  opt->compaction = LSM_LEVELED;
  opt->compression = LSM_COMPRESS_ZLIB;
  opt->block_size = 4096;
  opt->bloom_bits = 10;
}

bool lsm_interrupted(const lsm_interrupt *intr) {
  return intr != NULL && intr->fn != NULL && intr->fn(intr->arg);
}

uint64_t lsm_db_new_number(lsm_db *db) {
  lsm_mutex_lock(&db->mu);
  uint64_t n = db->next_file++;
  lsm_mutex_unlock(&db->mu);
  return n;
}

lsm_version *lsm_db_version(lsm_db *db) {
  lsm_mutex_lock(&db->mu);
  lsm_version *v = lsm_version_ref(db->version);
  lsm_mutex_unlock(&db->mu);
  return v;
}

lsm_rc lsm_remove_file(lsm_db *db, lsm_filetype type, uint64_t number) {
  lsm_buf path = {0};
  lsm_rc rc = lsm_filename(&path, db->dir, type, number);
  if (rc == LSM_OK) rc = db->env->remove(db->env, (const char *)path.data);
  lsm_buf_fini(&path);
  return rc;
}

/* What was read on open may be in the system's memory only: whoever wrote it
** can have been killed before the sync. Nothing may follow from it, no file be
** removed and no commit be promised, before it is durable. */
static lsm_rc settle(lsm_db *db) {
  if (db->settled) return LSM_OK;
  lsm_buf path = {0};
  lsm_file *f = NULL;
  lsm_rc rc = lsm_filename(&path, db->dir, LSM_FILE_MANIFEST, db->manifest_number);
  if (rc == LSM_OK) rc = db->env->open(db->env, (const char *)path.data, LSM_OPEN_WRITE, &f);
  if (rc == LSM_OK) rc = lsm_file_sync(f);
  if (rc == LSM_OK) rc = db->env->sync_dir(db->env, db->dir); /* CURRENT */
  if (rc == LSM_OK) rc = lsm_sync_parent(db->env, db->dir);
  lsm_file_close(f);
  lsm_buf_fini(&path);
  db->settled = rc == LSM_OK;
  return rc;
}

lsm_rc lsm_db_settle(lsm_db *db) {
  lsm_mutex_lock(&db->manifest_mu);
  lsm_rc rc = settle(db);
  lsm_mutex_unlock(&db->manifest_mu);
  return rc;
}

/*---------------------------------------------------------------- garbage */

/* Version callback: nobody holds this SSTable any more. It may come under
** locks, so the file is only noted; lsm_db_purge() removes it. Without memory
** for the note the file stays until the next open finds it. */
static void note_garbage(void *arg, uint64_t number) {
  lsm_db *db = arg;
  lsm_mutex_lock(&db->garbage_mu);
  if (lsm_buf_put_u64(&db->garbage, number) == LSM_OK) {
    atomic_fetch_add(&db->garbage_count, 1);
  }
  lsm_mutex_unlock(&db->garbage_mu);
}

void lsm_db_purge(lsm_db *db) {
  if (atomic_load(&db->garbage_count) == 0) return;
  lsm_mutex_lock(&db->garbage_mu);
  lsm_buf numbers = db->garbage;
  memset(&db->garbage, 0, sizeof(db->garbage));
  atomic_store(&db->garbage_count, 0);
  lsm_mutex_unlock(&db->garbage_mu);
  for (size_t i = 0; i + 8 <= numbers.size; i += 8) {
    uint64_t number = lsm_get_u64(numbers.data + i);
    lsm_table_cache_evict(db->tables, number);
    (void)lsm_remove_file(db, LSM_FILE_SST, number); /* else found on open */
  }
  lsm_buf_fini(&numbers);
}

/*------------------------------------------------------------------ edits */

/* Writes all of version NEXT as a new manifest and switches to it. */
static lsm_rc replace_manifest(lsm_db *db, lsm_version *next, const lsm_edit *e) {
  lsm_manifest_state st = {0};
  uint64_t number = lsm_db_new_number(db);
  memcpy(st.store_id, db->store_id, sizeof(st.store_id));
  st.number = number;
  st.version = next;
  st.log = e->log;
  st.next_file = e->next_file > number ? e->next_file : number + 1;
  st.next_keyspace = e->next_keyspace;
  st.last_txid = e->last_txid;
  lsm_manifest *m = NULL;
  lsm_rc rc = settle(db);
  if (rc != LSM_OK) return rc;
  rc = lsm_manifest_create(db->env, db->dir, number, &st, &m);
  uint64_t old = db->manifest_number;
  lsm_manifest_close(db->manifest);
  db->manifest = m;
  if (rc != LSM_OK) { /* CURRENT may name either: the next edit makes another */
    db->manifest_number = 0;
    return rc;
  }
  db->manifest_number = number;
  LSM_COUNT(db, manifest_bytes, lsm_manifest_size(m));
  if (old != 0) (void)lsm_remove_file(db, LSM_FILE_MANIFEST, old); /* else found on open */
  return LSM_OK;
}

/* Fills the fields that every edit carries. */
static void complete_edit(lsm_db *db, lsm_edit *e) {
  lsm_mutex_lock(&db->mu);
  e->next_file = db->next_file;
  if (!e->has_log) e->log = db->log;
  lsm_mutex_unlock(&db->mu);
  if (!e->has_next_keyspace) e->next_keyspace = db->next_keyspace;
  if (!e->has_last_txid) e->last_txid = db->flushed_txid;
  e->has_next_file = e->has_log = e->has_next_keyspace = e->has_last_txid = true;
}

lsm_rc lsm_db_log_edit(lsm_db *db, lsm_edit *e, bool *unknown) {
  lsm_mutex_assert_held(&db->manifest_mu);
  *unknown = false;
  complete_edit(db, e);
  lsm_version *next = NULL;
  lsm_rc rc = lsm_version_apply(db->version, e, db->dir, 0, &next);
  if (rc != LSM_OK) return rc;
  if (db->manifest == NULL || lsm_manifest_is_broken(db->manifest) ||
      lsm_manifest_size(db->manifest) > LSM_MANIFEST_MAX) {
    rc = replace_manifest(db, next, e);
    *unknown = rc != LSM_OK;
  } else {
    uint64_t before = lsm_manifest_size(db->manifest);
    rc = lsm_manifest_append(db->manifest, e);
    if (rc == LSM_OK) LSM_COUNT(db, manifest_bytes, lsm_manifest_size(db->manifest) - before);
    *unknown = rc != LSM_OK && lsm_manifest_is_broken(db->manifest);
  }
  if (rc != LSM_OK) {
    lsm_version_unref(next);
    return rc;
  }
  lsm_version_commit(next, e);
  lsm_mutex_lock(&db->mu);
  lsm_version *old = db->version;
  db->version = next;
  db->l0_pressure = lsm_l0_pressure(db, next);
  db->log = e->log;
  db->compact_checked = false;
  lsm_cond_broadcast(&db->cv);
  lsm_mutex_unlock(&db->mu);
  db->next_keyspace = e->next_keyspace;
  db->flushed_txid = e->last_txid;
  lsm_version_unref(old);
  lsm_db_purge(db);
  return LSM_OK;
}

/*-------------------------------------------------------------- keyspaces */

lsm_rc lsm_keyspace_create(lsm_db *db, const lsm_keyspace_options *opt, uint32_t *id) {
  *id = 0;
  if (db->opt.read_only) return lsm_fail(LSM_READONLY, "%s: opened read-only", db->dir);
  lsm_edit e = {0};
  bool unknown;
  lsm_mutex_lock(&db->manifest_mu);
  uint32_t n = db->next_keyspace;
  lsm_rc rc = n >= LSM_KEYSPACE_MAX ? lsm_fail(LSM_FULL, "%s: no keyspace number left", db->dir)
                                    : lsm_edit_add_keyspace(&e, n, opt);
  if (rc == LSM_OK) {
    e.has_next_keyspace = true;
    e.next_keyspace = n + 1;
    rc = lsm_db_log_edit(db, &e, &unknown);
    /* A number that may be on disk is never given out again. */
    if (rc != LSM_OK && unknown) db->next_keyspace = n + 1;
  }
  lsm_mutex_unlock(&db->manifest_mu);
  lsm_edit_fini(&e);
  if (rc == LSM_OK) *id = n;
  return rc;
}

lsm_rc lsm_keyspace_get(lsm_db *db, uint32_t id, lsm_keyspace_options *opt) {
  lsm_version *v = lsm_db_version(db);
  const lsm_tree *t = lsm_version_tree(v, id);
  if (t != NULL) *opt = t->opt;
  lsm_version_unref(v);
  if (t == NULL) return lsm_fail(LSM_NOTFOUND, "%s: no keyspace %u", db->dir, (unsigned)id);
  return LSM_OK;
}

lsm_rc lsm_keyspace_drop(lsm_db *db, uint32_t id) {
  if (db->opt.read_only) return lsm_fail(LSM_READONLY, "%s: opened read-only", db->dir);
  lsm_keyspace_options opt;
  lsm_edit e = {0};
  bool unknown;
  lsm_mutex_lock(&db->manifest_mu);
  lsm_rc rc = lsm_keyspace_get(db, id, &opt);
  if (rc == LSM_OK) rc = lsm_edit_drop_keyspace(&e, id);
  if (rc == LSM_OK) rc = lsm_db_log_edit(db, &e, &unknown);
  lsm_mutex_unlock(&db->manifest_mu);
  lsm_edit_fini(&e);
  return rc;
}

/*------------------------------------------------------------------- open */

/* What a directory holds, seen once on open. */
typedef struct dir_scan {
  lsm_db *db;
  lsm_buf logs; /* u64 numbers */
  lsm_buf ssts;
  lsm_buf others; /* manifests and temporary files: type, number */
  uint64_t max_number;
} dir_scan;

static lsm_rc scan_entry(void *arg, const char *name) {
  dir_scan *s = arg;
  uint64_t number = 0;
  lsm_rc rc = LSM_OK;
  lsm_filetype type = lsm_filename_parse(name, &number);
  switch (type) {
    case LSM_FILE_WAL: rc = lsm_buf_put_u64(&s->logs, number); break;
    case LSM_FILE_SST: rc = lsm_buf_put_u64(&s->ssts, number); break;
    case LSM_FILE_MANIFEST:
    case LSM_FILE_TMP:
      rc = lsm_buf_put_u64(&s->others, (uint64_t)type);
      if (rc == LSM_OK) rc = lsm_buf_put_u64(&s->others, number);
      break;
    default: return LSM_OK;
  }
  if (number > s->max_number) s->max_number = number;
  return rc;
}

static void scan_fini(dir_scan *s) {
  lsm_buf_fini(&s->logs);
  lsm_buf_fini(&s->ssts);
  lsm_buf_fini(&s->others);
}

static int cmp_u64(const void *a, const void *b) {
  uint64_t x = lsm_get_u64(a), y = lsm_get_u64(b);
  return x < y ? -1 : x > y;
}

/* Is number among the sorted u64s? */
static bool has_number(const lsm_buf *sorted, uint64_t number) {
  uint8_t key[8];
  lsm_set_u64(key, number);
  return sorted->size > 0 &&
         bsearch(key, sorted->data, sorted->size / 8, 8, cmp_u64) != NULL;
}

/* Every file of the version must be there; what is not of it goes. */
static lsm_rc check_files(lsm_db *db, dir_scan *s) {
  if (s->ssts.size > 0) qsort(s->ssts.data, s->ssts.size / 8, 8, cmp_u64);
  lsm_buf live = {0};
  lsm_rc rc = LSM_OK;
  const lsm_version *v = db->version;
  for (size_t t = 0; t < v->count && rc == LSM_OK; t++) {
    for (int l = 0; l < LSM_MAX_LEVELS && rc == LSM_OK; l++) {
      const lsm_level *level = &v->trees[t]->levels[l];
      for (size_t i = 0; i < level->count && rc == LSM_OK; i++) {
        uint64_t number = level->files[i]->number;
        if (!has_number(&s->ssts, number)) {
          rc = lsm_fail(LSM_CORRUPT, "%s/%06llu.sst: missing", db->dir,
                        (unsigned long long)number);
        } else {
          rc = lsm_buf_put_u64(&live, number);
        }
      }
    }
  }
  if (rc == LSM_OK && !db->opt.read_only) {
    if (live.size > 0) qsort(live.data, live.size / 8, 8, cmp_u64);
    for (size_t i = 0; i < s->ssts.size; i += 8) {
      uint64_t number = lsm_get_u64(s->ssts.data + i);
      if (has_number(&live, number)) continue;
      rc = lsm_db_settle(db);
      if (rc != LSM_OK) break;
      (void)lsm_remove_file(db, LSM_FILE_SST, number);
    }
    for (size_t i = 0; i < s->others.size && rc == LSM_OK; i += 16) {
      lsm_filetype type = (lsm_filetype)lsm_get_u64(s->others.data + i);
      uint64_t number = lsm_get_u64(s->others.data + i + 8);
      if (type == LSM_FILE_MANIFEST && number == db->manifest_number) continue;
      rc = lsm_db_settle(db);
      if (rc != LSM_OK) break;
      (void)lsm_remove_file(db, type, number);
    }
  }
  lsm_buf_fini(&live);
  return rc;
}

/* Takes the store for this process. */
static lsm_rc lock_store(lsm_db *db) {
  lsm_buf path = {0};
  int flags = db->opt.read_only ? LSM_OPEN_READ : LSM_OPEN_WRITE;
  if (db->opt.create && !db->opt.read_only) flags |= LSM_OPEN_CREATE;
  lsm_rc rc = lsm_filename(&path, db->dir, LSM_FILE_LOCK, 0);
  if (rc == LSM_OK) rc = db->env->open(db->env, (const char *)path.data, flags, &db->lock_file);
  if (rc == LSM_NOTFOUND) {
    rc = lsm_fail(LSM_CANTOPEN, "%s: no store there", db->dir);
  } else if (rc == LSM_OK) {
    rc = db->lock_file->ops->lock(db->lock_file, 0, 1,
                                  db->opt.read_only ? LSM_LOCK_SHARED : LSM_LOCK_EXCLUSIVE);
    if (rc == LSM_BUSY) rc = lsm_fail(LSM_BUSY, "%s: in use by another process", db->dir);
  }
  lsm_buf_fini(&path);
  return rc;
}

lsm_rc lsm_sync_parent(lsm_env *env, const char *dir) {
  lsm_buf parent = {0};
  const char *slash = strrchr(dir, '/');
  size_t n = slash == NULL ? 0 : (size_t)(slash - dir);
  lsm_rc rc = slash == NULL ? lsm_buf_append(&parent, ".", 2)
              : n == 0      ? lsm_buf_append(&parent, "/", 2)
                            : lsm_buf_append(&parent, dir, n);
  if (rc == LSM_OK && n > 0) rc = lsm_buf_put_u8(&parent, 0);
  if (rc == LSM_OK) rc = env->sync_dir(env, (const char *)parent.data);
  if (rc == LSM_CANTOPEN) rc = LSM_OK; /* it may not be read: the system will have to do */
  lsm_buf_fini(&parent);
  return rc;
}

/* A new, empty store; CURRENT comes last, so a crash leaves no half of one. */
static lsm_rc create_store(lsm_db *db, const dir_scan *s, lsm_manifest_state *st) {
  if (!db->opt.create) return lsm_fail(LSM_CANTOPEN, "%s: no store there", db->dir);
  if (s->logs.size > 0 || s->ssts.size > 0) {
    return lsm_fail(LSM_CORRUPT, "%s/CURRENT: missing, though the store's files are there",
                    db->dir);
  }
  memset(st, 0, sizeof(*st));
  lsm_rc rc = db->env->random(db->env, st->store_id, sizeof(st->store_id));
  if (rc != LSM_OK) return rc;
  rc = lsm_version_new(note_garbage, db, &st->version);
  if (rc != LSM_OK) return rc;
  st->number = s->max_number + 1;
  st->next_file = st->number + 1;
  st->log = st->next_file;
  st->next_keyspace = 1;
  rc = lsm_manifest_create(db->env, db->dir, st->number, st, &db->manifest);
  if (rc == LSM_OK) rc = lsm_sync_parent(db->env, db->dir);
  if (rc == LSM_OK) {
    db->settled = true;
    return LSM_OK;
  }
  lsm_version_unref(st->version);
  st->version = NULL;
  return rc;
}

/* Directory, lock, manifest: into the fields of db. */
static lsm_rc open_manifest(lsm_db *db, dir_scan *s, uint64_t *log) {
  lsm_rc rc = LSM_OK;
  if (db->opt.create && !db->opt.read_only) rc = db->env->mkdir(db->env, db->dir);
  if (rc == LSM_OK) rc = lock_store(db);
  if (rc == LSM_OK) rc = db->env->list(db->env, db->dir, scan_entry, s);
  if (rc != LSM_OK) return rc;
  lsm_manifest_state st = {0};
  rc = lsm_manifest_read(db->env, db->dir, note_garbage, db, &st);
  if (rc == LSM_NOTFOUND) rc = create_store(db, s, &st);
  if (rc != LSM_OK) return rc;
  memcpy(db->store_id, st.store_id, sizeof(db->store_id));
  db->version = st.version;
  db->l0_pressure = lsm_l0_pressure(db, st.version);
  db->manifest_number = st.number;
  db->next_file = st.next_file > s->max_number ? st.next_file : s->max_number + 1;
  db->next_keyspace = st.next_keyspace;
  db->flushed_txid = st.last_txid;
  db->last_txid = st.last_txid;
  db->log = *log = st.log;
  return LSM_OK;
}

static lsm_rc init_locks(lsm_db *db) {
  lsm_rc rc = lsm_mutex_init(&db->apply_mu, LSM_RANK_APPLY);
  rc = lsm_first_rc(rc, lsm_mutex_init(&db->manifest_mu, LSM_RANK_MANIFEST));
  rc = lsm_first_rc(rc, lsm_mutex_init(&db->mu, LSM_RANK_DB));
  rc = lsm_first_rc(rc, lsm_mutex_init(&db->garbage_mu, LSM_RANK_GARBAGE));
  return lsm_first_rc(rc, lsm_cond_init(&db->cv));
}

/* Frees everything that open made; threads are gone. */
static void free_db(lsm_db *db) {
  lsm_wal_close(db->wal);
  lsm_wal_close(db->imm_wal);
  lsm_memtable_unref(db->mem);
  lsm_memtable_unref(db->imm);
  lsm_memtable_unref(db->spare);
  lsm_manifest_close(db->manifest);
  lsm_version_unref(db->version);
  if (db->tables != NULL) lsm_db_purge(db);
  lsm_table_cache_free(db->tables);
  lsm_cache_free(db->cache);
  lsm_file_close(db->lock_file);
  lsm_buf_fini(&db->old_logs);
  lsm_buf_fini(&db->dropped_logs);
  lsm_buf_fini(&db->imm_old_logs);
  lsm_buf_fini(&db->garbage);
  lsm_cond_fini(&db->cv);
  lsm_mutex_fini(&db->garbage_mu);
  lsm_mutex_fini(&db->mu);
  lsm_mutex_fini(&db->manifest_mu);
  lsm_mutex_fini(&db->apply_mu);
  lsm_free(db->dir);
  lsm_free(db);
}

/* Sizes that follow from the options. */
static void derive_sizes(lsm_db *db) {
  uint64_t m = db->opt.memtable_size;
  db->picker.l0_trigger = 4;
  db->picker.base_level_bytes = 4 * m;
  db->picker.multiplier = 10;
  db->picker.size_ratio = 2.0;
  db->picker.max_runs = 16;
  db->target_file_size = m / 4;
  if (db->target_file_size < (256u << 10)) db->target_file_size = 256u << 10;
  if (db->target_file_size > (16u << 20)) db->target_file_size = 16u << 20;
}

lsm_rc lsm_open(lsm_env *env, const char *path, const lsm_options *opt, lsm_db **out) {
  *out = NULL;
  lsm_db *db = lsm_calloc(sizeof(*db));
  if (db == NULL) return lsm_nomem();
  dir_scan scan = {0};
  uint64_t log = 0;
  scan.db = db;
  db->env = env;
  db->opt = *opt;
  derive_sizes(db);
  lsm_rc rc = init_locks(db);
  size_t n = strlen(path);
  db->dir = rc == LSM_OK ? lsm_malloc(n + 1) : NULL;
  if (rc == LSM_OK && db->dir == NULL) rc = lsm_nomem();
  if (rc == LSM_OK) memcpy(db->dir, path, n + 1);
  if (rc == LSM_OK) rc = open_manifest(db, &scan, &log);
  if (rc == LSM_OK) rc = check_files(db, &scan);
  if (rc == LSM_OK) rc = lsm_cache_new(opt->cache_size, &db->cache);
  if (rc == LSM_OK) {
    rc = lsm_table_cache_new(env, db->dir, db->store_id, db->cache, &db->read_stats, 512,
                             &db->tables);
  }
  if (rc == LSM_OK) rc = lsm_memtable_new(&db->mem);
  if (rc == LSM_OK) {
    if (scan.logs.size > 0) qsort(scan.logs.data, scan.logs.size / 8, 8, cmp_u64);
    db->old_logs = scan.logs; /* recovery sorts them out */
    memset(&scan.logs, 0, sizeof(scan.logs));
    rc = lsm_recover(db, log);
  }
  scan_fini(&scan);
  if (rc != LSM_OK) {
    free_db(db);
    return rc;
  }
  *out = db;
  return LSM_OK;
}

/* Last words in the log: all before them is durable. */
static lsm_rc close_log(lsm_db *db) {
  if (db->wal == NULL) return LSM_OK;
  lsm_rc rc = lsm_log_sync(db);
  if (rc == LSM_OK) rc = lsm_wal_append(db->wal, LSM_WAL_CLOSE, db->last_txid, NULL, 0);
  return rc;
}

lsm_rc lsm_close(lsm_db *db) {
  if (db == NULL) return LSM_OK;
  lsm_rc rc = LSM_OK;
  /* Spares the next open the replay; the log has it all, if it is not broken. */
  if (!db->opt.read_only && db->wal != NULL &&
      (lsm_wal_is_broken(db->wal) ||
       lsm_memtable_used(db->mem) > db->opt.memtable_size / 4)) {
    (void)lsm_flush(db, NULL);
  }
  lsm_sched_stop(db);
  if (!db->opt.read_only) rc = close_log(db);
  lsm_db_purge(db);
  free_db(db);
  return rc;
}
