/* WRITER, a word in shared memory: who has it is killed at every step, and its slot gets
** another process. */
#include <stdatomic.h>
#include <stdlib.h>

#include "share.h"
#include "store.h"

static lsm_env *env;

static void setup(void) {
  ck_lsm(lsm_env_mem_new(&env));
  ck_lsm(env->mkdir(env, "/words"));
}

static void teardown(void) { lsm_env_mem_free(env); }

/* An environment in which something can happen after the nth call of a lock, and whose
** time passes in sleep alone. */
typedef struct hooked {
  lsm_env base;
  lsm_env *inner;
  uint64_t calls, at; /* 0: never */
  void (*fn)(void *arg);
  void *arg;
  uint64_t now, sleeps;
} hooked;

typedef struct hooked_file {
  lsm_file base;
  hooked *h;
  lsm_file *inner;
} hooked_file;

static lsm_rc hooked_lock(lsm_file *f, uint64_t off, uint64_t len, lsm_lock mode) {
  hooked_file *hf = (hooked_file *)f;
  lsm_rc rc = hf->inner->ops->lock(hf->inner, off, len, mode);
  if (++hf->h->calls == hf->h->at) hf->h->fn(hf->h->arg);
  return rc;
}

static void hooked_close(lsm_file *f) {
  lsm_file_close(((hooked_file *)f)->inner);
  free(f);
}

static const lsm_file_ops hooked_ops = {.lock = hooked_lock, .close = hooked_close};

static lsm_rc hooked_open(lsm_env *e, const char *path, int flags, lsm_file **file) {
  hooked *h = e->ctx;
  hooked_file *f = calloc(1, sizeof(*f));
  ck_assert_ptr_nonnull(f);
  f->base.ops = &hooked_ops;
  f->h = h;
  ck_lsm(h->inner->open(h->inner, path, flags, &f->inner));
  *file = &f->base;
  return LSM_OK;
}

static lsm_rc hooked_shm_map(lsm_env *e, const char *path, size_t size, void **mem) {
  hooked *h = e->ctx;
  return h->inner->shm_map(h->inner, path, size, mem);
}

static void hooked_shm_unmap(lsm_env *e, void *mem, size_t size) {
  hooked *h = e->ctx;
  h->inner->shm_unmap(h->inner, mem, size);
}

static uint64_t hooked_now(lsm_env *e) { return ((hooked *)e->ctx)->now; }

static void hooked_sleep(lsm_env *e, uint64_t us) {
  hooked *h = e->ctx;
  h->now += us;
  h->sleeps++;
}

static void hook(hooked *h, lsm_env *inner) {
  memset(h, 0, sizeof(*h));
  h->inner = inner;
  h->now = inner->now_us(inner);
  h->base.ctx = h;
  h->base.open = hooked_open;
  h->base.shm_map = hooked_shm_map;
  h->base.shm_unmap = hooked_shm_unmap;
  h->base.now_us = hooked_now;
  h->base.sleep_us = hooked_sleep;
}

static lsm_share *attach(lsm_env *e) {
  lsm_share *sh = NULL;
  bool alone;
  ck_lsm(lsm_share_open(e, "/words", true, &sh));
  ck_lsm(lsm_share_attach(sh, &alone));
  lsm_share_opened(sh);
  return sh;
}

/* Its locks go, and nothing else. */
static void kill_process(lsm_share *sh) {
  enum { PAGE = 4096 };
  static uint8_t then[PAGE];
  void *page = NULL;
  ck_lsm(env->shm_map(env, "/words/SHM", PAGE, &page));
  memcpy(then, page, PAGE);
  lsm_share_close(sh);
  memcpy(page, then, PAGE);
  env->shm_unmap(env, page, PAGE);
}

/* A process that has WRITER dies: who wants it next takes it over, and so does who
** gets the dead one's slot. */
START_TEST(test_dead_writer) {
  enum { PAGE = 4096 };
  lsm_share *a = NULL, *b = NULL, *c = NULL;
  bool alone = false;
  void *page = NULL;
  static uint8_t then[PAGE];
  ck_lsm(lsm_share_open(env, "/words", true, &a));
  ck_lsm(lsm_share_attach(a, &alone));
  lsm_share_opened(a);
  ck_lsm(env->shm_map(env, "/words/SHM", PAGE, &page));
  for (int round = 0; round < 3; round++) {
    ck_lsm(lsm_share_open(env, "/words", false, &b));
    ck_lsm(lsm_share_attach(b, &alone));
    lsm_share_opened(b);
    ck_lsm(lsm_share_lock(b, LSM_SHARE_WRITER, 0, NULL));
    ck_assert(!lsm_share_try(a, LSM_SHARE_WRITER));
    memcpy(then, page, PAGE);
    lsm_share_close(b);
    memcpy(page, then, PAGE); /* as if it had not had the time */
    if (round > 0) {
      ck_lsm(lsm_share_open(env, "/words", false, &c));
      ck_lsm(lsm_share_attach(c, &alone));
      lsm_share_opened(c);
      if (round == 2) ck_assert(lsm_share_try(c, LSM_SHARE_WRITER));
      ck_assert(lsm_share_try(a, LSM_SHARE_WRITER) == (round == 1));
      lsm_share_unlock(c, LSM_SHARE_WRITER); /* in round 1 it is not its own */
      ck_assert(lsm_share_try(a, LSM_SHARE_WRITER));
      ck_assert(!lsm_share_try(c, LSM_SHARE_WRITER));
      lsm_share_close(c);
    }
    ck_lsm(lsm_share_lock(a, LSM_SHARE_WRITER, 0, NULL));
    lsm_share_unlock(a, LSM_SHARE_WRITER);
  }
  env->shm_unmap(env, page, PAGE);
  lsm_share_close(a);
}
END_TEST

/* Taken in either way, free in between; what is free is taken at once, without a call. */
START_TEST(test_writer_needs_no_calls) {
  hooked h;
  hook(&h, env);
  lsm_share *a = attach(&h.base), *b = attach(env);
  h.calls = 0;
  for (int i = 0; i < 5; i++) {
    ck_assert(lsm_share_take_free(a));
    ck_assert(!lsm_share_take_free(b) && !lsm_share_take_free(a));
    lsm_share_unlock(b, LSM_SHARE_WRITER); /* it is not its own */
    ck_assert(!lsm_share_take_free(b));
    lsm_share_unlock(a, LSM_SHARE_WRITER);
    ck_lsm(lsm_share_lock(a, LSM_SHARE_WRITER, 0, NULL));
    ck_assert(!lsm_share_take_free(b));
    lsm_share_unlock(a, LSM_SHARE_WRITER);
  }
  ck_assert_uint_eq(h.calls, 0);
  /* When somebody else wants it, the way is the one that lets him have it. */
  ck_lsm(lsm_share_lock(a, LSM_SHARE_WRITER, 0, NULL));
  ck_assert_int_eq(lsm_share_lock(b, LSM_SHARE_WRITER, 0, NULL), LSM_BUSY);
  lsm_share_unlock(a, LSM_SHARE_WRITER);
  ck_assert(!lsm_share_take_free(a));
  lsm_share_close(a);
  lsm_share_close(b);
}
END_TEST

/* Who waits sleeps, and looks a few times only. */
START_TEST(test_waiting_for_writer) {
  hooked h;
  hook(&h, env);
  lsm_share *a = attach(env), *b = attach(&h.base);
  ck_lsm(lsm_share_lock(a, LSM_SHARE_WRITER, 0, NULL));
  h.calls = 0;
  ck_assert_int_eq(lsm_share_lock(b, LSM_SHARE_WRITER, 1000000, NULL), LSM_BUSY);
  ck_assert_uint_le(h.calls, 1000000 / 800 + 10);
  ck_assert_uint_eq(h.sleeps + 1, h.calls); /* each look but the last is slept over */
  lsm_share_close(a);
  lsm_share_close(b);
}
END_TEST

/* The next thing that happens to the dead writer's slot, while somebody looks at it. */
typedef struct successor {
  lsm_env *e;
  lsm_share *sh;
  int what; /* 0: only attaches, 1: and takes WRITER, 2: and is killed with it */
} successor;

static void succeed(void *arg) {
  successor *s = arg;
  s->sh = attach(s->e);
  if (s->what > 0) ck_lsm(lsm_share_lock(s->sh, LSM_SHARE_WRITER, 0, NULL));
  if (s->what < 2) return;
  kill_process(s->sh);
  s->sh = NULL;
}

/* Between the look at a dead writer's slot and the taking over another process gets the
** slot, and WRITER, perhaps: it is not taken from that one. */
START_TEST(test_slot_changes_hands) {
  hooked h;
  hook(&h, env);
  lsm_share *dead = attach(env), *a = attach(&h.base);
  successor s = {env, NULL, _i};
  ck_lsm(lsm_share_lock(dead, LSM_SHARE_WRITER, 0, NULL));
  kill_process(dead); /* its slot is the first that is free */
  h.fn = succeed;
  h.arg = &s;
  h.calls = 0;
  h.at = 2; /* it has been locked, and unlocked */
  ck_assert(lsm_share_try(a, LSM_SHARE_WRITER) == (_i != 1));
  ck_assert_uint_ge(h.calls, 2);
  if (_i == 1) {
    ck_assert(lsm_share_try(s.sh, LSM_SHARE_WRITER)); /* still its own */
    lsm_share_unlock(s.sh, LSM_SHARE_WRITER);
    ck_assert(lsm_share_try(a, LSM_SHARE_WRITER));
  }
  if (s.sh != NULL) ck_assert(!lsm_share_try(s.sh, LSM_SHARE_WRITER));
  lsm_share_unlock(a, LSM_SHARE_WRITER);
  if (s.sh != NULL) ck_assert(lsm_share_try(s.sh, LSM_SHARE_WRITER));
  lsm_share_close(s.sh);
  ck_assert(lsm_share_try(a, LSM_SHARE_WRITER));
  lsm_share_close(a);
}
END_TEST

static lsm_share *a_dead_one;

static void die(void *arg) {
  (void)arg;
  kill_process(a_dead_one);
}

/* It dies while one waits; while one gets its slot; and the one who gets its slot dies before
** it has given anything back. */
START_TEST(test_writer_dies_meanwhile) {
  hooked h;
  hook(&h, env);
  a_dead_one = attach(env);
  lsm_share *a = attach(&h.base);
  ck_lsm(lsm_share_lock(a_dead_one, LSM_SHARE_WRITER, 0, NULL));
  h.calls = 0;
  h.at = 3;
  h.fn = die;
  ck_lsm(lsm_share_lock(a, LSM_SHARE_WRITER, 1000000, NULL));
  lsm_share_unlock(a, LSM_SHARE_WRITER);

  a_dead_one = attach(env);
  ck_lsm(lsm_share_lock(a_dead_one, LSM_SHARE_WRITER, 0, NULL));
  kill_process(a_dead_one);
  bool alone;
  ck_lsm(lsm_share_open(env, "/words", false, &a_dead_one));
  uint64_t word[512];
  void *page = NULL;
  ck_lsm(env->shm_map(env, "/words/SHM", sizeof(word), &page));
  memcpy(word, page, sizeof(word));
  ck_lsm(lsm_share_attach(a_dead_one, &alone));
  lsm_share_close(a_dead_one);
  memcpy(page, word, sizeof(word)); /* it had its slot's lock, and no more */
  env->shm_unmap(env, page, sizeof(word));
  ck_assert(lsm_share_try(a, LSM_SHARE_WRITER));
  lsm_share_unlock(a, LSM_SHARE_WRITER);
  lsm_share_close(a);
}
END_TEST

/* Several find the dead one's WRITER at once: one has it at a time. */
typedef struct taker {
  lsm_share *sh;
  _Atomic int *inside;
  _Atomic bool *twice;
  int taken;
} taker;

static void take_often(void *arg) {
  taker *t = arg;
  for (int i = 0; i < 300; i++) {
    bool fast = i % 2 == 0 && lsm_share_take_free(t->sh);
    if (!fast && lsm_share_lock(t->sh, LSM_SHARE_WRITER, 10000000, NULL) != LSM_OK) break;
    if (atomic_fetch_add(t->inside, 1) != 0) atomic_store(t->twice, true);
    t->taken++;
    atomic_fetch_sub(t->inside, 1);
    lsm_share_unlock(t->sh, LSM_SHARE_WRITER);
  }
}

START_TEST(test_one_at_a_time) {
  enum { TAKERS = 4 };
  _Atomic int inside = 0;
  _Atomic bool twice = false;
  taker t[TAKERS];
  lsm_thread *thread[TAKERS];
  lsm_share *dead = attach(env);
  for (int i = 0; i < TAKERS; i++) t[i] = (taker){attach(env), &inside, &twice, 0};
  ck_lsm(lsm_share_lock(dead, LSM_SHARE_WRITER, 0, NULL));
  kill_process(dead);
  for (int i = 0; i < TAKERS; i++) ck_lsm(env->thread_start(env, take_often, &t[i], &thread[i]));
  for (int i = 0; i < TAKERS; i++) {
    env->thread_join(env, thread[i]);
    ck_assert_int_eq(t[i].taken, 300);
  }
  ck_assert(!atomic_load(&twice));
  for (int i = 0; i < TAKERS; i++) lsm_share_close(t[i].sh);
}
END_TEST

Suite *share_writer_suite(void);
Suite *share_writer_suite(void) {
  Suite *s = suite_create("share_writer");
  TCase *tc = tcase_create("share_writer");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, test_dead_writer);
  tcase_add_test(tc, test_writer_needs_no_calls);
  tcase_add_test(tc, test_waiting_for_writer);
  tcase_add_loop_test(tc, test_slot_changes_hands, 0, 3);
  tcase_add_test(tc, test_writer_dies_meanwhile);
  tcase_add_test(tc, test_one_at_a_time);
  suite_add_tcase(s, tc);
  return s;
}
