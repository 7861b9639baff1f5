/* err.h: the store's results as SQLite's. The only place that maps them. */
#ifndef LSM_EXT_ERR_H
#define LSM_EXT_ERR_H

#include "compat.h"
#include "lsm.h"

/* SQLite's code for a result of the store. */
int lsm_sqlite_code(lsm_rc rc);

/* The same, and the thread's message becomes the vtab's. */
int lsm_vtab_failed(sqlite3_vtab *vtab, lsm_rc rc); /* REQUIRES: not LSM_OK */
static inline int lsm_vtab_fail(sqlite3_vtab *vtab, lsm_rc rc) {
  return rc == LSM_OK ? SQLITE_OK : lsm_vtab_failed(vtab, rc);
}

/* code with a message of our own, as sqlite3_mprintf() formats it. */
int lsm_vtab_error(sqlite3_vtab *vtab, int code, const char *fmt, ...);

/* What SQL on db ended with CODE for: the connection's message, or, where a later call
** has replaced it, CODE in words. Never NULL; good until the next call on db. */
const char *lsm_sql_message(sqlite3 *db, int code);

/* The same as the store's result, with the thread's message. REQUIRES: not SQLITE_OK. */
lsm_rc lsm_sql_failed(sqlite3 *db, int code);

/* sqlite3_declare_vtab(), but an interrupt ends it with SQLITE_INTERRUPT. */
int lsm_declare_vtab(sqlite3 *db, const char *sql);

/* An SQL function's error: code and the thread's message. */
void lsm_result_fail(sqlite3_context *ctx, lsm_rc rc);

#endif
