/* sst_format.h: the bytes of an SSTable that writer and reader must agree on.
** FORMAT.md, section "SSTable", is the description; this is its code.
**
**   file    := data* ranges filter props index footer
**   each of the parts before the footer is a stored block:
**   stored  := body type:u8 crc:u32
**
** The crc is of body and type, begun with store id, file number and offset: a
** block that was copied from elsewhere does not check. */
#ifndef LSM_SST_FORMAT_H
#define LSM_SST_FORMAT_H

#include "base.h"

#define LSM_SST_VERSION    1
#define LSM_SST_MAGIC      "lsm-sst\n"
#define LSM_SST_MAGIC_SIZE 8
#define LSM_STORE_ID_SIZE  16

/* After the body of a stored block. */
#define LSM_SST_TRAILER 5
#define LSM_SST_RAW     0 /* types: the body is the block */
#define LSM_SST_ZLIB    1 /* compress.h */

/* Bytes of a body; offsets in a block are u32. */
#define LSM_SST_BODY_MAX UINT32_MAX

/* Names of properties. Numbers are varints. Unknown ones are skipped. */
#define LSM_SST_PROP_ENTRIES      "entries"
#define LSM_SST_PROP_TOMBSTONES   "tombstones"
#define LSM_SST_PROP_RANGES       "ranges"
#define LSM_SST_PROP_RAW_BYTES    "raw_bytes"
#define LSM_SST_PROP_SMALLEST     "smallest"
#define LSM_SST_PROP_LARGEST      "largest"
#define LSM_SST_PROP_LARGEST_OPEN "largest_open"
/* All three, or none. */
#define LSM_SST_PROP_EXPIRES_FIRST "expires_first"
#define LSM_SST_PROP_EXPIRES_HALF  "expires_half"
#define LSM_SST_PROP_EXPIRES_LAST  "expires_last"

/* The parts between the data and the footer, in the order of the file. */
typedef enum lsm_sst_part {
  LSM_SST_RANGES,
  LSM_SST_FILTER,
  LSM_SST_PROPS,
  LSM_SST_INDEX,
  LSM_SST_PARTS
} lsm_sst_part;

typedef struct lsm_sst_extent {
  uint64_t off;
  uint64_t size; /* of the body */
} lsm_sst_extent;

typedef struct lsm_sst_footer {
  lsm_sst_extent parts[LSM_SST_PARTS];
  uint8_t store_id[LSM_STORE_ID_SIZE];
  uint64_t file_number;
  uint32_t keyspace;
} lsm_sst_footer;

/* footer := parts[4]{off:u64 size:u64} store_id[16] file_number:u64
**           keyspace:u32 crc:u32 version:u32 magic[8]
** The crc is of all of it but itself. */
#define LSM_SST_FOOTER 108
void lsm_sst_footer_put(uint8_t p[LSM_SST_FOOTER], const lsm_sst_footer *f);
/* Checks magic, crc and version; NULL, or what is wrong. */
const char *lsm_sst_footer_get(const uint8_t p[LSM_SST_FOOTER], lsm_sst_footer *f);

/* What a file's checksums begin with. */
uint32_t lsm_sst_crc_seed(const uint8_t *store_id, uint64_t file_number);
/* The checksum of a stored block at off. */
uint32_t lsm_sst_block_crc(uint32_t seed, uint64_t off, lsm_slice body, uint8_t type);

#endif
