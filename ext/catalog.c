/* catalog.c: reading and writing an lsm table's shadow table. */
#include "catalog.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "err.h"

/* 2: with additions, which a library that knows 1 only must not pass over. */
#define CATALOG_FORMAT     1
#define CATALOG_FORMAT_MAX 2
#define MAX_ADDED_COLUMNS  32767

static int exec(sqlite3 *db, char **err, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char *sql = sqlite3_vmprintf(fmt, ap);
  va_end(ap);
  if (sql == NULL) return SQLITE_NOMEM;
  int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  if (rc != SQLITE_OK && err != NULL) {
    sqlite3_free(*err);
    *err = sqlite3_mprintf("%s", lsm_sql_message(db, rc));
  }
  sqlite3_free(sql);
  return rc;
}

/* Adds a row 'index:N' for each index. */
static int insert_indexes(sqlite3 *db, const char *schema, const char *table, const lsm_catalog *c,
                          char **err) {
  int rc = SQLITE_OK;
  for (int i = 0; i < LSM_MAX_INDEXES && rc == SQLITE_OK; i++) {
    if (c->index[i] == 0) continue;
    rc = exec(db, err, "INSERT INTO \"%w\".\"%w_lsm\" (name, value) VALUES('index:%d', %lld)", schema,
              table, i, (long long)c->index[i]);
  }
  return rc;
}

int lsm_catalog_create(sqlite3 *db, const char *schema, const char *table, const lsm_catalog *c,
                       char **err) {
  sqlite3_stmt *stmt = NULL;
  int rc =
      exec(db, err, "CREATE TABLE \"%w\".\"%w_lsm\"(name TEXT PRIMARY KEY, value) WITHOUT ROWID",
           schema, table);
  if (rc != SQLITE_OK) return rc;
  char *sql = sqlite3_mprintf(
      "INSERT INTO \"%w\".\"%w_lsm\"(name, value) VALUES('format', %d), ('keyspace', %lld),"
      " ('store', ?1)",
      schema, table, CATALOG_FORMAT, (long long)c->keyspace);
  rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK) {
    /* The application must not see its last_insert_rowid() move. */
    sqlite3_int64 last = sqlite3_last_insert_rowid(db);
    sqlite3_bind_blob(stmt, 1, c->store_id, LSM_STORE_ID_SIZE, SQLITE_STATIC);
    sqlite3_step(stmt);
    rc = sqlite3_reset(stmt);
    if (rc == SQLITE_OK) rc = insert_indexes(db, schema, table, c, err);
    sqlite3_set_last_insert_rowid(db, last);
  }
  if (rc != SQLITE_OK && err != NULL && *err == NULL) {
    *err = sqlite3_mprintf("%s", lsm_sql_message(db, rc));
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return rc;
}

/* Does the schema hold an ordinary table of that name? Asked first, so that a missing
** table is told from every other reason not to prepare. */
static int shadow_exists(sqlite3 *db, const char *schema, const char *table, int *exists) {
  sqlite3_stmt *stmt = NULL;
  *exists = 0;
  const char *master =
      sqlite3_stricmp(schema, "temp") == 0 ? "sqlite_temp_master" : "sqlite_master";
  char *sql = sqlite3_mprintf(
      "SELECT 1 FROM \"%w\".%s WHERE type = 'table' AND rootpage > 0"
      " AND name = '%q_lsm' COLLATE nocase",
      schema, master, table);
  if (sql == NULL) return SQLITE_NOMEM;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK) {
    *exists = sqlite3_step(stmt) == SQLITE_ROW;
    rc = sqlite3_reset(stmt);
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return rc;
}

/* The keyspace in the row's second column, or 0. */
static uint32_t keyspace_of(sqlite3_stmt *stmt) {
  sqlite3_int64 k = sqlite3_column_int64(stmt, 1);
  bool good = sqlite3_column_type(stmt, 1) == SQLITE_INTEGER && k > 0 && k < 0xFFFFFFFEll;
  return good ? (uint32_t)k : 0;
}

/* NAME as PREFIX and a number below LIMIT; -1: it is something else. */
static int numbered(const char *name, const char *prefix, int limit) {
  char *end;
  size_t n = strlen(prefix);
  if (strncmp(name, prefix, n) != 0 || name[n] < '0' || name[n] > '9') return -1;
  long number = strtol(name + n, &end, 10);
  return *end == 0 && number < limit ? (int)number : -1;
}

/* The text in the row's second column; NULL: SQLITE_NOMEM. */
static int take_text(sqlite3_stmt *stmt, char **text) {
  const char *value = (const char *)sqlite3_column_text(stmt, 1);
  sqlite3_free(*text);
  *text = sqlite3_mprintf("%s", value != NULL ? value : "");
  return *text == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static int take_column(sqlite3_stmt *stmt, lsm_additions *more, int number) {
  if (number >= more->ncolumn) {
    size_t size = sizeof(char *) * ((size_t)number + 1);
    char **column = sqlite3_realloc64(more->column, size);
    if (column == NULL) return SQLITE_NOMEM;
    more->column = column;
    while (more->ncolumn <= number) column[more->ncolumn++] = NULL;
  }
  return take_text(stmt, &more->column[number]);
}

/* Takes one row of the shadow table; unknown names are of later versions. */
static int take_row(sqlite3_stmt *stmt, lsm_catalog *c, sqlite3_int64 *format, int *have) {
  const char *name = (const char *)sqlite3_column_text(stmt, 0);
  int n;
  if (name == NULL) return SQLITE_OK;
  if (strcmp(name, "format") == 0) {
    bool good = sqlite3_column_type(stmt, 1) == SQLITE_INTEGER;
    *format = good ? sqlite3_column_int64(stmt, 1) : 0;
  } else if (strcmp(name, "keyspace") == 0) {
    c->keyspace = keyspace_of(stmt);
    if (c->keyspace != 0) *have |= 1;
  } else if ((n = numbered(name, "index:", LSM_MAX_INDEXES)) >= 0) {
    c->index[n] = keyspace_of(stmt);
    c->more.dropped[n] = sqlite3_column_type(stmt, 1) == SQLITE_NULL;
  } else if ((n = numbered(name, "define:", LSM_MAX_INDEXES)) >= 0) {
    return take_text(stmt, &c->more.index[n]);
  } else if ((n = numbered(name, "column:", MAX_ADDED_COLUMNS)) >= 0) {
    return take_column(stmt, &c->more, n);
  } else if (strcmp(name, "store") == 0) {
    const void *id = sqlite3_column_blob(stmt, 1);
    if (id == NULL || sqlite3_column_bytes(stmt, 1) != LSM_STORE_ID_SIZE) return SQLITE_OK;
    memcpy(c->store_id, id, LSM_STORE_ID_SIZE);
    *have |= 2;
  }
  return SQLITE_OK;
}

/* No column is left out, no index defined without entries. */
static bool additions_fit(const lsm_catalog *c) {
  for (int i = 0; i < c->more.ncolumn; i++) {
    if (c->more.column[i] == NULL) return false;
  }
  for (int i = 0; i < LSM_MAX_INDEXES; i++) {
    if (c->more.index[i] != NULL && c->index[i] == 0) return false;
  }
  return true;
}

void lsm_catalog_fini(lsm_catalog *c) {
  for (int i = 0; i < c->more.ncolumn; i++) sqlite3_free(c->more.column[i]);
  for (int i = 0; i < LSM_MAX_INDEXES; i++) sqlite3_free(c->more.index[i]);
  sqlite3_free(c->more.column);
  memset(c, 0, sizeof(*c));
}

uint64_t lsm_additions_hash(const lsm_additions *more) {
  uint64_t h = 0;
  for (int i = 0; i < more->ncolumn; i++) {
    const char *text = more->column[i] != NULL ? more->column[i] : "";
    h = lsm_hash64(lsm_slice_str(text), h + 1);
  }
  for (int i = 0; i < LSM_MAX_INDEXES; i++) {
    uint64_t seed = h + 2 + (uint64_t)i;
    if (more->dropped[i]) h = lsm_hash64(lsm_slice_str("dropped"), seed);
    if (more->index[i] != NULL) h = lsm_hash64(lsm_slice_str(more->index[i]), seed);
  }
  return h;
}

static int read_rows(sqlite3 *db, const char *schema, const char *table, lsm_catalog *c,
                     sqlite3_int64 *format, int *have) {
  sqlite3_stmt *stmt = NULL;
  char *sql = sqlite3_mprintf("SELECT name, value FROM \"%w\".\"%w_lsm\"", schema, table);
  int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  while (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) rc = take_row(stmt, c, format, have);
  int end = sqlite3_reset(stmt);
  if (rc == SQLITE_OK) rc = end;
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return rc;
}

int lsm_catalog_read(sqlite3 *db, const char *schema, const char *table, lsm_catalog *c,
                     char **err) {
  sqlite3_int64 format = 0;
  int exists, have = 0;
  memset(c, 0, sizeof(*c));
  int rc = shadow_exists(db, schema, table, &exists);
  if (rc != SQLITE_OK) return rc;
  if (!exists) {
    if (err != NULL) {
      sqlite3_free(*err);
      *err = sqlite3_mprintf("table \"%s\" has lost its shadow table \"%s_lsm\"", table, table);
    }
    return SQLITE_NOTFOUND;
  }
  rc = read_rows(db, schema, table, c, &format, &have);
  bool known = format >= 1 && format <= CATALOG_FORMAT_MAX;
  if (rc == SQLITE_OK && (!known || have != 3 || !additions_fit(c))) {
    rc = SQLITE_CORRUPT_VTAB;
    if (err != NULL) {
      sqlite3_free(*err);
      *err = sqlite3_mprintf(format > CATALOG_FORMAT_MAX
                                 ? "shadow table \"%s_lsm\" is of a newer version"
                                 : "shadow table \"%s_lsm\" is damaged",
                             table);
    }
  }
  return rc;
}

int lsm_catalog_rename(sqlite3 *db, const char *schema, const char *from, const char *to,
                       char **err) {
  return exec(db, err, "ALTER TABLE \"%w\".\"%w_lsm\" RENAME TO \"%w_lsm\"", schema, from, to);
}

int lsm_catalog_drop(sqlite3 *db, const char *schema, const char *table, char **err) {
  return exec(db, err, "DROP TABLE IF EXISTS \"%w\".\"%w_lsm\"", schema, table);
}

/*---------------------------------------------------------------- changes */

int lsm_catalog_refuse_triggers(sqlite3 *db, const char *schema, const char *table, char **err) {
  sqlite3_stmt *stmt = NULL;
  char *sql = sqlite3_mprintf(
      "SELECT 1 FROM \"%w\".%s WHERE type = 'trigger' AND tbl_name = '%q_lsm' COLLATE nocase", schema,
      sqlite3_stricmp(schema, "temp") == 0 ? "sqlite_temp_master" : "sqlite_master", table);
  int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
    *err = sqlite3_mprintf("shadow table \"%s_lsm\" has triggers", table);
    rc = SQLITE_CORRUPT_VTAB;
  }
  int end = sqlite3_reset(stmt);
  if (rc == SQLITE_OK) rc = end;
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return rc;
}

static int mark_changed(sqlite3 *db, const char *schema, const char *table, char **err) {
  return exec(db, err, "UPDATE \"%w\".\"%w_lsm\" SET value = %d WHERE name = 'format'", schema,
              table, CATALOG_FORMAT_MAX);
}

int lsm_catalog_add_index(sqlite3 *db, const char *schema, const char *table, int number,
                          uint32_t keyspace, const char *text, char **err) {
  int rc = exec(db, err,
                "INSERT INTO \"%w\".\"%w_lsm\"(name, value) VALUES('index:%d', %lld),"
                " ('define:%d', %Q)",
                schema, table, number, (long long)keyspace, number, text);
  return rc == SQLITE_OK ? mark_changed(db, schema, table, err) : rc;
}

int lsm_catalog_drop_index(sqlite3 *db, const char *schema, const char *table, int number,
                           bool defined, char **err) {
  int rc = exec(db, err,
                defined ? "UPDATE \"%w\".\"%w_lsm\" SET value = NULL WHERE name = 'index:%d'"
                        : "DELETE FROM \"%w\".\"%w_lsm\" WHERE name IN ('index:%d', 'define:%d')",
                schema, table, number, number);
  return rc == SQLITE_OK ? mark_changed(db, schema, table, err) : rc;
}

int lsm_catalog_add_column(sqlite3 *db, const char *schema, const char *table, int number,
                           const char *text, char **err) {
  int rc = exec(db, err,
                "INSERT INTO \"%w\".\"%w_lsm\"(name, value) VALUES('column:%d', %Q)", schema,
                table, number, text);
  return rc == SQLITE_OK ? mark_changed(db, schema, table, err) : rc;
}

/* How many columns the shadow table has. */
static int count_columns(sqlite3 *db, const char *schema, const char *table, int *n) {
  sqlite3_stmt *stmt = NULL;
  char *sql = sqlite3_mprintf("SELECT * FROM \"%w\".\"%w_lsm\"", schema, table);
  int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  *n = rc == SQLITE_OK ? sqlite3_column_count(stmt) : 0;
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return rc;
}

/* Of all that moves the database's schema number, ALTER TABLE alone also makes
** SQLite read the whole schema again on this very connection, in all versions,
** in any transaction, while other statements run, and with nothing that it could
** find wrong elsewhere. It is given the shadow table: another column, always NULL,
** that nobody reads. */
int lsm_catalog_announce(sqlite3 *db, const char *schema, const char *table, char **err) {
  int n = 0;
  int rc = count_columns(db, schema, table, &n);
  if (rc != SQLITE_OK) return rc;
  if (n >= sqlite3_limit(db, SQLITE_LIMIT_COLUMN, -1)) {
    *err = sqlite3_mprintf("table %s has been changed %d times: no more is possible", table, n - 2);
    return SQLITE_ERROR;
  }
  return exec(db, err, "ALTER TABLE \"%w\".\"%w_lsm\" ADD COLUMN change%d", schema, table, n - 1);
}

/*-------------------------------------------------------------- keyspaces */

/* Is it one of this shadow table's? One that is not ours has other columns. */
static int shadow_has_keyspace(sqlite3 *db, const char *schema, const char *shadow,
                               const uint8_t *store_id, uint32_t keyspace, bool *has) {
  sqlite3_stmt *stmt = NULL;
  char *sql = sqlite3_mprintf(
      "SELECT 1 FROM \"%w\".\"%w\" WHERE name = 'store' AND value = ?1 AND EXISTS (SELECT 1 FROM"
      " \"%w\".\"%w\" WHERE (name = 'keyspace' OR name LIKE 'index:%%') AND value = %lld)",
      schema, shadow, schema, shadow, (long long)keyspace);
  int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_ERROR) rc = SQLITE_OK;
  if (rc == SQLITE_OK && stmt != NULL) {
    sqlite3_bind_blob(stmt, 1, store_id, LSM_STORE_ID_SIZE, SQLITE_STATIC);
    if (sqlite3_step(stmt) == SQLITE_ROW) *has = true;
    rc = sqlite3_reset(stmt);
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return rc;
}

int lsm_catalog_has_keyspace(sqlite3 *db, const char *schema, const uint8_t *store_id,
                             uint32_t keyspace, bool *has) {
  sqlite3_stmt *stmt = NULL;
  *has = false;
  char *sql = sqlite3_mprintf(
      "SELECT name FROM \"%w\".%s WHERE type = 'table' AND rootpage > 0"
      " AND name LIKE '%%\\_lsm' ESCAPE '\\'",
      schema, sqlite3_stricmp(schema, "temp") == 0 ? "sqlite_temp_master" : "sqlite_master");
  int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  while (rc == SQLITE_OK && !*has && sqlite3_step(stmt) == SQLITE_ROW) {
    const char *shadow = (const char *)sqlite3_column_text(stmt, 0);
    if (shadow != NULL) rc = shadow_has_keyspace(db, schema, shadow, store_id, keyspace, has);
  }
  int end = sqlite3_reset(stmt);
  if (rc == SQLITE_OK) rc = end;
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return rc;
}
