/* index.c: entries of secondary indexes as bytes. */
#include "index.h"

enum { ENTRY_FOLDED = 0x01 }; /* the only flag: the columns are not as in the row */

static lsm_rc corrupt(const char *what) {
  return lsm_corrupt("index entry", 0, what);
}

void lsm_entry_fini(lsm_entry *e) {
  lsm_buf_fini(&e->key);
  lsm_buf_fini(&e->value);
}

lsm_slice lsm_entry_no_codes(void) {
  static const uint8_t row[] = {0x10, 0x00};
  return lsm_slice_of(row, sizeof row);
}

/* Where a row's values come from. */
typedef struct source {
  const lsm_schema *schema;
  const lsm_value *values; /* or, when NULL, */
  lsm_row *row;
  lsm_slice row_key;
} source;

/* A rowid is the one of the key: values may still have the one before it. */
static lsm_rc value_of(const source *src, int column, lsm_value *v) {
  if (column < 0 || column == src->schema->alias_column) {
    int64_t rowid = 0;
    lsm_rc rc = lsm_key_get_rowid(src->row_key, &rowid);
    *v = lsm_value_int(rowid);
    return rc;
  }
  if (src->values == NULL) return lsm_row_get(src->row, column, v, NULL);
  *v = src->values[column];
  return LSM_OK;
}

static lsm_rc put_row_key(lsm_buf *key, const source *src) {
  static const lsm_key_part rowid_part = {-1, LSM_AFF_INTEGER, LSM_COLL_BINARY, false};
  lsm_value v;
  if (src->schema->kind == LSM_KEY_COLUMNS) {
    return lsm_buf_append(key, src->row_key.data, src->row_key.size);
  }
  lsm_rc rc = value_of(src, -1, &v);
  return rc == LSM_OK ? lsm_key_put(key, &v, &rowid_part) : rc;
}

/* Do the key's own columns come back from it? */
static lsm_rc check_key(const source *src, bool *faithful) {
  const lsm_schema *s = src->schema;
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < s->nkey && rc == LSM_OK && *faithful; i++) {
    lsm_value v;
    rc = value_of(src, s->key[i].column, &v);
    if (rc == LSM_OK) *faithful = lsm_key_is_faithful(&v, &s->key[i]);
  }
  return rc;
}

lsm_rc lsm_entry_make(lsm_entry *e, const lsm_schema *s, const lsm_index *x,
                      const lsm_value *values, lsm_row *row, lsm_slice row_key) {
  source src = {s, values, row, row_key};
  lsm_rc rc = LSM_OK;
  bool faithful = true;
  lsm_buf_clear(&e->key);
  lsm_buf_clear(&e->value);
  e->unique = x->unique;
  e->same = false;
  for (int i = 0; i < x->npart && rc == LSM_OK; i++) {
    lsm_value v;
    rc = value_of(&src, x->part[i].column, &v);
    if (rc != LSM_OK) break;
    if (v.type == SQLITE_NULL) e->unique = false;
    faithful = faithful && lsm_key_is_faithful(&v, &x->part[i]);
    rc = lsm_key_put(&e->key, &v, &x->part[i]);
  }
  if (rc == LSM_OK) rc = check_key(&src, &faithful);
  if (rc == LSM_OK && (e->unique || !faithful)) {
    rc = lsm_buf_put_u8(&e->value, faithful ? 0 : ENTRY_FOLDED);
  }
  if (rc != LSM_OK) return rc;
  return e->unique ? lsm_buf_append(&e->value, row_key.data, row_key.size)
                   : put_row_key(&e->key, &src);
}

lsm_rc lsm_entry_row_key(const lsm_schema *s, const lsm_index *x, lsm_slice key, lsm_slice value,
                         lsm_buf *row_key, bool *faithful) {
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < x->npart && rc == LSM_OK; i++) rc = lsm_key_skip(&key, &x->part[i]);
  if (rc != LSM_OK) return rc;
  if (value.size > 0 && (value.data[0] & ~ENTRY_FOLDED) != 0) return corrupt("unknown flag");
  *faithful = value.size == 0 || value.data[0] == 0;
  if (value.size > 1) {
    if (!x->unique || key.size > 0) return corrupt("bytes left over");
    return lsm_buf_set(row_key, lsm_slice_of(value.data + 1, value.size - 1));
  }
  if (key.size == 0) return corrupt("row's key missing");
  if (s->kind == LSM_KEY_COLUMNS) return lsm_buf_set(row_key, key);
  lsm_value v;
  lsm_buf unused = {NULL, 0, 0};
  rc = lsm_key_get(&key, &x->all[x->npart], &v, &unused);
  lsm_buf_fini(&unused);
  if (rc != LSM_OK) return rc;
  if (v.type != SQLITE_INTEGER || key.size > 0) return corrupt("not a rowid");
  lsm_buf_clear(row_key);
  return lsm_key_put_rowid(row_key, v.u.i);
}
