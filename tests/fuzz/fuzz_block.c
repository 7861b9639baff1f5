/* fuzz_block.c: blocks of an SSTable, by iterator and by lookup.
** Input: klen:u8, a key of that size, the block.
** Holds: a walk forward that ends well gives the same entries as one backward;
**        when their keys rise, seeks and lookups agree with a search in
**        them, and a block built from them has them too. */
#include "block.h"
#include "fuzz.h"

typedef struct item {
  lsm_kind kind;
  uint8_t *key;
  size_t size;
  lsm_slice value; /* in the block */
} item;

typedef struct items {
  item *at;
  size_t count;
  bool rising;
} items;

static lsm_slice key_of(const item *i) {
  return lsm_slice_of(i->key, i->size);
}

static bool is_at(const lsm_block_iter *it, const items *all, size_t i) {
  if (i >= all->count) return !it->base.valid;
  return it->base.valid && it->base.kind == all->at[i].kind &&
         lsm_slice_eq(it->base.key, key_of(&all->at[i])) &&
         lsm_slice_eq(it->base.value, all->at[i].value);
}

/* Collects the entries of a walk forward. */
static lsm_rc collect(lsm_block_iter *it, items *all) {
  size_t cap = it->block.size / 3 + 1;
  memset(all, 0, sizeof *all);
  all->at = malloc(cap * sizeof *all->at);
  FUZZ_CHECK(all->at != NULL);
  all->rising = true;
  lsm_rc rc = lsm_block_iter_first(it);
  for (; rc == LSM_OK && it->base.valid; rc = lsm_block_iter_next(it)) {
    FUZZ_CHECK(all->count < cap);
    item *i = &all->at[all->count];
    i->kind = (lsm_kind)it->base.kind;
    i->key = fuzz_copy(it->base.key);
    i->size = it->base.key.size;
    i->value = it->base.value;
    FUZZ_CHECK(i->kind != LSM_KIND_DELETE || i->value.size == 0);
    if (all->count > 0 && lsm_slice_cmp(key_of(i - 1), key_of(i)) >= 0) all->rising = false;
    all->count++;
  }
  return rc;
}

static void items_fini(items *all) {
  for (size_t i = 0; i < all->count; i++) free(all->at[i].key);
  free(all->at);
}

static void check_backward(lsm_block_iter *it, const items *all) {
  FUZZ_OK(lsm_block_iter_last(it));
  for (size_t i = all->count; i-- > 0;) {
    FUZZ_CHECK(is_at(it, all, i));
    FUZZ_OK(lsm_block_iter_prev(it));
  }
  FUZZ_CHECK(!it->base.valid);
}

/* KEYS are rising: seek and look up where TARGET is or would be. */
static void check_search(lsm_block_iter *it, const items *all, lsm_slice target) {
  lsm_kind kind;
  lsm_slice value;
  size_t ge = 0;
  while (ge < all->count && lsm_slice_cmp(key_of(&all->at[ge]), target) < 0) ge++;
  bool here = ge < all->count && lsm_slice_eq(key_of(&all->at[ge]), target);
  FUZZ_OK(lsm_block_iter_seek_ge(it, target));
  FUZZ_CHECK(is_at(it, all, ge));
  FUZZ_OK(lsm_block_iter_seek_le(it, target));
  FUZZ_CHECK(is_at(it, all, here ? ge : ge == 0 ? all->count : ge - 1));
  lsm_rc rc = lsm_block_get(it->block, NULL, target, "block", 0, &kind, &value);
  FUZZ_CHECK(rc == (here ? LSM_OK : LSM_NOTFOUND));
  if (here) FUZZ_CHECK(kind == all->at[ge].kind && lsm_slice_eq(value, all->at[ge].value));
}

/* Builds a block from rising entries and reads it. */
static void check_builder(const items *all) {
  lsm_block_builder b = {0};
  lsm_block_iter it = {0};
  lsm_slice block;
  items again;
  for (size_t i = 0; i < all->count; i++) {
    const item *x = &all->at[i];
    FUZZ_OK(lsm_block_builder_add(&b, x->kind, key_of(x), x->value));
  }
  size_t size = lsm_block_builder_size(&b);
  FUZZ_OK(lsm_block_builder_finish(&b, &block));
  FUZZ_CHECK(block.size == size);
  FUZZ_OK(lsm_block_iter_init(&it, block, "block", 0));
  FUZZ_OK(collect(&it, &again));
  FUZZ_CHECK(again.count == all->count);
  FUZZ_OK(lsm_block_iter_first(&it));
  for (size_t i = 0; i < all->count; i++) {
    FUZZ_CHECK(is_at(&it, all, i));
    FUZZ_OK(lsm_block_iter_next(&it));
  }
  check_backward(&it, &again);
  items_fini(&again);
  lsm_block_iter_fini(&it);
  lsm_block_builder_fini(&b);
}

/* A block that is not sound: moves may fail, and no more than that. */
static void use(lsm_block_iter *it, lsm_slice target) {
  lsm_kind kind;
  lsm_slice value;
  lsm_rc rc = lsm_block_get(it->block, NULL, target, "block", 0, &kind, &value);
  FUZZ_CHECK(rc == LSM_OK || rc == LSM_NOTFOUND || rc == LSM_CORRUPT);
  for (int way = 0; way < 4; way++) {
    rc = way == 0   ? lsm_block_iter_seek_ge(it, target)
         : way == 1 ? lsm_block_iter_seek_le(it, target)
         : way == 2 ? lsm_block_iter_last(it)
                    : lsm_block_iter_first(it);
    for (size_t i = 0; rc == LSM_OK && it->base.valid && i < 40; i++) {
      rc = way % 2 == 0 || i % 5 == 0 ? lsm_block_iter_prev(it) : lsm_block_iter_next(it);
    }
    FUZZ_CHECK(rc == LSM_OK || (rc == LSM_CORRUPT && !it->base.valid));
  }
}

static void run(lsm_slice block, lsm_slice target) {
  lsm_block_iter it = {0};
  items all;
  lsm_rc rc = lsm_block_iter_init(&it, block, "block", 0);
  if (rc != LSM_OK) {
    lsm_kind kind;
    lsm_slice value;
    FUZZ_CHECK(rc == LSM_CORRUPT);
    FUZZ_CHECK(lsm_block_get(block, NULL, target, "block", 0, &kind, &value) == LSM_CORRUPT);
    lsm_block_iter_fini(&it);
    return;
  }
  rc = collect(&it, &all);
  FUZZ_CHECK(rc == LSM_OK || (rc == LSM_CORRUPT && !it.base.valid));
  if (rc == LSM_OK) check_backward(&it, &all);
  if (rc == LSM_OK && all.rising) {
    check_search(&it, &all, target);
    for (size_t i = 0; i < all.count && i < 50; i++) check_search(&it, &all, key_of(&all.at[i]));
    check_builder(&all);
  } else {
    use(&it, target);
    for (size_t i = 0; i < all.count && i < 10; i++) use(&it, key_of(&all.at[i]));
  }
  items_fini(&all);
  lsm_block_iter_fini(&it);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_in in = fuzz_in_of(data, size);
  lsm_slice key = fuzz_take(&in, fuzz_u8(&in));
  lsm_slice block = fuzz_take(&in, SIZE_MAX);
  uint8_t *key_copy = fuzz_copy(key), *block_copy = fuzz_copy(block);
  run(lsm_slice_of(block_copy, block.size), lsm_slice_of(key_copy, key.size));
  free(key_copy);
  free(block_copy);
  return 0;
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  static const int counts[] = {0, 1, 3, 16, 17, 40};
  for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
    lsm_block_builder b = {0};
    lsm_slice block;
    for (int i = 0; i < counts[c]; i++) {
      char key[64];
      int n = snprintf(key, sizeof key, "\1key%04d%s", i * 3, i % 3 == 0 ? "-longer" : "");
      bool gone = i % 4 == 1;
      FUZZ_OK(lsm_block_builder_add(&b, gone ? LSM_KIND_DELETE : LSM_KIND_PUT,
                                    lsm_slice_of(key, (size_t)n),
                                    lsm_slice_of("valuevalue", gone ? 0 : (size_t)(i % 10))));
    }
    FUZZ_OK(lsm_block_builder_finish(&b, &block));
    uint8_t buf[4000] = {5, 1, 'k', 'e', 'y', '0'};
    FUZZ_CHECK(block.size + 6 <= sizeof buf);
    memcpy(buf + 6, block.data, block.size);
    add(arg, buf, block.size + 6);
    lsm_block_builder_fini(&b);
  }
}
