/* test_alter.c: the catalog's rows after a table was changed, to the letter; catalogs
** that are damaged or hostile; defensive mode, and statements of all kinds at work. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "sql.h"

Suite *alter_suite(void);

static sqlite3 *open_db(void) {
  char path[SQL_PATH];
  sql_path(path, "db");
  return sql_open(path, 0);
}

static void make(sqlite3 *db) {
  sql_run(
      db,
      "CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, a, b TEXT, UNIQUE(b), INDEX ia(a));"
      "INSERT INTO t VALUES(1, 10, 'x'), (2, 20, 'y'), (3, NULL, NULL);");
}

#define CATALOG                                                                           \
  "SELECT group_concat(name || ' ' || quote(value), '; ') FROM (SELECT name, value FROM " \
  "t_lsm WHERE name NOT IN ('store', 'host', 'txid') ORDER BY name)"

/* FORMAT.md: the shadow table. */
START_TEST(test_catalog) {
  sqlite3 *db = open_db();
  make(db);
  sql_gives(db, CATALOG, "format 1; index:0 2; index:1 3; keyspace 1");
  sql_run(db, "SELECT lsm_create_index('t', 'j', 'b COLLATE nocase DESC, ID')");
  sql_gives(db, CATALOG,
            "define:2 'INDEX \"j\" (\"b\" COLLATE NOCASE DESC, \"id\" COLLATE BINARY)'; format 2; "
            "index:0 2; index:1 3; index:2 4; keyspace 1");
  sql_run(db,
          "SELECT lsm_drop_index('t', 'ia'); SELECT lsm_add_column('t', ' c  TEXT DEFAULT ''d'''),"
          "lsm_add_column('t', 'e')");
  sql_gives(
      db, CATALOG,
      "column:0 ' c  TEXT DEFAULT ''d'''; column:1 'e'; define:2 'INDEX \"j\" (\"b\" COLLATE "
      "NOCASE DESC, \"id\" COLLATE BINARY)'; format 2; index:0 2; index:1 NULL; index:2 4; keyspace 1");
  sql_run(db, "SELECT lsm_drop_index('t', 'j')");
  sql_run(db, "SELECT lsm_create_index('t', 'ia', 'e')");
  sql_gives(
      db, CATALOG,
      "column:0 ' c  TEXT DEFAULT ''d'''; column:1 'e'; define:2 'INDEX \"ia\" (\"e\" COLLATE "
      "BINARY)'; format 2; index:0 2; index:1 NULL; index:2 5; keyspace 1");
  sql_gives(db, "SELECT group_concat(name) FROM pragma_table_info('t_lsm')",
            "name,value,change1,change2,change3,change4,change5,change6");
  sql_gives(db, "SELECT lsm_verify('t')", "ok");
  sql_close(db);
}
END_TEST

/* A catalog that says what cannot be: an error that names it, and DROP works. */
START_TEST(test_damage) {
  static const struct {
    const char *sql, *words;
  } t[] = {
      {"UPDATE t_lsm SET value = 'c, d' WHERE name = 'column:0'", "is damaged: near \",\""},
      {"UPDATE t_lsm SET value = 'a' WHERE name = 'column:0'", "duplicate column name: a"},
      {"UPDATE t_lsm SET value = 'UNIQUE (a)' WHERE name = 'column:0'", "syntax error"},
      {"UPDATE t_lsm SET value = 'c UNIQUE' WHERE name = 'column:0'", "UNIQUE column"},
      {"UPDATE t_lsm SET value = 'path=''/''' WHERE name = 'column:0'", "syntax error"},
      {"UPDATE t_lsm SET value = NULL WHERE name = 'column:0'", "damaged"},
      {"UPDATE t_lsm SET name = 'column:1' WHERE name = 'column:0'", "is damaged"},
      {"UPDATE t_lsm SET value = 'INDEX j (nosuch)' WHERE name = 'define:2'", "no such column"},
      {"UPDATE t_lsm SET value = 'INDEX ia (a)' WHERE name = 'define:2'", "already exists"},
      {"UPDATE t_lsm SET value = 'UNIQUE (a)' WHERE name = 'define:2'", "index 2 cannot be"},
      {"UPDATE t_lsm SET value = x'ff' WHERE name = 'define:2'", "index 2 cannot be"},
      {"UPDATE t_lsm SET name = 'define:1' WHERE name = 'define:2'", "index 1 cannot be"},
      {"UPDATE t_lsm SET name = 'define:9' WHERE name = 'define:2'", "is damaged"},
      {"UPDATE t_lsm SET value = NULL WHERE name = 'index:0'", "UNIQUE and cannot have been dropped"},
      {"UPDATE t_lsm SET value = NULL WHERE name = 'index:2'", "is damaged"},
      {"UPDATE t_lsm SET value = 999 WHERE name = 'index:2'", "older than the database"},
      {"UPDATE t_lsm SET value = 3 WHERE name = 'format'", "is of a newer version"},
  };
  sql_teardown();
  for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
    sql_setup();
    sqlite3 *db = open_db();
    make(db);
    sql_run(db, "SELECT lsm_create_index('t', 'j', 'a'), lsm_add_column('t', 'c DEFAULT 5')");
    sql_close(db);
    db = open_db();
    sql_run(db, t[i].sql);
    sql_fails(db, "SELECT * FROM t", SQLITE_CORRUPT, t[i].words);
    sql_fails(db, "INSERT INTO t(a) VALUES(1)", SQLITE_CORRUPT, t[i].words);
    sql_run(db, "DROP TABLE t");
    sql_close(db);
    sql_teardown();
  }
  sql_setup();
}
END_TEST

/* A row written by hand while the table is connected: nothing is written by the old
** definition once the store is opened by the new. */
START_TEST(test_changed_by_hand) {
  sqlite3 *db = open_db();
  make(db);
  sql_run(db, "SELECT lsm_add_column('t', 'c DEFAULT 5')");
  sql_close(db);
  db = open_db();
  sqlite3_stmt *stmt; /* connects, opens nothing */
  stmt = sql_prepare(db, "INSERT INTO t(a) VALUES(1)");
  sql_run(db, "UPDATE t_lsm SET value = 'c DEFAULT 6' WHERE name = 'column:0'");
  ck_assert_int_eq(sqlite3_step(stmt), SQLITE_LOCKED);
  ck_assert_ptr_nonnull(strstr(sqlite3_errmsg(db), "\"t_lsm\" has changed"));
  sqlite3_finalize(stmt);
  sql_close(db);
}
END_TEST

/* Triggers on the shadow table, and a shadow table that is itself one of ours. */
START_TEST(test_hostile) {
  sqlite3 *db = open_db();
  make(db);
  sql_run(db,
          "CREATE TABLE victim(x); INSERT INTO victim VALUES(1);"
          "CREATE TRIGGER tr AFTER INSERT ON t_lsm BEGIN DELETE FROM victim; END");
  sql_fails(db, "SELECT lsm_create_index('t', 'j', 'a')", SQLITE_CORRUPT, "has triggers");
  sql_gives(db, "SELECT count(*) FROM victim", "1");
  sql_run(
      db,
      "CREATE VIRTUAL TABLE x_lsm USING lsm; INSERT INTO x_lsm VALUES('format', 2);"
      "PRAGMA writable_schema = ON;"
      "INSERT INTO sqlite_master VALUES('table', 'x', 'x', 0, 'CREATE VIRTUAL TABLE x USING lsm');"
      "UPDATE sqlite_master SET rootpage = 2 WHERE name = 'x_lsm'");
  sql_close(db);
  db = open_db();
  char *err = NULL;
  ck_assert_int_ne(sqlite3_exec(db, "SELECT * FROM x", NULL, NULL, &err), SQLITE_OK);
  sqlite3_free(err);
  sql_close(db);
}
END_TEST

/* The shadow table cannot be written by SQL then; by us it can. */
START_TEST(test_defensive) {
  static const char *const modes[] = {"WAL", "DELETE", "MEMORY"};
  sql_teardown();
  for (int i = 0; i < 3; i++) {
    sql_setup();
    sqlite3 *db = open_db();
    char sql[64];
    snprintf(sql, sizeof(sql), "PRAGMA journal_mode = %s", modes[i]);
    sql_run(db, sql);
    make(db);
    ck_assert_int_eq(sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL), SQLITE_OK);
    sql_run(db,
            "SELECT lsm_create_index('t', 'j', 'b'), lsm_drop_index('t', 'ia'),"
            "lsm_add_column('t', 'c NOT NULL DEFAULT 5')");
    sql_run(db,
            "BEGIN; SELECT lsm_create_index('t', 'jc', 'c, a'); "
            "INSERT INTO t VALUES(4, 40, 'z', 6); COMMIT");
    sql_gives(db, "SELECT group_concat(id) FROM (SELECT id FROM t WHERE c >= 5 ORDER BY c DESC, a)",
              "4,3,1,2");
    sql_gives(db, "SELECT lsm_verify('t')", "ok");
    sql_close(db);
    sql_teardown();
  }
  sql_setup();
}
END_TEST

/* One that writes and is not done: INSERT ... RETURNING between its rows. */
START_TEST(test_statement_at_work) {
  sqlite3 *db = open_db();
  sqlite3_stmt *stmt;
  make(db);
  sql_run(db, "CREATE TABLE o(x)");
  if (sqlite3_libversion_number() >= 3035000) {
    stmt = sql_prepare(db, "INSERT INTO o VALUES(1), (2) RETURNING x");
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    sql_fails(db, "SELECT lsm_drop_index('t', 'ia')", SQLITE_LOCKED,
              "a statement that writes is at work");
    sqlite3_finalize(stmt);
  }
  stmt = sql_prepare(db, "SELECT a FROM t ORDER BY a");
  ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
  sql_run(db,
          "SELECT lsm_drop_index('t', 'ia'); SELECT lsm_add_column('t', 'c');"
          "INSERT INTO t VALUES(9, 15, 'n', 1)");
  ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
  ck_assert_int_eq(sqlite3_column_int(stmt, 0), 10);
  ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
  ck_assert_int_eq(sqlite3_column_int(stmt, 0), 20);
  ck_assert_int_eq(sqlite3_step(stmt), SQLITE_DONE);
  ck_assert_int_eq(sqlite3_reset(stmt), SQLITE_OK);
  for (int i = 0; i < 4; i++) ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW); /* prepared anew */
  sqlite3_finalize(stmt);
  sql_gives(db, "SELECT lsm_verify('t')", "ok");
  sql_close(db);
}
END_TEST

/* last_insert_rowid() does not move, and no transaction is left open. */
START_TEST(test_side_effects) {
  sqlite3 *db = open_db();
  make(db);
  sqlite3_set_last_insert_rowid(db, 77);
  sql_run(db,
          "SELECT lsm_create_index('t', 'j', 'b'), lsm_drop_index('t', 'ia'),"
          "lsm_add_column('t', 'c')");
  ck_assert_int_eq(sqlite3_last_insert_rowid(db), 77);
  ck_assert_int_ne(sqlite3_get_autocommit(db), 0);
  sql_close(db);
}
END_TEST

Suite *alter_suite(void) {
  Suite *s = suite_create("alter");
  TCase *tc = tcase_create("alter");
  tcase_add_checked_fixture(tc, sql_setup, sql_teardown);
  tcase_add_test(tc, test_catalog);
  tcase_add_test(tc, test_damage);
  tcase_add_test(tc, test_changed_by_hand);
  tcase_add_test(tc, test_hostile);
  tcase_add_test(tc, test_defensive);
  tcase_add_test(tc, test_statement_at_work);
  tcase_add_test(tc, test_side_effects);
  suite_add_tcase(s, tc);
  return s;
}
