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
#include "sst_iter.h"

enum {
  AHEAD = 256 << 10, /* bytes a read */
  RUN_MIN = 3        /* blocks in sequence before scans through the cache read ahead */
};

enum { KEEP_BYTES = 4096 }; /* of each buffer, from one table to the next */

/*-------------------------------------------------------------- the blocks */

/* Past the cache; AHEAD bytes at a time. */
static lsm_rc load_private(lsm_sst_walk *it, size_t i, size_t ahead, bool back, lsm_slice *block) {
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
static void count_run(lsm_sst_walk *it, size_t i) {
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
static lsm_rc load_cached(lsm_sst_walk *it, size_t i, lsm_slice *block) {
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
static lsm_rc load(lsm_sst_walk *it, size_t i) {
  it->b.base.valid = false;
  if (it->loaded && it->at == i) return LSM_OK;
  it->loaded = false;
  lsm_block_unpin(it->sst->cache, it->pin);
  it->pin = NULL;
  lsm_slice block;
  lsm_rc rc = it->fill_cache ? load_cached(it, i, &block)
                            : load_private(it, i, AHEAD, i < it->at, &block);
  const lsm_block_index *index = it->pin != NULL ? lsm_block_hint(it->pin) : NULL;
  if (rc == LSM_OK) {
    rc = lsm_block_iter_init_indexed(&it->b, block, index, it->sst->path, it->sst->refs[i].off);
  }
  it->at = i;
  it->loaded = rc == LSM_OK;
  return rc;
}

/* From block i on, to the first entry. */
static lsm_rc first_from(lsm_sst_walk *it, size_t i) {
  lsm_rc rc = LSM_OK;
  it->b.base.valid = false;
  for (; rc == LSM_OK && !it->b.base.valid && i < it->sst->nblocks; i++) {
    rc = load(it, i);
    if (rc == LSM_OK) rc = lsm_block_iter_first(&it->b);
  }
  return rc;
}

/* From block i - 1 back, to the last entry. */
static lsm_rc last_before(lsm_sst_walk *it, size_t i) {
  lsm_rc rc = LSM_OK;
  it->b.base.valid = false;
  while (rc == LSM_OK && !it->b.base.valid && i > 0) {
    rc = load(it, --i);
    if (rc == LSM_OK) rc = lsm_block_iter_last(&it->b);
  }
  return rc;
}

/*--------------------------------------------------------------- the moves */

lsm_rc lsm_sst_walk_first(lsm_sst_walk *w) {
  return first_from(w, 0);
}

lsm_rc lsm_sst_walk_last(lsm_sst_walk *w) {
  return last_before(w, w->sst->nblocks);
}

lsm_rc lsm_sst_walk_seek_ge(lsm_sst_walk *w, lsm_slice key) {
  size_t i = lsm_sst_find(w->sst, key);
  w->b.base.valid = false;
  if (i == w->sst->nblocks) return LSM_OK;
  lsm_rc rc = load(w, i);
  if (rc == LSM_OK) rc = lsm_block_iter_seek_ge(&w->b, key);
  if (rc == LSM_OK && !w->b.base.valid) rc = first_from(w, i + 1);
  return rc;
}

lsm_rc lsm_sst_walk_seek_le(lsm_sst_walk *w, lsm_slice key) {
  size_t i = lsm_sst_find(w->sst, key);
  if (i == w->sst->nblocks) return last_before(w, i);
  lsm_rc rc = load(w, i);
  if (rc == LSM_OK) rc = lsm_block_iter_seek_le(&w->b, key);
  if (rc == LSM_OK && !w->b.base.valid) rc = last_before(w, i);
  return rc;
}

lsm_rc lsm_sst_walk_next_block(lsm_sst_walk *w) {
  return first_from(w, w->at + 1);
}

lsm_rc lsm_sst_walk_prev_block(lsm_sst_walk *w) {
  return last_before(w, w->at);
}

/* It is asked at the beginning of a block: who wants a row of each, and no more, must not
** have all that follow counted each time. */
#define AHEAD_BLOCKS 256

uint64_t lsm_sst_walk_ahead(const lsm_sst_walk *w, lsm_slice bound) {
  const lsm_sst *s = w->sst;
  if (w->b.off != 0 || s->props.tombstones > 0) return 0;
  size_t end = bound.data != NULL ? lsm_sst_find(s, bound) : s->nblocks;
  uint64_t n = 0;
  if (end > w->at + AHEAD_BLOCKS) end = w->at + AHEAD_BLOCKS;
  for (size_t i = w->at; i < end; i++) n += s->refs[i].entries;
  return n > 0 ? n - 1 : 0;
}

lsm_rc lsm_sst_walk_pass(lsm_sst_walk *w, uint64_t n) {
  const lsm_sst *s = w->sst;
  lsm_rc rc = LSM_OK;
  size_t i = w->at;
  if (w->b.off == 0) {
    for (; i < s->nblocks && n >= s->refs[i].entries; i++) n -= s->refs[i].entries;
    if (i != w->at) rc = first_from(w, i);
  }
  for (; rc == LSM_OK && w->b.base.valid && n > 0; n--) rc = lsm_sst_walk_next(w);
  return rc;
}

/*-------------------------------------------------------- attach, detach */

void lsm_sst_walk_attach(lsm_sst_walk *w, lsm_sst *sst, bool fill_cache) {
  assert(w->sst == NULL);
  w->b.base.valid = false;
  w->sst = sst;
  w->fill_cache = fill_cache;
  w->loaded = false;
  w->at = 0;
  w->last = SIZE_MAX - 1; /* no block follows it */
  w->run = 0;
  w->back = false;
  w->window.bytes.size = 0; /* of another file */
}

static void shrink(lsm_buf *b) {
  if (b->cap > KEEP_BYTES) lsm_buf_fini(b);
}

void lsm_sst_walk_detach(lsm_sst_walk *w) {
  if (w->sst == NULL) return;
  lsm_block_unpin(w->sst->cache, w->pin);
  w->pin = NULL;
  w->sst = NULL;
  w->b.base.valid = false;
  shrink(&w->b.keybuf);
  shrink(&w->b.back_keys);
  shrink(&w->raw);
  shrink(&w->window.bytes);
}

void lsm_sst_walk_fini(lsm_sst_walk *w) {
  assert(w->sst == NULL);
  lsm_block_iter_fini(&w->b);
  lsm_buf_fini(&w->raw);
  lsm_buf_fini(&w->window.bytes);
}

/*------------------------------------------------------------ as lsm_iter */

static lsm_sst_walk *self(lsm_iter *it) {
  return (lsm_sst_walk *)it;
}

static lsm_rc iter_first(lsm_iter *it) {
  return lsm_sst_walk_first(self(it));
}

static lsm_rc iter_last(lsm_iter *it) {
  return lsm_sst_walk_last(self(it));
}

static lsm_rc iter_seek_ge(lsm_iter *it, lsm_slice key) {
  return lsm_sst_walk_seek_ge(self(it), key);
}

static lsm_rc iter_seek_le(lsm_iter *it, lsm_slice key) {
  return lsm_sst_walk_seek_le(self(it), key);
}

static lsm_rc iter_next(lsm_iter *it) {
  return lsm_sst_walk_next(self(it));
}

static lsm_rc iter_prev(lsm_iter *it) {
  return lsm_sst_walk_prev(self(it));
}

static uint64_t iter_ahead(lsm_iter *it, lsm_slice bound) {
  return lsm_sst_walk_ahead(self(it), bound);
}

static lsm_rc iter_pass(lsm_iter *it, uint64_t n) {
  return lsm_sst_walk_pass(self(it), n);
}

static void iter_free(lsm_iter *it) {
  lsm_sst_walk_detach(self(it));
  lsm_sst_walk_fini(self(it));
  lsm_free(self(it));
}

static const lsm_iter_ops ops = {iter_first, iter_last, iter_seek_ge, iter_seek_le,
                                 iter_next,  iter_prev, iter_free,    iter_ahead,
                                 iter_pass};

lsm_rc lsm_sst_iter(lsm_sst *sst, bool fill_cache, lsm_iter **it) {
  *it = NULL;
  lsm_sst_walk *w = lsm_calloc(sizeof *w);
  if (w == NULL) return lsm_nomem();
  w->b.base.ops = &ops;
  lsm_sst_walk_attach(w, sst, fill_cache);
  *it = &w->b.base;
  return LSM_OK;
}

lsm_rc lsm_sst_sample(lsm_sst *sst, double where, lsm_buf *key) {
  lsm_iter *it = NULL;
  if (sst->nblocks == 0) return LSM_NOTFOUND;
  lsm_rc rc = lsm_sst_iter(sst, true, &it);
  if (rc != LSM_OK) return rc;
  size_t i = where <= 0 ? 0 : (size_t)(where * (double)sst->nblocks);
  rc = first_from(self(it), i < sst->nblocks ? i : sst->nblocks - 1);
  if (rc == LSM_OK) rc = lsm_buf_set(key, it->key);
  lsm_iter_free(it);
  return rc;
}
