/* sql_bench.c: the lsm table against an ordinary WITHOUT ROWID table.
**
** Usage: sql_bench [rows]. Both tables get the same rows through the same
** prepared statements, with journal_mode=WAL, synchronous=NORMAL and 64 MB of
** cache, each in a process of its own so that memory and bytes can be told apart.
** LSM_LOAD_OPTIONS adds options to the lsm table.
**
** Owns   a page of shared memory in which each process leaves its figures.
*/
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>

#include "sqlutil.h"

enum { BATCH = 1000, SEEK_ROWS = 10 };
enum { FILL, OVERWRITE, READ, MISSING, SEEK, SCAN, PHASES };
static const char *const phase_names[PHASES] = {"random fill",  "overwrite",   "random read",
                                                "missing read", "10-row seek", "full scan"};

typedef struct figures {
  double rate[PHASES]; /* operations a second (rows for fill, overwrite and scan) */
  double written;      /* bytes given to write calls by fill and overwrite */
  double disk;         /* bytes of all files at the end, open */
  double peak;         /* MB */
  double write_amp, space_amp, stalls, stall_us;
} figures;

static void bind_key(sqlite3_stmt *stmt, uint64_t n, uint8_t key[KEY_SIZE]) {
  make_key(n, key);
  sqlite3_bind_blob(stmt, 1, key, KEY_SIZE, SQLITE_STATIC);
}

/* Writes `rows` rows: in order of number, or picked at random to overwrite. */
static double write_rows(sqlite3 *db, uint64_t rows, int overwrite) {
  uint8_t key[KEY_SIZE], value[VALUE_SIZE];
  sqlite3_stmt *stmt = prepare(
      db, overwrite ? "INSERT OR REPLACE INTO t VALUES(?, ?)" : "INSERT INTO t VALUES(?, ?)");
  double start = seconds();
  for (uint64_t n = 0; n < rows;) {
    run(db, "BEGIN");
    for (int i = 0; i < BATCH && n < rows; i++, n++) {
      uint64_t row = overwrite ? mix(n) % rows : n;
      bind_key(stmt, row, key);
      make_value(row, (uint64_t)overwrite, value);
      sqlite3_bind_blob(stmt, 2, value, VALUE_SIZE, SQLITE_STATIC);
      step(stmt);
      sqlite3_reset(stmt);
    }
    run(db, "COMMIT");
  }
  double rate = (double)rows / (seconds() - start);
  sqlite3_finalize(stmt);
  return rate;
}

static double read_rows(sqlite3 *db, uint64_t rows, uint64_t count, int present) {
  uint8_t key[KEY_SIZE];
  sqlite3_stmt *stmt = prepare(db, "SELECT value FROM t WHERE key = ?");
  double start = seconds();
  for (uint64_t n = 0; n < count; n++) {
    bind_key(stmt, present ? mix(n + 99) % rows : rows + n, key);
    int found = step(stmt);
    if (found != present) die("a key that should %s found", present ? "be" : "not be");
    if (found && sqlite3_column_bytes(stmt, 0) != VALUE_SIZE) die("a wrong value");
    sqlite3_reset(stmt);
  }
  double rate = (double)count / (seconds() - start);
  sqlite3_finalize(stmt);
  return rate;
}

static double seek_rows(sqlite3 *db, uint64_t rows, uint64_t count) {
  uint8_t key[KEY_SIZE];
  sqlite3_stmt *stmt = prepare(db, "SELECT key, value FROM t WHERE key >= ? ORDER BY key LIMIT 10");
  double start = seconds();
  for (uint64_t n = 0; n < count; n++) {
    int got = 0;
    /* Half of the seeks start at a row, half between two. */
    bind_key(stmt, n % 2 ? mix(n + 7) % rows : rows + n, key);
    while (step(stmt)) {
      if (memcmp(sqlite3_column_blob(stmt, 0), key, KEY_SIZE) < 0) die("a row before its bound");
      got++;
    }
    if (got > SEEK_ROWS) die("%d rows with LIMIT 10", got);
    sqlite3_reset(stmt);
  }
  double rate = (double)count / (seconds() - start);
  sqlite3_finalize(stmt);
  return rate;
}

static double scan_rows(sqlite3 *db, uint64_t rows) {
  sqlite3_stmt *stmt = prepare(db, "SELECT count(*), sum(length(value)) FROM t");
  double start = seconds();
  if (!step(stmt) || sqlite3_column_double(stmt, 0) != (double)rows ||
      sqlite3_column_double(stmt, 1) != (double)rows * VALUE_SIZE) {
    die("the scan counts %.0f rows", sqlite3_column_double(stmt, 0));
  }
  double rate = (double)rows / (seconds() - start);
  sqlite3_finalize(stmt);
  return rate;
}

static void create_table(sqlite3 *db, int lsm) {
  const char *options = getenv("LSM_LOAD_OPTIONS");
  char sql[1024];
  run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536;");
  if (lsm) {
    snprintf(sql, sizeof sql,
             "CREATE VIRTUAL TABLE t USING lsm(key BLOB PRIMARY KEY, value BLOB%s%s)",
             options ? ", " : "", options ? options : "");
    run(db, sql);
  } else {
    run(db, "CREATE TABLE t(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID");
  }
}

static void measure(int lsm, uint64_t rows, figures *out) {
  char dir[512], path[600];
  make_dir("bench", dir, sizeof dir);
  snprintf(path, sizeof path, "%s/bench.db", dir);
  sqlite3 *db = open_db(path);
  create_table(db, lsm);
  uint64_t reads = rows < 200000 ? rows : 200000, seeks = reads / 4 + 1;
  double written = bytes_written();
  out->rate[FILL] = write_rows(db, rows, 0);
  out->rate[OVERWRITE] = write_rows(db, rows, 1);
  out->written = bytes_written() - written;
  out->rate[READ] = read_rows(db, rows, reads, 1);
  out->rate[MISSING] = read_rows(db, rows, reads, 0);
  out->rate[SEEK] = seek_rows(db, rows, seeks);
  out->rate[SCAN] = scan_rows(db, rows);
  out->disk = tree_bytes(dir);
  out->peak = peak_mb();
  if (lsm) {
    out->write_amp = stat_of(db, "write_amplification");
    out->space_amp = stat_of(db, "space_amplification");
    out->stalls = stat_of(db, "stalls");
    out->stall_us = stat_of(db, "stall_us");
  }
  close_db(db);
  remove_dir(dir);
}

static void measure_apart(int lsm, uint64_t rows, figures *out) {
  int status = 0;
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) die("cannot fork");
  if (child == 0) {
    measure(lsm, rows, out);
    exit(0);
  }
  if (waitpid(child, &status, 0) < 0 || status != 0) die("the measuring process failed");
}

int main(int argc, char **argv) {
  uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 500000;
  figures *f = mmap(NULL, 2 * sizeof *f, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (f == MAP_FAILED || rows == 0) die("usage: sql_bench [rows]");
  printf("SQLite %s, %.0f rows: 16-byte random keys, 100-byte values, transactions of %d\n",
         sqlite3_libversion(), (double)rows, BATCH);
  measure_apart(0, rows, &f[0]);
  measure_apart(1, rows, &f[1]);
  printf("\n%-22s %14s %14s %8s\n", "per second", "lsm", "ordinary", "ratio");
  for (int p = 0; p < PHASES; p++) {
    printf("%-22s %14.0f %14.0f %8.2f\n", phase_names[p], f[1].rate[p], f[0].rate[p],
           f[1].rate[p] / f[0].rate[p]);
  }
  printf("%-22s %14.1f %14.1f %8.2f\n", "MB written", f[1].written / 1e6, f[0].written / 1e6,
         f[1].written / f[0].written);
  printf("%-22s %14.1f %14.1f %8.2f\n", "MB on disk", f[1].disk / 1e6, f[0].disk / 1e6,
         f[1].disk / f[0].disk);
  printf("%-22s %14.0f %14.0f %8.2f\n", "MB of memory, peak", f[1].peak, f[0].peak,
         f[1].peak / f[0].peak);
  printf("\nlsm_stats: write amplification %.2f, space amplification %.2f, %.0f stalls (%.0f ms)\n",
         f[1].write_amp, f[1].space_amp, f[1].stalls, f[1].stall_us / 1e3);
  return 0;
}
