/* sql.c: short words for tests through SQL. */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include "sql.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sqlite3_lsmvtab_init(sqlite3 *db, char **err, const void *api);

char sql_dir[64];

void sql_setup(void) {
  snprintf(sql_dir, sizeof(sql_dir), "/tmp/lsm-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(sql_dir));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

void sql_remove(const char *dir) {
  nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void sql_teardown(void) {
  sql_remove(sql_dir);
}

void sql_path(char path[SQL_PATH], const char *name) {
  int n = snprintf(path, SQL_PATH, "%s/%s", sql_dir, name);
  ck_assert_int_lt(n, SQL_PATH);
}

sqlite3 *sql_open(const char *path, int timeout_ms) {
  sqlite3 *db = NULL;
  char *err = NULL;
  ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
  int rc = sqlite3_lsmvtab_init(db, &err, NULL);
  ck_assert_msg(rc == SQLITE_OK || rc == SQLITE_OK_LOAD_PERMANENTLY, "%s", err);
  sqlite3_busy_timeout(db, timeout_ms);
  return db;
}

void sql_close(sqlite3 *db) {
  ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

void sql_run(sqlite3 *db, const char *sql) {
  char *err = NULL;
  int rc = sqlite3_exec(db, sql, NULL, NULL, &err);
  ck_assert_msg(rc == SQLITE_OK, "%s: %d, %s", sql, rc, err != NULL ? err : "no message");
}

void sql_fails(sqlite3 *db, const char *sql, int code, const char *words) {
  char *err = NULL;
  int rc = sqlite3_exec(db, sql, NULL, NULL, &err);
  ck_assert_msg(rc == code, "%s: %d, %s", sql, rc, err != NULL ? err : "no message");
  ck_assert_msg(err != NULL && strstr(err, words) != NULL, "%s: %s", sql, err);
  sqlite3_free(err);
}

sqlite3_stmt *sql_prepare(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  ck_assert_msg(rc == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
  return stmt;
}

/* On its first row, which is there. */
static sqlite3_stmt *first_row(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = sql_prepare(db, sql);
  ck_assert_msg(sqlite3_step(stmt) == SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
  return stmt;
}

sqlite3_int64 sql_number(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = first_row(db, sql);
  sqlite3_int64 n = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  return n;
}

void sql_gives(sqlite3 *db, const char *sql, const char *want) {
  sqlite3_stmt *stmt = first_row(db, sql);
  const char *got = (const char *)sqlite3_column_text(stmt, 0);
  ck_assert_str_eq(got != NULL ? got : "NULL", want);
  sqlite3_finalize(stmt);
}
