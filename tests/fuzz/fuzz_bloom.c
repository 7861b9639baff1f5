/* fuzz_bloom.c: filters as they were built, and as they come from a file.
** Input: bits a key:u8, n:u8, n hashes, then bytes that may be a filter.
** Holds: a filter that was built is well-formed and never denies its own
**        hashes; any other bytes are answered, malformed ones with maybe. */
#include "bloom.h"
#include "fuzz.h"

static void check_built(const uint64_t *hashes, size_t n, uint32_t bits) {
  lsm_buf filter = {0};
  FUZZ_OK(lsm_bloom_build(hashes, n, bits, &filter));
  FUZZ_CHECK((filter.size == 0) == (n == 0 || bits == 0));
  uint8_t *copy = fuzz_copy(lsm_buf_slice(&filter));
  lsm_slice s = lsm_slice_of(copy, filter.size);
  FUZZ_CHECK(lsm_bloom_is_valid(s));
  for (size_t i = 0; i < n; i++) FUZZ_CHECK(lsm_bloom_may_contain(s, hashes[i]));
  free(copy);
  lsm_buf_fini(&filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_in in = fuzz_in_of(data, size);
  uint64_t hashes[256];
  uint32_t bits = fuzz_u8(&in);
  size_t n = fuzz_u8(&in);
  for (size_t i = 0; i < n; i++) hashes[i] = fuzz_number(&in, 8);
  hashes[n] = UINT64_MAX;
  check_built(hashes, n, bits);

  lsm_slice s = fuzz_take(&in, SIZE_MAX);
  uint8_t *copy = fuzz_copy(s);
  s.data = copy;
  bool valid = lsm_bloom_is_valid(s);
  for (size_t i = 0; i <= n; i++) {
    bool maybe = lsm_bloom_may_contain(s, hashes[i]);
    if (!valid || s.size == 0) FUZZ_CHECK(maybe);
  }
  free(copy);
  return 0;
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  static const uint8_t counts[] = {0, 1, 40, 200};
  for (size_t c = 0; c < sizeof counts; c++) {
    uint64_t hashes[200];
    uint8_t buf[8000] = {10, counts[c]};
    lsm_buf filter = {0};
    size_t at = 2;
    for (size_t i = 0; i < counts[c]; i++, at += 8) {
      uint8_t key[2] = {(uint8_t)i, (uint8_t)c};
      hashes[i] = lsm_hash64(lsm_slice_of(key, 2), 0);
      lsm_set_u64(buf + at, hashes[i]);
    }
    FUZZ_OK(lsm_bloom_build(hashes, counts[c], 10, &filter));
    if (filter.size > 0) memcpy(buf + at, filter.data, filter.size);
    add(arg, buf, at + filter.size);
    lsm_buf_fini(&filter);
  }
}
