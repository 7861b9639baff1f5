/* arena.c: see arena.h. */
#include "arena.h"

/* Room for N items in an array of *cap; false when out of memory. */
static bool grow(void **items, int *cap, int n, size_t item) {
  if (n <= *cap) return true;
  int want = *cap < 8 ? 8 : *cap * 2;
  if (want < n) want = n;
  void *p = lsm_realloc(*items, (size_t)want * item);
  if (p == NULL) return false;
  *items = p;
  *cap = want;
  return true;
}

/* Room in the list of parts for a part in the current chunk and in each spare
** one, which is as many as can begin before a chunk is added. */
static bool grow_parts(lsm_arena *a) {
  void *parts = a->parts;
  bool ok =
      grow(&parts, &a->cap_parts, a->n_parts + a->n_chunks - a->current + 2, sizeof a->parts[0]);
  a->parts = parts;
  return ok;
}

/* Adds a spare chunk that has room for N bytes. Most pieces share chunks of
** the usual size; what needs more than half of one gets its own, as a shared
** one would then be left half empty time and again. */
static bool add_chunk(lsm_arena *a, size_t n) {
  size_t cap = LSM_ARENA_FIRST;
  for (int i = 0; i < a->n_chunks && cap < LSM_ARENA_CHUNK; i++) cap *= 4;
  while (cap < n && cap < LSM_ARENA_CHUNK) cap *= 4;
  if (n > cap / 2 && (n > cap || cap == LSM_ARENA_CHUNK)) cap = n;
  void *chunks = a->chunks;
  bool ok = grow(&chunks, &a->cap_chunks, a->n_chunks + 1, sizeof a->chunks[0]);
  a->chunks = chunks;
  if (!ok) return false;
  uint8_t *data = lsm_malloc(cap);
  if (data == NULL) return false;
  a->chunks[a->n_chunks++] = (lsm_arena_chunk){data, cap, 0};
  a->memory += cap;
  if (a->n_chunks == 1) {
    a->p = data;
    a->end = data + cap;
    a->current = 0;
  }
  return true;
}

/* The spare chunk with the least room that has N bytes, or -1. */
static int find_spare(const lsm_arena *a, size_t n) {
  int best = -1;
  for (int i = a->current + 1; i < a->n_chunks; i++) {
    if (a->chunks[i].cap < n) continue;
    if (best < 0 || a->chunks[i].cap < a->chunks[best].cap) best = i;
  }
  return best;
}

static bool has_room(const lsm_arena *a, size_t n) {
  return a->n_chunks > 0 && ((size_t)(a->end - a->p) >= n || find_spare(a, n) >= 0);
}

bool lsm_arena_reserve(lsm_arena *a, size_t n) {
  if (!has_room(a, n) && !add_chunk(a, n)) return false;
  return grow_parts(a);
}

/* Goes on in the spare chunk I. */
static void use_spare(lsm_arena *a, int i) {
  size_t used = lsm_arena_used(a);
  lsm_arena_chunk c = a->chunks[i];
  a->current++;
  a->chunks[i] = a->chunks[a->current];
  c.before = used;
  a->chunks[a->current] = c;
  a->p = c.data;
  a->end = c.data + c.cap;
}

uint8_t *lsm_arena_append_slow(lsm_arena *a, size_t n) {
  if (!has_room(a, n) && !add_chunk(a, n)) return NULL;
  lsm_slice *last = a->n_parts == 0 ? NULL : &a->parts[a->n_parts - 1];
  bool fits = (size_t)(a->end - a->p) >= n;
  if (!fits || last == NULL || last->data + last->size != a->p) {
    /* the list has room if this append was reserved */
    if (a->n_parts == a->cap_parts && !grow_parts(a)) return NULL;
    if (!fits) use_spare(a, find_spare(a, n));
    a->parts[a->n_parts++] = lsm_slice_of(a->p, 0);
    last = &a->parts[a->n_parts - 1];
  }
  uint8_t *p = a->p;
  last->size += n;
  a->p += n;
  a->pos += n;
  return p;
}

/* The chunk that holds the first byte of the last part. */
static int chunk_of_last(const lsm_arena *a) {
  uintptr_t at = (uintptr_t)a->parts[a->n_parts - 1].data;
  int i = a->current;
  while (i > 0 && at - (uintptr_t)a->chunks[i].data >= a->chunks[i].cap) i--;
  return i;
}

void lsm_arena_rewind(lsm_arena *a, size_t pos, bool reuse) {
  assert(pos <= a->pos);
  while (a->n_parts > 0 && a->pos - a->parts[a->n_parts - 1].size >= pos) {
    a->pos -= a->parts[--a->n_parts].size;
  }
  if (a->n_parts > 0) {
    a->parts[a->n_parts - 1].size -= a->pos - pos;
    a->pos = pos;
  }
  if (!reuse || a->n_chunks == 0) return;
  size_t off = 0;
  if (a->n_parts == 0) {
    a->current = 0;
  } else {
    const lsm_slice *last = &a->parts[a->n_parts - 1];
    a->current = chunk_of_last(a);
    off = (size_t)(last->data - a->chunks[a->current].data) + last->size;
  }
  a->p = a->chunks[a->current].data + off;
  a->end = a->chunks[a->current].data + a->chunks[a->current].cap;
}

void lsm_arena_reset(lsm_arena *a, size_t keep) {
  int kept = 0;
  size_t memory = 0;
  for (int i = 0; i < a->n_chunks; i++) {
    if (memory + a->chunks[i].cap <= keep) {
      memory += a->chunks[i].cap;
      a->chunks[kept++] = a->chunks[i];
    } else {
      lsm_free(a->chunks[i].data);
    }
  }
  a->n_chunks = kept;
  a->memory = memory;
  a->n_parts = 0;
  a->pos = 0;
  a->current = 0;
  a->p = kept == 0 ? NULL : a->chunks[0].data;
  a->end = kept == 0 ? NULL : a->chunks[0].data + a->chunks[0].cap;
  if (kept > 0) a->chunks[0].before = 0;
}

void lsm_arena_fini(lsm_arena *a) {
  lsm_arena_reset(a, 0);
  lsm_free(a->chunks);
  lsm_free(a->parts);
  memset(a, 0, sizeof *a);
}
