/* proof.c: has this transaction changed nothing but lsm tables? */
#include "proof.h"

#include <string.h>

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
      "Prev", "Real", "RealAffinity", "Remainder", "ResetCount", "ResetSorter", "Return",
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

/* EXPLAIN of the statement, read: VBegin, VOpen and VUpdate of our table only. */
static bool program_is_direct(sqlite3 *db, const char *sql, const sqlite3_vtab *vtab) {
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
  sqlite3_finalize(stmt);
  sqlite3_free(text);
  sqlite3_free(ours);
  return direct && rc == SQLITE_DONE && begins == 1;
}

/* The verdict on a statement, from the cache when it is still of the same
** program: a statement prepared anew at the same address begins at run 1. */
static bool judge(lsm_proof *p, sqlite3 *db, sqlite3_stmt *stmt, const sqlite3_vtab *vtab) {
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
  p->cache[slot].stmt = stmt;
  p->cache[slot].reprepared = reprepared;
  p->cache[slot].run = run;
  p->cache[slot].direct = program_is_direct(db, sql, vtab);
  return p->cache[slot].direct;
}

void lsm_proof_begin(lsm_proof *p, sqlite3 *db, const sqlite3_vtab *vtab) {
  p->one_statement = sqlite3_get_autocommit(db) != 0;
  p->direct = false;
  if (!p->one_statement) return;
  sqlite3_stmt *stmt = running_writer(db);
  p->direct = stmt != NULL && judge(p, db, stmt, vtab);
  p->changes = total_changes(db);
}

void lsm_proof_spoil(lsm_proof *p) { p->one_statement = p->direct = false; }

/* Is the host in a rollback mode with its journal untouched? */
static bool journal_is_closed(sqlite3 *db, const char *schema) {
  static const char *const modes[] = {"delete", "truncate", "persist", "memory"};
  sqlite3_stmt *stmt = NULL;
  bool rollback_mode = false;
  char *sql = sqlite3_mprintf("PRAGMA \"%w\".journal_mode", schema);
  if (sql != NULL && sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW) {
    const char *mode = (const char *)sqlite3_column_text(stmt, 0);
    for (size_t i = 0; mode != NULL && i < sizeof(modes) / sizeof(modes[0]); i++) {
      if (strcmp(mode, modes[i]) == 0) rollback_mode = true;
    }
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  sqlite3_file *journal = NULL;
  return rollback_mode &&
         sqlite3_file_control(db, schema, SQLITE_FCNTL_JOURNAL_POINTER, &journal) == SQLITE_OK &&
         journal != NULL && journal->pMethods == NULL;
}

bool lsm_proof_holds(const lsm_proof *p, sqlite3 *db, const char *schema) {
  if (!p->one_statement || total_changes(db) != p->changes) return false;
  return p->direct || journal_is_closed(db, schema);
}
