/* test_env_fault.c: the environment of the crash tests does what it says: it
** fails the call it was told to, and a crash loses what was not synced, no more
** and, at its worst, no less. */
#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "env_fault.h"

Suite *env_fault_suite(void);

#define ok(expr)        ck_assert_msg((expr) == LSM_OK, "%s", lsm_errmsg())
#define fails(expr, rc) ck_assert_int_eq((expr), (rc))

enum { CREATE = LSM_OPEN_WRITE | LSM_OPEN_CREATE, SECTOR = 512 };

static lsm_env *env;

static void setup(void) {
  ok(env_fault_new(NULL, &env));
  ok(env->mkdir(env, "/d"));
  ok(env->sync_dir(env, "/"));
}

static void teardown(void) {
  env_fault_free(env);
}

static lsm_file *open_file(lsm_env *e, const char *path, int flags) {
  lsm_file *f = NULL;
  ok(e->open(e, path, flags, &f));
  return f;
}

static void put(const char *path, const char *text, bool sync) {
  lsm_file *f = open_file(env, path, CREATE | LSM_OPEN_TRUNCATE);
  ok(lsm_file_write(f, 0, text, strlen(text)));
  if (sync) ok(lsm_file_sync(f));
  lsm_file_close(f);
}

/* What PATH holds in E, "-" when there is none; static. */
static const char *content(lsm_env *e, const char *path) {
  static char text[100];
  lsm_buf buf = {0};
  lsm_rc rc = lsm_env_read_file(e, path, &buf);
  if (rc == LSM_NOTFOUND) {
    strcpy(text, "-");
  } else {
    ok(rc);
    ck_assert_uint_lt(buf.size, sizeof text);
    if (buf.size > 0) memcpy(text, buf.data, buf.size);
    text[buf.size] = '\0';
  }
  lsm_buf_fini(&buf);
  return text;
}

static lsm_env *crash(env_fault_mode mode, uint64_t seed) {
  lsm_env *image = NULL;
  ok(env_fault_crash(env, mode, seed, &image));
  return image;
}

static void expect_after(env_fault_mode mode, const char *path, const char *text) {
  lsm_env *image = crash(mode, 0);
  ck_assert_str_eq(content(image, path), text);
  env_fault_free(image);
}

static void expect_lost(const char *path, const char *kept, const char *left) {
  expect_after(ENV_FAULT_KEEP, path, kept);
  expect_after(ENV_FAULT_DROP, path, left);
}

/*---------------------------------------------------------------- failing */

static lsm_rc none(void *arg, const char *name) {
  (void)arg, (void)name;
  return LSM_OK;
}

/* One call of each kind, in the order of the bits; how many failed with rc. */
static int call_each(lsm_rc rc, unsigned *which) {
  lsm_file *f = NULL, *g = open_file(env, "/d/x", CREATE);
  char c = 'c';
  size_t got;
  uint64_t size;
  bool exists;
  lsm_file_close(open_file(env, "/d/r", CREATE));
  ok(env->mkdir(env, "/d/e"));
  uint64_t before = env_fault_fired(env);
  int failed = 0;
  *which = 0;
#define TRY(kind, call) \
  do {                  \
    lsm_rc r = (call);  \
    if (r != LSM_OK) {  \
      fails(r, rc);     \
      *which |= (kind); \
      failed++;         \
    }                   \
  } while (0)
  TRY(ENV_FAULT_OPEN, env->open(env, "/d/x", LSM_OPEN_READ, &f));
  TRY(ENV_FAULT_READ, lsm_file_read(g, 0, &c, 1, &got));
  TRY(ENV_FAULT_WRITE, lsm_file_write(g, 0, &c, 1));
  TRY(ENV_FAULT_SYNC, lsm_file_sync(g));
  TRY(ENV_FAULT_TRUNCATE, g->ops->truncate(g, 0));
  TRY(ENV_FAULT_SIZE, g->ops->size(g, &size));
  TRY(ENV_FAULT_LOCK, g->ops->lock(g, 0, 1, LSM_LOCK_SHARED));
  TRY(ENV_FAULT_REMOVE, env->remove(env, "/d/r"));
  TRY(ENV_FAULT_RENAME, env->rename(env, "/d/x", "/d/y"));
  TRY(ENV_FAULT_MKDIR, env->mkdir(env, "/d/m"));
  TRY(ENV_FAULT_RMDIR, env->rmdir(env, "/d/e"));
  TRY(ENV_FAULT_LIST, env->list(env, "/d", none, NULL));
  TRY(ENV_FAULT_SYNC_DIR, env->sync_dir(env, "/d"));
  TRY(ENV_FAULT_EXISTS, env->exists(env, "/d", &exists));
#undef TRY
  ck_assert_uint_eq(env_fault_fired(env) - before, (uint64_t)failed);
  lsm_file_close(f);
  lsm_file_close(g);
  return failed;
}

START_TEST(each_kind_fails) {
  setup();
  unsigned which;
  for (unsigned kind = 1; kind < ENV_FAULT_ALL; kind <<= 1) {
    /* Opening and making directories are also done to prepare: count them. */
    uint64_t nth = kind == ENV_FAULT_OPEN ? 3 : kind == ENV_FAULT_MKDIR ? 2 : 1;
    env_fault_fail(env, kind, nth, LSM_FULL, 0);
    ck_assert_int_eq(call_each(LSM_FULL, &which), 1);
    ck_assert_uint_eq(which, kind);
    ck_assert_uint_eq(env_fault_calls(env), nth);
    env_fault_clear(env);
    ck_assert_int_eq(call_each(LSM_FULL, &which), 0);
    ck_assert_uint_eq(env_fault_calls(env), 2 * nth);
  }
  teardown();
}
END_TEST

START_TEST(once_and_sticky) {
  setup();
  lsm_file *f = open_file(env, "/d/a", CREATE);
  env_fault_fail(env, ENV_FAULT_WRITE | ENV_FAULT_SYNC, 3, LSM_IOERR, 0);
  ok(lsm_file_write(f, 0, "a", 1));
  ok(f->ops->truncate(f, 1)); /* not counted */
  ok(lsm_file_sync(f));
  fails(lsm_file_write(f, 1, "b", 1), LSM_IOERR);
  ck_assert_str_eq(lsm_errmsg(), "/d/a: injected failure of write, call 3");
  ok(lsm_file_write(f, 1, "c", 1));
  ck_assert_uint_eq(env_fault_calls(env), 4);
  ck_assert_uint_eq(env_fault_fired(env), 1);
  env_fault_fail(env, ENV_FAULT_CHANGES, 2, LSM_FULL, ENV_FAULT_STICKY);
  ck_assert_uint_eq(env_fault_calls(env), 0);
  ok(lsm_file_write(f, 2, "d", 1));
  fails(lsm_file_write(f, 3, "e", 1), LSM_FULL);
  fails(lsm_file_sync(f), LSM_FULL);
  fails(env->remove(env, "/d/a"), LSM_FULL);
  ck_assert_str_eq(content(env, "/d/a"), "acd"); /* reading goes on */
  env_fault_clear(env);
  ok(lsm_file_write(f, 3, "f", 1));
  ck_assert_uint_eq(env_fault_fired(env), 3);
  expect_lost("/d/a", "acdf", "-");
  ck_assert_uint_eq(env_fault_syncs(env), 2); /* of "/", and the one that worked */
  lsm_file_close(f);
  teardown();
}
END_TEST

START_TEST(short_writes) {
  setup();
  lsm_slice parts[3] = {lsm_slice_str("abc"), LSM_SLICE_NULL, lsm_slice_str("defgh")};
  unsigned lengths = 0;
  lsm_file *f = open_file(env, "/d/a", CREATE);
  for (uint64_t i = 1; i <= 64; i++) {
    ok(f->ops->truncate(f, 0));
    env_fault_fail(env, ENV_FAULT_WRITE, i, LSM_FULL, ENV_FAULT_SHORT);
    for (uint64_t k = 1; k < i; k++) ok(f->ops->writev(f, 0, parts, 0));
    fails(f->ops->writev(f, 0, parts, 3), LSM_FULL);
    const char *got = content(env, "/d/a");
    ck_assert_int_eq(strncmp(got, "abcdefgh", strlen(got)), 0);
    lengths |= 1u << strlen(got);
    expect_after(ENV_FAULT_KEEP, "/d/a", content(env, "/d/a"));
  }
  ck_assert_uint_eq(lengths, 0x1FF); /* 0 to 8 bytes, all were met */
  lsm_file_close(f);
  teardown();
}
END_TEST

/*------------------------------------------------------------- power loss */

START_TEST(content_needs_sync) {
  setup();
  put("/d/a", "one", false);
  expect_lost("/d/a", "one", "-");
  ok(env->sync_dir(env, "/d"));
  expect_lost("/d/a", "one", ""); /* a name, and nothing behind it */
  lsm_file *f = open_file(env, "/d/a", LSM_OPEN_WRITE);
  ok(lsm_file_sync(f));
  expect_lost("/d/a", "one", "one");
  ok(lsm_file_write(f, 1, "xyz", 3));
  expect_lost("/d/a", "oxyz", "one");
  ok(lsm_file_sync(f));
  expect_lost("/d/a", "oxyz", "oxyz");
  ok(f->ops->truncate(f, 1));
  expect_lost("/d/a", "o", "oxyz");
  ok(lsm_file_write(f, 1, "p", 1));
  expect_lost("/d/a", "op", "oxyz");
  ok(lsm_file_sync(f));
  expect_lost("/d/a", "op", "op");
  put("/d/a", "new", false); /* truncated when opened */
  expect_lost("/d/a", "new", "op");
  lsm_file_close(f);
  expect_lost("/d/a", "new", "op"); /* closing is not syncing */
  teardown();
}
END_TEST

START_TEST(names_need_sync) {
  setup();
  put("/d/a", "a", true);
  expect_lost("/d/a", "a", "-"); /* content alone does not do */
  ok(env->sync_dir(env, "/"));   /* nor does another directory */
  expect_lost("/d/a", "a", "-");
  ok(env->sync_dir(env, "/d/"));
  expect_lost("/d/a", "a", "a");
  put("/d/t", "t", true);
  ok(env->rename(env, "/d/t", "/d/a"));
  expect_lost("/d/a", "t", "a");
  expect_lost("/d/t", "-", "-");
  ok(env->sync_dir(env, "/d"));
  expect_lost("/d/a", "t", "t");
  ok(env->remove(env, "/d/a"));
  expect_lost("/d/a", "-", "t");
  put("/d/a", "n", true); /* another file of that name */
  expect_lost("/d/a", "n", "t");
  ok(env->sync_dir(env, "/d"));
  expect_lost("/d/a", "n", "n");
  ok(env->mkdir(env, "/d/e"));
  put("/d/e/f", "f", true);
  ok(env->sync_dir(env, "/d/e"));
  expect_lost("/d/e/f", "f", "-"); /* the directory is not known yet */
  ok(env->sync_dir(env, "/d"));
  expect_lost("/d/e/f", "f", "f");
  ok(env->rename(env, "/d/e/f", "/d/g"));
  expect_lost("/d/e/f", "-", "f");
  ok(env->sync_dir(env, "/d/e"));
  expect_lost("/d/g", "f", "-"); /* between two directories it can get lost */
  ok(env->sync_dir(env, "/d"));
  expect_lost("/d/g", "f", "f");
  ok(env->rmdir(env, "/d/e"));
  ok(env->sync_dir(env, "/d"));
  lsm_env *image = crash(ENV_FAULT_DROP, 0);
  bool exists;
  ok(image->exists(image, "/d/e", &exists));
  ck_assert(!exists);
  env_fault_free(image);
  teardown();
}
END_TEST

START_TEST(relative_and_removed) {
  setup();
  put("rel", "r", true);
  expect_lost("rel", "r", "-");
  ok(env->sync_dir(env, "."));
  expect_lost("rel", "r", "r");
  expect_lost("./rel", "-", "-"); /* spelt otherwise: documented */
  lsm_file *f = open_file(env, "rel", LSM_OPEN_WRITE);
  ok(env->remove(env, "rel"));
  ok(lsm_file_write(f, 1, "x", 1));
  ok(lsm_file_sync(f));
  char buf[4];
  size_t got;
  ok(lsm_file_read(f, 0, buf, sizeof buf, &got));
  ck_assert_uint_eq(got, 2);
  expect_lost("rel", "-", "rx"); /* the removal is what was not synced */
  ok(env->sync_dir(env, ""));
  expect_lost("rel", "-", "-");
  lsm_file_close(f);
  teardown();
}
END_TEST

START_TEST(images_stand_alone) {
  setup();
  put("/d/a", "a", true);
  ok(env->sync_dir(env, "/d"));
  lsm_env *image = crash(ENV_FAULT_DROP, 0), *mine = env;
  put("/d/a", "changed", true);
  ck_assert_str_eq(content(image, "/d/a"), "a");
  env = image;
  expect_lost("/d/a", "a", "a"); /* all of an image is durable */
  put("/d/a", "other", false);
  expect_lost("/d/a", "other", "a"); /* and it goes on as any */
  ck_assert_uint_eq(env_fault_syncs(image), 0);
  env_fault_free(image);
  env = mine;
  ck_assert_str_eq(content(env, "/d/a"), "changed");
  teardown();
}
END_TEST

START_TEST(what_was_there_before) {
  lsm_env *mem;
  lsm_file *f;
  ok(lsm_env_mem_new(&mem));
  ok(mem->mkdir(mem, "/d"));
  static const char *const before[] = {"/d/a", "/d/b", "/d/c", "/d/e"};
  for (int i = 0; i < 4; i++) {
    ok(mem->open(mem, before[i], CREATE, &f));
    ok(lsm_file_write(f, 0, "old", 3));
    lsm_file_close(f);
  }
  ok(env_fault_new(mem, &env));
  put("/d/a", "new", false);
  expect_lost("/d/a", "new", "old");
  ok(env->remove(env, "/d/b"));
  expect_lost("/d/b", "-", "old");
  ok(env->rename(env, "/d/c", "/d/e"));
  expect_lost("/d/c", "-", "old");
  expect_lost("/d/e", "old", "old");
  ok(env->mkdir(env, "/d"));
  ok(env->sync_dir(env, "/d"));
  expect_lost("/d/b", "-", "-");
  teardown();
  lsm_env_mem_free(mem);
}
END_TEST

/* Random changes against the simplest model: what a sync covers is copied. */
enum { NAMES = 4, FILES = 400, BYTES = 40 };

typedef struct oracle {
  char now[FILES][BYTES], synced[FILES][BYTES]; /* by file, made in order */
  int files;
  int names_now[NAMES], names_synced[NAMES]; /* file, or -1 */
} oracle;

static void expect_oracle(oracle *o, const char *const *path) {
  lsm_env *keep = crash(ENV_FAULT_KEEP, 0), *drop = crash(ENV_FAULT_DROP, 0);
  for (int i = 0; i < NAMES; i++) {
    int k = o->names_now[i], d = o->names_synced[i];
    ck_assert_str_eq(content(env, path[i]), k < 0 ? "-" : o->now[k]);
    ck_assert_str_eq(content(keep, path[i]), k < 0 ? "-" : o->now[k]);
    ck_assert_str_eq(content(drop, path[i]), d < 0 ? "-" : o->synced[d]);
  }
  env_fault_free(keep);
  env_fault_free(drop);
}

START_TEST(random_changes) {
  static const char *const path[NAMES] = {"/d/a", "/d/b", "/d/c", "/d/d"};
  static oracle o;
  uint64_t seed = 7;
  setup();
  memset(&o, 0, sizeof o);
  memset(o.names_now, -1, sizeof o.names_now);
  memset(o.names_synced, -1, sizeof o.names_synced);
  for (int round = 0; round < 1500 && o.files < FILES; round++) {
    int i = (int)(disk_random(&seed) % NAMES), j = (int)(disk_random(&seed) % NAMES);
    int id = o.names_now[i];
    uint64_t what = disk_random(&seed) % 8;
    if (id < 0) {
      if (what > 3) continue;
      lsm_file_close(open_file(env, path[i], CREATE | LSM_OPEN_EXCL));
      o.names_now[i] = o.files++;
      continue;
    }
    lsm_file *f = open_file(env, path[i], LSM_OPEN_WRITE);
    size_t len = strlen(o.now[id]), at = disk_random(&seed) % (len + 1);
    if (what < 3 && at < BYTES - 12) {
      char text[12];
      snprintf(text, sizeof text, "%d", round);
      ok(lsm_file_write(f, at, text, strlen(text)));
      memcpy(o.now[id] + at, text, strlen(text));
    } else if (what == 3) {
      ok(f->ops->truncate(f, at));
      memset(o.now[id] + at, 0, BYTES - at);
    } else if (what == 4) {
      ok(lsm_file_sync(f));
      memcpy(o.synced[id], o.now[id], BYTES);
    } else if (what == 5) {
      ok(env->remove(env, path[i]));
      o.names_now[i] = -1;
    } else if (what == 6) {
      ok(env->rename(env, path[i], path[j]));
      o.names_now[i] = -1;
      o.names_now[j] = id;
    } else if (what == 7) {
      ok(env->sync_dir(env, "/d"));
      memcpy(o.names_synced, o.names_now, sizeof o.names_now);
    }
    lsm_file_close(f);
    if (round % 3 == 0) expect_oracle(&o, path);
  }
  ck_assert_int_gt(o.files, 50);
  teardown();
}
END_TEST

/*---------------------------------------------------------------- tearing */

/* Kinds of outcomes that were met, to see that chance has them all. */
enum { SAW_SHORT = 1, SAW_WHOLE = 2, SAW_NONE = 4, SAW_HOLE = 8, SAW_CLEAN_PART = 16 };

/* True when bytes FROM.. are all FIRST or SECOND, the same within a sector. */
static bool is_by_sector(const lsm_buf *b, size_t from, uint8_t first, uint8_t second) {
  for (size_t i = from; i < b->size; i++) {
    if (b->data[i] != first && b->data[i] != second) return false;
    if (i > from && i % SECTOR != 0 && b->data[i] != b->data[i - 1]) return false;
  }
  return true;
}

static size_t count_of(const lsm_buf *b, size_t from, size_t to, uint8_t byte) {
  size_t n = 0;
  for (size_t i = from; i < to; i++) n += b->data[i] == byte;
  return n;
}

/* File a: 1000 synced bytes 's', then unsynced 'u' up to 5000. */
static unsigned look_at_tail(const lsm_buf *b) {
  unsigned saw = 0;
  ck_assert_uint_ge(b->size, 1000);
  ck_assert_uint_le(b->size, 5000);
  ck_assert_uint_eq(count_of(b, 0, 1000, 's'), 1000);
  ck_assert(is_by_sector(b, 1000, 'u', 0));
  bool hole = count_of(b, 1000, b->size, 0) > 0;
  if (b->size == 1000) saw |= SAW_NONE;
  if (b->size == 5000 && !hole) saw |= SAW_WHOLE;
  if (b->size > 1000 && b->size < 5000) saw |= SAW_SHORT;
  if (b->size > 1000 && b->size < 5000 && !hole) saw |= SAW_CLEAN_PART;
  if (hole) saw |= SAW_HOLE;
  return saw;
}

/* File b: 5000 synced bytes 's', all but the first 700 overwritten with 'u'.
** Bit 0: some are new, bit 1: some are old. */
static unsigned look_at_overwritten(const lsm_buf *b) {
  ck_assert_uint_eq(b->size, 5000);
  ck_assert_uint_eq(count_of(b, 0, 700, 's'), 700);
  ck_assert(is_by_sector(b, 700, 'u', 's'));
  return (count_of(b, 700, 5000, 'u') > 0 ? 1u : 0u) | (count_of(b, 700, 5000, 's') > 0 ? 2u : 0u);
}

START_TEST(torn_content) {
  static uint8_t s[5000], u[5000];
  memset(s, 's', sizeof s);
  memset(u, 'u', sizeof u);
  setup();
  lsm_file *a = open_file(env, "/d/a", CREATE), *b = open_file(env, "/d/b", CREATE);
  lsm_file *c = open_file(env, "/d/c", CREATE);
  ok(lsm_file_write(a, 0, s, 1000));
  ok(lsm_file_write(b, 0, s, 5000));
  ok(lsm_file_write(c, 0, s, 3000));
  ok(lsm_file_sync(a));
  ok(lsm_file_sync(b));
  ok(lsm_file_sync(c));
  ok(env->sync_dir(env, "/d"));
  ok(lsm_file_write(a, 1000, u, 4000));
  ok(lsm_file_write(b, 700, u, 4300));
  ok(c->ops->truncate(c, 100));
  unsigned tail = 0, over = 0, cut = 0;
  lsm_buf buf = {0};
  for (uint64_t seed = 0; seed < 300; seed++) {
    lsm_env *image = crash(ENV_FAULT_TEAR, seed);
    ok(lsm_env_read_file(image, "/d/a", &buf));
    tail |= look_at_tail(&buf);
    ok(lsm_env_read_file(image, "/d/b", &buf));
    over |= 1u << look_at_overwritten(&buf);
    ok(lsm_env_read_file(image, "/d/c", &buf));
    ck_assert(buf.size == 100 || buf.size == 3000);
    ck_assert_uint_eq(count_of(&buf, 0, buf.size, 's'), buf.size);
    cut |= buf.size == 100 ? 1 : 2;
    env_fault_free(image);
  }
  ck_assert_uint_eq(tail, 31);
  ck_assert_uint_eq(over & 0xA, 0xA); /* all new; new and old mixed */
  ck_assert_uint_eq(cut, 3);
  ok(lsm_file_sync(a)); /* and nothing of what is synced is torn */
  for (uint64_t seed = 0; seed < 20; seed++) {
    lsm_env *image = crash(ENV_FAULT_TEAR, seed);
    ok(lsm_env_read_file(image, "/d/a", &buf));
    ck_assert_uint_eq(look_at_tail(&buf), SAW_WHOLE);
    env_fault_free(image);
  }
  lsm_buf_fini(&buf);
  lsm_file_close(a);
  lsm_file_close(b);
  lsm_file_close(c);
  teardown();
}
END_TEST

START_TEST(torn_directories) {
  setup();
  put("/d/CURRENT", "old", true);
  ok(env->sync_dir(env, "/d"));
  put("/d/1", "1", true);
  put("/d/2", "2", true);
  put("/d/tmp", "new", true);
  ok(env->rename(env, "/d/tmp", "/d/CURRENT"));
  ok(env->remove(env, "/d/1"));
  /* The state after each prefix of the five changes. */
  static const char *const states[] = {"old,-,-,-",   "old,1,-,-", "old,1,2,-",
                                       "old,1,2,new", "new,1,2,-", "new,-,2,-"};
  unsigned seen = 0;
  for (uint64_t seed = 0; seed < 200; seed++) {
    lsm_env *image = crash(ENV_FAULT_TEAR, seed), *again = crash(ENV_FAULT_TEAR, seed);
    char state[100] = "";
    static const char *const path[] = {"/d/CURRENT", "/d/1", "/d/2", "/d/tmp"};
    for (int i = 0; i < 4; i++) {
      if (i > 0) strcat(state, ",");
      strcat(state, content(image, path[i]));
      ck_assert_str_eq(content(again, path[i]),
                       strrchr(state, ',') == NULL ? state : strrchr(state, ',') + 1);
    }
    int which = 0;
    while (which < 6 && strcmp(state, states[which]) != 0) which++;
    ck_assert_msg(which < 6, "%s", state);
    seen |= 1u << which;
    env_fault_free(image);
    env_fault_free(again);
  }
  ck_assert_uint_eq(seen, 63);
  teardown();
}
END_TEST

/*------------------------------------------------------------------ hooks */

typedef struct watch {
  char log[200];
} watch;

static void on_sync(void *arg, lsm_env *e, uint64_t n, bool after) {
  watch *w = arg;
  lsm_env *image = NULL;
  char item[20];
  ok(env_fault_crash(e, ENV_FAULT_DROP, 0, &image));
  snprintf(item, sizeof item, "%d%s%s ", (int)n,
           after ? "after:" : "before:", content(image, "/d/a"));
  strcat(w->log, item);
  env_fault_free(image);
}

START_TEST(hooks) {
  watch w = {""};
  setup();
  env_fault_on_sync(env, on_sync, &w);
  lsm_file *f = open_file(env, "/d/a", CREATE);
  ok(env->sync_dir(env, "/d"));
  ok(lsm_file_write(f, 0, "x", 1));
  ok(lsm_file_sync(f));
  env_fault_fail(env, ENV_FAULT_SYNC, 1, LSM_IOERR, 0);
  fails(lsm_file_sync(f), LSM_IOERR); /* none for what does not happen */
  env_fault_on_sync(env, NULL, NULL);
  ok(lsm_file_sync(f));
  ck_assert_str_eq(w.log, "2before:- 2after: 3before: 3after:x ");
  ck_assert_uint_eq(env_fault_syncs(env), 4);
  lsm_file_close(f);
  teardown();
}
END_TEST

/* Threads append and sync while images are taken: each file holds a prefix of
** what its thread wrote, at least as much as it knew to be synced. */
typedef struct appender {
  int id;
  _Atomic uint64_t synced;
  _Atomic int *left;
} appender;

static void append(void *arg) {
  appender *a = arg;
  char name[20];
  snprintf(name, sizeof name, "/d/%d", a->id);
  lsm_file *f = NULL;
  if (env->open(env, name, CREATE, &f) == LSM_OK && env->sync_dir(env, "/d") == LSM_OK) {
    for (uint64_t i = 0; i < 200; i++) {
      uint8_t byte = (uint8_t)(i + 1);
      if (lsm_file_write(f, i, &byte, 1) != LSM_OK || lsm_file_sync(f) != LSM_OK) break;
      atomic_store(&a->synced, i + 1);
    }
  }
  lsm_file_close(f);
  atomic_fetch_sub(a->left, 1);
}

START_TEST(images_while_threads_write) {
  enum { THREADS = 3 };
  setup();
  _Atomic int left = THREADS;
  appender a[THREADS];
  lsm_thread *t[THREADS];
  for (int i = 0; i < THREADS; i++) {
    a[i].id = i;
    atomic_init(&a[i].synced, 0);
    a[i].left = &left;
    ok(env->thread_start(env, append, &a[i], &t[i]));
  }
  lsm_buf buf = {0};
  bool last;
  uint64_t seed = 0;
  do {
    uint64_t synced[THREADS];
    last = atomic_load(&left) == 0;
    for (int i = 0; i < THREADS; i++) synced[i] = atomic_load(&a[i].synced);
    lsm_env *image = crash(seed % 2 == 0 ? ENV_FAULT_TEAR : ENV_FAULT_DROP, seed);
    seed++;
    for (int i = 0; i < THREADS; i++) {
      char name[20];
      snprintf(name, sizeof name, "/d/%d", i);
      lsm_rc rc = lsm_env_read_file(image, name, &buf);
      if (rc != LSM_OK) fails(rc, LSM_NOTFOUND);
      if (rc != LSM_OK) ck_assert_uint_eq(synced[i], 0);
      ck_assert_uint_ge(buf.size, synced[i]);
      for (size_t k = 0; k < synced[i]; k++) ck_assert_uint_eq(buf.data[k], k + 1);
    }
    env_fault_free(image);
    env->sleep_us(env, 300); /* the others need the lock too */
  } while (!last);
  for (int i = 0; i < THREADS; i++) {
    env->thread_join(env, t[i]);
    ck_assert_uint_eq(a[i].synced, 200);
  }
  lsm_buf_fini(&buf);
  teardown();
}
END_TEST

Suite *env_fault_suite(void) {
  Suite *s = suite_create("env_fault");
  TCase *t = tcase_create("env_fault");
  suite_add_tcase(s, t);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, each_kind_fails);
  tcase_add_test(t, once_and_sticky);
  tcase_add_test(t, short_writes);
  tcase_add_test(t, content_needs_sync);
  tcase_add_test(t, names_need_sync);
  tcase_add_test(t, relative_and_removed);
  tcase_add_test(t, images_stand_alone);
  tcase_add_test(t, what_was_there_before);
  tcase_add_test(t, random_changes);
  tcase_add_test(t, torn_content);
  tcase_add_test(t, torn_directories);
  tcase_add_test(t, hooks);
  tcase_add_test(t, images_while_threads_write);
  return s;
}
