/* catalog.c: reading and writing an lsm table's shadow table. */
#include "catalog.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CATALOG_FORMAT 1

static int exec(sqlite3 *db, char **err, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char *sql = sqlite3_vmprintf(fmt, ap);
  va_end(ap);
  if (sql == NULL) return SQLITE_NOMEM;
  int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  if (rc != SQLITE_OK && err != NULL) {
    sqlite3_free(*err);
    *err = sqlite3_mprintf("%s", sqlite3_errmsg(db));
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
    rc = exec(db, err, "INSERT INTO \"%w\".\"%w_lsm\" VALUES('index:%d', %lld)", schema, table, i,
              (long long)c->index[i]);
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
      "INSERT INTO \"%w\".\"%w_lsm\" VALUES('format', %d), ('keyspace', %lld), ('store', ?1)",
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
    *err = sqlite3_mprintf("%s", sqlite3_errmsg(db));
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

/* Takes one row of the shadow table; unknown names are of later versions. */
static void take_row(sqlite3_stmt *stmt, lsm_catalog *c, sqlite3_int64 *format, int *have) {
  const char *name = (const char *)sqlite3_column_text(stmt, 0);
  if (name == NULL) return;
  if (strcmp(name, "format") == 0) {
    bool good = sqlite3_column_type(stmt, 1) == SQLITE_INTEGER;
    *format = good ? sqlite3_column_int64(stmt, 1) : 0;
  } else if (strcmp(name, "keyspace") == 0) {
    c->keyspace = keyspace_of(stmt);
    if (c->keyspace != 0) *have |= 1;
  } else if (strncmp(name, "index:", 6) == 0) {
    char *end;
    long n = strtol(name + 6, &end, 10);
    if (*end == 0 && n >= 0 && n < LSM_MAX_INDEXES) c->index[n] = keyspace_of(stmt);
  } else if (strcmp(name, "store") == 0) {
    const void *id = sqlite3_column_blob(stmt, 1);
    if (id == NULL || sqlite3_column_bytes(stmt, 1) != LSM_STORE_ID_SIZE) return;
    memcpy(c->store_id, id, LSM_STORE_ID_SIZE);
    *have |= 2;
  }
}

int lsm_catalog_read(sqlite3 *db, const char *schema, const char *table, lsm_catalog *c,
                     char **err) {
  sqlite3_stmt *stmt = NULL;
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
  char *sql = sqlite3_mprintf("SELECT name, value FROM \"%w\".\"%w_lsm\"", schema, table);
  rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK) {
    while (sqlite3_step(stmt) == SQLITE_ROW) take_row(stmt, c, &format, &have);
    rc = sqlite3_reset(stmt);
  }
  if (rc == SQLITE_OK && (format != CATALOG_FORMAT || have != 3)) {
    rc = SQLITE_CORRUPT_VTAB;
    if (err != NULL) {
      sqlite3_free(*err);
      *err =
          sqlite3_mprintf(format > CATALOG_FORMAT ? "shadow table \"%s_lsm\" is of a newer version"
                                                  : "shadow table \"%s_lsm\" is damaged",
                          table);
    }
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return rc;
}

int lsm_catalog_rename(sqlite3 *db, const char *schema, const char *from, const char *to,
                       char **err) {
  return exec(db, err, "ALTER TABLE \"%w\".\"%w_lsm\" RENAME TO \"%w_lsm\"", schema, from, to);
}

int lsm_catalog_drop(sqlite3 *db, const char *schema, const char *table, char **err) {
  return exec(db, err, "DROP TABLE IF EXISTS \"%w\".\"%w_lsm\"", schema, table);
}
