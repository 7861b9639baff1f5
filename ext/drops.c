/* drops.c: what DROP TABLE leaves to be done when it has become certain.
**
** xDestroy runs inside the transaction and may be taken back, without a word,
** by ROLLBACK or ROLLBACK TO; the host's own row (catalog.h) decides. So the
** keyspace goes only after the commit. SQLite tells a destroyed table nothing
** any more: the marker (marker.c) hears of commit and rollback in its place. */
#include <string.h>

#include "catalog.h"
#include "conn.h"

static void free_drop(lsm_drop *d) {
  lsm_conn_store_unref(d->cs);
  sqlite3_free(d->schema);
  sqlite3_free(d->table);
  sqlite3_free(d);
}

int lsm_conn_add_drop(lsm_conn *c, lsm_conn_store *cs, uint32_t keyspace, const char *schema,
                      const char *table) {
  lsm_drop *d = sqlite3_malloc(sizeof(*d));
  if (d == NULL) return SQLITE_NOMEM;
  memset(d, 0, sizeof(*d));
  d->keyspace = keyspace;
  d->schema = sqlite3_mprintf("%s", schema);
  d->table = sqlite3_mprintf("%s", table);
  d->cs = cs;
  cs->refs++;
  if (d->schema == NULL || d->table == NULL) {
    free_drop(d);
    return SQLITE_NOMEM;
  }
  d->next = c->drops;
  c->drops = d;
  return SQLITE_OK;
}

/* Is the keyspace the table's, or one of its indexes'? */
static bool is_in_use(const lsm_catalog *cat, uint32_t keyspace) {
  for (int i = 0; i < LSM_MAX_INDEXES; i++) {
    if (cat->index[i] == keyspace) return true;
  }
  return cat->keyspace == keyspace;
}

int lsm_conn_check_drops(lsm_conn *c) {
  for (lsm_drop **p = &c->drops; *p != NULL;) {
    lsm_drop *d = *p;
    lsm_catalog cat;
    int rc = lsm_catalog_read(c->db, d->schema, d->table, &cat, NULL);
    if (rc != SQLITE_OK && rc != SQLITE_NOTFOUND) return rc;
    if (rc == SQLITE_OK && is_in_use(&cat, d->keyspace)) {
      *p = d->next; /* a savepoint brought it back */
      free_drop(d);
    } else {
      p = &d->next;
    }
  }
  return SQLITE_OK;
}

void lsm_conn_end_drops(lsm_conn *c, bool committed) {
  while (c->drops != NULL) {
    lsm_drop *d = c->drops;
    c->drops = d->next;
    /* If it fails the rows stay, unreachable: no table names the keyspace. */
    if (committed) (void)lsm_keyspace_drop(lsm_store_db(d->cs->store), d->keyspace);
    free_drop(d);
  }
}
