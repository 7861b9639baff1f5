/* keyfilter.h: which keys a memtable surely does not have.
**
** Most writes of a new row ask first whether its key is there, and a descent in
** a large tree waits for memory at every other node. The filter answers with one
** word: a key sets four bits of the word that its hash names, about 16 bits a
** key. It grows by layers, each four times the one before; nothing is ever taken
** out, so it knows at least the keys of every view of the memtable.
**
** Threads: one writer; readers at any time, of keys added before their view was
** taken (memtable.h). Words are atomic; a layer, once there, stays. */
#ifndef LSM_KEYFILTER_H
#define LSM_KEYFILTER_H

#include <stdatomic.h>

#include "base.h"

typedef struct lsm_keyfilter {
  struct lsm_keyfilter *older; /* the layer before, or NULL */
  uint64_t room;               /* keys it is made for */
  uint64_t count;              /* keys in it; the writer's */
  unsigned shift;              /* of a hash: what is left is the word's number */
  _Atomic uint64_t word[];
} lsm_keyfilter;

/* A layer for ROOM keys at least over OLDER, or NULL: no memory. */
lsm_keyfilter *lsm_keyfilter_new(uint64_t room, lsm_keyfilter *older);
void lsm_keyfilter_free(lsm_keyfilter *f); /* with those below it; accepts NULL */
size_t lsm_keyfilter_memory(const lsm_keyfilter *f); /* of all layers */

/* The four bits of a key with this hash: lsm_hash64(key, 0). The word is chosen by
** the hash's other end. */
static inline uint64_t lsm_keyfilter_bits(uint64_t hash) {
  return UINT64_C(1) << (hash & 63) | UINT64_C(1) << (hash >> 6 & 63) |
         UINT64_C(1) << (hash >> 12 & 63) | UINT64_C(1) << (hash >> 18 & 63);
}

static inline void lsm_keyfilter_add(lsm_keyfilter *f, uint64_t hash) {
  _Atomic uint64_t *w = &f->word[hash >> f->shift];
  uint64_t was = atomic_load_explicit(w, memory_order_relaxed);
  atomic_store_explicit(w, was | lsm_keyfilter_bits(hash), memory_order_relaxed);
  f->count++;
}

static inline bool lsm_keyfilter_may_have(const lsm_keyfilter *f, uint64_t hash) {
  uint64_t bits = lsm_keyfilter_bits(hash);
  for (; f != NULL; f = f->older) {
    uint64_t w = atomic_load_explicit(&f->word[hash >> f->shift], memory_order_relaxed);
    if ((w & bits) == bits) return true;
  }
  return false;
}

#endif
