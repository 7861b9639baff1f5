/* stale.c: index entries that lost their rows to lsm_delete_range(). */
#include "stale.h"

#include <string.h>

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3

/* The mark is the empty key: no entry has it. Its value is a number made up for
** each range delete, by which a sweep knows that there was no other meanwhile. */
enum { MARK_SIZE = 8 };

enum { SWEEP_ENTRIES = 20000 }; /* looked at in one transaction of a sweep */

static lsm_slice mark_key(void) {
  return lsm_slice_of((const uint8_t *)"", 0);
}

lsm_slice lsm_index_start(void) {
  static const uint8_t start[] = {0x01}; /* less than any tag, upright or inverted */
  return lsm_slice_of(start, sizeof(start));
}

lsm_rc lsm_stale_mark(lsm_vtab *v) {
  uint8_t value[MARK_SIZE];
  lsm_rc rc = LSM_OK;
  sqlite3_randomness(sizeof(value), value);
  for (int i = 0; i < v->nindex && rc == LSM_OK; i++) {
    rc = lsm_txn_put(v->cs->txn, v->index[i].keyspace, mark_key(),
                     lsm_slice_of(value, sizeof(value)));
  }
  return rc;
}

static lsm_rc found(lsm_rc rc, bool *stale) {
  *stale = rc == LSM_OK;
  return rc == LSM_NOTFOUND ? LSM_OK : rc;
}

lsm_rc lsm_stale_in(lsm_snapshot *snap, const lsm_vindex *x, bool *stale) {
  lsm_buf value = {NULL, 0, 0};
  lsm_rc rc = lsm_get(snap, x->keyspace, mark_key(), &value);
  lsm_buf_fini(&value);
  return found(rc, stale);
}

lsm_rc lsm_stale_in_txn(lsm_txn *txn, const lsm_vindex *x, bool *stale) {
  lsm_buf value = {NULL, 0, 0};
  lsm_rc rc = lsm_txn_get(txn, x->keyspace, mark_key(), &value);
  lsm_buf_fini(&value);
  return found(rc, stale);
}

lsm_rc lsm_stale_check(const lsm_schema *s, const lsm_index *x, lsm_row *row, lsm_slice entry_key,
                       lsm_entry *scratch, bool *stale) {
  lsm_rc rc = lsm_entry_make(scratch, s, x, NULL, row, row->key);
  *stale = rc == LSM_OK && !lsm_slice_eq(entry_key, lsm_buf_slice(&scratch->key));
  return rc;
}

/*------------------------------------------------------------------ sweep */

/* A sweep over one index. */
typedef struct sweep {
  lsm_vtab *v;
  const lsm_vindex *x;
  lsm_txn *txn;
  lsm_buf from; /* the next entry to look at */
  bool done;
  lsm_row row;
  lsm_entry entry;
  lsm_buf row_key, row_value;
} sweep;

/* Is this entry's row gone, or another's? */
static lsm_rc look_at(sweep *w, lsm_slice key, lsm_slice value, bool *stale) {
  const lsm_schema *s = w->v->schema;
  bool faithful;
  *stale = false;
  lsm_rc rc = lsm_entry_row_key(s, w->x->def, key, value, &w->row_key, &faithful);
  if (rc != LSM_OK) return rc;
  rc = lsm_txn_get(w->txn, w->v->keyspace, lsm_buf_slice(&w->row_key), &w->row_value);
  if (rc == LSM_NOTFOUND) *stale = true;
  if (rc != LSM_OK) return rc == LSM_NOTFOUND ? LSM_OK : rc;
  lsm_row_point(&w->row, lsm_buf_slice(&w->row_key), lsm_buf_slice(&w->row_value));
  return lsm_stale_check(s, w->x->def, &w->row, key, &w->entry, stale);
}

/* The next entries, in the open transaction. */
static lsm_rc sweep_some(sweep *w) {
  lsm_snapshot *snap = NULL;
  lsm_cursor *cur = NULL;
  lsm_rc rc = lsm_txn_snapshot(w->txn, &snap);
  if (rc == LSM_OK) {
    rc = lsm_cursor_open(snap, w->x->keyspace, lsm_buf_slice(&w->from), LSM_SLICE_NULL, &cur);
  }
  if (rc == LSM_OK) rc = lsm_cursor_first(cur);
  for (int n = 0; rc == LSM_OK && lsm_cursor_valid(cur); n++) {
    bool stale = false;
    if (n == SWEEP_ENTRIES) {
      rc = lsm_buf_set(&w->from, lsm_cursor_key(cur));
      break;
    }
    rc = look_at(w, lsm_cursor_key(cur), lsm_cursor_value(cur), &stale);
    if (rc == LSM_OK && stale) rc = lsm_txn_delete(w->txn, w->x->keyspace, lsm_cursor_key(cur));
    if (rc == LSM_OK) rc = lsm_cursor_next(cur);
  }
  w->done = rc == LSM_OK && !lsm_cursor_valid(cur);
  lsm_cursor_close(cur);
  lsm_snapshot_release(snap);
  return rc;
}

/* One transaction of the sweep. MARK: the mark's value when the sweep began;
** when it is still that at the end, the mark goes. */
static lsm_rc sweep_once(sweep *w, lsm_buf *mark, int64_t busy_ms, const lsm_interrupt *intr) {
  lsm_buf now = {NULL, 0, 0};
  lsm_rc rc = lsm_txn_begin(lsm_store_db(w->v->cs->store), busy_ms, intr, &w->txn);
  if (rc != LSM_OK) return rc;
  rc = lsm_txn_get(w->txn, w->x->keyspace, mark_key(), &now);
  if (rc == LSM_NOTFOUND) {
    w->done = true; /* swept by another, or never in need of it */
    rc = LSM_OK;
  } else {
    if (rc == LSM_OK && mark->size == 0) rc = lsm_buf_set(mark, lsm_buf_slice(&now));
    if (rc == LSM_OK) rc = sweep_some(w);
    if (rc == LSM_OK && w->done && lsm_slice_eq(lsm_buf_slice(&now), lsm_buf_slice(mark))) {
      rc = lsm_txn_delete(w->txn, w->x->keyspace, mark_key());
    }
  }
  if (rc == LSM_OK && !lsm_txn_is_empty(w->txn)) {
    rc = lsm_txn_prepare(w->txn, LSM_SYNC_NORMAL, NULL, intr);
  }
  if (rc == LSM_OK) {
    lsm_txn_commit(w->txn);
  } else {
    (void)lsm_txn_rollback(w->txn); /* nothing was promised */
  }
  w->txn = NULL;
  lsm_buf_fini(&now);
  return rc;
}

lsm_rc lsm_stale_sweep(lsm_vtab *v, int64_t busy_ms, const lsm_interrupt *intr) {
  sweep w = {.v = v};
  lsm_buf mark = {NULL, 0, 0};
  lsm_rc rc = lsm_row_init(&w.row, v->schema);
  for (int i = 0; i < v->nindex && rc == LSM_OK; i++) {
    w.x = &v->index[i];
    w.done = false;
    lsm_buf_clear(&mark);
    rc = lsm_buf_set(&w.from, lsm_index_start());
    while (rc == LSM_OK && !w.done) {
      rc = sweep_once(&w, &mark, busy_ms, intr);
      if (rc == LSM_OK && !w.done && intr->fn(intr->arg))
        rc = lsm_fail(LSM_INTERRUPT, "interrupted");
    }
  }
  lsm_row_fini(&w.row);
  lsm_entry_fini(&w.entry);
  lsm_buf_fini(&w.from);
  lsm_buf_fini(&w.row_key);
  lsm_buf_fini(&w.row_value);
  lsm_buf_fini(&mark);
  return rc;
}
