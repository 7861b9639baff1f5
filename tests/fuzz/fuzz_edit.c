/* fuzz_edit.c: one edit of the manifest, and the version it makes.
** Holds: an edit that is read and written is read the same again, so that the
**        second writing is byte for byte the first, and never longer than what
**        was read; the version it makes of none is the one that its own
**        description makes. */
#include "fuzz.h"
#include "version.h"

/* Nobody holds the version before or after. */
static void no_garbage(void *arg, uint64_t number) {
  (void)arg;
  (void)number;
}

static bool same_file(const lsm_filemeta *a, const lsm_filemeta *b) {
  return a->number == b->number && a->keyspace == b->keyspace && a->level == b->level &&
         a->run == b->run && a->size == b->size && a->entries == b->entries &&
         a->tombstones == b->tombstones && a->ranges == b->ranges && a->raw_bytes == b->raw_bytes &&
         a->largest_open == b->largest_open && lsm_slice_eq(a->smallest, b->smallest) &&
         lsm_slice_eq(a->largest, b->largest) && a->expiry.first == b->expiry.first &&
         a->expiry.half == b->expiry.half && a->expiry.last == b->expiry.last;
}

static bool same_keyspace(const lsm_edit_keyspace *a, const lsm_edit_keyspace *b) {
  return a->id == b->id && a->drop == b->drop && a->opt.compaction == b->opt.compaction &&
         a->opt.compression == b->opt.compression && a->opt.block_size == b->opt.block_size &&
         a->opt.bloom_bits == b->opt.bloom_bits && a->opt.expires == b->opt.expires;
}

static void check_same(const lsm_edit *a, const lsm_edit *b) {
  FUZZ_CHECK(a->has_next_file == b->has_next_file && a->next_file == b->next_file);
  FUZZ_CHECK(a->has_log == b->has_log && a->log == b->log);
  FUZZ_CHECK(a->has_next_keyspace == b->has_next_keyspace);
  FUZZ_CHECK(a->next_keyspace == b->next_keyspace);
  FUZZ_CHECK(a->has_last_txid == b->has_last_txid && a->last_txid == b->last_txid);
  FUZZ_CHECK(a->nkeyspaces == b->nkeyspaces && a->nadded == b->nadded);
  FUZZ_CHECK(a->nremoved == b->nremoved && a->npointers == b->npointers);
  for (size_t i = 0; i < a->nkeyspaces; i++)
    FUZZ_CHECK(same_keyspace(&a->keyspaces[i], &b->keyspaces[i]));
  for (size_t i = 0; i < a->nadded; i++) FUZZ_CHECK(same_file(a->added[i].file, b->added[i].file));
  for (size_t i = 0; i < a->nremoved; i++) {
    const lsm_edit_file *x = &a->removed[i], *y = &b->removed[i];
    FUZZ_CHECK(x->keyspace == y->keyspace && x->level == y->level && x->number == y->number);
  }
  for (size_t i = 0; i < a->npointers; i++) {
    const lsm_edit_pointer *x = &a->pointers[i], *y = &b->pointers[i];
    FUZZ_CHECK(x->keyspace == y->keyspace && x->level == y->level);
    FUZZ_CHECK(lsm_slice_eq(lsm_buf_slice(&x->key), lsm_buf_slice(&y->key)));
  }
}

/* v with the edit in BYTES, which is sound, applied; NULL: it does not fit. */
static lsm_version *apply(lsm_version *v, lsm_slice bytes) {
  lsm_edit e;
  lsm_version *next = NULL;
  FUZZ_OK(lsm_edit_decode(bytes, "edit", 0, &e));
  lsm_rc rc = lsm_version_apply(v, &e, "edit", 0, &next);
  FUZZ_CHECK(rc == LSM_OK ? next != NULL : rc == LSM_CORRUPT && next == NULL);
  lsm_edit_fini(&e);
  return next;
}

static void describe(const lsm_version *v, lsm_buf *out) {
  lsm_edit e = {0};
  FUZZ_OK(lsm_version_to_edit(v, &e));
  FUZZ_OK(lsm_edit_encode(&e, out));
  lsm_edit_fini(&e);
}

static void check_version(lsm_slice edit) {
  lsm_version *none, *v, *again;
  lsm_buf a = {0}, b = {0};
  FUZZ_OK(lsm_version_new(no_garbage, NULL, &none));
  v = apply(none, edit);
  if (v != NULL) {
    describe(v, &a);
    again = apply(none, lsm_buf_slice(&a));
    FUZZ_CHECK(again != NULL);
    describe(again, &b);
    FUZZ_CHECK(lsm_slice_eq(lsm_buf_slice(&a), lsm_buf_slice(&b)));
    lsm_version_unref(again);
    lsm_version_unref(apply(v, edit)); /* on top of itself: it fits or it does not */
  }
  lsm_buf_fini(&a);
  lsm_buf_fini(&b);
  lsm_version_unref(v);
  lsm_version_unref(none);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t *copy = fuzz_copy(lsm_slice_of(data, size));
  lsm_edit e, again;
  lsm_buf a = {0}, b = {0};
  lsm_rc rc = lsm_edit_decode(lsm_slice_of(copy, size), "edit", 0, &e);
  FUZZ_CHECK(rc == LSM_OK || rc == LSM_CORRUPT);
  if (rc == LSM_OK) {
    FUZZ_OK(lsm_edit_encode(&e, &a));
    FUZZ_CHECK(a.size <= size);
    uint8_t *bytes = fuzz_copy(lsm_buf_slice(&a));
    FUZZ_OK(lsm_edit_decode(lsm_slice_of(bytes, a.size), "edit", 0, &again));
    check_same(&e, &again);
    FUZZ_OK(lsm_edit_encode(&again, &b));
    FUZZ_CHECK(lsm_slice_eq(lsm_buf_slice(&a), lsm_buf_slice(&b)));
    check_version(lsm_buf_slice(&a));
    lsm_edit_fini(&again);
    free(bytes);
  }
  lsm_edit_fini(&e);
  lsm_buf_fini(&a);
  lsm_buf_fini(&b);
  free(copy);
  return 0;
}

static void add_file(lsm_edit *e, uint64_t number, int level, uint64_t run, const char *lo,
                     const char *hi, bool open) {
  lsm_sst_props p = {.size = 4096, .entries = 10, .tombstones = 3, .ranges = 1, .raw_bytes = 700};
  lsm_filemeta *f;
  FUZZ_OK(lsm_buf_set(&p.smallest, lsm_slice_str(lo)));
  FUZZ_OK(lsm_buf_set(&p.largest, lsm_slice_str(hi)));
  p.largest_open = open;
  if (number % 2 == 0) p.expiry = (lsm_expiry){1700000000000, 1700000000000 + number, 0};
  FUZZ_OK(lsm_filemeta_new(number, 2, level, run, &p, &f));
  FUZZ_OK(lsm_edit_add_file(e, f));
  lsm_filemeta_unref(f);
  lsm_sst_props_fini(&p);
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  lsm_keyspace_options opt = {LSM_TIERED, LSM_COMPRESS_ZLIB, 4096, 10, false};
  lsm_buf out = {0};
  lsm_edit e = {0};
  e.has_next_file = e.has_log = e.has_next_keyspace = e.has_last_txid = true;
  e.next_file = 300;
  e.log = 7;
  e.next_keyspace = 3;
  e.last_txid = 128;
  FUZZ_OK(lsm_edit_encode(&e, &out));
  add(arg, out.data, out.size);
  FUZZ_OK(lsm_edit_add_keyspace(&e, 2, &opt));
  opt.compaction = LSM_LEVELED;
  opt.expires = true;
  FUZZ_OK(lsm_edit_add_keyspace(&e, 0xF0, &opt));
  add_file(&e, 9, 0, 5, "\2a", "\2z", false);
  add_file(&e, 10, 0, 4, "\2a", "\2d", true);
  add_file(&e, 11, 0, 4, "\2d", "\2e", false);
  add_file(&e, 12, 3, 0, "\2a", "\2g", false);
  add_file(&e, 13, 3, 0, "\2k", "\3", true);
  FUZZ_OK(lsm_edit_set_pointer(&e, 2, 3, lsm_slice_str("\2m")));
  lsm_buf_clear(&out);
  FUZZ_OK(lsm_edit_encode(&e, &out));
  add(arg, out.data, out.size);
  FUZZ_OK(lsm_edit_remove_file(&e, e.added[0].file));
  FUZZ_OK(lsm_edit_drop_keyspace(&e, 0xF0));
  lsm_buf_clear(&out);
  FUZZ_OK(lsm_edit_encode(&e, &out));
  add(arg, out.data, out.size);
  lsm_edit_fini(&e);
  lsm_buf_fini(&out);
}
