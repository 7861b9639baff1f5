/* fuzz.h: what the fuzz targets have in common.
**
** A target is a file fuzz_<decoder>.c with two functions: one takes any bytes at
** all, the other gives sound examples to begin from. libFuzzer calls the first
** (`make fuzz`), and so does run.c, for compilers without libFuzzer and for the
** short slice in `make test`.
**
** Formats with checksums would turn nearly every mutation away at the door. So
** their targets take a byte FUZZ_REPAIR in front: when it is odd, checksums (and
** what else stands at the door) are made right before the bytes are read.
**
** Memory  Input is copied to a heap block of just its size before it is
**         decoded, so that a read past its end is seen. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "env.h"

/* Aborts when a decoder breaks a promise; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hands each example to add(arg, ...), which copies it. */
typedef void fuzz_add(void *arg, const void *data, size_t size);
void fuzz_seeds(fuzz_add *add, void *arg);

#define FUZZ_REPAIR 1

/* A promise: fails the run with its text and the last message of the library. */
#define FUZZ_CHECK(x)                                                                      \
  do {                                                                                     \
    if (!(x)) {                                                                            \
      fprintf(stderr, "%s:%d: not true: %s (%s)\n", __FILE__, __LINE__, #x, lsm_errmsg()); \
      abort();                                                                             \
    }                                                                                      \
  } while (0)
#define FUZZ_OK(x) FUZZ_CHECK((x) == LSM_OK)

/* Input taken from the front, zeros once it has run out. */
typedef struct fuzz_in {
  const uint8_t *p;
  size_t left;
} fuzz_in;

static inline fuzz_in fuzz_in_of(const uint8_t *data, size_t size) {
  fuzz_in in = {data, size};
  return in;
}

/* Up to n bytes. */
static inline lsm_slice fuzz_take(fuzz_in *in, size_t n) {
  if (n > in->left) n = in->left;
  lsm_slice s = lsm_slice_of(in->p, n);
  if (n > 0) in->p += n;
  in->left -= n;
  return s;
}

/* n bytes, little-endian. */
static inline uint64_t fuzz_number(fuzz_in *in, size_t n) {
  lsm_slice s = fuzz_take(in, n);
  uint64_t v = 0;
  for (size_t i = s.size; i-- > 0;) v = v << 8 | s.data[i];
  return v;
}
static inline uint8_t fuzz_u8(fuzz_in *in) {
  return (uint8_t)fuzz_number(in, 1);
}

/* A heap copy of just that size; free() it. */
static inline uint8_t *fuzz_copy(lsm_slice s) {
  uint8_t *p = malloc(s.size);
  FUZZ_CHECK(p != NULL || s.size == 0);
  if (s.size > 0) memcpy(p, s.data, s.size);
  return p;
}

/* Adds FIRST and then the bytes of s as one example. */
static inline void fuzz_add_with(fuzz_add *add, void *arg, uint8_t first, lsm_slice s) {
  uint8_t *p = malloc(s.size + 1);
  FUZZ_CHECK(p != NULL);
  p[0] = first;
  if (s.size > 0) memcpy(p + 1, s.data, s.size);
  add(arg, p, s.size + 1);
  free(p);
}

/* Makes the file at PATH have just these bytes. */
static inline void fuzz_write_file(lsm_env *env, const char *path, lsm_slice s) {
  lsm_file *f;
  FUZZ_OK(env->open(env, path, LSM_OPEN_WRITE | LSM_OPEN_CREATE | LSM_OPEN_TRUNCATE, &f));
  FUZZ_OK(lsm_file_write(f, 0, s.data, s.size));
  lsm_file_close(f);
}

#endif
