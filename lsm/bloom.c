/* bloom.c: building and asking cache-line blocked Bloom filters.
**
** Holds:  a key sets k bits, all in one line of 512: the high half of its hash
**         chooses the line, products of the whole hash choose the bits.
** Bytes:  lines[n][64] nlines:u32 k:u8, little-endian; bit i of a line is bit
**         i % 8 of its byte i / 8. Golden bytes in tests/lsm/test_bloom.c. */
#include "bloom.h"

enum { LINE_BYTES = 64, LINE_BITS = 512, TAIL_BYTES = 5, PROBES_MAX = 16 };

/* Odd, from the golden ratio. The top bits of h * STEP, h * STEP * STEP, ...
** are as good as independent for a hash that is good itself. */
static const uint64_t STEP = 0x9E3779B97F4A7C15;

static inline size_t line_of(uint64_t hash, uint32_t nlines) {
  return (size_t)((hash >> 32) * nlines >> 32);
}

/* ln 2 bits a key is the best number of probes for a plain filter. Lines are
** filled unevenly, which costs a little at any k and moves the optimum down,
** not enough to matter. */
static uint32_t probes_for(uint32_t bits_per_key) {
  uint64_t k = ((uint64_t)bits_per_key * 69 + 50) / 100;
  if (k < 1) return 1;
  return k > PROBES_MAX ? PROBES_MAX : (uint32_t)k;
}

lsm_rc lsm_bloom_build(const uint64_t *hashes, size_t count, uint32_t bits_per_key, lsm_buf *out) {
  lsm_buf_clear(out);
  if (bits_per_key == 0 || count == 0) return LSM_OK;
  double want = (double)count * bits_per_key / LINE_BITS + 1;
  if (want > (double)UINT32_MAX || want > (double)(SIZE_MAX / LINE_BYTES / 2)) return lsm_nomem();
  uint32_t nlines = (uint32_t)want;
  uint32_t k = probes_for(bits_per_key);

  size_t bytes = (size_t)nlines * LINE_BYTES;
  lsm_rc rc = lsm_buf_reserve(out, bytes + TAIL_BYTES);
  if (rc != LSM_OK) return rc;
  memset(out->data, 0, bytes);
  for (size_t i = 0; i < count; i++) {
    uint8_t *line = out->data + line_of(hashes[i], nlines) * LINE_BYTES;
    uint64_t h = hashes[i];
    for (uint32_t j = 0; j < k; j++) {
      h *= STEP;
      uint32_t bit = (uint32_t)(h >> 55); /* 9 bits: 0..511 */
      line[bit >> 3] |= (uint8_t)(1u << (bit & 7));
    }
  }
  lsm_set_u32(out->data + bytes, nlines);
  out->data[bytes + 4] = (uint8_t)k;
  out->size = bytes + TAIL_BYTES;
  return LSM_OK;
}

/* Splits a filter; false when it is empty or malformed. */
static inline bool parse(lsm_slice filter, uint32_t *nlines, uint32_t *k) {
  if (filter.size < LINE_BYTES + TAIL_BYTES) return false;
  const uint8_t *tail = filter.data + filter.size - TAIL_BYTES;
  *nlines = lsm_get_u32(tail);
  *k = tail[4];
  return (uint64_t)*nlines * LINE_BYTES + TAIL_BYTES == filter.size && *k >= 1 && *k <= PROBES_MAX;
}

bool lsm_bloom_may_contain(lsm_slice filter, uint64_t hash) {
  uint32_t nlines, k;
  if (!parse(filter, &nlines, &k)) return true;
  const uint8_t *line = filter.data + line_of(hash, nlines) * LINE_BYTES;
  uint64_t h = hash;
  for (uint32_t j = 0; j < k; j++) {
    h *= STEP;
    uint32_t bit = (uint32_t)(h >> 55);
    if ((line[bit >> 3] >> (bit & 7) & 1) == 0) return false;
  }
  return true;
}

bool lsm_bloom_is_valid(lsm_slice filter) {
  uint32_t nlines, k;
  return filter.size == 0 || parse(filter, &nlines, &k);
}
