/* token.h: the host's word on transactions that changed both sides.
**
** Each host database has, for each store its tables use, one token: two rows in
** the shadow table of one of those tables, its home. 'host' is a random name of
** the (database, store) pair, 'txid' the store's number of the last transaction
** that the host committed together with it. xSync writes the number within the
** host's own transaction, after the store's log holds the transaction prepared:
** so the host's commit decides for both (FORMAT.md, DESIGN.md). */
#ifndef LSM_EXT_TOKEN_H
#define LSM_EXT_TOKEN_H

#include "conn.h"

/* Forgets where it is and finalizes its statements: at every disconnect, since
** sqlite3_close() does not wait for statements of ours. */
void lsm_token_forget(lsm_token *t);

/* Gives TABLE, just created, the token if the store has none in this schema. */
int lsm_token_create(sqlite3 *db, const char *schema, const char *table, const uint8_t *store_id);

/* The host id of the schema's token for that store. SQLITE_NOTFOUND. */
int lsm_token_host(sqlite3 *db, const char *schema, const uint8_t *store_id, uint8_t *host);

/* TABLE is about to be dropped: hands the token on if it is the home. */
int lsm_token_hand_on(sqlite3 *db, const char *schema, const char *table,
                      const uint8_t *store_id);

/* Finds the token of cs's store in the schema: t->host is known then.
** SQLITE_NOTFOUND: there is none. */
int lsm_token_find(lsm_conn_store *cs, const char *schema);

/* The number in the connection's own view of the host; REQUIRES: found. */
int lsm_token_read(lsm_conn_store *cs, uint64_t *txid);
int lsm_token_write(lsm_conn_store *cs, uint64_t txid);

/* No transaction's number. */
#define LSM_TOKEN_LOST UINT64_MAX

/* The number another connection to the database FILE sees now, of the token
** with this host id; *known false: it has no such token. LSM_TOKEN_LOST: nor
** has it, but the id was made for a database of that name: nothing was committed
** with it that has not been before. A connection of its own: any thread. only_read: of a
** database that nobody here has open; what it would have to mend first it cannot tell. */
lsm_rc lsm_token_peek(const char *file, bool only_read, const uint8_t *host, uint64_t *txid,
                      bool *known);
/* Can the host id have been made for a database file of that name? */
bool lsm_token_has_name(const uint8_t *host, const char *file);

#endif
