/* lsm.h: the public interface of the store.
**
** An lsm_db is a log-structured merge store in one directory: a write-ahead
** log, an active and an immutable memtable, SSTables in levels or size tiers,
** a manifest. It holds any number of keyspaces; each is an ordered map from
** byte strings to byte strings, in memcmp order. This header is all a program
** needs; nothing in lsm/ knows of SQLite.
**
** Results   Functions that can fail return an lsm_rc. lsm_errmsg() then gives
**           a sentence for people, naming the file and offset where one is
**           at fault; it belongs to the calling thread.
** Threads   An lsm_db and its snapshots may be used by any number of threads
**           at once. A transaction or a cursor is used by one at a time.
** Bytes     An lsm_slice borrows. Each function says until when what it
**           returns may be read; what is passed in is copied when kept.
*/
#ifndef LSM_LSM_H
#define LSM_LSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LSM_VERSION "0.1.0"

/* Every result a function of this library can have. */
typedef enum lsm_rc {
  LSM_OK = 0,
  LSM_NOTFOUND,  /* no such key, keyspace or file */
  LSM_BUSY,      /* another writer, or another process, holds the lock */
  LSM_NOMEM,     /* out of memory */
  LSM_IOERR,     /* the system refused a read, write or sync */
  LSM_FULL,      /* no space left */
  LSM_CORRUPT,   /* bytes that do not check: the message names the file */
  LSM_CANTOPEN,  /* missing, foreign or unreadable store */
  LSM_READONLY,  /* a write to a store opened read-only */
  LSM_INTERRUPT, /* the caller's interrupt function said stop */
  LSM_MISUSE,    /* a call the interface forbids */
  LSM_STALE      /* the state that was read, or is asked for, is gone */
} lsm_rc;

/* Bytes borrowed from somewhere; not terminated. */
typedef struct lsm_slice {
  const uint8_t *data;
  size_t size;
} lsm_slice;

/* Name of a result code, for instance "LSM_CORRUPT". Static. */
const char *lsm_rc_name(lsm_rc rc);

/* What went wrong in the last call of this thread that failed. Never NULL;
** valid until this thread's next call into the library. That there is no such key is no
** failure: LSM_NOTFOUND of lsm_get() and lsm_txn_get() comes without a message. */
const char *lsm_errmsg(void);

typedef struct lsm_env lsm_env;           /* the operating system: env.h */
typedef struct lsm_db lsm_db;             /* an open store */
typedef struct lsm_snapshot lsm_snapshot; /* one instant of the store */
typedef struct lsm_txn lsm_txn;           /* the one open write transaction */
typedef struct lsm_cursor lsm_cursor;     /* a position in a keyspace */

/* Asked now and then by calls that may take long; true makes them give up
** with LSM_INTERRUPT and without effect. fn may be NULL: never. */
typedef struct lsm_interrupt {
  bool (*fn)(void *arg);
  void *arg;
} lsm_interrupt;

/*---------------------------------------------------------------- options */

/* How much a commit waits for the disk. */
typedef enum lsm_sync {
  LSM_SYNC_OFF,    /* survives a crash of the process */
  LSM_SYNC_NORMAL, /* power loss may undo the last commits, never part of one */
  LSM_SYNC_FULL    /* survives power loss */
} lsm_sync;

typedef enum lsm_compaction { LSM_LEVELED, LSM_TIERED } lsm_compaction;
typedef enum lsm_compression { LSM_COMPRESS_NONE, LSM_COMPRESS_ZLIB } lsm_compression;

/* A host is another database whose transactions take in this store's, and whose
** commit decides for both (lsm_txn_prepare). It has a name of 16 bytes and keeps
** in itself, as part of each such transaction, the transaction's number here. */
#define LSM_HOST_SIZE 16

/* The number the host keeps now; *known false: this is not a host that can be
** asked. Called by lsm_open(), and by who finds that a writer was killed, and only if
** the log has such transactions. */
typedef lsm_rc (*lsm_host_txid_fn)(void *arg, const uint8_t *host, uint64_t *txid, bool *known);

/* What people call the host, into NAME; nothing if it is not known. */
typedef void (*lsm_host_name_fn)(void *arg, const uint8_t *host, char *name, size_t size);

/* Returns when all that the host has committed so far would survive a power
** loss. Called by background threads before such transactions leave the log, and before
** a keyspace is dropped. */
typedef lsm_rc (*lsm_host_sync_fn)(void *arg);

/* Of a store; every field has a default (lsm_options_init). */
typedef struct lsm_options {
  size_t memtable_size; /* bytes for memtables; one is flushed at 3/4 of it: 64 MB */
  size_t cache_size;    /* bytes for blocks, indexes and filters: 64 MB */
  size_t txn_memory;    /* bytes of a transaction at which it goes to files; 0: a quarter
                        ** of memtable_size, 1 MB at least */
  bool create;          /* make the store when there is none: false */
  bool read_only;       /* never write a byte: false */
  const uint8_t *store_id; /* 16 bytes: a store with another id is LSM_CANTOPEN before
                           ** anything in it is touched; NULL: any. Read by lsm_open() only */
  lsm_host_txid_fn host_txid; /* NULL: what is undecided is rolled back */
  lsm_host_sync_fn host_sync; /* may be NULL */
  lsm_host_name_fn host_name; /* may be NULL; for messages */
  void *host_arg;
} lsm_options;

void lsm_options_init(lsm_options *opt);

/* Of a keyspace, fixed when it is created (lsm_keyspace_options_init). */
typedef struct lsm_keyspace_options {
  lsm_compaction compaction;   /* LSM_LEVELED */
  lsm_compression compression; /* LSM_COMPRESS_ZLIB */
  uint32_t block_size;         /* bytes before compression: 4096 */
  uint32_t bloom_bits;         /* per key, 0 for no filter: 10 */
  bool expires;                /* values may expire (lsm_txn_put_until): false */
} lsm_keyspace_options;

void lsm_keyspace_options_init(lsm_keyspace_options *opt);

/*------------------------------------------------------------------ store */

/* The default environment of this platform. Static. */
lsm_env *lsm_env_default(void);

/* A private file system in memory, empty; lsm_env_mem_free() drops it with
** all its files. Stores in it must be closed first. */
lsm_rc lsm_env_mem_new(lsm_env **env);
void lsm_env_mem_free(lsm_env *env);

/* Opens the store in directory PATH and replays its log. env and what it
** points to must outlive the store. LSM_CANTOPEN: there is none (and not
** opt->create, or the directory has files of somebody else), or it is not a store; LSM_BUSY: another process is
** opening it, or too many have it open; LSM_CORRUPT: damage, named in the message. */
lsm_rc lsm_open(lsm_env *env, const char *path, const lsm_options *opt, lsm_db **db);

/* Waits for background work, makes the log durable, frees everything.
** Snapshots, cursors and transactions must be closed before. The store is
** closed whatever is returned; an error says that unsynced commits may not
** survive a power loss. */
lsm_rc lsm_close(lsm_db *db);

/* A random number that names this store for ever: 16 bytes. */
const uint8_t *lsm_store_id(const lsm_db *db);
/* The id of the store in directory DIR, read without opening it. */
lsm_rc lsm_peek_id(lsm_env *env, const char *dir, uint8_t id[16]);

/* The number of the last transaction that was prepared; they only rise. */
uint64_t lsm_last_txid(lsm_db *db);

/* Makes an empty keyspace under a number never used before, 1 being the first: for the
** caller to keep. Durable when it returns; not part of a transaction. */
lsm_rc lsm_keyspace_create(lsm_db *db, const lsm_keyspace_options *opt, uint32_t *id);

/* Its options; LSM_NOTFOUND when there is none of that number. */
lsm_rc lsm_keyspace_get(lsm_db *db, uint32_t id, lsm_keyspace_options *opt);

/* Forgets an empty or unwanted keyspace and its files at once, when host_sync has
** returned; cursors that are open on it go on. Not part of a transaction. */
lsm_rc lsm_keyspace_drop(lsm_db *db, uint32_t id);

/*--------------------------------------------------------------- snapshots */

/* The state after the last commit, unmoved by what follows. Holds memory and
** files, no locks; release it soon. Costs no I/O. */
lsm_rc lsm_snapshot_acquire(lsm_db *db, lsm_snapshot **snap);

/* The state that agrees with a host's: without its transactions above TXID, the
** number that the host keeps in the state its reader sees, and with TXID itself,
** which may be on its way still: waits up to BUSY_MS, asking INTR, then LSM_BUSY.
** LSM_STALE: that state is not kept, or it is not known whether the present
** one is it. */
lsm_rc lsm_snapshot_acquire_at(lsm_db *db, const uint8_t *host, uint64_t txid, int64_t busy_ms,
                               const lsm_interrupt *intr, lsm_snapshot **snap);
/* Has any transaction with a host been prepared since the store was opened by the
** first of its processes? If not, after a snapshot was acquired, it agrees with
** what any host's reader saw before that. */
bool lsm_has_hosts(const lsm_db *db);
/* The host had no transaction above TXID, the number its reader asked for, when SNAP
** was taken: so the reader found out. */
lsm_rc lsm_host_confirm(lsm_db *db, const uint8_t *host, uint64_t txid,
                        const lsm_snapshot *snap);

/* Is a transaction prepared, of whatever process, and not yet shown, or the log at work
** otherwise? wait: returns when that has ended, at the latest after WAIT_MS. */
bool lsm_is_committing(lsm_db *db);
void lsm_wait_committed(lsm_db *db, int64_t wait_ms, const lsm_interrupt *intr);

/* The number of the last transaction it shows; and of the last that this process
** knows to be committed. */
uint64_t lsm_snapshot_txid(const lsm_snapshot *snap);
uint64_t lsm_committed_txid(const lsm_db *db);

/* The environment's clock: milliseconds since 1970, never 0. Values expire by it. */
uint64_t lsm_now(const lsm_db *db);

/* The same state at one time: what has expired at NOW (lsm_now()) is not seen. In a
** snapshot that is not made so each lsm_get() and each cursor takes the present when
** it begins. With a NOW before SNAP was taken some of what expired in between is
** missing: it may have been removed already. */
lsm_rc lsm_snapshot_at(lsm_snapshot *snap, uint64_t now, lsm_snapshot **out);

/* One more owner of the same snapshot. Any thread. */
lsm_snapshot *lsm_snapshot_ref(lsm_snapshot *snap);

/* Accepts NULL. Any thread. */
void lsm_snapshot_release(lsm_snapshot *snap);

/* An owned buffer: lsm_buf_fini() frees it. Zero-initialise before use. */
typedef struct lsm_buf {
  uint8_t *data;
  size_t size;
  size_t cap;
} lsm_buf;
void lsm_buf_fini(lsm_buf *buf);

/* The value of KEY, replacing what was in *value, or LSM_NOTFOUND. */
lsm_rc lsm_get(lsm_snapshot *snap, uint32_t keyspace, lsm_slice key, lsm_buf *value);

/*----------------------------------------------------------------- cursors */

/* A cursor over the keys k of a keyspace, lower <= k < upper. A bound whose
** data is NULL is open. The bounds are copied; the snapshot is referenced.
** It starts unpositioned: call one of first, last, seek. */
lsm_rc lsm_cursor_open(lsm_snapshot *snap, uint32_t keyspace, lsm_slice lower,
                       lsm_slice upper, lsm_cursor **cur);

/* Moves. Running off either end is LSM_OK and makes the cursor invalid.
** After an error the cursor is invalid and must be repositioned. */
lsm_rc lsm_cursor_first(lsm_cursor *cur);
lsm_rc lsm_cursor_last(lsm_cursor *cur);
lsm_rc lsm_cursor_seek_ge(lsm_cursor *cur, lsm_slice key); /* first k >= key */
lsm_rc lsm_cursor_seek_le(lsm_cursor *cur, lsm_slice key); /* last k <= key */
lsm_rc lsm_cursor_next(lsm_cursor *cur);
lsm_rc lsm_cursor_prev(lsm_cursor *cur);
/* As N times next, but what is known without reading it is not read. */
lsm_rc lsm_cursor_pass(lsm_cursor *cur, uint64_t n);
/* How many entries are known to follow the one it stands on, without reading them: often
** 0, though some do. REQUIRES: valid. */
uint64_t lsm_cursor_ahead(const lsm_cursor *cur);

/* Where it stands. The slices live until the next move or close.
** REQUIRES: valid, for key and value. */
bool lsm_cursor_valid(const lsm_cursor *cur);
bool lsm_cursor_pair(const lsm_cursor *cur, lsm_slice *key, lsm_slice *value); /* all three */
lsm_slice lsm_cursor_key(const lsm_cursor *cur);
lsm_slice lsm_cursor_value(const lsm_cursor *cur);
/* When the entry expires, as in lsm_txn_put_until(). REQUIRES: valid. */
uint64_t lsm_cursor_until(const lsm_cursor *cur);

void lsm_cursor_close(lsm_cursor *cur); /* accepts NULL */

/*------------------------------------------------------------ transactions */

/* Starts the write transaction. There is one a store; a second waits up to
** BUSY_MS milliseconds, asking INTR (may be NULL), then LSM_BUSY. */
lsm_rc lsm_txn_begin(lsm_db *db, int64_t busy_ms, const lsm_interrupt *intr, lsm_txn **txn);

/* Changes, seen by this transaction only until it commits. Each happens whole
** or, when it fails, not at all. A value may be empty; a key too. */
lsm_rc lsm_txn_put(lsm_txn *txn, uint32_t keyspace, lsm_slice key, lsm_slice value);
lsm_rc lsm_txn_delete(lsm_txn *txn, uint32_t keyspace, lsm_slice key);

/* A put of what will be gone from UNTIL on: milliseconds since 1970, 0 for never. Gone
** means as if deleted then, from every read that begins later, and in time from disk.
** LSM_MISUSE in a keyspace that was not made for it. In one that was, lsm_txn_put()
** writes what never expires. */
lsm_rc lsm_txn_put_until(lsm_txn *txn, uint32_t keyspace, lsm_slice key, lsm_slice value,
                         uint64_t until);
/* The time at which lsm_txn_get(), and snapshots taken from now on, see the
** transaction; 0: the present, which is the default. */
void lsm_txn_set_now(lsm_txn *txn, uint64_t now);

/* Removes every key lower <= k < upper with one record, in time that does not
** grow with the rows on disk. A bound whose data is NULL is open. */
lsm_rc lsm_txn_delete_range(lsm_txn *txn, uint32_t keyspace, lsm_slice lower, lsm_slice upper);

/* The value KEY has now in this transaction, or LSM_NOTFOUND. */
lsm_rc lsm_txn_get(lsm_txn *txn, uint32_t keyspace, lsm_slice key, lsm_buf *value);

/* What the transaction sees now, its own changes so far included; later
** changes, commit and rollback do not move it. */
lsm_rc lsm_txn_snapshot(lsm_txn *txn, lsm_snapshot **snap);

/* Savepoints are marks, numbered by the caller 0, 1, 2, ...; making one drops
** all marks of the same or a higher number. rollback_to() goes back to mark N
** and keeps it; release() forgets N and all above. N = -1 in rollback_to(),
** or a mark never made: back to the nearest mark below N, or, when there is
** none, to the start of the transaction. It can fail only after a prepare,
** which it has to take back; then nothing has changed. */
lsm_rc lsm_txn_savepoint(lsm_txn *txn, int n);
bool lsm_txn_has_savepoint(const lsm_txn *txn, int n);
lsm_rc lsm_txn_rollback_to(lsm_txn *txn, int n);
void lsm_txn_release(lsm_txn *txn, int n);

/* True when it has written nothing (or all of it was rolled back). */
bool lsm_txn_is_empty(const lsm_txn *txn);

/* Does all of commit that can fail: makes room (here a writer is slowed or
** stalled, asking INTR), reserves memory, appends to the log, syncs it as
** SYNC says. After LSM_OK either lsm_txn_commit() or lsm_txn_rollback() must
** follow, or further changes: they undo the prepare, and another one must
** come. After an error the transaction is open and as it was.
** host: NULL, and once prepared a crash finds the transaction committed. Or the
** name of a host: then, until lsm_txn_commit(), a crash leaves it undecided and
** the next lsm_open() asks the host. */
lsm_rc lsm_txn_prepare(lsm_txn *txn, lsm_sync sync, const uint8_t *host,
                       const lsm_interrupt *intr);
bool lsm_txn_is_prepared(const lsm_txn *txn);

/* Keeps the state from before the transaction for a while after its commit, for
** lsm_snapshot_acquire_at(). The merge copies tree nodes then. */
void lsm_txn_keep_base(lsm_txn *txn);

/* The number this transaction has in the log, from prepare on; 0 before. */
uint64_t lsm_txn_id(const lsm_txn *txn);

/* Makes the changes visible and frees the transaction. Cannot fail.
** REQUIRES: prepared, or empty. */
void lsm_txn_commit(lsm_txn *txn);

/* Forgets the changes and frees the transaction; accepts NULL. Of one prepared
** without host the log is told; an error means that it could not be and that a
** crash might bring the transaction back. Of one prepared for a host nothing is
** written: the host's number decides on recovery, and so must not be its. */
lsm_rc lsm_txn_rollback(lsm_txn *txn);

/*------------------------------------------------------------ housekeeping */

/* Writes the memtable to SSTables and waits for it. */
lsm_rc lsm_flush(lsm_db *db, const lsm_interrupt *intr);

/* Flushes, then merges all files of the keyspace into one sorted run without
** tombstones, or anything expired. Readers and writers go on. */
lsm_rc lsm_compact(lsm_db *db, uint32_t keyspace, const lsm_interrupt *intr);

/* Waits until no flush or compaction is due. For tests and benchmarks. */
lsm_rc lsm_wait_idle(lsm_db *db, const lsm_interrupt *intr);

/* Reads every byte of the store and checks checksums, order, bounds, filters
** and the manifest's counts. Calls report(arg, text) for each finding and
** sets *findings; LSM_OK when it could look at everything, damaged or not. */
lsm_rc lsm_verify(lsm_db *db, const lsm_interrupt *intr,
                  void (*report)(void *arg, const char *text), void *arg, uint64_t *findings);

/* Copies the store into directory DEST, in the same environment, while readers
** and writers go on: all that was committed when it was called, and perhaps
** what was committed while it flushed. The copy has the store's id; opened, it
** is a store of its own. DEST is made when it is missing; LSM_CANTOPEN when it
** holds a store's files already. Durable when it returns; after a failure, or
** LSM_INTERRUPT, what it had made is gone. */
lsm_rc lsm_backup(lsm_db *db, const char *dest, const lsm_interrupt *intr);

/* The same in two steps, for callers who keep writers out meanwhile: begin
** flushes and holds the instant to be copied (its files stay, at the cost of
** their space); copy writes it, as often as wanted. end accepts NULL; it must
** come before lsm_close(). */
typedef struct lsm_backup_point lsm_backup_point;
lsm_rc lsm_backup_begin(lsm_db *db, const lsm_interrupt *intr, lsm_backup_point **point);
lsm_rc lsm_backup_copy(lsm_backup_point *point, const char *dest, const lsm_interrupt *intr);
void lsm_backup_end(lsm_backup_point *point);

/* Counters since the store was opened by this process, and gauges. Bytes are
** counted where they are written. */
typedef struct lsm_stats {
  uint64_t user_bytes;       /* keys and values committed */
  uint64_t wal_bytes;        /* written to the log */
  uint64_t flush_bytes;      /* written to SSTables from memtables */
  uint64_t compaction_bytes; /* written to SSTables by compaction */
  uint64_t compaction_read_bytes;
  uint64_t manifest_bytes;
  uint64_t memtable_bytes;   /* gauge: memory of all memtables */
  uint64_t memtable_entries; /* gauge */
  uint64_t sst_files;        /* gauge */
  uint64_t sst_bytes;        /* gauge */
  uint64_t sst_raw_bytes;    /* gauge: keys and values in them, uncompressed */
  uint64_t last_level_raw_bytes; /* gauge: of the oldest run of each keyspace */
  uint64_t flushes;
  uint64_t compactions;      /* merges; trivial moves are counted apart */
  uint64_t trivial_moves;
  uint64_t slowdowns;        /* commits that were delayed */
  uint64_t stalls;           /* commits that had to wait */
  uint64_t stall_us;         /* time spent in both */
  uint64_t commits;
  uint64_t syncs;            /* of the log */
  uint64_t gets;
  uint64_t scans;            /* cursors positioned */
  uint64_t bloom_checks;
  uint64_t bloom_hits;       /* said no: a block read saved */
  uint64_t bloom_false_positives;
  uint64_t cache_hits;
  uint64_t cache_misses;
  uint64_t cache_bytes;      /* gauge */
  uint64_t snapshots;        /* gauge: held now */
  uint64_t obsolete_files;   /* gauge: kept for snapshots */
  uint64_t expired_entries;  /* left out of SSTables, or gone with them, since expired */
  uint64_t expired_files;    /* dropped unread: all in them had expired */
} lsm_stats;

void lsm_get_stats(lsm_db *db, lsm_stats *stats);

/* One SSTable, as lsm_list_files() shows it. Slices and the struct live until
** the callback returns. Keys are without the keyspace's number. */
typedef struct lsm_file_info {
  uint32_t keyspace;
  int level;
  uint64_t run;    /* files of one run do not overlap; larger is newer */
  uint64_t number; /* of the file: NNNNNN.sst */
  uint64_t bytes;
  uint64_t entries;    /* tombstones included */
  uint64_t tombstones; /* range tombstones included */
  lsm_slice min_key;
  lsm_slice max_key;
} lsm_file_info;

/* Calls fn for each live file of the keyspace (0: of all), level by level,
** newest run first, keys ascending; a result other than LSM_OK ends it. */
lsm_rc lsm_list_files(lsm_db *db, uint32_t keyspace,
                      lsm_rc (*fn)(void *arg, const lsm_file_info *info), void *arg);

/* How urgently each level of a keyspace asks for compaction; 1 and more: due.
** score has LSM_MAX_LEVELS members. */
#define LSM_MAX_LEVELS 7
lsm_rc lsm_level_scores(lsm_db *db, uint32_t keyspace, double *score);

/* Estimates for planners, from metadata alone: rows and bytes of the
** keyspace between the bounds (NULL data: open). */
lsm_rc lsm_estimate(lsm_snapshot *snap, uint32_t keyspace, lsm_slice lower, lsm_slice upper,
                    uint64_t *rows, uint64_t *bytes);

#ifdef __cplusplus
}
#endif

#endif
