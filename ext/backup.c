/* backup.c: the SQL function lsm_backup: the database and its store, copied.
**
** Nothing of this may run on the application's own connection, which is busy
** with the function's statement; so there are two plain connections to the same
** file. One takes the write lock for a moment: with no writer about, the other
** starts a read transaction and the store holds its state, and so both show the
** same instant. Then writers go on, while database and store are copied from
** what was held. (In rollback-journal modes a commit waits for readers, so also
** for the copying of the database, as for any reader.)
**
** Owns:  the connections, the held instant, and DEST until it is complete. */
#include <string.h>

#include "vtab.h"

#define PAGES_PER_STEP 256

typedef struct job {
  lsm_conn *conn;
  sqlite3_vfs *vfs;
  const char *file;  /* of the database; SQLite's */
  char *dest;        /* full name */
  int64_t busy_ms;   /* how long to wait for a lock, */
  int64_t waited_ms; /* and how long this one was waited for */
  sqlite3 *lock, *source, *target;
  lsm_conn_store *cs; /* referenced; NULL: there are no lsm tables */
  lsm_backup_point *point;
  bool target_made;
  char *err;
} job;

/* Replaces the message; returns the code. */
static int fail(job *j, int code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  sqlite3_free(j->err);
  j->err = sqlite3_vmprintf(fmt, ap);
  va_end(ap);
  return code;
}

static int fail_sql(job *j, int code, sqlite3 *db) {
  return fail(j, code, "%s", lsm_sql_message(db, code));
}

static int fail_store(job *j, lsm_rc rc) {
  return rc == LSM_OK ? SQLITE_OK : fail(j, lsm_sqlite_code(rc), "%s", lsm_errmsg());
}

static bool interrupted(job *j) {
  lsm_interrupt intr = lsm_conn_interrupt(j->conn);
  return intr.fn(intr.arg);
}

/*------------------------------------------------------------ connections */

/* Waits as the application's own connection would, but can be interrupted. */
static int wait_for_lock(void *arg, int n) {
  job *j = arg;
  if (n == 0) j->waited_ms = 0;
  if (j->waited_ms >= j->busy_ms || interrupted(j)) return 0;
  sqlite3_sleep(10);
  j->waited_ms += 10;
  return 1;
}

static int open_plain(job *j, const char *file, int flags, sqlite3 **db) {
  int rc = sqlite3_open_v2(file, db, flags, j->vfs->zName);
  if (rc == SQLITE_OK) rc = sqlite3_busy_handler(*db, wait_for_lock, j);
  return rc == SQLITE_OK ? rc : fail(j, rc, "cannot open %s: %s", file, lsm_sql_message(*db, rc));
}

static int run(job *j, sqlite3 *db, const char *sql) {
  int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  if (rc == SQLITE_BUSY && interrupted(j)) return fail(j, SQLITE_INTERRUPT, "interrupted");
  return rc == SQLITE_OK ? rc : fail_sql(j, rc, db);
}

/* What is to be copied must have a name, and the copy's must be free. */
static int check_names(job *j, const char *dest) {
  sqlite3 *db = j->conn->db;
  int exists = 0;
  j->file = sqlite3_db_filename(db, "main");
  if (j->file == NULL || j->file[0] == 0) {
    return fail(j, SQLITE_ERROR, "lsm_backup() cannot copy a database without a file");
  }
  int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_VFS_POINTER, &j->vfs);
  if (rc != SQLITE_OK || j->vfs == NULL) {
    return fail(j, SQLITE_ERROR, "lsm_backup() cannot copy %s", j->file);
  }
  if (dest[0] == 0 || dest[0] == ':') {
    return fail(j, SQLITE_ERROR, "lsm_backup() needs the name of a file");
  }
  j->dest = sqlite3_malloc(j->vfs->mxPathname + 1);
  if (j->dest == NULL) return SQLITE_NOMEM;
  rc = j->vfs->xFullPathname(j->vfs, dest, j->vfs->mxPathname + 1, j->dest);
  if ((rc & 0xff) != SQLITE_OK) return fail(j, SQLITE_CANTOPEN, "cannot open %s", dest);
  rc = j->vfs->xAccess(j->vfs, j->dest, SQLITE_ACCESS_EXISTS, &exists);
  if (rc != SQLITE_OK) return fail(j, rc, "cannot look for %s", dest);
  return exists ? fail(j, SQLITE_ERROR, "%s exists already", dest) : SQLITE_OK;
}

/*------------------------------------------------------------- the tables */

static bool is_lsm_table(sqlite3 *db, const char *table) {
  lsm_catalog cat;
  int rc = lsm_catalog_read(db, "main", table, &cat, NULL);
  lsm_catalog_fini(&cat);
  return rc == SQLITE_OK;
}

/* Takes the store of one virtual table into j->cs. Tables of other modules are
** no concern of ours. */
static int take_table(job *j, const char *table) {
  lsm_vtab *v = NULL;
  char *err = NULL;
  char *name = sqlite3_mprintf("main.%s", table);
  if (name == NULL) return SQLITE_NOMEM;
  int rc = lsm_vtab_find(j->conn, name, &v, &err);
  sqlite3_free(name);
  if (rc == SQLITE_OK) {
    if (v->schema->opt.given & LSM_OPT_PATH) {
      rc = fail(j, SQLITE_ERROR, "lsm_backup() does not copy table %s, which has its own path=",
                table);
    } else if (lsm_store_is_memory(v->cs->store)) {
      rc = fail(j, SQLITE_ERROR, "lsm_backup() cannot copy table %s, which is in memory", table);
    } else if (v->cs->txn != NULL) {
      rc = fail(j, SQLITE_BUSY, "lsm_backup() cannot run inside a statement that writes to %s",
                table);
    } else if (j->cs == NULL) {
      j->cs = v->cs;
      j->cs->refs++;
    }
  } else if (rc == SQLITE_ERROR && !is_lsm_table(j->source, table)) {
    rc = SQLITE_OK;
  } else {
    rc = fail(j, rc, "%s", err == NULL ? "out of memory" : err);
  }
  sqlite3_free(err);
  return rc;
}

/* All virtual tables that the source connection sees. The names come first:
** connecting a table runs SQL of its own. */
static int find_store(job *j) {
  char **names = NULL;
  int rows = 0, columns = 0;
  int rc = sqlite3_get_table(j->source,
                             "SELECT name FROM main.sqlite_master WHERE type = 'table'"
                             " AND sql LIKE 'CREATE VIRTUAL TABLE%'",
                             &names, &rows, &columns, NULL);
  if (rc != SQLITE_OK) rc = fail_sql(j, rc, j->source);
  for (int i = 1; i <= rows && rc == SQLITE_OK; i++) rc = take_table(j, names[i]);
  sqlite3_free_table(names);
  return rc;
}

/*------------------------------------------------------------ the instant */

/* The store is flushed once before: then the flush under the lock is short. */
static int hold_instant(job *j) {
  lsm_interrupt intr = lsm_conn_interrupt(j->conn);
  int rc = find_store(j);
  if (rc == SQLITE_OK && j->cs != NULL) {
    rc = fail_store(j, lsm_flush(lsm_store_db(j->cs->store), &intr));
  }
  if (rc == SQLITE_OK) rc = run(j, j->lock, "BEGIN IMMEDIATE");
  if (rc == SQLITE_OK) rc = run(j, j->source, "BEGIN; SELECT count(*) FROM main.sqlite_master");
  if (rc == SQLITE_OK) rc = find_store(j);
  if (rc == SQLITE_OK && j->cs != NULL) {
    rc = fail_store(j, lsm_backup_begin(lsm_store_db(j->cs->store), &intr, &j->point));
  }
  if (rc == SQLITE_OK) rc = run(j, j->lock, "ROLLBACK");
  return rc;
}

/*--------------------------------------------------------------- the copy */

static int copy_database(job *j) {
  int rc = open_plain(j, j->dest, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &j->target);
  j->target_made = true;
  if (rc != SQLITE_OK) return rc;
  sqlite3_backup *b = sqlite3_backup_init(j->target, "main", j->source, "main");
  if (b == NULL) return fail_sql(j, sqlite3_errcode(j->target), j->target);
  do {
    rc = sqlite3_backup_step(b, PAGES_PER_STEP);
    if (rc == SQLITE_OK && interrupted(j)) rc = SQLITE_INTERRUPT;
  } while (rc == SQLITE_OK);
  int finished = sqlite3_backup_finish(b);
  if (rc == SQLITE_INTERRUPT) return fail(j, rc, "interrupted");
  if (rc == SQLITE_DONE) rc = finished;
  if (rc != SQLITE_OK) return fail(j, rc, "cannot write %s: %s", j->dest, sqlite3_errstr(rc));
  return run(j, j->source, "ROLLBACK");
}

/* The store goes where the copied database will look for it. */
static int copy_store(job *j) {
  if (j->point == NULL) return SQLITE_OK;
  lsm_interrupt intr = lsm_conn_interrupt(j->conn);
  char *dir = sqlite3_mprintf("%s-lsm", sqlite3_db_filename(j->target, "main"));
  if (dir == NULL) return SQLITE_NOMEM;
  int rc = fail_store(j, lsm_backup_copy(j->point, dir, &intr));
  sqlite3_free(dir);
  return rc;
}

static void remove_target(job *j) {
  static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};
  for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
    char *name = sqlite3_mprintf("%s%s", j->dest, suffixes[i]);
    if (name != NULL) (void)j->vfs->xDelete(j->vfs, name, 0);
    sqlite3_free(name);
  }
}

/* Closing ends what is open. */
static void cleanup(job *j, bool failed) {
  sqlite3_close(j->lock);
  sqlite3_close(j->source);
  sqlite3_close(j->target);
  if (failed && j->target_made) remove_target(j);
  lsm_backup_end(j->point);
  lsm_conn_store_unref(j->cs);
  sqlite3_free(j->dest);
}

void lsm_backup_func(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
  job j;
  (void)argc;
  memset(&j, 0, sizeof(j));
  j.conn = sqlite3_user_data(ctx);
  j.busy_ms = lsm_conn_pragma(j.conn, "main", "busy_timeout", 0);
  const char *dest = (const char *)sqlite3_value_text(argv[0]);
  int rc = SQLITE_OK;
  if (sqlite3_value_type(argv[0]) != SQLITE_TEXT || dest == NULL) {
    rc = fail(&j, SQLITE_ERROR, "lsm_backup() needs the name of a file");
  } else if (!sqlite3_get_autocommit(j.conn->db)) {
    rc = fail(&j, SQLITE_ERROR, "lsm_backup() cannot run inside a transaction");
  }
  if (rc == SQLITE_OK) rc = check_names(&j, dest);
  if (rc == SQLITE_OK) rc = open_plain(&j, j.file, SQLITE_OPEN_READWRITE, &j.source);
  if (rc == SQLITE_OK) rc = open_plain(&j, j.file, SQLITE_OPEN_READWRITE, &j.lock);
  if (rc == SQLITE_OK) rc = hold_instant(&j);
  if (rc == SQLITE_OK) rc = copy_database(&j);
  if (rc == SQLITE_OK) rc = copy_store(&j);
  cleanup(&j, rc != SQLITE_OK);
  if (rc == SQLITE_OK) {
    sqlite3_result_text(ctx, "ok", 2, SQLITE_STATIC);
  } else if (rc == SQLITE_NOMEM || j.err == NULL) {
    sqlite3_result_error_nomem(ctx);
  } else {
    sqlite3_result_error(ctx, j.err, -1);
    sqlite3_result_error_code(ctx, rc);
  }
  sqlite3_free(j.err);
}
