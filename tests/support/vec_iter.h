/* vec_iter.h: an lsm_iter over a sorted array, for tests of what stands on
** iterators.
**
** Every move gives the key and value a fresh heap buffer and frees the last
** one, so that a sanitizer sees who reads a slice after the iterator has moved
** on. The array is borrowed. Memory comes from malloc, not lsm_malloc: tests
** that make allocations fail see those of the module under test only. */
#ifndef LSM_TEST_VEC_ITER_H
#define LSM_TEST_VEC_ITER_H

#include "iter.h"

typedef struct vec_entry {
  lsm_slice key;
  lsm_slice value;
  lsm_kind kind;
} vec_entry;

/* Shared by the iterators of a test; zero-initialise. */
typedef struct vec_stats {
  uint64_t seeks; /* first, last, seek_ge, seek_le */
  uint64_t steps; /* next, prev */
  uint64_t fail;  /* when not 0: counts down, the move that reaches 0 fails */
  int live;       /* iterators not yet freed */
} vec_stats;

/* Entries in rising order of key. stats may be NULL. */
lsm_iter *vec_iter_new(const vec_entry *entries, size_t n, vec_stats *stats);

#endif
