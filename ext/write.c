/* write.c: xUpdate: rows inserted, changed, deleted.
**
** SQLite checks nothing for a virtual table: affinity, NOT NULL, defaults, the
** key's uniqueness and conflict clauses are all kept here, with the codes and
** messages ordinary tables give. INSERT OR REPLACE is a blind put: what was
** there is not read. (Tables with indexes must know: indexed.c.) One call changes all or nothing.
 */
#include "rowenc.h"
#include "stale.h"
#include "vtab.h"

/* What a call is about. */
typedef struct write_op {
  lsm_vtab *v;
  const lsm_schema *s;
  sqlite3_value **argv; /* the columns */
  int conflict;         /* SQLITE_ROLLBACK .. SQLITE_REPLACE */
  bool update;
  int64_t rowid; /* new, of tables that have them */
  bool fresh;    /* and nobody can have it */
} write_op;

#define LARGE_BUFFER (1u << 20)

/* A mark above all of SQLite's: for changes of two parts. */
#define OWN_SAVEPOINT 0x7fffffff

/*------------------------------------------------------------ constraints */

static int not_null_failed(const write_op *w, int column) {
  return lsm_vtab_error(&w->v->base, SQLITE_CONSTRAINT_NOTNULL, "NOT NULL constraint failed: %s.%s",
                        w->v->table, w->s->column[column].name);
}

/* "UNIQUE constraint failed: t.a, t.b". x: the index, NULL: it is the key. */
static int unique_failed(const write_op *w, const lsm_index *x) {
  const lsm_schema *s = w->s;
  const lsm_key_part *part = x != NULL ? x->part : s->key;
  int npart = x != NULL ? x->npart : s->nkey;
  int code = x != NULL                         ? SQLITE_CONSTRAINT_UNIQUE
             : s->kind == LSM_KEY_ROWID_HIDDEN ? SQLITE_CONSTRAINT_ROWID
                                               : SQLITE_CONSTRAINT_PRIMARYKEY;
  sqlite3_str *str = sqlite3_str_new(w->v->conn->db);
  sqlite3_str_appendall(str, "UNIQUE constraint failed: ");
  if (npart == 0) {
    const char *name = s->kind == LSM_KEY_ROWID_ALIAS ? s->column[s->alias_column].name : "rowid";
    sqlite3_str_appendf(str, "%s.%s", w->v->table, name);
  }
  for (int i = 0; i < npart; i++) {
    sqlite3_str_appendf(str, "%s%s.%s", i > 0 ? ", " : "", w->v->table,
                        s->column[part[i].column].name);
  }
  char *text = sqlite3_str_finish(str);
  code = lsm_vtab_error(&w->v->base, code, "%s", text != NULL ? text : "UNIQUE constraint failed");
  sqlite3_free(text);
  return code;
}

/* Affinity applied. */
static int load_values(const write_op *w) {
  lsm_vtab *v = w->v;
  return lsm_vtab_fail(
      &v->base, lsm_value_load_all(w->argv, w->s->affinity, w->s->ncolumn, v->values, v->hold));
}

/* NULLs where none may be become the default, on INSERT (where SQLite does not
** tell an omitted value from NULL) and on REPLACE. A rowid that is none is
** found before this, as in ordinary tables. */
static int check_nulls(const write_op *w) {
  const lsm_schema *s = w->s;
  lsm_vtab *v = w->v;
  for (int i = 0; i < s->ncolumn; i++) {
    const lsm_column *col = &s->column[i];
    if (v->values[i].type != SQLITE_NULL || !col->not_null || i == s->alias_column) continue;
    if (col->has_default && (!w->update || w->conflict == SQLITE_REPLACE)) {
      v->values[i] = col->deflt;
    } else {
      return not_null_failed(w, i);
    }
  }
  return SQLITE_OK;
}

/* Bytes of V in a record of an ordinary table: its type and itself. */
static uint64_t record_size(const lsm_value *v) {
  if (v->type == SQLITE_INTEGER || v->type == SQLITE_FLOAT) return 9;
  if (v->type == SQLITE_NULL) return 1;
  uint64_t type = 2 * (uint64_t)v->u.s.size + 13, head = 1;
  while ((type >>= 7) > 0) head++;
  return head + v->u.s.size;
}

/* A row as a whole is as long as a single value may be, as in ordinary tables. Numbers
** may take less there: nearly. */
int lsm_vtab_check_length(lsm_vtab *v) {
  uint64_t size = 1;
  for (int i = 0; i < v->schema->ncolumn; i++) {
    size += i == v->schema->alias_column ? 1 : record_size(&v->values[i]);
  }
  if (size <= (uint64_t)sqlite3_limit(v->conn->db, SQLITE_LIMIT_LENGTH, -1)) return SQLITE_OK;
  return lsm_vtab_error(&v->base, SQLITE_TOOBIG, "string or blob too big");
}

/*----------------------------------------------------------------- rowids */

/* The largest rowid of the table as the transaction sees it; 0 when it is empty. */
static lsm_rc find_max_rowid(lsm_vtab *v) {
  lsm_snapshot *snap = NULL;
  lsm_cursor *cur = NULL;
  lsm_slice open = {NULL, 0};
  v->max_rowid = 0;
  v->rowid_none = true;
  lsm_rc rc = lsm_txn_snapshot(v->cs->txn, &snap);
  if (rc == LSM_OK) rc = lsm_cursor_open(snap, v->keyspace, open, open, &cur);
  if (rc == LSM_OK) rc = lsm_cursor_last(cur);
  if (rc == LSM_OK && lsm_cursor_valid(cur)) {
    rc = lsm_key_get_rowid(lsm_cursor_key(cur), &v->max_rowid);
    v->rowid_none = false;
  }
  lsm_cursor_close(cur);
  lsm_snapshot_release(snap);
  if (rc == LSM_OK) v->rowid_epoch = v->cs->txn_epoch;
  return rc;
}

static bool max_rowid_known(const lsm_vtab *v) {
  return v->rowid_epoch == v->cs->txn_epoch;
}

static lsm_rc rowid_is_free(lsm_vtab *v, int64_t rowid, bool *is_free) {
  uint8_t key[LSM_ROWID_KEY_SIZE];
  lsm_key_set_rowid(key, rowid);
  lsm_rc rc = lsm_txn_get(v->cs->txn, v->keyspace, lsm_slice_of(key, sizeof(key)), &v->found);
  *is_free = rc == LSM_NOTFOUND;
  return rc == LSM_NOTFOUND ? LSM_OK : rc;
}

/* One more than the largest; with the largest possible taken, a random one, as
** ordinary tables do. */
static int new_rowid(write_op *w) {
  lsm_vtab *v = w->v;
  lsm_rc rc = max_rowid_known(v) ? LSM_OK : find_max_rowid(v);
  w->fresh = true;
  if (rc == LSM_OK && (v->rowid_none || v->max_rowid < INT64_MAX)) {
    w->rowid = v->rowid_none ? 1 : v->max_rowid + 1;
    return SQLITE_OK;
  }
  for (int tries = 0; rc == LSM_OK && tries < 100; tries++) {
    bool is_free;
    sqlite3_randomness(sizeof(w->rowid), &w->rowid);
    w->rowid &= INT64_MAX >> 1;
    rc = rowid_is_free(v, w->rowid, &is_free);
    if (rc == LSM_OK && is_free) return SQLITE_OK;
  }
  if (rc != LSM_OK) return lsm_vtab_fail(&v->base, rc);
  return lsm_vtab_error(&v->base, SQLITE_FULL, "table %s: no rowid left", v->table);
}

static int mismatch(const write_op *w) {
  return lsm_vtab_error(&w->v->base, SQLITE_MISMATCH, "datatype mismatch");
}

/* The rowid that the statement gives, or none: then there must be a new one.
** OLD: the row's so far. */
static int given_rowid(write_op *w, sqlite3_value *given, int64_t old, bool *none) {
  const lsm_schema *s = w->s;
  const lsm_value *alias = s->alias_column >= 0 ? &w->v->values[s->alias_column] : NULL;
  lsm_value value;
  sqlite3_value *hold = NULL;
  *none = false;
  if (alias != NULL && alias->type != SQLITE_NULL) {
    if (alias->type != SQLITE_INTEGER) return mismatch(w);
    w->rowid = alias->u.i;
    /* UPDATE t SET rowid = ... leaves the alias as it was. */
    if (!w->update || alias->u.i != old) return SQLITE_OK;
  } else if (w->update && alias != NULL) {
    return mismatch(w);
  }
  lsm_rc rc = lsm_value_load(given, LSM_AFF_INTEGER, &value, &hold);
  sqlite3_value_free(hold);
  if (rc != LSM_OK) return lsm_vtab_fail(&w->v->base, rc);
  *none = value.type == SQLITE_NULL;
  if (*none) return w->update ? mismatch(w) : SQLITE_OK;
  if (value.type != SQLITE_INTEGER) return mismatch(w);
  w->rowid = value.u.i;
  return SQLITE_OK;
}

/*------------------------------------------------------------------- keys */

/* The key of the row that argv[0] of xUpdate names. */
static int old_key(lsm_vtab *v, sqlite3_value *arg) {
  const lsm_schema *s = v->schema;
  lsm_rc rc = LSM_OK;
  lsm_buf_clear(&v->old_key);
  if (s->kind != LSM_KEY_COLUMNS) {
    rc = lsm_key_put_rowid(&v->old_key, sqlite3_value_int64(arg));
  } else if (s->key_column != NULL) {
    const void *p = sqlite3_value_blob(arg);
    rc = lsm_buf_append(&v->old_key, p, (size_t)sqlite3_value_bytes(arg));
  } else {
    lsm_value value;
    sqlite3_value *hold = NULL;
    rc = lsm_value_load(arg, s->key[0].affinity, &value, &hold);
    if (rc == LSM_OK) rc = lsm_key_put(&v->old_key, &value, &s->key[0]);
    sqlite3_value_free(hold);
  }
  return lsm_vtab_fail(&v->base, rc);
}

static int new_key(write_op *w) {
  lsm_vtab *v = w->v;
  lsm_buf_clear(&v->new_key);
  lsm_rc rc = w->s->kind == LSM_KEY_COLUMNS ? lsm_key_put_row(&v->new_key, w->s, v->values)
                                            : lsm_key_put_rowid(&v->new_key, w->rowid);
  return lsm_vtab_fail(&v->base, rc);
}

/* Is there a row with this key? */
static int has_key(lsm_vtab *v, const lsm_buf *key, bool *exists) {
  lsm_rc rc = lsm_txn_get(v->cs->txn, v->keyspace, lsm_buf_slice(key), &v->found);
  *exists = rc == LSM_OK;
  return rc == LSM_NOTFOUND ? SQLITE_OK : lsm_vtab_fail(&v->base, rc);
}

/*------------------------------------------------------------ time to live */

#define NEVER   0
#define MAX_SEC (INT64_MAX / 1000 - 2 * LSM_MAX_TTL) /* in which sums do not overflow */

/* Seconds since 1970 as the store wants them; what is long past is past. */
static uint64_t until_of_int(int64_t sec) {
  if (sec > MAX_SEC) return NEVER;
  return sec <= 0 ? 1 : (uint64_t)sec * 1000;
}

static uint64_t until_of_real(double sec) {
  if (sec > (double)MAX_SEC) return NEVER;
  return sec < 0.001 ? 1 : (uint64_t)(sec * 1000.0);
}

/* When the new row expires. Without a time in its column it never does. What is written
** and what it meets go by the present, not by the statements that are open. */
static uint64_t row_until(const write_op *w) {
  const lsm_table_options *o = &w->s->opt;
  if (o->ttl_column < 0) {
    return lsm_now(lsm_store_db(w->v->cs->store)) + (uint64_t)o->ttl * 1000;
  }
  const lsm_value *value = &w->v->values[o->ttl_column];
  int64_t i = o->ttl_column == w->s->alias_column ? w->rowid : value->u.i;
  if (o->ttl_column == w->s->alias_column || value->type == SQLITE_INTEGER) {
    return i > MAX_SEC ? NEVER : until_of_int(i + o->ttl);
  }
  if (value->type == SQLITE_FLOAT) return until_of_real(value->u.r + (double)o->ttl);
  return NEVER;
}

/*------------------------------------------------------------- the writes */

/* The row is there: is its rowid the largest? */
static void note_rowid(const write_op *w) {
  lsm_vtab *v = w->v;
  if (w->s->kind != LSM_KEY_COLUMNS && max_rowid_known(v) &&
      (v->rowid_none || w->rowid > v->max_rowid)) {
    v->max_rowid = w->rowid;
    v->rowid_none = false;
  }
}

static int put_row(write_op *w) {
  lsm_vtab *v = w->v;
  int code = lsm_vtab_check_length(v);
  if (code != SQLITE_OK) return code;
  lsm_rc rc = lsm_row_encode(w->s, v->values, &v->row);
  if (w->s->opt.has_ttl) v->until = row_until(w);
  if (rc == LSM_OK) {
    rc = lsm_vtab_put(v, v->keyspace, lsm_buf_slice(&v->new_key), lsm_buf_slice(&v->row));
  }
  if (rc == LSM_OK) note_rowid(w);
  return lsm_vtab_fail(&v->base, rc);
}

/* The same with all that belongs to a table with indexes. */
static int put_indexed(write_op *w) {
  if (w->s->opt.has_ttl) w->v->until = row_until(w);
  lsm_put put = {w->update, w->conflict == SQLITE_REPLACE, w->fresh, NULL};
  int code = lsm_indexed_put(w->v, &put);
  if (code == SQLITE_OK) note_rowid(w);
  return code == SQLITE_CONSTRAINT ? unique_failed(w, put.violated) : code;
}

/* The row gets another key: both changes or none. */
static int move_row(write_op *w) {
  lsm_vtab *v = w->v;
  lsm_txn *txn = v->cs->txn;
  lsm_rc rc = lsm_txn_savepoint(txn, OWN_SAVEPOINT);
  if (rc != LSM_OK) return lsm_vtab_fail(&v->base, rc);
  int code = lsm_vtab_fail(&v->base, lsm_txn_delete(txn, v->keyspace, lsm_buf_slice(&v->old_key)));
  if (code == SQLITE_OK) code = put_row(w);
  if (code != SQLITE_OK) (void)lsm_txn_rollback_to(txn, OWN_SAVEPOINT);
  lsm_txn_release(txn, OWN_SAVEPOINT);
  v->rowid_epoch = 0; /* the largest may have gone */
  return code;
}

static int insert_row(write_op *w, sqlite3_value *given, sqlite_int64 *rowid) {
  bool exists = false;
  bool blind = w->conflict == SQLITE_REPLACE;
  bool new_one = false;
  int code = load_values(w);
  if (code == SQLITE_OK && w->s->kind != LSM_KEY_COLUMNS) code = given_rowid(w, given, 0, &new_one);
  if (code == SQLITE_OK) code = check_nulls(w);
  if (code == SQLITE_OK && new_one) code = new_rowid(w);
  if (code == SQLITE_OK) code = new_key(w);
  if (w->v->nindex > 0) {
    if (code == SQLITE_OK) code = put_indexed(w);
  } else {
    if (code == SQLITE_OK && !blind && !w->fresh) code = has_key(w->v, &w->v->new_key, &exists);
    if (code == SQLITE_OK && exists) code = unique_failed(w, NULL);
    if (code == SQLITE_OK) code = put_row(w);
  }
  if (code == SQLITE_OK && w->s->kind != LSM_KEY_COLUMNS) *rowid = w->rowid;
  return code;
}

static int update_row(write_op *w, sqlite3_value *old, sqlite3_value *given) {
  lsm_vtab *v = w->v;
  bool exists = false, none;
  int code = load_values(w);
  if (code == SQLITE_OK) code = old_key(v, old);
  if (code == SQLITE_OK && w->s->kind != LSM_KEY_COLUMNS) {
    code = given_rowid(w, given, sqlite3_value_int64(old), &none);
  }
  if (code == SQLITE_OK) code = check_nulls(w);
  if (code == SQLITE_OK) code = new_key(w);
  if (code != SQLITE_OK) return code;
  if (v->nindex > 0) return put_indexed(w);
  if (w->conflict == SQLITE_REPLACE) {
    /* An earlier row of the statement may have replaced this one. */
    code = has_key(v, &v->old_key, &exists);
    if (code != SQLITE_OK || !exists) return code;
  }
  if (lsm_slice_eq(lsm_buf_slice(&v->old_key), lsm_buf_slice(&v->new_key))) return put_row(w);
  if (w->conflict != SQLITE_REPLACE) {
    code = has_key(v, &v->new_key, &exists);
    if (code == SQLITE_OK && exists) code = unique_failed(w, NULL);
  }
  return code == SQLITE_OK ? move_row(w) : code;
}

static int delete_row(lsm_vtab *v, sqlite3_value *old) {
  int code = old_key(v, old);
  if (code != SQLITE_OK) return code;
  if (v->nindex > 0) return lsm_indexed_delete(v);
  v->rowid_epoch = 0;
  return lsm_vtab_fail(&v->base,
                       lsm_txn_delete(v->cs->txn, v->keyspace, lsm_buf_slice(&v->old_key)));
}

int lsm_vtab_delete_range(lsm_vtab *v) {
  lsm_range_delete *r = v->range_delete;
  bool all = r->lower.data == NULL && r->upper.data == NULL;
  lsm_rc rc = lsm_txn_delete_range(v->cs->txn, v->keyspace, r->lower, r->upper);
  if (rc == LSM_OK && !all) rc = lsm_stale_mark(v);
  for (int i = 0; i < v->nindex && rc == LSM_OK && all; i++) {
    rc = lsm_txn_delete_range(v->cs->txn, v->index[i].keyspace, LSM_SLICE_NULL, LSM_SLICE_NULL);
  }
  v->rowid_epoch = 0;
  lsm_conn_changed(v->cs);
  r->done = rc == LSM_OK;
  return lsm_vtab_fail(&v->base, rc);
}

/* A buffer is used again, but not for ever as large as one row made it. */
static void trim(lsm_buf *buf) {
  if (buf->cap > LARGE_BUFFER) lsm_buf_fini(buf);
}

static void trim_all(lsm_vtab *v) {
  trim(&v->row);
  trim(&v->found);
  trim(&v->old_key);
  trim(&v->new_key);
  trim(&v->other_key);
  trim(&v->removals);
  trim(&v->old_entry.key);
  trim(&v->old_entry.value);
  for (int i = 0; i < v->nindex; i++) {
    trim(&v->index[i].entry.key);
    trim(&v->index[i].entry.value);
  }
}

int lsm_vtab_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite_int64 *rowid) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  sqlite3 *db = v->conn->db;
  write_op w = {v, v->schema, argv + 2, sqlite3_vtab_on_conflict(db), false, 0, false};
  v->joined_late = false;
  /* xCreate makes a table part of the transaction without an xBegin. */
  int code = v->cs != NULL && v->cs->txn != NULL ? SQLITE_OK : lsm_vtab_join(v, false);
  if (code != SQLITE_OK) return code;
  if (argc == 1) {
    code = delete_row(v, argv[0]);
  } else if (sqlite3_value_type(argv[0]) == SQLITE_NULL) {
    /* Left alone it would make last_insert_rowid() 0. */
    *rowid = sqlite3_last_insert_rowid(db);
    code = insert_row(&w, argv[1], rowid);
  } else {
    w.update = true;
    code = update_row(&w, argv[0], argv[1]);
  }
  if (argc > 1) lsm_value_unhold(v->hold, v->schema->ncolumn);
  trim_all(v);
  lsm_history_wrote(&v->conn->history, code == SQLITE_OK);
  lsm_conn_changed(v->cs);
  return code;
}
