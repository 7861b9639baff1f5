/* wal_writer.c: appending to one log file.
**
** Owns:  the open file, the offset behind its last record.
** Holds: (1) behind end the file has nothing but zeros, unless the log is broken:
**            room for records to come;
**        (2) what lies before synced survives a power loss;
**        (3) nothing is written over bytes that were cut off before the cut is
**            durable: else a power loss could mix old bytes with new ones, and
**            a record taken back could follow one written after it.
** Locks: none; one thread at a time (the store's writer).
** Bytes: wal_format.h. */
#include <inttypes.h>
#include <stdio.h>

#include "wal_format.h"

enum {
  MESSAGE_SIZE = 400,
  ROOM_MIN = 64 * 1024, /* reserved at once: as much as there is already, */
  ROOM_MAX = 1024 * 1024 /* from this to that */
};

struct lsm_wal {
  lsm_env *env;
  lsm_file *file;
  char *path;
  char *dir; /* that the file is in */
  uint64_t number;
  uint32_t salt;
  uint64_t end;    /* behind the last record */
  uint64_t last;   /* offset of the last record; 0: none to take back */
  uint64_t synced; /* known durable up to here */
  uint64_t room;   /* the file was to be that long, by lsm_wal_reserve(); 0: not known */
  bool dir_synced; /* the directory entry is durable */
  bool cut;        /* the file was shortened since its last sync */
  bool broken;
};

/*------------------------------------------------------------------ errors */

/* A failure of the environment, told with file, deed and offset. */
static lsm_rc fail_at(const lsm_wal *wal, lsm_rc rc, const char *deed, uint64_t off) {
  return lsm_fail(rc, "%s: cannot %s at offset %" PRIu64 ": %s", wal->path, deed, off,
                  lsm_errmsg());
}

/* The first error is the one to tell: its text outlives what cleans up. */
static void keep_errmsg(char *msg) {
  snprintf(msg, MESSAGE_SIZE, "%s", lsm_errmsg());
}

static lsm_rc fail_broken(const lsm_wal *wal) {
  return lsm_fail(LSM_IOERR,
                  "%s: the log takes nothing more after an earlier error at offset %" PRIu64,
                  wal->path, wal->end);
}

/*---------------------------------------------------------- open and close */

static char *copy_string(const char *s, size_t n) {
  char *copy = lsm_malloc(n + 1);
  if (copy == NULL) return NULL;
  memcpy(copy, s, n);
  copy[n] = '\0';
  return copy;
}

/* The directory part of a path: "." and "/" are the ends of it. */
static char *copy_dir(const char *path) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL) return copy_string(".", 1);
  return copy_string(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Opens the file with FLAGS into a fresh lsm_wal. */
static lsm_rc open_file(lsm_env *env, const char *path, int flags, lsm_wal **out) {
  lsm_rc rc = LSM_OK;
  lsm_wal *wal = lsm_calloc(sizeof(*wal));
  *out = NULL;
  if (wal == NULL) return lsm_nomem();
  wal->env = env;
  wal->path = copy_string(path, strlen(path));
  wal->dir = copy_dir(path);
  if (wal->path == NULL || wal->dir == NULL) {
    rc = lsm_nomem();
  } else {
    rc = env->open(env, path, flags, &wal->file);
  }
  if (rc != LSM_OK) {
    wal->file = NULL;
    lsm_wal_close(wal);
    return rc;
  }
  *out = wal;
  return LSM_OK;
}

lsm_rc lsm_wal_create(lsm_env *env, const char *path, const uint8_t *store_id, uint64_t number,
                      uint32_t salt, lsm_wal_prev prev, lsm_wal **out) {
  uint8_t h[LSM_WAL_HEADER_SIZE] = {0};
  char msg[MESSAGE_SIZE];
  lsm_wal *wal;
  lsm_rc rc = open_file(env, path, LSM_OPEN_WRITE | LSM_OPEN_CREATE | LSM_OPEN_TRUNCATE, &wal);
  *out = NULL;
  if (rc != LSM_OK) return rc;
  memcpy(h, LSM_WAL_MAGIC, 8);
  lsm_set_u32(h + LSM_WAL_AT_VERSION, LSM_WAL_VERSION);
  lsm_set_u32(h + LSM_WAL_AT_SALT, salt);
  memcpy(h + LSM_WAL_AT_STORE, store_id, 16);
  lsm_set_u64(h + LSM_WAL_AT_NUMBER, number);
  lsm_set_u64(h + LSM_WAL_AT_PREV_NUMBER, prev.number);
  lsm_set_u64(h + LSM_WAL_AT_PREV_END, prev.end);
  lsm_set_u32(h + LSM_WAL_AT_CRC, lsm_crc(0, h, LSM_WAL_AT_CRC));
  wal->number = number;
  wal->salt = salt;
  wal->end = wal->room = sizeof(h);
  rc = lsm_file_write(wal->file, 0, h, sizeof(h));
  if (rc == LSM_OK) {
    *out = wal;
    return LSM_OK;
  }
  rc = fail_at(wal, rc, "write the header", 0);
  lsm_wal_close(wal);
  keep_errmsg(msg);
  (void)env->remove(env, path); /* best effort: a log without a header is as if missing */
  lsm_set_errmsg(msg);
  return rc;
}

/* Is there nothing but zeros from FROM to TO? Then they are room, not a torn tail. */
static bool is_room(lsm_wal *wal, uint64_t from, uint64_t to) {
  enum { PIECE = 64 * 1024 };
  uint8_t *buf = lsm_malloc(PIECE);
  bool zero = buf != NULL;
  while (zero && from < to) {
    size_t n = to - from < PIECE ? (size_t)(to - from) : PIECE, got = 0;
    zero = lsm_file_read(wal->file, from, buf, n, &got) == LSM_OK && got == n && lsm_all_zero(buf, n);
    from += n;
  }
  lsm_free(buf);
  return zero;
}

lsm_rc lsm_wal_reopen(lsm_env *env, const char *path, uint64_t number, uint32_t salt, uint64_t end,
                      lsm_wal **out) {
  lsm_wal *wal;
  uint64_t size;
  lsm_rc rc;
  *out = NULL;
  if (end < LSM_WAL_HEADER_SIZE || end % LSM_WAL_ALIGN != 0) {
    return lsm_fail(LSM_MISUSE, "%s: no log ends at offset %" PRIu64, path, end);
  }
  rc = open_file(env, path, LSM_OPEN_WRITE, &wal);
  if (rc != LSM_OK) return rc;
  wal->number = number;
  wal->salt = salt;
  wal->end = end;
  rc = wal->file->ops->size(wal->file, &size);
  if (rc != LSM_OK) {
    rc = fail_at(wal, rc, "learn the size", end);
  } else if (size < end) {
    rc = lsm_corrupt(path, size, "the log ends before the last record that was read from it");
  } else if (size > end && is_room(wal, end, size)) {
    wal->room = size;
    wal->cut = true; /* who knows if it has been zeros for long */
  } else if (size > end) {
    rc = wal->file->ops->truncate(wal->file, end);
    if (rc != LSM_OK) rc = fail_at(wal, rc, "cut off the torn tail", end);
    wal->cut = true;
  }
  if (rc == LSM_OK) {
    *out = wal;
  } else {
    lsm_wal_close(wal);
  }
  return rc;
}

void lsm_wal_close(lsm_wal *wal) {
  if (wal == NULL) return;
  lsm_file_close(wal->file);
  lsm_free(wal->path);
  lsm_free(wal->dir);
  lsm_free(wal);
}

/*------------------------------------------------------------------ records */

/* Shortens the file to TO. When that fails, what the file holds is unknown. */
static lsm_rc cut_to(lsm_wal *wal, uint64_t to) {
  lsm_rc rc = wal->file->ops->truncate(wal->file, to);
  wal->cut = true;
  wal->room = to;
  if (rc != LSM_OK) wal->broken = true;
  return rc;
}

static lsm_rc sync_file(lsm_wal *wal) {
  lsm_rc rc = lsm_file_sync(wal->file);
  if (rc != LSM_OK) {
    wal->broken = true;
    return fail_at(wal, rc, "sync", wal->end);
  }
  wal->synced = wal->end;
  wal->cut = false;
  return LSM_OK;
}

/* Encodes the header of a record of these parts (the padding is one of them). */
static void make_head(const lsm_wal *wal, lsm_wal_type type, uint64_t txid, uint32_t len,
                      const lsm_slice *parts, int n, uint8_t *head) {
  lsm_wal_head h = {0};
  lsm_sectors sectors;
  h.payload_crc = lsm_wal_payload_seed(wal->salt);
  h.len = len;
  h.type = (uint8_t)type;
  h.txid = txid;
  h.synced_to = lsm_wal_synced(wal);
  lsm_wal_head_put(head, &h);
  lsm_sectors_init(&sectors, wal->end);
  lsm_sectors_feed(&sectors, head, LSM_WAL_RECORD_SIZE);
  for (int i = 0; i < n; i++) {
    if (parts[i].size == 0) continue;
    h.payload_crc = lsm_crc(h.payload_crc, parts[i].data, parts[i].size);
    lsm_sectors_feed(&sectors, parts[i].data, parts[i].size);
  }
  h.zeros = lsm_sectors_total(&sectors);
  lsm_wal_head_put(head, &h);
  lsm_wal_head_seal(head, wal->salt, wal->end);
}

/* Sum of the parts' sizes, or LSM_FULL: more than a record can hold. */
static lsm_rc payload_size(const lsm_wal *wal, const lsm_slice *parts, int n, uint32_t *len) {
  uint64_t total = 0;
  *len = 0;
  for (int i = 0; i < n; i++) {
    if (parts[i].size > LSM_WAL_PAYLOAD_MAX - total) {
      return lsm_fail(LSM_FULL, "%s: more than 4 GB do not fit a log record at offset %" PRIu64,
                      wal->path, wal->end);
    }
    total += parts[i].size;
  }
  *len = (uint32_t)total;
  return LSM_OK;
}

/* One write; on failure the file is what it was, or the log broken. */
static lsm_rc write_record(lsm_wal *wal, const lsm_slice *all, int n, uint64_t bytes) {
  char msg[MESSAGE_SIZE];
  lsm_rc rc = wal->file->ops->writev(wal->file, wal->end, all, n);
  if (rc != LSM_OK) {
    rc = fail_at(wal, rc, "append", wal->end);
    keep_errmsg(msg);
    (void)cut_to(wal, wal->end);
    lsm_set_errmsg(msg);
    return rc;
  }
  wal->last = wal->end;
  wal->end += bytes;
  return LSM_OK;
}

lsm_rc lsm_wal_append(lsm_wal *wal, lsm_wal_type type, uint64_t txid, const lsm_slice *parts,
                      int n) {
  static const uint8_t zeros[LSM_WAL_ALIGN] = {0};
  uint8_t head[LSM_WAL_RECORD_SIZE];
  lsm_slice few[8];
  lsm_slice *all = few;
  uint32_t len;
  int count = 1;
  lsm_rc rc = LSM_OK;

  if (wal->broken) return fail_broken(wal);
  rc = payload_size(wal, parts, n, &len);
  if (rc != LSM_OK) return rc;
  if (n + 2 > (int)(sizeof(few) / sizeof(few[0]))) {
    all = lsm_malloc(((size_t)n + 2) * sizeof(*all));
    if (all == NULL) return lsm_nomem();
  }
  if (wal->cut) rc = sync_file(wal); /* see (3) */
  if (rc != LSM_OK) goto done;

  for (int i = 0; i < n; i++) {
    if (parts[i].size > 0) all[count++] = parts[i];
  }
  if (lsm_wal_padding(len) > 0) all[count++] = lsm_slice_of(zeros, lsm_wal_padding(len));
  make_head(wal, type, txid, len, all + 1, count - 1, head);
  all[0] = lsm_slice_of(head, sizeof(head));
  rc = write_record(wal, all, count, lsm_wal_record_bytes(len));
done:
  if (all != few) lsm_free(all);
  return rc;
}

/* Also of a log that a failed sync broke: whoever reads on in the file should
** not find the record. Until the next sync a power loss may bring it back. When
** the file can't be cut the record does not count all the same: the next log's
** header says that this one ended before it. */
lsm_rc lsm_wal_undo(lsm_wal *wal) {
  uint64_t to = wal->last;
  lsm_rc rc;
  if (wal->last == 0) {
    return lsm_fail(LSM_MISUSE, "%s: no record to take back at offset %" PRIu64, wal->path,
                    wal->end);
  }
  rc = cut_to(wal, to);
  if (rc != LSM_OK) rc = fail_at(wal, rc, "take back the last record", to);
  wal->end = to;
  wal->last = 0;
  if (wal->synced > to) wal->synced = to;
  return rc;
}

void lsm_wal_seek(lsm_wal *wal, uint64_t end) {
  if (wal->end == end) return;
  wal->end = end;
  wal->last = 0;
  wal->room = 0;
  if (wal->synced > end) wal->synced = end;
}

/* What a failure leaves is a slower sync. */
void lsm_wal_reserve(lsm_wal *wal, uint64_t most) {
  uint64_t step = wal->end < ROOM_MIN ? ROOM_MIN : wal->end < ROOM_MAX ? wal->end : ROOM_MAX;
  if (wal->broken) return;
  if (wal->room == 0 && wal->file->ops->size(wal->file, &wal->room) != LSM_OK) wal->room = 0;
  if (wal->end < wal->room || wal->end >= most) return;
  if (step > most - wal->end) step = most - wal->end;
  wal->file->ops->reserve(wal->file, wal->end, step);
  wal->room = wal->end + step;
}

/* Not a cut in the sense of (3): what goes is zeros. */
void lsm_wal_trim(lsm_wal *wal) {
  uint64_t size;
  if (wal->broken || wal->file->ops->size(wal->file, &size) != LSM_OK || size <= wal->end) return;
  (void)wal->file->ops->truncate(wal->file, wal->end);
  wal->room = wal->end;
}

lsm_rc lsm_wal_sync(lsm_wal *wal) {
  lsm_rc rc = LSM_OK;
  if (wal->broken) return fail_broken(wal);
  if (wal->cut || wal->synced < wal->end) rc = sync_file(wal);
  if (rc == LSM_OK && !wal->dir_synced) {
    rc = wal->env->sync_dir(wal->env, wal->dir);
    if (rc == LSM_OK) {
      wal->dir_synced = true;
    } else {
      rc = fail_at(wal, rc, "sync the directory", wal->end);
      wal->broken = true;
    }
  }
  return rc;
}

lsm_rc lsm_wal_sync_cut(lsm_wal *wal) {
  return wal->cut && !wal->broken ? sync_file(wal) : LSM_OK;
}

void lsm_wal_break(lsm_wal *wal) {
  wal->broken = true;
}

bool lsm_wal_is_broken(const lsm_wal *wal) {
  return wal->broken;
}
uint64_t lsm_wal_number(const lsm_wal *wal) {
  return wal->number;
}
uint64_t lsm_wal_end(const lsm_wal *wal) {
  return wal->end;
}

/* Bytes without a directory entry are lost all the same. */
uint64_t lsm_wal_synced(const lsm_wal *wal) {
  return wal->dir_synced ? wal->synced : 0;
}
