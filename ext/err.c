/* err.c: the store's results as SQLite's. */
#include "err.h"

#include <stdarg.h>
#include <string.h>

#include "base.h"

int lsm_sqlite_code(lsm_rc rc) {
  switch (rc) {
    case LSM_OK: return SQLITE_OK;
    case LSM_NOTFOUND: return SQLITE_CANTOPEN; /* a file that must be there */
    case LSM_BUSY: return SQLITE_BUSY;
    case LSM_NOMEM: return SQLITE_NOMEM;
    case LSM_IOERR: return SQLITE_IOERR;
    case LSM_FULL: return SQLITE_FULL;
    case LSM_CORRUPT: return SQLITE_CORRUPT_VTAB;
    case LSM_CANTOPEN: return SQLITE_CANTOPEN;
    case LSM_READONLY: return SQLITE_READONLY;
    case LSM_INTERRUPT: return SQLITE_INTERRUPT;
    case LSM_MISUSE: return SQLITE_ERROR;
    case LSM_STALE: return SQLITE_BUSY_SNAPSHOT;
  }
  return SQLITE_ERROR;
}

int lsm_vtab_error(sqlite3_vtab *vtab, int code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  sqlite3_free(vtab->zErrMsg);
  vtab->zErrMsg = sqlite3_vmprintf(fmt, ap);
  va_end(ap);
  return code;
}

int lsm_vtab_failed(sqlite3_vtab *vtab, lsm_rc rc) {
  return lsm_vtab_error(vtab, lsm_sqlite_code(rc), "%s", lsm_errmsg());
}

/* An interrupt, or a lack of memory, can end a statement without being noted on the
** connection; and a statement finalized since notes its own end there. */
const char *lsm_sql_message(sqlite3 *db, int code) {
  bool noted = (sqlite3_errcode(db) & 0xff) == (code & 0xff);
  return noted ? sqlite3_errmsg(db) : sqlite3_errstr(code);
}

/* SQLite's parser looks for an interrupt at every token, and this call makes all that
** goes wrong in it SQLITE_ERROR: only the text tells. */
int lsm_declare_vtab(sqlite3 *db, const char *sql) {
  int rc = sqlite3_declare_vtab(db, sql);
  bool broken = rc == SQLITE_ERROR &&
                strcmp(sqlite3_errmsg(db), sqlite3_errstr(SQLITE_INTERRUPT)) == 0;
  return broken ? SQLITE_INTERRUPT : rc;
}

lsm_rc lsm_sql_failed(sqlite3 *db, int code) {
  const char *text = lsm_sql_message(db, code);
  switch (code & 0xff) {
    case SQLITE_NOMEM: return lsm_nomem();
    case SQLITE_INTERRUPT: return lsm_fail(LSM_INTERRUPT, "%s", text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return lsm_fail(LSM_BUSY, "%s", text);
    case SQLITE_IOERR: return lsm_fail(LSM_IOERR, "%s", text);
    case SQLITE_CORRUPT: return lsm_fail(LSM_CORRUPT, "%s", text);
    default: return lsm_fail(LSM_MISUSE, "%s", text);
  }
}

void lsm_result_fail(sqlite3_context *ctx, lsm_rc rc) {
  sqlite3_result_error(ctx, lsm_errmsg(), -1);
  sqlite3_result_error_code(ctx, lsm_sqlite_code(rc));
}
