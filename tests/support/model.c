/* model.c: an ordered map in a sorted array, and its comparison with a store. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct item {
  size_t refs;
  lsm_slice key, value;
  uint8_t bytes[];
} item;

struct model {
  item **items; /* keys rising */
  size_t count, cap;
};

static void *must(void *p) {
  if (p == NULL) abort();
  return p;
}

static int compare(lsm_slice a, lsm_slice b) {
  size_t n = a.size < b.size ? a.size : b.size;
  int c = n == 0 ? 0 : memcmp(a.data, b.data, n);
  return c != 0 ? c : (a.size > b.size) - (a.size < b.size);
}

static item *item_new(lsm_slice key, lsm_slice value) {
  item *it = must(malloc(sizeof(*it) + key.size + value.size + 1));
  it->refs = 1;
  if (key.size > 0) memcpy(it->bytes, key.data, key.size);
  if (value.size > 0) memcpy(it->bytes + key.size, value.data, value.size);
  it->key.data = it->bytes;
  it->key.size = key.size;
  it->value.data = it->bytes + key.size;
  it->value.size = value.size;
  return it;
}

static void item_unref(item *it) {
  if (--it->refs == 0) free(it);
}

model *model_new(void) {
  return must(calloc(1, sizeof(model)));
}

model *model_copy(const model *m) {
  model *c = model_new();
  c->items = must(malloc((m->count + 1) * sizeof(item *)));
  c->count = m->count;
  c->cap = m->count + 1;
  for (size_t i = 0; i < m->count; i++) {
    c->items[i] = m->items[i];
    c->items[i]->refs++;
  }
  return c;
}

void model_free(model *m) {
  if (m == NULL) return;
  for (size_t i = 0; i < m->count; i++) item_unref(m->items[i]);
  free(m->items);
  free(m);
}

size_t model_count(const model *m) {
  return m->count;
}
lsm_slice model_key(const model *m, size_t i) {
  return m->items[i]->key;
}
lsm_slice model_value(const model *m, size_t i) {
  return m->items[i]->value;
}

size_t model_rank(const model *m, lsm_slice key) {
  size_t lo = 0, hi = m->count;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (compare(m->items[mid]->key, key) < 0) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

bool model_get(const model *m, lsm_slice key, lsm_slice *value) {
  size_t i = model_rank(m, key);
  if (i == m->count || compare(m->items[i]->key, key) != 0) return false;
  *value = m->items[i]->value;
  return true;
}

bool model_equal(const model *a, const model *b) {
  if (a->count != b->count) return false;
  for (size_t i = 0; i < a->count; i++) {
    if (a->items[i] == b->items[i]) continue;
    if (compare(a->items[i]->key, b->items[i]->key) != 0) return false;
    if (compare(a->items[i]->value, b->items[i]->value) != 0) return false;
  }
  return true;
}

/* Removes items[from..to). */
static void cut(model *m, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) item_unref(m->items[i]);
  if (to > from) memmove(m->items + from, m->items + to, (m->count - to) * sizeof(item *));
  m->count -= to - from;
}

void model_put(model *m, lsm_slice key, lsm_slice value) {
  item *it = item_new(key, value);
  size_t i = model_rank(m, key);
  if (i < m->count && compare(m->items[i]->key, key) == 0) {
    item_unref(m->items[i]);
    m->items[i] = it;
    return;
  }
  if (m->count == m->cap) {
    m->cap = m->cap == 0 ? 16 : 2 * m->cap;
    m->items = must(realloc(m->items, m->cap * sizeof(item *)));
  }
  memmove(m->items + i + 1, m->items + i, (m->count - i) * sizeof(item *));
  m->items[i] = it;
  m->count++;
}

void model_delete(model *m, lsm_slice key) {
  size_t i = model_rank(m, key);
  if (i < m->count && compare(m->items[i]->key, key) == 0) cut(m, i, i + 1);
}

void model_delete_range(model *m, lsm_slice lower, lsm_slice upper) {
  size_t from = lower.data == NULL ? 0 : model_rank(m, lower);
  size_t to = upper.data == NULL ? m->count : model_rank(m, upper);
  if (from < to) cut(m, from, to);
}

/*------------------------------------------------------------- comparison */

static void differ(char *why, const char *what, size_t i, lsm_slice key) {
  snprintf(why, MODEL_WHY, "%s, at key %zu of the model, \"%.*s\"", what, i,
           (int)(key.size < 80 ? key.size : 80), (const char *)key.data);
}

/* A key between items i - 1 and i that is not there: key i - 1 and a zero. */
static bool gap_key(const model *m, size_t i, uint8_t *key, size_t *n) {
  if (i == 0 || m->items[i - 1]->key.size >= 200) return false;
  *n = m->items[i - 1]->key.size + 1;
  memcpy(key, m->items[i - 1]->key.data, *n - 1);
  key[*n - 1] = 0;
  lsm_slice s = {key, *n};
  return i == m->count || compare(s, m->items[i]->key) != 0;
}

static lsm_rc compare_gets(const model *m, lsm_snapshot *snap, uint32_t ks, char *why) {
  lsm_buf value = {0};
  lsm_rc rc = LSM_OK;
  for (size_t i = 0; i <= m->count && why[0] == 0; i++) {
    uint8_t gap[201];
    lsm_slice key = {gap, 0};
    if (gap_key(m, i, gap, &key.size)) {
      rc = lsm_get(snap, ks, key, &value);
      if (rc == LSM_OK) differ(why, "lsm_get finds a key that is not there", i, key);
      if (rc != LSM_OK && rc != LSM_NOTFOUND) break;
    }
    rc = LSM_OK;
    if (i == m->count) break;
    rc = lsm_get(snap, ks, m->items[i]->key, &value);
    lsm_slice v = {value.data, value.size};
    if (rc == LSM_NOTFOUND) {
      differ(why, "lsm_get misses a key", i, m->items[i]->key);
    } else if (rc == LSM_OK && compare(v, m->items[i]->value) != 0) {
      differ(why, "lsm_get has another value", i, m->items[i]->key);
    } else if (rc != LSM_OK) {
      break;
    }
    rc = LSM_OK;
  }
  lsm_buf_fini(&value);
  return rc;
}

static lsm_rc compare_scan(const model *m, lsm_cursor *c, bool forward, char *why) {
  lsm_rc rc = forward ? lsm_cursor_first(c) : lsm_cursor_last(c);
  size_t n = 0;
  while (rc == LSM_OK && why[0] == 0 && lsm_cursor_valid(c)) {
    if (n == m->count) {
      differ(why, forward ? "a scan finds more" : "a scan backward finds more", n,
             lsm_cursor_key(c));
      break;
    }
    const item *it = m->items[forward ? n : m->count - 1 - n];
    if (compare(lsm_cursor_key(c), it->key) != 0) {
      differ(why, forward ? "a scan finds another key" : "a scan backward finds another key", n,
             it->key);
    } else if (compare(lsm_cursor_value(c), it->value) != 0) {
      differ(why, "a scan finds another value", n, it->key);
    }
    n++;
    rc = forward ? lsm_cursor_next(c) : lsm_cursor_prev(c);
  }
  if (rc == LSM_OK && why[0] == 0 && n < m->count) {
    const item *it = m->items[forward ? n : m->count - 1 - n];
    differ(why, forward ? "a scan ends early" : "a scan backward ends early", n, it->key);
  }
  return rc;
}

lsm_rc model_compare(const model *m, lsm_snapshot *snap, uint32_t ks, char *why) {
  lsm_slice open = {NULL, 0};
  lsm_cursor *c = NULL;
  why[0] = 0;
  lsm_rc rc = compare_gets(m, snap, ks, why);
  if (rc != LSM_OK || why[0] != 0) return rc;
  rc = lsm_cursor_open(snap, ks, open, open, &c);
  if (rc == LSM_OK) rc = compare_scan(m, c, true, why);
  if (rc == LSM_OK && why[0] == 0) rc = compare_scan(m, c, false, why);
  lsm_cursor_close(c);
  return rc;
}
