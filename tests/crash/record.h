/* record.h: the log of what a process did to its files, as record.so writes it
** and powercut reads it.
**
** One file, mapped by all processes of a test: the head, then entries, each at a
** multiple of 8: the entry, `size` bytes of data, `path_size` bytes of path (with
** its final zero; of a rename both, one after the other). Paths are relative to
** the test's directory. Files are told apart by inode.
*/
#ifndef TESTS_CRASH_RECORD_H
#define TESTS_CRASH_RECORD_H

#include <pthread.h>
#include <stdint.h>

/* The environment variables that record.so looks at. */
#define RECORD_LOG  "RECORD_LOG"  /* path of the log; unset: record nothing */
#define RECORD_DIR  "RECORD_DIR"  /* whose files are recorded; a real path */
#define RECORD_KILL "RECORD_KILL" /* n: die instead of the nth call, record nothing */

typedef struct record_head {
  pthread_mutex_t mu; /* robust, of all processes: the order of entries is that of the calls */
  uint64_t size;      /* bytes used, this head among them */
  uint64_t limit;
  uint64_t calls; /* of the process that RECORD_KILL chose */
} record_head;

enum record_type {
  RECORD_CREATE,   /* a file: path, ino */
  RECORD_MKDIR,    /* path, ino */
  RECORD_WRITE,    /* ino, offset, data */
  RECORD_TRUNCATE, /* ino, offset: the new size */
  RECORD_EXTEND,   /* ino, offset: the size it has at least, zeros where it was shorter */
  RECORD_SYNC,     /* ino, of a file or a directory */
  RECORD_RENAME,   /* two paths */
  RECORD_UNLINK,   /* path */
  RECORD_RMDIR,    /* path */
  RECORD_MARK      /* the workload says: ino what, offset a number */
};

typedef struct record_entry {
  uint32_t type;
  uint32_t path_size;
  uint64_t ino;
  uint64_t offset;
  uint64_t size;
} record_entry;

/* For the workload: notes a mark, if the process is recorded. */
typedef void record_mark_fn(uint64_t what, uint64_t number);
record_mark_fn record_mark;

#endif
