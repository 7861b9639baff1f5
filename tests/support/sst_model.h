/* sst_model.h: random SSTables for tests, and what should be in them.
**
** A model is a sorted array of entries and the range tombstones beside it. A
** world is a memory environment with a cache and one table, file 7 of keyspace
** 5. What fails here fails the test, but for results that are returned. */
#ifndef SST_MODEL_H
#define SST_MODEL_H

#include "sst.h"

#define SST_PATH "/000007.sst"
extern const uint8_t sst_store_id[16];

/* A random number below n; the same after the same seed. */
extern uint64_t sst_seed;
uint32_t sst_rnd(uint32_t n);

/*------------------------------------------------------------------- model */

typedef struct sst_item {
  uint8_t *key;
  size_t size;
  bool tombstone;
  uint8_t *value;
  size_t vsize;
} sst_item;

typedef struct sst_model {
  sst_item *items;
  size_t n;
  lsm_rangeset ranges;
} sst_model;

lsm_slice sst_key(const sst_item *i);
lsm_slice sst_value(const sst_item *i);

/* A random key of up to 512 bytes at p; returns its size. Keyspace 5, then, by
** shape: 0 short random ones, the empty one among them; 1 a long common
** beginning; 2 numbers; 3 long ones, of which 0xFF is a large part. */
size_t sst_make_key(uint8_t *p, int shape);

/* About n entries with values below value_max bytes; a few range tombstones. */
void sst_model_new(sst_model *m, size_t n, int shape, size_t value_max);
void sst_model_add_ranges(sst_model *m, size_t n, int shape);
void sst_model_free(sst_model *m);

/* First item >= key (n: none), last item <= key (SIZE_MAX: none). */
size_t sst_model_ge(const sst_model *m, lsm_slice key);
size_t sst_model_le(const sst_model *m, lsm_slice key);

/* A heap copy; free() it. */
void *sst_copy(const void *p, size_t n);

/*------------------------------------------------------------------- world */

typedef struct sst_world {
  lsm_env *env;
  lsm_cache *cache;
  lsm_read_stats stats;
  lsm_sst_props props; /* of the table that was written */
  lsm_sst *sst;
} sst_world;

void sst_world_new(sst_world *w, size_t cache_size);
void sst_world_free(sst_world *w); /* nothing may be charged to the cache then */
uint64_t sst_cache_bytes(const sst_world *w);

lsm_sst_options sst_options(uint32_t block_size, bool compress, uint32_t bloom_bits);

/* Writes the model to SST_PATH. */
lsm_rc sst_write(lsm_env *env, const lsm_sst_options *opt, const sst_model *m,
                 lsm_sst_props *props);
/* Opens what stands there, props.size bytes of it. */
lsm_rc sst_reopen(sst_world *w);
/* Both. */
void sst_make(sst_world *w, const sst_model *m, uint32_t block_size, bool compress,
              uint32_t bloom_bits);

/* The bytes of the file, and others in their place. */
void sst_read_all(lsm_env *env, lsm_buf *b);
void sst_write_all(lsm_env *env, const uint8_t *p, size_t n);

/*-------------------------------------------------------------- comparison */

/* Does it stand on item i, or nowhere when there is no such? */
bool sst_is_at(const lsm_iter *it, const sst_model *m, size_t i);

/* Walks all of it both ways: an error, or exactly the model's entries. */
lsm_rc sst_walk(lsm_sst *sst, const sst_model *m, bool fill_cache);

/* Looks one key up: an error, or LSM_OK when it finds what the model has. */
lsm_rc sst_check_get(lsm_sst *sst, lsm_cache *cache, const sst_model *m, lsm_slice key);

#endif
