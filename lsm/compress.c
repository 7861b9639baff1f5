/* compress.c: zlib streams, made by libdeflate (LSM_LIBDEFLATE) or zlib.
**
** Owns:   a few idle decompressors, shared by all threads: making one for each
**         block would cost more than using it, and keeping one a thread would
**         need a destructor that outlives the library when it is unloaded.
** Locks:  none; the idle ones are in atomic slots, taken out by exchange.
** Bytes:  compress.h. */
#include "compress.h"

#ifdef LSM_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

/* The fastest level: blocks are written more often than users wait for disks,
** and higher ones save little on blocks of some kilobytes. */
enum { LEVEL = 1 };

/* zlib cannot do better than 1032:1; the rest is for small sizes. */
static const uint64_t RATIO_MAX = 1100;
static const uint64_t RAW_MAX = UINT32_MAX;

/* What the two libraries have to offer:
**   codec_new_*   NULL: out of memory
**   deflate_block the size written at out, 0: it does not fit
**   inflate_block whether exactly size bytes came out, of all bytes of in; *nomem: no
**                 memory to find out */
#ifdef LSM_LIBDEFLATE

struct lsm_compressor {
  struct libdeflate_compressor *z;
};

typedef struct inflater {
  struct libdeflate_decompressor *z;
} inflater;

static bool compressor_init(lsm_compressor *c) {
  return (c->z = libdeflate_alloc_compressor(LEVEL)) != NULL;
}

static void compressor_fini(lsm_compressor *c) {
  libdeflate_free_compressor(c->z);
}

static size_t deflate_block(lsm_compressor *c, lsm_slice raw, uint8_t *out, size_t room) {
  return libdeflate_zlib_compress(c->z, raw.data, raw.size, out, room);
}

static bool inflater_init(inflater *f) {
  return (f->z = libdeflate_alloc_decompressor()) != NULL;
}

static void inflater_fini(inflater *f) {
  libdeflate_free_decompressor(f->z);
}

static bool inflate_block(inflater *f, lsm_slice in, uint8_t *raw, size_t size, bool *nomem) {
  size_t used = 0, made = 0;
  *nomem = false;
  return libdeflate_zlib_decompress_ex(f->z, in.data, in.size, raw, size, &used, &made) ==
             LIBDEFLATE_SUCCESS &&
         used == in.size && made == size;
}

#else

struct lsm_compressor {
  z_stream z;
};

typedef struct inflater {
  z_stream z;
} inflater;

static void *z_alloc(void *opaque, uInt items, uInt size) {
  (void)opaque;
  return lsm_malloc((size_t)items * size);
}

static void z_free(void *opaque, void *p) {
  (void)opaque;
  lsm_free(p);
}

static bool compressor_init(lsm_compressor *c) {
  c->z.zalloc = z_alloc;
  c->z.zfree = z_free;
  return deflateInit(&c->z, LEVEL) == Z_OK;
}

static void compressor_fini(lsm_compressor *c) {
  (void)deflateEnd(&c->z);
}

static size_t deflate_block(lsm_compressor *c, lsm_slice raw, uint8_t *out, size_t room) {
  z_stream *z = &c->z;
  if (deflateReset(z) != Z_OK) return 0;
  z->next_in = (Bytef *)(uintptr_t)raw.data; /* zlib only reads it */
  z->avail_in = (uInt)raw.size;
  z->next_out = out;
  z->avail_out = (uInt)room;
  return deflate(z, Z_FINISH) == Z_STREAM_END ? room - z->avail_out : 0;
}

static bool inflater_init(inflater *f) {
  f->z.zalloc = z_alloc;
  f->z.zfree = z_free;
  return inflateInit(&f->z) == Z_OK;
}

static void inflater_fini(inflater *f) {
  (void)inflateEnd(&f->z);
}

static bool inflate_block(inflater *f, lsm_slice in, uint8_t *raw, size_t size, bool *nomem) {
  z_stream *z = &f->z;
  *nomem = false;
  if (inflateReset(z) != Z_OK || in.size > UINT32_MAX) return false;
  z->next_in = (Bytef *)(uintptr_t)in.data;
  z->avail_in = (uInt)in.size;
  z->next_out = raw;
  z->avail_out = (uInt)size;
  int rc = inflate(z, Z_FINISH);
  *nomem = rc == Z_MEM_ERROR;
  return rc == Z_STREAM_END && z->avail_in == 0 && z->avail_out == 0;
}

#endif

/*------------------------------------------------------------ compressing */

lsm_rc lsm_compressor_new(lsm_compressor **c) {
  *c = lsm_calloc(sizeof **c);
  if (*c == NULL) return lsm_nomem();
  if (compressor_init(*c)) return LSM_OK;
  lsm_free(*c);
  *c = NULL;
  return lsm_nomem();
}

void lsm_compressor_free(lsm_compressor *c) {
  if (c == NULL) return;
  compressor_fini(c);
  lsm_free(c);
}

lsm_rc lsm_compress(lsm_compressor *c, lsm_slice raw, lsm_buf *out, bool *worth) {
  *worth = false;
  lsm_buf_clear(out);
  size_t head = lsm_varint_len(raw.size);
  size_t most = raw.size - raw.size / 8; /* of what is worth it, head included */
  if (raw.size < 8 || raw.size > RAW_MAX || most <= head) return LSM_OK;
  lsm_rc rc = lsm_buf_reserve(out, most);
  if (rc != LSM_OK) return rc;
  (void)lsm_varint_put(out->data, raw.size);
  size_t n = deflate_block(c, raw, out->data + head, most - head);
  if (n == 0) return LSM_OK;
  out->size = head + n;
  *worth = true;
  return LSM_OK;
}

/*---------------------------------------------------------- decompressing */

#define SLOTS 8
static _Atomic(inflater *) idle[SLOTS];

static inflater *take_inflater(void) {
  for (int i = 0; i < SLOTS; i++) {
    if (atomic_load_explicit(&idle[i], memory_order_relaxed) == NULL) continue;
    inflater *f = atomic_exchange_explicit(&idle[i], NULL, memory_order_acquire);
    if (f != NULL) return f;
  }
  inflater *f = lsm_calloc(sizeof *f);
  if (f == NULL || inflater_init(f)) return f;
  lsm_free(f);
  return NULL;
}

static void give_inflater(inflater *f) {
  for (int i = 0; i < SLOTS; i++) {
    inflater *none = NULL;
    if (atomic_load_explicit(&idle[i], memory_order_relaxed) == NULL &&
        atomic_compare_exchange_strong_explicit(&idle[i], &none, f, memory_order_release,
                                                memory_order_relaxed))
      return;
  }
  inflater_fini(f);
  lsm_free(f);
}

/* Splits off the size; NULL when malformed. */
static const uint8_t *get_size(lsm_slice compressed, uint64_t *size) {
  if (compressed.size == 0) return NULL;
  const uint8_t *end = compressed.data + compressed.size;
  const uint8_t *p = lsm_varint_get(compressed.data, end, size);
  if (p == NULL || *size > RAW_MAX || *size / RATIO_MAX > (uint64_t)(end - p)) return NULL;
  return p;
}

bool lsm_decompress_size(lsm_slice compressed, size_t *size) {
  uint64_t n = 0;
  *size = 0;
  if (get_size(compressed, &n) == NULL || n > SIZE_MAX) return false;
  *size = (size_t)n;
  return true;
}

lsm_rc lsm_decompress(lsm_slice compressed, uint8_t *raw, size_t size, const char *file,
                      uint64_t off) {
  uint64_t n = 0;
  const uint8_t *p = get_size(compressed, &n);
  if (p == NULL || n != size) return lsm_corrupt(file, off, "malformed size of compressed block");
  inflater *f = take_inflater();
  if (f == NULL) return lsm_nomem();
  lsm_slice in = lsm_slice_of(p, compressed.size - (size_t)(p - compressed.data));
  bool nomem;
  bool ok = inflate_block(f, in, raw, size, &nomem);
  give_inflater(f);
  if (ok) return LSM_OK;
  return nomem ? lsm_nomem() : lsm_corrupt(file, off, "compressed block does not decompress");
}
