/* share.c: what the processes that have a store open tell each other. */
#include "share.h"

#include "filename.h"
#include "sync.h"

#define OPEN_WAIT_US 10000000u
#define POLL_MIN_US 50u    /* between tries for a lock; doubles */
#define POLL_MAX_US 800u
#define TURN_US 4000u      /* for which a process may take WRITER again and again */
#define WANTED_US 20000u   /* for which a try in vain is believed to go on */
#define YIELD_US 2000u     /* for which the one whose turn is over stands back */
#define FIRST_SLOT 16      /* its byte in LOCK */

/* The content of SHM. Atomics of 8 bytes are the same for all processes. */
typedef struct page {
  _Atomic uint64_t magic;
  _Atomic uint64_t log;
  _Atomic uint64_t manifest;
  _Atomic uint64_t next_file;
  _Atomic uint64_t dirty;
  _Atomic uint64_t remake;
  _Atomic uint64_t broken;
  _Atomic uint64_t decided;
  _Atomic uint64_t owed;
  _Atomic uint64_t turn; /* slot + 1 */
  _Atomic uint64_t since;
  _Atomic uint64_t wanted;
  _Atomic uint64_t hosts;
  _Atomic uint64_t writer; /* slot + 1 of who has WRITER, or 0; above it a count of takings */
  struct {
    _Atomic uint64_t min;
    uint64_t unused[6]; /* each process writes its own all the time: in other cache lines */
  } slot[LSM_SHARE_SLOTS];
} page;

#define MAGIC UINT64_C(0x354d48534d534c) /* "LSMSHM5" */
#define PAGE_SIZE 4096u
_Static_assert(sizeof(page) <= PAGE_SIZE, "SHM is one page");

struct lsm_share {
  lsm_env *env;
  lsm_file *lock;
  page *p;
  int slot; /* -1: none */
  lsm_mutex look_mu; /* held by a thread that has another slot locked: the lock is its process' */
};

static lsm_rc lock_byte(lsm_share *sh, uint64_t byte, lsm_lock mode) {
  return sh->lock->ops->lock(sh->lock, byte, 1, mode);
}

/* LSM_BUSY: the process of the slot lives. Else there is none: its lock went with it, and
** the system lets go of a process' files only when all its threads have stopped. */
static lsm_rc look_at_slot(lsm_share *sh, int slot) {
  lsm_mutex_lock(&sh->look_mu);
  lsm_rc rc = lock_byte(sh, (uint64_t)(FIRST_SLOT + slot), LSM_LOCK_EXCLUSIVE);
  if (rc == LSM_OK) (void)lock_byte(sh, (uint64_t)(FIRST_SLOT + slot), LSM_UNLOCK);
  lsm_mutex_unlock(&sh->look_mu);
  return rc;
}

/* WRITER is taken for each transaction. So it is no lock of the system's but a word in
** SHM, which costs no system call as long as nobody else has it. It names the slot of
** who has it: from the moment it is taken until it is given back, there is nothing else
** to be done, so a process can be killed at any instant. Who finds it taken by a process
** that is dead takes it over; who takes the dead one's slot gives it back.
**
** The count above the slot makes each taking another word: else one of the slot's next
** process could be mistaken for the dead one's, between the look at the slot and the
** exchange, and be taken from a process that lives. */
#define HOLDER_BITS 8
#define HOLDER_MASK ((UINT64_C(1) << HOLDER_BITS) - 1)
_Static_assert(LSM_SHARE_SLOTS < HOLDER_MASK, "a slot, and none, fit");

static uint64_t own_holder(const lsm_share *sh) { return (uint64_t)sh->slot + 1; }

/* From NOW, which nobody has, or a dead process: false if it has changed since, NOW is
** then what it is. */
static bool exchange_writer(lsm_share *sh, uint64_t *now) {
  uint64_t next = ((*now >> HOLDER_BITS) + 1) << HOLDER_BITS | own_holder(sh);
  return atomic_compare_exchange_strong(&sh->p->writer, now, next);
}

lsm_rc lsm_share_check(const lsm_share *sh) {
  if (atomic_load(&sh->p->magic) == MAGIC) return LSM_OK;
  return lsm_fail(LSM_MISUSE, "the store was opened by another process, before a fork");
}

/* At once or LSM_BUSY. */
static lsm_rc take_writer(lsm_share *sh) {
  lsm_rc rc = lsm_share_check(sh);
  uint64_t now = atomic_load(&sh->p->writer);
  while (rc == LSM_OK) {
    uint64_t holder = now & HOLDER_MASK;
    if (holder == own_holder(sh)) return LSM_OK; /* as with the locks: see share.h */
    if (holder != 0) rc = look_at_slot(sh, (int)holder - 1);
    if (rc == LSM_OK && exchange_writer(sh, &now)) return LSM_OK;
  }
  return rc;
}

/* Of this slot: by who has it, or, by who takes the slot, of a dead one before. */
static void give_writer_back(lsm_share *sh) {
  uint64_t now = atomic_load(&sh->p->writer);
  while ((now & HOLDER_MASK) == own_holder(sh) &&
         !atomic_compare_exchange_strong(&sh->p->writer, &now, now & ~HOLDER_MASK)) {}
}

static lsm_rc try_lock(lsm_share *sh, lsm_share_lock_id id) {
  return id == LSM_SHARE_WRITER ? take_writer(sh)
                                : lock_byte(sh, (uint64_t)id, LSM_LOCK_EXCLUSIVE);
}

/* Locks know no queue: who gives one back and takes it again at once would win
** for ever against those who poll. So after its turn it waits till another one
** came by, or nobody did. */
static void give_way(lsm_share *sh) {
  lsm_env *env = sh->env;
  uint64_t me = own_holder(sh);
  if (atomic_load(&sh->p->wanted) == 0 || atomic_load(&sh->p->turn) != me) return;
  uint64_t now = env->now_us(env), until = now + YIELD_US;
  if (now < atomic_load(&sh->p->since) + TURN_US ||
      now > atomic_load(&sh->p->wanted) + WANTED_US) {
    return;
  }
  while (now < until && atomic_load(&sh->p->turn) == me) {
    env->sleep_us(env, POLL_MIN_US);
    now = env->now_us(env);
  }
  if (now >= until) atomic_store(&sh->p->since, now);
}

/* WRITER is ours. */
static void note_turn(lsm_share *sh) {
  uint64_t me = own_holder(sh);
  if (atomic_load(&sh->p->turn) == me) return;
  atomic_store(&sh->p->since, sh->env->now_us(sh->env));
  atomic_store(&sh->p->turn, me);
}

bool lsm_share_take_free(lsm_share *sh) {
  uint64_t wanted = atomic_load(&sh->p->wanted), now = atomic_load(&sh->p->writer);
  if ((now & HOLDER_MASK) != 0 || lsm_share_check(sh) != LSM_OK) return false;
  if (wanted != 0 && sh->env->now_us(sh->env) <= wanted + WANTED_US) return false;
  if (!exchange_writer(sh, &now)) return false;
  note_turn(sh);
  return true;
}

lsm_rc lsm_share_lock(lsm_share *sh, lsm_share_lock_id id, uint64_t wait_us,
                      const lsm_interrupt *intr) {
  uint64_t start = 0, pause = POLL_MIN_US;
  if (id == LSM_SHARE_WRITER) give_way(sh);
  for (;;) {
    lsm_rc rc = try_lock(sh, id);
    if (rc == LSM_OK && id == LSM_SHARE_WRITER) note_turn(sh);
    if (rc != LSM_BUSY) return rc;
    uint64_t now = sh->env->now_us(sh->env);
    if (id == LSM_SHARE_WRITER) atomic_store(&sh->p->wanted, now);
    if (start == 0) start = now;
    if (now - start >= wait_us) return rc;
    if (intr != NULL && intr->fn != NULL && intr->fn(intr->arg)) {
      return lsm_fail(LSM_INTERRUPT, "interrupted");
    }
    sh->env->sleep_us(sh->env, pause);
    if (pause < POLL_MAX_US) pause *= 2;
  }
}

bool lsm_share_try(lsm_share *sh, lsm_share_lock_id id) {
  return try_lock(sh, id) == LSM_OK;
}

void lsm_share_unlock(lsm_share *sh, lsm_share_lock_id id) {
  if (id == LSM_SHARE_WRITER) {
    give_writer_back(sh);
  } else {
    (void)lock_byte(sh, (uint64_t)id, LSM_UNLOCK); /* it goes with the file at last */
  }
}

lsm_rc lsm_share_open(lsm_env *env, const char *dir, bool create, lsm_share **out) {
  lsm_buf path = {0};
  void *mem = NULL;
  int flags = LSM_OPEN_WRITE | (create ? LSM_OPEN_CREATE : 0);
  *out = NULL;
  lsm_share *sh = lsm_calloc(sizeof(*sh));
  if (sh == NULL) return lsm_nomem();
  sh->env = env;
  sh->slot = -1;
  lsm_rc rc = lsm_mutex_init(&sh->look_mu, LSM_RANK_SHARE);
  if (rc != LSM_OK) {
    lsm_free(sh);
    return rc;
  }
  rc = lsm_filename(&path, dir, LSM_FILE_LOCK, 0);
  if (rc == LSM_OK) rc = env->open(env, (const char *)path.data, flags, &sh->lock);
  if (rc == LSM_OK) rc = lsm_filename(&path, dir, LSM_FILE_SHM, 0);
  if (rc == LSM_OK) rc = env->shm_map(env, (const char *)path.data, PAGE_SIZE, &mem);
  sh->p = mem;
  if (rc == LSM_OK) {
    rc = lsm_share_lock(sh, LSM_SHARE_OPEN, OPEN_WAIT_US, NULL);
    if (rc == LSM_BUSY) rc = lsm_fail(LSM_BUSY, "%s: another process is opening the store", dir);
  }
  lsm_buf_fini(&path);
  if (rc != LSM_OK) {
    lsm_share_close(sh);
    return rc;
  }
  *out = sh;
  return LSM_OK;
}

lsm_rc lsm_share_attach(lsm_share *sh, bool *alone) {
  *alone = true;
  for (int i = 0; i < LSM_SHARE_SLOTS; i++) {
    if (i == sh->slot) continue;
    lsm_rc rc = lock_byte(sh, (uint64_t)(FIRST_SLOT + i), LSM_LOCK_EXCLUSIVE);
    if (rc == LSM_BUSY) {
      *alone = false;
    } else if (rc != LSM_OK) {
      return rc;
    } else if (sh->slot < 0) {
      sh->slot = i;
    } else {
      (void)lock_byte(sh, (uint64_t)(FIRST_SLOT + i), LSM_UNLOCK);
    }
  }
  if (sh->slot < 0) return lsm_fail(LSM_BUSY, "the store is open in too many processes");
  if (*alone) {
    memset(sh->p, 0, sizeof(*sh->p));
    atomic_store(&sh->p->magic, MAGIC);
  } else if (atomic_load(&sh->p->magic) != MAGIC) {
    return lsm_fail(LSM_CANTOPEN, "the store is open in a process of another version");
  }
  give_writer_back(sh);
  lsm_share_set_min(sh, 1);
  return LSM_OK;
}

void lsm_share_opened(lsm_share *sh) { lsm_share_unlock(sh, LSM_SHARE_OPEN); }

void lsm_share_close(lsm_share *sh) {
  if (sh == NULL) return;
  if (sh->slot >= 0 && atomic_load(&sh->p->magic) == MAGIC) {
    give_writer_back(sh);
    lsm_share_set_min(sh, 0);
  }
  if (sh->p != NULL) sh->env->shm_unmap(sh->env, sh->p, PAGE_SIZE);
  lsm_file_close(sh->lock);
  lsm_mutex_fini(&sh->look_mu);
  lsm_free(sh);
}

/*------------------------------------------------------------------ words */

uint64_t lsm_share_log(const lsm_share *sh) { return atomic_load(&sh->p->log); }
void lsm_share_set_log(lsm_share *sh, uint64_t pos) { atomic_store(&sh->p->log, pos); }
uint64_t lsm_share_manifest(const lsm_share *sh) { return atomic_load(&sh->p->manifest); }
void lsm_share_set_manifest(lsm_share *sh, uint64_t pos) { atomic_store(&sh->p->manifest, pos); }
bool lsm_share_dirty(const lsm_share *sh) { return atomic_load(&sh->p->dirty) != 0; }
void lsm_share_set_dirty(lsm_share *sh, bool dirty) { atomic_store(&sh->p->dirty, dirty); }
bool lsm_share_remake(const lsm_share *sh) { return atomic_load(&sh->p->remake) != 0; }
void lsm_share_set_remake(lsm_share *sh, bool remake) { atomic_store(&sh->p->remake, remake); }
uint64_t lsm_share_broken(const lsm_share *sh) { return atomic_load(&sh->p->broken); }
void lsm_share_set_broken(lsm_share *sh, uint64_t log) { atomic_store(&sh->p->broken, log); }
uint64_t lsm_share_decided(const lsm_share *sh) { return atomic_load(&sh->p->decided); }
void lsm_share_set_decided(lsm_share *sh, uint64_t txid) { atomic_store(&sh->p->decided, txid); }
uint64_t lsm_share_owed(const lsm_share *sh) { return atomic_load(&sh->p->owed); }
void lsm_share_set_owed(lsm_share *sh, uint64_t owed) { atomic_store(&sh->p->owed, owed); }
bool lsm_share_hosts(const lsm_share *sh) { return atomic_load(&sh->p->hosts) != 0; }
void lsm_share_set_hosts(lsm_share *sh) { atomic_store(&sh->p->hosts, 1); }
uint64_t lsm_share_new_number(lsm_share *sh) { return atomic_fetch_add(&sh->p->next_file, 1); }
uint64_t lsm_share_next_number(const lsm_share *sh) { return atomic_load(&sh->p->next_file); }

void lsm_share_raise_number(lsm_share *sh, uint64_t next) {
  uint64_t n = atomic_load(&sh->p->next_file);
  while (n < next && !atomic_compare_exchange_weak(&sh->p->next_file, &n, next)) {}
}

void lsm_share_set_min(lsm_share *sh, uint64_t pos) { atomic_store(&sh->p->slot[sh->slot].min, pos); }

/* Has the process of slot I gone past POS? */
static bool is_past(lsm_share *sh, int i, uint64_t pos) {
  uint64_t min = atomic_load(&sh->p->slot[i].min);
  if (min == 0 || min >= pos) return true;
  if (i == sh->slot) return false;
  lsm_mutex_lock(&sh->look_mu);
  bool dead = lock_byte(sh, (uint64_t)(FIRST_SLOT + i), LSM_LOCK_EXCLUSIVE) == LSM_OK;
  if (dead) {
    atomic_store(&sh->p->slot[i].min, 0);
    (void)lock_byte(sh, (uint64_t)(FIRST_SLOT + i), LSM_UNLOCK);
  }
  lsm_mutex_unlock(&sh->look_mu);
  return dead;
}

bool lsm_share_all_past(lsm_share *sh, uint64_t pos) {
  for (int i = 0; i < LSM_SHARE_SLOTS; i++) {
    if (!is_past(sh, i, pos)) return false;
  }
  return true;
}
