/* iter.h: what all iterators over internal keys have in common.
**
** An iterator is a struct that begins with lsm_iter. Where it stands is plain
** data (valid, kind, key, value), so that the merge compares keys without a
** call. It yields PUT and DELETE entries in key order, one a key; range
** tombstones travel beside it, as an lsm_ranges.
**
** Moving: seek_ge goes to the first key >= target, seek_le to the last
** <= target, first and last to the ends; next and prev move by one and REQUIRE
** valid. Direction may change at any step. Running off an end is LSM_OK with
** valid == false. After an error valid is false; a seek may succeed later.
** Some can also pass over entries that they need not look at: ahead says how many
** PUTs, all with keys < bound (NULL data: open), are known to follow, often 0; pass
** moves up by N entries. REQUIRES: ahead has just said so many, or one less.
** key and value live until the next move or free. */
#ifndef LSM_ITER_H
#define LSM_ITER_H

#include "key.h"

typedef struct lsm_iter lsm_iter;

typedef struct lsm_iter_ops {
  lsm_rc (*first)(lsm_iter *it);
  lsm_rc (*last)(lsm_iter *it);
  lsm_rc (*seek_ge)(lsm_iter *it, lsm_slice key);
  lsm_rc (*seek_le)(lsm_iter *it, lsm_slice key);
  lsm_rc (*next)(lsm_iter *it);
  lsm_rc (*prev)(lsm_iter *it);
  void (*free)(lsm_iter *it);
  /* NULL: it cannot */
  uint64_t (*ahead)(lsm_iter *it, lsm_slice bound);
  lsm_rc (*pass)(lsm_iter *it, uint64_t n);
} lsm_iter_ops;

struct lsm_iter {
  const lsm_iter_ops *ops;
  bool valid;
  uint8_t kind; /* LSM_KIND_PUT or LSM_KIND_DELETE */
  lsm_slice key;
  lsm_slice value; /* empty for DELETE */
};

static inline void lsm_iter_free(lsm_iter *it) {
  if (it != NULL) it->ops->free(it);
}

/* Range tombstones of one source: disjoint intervals [lo, hi) that hide keys
** of all OLDER sources (never of their own: within a source, points are the
** newer). find() returns whether one covers key and sets its bounds, which
** live as long as the source. find == NULL: there are none. */
typedef struct lsm_ranges {
  bool (*find)(const void *ctx, lsm_slice key, lsm_slice *lo, lsm_slice *hi);
  const void *ctx;
} lsm_ranges;

/* One input of a merge. */
typedef struct lsm_source {
  lsm_iter *iter;
  lsm_ranges ranges;
} lsm_source;

/* A sorted array of disjoint intervals, as an SSTable or a merge holds it
** (rangeset.c). Zero-initialise; fini frees. The bytes are owned. */
typedef struct lsm_range {
  lsm_slice lo;
  lsm_slice hi; /* exclusive; lo < hi */
} lsm_range;
typedef struct lsm_rangeset {
  lsm_range *items;
  size_t count;
  size_t cap;
} lsm_rangeset;

/* Adds [lo, hi), joining it with what it overlaps or touches. Copies. An
** empty interval is nothing. LSM_NOMEM leaves the set as it was. */
lsm_rc lsm_rangeset_add(lsm_rangeset *set, lsm_slice lo, lsm_slice hi);
void lsm_rangeset_fini(lsm_rangeset *set);
/* The interval that covers key, or NULL. */
const lsm_range *lsm_rangeset_find(const lsm_rangeset *set, lsm_slice key);
/* First interval with hi > key, or NULL. */
const lsm_range *lsm_rangeset_after(const lsm_rangeset *set, lsm_slice key);
/* A view for lsm_source; {NULL, NULL} when the set is empty or NULL. */
lsm_ranges lsm_rangeset_ranges(const lsm_rangeset *set);
/* The set behind such a view; NULL when it is a view of something else. */
const lsm_rangeset *lsm_rangeset_of(lsm_ranges ranges);

#endif
