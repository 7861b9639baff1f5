/* fuzz_schema.c: what a CREATE VIRTUAL TABLE says.
** Input: the module's arguments, with zeros in between.
** Holds: tokens cover the text; a schema that is accepted is whole, and SQLite
**        takes its declaration for a table of these columns; one that is not has
**        a message. */
#include "fuzz.h"
#include "schema.h"
#include "tokenize.h"

enum { MAX_ARGS = 40 };

static sqlite3 *db; /* kept from run to run */

static void check_tokens(const char *text) {
  const char *p = text, *end = text + strlen(text);
  for (;;) {
    lsm_token t = lsm_token_at(p);
    FUZZ_CHECK(t.text >= p && t.text + t.size <= end);
    if (t.kind == LSM_TK_END) {
      FUZZ_CHECK(t.text == end && t.size == 0);
      return;
    }
    FUZZ_CHECK(t.size > 0);
    char *out = malloc(t.size + 1);
    FUZZ_CHECK(out != NULL);
    lsm_token_unquote(&t, out);
    FUZZ_CHECK(strlen(out) <= t.size);
    free(out);
    p = t.text + t.size;
  }
}

static void check_schema(const lsm_schema *s) {
  int stored = 0;
  FUZZ_CHECK(s->ncolumn > 0 && s->column != NULL);
  for (int i = 0; i < s->ncolumn; i++) {
    const lsm_column *c = &s->column[i];
    FUZZ_CHECK(c->name != NULL && c->type != NULL && s->affinity[i] == c->affinity);
    FUZZ_CHECK((c->key_pos < 0) != (c->stored_pos < 0));
    if (c->stored_pos >= 0) FUZZ_CHECK(c->stored_pos == stored++);
    FUZZ_CHECK(!c->has_default || (c->not_null && c->deflt.type != SQLITE_NULL));
    int found = lsm_schema_find_column(s, c->name);
    FUZZ_CHECK(found == i);
  }
  FUZZ_CHECK(stored == s->nstored);
  FUZZ_CHECK((s->nkey > 0) == (s->kind == LSM_KEY_COLUMNS));
  FUZZ_CHECK((s->alias_column >= 0) == (s->kind == LSM_KEY_ROWID_ALIAS));
  for (int i = 0; i < s->nkey; i++) {
    FUZZ_CHECK(s->key[i].column >= 0 && s->key[i].column < s->ncolumn);
  }
  for (int i = 0; i < s->nindex; i++) {
    FUZZ_CHECK(s->index[i].npart > 0 && (s->index[i].name != NULL || s->index[i].unique));
    for (int j = 0; j < s->index[i].npart; j++) {
      FUZZ_CHECK(s->index[i].part[j].column >= 0 && s->index[i].part[j].column < s->ncolumn);
    }
  }
}

static bool is_statement(const char *sql) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
  sqlite3_finalize(stmt);
  return rc == SQLITE_OK;
}

/* Types are any words here; some, like IN, are keywords that SQLite takes for
** no type in an ordinary table either. */
static bool has_impossible_type(const lsm_schema *s) {
  bool impossible = false;
  for (int i = 0; i < s->ncolumn && !impossible; i++) {
    char *sql = sqlite3_mprintf("CREATE TABLE x(a %s)", s->column[i].type);
    FUZZ_CHECK(sql != NULL);
    impossible = !is_statement(sql);
    sqlite3_free(sql);
  }
  return impossible;
}

/* A module that is a table by itself, whose declaration is that of `declared`. */
static const lsm_schema *declared;

static int connect_table(sqlite3 *conn, void *aux, int argc, const char *const *argv,
                         sqlite3_vtab **vtab, char **err) {
  char *sql = lsm_schema_declaration(declared);
  (void)aux, (void)argc, (void)argv, (void)err;
  FUZZ_CHECK(sql != NULL);
  int rc = sqlite3_declare_vtab(conn, sql);
  sqlite3_free(sql);
  *vtab = rc == SQLITE_OK ? calloc(1, sizeof **vtab) : NULL;
  return rc;
}
static int disconnect_table(sqlite3_vtab *vtab) {
  free(vtab);
  return SQLITE_OK;
}
static int plan(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  (void)vtab, (void)info;
  return SQLITE_OK;
}

static void check_columns(const lsm_schema *s, sqlite3_stmt *stmt) {
  int n = 0;
  for (; sqlite3_step(stmt) == SQLITE_ROW; n++) {
    const char *name = (const char *)sqlite3_column_text(stmt, 1);
    FUZZ_CHECK(n <= s->ncolumn);
    bool key = n == s->ncolumn;
    FUZZ_CHECK(strcmp(name, key ? s->key_column : s->column[n].name) == 0);
    FUZZ_CHECK(sqlite3_column_int(stmt, 6) == key); /* hidden */
    FUZZ_CHECK(key || sqlite3_column_int(stmt, 3) == s->column[n].not_null);
  }
  FUZZ_CHECK(n == s->ncolumn + (s->key_column != NULL));
}

static void check_declaration(const lsm_schema *s) {
  static const sqlite3_module module = {.iVersion = 1,
                                        .xConnect = connect_table,
                                        .xBestIndex = plan,
                                        .xDisconnect = disconnect_table};
  sqlite3_stmt *stmt = NULL;
  declared = s;
  FUZZ_CHECK(sqlite3_create_module(db, "tab", &module, NULL) == SQLITE_OK);
  int rc = sqlite3_prepare_v2(db, "PRAGMA table_xinfo(tab)", -1, &stmt, NULL);
  FUZZ_CHECK(rc == SQLITE_OK || has_impossible_type(s));
  if (rc == SQLITE_OK) check_columns(s, stmt);
  sqlite3_finalize(stmt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *argv[3 + MAX_ARGS] = {"lsm", "main", "t"};
  char *copy[MAX_ARGS];
  int argc = 3;
  if (db == NULL) FUZZ_CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  for (const uint8_t *p = data; size > 0 && argc < 3 + MAX_ARGS;) {
    const uint8_t *zero = memchr(p, 0, size);
    size_t n = zero == NULL ? size : (size_t)(zero - p);
    char *text = malloc(n + 1);
    FUZZ_CHECK(text != NULL);
    memcpy(text, p, n);
    text[n] = '\0';
    check_tokens(text);
    copy[argc - 3] = text;
    argv[argc++] = text;
    n += zero != NULL;
    p += n;
    size -= n;
  }
  lsm_schema *s = NULL;
  char *err = NULL;
  int rc = lsm_schema_parse(db, argc, argv, &s, &err);
  FUZZ_CHECK((rc == SQLITE_OK) == (s != NULL));
  FUZZ_CHECK(rc == SQLITE_OK ? err == NULL : rc == SQLITE_ERROR && err != NULL && err[0] != '\0');
  if (s != NULL) {
    check_schema(s);
    check_declaration(s);
  }
  lsm_schema_free(s);
  sqlite3_free(err);
  for (int i = 3; i < argc; i++) free(copy[i - 3]);
  return 0;
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  static const char *const texts[] = {
      "",
      "a INT|b text NOT NULL",
      "id integer primary key|b",
      "id INTEGER|b|primary key(\"ID\" collate nocase asc)",
      "host TEXT NOT NULL|ts INTEGER|level TEXT COLLATE RTRIM|msg|PRIMARY KEY (host, ts DESC)",
      "a|LSM_key|lsm_key_|PRIMARY KEY(a,lsm_key)",
      "a /* one */ VARCHAR -- two\n ( 10 , -2 ) /* three",
      "\"a \"\"q\"\"\"|`b``x`|[c ]|'d''s' \"my type\"",
      "a double   precision NULL CONSTRAINT x CONSTRAINT y NOT NULL ON CONFLICT ABORT",
      "a NOT NULL DEFAULT 5|b TEXT NOT NULL DEFAULT 'x''y'|c NOT NULL DEFAULT -1.5e3",
      "a NOT NULL DEFAULT (x'00ff')|b NOT NULL DEFAULT TRUE|c NOT NULL DEFAULT 0x10",
      "a|b|PRIMARY KEY(a)|UNIQUE(b, a)|INDEX by_b (b DESC)",
      "a UNIQUE|path=x|compaction=tiered|compression=none|memtable_size=64MB|cache_size=1GB",
      "a my hidden|b 'x hidden y'|c TEXT HIDDEN",
      "a hidden",
      "a|t INTEGER|block_size=8192|bloom_bits=0|sync=normal|ttl='7 days'|ttl_column=t"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    char text[200];
    size_t n = strlen(texts[i]);
    FUZZ_CHECK(n < sizeof text);
    memcpy(text, texts[i], n + 1);
    for (char *p = text; (p = strchr(p, '|')) != NULL;) *p++ = '\0';
    add(arg, text, n);
  }
}
