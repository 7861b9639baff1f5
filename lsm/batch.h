/* batch.h: a sequence of entries as bytes; the payload of log records and the
** arena of memtables.
**
**   entry := kind:u8 klen:varint vlen:varint key[klen] value[vlen]
**
** Later entries are newer. Batches may be concatenated. */
#ifndef LSM_BATCH_H
#define LSM_BATCH_H

#include "key.h"

typedef struct lsm_entry {
  lsm_kind kind;
  lsm_slice key;   /* internal; for DELETE_RANGE the lower bound */
  lsm_slice value; /* for DELETE_RANGE the upper bound, exclusive */
} lsm_entry;

/* Bytes an entry takes. */
size_t lsm_entry_size(size_t klen, size_t vlen);
/* Writes it at p, which has that room; returns the end. */
uint8_t *lsm_entry_put(uint8_t *p, lsm_kind kind, lsm_slice key, lsm_slice value);
/* The same with a value in two parts. */
uint8_t *lsm_entry_put_parts(uint8_t *p, lsm_kind kind, lsm_slice key, lsm_slice head,
                             lsm_slice value);
/* Reads one that is trusted (memtable arena). Returns the end. */
const uint8_t *lsm_entry_get(const uint8_t *p, lsm_entry *e);
/* Reads one that is not: NULL when malformed (kind, lengths, keys without a
** valid prefix, a range across keyspaces or not lo < hi). A range to the end of
** its keyspace has as upper bound the prefix of the next one. */
const uint8_t *lsm_entry_parse(const uint8_t *p, const uint8_t *end, lsm_entry *e);

#endif
