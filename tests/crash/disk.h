/* disk.h: what a disk holds after the calls of a log, and what it may hold
** when the power goes: of everything that was not synced, any part. */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include <stdbool.h>

#include "record.h"

typedef struct disk disk;

/* How much of the unsynced an image has. */
typedef enum disk_loss {
  DISK_KILL,  /* all: the processes died, the system did not */
  DISK_NONE,  /* nothing */
  DISK_ORDER, /* of each file and directory its first changes, the last of them torn */
  DISK_ANY    /* of each file any changes, torn or whole; directories as above */
} disk_loss;

/* Syncs that are taken as not done, to see whether the test sees that; and a
** favour to SQLite, whose rollback journal with synchronous=NORMAL is synced once
** for content and count, and believed when a part of it is missing. */
typedef enum disk_flag {
  DISK_DEAF_LOG = 1,         /* of *.wal */
  DISK_DEAF_TABLES = 2,      /* of *.sst */
  DISK_DEAF_MANIFEST = 4,    /* of *.manifest */
  DISK_DEAF_STORE_DIR = 8,   /* of directories below the top */
  DISK_JOURNAL_IN_ORDER = 16 /* writes to *-journal are not torn nor reordered */
} disk_flag;                 /* or-ed */

/* An empty disk; PATH: the directory that the log is of. */
disk *disk_new(const char *path, unsigned flags);
disk *disk_clone(const disk *d);
void disk_free(disk *d);

/* Applies an entry; its data must live as long as the disk. Marks are ignored. */
void disk_apply(disk *d, const record_entry *e);

/* Writes the image of a crash to the empty directory PATH, without the files that
** are memory. Returns whether the image lost the removal of a rollback journal
** of SQLite's (a hot journal that is not there any more while the system runs). */
bool disk_image(disk *d, disk_loss loss, uint64_t seed, const char *path);

/* After disk_image(): the disk goes on from this image, with the inodes of the
** files at PATH. What the image has is synced, but after DISK_KILL nothing changes. */
void disk_restart(disk *d, disk_loss loss, const char *path);

#endif
