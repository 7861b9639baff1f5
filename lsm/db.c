/* db.c: a store from open to close; edits of its manifest.
**
** Owns:  lsm_db, its share in the directory's locks, the order of edits.
** Holds: (1) what CURRENT's manifest says is what db->version says, but for an
**            edit that is being made;
**        (2) a file in db->version is on stable storage before the edit that
**            adds it, and removed after the edit that drops it. */
#include <stdlib.h>

#include "db_int.h"

#define MANIFEST_WAIT_US 30000000u /* for another process' edit */

const uint8_t *lsm_store_id(const lsm_db *db) { return db->store_id; }

lsm_rc lsm_peek_id(lsm_env *env, const char *dir, uint8_t id[16]) {
  return lsm_manifest_peek(env, dir, id);
}

uint64_t lsm_last_txid(lsm_db *db) { return atomic_load(&db->last_txid); }

void lsm_options_init(lsm_options *opt) {
  memset(opt, 0, sizeof(*opt));
  opt->memtable_size = 64u << 20;
  opt->cache_size = 64u << 20;
}

bool lsm_interrupted(const lsm_interrupt *intr) {
  return intr != NULL && intr->fn != NULL && intr->fn(intr->arg);
}

uint64_t lsm_db_new_number(lsm_db *db) {
  if (db->share != NULL) return lsm_share_new_number(db->share);
  lsm_mutex_lock(&db->mu);
  uint64_t n = db->next_file++;
  lsm_mutex_unlock(&db->mu);
  return n;
}

uint64_t lsm_db_next_number(lsm_db *db) {
  if (db->share != NULL) return lsm_share_next_number(db->share);
  lsm_mutex_lock(&db->mu);
  uint64_t n = db->next_file;
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
static lsm_rc settle_manifest(lsm_db *db) {
  lsm_buf path = {0};
  lsm_file *f = NULL;
  if (db->settled) return LSM_OK;
  uint64_t number = lsm_pos_number(atomic_load(&db->seen_manifest));
  lsm_rc rc = lsm_filename(&path, db->dir, LSM_FILE_MANIFEST, number);
  if (rc == LSM_OK) rc = db->env->open(db->env, (const char *)path.data, LSM_OPEN_WRITE, &f);
  if (rc == LSM_NOTFOUND && db->share != NULL) { /* replaced: by one that is durable */
    lsm_buf_fini(&path);
    db->settled = true;
    return LSM_OK;
  }
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
  lsm_rc rc = settle_manifest(db);
  lsm_mutex_unlock(&db->manifest_mu);
  return rc;
}

/*------------------------------------------------------------------ edits */

/* Writes all of version NEXT as a new manifest and switches to it. *old: number
** of the one before, to be removed when others know of the new one. */
static lsm_rc replace_manifest(lsm_db *db, lsm_version *next, const lsm_edit *e, uint64_t *old) {
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
  lsm_rc rc = settle_manifest(db);
  if (rc != LSM_OK) return rc;
  rc = lsm_manifest_create(db->env, db->dir, number, &st, &m);
  *old = db->manifest_number;
  lsm_manifest_close(db->manifest);
  db->manifest = m;
  if (rc != LSM_OK) { /* CURRENT may name either: the next edit makes another */
    db->manifest_number = 0;
    return rc;
  }
  db->manifest_number = number;
  LSM_COUNT(db, manifest_bytes, lsm_manifest_size(m));
  return LSM_OK;
}

/* Fills the fields that every edit carries. */
static void complete_edit(lsm_db *db, lsm_edit *e) {
  e->next_file = lsm_db_next_number(db);
  lsm_mutex_lock(&db->mu);
  if (!e->has_log) e->log = db->log;
  lsm_mutex_unlock(&db->mu);
  if (!e->has_next_keyspace) e->next_keyspace = db->next_keyspace;
  if (!e->has_last_txid) e->last_txid = db->flushed_txid;
  e->has_next_file = e->has_log = e->has_next_keyspace = e->has_last_txid = true;
}

void lsm_swap_version(lsm_db *db, lsm_version *version, uint64_t log, uint64_t pos,
                      lsm_left *left) {
  lsm_mutex_assert_held(&db->mu);
  lsm_db_note_gen(db, version, pos);
  if (left->latest == NULL) left->latest = lsm_snapshot_outdate(db);
  left->version = db->version;
  db->version = version;
  db->l0_pressure = lsm_l0_pressure(db, version);
  db->log = log;
  db->compact_checked = false;
  if (db->imm != NULL && db->imm_log < log) {
    while (db->imm_wal_pins > 0) lsm_cond_wait(&db->cv, &db->mu);
    left->imm = db->imm;
    left->runs = db->imm_runs;
    left->wal = db->imm_wal;
    db->imm = NULL;
    db->imm_runs = NULL;
    db->imm_wal = NULL;
    db->imm_foreign = false;
  }
  lsm_cond_broadcast(&db->cv);
}

void lsm_left_free(lsm_left *left) {
  lsm_snapshot_drop(left->latest);
  lsm_wal_close(left->wal);
  lsm_memtable_unref(left->imm);
  lsm_version_unref(left->runs);
  lsm_version_unref(left->version);
}

/* The edit is durable: others may know, and we act on it. */
static void publish_edit(lsm_db *db, lsm_version *next, const lsm_edit *e) {
  lsm_left left = {0};
  uint64_t pos = lsm_pos(db->manifest_number, lsm_manifest_size(db->manifest));
  lsm_db_note_removed(db, next, e, pos);
  lsm_hosts_forget(db); /* before those who wait for the edit go on, */
  lsm_version_commit(next, e);
  lsm_mutex_lock(&db->catch_mu);
  lsm_mutex_lock(&db->apply_mu);
  lsm_mutex_lock(&db->mu);
  /* Before a writer of ours finds the immutable memtable gone, and announces a
  ** rotation that others could not understand with the manifest before this one. */
  if (db->share != NULL) lsm_share_set_manifest(db->share, pos);
  atomic_store(&db->seen_manifest, pos);
  lsm_swap_version(db, next, e->log, pos, &left);
  lsm_mutex_unlock(&db->mu);
  lsm_mutex_unlock(&db->apply_mu);
  db->next_keyspace = e->next_keyspace;
  db->flushed_txid = e->last_txid;
  lsm_mutex_unlock(&db->catch_mu);
  lsm_left_free(&left);
  if (e->has_log) lsm_lend_cache(db); /* a memtable is gone */
  lsm_hosts_forget(db); /* and what came meanwhile */
  lsm_db_purge(db);
}

/* The manifest open for appending where the last edit, of whatever process,
** ended; NULL: a new one has to be made. */
static lsm_rc open_manifest_end(lsm_db *db) {
  uint64_t pos = atomic_load(&db->seen_manifest), number = lsm_pos_number(pos);
  bool remake = db->share != NULL && lsm_share_remake(db->share);
  if (db->manifest != NULL &&
      (remake || lsm_manifest_is_broken(db->manifest) ||
       lsm_manifest_number(db->manifest) != number ||
       lsm_manifest_size(db->manifest) != lsm_pos_off(pos))) {
    bool broken = lsm_manifest_is_broken(db->manifest);
    lsm_manifest_close(db->manifest);
    db->manifest = NULL;
    if (broken) return LSM_OK;
  }
  if (db->manifest != NULL || remake || db->manifest_number == 0) return LSM_OK;
  lsm_rc rc = settle_manifest(db);
  if (rc != LSM_OK) return rc;
  return lsm_manifest_open(db->env, db->dir, number, lsm_pos_off(pos), &db->manifest);
}

lsm_rc lsm_db_log_edit(lsm_db *db, lsm_edit *e, bool *unknown) {
  lsm_mutex_assert_held(&db->manifest_mu);
  *unknown = false;
  complete_edit(db, e);
  lsm_version *next = NULL;
  lsm_rc rc = lsm_version_apply(db->version, e, db->dir, 0, &next);
  if (rc != LSM_OK) return rc;
  rc = open_manifest_end(db);
  if (rc != LSM_OK) {
    lsm_version_unref(next);
    return rc;
  }
  uint64_t old = 0;
  /* The first keyspace whose values expire makes a manifest of another version. */
  bool upgrade = lsm_version_expires(next) && !lsm_version_expires(db->version);
  if (db->manifest == NULL || upgrade || lsm_manifest_is_long(db->manifest)) {
    /* From now on, till all know of the new one, CURRENT may name either: if we
    ** fail, or are killed, whoever is next makes another. */
    if (db->share != NULL) lsm_share_set_remake(db->share, true);
    rc = replace_manifest(db, next, e, &old);
    *unknown = rc != LSM_OK;
  } else {
    uint64_t before = lsm_manifest_size(db->manifest);
    rc = lsm_manifest_append(db->manifest, e);
    if (rc == LSM_OK) LSM_COUNT(db, manifest_bytes, lsm_manifest_size(db->manifest) - before);
    *unknown = rc != LSM_OK && lsm_manifest_is_broken(db->manifest);
    if (*unknown && db->share != NULL) lsm_share_set_remake(db->share, true);
  }
  if (rc != LSM_OK) {
    lsm_version_unref(next);
    return rc;
  }
  publish_edit(db, next, e);
  if (db->share != NULL && lsm_share_remake(db->share)) lsm_share_set_remake(db->share, false);
  if (old != 0) (void)lsm_remove_file(db, LSM_FILE_MANIFEST, old); /* else found on open */
  return LSM_OK;
}

lsm_rc lsm_manifest_enter(lsm_db *db) {
  lsm_mutex_lock(&db->manifest_mu);
  if (db->share == NULL) return LSM_OK;
  lsm_rc rc = lsm_share_lock(db->share, LSM_SHARE_MANIFEST, MANIFEST_WAIT_US, NULL);
  if (rc == LSM_BUSY) rc = lsm_fail(LSM_BUSY, "%s: another process is changing the store", db->dir);
  if (rc == LSM_OK) {
    rc = lsm_catch_up(db);
    if (rc != LSM_OK) lsm_share_unlock(db->share, LSM_SHARE_MANIFEST);
  }
  if (rc != LSM_OK) lsm_mutex_unlock(&db->manifest_mu);
  return rc;
}

void lsm_manifest_exit(lsm_db *db) {
  if (db->share != NULL) lsm_share_unlock(db->share, LSM_SHARE_MANIFEST);
  lsm_mutex_unlock(&db->manifest_mu);
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

/* Every file of V (NULL: none) must be there; its number goes into LIVE. */
static lsm_rc find_files(lsm_db *db, const dir_scan *s, const lsm_version *v, lsm_buf *live) {
  lsm_rc rc = LSM_OK;
  for (size_t t = 0; v != NULL && t < v->count && rc == LSM_OK; t++) {
    for (int l = 0; l < LSM_MAX_LEVELS && rc == LSM_OK; l++) {
      const lsm_level *level = &v->trees[t]->levels[l];
      for (size_t i = 0; i < level->count && rc == LSM_OK; i++) {
        uint64_t number = level->files[i]->number;
        if (!has_number(&s->ssts, number)) {
          rc = lsm_fail(LSM_CORRUPT, "%s/%06llu.sst: missing", db->dir,
                        (unsigned long long)number);
        } else {
          rc = lsm_buf_put_u64(live, number);
        }
      }
    }
  }
  return rc;
}

/* Every file of the version, and of the log, must be there; what is not theirs
** goes. */
static lsm_rc check_files(lsm_db *db, dir_scan *s) {
  if (s->ssts.size > 0) qsort(s->ssts.data, s->ssts.size / 8, 8, cmp_u64);
  lsm_buf live = {0};
  lsm_rc rc = find_files(db, s, db->version, &live);
  if (rc == LSM_OK) rc = find_files(db, s, db->mem_runs, &live);
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

/* Is DIR there with a store in it? */
static lsm_rc has_current(lsm_db *db, bool *yes) {
  *yes = false;
  char *current = lsm_filename_new(db->dir, LSM_FILE_CURRENT, 0);
  if (current == NULL) return lsm_nomem();
  lsm_rc rc = db->env->exists(db->env, current, yes);
  lsm_free(current);
  return rc;
}

typedef struct strangers {
  lsm_buf name; /* the first that is not ours, terminated; empty: none */
  bool ours;    /* rows are there, though no CURRENT names them */
} strangers;

/* Hidden names, and what a file system has in its root, are nobody's data. */
static lsm_rc note_stranger(void *arg, const char *name) {
  strangers *s = arg;
  uint64_t number = 0;
  lsm_filetype type = lsm_filename_parse(name, &number);
  if (type == LSM_FILE_WAL || type == LSM_FILE_SST) s->ours = true;
  if (type != LSM_FILE_OTHER || name[0] == '.' || strcmp(name, "lost+found") == 0) return LSM_OK;
  return s->name.size > 0 ? LSM_OK : lsm_buf_append(&s->name, name, strlen(name) + 1);
}

/* The directory for the store; a new one is not strewn among somebody's files. */
static lsm_rc make_directory(lsm_db *db) {
  strangers s = {0};
  bool there = false;
  lsm_rc rc = db->env->mkdir(db->env, db->dir);
  if (rc == LSM_OK) rc = has_current(db, &there);
  if (rc == LSM_OK && !there) rc = db->env->list(db->env, db->dir, note_stranger, &s);
  if (rc == LSM_OK && s.name.size > 0 && !s.ours) {
    rc = lsm_fail(LSM_CANTOPEN,
                  "%s: no store there, but other files (%s): a new store needs a directory of its"
                  " own",
                  db->dir, (const char *)s.name.data);
  }
  lsm_buf_fini(&s.name);
  return rc;
}

/* There is no LOCK. A new one beside a store that others have open would keep nobody out
** of anything: so it is not made here. */
static lsm_rc no_lock(lsm_db *db) {
  bool there = false;
  lsm_rc rc = has_current(db, &there);
  if (rc != LSM_OK) return rc;
  if (!there) return lsm_fail(LSM_CANTOPEN, "%s: no store there", db->dir);
  return lsm_fail(LSM_CANTOPEN,
                  "%s/LOCK: missing; it is an empty file, to be made again when no process has the"
                  " store open",
                  db->dir);
}

/* Makes this process one of those that have the store. A reader that may not
** write goes without: nobody knows of it, and it reads what it finds. */
static lsm_rc attach(lsm_db *db, bool *alone) {
  bool exists = true;
  *alone = true;
  lsm_rc rc = db->opt.create ? LSM_OK : db->env->exists(db->env, db->dir, &exists);
  if (rc == LSM_OK && !exists) return lsm_fail(LSM_CANTOPEN, "%s: no store there", db->dir);
  if (rc == LSM_OK) {
    rc = lsm_share_open(db->env, db->dir, db->opt.create && !db->opt.read_only, &db->share);
  }
  if (rc == LSM_NOTFOUND) return no_lock(db);
  if (rc == LSM_OK) rc = lsm_share_attach(db->share, alone);
  if (rc != LSM_OK && rc != LSM_BUSY && rc != LSM_NOMEM && db->opt.read_only) {
    lsm_share_close(db->share);
    db->share = NULL;
    *alone = true;
    rc = LSM_OK;
  }
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
  rc = lsm_version_new(lsm_db_note_garbage, db, &st->version);
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

/* What the manifest said, into the fields of db. Takes over the version. */
static void take_state(lsm_db *db, const lsm_manifest_state *st) {
  memcpy(db->store_id, st->store_id, sizeof(db->store_id));
  db->version = st->version;
  db->l0_pressure = lsm_l0_pressure(db, st->version);
  db->manifest_number = st->number;
  db->next_keyspace = st->next_keyspace;
  db->flushed_txid = st->last_txid;
  db->last_txid = db->committed = db->unseen = st->last_txid;
  db->log = st->log;
  uint64_t pos = lsm_pos(st->number, st->size);
  atomic_store(&db->seen_manifest, pos);
  lsm_db_note_gen(db, db->version, pos);
}

/* The first process: reads, or makes, the manifest. */
static lsm_rc open_manifest(lsm_db *db, dir_scan *s) {
  lsm_manifest_state st = {0};
  lsm_rc rc = db->env->list(db->env, db->dir, scan_entry, s);
  if (rc == LSM_OK) rc = lsm_manifest_read(db->env, db->dir, lsm_db_note_garbage, db, &st);
  if (rc == LSM_NOTFOUND) rc = create_store(db, s, &st);
  if (rc != LSM_OK) return rc;
  if (db->manifest != NULL) st.size = lsm_manifest_size(db->manifest);
  db->next_file = st.next_file > s->max_number ? st.next_file : s->max_number + 1;
  if (db->share != NULL) lsm_share_raise_number(db->share, db->next_file);
  take_state(db, &st);
  return LSM_OK;
}

/* The others have the store: their manifest, as far as they have published it.
** Whether that is durable they need not know, if none has written yet. */
static lsm_rc join_manifest(lsm_db *db) {
  lsm_manifest_state st = {0};
  lsm_rc rc = lsm_share_lock(db->share, LSM_SHARE_MANIFEST, MANIFEST_WAIT_US, NULL);
  if (rc == LSM_BUSY) rc = lsm_fail(LSM_BUSY, "%s: another process is changing the store", db->dir);
  if (rc != LSM_OK) return rc;
  uint64_t pos = lsm_share_manifest(db->share);
  rc = lsm_manifest_load(db->env, db->dir, lsm_pos_number(pos), lsm_pos_off(pos),
                         lsm_db_note_garbage, db, &st);
  lsm_share_unlock(db->share, LSM_SHARE_MANIFEST);
  if (rc == LSM_NOTFOUND) rc = lsm_corrupt(db->dir, 0, "the manifest that others use is missing");
  if (rc != LSM_OK) return rc;
  take_state(db, &st);
  return LSM_OK;
}

/* The first process reads the logs, and leaves nothing open that only it would
** know: a decision, several logs, logs that do not count. A reader cannot. */
static lsm_rc recover_logs(lsm_db *db, dir_scan *s) {
  if (s->logs.size > 0) qsort(s->logs.data, s->logs.size / 8, 8, cmp_u64);
  db->old_logs = s->logs; /* recovery sorts them out */
  memset(&s->logs, 0, sizeof(s->logs));
  lsm_rc rc = lsm_recover(db, db->log);
  if (rc == LSM_OK) rc = check_files(db, s);
  if (rc != LSM_OK || db->share == NULL) return rc;
  bool loose = db->old_logs.size > 0 || db->dropped_logs.size > 0 || db->log_commit != 0 ||
               db->flush_first;
  if (loose && db->opt.read_only) {
    lsm_share_close(db->share);
    db->share = NULL;
    return LSM_OK;
  }
  lsm_share_set_manifest(db->share, atomic_load(&db->seen_manifest));
  lsm_publish_log(db);
  if (!loose) return LSM_OK;
  bool flush = db->old_logs.size > 0 || db->flush_first;
  rc = lsm_log_acquire(db, NULL);
  if (rc == LSM_OK) {
    rc = lsm_log_ensure(db);
    if (rc == LSM_OK && flush) rc = lsm_rotate(db, NULL);
    if (rc == LSM_OK && flush) rc = lsm_wait_flushed(db, NULL);
    if (rc == LSM_OK) db->flush_first = false;
    lsm_log_release(db);
  }
  /* The store can be read, and mended later: but by this process only. */
  db->keep_open_lock = rc != LSM_OK;
  return LSM_OK;
}

static lsm_rc init_locks(lsm_db *db) {
  lsm_rc rc = lsm_mutex_init(&db->apply_mu, LSM_RANK_APPLY);
  rc = lsm_first_rc(rc, lsm_mutex_init(&db->manifest_mu, LSM_RANK_MANIFEST));
  rc = lsm_first_rc(rc, lsm_mutex_init(&db->catch_mu, LSM_RANK_CATCH));
  rc = lsm_first_rc(rc, lsm_mutex_init(&db->mu, LSM_RANK_DB));
  rc = lsm_first_rc(rc, lsm_mutex_init(&db->garbage_mu, LSM_RANK_GARBAGE));
  rc = lsm_first_rc(rc, lsm_cond_init(&db->roles_cv));
  return lsm_first_rc(rc, lsm_cond_init(&db->cv));
}

/* Frees everything that open made; threads are gone. */
static void free_db(lsm_db *db) {
  lsm_cursors_free_idle(db);
  if (db->hosts != NULL) lsm_hosts_forget(db); /* those of the last catching up, too */
  lsm_snapshot_drop(db->latest);
  lsm_wal_close(db->wal);
  lsm_wal_close(db->imm_wal);
  lsm_wal_unfollow(db->followed);
  lsm_memtable_unref(db->mem);
  lsm_memtable_unref(db->imm);
  lsm_memtable_unref(db->spare);
  lsm_version_unref(db->mem_runs);
  lsm_version_unref(db->imm_runs);
  lsm_manifest_close(db->manifest);
  lsm_version_unref(db->version);
  if (db->tables != NULL) lsm_db_purge(db);
  lsm_table_cache_free(db->tables);
  lsm_cache_free(db->cache);
  lsm_buf_fini(&db->old_logs);
  lsm_buf_fini(&db->dropped_logs);
  lsm_buf_fini(&db->imm_old_logs);
  lsm_buf_fini(&db->garbage);
  lsm_buf_fini(&db->removed);
  lsm_share_close(db->share); /* after the last version is gone */
  lsm_buf_fini(&db->gens);
  lsm_hosts_free(db);
  lsm_cond_fini(&db->roles_cv);
  lsm_cond_fini(&db->cv);
  lsm_mutex_fini(&db->garbage_mu);
  lsm_mutex_fini(&db->mu);
  lsm_mutex_fini(&db->catch_mu);
  lsm_mutex_fini(&db->manifest_mu);
  lsm_mutex_fini(&db->apply_mu);
  lsm_free(db->dir);
  lsm_free(db);
}

/* Sizes that follow from the options. */
static void derive_sizes(lsm_db *db) {
  uint64_t m = db->opt.memtable_size;
  db->picker.l0_trigger = 8;
  db->picker.tier_trigger = 4;
  db->picker.base_level_bytes = 16 * m;
  db->picker.multiplier = 10;
  db->picker.size_ratio = 2.0;
  db->picker.max_runs = 16;
  db->picker.rest_bytes = m / 64;
  db->picker.rest_job = m / 2;
  db->target_file_size = m / 4;
  if (db->target_file_size < (256u << 10)) db->target_file_size = 256u << 10;
  if (db->target_file_size > (16u << 20)) db->target_file_size = 16u << 20;
}

/* Everything that is not in files. */
static lsm_rc make_parts(lsm_db *db) {
  lsm_rc rc = lsm_cache_new(db->opt.cache_size, &db->cache);
  if (rc == LSM_OK) {
    rc = lsm_table_cache_new(db->env, db->dir, db->store_id, db->cache, &db->read_stats, 512,
                             db->opt.cache_size / 4 * 3, &db->tables);
  }
  if (rc == LSM_OK) rc = lsm_memtable_new(&db->mem);
  if (rc == LSM_OK) lsm_memtable_expect(db->mem, 0);
  return rc;
}

/* Is it the store that the caller means? Found out before a file of it is written,
** locked or mapped: who gave the path may not be who may touch what is there. */
static lsm_rc check_id(lsm_db *db) {
  uint8_t id[16];
  if (db->opt.store_id == NULL) return LSM_OK;
  lsm_rc rc = lsm_manifest_peek(db->env, db->dir, id);
  if (rc == LSM_NOTFOUND) return lsm_fail(LSM_CANTOPEN, "%s: no store there", db->dir);
  if (rc == LSM_OK && memcmp(id, db->opt.store_id, sizeof(id)) != 0) {
    rc = lsm_fail(LSM_CANTOPEN, "%s: it is another store than the one that is meant", db->dir);
  }
  db->opt.store_id = NULL; /* the caller's */
  return rc;
}

static lsm_rc open_store(lsm_db *db) {
  dir_scan scan = {0};
  bool alone = true;
  scan.db = db;
  lsm_rc rc = check_id(db);
  if (rc == LSM_OK && db->opt.create && !db->opt.read_only) rc = make_directory(db);
  if (rc == LSM_OK) rc = attach(db, &alone);
  if (rc == LSM_OK) rc = alone ? open_manifest(db, &scan) : join_manifest(db);
  if (rc == LSM_OK) rc = make_parts(db);
  if (rc == LSM_OK) rc = alone ? recover_logs(db, &scan) : lsm_catch_up(db);
  if (rc == LSM_OK && db->share != NULL && !db->keep_open_lock) lsm_share_opened(db->share);
  scan_fini(&scan);
  return rc;
}

lsm_rc lsm_open(lsm_env *env, const char *path, const lsm_options *opt, lsm_db **out) {
  *out = NULL;
  lsm_db *db = lsm_calloc(sizeof(*db));
  if (db == NULL) return lsm_nomem();
  db->env = env;
  db->opt = *opt;
  atomic_init(&db->readers, 1); /* till it is open */
  derive_sizes(db);
  lsm_rc rc = init_locks(db);
  size_t n = strlen(path);
  db->dir = rc == LSM_OK ? lsm_malloc(n + 1) : NULL;
  if (rc == LSM_OK && db->dir == NULL) rc = lsm_nomem();
  if (rc == LSM_OK) memcpy(db->dir, path, n + 1);
  if (rc == LSM_OK) rc = open_store(db);
  if (rc != LSM_OK) {
    if (db->tables != NULL) lsm_sched_stop(db); /* recovery may have flushed */
    free_db(db);
    return rc;
  }
  lsm_drop_at_open(db);
  lsm_reading_end(db);
  *out = db;
  return LSM_OK;
}

/* Last words in the log: all before them is durable. */
static lsm_rc close_log(lsm_db *db) {
  if (db->wal == NULL) return LSM_OK;
  lsm_rc rc = lsm_log_sync(db);
  if (rc == LSM_OK) rc = lsm_wal_append(db->wal, LSM_WAL_CLOSE, db->last_txid, NULL, 0);
  if (rc == LSM_OK) lsm_wal_trim(db->wal);
  return rc;
}

lsm_rc lsm_close(lsm_db *db) {
  if (db == NULL) return LSM_OK;
  lsm_rc rc = LSM_OK;
  lsm_hosts_forget(db);
  /* While another process writes, the log is its to close. */
  bool writer = !db->opt.read_only && lsm_writer_enter(db, 0, NULL) == LSM_OK;
  /* Spares the next open the replay; the log has it all, if it is not broken. */
  if (writer && db->wal != NULL &&
      (lsm_wal_is_broken(db->wal) || db->mem_runs != NULL ||
       lsm_memtable_used(db->mem) > db->opt.memtable_size / 4)) {
    (void)lsm_flush(db, NULL);
  }
  lsm_sched_stop(db);
  if (writer) {
    rc = lsm_log_acquire(db, NULL);
    if (rc == LSM_OK) {
      rc = close_log(db);
      lsm_log_release(db);
    }
    lsm_writer_exit(db);
  } else if (db->wal != NULL) {
    rc = lsm_wal_sync(db->wal);
  }
  lsm_db_purge(db);
  free_db(db);
  return rc;
}
