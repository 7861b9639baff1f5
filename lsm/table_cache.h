/* table_cache.h: the open SSTables of a store, by number, bounded in count and in the
** memory of their indexes and filters.
** Threads: any. */
#ifndef LSM_TABLE_CACHE_H
#define LSM_TABLE_CACHE_H

#include "sst.h"
#include "version.h"

typedef struct lsm_table_cache lsm_table_cache;

lsm_rc lsm_table_cache_new(lsm_env *env, const char *dir, const uint8_t *store_id,
                           lsm_cache *cache, lsm_read_stats *stats, size_t max_open,
                           size_t max_bytes, lsm_table_cache **tc);
void lsm_table_cache_free(lsm_table_cache *tc); /* REQUIRES: nothing pinned */

/* The open table of a file, opening it if need be; pinned until unpin. Two
** threads may open different files at once; no I/O under the lock. */
lsm_rc lsm_table_cache_get(lsm_table_cache *tc, const lsm_filemeta *f, lsm_sst **sst);
void lsm_table_cache_unpin(lsm_table_cache *tc, lsm_sst *sst);

/* Tables that stay pinned as long as their holder lives, so that who asks again and
** again takes no lock. Zero-initialise; any thread may get. There is a place for
** few: a table that finds its own taken is pinned for the caller, *own; as all are
** when pins is NULL. */
#define LSM_TABLE_PINS 64
typedef struct lsm_table_pins {
  _Atomic(lsm_sst *) place[LSM_TABLE_PINS];
} lsm_table_pins;
lsm_rc lsm_table_pins_get(lsm_table_pins *pins, lsm_table_cache *tc, const lsm_filemeta *f,
                          lsm_sst **sst, bool *own);
void lsm_table_pins_release(lsm_table_pins *pins, lsm_table_cache *tc);

/* Closes it (when unpinned) and drops its cached blocks: the file is gone. */
void lsm_table_cache_evict(lsm_table_cache *tc, uint64_t number);

/* An iterator over sorted, disjoint files (a level, or a run of level 0), each
** opened when it is reached. files is borrowed: the version stays referenced. */
lsm_rc lsm_run_iter(lsm_table_cache *tc, lsm_filemeta *const *files, size_t count,
                    bool fill_cache, lsm_iter **it);

/* The same to be used again: *it, NULL the first time, is over other files from now on.
** pins (or NULL) outlive what is done with it. Only the first time can fail. Close lets
** go of what it reads; then it may wait for the next time. */
lsm_rc lsm_run_iter_reuse(lsm_iter **it, lsm_table_cache *tc, lsm_table_pins *pins,
                          lsm_filemeta *const *files, size_t count, bool fill_cache);
void lsm_run_iter_close(lsm_iter *it);

/* The range tombstones of such a run, in *ranges: pins the tables that have
** any. NULL *rr and empty *ranges when none has. */
typedef struct lsm_run_ranges lsm_run_ranges;
lsm_rc lsm_run_ranges_new(lsm_table_cache *tc, lsm_filemeta *const *files, size_t count,
                          lsm_run_ranges **rr, lsm_ranges *ranges);
void lsm_run_ranges_free(lsm_run_ranges *rr); /* accepts NULL */

#endif
