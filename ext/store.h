/* store.h: the stores this process has open, one lsm_db a directory, shared by
** all connections and counted.
**
** Threads: any. The list has one lock, which is held while a store is opened or
** closed: that is rare, and two threads must not open the same one twice. */
#ifndef LSM_EXT_STORE_H
#define LSM_EXT_STORE_H

#include "lsm.h"

typedef struct lsm_store lsm_store;

/* Opens the store at PATH or takes another reference to it. The options are
** those of whoever comes first. path NULL: a new private store in memory.
** host: the file of the database that uses it; the store asks there what became
** of transactions, and makes it durable before what they wrote leaves the log. */
lsm_rc lsm_store_open(const char *path, const char *host, const lsm_options *opt,
                      lsm_store **store);
void lsm_store_unref(lsm_store *store); /* the last one closes it; accepts NULL */

/* Is the database FILE a copy of another one that is noted in the store at PATH, and that
** still is where it was? ORIGINAL gets its name, lsm_buf_fini() it. store_id: what FILE knows the
** store by; id_of_host: its token's (token.h). Databases that have moved are no copies. */
lsm_rc lsm_store_find_original(const char *path, const char *file, const uint8_t *store_id,
                               const uint8_t *id_of_host, lsm_buf *original);

lsm_db *lsm_store_db(const lsm_store *store);
const char *lsm_store_path(const lsm_store *store); /* "" for one in memory */
bool lsm_store_is_memory(const lsm_store *store);

#endif
