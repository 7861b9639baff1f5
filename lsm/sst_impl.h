/* sst_impl.h: what sst_reader.c, sst_iter.c and sst_verify.c share. Nobody else
** includes it. */
#ifndef LSM_SST_IMPL_H
#define LSM_SST_IMPL_H

#include "block.h"
#include "sst.h"
#include "sst_format.h"
#include "sst_iter.h"

/* A block in the index: its separator without what all have in common, and
** the first eight bytes of that as a number, so that most comparisons of a
** search are of numbers that stand side by side. */
typedef struct lsm_sst_ref {
  uint64_t head;
  uint64_t off; /* of the stored block; the next entry's off is its end */
  const uint8_t *key;
  uint32_t key_size;
  uint32_t entries;
} lsm_sst_ref;

/* An open table. Everything is constant after open. */
struct lsm_sst {
  lsm_file *file;
  char *path; /* for messages */
  uint64_t number;
  uint8_t store_id[LSM_STORE_ID_SIZE];
  uint32_t keyspace;
  uint32_t crc_seed;
  uint64_t data_end; /* blocks are in front of it */

  lsm_buf index_bytes;
  lsm_slice common;  /* what all separators begin with; in index_bytes */
  lsm_sst_ref *refs; /* nblocks + 1: the last one has data_end only */
  size_t nblocks;

  lsm_buf filter_bytes;
  lsm_slice filter; /* in filter_bytes, at a multiple of 64 */
  lsm_rangeset ranges;
  lsm_sst_props props;

  lsm_cache *cache;
  lsm_read_stats *stats; /* may be NULL */
  int64_t reserved;      /* charged to the cache */
};

/* Reads and checks footer and parts; path, file, number, store_id, cache and
** props.size are set. What it made is freed by unload, whatever it returned. */
lsm_rc lsm_sst_load(lsm_sst *s);
void lsm_sst_unload(lsm_sst *s);

/* First block with separator >= key; nblocks: none. */
size_t lsm_sst_find(const lsm_sst *s, lsm_slice key);

/* Body of block i. */
static inline uint64_t lsm_sst_body_size(const lsm_sst *s, size_t i) {
  return s->refs[i + 1].off - s->refs[i].off - LSM_SST_TRAILER;
}

/* Checks the stored block at p (off in the file, SIZE bytes and the trailer):
** its type, and how large it is raw. */
lsm_rc lsm_sst_check(const lsm_sst *s, uint64_t off, const uint8_t *p, size_t size, uint8_t *type,
                     size_t *raw_size);
/* Makes raw bytes of a checked body. */
lsm_rc lsm_sst_unpack(const lsm_sst *s, uint64_t off, lsm_slice body, uint8_t type, uint8_t *raw,
                      size_t raw_size);

/* Block i, from the cache or the file, pinned. */
lsm_rc lsm_sst_block(lsm_sst *s, size_t i, lsm_block **b);
/* The same of one that is not in the cache. With a window that has it its bytes are
** taken from there. */
lsm_rc lsm_sst_fetch(lsm_sst *s, size_t i, lsm_sst_window *win, lsm_block **b);

/* Does the window hold block i? */
bool lsm_sst_window_has(const lsm_sst_window *win, const lsm_sst *s, size_t i);
/* Stored block i, borrowed from the window until it moves. What is missing is
** read: AHEAD bytes of data from the block on or, backward, up to its end; the
** whole block in any case. */
lsm_rc lsm_sst_window_get(lsm_sst_window *win, const lsm_sst *s, size_t i, size_t ahead,
                          bool backward, const uint8_t **p);

#endif
