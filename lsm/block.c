/* block.c: reading blocks: an iterator, and a lookup that copies nothing.
**
** Owns:   the buffer in which keys are put together.
** Holds:  while valid, restart offset <= off < limit, where limit is the next
**         restart's offset or the end of the entries. Every restart has to be
**         met exactly, and to have shared == 0: so a walk over all entries
**         proves the restart array too.
** Bytes:  block.h. Nothing is believed: a length is compared with what is
**         left before it is used, and each step moves on by three bytes at
**         least, so that malformed blocks end in LSM_CORRUPT. */
#include "block.h"

/* The lengths in front of an entry. */
typedef struct head {
  size_t shared;
  size_t unshared;
  size_t vlen;
  bool tombstone;
} head;

/* Reads lengths at p < end and checks that key and value fit; returns where
** the key bytes begin, or NULL. */
LSM_INLINE const uint8_t *get_head(const uint8_t *p, const uint8_t *end, head *h) {
  uint64_t shared, unshared, vlen1;
  if (LSM_LIKELY(end - p >= 3 && (p[0] | p[1] | p[2]) < 0x80)) {
    shared = p[0];
    unshared = p[1];
    vlen1 = p[2];
    p += 3;
  } else {
    if ((p = lsm_varint_get(p, end, &shared)) == NULL) return NULL;
    if ((p = lsm_varint_get(p, end, &unshared)) == NULL) return NULL;
    if ((p = lsm_varint_get(p, end, &vlen1)) == NULL) return NULL;
  }
  uint64_t left = (uint64_t)(end - p);
  h->tombstone = vlen1 == 0;
  uint64_t vlen = vlen1 - !h->tombstone;
  if (unshared > left || vlen > left - unshared || shared > UINT32_MAX) return NULL;
  h->shared = (size_t)shared;
  h->unshared = (size_t)unshared;
  h->vlen = (size_t)vlen;
  return p;
}

/* Checks the end of a block: the number of restarts and room for them. */
static bool get_frame(lsm_slice block, uint32_t *nrestarts, uint32_t *restarts_off) {
  if (block.size < 4 || block.size > UINT32_MAX) return false;
  uint32_t n = lsm_get_u32(block.data + block.size - 4);
  if (n > (block.size - 4) / 4) return false;
  uint32_t end = (uint32_t)block.size - 4 - 4 * n;
  if (n == 0 ? end != 0 : end == 0 || lsm_get_u32(block.data + end) != 0) return false;
  *nrestarts = n;
  *restarts_off = end;
  return true;
}

/* The same of an index, if there is one. */
static inline bool frame_of(lsm_slice block, const lsm_block_index *index, uint32_t *nrestarts,
                            uint32_t *restarts_off) {
  if (index == NULL) return get_frame(block, nrestarts, restarts_off);
  *nrestarts = index->nrestarts;
  *restarts_off = index->restarts_off;
  return true;
}

static inline uint32_t restart_off(const uint8_t *data, const lsm_block_index *index,
                                   uint32_t restarts_off, uint32_t i) {
  return index != NULL ? index->off[i] : lsm_get_u32(data + restarts_off + (size_t)4 * i);
}

/* The key at restart i, whole; false when it is malformed. */
static bool restart_key(const uint8_t *data, uint32_t restarts_off, uint32_t i, lsm_slice *key) {
  uint32_t off = lsm_get_u32(data + restarts_off + (size_t)4 * i);
  if (off >= restarts_off) return false;
  head h;
  const uint8_t *p = get_head(data + off, data + restarts_off, &h);
  if (p == NULL || h.shared != 0) return false;
  *key = lsm_slice_of(p, h.unshared);
  return true;
}

void lsm_block_index_make(lsm_block_index *ix, lsm_slice block) {
  uint32_t n, end;
  memset(ix, 0, sizeof *ix);
  if (!get_frame(block, &n, &end) || n > LSM_BLOCK_INDEXED) return;
  for (uint32_t i = 0; i < n; i++) {
    lsm_slice key;
    if (!restart_key(block.data, end, i, &key)) return;
    ix->head[i] = lsm_head_of(key.data, key.size);
    ix->off[i] = lsm_get_u32(block.data + end + (size_t)4 * i);
  }
  ix->restarts_off = end;
  ix->nrestarts = n;
}

/* The last restart whose key is <= key, or 0. */
static bool find_restart(const uint8_t *data, uint32_t restarts_off, uint32_t nrestarts,
                         const lsm_block_index *index, lsm_slice key, uint32_t *restart) {
  uint32_t lo = 0, hi = nrestarts - 1;
  uint64_t first = index != NULL ? lsm_head_of(key.data, key.size) : 0;
  while (lo < hi) {
    uint32_t mid = lo + (hi - lo + 1) / 2;
    lsm_slice k;
    bool upto;
    if (index != NULL && index->head[mid] != first) {
      upto = index->head[mid] < first;
    } else {
      if (!restart_key(data, restarts_off, mid, &k)) return false;
      upto = lsm_slice_cmp(k, key) <= 0;
    }
    if (upto) {
      lo = mid;
    } else {
      hi = mid - 1;
    }
  }
  *restart = lo;
  return true;
}

/* Where an entry begins is only known from the one before: without help the
** processor would wait for one line of memory after the other. */
static inline void prefetch(const uint8_t *p, const uint8_t *end) {
#if defined(__GNUC__)
  enum { LINE = 64, MOST = 2048 };
  if (end - p > MOST) end = p + MOST;
  for (; p < end; p += LINE) __builtin_prefetch(p);
#else
  (void)p;
  (void)end;
#endif
}

/*----------------------------------------------------------------- lookup */

/* Entries are compared with key from where they differ from their neighbour:
** `match` is how much of key the one before, which is less, has in common. An
** entry that shares more than that with it is less than key for the same
** reason; any other is compared from its first own byte on. */
lsm_rc lsm_block_get(lsm_slice block, const lsm_block_index *index, lsm_slice key,
                     const char *file, uint64_t file_off, lsm_kind *kind, lsm_slice *value) {
  uint32_t n, end_off, r;
  if (index != NULL && index->nrestarts == 0) index = NULL;
  if (!frame_of(block, index, &n, &end_off)) return lsm_corrupt(file, file_off, "malformed block");
  if (n == 0) return LSM_NOTFOUND;
  if (!find_restart(block.data, end_off, n, index, key, &r))
    return lsm_corrupt(file, file_off, "malformed restart in block");

  uint32_t off = restart_off(block.data, index, end_off, r);
  uint32_t limit = r + 1 < n ? restart_off(block.data, index, end_off, r + 1) : end_off;
  if (off >= limit || limit > end_off)
    return lsm_corrupt(file, file_off, "malformed restart in block");
  const uint8_t *p = block.data + off, *end = block.data + limit;
  prefetch(p, end);
  size_t match = 0;
  while (p < end) {
    head h;
    const uint8_t *k = get_head(p, end, &h);
    if (k == NULL) return lsm_corrupt(file, file_off, "malformed entry in block");
    p = k + h.unshared + h.vlen;
    if (h.shared > match) continue;
    lsm_slice rest = lsm_slice_of(key.data + h.shared, key.size - h.shared);
    size_t m = h.unshared < rest.size ? h.unshared : rest.size;
    size_t same = lsm_common_prefix(k, rest.data, m);
    if (same < m ? k[same] > rest.data[same] : h.unshared > rest.size) break;
    if (same == m && h.unshared == rest.size) {
      *kind = h.tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT;
      *value = lsm_slice_of(k + h.unshared, h.vlen);
      return LSM_OK;
    }
    match = h.shared + same;
  }
  return LSM_NOTFOUND;
}

/*--------------------------------------------------------------- iterator */

static lsm_rc malformed(lsm_block_iter *it, const char *what) {
  it->base.valid = false;
  return lsm_corrupt(it->file, it->file_off, what);
}

lsm_rc lsm_block_iter_init(lsm_block_iter *it, lsm_slice block, const char *file,
                           uint64_t file_off) {
  return lsm_block_iter_init_indexed(it, block, NULL, file, file_off);
}

lsm_rc lsm_block_iter_init_indexed(lsm_block_iter *it, lsm_slice block,
                                   const lsm_block_index *index, const char *file,
                                   uint64_t file_off) {
  it->base.valid = false;
  it->base.key = LSM_SLICE_NULL;
  it->base.value = LSM_SLICE_NULL;
  it->block = block;
  it->index = index != NULL && index->nrestarts > 0 ? index : NULL;
  it->file = file;
  it->file_off = file_off;
  it->off = it->next_off = it->limit = it->restart = it->shared = 0;
  it->nrestarts = it->restarts_off = it->nback = 0;
  if (!frame_of(block, it->index, &it->nrestarts, &it->restarts_off))
    return malformed(it, "malformed block");
  return LSM_OK;
}

void lsm_block_iter_fini(lsm_block_iter *it) {
  lsm_buf_fini(&it->keybuf);
  lsm_buf_fini(&it->back_keys);
  it->base.valid = false;
}

/* Copies N bytes of an entry's key, in whole words: so many bytes follow the entries, and
** are there at TO. */
enum { WORD = 8 };
LSM_INLINE void copy_key(uint8_t *to, const uint8_t *own, size_t n) {
  for (size_t i = 0; i < n; i += WORD) memmove(to + i, own + i, WORD);
}

/* Puts the current key together in keybuf: the first shared bytes of the key
** before, which may be in keybuf or in the block, then its own. */
LSM_INLINE lsm_rc join_key(lsm_block_iter *it, size_t shared, const uint8_t *own, size_t n) {
  lsm_slice before = it->base.key;
  lsm_buf *buf = &it->keybuf;
  if (shared > before.size) return malformed(it, "malformed key in block");
  bool inside = before.data == buf->data;
  if (LSM_UNLIKELY(buf->cap < shared + n + WORD)) {
    buf->size = inside ? before.size : 0;
    lsm_rc rc = lsm_buf_reserve(buf, shared + n + WORD - buf->size);
    if (rc != LSM_OK) {
      it->base.valid = false;
      return rc;
    }
  }
  if (!inside) memcpy(buf->data, before.data, shared);
  copy_key(buf->data + shared, own, n);
  buf->size = shared + n;
  it->base.key = lsm_buf_slice(buf);
  return LSM_OK;
}

/* Reads the entry at off; the one before it is the current one, unless off is
** a restart. */
LSM_INLINE lsm_rc load(lsm_block_iter *it, uint32_t off, bool at_restart) {
  head h;
  const uint8_t *data = it->block.data;
  const uint8_t *p = get_head(data + off, data + it->limit, &h);
  if (LSM_UNLIKELY(p == NULL)) return malformed(it, "malformed entry in block");
  if (h.shared == 0) {
    it->base.key = lsm_slice_of(p, h.unshared);
  } else {
    if (LSM_UNLIKELY(at_restart)) return malformed(it, "malformed restart in block");
    lsm_rc rc = join_key(it, h.shared, p, h.unshared);
    if (LSM_UNLIKELY(rc != LSM_OK)) return rc;
  }
  it->base.value = lsm_slice_of(p + h.unshared, h.vlen);
  it->base.kind = h.tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT;
  it->base.valid = true;
  it->shared = (uint32_t)h.shared;
  it->nback = 0;
  it->off = off;
  it->next_off = (uint32_t)(p + h.unshared + h.vlen - data);
  return LSM_OK;
}

/* Makes what follows restart i, up to the next, the interval; *off is where it begins. */
static inline lsm_rc enter_interval(lsm_block_iter *it, uint32_t i, uint32_t *off) {
  const uint8_t *data = it->block.data;
  *off = restart_off(data, it->index, it->restarts_off, i);
  uint32_t limit = i + 1 < it->nrestarts
                       ? restart_off(data, it->index, it->restarts_off, i + 1)
                       : it->restarts_off;
  if (*off >= limit || limit > it->restarts_off) return malformed(it, "malformed restart in block");
  it->restart = i;
  it->limit = limit;
  return LSM_OK;
}

/* Goes to restart i. */
static lsm_rc load_restart(lsm_block_iter *it, uint32_t i) {
  uint32_t off;
  lsm_rc rc = enter_interval(it, i, &off);
  return rc == LSM_OK ? load(it, off, true) : rc;
}

lsm_rc lsm_block_iter_first(lsm_block_iter *it) {
  it->base.valid = false;
  return it->nrestarts == 0 ? LSM_OK : load_restart(it, 0);
}

lsm_rc lsm_block_iter_next(lsm_block_iter *it) {
  if (LSM_LIKELY(it->next_off < it->limit)) return load(it, it->next_off, false);
  /* load() keeps entries within the limit: this one ended exactly there. */
  if (it->restart + 1 < it->nrestarts) return load_restart(it, it->restart + 1);
  it->base.valid = false;
  return LSM_OK;
}

/*------------------------------------------------------------- going down */

/* Decodes one more entry into back, whose last is the one before it. */
LSM_INLINE lsm_rc push_back(lsm_block_iter *it, uint32_t off, bool at_restart) {
  head h;
  const uint8_t *data = it->block.data;
  const uint8_t *p = get_head(data + off, data + it->limit, &h);
  if (LSM_UNLIKELY(p == NULL)) return malformed(it, "malformed entry in block");
  if (LSM_UNLIKELY(at_restart && h.shared != 0))
    return malformed(it, "malformed restart in block");
  lsm_buf *keys = &it->back_keys;
  uint32_t n = it->nback;
  size_t size = h.shared + h.unshared;
  if (LSM_UNLIKELY(h.shared > 0 && (n == 0 || h.shared > it->back[n - 1].key_size)))
    return malformed(it, "malformed key in block");
  if (LSM_UNLIKELY(n == LSM_BLOCK_RESTART)) { /* of another writer's: the last one will do */
    it->back[0] = it->back[n - 1];
    memmove(keys->data, keys->data + it->back[0].key_at, it->back[0].key_size);
    keys->size = it->back[0].key_size;
    it->back[0].key_at = 0;
    n = 1;
  }
  if (LSM_UNLIKELY(keys->cap - keys->size < size + WORD)) {
    lsm_rc rc = keys->size + size >= UINT32_MAX ? lsm_nomem() : lsm_buf_reserve(keys, size + WORD);
    if (rc != LSM_OK) {
      it->base.valid = false;
      return rc;
    }
  }
  uint8_t *key = keys->data + keys->size;
  if (h.shared > 0) copy_key(key, keys->data + it->back[n - 1].key_at, h.shared);
  copy_key(key + h.shared, p, h.unshared);
  uint32_t value_at = (uint32_t)(p + h.unshared - data);
  it->back[n] = (lsm_block_back){.off = off,
                                 .next_off = value_at + (uint32_t)h.vlen,
                                 .key_at = (uint32_t)keys->size,
                                 .key_size = (uint32_t)size,
                                 .value_at = value_at,
                                 .value_size = (uint32_t)h.vlen,
                                 .shared = (uint32_t)h.shared,
                                 .kind = h.tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT};
  keys->size += size;
  it->nback = n + 1;
  return LSM_OK;
}

/* Stands on the last one of back, which leaves it. */
static inline void pop_back(lsm_block_iter *it) {
  const lsm_block_back *b = &it->back[--it->nback];
  it->base.key = lsm_slice_of(it->back_keys.data + b->key_at, b->key_size);
  it->base.value = lsm_slice_of(it->block.data + b->value_at, b->value_size);
  it->base.kind = b->kind;
  it->base.valid = true;
  it->shared = b->shared;
  it->off = b->off;
  it->next_off = b->next_off;
}

/* Goes to the last entry of interval i that ends at END or before (0: of all). */
static lsm_rc load_back(lsm_block_iter *it, uint32_t i, uint32_t end) {
  uint32_t off;
  it->base.valid = false;
  it->nback = 0;
  lsm_buf_clear(&it->back_keys);
  lsm_rc rc = enter_interval(it, i, &off);
  if (end == 0) end = it->limit;
  for (bool first = true; rc == LSM_OK && off < end; first = false) {
    rc = push_back(it, off, first);
    if (rc == LSM_OK) off = it->back[it->nback - 1].next_off;
  }
  if (rc == LSM_OK && off != end) rc = malformed(it, "malformed entry in block");
  if (rc == LSM_OK) {
    pop_back(it);
  } else {
    it->nback = 0;
  }
  return rc;
}

lsm_rc lsm_block_iter_last(lsm_block_iter *it) {
  it->base.valid = false;
  return it->nrestarts == 0 ? LSM_OK : load_back(it, it->nrestarts - 1, 0);
}

lsm_rc lsm_block_iter_prev(lsm_block_iter *it) {
  if (LSM_LIKELY(it->nback > 0)) {
    pop_back(it);
    return LSM_OK;
  }
  uint32_t i = it->restart, at;
  lsm_rc rc = enter_interval(it, i, &at);
  if (rc != LSM_OK) return rc;
  if (it->off != at) return load_back(it, i, it->off);
  if (i > 0) return load_back(it, i - 1, at);
  it->base.valid = false;
  return LSM_OK;
}

lsm_rc lsm_block_iter_seek_le(lsm_block_iter *it, lsm_slice key) {
  uint32_t r, off;
  it->base.valid = false;
  it->nback = 0;
  if (it->nrestarts == 0) return LSM_OK;
  if (!find_restart(it->block.data, it->restarts_off, it->nrestarts, it->index, key, &r))
    return malformed(it, "malformed restart in block");
  lsm_rc rc = enter_interval(it, r, &off);
  if (rc != LSM_OK) return rc;
  prefetch(it->block.data + off, it->block.data + it->limit);
  lsm_buf_clear(&it->back_keys);
  size_t match = 0;
  int c = -1; /* of the last one in back against key */
  for (bool first = true; c < 0 && off < it->limit; first = false) {
    rc = push_back(it, off, first);
    if (rc != LSM_OK) {
      it->nback = 0;
      return rc;
    }
    const lsm_block_back *b = &it->back[it->nback - 1];
    off = b->next_off;
    if (b->shared > match) continue; /* as the one before it, which is less */
    const uint8_t *k = it->back_keys.data + b->key_at;
    size_t n = b->key_size < key.size ? b->key_size : key.size;
    match = b->shared + lsm_common_prefix(k + b->shared, key.data + b->shared, n - b->shared);
    c = match < n ? (k[match] < key.data[match] ? -1 : 1)
                  : (b->key_size > key.size) - (b->key_size < key.size);
  }
  if (c > 0) it->nback--;
  if (it->nback > 0) pop_back(it); /* none: all are greater, as the first restart is */
  return LSM_OK;
}

/*------------------------------------------------------------- seeking up */

/* Stands on the entry at OFF, whose lengths are *h and whose own bytes are at p: what it
** shares with the one before the target has too. */
LSM_INLINE lsm_rc stand(lsm_block_iter *it, uint32_t off, const head *h, const uint8_t *p,
                        lsm_slice target) {
  it->base.key = lsm_slice_of(p, h->unshared);
  if (h->shared > 0) {
    lsm_buf *buf = &it->keybuf;
    lsm_buf_clear(buf);
    lsm_rc rc = lsm_buf_reserve(buf, h->shared + h->unshared + WORD);
    if (rc != LSM_OK) return rc;
    memcpy(buf->data, target.data, h->shared);
    copy_key(buf->data + h->shared, p, h->unshared);
    buf->size = h->shared + h->unshared;
    it->base.key = lsm_buf_slice(buf);
  }
  it->base.value = lsm_slice_of(p + h->unshared, h->vlen);
  it->base.kind = h->tombstone ? LSM_KIND_DELETE : LSM_KIND_PUT;
  it->base.valid = true;
  it->shared = (uint32_t)h->shared;
  it->off = off;
  it->next_off = (uint32_t)(p + h->unshared + h->vlen - it->block.data);
  return LSM_OK;
}

/* As in lsm_block_get(), entries that share more with their neighbour than it
** has in common with the target need no comparison; and no key is put together but the
** one that is found. */
lsm_rc lsm_block_iter_seek_ge(lsm_block_iter *it, lsm_slice key) {
  uint32_t r, off;
  it->base.valid = false;
  it->nback = 0;
  if (it->nrestarts == 0) return LSM_OK;
  if (!find_restart(it->block.data, it->restarts_off, it->nrestarts, it->index, key, &r))
    return malformed(it, "malformed restart in block");
  lsm_rc rc = enter_interval(it, r, &off);
  if (rc != LSM_OK) return rc;
  const uint8_t *start = it->block.data + off, *end = it->block.data + it->limit;
  prefetch(start, end);
  size_t match = 0;
  for (const uint8_t *p = start; p < end;) {
    head h;
    const uint8_t *k = get_head(p, end, &h);
    if (LSM_UNLIKELY(k == NULL)) return malformed(it, "malformed entry in block");
    if (LSM_UNLIKELY(p == start && h.shared != 0))
      return malformed(it, "malformed restart in block");
    if (h.shared <= match) {
      lsm_slice rest = lsm_slice_of(key.data + h.shared, key.size - h.shared);
      size_t m = h.unshared < rest.size ? h.unshared : rest.size;
      size_t same = lsm_common_prefix(k, rest.data, m);
      if (same < m ? k[same] > rest.data[same] : h.unshared >= rest.size)
        return stand(it, (uint32_t)(p - it->block.data), &h, k, key);
      match = h.shared + same;
    }
    p = k + h.unshared + h.vlen;
  }
  return r + 1 < it->nrestarts ? load_restart(it, r + 1) : LSM_OK;
}
