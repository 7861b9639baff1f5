/* tvf.c: the table-valued functions lsm_stats, lsm_levels and lsm_files.
**
** One module each, alike but for their columns and what fills their rows. All
** rows are made when the scan starts: they show one instant, and no later SQL
** can take the table away under them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "keyenc.h"
#include "vtab.h"

#define MAX_COLUMNS 8

/* A value; text is owned. */
typedef struct cell {
  int type;
  int64_t i;
  double r;
  char *text;
} cell;

typedef struct row {
  cell cells[MAX_COLUMNS];
} row;

typedef struct rowset {
  row *rows;
  size_t count, cap;
} rowset;

/* What tells the three apart. */
typedef struct function {
  const char *name;
  const char *declaration; /* the hidden argument is the last column */
  int ncolumns;            /* without it */
  lsm_rc (*fill)(const lsm_vtab *v, rowset *out);
} function;

typedef struct tvf {
  sqlite3_vtab base;
  lsm_conn *conn;
  const function *fn;
} tvf;

typedef struct tvf_cursor {
  sqlite3_vtab_cursor base;
  rowset set;
  size_t pos;
  char *arg;
} tvf_cursor;

/*------------------------------------------------------------------- rows */

static void rowset_fini(rowset *s) {
  for (size_t i = 0; i < s->count; i++) {
    for (int c = 0; c < MAX_COLUMNS; c++) sqlite3_free(s->rows[i].cells[c].text);
  }
  sqlite3_free(s->rows);
  memset(s, 0, sizeof(*s));
}

/* One more row, all NULL; NULL: no memory. */
static row *rowset_add(rowset *s) {
  if (s->count == s->cap) {
    size_t cap = s->cap == 0 ? 32 : 2 * s->cap;
    row *rows = sqlite3_realloc64(s->rows, cap * sizeof(row));
    if (rows == NULL) return NULL;
    s->rows = rows;
    s->cap = cap;
  }
  row *r = &s->rows[s->count++];
  memset(r, 0, sizeof(*r));
  for (int c = 0; c < MAX_COLUMNS; c++) r->cells[c].type = SQLITE_NULL;
  return r;
}

static void set_int(cell *c, uint64_t v) {
  c->type = SQLITE_INTEGER;
  c->i = (int64_t)v;
}

static void set_real(cell *c, double v) {
  c->type = SQLITE_FLOAT;
  c->r = v;
}

/* Takes the text over. */
static lsm_rc set_text(cell *c, char *text) {
  if (text == NULL) return lsm_nomem();
  c->type = SQLITE_TEXT;
  c->text = text;
  return LSM_OK;
}

/*------------------------------------------------------------------ stats */

/* A name and its number: a counter, or, when it has no counter, a ratio. */
typedef struct stat_value {
  const char *name;
  bool is_ratio;
  uint64_t counter;
  double ratio;
} stat_value;

static double quotient(uint64_t a, uint64_t b, double when_empty) {
  return b == 0 ? when_empty : (double)a / (double)b;
}

/* Write amplification: bytes written to log and tables for one byte of keys
** and values. Space amplification: bytes of keys and values in all tables for
** one in the oldest run of each keyspace, which holds nearly no garbage. */
static lsm_rc fill_stats(const lsm_vtab *v, rowset *out) {
  lsm_stats s;
  lsm_get_stats(lsm_store_db(v->cs->store), &s);
  uint64_t written = s.wal_bytes + s.flush_bytes + s.compaction_bytes;
#define COUNTER(field) {#field, false, s.field, 0}
  const stat_value values[] = {
      COUNTER(user_bytes),
      COUNTER(wal_bytes),
      COUNTER(flush_bytes),
      COUNTER(compaction_bytes),
      {"write_amplification", true, 0, quotient(written, s.user_bytes, 0.0)},
      {"space_amplification", true, 0, quotient(s.sst_raw_bytes, s.last_level_raw_bytes, 1.0)},
      COUNTER(memtable_bytes),
      COUNTER(memtable_entries),
      COUNTER(sst_files),
      COUNTER(sst_bytes),
      COUNTER(flushes),
      COUNTER(compactions),
      COUNTER(stalls),
      COUNTER(stall_us),
      COUNTER(gets),
      COUNTER(scans),
      COUNTER(bloom_checks),
      COUNTER(bloom_hits),
      COUNTER(bloom_false_positives),
      COUNTER(cache_hits),
      COUNTER(cache_misses),
      COUNTER(cache_bytes),
      COUNTER(snapshots),
      COUNTER(compaction_read_bytes),
      COUNTER(manifest_bytes),
      COUNTER(sst_raw_bytes),
      COUNTER(last_level_raw_bytes),
      COUNTER(trivial_moves),
      COUNTER(slowdowns),
      COUNTER(commits),
      COUNTER(syncs),
      COUNTER(obsolete_files),
      COUNTER(expired_entries),
      COUNTER(expired_files),
  };
#undef COUNTER
  lsm_rc rc = LSM_OK;
  for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) && rc == LSM_OK; i++) {
    row *r = rowset_add(out);
    if (r == NULL) return lsm_nomem();
    rc = set_text(&r->cells[0], sqlite3_mprintf("%s", values[i].name));
    if (values[i].is_ratio) {
      set_real(&r->cells[1], values[i].ratio);
    } else {
      set_int(&r->cells[1], values[i].counter);
    }
  }
  return rc;
}

/*-------------------------------------------------- rows, then each index */

/* One of a table's keyspaces. */
typedef struct part {
  uint32_t keyspace;
  const lsm_schema *schema;
  const lsm_index *index; /* NULL: the rows */
} part;

/* REQUIRES: 0 <= i <= v->nindex. */
static part part_of(const lsm_vtab *v, int i) {
  if (i == 0) return (part){v->keyspace, v->schema, NULL};
  return (part){v->index[i - 1].keyspace, v->schema, v->index[i - 1].def};
}

/* As EXPLAIN QUERY PLAN calls it; the rows have no name: NULL. */
static lsm_rc set_index_name(cell *c, const part *p) {
  const lsm_index *x = p->index;
  if (x == NULL) return LSM_OK;
  if (x->name != NULL) return set_text(c, sqlite3_mprintf("%s", x->name));
  sqlite3_str *s = sqlite3_str_new(NULL);
  for (int i = 0; i < x->npart; i++) {
    sqlite3_str_appendf(s, "%s%s", i == 0 ? "UNIQUE(" : ", ",
                        p->schema->column[x->part[i].column].name);
  }
  sqlite3_str_appendall(s, ")");
  return set_text(c, sqlite3_str_finish(s));
}

/*----------------------------------------------------------------- levels */

typedef struct level_sums {
  uint64_t files[LSM_MAX_LEVELS], bytes[LSM_MAX_LEVELS], entries[LSM_MAX_LEVELS],
      tombstones[LSM_MAX_LEVELS];
} level_sums;

static lsm_rc sum_file(void *arg, const lsm_file_info *info) {
  level_sums *s = arg;
  s->files[info->level]++;
  s->bytes[info->level] += info->bytes;
  s->entries[info->level] += info->entries;
  s->tombstones[info->level] += info->tombstones;
  return LSM_OK;
}

static lsm_rc add_levels(lsm_db *db, const part *p, rowset *out) {
  double score[LSM_MAX_LEVELS];
  level_sums s = {0};
  lsm_rc rc = lsm_list_files(db, p->keyspace, sum_file, &s);
  if (rc == LSM_OK) rc = lsm_level_scores(db, p->keyspace, score);
  for (int l = 0; l < LSM_MAX_LEVELS && rc == LSM_OK; l++) {
    if (s.files[l] == 0) continue;
    row *r = rowset_add(out);
    if (r == NULL) return lsm_nomem();
    set_int(&r->cells[0], (uint64_t)l);
    set_int(&r->cells[1], s.files[l]);
    set_int(&r->cells[2], s.bytes[l]);
    set_int(&r->cells[3], s.entries[l]);
    set_int(&r->cells[4], s.tombstones[l]);
    set_real(&r->cells[5], score[l]);
    rc = set_index_name(&r->cells[6], p);
  }
  return rc;
}

static lsm_rc fill_levels(const lsm_vtab *v, rowset *out) {
  lsm_rc rc = LSM_OK;
  for (int i = 0; i <= v->nindex && rc == LSM_OK; i++) {
    part p = part_of(v, i);
    rc = add_levels(lsm_store_db(v->cs->store), &p, out);
    if (rc == LSM_NOTFOUND && i > 0) rc = LSM_OK; /* dropped by another connection meanwhile */
  }
  return rc;
}

/*------------------------------------------------------------------ files */

static void append_hex(sqlite3_str *out, lsm_slice s) {
  sqlite3_str_appendall(out, "X'");
  for (size_t i = 0; i < s.size; i++) sqlite3_str_appendf(out, "%02X", s.data[i]);
  sqlite3_str_appendall(out, "'");
}

/* As quote() writes it: fewest digits that read back as the same number. */
static void append_real(sqlite3_str *out, double r) {
  if (isinf(r)) {
    sqlite3_str_appendall(out, r < 0 ? "-9.0e+999" : "9.0e+999");
    return;
  }
  char *text = sqlite3_mprintf("%!.15g", r);
  if (text != NULL && strtod(text, NULL) != r) {
    sqlite3_free(text);
    text = sqlite3_mprintf("%!.17g", r);
  }
  if (text != NULL) sqlite3_str_appendall(out, text);
  sqlite3_free(text);
}

/* Text with a zero in it has no literal of its own. */
static void append_text(sqlite3_str *out, lsm_slice s) {
  if (s.size > 0 && memchr(s.data, 0, s.size) != NULL) {
    sqlite3_str_appendall(out, "CAST(");
    append_hex(out, s);
    sqlite3_str_appendall(out, " AS TEXT)");
    return;
  }
  sqlite3_str_appendchar(out, 1, '\'');
  for (size_t i = 0; i < s.size; i++) {
    sqlite3_str_appendchar(out, s.data[i] == '\'' ? 2 : 1, (char)s.data[i]);
  }
  sqlite3_str_appendchar(out, 1, '\'');
}

static void append_literal(sqlite3_str *out, const lsm_value *v) {
  switch (v->type) {
    case SQLITE_INTEGER: sqlite3_str_appendf(out, "%lld", (long long)v->u.i); break;
    case SQLITE_FLOAT: append_real(out, v->u.r); break;
    case SQLITE_TEXT: append_text(out, v->u.s); break;
    case SQLITE_BLOB: append_hex(out, v->u.s); break;
    default: sqlite3_str_appendall(out, "NULL"); break;
  }
}

/* The key's columns as literals; LSM_CORRUPT when it is not a key of the
** table, as the end of a range need not be. */
static lsm_rc append_columns(sqlite3_str *out, const lsm_key_part *parts, int n, lsm_slice key) {
  lsm_buf scratch = {0};
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < n && rc == LSM_OK; i++) {
    lsm_value value;
    rc = lsm_key_get(&key, &parts[i], &value, &scratch);
    if (rc != LSM_OK) break;
    if (i > 0) sqlite3_str_appendall(out, ", ");
    append_literal(out, &value);
  }
  if (rc == LSM_OK && key.size > 0) rc = LSM_CORRUPT; /* not an error of anybody's */
  lsm_buf_fini(&scratch);
  return rc;
}

/* The same of an index's entry: a UNIQUE one has the row's key only beside a NULL. */
static lsm_rc append_entry(sqlite3_str *out, const lsm_index *x, lsm_slice key) {
  lsm_rc rc = append_columns(out, x->part, x->npart, key);
  if (rc != LSM_CORRUPT) return rc;
  sqlite3_str_reset(out);
  return append_columns(out, x->all, x->nall, key);
}

static lsm_rc set_key(cell *c, const part *p, lsm_slice key) {
  const lsm_schema *schema = p->schema;
  int64_t rowid;
  if (key.data == NULL) return LSM_OK; /* open: NULL */
  bool columns = schema->kind == LSM_KEY_COLUMNS;
  if (p->index == NULL && !columns && lsm_key_get_rowid(key, &rowid) == LSM_OK) {
    set_int(c, (uint64_t)rowid);
    return LSM_OK;
  }
  sqlite3_str *out = sqlite3_str_new(NULL);
  lsm_rc rc = LSM_CORRUPT;
  if (p->index != NULL) {
    rc = append_entry(out, p->index, key);
  } else if (columns) {
    rc = append_columns(out, schema->key, schema->nkey, key);
  }
  if (rc == LSM_CORRUPT) {
    sqlite3_str_reset(out);
    append_hex(out, key);
    rc = LSM_OK;
  }
  bool full = sqlite3_str_errcode(out) != SQLITE_OK;
  char *text = sqlite3_str_finish(out);
  if (rc != LSM_OK || full) {
    sqlite3_free(text);
    return rc != LSM_OK ? rc : lsm_nomem();
  }
  return set_text(c, text);
}

typedef struct file_list {
  part part;
  rowset *out;
} file_list;

static lsm_rc add_file(void *arg, const lsm_file_info *info) {
  file_list *list = arg;
  row *r = rowset_add(list->out);
  if (r == NULL) return lsm_nomem();
  set_int(&r->cells[0], (uint64_t)info->level);
  set_int(&r->cells[2], info->bytes);
  set_int(&r->cells[3], info->entries);
  set_int(&r->cells[4], info->tombstones);
  lsm_rc rc = set_text(&r->cells[1],
                       sqlite3_mprintf("%06llu.sst", (unsigned long long)info->number));
  if (rc == LSM_OK) rc = set_key(&r->cells[5], &list->part, info->min_key);
  if (rc == LSM_OK) rc = set_key(&r->cells[6], &list->part, info->max_key);
  if (rc == LSM_OK) rc = set_index_name(&r->cells[7], &list->part);
  return rc;
}

static lsm_rc fill_files(const lsm_vtab *v, rowset *out) {
  lsm_rc rc = LSM_OK;
  for (int i = 0; i <= v->nindex && rc == LSM_OK; i++) {
    file_list list = {part_of(v, i), out};
    rc = lsm_list_files(lsm_store_db(v->cs->store), list.part.keyspace, add_file, &list);
  }
  return rc;
}

/*------------------------------------------------------------ the modules */

static const function functions[] = {
    {"lsm_stats", "CREATE TABLE x(name TEXT, value, tab HIDDEN)", 2, fill_stats},
    {"lsm_levels",
     "CREATE TABLE x(level INTEGER, files INTEGER, bytes INTEGER, entries INTEGER,"
     " tombstones INTEGER, score REAL, index_name TEXT, tab HIDDEN)",
     7, fill_levels},
    {"lsm_files",
     "CREATE TABLE x(level INTEGER, file TEXT, bytes INTEGER, entries INTEGER,"
     " tombstones INTEGER, min_key, max_key, index_name TEXT, tab HIDDEN)",
     8, fill_files},
};
#define NFUNCTIONS (sizeof(functions) / sizeof(functions[0]))

/* argv[0] is the module's name. */
static int tvf_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                       sqlite3_vtab **out, char **err) {
  const function *fn = NULL;
  (void)argc;
  *out = NULL;
  for (size_t i = 0; i < NFUNCTIONS; i++) {
    if (sqlite3_stricmp(functions[i].name, argv[0]) == 0) fn = &functions[i];
  }
  if (fn == NULL) return SQLITE_ERROR;
  int rc = lsm_declare_vtab(db, fn->declaration);
  if (rc != SQLITE_OK) {
    *err = sqlite3_mprintf("%s", lsm_sql_message(db, rc));
    return rc;
  }
  tvf *t = sqlite3_malloc(sizeof(*t));
  if (t == NULL) return SQLITE_NOMEM;
  memset(t, 0, sizeof(*t));
  t->conn = aux;
  t->fn = fn;
  *out = &t->base;
  return SQLITE_OK;
}

static int tvf_disconnect(sqlite3_vtab *vtab) {
  sqlite3_free(vtab);
  return SQLITE_OK;
}

static int tvf_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  const tvf *t = (const tvf *)vtab;
  bool given = false;
  for (int i = 0; i < info->nConstraint; i++) {
    if (info->aConstraint[i].iColumn != t->fn->ncolumns ||
        info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ) {
      continue;
    }
    given = true;
    if (!info->aConstraint[i].usable) continue;
    info->aConstraintUsage[i].argvIndex = 1;
    info->aConstraintUsage[i].omit = 1;
    info->estimatedCost = 100;
    info->estimatedRows = 32;
    return SQLITE_OK;
  }
  if (given) return SQLITE_CONSTRAINT; /* another order of the join will do */
  /* SQLite also asks so about each side of an OR. If it has no other way xFilter says
  ** what is missing. */
  info->estimatedCost = 1e99;
  info->estimatedRows = 1ll << 48;
  return SQLITE_OK;
}

static int tvf_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  (void)vtab;
  tvf_cursor *c = sqlite3_malloc(sizeof(*c));
  *out = NULL;
  if (c == NULL) return SQLITE_NOMEM;
  memset(c, 0, sizeof(*c));
  *out = &c->base;
  return SQLITE_OK;
}

static void clear_cursor(tvf_cursor *c) {
  rowset_fini(&c->set);
  sqlite3_free(c->arg);
  c->arg = NULL;
  c->pos = 0;
}

static int tvf_close(sqlite3_vtab_cursor *cur) {
  clear_cursor((tvf_cursor *)cur);
  sqlite3_free(cur);
  return SQLITE_OK;
}

static int tvf_filter(sqlite3_vtab_cursor *cur, int idx_num, const char *idx_str, int argc,
                      sqlite3_value **argv) {
  tvf_cursor *c = (tvf_cursor *)cur;
  tvf *t = (tvf *)cur->pVtab;
  lsm_vtab *v;
  char *err = NULL;
  (void)idx_num, (void)idx_str;
  clear_cursor(c);
  if (argc < 1 || sqlite3_value_type(argv[0]) != SQLITE_TEXT) {
    return lsm_vtab_error(cur->pVtab, SQLITE_ERROR, "%s() needs a table name", t->fn->name);
  }
  c->arg = sqlite3_mprintf("%s", (const char *)sqlite3_value_text(argv[0]));
  if (c->arg == NULL) return SQLITE_NOMEM;
  int code = lsm_vtab_find(t->conn, c->arg, &v, &err);
  if (code != SQLITE_OK) {
    if (err != NULL) (void)lsm_vtab_error(cur->pVtab, code, "%s", err);
    sqlite3_free(err);
    return code;
  }
  return lsm_vtab_fail(cur->pVtab, t->fn->fill(v, &c->set));
}

static int tvf_next(sqlite3_vtab_cursor *cur) {
  ((tvf_cursor *)cur)->pos++;
  return SQLITE_OK;
}

static int tvf_eof(sqlite3_vtab_cursor *cur) {
  const tvf_cursor *c = (const tvf_cursor *)cur;
  return c->pos >= c->set.count;
}

static int tvf_column(sqlite3_vtab_cursor *cur, sqlite3_context *ctx, int col) {
  const tvf_cursor *c = (const tvf_cursor *)cur;
  if (col >= ((const tvf *)cur->pVtab)->fn->ncolumns) {
    sqlite3_result_text(ctx, c->arg, -1, SQLITE_TRANSIENT);
    return SQLITE_OK;
  }
  const cell *v = &c->set.rows[c->pos].cells[col];
  switch (v->type) {
    case SQLITE_INTEGER: sqlite3_result_int64(ctx, v->i); break;
    case SQLITE_FLOAT: sqlite3_result_double(ctx, v->r); break;
    case SQLITE_TEXT: sqlite3_result_text(ctx, v->text, -1, SQLITE_TRANSIENT); break;
    default: sqlite3_result_null(ctx); break;
  }
  return SQLITE_OK;
}

static int tvf_rowid(sqlite3_vtab_cursor *cur, sqlite_int64 *rowid) {
  *rowid = (sqlite_int64)((const tvf_cursor *)cur)->pos + 1;
  return SQLITE_OK;
}

/* No xCreate: they exist without being made, and under their names only. */
static const sqlite3_module tvf_module = {
    .iVersion = 1,
    .xConnect = tvf_connect,
    .xBestIndex = tvf_best_index,
    .xDisconnect = tvf_disconnect,
    .xDestroy = tvf_disconnect,
    .xOpen = tvf_open,
    .xClose = tvf_close,
    .xFilter = tvf_filter,
    .xNext = tvf_next,
    .xEof = tvf_eof,
    .xColumn = tvf_column,
    .xRowid = tvf_rowid,
};

int lsm_tvf_register(sqlite3 *db, lsm_conn *conn) {
  int rc = SQLITE_OK;
  for (size_t i = 0; i < NFUNCTIONS && rc == SQLITE_OK; i++) {
    rc = sqlite3_create_module_v2(db, functions[i].name, &tvf_module, conn, NULL);
  }
  return rc;
}
