/* kv_leveldb.c: LevelDB through its C interface, as a rival. It cannot be told to
** empty its memtable: what settles is what it does by itself. It maps its files: they
** count as its memory, and the system reads ahead around each page (readcold).
*/
#define _GNU_SOURCE
#include "kv_bench.h"
#include "rivals.h"

#ifdef BENCH_LEVELDB
#include <leveldb/c.h>

#define API(x) leveldb_##x
#define HANDLE leveldb_t
#include "kv_foreign.h"

static leveldb_filterpolicy_t *filter; /* one for all; never freed */

static void configure(store *s, size_t cache) {
  if (filter == NULL) filter = leveldb_filterpolicy_create_bloom(10);
  s->options = leveldb_options_create();
  s->cache = leveldb_cache_create_lru(cache);
  leveldb_options_set_cache(s->options, s->cache);
  leveldb_options_set_filter_policy(s->options, filter);
  leveldb_options_set_compression(s->options, leveldb_snappy_compression);
}

static void unconfigure(store *s) {
  leveldb_options_destroy(s->options);
  leveldb_cache_destroy(s->cache);
}

static bool find(store *s, const uint8_t *key, check *c) {
  char *error = NULL;
  size_t size = 0;
  char *value = leveldb_get(s->db, s->ro, (const char *)key, KEY_SIZE, &size, &error);
  no_error(error);
  if (value == NULL) return false;
  check_row(c, NULL, 0, value, size);
  leveldb_free(value);
  return true;
}

static void to_last_not_above(leveldb_iterator_t *it, const uint8_t *key) {
  size_t size = 0;
  leveldb_iter_seek(it, (const char *)key, KEY_SIZE);
  if (!leveldb_iter_valid(it)) {
    leveldb_iter_seek_to_last(it);
    return;
  }
  const char *at = leveldb_iter_key(it, &size);
  if (size != KEY_SIZE || memcmp(at, key, KEY_SIZE) != 0) leveldb_iter_prev(it);
}

static void settle_library(store *s) {
  (void)s;
}

static bool library_busy(store *s) {
  (void)s;
  return false;
}

const rival kv_leveldb = FOREIGN_RIVAL("leveldb");
#else
const rival kv_leveldb = {.name = "leveldb"};
#endif
