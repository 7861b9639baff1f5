/* db_int.h: the inside of lsm_db, shared by the files that make it up:
**
**   db.c       open, close, edits of the manifest
**   keyspace.c keyspaces made and dropped
**   obsolete.c tables that nobody needs any more
**   recover.c  the log, read back
**   catchup.c  what other processes have written; the writer's lock
**   txn.c      transactions up to the log and the memtable
**   spill.c    runs of transactions larger than their share of memory
**   room.c     rotation, stall
**   pace.c     slow-down; what memtables take from the cache
**   snapshot.c snapshots and point reads
**   hosts.c    snapshots that agree with a host's
**   cursor.c   scans
**   drop.c     the clock; files in which everything has expired
**   output.c   SSTables of a flush or compaction, cut and clipped
**   flush.c    memtable to level 0
**   hidden.c   how much of a keyspace newer entries hide
**   compact.c  plans carried out
**   sched.c    the background threads
**   inspect.c  statistics, listings, estimates
**   verify.c   everything read and checked
**   backup.c   a copy of the store in another directory
**
** Locks, in rank order (DESIGN.md tells the story):
**   log role   a flag under mu: who holds it appends to the log, changes the
**              active memtable and may rotate both. From prepare to the end
**              of a transaction, or for one rotation.
**   writer's lock  between processes; a process has it from the first of its
**              holders to the last: transactions, and whoever has the log role.
**   manifest_mu one edit at a time; held across its I/O, with the MANIFEST lock.
**   catch_mu   held while this process learns what others did, and while it
**              publishes what it did itself.
**   apply_mu   held while a batch is merged into the memtable and while a view
**              of it is taken, so that a view never sees half a batch.
**   mu         everything else that changes; never held across I/O.
** The writer role (one open transaction) is a flag under mu too. */
#ifndef LSM_DB_INT_H
#define LSM_DB_INT_H

#include "cache.h"
#include "env.h"
#include "expiry.h"
#include "filename.h"
#include "manifest.h"
#include "memtable.h"
#include "picker.h"
#include "share.h"
#include "sync.h"
#include "table_cache.h"
#include "version.h"
#include "wal.h"

/* Level-0 runs at which commits are slowed, and at which they stop. */
#define LSM_L0_SLOW 16
#define LSM_L0_STOP 28
/* Those that wait beside a compaction at which it stops compressing. */
#define LSM_L0_HURRY 3

/* Counters; each is added to where it happens. All atomic. */
typedef struct lsm_counters {
  _Atomic uint64_t user_bytes, wal_bytes, flush_bytes, compaction_bytes, compaction_read_bytes,
      manifest_bytes, flushes, compactions, trivial_moves, slowdowns, stalls, stall_us, commits,
      syncs, gets, scans, snapshots, expired_entries, expired_files;
} lsm_counters;

#define LSM_COUNT(db, name, n) \
  atomic_fetch_add_explicit(&(db)->counters.name, (uint64_t)(n), memory_order_relaxed)

/* How fast users write: what was looked at last, and what it said. */
typedef struct lsm_meter {
  uint64_t at, bytes; /* of user data committed then; 0: never */
  bool fast;
} lsm_meter;

/* What became of a background job, for the writers that depend on it. */
typedef struct lsm_job_error {
  lsm_rc rc;
  char msg[512];
} lsm_job_error;

/* Keyspaces whose compaction failed for a reason of theirs, a damaged table: they are
** passed over for a while. There is little room: if there are more, all wait. */
#define LSM_STUCK_MAX 8
typedef struct lsm_stuck {
  int n;
  uint32_t keyspaces[LSM_STUCK_MAX];
} lsm_stuck;

typedef struct lsm_host lsm_host;

struct lsm_db {
  /* constant after open */
  lsm_env *env;
  char *dir;
  lsm_options opt;
  lsm_picker_options picker;
  uint64_t target_file_size;
  uint8_t store_id[16];
  lsm_share *share;       /* NULL: a reader that nobody knows of */
  bool keep_open_lock;    /* recovery could not be completed: nobody else may join */
  lsm_cache *cache;
  lsm_table_cache *tables;

  /* How far the flush of imm by this process is, in entries; total 0: there is none. */
  _Atomic uint64_t flush_done, flush_total, flush_start;
  lsm_read_stats read_stats; /* atomics */
  lsm_counters counters;     /* atomics */

  lsm_mutex manifest_mu;
  lsm_mutex catch_mu;
  lsm_mutex apply_mu;
  lsm_mutex mu;
  lsm_cond cv; /* anything under mu changed that somebody may wait for, */
  lsm_cond roles_cv; /* but for roles and WRITER: a commit need not wake the background threads */

  /* guarded by mu */
  bool writer_held; /* a transaction is open */
  bool log_held;    /* the log role is taken */
  int lock_users;   /* of the writer's lock */
  bool lock_moving; /* it is being taken or given back */
  bool closing;
  bool threads_started;
  bool flush_asked; /* somebody wants a failed flush tried again now */
  bool compact_asked; /* the same of compaction */
  /* how many tries began, and which was the last to end, well or not */
  uint64_t flush_begun, flush_ended, compact_begun, compact_ended;
  bool compact_held; /* a compaction runs, in whatever thread */
  lsm_meter meter;   /* who compacts looks at it, without mu */
  bool compact_checked; /* nothing is due in this version, or is being looked for; */
  lsm_stuck stuck;      /* but for these */
  bool rest_left;       /* and some files could be packed, when it is quiet */
  int rest_asked;       /* who waits until nothing is left to do */
  bool purge_asked, purging; /* files are to be removed by the compactor; it is at it */
  uint64_t look_at; /* then (lsm_now()) more may be due, by what expires; 0: never */
  int imm_wal_pins; /* a writer syncs imm_wal: the flusher must not close it */
  lsm_version *version;
  lsm_snapshot *latest; /* of the state as it is, for whoever asks; NULL: none yet */
  int l0_pressure; /* of version: see lsm_l0_pressure() */
  lsm_memtable *mem; /* changed under the log role and mu */
  lsm_memtable *imm; /* being flushed; NULL when none */
  lsm_version *imm_runs; /* just below imm: what mem_runs was; or NULL */
  lsm_wal *imm_wal;
  uint64_t imm_log;  /* its log's number */
  uint64_t imm_txid; /* last transaction in it */
  bool imm_has_host;
  bool imm_foreign;  /* another process rotated: it will flush */
  bool imm_synced;   /* of a foreign one: its log is durable */
  lsm_buf imm_old_logs; /* u64 numbers: older logs whose content is in imm */
  uint64_t next_file;
  uint64_t log;      /* oldest log that is needed */
  lsm_job_error flush_error;   /* why the last flush failed, or LSM_OK */
  lsm_job_error compact_error; /* the same of compaction */
  uint64_t compact_failed;     /* and which try it was: a number of compact_begun */

  lsm_host *hosts;   /* those that have taken part in transactions */
  uint64_t foreign_edit; /* where the last edit of another process stands */
  uint64_t unseen;   /* transactions up to this one came here in tables: whose are they? */
  _Atomic bool any_host;
  _Atomic uint64_t ahead; /* a host's number that the log has lost */

  /* guarded by catch_mu */
  _Atomic uint64_t seen_log;      /* share's words as of what we have */
  _Atomic uint64_t seen_manifest;
  lsm_wal_follower *followed; /* the log that was read on in last, or NULL */
  _Atomic uint64_t replayed; /* last transaction read from the log in this go */
  _Atomic uint64_t settle_after; /* not before this time again: lsm_settle_dead() */

  /* guarded by manifest_mu */
  lsm_manifest *manifest; /* NULL until the first edit */
  uint64_t manifest_number; /* of the file CURRENT names; 0: not known */
  bool settled; /* what open read of manifest and CURRENT is durable */
  uint32_t next_keyspace;
  uint64_t flushed_txid;

  /* of the log role */
  lsm_wal *wal;          /* NULL until the first write */
  _Atomic uint64_t last_txid; /* written under the log role */
  _Atomic uint64_t committed; /* last transaction in mem; written under apply_mu */
  bool mem_has_host;     /* mem holds transactions that a host decided */
  uint64_t owed;         /* see lsm_owed() */
  uint64_t log_number;   /* of the active log; 0: none yet */
  uint32_t log_salt;     /* recovery's: to go on with that log */
  uint64_t log_end;
  uint64_t log_commit;   /* recovery found that this last PREPARE of the log happened */
  bool flush_first;      /* recovery has what the log cannot say for ever: flush it */
  lsm_buf old_logs;      /* u64 numbers: older logs whose content is in mem */
  lsm_buf dropped_logs;  /* u64 numbers: recovery's; without content that counts */
  uint64_t slow_debt_us; /* of lsm_pace() */
  uint64_t paced_at;     /* when the last batch came while the background was busy; or 0 */
  lsm_memtable *spare;   /* an overlay to reuse */
  /* Just below mem, above imm: files of a transaction that are in the log, not yet
  ** in the manifest; NULL: none. Changed under apply_mu, too. */
  lsm_version *mem_runs;

  /* files that nobody holds any more; guarded by garbage_mu (a leaf) */
  lsm_mutex garbage_mu;
  lsm_buf garbage; /* u64 numbers */
  lsm_buf removed; /* u64 pairs: files that our edits removed, and where */
  lsm_buf gens;    /* u64: the living versions' places in the manifest */
  bool gen_lost;   /* one could not be noted */
  _Atomic uint64_t readers; /* see lsm_reading_begin(); 0 <-> 1 under garbage_mu */
  _Atomic uint64_t garbage_count;

#define LSM_IDLE_CURSORS 8
  _Atomic(lsm_cursor *) idle[LSM_IDLE_CURSORS]; /* cursor.c's: closed ones */

  lsm_thread *flusher, *compactor;
};

/*------------------------------------------------------------ db.c */

/* A file number never used before. */
uint64_t lsm_db_new_number(lsm_db *db);
uint64_t lsm_db_next_number(lsm_db *db); /* the one it would be */
/* Makes the edit durable and installs the version it leads to. On failure
** *unknown says that the edit may be on disk all the same: then files it adds
** must not be removed. REQUIRES: manifest_mu. */
lsm_rc lsm_db_log_edit(lsm_db *db, lsm_edit *e, bool *unknown);
/* Makes durable what open read of the manifest: before anything follows from
** it. Takes manifest_mu. */
lsm_rc lsm_db_settle(lsm_db *db);
lsm_version *lsm_db_version(lsm_db *db); /* the current one, referenced */
/* All tables that are the store's: the version, and what only the log names (NULL:
** nothing), referenced. */
#define LSM_DB_PARTS 3
void lsm_db_parts(lsm_db *db, lsm_version *parts[LSM_DB_PARTS]);
/* Removes files nobody holds. Any thread, no locks held. */
void lsm_db_purge(lsm_db *db);
/* The same for threads of users: what takes long is left to the compactor. */
void lsm_db_purge_soon(lsm_db *db);
lsm_rc lsm_remove_file(lsm_db *db, lsm_filetype type, uint64_t number);
bool lsm_interrupted(const lsm_interrupt *intr);

/* manifest_mu, the MANIFEST lock, and all edits of others applied. */
lsm_rc lsm_manifest_enter(lsm_db *db);
void lsm_manifest_exit(lsm_db *db);
/* Puts VERSION, at POS of the manifest, in the place of the current one, and
** drops the immutable memtable if LOG, the oldest that is needed, says that it
** is flushed. Takes over the reference to version; what it replaces is in *left,
** to be freed without locks. REQUIRES: catch_mu, mu. */
typedef struct lsm_left {
  lsm_snapshot *latest;
  lsm_version *version;
  lsm_memtable *imm;
  lsm_version *runs;
  lsm_wal *wal;
} lsm_left;
void lsm_swap_version(lsm_db *db, lsm_version *version, uint64_t log, uint64_t pos,
                      lsm_left *left);
void lsm_left_free(lsm_left *left);
void lsm_db_note_garbage(void *db, uint64_t number); /* for lsm_version_new() */
/* The same of a file that no other process has ever known. */
void lsm_db_note_doomed(void *db, uint64_t number);
/* VERSION stands at POS of the manifest. If it cannot be noted, this process says
** from now on that it reads anything whenever it does: files stay, nothing is lost. */
void lsm_db_note_gen(lsm_db *db, lsm_version *version, uint64_t pos);
/* The files that NEXT's edit removes, and does not merely move, are ours to remove.
** Without memory for the note they stay until an open finds them. */
void lsm_db_note_removed(lsm_db *db, const lsm_version *next, const lsm_edit *e, uint64_t pos);
/* From begin to end tables that some version of this process names are not removed by
** others. Outside of that nobody may read a table: an idle process keeps none. Begin
** comes before lsm_catch_up(), which finds a version whose tables are there. Any locks. */
void lsm_reading_begin(lsm_db *db);
void lsm_reading_end(lsm_db *db); /* lsm_db_purge() should follow */
/* The edit just made leaves out a file that was the store's. REQUIRES: manifest_mu. */
void lsm_db_disown(lsm_db *db, lsm_filemeta *f);

/*------------------------------------------------------- catchup.c */

/* Learns what other processes have done since. Costs two loads if nothing. */
lsm_rc lsm_catch_up(lsm_db *db);
/* Takes part in the writer's lock of this process; the state is then the newest
** there is, what a killed writer left is settled. */
lsm_rc lsm_writer_enter(lsm_db *db, uint64_t wait_us, const lsm_interrupt *intr);
void lsm_writer_exit(lsm_db *db);
/* The same where it takes no waiting, no system call and no catching up; false:
** enter. REQUIRES: mu. */
bool lsm_writer_join(lsm_db *db);
void lsm_writer_leave(lsm_db *db); /* exit. REQUIRES: mu */
/* Does what a killed writer's successor would do, if there was one: what it
** committed is to be seen though nobody writes. Can fail, for a while. */
void lsm_settle_dead(lsm_db *db);
/* Tells the others where the log stands now. REQUIRES: log role. */
void lsm_publish_log(lsm_db *db);
void lsm_announce_log(lsm_db *db); /* the same; REQUIRES: catch_mu, too */
/* Takes one of the locks FLUSH, COMPACT; gives up when closing. */
lsm_rc lsm_job_lock(lsm_db *db, lsm_share_lock_id id, const lsm_interrupt *intr);
void lsm_job_unlock(lsm_db *db, lsm_share_lock_id id);

/*------------------------------------------------------- recover.c */

/* fn gives what is to be kept for readers of the host's state before a transaction that
** is about to be applied, or NULL. */
typedef struct lsm_keep {
  lsm_snapshot *(*fn)(void *arg, const uint8_t *host);
  void *arg;
} lsm_keep;

/* Applies what is committed in [from, to) of a log that others write; *runs is
** replaced when it has a transaction's files. */
lsm_rc lsm_replay_range(lsm_db *db, lsm_memtable *mem, lsm_version **runs, lsm_wal_follower *log,
                        uint64_t from, uint64_t to, lsm_keep keep);
/* Settles what a killed writer left behind log_end. keep: called under apply_mu.
** REQUIRES: the writer's lock. */
lsm_rc lsm_recover_tail(lsm_db *db, lsm_keep keep);

/* Reads the logs into db->mem. REQUIRES: manifest read, nothing running. */
lsm_rc lsm_recover(lsm_db *db, uint64_t manifest_log);

/*---------------------------------------------------------- room.c */

/* Takes the log role; LSM_BUSY after ten seconds. */
lsm_rc lsm_log_acquire(lsm_db *db, const lsm_interrupt *intr);
void lsm_log_release(lsm_db *db);
/* Opens or creates the log if there is none yet. REQUIRES: log role. */
lsm_rc lsm_log_ensure(lsm_db *db);
/* Slows down or stalls, rotates when BYTES more would overfill the memtable.
** REQUIRES: log role. */
lsm_rc lsm_make_room(lsm_db *db, size_t bytes, const lsm_interrupt *intr);
/* Active memtable and log become immutable; fresh ones take over. Waits for
** an earlier immutable one. REQUIRES: log role, a log. */
lsm_rc lsm_rotate(lsm_db *db, const lsm_interrupt *intr);
/* A host has committed transaction TXID and the log could not be told: before it
** does anything else the memtable must be on disk. REQUIRES: log role. */
void lsm_decision_unlogged(lsm_db *db, uint64_t txid);
/* What is not durable yet, of whatever process. A COMMIT that was to be; or what a
** host has committed: should it lose that, all that was logged here behind it goes
** too, however well synced. REQUIRES: log role. */
enum { LSM_OWED_COMMIT = 1, LSM_OWED_HOST = 2 };
bool lsm_owed(const lsm_db *db, uint64_t what);
void lsm_set_owed(lsm_db *db, uint64_t what, bool owed);
/* Makes durable what hosts have committed, if it may not be. REQUIRES: log role. */
lsm_rc lsm_settle_host(lsm_db *db);
/* Makes everything in the logs durable. REQUIRES: log role. */
lsm_rc lsm_log_sync(lsm_db *db);
/* Most level-0 runs of any keyspace of a version. */
int lsm_l0_pressure(const lsm_db *db, const lsm_version *v);
/* Delays a batch of BYTES a little, if the background is behind; level 0 has RUNS
** runs. REQUIRES: log role. */
void lsm_pace(lsm_db *db, size_t bytes, int runs);
/* The delays, in us. Room is what is left in the memtable; DONE of TOTAL entries of
** the one before it were written in ELAPSED_US. */
uint64_t lsm_pace_level0(size_t bytes, int runs);
uint64_t lsm_pace_flush(size_t bytes, size_t room, uint64_t done, uint64_t total,
                        uint64_t elapsed_us);
/* Do users write more than there would be time to compress in compactions? BYTES is what they
** have committed in all, till NOW. */
bool lsm_pace_is_fast(lsm_meter *m, uint64_t now, uint64_t bytes);
/* The size at which a memtable is flushed: less than the budget of the two there may be. */
size_t lsm_memtable_limit(const lsm_db *db);
void lsm_flush_begins(lsm_db *db, uint64_t entries);
void lsm_flush_ends(lsm_db *db);
/* Takes what memtables are over their budget from the cache, or gives it back. */
void lsm_lend_cache(lsm_db *db);
/* Waits until the immutable memtable there is now, if any, is flushed, or the
** flush fails. */
lsm_rc lsm_wait_flushed(lsm_db *db, const lsm_interrupt *intr);

/*------------------------------------------------------ snapshot.c */

/* Who has a reference that lsm_snapshot_acquire(), _ref() and their like gave reads,
** as far as lsm_reading_begin() is concerned, till lsm_snapshot_release(). References
** of lsm_snapshot_keep() and those that are only kept till lsm_snapshot_drop() do not
** count: with them alone the tables may go. */
#define LSM_SNAPSHOT_VIEWS 3 /* overlay, active, immutable */
struct lsm_snapshot {
  _Atomic uint32_t refs;
  lsm_db *db;
  uint64_t now;  /* what has expired then is not seen; 0: the present, for each read anew */
  uint64_t txid; /* of the last transaction in it */
  int nviews;
  int noverlays; /* 1: views[0] is a transaction's */
  lsm_memview views[LSM_SNAPSHOT_VIEWS]; /* newest first; some may be empty */
  lsm_version *runs[LSM_SNAPSHOT_VIEWS]; /* each just below its view, or NULL */
  lsm_version *version;
  lsm_table_pins pins; /* tables that were read through it */
};

/* overlay and runs, a transaction's, may be NULL. Of base (may be NULL: the
** current state). */
lsm_rc lsm_snapshot_make(lsm_db *db, const lsm_snapshot *base, lsm_memtable *overlay,
                         lsm_version *runs, lsm_snapshot **snap);
/* The same in two steps: latest gives the current state, as this process knows it,
** in FRESH unless the state has a snapshot already; then fresh stays empty. Kept.
** REQUIRES: apply_mu, mu. */
lsm_rc lsm_snapshot_alloc(lsm_db *db, lsm_snapshot **snap);
lsm_snapshot *lsm_snapshot_latest(lsm_snapshot *fresh);
/* FRESH shows the current state, for its owner alone. REQUIRES: the same. */
void lsm_snapshot_fill(lsm_snapshot *fresh);
/* The state that there will be when MEM is the active memtable, over RUNS, and the present
** one the immutable one; up to transaction TXID. REQUIRES: the same. */
void lsm_snapshot_fill_rotated(lsm_snapshot *fresh, lsm_memtable *mem, lsm_version *runs,
                               uint64_t txid);
/* The current state as this process knows it; kept. */
lsm_rc lsm_snapshot_known(lsm_db *db, lsm_snapshot **snap);
lsm_snapshot *lsm_snapshot_keep(lsm_snapshot *snap);
void lsm_snapshot_drop(lsm_snapshot *snap); /* accepts NULL; lsm_db_purge() should follow */
/* The state is about to change, or has: takes db->latest, which is kept, out, for the
** caller to drop without locks. Again under apply_mu where a memtable is merged into,
** for it may have been made anew meanwhile. REQUIRES: mu. */
lsm_snapshot *lsm_snapshot_outdate(lsm_db *db);
/* The same with mu taken, and dropped. No locks but catch_mu. */
void lsm_snapshot_forget(lsm_db *db);
/* Looks a key up in the tree of its keyspace; *done: the answer is final. now: 0
** if the keyspace's values do not expire. */
lsm_rc lsm_tree_get(lsm_db *db, lsm_table_pins *pins, const lsm_tree *t, lsm_slice key,
                    uint64_t now, lsm_buf *value, bool *done);
/* Looks an internal key up in views and files, as they are at NOW if its keyspace's
** values expire; 0: the snapshot's own time. */
lsm_rc lsm_snapshot_get(lsm_snapshot *snap, lsm_slice key, uint64_t now, lsm_buf *value);
/* The time it is seen at: its own, or the present. */
static inline uint64_t lsm_snapshot_now(const lsm_snapshot *s) {
  return s->now != 0 ? s->now : lsm_now(s->db);
}
/* What was found is the answer: its value, at NOW, or LSM_NOTFOUND. */
static inline lsm_rc lsm_take_value(const lsm_db *db, lsm_kind kind, lsm_slice found, uint64_t now,
                                    lsm_buf *value) {
  if (kind != LSM_KIND_PUT) return LSM_NOTFOUND;
  if (LSM_UNLIKELY(now != 0)) {
    if (lsm_until_past(lsm_until_of(found), now)) return LSM_NOTFOUND;
    if (!lsm_until_strip(&found)) {
      return lsm_corrupt(db->dir, 0, "a value without the time when it expires");
    }
  }
  return lsm_buf_set(value, found);
}

/*---------------------------------------------------------- drop.c */

/* Do the keyspace's values expire? V is asked first, and, if the keyspace is made
** since, the current version. Takes mu then. */
bool lsm_keyspace_expires(lsm_db *db, const lsm_version *v, uint32_t keyspace);
/* Adds to the edit that those files of the tree go in which everything has expired at
** NOW, and by which nothing older is hidden that stays; to *entries their values. */
lsm_rc lsm_tree_drop_expired(const lsm_tree *t, uint64_t now, lsm_edit *e, uint64_t *entries);
/* Takes such files, of all keyspaces, out of the store, without reading them.
** REQUIRES: the compaction slot. */
lsm_rc lsm_drop_expired(lsm_db *db, bool *dropped);
/* Starts looking for what has expired while nobody had the store. */
void lsm_drop_at_open(lsm_db *db);
/* The first time after NOW at which files of V expire, or half of what is in them; 0: none. */
uint64_t lsm_next_expiry(const lsm_version *v, uint64_t now);

/*--------------------------------------------------------- hosts.c */

#define LSM_HOST_KEPT 8 /* transactions of a host that are listed */

/* The state has everything up to this transaction. REQUIRES: apply_mu, or alone. */
void lsm_db_raise_committed(lsm_db *db, uint64_t txid);
/* Makes the host known, so that noting its transactions cannot fail. */
lsm_rc lsm_host_enter(lsm_db *db, const uint8_t *id);
/* Tells all processes, before the first transaction with a host can commit. */
void lsm_host_announce(lsm_db *db);
/* A transaction with the host gets into the state; before: the snapshot from
** before it, kept and taken over, or NULL. lsm_hosts_sweep() must follow, without locks.
** REQUIRES: entered; apply_mu, or the state not installed yet. */
void lsm_host_note(lsm_db *db, const uint8_t *id, uint64_t txid, lsm_snapshot *before);
/* Others' transactions are going to be read. lsm_host_first(): is this the first of the
** host in this go? */
void lsm_hosts_go(lsm_db *db);
bool lsm_host_first(lsm_db *db, const uint8_t *id);
void lsm_hosts_sweep(lsm_db *db);
void lsm_hosts_drop(lsm_db *db); /* the same, but removes no file: apply_mu may be held */
/* Lets go of all kept snapshots, which hold files. No locks but manifest_mu. */
void lsm_hosts_forget(lsm_db *db);
void lsm_hosts_free(lsm_db *db);

/*----------------------------------------------------------- txn.c */

/* Becomes the writer for a moment, without waiting: then no transaction is
** under way, and what a killed writer left is settled. LSM_BUSY. */
lsm_rc lsm_writer_look(lsm_db *db);

/*-------------------------------------------------------- output.c */

/* Writes one run of one keyspace: cuts it into files and gives each its part
** of the range tombstones. */
typedef struct lsm_output lsm_output;
lsm_rc lsm_output_new(lsm_db *db, const lsm_keyspace_options *opt, uint32_t keyspace, int level,
                      uint64_t run, _Atomic uint64_t *bytes, lsm_output **o);
/* May files that are begun from now on be compressed? At first they may. */
void lsm_output_pack(lsm_output *o, bool pack);
/* All of the run's range tombstones, before the first point; borrowed. */
void lsm_output_set_ranges(lsm_output *o, const lsm_rangeset *ranges);
lsm_rc lsm_output_add(lsm_output *o, lsm_kind kind, lsm_slice key, lsm_slice value);
/* Completes the last file and adds all files to the edit. */
lsm_rc lsm_output_finish(lsm_output *o, lsm_edit *e);
void lsm_output_free(lsm_output *o); /* files not finished into an edit are removed */

/* Removes the files an edit would have added. */
void lsm_output_discard(lsm_db *db, const lsm_edit *e);

/*--------------------------------------------------------- flush.c */

/* Writes db->imm to level 0. Called by the flusher. */
lsm_rc lsm_flush_imm(lsm_db *db);
/* Writes what V shows as run RUN of level 0, files synced, into the edit; on failure
** those done are in it. VERSION tells which keyspaces there are, BELOW (may be
** NULL) has runs between. keep: all tombstones, and keyspaces that are not there. */
lsm_rc lsm_flush_view(lsm_db *db, const lsm_memview *v, const lsm_version *version,
                      const lsm_version *below, bool keep, uint64_t run, lsm_edit *e);
/* How files of a keyspace are first written. */
void lsm_flush_options(const lsm_version *v, uint32_t keyspace, lsm_keyspace_options *opt);

/*--------------------------------------------------------- spill.c */

/* Runs of a transaction: versions that have nothing but level 0. NULL: none. */

#define LSM_RUNS_MAX 64 /* that are merged at once */

/* RUNS with what VIEW shows as one more run, durable. */
lsm_rc lsm_runs_add(lsm_db *db, lsm_version *runs, const lsm_memview *view, lsm_version **next);
/* Makes many runs of like size one. On failure *runs is what it was, or better. */
lsm_rc lsm_runs_merge(lsm_db *db, lsm_version **runs);
/* The most runs of a keyspace: as many numbers lsm_runs_seal() needs. */
size_t lsm_runs_count(const lsm_version *runs);
/* The same files as runs of the store, with these numbers, rising; what the log
** says of them is appended to *payload. */
lsm_rc lsm_runs_seal(lsm_db *db, const lsm_version *runs, const uint64_t *numbers, size_t count,
                     lsm_buf *payload, lsm_version **sealed);
/* The files do not go any more when nobody holds them. */
void lsm_runs_keep(lsm_db *db, lsm_version *runs);
/* Files that a log names. */
lsm_rc lsm_runs_decode(lsm_db *db, lsm_slice payload, const char *path, uint64_t off,
                       lsm_version **runs);

/*-------------------------------------------------------- cursor.c */

void lsm_cursors_free_idle(lsm_db *db);

/*------------------------------------------------------- compact.c */

/* Takes the one compaction slot; LSM_INTERRUPT when closing or interrupted. */
lsm_rc lsm_compact_acquire(lsm_db *db, const lsm_interrupt *intr);
void lsm_compact_release(lsm_db *db);
/* The picker's options at the present time. */
lsm_picker_options lsm_picker_now(lsm_db *db);
/* The most urgent plan over all keyspaces but those passed over. */
lsm_rc lsm_compact_pick(lsm_db *db, const lsm_stuck *stuck, bool *found, lsm_plan *plan);
/* What can be done of them while nothing is due: what is not packed; with hidden, what
** hides much that is older, too. */
lsm_rc lsm_compact_pick_rest(lsm_db *db, const lsm_stuck *stuck, bool hidden, bool *found,
                             lsm_plan *plan);
/* Carries it out. REQUIRES: the slot. */
lsm_rc lsm_compact_run(lsm_db *db, const lsm_plan *plan, const lsm_interrupt *intr);

/*--------------------------------------------------------- hidden.c */

/* Is a LSM_HIDDEN_SHARE of the tree's entries hidden by newer ones? An estimate; reads
** some blocks. Of small trees the answer is no. */
#define LSM_HIDDEN_SHARE 5
#define LSM_HIDDEN_JOBS 16 /* small: fewer than so many times what is worth packing */
lsm_rc lsm_tree_hides_much(lsm_db *db, const lsm_tree *t, bool *much);

/*--------------------------------------------------------- sched.c */

/* Wakes the threads, starting them the first time. */
lsm_rc lsm_sched_kick(lsm_db *db);
/* Did a compaction that began after number FROM fail? An older failure is tried
** again at once. REQUIRES: mu. */
lsm_rc lsm_compact_failed(lsm_db *db, uint64_t from);
/* Is it one of them? */
bool lsm_is_stuck(const lsm_stuck *stuck, uint32_t keyspace);
/* Ends them; a flush that waits is done first. */
void lsm_sched_stop(lsm_db *db);

#endif
