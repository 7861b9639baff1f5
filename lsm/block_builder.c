/* block_builder.c: encodes sorted entries as blocks, one after another.
**
** Owns:   the bytes of the block, the last key, the restart offsets.
** Holds:  keys rise; entries % LSM_BLOCK_RESTART == 0 is a restart. A failed
**         add changes nothing.
** Bytes:  block.h. */
#include "block.h"

static lsm_rc reserve_restart(lsm_block_builder *b) {
  if (b->nrestarts < b->restarts_cap) return LSM_OK;
  size_t cap = b->restarts_cap == 0 ? 16 : b->restarts_cap * 2;
  uint32_t *p = lsm_realloc(b->restarts, cap * sizeof *p);
  if (p == NULL) return lsm_nomem();
  b->restarts = p;
  b->restarts_cap = cap;
  return LSM_OK;
}

lsm_rc lsm_block_builder_add(lsm_block_builder *b, lsm_kind kind, lsm_slice key, lsm_slice value) {
  bool restart = b->entries == 0 || b->since_restart == LSM_BLOCK_RESTART;
  size_t same = 0; /* bytes the key has in common with the last */
  if (b->entries > 0) {
    size_t n = key.size < b->last_key.size ? key.size : b->last_key.size;
    same = lsm_common_prefix(key.data, b->last_key.data, n);
    if (same == key.size || (same < n && key.data[same] < b->last_key.data[same]))
      return lsm_fail(LSM_MISUSE, "keys of a block out of order");
  }
  size_t shared = restart ? 0 : same;
  size_t unshared = key.size - shared;
  if (kind == LSM_KIND_DELETE) value.size = 0;

  uint64_t need = (uint64_t)3 * LSM_VARINT_MAX + unshared + value.size;
  if (need + lsm_block_builder_size(b) + 4 > UINT32_MAX)
    return lsm_fail(LSM_MISUSE, "block larger than 4 GB");
  lsm_rc rc = lsm_buf_reserve(&b->data, (size_t)need);
  if (rc == LSM_OK && key.size > b->last_key.size)
    rc = lsm_buf_reserve(&b->last_key, key.size - b->last_key.size);
  if (rc == LSM_OK && restart) rc = reserve_restart(b);
  if (rc != LSM_OK) return rc;

  if (restart) {
    b->restarts[b->nrestarts++] = (uint32_t)b->data.size;
    b->since_restart = 0;
  }
  uint8_t *p = b->data.data + b->data.size;
  p = lsm_varint_put(p, shared);
  p = lsm_varint_put(p, unshared);
  p = lsm_varint_put(p, kind == LSM_KIND_DELETE ? 0 : (uint64_t)value.size + 1);
  if (unshared > 0) memcpy(p, key.data + shared, unshared);
  p += unshared;
  if (value.size > 0) memcpy(p, value.data, value.size);
  b->data.size = (size_t)(p + value.size - b->data.data);

  if (key.size > same) memcpy(b->last_key.data + same, key.data + same, key.size - same);
  b->last_key.size = key.size;
  b->since_restart++;
  b->entries++;
  return LSM_OK;
}

size_t lsm_block_builder_size(const lsm_block_builder *b) {
  return b->data.size + 4 * b->nrestarts + 4;
}

lsm_rc lsm_block_builder_finish(lsm_block_builder *b, lsm_slice *block) {
  *block = LSM_SLICE_NULL;
  lsm_rc rc = lsm_buf_reserve(&b->data, 4 * b->nrestarts + 4);
  if (rc != LSM_OK) return rc;
  uint8_t *p = b->data.data + b->data.size;
  for (size_t i = 0; i < b->nrestarts; i++, p += 4) lsm_set_u32(p, b->restarts[i]);
  lsm_set_u32(p, (uint32_t)b->nrestarts);
  *block = lsm_slice_of(b->data.data, lsm_block_builder_size(b));
  return LSM_OK;
}

void lsm_block_builder_clear(lsm_block_builder *b) {
  lsm_buf_clear(&b->data);
  lsm_buf_clear(&b->last_key);
  b->nrestarts = 0;
  b->since_restart = 0;
  b->entries = 0;
}

void lsm_block_builder_fini(lsm_block_builder *b) {
  lsm_buf_fini(&b->data);
  lsm_buf_fini(&b->last_key);
  lsm_free(b->restarts);
  memset(b, 0, sizeof *b);
}
