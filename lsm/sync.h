/* sync.h: mutexes that know their rank, and condition variables.
**
** Locks are taken in rising rank only; debug builds (LSM_DEBUG) assert it, and
** assert that what REQUIRES a lock has it. The ranks stand here, their story
** in DESIGN.md. No I/O under a lock of rank LSM_RANK_DB or above. */
#ifndef LSM_SYNC_H
#define LSM_SYNC_H

#include <pthread.h>

#include "base.h"

typedef enum lsm_rank {
  LSM_RANK_MANIFEST = 1, /* db.c: one edit at a time; I/O allowed */
  LSM_RANK_CATCH,        /* catchup.c: reading what other processes wrote; I/O allowed */
  LSM_RANK_APPLY,        /* db.c: a batch is being merged into the memtable */
  LSM_RANK_DB,           /* db.c: everything short-lived in lsm_db */
  LSM_RANK_TABLES,       /* table_cache.c */
  LSM_RANK_CACHE,        /* cache.c: one shard */
  LSM_RANK_GARBAGE,      /* db.c: numbers of files to remove */
  LSM_RANK_SHARE,        /* share.c: asking the system whether another process lives */
  LSM_RANK_ENV           /* env_mem.c, env_fault.c */
} lsm_rank;

typedef struct lsm_mutex {
  pthread_mutex_t m;
  lsm_rank rank;
  _Atomic bool held; /* debug: by somebody */
  pthread_t owner;   /* debug: by whom; guarded by m */
} lsm_mutex;

typedef struct lsm_cond {
  pthread_cond_t c;
} lsm_cond;

lsm_rc lsm_mutex_init(lsm_mutex *m, lsm_rank rank);
void lsm_mutex_fini(lsm_mutex *m);
void lsm_mutex_lock(lsm_mutex *m);
void lsm_mutex_unlock(lsm_mutex *m);
void lsm_mutex_assert_held(lsm_mutex *m); /* debug builds; else nothing */

lsm_rc lsm_cond_init(lsm_cond *c);
void lsm_cond_fini(lsm_cond *c);
/* Releases m, waits, takes m again. May wake for no reason. */
void lsm_cond_wait(lsm_cond *c, lsm_mutex *m);
void lsm_cond_wait_us(lsm_cond *c, lsm_mutex *m, uint64_t us); /* at most about us */
void lsm_cond_broadcast(lsm_cond *c);

#endif
