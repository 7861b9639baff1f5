/* sst_iter.c: walks over the points of an SSTable.
**
** Owns:   a pin on the current block, or, past the cache, the bytes of it; the
**         window of the file that is read ahead.
** Holds:  the block iterator is the base, so that what it stands on is what
**         the whole stands on: nothing is copied a step. While loaded, it is
**         over block `at`; a move that ends outside leaves it invalid.
** Locks:  none; an iterator belongs to one thread. */
#include "compress.h"
#include "sst_impl.h"

enum {
  AHEAD = 256 << 10, /* bytes a read */
  RUN_MIN = 3        /* blocks in sequence before scans through the cache read ahead */
};

typedef struct sst_iter {
  lsm_block_iter b; /* first: begins with the lsm_iter */
  lsm_sst *sst;
  bool fill_cache;
  bool loaded;
  size_t at;
  lsm_block *pin; /* with fill_cache, unless the cache was to be spared */
  lsm_buf raw;    /* without a pin: block `at`, when it was compressed */
  lsm_sst_window window;
  size_t last; /* with fill_cache: the block before */
  size_t run;  /* how many in sequence led there, */
  bool back;   /* downward */
} sst_iter;

static sst_iter *self(lsm_iter *it) {
  return (sst_iter *)it;
}

/*-------------------------------------------------------------- the blocks */

/* Past the cache; AHEAD bytes at a time. */
static lsm_rc load_private(sst_iter *it, size_t i, size_t ahead, bool back, lsm_slice *block) {
  lsm_sst *s = it->sst;
  uint64_t off = s->refs[i].off;
  size_t size = (size_t)lsm_sst_body_size(s, i), raw_size;
  const uint8_t *p;
  uint8_t type;
  lsm_rc rc = lsm_sst_window_get(&it->window, s, i, ahead, back, &p);
  if (rc == LSM_OK) rc = lsm_sst_check(s, off, p, size, &type, &raw_size);
  if (rc != LSM_OK) return rc;
  *block = lsm_slice_of(p, size);
  if (type == LSM_SST_RAW) return LSM_OK;
  lsm_buf_clear(&it->raw);
  rc = lsm_buf_reserve(&it->raw, raw_size);
  if (rc == LSM_OK) rc = lsm_sst_unpack(s, off, *block, type, it->raw.data, raw_size);
  if (rc != LSM_OK) return rc;
  it->raw.size = raw_size;
  *block = lsm_buf_slice(&it->raw);
  return LSM_OK;
}

/* How many blocks in sequence, up or down, lead to i, which comes next. */
static void count_run(sst_iter *it, size_t i) {
  bool back = i + 1 == it->last;
  if (i == it->last + 1 || back) {
    it->run = back == it->back ? it->run + 1 : 1;
    it->back = back;
  } else if (i != it->last) {
    it->run = 0;
  }
  it->last = i;
}

/* Through the cache. A scan that goes on reads ahead what is not in it, more and
** more, and mostly without putting it there when it is full. */
static lsm_rc load_cached(sst_iter *it, size_t i, lsm_slice *block) {
  lsm_sst *s = it->sst;
  lsm_rc rc = LSM_OK;
  count_run(it, i);
  it->pin = lsm_cache_get(s->cache, s->number, s->refs[i].off);
  if (it->pin == NULL && it->run >= RUN_MIN) {
    size_t ahead = it->run < 4 * RUN_MIN ? AHEAD / 8 : AHEAD;
    const uint8_t *p;
    if (lsm_cache_spares(s->cache, s->number, s->refs[i].off, (size_t)lsm_sst_body_size(s, i))) {
      return load_private(it, i, ahead, it->back, block);
    }
    rc = lsm_sst_window_get(&it->window, s, i, ahead, it->back, &p);
  }
  if (rc == LSM_OK && it->pin == NULL) rc = lsm_sst_fetch(s, i, &it->window, &it->pin);
  if (rc == LSM_OK) *block = lsm_slice_of(it->pin->data, it->pin->size);
  return rc;
}

/* Makes i the current block, unpositioned. */
static lsm_rc load(sst_iter *it, size_t i) {
  it->b.base.valid = false;
  if (it->loaded && it->at == i) return LSM_OK;
  it->loaded = false;
  lsm_block_unpin(it->sst->cache, it->pin);
  it->pin = NULL;
  lsm_slice block;
  lsm_rc rc = it->fill_cache ? load_cached(it, i, &block)
                            : load_private(it, i, AHEAD, i < it->at, &block);
  if (rc == LSM_OK) rc = lsm_block_iter_init(&it->b, block, it->sst->path, it->sst->refs[i].off);
  it->at = i;
  it->loaded = rc == LSM_OK;
  return rc;
}

/* From block i on, to the first entry. */
static lsm_rc first_from(sst_iter *it, size_t i) {
  lsm_rc rc = LSM_OK;
  it->b.base.valid = false;
  for (; rc == LSM_OK && !it->b.base.valid && i < it->sst->nblocks; i++) {
    rc = load(it, i);
    if (rc == LSM_OK) rc = lsm_block_iter_first(&it->b);
  }
  return rc;
}

/* From block i - 1 back, to the last entry. */
static lsm_rc last_before(sst_iter *it, size_t i) {
  lsm_rc rc = LSM_OK;
  it->b.base.valid = false;
  while (rc == LSM_OK && !it->b.base.valid && i > 0) {
    rc = load(it, --i);
    if (rc == LSM_OK) rc = lsm_block_iter_last(&it->b);
  }
  return rc;
}

/*--------------------------------------------------------------- the moves */

static lsm_rc iter_first(lsm_iter *base) {
  return first_from(self(base), 0);
}

static lsm_rc iter_last(lsm_iter *base) {
  sst_iter *it = self(base);
  return last_before(it, it->sst->nblocks);
}

static lsm_rc iter_seek_ge(lsm_iter *base, lsm_slice key) {
  sst_iter *it = self(base);
  size_t i = lsm_sst_find(it->sst, key);
  base->valid = false;
  if (i == it->sst->nblocks) return LSM_OK;
  lsm_rc rc = load(it, i);
  if (rc == LSM_OK) rc = lsm_block_iter_seek_ge(&it->b, key);
  if (rc == LSM_OK && !base->valid) rc = first_from(it, i + 1);
  return rc;
}

static lsm_rc iter_seek_le(lsm_iter *base, lsm_slice key) {
  sst_iter *it = self(base);
  size_t i = lsm_sst_find(it->sst, key);
  if (i == it->sst->nblocks) return last_before(it, i);
  lsm_rc rc = load(it, i);
  if (rc == LSM_OK) rc = lsm_block_iter_seek_le(&it->b, key);
  if (rc == LSM_OK && !base->valid) rc = last_before(it, i);
  return rc;
}

static lsm_rc iter_next(lsm_iter *base) {
  sst_iter *it = self(base);
  lsm_rc rc = lsm_block_iter_next(&it->b);
  if (LSM_LIKELY(base->valid) || rc != LSM_OK) return rc;
  return first_from(it, it->at + 1);
}

static lsm_rc iter_prev(lsm_iter *base) {
  sst_iter *it = self(base);
  lsm_rc rc = lsm_block_iter_prev(&it->b);
  if (LSM_LIKELY(base->valid) || rc != LSM_OK) return rc;
  return last_before(it, it->at);
}

static void iter_free(lsm_iter *base) {
  sst_iter *it = self(base);
  lsm_block_unpin(it->sst->cache, it->pin);
  lsm_block_iter_fini(&it->b);
  lsm_buf_fini(&it->raw);
  lsm_buf_fini(&it->window.bytes);
  lsm_free(it);
}

static const lsm_iter_ops ops = {iter_first, iter_last, iter_seek_ge, iter_seek_le,
                                 iter_next,  iter_prev, iter_free};

lsm_rc lsm_sst_iter(lsm_sst *sst, bool fill_cache, lsm_iter **it) {
  *it = NULL;
  sst_iter *p = lsm_calloc(sizeof *p);
  if (p == NULL) return lsm_nomem();
  p->b.base.ops = &ops;
  p->sst = sst;
  p->fill_cache = fill_cache;
  p->last = SIZE_MAX - 1; /* no block follows it */
  *it = &p->b.base;
  return LSM_OK;
}
