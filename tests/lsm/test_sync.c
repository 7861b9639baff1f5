/* test_sync.c: mutexes exclude, conditions wake and time out, and debug builds
** stop at a wrong order of locks. */
#define _POSIX_C_SOURCE 200809L /* fork, clock_gettime */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sync.h"

Suite *sync_suite(void);

static uint64_t now_us(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/*-------------------------------------------------------------- excluding */

typedef struct shared {
  lsm_mutex mu;
  lsm_cond turned;
  int counter; /* guarded by mu */
  int turn;    /* guarded by mu */
} shared;

static void shared_init(shared *s) {
  memset(s, 0, sizeof *s);
  ck_assert_int_eq(lsm_mutex_init(&s->mu, LSM_RANK_DB), LSM_OK);
  ck_assert_int_eq(lsm_cond_init(&s->turned), LSM_OK);
}

static void shared_fini(shared *s) {
  lsm_cond_fini(&s->turned);
  lsm_mutex_fini(&s->mu);
}

static void *add_many(void *arg) {
  shared *s = arg;
  for (int i = 0; i < 20000; i++) {
    lsm_mutex_lock(&s->mu);
    lsm_mutex_assert_held(&s->mu);
    s->counter++;
    lsm_mutex_unlock(&s->mu);
  }
  return NULL;
}

START_TEST(mutex_excludes) {
  shared s;
  pthread_t t[4];
  shared_init(&s);
  for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&t[i], NULL, add_many, &s), 0);
  for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
  ck_assert_int_eq(s.counter, 80000);
  shared_fini(&s);
}
END_TEST

/* Two threads take turns; each waits for the other. */
typedef struct player {
  shared *s;
  int me;
  bool timed;
} player;

static void *play(void *arg) {
  player *p = arg;
  lsm_mutex_lock(&p->s->mu);
  for (int i = 0; i < 500; i++) {
    while (p->s->turn != p->me) {
      if (p->timed) {
        lsm_cond_wait_us(&p->s->turned, &p->s->mu, 50000);
      } else {
        lsm_cond_wait(&p->s->turned, &p->s->mu);
      }
      lsm_mutex_assert_held(&p->s->mu);
    }
    p->s->counter++;
    p->s->turn = !p->me;
    lsm_cond_broadcast(&p->s->turned);
  }
  lsm_mutex_unlock(&p->s->mu);
  return NULL;
}

START_TEST(conditions_wake) {
  shared s;
  shared_init(&s);
  player a = {&s, 0, _i == 1}, b = {&s, 1, false};
  pthread_t ta, tb;
  ck_assert_int_eq(pthread_create(&ta, NULL, play, &a), 0);
  ck_assert_int_eq(pthread_create(&tb, NULL, play, &b), 0);
  pthread_join(ta, NULL);
  pthread_join(tb, NULL);
  ck_assert_int_eq(s.counter, 1000);
  shared_fini(&s);
}
END_TEST

START_TEST(conditions_time_out) {
  shared s;
  shared_init(&s);
  lsm_mutex_lock(&s.mu);
  uint64_t least = UINT64_MAX;
  /* The machine may stop for a while, but not each time. */
  for (int tries = 0; tries < 10 && least >= 5000000; tries++) {
    uint64_t start = now_us();
    /* A wait may end early: until it has taken long enough, a few times. */
    int waits = 0;
    while (now_us() - start < 15000 && waits++ < 1000) lsm_cond_wait_us(&s.turned, &s.mu, 20000);
    ck_assert_int_lt(waits, 1000);
    if (now_us() - start < least) least = now_us() - start;
  }
  ck_assert_uint_lt(least, 5000000);
  lsm_mutex_assert_held(&s.mu);
  lsm_cond_wait_us(&s.turned, &s.mu, 0);
  lsm_mutex_unlock(&s.mu);
  shared_fini(&s);
}
END_TEST

/* The longest wait there is still wakes when told. */
static void *poke(void *arg) {
  shared *s = arg;
  lsm_mutex_lock(&s->mu);
  s->turn = 1;
  lsm_cond_broadcast(&s->turned);
  lsm_mutex_unlock(&s->mu);
  return NULL;
}

START_TEST(conditions_wait_long) {
  shared s;
  pthread_t t;
  shared_init(&s);
  lsm_mutex_lock(&s.mu);
  ck_assert_int_eq(pthread_create(&t, NULL, poke, &s), 0);
  while (s.turn == 0) lsm_cond_wait_us(&s.turned, &s.mu, UINT64_MAX);
  lsm_mutex_unlock(&s.mu);
  pthread_join(t, NULL);
  shared_fini(&s);
}
END_TEST

/*------------------------------------------------------------------ ranks */

static lsm_mutex low, high, high2;
static lsm_cond cond;

static void ranks_init(void) {
  ck_assert_int_eq(lsm_mutex_init(&low, LSM_RANK_DB), LSM_OK);
  ck_assert_int_eq(lsm_mutex_init(&high, LSM_RANK_CACHE), LSM_OK);
  ck_assert_int_eq(lsm_mutex_init(&high2, LSM_RANK_CACHE), LSM_OK);
  ck_assert_int_eq(lsm_cond_init(&cond), LSM_OK);
}

static void ranks_fini(void) {
  lsm_cond_fini(&cond);
  lsm_mutex_fini(&low);
  lsm_mutex_fini(&high);
  lsm_mutex_fini(&high2);
}

START_TEST(ranks_that_rise) {
  ranks_init();
  for (int i = 0; i < 2; i++) {
    lsm_mutex_lock(&low);
    lsm_mutex_lock(&high);
    lsm_mutex_unlock(&high);
    lsm_mutex_lock(&high2); /* same rank, but one after the other */
    lsm_mutex_assert_held(&low);
    lsm_mutex_assert_held(&high2);
    lsm_mutex_unlock(&low); /* released in any order */
    lsm_mutex_unlock(&high2);
    lsm_mutex_lock(&low);
    lsm_mutex_lock(&high);
    lsm_cond_wait_us(&cond, &high, 1); /* keeps both */
    lsm_mutex_assert_held(&low);
    lsm_mutex_assert_held(&high);
    lsm_mutex_unlock(&high);
    lsm_mutex_unlock(&low);
  }
  ranks_fini();
}
END_TEST

#ifdef LSM_DEBUG

static void falling(void) {
  lsm_mutex_lock(&high);
  lsm_mutex_lock(&low);
}
static void same_rank(void) {
  lsm_mutex_lock(&high);
  lsm_mutex_lock(&high2);
}
static void twice(void) {
  lsm_mutex_lock(&high);
  lsm_mutex_lock(&high);
}
static void unlock_unheld(void) {
  lsm_mutex_unlock(&high);
}
static void unlock_other(void) {
  lsm_mutex_lock(&high);
  lsm_mutex_unlock(&high2);
}
static void assert_unheld(void) {
  lsm_mutex_assert_held(&high);
}
static void assert_released(void) {
  lsm_mutex_lock(&high);
  lsm_mutex_unlock(&high);
  lsm_mutex_assert_held(&high);
}
static void wait_unheld(void) {
  lsm_cond_wait_us(&cond, &high, 1);
}
static void wait_below(void) {
  lsm_mutex_lock(&low);
  lsm_mutex_lock(&high);
  lsm_cond_wait_us(&cond, &low, 1);
}
static void falling_after_wait(void) {
  lsm_mutex_lock(&high);
  lsm_cond_wait_us(&cond, &high, 1);
  lsm_mutex_lock(&low);
}

static void (*const wrong[])(void) = {
    falling,       same_rank,       twice,       unlock_unheld, unlock_other,
    assert_unheld, assert_released, wait_unheld, wait_below,    falling_after_wait};
enum { WRONG = sizeof wrong / sizeof wrong[0] };

/* In a process of its own, whatever the runner does. */
START_TEST(ranks_that_fall) {
  ranks_init();
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    signal(SIGABRT, SIG_DFL);
    close(STDERR_FILENO); /* the assertion's text is no news */
    alarm(120); /* one that locks for ever fails too */
    wrong[_i]();
    _exit(0);
  }
  int status = 0;
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert(WIFSIGNALED(status));
  ck_assert_int_eq(WTERMSIG(status), SIGABRT);
  ranks_fini();
}
END_TEST

#endif

Suite *sync_suite(void) {
  Suite *s = suite_create("sync");
  TCase *t = tcase_create("sync");
  suite_add_tcase(s, t);
  tcase_set_timeout(t, 180);
  tcase_add_test(t, mutex_excludes);
  tcase_add_loop_test(t, conditions_wake, 0, 2);
  tcase_add_test(t, conditions_time_out);
  tcase_add_test(t, conditions_wait_long);
  tcase_add_test(t, ranks_that_rise);
#ifdef LSM_DEBUG
  tcase_add_loop_test(t, ranks_that_fall, 0, WRONG);
#endif
  return s;
}
