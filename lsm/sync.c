/* sync.c: mutexes that know their rank, over pthreads.
**
** Holds    with LSM_DEBUG: a thread takes ranks in strictly rising order, so
**          two mutexes of one rank are never held together; each thread keeps
**          the set of ranks it holds. Without LSM_DEBUG these are the bare
**          pthread calls. */
#if !defined(_POSIX_C_SOURCE) && !defined(__APPLE__)
#define _POSIX_C_SOURCE 200809L /* pthread_condattr_setclock */
#endif

#include "sync.h"

#include <time.h>

/* Longer waits end early, which lsm_cond_wait_us() may do. */
static const uint64_t MAX_WAIT_US = 3600 * (uint64_t)1000000;

/*------------------------------------------------------------ bookkeeping */

#ifdef LSM_DEBUG

static _Thread_local unsigned held_ranks; /* bit r: a mutex of rank r */

static bool is_mine(lsm_mutex *m) {
  if ((held_ranks & 1u << m->rank) == 0) return false;
  return atomic_load_explicit(&m->held, memory_order_relaxed) &&
         pthread_equal(m->owner, pthread_self());
}

/* Equal ranks are refused as well as lower ones. */
static void before_lock(lsm_mutex *m) {
  assert(held_ranks >> m->rank == 0 && "lock order");
}

static void after_lock(lsm_mutex *m) {
  held_ranks |= 1u << m->rank;
  m->owner = pthread_self();
  atomic_store_explicit(&m->held, true, memory_order_relaxed);
}

static void before_unlock(lsm_mutex *m) {
  assert(is_mine(m) && "unlock of a mutex that this thread does not hold");
  atomic_store_explicit(&m->held, false, memory_order_relaxed);
  held_ranks &= ~(1u << m->rank);
}

/* Waking up takes m again, below whatever of a higher rank is still held. */
static void before_wait(lsm_mutex *m) {
  before_unlock(m);
  assert(held_ranks >> m->rank == 0 && "wait while holding a higher rank");
}

#else

static void before_lock(lsm_mutex *m) {
  (void)m;
}
static void after_lock(lsm_mutex *m) {
  (void)m;
}
static void before_unlock(lsm_mutex *m) {
  (void)m;
}
static void before_wait(lsm_mutex *m) {
  (void)m;
}

#endif

/* Pthread calls that can only fail when they are misused. */
static void must(int err) {
  assert(err == 0);
  (void)err;
}

/*---------------------------------------------------------------- mutexes */

lsm_rc lsm_mutex_init(lsm_mutex *m, lsm_rank rank) {
  if (pthread_mutex_init(&m->m, NULL) != 0) return lsm_nomem();
  m->rank = rank;
  atomic_init(&m->held, false);
  m->owner = pthread_self();
  return LSM_OK;
}

void lsm_mutex_fini(lsm_mutex *m) {
  must(pthread_mutex_destroy(&m->m));
}

void lsm_mutex_lock(lsm_mutex *m) {
  before_lock(m);
  must(pthread_mutex_lock(&m->m));
  after_lock(m);
}

void lsm_mutex_unlock(lsm_mutex *m) {
  before_unlock(m);
  must(pthread_mutex_unlock(&m->m));
}

void lsm_mutex_assert_held(lsm_mutex *m) {
#ifdef LSM_DEBUG
  assert(is_mine(m) && "a lock that is required is not held");
#else
  (void)m;
#endif
}

/*---------------------------------------------------- condition variables */

lsm_rc lsm_cond_init(lsm_cond *c) {
#ifdef __APPLE__
  return pthread_cond_init(&c->c, NULL) == 0 ? LSM_OK : lsm_nomem();
#else
  pthread_condattr_t attr;
  if (pthread_condattr_init(&attr) != 0) return lsm_nomem();
  int err = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  if (err == 0) err = pthread_cond_init(&c->c, &attr);
  pthread_condattr_destroy(&attr);
  return err == 0 ? LSM_OK : lsm_nomem();
#endif
}

void lsm_cond_fini(lsm_cond *c) {
  must(pthread_cond_destroy(&c->c));
}

void lsm_cond_wait(lsm_cond *c, lsm_mutex *m) {
  before_wait(m);
  must(pthread_cond_wait(&c->c, &m->m));
  after_lock(m);
}

void lsm_cond_wait_us(lsm_cond *c, lsm_mutex *m, uint64_t us) {
  if (us > MAX_WAIT_US) us = MAX_WAIT_US;
  struct timespec ts = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
  before_wait(m);
#ifdef __APPLE__
  (void)pthread_cond_timedwait_relative_np(&c->c, &m->m, &ts);
#else
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  ts.tv_sec += now.tv_sec;
  ts.tv_nsec += now.tv_nsec;
  if (ts.tv_nsec >= 1000000000) {
    ts.tv_sec++;
    ts.tv_nsec -= 1000000000;
  }
  (void)pthread_cond_timedwait(&c->c, &m->m, &ts); /* a timeout is no error */
#endif
  after_lock(m);
}

void lsm_cond_broadcast(lsm_cond *c) {
  must(pthread_cond_broadcast(&c->c));
}
