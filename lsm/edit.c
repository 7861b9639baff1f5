/* edit.c: edits in memory, and their bytes.
**
** Owns:  the arrays of an lsm_edit.
** Holds: what lsm_edit_decode() returns is sound by itself (known tags, sane
**        numbers, keys in their keyspace); whether it fits a version is for
**        lsm_version_apply() to say.
** Bytes: edit := field*, field := tag:varint and what the tag requires; see
**        FORMAT.md, "Manifest edits". */
#include "version.h"

/* Tags are on disk. */
enum {
  TAG_NEXT_FILE = 1,
  TAG_LOG = 2,
  TAG_NEXT_KEYSPACE = 3,
  TAG_LAST_TXID = 4,
  TAG_KEYSPACE = 5,
  TAG_DROP_KEYSPACE = 6,
  TAG_ADD_FILE = 7,
  TAG_REMOVE_FILE = 8,
  TAG_POINTER = 9,
  TAG_EXPIRING_KEYSPACE = 10 /* as TAG_KEYSPACE; its values expire */
};

#define FLAG_LARGEST_OPEN 1u
#define FLAG_PACKED 2u
#define FLAG_EXPIRES 4u /* when its values expire follows */
#define FLAGS (FLAG_LARGEST_OPEN | FLAG_PACKED | FLAG_EXPIRES)

void lsm_edit_fini(lsm_edit *e) {
  for (size_t i = 0; i < e->nadded; i++) lsm_filemeta_unref(e->added[i].file);
  for (size_t i = 0; i < e->npointers; i++) lsm_buf_fini(&e->pointers[i].key);
  lsm_free(e->keyspaces);
  lsm_free(e->added);
  lsm_free(e->removed);
  lsm_free(e->pointers);
  memset(e, 0, sizeof *e);
}

/*---------------------------------------------------------------- building */

/* Room for one more in an array of count items that doubles at powers of two;
** returns where the array is now, or NULL: no memory, and it is as it was. */
static void *room(void *items, size_t count, size_t item) {
  if (items != NULL && (count & (count - 1)) != 0) return items;
  if (count > SIZE_MAX / 2 / item) return NULL;
  return lsm_realloc(items, (count == 0 ? 1 : count * 2) * item);
}

static lsm_rc push_keyspace(lsm_edit *e, const lsm_edit_keyspace *k) {
  lsm_edit_keyspace *p = room(e->keyspaces, e->nkeyspaces, sizeof *p);
  if (p == NULL) return lsm_nomem();
  e->keyspaces = p;
  p[e->nkeyspaces++] = *k;
  return LSM_OK;
}

lsm_rc lsm_edit_add_keyspace(lsm_edit *e, uint32_t id, const lsm_keyspace_options *opt) {
  lsm_edit_keyspace k = {id, false, *opt};
  return push_keyspace(e, &k);
}

lsm_rc lsm_edit_drop_keyspace(lsm_edit *e, uint32_t id) {
  lsm_edit_keyspace k;
  memset(&k, 0, sizeof k);
  k.id = id;
  k.drop = true;
  return push_keyspace(e, &k);
}

lsm_rc lsm_edit_add_file(lsm_edit *e, lsm_filemeta *f) {
  lsm_edit_file *p = room(e->added, e->nadded, sizeof *p);
  if (p == NULL) return lsm_nomem();
  e->added = p;
  lsm_edit_file add = {lsm_filemeta_ref(f), f->keyspace, f->level, f->number};
  p[e->nadded++] = add;
  return LSM_OK;
}

static lsm_rc push_removal(lsm_edit *e, uint32_t keyspace, uint8_t level, uint64_t number) {
  lsm_edit_file *p = room(e->removed, e->nremoved, sizeof *p);
  if (p == NULL) return lsm_nomem();
  e->removed = p;
  lsm_edit_file removal = {NULL, keyspace, level, number};
  p[e->nremoved++] = removal;
  return LSM_OK;
}

lsm_rc lsm_edit_remove_file(lsm_edit *e, const lsm_filemeta *f) {
  return push_removal(e, f->keyspace, f->level, f->number);
}

lsm_rc lsm_edit_set_pointer(lsm_edit *e, uint32_t keyspace, int level, lsm_slice key) {
  assert(level >= 0 && level < LSM_MAX_LEVELS);
  lsm_edit_pointer *p = room(e->pointers, e->npointers, sizeof *p);
  if (p == NULL) return lsm_nomem();
  e->pointers = p;
  lsm_edit_pointer pointer;
  memset(&pointer, 0, sizeof pointer);
  pointer.keyspace = keyspace;
  pointer.level = (uint8_t)level;
  lsm_rc rc = lsm_buf_set(&pointer.key, key);
  if (rc != LSM_OK) {
    lsm_buf_fini(&pointer.key);
    return rc;
  }
  p[e->npointers++] = pointer;
  return LSM_OK;
}

/*---------------------------------------------------------------- encoding */

/* A buffer with the first error kept: fields are put without a look at each. */
typedef struct encoder {
  lsm_buf *out;
  lsm_rc rc;
} encoder;

static void put(encoder *w, uint64_t v) {
  if (w->rc == LSM_OK) w->rc = lsm_buf_put_varint(w->out, v);
}

static void put_u8(encoder *w, unsigned v) {
  if (w->rc == LSM_OK) w->rc = lsm_buf_put_u8(w->out, (uint8_t)v);
}

static void put_slice(encoder *w, lsm_slice s) {
  if (w->rc == LSM_OK) w->rc = lsm_buf_put_slice(w->out, s);
}

static void put_number(encoder *w, bool has, unsigned tag, uint64_t v) {
  if (!has) return;
  put(w, tag);
  put(w, v);
}

static void put_keyspace(encoder *w, const lsm_edit_keyspace *k) {
  put(w, k->drop          ? TAG_DROP_KEYSPACE
         : k->opt.expires ? TAG_EXPIRING_KEYSPACE
                          : TAG_KEYSPACE);
  put(w, k->id);
  if (k->drop) return;
  put_u8(w, (unsigned)k->opt.compaction);
  put_u8(w, (unsigned)k->opt.compression);
  put(w, k->opt.block_size);
  put(w, k->opt.bloom_bits);
}

static void put_file(encoder *w, const lsm_filemeta *f) {
  put(w, TAG_ADD_FILE);
  put(w, f->keyspace);
  put_u8(w, f->level);
  put(w, f->run);
  put(w, f->number);
  put(w, f->size);
  put(w, f->entries);
  put(w, f->tombstones);
  put(w, f->ranges);
  put(w, f->raw_bytes);
  bool expires = f->expiry.first != 0;
  put_u8(w, (f->largest_open ? FLAG_LARGEST_OPEN : 0) | (f->packed ? FLAG_PACKED : 0) |
                (expires ? FLAG_EXPIRES : 0));
  put_slice(w, f->smallest);
  put_slice(w, f->largest);
  if (!expires) return;
  put(w, f->expiry.first);
  put(w, f->expiry.half);
  put(w, f->expiry.last);
}

lsm_rc lsm_edit_encode(const lsm_edit *e, lsm_buf *out) {
  size_t before = out->size;
  encoder w = {out, LSM_OK};
  put_number(&w, e->has_next_file, TAG_NEXT_FILE, e->next_file);
  put_number(&w, e->has_log, TAG_LOG, e->log);
  put_number(&w, e->has_next_keyspace, TAG_NEXT_KEYSPACE, e->next_keyspace);
  put_number(&w, e->has_last_txid, TAG_LAST_TXID, e->last_txid);
  for (size_t i = 0; i < e->nkeyspaces; i++) put_keyspace(&w, &e->keyspaces[i]);
  for (size_t i = 0; i < e->nremoved; i++) {
    put(&w, TAG_REMOVE_FILE);
    put(&w, e->removed[i].keyspace);
    put_u8(&w, e->removed[i].level);
    put(&w, e->removed[i].number);
  }
  for (size_t i = 0; i < e->nadded; i++) put_file(&w, e->added[i].file);
  for (size_t i = 0; i < e->npointers; i++) {
    put(&w, TAG_POINTER);
    put(&w, e->pointers[i].keyspace);
    put_u8(&w, e->pointers[i].level);
    put_slice(&w, lsm_buf_slice(&e->pointers[i].key));
  }
  if (w.rc != LSM_OK) out->size = before;
  return w.rc;
}

/*---------------------------------------------------------------- decoding */

/* Bytes being read, and what is wrong with them: the first fault found. */
typedef struct decoder {
  lsm_reader r;
  const char *fault;
} decoder;

static void fault(decoder *d, const char *what) {
  if (d->fault == NULL) d->fault = what;
}

static uint32_t get_u32(decoder *d, const char *what) {
  uint64_t v = lsm_read_varint(&d->r);
  if (v > UINT32_MAX) fault(d, what);
  return (uint32_t)v;
}

static uint32_t get_keyspace_id(decoder *d) {
  uint32_t id = get_u32(d, "edit: keyspace number too large");
  if (id == 0 || id > LSM_KEYSPACE_MAX) fault(d, "edit: no such keyspace can be");
  return id;
}

static uint8_t get_level(decoder *d) {
  uint8_t level = lsm_read_u8(&d->r);
  if (level >= LSM_MAX_LEVELS) fault(d, "edit: no such level can be");
  return level;
}

static bool key_in(lsm_slice key, uint32_t keyspace) {
  uint32_t id;
  return lsm_prefix_get(key, &id) > 0 && id == keyspace;
}

/* May key be the end of something in the keyspace, itself not included? That
** goes as far as the first byte of the next keyspace. */
static bool bound_in(lsm_slice key, uint32_t keyspace) {
  if (key_in(key, keyspace)) return true;
  uint8_t lo[LSM_PREFIX_MAX];
  uint8_t hi[LSM_PREFIX_MAX];
  size_t nlo = lsm_prefix_put(lo, keyspace);
  size_t nhi = lsm_prefix_put(hi, keyspace + 1);
  return lsm_slice_cmp(lsm_slice_of(lo, nlo), key) < 0 &&
         lsm_slice_cmp(key, lsm_slice_of(hi, nhi)) <= 0;
}

/* A counter, of which an edit has at most one. */
static void get_number(decoder *d, bool *has, uint64_t *v) {
  if (*has) fault(d, "edit: field given twice");
  *has = true;
  *v = lsm_read_varint(&d->r);
}

static lsm_rc get_keyspace(decoder *d, lsm_edit *e, bool drop, bool expires) {
  lsm_edit_keyspace k;
  memset(&k, 0, sizeof k);
  k.id = get_keyspace_id(d);
  k.drop = drop;
  k.opt.expires = expires;
  if (!drop) {
    uint8_t compaction = lsm_read_u8(&d->r);
    uint8_t compression = lsm_read_u8(&d->r);
    k.opt.block_size = get_u32(d, "edit: block size too large");
    k.opt.bloom_bits = get_u32(d, "edit: bloom bits too large");
    if (compaction > LSM_TIERED) fault(d, "edit: unknown compaction");
    if (compression > LSM_COMPRESS_ZLIB) fault(d, "edit: unknown compression");
    k.opt.compaction = compaction == LSM_TIERED ? LSM_TIERED : LSM_LEVELED;
    k.opt.compression = compression == LSM_COMPRESS_ZLIB ? LSM_COMPRESS_ZLIB : LSM_COMPRESS_NONE;
  }
  if (!d->r.ok || d->fault != NULL) return LSM_OK;
  return push_keyspace(e, &k);
}

static void check_bounds(decoder *d, uint32_t keyspace, lsm_slice smallest, lsm_slice largest,
                         bool open) {
  int c = lsm_slice_cmp(smallest, largest);
  if (c > 0 || (c == 0 && open)) fault(d, "edit: smallest key after largest");
  if (!key_in(smallest, keyspace)) fault(d, "edit: smallest key of another keyspace");
  if (!(open ? bound_in(largest, keyspace) : key_in(largest, keyspace))) {
    fault(d, "edit: largest key of another keyspace");
  }
}

/* An lsm_buf that borrows; it is only read from. */
static lsm_buf borrowed_buf(lsm_slice s) {
  lsm_buf b = {(uint8_t *)s.data, s.size, 0};
  return b;
}

static lsm_rc get_file(decoder *d, lsm_edit *e) {
  lsm_sst_props props;
  memset(&props, 0, sizeof props);
  uint32_t keyspace = get_keyspace_id(d);
  uint8_t level = get_level(d);
  uint64_t run = lsm_read_varint(&d->r);
  uint64_t number = lsm_read_varint(&d->r);
  props.size = lsm_read_varint(&d->r);
  props.entries = lsm_read_varint(&d->r);
  props.tombstones = lsm_read_varint(&d->r);
  props.ranges = lsm_read_varint(&d->r);
  props.raw_bytes = lsm_read_varint(&d->r);
  uint8_t flags = lsm_read_u8(&d->r);
  lsm_slice smallest = lsm_read_slice(&d->r);
  lsm_slice largest = lsm_read_slice(&d->r);
  if ((flags & FLAG_EXPIRES) != 0) {
    props.expiry.first = lsm_read_varint(&d->r);
    props.expiry.half = lsm_read_varint(&d->r);
    props.expiry.last = lsm_read_varint(&d->r);
    if (d->r.ok && !lsm_expiry_is_sound(&props.expiry)) fault(d, "edit: times of expiry disagree");
  }
  if (!d->r.ok) return LSM_OK;
  if (level > 0 && run != 0) fault(d, "edit: run number below level 0");
  if (number == 0) fault(d, "edit: file number zero");
  if (props.tombstones > props.entries) fault(d, "edit: more tombstones than entries");
  if ((flags & ~FLAGS) != 0) fault(d, "edit: unknown flag of a file");
  props.largest_open = (flags & FLAG_LARGEST_OPEN) != 0;
  props.packed = (flags & FLAG_PACKED) != 0;
  check_bounds(d, keyspace, smallest, largest, props.largest_open);
  if (d->fault != NULL) return LSM_OK;

  props.smallest = borrowed_buf(smallest);
  props.largest = borrowed_buf(largest);
  lsm_filemeta *f;
  lsm_rc rc = lsm_filemeta_new(number, keyspace, level, run, &props, &f);
  if (rc == LSM_OK) rc = lsm_edit_add_file(e, f);
  lsm_filemeta_unref(f);
  return rc;
}

static lsm_rc get_removal(decoder *d, lsm_edit *e) {
  uint32_t keyspace = get_keyspace_id(d);
  uint8_t level = get_level(d);
  uint64_t number = lsm_read_varint(&d->r);
  if (!d->r.ok || d->fault != NULL) return LSM_OK;
  return push_removal(e, keyspace, level, number);
}

static lsm_rc get_pointer(decoder *d, lsm_edit *e) {
  uint32_t keyspace = get_keyspace_id(d);
  uint8_t level = get_level(d);
  lsm_slice key = lsm_read_slice(&d->r);
  if (!d->r.ok) return LSM_OK;
  if (key.size > 0 && !bound_in(key, keyspace)) fault(d, "edit: pointer into another keyspace");
  if (d->fault != NULL) return LSM_OK;
  return lsm_edit_set_pointer(e, keyspace, level, key);
}

/* One field. What is wrong with it stands in d; the result is for the rest. */
static lsm_rc get_field(decoder *d, lsm_edit *e) {
  uint64_t wide = 0;
  switch (lsm_read_varint(&d->r)) {
    case TAG_NEXT_FILE:
      get_number(d, &e->has_next_file, &e->next_file);
      return LSM_OK;
    case TAG_LOG:
      get_number(d, &e->has_log, &e->log);
      return LSM_OK;
    case TAG_NEXT_KEYSPACE:
      get_number(d, &e->has_next_keyspace, &wide);
      if (wide > UINT32_MAX) fault(d, "edit: keyspace number too large");
      e->next_keyspace = (uint32_t)wide;
      return LSM_OK;
    case TAG_LAST_TXID:
      get_number(d, &e->has_last_txid, &e->last_txid);
      return LSM_OK;
    case TAG_KEYSPACE:
      return get_keyspace(d, e, false, false);
    case TAG_EXPIRING_KEYSPACE:
      return get_keyspace(d, e, false, true);
    case TAG_DROP_KEYSPACE:
      return get_keyspace(d, e, true, false);
    case TAG_ADD_FILE:
      return get_file(d, e);
    case TAG_REMOVE_FILE:
      return get_removal(d, e);
    case TAG_POINTER:
      return get_pointer(d, e);
    default:
      fault(d, "edit: unknown tag");
      return LSM_OK;
  }
}

lsm_rc lsm_edit_decode(lsm_slice in, const char *file, uint64_t off, lsm_edit *e) {
  memset(e, 0, sizeof *e);
  decoder d = {lsm_reader_of(in), NULL};
  lsm_rc rc = LSM_OK;
  while (rc == LSM_OK && d.r.p < d.r.end) {
    rc = get_field(&d, e);
    if (rc == LSM_OK && !d.r.ok) rc = lsm_corrupt(file, off, "edit: cut off");
    if (rc == LSM_OK && d.fault != NULL) rc = lsm_corrupt(file, off, d.fault);
  }
  if (rc != LSM_OK) lsm_edit_fini(e);
  return rc;
}
