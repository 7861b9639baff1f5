/* keyspace.c: keyspaces made, asked for and dropped: edits of the manifest. */
#include "db_int.h"

void lsm_keyspace_options_init(lsm_keyspace_options *opt) {
  memset(opt, 0, sizeof(*opt));
  opt->compaction = LSM_LEVELED;
  opt->compression = LSM_COMPRESS_ZLIB;
  opt->block_size = 4096;
  opt->bloom_bits = 10;
}

lsm_rc lsm_keyspace_create(lsm_db *db, const lsm_keyspace_options *opt, uint32_t *id) {
  *id = 0;
  if (db->opt.read_only) return lsm_fail(LSM_READONLY, "%s: opened read-only", db->dir);
  lsm_edit e = {0};
  bool unknown;
  lsm_rc rc = lsm_manifest_enter(db);
  if (rc != LSM_OK) return rc;
  uint32_t n = db->next_keyspace;
  rc = n >= LSM_KEYSPACE_MAX ? lsm_fail(LSM_FULL, "%s: no keyspace number left", db->dir)
                                    : lsm_edit_add_keyspace(&e, n, opt);
  if (rc == LSM_OK) {
    e.has_next_keyspace = true;
    e.next_keyspace = n + 1;
    rc = lsm_db_log_edit(db, &e, &unknown);
    /* A number that may be on disk is never given out again. */
    if (rc != LSM_OK && unknown) db->next_keyspace = n + 1;
  }
  lsm_manifest_exit(db);
  lsm_edit_fini(&e);
  if (rc == LSM_OK) *id = n;
  return rc;
}

lsm_rc lsm_keyspace_get(lsm_db *db, uint32_t id, lsm_keyspace_options *opt) {
  lsm_rc rc = lsm_catch_up(db);
  if (rc != LSM_OK) return rc;
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
  lsm_rc rc = LSM_OK;
  /* A host that forgets, in a power loss, why it is unwanted would miss it. */
  if (db->opt.host_sync != NULL) rc = db->opt.host_sync(db->opt.host_arg);
  if (rc == LSM_OK) rc = lsm_manifest_enter(db);
  if (rc != LSM_OK) return rc;
  rc = lsm_keyspace_get(db, id, &opt);
  if (rc == LSM_OK) rc = lsm_edit_drop_keyspace(&e, id);
  if (rc == LSM_OK) rc = lsm_db_log_edit(db, &e, &unknown);
  lsm_manifest_exit(db);
  lsm_edit_fini(&e);
  return rc;
}
