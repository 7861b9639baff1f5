/* catalog.h: the shadow table of an lsm table, "<table>_lsm": which keyspace of
** which store is its data, and what was done to the table since CREATE. Rows of
** the host database, so that what exists is decided by the host's own
** transactions. FORMAT.md lists them. */
#ifndef LSM_EXT_CATALOG_H
#define LSM_EXT_CATALOG_H

#include "compat.h"
#include "lsm.h"
#include "schema.h"

#define LSM_STORE_ID_SIZE 16

typedef struct lsm_catalog {
  uint8_t store_id[LSM_STORE_ID_SIZE];
  uint32_t keyspace;
  uint32_t index[LSM_MAX_INDEXES]; /* keyspace of index N; 0: there is none */
  lsm_additions more;
} lsm_catalog;

void lsm_catalog_fini(lsm_catalog *c); /* after a read, whatever came of it */

/* A number that tells what was done to a table from all else; 0: nothing was. */
uint64_t lsm_additions_hash(const lsm_additions *more);

/* All return SQLite codes; *err, when set, is to be sqlite3_free()d. */
int lsm_catalog_create(sqlite3 *db, const char *schema, const char *table, const lsm_catalog *c,
                       char **err);
/* SQLITE_NOTFOUND: there is no such table. SQLITE_CORRUPT_VTAB: it is not ours. */
int lsm_catalog_read(sqlite3 *db, const char *schema, const char *table, lsm_catalog *c,
                     char **err);
int lsm_catalog_rename(sqlite3 *db, const char *schema, const char *from, const char *to,
                       char **err);
int lsm_catalog_drop(sqlite3 *db, const char *schema, const char *table, char **err);

/* Is the keyspace one of a table's in this schema, whatever the table is called? */
int lsm_catalog_has_keyspace(sqlite3 *db, const char *schema, const uint8_t *store_id,
                             uint32_t keyspace, bool *has);

/* Ours has none: what stands in a hostile file must not run when we write. */
int lsm_catalog_refuse_triggers(sqlite3 *db, const char *schema, const char *table, char **err);

/* Changes. drop: DEFINED tells an index of the definition from a later one. */
int lsm_catalog_add_index(sqlite3 *db, const char *schema, const char *table, int number,
                          uint32_t keyspace, const char *text, char **err);
int lsm_catalog_drop_index(sqlite3 *db, const char *schema, const char *table, int number,
                           bool defined, char **err);
int lsm_catalog_add_column(sqlite3 *db, const char *schema, const char *table, int number,
                           const char *text, char **err);

/* To come after them, as the last: makes this connection, at its next statement,
** and every other one, with its next transaction, connect the table anew. */
int lsm_catalog_announce(sqlite3 *db, const char *schema, const char *table, char **err);

#endif
