/* value.c: affinity and results of single values. */
#include "value.h"

#include <math.h>

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3

/*--------------------------------------------------------------- affinity */

static bool contains(const char *type, const char *word) {
  size_t n = strlen(word);
  for (; *type != '\0'; type++) {
    if (sqlite3_strnicmp(type, word, (int)n) == 0) return true;
  }
  return false;
}

lsm_affinity lsm_affinity_of_type(const char *type) {
  static const struct {
    const char *word;
    lsm_affinity affinity;
  } rules[] = {/* the first that fits */
               {"INT", LSM_AFF_INTEGER}, {"CHAR", LSM_AFF_TEXT}, {"CLOB", LSM_AFF_TEXT},
               {"TEXT", LSM_AFF_TEXT},   {"BLOB", LSM_AFF_BLOB}, {"REAL", LSM_AFF_REAL},
               {"FLOA", LSM_AFF_REAL},   {"DOUB", LSM_AFF_REAL}};
  if (type == NULL || *type == '\0') return LSM_AFF_BLOB;
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    if (contains(type, rules[i].word)) return rules[i].affinity;
  }
  return LSM_AFF_NUMERIC;
}

/* The bytes of IN as text or blob, whichever it is already. */
static lsm_rc load_bytes(sqlite3_value *in, lsm_value *out) {
  bool text = sqlite3_value_type(in) == SQLITE_TEXT;
  const void *p = text ? (const void *)sqlite3_value_text(in) : sqlite3_value_blob(in);
  int n = sqlite3_value_bytes(in);
  /* An empty blob is NULL too; text and other blobs only without memory. */
  if (p == NULL && (text || n > 0)) return lsm_nomem();
  lsm_slice s = lsm_slice_of(p, (size_t)n);
  *out = text ? lsm_value_text(s) : lsm_value_blob(s);
  return LSM_OK;
}

/* A number for a TEXT column, as SQLite itself writes it. */
static lsm_rc load_as_text(sqlite3_value *in, lsm_value *out, sqlite3_value **hold) {
  sqlite3_value *dup = sqlite3_value_dup(in);
  const unsigned char *text = dup == NULL ? NULL : sqlite3_value_text(dup);
  if (text == NULL) {
    sqlite3_value_free(dup);
    return lsm_nomem();
  }
  *out = lsm_value_text(lsm_slice_of(text, (size_t)sqlite3_value_bytes(dup)));
  *hold = dup;
  return LSM_OK;
}

/* A real in a column of numeric affinity: an integer where nothing is lost.
** SQLite leaves out the two outermost integers, and so do we. */
static lsm_value store_real(double r, lsm_affinity aff) {
  if (r > -9223372036854775808.0 && r < 9223372036854775808.0) {
    int64_t i = (int64_t)r;
    if ((double)i == r) {
      return aff == LSM_AFF_REAL ? lsm_value_real((double)i) : lsm_value_int(i);
    }
  }
  return lsm_value_real(r);
}

static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static size_t skip_digits(lsm_slice s, size_t i) {
  while (i < s.size && is_digit(s.data[i])) i++;
  return i;
}

/* Is TEXT an SQLite number, nothing else beside spaces? *whole: of digits alone, then
** *i is its value unless it is one of more than 64 bits. (SQLite's own
** sqlite3_value_numeric_type() changes its argument, and on a copy, which belongs to no
** connection, newer versions crash.) */
static bool is_number(lsm_slice s, bool *whole, int64_t *value) {
  size_t i = 0;
  *whole = false;
  while (i < s.size && is_space(s.data[i])) i++;
  bool minus = i < s.size && s.data[i] == '-';
  if (i < s.size && (minus || s.data[i] == '+')) i++;
  size_t first = i, end = skip_digits(s, i);
  size_t digits = end - i;
  bool fraction = end < s.size && s.data[end] == '.';
  i = end;
  if (fraction) {
    i = skip_digits(s, end + 1);
    digits += i - end - 1;
  }
  if (digits == 0) return false;
  bool exponent = i < s.size && (s.data[i] == 'e' || s.data[i] == 'E');
  if (exponent) {
    i++;
    if (i < s.size && (s.data[i] == '+' || s.data[i] == '-')) i++;
    size_t from = i;
    i = skip_digits(s, i);
    if (i == from) return false;
  }
  while (i < s.size && is_space(s.data[i])) i++;
  if (i < s.size) return false;
  if (fraction || exponent) return true;
  uint64_t u = 0, max = minus ? UINT64_C(1) << 63 : INT64_MAX;
  for (size_t k = first; k < end; k++) {
    unsigned d = s.data[k] - (unsigned)'0';
    if (u > (max - d) / 10) return true;
    u = u * 10 + d;
  }
  *whole = true;
  *value = minus ? (int64_t)(0 - u) : (int64_t)u;
  return true;
}

/* Text for a column of numeric affinity. */
static lsm_rc load_as_number(sqlite3_value *in, lsm_affinity aff, lsm_value *out) {
  bool whole;
  int64_t i = 0;
  lsm_rc rc = load_bytes(in, out);
  if (rc != LSM_OK || !is_number(out->u.s, &whole, &i)) return rc;
  if (whole) {
    *out = aff == LSM_AFF_REAL ? lsm_value_real((double)i) : lsm_value_int(i);
  } else {
    *out = store_real(sqlite3_value_double(in), aff);
  }
  return LSM_OK;
}

lsm_rc lsm_value_load(sqlite3_value *in, lsm_affinity aff, lsm_value *out, sqlite3_value **hold) {
  *hold = NULL;
  *out = lsm_value_null();
  int type = sqlite3_value_type(in);
  switch (type) {
    case SQLITE_INTEGER:
      if (aff == LSM_AFF_TEXT) return load_as_text(in, out, hold);
      *out = lsm_value_int(sqlite3_value_int64(in));
      if (aff == LSM_AFF_REAL) *out = lsm_value_real((double)out->u.i);
      return LSM_OK;
    case SQLITE_FLOAT:
      if (aff == LSM_AFF_TEXT) return load_as_text(in, out, hold);
      *out = aff == LSM_AFF_BLOB ? lsm_value_real(sqlite3_value_double(in))
                                 : store_real(sqlite3_value_double(in), aff);
      return LSM_OK;
    case SQLITE_TEXT:
      if (aff == LSM_AFF_TEXT || aff == LSM_AFF_BLOB) return load_bytes(in, out);
      return load_as_number(in, aff, out);
    case SQLITE_BLOB:
      return load_bytes(in, out);
    default:
      return LSM_OK;
  }
}

lsm_rc lsm_value_load_all(sqlite3_value **in, const lsm_affinity *aff, int n, lsm_value *out,
                          sqlite3_value **hold) {
  for (int i = 0; i < n; i++) {
    lsm_rc rc = lsm_value_load(in[i], aff[i], &out[i], &hold[i]);
    if (rc != LSM_OK) {
      lsm_value_unhold(hold, i);
      return rc;
    }
  }
  return LSM_OK;
}

void lsm_value_unhold(sqlite3_value **hold, int n) {
  for (int i = 0; i < n; i++) {
    if (hold[i] != NULL) sqlite3_value_free(hold[i]);
    hold[i] = NULL;
  }
}

/*------------------------------------------------------------------ order */

/* The value of digits, nearly; moves *p past them. */
static double read_digits(const uint8_t **p, const uint8_t *end, int *count) {
  double r = 0;
  for (*count = 0; *p < end && **p >= '0' && **p <= '9'; (*p)++, (*count)++) r = r * 10 + (**p - '0');
  return r;
}

static void skip_space(const uint8_t **p, const uint8_t *end) {
  while (*p < end && (**p == ' ' || (**p >= '\t' && **p <= '\r'))) (*p)++;
}

bool lsm_text_may_equal(lsm_slice text, double r) {
  const uint8_t *p = text.data, *end = p + text.size;
  int n = 0, fraction = 0;
  if (isinf(r)) return true;
  skip_space(&p, end);
  bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  double v = read_digits(&p, end, &n), exponent = 0;
  if (p < end && *p == '.') {
    p++;
    v += read_digits(&p, end, &fraction) * pow(10, -fraction);
  }
  if (n + fraction == 0) return false;
  if (n + fraction > 300) return true; /* beyond what this arithmetic can tell */
  if (p < end && (*p == 'e' || *p == 'E')) {
    bool down = ++p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    exponent = read_digits(&p, end, &n);
    if (n == 0) return false;
    v *= pow(10, down ? -exponent : exponent);
  }
  skip_space(&p, end);
  if (p < end) return false;
  if (negative) v = -v;
  return isinf(v) || isnan(v) || fabs(v - r) <= 1e-9 * fabs(r) || (fabs(v) < 1e-290 && fabs(r) < 1e-290);
}

int lsm_int_real_cmp(int64_t i, double r) {
  if (r < -9223372036854775808.0) return 1;
  if (r >= 9223372036854775808.0) return -1;
  int64_t whole = (int64_t)r; /* towards zero: |whole| <= |r| */
  if (i != whole) return i < whole ? -1 : 1;
  double rest = r - (double)whole; /* exact: whole came from r */
  return rest > 0 ? -1 : rest < 0;
}

/*---------------------------------------------------------------- results */

void lsm_value_result(sqlite3_context *ctx, const lsm_value *v, bool stable) {
  sqlite3_destructor_type how = stable ? SQLITE_STATIC : SQLITE_TRANSIENT;
  switch (v->type) {
    case SQLITE_INTEGER:
      sqlite3_result_int64(ctx, v->u.i);
      break;
    case SQLITE_FLOAT:
      sqlite3_result_double(ctx, v->u.r);
      break;
    case SQLITE_TEXT: /* a NULL pointer would be the SQL NULL */
      sqlite3_result_text64(ctx, v->u.s.size == 0 ? "" : (const char *)v->u.s.data, v->u.s.size,
                            v->u.s.size == 0 ? SQLITE_STATIC : how, SQLITE_UTF8);
      break;
    case SQLITE_BLOB:
      if (v->u.s.size == 0) {
        sqlite3_result_zeroblob(ctx, 0);
      } else {
        sqlite3_result_blob64(ctx, v->u.s.data, v->u.s.size, how);
      }
      break;
    default:
      sqlite3_result_null(ctx);
  }
}
