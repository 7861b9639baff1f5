/* sst_iter.h: the walk over one SSTable as a part of others' walks: kept in place,
** used for one table after another, moved without a call through a pointer.
** Elsewhere lsm_sst_iter() (sst.h) is enough. */
#ifndef LSM_SST_ITER_H
#define LSM_SST_ITER_H

#include "block.h"
#include "sst.h"

/* A piece of the file that was read ahead. Zero-initialise. */
typedef struct lsm_sst_window {
  lsm_buf bytes;
  uint64_t off; /* of bytes */
} lsm_sst_window;

/* All but b.base is sst_iter.c's. Zero-initialise, set the base's ops if they will be
** used; then attach. */
typedef struct lsm_sst_walk {
  lsm_block_iter b; /* first: begins with the lsm_iter */
  lsm_sst *sst;
  bool fill_cache;
  bool loaded;
  size_t at;
  lsm_block *pin; /* with fill_cache, unless the cache was to be spared */
  lsm_buf raw;    /* without a pin: block `at`, when it was compressed */
  lsm_sst_window window;
  size_t last; /* with fill_cache: the block before */
  size_t run;  /* how many in sequence led there, */
  bool back;   /* downward */
} lsm_sst_walk;

/* Over this table from now on, unpositioned. REQUIRES: detached. */
void lsm_sst_walk_attach(lsm_sst_walk *w, lsm_sst *sst, bool fill_cache);
/* Lets go of the table, and of memory beyond what short keys need. */
void lsm_sst_walk_detach(lsm_sst_walk *w);
void lsm_sst_walk_fini(lsm_sst_walk *w); /* REQUIRES: detached */

/* The moves of lsm_iter. */
lsm_rc lsm_sst_walk_first(lsm_sst_walk *w);
lsm_rc lsm_sst_walk_last(lsm_sst_walk *w);
lsm_rc lsm_sst_walk_seek_ge(lsm_sst_walk *w, lsm_slice key);
lsm_rc lsm_sst_walk_seek_le(lsm_sst_walk *w, lsm_slice key);
lsm_rc lsm_sst_walk_next_block(lsm_sst_walk *w); /* to the first entry after this block */
lsm_rc lsm_sst_walk_prev_block(lsm_sst_walk *w);

/* In a table without tombstones: its index has the number of each block's entries, so those
** in between need not be read. From the first entry of a block on; else none is ahead. Not all
** that follow need be told of at once. */
uint64_t lsm_sst_walk_ahead(const lsm_sst_walk *w, lsm_slice bound);
lsm_rc lsm_sst_walk_pass(lsm_sst_walk *w, uint64_t n);

static inline lsm_rc lsm_sst_walk_next(lsm_sst_walk *w) {
  lsm_rc rc = lsm_block_iter_next(&w->b);
  return LSM_LIKELY(w->b.base.valid) || rc != LSM_OK ? rc : lsm_sst_walk_next_block(w);
}

static inline lsm_rc lsm_sst_walk_prev(lsm_sst_walk *w) {
  lsm_rc rc = lsm_block_iter_prev(&w->b);
  return LSM_LIKELY(w->b.base.valid) || rc != LSM_OK ? rc : lsm_sst_walk_prev_block(w);
}

#endif
