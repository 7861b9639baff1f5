/* wal_format.h: bytes that the writer and the reader of a log agree on, and the
** sector rule by which log and manifest tell a torn write from damage.
**
** Bytes: FORMAT.md, "Write-ahead log". All integers little-endian.
** Memory: none is allocated here. */
#ifndef LSM_WAL_FORMAT_H
#define LSM_WAL_FORMAT_H

#include "wal.h"

#define LSM_WAL_MAGIC   "lsmwal\r\n" /* 8 bytes */
#define LSM_WAL_VERSION 1u

enum {
  LSM_WAL_HEADER_SIZE = 64, /* of the file; records follow */
  LSM_WAL_RECORD_SIZE = 32, /* of a record's header */
  LSM_WAL_ALIGN = 8,
  LSM_SECTOR = 512 /* what a disk writes whole or not at all */
};

/* 4 GB less a record's header and padding, so that all of it fits 32 bits. */
#define LSM_WAL_PAYLOAD_MAX 0xFFFFFFC0u

/* Offsets in the file's header. */
enum {
  LSM_WAL_AT_VERSION = 8,
  LSM_WAL_AT_SALT = 12,
  LSM_WAL_AT_STORE = 16,
  LSM_WAL_AT_NUMBER = 32,
  LSM_WAL_AT_PREV_NUMBER = 40,
  LSM_WAL_AT_PREV_END = 48,
  LSM_WAL_AT_ZERO = 56,
  LSM_WAL_AT_CRC = 60
};

/* A record's header, decoded. */
typedef struct lsm_wal_head {
  uint32_t payload_crc; /* of payload and padding */
  uint32_t len;         /* of the payload, without padding */
  uint8_t type;         /* lsm_wal_type */
  uint32_t zeros;       /* 24 bits: all-zero sector parts, see lsm_sectors */
  uint64_t txid;
  uint64_t synced_to; /* the file was known durable up to here at the time */
} lsm_wal_head;

static inline size_t lsm_wal_padding(uint32_t len) {
  return (size_t)(0u - len) & 7u;
}

/* Header, payload and padding. */
static inline uint64_t lsm_wal_record_bytes(uint32_t len) {
  return (uint64_t)LSM_WAL_RECORD_SIZE + len + lsm_wal_padding(len);
}

/* Bytes of another log, or of this one from elsewhere, must not check: the
** salt goes into both checksums, the record's offset into the header's. */
static inline uint32_t lsm_wal_head_crc(const uint8_t *p, uint32_t salt, uint64_t off) {
  uint8_t seed[12];
  lsm_set_u32(seed, salt);
  lsm_set_u64(seed + 4, off);
  return lsm_crc(lsm_crc(0, seed, sizeof(seed)), p + 4, LSM_WAL_RECORD_SIZE - 4);
}

static inline uint32_t lsm_wal_payload_seed(uint32_t salt) {
  uint8_t seed[4];
  lsm_set_u32(seed, salt);
  return lsm_crc(0, seed, sizeof(seed));
}

/* All but the checksum of the header; lsm_wal_head_seal() adds it. */
static inline void lsm_wal_head_put(uint8_t *p, const lsm_wal_head *h) {
  lsm_set_u32(p, 0);
  lsm_set_u32(p + 4, h->payload_crc);
  lsm_set_u32(p + 8, h->len);
  lsm_set_u32(p + 12, h->type | h->zeros << 8);
  lsm_set_u64(p + 16, h->txid);
  lsm_set_u64(p + 24, h->synced_to);
}

static inline void lsm_wal_head_seal(uint8_t *p, uint32_t salt, uint64_t off) {
  lsm_set_u32(p, lsm_wal_head_crc(p, salt, off));
}

/* false: it does not check, *h is not to be believed. */
static inline bool lsm_wal_head_get(const uint8_t *p, uint32_t salt, uint64_t off,
                                    lsm_wal_head *h) {
  h->payload_crc = lsm_get_u32(p + 4);
  h->len = lsm_get_u32(p + 8);
  h->type = p[12];
  h->zeros = lsm_get_u32(p + 12) >> 8;
  h->txid = lsm_get_u64(p + 16);
  h->synced_to = lsm_get_u64(p + 24);
  return lsm_get_u32(p) == lsm_wal_head_crc(p, salt, off);
}

/*---------------------------------------------------------------- sectors */

/* A power loss leaves each aligned sector of an append either written or as it
** was before: zero from the last record's end on. A sector part is what a
** sector and a record have in common. A record says how many of its parts
** are zero by nature; when more are zero than that, a write was lost, and
** when not, it was not, so a flipped bit is not taken for a tear.
** The part with the record's first byte is never counted: it holds checksums.
** Typical data costs one comparison a sector. */
typedef struct lsm_sectors {
  uint64_t pos;   /* file offset of the next byte */
  bool zero;      /* the part so far */
  uint32_t count; /* of complete parts */
} lsm_sectors;

static inline bool lsm_all_zero(const uint8_t *p, size_t n) {
  return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static inline void lsm_sectors_init(lsm_sectors *s, uint64_t off) {
  s->pos = off;
  s->zero = false;
  s->count = 0;
}

static inline void lsm_sectors_feed(lsm_sectors *s, const uint8_t *p, size_t n) {
  while (n > 0) {
    size_t left = LSM_SECTOR - (size_t)(s->pos % LSM_SECTOR);
    size_t take = n < left ? n : left;
    if (s->zero) s->zero = lsm_all_zero(p, take);
    s->pos += take;
    p += take;
    n -= take;
    if (take == left) {
      s->count += s->zero;
      s->zero = true;
    }
  }
}

/* Is the last part, which ends inside a sector, zero? */
static inline bool lsm_sectors_last(const lsm_sectors *s) {
  return s->pos % LSM_SECTOR != 0 && s->zero;
}

static inline uint32_t lsm_sectors_total(const lsm_sectors *s) {
  return s->count + (lsm_sectors_last(s) ? 1u : 0u);
}

/* Was a write to the record lost? s was fed all of it as it is now; NATURAL is
** the number it was written with; REST_ZERO: what follows in the sector of its
** end, if anything, is zero too (else that sector did reach the disk). */
static inline bool lsm_sectors_lost(const lsm_sectors *s, uint32_t natural, bool rest_zero) {
  uint32_t found = s->count;
  if (lsm_sectors_last(s)) {
    if (rest_zero) {
      found++;
    } else {
      if (natural == 0) return false;
      natural--;
    }
  }
  return found > natural;
}

#endif
