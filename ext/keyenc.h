/* keyenc.h: keys as bytes whose memcmp order is SQLite's order of the values.
** The encoding is described in FORMAT.md and explained in keyenc.c.
**
** Values given here have had the column's affinity applied (lsm_value_load):
** nothing is converted. All lsm_key_put_* append; on LSM_NOMEM the buffer may
** hold a part of what was to be appended. */
#ifndef LSM_EXT_KEYENC_H
#define LSM_EXT_KEYENC_H

#include "schema.h"
#include "value.h"

/*--------------------------------------------------------------- encoding */

#define LSM_ROWID_KEY_SIZE 8
lsm_rc lsm_key_put_rowid(lsm_buf *key, int64_t rowid);
void lsm_key_set_rowid(uint8_t key[LSM_ROWID_KEY_SIZE], int64_t rowid);

/* One column. Only collation and desc of PART matter. */
lsm_rc lsm_key_put(lsm_buf *key, const lsm_value *v, const lsm_key_part *part);

/* The key of a row of a LSM_KEY_COLUMNS table: values has ncolumn members. */
lsm_rc lsm_key_put_row(lsm_buf *key, const lsm_schema *schema, const lsm_value *values);

/* The entry's first part in an index: n parts of ncolumn values. The caller
** appends the row's key. */
lsm_rc lsm_key_put_parts(lsm_buf *key, const lsm_key_part *part, int npart,
                         const lsm_value *values);

/*--------------------------------------------------------------- decoding */

/* LSM_CORRUPT unless KEY is just a rowid. */
lsm_rc lsm_key_get_rowid(lsm_slice key, int64_t *rowid);

/* Takes one column off the front of *key. A number comes back as a real when
** the part's affinity is REAL, else as an integer when it is one of 64 bits,
** else as a real (the row knows when that was not its type). Text comes back
** folded as its collation folds. Bytes borrow from the key when they stand
** there as they are, else they are in *scratch, whose content is replaced.
** LSM_CORRUPT when it is not what lsm_key_put() writes. */
lsm_rc lsm_key_get(lsm_slice *key, const lsm_key_part *part, lsm_value *v, lsm_buf *scratch);

/* The key's first column, borrowed, if it is text or a blob that stands there as it is;
** false: lsm_key_get() knows. */
bool lsm_key_peek(lsm_slice key, const lsm_key_part *part, lsm_value *v);

/* Takes one column off the front of *key without decoding it. */
lsm_rc lsm_key_skip(lsm_slice *key, const lsm_key_part *part);

/* True when lsm_key_get() of the encoded v gives back v itself, type and all:
** then the row need not store it. */
bool lsm_key_is_faithful(const lsm_value *v, const lsm_key_part *part);

/*----------------------------------------------------------------- ranges */

/* Changes KEY into the smallest byte string above all that start with it;
** empty: there is none, the range is open. */
void lsm_key_successor(lsm_buf *key);

/* One end of a range on a column. value NULL (the pointer): no bound. A bound
** that is the SQL NULL makes the range empty, as in SQL. */
typedef struct lsm_key_bound {
  const lsm_value *value;
  bool strict; /* > or <, not >= or <= */
} lsm_key_bound;

/* Keys k with lower <= k < upper, in memcmp order. Zero-initialise; reuse as
** you like; lsm_key_range_fini() frees the buffers. */
typedef struct lsm_key_range {
  lsm_buf lower;
  lsm_buf upper;
  bool upper_open; /* no upper bound; upper is empty then */
  bool empty;      /* no key at all can match */
} lsm_key_range;
void lsm_key_range_fini(lsm_key_range *r);
/* As bounds for lsm_cursor_open(): data is NULL where it is open. */
lsm_slice lsm_key_range_lower(const lsm_key_range *r);
lsm_slice lsm_key_range_upper(const lsm_key_range *r);

/* The keys whose first NEQ columns equal eq[0..neq-1] (a NULL equals NULL here:
** for a = NULL the caller says empty itself) and, when there is a bound, whose
** column part[neq] lies within the bounds, NULL excluded. "Lower" is lower in
** value, also in a DESC column. Exactly those keys, whatever follows. Neither
** eq columns nor bounds: everything. */
lsm_rc lsm_key_range_of(lsm_key_range *r, const lsm_key_part *part, const lsm_value *eq, int neq,
                        lsm_key_bound lower, lsm_key_bound upper);

/* The same for rowid keys; bounds of any type, compared as SQLite compares an
** integer with them. For equality give the value as both bounds. */
lsm_rc lsm_key_range_of_rowids(lsm_key_range *r, lsm_key_bound lower, lsm_key_bound upper);

#endif
