/* sql_bench.c: the rivals that are tables of SQLite, as a worker of `bench`.
**
** All with journal_mode=WAL, synchronous=NORMAL, 64 MB of page cache and the same
** prepared statements. LSM_LOAD_OPTIONS adds options to the lsm tables.
*/
#define _GNU_SOURCE
#include "null_vtab.h"
#include "worker.h"

enum {
  S_INSERT,
  S_PUT,
  S_UPDATE,
  S_ERASE,
  S_GET,
  S_UP,
  S_DOWN,
  S_SCAN,
  S_SCAN_REV,
  S_BEGIN,
  S_COMMIT,
  S_COUNT,
  STATEMENTS
};

static const char *const statements[STATEMENTS] = {
    [S_INSERT] = "INSERT INTO t VALUES(?, ?)",
    [S_PUT] = "INSERT OR REPLACE INTO t VALUES(?, ?)",
    [S_UPDATE] = "UPDATE t SET value = ?2 WHERE key = ?1",
    [S_ERASE] = "DELETE FROM t WHERE key = ?",
    [S_GET] = "SELECT value FROM t WHERE key = ?",
    [S_UP] = "SELECT key, value FROM t WHERE key >= ? ORDER BY key LIMIT ?",
    [S_DOWN] = "SELECT key, value FROM t WHERE key <= ? ORDER BY key DESC LIMIT ?",
    [S_SCAN] = "SELECT key, value FROM t ORDER BY key",
    [S_SCAN_REV] = "SELECT key, value FROM t ORDER BY key DESC",
    [S_BEGIN] = "BEGIN",
    [S_COMMIT] = "COMMIT",
    [S_COUNT] = "SELECT count(*) FROM t",
};

struct store {
  const rival *rival;
  open_options opt;
  char path[700];
  sqlite3 *db;
  sqlite3_stmt *stmt[STATEMENTS];
};

static bool is_lsm(const rival *rv) {
  return strcmp(rv->name, "lsm") == 0 || strcmp(rv->name, "tiered") == 0;
}

static sqlite3_stmt *statement(store *s, int which) {
  if (s->stmt[which] == NULL) {
    bool wide = which == S_INSERT && s->opt.indexes;
    s->stmt[which] = prepare(s->db, wide ? "INSERT INTO t VALUES(?, ?, ?, ?)" : statements[which]);
  }
  return s->stmt[which];
}

static void definition(const rival *rv, const open_options *opt, char *sql, size_t size) {
  const char *more = getenv("LSM_LOAD_OPTIONS");
  const char *columns = opt->indexes ? ", a INTEGER, b INTEGER" : "";
  if (rv->blackhole) {
    snprintf(sql, size, "CREATE VIRTUAL TABLE t USING blackhole");
  } else if (is_lsm(rv)) {
    snprintf(sql, size,
             "CREATE VIRTUAL TABLE t USING lsm(key BLOB PRIMARY KEY, value BLOB%s%s, "
             "cache_size=%zu, memtable_size=%zu%s%s%s)",
             columns, opt->indexes ? ", INDEX ia(a), INDEX ib(b)" : "", opt->cache,
             (size_t)MEMTABLE_MB << 20,
             strcmp(rv->name, "tiered") == 0 ? ", compaction=tiered" : "", more != NULL ? ", " : "",
             more != NULL ? more : "");
  } else {
    snprintf(sql, size, "CREATE TABLE t(key BLOB PRIMARY KEY, value BLOB%s)%s", columns,
             strcmp(rv->name, "btree") == 0 ? " WITHOUT ROWID" : "");
  }
}

/* The size of the cache is part of the definition: for another one that is changed. */
static void redefine(store *s) {
  sqlite3 *db = NULL;
  char sql[1024];
  definition(s->rival, &s->opt, sql, sizeof sql);
  if (sqlite3_open(s->path, &db) != SQLITE_OK) die("open %s", s->path);
  run(db, "PRAGMA writable_schema=ON");
  sqlite3_stmt *stmt = prepare(db, "UPDATE sqlite_schema SET sql = ? WHERE name = 't'");
  sqlite3_bind_text(stmt, 1, sql, -1, SQLITE_STATIC);
  step(stmt);
  sqlite3_finalize(stmt);
  close_db(db);
}

static void connect_store(store *s) {
  char sql[200];
  if (is_lsm(s->rival)) {
    s->db = open_db(s->path);
  } else if (sqlite3_open(s->path, &s->db) != SQLITE_OK) {
    die("open %s: %s", s->path, sqlite3_errmsg(s->db));
  }
  if (s->rival->blackhole) null_vtab_register(s->db);
  sqlite3_busy_timeout(s->db, 60000);
  size_t kilobytes = is_lsm(s->rival) ? (size_t)CACHE_MB << 10 : s->opt.cache >> 10;
  snprintf(sql, sizeof sql,
           "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-%zu", kilobytes);
  run(s->db, sql);
}

static store *sql_open(const rival *rv, const open_options *opt) {
  store *s = calloc(1, sizeof *s);
  if (s == NULL) die("out of memory");
  s->rival = rv;
  s->opt = *opt;
  snprintf(s->path, sizeof s->path, "%s/bench.db", opt->dir);
  if (!opt->create && is_lsm(rv)) redefine(s);
  connect_store(s);
  if (opt->create) {
    char sql[1024];
    definition(rv, opt, sql, sizeof sql);
    run(s->db, sql);
    if (opt->indexes && !is_lsm(rv)) run(s->db, "CREATE INDEX ia ON t(a); CREATE INDEX ib ON t(b)");
  }
  return s;
}

static store *sql_second(store *s) {
  store *t = calloc(1, sizeof *t);
  if (t == NULL) die("out of memory");
  t->rival = s->rival;
  t->opt = s->opt;
  memcpy(t->path, s->path, sizeof s->path);
  connect_store(t);
  return t;
}

static void sql_close(store *s) {
  for (int i = 0; i < STATEMENTS; i++) sqlite3_finalize(s->stmt[i]);
  close_db(s->db);
  free(s);
}

static void sql_set_full(store *s, bool full) {
  run(s->db, full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
}

static void once(sqlite3_stmt *stmt) {
  if (step(stmt)) die("a row where none should be");
  sqlite3_reset(stmt);
}

static void sql_begin(store *s) {
  once(statement(s, S_BEGIN));
}

static void sql_commit(store *s) {
  once(statement(s, S_COMMIT));
}

static void bind_blob(sqlite3_stmt *stmt, int i, const void *p, int n) {
  sqlite3_bind_blob(stmt, i, p, n, SQLITE_STATIC);
}

static void write_row(store *s, int which, const row *r) {
  sqlite3_stmt *stmt = statement(s, which);
  bind_blob(stmt, 1, r->key, KEY_SIZE);
  if (which != S_ERASE) bind_blob(stmt, 2, r->value, VALUE_SIZE);
  if (which == S_INSERT && s->opt.indexes) {
    sqlite3_bind_int64(stmt, 3, r->a);
    sqlite3_bind_int64(stmt, 4, r->b);
  }
  once(stmt);
}

static void sql_insert(store *s, const row *r) {
  write_row(s, S_INSERT, r);
}

static void sql_put(store *s, const row *r) {
  write_row(s, S_PUT, r);
}

static void sql_update(store *s, const row *r) {
  write_row(s, S_UPDATE, r);
}

static void sql_erase(store *s, const row *r) {
  write_row(s, S_ERASE, r);
}

static bool sql_get(store *s, const uint8_t *key, check *c) {
  sqlite3_stmt *stmt = statement(s, S_GET);
  bind_blob(stmt, 1, key, KEY_SIZE);
  bool found = step(stmt);
  if (found) {
    const void *value = sqlite3_column_blob(stmt, 0);
    check_row(c, NULL, 0, value, (size_t)sqlite3_column_bytes(stmt, 0));
  }
  sqlite3_reset(stmt);
  return found;
}

static void read_all(sqlite3_stmt *stmt, check *c) {
  while (step(stmt)) {
    const void *key = sqlite3_column_blob(stmt, 0);
    size_t nkey = (size_t)sqlite3_column_bytes(stmt, 0);
    const void *value = sqlite3_column_blob(stmt, 1);
    check_row(c, key, nkey, value, (size_t)sqlite3_column_bytes(stmt, 1));
  }
  sqlite3_reset(stmt);
}

static void sql_seek(store *s, const uint8_t *key, int limit, bool backward, check *c) {
  sqlite3_stmt *stmt = statement(s, backward ? S_DOWN : S_UP);
  bind_blob(stmt, 1, key, KEY_SIZE);
  sqlite3_bind_int(stmt, 2, limit);
  read_all(stmt, c);
}

static void sql_scan(store *s, bool backward, check *c) {
  read_all(statement(s, backward ? S_SCAN_REV : S_SCAN), c);
}

static uint64_t sql_count(store *s) {
  sqlite3_stmt *stmt = statement(s, S_COUNT);
  step(stmt);
  uint64_t n = (uint64_t)sqlite3_column_int64(stmt, 0);
  sqlite3_reset(stmt);
  return n;
}

static void sql_by_index(store *s, check *c) {
  static const char *const queries[] = {
      "SELECT count(*), sum(b), sum(a) FROM t WHERE a BETWEEN 0 AND 1000000000",
      "SELECT count(*), sum(a), sum(b) FROM t WHERE b >= 3000000000"};
  for (int i = 0; i < 2; i++) {
    sqlite3_stmt *stmt = prepare(s->db, queries[i]);
    step(stmt);
    for (int j = 0; j < 3; j++) c->sum = c->sum * 31 + (uint64_t)sqlite3_column_int64(stmt, j);
    sqlite3_finalize(stmt);
  }
}

static void sql_flush(store *s) {
  run(s->db, is_lsm(s->rival) ? "SELECT lsm_flush('t')" : "PRAGMA wal_checkpoint(TRUNCATE)");
}

static bool sql_busy(store *s) {
  if (!is_lsm(s->rival)) return false;
  return query_number(s->db, "SELECT max(score) >= 1 FROM lsm_levels('t')") > 0;
}

static void sql_compact(store *s) {
  run(s->db, is_lsm(s->rival) ? "SELECT lsm_compact('t')" : "PRAGMA wal_checkpoint(PASSIVE)");
}

/* What rests is packed when it was quiet for up to half a second (lsm/sched.c). */
#define SQL_RIVAL(NAME, BLACKHOLE, INDEXES, BOUNDED, BRIEF, QUIET)                                \
  {                                                                                               \
    .name = NAME, .blackhole = BLACKHOLE, .indexes = INDEXES, .bounded = BOUNDED, .brief = BRIEF, \
    .quiet_ms = QUIET, .open = sql_open, .second = sql_second, .close = sql_close,                \
    .set_full = sql_set_full, .begin = sql_begin, .commit = sql_commit, .insert = sql_insert,     \
    .put = sql_put, .update = sql_update, .erase = sql_erase, .get = sql_get, .seek = sql_seek,   \
    .scan = sql_scan, .count = sql_count, .by_index = sql_by_index, .flush = sql_flush,           \
    .busy = sql_busy, .compact = sql_compact                                                      \
  }

static const rival rivals[] = {
    SQL_RIVAL("lsm", false, true, false, false, 700),
    SQL_RIVAL("tiered", false, true, false, false, 700),
    SQL_RIVAL("btree", false, true, true, false, 0),
    SQL_RIVAL("rowid", false, true, true, true, 0),
    SQL_RIVAL("null", true, false, false, false, 0),
};

int main(int argc, char **argv) {
  return worker_main(argc, argv, rivals, sizeof rivals / sizeof rivals[0]);
}
