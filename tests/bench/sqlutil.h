/* sqlutil.h: what the programs that load a database share: SQL without ceremony,
** rows made from their number, and what the system says of this process.
**
** A call that fails ends the program with a message: these are tests.
** Owns   nothing; each program that includes it gets its own copy.
*/
#ifndef TESTS_SQLUTIL_H
#define TESTS_SQLUTIL_H

#include <dirent.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__GNUC__)
#define MAYBE_UNUSED __attribute__((unused))
#else
#define MAYBE_UNUSED
#endif
#define UTIL static MAYBE_UNUSED

enum { KEY_SIZE = 16, VALUE_SIZE = 100 };

UTIL void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fflush(stdout);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(2);
}

UTIL double seconds(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/*----------------------------------------------------------------- SQL */

UTIL sqlite3 *open_db(const char *path) {
  const char *extension = getenv("LSMVTAB");
  sqlite3 *db = NULL;
  char *message = NULL;
  if (sqlite3_open(path, &db) != SQLITE_OK) die("open %s: %s", path, sqlite3_errmsg(db));
  sqlite3_enable_load_extension(db, 1);
  if (sqlite3_load_extension(db, extension ? extension : "./lsmvtab", NULL, &message) !=
      SQLITE_OK) {
    die("load extension: %s", message);
  }
  return db;
}

UTIL void close_db(sqlite3 *db) {
  if (sqlite3_close(db) != SQLITE_OK) die("close: %s", sqlite3_errmsg(db));
}

UTIL void run(sqlite3 *db, const char *sql) {
  char *message = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
    die("%s\n  in %.200s", message ? message : sqlite3_errmsg(db), sql);
  }
}

UTIL sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = NULL;
  if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
    die("%s\n  in %s", sqlite3_errmsg(db), sql);
  }
  return stmt;
}

/* One step of a statement that may return a row; whether it did. */
UTIL int step(sqlite3_stmt *stmt) {
  int rc = sqlite3_step(stmt);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
    die("%s\n  in %s", sqlite3_errmsg(sqlite3_db_handle(stmt)), sqlite3_sql(stmt));
  }
  return rc == SQLITE_ROW;
}

UTIL double query_number(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = prepare(db, sql);
  double value = step(stmt) ? sqlite3_column_double(stmt, 0) : -1;
  sqlite3_finalize(stmt);
  return value;
}

/* One value of lsm_stats('t'). */
UTIL double stat_of(sqlite3 *db, const char *name) {
  char sql[200];
  snprintf(sql, sizeof sql, "SELECT value FROM lsm_stats('t') WHERE name = '%s'", name);
  return query_number(db, sql);
}

/* What lsm_verify says of table t: ends the program unless it is 'ok'. */
UTIL void verify_table(sqlite3 *db) {
  sqlite3_stmt *stmt = prepare(db, "SELECT lsm_verify('t')");
  const char *said = step(stmt) ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
  if (said == NULL || strcmp(said, "ok") != 0) die("lsm_verify: %s", said ? said : "NULL");
  sqlite3_finalize(stmt);
}

/*---------------------------------------------------------------- rows */

/* A bijection that scatters: row numbers in order give keys in random order. */
UTIL uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* The key of row number n. No two rows have the same. */
UTIL void make_key(uint64_t n, uint8_t key[KEY_SIZE]) {
  uint64_t a = mix(n), b = mix(a ^ 0x5bd1e995);
  memcpy(key, &a, 8);
  memcpy(key + 8, &b, 8);
}

/* The value of row n as its version-th writing left it: half of it compresses. */
UTIL void make_value(uint64_t n, uint64_t version, uint8_t value[VALUE_SIZE]) {
  uint64_t x = mix(n * 31 + version);
  for (int i = 0; i < VALUE_SIZE / 2; i += 2) {
    x = mix(x);
    memcpy(value + i, &x, 2);
  }
  memset(value + VALUE_SIZE / 2, 'a' + (int)(n % 26), VALUE_SIZE - VALUE_SIZE / 2);
}

/*-------------------------------------------------------------- system */

/* A number after `name` in a file of /proc/self; 0 where there is none. */
UTIL double proc_number(const char *file, const char *name) {
  char line[256];
  double value = 0;
  FILE *f = fopen(file, "r");
  if (f == NULL) return 0;
  while (fgets(line, sizeof line, f) != NULL) {
    if (strncmp(line, name, strlen(name)) == 0) value = strtod(line + strlen(name), NULL);
  }
  fclose(f);
  return value;
}

/* The most memory this process ever had resident, in MB. */
UTIL double peak_mb(void) {
  return proc_number("/proc/self/status", "VmHWM:") / 1024;
}

/* Bytes this process handed to write calls. */
UTIL double bytes_written(void) {
  return proc_number("/proc/self/io", "wchar:");
}

/* Bytes of all files in a directory, and in the directories in it. */
UTIL double tree_bytes(const char *path) {
  double total = 0;
  DIR *dir = opendir(path);
  if (dir == NULL) return 0;
  for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
    char name[1024];
    struct stat st;
    if (e->d_name[0] == '.') continue;
    snprintf(name, sizeof name, "%s/%s", path, e->d_name);
    if (lstat(name, &st) != 0) continue;
    total += S_ISDIR(st.st_mode) ? tree_bytes(name) : (double)st.st_size;
  }
  closedir(dir);
  return total;
}

/* Makes build/<name>.XXXXXX in `path`. LSM_TEST_DIR names another place than build. */
UTIL void make_dir(const char *name, char *path, size_t size) {
  const char *base = getenv("LSM_TEST_DIR");
  snprintf(path, size, "%s/%s.XXXXXX", base ? base : "build", name);
  if (mkdtemp(path) == NULL) die("cannot make the directory %s", path);
}

/* Removes a directory that make_dir() made. */
UTIL void remove_dir(const char *path) {
  char name[1024];
  DIR *dir = opendir(path);
  if (dir == NULL) return;
  for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    snprintf(name, sizeof name, "%s/%s", path, e->d_name);
    if (unlink(name) != 0) remove_dir(name);
  }
  closedir(dir);
  rmdir(path);
}

#endif
