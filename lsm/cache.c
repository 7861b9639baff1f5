/* cache.c: blocks by (file, offset), and the budget they share with others.
**
** Owns:  the shards: a hash table of blocks each.
** Holds: (1) a block's refs count its pins, plus one for the table while it
**            is in it; who takes it to zero frees it;
**        (2) a pin is added under the shard's lock only (or by the creator),
**            so under the lock refs == 1 means "nobody but the table" and
**            stays so; dropping a pin takes no lock;
**        (3) the table is open: who looks for a block meets the memory of no
**            other, for a slot has its whole hash. Half of the slots are empty;
**        (4) eviction goes round over the slots. It passes over blocks that are
**            pinned and takes a life from the others; those that have none left
**            go. One comes with a life, and being found gives it all there are;
**        (5) a shard that could not shrink to its share, because of pins,
**            says so in `over`: the next unpin evicts.
** Locks: each shard its own, LSM_RANK_CACHE; never two at once. Frees happen
**        after the unlock. */
#include "cache.h"

#define MAX_SHARDS  8
#define SMALL_CACHE ((size_t)1 << 20) /* below: one shard */
#define FIRST_SLOTS 32
#define SPARE       16 /* one scanned block of so many gets into a full shard */
#define LINE        64

struct shard;

/* Two lines of the processor's cache, the bytes follow. */
typedef struct entry {
  lsm_block b; /* first: an lsm_block * is an entry * */
  /* constant once inserted */
  struct shard *shard; /* NULL: never inserted */
  uint64_t file;
  uint64_t off;
  void *memory; /* what was allocated for it */
  /* guarded by shard->mu while it leaves the table, then the victims' thread's */
  struct entry *chain;
  uint64_t hint[LSM_BLOCK_HINT / 8];
} entry;

enum { LIVES = 2 };

typedef struct slot {
  uint64_t hash;
  entry *e; /* NULL: empty */
} slot;

typedef struct shard {
  lsm_mutex mu;
  /* guarded by mu */
  slot *slots;
  uint8_t *lives; /* of the slots' blocks */
  size_t nslots; /* power of two */
  size_t count;
  size_t used; /* charges of the blocks in the table */
  size_t hand; /* where eviction goes on */
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

/* The top bits choose the shard, the bottom ones the slot. */
static shard *shard_of(lsm_cache *cache, uint64_t hash) {
  return &cache->shards[(hash >> 48) & (cache->nshards - 1)];
}

static size_t charge_of_size(size_t size) {
  return sizeof(entry) + sizeof(slot) + LINE + size;
}

static size_t charge_of(const entry *e) {
  return charge_of_size(e->b.size);
}

/* What a shard may use for blocks now. */
static size_t share_of(const lsm_cache *cache) {
  int64_t reserved = atomic_load_explicit(&cache->reserved, memory_order_relaxed);
  uint64_t other = atomic_load_explicit(&cache->lent, memory_order_relaxed);
  if (reserved > 0) other += (uint64_t)reserved;
  return other < cache->capacity ? (cache->capacity - (size_t)other) / cache->nshards : 0;
}

/*--------------------------------------------------------- table, under mu */

/* The slot of a block, or the empty one where the search for it ends. */
static size_t find_slot(const shard *s, uint64_t hash, uint64_t file, uint64_t off) {
  size_t mask = s->nslots - 1, i = hash & mask;
  for (;; i = (i + 1) & mask) {
    const slot *p = &s->slots[i];
    if (p->e == NULL || (p->hash == hash && p->e->file == file && p->e->off == off)) return i;
  }
}

static void put_slot(shard *s, uint64_t hash, entry *e, uint8_t lives) {
  size_t mask = s->nslots - 1, i = hash & mask;
  while (s->slots[i].e != NULL) i = (i + 1) & mask;
  s->slots[i].hash = hash;
  s->slots[i].e = e;
  s->lives[i] = lives;
}

/* Makes room for one more; false: there is no memory for that. */
static bool table_grow(shard *s) {
  if (2 * (s->count + 1) <= s->nslots) return true;
  size_t before = s->nslots, n = before * 2;
  slot *old = s->slots;
  uint8_t *old_lives = s->lives;
  slot *slots = lsm_calloc(n * sizeof *slots);
  uint8_t *lives = lsm_calloc(n);
  if (slots == NULL || lives == NULL) {
    lsm_free(slots);
    lsm_free(lives);
    return s->count + 1 < s->nslots; /* it gets slower, but a search has to end */
  }
  s->slots = slots;
  s->lives = lives;
  s->nslots = n;
  s->hand = 0;
  for (size_t i = 0; i < before; i++) {
    if (old[i].e != NULL) put_slot(s, old[i].hash, old[i].e, old_lives[i]);
  }
  lsm_free(old);
  lsm_free(old_lives);
  return true;
}

/* Empties slot I and moves those behind it up that can then be found earlier. */
static void empty_slot(shard *s, size_t i) {
  size_t mask = s->nslots - 1;
  for (size_t j = (i + 1) & mask; s->slots[j].e != NULL; j = (j + 1) & mask) {
    size_t home = s->slots[j].hash & mask;
    if (((j - home) & mask) < ((j - i) & mask)) continue; /* its place is between i and j */
    s->slots[i] = s->slots[j];
    s->lives[i] = s->lives[j];
    i = j;
  }
  s->slots[i].e = NULL;
}

/* Takes a block out and drops the table's reference; if that was the last one, it
** joins *victims, to be freed after the unlock. */
static void table_remove(shard *s, size_t i, entry **victims) {
  entry *e = s->slots[i].e;
  empty_slot(s, i);
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
  for (size_t left = (LIVES + 1) * s->nslots; left > 0 && s->used > room; left--) {
    size_t i = s->hand;
    if (s->slots[i].e != NULL && s->lives[i] == 0 && atomic_load(&s->slots[i].e->b.refs) == 1) {
      table_remove(s, i, victims); /* another one may be there now */
      continue;
    }
    if (s->slots[i].e != NULL && s->lives[i] > 0) s->lives[i]--;
    s->hand = (i + 1) & (s->nslots - 1);
  }
  if (s->used <= room) atomic_store(&s->over, false);
}

static void free_entry(entry *e) {
  lsm_free(e->memory);
}

static void free_victims(entry *e) {
  while (e != NULL) {
    entry *next = e->chain;
    free_entry(e);
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
  s->slots = lsm_calloc(FIRST_SLOTS * sizeof *s->slots);
  s->lives = lsm_calloc(FIRST_SLOTS);
  s->nslots = FIRST_SLOTS;
  lsm_rc rc = s->slots != NULL && s->lives != NULL ? LSM_OK : lsm_nomem();
  if (rc == LSM_OK) rc = lsm_mutex_init(&s->mu, LSM_RANK_CACHE);
  if (rc != LSM_OK) {
    lsm_free(s->slots);
    lsm_free(s->lives);
  }
  return rc;
}

static void shard_fini(shard *s) {
  for (size_t i = 0; i < s->nslots; i++) {
    if (s->slots[i].e == NULL) continue;
    assert(atomic_load(&s->slots[i].e->b.refs) == 1);
    free_entry(s->slots[i].e);
  }
  lsm_free(s->slots);
  lsm_free(s->lives);
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
  size_t i = find_slot(s, hash, file, off);
  entry *e = s->slots[i].e;
  if (e != NULL) {
#if defined(__GNUC__)
    __builtin_prefetch(e->hint);
#endif
    atomic_fetch_add_explicit(&e->b.refs, 1, memory_order_relaxed);
    s->lives[i] = LIVES;
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
  if (size > SIZE_MAX - sizeof(entry) - LINE) return lsm_nomem();
  uint8_t *memory = lsm_malloc(sizeof(entry) + LINE + size);
  if (memory == NULL) return lsm_nomem();
  entry *e = (entry *)(void *)(memory + (LINE - (uintptr_t)memory % LINE) % LINE);
  memset(e, 0, sizeof *e);
  e->memory = memory;
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
  size_t i = find_slot(s, hash, file, off);
  entry *other = s->slots[i].e;
  if (other != NULL) {
    atomic_fetch_add_explicit(&other->b.refs, 1, memory_order_relaxed);
    s->lives[i] = LIVES;
    *b = &other->b;
    e->chain = NULL;
    victims = e;
  } else if (charge_of(e) <= room && table_grow(s)) {
    e->shard = s;
    e->file = file;
    e->off = off;
    atomic_store_explicit(&e->b.refs, 2, memory_order_relaxed);
    put_slot(s, hash, e, 1);
    s->count++;
    s->used += charge_of(e);
    evict(s, room, &victims);
  }
  lsm_mutex_unlock(&s->mu);
  free_victims(victims);
}

bool lsm_cache_spares(lsm_cache *cache, uint64_t file, uint64_t off, size_t size) {
  shard *s = shard_of(cache, key_hash(file, off));
  lsm_mutex_lock(&s->mu);
  bool full = s->used + charge_of_size(size) > share_of(cache);
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
    free_entry(e);
  } else if (before == 2 && atomic_load(&s->over)) {
    /* Usually the table holds the other reference, and may let go now. */
    shard_shrink(cache, s);
  }
}

void lsm_cache_evict_file(lsm_cache *cache, uint64_t file) {
  for (unsigned n = 0; n < cache->nshards; n++) {
    shard *s = &cache->shards[n];
    entry *victims = NULL;
    lsm_mutex_lock(&s->mu);
    for (size_t i = 0; i < s->nslots; i++) {
      /* What moves up in its place was not looked at yet, or was all right. */
      while (s->slots[i].e != NULL && s->slots[i].e->file == file) table_remove(s, i, &victims);
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
