/* index.h: entries of secondary indexes: made from rows, and read.
**
** An entry's key is the index's columns and then the row's key; so it is found
** by them, stands in their order, and names its row. Its value is empty. Two
** things differ from that (FORMAT.md):
**   UNIQUE    an entry without NULL is the only one of its columns. There the
**             row's key is in the value, and "is it taken?" is a lookup of the
**             whole key, which filters answer mostly without reading.
**   flag      when the columns do not come back from the entry as they are in
**             the row (folded text, 5.0 as 5), the value says so. */
#ifndef LSM_EXT_INDEX_H
#define LSM_EXT_INDEX_H

#include "rowenc.h"

/* Zero-initialise; reuse as you like. */
typedef struct lsm_entry {
  lsm_buf key;
  lsm_buf value;
  bool unique; /* no other entry may have this key */
  bool same;   /* for whoever compares: it is there already */
} lsm_entry;

void lsm_entry_fini(lsm_entry *e);

/* The entry in X of the row whose key is ROW_KEY, with its values, or, when
** those are NULL, with what ROW points at. */
lsm_rc lsm_entry_make(lsm_entry *e, const lsm_schema *s, const lsm_index *x,
                      const lsm_value *values, lsm_row *row, lsm_slice row_key);

/* The key of the entry's row, replacing what was in *row_key. faithful: the
** columns may be read from the entry and the key. LSM_CORRUPT. */
lsm_rc lsm_entry_row_key(const lsm_schema *s, const lsm_index *x, lsm_slice key, lsm_slice value,
                         lsm_buf *row_key, bool *faithful);

/* Stands for the row of an entry or a key that is faithful. */
lsm_slice lsm_entry_no_codes(void);

#endif
