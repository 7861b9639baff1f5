/* test_host_sync.c: before the store's tables hold what a database has committed
** with it, that commit is durable: its log, or what became of its journal.
**
** On Linux, where this program's fdatasync() is everybody's: it notes the file. */
#define _GNU_SOURCE /* syscall */
#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include "sql.h"

Suite *host_sync_suite(void);

#ifdef __linux__

static _Atomic int journals, logs; /* synced; the flusher is a thread */

static int ends(const char *path, const char *with) {
  size_t n = strlen(path), m = strlen(with);
  return n >= m && strcmp(path + n - m, with) == 0;
}

int fdatasync(int fd) {
  char link[64], path[512];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof(path) - 1);
  path[n > 0 ? n : 0] = 0;
  if (ends(path, "-journal")) atomic_fetch_add(&journals, 1);
  if (ends(path, "-wal")) atomic_fetch_add(&logs, 1);
  return (int)syscall(SYS_fdatasync, fd);
}

static const struct {
  const char *mode;
  _Atomic int *synced;
} modes[] = {{"PERSIST", &journals}, {"TRUNCATE", &journals}, {"WAL", &logs}};

/* SQLite itself syncs nothing here. */
START_TEST(test_flush) {
  char file[SQL_PATH], sql[96];
  sql_path(file, "db");
  sqlite3 *db = sql_open(file, 0);
  snprintf(sql, sizeof(sql), "PRAGMA journal_mode = %s; PRAGMA synchronous = OFF", modes[_i].mode);
  sql_run(db, sql);
  sql_run(db, "CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v)");
  sql_run(db, "CREATE TABLE o(k INTEGER PRIMARY KEY, v)");
  sql_run(db, "SELECT lsm_flush('t')");
  sql_run(db, "BEGIN; INSERT INTO t VALUES(1, 'both'); INSERT INTO o VALUES(1, 'both'); COMMIT");
  atomic_store(modes[_i].synced, 0);
  sql_run(db, "SELECT lsm_flush('t')");
  ck_assert_int_ge(atomic_load(modes[_i].synced), 1);
  sql_close(db);
}
END_TEST

#endif

Suite *host_sync_suite(void) {
  Suite *s = suite_create("host_sync");
  TCase *tc = tcase_create("host_sync");
#ifdef __linux__
  tcase_add_checked_fixture(tc, sql_setup, sql_teardown);
  tcase_add_loop_test(tc, test_flush, 0, 3);
#endif
  suite_add_tcase(s, tc);
  return s;
}
