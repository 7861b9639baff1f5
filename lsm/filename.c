/* filename.c: making and reading the names in a store's directory.
**
** Holds    parse is the exact inverse of the making: one number has one name,
**          so a file with a name like ours but spelt otherwise is not ours. */
#include "filename.h"

#include <inttypes.h>
#include <stdio.h>

enum { NUMBER_DIGITS = 6, NAME_MAX_LEN = 40 };

static const struct {
  lsm_filetype type;
  const char *suffix;
} numbered[] = {
    {LSM_FILE_MANIFEST, ".manifest"},
    {LSM_FILE_WAL, ".wal"},
    {LSM_FILE_SST, ".sst"},
    {LSM_FILE_TMP, ".tmp"},
};
enum { NUMBERED_COUNT = sizeof numbered / sizeof numbered[0] };

/* The name without its directory; returns its length, 0 for a type without. */
static size_t format_name(char name[NAME_MAX_LEN], lsm_filetype type, uint64_t number) {
  int n = 0;
  if (type == LSM_FILE_LOCK) n = snprintf(name, NAME_MAX_LEN, "LOCK");
  if (type == LSM_FILE_SHM) n = snprintf(name, NAME_MAX_LEN, "SHM");
  if (type == LSM_FILE_CURRENT) n = snprintf(name, NAME_MAX_LEN, "CURRENT");
  for (int i = 0; i < NUMBERED_COUNT; i++) {
    if (numbered[i].type != type) continue;
    n = snprintf(name, NAME_MAX_LEN, "%0*" PRIu64 "%s", NUMBER_DIGITS, number, numbered[i].suffix);
  }
  return n > 0 ? (size_t)n : 0;
}

lsm_rc lsm_filename(lsm_buf *out, const char *dir, lsm_filetype type, uint64_t number) {
  char name[NAME_MAX_LEN];
  size_t name_len = format_name(name, type, number);
  if (name_len == 0) return lsm_fail(LSM_MISUSE, "%s: no name for file type %d", dir, (int)type);
  size_t dir_len = strlen(dir);
  bool slash = dir_len > 0 && dir[dir_len - 1] != '/';
  lsm_buf_clear(out);
  lsm_rc rc = lsm_buf_reserve(out, dir_len + slash + name_len + 1);
  if (rc != LSM_OK) return rc;
  uint8_t *p = out->data;
  memcpy(p, dir, dir_len);
  if (slash) p[dir_len] = '/';
  memcpy(p + dir_len + slash, name, name_len);
  out->size = dir_len + slash + name_len;
  p[out->size] = '\0';
  return LSM_OK;
}

char *lsm_filename_new(const char *dir, lsm_filetype type, uint64_t number) {
  lsm_buf buf = {0};
  if (lsm_filename(&buf, dir, type, number) != LSM_OK) {
    lsm_buf_fini(&buf);
    return NULL;
  }
  return (char *)buf.data; /* a buffer's memory is lsm_malloc()'s */
}

lsm_filetype lsm_filename_parse(const char *name, uint64_t *number) {
  *number = 0;
  if (strcmp(name, "LOCK") == 0) return LSM_FILE_LOCK;
  if (strcmp(name, "SHM") == 0) return LSM_FILE_SHM;
  if (strcmp(name, "CURRENT") == 0) return LSM_FILE_CURRENT;
  uint64_t v = 0;
  int digits = 0;
  for (; name[digits] >= '0' && name[digits] <= '9'; digits++) {
    unsigned d = (unsigned)(name[digits] - '0');
    if (v > (UINT64_MAX - d) / 10) return LSM_FILE_OTHER;
    v = v * 10 + d;
  }
  if (digits < NUMBER_DIGITS) return LSM_FILE_OTHER;
  if (digits > NUMBER_DIGITS && name[0] == '0') return LSM_FILE_OTHER;
  for (int i = 0; i < NUMBERED_COUNT; i++) {
    if (strcmp(name + digits, numbered[i].suffix) != 0) continue;
    *number = v;
    return numbered[i].type;
  }
  return LSM_FILE_OTHER;
}
