/* rowsort.c: rows put aside and sorted. */
#include "rowsort.h"

#include <stdlib.h>

typedef struct item {
  size_t offset, key_size, value_size, from; /* in bytes: key, then value */
  const uint8_t *key;                        /* once sorted */
} item;

void lsm_rowsort_clear(lsm_rowsort *s) {
  lsm_buf_fini(&s->bytes);
  lsm_buf_fini(&s->items);
  memset(s, 0, sizeof(*s));
}

lsm_rc lsm_rowsort_add(lsm_rowsort *s, lsm_slice key, lsm_slice value, size_t from) {
  item i = {s->bytes.size, key.size, value.size, from < key.size ? from : key.size, NULL};
  lsm_rc rc = lsm_buf_append(&s->bytes, key.data, key.size);
  if (rc == LSM_OK && value.size > 0) rc = lsm_buf_append(&s->bytes, value.data, value.size);
  if (rc == LSM_OK) rc = lsm_buf_append(&s->items, &i, sizeof(i));
  if (rc == LSM_OK) s->count++;
  return rc;
}

static int cmp_items(const void *a, const void *b) {
  const item *x = a, *y = b;
  return lsm_slice_cmp(lsm_slice_of(x->key + x->from, x->key_size - x->from),
                       lsm_slice_of(y->key + y->from, y->key_size - y->from));
}

static int cmp_reverse(const void *a, const void *b) { return cmp_items(b, a); }

void lsm_rowsort_sort(lsm_rowsort *s, bool reverse) {
  item *items = (item *)(void *)s->items.data;
  for (size_t i = 0; i < s->count; i++) items[i].key = s->bytes.data + items[i].offset;
  if (s->count > 1) qsort(items, s->count, sizeof(item), reverse ? cmp_reverse : cmp_items);
}

bool lsm_rowsort_next(lsm_rowsort *s, lsm_slice *key, lsm_slice *value) {
  if (s->at == s->count) return false;
  const item *i = (const item *)(const void *)s->items.data + s->at++;
  *key = lsm_slice_of(i->key, i->key_size);
  *value = lsm_slice_of(i->key + i->key_size, i->value_size);
  return true;
}
