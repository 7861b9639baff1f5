/* test_live_backup.c: lsm_backup() while another connection writes to both
** kinds of tables, and when it is stopped. */
#define _XOPEN_SOURCE 700 /* access */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "sql.h"

Suite *live_backup_suite(void);

static char file[SQL_PATH];

static void setup(void) {
  sql_setup();
  sql_path(file, "db");
}

static void make_tables(sqlite3 *db, const char *mode) {
  char sql[64];
  snprintf(sql, sizeof(sql), "PRAGMA journal_mode = %s; PRAGMA synchronous = OFF", mode);
  sql_run(db, sql);
  sql_run(db, "CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v)");
  sql_run(db, "CREATE VIRTUAL TABLE u USING lsm(k TEXT PRIMARY KEY, v)");
  sql_run(db, "CREATE TABLE o(k INTEGER PRIMARY KEY, v)");
}

typedef struct writer {
  _Atomic bool stop;
  _Atomic int done;
  _Atomic int rc; /* of the statement that failed */
} writer;

/* Each transaction changes all three tables alike. */
static void *write_all(void *arg) {
  static const char *const steps[] = {
      "BEGIN IMMEDIATE",
      "INSERT INTO t VALUES(NULL, randomblob(300))",
      "INSERT INTO u SELECT 'key ' || k, v FROM t ORDER BY k DESC LIMIT 1",
      "INSERT INTO o SELECT k, v FROM t ORDER BY k DESC LIMIT 1",
      "DELETE FROM t WHERE k % 3 = 0 AND k = (SELECT max(k) - 2 FROM o)",
      "DELETE FROM o WHERE k % 3 = 0 AND k = (SELECT max(k) - 2 FROM o)",
      "COMMIT",
  };
  writer *w = arg;
  sqlite3 *db = sql_open(file, 20000);
  sql_run(db, "PRAGMA synchronous = OFF");
  while (!atomic_load(&w->stop) && w->rc == SQLITE_OK) {
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && w->rc == SQLITE_OK; i++) {
      w->rc = sqlite3_exec(db, steps[i], NULL, NULL, NULL);
    }
    if (w->rc == SQLITE_OK) atomic_fetch_add(&w->done, 1);
  }
  sqlite3_close(db);
  return NULL;
}

/* The copy is one instant of all tables, no older than the call. */
static void check_copy(const char *name, int before) {
  sqlite3 *db = sql_open(name, 0);
  ck_assert_int_ge(sql_number(db, "SELECT count(*) FROM u"), before);
  ck_assert_int_eq(sql_number(db, "SELECT (SELECT count(*) FROM t) - (SELECT count(*) FROM o)"), 0);
  ck_assert_int_eq(
      sql_number(db, "SELECT count(*) FROM o LEFT JOIN t USING(k) WHERE t.v IS NOT o.v"), 0);
  ck_assert_int_eq(
      sql_number(db,
                 "SELECT count(*) FROM o LEFT JOIN u ON u.k = 'key ' || o.k WHERE u.v IS NOT o.v"),
      0);
  ck_assert_int_eq(sql_number(db, "SELECT lsm_verify('t') = 'ok' AND lsm_verify('u') = 'ok'"), 1);
  sql_run(db, "INSERT INTO t VALUES(NULL, 1)");
  sql_close(db);
}

static void backups_while_writing(const char *mode) {
  sqlite3 *db = sql_open(file, 20000);
  writer w = {0};
  pthread_t thread;
  make_tables(db, mode);
  ck_assert_int_eq(pthread_create(&thread, NULL, write_all, &w), 0);
  for (int i = 0; i < 5; i++) {
    char sql[160], copy[16], name[SQL_PATH];
    int seen = atomic_load(&w.done);
    while (atomic_load(&w.done) < seen + 50 && w.rc == SQLITE_OK) sqlite3_sleep(1);
    int before = atomic_load(&w.done);
    snprintf(copy, sizeof(copy), "copy%d", i);
    sql_path(name, copy);
    snprintf(sql, sizeof(sql), "SELECT lsm_backup('%s')", name);
    sql_run(db, sql);
    check_copy(name, before);
  }
  atomic_store(&w.stop, true);
  pthread_join(thread, NULL);
  ck_assert_int_eq(w.rc, SQLITE_OK);
  sql_close(db);
}

START_TEST(rollback_journal) {
  backups_while_writing("delete");
}
END_TEST

START_TEST(write_ahead_log) {
  backups_while_writing("wal");
}
END_TEST

static _Atomic bool interrupted;

/* Again and again: an interrupt that comes before the statement has begun is none. */
static void *interrupt_soon(void *arg) {
  while (!atomic_load(&interrupted)) {
    sqlite3_sleep(20);
    sqlite3_interrupt(arg);
  }
  return NULL;
}

/* It waits for a writer as the connection's busy timeout says, and can be
** interrupted; then nothing is left of it. */
START_TEST(waiting) {
  sqlite3 *db = sql_open(file, 50), *other;
  pthread_t thread;
  char sql[160], name[SQL_PATH];
  make_tables(db, "delete");
  sql_path(name, "copy");
  snprintf(sql, sizeof(sql), "SELECT lsm_backup('%s')", name);
  other = sql_open(file, 0);
  sql_run(other, "BEGIN IMMEDIATE; INSERT INTO t VALUES(1, 1)");
  ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_BUSY);
  ck_assert_int_eq(access(name, F_OK), -1);
  sqlite3_busy_timeout(db, 60000);
  atomic_store(&interrupted, false);
  ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_soon, db), 0);
  ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_INTERRUPT);
  atomic_store(&interrupted, true);
  pthread_join(thread, NULL);
  ck_assert_int_eq(access(name, F_OK), -1);
  sql_run(other, "COMMIT");
  sql_run(db, sql);
  sql_close(other);
  sql_close(db);
  db = sql_open(name, 0);
  ck_assert_int_eq(sql_number(db, "SELECT v FROM t WHERE k = 1"), 1);
  sql_close(db);
}
END_TEST

/* Rows that this connection still reads do not keep it from copying, and what
** is copied is not what they show but what is. */
START_TEST(while_reading) {
  sqlite3 *db = sql_open(file, 1000), *other = sql_open(file, 1000);
  sqlite3_stmt *stmt;
  char sql[160], name[SQL_PATH];
  make_tables(db, "wal");
  sql_run(db, "INSERT INTO o VALUES(1, 1), (2, 2); INSERT INTO t VALUES(1, 1), (2, 2)");
  stmt = sql_prepare(db, "SELECT * FROM o, t");
  ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
  sql_run(other, "BEGIN; INSERT INTO o VALUES(3, 3); INSERT INTO t VALUES(3, 3)");
  sql_run(other, "CREATE VIRTUAL TABLE late USING lsm; INSERT INTO late VALUES(1, 1); COMMIT");
  sql_path(name, "copy");
  snprintf(sql, sizeof(sql), "SELECT lsm_backup('%s')", name);
  sql_run(other, sql);
  sqlite3_finalize(stmt);
  sql_close(other);
  sql_close(db);
  db = sql_open(name, 0);
  ck_assert_int_eq(sql_number(db, "SELECT (SELECT count(*) FROM t) * 10 + (SELECT sum(k) FROM o)"),
                   36);
  ck_assert_int_eq(sql_number(db, "SELECT count(*) FROM late"), 1);
  sql_close(db);
}
END_TEST

Suite *live_backup_suite(void) {
  Suite *s = suite_create("live_backup");
  TCase *t = tcase_create("live_backup");
  tcase_add_checked_fixture(t, setup, sql_teardown);
  tcase_set_timeout(t, 120);
  tcase_add_test(t, rollback_journal);
  tcase_add_test(t, write_ahead_log);
  tcase_add_test(t, waiting);
  tcase_add_test(t, while_reading);
  suite_add_tcase(s, t);
  return s;
}
