/* sst_verify.c: reads a whole SSTable anew and checks all that is claimed.
**
** The parts are loaded a second time, since the ones in memory were good when
** the table was opened; then each block in order:
**   the stored block has its checksum and decompresses
**   keys rise, in and across blocks, and are the keyspace's own
**   last separator < keys of the block <= its own separator
**   the filter says maybe to each key
**   the block has as many entries as the index says
** and in the end counts and bounds are what the properties say. */
#include "bloom.h"
#include "sst_impl.h"

/* What is found, to be compared with the properties. */
typedef struct tally {
  uint64_t entries, tombstones, raw_bytes;
  lsm_expiry_tally expiry;
  lsm_buf first, last; /* key; last is the one before the current */
} tally;

static bool has_prefix(lsm_slice key, lsm_slice prefix) {
  return key.size >= prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0;
}

/* -1, 0, 1: key against the separator of block i. */
static int cmp_separator(const lsm_sst *s, lsm_slice key, size_t i) {
  size_t n = s->common.size;
  if (key.size < n) return lsm_slice_cmp(key, s->common); /* never equal */
  lsm_slice head = lsm_slice_of(key.data, n);
  int c = lsm_slice_cmp(head, s->common);
  if (c != 0) return c;
  return lsm_slice_cmp(lsm_slice_of(key.data + n, key.size - n),
                       lsm_slice_of(s->refs[i].key, s->refs[i].key_size));
}

/* Checks the entry that it stands on, of block i. */
static lsm_rc check_entry(const lsm_sst *s, const lsm_iter *it, size_t i, lsm_slice prefix,
                          tally *t) {
  const char *wrong = NULL;
  lsm_slice key = it->key;
  if (!has_prefix(key, prefix)) {
    wrong = "key of another keyspace";
  } else if (key.size > LSM_KEY_MAX || it->value.size > LSM_VALUE_MAX) {
    wrong = "key or value too long";
  } else if (s->props.expiry.first != 0 && it->kind == LSM_KIND_PUT &&
             it->value.size < LSM_UNTIL_SIZE) {
    wrong = "a value without the time when it expires";
  } else if (t->entries > 0 && lsm_slice_cmp(lsm_buf_slice(&t->last), key) >= 0) {
    wrong = "keys out of order";
  } else if (cmp_separator(s, key, i) > 0 || (i > 0 && cmp_separator(s, key, i - 1) <= 0)) {
    wrong = "key outside of the bounds that the index gives its block";
  } else if (!lsm_bloom_may_contain(s->filter, lsm_hash64(key, 0))) {
    wrong = "bloom filter denies a key";
  }
  if (wrong != NULL) return lsm_corrupt(s->path, s->refs[i].off, wrong);
  lsm_rc rc = t->entries == 0 ? lsm_buf_set(&t->first, key) : LSM_OK;
  if (rc == LSM_OK) rc = lsm_buf_set(&t->last, key);
  if (rc == LSM_OK && it->kind == LSM_KIND_PUT && s->props.expiry.first != 0) {
    rc = lsm_expiry_note(&t->expiry, it->value);
  }
  t->entries++;
  t->tombstones += it->kind == LSM_KIND_DELETE;
  t->raw_bytes += key.size + it->value.size;
  return rc;
}

static lsm_rc check_block(const lsm_sst *s, size_t i, lsm_sst_window *win, lsm_buf *raw,
                          lsm_block_iter *it, lsm_slice prefix, tally *t) {
  enum { AHEAD = 256 << 10 };
  uint64_t off = s->refs[i].off, before = t->entries;
  size_t size = (size_t)lsm_sst_body_size(s, i), raw_size;
  const uint8_t *p;
  uint8_t type;
  lsm_rc rc = lsm_sst_window_get(win, s, i, AHEAD, false, &p);
  if (rc == LSM_OK) rc = lsm_sst_check(s, off, p, size, &type, &raw_size);
  if (rc != LSM_OK) return rc;
  lsm_slice block = lsm_slice_of(p, size);
  if (type != LSM_SST_RAW) {
    lsm_buf_clear(raw);
    rc = lsm_buf_reserve(raw, raw_size);
    if (rc == LSM_OK) rc = lsm_sst_unpack(s, off, block, type, raw->data, raw_size);
    block = lsm_slice_of(raw->data, raw_size);
  }
  if (rc == LSM_OK) rc = lsm_block_iter_init(it, block, s->path, off);
  if (rc == LSM_OK) rc = lsm_block_iter_first(it);
  while (rc == LSM_OK && it->base.valid) {
    rc = check_entry(s, &it->base, i, prefix, t);
    if (rc == LSM_OK) rc = lsm_block_iter_next(it);
  }
  if (rc == LSM_OK && t->entries - before != s->refs[i].entries)
    rc = lsm_corrupt(s->path, off, "block has not the entries that the index says");
  return rc;
}

/* Range tombstones begin in the keyspace and end in it or where it ends. */
static bool ranges_in_keyspace(const lsm_sst *s, lsm_slice prefix) {
  uint8_t next[LSM_PREFIX_MAX];
  lsm_slice end = lsm_slice_of(next, lsm_prefix_put(next, s->keyspace + 1));
  for (size_t i = 0; i < s->ranges.count; i++) {
    const lsm_range *r = &s->ranges.items[i];
    if (!has_prefix(r->lo, prefix) || lsm_slice_cmp(r->hi, end) > 0) return false;
  }
  return true;
}

static bool same_expiry(const lsm_expiry *a, const lsm_expiry *b) {
  return a->first == b->first && a->half == b->half && a->last == b->last;
}

static lsm_rc check_props(const lsm_sst *s, tally *t) {
  const lsm_sst_props *p = &s->props;
  const char *wrong = NULL;
  if (p->expiry.first != 0) {
    lsm_expiry found = lsm_expiry_sum(&t->expiry);
    if (!same_expiry(&p->expiry, &found)) wrong = "values expire at other times than it says";
  }
  if (p->entries != t->entries || p->tombstones != t->tombstones || p->raw_bytes != t->raw_bytes)
    wrong = "counts are not what the properties say";

  lsm_slice smallest = lsm_buf_slice(&t->first), largest = lsm_buf_slice(&t->last);
  bool open = false;
  if (s->ranges.count > 0) {
    lsm_slice lo = s->ranges.items[0].lo, hi = s->ranges.items[s->ranges.count - 1].hi;
    if (t->entries == 0 || lsm_slice_cmp(lo, smallest) < 0) smallest = lo;
    open = t->entries == 0 || lsm_slice_cmp(hi, largest) > 0;
    if (open) largest = hi;
  }
  if (!lsm_slice_eq(smallest, lsm_buf_slice(&p->smallest)) ||
      !lsm_slice_eq(largest, lsm_buf_slice(&p->largest)) || open != p->largest_open)
    wrong = "bounds are not what the properties say";
  return wrong == NULL ? LSM_OK : lsm_corrupt(s->path, s->data_end, wrong);
}

lsm_rc lsm_sst_verify(lsm_sst *sst, const lsm_interrupt *intr) {
  lsm_sst s = {.file = sst->file, .path = sst->path, .number = sst->number, .cache = sst->cache};
  memcpy(s.store_id, sst->store_id, LSM_STORE_ID_SIZE);
  s.props.size = sst->props.size;
  lsm_sst_window win = {0};
  lsm_buf raw = {0};
  lsm_block_iter it = {0};
  tally t = {0};
  uint8_t bytes[LSM_PREFIX_MAX];

  lsm_rc rc = lsm_sst_load(&s);
  lsm_slice prefix = lsm_slice_of(bytes, lsm_prefix_put(bytes, s.keyspace));
  for (size_t i = 0; rc == LSM_OK && i < s.nblocks; i++) {
    if (intr != NULL && intr->fn != NULL && intr->fn(intr->arg)) {
      rc = lsm_fail(LSM_INTERRUPT, "interrupted");
    } else {
      rc = check_block(&s, i, &win, &raw, &it, prefix, &t);
    }
  }
  if (rc == LSM_OK && !ranges_in_keyspace(&s, prefix))
    rc = lsm_corrupt(s.path, s.data_end, "range tombstone of another keyspace");
  if (rc == LSM_OK) rc = check_props(&s, &t);

  lsm_sst_unload(&s);
  lsm_block_iter_fini(&it);
  lsm_buf_fini(&win.bytes);
  lsm_buf_fini(&raw);
  lsm_expiry_tally_fini(&t.expiry);
  lsm_buf_fini(&t.first);
  lsm_buf_fini(&t.last);
  return rc;
}
