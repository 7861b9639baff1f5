/* drops.c: keyspaces that go, or stay, when that has become certain.
**
** xDestroy, and the functions that make and drop indexes, run inside the
** transaction and may be taken back, without a word, by ROLLBACK or ROLLBACK TO;
** the host's own row (catalog.h) decides. So a keyspace goes only after the end.
** SQLite tells a destroyed table nothing any more, not even when ROLLBACK TO brings it
** back: the marker (marker.c) hears of savepoints, commit and rollback in its place. */
#include <string.h>

#include "catalog.h"
#include "conn.h"

static void free_drop(lsm_drop *d) {
  lsm_conn_store_unref(d->cs);
  sqlite3_free(d->schema);
  sqlite3_free(d);
}

int lsm_conn_add_drop(lsm_conn *c, lsm_conn_store *cs, uint32_t keyspace, const char *schema,
                      bool made) {
  lsm_drop *d = sqlite3_malloc(sizeof(*d));
  if (d == NULL) return SQLITE_NOMEM;
  memset(d, 0, sizeof(*d));
  d->keyspace = keyspace;
  d->made = made;
  d->schema = sqlite3_mprintf("%s", schema);
  d->cs = cs;
  cs->refs++;
  if (d->schema == NULL) {
    free_drop(d);
    return SQLITE_NOMEM;
  }
  d->next = c->drops;
  c->drops = d;
  return SQLITE_OK;
}

int lsm_conn_check_drops(lsm_conn *c) {
  int rc = SQLITE_OK;
  for (lsm_drop *d = c->drops; d != NULL && rc == SQLITE_OK; d = d->next) {
    bool used = false;
    const uint8_t *id = lsm_store_id(lsm_store_db(d->cs->store));
    rc = lsm_catalog_has_keyspace(c->db, d->schema, id, d->keyspace, &used);
    d->unused = rc == SQLITE_OK && !used;
  }
  return rc;
}

int lsm_conn_prepare_returned(lsm_conn *c) {
  int rc = SQLITE_OK;
  for (lsm_drop *d = c->drops; d != NULL && rc == SQLITE_OK; d = d->next) {
    if (d->made || d->unused || d->cs->txn == NULL || lsm_txn_is_empty(d->cs->txn)) continue;
    rc = lsm_conn_prepare(d->cs, d->schema, lsm_conn_sync_mode(d->cs, d->schema));
  }
  return rc;
}

void lsm_conn_end_drops(lsm_conn *c, bool committed) {
  while (c->drops != NULL) {
    lsm_drop *d = c->drops;
    c->drops = d->next;
    /* If it fails the entries stay, unreachable: no table names the keyspace. */
    bool gone = committed ? d->unused : d->made && !d->cs->in_doubt;
    if (gone) (void)lsm_keyspace_drop(lsm_store_db(d->cs->store), d->keyspace);
    free_drop(d);
  }
}
