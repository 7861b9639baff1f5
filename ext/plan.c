/* plan.c: xBestIndex: which part of which key or index a query needs.
**
** The primary key and each index are a path to the rows. Along a path the columns
** are taken in order: those compared with = first, then one range. The path that
** costs least is taken. SQLite still checks every term on every row (omit is
** never set), so a plan may give more rows than wanted but never fewer; search.c
** says where that matters. idxNum carries the plan, idxStr says it in words for
** EXPLAIN QUERY PLAN. */
#include "sizes.h"

#define NO_TERM     (-1)
#define MAX_EQ      31
#define MAX_LITERAL 10 /* bits of idxNum for them */

/* Costs, in SQLite's own measure, where a row of an ordinary table's scan is 3 and going
** to a place in one 20: so lsm tables and ordinary ones can be joined. Of a row, of going
** to a place, of the row that an entry names, of sorting one. The third is less than it
** is at worst: a range on an index comes before a scan. */
#define ROW_COST    3.0
#define SEEK_COST   30.0
#define LOOKUP_COST 7.5
#define SORT_COST   9.0
#define LIST_VALUES 10.0 /* of an IN list, which is not known yet */

enum {
  BIT_LOWER = 1 << 5,
  BIT_LOWER_STRICT = 1 << 6,
  BIT_UPPER = 1 << 7,
  BIT_UPPER_STRICT = 1 << 8,
  BIT_REVERSE = 1 << 9,
  BIT_UNIQUE = 1 << 10,
  BIT_MERGE = 1 << 11,
  BIT_NULLS = 1 << 12,
  BIT_SKIP = 1 << 13,
  SHIFT_INDEX = 14,
  MASK_INDEX = 0x3f,
  SHIFT_LITERAL = 20,
  MASK_LITERAL = (1 << MAX_LITERAL) - 1,
  BIT_SINGLE = 1 << (SHIFT_LITERAL + MAX_LITERAL)
};
_Static_assert(LSM_MAX_INDEXES <= MASK_INDEX, "an index number fits idxNum");

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
  p.nulls = (n & BIT_NULLS) != 0;
  p.skip = (n & BIT_SKIP) != 0;
  p.index = n >> SHIFT_INDEX & MASK_INDEX;
  p.literal = (unsigned)n >> SHIFT_LITERAL & MASK_LITERAL;
  p.single = (n & BIT_SINGLE) != 0;
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
  if (p->nulls) n |= BIT_NULLS;
  if (p->skip) n |= BIT_SKIP;
  if (p->single) n |= BIT_SINGLE;
  return n | p->index << SHIFT_INDEX | (int)(p->literal << SHIFT_LITERAL);
}

/*------------------------------------------------------------------ paths */

/* Does column POS stand before with this collation, or (any) with whichever? */
static bool repeats(const lsm_path *p, int pos, bool any) {
  for (int i = 0; i < pos; i++) {
    bool same = any || p->part[i].collation == p->part[pos].collation;
    if (p->part[i].column == p->part[pos].column && same) return true;
  }
  return false;
}

lsm_path lsm_plan_path(const lsm_vtab *v, int index) {
  const lsm_schema *s = v->schema;
  if (index > 0) {
    const lsm_vindex *x = &v->index[index - 1];
    const lsm_index *d = x->def;
    int nunique = d->unique ? d->npart : 0;
    lsm_path p = {x, x->keyspace, d->all, d->nall, d->npart, nunique, false, v->utf16};
    /* The row's key follows in every entry but those that are alone. */
    while (!d->unique && p.nterm < p.npart && !repeats(&p, p.nterm, true)) p.nterm++;
    return p;
  }
  bool columns = s->kind == LSM_KEY_COLUMNS;
  int n = columns ? s->nkey : 1;
  return (lsm_path){NULL, v->keyspace, columns ? s->key : &s->rowid, n, n, n, !columns,
                    v->utf16};
}

int lsm_plan_max_parts(const lsm_vtab *v) {
  int max = 0;
  for (int i = 0; i <= v->nindex; i++) {
    lsm_path p = lsm_plan_path(v, i);
    if (p.npart > max) max = p.npart;
  }
  return max;
}

/*------------------------------------------------------------------ terms */

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
  lsm_sizes *sizes;
  lsm_path path;
  lsm_scan_plan plan;
  int eq[MAX_EQ];
  unsigned char fix[MAX_EQ]; /* fixing */
  int lower, upper;
  int offset; /* the OFFSET that plan.skip takes over */
  lsm_literal eq_value[MAX_EQ], lower_value, upper_value;
  bool exact; /* all of them are */
  bool list;  /* one is by a list */
  bool ordered, covering;
  double rows; /* that it reads */
} choice;

static bool is_rowid(const choice *c, int column) {
  return column < 0 || column == c->v->schema->alias_column;
}

/* Is COLUMN, as SQLite numbers it, column POS of the path? */
static bool is_column(const choice *c, int column, int pos) {
  int mine = c->path.part[pos].column;
  return column == mine || (is_rowid(c, column) && is_rowid(c, mine));
}

static const char *collation_name(lsm_collation c) {
  return c == LSM_COLL_NOCASE ? "NOCASE" : c == LSM_COLL_RTRIM ? "RTRIM" : "BINARY";
}

/* Does the term compare as the path is ordered? */
static bool collation_fits(const choice *c, int term, int pos) {
  if (is_rowid(c, c->path.part[pos].column)) return true;
  if (c->info->aConstraint[term].op == SQLITE_INDEX_CONSTRAINT_ISNULL) return true;
  const char *name = sqlite3_vtab_collation(c->info, term);
  const char *mine = collation_name(c->path.part[pos].collation);
  return name == NULL || sqlite3_stricmp(name, mine) == 0;
}

/* The first usable term with one of the operators on column POS of the path. */
static int find_term(const choice *c, int pos, int op1, int op2, int op3) {
  for (int i = 0; i < c->info->nConstraint; i++) {
    const struct sqlite3_index_constraint *t = &c->info->aConstraint[i];
    if (t->usable && (t->op == op1 || t->op == op2 || t->op == op3) &&
        is_column(c, t->iColumn, pos) && collation_fits(c, i, pos)) {
      return i;
    }
  }
  return NO_TERM;
}

/* The other side, when it is known already, or NULL. */
static sqlite3_value *literal_of(const choice *c, int term) {
  sqlite3_value *value = NULL;
#if SQLITE_VERSION_NUMBER >= 3038000
  if (lsm_sqlite_has(3038000) && sqlite3_vtab_rhs_value(c->info, term, &value) != SQLITE_OK) {
    value = NULL;
  }
#endif
  (void)c, (void)term;
  return value;
}

/* The literal that TERM, value number N of the plan, compares with. Notes whether it is a
** text or blob: those have no affinity that counts. (A number may also be a CAST, which
** gives it one; SQLite shows it alike.) */
static lsm_literal take_literal(choice *c, int term, int n) {
  int op = c->info->aConstraint[term].op;
  lsm_literal l = {literal_of(c, term),
                   op == SQLITE_INDEX_CONSTRAINT_GT || op == SQLITE_INDEX_CONSTRAINT_LT};
  int type = l.value != NULL ? sqlite3_value_type(l.value) : SQLITE_NULL;
  if (n < MAX_LITERAL && (type == SQLITE_TEXT || type == SQLITE_BLOB)) c->plan.literal |= 1u << n;
  return l;
}

/* A numeric column turns the other side into a number whatever that was;
** for other columns the other side's affinity counts, which only a literal text
** or blob is known not to have. */
static bool term_is_exact(const choice *c, int n, int pos) {
  lsm_affinity aff = c->path.part[pos].affinity;
  if (c->info->aConstraint[c->eq[n]].op == SQLITE_INDEX_CONSTRAINT_ISNULL) return true;
  if (aff != LSM_AFF_BLOB && aff != LSM_AFF_TEXT) return true;
  return n < MAX_LITERAL && (c->plan.literal & (1u << n)) != 0;
}

/* Is the term an IN whose values the search is to get all at once? Then they
** come with the affinity that IN gives them, SQLite checks IN itself, and the
** rows come in the path's order. Rowids need none of that. handle: 1 to have it
** so, -1 to ask. */
static bool is_list(const choice *c, int term, int handle) {
#if SQLITE_VERSION_NUMBER >= 3038000
  if (lsm_sqlite_has(3038000) && !c->path.rowids) {
    return sqlite3_vtab_in(c->info, term, handle) != 0;
  }
#endif
  (void)c, (void)term, (void)handle;
  return false;
}

/* Takes equalities along the path, then a range. */
static void choose_terms(choice *c) {
  int max = c->path.nterm < MAX_EQ ? c->path.nterm : MAX_EQ, n = 0;
  c->exact = true;
  c->lower = c->upper = NO_TERM;
  for (; n < max; n++) {
    int t = find_term(c, n, SQLITE_INDEX_CONSTRAINT_EQ, SQLITE_INDEX_CONSTRAINT_IS,
                      SQLITE_INDEX_CONSTRAINT_ISNULL);
    if (t == NO_TERM) break;
    c->eq[n] = t;
    if (c->info->aConstraint[t].op != SQLITE_INDEX_CONSTRAINT_EQ) c->plan.nulls = true;
    if (is_list(c, t, -1)) {
      c->fix[n] = FIX_LIST;
      c->list = true;
    } else {
      c->eq_value[n] = take_literal(c, t, n);
      c->fix[n] = term_is_exact(c, n, n) ? FIX_EXACT : FIX_LOOSE;
    }
    if (c->fix[n] != FIX_EXACT) c->exact = false;
  }
  c->plan.neq = n;
  c->plan.unique = n > 0 && n == c->path.nunique;
  if (n == max) return;
  c->lower = find_term(c, n, SQLITE_INDEX_CONSTRAINT_GT, SQLITE_INDEX_CONSTRAINT_GE, NO_TERM);
  c->upper = find_term(c, n, SQLITE_INDEX_CONSTRAINT_LT, SQLITE_INDEX_CONSTRAINT_LE, NO_TERM);
  if (c->lower != NO_TERM) {
    c->plan.has_lower = true;
    c->plan.lower_strict = c->info->aConstraint[c->lower].op == SQLITE_INDEX_CONSTRAINT_GT;
    c->lower_value = take_literal(c, c->lower, n++);
  }
  if (c->upper != NO_TERM) {
    c->plan.has_upper = true;
    c->plan.upper_strict = c->info->aConstraint[c->upper].op == SQLITE_INDEX_CONSTRAINT_LT;
    c->upper_value = take_literal(c, c->upper, n);
  }
}

/*------------------------------------------------------------------ order */

/* Does the path at POS order rows as ORDER BY COLUMN does? That comes with the
** column's own collation only. */
static bool orders_by(const choice *c, int column, int pos) {
  return is_column(c, column, pos) &&
         (is_rowid(c, column) ||
          c->path.part[pos].collation == c->v->schema->column[column].collation);
}

/* Does an equality fix COLUMN to one value? Equal by a collation that is not
** the column's own is not the same. */
static bool is_one_value(const choice *c, int column) {
  for (int k = 0; k < c->plan.neq; k++) {
    if (c->fix[k] == FIX_EXACT && orders_by(c, column, k)) return true;
  }
  return false;
}

/* Can the order asked for be had by walking the path, and which way? A column
** that an equality fixes orders nothing and may stand anywhere, or nowhere. One
** that it fixes loosely may be passed over too, but then the ranges must be
** merged by what follows it (plan.merge). One that stood before orders nothing
** more. */
static bool order_fits(choice *c, bool *reverse) {
  int npart = c->path.npart, pos = 0;
  bool known = false, loose_met = false, merge = false;
  *reverse = false;
  for (int i = 0; i < c->info->nOrderBy; i++) {
    int column = c->info->aOrderBy[i].iColumn;
    if (is_one_value(c, column)) continue;
    while (pos < c->plan.neq && c->fix[pos] != FIX_LIST && !orders_by(c, column, pos)) {
      if (c->fix[pos++] == FIX_LOOSE) merge = true;
    }
    while (pos >= c->plan.neq && pos < npart && repeats(&c->path, pos, false)) pos++;
    if (pos == npart) break; /* the path is complete: rows do not tie */
    if (!orders_by(c, column, pos) || lsm_path_is_unsorted(&c->path, pos)) return false;
    if (pos < c->plan.neq && c->fix[pos] == FIX_LOOSE) loose_met = true;
    bool back = (c->info->aOrderBy[i].desc != 0) != c->path.part[pos].desc;
    if (known && back != *reverse) return false;
    *reverse = back;
    known = true;
    pos++;
  }
  /* Merged rows may tie, and only columns after all equalities count in a merge;
  ** entries of a UNIQUE index may have none there. */
  bool alone = c->path.x != NULL && c->path.x->def->unique;
  if (merge && (pos == npart || loose_met || c->list || alone)) return false;
  c->plan.merge = merge;
  return true;
}

/* Do rows that agree in all columns of a DISTINCT stand together along the path?
** Their order and that of the columns does not matter. */
static bool groups_fit(const choice *c) {
  const struct sqlite3_index_orderby *by = c->info->aOrderBy;
  int n = c->info->nOrderBy, left = 0;
  for (int i = 0; i < n; i++) left += !is_one_value(c, by[i].iColumn);
  for (int pos = 0; left > 0 && pos < c->path.npart; pos++) {
    int met = 0;
    for (int i = 0; i < n; i++) {
      met += !is_one_value(c, by[i].iColumn) && orders_by(c, by[i].iColumn, pos) &&
             !repeats(&c->path, pos, false);
    }
    bool fixed = pos < c->plan.neq && c->fix[pos] == FIX_EXACT;
    if (met == 0 && !fixed && !repeats(&c->path, pos, false)) return false;
    left -= met;
  }
  return true;
}

/* What the order is for, as sqlite3_vtab_distinct() tells. */
enum { FOR_ORDER = 0, FOR_DISTINCT = 2 };

static int order_use(sqlite3_index_info *info) {
#if SQLITE_VERSION_NUMBER >= 3038000
  if (lsm_sqlite_has(3038000)) return sqlite3_vtab_distinct(info);
#endif
  (void)info;
  return FOR_ORDER;
}

/*---------------------------------------------------------- LIMIT, OFFSET */

#ifndef SQLITE_INDEX_CONSTRAINT_LIMIT
#define SQLITE_INDEX_CONSTRAINT_LIMIT  73
#define SQLITE_INDEX_CONSTRAINT_OFFSET 74
#endif

/* Does the plan take the term? */
static bool is_taken(const choice *c, int term) {
  for (int i = 0; i < c->plan.neq; i++) {
    if (c->eq[i] == term) return true;
  }
  return term == c->lower || term == c->upper;
}

/* How many rows the query reads at most along this path: it has a LIMIT, all its terms
** are taken (SQLite offers LIMIT only if it offers all terms), and nothing is sorted.
** Less than 0: not known. */
static double rows_wanted(const choice *c) {
  double limit = -1, offset = 0;
  if (c->info->nOrderBy > 0 && !c->ordered) return -1;
  for (int i = 0; i < c->info->nConstraint; i++) {
    int op = c->info->aConstraint[i].op;
    bool is_limit = op == SQLITE_INDEX_CONSTRAINT_LIMIT;
    if (is_limit || op == SQLITE_INDEX_CONSTRAINT_OFFSET) {
      sqlite3_value *value = literal_of(c, i);
      if (value == NULL) return -1;
      *(is_limit ? &limit : &offset) = sqlite3_value_double(value);
    } else if (!is_taken(c, i)) {
      return -1;
    }
  }
  return limit < 0 ? -1 : limit + (offset > 0 ? offset : 0);
}

/* OFFSET can be left to the cursor where SQLite would do nothing else with the rows:
** there are no terms that it would check, and no sort. */
static int find_offset(const choice *c) {
  int offset = NO_TERM;
  if (c->info->nOrderBy > 0 && !c->ordered) return NO_TERM;
  for (int i = 0; i < c->info->nConstraint; i++) {
    int op = c->info->aConstraint[i].op;
    if (op == SQLITE_INDEX_CONSTRAINT_OFFSET && c->info->aConstraint[i].usable) {
      offset = i;
    } else if (op != SQLITE_INDEX_CONSTRAINT_LIMIT) {
      return NO_TERM;
    }
  }
  return offset;
}

/*------------------------------------------------------------------- cost */

/* Says which value of xFilter's argv each term gets. */
static void hand_out_arguments(choice *c) {
  struct sqlite3_index_constraint_usage *usage = c->info->aConstraintUsage;
  int n = 0;
  for (int i = 0; i < c->plan.neq; i++) {
    if (c->fix[i] == FIX_LIST) (void)is_list(c, c->eq[i], 1);
    usage[c->eq[i]].argvIndex = ++n;
  }
  if (c->lower != NO_TERM) usage[c->lower].argvIndex = ++n;
  if (c->upper != NO_TERM) usage[c->upper].argvIndex = ++n;
  if (c->plan.skip) {
    usage[c->offset].argvIndex = ++n;
    usage[c->offset].omit = 1;
  }
}

/* Rows that have N given values in the first columns of an index: SQLite's guess for
** one that was not analyzed. */
static double guess_equal(int n) {
  return n < 6 ? 11 - n : 5;
}

/* What the store says of the terms whose values are known by now, from the first
** column on; *neq and *bounds: how far that goes. Less than 0: nothing. */
static double ask_rows(const choice *c, int *neq, bool *lower, bool *upper) {
  const lsm_scan_plan *p = &c->plan;
  lsm_literal none = {NULL, false};
  for (*neq = 0; *neq < p->neq && c->eq_value[*neq].value != NULL;) ++*neq;
  bool sorted = *neq == p->neq && (*neq == c->path.npart || !lsm_path_is_unsorted(&c->path, *neq));
  *lower = sorted && c->lower_value.value != NULL;
  *upper = sorted && c->upper_value.value != NULL;
  if (!c->sizes->many || (*neq == 0 && !*lower && !*upper)) return -1;
  return lsm_sizes_of_range(c->sizes, &c->path, c->eq_value, *neq, *lower ? c->lower_value : none,
                            *upper ? c->upper_value : none);
}

/* Rows between the first and the last that the path goes to. */
static double rows_of(const choice *c) {
  const lsm_scan_plan *p = &c->plan;
  double all = c->sizes->rows, rows = all;
  int known = 0;
  bool lower = false, upper = false;
  if (p->unique && !p->nulls) {
    rows = 1;
  } else {
    double asked = ask_rows(c, &known, &lower, &upper);
    if (asked >= 0) {
      rows = asked > guess_equal(known + 1) ? asked : guess_equal(known + 1);
    } else {
      known = 0;
      lower = upper = false;
    }
    if (p->neq > known && rows > guess_equal(p->neq)) rows = guess_equal(p->neq);
    if (p->has_lower && !lower) rows /= 4;
    if (p->has_upper && !upper) rows /= 4;
  }
  if (c->list) rows = rows * LIST_VALUES < all / 5 ? rows * LIST_VALUES : all / 5;
  double wanted = rows_wanted(c);
  if (wanted >= 0 && wanted < rows) rows = wanted;
  return rows < 1 ? 1 : rows;
}

/* Sorting is SQLite's and counted there; here only to compare with a path that
** has the order. */
static double cost_of(const choice *c, double rows, bool sorting) {
  double cost = (c->list ? LIST_VALUES : 1) * SEEK_COST + rows * ROW_COST;
  if (c->path.x != NULL && !c->covering) cost += rows * LOOKUP_COST;
  if (sorting && c->info->nOrderBy > 0 && !c->ordered) cost += (rows - 1) * SORT_COST;
  return cost;
}

/* Rows that pass the terms that the path does not take: SQLite's own guess, a quarter, if
** there is an equality with something known. (Join terms are no part of it: they would be
** counted in whatever order the tables are joined.) */
static double rows_left(const choice *c, double rows) {
  for (int i = 0; i < c->info->nConstraint; i++) {
    const struct sqlite3_index_constraint *t = &c->info->aConstraint[i];
    bool equal = t->op == SQLITE_INDEX_CONSTRAINT_EQ || t->op == SQLITE_INDEX_CONSTRAINT_IS;
    if (equal && t->usable && !is_taken(c, i) && literal_of(c, i) != NULL) {
      return rows < 4 ? 1 : rows / 4;
    }
  }
  return rows;
}

/* Are all columns that are asked for in the entries? */
static bool is_covering(const choice *c) {
  const lsm_schema *s = c->v->schema;
  if (c->path.x == NULL) return false;
  const lsm_column *entry = c->path.x->def->entry->column;
  for (int i = 0; i < s->ncolumn; i++) {
    bool used = (c->info->colUsed >> (i < 63 ? i : 63) & 1) != 0;
    if (used && entry[i].key_pos < 0 && s->column[i].key_pos < 0) return false;
  }
  return true;
}

/* The best that the path can do. */
static void plan_path(choice *c, lsm_sizes *sizes, sqlite3_index_info *info, int index) {
  memset(c, 0, sizeof(*c));
  c->v = sizes->v;
  c->info = info;
  c->sizes = sizes;
  c->path = lsm_plan_path(c->v, index);
  c->plan.index = index;
  choose_terms(c);
  c->covering = is_covering(c);
  bool reverse;
  if (info->nOrderBy > 0 && order_fits(c, &reverse)) {
    c->ordered = true;
    c->plan.reverse = reverse;
  } else if (info->nOrderBy > 0 && order_use(info) == FOR_DISTINCT) {
    c->ordered = groups_fit(c);
  }
  c->offset = find_offset(c);
  c->plan.skip = c->offset != NO_TERM;
  c->rows = rows_of(c);
}

/*------------------------------------------------------------------ words */

/* Name of a path's column for people. */
static const char *column_name(const choice *c, int pos) {
  int column = c->path.part[pos].column;
  return column < 0 ? "rowid" : c->v->schema->column[column].name;
}

static void describe_path(const choice *c, sqlite3_str *str) {
  if (c->path.x == NULL) {
    sqlite3_str_appendall(str, c->path.rowids ? "ROWID" : "PRIMARY KEY");
    return;
  }
  const lsm_index *def = c->path.x->def;
  if (c->covering) sqlite3_str_appendall(str, "COVERING ");
  if (def->name != NULL) {
    sqlite3_str_appendf(str, "INDEX %s", def->name);
    return;
  }
  sqlite3_str_appendall(str, "UNIQUE(");
  for (int i = 0; i < def->npart; i++) {
    sqlite3_str_appendf(str, "%s%s", i > 0 ? ", " : "", column_name(c, i));
  }
  sqlite3_str_appendall(str, ")");
}

/* "PRIMARY KEY (a=? AND b>?) DESC", in the words SQLite has for its own. */
static char *describe(const choice *c) {
  const lsm_scan_plan *p = &c->plan;
  sqlite3_str *str = sqlite3_str_new(c->v->conn->db);
  const char *sep = "";
  describe_path(c, str);
  if (p->neq > 0 || p->has_lower || p->has_upper) sqlite3_str_appendall(str, " (");
  for (int i = 0; i < p->neq; i++) {
    sqlite3_str_appendf(str, "%s%s=?", sep, column_name(c, i));
    sep = " AND ";
  }
  if (p->has_lower) {
    sqlite3_str_appendf(str, "%s%s%s?", sep, column_name(c, p->neq), p->lower_strict ? ">" : ">=");
    sep = " AND ";
  }
  if (p->has_upper) {
    sqlite3_str_appendf(str, "%s%s%s?", sep, column_name(c, p->neq), p->upper_strict ? "<" : "<=");
  }
  if (p->neq > 0 || p->has_lower || p->has_upper) sqlite3_str_appendall(str, ")");
  if (p->reverse) sqlite3_str_appendall(str, " DESC");
  if (p->skip) sqlite3_str_appendall(str, " OFFSET ?");
  return sqlite3_str_finish(str);
}

static bool has_terms(const choice *c) {
  return c->plan.neq > 0 || c->plan.has_lower || c->plan.has_upper;
}

/* The cheaper one; but where a term can be used the table is not scanned for want of
** it, however much of the table that is (unless the scan is in order). */
static bool is_better(const choice *a, const choice *b) {
  if (has_terms(a) != has_terms(b) && a->ordered == b->ordered) return has_terms(a);
  return cost_of(a, a->rows, true) < cost_of(b, b->rows, true);
}

/* UPDATE asks for all columns, also for those that the table does not have. */
static bool is_update(const choice *c) {
  return c->v->schema->ncolumn < 63 && c->info->colUsed == ~(sqlite3_uint64)0;
}

/* Says that there is one row at most: then UPDATE and DELETE change it while they read,
** with no table in between. (In a join the table may also be left out for it.) UPDATE is
** told so of a number, too, that may find texts: when it does, which is rare, xFilter
** has the statement compiled anew. */
static void promise_one_row(choice *c) {
  if (!c->plan.unique || c->plan.nulls) return;
  c->plan.single = !c->exact && !c->list && !c->v->several_met && is_update(c);
  if (c->exact || c->plan.single) c->info->idxFlags |= SQLITE_INDEX_SCAN_UNIQUE;
}

int lsm_vtab_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  lsm_sizes sizes;
  choice best, c;
  lsm_sizes_open(&sizes, (lsm_vtab *)vtab);
  plan_path(&best, &sizes, info, 0);
  for (int n = 1; n <= sizes.v->nindex; n++) {
    plan_path(&c, &sizes, info, n);
    if (is_better(&c, &best)) best = c;
  }
  info->orderByConsumed = best.ordered;
  hand_out_arguments(&best);
  info->estimatedRows = (sqlite3_int64)rows_left(&best, best.rows);
  info->estimatedCost = cost_of(&best, best.rows, false);
  promise_one_row(&best);
  info->idxNum = pack(&best.plan);
  info->idxStr = describe(&best);
  info->needToFreeIdxStr = 1;
  lsm_sizes_close(&sizes);
  return info->idxStr == NULL ? SQLITE_NOMEM : SQLITE_OK;
}
