/* disk.c: files, directories, and what has not been synced of them.
**
** The model is meaner than file systems are. A file keeps its changes in a list
** until it is synced itself; the sync of a directory syncs no file, nor the other
** way round. Changes that were not synced may be there in any combination, and of
** a write any sectors of 512 bytes; a sector is as it once was as a whole. Changes of one directory
*come in order, since
** file systems that lose their order lose more than a test can ask for.
**
** Owns   names, files, lists; the data of writes is the log's.
*/
#define _GNU_SOURCE
#include "disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../bench/sqlutil.h"

enum { SECTOR = 512, PATH_SIZE = 256 };

typedef struct bytes {
  uint8_t *p;
  size_t n, cap;
} bytes;

typedef struct change {
  enum record_type type; /* WRITE; TRUNCATE to, EXTEND up to offset */
  uint64_t offset, size;
  const uint8_t *data;
} change;

typedef struct file {
  uint64_t ino;
  int refs;
  bool is_dir;
  bool placed; /* in the image, as made last */
  bytes synced;
  change *changes;
  size_t nchanges, cap;
  bytes image; /* as made last */
} file;

typedef struct name {
  char path[PATH_SIZE];
  file *f;
} name;

typedef struct names {
  name *v;
  size_t n, cap;
} names;

/* A change of a directory: f gets the name to, and no one has the name from. */
typedef struct step {
  char from[PATH_SIZE], to[PATH_SIZE]; /* "": none */
  file *f;
} dir_step;

struct disk {
  unsigned flags;
  uint64_t top; /* inode of the directory itself */
  names now, synced, image;
  dir_step *steps; /* not synced, in order, of all directories */
  size_t nsteps, cap;
};

/*----------------------------------------------------------------- memory */

static void *grow(void *p, size_t n, size_t *cap, size_t each) {
  if (n < *cap) return p;
  *cap = n + n / 2 + 16;
  p = realloc(p, *cap * each);
  if (p == NULL) die("out of memory");
  return p;
}

static void resize(bytes *b, size_t n) {
  b->p = grow(b->p, n, &b->cap, 1);
  if (n > b->n) memset(b->p + b->n, 0, n - b->n);
  b->n = n;
}

static void assign(bytes *b, const bytes *from) {
  resize(b, from->n);
  if (from->n > 0) memcpy(b->p, from->p, from->n);
}

static file *new_file(uint64_t ino, bool is_dir) {
  file *f = calloc(1, sizeof *f);
  if (f == NULL) die("out of memory");
  f->ino = ino;
  f->is_dir = is_dir;
  return f;
}

static void unref(file *f) {
  if (f == NULL || --f->refs > 0) return;
  free(f->synced.p);
  free(f->image.p);
  free(f->changes);
  free(f);
}

/*------------------------------------------------------------------ names */

static name *find(names *s, const char *path) {
  for (size_t i = 0; i < s->n; i++) {
    if (strcmp(s->v[i].path, path) == 0) return &s->v[i];
  }
  return NULL;
}

static void forget(names *s, const char *path) {
  name *at = find(s, path);
  if (at == NULL) return;
  unref(at->f);
  *at = s->v[--s->n];
}

static void set(names *s, const char *path, file *f) {
  f->refs++;
  forget(s, path);
  s->v = grow(s->v, s->n, &s->cap, sizeof *s->v);
  snprintf(s->v[s->n].path, PATH_SIZE, "%s", path);
  s->v[s->n++].f = f;
}

static void clear(names *s) {
  for (size_t i = 0; i < s->n; i++) unref(s->v[i].f);
  s->n = 0;
}

static void take_step(names *s, const dir_step *t) {
  if (t->to[0] != 0) set(s, t->to, t->f);
  if (t->from[0] != 0) forget(s, t->from);
}

/* The directory of a path, "" for the top. */
static void parent(const char *path, char dir[PATH_SIZE]) {
  const char *slash = strrchr(path, '/');
  snprintf(dir, PATH_SIZE, "%.*s", slash != NULL ? (int)(slash - path) : 0, path);
}

static void step_dir(const dir_step *t, char dir[PATH_SIZE]) {
  parent(t->to[0] != 0 ? t->to : t->from, dir);
}

static bool ends(const char *path, const char *with) {
  size_t n = strlen(path), m = strlen(with);
  return n >= m && strcmp(path + n - m, with) == 0;
}

/* Mapped memory: what the processes made of it goes with them. */
static bool is_memory(const char *path) {
  return ends(path, "-shm") || ends(path, "/SHM");
}

/*------------------------------------------------------------------- disk */

static uint64_t inode_of(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0) die("cannot stat %s", path);
  return st.st_ino;
}

static disk *new_disk(uint64_t top, unsigned flags) {
  disk *d = calloc(1, sizeof *d);
  if (d == NULL) die("out of memory");
  d->top = top;
  d->flags = flags;
  return d;
}

disk *disk_new(const char *path, unsigned flags) {
  return new_disk(inode_of(path), flags);
}

static void drop_step(disk *d, size_t i) {
  unref(d->steps[i].f);
  memmove(&d->steps[i], &d->steps[i + 1], (d->nsteps - i - 1) * sizeof *d->steps);
  d->nsteps--;
}

void disk_free(disk *d) {
  clear(&d->now);
  clear(&d->synced);
  clear(&d->image);
  while (d->nsteps > 0) drop_step(d, d->nsteps - 1);
  free(d->now.v);
  free(d->synced.v);
  free(d->image.v);
  free(d->steps);
  free(d);
}

static void add_step(disk *d, const char *from, const char *to, file *f) {
  dir_step t = {.f = f};
  snprintf(t.from, PATH_SIZE, "%s", from != NULL ? from : "");
  snprintf(t.to, PATH_SIZE, "%s", to != NULL ? to : "");
  if (f != NULL) f->refs++;
  d->steps = grow(d->steps, d->nsteps, &d->cap, sizeof *d->steps);
  d->steps[d->nsteps++] = t;
  take_step(&d->now, &t);
}

static file *clone_file(const file *f) {
  file *c = new_file(f->ino, f->is_dir);
  assign(&c->synced, &f->synced);
  for (size_t i = 0; i < f->nchanges; i++) {
    c->changes = grow(c->changes, c->nchanges, &c->cap, sizeof *c->changes);
    c->changes[c->nchanges++] = f->changes[i];
  }
  return c;
}

/* The clone of f, made once: pairs holds (old, new). */
static file *clone_of(names *pairs, file *f) {
  char key[PATH_SIZE];
  snprintf(key, sizeof key, "%p", (void *)f);
  name *at = find(pairs, key);
  if (at != NULL) return at->f;
  file *c = clone_file(f);
  set(pairs, key, c);
  return c;
}

disk *disk_clone(const disk *d) {
  disk *c = new_disk(d->top, d->flags);
  names pairs = {0};
  for (size_t i = 0; i < d->now.n; i++) {
    set(&c->now, d->now.v[i].path, clone_of(&pairs, d->now.v[i].f));
  }
  for (size_t i = 0; i < d->synced.n; i++) {
    set(&c->synced, d->synced.v[i].path, clone_of(&pairs, d->synced.v[i].f));
  }
  for (size_t i = 0; i < d->nsteps; i++) {
    dir_step t = d->steps[i];
    t.f = t.f != NULL ? clone_of(&pairs, t.f) : NULL;
    if (t.f != NULL) t.f->refs++;
    c->steps = grow(c->steps, c->nsteps, &c->cap, sizeof *c->steps);
    c->steps[c->nsteps++] = t;
  }
  clear(&pairs);
  free(pairs.v);
  return c;
}

/*---------------------------------------------------------------- entries */

/* An open file may have lost its name: its changes matter no more, unless the
** loss of the name is lost. */
static file *by_inode(disk *d, uint64_t ino, const char **path) {
  for (size_t i = 0; i < d->now.n; i++) {
    if (d->now.v[i].f->ino == ino) {
      *path = d->now.v[i].path;
      return d->now.v[i].f;
    }
  }
  for (size_t i = 0; i < d->synced.n; i++) {
    if (d->synced.v[i].f->ino == ino) {
      *path = d->synced.v[i].path;
      return d->synced.v[i].f;
    }
  }
  return NULL;
}

static void make_change(bytes *b, const change *c) {
  if (c->type == RECORD_TRUNCATE) {
    resize(b, c->offset);
  } else if (c->type == RECORD_EXTEND) {
    if (b->n < c->offset) resize(b, c->offset);
  } else {
    if (b->n < c->offset + c->size) resize(b, c->offset + c->size);
    memcpy(b->p + c->offset, c->data, c->size);
  }
}

static void sync_dir(disk *d, const char *path) {
  char dir[PATH_SIZE];
  for (size_t i = 0; i < d->nsteps;) {
    step_dir(&d->steps[i], dir);
    if (strcmp(dir, path) == 0) {
      take_step(&d->synced, &d->steps[i]);
      drop_step(d, i);
    } else {
      i++;
    }
  }
}

static void sync_file(disk *d, uint64_t ino) {
  const char *path = "";
  file *f = ino != d->top ? by_inode(d, ino, &path) : NULL;
  if (ino == d->top || (f != NULL && f->is_dir)) {
    if (f == NULL || (d->flags & DISK_DEAF_STORE_DIR) == 0) sync_dir(d, path);
    return;
  }
  if (f == NULL) return;
  if ((d->flags & DISK_DEAF_LOG) != 0 && ends(path, ".wal")) return;
  if ((d->flags & DISK_DEAF_TABLES) != 0 && ends(path, ".sst")) return;
  if ((d->flags & DISK_DEAF_MANIFEST) != 0 && ends(path, ".manifest")) return;
  for (size_t i = 0; i < f->nchanges; i++) make_change(&f->synced, &f->changes[i]);
  f->nchanges = 0;
}

void disk_apply(disk *d, const record_entry *e) {
  const uint8_t *data = (const uint8_t *)(e + 1);
  const char *path = (const char *)data + e->size, *none = NULL;
  file *f = NULL;
  switch ((enum record_type)e->type) {
    case RECORD_CREATE:
    case RECORD_MKDIR:
      add_step(d, NULL, path, new_file(e->ino, e->type == RECORD_MKDIR));
      break;
    case RECORD_WRITE:
    case RECORD_TRUNCATE:
    case RECORD_EXTEND:
      f = by_inode(d, e->ino, &none);
      if (f == NULL || is_memory(none)) break;
      f->changes = grow(f->changes, f->nchanges, &f->cap, sizeof *f->changes);
      f->changes[f->nchanges++] = (change){(enum record_type)e->type, e->offset, e->size, data};
      break;
    case RECORD_SYNC:
      sync_file(d, e->ino);
      break;
    case RECORD_RENAME:
      f = find(&d->now, path)->f;
      add_step(d, path, path + strlen(path) + 1, f);
      break;
    case RECORD_UNLINK:
    case RECORD_RMDIR:
      add_step(d, path, NULL, NULL);
      break;
    case RECORD_MARK:
      break;
  }
}

/*----------------------------------------------------------------- images */

static uint64_t draw(uint64_t *seed, uint64_t below) {
  *seed = mix(*seed);
  return *seed % below;
}

/* The sector at AT reached the disk as it is in `real`, zero behind the end. */
static void put_sector(bytes *image, const bytes *real, size_t at) {
  size_t end = at + SECTOR < real->n ? at + SECTOR : real->n;
  size_t old_end = at + SECTOR < image->n ? at + SECTOR : image->n;
  if (image->n < end) resize(image, end);
  memcpy(image->p + at, real->p + at, end - at);
  if (old_end > end) memset(image->p + end, 0, old_end - end);
}

/* A change is made in REAL, and in IMAGE as far as it got: the sectors it touches,
** all or a random part. What the file has grown by may be there without them. */
static void let_through(bytes *image, bytes *real, const change *c, bool whole, uint64_t *seed) {
  make_change(real, c);
  if (c->type != RECORD_WRITE) {
    if (whole) make_change(image, c);
    return;
  }
  size_t end = c->offset + c->size;
  if ((whole || draw(seed, 2) == 0) && image->n < end) resize(image, end);
  for (size_t at = c->offset / SECTOR * SECTOR; at < end; at += SECTOR) {
    if (whole || draw(seed, 2) == 0) put_sector(image, real, at);
  }
}

static void make_content(file *f, disk_loss loss, uint64_t *seed) {
  size_t n = f->nchanges;
  uint64_t kind = loss == DISK_ANY && n > 0 ? draw(seed, 4) : 0;
  bytes real = {0};
  assign(&f->image, &f->synced);
  if (loss == DISK_NONE || n == 0 || (loss == DISK_ANY && kind == 1)) return;
  assign(&real, &f->synced);
  if (loss == DISK_ORDER) n = draw(seed, n + 1);
  for (size_t i = 0; i < n; i++) {
    uint64_t what = loss == DISK_ANY && kind >= 2 ? draw(seed, 4) : 0; /* 0, 1: whole */
    if (what < 3)
      let_through(&f->image, &real, &f->changes[i], what <= 1, seed);
    else
      make_change(&real, &f->changes[i]);
  }
  if (loss == DISK_ORDER && n < f->nchanges) {
    let_through(&f->image, &real, &f->changes[n], false, seed);
  }
  free(real.p);
}

/* Names of the image: of each directory's steps the first few. */
static void make_names(disk *d, disk_loss loss, uint64_t *seed) {
  uint64_t salt = draw(seed, UINT32_MAX);
  char dir[PATH_SIZE];
  clear(&d->image);
  for (size_t i = 0; i < d->synced.n; i++) set(&d->image, d->synced.v[i].path, d->synced.v[i].f);
  if (loss == DISK_NONE) return;
  for (size_t i = 0; i < d->nsteps; i++) {
    uint64_t hash = salt, of_dir = 0, before = 0;
    step_dir(&d->steps[i], dir);
    for (const char *c = dir; *c != 0; c++) hash = mix(hash + (uint8_t)*c);
    for (size_t j = 0; j < d->nsteps; j++) {
      char other[PATH_SIZE];
      step_dir(&d->steps[j], other);
      if (strcmp(dir, other) != 0) continue;
      of_dir++;
      before += j < i;
    }
    if (loss == DISK_KILL || before < mix(hash) % (of_dir + 1)) {
      take_step(&d->image, &d->steps[i]);
    }
  }
}

static bool has_parents(disk *d, const char *path) {
  char dir[PATH_SIZE];
  parent(path, dir);
  return dir[0] == 0 || (find(&d->image, dir) != NULL && has_parents(d, dir));
}

static void write_file(const char *path, const bytes *b) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || (b->n > 0 && write(fd, b->p, b->n) != (ssize_t)b->n)) die("cannot write %s", path);
  close(fd);
}

static void write_image(disk *d, const char *path) {
  char full[2 * PATH_SIZE + 512];
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < d->image.n; i++) {
      name *m = &d->image.v[i];
      m->f->placed = !is_memory(m->path) && has_parents(d, m->path);
      snprintf(full, sizeof full, "%s/%s", path, m->path);
      if (!m->f->placed || m->f->is_dir != (pass == 0)) continue;
      if (!m->f->is_dir)
        write_file(full, &m->f->image);
      else if (mkdir(full, 0755) != 0)
        die("cannot make %s", full);
    }
  }
}

bool disk_image(disk *d, disk_loss loss, uint64_t seed, const char *path) {
  bool undone = false;
  make_names(d, loss, &seed);
  for (size_t i = 0; i < d->image.n; i++) {
    name *m = &d->image.v[i];
    bool ordered = (d->flags & DISK_JOURNAL_IN_ORDER) != 0 && ends(m->path, "-journal");
    make_content(m->f, ordered && loss == DISK_ANY ? DISK_ORDER : loss, &seed);
    const name *now = find(&d->now, m->path);
    if (ends(m->path, "-journal") && (now == NULL || now->f != m->f)) undone = true;
  }
  write_image(d, path);
  return undone;
}

void disk_restart(disk *d, disk_loss loss, const char *path) {
  char full[2 * PATH_SIZE + 512];
  d->top = inode_of(path);
  for (size_t i = 0; i < d->image.n; i++) {
    name *m = &d->image.v[i];
    snprintf(full, sizeof full, "%s/%s", path, m->path);
    if (!m->f->placed) continue;
    m->f->ino = inode_of(full);
    if (loss == DISK_KILL) continue;
    assign(&m->f->synced, &m->f->image);
    m->f->nchanges = 0;
  }
  if (loss == DISK_KILL) {
    clear(&d->image);
    return;
  }
  while (d->nsteps > 0) drop_step(d, d->nsteps - 1);
  clear(&d->now);
  clear(&d->synced);
  for (size_t i = 0; i < d->image.n; i++) {
    name *m = &d->image.v[i];
    if (!m->f->placed) continue;
    set(&d->now, m->path, m->f);
    set(&d->synced, m->path, m->f);
  }
  clear(&d->image);
}
