/* wal.h: the write-ahead log, one file a memtable. FORMAT.md has the bytes.
**
** A file begins with a header (magic, format version, store id, own number, and
** what the log before it ended with); records follow, 8-aligned, each with a
** checksum of its header and one of its payload, both seeded with the file's
** salt, so that bytes of another file never pass.
**
** Recovery tells a torn tail from damage. A record that does not check ends
** the replay if nothing valid follows it, or if what follows may have reached
** the disk before it did (no later record claims that it had been synced, and
** the bad part shows a hole: a zeroed sector or the end of the file).
** Else it is LSM_CORRUPT with file and offset. */
#ifndef LSM_WAL_H
#define LSM_WAL_H

#include "env.h"

typedef enum lsm_wal_type {
  LSM_WAL_BATCH = 1,   /* payload: a batch; commits by itself */
  LSM_WAL_PREPARE = 2, /* payload: host, batch; decided by the next record, or the host */
  LSM_WAL_COMMIT = 3,  /* no payload: the PREPARE before it happened */
  LSM_WAL_ABORT = 4,   /* no payload: the BATCH, FILES or PREPARE before it did not */
  LSM_WAL_CLOSE = 5,   /* no payload: closed in order; all before it was synced */
  LSM_WAL_FILES = 6,   /* payload: an edit that adds synced files; commits by itself */
  LSM_WAL_PREPARE_FILES = 7 /* payload: host, edit; decided like a PREPARE */
} lsm_wal_type;

/* What the header says of the log before this one: recovery must find it
** complete up to end, or drop this file (its commits were never synced). */
typedef struct lsm_wal_prev {
  uint64_t number; /* 0: none */
  uint64_t end;    /* offset behind its last record */
} lsm_wal_prev;

/*----------------------------------------------------------------- writer */

typedef struct lsm_wal lsm_wal;

/* Creates the file at PATH and writes its header. Not synced; sync of file
** and directory are lsm_wal_sync()'s. salt: random. */
lsm_rc lsm_wal_create(lsm_env *env, const char *path, const uint8_t *store_id, uint64_t number,
                      uint32_t salt, lsm_wal_prev prev, lsm_wal **wal);

/* Goes on after replay: truncates the file to END if there is a torn tail, keeps
** room that there is, and appends. LSM_CORRUPT: it is shorter than END. LSM_MISUSE: END lies in
** the header. */
lsm_rc lsm_wal_reopen(lsm_env *env, const char *path, uint64_t number, uint32_t salt,
                      uint64_t end, lsm_wal **wal);

/* Appends one record in one write; the payload is the parts one after another.
** On failure the file is cut back to where it was; if even that fails the log
** is broken (lsm_wal_is_broken) and takes nothing more. */
lsm_rc lsm_wal_append(lsm_wal *wal, lsm_wal_type type, uint64_t txid, const lsm_slice *parts,
                      int n);

/* Another process has written to the file: the log ends at END now. What of it is
** durable is not known, but for what this one has synced. */
void lsm_wal_seek(lsm_wal *wal, uint64_t end);

/* Takes the last record back (a commit that failed in its sync). When the file
** can't be cut the log is broken, but it ends before the record even so. */
lsm_rc lsm_wal_undo(lsm_wal *wal);

/* Before a sync that a commit waits for: has room for commits to come, so that
** their syncs need not make a new size of the file durable. Up to offset MOST; what
** is not used is zeros behind the last record, until lsm_wal_trim(). */
void lsm_wal_reserve(lsm_wal *wal, uint64_t most);
/* Gives that back. REQUIRES: nobody else has appended since. */
void lsm_wal_trim(lsm_wal *wal);

/* Makes all of it durable, the first time its directory entry too. After a
** failed sync nothing is known of the file: it is broken. */
lsm_rc lsm_wal_sync(lsm_wal *wal);

/* Makes a shortening durable, if there was one: others may write next, who do
** not know of it. */
lsm_rc lsm_wal_sync_cut(lsm_wal *wal);

/* Another process found the file to be broken. */
void lsm_wal_break(lsm_wal *wal);
bool lsm_wal_is_broken(const lsm_wal *wal);
uint64_t lsm_wal_number(const lsm_wal *wal);
uint64_t lsm_wal_end(const lsm_wal *wal);    /* offset behind the last record */
uint64_t lsm_wal_synced(const lsm_wal *wal); /* what of it is known durable */
void lsm_wal_close(lsm_wal *wal); /* no sync; accepts NULL */

/*----------------------------------------------------------------- reader */

typedef struct lsm_wal_record {
  lsm_wal_type type;
  uint64_t txid;
  uint64_t off;      /* of the record */
  lsm_slice payload; /* until the callback returns */
} lsm_wal_record;

typedef struct lsm_wal_info {
  uint64_t number;
  uint32_t salt;
  lsm_wal_prev prev;
  uint64_t end;      /* behind the last good record */
  bool torn;         /* there was something behind it, if only room */
  bool empty;        /* not even the header reached the disk: as if missing */
  bool clean;        /* the last record is CLOSE */
} lsm_wal_info;

/* Reads the file and calls fn for each record up to the tail, or up to offset
** LIMIT if that is not 0 (then a bad record before it is never "torn": *info
** has the end that was found and fn saw what was good). fn's error ends it.
** LSM_CORRUPT: damage before the tail. */
lsm_rc lsm_wal_replay(lsm_env *env, const char *path, const uint8_t *store_id, uint64_t number,
                      uint64_t limit, lsm_rc (*fn)(void *arg, const lsm_wal_record *rec),
                      void *arg, lsm_wal_info *info);

/* The same from offset FROM on, where a record begins (0: the first one). */
lsm_rc lsm_wal_replay_from(lsm_env *env, const char *path, const uint8_t *store_id,
                           uint64_t number, uint64_t from, uint64_t limit,
                           lsm_rc (*fn)(void *arg, const lsm_wal_record *rec), void *arg,
                           lsm_wal_info *info);

/* A log that another process writes, kept open to read on from where one stands. */
typedef struct lsm_wal_follower lsm_wal_follower;

/* Opens it and checks its header; *info is as of a replay that ends there. A log
** that is empty cannot be followed: *f NULL. */
lsm_rc lsm_wal_follow(lsm_env *env, const char *path, const uint8_t *store_id, uint64_t number,
                      lsm_wal_follower **f, lsm_wal_info *info);

/* Calls fn for the records from FROM (0: the first one) up to TO, which must be in the
** file and final: one read call, if they are few. */
lsm_rc lsm_wal_read_on(lsm_wal_follower *f, uint64_t from, uint64_t to,
                       lsm_rc (*fn)(void *arg, const lsm_wal_record *rec), void *arg,
                       lsm_wal_info *info);
uint64_t lsm_wal_followed(const lsm_wal_follower *f); /* its number */
const char *lsm_wal_followed_path(const lsm_wal_follower *f);
void lsm_wal_unfollow(lsm_wal_follower *f); /* accepts NULL */

#endif
