/* base.h: what every file of lsm/ may use: results with messages, memory,
** slices, growable buffers, little-endian and varint coding, checksums.
**
** Failing is always done through lsm_fail() or lsm_corrupt(), at the place
** where the fault is seen, so that the message names what only that place
** knows. Results then travel up unchanged; the first error wins. */
#ifndef LSM_BASE_H
#define LSM_BASE_H

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "lsm.h"

#if defined(__GNUC__)
#define LSM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define LSM_LIKELY(x) __builtin_expect(!!(x), 1)
#define LSM_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define LSM_INLINE static inline __attribute__((always_inline)) /* where each call counts */
#else
#define LSM_PRINTF(fmt, args)
#define LSM_LIKELY(x) (x)
#define LSM_UNLIKELY(x) (x)
#define LSM_INLINE static inline
#endif

/*---------------------------------------------------------------- results */

/* Records the message for lsm_errmsg() in this thread and returns rc. */
lsm_rc lsm_fail(lsm_rc rc, const char *fmt, ...) LSM_PRINTF(2, 3);

/* The one place where LSM_CORRUPT is born: break here to find it. The message
** is "<file>: <what> at offset <off>". */
lsm_rc lsm_corrupt(const char *file, uint64_t off, const char *what);

/* LSM_NOMEM with its message; allocates nothing. */
lsm_rc lsm_nomem(void);

/* Puts TEXT (a message kept from another thread) into this thread's place. */
void lsm_set_errmsg(const char *text);

/* First error wins: for cleanup code that can itself fail. */
static inline lsm_rc lsm_first_rc(lsm_rc a, lsm_rc b) { return a != LSM_OK ? a : b; }

/*----------------------------------------------------------------- memory */

/* malloc and friends through one hook, so that tests can make the nth call
** fail. lsm_free() accepts NULL. lsm_malloc(0) is not NULL on success. */
void *lsm_malloc(size_t n);
void *lsm_calloc(size_t n); /* zeroed */
void *lsm_realloc(void *p, size_t n);
void lsm_free(void *p);

/* For tests: fn(arg) is asked before each allocation; false makes it fail.
** NULL: never fails. REQUIRES: no other thread allocates meanwhile. */
void lsm_set_malloc_hook(bool (*fn)(void *arg), void *arg);

/*----------------------------------------------------------------- slices */

static inline lsm_slice lsm_slice_of(const void *data, size_t size) {
  lsm_slice s = {(const uint8_t *)data, size};
  return s;
}

static inline lsm_slice lsm_slice_str(const char *s) { return lsm_slice_of(s, strlen(s)); }

static const lsm_slice LSM_SLICE_NULL = {NULL, 0};

/* memcmp order, a prefix before what it is a prefix of. */
static inline int lsm_slice_cmp(lsm_slice a, lsm_slice b) {
  size_t n = a.size < b.size ? a.size : b.size;
  int c = n == 0 ? 0 : memcmp(a.data, b.data, n);
  if (c != 0) return c;
  return a.size < b.size ? -1 : a.size > b.size;
}

static inline bool lsm_slice_eq(lsm_slice a, lsm_slice b) {
  return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/*---------------------------------------------------------------- buffers */

/* Appending to an lsm_buf (declared in lsm.h). LSM_NOMEM changes nothing.
** Zero-initialised is empty. */
lsm_rc lsm_buf_reserve(lsm_buf *b, size_t extra); /* room for EXTRA more bytes */
lsm_rc lsm_buf_append(lsm_buf *b, const void *data, size_t n);
lsm_rc lsm_buf_set(lsm_buf *b, lsm_slice s); /* replace the content */
lsm_rc lsm_buf_put_u8(lsm_buf *b, uint8_t v);
lsm_rc lsm_buf_put_u64(lsm_buf *b, uint64_t v);
lsm_rc lsm_buf_put_varint(lsm_buf *b, uint64_t v);
lsm_rc lsm_buf_put_slice(lsm_buf *b, lsm_slice s); /* varint length, bytes */
static inline void lsm_buf_clear(lsm_buf *b) { b->size = 0; }
static inline lsm_slice lsm_buf_slice(const lsm_buf *b) { return lsm_slice_of(b->data, b->size); }

/*----------------------------------------------------------------- coding */

/* Fixed-width integers are little-endian. */
static inline uint32_t lsm_get_u32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t lsm_get_u64(const uint8_t *p) {
  return (uint64_t)lsm_get_u32(p) | (uint64_t)lsm_get_u32(p + 4) << 32;
}
/* Big-endian, whose order as numbers is that of memcmp. */
static inline uint64_t lsm_get_be64(const uint8_t *p) {
  return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 | (uint64_t)p[3] << 32 |
         (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 | (uint64_t)p[6] << 8 | p[7];
}
/* The first eight of n bytes like that; zeros stand in for those that are missing. */
static inline uint64_t lsm_head_of(const uint8_t *p, size_t n) {
  uint64_t h = 0;
  if (LSM_LIKELY(n >= 8)) return lsm_get_be64(p);
  for (size_t i = 0; i < n; i++) h |= (uint64_t)p[i] << (56 - 8 * i);
  return h;
}
static inline void lsm_set_u32(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)v;
  p[1] = (uint8_t)(v >> 8);
  p[2] = (uint8_t)(v >> 16);
  p[3] = (uint8_t)(v >> 24);
}
static inline void lsm_set_u64(uint8_t *p, uint64_t v) {
  lsm_set_u32(p, (uint32_t)v);
  lsm_set_u32(p + 4, (uint32_t)(v >> 32));
}

/* Varints: 7 bits a byte, lowest first, the high bit says more follow; 1 to
** 10 bytes. Only the shortest form is written; any that fits is read. */
#define LSM_VARINT_MAX 10
size_t lsm_varint_len(uint64_t v);
uint8_t *lsm_varint_put(uint8_t *p, uint64_t v); /* returns the end */

/* Reads from p < end; returns the first byte after it, or NULL when it is cut
** off or does not fit. */
const uint8_t *lsm_varint_get_slow(const uint8_t *p, const uint8_t *end, uint64_t *v);
static inline const uint8_t *lsm_varint_get(const uint8_t *p, const uint8_t *end, uint64_t *v) {
  if (LSM_LIKELY(p < end && *p < 0x80)) {
    *v = *p;
    return p + 1;
  }
  if (LSM_LIKELY(end - p >= 2 && p[1] < 0x80)) {
    *v = (uint64_t)(*p & 0x7F) | (uint64_t)p[1] << 7;
    return p + 2;
  }
  return lsm_varint_get_slow(p, end, v);
}

/* A cursor over bytes that are not trusted. After the first failure ok is
** false and every getter returns zero: check once, at the end. */
typedef struct lsm_reader {
  const uint8_t *p;
  const uint8_t *end;
  bool ok;
} lsm_reader;
static inline lsm_reader lsm_reader_of(lsm_slice s) {
  lsm_reader r = {s.data, s.size == 0 ? s.data : s.data + s.size, true};
  return r;
}
uint8_t lsm_read_u8(lsm_reader *r);
uint64_t lsm_read_varint(lsm_reader *r);
lsm_slice lsm_read_slice(lsm_reader *r); /* varint length, bytes; borrowed */
lsm_slice lsm_read_bytes(lsm_reader *r, size_t n);

/* CRC-32 (zlib's polynomial) of data, continuing from crc (0 to start). */
uint32_t lsm_crc(uint32_t crc, const void *data, size_t n);

/* 64-bit hash for bloom filters and tables; not for adversaries. The value is
** part of the file format: golden bytes in tests. */
uint64_t lsm_hash64(lsm_slice s, uint64_t seed);

#endif
