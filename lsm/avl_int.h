/* avl_int.h: what avl.c (changing) and avl_read.c (reading) share: comparing
** keys and the heights in a node. */
#ifndef LSM_AVL_INT_H
#define LSM_AVL_INT_H

#include "avl.h"

/* Key bytes in head and tail. */
#define AVL_PREFIX  14
#define AVL_HEIGHTS 0xFFFFu /* the bits of tail that are not key bytes */

/* Compares what lies beyond equal heads and tails. If one key ends within the
** prefix, the other has only zeros there: the longer is the greater. */
static inline int avl_cmp_rest(lsm_slice a, lsm_slice b) {
  if (a.size <= AVL_PREFIX || b.size <= AVL_PREFIX) {
    return a.size < b.size ? -1 : a.size > b.size;
  }
  return lsm_slice_cmp(lsm_slice_of(a.data + AVL_PREFIX, a.size - AVL_PREFIX),
                       lsm_slice_of(b.data + AVL_PREFIX, b.size - AVL_PREFIX));
}

/* Order of a key and a node's, when the heads are equal. */
static inline int avl_cmp_tail(const lsm_avl_key *k, const lsm_avl_node *n) {
  uint64_t tail = n->tail & ~(uint64_t)AVL_HEIGHTS;
  if (k->tail != tail) return k->tail < tail ? -1 : 1;
  return avl_cmp_rest(k->key, lsm_avl_node_key(n));
}

static inline int avl_cmp(const lsm_avl_key *k, const lsm_avl_node *n) {
  if (LSM_LIKELY(k->head != n->head)) return k->head < n->head ? -1 : 1;
  return avl_cmp_tail(k, n);
}

#if defined(__GNUC__)
#define AVL_PREFETCH(p) __builtin_prefetch(p)
#else
#define AVL_PREFETCH(p) ((void)(p))
#endif

/* Asks for both children before it is known which way to go: waiting for
** memory is what a descent in a large tree spends its time with. (Node 0 is
** none, but has an address.) A macro, as gcc drops calls of functions that do
** nothing but prefetch. */
#define AVL_PREFETCH_CHILDREN(t, n)          \
  do {                                       \
    AVL_PREFETCH(lsm_avl_at(t, n->link[0])); \
    AVL_PREFETCH(lsm_avl_at(t, n->link[1])); \
  } while (0)

/* Height of the child on side DIR; of the node. */
static inline uint32_t avl_child_height(const lsm_avl_node *n, int dir) {
  return (uint32_t)(n->tail >> (dir * 8)) & 0xFF;
}
static inline uint32_t avl_node_height(const lsm_avl_node *n) {
  uint32_t l = avl_child_height(n, 0), r = avl_child_height(n, 1);
  return 1 + (l > r ? l : r);
}

#endif
