/* proof.h: has this transaction changed nothing but lsm tables?
**
** Then the store's log alone commits it, with no word of the host. The answer
** is yes only where it is proved; every doubt is a no (and costs a token). Two
** proofs exist, both for one-statement transactions (autocommit):
**   rollback journals  the host's journal was not opened: no page was touched;
**   WAL                the statement's own program writes to our table alone.
** In both, total_changes() must not have moved since xBegin, or some nested
** statement has written. */
#ifndef LSM_EXT_PROOF_H
#define LSM_EXT_PROOF_H

#include "compat.h"

#define LSM_PROOF_CACHE 8

typedef struct lsm_proof {
  bool one_statement; /* xBegin saw autocommit */
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

/* At xBegin of VTAB, the first of the transaction. */
void lsm_proof_begin(lsm_proof *p, sqlite3 *db, const sqlite3_vtab *vtab);
/* The transaction has become more than one table's statement. */
void lsm_proof_spoil(lsm_proof *p);
/* At xSync. schema: the tables' own. */
bool lsm_proof_holds(const lsm_proof *p, sqlite3 *db, const char *schema);

#endif
