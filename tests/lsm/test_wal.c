/* test_wal.c: logs written, read back, torn, damaged and failing. */
#include <check.h>
#include <stdlib.h>

#include "env_fault.h"
#include "wal_format.h"

Suite *wal_suite(void);

#define PATH "d/000007.wal"
#define SALT 0x5A17C0DEu
enum { NUMBER = 7, MAX_RECORDS = 64 };

static const uint8_t store_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const lsm_wal_prev prev_none = {0, 0};

static lsm_env *env; /* memory, fresh in each test */

static void setup(void) {
  ck_assert_int_eq(env_fault_new(NULL, &env), LSM_OK);
  ck_assert_int_eq(env->mkdir(env, "d"), LSM_OK);
  ck_assert_int_eq(env->sync_dir(env, "."), LSM_OK);
}

static void teardown(void) {
  env_fault_free(env);
  env = NULL;
}

/*---------------------------------------------------------------- the model */

/* What was appended, and what the replay must give back. */
typedef struct expected {
  lsm_wal_type type;
  uint64_t txid, off, end;
  lsm_buf payload;
} expected;

typedef struct model {
  expected at[MAX_RECORDS];
  size_t count;
  size_t seen; /* by the replay under way */
  bool mismatch;
} model;

static void model_fini(model *m) {
  for (size_t i = 0; i < m->count; i++) lsm_buf_fini(&m->at[i].payload);
  memset(m, 0, sizeof *m);
}

static uint64_t rng_state;
static uint32_t rng(uint32_t n) {
  rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(rng_state >> 33) % n;
}

/* Appends to log and model: n bytes that are zero in part. */
static lsm_rc append(lsm_wal *w, model *m, lsm_wal_type type, size_t n, bool zeros) {
  expected *x = &m->at[m->count];
  ck_assert(m->count < MAX_RECORDS);
  memset(x, 0, sizeof *x);
  ck_assert_int_eq(lsm_buf_reserve(&x->payload, n + 1), LSM_OK);
  x->payload.size = n;
  for (size_t i = 0; i < n; i++) {
    bool zero = zeros && (i / 700) % 2 == 1;
    x->payload.data[i] = zero ? 0 : (uint8_t)(1 + rng(255));
  }
  x->type = type;
  x->txid = 100 + m->count;
  x->off = lsm_wal_end(w);
  lsm_slice parts[3] = {lsm_slice_of(x->payload.data, n / 3), LSM_SLICE_NULL,
                        lsm_slice_of(x->payload.data + n / 3, n - n / 3)};
  lsm_rc rc = lsm_wal_append(w, type, x->txid, parts, 3);
  x->end = lsm_wal_end(w);
  if (rc == LSM_OK) {
    m->count++;
  } else {
    ck_assert_uint_eq(x->end, x->off);
    lsm_buf_fini(&x->payload);
  }
  return rc;
}

static lsm_rc compare(void *arg, const lsm_wal_record *rec) {
  model *m = arg;
  if (m->seen >= m->count) {
    m->mismatch = true;
    return LSM_OK;
  }
  const expected *x = &m->at[m->seen++];
  if (rec->type != x->type || rec->txid != x->txid || rec->off != x->off ||
      !lsm_slice_eq(rec->payload, lsm_buf_slice(&x->payload))) {
    m->mismatch = true;
  }
  return LSM_OK;
}

/* Replays; what fn saw is always a prefix of the model, and info agrees. */
static lsm_rc replay(model *m, uint64_t limit, lsm_wal_info *info) {
  m->seen = 0;
  m->mismatch = false;
  lsm_rc rc = lsm_wal_replay(env, PATH, store_id, NUMBER, limit, compare, m, info);
  ck_assert(!m->mismatch);
  if (rc == LSM_OK && !info->empty) {
    ck_assert_uint_eq(info->end, m->seen == 0 ? LSM_WAL_HEADER_SIZE : m->at[m->seen - 1].end);
  }
  return rc;
}

static lsm_wal *create(void) {
  lsm_wal *w;
  ck_assert_int_eq(lsm_wal_create(env, PATH, store_id, NUMBER, SALT, prev_none, &w), LSM_OK);
  return w;
}

static void write_at(int flags, size_t off, const void *data, size_t n) {
  lsm_file *f;
  ck_assert_int_eq(env->open(env, PATH, LSM_OPEN_WRITE | flags, &f), LSM_OK);
  ck_assert_int_eq(lsm_file_write(f, off, data, n), LSM_OK);
  lsm_file_close(f);
}

/* Replaces the file, or some of it. */
static void put_file(const uint8_t *data, size_t n) {
  write_at(LSM_OPEN_CREATE | LSM_OPEN_TRUNCATE, 0, data, n);
}
static void poke(size_t off, const void *data, size_t n) {
  write_at(0, off, data, n);
}

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
  ck_assert_int_eq(lsm_wal_create(env, PATH, store_id, NUMBER, SALT, prev, &w), LSM_OK);
  ck_assert_uint_eq(lsm_wal_number(w), NUMBER);
  ck_assert_uint_eq(lsm_wal_end(w), 64);
  ck_assert_int_eq(lsm_wal_append(w, LSM_WAL_BATCH, 42, parts, 2), LSM_OK);
  ck_assert_uint_eq(lsm_wal_synced(w), 0);
  ck_assert_int_eq(lsm_wal_sync(w), LSM_OK);
  ck_assert_uint_eq(lsm_wal_synced(w), 104);
  ck_assert_int_eq(lsm_wal_append(w, LSM_WAL_CLOSE, 43, NULL, 0), LSM_OK);
  ck_assert_uint_eq(lsm_wal_end(w), 136);
  lsm_wal_close(w);
  ck_assert_int_eq(lsm_env_read_file(env, PATH, &got), LSM_OK);
  ck_assert_uint_eq(got.size, sizeof golden);
  ck_assert_mem_eq(got.data, golden, sizeof golden);
  lsm_buf_fini(&got);
}
END_TEST

/* Sizes around sectors and the reader's window, types, many parts. */
START_TEST(test_roundtrip) {
  static const size_t sizes[] = {0,   1,    7,     8,      9,      440,    511,     512,
                                 513, 4095, 70000, 262112, 262144, 300000, 3000000, 5};
  lsm_wal *w = create();
  model m = {0};
  lsm_wal_info info;
  rng_state = 1;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    static const lsm_wal_type types[] = {LSM_WAL_BATCH, LSM_WAL_PREPARE, LSM_WAL_FILES,
                                         LSM_WAL_PREPARE_FILES};
    lsm_wal_type type = types[i % 4];
    ck_assert_int_eq(append(w, &m, type, sizes[i], i % 3 == 0), LSM_OK);
    if (i % 2 != 0) ck_assert_int_eq(append(w, &m, LSM_WAL_COMMIT, 0, false), LSM_OK);
    if (i % 5 == 0) ck_assert_int_eq(lsm_wal_sync(w), LSM_OK);
  }
  ck_assert_int_eq(append(w, &m, LSM_WAL_ABORT, 0, false), LSM_OK);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert_uint_eq(m.seen, m.count);
  ck_assert(!info.torn && !info.empty && !info.clean);
  ck_assert_uint_eq(info.end, lsm_wal_end(w));
  ck_assert_uint_eq(info.salt, SALT);
  ck_assert_uint_eq(info.prev.number, 0);
  ck_assert_int_eq(append(w, &m, LSM_WAL_CLOSE, 0, false), LSM_OK);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert_uint_eq(m.seen, m.count);
  ck_assert(info.clean);
  lsm_wal_close(w);
  model_fini(&m);
}
END_TEST

static lsm_rc one_payload(void *arg, const lsm_wal_record *rec) {
  return lsm_buf_set(arg, rec->payload);
}

START_TEST(test_many_parts) {
  lsm_wal *w = create();
  lsm_slice parts[100];
  lsm_buf got = {0};
  lsm_wal_info info;
  for (int i = 0; i < 100; i++) parts[i] = lsm_slice_str(i % 3 == 0 ? "" : "xyz");
  ck_assert_int_eq(lsm_wal_append(w, LSM_WAL_BATCH, 1, parts, 100), LSM_OK);
  lsm_wal_close(w);
  ck_assert_int_eq(lsm_wal_replay(env, PATH, store_id, NUMBER, 0, one_payload, &got, &info),
                   LSM_OK);
  ck_assert_uint_eq(got.size, 66 * 3);
  for (size_t i = 0; i < got.size; i++) ck_assert_uint_eq(got.data[i], "xyz"[i % 3]);
  lsm_buf_fini(&got);
}
END_TEST

START_TEST(test_too_large) {
  lsm_wal *w = create();
  lsm_slice parts[2] = {lsm_slice_of("x", 0x80000000u), lsm_slice_of("x", 0x80000000u)};
  ck_assert_int_eq(lsm_wal_append(w, LSM_WAL_BATCH, 1, parts, 2), LSM_FULL); /* reads nothing */
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), PATH));
  ck_assert_uint_eq(lsm_wal_end(w), LSM_WAL_HEADER_SIZE);
  ck_assert(!lsm_wal_is_broken(w));
  lsm_wal_close(w);
}
END_TEST

/*------------------------------------------------------- damage and torn tails */

/* A log of records of several shapes; synced after each one when asked. */
static void build(model *m, lsm_buf *bytes, bool synced) {
  static const size_t sizes[] = {20, 0, 900, 3, 1500, 300, 33};
  lsm_wal *w = create();
  rng_state = 2;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    lsm_wal_type type = sizes[i] == 0 ? LSM_WAL_ABORT : LSM_WAL_BATCH;
    ck_assert_int_eq(append(w, m, type, sizes[i], true), LSM_OK);
    if (synced) ck_assert_int_eq(lsm_wal_sync(w), LSM_OK);
  }
  lsm_wal_close(w);
  ck_assert_int_eq(lsm_env_read_file(env, PATH, bytes), LSM_OK);
}

/* Every byte damaged: an error, or the last record reads as a torn tail. With
** a limit the last one is not excused. */
static void flip_all(bool synced) {
  static const uint8_t masks[] = {0xFF, 0x01, 0x80};
  model m = {0};
  lsm_buf bytes = {0};
  lsm_wal_info info;
  size_t torn = 0;
  build(&m, &bytes, synced);
  for (size_t k = 0; k < sizeof masks; k++) {
    for (size_t i = 0; i < bytes.size; i++) {
      uint8_t bad = bytes.data[i] ^ masks[k];
      poke(i, &bad, 1);
      lsm_rc rc = replay(&m, 0, &info);
      if (i < m.at[m.count - 1].off) {
        ck_assert_msg(rc == LSM_CORRUPT, "byte %zu of %zu: %s", i, bytes.size, lsm_rc_name(rc));
        ck_assert_ptr_nonnull(strstr(lsm_errmsg(), PATH));
      } else {
        ck_assert_int_eq(rc, LSM_OK);
        ck_assert(info.torn);
        ck_assert_uint_eq(m.seen, m.count - 1);
        torn++;
      }
      rc = replay(&m, bytes.size, &info);
      ck_assert_msg(rc == LSM_CORRUPT, "byte %zu of %zu: %s", i, bytes.size, lsm_rc_name(rc));
      poke(i, bytes.data + i, 1);
    }
  }
  ck_assert_uint_gt(torn, 0);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert_uint_eq(m.seen, m.count);
  lsm_buf_fini(&bytes);
  model_fini(&m);
}

START_TEST(test_flip) {
  flip_all(_i == 1);
}
END_TEST

START_TEST(test_truncate) {
  model m = {0};
  lsm_buf bytes = {0};
  lsm_wal_info info;
  build(&m, &bytes, true);
  for (size_t n = 0; n < bytes.size; n++) {
    size_t whole = 0;
    put_file(bytes.data, n);
    while (whole < m.count && m.at[whole].end <= n) whole++;
    ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
    ck_assert_uint_eq(m.seen, whole);
    ck_assert(info.empty == (n < LSM_WAL_HEADER_SIZE));
    if (!info.empty) ck_assert(info.torn == (n != info.end));
    ck_assert_int_eq(replay(&m, bytes.size, &info), LSM_OK);
    ck_assert_uint_eq(m.seen, whole);
    ck_assert(info.end < bytes.size && !info.torn);
  }
  lsm_buf_fini(&bytes);
  model_fini(&m);
}
END_TEST

/* Does the record survive that [s, s + n) becomes zero? */
static bool same_there(const lsm_buf *bytes, size_t s, size_t n, const expected *x) {
  size_t from = x->off > s ? (size_t)x->off : s;
  size_t to = x->end < s + n ? (size_t)x->end : s + n;
  return from >= to || lsm_all_zero(bytes->data + from, to - from);
}

/* Each sector lost: torn where nothing says that it was synced, else damage. */
static void lose_sectors(bool synced) {
  static const uint8_t zeros[LSM_SECTOR] = {0};
  model m = {0};
  lsm_buf bytes = {0};
  lsm_wal_info info;
  build(&m, &bytes, synced);
  for (size_t s = 0; s < bytes.size; s += LSM_SECTOR) {
    size_t n = bytes.size - s < LSM_SECTOR ? bytes.size - s : LSM_SECTOR;
    size_t whole = 0;
    put_file(bytes.data, bytes.size);
    poke(s, zeros, n);
    while (whole < m.count && same_there(&bytes, s, n, &m.at[whole])) whole++;
    lsm_rc rc = replay(&m, 0, &info);
    if (s == 0) {
      ck_assert_int_eq(rc, LSM_OK);
      ck_assert(info.empty);
    } else if (whole == m.count) {
      ck_assert_int_eq(rc, LSM_OK);
      ck_assert_uint_eq(m.seen, m.count);
    } else {
      bool witness = synced && m.at[m.count - 1].off >= s + n; /* its header is there */
      ck_assert_int_eq(rc, witness ? LSM_CORRUPT : LSM_OK);
      ck_assert_uint_eq(m.seen, whole);
      if (rc == LSM_OK) ck_assert(info.torn);
      if (!synced) { /* the next log may say that this one was longer */
        ck_assert_int_eq(replay(&m, bytes.size, &info), LSM_OK);
        ck_assert(!info.torn && info.end < bytes.size);
      }
    }
  }
  lsm_buf_fini(&bytes);
  model_fini(&m);
}

START_TEST(test_lost_sector) {
  lose_sectors(_i == 1);
}
END_TEST

/* A record of zeros by nature, one bit of it flipped, is not a torn one. */
START_TEST(test_natural_zeros) {
  static const uint8_t zeros[4096] = {0};
  uint8_t one = 1;
  lsm_wal *w = create();
  lsm_wal_info info;
  model m = {0};
  lsm_slice parts[2] = {lsm_slice_of(zeros, sizeof zeros), lsm_slice_str("end")};
  ck_assert_int_eq(lsm_wal_append(w, LSM_WAL_BATCH, 1, parts, 2), LSM_OK);
  ck_assert_int_eq(lsm_wal_append(w, LSM_WAL_BATCH, 2, parts + 1, 1), LSM_OK);
  lsm_wal_close(w);
  for (size_t off = LSM_WAL_HEADER_SIZE; off < 4096; off += 100) {
    poke(off + LSM_WAL_RECORD_SIZE, &one, 1);
    ck_assert_int_eq(replay(&m, 0, &info), LSM_CORRUPT);
    poke(off + LSM_WAL_RECORD_SIZE, zeros, 1);
  }
}
END_TEST

/* By chance: whatever a power loss leaves is read without complaint, nothing
** that was synced is missing, and the log goes on from there. */
static void lose_power(uint64_t seed) {
  model m = {0};
  lsm_env *image, *keep = env;
  lsm_wal *w = create();
  lsm_wal_info info;
  size_t synced = 0;
  bool any_sync = false;
  rng_state = seed;
  for (uint32_t i = 0, n = 1 + rng(20); i < n; i++) {
    static const uint32_t scale[] = {10, 100, 1000, 8000};
    size_t size = rng(scale[rng(4)]);
    ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, size, rng(2) == 0), LSM_OK);
    if (rng(8) == 0) { /* taken back, then something else in its place */
      ck_assert_int_eq(lsm_wal_undo(w), LSM_OK);
      lsm_buf_fini(&m.at[--m.count].payload);
      if (synced > m.count) synced = m.count;
    }
    if (rng(6) == 0) {
      if (rng(2) == 0) lsm_wal_reserve(w, 30000 + rng(60000));
      ck_assert_int_eq(lsm_wal_sync(w), LSM_OK);
      synced = m.count;
      any_sync = true;
    }
  }
  uint64_t end = lsm_wal_end(w);
  ck_assert_int_eq(env_fault_crash(env, ENV_FAULT_TEAR, seed, &image), LSM_OK);
  lsm_wal_close(w);
  env = image;
  lsm_rc rc = replay(&m, 0, &info);
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
  ck_assert_int_eq(replay(&m, end, &info), LSM_OK);
  ck_assert_uint_eq(m.seen, seen);
  ck_assert(!info.torn && (info.end < end) == (seen < m.count));

  ck_assert_int_eq(lsm_wal_reopen(env, PATH, NUMBER, SALT, info.end, &w), LSM_OK);
  while (m.count > seen) lsm_buf_fini(&m.at[--m.count].payload);
  ck_assert_int_eq(append(w, &m, LSM_WAL_PREPARE, rng(3000), true), LSM_OK);
  ck_assert_int_eq(append(w, &m, LSM_WAL_COMMIT, 0, true), LSM_OK);
  lsm_wal_trim(w);
  lsm_wal_close(w);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert_uint_eq(m.seen, m.count);
  ck_assert(!info.torn);
done:
  model_fini(&m);
  env_fault_free(image);
  env = keep;
}

START_TEST(test_power_loss) {
  for (uint64_t seed = 1; seed <= 2000; seed++) {
    teardown();
    setup();
    lose_power(seed);
  }
}
END_TEST

/*------------------------------------------------------------------- headers */

static lsm_rc read_bytes(const uint8_t *data, size_t n, lsm_wal_info *info) {
  model m = {0};
  put_file(data, n);
  return replay(&m, 0, info);
}

static void seal_header(uint8_t *h) {
  lsm_set_u32(h + LSM_WAL_AT_CRC, lsm_crc(0, h, LSM_WAL_AT_CRC));
}

START_TEST(test_headers) {
  uint8_t h[600] = {0};
  lsm_wal_info info;
  model m = {0};
  ck_assert_int_eq(replay(&m, 0, &info), LSM_NOTFOUND);
  ck_assert_int_eq(read_bytes(h, 0, &info), LSM_OK);
  ck_assert(info.empty);
  ck_assert_int_eq(read_bytes(h, 600, &info), LSM_OK); /* a lost sector */
  ck_assert(info.empty);
  h[520] = 1;
  ck_assert_int_eq(read_bytes(h, 600, &info), LSM_OK);
  ck_assert(info.empty);
  h[80] = 1;
  ck_assert_int_eq(read_bytes(h, 600, &info), LSM_CORRUPT);
  ck_assert_int_eq(read_bytes((const uint8_t *)"hello", 5, &info), LSM_OK);
  ck_assert(info.empty);

  memcpy(h, golden, 64);
  ck_assert_int_eq(read_bytes(h, 64, &info), LSM_OK);
  ck_assert(!info.empty && !info.torn && !info.clean);
  ck_assert_uint_eq(info.number, NUMBER);
  ck_assert_uint_eq(info.prev.number, 6);
  ck_assert_uint_eq(info.prev.end, 12345);
  ck_assert_uint_eq(info.end, 64);
  h[50] ^= 4; /* nothing is lost with a log that has no records */
  ck_assert_int_eq(read_bytes(h, 64, &info), LSM_OK);
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
  model m = {0};
  memcpy(bytes, golden, LSM_WAL_HEADER_SIZE);
  memcpy(p + LSM_WAL_RECORD_SIZE, payload8, 8);
  h.payload_crc = lsm_crc(lsm_wal_payload_seed(SALT), payload8, 8);
  lsm_wal_head_put(p, &h);
  lsm_wal_head_seal(p, SALT, LSM_WAL_HEADER_SIZE);
  put_file(bytes, sizeof bytes);
  expected x = {LSM_WAL_BATCH, 9, 64, 104, {(uint8_t *)(uintptr_t)payload8, 5, 5}};
  m.at[0] = x;
  m.count = 1;
  lsm_rc rc = replay(&m, limit, &info);
  return rc == LSM_OK && m.seen == 0 ? LSM_NOTFOUND : rc;
}

START_TEST(test_crafted) {
  lsm_wal_head h = {0, 5, LSM_WAL_BATCH, 0, 9, 0};
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_OK);
  ck_assert_int_eq(read_crafted(h, "hello\0x", 0), LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "padding"));
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 80), LSM_CORRUPT);
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 100), LSM_CORRUPT);
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 64), LSM_NOTFOUND);
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 1), LSM_NOTFOUND);
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 104), LSM_OK);
  h.type = 8;
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_CORRUPT);
  ck_assert_str_eq(lsm_errmsg(), PATH ": unknown record type at offset 64");
  h.type = 0;
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_CORRUPT);
  h.type = LSM_WAL_COMMIT;
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_CORRUPT);
  h.type = LSM_WAL_BATCH;
  h.synced_to = 65;
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_CORRUPT);
  h.synced_to = 64;
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_OK);
  h.len = 0xFFFFFFFF;
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_CORRUPT);
  h.len = 0xFFFFFFC0; /* ends behind the file: never allocated */
  ck_assert_int_eq(read_crafted(h, "hello\0\0", 0), LSM_NOTFOUND);
}
END_TEST

static lsm_rc stop(void *arg, const lsm_wal_record *rec) {
  int *left = arg;
  (void)rec;
  return --*left == 0 ? LSM_INTERRUPT : LSM_OK;
}

START_TEST(test_callback_error) {
  model m = {0};
  lsm_buf bytes = {0};
  lsm_wal_info info;
  int left = 3;
  build(&m, &bytes, false);
  ck_assert_int_eq(lsm_wal_replay(env, PATH, store_id, NUMBER, 0, stop, &left, &info),
                   LSM_INTERRUPT);
  ck_assert_int_eq(left, 0);
  lsm_buf_fini(&bytes);
  model_fini(&m);
}
END_TEST

/*------------------------------------------------------------------ failures */

START_TEST(test_failed_append) {
  model m = {0};
  lsm_wal_info info;
  lsm_wal *w = create();
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 100, false), LSM_OK);
  env_fault_fail(env, ENV_FAULT_WRITE, 1, LSM_FULL, ENV_FAULT_SHORT);
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 5000, false), LSM_FULL);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), PATH ": cannot append at offset 200"));
  ck_assert(!lsm_wal_is_broken(w));
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert(!info.torn && m.seen == 1);
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 50, false), LSM_OK);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert_uint_eq(m.seen, 2);
  /* Nor could it be cut back: broken for ever, but what was there is there. */
  env_fault_fail(env, ENV_FAULT_WRITE | ENV_FAULT_TRUNCATE, 1, LSM_IOERR,
                 ENV_FAULT_SHORT | ENV_FAULT_STICKY);
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 5000, false), LSM_IOERR);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "cannot append"));
  env_fault_clear(env);
  ck_assert(lsm_wal_is_broken(w));
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 1, false), LSM_IOERR);
  ck_assert_int_eq(lsm_wal_sync(w), LSM_IOERR);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert_uint_eq(m.seen, 2);
  lsm_wal_close(w);
  model_fini(&m);
}
END_TEST

START_TEST(test_failed_sync) {
  for (unsigned kind = ENV_FAULT_SYNC; kind != 0;
       kind = kind == ENV_FAULT_SYNC ? ENV_FAULT_SYNC_DIR : 0) {
    model m = {0};
    lsm_wal_info info;
    lsm_wal *w = create();
    ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 10, false), LSM_OK);
    env_fault_fail(env, kind, 1, LSM_IOERR, 0);
    ck_assert_int_eq(lsm_wal_sync(w), LSM_IOERR);
    ck_assert_ptr_nonnull(strstr(lsm_errmsg(), PATH));
    ck_assert(lsm_wal_is_broken(w));
    ck_assert_uint_eq(lsm_wal_synced(w), 0);
    ck_assert_int_eq(lsm_wal_sync(w), LSM_IOERR);
    ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 10, false), LSM_IOERR);
    /* The commit that failed is taken back all the same. */
    ck_assert_int_eq(lsm_wal_undo(w), LSM_OK);
    ck_assert_uint_eq(lsm_wal_end(w), LSM_WAL_HEADER_SIZE);
    ck_assert(lsm_wal_is_broken(w));
    lsm_buf_fini(&m.at[--m.count].payload);
    ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
    ck_assert(m.seen == 0 && !info.torn);
    lsm_wal_close(w);
    model_fini(&m);
  }
}
END_TEST

START_TEST(test_syncs) {
  model m = {0};
  lsm_wal *w = create();
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 10, false), LSM_OK);
  uint64_t before = env_fault_syncs(env);
  ck_assert_int_eq(lsm_wal_sync(w), LSM_OK); /* file and directory */
  ck_assert_uint_eq(env_fault_syncs(env), before + 2);
  ck_assert_int_eq(lsm_wal_sync(w), LSM_OK); /* nothing to do */
  ck_assert_uint_eq(env_fault_syncs(env), before + 2);
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 10, false), LSM_OK);
  ck_assert_int_eq(lsm_wal_sync(w), LSM_OK);
  ck_assert_uint_eq(env_fault_syncs(env), before + 3);
  lsm_wal_close(w);
  model_fini(&m);
}
END_TEST

START_TEST(test_undo) {
  model m = {0};
  lsm_wal_info info;
  lsm_wal *w = create();
  ck_assert_int_eq(lsm_wal_undo(w), LSM_MISUSE);
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 10, false), LSM_OK);
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 20, false), LSM_OK);
  ck_assert_int_eq(lsm_wal_sync(w), LSM_OK);
  ck_assert_int_eq(lsm_wal_undo(w), LSM_OK);
  ck_assert_int_eq(lsm_wal_undo(w), LSM_MISUSE); /* once */
  lsm_buf_fini(&m.at[--m.count].payload);
  ck_assert_uint_eq(lsm_wal_end(w), m.at[0].end);
  ck_assert_uint_eq(lsm_wal_synced(w), m.at[0].end);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert(m.seen == 1 && !info.torn);
  /* A cut that is not durable yet is made so before the next record. */
  uint64_t before = env_fault_syncs(env);
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 30, false), LSM_OK);
  ck_assert_uint_eq(env_fault_syncs(env), before + 1);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert_uint_eq(m.seen, 2);
  env_fault_fail(env, ENV_FAULT_TRUNCATE, 1, LSM_IOERR, 0);
  ck_assert_int_eq(lsm_wal_undo(w), LSM_IOERR);
  ck_assert(lsm_wal_is_broken(w));
  lsm_wal_close(w);
  model_fini(&m);
}
END_TEST

START_TEST(test_reopen) {
  model m = {0};
  lsm_wal_info info;
  lsm_wal *w = create();
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 10, false), LSM_OK);
  uint64_t end = lsm_wal_end(w);
  lsm_wal_close(w);
  ck_assert_int_eq(lsm_wal_reopen(env, PATH, NUMBER, SALT, end + 8, &w), LSM_CORRUPT);
  ck_assert_ptr_null(w);
  ck_assert_int_eq(lsm_wal_reopen(env, PATH, NUMBER, SALT, 8, &w), LSM_MISUSE);
  ck_assert_int_eq(lsm_wal_reopen(env, "d/000008.wal", NUMBER, SALT, end, &w), LSM_NOTFOUND);
  ck_assert_int_eq(lsm_wal_reopen(env, PATH, NUMBER, SALT, end, &w), LSM_OK);
  ck_assert_uint_eq(lsm_wal_synced(w), 0);
  ck_assert_int_eq(append(w, &m, LSM_WAL_CLOSE, 0, false), LSM_OK);
  lsm_wal_close(w);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert(info.clean && m.seen == 2);
  env_fault_fail(env, ENV_FAULT_TRUNCATE, 1, LSM_IOERR, 0);
  ck_assert_int_eq(lsm_wal_reopen(env, PATH, NUMBER, SALT, end, &w), LSM_IOERR);
  ck_assert_ptr_null(w);
  model_fini(&m);
}
END_TEST

/*--------------------------------------------------------------------- room */

static uint64_t file_size(void) {
  uint64_t size = 0;
  lsm_file *f;
  ck_assert_int_eq(env->open(env, PATH, LSM_OPEN_READ, &f), LSM_OK);
  ck_assert_int_eq(f->ops->size(f, &size), LSM_OK);
  lsm_file_close(f);
  return size;
}

/* Zeros behind the last record are its end. */
START_TEST(test_room) {
  model m = {0};
  lsm_wal_info info;
  lsm_wal *w = create();
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 100, false), LSM_OK);
  lsm_wal_reserve(w, 1u << 20);
  uint64_t size = file_size(), end = lsm_wal_end(w);
  ck_assert_uint_ge(size, end + 60000);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert(m.seen == 1 && info.end == end && info.torn);
  while (lsm_wal_end(w) + 9000 < size) {
    ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 8000, false), LSM_OK);
    lsm_wal_reserve(w, 1u << 20);
    ck_assert_uint_eq(file_size(), size); /* there is room */
  }
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 30000, false), LSM_OK);
  lsm_wal_reserve(w, 1u << 20);
  ck_assert_uint_gt(file_size(), lsm_wal_end(w) + 60000);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert_uint_eq(m.seen, m.count);
  lsm_wal_trim(w);
  ck_assert_uint_eq(file_size(), lsm_wal_end(w));
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert(m.seen == m.count && !info.torn);
  lsm_wal_reserve(w, lsm_wal_end(w) + 100); /* not more than may be needed */
  ck_assert_uint_eq(file_size(), lsm_wal_end(w) + 100);
  lsm_wal_close(w);
  model_fini(&m);
}
END_TEST

/* Who opens the log again keeps the room, and makes sure that it is one. */
START_TEST(test_room_reopened) {
  model m = {0};
  lsm_wal_info info;
  lsm_wal *w = create();
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 100, false), LSM_OK);
  lsm_wal_reserve(w, 1u << 20);
  ck_assert_int_eq(lsm_wal_sync(w), LSM_OK);
  uint64_t size = file_size(), end = lsm_wal_end(w);
  lsm_wal_close(w);
  ck_assert_int_eq(lsm_wal_reopen(env, PATH, NUMBER, SALT, end, &w), LSM_OK);
  ck_assert_uint_eq(file_size(), size);
  uint64_t syncs = env_fault_syncs(env);
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 200, false), LSM_OK);
  ck_assert_uint_eq(env_fault_syncs(env), syncs + 1);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert_uint_eq(m.seen, 2);
  /* Another process has gone on, and given the room back. */
  uint64_t on = lsm_wal_end(w);
  ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 300, false), LSM_OK);
  end = lsm_wal_end(w);
  lsm_wal_trim(w);
  lsm_wal_seek(w, on);
  lsm_wal_seek(w, end);
  lsm_wal_reserve(w, 1u << 20);
  ck_assert_uint_gt(file_size(), end + 60000);
  lsm_wal_close(w);
  poke(file_size() - 1, "x", 1); /* not room: a torn tail */
  ck_assert_int_eq(lsm_wal_reopen(env, PATH, NUMBER, SALT, end, &w), LSM_OK);
  ck_assert_uint_eq(file_size(), end);
  lsm_wal_close(w);
  model_fini(&m);
}
END_TEST

/* Room hides no damage: a record that was synced, and that others follow. */
START_TEST(test_room_and_damage) {
  model m = {0};
  lsm_wal_info info;
  lsm_wal *w = create();
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(append(w, &m, LSM_WAL_BATCH, 100, false), LSM_OK);
    lsm_wal_reserve(w, 1u << 20);
    ck_assert_int_eq(lsm_wal_sync(w), LSM_OK);
  }
  lsm_wal_close(w);
  for (size_t off = m.at[0].off; off < m.at[1].end; off++) {
    lsm_buf all = {0};
    ck_assert_int_eq(lsm_env_read_file(env, PATH, &all), LSM_OK);
    uint8_t was = all.data[off], other = was ^ 0x10;
    lsm_buf_fini(&all);
    poke(off, &other, 1);
    ck_assert_int_eq(replay(&m, 0, &info), LSM_CORRUPT);
    poke(off, &was, 1);
  }
  uint8_t one = 1; /* in the last one it cannot be told from a torn tail */
  poke(m.at[2].off + 50, &one, 1);
  ck_assert_int_eq(replay(&m, 0, &info), LSM_OK);
  ck_assert(m.seen == 2 && info.torn);
  ck_assert_int_eq(replay(&m, m.at[2].end, &info), LSM_CORRUPT); /* but if it was seen */
  model_fini(&m);
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
  ck_assert_int_eq(lsm_wal_create(env, PATH, store_id, NUMBER, salt, prev_none, &w), LSM_OK);
  lsm_wal_reserve(w, 1u << 20);
  lsm_wal_close(w);
  ck_assert_int_eq(lsm_wal_replay(env, PATH, store_id, NUMBER, 0, stop, &left, &info), LSM_OK);
  ck_assert(left == 100 && info.end == LSM_WAL_HEADER_SIZE);
}
END_TEST

/* One life of a log, until the first failure. */
static lsm_rc life(void) {
  static uint8_t big[300000] = {1, 2, 3};
  lsm_slice parts[20];
  lsm_wal *w = NULL;
  lsm_wal_info info;
  for (int i = 0; i < 20; i++) parts[i] = lsm_slice_of(big, sizeof big / 20);
  lsm_rc rc = lsm_wal_create(env, PATH, store_id, NUMBER, SALT, prev_none, &w);
  if (rc == LSM_OK) rc = lsm_wal_append(w, LSM_WAL_BATCH, 1, parts, 20);
  if (rc == LSM_OK) lsm_wal_reserve(w, 1u << 20);
  if (rc == LSM_OK) rc = lsm_wal_sync(w);
  if (rc == LSM_OK) rc = lsm_wal_append(w, LSM_WAL_PREPARE, 2, parts, 1);
  if (rc == LSM_OK) rc = lsm_wal_undo(w);
  if (rc == LSM_OK) rc = lsm_wal_append(w, LSM_WAL_PREPARE, 3, parts, 2);
  uint64_t end = w == NULL ? 0 : lsm_wal_end(w);
  lsm_wal_close(w);
  w = NULL;
  if (rc == LSM_OK) rc = lsm_wal_reopen(env, PATH, NUMBER, SALT, end, &w);
  if (rc == LSM_OK) rc = lsm_wal_append(w, LSM_WAL_CLOSE, 4, NULL, 0);
  lsm_wal_close(w);
  int left = 100;
  if (rc == LSM_OK) rc = lsm_wal_replay(env, PATH, store_id, NUMBER, 0, stop, &left, &info);
  if (rc == LSM_OK) ck_assert(info.clean && left == 97);
  return rc;
}

static bool count_down(void *arg) {
  int *left = arg;
  return --*left != 0;
}

START_TEST(test_out_of_memory) {
  int n = 0, left = 0;
  while (left <= 0) {
    left = ++n;
    lsm_set_malloc_hook(count_down, &left);
    lsm_rc rc = life();
    lsm_set_malloc_hook(NULL, NULL);
    /* Not every allocation is needed: a file that shrinks may keep its memory. */
    ck_assert_msg(rc == LSM_NOMEM || rc == LSM_OK, "n = %d: %s", n, lsm_errmsg());
    ck_assert(left <= 0 || rc == LSM_OK);
  }
  ck_assert_int_gt(n, 8);
}
END_TEST

/* Every call failing in turn: the error comes back, and nothing unreadable is
** left behind. */
START_TEST(test_every_call_fails) {
  lsm_rc rc = LSM_IOERR;
  uint64_t n = 0;
  while (rc != LSM_OK) {
    lsm_wal_info info;
    int left = 100;
    env_fault_fail(env, ENV_FAULT_ALL, ++n, LSM_IOERR, ENV_FAULT_SHORT);
    rc = life();
    uint64_t fired = env_fault_fired(env);
    env_fault_clear(env);
    ck_assert_int_eq(rc, fired > 0 ? LSM_IOERR : LSM_OK);
    lsm_rc after = lsm_wal_replay(env, PATH, store_id, NUMBER, 0, stop, &left, &info);
    ck_assert(after == LSM_OK || after == LSM_NOTFOUND);
    if (after == LSM_OK) ck_assert_int_eq(env->remove(env, PATH), LSM_OK);
  }
  ck_assert_uint_gt(n, 12);
}
END_TEST

Suite *wal_suite(void) {
  Suite *s = suite_create("wal");
  TCase *tc = tcase_create("wal");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, test_golden);
  tcase_add_test(tc, test_roundtrip);
  tcase_add_test(tc, test_many_parts);
  tcase_add_test(tc, test_too_large);
  tcase_add_loop_test(tc, test_flip, 0, 2); /* 1: synced after each record */
  tcase_add_test(tc, test_truncate);
  tcase_add_loop_test(tc, test_lost_sector, 0, 2);
  tcase_add_test(tc, test_natural_zeros);
  tcase_add_test(tc, test_power_loss);
  tcase_add_test(tc, test_headers);
  tcase_add_test(tc, test_crafted);
  tcase_add_test(tc, test_callback_error);
  tcase_add_test(tc, test_failed_append);
  tcase_add_test(tc, test_failed_sync);
  tcase_add_test(tc, test_syncs);
  tcase_add_test(tc, test_undo);
  tcase_add_test(tc, test_reopen);
  tcase_add_test(tc, test_room);
  tcase_add_test(tc, test_room_reopened);
  tcase_add_test(tc, test_room_and_damage);
  tcase_add_test(tc, test_zeros_that_check);
  tcase_add_test(tc, test_out_of_memory);
  tcase_add_test(tc, test_every_call_fails);
  suite_add_tcase(s, tc);
  return s;
}
