/* proof.c: has this transaction changed nothing but lsm tables? */
#include "proof.h"

#include <string.h>

#include "vtab.h"

static sqlite3_int64 total_changes(sqlite3 *db) {
#if SQLITE_VERSION_NUMBER >= 3037000
  if (lsm_sqlite_has(3037000)) return sqlite3_total_changes64(db);
#endif
  return sqlite3_total_changes(db);
}

/* The one statement that is running and writes, or NULL when there are several. */
static sqlite3_stmt *running_writer(sqlite3 *db) {
  sqlite3_stmt *found = NULL;
  for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s != NULL; s = sqlite3_next_stmt(db, s)) {
    if (!sqlite3_stmt_busy(s) || sqlite3_stmt_readonly(s)) continue;
    if (found != NULL) return NULL;
    found = s;
  }
  return found;
}

/* Operations that change nothing outside their own program. All others are
** doubt: those that write, those that run functions (which may run SQL), those
** of versions to come. */
static bool op_is_harmless(const char *op) {
  static const char *const ops[] = {
      "Add", "AddImm", "Affinity", "And", "BitAnd", "BitNot", "BitOr", "Blob", "Cast",
      "Close", "CollSeq", "Column", "Compare", "Concat", "Copy", "DecrJumpZero", "Divide",
      "EndCoroutine", "Eq", "Explain", "Filter", "FilterAdd", "Found", "Ge", "Gosub", "Goto",
      "Gt", "Halt", "HaltIfNull", "IdxGE", "IdxGT", "IdxInsert", "IdxLE", "IdxLT", "IdxRowid",
      "If", "IfNot", "IfNotZero", "IfNullRow", "IfPos", "Init", "InitCoroutine", "Insert",
      "Int64", "Integer", "IntCopy", "IsNull", "IsTrue", "Jump", "Last", "Le", "Lt",
      "MakeRecord", "Move", "Multiply", "MustBeInt", "Ne", "NewRowid", "Next", "NoConflict",
      "Noop", "Not", "NotExists", "NotFound", "NotNull", "Null", "NullRow", "Once",
      "OpenAutoindex", "OpenDup", "OpenEphemeral", "OpenPseudo", "OpenRead", "Or", "Permutation",
      "Prev", "Real", "RealAffinity", "Remainder", "ResetCount", "ResetSorter", "Return", "RowSetAdd", "RowSetRead", "RowSetTest",
      "Rewind", "Rowid", "RowData", "SCopy", "SeekGE", "SeekGT", "SeekHit", "SeekLE", "SeekLT",
      "SeekRowid", "SeekScan", "Sequence", "ShiftLeft", "ShiftRight", "SoftNull", "Sort",
      "SorterCompare", "SorterData", "SorterInsert", "SorterNext", "SorterOpen", "SorterSort",
      "String", "String8", "Subtract", "TableLock", "Transaction", "Variable", "VColumn",
      "VFilter", "VNext", "Yield"};
  for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
    if (strcmp(op, ops[i]) == 0) return true;
  }
  return false;
}

/* EXPLAIN of the statement, read: VBegin, VOpen and VUpdate of our table only. *code is
** not SQLITE_OK when reading it failed: by that SQLite may have rolled back all there is,
** since an EXPLAIN counts as the statement that it is of. */
static bool program_is_direct(sqlite3 *db, const char *sql, const sqlite3_vtab *vtab, int *code) {
  sqlite3_stmt *stmt = NULL;
  char *text = sqlite3_mprintf("EXPLAIN %s", sql);
  char *ours = sqlite3_mprintf("vtab:%p", (const void *)vtab);
  bool direct = text != NULL && ours != NULL &&
                sqlite3_prepare_v2(db, text, -1, &stmt, NULL) == SQLITE_OK &&
                sqlite3_stmt_isexplain(stmt) == 1;
  int begins = 0, rc = SQLITE_DONE;
  while (direct && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *op = (const char *)sqlite3_column_text(stmt, 1);
    const char *p4 = (const char *)sqlite3_column_text(stmt, 5);
    bool is_ours = p4 != NULL && ours != NULL && strcmp(p4, ours) == 0;
    if (op == NULL) {
      direct = false;
    } else if (strcmp(op, "VBegin") == 0) {
      begins++;
      direct = is_ours;
    } else if (strcmp(op, "VUpdate") == 0 || strcmp(op, "VOpen") == 0) {
      direct = is_ours;
    } else {
      direct = op_is_harmless(op);
    }
  }
  *code = sqlite3_finalize(stmt);
  sqlite3_free(text);
  sqlite3_free(ours);
  return direct && rc == SQLITE_DONE && begins == 1;
}

/* Beside those, what reads nothing but cursors of its own. */
static bool op_reads_nothing(const char *op) {
  static const char *const ops[] = {"BeginSubrtn", "Delete",      "ElseEq",    "ElseNotEq",
                                    "IfSmaller",   "OffsetLimit", "ResultRow", "ZeroOrNull"};
  if (strcmp(op, "OpenRead") == 0) return false;
  for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
    if (strcmp(op, ops[i]) == 0) return true;
  }
  return op_is_harmless(op);
}

/* NAME(arguments) of EXPLAIN: one of SQLite's own, which run no SQL? */
static bool function_is_builtin(sqlite3 *db, const char *p4) {
  sqlite3_stmt *stmt = NULL;
  const char *end = p4 != NULL ? strchr(p4, '(') : NULL;
  bool builtin = false;
  if (end != NULL &&
      sqlite3_prepare_v2(db, "SELECT min(builtin) FROM pragma_function_list WHERE name = ?1"
                             " COLLATE NOCASE", -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_bind_text(stmt, 1, p4, (int)(end - p4), SQLITE_STATIC) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW) {
    builtin = sqlite3_column_int(stmt, 0) == 1;
  }
  sqlite3_finalize(stmt);
  return builtin;
}

static bool is_ours(const lsm_conn *conn, const char *p4) {
  char name[40];
  for (const lsm_vtab *v = conn->vtabs; v != NULL && p4 != NULL; v = v->next) {
    sqlite3_snprintf(sizeof(name), name, "vtab:%p", (const void *)&v->base);
    if (strcmp(name, p4) == 0) return true;
  }
  return false;
}

/* The one statement that is running, or NULL. */
static sqlite3_stmt *running_alone(sqlite3 *db) {
  sqlite3_stmt *found = NULL;
  for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s != NULL; s = sqlite3_next_stmt(db, s)) {
    if (!sqlite3_stmt_busy(s)) continue;
    if (found != NULL) return NULL;
    found = s;
  }
  return found;
}

bool lsm_proof_reads_alone(const lsm_conn *conn) {
  sqlite3 *db = conn->db;
  sqlite3_stmt *running = running_alone(db), *stmt = NULL;
  if (!sqlite3_get_autocommit(db) || running == NULL || !sqlite3_stmt_readonly(running)) return false;
  char *text = sqlite3_mprintf("EXPLAIN %s", sqlite3_sql(running));
  bool alone = text != NULL && sqlite3_prepare_v2(db, text, -1, &stmt, NULL) == SQLITE_OK &&
               sqlite3_stmt_isexplain(stmt) == 1;
  int rc = SQLITE_DONE;
  while (alone && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *op = (const char *)sqlite3_column_text(stmt, 1);
    const char *p4 = (const char *)sqlite3_column_text(stmt, 5);
    bool calls = op != NULL && (strcmp(op, "Function") == 0 || strcmp(op, "PureFunc") == 0 ||
                                strncmp(op, "Agg", 3) == 0);
    alone = op != NULL && (strcmp(op, "VOpen") == 0 ? is_ours(conn, p4)
                           : calls                  ? function_is_builtin(db, p4)
                                                    : op_reads_nothing(op));
  }
  sqlite3_finalize(stmt);
  sqlite3_free(text);
  return alone && rc == SQLITE_DONE;
}

/* The verdict on a statement, from the cache when it is still of the same
** program: a statement prepared anew at the same address begins at run 1. */
static bool judge(lsm_proof *p, sqlite3 *db, sqlite3_stmt *stmt, const sqlite3_vtab *vtab,
                  int *code) {
  const char *sql = sqlite3_sql(stmt);
  int reprepared = sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_REPREPARE, 0);
  int run = sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_RUN, 0);
  if (sql == NULL) return false;
  int slot = -1;
  for (int i = 0; i < LSM_PROOF_CACHE && slot < 0; i++) {
    if (p->cache[i].stmt == stmt) slot = i;
  }
  if (slot >= 0 && p->cache[slot].reprepared == reprepared && run > p->cache[slot].run) {
    p->cache[slot].run = run;
    return p->cache[slot].direct;
  }
  if (slot < 0) {
    slot = p->next;
    p->next = (p->next + 1) % LSM_PROOF_CACHE;
  }
  bool direct = program_is_direct(db, sql, vtab, code);
  p->cache[slot].stmt = *code == SQLITE_OK ? stmt : NULL;
  p->cache[slot].reprepared = reprepared;
  p->cache[slot].run = run;
  p->cache[slot].direct = direct;
  return direct;
}

int lsm_proof_begin(lsm_proof *p, sqlite3 *db, const sqlite3_vtab *vtab) {
  int code = SQLITE_OK;
  p->autocommit = p->one_statement = sqlite3_get_autocommit(db) != 0;
  p->direct = false;
  if (!p->one_statement) return SQLITE_OK;
  sqlite3_stmt *stmt = running_writer(db);
  p->direct = stmt != NULL && judge(p, db, stmt, vtab, &code);
  p->changes = total_changes(db);
  return code;
}

void lsm_proof_spoil(lsm_proof *p) { p->one_statement = p->direct = false; }

void lsm_proof_begin_unseen(lsm_proof *p, sqlite3 *db) {
  p->autocommit = sqlite3_get_autocommit(db) != 0;
  lsm_proof_spoil(p);
}

typedef enum journal_mode { MODE_OTHER, MODE_WAL, MODE_ROLLBACK } journal_mode;

/* Asking costs as much as a lookup of a row: once for a commit. */
static journal_mode find_journal_mode(sqlite3 *db, const char *schema) {
  sqlite3_stmt *stmt = NULL;
  journal_mode found = MODE_OTHER;
  char *sql = sqlite3_mprintf("PRAGMA \"%w\".journal_mode", schema);
  if (sql != NULL && sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW) {
    const char *mode = (const char *)sqlite3_column_text(stmt, 0);
    if (mode != NULL && mode[0] != 0) {
      found = strcmp(mode, "wal") == 0                                     ? MODE_WAL
              : strstr("delete truncate persist memory", mode) != NULL ? MODE_ROLLBACK
                                                                           : MODE_OTHER;
    }
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return found;
}

bool lsm_proof_journal_is_wal(sqlite3 *db, const char *schema) {
  return find_journal_mode(db, schema) == MODE_WAL;
}

/* Is the host's rollback journal, if it has that MODE, untouched? */
static bool journal_is_closed(sqlite3 *db, const char *schema, journal_mode mode) {
  sqlite3_file *journal = NULL;
  return mode == MODE_ROLLBACK &&
         sqlite3_file_control(db, schema, SQLITE_FCNTL_JOURNAL_POINTER, &journal) == SQLITE_OK &&
         journal != NULL && journal->pMethods == NULL;
}

/*---------------------------------------------------- BEGIN ... COMMIT */

/* One number from a PRAGMA of the schema. */
static bool read_counter(sqlite3 *db, const char *schema, const char *pragma,
                         sqlite3_int64 *value) {
  sqlite3_stmt *stmt = NULL;
  char *sql = sqlite3_mprintf("PRAGMA \"%w\".%s", schema, pragma);
  bool ok = sql != NULL && sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
            sqlite3_step(stmt) == SQLITE_ROW;
  if (ok) *value = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return ok;
}

void lsm_history_forget(lsm_history *h) {
  for (int i = 0; i < LSM_KEPT_COUNTERS; i++) {
    sqlite3_finalize(h->kept[i]);
    h->kept[i] = NULL;
  }
  h->forgotten++;
}

/* The same of PRAGMA i of those that are kept, of kept_schema. Compiling it costs several
** times as much as running it. When it has to be compiled anew, SQLite may disconnect
** tables, whose forget() must not find it. */
static bool read_kept(lsm_history *h, sqlite3 *db, int i, const char *pragma,
                      sqlite3_int64 *value) {
  sqlite3_stmt *stmt = h->kept[i];
  unsigned forgotten = h->forgotten;
  h->kept[i] = NULL;
  if (stmt == NULL) {
    char *sql = sqlite3_mprintf("PRAGMA \"%w\".%s", h->kept_schema, pragma);
    if (sql != NULL) {
      (void)sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    }
    sqlite3_free(sql);
  }
  bool ok = stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW;
  if (ok) *value = sqlite3_column_int64(stmt, 0);
  if (sqlite3_reset(stmt) != SQLITE_OK) ok = false;
  if (ok && forgotten == h->forgotten) {
    h->kept[i] = stmt;
  } else {
    sqlite3_finalize(stmt);
  }
  return ok;
}

void lsm_history_look(lsm_history *h, sqlite3 *db, const char *schema) {
  static const char *const counters[LSM_HOST_COUNTERS] = {
      "schema_version", "user_version", "application_id", "freelist_count", "page_count"};
  int keep = strlen(schema) < sizeof(h->kept_schema) ? LSM_KEPT_COUNTERS : 0;
  if (keep > 0 && strcmp(h->kept_schema, schema) != 0) {
    lsm_history_forget(h);
    sqlite3_snprintf(sizeof(h->kept_schema), h->kept_schema, "%s", schema);
  }
  h->has_next = true;
  for (int i = 0; i < LSM_HOST_COUNTERS && h->has_next; i++) {
    h->has_next = i < keep ? read_kept(h, db, i, counters[i], &h->next[i])
                           : read_counter(db, schema, counters[i], &h->next[i]);
  }
  if (!h->has_next) h->known = false;
}

/* The new base of total_changes() may be too low, which brings a token too many,
** but never too high, which would hide changes: so a statement that committed
** although it failed (OR FAIL), and whose rows may not be counted, leaves none. */
void lsm_history_end(lsm_history *h, sqlite3 *db, bool committed, bool autocommit) {
  if (committed && h->has_next) {
    memcpy(h->counters, h->next, sizeof(h->counters));
    h->known = true;
  }
  h->changes = total_changes(db);
  if (committed && autocommit) {
    h->changes += h->own;
    if (h->failed) h->known = false;
  }
  h->has_next = h->failed = false;
  h->own = 0;
}

/* COMMIT, or the RELEASE that is one, must run alone. */
static bool commit_runs_alone(sqlite3 *db) {
  int busy = 0;
  for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s != NULL; s = sqlite3_next_stmt(db, s)) {
    if (!sqlite3_stmt_busy(s)) continue;
    if (!sqlite3_stmt_readonly(s)) return false;
    busy++;
  }
  return busy == 1;
}

/* Is no database but SCHEMA being written? temp does not count: nothing of it
** outlives the connection. */
static bool others_are_quiet(sqlite3 *db, const char *schema) {
#if SQLITE_VERSION_NUMBER >= 3039000
  if (!lsm_sqlite_has(3039000)) return false;
  const char *name;
  for (int i = 0; (name = sqlite3_db_name(db, i)) != NULL; i++) {
    if (i == 1 || sqlite3_stricmp(name, schema) == 0) continue;
    if (sqlite3_txn_state(db, name) == SQLITE_TXN_WRITE) return false;
  }
  return true;
#else
  (void)db, (void)schema;
  return false;
#endif
}

/* Has the pager a dirty page but page 1? It is asked to write them all. */
static bool pager_is_clean(sqlite3 *db, const char *schema) {
  int before = 0, after = 0, high = 0;
  sqlite3_int64 spill = 0;
  return read_counter(db, schema, "cache_spill", &spill) && spill != 0 &&
         sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_WRITE, &before, &high, 0) == SQLITE_OK &&
         sqlite3_db_cacheflush(db) == SQLITE_OK &&
         sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_WRITE, &after, &high, 0) == SQLITE_OK &&
         before == after;
}

static bool transaction_is_ours(lsm_history *h, sqlite3 *db, const char *schema) {
  if (!h->known || h->failed || total_changes(db) - h->changes != h->own) return false;
  if (!commit_runs_alone(db) || !others_are_quiet(db, schema)) return false;
  journal_mode mode = find_journal_mode(db, schema);
  if (journal_is_closed(db, schema, mode)) return true;
  if (mode != MODE_WAL) return false;
  lsm_history_look(h, db, schema);
  return h->has_next && memcmp(h->counters, h->next, sizeof(h->counters)) == 0 &&
         pager_is_clean(db, schema);
}

bool lsm_proof_holds(const lsm_proof *p, lsm_history *h, sqlite3 *db, const char *schema) {
  if (!p->one_statement) return transaction_is_ours(h, db, schema);
  if (total_changes(db) != p->changes) return false;
  return p->direct || journal_is_closed(db, schema, find_journal_mode(db, schema));
}
