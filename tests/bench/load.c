/* load.c: many random rows through SQL in little memory, and all of them again.
**
** Usage: load [rows]. Inserts rows of a 16-byte random key and a 100-byte value
** in transactions of 1,000, closes, opens, looks up every row by its key, counts,
** verifies every checksum. Fails when a row is missing or wrong, or when the
** process ever held 256 MB or more. LSM_LOAD_OPTIONS adds table options.
*/
#define _GNU_SOURCE
#include "sqlutil.h"

enum { BATCH = 1000, LIMIT_MB = 256 };

static void setup(sqlite3 *db) {
  const char *options = getenv("LSM_LOAD_OPTIONS");
  char sql[1024];
  run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");
  snprintf(sql, sizeof sql,
           "CREATE VIRTUAL TABLE t USING lsm(key BLOB PRIMARY KEY, value BLOB%s%s)",
           options ? ", " : "", options ? options : "");
  run(db, sql);
}

static void insert_all(sqlite3 *db, uint64_t rows) {
  uint8_t key[KEY_SIZE], value[VALUE_SIZE];
  sqlite3_stmt *insert = prepare(db, "INSERT INTO t VALUES(?, ?)");
  double start = seconds(), worst = 0;
  uint64_t tenth = rows / 10 > 0 ? rows / 10 : 1;
  for (uint64_t n = 0; n < rows; n += BATCH) {
    double begin = seconds();
    run(db, "BEGIN");
    for (uint64_t i = n; i < n + BATCH && i < rows; i++) {
      make_key(i, key);
      make_value(i, 0, value);
      sqlite3_bind_blob(insert, 1, key, KEY_SIZE, SQLITE_STATIC);
      sqlite3_bind_blob(insert, 2, value, VALUE_SIZE, SQLITE_STATIC);
      step(insert);
      sqlite3_reset(insert);
    }
    run(db, "COMMIT");
    if (seconds() - begin > worst) worst = seconds() - begin;
    if (n / tenth != (n + BATCH) / tenth) {
      printf("  %9.0f rows, %7.0f rows/s, peak %3.0f MB, slowest transaction %.0f ms\n",
             (double)(n + BATCH), (double)(n + BATCH) / (seconds() - start), peak_mb(),
             worst * 1e3);
      fflush(stdout);
    }
  }
  sqlite3_finalize(insert);
}

static void print_stats(sqlite3 *db, uint64_t rows) {
  static const char *const names[] = {
      "user_bytes",         "wal_bytes", "flush_bytes", "compaction_bytes", "flushes",
      "compactions",        "stalls",    "stall_us",    "sst_files",        "sst_bytes",
      "space_amplification"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    printf("  %-20s %.6g\n", names[i], stat_of(db, names[i]));
  }
  printf("write amplification %.2f, %.0f bytes written by %.0f rows\n",
         stat_of(db, "write_amplification"), bytes_written(), (double)rows);
}

static void find_all(sqlite3 *db, uint64_t rows) {
  uint8_t key[KEY_SIZE], value[VALUE_SIZE];
  sqlite3_stmt *select = prepare(db, "SELECT value FROM t WHERE key = ?");
  double start = seconds();
  for (uint64_t i = 0; i < rows; i++) {
    make_key(i, key);
    make_value(i, 0, value);
    sqlite3_bind_blob(select, 1, key, KEY_SIZE, SQLITE_STATIC);
    if (!step(select)) die("row %.0f is missing", (double)i);
    if (sqlite3_column_bytes(select, 0) != VALUE_SIZE ||
        memcmp(sqlite3_column_blob(select, 0), value, VALUE_SIZE) != 0) {
      die("row %.0f has a wrong value", (double)i);
    }
    sqlite3_reset(select);
  }
  sqlite3_finalize(select);
  printf("every row found by its key (%.0f rows/s)\n", (double)rows / (seconds() - start));
  fflush(stdout);
  start = seconds();
  double count = query_number(db, "SELECT count(*) FROM t");
  if (count != (double)rows) die("count(*) says %.0f", count);
  printf("count(*) = %.0f (%.0f rows/s)\n", count, (double)rows / (seconds() - start));
  fflush(stdout);
}

int main(int argc, char **argv) {
  uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000000;
  char dir[512], path[600];
  make_dir("load", dir, sizeof dir);
  snprintf(path, sizeof path, "%s/load.db", dir);
  printf("%.0f random rows in transactions of %d\n", (double)rows, BATCH);
  sqlite3 *db = open_db(path);
  setup(db);
  double start = seconds();
  insert_all(db, rows);
  printf("inserted in %.1f s\n", seconds() - start);
  print_stats(db, rows);
  start = seconds();
  close_db(db);
  printf("closed in %.2f s; %.0f MB on disk\n", seconds() - start, tree_bytes(dir) / 1e6);
  start = seconds();
  db = open_db(path);
  if (query_number(db, "SELECT count(*) FROM (SELECT 1 FROM t LIMIT 1)") != 1) die("no rows");
  printf("opened in %.2f s\n", seconds() - start);
  find_all(db, rows);
  start = seconds();
  verify_table(db);
  printf("lsm_verify: ok (%.1f s)\n", seconds() - start);
  close_db(db);
  double peak = peak_mb();
  printf("peak memory %.0f MB (limit %d MB)\n", peak, LIMIT_MB);
  if (peak >= LIMIT_MB) die("too much memory");
  remove_dir(dir);
  printf("load: ok\n");
  return 0;
}
