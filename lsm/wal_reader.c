/* wal_reader.c: replaying one log file, and telling a torn tail from damage.
**
** Owns:  a window onto the file that grows to the largest record.
** Holds: no length is believed before the checksum over it was checked and it
**        was found to fit the file.
** Bytes: wal_format.h.
**
** A record that does not check, at offset o, is judged like this:
**   0. It ends behind the end of the file: the torn tail.
**   1. No header of a record checks behind it: it is the torn tail, or room
**      for records that were to come. (Not so when the next log says that
**      this one went further: on to 3.)
**   2. One does, and says that the log had been durable beyond o when it was
**      written: damage.
**   3. Else both were in flight at once. A power loss loses whole sectors, so
**      the bad record must have one that is zero and should not be: a torn
**      tail. When it has none: damage.
** Headers that follow are believed without their payloads, since these too may
** be torn; by chance one in 2^32 positions checks. */
#include <inttypes.h>

#include "wal_format.h"

enum {
  CHUNK = 256 * 1024, /* that is read at once */
  STEP = 4096         /* by which the window of a follower grows up to that */
};

typedef struct reader {
  lsm_file *file;
  const char *path;
  uint32_t salt;
  uint64_t size; /* of the file, or the limit when that is less */
  bool limited;  /* there is a limit: the log once was that long */
  bool beyond;   /* the file goes on behind it */
  size_t chunk;  /* how much is read at once, if a record is not larger */
  uint8_t *buf;  /* bytes [base, base + have) of the file */
  size_t cap;
  size_t have;
  uint64_t base;
} reader;

/* What is at an offset. */
typedef struct found {
  bool head_ok;
  bool good; /* all of it */
  lsm_wal_head head;
  const uint8_t *payload; /* in the window; when good */
} found;

/*------------------------------------------------------------------ window */

/* Makes the window hold n bytes at least, keeping its content. */
static lsm_rc grow(reader *r, size_t n) {
  size_t cap = n <= r->chunk ? r->chunk : n;
  uint8_t *buf;
  if (n <= r->cap) return LSM_OK;
  buf = lsm_realloc(r->buf, cap);
  if (buf == NULL) return lsm_nomem();
  r->buf = buf;
  r->cap = cap;
  return LSM_OK;
}

/* The n bytes at OFF; they live until the next call.
** REQUIRES: off + n <= size. */
static lsm_rc window(reader *r, uint64_t off, size_t n, const uint8_t **p) {
  size_t want;
  size_t got = 0;
  lsm_rc rc;
  assert(off <= r->size && n <= r->size - off);
  if (off >= r->base && off - r->base <= r->have && n <= r->have - (size_t)(off - r->base)) {
    *p = r->buf + (off - r->base);
    return LSM_OK;
  }
  if (off >= r->base && off - r->base < r->have) {
    size_t skip = (size_t)(off - r->base);
    memmove(r->buf, r->buf + skip, r->have - skip);
    r->have -= skip;
  } else {
    r->have = 0;
  }
  r->base = off;
  rc = grow(r, n);
  if (rc != LSM_OK) return rc;
  want = r->cap - r->have;
  if (want > r->size - off - r->have) want = (size_t)(r->size - off - r->have);
  rc = lsm_file_read(r->file, off + r->have, r->buf + r->have, want, &got);
  if (rc != LSM_OK) return rc;
  r->have += got;
  if (r->have < n) {
    return lsm_fail(LSM_IOERR, "%s: the file became shorter while it was read, at offset %" PRIu64,
                    r->path, off + r->have);
  }
  *p = r->buf;
  return LSM_OK;
}

/*------------------------------------------------------------------ records */

/* Does a header whose checksum is right say what this format can say? NULL or
** the objection. No torn write explains one. */
static const char *objection(const lsm_wal_head *h, uint64_t off) {
  switch (h->type) {
    case LSM_WAL_BATCH:
    case LSM_WAL_PREPARE:
    case LSM_WAL_FILES:
    case LSM_WAL_PREPARE_FILES:
      break;
    case LSM_WAL_COMMIT:
    case LSM_WAL_ABORT:
    case LSM_WAL_CLOSE:
      if (h->len != 0) return "record with a payload that its type does not have";
      break;
    default:
      return "unknown record type";
  }
  if (h->len > LSM_WAL_PAYLOAD_MAX) return "impossible record length";
  if (h->synced_to > off) return "record that says it was durable before it was written";
  return NULL;
}

static bool in_file(const reader *r, uint64_t off, uint32_t len) {
  return lsm_wal_record_bytes(len) <= r->size - off;
}

/* Looks at the record at OFF. Whatever is merely not there or does not check
** leaves f->good false; LSM_CORRUPT is for what nobody can have written. */
static lsm_rc look(reader *r, uint64_t off, found *f) {
  const uint8_t *p;
  const char *wrong;
  uint64_t bytes;
  uint32_t crc;
  lsm_rc rc;
  memset(f, 0, sizeof(*f));
  if (r->size - off < LSM_WAL_RECORD_SIZE) return LSM_OK;
  rc = window(r, off, LSM_WAL_RECORD_SIZE, &p);
  if (rc != LSM_OK) return rc;
  if (lsm_all_zero(p, LSM_WAL_RECORD_SIZE)) return LSM_OK; /* room */
  f->head_ok = lsm_wal_head_get(p, r->salt, off, &f->head);
  if (!f->head_ok) return LSM_OK;
  wrong = objection(&f->head, off);
  if (wrong != NULL) return lsm_corrupt(r->path, off, wrong);
  if (!in_file(r, off, f->head.len)) return LSM_OK;

  bytes = lsm_wal_record_bytes(f->head.len);
  if (bytes > SIZE_MAX) return lsm_nomem();
  rc = window(r, off, (size_t)bytes, &p);
  if (rc != LSM_OK) return rc;
  crc = lsm_crc(lsm_wal_payload_seed(r->salt), p + LSM_WAL_RECORD_SIZE,
                (size_t)bytes - LSM_WAL_RECORD_SIZE);
  if (crc != f->head.payload_crc) return LSM_OK;
  f->payload = p + LSM_WAL_RECORD_SIZE;
  if (!lsm_all_zero(f->payload + f->head.len, lsm_wal_padding(f->head.len))) {
    return lsm_corrupt(r->path, off, "record with padding that is not zero");
  }
  f->good = true;
  return LSM_OK;
}

/*---------------------------------------------------------------- judgement */

/* Looks for headers from FROM on. *follows: there is one. *proved: one says
** that the byte at BAD had been durable. */
static lsm_rc look_behind(reader *r, uint64_t from, uint64_t bad, bool *follows, bool *proved) {
  uint64_t pos = from;
  *follows = *proved = false;
  while (pos < r->size && r->size - pos >= LSM_WAL_RECORD_SIZE) {
    lsm_wal_head h;
    const uint8_t *p;
    uint64_t step = LSM_WAL_ALIGN;
    lsm_rc rc = window(r, pos, LSM_WAL_RECORD_SIZE, &p);
    if (rc != LSM_OK) return rc;
    /* The type first: it spares nearly all checksums. */
    if (p[12] >= LSM_WAL_BATCH && p[12] <= LSM_WAL_PREPARE_FILES &&
        lsm_wal_head_get(p, r->salt, pos, &h) && objection(&h, pos) == NULL) {
      *follows = true;
      if (h.synced_to > bad) {
        *proved = true;
        return LSM_OK;
      }
      step = lsm_wal_record_bytes(h.len);
    }
    if (step > r->size - pos) break;
    pos += step;
  }
  return LSM_OK;
}

/* Is [from, to) zero, as far as the file goes? */
static lsm_rc zero_range(reader *r, uint64_t from, uint64_t to, bool *zero) {
  const uint8_t *p;
  lsm_rc rc;
  *zero = true;
  if (to > r->size) to = r->size;
  if (from >= to) return LSM_OK;
  rc = window(r, from, (size_t)(to - from), &p);
  if (rc == LSM_OK) *zero = lsm_all_zero(p, (size_t)(to - from));
  return rc;
}

static uint64_t next_sector(uint64_t off) {
  return off - off % LSM_SECTOR + LSM_SECTOR;
}

/* Was a sector lost under the header at OFF, which does not check? Then all of
** that sector behind the end the log had before is zero. */
static lsm_rc lost_in_head(reader *r, uint64_t off, bool *lost) {
  uint64_t edge = next_sector(off);
  lsm_rc rc = zero_range(r, off, edge, lost);
  if (rc != LSM_OK || *lost) return rc;
  if (edge - off >= LSM_WAL_RECORD_SIZE || edge >= r->size) return LSM_OK;
  return zero_range(r, edge, edge + LSM_SECTOR, lost);
}

/* Was a sector lost under the payload of the record at OFF, whose header is
** good and which ends inside the file? */
static lsm_rc lost_in_payload(reader *r, uint64_t off, const lsm_wal_head *h, bool *lost) {
  uint64_t end = off + lsm_wal_record_bytes(h->len);
  lsm_sectors s;
  bool rest_zero;
  lsm_rc rc;
  *lost = false;
  lsm_sectors_init(&s, off);
  while (s.pos < end) {
    const uint8_t *p;
    size_t n = end - s.pos < CHUNK ? (size_t)(end - s.pos) : CHUNK;
    rc = window(r, s.pos, n, &p);
    if (rc != LSM_OK) return rc;
    lsm_sectors_feed(&s, p, n);
  }
  rc = zero_range(r, end, next_sector(end), &rest_zero);
  if (rc == LSM_OK) *lost = lsm_sectors_lost(&s, h->zeros, rest_zero);
  return rc;
}

/* The record at OFF does not check: LSM_OK when it is a torn tail. */
static lsm_rc judge(reader *r, uint64_t off, const found *f) {
  uint64_t from = off + LSM_WAL_ALIGN;
  bool follows, proved, lost;
  lsm_rc rc;
  if (r->size - off < LSM_WAL_RECORD_SIZE || (f->head_ok && !in_file(r, off, f->head.len))) {
    if (!r->beyond) return LSM_OK;
    return lsm_corrupt(r->path, off, "record across the end that the next log gives this one");
  }
  if (f->head_ok) from = off + lsm_wal_record_bytes(f->head.len);
  rc = look_behind(r, from, off, &follows, &proved);
  if (rc != LSM_OK || !(follows || r->limited)) return rc;
  if (proved) {
    return lsm_corrupt(r->path, off, "damaged record (it had been synced, and others follow it)");
  }
  rc = f->head_ok ? lost_in_payload(r, off, &f->head, &lost) : lost_in_head(r, off, &lost);
  if (rc != LSM_OK || lost) return rc;
  return lsm_corrupt(r->path, off, "damaged record (others follow it, and none of it is missing)");
}

/*------------------------------------------------------------------- replay */

/* Checks the header. A log whose first sector never reached the disk is empty:
** so is one that is nothing but a bad header, which has nothing to lose. */
static lsm_rc read_header(reader *r, const uint8_t *store_id, uint64_t number, lsm_wal_info *info) {
  const uint8_t *p;
  lsm_rc rc;
  bool zero;
  if (r->size < LSM_WAL_HEADER_SIZE) {
    info->empty = true;
    return LSM_OK;
  }
  rc = zero_range(r, 0, LSM_SECTOR, &zero);
  if (rc == LSM_OK) rc = window(r, 0, LSM_WAL_HEADER_SIZE, &p);
  if (rc != LSM_OK) return rc;
  if (memcmp(p, LSM_WAL_MAGIC, 8) != 0 ||
      lsm_get_u32(p + LSM_WAL_AT_CRC) != lsm_crc(0, p, LSM_WAL_AT_CRC)) {
    info->empty = zero || r->size == LSM_WAL_HEADER_SIZE;
    return info->empty ? LSM_OK : lsm_corrupt(r->path, 0, "damaged header of a log");
  }
  if (lsm_get_u32(p + LSM_WAL_AT_VERSION) != LSM_WAL_VERSION) {
    return lsm_fail(LSM_CANTOPEN,
                    "%s: format version %" PRIu32 " at offset %d is not known, only %u is", r->path,
                    lsm_get_u32(p + LSM_WAL_AT_VERSION), LSM_WAL_AT_VERSION, LSM_WAL_VERSION);
  }
  if (memcmp(p + LSM_WAL_AT_STORE, store_id, 16) != 0) {
    return lsm_corrupt(r->path, LSM_WAL_AT_STORE, "the log belongs to another store");
  }
  if (lsm_get_u64(p + LSM_WAL_AT_NUMBER) != number) {
    return lsm_corrupt(r->path, LSM_WAL_AT_NUMBER, "the log has another number than its name");
  }
  if (lsm_get_u32(p + LSM_WAL_AT_ZERO) != 0) {
    return lsm_corrupt(r->path, LSM_WAL_AT_ZERO, "reserved bytes of a log's header are not zero");
  }
  info->salt = r->salt = lsm_get_u32(p + LSM_WAL_AT_SALT);
  info->prev.number = lsm_get_u64(p + LSM_WAL_AT_PREV_NUMBER);
  info->prev.end = lsm_get_u64(p + LSM_WAL_AT_PREV_END);
  info->end = LSM_WAL_HEADER_SIZE;
  return LSM_OK;
}

/* Hands fn the records up to the first that does not check; *torn: there is one. */
static lsm_rc read_records(reader *r, lsm_rc (*fn)(void *arg, const lsm_wal_record *rec), void *arg,
                           lsm_wal_info *info, bool *torn) {
  *torn = false;
  while (info->end < r->size) {
    found f;
    lsm_wal_record rec;
    lsm_rc rc = look(r, info->end, &f);
    if (rc != LSM_OK) return rc;
    if (!f.good) {
      info->clean = false;
      rc = judge(r, info->end, &f);
      *torn = rc == LSM_OK;
      return rc;
    }
    rec.type = (lsm_wal_type)f.head.type;
    rec.txid = f.head.txid;
    rec.off = info->end;
    rec.payload = lsm_slice_of(f.payload, f.head.len);
    rc = fn(arg, &rec);
    if (rc != LSM_OK) return rc;
    info->clean = rec.type == LSM_WAL_CLOSE;
    info->end += lsm_wal_record_bytes(f.head.len);
  }
  return LSM_OK;
}

lsm_rc lsm_wal_replay_from(lsm_env *env, const char *path, const uint8_t *store_id,
                           uint64_t number, uint64_t from, uint64_t limit,
                           lsm_rc (*fn)(void *arg, const lsm_wal_record *rec), void *arg,
                           lsm_wal_info *info) {
  reader r = {0};
  bool torn = false;
  lsm_rc rc;
  memset(info, 0, sizeof(*info));
  info->number = number;
  r.path = path;
  r.chunk = CHUNK;
  rc = env->open(env, path, LSM_OPEN_READ, &r.file);
  if (rc != LSM_OK) return rc;
  rc = r.file->ops->size(r.file, &r.size);
  if (rc == LSM_OK) rc = read_header(&r, store_id, number, info);
  if (rc != LSM_OK || info->empty) goto done;
  if (from > info->end) info->end = from;
  r.limited = limit != 0;
  r.beyond = r.limited && limit < r.size;
  if (r.beyond) r.size = limit;
  rc = read_records(&r, fn, arg, info, &torn);
  info->torn = torn && limit == 0;
done:
  lsm_free(r.buf);
  lsm_file_close(r.file);
  return rc;
}

lsm_rc lsm_wal_replay(lsm_env *env, const char *path, const uint8_t *store_id, uint64_t number,
                      uint64_t limit, lsm_rc (*fn)(void *arg, const lsm_wal_record *rec), void *arg,
                      lsm_wal_info *info) {
  return lsm_wal_replay_from(env, path, store_id, number, 0, limit, fn, arg, info);
}

/*---------------------------------------------------------------- following */

struct lsm_wal_follower {
  reader r;
  uint64_t number;
  lsm_wal_info head;
  char *path;
};

lsm_rc lsm_wal_follow(lsm_env *env, const char *path, const uint8_t *store_id, uint64_t number,
                      lsm_wal_follower **out, lsm_wal_info *info) {
  size_t n = strlen(path) + 1;
  *out = NULL;
  memset(info, 0, sizeof(*info));
  info->number = number;
  lsm_wal_follower *f = lsm_calloc(sizeof(*f));
  if (f == NULL) return lsm_nomem();
  f->number = number;
  f->r.chunk = STEP;
  f->path = lsm_malloc(n);
  lsm_rc rc = f->path == NULL ? lsm_nomem() : LSM_OK;
  if (rc == LSM_OK) {
    memcpy(f->path, path, n);
    f->r.path = f->path;
    rc = env->open(env, path, LSM_OPEN_READ, &f->r.file);
    if (rc != LSM_OK) f->r.file = NULL;
  }
  if (rc == LSM_OK) rc = f->r.file->ops->size(f->r.file, &f->r.size);
  if (rc == LSM_OK) rc = read_header(&f->r, store_id, number, info);
  f->head = *info;
  if (rc != LSM_OK || info->empty) {
    lsm_wal_unfollow(f);
    return rc;
  }
  *out = f;
  return LSM_OK;
}

lsm_rc lsm_wal_read_on(lsm_wal_follower *f, uint64_t from, uint64_t to,
                       lsm_rc (*fn)(void *arg, const lsm_wal_record *rec), void *arg,
                       lsm_wal_info *info) {
  reader *r = &f->r;
  bool torn = false;
  *info = f->head;
  if (from > info->end) info->end = from;
  if (to <= info->end) return LSM_OK;
  uint64_t want = (to - info->end + STEP - 1) / STEP * STEP;
  r->chunk = want < CHUNK ? (size_t)want : CHUNK;
  lsm_rc rc = grow(r, r->chunk);
  if (rc != LSM_OK) return rc;
  r->size = to;
  r->limited = r->beyond = true;
  r->have = 0; /* it may have changed behind the end of that time */
  rc = read_records(r, fn, arg, info, &torn);
  if (r->cap > CHUNK) { /* there was a large record */
    lsm_free(r->buf);
    r->buf = NULL;
    r->cap = 0;
  }
  return rc;
}

uint64_t lsm_wal_followed(const lsm_wal_follower *f) { return f->number; }
const char *lsm_wal_followed_path(const lsm_wal_follower *f) { return f->path; }

void lsm_wal_unfollow(lsm_wal_follower *f) {
  if (f == NULL) return;
  lsm_file_close(f->r.file);
  lsm_free(f->r.buf);
  lsm_free(f->path);
  lsm_free(f);
}
