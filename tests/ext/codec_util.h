/* codec_util.h: SQLite as the judge in tests of values, keys and rows; random
** values of all kinds, many of them awkward. */
#ifndef CODEC_UTIL_H
#define CODEC_UTIL_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema.h"
#include "sql.h"
#include "value_cmp.h"

typedef struct rng {
  uint64_t s;
} rng;

static inline uint64_t rng_next(rng *r) { /* xorshift64* */
  r->s ^= r->s >> 12;
  r->s ^= r->s << 25;
  r->s ^= r->s >> 27;
  return r->s * UINT64_C(2685821657736338717);
}

static inline unsigned rng_below(rng *r, unsigned n) {
  return (unsigned)(rng_next(r) >> 33) % n;
}

/* Bytes for values: never given back until the test ends. */
typedef struct pool {
  uint8_t bytes[1 << 20];
  size_t used;
} pool;

static inline lsm_slice pool_text(pool *p, const char *s, size_t n) {
  ck_assert(p->used + n <= sizeof p->bytes);
  uint8_t *at = p->bytes + p->used;
  memcpy(at, s, n);
  p->used += n;
  return lsm_slice_of(at, n);
}

static inline lsm_value text_of(const char *s) {
  return lsm_value_text(lsm_slice_str(s));
}

static inline int64_t random_int(rng *r) {
  static const int64_t base[] = {0,
                                 1,
                                 127,
                                 32767,
                                 8388607,
                                 2147483647,
                                 INT64_C(140737488355327),
                                 INT64_C(9007199254740992),
                                 INT64_C(4611686018427387904),
                                 INT64_MAX};
  int64_t i = base[rng_below(r, 10)];
  unsigned how = rng_below(r, 8);
  if (how == 0) return (int64_t)rng_next(r);
  if (how == 1) return (int64_t)rng_next(r) >> rng_below(r, 64);
  int64_t d = (int64_t)rng_below(r, 7);
  i = (rng_below(r, 2) && i < INT64_MAX - 10) ? i + d : i - d;
  return rng_below(r, 2) ? -i : rng_below(r, 9) == 0 ? INT64_MIN + d : i;
}

static inline double random_real(rng *r) {
  static const double base[] = {0.0,
                                0.5,
                                1.0,
                                1.5,
                                5e-324,
                                2.2250738585072014e-308,
                                9007199254740992.0,
                                9223372036854775808.0,
                                1e308,
                                INFINITY};
  double d = base[rng_below(r, 10)];
  unsigned how = rng_below(r, 8);
  if (how == 0) {
    uint64_t u = rng_next(r);
    memcpy(&d, &u, sizeof d);
    if (d != d) d = 3.25;
  } else if (how == 1) {
    d = (double)random_int(r);
  } else if (how == 2) {
    d = (double)((int64_t)rng_below(r, 41) - 20) / 4;
  } else if (how < 5) {
    d = nextafter(d, rng_below(r, 2) ? INFINITY : -INFINITY);
  }
  return rng_below(r, 2) ? -d : d;
}

/* Few letters, so that prefixes and equals are common. */
static inline lsm_slice random_bytes(rng *r, pool *p) {
  static const char letters[] = {'a', 'A', 'b', 'B', ' ', ' ', 0, 0, 1, (char)0xFF, 'z', '['};
  char s[12];
  size_t n = rng_below(r, rng_below(r, 3) == 0 ? 11 : 4);
  for (size_t i = 0; i < n; i++) s[i] = letters[rng_below(r, sizeof letters)];
  return pool_text(p, s, n);
}

static inline lsm_value random_value(rng *r, pool *p) {
  switch (rng_below(r, 9)) {
    case 0:
      return lsm_value_null();
    case 1:
    case 2:
      return lsm_value_int(random_int(r));
    case 3:
    case 4:
      return lsm_value_real(random_real(r));
    case 5:
    case 6:
    case 7:
      return lsm_value_text(random_bytes(r, p));
    default:
      return lsm_value_blob(random_bytes(r, p));
  }
}

static inline void bind_value(sqlite3_stmt *st, int i, const lsm_value *v) {
  int rc = SQLITE_OK;
  const char *z = v->type > SQLITE_FLOAT && v->type < SQLITE_NULL && v->u.s.size > 0
                      ? (const char *)v->u.s.data
                      : "";
  switch (v->type) {
    case SQLITE_INTEGER:
      rc = sqlite3_bind_int64(st, i, v->u.i);
      break;
    case SQLITE_FLOAT:
      rc = sqlite3_bind_double(st, i, v->u.r);
      break;
    case SQLITE_TEXT:
      rc = sqlite3_bind_text(st, i, z, (int)v->u.s.size, SQLITE_TRANSIENT);
      break;
    case SQLITE_BLOB:
      rc = sqlite3_bind_blob(st, i, z, (int)v->u.s.size, SQLITE_TRANSIENT);
      break;
    default:
      rc = sqlite3_bind_null(st, i);
      break;
  }
  ck_assert_int_eq(rc, SQLITE_OK);
}

/* A result column as a value; its bytes live until the next step. */
static inline lsm_value column_value(sqlite3_stmt *st, int i) {
  int type = sqlite3_column_type(st, i);
  const void *p;
  switch (type) {
    case SQLITE_INTEGER:
      return lsm_value_int(sqlite3_column_int64(st, i));
    case SQLITE_FLOAT:
      return lsm_value_real(sqlite3_column_double(st, i));
    case SQLITE_TEXT:
      p = sqlite3_column_text(st, i);
      return lsm_value_text(lsm_slice_of(p, (size_t)sqlite3_column_bytes(st, i)));
    case SQLITE_BLOB:
      p = sqlite3_column_blob(st, i);
      return lsm_value_blob(lsm_slice_of(p, (size_t)sqlite3_column_bytes(st, i)));
    default:
      return lsm_value_null();
  }
}

/* Same type, same bits. */
static inline bool same_value(const lsm_value *a, const lsm_value *b) {
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

static inline sqlite3 *open_judge(void) {
  sqlite3 *db = NULL;
  ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
  return db;
}

/* The definition of a table: PARSE(db, "a", "b", "UNIQUE(a)"). */
static inline lsm_schema *parse_args(sqlite3 *db, int n, const char *const *args) {
  const char *argv[20] = {"lsm", "main", "t"};
  lsm_schema *s = NULL;
  char *err = NULL;
  for (int i = 0; i < n; i++) argv[3 + i] = args[i];
  int rc = lsm_schema_parse(db, n + 3, argv, &s, &err);
  ck_assert_msg(rc == SQLITE_OK, "%s", err);
  return s;
}
#define PARSE(db, ...)                                                   \
  parse_args(db, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), \
             (const char *[]){__VA_ARGS__})

/* For lsm_set_malloc_hook(): the call that brings the count to 0 fails. */
static inline bool count_down(void *arg) {
  int *left = arg;
  return --*left != 0;
}

#endif
