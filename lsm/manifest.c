/* manifest.c: the edit log's file, and CURRENT.
**
** Owns:  the open manifest, the offset behind its last record.
** Holds: (1) each record is durable before the next one is written, so only
**            the last can be torn, and that one was never acted on;
**        (2) a record that failed is cut off durably, or the manifest is
**            broken: a power loss must not bring back an edit whose files the
**            store has removed since;
**        (3) CURRENT names a manifest only when that is durable.
** Locks: none; one thread at a time.
** Bytes: FORMAT.md, "Manifest". Offsets of records are multiples of 16, so no
**        record's header lies in two sectors. */
#include "manifest.h"

#include <inttypes.h>
#include <stdio.h>

#include "filename.h"
#include "wal_format.h" /* the sector rule */

#define MAGIC   "lsmmani\n" /* 8 bytes */
#define VERSION 1u
/* With keyspaces whose values expire: readers of version 1 would take those for what
** they are not. Otherwise the same. */
#define VERSION_EXPIRES 2u

enum {
  HEADER_SIZE = 48,
  AT_VERSION = 8,
  AT_ZERO = 12,
  AT_STORE = 16,
  AT_NUMBER = 32,
  AT_ZERO2 = 40,
  AT_CRC = 44,
  RECORD_SIZE = 16, /* of a record's header: crc, payload crc, length, zeros */
  ALIGN = 16,
  CURRENT_MAX = 80, /* bytes of CURRENT at most */
  MESSAGE_SIZE = 400
};
#define PAYLOAD_MAX 0xFFFFFFC0u
#define EDITS_MAX   (4u << 20) /* bytes of edits that any manifest may have behind its first */

struct lsm_manifest {
  lsm_env *env;
  lsm_file *file;
  char *path;
  uint64_t number;
  uint64_t base; /* behind the first record, which says all */
  uint64_t size; /* behind the last record */
  bool broken;
};

static void keep_errmsg(char *msg) {
  snprintf(msg, MESSAGE_SIZE, "%s", lsm_errmsg());
}

/* A failure of the environment, told with file, deed and offset. */
static lsm_rc fail_at(const lsm_manifest *m, lsm_rc rc, const char *deed) {
  return lsm_fail(rc, "%s: cannot %s at offset %" PRIu64 ": %s", m->path, deed, m->size,
                  lsm_errmsg());
}

/*------------------------------------------------------------------ records */

static size_t padded(uint64_t len) {
  return (size_t)((len + ALIGN - 1) / ALIGN * ALIGN);
}

/* A record's header checks only in its file, and there only at its offset. */
static uint32_t head_crc(const uint8_t *p, uint64_t number, uint64_t off) {
  uint8_t seed[16];
  lsm_set_u64(seed, number);
  lsm_set_u64(seed + 8, off);
  return lsm_crc(lsm_crc(0, seed, sizeof(seed)), p + 4, RECORD_SIZE - 4);
}

/* Appends the record that EDIT makes at offset OFF of manifest NUMBER. */
static lsm_rc put_record(lsm_buf *out, const lsm_edit *edit, uint64_t number, uint64_t off) {
  static const uint8_t zeros[ALIGN] = {0};
  size_t start = out->size;
  uint64_t len;
  size_t total;
  lsm_sectors s;
  uint8_t *p;
  lsm_rc rc = lsm_buf_append(out, zeros, RECORD_SIZE);
  if (rc == LSM_OK) rc = lsm_edit_encode(edit, out);
  if (rc != LSM_OK) return rc;
  len = out->size - start - RECORD_SIZE;
  if (len > PAYLOAD_MAX) {
    return lsm_fail(LSM_FULL,
                    "%06" PRIu64 ".manifest: more than 4 GB do not fit a record at offset %" PRIu64,
                    number, off);
  }
  rc = lsm_buf_append(out, zeros, padded(len) - (size_t)len);
  if (rc != LSM_OK) return rc;
  p = out->data + start;
  total = out->size - start;
  lsm_sectors_init(&s, off);
  lsm_sectors_feed(&s, p, total);
  lsm_set_u32(p + 4, lsm_crc(0, p + RECORD_SIZE, total - RECORD_SIZE));
  lsm_set_u32(p + 8, (uint32_t)len);
  lsm_set_u32(p + 12, lsm_sectors_total(&s));
  lsm_set_u32(p, head_crc(p, number, off));
  return LSM_OK;
}

/*------------------------------------------------------------------ reading */

/* A manifest in memory, or the end of one. */
typedef struct image {
  const char *path;
  uint64_t number;
  const uint8_t *data; /* from offset FROM on */
  size_t from;
  size_t size; /* the offset where it ends */
} image;

static const uint8_t *at(const image *m, size_t off) {
  return m->data + (off - m->from);
}

static bool head_ok(const image *m, size_t off) {
  return m->size - off >= RECORD_SIZE &&
         lsm_get_u32(at(m, off)) == head_crc(at(m, off), m->number, off);
}

/* The record at OFF does not check: LSM_OK when it is one that was never
** finished. It must be the last, and lack its end or a sector. */
static lsm_rc judge(const image *m, size_t off) {
  const uint8_t *p = at(m, off);
  size_t rest = m->size - off;
  if (rest < RECORD_SIZE) return LSM_OK;
  if (head_ok(m, off)) {
    uint64_t bytes = (uint64_t)RECORD_SIZE + padded(lsm_get_u32(p + 8));
    if (bytes > rest) return LSM_OK;
    if (bytes == rest) {
      lsm_sectors s;
      lsm_sectors_init(&s, off);
      lsm_sectors_feed(&s, p, rest);
      if (lsm_sectors_lost(&s, lsm_get_u32(p + 12), true)) return LSM_OK;
    }
  } else {
    size_t part = LSM_SECTOR - off % LSM_SECTOR;
    bool last = true;
    for (size_t i = off + ALIGN; i < m->size && last; i += ALIGN) last = !head_ok(m, i);
    if (last && lsm_all_zero(p, part < rest ? part : rest)) return LSM_OK;
  }
  return lsm_corrupt(m->path, off, "damaged record of the manifest");
}

/* The payload of the record at OFF and the next record's offset. An unfinished
** record: *next == OFF. */
static lsm_rc get_record(const image *m, size_t off, lsm_slice *payload, size_t *next) {
  const uint8_t *p = at(m, off);
  uint32_t len;
  *next = off;
  if (!head_ok(m, off)) return judge(m, off);
  len = lsm_get_u32(p + 8);
  if (len > PAYLOAD_MAX) return lsm_corrupt(m->path, off, "impossible length of a record");
  if (padded(len) > m->size - off - RECORD_SIZE ||
      lsm_crc(0, p + RECORD_SIZE, padded(len)) != lsm_get_u32(p + 4)) {
    return judge(m, off);
  }
  if (!lsm_all_zero(p + RECORD_SIZE + len, padded(len) - len)) {
    return lsm_corrupt(m->path, off, "padding of a record is not zero");
  }
  *payload = lsm_slice_of(p + RECORD_SIZE, len);
  *next = off + RECORD_SIZE + padded(len);
  return LSM_OK;
}

static lsm_rc check_header(const image *m, uint8_t *store_id) {
  const uint8_t *p = m->data;
  if (m->size < HEADER_SIZE || memcmp(p, MAGIC, 8) != 0 ||
      lsm_get_u32(p + AT_CRC) != lsm_crc(0, p, AT_CRC)) {
    return lsm_corrupt(m->path, 0, "damaged header of a manifest");
  }
  uint32_t version = lsm_get_u32(p + AT_VERSION);
  if (version != VERSION && version != VERSION_EXPIRES) {
    return lsm_fail(LSM_CANTOPEN,
                    "%s: format version %" PRIu32 " at offset %d is not known, only %u and %u are",
                    m->path, version, AT_VERSION, VERSION, VERSION_EXPIRES);
  }
  if (lsm_get_u32(p + AT_ZERO) != 0 || lsm_get_u32(p + AT_ZERO2) != 0) {
    return lsm_corrupt(m->path, AT_ZERO, "reserved bytes of a manifest's header are not zero");
  }
  if (lsm_get_u64(p + AT_NUMBER) != m->number) {
    return lsm_corrupt(m->path, AT_NUMBER, "the manifest has another number than its name");
  }
  memcpy(store_id, p + AT_STORE, 16);
  return LSM_OK;
}

/* Applies one edit to the state. The first one must set every counter. */
static lsm_rc apply(const image *m, size_t off, lsm_slice payload, bool commit,
                    lsm_manifest_state *st) {
  lsm_edit e = {0};
  lsm_version *next = NULL;
  lsm_rc rc = lsm_edit_decode(payload, m->path, off, &e);
  if (rc == LSM_OK && off == HEADER_SIZE &&
      !(e.has_next_file && e.has_log && e.has_next_keyspace && e.has_last_txid)) {
    rc = lsm_corrupt(m->path, off, "the first record of a manifest does not say all");
  }
  if (rc == LSM_OK) rc = lsm_version_apply(st->version, &e, m->path, off, &next);
  if (rc == LSM_OK) {
    if (commit) lsm_version_commit(next, &e);
    lsm_version_unref(st->version);
    st->version = next;
    if (e.has_next_file) st->next_file = e.next_file;
    if (e.has_log) st->log = e.log;
    if (e.has_next_keyspace) st->next_keyspace = e.next_keyspace;
    if (e.has_last_txid) st->last_txid = e.last_txid;
  }
  lsm_edit_fini(&e);
  return rc;
}

static lsm_rc apply_all(const image *m, lsm_manifest_state *st) {
  size_t off = HEADER_SIZE;
  lsm_rc rc = LSM_OK;
  while (rc == LSM_OK && off < m->size) {
    lsm_slice payload = LSM_SLICE_NULL;
    size_t next;
    rc = get_record(m, off, &payload, &next);
    if (rc != LSM_OK || next == off) break;
    rc = apply(m, off, payload, false, st);
    off = next;
  }
  st->size = off;
  /* CURRENT named it when its first record was durable. */
  if (rc == LSM_OK && off == HEADER_SIZE) {
    rc = lsm_corrupt(m->path, off, "the manifest has no complete record");
  }
  /* The manifest's own number is used, too. */
  if (rc == LSM_OK && st->next_file <= m->number) st->next_file = m->number + 1;
  return rc;
}

/*------------------------------------------------------------------ CURRENT */

/* Its text; returns the length. */
static size_t format_current(char *text, uint64_t number) {
  int n = snprintf(text, CURRENT_MAX, "lsm 1 %06" PRIu64 ".manifest", number);
  n += snprintf(text + n, CURRENT_MAX - (size_t)n, " crc %08" PRIx32 "\n",
                lsm_crc(0, text, (size_t)n));
  return (size_t)n;
}

/* Reads the number as it stands there, then compares with what would be
** written for it: so every byte is checked. */
static lsm_rc read_current(lsm_env *env, const char *dir, uint64_t *number) {
  lsm_buf buf = {0};
  char text[CURRENT_MAX];
  uint64_t n = 0;
  char *path = lsm_filename_new(dir, LSM_FILE_CURRENT, 0);
  lsm_rc rc = path == NULL ? lsm_nomem() : lsm_env_read_file(env, path, &buf);
  if (rc != LSM_OK) goto done;
  for (size_t i = 6; i < buf.size && buf.data[i] >= '0' && buf.data[i] <= '9'; i++) {
    n = n * 10 + (uint64_t)(buf.data[i] - '0'); /* too many: wraps, and differs */
  }
  if (buf.size != format_current(text, n) || memcmp(buf.data, text, buf.size) != 0) {
    rc = lsm_corrupt(path, 0, "does not name a manifest, or its checksum is wrong");
  } else {
    *number = n;
  }
done:
  lsm_buf_fini(&buf);
  lsm_free(path);
  return rc;
}

/* The manifest's file into memory, up to LIMIT if that is not 0. */
static lsm_rc read_image(lsm_env *env, const char *dir, uint64_t limit, image *m, char **path,
                         lsm_buf *buf) {
  *path = lsm_filename_new(dir, LSM_FILE_MANIFEST, m->number);
  lsm_rc rc = *path == NULL ? lsm_nomem() : lsm_env_read_file(env, *path, buf);
  m->path = *path;
  m->data = buf->data;
  m->size = buf->size;
  if (rc == LSM_OK && limit != 0) {
    if (m->size < limit) rc = lsm_corrupt(*path, m->size, "shorter than its writers left it");
    m->size = (size_t)limit;
  }
  return rc;
}

/* Of the manifest's file what is between the offsets. */
static lsm_rc read_end(lsm_env *env, const char *dir, uint64_t from, uint64_t to, image *m,
                       char **path, lsm_buf *buf) {
  lsm_file *file = NULL;
  size_t n = to > from ? (size_t)(to - from) : 0, got = 0;
  *path = lsm_filename_new(dir, LSM_FILE_MANIFEST, m->number);
  lsm_rc rc = *path == NULL ? lsm_nomem() : lsm_buf_reserve(buf, n);
  if (rc == LSM_OK) rc = env->open(env, *path, LSM_OPEN_READ, &file);
  if (rc != LSM_OK) return rc;
  rc = lsm_file_read(file, from, buf->data, n, &got);
  lsm_file_close(file);
  if (rc == LSM_OK && got < n) {
    rc = lsm_corrupt(*path, from + got, "shorter than its writers left it");
  }
  buf->size = got;
  m->path = *path;
  m->data = buf->data;
  m->from = (size_t)from;
  m->size = (size_t)to;
  return rc;
}

lsm_rc lsm_manifest_load(lsm_env *env, const char *dir, uint64_t number, uint64_t size,
                         void (*on_garbage)(void *arg, uint64_t number), void *arg,
                         lsm_manifest_state *st) {
  lsm_buf buf = {0};
  image m = {0};
  char *path = NULL;
  memset(st, 0, sizeof(*st));
  m.number = number;
  lsm_rc rc = read_image(env, dir, size, &m, &path, &buf);
  if (rc != LSM_OK) goto done;
  st->number = m.number;
  rc = check_header(&m, st->store_id);
  if (rc == LSM_OK) rc = lsm_version_new(on_garbage, arg, &st->version);
  if (rc == LSM_OK) rc = apply_all(&m, st);
done:
  if (rc != LSM_OK) {
    lsm_version_unref(st->version);
    memset(st, 0, sizeof(*st));
  }
  lsm_buf_fini(&buf);
  lsm_free(path);
  return rc;
}

lsm_rc lsm_manifest_read(lsm_env *env, const char *dir,
                         void (*on_garbage)(void *arg, uint64_t number), void *arg,
                         lsm_manifest_state *st) {
  uint64_t number = 0;
  memset(st, 0, sizeof(*st));
  lsm_rc rc = read_current(env, dir, &number);
  if (rc != LSM_OK) return rc;
  rc = lsm_manifest_load(env, dir, number, 0, on_garbage, arg, st);
  if (rc == LSM_NOTFOUND) {
    char *path = lsm_filename_new(dir, LSM_FILE_MANIFEST, number);
    rc = path == NULL ? lsm_nomem() : lsm_corrupt(path, 0, "missing, though CURRENT names it");
    lsm_free(path);
  }
  return rc;
}

/* The head of manifest NUMBER. */
static lsm_rc read_head(lsm_env *env, const char *dir, uint64_t number, uint8_t *store_id) {
  uint8_t head[HEADER_SIZE];
  lsm_file *f = NULL;
  image m = {0};
  char *path = lsm_filename_new(dir, LSM_FILE_MANIFEST, number);
  lsm_rc rc = path == NULL ? lsm_nomem() : env->open(env, path, LSM_OPEN_READ, &f);
  m.path = path;
  m.number = number;
  m.data = head;
  if (rc == LSM_OK) rc = lsm_file_read(f, 0, head, sizeof(head), &m.size);
  if (rc == LSM_OK) rc = check_header(&m, store_id);
  lsm_file_close(f);
  lsm_free(path);
  return rc;
}

#define PEEK_TRIES 5 /* a process may be exchanging the manifest */

lsm_rc lsm_manifest_peek(lsm_env *env, const char *dir, uint8_t store_id[16]) {
  lsm_rc rc = LSM_OK;
  for (int i = 0; i < PEEK_TRIES; i++) {
    uint64_t number = 0;
    rc = read_current(env, dir, &number);
    if (rc != LSM_OK) return rc;
    rc = read_head(env, dir, number, store_id);
    if (rc != LSM_NOTFOUND) return rc;
  }
  return lsm_corrupt(dir, 0, "the manifest that CURRENT names is missing");
}

lsm_rc lsm_manifest_read_on(lsm_env *env, const char *dir, uint64_t size, lsm_manifest_state *st) {
  lsm_buf buf = {0};
  image m = {0};
  char *path = NULL;
  lsm_manifest_state now = *st;
  m.number = st->number;
  lsm_version_ref(now.version);
  lsm_rc rc = read_end(env, dir, st->size, size, &m, &path, &buf);
  while (rc == LSM_OK && now.size < size) {
    lsm_slice payload = LSM_SLICE_NULL;
    size_t off = (size_t)now.size, next;
    rc = get_record(&m, off, &payload, &next);
    if (rc == LSM_OK && next == off) rc = lsm_corrupt(path, off, "damaged record of the manifest");
    if (rc == LSM_OK) rc = apply(&m, off, payload, true, &now);
    now.size = next;
  }
  if (rc == LSM_OK) {
    lsm_version_unref(st->version);
    *st = now;
  } else {
    lsm_version_unref(now.version);
  }
  lsm_buf_fini(&buf);
  lsm_free(path);
  return rc;
}

/*------------------------------------------------------------------ writing */

void lsm_manifest_close(lsm_manifest *m) {
  if (m == NULL) return;
  lsm_file_close(m->file);
  lsm_free(m->path);
  lsm_free(m);
}

bool lsm_manifest_is_broken(const lsm_manifest *m) {
  return m->broken;
}
uint64_t lsm_manifest_number(const lsm_manifest *m) {
  return m->number;
}
uint64_t lsm_manifest_size(const lsm_manifest *m) {
  return m->size;
}
bool lsm_manifest_is_long(const lsm_manifest *m) {
  return m->size - m->base > (m->base > EDITS_MAX ? m->base : EDITS_MAX);
}

/* Header and first record of a new manifest. */
static lsm_rc put_image(lsm_buf *out, uint64_t number, const lsm_manifest_state *st) {
  uint8_t h[HEADER_SIZE] = {0};
  lsm_edit e = {0};
  lsm_rc rc;
  memcpy(h, MAGIC, 8);
  lsm_set_u32(h + AT_VERSION, lsm_version_expires(st->version) ? VERSION_EXPIRES : VERSION);
  memcpy(h + AT_STORE, st->store_id, 16);
  lsm_set_u64(h + AT_NUMBER, number);
  lsm_set_u32(h + AT_CRC, lsm_crc(0, h, AT_CRC));
  rc = lsm_buf_append(out, h, sizeof(h));
  if (rc == LSM_OK) rc = lsm_version_to_edit(st->version, &e);
  e.has_next_file = e.has_log = e.has_next_keyspace = e.has_last_txid = true;
  e.next_file = st->next_file;
  e.log = st->log;
  e.next_keyspace = st->next_keyspace;
  e.last_txid = st->last_txid;
  if (rc == LSM_OK) rc = put_record(out, &e, number, HEADER_SIZE);
  lsm_edit_fini(&e);
  return rc;
}

/* Makes the file at PATH with this content, synced. It is left open. */
static lsm_rc write_file(lsm_env *env, const char *path, const void *data, size_t n,
                         lsm_file **file) {
  lsm_rc rc = env->open(env, path, LSM_OPEN_WRITE | LSM_OPEN_CREATE | LSM_OPEN_TRUNCATE, file);
  if (rc != LSM_OK) {
    *file = NULL;
    return rc;
  }
  rc = lsm_file_write(*file, 0, data, n);
  if (rc == LSM_OK) rc = lsm_file_sync(*file);
  return rc;
}

/* Lets CURRENT name manifest NUMBER. *tried: the rename was, so that its
** failure does not prove that the old CURRENT is still there. */
static lsm_rc switch_current(lsm_env *env, const char *dir, uint64_t number, bool *tried) {
  char text[CURRENT_MAX];
  size_t n = format_current(text, number);
  lsm_file *file = NULL;
  char *current = lsm_filename_new(dir, LSM_FILE_CURRENT, 0);
  char *tmp = lsm_filename_new(dir, LSM_FILE_TMP, number);
  lsm_rc rc = LSM_OK;
  if (current == NULL || tmp == NULL) {
    rc = lsm_nomem();
    goto done;
  }
  rc = write_file(env, tmp, text, n, &file);
  lsm_file_close(file);
  /* The manifest's name must be durable no later than CURRENT's new content. */
  if (rc == LSM_OK) rc = env->sync_dir(env, dir);
  if (rc == LSM_OK) {
    *tried = true;
    rc = env->rename(env, tmp, current);
  }
  if (rc == LSM_OK) {
    rc = env->sync_dir(env, dir);
  } else {
    char msg[MESSAGE_SIZE];
    keep_errmsg(msg);
    (void)env->remove(env, tmp); /* else removed on open */
    lsm_set_errmsg(msg);
  }
done:
  lsm_free(current);
  lsm_free(tmp);
  return rc;
}

/* Removes a manifest that did not come into force. When CURRENT may name it,
** it stays. */
static void discard(lsm_env *env, const char *dir, lsm_manifest *m, bool tried) {
  char msg[MESSAGE_SIZE];
  uint64_t in_force = m->number;
  lsm_rc rc = LSM_OK;
  keep_errmsg(msg);
  lsm_file_close(m->file);
  m->file = NULL;
  if (tried) rc = read_current(env, dir, &in_force);
  if (!tried || rc == LSM_NOTFOUND || (rc == LSM_OK && in_force != m->number)) {
    (void)env->remove(env, m->path); /* else removed on open */
  }
  lsm_set_errmsg(msg);
}

lsm_rc lsm_manifest_create(lsm_env *env, const char *dir, uint64_t number,
                           const lsm_manifest_state *st, lsm_manifest **out) {
  lsm_buf buf = {0};
  bool tried = false;
  lsm_manifest *m = lsm_calloc(sizeof(*m));
  lsm_rc rc;
  *out = NULL;
  if (m == NULL) return lsm_nomem();
  m->env = env;
  m->number = number;
  m->path = lsm_filename_new(dir, LSM_FILE_MANIFEST, number);
  rc = m->path == NULL ? lsm_nomem() : put_image(&buf, number, st);
  if (rc != LSM_OK) goto done;
  rc = write_file(env, m->path, buf.data, buf.size, &m->file);
  if (rc != LSM_OK) rc = fail_at(m, rc, "write the manifest");
  if (rc == LSM_OK) rc = switch_current(env, dir, number, &tried);
  if (rc == LSM_OK) {
    m->base = m->size = buf.size;
    *out = m;
    m = NULL;
  } else if (m->file != NULL) {
    discard(env, dir, m, tried);
  }
done:
  lsm_manifest_close(m);
  lsm_buf_fini(&buf);
  return rc;
}

/* Where the first record ends. The file has been read before: this one checked. */
static lsm_rc find_base(lsm_manifest *m) {
  uint8_t head[RECORD_SIZE];
  size_t got = 0;
  lsm_rc rc = lsm_file_read(m->file, HEADER_SIZE, head, sizeof(head), &got);
  if (rc != LSM_OK) return rc;
  if (got < sizeof(head)) return lsm_corrupt(m->path, HEADER_SIZE, "the manifest became shorter");
  m->base = HEADER_SIZE + RECORD_SIZE + (uint64_t)padded(lsm_get_u32(head + 8));
  if (m->base > m->size) m->base = m->size;
  return LSM_OK;
}

lsm_rc lsm_manifest_open(lsm_env *env, const char *dir, uint64_t number, uint64_t size,
                         lsm_manifest **out) {
  *out = NULL;
  lsm_manifest *m = lsm_calloc(sizeof(*m));
  if (m == NULL) return lsm_nomem();
  m->env = env;
  m->number = number;
  m->size = size;
  m->path = lsm_filename_new(dir, LSM_FILE_MANIFEST, number);
  lsm_rc rc = m->path == NULL ? lsm_nomem() : env->open(env, m->path, LSM_OPEN_WRITE, &m->file);
  if (rc == LSM_OK) rc = find_base(m);
  if (rc == LSM_OK) {
    *out = m;
  } else {
    lsm_manifest_close(m);
  }
  return rc;
}

/* What is behind the last record goes: an edit of a process that was killed
** before it could announce it. */
static lsm_rc cut_off(lsm_manifest *m) {
  uint64_t now = 0;
  lsm_rc rc = m->file->ops->size(m->file, &now);
  if (rc != LSM_OK || now <= m->size) return rc;
  rc = m->file->ops->truncate(m->file, m->size);
  return rc == LSM_OK ? lsm_file_sync(m->file) : rc;
}

lsm_rc lsm_manifest_append(lsm_manifest *m, const lsm_edit *edit) {
  lsm_buf buf = {0};
  lsm_rc rc;
  if (m->broken) {
    return lsm_fail(LSM_IOERR,
                    "%s: the manifest takes nothing more after an earlier error at offset %" PRIu64,
                    m->path, m->size);
  }
  rc = put_record(&buf, edit, m->number, m->size);
  if (rc == LSM_OK) rc = cut_off(m);
  if (rc != LSM_OK) goto done;
  rc = lsm_file_write(m->file, m->size, buf.data, buf.size);
  if (rc == LSM_OK) rc = lsm_file_sync(m->file);
  if (rc == LSM_OK) {
    m->size += buf.size;
  } else {
    char msg[MESSAGE_SIZE];
    rc = fail_at(m, rc, "append");
    keep_errmsg(msg);
    if (m->file->ops->truncate(m->file, m->size) != LSM_OK || lsm_file_sync(m->file) != LSM_OK) {
      m->broken = true;
    }
    lsm_set_errmsg(msg);
  }
done:
  lsm_buf_fini(&buf);
  return rc;
}
