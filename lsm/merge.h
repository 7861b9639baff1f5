/* merge.h: many sources, newest first, seen as one.
**
** The merge yields, in key order, the newest entry of each key, unless a range
** tombstone of a newer source hides it. It owns the source iterators. Hidden
** stretches are skipped by seeking, not by stepping.
**
** Three layers, each an lsm_iter or filter over the one below:
**   merge   newest entry a key; tombstones are yielded as DELETE
**   view    no tombstones; bounds; user keys (what a cursor sees)
**   gc      what a compaction may drop (gc.h) */
#ifndef LSM_MERGE_H
#define LSM_MERGE_H

#include "iter.h"

/* Takes the sources (and their iterators, also when it fails); the array is
** copied. The ranges' contexts must outlive it. One source without ranges
** before it costs no heap. */
lsm_rc lsm_merge_new(const lsm_source *sources, int n, lsm_iter **it);

/* The same to be used again: *it, NULL the first time, is over other sources from now
** on, their iterators borrowed. Unpositioned. LSM_NOMEM: it is over none. */
lsm_rc lsm_merge_reuse(lsm_iter **it, const lsm_source *sources, int n);

/* Takes inner. Yields PUTs only, with lower <= key < upper (internal keys,
** copied; NULL data: open). first and last go to the bounds. */
lsm_rc lsm_view_new(lsm_iter *inner, lsm_slice lower, lsm_slice upper, lsm_iter **it);

/* The same to be used again: *it, NULL the first time, is over inner from now on. All
** borrowed. Unpositioned. Only the first time can fail. */
lsm_rc lsm_view_reuse(lsm_iter **it, lsm_iter *inner, lsm_slice lower, lsm_slice upper);

#endif
