/* test_manifest.c: manifests written, switched, read back, torn and damaged. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "env_fault.h"
#include "manifest.h"
#include "wal_format.h" /* sectors */

Suite *manifest_suite(void);

#define DIR     "d"
#define CURRENT "d/CURRENT"
#define FIRST   "d/000004.manifest"

static const uint8_t store_id[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6};
static lsm_env *env; /* memory, fresh in each test */
static int garbage;

static void setup(void) {
  ck_assert_int_eq(env_fault_new(NULL, &env), LSM_OK);
  ck_assert_int_eq(env->mkdir(env, DIR), LSM_OK);
  ck_assert_int_eq(env->sync_dir(env, "."), LSM_OK);
  garbage = 0;
}

static void teardown(void) {
  env_fault_free(env);
  env = NULL;
}

static void on_garbage(void *arg, uint64_t number) {
  (void)arg;
  (void)number;
  garbage++;
}

/*------------------------------------------------------------------ helpers */

/* An empty store's state; the version is the caller's. */
static lsm_rc new_state(lsm_manifest_state *st) {
  memset(st, 0, sizeof *st);
  memcpy(st->store_id, store_id, 16);
  st->next_file = 10;
  st->log = 5;
  st->next_keyspace = 1;
  st->last_txid = 77;
  return lsm_version_new(on_garbage, NULL, &st->version);
}

static lsm_rc create_empty(uint64_t number, lsm_manifest **m) {
  lsm_manifest_state st;
  lsm_rc rc = new_state(&st);
  *m = NULL;
  if (rc == LSM_OK) rc = lsm_manifest_create(env, DIR, number, &st, m);
  lsm_version_unref(st.version);
  return rc;
}

/* Edit n makes a keyspace of that number. PAD > 0: with a pointer of so many
** bytes, some of them zeros if asked. */
static lsm_rc append(lsm_manifest *m, uint32_t n, size_t pad, bool zeros) {
  lsm_keyspace_options opt = {LSM_LEVELED, LSM_COMPRESS_NONE, 4096, 10, false};
  lsm_edit e = {0};
  e.has_next_keyspace = true;
  e.next_keyspace = n + 1;
  lsm_rc rc = lsm_edit_add_keyspace(&e, n, &opt);
  if (rc == LSM_OK && pad > 0) {
    uint8_t *key = malloc(pad);
    for (size_t i = 0; i < pad; i++) {
      key[i] = zeros && (i / 600) % 2 == 1 ? 0 : (uint8_t)(i % 250 + 1);
    }
    key[0] = (uint8_t)n;
    rc = lsm_edit_set_pointer(&e, n, 1, lsm_slice_of(key, pad));
    free(key);
  }
  if (rc == LSM_OK) rc = lsm_manifest_append(m, &e);
  lsm_edit_fini(&e);
  return rc;
}

/* Reads and sums up: how many keyspaces, which must be 1 to that. */
static lsm_rc read_back(uint32_t *keyspaces) {
  lsm_manifest_state st;
  lsm_rc rc = lsm_manifest_read(env, DIR, on_garbage, NULL, &st);
  *keyspaces = 0;
  if (rc != LSM_OK) {
    ck_assert_ptr_null(st.version);
    return rc;
  }
  ck_assert_mem_eq(st.store_id, store_id, 16);
  ck_assert_uint_eq(st.log, 5);
  ck_assert_uint_eq(st.last_txid, 77);
  ck_assert_uint_eq(st.next_keyspace, st.version->count + 1);
  *keyspaces = (uint32_t)st.version->count;
  for (uint32_t i = 1; i <= *keyspaces; i++) ck_assert_ptr_nonnull(lsm_version_tree(st.version, i));
  lsm_version_unref(st.version);
  ck_assert_int_eq(garbage, 0);
  return LSM_OK;
}

static void put_file(const char *path, const uint8_t *data, size_t n) {
  lsm_file *f;
  ck_assert_int_eq(env->open(env, path, LSM_OPEN_WRITE | LSM_OPEN_CREATE | LSM_OPEN_TRUNCATE, &f),
                   LSM_OK);
  ck_assert_int_eq(lsm_file_write(f, 0, data, n), LSM_OK);
  lsm_file_close(f);
}

static void poke(const char *path, size_t off, const void *data, size_t n) {
  lsm_file *f;
  ck_assert_int_eq(env->open(env, path, LSM_OPEN_WRITE, &f), LSM_OK);
  ck_assert_int_eq(lsm_file_write(f, off, data, n), LSM_OK);
  lsm_file_close(f);
}

static bool exists(const char *path) {
  bool yes = false;
  ck_assert_int_eq(env->exists(env, path, &yes), LSM_OK);
  return yes;
}

/*------------------------------------------------------------------- format */

static const uint8_t golden[] = {
    'l',  's',  'm',  'm',  'a',  'n',  'i',  '\n',
    1,    0,    0,    0,    0,    0,    0,    0, /* magic, version */
    9,    8,    7,    6,    5,    4,    3,    2,
    1,    0,    1,    2,    3,    4,    5,    6, /* store */
    4,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0x6E, 0x16, 0xC8, 0xBE, /* number, crc */
    0x51, 0x4D, 0x72, 0xC2, 0x76, 0x99, 0xBB, 0x49,
    8,    0,    0,    0,    0,    0,    0,    0, /* crcs, length, zeros */
    1,    10,   2,    5,    3,    1,    4,    77,
    0,    0,    0,    0,    0,    0,    0,    0, /* edit, padding */
    0xC8, 0x4B, 0xE5, 0x69, 0x05, 0xDC, 0xA1, 0x48,
    4,    0,    0,    0,    0,    0,    0,    0, /* the second record */
    3,    2,    6,    1,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,
};
static const char golden_current[] = "lsm 1 000004.manifest crc 697fa61f\n";

START_TEST(test_golden) {
  lsm_manifest *m;
  lsm_buf got = {0};
  lsm_edit e = {0};
  ck_assert_int_eq(create_empty(4, &m), LSM_OK);
  ck_assert_uint_eq(lsm_manifest_number(m), 4);
  ck_assert_uint_eq(lsm_manifest_size(m), 80);
  e.has_next_keyspace = true;
  e.next_keyspace = 2;
  ck_assert_int_eq(lsm_edit_drop_keyspace(&e, 1), LSM_OK);
  ck_assert_int_eq(lsm_manifest_append(m, &e), LSM_OK);
  ck_assert_uint_eq(lsm_manifest_size(m), sizeof golden);
  lsm_edit_fini(&e);
  lsm_manifest_close(m);
  ck_assert_int_eq(lsm_env_read_file(env, FIRST, &got), LSM_OK);
  ck_assert_uint_eq(got.size, sizeof golden);
  ck_assert_mem_eq(got.data, golden, sizeof golden);
  ck_assert_int_eq(lsm_env_read_file(env, CURRENT, &got), LSM_OK);
  ck_assert_uint_eq(got.size, sizeof golden_current - 1);
  ck_assert_mem_eq(got.data, golden_current, got.size);
  ck_assert(!exists("d/000004.tmp"));
  lsm_buf_fini(&got);
}
END_TEST

static lsm_filemeta *make_file(uint64_t number, int level, const char *lo, const char *hi) {
  lsm_sst_props p;
  lsm_filemeta *f;
  memset(&p, 0, sizeof p);
  p.size = 1000 + number;
  p.entries = 10;
  p.smallest.data = (uint8_t *)(uintptr_t)lo;
  p.smallest.size = strlen(lo);
  p.largest.data = (uint8_t *)(uintptr_t)hi;
  p.largest.size = strlen(hi);
  ck_assert_int_eq(lsm_filemeta_new(number, 1, level, level == 0 ? number : 0, &p, &f), LSM_OK);
  return f;
}

/* Files come and go; what is read back is what was there, also by way of a
** second manifest made of it. */
START_TEST(test_roundtrip) {
  lsm_manifest *m;
  lsm_manifest_state st;
  lsm_edit e = {0};
  lsm_filemeta *f[3] = {make_file(6, 0, "\1a", "\1k"), make_file(7, 0, "\1c", "\1z"),
                        make_file(8, 1, "\1a", "\1z")};
  ck_assert_int_eq(lsm_manifest_read(env, DIR, on_garbage, NULL, &st), LSM_NOTFOUND);
  ck_assert_int_eq(create_empty(4, &m), LSM_OK);
  ck_assert_int_eq(append(m, 1, 0, false), LSM_OK);
  ck_assert_int_eq(lsm_edit_add_file(&e, f[0]), LSM_OK);
  ck_assert_int_eq(lsm_edit_add_file(&e, f[1]), LSM_OK);
  ck_assert_int_eq(lsm_manifest_append(m, &e), LSM_OK);
  lsm_edit_fini(&e);
  ck_assert_int_eq(lsm_edit_remove_file(&e, f[0]), LSM_OK);
  ck_assert_int_eq(lsm_edit_add_file(&e, f[2]), LSM_OK);
  e.has_next_file = e.has_log = e.has_last_txid = true;
  e.next_file = 9;
  e.log = 8;
  e.last_txid = 99;
  ck_assert_int_eq(lsm_manifest_append(m, &e), LSM_OK);
  lsm_edit_fini(&e);
  lsm_manifest_close(m);
  for (int i = 0; i < 3; i++) lsm_filemeta_unref(f[i]);

  for (int round = 0; round < 2; round++) {
    ck_assert_int_eq(lsm_manifest_read(env, DIR, on_garbage, NULL, &st), LSM_OK);
    ck_assert_uint_eq(st.number, round == 0 ? 4 : 12);
    ck_assert_uint_eq(st.next_file, round == 0 ? 9 : 13); /* not below the manifest */
    ck_assert_uint_eq(st.log, 8);
    ck_assert_uint_eq(st.next_keyspace, 2);
    ck_assert_uint_eq(st.last_txid, 99);
    const lsm_tree *t = lsm_version_tree(st.version, 1);
    ck_assert_ptr_nonnull(t);
    ck_assert_uint_eq(t->levels[0].count, 1);
    ck_assert_uint_eq(t->levels[0].files[0]->number, 7);
    ck_assert_uint_eq(t->levels[1].count, 1);
    ck_assert_uint_eq(t->levels[1].files[0]->size, 1008);
    if (round == 0) {
      ck_assert_int_eq(lsm_manifest_create(env, DIR, 12, &st, &m), LSM_OK);
      lsm_manifest_close(m);
    }
    lsm_version_unref(st.version);
  }
  ck_assert_int_eq(garbage, 0);
}
END_TEST

/*------------------------------------------------------------------- damage */

/* A manifest of seven records of several shapes; ends: where each does. */
static void build(lsm_buf *bytes, size_t *ends) {
  static const size_t pads[] = {0, 700, 0, 2500, 40, 1900};
  lsm_manifest *m;
  ck_assert_int_eq(create_empty(4, &m), LSM_OK);
  ends[0] = (size_t)lsm_manifest_size(m);
  for (uint32_t i = 1; i <= 6; i++) {
    ck_assert_int_eq(append(m, i, pads[i - 1], true), LSM_OK);
    ends[i] = (size_t)lsm_manifest_size(m);
  }
  lsm_manifest_close(m);
  ck_assert_int_eq(lsm_env_read_file(env, FIRST, bytes), LSM_OK);
  ck_assert_uint_eq(bytes->size, ends[6]);
}

/* No flipped byte goes unnoticed, not in the last record either. */
START_TEST(test_flip_every_byte) {
  static const uint8_t masks[] = {0xFF, 0x01, 0x80};
  lsm_buf bytes = {0};
  size_t ends[7];
  uint32_t n;
  build(&bytes, ends);
  for (size_t k = 0; k < sizeof masks; k++) {
    for (size_t i = 0; i < bytes.size; i++) {
      uint8_t bad = bytes.data[i] ^ masks[k];
      poke(FIRST, i, &bad, 1);
      lsm_rc rc = read_back(&n);
      ck_assert_msg(rc == LSM_CORRUPT, "byte %zu: %s", i, lsm_rc_name(rc));
      ck_assert_ptr_nonnull(strstr(lsm_errmsg(), FIRST));
      poke(FIRST, i, bytes.data + i, 1);
    }
  }
  ck_assert_int_eq(read_back(&n), LSM_OK);
  ck_assert_uint_eq(n, 6);
  ck_assert_int_eq(lsm_env_read_file(env, CURRENT, &bytes), LSM_OK);
  for (size_t i = 0; i < bytes.size * 255; i++) {
    uint8_t bad = bytes.data[i / 255] ^ (uint8_t)(i % 255 + 1);
    poke(CURRENT, i / 255, &bad, 1);
    ck_assert_int_eq(read_back(&n), LSM_CORRUPT);
    ck_assert_ptr_nonnull(strstr(lsm_errmsg(), CURRENT));
    poke(CURRENT, i / 255, bytes.data + i / 255, 1);
  }
  for (size_t i = 0; i < bytes.size; i++) {
    put_file(CURRENT, bytes.data, i);
    ck_assert_int_eq(read_back(&n), LSM_CORRUPT);
  }
  ck_assert_int_eq(lsm_buf_put_u8(&bytes, 'x'), LSM_OK);
  put_file(CURRENT, bytes.data, bytes.size);
  ck_assert_int_eq(read_back(&n), LSM_CORRUPT);
  lsm_buf_fini(&bytes);
}
END_TEST

START_TEST(test_truncate) {
  lsm_buf bytes = {0};
  size_t ends[7];
  uint32_t n;
  build(&bytes, ends);
  for (size_t size = 0; size < bytes.size; size++) {
    uint32_t whole = 0;
    put_file(FIRST, bytes.data, size);
    if (size < ends[0]) {
      ck_assert_int_eq(read_back(&n), LSM_CORRUPT);
      continue;
    }
    while (ends[whole + 1] <= size) whole++;
    ck_assert_int_eq(read_back(&n), LSM_OK);
    ck_assert_uint_eq(n, whole);
  }
  lsm_buf_fini(&bytes);
}
END_TEST

/* Edits whose records end at or before OFF. */
static uint32_t records_before(const size_t *ends, size_t off) {
  uint32_t k = 0;
  while (k < 6 && ends[k + 1] <= off) k++;
  return k;
}

/* [from, to), to the end of sector s, became zero. Is that what an append that
** never finished leaves? It must be all of the sector behind the record
** before, and no header may be left behind it. */
static bool looks_torn(const lsm_buf *bytes, const size_t *ends, size_t s, size_t from, size_t to) {
  uint32_t k = records_before(ends, from);
  size_t edge = s > ends[k] ? s : ends[k];
  if (from < ends[0] || !lsm_all_zero(bytes->data + edge, from - edge)) return false;
  return ends[k] < s ? k == 5 : k == 5 || ends[5] < to;
}

/* A lost sector is excused at the end, and only there. */
START_TEST(test_lost_sectors) {
  static const uint8_t zeros[LSM_SECTOR] = {0};
  lsm_buf bytes = {0};
  size_t ends[7];
  uint32_t n;
  int excused = 0;
  build(&bytes, ends);
  for (size_t s = 0; s < bytes.size; s += LSM_SECTOR) {
    for (size_t from = s; from < s + LSM_SECTOR && from < bytes.size; from += 16) {
      size_t to = s + LSM_SECTOR < bytes.size ? s + LSM_SECTOR : bytes.size;
      if (lsm_all_zero(bytes.data + from, to - from)) continue;
      poke(FIRST, from, zeros, to - from);
      lsm_rc rc = read_back(&n);
      if (looks_torn(&bytes, ends, s, from, to)) {
        ck_assert_int_eq(rc, LSM_OK);
        ck_assert_uint_eq(n, records_before(ends, from));
        excused++;
      } else {
        ck_assert_msg(rc == LSM_CORRUPT, "%zu to %zu: %s", from, to, lsm_rc_name(rc));
      }
      poke(FIRST, from, bytes.data + from, to - from);
    }
  }
  ck_assert_int_gt(excused, 4);
  lsm_buf_fini(&bytes);
}
END_TEST

START_TEST(test_headers) {
  lsm_buf bytes = {0};
  size_t ends[7];
  uint32_t n;
  build(&bytes, ends);
  bytes.data[8] = 3;
  lsm_set_u32(bytes.data + 44, lsm_crc(0, bytes.data, 44));
  put_file(FIRST, bytes.data, bytes.size);
  ck_assert_int_eq(read_back(&n), LSM_CANTOPEN);
  bytes.data[8] = 1;
  bytes.data[12] = 1;
  lsm_set_u32(bytes.data + 44, lsm_crc(0, bytes.data, 44));
  put_file(FIRST, bytes.data, bytes.size);
  ck_assert_int_eq(read_back(&n), LSM_CORRUPT);
  bytes.data[12] = 0;
  bytes.data[32] = 5;
  lsm_set_u32(bytes.data + 44, lsm_crc(0, bytes.data, 44));
  put_file(FIRST, bytes.data, bytes.size);
  ck_assert_int_eq(read_back(&n), LSM_CORRUPT);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "another number"));
  ck_assert_int_eq(env->remove(env, FIRST), LSM_OK);
  ck_assert_int_eq(read_back(&n), LSM_CORRUPT); /* not: no store here */
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "CURRENT names it"));
  lsm_buf_fini(&bytes);
}
END_TEST

/* An edit that checks but does not fit the version. */
START_TEST(test_misfit) {
  lsm_manifest *m;
  uint32_t n;
  ck_assert_int_eq(create_empty(4, &m), LSM_OK);
  ck_assert_int_eq(append(m, 1, 0, false), LSM_OK);
  uint64_t size = lsm_manifest_size(m);
  ck_assert_int_eq(append(m, 1, 0, false), LSM_OK);
  lsm_manifest_close(m);
  ck_assert_int_eq(read_back(&n), LSM_CORRUPT);
  char text[40];
  snprintf(text, sizeof text, "offset %u", (unsigned)size);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), text));
}
END_TEST

/*-------------------------------------------------------------- power loss */

typedef struct crashes {
  uint32_t acknowledged; /* edits */
  bool created;          /* the first manifest was */
  uint64_t seed;
} crashes;

/* Before and after each sync: what is left is a store with all that was
** acknowledged, and at most one edit more. */
static void crash_and_read(void *arg, lsm_env *e, uint64_t n, bool after) {
  crashes *c = arg;
  (void)n;
  (void)after;
  for (int i = 0; i < 12; i++) {
    lsm_env *image, *keep = env;
    env_fault_mode mode = i == 0 ? ENV_FAULT_KEEP : i == 1 ? ENV_FAULT_DROP : ENV_FAULT_TEAR;
    uint32_t got;
    ck_assert_int_eq(env_fault_crash(e, mode, c->seed++, &image), LSM_OK);
    env = image;
    lsm_rc rc = read_back(&got);
    if (rc == LSM_NOTFOUND) {
      ck_assert(!c->created);
    } else {
      ck_assert_msg(rc == LSM_OK, "seed %u: %s", (unsigned)c->seed - 1, lsm_errmsg());
      ck_assert(got == c->acknowledged || got == c->acknowledged + 1);
    }
    env = keep;
    env_fault_free(image);
  }
}

START_TEST(test_power_loss) {
  crashes c = {0, false, 1};
  lsm_manifest *m, *next;
  lsm_manifest_state st;
  env_fault_on_sync(env, crash_and_read, &c);
  ck_assert_int_eq(create_empty(4, &m), LSM_OK);
  c.created = true;
  for (uint32_t i = 1; i <= 40; i++) {
    ck_assert_int_eq(append(m, i, i % 3 == 0 ? i * 150 : 0, i % 2 == 0), LSM_OK);
    c.acknowledged = i;
    if (i % 10 != 0) continue;
    ck_assert_int_eq(lsm_manifest_read(env, DIR, on_garbage, NULL, &st), LSM_OK);
    ck_assert_int_eq(lsm_manifest_create(env, DIR, 100 + i, &st, &next), LSM_OK);
    lsm_version_unref(st.version);
    lsm_manifest_close(m);
    m = next;
  }
  lsm_manifest_close(m);
  env_fault_on_sync(env, NULL, NULL);
}
END_TEST

/*------------------------------------------------------------------ failures */

START_TEST(test_failed_append) {
  lsm_manifest *m;
  uint32_t n;
  ck_assert_int_eq(create_empty(4, &m), LSM_OK);
  ck_assert_int_eq(append(m, 1, 0, false), LSM_OK);
  uint64_t size = lsm_manifest_size(m);
  for (unsigned kind = ENV_FAULT_WRITE; kind <= ENV_FAULT_SYNC; kind *= 2) {
    env_fault_fail(env, kind, 1, LSM_FULL, ENV_FAULT_SHORT);
    ck_assert_int_eq(append(m, 2, 3000, false), LSM_FULL);
    ck_assert_ptr_nonnull(strstr(lsm_errmsg(), FIRST ": cannot append at offset"));
    ck_assert(!lsm_manifest_is_broken(m));
    ck_assert_uint_eq(lsm_manifest_size(m), size);
    ck_assert_int_eq(read_back(&n), LSM_OK);
    ck_assert_uint_eq(n, 1);
    /* The cut is durable: no power loss brings the edit back. */
    lsm_env *image, *keep = env;
    for (uint64_t seed = 0; seed < 20; seed++) {
      ck_assert_int_eq(env_fault_crash(env, ENV_FAULT_TEAR, seed, &image), LSM_OK);
      env = image;
      ck_assert_int_eq(read_back(&n), LSM_OK);
      ck_assert_uint_eq(n, 1);
      env = keep;
      env_fault_free(image);
    }
  }
  ck_assert_int_eq(append(m, 2, 0, false), LSM_OK);
  env_fault_fail(env, ENV_FAULT_SYNC, 1, LSM_IOERR, ENV_FAULT_STICKY);
  ck_assert_int_eq(append(m, 3, 0, false), LSM_IOERR);
  env_fault_clear(env);
  ck_assert(lsm_manifest_is_broken(m));
  ck_assert_int_eq(append(m, 3, 0, false), LSM_IOERR);
  ck_assert_int_eq(read_back(&n), LSM_OK);
  ck_assert_uint_eq(n, 2);
  lsm_manifest_close(m);
}
END_TEST

/* Every call of a switch failing in turn: the store stays readable; what the
** failed attempt made is gone, unless CURRENT names it. */
START_TEST(test_failed_create) {
  lsm_manifest *m, *next;
  lsm_manifest_state st;
  uint32_t got;
  lsm_rc rc = LSM_IOERR;
  ck_assert_int_eq(create_empty(4, &m), LSM_OK);
  ck_assert_int_eq(append(m, 1, 0, false), LSM_OK);
  lsm_manifest_close(m);
  ck_assert_int_eq(lsm_manifest_read(env, DIR, on_garbage, NULL, &st), LSM_OK);
  uint64_t n = 0;
  while (rc != LSM_OK) {
    char path[40], tmp[40];
    n++;
    snprintf(path, sizeof path, "d/%06u.manifest", (unsigned)(20 + n));
    snprintf(tmp, sizeof tmp, "d/%06u.tmp", (unsigned)(20 + n));
    env_fault_fail(env, ENV_FAULT_ALL, n, LSM_IOERR, ENV_FAULT_SHORT);
    rc = lsm_manifest_create(env, DIR, 20 + n, &st, &next);
    uint64_t fired = env_fault_fired(env);
    env_fault_clear(env);
    ck_assert_int_eq(rc, fired > 0 ? LSM_IOERR : LSM_OK);
    ck_assert_int_eq(read_back(&got), LSM_OK);
    ck_assert_uint_eq(got, 1);
    ck_assert(!exists(tmp));
    lsm_buf cur = {0};
    ck_assert_int_eq(lsm_env_read_file(env, CURRENT, &cur), LSM_OK);
    ck_assert_int_eq(lsm_buf_put_u8(&cur, 0), LSM_OK);
    ck_assert_int_eq(exists(path), strstr((char *)cur.data, path + 2) != NULL);
    lsm_buf_fini(&cur);
    if (rc != LSM_OK) ck_assert_ptr_null(next);
  }
  ck_assert_uint_gt(n, 8);
  lsm_manifest_close(next);
  lsm_version_unref(st.version);
}
END_TEST

static bool count_down(void *arg) {
  int *left = arg;
  return --*left != 0;
}

static lsm_rc life(void) {
  lsm_manifest *m;
  lsm_manifest_state st = {0};
  lsm_rc rc = create_empty(4, &m);
  if (rc == LSM_OK) rc = append(m, 1, 700, false);
  if (rc == LSM_OK) rc = append(m, 2, 0, false);
  lsm_manifest_close(m);
  if (rc == LSM_OK) rc = lsm_manifest_read(env, DIR, on_garbage, NULL, &st);
  if (rc == LSM_OK) ck_assert_uint_eq(st.version->count, 2);
  lsm_version_unref(st.version);
  return rc;
}

/* Another process appended where we would, and was killed before it could say
** so: its record goes, all of it. */
START_TEST(test_edit_never_announced) {
  lsm_manifest *m, *other;
  uint32_t n;
  ck_assert_int_eq(create_empty(4, &m), LSM_OK);
  ck_assert_int_eq(append(m, 1, 0, false), LSM_OK);
  ck_assert_int_eq(lsm_manifest_open(env, DIR, 4, lsm_manifest_size(m), &other), LSM_OK);
  ck_assert_int_eq(append(other, 2, 3000, false), LSM_OK);
  lsm_manifest_close(other);
  ck_assert_int_eq(append(m, 2, 0, false), LSM_OK);
  ck_assert_int_eq(read_back(&n), LSM_OK);
  ck_assert_uint_eq(n, 2);
  lsm_manifest_close(m);
}
END_TEST

START_TEST(test_out_of_memory) {
  int n = 0, left = 0;
  while (left <= 0) {
    left = ++n;
    lsm_set_malloc_hook(count_down, &left);
    lsm_rc rc = life();
    lsm_set_malloc_hook(NULL, NULL);
    ck_assert_msg(rc == LSM_NOMEM || rc == LSM_OK, "n = %d: %s", n, lsm_errmsg());
    ck_assert(left <= 0 || rc == LSM_OK);
  }
  ck_assert_int_gt(n, 15);
}
END_TEST

Suite *manifest_suite(void) {
  Suite *s = suite_create("manifest");
  TCase *tc = tcase_create("manifest");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, test_golden);
  tcase_add_test(tc, test_roundtrip);
  tcase_add_test(tc, test_flip_every_byte);
  tcase_add_test(tc, test_truncate);
  tcase_add_test(tc, test_lost_sectors);
  tcase_add_test(tc, test_headers);
  tcase_add_test(tc, test_misfit);
  tcase_add_test(tc, test_power_loss);
  tcase_add_test(tc, test_failed_append);
  tcase_add_test(tc, test_failed_create);
  tcase_add_test(tc, test_edit_never_announced);
  tcase_add_test(tc, test_out_of_memory);
  suite_add_tcase(s, tc);
  return s;
}
