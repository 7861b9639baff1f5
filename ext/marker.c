/* marker.c: a table that does nothing but be part of transactions, to learn
** how and when they end, and where they go back to.
**
** SQLite tells nobody when a read transaction ends, nor a destroyed table how
** its DROP did: a ROLLBACK TO may bring the table back, and what was written to it
** before the savepoint is to be committed, what came later to be gone. A write to
** a virtual table makes that table part of the transaction whatever it was before.
** This one stands in temp: written to, it takes no lock on any database. */
#include <string.h>

#include "conn.h"
#include "err.h"

typedef struct marker {
  sqlite3_vtab base;
  lsm_conn *conn;
} marker;

static int marker_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                          sqlite3_vtab **out, char **err) {
  (void)argc, (void)argv;
  int rc = lsm_declare_vtab(db, "CREATE TABLE x(k INTEGER)");
  if (rc != SQLITE_OK) *err = sqlite3_mprintf("%s", lsm_sql_message(db, rc));
  if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
  if (rc != SQLITE_OK) return rc;
  marker *m = sqlite3_malloc(sizeof(*m));
  if (m == NULL) return SQLITE_NOMEM;
  memset(m, 0, sizeof(*m));
  m->conn = aux;
  *out = &m->base;
  return SQLITE_OK;
}

static int marker_disconnect(sqlite3_vtab *vtab) {
  sqlite3_free(vtab);
  return SQLITE_OK;
}

static int marker_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  (void)vtab;
  info->estimatedCost = 1;
  info->estimatedRows = 1;
  info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE; /* no statement journal for its DELETE */
  return SQLITE_OK;
}

static int marker_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cur) {
  (void)vtab;
  *cur = sqlite3_malloc(sizeof(**cur));
  if (*cur == NULL) return SQLITE_NOMEM;
  memset(*cur, 0, sizeof(**cur));
  return SQLITE_OK;
}

static int marker_close(sqlite3_vtab_cursor *cur) {
  sqlite3_free(cur);
  return SQLITE_OK;
}

/* It has no rows. */
static int marker_filter(sqlite3_vtab_cursor *cur, int idx_num, const char *idx_str, int argc,
                         sqlite3_value **argv) {
  (void)cur, (void)idx_num, (void)idx_str, (void)argc, (void)argv;
  return SQLITE_OK;
}
static int marker_next(sqlite3_vtab_cursor *cur) {
  (void)cur;
  return SQLITE_OK;
}
static int marker_eof(sqlite3_vtab_cursor *cur) {
  (void)cur;
  return 1;
}
static int marker_column(sqlite3_vtab_cursor *cur, sqlite3_context *ctx, int col) {
  (void)cur, (void)ctx, (void)col;
  return SQLITE_OK;
}
static int marker_rowid(sqlite3_vtab_cursor *cur, sqlite_int64 *rowid) {
  (void)cur;
  *rowid = 0;
  return SQLITE_OK;
}
static int marker_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite_int64 *rowid) {
  (void)vtab, (void)argc, (void)argv, (void)rowid;
  return SQLITE_READONLY;
}

static int marker_begin(sqlite3_vtab *vtab) {
  (void)vtab;
  return SQLITE_OK;
}
static int marker_sync(sqlite3_vtab *vtab) {
  lsm_conn *c = ((marker *)vtab)->conn;
  int rc = lsm_conn_check_drops(c);
  if (rc != SQLITE_OK) return rc;
  rc = lsm_conn_prepare_returned(c);
  if (rc != SQLITE_OK) {
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = sqlite3_mprintf("%s", lsm_errmsg());
  }
  return rc;
}
static int marker_commit(sqlite3_vtab *vtab) {
  lsm_conn_end(((marker *)vtab)->conn, true);
  return SQLITE_OK;
}
static int marker_rollback(sqlite3_vtab *vtab) {
  lsm_conn_end(((marker *)vtab)->conn, false);
  return SQLITE_OK;
}

/* Of a savepoint that is there when it joins the transactions know, or began later. */
static int marker_savepoint(sqlite3_vtab *vtab, int n) {
  lsm_conn *c = ((marker *)vtab)->conn;
  return c->joining ? SQLITE_OK : lsm_sqlite_code(lsm_conn_savepoint_all(c, n));
}
static int marker_release(sqlite3_vtab *vtab, int n) {
  lsm_conn_release_all(((marker *)vtab)->conn, n);
  return SQLITE_OK;
}
static int marker_rollback_to(sqlite3_vtab *vtab, int n) {
  return lsm_sqlite_code(lsm_conn_rollback_to_all(((marker *)vtab)->conn, n));
}

/* Eponymous, and to be made under another name. */
static const sqlite3_module marker_module = {
    .iVersion = 2,
    .xCreate = marker_connect,
    .xConnect = marker_connect,
    .xBestIndex = marker_best_index,
    .xDisconnect = marker_disconnect,
    .xDestroy = marker_disconnect,
    .xOpen = marker_open,
    .xClose = marker_close,
    .xFilter = marker_filter,
    .xNext = marker_next,
    .xEof = marker_eof,
    .xColumn = marker_column,
    .xRowid = marker_rowid,
    .xUpdate = marker_update,
    .xBegin = marker_begin,
    .xSync = marker_sync,
    .xCommit = marker_commit,
    .xRollback = marker_rollback,
    .xSavepoint = marker_savepoint,
    .xRelease = marker_release,
    .xRollbackTo = marker_rollback_to,
};

/*---------------------------------------------------------------- joining */

/* The name of the table in temp. The shell does not list what begins so. */
#define MARKER "temp.\"sqlite-lsm-marker\""

/* A table that is made inside a transaction is part of it, but of no savepoint that is
** open: ROLLBACK TO would pass it by. A statement with a savepoint of its own, deeper
** than all of them, makes SQLite think otherwise. */
static int make_table(lsm_conn *c) {
  int rc = sqlite3_exec(c->db, "CREATE VIRTUAL TABLE IF NOT EXISTS " MARKER " USING lsm_marker",
                        NULL, NULL, NULL);
  if (rc != SQLITE_OK || sqlite3_get_autocommit(c->db)) return rc;
  return sqlite3_exec(c->db, "INSERT INTO " MARKER " SELECT 1 WHERE 0", NULL, NULL, NULL);
}

int lsm_marker_register(sqlite3 *db, lsm_conn *conn) {
  return sqlite3_create_module_v2(db, "lsm_marker", &marker_module, conn, NULL);
}

/* A new table makes SQLite give up the programs it has: one that runs ends with
** SQLITE_ABORT_ROLLBACK when it opens its next cursor. */
void lsm_marker_make(lsm_conn *c, int running) {
  if (c->marker_made) return;
  for (sqlite3_stmt *s = sqlite3_next_stmt(c->db, NULL); s; s = sqlite3_next_stmt(c->db, s)) {
    if (sqlite3_stmt_busy(s) && --running < 0) return;
  }
  c->marker_made = make_table(c) == SQLITE_OK;
}

static int delete_nothing(lsm_conn *c) {
  int rc = SQLITE_OK;
  if (c->marker == NULL) {
    rc = sqlite3_prepare_v3(c->db, "DELETE FROM " MARKER " WHERE k = 0", -1,
                            SQLITE_PREPARE_PERSISTENT, &c->marker, NULL);
  }
  if (rc == SQLITE_OK) {
    sqlite3_step(c->marker);
    rc = sqlite3_reset(c->marker);
  }
  return rc;
}

int lsm_marker_join(lsm_conn *c, bool make) {
  c->joining = true;
  int rc = delete_nothing(c);
  if (rc == SQLITE_ERROR) { /* the table has gone */
    lsm_marker_forget(c);
    if (make) rc = make_table(c);
    c->marker_made = rc == SQLITE_OK;
    if (c->marker_made) rc = delete_nothing(c);
  }
  c->joining = false;
  return rc;
}

void lsm_marker_forget(lsm_conn *c) {
  sqlite3_finalize(c->marker);
  c->marker = NULL;
}
