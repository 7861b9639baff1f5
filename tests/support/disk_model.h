/* disk_model.h: what stable storage holds, in memory; the base of env_fault.
**
** A tree of nodes. A file has its present bytes and the durable ones of its
** last sync; a directory has its present names, and the durable ones with the
** changes since. disk_crash() makes the tree that a crash would leave.
** Memory: its own, from malloc(); it aborts when there is none.
** Threads: none of its own; the caller locks. */
#ifndef DISK_MODEL_H
#define DISK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum disk_mode {
  DISK_KEEP, /* the process was killed: everything written is there */
  DISK_DROP, /* power loss at its worst: nothing that was not synced */
  DISK_TEAR  /* power loss by chance, see disk_crash() */
} disk_mode;

typedef struct disk_node disk_node; /* a file or a directory; counted */

disk_node *disk_node_new(bool is_dir);
disk_node *disk_node_ref(disk_node *n); /* accepts NULL */
void disk_node_unref(disk_node *n);     /* accepts NULL */
bool disk_is_dir(const disk_node *n);

/*------------------------------------------------------------------ files */

void disk_write(disk_node *file, size_t off, const void *data, size_t n);
void disk_truncate(disk_node *file, size_t size);
void disk_sync_file(disk_node *file);
/* The present bytes; borrowed until the next change. */
const uint8_t *disk_content(const disk_node *file, size_t *size);

/*------------------------------------------------------------ directories */

/* The child of that name (LEN bytes), borrowed, or NULL. */
disk_node *disk_lookup(const disk_node *dir, const char *text, size_t len);
/* The i-th child and its name, in no order; false: there are not so many. */
bool disk_child(const disk_node *dir, size_t i, const char **text, disk_node **child);

void disk_link(disk_node *dir, const char *text, disk_node *child); /* replaces */
void disk_unlink(disk_node *dir, const char *text);
void disk_move(disk_node *dir, const char *old, const char *text); /* one atomic change */
/* A child that is already durable: it was there before the model was. */
void disk_link_durable(disk_node *dir, const char *text, disk_node *child);
void disk_sync_dir(disk_node *dir);

/* The directory of PATH below ROOT, borrowed, and a heap copy of the last
** component (NULL: PATH is ROOT itself). Directories on the way that are
** missing are made durable. */
disk_node *disk_find_dir(disk_node *root, const char *path, char **last);
disk_node *disk_find(disk_node *root, const char *path); /* borrowed, or NULL */

/*------------------------------------------------------------------ crash */

/* A new tree, all durable, with what a crash leaves of the one below DIR. With
** DISK_TEAR chance decides, moving *seed:
**   - of the changes in a directory since its sync a prefix survives;
**   - an unsynced file has any size between the durable and the present one;
**   - of every other such file each sector of 512 bytes has its present content
**     or, now and then, its durable one: zeros where it was never durable. */
disk_node *disk_crash(const disk_node *dir, disk_mode mode, uint64_t *seed);

/* The next number of a repeatable series. */
uint64_t disk_random(uint64_t *seed);

#endif
