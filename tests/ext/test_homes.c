/* test_homes.c: two databases on one store; the writer of one is killed between the store's
** prepare and its commit. The other one's connections go on: they ask the first database,
** though it is not open there. */
#define _XOPEN_SOURCE 700 /* fork, mkfifo */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lsm.h"
#include "sql.h"

Suite *homes_suite(void);

static char a_file[SQL_PATH], b_file[SQL_PATH], store[SQL_PATH];

static void create(const char *name, const char *mode) {
  char sql[200];
  sqlite3 *db = sql_open(name, 60000);
  snprintf(sql, sizeof(sql), "PRAGMA journal_mode=%s", mode);
  sql_run(db, sql);
  sql_run(db,
          "CREATE TABLE o(v); CREATE VIRTUAL TABLE l USING lsm(id INTEGER PRIMARY KEY, v, "
          "path='shared');"
          "INSERT INTO l VALUES(1, 1); BEGIN; INSERT INTO l VALUES(2, 1); INSERT INTO o VALUES(1); "
          "COMMIT");
  sql_close(db);
}

/* The writer of b: what it says of the third row of l is what SQLite would have said had it
** been killed there. committed: b was. Waits for a byte first. */
static void write_and_die(int wait_for, bool committed) {
  sqlite3 *db;
  sqlite3_stmt *stmt;
  lsm_options opt;
  lsm_db *s;
  lsm_txn *t;
  char go;
  uint8_t host[LSM_HOST_SIZE];
  if (read(wait_for, &go, 1) != 1 || sqlite3_open(b_file, &db) != SQLITE_OK) _exit(1);
  if (sqlite3_prepare_v2(db, "SELECT (SELECT value FROM l_lsm WHERE name = 'keyspace'), value"
                             " FROM l_lsm WHERE name = 'host'", -1, &stmt, NULL) != SQLITE_OK ||
      sqlite3_step(stmt) != SQLITE_ROW || sqlite3_column_bytes(stmt, 1) != LSM_HOST_SIZE) {
    _exit(2);
  }
  uint32_t ks = (uint32_t)sqlite3_column_int(stmt, 0);
  memcpy(host, sqlite3_column_blob(stmt, 1), LSM_HOST_SIZE);
  sqlite3_finalize(stmt);
  lsm_options_init(&opt);
  lsm_slice key = {(const uint8_t *)"\x80\0\0\0\0\0\0\x03", 8}, row = {(const uint8_t *)"\x10\x01\x09", 3};
  if (lsm_open(lsm_env_default(), store, &opt, &s) != LSM_OK ||
      lsm_txn_begin(s, 1000, NULL, &t) != LSM_OK || lsm_txn_put(t, ks, key, row) != LSM_OK ||
      lsm_txn_prepare(t, LSM_SYNC_FULL, host, NULL) != LSM_OK) {
    _exit(3);
  }
  if (committed) {
    char sql[100];
    snprintf(sql, sizeof(sql), "UPDATE l_lsm SET value = %lld WHERE name = 'txid'",
             (long long)lsm_txn_id(t));
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) _exit(4);
  }
  _exit(0);
}

static pid_t writer;
static int go_fd;

static void start_writer(bool committed) {
  int fds[2];
  ck_assert_int_eq(pipe(fds), 0);
  go_fd = fds[1];
  writer = fork();
  ck_assert_int_ge(writer, 0);
  if (writer == 0) write_and_die(fds[0], committed);
  close(fds[0]);
}

static void let_writer_die(void) {
  int status = 0;
  ck_assert_int_eq((int)write(go_fd, "x", 1), 1);
  ck_assert_int_eq(waitpid(writer, &status, 0), writer);
  ck_assert_int_eq(status, 0);
  close(go_fd);
}

static void setup(void) {
  sql_setup();
  sql_path(a_file, "a.db");
  sql_path(b_file, "b.db");
  sql_path(store, "shared");
}

/* Bits of _i: b had committed; a was open all the time; the journal mode. */
START_TEST(test_the_other_database_is_asked) {
  bool committed = _i & 1, open = _i & 2;
  const char *mode = _i & 4 ? "DELETE" : "WAL";
  sqlite3 *a = NULL;
  create(a_file, mode);
  create(b_file, mode);
  start_writer(committed);
  if (open) a = sql_open(a_file, 60000);
  if (open) ck_assert_int_eq(sql_number(a, "SELECT count(*) FROM l"), 2);
  let_writer_die();
  if (!open) a = sql_open(a_file, 60000);
  sql_run(a,
          "INSERT INTO l VALUES(3, 1); BEGIN; INSERT INTO l VALUES(4, 1); INSERT INTO o VALUES(4); "
          "COMMIT");
  sql_run(a, "SELECT lsm_flush('l')");
  ck_assert_int_eq(sql_number(a, "SELECT count(*) FROM l"), 4);
  sql_close(a);
  sqlite3 *b = sql_open(b_file, 60000);
  ck_assert_int_eq(sql_number(b, "SELECT count(*) FROM l"), committed ? 3 : 2);
  sql_run(b, "INSERT INTO l VALUES(5, 1)");
  sql_close(b);
}
END_TEST

static void check_refused(sqlite3 *a, const char *sql, const char *name) {
  char *err = NULL;
  ck_assert_int_eq(sqlite3_exec(a, sql, NULL, NULL, &err), SQLITE_CANTOPEN);
  ck_assert_msg(strstr(err, "undecided") != NULL, "%s", err);
  ck_assert_msg((strstr(err, b_file) != NULL) == (name != NULL), "%s", err);
  sqlite3_free(err);
}

/* It is not there, or another file is; or it may be one that the store was copied away from.
** The message names it; and once it is there again all goes on. */
START_TEST(test_the_other_database_cannot_be_asked) {
  char away[SQL_PATH];
  create(a_file, "WAL");
  create(b_file, "WAL");
  start_writer(true);
  sqlite3 *a = sql_open(a_file, 60000);
  ck_assert_int_eq(sql_number(a, "SELECT count(*) FROM l"), 2);
  let_writer_die();
  sql_path(away, "away.db");
  sqlite3 *b = sql_open(b_file, 60000); /* its log into the file */
  sql_run(b, "PRAGMA journal_mode=DELETE");
  sql_close(b);
  ck_assert_int_eq(rename(b_file, away), 0);
  check_refused(a, "INSERT INTO l VALUES(3, 1)", b_file);
  ck_assert_int_eq(sql_number(a, "SELECT count(*) FROM l"), 2); /* reading goes on */
  ck_assert_int_eq(sqlite3_open(b_file, &b), SQLITE_OK);
  sql_run(b, "CREATE TABLE l_lsm(name TEXT PRIMARY KEY, value) WITHOUT ROWID");
  sql_close(b);
  check_refused(a, "INSERT INTO l VALUES(3, 1)", b_file);
  ck_assert_int_eq(unlink(b_file), 0);
  ck_assert_int_eq(mkfifo(b_file, 0600), 0); /* nor is anybody waited for */
  check_refused(a, "INSERT INTO l VALUES(3, 1)", b_file);
  ck_assert_int_eq(rename(away, b_file), 0);
  sql_run(a, "INSERT INTO l VALUES(3, 1)");
  sql_close(a);
  b = sql_open(b_file, 60000);
  ck_assert_int_eq(sql_number(b, "SELECT count(*) FROM l"), 3);
  sql_close(b);
}
END_TEST

/* A copy of everything asks its own databases, not those that it was made of. */
START_TEST(test_copied_store_asks_nobody_elsewhere) {
  char cmd[300], copy[80], copied_a[100], copied_b[100];
  create(a_file, "WAL");
  create(b_file, "WAL");
  start_writer(true);
  let_writer_die();
  snprintf(copy, sizeof(copy), "%s-copy", sql_dir);
  snprintf(cmd, sizeof(cmd), "cp -r %s %s", sql_dir, copy);
  ck_assert_int_eq(system(cmd), 0);
  sqlite3 *b = sql_open(b_file, 60000); /* the original goes on, and would say: not the last */
  sql_run(b, "BEGIN; INSERT INTO l VALUES(6, 1); INSERT INTO o VALUES(6); COMMIT");
  sql_close(b);
  snprintf(copied_a, sizeof(copied_a), "%s/a.db", copy);
  snprintf(copied_b, sizeof(copied_b), "%s/b.db", copy);
  sqlite3 *a = sql_open(copied_a, 60000);
  check_refused(a, "INSERT INTO l VALUES(3, 1)", NULL);
  b = sql_open(copied_b, 60000);
  ck_assert_int_eq(sql_number(b, "SELECT count(*) FROM l"), 3);
  sql_run(a, "INSERT INTO l VALUES(3, 1)");
  sql_close(a);
  sql_close(b);
  sql_remove(copy);
}
END_TEST

/* A copied database is told from its original, as long as that is there. */
START_TEST(test_copied_database) {
  char cmd[400];
  create(a_file, _i ? "wal" : "delete");
  snprintf(cmd, sizeof(cmd), "cp %s %s", a_file, b_file);
  ck_assert_int_eq(system(cmd), 0);
  sqlite3 *b = sql_open(b_file, 60000);
  ck_assert_int_ne(sqlite3_exec(b, "SELECT * FROM l", NULL, NULL, NULL), SQLITE_OK);
  ck_assert_int_eq(sqlite3_errcode(b), SQLITE_CANTOPEN);
  ck_assert_ptr_nonnull(strstr(sqlite3_errmsg(b), "is a copy of"));
  ck_assert_ptr_nonnull(strstr(sqlite3_errmsg(b), a_file));
  ck_assert_int_ne(sqlite3_exec(b, "INSERT INTO l VALUES(7, 7)", NULL, NULL, NULL), SQLITE_OK);
  sqlite3 *a = sql_open(a_file, 60000); /* that a copy was opened does not harm it */
  ck_assert_int_eq(sql_number(a, "SELECT count(*) FROM l"), 2);
  sqlite3_close(a);
  sqlite3_close(b);
  snprintf(cmd, sizeof(cmd), "rm %s* && mv %s %s", b_file, a_file, b_file);
  ck_assert_int_eq(system(cmd), 0);
  b = sql_open(b_file, 60000); /* moved, this time; and from now on it is the original */
  ck_assert_int_eq(sql_number(b, "SELECT count(*) FROM l"), 2);
  sqlite3_close(b);
  snprintf(cmd, sizeof(cmd), "cp %s %s", b_file, a_file);
  ck_assert_int_eq(system(cmd), 0);
  a = sql_open(a_file, 60000);
  ck_assert_int_ne(sqlite3_exec(a, "SELECT * FROM l", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(a);
}
END_TEST

Suite *homes_suite(void) {
  Suite *s = suite_create("homes");
  TCase *tc = tcase_create("homes");
  tcase_add_checked_fixture(tc, setup, sql_teardown);
  tcase_set_timeout(tc, 120);
  tcase_add_loop_test(tc, test_the_other_database_is_asked, 0, 8);
  tcase_add_test(tc, test_the_other_database_cannot_be_asked);
  tcase_add_test(tc, test_copied_store_asks_nobody_elsewhere);
  tcase_add_loop_test(tc, test_copied_database, 0, 2);
  suite_add_tcase(s, tc);
  return s;
}
