/* output.c: a run of SSTables being written, by a flush or a compaction.
**
** The run is cut into files of about db->target_file_size, between two keys.
** A range tombstone that crosses a cut is clipped, so that files of a run
** never overlap: file i gets the parts of the ranges in [first key of i, first
** key of i+1), the first file from -infinity, the last to infinity. A run may
** consist of range tombstones alone. */
#include "db_int.h"

struct lsm_output {
  lsm_db *db;
  lsm_keyspace_options opt;
  bool pack; /* the next file may be compressed */
  uint32_t keyspace;
  int level;
  uint64_t run;
  _Atomic uint64_t *bytes; /* counter of what is written */
  const lsm_rangeset *ranges;
  size_t next_range;  /* first range not yet wholly in a finished file */
  lsm_buf range_from; /* where that one goes on, when it was cut */
  lsm_sst_writer *w;
  uint64_t number; /* of w's file */
  lsm_edit done;   /* the finished files, as additions */
};

lsm_rc lsm_output_new(lsm_db *db, const lsm_keyspace_options *opt, uint32_t keyspace, int level,
                      uint64_t run, _Atomic uint64_t *bytes, lsm_output **out) {
  *out = NULL;
  lsm_output *o = lsm_calloc(sizeof(*o));
  if (o == NULL) return lsm_nomem();
  o->db = db;
  o->opt = *opt;
  o->pack = true;
  o->keyspace = keyspace;
  o->level = level;
  o->run = run;
  o->bytes = bytes;
  *out = o;
  return LSM_OK;
}

void lsm_output_pack(lsm_output *o, bool pack) { o->pack = pack; }

void lsm_output_set_ranges(lsm_output *o, const lsm_rangeset *ranges) { o->ranges = ranges; }

static lsm_rc open_file(lsm_output *o) {
  lsm_sst_options so = {0};
  so.block_size = o->opt.block_size;
  so.bloom_bits = o->opt.bloom_bits;
  so.compression = o->pack ? o->opt.compression : LSM_COMPRESS_NONE;
  so.expires = o->opt.expires;
  so.keyspace = o->keyspace;
  so.store_id = o->db->store_id;
  so.file_number = o->number = lsm_db_new_number(o->db);
  char *path = lsm_filename_new(o->db->dir, LSM_FILE_SST, o->number);
  if (path == NULL) return lsm_nomem();
  lsm_rc rc = lsm_sst_writer_new(o->db->env, path, &so, &o->w);
  lsm_free(path);
  return rc;
}

/* The parts of the ranges in front of END (NULL data: all that are left) go
** into the open file. */
static lsm_rc write_ranges(lsm_output *o, lsm_slice end) {
  lsm_rc rc = LSM_OK;
  if (o->ranges == NULL) return LSM_OK;
  while (rc == LSM_OK && o->next_range < o->ranges->count) {
    const lsm_range *r = &o->ranges->items[o->next_range];
    lsm_slice lo = o->range_from.size > 0 ? lsm_buf_slice(&o->range_from) : r->lo;
    if (end.data != NULL && lsm_slice_cmp(lo, end) >= 0) break;
    bool cut = end.data != NULL && lsm_slice_cmp(r->hi, end) > 0;
    rc = lsm_sst_writer_add_range(o->w, lo, cut ? end : r->hi);
    if (rc != LSM_OK) break;
    if (cut) {
      rc = lsm_buf_set(&o->range_from, end);
      break;
    }
    lsm_buf_clear(&o->range_from);
    o->next_range++;
  }
  return rc;
}

/* Completes the open file; what follows begins at END. */
static lsm_rc close_file(lsm_output *o, lsm_slice end) {
  lsm_sst_props props;
  lsm_filemeta *f = NULL;
  memset(&props, 0, sizeof(props));
  lsm_rc rc = write_ranges(o, end);
  if (rc == LSM_OK) rc = lsm_sst_writer_finish(o->w, &props);
  if (rc == LSM_OK) {
    atomic_fetch_add_explicit(o->bytes, props.size, memory_order_relaxed);
    rc = lsm_filemeta_new(o->number, o->keyspace, o->level, o->run, &props, &f);
    if (rc == LSM_OK) rc = lsm_edit_add_file(&o->done, f);
    /* The writer, once finished, does not remove its file any more. */
    if (rc != LSM_OK) (void)lsm_remove_file(o->db, LSM_FILE_SST, o->number);
  }
  lsm_filemeta_unref(f);
  lsm_sst_props_fini(&props);
  lsm_sst_writer_free(o->w);
  o->w = NULL;
  return rc;
}

lsm_rc lsm_output_add(lsm_output *o, lsm_kind kind, lsm_slice key, lsm_slice value) {
  lsm_rc rc = LSM_OK;
  if (o->w != NULL && lsm_sst_writer_size(o->w) >= o->db->target_file_size) {
    rc = close_file(o, key);
  }
  if (rc == LSM_OK && o->w == NULL) rc = open_file(o);
  if (rc == LSM_OK) rc = lsm_sst_writer_add(o->w, kind, key, value);
  return rc;
}

lsm_rc lsm_output_finish(lsm_output *o, lsm_edit *e) {
  lsm_rc rc = LSM_OK;
  bool ranges_left = o->ranges != NULL && o->next_range < o->ranges->count;
  if (o->w == NULL && ranges_left) rc = open_file(o);
  if (rc == LSM_OK && o->w != NULL) rc = close_file(o, LSM_SLICE_NULL);
  for (size_t i = 0; i < o->done.nadded && rc == LSM_OK; i++) {
    rc = lsm_edit_add_file(e, o->done.added[i].file);
  }
  if (rc == LSM_OK) { /* they are the edit's business now */
    lsm_edit_fini(&o->done);
    memset(&o->done, 0, sizeof(o->done));
  }
  return rc;
}

void lsm_output_discard(lsm_db *db, const lsm_edit *e) {
  for (size_t i = 0; i < e->nadded; i++) {
    lsm_table_cache_evict(db->tables, e->added[i].file->number);
    (void)lsm_remove_file(db, LSM_FILE_SST, e->added[i].file->number);
  }
}

void lsm_output_free(lsm_output *o) {
  if (o == NULL) return;
  lsm_sst_writer_free(o->w);
  lsm_output_discard(o->db, &o->done);
  lsm_edit_fini(&o->done);
  lsm_buf_fini(&o->range_from);
  lsm_free(o);
}
