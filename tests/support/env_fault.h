/* env_fault.h: an environment that fails on purpose and can lose power.
**
** It wraps another environment, which does the work, and beside it keeps a
** model of what stable storage holds: the content of a file is durable after
** a sync of the file, the names in a directory (creation, removal, rename)
** after a sync_dir of the directory. From the model env_fault_crash() makes,
** at any moment, a fresh environment with what a crash would have left; the
** original goes on untouched.
**
** What was in the wrapped environment before counts as durable. Paths that
** name one file must be spelt alike, but for doubled and final slashes.
** Threads: everything but new and free may be called by several at once. */
#ifndef ENV_FAULT_H
#define ENV_FAULT_H

#include "disk_model.h"
#include "env.h"

/* Kinds of calls, for masks. The size, read, .. of files and the operations of
** the environment; sync_hint, close, clock and threads never fail. */
enum {
  ENV_FAULT_OPEN = 1,
  ENV_FAULT_READ = 2,
  ENV_FAULT_WRITE = 4,
  ENV_FAULT_SYNC = 8,
  ENV_FAULT_TRUNCATE = 16,
  ENV_FAULT_SIZE = 32,
  ENV_FAULT_LOCK = 64,
  ENV_FAULT_REMOVE = 128,
  ENV_FAULT_RENAME = 256,
  ENV_FAULT_MKDIR = 512,
  ENV_FAULT_RMDIR = 1024,
  ENV_FAULT_LIST = 2048,
  ENV_FAULT_SYNC_DIR = 4096,
  ENV_FAULT_EXISTS = 8192,
  ENV_FAULT_ALL = 16383,
  /* What can fail while storage is full or broken, but readable. */
  ENV_FAULT_CHANGES = ENV_FAULT_WRITE | ENV_FAULT_SYNC | ENV_FAULT_TRUNCATE | ENV_FAULT_REMOVE |
                      ENV_FAULT_RENAME | ENV_FAULT_MKDIR | ENV_FAULT_RMDIR | ENV_FAULT_SYNC_DIR
};

/* How env_fault_fail() fails. */
enum {
  ENV_FAULT_STICKY = 1, /* from the nth call on, until env_fault_clear() */
  ENV_FAULT_SHORT = 2   /* a failing write leaves a prefix, of random length */
};

/* What a crash does to what was not synced; disk_model.h has the details. */
typedef disk_mode env_fault_mode;
#define ENV_FAULT_KEEP DISK_KEEP /* the process was killed: all is there */
#define ENV_FAULT_DROP DISK_DROP /* power loss: all of it is lost */
#define ENV_FAULT_TEAR DISK_TEAR /* power loss: chance decides */

/* Wraps INNER, which must live longer; NULL: a memory environment of its own.
** Aborts when memory runs out, in the model's part; it uses its own
** allocator, so that lsm_set_malloc_hook() counts the store's allocations. */
lsm_rc env_fault_new(lsm_env *inner, lsm_env **env);
void env_fault_free(lsm_env *env); /* accepts NULL; its files must be closed */

/* Counting starts anew: the NTH call from now (1: the next one) of the kinds
** in MASK returns RC, with ENV_FAULT_STICKY all that follow too. NTH 0: counts
** only. */
void env_fault_fail(lsm_env *env, unsigned mask, uint64_t nth, lsm_rc rc, unsigned flags);
void env_fault_clear(lsm_env *env); /* nothing fails; counts are kept */

uint64_t env_fault_calls(lsm_env *env); /* in the mask, since env_fault_fail() */
uint64_t env_fault_fired(lsm_env *env); /* failures, since env_fault_fail() */
uint64_t env_fault_syncs(lsm_env *env); /* sync and sync_dir, since new */

/* The wall clock (time_us) stands at US from now on; 0: it is the wrapped one's. */
void env_fault_set_time(lsm_env *env, uint64_t us);

/* fn(arg, env, n, after) is called before (after = false) and after each sync
** and sync_dir that is not made to fail, n counting them from 1; no lock is
** held, so it may call env_fault_crash(). NULL: none. */
typedef void (*env_fault_hook)(void *arg, lsm_env *env, uint64_t n, bool after);
void env_fault_on_sync(lsm_env *env, env_fault_hook fn, void *arg);

/* What a crash now would leave, as an environment of its own: another
** env_fault over memory, to be freed with env_fault_free(), in which all is
** durable. The same SEED gives the same image. */
lsm_rc env_fault_crash(lsm_env *env, env_fault_mode mode, uint64_t seed, lsm_env **image);

#endif
