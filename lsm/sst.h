/* sst.h: SSTables, written once and read many times. FORMAT.md has the bytes.
**
** A file holds part of one run of one keyspace: data blocks, range tombstones,
** bloom filter, properties, index, footer. The writer streams; the reader
** keeps index, filter and ranges in memory (charged to the cache's budget) and
** takes data blocks through the cache.
**
** Threads: a writer belongs to one; a reader serves any number, an iterator
** one. */
#ifndef LSM_SST_H
#define LSM_SST_H

#include "cache.h"
#include "env.h"
#include "expiry.h"
#include "iter.h"

/* What is known of a finished file; the manifest keeps it (version.h). */
typedef struct lsm_sst_props {
  uint64_t size;        /* of the file */
  uint64_t entries;     /* points, tombstones among them; without ranges */
  uint64_t tombstones;  /* DELETE points */
  uint64_t ranges;      /* range tombstones */
  uint64_t raw_bytes;   /* keys and values as they were given */
  lsm_buf smallest;     /* least key or range lower bound */
  lsm_buf largest;      /* greatest key, or range upper bound */
  bool largest_open;    /* largest is an upper bound, not itself in the file */
  bool packed;          /* compression was tried on every block; of a file being
                        ** written only: the manifest keeps it */
  lsm_expiry expiry;    /* of the values, where they expire; else 0 */
} lsm_sst_props;
void lsm_sst_props_fini(lsm_sst_props *p);

/*----------------------------------------------------------------- writer */

typedef struct lsm_sst_writer lsm_sst_writer;

typedef struct lsm_sst_options {
  uint32_t block_size;
  uint32_t bloom_bits;
  lsm_compression compression;
  uint32_t keyspace;
  const uint8_t *store_id; /* 16 bytes: a file of another store is refused */
  uint64_t file_number;
  bool expires; /* values begin with the time they expire at (expiry.h) */
} lsm_sst_options;

/* Creates the file at PATH. */
lsm_rc lsm_sst_writer_new(lsm_env *env, const char *path, const lsm_sst_options *opt,
                          lsm_sst_writer **w);
/* REQUIRES: keys rising. */
lsm_rc lsm_sst_writer_add(lsm_sst_writer *w, lsm_kind kind, lsm_slice key, lsm_slice value);
/* Any time before finish; in rising order, disjoint. */
lsm_rc lsm_sst_writer_add_range(lsm_sst_writer *w, lsm_slice lo, lsm_slice hi);
/* Bytes the file would have about now; what decides when to cut. */
uint64_t lsm_sst_writer_size(const lsm_sst_writer *w);
/* Writes the rest, syncs the file, fills *props (the caller finis it). The
** directory is the caller's to sync. REQUIRES: something was added. */
lsm_rc lsm_sst_writer_finish(lsm_sst_writer *w, lsm_sst_props *props);
/* Unfinished: removes the file. Accepts NULL. */
void lsm_sst_writer_free(lsm_sst_writer *w);

/*----------------------------------------------------------------- reader */

typedef struct lsm_sst lsm_sst;

/* Counters of a store that readers add to; owned by the db. */
typedef struct lsm_read_stats {
  _Atomic uint64_t bloom_checks;
  _Atomic uint64_t bloom_hits;
  _Atomic uint64_t bloom_false_positives;
} lsm_read_stats;

/* Opens and checks footer, index, filter, ranges and properties.
** store_id, number and size are what the manifest says; a file that says
** otherwise is LSM_CORRUPT. stats may be NULL. */
lsm_rc lsm_sst_open(lsm_env *env, const char *path, const uint8_t *store_id, uint64_t number,
                    uint64_t size, lsm_cache *cache, lsm_read_stats *stats, lsm_sst **sst);
void lsm_sst_close(lsm_sst *sst); /* accepts NULL */

/* Looks key up: LSM_OK and *kind; for PUT the value, borrowed from *pin, which
** the caller unpins (lsm_block_unpin). LSM_NOTFOUND: no point here. The
** range tombstones are not asked. hash = lsm_hash64(key, 0). */
lsm_rc lsm_sst_get(lsm_sst *sst, lsm_slice key, uint64_t hash, lsm_kind *kind, lsm_slice *value,
                   lsm_block **pin);

/* An iterator over the points. fill_cache: false for compaction and verify,
** which read each block once; they read ahead instead. */
lsm_rc lsm_sst_iter(lsm_sst *sst, bool fill_cache, lsm_iter **it);

/* Its number, as it was opened with. */
uint64_t lsm_sst_number(const lsm_sst *sst);

/* The first key of the block about WHERE (0..1) in the file; LSM_NOTFOUND without points. */
lsm_rc lsm_sst_sample(lsm_sst *sst, double where, lsm_buf *key);

/* Its range tombstones; lives as long as the reader. */
const lsm_rangeset *lsm_sst_ranges(const lsm_sst *sst);

/* The memory it takes, open. */
size_t lsm_sst_memory(const lsm_sst *sst);

/* Its properties; lives as long as the reader. */
const lsm_sst_props *lsm_sst_get_props(const lsm_sst *sst);

/* Estimated share (0..1) of the file's bytes in front of key, by the index. */
double lsm_sst_position(lsm_sst *sst, lsm_slice key);

/* Reads all of it past the cache and checks everything: checksums, order,
** index against blocks, filter against keys, properties. LSM_CORRUPT names
** the first fault. intr may be NULL. */
lsm_rc lsm_sst_verify(lsm_sst *sst, const lsm_interrupt *intr);

#endif
