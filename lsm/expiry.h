/* expiry.h: values with a time from which on they are gone.
**
** In a keyspace made so (lsm_keyspace_options.expires) each value begins with
** eight bytes: the time, in milliseconds since 1970, little-endian; 0 is never.
** From then on the entry counts as a tombstone: it hides older entries of its
** key, is not seen, and goes in flushes and compactions as tombstones do. A file
** knows when its values expire, so that one in which all have can go unread.
**
** What is asked for the present time is told it, as NOW, in the same
** milliseconds and never 0; 0 says that the keyspace's values have no such time.
**
** Threads: a tally or an iterator belongs to one. */
#ifndef LSM_EXPIRY_H
#define LSM_EXPIRY_H

#include "iter.h"

#define LSM_UNTIL_SIZE 8 /* bytes in front of a value */

/* When the values of a file expire: the first, half of them, the last. All 0:
** none ever does, or it is not known. A file without values, of tombstones
** alone, has 1. */
typedef struct lsm_expiry {
  uint64_t first, half, last;
} lsm_expiry;

/* Times in order, never at the end: never is the greatest. */
static inline uint64_t lsm_until_rank(uint64_t until) { return until - 1; }

static inline bool lsm_until_past(uint64_t until, uint64_t now) { return until - 1 < now; }

/* Of a value as it is stored; never for one that is too short to have a time. */
static inline uint64_t lsm_until_of(lsm_slice value) {
  return LSM_LIKELY(value.size >= LSM_UNTIL_SIZE) ? lsm_get_u64(value.data) : 0;
}

/* Takes the time off: what users see. False: there is none. */
static inline bool lsm_until_strip(lsm_slice *value) {
  if (value->size < LSM_UNTIL_SIZE) return false;
  *value = lsm_slice_of(value->data + LSM_UNTIL_SIZE, value->size - LSM_UNTIL_SIZE);
  return true;
}

/* Are the three in order, and do they say anything? */
bool lsm_expiry_is_sound(const lsm_expiry *e);

/* Sums up the values of a file. half is exact up to LSM_EXPIRY_SAMPLE values,
** about right beyond. Zero-initialise. */
#define LSM_EXPIRY_SAMPLE 4096
typedef struct lsm_expiry_tally {
  uint64_t count;  /* values so far */
  uint64_t stride; /* one in so many is in the sample */
  uint64_t first, last;
  uint64_t *sample; /* ranks */
  size_t nsample;
} lsm_expiry_tally;

lsm_rc lsm_expiry_note(lsm_expiry_tally *t, lsm_slice value);
lsm_expiry lsm_expiry_sum(lsm_expiry_tally *t);
void lsm_expiry_tally_fini(lsm_expiry_tally *t);

/* Takes inner, also when it fails. Yields the keyspace's entries as they are at NOW:
** those expired as DELETE, the others without their time. (Of other keyspaces as they
** are: a walk that leaves its bounds meets one.) NAME, for messages of damage, must
** outlive it. */
lsm_rc lsm_live_new(lsm_iter *inner, uint32_t keyspace, uint64_t now, const char *name,
                    lsm_iter **it);
/* The same to be used again: *it, NULL the first time, is over inner, borrowed, from now
** on. Unpositioned. Only the first time can fail. */
lsm_rc lsm_live_reuse(lsm_iter **it, lsm_iter *inner, uint32_t keyspace, uint64_t now,
                      const char *name);
/* The time of the entry it stands on. REQUIRES: one of these; valid, PUT. */
uint64_t lsm_live_until(const lsm_iter *it);

#endif
