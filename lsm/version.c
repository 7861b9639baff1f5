/* version.c: file records, trees and versions, and how an edit makes the next
** version out of one.
**
** Owns:  lsm_filemeta, lsm_tree, lsm_version and their reference counts.
** Holds: (1) a tree with refs == 1 inside a version that is being built is
**            private to it (the version it came from holds all others): only
**            such trees are changed;
**        (2) files of a tree: level 0 by run, newest first, then by smallest
**            key; below by smallest key; disjoint inside a run and a level;
**        (3) no two files of a version have the same number;
**        (4) all records of a file number share one lsm_file_life, whose last
**            reference, if the file was removed, is the end of the file.
** Locks: none; what is published never changes.
** Bytes: none here; edit.c has those of edits. */
#include "version.h"

#include <stdlib.h>

/* One file number, through all the records it has in its life. */
struct lsm_file_life {
  _Atomic uint32_t refs; /* records */
  _Atomic bool removed;  /* a durable edit says so */
  uint64_t number;
  void (*on_garbage)(void *arg, uint64_t number);
  void *arg;
};
typedef struct lsm_file_life life;

/* What lsm_version_apply() carries through its steps. */
typedef struct apply_ctx {
  const lsm_edit *e;
  const char *file;
  uint64_t off;
  lsm_version *next;
} apply_ctx;

static lsm_rc misfit(const apply_ctx *a, const char *what) {
  return lsm_corrupt(a->file, a->off, what);
}

/*------------------------------------------------------------ file records */

lsm_rc lsm_filemeta_new(uint64_t number, uint32_t keyspace, int level, uint64_t run,
                        const lsm_sst_props *props, lsm_filemeta **out) {
  *out = NULL;
  assert(level >= 0 && level < LSM_MAX_LEVELS);
  size_t nsmall = props->smallest.size;
  size_t nlarge = props->largest.size;
  lsm_filemeta *f = lsm_calloc(sizeof *f + nsmall + nlarge);
  if (f == NULL) return lsm_nomem();
  uint8_t *keys = (uint8_t *)(f + 1);
  if (nsmall > 0) memcpy(keys, props->smallest.data, nsmall);
  if (nlarge > 0) memcpy(keys + nsmall, props->largest.data, nlarge);
  atomic_init(&f->refs, 1);
  f->number = number;
  f->run = level == 0 ? run : 0;
  f->keyspace = keyspace;
  f->level = (uint8_t)level;
  f->size = props->size;
  f->entries = props->entries;
  f->tombstones = props->tombstones;
  f->ranges = props->ranges;
  f->raw_bytes = props->raw_bytes;
  f->smallest = lsm_slice_of(keys, nsmall);
  f->largest = lsm_slice_of(keys + nsmall, nlarge);
  f->largest_open = props->largest_open;
  f->packed = props->packed;
  f->expiry = props->expiry;
  *out = f;
  return LSM_OK;
}

lsm_filemeta *lsm_filemeta_ref(lsm_filemeta *f) {
  atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
  return f;
}

static void life_unref(life *l) {
  if (l == NULL || atomic_fetch_sub(&l->refs, 1) > 1) return;
  if (atomic_load(&l->removed) && l->on_garbage != NULL) l->on_garbage(l->arg, l->number);
  lsm_free(l);
}

void lsm_filemeta_unref(lsm_filemeta *f) {
  if (f == NULL || atomic_fetch_sub(&f->refs, 1) > 1) return;
  life_unref(f->life);
  lsm_free(f);
}

lsm_rc lsm_filemeta_place(const lsm_filemeta *f, int level, uint64_t run, lsm_filemeta **out) {
  *out = NULL;
  assert(f->life != NULL && level >= 0 && level < LSM_MAX_LEVELS);
  size_t nkeys = f->smallest.size + f->largest.size;
  lsm_filemeta *g = lsm_calloc(sizeof *g + nkeys);
  if (g == NULL) return lsm_nomem();
  uint8_t *keys = (uint8_t *)(g + 1);
  if (f->smallest.size > 0) memcpy(keys, f->smallest.data, f->smallest.size);
  if (f->largest.size > 0) memcpy(keys + f->smallest.size, f->largest.data, f->largest.size);
  atomic_init(&g->refs, 1);
  g->number = f->number;
  g->run = level == 0 ? run : 0;
  g->keyspace = f->keyspace;
  g->level = (uint8_t)level;
  g->size = f->size;
  g->entries = f->entries;
  g->tombstones = f->tombstones;
  g->ranges = f->ranges;
  g->raw_bytes = f->raw_bytes;
  g->smallest = lsm_slice_of(keys, f->smallest.size);
  g->largest = lsm_slice_of(keys + f->smallest.size, f->largest.size);
  g->largest_open = f->largest_open;
  g->packed = f->packed;
  g->expiry = f->expiry;
  g->life = f->life;
  atomic_fetch_add_explicit(&f->life->refs, 1, memory_order_relaxed);
  *out = g;
  return LSM_OK;
}

/* Only who drops the last reference reads the callback, and that is after us. */
void lsm_filemeta_doom(lsm_filemeta *f, bool doomed,
                       void (*on_garbage)(void *arg, uint64_t number), void *arg) {
  f->life->on_garbage = on_garbage;
  f->life->arg = arg;
  atomic_store(&f->life->removed, doomed);
}

/* Is all of f in front of key? */
static bool ends_before(const lsm_filemeta *f, lsm_slice key) {
  int c = lsm_slice_cmp(f->largest, key);
  return c < 0 || (c == 0 && f->largest_open);
}

bool lsm_filemeta_contains(const lsm_filemeta *f, lsm_slice key) {
  return lsm_slice_cmp(f->smallest, key) <= 0 && !ends_before(f, key);
}

bool lsm_filemeta_overlaps(const lsm_filemeta *f, lsm_slice lo, lsm_slice hi, bool hi_open) {
  if (lo.data != NULL && ends_before(f, lo)) return false;
  if (hi.data == NULL) return true;
  int c = lsm_slice_cmp(f->smallest, hi);
  return c < 0 || (c == 0 && !hi_open);
}

size_t lsm_files_find(lsm_filemeta *const *files, size_t count, lsm_slice key) {
  size_t lo = 0;
  size_t hi = count;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (ends_before(files[mid], key)) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

size_t lsm_run_length(const lsm_level *level0, size_t i) {
  size_t end = i;
  while (end < level0->count && level0->files[end]->run == level0->files[i]->run) end++;
  return end - i;
}

uint64_t lsm_level_bytes(const lsm_level *level) {
  uint64_t sum = 0;
  for (size_t i = 0; i < level->count; i++) sum += level->files[i]->size;
  return sum;
}

/*------------------------------------------------------------------- trees */

/* A copy of key in *out; an empty one is NULL. */
static lsm_rc key_copy(lsm_slice key, lsm_slice *out) {
  *out = LSM_SLICE_NULL;
  if (key.size == 0) return LSM_OK;
  uint8_t *p = lsm_malloc(key.size);
  if (p == NULL) return lsm_nomem();
  memcpy(p, key.data, key.size);
  *out = lsm_slice_of(p, key.size);
  return LSM_OK;
}

static void tree_unref(lsm_tree *t) {
  if (t == NULL || atomic_fetch_sub(&t->refs, 1) > 1) return;
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    for (size_t i = 0; i < t->levels[l].count; i++) lsm_filemeta_unref(t->levels[l].files[i]);
    lsm_free(t->levels[l].files);
    lsm_free((uint8_t *)t->compact_key[l].data);
  }
  lsm_free(t);
}

/* A tree with the content of FROM (NULL: empty), and room for what e adds to
** it. */
static lsm_rc tree_new(uint32_t keyspace, const lsm_keyspace_options *opt, const lsm_tree *from,
                       const lsm_edit *e, lsm_tree **out) {
  *out = NULL;
  lsm_tree *t = lsm_calloc(sizeof *t);
  if (t == NULL) return lsm_nomem();
  atomic_init(&t->refs, 1);
  t->keyspace = keyspace;
  t->opt = *opt;
  size_t room[LSM_MAX_LEVELS] = {0};
  for (size_t i = 0; i < e->nadded; i++) {
    if (e->added[i].file->keyspace == keyspace) room[e->added[i].file->level]++;
  }
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    size_t have = from == NULL ? 0 : from->levels[l].count;
    if (have + room[l] > 0) {
      t->levels[l].files = lsm_malloc((have + room[l]) * sizeof *t->levels[l].files);
      if (t->levels[l].files == NULL) goto nomem;
    }
    for (size_t i = 0; i < have; i++) {
      t->levels[l].files[i] = lsm_filemeta_ref(from->levels[l].files[i]);
      t->levels[l].count++;
    }
    if (from != NULL && key_copy(from->compact_key[l], &t->compact_key[l]) != LSM_OK) goto nomem;
  }
  *out = t;
  return LSM_OK;
nomem:
  tree_unref(t);
  return lsm_nomem();
}

static size_t tree_files(const lsm_tree *t) {
  size_t n = 0;
  for (int l = 0; l < LSM_MAX_LEVELS; l++) n += t->levels[l].count;
  return n;
}

static int cmp_u64(uint64_t a, uint64_t b) {
  return a < b ? -1 : a > b;
}

static int cmp_files(const void *a, const void *b) {
  const lsm_filemeta *fa = *(lsm_filemeta *const *)a;
  const lsm_filemeta *fb = *(lsm_filemeta *const *)b;
  int c = cmp_u64(fb->run, fa->run); /* newest first; all 0 below level 0 */
  if (c == 0) c = lsm_slice_cmp(fa->smallest, fb->smallest);
  return c != 0 ? c : cmp_u64(fa->number, fb->number);
}

/* Sorts a level; false when files of a run overlap. */
static bool level_arrange(lsm_level *level) {
  if (level->count > 1) qsort(level->files, level->count, sizeof *level->files, cmp_files);
  for (size_t i = 1; i < level->count; i++) {
    const lsm_filemeta *a = level->files[i - 1];
    const lsm_filemeta *b = level->files[i];
    if (a->run == b->run && !ends_before(a, b->smallest)) return false;
  }
  return true;
}

/*---------------------------------------------------------------- versions */

lsm_rc lsm_version_new(void (*on_garbage)(void *arg, uint64_t number), void *arg,
                       lsm_version **out) {
  lsm_version *v = lsm_calloc(sizeof *v);
  *out = v;
  if (v == NULL) return lsm_nomem();
  atomic_init(&v->refs, 1);
  v->on_garbage = on_garbage;
  v->garbage_arg = arg;
  return LSM_OK;
}

lsm_version *lsm_version_ref(lsm_version *v) {
  atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
  return v;
}

static void drop_leaving(lsm_version *v) {
  for (size_t i = 0; i < v->nleaving; i++) lsm_filemeta_unref(v->leaving[i]);
  lsm_free(v->leaving);
  v->leaving = NULL;
  v->nleaving = 0;
}

void lsm_version_unref(lsm_version *v) {
  if (v == NULL || atomic_fetch_sub(&v->refs, 1) > 1) return;
  for (size_t i = 0; i < v->count; i++) tree_unref(v->trees[i]);
  lsm_free(v->trees);
  drop_leaving(v);
  if (v->on_free != NULL) v->on_free(v->garbage_arg, v->gen);
  lsm_free(v);
}

/* Place of the first tree whose number is not below keyspace. */
static size_t tree_place(const lsm_version *v, uint32_t keyspace) {
  size_t lo = 0;
  size_t hi = v->count;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (v->trees[mid]->keyspace < keyspace) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

const lsm_tree *lsm_version_tree(const lsm_version *v, uint32_t keyspace) {
  size_t i = tree_place(v, keyspace);
  return i < v->count && v->trees[i]->keyspace == keyspace ? v->trees[i] : NULL;
}

bool lsm_version_expires(const lsm_version *v) {
  for (size_t i = 0; i < v->count; i++) {
    if (v->trees[i]->opt.expires) return true;
  }
  return false;
}

/*---------------------------------------------------------- applying edits */

/* v's trees, shared, with room for the keyspaces that e creates. */
static lsm_rc version_copy(lsm_version *v, const lsm_edit *e, lsm_version **next) {
  lsm_rc rc = lsm_version_new(v->on_garbage, v->garbage_arg, next);
  if (rc != LSM_OK) return rc;
  lsm_version *n = *next;
  n->max_number = v->max_number;
  size_t room = v->count + e->nkeyspaces;
  if (room == 0) return LSM_OK;
  n->trees = lsm_malloc(room * sizeof *n->trees);
  if (n->trees == NULL) return lsm_nomem();
  for (size_t i = 0; i < v->count; i++) {
    atomic_fetch_add_explicit(&v->trees[i]->refs, 1, memory_order_relaxed);
    n->trees[i] = v->trees[i];
  }
  n->count = v->count;
  return LSM_OK;
}

/* Room for n more in next->leaving. */
static lsm_rc leaving_room(lsm_version *next, size_t n) {
  if (n == 0) return LSM_OK;
  void *p = lsm_realloc(next->leaving, (next->nleaving + n) * sizeof *next->leaving);
  if (p == NULL) return lsm_nomem();
  next->leaving = p;
  return LSM_OK;
}

static lsm_rc apply_create(apply_ctx *a, const lsm_edit_keyspace *k) {
  lsm_version *n = a->next;
  size_t at = tree_place(n, k->id);
  if (at < n->count && n->trees[at]->keyspace == k->id) {
    return misfit(a, "edit creates a keyspace that exists");
  }
  lsm_tree *t;
  lsm_rc rc = tree_new(k->id, &k->opt, NULL, a->e, &t);
  if (rc != LSM_OK) return rc;
  memmove(n->trees + at + 1, n->trees + at, (n->count - at) * sizeof *n->trees);
  n->trees[at] = t;
  n->count++;
  return LSM_OK;
}

static lsm_rc apply_drop(apply_ctx *a, const lsm_edit_keyspace *k) {
  lsm_version *n = a->next;
  size_t at = tree_place(n, k->id);
  if (at == n->count || n->trees[at]->keyspace != k->id) {
    return misfit(a, "edit drops an unknown keyspace");
  }
  lsm_tree *t = n->trees[at];
  lsm_rc rc = leaving_room(n, tree_files(t));
  if (rc != LSM_OK) return rc;
  for (int l = 0; l < LSM_MAX_LEVELS; l++) {
    for (size_t i = 0; i < t->levels[l].count; i++) {
      n->leaving[n->nleaving++] = lsm_filemeta_ref(t->levels[l].files[i]);
    }
  }
  n->count--;
  memmove(n->trees + at, n->trees + at + 1, (n->count - at) * sizeof *n->trees);
  tree_unref(t);
  return LSM_OK;
}

/* The tree of a keyspace, made private so that it can be changed. */
static lsm_rc private_tree(apply_ctx *a, uint32_t keyspace, lsm_tree **t) {
  lsm_version *n = a->next;
  size_t at = tree_place(n, keyspace);
  if (at == n->count || n->trees[at]->keyspace != keyspace) {
    return misfit(a, "edit names an unknown keyspace");
  }
  if (atomic_load(&n->trees[at]->refs) > 1) {
    lsm_tree *old = n->trees[at];
    lsm_rc rc = tree_new(keyspace, &old->opt, old, a->e, t);
    if (rc != LSM_OK) return rc;
    n->trees[at] = *t;
    tree_unref(old);
  }
  *t = n->trees[at];
  return LSM_OK;
}

static lsm_rc apply_removals(apply_ctx *a) {
  lsm_version *n = a->next;
  lsm_rc rc = leaving_room(n, a->e->nremoved);
  for (size_t i = 0; i < a->e->nremoved && rc == LSM_OK; i++) {
    const lsm_edit_file *r = &a->e->removed[i];
    lsm_tree *t;
    rc = private_tree(a, r->keyspace, &t);
    if (rc != LSM_OK) break;
    if (r->level >= LSM_MAX_LEVELS) return misfit(a, "edit names a level that cannot be");
    lsm_level *level = &t->levels[r->level];
    size_t at = 0;
    while (at < level->count && level->files[at]->number != r->number) at++;
    if (at == level->count) return misfit(a, "edit removes an unknown file");
    n->leaving[n->nleaving++] = level->files[at]; /* the tree's reference moves */
    level->count--;
    memmove(level->files + at, level->files + at + 1, (level->count - at) * sizeof *level->files);
  }
  return rc;
}

static int cmp_number(const void *a, const void *b) {
  return cmp_u64(*(const uint64_t *)a, *(const uint64_t *)b);
}

/* After removals, before additions: are the added numbers new and distinct? */
static lsm_rc check_numbers(apply_ctx *a) {
  const lsm_edit *e = a->e;
  lsm_version *n = a->next;
  if (e->nadded == 0) return LSM_OK;
  uint64_t *nums = lsm_malloc(e->nadded * sizeof *nums);
  if (nums == NULL) return lsm_nomem();
  for (size_t i = 0; i < e->nadded; i++) nums[i] = e->added[i].file->number;
  qsort(nums, e->nadded, sizeof *nums, cmp_number);
  bool twice = false;
  for (size_t i = 1; i < e->nadded; i++) twice |= nums[i] == nums[i - 1];
  /* Numbers rise, so most edits need not look at every file there is. */
  bool look = nums[0] <= n->max_number;
  for (size_t k = 0; k < n->count && look && !twice; k++) {
    for (int l = 0; l < LSM_MAX_LEVELS; l++) {
      const lsm_level *level = &n->trees[k]->levels[l];
      for (size_t i = 0; i < level->count && !twice; i++) {
        const uint64_t *key = &level->files[i]->number;
        twice = bsearch(key, nums, e->nadded, sizeof *nums, cmp_number) != NULL;
      }
    }
  }
  if (nums[e->nadded - 1] > n->max_number) n->max_number = nums[e->nadded - 1];
  lsm_free(nums);
  return twice ? misfit(a, "edit adds a file that is there already") : LSM_OK;
}

/* Gives f its life: that of the record it replaces, when the edit moves the
** file, else a new one. */
static lsm_rc adopt(lsm_version *next, lsm_filemeta *f) {
  life *l = NULL;
  for (size_t i = 0; i < next->nleaving && l == NULL; i++) {
    if (next->leaving[i]->number == f->number) l = next->leaving[i]->life;
  }
  if (l == NULL && f->life != NULL) return LSM_OK;
  if (l != NULL) {
    if (l == f->life) return LSM_OK;
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    life_unref(f->life);
  } else {
    l = lsm_calloc(sizeof *l);
    if (l == NULL) return lsm_nomem();
    atomic_init(&l->refs, 1);
    atomic_init(&l->removed, false);
    l->number = f->number;
    l->on_garbage = next->on_garbage;
    l->arg = next->garbage_arg;
  }
  f->life = l;
  return LSM_OK;
}

static lsm_rc apply_additions(apply_ctx *a) {
  lsm_rc rc = check_numbers(a);
  for (size_t i = 0; i < a->e->nadded && rc == LSM_OK; i++) {
    lsm_filemeta *f = a->e->added[i].file;
    lsm_tree *t;
    rc = private_tree(a, f->keyspace, &t);
    if (rc == LSM_OK) rc = adopt(a->next, f);
    if (rc != LSM_OK) break;
    lsm_level *level = &t->levels[f->level]; /* tree_new() made the room */
    level->files[level->count++] = lsm_filemeta_ref(f);
    t->dirty |= 1u << f->level;
  }
  return rc;
}

static lsm_rc apply_pointers(apply_ctx *a) {
  for (size_t i = 0; i < a->e->npointers; i++) {
    const lsm_edit_pointer *p = &a->e->pointers[i];
    lsm_tree *t;
    lsm_slice key;
    lsm_rc rc = private_tree(a, p->keyspace, &t);
    if (rc == LSM_OK) rc = key_copy(lsm_buf_slice(&p->key), &key);
    if (rc != LSM_OK) return rc;
    lsm_free((uint8_t *)t->compact_key[p->level].data);
    t->compact_key[p->level] = key;
  }
  return LSM_OK;
}

/* Sorts and checks the levels that got files. */
static lsm_rc arrange(apply_ctx *a) {
  for (size_t k = 0; k < a->next->count; k++) {
    lsm_tree *t = a->next->trees[k];
    if (t->dirty == 0) continue; /* also every tree that is shared */
    for (int l = 0; l < LSM_MAX_LEVELS; l++) {
      if ((t->dirty & 1u << l) == 0 || level_arrange(&t->levels[l])) continue;
      return misfit(a, "edit makes files of a sorted run overlap");
    }
    t->dirty = 0;
  }
  return LSM_OK;
}

lsm_rc lsm_version_apply(lsm_version *v, const lsm_edit *e, const char *file, uint64_t off,
                         lsm_version **next) {
  apply_ctx a = {e, file, off, NULL};
  *next = NULL;
  lsm_rc rc = version_copy(v, e, &a.next);
  for (size_t i = 0; i < e->nkeyspaces && rc == LSM_OK; i++) {
    const lsm_edit_keyspace *k = &e->keyspaces[i];
    rc = k->drop ? apply_drop(&a, k) : apply_create(&a, k);
  }
  if (rc == LSM_OK) rc = apply_removals(&a);
  if (rc == LSM_OK) rc = apply_additions(&a);
  if (rc == LSM_OK) rc = apply_pointers(&a);
  if (rc == LSM_OK) rc = arrange(&a);
  if (rc != LSM_OK) {
    lsm_version_unref(a.next);
    return rc;
  }
  *next = a.next;
  return LSM_OK;
}

void lsm_version_commit(lsm_version *v, const lsm_edit *e) {
  for (size_t i = 0; i < v->nleaving; i++) {
    lsm_filemeta *f = v->leaving[i];
    bool moved = false;
    for (size_t j = 0; j < e->nadded && !moved; j++) moved = e->added[j].file->number == f->number;
    if (!moved) atomic_store(&f->life->removed, true);
  }
  drop_leaving(v);
}

lsm_rc lsm_version_to_edit(const lsm_version *v, lsm_edit *e) {
  lsm_rc rc = LSM_OK;
  for (size_t k = 0; k < v->count && rc == LSM_OK; k++) {
    const lsm_tree *t = v->trees[k];
    rc = lsm_edit_add_keyspace(e, t->keyspace, &t->opt);
    for (int l = 0; l < LSM_MAX_LEVELS && rc == LSM_OK; l++) {
      for (size_t i = 0; i < t->levels[l].count && rc == LSM_OK; i++) {
        rc = lsm_edit_add_file(e, t->levels[l].files[i]);
      }
      if (rc == LSM_OK && t->compact_key[l].size > 0) {
        rc = lsm_edit_set_pointer(e, t->keyspace, l, t->compact_key[l]);
      }
    }
  }
  return rc;
}
