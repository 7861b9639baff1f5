/* alter.c: indexes made and dropped, and columns added, on a table that is there.
**
** What CREATE said stays as it is; the catalog holds what was done since (catalog.h),
** and connecting reads both.
**
** Flow   The SQL function (funcs.c) runs a DELETE on the table, whose scan finds
**        v->alter and makes the change instead of reading. So the change is one
**        statement that writes: it has the host's write lock, the store's
**        transaction, a savepoint of its own, and SQLite takes it back when it
**        fails. It ends with lsm_catalog_announce(): the database's schema number
**        moves in the same transaction.
** Others Whoever wrote before has ended: the lock. Whoever reads an older state of
**        the database has the older schema with the store's snapshot that belongs to
**        it, and cannot write any more (SQLITE_BUSY_SNAPSHOT). All others connect the
**        table anew before their next statement. That needs the store's transaction
**        to be one of both sides: a dropped index writes to it, too.
** Here   Statements that were prepared before are prepared again; those that run have
**        the old object and their snapshots. None that writes may run. */
#include <string.h>

#include "base.h"
#include "vtab.h"

bool lsm_alter_in_the_way(sqlite3 *db) {
  for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s != NULL; s = sqlite3_next_stmt(db, s)) {
    if (sqlite3_stmt_busy(s) && !sqlite3_stmt_readonly(s)) return true;
  }
  return false;
}

/* A range, so that SQLite makes a savepoint for the statement. */
int lsm_alter_run(lsm_vtab *v, lsm_alter *a) {
  const lsm_schema *s = v->schema;
  sqlite3 *db = v->conn->db;
  sqlite3_int64 last = sqlite3_last_insert_rowid(db);
  const char *key = s->kind == LSM_KEY_COLUMNS ? s->column[s->key[0].column].name : "rowid";
  sqlite3_stmt *stmt = NULL;
  char *sql =
      sqlite3_mprintf("DELETE FROM \"%w\".\"%w\" WHERE \"%w\" > ?1", v->db_schema, v->table, key);
  int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK) {
    v->alter = a;
    sqlite3_step(stmt);
    rc = sqlite3_reset(stmt);
    v->alter = NULL;
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  sqlite3_set_last_insert_rowid(db, last);
  return rc;
}

/*------------------------------------------------------------- a change */

/* What a change works with: all empty at first. */
typedef struct change {
  lsm_vtab *v;
  lsm_catalog cat; /* with the change, once it is made there */
  lsm_schema *next; /* the definition with it */
  char *err;
} change;

static int change_begin(change *c, lsm_vtab *v) {
  memset(c, 0, sizeof(*c));
  c->v = v;
  lsm_proof_spoil(&v->cs->proof);
  int rc = lsm_catalog_refuse_triggers(v->conn->db, v->db_schema, v->table, &c->err);
  if (rc != SQLITE_OK) return rc;
  return lsm_catalog_read(v->conn->db, v->db_schema, v->table, &c->cat, &c->err);
}

/* The definition as it will be; WHAT is being done, for the message. */
static int change_parse(change *c, const char *what) {
  lsm_vtab *v = c->v;
  char *err = NULL;
  int rc = lsm_schema_parse_more(v->conn->db, v->argc, (const char *const *)v->argv, &c->cat.more,
                                 &c->next, &err);
  if (rc == SQLITE_ERROR) {
    c->err = sqlite3_mprintf("table %s: %s: %s", v->table, what, err != NULL ? err : "bad definition");
  }
  sqlite3_free(err);
  return rc;
}

static int change_store(change *c, lsm_rc rc) {
  if (rc == LSM_OK) return SQLITE_OK;
  sqlite3_free(c->err);
  c->err = sqlite3_mprintf("table %s: %s", c->v->table, lsm_errmsg());
  return lsm_sqlite_code(rc);
}

/* Tells everybody, and sees that the table still connects. */
static int change_announce(change *c) {
  lsm_vtab *v = c->v;
  sqlite3 *db = v->conn->db;
  sqlite3_stmt *stmt = NULL;
  int rc = lsm_catalog_announce(db, v->db_schema, v->table, &c->err);
  if (rc != SQLITE_OK) return rc;
  char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\"", v->db_schema, v->table);
  rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  if (rc != SQLITE_OK) {
    c->err = sqlite3_mprintf("%s", lsm_sql_message(db, rc));
  } else {
    const lsm_vtab *anew = lsm_vtab_connected(v->conn, v->db_schema, v->table);
    if (anew == NULL || anew == v || anew->additions != lsm_additions_hash(&c->cat.more) ||
        anew->damage != NULL) {
      c->err = sqlite3_mprintf("table %s cannot be connected anew now", v->table);
      rc = SQLITE_LOCKED;
    }
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return rc;
}

/* The result of a lsm_alter.make. */
static int change_end(change *c, int rc) {
  if (rc != SQLITE_OK && c->err != NULL) (void)lsm_vtab_error(&c->v->base, rc, "%s", c->err);
  lsm_conn_changed(c->v->cs);
  lsm_history_wrote(&c->v->conn->history, false); /* what it wrote is not counted */
  lsm_schema_free(c->next);
  lsm_catalog_fini(&c->cat);
  sqlite3_free(c->err);
  return rc;
}

/*---------------------------------------------------------------- indexes */

static const lsm_index *find_number(const lsm_schema *s, int number) {
  for (int i = 0; i < s->nindex; i++) {
    if (s->index[i].number == number) return &s->index[i];
  }
  return NULL;
}

/* A keyspace that goes if the transaction does. */
static int make_keyspace(change *c, uint32_t *keyspace) {
  lsm_vtab *v = c->v;
  lsm_db *db = lsm_store_db(v->cs->store);
  lsm_keyspace_options opt;
  int rc = lsm_marker_join(v->conn, true);
  if (rc != SQLITE_OK) return rc;
  lsm_keyspace_options_init(&opt);
  lsm_schema_keyspace_options(v->schema, &opt);
  rc = change_store(c, lsm_keyspace_create(db, &opt, keyspace));
  if (rc != SQLITE_OK) return rc;
  rc = lsm_conn_add_drop(v->conn, v->cs, *keyspace, v->db_schema, true);
  if (rc != SQLITE_OK) (void)lsm_keyspace_drop(db, *keyspace);
  return rc;
}

/* The number of a new index; its definition, as the user wrote it, is put there. */
static int take_number(change *c, const lsm_alter *a, int *number) {
  int n = c->v->schema->ndefined;
  while (n < LSM_MAX_INDEXES && c->cat.more.index[n] != NULL) n++;
  if (n >= LSM_MAX_INDEXES || c->v->nindex >= LSM_MAX_INDEXES) {
    c->err = sqlite3_mprintf("table %s: index %s: more than %d indexes", c->v->table, a->name,
                             LSM_MAX_INDEXES);
    return SQLITE_ERROR;
  }
  *number = n;
  c->cat.more.index[n] = sqlite3_mprintf("INDEX \"%w\" (%s)", a->name, a->text);
  return c->cat.more.index[n] == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

/* From now on as the catalog has it, whatever comments and spaces there were. */
static int settle_text(change *c, const lsm_index *x) {
  char *text = lsm_schema_index_text(c->next, x);
  if (text == NULL) return SQLITE_NOMEM;
  sqlite3_free(c->cat.more.index[x->number]);
  c->cat.more.index[x->number] = text;
  return SQLITE_OK;
}

int lsm_alter_create_index(lsm_vtab *v, lsm_alter *a) {
  change c;
  int number = 0;
  const lsm_index *x = NULL;
  char *what = sqlite3_mprintf("index %s", a->name);
  int rc = change_begin(&c, v);
  if (rc == SQLITE_OK && what == NULL) rc = SQLITE_NOMEM;
  if (rc == SQLITE_OK) rc = take_number(&c, a, &number);
  if (rc == SQLITE_OK) rc = change_parse(&c, what);
  if (rc == SQLITE_OK) {
    x = find_number(c.next, number);
    rc = x == NULL ? SQLITE_ERROR : settle_text(&c, x);
  }
  if (rc == SQLITE_OK) rc = make_keyspace(&c, &c.cat.index[number]);
  if (rc == SQLITE_OK) rc = change_store(&c, lsm_index_build(v, c.next, x, c.cat.index[number]));
  if (rc == SQLITE_OK) {
    rc = lsm_catalog_add_index(v->conn->db, v->db_schema, v->table, number, c.cat.index[number],
                               c.cat.more.index[number], &c.err);
  }
  if (rc == SQLITE_OK) rc = change_announce(&c);
  sqlite3_free(what);
  return change_end(&c, rc);
}

/* The index of that name, which may go. */
static int find_droppable(change *c, const char *name, const lsm_vindex **out) {
  lsm_vtab *v = c->v;
  *out = NULL;
  for (int i = 0; i < v->nindex && *out == NULL; i++) {
    const lsm_index *x = v->index[i].def;
    if (x->name != NULL && sqlite3_stricmp(x->name, name) == 0) *out = &v->index[i];
  }
  if (*out == NULL) {
    c->err = sqlite3_mprintf("table %s: no such index: %s", v->table, name);
    return SQLITE_ERROR;
  }
  if ((*out)->def->unique) {
    c->err = sqlite3_mprintf("table %s: index %s: index associated with UNIQUE or PRIMARY KEY"
                             " constraint cannot be dropped",
                             v->table, name);
    return SQLITE_ERROR;
  }
  return SQLITE_OK;
}

/* Its entries are deleted as part of the transaction, so that it has one; its files
** go with the keyspace, after the commit. */
int lsm_alter_drop_index(lsm_vtab *v, lsm_alter *a) {
  change c;
  const lsm_vindex *x = NULL;
  int rc = change_begin(&c, v);
  if (rc == SQLITE_OK) rc = find_droppable(&c, a->name, &x);
  if (rc == SQLITE_OK) rc = lsm_marker_join(v->conn, true);
  if (rc == SQLITE_OK) rc = lsm_conn_add_drop(v->conn, v->cs, x->keyspace, v->db_schema, false);
  if (rc == SQLITE_OK) {
    lsm_slice open = LSM_SLICE_NULL;
    rc = change_store(&c, lsm_txn_delete_range(v->cs->txn, x->keyspace, open, open));
  }
  if (rc == SQLITE_OK) {
    int n = x->def->number;
    bool defined = c.cat.more.index[n] == NULL;
    rc = lsm_catalog_drop_index(v->conn->db, v->db_schema, v->table, n, defined, &c.err);
    sqlite3_free(c.cat.more.index[n]);
    c.cat.more.index[n] = NULL;
    c.cat.more.dropped[n] = defined;
  }
  if (rc == SQLITE_OK) rc = change_announce(&c);
  return change_end(&c, rc);
}

/*---------------------------------------------------------------- columns */

static lsm_rc has_rows(lsm_vtab *v, bool *has) {
  lsm_snapshot *snap = NULL;
  lsm_cursor *cur = NULL;
  lsm_rc rc = lsm_txn_snapshot(v->cs->txn, &snap);
  if (rc == LSM_OK) rc = lsm_cursor_open(snap, v->keyspace, LSM_SLICE_NULL, LSM_SLICE_NULL, &cur);
  if (rc == LSM_OK) rc = lsm_cursor_first(cur);
  *has = rc == LSM_OK && lsm_cursor_valid(cur);
  lsm_cursor_close(cur);
  lsm_snapshot_release(snap);
  return rc;
}

static int append_column(change *c, const lsm_alter *a) {
  lsm_additions *more = &c->cat.more;
  size_t size = sizeof(char *) * ((size_t)more->ncolumn + 1);
  char **column = sqlite3_realloc64(more->column, size);
  if (column == NULL) return SQLITE_NOMEM;
  more->column = column;
  column[more->ncolumn] = sqlite3_mprintf("%s", a->text);
  return column[more->ncolumn++] == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

/* What ordinary tables refuse in ALTER TABLE ADD COLUMN, and the parser does not. */
static int check_column(change *c) {
  lsm_vtab *v = c->v;
  const lsm_schema *s = c->next;
  const lsm_column *col = &s->column[s->ncolumn - 1];
  bool rows = false;
  if (s->ncolumn + (s->key_column != NULL) > sqlite3_limit(v->conn->db, SQLITE_LIMIT_COLUMN, -1)) {
    c->err = sqlite3_mprintf("too many columns on %s", v->table);
    return SQLITE_ERROR;
  }
  if (!col->not_null || col->has_default) return SQLITE_OK;
  int rc = change_store(c, has_rows(v, &rows));
  if (rc == SQLITE_OK && rows) {
    c->err = sqlite3_mprintf("table %s: column %s: Cannot add a NOT NULL column with default value"
                             " NULL",
                             v->table, col->name);
    rc = SQLITE_ERROR;
  }
  return rc;
}

int lsm_alter_add_column(lsm_vtab *v, lsm_alter *a) {
  change c;
  int rc = change_begin(&c, v);
  if (rc == SQLITE_OK) rc = append_column(&c, a);
  if (rc == SQLITE_OK) rc = change_parse(&c, "new column");
  if (rc == SQLITE_OK) rc = check_column(&c);
  if (rc == SQLITE_OK) {
    rc = lsm_catalog_add_column(v->conn->db, v->db_schema, v->table, c.cat.more.ncolumn - 1, a->text,
                                &c.err);
  }
  if (rc == SQLITE_OK) rc = change_announce(&c);
  return change_end(&c, rc);
}
