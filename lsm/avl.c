/* avl.c: the nodes' memory, and what changes trees: insertion, and cutting
** ranges out by split and join (Blelloch, Ferizovic, Sun 2016, "Just join for
** parallel ordered sets"): join is the only place that rebalances there.
**
** All of it works on nodes reserved beforehand, so that nothing fails half
** done. */
#include "avl_int.h"

/*----------------------------------------------------------------- memory */

#define FIRST_TABLE 16u
#define MAX_CHUNKS  ((1u << (32 - LSM_AVL_CHUNK_BITS)) - 1) /* numbers have 32 bits */
#define ALIGN       64u                                     /* nodes never straddle a cache line */

static uint32_t chunk_nodes(uint32_t chunk) {
  return chunk == 0 ? 256 : chunk == 1 ? 2048 : LSM_AVL_CHUNK;
}

static size_t chunk_bytes(uint32_t chunk) {
  return chunk_nodes(chunk) * sizeof(lsm_avl_node) + ALIGN + sizeof(void *);
}

/* Aligned memory; where it really begins stands in front of it. */
static lsm_avl_node *chunk_new(uint32_t chunk) {
  uint8_t *raw = lsm_malloc(chunk_bytes(chunk));
  if (raw == NULL) return NULL;
  size_t off = sizeof(void *);
  off += (ALIGN - ((uintptr_t)raw + off) % ALIGN) % ALIGN;
  memcpy(raw + off - sizeof(void *), &raw, sizeof(void *));
  return (lsm_avl_node *)(void *)(raw + off);
}

static void chunk_free(lsm_avl_node *nodes) {
  void *raw;
  memcpy(&raw, (uint8_t *)nodes - sizeof(void *), sizeof(void *));
  lsm_free(raw);
}

static size_t table_bytes(uint32_t cap) {
  return sizeof(lsm_avl_table) + cap * sizeof(lsm_avl_node *);
}

/* The writer's own view of the table. */
static inline lsm_avl_table *table_of(const lsm_avl *a) {
  return atomic_load_explicit(&a->table, memory_order_relaxed);
}
static inline lsm_avl_node *at(const lsm_avl *a, uint32_t i) {
  return &table_of(a)->chunk[i >> LSM_AVL_CHUNK_BITS][i & (LSM_AVL_CHUNK - 1)];
}

void lsm_avl_init(lsm_avl *a) {
  memset(a, 0, sizeof *a);
  a->next = a->limit = 1; /* 0 is "none" */
}

void lsm_avl_reset(lsm_avl *a, size_t keep) {
  lsm_avl_table *t = table_of(a);
  size_t kept = 0;
  uint32_t n = 0;
  if (t != NULL) {
    for (lsm_avl_table *older; t->older != NULL; t->older = older) {
      older = t->older->older;
      a->memory -= table_bytes(t->older->cap);
      lsm_free(t->older);
    }
    while (n < a->chunks && kept + chunk_bytes(n) <= keep) kept += chunk_bytes(n++);
    for (uint32_t i = n; i < a->chunks; i++) {
      a->memory -= chunk_bytes(i);
      chunk_free(t->chunk[i]);
    }
  }
  a->chunks = n;
  a->shared_below = 0;
  a->next = 1;
  a->limit = n == 0 ? 1 : chunk_nodes(0);
}

void lsm_avl_fini(lsm_avl *a) {
  lsm_avl_reset(a, 0);
  lsm_free(table_of(a));
  lsm_avl_init(a);
}

/* Room in the table for one more chunk. */
static bool grow_table(lsm_avl *a) {
  lsm_avl_table *old = table_of(a);
  if (old != NULL && a->chunks < old->cap) return true;
  uint32_t cap = old == NULL ? FIRST_TABLE : old->cap * 4;
  lsm_avl_table *t = lsm_malloc(table_bytes(cap));
  if (t == NULL) return false;
  t->older = old;
  t->cap = cap;
  if (a->chunks > 0) memcpy(t->chunk, old->chunk, a->chunks * sizeof t->chunk[0]);
  a->memory += table_bytes(cap);
  atomic_store_explicit(&a->table, t, memory_order_release);
  return true;
}

/* Chunk that node a->next - 1 is in. */
static uint32_t current_chunk(const lsm_avl *a) {
  return (a->next - 1) >> LSM_AVL_CHUNK_BITS;
}

lsm_rc lsm_avl_reserve_slow(lsm_avl *a, uint64_t n) {
  uint64_t have = a->limit - a->next;
  for (uint32_t c = current_chunk(a) + (a->chunks > 0); c < a->chunks; c++) {
    have += chunk_nodes(c);
  }
  while (have < n) {
    if (a->chunks == MAX_CHUNKS) return lsm_fail(LSM_FULL, "too many entries in one memtable");
    if (!grow_table(a)) return lsm_nomem();
    lsm_avl_node *nodes = chunk_new(a->chunks);
    if (nodes == NULL) return lsm_nomem();
    a->memory += chunk_bytes(a->chunks);
    table_of(a)->chunk[a->chunks] = nodes;
    have += chunk_nodes(a->chunks) - (a->chunks == 0);
    a->chunks++;
    if (a->chunks == 1) a->limit = chunk_nodes(0);
  }
  return LSM_OK;
}

uint32_t lsm_avl_count(const lsm_avl *a) {
  uint32_t c = current_chunk(a);
  uint32_t n = a->next - (c << LSM_AVL_CHUNK_BITS) - 1;
  if (c > 0) n += chunk_nodes(0);
  if (c > 1) n += chunk_nodes(1);
  if (c > 2) n += (c - 2) << LSM_AVL_CHUNK_BITS;
  return n;
}

void lsm_avl_rewind(lsm_avl *a, uint32_t next) {
  assert(next <= a->next);
  a->next = next;
  if (a->chunks == 0) return;
  uint32_t c = current_chunk(a);
  a->limit = (c << LSM_AVL_CHUNK_BITS) + chunk_nodes(c);
}

/* The next node's number. REQUIRES: reserved. */
static uint32_t take_node(lsm_avl *a) {
  if (LSM_UNLIKELY(a->next == a->limit)) {
    uint32_t c = current_chunk(a) + 1;
    assert(c < a->chunks);
    a->next = c << LSM_AVL_CHUNK_BITS;
    a->limit = a->next + chunk_nodes(c);
  }
  return a->next++;
}

/*------------------------------------------------------------------ nodes */

lsm_avl_key lsm_avl_key_of(lsm_slice key) {
  uint8_t pad[AVL_PREFIX] = {0};
  const uint8_t *p = key.data;
  if (LSM_UNLIKELY(key.size < AVL_PREFIX)) {
    if (key.size > 0) memcpy(pad, key.data, key.size);
    p = pad;
  }
  lsm_avl_key k;
  k.head = (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
           (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
           (uint64_t)p[6] << 8 | (uint64_t)p[7];
  k.tail = (uint64_t)p[8] << 56 | (uint64_t)p[9] << 48 | (uint64_t)p[10] << 40 |
           (uint64_t)p[11] << 32 | (uint64_t)p[12] << 24 | (uint64_t)p[13] << 16;
  k.key = key;
  return k;
}

static inline void set_child_height(lsm_avl_node *n, int dir, uint32_t h) {
  n->tail = (n->tail & ~((uint64_t)0xFF << (dir * 8))) | (uint64_t)h << (dir * 8);
}

static inline void set_child(lsm_avl_node *n, int dir, uint32_t child, uint32_t h) {
  n->link[dir] = child;
  set_child_height(n, dir, h);
}

static inline uint32_t height_of(const lsm_avl *a, uint32_t i) {
  return i == 0 ? 0 : avl_node_height(at(a, i));
}

/* The node's number after making sure that it may be changed. */
static inline uint32_t own(lsm_avl *a, uint32_t i) {
  if (i >= a->shared_below) return i;
  uint32_t copy = take_node(a);
  *at(a, copy) = *at(a, i);
  return copy;
}

static uint32_t new_node(lsm_avl *a, const lsm_avl_key *key, const uint8_t *entry) {
  uint32_t i = take_node(a);
  lsm_avl_node *n = at(a, i);
  n->head = key->head;
  n->tail = key->tail;
  n->entry = entry;
  n->link[0] = n->link[1] = 0;
  return i;
}

/* The children of I, which is owned, differ in height by two: rotates and
** returns the node that takes its place. */
static uint32_t rotate(lsm_avl *a, uint32_t i) {
  lsm_avl_node *n = at(a, i);
  int dir = avl_child_height(n, 1) > avl_child_height(n, 0);
  uint32_t c = own(a, n->link[dir]);
  lsm_avl_node *cn = at(a, c);
  if (avl_child_height(cn, !dir) <= avl_child_height(cn, dir)) {
    set_child(n, dir, cn->link[!dir], avl_child_height(cn, !dir));
    set_child(cn, !dir, i, avl_node_height(n));
    return c;
  }
  uint32_t g = own(a, cn->link[!dir]);
  lsm_avl_node *gn = at(a, g);
  set_child(cn, !dir, gn->link[dir], avl_child_height(gn, dir));
  set_child(n, dir, gn->link[!dir], avl_child_height(gn, !dir));
  set_child(gn, dir, c, avl_node_height(cn));
  set_child(gn, !dir, i, avl_node_height(n));
  return g;
}

/*-------------------------------------------------------------- insertion */

/* Makes node I the child at the end of PATH cut to DEPTH; returns the root. */
static inline uint32_t attach(lsm_avl *a, uint32_t root, const lsm_avl_path *path, uint32_t depth,
                              uint32_t i) {
  if (depth == 0) return i;
  at(a, path->node[depth - 1])->link[path->dir[depth - 1]] = i;
  return root;
}

/* Owns all of PATH. Below a shared node all are shared, so the last one tells
** whether there is anything to do. */
static uint32_t own_path(lsm_avl *a, uint32_t root, lsm_avl_path *path) {
  if (path->depth == 0 || path->node[path->depth - 1] >= a->shared_below) return root;
  uint32_t d = 0;
  while (path->node[d] >= a->shared_below) d++;
  for (; d < path->depth; d++) {
    path->node[d] = own(a, path->node[d]);
    root = attach(a, root, path, d, path->node[d]);
  }
  return root;
}

/* A leaf was added at the end of PATH: corrects heights upwards, as far as
** they change, and cuts the path off where it had to rotate. */
static uint32_t retrace(lsm_avl *a, uint32_t root, lsm_avl_path *path) {
  uint32_t h = 1;
  for (uint32_t d = path->depth; d-- > 0;) {
    lsm_avl_node *n = at(a, path->node[d]);
    int dir = path->dir[d];
    uint32_t other = avl_child_height(n, !dir);
    set_child_height(n, dir, h);
    if (h <= other) break;
    if (h > other + 1) {
      path->depth = d;
      return attach(a, root, path, d, rotate(a, path->node[d]));
    }
    h++;
  }
  return root;
}

uint32_t lsm_avl_put(lsm_avl *a, uint32_t root, const lsm_avl_key *key, const uint8_t *entry,
                     lsm_avl_path *path, bool *added) {
  const lsm_avl_table *t = table_of(a);
  uint32_t d = path->depth;
  uint32_t i = d == 0 ? root : lsm_avl_at(t, path->node[d - 1])->link[path->dir[d - 1]];
  while (i != 0) {
    const lsm_avl_node *n = lsm_avl_at(t, i);
    int dir;
    AVL_PREFETCH_CHILDREN(t, n);
    if (LSM_LIKELY(key->head != n->head)) {
      dir = key->head > n->head;
    } else {
      int c = avl_cmp_tail(key, n);
      if (c == 0) break;
      dir = c > 0;
    }
    path->node[d] = i;
    path->dir[d++] = (uint8_t)dir;
    i = n->link[dir];
  }
  path->depth = d;
  *added = i == 0;
  if (i != 0) {
    if (i < a->shared_below) {
      root = own_path(a, root, path);
      i = own(a, i);
      root = attach(a, root, path, d, i);
    }
    at(a, i)->entry = entry;
    return root;
  }
  root = own_path(a, root, path);
  root = attach(a, root, path, d, new_node(a, key, entry));
  return retrace(a, root, path);
}

void lsm_avl_climb(const lsm_avl *a, const lsm_avl_key *key, lsm_avl_path *path) {
  for (uint32_t d = path->depth; d-- > 0;) {
    if (path->dir[d] != 0) continue;
    if (avl_cmp(key, at(a, path->node[d])) < 0) return;
    path->depth = d;
  }
}

/*---------------------------------------------------------- split and join */

/* Joins left, the owned node K, and right. Walks down the inner side of the
** higher tree to a subtree that is about as high as the other tree, puts K
** there above both, and corrects upwards. */
static uint32_t join(lsm_avl *a, uint32_t left, uint32_t k, uint32_t right) {
  uint32_t side[2] = {left, right};
  uint32_t h[2] = {height_of(a, left), height_of(a, right)};
  int high = h[1] > h[0];
  uint32_t spine[LSM_AVL_MAX_HEIGHT];
  uint32_t depth = 0;
  uint32_t i = side[high], hi = h[high];
  while (hi > h[!high] + 1) {
    i = own(a, i);
    if (depth > 0) at(a, spine[depth - 1])->link[!high] = i;
    spine[depth++] = i;
    const lsm_avl_node *n = at(a, i);
    hi = avl_child_height(n, !high);
    i = n->link[!high];
  }
  set_child(at(a, k), high, i, hi);
  set_child(at(a, k), !high, side[!high], h[!high]);
  while (depth > 0) {
    uint32_t p = spine[--depth];
    lsm_avl_node *n = at(a, p);
    uint32_t kh = height_of(a, k);
    set_child(n, !high, k, kh);
    k = kh > avl_child_height(n, high) + 1 ? rotate(a, p) : p;
  }
  return k;
}

/* Splits the tree I into keys smaller than KEY and the others; TOO: into those
** up to and with KEY and the others. */
static void split(lsm_avl *a, uint32_t i, const lsm_avl_key *key, bool too, uint32_t *left,
                  uint32_t *right) {
  *left = *right = 0;
  if (i == 0) return;
  const lsm_avl_node *n = at(a, i);
  uint32_t l = n->link[0], r = n->link[1], mid;
  int c = avl_cmp(key, n);
  if (c > 0 || (c == 0 && too)) {
    split(a, r, key, too, &mid, right);
    *left = join(a, l, own(a, i), mid);
  } else {
    split(a, l, key, too, left, &mid);
    *right = join(a, mid, own(a, i), r);
  }
}

uint64_t lsm_avl_cut(lsm_avl *a, uint32_t root, const lsm_avl_key *lo, const lsm_avl_key *hi,
                     bool hi_too, uint32_t *left, uint32_t *right) {
  uint32_t rest, mid;
  split(a, root, lo, false, left, &rest);
  split(a, rest, hi, hi_too, &mid, right);
  return lsm_avl_size(table_of(a), mid);
}

/* Takes the greatest node out of the tree I, owned in *last. */
static uint32_t pop_last(lsm_avl *a, uint32_t i, uint32_t *last) {
  const lsm_avl_node *n = at(a, i);
  uint32_t l = n->link[0], r = n->link[1];
  if (r == 0) {
    *last = own(a, i);
    return l;
  }
  r = pop_last(a, r, last);
  return join(a, l, own(a, i), r);
}

uint32_t lsm_avl_join(lsm_avl *a, uint32_t left, const lsm_avl_key *key, const uint8_t *entry,
                      uint32_t right) {
  return join(a, left, new_node(a, key, entry), right);
}

uint32_t lsm_avl_join2(lsm_avl *a, uint32_t left, uint32_t right) {
  if (left == 0) return right;
  if (right == 0) return left;
  uint32_t k;
  left = pop_last(a, left, &k);
  return join(a, left, k, right);
}
