/* kv_rocksdb.c: RocksDB through its C interface, as a rival: its defaults, with
** the cache and the filters that all have.
*/
#define _GNU_SOURCE
#include "kv_bench.h"
#include "rivals.h"

#ifdef BENCH_ROCKSDB
#include <rocksdb/c.h>

#define API(x) rocksdb_##x
#define HANDLE rocksdb_t
#include "kv_foreign.h"

static void configure(store *s, size_t cache) {
  rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
  s->options = rocksdb_options_create();
  s->cache = rocksdb_cache_create_lru(cache);
  rocksdb_block_based_options_set_block_cache(table, s->cache);
  rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10));
  rocksdb_options_set_block_based_table_factory(s->options, table);
  rocksdb_block_based_options_destroy(table);
}

static void unconfigure(store *s) {
  rocksdb_options_destroy(s->options);
  rocksdb_cache_destroy(s->cache);
}

static bool find(store *s, const uint8_t *key, check *c) {
  char *error = NULL;
  size_t size = 0;
  rocksdb_pinnableslice_t *found =
      rocksdb_get_pinned(s->db, s->ro, (const char *)key, KEY_SIZE, &error);
  no_error(error);
  if (found == NULL) return false;
  const char *value = rocksdb_pinnableslice_value(found, &size);
  check_row(c, NULL, 0, value, size);
  rocksdb_pinnableslice_destroy(found);
  return true;
}

static void to_last_not_above(rocksdb_iterator_t *it, const uint8_t *key) {
  rocksdb_iter_seek_for_prev(it, (const char *)key, KEY_SIZE);
}

static void settle_library(store *s) {
  char *error = NULL;
  rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
  rocksdb_flush(s->db, options, &error);
  no_error(error);
  rocksdb_flushoptions_destroy(options);
}

static bool library_busy(store *s) {
  static const char *const properties[] = {
      "rocksdb.compaction-pending", "rocksdb.num-running-compactions",
      "rocksdb.mem-table-flush-pending", "rocksdb.num-running-flushes"};
  for (int i = 0; i < 4; i++) {
    uint64_t n = 0;
    if (rocksdb_property_int(s->db, properties[i], &n) == 0 && n > 0) return true;
  }
  return false;
}

const rival kv_rocksdb = FOREIGN_RIVAL("rocksdb");
#else
const rival kv_rocksdb = {.name = "rocksdb"};
#endif
