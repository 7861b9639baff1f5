/* base.c: results with messages, memory, buffers, coding, checksums.
**
** Owns     one message a thread, in static storage: failing never allocates.
** Locks    none. The malloc hook is set while no other thread allocates.
** Bytes    varints, CRCs and lsm_hash64() are part of the file format and do
**          not depend on the byte order of the machine. */
#include "base.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef LSM_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

/*---------------------------------------------------------------- results */

enum { MSG_SIZE = 512, BUF_MIN = 64 };

static _Thread_local char errmsg[MSG_SIZE];

const char *lsm_rc_name(lsm_rc rc) {
  switch (rc) {
    case LSM_OK:
      return "LSM_OK";
    case LSM_NOTFOUND:
      return "LSM_NOTFOUND";
    case LSM_BUSY:
      return "LSM_BUSY";
    case LSM_NOMEM:
      return "LSM_NOMEM";
    case LSM_IOERR:
      return "LSM_IOERR";
    case LSM_FULL:
      return "LSM_FULL";
    case LSM_CORRUPT:
      return "LSM_CORRUPT";
    case LSM_CANTOPEN:
      return "LSM_CANTOPEN";
    case LSM_READONLY:
      return "LSM_READONLY";
    case LSM_INTERRUPT:
      return "LSM_INTERRUPT";
    case LSM_MISUSE:
      return "LSM_MISUSE";
    case LSM_STALE:
      return "LSM_STALE";
  }
  return "LSM_?";
}

const char *lsm_errmsg(void) {
  return errmsg;
}

/* Copies at most what fits; a UTF-8 character is never cut in two. */
void lsm_set_errmsg(const char *text) {
  size_t n = strlen(text);
  if (n >= MSG_SIZE) {
    n = MSG_SIZE - 1;
    while (n > 0 && ((uint8_t)text[n] & 0xC0) == 0x80) n--;
  }
  memmove(errmsg, text, n);
  errmsg[n] = '\0';
}

lsm_rc lsm_fail(lsm_rc rc, const char *fmt, ...) {
  /* Formatted apart, because an argument may be lsm_errmsg() itself. One
  ** character too many, for lsm_set_errmsg() to see that it does not fit. */
  char text[MSG_SIZE + 1];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  lsm_set_errmsg(n < 0 ? lsm_rc_name(rc) : text);
  return rc;
}

lsm_rc lsm_corrupt(const char *file, uint64_t off, const char *what) {
  return lsm_fail(LSM_CORRUPT, "%s: %s at offset %" PRIu64, file, what, off);
}

lsm_rc lsm_nomem(void) {
  lsm_set_errmsg("out of memory");
  return LSM_NOMEM;
}

/*----------------------------------------------------------------- memory */

static bool (*malloc_hook)(void *arg);
static void *malloc_hook_arg;

void lsm_set_malloc_hook(bool (*fn)(void *arg), void *arg) {
  malloc_hook = fn;
  malloc_hook_arg = arg;
}

/* No honest request is larger (512 GB where there are 64 bits): a size gone
** wrong is out of memory at once, everywhere alike. */
static const size_t ALLOC_MAX = SIZE_MAX >> (sizeof(size_t) == 8 ? 25 : 1);

static inline bool may_allocate(size_t n) {
  if (LSM_UNLIKELY(n > ALLOC_MAX)) return false;
  return LSM_LIKELY(malloc_hook == NULL) || malloc_hook(malloc_hook_arg);
}

void *lsm_malloc(size_t n) {
  return may_allocate(n) ? malloc(n == 0 ? 1 : n) : NULL;
}

void *lsm_calloc(size_t n) {
  return may_allocate(n) ? calloc(1, n == 0 ? 1 : n) : NULL;
}

void *lsm_realloc(void *p, size_t n) {
  return may_allocate(n) ? realloc(p, n == 0 ? 1 : n) : NULL;
}

void lsm_free(void *p) {
  free(p);
}

/*---------------------------------------------------------------- buffers */

lsm_rc lsm_buf_reserve(lsm_buf *b, size_t extra) {
  if (extra <= b->cap - b->size) return LSM_OK;
  if (extra > SIZE_MAX - b->size) return lsm_nomem();
  size_t need = b->size + extra;
  size_t cap = b->cap > SIZE_MAX / 2 ? need : b->cap * 2;
  if (cap < BUF_MIN) cap = BUF_MIN;
  if (cap < need) cap = need;
  uint8_t *data = lsm_realloc(b->data, cap);
  if (data == NULL) return lsm_nomem();
  b->data = data;
  b->cap = cap;
  return LSM_OK;
}

lsm_rc lsm_buf_append(lsm_buf *b, const void *data, size_t n) {
  if (n == 0) return LSM_OK;
  lsm_rc rc = lsm_buf_reserve(b, n);
  if (rc != LSM_OK) return rc;
  memcpy(b->data + b->size, data, n);
  b->size += n;
  return LSM_OK;
}

lsm_rc lsm_buf_set(lsm_buf *b, lsm_slice s) {
  if (s.size > b->cap) {
    lsm_rc rc = lsm_buf_reserve(b, s.size - b->size);
    if (rc != LSM_OK) return rc;
  }
  if (s.size > 0) memmove(b->data, s.data, s.size); /* may be a part of b */
  b->size = s.size;
  return LSM_OK;
}

lsm_rc lsm_buf_put_u8(lsm_buf *b, uint8_t v) {
  return lsm_buf_append(b, &v, 1);
}

lsm_rc lsm_buf_put_u64(lsm_buf *b, uint64_t v) {
  uint8_t tmp[8];
  lsm_set_u64(tmp, v);
  return lsm_buf_append(b, tmp, sizeof tmp);
}

lsm_rc lsm_buf_put_varint(lsm_buf *b, uint64_t v) {
  lsm_rc rc = lsm_buf_reserve(b, LSM_VARINT_MAX);
  if (rc != LSM_OK) return rc;
  b->size = (size_t)(lsm_varint_put(b->data + b->size, v) - b->data);
  return LSM_OK;
}

lsm_rc lsm_buf_put_slice(lsm_buf *b, lsm_slice s) {
  if (s.size > SIZE_MAX - LSM_VARINT_MAX) return lsm_nomem();
  lsm_rc rc = lsm_buf_reserve(b, LSM_VARINT_MAX + s.size); /* both or neither */
  if (rc != LSM_OK) return rc;
  uint8_t *p = lsm_varint_put(b->data + b->size, s.size);
  if (s.size > 0) memcpy(p, s.data, s.size);
  b->size = (size_t)(p - b->data) + s.size;
  return LSM_OK;
}

void lsm_buf_fini(lsm_buf *buf) {
  lsm_free(buf->data);
  memset(buf, 0, sizeof *buf);
}

/*----------------------------------------------------------------- coding */

size_t lsm_varint_len(uint64_t v) {
  size_t n = 1;
  while (v >= 0x80) {
    v >>= 7;
    n++;
  }
  return n;
}

uint8_t *lsm_varint_put(uint8_t *p, uint64_t v) {
  while (v >= 0x80) {
    *p++ = (uint8_t)(v | 0x80);
    v >>= 7;
  }
  *p++ = (uint8_t)v;
  return p;
}

const uint8_t *lsm_varint_get_slow(const uint8_t *p, const uint8_t *end, uint64_t *v) {
  uint64_t sum = 0;
  for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
    uint8_t byte = *p++;
    if (shift == 63 && byte > 1) return NULL; /* only one bit is left */
    sum |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) {
      *v = sum;
      return p;
    }
  }
  return NULL;
}

lsm_slice lsm_read_bytes(lsm_reader *r, size_t n) {
  if (!r->ok || n > (size_t)(r->end - r->p)) {
    r->ok = false;
    return LSM_SLICE_NULL;
  }
  lsm_slice s = lsm_slice_of(r->p, n);
  if (n > 0) r->p += n;
  return s;
}

uint8_t lsm_read_u8(lsm_reader *r) {
  lsm_slice s = lsm_read_bytes(r, 1);
  return r->ok ? s.data[0] : 0;
}

uint64_t lsm_read_varint(lsm_reader *r) {
  uint64_t v = 0;
  const uint8_t *p = r->ok ? lsm_varint_get(r->p, r->end, &v) : NULL;
  if (p == NULL) {
    r->ok = false;
    return 0;
  }
  r->p = p;
  return v;
}

lsm_slice lsm_read_slice(lsm_reader *r) {
  uint64_t n = lsm_read_varint(r);
  if (n > SIZE_MAX) r->ok = false;
  return lsm_read_bytes(r, (size_t)n);
}

/*-------------------------------------------------------------- checksums */

uint32_t lsm_crc(uint32_t crc, const void *data, size_t n) {
  const uint8_t *p = data;
  if (n == 0) return crc; /* both libraries would start afresh at a NULL pointer */
#ifdef LSM_LIBDEFLATE
  return libdeflate_crc32(crc, p, n); /* by the processor's own instructions */
#else
  while (n > 0) {
    size_t part = n < (1u << 30) ? n : (1u << 30); /* zlib counts in uInt */
    crc = (uint32_t)crc32(crc, p, (uInt)part);
    p += part;
    n -= part;
  }
  return crc;
#endif
}

/* Odd numbers with about as many ones as zeros: the fractional parts of the
** square roots of 2, 3, 5 and 7, made odd. */
static const uint64_t K0 = 0x6A09E667F3BCC909, K1 = 0xBB67AE8584CAA73B;
static const uint64_t K2 = 0x3C6EF372FE94F82B, K3 = 0xA54FF53A5F1D36F1;

/* The two halves of the 128-bit product, folded: every bit of the result
** depends on every bit of both factors. */
static inline uint64_t mix(uint64_t a, uint64_t b) {
#if defined(__SIZEOF_INT128__) && !defined(LSM_NO_INT128)
  __extension__ typedef unsigned __int128 u128;
  u128 product = (u128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
  uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
  uint64_t ll = al * bl, lh = al * bh, hl = ah * bl, hh = ah * bh;
  uint64_t mid = (ll >> 32) + (uint32_t)lh + (uint32_t)hl;
  uint64_t lo = mid << 32 | (uint32_t)ll;
  uint64_t hi = hh + (lh >> 32) + (hl >> 32) + (mid >> 32);
  return lo ^ hi;
#endif
}

/* The last n < 8 bytes as one number. Overlapping reads are fine: the length
** is hashed too. */
static inline uint64_t get_tail(const uint8_t *p, size_t n) {
  if (n >= 4) return lsm_get_u32(p) | (uint64_t)lsm_get_u32(p + n - 4) << 32;
  if (n > 0) return (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
  return 0;
}

uint64_t lsm_hash64(lsm_slice s, uint64_t seed) {
  const uint8_t *p = s.data;
  size_t n = s.size;
  uint64_t h = mix(seed ^ K0, K1), a, b;
  for (; n >= 16; p += 16, n -= 16) h = mix(lsm_get_u64(p) ^ K1, lsm_get_u64(p + 8) ^ h);
  if (n >= 8) {
    a = lsm_get_u64(p);
    b = get_tail(p + 8, n - 8);
  } else {
    a = get_tail(p, n);
    b = 0;
  }
  return mix(mix(a ^ K2, b ^ h) ^ K3, (uint64_t)s.size ^ K1);
}
