/* fuzz_compress.c: compressed blocks that are not trusted, and any bytes there
** and back.
** Input: what:u8, odd: compressed bytes; even: bytes to compress.
** Holds: decompress(compress(x)) is x, and of nothing that was cut off or
**        changed in its size; bytes that decompress do so in zlib, too, to the
**        same, whichever library the store was built with. */
#include <zlib.h>

#include "compress.h"
#include "fuzz.h"

/* What decompresses to more is not worth the time. */
enum { RAW_LIMIT = 8 << 20 };

static void check_against_zlib(lsm_slice in, const uint8_t *raw, size_t size) {
  uint64_t claimed;
  const uint8_t *p = lsm_varint_get(in.data, in.data + in.size, &claimed);
  FUZZ_CHECK(p != NULL && claimed == size);
  uint8_t *again = malloc(size + 1);
  uLongf n = (uLongf)size + 1;
  FUZZ_CHECK(again != NULL);
  int rc = uncompress(again, &n, p, (uLong)(in.data + in.size - p));
  if (rc == Z_OK) FUZZ_CHECK(n == size && memcmp(again, raw, size) == 0);
  free(again);
}

static void decompress(lsm_slice in) {
  size_t size;
  if (!lsm_decompress_size(in, &size)) {
    uint8_t none[1];
    FUZZ_CHECK(lsm_decompress(in, none, 0, "block", 0) == LSM_CORRUPT);
    return;
  }
  if (size > RAW_LIMIT) return;
  uint8_t *raw = malloc(size);
  FUZZ_CHECK(raw != NULL || size == 0);
  lsm_rc rc = lsm_decompress(in, raw, size, "block", 0);
  FUZZ_CHECK(rc == LSM_OK || rc == LSM_CORRUPT);
  if (rc == LSM_OK) check_against_zlib(in, raw, size);
  free(raw);
}

static void there_and_back(lsm_slice raw) {
  lsm_compressor *c;
  lsm_buf out = {0};
  bool worth;
  size_t size;
  FUZZ_OK(lsm_compressor_new(&c));
  FUZZ_OK(lsm_compress(c, raw, &out, &worth));
  if (worth) {
    lsm_slice z = lsm_buf_slice(&out);
    FUZZ_CHECK(z.size <= raw.size - raw.size / 8);
    FUZZ_CHECK(lsm_decompress_size(z, &size) && size == raw.size);
    uint8_t *back = malloc(size);
    FUZZ_CHECK(back != NULL);
    FUZZ_OK(lsm_decompress(z, back, size, "block", 0));
    FUZZ_CHECK(memcmp(back, raw.data, size) == 0);
    check_against_zlib(z, back, size);
    FUZZ_CHECK(lsm_decompress(z, back, size - 1, "block", 0) == LSM_CORRUPT);
    /* A byte less, a byte more. */
    uint8_t *cut = fuzz_copy(lsm_slice_of(z.data, z.size - 1)), *more = malloc(z.size + 1);
    FUZZ_CHECK(more != NULL);
    memcpy(more, z.data, z.size);
    more[z.size] = 0;
    FUZZ_CHECK(lsm_decompress(lsm_slice_of(cut, z.size - 1), back, size, "block", 0) ==
               LSM_CORRUPT);
    FUZZ_CHECK(lsm_decompress(lsm_slice_of(more, z.size + 1), back, size, "block", 0) ==
               LSM_CORRUPT);
    free(more);
    free(cut);
    free(back);
  }
  lsm_compressor_free(c);
  lsm_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  uint8_t *copy = fuzz_copy(lsm_slice_of(data + 1, size - 1));
  if (data[0] & 1) {
    decompress(lsm_slice_of(copy, size - 1));
  } else {
    there_and_back(lsm_slice_of(copy, size - 1));
  }
  free(copy);
  return 0;
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  static const char *const texts[] = {
      "", "abc", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "sorted entries in a block, entries in a block sorted, a block of sorted entries"};
  uint8_t many[3000];
  lsm_compressor *c;
  lsm_buf out = {0};
  bool worth;
  for (size_t i = 0; i < sizeof many; i++) many[i] = (uint8_t)(i * i % 251 % (i / 300 + 2));
  FUZZ_OK(lsm_compressor_new(&c));
  for (size_t i = 0; i <= sizeof texts / sizeof texts[0]; i++) {
    bool text = i < sizeof texts / sizeof texts[0];
    lsm_slice raw = text ? lsm_slice_str(texts[i]) : lsm_slice_of(many, sizeof many);
    fuzz_add_with(add, arg, 0, raw);
    FUZZ_OK(lsm_compress(c, raw, &out, &worth));
    if (worth) fuzz_add_with(add, arg, 1, lsm_buf_slice(&out));
  }
  lsm_compressor_free(c);
  lsm_buf_fini(&out);
}
