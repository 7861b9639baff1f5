/* bloom.h: a filter that says "certainly not here" or "maybe".
**
** Cache-line blocked (Putze, Sanders, Singler 2007, "Cache-, hash- and
** space-efficient bloom filters"): one 64-byte line a key, k probes in it, so
** a check touches one line. Keys come as lsm_hash64(key, 0).
**
**   filter := lines[n][64] nlines:u32 k:u8
*/
#ifndef LSM_BLOOM_H
#define LSM_BLOOM_H

#include "base.h"

/* Builds the filter of COUNT hashes with about bits_per_key bits each into
** *out (replacing it). bits_per_key == 0 or count == 0: an empty buffer. */
lsm_rc lsm_bloom_build(const uint64_t *hashes, size_t count, uint32_t bits_per_key, lsm_buf *out);

/* False: certainly absent. An empty or malformed filter says true. */
bool lsm_bloom_may_contain(lsm_slice filter, uint64_t hash);

/* Is it well-formed? For readers and lsm_verify. */
bool lsm_bloom_is_valid(lsm_slice filter);

#endif
