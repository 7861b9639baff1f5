/* schema.h: what a CREATE VIRTUAL TABLE ... USING lsm(...) says.
**
** Turns the module's arguments into an lsm_schema: columns, key, indexes,
** options; and an lsm_schema into the text for sqlite3_declare_vtab(). Pure
** text work: no file is looked at, so it is cheap enough for xConnect and safe
** on hostile schemas. Only a DEFAULT makes it run SQL ("SELECT literal").
**
** Bytes   Everything in an lsm_schema belongs to it and lives until
**         lsm_schema_free(). It does not change after lsm_schema_parse(), so
**         any number of cursors may read it. */
#ifndef LSM_EXT_SCHEMA_H
#define LSM_EXT_SCHEMA_H

#include "value.h"

typedef struct lsm_column {
  char *name; /* unquoted */
  char *type; /* as declared, "" for none */
  lsm_affinity affinity;
  lsm_collation collation;
  bool not_null;       /* declared so, or in a PRIMARY KEY other than the rowid */
  bool has_default;    /* and it is not NULL. In a definition only with not_null; in a column that
                       ** was added it is what older rows read */
  lsm_value deflt;     /* with the affinity applied */
  int key_pos;         /* position in the key, -1: not in it. The rowid alias has 0 */
  int stored_pos;      /* position among the values of the row, -1: comes from the key */
  sqlite3_value *hold; /* owns the bytes of deflt; private */
} lsm_column;

/* One column of a key or an index. */
typedef struct lsm_key_part {
  int column;
  lsm_affinity affinity; /* of the column */
  lsm_collation collation;
  bool desc;
} lsm_key_part;

typedef enum lsm_key_kind {
  LSM_KEY_ROWID_HIDDEN, /* no PRIMARY KEY: 8-byte rowids, seen as rowid only */
  LSM_KEY_ROWID_ALIAS,  /* INTEGER PRIMARY KEY: the rowid is column alias_column */
  LSM_KEY_COLUMNS       /* any other PRIMARY KEY: the key is those columns */
} lsm_key_kind;

/* UNIQUE (...) or INDEX name (...). An entry's key is the columns of "all": the
** index's own, then the row's key (a rowid as an INTEGER column, -1 when it is
** hidden). */
typedef struct lsm_index {
  char *name; /* NULL: UNIQUE without a name */
  int number; /* in the catalog */
  bool unique;
  lsm_key_part *part;
  int npart;
  lsm_key_part *all; /* begins with part */
  int nall;
  struct lsm_schema *entry; /* the table's columns with part for a key, to decode with */
} lsm_index;

typedef enum lsm_sync_option {
  LSM_SYNC_OPT_HOST, /* as PRAGMA synchronous of the database */
  LSM_SYNC_OPT_FULL,
  LSM_SYNC_OPT_NORMAL,
  LSM_SYNC_OPT_OFF
} lsm_sync_option;

/* Which options were given; the others are zero and mean the default. */
enum {
  LSM_OPT_PATH = 1u << 0,
  LSM_OPT_COMPACTION = 1u << 1,
  LSM_OPT_COMPRESSION = 1u << 2,
  LSM_OPT_MEMTABLE_SIZE = 1u << 3,
  LSM_OPT_CACHE_SIZE = 1u << 4,
  LSM_OPT_BLOCK_SIZE = 1u << 5,
  LSM_OPT_BLOOM_BITS = 1u << 6,
  LSM_OPT_SYNC = 1u << 7,
  LSM_OPT_TTL = 1u << 8,
  LSM_OPT_TTL_COLUMN = 1u << 9
};

#define LSM_MAX_TTL INT64_C(10000000000) /* seconds: three centuries */

typedef struct lsm_table_options {
  unsigned given; /* LSM_OPT_* */
  char *path;
  lsm_compaction compaction;
  lsm_compression compression;
  uint64_t memtable_size;
  uint64_t cache_size;
  uint32_t block_size;
  uint32_t bloom_bits;
  lsm_sync_option sync;
  bool has_ttl;   /* ttl or ttl_column was given */
  int64_t ttl;    /* seconds */
  int ttl_column; /* -1: none */
} lsm_table_options;

typedef struct lsm_schema {
  char *table; /* argv[2] */
  lsm_column *column;
  int ncolumn;
  lsm_affinity *affinity; /* of each column, for lsm_value_load_all() */
  lsm_key_kind kind;
  int alias_column;  /* LSM_KEY_ROWID_ALIAS: which; else -1 */
  lsm_key_part *key; /* LSM_KEY_COLUMNS: its columns in key order */
  int nkey;          /* 0 for rowids */
  lsm_key_part rowid; /* a rowid as a column: the alias, or -1 */
  int nstored;       /* columns whose values are in the row */
  char *key_column;  /* name of the hidden last column (number ncolumn) that is
                     ** the encoded key of a composite key, or of one by another
                     ** collation than its column's; NULL: there is none */
  lsm_index *index; /* in the order of the definition, columns' UNIQUE first */
  int nindex;
  int ndefined;     /* indexes of the definition, those dropped since included */
  int key_rank;     /* how many of them stand before the PRIMARY KEY */
  lsm_table_options opt;
  struct lsm_chunk *chunks; /* all memory; private */
} lsm_schema;

#define LSM_MAX_INDEXES 60 /* of a table; their numbers are smaller */

/* What was done to a table since CREATE, which keeps its text. All of it is owned
** by whoever has it (catalog.h). */
typedef struct lsm_additions {
  char **column; /* ncolumn definitions, in the order of their adding */
  int ncolumn;
  char *index[LSM_MAX_INDEXES];  /* definition of index N: "INDEX name (...)"; NULL: none */
  bool dropped[LSM_MAX_INDEXES]; /* index N of the definition is gone */
} lsm_additions;

/* Parses argv[0..argc-1] as xCreate and xConnect get them (the first three are
** module, schema and table). DB evaluates DEFAULT literals. SQLITE_OK and
** *schema; or SQLITE_ERROR or SQLITE_NOMEM, *schema NULL and a message in
** *err (sqlite3_free() it; may be NULL for lack of memory). */
int lsm_schema_parse(sqlite3 *db, int argc, const char *const *argv, lsm_schema **schema,
                     char **err);
/* The same, and what MORE says has been done since. */
int lsm_schema_parse_more(sqlite3 *db, int argc, const char *const *argv,
                          const lsm_additions *more, lsm_schema **schema, char **err);
void lsm_schema_free(lsm_schema *schema); /* accepts NULL */

/* X as "INDEX name (columns)", all names quoted; sqlite3_free() it, NULL: no memory. */
char *lsm_schema_index_text(const lsm_schema *schema, const lsm_index *x);

/* The text for sqlite3_declare_vtab(), sqlite3_free() it; NULL: no memory.
**   rowid kinds       CREATE TABLE x(columns)
**   one-column key    CREATE TABLE x(columns, PRIMARY KEY("k")) WITHOUT ROWID
**   composite key     CREATE TABLE x(columns, "lsm_key" HIDDEN BLOB NOT NULL PRIMARY KEY)
**                     WITHOUT ROWID
** The last because SQLite writes only to keys of one column: argv[0] of xUpdate
** and the column number ncolumn are then the encoded key, a blob. */
char *lsm_schema_declaration(const lsm_schema *schema);

/* Number of the column of that name, ASCII case ignored; -1: none. */
int lsm_schema_find_column(const lsm_schema *schema, const char *name);

/* Overrides in *io what the table's options say of the keyspace. */
void lsm_schema_keyspace_options(const lsm_schema *schema, lsm_keyspace_options *io);

#endif
