/* homes.c: which databases use a store, noted in its directory.
**
** One small file a database, never changed: so two processes need no lock. Its name has a
** hash of the database's; its text both names and a checksum (FORMAT.md). */
#include "homes.h"

#include <stdio.h>
#include <string.h>

#include "base.h"
#include "env.h"

#define PREFIX   "HOST-"
#define TEXT_MAX 16384

/* The note of FILE as text. Names with a line end are not noted: LSM_NOTFOUND. */
static lsm_rc format(lsm_buf *out, const char *path, const char *file) {
  char crc[20];
  if (strchr(path, '\n') != NULL || strchr(file, '\n') != NULL) return LSM_NOTFOUND;
  lsm_rc rc = lsm_buf_set(out, lsm_slice_str("lsm host 1\n"));
  if (rc == LSM_OK) rc = lsm_buf_append(out, path, strlen(path));
  if (rc == LSM_OK) rc = lsm_buf_put_u8(out, '\n');
  if (rc == LSM_OK) rc = lsm_buf_append(out, file, strlen(file));
  if (rc == LSM_OK) rc = lsm_buf_put_u8(out, '\n');
  if (rc != LSM_OK) return rc;
  snprintf(crc, sizeof(crc), "crc %08x\n", (unsigned)lsm_crc(0, out->data, out->size));
  return lsm_buf_append(out, crc, strlen(crc));
}

/* PATH/HOST-hash and more; to be freed. */
static char *note_name(const char *path, const char *file, const char *more) {
  size_t n = strlen(path) + sizeof(PREFIX) + 32;
  char *name = lsm_malloc(n);
  if (name == NULL) return NULL;
  snprintf(name, n, "%s/" PREFIX "%016llx%s", path,
           (unsigned long long)lsm_hash64(lsm_slice_str(file), 0), more);
  return name;
}

/* Is this very note there? */
static bool is_noted(lsm_env *env, const char *name, const lsm_buf *text) {
  lsm_buf now = {0};
  bool same = lsm_env_read_file(env, name, &now) == LSM_OK &&
              lsm_slice_eq(lsm_buf_slice(&now), lsm_buf_slice(text));
  lsm_buf_fini(&now);
  return same;
}

/* The store of this database alone is beside it, under its name. */
bool lsm_homes_is_own(const char *path, const char *file) {
  size_t n = strlen(file);
  return strncmp(path, file, n) == 0 && strcmp(path + n, "-lsm") == 0;
}

void lsm_homes_note(const char *path, const char *file) {
  lsm_env *env = lsm_env_default();
  lsm_buf text = {0};
  lsm_file *f = NULL;
  if (lsm_homes_is_own(path, file)) return;
  char *name = note_name(path, file, ""), *tmp = note_name(path, file, ".new");
  lsm_rc rc = name == NULL || tmp == NULL ? LSM_NOMEM : format(&text, path, file);
  if (rc == LSM_OK && !is_noted(env, name, &text)) {
    rc = env->open(env, tmp, LSM_OPEN_WRITE | LSM_OPEN_CREATE | LSM_OPEN_TRUNCATE, &f);
    if (rc == LSM_OK) rc = lsm_file_write(f, 0, text.data, text.size);
    if (rc == LSM_OK) rc = lsm_file_sync(f);
    lsm_file_close(f);
    if (rc == LSM_OK) rc = env->rename(env, tmp, name);
    if (rc == LSM_OK) (void)env->sync_dir(env, path);
  }
  lsm_buf_fini(&text);
  lsm_free(name);
  lsm_free(tmp);
}

bool lsm_homes_noted(const char *path, const char *file) {
  lsm_buf text = {0};
  char *name = note_name(path, file, "");
  bool yes = name != NULL && format(&text, path, file) == LSM_OK &&
             is_noted(lsm_env_default(), name, &text);
  lsm_buf_fini(&text);
  lsm_free(name);
  return yes;
}

void lsm_homes_forget(const char *path, const char *file) {
  lsm_env *env = lsm_env_default();
  char *name = note_name(path, file, "");
  if (name != NULL && env->remove(env, name) == LSM_OK) (void)env->sync_dir(env, path);
  lsm_free(name);
}

typedef struct search {
  const char *path;
  lsm_rc (*fn)(void *arg, const char *file);
  void *arg;
} search;

/* The database that a note's text names, in it: terminated in place. NULL: not a note of the
** store at PATH. */
static const char *parse(lsm_buf *text, const char *path) {
  static const char head[] = "lsm host 1\n";
  size_t n = strlen(path);
  const size_t tail = strlen("crc 00000000\n");
  lsm_buf again = {0};
  if (text->size > TEXT_MAX || text->size < sizeof(head) + n + 1 + tail) return NULL;
  if (memcmp(text->data, head, sizeof(head) - 1) != 0 ||
      memcmp(text->data + sizeof(head) - 1, path, n) != 0 || text->data[sizeof(head) - 1 + n] != '\n' ||
      text->data[text->size - tail - 1] != '\n') {
    return NULL;
  }
  lsm_slice was = lsm_slice_of(text->data, text->size);
  char *file = (char *)text->data + sizeof(head) + n;
  char *end = (char *)text->data + text->size - tail - 1;
  if (file >= end || memchr(file, 0, (size_t)(end - file)) != NULL) return NULL;
  char *copy = lsm_malloc((size_t)(end - file) + 1);
  if (copy == NULL) return NULL;
  memcpy(copy, file, (size_t)(end - file));
  copy[end - file] = 0;
  bool same = format(&again, path, copy) == LSM_OK && lsm_slice_eq(lsm_buf_slice(&again), was);
  lsm_buf_fini(&again);
  lsm_free(copy);
  *end = 0;
  return same ? file : NULL;
}

static lsm_rc read_note(void *arg, const char *name) {
  search *s = arg;
  lsm_env *env = lsm_env_default();
  lsm_buf text = {0};
  if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || strlen(name) != strlen(PREFIX) + 16) return LSM_OK;
  size_t n = strlen(s->path) + strlen(name) + 2;
  char *whole = lsm_malloc(n);
  if (whole == NULL) return lsm_nomem();
  snprintf(whole, n, "%s/%s", s->path, name);
  lsm_rc rc = LSM_OK;
  if (lsm_env_read_file(env, whole, &text) == LSM_OK) {
    const char *file = parse(&text, s->path);
    if (file != NULL) rc = s->fn(s->arg, file);
  }
  lsm_buf_fini(&text);
  lsm_free(whole);
  return rc;
}

lsm_rc lsm_homes_each(const char *path, lsm_rc (*fn)(void *arg, const char *file), void *arg) {
  search s = {path, fn, arg};
  lsm_env *env = lsm_env_default();
  lsm_rc rc = env->list(env, path, read_note, &s);
  return rc == LSM_NOTFOUND || rc == LSM_CANTOPEN ? LSM_OK : rc;
}
