/* test_wal_reader.c: what is read back from a log that is whole, torn, damaged or forged. */
#include <check.h>

#include "wal_model.h"

Suite *wal_reader_suite(void);

/*------------------------------------------------------------------- format */

static const uint8_t golden[] = {
    'l',  's',  'm',  'w',  'a',  'l',  '\r', '\n', 1, 0,  0,  0,  /* magic, version */
    0xDE, 0xC0, 0x17, 0x5A,                                        /* salt */
    1,    2,    3,    4,    5,    6,    7,    8,    9, 10, 11, 12, /* store */
    13,   14,   15,   16,                                          /* .. */
    7,    0,    0,    0,    0,    0,    0,    0,                   /* number */
    6,    0,    0,    0,    0,    0,    0,    0,                   /* the log before */
    0x39, 0x30, 0,    0,    0,    0,    0,    0,                   /* its end */
    0,    0,    0,    0,    0x0E, 0x83, 0xEA, 0x8A,                /* reserved, crc */
    0xEE, 0xC1, 0x0D, 0x11, 0xE0, 0x37, 0xCE, 0xD7,                /* crcs, offset 64 */
    5,    0,    0,    0,    1,    0,    0,    0,                   /* length 5, BATCH */
    0x2A, 0,    0,    0,    0,    0,    0,    0,                   /* txid 42 */
    0,    0,    0,    0,    0,    0,    0,    0,                   /* synced to */
    'h',  'e',  'l',  'l',  'o',  0,    0,    0,                   /* payload */
    0x55, 0xCC, 0xB2, 0x43, 0x8A, 0xBB, 0x5D, 0xF8,                /* crcs, offset 104 */
    0,    0,    0,    0,    5,    0,    0,    0,                   /* CLOSE */
    0x2B, 0,    0,    0,    0,    0,    0,    0,                   /* txid 43 */
    104,  0,    0,    0,    0,    0,    0,    0,                   /* synced to */
};

START_TEST(test_golden) {
  lsm_wal *w;
  lsm_buf got = {0};
  lsm_wal_prev prev = {6, 12345};
  lsm_slice parts[2] = {lsm_slice_str("he"), lsm_slice_str("llo")};
  ck_lsm(lsm_wal_create(wal_env, WAL_PATH, wal_store_id, WAL_NUMBER, WAL_SALT, prev, &w));
  ck_assert_uint_eq(lsm_wal_number(w), WAL_NUMBER);
  ck_assert_uint_eq(lsm_wal_end(w), 64);
  ck_lsm(lsm_wal_append(w, LSM_WAL_BATCH, 42, parts, 2));
  ck_assert_uint_eq(lsm_wal_synced(w), 0);
  ck_lsm(lsm_wal_sync(w));
  ck_assert_uint_eq(lsm_wal_synced(w), 104);
  ck_lsm(lsm_wal_append(w, LSM_WAL_CLOSE, 43, NULL, 0));
  ck_assert_uint_eq(lsm_wal_end(w), 136);
  lsm_wal_close(w);
  ck_lsm(lsm_env_read_file(wal_env, WAL_PATH, &got));
  ck_assert_uint_eq(got.size, sizeof golden);
  ck_assert_mem_eq(got.data, golden, sizeof golden);
  lsm_buf_fini(&got);
}
END_TEST

/*------------------------------------------------------- damage and torn tails */

/* A log of records of several shapes; synced after each one when asked. */
static void build(wal_model *m, lsm_buf *bytes, bool synced) {
  static const size_t sizes[] = {20, 0, 900, 3, 1500, 300, 33};
  lsm_wal *w = wal_create();
  wal_seed = 2;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    lsm_wal_type type = sizes[i] == 0 ? LSM_WAL_ABORT : LSM_WAL_BATCH;
    ck_lsm(wal_append(w, m, type, sizes[i], true));
    if (synced) ck_lsm(lsm_wal_sync(w));
  }
  lsm_wal_close(w);
  ck_lsm(lsm_env_read_file(wal_env, WAL_PATH, bytes));
}

/* Every byte damaged: an error, or the last record reads as a torn tail. With
** a limit the last one is not excused. */
static void flip_all(bool synced) {
  static const uint8_t masks[] = {0xFF, 0x01, 0x80};
  wal_model m = {0};
  lsm_buf bytes = {0};
  lsm_wal_info info;
  size_t torn = 0;
  build(&m, &bytes, synced);
  for (size_t k = 0; k < sizeof masks; k++) {
    for (size_t i = 0; i < bytes.size; i++) {
      uint8_t bad = bytes.data[i] ^ masks[k];
      wal_poke(i, &bad, 1);
      lsm_rc rc = wal_replay(&m, 0, &info);
      if (i < m.at[m.count - 1].off) {
        ck_assert_msg(rc == LSM_CORRUPT, "byte %zu of %zu: %s", i, bytes.size, lsm_rc_name(rc));
        ck_assert_ptr_nonnull(strstr(lsm_errmsg(), WAL_PATH));
      } else {
        ck_lsm(rc);
        ck_assert(info.torn);
        ck_assert_uint_eq(m.seen, m.count - 1);
        torn++;
      }
      rc = wal_replay(&m, bytes.size, &info);
      ck_assert_msg(rc == LSM_CORRUPT, "byte %zu of %zu: %s", i, bytes.size, lsm_rc_name(rc));
      wal_poke(i, bytes.data + i, 1);
    }
  }
  ck_assert_uint_gt(torn, 0);
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert_uint_eq(m.seen, m.count);
  lsm_buf_fini(&bytes);
  wal_model_fini(&m);
}

START_TEST(test_flip) {
  flip_all(_i == 1);
}
END_TEST

START_TEST(test_truncate) {
  wal_model m = {0};
  lsm_buf bytes = {0};
  lsm_wal_info info;
  build(&m, &bytes, true);
  for (size_t n = 0; n < bytes.size; n++) {
    size_t whole = 0;
    wal_put_file(bytes.data, n);
    while (whole < m.count && m.at[whole].end <= n) whole++;
    ck_lsm(wal_replay(&m, 0, &info));
    ck_assert_uint_eq(m.seen, whole);
    ck_assert(info.empty == (n < LSM_WAL_HEADER_SIZE));
    if (!info.empty) ck_assert(info.torn == (n != info.end));
    ck_lsm(wal_replay(&m, bytes.size, &info));
    ck_assert_uint_eq(m.seen, whole);
    ck_assert(info.end < bytes.size && !info.torn);
  }
  lsm_buf_fini(&bytes);
  wal_model_fini(&m);
}
END_TEST

/* Does the record survive that [s, s + n) becomes zero? */
static bool same_there(const lsm_buf *bytes, size_t s, size_t n, const wal_expected *x) {
  size_t from = x->off > s ? (size_t)x->off : s;
  size_t to = x->end < s + n ? (size_t)x->end : s + n;
  return from >= to || lsm_all_zero(bytes->data + from, to - from);
}

/* Each sector lost: torn where nothing says that it was synced, else damage. */
static void lose_sectors(bool synced) {
  static const uint8_t zeros[LSM_SECTOR] = {0};
  wal_model m = {0};
  lsm_buf bytes = {0};
  lsm_wal_info info;
  build(&m, &bytes, synced);
  for (size_t s = 0; s < bytes.size; s += LSM_SECTOR) {
    size_t n = bytes.size - s < LSM_SECTOR ? bytes.size - s : LSM_SECTOR;
    size_t whole = 0;
    wal_put_file(bytes.data, bytes.size);
    wal_poke(s, zeros, n);
    while (whole < m.count && same_there(&bytes, s, n, &m.at[whole])) whole++;
    lsm_rc rc = wal_replay(&m, 0, &info);
    if (s == 0) {
      ck_lsm(rc);
      ck_assert(info.empty);
    } else if (whole == m.count) {
      ck_lsm(rc);
      ck_assert_uint_eq(m.seen, m.count);
    } else {
      bool witness = synced && m.at[m.count - 1].off >= s + n; /* its header is there */
      ck_assert_int_eq(rc, witness ? LSM_CORRUPT : LSM_OK);
      ck_assert_uint_eq(m.seen, whole);
      if (rc == LSM_OK) ck_assert(info.torn);
      if (!synced) { /* the next log may say that this one was longer */
        ck_lsm(wal_replay(&m, bytes.size, &info));
        ck_assert(!info.torn && info.end < bytes.size);
      }
    }
  }
  lsm_buf_fini(&bytes);
  wal_model_fini(&m);
}

START_TEST(test_lost_sector) {
  lose_sectors(_i == 1);
}
END_TEST

/* A record of zeros by nature, one bit of it flipped, is not a torn one. */
START_TEST(test_natural_zeros) {
  static const uint8_t zeros[4096] = {0};
  uint8_t one = 1;
  lsm_wal *w = wal_create();
  lsm_wal_info info;
  wal_model m = {0};
  lsm_slice parts[2] = {lsm_slice_of(zeros, sizeof zeros), lsm_slice_str("end")};
  ck_lsm(lsm_wal_append(w, LSM_WAL_BATCH, 1, parts, 2));
  ck_lsm(lsm_wal_append(w, LSM_WAL_BATCH, 2, parts + 1, 1));
  lsm_wal_close(w);
  for (size_t off = LSM_WAL_HEADER_SIZE; off < 4096; off += 100) {
    wal_poke(off + LSM_WAL_RECORD_SIZE, &one, 1);
    ck_assert_int_eq(wal_replay(&m, 0, &info), LSM_CORRUPT);
    wal_poke(off + LSM_WAL_RECORD_SIZE, zeros, 1);
  }
}
END_TEST

/* By chance: whatever a power loss leaves is read without complaint, nothing
** that was synced is missing, and the log goes on from there. */
static void lose_power(uint64_t seed) {
  wal_model m = {0};
  lsm_env *image, *keep = wal_env;
  lsm_wal *w = wal_create();
  lsm_wal_info info;
  size_t synced = 0;
  bool any_sync = false;
  wal_seed = seed;
  for (uint32_t i = 0, n = 1 + wal_rnd(20); i < n; i++) {
    static const uint32_t scale[] = {10, 100, 1000, 8000};
    size_t size = wal_rnd(scale[wal_rnd(4)]);
    ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, size, wal_rnd(2) == 0));
    if (wal_rnd(8) == 0) { /* taken back, then something else in its place */
      ck_lsm(lsm_wal_undo(w));
      wal_forget(&m);
      if (synced > m.count) synced = m.count;
    }
    if (wal_rnd(6) == 0) {
      if (wal_rnd(2) == 0) lsm_wal_reserve(w, 30000 + wal_rnd(60000));
      ck_lsm(lsm_wal_sync(w));
      synced = m.count;
      any_sync = true;
    }
  }
  uint64_t end = lsm_wal_end(w);
  ck_lsm(env_fault_crash(wal_env, ENV_FAULT_TEAR, seed, &image));
  lsm_wal_close(w);
  wal_env = image;
  lsm_rc rc = wal_replay(&m, 0, &info);
  if (rc == LSM_NOTFOUND) {
    ck_assert(!any_sync);
    goto done;
  }
  ck_assert_msg(rc == LSM_OK, "seed %u: %s", (unsigned)seed, lsm_errmsg());
  ck_assert_uint_ge(m.seen, synced);
  if (info.empty) {
    ck_assert(!any_sync);
    goto done;
  }
  size_t seen = m.seen;
  ck_lsm(wal_replay(&m, end, &info));
  ck_assert_uint_eq(m.seen, seen);
  ck_assert(!info.torn && (info.end < end) == (seen < m.count));

  ck_lsm(lsm_wal_reopen(wal_env, WAL_PATH, WAL_NUMBER, WAL_SALT, info.end, &w));
  while (m.count > seen) wal_forget(&m);
  ck_lsm(wal_append(w, &m, LSM_WAL_PREPARE, wal_rnd(3000), true));
  ck_lsm(wal_append(w, &m, LSM_WAL_COMMIT, 0, true));
  lsm_wal_trim(w);
  lsm_wal_close(w);
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert_uint_eq(m.seen, m.count);
  ck_assert(!info.torn);
done:
  wal_model_fini(&m);
  env_fault_free(image);
  wal_env = keep;
}

START_TEST(test_power_loss) {
  for (uint64_t seed = 1; seed <= 2000; seed++) {
    wal_teardown();
    wal_setup();
    lose_power(seed);
  }
}
END_TEST

/*------------------------------------------------------------------- headers */

static lsm_rc read_bytes(const uint8_t *data, size_t n, lsm_wal_info *info) {
  wal_model m = {0};
  wal_put_file(data, n);
  return wal_replay(&m, 0, info);
}

static void seal_header(uint8_t *h) {
  lsm_set_u32(h + LSM_WAL_AT_CRC, lsm_crc(0, h, LSM_WAL_AT_CRC));
}

START_TEST(test_headers) {
  uint8_t h[600] = {0};
  lsm_wal_info info;
  wal_model m = {0};
  ck_assert_int_eq(wal_replay(&m, 0, &info), LSM_NOTFOUND);
  ck_lsm(read_bytes(h, 0, &info));
  ck_assert(info.empty);
  ck_lsm(read_bytes(h, 600, &info)); /* a lost sector */
  ck_assert(info.empty);
  h[520] = 1;
  ck_lsm(read_bytes(h, 600, &info));
  ck_assert(info.empty);
  h[80] = 1;
  ck_assert_int_eq(read_bytes(h, 600, &info), LSM_CORRUPT);
  ck_lsm(read_bytes((const uint8_t *)"hello", 5, &info));
  ck_assert(info.empty);

  memcpy(h, golden, 64);
  ck_lsm(read_bytes(h, 64, &info));
  ck_assert(!info.empty && !info.torn && !info.clean);
  ck_assert_uint_eq(info.number, WAL_NUMBER);
  ck_assert_uint_eq(info.prev.number, 6);
  ck_assert_uint_eq(info.prev.end, 12345);
  ck_assert_uint_eq(info.end, 64);
  h[50] ^= 4; /* nothing is lost with a log that has no records */
  ck_lsm(read_bytes(h, 64, &info));
  ck_assert(info.empty);
  ck_assert_int_eq(read_bytes(h, 96, &info), LSM_CORRUPT);

  memcpy(h, golden, 64);
  h[LSM_WAL_AT_STORE] ^= 1;
  seal_header(h);
  ck_assert_int_eq(read_bytes(h, 64, &info), LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "another store"));
  memcpy(h, golden, 64);
  h[LSM_WAL_AT_NUMBER]++;
  seal_header(h);
  ck_assert_int_eq(read_bytes(h, 64, &info), LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "another number"));
  memcpy(h, golden, 64);
  h[LSM_WAL_AT_ZERO] = 1;
  seal_header(h);
  ck_assert_int_eq(read_bytes(h, 64, &info), LSM_CORRUPT);
  memcpy(h, golden, 64);
  h[LSM_WAL_AT_VERSION]++;
  seal_header(h);
  ck_assert_int_eq(read_bytes(h, 64, &info), LSM_CANTOPEN);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "version 2"));
}
END_TEST

/* A record that checks but says what no writer says. */
static lsm_rc read_crafted(lsm_wal_head h, const char *payload8, uint64_t limit) {
  uint8_t bytes[LSM_WAL_HEADER_SIZE + LSM_WAL_RECORD_SIZE + 8];
  uint8_t *p = bytes + LSM_WAL_HEADER_SIZE;
  lsm_wal_info info;
  wal_model m = {0};
  memcpy(bytes, golden, LSM_WAL_HEADER_SIZE);
  memcpy(p + LSM_WAL_RECORD_SIZE, payload8, 8);
  h.payload_crc = lsm_crc(lsm_wal_payload_seed(WAL_SALT), payload8, 8);
  lsm_wal_head_put(p, &h);
  lsm_wal_head_seal(p, WAL_SALT, LSM_WAL_HEADER_SIZE);
  wal_put_file(bytes, sizeof bytes);
  wal_expected x = {LSM_WAL_BATCH, 9, 64, 104, {(uint8_t *)(uintptr_t)payload8, 5, 5}};
  m.at[0] = x;
  m.count = 1;
  lsm_rc rc = wal_replay(&m, limit, &info);
  return rc == LSM_OK && m.seen == 0 ? LSM_NOTFOUND : rc;
}

START_TEST(test_crafted) {
  lsm_wal_head h = {0, 5, LSM_WAL_BATCH, 0, 9, 0};
  ck_lsm(read_crafted(h, "hello\0\0", 0));
  ck_assert_int_eq(read_crafted(h, "hello\0x", 0), LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "padding"));
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 80), LSM_CORRUPT);
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 100), LSM_CORRUPT);
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 64), LSM_NOTFOUND);
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 1), LSM_NOTFOUND);
  ck_lsm(read_crafted(h, "hello\0\0", 104));
  h.type = 8;
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_CORRUPT);
  ck_assert_str_eq(lsm_errmsg(), WAL_PATH ": unknown record type at offset 64");
  h.type = 0;
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_CORRUPT);
  h.type = LSM_WAL_COMMIT;
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_CORRUPT);
  h.type = LSM_WAL_BATCH;
  h.synced_to = 65;
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_CORRUPT);
  h.synced_to = 64;
  ck_lsm(read_crafted(h, "hello\0\0", 0));
  h.len = 0xFFFFFFFF;
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_CORRUPT);
  h.len = 0xFFFFFFC0; /* ends behind the file: never allocated */
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_NOTFOUND);
}
END_TEST

START_TEST(test_callback_error) {
  wal_model m = {0};
  lsm_buf bytes = {0};
  lsm_wal_info info;
  int left = 3;
  build(&m, &bytes, false);
  ck_assert_int_eq(wal_read(&left, &info), LSM_INTERRUPT);
  ck_assert_int_eq(left, 0);
  lsm_buf_fini(&bytes);
  wal_model_fini(&m);
}
END_TEST

/* Room hides no damage: a record that was synced, and that others follow. */
START_TEST(test_room_and_damage) {
  wal_model m = {0};
  lsm_wal_info info;
  lsm_wal *w = wal_create();
  for (int i = 0; i < 3; i++) {
    ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 100, false));
    lsm_wal_reserve(w, 1u << 20);
    ck_lsm(lsm_wal_sync(w));
  }
  lsm_wal_close(w);
  for (size_t off = m.at[0].off; off < m.at[1].end; off++) {
    lsm_buf all = {0};
    ck_lsm(lsm_env_read_file(wal_env, WAL_PATH, &all));
    uint8_t was = all.data[off], other = was ^ 0x10;
    lsm_buf_fini(&all);
    wal_poke(off, &other, 1);
    ck_assert_int_eq(wal_replay(&m, 0, &info), LSM_CORRUPT);
    wal_poke(off, &was, 1);
  }
  uint8_t one = 1; /* in the last one it cannot be told from a torn tail */
  wal_poke(m.at[2].off + 50, &one, 1);
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert(m.seen == 2 && info.torn);
  ck_assert_int_eq(wal_replay(&m, m.at[2].end, &info), LSM_CORRUPT); /* but if it was seen */
  wal_model_fini(&m);
}
END_TEST

/* The salt with which a header of zeros at OFF has the right checksum, zero: the
** checksum is a linear function of the salt's bits but for a constant. */
static uint32_t salt_for_zeros(uint64_t off) {
  static const uint8_t zeros[LSM_WAL_RECORD_SIZE] = {0};
  uint32_t want = lsm_wal_head_crc(zeros, 0, off), salt = 0, row[32], of[32];
  for (int i = 0; i < 32; i++) {
    of[i] = 1u << i;
    row[i] = lsm_wal_head_crc(zeros, of[i], off) ^ want;
  }
  for (uint32_t bit = 1, done = 0; bit != 0; bit <<= 1, done++) {
    uint32_t at = done;
    while (at < 32 && (row[at] & bit) == 0) at++;
    ck_assert_uint_lt(at, 32);
    uint32_t r = row[at], o = of[at];
    row[at] = row[done], of[at] = of[done];
    row[done] = r, of[done] = o;
    for (uint32_t i = done + 1; i < 32; i++) {
      if ((row[i] & bit) != 0) row[i] ^= r, of[i] ^= o;
    }
    if ((want & bit) != 0) want ^= r, salt ^= o;
  }
  ck_assert_uint_eq(lsm_wal_head_crc(zeros, salt, off), 0);
  return salt;
}

START_TEST(test_zeros_that_check) {
  lsm_wal_info info;
  lsm_wal *w;
  int left = 100;
  uint32_t salt = salt_for_zeros(LSM_WAL_HEADER_SIZE);
  ck_lsm(lsm_wal_create(wal_env, WAL_PATH, wal_store_id, WAL_NUMBER, salt, wal_prev_none, &w));
  lsm_wal_reserve(w, 1u << 20);
  lsm_wal_close(w);
  ck_lsm(wal_read(&left, &info));
  ck_assert(left == 100 && info.end == LSM_WAL_HEADER_SIZE);
}
END_TEST

Suite *wal_reader_suite(void) {
  Suite *s = suite_create("wal_reader");
  TCase *tc = tcase_create("wal_reader");
  tcase_add_checked_fixture(tc, wal_setup, wal_teardown);
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, test_golden);
  tcase_add_loop_test(tc, test_flip, 0, 2); /* 1: synced after each record */
  tcase_add_test(tc, test_truncate);
  tcase_add_loop_test(tc, test_lost_sector, 0, 2);
  tcase_add_test(tc, test_natural_zeros);
  tcase_add_test(tc, test_power_loss);
  tcase_add_test(tc, test_headers);
  tcase_add_test(tc, test_crafted);
  tcase_add_test(tc, test_callback_error);
  tcase_add_test(tc, test_room_and_damage);
  tcase_add_test(tc, test_zeros_that_check);
  suite_add_tcase(s, tc);
  return s;
}
