/* drops.c: what DROP TABLE leaves to be done when it has become certain.
**
** xDestroy runs inside the transaction and may be taken back, without a word,
** by ROLLBACK or ROLLBACK TO; the host's own row (catalog.h) decides. So the
** keyspace goes only after the commit. SQLite tells a destroyed table nothing
** any more: the marker, a table that is only there to be part of transactions,
** hears of commit and rollback in its place. */
#include <string.h>

#include "catalog.h"
#include "conn.h"

static void free_drop(lsm_drop *d) {
  lsm_conn_store_unref(d->cs);
  sqlite3_free(d->schema);
  sqlite3_free(d->table);
  sqlite3_free(d);
}

int lsm_conn_add_drop(lsm_conn *c, lsm_conn_store *cs, uint32_t keyspace, const char *schema,
                      const char *table) {
  lsm_drop *d = sqlite3_malloc(sizeof(*d));
  if (d == NULL) return SQLITE_NOMEM;
  memset(d, 0, sizeof(*d));
  d->keyspace = keyspace;
  d->schema = sqlite3_mprintf("%s", schema);
  d->table = sqlite3_mprintf("%s", table);
  d->cs = cs;
  cs->refs++;
  if (d->schema == NULL || d->table == NULL) {
    free_drop(d);
    return SQLITE_NOMEM;
  }
  d->next = c->drops;
  c->drops = d;
  return SQLITE_OK;
}

/* Is the keyspace the table's, or one of its indexes'? */
static bool is_in_use(const lsm_catalog *cat, uint32_t keyspace) {
  for (int i = 0; i < LSM_MAX_INDEXES; i++) {
    if (cat->index[i] == keyspace) return true;
  }
  return cat->keyspace == keyspace;
}

int lsm_conn_check_drops(lsm_conn *c) {
  for (lsm_drop **p = &c->drops; *p != NULL;) {
    lsm_drop *d = *p;
    lsm_catalog cat;
    int rc = lsm_catalog_read(c->db, d->schema, d->table, &cat, NULL);
    if (rc != SQLITE_OK && rc != SQLITE_NOTFOUND) return rc;
    if (rc == SQLITE_OK && is_in_use(&cat, d->keyspace)) {
      *p = d->next; /* a savepoint brought it back */
      free_drop(d);
    } else {
      p = &d->next;
    }
  }
  return SQLITE_OK;
}

void lsm_conn_end_drops(lsm_conn *c, bool committed) {
  while (c->drops != NULL) {
    lsm_drop *d = c->drops;
    c->drops = d->next;
    /* If it fails the rows stay, unreachable: no table names the keyspace. */
    if (committed) (void)lsm_keyspace_drop(lsm_store_db(d->cs->store), d->keyspace);
    free_drop(d);
  }
}

/*----------------------------------------------------------------- marker */

typedef struct marker {
  sqlite3_vtab base;
  lsm_conn *conn;
} marker;

static int marker_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                          sqlite3_vtab **out, char **err) {
  (void)argc, (void)argv, (void)err;
  int rc = sqlite3_declare_vtab(db, "CREATE TABLE x(k INTEGER)");
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
  return lsm_conn_check_drops(((marker *)vtab)->conn);
}
static int marker_commit(sqlite3_vtab *vtab) {
  lsm_conn_end_drops(((marker *)vtab)->conn, true);
  return SQLITE_OK;
}
static int marker_rollback(sqlite3_vtab *vtab) {
  lsm_conn_end_drops(((marker *)vtab)->conn, false);
  return SQLITE_OK;
}

/* No xCreate: the table is eponymous and cannot be made under another name. */
static const sqlite3_module marker_module = {
    .iVersion = 1,
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
};

int lsm_marker_register(sqlite3 *db, lsm_conn *conn) {
  return sqlite3_create_module_v2(db, "lsm_marker", &marker_module, conn, NULL);
}

int lsm_marker_join(lsm_conn *c) {
  return sqlite3_exec(c->db, "DELETE FROM lsm_marker WHERE k = 0", NULL, NULL, NULL);
}
