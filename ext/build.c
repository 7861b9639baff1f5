/* build.c: the entries of an index on a table that has rows.
**
** Rows come in the order of their keys, entries are wanted in theirs. They are
** gathered in a buffer of fixed size, sorted there, and written to the transaction
** in order; what it holds beyond its own share of memory becomes sorted runs in
** files (lsm/spill.c), which it merges. So memory does not grow with the table.
**
** Owns   the buffer: bytes of entries, one after another, and where each begins. */
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "rowenc.h"
#include "vtab.h"

#define BUFFER_BYTES (4u << 20)
#define BUFFER_ITEMS (BUFFER_BYTES / 32)

typedef struct item {
  uint64_t head; /* the first bytes of the key, as a number */
  const uint8_t *key; /* the value follows */
  uint32_t key_size, value_size;
  uint64_t until; /* when the row expires, and with it its entry; 0: never */
} item;

typedef struct sorter {
  lsm_txn *txn;
  uint32_t keyspace;
  bool expires;
  uint8_t *bytes;
  size_t used;
  item *items;
  size_t nitems;
} sorter;

static lsm_rc sorter_init(sorter *s, const lsm_vtab *v, uint32_t keyspace) {
  memset(s, 0, sizeof(*s));
  s->txn = v->cs->txn;
  s->keyspace = keyspace;
  s->expires = v->schema->opt.has_ttl;
  s->bytes = sqlite3_malloc(BUFFER_BYTES);
  s->items = sqlite3_malloc64(sizeof(item) * BUFFER_ITEMS);
  return s->bytes == NULL || s->items == NULL ? lsm_nomem() : LSM_OK;
}

static void sorter_fini(sorter *s) {
  sqlite3_free(s->bytes);
  sqlite3_free(s->items);
}

static int compare(const void *a, const void *b) {
  const item *x = a, *y = b;
  if (x->head != y->head) return x->head < y->head ? -1 : 1;
  return lsm_slice_cmp(lsm_slice_of(x->key, x->key_size), lsm_slice_of(y->key, y->key_size));
}

static lsm_rc put(const sorter *s, lsm_slice key, lsm_slice value, uint64_t until) {
  return s->expires ? lsm_txn_put_until(s->txn, s->keyspace, key, value, until)
                    : lsm_txn_put(s->txn, s->keyspace, key, value);
}

/* What was gathered goes to the transaction. */
static lsm_rc sorter_empty(sorter *s) {
  lsm_rc rc = LSM_OK;
  qsort(s->items, s->nitems, sizeof(item), compare);
  for (size_t i = 0; i < s->nitems && rc == LSM_OK; i++) {
    const item *t = &s->items[i];
    rc = put(s, lsm_slice_of(t->key, t->key_size),
             lsm_slice_of(t->key + t->key_size, t->value_size), t->until);
  }
  s->used = s->nitems = 0;
  return rc;
}

/* Keys that begin alike to the eighth byte are compared in full. */
static uint64_t head_of(lsm_slice key) {
  uint64_t head = 0;
  for (size_t i = 0; i < 8; i++) head = head << 8 | (i < key.size ? key.data[i] : 0u);
  return head;
}

static lsm_rc sorter_add(sorter *s, lsm_slice key, lsm_slice value, uint64_t until) {
  size_t size = key.size + value.size;
  lsm_rc rc = LSM_OK;
  if (size > BUFFER_BYTES) return put(s, key, value, until);
  if (s->used + size > BUFFER_BYTES || s->nitems == BUFFER_ITEMS) rc = sorter_empty(s);
  if (rc != LSM_OK) return rc;
  uint8_t *p = s->bytes + s->used;
  memcpy(p, key.data, key.size);
  if (value.size > 0) memcpy(p + key.size, value.data, value.size);
  s->items[s->nitems++] = (item){head_of(key), p, (uint32_t)key.size, (uint32_t)value.size, until};
  s->used += size;
  return LSM_OK;
}

/* The row's entry. */
static lsm_rc add_row(sorter *sort, lsm_row *row, uint64_t until, const lsm_index *x,
                      lsm_entry *e) {
  lsm_rc rc = lsm_entry_make(e, row->schema, x, NULL, row, row->key);
  if (rc == LSM_OK && e->key.size > LSM_KEY_MAX - 64) {
    rc = lsm_fail(LSM_MISUSE, "a row's entry is too long");
  }
  if (rc != LSM_OK) return rc;
  return sorter_add(sort, lsm_buf_slice(&e->key), lsm_buf_slice(&e->value), until);
}

static lsm_rc add_rows(lsm_vtab *v, sorter *sort, lsm_cursor *cur, lsm_row *row,
                       const lsm_index *x) {
  lsm_interrupt intr = lsm_conn_interrupt(v->conn);
  lsm_entry e;
  memset(&e, 0, sizeof(e));
  lsm_rc rc = lsm_cursor_first(cur);
  for (uint64_t n = 1; rc == LSM_OK && lsm_cursor_valid(cur); n++) {
    lsm_row_point(row, lsm_cursor_key(cur), lsm_cursor_value(cur));
    rc = add_row(sort, row, lsm_cursor_until(cur), x, &e);
    if (rc == LSM_OK && n % 1024 == 0 && intr.fn(intr.arg)) {
      rc = lsm_fail(LSM_INTERRUPT, "interrupted");
    }
    if (rc == LSM_OK) rc = lsm_cursor_next(cur);
  }
  lsm_entry_fini(&e);
  return rc;
}

lsm_rc lsm_index_build(lsm_vtab *v, const lsm_schema *s, const lsm_index *x, uint32_t keyspace) {
  lsm_snapshot *snap = NULL;
  lsm_cursor *cur = NULL;
  sorter sort;
  lsm_row row;
  memset(&row, 0, sizeof(row));
  lsm_rc rc = sorter_init(&sort, v, keyspace);
  if (rc == LSM_OK) rc = lsm_row_init(&row, s);
  if (rc == LSM_OK) rc = lsm_txn_snapshot(v->cs->txn, &snap);
  if (rc == LSM_OK) rc = lsm_cursor_open(snap, v->keyspace, LSM_SLICE_NULL, LSM_SLICE_NULL, &cur);
  lsm_snapshot_release(snap);
  if (rc == LSM_OK) rc = add_rows(v, &sort, cur, &row, x);
  lsm_cursor_close(cur);
  if (rc == LSM_OK) rc = sorter_empty(&sort);
  lsm_row_fini(&row);
  sorter_fini(&sort);
  return rc;
}
