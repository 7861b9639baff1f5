/* fuzz_sst.c: an SSTable opened, walked, searched and verified.
** Input: what:u8, the file. With bit 0 (repair) the checksums of footer and blocks
**        are made right first, as far as footer and index tell where blocks
**        are; with bit 1 too, the parts are laid end to end before the footer.
** Holds: a table that verifies is walked both ways to the same rising entries,
**        as many as it says, and each is found by lookup and by seek. */
#include "compress.h"
#include "fuzz.h"
#include "sst.h"
#include "sst_format.h"

#define PATH "/000007.sst"
enum { NUMBER = 7, KEYSPACE = 5, LAY_OUT = 2, RAW_LIMIT = 1 << 20 };

static const uint8_t store_id[16] = "0123456789abcdef";
static lsm_env *env; /* kept from run to run */

/*------------------------------------------------------------------ repair */

/* Seals the stored block whose body has SIZE bytes at OFF, if it is before END. */
static bool seal(uint8_t *p, uint64_t off, uint64_t size, uint64_t end) {
  if (off > end || size > end - off || LSM_SST_TRAILER > end - off - size) return false;
  uint32_t crc = lsm_sst_block_crc(lsm_sst_crc_seed(store_id, NUMBER), off,
                                   lsm_slice_of(p + off, (size_t)size), p[off + size]);
  lsm_set_u32(p + off + size + 1, crc);
  return true;
}

/* Seals the data blocks of which the index, raw, tells. */
static void seal_data(uint8_t *p, lsm_slice index, uint64_t data_end) {
  lsm_reader r = lsm_reader_of(index);
  (void)lsm_read_slice(&r);
  uint64_t n = lsm_read_varint(&r), off = 0;
  for (uint64_t i = 0; i < n && r.ok; i++) {
    (void)lsm_read_slice(&r);
    uint64_t size = lsm_read_varint(&r);
    (void)lsm_read_varint(&r);
    if (!r.ok || !seal(p, off, size, data_end)) return;
    off += size + LSM_SST_TRAILER;
  }
}

static void seal_by_index(uint8_t *p, const lsm_sst_footer *f) {
  const lsm_sst_extent *x = &f->parts[LSM_SST_INDEX];
  lsm_slice body = lsm_slice_of(p + x->off, (size_t)x->size);
  size_t raw_size;
  uint64_t data_end = f->parts[0].off;
  if (body.data[body.size] != LSM_SST_ZLIB) {
    seal_data(p, body, data_end);
  } else if (lsm_decompress_size(body, &raw_size) && raw_size < RAW_LIMIT) {
    uint8_t *raw = malloc(raw_size);
    if (lsm_decompress(body, raw, raw_size, "index", 0) == LSM_OK) {
      seal_data(p, lsm_slice_of(raw, raw_size), data_end);
    }
    free(raw);
  }
}

static void repair(uint8_t *p, size_t size, bool lay_out) {
  if (size < LSM_SST_FOOTER) return;
  uint64_t end = size - LSM_SST_FOOTER;
  lsm_sst_footer f;
  bool sealed = true;
  for (int i = 0; i < LSM_SST_PARTS; i++) {
    f.parts[i].off = lsm_get_u64(p + end + 16 * i);
    f.parts[i].size = lsm_get_u64(p + end + 16 * i + 8);
  }
  for (int i = LSM_SST_PARTS; lay_out && i-- > 0;) {
    uint64_t behind = i == LSM_SST_PARTS - 1 ? end : f.parts[i + 1].off;
    uint64_t room = behind < LSM_SST_TRAILER ? 0 : behind - LSM_SST_TRAILER;
    if (f.parts[i].size > room) f.parts[i].size = room;
    f.parts[i].off = room - f.parts[i].size;
  }
  f.file_number = NUMBER;
  memcpy(f.store_id, store_id, sizeof store_id);
  f.keyspace = lsm_get_u32(p + end + 16 * LSM_SST_PARTS + LSM_STORE_ID_SIZE + 8);
  lsm_sst_footer_put(p + end, &f);
  for (int i = 0; i < LSM_SST_PARTS; i++) {
    sealed = seal(p, f.parts[i].off, f.parts[i].size, end) && sealed;
  }
  if (sealed) seal_by_index(p, &f);
}

/*---------------------------------------------------------------- checking */

/* The entries of a walk forward. */
typedef struct item {
  uint8_t *key, *value;
  size_t size, vsize;
  lsm_kind kind;
} item;

typedef struct items {
  item *at;
  size_t count, cap;
  bool rising;
} items;

static lsm_slice key_of(const item *i) {
  return lsm_slice_of(i->key, i->size);
}

static bool is_at(const lsm_iter *it, const items *all, size_t i) {
  if (i >= all->count) return !it->valid;
  const item *x = &all->at[i];
  return it->valid && it->kind == x->kind && lsm_slice_eq(it->key, key_of(x)) &&
         lsm_slice_eq(it->value, lsm_slice_of(x->value, x->vsize));
}

static lsm_rc collect(lsm_iter *it, items *all) {
  memset(all, 0, sizeof *all);
  all->rising = true;
  lsm_rc rc = it->ops->first(it);
  for (; rc == LSM_OK && it->valid; rc = it->ops->next(it)) {
    if (all->count == all->cap) {
      all->cap = all->cap == 0 ? 16 : 2 * all->cap;
      all->at = realloc(all->at, all->cap * sizeof *all->at);
      FUZZ_CHECK(all->at != NULL);
    }
    item *i = &all->at[all->count];
    i->kind = (lsm_kind)it->kind;
    i->key = fuzz_copy(it->key);
    i->size = it->key.size;
    i->value = fuzz_copy(it->value);
    i->vsize = it->value.size;
    if (all->count > 0 && lsm_slice_cmp(key_of(i - 1), key_of(i)) >= 0) all->rising = false;
    all->count++;
  }
  return rc;
}

static void items_fini(items *all) {
  for (size_t i = 0; i < all->count; i++) {
    free(all->at[i].key);
    free(all->at[i].value);
  }
  free(all->at);
}

static lsm_rc look_up(lsm_sst *sst, lsm_cache *cache, lsm_slice key, const item *want) {
  lsm_kind kind;
  lsm_slice value;
  lsm_block *pin;
  lsm_rc rc = lsm_sst_get(sst, key, lsm_hash64(key, 0), &kind, &value, &pin);
  FUZZ_CHECK(rc == LSM_OK || rc == LSM_NOTFOUND || rc == LSM_CORRUPT);
  if (want != NULL) {
    FUZZ_CHECK(rc == LSM_OK && kind == want->kind);
    FUZZ_CHECK(lsm_slice_eq(value, lsm_slice_of(want->value, want->vsize)));
  }
  lsm_block_unpin(cache, pin);
  return rc;
}

/* All is well with the table, or so lsm_sst_verify() says. */
static void check_sound(lsm_sst *sst, lsm_cache *cache, lsm_iter *it, const items *all) {
  FUZZ_CHECK(all->rising && all->count == lsm_sst_get_props(sst)->entries);
  FUZZ_OK(it->ops->last(it));
  for (size_t i = all->count; i-- > 0;) {
    FUZZ_CHECK(is_at(it, all, i));
    FUZZ_OK(it->ops->prev(it));
  }
  FUZZ_CHECK(!it->valid);
  for (size_t i = 0; i < all->count; i++) {
    lsm_slice key = key_of(&all->at[i]);
    double share = lsm_sst_position(sst, key);
    FUZZ_CHECK(share >= 0 && share <= 1);
    FUZZ_OK(look_up(sst, cache, key, &all->at[i]));
    FUZZ_OK(it->ops->seek_ge(it, key));
    FUZZ_CHECK(is_at(it, all, i));
    FUZZ_OK(it->ops->seek_le(it, key));
    FUZZ_CHECK(is_at(it, all, i));
    if (key.size < 2) continue;
    key.size--; /* before it, if it is not another entry itself */
    FUZZ_OK(it->ops->seek_ge(it, key));
    FUZZ_CHECK(it->valid && lsm_slice_cmp(it->key, key) >= 0);
    FUZZ_OK(it->ops->seek_le(it, key));
    FUZZ_CHECK(!it->valid || lsm_slice_cmp(it->key, key) <= 0);
  }
}

/* Moves on a table that has a fault somewhere: they end, well or not. */
static void use(lsm_sst *sst, lsm_cache *cache, lsm_iter *it, const items *all) {
  for (size_t i = 0; i < all->count && i < 30; i++) {
    lsm_slice key = key_of(&all->at[i]);
    (void)look_up(sst, cache, key, NULL);
    (void)lsm_sst_position(sst, key);
    lsm_rc rc = i % 2 == 0 ? it->ops->seek_ge(it, key) : it->ops->seek_le(it, key);
    for (int n = 0; rc == LSM_OK && it->valid && n < 5; n++) {
      rc = i % 3 == 0 ? it->ops->prev(it) : it->ops->next(it);
    }
    FUZZ_CHECK(rc == LSM_OK || !it->valid);
  }
  lsm_rc rc = it->ops->last(it);
  for (size_t n = 0; rc == LSM_OK && it->valid && n < 2 * all->count + 10; n++) {
    rc = it->ops->prev(it);
  }
}

static void check_ranges(const lsm_sst *sst) {
  const lsm_rangeset *set = lsm_sst_ranges(sst);
  for (size_t i = 0; i < set->count; i++) {
    const lsm_range *r = &set->items[i];
    FUZZ_CHECK(lsm_slice_cmp(r->lo, r->hi) < 0);
    if (i > 0) FUZZ_CHECK(lsm_slice_cmp(r[-1].hi, r->lo) < 0);
    FUZZ_CHECK(lsm_rangeset_find(set, r->lo) == r);
  }
}

static void check_table(lsm_sst *sst, lsm_cache *cache) {
  items all;
  lsm_iter *it;
  lsm_rc verdict = lsm_sst_verify(sst, NULL);
  FUZZ_CHECK(verdict == LSM_OK || verdict == LSM_CORRUPT);
  check_ranges(sst);
  for (int fill = 0; fill < 2; fill++) {
    FUZZ_OK(lsm_sst_iter(sst, fill != 0, &it));
    lsm_rc rc = collect(it, &all);
    FUZZ_CHECK(rc == LSM_OK || (rc == LSM_CORRUPT && !it->valid));
    FUZZ_CHECK(verdict != LSM_OK || rc == LSM_OK);
    if (verdict == LSM_OK) {
      check_sound(sst, cache, it, &all);
    } else {
      use(sst, cache, it, &all);
    }
    items_fini(&all);
    lsm_iter_free(it);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_in in = fuzz_in_of(data, size);
  uint8_t what = fuzz_u8(&in);
  lsm_slice file = fuzz_take(&in, SIZE_MAX);
  uint8_t *bytes = fuzz_copy(file);
  lsm_cache *cache;
  lsm_cache_stats stats;
  lsm_sst *sst;
  if (env == NULL) FUZZ_OK(lsm_env_mem_new(&env));
  if ((what & FUZZ_REPAIR) != 0) repair(bytes, file.size, (what & LAY_OUT) != 0);
  fuzz_write_file(env, PATH, lsm_slice_of(bytes, file.size));
  FUZZ_OK(lsm_cache_new(64 << 10, &cache));
  lsm_rc rc = lsm_sst_open(env, PATH, store_id, NUMBER, file.size, cache, NULL, &sst);
  FUZZ_CHECK(rc == LSM_OK || (rc == LSM_CORRUPT && sst == NULL));
  if (rc == LSM_OK) check_table(sst, cache);
  lsm_sst_close(sst);
  lsm_cache_evict_file(cache, NUMBER);
  lsm_cache_get_stats(cache, &stats);
  FUZZ_CHECK(stats.bytes == 0);
  lsm_cache_free(cache);
  free(bytes);
  return 0;
}

/*------------------------------------------------------------------- seeds */

static void add_table(fuzz_add *add, void *arg, int entries, bool ranges, bool zip, uint32_t bloom,
                      bool expires) {
  lsm_sst_options opt = {64,       bloom,    zip ? LSM_COMPRESS_ZLIB : LSM_COMPRESS_NONE,
                         KEYSPACE, store_id, NUMBER, expires};
  lsm_sst_writer *w;
  lsm_sst_props props = {0};
  lsm_buf file = {0};
  FUZZ_OK(lsm_sst_writer_new(env, PATH, &opt, &w));
  for (int i = 0; i < entries; i++) {
    char key[40], value[40];
    int n = snprintf(key, sizeof key, "\5key%03d%s", i, i % 3 == 0 ? "xy" : "");
    int v = snprintf(value, sizeof value, "value value %d", i % 4);
    bool gone = i % 5 == 2;
    FUZZ_OK(lsm_sst_writer_add(w, gone ? LSM_KIND_DELETE : LSM_KIND_PUT,
                               lsm_slice_of(key, (size_t)n),
                               lsm_slice_of(value, gone ? 0 : (size_t)v)));
  }
  if (ranges) {
    FUZZ_OK(lsm_sst_writer_add_range(w, lsm_slice_str("\5a"), lsm_slice_str("\5c")));
    FUZZ_OK(lsm_sst_writer_add_range(w, lsm_slice_str("\5key0"), lsm_slice_str("\6")));
  }
  FUZZ_OK(lsm_sst_writer_finish(w, &props));
  lsm_sst_writer_free(w);
  FUZZ_OK(lsm_env_read_file(env, PATH, &file));
  for (uint8_t what = 0; what < 4; what++) fuzz_add_with(add, arg, what, lsm_buf_slice(&file));
  lsm_buf_fini(&file);
  lsm_sst_props_fini(&props);
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  if (env == NULL) FUZZ_OK(lsm_env_mem_new(&env));
  add_table(add, arg, 1, false, false, 10, false);
  add_table(add, arg, 0, true, false, 0, false);
  add_table(add, arg, 12, true, false, 10, false);
  add_table(add, arg, 8, false, false, 0, false);
  add_table(add, arg, 40, false, true, 0, false);
  add_table(add, arg, 9, true, false, 0, true);
}
