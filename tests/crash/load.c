/* load.c: transactions over ordinary and lsm tables whose every trace is known.
**
**   o    ordinary: one row a transaction that changes ordinary tables; h counts them
**   ob   ordinary: balances
**   a    lsm: one row a transaction that changes the first store; l counts them
**   b    lsm: balances, in the same store
**   c    lsm: one row a transaction, in a second store
**
** What transaction n of writer w does follows from the two numbers. So o and a say
** which transactions there are, in which order; ob, b and c must be what those
** add up to. h and l without gaps: what is lost is lost from the end.
*/
#define _GNU_SOURCE
#include "load.h"

#include "../bench/sqlutil.h"
#include "record.h"

enum { ACCOUNTS = 5, BALANCE = 1000, BACK = 6 };
enum { PATIENCE = 120 }; /* seconds to be told that others write */

typedef enum kind {
  MIXED,     /* all five tables, one COMMIT */
  BIG,       /* the same with rows that fill memtables */
  BACK_TO,   /* MIXED, after a savepoint with changes to all was taken back */
  DELETING,  /* MIXED, and c loses the writer's rows up to n - BACK */
  ONE_STORE, /* o, ob, a, b */
  UNDONE,    /* MIXED, then ROLLBACK */
  LSM_TXN,   /* BEGIN, a, b, c, COMMIT */
  LSM_ONE,   /* a, by one statement */
  LSM_OTHER, /* c, by one statement */
  ORDINARY   /* o, by one statement */
} kind;

static kind kind_of(unsigned w, unsigned n) {
  static const kind kinds[] = {MIXED,    MIXED,     BIG,     BIG,       BACK_TO,
                               DELETING, ONE_STORE, UNDONE,  LSM_TXN,   LSM_TXN,
                               LSM_ONE,  LSM_ONE,   LSM_ONE, LSM_OTHER, ORDINARY};
  return kinds[mix(w * 1000003u + n) % (sizeof kinds / sizeof kinds[0])];
}

static bool in_o(kind k) {
  return k <= ONE_STORE || k == ORDINARY;
}

/* Does the host's commit decide? A transaction of several statements writes a
** token, whatever it changes. */
static bool of_host(kind k) {
  return in_o(k) || k == LSM_TXN;
}

static bool in_a(kind k) {
  return k <= ONE_STORE || k == LSM_TXN || k == LSM_ONE;
}

static bool in_b(kind k) {
  return in_a(k) && k != LSM_ONE;
}

static bool in_c(kind k) {
  return k <= DELETING || k == LSM_TXN || k == LSM_OTHER;
}

/* What b gains, and ob loses, in which account. */
static int amount(unsigned w, unsigned n) {
  return 1 + (int)(mix(w * 7919u + n) % 50);
}

static unsigned account(unsigned w, unsigned n) {
  return (unsigned)(mix(w * 104729u + n) % ACCOUNTS);
}

static int pad_size(unsigned w, unsigned n) {
  return (int)(mix(w * 31u + n * 17u) % 100) + (kind_of(w, n) == BIG ? 15000 : 0);
}

static void make_pad(unsigned w, unsigned n, uint8_t *pad) {
  uint64_t x = mix(w * 65537u + n);
  for (int i = 0; i < pad_size(w, n); i += 8) {
    x = mix(x);
    memcpy(pad + i, &x, 8);
  }
}

void load_note(load_history *h, uint64_t what, uint64_t number) {
  unsigned w = (unsigned)(number >> 32), n = (unsigned)number;
  if (what == LOAD_SETUP) h->setup = true;
  if (what == LOAD_BEGUN) h->begun[w][n] = true;
  if (what == LOAD_ACKNOWLEDGED) h->acknowledged[w][n] = true;
}

/*---------------------------------------------------------------- writing */

/* Defined where record.so is loaded. */
#pragma weak record_mark

static void mark(enum load_mark what, unsigned w, unsigned n) {
  if (record_mark != NULL) record_mark(what, (uint64_t)w << 32 | n);
}

static bool is_busy(int rc) {
  return (rc & 0xff) == SQLITE_BUSY;
}

/* As often as it takes: others write too. */
static void insist(sqlite3 *db, const char *sql) {
  double start = seconds();
  for (;;) {
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK) return;
    if (!is_busy(rc)) die("%s\n  in %.100s", sqlite3_errmsg(db), sql);
    if (seconds() - start > PATIENCE) die("busy for long: %s\n  in %.100s", sqlite3_errmsg(db), sql);
    usleep(1000);
  }
}

static sqlite3 *open_load(const char *path, const char *journal, const char *sync) {
  char sql[200];
  sqlite3 *db = open_db(path);
  sqlite3_busy_timeout(db, 20000);
  snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s", journal);
  insist(db, sql);
  snprintf(sql, sizeof sql, "PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=24", sync);
  insist(db, sql);
  return db;
}

static void make_tables(sqlite3 *db) {
  insist(db,
         "BEGIN IMMEDIATE;"
         "CREATE TABLE IF NOT EXISTS o(h INTEGER PRIMARY KEY, w, n, kind, l);"
         "CREATE TABLE IF NOT EXISTS ob(k INTEGER PRIMARY KEY, balance);"
         "CREATE VIRTUAL TABLE IF NOT EXISTS a USING lsm(l INTEGER PRIMARY KEY, w, n, kind, h, pad,"
         " memtable_size='64KB', cache_size='1MB');"
         "CREATE VIRTUAL TABLE IF NOT EXISTS b USING lsm(k INTEGER PRIMARY KEY, balance);"
         "CREATE VIRTUAL TABLE IF NOT EXISTS c USING lsm(w, n, pad, PRIMARY KEY(w, n),"
         " path='second', memtable_size='64KB', cache_size='1MB');"
         "INSERT INTO o SELECT 0, 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM o);"
         "INSERT OR IGNORE INTO a VALUES(0, 0, 0, 0, 0, NULL);"
         "WITH s(k) AS (VALUES(0) UNION ALL SELECT k + 1 FROM s WHERE k < 4)"
         " INSERT OR IGNORE INTO ob SELECT k, 1000 FROM s;"
         "INSERT OR IGNORE INTO b VALUES(0, 1000), (1, 1000), (2, 1000), (3, 1000), (4, 1000);"
         "COMMIT");
}

void load_setup(const char *path, const char *journal, const char *sync) {
  sqlite3 *db = open_load(path, journal, sync);
  make_tables(db);
  mark(LOAD_SETUP, 0, 0);
  close_db(db);
}

/* Runs a statement with ?1 = w, ?2 = n, ?3 = kind, ?4 = pad, ?5 = amount, ?6 = account.
** Returns false when it was busy. */
static bool run_bound(sqlite3 *db, unsigned w, unsigned n, const char *sql) {
  uint8_t pad[16384];
  sqlite3_stmt *stmt = prepare(db, sql);
  make_pad(w, n, pad);
  int count = sqlite3_bind_parameter_count(stmt);
  sqlite3_bind_int(stmt, 1, (int)w);
  if (count >= 2) sqlite3_bind_int(stmt, 2, (int)n);
  if (count >= 3) sqlite3_bind_int(stmt, 3, (int)kind_of(w, n));
  if (count >= 4) sqlite3_bind_blob(stmt, 4, pad, pad_size(w, n), SQLITE_STATIC);
  if (count >= 5) sqlite3_bind_int(stmt, 5, amount(w, n));
  if (count >= 6) sqlite3_bind_int(stmt, 6, (int)account(w, n));
  int rc = sqlite3_step(stmt);
  if (rc != SQLITE_DONE && !is_busy(rc)) die("%s\n  in %.100s", sqlite3_errmsg(db), sql);
  sqlite3_finalize(stmt);
  return rc == SQLITE_DONE;
}

#define INTO_A                                            \
  "INSERT INTO a SELECT l + 1, ?1, ?2, ?3, %s, ?4 FROM a" \
  " ORDER BY l DESC LIMIT 1"
#define NEXT_H "(SELECT max(h) FROM o)"

/* Each writer has an index on a, that comes and goes. REQUIRES: a transaction. */
static void toggle_index(sqlite3 *db, unsigned w) {
  char sql[200];
  snprintf(sql, sizeof sql, "SELECT count(*) FROM a_lsm WHERE value LIKE 'INDEX \"x%u\" %%'", w);
  bool there = query_number(db, sql) > 0;
  snprintf(sql, sizeof sql,
           there ? "SELECT lsm_drop_index('a', 'x%u')"
                 : "SELECT lsm_create_index('a', 'x%u', 'n DESC, kind')",
           w);
  insist(db, sql);
}

static bool write_kind(sqlite3 *db, unsigned w, unsigned n, kind k) {
  char into_a[300];
  bool with_o = in_o(k), good = true;
  snprintf(into_a, sizeof into_a, INTO_A, with_o ? NEXT_H : "NULL");
  if (with_o) {
    good = run_bound(db, w, n,
                     "INSERT INTO o SELECT max(h) + 1, ?1, ?2, ?3, (SELECT l + 1 FROM a"
                     " ORDER BY l DESC LIMIT 1) FROM o") &&
           run_bound(db, w, n, "UPDATE ob SET balance = balance - ?5 WHERE k = ?6");
  }
  if (k == MIXED && good && mix(w * 131u + n) % 4 == 0) toggle_index(db, w);
  good = good && run_bound(db, w, n, into_a) &&
         run_bound(db, w, n, "UPDATE b SET balance = balance + ?5 WHERE k = ?6");
  if (in_c(k)) good = good && run_bound(db, w, n, "INSERT INTO c VALUES(?1, ?2, ?4)");
  if (k == DELETING) {
    good = good && run_bound(db, w, n, "DELETE FROM c WHERE w = ?1 AND n <= ?2 - 6");
  }
  return good;
}

/* One try; false: busy, and nothing has happened. */
static bool try_transaction(sqlite3 *db, unsigned w, unsigned n) {
  kind k = kind_of(w, n);
  bool good = true;
  char sql[300];
  snprintf(sql, sizeof sql, INTO_A, "NULL");
  switch (k) {
    case LSM_ONE:
      return run_bound(db, w, n, sql);
    case LSM_OTHER:
      return run_bound(db, w, n, "INSERT INTO c VALUES(?1, ?2, ?4)");
    case ORDINARY:
      return run_bound(db, w, n, "INSERT INTO o SELECT max(h) + 1, ?1, ?2, ?3, NULL FROM o");
    default:
      break;
  }
  insist(db, "BEGIN IMMEDIATE");
  if (k == BACK_TO) {
    insist(db, "SAVEPOINT s");
    good = write_kind(db, w, n, MIXED);
    if (good) insist(db, "ROLLBACK TO s");
  }
  good = good && write_kind(db, w, n, k == UNDONE ? MIXED : k);
  if (good && k != UNDONE) {
    insist(db, "COMMIT");
  } else {
    if (!sqlite3_get_autocommit(db)) insist(db, "ROLLBACK");
  }
  return good;
}

static void write_one(sqlite3 *db, unsigned w, unsigned n) {
  double start = seconds();
  while (!try_transaction(db, w, n)) {
    if (seconds() - start > PATIENCE) die("busy for long: %s", sqlite3_errmsg(db));
    usleep(1000);
  }
}

static unsigned query_last(sqlite3 *db, const char *table, unsigned w) {
  char sql[200];
  snprintf(sql, sizeof sql, "SELECT coalesce(max(n), 0) FROM %s WHERE w = %u", table, w);
  for (double start = seconds();; usleep(1000)) { /* others commit: it may be busy */
    sqlite3_stmt *stmt = prepare(db, sql);
    int rc = sqlite3_step(stmt);
    unsigned n = (unsigned)sqlite3_column_int(stmt, 0);
    if (rc != SQLITE_ROW && (!is_busy(rc) || seconds() - start > PATIENCE)) {
      die("%s\n  in %s", sqlite3_errmsg(db), sql);
    }
    sqlite3_finalize(stmt);
    if (rc == SQLITE_ROW) return n;
  }
}

static unsigned last_of(sqlite3 *db, unsigned w) {
  unsigned o = query_last(db, "o", w), a = query_last(db, "a", w), c = query_last(db, "c", w);
  unsigned last = o > a ? o : a;
  return last > c ? last : c;
}

void load_write(const char *path, const char *journal, const char *sync, unsigned w,
                unsigned count) {
  sqlite3 *db = open_load(path, journal, sync);
  unsigned first = last_of(db, w) + 1;
  for (unsigned n = first; n < first + count; n++) {
    mark(LOAD_BEGUN, w, n);
    write_one(db, w, n);
    mark(LOAD_ACKNOWLEDGED, w, n);
    usleep((useconds_t)(mix(w * 31u + n) % 400)); /* so that writers take turns */
  }
  close_db(db);
}

void load_drop_token(const char *path) {
  sqlite3 *db = NULL;
  if (sqlite3_open(path, &db) != SQLITE_OK) die("open %s: %s", path, sqlite3_errmsg(db));
  if (query_number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'o'") > 0) {
    run(db, "UPDATE a_lsm SET value = value - 1 WHERE name = 'txid'");
  }
  close_db(db);
}

/*--------------------------------------------------------------- checking */

typedef struct found {
  int64_t h[LOAD_WRITERS + 1][LOAD_MAX]; /* of transactions in o; 0: none */
  int64_t l[LOAD_WRITERS + 1][LOAD_MAX]; /* in a */
  bool c[LOAD_WRITERS + 1][LOAD_MAX];
  int64_t last_h, last_l;
} found;

static void expect_text(sqlite3 *db, const char *sql, const char *want) {
  sqlite3_stmt *stmt = prepare(db, sql);
  const char *said = step(stmt) ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
  if (said == NULL || strcmp(said, want) != 0) die("%s: %s", sql, said != NULL ? said : "NULL");
  sqlite3_finalize(stmt);
}

/* Rows (number, w, n, kind, the other's number), in order. */
static void read_rows(sqlite3 *db, const load_history *h, const char *sql, bool is_o,
                      int64_t at[LOAD_WRITERS + 1][LOAD_MAX], int64_t *last) {
  sqlite3_stmt *stmt = prepare(db, sql);
  *last = -1;
  while (step(stmt)) {
    int64_t number = sqlite3_column_int64(stmt, 0);
    unsigned w = (unsigned)sqlite3_column_int(stmt, 1), n = (unsigned)sqlite3_column_int(stmt, 2);
    const char *t = is_o ? "o" : "a";
    if (number != *last + 1) die("%s: row %d follows row %d", t, (int)number, (int)*last);
    *last = number;
    if (number == 0) continue;
    if (w < 1 || w > LOAD_WRITERS || n >= LOAD_MAX || !h->begun[w][n]) {
      die("%s: transaction %u of writer %u, which nobody began", t, n, w);
    }
    kind k = kind_of(w, n);
    if ((kind)sqlite3_column_int(stmt, 3) != k || !(is_o ? in_o(k) : in_a(k))) {
      die("%s: transaction %u of writer %u does not belong here", t, n, w);
    }
    if (at[w][n] != 0) die("%s: transaction %u of writer %u is there twice", t, n, w);
    at[w][n] = number;
    if (is_o) continue;
    uint8_t pad[16384];
    make_pad(w, n, pad);
    if (sqlite3_column_bytes(stmt, 5) != pad_size(w, n) ||
        (pad_size(w, n) > 0 && memcmp(sqlite3_column_blob(stmt, 5), pad, pad_size(w, n)) != 0)) {
      die("a: wrong bytes of transaction %u of writer %u", n, w);
    }
  }
  sqlite3_finalize(stmt);
}

/* A transaction of both sides is on both, or on none. */
static void check_sides(const found *f) {
  for (unsigned w = 1; w <= LOAD_WRITERS; w++) {
    for (unsigned n = 1; n < LOAD_MAX; n++) {
      kind k = kind_of(w, n);
      if (in_o(k) && in_a(k) && (f->h[w][n] == 0) != (f->l[w][n] == 0)) {
        die("half a transaction: %u of writer %u (kind %d) is in %s only", n, w, (int)k,
            f->h[w][n] != 0 ? "the ordinary tables" : "the lsm tables");
      }
    }
  }
}

static void check_balances(sqlite3 *db, const found *f) {
  int ob[ACCOUNTS], b[ACCOUNTS];
  for (int i = 0; i < ACCOUNTS; i++) ob[i] = b[i] = BALANCE;
  for (unsigned w = 1; w <= LOAD_WRITERS; w++) {
    for (unsigned n = 1; n < LOAD_MAX; n++) {
      kind k = kind_of(w, n);
      if (f->h[w][n] != 0 && k != ORDINARY) ob[account(w, n)] -= amount(w, n);
      if (f->l[w][n] != 0 && in_b(k)) b[account(w, n)] += amount(w, n);
    }
  }
  for (int side = 0; side < 2; side++) {
    sqlite3_stmt *stmt = prepare(db, side == 0 ? "SELECT k, balance FROM ob ORDER BY k"
                                               : "SELECT k, balance FROM b ORDER BY k");
    for (int i = 0; i < ACCOUNTS; i++) {
      const char *t = side == 0 ? "ob" : "b";
      int want = side == 0 ? ob[i] : b[i];
      if (!step(stmt) || sqlite3_column_int(stmt, 0) != i) die("%s: account %d is missing", t, i);
      if (sqlite3_column_int(stmt, 1) != want) {
        die("%s: account %d has %d, should have %d", t, i, sqlite3_column_int(stmt, 1), want);
      }
    }
    sqlite3_finalize(stmt);
  }
}

/* c against a; rows that c got alone may be missing, in promise's bounds. */
static void check_c(sqlite3 *db, const load_history *h, found *f) {
  sqlite3_stmt *stmt = prepare(db, "SELECT w, n, pad FROM c ORDER BY w, n");
  while (step(stmt)) {
    uint8_t pad[16384];
    unsigned w = (unsigned)sqlite3_column_int(stmt, 0), n = (unsigned)sqlite3_column_int(stmt, 1);
    if (w < 1 || w > LOAD_WRITERS || n >= LOAD_MAX || !h->begun[w][n] || !in_c(kind_of(w, n))) {
      die("c: a row that nobody wrote: %u of writer %u", n, w);
    }
    make_pad(w, n, pad);
    if (sqlite3_column_bytes(stmt, 2) != pad_size(w, n) ||
        (pad_size(w, n) > 0 && memcmp(sqlite3_column_blob(stmt, 2), pad, pad_size(w, n)) != 0)) {
      die("c: wrong bytes of transaction %u of writer %u", n, w);
    }
    f->c[w][n] = true;
  }
  sqlite3_finalize(stmt);
  for (unsigned w = 1; w <= LOAD_WRITERS; w++) {
    unsigned deleted = 0; /* all rows up to this one are */
    for (unsigned n = BACK + 1; n < LOAD_MAX; n++) {
      if (f->l[w][n] != 0 && kind_of(w, n) == DELETING) deleted = n - BACK;
    }
    for (unsigned n = 1; n < LOAD_MAX; n++) {
      kind k = kind_of(w, n);
      bool want = n > deleted && in_c(k) && f->l[w][n] != 0;
      if (k == LSM_OTHER && n > deleted) continue;
      if (f->c[w][n] != want) {
        die("the two stores differ: transaction %u of writer %u (kind %d) %s in the second", n, w,
            (int)k, want ? "is not" : "is");
      }
    }
    for (unsigned n = 1; n <= deleted; n++) f->c[w][n] = true; /* nothing to ask for */
  }
}

static void check_acknowledged(const load_history *h, const found *f, load_promise promise) {
  int may_lose = promise.may_lose_1;
  if (!promise.durable) return;
  for (unsigned w = 1; w <= LOAD_WRITERS; w++) {
    for (unsigned n = 1; n < LOAD_MAX; n++) {
      kind k = kind_of(w, n);
      if (!h->acknowledged[w][n]) continue;
      bool lost = (in_o(k) && f->h[w][n] == 0) || (in_a(k) && f->l[w][n] == 0) ||
                  (k == LSM_OTHER && !f->c[w][n]);
      if (!lost || (of_host(k) && may_lose-- > 0)) continue;
      die("transaction %u of writer %u (kind %d) was acknowledged and is lost", n, w, (int)k);
    }
  }
}

static void check_content(sqlite3 *db, const load_history *h, load_promise promise, found *f) {
  memset(f, 0, sizeof *f);
  read_rows(db, h, "SELECT h, w, n, kind, l FROM o ORDER BY h", true, f->h, &f->last_h);
  read_rows(db, h, "SELECT l, w, n, kind, h, pad FROM a ORDER BY l", false, f->l, &f->last_l);
  check_sides(f);
  if (query_number(db, "SELECT count(*) FROM o JOIN a USING(w, n)"
                       " WHERE o.h <> a.h OR o.l <> a.l") > 0) {
    die("the two sides differ in the order of transactions");
  }
  check_balances(db, f);
  check_c(db, h, f);
  check_acknowledged(h, f, promise);
}

void load_check(const char *path, const load_history *past, load_promise promise) {
  static found before, after;
  static load_history h;
  sqlite3 *db = open_db(path);
  h = *past;
  sqlite3_busy_timeout(db, 20000);
  run(db, "PRAGMA synchronous=OFF");
  expect_text(db, "PRAGMA integrity_check", "ok");
  bool made = query_number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'o'") > 0;
  if (!made && promise.durable && h.setup && !promise.may_lose_1) die("the tables are lost");
  if (!made) make_tables(db);
  expect_text(db, "SELECT lsm_verify('a')", "ok");
  expect_text(db, "SELECT lsm_verify('c')", "ok");
  check_content(db, &h, promise, &before);
  unsigned w = LOAD_WRITERS, n = last_of(db, w) + 1;
  while (kind_of(w, n) != MIXED) n++;
  h.begun[w][n] = h.acknowledged[w][n] = true;
  write_one(db, w, n);
  promise.durable = false;
  check_content(db, &h, promise, &after);
  if (after.last_h != before.last_h + 1 || after.last_l != before.last_l + 1) {
    die("a transaction after the crash is not there");
  }
  close_db(db);
}
