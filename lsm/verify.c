/* verify.c: everything of a store read again and checked against itself.
**
** Files are opened anew, past the cache, so that what is checked is what is on
** disk: each SSTable in full, and its properties against the manifest's; the
** manifest; the log up to where it stood when we began. */
#include "batch.h"
#include "db_int.h"

typedef struct check {
  lsm_db *db;
  const lsm_interrupt *intr;
  void (*report)(void *arg, const char *text);
  void *arg;
  uint64_t findings;
} check;

/* Damage is a finding and the search goes on; anything else ends it. */
static lsm_rc found(check *c, lsm_rc rc) {
  if (rc != LSM_CORRUPT && rc != LSM_NOTFOUND) return rc;
  c->findings++;
  c->report(c->arg, lsm_errmsg());
  return LSM_OK;
}

/* What the file says of itself against what the manifest says. */
static lsm_rc compare_props(const lsm_filemeta *f, const lsm_sst_props *p, const char *path) {
  bool same = f->size == p->size && f->entries == p->entries && f->tombstones == p->tombstones &&
              f->ranges == p->ranges && f->largest_open == p->largest_open &&
              f->expiry.first == p->expiry.first && f->expiry.half == p->expiry.half &&
              f->expiry.last == p->expiry.last &&
              lsm_slice_eq(f->smallest, lsm_buf_slice(&p->smallest)) &&
              lsm_slice_eq(f->largest, lsm_buf_slice(&p->largest));
  return same ? LSM_OK : lsm_corrupt(path, 0, "properties differ from the manifest's");
}

static lsm_rc check_file(check *c, const lsm_filemeta *f) {
  lsm_db *db = c->db;
  lsm_sst *sst = NULL;
  char *path = lsm_filename_new(db->dir, LSM_FILE_SST, f->number);
  if (path == NULL) return lsm_nomem();
  lsm_rc rc = lsm_sst_open(db->env, path, db->store_id, f->number, f->size, db->cache, NULL, &sst);
  if (rc == LSM_OK) rc = compare_props(f, lsm_sst_get_props(sst), path);
  if (rc == LSM_OK) rc = lsm_sst_verify(sst, c->intr);
  lsm_sst_close(sst);
  lsm_free(path);
  return found(c, rc);
}

static void no_garbage(void *arg, uint64_t number) {
  (void)arg;
  (void)number;
}

/* The manifest must read, and lead to as many files as we know. */
static lsm_rc check_manifest(check *c) {
  lsm_db *db = c->db;
  lsm_manifest_state st;
  memset(&st, 0, sizeof(st));
  lsm_rc rc = lsm_manifest_enter(db);
  if (rc != LSM_OK) return rc;
  rc = lsm_manifest_read(db->env, db->dir, no_garbage, NULL, &st);
  uint64_t pos = atomic_load(&db->seen_manifest);
  if (rc == LSM_OK && lsm_pos(st.number, st.size) != pos) { /* an edit that nobody announced */
    lsm_version_unref(st.version);
    rc = lsm_manifest_load(db->env, db->dir, lsm_pos_number(pos), lsm_pos_off(pos), no_garbage, NULL,
                           &st);
  }
  if (rc == LSM_OK) {
    lsm_edit mine = {0}, theirs = {0};
    lsm_buf a = {0}, b = {0};
    rc = lsm_version_to_edit(db->version, &mine);
    if (rc == LSM_OK) rc = lsm_version_to_edit(st.version, &theirs);
    if (rc == LSM_OK) rc = lsm_edit_encode(&mine, &a);
    if (rc == LSM_OK) rc = lsm_edit_encode(&theirs, &b);
    if (rc == LSM_OK && !lsm_slice_eq(lsm_buf_slice(&a), lsm_buf_slice(&b))) {
      rc = lsm_corrupt(db->dir, 0, "the manifest differs from the open store");
    }
    lsm_edit_fini(&mine);
    lsm_edit_fini(&theirs);
    lsm_buf_fini(&a);
    lsm_buf_fini(&b);
    lsm_version_unref(st.version);
  }
  lsm_manifest_exit(db);
  return found(c, rc);
}

/* Whose log, and its name. */
typedef struct log_check {
  lsm_db *db;
  const char *path;
} log_check;

static lsm_rc check_record(void *arg, const lsm_wal_record *rec) {
  const log_check *l = arg;
  const char *path = l->path;
  const uint8_t *p = rec->payload.data, *end = p + rec->payload.size;
  lsm_entry e;
  if (rec->type == LSM_WAL_PREPARE || rec->type == LSM_WAL_PREPARE_FILES) {
    /* the host's name comes first */
    if (rec->payload.size < LSM_HOST_SIZE) return lsm_corrupt(path, rec->off, "malformed batch");
    p += LSM_HOST_SIZE;
  }
  if (rec->type == LSM_WAL_FILES || rec->type == LSM_WAL_PREPARE_FILES) {
    lsm_version *runs = NULL;
    lsm_rc rc = lsm_runs_decode(l->db, lsm_slice_of(p, (size_t)(end - p)), path, rec->off, &runs);
    lsm_version_unref(runs);
    return rc;
  }
  if (rec->type != LSM_WAL_BATCH && rec->type != LSM_WAL_PREPARE) return LSM_OK;
  while (p < end) {
    p = lsm_entry_parse(p, end, &e);
    if (p == NULL) return lsm_corrupt(path, rec->off, "malformed batch");
  }
  return LSM_OK;
}

/* The active log, up to its end now. REQUIRES: log role. */
static lsm_rc check_log(check *c) {
  lsm_db *db = c->db;
  uint64_t number = db->log_number;
  uint64_t end = db->wal != NULL ? lsm_wal_end(db->wal) : db->log_end;
  if (number == 0 || (db->wal != NULL && lsm_wal_is_broken(db->wal))) return LSM_OK;
  char *path = lsm_filename_new(db->dir, LSM_FILE_WAL, number);
  if (path == NULL) return lsm_nomem();
  lsm_wal_info info;
  log_check l = {db, path};
  lsm_rc rc = lsm_wal_replay(db->env, path, db->store_id, number, end, check_record, &l, &info);
  if (rc == LSM_OK && (info.empty || info.end < end)) {
    rc = lsm_corrupt(path, info.end, "record does not check");
  }
  lsm_free(path);
  return found(c, rc);
}

static lsm_rc check_tables(check *c, const lsm_version *v) {
  lsm_rc rc = LSM_OK;
  for (size_t t = 0; v != NULL && t < v->count && rc == LSM_OK; t++) {
    for (int l = 0; l < LSM_MAX_LEVELS && rc == LSM_OK; l++) {
      const lsm_level *level = &v->trees[t]->levels[l];
      for (size_t i = 0; i < level->count && rc == LSM_OK; i++) {
        rc = check_file(c, level->files[i]);
        if (rc == LSM_OK && lsm_interrupted(c->intr)) rc = lsm_fail(LSM_INTERRUPT, "interrupted");
      }
    }
  }
  return rc;
}

lsm_rc lsm_verify(lsm_db *db, const lsm_interrupt *intr,
                  void (*report)(void *arg, const char *text), void *arg, uint64_t *findings) {
  check c = {db, intr, report, arg, 0};
  lsm_version *parts[LSM_DB_PARTS];
  lsm_reading_begin(db);
  lsm_rc rc = lsm_catch_up(db);
  lsm_db_parts(db, parts);
  if (rc == LSM_OK) rc = check_manifest(&c);
  if (rc == LSM_OK) rc = lsm_log_acquire(db, intr);
  if (rc == LSM_OK) {
    rc = check_log(&c);
    lsm_log_release(db);
  }
  for (int i = 0; i < LSM_DB_PARTS; i++) {
    if (rc == LSM_OK) rc = check_tables(&c, parts[i]);
    lsm_version_unref(parts[i]);
  }
  lsm_reading_end(db);
  lsm_db_purge(db);
  *findings = c.findings;
  return rc;
}
