/* avl.h: ordered sets of entries as AVL trees that keep their old versions.
**
** A store (lsm_avl) holds the nodes of any number of trees; a tree is the
** number of its root node, 0 when empty. Changing one returns the new root.
** Nodes numbered below shared_below may be seen through older roots: they are
** copied before a change, and so is the path to them (path copying: Driscoll
** et al. 1989, "Making data structures persistent"). All others are changed in
** place. As numbers are given out in rising order, "made after the last view
** was taken" is one comparison and needs no field in the node.
**
** Owns:  the nodes, in chunks; not the entries they point to.
** Holds: (1) a node below shared_below is never written;
**        (2) head and tail repeat the first 14 bytes of the entry's key;
**        (3) the heights a node notes of its children are exact and differ by
**            at most one, so no change ever reads a node beside its path.
** Locks: one writer. A reader needs a root, and the table loaded after it got
**        the root in a way that orders it behind the writer's changes. */
#ifndef LSM_AVL_H
#define LSM_AVL_H

#include "batch.h"

/* 32 bytes; two fill a cache line. */
typedef struct lsm_avl_node {
  uint64_t head; /* key bytes 0..7, big-endian, padded with zeros */
  uint64_t tail; /* key bytes 8..13, then the heights of the two children */
  const uint8_t *entry;
  uint32_t link[2]; /* smaller, greater; 0 for none */
} lsm_avl_node;

/* AVL trees of 2^32 nodes are at most 46 high. */
#define LSM_AVL_MAX_HEIGHT 48

/* Node i is in chunk i >> BITS; the first chunks have fewer nodes than their
** numbers have room for, so that a small tree costs little. */
#define LSM_AVL_CHUNK_BITS 13
#define LSM_AVL_CHUNK      (1u << LSM_AVL_CHUNK_BITS)

/* Where the chunks are. When it is full a larger one takes its place, and it
** stays for those who read through it. */
typedef struct lsm_avl_table {
  struct lsm_avl_table *older;
  uint32_t cap;
  lsm_avl_node *chunk[];
} lsm_avl_table;

typedef struct lsm_avl {
  lsm_avl_table *_Atomic table;
  uint32_t next;   /* number of the next node */
  uint32_t limit;  /* end of the numbers in its chunk */
  uint32_t chunks; /* in the table */
  uint32_t shared_below;
  size_t memory; /* bytes from the allocator */
} lsm_avl;

/* A key made ready for comparing. */
typedef struct lsm_avl_key {
  uint64_t head;
  uint64_t tail; /* the low 16 bits are zero */
  lsm_slice key;
} lsm_avl_key;

/* The nodes above a place, from the root down, and which way it goes on from
** each. depth 0: the root. */
typedef struct lsm_avl_path {
  uint32_t depth;
  uint32_t node[LSM_AVL_MAX_HEIGHT];
  uint8_t dir[LSM_AVL_MAX_HEIGHT];
} lsm_avl_path;

void lsm_avl_init(lsm_avl *a);
void lsm_avl_fini(lsm_avl *a);
/* Forgets all nodes; keeps chunks of up to KEEP bytes in all. */
void lsm_avl_reset(lsm_avl *a, size_t keep);

/* Makes sure that N nodes can be made. LSM_NOMEM, LSM_FULL: nothing changed. */
lsm_rc lsm_avl_reserve_slow(lsm_avl *a, uint64_t n);
static inline lsm_rc lsm_avl_reserve(lsm_avl *a, uint64_t n) {
  if (LSM_LIKELY(a->limit - a->next >= n)) return LSM_OK;
  return lsm_avl_reserve_slow(a, n);
}

/* Nodes made so far that were not taken back. */
uint32_t lsm_avl_count(const lsm_avl *a);
/* Takes back all nodes from number NEXT (an earlier a->next) on. */
void lsm_avl_rewind(lsm_avl *a, uint32_t next);

static inline const lsm_avl_table *lsm_avl_load(const lsm_avl *a) {
  return atomic_load_explicit(&a->table, memory_order_acquire);
}
static inline const lsm_avl_node *lsm_avl_at(const lsm_avl_table *t, uint32_t i) {
  return &t->chunk[i >> LSM_AVL_CHUNK_BITS][i & (LSM_AVL_CHUNK - 1)];
}

lsm_avl_key lsm_avl_key_of(lsm_slice key);
lsm_slice lsm_avl_node_key(const lsm_avl_node *n);
/* Sets all of *k but the key itself. */
static inline void lsm_avl_node_prefix(const lsm_avl_node *n, lsm_avl_key *k) {
  k->head = n->head;
  k->tail = n->tail & ~(uint64_t)0xFFFF;
}

/* No tree of N nodes is higher. */
uint32_t lsm_avl_height_bound(uint64_t n);
/* How high a tree is. */
uint32_t lsm_avl_height(const lsm_avl_table *t, uint32_t root);

/*--------------------------------------------------------------- changing */
/* These take nodes that were reserved: see each. Old nodes of a tree that can
** be seen through another root are left as they are. */

/* Most nodes lsm_avl_put() and lsm_avl_cut() with one lsm_avl_join() can take
** in a tree of height H, when all of it is shared. */
#define LSM_AVL_PUT_NODES(h) ((uint64_t)(h) + 1)
#define LSM_AVL_CUT_NODES(h) (24 * (uint64_t)(h) + 24)

/* Adds entry under key, or makes the node of that key point to it; *added says
** which. path: where to start (depth 0: at the root) and, afterwards, the
** place of the key or a place above it: see lsm_avl_climb(). */
uint32_t lsm_avl_put(lsm_avl *a, uint32_t root, const lsm_avl_key *key, const uint8_t *entry,
                     lsm_avl_path *path, bool *added);

/* Shortens a path that lsm_avl_put() left in this tree until it is one to the
** place of KEY, which is greater than that put's. */
void lsm_avl_climb(const lsm_avl *a, const lsm_avl_key *key, lsm_avl_path *path);

/* Takes the keys from lo to hi, exclusive unless HI_TOO, out of the tree: *left
** gets what is smaller, *right what is greater. Returns how many were taken. */
uint64_t lsm_avl_cut(lsm_avl *a, uint32_t root, const lsm_avl_key *lo, const lsm_avl_key *hi,
                     bool hi_too, uint32_t *left, uint32_t *right);

/* All keys of left are smaller than all of right. With a key in between (a new
** node for ENTRY), or without. */
uint32_t lsm_avl_join(lsm_avl *a, uint32_t left, const lsm_avl_key *key, const uint8_t *entry,
                      uint32_t right);
uint32_t lsm_avl_join2(lsm_avl *a, uint32_t left, uint32_t right);

/*---------------------------------------------------------------- reading */

/* Walks to the places of N keys at once (those of other trees' nodes), so that
** their waiting for memory overlaps; afterwards the nodes there are in cache,
** and so are the N entries. */
#define LSM_AVL_WARM 16
void lsm_avl_warm(const lsm_avl_table *t, uint32_t root, const lsm_avl_node *const *nodes, int n);

/* The node of key, or NULL. */
const lsm_avl_node *lsm_avl_find(const lsm_avl_table *t, uint32_t root, const lsm_avl_key *key);
/* The last node <= key, < key if STRICT, or NULL. */
const lsm_avl_node *lsm_avl_floor(const lsm_avl_table *t, uint32_t root, const lsm_avl_key *key,
                                  bool strict);
/* The first node >= key, or NULL. */
const lsm_avl_node *lsm_avl_ceiling(const lsm_avl_table *t, uint32_t root, const lsm_avl_key *key);
uint64_t lsm_avl_size(const lsm_avl_table *t, uint32_t root); /* counts them */
/* The number nearest to guess that this tree can have, going by its height;
** about what part of the keys, 0 to 1, is smaller than key: reads one path. */
uint64_t lsm_avl_estimate(const lsm_avl_table *t, uint32_t root, uint64_t guess);
double lsm_avl_rank(const lsm_avl_table *t, uint32_t root, const lsm_avl_key *key);
/* For tests: is it a search tree, balanced, with right heights and prefixes? */
bool lsm_avl_check(const lsm_avl_table *t, uint32_t root);

/* A place in a tree that does not change. Each move returns the node it comes
** to, NULL off the ends; next and prev REQUIRE that it stands on one. */
typedef struct lsm_avl_iter {
  const lsm_avl_table *table;
  uint32_t root;
  uint32_t depth; /* 0: nowhere */
  uint32_t stack[LSM_AVL_MAX_HEIGHT];
} lsm_avl_iter;

static inline void lsm_avl_iter_init(lsm_avl_iter *it, const lsm_avl_table *t, uint32_t root) {
  it->table = t;
  it->root = root;
  it->depth = 0;
}
const lsm_avl_node *lsm_avl_iter_first(lsm_avl_iter *it);
const lsm_avl_node *lsm_avl_iter_last(lsm_avl_iter *it);
const lsm_avl_node *lsm_avl_iter_ge(lsm_avl_iter *it, const lsm_avl_key *key);
const lsm_avl_node *lsm_avl_iter_le(lsm_avl_iter *it, const lsm_avl_key *key);
const lsm_avl_node *lsm_avl_iter_next(lsm_avl_iter *it);
const lsm_avl_node *lsm_avl_iter_prev(lsm_avl_iter *it);

#endif
