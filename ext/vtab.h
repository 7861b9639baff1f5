/* vtab.h: an lsm table as SQLite's virtual table, and what its methods share.
**
**   vtab.c    create, connect, destroy, rename
**   plan.c    xBestIndex, and what it tells xFilter; sizes.c what it asks the store
**   search.c  from a plan and values to ranges of keys
**   cursor.c  reading
**   write.c   xUpdate
**   indexed.c the same for tables with indexes
**   vtxn.c    transactions and savepoints */
#ifndef LSM_EXT_VTAB_H
#define LSM_EXT_VTAB_H

#include "catalog.h"
#include "conn.h"
#include "err.h"
#include "index.h"
#include "schema.h"

/* A table's index: what it is, where its entries are. */
typedef struct lsm_vindex {
  const lsm_index *def;
  uint32_t keyspace;
  lsm_entry entry; /* indexed.c's scratch: the new row's */
} lsm_vindex;

/* A range of keys that the next scan is to delete instead of reading; see
** lsm_delete_range() in funcs.c. */
typedef struct lsm_range_delete {
  lsm_slice lower, upper; /* of keys; NULL data: open */
  bool done;
} lsm_range_delete;

/* A change of the table's definition that the next scan is to make instead of
** reading: alter.c. */
typedef struct lsm_alter {
  int (*make)(struct lsm_vtab *v, struct lsm_alter *a); /* an SQLite code; sets zErrMsg */
  const char *name; /* of an index */
  const char *text; /* its columns, or the column's definition */
  bool done;        /* it has been tried */
} lsm_alter;

typedef struct lsm_vtab {
  sqlite3_vtab base;
  lsm_conn *conn;
  int argc; /* what CREATE said, */
  char **argv;
  lsm_schema *schema; /* and what was added since */
  uint64_t additions; /* which (lsm_additions_hash) */
  char *damage;       /* they cannot be understood: why. schema is without them */
  char *db_schema; /* "main", "temp", ...: argv[1] */
  char *table;     /* its name now */
  lsm_conn_store *cs; /* NULL until first used: connecting opens nothing */
  uint32_t keyspace;
  lsm_vindex *index; /* nindex of them once the store is open */
  int nindex;
  bool several_met;   /* where a plan had promised one row (lsm_scan_plan.single) */
  bool utf16;         /* the database's encoding; known when the store is open */
  bool joined_late;   /* into a transaction of others: the next savepoint is not news */
  struct lsm_vtab *next; /* in conn->vtabs */
  int64_t max_rowid;    /* the largest in the table, known in epoch rowid_epoch */
  bool rowid_none;      /* as is that there is none */
  uint64_t rowid_epoch; /* of cs->txn_epoch; 0: not known */
  uint64_t until;       /* write.c's: when the new row expires; 0: never */
  lsm_value *values;    /* its scratch: a row's values, */
  sqlite3_value **hold; /* the copies that own some of their bytes, */
  lsm_buf old_key, new_key, row, found; /* its keys, its bytes, what was there */
  lsm_row old_row;     /* indexed.c's: reads found, */
  lsm_entry old_entry; /* its entry, */
  lsm_buf other_key;   /* whose row it is, */
  lsm_buf removals;    /* and what is to go */
  lsm_range_delete *range_delete; /* NULL: none */
  lsm_alter *alter;               /* NULL: none */
  sqlite3_vtab_cursor *idle_cursor; /* cursor.c's: closed, to be opened again; or NULL */
} lsm_vtab;

/* alter.c: what lsm_create_index(), lsm_drop_index() and lsm_add_column() do, as
** lsm_alter.make; run: has the table do it. An SQLite code, its message is the
** connection's. */
int lsm_alter_create_index(lsm_vtab *v, lsm_alter *a);
int lsm_alter_drop_index(lsm_vtab *v, lsm_alter *a);
int lsm_alter_add_column(lsm_vtab *v, lsm_alter *a);
int lsm_alter_run(lsm_vtab *v, lsm_alter *a);
/* Is a statement of the connection at work that writes? */
bool lsm_alter_in_the_way(sqlite3 *db);

/* build.c: entries in KEYSPACE, which has none, for index X of S, one for each row
** of V: sorted in memory that does not grow with their number. REQUIRES: v->cs->txn. */
lsm_rc lsm_index_build(lsm_vtab *v, const lsm_schema *s, const lsm_index *x, uint32_t keyspace);

/* Opens the table's store if that was not done yet. Sets zErrMsg. */
int lsm_vtab_open_store(lsm_vtab *v);

/* Finds a table of the connection for the SQL functions, by "t" or "schema.t",
** with its store open. Borrowed: only until SQL runs on the connection again,
** which may disconnect it; hold v->cs (cs->refs++, lsm_conn_store_unref()) to
** use the store for longer. An unknown name is SQLITE_ERROR; on any failure
** *err is set (sqlite3_free() it). */
int lsm_vtab_find(lsm_conn *conn, const char *name, lsm_vtab **v, char **err);

/* Steps a statement to its first row, which reads the schema's database: until it is
** finalized the connection sees one state of it, and until then has the table
** definitions of that state. An SQLite code. */
int lsm_vtab_look(lsm_conn *conn, const char *schema, sqlite3_stmt **stmt);

/* The object of that name that was connected last; NULL: there is none. */
lsm_vtab *lsm_vtab_connected(lsm_conn *conn, const char *schema, const char *table);

int lsm_vtab_register(sqlite3 *db, lsm_conn *conn);

/* plan.c. A way to the rows: the columns in whose order they, or an index's
** entries, stand. */
typedef struct lsm_path {
  const lsm_vindex *x; /* NULL: the primary key */
  uint32_t keyspace;
  const lsm_key_part *part;
  int npart;   /* all of them order the rows completely */
  int nterm;   /* the first of them that terms may use */
  int nunique; /* equal in one row at most; 0: no such number */
  bool rowids; /* keys are rowids, not columns */
  bool utf16;  /* what BINARY compares in this database; keys are UTF-8 */
} lsm_path;
/* Do texts in column POS stand in another order than SQLite's? Equality is the same. */
static inline bool lsm_path_is_unsorted(const lsm_path *p, int pos) {
  return p->utf16 && !p->rowids && p->part[pos].column >= 0 &&
         p->part[pos].collation == LSM_COLL_BINARY;
}
lsm_path lsm_plan_path(const lsm_vtab *v, int index);
int lsm_plan_max_parts(const lsm_vtab *v); /* of all paths */

/* What xFilter needs is packed into idxNum; idxStr is for people. */
typedef struct lsm_scan_plan {
  int index;        /* 0: the primary key; n: the table's index n - 1 */
  int neq;          /* equal leading columns of it */
  bool has_lower, lower_strict, has_upper, upper_strict; /* on the next one */
  bool reverse;     /* from the last key to the first */
  bool unique;      /* those are equal in one row at most */
  bool nulls;       /* an equality may be one with NULL (IS) */
  bool merge;       /* rows come in the order of what follows the first neq columns */
  bool skip;        /* the last value is an OFFSET: so many rows are passed over */
  bool single;      /* SQLite was told that it finds one row, but it may find several */
  unsigned literal; /* bit i: the i-th value is a literal text or blob */
} lsm_scan_plan;
int lsm_vtab_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info);
lsm_scan_plan lsm_plan_unpack(int idx_num);

/* cursor.c */
int lsm_vtab_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cur);
int lsm_vtab_cursor_close(sqlite3_vtab_cursor *cur);
void lsm_vtab_cursor_free_idle(lsm_vtab *v);
int lsm_vtab_filter(sqlite3_vtab_cursor *cur, int idx_num, const char *idx_str, int argc,
                    sqlite3_value **argv);
int lsm_vtab_next(sqlite3_vtab_cursor *cur);
int lsm_vtab_eof(sqlite3_vtab_cursor *cur);
int lsm_vtab_column(sqlite3_vtab_cursor *cur, sqlite3_context *ctx, int col);
int lsm_vtab_rowid(sqlite3_vtab_cursor *cur, sqlite_int64 *rowid);

/* write.c. delete_range: what v->range_delete says, with one record and, unless
** it is the whole table, marks in the indexes (stale.h). REQUIRES: a transaction. */
int lsm_vtab_delete_range(lsm_vtab *v);
/* Is the row in v->values as short as the connection's limit asks? */
int lsm_vtab_check_length(lsm_vtab *v);
int lsm_vtab_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite_int64 *rowid);

/* Puts a row, or an entry of it, that expires with it. */
static inline lsm_rc lsm_vtab_put(lsm_vtab *v, uint32_t keyspace, lsm_slice key, lsm_slice value) {
  return v->schema->opt.has_ttl ? lsm_txn_put_until(v->cs->txn, keyspace, key, value, v->until)
                                : lsm_txn_put(v->cs->txn, keyspace, key, value);
}

/* indexed.c: what write.c does, for a table with indexes. REQUIRES: the values
** are loaded, the keys made. replace: rows in the way go; else they make it
** SQLITE_CONSTRAINT and *violated the index, NULL for the key. fresh: nobody can
** have the new key. */
typedef struct lsm_put {
  bool update; /* of the row old_key */
  bool replace;
  bool fresh;
  const lsm_index *violated;
} lsm_put;
int lsm_indexed_put(lsm_vtab *v, lsm_put *put);
int lsm_indexed_delete(lsm_vtab *v);

/* vtxn.c. join: makes sure that the table is part of a transaction; begin: it is
** xBegin that asks. */
int lsm_vtab_join(lsm_vtab *v, bool begin);
int lsm_vtab_begin(sqlite3_vtab *vtab);
int lsm_vtab_sync(sqlite3_vtab *vtab);
int lsm_vtab_commit(sqlite3_vtab *vtab);
int lsm_vtab_rollback(sqlite3_vtab *vtab);
int lsm_vtab_savepoint(sqlite3_vtab *vtab, int n);
int lsm_vtab_release(sqlite3_vtab *vtab, int n);
int lsm_vtab_rollback_to(sqlite3_vtab *vtab, int n);

/* backup.c: the SQL function lsm_backup; its user data is the lsm_conn. */
void lsm_backup_func(sqlite3_context *ctx, int argc, sqlite3_value **argv);

/* funcs.c and tvf.c. integrity: what PRAGMA integrity_check asks from 3.44 on. */
int lsm_vtab_integrity(sqlite3_vtab *vtab, const char *schema, const char *table, int flags,
                       char **err);
int lsm_funcs_register(sqlite3 *db, lsm_conn *conn);
int lsm_tvf_register(sqlite3 *db, lsm_conn *conn);

#endif
