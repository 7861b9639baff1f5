/* rowenc.c: a row's values as bytes.
**
**   row   := flags:u8 headsize:varint head payload
**   head  := [keycode:varint, one a key column] type:varint, one a stored column
**   flags := 10 (version 1), or 11: the key codes are there
**
** A key code says how to read a column whose encoded form lost something: 0 as
** it is in the key; 1 the integer there is a real; 2+t the value itself is
** here, of serial type t. Types and payload are SQLite's: 0 NULL, 1-6 integers
** of 1, 2, 3, 4, 6, 8 bytes, 7 real, 8 and 9 the integers 0 and 1, 12+2n blob
** and 13+2n text of n bytes; numbers big-endian. A real in a REAL column is
** written as an integer where that is shorter. Payload is in head's order. */
#include "rowenc.h"

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3

enum { ROW_VERSION = 0x10, ROW_KEY_CODES = 0x01 };
enum { CODE_AS_IS = 0, CODE_REAL = 1, CODE_VALUE = 2 };
enum { TYPE_NULL = 0, TYPE_INT64 = 6, TYPE_REAL = 7, TYPE_ZERO = 8, TYPE_ONE = 9, TYPE_BLOB = 12 };

static lsm_rc corrupt(size_t at, const char *what) {
  return lsm_corrupt("row", at, what);
}

/*--------------------------------------------------------------- encoding */

static bool is_negative_zero(double r) {
  uint64_t u;
  memcpy(&u, &r, sizeof u);
  return u == UINT64_C(1) << 63;
}

static uint64_t type_of_int(int64_t i) {
  uint64_t u = i < 0 ? ~(uint64_t)i : (uint64_t)i;
  if (u <= 0x7F) return i == 0 ? TYPE_ZERO : i == 1 ? TYPE_ONE : 1;
  if (u <= 0x7FFF) return 2;
  if (u <= 0x7FFFFF) return 3;
  if (u <= 0x7FFFFFFF) return 4;
  if (u <= UINT64_C(0x7FFFFFFFFFFF)) return 5;
  return TYPE_INT64;
}

/* Real values of up to 6 bytes as integers, in a column that makes them reals
** again. */
static lsm_value shorten(const lsm_value *v, lsm_affinity aff) {
  if (v->type != SQLITE_FLOAT || aff != LSM_AFF_REAL || is_negative_zero(v->u.r)) return *v;
  if (!(v->u.r >= -140737488355328.0 && v->u.r < 140737488355328.0)) return *v;
  int64_t i = (int64_t)v->u.r;
  return (double)i == v->u.r ? lsm_value_int(i) : *v;
}

static uint64_t type_of(const lsm_value *v) {
  switch (v->type) {
    case SQLITE_INTEGER:
      return type_of_int(v->u.i);
    case SQLITE_FLOAT:
      return TYPE_REAL;
    case SQLITE_TEXT:
      return TYPE_BLOB + 1 + 2 * (uint64_t)v->u.s.size;
    case SQLITE_BLOB:
      return TYPE_BLOB + 2 * (uint64_t)v->u.s.size;
    default:
      return TYPE_NULL;
  }
}

/* REQUIRES: a type that exists. */
static uint64_t payload_size(uint64_t type) {
  static const uint8_t fixed[TYPE_BLOB] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
  return type < TYPE_BLOB ? fixed[type] : (type - TYPE_BLOB) / 2;
}

static uint8_t *put_payload(uint8_t *p, const lsm_value *v, uint64_t type) {
  size_t n = (size_t)payload_size(type);
  if (n == 0) return p;
  if (type >= TYPE_BLOB) {
    memcpy(p, v->u.s.data, n);
    return p + n;
  }
  uint64_t u = (uint64_t)v->u.i;
  if (v->type == SQLITE_FLOAT) memcpy(&u, &v->u.r, sizeof u);
  for (size_t i = n; i-- > 0; u >>= 8) p[i] = (uint8_t)u;
  return p + n;
}

static uint64_t key_code(const lsm_value *v, const lsm_key_part *part) {
  if (lsm_key_is_faithful(v, part)) return CODE_AS_IS;
  if (v->type == SQLITE_FLOAT && !is_negative_zero(v->u.r)) return CODE_REAL;
  lsm_value w = shorten(v, part->affinity);
  return CODE_VALUE + type_of(&w);
}

/* What the row will be: sizes before bytes. */
typedef struct layout {
  bool codes;
  size_t head;
  size_t payload;
} layout;

static layout lay_out(const lsm_schema *s, const lsm_value *values) {
  layout l = {false, 0, 0};
  size_t code_bytes = 0;
  for (int i = 0; i < s->nkey; i++) {
    uint64_t code = key_code(&values[s->key[i].column], &s->key[i]);
    code_bytes += lsm_varint_len(code);
    l.codes = l.codes || code != CODE_AS_IS;
    if (code >= CODE_VALUE) l.payload += (size_t)payload_size(code - CODE_VALUE);
  }
  if (l.codes) l.head += code_bytes;
  for (int i = 0; i < s->ncolumn; i++) {
    if (s->column[i].stored_pos < 0) continue;
    lsm_value v = shorten(&values[i], s->column[i].affinity);
    uint64_t type = type_of(&v);
    l.head += lsm_varint_len(type);
    l.payload += (size_t)payload_size(type);
  }
  return l;
}

lsm_rc lsm_row_encode(const lsm_schema *s, const lsm_value *values, lsm_buf *row) {
  layout l = lay_out(s, values);
  lsm_buf_clear(row);
  lsm_rc rc = lsm_buf_reserve(row, 1 + LSM_VARINT_MAX + l.head + l.payload);
  if (rc != LSM_OK) return rc;
  uint8_t *head = row->data;
  *head++ = (uint8_t)(ROW_VERSION | (l.codes ? ROW_KEY_CODES : 0));
  head = lsm_varint_put(head, l.head);
  uint8_t *payload = head + l.head;
  for (int i = 0; i < s->nkey && l.codes; i++) {
    lsm_value v = values[s->key[i].column];
    uint64_t code = key_code(&v, &s->key[i]);
    head = lsm_varint_put(head, code);
    v = shorten(&v, s->key[i].affinity);
    if (code >= CODE_VALUE) payload = put_payload(payload, &v, code - CODE_VALUE);
  }
  for (int i = 0; i < s->ncolumn; i++) {
    if (s->column[i].stored_pos < 0) continue;
    lsm_value v = shorten(&values[i], s->column[i].affinity);
    uint64_t type = type_of(&v);
    head = lsm_varint_put(head, type);
    payload = put_payload(payload, &v, type);
  }
  row->size = (size_t)(payload - row->data);
  return LSM_OK;
}

/*--------------------------------------------------------------- decoding */

lsm_rc lsm_row_init(lsm_row *row, const lsm_schema *schema) {
  memset(row, 0, sizeof *row);
  row->schema = schema;
  size_t ncell = (size_t)schema->nkey + (size_t)schema->nstored;
  row->cell = lsm_malloc((ncell + 1) * sizeof *row->cell);
  row->key_at = lsm_malloc(((size_t)schema->nkey + 1) * sizeof *row->key_at);
  if (row->cell != NULL && row->key_at != NULL) return LSM_OK;
  lsm_row_fini(row);
  return lsm_nomem();
}

void lsm_row_fini(lsm_row *row) {
  lsm_free(row->cell);
  lsm_free(row->key_at);
  lsm_buf_fini(&row->scratch);
  memset(row, 0, sizeof *row);
}

void lsm_row_point(lsm_row *row, lsm_slice key, lsm_slice data) {
  row->key = key;
  row->data = data;
  row->ncell = 0;
  row->nkeycell = 0;
  row->ready = false;
  row->key_at[0] = key;
  row->nkey_at = 1;
}

static lsm_rc read_head(lsm_row *row) {
  const uint8_t *data = row->data.data;
  uint64_t head = 0;
  if (row->data.size < 2) return corrupt(0, "row cut off");
  if ((data[0] & ~ROW_KEY_CODES) != ROW_VERSION) return corrupt(0, "unknown version of row");
  const uint8_t *p = lsm_varint_get(data + 1, data + row->data.size, &head);
  if (p == NULL || head > row->data.size - (size_t)(p - data)) return corrupt(1, "row cut off");
  row->head_pos = (size_t)(p - data);
  row->head_end = row->payload_pos = row->head_pos + (size_t)head;
  if ((data[0] & ROW_KEY_CODES) != 0) {
    if (row->schema->nkey == 0) return corrupt(0, "key codes for a rowid");
    row->nkeycell = row->schema->nkey;
  }
  row->ready = true;
  return LSM_OK;
}

/* One more cell. REQUIRES: head_pos < head_end. */
static lsm_rc read_cell(lsm_row *row) {
  const uint8_t *data = row->data.data;
  uint64_t type = 0;
  const uint8_t *p = lsm_varint_get(data + row->head_pos, data + row->head_end, &type);
  if (p == NULL) return corrupt(row->head_pos, "type cut off");
  uint64_t serial = type;
  if (row->ncell < row->nkeycell) serial = type < CODE_VALUE ? TYPE_NULL : type - CODE_VALUE;
  if (serial > TYPE_ONE && serial < TYPE_BLOB) return corrupt(row->head_pos, "unknown type");
  uint64_t n = payload_size(serial);
  if (n > row->data.size - row->payload_pos) return corrupt(row->payload_pos, "value cut off");
  row->cell[row->ncell].type = type;
  row->cell[row->ncell].offset = row->payload_pos;
  row->ncell++;
  row->head_pos = (size_t)(p - data);
  row->payload_pos += (size_t)n;
  return LSM_OK;
}

/* Makes cell N known. *found false: the row ends before it. */
static lsm_rc need_cell(lsm_row *row, int n, bool *found) {
  lsm_rc rc = row->ready ? LSM_OK : read_head(row);
  while (rc == LSM_OK && row->ncell <= n && row->head_pos < row->head_end) rc = read_cell(row);
  *found = rc == LSM_OK && n < row->ncell;
  return rc;
}

static lsm_value value_at(const lsm_row *row, uint64_t type, size_t offset, lsm_affinity aff) {
  const uint8_t *p = row->data.data + offset;
  size_t n = (size_t)payload_size(type);
  if (type >= TYPE_BLOB) {
    lsm_slice s = lsm_slice_of(p, n);
    return type % 2 == 1 ? lsm_value_text(s) : lsm_value_blob(s);
  }
  if (type == TYPE_NULL) return lsm_value_null();
  uint64_t u = type != TYPE_REAL && n > 0 && p[0] >= 0x80 ? UINT64_MAX : 0;
  for (size_t i = 0; i < n; i++) u = u << 8 | p[i];
  if (type == TYPE_REAL) {
    double r;
    memcpy(&r, &u, sizeof r);
    return lsm_value_real(r);
  }
  int64_t i = type == TYPE_ONE;
  if (n > 0) memcpy(&i, &u, sizeof i); /* two's complement, as int64_t is */
  return aff == LSM_AFF_REAL ? lsm_value_real((double)i) : lsm_value_int(i);
}

/* The value of the key's column I as the key has it. */
static lsm_rc read_key(lsm_row *row, int i, lsm_value *v, bool *borrowed) {
  const lsm_schema *s = row->schema;
  while (row->nkey_at <= i) {
    lsm_slice rest = row->key_at[row->nkey_at - 1];
    lsm_rc rc = lsm_key_skip(&rest, &s->key[row->nkey_at - 1]);
    if (rc != LSM_OK) return rc;
    row->key_at[row->nkey_at++] = rest;
  }
  lsm_slice at = row->key_at[i];
  lsm_rc rc = lsm_key_get(&at, &s->key[i], v, &row->scratch);
  if (rc != LSM_OK) return rc;
  if (v->type == SQLITE_TEXT || v->type == SQLITE_BLOB) {
    *borrowed = v->u.s.data != row->scratch.data;
  }
  if (row->nkey_at == i + 1) row->key_at[row->nkey_at++] = at;
  return LSM_OK;
}

static lsm_rc get_key_column(lsm_row *row, int i, lsm_value *v, bool *borrowed) {
  lsm_rc rc = row->ready ? LSM_OK : read_head(row);
  if (rc != LSM_OK) return rc;
  uint64_t code = CODE_AS_IS;
  if (row->nkeycell > 0) {
    bool found = false;
    rc = need_cell(row, i, &found);
    if (rc != LSM_OK) return rc;
    if (!found) return corrupt(row->head_pos, "key code missing");
    code = row->cell[i].type;
  }
  if (code >= CODE_VALUE) {
    *v = value_at(row, code - CODE_VALUE, row->cell[i].offset, row->schema->key[i].affinity);
    return LSM_OK;
  }
  rc = read_key(row, i, v, borrowed);
  if (rc != LSM_OK || code == CODE_AS_IS) return rc;
  if (v->type != SQLITE_INTEGER) return corrupt(0, "key code does not fit the key");
  *v = lsm_value_real((double)v->u.i);
  return LSM_OK;
}

/* The first stored column, when its type is short and nothing is wrong. */
static inline bool quick_stored(const lsm_row *row, lsm_affinity aff, lsm_value *v) {
  const uint8_t *p = row->data.data;
  size_t size = row->data.size, head = p[1];
  if (size < 4 || head < 1 || head >= 0x80 || head > size - 2) return false;
  uint64_t type = p[2];
  if (type >= 0x80) {
    if (head < 2 || p[3] >= 0x80) return false;
    type = (type & 0x7F) | (uint64_t)p[3] << 7;
  }
  if ((type > TYPE_ONE && type < TYPE_BLOB) || payload_size(type) > size - 2 - head) return false;
  if (LSM_LIKELY(type >= TYPE_BLOB)) {
    lsm_slice s = lsm_slice_of(p + 2 + head, (size_t)payload_size(type));
    *v = type % 2 == 1 ? lsm_value_text(s) : lsm_value_blob(s);
  } else {
    *v = value_at(row, type, 2 + head, aff);
  }
  return true;
}

/* What most columns are, of rows without key codes; false: it takes more. */
static inline bool quick_get(const lsm_row *row, int column, lsm_value *v) {
  const lsm_schema *s = row->schema;
  if (column >= s->ncolumn || row->data.size < 2 || row->data.data[0] != ROW_VERSION) return false;
  const lsm_column *col = &s->column[column];
  if (col->stored_pos == 0) return quick_stored(row, col->affinity, v);
  return col->key_pos == 0 && column != s->alias_column && lsm_key_peek(row->key, &s->key[0], v);
}

lsm_rc lsm_row_get(lsm_row *row, int column, lsm_value *v, bool *borrowed) {
  const lsm_schema *s = row->schema;
  bool unused, found = false;
  if (quick_get(row, column, v)) {
    if (borrowed != NULL) *borrowed = true;
    return LSM_OK;
  }
  if (borrowed == NULL) borrowed = &unused;
  *borrowed = true;
  *v = lsm_value_null();
  if (column >= s->ncolumn) {
    *v = lsm_value_blob(row->key);
    return LSM_OK;
  }
  const lsm_column *col = &s->column[column];
  if (column == s->alias_column) {
    int64_t rowid;
    lsm_rc rc = lsm_key_get_rowid(row->key, &rowid);
    if (rc == LSM_OK) *v = lsm_value_int(rowid);
    return rc;
  }
  if (col->key_pos >= 0) return get_key_column(row, col->key_pos, v, borrowed);
  lsm_rc rc = row->ready ? LSM_OK : read_head(row);
  if (rc != LSM_OK) return rc;
  int n = row->nkeycell + col->stored_pos;
  rc = need_cell(row, n, &found);
  if (rc != LSM_OK) return rc;
  if (found) {
    *v = value_at(row, row->cell[n].type, row->cell[n].offset, col->affinity);
  } else if (row->ncell < row->nkeycell) {
    return corrupt(row->head_pos, "key code missing");
  } else if (col->has_default) {
    *v = col->deflt;
  }
  return LSM_OK;
}

lsm_rc lsm_row_result(lsm_row *row, int column, sqlite3_context *ctx, bool stable) {
  lsm_value v;
  bool borrowed;
  lsm_rc rc = lsm_row_get(row, column, &v, &borrowed);
  if (rc == LSM_OK) lsm_value_result(ctx, &v, stable && borrowed);
  return rc;
}

bool lsm_row_quick_result(const lsm_row *row, int column, sqlite3_context *ctx) {
  lsm_value v;
  if (!quick_get(row, column, &v)) return false;
  if (v.type == SQLITE_BLOB && v.u.s.size > 0) {
    sqlite3_result_blob64(ctx, v.u.s.data, v.u.s.size, SQLITE_TRANSIENT);
  } else {
    lsm_value_result(ctx, &v, false);
  }
  return true;
}

lsm_rc lsm_row_rowid(const lsm_row *row, int64_t *rowid) {
  return lsm_key_get_rowid(row->key, rowid);
}

/*--------------------------------------------------------------- checking */

/* Encodes the key's columns again, as the row says they are. */
static lsm_rc check_key(lsm_row *row) {
  const lsm_schema *s = row->schema;
  int64_t rowid;
  if (s->kind != LSM_KEY_COLUMNS) return lsm_row_rowid(row, &rowid);
  lsm_buf again = {NULL, 0, 0};
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < s->nkey && rc == LSM_OK; i++) {
    lsm_value v;
    bool borrowed = true;
    rc = get_key_column(row, i, &v, &borrowed);
    if (rc == LSM_OK) rc = lsm_key_put(&again, &v, &s->key[i]);
  }
  if (rc == LSM_OK && !lsm_slice_eq(lsm_buf_slice(&again), row->key)) {
    rc = corrupt(0, "row does not belong to its key");
  }
  lsm_buf_fini(&again);
  return rc;
}

lsm_rc lsm_row_check(lsm_row *row) {
  bool found;
  lsm_rc rc = row->ready ? LSM_OK : read_head(row);
  int ncell = row->nkeycell + row->schema->nstored;
  if (rc == LSM_OK && ncell > 0) rc = need_cell(row, ncell - 1, &found);
  if (rc != LSM_OK) return rc;
  if (row->ncell < row->nkeycell) return corrupt(row->head_pos, "key code missing");
  if (row->head_pos != row->head_end) return corrupt(row->head_pos, "too many values");
  if (row->payload_pos != row->data.size) return corrupt(row->payload_pos, "bytes left over");
  return check_key(row);
}
