/* test_sst.c: SSTables against a sorted array; damage; failures; golden bytes. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "env_fault.h"
#include "sst.h"
#include "sst_format.h"

Suite *sst_suite(void);

#define PATH "/000007.sst"
static const uint8_t store_id[16] = "0123456789abcdef";

static uint64_t seed;

static uint32_t rnd(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % n;
}

/*------------------------------------------------------------------- model */

typedef struct item {
  uint8_t *key;
  size_t size;
  bool tombstone;
  uint8_t *value;
  size_t vsize;
} item;

typedef struct model {
  item *items;
  size_t n;
  lsm_rangeset ranges;
} model;

static lsm_slice key_of(const item *i) {
  return lsm_slice_of(i->key, i->size);
}
static lsm_slice value_of(const item *i) {
  return lsm_slice_of(i->value, i->vsize);
}

static int cmp_items(const void *a, const void *b) {
  return lsm_slice_cmp(key_of(a), key_of(b));
}

/* Keyspace 5, then: 0 short random ones, the empty one among them; 1 a long
** common beginning; 2 numbers; 3 long ones, of which 0xFF is a large part. */
static size_t make_key(uint8_t *p, int shape) {
  size_t n = 0;
  p[n++] = 5;
  if (shape == 1) {
    memset(p + n, 'c', 60);
    n += 60;
  }
  if (shape == 2) {
    uint32_t v = rnd(100000);
    for (int s = 24; s >= 0; s -= 8) p[n++] = (uint8_t)(v >> s);
    return n;
  }
  size_t more = rnd(shape == 3 ? 300 : 8);
  for (size_t i = 0; i < more; i++) p[n++] = (uint8_t)(rnd(3) == 0 ? 0xFF : 'a' + (int)rnd(4));
  return n;
}

static void *copy_of(const void *p, size_t n) {
  void *q = malloc(n + 1);
  ck_assert_ptr_nonnull(q);
  if (n > 0) memcpy(q, p, n);
  return q;
}

static void make_value(item *it, size_t most) {
  it->tombstone = rnd(6) == 0;
  it->vsize = it->tombstone ? 0 : rnd((uint32_t)most);
  it->value = malloc(it->vsize + 1);
  ck_assert_ptr_nonnull(it->value);
  uint32_t letters = rnd(2) ? 256 : 4;
  for (size_t i = 0; i < it->vsize; i++) it->value[i] = (uint8_t)rnd(letters);
}

static void model_new(model *m, size_t n, int shape, size_t value_max) {
  uint8_t key[512];
  memset(m, 0, sizeof *m);
  m->items = calloc(n + 1, sizeof *m->items);
  ck_assert_ptr_nonnull(m->items);
  for (size_t i = 0; i < n; i++) {
    size_t size = make_key(key, shape);
    m->items[i].key = copy_of(key, size);
    m->items[i].size = size;
    make_value(&m->items[i], value_max);
  }
  qsort(m->items, n, sizeof *m->items, cmp_items);
  for (size_t i = 0; i < n; i++) {
    if (m->n > 0 && cmp_items(&m->items[m->n - 1], &m->items[i]) == 0) {
      free(m->items[i].key);
      free(m->items[i].value);
    } else {
      m->items[m->n++] = m->items[i];
    }
  }
}

static void model_add_ranges(model *m, size_t n, int shape) {
  uint8_t lo[512], hi[512];
  for (size_t i = 0; i < n; i++) {
    lsm_slice a = lsm_slice_of(lo, make_key(lo, shape)), b = lsm_slice_of(hi, make_key(hi, shape));
    if (lsm_slice_cmp(a, b) < 0) ck_assert_int_eq(lsm_rangeset_add(&m->ranges, a, b), LSM_OK);
  }
}

static void model_free(model *m) {
  for (size_t i = 0; i < m->n; i++) {
    free(m->items[i].key);
    free(m->items[i].value);
  }
  free(m->items);
  lsm_rangeset_fini(&m->ranges);
}

static size_t model_ge(const model *m, lsm_slice key) {
  size_t lo = 0, hi = m->n;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    if (lsm_slice_cmp(key_of(&m->items[mid]), key) < 0) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

static size_t model_le(const model *m, lsm_slice key) {
  size_t i = model_ge(m, key);
  if (i < m->n && lsm_slice_eq(key_of(&m->items[i]), key)) return i;
  return i == 0 ? SIZE_MAX : i - 1;
}

/*---------------------------------------------------------- write and open */

typedef struct world {
  lsm_env *env;
  lsm_cache *cache;
  lsm_read_stats stats;
  lsm_sst_props props;
  lsm_sst *sst;
} world;

static void world_new(world *w, size_t cache_size) {
  memset(w, 0, sizeof *w);
  ck_assert_int_eq(lsm_env_mem_new(&w->env), LSM_OK);
  ck_assert_int_eq(lsm_cache_new(cache_size, &w->cache), LSM_OK);
}

static uint64_t cache_bytes(const world *w) {
  lsm_cache_stats s;
  lsm_cache_get_stats(w->cache, &s);
  return s.bytes;
}

static void world_free(world *w) {
  lsm_sst_close(w->sst);
  lsm_cache_evict_file(w->cache, 7);
  ck_assert_uint_eq(cache_bytes(w), 0); /* reservations were given back */
  lsm_sst_props_fini(&w->props);
  lsm_cache_free(w->cache);
  lsm_env_mem_free(w->env);
}

static lsm_sst_options options(uint32_t block_size, bool compress, uint32_t bloom_bits) {
  lsm_sst_options o = {block_size, bloom_bits, compress ? LSM_COMPRESS_ZLIB : LSM_COMPRESS_NONE,
                       5,          store_id,   7};
  return o;
}

static lsm_rc write_sst(lsm_env *env, const lsm_sst_options *opt, const model *m,
                        lsm_sst_props *props) {
  lsm_sst_writer *w = NULL;
  memset(props, 0, sizeof *props);
  lsm_rc rc = lsm_sst_writer_new(env, PATH, opt, &w);
  size_t r = 0;
  for (size_t i = 0; rc == LSM_OK && i < m->n; i++) {
    const item *it = &m->items[i];
    rc = lsm_sst_writer_add(w, it->tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT, key_of(it),
                            value_of(it));
    if (rc == LSM_OK && i % 3 == 0 && r < m->ranges.count) {
      rc = lsm_sst_writer_add_range(w, m->ranges.items[r].lo, m->ranges.items[r].hi);
      r++;
    }
  }
  for (; rc == LSM_OK && r < m->ranges.count; r++)
    rc = lsm_sst_writer_add_range(w, m->ranges.items[r].lo, m->ranges.items[r].hi);
  if (rc == LSM_OK) rc = lsm_sst_writer_finish(w, props);
  lsm_sst_writer_free(w);
  return rc;
}

static lsm_rc open_sst(world *w) {
  return lsm_sst_open(w->env, PATH, store_id, 7, w->props.size, w->cache, &w->stats, &w->sst);
}

static void make(world *w, const model *m, uint32_t block_size, bool compress,
                 uint32_t bloom_bits) {
  lsm_sst_options opt = options(block_size, compress, bloom_bits);
  ck_assert_int_eq(write_sst(w->env, &opt, m, &w->props), LSM_OK);
  ck_assert_int_eq(open_sst(w), LSM_OK);
}

/*-------------------------------------------------------------- comparison */

static bool is_at(const lsm_iter *it, const model *m, size_t i) {
  if (!it->valid || i >= m->n) return !it->valid && i >= m->n;
  const item *want = &m->items[i];
  return lsm_slice_eq(it->key, key_of(want)) && lsm_slice_eq(it->value, value_of(want)) &&
         it->kind == (want->tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT);
}

/* Walks all of it both ways: an error, or exactly the model's entries. */
static lsm_rc walk(lsm_sst *sst, const model *m, bool fill_cache) {
  lsm_iter *it;
  lsm_rc rc = lsm_sst_iter(sst, fill_cache, &it);
  if (rc != LSM_OK) return rc;
  size_t i = 0;
  for (rc = it->ops->first(it); rc == LSM_OK && it->valid; rc = it->ops->next(it))
    ck_assert(is_at(it, m, i++));
  if (rc == LSM_OK) ck_assert_uint_eq(i, m->n);
  lsm_rc back = it->ops->last(it);
  for (i = m->n; back == LSM_OK && it->valid; back = it->ops->prev(it))
    ck_assert(is_at(it, m, --i));
  if (back == LSM_OK) ck_assert_uint_eq(i, 0);
  ck_assert(!it->valid);
  lsm_iter_free(it);
  return lsm_first_rc(rc, back);
}

/* Looks one key up: an error, or what the model says. */
static lsm_rc get(lsm_sst *sst, lsm_cache *cache, const model *m, lsm_slice key) {
  lsm_kind kind = 0;
  lsm_slice value;
  lsm_block *pin;
  lsm_rc rc = lsm_sst_get(sst, key, lsm_hash64(key, 0), &kind, &value, &pin);
  size_t i = model_ge(m, key);
  bool there = i < m->n && lsm_slice_eq(key_of(&m->items[i]), key);
  if (rc == LSM_NOTFOUND) {
    ck_assert(!there);
    rc = LSM_OK;
  } else if (rc == LSM_OK) {
    ck_assert(there);
    ck_assert_int_eq(kind, m->items[i].tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT);
    ck_assert(lsm_slice_eq(value, value_of(&m->items[i])));
    ck_assert(kind == LSM_KIND_PUT || pin == NULL);
  } else {
    ck_assert_ptr_null(pin);
  }
  lsm_block_unpin(cache, pin);
  return rc;
}

static void random_moves(lsm_sst *sst, const model *m, int shape, bool fill_cache) {
  lsm_iter *it;
  uint8_t probe[512];
  ck_assert_int_eq(lsm_sst_iter(sst, fill_cache, &it), LSM_OK);
  ck_assert(!it->valid);
  size_t at = SIZE_MAX;
  for (int step = 0; step < 500; step++) {
    lsm_slice key = lsm_slice_of(probe, make_key(probe, shape));
    if (rnd(2) == 0 && m->n > 0) key = key_of(&m->items[rnd((uint32_t)m->n)]);
    if (rnd(50) == 0) key = lsm_slice_of(rnd(2) ? "\x04" : "\x06", 1);
    uint32_t what = rnd(20);
    if (!it->valid && what >= 6) what = rnd(6);
    lsm_rc rc;
    if (what == 0) {
      rc = it->ops->first(it);
      at = 0;
    } else if (what == 1) {
      rc = it->ops->last(it);
      at = m->n - 1;
    } else if (what < 4) {
      rc = it->ops->seek_ge(it, key);
      at = model_ge(m, key);
    } else if (what < 6) {
      rc = it->ops->seek_le(it, key);
      at = model_le(m, key);
    } else if (what < 14) {
      rc = it->ops->next(it);
      at++;
    } else {
      rc = it->ops->prev(it);
      at--;
    }
    ck_assert_int_eq(rc, LSM_OK);
    ck_assert(is_at(it, m, at));
  }
  lsm_iter_free(it);
}

static void check_props(const lsm_sst_props *p, const lsm_sst_props *q, const model *m) {
  uint64_t raw = 0, tombstones = 0;
  for (size_t i = 0; i < m->n; i++) {
    raw += m->items[i].size + m->items[i].vsize;
    tombstones += m->items[i].tombstone;
  }
  ck_assert_uint_eq(p->entries, m->n);
  ck_assert_uint_eq(p->tombstones, tombstones);
  ck_assert_uint_eq(p->ranges, m->ranges.count);
  ck_assert_uint_eq(p->raw_bytes, raw);
  ck_assert_uint_eq(p->size, q->size);
  ck_assert_uint_eq(q->entries, m->n);
  ck_assert_uint_eq(q->tombstones, tombstones);
  ck_assert_uint_eq(q->ranges, m->ranges.count);
  ck_assert_uint_eq(q->raw_bytes, raw);
  ck_assert(lsm_slice_eq(lsm_buf_slice(&p->smallest), lsm_buf_slice(&q->smallest)));
  ck_assert(lsm_slice_eq(lsm_buf_slice(&p->largest), lsm_buf_slice(&q->largest)));
  ck_assert_int_eq(p->largest_open, q->largest_open);
}

static void check_all(world *w, const model *m, int shape) {
  uint8_t probe[512];
  check_props(&w->props, lsm_sst_get_props(w->sst), m);
  ck_assert_int_eq(lsm_sst_verify(w->sst, NULL), LSM_OK);
  for (int cached = 0; cached < 2; cached++) {
    ck_assert_int_eq(walk(w->sst, m, cached), LSM_OK);
    random_moves(w->sst, m, shape, cached);
  }
  double before = 0;
  for (size_t i = 0; i < m->n; i++) {
    ck_assert_int_eq(get(w->sst, w->cache, m, key_of(&m->items[i])), LSM_OK);
    double pos = lsm_sst_position(w->sst, key_of(&m->items[i]));
    ck_assert(pos >= before && pos < 1);
    before = pos;
  }
  for (int i = 0; i < 200; i++)
    ck_assert_int_eq(get(w->sst, w->cache, m, lsm_slice_of(probe, make_key(probe, shape))), LSM_OK);
  ck_assert(lsm_sst_position(w->sst, lsm_slice_str("\x04")) == 0);
  if (m->n > 0) ck_assert(lsm_sst_position(w->sst, lsm_slice_str("\x06")) == 1);
  const lsm_rangeset *r = lsm_sst_ranges(w->sst);
  ck_assert_uint_eq(r->count, m->ranges.count);
  for (size_t i = 0; i < r->count; i++) {
    ck_assert(lsm_slice_eq(r->items[i].lo, m->ranges.items[i].lo));
    ck_assert(lsm_slice_eq(r->items[i].hi, m->ranges.items[i].hi));
  }
}

START_TEST(test_against_model) {
  static const uint32_t block_sizes[] = {1, 64, 100, 300, 1000, 4096, 65536};
  static const size_t sizes[] = {1, 2, 17, 150, 600};
  static const uint32_t bits[] = {0, 3, 10};
  seed = 1;
  for (int shape = 0; shape < 4; shape++) {
    for (size_t b = 0; b < sizeof block_sizes / sizeof block_sizes[0]; b++) {
      model m;
      world w;
      model_new(&m, sizes[rnd(5)], shape, rnd(2) ? 30 : 300);
      if (rnd(2)) model_add_ranges(&m, 20, shape);
      world_new(&w, rnd(2) ? 1 << 20 : 3000);
      make(&w, &m, block_sizes[b], rnd(2), bits[rnd(3)]);
      check_all(&w, &m, shape);
      world_free(&w);
      model_free(&m);
    }
  }
}
END_TEST

/* Blocks of megabytes, reads beyond the window, an index larger than the first
** read at open. */
START_TEST(test_large) {
  for (int compress = 0; compress < 2; compress++) {
    model m;
    world w;
    seed = 77;
    model_new(&m, 40, 2, 20);
    for (size_t i = 0; i < m.n; i += 7) {
      item *it = &m.items[i];
      free(it->value);
      it->tombstone = false;
      it->vsize = 300000 + 200000 * (i % 5);
      it->value = malloc(it->vsize);
      ck_assert_ptr_nonnull(it->value);
      for (size_t k = 0; k < it->vsize; k++) it->value[k] = (uint8_t)rnd(i % 2 ? 256 : 9);
    }
    for (size_t i = 2; i < m.n; i += 9) { /* still in order: something is appended */
      item *it = &m.items[i];
      it->key = realloc(it->key, 100000 + i);
      ck_assert_ptr_nonnull(it->key);
      memset(it->key + it->size, (int)i, 100000 + i - it->size);
      it->size = 100000 + i;
    }
    world_new(&w, 1 << 22);
    make(&w, &m, 4096, compress, 10);
    check_all(&w, &m, 2);
    world_free(&w);
    model_free(&m);
  }
}
END_TEST

/*------------------------------------------------------------------ bounds */

START_TEST(test_bounds) {
  static const struct {
    const char *points, *lo, *hi; /* points: one letter each */
    const char *smallest, *largest;
    bool open;
  } cases[] = {
      {"b", NULL, NULL, "b", "b", false},   {"bcd", NULL, NULL, "b", "d", false},
      {"", "b", "d", "b", "d", true},       {"bcd", "a", "c", "a", "d", false},
      {"bcd", "c", "d", "b", "d", false},   {"bcd", "c", "e", "b", "e", true},
      {"bcd", "bb", "dd", "b", "dd", true}, {"c", "a", "b", "a", "c", false},
      {"a", "b", "c", "a", "c", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    world w;
    world_new(&w, 1 << 20);
    lsm_sst_options opt = options(64, false, 10);
    opt.keyspace = 'x';
    lsm_sst_writer *wr;
    ck_assert_int_eq(lsm_sst_writer_new(w.env, PATH, &opt, &wr), LSM_OK);
    char a[8] = "x", b[8] = "x";
    if (cases[i].lo != NULL) {
      strcpy(a + 1, cases[i].lo);
      strcpy(b + 1, cases[i].hi);
      ck_assert_int_eq(lsm_sst_writer_add_range(wr, lsm_slice_str(a), lsm_slice_str(b)), LSM_OK);
    }
    for (const char *p = cases[i].points; *p != '\0'; p++) {
      char key[3] = {'x', *p, '\0'};
      ck_assert_int_eq(lsm_sst_writer_add(wr, LSM_KIND_PUT, lsm_slice_str(key), LSM_SLICE_NULL),
                       LSM_OK);
    }
    ck_assert_uint_eq(lsm_sst_writer_entries(wr), strlen(cases[i].points));
    ck_assert_int_eq(lsm_sst_writer_finish(wr, &w.props), LSM_OK);
    lsm_sst_writer_free(wr);
    ck_assert_int_eq(open_sst(&w), LSM_OK);
    const lsm_sst_props *p = lsm_sst_get_props(w.sst);
    strcpy(a + 1, cases[i].smallest);
    strcpy(b + 1, cases[i].largest);
    ck_assert(lsm_slice_eq(lsm_buf_slice(&p->smallest), lsm_slice_str(a)));
    ck_assert(lsm_slice_eq(lsm_buf_slice(&p->largest), lsm_slice_str(b)));
    ck_assert_int_eq(p->largest_open, cases[i].open);
    ck_assert_int_eq(lsm_sst_verify(w.sst, NULL), LSM_OK);
    ck_assert_int_eq(w.props.largest_open, cases[i].open);
    world_free(&w);
  }
}
END_TEST

START_TEST(test_misuse) {
  world w;
  world_new(&w, 1 << 20);
  lsm_sst_options opt = options(64, false, 10);
  lsm_sst_writer *wr;
  lsm_slice a = lsm_slice_str("\5a"), b = lsm_slice_str("\5b"), c = lsm_slice_str("\5c");
  lsm_slice big = lsm_slice_of(store_id, 16);
  bool exists;
  lsm_sst_writer_free(NULL);

  ck_assert_int_eq(lsm_sst_writer_new(w.env, PATH, &opt, &wr), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_finish(wr, &w.props), LSM_MISUSE); /* nothing in it */
  lsm_sst_writer_free(wr);
  ck_assert_int_eq(w.env->exists(w.env, PATH, &exists), LSM_OK);
  ck_assert(!exists);

  for (int across = 0; across < 2; across++) { /* the last key is in another block */
    uint8_t filler[100] = {0};
    ck_assert_int_eq(lsm_sst_writer_new(w.env, PATH, &opt, &wr), LSM_OK);
    ck_assert_int_eq(
        lsm_sst_writer_add(wr, LSM_KIND_PUT, b, across ? lsm_slice_of(filler, sizeof filler) : big),
        LSM_OK);
    ck_assert_int_eq(lsm_sst_writer_add(wr, LSM_KIND_PUT, b, big), LSM_MISUSE);
    ck_assert_int_eq(lsm_sst_writer_add(wr, LSM_KIND_PUT, c, big), LSM_MISUSE); /* sticks */
    ck_assert_int_eq(lsm_sst_writer_finish(wr, &w.props), LSM_MISUSE);
    lsm_sst_writer_free(wr);
  }
  ck_assert_int_eq(lsm_sst_writer_new(w.env, PATH, &opt, &wr), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_add_range(wr, b, b), LSM_MISUSE);
  lsm_sst_writer_free(wr);
  ck_assert_int_eq(lsm_sst_writer_new(w.env, PATH, &opt, &wr), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_add_range(wr, a, c), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_add_range(wr, b, c), LSM_MISUSE);
  lsm_sst_writer_free(wr);
  ck_assert_int_eq(w.env->exists(w.env, PATH, &exists), LSM_OK);
  ck_assert(!exists);
  ck_assert_int_eq(lsm_sst_open(w.env, PATH, store_id, 7, 100, w.cache, NULL, &w.sst),
                   LSM_NOTFOUND);
  ck_assert_ptr_null(w.sst);
  world_free(&w);
}
END_TEST

START_TEST(test_size_estimate) {
  seed = 5;
  model m;
  world w;
  model_new(&m, 3000, 2, 200);
  world_new(&w, 1 << 20);
  lsm_sst_options opt = options(1000, false, 10);
  lsm_sst_writer *wr;
  ck_assert_int_eq(lsm_sst_writer_new(w.env, PATH, &opt, &wr), LSM_OK);
  uint64_t before = lsm_sst_writer_size(wr);
  for (size_t i = 0; i < m.n; i++) {
    ck_assert_int_eq(
        lsm_sst_writer_add(wr, LSM_KIND_PUT, key_of(&m.items[i]), value_of(&m.items[i])), LSM_OK);
    ck_assert_uint_ge(lsm_sst_writer_size(wr) + 500, before); /* grows, but for details */
    before = lsm_sst_writer_size(wr);
  }
  ck_assert_int_eq(lsm_sst_writer_finish(wr, &w.props), LSM_OK);
  lsm_sst_writer_free(wr);
  ck_assert_uint_ge(before, w.props.size - w.props.size / 50);
  ck_assert_uint_le(before, w.props.size + w.props.size / 50);
  world_free(&w);
  model_free(&m);
}
END_TEST

START_TEST(test_bloom_stats) {
  seed = 6;
  model m;
  world w;
  uint8_t key[5] = {5, 0xEE};
  model_new(&m, 1000, 2, 20);
  world_new(&w, 1 << 20);
  make(&w, &m, 4096, true, 10);
  for (size_t i = 0; i < m.n; i++) get(w.sst, w.cache, &m, key_of(&m.items[i]));
  ck_assert_uint_eq(w.stats.bloom_checks, m.n);
  ck_assert_uint_eq(w.stats.bloom_hits, 0);
  ck_assert_uint_eq(w.stats.bloom_false_positives, 0);
  for (uint32_t i = 0; i < 10000; i++) {
    key[3] = (uint8_t)(i >> 8);
    key[4] = (uint8_t)i;
    get(w.sst, w.cache, &m, lsm_slice_of(key, sizeof key));
  }
  ck_assert_uint_eq(w.stats.bloom_checks, m.n + 10000);
  ck_assert_uint_eq(w.stats.bloom_hits + w.stats.bloom_false_positives, 10000);
  ck_assert_uint_lt(w.stats.bloom_false_positives, 300);
  world_free(&w);
  model_free(&m);
}
END_TEST

/* The cache holds what scans and gets read, unless told not to. */
START_TEST(test_fill_cache) {
  seed = 8;
  model m;
  world w;
  lsm_cache_stats s;
  model_new(&m, 500, 2, 100);
  world_new(&w, 1 << 22);
  make(&w, &m, 300, true, 10);
  uint64_t base = cache_bytes(&w);
  ck_assert_uint_gt(base, m.n * 10 / 8); /* the filter is charged */
  ck_assert_int_eq(walk(w.sst, &m, false), LSM_OK);
  ck_assert_int_eq(lsm_sst_verify(w.sst, NULL), LSM_OK);
  ck_assert_uint_eq(cache_bytes(&w), base);
  ck_assert_int_eq(walk(w.sst, &m, true), LSM_OK);
  ck_assert_uint_gt(cache_bytes(&w), base + w.props.raw_bytes);
  lsm_cache_get_stats(w.cache, &s);
  uint64_t misses = s.misses;
  for (size_t i = 0; i < m.n; i++) get(w.sst, w.cache, &m, key_of(&m.items[i]));
  lsm_cache_get_stats(w.cache, &s);
  ck_assert_uint_eq(s.misses, misses);
  world_free(&w);
  model_free(&m);
}
END_TEST

static bool stop_at_zero(void *arg) {
  int *left = arg;
  return (*left)-- == 0;
}

START_TEST(test_interrupt) {
  seed = 8;
  model m;
  world w;
  model_new(&m, 100, 2, 100);
  world_new(&w, 1 << 20);
  make(&w, &m, 300, true, 10);
  int left = 3;
  lsm_interrupt intr = {stop_at_zero, &left};
  ck_assert_int_eq(lsm_sst_verify(w.sst, &intr), LSM_INTERRUPT);
  left = 1000000;
  ck_assert_int_eq(lsm_sst_verify(w.sst, &intr), LSM_OK);
  world_free(&w);
  model_free(&m);
}
END_TEST

/*------------------------------------------------------------------ damage */

static void read_all(lsm_env *env, lsm_buf *b) {
  ck_assert_int_eq(lsm_env_read_file(env, PATH, b), LSM_OK);
}

static void write_all(lsm_env *env, const uint8_t *p, size_t n) {
  lsm_file *f;
  ck_assert_int_eq(env->open(env, PATH, LSM_OPEN_WRITE | LSM_OPEN_CREATE | LSM_OPEN_TRUNCATE, &f),
                   LSM_OK);
  ck_assert_int_eq(lsm_file_write(f, 0, p, n), LSM_OK);
  lsm_file_close(f);
}

/* Does everything with the file; the first error, or LSM_OK. */
static lsm_rc exercise(world *w, const model *m, bool exact) {
  lsm_rc rc = open_sst(w);
  if (rc != LSM_OK) {
    ck_assert_ptr_null(w->sst);
    return rc;
  }
  lsm_rc verify = lsm_sst_verify(w->sst, NULL);
  if (exact) { /* never a wrong answer */
    rc = lsm_first_rc(walk(w->sst, m, false), walk(w->sst, m, true));
    for (size_t i = 0; i < m->n; i += 3)
      rc = lsm_first_rc(rc, get(w->sst, w->cache, m, key_of(&m->items[i])));
  } else { /* any, but an end */
    lsm_iter *it;
    size_t steps = 0;
    ck_assert_int_eq(lsm_sst_iter(w->sst, true, &it), LSM_OK);
    for (rc = it->ops->first(it); rc == LSM_OK && it->valid; rc = it->ops->next(it)) steps++;
    for (rc = it->ops->last(it); rc == LSM_OK && it->valid; rc = it->ops->prev(it)) steps++;
    ck_assert_uint_le(steps, 2 * w->props.size);
    lsm_iter_free(it);
    for (size_t i = 0; i < m->n; i += 3) {
      lsm_kind kind;
      lsm_slice key = key_of(&m->items[i]), value;
      lsm_block *pin;
      (void)lsm_sst_get(w->sst, key, lsm_hash64(key, 0), &kind, &value, &pin);
      lsm_block_unpin(w->cache, pin);
    }
  }
  if (exact && rc != LSM_OK) ck_assert_int_eq(verify, LSM_CORRUPT);
  lsm_sst_close(w->sst);
  w->sst = NULL;
  lsm_cache_evict_file(w->cache, 7);
  return verify;
}

static void small_file(world *w, model *m, bool compress) {
  seed = 11;
  model_new(m, 40, 0, 40);
  model_add_ranges(m, 6, 0);
  world_new(w, 1 << 20);
  make(w, m, 128, compress, 10);
  lsm_sst_close(w->sst);
  w->sst = NULL;
  ck_assert_uint_gt(m->ranges.count, 0);
}

START_TEST(test_every_flip_is_found) {
  for (int compress = 0; compress < 2; compress++) {
    model m;
    world w;
    lsm_buf b = {0};
    small_file(&w, &m, compress);
    read_all(w.env, &b);
    for (size_t i = 0; i < b.size; i++) {
      for (int k = 0; k < 2; k++) {
        uint8_t old = b.data[i];
        b.data[i] ^= (uint8_t)(k == 0 ? 1u << i % 8 : 1 + rnd(255));
        write_all(w.env, b.data, b.size);
        ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
        ck_assert_ptr_nonnull(strstr(lsm_errmsg(), PATH));
        b.data[i] = old;
      }
    }
    write_all(w.env, b.data, b.size);
    ck_assert_int_eq(exercise(&w, &m, true), LSM_OK);
    lsm_buf_fini(&b);
    world_free(&w);
    model_free(&m);
  }
}
END_TEST

/* The manifest may know the right size, or believe the wrong one. */
START_TEST(test_every_cut_is_found) {
  model m;
  world w;
  lsm_buf b = {0};
  small_file(&w, &m, true);
  read_all(w.env, &b);
  for (size_t n = 0; n < b.size; n++) {
    write_all(w.env, b.data, n);
    w.props.size = b.size;
    ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
    w.props.size = n;
    ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
  }
  lsm_buf longer = {0};
  ck_assert_int_eq(lsm_buf_append(&longer, b.data, b.size), LSM_OK);
  ck_assert_int_eq(lsm_buf_put_u8(&longer, 0), LSM_OK);
  write_all(w.env, longer.data, longer.size);
  w.props.size = b.size;
  ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
  w.props.size = longer.size;
  ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
  lsm_buf_fini(&longer);
  lsm_buf_fini(&b);
  world_free(&w);
  model_free(&m);
}
END_TEST

/* Offsets of the data blocks of an uncompressed file, and of its end. */
static size_t block_offsets(const lsm_buf *b, uint64_t *off, size_t most) {
  lsm_sst_footer f;
  ck_assert_ptr_null(lsm_sst_footer_get(b->data + b->size - LSM_SST_FOOTER, &f));
  const lsm_sst_extent *x = &f.parts[LSM_SST_INDEX];
  lsm_reader r = lsm_reader_of(lsm_slice_of(b->data + x->off, (size_t)x->size));
  (void)lsm_read_slice(&r);
  size_t n = (size_t)lsm_read_varint(&r);
  ck_assert_uint_lt(n + LSM_SST_PARTS, most);
  off[0] = 0;
  for (size_t i = 0; i < n; i++) {
    (void)lsm_read_slice(&r);
    off[i + 1] = off[i] + lsm_read_varint(&r) + LSM_SST_TRAILER;
    (void)lsm_read_varint(&r);
  }
  ck_assert(r.ok);
  for (size_t i = 0; i < LSM_SST_PARTS; i++)
    off[n + i + 1] = off[n + i] + f.parts[i].size + LSM_SST_TRAILER;
  ck_assert_uint_eq(off[n + LSM_SST_PARTS], b->size - LSM_SST_FOOTER);
  return n + LSM_SST_PARTS;
}

/* Bytes that are wrong under a right checksum: no crash, no endless loop. */
START_TEST(test_forged) {
  for (int compress = 0; compress < 2; compress++) {
    model m;
    world w;
    lsm_buf b = {0};
    uint64_t off[100];
    small_file(&w, &m, false);
    read_all(w.env, &b);
    size_t n = block_offsets(&b, off, 100);
    uint32_t crc_seed = lsm_sst_crc_seed(store_id, 7);
    size_t found = 0, tried = 0;
    for (size_t i = 0; i < n; i++) {
      size_t size = (size_t)(off[i + 1] - off[i]) - LSM_SST_TRAILER;
      uint8_t *p = b.data + off[i];
      for (size_t k = 0; k <= size; k++) {
        uint8_t old = p[k], trailer[LSM_SST_TRAILER];
        memcpy(trailer, p + size, sizeof trailer);
        for (int v = 0; v < 4; v++) {
          static const uint8_t values[] = {0, 1, 0x7F, 0xFF};
          p[k] = v == 1 ? (uint8_t)(old + 1) : values[v];
          if (compress) p[size] = LSM_SST_ZLIB; /* what is no zlib stream */
          uint32_t crc = lsm_sst_block_crc(crc_seed, off[i], lsm_slice_of(p, size), p[size]);
          lsm_set_u32(p + size + 1, crc);
          write_all(w.env, b.data, b.size);
          lsm_rc rc = exercise(&w, &m, false);
          ck_assert(rc == LSM_OK || rc == LSM_CORRUPT);
          tried++;
          found += rc == LSM_CORRUPT;
        }
        memcpy(p + size, trailer, sizeof trailer);
        if (k < size) p[k] = old;
      }
    }
    ck_assert_uint_gt(found * 3, tried); /* values may be any */
    lsm_buf_fini(&b);
    world_free(&w);
    model_free(&m);
  }
}
END_TEST

/* A sound block in another block's place. */
START_TEST(test_swapped_blocks) {
  world w;
  lsm_buf b = {0};
  uint64_t off[100];
  model m = {0};
  item items[20];
  uint8_t keys[20][3], value[60] = {0};
  for (size_t i = 0; i < 20; i++) {
    keys[i][0] = 5;
    keys[i][1] = 'k';
    keys[i][2] = (uint8_t)('a' + i);
    items[i] = (item){keys[i], 3, false, value, sizeof value};
  }
  m.items = items;
  m.n = 20;
  world_new(&w, 1 << 20);
  make(&w, &m, 64, false, 0);
  lsm_sst_close(w.sst);
  read_all(w.env, &b);
  size_t n = block_offsets(&b, off, 100), size = (size_t)off[1];
  ck_assert_uint_gt(n, 8);
  ck_assert_uint_eq(off[2] - off[1], size);
  uint8_t *tmp = copy_of(b.data, size);
  memcpy(b.data, b.data + size, size);
  memcpy(b.data + size, tmp, size);
  free(tmp);
  write_all(w.env, b.data, b.size);
  ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "checksum"));
  lsm_buf_fini(&b);
  world_free(&w);
}
END_TEST

START_TEST(test_foreign) {
  model m;
  world w;
  small_file(&w, &m, true);
  uint8_t other[16] = "another store...";
  lsm_sst *sst;
  ck_assert_int_eq(lsm_sst_open(w.env, PATH, other, 7, w.props.size, w.cache, NULL, &sst),
                   LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "another store"));
  ck_assert_int_eq(lsm_sst_open(w.env, PATH, store_id, 8, w.props.size, w.cache, NULL, &sst),
                   LSM_CORRUPT);
  ck_assert_int_eq(lsm_sst_open(w.env, PATH, store_id, 7, w.props.size + 1, w.cache, NULL, &sst),
                   LSM_CORRUPT);
  ck_assert_ptr_null(sst);
  world_free(&w);
  model_free(&m);
}
END_TEST

/* Damage that comes after the table was opened. */
START_TEST(test_rot_of_open_table) {
  model m;
  world w;
  lsm_buf b = {0};
  small_file(&w, &m, true);
  read_all(w.env, &b);
  for (size_t i = 0; i < b.size; i++) {
    ck_assert_int_eq(open_sst(&w), LSM_OK);
    b.data[i] ^= 0x10;
    write_all(w.env, b.data, b.size);
    ck_assert_int_eq(lsm_sst_verify(w.sst, NULL), LSM_CORRUPT);
    b.data[i] ^= 0x10;
    write_all(w.env, b.data, b.size);
    lsm_sst_close(w.sst);
    w.sst = NULL;
  }
  lsm_buf_fini(&b);
  world_free(&w);
  model_free(&m);
}
END_TEST

/*---------------------------------------------------------------- failures */

/* A whole life of a table; counts what it saw. */
static lsm_rc life(lsm_env *env, lsm_cache *cache, const model *m) {
  lsm_sst_options opt = options(128, true, 10);
  lsm_sst_props props;
  lsm_sst *sst = NULL;
  lsm_rc rc = write_sst(env, &opt, m, &props);
  if (rc == LSM_OK) rc = lsm_sst_open(env, PATH, store_id, 7, props.size, cache, NULL, &sst);
  if (rc == LSM_OK) rc = walk(sst, m, false);
  if (rc == LSM_OK) rc = walk(sst, m, true);
  for (size_t i = 0; rc == LSM_OK && i < m->n; i++) rc = get(sst, cache, m, key_of(&m->items[i]));
  if (rc == LSM_OK) rc = lsm_sst_verify(sst, NULL);
  lsm_sst_close(sst);
  lsm_cache_evict_file(cache, 7);
  lsm_sst_props_fini(&props);
  return rc;
}

static bool fail_nth(void *arg) {
  int *left = arg;
  return --*left != 0;
}

START_TEST(test_out_of_memory) {
  model m;
  world w;
  seed = 21;
  model_new(&m, 120, 0, 40);
  model_add_ranges(&m, 5, 0);
  world_new(&w, 1 << 20);
  lsm_rc rc = LSM_NOMEM;
  for (int n = 1; rc != LSM_OK; n++) {
    ck_assert_int_lt(n, 2000);
    int left = n;
    lsm_set_malloc_hook(fail_nth, &left);
    rc = life(w.env, w.cache, &m);
    lsm_set_malloc_hook(NULL, NULL);
    if (rc != LSM_OK) ck_assert_int_eq(rc, LSM_NOMEM);
    ck_assert_uint_eq(cache_bytes(&w), 0);
  }
  world_free(&w);
  model_free(&m);
}
END_TEST

START_TEST(test_io_errors) {
  static const lsm_rc codes[] = {LSM_IOERR, LSM_FULL};
  model m;
  world w;
  lsm_env *env;
  seed = 22;
  model_new(&m, 100, 1, 4000);
  world_new(&w, 1 << 20);
  ck_assert_int_eq(env_fault_new(NULL, &env), LSM_OK);
  lsm_rc rc = LSM_IOERR;
  for (uint64_t n = 1; rc != LSM_OK; n++) {
    ck_assert_uint_lt(n, 3000);
    unsigned flags = (n & 1 ? ENV_FAULT_STICKY : 0) | ENV_FAULT_SHORT;
    env_fault_fail(env, ENV_FAULT_ALL & ~(unsigned)ENV_FAULT_REMOVE, n, codes[n / 2 % 2], flags);
    rc = life(env, w.cache, &m);
    if (rc != LSM_OK) ck_assert_int_eq(rc, codes[n / 2 % 2]);
    ck_assert_int_eq(rc == LSM_OK, env_fault_fired(env) == 0);
    env_fault_clear(env);
    ck_assert_uint_eq(cache_bytes(&w), 0);
  }
  env_fault_free(env);
  world_free(&w);
  model_free(&m);
}
END_TEST

/* What could not be finished is not left behind; what was, is durable. */
START_TEST(test_writer_cleans_up) {
  model m;
  lsm_env *env, *image;
  lsm_sst_options opt = options(128, false, 10);
  lsm_sst_props props;
  bool exists;
  seed = 23;
  model_new(&m, 100, 1, 40);
  ck_assert_int_eq(env_fault_new(NULL, &env), LSM_OK);
  static const unsigned masks[] = {ENV_FAULT_WRITE, ENV_FAULT_SYNC};
  for (int i = 0; i < 2; i++) {
    env_fault_fail(env, masks[i], 1, LSM_FULL, 0);
    ck_assert_int_eq(write_sst(env, &opt, &m, &props), LSM_FULL);
    ck_assert_int_eq(env->exists(env, PATH, &exists), LSM_OK);
    ck_assert(!exists);
    ck_assert_ptr_null(props.smallest.data);
  }
  env_fault_clear(env);
  ck_assert_int_eq(write_sst(env, &opt, &m, &props), LSM_OK);
  ck_assert_int_eq(env->sync_dir(env, "/"), LSM_OK);
  ck_assert_int_eq(env_fault_crash(env, ENV_FAULT_DROP, 1, &image), LSM_OK);
  lsm_buf b = {0};
  ck_assert_int_eq(lsm_env_read_file(image, PATH, &b), LSM_OK);
  ck_assert_uint_eq(b.size, props.size);
  lsm_buf_fini(&b);
  lsm_sst_props_fini(&props);
  env_fault_free(image);
  env_fault_free(env);
  model_free(&m);
}
END_TEST

/*----------------------------------------------------------------- threads */

typedef struct job {
  world *w;
  const model *m;
  bool fill_cache;
  lsm_rc rc;
} job;

static void *read_it(void *arg) {
  job *j = arg;
  j->rc = walk(j->w->sst, j->m, j->fill_cache);
  for (size_t i = 0; i < j->m->n && j->rc == LSM_OK; i++)
    j->rc = get(j->w->sst, j->w->cache, j->m, key_of(&j->m->items[i]));
  return NULL;
}

START_TEST(test_threads) {
  enum { THREADS = 4 };
  model m;
  world w;
  pthread_t threads[THREADS];
  job jobs[THREADS];
  seed = 31;
  model_new(&m, 2000, 2, 60);
  world_new(&w, 40000); /* less than the data: blocks come and go */
  make(&w, &m, 1000, true, 10);
  for (int i = 0; i < THREADS; i++) {
    jobs[i] = (job){&w, &m, i % 2 == 0, LSM_OK};
    ck_assert_int_eq(pthread_create(&threads[i], NULL, read_it, &jobs[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(jobs[i].rc, LSM_OK);
  }
  world_free(&w);
  model_free(&m);
}
END_TEST

/*------------------------------------------------------------------ golden */

/* FORMAT.md explains these bytes. */
static const uint8_t golden[] = {
    /* block 1 */
    0x00,
    0x06,
    0x04,
    0x05,
    0x61,
    0x70,
    0x70,
    0x6C,
    0x65,
    0x6F,
    0x6E,
    0x65,
    0x03,
    0x05,
    0x00,
    0x72,
    0x69,
    0x63,
    0x6F,
    0x74,
    0x00,
    0x00,
    0x00,
    0x00,
    0x01,
    0x00,
    0x00,
    0x00,
    /* type, crc */
    0x00,
    0x6E,
    0xF4,
    0x91,
    0x25,
    /* block 2 */
    0x00,
    0x07,
    0x3D,
    0x05,
    0x62,
    0x61,
    0x6E,
    0x61,
    0x6E,
    0x61,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x7A,
    0x00,
    0x00,
    0x00,
    0x00,
    0x01,
    0x00,
    0x00,
    0x00,
    /* type, crc */
    0x00,
    0x2E,
    0xC2,
    0x60,
    0x8B,
    /* ranges */
    0x02,
    0x05,
    0x62,
    0x02,
    0x05,
    0x63,
    /* type, crc */
    0x00,
    0xB3,
    0x6E,
    0x46,
    0xF9,
    /* filter */
    0x00,
    0x00,
    0x00,
    0x00,
    0x01,
    0x00,
    0x00,
    0x00,
    0x40,
    0x00,
    0x04,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x10,
    0x20,
    0x00,
    0x00,
    0x02,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x01,
    0x00,
    0x00,
    0x00,
    0x00,
    0x10,
    0x00,
    0x00,
    0x00,
    0x0E,
    0x00,
    0x00,
    0x00,
    0x02,
    0x00,
    0x01,
    0x00,
    0x0A,
    0x41,
    0x80,
    0x00,
    0x12,
    0x00,
    0x08,
    0x00,
    0x00,
    0x00,
    0x00,
    0x01,
    0x00,
    0x00,
    0x00,
    0x07,
    /* type, crc */
    0x00,
    0xB7,
    0xF4,
    0x60,
    0x14,
    /* props */
    0x07,
    0x65,
    0x6E,
    0x74,
    0x72,
    0x69,
    0x65,
    0x73,
    0x01,
    0x03,
    0x0A,
    0x74,
    0x6F,
    0x6D,
    0x62,
    0x73,
    0x74,
    0x6F,
    0x6E,
    0x65,
    0x73,
    0x01,
    0x01,
    0x06,
    0x72,
    0x61,
    0x6E,
    0x67,
    0x65,
    0x73,
    0x01,
    0x01,
    0x09,
    0x72,
    0x61,
    0x77,
    0x5F,
    0x62,
    0x79,
    0x74,
    0x65,
    0x73,
    0x01,
    0x54,
    0x08,
    0x73,
    0x6D,
    0x61,
    0x6C,
    0x6C,
    0x65,
    0x73,
    0x74,
    0x06,
    0x05,
    0x61,
    0x70,
    0x70,
    0x6C,
    0x65,
    0x07,
    0x6C,
    0x61,
    0x72,
    0x67,
    0x65,
    0x73,
    0x74,
    0x02,
    0x05,
    0x63,
    0x0C,
    0x6C,
    0x61,
    0x72,
    0x67,
    0x65,
    0x73,
    0x74,
    0x5F,
    0x6F,
    0x70,
    0x65,
    0x6E,
    0x01,
    0x01,
    /* type, crc */
    0x00,
    0x07,
    0xC1,
    0x36,
    0xDE,
    /* index */
    0x02,
    0x05,
    0x62,
    0x02,
    0x00,
    0x1C,
    0x02,
    0x05,
    0x61,
    0x6E,
    0x61,
    0x6E,
    0x61,
    0x4E,
    0x01,
    /* type, crc */
    0x00,
    0x45,
    0xFA,
    0xFF,
    0xFC,
    /* footer */
    0x74,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x06,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x7F,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x45,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0xC9,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x56,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x24,
    0x01,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x0F,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x30,
    0x31,
    0x32,
    0x33,
    0x34,
    0x35,
    0x36,
    0x37,
    0x38,
    0x39,
    0x61,
    0x62,
    0x63,
    0x64,
    0x65,
    0x66,
    0x07,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x00,
    0x05,
    0x00,
    0x00,
    0x00,
    /* crc, version, magic */
    0xF4,
    0x07,
    0x4C,
    0x93,
    0x01,
    0x00,
    0x00,
    0x00,
    0x6C,
    0x73,
    0x6D,
    0x2D,
    0x73,
    0x73,
    0x74,
    0x0A,
};

START_TEST(test_golden) {
  world w;
  lsm_buf b = {0};
  lsm_sst_options opt = options(64, false, 10);
  lsm_sst_writer *wr;
  uint8_t long_value[60];
  memset(long_value, 'z', sizeof long_value);
  world_new(&w, 1 << 20);
  ck_assert_int_eq(lsm_sst_writer_new(w.env, PATH, &opt, &wr), LSM_OK);
  lsm_slice v1 = lsm_slice_str("one"), v3 = lsm_slice_of(long_value, sizeof long_value);
  ck_assert_int_eq(lsm_sst_writer_add(wr, LSM_KIND_PUT, lsm_slice_str("\5apple"), v1), LSM_OK);
  ck_assert_int_eq(
      lsm_sst_writer_add(wr, LSM_KIND_DELETE, lsm_slice_str("\5apricot"), LSM_SLICE_NULL), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_add(wr, LSM_KIND_PUT, lsm_slice_str("\5banana"), v3), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_add_range(wr, lsm_slice_str("\5b"), lsm_slice_str("\5c")),
                   LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_finish(wr, &w.props), LSM_OK);
  lsm_sst_writer_free(wr);
  read_all(w.env, &b);
  ck_assert_uint_eq(b.size, sizeof golden);
  ck_assert_mem_eq(b.data, golden, sizeof golden);

  write_all(w.env, golden, sizeof golden);
  ck_assert_int_eq(open_sst(&w), LSM_OK);
  ck_assert_int_eq(lsm_sst_verify(w.sst, NULL), LSM_OK);
  lsm_buf_fini(&b);
  world_free(&w);
}
END_TEST

Suite *sst_suite(void) {
  Suite *s = suite_create("sst");
  TCase *tc = tcase_create("sst");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_against_model);
  tcase_add_test(tc, test_large);
  tcase_add_test(tc, test_bounds);
  tcase_add_test(tc, test_misuse);
  tcase_add_test(tc, test_size_estimate);
  tcase_add_test(tc, test_bloom_stats);
  tcase_add_test(tc, test_fill_cache);
  tcase_add_test(tc, test_interrupt);
  tcase_add_test(tc, test_every_flip_is_found);
  tcase_add_test(tc, test_every_cut_is_found);
  tcase_add_test(tc, test_forged);
  tcase_add_test(tc, test_swapped_blocks);
  tcase_add_test(tc, test_foreign);
  tcase_add_test(tc, test_rot_of_open_table);
  tcase_add_test(tc, test_out_of_memory);
  tcase_add_test(tc, test_io_errors);
  tcase_add_test(tc, test_writer_cleans_up);
  tcase_add_test(tc, test_threads);
  tcase_add_test(tc, test_golden);
  suite_add_tcase(s, tc);
  return s;
}
