/* schema_options.c: the name=value arguments. A value is one word, number or
** quoted text; each option has one function that checks it and puts it into
** its place. */
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3

#include "schema_parser.h"

typedef struct choice {
  const char *word;
  int value;
} choice;

/* Each returns false when the text is no good value. */
static bool to_choice(const char *text, const choice *c, int *value) {
  for (; c->word != NULL; c++) {
    if (sqlite3_stricmp(text, c->word) != 0) continue;
    *value = c->value;
    return true;
  }
  return false;
}

/* Decimal digits, then at most one unit. */
static bool to_number(const char *text, const choice *units, uint64_t *value) {
  uint64_t n = 0;
  const char *p = text;
  for (; *p >= '0' && *p <= '9'; p++) {
    unsigned digit = (unsigned)(*p - '0');
    if (n > (UINT64_MAX - digit) / 10) return false;
    n = n * 10 + digit;
  }
  if (p == text) return false;
  if (*p != '\0' && units != NULL) {
    int shift;
    while (*p == ' ') p++;
    if (!to_choice(p, units, &shift) || n > UINT64_MAX >> shift) return false;
    n <<= shift;
    p = "";
  }
  *value = n;
  return *p == '\0';
}

static bool to_size(const char *text, uint64_t min, uint64_t max, uint64_t *value) {
  static const choice units[] = {{"B", 0},   {"K", 10},   {"KB", 10},  {"KiB", 10},
                                 {"M", 20},  {"MB", 20},  {"MiB", 20}, {"G", 30},
                                 {"GB", 30}, {"GiB", 30}, {NULL, 0}};
  return to_number(text, units, value) && *value >= min && *value <= max;
}

static bool set_path(lsm_table_options *opt, char *text) {
  opt->path = text;
  return *text != '\0';
}

static bool set_compaction(lsm_table_options *opt, char *text) {
  static const choice words[] = {{"leveled", LSM_LEVELED}, {"tiered", LSM_TIERED}, {NULL, 0}};
  int v = 0;
  bool ok = to_choice(text, words, &v);
  opt->compaction = (lsm_compaction)v;
  return ok;
}

static bool set_compression(lsm_table_options *opt, char *text) {
  static const choice words[] = {
      {"zlib", LSM_COMPRESS_ZLIB}, {"none", LSM_COMPRESS_NONE}, {NULL, 0}};
  int v = 0;
  bool ok = to_choice(text, words, &v);
  opt->compression = (lsm_compression)v;
  return ok;
}

static bool set_sync(lsm_table_options *opt, char *text) {
  static const choice words[] = {{"host", LSM_SYNC_OPT_HOST},
                                 {"full", LSM_SYNC_OPT_FULL},
                                 {"normal", LSM_SYNC_OPT_NORMAL},
                                 {"off", LSM_SYNC_OPT_OFF},
                                 {NULL, 0}};
  int v = 0;
  bool ok = to_choice(text, words, &v);
  opt->sync = (lsm_sync_option)v;
  return ok;
}

static bool set_memtable_size(lsm_table_options *opt, char *text) {
  return to_size(text, UINT64_C(64) << 10, UINT64_C(1) << 30, &opt->memtable_size);
}

static bool set_cache_size(lsm_table_options *opt, char *text) {
  return to_size(text, 0, UINT64_C(64) << 30, &opt->cache_size);
}

static bool set_block_size(lsm_table_options *opt, char *text) {
  uint64_t v = 0;
  bool ok = to_size(text, 512, UINT64_C(1) << 20, &v);
  opt->block_size = (uint32_t)v;
  return ok;
}

static bool set_bloom_bits(lsm_table_options *opt, char *text) {
  uint64_t v = 0;
  bool ok = to_number(text, NULL, &v) && v <= 40;
  opt->bloom_bits = (uint32_t)v;
  return ok;
}

static bool set_ttl(lsm_table_options *opt, char *text) {
  uint64_t v = 0;
  bool ok = to_number(text, NULL, &v) && v >= 1 && v <= (uint64_t)LSM_MAX_TTL;
  opt->ttl = ok ? (int64_t)v : 0;
  return ok;
}

/* Columns are known; that it names one is checked in lsm_parser_finish_options(). */
static bool set_ttl_column(lsm_table_options *opt, char *text) {
  (void)opt;
  return *text != '\0';
}

static const struct option {
  const char *name;
  unsigned bit;
  bool (*set)(lsm_table_options *opt, char *text);
  const char *expected;
} options[] = {
    {"path", LSM_OPT_PATH, set_path, "a directory"},
    {"compaction", LSM_OPT_COMPACTION, set_compaction, "leveled or tiered"},
    {"compression", LSM_OPT_COMPRESSION, set_compression, "zlib or none"},
    {"memtable_size", LSM_OPT_MEMTABLE_SIZE, set_memtable_size, "64KB to 1GB"},
    {"cache_size", LSM_OPT_CACHE_SIZE, set_cache_size, "0 to 64GB"},
    {"block_size", LSM_OPT_BLOCK_SIZE, set_block_size, "512 to 1MB"},
    {"bloom_bits", LSM_OPT_BLOOM_BITS, set_bloom_bits, "0 to 40"},
    {"sync", LSM_OPT_SYNC, set_sync, "host, full, normal or off"},
    {"ttl", LSM_OPT_TTL, set_ttl, "seconds, 1 to 10000000000"},
    {"ttl_column", LSM_OPT_TTL_COLUMN, set_ttl_column, "the name of a column"},
};

static const struct option *find_option(const char *name) {
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
    if (sqlite3_stricmp(name, options[i].name) == 0) return &options[i];
  }
  return NULL;
}

/* The value as written, without blanks at its end; for messages. */
static int raw_size(const char *text) {
  size_t n = strlen(text);
  while (n > 0 && (text[n - 1] == ' ' || (text[n - 1] >= '\t' && text[n - 1] <= '\r'))) n--;
  return n > 100 ? 100 : (int)n;
}

/* Takes the value; NULL when it is not one token. */
static char *parse_value(lsm_parser *ps) {
  lsm_token after = lsm_token_at(ps->t.text + ps->t.size);
  if (after.kind != LSM_TK_END) return NULL;
  if (!lsm_token_is_name(&ps->t) && ps->t.kind != LSM_TK_NUMBER) return NULL;
  return lsm_parser_unquote(ps);
}

void lsm_parser_option(lsm_parser *ps) {
  lsm_table_options *opt = &ps->schema->opt;
  char *name = lsm_parser_unquote(ps);
  if (name == NULL) return;
  const struct option *o = find_option(name);
  if (o == NULL) {
    lsm_parser_fail(ps, "unknown option: %s", name);
    return;
  }
  if ((opt->given & o->bit) != 0) {
    lsm_parser_fail(ps, "option %s is given twice: %.100s", o->name, ps->arg);
    return;
  }
  lsm_parser_accept(ps, '=');
  const char *raw = ps->t.text;
  char *value = parse_value(ps);
  if (ps->rc != SQLITE_OK) return;
  if (value == NULL || !o->set(opt, value)) {
    lsm_parser_fail(ps, "bad value for option %s: %.*s (expected %s)", o->name, raw_size(raw), raw,
                    o->expected);
    return;
  }
  opt->given |= o->bit;
  if (o->bit == LSM_OPT_TTL_COLUMN) ps->ttl_column = value;
  opt->has_ttl = (opt->given & (LSM_OPT_TTL | LSM_OPT_TTL_COLUMN)) != 0;
}

void lsm_parser_finish_options(lsm_parser *ps) {
  if (ps->rc != SQLITE_OK || ps->ttl_column == NULL) return;
  ps->schema->opt.ttl_column = lsm_schema_find_column(ps->schema, ps->ttl_column);
  if (ps->schema->opt.ttl_column < 0) {
    lsm_parser_fail(ps, "bad value for option ttl_column: no such column: %s", ps->ttl_column);
  }
}

void lsm_schema_keyspace_options(const lsm_schema *schema, lsm_keyspace_options *io) {
  const lsm_table_options *opt = &schema->opt;
  if ((opt->given & LSM_OPT_COMPACTION) != 0) io->compaction = opt->compaction;
  if ((opt->given & LSM_OPT_COMPRESSION) != 0) io->compression = opt->compression;
  if ((opt->given & LSM_OPT_BLOCK_SIZE) != 0) io->block_size = opt->block_size;
  if ((opt->given & LSM_OPT_BLOOM_BITS) != 0) io->bloom_bits = opt->bloom_bits;
  io->expires = opt->has_ttl;
}
