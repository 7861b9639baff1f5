/* sst_format.c: encodes and checks the footer, and computes checksums.
** Bytes: sst_format.h, FORMAT.md. */
#include "sst_format.h"

enum { CRC_OFF = LSM_SST_FOOTER - LSM_SST_MAGIC_SIZE - 8, VERSION_OFF = CRC_OFF + 4 };

static uint32_t footer_crc(const uint8_t *p) {
  uint32_t crc = lsm_crc(0, p, CRC_OFF);
  return lsm_crc(crc, p + VERSION_OFF, LSM_SST_FOOTER - VERSION_OFF);
}

void lsm_sst_footer_put(uint8_t p[LSM_SST_FOOTER], const lsm_sst_footer *f) {
  uint8_t *q = p;
  for (int i = 0; i < LSM_SST_PARTS; i++, q += 16) {
    lsm_set_u64(q, f->parts[i].off);
    lsm_set_u64(q + 8, f->parts[i].size);
  }
  memcpy(q, f->store_id, LSM_STORE_ID_SIZE);
  lsm_set_u64(q + 16, f->file_number);
  lsm_set_u32(q + 24, f->keyspace);
  lsm_set_u32(p + VERSION_OFF, LSM_SST_VERSION);
  memcpy(p + VERSION_OFF + 4, LSM_SST_MAGIC, LSM_SST_MAGIC_SIZE);
  lsm_set_u32(p + CRC_OFF, footer_crc(p));
}

const char *lsm_sst_footer_get(const uint8_t p[LSM_SST_FOOTER], lsm_sst_footer *f) {
  if (memcmp(p + VERSION_OFF + 4, LSM_SST_MAGIC, LSM_SST_MAGIC_SIZE) != 0)
    return "not an SSTable, or cut off";
  if (lsm_get_u32(p + CRC_OFF) != footer_crc(p)) return "wrong checksum of the footer";
  if (lsm_get_u32(p + VERSION_OFF) != LSM_SST_VERSION) return "unknown format version";
  const uint8_t *q = p;
  for (int i = 0; i < LSM_SST_PARTS; i++, q += 16) {
    f->parts[i].off = lsm_get_u64(q);
    f->parts[i].size = lsm_get_u64(q + 8);
  }
  memcpy(f->store_id, q, LSM_STORE_ID_SIZE);
  f->file_number = lsm_get_u64(q + 16);
  f->keyspace = lsm_get_u32(q + 24);
  return NULL;
}

uint32_t lsm_sst_crc_seed(const uint8_t *store_id, uint64_t file_number) {
  uint8_t tmp[8];
  lsm_set_u64(tmp, file_number);
  return lsm_crc(lsm_crc(0, store_id, LSM_STORE_ID_SIZE), tmp, sizeof tmp);
}

uint32_t lsm_sst_block_crc(uint32_t seed, uint64_t off, lsm_slice body, uint8_t type) {
  uint8_t tmp[8];
  lsm_set_u64(tmp, off);
  uint32_t crc = lsm_crc(seed, tmp, sizeof tmp);
  crc = lsm_crc(crc, body.data, body.size);
  return lsm_crc(crc, &type, 1);
}
