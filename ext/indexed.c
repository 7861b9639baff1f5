/* indexed.c: rows of tables with indexes: written together with their entries.
**
** A call first reads all it needs and makes a list of what is to go; then it
** writes, removals before additions. So nothing that can refuse comes after the
** first change, but lack of memory or of room: then SQLite itself takes the
** statement or the transaction back.
**
** Constraints are looked at in SQLite's order: the rowid, then the last one of
** the definition first. */
#include <string.h>

#include "key.h"
#include "stale.h"
#include "vtab.h"

/*--------------------------------------------------------------- removals */

/* removals is a list of keyspace, length, key. */
typedef struct removal {
  uint32_t keyspace;
  uint32_t size;
} removal;

static lsm_rc add_removal(lsm_vtab *v, uint32_t keyspace, lsm_slice key) {
  removal r = {keyspace, (uint32_t)key.size};
  lsm_rc rc = lsm_buf_append(&v->removals, &r, sizeof(r));
  return rc == LSM_OK ? lsm_buf_append(&v->removals, key.data, key.size) : rc;
}

static lsm_rc apply_removals(lsm_vtab *v) {
  lsm_rc rc = LSM_OK;
  for (size_t at = 0; at < v->removals.size && rc == LSM_OK;) {
    removal r;
    memcpy(&r, v->removals.data + at, sizeof(r));
    at += sizeof(r);
    rc = lsm_txn_delete(v->cs->txn, r.keyspace, lsm_slice_of(v->removals.data + at, r.size));
    at += r.size;
  }
  return rc;
}

/* Reads a row into found, for old_row. */
static lsm_rc read_row(lsm_vtab *v, lsm_slice key) {
  lsm_rc rc = lsm_txn_get(v->cs->txn, v->keyspace, key, &v->found);
  if (rc == LSM_OK && v->old_row.cell == NULL) rc = lsm_row_init(&v->old_row, v->schema);
  if (rc == LSM_OK) lsm_row_point(&v->old_row, key, lsm_buf_slice(&v->found));
  return rc;
}

/* The row that was read last, and its entries, are to go. */
static lsm_rc remove_row(lsm_vtab *v, lsm_slice key) {
  lsm_rc rc = add_removal(v, v->keyspace, key);
  for (int i = 0; i < v->nindex && rc == LSM_OK; i++) {
    lsm_vindex *x = &v->index[i];
    rc = lsm_entry_make(&v->old_entry, v->schema, x->def, NULL, &v->old_row, key);
    if (rc == LSM_OK) rc = add_removal(v, x->keyspace, lsm_buf_slice(&v->old_entry.key));
  }
  int64_t rowid = 0;
  if (rc == LSM_OK && v->schema->kind != LSM_KEY_COLUMNS) {
    rc = lsm_key_get_rowid(key, &rowid);
    if (rowid >= v->max_rowid) v->rowid_epoch = 0; /* the largest goes */
  }
  return rc;
}

/*---------------------------------------------------------------- updates */

/* The new row's entries. */
static lsm_rc make_entries(lsm_vtab *v) {
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < v->nindex && rc == LSM_OK; i++) {
    rc = lsm_entry_make(&v->index[i].entry, v->schema, v->index[i].def, v->values, NULL,
                        lsm_buf_slice(&v->new_key));
  }
  return rc;
}

/* The row that is updated, read last: of its entries those go that change. */
static lsm_rc leave_old_row(lsm_vtab *v, bool moved) {
  lsm_slice key = lsm_buf_slice(&v->old_key);
  if (moved) return remove_row(v, key);
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < v->nindex && rc == LSM_OK; i++) {
    lsm_vindex *x = &v->index[i];
    lsm_entry *old = &v->old_entry, *new = &x->entry;
    rc = lsm_entry_make(old, v->schema, x->def, NULL, &v->old_row, key);
    if (rc != LSM_OK) break;
    bool same_key = lsm_slice_eq(lsm_buf_slice(&old->key), lsm_buf_slice(&new->key));
    new->same = same_key &&lsm_slice_eq(lsm_buf_slice(&old->value), lsm_buf_slice(&new->value));
    if (!same_key) rc = add_removal(v, x->keyspace, lsm_buf_slice(&old->key));
  }
  return rc;
}

/*-------------------------------------------------------------- conflicts */

/* A row is in the way: it goes, or the call ends. found: it has been read. */
static lsm_rc clash(lsm_vtab *v, lsm_put *put, const lsm_index *x, lsm_slice key, bool *stop) {
  if (!put->replace) {
    put->violated = x;
    *stop = true;
    return LSM_OK;
  }
  lsm_rc rc = read_row(v, key);
  if (rc == LSM_NOTFOUND) return lsm_corrupt(v->table, 0, "an index entry without its row");
  return rc == LSM_OK ? remove_row(v, key) : rc;
}

static lsm_rc check_key(lsm_vtab *v, lsm_put *put, bool *stop) {
  lsm_slice key = lsm_buf_slice(&v->new_key);
  if (put->fresh || (put->update && lsm_slice_eq(key, lsm_buf_slice(&v->old_key)))) return LSM_OK;
  lsm_rc rc = lsm_txn_get(v->cs->txn, v->keyspace, key, &v->found);
  if (rc == LSM_NOTFOUND) return LSM_OK;
  return rc == LSM_OK ? clash(v, put, NULL, key, stop) : rc;
}

/* Has the entry lost its row to a range delete, or, by a clock that was set back, as
** expired? Then it is in nobody's way. */
static lsm_rc entry_is_stale(lsm_vtab *v, const lsm_vindex *x, lsm_slice entry_key,
                             lsm_slice row_key, bool *stale) {
  lsm_rc rc = lsm_stale_in_txn(v->cs->txn, x, stale);
  if (rc == LSM_OK && v->schema->opt.has_ttl) *stale = true;
  if (rc != LSM_OK || !*stale) return rc;
  rc = read_row(v, row_key);
  if (rc != LSM_OK) return rc == LSM_NOTFOUND ? LSM_OK : rc;
  return lsm_stale_check(v->schema, x->def, &v->old_row, entry_key, &v->old_entry, stale);
}

static lsm_rc check_index(lsm_vtab *v, lsm_put *put, const lsm_vindex *x, bool *stop) {
  bool faithful;
  lsm_slice key = lsm_buf_slice(&x->entry.key);
  if (!x->entry.unique || x->entry.same) return LSM_OK;
  lsm_rc rc = lsm_txn_get(v->cs->txn, x->keyspace, key, &v->found);
  if (rc == LSM_NOTFOUND) return LSM_OK;
  if (rc == LSM_OK) {
    rc = lsm_entry_row_key(v->schema, x->def, key, lsm_buf_slice(&v->found), &v->other_key,
                           &faithful);
  }
  if (rc != LSM_OK) return rc;
  lsm_slice other = lsm_buf_slice(&v->other_key);
  if (put->update && lsm_slice_eq(other, lsm_buf_slice(&v->old_key))) return LSM_OK;
  bool stale;
  rc = entry_is_stale(v, x, key, other, &stale);
  return rc != LSM_OK || stale ? rc : clash(v, put, x->def, other, stop);
}

/* All constraints, in SQLite's order. *stop: one is violated. */
static lsm_rc check_constraints(lsm_vtab *v, lsm_put *put, bool *stop) {
  bool columns = v->schema->kind == LSM_KEY_COLUMNS;
  int rank = columns ? v->schema->key_rank : v->nindex;
  lsm_rc rc = LSM_OK;
  *stop = false;
  for (int i = v->nindex; i >= 0 && rc == LSM_OK && !*stop; i--) {
    if (i == rank) rc = check_key(v, put, stop);
    if (i > 0 && rc == LSM_OK && !*stop) rc = check_index(v, put, &v->index[i - 1], stop);
  }
  return rc;
}

/*----------------------------------------------------------------- writes */

/* What the store would refuse in the middle is refused here. */
static int check_sizes(lsm_vtab *v) {
  const size_t max = LSM_KEY_MAX - 64;
  bool good = v->new_key.size <= max;
  for (int i = 0; i < v->nindex; i++) good = good && v->index[i].entry.key.size <= max;
  if (good) return lsm_vtab_check_length(v);
  return lsm_vtab_error(&v->base, SQLITE_TOOBIG, "table %s: key too long", v->table);
}

static lsm_rc write_all(lsm_vtab *v) {
  lsm_rc rc = lsm_row_encode(v->schema, v->values, &v->row);
  if (rc == LSM_OK) rc = apply_removals(v);
  for (int i = 0; i < v->nindex && rc == LSM_OK; i++) {
    const lsm_vindex *x = &v->index[i];
    if (x->entry.same && !v->schema->opt.has_ttl) continue; /* else it lives longer now */
    rc = lsm_vtab_put(v, x->keyspace, lsm_buf_slice(&x->entry.key), lsm_buf_slice(&x->entry.value));
  }
  if (rc != LSM_OK) return rc;
  return lsm_vtab_put(v, v->keyspace, lsm_buf_slice(&v->new_key), lsm_buf_slice(&v->row));
}

int lsm_indexed_put(lsm_vtab *v, lsm_put *put) {
  bool stop = false;
  lsm_buf_clear(&v->removals);
  lsm_rc rc = make_entries(v);
  if (rc == LSM_OK && put->update) {
    bool moved = !lsm_slice_eq(lsm_buf_slice(&v->old_key), lsm_buf_slice(&v->new_key));
    rc = read_row(v, lsm_buf_slice(&v->old_key));
    if (rc == LSM_NOTFOUND) return SQLITE_OK; /* an earlier row of the statement replaced it */
    if (rc == LSM_OK) rc = leave_old_row(v, moved);
  }
  if (rc == LSM_OK) rc = check_constraints(v, put, &stop);
  if (rc == LSM_OK && stop) return SQLITE_CONSTRAINT;
  if (rc != LSM_OK) return lsm_vtab_fail(&v->base, rc);
  int code = check_sizes(v);
  return code != SQLITE_OK ? code : lsm_vtab_fail(&v->base, write_all(v));
}

int lsm_indexed_delete(lsm_vtab *v) {
  lsm_slice key = lsm_buf_slice(&v->old_key);
  lsm_buf_clear(&v->removals);
  lsm_rc rc = read_row(v, key);
  if (rc == LSM_NOTFOUND) return SQLITE_OK;
  if (rc == LSM_OK) rc = remove_row(v, key);
  if (rc == LSM_OK) rc = apply_removals(v);
  return lsm_vtab_fail(&v->base, rc);
}
