/* plan.c: xBestIndex: which part of the key a query needs.
**
** The key's columns are taken in order: those compared with = first, then one
** range. SQLite still checks every term on every row (omit is never set), so a
** plan may give more rows than wanted but never fewer; search.c says where that
** matters. idxNum carries the plan, idxStr says it in words for EXPLAIN QUERY
** PLAN; FORMAT.md has the bits. */
#include "vtab.h"

#include <math.h>

#define NO_TERM     (-1)
#define MAX_EQ      127
#define MAX_LITERAL 16 /* bits of idxNum for them */

/* Cost of going to a place, in rows read one after another. */
#define SEEK_COST    20.0
#define DEFAULT_ROWS 1000000.0 /* of a store that could not be asked */

enum {
  BIT_LOWER = 1 << 7,
  BIT_LOWER_STRICT = 1 << 8,
  BIT_UPPER = 1 << 9,
  BIT_UPPER_STRICT = 1 << 10,
  BIT_REVERSE = 1 << 11,
  BIT_UNIQUE = 1 << 12,
  SHIFT_LITERAL = 13,
  BIT_MERGE = 1 << 29
};

lsm_scan_plan lsm_plan_unpack(int n) {
  lsm_scan_plan p;
  p.neq = n & MAX_EQ;
  p.has_lower = (n & BIT_LOWER) != 0;
  p.lower_strict = (n & BIT_LOWER_STRICT) != 0;
  p.has_upper = (n & BIT_UPPER) != 0;
  p.upper_strict = (n & BIT_UPPER_STRICT) != 0;
  p.reverse = (n & BIT_REVERSE) != 0;
  p.unique = (n & BIT_UNIQUE) != 0;
  p.merge = (n & BIT_MERGE) != 0;
  p.literal = ((unsigned)n >> SHIFT_LITERAL) & ((1u << MAX_LITERAL) - 1);
  return p;
}

static int pack(const lsm_scan_plan *p) {
  int n = p->neq;
  if (p->has_lower) n |= BIT_LOWER;
  if (p->lower_strict) n |= BIT_LOWER_STRICT;
  if (p->has_upper) n |= BIT_UPPER;
  if (p->upper_strict) n |= BIT_UPPER_STRICT;
  if (p->reverse) n |= BIT_REVERSE;
  if (p->unique) n |= BIT_UNIQUE;
  if (p->merge) n |= BIT_MERGE;
  return n | (int)(p->literal << SHIFT_LITERAL);
}

/* How an equality fixes a column of the key. */
typedef enum fixing {
  FIX_EXACT, /* to one value */
  FIX_LOOSE, /* to one value and what equals it if the other side has an affinity */
  FIX_LIST   /* to one of the values of an IN list */
} fixing;

/* A choice in the making: the plan and the terms it takes. */
typedef struct choice {
  lsm_vtab *v;
  sqlite3_index_info *info;
  lsm_scan_plan plan;
  int eq[MAX_EQ];
  unsigned char fix[MAX_EQ]; /* fixing */
  int lower, upper;
  bool exact; /* all of them are */
  bool list;  /* one is by a list */
} choice;

/* Key columns; a rowid is a key of one column. */
static int key_length(const lsm_schema *s) {
  return s->kind == LSM_KEY_COLUMNS ? s->nkey : 1;
}

/* Is COLUMN, as SQLite numbers it, column POS of the key? */
static bool is_key_column(const lsm_schema *s, int column, int pos) {
  if (s->kind == LSM_KEY_COLUMNS) return column == s->key[pos].column;
  return column == -1 || (s->kind == LSM_KEY_ROWID_ALIAS && column == s->alias_column);
}

static const char *collation_name(lsm_collation c) {
  return c == LSM_COLL_NOCASE ? "NOCASE" : c == LSM_COLL_RTRIM ? "RTRIM" : "BINARY";
}

/* Does the term compare as the key is ordered? */
static bool collation_fits(const choice *c, int term, int pos) {
  const lsm_schema *s = c->v->schema;
  if (s->kind != LSM_KEY_COLUMNS) return true;
  const char *name = sqlite3_vtab_collation(c->info, term);
  return name == NULL || sqlite3_stricmp(name, collation_name(s->key[pos].collation)) == 0;
}

/* The first usable term with one of two operators on column POS of the key. */
static int find_term(const choice *c, int pos, int op1, int op2) {
  for (int i = 0; i < c->info->nConstraint; i++) {
    const struct sqlite3_index_constraint *t = &c->info->aConstraint[i];
    if (t->usable && (t->op == op1 || t->op == op2) &&
        is_key_column(c->v->schema, t->iColumn, pos) && collation_fits(c, i, pos)) {
      return i;
    }
  }
  return NO_TERM;
}

/* Is the other side a literal text or blob? Those have no affinity that counts.
** (A number may also be a CAST, which gives it one; SQLite shows it alike.) */
static bool is_literal(const choice *c, int term) {
#if SQLITE_VERSION_NUMBER >= 3038000
  sqlite3_value *value = NULL;
  if (lsm_sqlite_has(3038000) && sqlite3_vtab_rhs_value(c->info, term, &value) == SQLITE_OK &&
      value != NULL) {
    int type = sqlite3_value_type(value);
    return type == SQLITE_TEXT || type == SQLITE_BLOB;
  }
#endif
  (void)c, (void)term;
  return false;
}

/* Notes whether value number N of the plan is a literal. */
static void note_literal(choice *c, int term, int n) {
  if (n < MAX_LITERAL && is_literal(c, term)) c->plan.literal |= 1u << n;
}

/* A numeric column turns the other side into a number whatever that was;
** for other columns the other side's affinity counts, which only a literal text
** or blob is known not to have. */
static bool term_is_exact(const choice *c, int n, int pos) {
  const lsm_schema *s = c->v->schema;
  if (s->kind != LSM_KEY_COLUMNS) return true;
  lsm_affinity aff = s->key[pos].affinity;
  if (aff != LSM_AFF_BLOB && aff != LSM_AFF_TEXT) return true;
  return n < MAX_LITERAL && (c->plan.literal & (1u << n)) != 0;
}

/* Is the term an IN whose values the search is to get all at once? Then they
** come with the affinity that IN gives them, SQLite checks IN itself, and the
** rows come in the key's order. Rowids need none of that. */
static bool is_list(const choice *c, int term) {
#if SQLITE_VERSION_NUMBER >= 3038000
  if (lsm_sqlite_has(3038000) && c->v->schema->kind == LSM_KEY_COLUMNS) {
    return sqlite3_vtab_in(c->info, term, 1) != 0;
  }
#endif
  (void)c, (void)term;
  return false;
}

/* Takes equalities along the key, then a range. */
static void choose_terms(choice *c) {
  int nkey = key_length(c->v->schema), n = 0;
  c->exact = true;
  c->lower = c->upper = NO_TERM;
  while (n < nkey && n < MAX_EQ) {
    int t = find_term(c, n, SQLITE_INDEX_CONSTRAINT_EQ, SQLITE_INDEX_CONSTRAINT_IS);
    if (t == NO_TERM) break;
    c->eq[n] = t;
    if (is_list(c, t)) {
      c->fix[n] = FIX_LIST;
      c->list = true;
    } else {
      note_literal(c, t, n);
      c->fix[n] = term_is_exact(c, n, n) ? FIX_EXACT : FIX_LOOSE;
    }
    if (c->fix[n] != FIX_EXACT) c->exact = false;
    n++;
  }
  c->plan.neq = n;
  c->plan.unique = n == nkey;
  if (n == nkey || n == MAX_EQ) return;
  c->lower = find_term(c, n, SQLITE_INDEX_CONSTRAINT_GT, SQLITE_INDEX_CONSTRAINT_GE);
  c->upper = find_term(c, n, SQLITE_INDEX_CONSTRAINT_LT, SQLITE_INDEX_CONSTRAINT_LE);
  if (c->lower != NO_TERM) {
    c->plan.has_lower = true;
    c->plan.lower_strict = c->info->aConstraint[c->lower].op == SQLITE_INDEX_CONSTRAINT_GT;
    note_literal(c, c->lower, n++);
  }
  if (c->upper != NO_TERM) {
    c->plan.has_upper = true;
    c->plan.upper_strict = c->info->aConstraint[c->upper].op == SQLITE_INDEX_CONSTRAINT_LT;
    note_literal(c, c->upper, n);
  }
}

/* Does an equality fix COLUMN to one value? Equal by a collation that is not
** the column's own is not the same. */
static bool is_one_value(const choice *c, int column) {
  const lsm_schema *s = c->v->schema;
  for (int k = 0; k < c->plan.neq; k++) {
    if (c->fix[k] != FIX_EXACT || !is_key_column(s, column, k)) continue;
    if (s->kind != LSM_KEY_COLUMNS || s->key[k].collation == s->column[column].collation) {
      return true;
    }
  }
  return false;
}

/* Does the key at POS order rows as ORDER BY COLUMN does? */
static bool orders_by(const lsm_schema *s, int column, int pos) {
  return is_key_column(s, column, pos) &&
         (s->kind != LSM_KEY_COLUMNS || s->key[pos].collation == s->column[column].collation);
}

/* Can the order asked for be had by walking the key, and which way? A column
** that an equality fixes orders nothing and may stand anywhere, or nowhere. One
** that it fixes loosely may be passed over too, but then the ranges must be
** merged by what follows it (plan.merge). */
static bool order_fits(choice *c, bool *reverse) {
  const lsm_schema *s = c->v->schema;
  int nkey = key_length(s), pos = 0;
  bool known = false, loose_met = false, merge = false;
  *reverse = false;
  for (int i = 0; i < c->info->nOrderBy; i++) {
    int column = c->info->aOrderBy[i].iColumn;
    if (is_one_value(c, column)) continue;
    while (pos < c->plan.neq && c->fix[pos] != FIX_LIST && !orders_by(s, column, pos)) {
      if (c->fix[pos++] == FIX_LOOSE) merge = true;
    }
    if (pos == nkey) break; /* the key is complete: rows do not tie */
    if (!orders_by(s, column, pos)) return false;
    if (pos < c->plan.neq && c->fix[pos] == FIX_LOOSE) loose_met = true;
    bool desc = s->kind == LSM_KEY_COLUMNS && s->key[pos].desc;
    bool back = (c->info->aOrderBy[i].desc != 0) != desc;
    if (known && back != *reverse) return false;
    *reverse = back;
    known = true;
    pos++;
  }
  /* Merged rows may tie, and only columns after all equalities count in a merge. */
  if (merge && (pos == nkey || loose_met || c->list)) return false;
  c->plan.merge = merge;
  return true;
}

/* Says which value of xFilter's argv each term gets. */
static void hand_out_arguments(choice *c) {
  int n = 0;
  for (int i = 0; i < c->plan.neq; i++) {
    c->info->aConstraintUsage[c->eq[i]].argvIndex = ++n;
  }
  if (c->lower != NO_TERM) c->info->aConstraintUsage[c->lower].argvIndex = ++n;
  if (c->upper != NO_TERM) c->info->aConstraintUsage[c->upper].argvIndex = ++n;
}

/* Rows of the whole table, from the store's metadata. */
static double table_rows(lsm_vtab *v) {
  lsm_snapshot *snap = NULL;
  uint64_t rows = 0, bytes = 0;
  lsm_slice open = {NULL, 0};
  if (lsm_vtab_open_store(v) != SQLITE_OK) {
    sqlite3_free(v->base.zErrMsg); /* xFilter will say it */
    v->base.zErrMsg = NULL;
    return DEFAULT_ROWS;
  }
  lsm_rc rc = lsm_snapshot_acquire(lsm_store_db(v->cs->store), &snap);
  if (rc == LSM_OK) rc = lsm_estimate(snap, v->keyspace, open, open, &rows, &bytes);
  lsm_snapshot_release(snap);
  if (rc != LSM_OK) return DEFAULT_ROWS;
  return rows < 10 ? 10.0 : (double)rows;
}

/* Each equality on a prefix is taken to divide the rows evenly; each bound to
** keep a quarter, as SQLite does without statistics. */
static void estimate(choice *c) {
  double all = table_rows(c->v), rows = all;
  int nkey = key_length(c->v->schema);
  if (c->plan.unique) {
    rows = 1;
  } else if (c->plan.neq > 0) {
    rows = pow(all, 1.0 - (double)c->plan.neq / nkey);
    if (rows > all / 10) rows = all / 10;
  }
  if (c->list) rows *= 4;
  if (c->plan.has_lower) rows /= 4;
  if (c->plan.has_upper) rows /= 4;
  if (rows < 1) rows = 1;
  c->info->estimatedRows = (sqlite3_int64)rows;
  c->info->estimatedCost = SEEK_COST + rows;
  if (c->plan.unique && c->exact) c->info->idxFlags |= SQLITE_INDEX_SCAN_UNIQUE;
}

/* Name of a key column for people. */
static const char *key_name(const lsm_schema *s, int pos) {
  if (s->kind == LSM_KEY_COLUMNS) return s->column[s->key[pos].column].name;
  return s->kind == LSM_KEY_ROWID_ALIAS ? s->column[s->alias_column].name : "rowid";
}

/* "PRIMARY KEY (a=? AND b>?) DESC", in the words SQLite has for its own. */
static char *describe(const choice *c) {
  const lsm_schema *s = c->v->schema;
  const lsm_scan_plan *p = &c->plan;
  sqlite3_str *str = sqlite3_str_new(c->v->conn->db);
  const char *sep = "";
  sqlite3_str_appendall(str, s->kind == LSM_KEY_COLUMNS ? "PRIMARY KEY" : "ROWID");
  if (p->neq > 0 || p->has_lower || p->has_upper) sqlite3_str_appendall(str, " (");
  for (int i = 0; i < p->neq; i++) {
    sqlite3_str_appendf(str, "%s%s=?", sep, key_name(s, i));
    sep = " AND ";
  }
  if (p->has_lower) {
    sqlite3_str_appendf(str, "%s%s%s?", sep, key_name(s, p->neq), p->lower_strict ? ">" : ">=");
    sep = " AND ";
  }
  if (p->has_upper) {
    sqlite3_str_appendf(str, "%s%s%s?", sep, key_name(s, p->neq), p->upper_strict ? "<" : "<=");
  }
  if (p->neq > 0 || p->has_lower || p->has_upper) sqlite3_str_appendall(str, ")");
  if (p->reverse) sqlite3_str_appendall(str, " DESC");
  return sqlite3_str_finish(str);
}

int lsm_vtab_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  choice c;
  memset(&c, 0, sizeof(c));
  c.v = (lsm_vtab *)vtab;
  c.info = info;
  choose_terms(&c);
  bool reverse;
  if (info->nOrderBy > 0 && order_fits(&c, &reverse)) {
    info->orderByConsumed = 1;
    c.plan.reverse = reverse;
  }
  hand_out_arguments(&c);
  estimate(&c);
  info->idxNum = pack(&c.plan);
  info->idxStr = describe(&c);
  info->needToFreeIdxStr = 1;
  return info->idxStr == NULL ? SQLITE_NOMEM : SQLITE_OK;
}
