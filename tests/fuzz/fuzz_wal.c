/* fuzz_wal.c: replay of a log file.
** Input: repair:u8 skip:u8 limit:u16, the file. With repair, the checksums of the
**        header and of the records (but of those whose bit is set in skip, counted
**        round eight) are made right first, and what names store and file.
** Holds: records come in order, inside the file, and what they say is what the
**        file says; up to where a replay ends, another finds the same, whole;
**        and a log that is taken up there has those records and a new one. */
#include "batch.h"
#include "fuzz.h"
#include "wal_format.h"

#define PATH "/000007.wal"
enum { NUMBER = 7 };

static const uint8_t store_id[16] = "0123456789abcdef";
static lsm_env *env; /* kept from run to run */

/* What a replay gave. */
typedef struct seen {
  lsm_slice file;
  uint32_t salt;
  size_t count;
  uint64_t end;  /* behind the last record */
  uint32_t hash; /* of all that was said */
  lsm_wal_type last;
  uint64_t last_txid;
} seen;

/* Only records that check are handed over, and that say what there can be. */
static void check_record(const seen *s, const lsm_wal_record *rec) {
  const uint8_t *p = s->file.data + rec->off;
  uint64_t bytes = lsm_wal_record_bytes((uint32_t)rec->payload.size);
  lsm_wal_head h;
  FUZZ_CHECK(bytes <= s->file.size - rec->off);
  FUZZ_CHECK(lsm_wal_head_get(p, s->salt, rec->off, &h));
  FUZZ_CHECK(h.type == rec->type && h.txid == rec->txid && h.len == rec->payload.size);
  FUZZ_CHECK(h.synced_to <= rec->off);
  FUZZ_CHECK(h.payload_crc == lsm_crc(lsm_wal_payload_seed(s->salt), p + LSM_WAL_RECORD_SIZE,
                                      (size_t)bytes - LSM_WAL_RECORD_SIZE));
  bool has_payload = rec->type <= LSM_WAL_PREPARE || rec->type >= LSM_WAL_FILES;
  FUZZ_CHECK(has_payload || rec->payload.size == 0);
}

static lsm_rc on_record(void *arg, const lsm_wal_record *rec) {
  seen *s = arg;
  uint64_t said[3] = {rec->type, rec->txid, rec->off};
  FUZZ_CHECK(rec->off == s->end && rec->off % LSM_WAL_ALIGN == 0);
  FUZZ_CHECK(rec->type >= LSM_WAL_BATCH && rec->type <= LSM_WAL_PREPARE_FILES);
  s->end = rec->off + lsm_wal_record_bytes((uint32_t)rec->payload.size);
  check_record(s, rec);
  FUZZ_CHECK(rec->payload.size == 0 ||
             memcmp(rec->payload.data, s->file.data + rec->off + LSM_WAL_RECORD_SIZE,
                    rec->payload.size) == 0);
  s->hash = lsm_crc(lsm_crc(s->hash, said, sizeof said), rec->payload.data, rec->payload.size);
  s->count++;
  s->last = rec->type;
  s->last_txid = rec->txid;
  /* As recovery does, read what is in it. */
  uint8_t *batch = fuzz_copy(rec->payload);
  const uint8_t *p = batch, *end = rec->payload.size == 0 ? p : p + rec->payload.size;
  lsm_entry e;
  while (p != NULL && p < end) p = lsm_entry_parse(p, end, &e);
  free(batch);
  return LSM_OK;
}

static lsm_rc replay(lsm_slice file, uint64_t limit, seen *s, lsm_wal_info *info) {
  memset(s, 0, sizeof *s);
  s->file = file;
  if (file.size >= LSM_WAL_HEADER_SIZE) s->salt = lsm_get_u32(file.data + LSM_WAL_AT_SALT);
  s->end = LSM_WAL_HEADER_SIZE;
  lsm_rc rc = lsm_wal_replay(env, PATH, store_id, NUMBER, limit, on_record, s, info);
  FUZZ_CHECK(rc == LSM_OK || rc == LSM_CORRUPT || rc == LSM_CANTOPEN);
  if (rc == LSM_OK && !info->empty) {
    FUZZ_CHECK(info->end == s->end && info->number == NUMBER);
    FUZZ_CHECK(!info->clean || (s->count > 0 && s->last == LSM_WAL_CLOSE));
  }
  if (rc != LSM_OK || info->empty) FUZZ_CHECK(rc != LSM_OK || s->count == 0);
  return rc;
}

/* The log goes on where the replay ended. */
static void check_append(const lsm_wal_info *info, const seen *before) {
  lsm_wal *w;
  seen after;
  lsm_wal_info again;
  lsm_buf now = {0};
  lsm_slice payload = lsm_slice_str("\1\2\0\1a");
  FUZZ_OK(lsm_wal_reopen(env, PATH, NUMBER, info->salt, info->end, &w));
  FUZZ_OK(lsm_wal_append(w, LSM_WAL_BATCH, 4711, &payload, 1));
  FUZZ_OK(lsm_wal_sync(w));
  uint64_t end = lsm_wal_end(w);
  lsm_wal_trim(w); /* zeros behind the end were kept as room */
  lsm_wal_close(w);
  FUZZ_OK(lsm_env_read_file(env, PATH, &now));
  FUZZ_OK(replay(lsm_buf_slice(&now), 0, &after, &again));
  FUZZ_CHECK(after.count == before->count + 1 && after.last_txid == 4711);
  FUZZ_CHECK(again.end == end && !again.torn);
  lsm_buf_fini(&now);
}

/*------------------------------------------------------------------ repair */

static void repair(uint8_t *p, size_t size, uint8_t skip) {
  if (size < LSM_WAL_HEADER_SIZE) return;
  memcpy(p, LSM_WAL_MAGIC, 8);
  lsm_set_u32(p + LSM_WAL_AT_VERSION, LSM_WAL_VERSION);
  memcpy(p + LSM_WAL_AT_STORE, store_id, 16);
  lsm_set_u64(p + LSM_WAL_AT_NUMBER, NUMBER);
  lsm_set_u32(p + LSM_WAL_AT_ZERO, 0);
  lsm_set_u32(p + LSM_WAL_AT_CRC, lsm_crc(0, p, LSM_WAL_AT_CRC));
  uint32_t salt = lsm_get_u32(p + LSM_WAL_AT_SALT);
  size_t off = LSM_WAL_HEADER_SIZE;
  for (unsigned i = 0; size - off >= LSM_WAL_RECORD_SIZE; i++) {
    uint8_t *r = p + off;
    uint64_t bytes = lsm_wal_record_bytes(lsm_get_u32(r + 8));
    bool whole = bytes <= size - off;
    if ((skip >> (i % 8) & 1) == 0) {
      if (whole) {
        lsm_set_u32(r + 4, lsm_crc(lsm_wal_payload_seed(salt), r + LSM_WAL_RECORD_SIZE,
                                   (size_t)bytes - LSM_WAL_RECORD_SIZE));
      }
      lsm_wal_head_seal(r, salt, off);
    }
    if (!whole) break;
    off += (size_t)bytes;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_in in = fuzz_in_of(data, size);
  bool fix = (fuzz_u8(&in) & FUZZ_REPAIR) != 0;
  uint8_t skip = fuzz_u8(&in);
  uint64_t limit = fuzz_number(&in, 2);
  lsm_slice file = fuzz_take(&in, SIZE_MAX);
  uint8_t *bytes = fuzz_copy(file);
  seen first, second;
  lsm_wal_info info, again;
  if (env == NULL) FUZZ_OK(lsm_env_mem_new(&env));
  if (fix) repair(bytes, file.size, skip);
  file.data = bytes;
  fuzz_write_file(env, PATH, file);
  if (limit != 0) (void)replay(file, limit, &first, &info);
  lsm_rc rc = replay(file, 0, &first, &info);
  if (rc == LSM_OK && !info.empty) {
    FUZZ_OK(replay(file, info.end, &second, &again));
    FUZZ_CHECK(again.end == info.end && !again.torn && second.count == first.count &&
               second.hash == first.hash);
    check_append(&info, &first);
  }
  free(bytes);
  return 0;
}

/*------------------------------------------------------------------- seeds */

/* RECORDS of different sizes; some are synced. */
static void add_log(fuzz_add *add, void *arg, size_t records, size_t step, bool close) {
  lsm_wal_prev prev = {6, 12345};
  lsm_wal *w;
  lsm_buf file = {0};
  uint8_t payload[2000] = {1, 2, 3, 1, 'k', 'v', 'v', 'v', 2, 2, 0, 1, 'd'};
  FUZZ_OK(lsm_wal_create(env, PATH, store_id, NUMBER, 0x5A17C0DE, prev, &w));
  for (size_t i = 0; i < records; i++) {
    size_t n = (i * step + 8) % sizeof payload;
    lsm_slice part = lsm_slice_of(payload, i % 5 == 4 ? 0 : n);
    lsm_wal_type type = i % 5 == 4 ? LSM_WAL_COMMIT : i % 5 == 3 ? LSM_WAL_PREPARE : LSM_WAL_BATCH;
    FUZZ_OK(lsm_wal_append(w, type, 40 + i, &part, 1));
    if (i % 3 == 1) FUZZ_OK(lsm_wal_sync(w));
  }
  if (close) FUZZ_OK(lsm_wal_append(w, LSM_WAL_CLOSE, 40 + records, NULL, 0));
  lsm_wal_close(w);
  FUZZ_OK(lsm_env_read_file(env, PATH, &file));
  for (int kind = 0; kind < 4; kind++) {
    static const uint8_t front[4][4] = {{0}, {1}, {1, 4, 0, 0}, {1, 2, 0x00, 0x01}};
    uint8_t *p = malloc(file.size + 4);
    FUZZ_CHECK(p != NULL);
    memcpy(p, front[kind], 4);
    memcpy(p + 4, file.data, file.size);
    add(arg, p, file.size + 4);
    free(p);
  }
  lsm_buf_fini(&file);
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  if (env == NULL) FUZZ_OK(lsm_env_mem_new(&env));
  add_log(add, arg, 0, 0, false);
  add_log(add, arg, 1, 0, true);
  add_log(add, arg, 7, 5, true);
  add_log(add, arg, 6, 333, false);
}
