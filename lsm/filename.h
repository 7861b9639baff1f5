/* filename.h: the names in a store's directory.
**
**   LOCK            byte-range locks between processes; empty
**   SHM             what the processes share (share.h); without meaning at rest
**   CURRENT         name of the manifest in force, with a checksum
**   NNNNNN.manifest edit log
**   NNNNNN.wal      write-ahead log
**   NNNNNN.sst      table
**   NNNNNN.tmp      being made; removed on open
** NNNNNN is decimal, at least six digits; numbers are never used twice. */
#ifndef LSM_FILENAME_H
#define LSM_FILENAME_H

#include "base.h"

typedef enum lsm_filetype {
  LSM_FILE_LOCK,
  LSM_FILE_SHM,
  LSM_FILE_CURRENT,
  LSM_FILE_MANIFEST,
  LSM_FILE_WAL,
  LSM_FILE_SST,
  LSM_FILE_TMP,
  LSM_FILE_OTHER /* not ours: left alone */
} lsm_filetype;

/* DIR/name into *out, zero-terminated (size does not count the zero). */
lsm_rc lsm_filename(lsm_buf *out, const char *dir, lsm_filetype type, uint64_t number);
/* Heap copy of the same, lsm_free() it; NULL: LSM_NOMEM. */
char *lsm_filename_new(const char *dir, lsm_filetype type, uint64_t number);
lsm_filetype lsm_filename_parse(const char *name, uint64_t *number);

#endif
