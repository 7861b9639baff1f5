/* arena.h: bytes that are appended, never moved, and read back as one sequence.
**
** Owns:  chunks from the allocator, and the list of parts: what is live of
**        them, in the order of appending.
** Holds: (1) an appended piece lies whole in one chunk, for good;
**        (2) the parts, read one after another, are all that was appended and
**            not rewound;
**        (3) addresses in use only grow along (chunk, offset): chunks up to
**            the current one are in order of use, those behind it are spare.
** Bytes: what goes in is the caller's affair.
** Locks: none; one writer. Readers know addresses only. */
#ifndef LSM_ARENA_H
#define LSM_ARENA_H

#include "base.h"

/* Chunks grow fourfold from the first size to the second. */
#define LSM_ARENA_FIRST (16u << 10)
#define LSM_ARENA_CHUNK (256u << 10)

typedef struct lsm_arena_chunk {
  uint8_t *data;
  size_t cap;
  size_t before; /* bytes in use in the chunks before this one */
} lsm_arena_chunk;

/* Zero-initialised is empty. */
typedef struct lsm_arena {
  uint8_t *p; /* room left in the current chunk: [p, end) */
  uint8_t *end;
  lsm_slice *parts;
  int n_parts;
  int cap_parts;
  lsm_arena_chunk *chunks;
  int n_chunks;
  int cap_chunks;
  int current;   /* index of the chunk p is in; chunks behind it are spare */
  size_t pos;    /* bytes in the parts */
  size_t memory; /* bytes from the allocator */
} lsm_arena;

/* See lsm_arena_append(). */
uint8_t *lsm_arena_append_slow(lsm_arena *a, size_t n);

/* Room for N > 0 more bytes at the end, or NULL: out of memory, and nothing
** has changed. */
static inline uint8_t *lsm_arena_append(lsm_arena *a, size_t n) {
  if (LSM_LIKELY(a->n_parts > 0 && (size_t)(a->end - a->p) >= n)) {
    lsm_slice *last = &a->parts[a->n_parts - 1];
    if (LSM_LIKELY(last->data + last->size == a->p)) {
      uint8_t *p = a->p;
      last->size += n;
      a->p += n;
      a->pos += n;
      return p;
    }
  }
  return lsm_arena_append_slow(a, n);
}

/* Makes sure that appending pieces of N bytes in all, however cut, will not
** fail. False: out of memory, nothing has changed. */
bool lsm_arena_reserve(lsm_arena *a, size_t n);

/* Takes back what was appended after the sequence had POS bytes. reuse: its
** bytes are free to be written over; else they stay as they are, unused. */
void lsm_arena_rewind(lsm_arena *a, size_t pos, bool reuse);

/* Takes back everything; keeps chunks of up to KEEP bytes in all. */
void lsm_arena_reset(lsm_arena *a, size_t keep);
void lsm_arena_fini(lsm_arena *a);

/* Bytes in use, those that were rewound but not reused included. */
static inline size_t lsm_arena_used(const lsm_arena *a) {
  if (a->n_chunks == 0) return 0;
  const lsm_arena_chunk *c = &a->chunks[a->current];
  return c->before + (size_t)(a->p - c->data);
}

#endif
