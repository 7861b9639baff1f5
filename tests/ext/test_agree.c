/* test_agree.c: what a statement reads of a store agrees with what its transaction sees of
** the database; and where SQLite itself would not say SQLITE_BUSY_SNAPSHOT, nor does this. */
#define _XOPEN_SOURCE 700 /* nanosleep */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "lsm.h"
#include "sql.h"

Suite *agree_suite(void);

static char file[SQL_PATH];
static sqlite3 *reader, *writer;

static sqlite3 *open_db(void) {
  sqlite3 *db = sql_open(file, 60000);
  sqlite3_extended_result_codes(db, 1);
  return db;
}

static void setup(void) {
  sql_setup();
  sql_path(file, "db");
  reader = open_db();
  sql_run(reader,
          "PRAGMA journal_mode=WAL; CREATE TABLE o(id INTEGER PRIMARY KEY, v);"
          "CREATE VIRTUAL TABLE l USING lsm(id INTEGER PRIMARY KEY, v);"
          "CREATE VIRTUAL TABLE m USING lsm(id INTEGER PRIMARY KEY, v);"
          "INSERT INTO o VALUES(1, 0); INSERT INTO l VALUES(1, 0); INSERT INTO m VALUES(1, 0)");
  writer = open_db();
}

static void teardown(void) {
  sql_close(reader);
  sql_close(writer);
  sql_teardown();
}

/*--------------------------------------- states that are no longer kept */

static int countdown; /* of operations, till others have written */

/* The reader's statement has begun: its state of the database is fixed. */
static int overtake(void *arg) {
  (void)arg;
  if (countdown < 0 || --countdown >= 0) return 0;
  for (int i = 0; i < 12; i++) {
    sql_run(writer,
            "BEGIN; UPDATE o SET v = v + 1; UPDATE l SET v = v + 1; UPDATE m SET v = v + 1;"
            "COMMIT");
  }
  sql_run(writer, "SELECT lsm_flush('l')"); /* nor is a state kept with other files */
  return 0;
}

/* Twelve transactions pass a statement by, after so many operations of its program. */
static int overtaken(const char *sql, int operations) {
  sqlite3_stmt *stmt; /* planned before: that reads the store, too */
  stmt = sql_prepare(reader, sql);
  countdown = operations;
  sqlite3_progress_handler(reader, 1, overtake, NULL);
  int n = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : 0;
  sqlite3_progress_handler(reader, 0, NULL, NULL);
  int rc = sqlite3_finalize(stmt);
  ck_assert_msg(countdown < 0, "the program was over too soon");
  return rc == SQLITE_OK ? n : -rc;
}

static void user_function(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  (void)argc;
  sqlite3_result_int(ctx, sqlite3_value_int(argv[0]));
}

START_TEST(test_statements_overtaken) {
  static const char *const alone[] = {
      "SELECT v FROM l", "SELECT sum(v) FROM l",
      "SELECT (SELECT sum(v) FROM l) + (SELECT max(v) FROM m) - 12 * count(*) FROM l",
      "SELECT l.v FROM l JOIN m USING(id) WHERE m.v = l.v ORDER BY l.v + 1",
      "SELECT abs(v) FROM l UNION SELECT v FROM m"};
  for (int i = 0; i < 5; i++) {
    sql_run(writer, "BEGIN; UPDATE o SET v = 0; UPDATE l SET v = 0; UPDATE m SET v = 0; COMMIT");
    int n = overtaken(alone[i], 0);
    ck_assert_msg(n == 12, "%s: %d", alone[i], n);
  }
  /* With a table of the database, or what may read one, the two must agree. */
  ck_assert_int_eq(sqlite3_create_function(reader, "f", 1, SQLITE_UTF8, NULL, user_function, NULL,
                                           NULL), SQLITE_OK);
  static const char *const mixed[] = {"SELECT l.v - o.v FROM l, o", "SELECT l.v - o.v FROM o, l",
                                      "SELECT f(v) FROM l",
                                      "SELECT v FROM l WHERE id IN (SELECT id FROM o)"};
  for (int i = 0; i < 4; i++) {
    int n = overtaken(mixed[i], 0);
    ck_assert_msg(n == -SQLITE_BUSY_SNAPSHOT, "%s: %d", mixed[i], n);
  }
  sql_run(reader, "BEGIN");
  ck_assert_int_eq(overtaken("SELECT v FROM l", 0), -SQLITE_BUSY_SNAPSHOT);
  sql_run(reader, "COMMIT");
  ck_assert_int_eq(sql_number(reader, "SELECT l.v - o.v FROM l, o"), 0);
}
END_TEST

/*------------------------------------------------- who has the right to write */

static char store[SQL_PATH + 4];
static lsm_db *other;
static _Atomic bool begun;

/* A transaction of another process whose database has let go of its lock, and which the
** store does not show yet: prepared, and a moment later committed. */
static void *commit_late(void *arg) {
  struct timespec ts = {0, 20 * 1000000};
  while (!atomic_load(&begun)) nanosleep(&ts, NULL);
  nanosleep(&ts, NULL); /* so that the reader comes first, mostly */
  lsm_txn_commit(arg);
  return NULL;
}

START_TEST(test_write_lock_means_present_state) {
  lsm_options opt;
  lsm_txn *t = NULL;
  pthread_t thread;
  snprintf(store, sizeof(store), "%s-lsm", file);
  lsm_options_init(&opt);
  ck_assert_int_eq(lsm_open(lsm_env_default(), store, &opt, &other), LSM_OK);
  uint32_t ks = (uint32_t)sql_number(reader, "SELECT value FROM l_lsm WHERE name = 'keyspace'");
  lsm_slice key = {(const uint8_t *)"\x80\0\0\0\0\0\0\x02", 8}, row = {(const uint8_t *)"\x10\x01\x09", 3};
  ck_assert_int_eq(lsm_txn_begin(other, 0, NULL, &t), LSM_OK);
  ck_assert_int_eq(lsm_txn_put(t, ks, key, row), LSM_OK);
  ck_assert_int_eq(lsm_txn_prepare(t, LSM_SYNC_OFF, NULL, NULL), LSM_OK);
  atomic_store(&begun, false);
  ck_assert_int_eq(pthread_create(&thread, NULL, commit_late, t), 0);
  /* Without the lock nobody waits: what is being committed comes after. */
  ck_assert_int_eq(sql_number(reader, "SELECT count(*) FROM l"), 1);
  sql_run(reader, _i == 0 ? "BEGIN IMMEDIATE" : "BEGIN; UPDATE o SET v = 3");
  atomic_store(&begun, true);
  ck_assert_int_eq(sql_number(reader, "SELECT count(*) FROM l"), 2);
  sql_run(reader, "UPDATE l SET v = 7; COMMIT");
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  ck_assert_int_eq(sql_number(writer, "SELECT sum(v) FROM l"), 14);
  ck_assert_int_eq(lsm_close(other), LSM_OK);
}
END_TEST

/* The statements that a connection keeps to look at the database before each commit go
** before it does, and with the schema that they are of. */
START_TEST(test_kept_statements_go) {
  char path[SQL_PATH], attach[2 * SQL_PATH];
  const char *commit = "BEGIN; INSERT INTO l(v) VALUES(1); COMMIT;"
                       "BEGIN; INSERT INTO l(v) VALUES(2); COMMIT";
  const char *commit_there = "BEGIN; INSERT INTO x.a(v) VALUES(1); COMMIT;"
                             "BEGIN; INSERT INTO x.a(v) VALUES(2); COMMIT";
  sql_run(reader, commit);
  for (int i = 0; i < 3; i++) {
    sql_path(path, i == 1 ? "one" : "another");
    snprintf(attach, sizeof(attach), "ATTACH '%s' AS x", path);
    sql_run(reader, attach);
    sql_run(reader, "PRAGMA x.journal_mode=WAL");
    if (i < 2) sql_run(reader, "CREATE VIRTUAL TABLE x.a USING lsm(id INTEGER PRIMARY KEY, v)");
    sql_run(reader, commit_there);
    if (i == 2) sql_run(reader, commit);
    sql_run(reader, "DETACH x");
  }
  sql_run(writer, "CREATE TABLE o2(x)"); /* SQLite compiles them anew */
  sql_run(reader, commit);
  sql_run(reader, "DROP TABLE m");
  sql_run(reader, commit);
  ck_assert_int_eq(sql_number(reader, "SELECT count(*) FROM l"), 9);
  ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
  reader = open_db();
}
END_TEST

Suite *agree_suite(void) {
  Suite *s = suite_create("agree");
  TCase *tc = tcase_create("agree");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, test_statements_overtaken);
  tcase_add_loop_test(tc, test_write_lock_means_present_state, 0, 2);
  tcase_add_test(tc, test_kept_statements_go);
  suite_add_tcase(s, tc);
  return s;
}
