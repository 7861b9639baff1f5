/* test_schema.c: module arguments in, schema or message out; and what SQLite
** makes of the declaration. */
#include "schema.h"

#include "codec_util.h"
#include "tokenize.h"

Suite *schema_suite(void);

enum { MAX_ARGS = 12 };

/* Splits at '|': the test's own separator, since commas are SQL. */
static int parse_list(sqlite3 *db, const char *list, lsm_schema **s, char **err) {
  static char copy[2000];
  const char *argv[MAX_ARGS + 3] = {"lsm", "main", "t"};
  int argc = 3;
  ck_assert(strlen(list) < sizeof copy);
  strcpy(copy, list);
  for (char *p = copy; *list != '\0' && p != NULL;) {
    char *bar = strchr(p, '|');
    if (bar != NULL) *bar = '\0';
    ck_assert_int_lt(argc, MAX_ARGS + 3);
    argv[argc++] = p;
    p = bar == NULL ? NULL : bar + 1;
  }
  return lsm_schema_parse(db, argc, argv, s, err);
}

static lsm_schema *parse(sqlite3 *db, const char *list) {
  lsm_schema *s = NULL;
  char *err = NULL;
  int rc = parse_list(db, list, &s, &err);
  ck_assert_msg(rc == SQLITE_OK, "%s: %s", list, err);
  ck_assert_ptr_null(err);
  return s;
}

/*-------------------------------------------------------------- declaration */

START_TEST(test_declaration) {
  static const struct {
    const char *args, *want;
  } t[] = {
      {"", "CREATE TABLE x(\"key\" NOT NULL, \"value\", PRIMARY KEY(\"key\")) WITHOUT ROWID"},
      {"compaction=tiered",
       "CREATE TABLE x(\"key\" NOT NULL, \"value\", PRIMARY KEY(\"key\")) WITHOUT ROWID"},
      {"a", "CREATE TABLE x(\"a\")"},
      {"a INT|b text NOT NULL", "CREATE TABLE x(\"a\" INT, \"b\" text NOT NULL)"},
      {"id integer primary key|b", "CREATE TABLE x(\"id\" integer, \"b\", PRIMARY KEY(\"id\"))"},
      {"id INTEGER|b|primary key(id desc)",
       "CREATE TABLE x(\"id\" INTEGER, \"b\", PRIMARY KEY(\"id\"))"},
      {"id INTEGER|b|primary key(\"ID\" collate nocase asc)",
       "CREATE TABLE x(\"id\" INTEGER, \"b\", PRIMARY KEY(\"id\"))"},
      {"id INTEGER PRIMARY KEY DESC",
       "CREATE TABLE x(\"id\" INTEGER NOT NULL, PRIMARY KEY(\"id\")) WITHOUT ROWID"},
      {"id INT PRIMARY KEY",
       "CREATE TABLE x(\"id\" INT NOT NULL, PRIMARY KEY(\"id\")) WITHOUT ROWID"},
      {"k TEXT PRIMARY KEY COLLATE nocase|v BLOB",
       "CREATE TABLE x(\"k\" TEXT COLLATE NOCASE NOT NULL, \"v\" BLOB, PRIMARY KEY(\"k\")) "
       "WITHOUT ROWID"},
      {"host TEXT NOT NULL|ts INTEGER|level TEXT COLLATE RTRIM|msg|PRIMARY KEY (host, ts DESC)",
       "CREATE TABLE x(\"host\" TEXT NOT NULL, \"ts\" INTEGER NOT NULL, \"level\" TEXT COLLATE "
       "RTRIM, \"msg\", \"lsm_key\" HIDDEN BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID"},
      {"a|LSM_key|lsm_key_|PRIMARY KEY(a,lsm_key)",
       "CREATE TABLE x(\"a\" NOT NULL, \"LSM_key\" NOT NULL, \"lsm_key_\", \"lsm_key__\" HIDDEN "
       "BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID"},
      {"a|b|PRIMARY KEY(a,A DESC)",
       "CREATE TABLE x(\"a\" NOT NULL, \"b\", PRIMARY KEY(\"a\")) WITHOUT ROWID"},
      {"a /* one */ VARCHAR -- two\n ( 10 , -2 ) /* three", "CREATE TABLE x(\"a\" VARCHAR(10,-2))"},
      {"\"a \"\"q\"\"\"|`b``x`|[c ]|'d''s' \"my type\"",
       "CREATE TABLE x(\"a \"\"q\"\"\", \"b`x\", \"c \", \"d's\" \"my type\")"},
      {"a double   precision NULL CONSTRAINT x CONSTRAINT y NOT NULL ON CONFLICT ABORT",
       "CREATE TABLE x(\"a\" double precision NOT NULL)"},
      {"\xc3\xa9t\xc3\xa9 TEXT|a$1", "CREATE TABLE x(\"\xc3\xa9t\xc3\xa9\" TEXT, \"a$1\")"},
      {"path TEXT|path=x", "CREATE TABLE x(\"path\" TEXT)"},
  };
  sqlite3 *db = open_judge();
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    lsm_schema *s = parse(db, t[i].args);
    char *sql = lsm_schema_declaration(s);
    ck_assert_str_eq(sql, t[i].want);
    sqlite3_free(sql);
    lsm_schema_free(s);
  }
  sqlite3_close(db);
}
END_TEST

/* The declarations as SQLite takes them: a module that has no rows. */
typedef struct tab {
  sqlite3_vtab base;
} tab;

static int connect_tab(sqlite3 *db, void *aux, int argc, const char *const *argv,
                       sqlite3_vtab **vtab, char **err) {
  lsm_schema *s = NULL;
  (void)aux;
  int rc = lsm_schema_parse(db, argc, argv, &s, err);
  if (rc != SQLITE_OK) return rc;
  char *sql = lsm_schema_declaration(s);
  rc = sqlite3_declare_vtab(db, sql);
  if (rc != SQLITE_OK) *err = sqlite3_mprintf("%s", sqlite3_errmsg(db));
  if (rc == SQLITE_OK) *vtab = calloc(1, sizeof **vtab);
  sqlite3_free(sql);
  lsm_schema_free(s);
  return rc;
}
static int disconnect_tab(sqlite3_vtab *vtab) {
  free(vtab);
  return SQLITE_OK;
}
static int plan_tab(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  (void)vtab;
  (void)info;
  return SQLITE_OK;
}
static int open_tab(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cur) {
  (void)vtab;
  *cur = calloc(1, sizeof **cur);
  return SQLITE_OK;
}
static int close_tab(sqlite3_vtab_cursor *cur) {
  free(cur);
  return SQLITE_OK;
}
static int filter_tab(sqlite3_vtab_cursor *cur, int n, const char *s, int argc,
                      sqlite3_value **argv) {
  (void)cur, (void)n, (void)s, (void)argc, (void)argv;
  return SQLITE_OK;
}
static int next_tab(sqlite3_vtab_cursor *cur) {
  (void)cur;
  return SQLITE_OK;
}
static int eof_tab(sqlite3_vtab_cursor *cur) {
  (void)cur;
  return 1;
}
static int column_tab(sqlite3_vtab_cursor *cur, sqlite3_context *ctx, int i) {
  (void)cur, (void)ctx, (void)i;
  return SQLITE_OK;
}
static int rowid_tab(sqlite3_vtab_cursor *cur, sqlite3_int64 *rowid) {
  (void)cur;
  *rowid = 1;
  return SQLITE_OK;
}
static int update_tab(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *rowid) {
  (void)vtab, (void)argc, (void)argv;
  *rowid = 1;
  return SQLITE_OK;
}

static void check_table_info(sqlite3 *db, const char *args, const char *want) {
  char sql[500], got[500] = "";
  sql_run(db, "DROP TABLE IF EXISTS t");
  snprintf(sql, sizeof sql, "CREATE VIRTUAL TABLE t USING tab(%s)", args);
  sql_run(db, sql);
  sqlite3_stmt *st = sql_prepare(
      db, "SELECT name, type, \"notnull\", pk FROM pragma_table_info('t') ORDER BY cid");
  for (size_t n = 0; sqlite3_step(st) == SQLITE_ROW;) {
    n += (size_t)snprintf(got + n, sizeof got - n, "%s %s %d %d;", sqlite3_column_text(st, 0),
                          sqlite3_column_text(st, 1), sqlite3_column_int(st, 2),
                          sqlite3_column_int(st, 3));
  }
  ck_assert_str_eq(got, want);
  sqlite3_finalize(st);
  sql_run(db, "INSERT INTO t DEFAULT VALUES"); /* so it can be written to */
  st = sql_prepare(db, "PRAGMA integrity_check");
  ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
  ck_assert_str_eq((const char *)sqlite3_column_text(st, 0), "ok");
  sqlite3_finalize(st);
}

START_TEST(test_seen_by_sqlite) {
  static const sqlite3_module module = {.iVersion = 1,
                                        .xCreate = connect_tab,
                                        .xConnect = connect_tab,
                                        .xBestIndex = plan_tab,
                                        .xDisconnect = disconnect_tab,
                                        .xDestroy = disconnect_tab,
                                        .xOpen = open_tab,
                                        .xClose = close_tab,
                                        .xFilter = filter_tab,
                                        .xNext = next_tab,
                                        .xEof = eof_tab,
                                        .xColumn = column_tab,
                                        .xRowid = rowid_tab,
                                        .xUpdate = update_tab};
  sqlite3 *db = open_judge();
  ck_assert_int_eq(sqlite3_create_module(db, "tab", &module, NULL), SQLITE_OK);
  check_table_info(db, "", "key  1 1;value  0 0;");
  check_table_info(db, "a INT, b TEXT NOT NULL DEFAULT 'a,b'", "a INT 0 0;b TEXT 1 0;");
  check_table_info(db, "id INTEGER PRIMARY KEY, [b c]", "id INTEGER 0 1;b c  0 0;");
  check_table_info(db, "id INTEGER PRIMARY KEY DESC", "id INTEGER 1 1;");
  check_table_info(db, "a, \"k\" TEXT COLLATE NOCASE PRIMARY KEY", "a  0 0;k TEXT 1 1;");
  check_table_info(db, "a DECIMAL(10, 5), b, PRIMARY KEY(b DESC, a), sync=full",
                   "a DECIMAL(10,5) 1 0;b  1 0;");
  sqlite3_close(db);
}
END_TEST

/* A quoted type is what SQLite takes it for in an ordinary table: values that
** are stored show the affinity, a rowid that is the column the alias. */
START_TEST(test_quoted_types) {
  static const char *const types[] = {
      "\"INT\"",   "'x'",         "\"x\" TEXT", "[TEXT]",    "\"te\"\"xt\" q", "\"\"",
      "\"\" TEXT", "`REAL`",      "x \"TEXT\"", "[integer]", "[integer] x",    "\"in\"\"teger\"",
      "'integer'", "\"BLOB\" INT"};
  sqlite3 *db = open_judge();
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    char args[100], sql[300], want[20];
    snprintf(sql, sizeof sql,
             "DROP TABLE IF EXISTS o; CREATE TABLE o(a %s); INSERT INTO o VALUES('1'), (1);"
             "DROP TABLE IF EXISTS p; CREATE TABLE p(a %s PRIMARY KEY); INSERT INTO p VALUES(7)",
             types[i], types[i]);
    sql_run(db, sql);
    sqlite3_stmt *st = sql_prepare(db, "SELECT group_concat(typeof(a)) FROM o");
    ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
    snprintf(want, sizeof want, "%s", sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    snprintf(args, sizeof args, "a %s", types[i]);
    lsm_schema *s = parse(db, args);
    lsm_affinity aff = s->column[0].affinity;
    const char *got = aff == LSM_AFF_BLOB   ? "text,integer"
                      : aff == LSM_AFF_TEXT ? "text,text"
                      : aff == LSM_AFF_REAL ? "real,real"
                                            : "integer,integer";
    ck_assert_msg(strcmp(got, want) == 0, "%s: %s, not %s", types[i], got, want);
    lsm_schema_free(s);

    st = sql_prepare(db, "SELECT rowid = 7 FROM p");
    ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
    int alias = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    snprintf(args, sizeof args, "a %s PRIMARY KEY", types[i]);
    s = parse(db, args);
    ck_assert_msg((s->kind == LSM_KEY_ROWID_ALIAS) == alias, "%s", types[i]);
    lsm_schema_free(s);
  }
  sqlite3_close(db);
}
END_TEST

/*------------------------------------------------------------------- keys */

START_TEST(test_keys) {
  sqlite3 *db = open_judge();
  lsm_schema *s =
      parse(db, "a TEXT COLLATE NOCASE|b REAL|c|d|PRIMARY KEY(c, a DESC, b COLLATE RTRIM)");
  ck_assert_int_eq(s->kind, LSM_KEY_COLUMNS);
  ck_assert_int_eq(s->nkey, 3);
  ck_assert_int_eq(s->key[0].column, 2);
  ck_assert_int_eq(s->key[1].column, 0);
  ck_assert_int_eq(s->key[1].collation, LSM_COLL_NOCASE);
  ck_assert(s->key[1].desc && !s->key[0].desc);
  ck_assert_int_eq(s->key[2].collation, LSM_COLL_RTRIM);
  ck_assert_int_eq(s->key[2].affinity, LSM_AFF_REAL);
  ck_assert_int_eq(s->nstored, 1);
  ck_assert_int_eq(s->column[3].stored_pos, 0);
  ck_assert_int_eq(s->column[0].stored_pos, -1);
  ck_assert_int_eq(s->column[0].key_pos, 1);
  ck_assert_int_eq(s->column[3].key_pos, -1);
  ck_assert(s->column[0].not_null && !s->column[3].not_null);
  ck_assert_str_eq(s->table, "t");
  ck_assert_int_eq(lsm_schema_find_column(s, "D"), 3);
  ck_assert_int_eq(lsm_schema_find_column(s, "e"), -1);
  lsm_schema_free(s);

  s = parse(db, "a|id INTEGER PRIMARY KEY NOT NULL DEFAULT 7|b");
  ck_assert_int_eq(s->kind, LSM_KEY_ROWID_ALIAS);
  ck_assert_int_eq(s->alias_column, 1);
  ck_assert_int_eq(s->nkey, 0);
  ck_assert_int_eq(s->nstored, 2);
  ck_assert_int_eq(s->column[2].stored_pos, 1);
  ck_assert_int_eq(s->column[1].stored_pos, -1);
  ck_assert(!s->column[1].has_default);
  lsm_schema_free(s);

  s = parse(db, "a|b|PRIMARY KEY(a, b, a COLLATE NOCASE, b DESC)");
  ck_assert_int_eq(s->nkey, 3); /* b twice counts once, a has two orders */
  ck_assert_int_eq(s->column[0].key_pos, 0);
  ck_assert_int_eq(s->key[2].collation, LSM_COLL_NOCASE);
  ck_assert(!s->key[1].desc);
  lsm_schema_free(s);

  s = parse(db, "a|b");
  ck_assert_int_eq(s->kind, LSM_KEY_ROWID_HIDDEN);
  ck_assert_int_eq(s->alias_column, -1);
  ck_assert_int_eq(s->nstored, 2);
  lsm_schema_free(s);
  sqlite3_close(db);
}
END_TEST

START_TEST(test_indexes) {
  sqlite3 *db = open_judge();
  lsm_schema *s = parse(db,
                        "a UNIQUE COLLATE NOCASE|b|CONSTRAINT u UNIQUE(b,a DESC)|"
                        "INDEX [by b] (b COLLATE RTRIM, a)|PRIMARY KEY(b)|UNIQUE(b)");
  ck_assert_int_eq(s->nindex, 3); /* UNIQUE(b) is the key itself */
  ck_assert_ptr_null(s->index[0].name);
  ck_assert_int_eq(s->index[0].part[0].column, 0);
  ck_assert_int_eq(s->index[0].part[0].collation, LSM_COLL_NOCASE);
  ck_assert_int_eq(s->index[0].nall, 2);
  ck_assert_int_eq(s->index[0].all[1].column, 1);
  ck_assert_str_eq(s->index[1].name, "u");
  ck_assert(s->index[1].unique && s->index[1].part[1].desc);
  ck_assert_int_eq(s->index[1].part[1].collation, LSM_COLL_NOCASE);
  ck_assert_int_eq(s->index[1].entry->column[0].key_pos, 1);
  ck_assert_str_eq(s->index[2].name, "by b");
  ck_assert(!s->index[2].unique);
  ck_assert_int_eq(s->index[2].npart, 2);
  ck_assert_int_eq(s->index[2].part[0].column, 1);
  ck_assert_int_eq(s->index[2].part[0].collation, LSM_COLL_RTRIM);
  ck_assert_int_eq(s->key_rank, 3);
  lsm_schema_free(s);
  /* the second order of a key's columns is an index; the same twice is one */
  s = parse(db, "a|b|UNIQUE(b,a)|UNIQUE(b,a DESC)|PRIMARY KEY(a,b)|UNIQUE(a,b)|INDEX x(b,a)");
  ck_assert_int_eq(s->nindex, 2);
  ck_assert_int_eq(s->key_rank, 1);
  ck_assert_str_eq(s->index[1].name, "x");
  lsm_schema_free(s);
  s = parse(db, "id INTEGER PRIMARY KEY UNIQUE|b|UNIQUE(id)");
  ck_assert_int_eq(s->nindex, 0);
  lsm_schema_free(s);
  sqlite3_close(db);
}
END_TEST

/*--------------------------------------------------------------- defaults */

/* The same definition in an ordinary table. */
START_TEST(test_defaults) {
  static const char *const literals[] = {"5",
                                         "-5",
                                         "+5",
                                         "- 5",
                                         "1.5",
                                         "-1e3",
                                         "0x10",
                                         "'x'",
                                         "'it''s'",
                                         "x'00ff'",
                                         "TRUE",
                                         "false",
                                         "(5)",
                                         "((-7))",
                                         "'12'",
                                         "'1e3'",
                                         "abc",
                                         "\"q x\"",
                                         "' 7 '",
                                         ".5",
                                         "5.",
                                         "''",
                                         "x''",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "9223372036854775808",
                                         "1e999",
                                         "-0.0",
                                         "- /* five */ 5"};
  static const char *const types[] = {"", "TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB"};
  sqlite3 *db = open_judge();
  for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
      char def[100], sql[200];
      snprintf(def, sizeof def, "a %s NOT NULL DEFAULT %s", types[k], literals[i]);
      snprintf(sql, sizeof sql, "CREATE TABLE o(%s); INSERT INTO o DEFAULT VALUES", def);
      sql_run(db, sql);
      sqlite3_stmt *st = sql_prepare(db, "SELECT a FROM o");
      ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
      lsm_value want = column_value(st, 0);
      lsm_schema *s = parse(db, def);
      ck_assert(s->column[0].has_default);
      lsm_value got = s->column[0].deflt;
      ck_assert_msg(same_value(&got, &want), "%s", def);
      lsm_schema_free(s);
      sqlite3_finalize(st);
      sql_run(db, "DROP TABLE o");
    }
  }
  lsm_schema *s =
      parse(db, "a DEFAULT NULL|b NOT NULL DEFAULT (NULL)|k TEXT DEFAULT 1 PRIMARY KEY");
  lsm_value one = lsm_value_text(lsm_slice_str("1"));
  ck_assert(!s->column[0].has_default && !s->column[1].has_default);
  ck_assert(same_value(&s->column[2].deflt, &one));
  lsm_schema_free(s);
  sqlite3_close(db);
}
END_TEST

/*---------------------------------------------------------------- options */

START_TEST(test_options) {
  sqlite3 *db = open_judge();
  lsm_schema *s = parse(db,
                        "a|b|path='/tmp/it''s' |Compaction = \"Tiered\"|compression=none|"
                        "memtable_size='64 kb'|cache_size=[64GB]|block_size=`4KiB`|bloom_bits=0|"
                        "sync=OFF|ttl=60 -- a minute|ttl_column=B");
  const lsm_table_options *o = &s->opt;
  ck_assert_uint_eq(o->given, 0x3FF);
  ck_assert_str_eq(o->path, "/tmp/it's");
  ck_assert_int_eq(o->compaction, LSM_TIERED);
  ck_assert_int_eq(o->compression, LSM_COMPRESS_NONE);
  ck_assert_uint_eq(o->memtable_size, 65536);
  ck_assert_uint_eq(o->cache_size, UINT64_C(64) << 30);
  ck_assert_uint_eq(o->block_size, 4096);
  ck_assert_uint_eq(o->bloom_bits, 0);
  ck_assert_int_eq(o->sync, LSM_SYNC_OPT_OFF);
  ck_assert_int_eq(o->ttl, 60);
  ck_assert_int_eq(o->ttl_column, 1);
  ck_assert(o->has_ttl);
  lsm_keyspace_options io = {LSM_LEVELED, LSM_COMPRESS_ZLIB, 1, 2, false};
  lsm_schema_keyspace_options(s, &io);
  ck_assert(io.compaction == LSM_TIERED && io.compression == LSM_COMPRESS_NONE);
  ck_assert(io.block_size == 4096 && io.bloom_bits == 0);
  ck_assert(io.expires);
  lsm_schema_free(s);

  s = parse(db, "a|memtable_size=65536|cache_size=0|bloom_bits=40|sync=host|block_size='1MB'");
  ck_assert_uint_eq(s->opt.memtable_size, 65536);
  ck_assert_uint_eq(s->opt.block_size, 1048576);
  ck_assert_int_eq(s->opt.sync, LSM_SYNC_OPT_HOST);
  ck_assert(!s->opt.has_ttl);
  ck_assert_int_eq(s->opt.ttl_column, -1);
  io = (lsm_keyspace_options){LSM_TIERED, LSM_COMPRESS_NONE, 1, 2, false};
  lsm_schema_keyspace_options(s, &io);
  ck_assert(io.compaction == LSM_TIERED && io.compression == LSM_COMPRESS_NONE);
  ck_assert(io.block_size == 1048576 && io.bloom_bits == 40);
  ck_assert(!io.expires);
  lsm_schema_free(s);
  sqlite3_close(db);
}
END_TEST

/*----------------------------------------------------------------- errors */

START_TEST(test_errors) {
  static const struct {
    const char *args, *want;
  } t[] = {
      {"a|A", "duplicate column name: A"},
      {"a PRIMARY KEY|b PRIMARY KEY", "table \"t\" has more than one primary key"},
      {"a PRIMARY KEY|PRIMARY KEY(a)", "table \"t\" has more than one primary key"},
      {"a PRIMARY KEY PRIMARY KEY", "table \"t\" has more than one primary key"},
      {"a|PRIMARY KEY(b)", "no such column: b"},
      {"a|UNIQUE(a,b)", "no such column: b"},
      {"PRIMARY KEY(a)", "no such column: a"},
      {"a|PRIMARY KEY(1)",
       "expressions prohibited in PRIMARY KEY, UNIQUE and INDEX: PRIMARY KEY(1)"},
      {"a|PRIMARY KEY(a+1)", "near \"+\": syntax error in: PRIMARY KEY(a+1)"},
      {"a|PRIMARY KEY(a", "incomplete definition: PRIMARY KEY(a"},
      {"a|INDEX x(a)|INDEX X(a)", "index X already exists"},
      {"a|INDEX (a)", "near \"(\": syntax error in: INDEX (a)"},
      {"a INTEGER PRIMARY KEY AUTOINCREMENT", "column \"a\": AUTOINCREMENT is not supported"},
      {"a INTEGER|PRIMARY KEY(a AUTOINCREMENT)", "column \"a\": AUTOINCREMENT is not supported"},
      {"a CHECK (a > 0)", "column \"a\": CHECK constraints are not supported"},
      {"a|CHECK (a > 0)", "table \"t\": CHECK constraints are not supported: CHECK (a > 0)"},
      {"a REFERENCES b", "column \"a\": foreign keys (REFERENCES) are not supported"},
      {"a|FOREIGN KEY(a) REFERENCES b",
       "table \"t\": foreign keys are not supported: FOREIGN KEY(a) REFERENCES b"},
      {"a GENERATED ALWAYS AS (1)", "column \"a\": generated columns are not supported"},
      {"a INT AS (1)", "column \"a\": generated columns are not supported"},
      {"a TEXT HIDDEN", "column \"a\": HIDDEN is not supported"},
      {"a \"x hidden y\"", "column \"a\": HIDDEN is not supported"},
      {"a 'x hidden'", "column \"a\": HIDDEN is not supported"},
      {"a [hidden] x", "column \"a\": HIDDEN is not supported"},
      {"a COLLATE foo", "collation \"foo\" is not supported: use BINARY, NOCASE or RTRIM"},
      {"a NOT NULL ON CONFLICT IGNORE",
       "\"a\": ON CONFLICT is not supported in a definition; write INSERT OR ..."},
      {"a DEFAULT 5",
       "column \"a\": DEFAULT is supported with NOT NULL only, because SQLite passes an omitted "
       "value to the module as NULL"},
      {"a NOT NULL DEFAULT CURRENT_TIME",
       "column \"a\": DEFAULT takes a literal only, not: CURRENT_TIME"},
      {"a NOT NULL DEFAULT (1+1)", "near \"+\": syntax error in: a NOT NULL DEFAULT (1+1)"},
      {"a NOT NULL DEFAULT -'x'", "column \"a\": DEFAULT takes a literal only, not: -'x'"},
      {"a NOT NULL DEFAULT", "column \"a\": DEFAULT takes a literal only, not: "},
      {"a NOT NULL DEFAULT 0x12345678901234567",
       "column \"a\": DEFAULT 0x12345678901234567: hex literal too big: 0x12345678901234567"},
      {"a|", "incomplete definition: "},
      {"a VARCHAR(", "incomplete definition: a VARCHAR("},
      {"a VARCHAR(x)", "near \"x\": syntax error in: a VARCHAR(x)"},
      {"a INT(5) k", "near \"k\": syntax error in: a INT(5) k"},
      {"a 'open", "near \"'open\": syntax error in: a 'open"},
      {"1a", "near \"1a\": syntax error in: 1a"},
      {"a NOT", "incomplete definition: a NOT"},
      {"foo=1", "unknown option: foo"},
      {"a|Foo Bar=1", "near \"=\": syntax error in: Foo Bar=1"},
      {"a|sync=full|SYNC=off", "option sync is given twice: SYNC=off"},
      {"a|sync=maybe", "bad value for option sync: maybe (expected host, full, normal or off)"},
      {"a|sync=", "bad value for option sync:  (expected host, full, normal or off)"},
      {"a|path=''", "bad value for option path: '' (expected a directory)"},
      {"a|path=/tmp/x", "bad value for option path: /tmp/x (expected a directory)"},
      {"a|compaction=level", "bad value for option compaction: level (expected leveled or tiered)"},
      {"a|compression=lz4", "bad value for option compression: lz4 (expected zlib or none)"},
      {"a|memtable_size='63KB'",
       "bad value for option memtable_size: '63KB' (expected 64KB to 1GB)"},
      {"a|memtable_size=1073741825",
       "bad value for option memtable_size: 1073741825 (expected 64KB to 1GB)"},
      {"a|memtable_size=-1", "bad value for option memtable_size: -1 (expected 64KB to 1GB)"},
      {"a|memtable_size=0x10000",
       "bad value for option memtable_size: 0x10000 (expected 64KB to 1GB)"},
      {"a|memtable_size='1TB'", "bad value for option memtable_size: '1TB' (expected 64KB to 1GB)"},
      {"a|memtable_size=64 KB ",
       "bad value for option memtable_size: 64 KB (expected 64KB to 1GB)"},
      {"a|cache_size='65GB'", "bad value for option cache_size: '65GB' (expected 0 to 64GB)"},
      {"a|cache_size='99999999999999999999'",
       "bad value for option cache_size: '99999999999999999999' (expected 0 to 64GB)"},
      {"a|cache_size='18446744073709551615 GB'",
       "bad value for option cache_size: '18446744073709551615 GB' (expected 0 to 64GB)"},
      {"a|block_size=511", "bad value for option block_size: 511 (expected 512 to 1MB)"},
      {"a|block_size='2MB'", "bad value for option block_size: '2MB' (expected 512 to 1MB)"},
      {"a|bloom_bits=41", "bad value for option bloom_bits: 41 (expected 0 to 40)"},
      {"a|bloom_bits=1.5", "bad value for option bloom_bits: 1.5 (expected 0 to 40)"},
      {"a|ttl=0", "bad value for option ttl: 0 (expected seconds, 1 to 10000000000)"},
      {"a|ttl_column=b", "bad value for option ttl_column: no such column: b"},
  };
  sqlite3 *db = open_judge();
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    lsm_schema *s = NULL;
    char *err = NULL;
    int rc = parse_list(db, t[i].args, &s, &err);
    ck_assert_msg(rc == SQLITE_ERROR, "%s: rc %d", t[i].args, rc);
    ck_assert_ptr_null(s);
    ck_assert_str_eq(err, t[i].want);
    sqlite3_free(err);
  }
  sqlite3_close(db);
}
END_TEST

/* Any bytes: an answer or a message, and what is accepted SQLite accepts or
** refuses in words. */
START_TEST(test_hostile) {
  static const char *const seed[] = {
      "a TEXT COLLATE NOCASE NOT NULL DEFAULT 'x''y'|\"b\" VARCHAR(10,-2) UNIQUE|"
      "PRIMARY KEY(a DESC, b COLLATE RTRIM)|INDEX i (a,b)|cache_size='64 KB'|sync=full",
      "[id] INTEGER /* c */ PRIMARY KEY|c BLOB NOT NULL DEFAULT (x'00')|ttl=5|-- x\nd"};
  static const char letters[] = "\"'`[]()=,-/*|x0. aN\xff";
  sqlite3 *db = open_judge();
  rng r = {6};
  int good = 0, bad = 0;
  for (int round = 0; round < 4000; round++) {
    char args[300];
    strcpy(args, seed[round % 2]);
    size_t n = strlen(args);
    if (round % 3 == 0) args[rng_below(&r, (unsigned)n)] = '\0';
    for (unsigned k = rng_below(&r, 3); k > 0; k--) {
      args[rng_below(&r, (unsigned)n)] = letters[rng_below(&r, sizeof letters - 1)];
    }
    int bars = 0;
    for (const char *p = args; *p != '\0'; p++) bars += *p == '|';
    if (bars >= MAX_ARGS) continue;
    lsm_schema *s = NULL;
    char *err = NULL;
    int rc = parse_list(db, args, &s, &err);
    ck_assert(rc == SQLITE_OK || rc == SQLITE_ERROR);
    ck_assert((rc == SQLITE_OK) == (s != NULL));
    ck_assert((rc == SQLITE_OK) == (err == NULL));
    if (rc == SQLITE_OK) good++;
    if (rc != SQLITE_OK) bad++;
    if (s != NULL) {
      char *sql = lsm_schema_declaration(s);
      ck_assert_ptr_nonnull(sql);
      sqlite3_free(sql);
    }
    sqlite3_free(err);
    lsm_schema_free(s);
  }
  ck_assert_int_gt(good, 200);
  ck_assert_int_gt(bad, 200);
  char *deep = malloc(200001);
  strcpy(deep, "a NOT NULL DEFAULT ");
  memset(deep + 19, '(', 199981);
  deep[200000] = '\0';
  const char *argv[] = {"lsm", "main", "t", deep};
  lsm_schema *s = NULL;
  char *err = NULL;
  ck_assert_int_eq(lsm_schema_parse(db, 4, argv, &s, &err), SQLITE_ERROR);
  sqlite3_free(err);
  free(deep);
  sqlite3_close(db);
}
END_TEST

START_TEST(test_nomem) {
  sqlite3 *db = open_judge();
  int rc = SQLITE_NOMEM, n = 0;
  while (rc == SQLITE_NOMEM) {
    lsm_schema *s = NULL;
    char *err = NULL;
    int left = ++n;
    lsm_set_malloc_hook(count_down, &left);
    rc = parse_list(db,
                    "a TEXT NOT NULL DEFAULT 5|b UNIQUE|c DEFAULT \"x\" NOT NULL|INDEX i(b,c)|"
                    "PRIMARY KEY(a,b)|path=x|ttl_column=b",
                    &s, &err);
    lsm_set_malloc_hook(NULL, NULL);
    ck_assert((rc == SQLITE_OK) == (s != NULL));
    ck_assert_ptr_null(err);
    lsm_schema_free(s);
  }
  ck_assert_int_eq(rc, SQLITE_OK);
  ck_assert_int_gt(n, 15);
  sqlite3_close(db);
}
END_TEST

/*----------------------------------------------------------------- tokens */

START_TEST(test_tokens) {
  static const struct {
    const char *text;
    lsm_token_kind kind;
    size_t size;
  } t[] = {{"", LSM_TK_END, 0},
           {"  -- x", LSM_TK_END, 0},
           {"/*", LSM_TK_END, 0},
           {"/**/a", LSM_TK_WORD, 1},
           {"-- x\n b1 ", LSM_TK_WORD, 2},
           {"\"a\"\"b\"c", LSM_TK_QUOTED, 6},
           {"\"a", LSM_TK_ILLEGAL, 2},
           {"[a]]", LSM_TK_QUOTED, 3},
           {"`a`", LSM_TK_QUOTED, 3},
           {"'a''' x", LSM_TK_STRING, 5},
           {"x'0F'", LSM_TK_BLOB, 5},
           {"x'0'", LSM_TK_ILLEGAL, 4},
           {"x'0g'", LSM_TK_ILLEGAL, 5},
           {"xy", LSM_TK_WORD, 2},
           {"12", LSM_TK_NUMBER, 2},
           {"1.5e-3,", LSM_TK_NUMBER, 6},
           {".5", LSM_TK_NUMBER, 2},
           {"5.", LSM_TK_NUMBER, 2},
           {"1e", LSM_TK_ILLEGAL, 2},
           {"64KB", LSM_TK_ILLEGAL, 4},
           {"0x1F)", LSM_TK_NUMBER, 4},
           {"0x", LSM_TK_ILLEGAL, 2},
           {"-5", LSM_TK_PUNCT, 1},
           {".", LSM_TK_PUNCT, 1},
           {"/x", LSM_TK_PUNCT, 1}};
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    lsm_token k = lsm_token_at(t[i].text);
    ck_assert_msg(k.kind == t[i].kind && k.size == t[i].size, "%s: kind %d size %zu", t[i].text,
                  k.kind, k.size);
  }
  char out[20];
  lsm_token k = lsm_token_at("'it''s'");
  lsm_token_unquote(&k, out);
  ck_assert_str_eq(out, "it's");
  k = lsm_token_at("KeY x");
  ck_assert(lsm_token_is_word(&k, "key") && !lsm_token_is_word(&k, "ke"));
}
END_TEST

Suite *schema_suite(void) {
  Suite *s = suite_create("schema");
  TCase *tc = tcase_create("schema");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_tokens);
  tcase_add_test(tc, test_declaration);
  tcase_add_test(tc, test_seen_by_sqlite);
  tcase_add_test(tc, test_quoted_types);
  tcase_add_test(tc, test_keys);
  tcase_add_test(tc, test_indexes);
  tcase_add_test(tc, test_defaults);
  tcase_add_test(tc, test_options);
  tcase_add_test(tc, test_errors);
  tcase_add_test(tc, test_hostile);
  tcase_add_test(tc, test_nomem);
  suite_add_tcase(s, tc);
  return s;
}
