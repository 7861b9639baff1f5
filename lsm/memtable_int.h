/* memtable_int.h: the memtable itself, for memtable.c (the writer's side) and
** memtable_view.c (the readers'). */
#ifndef LSM_MEMTABLE_INT_H
#define LSM_MEMTABLE_INT_H

#include "arena.h"
#include "avl.h"
#include "keyfilter.h"
#include "memtable.h"

struct lsm_memtable {
  /* atomic; what readers write lies apart from what the writer does */
  _Atomic uint32_t refs; /* owners, views included */
  _Atomic uint32_t live; /* views held, marks included; grows from 0 only under the caller's lock */
  char gap[56];

  /* the writer's; readers touch only the table of nodes */
  uint32_t points; /* root of the entries */
  uint32_t ranges; /* root of the range tombstones, disjoint */
  uint32_t marks;  /* of the live views, those that are marks */
  uint64_t entries;
  size_t filter_memory;
  lsm_avl nodes;
  lsm_arena batch; /* what the log sees */
  lsm_arena side;  /* range tombstones that came of joining others */
  _Atomic(lsm_keyfilter *) filter; /* of all points there ever were; NULL: none */

  /* atomic: sizes for any thread, stored by the writer after each change */
  _Atomic uint64_t now_entries;
  _Atomic size_t now_used;
  _Atomic size_t now_memory;
};

#endif
