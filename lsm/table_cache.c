/* table_cache.c: the open SSTables of a store.
**
** Owns:  one record a table that is open or being opened.
** Holds: (1) a table is in the hash by number unless it was evicted (then it
**            only waits for its last unpin), and in the hash by reader once
**            it is open;
**        (2) it is in the LRU list exactly while it is open and unpinned;
**        (3) one thread opens a table, with a placeholder in the hash and no
**            lock; who wants the same one waits, all others go on;
**        (4) more than max_open are open only while that many are pinned; more
**            than max_bytes of indexes and filters only while they are pinned,
**            or of KEPT tables, without which every read would open one.
** Locks: tc->mu (LSM_RANK_TABLES); files are opened and closed outside it. */
#include "table_cache.h"

#include "filename.h"
#include "sync.h"

#define FIRST_BUCKETS 64
#define KEPT 16

typedef struct table {
  /* constant */
  uint64_t number;
  /* guarded by mu */
  lsm_sst *sst; /* NULL: being opened */
  uint32_t pins;
  bool evicted;
  struct table *by_number; /* chains of the two hashes */
  struct table *by_sst;
  struct table *newer; /* LRU list; older alone chains victims */
  struct table *older;
} table;

struct lsm_table_cache {
  /* constant */
  lsm_env *env;
  char *dir;
  uint8_t store_id[16];
  lsm_cache *cache;
  lsm_read_stats *stats;
  size_t max_open, max_bytes;
  lsm_mutex mu;
  lsm_cond opened; /* an open has ended, one way or the other */
  /* guarded by mu */
  table **numbers; /* nbuckets each */
  table **ssts;
  size_t nbuckets; /* power of two */
  size_t nopen, bytes; /* tables in ssts, and their memory */
  table *head; /* of the LRU list: latest used */
  table *tail;
};

/*------------------------------------------------------- hashes, under mu */

static size_t number_slot(const lsm_table_cache *tc, uint64_t number) {
  return (size_t)(number * 0x9E3779B97F4A7C15u >> 32) & (tc->nbuckets - 1);
}

static size_t sst_slot(const lsm_table_cache *tc, const lsm_sst *sst) {
  return number_slot(tc, (uint64_t)(uintptr_t)sst >> 4);
}

static table *find_number(const lsm_table_cache *tc, uint64_t number) {
  table *t = tc->numbers[number_slot(tc, number)];
  while (t != NULL && t->number != number) t = t->by_number;
  return t;
}

static table *find_sst(const lsm_table_cache *tc, const lsm_sst *sst) {
  table *t = tc->ssts[sst_slot(tc, sst)];
  while (t != NULL && t->sst != sst) t = t->by_sst;
  return t;
}

static void link_number(lsm_table_cache *tc, table *t) {
  table **slot = &tc->numbers[number_slot(tc, t->number)];
  t->by_number = *slot;
  *slot = t;
}

static void unlink_number(lsm_table_cache *tc, table *t) {
  table **p = &tc->numbers[number_slot(tc, t->number)];
  while (*p != t) p = &(*p)->by_number;
  *p = t->by_number;
}

static void link_sst(lsm_table_cache *tc, table *t) {
  table **slot = &tc->ssts[sst_slot(tc, t->sst)];
  t->by_sst = *slot;
  *slot = t;
  tc->nopen++;
  tc->bytes += lsm_sst_memory(t->sst);
}

static void unlink_sst(lsm_table_cache *tc, table *t) {
  table **p = &tc->ssts[sst_slot(tc, t->sst)];
  while (*p != t) p = &(*p)->by_sst;
  *p = t->by_sst;
  tc->nopen--;
  tc->bytes -= lsm_sst_memory(t->sst);
}

/* Doubles both hashes; without memory they stay, and chains grow longer. */
static void grow(lsm_table_cache *tc) {
  size_t old = tc->nbuckets;
  table **numbers = lsm_calloc(old * 2 * sizeof *numbers);
  table **ssts = lsm_calloc(old * 2 * sizeof *ssts);
  if (numbers == NULL || ssts == NULL) {
    lsm_free(numbers);
    lsm_free(ssts);
    return;
  }
  table **old_numbers = tc->numbers;
  table **old_ssts = tc->ssts;
  tc->numbers = numbers;
  tc->ssts = ssts;
  tc->nbuckets = old * 2;
  tc->nopen = tc->bytes = 0; /* link_sst() counts again */
  for (size_t i = 0; i < old; i++) {
    table *next;
    for (table *t = old_numbers[i]; t != NULL; t = next) {
      next = t->by_number;
      link_number(tc, t);
    }
    for (table *t = old_ssts[i]; t != NULL; t = next) {
      next = t->by_sst;
      link_sst(tc, t);
    }
  }
  lsm_free(old_numbers);
  lsm_free(old_ssts);
}

/*-------------------------------------------------------- pins, under mu */

static void lru_remove(lsm_table_cache *tc, table *t) {
  if (t->newer != NULL) {
    t->newer->older = t->older;
  } else {
    tc->head = t->older;
  }
  if (t->older != NULL) {
    t->older->newer = t->newer;
  } else {
    tc->tail = t->newer;
  }
}

static void lru_push(lsm_table_cache *tc, table *t) {
  t->newer = NULL;
  t->older = tc->head;
  if (tc->head != NULL) {
    tc->head->newer = t;
  } else {
    tc->tail = t;
  }
  tc->head = t;
}

/* Takes the longest unused tables out, as many as are too many, for
** close_tables() after the unlock. */
static table *shrink(lsm_table_cache *tc) {
  table *victims = NULL;
  while (tc->tail != NULL && (tc->nopen > tc->max_open ||
                              (tc->bytes > tc->max_bytes && tc->nopen > KEPT))) {
    table *t = tc->tail;
    lru_remove(tc, t);
    unlink_number(tc, t);
    unlink_sst(tc, t);
    t->older = victims;
    victims = t;
  }
  return victims;
}

static void close_tables(lsm_table_cache *tc, table *t) {
  while (t != NULL) {
    table *next = t->older;
    lsm_sst_close(t->sst);
    if (t->evicted) lsm_cache_evict_file(tc->cache, t->number); /* what it read since */
    lsm_free(t);
    t = next;
  }
}

/*-------------------------------------------------------------- life cycle */

lsm_rc lsm_table_cache_new(lsm_env *env, const char *dir, const uint8_t *store_id, lsm_cache *cache,
                           lsm_read_stats *stats, size_t max_open, size_t max_bytes,
                           lsm_table_cache **out) {
  *out = NULL;
  lsm_rc rc;
  size_t dir_size = strlen(dir) + 1;
  lsm_table_cache *tc = lsm_calloc(sizeof *tc);
  if (tc == NULL) return lsm_nomem();
  tc->env = env;
  memcpy(tc->store_id, store_id, sizeof tc->store_id);
  tc->cache = cache;
  tc->stats = stats;
  tc->max_open = max_open;
  tc->max_bytes = max_bytes;
  tc->nbuckets = FIRST_BUCKETS;
  tc->dir = lsm_malloc(dir_size);
  tc->numbers = lsm_calloc(FIRST_BUCKETS * sizeof *tc->numbers);
  tc->ssts = lsm_calloc(FIRST_BUCKETS * sizeof *tc->ssts);
  if (tc->dir == NULL || tc->numbers == NULL || tc->ssts == NULL) {
    rc = lsm_nomem();
    goto fail;
  }
  memcpy(tc->dir, dir, dir_size);
  rc = lsm_mutex_init(&tc->mu, LSM_RANK_TABLES);
  if (rc != LSM_OK) goto fail;
  rc = lsm_cond_init(&tc->opened);
  if (rc != LSM_OK) {
    lsm_mutex_fini(&tc->mu);
    goto fail;
  }
  *out = tc;
  return LSM_OK;
fail:
  lsm_free(tc->ssts);
  lsm_free(tc->numbers);
  lsm_free(tc->dir);
  lsm_free(tc);
  return rc;
}

void lsm_table_cache_free(lsm_table_cache *tc) {
  if (tc == NULL) return;
  lsm_mutex_lock(&tc->mu);
  tc->max_open = 0;
  table *all = shrink(tc);
  assert(tc->nopen == 0); /* else one is pinned */
  lsm_mutex_unlock(&tc->mu);
  close_tables(tc, all);
  lsm_cond_fini(&tc->opened);
  lsm_mutex_fini(&tc->mu);
  lsm_free(tc->ssts);
  lsm_free(tc->numbers);
  lsm_free(tc->dir);
  lsm_free(tc);
}

/*------------------------------------------------------------------ tables */

static lsm_rc open_sst(lsm_table_cache *tc, const lsm_filemeta *f, lsm_sst **sst) {
  *sst = NULL;
  char *path = lsm_filename_new(tc->dir, LSM_FILE_SST, f->number);
  if (path == NULL) return lsm_nomem();
  lsm_rc rc =
      lsm_sst_open(tc->env, path, tc->store_id, f->number, f->size, tc->cache, tc->stats, sst);
  /* Of a lookup LSM_NOTFOUND would say that there is no such key. */
  if (rc == LSM_NOTFOUND) rc = lsm_fail(LSM_CORRUPT, "%s: missing", path);
  lsm_free(path);
  return rc;
}

/* Opens the table of f, whose placeholder t is in the hash. Called with the
** lock, returns without it. */
static lsm_rc open_table(lsm_table_cache *tc, const lsm_filemeta *f, table *t, lsm_sst **sst) {
  table *victims = NULL;
  lsm_mutex_unlock(&tc->mu);
  lsm_rc rc = open_sst(tc, f, sst);
  lsm_mutex_lock(&tc->mu);
  if (rc == LSM_OK) {
    t->sst = *sst;
    t->pins = 1;
    if (tc->nopen >= tc->nbuckets) grow(tc);
    link_sst(tc, t);
    victims = shrink(tc);
  } else if (!t->evicted) {
    unlink_number(tc, t);
  }
  lsm_cond_broadcast(&tc->opened);
  lsm_mutex_unlock(&tc->mu);
  if (rc != LSM_OK) lsm_free(t);
  close_tables(tc, victims);
  return rc;
}

lsm_rc lsm_table_cache_get(lsm_table_cache *tc, const lsm_filemeta *f, lsm_sst **sst) {
  *sst = NULL;
  lsm_mutex_lock(&tc->mu);
  table *t = find_number(tc, f->number);
  while (t != NULL && t->sst == NULL) { /* another thread is at it */
    lsm_cond_wait(&tc->opened, &tc->mu);
    t = find_number(tc, f->number);
  }
  if (t != NULL) {
    if (t->pins++ == 0) lru_remove(tc, t);
    *sst = t->sst;
    lsm_mutex_unlock(&tc->mu);
    return LSM_OK;
  }
  t = lsm_calloc(sizeof *t);
  if (t == NULL) {
    lsm_mutex_unlock(&tc->mu);
    return lsm_nomem();
  }
  t->number = f->number;
  link_number(tc, t);
  return open_table(tc, f, t, sst);
}

void lsm_table_cache_unpin(lsm_table_cache *tc, lsm_sst *sst) {
  if (sst == NULL) return;
  table *victims = NULL;
  lsm_mutex_lock(&tc->mu);
  table *t = find_sst(tc, sst);
  assert(t != NULL && t->pins > 0);
  if (--t->pins == 0) {
    if (t->evicted) {
      unlink_sst(tc, t);
      t->older = NULL;
      victims = t;
    } else {
      lru_push(tc, t);
      victims = shrink(tc);
    }
  }
  lsm_mutex_unlock(&tc->mu);
  close_tables(tc, victims);
}

lsm_rc lsm_table_pins_get(lsm_table_pins *pins, lsm_table_cache *tc, const lsm_filemeta *f,
                          lsm_sst **sst, bool *own) {
  *own = true;
  if (pins == NULL) return lsm_table_cache_get(tc, f, sst);
  _Atomic(lsm_sst *) *place = &pins->place[f->number % LSM_TABLE_PINS];
  *sst = atomic_load_explicit(place, memory_order_acquire);
  *own = false;
  if (*sst != NULL && lsm_sst_number(*sst) == f->number) return LSM_OK;
  bool taken = *sst != NULL;
  lsm_sst *none = NULL;
  lsm_rc rc = lsm_table_cache_get(tc, f, sst);
  if (rc == LSM_OK) *own = taken || !atomic_compare_exchange_strong(place, &none, *sst);
  return rc;
}

void lsm_table_pins_release(lsm_table_pins *pins, lsm_table_cache *tc) {
  for (size_t i = 0; i < LSM_TABLE_PINS; i++) {
    lsm_sst *sst = atomic_load_explicit(&pins->place[i], memory_order_relaxed);
    if (sst == NULL) continue;
    atomic_store_explicit(&pins->place[i], NULL, memory_order_relaxed);
    lsm_table_cache_unpin(tc, sst);
  }
}

void lsm_table_cache_evict(lsm_table_cache *tc, uint64_t number) {
  table *victim = NULL;
  lsm_mutex_lock(&tc->mu);
  table *t = find_number(tc, number);
  if (t != NULL) {
    unlink_number(tc, t);
    t->evicted = true;
    if (t->sst != NULL && t->pins == 0) {
      lru_remove(tc, t);
      unlink_sst(tc, t);
      t->older = NULL;
      victim = t;
    }
  }
  lsm_mutex_unlock(&tc->mu);
  close_tables(tc, victim);
  if (victim == NULL) lsm_cache_evict_file(tc->cache, number);
}
