/* disk_model.c: what stable storage holds, in memory.
**
** Owns     the nodes; one lives while a directory, a change of a directory or a
**          caller refers to it.
** Holds    (1) the present bytes of a file equal the durable ones before
**          dirty_from;
**          (2) a directory's seen names are its synced ones after all changes. */
#include "disk_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512 };

/*-------------------------------------------------------------- own memory */

static void *must_realloc(void *p, size_t n) {
  p = realloc(p, n == 0 ? 1 : n);
  if (p == NULL) {
    fprintf(stderr, "disk_model: out of memory\n");
    abort();
  }
  return p;
}

static void *must_calloc(size_t n) {
  return memset(must_realloc(NULL, n), 0, n);
}

static char *must_strndup(const char *s, size_t n) {
  char *copy = must_realloc(NULL, n + 1);
  memcpy(copy, s, n);
  copy[n] = '\0';
  return copy;
}

typedef struct bytes {
  uint8_t *data;
  size_t size, cap;
} bytes;

static void bytes_resize(bytes *b, size_t size) {
  if (size > b->cap) {
    b->cap = size > b->cap * 2 ? size : b->cap * 2;
    b->data = must_realloc(b->data, b->cap);
  }
  if (size > b->size) memset(b->data + b->size, 0, size - b->size);
  b->size = size;
}

static void bytes_write(bytes *b, size_t off, const void *data, size_t n) {
  if (n == 0) return;
  if (off + n > b->size) bytes_resize(b, off + n);
  memcpy(b->data + off, data, n);
}

/* A good-enough generator (splitmix64): next value from a counter. */
uint64_t disk_random(uint64_t *seed) {
  uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return z ^ z >> 31;
}

/* 0 to max, both included. */
static size_t random_upto(uint64_t *seed, size_t max) {
  return (size_t)(disk_random(seed) % ((uint64_t)max + 1));
}

/*------------------------------------------------------------------ nodes */

typedef struct name {
  char *text;
  disk_node *child;
} name;

typedef struct names {
  name *at;
  size_t count, cap;
} names;

/* A change of a directory: LINK binds text to child, replacing; UNLINK frees
** text; MOVE is both at once, from old to text, in one directory. */
typedef enum change_kind { LINK, UNLINK, MOVE } change_kind;
typedef struct change {
  change_kind kind;
  char *text, *old;
  disk_node *child;
} change;

struct disk_node {
  int refs;
  bool is_dir;
  /* files */
  bytes durable, present;
  size_t dirty_from; /* bytes before it are equal in both; SIZE_MAX: synced */
  /* directories */
  names synced, seen;
  change *changes; /* from synced to seen */
  size_t change_count, change_cap;
};

disk_node *disk_node_new(bool is_dir) {
  disk_node *n = must_calloc(sizeof *n);
  n->refs = 1;
  n->is_dir = is_dir;
  n->dirty_from = SIZE_MAX;
  return n;
}

disk_node *disk_node_ref(disk_node *n) {
  if (n != NULL) n->refs++;
  return n;
}

static void names_fini(names *list) {
  for (size_t i = 0; i < list->count; i++) {
    free(list->at[i].text);
    disk_node_unref(list->at[i].child);
  }
  free(list->at);
  memset(list, 0, sizeof *list);
}

static void changes_fini(disk_node *dir) {
  for (size_t i = 0; i < dir->change_count; i++) {
    free(dir->changes[i].text);
    free(dir->changes[i].old);
    disk_node_unref(dir->changes[i].child);
  }
  dir->change_count = 0;
}

void disk_node_unref(disk_node *n) {
  if (n == NULL || --n->refs > 0) return;
  free(n->durable.data);
  free(n->present.data);
  names_fini(&n->synced);
  names_fini(&n->seen);
  changes_fini(n);
  free(n->changes);
  free(n);
}

static name *names_find(const names *list, const char *text, size_t len) {
  for (size_t i = 0; i < list->count; i++) {
    const char *t = list->at[i].text;
    if (strncmp(t, text, len) == 0 && t[len] == '\0') return &list->at[i];
  }
  return NULL;
}

static void names_remove(names *list, const char *text) {
  name *at = names_find(list, text, strlen(text));
  if (at == NULL) return;
  free(at->text);
  disk_node_unref(at->child);
  *at = list->at[--list->count];
}

static void names_set(names *list, const char *text, disk_node *child) {
  disk_node_ref(child); /* first: it may be the old one */
  name *at = names_find(list, text, strlen(text));
  if (at != NULL) {
    disk_node_unref(at->child);
    at->child = child;
    return;
  }
  if (list->count == list->cap) {
    list->cap = list->cap == 0 ? 8 : list->cap * 2;
    list->at = must_realloc(list->at, list->cap * sizeof *list->at);
  }
  list->at[list->count].text = must_strndup(text, strlen(text));
  list->at[list->count++].child = child;
}

static void apply(names *list, const change *c) {
  if (c->kind == UNLINK) {
    names_remove(list, c->text);
    return;
  }
  names_set(list, c->text, c->child);
  if (c->kind == MOVE) names_remove(list, c->old);
}

/* Applies the change to what is seen and notes it for the next sync. */
static void dir_change(disk_node *dir, change_kind kind, const char *text, const char *old,
                       disk_node *child) {
  if (dir->change_count == dir->change_cap) {
    dir->change_cap = dir->change_cap == 0 ? 8 : dir->change_cap * 2;
    dir->changes = must_realloc(dir->changes, dir->change_cap * sizeof *dir->changes);
  }
  change *c = &dir->changes[dir->change_count++];
  c->kind = kind;
  c->text = must_strndup(text, strlen(text));
  c->old = old == NULL ? NULL : must_strndup(old, strlen(old));
  c->child = disk_node_ref(child);
  apply(&dir->seen, c);
}

void disk_sync_dir(disk_node *dir) {
  for (size_t i = 0; i < dir->change_count; i++) apply(&dir->synced, &dir->changes[i]);
  changes_fini(dir);
}

static void mark_dirty(disk_node *file, size_t from) {
  if (from < file->dirty_from) file->dirty_from = from;
}

void disk_truncate(disk_node *file, size_t size) {
  if (size == file->present.size) return;
  mark_dirty(file, size < file->present.size ? size : file->present.size);
  bytes_resize(&file->present, size);
}

/* Costs as much as was written since the last sync, not the whole file. */
void disk_sync_file(disk_node *file) {
  size_t from = file->dirty_from;
  if (from == SIZE_MAX) return;
  if (from > file->present.size) from = file->present.size;
  bytes_resize(&file->durable, from);
  bytes_write(&file->durable, from, file->present.data + from, file->present.size - from);
  file->dirty_from = SIZE_MAX;
}

void disk_write(disk_node *file, size_t off, const void *data, size_t n) {
  if (n == 0) return;
  size_t end = file->present.size; /* a gap before off becomes zeros */
  mark_dirty(file, off < end ? off : end);
  bytes_write(&file->present, off, data, n);
}

const uint8_t *disk_content(const disk_node *file, size_t *size) {
  *size = file->present.size;
  return file->present.data;
}

bool disk_is_dir(const disk_node *n) {
  return n->is_dir;
}

/*------------------------------------------------------------ directories */

disk_node *disk_lookup(const disk_node *dir, const char *text, size_t len) {
  const name *at = names_find(&dir->seen, text, len);
  return at == NULL ? NULL : at->child;
}

bool disk_child(const disk_node *dir, size_t i, const char **text, disk_node **child) {
  if (i >= dir->seen.count) return false;
  *text = dir->seen.at[i].text;
  *child = dir->seen.at[i].child;
  return true;
}

void disk_link(disk_node *dir, const char *text, disk_node *child) {
  dir_change(dir, LINK, text, NULL, child);
}

void disk_unlink(disk_node *dir, const char *text) {
  if (names_find(&dir->seen, text, strlen(text)) == NULL) return;
  dir_change(dir, UNLINK, text, NULL, NULL);
}

void disk_move(disk_node *dir, const char *old, const char *text) {
  disk_node *child = disk_lookup(dir, old, strlen(old));
  if (child == NULL || strcmp(old, text) == 0) return;
  dir_change(dir, MOVE, text, old, child);
}

void disk_link_durable(disk_node *dir, const char *text, disk_node *child) {
  names_set(&dir->seen, text, child);
  names_set(&dir->synced, text, child);
}

/* The length of the next component of *path; 0 at the end. */
static size_t next_component(const char **path) {
  while (**path == '/') (*path)++;
  return strcspn(*path, "/");
}

static disk_node *find_or_make_dir(disk_node *dir, const char *path, size_t n) {
  disk_node *child = disk_lookup(dir, path, n);
  if (child != NULL && child->is_dir) return child;
  char *text = must_strndup(path, n);
  child = disk_node_new(true);
  disk_link_durable(dir, text, child);
  disk_node_unref(child); /* the directory has it */
  free(text);
  return child;
}

disk_node *disk_find_dir(disk_node *root, const char *path, char **last) {
  disk_node *dir = root;
  size_t n = next_component(&path);
  *last = NULL;
  while (n > 0) {
    const char *rest = path + n;
    size_t rest_n = next_component(&rest);
    bool dot = n == 1 && path[0] == '.';
    if (rest_n == 0) {
      if (!dot) *last = must_strndup(path, n);
      return dir;
    }
    if (!dot) dir = find_or_make_dir(dir, path, n);
    path = rest;
    n = rest_n;
  }
  return dir;
}

disk_node *disk_find(disk_node *root, const char *path) {
  char *last;
  disk_node *dir = disk_find_dir(root, path, &last);
  if (last == NULL) return dir;
  disk_node *found = disk_lookup(dir, last, strlen(last));
  free(last);
  return found;
}

/*------------------------------------------------------------------ crash */

/* A size between the two, the ends more often than the rest. */
static size_t torn_size(uint64_t *seed, size_t durable, size_t present) {
  size_t lo = durable < present ? durable : present;
  size_t hi = durable < present ? present : durable;
  switch (random_upto(seed, 3)) {
    case 0:
      return durable;
    case 1:
      return present;
    default:
      return durable > present ? durable : lo + random_upto(seed, hi - lo);
  }
}

/* What a crash leaves of the file, owned by the caller. */
static bytes surviving_content(const disk_node *file, disk_mode mode, uint64_t *seed) {
  const bytes *now = &file->present, *old = &file->durable;
  bytes out = {NULL, 0, 0};
  bool synced = file->dirty_from == SIZE_MAX;
  if (mode == DISK_KEEP || synced) {
    bytes_write(&out, 0, now->data, now->size);
    return out;
  }
  if (mode == DISK_DROP) {
    bytes_write(&out, 0, old->data, old->size);
    return out;
  }
  bytes_resize(&out, torn_size(seed, old->size, now->size));
  bool in_order = (disk_random(seed) & 1) != 0; /* no sector was overtaken */
  for (size_t at = 0; at < out.size; at += SECTOR) {
    size_t end = at + SECTOR < out.size ? at + SECTOR : out.size;
    /* First the durable version, zeros beyond its end; then maybe the new. */
    if (at < old->size) {
      memcpy(out.data + at, old->data + at, (end < old->size ? end : old->size) - at);
    }
    bool is_new = in_order || (disk_random(seed) & 7) != 0;
    if ((is_new || end <= file->dirty_from) && at < now->size) {
      memcpy(out.data + at, now->data + at, (end < now->size ? end : now->size) - at);
    }
  }
  return out;
}

/* What a crash leaves of the directory's names, owned by the caller. */
static names surviving_names(const disk_node *dir, disk_mode mode, uint64_t *seed) {
  names out = {NULL, 0, 0};
  size_t kept = 0;
  for (size_t i = 0; i < dir->synced.count; i++) {
    names_set(&out, dir->synced.at[i].text, dir->synced.at[i].child);
  }
  if (mode == DISK_KEEP) kept = dir->change_count;
  if (mode == DISK_TEAR) kept = random_upto(seed, dir->change_count);
  for (size_t i = 0; i < kept; i++) apply(&out, &dir->changes[i]);
  return out;
}

disk_node *disk_crash(const disk_node *dir, disk_mode mode, uint64_t *seed) {
  disk_node *image = disk_node_new(true);
  names list = surviving_names(dir, mode, seed);
  for (size_t i = 0; i < list.count; i++) {
    const disk_node *from = list.at[i].child;
    disk_node *copy;
    if (from->is_dir) {
      copy = disk_crash(from, mode, seed);
    } else {
      copy = disk_node_new(false);
      copy->present = surviving_content(from, mode, seed);
      bytes_write(&copy->durable, 0, copy->present.data, copy->present.size);
    }
    disk_link_durable(image, list.at[i].text, copy);
    disk_node_unref(copy);
  }
  names_fini(&list);
  return image;
}
