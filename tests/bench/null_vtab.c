/* null_vtab.c: a virtual table that stores nothing: what SQL costs by itself.
**
** It looks at every column of what is inserted, as any table must, and forgets it.
*/
#include "null_vtab.h"

#include <stdlib.h>
#include <string.h>

typedef struct null_table {
  sqlite3_vtab base;
  unsigned char seen;
} null_table;

static int null_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                        sqlite3_vtab **out, char **err) {
  (void)aux, (void)argc, (void)argv, (void)err;
  int rc = sqlite3_declare_vtab(
      db, "CREATE TABLE x(key BLOB PRIMARY KEY NOT NULL, value BLOB) WITHOUT ROWID");
  if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
  if (rc != SQLITE_OK) return rc;
  null_table *t = sqlite3_malloc(sizeof *t);
  if (t == NULL) return SQLITE_NOMEM;
  memset(t, 0, sizeof *t);
  *out = &t->base;
  return SQLITE_OK;
}

static int null_disconnect(sqlite3_vtab *v) {
  sqlite3_free(v);
  return SQLITE_OK;
}

static int null_best_index(sqlite3_vtab *v, sqlite3_index_info *info) {
  (void)v;
  info->estimatedCost = 1;
  return SQLITE_OK;
}

static int null_open(sqlite3_vtab *v, sqlite3_vtab_cursor **out) {
  (void)v;
  *out = sqlite3_malloc(sizeof **out);
  return *out == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static int null_close(sqlite3_vtab_cursor *c) {
  sqlite3_free(c);
  return SQLITE_OK;
}

static int null_filter(sqlite3_vtab_cursor *c, int n, const char *s, int argc,
                       sqlite3_value **argv) {
  (void)c, (void)n, (void)s, (void)argc, (void)argv;
  return SQLITE_OK;
}

static int null_next(sqlite3_vtab_cursor *c) {
  (void)c;
  return SQLITE_OK;
}

static int null_eof(sqlite3_vtab_cursor *c) {
  (void)c;
  return 1;
}

static int null_column(sqlite3_vtab_cursor *c, sqlite3_context *ctx, int i) {
  (void)c, (void)ctx, (void)i;
  return SQLITE_OK;
}

static int null_rowid(sqlite3_vtab_cursor *c, sqlite3_int64 *rowid) {
  (void)c;
  *rowid = 0;
  return SQLITE_OK;
}

static int null_update(sqlite3_vtab *v, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
  null_table *t = (null_table *)v;
  (void)rowid;
  for (int i = 2; i < argc; i++) {
    const unsigned char *p = sqlite3_value_blob(argv[i]);
    int n = sqlite3_value_bytes(argv[i]);
    if (n > 0) t->seen ^= (unsigned char)(p[0] ^ p[n - 1]);
  }
  return SQLITE_OK;
}

static int null_transaction(sqlite3_vtab *v) {
  (void)v;
  return SQLITE_OK;
}

static const sqlite3_module null_module = {
    .iVersion = 1,
    .xCreate = null_connect,
    .xConnect = null_connect,
    .xBestIndex = null_best_index,
    .xDisconnect = null_disconnect,
    .xDestroy = null_disconnect,
    .xOpen = null_open,
    .xClose = null_close,
    .xFilter = null_filter,
    .xNext = null_next,
    .xEof = null_eof,
    .xColumn = null_column,
    .xRowid = null_rowid,
    .xUpdate = null_update,
    .xBegin = null_transaction,
    .xSync = null_transaction,
    .xCommit = null_transaction,
    .xRollback = null_transaction,
};

int null_vtab_register(sqlite3 *db) {
  return sqlite3_create_module(db, "blackhole", &null_module, NULL);
}
