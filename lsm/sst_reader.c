/* sst_reader.c: opens SSTables, finds keys in them.
**
** Owns:   the open file; index, filter, range tombstones and properties in
**         memory, charged to the cache.
** Holds:  after open the data blocks lie one behind another from 0 to
**         data_end, the parts behind them without a gap up to the footer:
**         every byte of the file is under a checksum.
** Locks:  none; nothing changes after open. Blocks are shared by the cache.
** Bytes:  sst_format.h. Sizes are compared with the file's before anything is
**         allocated for them. */
#include "bloom.h"
#include "compress.h"
#include "sst_impl.h"

enum {
  TAIL_SIZE = 64 << 10,  /* first read: in most files it has all the parts */
  STACK_SIZE = 16 << 10, /* stored blocks up to this are read onto the stack */
  LINE = 64
};

static lsm_rc corrupt(const lsm_sst *s, uint64_t off, const char *what) {
  return lsm_corrupt(s->path, off, what);
}

static lsm_rc read_exactly(const lsm_sst *s, uint64_t off, void *buf, size_t n) {
  size_t got = 0;
  lsm_rc rc = lsm_file_read(s->file, off, buf, n, &got);
  if (rc != LSM_OK) return rc;
  return got == n ? LSM_OK : corrupt(s, off + got, "file is cut off");
}

/*----------------------------------------------------------- stored blocks */

lsm_rc lsm_sst_check(const lsm_sst *s, uint64_t off, const uint8_t *p, size_t size, uint8_t *type,
                     size_t *raw_size) {
  lsm_slice body = lsm_slice_of(p, size);
  *type = p[size];
  *raw_size = size;
  if (lsm_sst_block_crc(s->crc_seed, off, body, *type) != lsm_get_u32(p + size + 1))
    return corrupt(s, off, "wrong checksum of a block");
  if (*type == LSM_SST_RAW) return LSM_OK;
  if (*type != LSM_SST_ZLIB) return corrupt(s, off, "unknown compression of a block");
  if (!lsm_decompress_size(body, raw_size))
    return corrupt(s, off, "malformed size of compressed block");
  return LSM_OK;
}

lsm_rc lsm_sst_unpack(const lsm_sst *s, uint64_t off, lsm_slice body, uint8_t type, uint8_t *raw,
                      size_t raw_size) {
  if (type == LSM_SST_ZLIB) return lsm_decompress(body, raw, raw_size, s->path, off);
  if (body.size > 0) memcpy(raw, body.data, body.size);
  return LSM_OK;
}

/* A block for the cache, out of the stored one at p. */
static lsm_rc new_block(const lsm_sst *s, size_t i, const uint8_t *p, lsm_block **b) {
  uint64_t off = s->refs[i].off;
  size_t size = (size_t)lsm_sst_body_size(s, i), raw_size;
  uint8_t type;
  lsm_rc rc = lsm_sst_check(s, off, p, size, &type, &raw_size);
  if (rc != LSM_OK) return rc;
  rc = lsm_block_new(s->cache, raw_size, b);
  if (rc != LSM_OK) return rc;
  rc = lsm_sst_unpack(s, off, lsm_slice_of(p, size), type, (*b)->data, raw_size);
  if (rc != LSM_OK) {
    lsm_block_unpin(s->cache, *b);
    *b = NULL;
    return rc;
  }
  _Static_assert(sizeof(lsm_block_index) <= LSM_BLOCK_HINT, "the index is the block's hint");
  lsm_block_index_make(lsm_block_hint(*b), lsm_slice_of((*b)->data, raw_size));
  return LSM_OK;
}

static lsm_rc read_block(const lsm_sst *s, size_t i, lsm_block **b) {
  uint8_t stack[STACK_SIZE];
  size_t size = (size_t)(s->refs[i + 1].off - s->refs[i].off);
  uint8_t *p = size <= sizeof stack ? stack : lsm_malloc(size);
  if (p == NULL) return lsm_nomem();
  lsm_rc rc = read_exactly(s, s->refs[i].off, p, size);
  if (rc == LSM_OK) rc = new_block(s, i, p, b);
  if (p != stack) lsm_free(p);
  return rc;
}

lsm_rc lsm_sst_fetch(lsm_sst *s, size_t i, lsm_sst_window *win, lsm_block **b) {
  const uint8_t *p;
  lsm_rc rc = LSM_OK;
  if (win == NULL || !lsm_sst_window_has(win, s, i)) {
    rc = read_block(s, i, b);
  } else {
    rc = lsm_sst_window_get(win, s, i, 0, false, &p);
    if (rc == LSM_OK) rc = new_block(s, i, p, b);
  }
  if (rc == LSM_OK) lsm_cache_insert(s->cache, s->number, s->refs[i].off, b);
  return rc;
}

lsm_rc lsm_sst_block(lsm_sst *s, size_t i, lsm_block **b) {
  *b = lsm_cache_get(s->cache, s->number, s->refs[i].off);
  return *b != NULL ? LSM_OK : lsm_sst_fetch(s, i, NULL, b);
}

bool lsm_sst_window_has(const lsm_sst_window *win, const lsm_sst *s, size_t i) {
  return s->refs[i].off >= win->off && s->refs[i + 1].off <= win->off + win->bytes.size;
}

lsm_rc lsm_sst_window_get(lsm_sst_window *win, const lsm_sst *s, size_t i, size_t ahead,
                          bool backward, const uint8_t **p) {
  uint64_t off = s->refs[i].off, end = s->refs[i + 1].off;
  if (!lsm_sst_window_has(win, s, i)) {
    if (backward) {
      uint64_t back = end > ahead ? end - ahead : 0;
      if (back < off) off = back;
    } else {
      uint64_t front = s->data_end - off > ahead ? off + ahead : s->data_end;
      if (front > end) end = front;
    }
    if (end - off > SIZE_MAX) return lsm_nomem();
    size_t n = (size_t)(end - off);
    lsm_buf_clear(&win->bytes);
    lsm_rc rc = lsm_buf_reserve(&win->bytes, n);
    if (rc == LSM_OK) rc = read_exactly(s, off, win->bytes.data, n);
    if (rc != LSM_OK) return rc;
    win->bytes.size = n;
    win->off = off;
  }
  *p = win->bytes.data + (s->refs[i].off - win->off);
  return LSM_OK;
}

/*------------------------------------------------------------------- parts */

/* A part, raw, as owned bytes in *out. tail holds the file from tail_off on. */
static lsm_rc load_part(lsm_sst *s, const lsm_sst_extent *part, const lsm_buf *tail,
                        uint64_t tail_off, lsm_buf *out) {
  const uint8_t *p = tail->data + (part->off - tail_off);
  size_t size = (size_t)part->size, raw_size;
  uint8_t type;
  lsm_rc rc = lsm_sst_check(s, part->off, p, size, &type, &raw_size);
  lsm_buf_clear(out);
  if (rc == LSM_OK) rc = lsm_buf_reserve(out, raw_size);
  if (rc == LSM_OK)
    rc = lsm_sst_unpack(s, part->off, lsm_slice_of(p, size), type, out->data, raw_size);
  if (rc == LSM_OK) out->size = raw_size;
  return rc;
}

static lsm_rc load_ranges(lsm_sst *s, uint64_t off, lsm_slice bytes, uint64_t *count) {
  lsm_reader r = lsm_reader_of(bytes);
  lsm_slice before = LSM_SLICE_NULL;
  for (*count = 0; r.p < r.end; ++*count) {
    lsm_slice lo = lsm_read_slice(&r), hi = lsm_read_slice(&r);
    if (!r.ok || lsm_slice_cmp(lo, hi) >= 0 || (*count > 0 && lsm_slice_cmp(before, lo) > 0))
      return corrupt(s, off, "malformed range tombstones");
    lsm_rc rc = lsm_rangeset_add(&s->ranges, lo, hi);
    if (rc != LSM_OK) return rc;
    before = hi;
  }
  return LSM_OK;
}

/* Takes the filter over from *bytes, moved so that its lines are lines of the
** processor's cache too. */
static lsm_rc load_filter(lsm_sst *s, uint64_t off, lsm_slice bytes) {
  if (!lsm_bloom_is_valid(bytes)) return corrupt(s, off, "malformed bloom filter");
  if (bytes.size == 0) return LSM_OK;
  lsm_rc rc = lsm_buf_reserve(&s->filter_bytes, bytes.size + LINE - 1);
  if (rc != LSM_OK) return rc;
  uintptr_t p = (uintptr_t)s->filter_bytes.data;
  uint8_t *start = s->filter_bytes.data + (LINE - p % LINE) % LINE;
  memcpy(start, bytes.data, bytes.size);
  s->filter = lsm_slice_of(start, bytes.size);
  return LSM_OK;
}

static bool get_number(lsm_slice value, uint64_t *v) {
  lsm_reader r = lsm_reader_of(value);
  *v = lsm_read_varint(&r);
  return r.ok && r.p == r.end;
}

/* One property; *seen has a bit for each known one. A name that comes twice
** or a number that is none is malformed. */
static lsm_rc load_prop(lsm_sst_props *p, lsm_slice name, lsm_slice value, unsigned *seen,
                        bool *ok) {
  uint64_t open = 0;
  const struct {
    const char *name;
    uint64_t *number;
    lsm_buf *bytes;
  } known[] = {
      {LSM_SST_PROP_ENTRIES, &p->entries, NULL}, {LSM_SST_PROP_TOMBSTONES, &p->tombstones, NULL},
      {LSM_SST_PROP_RANGES, &p->ranges, NULL},   {LSM_SST_PROP_RAW_BYTES, &p->raw_bytes, NULL},
      {LSM_SST_PROP_LARGEST_OPEN, &open, NULL},  {LSM_SST_PROP_SMALLEST, NULL, &p->smallest},
      {LSM_SST_PROP_LARGEST, NULL, &p->largest},
      {LSM_SST_PROP_EXPIRES_FIRST, &p->expiry.first, NULL},
      {LSM_SST_PROP_EXPIRES_HALF, &p->expiry.half, NULL},
      {LSM_SST_PROP_EXPIRES_LAST, &p->expiry.last, NULL}};
  *ok = true;
  for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (!lsm_slice_eq(name, lsm_slice_str(known[i].name))) continue;
    *ok = (*seen & 1u << i) == 0;
    *seen |= 1u << i;
    if (known[i].bytes != NULL) return lsm_buf_set(known[i].bytes, value);
    *ok = *ok && get_number(value, known[i].number);
    if (known[i].number == &open) {
      *ok = *ok && open <= 1;
      p->largest_open = open != 0;
    }
    return LSM_OK;
  }
  return LSM_OK;
}

enum { ALL_PROPS = 0x7F, EXPIRY_PROPS = 0x380 };

static lsm_rc load_props(lsm_sst *s, uint64_t off, lsm_slice bytes) {
  lsm_reader r = lsm_reader_of(bytes);
  unsigned seen = 0;
  while (r.p < r.end) {
    lsm_slice name = lsm_read_slice(&r), value = lsm_read_slice(&r);
    bool ok = false;
    lsm_rc rc = r.ok ? load_prop(&s->props, name, value, &seen, &ok) : LSM_OK;
    if (rc != LSM_OK) return rc;
    if (!ok) return corrupt(s, off, "malformed properties");
  }
  unsigned expiry = seen & EXPIRY_PROPS;
  if (expiry != 0 && (expiry != EXPIRY_PROPS || !lsm_expiry_is_sound(&s->props.expiry))) {
    return corrupt(s, off, "malformed times of expiry");
  }
  return (seen & ALL_PROPS) == ALL_PROPS ? LSM_OK : corrupt(s, off, "missing properties");
}

/*------------------------------------------------------------------- index */

/* The first eight bytes as a number, so that order is that of memcmp; zeros
** stand in for bytes that are missing. */
static inline uint64_t head_of(const uint8_t *p, size_t n) {
  uint64_t h = 0;
  size_t m = n < 8 ? n : 8;
  for (size_t i = 0; i < m; i++) h |= (uint64_t)p[i] << (56 - 8 * i);
  return h;
}

/* Decodes s->index_bytes; checks that separators rise and that blocks cover
** [0, data_end) exactly. */
static lsm_rc load_index(lsm_sst *s, uint64_t off, uint64_t *entries) {
  static const char what[] = "malformed index";
  lsm_reader r = lsm_reader_of(lsm_buf_slice(&s->index_bytes));
  s->common = lsm_read_slice(&r);
  uint64_t n = lsm_read_varint(&r);
  *entries = 0;
  if (!r.ok || n > (uint64_t)(r.end - r.p) / 3) return corrupt(s, off, what);
  s->refs = lsm_calloc(((size_t)n + 1) * sizeof *s->refs);
  if (s->refs == NULL) return lsm_nomem();
  s->nblocks = (size_t)n;
  uint64_t at = 0;
  for (size_t i = 0; i < s->nblocks; i++) {
    lsm_slice key = lsm_read_slice(&r);
    uint64_t size = lsm_read_varint(&r), count = lsm_read_varint(&r);
    if (!r.ok || key.size > LSM_KEY_MAX || count == 0 || count > UINT32_MAX ||
        size > LSM_SST_BODY_MAX || size + LSM_SST_TRAILER > s->data_end - at)
      return corrupt(s, off, what);
    lsm_sst_ref *ref = &s->refs[i];
    if (i > 0 && lsm_slice_cmp(lsm_slice_of(ref[-1].key, ref[-1].key_size), key) >= 0)
      return corrupt(s, off, what);
    ref->head = head_of(key.data, key.size);
    ref->off = at;
    ref->key = key.data;
    ref->key_size = (uint32_t)key.size;
    ref->entries = (uint32_t)count;
    at += size + LSM_SST_TRAILER;
    *entries += count;
  }
  s->refs[s->nblocks].off = at;
  return r.p == r.end && at == s->data_end ? LSM_OK : corrupt(s, off, what);
}

size_t lsm_sst_find(const lsm_sst *s, lsm_slice key) {
  size_t n = key.size < s->common.size ? key.size : s->common.size;
  int c = n == 0 ? 0 : memcmp(key.data, s->common.data, n);
  if (c != 0) return c < 0 ? 0 : s->nblocks;
  if (key.size < s->common.size) return 0; /* a prefix of all of them */
  lsm_slice rest = lsm_slice_of(key.data + n, key.size - n);
  uint64_t head = head_of(rest.data, rest.size);
  size_t lo = 0, hi = s->nblocks;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    const lsm_sst_ref *ref = &s->refs[mid];
    bool less =
        ref->head < head ||
        (ref->head == head && lsm_slice_cmp(lsm_slice_of(ref->key, ref->key_size), rest) < 0);
    if (less) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

/*-------------------------------------------------------------------- open */

/* Does the footer belong to this file, and do the parts fill it? */
static lsm_rc check_footer(lsm_sst *s, const lsm_sst_footer *f, uint64_t off) {
  if (memcmp(f->store_id, s->store_id, LSM_STORE_ID_SIZE) != 0)
    return corrupt(s, off, "table of another store");
  if (f->file_number != s->number) return corrupt(s, off, "table of another number");
  if (f->keyspace > LSM_KEYSPACE_MAX) return corrupt(s, off, "malformed footer");
  uint64_t at = f->parts[0].off;
  for (int i = 0; i < LSM_SST_PARTS; i++) {
    const lsm_sst_extent *part = &f->parts[i];
    if (part->off != at || at > off || part->size > LSM_SST_BODY_MAX ||
        part->size + LSM_SST_TRAILER > off - at)
      return corrupt(s, off, "malformed footer");
    at += part->size + LSM_SST_TRAILER;
  }
  if (at != off) return corrupt(s, off, "malformed footer");
  s->keyspace = f->keyspace;
  s->data_end = f->parts[0].off;
  return LSM_OK;
}

/* Reads the end of the file from *tail_off on, at least all the parts. */
static lsm_rc read_tail(lsm_sst *s, lsm_buf *tail, uint64_t *tail_off, lsm_sst_footer *f) {
  uint64_t size;
  lsm_rc rc = s->file->ops->size(s->file, &size);
  if (rc != LSM_OK) return rc;
  if (size != s->props.size) return corrupt(s, size, "size is not what the manifest says");
  if (size < LSM_SST_FOOTER) return corrupt(s, 0, "too short for an SSTable");
  uint64_t off = size < TAIL_SIZE ? 0 : size - TAIL_SIZE;
  for (;;) {
    if (size - off > SIZE_MAX / 2) return lsm_nomem();
    size_t n = (size_t)(size - off);
    lsm_buf_clear(tail);
    rc = lsm_buf_reserve(tail, n);
    if (rc == LSM_OK) rc = read_exactly(s, off, tail->data, n);
    if (rc != LSM_OK) return rc;
    tail->size = n;
    *tail_off = off;
    uint64_t footer_off = size - LSM_SST_FOOTER;
    const char *wrong = lsm_sst_footer_get(tail->data + n - LSM_SST_FOOTER, f);
    if (wrong != NULL) return corrupt(s, footer_off, wrong);
    rc = check_footer(s, f, footer_off);
    if (rc != LSM_OK || s->data_end >= off) return rc;
    off = s->data_end; /* large index or filter: once more, all of it */
  }
}

static lsm_rc load_parts(lsm_sst *s, const lsm_sst_footer *f, const lsm_buf *tail,
                         uint64_t tail_off) {
  const lsm_sst_extent *parts = f->parts;
  lsm_buf raw = {0};
  uint64_t nranges = 0, entries = 0;
  lsm_rc rc = load_part(s, &parts[LSM_SST_RANGES], tail, tail_off, &raw);
  if (rc == LSM_OK) rc = load_ranges(s, parts[LSM_SST_RANGES].off, lsm_buf_slice(&raw), &nranges);
  if (rc == LSM_OK) rc = load_part(s, &parts[LSM_SST_FILTER], tail, tail_off, &raw);
  if (rc == LSM_OK) rc = load_filter(s, parts[LSM_SST_FILTER].off, lsm_buf_slice(&raw));
  if (rc == LSM_OK) rc = load_part(s, &parts[LSM_SST_PROPS], tail, tail_off, &raw);
  if (rc == LSM_OK) rc = load_props(s, parts[LSM_SST_PROPS].off, lsm_buf_slice(&raw));
  if (rc == LSM_OK) rc = load_part(s, &parts[LSM_SST_INDEX], tail, tail_off, &s->index_bytes);
  if (rc == LSM_OK) rc = load_index(s, parts[LSM_SST_INDEX].off, &entries);
  if (rc == LSM_OK && (entries != s->props.entries || nranges != s->props.ranges))
    rc = corrupt(s, parts[LSM_SST_PROPS].off, "properties do not match index or ranges");
  lsm_buf_fini(&raw);
  return rc;
}

/* What the parts take in memory. */
static int64_t memory_of(const lsm_sst *s) {
  size_t n = sizeof *s + s->index_bytes.cap + (s->nblocks + 1) * sizeof *s->refs +
             s->filter_bytes.cap + s->ranges.cap * sizeof *s->ranges.items + s->props.smallest.cap +
             s->props.largest.cap;
  for (size_t i = 0; i < s->ranges.count; i++)
    n += s->ranges.items[i].lo.size + s->ranges.items[i].hi.size;
  return (int64_t)n;
}

lsm_rc lsm_sst_load(lsm_sst *s) {
  lsm_buf tail = {0};
  uint64_t tail_off = 0;
  lsm_sst_footer f;
  s->crc_seed = lsm_sst_crc_seed(s->store_id, s->number);
  lsm_rc rc = read_tail(s, &tail, &tail_off, &f);
  if (rc == LSM_OK) rc = load_parts(s, &f, &tail, tail_off);
  if (rc == LSM_OK) {
    s->reserved = memory_of(s);
    lsm_cache_reserve(s->cache, s->reserved);
  }
  lsm_buf_fini(&tail);
  return rc;
}

void lsm_sst_unload(lsm_sst *s) {
  if (s->reserved != 0) lsm_cache_reserve(s->cache, -s->reserved);
  s->reserved = 0;
  lsm_buf_fini(&s->index_bytes);
  lsm_free(s->refs);
  s->refs = NULL;
  lsm_buf_fini(&s->filter_bytes);
  lsm_rangeset_fini(&s->ranges);
  lsm_sst_props_fini(&s->props);
}

lsm_rc lsm_sst_open(lsm_env *env, const char *path, const uint8_t *store_id, uint64_t number,
                    uint64_t size, lsm_cache *cache, lsm_read_stats *stats, lsm_sst **sst) {
  size_t path_size = strlen(path) + 1;
  lsm_rc rc;
  lsm_sst *s = *sst = lsm_calloc(sizeof *s);
  if (s == NULL) return lsm_nomem();
  s->number = number;
  s->cache = cache;
  s->stats = stats;
  s->props.size = size;
  memcpy(s->store_id, store_id, LSM_STORE_ID_SIZE);
  s->path = lsm_malloc(path_size);
  if (s->path == NULL) {
    rc = lsm_nomem();
    goto done;
  }
  memcpy(s->path, path, path_size);
  rc = env->open(env, path, LSM_OPEN_READ, &s->file);
  if (rc == LSM_OK) rc = lsm_sst_load(s);
done:
  if (rc != LSM_OK) {
    lsm_sst_close(s);
    *sst = NULL;
  }
  return rc;
}

void lsm_sst_close(lsm_sst *sst) {
  if (sst == NULL) return;
  lsm_sst_unload(sst);
  lsm_file_close(sst->file);
  lsm_free(sst->path);
  lsm_free(sst);
}

/*--------------------------------------------------------------------- get */

static inline void count(_Atomic uint64_t *counter) {
  atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Past the filter. */
static lsm_rc search(lsm_sst *s, lsm_slice key, lsm_kind *kind, lsm_slice *value, lsm_block **pin) {
  size_t i = lsm_sst_find(s, key);
  if (i == s->nblocks) return LSM_NOTFOUND;
  lsm_rc rc = lsm_sst_block(s, i, pin);
  if (rc != LSM_OK) return rc;
  rc = lsm_block_get(lsm_slice_of((*pin)->data, (*pin)->size), lsm_block_hint(*pin), key, s->path,
                     s->refs[i].off, kind, value);
  if (rc == LSM_OK && *kind == LSM_KIND_PUT) return LSM_OK;
  lsm_block_unpin(s->cache, *pin);
  *pin = NULL;
  *value = LSM_SLICE_NULL;
  return rc;
}

lsm_rc lsm_sst_get(lsm_sst *sst, lsm_slice key, uint64_t hash, lsm_kind *kind, lsm_slice *value,
                   lsm_block **pin) {
  *pin = NULL;
  *value = LSM_SLICE_NULL;
  bool filtered = sst->filter.size > 0;
  if (filtered) {
    bool maybe = lsm_bloom_may_contain(sst->filter, hash);
    if (sst->stats != NULL) {
      count(&sst->stats->bloom_checks);
      if (!maybe) count(&sst->stats->bloom_hits);
    }
    if (!maybe) return LSM_NOTFOUND;
  }
  lsm_rc rc = search(sst, key, kind, value, pin);
  if (rc == LSM_NOTFOUND && filtered && sst->stats != NULL)
    count(&sst->stats->bloom_false_positives);
  return rc;
}

/*--------------------------------------------------------------- accessors */

uint64_t lsm_sst_number(const lsm_sst *sst) {
  return sst->number;
}

const lsm_rangeset *lsm_sst_ranges(const lsm_sst *sst) {
  return &sst->ranges;
}

size_t lsm_sst_memory(const lsm_sst *sst) {
  return (size_t)sst->reserved;
}

const lsm_sst_props *lsm_sst_get_props(const lsm_sst *sst) {
  return &sst->props;
}

double lsm_sst_position(lsm_sst *sst, lsm_slice key) {
  if (sst->data_end == 0) return 0;
  return (double)sst->refs[lsm_sst_find(sst, key)].off / (double)sst->data_end;
}
