/* catalog.h: the shadow table of an lsm table, "<table>_lsm": which keyspace of
** which store is its data. A row of the host database, so that what exists is
** decided by the host's own transactions. FORMAT.md lists its rows. */
#ifndef LSM_EXT_CATALOG_H
#define LSM_EXT_CATALOG_H

#include "compat.h"
#include "lsm.h"

#define LSM_STORE_ID_SIZE 16
#define LSM_MAX_INDEXES 60 /* of a table */

typedef struct lsm_catalog {
  uint8_t store_id[LSM_STORE_ID_SIZE];
  uint32_t keyspace;
  uint32_t index[LSM_MAX_INDEXES]; /* keyspace of each index; 0: there is none */
} lsm_catalog;

/* All return SQLite codes; *err, when set, is to be sqlite3_free()d. */
int lsm_catalog_create(sqlite3 *db, const char *schema, const char *table, const lsm_catalog *c,
                       char **err);
/* SQLITE_NOTFOUND: there is no such table. SQLITE_CORRUPT_VTAB: it is not ours. */
int lsm_catalog_read(sqlite3 *db, const char *schema, const char *table, lsm_catalog *c,
                     char **err);
int lsm_catalog_rename(sqlite3 *db, const char *schema, const char *from, const char *to,
                       char **err);
int lsm_catalog_drop(sqlite3 *db, const char *schema, const char *table, char **err);

#endif
