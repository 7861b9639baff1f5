/* avl_read.c: finding and walking in trees that do not change meanwhile. */
#include "avl_int.h"

lsm_slice lsm_avl_node_key(const lsm_avl_node *n) {
  lsm_entry e;
  lsm_entry_get(n->entry, &e);
  return e.key;
}

uint32_t lsm_avl_height_bound(uint64_t n) {
  /* 1.4405 log2(n + 2) is the bound; bits >= log2(n + 2) */
  uint32_t bits = 1;
  while (bits < 40 && (n + 2) >> bits != 0) bits++;
  return bits + bits / 2;
}

uint32_t lsm_avl_height(const lsm_avl_table *t, uint32_t root) {
  return root == 0 ? 0 : avl_node_height(lsm_avl_at(t, root));
}

const lsm_avl_node *lsm_avl_find(const lsm_avl_table *t, uint32_t root, const lsm_avl_key *key) {
  while (root != 0) {
    const lsm_avl_node *n = lsm_avl_at(t, root);
    int dir;
    AVL_PREFETCH_CHILDREN(t, n);
    if (LSM_LIKELY(key->head != n->head)) {
      dir = key->head > n->head;
    } else {
      int c = avl_cmp_tail(key, n);
      if (c == 0) return n;
      dir = c > 0;
    }
    root = n->link[dir];
  }
  return NULL;
}

void lsm_avl_warm(const lsm_avl_table *t, uint32_t root, const lsm_avl_node *const *nodes, int n) {
  uint32_t at[LSM_AVL_WARM];
  int left = root == 0 ? 0 : n;
  for (int j = 0; j < n; j++) {
    at[j] = root;
    AVL_PREFETCH(nodes[j]->entry);
  }
  while (left > 0) {
    for (int j = 0; j < n; j++) {
      if (at[j] == 0) continue;
      const lsm_avl_node *node = lsm_avl_at(t, at[j]);
      uint64_t a = nodes[j]->head, b = node->head;
      if (a == b) {
        a = nodes[j]->tail >> 16;
        b = node->tail >> 16;
      }
      at[j] = a == b ? 0 : node->link[a > b];
      if (at[j] == 0) {
        left--;
      } else {
        AVL_PREFETCH(lsm_avl_at(t, at[j]));
      }
    }
  }
}

const lsm_avl_node *lsm_avl_floor(const lsm_avl_table *t, uint32_t root, const lsm_avl_key *key,
                                  bool strict) {
  const lsm_avl_node *best = NULL;
  while (root != 0) {
    const lsm_avl_node *n = lsm_avl_at(t, root);
    int c = avl_cmp(key, n);
    bool right = c > 0 || (c == 0 && !strict);
    if (right) best = n;
    root = n->link[right];
  }
  return best;
}

const lsm_avl_node *lsm_avl_ceiling(const lsm_avl_table *t, uint32_t root, const lsm_avl_key *key) {
  const lsm_avl_node *best = NULL;
  while (root != 0) {
    const lsm_avl_node *n = lsm_avl_at(t, root);
    bool right = avl_cmp(key, n) > 0;
    if (!right) best = n;
    root = n->link[right];
  }
  return best;
}

uint64_t lsm_avl_size(const lsm_avl_table *t, uint32_t root) {
  uint64_t n = 0;
  while (root != 0) { /* depth of recursion: the height */
    const lsm_avl_node *node = lsm_avl_at(t, root);
    n += 1 + lsm_avl_size(t, node->link[0]);
    root = node->link[1];
  }
  return n;
}

/* Nodes that a tree of height H has, about: between full and random ones. */
static double usual_size(uint32_t h) {
  return h == 0 ? 0 : h == 1 ? 1 : 0.7 * (double)((uint64_t)1 << h);
}

uint64_t lsm_avl_estimate(const lsm_avl_table *t, uint32_t root, uint64_t guess) {
  uint32_t h = lsm_avl_height(t, root);
  uint64_t fewest = 0, before = 0;
  for (uint32_t i = 0; i < h; i++) { /* as Fibonacci trees have */
    uint64_t n = i == 0 ? 1 : fewest + before + 1;
    before = fewest;
    fewest = n;
  }
  uint64_t most = ((uint64_t)1 << h) - 1;
  return guess < fewest ? fewest : guess > most ? most : guess;
}

/* The part a subtree has is divided between its children as their heights say,
** so that the parts always add up. */
double lsm_avl_rank(const lsm_avl_table *t, uint32_t root, const lsm_avl_key *key) {
  double rank = 0, part = 1;
  while (root != 0) {
    const lsm_avl_node *n = lsm_avl_at(t, root);
    double l = usual_size(avl_child_height(n, 0)), r = usual_size(avl_child_height(n, 1));
    double left = part * l / (l + r + 1);
    bool right = avl_cmp(key, n) > 0;
    if (right) rank += left + part / (l + r + 1);
    part = right ? part * r / (l + r + 1) : left;
    root = n->link[right];
  }
  return rank;
}

/* Checks the tree I; *prev is the node before it in order, then its last. */
static bool check(const lsm_avl_table *t, uint32_t i, const lsm_avl_node **prev, uint32_t *height) {
  *height = 0;
  if (i == 0) return true;
  uint32_t l, r;
  const lsm_avl_node *n = lsm_avl_at(t, i);
  if (!check(t, n->link[0], prev, &l)) return false;
  lsm_avl_key key = lsm_avl_key_of(lsm_avl_node_key(n));
  if (key.head != n->head || key.tail != (n->tail & ~(uint64_t)AVL_HEIGHTS)) return false;
  if (*prev != NULL) {
    if (avl_cmp(&key, *prev) <= 0) return false;
    if (lsm_slice_cmp(lsm_avl_node_key(*prev), key.key) >= 0) return false;
  }
  *prev = n;
  if (!check(t, n->link[1], prev, &r)) return false;
  if (avl_child_height(n, 0) != l || avl_child_height(n, 1) != r) return false;
  *height = avl_node_height(n);
  return l <= r + 1 && r <= l + 1;
}

bool lsm_avl_check(const lsm_avl_table *t, uint32_t root) {
  const lsm_avl_node *prev = NULL;
  uint32_t height;
  return check(t, root, &prev, &height);
}

/*--------------------------------------------------------------- iterator */

/* Goes down from I to its first (dir 0) or last (dir 1) node. */
static const lsm_avl_node *descend(lsm_avl_iter *it, uint32_t i, int dir) {
  const lsm_avl_node *n = NULL;
  for (; i != 0; i = n->link[dir]) {
    n = lsm_avl_at(it->table, i);
    it->stack[it->depth++] = i;
    AVL_PREFETCH(n->entry); /* these come next, in the end */
    AVL_PREFETCH(lsm_avl_at(it->table, n->link[!dir]));
  }
  return n;
}

const lsm_avl_node *lsm_avl_iter_first(lsm_avl_iter *it) {
  it->depth = 0;
  return descend(it, it->root, 0);
}

const lsm_avl_node *lsm_avl_iter_last(lsm_avl_iter *it) {
  it->depth = 0;
  return descend(it, it->root, 1);
}

/* The nearest node to key on side DIR of it (1: >= key, 0: <= key): the last
** one on the way down that is on that side, as a prefix of the way. */
static const lsm_avl_node *seek(lsm_avl_iter *it, const lsm_avl_key *key, int dir) {
  const lsm_avl_node *best = NULL;
  uint32_t depth = 0, best_depth = 0;
  for (uint32_t i = it->root; i != 0;) {
    const lsm_avl_node *n = lsm_avl_at(it->table, i);
    it->stack[depth++] = i;
    int c = avl_cmp(key, n);
    bool candidate = dir ? c <= 0 : c >= 0;
    if (candidate) {
      best = n;
      best_depth = depth;
    }
    if (c == 0) break;
    i = n->link[c > 0];
  }
  it->depth = best_depth;
  return best;
}

const lsm_avl_node *lsm_avl_iter_ge(lsm_avl_iter *it, const lsm_avl_key *key) {
  return seek(it, key, 1);
}

const lsm_avl_node *lsm_avl_iter_le(lsm_avl_iter *it, const lsm_avl_key *key) {
  return seek(it, key, 0);
}

/* To the neighbour on side DIR: the nearest below, or else the first above
** that is not reached from that side. */
static const lsm_avl_node *step(lsm_avl_iter *it, int dir) {
  uint32_t i = it->stack[it->depth - 1];
  uint32_t child = lsm_avl_at(it->table, i)->link[dir];
  if (child != 0) return descend(it, child, !dir);
  while (--it->depth > 0) {
    const lsm_avl_node *n = lsm_avl_at(it->table, it->stack[it->depth - 1]);
    if (n->link[!dir] == i) return n;
    i = it->stack[it->depth - 1];
  }
  return NULL;
}

const lsm_avl_node *lsm_avl_iter_next(lsm_avl_iter *it) {
  return step(it, 1);
}

const lsm_avl_node *lsm_avl_iter_prev(lsm_avl_iter *it) {
  return step(it, 0);
}
