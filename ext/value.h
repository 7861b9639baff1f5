/* value.h: one SQL value in memory, and what SQLite does to it when it is
** stored: affinity.
**
** Bytes   An lsm_value never owns its bytes: text and blob borrow from the
**         sqlite3_value, the key or the row they were read from. Text is
**         always UTF-8. */
#ifndef LSM_EXT_VALUE_H
#define LSM_EXT_VALUE_H

#include <sqlite3ext.h>

#include "base.h"

/* A column's affinity: what storing does to a value. */
typedef enum lsm_affinity {
  LSM_AFF_BLOB, /* nothing */
  LSM_AFF_TEXT,
  LSM_AFF_NUMERIC,
  LSM_AFF_INTEGER, /* stores as NUMERIC does */
  LSM_AFF_REAL
} lsm_affinity;

typedef enum lsm_collation { LSM_COLL_BINARY, LSM_COLL_NOCASE, LSM_COLL_RTRIM } lsm_collation;

/* type is one of SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT, SQLITE_BLOB and
** SQLITE_NULL. Zero-initialise, or use the makers below. */
typedef struct lsm_value {
  int type;
  union {
    int64_t i;   /* SQLITE_INTEGER */
    double r;    /* SQLITE_FLOAT; never NaN */
    lsm_slice s; /* SQLITE_TEXT, SQLITE_BLOB */
  } u;
} lsm_value;

static inline lsm_value lsm_value_null(void) {
  lsm_value v = {SQLITE_NULL, {0}};
  return v;
}
static inline lsm_value lsm_value_int(int64_t i) {
  lsm_value v = {SQLITE_INTEGER, {.i = i}};
  return v;
}
/* A NaN is NULL, as everywhere in SQLite. */
static inline lsm_value lsm_value_real(double r) {
  lsm_value v = {SQLITE_FLOAT, {.r = r}};
  return r != r ? lsm_value_null() : v;
}
static inline lsm_value lsm_value_text(lsm_slice s) {
  lsm_value v = {SQLITE_TEXT, {.s = s}};
  return v;
}
static inline lsm_value lsm_value_blob(lsm_slice s) {
  lsm_value v = {SQLITE_BLOB, {.s = s}};
  return v;
}

/* The affinity that SQLite gives a declared type; NULL or "": BLOB. */
lsm_affinity lsm_affinity_of_type(const char *type);

/* *out = IN as an ordinary table would store it in a column of affinity AFF.
** Nothing is allocated when it has the right type already; else *hold becomes
** a copy that owns the bytes of *out: sqlite3_value_free() it when *out is no
** longer needed. *hold is always set, often to NULL. Without *hold the bytes
** live as long as IN does. IN is not changed, except that SQLite may turn
** UTF-16 text into UTF-8 in place. LSM_NOMEM. */
lsm_rc lsm_value_load(sqlite3_value *in, lsm_affinity aff, lsm_value *out, sqlite3_value **hold);

/* The same for n values and their columns' affinities (hold: n members). After
** an error nothing is held. */
lsm_rc lsm_value_load_all(sqlite3_value **in, const lsm_affinity *aff, int n, lsm_value *out,
                          sqlite3_value **hold);
void lsm_value_unhold(sqlite3_value **hold, int n); /* frees and sets to NULL */

/* Might a numeric affinity turn TEXT into a number equal to R? Yes a little too
** often, never no wrongly. */
bool lsm_text_may_equal(lsm_slice text, double r);

/* Compares an integer with a real exactly; r is not NaN. */
int lsm_int_real_cmp(int64_t i, double r);

/* V as the result of an SQL function or column. stable: its bytes live until
** the statement's next step, so SQLite need not copy them. */
void lsm_value_result(sqlite3_context *ctx, const lsm_value *v, bool stable);

#endif
