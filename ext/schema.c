/* schema.c: the module's arguments as an lsm_schema.
**
** The arguments come in any order: the first pass reads column definitions,
** the second table constraints and options, which name columns; then finish()
** settles what needs all of them (kind of key, defaults, positions).
** Owns   one list of chunks per schema, freed together; SQLite's copies of
**        default values.
** Errors the parser keeps the first one and goes quiet: every function may be
**        called after a failure and does nothing then. */
#include "schema.h"

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3

#include <stdarg.h>

#include "err.h"
#include "schema_parser.h"

/*--------------------------------------------------------- parser's basics */

struct lsm_chunk {
  struct lsm_chunk *next;
  _Alignas(16) unsigned char bytes[];
};

void lsm_parser_fail(lsm_parser *ps, const char *fmt, ...) {
  if (ps->rc != SQLITE_OK) return;
  va_list ap;
  va_start(ap, fmt);
  ps->err = sqlite3_vmprintf(fmt, ap);
  va_end(ap);
  ps->rc = ps->err == NULL ? SQLITE_NOMEM : SQLITE_ERROR;
}

void *lsm_parser_alloc(lsm_parser *ps, size_t n) {
  if (ps->rc != SQLITE_OK) return NULL;
  struct lsm_chunk *chunk = lsm_calloc(sizeof *chunk + n);
  if (chunk == NULL) {
    ps->rc = SQLITE_NOMEM;
    return NULL;
  }
  chunk->next = ps->schema->chunks;
  ps->schema->chunks = chunk;
  return chunk->bytes;
}

static char *copy_text(lsm_parser *ps, const char *text, size_t n) {
  char *copy = lsm_parser_alloc(ps, n + 1);
  if (copy != NULL) memcpy(copy, text, n);
  return copy;
}

void lsm_parser_next(lsm_parser *ps) {
  ps->t = lsm_token_at(ps->t.text + ps->t.size);
}

/* In SQLite's words, and where. */
void lsm_parser_syntax(lsm_parser *ps) {
  if (ps->t.kind == LSM_TK_END) {
    lsm_parser_fail(ps, "incomplete definition: %.100s", ps->arg);
  } else {
    lsm_parser_fail(ps, "near \"%.*s\": syntax error in: %.100s",
                    (int)(ps->t.size > 40 ? 40 : ps->t.size), ps->t.text, ps->arg);
  }
}

bool lsm_parser_accept_word(lsm_parser *ps, const char *word) {
  if (ps->rc != SQLITE_OK || !lsm_token_is_word(&ps->t, word)) return false;
  lsm_parser_next(ps);
  return true;
}

bool lsm_parser_accept(lsm_parser *ps, char c) {
  if (ps->rc != SQLITE_OK || !lsm_token_is_punct(&ps->t, c)) return false;
  lsm_parser_next(ps);
  return true;
}

static void expect_word(lsm_parser *ps, const char *word) {
  if (!lsm_parser_accept_word(ps, word)) lsm_parser_syntax(ps);
}

static void expect(lsm_parser *ps, char c) {
  if (!lsm_parser_accept(ps, c)) lsm_parser_syntax(ps);
}

static void expect_end(lsm_parser *ps) {
  if (ps->t.kind != LSM_TK_END) lsm_parser_syntax(ps);
}

char *lsm_parser_unquote(lsm_parser *ps) {
  char *out = lsm_parser_alloc(ps, ps->t.size + 1);
  if (out != NULL) lsm_token_unquote(&ps->t, out);
  lsm_parser_next(ps);
  return out;
}

static char *parse_name(lsm_parser *ps) {
  if (!lsm_token_is_name(&ps->t)) lsm_parser_syntax(ps);
  return lsm_parser_unquote(ps);
}

/*---------------------------------------------------------------- columns */

/* A conflict clause other than the default would have to be obeyed, and SQLite
** does not tell a module which statement says otherwise. */
static void parse_conflict(lsm_parser *ps, const char *column) {
  if (!lsm_parser_accept_word(ps, "ON")) return;
  expect_word(ps, "CONFLICT");
  if (lsm_parser_accept_word(ps, "ABORT")) return;
  lsm_parser_fail(ps, "\"%s\": ON CONFLICT is not supported in a definition; write INSERT OR ...",
                  column);
}

/* A word that starts a column constraint cannot be part of a type. */
static bool ends_type(const lsm_token *t) {
  static const char *const words[] = {
      "CONSTRAINT", "PRIMARY",    "NOT", "NULL",      "UNIQUE",     "CHECK", "DEFAULT",
      "COLLATE",    "REFERENCES", "AS",  "GENERATED", "DEFERRABLE", "ON",    "AUTOINCREMENT"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (lsm_token_is_word(t, words[i])) return true;
  }
  return false;
}

/* SQLite would hide a column whose type has this word, wherever it stands. */
static bool says_hidden(const char *type) {
  for (const char *p = type; *p != '\0'; p++) {
    if (sqlite3_strnicmp(p, "hidden", 6) != 0) continue;
    if ((p == type || p[-1] == ' ') && (p[6] == '\0' || p[6] == ' ')) return true;
  }
  return false;
}

/* TYPE, which begins with the token FIRST, as SQLite sees it: when that has
** quotes, it alone and without them. */
static char *plain_type(lsm_parser *ps, const lsm_token *first, char *type) {
  if (first->kind != LSM_TK_QUOTED && first->kind != LSM_TK_STRING) return type;
  char *plain = lsm_parser_alloc(ps, first->size + 1);
  if (plain == NULL) return type;
  lsm_token_unquote(first, plain);
  return plain;
}

/* Appends the current token to a type, with a space between words only. */
static void add_to_type(lsm_parser *ps, char *type, size_t *n) {
  bool word = lsm_token_is_name(&ps->t);
  if (word && *n > 0) type[(*n)++] = ' ';
  memcpy(type + *n, ps->t.text, ps->t.size);
  *n += ps->t.size;
  lsm_parser_next(ps);
}

static void parse_type(lsm_parser *ps, lsm_column *col) {
  lsm_token first = ps->t;
  char *type = lsm_parser_alloc(ps, 2 * strlen(ps->t.text) + 1);
  size_t n = 0;
  if (type == NULL) return;
  while (lsm_token_is_name(&ps->t) && !ends_type(&ps->t)) add_to_type(ps, type, &n);
  if (n > 0 && lsm_token_is_punct(&ps->t, '(')) {
    do {
      add_to_type(ps, type, &n); /* ( or , */
      if (lsm_token_is_punct(&ps->t, '+') || lsm_token_is_punct(&ps->t, '-')) {
        add_to_type(ps, type, &n);
      }
      if (ps->t.kind != LSM_TK_NUMBER) {
        lsm_parser_syntax(ps);
        return;
      }
      add_to_type(ps, type, &n);
    } while (lsm_token_is_punct(&ps->t, ','));
    if (!lsm_token_is_punct(&ps->t, ')')) {
      lsm_parser_syntax(ps);
      return;
    }
    add_to_type(ps, type, &n);
  }
  char *plain = plain_type(ps, &first, type);
  bool whole = plain != type && n == first.size; /* nothing follows the quotes */
  col->type = whole && sqlite3_stricmp(plain, "INTEGER") == 0 ? plain : type;
  col->affinity = n > 0 && *plain == '\0' ? LSM_AFF_NUMERIC : lsm_affinity_of_type(plain);
  if (says_hidden(plain)) lsm_parser_fail(ps, "column \"%s\": HIDDEN is not supported", col->name);
}

static lsm_collation parse_collation(lsm_parser *ps) {
  char *name = parse_name(ps);
  if (name == NULL) return LSM_COLL_BINARY;
  if (sqlite3_stricmp(name, "BINARY") == 0) return LSM_COLL_BINARY;
  if (sqlite3_stricmp(name, "NOCASE") == 0) return LSM_COLL_NOCASE;
  if (sqlite3_stricmp(name, "RTRIM") == 0) return LSM_COLL_RTRIM;
  lsm_parser_fail(ps, "collation \"%s\" is not supported: use BINARY, NOCASE or RTRIM", name);
  return LSM_COLL_BINARY;
}

static bool is_clock(const lsm_token *t) {
  return lsm_token_is_word(t, "CURRENT_TIME") || lsm_token_is_word(t, "CURRENT_DATE") ||
         lsm_token_is_word(t, "CURRENT_TIMESTAMP");
}

/* Any other bare or quoted name is a string in this place, as in SQLite. */
static char *name_as_literal(lsm_parser *ps) {
  char *word = lsm_parser_unquote(ps);
  size_t n = word == NULL ? 0 : 2 * strlen(word) + 3;
  char *quoted = lsm_parser_alloc(ps, n);
  if (quoted != NULL) sqlite3_snprintf((int)n, quoted, "%Q", word);
  return quoted;
}

/* The literal as SQL text for eval_default(); NULL after NULL or an error. */
static char *parse_literal(lsm_parser *ps, const lsm_column *col) {
  const char *start = ps->t.text;
  bool sign = lsm_parser_accept(ps, '-') || lsm_parser_accept(ps, '+');
  lsm_token t = ps->t;
  bool name = !sign && (t.kind == LSM_TK_WORD || t.kind == LSM_TK_QUOTED);
  bool text = !sign && (t.kind == LSM_TK_STRING || t.kind == LSM_TK_BLOB);
  if (is_clock(&t) || !(name || text || t.kind == LSM_TK_NUMBER)) {
    lsm_parser_fail(ps, "column \"%s\": DEFAULT takes a literal only, not: %.40s", col->name,
                    start);
    return NULL;
  }
  bool keyword = lsm_token_is_word(&t, "TRUE") || lsm_token_is_word(&t, "FALSE");
  if (name && !keyword && !lsm_token_is_word(&t, "NULL")) return name_as_literal(ps);
  lsm_parser_next(ps);
  if (name && !keyword) return NULL;
  return copy_text(ps, start, (size_t)(t.text + t.size - start));
}

static char *parse_default(lsm_parser *ps, const lsm_column *col) {
  int open = 0;
  while (lsm_parser_accept(ps, '(')) open++;
  char *literal = parse_literal(ps, col);
  while (open-- > 0) expect(ps, ')');
  return literal;
}

static void refuse(lsm_parser *ps, const lsm_column *col, const char *what) {
  lsm_parser_fail(ps, "column \"%s\": %s not supported", col->name, what);
}

static void declare_primary_key(lsm_parser *ps) {
  if (ps->has_pk) {
    lsm_parser_fail(ps, "table \"%s\" has more than one primary key", ps->schema->table);
  }
  ps->has_pk = true;
}

static void parse_column_key(lsm_parser *ps, lsm_column *col) {
  expect_word(ps, "KEY");
  if (ps->adding) lsm_parser_fail(ps, "Cannot add a PRIMARY KEY column");
  declare_primary_key(ps);
  ps->pk_of_column = true;
  ps->pk_column = (int)(col - ps->schema->column);
  if (!lsm_parser_accept_word(ps, "ASC")) ps->pk_desc = lsm_parser_accept_word(ps, "DESC");
  parse_conflict(ps, col->name);
  if (lsm_parser_accept_word(ps, "AUTOINCREMENT")) refuse(ps, col, "AUTOINCREMENT is");
}

/* One constraint; false when there is none at this place. */
static bool parse_column_constraint(lsm_parser *ps, lsm_column *col, lsm_column_extra *extra) {
  if (lsm_parser_accept_word(ps, "CONSTRAINT")) {
    parse_name(ps);
  } else if (lsm_parser_accept_word(ps, "PRIMARY")) {
    parse_column_key(ps, col);
  } else if (lsm_parser_accept_word(ps, "NOT")) {
    if (lsm_parser_accept_word(ps, "DEFERRABLE")) {
      refuse(ps, col, "foreign keys (REFERENCES) are");
    }
    expect_word(ps, "NULL");
    col->not_null = true;
    parse_conflict(ps, col->name);
  } else if (lsm_parser_accept_word(ps, "NULL")) {
    parse_conflict(ps, col->name);
  } else if (lsm_parser_accept_word(ps, "UNIQUE")) {
    if (ps->adding) lsm_parser_fail(ps, "Cannot add a UNIQUE column");
    extra->unique = true;
    parse_conflict(ps, col->name);
  } else if (lsm_parser_accept_word(ps, "COLLATE")) {
    col->collation = parse_collation(ps);
  } else if (lsm_parser_accept_word(ps, "DEFAULT")) {
    extra->default_sql = parse_default(ps, col);
  } else if (lsm_parser_accept_word(ps, "CHECK")) {
    refuse(ps, col, "CHECK constraints are");
  } else if (lsm_parser_accept_word(ps, "REFERENCES") || lsm_parser_accept_word(ps, "DEFERRABLE")) {
    refuse(ps, col, "foreign keys (REFERENCES) are");
  } else if (lsm_parser_accept_word(ps, "GENERATED") || lsm_parser_accept_word(ps, "AS")) {
    refuse(ps, col, "generated columns are");
  } else if (lsm_parser_accept_word(ps, "AUTOINCREMENT")) {
    refuse(ps, col, "AUTOINCREMENT is");
  } else {
    return false;
  }
  return ps->rc == SQLITE_OK;
}

static void parse_column(lsm_parser *ps) {
  lsm_schema *s = ps->schema;
  lsm_column *col = &s->column[s->ncolumn];
  col->name = parse_name(ps);
  if (col->name == NULL || ps->rc != SQLITE_OK) return;
  if (lsm_schema_find_column(s, col->name) >= 0) {
    lsm_parser_fail(ps, "duplicate column name: %s", col->name);
    return;
  }
  s->ncolumn++;
  parse_type(ps, col);
  while (parse_column_constraint(ps, col, &ps->extra[s->ncolumn - 1])) {
  }
  expect_end(ps);
}

/*------------------------------------------------------ table constraints */

static bool has_part(const lsm_key_part *part, int n, const lsm_key_part *p) {
  for (int i = 0; i < n; i++) {
    if (part[i].column == p->column && part[i].collation == p->collation) return true;
  }
  return false;
}

static void parse_part(lsm_parser *ps, lsm_key_part *part) {
  if (!lsm_token_is_name(&ps->t)) {
    lsm_parser_fail(ps, "expressions prohibited in PRIMARY KEY, UNIQUE and INDEX: %.100s", ps->arg);
    return;
  }
  char *name = parse_name(ps);
  if (name == NULL) return;
  part->column = lsm_schema_find_column(ps->schema, name);
  if (part->column < 0) {
    lsm_parser_fail(ps, "no such column: %s", name);
    return;
  }
  const lsm_column *col = &ps->schema->column[part->column];
  part->affinity = col->affinity;
  part->collation = lsm_parser_accept_word(ps, "COLLATE") ? parse_collation(ps) : col->collation;
  if (!lsm_parser_accept_word(ps, "ASC")) part->desc = lsm_parser_accept_word(ps, "DESC");
  if (lsm_parser_accept_word(ps, "AUTOINCREMENT")) refuse(ps, col, "AUTOINCREMENT is");
}

/* (a, b COLLATE x, c DESC). A column said twice counts once, as in SQLite. */
static lsm_key_part *parse_parts(lsm_parser *ps, int *npart) {
  size_t max = 1;
  for (const char *p = ps->t.text; *p != '\0'; p++) max += *p == ',';
  lsm_key_part *part = lsm_parser_alloc(ps, max * sizeof *part);
  *npart = 0;
  expect(ps, '(');
  do {
    lsm_key_part p = {0, LSM_AFF_BLOB, LSM_COLL_BINARY, false};
    parse_part(ps, &p);
    if (ps->rc != SQLITE_OK) return NULL;
    if (!has_part(part, *npart, &p)) part[(*npart)++] = p;
  } while (lsm_parser_accept(ps, ','));
  expect(ps, ')');
  return part;
}

static void add_index(lsm_parser *ps, char *name, bool unique, lsm_key_part *part, int npart) {
  lsm_schema *s = ps->schema;
  if (ps->rc != SQLITE_OK) return;
  for (int i = 0; i < s->nindex && name != NULL; i++) {
    if (s->index[i].name != NULL && sqlite3_stricmp(s->index[i].name, name) == 0) {
      lsm_parser_fail(ps, "index %s already exists", name);
      return;
    }
  }
  lsm_index *x = &s->index[s->nindex++];
  x->name = name;
  x->unique = unique;
  x->part = part;
  x->npart = npart;
}

static void parse_table_constraint(lsm_parser *ps) {
  lsm_schema *s = ps->schema;
  char *name = lsm_parser_accept_word(ps, "CONSTRAINT") ? parse_name(ps) : NULL;
  int npart = 0;
  if (lsm_parser_accept_word(ps, "PRIMARY")) {
    expect_word(ps, "KEY");
    declare_primary_key(ps);
    s->key_rank = s->nindex;
    ps->pk = parse_parts(ps, &ps->npk);
    parse_conflict(ps, "PRIMARY KEY");
  } else if (lsm_parser_accept_word(ps, "UNIQUE")) {
    lsm_key_part *part = parse_parts(ps, &npart);
    parse_conflict(ps, "UNIQUE");
    add_index(ps, name, true, part, npart);
  } else if (name == NULL && lsm_parser_accept_word(ps, "INDEX")) {
    name = parse_name(ps);
    lsm_key_part *part = parse_parts(ps, &npart);
    add_index(ps, name, false, part, npart);
  } else if (lsm_parser_accept_word(ps, "CHECK")) {
    lsm_parser_fail(ps, "table \"%s\": CHECK constraints are not supported: %.100s", s->table,
                    ps->arg);
  } else if (lsm_parser_accept_word(ps, "FOREIGN")) {
    lsm_parser_fail(ps, "table \"%s\": foreign keys are not supported: %.100s", s->table, ps->arg);
  }
  expect_end(ps);
}

static void start_arg(lsm_parser *ps, const char *arg) {
  ps->arg = arg;
  ps->t = lsm_token_at(arg);
}

/* Index NUMBER, which was made after the table. */
static void add_later_index(lsm_parser *ps, const char *definition, int number) {
  lsm_schema *s = ps->schema;
  int npart = 0;
  if (definition == NULL || ps->rc != SQLITE_OK) return;
  start_arg(ps, definition);
  if (number < s->ndefined || !lsm_parser_accept_word(ps, "INDEX")) {
    lsm_parser_fail(ps, "index %d cannot be: %.100s", number, definition);
    return;
  }
  char *name = parse_name(ps);
  lsm_key_part *part = parse_parts(ps, &npart);
  expect_end(ps);
  add_index(ps, name, false, part, npart);
  if (ps->rc == SQLITE_OK) s->index[s->nindex - 1].number = number;
}

/*----------------------------------------------------------------- finish */

/* The value of the literal, by SQLite itself: its numbers, its affinity. */
static void eval_default(lsm_parser *ps, lsm_column *col, const char *literal) {
  sqlite3_stmt *stmt = NULL;
  sqlite3_value *value = NULL, *hold = NULL;
  char *sql = sqlite3_mprintf("SELECT %s", literal);
  int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(ps->db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK) {
    rc = sqlite3_step(stmt);
    rc = rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_ERROR : rc;
  }
  if (rc == SQLITE_OK) {
    value = sqlite3_value_dup(sqlite3_column_value(stmt, 0));
    if (value == NULL || lsm_value_load(value, col->affinity, &col->deflt, &hold) != LSM_OK) {
      rc = SQLITE_NOMEM;
    }
  }
  if (rc == SQLITE_NOMEM) {
    if (ps->rc == SQLITE_OK) ps->rc = SQLITE_NOMEM;
  } else if (rc != SQLITE_OK) {
    lsm_parser_fail(ps, "column \"%s\": DEFAULT %s: %s", col->name, literal,
                    lsm_sql_message(ps->db, rc));
  }
  col->has_default = rc == SQLITE_OK && col->deflt.type != SQLITE_NULL;
  col->hold = hold != NULL ? hold : value; /* load: hold has a copy, else it borrows */
  if (hold != NULL) sqlite3_value_free(value);
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
}

static void finish_defaults(lsm_parser *ps) {
  lsm_schema *s = ps->schema;
  for (int i = 0; i < s->ncolumn; i++) {
    lsm_column *col = &s->column[i];
    /* a rowid that is not given is a new one, whatever the default says */
    if (ps->extra[i].default_sql == NULL || i == s->alias_column) continue;
    if (!col->not_null && i < ps->first_added) {
      lsm_parser_fail(ps,
                      "column \"%s\": DEFAULT is supported with NOT NULL only, because SQLite "
                      "passes an omitted value to the module as NULL",
                      col->name);
    }
    if (ps->rc == SQLITE_OK) eval_default(ps, col, ps->extra[i].default_sql);
  }
}

static lsm_key_part *part_of_column(lsm_parser *ps, int column, bool desc) {
  lsm_key_part *part = lsm_parser_alloc(ps, sizeof *part);
  if (part == NULL) return NULL;
  part->column = column;
  part->affinity = ps->schema->column[column].affinity;
  part->collation = ps->schema->column[column].collation;
  part->desc = desc;
  return part;
}

/* As SQLite: the type must be INTEGER to the letter; "PRIMARY KEY DESC" at the
** column is by an old mistake not the rowid, PRIMARY KEY(a DESC) is. */
static bool is_rowid_alias(const lsm_parser *ps) {
  return ps->npk == 1 &&
         sqlite3_stricmp(ps->schema->column[ps->pk[0].column].type, "INTEGER") == 0 &&
         !(ps->pk_of_column && ps->pk_desc);
}

static void finish_key(lsm_parser *ps) {
  lsm_schema *s = ps->schema;
  s->alias_column = -1;
  for (int i = 0; i < s->ncolumn; i++) s->column[i].key_pos = -1;
  if (ps->pk_of_column && ps->rc == SQLITE_OK) {
    ps->pk = part_of_column(ps, ps->pk_column, ps->pk_desc);
    ps->npk = 1;
  }
  if (ps->rc != SQLITE_OK || !ps->has_pk) return;
  if (is_rowid_alias(ps)) {
    s->kind = LSM_KEY_ROWID_ALIAS;
    s->alias_column = ps->pk[0].column;
    s->column[s->alias_column].key_pos = 0;
    return;
  }
  s->kind = LSM_KEY_COLUMNS;
  s->key = ps->pk;
  s->nkey = ps->npk;
  for (int i = s->nkey - 1; i >= 0; i--) { /* backwards: the first place wins */
    s->column[s->key[i].column].key_pos = i;
    s->column[s->key[i].column].not_null = true;
  }
  /* SQLite takes a declared key to be unique by the column's own collation. */
  if (s->nkey == 1 && s->key[0].collation == s->column[s->key[0].column].collation) return;
  size_t n = strlen("lsm_key");
  s->key_column = lsm_parser_alloc(ps, n + (size_t)s->ncolumn + 1);
  if (s->key_column == NULL) return;
  memcpy(s->key_column, "lsm_key", n);
  while (lsm_schema_find_column(s, s->key_column) >= 0) s->key_column[n++] = '_';
}

static bool same_parts(const lsm_key_part *a, int na, const lsm_key_part *b, int nb) {
  if (na != nb) return false;
  for (int i = 0; i < na; i++) {
    if (a[i].column != b[i].column || a[i].collation != b[i].collation) return false;
  }
  return true;
}

/* A UNIQUE that repeats the primary key, or one before it, needs no index. */
static bool repeats(const lsm_schema *s, const lsm_index *x) {
  if (!x->unique) return false;
  if (s->alias_column >= 0 && x->npart == 1 && x->part[0].column == s->alias_column) return true;
  if (same_parts(s->key, s->nkey, x->part, x->npart)) return true;
  for (int i = 0; i < s->nindex; i++) { /* those kept so far */
    const lsm_index *y = &s->index[i];
    if (y->unique && same_parts(y->part, y->npart, x->part, x->npart)) return true;
  }
  return false;
}

/* A column's UNIQUE comes before those of the table. */
static void add_column_indexes(lsm_parser *ps) {
  for (int i = 0; i < ps->schema->ncolumn && ps->rc == SQLITE_OK; i++) {
    if (ps->pk_of_column && ps->pk_column == i) ps->schema->key_rank = ps->schema->nindex;
    if (ps->extra[i].unique) add_index(ps, NULL, true, part_of_column(ps, i, false), 1);
  }
}

/* What an entry's key is made of, and how to read it. */
static void finish_entry(lsm_parser *ps, lsm_index *x) {
  const lsm_schema *s = ps->schema;
  int nkey = s->kind == LSM_KEY_COLUMNS ? s->nkey : 1;
  size_t ncolumn = (size_t)s->ncolumn;
  x->nall = x->npart + nkey;
  x->all = lsm_parser_alloc(ps, (size_t)x->nall * sizeof *x->all);
  x->entry = lsm_parser_alloc(ps, sizeof *x->entry);
  lsm_column *column = lsm_parser_alloc(ps, ncolumn * sizeof *column);
  if (column == NULL) return;
  memcpy(x->all, x->part, (size_t)x->npart * sizeof *x->all);
  if (s->kind == LSM_KEY_COLUMNS) {
    memcpy(x->all + x->npart, s->key, (size_t)nkey * sizeof *x->all);
  } else {
    x->all[x->npart] = s->rowid;
  }
  memcpy(column, s->column, ncolumn * sizeof *column);
  for (size_t i = 0; i < ncolumn; i++) column[i].key_pos = column[i].stored_pos = -1;
  for (int i = x->npart - 1; i >= 0; i--) column[x->part[i].column].key_pos = i;
  x->entry->table = s->table;
  x->entry->column = column;
  x->entry->ncolumn = s->ncolumn;
  x->entry->kind = LSM_KEY_COLUMNS;
  x->entry->alias_column = -1;
  x->entry->key = x->part;
  x->entry->nkey = x->npart;
}

/* Index X of the definition gets its number; false: it is none, or dropped since. */
static bool number_index(lsm_parser *ps, lsm_index *x, const lsm_additions *more) {
  if (repeats(ps->schema, x)) return false;
  x->number = ps->schema->ndefined++;
  if (more == NULL || x->number >= LSM_MAX_INDEXES || !more->dropped[x->number]) return true;
  if (x->unique) lsm_parser_fail(ps, "index %d is UNIQUE and cannot have been dropped", x->number);
  return false;
}

static void finish_indexes(lsm_parser *ps, const lsm_additions *more) {
  lsm_schema *s = ps->schema;
  if (ps->rc != SQLITE_OK) return;
  int kept = 0, n = s->nindex, rank = s->key_rank;
  for (int i = 0; i < n; i++) {
    s->nindex = kept;
    bool keep = number_index(ps, &s->index[i], more);
    if (!keep && i < rank) s->key_rank--;
    if (keep) s->index[kept++] = s->index[i];
  }
  s->nindex = kept;
  for (int i = 0; more != NULL && i < LSM_MAX_INDEXES; i++) add_later_index(ps, more->index[i], i);
  for (int i = 0; i < s->nindex && ps->rc == SQLITE_OK; i++) finish_entry(ps, &s->index[i]);
}

static void finish(lsm_parser *ps, const lsm_additions *more) {
  lsm_schema *s = ps->schema;
  finish_key(ps);
  s->rowid = (lsm_key_part){s->alias_column, LSM_AFF_INTEGER, LSM_COLL_BINARY, false};
  finish_defaults(ps);
  s->affinity = lsm_parser_alloc(ps, (size_t)s->ncolumn * sizeof *s->affinity);
  if (s->affinity == NULL) return;
  for (int i = 0; i < s->ncolumn; i++) {
    lsm_column *col = &s->column[i];
    s->affinity[i] = col->affinity;
    col->stored_pos = col->key_pos >= 0 ? -1 : s->nstored++;
  }
  finish_indexes(ps, more);
}

/*------------------------------------------------------------------ passes */

typedef enum clause { CLAUSE_COLUMN, CLAUSE_CONSTRAINT, CLAUSE_OPTION } clause;

static clause clause_of(const lsm_token *first) {
  static const char *const words[] = {"CONSTRAINT", "PRIMARY", "UNIQUE",
                                      "CHECK",      "FOREIGN", "INDEX"};
  lsm_token second = lsm_token_at(first->text + first->size);
  if (lsm_token_is_name(first) && lsm_token_is_punct(&second, '=')) return CLAUSE_OPTION;
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (lsm_token_is_word(first, words[i])) return CLAUSE_CONSTRAINT;
  }
  return CLAUSE_COLUMN;
}

static void parse_args(lsm_parser *ps, int argc, const char *const *argv, bool columns) {
  for (int i = 0; i < argc && ps->rc == SQLITE_OK; i++) {
    start_arg(ps, argv[i]);
    clause c = clause_of(&ps->t);
    if (ps->t.kind == LSM_TK_END && argc == 1) return; /* lsm() */
    if (c == CLAUSE_COLUMN && columns) {
      parse_column(ps);
    } else if (c == CLAUSE_CONSTRAINT && !columns) {
      parse_table_constraint(ps);
    } else if (c == CLAUSE_OPTION && !columns) {
      lsm_parser_option(ps);
      expect_end(ps);
    }
  }
}

static bool only_options(int argc, const char *const *argv) {
  for (int i = 0; i < argc; i++) {
    lsm_token t = lsm_token_at(argv[i]);
    if (clause_of(&t) != CLAUSE_OPTION && !(argc == 1 && t.kind == LSM_TK_END)) return false;
  }
  return true;
}

/* Columns that were added after the table was made. */
static void parse_added_columns(lsm_parser *ps, const lsm_additions *more) {
  ps->first_added = ps->schema->ncolumn;
  ps->adding = true;
  for (int i = 0; more != NULL && i < more->ncolumn && ps->rc == SQLITE_OK; i++) {
    start_arg(ps, more->column[i]);
    if (clause_of(&ps->t) != CLAUSE_COLUMN) {
      lsm_parser_syntax(ps);
    } else {
      parse_column(ps);
    }
  }
  ps->adding = false;
}

static void parse_all(lsm_parser *ps, int argc, const char *const *argv,
                      const lsm_additions *more) {
  static const char *const kv[] = {"key PRIMARY KEY", "value"};
  lsm_schema *s = ps->schema;
  size_t max = (size_t)argc + 2;
  if (more != NULL) max += (size_t)more->ncolumn + LSM_MAX_INDEXES;
  s->column = lsm_parser_alloc(ps, max * sizeof *s->column);
  s->index = lsm_parser_alloc(ps, 2 * max * sizeof *s->index);
  ps->extra = lsm_parser_alloc(ps, max * sizeof *ps->extra);
  s->opt.ttl_column = -1;
  if (only_options(argc, argv)) parse_args(ps, 2, kv, true);
  parse_args(ps, argc, argv, true);
  parse_added_columns(ps, more);
  add_column_indexes(ps);
  parse_args(ps, argc, argv, false);
  if (ps->rc == SQLITE_OK && s->ncolumn == 0) {
    lsm_parser_fail(ps, "table \"%s\" has no columns", s->table);
  }
  lsm_parser_finish_options(ps);
  if (ps->rc == SQLITE_OK) finish(ps, more);
}

/*----------------------------------------------------------------- public */

int lsm_schema_parse(sqlite3 *db, int argc, const char *const *argv, lsm_schema **schema,
                     char **err) {
  return lsm_schema_parse_more(db, argc, argv, NULL, schema, err);
}

int lsm_schema_parse_more(sqlite3 *db, int argc, const char *const *argv,
                          const lsm_additions *more, lsm_schema **schema, char **err) {
  lsm_parser ps = {.db = db, .rc = SQLITE_OK};
  *schema = NULL;
  *err = NULL;
  ps.schema = lsm_calloc(sizeof *ps.schema);
  if (ps.schema == NULL) return SQLITE_NOMEM;
  ps.schema->table = copy_text(&ps, argv[2], strlen(argv[2]));
  if (ps.rc == SQLITE_OK) parse_all(&ps, argc - 3, argv + 3, more);
  if (ps.rc == SQLITE_OK) {
    *schema = ps.schema;
  } else {
    lsm_schema_free(ps.schema);
    *err = ps.err;
  }
  return ps.rc;
}

void lsm_schema_free(lsm_schema *schema) {
  if (schema == NULL) return;
  for (int i = 0; i < schema->ncolumn; i++) {
    if (schema->column[i].hold != NULL) sqlite3_value_free(schema->column[i].hold);
  }
  for (struct lsm_chunk *c = schema->chunks, *next; c != NULL; c = next) {
    next = c->next;
    lsm_free(c);
  }
  lsm_free(schema);
}

int lsm_schema_find_column(const lsm_schema *schema, const char *name) {
  for (int i = 0; i < schema->ncolumn; i++) {
    if (sqlite3_stricmp(schema->column[i].name, name) == 0) return i;
  }
  return -1;
}

char *lsm_schema_index_text(const lsm_schema *schema, const lsm_index *x) {
  static const char *const collate[] = {"BINARY", "NOCASE", "RTRIM"};
  sqlite3_str *s = sqlite3_str_new(NULL);
  sqlite3_str_appendf(s, "INDEX \"%w\" (", x->name);
  for (int i = 0; i < x->npart; i++) {
    const lsm_key_part *p = &x->part[i];
    sqlite3_str_appendf(s, "%s\"%w\" COLLATE %s%s", i == 0 ? "" : ", ",
                        schema->column[p->column].name, collate[p->collation],
                        p->desc ? " DESC" : "");
  }
  sqlite3_str_appendall(s, ")");
  return sqlite3_str_finish(s);
}

char *lsm_schema_declaration(const lsm_schema *schema) {
  static const char *const collate[] = {"", " COLLATE NOCASE", " COLLATE RTRIM"};
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str_appendall(sql, "CREATE TABLE x(");
  for (int i = 0; i < schema->ncolumn; i++) {
    const lsm_column *col = &schema->column[i];
    sqlite3_str_appendf(sql, "%s\"%w\"%s%s%s%s", i == 0 ? "" : ", ", col->name,
                        *col->type == '\0' ? "" : " ", col->type, collate[col->collation],
                        col->not_null ? " NOT NULL" : "");
  }
  if (schema->key_column != NULL) {
    sqlite3_str_appendf(sql, ", \"%w\" HIDDEN BLOB NOT NULL PRIMARY KEY", schema->key_column);
  } else if (schema->kind != LSM_KEY_ROWID_HIDDEN) {
    int column = schema->kind == LSM_KEY_COLUMNS ? schema->key[0].column : schema->alias_column;
    sqlite3_str_appendf(sql, ", PRIMARY KEY(\"%w\")", schema->column[column].name);
  }
  sqlite3_str_appendall(sql, schema->kind == LSM_KEY_COLUMNS ? ") WITHOUT ROWID" : ")");
  return sqlite3_str_finish(sql);
}
