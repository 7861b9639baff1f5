/* conn.h: what one sqlite3 connection holds of stores: an open transaction, a
** read snapshot, the tables and cursors that use them.
**
** Transaction state hangs here, off (connection, store), and never off an
** sqlite3_vtab: one transaction can meet two of those for one table, and all
** lsm tables of a store commit as one batch.
**
** Threads: as the connection: one at a time. */
#ifndef LSM_EXT_CONN_H
#define LSM_EXT_CONN_H

#include "compat.h"
#include "proof.h"
#include "store.h"

typedef struct lsm_conn lsm_conn;
typedef struct lsm_conn_store lsm_conn_store;

#define LSM_HOST_ID_SIZE 16

/* Where the token of a share is, as found last (token.h). */
typedef struct lsm_token {
  char *schema;       /* NULL: not known */
  char *table;        /* its home, without _lsm */
  sqlite3_stmt *read; /* SELECT value ... 'txid' */
  sqlite3_stmt *write;
  uint8_t host[LSM_HOST_ID_SIZE];
} lsm_token;

/* A keyspace that goes with the open transaction, or (made) with its rollback. */
typedef struct lsm_drop {
  struct lsm_drop *next;
  lsm_conn_store *cs; /* referenced */
  uint32_t keyspace;
  bool made;    /* in the transaction */
  bool unused;  /* no table had it at xSync */
  char *schema; /* where its catalog is or was */
} lsm_drop;

struct lsm_conn {
  sqlite3 *db;
  lsm_conn_store *stores;
  lsm_drop *drops;
  struct lsm_vtab *vtabs; /* the connected tables */
  int connecting;         /* tables that are reading their catalog */
  lsm_history history;    /* of its transactions */
  sqlite3_stmt *marker;   /* the statement by which it joins */
  bool marker_made;       /* its table; it may vanish all the same (PRAGMA temp_store) */
  bool reading; /* in a transaction that keeps its snapshots; the marker is part of it */
  bool joining; /* the marker, just now */
};

struct lsm_conn_store {
  lsm_conn_store *next;
  lsm_conn *conn;
  lsm_store *store;
  int refs;     /* tables connected to it, drops */
  int cursors;  /* open */
  lsm_txn *txn; /* open, or NULL */
  uint64_t txn_changes;   /* moves whenever what txn sees changes */
  uint64_t txn_epoch;     /* moves with begin, end and every step back */
  unsigned sync_options;  /* bit lsm_sync_option: asked for by a table in txn */
  lsm_proof proof;        /* has txn's host transaction changed anything else? */
  lsm_token token;
  bool agreed;            /* a snapshot has been compared with the host's */
  uint64_t token_txid;    /* what the open host transaction has written to it */
  bool in_doubt;          /* the last transaction was rolled back prepared */
  lsm_snapshot *snap;     /* what cursors read, while one is open, or to the end */
  uint64_t snap_changes;  /* txn_changes when snap was taken; 0: without txn */
  uint64_t now;           /* the time of the statements at work; 0: none was asked for */
};

/* The connection's object, made at the first load. Freed by conn_free when
** SQLite drops the module. */
int lsm_conn_new(sqlite3 *db, lsm_conn **conn);
void lsm_conn_free(void *conn);

/* The connection's share of the store at PATH (NULL: its private one in
** memory), referenced. host: the database file that uses it. */
lsm_rc lsm_conn_open_store(lsm_conn *conn, const char *path, const char *host,
                           const lsm_options *opt, lsm_conn_store **cs);
void lsm_conn_store_unref(lsm_conn_store *cs); /* accepts NULL */

/* The open transaction of cs, begun now if there is none; waits for another
** writer as long as the connection's busy timeout says. vtab: whose xBegin this
** is, NULL when it is none. */
lsm_rc lsm_conn_txn(lsm_conn_store *cs, const sqlite3_vtab *vtab);

/* To be called after every change through cs->txn. */
void lsm_conn_changed(lsm_conn_store *cs);
/* Takes changes back to savepoint N; see lsm_txn_rollback_to(). */
lsm_rc lsm_conn_rollback_to(lsm_conn_store *cs, int n);

/* A snapshot for a cursor that starts now: of the write transaction, or the one
** that the explicit transaction read first, or the one that all open cursors
** share. It agrees with what the connection sees of the database that has SCHEMA:
** waits for a transaction that is there already. The caller gets a reference. */
lsm_rc lsm_conn_snapshot(lsm_conn_store *cs, const char *schema, lsm_snapshot **snap);
/* The time, by lsm_now(), at which cursors see rows expire: the present, but while
** some are open the one that was given first, so that all parts of a statement
** agree. Not before the present snapshot, if any, was taken. */
uint64_t lsm_conn_now(lsm_conn_store *cs);
void lsm_conn_cursor_opened(lsm_conn_store *cs);
void lsm_conn_cursor_closed(lsm_conn_store *cs);

/* End of transaction. Idempotent: every table of the store calls them.
** prepare: everything that can fail, the token among it when the host's commit
** has to decide; schema: of the table that asks. An SQLite code; the message is
** lsm_errmsg(). rollback: after a prepare with token the host is asked, since
** SQLite rolls tables back after some failures of a commit that happened. */
int lsm_conn_prepare(lsm_conn_store *cs, const char *schema, lsm_sync sync);
void lsm_conn_commit(lsm_conn_store *cs);
void lsm_conn_rollback(lsm_conn_store *cs);

/* How durable the transaction is to be: the strictest of what its tables ask for. */
lsm_sync lsm_conn_sync_mode(lsm_conn_store *cs, const char *schema);

/* The same for all stores, read snapshots and drops: the marker's calls. The open
** transactions of all stores; savepoint_all: marks them, rollback_to_all: takes them back. */
void lsm_conn_end(lsm_conn *conn, bool committed);
lsm_rc lsm_conn_savepoint_all(lsm_conn *conn, int n);
void lsm_conn_release_all(lsm_conn *conn, int n);
lsm_rc lsm_conn_rollback_to_all(lsm_conn *conn, int n);

/* Has sqlite3_interrupt() been called? Usable as lsm_interrupt. */
lsm_interrupt lsm_conn_interrupt(lsm_conn *conn);

/* What a PRAGMA of the schema says (an integer), or DFLT. */
int64_t lsm_conn_pragma(lsm_conn *conn, const char *schema, const char *pragma, int64_t dflt);
int64_t lsm_conn_synchronous(lsm_conn *conn, const char *schema); /* 2, FULL, if it does not say */

/* Remembers that the keyspace's data is to go when the transaction commits; or,
** MADE just now, when it is rolled back. In both cases not if a table of the schema
** has the keyspace after all. REQUIRES: the marker has joined. */
int lsm_conn_add_drop(lsm_conn *conn, lsm_conn_store *cs, uint32_t keyspace, const char *schema,
                      bool made);
/* Before commit: which of them does a table have? A savepoint may have taken the DROP back. */
int lsm_conn_check_drops(lsm_conn *conn);
/* Then: prepares the transactions of dropped tables that are there again. SQLite has
** forgotten that they were written to. As lsm_conn_prepare(). */
int lsm_conn_prepare_returned(lsm_conn *conn);
/* After commit (yes) or rollback (no). */
void lsm_conn_end_drops(lsm_conn *conn, bool committed);

/* The module "lsm_marker" (marker.c): from join() on, the end of the transaction
** calls lsm_conn_end(), and its savepoints the functions beside that. join() can be
** refused, under PRAGMA query_only for one, or because its table has gone (make: then
** it is made anew; only where the statement that runs opens no cursor any more).
** forget(): at every disconnect, since sqlite3_close() does not wait for statements
** of ours. */
int lsm_marker_register(sqlite3 *db, lsm_conn *conn);
int lsm_marker_join(lsm_conn *conn, bool make);
void lsm_marker_forget(lsm_conn *conn);
/* Makes its table, unless more than RUNNING statements run; at every connect. */
void lsm_marker_make(lsm_conn *conn, int running);

#endif
