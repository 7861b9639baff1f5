/* test_edit.c: edits and their bytes. */
#include <check.h>
#include <stdlib.h>

#include "version.h"

Suite *edit_suite(void);

static lsm_buf bytes_of(const char *s, size_t n) {
  lsm_buf b = {0};
  ck_assert_int_eq(lsm_buf_append(&b, s, n), LSM_OK);
  return b;
}

static lsm_filemeta *make_file(uint64_t number, uint32_t keyspace, int level, uint64_t run,
                               const char *smallest, const char *largest, bool open) {
  lsm_sst_props p;
  memset(&p, 0, sizeof p);
  p.size = 4096;
  p.entries = 200;
  p.tombstones = 3;
  p.ranges = 1;
  p.raw_bytes = 70000;
  p.smallest = bytes_of(smallest, strlen(smallest));
  p.largest = bytes_of(largest, strlen(largest));
  p.largest_open = open;
  lsm_filemeta *f;
  ck_assert_int_eq(lsm_filemeta_new(number, keyspace, level, run, &p, &f), LSM_OK);
  lsm_buf_fini(&p.smallest);
  lsm_buf_fini(&p.largest);
  return f;
}

/* One of everything. A result other than LSM_OK: out of memory. */
static lsm_rc build_sample(lsm_edit *e, lsm_filemeta *f) {
  lsm_keyspace_options opt = {LSM_TIERED, LSM_COMPRESS_ZLIB, 4096, 10, false};
  memset(e, 0, sizeof *e);
  e->has_next_file = true;
  e->next_file = 300;
  e->has_log = true;
  e->log = 7;
  e->has_next_keyspace = true;
  e->next_keyspace = 3;
  e->has_last_txid = true;
  e->last_txid = 128;
  lsm_rc rc = lsm_edit_add_keyspace(e, 2, &opt);
  if (rc == LSM_OK) rc = lsm_edit_drop_keyspace(e, 1);
  if (rc == LSM_OK) rc = lsm_edit_add_file(e, f);
  if (rc == LSM_OK) rc = lsm_edit_remove_file(e, f);
  if (rc == LSM_OK) rc = lsm_edit_set_pointer(e, 2, 3, lsm_slice_str("\x02m"));
  return rc;
}

static const uint8_t golden[] = {
    0x01, 0xac, 0x02,                         /* next file 300 */
    0x02, 0x07,                               /* log 7 */
    0x03, 0x03,                               /* next keyspace 3 */
    0x04, 0x80, 0x01,                         /* last txid 128 */
    0x05, 0x02, 0x01, 0x01, 0x80, 0x20, 0x0a, /* keyspace 2: tiered, zlib, 4096, 10 */
    0x06, 0x01,                               /* drop keyspace 1 */
    0x08, 0x02, 0x00, 0x09,                   /* remove file 9 of level 0 */
    0x07, 0x02, 0x00, 0x05, 0x09,             /* add to 2, level 0, run 5: file 9 */
    0x80, 0x20, 0xc8, 0x01, 0x03, 0x01,       /* size, entries, tombstones, ranges */
    0xf0, 0xa2, 0x04,                         /* raw bytes 70000 */
    0x01, 0x02, 0x02, 'a',  0x02, 0x02, 'z',  /* open end; "\2a" to "\2z" */
    0x09, 0x02, 0x03, 0x02, 0x02, 'm',        /* pointer of level 3 */
};
#define GOLDEN_FIELDS 9

START_TEST(test_golden) {
  lsm_filemeta *f = make_file(9, 2, 0, 5,
                              "\x02"
                              "a",
                              "\x02z", true);
  lsm_edit e;
  lsm_buf out = {0};
  ck_assert_int_eq(build_sample(&e, f), LSM_OK);
  ck_assert_int_eq(lsm_buf_put_u8(&out, 0xEE), LSM_OK);
  ck_assert_int_eq(lsm_edit_encode(&e, &out), LSM_OK);
  ck_assert_uint_eq(out.size, sizeof golden + 1);
  ck_assert_uint_eq(out.data[0], 0xEE);
  ck_assert_mem_eq(out.data + 1, golden, sizeof golden);
  lsm_edit_fini(&e);
  lsm_filemeta_unref(f);
  lsm_buf_fini(&out);
}
END_TEST

START_TEST(test_decode) {
  lsm_edit e;
  ck_assert_int_eq(lsm_edit_decode(lsm_slice_of(golden, sizeof golden), "m", 0, &e), LSM_OK);
  ck_assert(e.has_next_file && e.has_log && e.has_next_keyspace && e.has_last_txid);
  ck_assert_uint_eq(e.next_file, 300);
  ck_assert_uint_eq(e.log, 7);
  ck_assert_uint_eq(e.next_keyspace, 3);
  ck_assert_uint_eq(e.last_txid, 128);
  ck_assert_uint_eq(e.nkeyspaces, 2);
  ck_assert_uint_eq(e.keyspaces[0].id, 2);
  ck_assert(!e.keyspaces[0].drop && e.keyspaces[1].drop);
  ck_assert_int_eq(e.keyspaces[0].opt.compaction, LSM_TIERED);
  ck_assert_int_eq(e.keyspaces[0].opt.compression, LSM_COMPRESS_ZLIB);
  ck_assert_uint_eq(e.keyspaces[0].opt.block_size, 4096);
  ck_assert_uint_eq(e.keyspaces[0].opt.bloom_bits, 10);
  ck_assert_uint_eq(e.keyspaces[1].id, 1);
  ck_assert_uint_eq(e.nadded, 1);
  const lsm_filemeta *f = e.added[0].file;
  ck_assert_uint_eq(f->number, 9);
  ck_assert_uint_eq(f->run, 5);
  ck_assert_uint_eq(f->keyspace, 2);
  ck_assert_uint_eq(f->level, 0);
  ck_assert_uint_eq(f->size, 4096);
  ck_assert_uint_eq(f->entries, 200);
  ck_assert_uint_eq(f->tombstones, 3);
  ck_assert_uint_eq(f->ranges, 1);
  ck_assert_uint_eq(f->raw_bytes, 70000);
  ck_assert(f->largest_open);
  ck_assert(lsm_slice_eq(f->smallest, lsm_slice_str("\x02"
                                                    "a")));
  ck_assert(lsm_slice_eq(f->largest, lsm_slice_str("\x02z")));
  ck_assert_uint_eq(e.nremoved, 1);
  ck_assert_uint_eq(e.removed[0].keyspace, 2);
  ck_assert_uint_eq(e.removed[0].level, 0);
  ck_assert_uint_eq(e.removed[0].number, 9);
  ck_assert_uint_eq(e.npointers, 1);
  ck_assert_uint_eq(e.pointers[0].keyspace, 2);
  ck_assert_uint_eq(e.pointers[0].level, 3);
  ck_assert(lsm_slice_eq(lsm_buf_slice(&e.pointers[0].key), lsm_slice_str("\x02m")));
  lsm_edit_fini(&e);

  ck_assert_int_eq(lsm_edit_decode(LSM_SLICE_NULL, "m", 0, &e), LSM_OK);
  ck_assert(!e.has_next_file && !e.has_log && e.nadded == 0 && e.nkeyspaces == 0);
  lsm_edit_fini(&e);
}
END_TEST

/* What decodes must encode to the very bytes it came from. */
static void check_same(lsm_edit *e, const uint8_t *p, size_t n) {
  lsm_buf out = {0};
  ck_assert_int_eq(lsm_edit_encode(e, &out), LSM_OK);
  ck_assert_uint_eq(out.size, n);
  if (n > 0) ck_assert_mem_eq(out.data, p, n);
  lsm_buf_fini(&out);
}

START_TEST(test_truncated) {
  int good = 0;
  for (size_t n = 0; n < sizeof golden; n++) {
    uint8_t *copy = malloc(n + 1); /* exact, for the sanitizer */
    memcpy(copy, golden, n);
    lsm_edit e;
    lsm_rc rc = lsm_edit_decode(lsm_slice_of(copy, n), "000007.manifest", 77, &e);
    if (rc == LSM_OK) {
      good++;
      check_same(&e, golden, n);
    } else {
      ck_assert_int_eq(rc, LSM_CORRUPT);
      ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "000007.manifest"));
      ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "77"));
    }
    lsm_edit_fini(&e);
    free(copy);
  }
  ck_assert_int_eq(good, GOLDEN_FIELDS); /* cuts between fields, and nothing at all */
}
END_TEST

START_TEST(test_flipped) {
  int bad = 0;
  uint8_t *copy = malloc(sizeof golden);
  for (size_t i = 0; i < sizeof golden; i++) {
    for (unsigned v = 0; v < 256; v++) {
      memcpy(copy, golden, sizeof golden);
      copy[i] = (uint8_t)v;
      lsm_edit e;
      lsm_rc rc = lsm_edit_decode(lsm_slice_of(copy, sizeof golden), "m", 0, &e);
      ck_assert(rc == LSM_OK || rc == LSM_CORRUPT);
      bad += rc == LSM_CORRUPT;
      for (size_t k = 0; k < e.nadded; k++) {
        const lsm_filemeta *f = e.added[k].file;
        ck_assert_int_lt(f->level, LSM_MAX_LEVELS);
        ck_assert_int_le(lsm_slice_cmp(f->smallest, f->largest), 0);
      }
      lsm_edit_fini(&e);
    }
  }
  free(copy);
  ck_assert_int_gt(bad, 1000);
}
END_TEST

/* A keyspace whose values expire, and a file of it: the last one never. */
static const uint8_t golden_expiry[] = {
    0x0a, 0x03, 0x00, 0x00, 0xe8, 0x07, 0x00,       /* expiring keyspace 3: 1000 bytes, no filter */
    0x07, 0x03, 0x01, 0x00, 0x05,                   /* add to 3, level 1: file 5 */
    0x64, 0x02, 0x00, 0x00, 0x1e,                   /* size, entries, .., raw bytes */
    0x04, 0x02, 0x03, 'a',  0x02, 0x03, 'b',        /* with times; "\3a" to "\3b" */
    0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31,             /* first: 1700000000000 */
    0x81, 0xd0, 0x95, 0xff, 0xbc, 0x31, 0x00,       /* half: a millisecond later; last: never */
};

START_TEST(test_expiry) {
  lsm_edit e;
  size_t n = sizeof golden_expiry;
  ck_assert_int_eq(lsm_edit_decode(lsm_slice_of(golden_expiry, n), "m", 0, &e), LSM_OK);
  ck_assert_uint_eq(e.nkeyspaces, 1);
  ck_assert(e.keyspaces[0].opt.expires && !e.keyspaces[0].drop);
  ck_assert_uint_eq(e.keyspaces[0].opt.block_size, 1000);
  ck_assert_uint_eq(e.nadded, 1);
  const lsm_filemeta *f = e.added[0].file;
  ck_assert_uint_eq(f->expiry.first, 1700000000000);
  ck_assert_uint_eq(f->expiry.half, 1700000000001);
  ck_assert_uint_eq(f->expiry.last, 0);
  check_same(&e, golden_expiry, n);
  lsm_edit_fini(&e);
  for (size_t i = 0; i < n; i++) {
    uint8_t *copy = malloc(i + 1); /* exact, for the sanitizer */
    memcpy(copy, golden_expiry, i);
    lsm_rc rc = lsm_edit_decode(lsm_slice_of(copy, i), "m", 0, &e);
    ck_assert_int_eq(rc, i == 0 || i == 7 ? LSM_OK : LSM_CORRUPT);
    lsm_edit_fini(&e);
    free(copy);
  }
}
END_TEST

#define BYTES(s) s, sizeof(s) - 1
static const struct {
  const char *in;
  size_t n;
  const char *fault;
} faults[] = {
    {BYTES("\x00"), "unknown tag"},
    {BYTES("\x0b"), "unknown tag"},
    {BYTES("\x0a"), "cut off"},
    {BYTES("\x0a\x01\x02\x00\x01\x01"), "unknown compaction"},
    {BYTES("\x80\x02"), "unknown tag"},
    {BYTES("\x01\x05\x01\x05"), "given twice"},
    {BYTES("\x02\x05\x02\x06"), "given twice"},
    {BYTES("\x03\x05\x03\x06"), "given twice"},
    {BYTES("\x04\x05\x04\x06"), "given twice"},
    {BYTES("\x01"), "cut off"},
    {BYTES("\x01\xff"), "cut off"},
    {BYTES("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "cut off"},
    {BYTES("\x03\xff\xff\xff\xff\x1f"), "too large"},
    {BYTES("\x05\x00\x00\x00\x01\x01"), "no such keyspace"},
    {BYTES("\x05\xff\xff\xff\xff\x0f\x00\x00\x01\x01"), "no such keyspace"},
    {BYTES("\x05\x01\x02\x00\x01\x01"), "unknown compaction"},
    {BYTES("\x05\x01\x00\x02\x01\x01"), "unknown compression"},
    {BYTES("\x05\x01\x00\x00\xff\xff\xff\xff\x1f\x01"), "block size"},
    {BYTES("\x05\x01\x00\x00\x01\xff\xff\xff\xff\x1f"), "bloom bits"},
    {BYTES("\x05\x01\x00\x00\x01"), "cut off"},
    {BYTES("\x06\x00"), "no such keyspace"},
    {BYTES("\x07\x02\x07\x00\x09\x01\x01\x00\x00\x01\x00\x02\x02z\x02\x02z"), "no such level"},
    {BYTES("\x07\x02\x01\x01\x09\x01\x01\x00\x00\x01\x00\x02\x02z\x02\x02z"), "below level 0"},
    {BYTES("\x07\x02\x01\x00\x00\x01\x01\x00\x00\x01\x00\x02\x02z\x02\x02z"), "number zero"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x02\x00\x01\x00\x02\x02z\x02\x02z"), "tombstones"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x08\x02\x02z\x02\x02z"), "flag"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x04\x02\x02z\x02\x02z\x05\x05"), "cut off"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x04\x02\x02z\x02\x02z\x00\x05\x05"), "expiry"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x04\x02\x02z\x02\x02z\x05\x04\x05"), "expiry"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x04\x02\x02z\x02\x02z\x05\x00\x09"), "expiry"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x00\x02\x02z\x02\x02y"), "after largest"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x01\x02\x02z\x02\x02z"), "after largest"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x00\x02\x01z\x02\x02z"), "smallest key of"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x00\x00\x02\x02z"), "smallest key of"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x00\x02\x02z\x02\x03z"), "largest key of"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x00\x02\x02z\x01\x03"), "largest key of"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x01\x02\x02z\x02\x03z"), "largest key of"},
    {BYTES("\x07\x02\x01\x00\x09\x01\x01\x00\x00\x01\x00\x02\x02z\x7f\x02z"), "cut off"},
    {BYTES("\x08\x02\x07\x01"), "no such level"},
    {BYTES("\x08\x00\x01\x01"), "no such keyspace"},
    {BYTES("\x09\x02\x07\x02\x02z"), "no such level"},
    {BYTES("\x09\x02\x01\x02\x03z"), "another keyspace"},
    {BYTES("\x09\x02\x01\x02\x01z"), "another keyspace"},
};

START_TEST(test_fault) {
  lsm_edit e;
  lsm_rc rc = lsm_edit_decode(lsm_slice_of(faults[_i].in, faults[_i].n), "m", 0, &e);
  ck_assert_int_eq(rc, LSM_CORRUPT);
  ck_assert_msg(strstr(lsm_errmsg(), faults[_i].fault) != NULL, "%d: %s", _i, lsm_errmsg());
  ck_assert(e.added == NULL && e.nadded == 0 && e.keyspaces == NULL);
}
END_TEST

/* A range tombstone without an end reaches to where the next keyspace starts. */
static const struct {
  uint32_t keyspace;
  const char *largest;
  size_t n;
} ends[] = {
    {2, BYTES("\x03")},
    {0xEF, BYTES("\xF0")},
    {0xEF, BYTES("\xF0\x00\x00\x00\xF0")},
    {0xF0, BYTES("\xF0\x00\x00\x00\xF1")},
    {0xFF, BYTES("\xF0\x00\x00\x01\x00")},
    {LSM_KEYSPACE_MAX, BYTES("\xF0\xFF\xFF\xFF\xFF")},
};

/* The flags of a file, in all combinations; no others. */
START_TEST(test_file_flags) {
  uint8_t lo[] = {2, 'a'}, hi[] = {2, 'z'};
  for (unsigned flags = 0; flags < 4; flags++) {
    lsm_sst_props p = {0};
    lsm_edit e = {0}, back;
    lsm_buf out = {0};
    lsm_filemeta *f;
    p.largest_open = (flags & 1) != 0;
    p.packed = (flags & 2) != 0;
    p.smallest = (lsm_buf){lo, sizeof lo, 0};
    p.largest = (lsm_buf){hi, sizeof hi, 0};
    ck_assert_int_eq(lsm_filemeta_new(1, 2, 1, 0, &p, &f), LSM_OK);
    ck_assert_int_eq(lsm_edit_add_file(&e, f), LSM_OK);
    ck_assert_int_eq(lsm_edit_encode(&e, &out), LSM_OK);
    uint8_t *at = out.data + out.size - 7; /* before two slices of two bytes */
    ck_assert_uint_eq(*at, flags);
    ck_assert_int_eq(lsm_edit_decode(lsm_buf_slice(&out), "m", 0, &back), LSM_OK);
    ck_assert_int_eq(back.added[0].file->largest_open, p.largest_open);
    ck_assert_int_eq(back.added[0].file->packed, p.packed);
    lsm_edit_fini(&back);
    *at |= 4;
    ck_assert_int_eq(lsm_edit_decode(lsm_buf_slice(&out), "m", 0, &back), LSM_CORRUPT);
    lsm_edit_fini(&e);
    lsm_filemeta_unref(f);
    lsm_buf_fini(&out);
  }
}
END_TEST

START_TEST(test_end_of_keyspace) {
  uint8_t lo[LSM_PREFIX_MAX];
  lsm_sst_props p;
  memset(&p, 0, sizeof p);
  p.ranges = 1;
  size_t n = lsm_prefix_put(lo, ends[_i].keyspace);
  p.smallest = bytes_of((const char *)lo, n);
  p.largest = bytes_of(ends[_i].largest, ends[_i].n);
  for (int open = 0; open < 2; open++) {
    lsm_edit e = {0};
    lsm_edit back;
    lsm_buf out = {0};
    lsm_filemeta *f;
    p.largest_open = open;
    ck_assert_int_eq(lsm_filemeta_new(1, ends[_i].keyspace, 1, 0, &p, &f), LSM_OK);
    ck_assert_int_eq(lsm_edit_add_file(&e, f), LSM_OK);
    ck_assert_int_eq(lsm_edit_encode(&e, &out), LSM_OK);
    ck_assert_int_eq(lsm_edit_decode(lsm_buf_slice(&out), "m", 0, &back),
                     open ? LSM_OK : LSM_CORRUPT);
    ck_assert_uint_eq(back.nadded, open ? 1 : 0);
    lsm_edit_fini(&e);
    lsm_edit_fini(&back);
    lsm_filemeta_unref(f);
    lsm_buf_fini(&out);
  }
  lsm_buf_fini(&p.smallest);
  lsm_buf_fini(&p.largest);
}
END_TEST

START_TEST(test_pointer_cleared) {
  lsm_edit e = {0};
  lsm_edit back;
  lsm_buf out = {0};
  ck_assert_int_eq(lsm_edit_set_pointer(&e, 5, 6, LSM_SLICE_NULL), LSM_OK);
  ck_assert_int_eq(lsm_edit_encode(&e, &out), LSM_OK);
  ck_assert_int_eq(lsm_edit_decode(lsm_buf_slice(&out), "m", 0, &back), LSM_OK);
  ck_assert_uint_eq(back.npointers, 1);
  ck_assert_uint_eq(back.pointers[0].key.size, 0);
  ck_assert_uint_eq(back.pointers[0].level, 6);
  lsm_edit_fini(&e);
  lsm_edit_fini(&back);
  lsm_buf_fini(&out);
}
END_TEST

/* Many of each kind: the arrays grow. */
START_TEST(test_many) {
  lsm_edit e = {0};
  lsm_edit back;
  lsm_buf out = {0};
  lsm_keyspace_options opt = {LSM_LEVELED, LSM_COMPRESS_NONE, 1, 0, false};
  for (uint32_t i = 1; i <= 200; i++) {
    char key[4] = {1, (char)('0' + i % 10), (char)('0' + i / 10 % 10), 0};
    lsm_filemeta *f = make_file(i * 1000, 1, (int)(i % 7), i % 7 == 0 ? i : 0, key, key, false);
    ck_assert_int_eq(lsm_edit_add_file(&e, f), LSM_OK);
    ck_assert_int_eq(lsm_edit_remove_file(&e, f), LSM_OK);
    ck_assert_int_eq(lsm_edit_add_keyspace(&e, i, &opt), LSM_OK);
    ck_assert_int_eq(lsm_edit_set_pointer(&e, 1, 2, lsm_slice_str(key)), LSM_OK);
    lsm_filemeta_unref(f);
  }
  ck_assert_int_eq(lsm_edit_encode(&e, &out), LSM_OK);
  ck_assert_int_eq(lsm_edit_decode(lsm_buf_slice(&out), "m", 0, &back), LSM_OK);
  ck_assert_uint_eq(back.nadded, 200);
  ck_assert_uint_eq(back.nremoved, 200);
  ck_assert_uint_eq(back.nkeyspaces, 200);
  ck_assert_uint_eq(back.npointers, 200);
  ck_assert_uint_eq(back.added[199].file->number, 200000);
  ck_assert_uint_eq(back.removed[137].number, 138000);
  check_same(&back, out.data, out.size);
  lsm_edit_fini(&e);
  lsm_edit_fini(&back);
  lsm_buf_fini(&out);
}
END_TEST

static bool fail_nth(void *arg) {
  return (*(int *)arg)-- != 0;
}

START_TEST(test_nomem) {
  lsm_filemeta *f = make_file(9, 2, 0, 5,
                              "\x02"
                              "a",
                              "\x02z", true);
  bool built = false;
  bool encoded = false;
  bool decoded = false;
  for (int n = 0; !(built && encoded && decoded); n++) {
    ck_assert_int_lt(n, 100);
    lsm_edit e;
    lsm_buf out = {0};
    int left = n;
    lsm_set_malloc_hook(fail_nth, &left);
    lsm_rc rc = build_sample(&e, f);
    lsm_set_malloc_hook(NULL, NULL);
    built = rc == LSM_OK;
    ck_assert(rc == LSM_OK || rc == LSM_NOMEM);
    lsm_edit_fini(&e);

    ck_assert_int_eq(build_sample(&e, f), LSM_OK);
    left = n;
    lsm_set_malloc_hook(fail_nth, &left);
    rc = lsm_edit_encode(&e, &out);
    lsm_set_malloc_hook(NULL, NULL);
    encoded = rc == LSM_OK;
    ck_assert(rc == LSM_OK || rc == LSM_NOMEM);
    ck_assert_uint_eq(out.size, encoded ? sizeof golden : 0);
    lsm_edit_fini(&e);
    lsm_buf_fini(&out);

    left = n;
    lsm_set_malloc_hook(fail_nth, &left);
    rc = lsm_edit_decode(lsm_slice_of(golden, sizeof golden), "m", 0, &e);
    lsm_set_malloc_hook(NULL, NULL);
    decoded = rc == LSM_OK;
    ck_assert(rc == LSM_OK || rc == LSM_NOMEM);
    lsm_edit_fini(&e);
    ck_assert_uint_eq(atomic_load(&f->refs), 1); /* nothing kept one */
  }
  lsm_filemeta_unref(f);
}
END_TEST

Suite *edit_suite(void) {
  Suite *s = suite_create("edit");
  TCase *tc = tcase_create("edit");
  tcase_add_test(tc, test_golden);
  tcase_add_test(tc, test_decode);
  tcase_add_test(tc, test_truncated);
  tcase_add_test(tc, test_flipped);
  tcase_add_test(tc, test_expiry);
  tcase_add_loop_test(tc, test_fault, 0, (int)(sizeof faults / sizeof faults[0]));
  tcase_add_test(tc, test_file_flags);
  tcase_add_loop_test(tc, test_end_of_keyspace, 0, (int)(sizeof ends / sizeof ends[0]));
  tcase_add_test(tc, test_pointer_cleared);
  tcase_add_test(tc, test_many);
  tcase_add_test(tc, test_nomem);
  suite_add_tcase(s, tc);
  return s;
}
