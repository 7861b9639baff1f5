/* err.c: the store's results as SQLite's. */
#include "err.h"

#include <stdarg.h>

int lsm_sqlite_code(lsm_rc rc) {
  switch (rc) {
    case LSM_OK: return SQLITE_OK;
    case LSM_NOTFOUND: return SQLITE_ERROR;
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

void lsm_result_fail(sqlite3_context *ctx, lsm_rc rc) {
  sqlite3_result_error(ctx, lsm_errmsg(), -1);
  sqlite3_result_error_code(ctx, lsm_sqlite_code(rc));
}
