/* test_sst.c: SSTables against a sorted array; bounds, statistics, threads; golden
** bytes. What damage and failures do is in test_sst_damage.c. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "sst_model.h"

Suite *sst_suite(void);

static int passed; /* how often something was ahead */

/* What it says is ahead is: some of that is passed. */
static lsm_rc pass_some(lsm_iter *it, const sst_model *m, size_t *at, lsm_slice bound) {
  uint64_t ahead = it->ops->ahead(it, bound);
  passed += ahead > 0;
  ck_assert_uint_lt(*at + ahead, m->n);
  for (size_t i = 1; i <= ahead; i++) {
    ck_assert(!m->items[*at + i].tombstone);
    ck_assert(bound.data == NULL || lsm_slice_cmp(sst_key(&m->items[*at + i]), bound) < 0);
  }
  uint64_t n = 1 + sst_rnd((uint32_t)ahead + 1);
  *at += n;
  return ahead > 0 ? it->ops->pass(it, n) : it->ops->next(it);
}

static void random_moves(lsm_sst *sst, const sst_model *m, int shape, bool fill_cache) {
  lsm_iter *it;
  uint8_t probe[512];
  ck_assert_int_eq(lsm_sst_iter(sst, fill_cache, &it), LSM_OK);
  ck_assert(!it->valid);
  size_t at = SIZE_MAX;
  for (int step = 0; step < 500; step++) {
    lsm_slice key = lsm_slice_of(probe, sst_make_key(probe, shape));
    if (sst_rnd(2) == 0 && m->n > 0) key = sst_key(&m->items[sst_rnd((uint32_t)m->n)]);
    if (sst_rnd(50) == 0) key = lsm_slice_of(sst_rnd(2) ? "\x04" : "\x06", 1);
    uint32_t what = sst_rnd(20);
    if (!it->valid && what >= 6) what = sst_rnd(6);
    lsm_rc rc;
    if (what == 0) {
      rc = it->ops->first(it);
      at = 0;
    } else if (what == 1) {
      rc = it->ops->last(it);
      at = m->n - 1;
    } else if (what < 4) {
      rc = it->ops->seek_ge(it, key);
      at = sst_model_ge(m, key);
    } else if (what < 6) {
      rc = it->ops->seek_le(it, key);
      at = sst_model_le(m, key);
    } else if (what < 8) {
      rc = pass_some(it, m, &at, what == 6 ? key : LSM_SLICE_NULL);
    } else if (what < 14) {
      rc = it->ops->next(it);
      at++;
    } else {
      rc = it->ops->prev(it);
      at--;
    }
    ck_assert_int_eq(rc, LSM_OK);
    ck_assert(sst_is_at(it, m, at));
  }
  lsm_iter_free(it);
}

static void check_props(const lsm_sst_props *p, const lsm_sst_props *q, const sst_model *m) {
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

static void check_all(sst_world *w, const sst_model *m, int shape) {
  uint8_t probe[512];
  check_props(&w->props, lsm_sst_get_props(w->sst), m);
  ck_assert_int_eq(lsm_sst_verify(w->sst, NULL), LSM_OK);
  for (int cached = 0; cached < 2; cached++) {
    ck_assert_int_eq(sst_walk(w->sst, m, cached), LSM_OK);
    random_moves(w->sst, m, shape, cached);
  }
  double before = 0;
  for (size_t i = 0; i < m->n; i++) {
    ck_assert_int_eq(sst_check_get(w->sst, w->cache, m, sst_key(&m->items[i])), LSM_OK);
    double pos = lsm_sst_position(w->sst, sst_key(&m->items[i]));
    ck_assert(pos >= before && pos < 1);
    before = pos;
  }
  for (int i = 0; i < 200; i++)
    ck_assert_int_eq(
        sst_check_get(w->sst, w->cache, m, lsm_slice_of(probe, sst_make_key(probe, shape))),
        LSM_OK);
  ck_assert(lsm_sst_position(w->sst, lsm_slice_str("\x04")) == 0);
  if (m->n > 0) ck_assert(lsm_sst_position(w->sst, lsm_slice_str("\x06")) == 1);
  const lsm_rangeset *r = lsm_sst_ranges(w->sst);
  ck_assert_uint_eq(r->count, m->ranges.count);
  for (size_t i = 0; i < r->count; i++) {
    ck_assert(lsm_slice_eq(r->items[i].lo, m->ranges.items[i].lo));
    ck_assert(lsm_slice_eq(r->items[i].hi, m->ranges.items[i].hi));
  }
}

/* Tombstones become empty values. */
static void keep_puts(sst_model *m) {
  for (size_t i = 0; i < m->n; i++) m->items[i].tombstone = false;
}

START_TEST(test_against_model) {
  static const uint32_t block_sizes[] = {1, 64, 100, 300, 1000, 4096, 65536};
  static const size_t sizes[] = {1, 2, 17, 150, 600};
  static const uint32_t bits[] = {0, 3, 10};
  sst_seed = 1;
  for (int shape = 0; shape < 4; shape++) {
    for (size_t b = 0; b < sizeof block_sizes / sizeof block_sizes[0]; b++) {
      sst_model m;
      sst_world w;
      sst_model_new(&m, sizes[sst_rnd(5)], shape, sst_rnd(2) ? 30 : 300);
      if (sst_rnd(2)) sst_model_add_ranges(&m, 20, shape);
      if (sst_rnd(2)) keep_puts(&m);
      sst_world_new(&w, sst_rnd(2) ? 1 << 20 : 3000);
      sst_make(&w, &m, block_sizes[b], sst_rnd(2), bits[sst_rnd(3)]);
      check_all(&w, &m, shape);
      sst_world_free(&w);
      sst_model_free(&m);
    }
  }
  ck_assert_int_gt(passed, 100);
}
END_TEST

/* Blocks of megabytes, reads beyond the window, an index larger than the first
** read at open. */
START_TEST(test_large) {
  for (int compress = 0; compress < 2; compress++) {
    sst_model m;
    sst_world w;
    sst_seed = 77;
    sst_model_new(&m, 40, 2, 20);
    for (size_t i = 0; i < m.n; i += 7) {
      sst_item *it = &m.items[i];
      free(it->value);
      it->tombstone = false;
      it->vsize = 300000 + 200000 * (i % 5);
      it->value = malloc(it->vsize);
      ck_assert_ptr_nonnull(it->value);
      for (size_t k = 0; k < it->vsize; k++) it->value[k] = (uint8_t)sst_rnd(i % 2 ? 256 : 9);
    }
    for (size_t i = 2; i < m.n; i += 9) { /* still in order: something is appended */
      sst_item *it = &m.items[i];
      it->key = realloc(it->key, 100000 + i);
      ck_assert_ptr_nonnull(it->key);
      memset(it->key + it->size, (int)i, 100000 + i - it->size);
      it->size = 100000 + i;
    }
    sst_world_new(&w, 1 << 22);
    sst_make(&w, &m, 4096, compress, 10);
    check_all(&w, &m, 2);
    sst_world_free(&w);
    sst_model_free(&m);
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
    sst_world w;
    sst_world_new(&w, 1 << 20);
    lsm_sst_options opt = sst_options(64, false, 10);
    opt.keyspace = 'x';
    lsm_sst_writer *wr;
    ck_assert_int_eq(lsm_sst_writer_new(w.env, SST_PATH, &opt, &wr), LSM_OK);
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
    ck_assert_int_eq(lsm_sst_writer_finish(wr, &w.props), LSM_OK);
    lsm_sst_writer_free(wr);
    ck_assert_int_eq(sst_reopen(&w), LSM_OK);
    const lsm_sst_props *p = lsm_sst_get_props(w.sst);
    strcpy(a + 1, cases[i].smallest);
    strcpy(b + 1, cases[i].largest);
    ck_assert(lsm_slice_eq(lsm_buf_slice(&p->smallest), lsm_slice_str(a)));
    ck_assert(lsm_slice_eq(lsm_buf_slice(&p->largest), lsm_slice_str(b)));
    ck_assert_int_eq(p->largest_open, cases[i].open);
    ck_assert_int_eq(lsm_sst_verify(w.sst, NULL), LSM_OK);
    ck_assert_int_eq(w.props.largest_open, cases[i].open);
    sst_world_free(&w);
  }
}
END_TEST

START_TEST(test_misuse) {
  sst_world w;
  sst_world_new(&w, 1 << 20);
  lsm_sst_options opt = sst_options(64, false, 10);
  lsm_sst_writer *wr;
  lsm_slice a = lsm_slice_str("\5a"), b = lsm_slice_str("\5b"), c = lsm_slice_str("\5c");
  lsm_slice big = lsm_slice_of(sst_store_id, 16);
  bool exists;
  lsm_sst_writer_free(NULL);

  ck_assert_int_eq(lsm_sst_writer_new(w.env, SST_PATH, &opt, &wr), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_finish(wr, &w.props), LSM_MISUSE); /* nothing in it */
  lsm_sst_writer_free(wr);
  ck_assert_int_eq(w.env->exists(w.env, SST_PATH, &exists), LSM_OK);
  ck_assert(!exists);

  for (int across = 0; across < 2; across++) { /* the last key is in another block */
    uint8_t filler[100] = {0};
    ck_assert_int_eq(lsm_sst_writer_new(w.env, SST_PATH, &opt, &wr), LSM_OK);
    ck_assert_int_eq(
        lsm_sst_writer_add(wr, LSM_KIND_PUT, b, across ? lsm_slice_of(filler, sizeof filler) : big),
        LSM_OK);
    ck_assert_int_eq(lsm_sst_writer_add(wr, LSM_KIND_PUT, b, big), LSM_MISUSE);
    ck_assert_int_eq(lsm_sst_writer_add(wr, LSM_KIND_PUT, c, big), LSM_MISUSE); /* sticks */
    ck_assert_int_eq(lsm_sst_writer_finish(wr, &w.props), LSM_MISUSE);
    lsm_sst_writer_free(wr);
  }
  ck_assert_int_eq(lsm_sst_writer_new(w.env, SST_PATH, &opt, &wr), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_add_range(wr, b, b), LSM_MISUSE);
  lsm_sst_writer_free(wr);
  ck_assert_int_eq(lsm_sst_writer_new(w.env, SST_PATH, &opt, &wr), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_add_range(wr, a, c), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_add_range(wr, b, c), LSM_MISUSE);
  lsm_sst_writer_free(wr);
  ck_assert_int_eq(w.env->exists(w.env, SST_PATH, &exists), LSM_OK);
  ck_assert(!exists);
  ck_assert_int_eq(lsm_sst_open(w.env, SST_PATH, sst_store_id, 7, 100, w.cache, NULL, &w.sst),
                   LSM_NOTFOUND);
  ck_assert_ptr_null(w.sst);
  sst_world_free(&w);
}
END_TEST

START_TEST(test_size_estimate) {
  sst_seed = 5;
  sst_model m;
  sst_world w;
  sst_model_new(&m, 3000, 2, 200);
  sst_world_new(&w, 1 << 20);
  lsm_sst_options opt = sst_options(1000, false, 10);
  lsm_sst_writer *wr;
  ck_assert_int_eq(lsm_sst_writer_new(w.env, SST_PATH, &opt, &wr), LSM_OK);
  uint64_t before = lsm_sst_writer_size(wr);
  for (size_t i = 0; i < m.n; i++) {
    ck_assert_int_eq(
        lsm_sst_writer_add(wr, LSM_KIND_PUT, sst_key(&m.items[i]), sst_value(&m.items[i])), LSM_OK);
    ck_assert_uint_ge(lsm_sst_writer_size(wr) + 500, before); /* grows, but for details */
    before = lsm_sst_writer_size(wr);
  }
  ck_assert_int_eq(lsm_sst_writer_finish(wr, &w.props), LSM_OK);
  lsm_sst_writer_free(wr);
  ck_assert_uint_ge(before, w.props.size - w.props.size / 50);
  ck_assert_uint_le(before, w.props.size + w.props.size / 50);
  sst_world_free(&w);
  sst_model_free(&m);
}
END_TEST

START_TEST(test_bloom_stats) {
  sst_seed = 6;
  sst_model m;
  sst_world w;
  uint8_t key[5] = {5, 0xEE};
  sst_model_new(&m, 1000, 2, 20);
  sst_world_new(&w, 1 << 20);
  sst_make(&w, &m, 4096, true, 10);
  for (size_t i = 0; i < m.n; i++) sst_check_get(w.sst, w.cache, &m, sst_key(&m.items[i]));
  ck_assert_uint_eq(w.stats.bloom_checks, m.n);
  ck_assert_uint_eq(w.stats.bloom_hits, 0);
  ck_assert_uint_eq(w.stats.bloom_false_positives, 0);
  for (uint32_t i = 0; i < 10000; i++) {
    key[3] = (uint8_t)(i >> 8);
    key[4] = (uint8_t)i;
    sst_check_get(w.sst, w.cache, &m, lsm_slice_of(key, sizeof key));
  }
  ck_assert_uint_eq(w.stats.bloom_checks, m.n + 10000);
  ck_assert_uint_eq(w.stats.bloom_hits + w.stats.bloom_false_positives, 10000);
  ck_assert_uint_lt(w.stats.bloom_false_positives, 300);
  sst_world_free(&w);
  sst_model_free(&m);
}
END_TEST

/* The cache holds what scans and gets read, unless told not to. */
START_TEST(test_fill_cache) {
  sst_seed = 8;
  sst_model m;
  sst_world w;
  lsm_cache_stats s;
  sst_model_new(&m, 500, 2, 100);
  sst_world_new(&w, 1 << 22);
  sst_make(&w, &m, 300, true, 10);
  uint64_t base = sst_cache_bytes(&w);
  ck_assert_uint_gt(base, m.n * 10 / 8); /* the filter is charged */
  ck_assert_int_eq(sst_walk(w.sst, &m, false), LSM_OK);
  ck_assert_int_eq(lsm_sst_verify(w.sst, NULL), LSM_OK);
  ck_assert_uint_eq(sst_cache_bytes(&w), base);
  ck_assert_int_eq(sst_walk(w.sst, &m, true), LSM_OK);
  ck_assert_uint_gt(sst_cache_bytes(&w), base + w.props.raw_bytes);
  lsm_cache_get_stats(w.cache, &s);
  uint64_t misses = s.misses;
  for (size_t i = 0; i < m.n; i++) sst_check_get(w.sst, w.cache, &m, sst_key(&m.items[i]));
  lsm_cache_get_stats(w.cache, &s);
  ck_assert_uint_eq(s.misses, misses);
  sst_world_free(&w);
  sst_model_free(&m);
}
END_TEST

static void scan_up(lsm_sst *sst, const sst_model *m) {
  lsm_iter *it;
  size_t i = 0;
  ck_assert_int_eq(lsm_sst_iter(sst, true, &it), LSM_OK);
  for (lsm_rc rc = it->ops->first(it); it->valid; rc = it->ops->next(it)) {
    ck_assert_int_eq(rc, LSM_OK);
    ck_assert(sst_is_at(it, m, i++));
  }
  ck_assert_uint_eq(i, m->n);
  lsm_iter_free(it);
}

/* Scans of more than fits find at each turn what the one before has left. */
START_TEST(test_scan_large) {
  sst_seed = 9;
  for (int compress = 0; compress < 2; compress++) {
    sst_model m;
    sst_world w;
    lsm_cache_stats s;
    sst_model_new(&m, 3000, 2, 100);
    sst_world_new(&w, 100000);
    sst_make(&w, &m, 1000, compress != 0, 0);
    ck_assert_uint_gt(w.props.raw_bytes, 100000);
    ck_assert_int_eq(sst_walk(w.sst, &m, true), LSM_OK);
    lsm_cache_get_stats(w.cache, &s);
    uint64_t hits = s.hits, misses = s.misses;
    for (int i = 0; i < 3; i++) scan_up(w.sst, &m);
    lsm_cache_get_stats(w.cache, &s);
    ck_assert_uint_gt(4 * (s.hits - hits), s.misses - misses);
    for (int i = 0; i < 20; i++) random_moves(w.sst, &m, 2, true);
    sst_world_free(&w);
    sst_model_free(&m);
  }
}
END_TEST

static bool stop_at_zero(void *arg) {
  int *left = arg;
  return (*left)-- == 0;
}

START_TEST(test_interrupt) {
  sst_seed = 8;
  sst_model m;
  sst_world w;
  sst_model_new(&m, 100, 2, 100);
  sst_world_new(&w, 1 << 20);
  sst_make(&w, &m, 300, true, 10);
  int left = 3;
  lsm_interrupt intr = {stop_at_zero, &left};
  ck_assert_int_eq(lsm_sst_verify(w.sst, &intr), LSM_INTERRUPT);
  left = 1000000;
  ck_assert_int_eq(lsm_sst_verify(w.sst, &intr), LSM_OK);
  sst_world_free(&w);
  sst_model_free(&m);
}
END_TEST

/*----------------------------------------------------------------- threads */

typedef struct job {
  sst_world *w;
  const sst_model *m;
  bool fill_cache;
  lsm_rc rc;
} job;

static void *read_it(void *arg) {
  job *j = arg;
  j->rc = sst_walk(j->w->sst, j->m, j->fill_cache);
  for (size_t i = 0; i < j->m->n && j->rc == LSM_OK; i++)
    j->rc = sst_check_get(j->w->sst, j->w->cache, j->m, sst_key(&j->m->items[i]));
  return NULL;
}

START_TEST(test_threads) {
  enum { THREADS = 4 };
  sst_model m;
  sst_world w;
  pthread_t threads[THREADS];
  job jobs[THREADS];
  sst_seed = 31;
  sst_model_new(&m, 2000, 2, 60);
  sst_world_new(&w, 40000); /* less than the data: blocks come and go */
  sst_make(&w, &m, 1000, true, 10);
  for (int i = 0; i < THREADS; i++) {
    jobs[i] = (job){&w, &m, i % 2 == 0, LSM_OK};
    ck_assert_int_eq(pthread_create(&threads[i], NULL, read_it, &jobs[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(jobs[i].rc, LSM_OK);
  }
  sst_world_free(&w);
  sst_model_free(&m);
}
END_TEST

/*------------------------------------------------------------------ golden */

/* FORMAT.md explains these bytes. */
/* clang-format off */
static const uint8_t golden[] = {
    /* block 1 */
    0x00, 0x06, 0x04, 0x05, 0x61, 0x70, 0x70, 0x6C, 0x65, 0x6F, 0x6E, 0x65, 0x03, 0x05, 0x00, 0x72,
    0x69, 0x63, 0x6F, 0x74, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
    /* type, crc */
    0x00, 0x6E, 0xF4, 0x91, 0x25,
    /* block 2 */
    0x00, 0x07, 0x3D, 0x05, 0x62, 0x61, 0x6E, 0x61, 0x6E, 0x61, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A,
    0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A,
    0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A,
    0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A,
    0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x7A, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
    /* type, crc */
    0x00, 0x2E, 0xC2, 0x60, 0x8B,
    /* ranges */
    0x02, 0x05, 0x62, 0x02, 0x05, 0x63,
    /* type, crc */
    0x00, 0xB3, 0x6E, 0x46, 0xF9,
    /* filter */
    0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x40, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x10, 0x20, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x0E, 0x00, 0x00,
    0x00, 0x02, 0x00, 0x01, 0x00, 0x0A, 0x41, 0x80, 0x00, 0x12, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x07,
    /* type, crc */
    0x00, 0xB7, 0xF4, 0x60, 0x14,
    /* props */
    0x07, 0x65, 0x6E, 0x74, 0x72, 0x69, 0x65, 0x73, 0x01, 0x03, 0x0A, 0x74, 0x6F, 0x6D, 0x62, 0x73,
    0x74, 0x6F, 0x6E, 0x65, 0x73, 0x01, 0x01, 0x06, 0x72, 0x61, 0x6E, 0x67, 0x65, 0x73, 0x01, 0x01,
    0x09, 0x72, 0x61, 0x77, 0x5F, 0x62, 0x79, 0x74, 0x65, 0x73, 0x01, 0x54, 0x08, 0x73, 0x6D, 0x61,
    0x6C, 0x6C, 0x65, 0x73, 0x74, 0x06, 0x05, 0x61, 0x70, 0x70, 0x6C, 0x65, 0x07, 0x6C, 0x61, 0x72,
    0x67, 0x65, 0x73, 0x74, 0x02, 0x05, 0x63, 0x0C, 0x6C, 0x61, 0x72, 0x67, 0x65, 0x73, 0x74, 0x5F,
    0x6F, 0x70, 0x65, 0x6E, 0x01, 0x01,
    /* type, crc */
    0x00, 0x07, 0xC1, 0x36, 0xDE,
    /* index */
    0x02, 0x05, 0x62, 0x02, 0x00, 0x1C, 0x02, 0x05, 0x61, 0x6E, 0x61, 0x6E, 0x61, 0x4E, 0x01,
    /* type, crc */
    0x00, 0x45, 0xFA, 0xFF, 0xFC,
    /* footer */
    0x74, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x7F, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x45, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xC9, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x56, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x24, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0F, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66,
    0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00,
    /* crc, version, magic */
    0xF4, 0x07, 0x4C, 0x93, 0x01, 0x00, 0x00, 0x00, 0x6C, 0x73, 0x6D, 0x2D, 0x73, 0x73, 0x74, 0x0A,
};
/* clang-format on */

START_TEST(test_golden) {
  sst_world w;
  lsm_buf b = {0};
  lsm_sst_options opt = sst_options(64, false, 10);
  lsm_sst_writer *wr;
  uint8_t long_value[60];
  memset(long_value, 'z', sizeof long_value);
  sst_world_new(&w, 1 << 20);
  ck_assert_int_eq(lsm_sst_writer_new(w.env, SST_PATH, &opt, &wr), LSM_OK);
  lsm_slice v1 = lsm_slice_str("one"), v3 = lsm_slice_of(long_value, sizeof long_value);
  ck_assert_int_eq(lsm_sst_writer_add(wr, LSM_KIND_PUT, lsm_slice_str("\5apple"), v1), LSM_OK);
  ck_assert_int_eq(
      lsm_sst_writer_add(wr, LSM_KIND_DELETE, lsm_slice_str("\5apricot"), LSM_SLICE_NULL), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_add(wr, LSM_KIND_PUT, lsm_slice_str("\5banana"), v3), LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_add_range(wr, lsm_slice_str("\5b"), lsm_slice_str("\5c")),
                   LSM_OK);
  ck_assert_int_eq(lsm_sst_writer_finish(wr, &w.props), LSM_OK);
  lsm_sst_writer_free(wr);
  sst_read_all(w.env, &b);
  ck_assert_uint_eq(b.size, sizeof golden);
  ck_assert_mem_eq(b.data, golden, sizeof golden);

  sst_write_all(w.env, golden, sizeof golden);
  ck_assert_int_eq(sst_reopen(&w), LSM_OK);
  ck_assert_int_eq(lsm_sst_verify(w.sst, NULL), LSM_OK);
  lsm_buf_fini(&b);
  sst_world_free(&w);
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
  tcase_add_test(tc, test_scan_large);
  tcase_add_test(tc, test_interrupt);
  tcase_add_test(tc, test_threads);
  tcase_add_test(tc, test_golden);
  suite_add_tcase(s, tc);
  return s;
}
