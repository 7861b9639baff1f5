/* test_table_cache.c: open tables by number, and runs of them as sources. */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include <check.h>
#include <pthread.h>
#include <time.h>

#include "env_fault.h"
#include "filename.h"
#include "table_cache.h"

Suite *table_cache_suite(void);

#define DIR       "db"
#define MAX_FILES 32
#define KEY_SIZE  6

static const uint8_t store_id[16] = "0123456789abcde";

/* An environment that counts opens, and can make them slow. */
typedef struct slow_env {
  lsm_env env; /* first */
  lsm_env *inner;
  _Atomic int opens;
  _Atomic int inside;    /* opens under way */
  _Atomic int most;      /* the most there ever were */
  _Atomic int wait_ms;   /* how long each waits for a second one */
  _Atomic int wait_full; /* or: how many must be inside to go on early */
} slow_env;

static void sleep_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

static lsm_rc slow_open(lsm_env *env, const char *path, int flags, lsm_file **file) {
  slow_env *s = (slow_env *)env;
  atomic_fetch_add(&s->opens, 1);
  int now = atomic_fetch_add(&s->inside, 1) + 1;
  int most = atomic_load(&s->most);
  while (now > most && !atomic_compare_exchange_weak(&s->most, &most, now)) continue;
  for (int i = 0; i < s->wait_ms && atomic_load(&s->most) < s->wait_full; i++) sleep_ms(1);
  lsm_rc rc = s->inner->open(s->inner, path, flags, file);
  atomic_fetch_sub(&s->inside, 1);
  return rc;
}

/* What the tests share. */
static struct fixture {
  lsm_env *env; /* an env_fault */
  slow_env slow;
  lsm_cache *cache;
  lsm_table_cache *tc;
  lsm_filemeta *files[MAX_FILES];
  size_t nfiles;
} fx;

static void setup(void) {
  memset(&fx, 0, sizeof fx);
  ck_assert_int_eq(env_fault_new(NULL, &fx.env), LSM_OK);
  ck_assert_int_eq(fx.env->mkdir(fx.env, DIR), LSM_OK);
  fx.slow.env = *fx.env;
  fx.slow.env.open = slow_open;
  fx.slow.inner = fx.env;
  ck_assert_int_eq(lsm_cache_new(1 << 20, &fx.cache), LSM_OK);
}

static void open_bounded(size_t max_open, size_t max_bytes) {
  ck_assert_int_eq(lsm_table_cache_new(&fx.slow.env, DIR, store_id, fx.cache, NULL, max_open,
                                       max_bytes, &fx.tc),
                   LSM_OK);
}

static void open_cache(size_t max_open) {
  open_bounded(max_open, SIZE_MAX);
}

static void teardown(void) {
  lsm_cache_stats s;
  lsm_table_cache_free(fx.tc);
  for (size_t i = 0; i < fx.nfiles; i++) {
    lsm_cache_evict_file(fx.cache, fx.files[i]->number);
    lsm_filemeta_unref(fx.files[i]);
  }
  lsm_cache_get_stats(fx.cache, &s);
  ck_assert_uint_eq(s.bytes, 0); /* every table gave its memory back */
  lsm_cache_free(fx.cache);
  env_fault_free(fx.env);
}

/*------------------------------------------------------------ making files */

static lsm_slice key_of(uint8_t *buf, int i) {
  buf[0] = 1;
  for (int d = KEY_SIZE - 1; d > 0; d--, i /= 10) buf[d] = (uint8_t)('0' + i % 10);
  return lsm_slice_of(buf, KEY_SIZE);
}

static int number_of(lsm_slice key) {
  int n = 0;
  ck_assert_uint_eq(key.size, KEY_SIZE);
  for (int d = 1; d < KEY_SIZE; d++) n = n * 10 + (key.data[d] - '0');
  return n;
}

/* A file with the keys [from, to) in steps of 2, each its own value, every
** fifth deleted; and, unless hi is 0, a range tombstone [lo, hi). */
static lsm_filemeta *make_file(uint64_t number, int from, int to, int lo, int hi) {
  uint8_t a[KEY_SIZE];
  uint8_t b[KEY_SIZE];
  lsm_sst_options opt = {100, 10, LSM_COMPRESS_NONE, 1, store_id, number, false};
  lsm_sst_writer *w;
  lsm_sst_props props;
  memset(&props, 0, sizeof props);
  char *path = lsm_filename_new(DIR, LSM_FILE_SST, number);
  ck_assert_int_eq(lsm_sst_writer_new(fx.env, path, &opt, &w), LSM_OK);
  for (int i = from; i < to; i += 2) {
    lsm_slice key = key_of(a, i);
    bool del = i % 5 == 0;
    ck_assert_int_eq(lsm_sst_writer_add(w, del ? LSM_KIND_DELETE : LSM_KIND_PUT, key,
                                        del ? LSM_SLICE_NULL : key),
                     LSM_OK);
  }
  if (hi > 0) {
    ck_assert_int_eq(lsm_sst_writer_add_range(w, key_of(a, lo), key_of(b, hi)), LSM_OK);
  }
  ck_assert_int_eq(lsm_sst_writer_finish(w, &props), LSM_OK);
  lsm_sst_writer_free(w);
  lsm_free(path);
  lsm_filemeta *f;
  ck_assert_int_eq(lsm_filemeta_new(number, 1, 1, 0, &props, &f), LSM_OK);
  lsm_sst_props_fini(&props);
  ck_assert_uint_lt(fx.nfiles, MAX_FILES);
  fx.files[fx.nfiles++] = f;
  return f;
}

/* Files 1 .. n: 10 keys each, in tens. */
static void make_files(int n) {
  for (int i = 0; i < n; i++) make_file((uint64_t)i + 1, i * 20, i * 20 + 20, 0, 0);
}

static lsm_sst *pin(size_t i) {
  lsm_sst *sst;
  ck_assert_int_eq(lsm_table_cache_get(fx.tc, fx.files[i], &sst), LSM_OK);
  ck_assert_ptr_nonnull(sst);
  return sst;
}

static void touch(size_t i) {
  lsm_table_cache_unpin(fx.tc, pin(i));
}

/* Is key there, with the right value? Of any thread. */
static bool get_ok(lsm_sst *sst, int i) {
  uint8_t buf[KEY_SIZE];
  lsm_slice key = key_of(buf, i);
  lsm_slice value;
  lsm_block *block = NULL;
  lsm_kind kind;
  lsm_rc rc = lsm_sst_get(sst, key, lsm_hash64(key, 0), &kind, &value, &block);
  bool ok = rc == LSM_OK && (kind == LSM_KIND_DELETE ? i % 5 == 0 : lsm_slice_eq(key, value));
  lsm_block_unpin(fx.cache, block);
  return ok;
}

/*------------------------------------------------------------------ tables */

START_TEST(test_get) {
  make_files(3);
  open_cache(10);
  lsm_sst *a = pin(0);
  lsm_sst *b = pin(1);
  lsm_sst *again = pin(0);
  ck_assert_ptr_eq(a, again);
  ck_assert_ptr_ne(a, b);
  ck_assert(get_ok(a, 2) && get_ok(b, 22) && !get_ok(a, 22));
  lsm_table_cache_unpin(fx.tc, a);
  lsm_table_cache_unpin(fx.tc, a);
  lsm_table_cache_unpin(fx.tc, b);
  touch(0);
  touch(1);
  ck_assert_int_eq(fx.slow.opens, 2);
}
END_TEST

START_TEST(test_lru) {
  make_files(4);
  open_cache(2);
  touch(0);
  touch(1);
  touch(0);
  touch(2); /* closes 1 */
  ck_assert_int_eq(fx.slow.opens, 3);
  touch(0);
  touch(2);
  ck_assert_int_eq(fx.slow.opens, 3);
  touch(1); /* closes 0 */
  ck_assert_int_eq(fx.slow.opens, 4);
  touch(2);
  ck_assert_int_eq(fx.slow.opens, 4);
  touch(0);
  ck_assert_int_eq(fx.slow.opens, 5);
}
END_TEST

/* Those used last stay open, as many as the memory is for, and 16 in any case. */
START_TEST(test_memory) {
  lsm_cache_stats s;
  make_files(30);
  open_cache(100);
  touch(0);
  lsm_cache_get_stats(fx.cache, &s);
  size_t one = (size_t)s.bytes;
  lsm_table_cache_free(fx.tc);
  for (size_t bound = 20 * one; bound > 0; bound = bound > one ? one : 0) {
    open_bounded(100, bound);
    for (size_t i = 0; i < 30; i++) touch(i);
    lsm_cache_get_stats(fx.cache, &s);
    ck_assert_uint_le(s.bytes, bound > one ? bound + one : 17 * one);
    ck_assert_uint_gt(s.bytes, 15 * one);
    lsm_sst *last = pin(29);
    ck_assert(get_ok(last, 29 * 20 + 2));
    lsm_table_cache_unpin(fx.tc, last);
    touch(0); /* and what was closed is opened again */
    lsm_table_cache_free(fx.tc);
  }
  open_cache(1);
}
END_TEST

START_TEST(test_all_pinned) {
  lsm_sst *sst[4];
  make_files(4);
  open_cache(1);
  for (size_t i = 0; i < 4; i++) sst[i] = pin(i);
  for (int i = 0; i < 4; i++) ck_assert(get_ok(sst[i], i * 20 + 4));
  for (size_t i = 0; i < 4; i++) lsm_table_cache_unpin(fx.tc, sst[i]);
  ck_assert_int_eq(fx.slow.opens, 4);
  touch(3); /* the one that stayed */
  ck_assert_int_eq(fx.slow.opens, 4);
  touch(0);
  ck_assert_int_eq(fx.slow.opens, 5);
}
END_TEST

START_TEST(test_evict) {
  make_files(2);
  open_cache(10);
  lsm_sst *a = pin(0);
  lsm_sst *twice = pin(0);
  ck_assert(get_ok(a, 2));
  touch(1);
  lsm_table_cache_evict(fx.tc, 1);
  lsm_table_cache_evict(fx.tc, 2);
  lsm_table_cache_evict(fx.tc, 77);
  ck_assert(get_ok(a, 4)); /* goes on for who has it */
  ck_assert_int_eq(fx.env->remove(fx.env, DIR "/000002.sst"), LSM_OK);
  lsm_sst *none;
  ck_assert_int_eq(lsm_table_cache_get(fx.tc, fx.files[1], &none), LSM_CORRUPT);
  ck_assert_ptr_null(none);
  ck_assert_int_eq(lsm_table_cache_get(fx.tc, fx.files[1], &none), LSM_CORRUPT);
  lsm_sst *fresh = pin(0);
  ck_assert_ptr_ne(fresh, a);
  lsm_table_cache_unpin(fx.tc, a);
  ck_assert(get_ok(twice, 6));
  lsm_table_cache_unpin(fx.tc, twice);
  ck_assert(get_ok(fresh, 8));
  lsm_table_cache_unpin(fx.tc, fresh);
  lsm_table_cache_unpin(fx.tc, NULL);
}
END_TEST

/* Pinned for their holder: once, and whatever is evicted; who finds his place taken
** pins for himself. */
START_TEST(test_pins) {
  static lsm_table_pins pins; /* zero */
  lsm_sst *sst[2], *again;
  bool own = true;
  open_cache(10);
  make_file(1, 0, 20, 0, 0);
  make_file(1 + LSM_TABLE_PINS, 20, 40, 0, 0);
  for (size_t i = 0; i < 2; i++) {
    ck_assert_int_eq(lsm_table_pins_get(&pins, fx.tc, fx.files[i], &sst[i], &own), LSM_OK);
    ck_assert(own == (i == 1));
    ck_assert_uint_eq(lsm_sst_number(sst[i]), fx.files[i]->number);
  }
  lsm_table_cache_unpin(fx.tc, sst[1]);
  lsm_table_cache_evict(fx.tc, 1);
  ck_assert_int_eq(lsm_table_pins_get(&pins, fx.tc, fx.files[0], &again, &own), LSM_OK);
  ck_assert(!own && again == sst[0]);
  ck_assert(get_ok(sst[0], 4));
  ck_assert_int_eq(lsm_table_pins_get(NULL, fx.tc, fx.files[1], &again, &own), LSM_OK);
  ck_assert(own);
  lsm_table_cache_unpin(fx.tc, again);
  lsm_table_pins_release(&pins, fx.tc);
  lsm_table_pins_release(&pins, fx.tc);
  lsm_table_cache_evict(fx.tc, 1 + LSM_TABLE_PINS); /* else there were a pin left */
}
END_TEST

/* What the manifest says of a file is checked when it is opened. */
START_TEST(test_wrong_size) {
  lsm_sst *none;
  make_files(1);
  open_cache(10);
  fx.files[0]->size++;
  ck_assert_int_eq(lsm_table_cache_get(fx.tc, fx.files[0], &none), LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "000001.sst"));
  fx.files[0]->size--;
  touch(0);
}
END_TEST

static bool fail_nth(void *arg) {
  return (*(int *)arg)-- != 0;
}

START_TEST(test_nomem) {
  make_files(1);
  bool done = false;
  for (int n = 0; !done; n++) {
    lsm_sst *sst = NULL;
    int left = n;
    ck_assert_int_lt(n, 200);
    lsm_set_malloc_hook(fail_nth, &left);
    lsm_rc rc = lsm_table_cache_new(fx.env, DIR, store_id, fx.cache, NULL, 4, SIZE_MAX, &fx.tc);
    if (rc == LSM_OK) rc = lsm_table_cache_get(fx.tc, fx.files[0], &sst);
    lsm_set_malloc_hook(NULL, NULL);
    done = rc == LSM_OK;
    ck_assert(rc == LSM_OK || rc == LSM_NOMEM);
    ck_assert_int_eq(rc == LSM_OK, sst != NULL);
    if (sst != NULL) lsm_table_cache_unpin(fx.tc, sst);
    lsm_table_cache_free(fx.tc);
    fx.tc = NULL;
  }
}
END_TEST

/*----------------------------------------------------------------- threads */

typedef struct worker {
  size_t file;
  uint64_t seed;
  int bad;
} worker;

static void *get_one(void *arg) {
  worker *w = arg;
  lsm_sst *sst;
  if (lsm_table_cache_get(fx.tc, fx.files[w->file], &sst) != LSM_OK) {
    w->bad++;
    return NULL;
  }
  w->bad += !get_ok(sst, (int)w->file * 20 + 2);
  lsm_table_cache_unpin(fx.tc, sst);
  return NULL;
}

static void run_threads(void *(*fn)(void *), worker *w, int n) {
  pthread_t t[8];
  for (int i = 0; i < n; i++) ck_assert_int_eq(pthread_create(&t[i], NULL, fn, &w[i]), 0);
  for (int i = 0; i < n; i++) {
    pthread_join(t[i], NULL);
    ck_assert_int_eq(w[i].bad, 0);
  }
}

START_TEST(test_same_file_once) {
  worker w[4] = {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}};
  make_files(1);
  open_cache(10);
  fx.slow.wait_ms = 50;
  fx.slow.wait_full = 99;
  run_threads(get_one, w, 4);
  ck_assert_int_eq(fx.slow.opens, 1);
}
END_TEST

START_TEST(test_two_files_at_once) {
  worker w[2] = {{0, 0, 0}, {1, 0, 0}};
  make_files(2);
  open_cache(10);
  fx.slow.wait_ms = 60000; /* each waits for the other to come in */
  fx.slow.wait_full = 2;
  run_threads(get_one, w, 2);
  ck_assert_int_eq(fx.slow.most, 2);
  ck_assert_int_eq(fx.slow.opens, 2);
}
END_TEST

/* Gone while it is being opened: who opens it has it, nobody else. */
static void *evict_late(void *arg) {
  (void)arg;
  while (atomic_load(&fx.slow.inside) == 0) sleep_ms(1);
  lsm_table_cache_evict(fx.tc, 1);
  atomic_store(&fx.slow.wait_full, 0);
  return NULL;
}

START_TEST(test_evict_while_opening) {
  pthread_t t;
  make_files(1);
  open_cache(10);
  fx.slow.wait_ms = 60000;
  fx.slow.wait_full = 99;
  ck_assert_int_eq(pthread_create(&t, NULL, evict_late, NULL), 0);
  lsm_sst *sst = pin(0);
  pthread_join(t, NULL);
  ck_assert(get_ok(sst, 2));
  lsm_table_cache_unpin(fx.tc, sst);
  touch(0);
  ck_assert_int_eq(fx.slow.opens, 2);
}
END_TEST

static void *stress(void *arg) {
  worker *w = arg;
  for (int i = 0; i < 3000; i++) {
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    unsigned r = (unsigned)(w->seed >> 33);
    w->file = r % fx.nfiles;
    if (r % 101 == 0) {
      lsm_table_cache_evict(fx.tc, fx.files[w->file]->number);
    } else {
      get_one(w);
    }
  }
  return NULL;
}

START_TEST(test_stress) {
  worker w[4] = {{0, 1, 0}, {0, 2, 0}, {0, 3, 0}, {0, 4, 0}};
  make_files(8);
  open_cache(3);
  run_threads(stress, w, 4);
}
END_TEST

/*-------------------------------------------------------------------- runs */

#define RUN_END 400

/* Points: even numbers of [0,60), [100,140), [200,260); tombstones: [60,90),
** [110,111), [150,190), [190,195), [196,198), [300,380). */
static void make_run(void) {
  make_file(1, 0, 20, 0, 0);
  make_file(2, 20, 60, 60, 90);
  make_file(3, 100, 140, 110, 111);
  make_file(4, 0, 0, 150, 190);
  make_file(5, 0, 0, 190, 195);
  make_file(6, 200, 220, 196, 198); /* begins with its tombstone */
  make_file(7, 220, 260, 0, 0);
  make_file(8, 0, 0, 300, 380);
}

static bool model_has(int i) {
  return i % 2 == 0 && ((i >= 0 && i < 60) || (i >= 100 && i < 140) || (i >= 200 && i < 260));
}

static int model_ge(int i) {
  while (i < RUN_END && !model_has(i)) i++;
  return i < RUN_END ? i : -1;
}

static int model_le(int i) {
  while (i >= 0 && !model_has(i)) i--;
  return i;
}

static void check_at(const lsm_iter *it, int want) {
  ck_assert_int_eq(it->valid, want >= 0);
  if (want < 0) return;
  ck_assert_int_eq(number_of(it->key), want);
  ck_assert_int_eq(it->kind, want % 5 == 0 ? LSM_KIND_DELETE : LSM_KIND_PUT);
  if (want % 5 != 0) {
    ck_assert(lsm_slice_eq(it->key, it->value));
  } else {
    ck_assert_uint_eq(it->value.size, 0);
  }
}

static lsm_iter *open_iter(bool fill_cache) {
  lsm_iter *it;
  ck_assert_int_eq(lsm_run_iter(fx.tc, fx.files, fx.nfiles, fill_cache, &it), LSM_OK);
  ck_assert(!it->valid);
  return it;
}

START_TEST(test_run_scan) {
  make_run();
  open_cache(1);
  lsm_iter *it = open_iter(_i == 0);
  ck_assert_int_eq(fx.slow.opens, 0); /* nothing is opened before it is reached */
  int at = model_ge(0);
  ck_assert_int_eq(it->ops->first(it), LSM_OK);
  ck_assert_int_eq(fx.slow.opens, 1);
  for (; at >= 0; at = model_ge(at + 1)) {
    check_at(it, at);
    ck_assert_int_eq(it->ops->next(it), LSM_OK);
  }
  ck_assert(!it->valid);
  ck_assert_int_eq(fx.slow.opens, 5); /* never those with tombstones only */
  ck_assert_int_eq(it->ops->last(it), LSM_OK);
  for (at = model_le(RUN_END); at >= 0; at = model_le(at - 1)) {
    check_at(it, at);
    ck_assert_int_eq(it->ops->prev(it), LSM_OK);
  }
  ck_assert(!it->valid);
  lsm_iter_free(it);
}
END_TEST

START_TEST(test_run_random) {
  uint8_t buf[KEY_SIZE];
  uint64_t seed = 7;
  make_run();
  open_cache(2);
  lsm_iter *it = open_iter(true);
  int at = -1;
  for (int i = 0; i < 20000; i++) {
    unsigned r = (unsigned)disk_random(&seed);
    int target = (int)(r / 16 % RUN_END);
    lsm_rc rc;
    if (at < 0 || r % 16 < 3) {
      switch (r / 8 % 8) {
        case 0:
          rc = it->ops->first(it);
          at = model_ge(0);
          break;
        case 1:
          rc = it->ops->last(it);
          at = model_le(RUN_END);
          break;
        case 2:
        case 3:
        case 4:
          rc = it->ops->seek_ge(it, key_of(buf, target));
          at = model_ge(target);
          break;
        default:
          rc = it->ops->seek_le(it, key_of(buf, target));
          at = model_le(target);
          break;
      }
    } else if (r % 16 < 10) {
      rc = it->ops->next(it);
      at = model_ge(at + 1);
    } else {
      rc = it->ops->prev(it);
      at = model_le(at - 1);
    }
    ck_assert_int_eq(rc, LSM_OK);
    check_at(it, at);
  }
  lsm_iter_free(it);
}
END_TEST

START_TEST(test_run_empty) {
  lsm_iter *it;
  uint8_t buf[KEY_SIZE];
  make_file(1, 0, 0, 150, 190);
  open_cache(2);
  for (size_t n = 0; n < 2; n++) {
    ck_assert_int_eq(lsm_run_iter(fx.tc, fx.files, n, true, &it), LSM_OK);
    ck_assert_int_eq(it->ops->first(it), LSM_OK);
    ck_assert(!it->valid);
    ck_assert_int_eq(it->ops->last(it), LSM_OK);
    ck_assert(!it->valid);
    ck_assert_int_eq(it->ops->seek_ge(it, key_of(buf, 155)), LSM_OK);
    ck_assert(!it->valid);
    ck_assert_int_eq(it->ops->seek_le(it, key_of(buf, 155)), LSM_OK);
    ck_assert(!it->valid);
    lsm_iter_free(it);
  }
  ck_assert_int_eq(fx.slow.opens, 0);
}
END_TEST

static const struct {
  int key, lo, hi; /* hi 0: none */
} covers[] = {{0, 0, 0},       {59, 0, 0},      {60, 60, 90},    {89, 60, 90},    {90, 0, 0},
              {109, 0, 0},     {110, 110, 111}, {111, 0, 0},     {149, 0, 0},     {150, 150, 190},
              {189, 150, 190}, {190, 190, 195}, {195, 0, 0},     {196, 196, 198}, {198, 0, 0},
              {230, 0, 0},     {299, 0, 0},     {300, 300, 380}, {379, 300, 380}, {380, 0, 0},
              {399, 0, 0}};

START_TEST(test_run_ranges) {
  lsm_run_ranges *rr;
  lsm_ranges ranges;
  uint8_t a[KEY_SIZE];
  make_run();
  open_cache(2);
  ck_assert_int_eq(lsm_run_ranges_new(fx.tc, fx.files, fx.nfiles, &rr, &ranges), LSM_OK);
  ck_assert_int_eq(fx.slow.opens, 6);
  for (size_t i = 0; i < sizeof covers / sizeof covers[0]; i++) {
    lsm_slice lo = LSM_SLICE_NULL;
    lsm_slice hi = LSM_SLICE_NULL;
    bool found = ranges.find(ranges.ctx, key_of(a, covers[i].key), &lo, &hi);
    ck_assert_msg(found == (covers[i].hi != 0), "key %d", covers[i].key);
    if (!found) continue;
    ck_assert_int_eq(number_of(lo), covers[i].lo);
    ck_assert_int_eq(number_of(hi), covers[i].hi);
  }
  lsm_run_ranges_free(rr);
  lsm_run_ranges_free(NULL);
  ck_assert_int_eq(lsm_run_ranges_new(fx.tc, fx.files, 1, &rr, &ranges), LSM_OK);
  ck_assert_ptr_null(rr);
  ck_assert(ranges.find == NULL);
}
END_TEST

/* Scans all; what comes before an error must be right. */
static lsm_rc scan(bool forward) {
  lsm_iter *it = NULL;
  lsm_rc rc = lsm_run_iter(fx.tc, fx.files, fx.nfiles, false, &it);
  if (rc != LSM_OK) return rc;
  int at = forward ? model_ge(0) : model_le(RUN_END);
  rc = forward ? it->ops->first(it) : it->ops->last(it);
  while (rc == LSM_OK) {
    check_at(it, at);
    if (at < 0) break;
    rc = forward ? it->ops->next(it) : it->ops->prev(it);
    at = forward ? model_ge(at + 1) : model_le(at - 1);
  }
  if (rc != LSM_OK) {
    ck_assert(!it->valid);
    lsm_set_malloc_hook(NULL, NULL);
    env_fault_clear(fx.env);
    ck_assert_int_eq(it->ops->first(it), LSM_OK); /* a seek may succeed again */
    check_at(it, 0);
  }
  lsm_iter_free(it);
  return rc;
}

static lsm_rc take_ranges(void) {
  lsm_run_ranges *rr;
  lsm_ranges ranges;
  lsm_rc rc = lsm_run_ranges_new(fx.tc, fx.files, fx.nfiles, &rr, &ranges);
  ck_assert_int_eq(rc == LSM_OK, rr != NULL);
  lsm_run_ranges_free(rr);
  return rc;
}

/* Fails the nth call, for every n: files first, then memory. */
START_TEST(test_run_errors) {
  make_run();
  for (int what = 0; what < 3; what++) {
    for (int memory = 0; memory < 2; memory++) {
      bool done = false;
      int n = 0;
      for (; !done; n++) {
        open_cache(1);
        int left = n;
        ck_assert_int_lt(n, 500);
        if (memory) {
          lsm_set_malloc_hook(fail_nth, &left);
        } else {
          env_fault_fail(fx.env, ENV_FAULT_ALL, (uint64_t)n + 1, LSM_IOERR, 0);
        }
        lsm_rc rc = what == 2 ? take_ranges() : scan(what == 0);
        lsm_set_malloc_hook(NULL, NULL);
        env_fault_clear(fx.env);
        done = rc == LSM_OK;
        if (!done) ck_assert_int_eq(rc, memory ? LSM_NOMEM : LSM_IOERR);
        lsm_table_cache_free(fx.tc);
        fx.tc = NULL;
      }
      ck_assert_int_gt(n, 5);
    }
  }
}
END_TEST

Suite *table_cache_suite(void) {
  Suite *s = suite_create("table_cache");
  TCase *tc = tcase_create("table_cache");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_get);
  tcase_add_test(tc, test_lru);
  tcase_add_test(tc, test_memory);
  tcase_add_test(tc, test_all_pinned);
  tcase_add_test(tc, test_evict);
  tcase_add_test(tc, test_pins);
  tcase_add_test(tc, test_wrong_size);
  tcase_add_test(tc, test_nomem);
  tcase_add_test(tc, test_same_file_once);
  tcase_add_test(tc, test_two_files_at_once);
  tcase_add_test(tc, test_evict_while_opening);
  tcase_add_test(tc, test_stress);
  tcase_add_loop_test(tc, test_run_scan, 0, 2);
  tcase_add_test(tc, test_run_random);
  tcase_add_test(tc, test_run_empty);
  tcase_add_test(tc, test_run_ranges);
  tcase_add_test(tc, test_run_errors);
  suite_add_tcase(s, tc);
  return s;
}
