/* keyrange.c: from conditions on columns to bounds on encoded keys. Why
** equality on text ends at FF and not at the successor: head of keyenc.c. */
#include "keyenc.h"

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3

/* Between a key column's NULL and everything else, ASC and DESC. */
enum { AFTER_NULLS_ASC = 0x06, BEFORE_NULLS_DESC = 0xFA };

void lsm_key_successor(lsm_buf *key) {
  while (key->size > 0 && key->data[key->size - 1] == 0xFF) key->size--;
  if (key->size > 0) key->data[key->size - 1]++;
}

void lsm_key_range_fini(lsm_key_range *r) {
  lsm_buf_fini(&r->lower);
  lsm_buf_fini(&r->upper);
  memset(r, 0, sizeof *r);
}

lsm_slice lsm_key_range_lower(const lsm_key_range *r) {
  return r->lower.size == 0 ? LSM_SLICE_NULL : lsm_buf_slice(&r->lower);
}

lsm_slice lsm_key_range_upper(const lsm_key_range *r) {
  return r->upper_open ? LSM_SLICE_NULL : lsm_buf_slice(&r->upper);
}

static void clear(lsm_key_range *r) {
  lsm_buf_clear(&r->lower);
  lsm_buf_clear(&r->upper);
  r->upper_open = r->empty = false;
}

static bool is_null(lsm_key_bound b) {
  return b.value != NULL && b.value->type == SQLITE_NULL;
}

/* KEY ends with the encoding of V: moves it above all keys where the column
** equals V. */
static lsm_rc move_after(lsm_buf *key, const lsm_value *v, const lsm_key_part *part) {
  bool bytes = v->type == SQLITE_TEXT || v->type == SQLITE_BLOB;
  if (bytes && !part->desc) return lsm_buf_put_u8(key, 0xFF);
  lsm_key_successor(key);
  return LSM_OK;
}

/* Appends the bound's value; after: then moves above the keys equal to it. */
static lsm_rc put_bound(lsm_buf *key, const lsm_value *v, const lsm_key_part *part, bool after) {
  lsm_rc rc = lsm_key_put(key, v, part);
  return rc == LSM_OK && after ? move_after(key, v, part) : rc;
}

lsm_rc lsm_key_range_of(lsm_key_range *r, const lsm_key_part *part, const lsm_value *eq, int neq,
                        lsm_key_bound lower, lsm_key_bound upper) {
  clear(r);
  if (is_null(lower) || is_null(upper)) {
    r->empty = true;
    return LSM_OK;
  }
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < neq && rc == LSM_OK; i++) rc = lsm_key_put(&r->lower, &eq[i], &part[i]);
  if (rc == LSM_OK) rc = lsm_buf_set(&r->upper, lsm_buf_slice(&r->lower));
  if (rc != LSM_OK) return rc;

  bool bounded = lower.value != NULL || upper.value != NULL;
  const lsm_key_part *p = bounded ? &part[neq] : NULL;
  /* in a DESC column the larger values come first */
  lsm_key_bound first = bounded && p->desc ? upper : lower;
  lsm_key_bound last = bounded && p->desc ? lower : upper;
  if (first.value != NULL) {
    rc = put_bound(&r->lower, first.value, p, first.strict);
  } else if (bounded && !p->desc) {
    rc = lsm_buf_put_u8(&r->lower, AFTER_NULLS_ASC);
  }
  if (rc != LSM_OK) return rc;
  if (last.value != NULL) {
    rc = put_bound(&r->upper, last.value, p, !last.strict);
  } else if (bounded && p->desc) {
    rc = lsm_buf_put_u8(&r->upper, BEFORE_NULLS_DESC);
  } else if (neq > 0) {
    rc = move_after(&r->upper, &eq[neq - 1], &part[neq - 1]);
  }
  r->upper_open = r->upper.size == 0;
  r->empty =
      !r->upper_open && lsm_slice_cmp(lsm_buf_slice(&r->lower), lsm_buf_slice(&r->upper)) >= 0;
  return rc;
}

/*----------------------------------------------------------------- rowids */

/* The smallest rowid >= (strict: >) V; false: there is none. */
static bool lowest(const lsm_value *v, bool strict, int64_t *rowid) {
  *rowid = INT64_MIN;
  if (v->type == SQLITE_TEXT || v->type == SQLITE_BLOB) return false; /* above all numbers */
  if (v->type == SQLITE_FLOAT) {
    if (v->u.r >= 9223372036854775808.0) return false;
    if (v->u.r < -9223372036854775808.0) return true;
    *rowid = (int64_t)v->u.r;
    int c = lsm_int_real_cmp(*rowid, v->u.r);
    strict = c < 0 || (c == 0 && strict);
  } else {
    *rowid = v->u.i;
  }
  if (strict && *rowid == INT64_MAX) return false;
  *rowid += strict;
  return true;
}

/* The largest rowid <= (strict: <) V; false: there is none. */
static bool highest(const lsm_value *v, bool strict, int64_t *rowid) {
  *rowid = INT64_MAX;
  if (v->type == SQLITE_TEXT || v->type == SQLITE_BLOB) return true;
  if (v->type == SQLITE_FLOAT) {
    if (v->u.r < -9223372036854775808.0) return false;
    if (v->u.r >= 9223372036854775808.0) return true;
    *rowid = (int64_t)v->u.r;
    int c = lsm_int_real_cmp(*rowid, v->u.r);
    strict = c > 0 || (c == 0 && strict);
  } else {
    *rowid = v->u.i;
  }
  if (strict && *rowid == INT64_MIN) return false;
  *rowid -= strict;
  return true;
}

lsm_rc lsm_key_range_of_rowids(lsm_key_range *r, lsm_key_bound lower, lsm_key_bound upper) {
  int64_t lo = INT64_MIN, hi = INT64_MAX;
  clear(r);
  if (is_null(lower) || is_null(upper) ||
      (lower.value != NULL && !lowest(lower.value, lower.strict, &lo)) ||
      (upper.value != NULL && !highest(upper.value, upper.strict, &hi)) || lo > hi) {
    r->empty = true;
    return LSM_OK;
  }
  lsm_rc rc = LSM_OK;
  if (lower.value != NULL) rc = lsm_key_put_rowid(&r->lower, lo);
  if (rc == LSM_OK && upper.value != NULL) {
    rc = lsm_key_put_rowid(&r->upper, hi);
    if (rc == LSM_OK) lsm_key_successor(&r->upper);
  }
  r->upper_open = r->upper.size == 0;
  return rc;
}
