/* batch.c: coding of entries (batch.h has the grammar).
**
** Two readers: one for bytes this process wrote (lengths are believed), one
** for bytes from a disk (nothing is). */
#include "batch.h"

size_t lsm_entry_size(size_t klen, size_t vlen) {
  return 1 + lsm_varint_len(klen) + lsm_varint_len(vlen) + klen + vlen;
}

uint8_t *lsm_entry_put(uint8_t *p, lsm_kind kind, lsm_slice key, lsm_slice value) {
  *p++ = (uint8_t)kind;
  if (LSM_LIKELY((key.size | value.size) < 0x80)) {
    *p++ = (uint8_t)key.size;
    *p++ = (uint8_t)value.size;
  } else {
    p = lsm_varint_put(p, key.size);
    p = lsm_varint_put(p, value.size);
  }
  if (key.size > 0) memcpy(p, key.data, key.size);
  p += key.size;
  if (value.size > 0) memcpy(p, value.data, value.size);
  return p + value.size;
}

uint8_t *lsm_entry_put_parts(uint8_t *p, lsm_kind kind, lsm_slice key, lsm_slice head,
                             lsm_slice value) {
  *p++ = (uint8_t)kind;
  p = lsm_varint_put(p, key.size);
  p = lsm_varint_put(p, head.size + value.size);
  if (key.size > 0) memcpy(p, key.data, key.size);
  p += key.size;
  if (head.size > 0) memcpy(p, head.data, head.size);
  p += head.size;
  if (value.size > 0) memcpy(p, value.data, value.size);
  return p + value.size;
}

/* A varint that is known to be whole; at most 5 bytes are ever written here,
** as LSM_VALUE_MAX is 2^31. */
static const uint8_t *trusted_varint(const uint8_t *p, size_t *v) {
  size_t x = *p & 0x7F;
  unsigned shift = 7;
  while (*p++ >= 0x80) {
    x |= (size_t)(*p & 0x7F) << shift;
    shift += 7;
  }
  *v = x;
  return p;
}

const uint8_t *lsm_entry_get(const uint8_t *p, lsm_entry *e) {
  e->kind = (lsm_kind)*p++;
  p = trusted_varint(p, &e->key.size);
  p = trusted_varint(p, &e->value.size);
  e->key.data = p;
  e->value.data = p + e->key.size;
  return e->value.data + e->value.size;
}

/* May HI end a range that begins in the keyspace of LO, whose prefix has PLEN
** bytes? Yes if it lies in the same keyspace or is where the next one begins. */
static bool ends_keyspace(lsm_slice lo, size_t plen, uint32_t keyspace, lsm_slice hi) {
  if (hi.size >= plen && memcmp(lo.data, hi.data, plen) == 0) return true;
  uint8_t next[LSM_PREFIX_MAX];
  size_t n = lsm_prefix_put(next, keyspace + 1);
  return lsm_slice_eq(hi, lsm_slice_of(next, n));
}

const uint8_t *lsm_entry_parse(const uint8_t *p, const uint8_t *end, lsm_entry *e) {
  uint64_t klen, vlen;
  uint32_t keyspace;
  if (p >= end) return NULL;
  uint8_t kind = *p++;
  if (kind < LSM_KIND_PUT || kind > LSM_KIND_DELETE_RANGE) return NULL;
  p = lsm_varint_get(p, end, &klen);
  if (p == NULL || klen > LSM_KEY_MAX) return NULL;
  p = lsm_varint_get(p, end, &vlen);
  if (p == NULL || vlen > LSM_VALUE_MAX) return NULL;
  if (klen > (uint64_t)(end - p) || vlen > (uint64_t)(end - p) - klen) return NULL;
  e->kind = (lsm_kind)kind;
  e->key = lsm_slice_of(p, (size_t)klen);
  e->value = lsm_slice_of(p + klen, (size_t)vlen);
  size_t plen = lsm_prefix_get(e->key, &keyspace);
  if (plen == 0 || keyspace > LSM_KEYSPACE_MAX) return NULL;
  if (kind == LSM_KIND_DELETE && vlen != 0) return NULL;
  if (kind == LSM_KIND_DELETE_RANGE) {
    if (vlen > LSM_KEY_MAX || lsm_slice_cmp(e->key, e->value) >= 0) return NULL;
    if (!ends_keyspace(e->key, plen, keyspace, e->value)) return NULL;
  }
  return p + klen + vlen;
}
