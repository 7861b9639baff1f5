/* memtable.h: sorted entries in memory, with snapshots that writers never
** disturb.
**
** Entries are appended to an arena in the order they are written; that arena,
** read from its start, is the batch that goes to the log (batch.h). An AVL
** tree over them gives the order, a second, small one holds the range
** tombstones, disjoint. A tree is named by its root. A view is a pair of
** roots; the writer changes a node in place only when no view taken since the
** node was made is still held, and copies it otherwise (path copying: Driscoll
** et al. 1989, "Making data structures persistent").
**
** Within a memtable points are newer than ranges: writing a range tombstone
** unlinks the points it covers, so the ranges speak of older runs only.
**
** The same thing serves as the store's memtable and as the private overlay of
** a transaction: there a savepoint is a mark, going back is taking an old root.
**
** Threads: one writer at a time; any number of readers, each on a view taken
** under a lock that the writer also holds while it writes (lsm_db's apply
** lock). Reading a view needs no lock. refs are atomic. */
#ifndef LSM_MEMTABLE_H
#define LSM_MEMTABLE_H

#include "iter.h"

typedef struct lsm_memtable lsm_memtable;

/* A view: two roots at one instant. Holds a reference to mt. */
typedef struct lsm_memview {
  lsm_memtable *mt; /* NULL: an empty view */
  uint32_t points;  /* root of the entries, 0 for none */
  uint32_t ranges;  /* root of the range tombstones, 0 for none */
} lsm_memview;

/* A place to go back to (savepoints). Plain data, valid while the memtable is. */
typedef struct lsm_memmark {
  lsm_memview view; /* released by lsm_memtable_unmark() */
  size_t arena_pos;
  size_t side_pos; /* of the arena for what the log does not see */
  uint32_t node_pos;
  uint64_t entries;
} lsm_memmark;

lsm_rc lsm_memtable_new(lsm_memtable **mt); /* one reference, the caller's */
lsm_memtable *lsm_memtable_ref(lsm_memtable *mt);
void lsm_memtable_unref(lsm_memtable *mt); /* accepts NULL */

/* About so many keys will come, and many will be asked for that are not there: it
** gets a filter (keyfilter.h). For a guess that is too low it is a little slower.
** REQUIRES: empty, nobody else has it. */
void lsm_memtable_expect(lsm_memtable *mt, uint64_t keys);

/* Adds one entry, newer than all before. For DELETE_RANGE key is the lower
** and value the upper bound (exclusive, key < value). Copies both. On failure
** nothing has changed: LSM_NOMEM, LSM_FULL, or LSM_MISUSE for what no entry can
** be (too long, DELETE with a value, an empty range). */
lsm_rc lsm_memtable_write(lsm_memtable *mt, lsm_kind kind, lsm_slice key, lsm_slice value);
/* A PUT whose value is HEAD and VALUE. */
lsm_rc lsm_memtable_put_parts(lsm_memtable *mt, lsm_slice key, lsm_slice head, lsm_slice value);

/* Makes sure that lsm_memtable_merge(mt, src) cannot fail, whatever views are
** taken in between. LSM_NOMEM changes nothing. */
lsm_rc lsm_memtable_reserve_merge(lsm_memtable *mt, const lsm_memview *src);

/* Adds all that src shows: its ranges first, then its points. src belongs to
** another memtable. REQUIRES: reserved, and nothing written since. Cannot fail. */
void lsm_memtable_merge(lsm_memtable *mt, const lsm_memview *src);

/* Takes everything back; views stay readable. REQUIRES: no marks. */
void lsm_memtable_clear(lsm_memtable *mt);

/* Empties it for reuse, keeping some memory. REQUIRES: sole reference, no
** views (the caller can ask with lsm_memtable_is_shared). */
void lsm_memtable_reset(lsm_memtable *mt);
bool lsm_memtable_is_shared(lsm_memtable *mt);

/* The content as it is now; see above for the lock. Cannot fail. Release
** every view; any thread may. */
lsm_memview lsm_memtable_view(lsm_memtable *mt);
lsm_memview lsm_memview_ref(const lsm_memview *v);

/* The same without a reference and without freezing anything: for the writer
** itself, good until its next write, and so are iterators over it. Not to be
** released, and to be copied by assignment only. */
lsm_memview lsm_memtable_peek(lsm_memtable *mt);
void lsm_memview_release(lsm_memview *v); /* accepts an empty view; empties it */

/* Marks and going back. rollback makes the content what it was at the mark,
** which stays usable; views taken after the mark stay readable. Marks made
** after it are dead then: they can only be unmarked. All three belong to the
** writer. Memory is reused at once if no views are held but marks. */
lsm_memmark lsm_memtable_mark(lsm_memtable *mt);
void lsm_memtable_unmark(lsm_memmark *mark);
void lsm_memtable_rollback(lsm_memtable *mt, const lsm_memmark *mark);

/* The log's view of it: all that was written and not rolled back, as a batch,
** in parts, oldest first. n parts at *parts, owned by the memtable, valid until
** it is written to. Copies nothing: what a view still shows of a rolled back
** part lies between the parts, so *scratch is not used and it cannot fail. */
lsm_rc lsm_memtable_batch(lsm_memtable *mt, lsm_buf *scratch, const lsm_slice **parts, int *n);

/* Point lookup in a view: LSM_OK with *kind (PUT or DELETE) and *value, which
** lives while the view is held; LSM_NOTFOUND when the view has no point for
** key: then *covered says whether a range tombstone covers it. */
lsm_rc lsm_memview_get(const lsm_memview *v, lsm_slice key, lsm_kind *kind, lsm_slice *value,
                       bool *covered);

/* An iterator over the points of a view. Takes its own reference. */
lsm_rc lsm_memview_iter(const lsm_memview *v, lsm_iter **it);

/* The same for who visits all of them, upwards: it goes to the first entry, to one that is
** >= a key, and on, nothing else; what comes next is on its way from memory meanwhile. */
lsm_rc lsm_memview_scan(const lsm_memview *v, lsm_iter **it);

/* The first to be used again: *it, NULL the first time, is over v from now on, which is
** borrowed. Unpositioned. Only the first time can fail. */
lsm_rc lsm_memview_iter_reuse(lsm_iter **it, const lsm_memview *v);

/* The ranges of a view, as a lsm_source wants them. v must stay in place. */
lsm_ranges lsm_memview_ranges(const lsm_memview *v);

/* Calls fn for each range tombstone of the view in order. */
lsm_rc lsm_memview_each_range(const lsm_memview *v,
                              lsm_rc (*fn)(void *arg, lsm_slice lo, lsm_slice hi), void *arg);

/* Sizes, as the last change left them; any thread may ask. memory: what the
** arenas hold from the system; used: what a flush would free; entries: points and ranges. */
size_t lsm_memtable_used(const lsm_memtable *mt);
size_t lsm_memtable_memory(const lsm_memtable *mt);
uint64_t lsm_memtable_entries(const lsm_memtable *mt);
bool lsm_memtable_is_empty(const lsm_memtable *mt);

/* Estimated number of points in [lo, hi) of a view (NULL data: open end),
** from the depth at which the bounds part; for planners. */
uint64_t lsm_memview_estimate(const lsm_memview *v, lsm_slice lo, lsm_slice hi);

/* For tests: checks order, balance, prefixes, disjoint ranges. */
bool lsm_memview_check(const lsm_memview *v);

#endif
