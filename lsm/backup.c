/* backup.c: a copy of the store in another directory.
**
** What is copied is one version: after a flush its SSTables hold everything
** that is committed, they never change, and as long as the version is held
** nobody removes them. The copy's manifest is written anew and names them; it
** has no log. CURRENT comes last, so an unfinished copy is not a store.
**
** Owns:  the held version; the files of a copy until it is complete.
** Locks: the copy's LOCK is held while it is made, so that nobody opens it.
**        manifest_mu while version and counters are taken, none for copying. */
#include "db_int.h"

#define PIECE     (256u << 10) /* bytes copied at a time */
#define NAME_ROOM 64           /* for a file's name behind its directory's */

struct lsm_backup_point {
  lsm_db *db;
  lsm_version *version;
  uint64_t next_file;
  uint32_t next_keyspace;
  uint64_t last_txid;
};

/*------------------------------------------------------------- the instant */

lsm_rc lsm_backup_begin(lsm_db *db, const lsm_interrupt *intr, lsm_backup_point **out) {
  *out = NULL;
  lsm_rc rc = lsm_flush(db, intr);
  if (rc != LSM_OK) return rc;
  lsm_backup_point *p = lsm_calloc(sizeof(*p));
  if (p == NULL) return lsm_nomem();
  p->db = db;
  /* Numbers that a copied host may know must not come again in the copy, even
  ** of transactions that left nothing in the tables. */
  p->last_txid = lsm_last_txid(db);
  lsm_reading_begin(db);
  rc = lsm_manifest_enter(db);
  if (rc != LSM_OK) {
    lsm_reading_end(db);
    lsm_free(p);
    return rc;
  }
  p->version = lsm_db_version(db);
  p->next_file = lsm_db_next_number(db);
  p->next_keyspace = db->next_keyspace;
  if (p->last_txid < db->flushed_txid) p->last_txid = db->flushed_txid;
  lsm_manifest_exit(db);
  *out = p;
  return LSM_OK;
}

void lsm_backup_end(lsm_backup_point *p) {
  if (p == NULL) return;
  lsm_version_unref(p->version);
  lsm_reading_end(p->db);
  lsm_db_purge(p->db);
  lsm_free(p);
}

/*---------------------------------------------------------------- the copy */

/* A copy being made. */
typedef struct copy {
  lsm_env *env;
  const lsm_backup_point *point;
  const char *dest;
  const lsm_interrupt *intr;
  uint8_t *piece;
  lsm_buf path; /* room for a name, so that removing needs no memory */
  lsm_file *lock;
  bool dir_made;
  bool lock_made;
  bool manifest_tried;
} copy;

static lsm_rc refuse_store_file(void *arg, const char *name) {
  const char *dest = arg;
  uint64_t number;
  if (lsm_filename_parse(name, &number) == LSM_FILE_OTHER) return LSM_OK;
  return lsm_fail(LSM_CANTOPEN, "%s: a store exists already", dest);
}

/* Makes the directory ours: whoever makes LOCK has it. */
static lsm_rc claim_directory(copy *c) {
  bool exists = false;
  lsm_rc rc = c->env->exists(c->env, c->dest, &exists);
  if (rc == LSM_OK && !exists) {
    rc = c->env->mkdir(c->env, c->dest);
    c->dir_made = rc == LSM_OK;
  }
  if (rc == LSM_OK) rc = c->env->list(c->env, c->dest, refuse_store_file, (void *)c->dest);
  if (rc != LSM_OK) return rc;
  char *path = lsm_filename_new(c->dest, LSM_FILE_LOCK, 0);
  if (path == NULL) return lsm_nomem();
  rc = c->env->open(c->env, path, LSM_OPEN_WRITE | LSM_OPEN_CREATE | LSM_OPEN_EXCL, &c->lock);
  if (rc != LSM_OK) c->lock = NULL;
  c->lock_made = rc == LSM_OK;
  if (rc == LSM_OK) rc = c->lock->ops->lock(c->lock, 0, 1, LSM_LOCK_EXCLUSIVE);
  lsm_free(path);
  return rc;
}

/* SIZE bytes of FROM, synced. */
static lsm_rc copy_bytes(copy *c, lsm_file *from, const char *name, lsm_file *to, uint64_t size) {
  lsm_rc rc = LSM_OK;
  for (uint64_t off = 0; off < size && rc == LSM_OK;) {
    size_t n = size - off < PIECE ? (size_t)(size - off) : PIECE, got = 0;
    if (lsm_interrupted(c->intr)) return lsm_fail(LSM_INTERRUPT, "interrupted");
    rc = lsm_file_read(from, off, c->piece, n, &got);
    if (rc == LSM_OK && got < n) {
      rc = lsm_corrupt(name, off + got, "the file is shorter than the manifest says");
    }
    if (rc == LSM_OK) rc = lsm_file_write(to, off, c->piece, n);
    off += n;
  }
  return rc == LSM_OK ? lsm_file_sync(to) : rc;
}

static lsm_rc copy_table(copy *c, const lsm_filemeta *f) {
  lsm_file *from = NULL, *to = NULL;
  char *src = lsm_filename_new(c->point->db->dir, LSM_FILE_SST, f->number);
  char *dst = lsm_filename_new(c->dest, LSM_FILE_SST, f->number);
  lsm_rc rc = src == NULL || dst == NULL ? lsm_nomem() : LSM_OK;
  if (rc == LSM_OK) rc = c->env->open(c->env, src, LSM_OPEN_READ, &from);
  if (rc == LSM_NOTFOUND) rc = lsm_corrupt(src, 0, "missing");
  if (rc == LSM_OK) {
    rc = c->env->open(c->env, dst, LSM_OPEN_WRITE | LSM_OPEN_CREATE | LSM_OPEN_TRUNCATE, &to);
    if (rc == LSM_OK) rc = copy_bytes(c, from, src, to, f->size);
    lsm_file_close(to);
  }
  if (from != NULL) lsm_file_close(from);
  lsm_free(src);
  lsm_free(dst);
  return rc;
}

/* Calls fn for each SSTable; stops at the first failure. */
static lsm_rc for_each_table(copy *c, lsm_rc (*fn)(copy *c, const lsm_filemeta *f)) {
  const lsm_version *v = c->point->version;
  lsm_rc rc = LSM_OK;
  for (size_t t = 0; t < v->count && rc == LSM_OK; t++) {
    for (int l = 0; l < LSM_MAX_LEVELS && rc == LSM_OK; l++) {
      const lsm_level *level = &v->trees[t]->levels[l];
      for (size_t i = 0; i < level->count && rc == LSM_OK; i++) rc = fn(c, level->files[i]);
    }
  }
  return rc;
}

/* The manifest takes the first number that the store had not used. */
static lsm_rc write_manifest(copy *c) {
  const lsm_backup_point *p = c->point;
  lsm_manifest_state st = {0};
  lsm_manifest *m = NULL;
  memcpy(st.store_id, p->db->store_id, sizeof(st.store_id));
  st.number = p->next_file;
  st.version = p->version;
  st.next_file = st.number + 1;
  st.log = st.next_file;
  st.next_keyspace = p->next_keyspace;
  st.last_txid = p->last_txid;
  c->manifest_tried = true;
  lsm_rc rc = lsm_manifest_create(c->env, c->dest, st.number, &st, &m);
  lsm_manifest_close(m);
  return rc;
}

/*----------------------------------------------------------------- cleanup */

static void remove_named(copy *c, lsm_filetype type, uint64_t number) {
  if (lsm_filename(&c->path, c->dest, type, number) == LSM_OK) {
    (void)c->env->remove(c->env, (const char *)c->path.data);
  }
}

static lsm_rc remove_table(copy *c, const lsm_filemeta *f) {
  remove_named(c, LSM_FILE_SST, f->number);
  return LSM_OK;
}

/* Removes what was made, CURRENT first; the message stays that of the failure. */
static void undo(copy *c) {
  lsm_buf msg = {0};
  const char *text = lsm_errmsg();
  bool kept = lsm_buf_append(&msg, text, strlen(text) + 1) == LSM_OK;
  if (c->manifest_tried) {
    remove_named(c, LSM_FILE_CURRENT, 0);
    remove_named(c, LSM_FILE_TMP, c->point->next_file);
    remove_named(c, LSM_FILE_MANIFEST, c->point->next_file);
  }
  if (c->lock_made) {
    (void)for_each_table(c, remove_table);
    lsm_file_close(c->lock);
    c->lock = NULL;
    remove_named(c, LSM_FILE_LOCK, 0);
  }
  if (c->dir_made) (void)c->env->rmdir(c->env, c->dest); /* not when others use it */
  if (kept) lsm_set_errmsg((const char *)msg.data);
  lsm_buf_fini(&msg);
}

lsm_rc lsm_backup_copy(lsm_backup_point *p, const char *dest, const lsm_interrupt *intr) {
  copy c = {0};
  c.env = p->db->env;
  c.point = p;
  c.dest = dest;
  c.intr = intr;
  c.piece = lsm_malloc(PIECE);
  lsm_rc rc = c.piece == NULL ? lsm_nomem() : lsm_buf_reserve(&c.path, strlen(dest) + NAME_ROOM);
  if (rc == LSM_OK) rc = claim_directory(&c);
  if (rc == LSM_OK) rc = for_each_table(&c, copy_table);
  if (rc == LSM_OK) rc = write_manifest(&c); /* syncs the directory */
  if (rc == LSM_OK) rc = lsm_sync_parent(c.env, dest);
  if (rc != LSM_OK) undo(&c);
  lsm_file_close(c.lock);
  lsm_buf_fini(&c.path);
  lsm_free(c.piece);
  return rc;
}

lsm_rc lsm_backup(lsm_db *db, const char *dest, const lsm_interrupt *intr) {
  lsm_backup_point *p = NULL;
  lsm_rc rc = lsm_backup_begin(db, intr, &p);
  if (rc == LSM_OK) rc = lsm_backup_copy(p, dest, intr);
  lsm_backup_end(p);
  return rc;
}
