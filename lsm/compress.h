/* compress.h: zlib compression of blocks, with libdeflate where it is built in.
**
**   compressed := rawsize:varint zlib-stream
**
** Both libraries write and read the same format; the bytes may differ.
** Threads: a compressor belongs to one; the other functions, any. */
#ifndef LSM_COMPRESS_H
#define LSM_COMPRESS_H

#include "base.h"

/* The state that compressing needs, kept from block to block. */
typedef struct lsm_compressor lsm_compressor;
lsm_rc lsm_compressor_new(lsm_compressor **c);
void lsm_compressor_free(lsm_compressor *c); /* accepts NULL */

/* Compresses raw into *out, replacing its content. *worth is false, and the
** content meaningless, when that would not save an eighth. */
lsm_rc lsm_compress(lsm_compressor *c, lsm_slice raw, lsm_buf *out, bool *worth);

/* The size that compressed bytes, not trusted, claim to have raw; false when
** the claim is malformed or more than zlib could make of them: nothing need be
** allocated to find that out. */
bool lsm_decompress_size(lsm_slice compressed, size_t *size);

/* Decompresses into raw, which has room for the SIZE that
** lsm_decompress_size() told. Anything but exactly that: LSM_CORRUPT, naming
** file and offset. */
lsm_rc lsm_decompress(lsm_slice compressed, uint8_t *raw, size_t size, const char *file,
                      uint64_t off);

#endif
