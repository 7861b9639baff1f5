/* fuzz_batch.c: entries of a batch from bytes that are not trusted.
** Holds: what is read lies in the input; written again it is read the same by
**        both readers, is never longer, and cut off it is refused. */
#include "batch.h"
#include "fuzz.h"

static bool same(const lsm_entry *a, const lsm_entry *b) {
  return a->kind == b->kind && lsm_slice_eq(a->key, b->key) && lsm_slice_eq(a->value, b->value);
}

/* E was read from [p, next). */
static void check_entry(const uint8_t *p, const uint8_t *next, const lsm_entry *e) {
  lsm_entry a, b;
  size_t n = lsm_entry_size(e->key.size, e->value.size);
  FUZZ_CHECK(e->key.data > p && e->key.data + e->key.size == e->value.data);
  FUZZ_CHECK(e->value.data + e->value.size == next);
  FUZZ_CHECK(n <= (size_t)(next - p));
  uint8_t *out = malloc(n);
  FUZZ_CHECK(out != NULL);
  FUZZ_CHECK(lsm_entry_put(out, e->kind, e->key, e->value) == out + n);
  if (n == (size_t)(next - p)) FUZZ_CHECK(memcmp(out, p, n) == 0);
  FUZZ_CHECK(lsm_entry_get(out, &a) == out + n && same(e, &a));
  FUZZ_CHECK(lsm_entry_parse(out, out + n, &b) == out + n && same(e, &b));
  FUZZ_CHECK(lsm_entry_parse(out, out + n - 1, &b) == NULL);
  /* Recovery checks a batch once and then reads it as trusted. */
  FUZZ_CHECK(lsm_entry_get(p, &b) == next && same(e, &b));
  free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t *in = fuzz_copy(lsm_slice_of(data, size));
  const uint8_t *p = in, *end = size == 0 ? in : in + size;
  while (p < end) {
    lsm_entry e;
    const uint8_t *next = lsm_entry_parse(p, end, &e);
    if (next == NULL) break;
    FUZZ_CHECK(next > p && next <= end);
    check_entry(p, next, &e);
    p = next;
  }
  free(in);
  return 0;
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  static const struct {
    lsm_kind kind;
    const char *key, *value;
    size_t klen, vlen;
  } t[] = {{LSM_KIND_PUT, "\1a", "one", 2, 3},
           {LSM_KIND_PUT, "\1", "", 1, 0},
           {LSM_KIND_DELETE, "\5apple", "", 6, 0},
           {LSM_KIND_DELETE_RANGE, "\1a", "\1b", 2, 2},
           {LSM_KIND_DELETE_RANGE, "\1a", "\2", 2, 1},
           {LSM_KIND_DELETE_RANGE, "\xEF", "\xF0\0\0\0\xF0", 1, 5},
           {LSM_KIND_PUT, "\xF0\0\0\1\0key", "value", 8, 5},
           {LSM_KIND_DELETE_RANGE, "\xF0\xFF\xFF\xFF\xFE", "\xF0\xFF\xFF\xFF\xFF", 5, 5}};
  uint8_t buf[1000], *p = buf, *start;
  uint8_t big[300] = {7};
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    start = p;
    p = lsm_entry_put(p, t[i].kind, lsm_slice_of(t[i].key, t[i].klen),
                      lsm_slice_of(t[i].value, t[i].vlen));
    add(arg, start, (size_t)(p - start));
  }
  p = lsm_entry_put(p, LSM_KIND_PUT, lsm_slice_of(big, 200), lsm_slice_of(big, sizeof big));
  add(arg, buf, (size_t)(p - buf));
}
