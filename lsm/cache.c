/* cache.c: blocks by (file, offset), and the budget they share with others.
**
** Owns:  the shards: a hash table and a list of blocks each.
** Holds: (1) a block's refs count its pins, plus one for the table while it
**            is in it; who takes it to zero frees it;
**        (2) a pin is added under the shard's lock only (or by the creator),
**            so under the lock refs == 1 means "nobody but the table" and
**            stays so; dropping a pin takes no lock;
**        (3) the list holds every block of the table, the latest in first.
**            Eviction passes over those that are pinned or were found since
**            it came by last, and moves them to the front. So finding a
**            block touches no neighbour's memory;
**        (4) a shard that could not shrink to its share, because of pins,
**            says so in `over`: the next unpin evicts.
** Locks: each shard its own, LSM_RANK_CACHE; never two at once. Frees happen
**        after the unlock. */
#include "cache.h"

#define MAX_SHARDS    8
#define SPARE         16 /* one scanned block of so many gets into a full shard */
#define SMALL_CACHE   ((size_t)1 << 20) /* below: one shard */
#define FIRST_BUCKETS 16

struct shard;

typedef struct entry {
  lsm_block b; /* first: an lsm_block * is an entry * */
  /* constant once inserted */
  struct shard *shard; /* NULL: never inserted */
  uint64_t file;
  uint64_t off;
  uint64_t hash;
  /* guarded by shard->mu while in the table; later the list of victims */
  struct entry *chain; /* next in the bucket */
  struct entry *newer; /* towards the head of the list */
  struct entry *older;
  bool found; /* since eviction last looked at it */
} entry;

typedef struct shard {
  lsm_mutex mu;
  /* guarded by mu */
  entry **buckets;
  size_t nbuckets; /* power of two */
  size_t count;
  size_t used; /* charges of the blocks in the table */
  entry *head; /* latest in */
  entry *tail; /* next to go */
  uint64_t hits;
  uint64_t misses;
  unsigned spared; /* scans' blocks that were kept out, in a row */
  /* atomic, set under mu */
  _Atomic bool over;
  char pad[64]; /* keeps the locks of two shards on different cache lines */
} shard;

struct lsm_cache {
  /* constant after new */
  size_t capacity;
  unsigned nshards; /* power of two */
  /* atomic */
  _Atomic int64_t reserved;
  _Atomic size_t lent;
  shard shards[MAX_SHARDS];
};

static uint64_t key_hash(uint64_t file, uint64_t off) {
  uint64_t h = file * 0x9E3779B97F4A7C15u ^ off;
  h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9u;
  h = (h ^ h >> 32) * 0x94D049BB133111EBu;
  return h ^ h >> 31;
}

/* The top bits choose the shard, the bottom ones the bucket. */
static shard *shard_of(lsm_cache *cache, uint64_t hash) {
  return &cache->shards[(hash >> 48) & (cache->nshards - 1)];
}

static size_t charge_of(const entry *e) {
  return sizeof(entry) + e->b.size;
}

/* What a shard may use for blocks now. */
static size_t share_of(const lsm_cache *cache) {
  int64_t reserved = atomic_load_explicit(&cache->reserved, memory_order_relaxed);
  uint64_t other = atomic_load_explicit(&cache->lent, memory_order_relaxed);
  if (reserved > 0) other += (uint64_t)reserved;
  return other < cache->capacity ? (cache->capacity - (size_t)other) / cache->nshards : 0;
}

/*------------------------------------------------- list and table, under mu */

static void list_remove(shard *s, entry *e) {
  if (e->newer != NULL) {
    e->newer->older = e->older;
  } else {
    s->head = e->older;
  }
  if (e->older != NULL) {
    e->older->newer = e->newer;
  } else {
    s->tail = e->newer;
  }
}

static void list_push(shard *s, entry *e) {
  e->newer = NULL;
  e->older = s->head;
  if (s->head != NULL) {
    s->head->newer = e;
  } else {
    s->tail = e;
  }
  s->head = e;
}

static entry *table_find(const shard *s, uint64_t hash, uint64_t file, uint64_t off) {
  entry *e = s->buckets[hash & (s->nbuckets - 1)];
  while (e != NULL && (e->file != file || e->off != off)) e = e->chain;
  return e;
}

/* Doubles the table. Without memory it stays, and chains grow longer. */
static void table_grow(shard *s) {
  size_t n = s->nbuckets * 2;
  entry **buckets = lsm_calloc(n * sizeof *buckets);
  if (buckets == NULL) return;
  for (size_t i = 0; i < s->nbuckets; i++) {
    entry *next;
    for (entry *e = s->buckets[i]; e != NULL; e = next) {
      next = e->chain;
      e->chain = buckets[e->hash & (n - 1)];
      buckets[e->hash & (n - 1)] = e;
    }
  }
  lsm_free(s->buckets);
  s->buckets = buckets;
  s->nbuckets = n;
}

static void table_insert(shard *s, entry *e) {
  if (s->count >= s->nbuckets) table_grow(s);
  entry **bucket = &s->buckets[e->hash & (s->nbuckets - 1)];
  e->chain = *bucket;
  *bucket = e;
  list_push(s, e);
  s->count++;
  s->used += charge_of(e);
}

/* Takes e out and drops the table's reference; if that was the last one, e
** joins *victims, to be freed after the unlock. */
static void table_remove(shard *s, entry *e, entry **victims) {
  entry **p = &s->buckets[e->hash & (s->nbuckets - 1)];
  while (*p != e) p = &(*p)->chain;
  *p = e->chain;
  list_remove(s, e);
  s->count--;
  s->used -= charge_of(e);
  if (atomic_fetch_sub(&e->b.refs, 1) == 1) {
    e->chain = *victims;
    *victims = e;
  }
}

/* Brings the shard down to ROOM, as far as pins allow. */
static void evict(shard *s, size_t room, entry **victims) {
  if (s->used <= room) {
    if (atomic_load_explicit(&s->over, memory_order_relaxed)) atomic_store(&s->over, false);
    return;
  }
  /* First the flag, then the counts: a pin dropped behind our back sees it. */
  atomic_store(&s->over, true);
  for (size_t left = 2 * s->count; left > 0 && s->used > room; left--) {
    entry *e = s->tail;
    if (e->found || atomic_load(&e->b.refs) > 1) {
      e->found = false;
      list_remove(s, e);
      list_push(s, e);
    } else {
      table_remove(s, e, victims);
    }
  }
  if (s->used <= room) atomic_store(&s->over, false);
}

static void free_victims(entry *e) {
  while (e != NULL) {
    entry *next = e->chain;
    lsm_free(e);
    e = next;
  }
}

static void shard_shrink(lsm_cache *cache, shard *s) {
  entry *victims = NULL;
  lsm_mutex_lock(&s->mu);
  evict(s, share_of(cache), &victims);
  lsm_mutex_unlock(&s->mu);
  free_victims(victims);
}

/*-------------------------------------------------------------- life cycle */

static lsm_rc shard_init(shard *s) {
  s->buckets = lsm_calloc(FIRST_BUCKETS * sizeof *s->buckets);
  if (s->buckets == NULL) return lsm_nomem();
  s->nbuckets = FIRST_BUCKETS;
  lsm_rc rc = lsm_mutex_init(&s->mu, LSM_RANK_CACHE);
  if (rc != LSM_OK) lsm_free(s->buckets);
  return rc;
}

static void shard_fini(shard *s) {
  entry *next;
  for (entry *e = s->head; e != NULL; e = next) {
    assert(atomic_load(&e->b.refs) == 1);
    next = e->older;
    lsm_free(e);
  }
  lsm_free(s->buckets);
  lsm_mutex_fini(&s->mu);
}

lsm_rc lsm_cache_new(size_t capacity, lsm_cache **cache) {
  *cache = NULL;
  lsm_cache *c = lsm_calloc(sizeof *c);
  if (c == NULL) return lsm_nomem();
  c->capacity = capacity;
  unsigned want = capacity < SMALL_CACHE ? 1 : MAX_SHARDS;
  for (unsigned i = 0; i < want; i++) {
    lsm_rc rc = shard_init(&c->shards[i]);
    if (rc != LSM_OK) {
      lsm_cache_free(c);
      return rc;
    }
    c->nshards = i + 1;
  }
  *cache = c;
  return LSM_OK;
}

void lsm_cache_free(lsm_cache *cache) {
  if (cache == NULL) return;
  for (unsigned i = 0; i < cache->nshards; i++) shard_fini(&cache->shards[i]);
  lsm_free(cache);
}

/*------------------------------------------------------------------ blocks */

lsm_block *lsm_cache_get(lsm_cache *cache, uint64_t file, uint64_t off) {
  uint64_t hash = key_hash(file, off);
  shard *s = shard_of(cache, hash);
  lsm_mutex_lock(&s->mu);
  entry *e = table_find(s, hash, file, off);
  if (e != NULL) {
    atomic_fetch_add_explicit(&e->b.refs, 1, memory_order_relaxed);
    e->found = true;
    s->hits++;
  } else {
    s->misses++;
  }
  lsm_mutex_unlock(&s->mu);
  return e == NULL ? NULL : &e->b;
}

lsm_rc lsm_block_new(lsm_cache *cache, size_t size, lsm_block **b) {
  (void)cache;
  *b = NULL;
  if (size > SIZE_MAX - sizeof(entry)) return lsm_nomem();
  entry *e = lsm_malloc(sizeof *e + size);
  if (e == NULL) return lsm_nomem();
  memset(e, 0, sizeof *e);
  e->b.data = (uint8_t *)(e + 1);
  e->b.size = size;
  atomic_init(&e->b.refs, 1);
  *b = &e->b;
  return LSM_OK;
}

void lsm_cache_insert(lsm_cache *cache, uint64_t file, uint64_t off, lsm_block **b) {
  entry *e = (entry *)*b;
  assert(e->shard == NULL && atomic_load(&e->b.refs) == 1);
  uint64_t hash = key_hash(file, off);
  shard *s = shard_of(cache, hash);
  entry *victims = NULL;
  lsm_mutex_lock(&s->mu);
  size_t room = share_of(cache); /* under mu: a reservation shrinks us before or after */
  entry *other = table_find(s, hash, file, off);
  if (other != NULL) {
    atomic_fetch_add_explicit(&other->b.refs, 1, memory_order_relaxed);
    other->found = true;
    *b = &other->b;
    e->chain = NULL;
    victims = e;
  } else if (charge_of(e) <= room) {
    e->shard = s;
    e->file = file;
    e->off = off;
    e->hash = hash;
    atomic_store_explicit(&e->b.refs, 2, memory_order_relaxed);
    table_insert(s, e);
    evict(s, room, &victims);
  }
  lsm_mutex_unlock(&s->mu);
  free_victims(victims);
}

bool lsm_cache_spares(lsm_cache *cache, uint64_t file, uint64_t off, size_t size) {
  shard *s = shard_of(cache, key_hash(file, off));
  lsm_mutex_lock(&s->mu);
  bool full = s->used + sizeof(entry) + size > share_of(cache);
  s->spared = full && s->spared < SPARE - 1 ? s->spared + 1 : 0;
  bool spares = s->spared > 0;
  lsm_mutex_unlock(&s->mu);
  return spares;
}

void lsm_block_unpin(lsm_cache *cache, lsm_block *b) {
  if (b == NULL) return;
  entry *e = (entry *)b;
  shard *s = e->shard; /* e may be gone after the count went down */
  uint32_t before = atomic_fetch_sub(&e->b.refs, 1);
  assert(before > 0);
  if (before == 1) {
    lsm_free(e);
  } else if (before == 2 && atomic_load(&s->over)) {
    /* Usually the table holds the other reference, and may let go now. */
    shard_shrink(cache, s);
  }
}

void lsm_cache_evict_file(lsm_cache *cache, uint64_t file) {
  for (unsigned i = 0; i < cache->nshards; i++) {
    shard *s = &cache->shards[i];
    entry *victims = NULL;
    entry *next;
    lsm_mutex_lock(&s->mu);
    for (entry *e = s->head; e != NULL; e = next) {
      next = e->older;
      if (e->file == file) table_remove(s, e, &victims);
    }
    lsm_mutex_unlock(&s->mu);
    free_victims(victims);
  }
}

/*------------------------------------------------------------------ budget */

void lsm_cache_lend(lsm_cache *cache, size_t bytes) {
  size_t before = atomic_load_explicit(&cache->lent, memory_order_relaxed);
  if (bytes == before) return;
  before = atomic_exchange_explicit(&cache->lent, bytes, memory_order_relaxed);
  for (unsigned i = 0; bytes > before && i < cache->nshards; i++) {
    shard_shrink(cache, &cache->shards[i]);
  }
}

void lsm_cache_reserve(lsm_cache *cache, int64_t bytes) {
  atomic_fetch_add_explicit(&cache->reserved, bytes, memory_order_relaxed);
  if (bytes <= 0) return;
  for (unsigned i = 0; i < cache->nshards; i++) shard_shrink(cache, &cache->shards[i]);
}

void lsm_cache_get_stats(lsm_cache *cache, lsm_cache_stats *stats) {
  memset(stats, 0, sizeof *stats);
  for (unsigned i = 0; i < cache->nshards; i++) {
    shard *s = &cache->shards[i];
    lsm_mutex_lock(&s->mu);
    stats->hits += s->hits;
    stats->misses += s->misses;
    stats->bytes += s->used;
    lsm_mutex_unlock(&s->mu);
  }
  int64_t reserved = atomic_load_explicit(&cache->reserved, memory_order_relaxed);
  if (reserved > 0) stats->bytes += (uint64_t)reserved;
}
