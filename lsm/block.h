/* block.h: sorted entries in a block, with prefix compression and restarts.
**
**   block   := entry* restart:u32[n] n:u32
**   entry   := shared:varint unshared:varint vlen1:varint key[unshared] value
**   vlen1   := 0 for a tombstone, else length of value + 1
**
** A key is the first SHARED bytes of the one before it and UNSHARED new ones;
** every 16th entry is a restart: shared is 0 and its offset is in the array,
** which binary search uses. (The scheme of LevelDB's table format.) */
#ifndef LSM_BLOCK_H
#define LSM_BLOCK_H

#include "iter.h"

#define LSM_BLOCK_RESTART 16

/* How many bytes a and b, n long both, have in common at the start. */
static inline size_t lsm_common_prefix(const uint8_t *a, const uint8_t *b, size_t n) {
  size_t i = 0;
  while (n - i >= 8) {
    uint64_t diff = lsm_get_u64(a + i) ^ lsm_get_u64(b + i);
    if (diff != 0) {
      while ((diff & 0xFF) == 0) {
        diff >>= 8;
        i++;
      }
      return i;
    }
    i += 8;
  }
  while (i < n && a[i] == b[i]) i++;
  return i;
}

/* Builds one block after another; zero-initialise. */
typedef struct lsm_block_builder {
  lsm_buf data;
  lsm_buf last_key;
  uint32_t *restarts;
  size_t nrestarts;
  size_t restarts_cap;
  uint32_t since_restart;
  uint32_t entries;
} lsm_block_builder;

/* REQUIRES: key greater than the last; LSM_MISUSE when it is not, or when the
** block would reach 4 GB. An error changes nothing. */
lsm_rc lsm_block_builder_add(lsm_block_builder *b, lsm_kind kind, lsm_slice key, lsm_slice value);
/* Size the block would have if finished now. */
size_t lsm_block_builder_size(const lsm_block_builder *b);
/* Completes it; the slice lives until clear. */
lsm_rc lsm_block_builder_finish(lsm_block_builder *b, lsm_slice *block);
void lsm_block_builder_clear(lsm_block_builder *b);
void lsm_block_builder_fini(lsm_block_builder *b);

/* What a search in a block begins with: where the restarts are and how their keys
** begin. Made once for a block that is kept, it saves looking all over it. Of blocks
** with more restarts there is none. */
#define LSM_BLOCK_INDEXED 4
typedef struct lsm_block_index {
  uint32_t nrestarts; /* 0: none */
  uint32_t restarts_off;
  uint64_t head[LSM_BLOCK_INDEXED]; /* lsm_head_of() their keys */
  uint32_t off[LSM_BLOCK_INDEXED];
} lsm_block_index;
/* Of a malformed block, too, there is none. */
void lsm_block_index_make(lsm_block_index *ix, lsm_slice block);

/* An entry of the interval that is walked down. */
typedef struct lsm_block_back {
  uint32_t off, next_off;
  uint32_t key_at, key_size; /* in back_keys */
  uint32_t value_at, value_size;
  uint32_t shared;
  uint8_t kind;
} lsm_block_back;

/* An iterator over one block, reusable for many: no allocation a block. */
typedef struct lsm_block_iter {
  lsm_iter base; /* key points into keybuf, back_keys or, at restarts, the block */
  lsm_slice block;
  const lsm_block_index *index; /* borrowed, or NULL */
  uint32_t nrestarts;
  uint32_t restarts_off; /* where the array begins */
  uint32_t off;          /* of the current entry */
  uint32_t next_off;
  uint32_t restart; /* index of the restart at or before off */
  uint32_t limit;   /* offset of the restart after that, or restarts_off */
  uint32_t shared;  /* what the current key took from the one before */
  lsm_buf keybuf;
  const char *file; /* for messages; borrowed */
  uint64_t file_off;
  /* Going down, what lies between two restarts is decoded once: */
  uint32_t nback; /* those of back that come next; 0: whatever it takes */
  lsm_block_back back[LSM_BLOCK_RESTART];
  lsm_buf back_keys;
} lsm_block_iter;

/* Zero-initialise once; init points it at another block (borrowed until the
** next init), checking its frame: LSM_CORRUPT. Starts unpositioned. */
lsm_rc lsm_block_iter_init(lsm_block_iter *it, lsm_slice block, const char *file,
                           uint64_t file_off);
/* The same with the block's index, borrowed likewise. */
lsm_rc lsm_block_iter_init_indexed(lsm_block_iter *it, lsm_slice block,
                                   const lsm_block_index *index, const char *file,
                                   uint64_t file_off);
void lsm_block_iter_fini(lsm_block_iter *it);
/* The moves of lsm_iter, called directly. Malformed entries: LSM_CORRUPT. */
lsm_rc lsm_block_iter_first(lsm_block_iter *it);
lsm_rc lsm_block_iter_last(lsm_block_iter *it);
lsm_rc lsm_block_iter_seek_ge(lsm_block_iter *it, lsm_slice key);
lsm_rc lsm_block_iter_seek_le(lsm_block_iter *it, lsm_slice key);
lsm_rc lsm_block_iter_next(lsm_block_iter *it);
lsm_rc lsm_block_iter_prev(lsm_block_iter *it);

/* Looks key up without an iterator and without copying: *value is borrowed
** from the block. LSM_NOTFOUND when it is not there; malformed: LSM_CORRUPT.
** index: the block's, or NULL. */
lsm_rc lsm_block_get(lsm_slice block, const lsm_block_index *index, lsm_slice key,
                     const char *file, uint64_t file_off, lsm_kind *kind, lsm_slice *value);

#endif
