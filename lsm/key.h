/* key.h: internal keys, and what an entry can be.
**
** An internal key is a keyspace number followed by the user's key, so that all
** keyspaces share one order and one memtable:
**
**   internal := prefix user-key
**   prefix   := u8                 for numbers below 0xF0
**             | 0xF0 u32 big-endian  for all others
**
** memcmp order of prefixes is the order of the numbers, and no prefix is a
** prefix of another. "Key" means internal key everywhere below db.c. */
#ifndef LSM_KEY_H
#define LSM_KEY_H

#include "base.h"

/* What an entry says of its key. Numbers are on disk. */
typedef enum lsm_kind {
  LSM_KIND_PUT = 1,         /* key has this value */
  LSM_KIND_DELETE = 2,      /* tombstone: key has none */
  LSM_KIND_DELETE_RANGE = 3 /* no key in [key, value) has one, in OLDER runs */
} lsm_kind;

#define LSM_PREFIX_MAX 5
#define LSM_KEYSPACE_MAX 0xFFFFFFFEu

/* Longest key (prefix included) and value that may be stored. */
#define LSM_KEY_MAX (1u << 30)
#define LSM_VALUE_MAX (1u << 31)

/* Writes the prefix of a keyspace; returns its length, 1 or 5. */
static inline size_t lsm_prefix_put(uint8_t *p, uint32_t keyspace) {
  if (keyspace < 0xF0) {
    p[0] = (uint8_t)keyspace;
    return 1;
  }
  p[0] = 0xF0;
  p[1] = (uint8_t)(keyspace >> 24);
  p[2] = (uint8_t)(keyspace >> 16);
  p[3] = (uint8_t)(keyspace >> 8);
  p[4] = (uint8_t)keyspace;
  return 5;
}

/* Splits a key; returns the prefix' length, or 0 when it is malformed. */
static inline size_t lsm_prefix_get(lsm_slice key, uint32_t *keyspace) {
  if (key.size >= 1 && key.data[0] < 0xF0) {
    *keyspace = key.data[0];
    return 1;
  }
  if (key.size >= 5 && key.data[0] == 0xF0) {
    *keyspace = (uint32_t)key.data[1] << 24 | (uint32_t)key.data[2] << 16 |
                (uint32_t)key.data[3] << 8 | key.data[4];
    return *keyspace < 0xF0 ? 0 : 5;
  }
  *keyspace = 0;
  return 0;
}

#endif
