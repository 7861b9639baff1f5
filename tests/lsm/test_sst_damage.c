/* test_sst_damage.c: tables with flipped, missing, forged and foreign bytes; no
** memory; failing I/O. Always an error or a right answer. */
#include <check.h>
#include <stdlib.h>

#include "env_fault.h"
#include "sst_format.h"
#include "sst_model.h"

Suite *sst_damage_suite(void);

/*------------------------------------------------------------------ damage */

/* Does everything with the file; the first error, or LSM_OK. */
static lsm_rc exercise(sst_world *w, const sst_model *m, bool exact) {
  lsm_rc rc = sst_reopen(w);
  if (rc != LSM_OK) {
    ck_assert_ptr_null(w->sst);
    return rc;
  }
  lsm_rc verify = lsm_sst_verify(w->sst, NULL);
  if (exact) { /* never a wrong answer */
    rc = lsm_first_rc(sst_walk(w->sst, m, false), sst_walk(w->sst, m, true));
    for (size_t i = 0; i < m->n; i += 3)
      rc = lsm_first_rc(rc, sst_check_get(w->sst, w->cache, m, sst_key(&m->items[i])));
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
      lsm_slice key = sst_key(&m->items[i]), value;
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

static void small_file(sst_world *w, sst_model *m, bool compress) {
  sst_seed = 11;
  sst_model_new(m, 40, 0, 40);
  sst_model_add_ranges(m, 6, 0);
  sst_world_new(w, 1 << 20);
  sst_make(w, m, 128, compress, 10);
  lsm_sst_close(w->sst);
  w->sst = NULL;
  ck_assert_uint_gt(m->ranges.count, 0);
}

START_TEST(test_every_flip_is_found) {
  for (int compress = 0; compress < 2; compress++) {
    sst_model m;
    sst_world w;
    lsm_buf b = {0};
    small_file(&w, &m, compress);
    sst_read_all(w.env, &b);
    for (size_t i = 0; i < b.size; i++) {
      for (int k = 0; k < 2; k++) {
        uint8_t old = b.data[i];
        b.data[i] ^= (uint8_t)(k == 0 ? 1u << i % 8 : 1 + sst_rnd(255));
        sst_write_all(w.env, b.data, b.size);
        ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
        ck_assert_ptr_nonnull(strstr(lsm_errmsg(), SST_PATH));
        b.data[i] = old;
      }
    }
    sst_write_all(w.env, b.data, b.size);
    ck_assert_int_eq(exercise(&w, &m, true), LSM_OK);
    lsm_buf_fini(&b);
    sst_world_free(&w);
    sst_model_free(&m);
  }
}
END_TEST

/* The manifest may know the right size, or believe the wrong one. */
START_TEST(test_every_cut_is_found) {
  sst_model m;
  sst_world w;
  lsm_buf b = {0};
  small_file(&w, &m, true);
  sst_read_all(w.env, &b);
  for (size_t n = 0; n < b.size; n++) {
    sst_write_all(w.env, b.data, n);
    w.props.size = b.size;
    ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
    w.props.size = n;
    ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
  }
  lsm_buf longer = {0};
  ck_assert_int_eq(lsm_buf_append(&longer, b.data, b.size), LSM_OK);
  ck_assert_int_eq(lsm_buf_put_u8(&longer, 0), LSM_OK);
  sst_write_all(w.env, longer.data, longer.size);
  w.props.size = b.size;
  ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
  w.props.size = longer.size;
  ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
  lsm_buf_fini(&longer);
  lsm_buf_fini(&b);
  sst_world_free(&w);
  sst_model_free(&m);
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
    sst_model m;
    sst_world w;
    lsm_buf b = {0};
    uint64_t off[100];
    small_file(&w, &m, false);
    sst_read_all(w.env, &b);
    size_t n = block_offsets(&b, off, 100);
    uint32_t crc_seed = lsm_sst_crc_seed(sst_store_id, 7);
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
          sst_write_all(w.env, b.data, b.size);
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
    sst_world_free(&w);
    sst_model_free(&m);
  }
}
END_TEST

/* A sound block in another block's place. */
START_TEST(test_swapped_blocks) {
  sst_world w;
  lsm_buf b = {0};
  uint64_t off[100];
  sst_model m = {0};
  sst_item items[20];
  uint8_t keys[20][3], value[60] = {0};
  for (size_t i = 0; i < 20; i++) {
    keys[i][0] = 5;
    keys[i][1] = 'k';
    keys[i][2] = (uint8_t)('a' + i);
    items[i] = (sst_item){keys[i], 3, false, value, sizeof value};
  }
  m.items = items;
  m.n = 20;
  sst_world_new(&w, 1 << 20);
  sst_make(&w, &m, 64, false, 0);
  lsm_sst_close(w.sst);
  sst_read_all(w.env, &b);
  size_t n = block_offsets(&b, off, 100), size = (size_t)off[1];
  ck_assert_uint_gt(n, 8);
  ck_assert_uint_eq(off[2] - off[1], size);
  uint8_t *tmp = sst_copy(b.data, size);
  memcpy(b.data, b.data + size, size);
  memcpy(b.data + size, tmp, size);
  free(tmp);
  sst_write_all(w.env, b.data, b.size);
  ck_assert_int_eq(exercise(&w, &m, true), LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "checksum"));
  lsm_buf_fini(&b);
  sst_world_free(&w);
}
END_TEST

START_TEST(test_foreign) {
  sst_model m;
  sst_world w;
  small_file(&w, &m, true);
  uint8_t other[16] = "another store...";
  lsm_sst *sst;
  ck_assert_int_eq(lsm_sst_open(w.env, SST_PATH, other, 7, w.props.size, w.cache, NULL, &sst),
                   LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "another store"));
  ck_assert_int_eq(
      lsm_sst_open(w.env, SST_PATH, sst_store_id, 8, w.props.size, w.cache, NULL, &sst),
      LSM_CORRUPT);
  ck_assert_int_eq(
      lsm_sst_open(w.env, SST_PATH, sst_store_id, 7, w.props.size + 1, w.cache, NULL, &sst),
      LSM_CORRUPT);
  ck_assert_ptr_null(sst);
  sst_world_free(&w);
  sst_model_free(&m);
}
END_TEST

/* Damage that comes after the table was opened. */
START_TEST(test_rot_of_open_table) {
  sst_model m;
  sst_world w;
  lsm_buf b = {0};
  small_file(&w, &m, true);
  sst_read_all(w.env, &b);
  for (size_t i = 0; i < b.size; i++) {
    ck_assert_int_eq(sst_reopen(&w), LSM_OK);
    b.data[i] ^= 0x10;
    sst_write_all(w.env, b.data, b.size);
    ck_assert_int_eq(lsm_sst_verify(w.sst, NULL), LSM_CORRUPT);
    b.data[i] ^= 0x10;
    sst_write_all(w.env, b.data, b.size);
    lsm_sst_close(w.sst);
    w.sst = NULL;
  }
  lsm_buf_fini(&b);
  sst_world_free(&w);
  sst_model_free(&m);
}
END_TEST

/*---------------------------------------------------------------- failures */

/* A whole life of a table; counts what it saw. */
static lsm_rc life(lsm_env *env, lsm_cache *cache, const sst_model *m) {
  lsm_sst_options opt = sst_options(128, true, 10);
  lsm_sst_props props;
  lsm_sst *sst = NULL;
  lsm_rc rc = sst_write(env, &opt, m, &props);
  if (rc == LSM_OK)
    rc = lsm_sst_open(env, SST_PATH, sst_store_id, 7, props.size, cache, NULL, &sst);
  if (rc == LSM_OK) rc = sst_walk(sst, m, false);
  if (rc == LSM_OK) rc = sst_walk(sst, m, true);
  for (size_t i = 0; rc == LSM_OK && i < m->n; i++)
    rc = sst_check_get(sst, cache, m, sst_key(&m->items[i]));
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
  sst_model m;
  sst_world w;
  sst_seed = 21;
  sst_model_new(&m, 120, 0, 40);
  sst_model_add_ranges(&m, 5, 0);
  sst_world_new(&w, 1 << 20);
  lsm_rc rc = LSM_NOMEM;
  for (int n = 1; rc != LSM_OK; n++) {
    ck_assert_int_lt(n, 2000);
    int left = n;
    lsm_set_malloc_hook(fail_nth, &left);
    rc = life(w.env, w.cache, &m);
    lsm_set_malloc_hook(NULL, NULL);
    if (rc != LSM_OK) ck_assert_int_eq(rc, LSM_NOMEM);
    ck_assert_uint_eq(sst_cache_bytes(&w), 0);
  }
  sst_world_free(&w);
  sst_model_free(&m);
}
END_TEST

START_TEST(test_io_errors) {
  static const lsm_rc codes[] = {LSM_IOERR, LSM_FULL};
  sst_model m;
  sst_world w;
  lsm_env *env;
  sst_seed = 22;
  sst_model_new(&m, 100, 1, 4000);
  sst_world_new(&w, 1 << 20);
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
    ck_assert_uint_eq(sst_cache_bytes(&w), 0);
  }
  env_fault_free(env);
  sst_world_free(&w);
  sst_model_free(&m);
}
END_TEST

/* What could not be finished is not left behind; what was, is durable. */
START_TEST(test_writer_cleans_up) {
  sst_model m;
  lsm_env *env, *image;
  lsm_sst_options opt = sst_options(128, false, 10);
  lsm_sst_props props;
  bool exists;
  sst_seed = 23;
  sst_model_new(&m, 100, 1, 40);
  ck_assert_int_eq(env_fault_new(NULL, &env), LSM_OK);
  static const unsigned masks[] = {ENV_FAULT_WRITE, ENV_FAULT_SYNC};
  for (int i = 0; i < 2; i++) {
    env_fault_fail(env, masks[i], 1, LSM_FULL, 0);
    ck_assert_int_eq(sst_write(env, &opt, &m, &props), LSM_FULL);
    ck_assert_int_eq(env->exists(env, SST_PATH, &exists), LSM_OK);
    ck_assert(!exists);
    ck_assert_ptr_null(props.smallest.data);
  }
  env_fault_clear(env);
  ck_assert_int_eq(sst_write(env, &opt, &m, &props), LSM_OK);
  ck_assert_int_eq(env->sync_dir(env, "/"), LSM_OK);
  ck_assert_int_eq(env_fault_crash(env, ENV_FAULT_DROP, 1, &image), LSM_OK);
  lsm_buf b = {0};
  ck_assert_int_eq(lsm_env_read_file(image, SST_PATH, &b), LSM_OK);
  ck_assert_uint_eq(b.size, props.size);
  lsm_buf_fini(&b);
  lsm_sst_props_fini(&props);
  env_fault_free(image);
  env_fault_free(env);
  sst_model_free(&m);
}
END_TEST

Suite *sst_damage_suite(void) {
  Suite *s = suite_create("sst_damage");
  TCase *tc = tcase_create("sst_damage");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_every_flip_is_found);
  tcase_add_test(tc, test_every_cut_is_found);
  tcase_add_test(tc, test_forged);
  tcase_add_test(tc, test_swapped_blocks);
  tcase_add_test(tc, test_foreign);
  tcase_add_test(tc, test_rot_of_open_table);
  tcase_add_test(tc, test_out_of_memory);
  tcase_add_test(tc, test_io_errors);
  tcase_add_test(tc, test_writer_cleans_up);
  suite_add_tcase(s, tc);
  return s;
}
