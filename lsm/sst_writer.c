/* sst_writer.c: streams sorted entries into a new SSTable.
**
** Owns:   the file, and removes it unless it was finished; the output buffer;
**         what the parts after the data are made from: separators, hashes of
**         the keys, range tombstones.
** Holds:  (1) keys rise, across blocks too;
**         (2) a block goes out with the first key that no longer belongs to
**             it; its index entry with the key after it, because the
**             separator depends on both sides;
**         (3) the first error sticks: nothing is written after it.
** Bytes:  sst_format.h. At most WRITE_SIZE bytes wait in memory. */
#include "block.h"
#include "bloom.h"
#include "compress.h"
#include "sst.h"
#include "sst_format.h"

enum {
  WRITE_SIZE = 256 << 10, /* bytes a write */
  HINT_SIZE = 1 << 20,    /* bytes until the system is told to start writing */
  BLOCK_SIZE_MIN = 64,
  BLOCK_SIZE_MAX = 64 << 20, /* far from 4 GB, whatever the last entry is */
  PROPS_GUESS = 256
};

struct lsm_sst_writer {
  lsm_env *env;
  char *path;
  lsm_file *file; /* NULL: not created, or finished */
  lsm_rc rc;      /* first error */
  bool finished;

  uint32_t block_size;
  uint32_t bloom_bits;
  uint32_t crc_seed;
  lsm_sst_footer footer; /* filled as the parts go out */

  lsm_block_builder block;
  lsm_buf last_key; /* of the block that went out last, while index_due */
  lsm_sst_extent last_block;
  uint32_t last_entries;
  bool index_due;
  lsm_buf index; /* {separator:slice size:varint entries:varint}*, not yet final */
  size_t nblocks;

  lsm_buf ranges;               /* {lo:slice hi:slice}* */
  lsm_buf ranges_lo, ranges_hi; /* first lower and last upper bound */

  uint64_t *hashes;
  size_t hashes_cap;

  lsm_compressor *zip; /* NULL: no compression */
  lsm_buf zipped;

  lsm_buf out;
  uint64_t written; /* bytes of the file before out */
  uint64_t hinted;  /* bytes the system was told of */

  bool expires;
  lsm_expiry_tally expiry;

  lsm_sst_props props;
};

void lsm_sst_props_fini(lsm_sst_props *p) {
  lsm_buf_fini(&p->smallest);
  lsm_buf_fini(&p->largest);
}

/*----------------------------------------------------------------- output */

static uint64_t file_size(const lsm_sst_writer *w) {
  return w->written + w->out.size;
}

/* Writes what waits, and MORE behind it. */
static lsm_rc write_out(lsm_sst_writer *w, lsm_slice more) {
  lsm_slice parts[2];
  int n = 0;
  if (w->out.size > 0) parts[n++] = lsm_buf_slice(&w->out);
  if (more.size > 0) parts[n++] = more;
  if (n == 0) return LSM_OK;
  lsm_rc rc = w->file->ops->writev(w->file, w->written, parts, n);
  if (rc != LSM_OK) return rc;
  w->written += w->out.size + more.size;
  lsm_buf_clear(&w->out);
  if (w->written - w->hinted >= HINT_SIZE) {
    w->file->ops->sync_hint(w->file, w->hinted, w->written - w->hinted);
    w->hinted = w->written;
  }
  return LSM_OK;
}

static lsm_rc emit(lsm_sst_writer *w, lsm_slice bytes) {
  if (bytes.size > w->out.cap - w->out.size) return write_out(w, bytes);
  return lsm_buf_append(&w->out, bytes.data, bytes.size);
}

/* Body, type and checksum; compressed when that is allowed and worth it. */
static lsm_rc emit_block(lsm_sst_writer *w, lsm_slice body, bool compress, lsm_sst_extent *where) {
  uint8_t type = LSM_SST_RAW;
  if (compress && w->zip != NULL) {
    bool worth;
    lsm_rc rc = lsm_compress(w->zip, body, &w->zipped, &worth);
    if (rc != LSM_OK) return rc;
    if (worth) {
      body = lsm_buf_slice(&w->zipped);
      type = LSM_SST_ZLIB;
    }
  }
  if (body.size > LSM_SST_BODY_MAX) return lsm_fail(LSM_MISUSE, "part of SSTable over 4 GB");
  where->off = file_size(w);
  where->size = body.size;
  uint8_t trailer[LSM_SST_TRAILER];
  trailer[0] = type;
  lsm_set_u32(trailer + 1, lsm_sst_block_crc(w->crc_seed, where->off, body, type));
  lsm_rc rc = emit(w, body);
  if (rc == LSM_OK) rc = emit(w, lsm_slice_of(trailer, sizeof trailer));
  return rc;
}

/*------------------------------------------------------------------ index */

/* Length of the shortest key s, last <= s < next, that begins like last; one
** is added to the last byte of it when *bump. */
static size_t separator_len(lsm_slice last, lsm_slice next, bool *bump) {
  *bump = false;
  size_t n = last.size < next.size ? last.size : next.size;
  size_t same = lsm_common_prefix(last.data, next.data, n);
  if (same >= last.size || same + 1 == last.size) return last.size;
  *bump = true;
  /* At the first difference the byte can be raised, if it then stays below
  ** next: less than its byte there, or equal to it with more bytes to come. */
  if (last.data[same] + 1 < next.data[same] || next.size > same + 1) return same + 1;
  for (size_t i = same + 1; i + 1 < last.size; i++)
    if (last.data[i] != 0xFF) return i + 1;
  *bump = false;
  return last.size;
}

/* The index entry of the block that went out last; NEXT is the key behind it,
** or NULL data at the end. */
static lsm_rc add_index(lsm_sst_writer *w, lsm_slice next) {
  lsm_slice sep = lsm_buf_slice(&w->last_key);
  bool bump = false;
  if (next.data != NULL) sep.size = separator_len(sep, next, &bump);
  if (bump) w->last_key.data[sep.size - 1]++; /* not needed any more */
  lsm_rc rc = lsm_buf_put_slice(&w->index, sep);
  if (rc == LSM_OK) rc = lsm_buf_put_varint(&w->index, w->last_block.size);
  if (rc == LSM_OK) rc = lsm_buf_put_varint(&w->index, w->last_entries);
  if (rc != LSM_OK) return rc;
  w->nblocks++;
  w->index_due = false;
  return LSM_OK;
}

/* Sends the current block out. */
static lsm_rc cut_block(lsm_sst_writer *w) {
  lsm_slice bytes;
  lsm_rc rc = lsm_buf_set(&w->last_key, lsm_buf_slice(&w->block.last_key));
  if (rc == LSM_OK) rc = lsm_block_builder_finish(&w->block, &bytes);
  if (rc == LSM_OK) rc = emit_block(w, bytes, true, &w->last_block);
  if (rc != LSM_OK) return rc;
  w->last_entries = w->block.entries;
  w->index_due = true;
  lsm_block_builder_clear(&w->block);
  return LSM_OK;
}

/* index := common:slice n:varint {rest:slice size:varint entries:varint}*n
** Separators are sorted: what first and last have in common, all have. */
static lsm_rc emit_index(lsm_sst_writer *w) {
  lsm_buf final = {0};
  lsm_slice common = LSM_SLICE_NULL;
  lsm_reader r = lsm_reader_of(lsm_buf_slice(&w->index));
  if (w->nblocks > 0) {
    common = lsm_read_slice(&r);
    lsm_slice last = lsm_buf_slice(&w->last_key);
    size_t n = common.size < last.size ? common.size : last.size;
    common.size = lsm_common_prefix(common.data, last.data, n);
    r = lsm_reader_of(lsm_buf_slice(&w->index));
  }
  lsm_rc rc = lsm_buf_put_slice(&final, common);
  if (rc == LSM_OK) rc = lsm_buf_put_varint(&final, w->nblocks);
  for (size_t i = 0; rc == LSM_OK && i < w->nblocks; i++) {
    lsm_slice sep = lsm_read_slice(&r);
    sep = lsm_slice_of(sep.data + common.size, sep.size - common.size);
    rc = lsm_buf_put_slice(&final, sep);
    if (rc == LSM_OK) rc = lsm_buf_put_varint(&final, lsm_read_varint(&r));
    if (rc == LSM_OK) rc = lsm_buf_put_varint(&final, lsm_read_varint(&r));
  }
  assert(rc != LSM_OK || (r.ok && r.p == r.end));
  if (rc == LSM_OK)
    rc = emit_block(w, lsm_buf_slice(&final), true, &w->footer.parts[LSM_SST_INDEX]);
  lsm_buf_fini(&final);
  return rc;
}

/*--------------------------------------------------- writer: the interface */

static lsm_rc writer_init(lsm_sst_writer *w, lsm_env *env, const char *path,
                          const lsm_sst_options *opt) {
  w->env = env;
  w->block_size = opt->block_size;
  if (w->block_size < BLOCK_SIZE_MIN) w->block_size = BLOCK_SIZE_MIN;
  if (w->block_size > BLOCK_SIZE_MAX) w->block_size = BLOCK_SIZE_MAX;
  w->bloom_bits = opt->bloom_bits;
  w->expires = opt->expires;
  w->crc_seed = lsm_sst_crc_seed(opt->store_id, opt->file_number);
  memcpy(w->footer.store_id, opt->store_id, LSM_STORE_ID_SIZE);
  w->footer.file_number = opt->file_number;
  w->footer.keyspace = opt->keyspace;

  size_t n = strlen(path) + 1;
  w->path = lsm_malloc(n);
  if (w->path == NULL) return lsm_nomem();
  memcpy(w->path, path, n);
  lsm_rc rc = lsm_buf_reserve(&w->out, WRITE_SIZE);
  w->props.packed = opt->compression == LSM_COMPRESS_ZLIB;
  if (rc == LSM_OK && w->props.packed) rc = lsm_compressor_new(&w->zip);
  if (rc != LSM_OK) return rc;
  /* A file of this name is left from a crash: numbers are not used twice. */
  return env->open(env, path, LSM_OPEN_WRITE | LSM_OPEN_CREATE | LSM_OPEN_TRUNCATE, &w->file);
}

lsm_rc lsm_sst_writer_new(lsm_env *env, const char *path, const lsm_sst_options *opt,
                          lsm_sst_writer **w) {
  *w = lsm_calloc(sizeof **w);
  if (*w == NULL) return lsm_nomem();
  lsm_rc rc = writer_init(*w, env, path, opt);
  if (rc != LSM_OK) {
    lsm_sst_writer_free(*w);
    *w = NULL;
  }
  return rc;
}

static lsm_rc add_hash(lsm_sst_writer *w, lsm_slice key) {
  if (w->props.entries == w->hashes_cap) {
    size_t cap = w->hashes_cap == 0 ? 1024 : w->hashes_cap * 2;
    uint64_t *p = lsm_realloc(w->hashes, cap * sizeof *p);
    if (p == NULL) return lsm_nomem();
    w->hashes = p;
    w->hashes_cap = cap;
  }
  w->hashes[w->props.entries] = lsm_hash64(key, 0);
  return LSM_OK;
}

static lsm_rc add_point(lsm_sst_writer *w, lsm_kind kind, lsm_slice key, lsm_slice value) {
  lsm_rc rc = LSM_OK;
  /* A block is full, or a large entry comes, which has one for itself: who
  ** wants its small neighbours should not have to read it. */
  if (w->block.entries > 0 && (lsm_block_builder_size(&w->block) >= w->block_size ||
                               (uint64_t)key.size + value.size >= w->block_size))
    rc = cut_block(w);
  if (rc == LSM_OK && w->index_due) {
    if (lsm_slice_cmp(lsm_buf_slice(&w->last_key), key) >= 0)
      return lsm_fail(LSM_MISUSE, "%s: keys out of order", w->path);
    rc = add_index(w, key);
  }
  if (rc == LSM_OK && w->props.entries == 0) rc = lsm_buf_set(&w->props.smallest, key);
  if (rc == LSM_OK && w->bloom_bits > 0) rc = add_hash(w, key);
  if (rc == LSM_OK && w->expires && kind == LSM_KIND_PUT) rc = lsm_expiry_note(&w->expiry, value);
  if (rc == LSM_OK) rc = lsm_block_builder_add(&w->block, kind, key, value);
  if (rc != LSM_OK) return rc;
  w->props.entries++;
  w->props.raw_bytes += key.size;
  if (kind == LSM_KIND_DELETE) {
    w->props.tombstones++;
  } else {
    w->props.raw_bytes += value.size;
  }
  return LSM_OK;
}

lsm_rc lsm_sst_writer_add(lsm_sst_writer *w, lsm_kind kind, lsm_slice key, lsm_slice value) {
  if (LSM_UNLIKELY(w->rc != LSM_OK || w->finished))
    return lsm_fail(w->rc != LSM_OK ? w->rc : LSM_MISUSE, "%s: not being written", w->path);
  return w->rc = add_point(w, kind, key, value);
}

static lsm_rc add_range(lsm_sst_writer *w, lsm_slice lo, lsm_slice hi) {
  if (lsm_slice_cmp(lo, hi) >= 0 ||
      (w->props.ranges > 0 && lsm_slice_cmp(lsm_buf_slice(&w->ranges_hi), lo) > 0))
    return lsm_fail(LSM_MISUSE, "%s: range tombstones out of order", w->path);
  lsm_rc rc = w->props.ranges == 0 ? lsm_buf_set(&w->ranges_lo, lo) : LSM_OK;
  if (rc == LSM_OK) rc = lsm_buf_set(&w->ranges_hi, hi);
  if (rc == LSM_OK) rc = lsm_buf_put_slice(&w->ranges, lo);
  if (rc == LSM_OK) rc = lsm_buf_put_slice(&w->ranges, hi);
  if (rc == LSM_OK) w->props.ranges++;
  return rc;
}

lsm_rc lsm_sst_writer_add_range(lsm_sst_writer *w, lsm_slice lo, lsm_slice hi) {
  if (LSM_UNLIKELY(w->rc != LSM_OK || w->finished))
    return lsm_fail(w->rc != LSM_OK ? w->rc : LSM_MISUSE, "%s: not being written", w->path);
  return w->rc = add_range(w, lo, hi);
}

uint64_t lsm_sst_writer_size(const lsm_sst_writer *w) {
  uint64_t filter = w->props.entries * w->bloom_bits / 8;
  return file_size(w) + w->block.data.size + w->index.size + w->ranges.size + filter +
         LSM_SST_FOOTER + PROPS_GUESS;
}

/*----------------------------------------------------------------- finish */

/* Bounds of points and ranges together. */
static lsm_rc set_bounds(lsm_sst_writer *w) {
  lsm_sst_props *p = &w->props;
  lsm_rc rc = LSM_OK;
  if (p->entries > 0) rc = lsm_buf_set(&p->largest, lsm_buf_slice(&w->last_key));
  if (rc != LSM_OK || p->ranges == 0) return rc;
  lsm_slice lo = lsm_buf_slice(&w->ranges_lo), hi = lsm_buf_slice(&w->ranges_hi);
  if (p->entries == 0 || lsm_slice_cmp(lo, lsm_buf_slice(&p->smallest)) < 0)
    rc = lsm_buf_set(&p->smallest, lo);
  if (rc == LSM_OK && (p->entries == 0 || lsm_slice_cmp(hi, lsm_buf_slice(&p->largest)) > 0)) {
    rc = lsm_buf_set(&p->largest, hi);
    p->largest_open = true;
  }
  return rc;
}

static lsm_rc put_prop(lsm_buf *b, const char *name, lsm_slice value) {
  lsm_rc rc = lsm_buf_put_slice(b, lsm_slice_str(name));
  return rc != LSM_OK ? rc : lsm_buf_put_slice(b, value);
}

static lsm_rc put_number(lsm_buf *b, const char *name, uint64_t v) {
  uint8_t tmp[LSM_VARINT_MAX];
  return put_prop(b, name, lsm_slice_of(tmp, (size_t)(lsm_varint_put(tmp, v) - tmp)));
}

/* props := {name:slice value:slice}* */
static lsm_rc emit_props(lsm_sst_writer *w) {
  const lsm_sst_props *p = &w->props;
  lsm_buf b = {0};
  lsm_rc rc = put_number(&b, LSM_SST_PROP_ENTRIES, p->entries);
  if (rc == LSM_OK) rc = put_number(&b, LSM_SST_PROP_TOMBSTONES, p->tombstones);
  if (rc == LSM_OK) rc = put_number(&b, LSM_SST_PROP_RANGES, p->ranges);
  if (rc == LSM_OK) rc = put_number(&b, LSM_SST_PROP_RAW_BYTES, p->raw_bytes);
  if (rc == LSM_OK) rc = put_prop(&b, LSM_SST_PROP_SMALLEST, lsm_buf_slice(&p->smallest));
  if (rc == LSM_OK) rc = put_prop(&b, LSM_SST_PROP_LARGEST, lsm_buf_slice(&p->largest));
  if (rc == LSM_OK) rc = put_number(&b, LSM_SST_PROP_LARGEST_OPEN, p->largest_open);
  if (rc == LSM_OK && p->expiry.first != 0) {
    rc = put_number(&b, LSM_SST_PROP_EXPIRES_FIRST, p->expiry.first);
    if (rc == LSM_OK) rc = put_number(&b, LSM_SST_PROP_EXPIRES_HALF, p->expiry.half);
    if (rc == LSM_OK) rc = put_number(&b, LSM_SST_PROP_EXPIRES_LAST, p->expiry.last);
  }
  if (rc == LSM_OK) rc = emit_block(w, lsm_buf_slice(&b), false, &w->footer.parts[LSM_SST_PROPS]);
  lsm_buf_fini(&b);
  return rc;
}

static lsm_rc emit_filter(lsm_sst_writer *w) {
  lsm_buf filter = {0};
  lsm_rc rc = lsm_bloom_build(w->hashes, (size_t)w->props.entries, w->bloom_bits, &filter);
  if (rc == LSM_OK)
    rc = emit_block(w, lsm_buf_slice(&filter), false, &w->footer.parts[LSM_SST_FILTER]);
  lsm_buf_fini(&filter);
  return rc;
}

static lsm_rc finish(lsm_sst_writer *w) {
  if (w->props.entries == 0 && w->props.ranges == 0)
    return lsm_fail(LSM_MISUSE, "%s: nothing was added", w->path);
  lsm_rc rc = w->block.entries > 0 ? cut_block(w) : LSM_OK;
  if (rc == LSM_OK) rc = set_bounds(w);
  if (w->expires) w->props.expiry = lsm_expiry_sum(&w->expiry);
  if (rc == LSM_OK && w->index_due) rc = add_index(w, LSM_SLICE_NULL);
  if (rc == LSM_OK)
    rc = emit_block(w, lsm_buf_slice(&w->ranges), true, &w->footer.parts[LSM_SST_RANGES]);
  if (rc == LSM_OK) rc = emit_filter(w);
  if (rc == LSM_OK) rc = emit_props(w);
  if (rc == LSM_OK) rc = emit_index(w);
  if (rc != LSM_OK) return rc;
  uint8_t footer[LSM_SST_FOOTER];
  lsm_sst_footer_put(footer, &w->footer);
  rc = write_out(w, lsm_slice_of(footer, sizeof footer));
  if (rc == LSM_OK) rc = lsm_file_sync(w->file);
  return rc;
}

lsm_rc lsm_sst_writer_finish(lsm_sst_writer *w, lsm_sst_props *props) {
  memset(props, 0, sizeof *props);
  if (w->rc != LSM_OK || w->finished)
    return lsm_fail(w->rc != LSM_OK ? w->rc : LSM_MISUSE, "%s: not being written", w->path);
  w->rc = finish(w);
  if (w->rc != LSM_OK) return w->rc;
  w->finished = true;
  w->props.size = w->written;
  *props = w->props;
  memset(&w->props, 0, sizeof w->props); /* the bounds went with it */
  return LSM_OK;
}

void lsm_sst_writer_free(lsm_sst_writer *w) {
  if (w == NULL) return;
  if (w->file != NULL) {
    lsm_file_close(w->file);
    if (!w->finished) (void)w->env->remove(w->env, w->path);
  }
  lsm_block_builder_fini(&w->block);
  lsm_buf_fini(&w->last_key);
  lsm_buf_fini(&w->index);
  lsm_buf_fini(&w->ranges);
  lsm_buf_fini(&w->ranges_lo);
  lsm_buf_fini(&w->ranges_hi);
  lsm_free(w->hashes);
  lsm_expiry_tally_fini(&w->expiry);
  lsm_compressor_free(w->zip);
  lsm_buf_fini(&w->zipped);
  lsm_buf_fini(&w->out);
  lsm_sst_props_fini(&w->props);
  lsm_free(w->path);
  lsm_free(w);
}
