/* fuzz_row.c: rows and their keys that are not trusted, and values there and back.
** Input: how:u8 (schema, and bit 7 which of two kinds). Kind 0: klen:u8, a key of
**        that size, a row. Kind 1: a value for each column.
** Holds: columns are the same in whatever order they are asked for; a row that
**        lsm_row_check() finds sound, encoded again, gives the same values;
**        so do rows that were encoded from values. */
#include "fuzz_values.h"
#include "rowenc.h"

enum { MAX_COLUMNS = 5, NSCHEMAS = 7, KIND_VALUES = 0x80 };

static sqlite3 *db; /* these are kept from run to run */
static lsm_schema *schemas[NSCHEMAS];

static void setup(void) {
  static const char *const args[NSCHEMAS][MAX_COLUMNS + 1] = {
      {"key PRIMARY KEY", "value"},
      {"a", "b REAL", "c TEXT", "d INT"},
      {"a", "id INTEGER PRIMARY KEY", "c REAL"},
      {"a COLLATE NOCASE", "b REAL", "c", "d COLLATE RTRIM", "PRIMARY KEY(d DESC, b, a)"},
      {"a COLLATE NOCASE", "b", "PRIMARY KEY(a DESC, b DESC)"},
      {"a REAL", "b", "PRIMARY KEY(a DESC)"},
      {"a TEXT PRIMARY KEY", "b NOT NULL DEFAULT 5", "c TEXT NOT NULL DEFAULT 'x'"}};
  if (db != NULL) return;
  FUZZ_CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  for (int i = 0; i < NSCHEMAS; i++) {
    const char *argv[3 + MAX_COLUMNS + 1] = {"lsm", "main", "t"};
    char *err = NULL;
    int argc = 3;
    for (int j = 0; args[i][j] != NULL; j++) argv[argc++] = args[i][j];
    FUZZ_CHECK(lsm_schema_parse(db, argc, argv, &schemas[i], &err) == SQLITE_OK);
    FUZZ_CHECK(schemas[i]->ncolumn <= MAX_COLUMNS);
  }
}

/* The columns of a row; their bytes are copies. */
typedef struct columns {
  lsm_rc rc[MAX_COLUMNS];
  lsm_value v[MAX_COLUMNS];
  uint8_t *copy[MAX_COLUMNS];
} columns;

static void get(lsm_row *row, int i, columns *c) {
  bool borrowed;
  lsm_value *v = &c->v[i];
  c->copy[i] = NULL;
  c->rc[i] = lsm_row_get(row, i, v, &borrowed);
  FUZZ_CHECK(c->rc[i] == LSM_OK || c->rc[i] == LSM_CORRUPT);
  if (v->type != SQLITE_TEXT && v->type != SQLITE_BLOB) return;
  c->copy[i] = fuzz_copy(v->u.s);
  v->u.s.data = c->copy[i];
}

static void columns_fini(columns *c, int n) {
  for (int i = 0; i < n; i++) free(c->copy[i]);
}

static bool same(const columns *a, const columns *b, int n) {
  for (int i = 0; i < n; i++) {
    if (a->rc[i] != b->rc[i] || !fuzz_same(&a->v[i], &b->v[i])) return false;
  }
  return true;
}

/* Values in, values out. */
static void there_and_back(const lsm_schema *s, const columns *c, int64_t rowid) {
  lsm_buf key = {0}, bytes = {0};
  lsm_row row;
  columns back;
  if (s->kind == LSM_KEY_COLUMNS) {
    FUZZ_OK(lsm_key_put_row(&key, s, c->v));
  } else {
    FUZZ_OK(lsm_key_put_rowid(&key, rowid));
  }
  FUZZ_OK(lsm_row_encode(s, c->v, &bytes));
  uint8_t *k = fuzz_copy(lsm_buf_slice(&key)), *r = fuzz_copy(lsm_buf_slice(&bytes));
  FUZZ_OK(lsm_row_init(&row, s));
  lsm_row_point(&row, lsm_slice_of(k, key.size), lsm_slice_of(r, bytes.size));
  for (int i = s->ncolumn; i-- > 0;) {
    get(&row, i, &back);
    FUZZ_CHECK(back.rc[i] == LSM_OK && fuzz_same(&back.v[i], &c->v[i]));
  }
  FUZZ_OK(lsm_row_check(&row));
  columns_fini(&back, s->ncolumn);
  lsm_row_fini(&row);
  free(k);
  free(r);
  lsm_buf_fini(&key);
  lsm_buf_fini(&bytes);
}

static void run_values(const lsm_schema *s, fuzz_in *in) {
  columns c = {.rc = {LSM_OK}};
  int64_t rowid = (int64_t)fuzz_number(in, 7);
  for (int i = 0; i < s->ncolumn; i++) c.v[i] = fuzz_value(in, s->column[i].affinity);
  if (s->alias_column >= 0) c.v[s->alias_column] = lsm_value_int(rowid);
  there_and_back(s, &c, rowid);
}

static void run_bytes(const lsm_schema *s, lsm_slice key, lsm_slice bytes) {
  lsm_row row;
  columns up, down;
  int64_t rowid = 0;
  FUZZ_OK(lsm_row_init(&row, s));
  lsm_row_point(&row, key, bytes);
  for (int i = 0; i < s->ncolumn; i++) get(&row, i, &up);
  lsm_row_point(&row, key, bytes);
  for (int i = s->ncolumn; i-- > 0;) get(&row, i, &down);
  lsm_rc rc = lsm_row_check(&row);
  FUZZ_CHECK(rc == LSM_OK || rc == LSM_CORRUPT);
  lsm_row_point(&row, key, bytes);
  FUZZ_CHECK(lsm_row_check(&row) == rc);
  FUZZ_CHECK(lsm_row_rowid(&row, &rowid) == LSM_OK || key.size != LSM_ROWID_KEY_SIZE);
  FUZZ_CHECK(same(&up, &down, s->ncolumn));
  if (rc == LSM_OK) {
    for (int i = 0; i < s->ncolumn; i++) FUZZ_OK(up.rc[i]);
    there_and_back(s, &up, rowid);
  }
  columns_fini(&up, s->ncolumn);
  columns_fini(&down, s->ncolumn);
  lsm_row_fini(&row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_in in = fuzz_in_of(data, size);
  setup();
  uint8_t how = fuzz_u8(&in);
  const lsm_schema *s = schemas[(how & ~KIND_VALUES) % NSCHEMAS];
  if ((how & KIND_VALUES) != 0) {
    run_values(s, &in);
    return 0;
  }
  lsm_slice key = fuzz_take(&in, fuzz_u8(&in));
  lsm_slice bytes = fuzz_take(&in, SIZE_MAX);
  uint8_t *k = fuzz_copy(key), *r = fuzz_copy(bytes);
  run_bytes(s, lsm_slice_of(k, key.size), lsm_slice_of(r, bytes.size));
  free(k);
  free(r);
  return 0;
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  static const uint8_t values[] = {1, 2, 3, 0, 0, 0, 0, 1, 5, 4, 3,    'a', 'B', ' ', 2,
                                   7, 0, 3, 0, 0, 0, 0, 0, 0, 4, 0x40, 5,   2,   0,   0xFF};
  setup();
  for (int i = 0; i < NSCHEMAS; i++) {
    const lsm_schema *s = schemas[i];
    fuzz_add_with(add, arg, (uint8_t)(KIND_VALUES | i), lsm_slice_of(values, sizeof values));
    for (int n = 0; n < 4; n++) {
      lsm_value v[MAX_COLUMNS];
      lsm_buf key = {0}, row = {0}, out = {0};
      for (int j = 0; j < s->ncolumn; j++) {
        lsm_affinity aff = s->column[j].affinity;
        v[j] = (n + j) % 4 == 0   ? lsm_value_text(lsm_slice_str("aBc"))
               : (n + j) % 4 == 1 ? lsm_value_real(n + 0.5 * j)
               : (n + j) % 4 == 2 ? lsm_value_blob(lsm_slice_str("blob"))
                                  : lsm_value_null();
        if (n == 3 && aff != LSM_AFF_REAL) v[j] = lsm_value_int((int64_t)300 << (8 * j));
      }
      FUZZ_OK(s->kind == LSM_KEY_COLUMNS ? lsm_key_put_row(&key, s, v)
                                         : lsm_key_put_rowid(&key, 5));
      FUZZ_OK(lsm_row_encode(s, v, &row));
      FUZZ_OK(lsm_buf_put_u8(&out, (uint8_t)key.size));
      FUZZ_OK(lsm_buf_append(&out, key.data, key.size));
      FUZZ_OK(lsm_buf_append(&out, row.data, row.size));
      fuzz_add_with(add, arg, (uint8_t)i, lsm_buf_slice(&out));
      lsm_buf_fini(&key);
      lsm_buf_fini(&row);
      lsm_buf_fini(&out);
    }
  }
}
