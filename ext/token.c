/* token.c: finding, reading and writing the host's token. */
#include "token.h"

#include <string.h>

#include "base.h"
#include "catalog.h"
#include "err.h"
#include "env.h"

/* One shadow table's rows, as far as they matter here. */
typedef struct home_row {
  bool of_store; /* it belongs to the store asked for */
  bool is_home;
  uint8_t host[LSM_HOST_ID_SIZE];
  uint64_t txid;
} home_row;

void lsm_token_forget(lsm_token *t) {
  sqlite3_finalize(t->read);
  sqlite3_finalize(t->write);
  sqlite3_free(t->schema);
  sqlite3_free(t->table);
  memset(t, 0, sizeof(*t));
}

static int prepare(sqlite3 *db, sqlite3_stmt **stmt, unsigned flags, char *sql) {
  *stmt = NULL;
  if (sql == NULL) return SQLITE_NOMEM;
  int rc = sqlite3_prepare_v3(db, sql, -1, flags, stmt, NULL);
  sqlite3_free(sql);
  return rc;
}

/* Reads a shadow table; one that is not ours has other columns and is skipped. */
static int read_home(sqlite3 *db, const char *schema, const char *shadow, const uint8_t *store_id,
                     home_row *h) {
  sqlite3_stmt *stmt;
  memset(h, 0, sizeof(*h));
  int rc = prepare(db, &stmt, 0,
                   sqlite3_mprintf("SELECT name, value FROM \"%w\".\"%w\"", schema, shadow));
  if (rc == SQLITE_NOMEM) return rc;
  if (rc != SQLITE_OK) return SQLITE_OK;
  int have = 0;
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(stmt, 0);
    const void *bytes = sqlite3_column_blob(stmt, 1);
    int n = sqlite3_column_bytes(stmt, 1);
    if (name == NULL) continue;
    if (strcmp(name, "store") == 0 && n == LSM_STORE_ID_SIZE) {
      h->of_store = store_id == NULL || memcmp(bytes, store_id, LSM_STORE_ID_SIZE) == 0;
    } else if (strcmp(name, "host") == 0 && n == LSM_HOST_ID_SIZE) {
      memcpy(h->host, bytes, LSM_HOST_ID_SIZE);
      have |= 1;
    } else if (strcmp(name, "txid") == 0) {
      h->txid = (uint64_t)sqlite3_column_int64(stmt, 1);
      have |= 2;
    }
  }
  h->is_home = have == 3;
  sqlite3_finalize(stmt);
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* What find_shadow() looks for. */
typedef bool (*match_fn)(const home_row *h, const char *table, const void *arg);

/* Looks at the shadow tables of a schema, in the order of their making, until
** one matches; *table is its name without _lsm (sqlite3_free() it), or NULL. */
static int find_shadow(sqlite3 *db, const char *schema, const uint8_t *store_id, match_fn match,
                       const void *arg, home_row *h, char **table) {
  sqlite3_stmt *stmt;
  const char *master = sqlite3_stricmp(schema, "temp") == 0 ? "sqlite_temp_master" : "sqlite_master";
  *table = NULL;
  int rc = prepare(db, &stmt, 0,
                   sqlite3_mprintf("SELECT name FROM \"%w\".%s WHERE type = 'table' AND rootpage > 0"
                                   " AND name LIKE '%%\\_lsm' ESCAPE '\\' ORDER BY rowid",
                                   schema, master));
  if (rc != SQLITE_OK) return rc;
  while (*table == NULL && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *shadow = (const char *)sqlite3_column_text(stmt, 0);
    if (shadow == NULL) continue;
    rc = read_home(db, schema, shadow, store_id, h);
    if (rc != SQLITE_OK) break;
    char *name = sqlite3_mprintf("%.*s", (int)strlen(shadow) - 4, shadow);
    if (name == NULL) {
      rc = SQLITE_NOMEM;
      break;
    }
    if (h->of_store && match(h, name, arg)) {
      *table = name;
    } else {
      sqlite3_free(name);
    }
  }
  sqlite3_finalize(stmt);
  return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static bool match_home(const home_row *h, const char *table, const void *arg) {
  (void)table, (void)arg;
  return h->is_home;
}

static bool match_other(const home_row *h, const char *table, const void *arg) {
  (void)h;
  return sqlite3_stricmp(table, arg) != 0;
}

static bool match_host(const home_row *h, const char *table, const void *arg) {
  (void)table;
  return h->is_home && memcmp(h->host, arg, LSM_HOST_ID_SIZE) == 0;
}

/*--------------------------------------------------------- create and drop */

/* Runs one statement whose side effects the application must not see. */
static int run(sqlite3 *db, char *sql) {
  if (sql == NULL) return SQLITE_NOMEM;
  sqlite3_int64 last = sqlite3_last_insert_rowid(db);
  int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  sqlite3_set_last_insert_rowid(db, last);
  sqlite3_free(sql);
  return rc;
}

/* A host id ends with a hash of the database's file name. So a database that
** has lost the token itself, by a crash in the transaction that made it, can
** still tell that the transaction was its own (lsm_token_peek). */
static void put_name(uint8_t *host, const char *file) {
  const char *slash = file != NULL ? strrchr(file, '/') : NULL;
  const char *name = slash != NULL ? slash + 1 : file;
  if (name == NULL || name[0] == 0) return;
  lsm_set_u32(host + LSM_HOST_ID_SIZE - 4, (uint32_t)lsm_hash64(lsm_slice_str(name), 0));
}

bool lsm_token_has_name(const uint8_t *host, const char *file) {
  uint8_t named[LSM_HOST_ID_SIZE];
  memcpy(named, host, sizeof(named));
  put_name(named, file);
  return memcmp(named, host, sizeof(named)) == 0;
}

int lsm_token_host(sqlite3 *db, const char *schema, const uint8_t *store_id, uint8_t *host) {
  home_row h;
  char *home = NULL;
  int rc = find_shadow(db, schema, store_id, match_home, NULL, &h, &home);
  if (rc == SQLITE_OK && home == NULL) rc = SQLITE_NOTFOUND;
  if (rc == SQLITE_OK) memcpy(host, h.host, LSM_HOST_ID_SIZE);
  sqlite3_free(home);
  return rc;
}

int lsm_token_create(sqlite3 *db, const char *schema, const char *table, const uint8_t *store_id) {
  home_row h;
  char *home = NULL;
  int rc = find_shadow(db, schema, store_id, match_home, NULL, &h, &home);
  if (rc == SQLITE_OK && home == NULL) {
    uint8_t host[LSM_HOST_ID_SIZE];
    char hex[2 * LSM_HOST_ID_SIZE + 1];
    sqlite3_randomness(sizeof(host), host);
    put_name(host, sqlite3_db_filename(db, schema));
    for (int i = 0; i < LSM_HOST_ID_SIZE; i++) sqlite3_snprintf(3, hex + 2 * i, "%02x", host[i]);
    rc = run(db, sqlite3_mprintf("INSERT INTO \"%w\".\"%w_lsm\"(name, value) VALUES"
                                 "('host', x'%s'), ('txid', 0)",
                                 schema, table, hex));
  }
  sqlite3_free(home);
  return rc;
}

int lsm_token_hand_on(sqlite3 *db, const char *schema, const char *table,
                      const uint8_t *store_id) {
  home_row h;
  char *home = NULL, *other = NULL;
  int rc = find_shadow(db, schema, store_id, match_home, NULL, &h, &home);
  if (rc == SQLITE_OK && home != NULL && sqlite3_stricmp(home, table) == 0) {
    rc = find_shadow(db, schema, store_id, match_other, table, &h, &other);
    if (rc == SQLITE_OK && other != NULL) {
      rc = run(db, sqlite3_mprintf("INSERT OR REPLACE INTO \"%w\".\"%w_lsm\"(name, value)"
                                   " SELECT name, value FROM \"%w\".\"%w_lsm\""
                                   " WHERE name IN ('host', 'txid')",
                                   schema, other, schema, table));
    }
  }
  sqlite3_free(home);
  sqlite3_free(other);
  return rc;
}

/*---------------------------------------------------------- read and write */

/* Ours has none, and one would run inside the commit. Besides, a statement of ours whose
** triggers name an lsm table would keep that from ever being disconnected. */
static int refuse_triggers(sqlite3 *db, const char *schema, const char *home) {
  sqlite3_stmt *stmt;
  const char *master = sqlite3_stricmp(schema, "temp") == 0 ? "sqlite_temp_master" : "sqlite_master";
  int rc = prepare(db, &stmt, 0,
                   sqlite3_mprintf("SELECT 1 FROM \"%w\".%s WHERE type = 'trigger' AND"
                                   " tbl_name = '%q_lsm' COLLATE nocase",
                                   schema, master, home));
  if (rc != SQLITE_OK) return rc;
  bool found = sqlite3_step(stmt) == SQLITE_ROW;
  rc = sqlite3_finalize(stmt);
  return found ? SQLITE_CORRUPT_VTAB : rc;
}

int lsm_token_find(lsm_conn_store *cs, const char *schema) {
  lsm_token *t = &cs->token;
  sqlite3 *db = cs->conn->db;
  home_row h;
  char *home = NULL;
  if (t->schema != NULL && sqlite3_stricmp(t->schema, schema) == 0) return SQLITE_OK;
  lsm_token_forget(t);
  int rc = find_shadow(db, schema, lsm_store_id(lsm_store_db(cs->store)), match_home, NULL, &h,
                       &home);
  if (rc != SQLITE_OK) return rc;
  if (home == NULL) return SQLITE_NOTFOUND;
  rc = refuse_triggers(db, schema, home);
  if (rc != SQLITE_OK) {
    sqlite3_free(home);
    return rc;
  }
  memcpy(t->host, h.host, LSM_HOST_ID_SIZE);
  t->table = home;
  t->schema = sqlite3_mprintf("%s", schema);
  unsigned flags = SQLITE_PREPARE_PERSISTENT;
  rc = t->schema == NULL
           ? SQLITE_NOMEM
           : prepare(db, &t->read, flags,
                     sqlite3_mprintf("SELECT value FROM \"%w\".\"%w_lsm\" WHERE name = 'txid'",
                                     schema, home));
  if (rc == SQLITE_OK) {
    rc = prepare(db, &t->write, flags,
                 sqlite3_mprintf("UPDATE \"%w\".\"%w_lsm\" SET value = ?1 WHERE name = 'txid'",
                                 schema, home));
  }
  if (rc != SQLITE_OK) lsm_token_forget(t);
  return rc;
}

/* Looks the home up again: it was renamed, dropped or handed on. */
static int find_again(lsm_conn_store *cs) {
  char *schema = cs->token.schema;
  cs->token.schema = NULL;
  lsm_token_forget(&cs->token);
  int rc = schema == NULL ? SQLITE_NOTFOUND : lsm_token_find(cs, schema);
  sqlite3_free(schema);
  return rc;
}

int lsm_token_read(lsm_conn_store *cs, uint64_t *txid) {
  int rc = SQLITE_OK;
  *txid = 0;
  for (int tries = 0; tries < 2; tries++) {
    sqlite3_stmt *stmt = cs->token.read;
    bool found = sqlite3_step(stmt) == SQLITE_ROW;
    if (found) *txid = (uint64_t)sqlite3_column_int64(stmt, 0);
    rc = sqlite3_reset(stmt);
    if (rc == SQLITE_OK && found) return SQLITE_OK;
    if (rc != SQLITE_OK && rc != SQLITE_ERROR) return rc;
    rc = find_again(cs);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_CORRUPT_VTAB;
}

int lsm_token_write(lsm_conn_store *cs, uint64_t txid) {
  int rc = SQLITE_OK;
  for (int tries = 0; tries < 2; tries++) {
    sqlite3_stmt *stmt = cs->token.write;
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)txid);
    sqlite3_step(stmt);
    rc = sqlite3_reset(stmt);
    bool good = rc == SQLITE_OK && sqlite3_changes(cs->conn->db) == 1;
    /* Prepared anew after a change of the schema it may have other triggers. */
    if (sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_REPREPARE, 1) > 0 && good) {
      lsm_token_forget(&cs->token);
    }
    if (good) return SQLITE_OK;
    if (rc != SQLITE_OK && rc != SQLITE_ERROR) return rc;
    rc = find_again(cs);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_CORRUPT_VTAB;
}

/*------------------------------------------------------------------- peek */

/* file:FILE?immutable=1; sqlite3_free() it. */
static char *immutable_uri(const char *file) {
  sqlite3_str *uri = sqlite3_str_new(NULL);
  sqlite3_str_appendall(uri, "file:");
  for (const char *c = file; *c != 0; c++) {
    sqlite3_str_appendf(uri, strchr("%?#", *c) != NULL ? "%%%02X" : "%c", *c);
  }
  sqlite3_str_appendall(uri, "?immutable=1");
  return sqlite3_str_finish(uri);
}

/* Is anything in a file beside FILE? In doubt there is. Not to be asked about FILE itself:
** to close it would take SQLite's locks on it from the whole process. */
static bool has_beside(const char *file, const char *suffix) {
  lsm_env *env = lsm_env_default();
  lsm_file *f = NULL;
  uint64_t size = 0;
  char *name = sqlite3_mprintf("%s%s", file, suffix);
  lsm_rc rc = name == NULL ? LSM_NOMEM : env->open(env, name, LSM_OPEN_READ, &f);
  if (rc == LSM_OK) rc = f->ops->size(f, &size);
  lsm_file_close(f);
  sqlite3_free(name);
  return rc == LSM_OK ? size > 0 : rc != LSM_NOTFOUND;
}

/* The file is in WAL mode and nothing can be written beside it: SQLite reads it only for
** who says that it does not change (immutable=1). So may we, if all of it is in the file. */
static bool is_unchanging(const char *file, int rc) {
  return ((rc & 0xff) == SQLITE_READONLY || (rc & 0xff) == SQLITE_CANTOPEN) &&
         !has_beside(file, "-wal") && !has_beside(file, "-journal");
}

static int ask_file(const char *name, int flags, const uint8_t *host, home_row *h, char **home,
                    sqlite3 **db) {
  int rc = sqlite3_open_v2(name, db, flags, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_busy_timeout(*db, 10000);
  if (rc == SQLITE_OK) rc = find_shadow(*db, "main", NULL, match_host, host, h, home);
  return rc;
}

lsm_rc lsm_token_peek(const char *file, bool only_read, const uint8_t *host, uint64_t *txid,
                      bool *known) {
  sqlite3 *db = NULL;
  home_row h;
  char *home = NULL;
  *txid = 0;
  *known = false;
  int flags = only_read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  int rc = ask_file(file, flags, host, &h, &home, &db);
  if (is_unchanging(file, rc)) {
    char *uri = immutable_uri(file);
    sqlite3_close(db);
    db = NULL;
    rc = uri == NULL ? SQLITE_NOMEM
                     : ask_file(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, host, &h, &home, &db);
    sqlite3_free(uri);
  }
  if (rc == SQLITE_OK && home != NULL) {
    *txid = h.txid;
    *known = true;
  } else if (rc == SQLITE_OK && lsm_token_has_name(host, file)) {
    *txid = LSM_TOKEN_LOST;
    *known = true;
  }
  lsm_rc result = LSM_OK;
  if (rc != SQLITE_OK) {
    result = lsm_fail((rc & 0xff) == SQLITE_BUSY ? LSM_BUSY : LSM_CANTOPEN,
                      "%s: cannot ask whether a transaction was committed: %s", file,
                      db != NULL ? lsm_sql_message(db, rc) : sqlite3_errstr(rc));
  }
  sqlite3_free(home);
  sqlite3_close(db);
  return result;
}
