/* fuzz_manifest.c: CURRENT and the manifest that it names.
** Input: what:u8; with bit 1 a length:u8 and the bytes of CURRENT; the manifest.
**        With bit 0 (repair) its header and the checksums of its records are made
**        right first.
** Holds: a state that was read can be written, and is then read the same. */
#include "fuzz.h"
#include "manifest.h"

#define DIR     "/d"
#define CURRENT DIR "/CURRENT"
#define FILE_4  DIR "/000004.manifest"
enum { NUMBER = 4, HAS_CURRENT = 2, HEADER = 48, RECORD = 16 };

static const uint8_t store_id[16] = "0123456789abcdef";
static lsm_env *env;         /* kept from run to run */
static lsm_buf good_current; /* names FILE_4 */

static void on_garbage(void *arg, uint64_t number) {
  (void)arg;
  (void)number;
}

static void write_new(uint64_t number, const lsm_manifest_state *st) {
  lsm_manifest *m;
  FUZZ_OK(lsm_manifest_create(env, DIR, number, st, &m));
  lsm_manifest_close(m);
}

static void setup(void) {
  lsm_manifest_state st = {.next_file = 10, .log = 5, .next_keyspace = 3, .last_txid = 77};
  if (env != NULL) return;
  FUZZ_OK(lsm_env_mem_new(&env));
  FUZZ_OK(env->mkdir(env, DIR));
  memcpy(st.store_id, store_id, 16);
  FUZZ_OK(lsm_version_new(on_garbage, NULL, &st.version));
  write_new(NUMBER, &st);
  lsm_version_unref(st.version);
  FUZZ_OK(lsm_env_read_file(env, CURRENT, &good_current));
}

static void describe(const lsm_version *v, lsm_buf *out) {
  lsm_edit e = {0};
  FUZZ_OK(lsm_version_to_edit(v, &e));
  FUZZ_OK(lsm_edit_encode(&e, out));
  lsm_edit_fini(&e);
}

static void check_rewrite(const lsm_manifest_state *st) {
  lsm_manifest_state again;
  lsm_buf a = {0}, b = {0};
  uint64_t number = st->number + 1;
  write_new(number, st);
  FUZZ_OK(lsm_manifest_read(env, DIR, on_garbage, NULL, &again));
  FUZZ_CHECK(again.number == number && memcmp(again.store_id, st->store_id, 16) == 0);
  FUZZ_CHECK(again.log == st->log && again.last_txid == st->last_txid);
  FUZZ_CHECK(again.next_keyspace == st->next_keyspace);
  FUZZ_CHECK(again.next_file == (st->next_file > number ? st->next_file : number + 1));
  describe(st->version, &a);
  describe(again.version, &b);
  FUZZ_CHECK(lsm_slice_eq(lsm_buf_slice(&a), lsm_buf_slice(&b)));
  lsm_version_unref(again.version);
  lsm_buf_fini(&a);
  lsm_buf_fini(&b);
}

/* FORMAT.md, "Manifest (file, CURRENT)". */
static void repair(uint8_t *p, size_t size) {
  if (size < HEADER) return;
  memcpy(p, "lsmmani\n", 8);
  lsm_set_u32(p + 8, 1);
  lsm_set_u32(p + 12, 0);
  lsm_set_u64(p + 32, NUMBER);
  lsm_set_u32(p + 40, 0);
  lsm_set_u32(p + 44, lsm_crc(0, p, 44));
  for (size_t off = HEADER; size - off >= RECORD;) {
    uint8_t *r = p + off, seed[16];
    uint64_t len = ((uint64_t)lsm_get_u32(r + 8) + 15) / 16 * 16;
    bool whole = len <= size - off - RECORD;
    if (whole) lsm_set_u32(r + 4, lsm_crc(0, r + RECORD, (size_t)len));
    lsm_set_u64(seed, NUMBER);
    lsm_set_u64(seed + 8, off);
    lsm_set_u32(r, lsm_crc(lsm_crc(0, seed, sizeof seed), r + 4, RECORD - 4));
    if (!whole) break;
    off += RECORD + (size_t)len;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_in in = fuzz_in_of(data, size);
  lsm_manifest_state st;
  setup();
  uint8_t what = fuzz_u8(&in);
  lsm_slice current = lsm_buf_slice(&good_current);
  if ((what & HAS_CURRENT) != 0) current = fuzz_take(&in, fuzz_u8(&in));
  lsm_slice file = fuzz_take(&in, SIZE_MAX);
  uint8_t *bytes = fuzz_copy(file);
  if ((what & FUZZ_REPAIR) != 0) repair(bytes, file.size);
  fuzz_write_file(env, CURRENT, current);
  fuzz_write_file(env, FILE_4, lsm_slice_of(bytes, file.size));
  lsm_rc rc = lsm_manifest_read(env, DIR, on_garbage, NULL, &st);
  FUZZ_CHECK(rc == LSM_OK || rc == LSM_CORRUPT || rc == LSM_CANTOPEN);
  FUZZ_CHECK((rc == LSM_OK) == (st.version != NULL));
  if (rc == LSM_OK) {
    FUZZ_CHECK(st.number == NUMBER && st.next_file > NUMBER);
    check_rewrite(&st);
    lsm_version_unref(st.version);
  }
  free(bytes);
  return 0;
}

/*------------------------------------------------------------------- seeds */

static void append(lsm_manifest *m, unsigned i) {
  lsm_keyspace_options opt = {LSM_LEVELED, LSM_COMPRESS_NONE, 4096, 10, i % 2 == 1};
  uint8_t lo[2] = {(uint8_t)(i + 1), 'a'}, hi[2] = {(uint8_t)(i + 1), 'z'};
  lsm_sst_props p = {.size = 4096, .entries = 10, .tombstones = 3, .raw_bytes = 700};
  if (i % 2 == 1) p.expiry = (lsm_expiry){5, 7000, 1700000000000};
  lsm_filemeta *f;
  lsm_edit e = {.has_next_file = true, .next_file = 30 + i};
  FUZZ_OK(lsm_buf_set(&p.smallest, lsm_slice_of(lo, 2)));
  FUZZ_OK(lsm_buf_set(&p.largest, lsm_slice_of(hi, 2)));
  FUZZ_OK(lsm_filemeta_new(20 + i, i + 1, i % 2, i % 2 == 0, &p, &f));
  FUZZ_OK(lsm_edit_add_keyspace(&e, i + 1, &opt));
  FUZZ_OK(lsm_edit_add_file(&e, f));
  FUZZ_OK(lsm_edit_set_pointer(&e, i + 1, 1, lsm_slice_of(hi, 2)));
  FUZZ_OK(lsm_manifest_append(m, &e));
  lsm_edit_fini(&e);
  lsm_filemeta_unref(f);
  lsm_sst_props_fini(&p);
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  lsm_manifest_state st = {.next_file = 10, .log = 5, .next_keyspace = 1, .last_txid = 77};
  lsm_manifest *m;
  lsm_buf file = {0};
  setup();
  memcpy(st.store_id, store_id, 16);
  FUZZ_OK(lsm_version_new(on_garbage, NULL, &st.version));
  FUZZ_OK(lsm_manifest_create(env, DIR, NUMBER, &st, &m));
  for (unsigned i = 0; i < 4; i++) {
    uint8_t with_current[1000] = {HAS_CURRENT};
    FUZZ_OK(lsm_env_read_file(env, FILE_4, &file));
    fuzz_add_with(add, arg, 0, lsm_buf_slice(&file));
    fuzz_add_with(add, arg, FUZZ_REPAIR, lsm_buf_slice(&file));
    with_current[1] = (uint8_t)good_current.size;
    memcpy(with_current + 2, good_current.data, good_current.size);
    FUZZ_CHECK(2 + good_current.size + file.size <= sizeof with_current);
    memcpy(with_current + 2 + good_current.size, file.data, file.size);
    add(arg, with_current, 2 + good_current.size + file.size);
    append(m, i);
  }
  lsm_manifest_close(m);
  lsm_version_unref(st.version);
  lsm_buf_fini(&file);
}
