/* vtab.c: an lsm table made, connected, renamed and dropped.
**
** Connecting parses the definition and nothing more: SQLite connects every
** virtual table of a file for the mere listing of tables, hostile files'
** tables too. The store is opened when rows are first asked for. */
#include "vtab.h"

#include "base.h"
#include "token.h"

/*---------------------------------------------------- where the data lives */

/* Is the database of the schema one without a file? */
static bool schema_is_memory(sqlite3 *db, const char *schema) {
  const char *file = sqlite3_db_filename(db, schema);
  if (file == NULL || file[0] == 0) return true;
  char *vfs = NULL; /* the memdb VFS has names, but no files; here it is "memdb(address,size)" */
  (void)sqlite3_file_control(db, schema, SQLITE_FCNTL_VFSNAME, &vfs);
  bool memory = vfs != NULL && strncmp(vfs, "memdb", 5) == 0;
  sqlite3_free(vfs);
  return memory;
}

/* The path as SQLite itself writes it in full, symbolic links resolved. */
static char *full_path(const char *path) {
  sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
  int n = vfs->mxPathname + 1;
  char *out = sqlite3_malloc(n);
  if (out == NULL) return NULL;
  int rc = vfs->xFullPathname(vfs, path, n, out);
  if ((rc & 0xff) != SQLITE_OK) {
    sqlite3_free(out);
    return sqlite3_mprintf("%s", path);
  }
  return out;
}

/* The store's directory; *path NULL for the connection's private one. A
** relative path= starts at the database's own directory, so that a definition
** means the same whatever the working directory is. sqlite3_free(*path). */
static int store_path(const lsm_vtab *v, char **path) {
  sqlite3 *db = v->conn->db;
  bool memory = schema_is_memory(db, v->db_schema);
  const char *file = memory ? "" : sqlite3_db_filename(db, v->db_schema);
  const char *given = v->schema->opt.path;
  *path = NULL;
  if (given == NULL) {
    if (memory) return SQLITE_OK;
    *path = sqlite3_mprintf("%s-lsm", file);
    return *path == NULL ? SQLITE_NOMEM : SQLITE_OK;
  }
  const char *slash = given[0] == '/' ? NULL : strrchr(file, '/');
  int dir = slash == NULL ? 0 : (int)(slash - file) + 1;
  char *joined = sqlite3_mprintf("%.*s%s", dir, file, given);
  if (joined == NULL) return SQLITE_NOMEM;
  *path = full_path(joined);
  sqlite3_free(joined);
  return *path == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

/* A copy of a database leads to the store of the original, with path=: it must not use it. */
static int refuse_copy(lsm_vtab *v, const char *path, const char *file, const uint8_t *id,
                       char **err) {
  uint8_t host[LSM_HOST_ID_SIZE];
  lsm_buf original = {0};
  int code = lsm_token_host(v->conn->db, v->db_schema, id, host);
  if (code != SQLITE_OK) return code == SQLITE_NOMEM ? code : SQLITE_OK; /* it has none: later */
  lsm_rc rc = lsm_store_find_original(path, file, id, host, &original);
  code = lsm_sqlite_code(rc);
  if (rc == LSM_OK && original.size > 0) {
    code = SQLITE_CANTOPEN;
    *err = sqlite3_mprintf("table %s: %s is a copy of %s, to which the store %s belongs", v->table,
                           file, (const char *)original.data, path);
  }
  lsm_buf_fini(&original);
  return code;
}

/* Opens the store of v into v->cs; makes it if need be when ID, the one it is known to
** have, is NULL. A database file tells where the store is: without knowing its id it
** cannot lead to anybody else's. */
static int open_share(lsm_vtab *v, const uint8_t *id, char **err) {
  const lsm_table_options *t = &v->schema->opt;
  lsm_options opt;
  char *path = NULL;
  lsm_options_init(&opt);
  if (t->given & LSM_OPT_MEMTABLE_SIZE) opt.memtable_size = (size_t)t->memtable_size;
  if (t->given & LSM_OPT_CACHE_SIZE) opt.cache_size = (size_t)t->cache_size;
  opt.create = id == NULL;
  opt.read_only = sqlite3_db_readonly(v->conn->db, v->db_schema) == 1;
  int code = store_path(v, &path);
  if (code != SQLITE_OK) return code;
  if (path != NULL) opt.store_id = id;
  bool memory = schema_is_memory(v->conn->db, v->db_schema);
  const char *host = memory ? NULL : sqlite3_db_filename(v->conn->db, v->db_schema);
  if (id != NULL && path != NULL && t->path != NULL && host != NULL) {
    code = refuse_copy(v, path, host, id, err);
  }
  lsm_rc rc = LSM_OK;
  if (code == SQLITE_OK) rc = lsm_conn_open_store(v->conn, path, host, &opt, &v->cs);
  sqlite3_free(path);
  if (code != SQLITE_OK || rc == LSM_OK) return code;
  *err = sqlite3_mprintf("table %s: %s", v->table, lsm_errmsg());
  return lsm_sqlite_code(rc);
}

/* Does the connection look at the database as it was before a later transaction? */
static bool is_older_state(lsm_vtab *v) {
  lsm_conn_store *cs = v->cs;
  uint64_t mine = 0, newest = 0;
  bool known = false;
  if (lsm_token_find(cs, v->db_schema) != SQLITE_OK) return false;
  if (lsm_token_read(cs, &mine) != SQLITE_OK) return false;
  const char *file = sqlite3_db_filename(v->conn->db, v->db_schema);
  return file != NULL && file[0] != 0 &&
         lsm_token_peek(file, false, cs->token.host, &newest, &known) == LSM_OK && known &&
         newest != LSM_TOKEN_LOST && newest > mine;
}

/* Does the store know the keyspace, and the catalog the store? */
static int check_identity(lsm_vtab *v, const lsm_catalog *cat, char **err) {
  lsm_db *db = lsm_store_db(v->cs->store);
  lsm_keyspace_options opt;
  if (memcmp(lsm_store_id(db), cat->store_id, LSM_STORE_ID_SIZE) != 0) {
    if (lsm_store_is_memory(v->cs->store)) {
      *err =
          sqlite3_mprintf("table %s: its rows are in the memory of another connection", v->table);
      return SQLITE_CANTOPEN;
    }
    *err = sqlite3_mprintf("table %s: the store %s is not the one this database was using",
                           v->table, lsm_store_path(v->cs->store));
    return SQLITE_CANTOPEN;
  }
  lsm_rc rc = lsm_keyspace_get(db, cat->keyspace, &opt);
  bool same = rc != LSM_OK || opt.expires == v->schema->opt.has_ttl;
  for (int i = 0; i < v->schema->nindex && rc == LSM_OK; i++) {
    int n = v->schema->index[i].number;
    if (cat->index[n] == 0) {
      *err =
          sqlite3_mprintf("shadow table \"%s_lsm\" is damaged: index %d is missing", v->table, n);
      return SQLITE_CORRUPT_VTAB;
    }
    rc = lsm_keyspace_get(db, cat->index[n], &opt);
    same = same && (rc != LSM_OK || opt.expires == v->schema->opt.has_ttl);
  }
  if (rc == LSM_OK && !same) {
    *err = sqlite3_mprintf("table %s: its rows in the store %s %s a time to live, its definition %s",
                           v->table, lsm_store_path(v->cs->store),
                           v->schema->opt.has_ttl ? "are without" : "have",
                           v->schema->opt.has_ttl ? "has one" : "has none");
    return SQLITE_CORRUPT_VTAB;
  }
  if (rc == LSM_NOTFOUND && is_older_state(v)) {
    *err = sqlite3_mprintf("table %s: %s: the state that this transaction reads is no longer kept",
                           v->table, lsm_store_path(v->cs->store));
    return SQLITE_BUSY_SNAPSHOT;
  }
  if (rc != LSM_OK) {
    *err =
        sqlite3_mprintf("table %s: the store %s has no data of it: it is older than the database",
                        v->table, lsm_store_path(v->cs->store));
    return SQLITE_CORRUPT_VTAB;
  }
  return SQLITE_OK;
}

/* From now on the table has rows, and entries. */
static bool is_utf16(sqlite3 *db) {
  sqlite3_stmt *stmt = NULL;
  bool yes = false;
  if (sqlite3_prepare_v2(db, "PRAGMA encoding", -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(stmt, 0);
    yes = name != NULL && strncmp(name, "UTF-16", 6) == 0;
  }
  sqlite3_finalize(stmt);
  return yes;
}

static void use_keyspaces(lsm_vtab *v, const lsm_catalog *cat) {
  v->utf16 = is_utf16(v->conn->db);
  v->keyspace = cat->keyspace;
  v->nindex = v->schema->nindex;
  for (int i = 0; i < v->nindex; i++) {
    v->index[i].def = &v->schema->index[i];
    v->index[i].keyspace = cat->index[v->schema->index[i].number];
  }
}

#define AGE_TRIES 200 /* milliseconds */

/* Has the store all transactions that the database knows of? One that another
** process is just committing, or died in, is in the database a little earlier:
** so look again, and at last settle the log. */
static int check_age(lsm_vtab *v, char **err) {
  lsm_conn_store *cs = v->cs;
  lsm_db *db = lsm_store_db(cs->store);
  uint64_t known = 0;
  if (lsm_store_is_memory(cs->store)) return SQLITE_OK;
  int rc = lsm_token_find(cs, v->db_schema);
  if (rc == SQLITE_OK) rc = lsm_token_read(cs, &known);
  if (rc == SQLITE_NOTFOUND) return SQLITE_OK;
  if (rc != SQLITE_OK) {
    *err = sqlite3_mprintf("table %s: %s", v->table,
                           rc == SQLITE_CORRUPT_VTAB ? "a shadow table (..._lsm) has triggers"
                                                     : lsm_sql_message(v->conn->db, rc));
    return rc;
  }
  for (int i = 0; i < AGE_TRIES && known > lsm_last_txid(db); i++) {
    lsm_snapshot *snap = NULL; /* taking one learns what others have done */
    if (lsm_snapshot_acquire(db, &snap) == LSM_OK) lsm_snapshot_release(snap);
    if (known > lsm_last_txid(db)) sqlite3_sleep(1);
  }
  if (known > lsm_last_txid(db) && cs->txn == NULL) {
    lsm_txn *txn = NULL; /* what a killed writer left is settled by the next */
    if (lsm_txn_begin(db, AGE_TRIES, NULL, &txn) == LSM_OK) (void)lsm_txn_rollback(txn);
  }
  if (known <= lsm_last_txid(db)) return SQLITE_OK;
  *err = sqlite3_mprintf(
      "table %s: the store %s is older than the database %s: it ends with transaction %lld, the"
      " database has %lld",
      v->table, lsm_store_path(cs->store), sqlite3_db_filename(v->conn->db, v->db_schema),
      (long long)lsm_last_txid(db), (long long)known);
  return SQLITE_CANTOPEN;
}

/* Is the definition, as it was read at connect, still the one of the catalog? SQLite
** connects a table anew when it changes; but a row can be written by hand. */
static int check_definition(lsm_vtab *v, const lsm_catalog *cat, char **err) {
  if (v->damage != NULL) {
    *err = sqlite3_mprintf("shadow table \"%s_lsm\" is damaged: %s", v->table, v->damage);
    return SQLITE_CORRUPT_VTAB;
  }
  if (lsm_additions_hash(&cat->more) == v->additions) return SQLITE_OK;
  *err = sqlite3_mprintf("table %s: its shadow table \"%s_lsm\" has changed", v->table, v->table);
  return SQLITE_LOCKED;
}

static int open_existing(lsm_vtab *v, char **err) {
  lsm_catalog cat;
  int rc = lsm_catalog_read(v->conn->db, v->db_schema, v->table, &cat, err);
  if (rc == SQLITE_NOTFOUND) rc = SQLITE_CORRUPT_VTAB;
  if (rc == SQLITE_OK) rc = check_definition(v, &cat, err);
  if (rc == SQLITE_OK) rc = open_share(v, cat.store_id, err);
  if (rc == SQLITE_OK) rc = check_identity(v, &cat, err);
  if (rc == SQLITE_OK) rc = check_age(v, err);
  if (rc == SQLITE_OK) {
    use_keyspaces(v, &cat);
  } else {
    lsm_conn_store_unref(v->cs);
    v->cs = NULL;
  }
  lsm_catalog_fini(&cat);
  return rc;
}

int lsm_vtab_open_store(lsm_vtab *v) {
  char *err = NULL;
  if (v->cs != NULL) return SQLITE_OK;
  int rc = open_existing(v, &err);
  if (rc != SQLITE_OK && err != NULL) (void)lsm_vtab_error(&v->base, rc, "%s", err);
  sqlite3_free(err);
  return rc;
}

/*---------------------------------------------------- connect, disconnect */

static void free_vtab(lsm_vtab *v) {
  if (v == NULL) return;
  for (lsm_vtab **p = &v->conn->vtabs; *p != NULL; p = &(*p)->next) {
    if (*p == v) {
      *p = v->next;
      break;
    }
  }
  lsm_marker_forget(v->conn);
  lsm_history_forget(&v->conn->history);
  lsm_vtab_cursor_free_idle(v);
  lsm_conn_store_unref(v->cs);
  lsm_buf_fini(&v->old_key);
  lsm_buf_fini(&v->new_key);
  lsm_buf_fini(&v->row);
  lsm_buf_fini(&v->found);
  lsm_row_fini(&v->old_row);
  lsm_entry_fini(&v->old_entry);
  lsm_buf_fini(&v->other_key);
  lsm_buf_fini(&v->removals);
  for (int i = 0; i < v->nindex; i++) lsm_entry_fini(&v->index[i].entry);
  sqlite3_free(v->index);
  lsm_schema_free(v->schema);
  for (int i = 0; i < v->argc; i++) sqlite3_free(v->argv[i]);
  sqlite3_free(v->argv);
  sqlite3_free(v->base.zErrMsg);
  sqlite3_free(v->damage);
  sqlite3_free(v->values);
  sqlite3_free(v->hold);
  sqlite3_free(v->db_schema);
  sqlite3_free(v->table);
  sqlite3_free(v);
}

/* What this version cannot do yet is refused here, not misunderstood. */
static int refuse_unsupported(const lsm_schema *s, char **err) {
  if (s->nindex > LSM_MAX_INDEXES) {
    *err = sqlite3_mprintf("table %s: more than %d indexes", s->table, LSM_MAX_INDEXES);
    return SQLITE_ERROR;
  }
  return SQLITE_OK;
}

static int keep_args(lsm_vtab *v, int argc, const char *const *argv) {
  v->argv = sqlite3_malloc64(sizeof(char *) * (size_t)argc);
  if (v->argv == NULL) return SQLITE_NOMEM;
  for (; v->argc < argc; v->argc++) {
    v->argv[v->argc] = sqlite3_mprintf("%s", argv[v->argc]);
    if (v->argv[v->argc] == NULL) return SQLITE_NOMEM;
  }
  return SQLITE_OK;
}

/* What was done to the table since it was made. A catalog that is damaged, or gone,
** is for whoever wants rows: the table must connect to be dropped. */
static int read_additions(lsm_vtab *v, lsm_catalog *cat, char **err) {
  lsm_conn *c = v->conn;
  if (c->connecting > 0) { /* of a hostile file: a shadow table is an ordinary one */
    *err = sqlite3_mprintf("table %s: it is the shadow table of another", v->table);
    return SQLITE_ERROR;
  }
  c->connecting++;
  int rc = lsm_catalog_read(c->db, v->db_schema, v->table, cat, NULL);
  c->connecting--;
  if (rc == SQLITE_NOTFOUND || rc == SQLITE_ERROR || (rc & 0xff) == SQLITE_CORRUPT) {
    lsm_catalog_fini(cat);
    rc = SQLITE_OK;
  }
  if (rc != SQLITE_OK) *err = sqlite3_mprintf("table %s: %s", v->table, lsm_sql_message(c->db, rc));
  v->additions = lsm_additions_hash(&cat->more);
  return rc;
}

/* The definition, with what the catalog adds to it. */
static int parse_schema(lsm_vtab *v, int argc, const char *const *argv, bool made, char **err) {
  lsm_catalog cat;
  memset(&cat, 0, sizeof(cat));
  int rc = made ? SQLITE_OK : read_additions(v, &cat, err);
  if (rc == SQLITE_OK && v->additions != 0) {
    rc = lsm_schema_parse_more(v->conn->db, argc, argv, &cat.more, &v->schema, &v->damage);
    if (rc == SQLITE_ERROR) rc = SQLITE_OK;
  }
  lsm_catalog_fini(&cat);
  if (rc == SQLITE_OK && v->schema == NULL) {
    rc = lsm_schema_parse(v->conn->db, argc, argv, &v->schema, err);
  }
  return rc;
}

/* The object, its definition parsed and declared. made: just now. */
static int new_vtab(sqlite3 *db, lsm_conn *conn, int argc, const char *const *argv, bool made,
                    lsm_vtab **out, char **err) {
  *out = NULL;
  lsm_vtab *v = sqlite3_malloc(sizeof(*v));
  if (v == NULL) return SQLITE_NOMEM;
  memset(v, 0, sizeof(*v));
  v->conn = conn;
  v->next = conn->vtabs;
  conn->vtabs = v;
  v->db_schema = sqlite3_mprintf("%s", argv[1]);
  v->table = sqlite3_mprintf("%s", argv[2]);
  int rc = v->db_schema == NULL || v->table == NULL ? SQLITE_NOMEM : SQLITE_OK;
  if (rc == SQLITE_OK) rc = keep_args(v, argc, argv);
  if (rc == SQLITE_OK) rc = parse_schema(v, argc, argv, made, err);
  if (rc == SQLITE_OK) rc = refuse_unsupported(v->schema, err);
  if (rc == SQLITE_OK) {
    int n = v->schema->ncolumn;
    v->values = sqlite3_malloc((int)sizeof(lsm_value) * n);
    v->hold = sqlite3_malloc((int)sizeof(sqlite3_value *) * n);
    size_t size = sizeof(lsm_vindex) * ((size_t)v->schema->nindex + 1);
    v->index = sqlite3_malloc64(size);
    if (v->index != NULL) memset(v->index, 0, size);
    if (v->values == NULL || v->hold == NULL || v->index == NULL) rc = SQLITE_NOMEM;
    if (v->hold != NULL) memset(v->hold, 0, sizeof(sqlite3_value *) * (size_t)n);
  }
  if (rc == SQLITE_OK) {
    char *sql = lsm_schema_declaration(v->schema);
    rc = sql == NULL ? SQLITE_NOMEM : lsm_declare_vtab(db, sql);
    if (rc == SQLITE_ERROR || rc == SQLITE_INTERRUPT) {
      *err = sqlite3_mprintf("table %s: %s", v->table, lsm_sql_message(db, rc));
    }
    sqlite3_free(sql);
  }
  if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
  if (rc != SQLITE_OK) {
    free_vtab(v);
    return rc;
  }
  *out = v;
  return SQLITE_OK;
}

static int vtab_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                        sqlite3_vtab **out, char **err) {
  lsm_vtab *v;
  lsm_marker_make(aux, 0);
  int rc = new_vtab(db, aux, argc, argv, false, &v, err);
  *out = v == NULL ? NULL : &v->base;
  return rc;
}

/* Keyspaces for the rows and for each index: numbers are durable at once, so
** what was made goes when something fails. */
static int make_keyspaces(lsm_vtab *v, lsm_catalog *cat, char **err) {
  lsm_db *store = lsm_store_db(v->cs->store);
  lsm_keyspace_options opt;
  memset(cat, 0, sizeof(*cat));
  memcpy(cat->store_id, lsm_store_id(store), LSM_STORE_ID_SIZE);
  lsm_keyspace_options_init(&opt);
  lsm_schema_keyspace_options(v->schema, &opt);
  lsm_rc rc = lsm_keyspace_create(store, &opt, &cat->keyspace);
  for (int i = 0; i < v->schema->nindex && rc == LSM_OK; i++) {
    rc = lsm_keyspace_create(store, &opt, &cat->index[i]);
  }
  if (rc == LSM_OK) return SQLITE_OK;
  *err = sqlite3_mprintf("table %s: %s", v->table, lsm_errmsg());
  return lsm_sqlite_code(rc);
}

static void drop_keyspaces(lsm_vtab *v, const lsm_catalog *cat) {
  lsm_db *store = lsm_store_db(v->cs->store);
  if (cat->keyspace != 0) (void)lsm_keyspace_drop(store, cat->keyspace);
  for (int i = 0; i < LSM_MAX_INDEXES; i++) {
    if (cat->index[i] != 0) (void)lsm_keyspace_drop(store, cat->index[i]);
  }
}

static int vtab_create(sqlite3 *db, void *aux, int argc, const char *const *argv,
                       sqlite3_vtab **out, char **err) {
  lsm_vtab *v;
  lsm_catalog cat;
  *out = NULL;
  lsm_marker_make(aux, 1);
  int code = new_vtab(db, aux, argc, argv, true, &v, err);
  if (code != SQLITE_OK) return code;
  code = open_share(v, NULL, err);
  if (code == SQLITE_OK) {
    code = make_keyspaces(v, &cat, err);
    if (code == SQLITE_OK) code = lsm_catalog_create(db, v->db_schema, v->table, &cat, err);
    if (code == SQLITE_OK) code = lsm_token_create(db, v->db_schema, v->table, cat.store_id);
    if (code != SQLITE_OK) drop_keyspaces(v, &cat);
  }
  if (code != SQLITE_OK) {
    free_vtab(v);
    return code;
  }
  use_keyspaces(v, &cat);
  *out = &v->base;
  return SQLITE_OK;
}

static int vtab_disconnect(sqlite3_vtab *vtab) {
  free_vtab((lsm_vtab *)vtab);
  return SQLITE_OK;
}

/*------------------------------------------------------------ drop, rename */

/* A table whose store is gone or damaged can still be dropped. */
static int vtab_destroy(sqlite3_vtab *vtab) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  lsm_conn *conn = v->conn;
  int rc = SQLITE_OK;
  if (lsm_vtab_open_store(v) == SQLITE_OK) {
    const uint8_t *id = lsm_store_id(lsm_store_db(v->cs->store));
    rc = lsm_marker_join(conn, true);
    if (rc == SQLITE_OK) rc = lsm_token_hand_on(conn->db, v->db_schema, v->table, id);
    if (rc == SQLITE_OK) rc = lsm_conn_add_drop(conn, v->cs, v->keyspace, v->db_schema, false);
    for (int i = 0; i < v->nindex && rc == SQLITE_OK; i++) {
      rc = lsm_conn_add_drop(conn, v->cs, v->index[i].keyspace, v->db_schema, false);
    }
  }
  if (rc == SQLITE_OK) rc = lsm_catalog_drop(conn->db, v->db_schema, v->table, NULL);
  if (rc == SQLITE_OK) free_vtab(v);
  return rc;
}

static int vtab_rename(sqlite3_vtab *vtab, const char *name) {
  lsm_vtab *v = (lsm_vtab *)vtab;
  char *err = NULL;
  char *copy = sqlite3_mprintf("%s", name);
  if (copy == NULL) return SQLITE_NOMEM;
  int rc = lsm_catalog_rename(v->conn->db, v->db_schema, v->table, name, &err);
  if (rc != SQLITE_OK) {
    if (err != NULL) (void)lsm_vtab_error(vtab, rc, "%s", err);
    sqlite3_free(err);
    sqlite3_free(copy);
    return rc;
  }
  sqlite3_free(v->table);
  v->table = copy;
  return SQLITE_OK;
}

static int vtab_shadow_name(const char *suffix) {
  return sqlite3_stricmp(suffix, "lsm") == 0;
}

/*------------------------------------------------------------------- find */

lsm_vtab *lsm_vtab_connected(lsm_conn *c, const char *schema, const char *table) {
  for (lsm_vtab *v = c->vtabs; v != NULL; v = v->next) {
    if (sqlite3_stricmp(v->db_schema, schema) == 0 && sqlite3_stricmp(v->table, table) == 0) {
      return v;
    }
  }
  return NULL;
}

/* Preparing alone does not see that another connection has changed the schema. */
int lsm_vtab_look(lsm_conn *c, const char *schema, sqlite3_stmt **stmt) {
  bool temp = sqlite3_stricmp(schema, "temp") == 0;
  *stmt = NULL;
  char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".%s", schema,
                              temp ? "sqlite_temp_master" : "sqlite_master");
  int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(c->db, sql, -1, stmt, NULL);
  sqlite3_free(sql);
  if (rc != SQLITE_OK) return rc;
  rc = sqlite3_step(*stmt);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Looks in one schema; naming the table in a statement connects it. */
static lsm_vtab *find_in_schema(lsm_conn *c, const char *schema, const char *table) {
  sqlite3_stmt *stmt = NULL;
  (void)lsm_vtab_look(c, schema, &stmt);
  sqlite3_finalize(stmt);
  char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\"", schema, table);
  bool there = sql != NULL && sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL) == SQLITE_OK;
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return there ? lsm_vtab_connected(c, schema, table) : NULL;
}

/* Tries temp, main and the attached databases, in SQLite's own order. */
static lsm_vtab *find_anywhere(lsm_conn *c, const char *table) {
  lsm_vtab *v = find_in_schema(c, "temp", table);
  if (v == NULL) v = find_in_schema(c, "main", table);
  sqlite3_stmt *stmt = NULL;
  if (v == NULL &&
      sqlite3_prepare_v2(c->db, "PRAGMA database_list", -1, &stmt, NULL) == SQLITE_OK) {
    while (v == NULL && sqlite3_step(stmt) == SQLITE_ROW) {
      const char *schema = (const char *)sqlite3_column_text(stmt, 1);
      if (schema != NULL) v = find_in_schema(c, schema, table);
    }
  }
  sqlite3_finalize(stmt);
  return v;
}

int lsm_vtab_find(lsm_conn *c, const char *name, lsm_vtab **out, char **err) {
  *out = NULL;
  lsm_vtab *v = find_anywhere(c, name); /* a dot may be part of the name */
  const char *dot = strchr(name, '.');
  if (v == NULL && dot != NULL) {
    char *schema = sqlite3_mprintf("%.*s", (int)(dot - name), name);
    if (schema == NULL) return SQLITE_NOMEM;
    v = find_in_schema(c, schema, dot + 1);
    sqlite3_free(schema);
  }
  if (v == NULL) {
    lsm_interrupt intr = lsm_conn_interrupt(c); /* then nothing is found */
    if (intr.fn(intr.arg)) {
      *err = sqlite3_mprintf("interrupted");
      return SQLITE_INTERRUPT;
    }
    *err = sqlite3_mprintf("no such lsm table: %s", name);
    return SQLITE_ERROR;
  }
  int rc = SQLITE_OK;
  if (v->cs == NULL) rc = open_existing(v, err);
  if (rc == SQLITE_OK) *out = v;
  return rc;
}

/*----------------------------------------------------------------- module */

/* A header before 3.44 does not know the last method; the library that is running may,
** and finds it where it looks for it (iVersion 4). */
typedef struct module {
  sqlite3_module methods;
#if SQLITE_VERSION_NUMBER < 3044000
  int (*xIntegrity)(sqlite3_vtab *vtab, const char *schema, const char *table, int flags,
                    char **err);
#endif
} module;

static const module lsm_module = {
    .methods.iVersion = 4,
#if SQLITE_VERSION_NUMBER < 3044000
    .xIntegrity = lsm_vtab_integrity,
#else
    .methods.xIntegrity = lsm_vtab_integrity,
#endif
    .methods.xCreate = vtab_create,
    .methods.xConnect = vtab_connect,
    .methods.xBestIndex = lsm_vtab_best_index,
    .methods.xDisconnect = vtab_disconnect,
    .methods.xDestroy = vtab_destroy,
    .methods.xOpen = lsm_vtab_cursor_open,
    .methods.xClose = lsm_vtab_cursor_close,
    .methods.xFilter = lsm_vtab_filter,
    .methods.xNext = lsm_vtab_next,
    .methods.xEof = lsm_vtab_eof,
    .methods.xColumn = lsm_vtab_column,
    .methods.xRowid = lsm_vtab_rowid,
    .methods.xUpdate = lsm_vtab_update,
    .methods.xBegin = lsm_vtab_begin,
    .methods.xSync = lsm_vtab_sync,
    .methods.xCommit = lsm_vtab_commit,
    .methods.xRollback = lsm_vtab_rollback,
    .methods.xRename = vtab_rename,
    .methods.xSavepoint = lsm_vtab_savepoint,
    .methods.xRelease = lsm_vtab_release,
    .methods.xRollbackTo = lsm_vtab_rollback_to,
    .methods.xShadowName = vtab_shadow_name,
};

/* The connection's object goes with this module: it is the last to go. */
int lsm_vtab_register(sqlite3 *db, lsm_conn *conn) {
  return sqlite3_create_module_v2(db, "lsm", &lsm_module.methods, conn, lsm_conn_free);
}
