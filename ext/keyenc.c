/* keyenc.c: keys as bytes in SQLite's order.
**
** Each column starts with the tag of its class (NULL < number < text < blob)
** and is followed by bytes that order the values of the class:
**
**   NULL    nothing
**   number  F, 8 bytes: the largest double <= the number, its bits mapped so
**           that memcmp orders them (sign bit flipped; all bits if negative).
**           If |F| >= 2^53 two more: R = number - F, big-endian.
**   text,   the bytes, 00 written as 00 FF, then 00
**   blob
**
** Numbers   Why x < y gives bytes(x) < bytes(y), exactly, for any mix of 64-bit
**   integers and reals: F is monotonic, so F(x) <= F(y). When F(x) < F(y) the
**   first 8 bytes decide rightly. When they are equal, x - F < y - F, and that
**   is R: 0 for a real (it is its own F); for an integer less than the gap
**   between doubles, at most 1024 below 2^63, so it fits. Whether R is there
**   depends on F alone, so the two never differ in length; below 2^53 every
**   integer is a double and R would always be 0.
** Text      00 FF sorts above the end 00, whatever follows: a next column's
**   tag is below FF even inverted. So a prefix sorts first. The keys whose
**   column is v start with e = enc(v), and so do those of v + 00 + more, all of
**   which go on with FF: equality is the range [e, e FF).
** DESC      Every byte inverted. Text and blob end with 00 00 here, since with
**   a single inverted end FF the last column of a key would be a prefix of
**   what must sort before it ("a" is 9E FF, "a\0" is 9E FF 00 FF). With two
**   bytes no encoding is the prefix of another.
** NOCASE folds A-Z; RTRIM drops spaces at the end. SQLite's NOCASE stops at a
**   zero byte and then compares lengths: such text is what stands before the
**   zero, 00 FF, and the whole length, 4 bytes big-endian, escaped. */
#include "keyenc.h"

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3

enum { TAG_NULL = 0x05, TAG_NUMBER = 0x15, TAG_TEXT = 0x25, TAG_BLOB = 0x35 };
enum { ESCAPE = 0xFF, NOCASE_LENGTH = 4, NUMBER_SIZE = 9, RESIDUAL_SIZE = 2 };

#define TWO_53 9007199254740992.0
#define TWO_63 9223372036854775808.0

static lsm_rc corrupt(const char *what) {
  return lsm_corrupt("key", 0, what);
}

/*---------------------------------------------------------------- numbers */

static uint64_t bits_of(double r) {
  uint64_t u;
  memcpy(&u, &r, sizeof u);
  return u;
}

static double real_of(uint64_t u) {
  double r;
  memcpy(&r, &u, sizeof r);
  return r;
}

/* The largest double <= i. */
static double floor_of(int64_t i) {
  double f = (double)i; /* one of the two around i, whatever the rounding mode */
  if (lsm_int_real_cmp(i, f) >= 0) return f;
  return real_of(f > 0 ? bits_of(f) - 1 : bits_of(f) + 1);
}

static bool is_int64(double r) {
  return r >= -TWO_63 && r < TWO_63 && (double)(int64_t)r == r;
}

static void set_u64_be(uint8_t *p, uint64_t v) {
  for (int i = 7; i >= 0; i--, v >>= 8) p[i] = (uint8_t)v;
}

static uint64_t get_u64_be(const uint8_t *p) {
  uint64_t v = 0;
  for (int i = 0; i < 8; i++) v = v << 8 | p[i];
  return v;
}

#define SIGN (UINT64_C(1) << 63)

static bool has_residual(double f) {
  return f >= TWO_53 || f <= -TWO_53;
}

static lsm_rc put_number(lsm_buf *key, const lsm_value *v) {
  uint8_t bytes[NUMBER_SIZE + RESIDUAL_SIZE] = {TAG_NUMBER};
  unsigned residual = 0;
  double f = v->u.r;
  if (v->type == SQLITE_INTEGER) {
    f = floor_of(v->u.i);
    residual = (unsigned)(v->u.i - (int64_t)f);
  }
  if (f == 0) f = 0; /* -0.0 is 0.0 */
  uint64_t u = bits_of(f);
  set_u64_be(bytes + 1, (u & SIGN) != 0 ? ~u : u | SIGN);
  bytes[NUMBER_SIZE] = (uint8_t)(residual >> 8);
  bytes[NUMBER_SIZE + 1] = (uint8_t)residual;
  return lsm_buf_append(key, bytes, NUMBER_SIZE + (has_residual(f) ? RESIDUAL_SIZE : 0));
}

/* Bytes after the tag, at P, inverted or not. *size: taken from P. */
static lsm_rc get_number(const uint8_t *p, size_t left, bool desc, lsm_affinity aff, lsm_value *v,
                         size_t *size) {
  uint64_t flip = desc ? UINT64_MAX : 0;
  if (left < 8) return corrupt("number cut off");
  uint64_t u = get_u64_be(p) ^ flip;
  double f = real_of((u & SIGN) != 0 ? u & ~SIGN : ~u);
  unsigned residual = 0;
  if (f != f || (f == 0 && u != SIGN)) return corrupt("not a number");
  *size = 8;
  if (has_residual(f)) {
    if (left < 8 + RESIDUAL_SIZE) return corrupt("number cut off");
    residual = ((unsigned)p[8] << 8 | p[9]) ^ (unsigned)(flip & 0xFFFF);
    *size += RESIDUAL_SIZE;
  }
  if (residual > 1023 || (residual > 0 && (!is_int64(f) || aff == LSM_AFF_REAL))) {
    return corrupt("not a number");
  }
  if (aff == LSM_AFF_REAL || !is_int64(f)) {
    *v = lsm_value_real(f);
    return LSM_OK;
  }
  *v = lsm_value_int((int64_t)f + (int64_t)residual);
  if (floor_of(v->u.i) != f) return corrupt("not a number");
  return LSM_OK;
}

/*---------------------------------------------------------- text and blobs */

/* Bytes with each 00 as 00 FF. */
static lsm_rc put_escaped(lsm_buf *key, const uint8_t *p, size_t n) {
  lsm_rc rc = lsm_buf_reserve(key, n + 2);
  while (rc == LSM_OK && n > 0) {
    const uint8_t *zero = memchr(p, 0, n);
    size_t run = zero == NULL ? n : (size_t)(zero - p) + 1;
    rc = lsm_buf_append(key, p, run);
    if (rc == LSM_OK && zero != NULL) rc = lsm_buf_put_u8(key, ESCAPE);
    p += run;
    n -= run;
  }
  return rc;
}

static lsm_rc put_nocase(lsm_buf *key, lsm_slice s) {
  const uint8_t *zero = s.size == 0 ? NULL : memchr(s.data, 0, s.size);
  size_t start = key->size;
  size_t n = zero == NULL ? s.size : (size_t)(zero - s.data) + 1;
  lsm_rc rc = put_escaped(key, s.data, n);
  if (rc != LSM_OK) return rc;
  for (size_t i = start; i < key->size; i++) {
    uint8_t c = key->data[i];
    if (c >= 'A' && c <= 'Z') key->data[i] = (uint8_t)(c + 32);
  }
  if (zero == NULL) return LSM_OK;
  uint8_t length[NOCASE_LENGTH];
  for (int i = 0; i < NOCASE_LENGTH; i++) length[i] = (uint8_t)(s.size >> (8 * (3 - i)));
  return put_escaped(key, length, sizeof length);
}

static lsm_rc put_bytes(lsm_buf *key, const lsm_value *v, const lsm_key_part *part) {
  lsm_slice s = v->u.s;
  lsm_rc rc = lsm_buf_put_u8(key, v->type == SQLITE_TEXT ? TAG_TEXT : TAG_BLOB);
  if (rc != LSM_OK) return rc;
  if (v->type == SQLITE_TEXT && part->collation == LSM_COLL_NOCASE) {
    rc = put_nocase(key, s);
  } else {
    if (v->type == SQLITE_TEXT && part->collation == LSM_COLL_RTRIM) {
      while (s.size > 0 && s.data[s.size - 1] == ' ') s.size--;
    }
    rc = put_escaped(key, s.data, s.size);
  }
  if (rc == LSM_OK) rc = lsm_buf_put_u8(key, 0);
  if (rc == LSM_OK && part->desc) rc = lsm_buf_put_u8(key, 0);
  return rc;
}

/* Finds the end of escaped bytes that start at P. *n: bytes before the end;
** *size: with the end; *zeroes: escaped ones among them. */
static lsm_rc find_end(const uint8_t *p, size_t left, bool desc, size_t *n, size_t *size,
                       size_t *zeroes) {
  const uint8_t zero = desc ? 0xFF : 0, escape = desc ? 0 : ESCAPE;
  *zeroes = 0;
  for (size_t i = 0;; i += 2) {
    const uint8_t *z = memchr(p + i, zero, left - i);
    if (z == NULL) return corrupt("text or blob without an end");
    i = (size_t)(z - p);
    bool escaped = i + 1 < left && p[i + 1] == escape;
    if (!escaped) {
      if (desc && (i + 1 >= left || p[i + 1] != zero)) return corrupt("wrong end of text or blob");
      *n = i;
      *size = i + (desc ? 2 : 1);
      return LSM_OK;
    }
    (*zeroes)++;
    if (i + 2 == left) return corrupt("text or blob without an end");
  }
}

/* The N escaped bytes at P into *s: in place when they stand there as they
** are, else in *scratch. */
static lsm_rc unescape(const uint8_t *p, size_t n, size_t zeroes, bool desc, lsm_buf *scratch,
                       lsm_slice *s) {
  *s = lsm_slice_of(p, n);
  if (!desc && zeroes == 0) return LSM_OK;
  lsm_buf_clear(scratch);
  lsm_rc rc = lsm_buf_reserve(scratch, n + 1);
  if (rc != LSM_OK) return rc;
  const uint8_t flip = desc ? 0xFF : 0;
  uint8_t *out = scratch->data;
  for (size_t i = 0; i < n; i++) {
    uint8_t c = (uint8_t)(p[i] ^ flip);
    *out++ = c;
    if (c == 0) i++; /* its escape */
  }
  scratch->size = (size_t)(out - scratch->data);
  *s = lsm_buf_slice(scratch);
  return LSM_OK;
}

/* Text as the collation writes it, and not otherwise. */
static bool is_folded(lsm_slice s, lsm_collation coll) {
  if (s.size == 0 || coll == LSM_COLL_BINARY) return true;
  if (coll == LSM_COLL_RTRIM) return s.data[s.size - 1] != ' ';
  for (size_t i = 0; i < s.size; i++) {
    uint8_t c = s.data[i];
    if (c >= 'A' && c <= 'Z') return false;
    if (c != 0) continue;
    if (s.size - i != 1 + NOCASE_LENGTH) return false;
    const uint8_t *q = s.data + i + 1;
    uint32_t length = (uint32_t)q[0] << 24 | (uint32_t)q[1] << 16 | (uint32_t)q[2] << 8 | q[3];
    return length > i;
  }
  return true;
}

static lsm_rc get_bytes(const uint8_t *p, size_t left, int type, const lsm_key_part *part,
                        lsm_value *v, lsm_buf *scratch, size_t *size) {
  size_t n = 0, zeroes = 0;
  lsm_rc rc = find_end(p, left, part->desc, &n, size, &zeroes);
  if (rc != LSM_OK) return rc;
  v->type = type;
  rc = unescape(p, n, zeroes, part->desc, scratch, &v->u.s);
  if (rc == LSM_OK && type == SQLITE_TEXT && !is_folded(v->u.s, part->collation)) {
    rc = corrupt("text not folded by its collation");
  }
  return rc;
}

/*---------------------------------------------------------------- columns */

lsm_rc lsm_key_put(lsm_buf *key, const lsm_value *v, const lsm_key_part *part) {
  size_t start = key->size;
  lsm_rc rc;
  switch (v->type) {
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
      rc = put_number(key, v);
      break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
      rc = put_bytes(key, v, part);
      break;
    default:
      rc = lsm_buf_put_u8(key, TAG_NULL);
      break;
  }
  if (rc == LSM_OK && part->desc) {
    for (size_t i = start; i < key->size; i++) key->data[i] = (uint8_t)~key->data[i];
  }
  return rc;
}

lsm_rc lsm_key_put_parts(lsm_buf *key, const lsm_key_part *part, int npart,
                         const lsm_value *values) {
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < npart && rc == LSM_OK; i++) {
    rc = lsm_key_put(key, &values[part[i].column], &part[i]);
  }
  return rc;
}

lsm_rc lsm_key_put_row(lsm_buf *key, const lsm_schema *schema, const lsm_value *values) {
  return lsm_key_put_parts(key, schema->key, schema->nkey, values);
}

lsm_rc lsm_key_get(lsm_slice *key, const lsm_key_part *part, lsm_value *v, lsm_buf *scratch) {
  size_t size = 0;
  lsm_rc rc = LSM_OK;
  *v = lsm_value_null();
  if (key->size == 0) return corrupt("column missing");
  const uint8_t *p = key->data + 1;
  switch (part->desc ? key->data[0] ^ 0xFF : key->data[0]) {
    case TAG_NULL:
      break;
    case TAG_NUMBER:
      rc = get_number(p, key->size - 1, part->desc, part->affinity, v, &size);
      break;
    case TAG_TEXT:
      rc = get_bytes(p, key->size - 1, SQLITE_TEXT, part, v, scratch, &size);
      break;
    case TAG_BLOB:
      rc = get_bytes(p, key->size - 1, SQLITE_BLOB, part, v, scratch, &size);
      break;
    default:
      rc = corrupt("unknown tag");
  }
  if (rc != LSM_OK) {
    *v = lsm_value_null();
    return rc;
  }
  *key = lsm_slice_of(p + size, key->size - 1 - size);
  return LSM_OK;
}

/* The first zero byte of p < end, or NULL. Keys are short: a call costs more than this. */
static inline const uint8_t *find_zero(const uint8_t *p, const uint8_t *end) {
  for (; end - p >= 8; p += 8) {
    uint64_t w = lsm_get_u64(p);
    uint64_t zeros = (w - UINT64_C(0x0101010101010101)) & ~w & UINT64_C(0x8080808080808080);
    if (zeros == 0) continue;
    for (; (zeros & 0x80) == 0; zeros >>= 8) p++;
    return p;
  }
  while (p < end && *p != 0) p++;
  return p < end ? p : NULL;
}

bool lsm_key_peek(lsm_slice key, const lsm_key_part *part, lsm_value *v) {
  if (key.size < 2 || part->desc || part->collation != LSM_COLL_BINARY) return false;
  const uint8_t *p = key.data + 1, *end = key.data + key.size;
  const uint8_t *zero = find_zero(p, end);
  if (zero == NULL || (zero + 1 < end && zero[1] == ESCAPE)) return false;
  lsm_slice s = lsm_slice_of(p, (size_t)(zero - p));
  if (key.data[0] == TAG_BLOB) {
    *v = lsm_value_blob(s);
    return true;
  }
  if (key.data[0] == TAG_TEXT) *v = lsm_value_text(s);
  return key.data[0] == TAG_TEXT;
}

lsm_rc lsm_key_skip(lsm_slice *key, const lsm_key_part *part) {
  size_t size = 0, n, zeroes;
  lsm_value v;
  lsm_rc rc = LSM_OK;
  if (key->size == 0) return corrupt("column missing");
  const uint8_t *p = key->data + 1;
  switch (part->desc ? key->data[0] ^ 0xFF : key->data[0]) {
    case TAG_NULL:
      break;
    case TAG_NUMBER:
      rc = get_number(p, key->size - 1, part->desc, part->affinity, &v, &size);
      break;
    case TAG_TEXT:
    case TAG_BLOB:
      rc = find_end(p, key->size - 1, part->desc, &n, &size, &zeroes);
      break;
    default:
      rc = corrupt("unknown tag");
  }
  if (rc == LSM_OK) *key = lsm_slice_of(p + size, key->size - 1 - size);
  return rc;
}

bool lsm_key_is_faithful(const lsm_value *v, const lsm_key_part *part) {
  switch (v->type) {
    case SQLITE_INTEGER:
      return part->affinity != LSM_AFF_REAL;
    case SQLITE_FLOAT:
      if (v->u.r == 0 && bits_of(v->u.r) != 0) return false;
      return part->affinity == LSM_AFF_REAL || !is_int64(v->u.r);
    case SQLITE_TEXT:
      if (part->collation == LSM_COLL_NOCASE && v->u.s.size > 0 &&
          memchr(v->u.s.data, 0, v->u.s.size) != NULL) {
        return false;
      }
      return is_folded(v->u.s, part->collation);
    default:
      return true;
  }
}

/*----------------------------------------------------------------- rowids */

void lsm_key_set_rowid(uint8_t key[LSM_ROWID_KEY_SIZE], int64_t rowid) {
  set_u64_be(key, (uint64_t)rowid ^ SIGN);
}

lsm_rc lsm_key_put_rowid(lsm_buf *key, int64_t rowid) {
  uint8_t bytes[LSM_ROWID_KEY_SIZE];
  lsm_key_set_rowid(bytes, rowid);
  return lsm_buf_append(key, bytes, sizeof bytes);
}

lsm_rc lsm_key_get_rowid(lsm_slice key, int64_t *rowid) {
  *rowid = 0;
  if (key.size != LSM_ROWID_KEY_SIZE) return corrupt("not a rowid");
  uint64_t u = get_u64_be(key.data) ^ SIGN;
  *rowid = (u & SIGN) != 0 ? -(int64_t)~u - 1 : (int64_t)u;
  return LSM_OK;
}
