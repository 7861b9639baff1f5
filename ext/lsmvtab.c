/* lsmvtab.c: the extension's entry point.
**
** It registers on the connection: the module lsm, the functions and the
** table-valued functions. The library stays loaded for good: its stores have
** threads. Loading it again into the same connection changes nothing. */
#include <sqlite3ext.h>

#include "compat.h"
#include "vtab.h"

SQLITE_EXTENSION_INIT1

#define OLDEST_SQLITE 3031000

#ifdef _WIN32
#define LSM_EXPORT __declspec(dllexport)
#else
#define LSM_EXPORT __attribute__((visibility("default")))
#endif

LSM_EXPORT int sqlite3_lsmvtab_init(sqlite3 *db, char **err, const sqlite3_api_routines *api);

/* Does the connection have it already? */
static bool is_registered(sqlite3 *db) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(db, "SELECT lsm_version()", -1, &stmt, NULL);
  sqlite3_finalize(stmt);
  return rc == SQLITE_OK;
}

/* The functions come last: lsm_version() says that all went well. The module
** owns the connection's object from the first. */
static int register_all(sqlite3 *db) {
  lsm_conn *conn;
  int rc = lsm_conn_new(db, &conn);
  if (rc != SQLITE_OK) return rc;
  rc = lsm_vtab_register(db, conn); /* frees conn when it fails */
  if (rc == SQLITE_OK) rc = lsm_marker_register(db, conn);
  if (rc == SQLITE_OK) rc = lsm_tvf_register(db, conn);
  if (rc == SQLITE_OK) rc = lsm_funcs_register(db, conn);
  return rc;
}

int sqlite3_lsmvtab_init(sqlite3 *db, char **err, const sqlite3_api_routines *api) {
  SQLITE_EXTENSION_INIT2(api);
  if (!lsm_sqlite_has(OLDEST_SQLITE)) {
    *err = sqlite3_mprintf("lsmvtab needs SQLite 3.31 or later, this is %s", sqlite3_libversion());
    return SQLITE_ERROR;
  }
  int rc = is_registered(db) ? SQLITE_OK : register_all(db);
  if (rc != SQLITE_OK) {
    *err = sqlite3_mprintf("lsmvtab: %s", sqlite3_errmsg(db));
    return rc;
  }
  return SQLITE_OK_LOAD_PERMANENTLY;
}
