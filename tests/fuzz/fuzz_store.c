/* fuzz_store.c: recovery of a store from a log that is not trusted.
** Input: what:u8 skip:u8 host:u8, the log. The store around it, a table of two
**        keyspaces, one of values that expire, and its manifest, is sound and always
**        the same.
**        what: bit 0 checksums of records are made right, but of those whose bit
**              is set in skip, counted round eight; the log's header always is
**              bit 1 there is a host to ask, whose last transaction is number host
**              bit 2 the host is known; bit 3 flush before the store is closed
** Holds: a store that opens reads the same both ways, takes a transaction, and has
**        just that when it is opened again; once it was flushed it has no fault. */
#include "batch.h"
#include "fuzz.h"
#include "wal_format.h"

#define DIR "/store"
enum { REPAIR = FUZZ_REPAIR, HOST = 2, KNOWN = 4, FLUSH = 8, MAX_FILES = 8, KEYSPACES = 2 };

typedef struct stored {
  char name[40];
  lsm_buf bytes;
} stored;

static lsm_env *env; /* these are kept from run to run */
static stored base[MAX_FILES];
static int base_count;
static char log_path[60];
static uint64_t log_number;
static uint8_t store_id[16];
static lsm_db *made; /* the store that the files were taken from, until seeds are */

/*------------------------------------------------------------------ the host */

typedef struct host {
  uint64_t txid;
  bool known;
} host;

static lsm_rc host_txid(void *arg, const uint8_t *name, uint64_t *txid, bool *known) {
  const host *h = arg;
  (void)name;
  *txid = h->txid;
  *known = h->known;
  return LSM_OK;
}

/*---------------------------------------------------------------- the store */

static void path_of(char path[60], const char *name) {
  snprintf(path, 60, DIR "/%s", name);
}

/* Of the room that commits had in the log a little is enough. */
static void cut_room(lsm_buf *log) {
  size_t n = log->size;
  while (n > 0 && log->data[n - 1] == 0) n--;
  if (n + 64 < log->size) log->size = n + 64;
}

static lsm_rc take_file(void *arg, const char *name) {
  char path[60];
  stored *s = &base[base_count++];
  (void)arg;
  FUZZ_CHECK(base_count <= MAX_FILES && strlen(name) < sizeof s->name);
  strcpy(s->name, name);
  path_of(path, name);
  FUZZ_OK(lsm_env_read_file(env, path, &s->bytes));
  if (strstr(name, ".wal") != NULL) {
    cut_room(&s->bytes);
    strcpy(log_path, path);
    log_number = strtoull(name, NULL, 10);
  }
  return LSM_OK;
}

static void change(lsm_db *db, const char *key, const char *value, const uint8_t *host_name) {
  lsm_txn *t;
  FUZZ_OK(lsm_txn_begin(db, 0, NULL, &t));
  for (uint32_t ks = 1; ks <= KEYSPACES; ks++) {
    if (value != NULL) {
      FUZZ_OK(lsm_txn_put(t, ks, lsm_slice_str(key), lsm_slice_str(value)));
    } else if (ks == 1) {
      FUZZ_OK(lsm_txn_delete(t, ks, lsm_slice_str(key)));
    } else {
      FUZZ_OK(lsm_txn_delete_range(t, ks, lsm_slice_str(key), LSM_SLICE_NULL));
    }
  }
  FUZZ_OK(lsm_txn_prepare(t, LSM_SYNC_FULL, host_name, NULL));
  lsm_txn_commit(t);
}

/* Makes the store in a fresh environment and keeps its files. */
static void setup(void) {
  lsm_options opt;
  lsm_keyspace_options ks;
  uint32_t id;
  if (env != NULL) return;
  FUZZ_OK(lsm_env_mem_new(&env));
  lsm_options_init(&opt);
  lsm_keyspace_options_init(&ks);
  opt.create = true;
  FUZZ_OK(lsm_open(env, DIR, &opt, &made));
  for (uint32_t i = 1; i <= KEYSPACES; i++) {
    ks.expires = i == KEYSPACES;
    FUZZ_OK(lsm_keyspace_create(made, &ks, &id));
    FUZZ_CHECK(id == i);
  }
  change(made, "apple", "one", NULL);
  change(made, "banana", "two", NULL);
  FUZZ_OK(lsm_flush(made, NULL));
  FUZZ_OK(lsm_wait_idle(made, NULL));
  memcpy(store_id, lsm_store_id(made), 16);
  change(made, "cherry", "three", NULL);
  FUZZ_OK(env->list(env, DIR, take_file, NULL));
  FUZZ_CHECK(log_number != 0);
}

static lsm_rc remove_file(void *arg, const char *name) {
  char path[60];
  (void)arg;
  path_of(path, name);
  return env->remove(env, path);
}

/* The directory has the files that were kept, and this log. */
static void restore(lsm_slice log) {
  char path[60];
  if (made != NULL) FUZZ_OK(lsm_close(made));
  made = NULL;
  FUZZ_OK(env->list(env, DIR, remove_file, NULL));
  for (int i = 0; i < base_count; i++) {
    path_of(path, base[i].name);
    fuzz_write_file(env, path, lsm_buf_slice(&base[i].bytes));
  }
  fuzz_write_file(env, log_path, log);
}

/*---------------------------------------------------------------- checking */

/* A checksum of all entries. */
static uint32_t content(lsm_db *db) {
  lsm_snapshot *snap;
  uint32_t sum = 0;
  FUZZ_OK(lsm_snapshot_acquire(db, &snap));
  for (uint32_t ks = 1; ks <= KEYSPACES; ks++) {
    lsm_cursor *cur;
    uint32_t forward = 0, backward = 0; /* sums, so that the order is the same */
    FUZZ_OK(lsm_cursor_open(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &cur));
    for (int way = 0; way < 2; way++) {
      lsm_rc rc = way == 0 ? lsm_cursor_first(cur) : lsm_cursor_last(cur);
      while (rc == LSM_OK && lsm_cursor_valid(cur)) {
        lsm_slice k = lsm_cursor_key(cur), v = lsm_cursor_value(cur);
        uint32_t crc = lsm_crc(lsm_crc((uint32_t)k.size, k.data, k.size), v.data, v.size);
        *(way == 0 ? &forward : &backward) += crc;
        rc = way == 0 ? lsm_cursor_next(cur) : lsm_cursor_prev(cur);
      }
      FUZZ_OK(rc);
    }
    FUZZ_CHECK(forward == backward);
    lsm_cursor_close(cur);
    sum = sum * 31 + forward;
  }
  lsm_snapshot_release(snap);
  return sum;
}

static void report(void *arg, const char *text) {
  (void)arg;
  fprintf(stderr, "verify: %s\n", text);
}

static void check_sound(lsm_db *db) {
  uint64_t findings = 0;
  FUZZ_OK(lsm_verify(db, NULL, report, NULL, &findings));
  FUZZ_CHECK(findings == 0);
}

static void check_store(lsm_db *db, const lsm_options *opt, bool flush) {
  lsm_buf value = {0};
  lsm_snapshot *snap;
  (void)content(db);
  change(db, "date", "four", NULL);
  if (flush) FUZZ_OK(lsm_flush(db, NULL));
  uint32_t before = content(db);
  FUZZ_OK(lsm_close(db));
  FUZZ_OK(lsm_open(env, DIR, opt, &db));
  FUZZ_CHECK(content(db) == before);
  if (flush) check_sound(db); /* else the log may have what does not count, malformed */
  FUZZ_OK(lsm_snapshot_acquire(db, &snap));
  FUZZ_OK(lsm_get(snap, 1, lsm_slice_str("date"), &value));
  FUZZ_CHECK(lsm_slice_eq(lsm_buf_slice(&value), lsm_slice_str("four")));
  lsm_snapshot_release(snap);
  FUZZ_OK(lsm_close(db));
  lsm_buf_fini(&value);
}

/* As in fuzz_wal.c; the header always. */
static void repair(uint8_t *p, size_t size, bool records, uint8_t skip) {
  if (size < LSM_WAL_HEADER_SIZE) return;
  memcpy(p, LSM_WAL_MAGIC, 8);
  lsm_set_u32(p + LSM_WAL_AT_VERSION, LSM_WAL_VERSION);
  memcpy(p + LSM_WAL_AT_STORE, store_id, 16);
  lsm_set_u64(p + LSM_WAL_AT_NUMBER, log_number);
  lsm_set_u32(p + LSM_WAL_AT_ZERO, 0);
  lsm_set_u32(p + LSM_WAL_AT_CRC, lsm_crc(0, p, LSM_WAL_AT_CRC));
  uint32_t salt = lsm_get_u32(p + LSM_WAL_AT_SALT);
  size_t off = LSM_WAL_HEADER_SIZE;
  for (unsigned i = 0; records && size - off >= LSM_WAL_RECORD_SIZE; i++) {
    uint8_t *r = p + off;
    uint64_t bytes = lsm_wal_record_bytes(lsm_get_u32(r + 8));
    if (bytes > size - off) break;
    if ((skip >> (i % 8) & 1) == 0) {
      lsm_set_u32(r + 4, lsm_crc(lsm_wal_payload_seed(salt), r + LSM_WAL_RECORD_SIZE,
                                 (size_t)bytes - LSM_WAL_RECORD_SIZE));
      lsm_wal_head_seal(r, salt, off);
    }
    off += (size_t)bytes;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_in in = fuzz_in_of(data, size);
  lsm_options opt;
  lsm_db *db;
  setup();
  uint8_t what = fuzz_u8(&in), skip = fuzz_u8(&in);
  host h = {fuzz_u8(&in), (what & KNOWN) != 0};
  lsm_slice log = fuzz_take(&in, SIZE_MAX);
  uint8_t *bytes = fuzz_copy(log);
  repair(bytes, log.size, (what & REPAIR) != 0, skip);
  restore(lsm_slice_of(bytes, log.size));
  lsm_options_init(&opt);
  if ((what & HOST) != 0) opt.host_txid = host_txid;
  opt.host_arg = &h;
  lsm_rc rc = lsm_open(env, DIR, &opt, &db);
  FUZZ_CHECK(rc == LSM_OK || rc == LSM_CORRUPT || rc == LSM_CANTOPEN);
  if (rc == LSM_OK) check_store(db, &opt, (what & FLUSH) != 0);
  free(bytes);
  return 0;
}

/*------------------------------------------------------------------- seeds */

static void add_log(fuzz_add *add, void *arg) {
  lsm_buf log = {0};
  FUZZ_OK(lsm_env_read_file(env, log_path, &log));
  cut_room(&log);
  for (unsigned kind = 0; kind < 4; kind++) {
    static const uint8_t front[4][3] = {
        {0}, {REPAIR, 4, 5}, {REPAIR | HOST | KNOWN, 0, 5}, {REPAIR | HOST | KNOWN | FLUSH, 0, 6}};
    uint8_t *p = malloc(log.size + 3);
    FUZZ_CHECK(p != NULL);
    memcpy(p, front[kind], 3);
    memcpy(p + 3, log.data, log.size);
    add(arg, p, log.size + 3);
    free(p);
  }
  lsm_buf_fini(&log);
}

void fuzz_seeds(fuzz_add *add, void *arg) {
  static const uint8_t name[LSM_HOST_SIZE] = "a host database";
  lsm_txn *t;
  setup();
  add_log(add, arg);
  change(made, "cherry", NULL, NULL);
  change(made, "elderberry", "5", name);
  add_log(add, arg);
  FUZZ_OK(lsm_txn_begin(made, 0, NULL, &t));
  FUZZ_OK(lsm_txn_put(t, 1, lsm_slice_str("fig"), lsm_slice_str("6")));
  FUZZ_OK(lsm_txn_put_until(t, 2, lsm_slice_str("fig"), lsm_slice_str("6"), 1));
  FUZZ_OK(lsm_txn_prepare(t, LSM_SYNC_FULL, name, NULL));
  add_log(add, arg); /* undecided */
  FUZZ_OK(lsm_txn_rollback(t));
  change(made, "banana", NULL, NULL);
  add_log(add, arg);
}
