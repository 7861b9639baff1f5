/* cache.h: one memory budget for what is read from SSTables.
**
** Two uses share it. Blocks: uncompressed data blocks, keyed by (file, offset);
** those that were not found lately go first (CLOCK).
** Reservations: memory that others hold (index and filter of open tables), which
** makes the room for blocks smaller. Sharded by key; each shard has its lock, and
** its share of the budget.
**
** Threads: all functions, any thread. */
#ifndef LSM_CACHE_H
#define LSM_CACHE_H

#include "sync.h"

typedef struct lsm_cache lsm_cache;

/* A pinned block. data stays put until the unpin. */
typedef struct lsm_block {
  uint8_t *data;
  size_t size;
  _Atomic uint32_t refs; /* cache.c's */
  /* the rest is private to cache.c */
} lsm_block;

/* So many bytes in front of data are the user's, zeros at first: what he wants to know
** of a block before he looks into it. They are a line of the processor's cache, beside
** the one that a lookup reads anyway. */
#define LSM_BLOCK_HINT 64
static inline void *lsm_block_hint(const lsm_block *b) {
  return b->data - LSM_BLOCK_HINT;
}

lsm_rc lsm_cache_new(size_t capacity, lsm_cache **cache);
void lsm_cache_free(lsm_cache *cache); /* REQUIRES: nothing pinned */

/* The block, pinned, or NULL. Counts a hit or a miss. */
lsm_block *lsm_cache_get(lsm_cache *cache, uint64_t file, uint64_t off);

/* A new block of SIZE bytes, pinned and not yet in the cache: fill it, then
** insert it or unpin it. */
lsm_rc lsm_block_new(lsm_cache *cache, size_t size, lsm_block **b);

/* Makes the block findable. When another thread was faster *b becomes that
** one (pinned) and the own one is dropped. Bigger than its shard's room: it
** stays private to the caller. Cannot fail. */
void lsm_cache_insert(lsm_cache *cache, uint64_t file, uint64_t off, lsm_block **b);

/* Should a scan that misses this block of about SIZE bytes leave the cache alone?
** When something would have to go for it, mostly yes: a scan of more than fits would
** else push out each block just before it comes to it again. Now and then no, so
** that what is scanned again and again gets in at last. */
bool lsm_cache_spares(lsm_cache *cache, uint64_t file, uint64_t off, size_t size);

/* Drops one pin; accepts NULL. */
void lsm_block_unpin(lsm_cache *cache, lsm_block *b);

/* Forgets all unpinned blocks of a file that is gone. */
void lsm_cache_evict_file(lsm_cache *cache, uint64_t file);

/* BYTES of the budget are used by others for now, instead of what it was before. */
void lsm_cache_lend(lsm_cache *cache, size_t bytes);

/* Charges (or gives back, negative) memory held elsewhere. */
void lsm_cache_reserve(lsm_cache *cache, int64_t bytes);

typedef struct lsm_cache_stats {
  uint64_t hits;
  uint64_t misses;
  uint64_t bytes; /* blocks and reservations, now */
} lsm_cache_stats;
void lsm_cache_get_stats(lsm_cache *cache, lsm_cache_stats *stats);

#endif
