/* gc.h: which entries and range tombstones a compaction keeps.
**
** A tombstone is kept only while something older could hide below it. "Below"
** are the runs of the keyspace that are older than all inputs and are not
** inputs. A pure function of bounds: no I/O.
**
** The caller owns the lifetime of files. Keys must be asked in rising order:
** the answer then costs no search. */
#ifndef LSM_GC_H
#define LSM_GC_H

#include "version.h"

typedef struct lsm_gc lsm_gc;

/* files: what lies below, any order. NULL when count is 0 is fine. */
lsm_rc lsm_gc_new(lsm_filemeta *const *files, size_t count, lsm_gc **gc);
void lsm_gc_free(lsm_gc *gc);
/* Must a DELETE of key stay? */
bool lsm_gc_keep_tombstone(lsm_gc *gc, lsm_slice key);
/* Must a DELETE_RANGE [lo, hi) stay? Any order. */
bool lsm_gc_keep_range(const lsm_gc *gc, lsm_slice lo, lsm_slice hi);

#endif
