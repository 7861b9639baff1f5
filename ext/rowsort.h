/* rowsort.h: rows put aside and given back in the order of a part of their
** keys. For the few rows of a search that could not be walked in order. */
#ifndef LSM_EXT_ROWSORT_H
#define LSM_EXT_ROWSORT_H

#include "base.h"

/* Zero-initialise; lsm_rowsort_clear() empties it and frees its memory. */
typedef struct lsm_rowsort {
  lsm_buf bytes;
  lsm_buf items;
  size_t count, at;
} lsm_rowsort;
void lsm_rowsort_clear(lsm_rowsort *s);

/* Adds a row; it is ordered by its key from byte FROM on. Copies both. */
lsm_rc lsm_rowsort_add(lsm_rowsort *s, lsm_slice key, lsm_slice value, size_t from);
void lsm_rowsort_sort(lsm_rowsort *s, bool reverse);

/* The next row; false: there is none. Its bytes live until clear(). */
bool lsm_rowsort_next(lsm_rowsort *s, lsm_slice *key, lsm_slice *value);

#endif
