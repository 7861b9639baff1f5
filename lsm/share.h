/* share.h: what the processes that have a store open tell each other.
**
** Two files: LOCK, whose bytes are locked, and SHM, a page of shared memory
** with the state of the log and the manifest. The locks vanish with their
** process. WRITER, which each transaction takes, is a word in SHM instead: who has
** it is a slot, and when the lock on that has vanished it is free (share.c).
** SHM means nothing when no process is attached, and is made anew by
** the first one.
**
**   lock       held while
**   OPEN       a process attaches (and recovers, when it is the first)
**   WRITER     (a word) a transaction is open, the log is written or rotated
**   FLUSH      the immutable memtable is written out
**   COMPACT    a compaction runs
**   MANIFEST   an edit is appended
**   SLOT + i   process i is attached
**
**   word       set under  says
**   log        WRITER     number and end of the active log: all committed
**   manifest   MANIFEST   number and end of the manifest
**   remake     MANIFEST   CURRENT may name another one: nothing is appended to
**                         this one, the next edit makes a new one
**   next_file  any        next file number
**   dirty      WRITER     the log may have more than `log` says
**   broken     WRITER     number of a log that takes nothing more
**   decided    WRITER     number of a transaction whose host has committed,
**                         though its COMMIT could not be logged; 0: none
**   owed       WRITER     what is not durable yet, see lsm_owed()
**   hosts      any        transactions with a host have been prepared
**   writer     itself     who has WRITER
**   min[i]     slot i     oldest manifest position that process i still reads;
**                         LSM_SHARE_NONE: none
**   turn, since, wanted   who had WRITER last, since when; when somebody last
**                         wanted it in vain: so that nobody starves
**
** A position is number << 36 | offset, so that it is read and written at once
** and only rises. (After SQLite's wal-index and LMDB's reader table.)
** Threads: any; locks of one process do not exclude its own threads. */
#ifndef LSM_SHARE_H
#define LSM_SHARE_H

#include "env.h"

typedef struct lsm_share lsm_share;

typedef enum lsm_share_lock_id {
  LSM_SHARE_OPEN,
  LSM_SHARE_WRITER,
  LSM_SHARE_FLUSH,
  LSM_SHARE_COMPACT,
  LSM_SHARE_MANIFEST
} lsm_share_lock_id;

#define LSM_SHARE_SLOTS 64

static inline uint64_t lsm_pos(uint64_t number, uint64_t off) { return number << 36 | off; }
static inline uint64_t lsm_pos_number(uint64_t pos) { return pos >> 36; }
static inline uint64_t lsm_pos_off(uint64_t pos) { return pos & ((UINT64_C(1) << 36) - 1); }

/* Opens LOCK and SHM in DIR and takes OPEN, waiting at most ten seconds. create:
** makes them. LSM_NOTFOUND: they are not there. */
lsm_rc lsm_share_open(lsm_env *env, const char *dir, bool create, lsm_share **sh);

/* Takes a slot. *alone: nobody else has one; then SHM is cleared. */
lsm_rc lsm_share_attach(lsm_share *sh, bool *alone);

/* Gives OPEN back: the state is as it should be. */
void lsm_share_opened(lsm_share *sh);
void lsm_share_close(lsm_share *sh); /* accepts NULL; all locks go */

/* LSM_MISUSE in a forked child: its page is another one (env.h), the slot its parent's.
** Taking WRITER looks at it, too. */
lsm_rc lsm_share_check(const lsm_share *sh);

/* Takes a lock, waiting up to wait_us: LSM_BUSY, LSM_INTERRUPT. Who had WRITER
** for a while lets others who wait have it first. */
lsm_rc lsm_share_lock(lsm_share *sh, lsm_share_lock_id id, uint64_t wait_us,
                      const lsm_interrupt *intr);
/* WRITER if nobody has it nor has wanted it lately: no system call, no waiting. */
bool lsm_share_take_free(lsm_share *sh);
/* A lock at once or not at all, and unnoticed by those who give way. */
bool lsm_share_try(lsm_share *sh, lsm_share_lock_id id);
void lsm_share_unlock(lsm_share *sh, lsm_share_lock_id id);

uint64_t lsm_share_log(const lsm_share *sh);
void lsm_share_set_log(lsm_share *sh, uint64_t pos);
uint64_t lsm_share_manifest(const lsm_share *sh);
void lsm_share_set_manifest(lsm_share *sh, uint64_t pos);
bool lsm_share_dirty(const lsm_share *sh);
void lsm_share_set_dirty(lsm_share *sh, bool dirty);
bool lsm_share_remake(const lsm_share *sh);
void lsm_share_set_remake(lsm_share *sh, bool remake);
uint64_t lsm_share_broken(const lsm_share *sh);
void lsm_share_set_broken(lsm_share *sh, uint64_t log);
uint64_t lsm_share_decided(const lsm_share *sh);
void lsm_share_set_decided(lsm_share *sh, uint64_t txid);
uint64_t lsm_share_owed(const lsm_share *sh);
void lsm_share_set_owed(lsm_share *sh, uint64_t owed);
bool lsm_share_hosts(const lsm_share *sh);
void lsm_share_set_hosts(lsm_share *sh);
uint64_t lsm_share_new_number(lsm_share *sh);
uint64_t lsm_share_next_number(const lsm_share *sh); /* without taking it */
void lsm_share_raise_number(lsm_share *sh, uint64_t next);

/* What this process reads; 0: it is not attached, 1: anything.
**
** Who begins to read sets it, and then loads the manifest's word: if that is what he
** has, no table of his version can have gone, nor will go before he says so. For who
** removes stores that word first, and asks lsm_share_all_past() afterwards. Stores
** and loads are in one order for all (memory_order_seq_cst): so either the remover
** sees the reader's min, or the reader sees the remover's edit. */
#define LSM_SHARE_NONE UINT64_MAX
void lsm_share_set_min(lsm_share *sh, uint64_t pos);
/* Has every live process, this one too, gone past POS? Slots of dead ones are
** freed on the way. REQUIRES: the manifest's word is POS or more. */
bool lsm_share_all_past(lsm_share *sh, uint64_t pos);

#endif
