/* kv_foreign.h: a rival with an interface of LevelDB's kind, of which RocksDB's is
** another. Who includes it defines API(x), the library's prefix before x; HANDLE,
** its type of an open database; and configure() and the others declared below.
*/
#ifndef TESTS_KV_FOREIGN_H
#define TESTS_KV_FOREIGN_H

#include "kv_bench.h"

struct store {
  HANDLE *db;
  API(options_t) * options;
  API(cache_t) * cache;
  API(writeoptions_t) * lazy, *synced, *wo;
  API(readoptions_t) * ro;
  API(writebatch_t) * batch;
  bool open_batch, second;
};

static void configure(store *s, size_t cache); /* s->options and s->cache */
static void unconfigure(store *s);
static bool find(store *s, const uint8_t *key, check *c);
static void to_last_not_above(API(iterator_t) * it, const uint8_t *key);
static void settle_library(store *s);
static bool library_busy(store *s);

static void no_error(char *error) {
  if (error != NULL) die("%s", error);
}

static store *new_store(void) {
  store *s = calloc(1, sizeof *s);
  if (s == NULL) die("out of memory");
  s->batch = API(writebatch_create)();
  s->lazy = s->wo = API(writeoptions_create)();
  s->synced = API(writeoptions_create)();
  API(writeoptions_set_sync)(s->synced, 1);
  s->ro = API(readoptions_create)();
  return s;
}

static store *db_open(const rival *rv, const open_options *o) {
  char *error = NULL;
  store *s = new_store();
  (void)rv;
  configure(s, o->cache);
  API(options_set_create_if_missing)(s->options, o->create);
  API(options_set_write_buffer_size)(s->options, (size_t)MEMTABLE_MB << 20);
  s->db = API(open)(s->options, o->dir, &error);
  no_error(error);
  return s;
}

static store *db_second(store *first) {
  store *s = new_store();
  s->db = first->db;
  s->second = true;
  return s;
}

static void db_close(store *s) {
  API(writebatch_destroy)(s->batch);
  API(writeoptions_destroy)(s->lazy);
  API(writeoptions_destroy)(s->synced);
  API(readoptions_destroy)(s->ro);
  if (!s->second) {
    API(close)(s->db);
    unconfigure(s);
  }
  free(s);
}

static void db_set_full(store *s, bool full) {
  s->wo = full ? s->synced : s->lazy;
}

static void db_begin(store *s) {
  API(writebatch_clear)(s->batch);
  s->open_batch = true;
}

static void db_commit(store *s) {
  char *error = NULL;
  API(write)(s->db, s->wo, s->batch, &error);
  no_error(error);
  s->open_batch = false;
}

static void db_put(store *s, const row *r) {
  char *error = NULL;
  const char *key = (const char *)r->key, *value = (const char *)r->value;
  if (s->open_batch) {
    API(writebatch_put)(s->batch, key, KEY_SIZE, value, VALUE_SIZE);
  } else {
    API(put)(s->db, s->wo, key, KEY_SIZE, value, VALUE_SIZE, &error);
    no_error(error);
  }
}

static void db_erase(store *s, const row *r) {
  API(writebatch_delete)(s->batch, (const char *)r->key, KEY_SIZE);
}

static bool db_get(store *s, const uint8_t *key, check *c) {
  return find(s, key, c);
}

/* Visits up to `limit` rows from `key` on (NULL: from an end); c NULL: only counts. */
static uint64_t iterate(store *s, const uint8_t *key, uint64_t limit, bool backward, check *c) {
  API(iterator_t) *it = API(create_iterator)(s->db, s->ro);
  char *error = NULL;
  uint64_t n = 0;
  if (key == NULL) {
    if (backward) API(iter_seek_to_last)(it);
    if (!backward) API(iter_seek_to_first)(it);
  } else if (backward) {
    to_last_not_above(it, key);
  } else {
    API(iter_seek)(it, (const char *)key, KEY_SIZE);
  }
  for (; n < limit && API(iter_valid)(it); n++) {
    size_t nkey = 0, nvalue = 0;
    if (c != NULL) {
      const char *k = API(iter_key)(it, &nkey), *v = API(iter_value)(it, &nvalue);
      check_row(c, k, nkey, v, nvalue);
    }
    if (n + 1 == limit) continue;
    if (backward) API(iter_prev)(it);
    if (!backward) API(iter_next)(it);
  }
  API(iter_get_error)(it, &error);
  no_error(error);
  API(iter_destroy)(it);
  return n;
}

static void db_seek(store *s, const uint8_t *key, int limit, bool backward, check *c) {
  iterate(s, key, (uint64_t)limit, backward, c);
}

static void db_scan(store *s, bool backward, check *c) {
  iterate(s, NULL, UINT64_MAX, backward, c);
}

static uint64_t db_count(store *s) {
  return iterate(s, NULL, UINT64_MAX, false, NULL);
}

static void db_compact(store *s) {
  API(compact_range)(s->db, NULL, 0, NULL, 0);
}

#define FOREIGN_RIVAL(NAME)                                                             \
  {                                                                                     \
    .name = NAME, .open = db_open, .second = db_second, .close = db_close,              \
    .set_full = db_set_full, .begin = db_begin, .commit = db_commit, .insert = db_put,  \
    .put = db_put, .update = db_put, .erase = db_erase, .get = db_get, .seek = db_seek, \
    .scan = db_scan, .count = db_count, .flush = settle_library, .busy = library_busy,  \
    .compact = db_compact                                                               \
  }

#endif
