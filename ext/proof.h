/* proof.h: has this transaction changed nothing but lsm tables?
**
** Then the store's log alone commits it, with no word of the host. The answer
** is yes only where it is proved; every doubt is a no (and costs a token).
**
** One statement (autocommit):
**   rollback journals  the host's journal was not opened: no page was touched;
**   WAL                the statement's own program writes to our table alone.
**   In both, total_changes() must not have moved since xBegin, or some nested
**   statement has written.
** BEGIN ... COMMIT: since the last transaction of ours ended, total_changes()
** has moved by just what we have written, none of it failed or was taken back
** (DML is out, also that of other virtual tables, now or in their xSync); and
**   rollback journals  the journal was not opened;
**   WAL                the header's counters are as they were then (schema,
**                      user_version, application_id, free list, size: what
**                      can change on page 1 alone); the pager had no other
**                      dirty page to write (ANALYZE, REINDEX, blobs); no
**                      statement but COMMIT runs, that could pin such a page;
**                      no attached database is being written. */
#ifndef LSM_EXT_PROOF_H
#define LSM_EXT_PROOF_H

#include "compat.h"

struct lsm_conn;

#define LSM_PROOF_CACHE 8

typedef struct lsm_proof {
  bool autocommit;    /* xBegin saw it */
  bool one_statement; /* and nothing has spoiled it */
  bool direct;        /* and a program that writes to our table alone */
  sqlite3_int64 changes;
  /* verdicts on programs, by prepared statement; good while it is not prepared
  ** again and its count of runs rises */
  struct {
    sqlite3_stmt *stmt;
    int reprepared, run;
    bool direct;
  } cache[LSM_PROOF_CACHE];
  int next;
} lsm_proof;

#define LSM_HOST_COUNTERS 5
#define LSM_KEPT_COUNTERS 4 /* the first ones: SQLite's program for them can be run again */
#define LSM_KEPT_SCHEMA 32

/* What is known of the connection's transactions, one after another. */
typedef struct lsm_history {
  bool known;            /* counters are the host's since the last one ended */
  bool failed;           /* a write of ours failed or was taken back */
  sqlite3_int64 changes; /* total_changes() when it ended */
  sqlite3_int64 own;     /* rows that we have written since */
  sqlite3_int64 counters[LSM_HOST_COUNTERS];
  bool has_next; /* next[] is what this transaction makes of them */
  sqlite3_int64 next[LSM_HOST_COUNTERS];
  sqlite3_stmt *kept[LSM_KEPT_COUNTERS]; /* PRAGMAs of kept_schema, not while they run; or NULL */
  char kept_schema[LSM_KEPT_SCHEMA];
  unsigned forgotten; /* how often they were */
} lsm_history;

/* At every disconnect, as lsm_marker_forget(): sqlite3_close() does not wait for
** statements of ours. */
void lsm_history_forget(lsm_history *h);

/* After each xUpdate; after each step back inside the transaction. */
static inline void lsm_history_wrote(lsm_history *h, bool ok) {
  if (ok) {
    h->own++;
  } else {
    h->failed = true;
  }
}
static inline void lsm_history_went_back(lsm_history *h) { h->failed = true; }

/* At xSync, when a token is written: notes what the host will be like. */
void lsm_history_look(lsm_history *h, sqlite3 *db, const char *schema);
/* autocommit: the one statement's own rows are not in total_changes() yet. */
void lsm_history_end(lsm_history *h, sqlite3 *db, bool committed, bool autocommit);

/* At xBegin of VTAB, the first of the transaction. When it fails, xBegin has to. */
int lsm_proof_begin(lsm_proof *p, sqlite3 *db, const sqlite3_vtab *vtab);
/* The transaction is, or has become, more than one table's statement. */
void lsm_proof_spoil(lsm_proof *p);
void lsm_proof_begin_unseen(lsm_proof *p, sqlite3 *db); /* no xBegin came */
/* Is one statement running, in autocommit, that reads nothing but tables of ours? Each
** doubt is a no. */
bool lsm_proof_reads_alone(const struct lsm_conn *conn);
bool lsm_proof_journal_is_wal(sqlite3 *db, const char *schema);
/* At xSync. schema: the tables' own. May fill in h->next. */
bool lsm_proof_holds(const lsm_proof *p, lsm_history *h, sqlite3 *db, const char *schema);

#endif
