/* rowenc.h: a row's values as bytes. What can be read back from the key is not
** stored again. The format is described in FORMAT.md. */
#ifndef LSM_EXT_ROWENC_H
#define LSM_EXT_ROWENC_H

#include "keyenc.h"
#include "schema.h"
#include "value.h"

/* The row of VALUES (ncolumn members, affinity applied) replaces what was in
** *row. LSM_NOMEM. */
lsm_rc lsm_row_encode(const lsm_schema *schema, const lsm_value *values, lsm_buf *row);

/* Reads columns of one (key, row) pair after another. Decodes only as far as
** it is asked and remembers where it has been.
** Bytes   The pair must stay where it is until the next lsm_row_point(). */
typedef struct lsm_row_cell {
  uint64_t type; /* serial type, or how to take it from the key */
  size_t offset; /* of the payload in the row */
} lsm_row_cell;

typedef struct lsm_row {
  const lsm_schema *schema;
  lsm_slice key;
  lsm_slice data;
  lsm_row_cell *cell; /* key codes first when there are any, then the values */
  int ncell;          /* decoded so far */
  int nkeycell;       /* 0, or nkey when the row says how to read its key */
  bool ready;         /* the row's head has been read */
  size_t head_pos;    /* next type to read */
  size_t head_end;    /* where types end and payload starts */
  size_t payload_pos; /* of the next cell */
  lsm_slice *key_at;  /* key_at[i]: the key from its column i on */
  int nkey_at;        /* how many of them are known */
  lsm_buf scratch;    /* text from the key that had to be unescaped */
} lsm_row;

/* LSM_NOMEM. SCHEMA must outlive it. lsm_row_fini() accepts zeroes. */
lsm_rc lsm_row_init(lsm_row *row, const lsm_schema *schema);
void lsm_row_fini(lsm_row *row);

/* From now on it is about this pair. Cheap; nothing is checked yet. */
void lsm_row_point(lsm_row *row, lsm_slice key, lsm_slice data);

/* Column 0..ncolumn-1, or ncolumn for the encoded key itself as a blob. A
** column that the row is too short for (it was added later) has its default.
** *borrowed (may be NULL): the bytes are the pair's own and live as long;
** otherwise they live until the next call for this row. LSM_CORRUPT,
** LSM_NOMEM. */
lsm_rc lsm_row_get(lsm_row *row, int column, lsm_value *v, bool *borrowed);

/* The same, as the column's result. stable: the pair stays in place as long
** as SQLite may use the result (until the cursor moves), so its bytes need not
** be copied. */
lsm_rc lsm_row_result(lsm_row *row, int column, sqlite3_context *ctx, bool stable);

/* The same for what most columns are; false: nothing was done, it takes the other one. */
bool lsm_row_quick_result(const lsm_row *row, int column, sqlite3_context *ctx);

/* The rowid of the pair, of a table that has rowids. */
lsm_rc lsm_row_rowid(const lsm_row *row, int64_t *rowid);

/* Decodes everything and checks that nothing is left over: LSM_CORRUPT. */
lsm_rc lsm_row_check(lsm_row *row);

#endif
