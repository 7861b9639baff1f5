/* cursor.c: reading an lsm table.
**
** xFilter turns the plan and its values into ranges of keys, in key order, and
** walks them one after another; a whole key is looked up instead of sought.
**
** Affinity. SQLite compares a column with a value after applying affinity to
** one of them, and does not say what affinity the other side has. A numeric
** column is simple: the value becomes a number. In a column without affinity,
** or of TEXT, a number given by a parameter finds only itself (or its text),
** but one from an INTEGER column also finds texts that look like it: '5' and
** ' 05' equal 5 there. What xFilter sees is the same. So such a search also
** walks the keys whose text begins as a number can; SQLite drops what does not
** fit. Those are few or none where keys are not texts of digits. */
#include "rowenc.h"
#include "rowsort.h"
#include "vtab.h"

#define MAX_RANGES 2

typedef struct cursor {
  sqlite3_vtab_cursor base;
  lsm_conn_store *cs; /* it counts us among its open cursors */
  lsm_snapshot *snap;
  lsm_key_range ranges[MAX_RANGES];
  int nranges, at; /* how many; which one is being walked */
  bool reverse;
  bool eof;
  bool point;      /* one row, looked up: in value */
  bool by_rest, sorted; /* the order is made here; it is: the rows are in rest */
  int loose_pos;   /* the key column that a number equals loosely */
  double loose;    /* that number */
  lsm_rowsort rest;
  lsm_cursor *cur; /* in ranges[at] */
  lsm_buf key, value;
  lsm_row row;
  lsm_value *eq; /* key columns' values, of xFilter */
  sqlite3_value **hold;
  int nhold;
} cursor;

static lsm_vtab *table_of(cursor *c) { return (lsm_vtab *)c->base.pVtab; }

/*------------------------------------------------------------ open, close */

/* The equalities' values, the bounds', and what owns their bytes. */
static int alloc_values(cursor *c, const lsm_schema *s) {
  int n = (s->kind == LSM_KEY_COLUMNS ? s->nkey : 1) + 2;
  c->eq = sqlite3_malloc(n * (int)sizeof(*c->eq));
  c->hold = sqlite3_malloc(n * (int)sizeof(*c->hold));
  if (c->eq == NULL || c->hold == NULL) return SQLITE_NOMEM;
  memset(c->hold, 0, (size_t)n * sizeof(*c->hold));
  c->nhold = n;
  return SQLITE_OK;
}

int lsm_vtab_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  int code = lsm_vtab_open_store(v);
  if (code != SQLITE_OK) return code;
  cursor *c = sqlite3_malloc(sizeof(*c));
  if (c == NULL) return SQLITE_NOMEM;
  memset(c, 0, sizeof(*c));
  c->base.pVtab = vtab;
  c->eof = true;
  c->cs = v->cs;
  lsm_conn_cursor_opened(c->cs);
  code = alloc_values(c, v->schema);
  if (code == SQLITE_OK) code = lsm_vtab_fail(vtab, lsm_row_init(&c->row, v->schema));
  if (code != SQLITE_OK) {
    lsm_vtab_cursor_close(&c->base);
    return code;
  }
  *out = &c->base;
  return SQLITE_OK;
}

/* Lets go of the last scan. */
static void end_scan(cursor *c) {
  lsm_cursor_close(c->cur);
  c->cur = NULL;
  lsm_snapshot_release(c->snap);
  c->snap = NULL;
  lsm_rowsort_clear(&c->rest);
  c->sorted = false;
  c->eof = true;
}

int lsm_vtab_cursor_close(sqlite3_vtab_cursor *cur) {
  cursor *c = (cursor *)cur;
  end_scan(c);
  for (int i = 0; i < MAX_RANGES; i++) lsm_key_range_fini(&c->ranges[i]);
  lsm_row_fini(&c->row);
  lsm_buf_fini(&c->key);
  lsm_buf_fini(&c->value);
  lsm_value_unhold(c->hold, c->nhold);
  sqlite3_free(c->hold);
  sqlite3_free(c->eq);
  lsm_conn_cursor_closed(c->cs);
  sqlite3_free(c);
  return SQLITE_OK;
}

/*----------------------------------------------------- values and ranges */

static bool is_number(const lsm_value *v) {
  return v->type == SQLITE_INTEGER || v->type == SQLITE_FLOAT;
}

/* How a value takes part in the search. */
typedef enum fit {
  FIT_EXACT, /* as it is */
  FIT_LOOSE  /* also what looks like it: see the head of this file */
} fit;

/* Loads one value as its column compares it. */
static lsm_rc load_value(cursor *c, sqlite3_value *arg, lsm_affinity column, int n, fit *how) {
  lsm_affinity aff = column;
  int type = sqlite3_value_type(arg);
  bool number = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
  *how = FIT_EXACT;
  if (column == LSM_AFF_BLOB || column == LSM_AFF_TEXT) {
    if (number) *how = FIT_LOOSE;
  } else {
    aff = LSM_AFF_NUMERIC;
  }
  return lsm_value_load(arg, aff, &c->eq[n], &c->hold[n]);
}

/* Keys, after the first NEQ columns, whose text begins as a number may: with
** white space, a sign, a point, a digit: from \t up to what follows '9'. */
static lsm_rc number_like(cursor *c, const lsm_key_part *part, int neq, lsm_key_range *r) {
  lsm_value from = lsm_value_text(lsm_slice_str("\t"));
  lsm_value to = lsm_value_text(lsm_slice_str(":"));
  lsm_key_bound lower = {&from, false}, upper = {&to, true};
  return lsm_key_range_of(r, part, c->eq, neq, lower, upper);
}

/* Forgets ranges without keys and puts the others in key order. */
static void order_ranges(cursor *c) {
  int n = 0;
  for (int i = 0; i < c->nranges; i++) {
    if (c->ranges[i].empty) continue;
    if (i != n) {
      lsm_key_range tmp = c->ranges[n];
      c->ranges[n] = c->ranges[i];
      c->ranges[i] = tmp;
    }
    n++;
  }
  c->nranges = n;
  if (n == 2) {
    int cmp = lsm_slice_cmp(lsm_buf_slice(&c->ranges[0].lower), lsm_buf_slice(&c->ranges[1].lower));
    if ((cmp > 0) != c->reverse) {
      lsm_key_range tmp = c->ranges[0];
      c->ranges[0] = c->ranges[1];
      c->ranges[1] = tmp;
    }
  }
}

/* Ranges for a number that column POS is to equal, loosely. What follows the
** column cannot be used. */
static lsm_rc loose_ranges(cursor *c, const lsm_scan_plan *p, int pos, sqlite3_value *arg) {
  const lsm_schema *s = table_of(c)->schema;
  const lsm_value *v = &c->eq[pos];
  lsm_key_bound same = {v, false};
  c->point = false;
  c->by_rest = p->by_rest;
  c->loose_pos = pos;
  c->loose = sqlite3_value_double(arg);
  c->nranges = 1;
  lsm_rc rc = number_like(c, s->key, pos, &c->ranges[0]);
  /* The texts of all numbers but Inf are in there. */
  bool there = v->type == SQLITE_TEXT && v->u.s.size > 0 && v->u.s.data[0] <= '9';
  if (rc != LSM_OK || there) return rc;
  c->nranges = 2;
  return lsm_key_range_of(&c->ranges[1], s->key, c->eq, pos, same, same);
}

/* Ranges of a table with a PRIMARY KEY of columns. */
static lsm_rc column_ranges(cursor *c, const lsm_scan_plan *p, sqlite3_value **argv) {
  const lsm_schema *s = table_of(c)->schema;
  lsm_key_bound lower = {NULL, p->lower_strict}, upper = {NULL, p->upper_strict};
  lsm_rc rc = LSM_OK;
  fit how = FIT_EXACT;
  bool also_text = false;
  int neq = 0;
  for (; neq < p->neq; neq++) {
    rc = load_value(c, argv[neq], s->key[neq].affinity, neq, &how);
    if (rc != LSM_OK) return rc;
    if (c->eq[neq].type == SQLITE_NULL) return LSM_OK; /* = NULL: no rows */
    if (how == FIT_LOOSE) return loose_ranges(c, p, neq, argv[neq]);
  }
  for (int end = 0, n = neq; end < 2; end++) {
    if (end == 0 ? !p->has_lower : !p->has_upper) continue;
    rc = load_value(c, argv[n], s->key[neq].affinity, n, &how);
    if (rc != LSM_OK) return rc;
    bool loose_text = how == FIT_LOOSE && s->key[neq].affinity == LSM_AFF_TEXT;
    if (how == FIT_LOOSE && end == 1) also_text = true;
    if (!loose_text) (end == 0 ? &lower : &upper)->value = &c->eq[n];
    n++;
  }
  rc = lsm_key_range_of(&c->ranges[0], s->key, c->eq, neq, lower, upper);
  c->nranges = 1;
  /* A range without upper bound, or with a text for one, has the texts in it. */
  also_text = also_text && upper.value != NULL && is_number(upper.value);
  if (rc == LSM_OK && also_text) {
    rc = number_like(c, s->key, neq, &c->ranges[1]);
    c->nranges = 2;
  }
  return rc;
}

/* Ranges of a table with rowids: integers all. */
static lsm_rc rowid_ranges(cursor *c, const lsm_scan_plan *p, sqlite3_value **argv) {
  lsm_key_bound lower = {NULL, p->lower_strict}, upper = {NULL, p->upper_strict};
  lsm_rc rc = LSM_OK;
  fit how;
  int n = 0;
  if (p->neq > 0) {
    rc = load_value(c, argv[0], LSM_AFF_INTEGER, 0, &how);
    lower.value = upper.value = &c->eq[0];
    lower.strict = upper.strict = false;
  }
  if (rc == LSM_OK && p->has_lower) {
    rc = load_value(c, argv[n], LSM_AFF_INTEGER, n, &how);
    lower.value = &c->eq[n++];
  }
  if (rc == LSM_OK && p->has_upper) {
    rc = load_value(c, argv[n], LSM_AFF_INTEGER, n, &how);
    upper.value = &c->eq[n];
  }
  if (rc == LSM_OK) rc = lsm_key_range_of_rowids(&c->ranges[0], lower, upper);
  c->nranges = 1;
  return rc;
}

/*------------------------------------------------------------------ moves */

/* Goes on to the next range when this one is done; no cursor: all are. */
static lsm_rc find_row(cursor *c) {
  lsm_rc rc = LSM_OK;
  while (rc == LSM_OK && (c->cur == NULL || !lsm_cursor_valid(c->cur))) {
    lsm_cursor_close(c->cur);
    c->cur = NULL;
    if (++c->at >= c->nranges) return LSM_OK;
    const lsm_key_range *r = &c->ranges[c->at];
    rc = lsm_cursor_open(c->snap, table_of(c)->keyspace, lsm_key_range_lower(r),
                         lsm_key_range_upper(r), &c->cur);
    if (rc == LSM_OK) rc = c->reverse ? lsm_cursor_last(c->cur) : lsm_cursor_first(c->cur);
  }
  return rc;
}

static lsm_rc step(cursor *c) {
  lsm_rc rc = c->reverse ? lsm_cursor_prev(c->cur) : lsm_cursor_next(c->cur);
  return rc == LSM_OK ? find_row(c) : rc;
}

/* Points the row at where the walk stands. */
static void show_row(cursor *c) {
  if (c->cur == NULL) {
    end_scan(c);
  } else {
    lsm_row_point(&c->row, lsm_cursor_key(c->cur), lsm_cursor_value(c->cur));
  }
}

/* Takes the row into rest if its column can equal the number that is sought;
** those are few. */
static lsm_rc put_aside(cursor *c, int neq) {
  const lsm_schema *s = table_of(c)->schema;
  lsm_slice key = lsm_cursor_key(c->cur), left = key;
  lsm_value v = lsm_value_null();
  bool may = true;
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < neq && rc == LSM_OK; i++) {
    if (i != c->loose_pos) {
      rc = lsm_key_skip(&left, &s->key[i]);
    } else if ((rc = lsm_key_get(&left, &s->key[i], &v, &c->key)) == LSM_OK) {
      may = v.type != SQLITE_TEXT || lsm_text_may_equal(v.u.s, c->loose);
    }
  }
  if (rc != LSM_OK || !may) return rc;
  return lsm_rowsort_add(&c->rest, key, lsm_cursor_value(c->cur), key.size - left.size);
}

static void show_sorted(cursor *c) {
  lsm_slice key, value;
  if (lsm_rowsort_next(&c->rest, &key, &value)) {
    lsm_row_point(&c->row, key, value);
  } else {
    end_scan(c);
  }
}

/* The walk's rows, in the order of what follows the first NEQ columns. */
static lsm_rc sort_rows(cursor *c, int neq) {
  lsm_rc rc = find_row(c);
  while (rc == LSM_OK && c->cur != NULL) {
    rc = put_aside(c, neq);
    if (rc == LSM_OK) rc = step(c);
  }
  if (rc != LSM_OK) return rc;
  lsm_rowsort_sort(&c->rest, c->reverse);
  c->sorted = true;
  show_sorted(c);
  return LSM_OK;
}

static lsm_rc walk(cursor *c) {
  lsm_rc rc = find_row(c);
  if (rc == LSM_OK) show_row(c);
  return rc;
}

/* The one row whose key is the range's lower bound. */
static lsm_rc look_up(cursor *c) {
  lsm_slice key = lsm_buf_slice(&c->ranges[0].lower);
  lsm_rc rc = lsm_get(c->snap, table_of(c)->keyspace, key, &c->value);
  if (rc == LSM_NOTFOUND) {
    c->eof = true;
    return LSM_OK;
  }
  if (rc == LSM_OK) lsm_row_point(&c->row, key, lsm_buf_slice(&c->value));
  return rc;
}

int lsm_vtab_filter(sqlite3_vtab_cursor *cur, int idx_num, const char *idx_str, int argc,
                    sqlite3_value **argv) {
  cursor *c = (cursor *)cur;
  lsm_vtab *v = table_of(c);
  lsm_scan_plan p = lsm_plan_unpack(idx_num);
  (void)idx_str, (void)argc;
  end_scan(c);
  lsm_value_unhold(c->hold, c->nhold);
  c->nranges = 0;
  c->at = -1;
  c->reverse = p.reverse;
  c->point = p.unique;
  c->by_rest = false;
  lsm_rc rc = v->schema->kind == LSM_KEY_COLUMNS ? column_ranges(c, &p, argv)
                                                 : rowid_ranges(c, &p, argv);
  if (rc != LSM_OK) return lsm_vtab_fail(cur->pVtab, rc);
  order_ranges(c);
  if (c->nranges == 0) return SQLITE_OK;
  rc = lsm_conn_snapshot(c->cs, &c->snap);
  c->eof = false;
  if (rc == LSM_OK) rc = c->point ? look_up(c) : c->by_rest ? sort_rows(c, p.neq) : walk(c);
  if (rc != LSM_OK) end_scan(c);
  return lsm_vtab_fail(cur->pVtab, rc);
}

int lsm_vtab_next(sqlite3_vtab_cursor *cur) {
  cursor *c = (cursor *)cur;
  if (c->point) {
    end_scan(c);
    return SQLITE_OK;
  }
  if (c->sorted) {
    show_sorted(c);
    return SQLITE_OK;
  }
  lsm_rc rc = step(c);
  if (rc == LSM_OK) show_row(c);
  if (rc != LSM_OK) end_scan(c);
  return lsm_vtab_fail(cur->pVtab, rc);
}

int lsm_vtab_eof(sqlite3_vtab_cursor *cur) { return ((cursor *)cur)->eof; }

int lsm_vtab_column(sqlite3_vtab_cursor *cur, sqlite3_context *ctx, int col) {
  cursor *c = (cursor *)cur;
  /* SQLite keeps a static result past the next step (in max(), say): copies. */
  return lsm_vtab_fail(cur->pVtab, lsm_row_result(&c->row, col, ctx, false));
}

int lsm_vtab_rowid(sqlite3_vtab_cursor *cur, sqlite_int64 *rowid) {
  int64_t id = 0;
  lsm_rc rc = lsm_row_rowid(&((cursor *)cur)->row, &id);
  *rowid = id;
  return lsm_vtab_fail(cur->pVtab, rc);
}
