/* value_cmp.h: SQLite's order of two values, by comparing them: NULL < numbers (exact) < text by
** collation < blob. What the order of keys is judged by; test_value.c judges it by SQLite. */
#ifndef VALUE_CMP_H
#define VALUE_CMP_H

#include "value.h"

static inline int value_cmp_numbers(const lsm_value *a, const lsm_value *b) {
  if (a->type == SQLITE_INTEGER && b->type == SQLITE_INTEGER) {
    return a->u.i < b->u.i ? -1 : a->u.i > b->u.i;
  }
  if (a->type == SQLITE_INTEGER) return lsm_int_real_cmp(a->u.i, b->u.r);
  if (b->type == SQLITE_INTEGER) return -lsm_int_real_cmp(b->u.i, a->u.r);
  return a->u.r < b->u.r ? -1 : a->u.r > b->u.r;
}

/* As SQLite's NOCASE: what follows a zero byte in both counts only by its
** length. */
static inline int value_cmp_nocase(lsm_slice a, lsm_slice b) {
  size_t n = a.size < b.size ? a.size : b.size;
  for (size_t i = 0; i < n; i++) {
    uint8_t x = a.data[i], y = b.data[i];
    if (x >= 'A' && x <= 'Z') x = (uint8_t)(x + 32);
    if (y >= 'A' && y <= 'Z') y = (uint8_t)(y + 32);
    if (x != y) return x < y ? -1 : 1;
    if (x == 0) break;
  }
  return a.size < b.size ? -1 : a.size > b.size;
}

static inline lsm_slice value_rtrim(lsm_slice s) {
  while (s.size > 0 && s.data[s.size - 1] == ' ') s.size--;
  return s;
}

static inline int value_rank(int type) {
  switch (type) {
    case SQLITE_NULL:
      return 0;
    case SQLITE_TEXT:
      return 2;
    case SQLITE_BLOB:
      return 3;
    default:
      return 1;
  }
}

/* NULL equals NULL here. */
static inline int value_cmp(const lsm_value *a, const lsm_value *b, lsm_collation coll) {
  int ra = value_rank(a->type), rb = value_rank(b->type);
  if (ra != rb) return ra < rb ? -1 : 1;
  if (ra == 0) return 0;
  if (ra == 1) return value_cmp_numbers(a, b);
  if (ra == 3 || coll == LSM_COLL_BINARY) return lsm_slice_cmp(a->u.s, b->u.s);
  if (coll == LSM_COLL_NOCASE) return value_cmp_nocase(a->u.s, b->u.s);
  return lsm_slice_cmp(value_rtrim(a->u.s), value_rtrim(b->u.s));
}

#endif
