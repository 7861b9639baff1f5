/* compat.h: what the SQLite that is running can do.
**
** The extension is compiled against one sqlite3ext.h and loaded into another
** library, older or newer. An API is called only when both have it: the #if
** asks the header, lsm_sqlite_has() the library. */
#ifndef LSM_EXT_COMPAT_H
#define LSM_EXT_COMPAT_H

#include <sqlite3ext.h>
#include <stdbool.h>

#ifndef SQLITE_CORE
extern const sqlite3_api_routines *sqlite3_api; /* as SQLITE_EXTENSION_INIT3 */
#endif

/* Is the running library at least version major.minor.patch = v (3041000)? */
static inline bool lsm_sqlite_has(int v) { return sqlite3_libversion_number() >= v; }

#endif
