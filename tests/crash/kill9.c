/* kill9.c: kill -9 at any moment of a load; nothing acknowledged may be lost.
**
** Usage: kill9 [kills [seed]]. A child writes transactions to a store whose
** memtable is small, so that flushes and compactions never end. It is killed
** after a random while, the store is opened again and compared, row by row,
** with what the number of its last transaction says it must hold; then the
** next child goes on from there. Two stores take turns: leveled and tiered.
**
** What transaction T does follows from T alone: it inserts rows_of(T) rows,
** every fourth one deletes the rows of transaction T - 6 and every fifth one
** rewrites those of T - 3; the last row, under the key 'last', says T. So the
** state after T is known exactly, and a transaction that is there in part, or
** one missing in the middle, shows.
**
** Owns   the directory of the stores, kept when a check fails.
**        a page shared with the child: the last transaction acknowledged.
*/
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../bench/sqlutil.h"

enum { STORES = 2, DELETE_EVERY = 4, DELETE_BACK = 6, REWRITE_EVERY = 5, REWRITE_BACK = 3 };
static const char *const options[STORES] = {
    "memtable_size='1MB', cache_size='4MB'",
    "memtable_size='1MB', cache_size='4MB', compaction=tiered, compression=none"};

typedef struct shared {
  _Atomic uint64_t acknowledged; /* by the child that runs, or ran last */
  _Atomic uint64_t found;        /* what the check found to be the last one */
  _Atomic uint64_t rows;
} shared;

static uint64_t rows_of(uint64_t t) {
  return 1 + mix(t * 3) % (t % 16 == 0 ? 1000 : 60);
}

static bool is_deleted_by(uint64_t t, uint64_t last) {
  return (t + DELETE_BACK) % DELETE_EVERY == 0 && t + DELETE_BACK <= last;
}

/* How often the rows of t were written, once t and all up to `last` are done. */
static uint64_t version_of(uint64_t t, uint64_t last) {
  return (t + REWRITE_BACK) % REWRITE_EVERY == 0 && t + REWRITE_BACK <= last;
}

static void row_key(uint64_t t, uint64_t j, uint8_t key[KEY_SIZE]) {
  make_key(t * 4096 + j, key);
}

static void write_rows(sqlite3_stmt *put, uint64_t t, uint64_t version) {
  uint8_t key[KEY_SIZE], value[VALUE_SIZE];
  for (uint64_t j = 0; j < rows_of(t); j++) {
    row_key(t, j, key);
    make_value(t * 4096 + j, version, value);
    sqlite3_bind_blob(put, 1, key, KEY_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(put, 2, (sqlite3_int64)t);
    sqlite3_bind_int64(put, 3, (sqlite3_int64)j);
    sqlite3_bind_blob(put, 4, value, VALUE_SIZE, SQLITE_STATIC);
    step(put);
    sqlite3_reset(put);
  }
}

static void delete_rows(sqlite3_stmt *delete, uint64_t t) {
  uint8_t key[KEY_SIZE];
  for (uint64_t j = 0; j < rows_of(t); j++) {
    row_key(t, j, key);
    sqlite3_bind_blob(delete, 1, key, KEY_SIZE, SQLITE_STATIC);
    step(delete);
    sqlite3_reset(delete);
  }
}

static uint64_t last_transaction(sqlite3 *db) {
  return (uint64_t)query_number(db, "SELECT coalesce((SELECT txn FROM t WHERE key = 'last'), 0)");
}

/* The child: writes until it is killed. */
static void load(const char *path, unsigned round, shared *s) {
  sqlite3 *db = open_db(path);
  run(db, "PRAGMA journal_mode=WAL");
  run(db, round % 3 == 0 ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  sqlite3_stmt *put = prepare(db, "INSERT OR REPLACE INTO t VALUES(?, ?, ?, ?)");
  sqlite3_stmt *delete = prepare(db, "DELETE FROM t WHERE key = ?");
  sqlite3_stmt *last = prepare(db, "INSERT OR REPLACE INTO t VALUES('last', ?, 0, NULL)");
  for (uint64_t t = last_transaction(db) + 1;; t++) {
    run(db, "BEGIN");
    write_rows(put, t, 0);
    if (t % DELETE_EVERY == 0 && t > DELETE_BACK) delete_rows(delete, t - DELETE_BACK);
    if (t % REWRITE_EVERY == 0 && t > REWRITE_BACK && !is_deleted_by(t - REWRITE_BACK, t)) {
      write_rows(put, t - REWRITE_BACK, 1);
    }
    sqlite3_bind_int64(last, 1, (sqlite3_int64)t);
    step(last);
    sqlite3_reset(last);
    run(db, "COMMIT");
    atomic_store(&s->acknowledged, t);
    if (t % 911 == 0) run(db, "SELECT lsm_flush('t')");
    if (t % 1811 == 0) run(db, "SELECT lsm_compact('t')");
  }
}

static void check_row(sqlite3_stmt *scan, uint64_t last, uint64_t *seen) {
  uint8_t key[KEY_SIZE], value[VALUE_SIZE];
  uint64_t t = (uint64_t)sqlite3_column_int64(scan, 1), j = (uint64_t)sqlite3_column_int64(scan, 2);
  if (t < 1 || t > last || j >= rows_of(t)) {
    die("row %.0f of transaction %.0f is there, the last is %.0f", (double)j, (double)t,
        (double)last);
  }
  if (is_deleted_by(t, last)) die("a deleted row of transaction %.0f is there", (double)t);
  row_key(t, j, key);
  make_value(t * 4096 + j, version_of(t, last), value);
  if (sqlite3_column_bytes(scan, 0) != KEY_SIZE ||
      memcmp(sqlite3_column_blob(scan, 0), key, KEY_SIZE) != 0) {
    die("row %.0f of transaction %.0f has a wrong key", (double)j, (double)t);
  }
  if (sqlite3_column_bytes(scan, 3) != VALUE_SIZE ||
      memcmp(sqlite3_column_blob(scan, 3), value, VALUE_SIZE) != 0) {
    die("row %.0f of transaction %.0f has a wrong value", (double)j, (double)t);
  }
  seen[t]++;
}

/* Every transaction up to the last is whole: by a scan, then by key. */
static void check(const char *path, shared *s) {
  uint8_t key[KEY_SIZE];
  sqlite3 *db = open_db(path);
  uint64_t last = last_transaction(db), rows = 0, acknowledged = atomic_load(&s->acknowledged);
  if (last < acknowledged) {
    die("transaction %.0f was acknowledged, the last one there is %.0f", (double)acknowledged,
        (double)last);
  }
  if (last > acknowledged + 1) die("transactions nobody wrote");
  uint64_t *seen = calloc(last + 1, sizeof *seen);
  if (seen == NULL) die("out of memory");
  sqlite3_stmt *scan =
      prepare(db, "SELECT key, txn, j, value FROM t WHERE key >= x'' ORDER BY key");
  while (step(scan)) check_row(scan, last, seen);
  sqlite3_finalize(scan);
  for (uint64_t t = 1; t <= last; t++) {
    uint64_t want = is_deleted_by(t, last) ? 0 : rows_of(t);
    if (seen[t] != want) {
      die("transaction %.0f has %.0f rows of %.0f; the last is %.0f", (double)t, (double)seen[t],
          (double)want, (double)last);
    }
    rows += want;
  }
  free(seen);
  sqlite3_stmt *get = prepare(db, "SELECT txn FROM t WHERE key = ?");
  for (uint64_t n = 0; n < 2000 && last > 0; n++) {
    uint64_t t = n < 100 && n < last ? last - n : 1 + mix(n) % last;
    row_key(t, mix(n) % rows_of(t), key);
    sqlite3_bind_blob(get, 1, key, KEY_SIZE, SQLITE_STATIC);
    int found = step(get);
    if (found == is_deleted_by(t, last)) die("the scan and a lookup disagree");
    if (found && (uint64_t)sqlite3_column_int64(get, 0) != t) die("a lookup found another row");
    sqlite3_reset(get);
  }
  sqlite3_finalize(get);
  verify_table(db);
  close_db(db);
  atomic_store(&s->found, last);
  atomic_store(&s->rows, rows);
}

static void create(const char *path, int which) {
  char sql[512];
  sqlite3 *db = open_db(path);
  snprintf(sql, sizeof sql,
           "CREATE VIRTUAL TABLE t USING lsm(key PRIMARY KEY, txn INTEGER, "
           "j INTEGER, value, %s)",
           options[which]);
  run(db, "PRAGMA journal_mode=WAL");
  run(db, sql);
  close_db(db);
}

enum work { CREATE, LOAD, CHECK };

/* Runs one piece of work in a process of its own; kills it after `ms` unless 0. */
static int in_child(enum work work, const char *path, unsigned n, shared *s, unsigned ms) {
  int status = 0;
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) die("cannot fork");
  if (child == 0) {
    if (work == CREATE) create(path, (int)n);
    if (work == LOAD) load(path, n, s);
    if (work == CHECK) check(path, s);
    exit(0);
  }
  if (ms > 0) {
    struct timespec nap = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&nap, NULL);
    kill(child, SIGKILL);
  }
  if (waitpid(child, &status, 0) < 0) die("waitpid");
  return status;
}

int main(int argc, char **argv) {
  unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 50;
  uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
  char dir[512], path[STORES][600];
  uint64_t found[STORES] = {0};
  shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (s == MAP_FAILED || kills == 0) die("usage: kill9 [kills [seed]]");
  make_dir("crash", dir, sizeof dir);
  for (int i = 0; i < STORES; i++) {
    snprintf(path[i], sizeof path[i], "%s/crash%d.db", dir, i);
    if (in_child(CREATE, path[i], (unsigned)i, s, 0) != 0) die("cannot create the store");
  }
  for (unsigned n = 0; n < kills; n++) {
    unsigned which = n % STORES;
    /* One in eight dies while it opens, the others in the middle of the load. */
    unsigned ms = 1 + (unsigned)(mix(seed + n) % (mix(seed - n) % 8 == 0 ? 30 : 800));
    atomic_store(&s->acknowledged, found[which]);
    int status = in_child(LOAD, path[which], n, s, ms);
    if (!WIFSIGNALED(status)) die("the load ended by itself; store kept in %s", dir);
    status = in_child(CHECK, path[which], n, s, 0);
    found[which] = atomic_load(&s->found);
    printf("  kill %3u after %3u ms, store %u: acknowledged %6.0f, found %6.0f, %8.0f rows: %s\n",
           n + 1, ms, which, (double)atomic_load(&s->acknowledged), (double)found[which],
           (double)atomic_load(&s->rows), status == 0 ? "ok" : "FAILED");
    fflush(stdout);
    if (status != 0) {
      printf("seed %.0f, store kept in %s\n%u checks, 1 failed\n", (double)seed, dir, n + 1);
      return 1;
    }
  }
  remove_dir(dir);
  printf("every acknowledged transaction whole, no other one in part\n%u checks\n", kills);
  return 0;
}
