/* fuzz_values.h: SQL values out of fuzz input, for the targets of ext/. */
#ifndef FUZZ_VALUES_H
#define FUZZ_VALUES_H

#include "fuzz.h"
#include "value.h"

/* A value that a column of AFF can hold; text and blob borrow from the input.
** what:u8, then 1 to 8 bytes of a number or n:u8 and n bytes. */
static inline lsm_value fuzz_value(fuzz_in *in, lsm_affinity aff) {
  uint8_t what = fuzz_u8(in);
  uint64_t u;
  int64_t i;
  double r;
  switch (what % 6) {
    case 0:
      return lsm_value_null();
    case 1: /* sign-extended from 1 to 8 bytes */
    case 2: {
      size_t n = 1 + (what / 6) % 8;
      u = fuzz_number(in, n);
      if (n < 8 && (u >> (8 * n - 1) & 1) != 0) u |= UINT64_MAX << (8 * n);
      memcpy(&i, &u, sizeof i);
      if (aff == LSM_AFF_REAL) return lsm_value_real((double)i);
      return what % 6 == 1 || aff == LSM_AFF_TEXT ? lsm_value_int(i) : lsm_value_real((double)i);
    }
    case 3:
      u = fuzz_number(in, 8);
      memcpy(&r, &u, sizeof r);
      return lsm_value_real(r);
    case 4:
      return lsm_value_text(fuzz_take(in, fuzz_u8(in)));
    default:
      return lsm_value_blob(fuzz_take(in, fuzz_u8(in)));
  }
}

/* Same type, same bits. */
static inline bool fuzz_same(const lsm_value *a, const lsm_value *b) {
  if (a->type != b->type) return false;
  switch (a->type) {
    case SQLITE_INTEGER:
      return a->u.i == b->u.i;
    case SQLITE_FLOAT:
      return memcmp(&a->u.r, &b->u.r, sizeof a->u.r) == 0;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
      return lsm_slice_eq(a->u.s, b->u.s);
    default:
      return true;
  }
}

#endif
