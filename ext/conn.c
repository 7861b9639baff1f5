/* conn.c: what one sqlite3 connection holds of stores.
**
** Owns:  the connection's shares of stores, their transactions and snapshots.
** Holds: (1) a share lives while a table, a drop, a cursor or a transaction
**            needs it; the private store in memory lives with the connection;
**        (2) all cursors open at one time outside a write transaction read one
**            snapshot, taken when the first was opened, at one time, which the
**            first asked for;
**        (3) in an explicit transaction it is kept to the end, or till the first
**            write, which needs it to be the present state still. */
#include "conn.h"

#include <stdatomic.h>

#include "base.h"
#include "err.h"
#include "token.h"

/* Of all stores: with one, nobody needs the state from before a commit. */
static _Atomic int nconns;

/*------------------------------------------------------------- connection */

int lsm_conn_new(sqlite3 *db, lsm_conn **out) {
  lsm_conn *c = sqlite3_malloc(sizeof(*c));
  *out = c;
  if (c == NULL) return SQLITE_NOMEM;
  memset(c, 0, sizeof(*c));
  c->db = db;
  atomic_fetch_add(&nconns, 1);
  return SQLITE_OK;
}

/* Does its snapshot wait for the end of the transaction? */
static bool is_kept(const lsm_conn_store *cs) {
  return cs->conn->reading && cs->snap != NULL && cs->snap_changes == 0;
}

/* Closes a share that nobody needs any more. The store in memory holds its
** tables' rows: it waits for the connection's end. */
static void maybe_free_share(lsm_conn_store *cs, bool closing) {
  if (cs->refs > 0 || cs->cursors > 0 || cs->txn != NULL) return;
  if (is_kept(cs) && !closing) return;
  if (lsm_store_is_memory(cs->store) && !closing) return;
  lsm_conn_store **p = &cs->conn->stores;
  while (*p != cs) p = &(*p)->next;
  *p = cs->next;
  lsm_snapshot_release(cs->snap);
  lsm_token_forget(&cs->token);
  lsm_store_unref(cs->store);
  sqlite3_free(cs);
}

void lsm_conn_free(void *arg) {
  lsm_conn *c = arg;
  if (c == NULL) return;
  atomic_fetch_sub(&nconns, 1);
  lsm_conn_end_drops(c, false);
  lsm_marker_forget(c);
  lsm_history_forget(&c->history);
  while (c->stores != NULL) {
    lsm_conn_store *cs = c->stores;
    cs->refs++;
    lsm_conn_rollback(cs);
    cs->refs = cs->cursors = 0;
    maybe_free_share(cs, true);
  }
  sqlite3_free(c);
}

/*----------------------------------------------------------------- shares */

static lsm_conn_store *find_share(lsm_conn *c, const char *path) {
  for (lsm_conn_store *cs = c->stores; cs != NULL; cs = cs->next) {
    if (path == NULL ? lsm_store_is_memory(cs->store)
                     : strcmp(lsm_store_path(cs->store), path) == 0) {
      return cs;
    }
  }
  return NULL;
}

lsm_rc lsm_conn_open_store(lsm_conn *c, const char *path, const char *host,
                           const lsm_options *opt, lsm_conn_store **out) {
  *out = NULL;
  lsm_conn_store *cs = find_share(c, path);
  if (cs != NULL) {
    cs->refs++;
    *out = cs;
    return LSM_OK;
  }
  cs = sqlite3_malloc(sizeof(*cs));
  if (cs == NULL) return lsm_nomem();
  memset(cs, 0, sizeof(*cs));
  lsm_options o = *opt;
  if (path == NULL) o.create = true;
  lsm_rc rc = lsm_store_open(path, host, &o, &cs->store);
  if (rc != LSM_OK) {
    sqlite3_free(cs);
    return rc;
  }
  cs->conn = c;
  cs->refs = 1;
  cs->txn_changes = 1;
  cs->next = c->stores;
  c->stores = cs;
  *out = cs;
  return LSM_OK;
}

void lsm_conn_store_unref(lsm_conn_store *cs) {
  if (cs == NULL) return;
  lsm_token_forget(&cs->token); /* or their statements would outlive the tables */
  lsm_history_forget(&cs->conn->history);
  cs->refs--;
  maybe_free_share(cs, false);
}

/*-------------------------------------------------- snapshots and cursors */

static void drop_snapshot(lsm_conn_store *cs) {
  lsm_snapshot_release(cs->snap);
  cs->snap = NULL;
}

uint64_t lsm_conn_now(lsm_conn_store *cs) {
  if (cs->cursors == 0 || cs->now == 0) cs->now = lsm_now(lsm_store_db(cs->store));
  return cs->now;
}

/* These make SQLite roll back the whole transaction, if a statement that may write ends
** with them, one of ours too: then the one that runs has to end as well. */
static lsm_rc rolled_back(int code) {
  switch (code & 0xff) {
    case SQLITE_INTERRUPT: return lsm_fail(LSM_INTERRUPT, "interrupted");
    case SQLITE_NOMEM: return lsm_nomem();
    case SQLITE_IOERR: return lsm_fail(LSM_IOERR, "disk I/O error in the database");
    case SQLITE_FULL: return lsm_fail(LSM_FULL, "database or disk is full");
    default: return LSM_OK;
  }
}

/* From now on to the end of an explicit transaction. When the marker may not
** join, each statement has a snapshot of its own. */
static lsm_rc keep_snapshots(lsm_conn_store *cs) {
  lsm_conn *c = cs->conn;
  if (c->reading || lsm_store_is_memory(cs->store) || sqlite3_get_autocommit(c->db)) return LSM_OK;
  int code = lsm_marker_join(c, false);
  c->reading = code == SQLITE_OK;
  return rolled_back(code);
}

#define BAD_SHADOW "a shadow table (..._lsm) has lost its rows, or has triggers"

/* A failure to read the token, as the thread's message. */
static lsm_rc token_unread(lsm_conn_store *cs, int code) {
  switch (code & 0xff) {
    case SQLITE_NOMEM: return lsm_nomem();
    case SQLITE_INTERRUPT: return lsm_fail(LSM_INTERRUPT, "interrupted");
    case SQLITE_CORRUPT:
      return lsm_fail(LSM_CORRUPT, "%s: " BAD_SHADOW, lsm_store_path(cs->store));
    default:
      return lsm_fail((code & 0xff) == SQLITE_BUSY ? LSM_BUSY : LSM_MISUSE,
                      "%s: cannot read the transaction's number: %s", lsm_store_path(cs->store),
                      lsm_sql_message(cs->conn->db, code));
  }
}

/* Has the open transaction the right to write to the database? UNKNOWN with older
** libraries. */
static bool has_write_lock(lsm_conn_store *cs, const char *schema, bool unknown) {
#if SQLITE_VERSION_NUMBER >= 3034000
  if (lsm_sqlite_has(3034000)) {
    return sqlite3_txn_state(cs->conn->db, schema) == SQLITE_TXN_WRITE;
  }
#endif
  (void)cs, (void)schema;
  return unknown;
}

/* The store cannot say whether its present state is the one that belongs to number
** TXID. It is if the database has no later number: with a rollback journal, since
** we are reading, it cannot have, nor while we may write; else another connection can
** see (but not a number that our transaction has made). */
static lsm_rc present_if_newest(lsm_conn_store *cs, uint64_t txid, lsm_snapshot **snap) {
  sqlite3 *db = cs->conn->db;
  lsm_db *store = lsm_store_db(cs->store);
  uint64_t newest = 0;
  bool known = false;
  lsm_rc rc = lsm_snapshot_acquire(store, snap);
  if (rc != LSM_OK) return rc;
  const char *file = sqlite3_db_filename(db, cs->token.schema);
  if (!has_write_lock(cs, cs->token.schema, false) &&
      lsm_proof_journal_is_wal(db, cs->token.schema) && file != NULL && file[0] != 0) {
    rc = lsm_token_peek(file, false, cs->token.host, &newest, &known);
    if (rc == LSM_OK && known && newest != txid) {
      rc = lsm_fail(LSM_STALE, "%s: the state that this transaction reads is no longer kept",
                    lsm_store_path(cs->store));
    }
  }
  if (rc == LSM_OK) rc = lsm_host_confirm(store, cs->token.host, txid, *snap);
  if (rc != LSM_OK) {
    lsm_snapshot_release(*snap);
    *snap = NULL;
  }
  return rc;
}

#define AGREE_MS 100 /* at least: a commit that is under way takes microseconds */

static int64_t agree_ms(const lsm_conn_store *cs) {
  int64_t ms = lsm_conn_pragma(cs->conn, "main", "busy_timeout", 0);
  return ms < AGREE_MS ? AGREE_MS : ms;
}

/* Who may write to the database, and so to its tables here, next, must find what he has
** read unchanged then. Those who could write before gave the database back a moment before
** the store shows what they have done: that is waited for. Longer than that can be only
** what belongs to another database. */
static void let_others_finish(lsm_conn_store *cs, const char *schema) {
  lsm_db *db = lsm_store_db(cs->store);
  if (sqlite3_get_autocommit(cs->conn->db) || !lsm_is_committing(db)) return;
  if (!has_write_lock(cs, schema, true)) return;
  lsm_interrupt intr = lsm_conn_interrupt(cs->conn);
  lsm_wait_committed(db, agree_ms(cs), &intr);
}

/* The snapshot that belongs to what the connection sees of the database. While
** no transaction has changed both, every one does; but the connection may look
** at the database since before the store was opened. */
static lsm_rc acquire(lsm_conn_store *cs, const char *schema, lsm_snapshot **snap) {
  lsm_db *db = lsm_store_db(cs->store);
  uint64_t txid = 0;
  lsm_rc rc;
  if (lsm_store_is_memory(cs->store)) return lsm_snapshot_acquire(db, snap);
  let_others_finish(cs, schema);
  if (cs->agreed && !lsm_has_hosts(db)) {
    rc = lsm_snapshot_acquire(db, snap);
    if (rc != LSM_OK || !lsm_has_hosts(db)) return rc;
    lsm_snapshot_release(*snap);
    *snap = NULL;
  }
  int code = lsm_token_find(cs, schema);
  if (code == SQLITE_NOTFOUND) return lsm_snapshot_acquire(db, snap); /* nor can it commit both */
  if (code == SQLITE_OK) code = lsm_token_read(cs, &txid);
  if (code != SQLITE_OK) return token_unread(cs, code);
  lsm_interrupt intr = lsm_conn_interrupt(cs->conn);
  rc = lsm_snapshot_acquire_at(db, cs->token.host, txid, 0, &intr, snap);
  if (rc == LSM_BUSY) {
    rc = lsm_snapshot_acquire_at(db, cs->token.host, txid, agree_ms(cs), &intr, snap);
  }
  if (rc == LSM_STALE) rc = present_if_newest(cs, txid, snap);
  /* A statement that reads nothing of the database need not agree with it; but what is
  ** in two stores must be of one state. */
  if (rc == LSM_STALE && cs->conn->stores->next == NULL && lsm_proof_reads_alone(cs->conn)) {
    rc = lsm_snapshot_acquire(db, snap);
  }
  if (rc == LSM_OK) cs->agreed = true;
  return rc;
}

lsm_rc lsm_conn_snapshot(lsm_conn_store *cs, const char *schema, lsm_snapshot **snap) {
  uint64_t now = cs->txn != NULL ? cs->txn_changes : 0;
  lsm_rc rc = LSM_OK;
  *snap = NULL;
  if (cs->snap != NULL && cs->snap_changes != now) drop_snapshot(cs);
  if (cs->snap == NULL) {
    if (cs->txn == NULL) cs->now = 0; /* or it would be older than the state */
    rc = cs->txn != NULL ? lsm_txn_snapshot(cs->txn, &cs->snap)
                         : acquire(cs, schema, &cs->snap);
    cs->snap_changes = now;
  }
  if (rc == LSM_OK && now == 0) rc = keep_snapshots(cs);
  if (rc == LSM_OK) *snap = lsm_snapshot_ref(cs->snap);
  return rc;
}

void lsm_conn_cursor_opened(lsm_conn_store *cs) { cs->cursors++; }

void lsm_conn_cursor_closed(lsm_conn_store *cs) {
  if (--cs->cursors == 0) {
    cs->now = 0;
    if (!is_kept(cs)) drop_snapshot(cs);
  }
  maybe_free_share(cs, false);
}

/*----------------------------------------------------------- transactions */

void lsm_conn_changed(lsm_conn_store *cs) { cs->txn_changes++; }

/* What the transaction has read must be what it would change. */
static lsm_rc check_present(lsm_conn_store *cs) {
  if (!is_kept(cs) || lsm_snapshot_txid(cs->snap) == lsm_committed_txid(lsm_store_db(cs->store))) {
    return LSM_OK;
  }
  return lsm_fail(LSM_STALE,
                  "%s: another connection has written since this transaction began to read",
                  lsm_store_path(cs->store));
}

/* The busy timeout is asked for only when there is somebody to wait for: a PRAGMA
** costs as much as the rest of the beginning. */
static lsm_rc begin(lsm_conn_store *cs) {
  lsm_interrupt intr = lsm_conn_interrupt(cs->conn);
  lsm_rc rc = lsm_txn_begin(lsm_store_db(cs->store), 0, &intr, &cs->txn);
  if (rc != LSM_BUSY) return rc;
  int64_t ms = lsm_conn_pragma(cs->conn, "main", "busy_timeout", 0);
  return ms > 0 ? lsm_txn_begin(lsm_store_db(cs->store), ms, &intr, &cs->txn) : rc;
}

lsm_rc lsm_conn_txn(lsm_conn_store *cs, const sqlite3_vtab *vtab) {
  if (cs->txn != NULL) {
    lsm_proof_spoil(&cs->proof);
    return LSM_OK;
  }
  lsm_rc rc = check_present(cs);
  if (rc == LSM_OK) rc = begin(cs);
  if (rc == LSM_OK && (rc = check_present(cs)) != LSM_OK) {
    (void)lsm_txn_rollback(cs->txn);
    cs->txn = NULL;
  }
  if (rc != LSM_OK) return rc;
  drop_snapshot(cs); /* from now on it is the transaction's that counts */
  cs->now = 0;
  lsm_conn_changed(cs);
  cs->txn_epoch++;
  cs->sync_options = 0;
  cs->token_txid = 0;
  cs->in_doubt = false;
  if (vtab == NULL) {
    lsm_proof_begin_unseen(&cs->proof, cs->conn->db);
    return LSM_OK;
  }
  rc = rolled_back(lsm_proof_begin(&cs->proof, cs->conn->db, vtab));
  if (rc != LSM_OK) {
    (void)lsm_txn_rollback(cs->txn); /* NULL if it is gone already */
    cs->txn = NULL;
  }
  return rc;
}

lsm_rc lsm_conn_rollback_to(lsm_conn_store *cs, int n) {
  if (cs->txn == NULL) return LSM_OK;
  lsm_history_went_back(&cs->conn->history);
  lsm_conn_changed(cs);
  cs->txn_epoch++;
  return lsm_txn_rollback_to(cs->txn, n);
}

/* A failure of SQL on the connection itself, as the thread's message. */
static int token_failed(lsm_conn_store *cs, int code) {
  (void)lsm_fail(LSM_IOERR, "%s: cannot note the transaction in the database: %s",
                 lsm_store_path(cs->store),
                 code == SQLITE_NOTFOUND || code == SQLITE_CORRUPT_VTAB
                     ? BAD_SHADOW
                     : lsm_sql_message(cs->conn->db, code));
  return code == SQLITE_NOTFOUND ? SQLITE_CORRUPT_VTAB : code;
}

/* A host that has committed more than an lsm table must find the store's part
** on disk whenever it finds its own: so with NORMAL, too, the log is synced. */
static int prepare_with_token(lsm_conn_store *cs, const char *schema, lsm_sync sync) {
  lsm_interrupt intr = lsm_conn_interrupt(cs->conn);
  int code = lsm_token_find(cs, schema);
  if (code != SQLITE_OK) return token_failed(cs, code);
  if (sync == LSM_SYNC_NORMAL) sync = LSM_SYNC_FULL;
  lsm_rc rc = lsm_txn_prepare(cs->txn, sync, cs->token.host, &intr);
  if (rc != LSM_OK) return lsm_sqlite_code(rc);
  if (atomic_load(&nconns) > 1) lsm_txn_keep_base(cs->txn);
  uint64_t txid = lsm_txn_id(cs->txn);
  if (cs->token_txid == txid) return SQLITE_OK;
  code = lsm_token_write(cs, txid);
  if (code != SQLITE_OK) return token_failed(cs, code);
  cs->token_txid = txid;
  return SQLITE_OK;
}

/* Is there another store with changes in this transaction? Then the host must
** decide for both. */
static bool is_only_store(const lsm_conn_store *cs) {
  for (const lsm_conn_store *o = cs->conn->stores; o != NULL; o = o->next) {
    if (o != cs && o->txn != NULL && !lsm_txn_is_empty(o->txn) && !lsm_store_is_memory(o->store)) {
      return false;
    }
  }
  return true;
}

int lsm_conn_prepare(lsm_conn_store *cs, const char *schema, lsm_sync sync) {
  if (cs->txn == NULL || lsm_txn_is_empty(cs->txn)) return SQLITE_OK;
  /* Another table of the store has been here. */
  if (lsm_txn_is_prepared(cs->txn) && cs->token_txid == lsm_txn_id(cs->txn)) return SQLITE_OK;
  lsm_history *h = &cs->conn->history;
  bool alone = lsm_store_is_memory(cs->store) ||
               (is_only_store(cs) && lsm_proof_holds(&cs->proof, h, cs->conn->db, schema));
  if (!alone) {
    int code = prepare_with_token(cs, schema, sync);
    if (code == SQLITE_OK) lsm_history_look(h, cs->conn->db, schema);
    return code;
  }
  lsm_interrupt intr = lsm_conn_interrupt(cs->conn);
  return lsm_sqlite_code(lsm_txn_prepare(cs->txn, sync, NULL, &intr));
}

/* The shared snapshot may show the transaction's own changes: cursors that
** have it keep it, new ones get another. It goes before the merge, which would
** copy what it sees. What no table has prepared is of dropped ones, or of such whose
** CREATE was taken back. */
void lsm_conn_commit(lsm_conn_store *cs) {
  if (cs->txn == NULL) return;
  if (!lsm_txn_is_prepared(cs->txn) && !lsm_txn_is_empty(cs->txn)) {
    lsm_conn_rollback(cs);
    return;
  }
  drop_snapshot(cs);
  lsm_txn_commit(cs->txn);
  cs->txn = NULL;
  lsm_history_end(&cs->conn->history, cs->conn->db, true, cs->proof.autocommit);
  cs->txn_epoch++;
  maybe_free_share(cs, false);
}

/* Did the host commit the transaction that it now takes back? */
static bool host_has_committed(lsm_conn_store *cs) {
  uint64_t txid = 0;
  bool known = false;
  if (cs->token_txid == 0 || !lsm_txn_is_prepared(cs->txn) || cs->token.schema == NULL) return false;
  const char *file = sqlite3_db_filename(cs->conn->db, cs->token.schema);
  if (file == NULL || file[0] == 0) return false;
  return lsm_token_peek(file, false, cs->token.host, &txid, &known) == LSM_OK && known &&
         txid == cs->token_txid;
}

void lsm_conn_rollback(lsm_conn_store *cs) {
  if (cs->txn == NULL) return;
  if (host_has_committed(cs)) {
    lsm_conn_commit(cs);
    return;
  }
  drop_snapshot(cs);
  cs->in_doubt = lsm_txn_is_prepared(cs->txn);
  (void)lsm_txn_rollback(cs->txn); /* a record that could not be taken back is not synced */
  cs->txn = NULL;
  lsm_history_end(&cs->conn->history, cs->conn->db, false, cs->proof.autocommit);
  cs->txn_epoch++;
  maybe_free_share(cs, false);
}

lsm_rc lsm_conn_savepoint_all(lsm_conn *c, int n) {
  lsm_rc rc = LSM_OK;
  for (lsm_conn_store *cs = c->stores; cs != NULL && rc == LSM_OK; cs = cs->next) {
    if (cs->txn != NULL) rc = lsm_txn_savepoint(cs->txn, n);
  }
  return rc;
}

void lsm_conn_release_all(lsm_conn *c, int n) {
  for (lsm_conn_store *cs = c->stores; cs != NULL; cs = cs->next) {
    if (cs->txn != NULL) lsm_txn_release(cs->txn, n);
  }
}

lsm_rc lsm_conn_rollback_to_all(lsm_conn *c, int n) {
  lsm_rc rc = LSM_OK;
  for (lsm_conn_store *cs = c->stores; cs != NULL; cs = cs->next) {
    lsm_rc one = lsm_conn_rollback_to(cs, n);
    if (rc == LSM_OK) rc = one;
  }
  return rc;
}

/* A table that was written to and then dropped is not told of the end. */
void lsm_conn_end(lsm_conn *c, bool committed) {
  c->reading = false;
  for (lsm_conn_store *cs = c->stores, *next; cs != NULL; cs = next) {
    next = cs->next;
    cs->refs++;
    if (committed) {
      lsm_conn_commit(cs);
    } else {
      lsm_conn_rollback(cs);
    }
    cs->refs--;
    if (cs->cursors == 0) drop_snapshot(cs);
    maybe_free_share(cs, false);
  }
  lsm_conn_end_drops(c, committed);
}

/*--------------------------------------------------- questions to SQLite */

/* Libraries before 3.41 tell only by refusing to run a statement. It is not
** kept: a statement of ours left at the end would make sqlite3_close() fail. */
static bool is_interrupted(void *arg) {
  lsm_conn *c = arg;
#if SQLITE_VERSION_NUMBER >= 3041000
  if (lsm_sqlite_has(3041000)) return sqlite3_is_interrupted(c->db) != 0;
#endif
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(c->db, "SELECT 1", -1, &stmt, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
  sqlite3_finalize(stmt);
  return rc == SQLITE_INTERRUPT;
}

lsm_interrupt lsm_conn_interrupt(lsm_conn *conn) {
  lsm_interrupt intr = {is_interrupted, conn};
  return intr;
}

static int64_t read_integer(sqlite3 *db, const char *sql, int64_t dflt) {
  sqlite3_stmt *stmt = NULL;
  int64_t value = dflt;
  if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW) {
    value = sqlite3_column_int64(stmt, 0);
  }
  sqlite3_finalize(stmt);
  return value;
}

int64_t lsm_conn_pragma(lsm_conn *c, const char *schema, const char *pragma, int64_t dflt) {
  char *sql = sqlite3_mprintf("PRAGMA \"%w\".%s", schema, pragma);
  int64_t value = sql != NULL ? read_integer(c->db, sql, dflt) : dflt;
  sqlite3_free(sql);
  return value;
}

/* Each commit asks this. A statement kept for it would gain nothing: SQLite puts the
** value into the program when it compiles it, and compiles it anew for each run. */
int64_t lsm_conn_synchronous(lsm_conn *c, const char *schema) {
  if (strcmp(schema, "main") == 0) return read_integer(c->db, "PRAGMA synchronous", 2);
  return lsm_conn_pragma(c, schema, "synchronous", 2);
}
