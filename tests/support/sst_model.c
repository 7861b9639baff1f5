/* sst_model.c: random tables, and a sorted array to compare them with.
** Owns: what sst_model.h says; keys and values of a model are malloc()ed. */
#include "sst_model.h"

#include <check.h>
#include <stdlib.h>

uint64_t sst_seed;
const uint8_t sst_store_id[16] = "0123456789abcdef";

uint32_t sst_rnd(uint32_t n) {
  sst_seed = sst_seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(sst_seed >> 33) % n;
}

/*------------------------------------------------------------------- model */

lsm_slice sst_key(const sst_item *i) {
  return lsm_slice_of(i->key, i->size);
}
lsm_slice sst_value(const sst_item *i) {
  return lsm_slice_of(i->value, i->vsize);
}

static int cmp_items(const void *a, const void *b) {
  return lsm_slice_cmp(sst_key(a), sst_key(b));
}

size_t sst_make_key(uint8_t *p, int shape) {
  size_t n = 0;
  p[n++] = 5;
  if (shape == 1) {
    memset(p + n, 'c', 60);
    n += 60;
  }
  if (shape == 2) {
    uint32_t v = sst_rnd(100000);
    for (int s = 24; s >= 0; s -= 8) p[n++] = (uint8_t)(v >> s);
    return n;
  }
  size_t more = sst_rnd(shape == 3 ? 300 : 8);
  for (size_t i = 0; i < more; i++)
    p[n++] = (uint8_t)(sst_rnd(3) == 0 ? 0xFF : 'a' + (int)sst_rnd(4));
  return n;
}

void *sst_copy(const void *p, size_t n) {
  void *q = malloc(n + 1);
  ck_assert_ptr_nonnull(q);
  if (n > 0) memcpy(q, p, n);
  return q;
}

static void make_value(sst_item *it, size_t most) {
  it->tombstone = sst_rnd(6) == 0;
  it->vsize = it->tombstone ? 0 : sst_rnd((uint32_t)most);
  it->value = malloc(it->vsize + 1);
  ck_assert_ptr_nonnull(it->value);
  uint32_t letters = sst_rnd(2) ? 256 : 4;
  for (size_t i = 0; i < it->vsize; i++) it->value[i] = (uint8_t)sst_rnd(letters);
}

void sst_model_new(sst_model *m, size_t n, int shape, size_t value_max) {
  uint8_t key[512];
  memset(m, 0, sizeof *m);
  m->items = calloc(n + 1, sizeof *m->items);
  ck_assert_ptr_nonnull(m->items);
  for (size_t i = 0; i < n; i++) {
    size_t size = sst_make_key(key, shape);
    m->items[i].key = sst_copy(key, size);
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

void sst_model_add_ranges(sst_model *m, size_t n, int shape) {
  uint8_t lo[512], hi[512];
  for (size_t i = 0; i < n; i++) {
    lsm_slice a = lsm_slice_of(lo, sst_make_key(lo, shape)),
              b = lsm_slice_of(hi, sst_make_key(hi, shape));
    if (lsm_slice_cmp(a, b) < 0) ck_assert_int_eq(lsm_rangeset_add(&m->ranges, a, b), LSM_OK);
  }
}

void sst_model_free(sst_model *m) {
  for (size_t i = 0; i < m->n; i++) {
    free(m->items[i].key);
    free(m->items[i].value);
  }
  free(m->items);
  lsm_rangeset_fini(&m->ranges);
}

size_t sst_model_ge(const sst_model *m, lsm_slice key) {
  size_t lo = 0, hi = m->n;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    if (lsm_slice_cmp(sst_key(&m->items[mid]), key) < 0) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

size_t sst_model_le(const sst_model *m, lsm_slice key) {
  size_t i = sst_model_ge(m, key);
  if (i < m->n && lsm_slice_eq(sst_key(&m->items[i]), key)) return i;
  return i == 0 ? SIZE_MAX : i - 1;
}

/*---------------------------------------------------------- write and open */

void sst_world_new(sst_world *w, size_t cache_size) {
  memset(w, 0, sizeof *w);
  ck_assert_int_eq(lsm_env_mem_new(&w->env), LSM_OK);
  ck_assert_int_eq(lsm_cache_new(cache_size, &w->cache), LSM_OK);
}

uint64_t sst_cache_bytes(const sst_world *w) {
  lsm_cache_stats s;
  lsm_cache_get_stats(w->cache, &s);
  return s.bytes;
}

void sst_world_free(sst_world *w) {
  lsm_sst_close(w->sst);
  lsm_cache_evict_file(w->cache, 7);
  ck_assert_uint_eq(sst_cache_bytes(w), 0); /* reservations were given back */
  lsm_sst_props_fini(&w->props);
  lsm_cache_free(w->cache);
  lsm_env_mem_free(w->env);
}

lsm_sst_options sst_options(uint32_t block_size, bool compress, uint32_t bloom_bits) {
  lsm_sst_options o = {block_size, bloom_bits,   compress ? LSM_COMPRESS_ZLIB : LSM_COMPRESS_NONE,
                       5,          sst_store_id, 7, false};
  return o;
}

lsm_rc sst_write(lsm_env *env, const lsm_sst_options *opt, const sst_model *m,
                 lsm_sst_props *props) {
  lsm_sst_writer *w = NULL;
  memset(props, 0, sizeof *props);
  lsm_rc rc = lsm_sst_writer_new(env, SST_PATH, opt, &w);
  size_t r = 0;
  for (size_t i = 0; rc == LSM_OK && i < m->n; i++) {
    const sst_item *it = &m->items[i];
    rc = lsm_sst_writer_add(w, it->tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT, sst_key(it),
                            sst_value(it));
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

lsm_rc sst_reopen(sst_world *w) {
  return lsm_sst_open(w->env, SST_PATH, sst_store_id, 7, w->props.size, w->cache, &w->stats,
                      &w->sst);
}

void sst_make(sst_world *w, const sst_model *m, uint32_t block_size, bool compress,
              uint32_t bloom_bits) {
  lsm_sst_options opt = sst_options(block_size, compress, bloom_bits);
  ck_assert_int_eq(sst_write(w->env, &opt, m, &w->props), LSM_OK);
  ck_assert_int_eq(sst_reopen(w), LSM_OK);
}

/*-------------------------------------------------------------- comparison */

bool sst_is_at(const lsm_iter *it, const sst_model *m, size_t i) {
  if (!it->valid || i >= m->n) return !it->valid && i >= m->n;
  const sst_item *want = &m->items[i];
  return lsm_slice_eq(it->key, sst_key(want)) && lsm_slice_eq(it->value, sst_value(want)) &&
         it->kind == (want->tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT);
}

lsm_rc sst_walk(lsm_sst *sst, const sst_model *m, bool fill_cache) {
  lsm_iter *it;
  lsm_rc rc = lsm_sst_iter(sst, fill_cache, &it);
  if (rc != LSM_OK) return rc;
  size_t i = 0;
  for (rc = it->ops->first(it); rc == LSM_OK && it->valid; rc = it->ops->next(it))
    ck_assert(sst_is_at(it, m, i++));
  if (rc == LSM_OK) ck_assert_uint_eq(i, m->n);
  lsm_rc back = it->ops->last(it);
  for (i = m->n; back == LSM_OK && it->valid; back = it->ops->prev(it))
    ck_assert(sst_is_at(it, m, --i));
  if (back == LSM_OK) ck_assert_uint_eq(i, 0);
  ck_assert(!it->valid);
  lsm_iter_free(it);
  return lsm_first_rc(rc, back);
}

lsm_rc sst_check_get(lsm_sst *sst, lsm_cache *cache, const sst_model *m, lsm_slice key) {
  lsm_kind kind = 0;
  lsm_slice value;
  lsm_block *pin;
  lsm_rc rc = lsm_sst_get(sst, key, lsm_hash64(key, 0), &kind, &value, &pin);
  size_t i = sst_model_ge(m, key);
  bool there = i < m->n && lsm_slice_eq(sst_key(&m->items[i]), key);
  if (rc == LSM_NOTFOUND) {
    ck_assert(!there);
    rc = LSM_OK;
  } else if (rc == LSM_OK) {
    ck_assert(there);
    ck_assert_int_eq(kind, m->items[i].tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT);
    ck_assert(lsm_slice_eq(value, sst_value(&m->items[i])));
    ck_assert(kind == LSM_KIND_PUT || pin == NULL);
  } else {
    ck_assert_ptr_null(pin);
  }
  lsm_block_unpin(cache, pin);
  return rc;
}

void sst_read_all(lsm_env *env, lsm_buf *b) {
  ck_assert_int_eq(lsm_env_read_file(env, SST_PATH, b), LSM_OK);
}

void sst_write_all(lsm_env *env, const uint8_t *p, size_t n) {
  lsm_file *f;
  ck_assert_int_eq(
      env->open(env, SST_PATH, LSM_OPEN_WRITE | LSM_OPEN_CREATE | LSM_OPEN_TRUNCATE, &f), LSM_OK);
  ck_assert_int_eq(lsm_file_write(f, 0, p, n), LSM_OK);
  lsm_file_close(f);
}
