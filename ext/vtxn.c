/* vtxn.c: SQLite's transaction calls, carried to the connection's share of the
** store (conn.h). All that can fail happens in xSync; xCommit publishes.
**
** Every lsm table of a transaction gets these calls, in turn; the first one
** does the work, the others find it done. */
#include "vtab.h"

int lsm_vtab_join(lsm_vtab *v, bool begin) {
  int code = lsm_vtab_open_store(v);
  if (code != SQLITE_OK) return code;
  lsm_rc rc = lsm_conn_txn(v->cs, begin ? &v->base : NULL);
  if (rc != LSM_OK) return lsm_vtab_fail(&v->base, rc);
  v->cs->sync_options |= 1u << v->schema->opt.sync;
  return SQLITE_OK;
}

int lsm_vtab_begin(sqlite3_vtab *vtab) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  int code = lsm_vtab_open_store(v);
  if (code != SQLITE_OK) return code;
  v->joined_late = v->cs->txn != NULL;
  return lsm_vtab_join(v, true);
}

lsm_sync lsm_conn_sync_mode(lsm_conn_store *cs, const char *schema) {
  unsigned opts = cs->sync_options;
  lsm_sync mode = LSM_SYNC_OFF;
  if (lsm_store_is_memory(cs->store)) return LSM_SYNC_OFF;
  if (opts & (1u << LSM_SYNC_OPT_NORMAL)) mode = LSM_SYNC_NORMAL;
  if (opts & (1u << LSM_SYNC_OPT_FULL)) return LSM_SYNC_FULL;
  if (opts & (1u << LSM_SYNC_OPT_HOST)) {
    int64_t host = lsm_conn_synchronous(cs->conn, schema);
    if (host >= 2) return LSM_SYNC_FULL;
    if (host == 1) mode = LSM_SYNC_NORMAL;
  }
  return mode;
}

/* Has a ROLLBACK TO taken back the CREATE? SQLite calls such a table all the same. */
static bool is_gone(lsm_vtab *v) {
  sqlite3_stmt *stmt = NULL;
  bool gone = false;
  bool temp = sqlite3_stricmp(v->db_schema, "temp") == 0;
  char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".%s WHERE name = %Q", v->db_schema,
                              temp ? "sqlite_temp_master" : "sqlite_master", v->table);
  if (sql != NULL && sqlite3_prepare_v2(v->conn->db, sql, -1, &stmt, NULL) == SQLITE_OK) {
    gone = sqlite3_step(stmt) == SQLITE_DONE;
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return gone;
}

/* Without any table left there is no place for the token: nobody wants what is in the
** transaction. */
int lsm_vtab_sync(sqlite3_vtab *vtab) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  if (v->cs == NULL || v->cs->txn == NULL || lsm_txn_is_empty(v->cs->txn)) return SQLITE_OK;
  int code = lsm_conn_prepare(v->cs, v->db_schema, lsm_conn_sync_mode(v->cs, v->db_schema));
  if (code == SQLITE_OK || (code == SQLITE_CORRUPT_VTAB && is_gone(v))) return SQLITE_OK;
  return lsm_vtab_error(vtab, code, "%s", lsm_errmsg());
}

int lsm_vtab_commit(sqlite3_vtab *vtab) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  if (v->cs != NULL) lsm_conn_commit(v->cs);
  return SQLITE_OK;
}

int lsm_vtab_rollback(sqlite3_vtab *vtab) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  if (v->cs != NULL) lsm_conn_rollback(v->cs);
  return SQLITE_OK;
}

/* A table that joins is told of the innermost savepoint once more. When another
** table of the store began the transaction, that is no news: either the mark is
** there already, or the transaction began after the savepoint did, and going
** back to it means going back to the start, which is what happens without a
** mark. (The call after a join need not be that one; but then it has been to
** the other table first.) */
int lsm_vtab_savepoint(sqlite3_vtab *vtab, int n) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  bool late = v->joined_late;
  v->joined_late = false;
  if (v->cs == NULL || v->cs->txn == NULL) return SQLITE_OK; /* nothing to go back from */
  if (late) return SQLITE_OK;
  return lsm_vtab_fail(vtab, lsm_txn_savepoint(v->cs->txn, n));
}

int lsm_vtab_release(sqlite3_vtab *vtab, int n) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  if (v->cs != NULL && v->cs->txn != NULL) lsm_txn_release(v->cs->txn, n);
  return SQLITE_OK;
}

int lsm_vtab_rollback_to(sqlite3_vtab *vtab, int n) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  if (v->cs == NULL) return SQLITE_OK;
  return lsm_vtab_fail(vtab, lsm_conn_rollback_to(v->cs, n));
}
