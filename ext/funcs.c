/* funcs.c: the SQL functions: lsm_version, lsm_flush, lsm_compact, lsm_verify,
** lsm_delete_range, lsm_create_index, lsm_drop_index, lsm_add_column.
** (lsm_backup is in backup.c.)
**
** Holds: a function keeps a statement on its table prepared while it works: so
** SQLite does not disconnect the table, whatever other SQL runs meanwhile. */
#include <string.h>

#include "rowenc.h"
#include "stale.h"
#include "vtab.h"

#define MAX_FINDINGS 100
#define MANY_ROWS 1000

/*-------------------------------------------------------------- the table */

/* A table, pinned: while stmt exists SQLite keeps v connected. */
typedef struct pinned {
  lsm_conn *conn;
  lsm_vtab *v;
  sqlite3_stmt *stmt;
} pinned;

static void unpin(pinned *p) {
  sqlite3_finalize(p->stmt);
  memset(p, 0, sizeof(*p));
}

/* Preparing may itself reconnect the table; the newest is first in the list. */
static int pin_table(lsm_conn *conn, const char *name, pinned *p, char **err) {
  lsm_vtab *found;
  memset(p, 0, sizeof(*p));
  p->conn = conn;
  int rc = lsm_vtab_find(conn, name, &found, err);
  if (rc != SQLITE_OK) return rc;
  char *schema = sqlite3_mprintf("%s", found->db_schema);
  char *table = sqlite3_mprintf("%s", found->table);
  char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\"", schema, table);
  rc = SQLITE_NOMEM;
  if (schema != NULL && table != NULL && sql != NULL) {
    rc = sqlite3_prepare_v2(conn->db, sql, -1, &p->stmt, NULL);
    if (rc != SQLITE_OK) *err = sqlite3_mprintf("%s", lsm_sql_message(conn->db, rc));
  }
  for (lsm_vtab *v = conn->vtabs; rc == SQLITE_OK && v != NULL && p->v == NULL; v = v->next) {
    if (strcmp(v->db_schema, schema) == 0 && strcmp(v->table, table) == 0) p->v = v;
  }
  sqlite3_free(schema);
  sqlite3_free(table);
  sqlite3_free(sql);
  if (rc == SQLITE_OK) rc = p->v == NULL ? SQLITE_ERROR : lsm_vtab_open_store(p->v);
  if (rc != SQLITE_OK) {
    if (p->v != NULL && p->v->base.zErrMsg != NULL) {
      *err = p->v->base.zErrMsg;
      p->v->base.zErrMsg = NULL;
    }
    unpin(p);
  }
  return rc;
}

/* The table that the first argument names; false: the error has been set. */
static bool arg_table(sqlite3_context *ctx, const char *function, sqlite3_value *arg, pinned *p) {
  char *err = NULL;
  int rc = SQLITE_ERROR;
  if (sqlite3_value_type(arg) != SQLITE_TEXT) {
    err = sqlite3_mprintf("%s() needs the name of an lsm table", function);
  } else {
    const char *name = (const char *)sqlite3_value_text(arg);
    rc = name == NULL ? SQLITE_NOMEM : pin_table(sqlite3_user_data(ctx), name, p, &err);
  }
  if (rc == SQLITE_OK) return true;
  if (rc == SQLITE_NOMEM) {
    sqlite3_result_error_nomem(ctx);
  } else {
    if (err != NULL) sqlite3_result_error(ctx, err, -1);
    sqlite3_result_error_code(ctx, rc);
  }
  sqlite3_free(err);
  return false;
}

/* A message, where there is no memory for it the lack of memory. */
static void fail(sqlite3_context *ctx, int code, char *msg) {
  if (msg == NULL) {
    sqlite3_result_error_nomem(ctx);
    return;
  }
  sqlite3_result_error(ctx, msg, -1);
  sqlite3_result_error_code(ctx, code);
  sqlite3_free(msg);
}

/* False, with the error set, when the table's own transaction is in the way:
** it keeps from the memtable what a flush is to write. */
static bool outside_transaction(sqlite3_context *ctx, const char *what, const lsm_vtab *v) {
  if (v->cs->txn == NULL) return true;
  fail(ctx, SQLITE_BUSY,
       sqlite3_mprintf("cannot %s \"%w\" inside a transaction that writes to it", what, v->table));
  return false;
}

static void result_ok(sqlite3_context *ctx) {
  sqlite3_result_text(ctx, "ok", 2, SQLITE_STATIC);
}

/*------------------------------------------------- version, flush, compact */

static void version_func(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  (void)argc, (void)argv;
  sqlite3_result_text(ctx, LSM_VERSION, -1, SQLITE_STATIC);
}

static void flush_func(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  pinned p;
  (void)argc;
  if (!arg_table(ctx, "lsm_flush", argv[0], &p)) return;
  if (outside_transaction(ctx, "flush", p.v)) {
    lsm_interrupt intr = lsm_conn_interrupt(p.conn);
    lsm_rc rc = lsm_flush(lsm_store_db(p.v->cs->store), &intr);
    if (rc == LSM_OK) result_ok(ctx);
    if (rc != LSM_OK) lsm_result_fail(ctx, rc);
  }
  unpin(&p);
}

static void compact_func(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  pinned p;
  (void)argc;
  if (!arg_table(ctx, "lsm_compact", argv[0], &p)) return;
  if (outside_transaction(ctx, "compact", p.v)) {
    lsm_interrupt intr = lsm_conn_interrupt(p.conn);
    lsm_db *db = lsm_store_db(p.v->cs->store);
    int64_t busy_ms = lsm_conn_pragma(p.conn, "main", "busy_timeout", 0);
    lsm_rc rc = lsm_stale_sweep(p.v, busy_ms, &intr);
    if (rc == LSM_OK) rc = lsm_compact(db, p.v->keyspace, &intr);
    for (int i = 0; i < p.v->nindex && rc == LSM_OK; i++) {
      rc = lsm_compact(db, p.v->index[i].keyspace, &intr);
      if (rc == LSM_NOTFOUND) rc = LSM_OK; /* dropped by another connection meanwhile */
    }
    if (rc == LSM_OK) result_ok(ctx);
    if (rc != LSM_OK) lsm_result_fail(ctx, rc);
  }
  unpin(&p);
}

/*----------------------------------------------------------------- verify */

/* Findings, one a line; the first MAX_FINDINGS of them are kept. */
typedef struct findings {
  sqlite3_str *text;
  uint64_t count;
} findings;

static void add_finding(void *arg, const char *text) {
  findings *f = arg;
  if (f->count++ < MAX_FINDINGS) {
    sqlite3_str_appendf(f->text, "%s%s", f->count > 1 ? "\n" : "", text);
  }
}

/* What is wrong with a row or an entry, named by its key's bytes. */
static void add_bad_key(findings *f, const lsm_vtab *v, const char *what, lsm_slice key,
                        const char *problem) {
  sqlite3_str *s = sqlite3_str_new(NULL);
  sqlite3_str_appendf(s, "table %s: %s X'", v->table, what);
  for (size_t i = 0; i < key.size; i++) sqlite3_str_appendf(s, "%02X", key.data[i]);
  sqlite3_str_appendf(s, "': %s", problem);
  char *line = sqlite3_str_finish(s);
  if (line != NULL) add_finding(f, line);
  sqlite3_free(line);
}

/* One look at everything a table has. */
typedef struct check {
  const lsm_vtab *v;
  lsm_snapshot *snap;
  const lsm_interrupt *intr;
  findings *f;
  lsm_row row;
  lsm_entry entry;
  lsm_buf found, row_key;
  bool stale; /* entries may have lost their rows */
  bool quick; /* rows alone */
  char what[80]; /* is looked at: "row", "entry of index 1 (by_name)" */
} check;

static void name_index(check *c, int i) {
  const char *name = c->v->index[i].def->name;
  sqlite3_snprintf((int)sizeof(c->what), c->what, "entry of index %d (%s)", i,
                   name != NULL ? name : "UNIQUE");
}

/* The row must have this entry in index I. REQUIRES: row points at it. */
static lsm_rc check_has_entry(check *c, int i) {
  const lsm_vindex *x = &c->v->index[i];
  lsm_rc rc = lsm_entry_make(&c->entry, c->v->schema, x->def, NULL, &c->row, c->row.key);
  if (rc != LSM_OK) return rc;
  lsm_slice key = lsm_buf_slice(&c->entry.key);
  rc = lsm_get(c->snap, x->keyspace, key, &c->found);
  bool same =
      rc == LSM_OK && lsm_slice_eq(lsm_buf_slice(&c->found), lsm_buf_slice(&c->entry.value));
  if (rc == LSM_NOTFOUND || (rc == LSM_OK && !same)) {
    name_index(c, i);
    add_bad_key(c->f, c->v, c->what, key, rc == LSM_OK ? "names another row" : "missing");
    rc = LSM_OK;
  }
  return rc;
}

static lsm_rc check_row(check *c, lsm_slice key, lsm_slice value) {
  sqlite3_snprintf((int)sizeof(c->what), c->what, "row");
  lsm_row_point(&c->row, key, value);
  lsm_rc rc = lsm_row_check(&c->row);
  int n = c->quick ? 0 : c->v->nindex;
  for (int i = 0; i < n && rc == LSM_OK; i++) rc = check_has_entry(c, i);
  return rc;
}

/* The entry must be the one that its row asks for. */
static lsm_rc check_entry(check *c, const lsm_vindex *x, lsm_slice key, lsm_slice value) {
  const lsm_schema *s = c->v->schema;
  bool faithful;
  lsm_rc rc = lsm_entry_row_key(s, x->def, key, value, &c->row_key, &faithful);
  if (rc != LSM_OK) return rc;
  lsm_slice row_key = lsm_buf_slice(&c->row_key);
  rc = lsm_get(c->snap, c->v->keyspace, row_key, &c->found);
  if (rc == LSM_NOTFOUND && c->stale) return LSM_OK;
  if (rc == LSM_NOTFOUND) {
    add_bad_key(c->f, c->v, c->what, key, "its row is missing");
    return LSM_OK;
  }
  if (rc != LSM_OK) return rc;
  lsm_row_point(&c->row, row_key, lsm_buf_slice(&c->found));
  bool other = false;
  rc = lsm_stale_check(s, x->def, &c->row, key, &c->entry, &other);
  if (rc == LSM_OK && other && !c->stale) {
    add_bad_key(c->f, c->v, c->what, key, "its row has other values");
  }
  return rc;
}

/* Walks the rows, or an index's entries, as the connection sees them. */
static lsm_rc check_keyspace(check *c, const lsm_vindex *x) {
  lsm_cursor *cur = NULL;
  uint64_t n = 0;
  uint32_t keyspace = x != NULL ? x->keyspace : c->v->keyspace;
  lsm_slice start = x != NULL ? lsm_index_start() : LSM_SLICE_NULL;
  lsm_rc rc = x != NULL ? lsm_stale_in(c->snap, x, &c->stale) : LSM_OK;
  if (rc == LSM_OK) rc = lsm_cursor_open(c->snap, keyspace, start, LSM_SLICE_NULL, &cur);
  if (rc == LSM_OK) rc = lsm_cursor_first(cur);
  while (rc == LSM_OK && lsm_cursor_valid(cur)) {
    lsm_slice key = lsm_cursor_key(cur), value = lsm_cursor_value(cur);
    rc = x != NULL ? check_entry(c, x, key, value) : check_row(c, key, value);
    if (rc == LSM_CORRUPT) {
      add_bad_key(c->f, c->v, c->what, key, lsm_errmsg());
      rc = LSM_OK;
    }
    if (rc == LSM_OK && (++n & 1023) == 0 && c->intr->fn(c->intr->arg)) {
      rc = lsm_fail(LSM_INTERRUPT, "interrupted");
    }
    if (rc == LSM_OK) rc = lsm_cursor_next(cur);
  }
  if (rc == LSM_CORRUPT) { /* the scan itself met damage: it cannot go on */
    add_finding(c->f, lsm_errmsg());
    rc = LSM_OK;
  }
  lsm_cursor_close(cur);
  return rc;
}

/* Every row must be one of the table's definition and, unless quick, have its entries;
** every entry must have its row. */
static lsm_rc check_rows(const lsm_vtab *v, lsm_snapshot *snap, const lsm_interrupt *intr,
                         findings *f, bool quick) {
  check c = {.v = v, .snap = snap, .intr = intr, .f = f, .quick = quick};
  lsm_rc rc = lsm_row_init(&c.row, v->schema);
  if (rc == LSM_OK) rc = check_keyspace(&c, NULL);
  for (int i = 0; i < v->nindex && rc == LSM_OK && !quick; i++) {
    name_index(&c, i);
    rc = check_keyspace(&c, &v->index[i]);
  }
  lsm_row_fini(&c.row);
  lsm_entry_fini(&c.entry);
  lsm_buf_fini(&c.found);
  lsm_buf_fini(&c.row_key);
  return rc;
}

/* Pins the table as it is in one state of the database, which state holds. */
static lsm_rc pin_state(pinned *p, const char *name, sqlite3_stmt **state) {
  lsm_conn *conn = p->conn;
  char *err = NULL;
  int code = lsm_vtab_look(conn, p->v->db_schema, state);
  if (code != SQLITE_OK) return lsm_sql_failed(conn->db, code);
  unpin(p);
  code = pin_table(conn, name, p, &err);
  lsm_rc rc = code == SQLITE_OK ? LSM_OK
                                : lsm_fail(LSM_MISUSE, "%s", err != NULL ? err : "out of memory");
  sqlite3_free(err);
  return rc;
}

/* All files of the table's store. */
static lsm_rc verify_files(lsm_vtab *v, findings *f) {
  lsm_interrupt intr = lsm_conn_interrupt(v->conn);
  uint64_t n;
  return lsm_verify(lsm_store_db(v->cs->store), &intr, add_finding, f, &n);
}

/* Its rows, as of now. state (may be NULL) has held the table until here. */
static lsm_rc verify_rows(lsm_vtab *v, findings *f, bool quick, sqlite3_stmt *state) {
  lsm_conn_store *cs = v->cs;
  lsm_interrupt intr = lsm_conn_interrupt(v->conn);
  lsm_snapshot *snap = NULL, *at = NULL;
  lsm_conn_cursor_opened(cs);
  lsm_rc rc = lsm_conn_snapshot(cs, v->db_schema, &snap);
  sqlite3_finalize(state);
  /* Rows and entries must be seen at one time, if they expire. */
  if (rc == LSM_OK) rc = lsm_snapshot_at(snap, lsm_now(lsm_store_db(cs->store)), &at);
  if (rc == LSM_OK) rc = check_rows(v, at, &intr, f, quick);
  lsm_snapshot_release(at);
  lsm_snapshot_release(snap);
  lsm_conn_cursor_closed(cs);
  return rc;
}

/* The findings as one text, to be sqlite3_free()d; SQLITE_NOMEM, SQLITE_TOOBIG. */
static int finish_findings(findings *f, char **text) {
  if (f->count > MAX_FINDINGS) {
    sqlite3_str_appendf(f->text, "\nand %llu more", (unsigned long long)(f->count - MAX_FINDINGS));
  }
  int code = sqlite3_str_errcode(f->text);
  *text = sqlite3_str_finish(f->text);
  return code;
}

static void verify_func(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  pinned p;
  char *text;
  (void)argc;
  if (!arg_table(ctx, "lsm_verify", argv[0], &p)) return;
  findings f = {sqlite3_str_new(NULL), 0};
  sqlite3_stmt *state = NULL;
  lsm_rc rc = verify_files(p.v, &f);
  if (rc == LSM_OK) rc = pin_state(&p, (const char *)sqlite3_value_text(argv[0]), &state);
  if (rc == LSM_OK) {
    rc = verify_rows(p.v, &f, false, state);
  } else {
    sqlite3_finalize(state);
  }
  int code = finish_findings(&f, &text);
  if (rc != LSM_OK) {
    lsm_result_fail(ctx, rc);
  } else if (code == SQLITE_NOMEM) {
    sqlite3_result_error_nomem(ctx);
  } else if (code == SQLITE_TOOBIG) {
    sqlite3_result_error_toobig(ctx);
  } else if (f.count == 0) {
    result_ok(ctx);
  } else {
    sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
  }
  sqlite3_free(text);
  unpin(&p);
}

/* Is it the first of the connection's tables in its store? Its check reads the files. */
static bool is_first_of_store(const lsm_vtab *v) {
  for (const lsm_vtab *o = v->conn->vtabs; o != NULL; o = o->next) {
    if (o->cs == v->cs && o->keyspace < v->keyspace) return false;
  }
  return true;
}

int lsm_vtab_integrity(sqlite3_vtab *vtab, const char *schema, const char *table, int flags,
                       char **err) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  bool quick = (flags & 1) != 0;
  char *text;
  (void)schema, (void)table;
  if (lsm_vtab_open_store(v) != SQLITE_OK) { /* what it says is the finding */
    *err = sqlite3_mprintf("%s", vtab->zErrMsg != NULL ? vtab->zErrMsg : "cannot be opened");
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = NULL;
    return SQLITE_OK;
  }
  findings f = {sqlite3_str_new(NULL), 0};
  lsm_rc rc = !quick && is_first_of_store(v) ? verify_files(v, &f) : LSM_OK;
  if (rc == LSM_OK) rc = verify_rows(v, &f, quick, NULL);
  int code = finish_findings(&f, &text);
  if (rc == LSM_OK && code == SQLITE_OK && f.count > 0) {
    *err = text;
    text = NULL;
  }
  sqlite3_free(text);
  return rc != LSM_OK ? lsm_vtab_fail(vtab, rc) : code;
}

/*----------------------------------------------------------- delete_range */

/* SQLite makes a table part of its transaction only for a statement that writes
** to it: so the range is deleted by a DELETE, which finds none of its own rows
** (its key = NULL), but whose scan sees v->range_delete. */
static int delete_keys(pinned *p, const lsm_key_range *r) {
  lsm_vtab *v = p->v;
  const lsm_schema *s = v->schema;
  lsm_range_delete del = {lsm_key_range_lower(r), lsm_key_range_upper(r), false};
  const char *key = s->kind != LSM_KEY_COLUMNS ? "rowid"
                    : s->key_column != NULL    ? s->key_column
                                               : s->column[s->key[0].column].name;
  char *sql =
      sqlite3_mprintf("DELETE FROM \"%w\".\"%w\" WHERE \"%w\" = ?1", v->db_schema, v->table, key);
  sqlite3_stmt *stmt = NULL;
  int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(p->conn->db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK) {
    v->range_delete = &del;
    sqlite3_step(stmt);
    rc = sqlite3_reset(stmt);
    v->range_delete = NULL;
    if (rc == SQLITE_OK && !del.done) rc = SQLITE_BUSY; /* the table was connected anew */
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return rc;
}

/* With indexes: does the range hold so few rows that it is better to remove them one
** by one, with their entries? Otherwise the indexes get marks (stale.h), and
** reading along them costs more until lsm_compact(). */
static lsm_rc is_small(pinned *p, const lsm_key_range *r, bool *small) {
  lsm_snapshot *snap = NULL;
  lsm_cursor *cur = NULL;
  int n = 0;
  lsm_conn_cursor_opened(p->v->cs);
  lsm_rc rc = lsm_conn_snapshot(p->v->cs, p->v->db_schema, &snap);
  if (rc == LSM_OK) {
    rc = lsm_cursor_open(snap, p->v->keyspace, lsm_key_range_lower(r), lsm_key_range_upper(r),
                         &cur);
  }
  if (rc == LSM_OK) rc = lsm_cursor_first(cur);
  for (; rc == LSM_OK && lsm_cursor_valid(cur) && n < MANY_ROWS; n++) rc = lsm_cursor_next(cur);
  *small = n < MANY_ROWS;
  lsm_cursor_close(cur);
  lsm_snapshot_release(snap);
  lsm_conn_cursor_closed(p->v->cs);
  return rc;
}

/* Row by row. */
static int delete_rows(pinned *p, sqlite3_value *low, sqlite3_value *high) {
  lsm_vtab *v = p->v;
  const lsm_schema *s = v->schema;
  const char *key = s->kind == LSM_KEY_COLUMNS ? s->column[s->key[0].column].name : "rowid";
  const char *collate[] = {"BINARY", "NOCASE", "RTRIM"};
  const char *coll = s->kind == LSM_KEY_COLUMNS ? collate[s->key[0].collation] : "BINARY";
  sqlite3_stmt *stmt = NULL;
  sqlite3_str *str = sqlite3_str_new(p->conn->db);
  sqlite3_str_appendf(str, "DELETE FROM \"%w\".\"%w\" WHERE 1", v->db_schema, v->table);
  if (sqlite3_value_type(low) != SQLITE_NULL) {
    sqlite3_str_appendf(str, " AND \"%w\" >= ?1 COLLATE %s", key, coll);
  }
  if (sqlite3_value_type(high) != SQLITE_NULL) {
    sqlite3_str_appendf(str, " AND \"%w\" < ?2 COLLATE %s", key, coll);
  }
  char *sql = sqlite3_str_finish(str);
  int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(p->conn->db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK) {
    if (sqlite3_bind_parameter_count(stmt) >= 1) sqlite3_bind_value(stmt, 1, low);
    if (sqlite3_bind_parameter_count(stmt) >= 2) sqlite3_bind_value(stmt, 2, high);
    sqlite3_step(stmt);
    rc = sqlite3_reset(stmt);
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return rc;
}

/* One end of the range, as the key's column compares it. NULL: open. */
static lsm_rc load_bound(const lsm_schema *s, sqlite3_value *arg, lsm_value *v,
                         sqlite3_value **hold, lsm_key_bound *bound) {
  lsm_affinity aff = s->kind == LSM_KEY_COLUMNS ? s->key[0].affinity : LSM_AFF_INTEGER;
  if (sqlite3_value_type(arg) == SQLITE_NULL) return LSM_OK;
  if (aff != LSM_AFF_BLOB && aff != LSM_AFF_TEXT) aff = LSM_AFF_NUMERIC;
  bound->value = v;
  return lsm_value_load(arg, aff, v, hold);
}

/* low <= the key's first column < high, in keys. */
static lsm_rc range_of(const lsm_schema *s, sqlite3_value *low, sqlite3_value *high,
                       lsm_key_range *r) {
  lsm_value v[2];
  sqlite3_value *hold[2] = {NULL, NULL};
  lsm_key_bound lower = {NULL, false}, upper = {NULL, true};
  lsm_rc rc = load_bound(s, low, &v[0], &hold[0], &lower);
  if (rc == LSM_OK) rc = load_bound(s, high, &v[1], &hold[1], &upper);
  if (rc == LSM_OK && s->kind == LSM_KEY_COLUMNS) {
    rc = lsm_key_range_of(r, s->key, NULL, 0, lower, upper);
  } else if (rc == LSM_OK) {
    rc = lsm_key_range_of_rowids(r, lower, upper);
  }
  sqlite3_value_free(hold[0]);
  sqlite3_value_free(hold[1]);
  return rc;
}

/* Do the keys between the bounds hold other rows than those SQLite would find? Texts of a
** database of UTF-16 stand in another order there. */
static bool is_unsorted(const lsm_vtab *v, sqlite3_value *low, sqlite3_value *high) {
  lsm_path key = lsm_plan_path(v, 0);
  return lsm_path_is_unsorted(&key, 0) && (sqlite3_value_type(low) == SQLITE_TEXT ||
                                           sqlite3_value_type(high) == SQLITE_TEXT);
}

static void delete_range_func(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  pinned p;
  (void)argc;
  if (!arg_table(ctx, "lsm_delete_range", argv[0], &p)) return;
  bool all =
      sqlite3_value_type(argv[1]) == SQLITE_NULL && sqlite3_value_type(argv[2]) == SQLITE_NULL;
  lsm_key_range r = {0};
  int code = SQLITE_OK;
  bool by_row = false;
  lsm_rc rc = range_of(p.v->schema, argv[1], argv[2], &r);
  if (rc == LSM_OK && !r.empty && p.v->nindex > 0 && !all) rc = is_small(&p, &r, &by_row);
  bool unsorted = is_unsorted(p.v, argv[1], argv[2]);
  if (unsorted) by_row = true;
  if (rc == LSM_OK && (!r.empty || unsorted)) {
    code = by_row ? delete_rows(&p, argv[1], argv[2]) : delete_keys(&p, &r);
  }
  if (rc != LSM_OK) {
    lsm_result_fail(ctx, rc);
  } else if (code != SQLITE_OK) {
    fail(ctx, code, sqlite3_mprintf("%s", lsm_sql_message(p.conn->db, code)));
  } else {
    result_ok(ctx);
  }
  lsm_key_range_fini(&r);
  unpin(&p);
}

/*------------------------------------------------------------------ alter */

#define ALTER_TRIES 3

/* The table's definition may have moved since this connection looked: then the
** statement connects another object, that knows nothing of a. */
static void alter(sqlite3_context *ctx, const char *function, sqlite3_value *table, lsm_alter *a) {
  for (int i = 0; i < ALTER_TRIES && !a->done; i++) {
    pinned p;
    if (!arg_table(ctx, function, table, &p)) return;
    int code;
    if (lsm_alter_in_the_way(p.conn->db)) {
      code = SQLITE_LOCKED;
      fail(ctx, code,
           sqlite3_mprintf("%s(): table %s: a statement that writes is at work", function,
                           p.v->table));
    } else {
      code = lsm_alter_run(p.v, a);
      if (code != SQLITE_OK) fail(ctx, code, sqlite3_mprintf("%s", lsm_sql_message(p.conn->db, code)));
    }
    unpin(&p);
    if (code != SQLITE_OK) return;
  }
  if (a->done) {
    result_ok(ctx);
  } else {
    fail(ctx, SQLITE_BUSY, sqlite3_mprintf("%s(): the table is being changed", function));
  }
}

/* A text argument; NULL: it is none, and the error has been set. */
static const char *arg_text(sqlite3_context *ctx, const char *function, const char *what,
                            sqlite3_value *arg) {
  const char *text = NULL;
  if (sqlite3_value_type(arg) != SQLITE_TEXT) {
    fail(ctx, SQLITE_ERROR, sqlite3_mprintf("%s() needs %s", function, what));
  } else if ((text = (const char *)sqlite3_value_text(arg)) == NULL) {
    sqlite3_result_error_nomem(ctx);
  }
  return text;
}

static void create_index_func(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  const char *f = "lsm_create_index";
  lsm_alter a = {lsm_alter_create_index, NULL, NULL, false};
  (void)argc;
  if ((a.name = arg_text(ctx, f, "the index's name", argv[1])) == NULL) return;
  if ((a.text = arg_text(ctx, f, "the index's columns", argv[2])) == NULL) return;
  alter(ctx, f, argv[0], &a);
}

static void drop_index_func(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  const char *f = "lsm_drop_index";
  lsm_alter a = {lsm_alter_drop_index, NULL, NULL, false};
  (void)argc;
  if ((a.name = arg_text(ctx, f, "the index's name", argv[1])) == NULL) return;
  alter(ctx, f, argv[0], &a);
}

static void add_column_func(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  const char *f = "lsm_add_column";
  lsm_alter a = {lsm_alter_add_column, NULL, NULL, false};
  (void)argc;
  if ((a.text = arg_text(ctx, f, "the column's definition", argv[1])) == NULL) return;
  alter(ctx, f, argv[0], &a);
}

/*--------------------------------------------------------------- register */

int lsm_funcs_register(sqlite3 *db, lsm_conn *conn) {
  static const struct {
    const char *name;
    int argc;
    int flags;
    void (*fn)(sqlite3_context *ctx, int argc, sqlite3_value **argv);
  } funcs[] = {
      {"lsm_flush", 1, SQLITE_DIRECTONLY, flush_func},
      {"lsm_compact", 1, SQLITE_DIRECTONLY, compact_func},
      {"lsm_verify", 1, SQLITE_DIRECTONLY, verify_func},
      {"lsm_delete_range", 3, SQLITE_DIRECTONLY, delete_range_func},
      {"lsm_create_index", 3, SQLITE_DIRECTONLY, create_index_func},
      {"lsm_drop_index", 2, SQLITE_DIRECTONLY, drop_index_func},
      {"lsm_add_column", 2, SQLITE_DIRECTONLY, add_column_func},
      {"lsm_backup", 1, SQLITE_DIRECTONLY, lsm_backup_func},
      /* The last: that it is there says that all the others are. */
      {"lsm_version", 0, SQLITE_INNOCUOUS | SQLITE_DETERMINISTIC, version_func},
  };
  int rc = SQLITE_OK;
  for (size_t i = 0; i < sizeof(funcs) / sizeof(funcs[0]) && rc == SQLITE_OK; i++) {
    rc = sqlite3_create_function_v2(db, funcs[i].name, funcs[i].argc, SQLITE_UTF8 | funcs[i].flags,
                                    conn, funcs[i].fn, NULL, NULL, NULL);
  }
  return rc;
}
