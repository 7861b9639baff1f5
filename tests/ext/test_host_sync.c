/* test_host_sync.c: before the store's tables hold what a database has committed
** with it, that commit is durable: its log, or what became of its journal.
**
** On Linux, where this program's fdatasync() is everybody's: it notes the file. */
#define _GNU_SOURCE /* syscall, mkdtemp, nftw */
#include <check.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

Suite *host_sync_suite(void);
int sqlite3_lsmvtab_init(sqlite3 *db, char **err, const void *api);

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

static char dir[64];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

static void setup(void) {
  snprintf(dir, sizeof(dir), "/tmp/lsm-sync-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void) {
  nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void run(sqlite3 *db, const char *sql) {
  char *err = NULL;
  int rc = sqlite3_exec(db, sql, NULL, NULL, &err);
  ck_assert_msg(rc == SQLITE_OK, "%s: %s", sql, err);
}

static const struct {
  const char *mode;
  _Atomic int *synced;
} modes[] = {{"PERSIST", &journals}, {"TRUNCATE", &journals}, {"WAL", &logs}};

/* SQLite itself syncs nothing here. */
START_TEST(test_flush) {
  char file[96], sql[96], *err = NULL;
  sqlite3 *db;
  snprintf(file, sizeof(file), "%s/db", dir);
  ck_assert_int_eq(sqlite3_open(file, &db), SQLITE_OK);
  int rc = sqlite3_lsmvtab_init(db, &err, NULL);
  ck_assert_msg(rc == SQLITE_OK || rc == SQLITE_OK_LOAD_PERMANENTLY, "%s", err);
  snprintf(sql, sizeof(sql), "PRAGMA journal_mode = %s; PRAGMA synchronous = OFF", modes[_i].mode);
  run(db, sql);
  run(db, "CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v)");
  run(db, "CREATE TABLE o(k INTEGER PRIMARY KEY, v)");
  run(db, "SELECT lsm_flush('t')");
  run(db, "BEGIN; INSERT INTO t VALUES(1, 'both'); INSERT INTO o VALUES(1, 'both'); COMMIT");
  atomic_store(modes[_i].synced, 0);
  run(db, "SELECT lsm_flush('t')");
  ck_assert_int_ge(atomic_load(modes[_i].synced), 1);
  ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}
END_TEST

#endif

Suite *host_sync_suite(void) {
  Suite *s = suite_create("host_sync");
  TCase *tc = tcase_create("host_sync");
#ifdef __linux__
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_loop_test(tc, test_flush, 0, 3);
#endif
  suite_add_tcase(s, tc);
  return s;
}
