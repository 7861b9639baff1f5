/* test_db_flip.c: a store with damage: each byte of each file flipped, one at
** a time; files cut, lengthened, swapped, removed.
**
** Whatever is damaged, the store does not open, or each read is an error that
** names the file, or it is right. Only of the end of the log may something be
** missing: the last transaction, whole. lsm_verify() finds what open lets pass.
** LSM_TEST_STRIDE: 1 tries every byte; the default is a sample. */
#include <stdio.h>
#include <stdlib.h>

#include "store.h"

Suite *db_flip_suite(void);

enum { KEYSPACES = 2, LOGGED = 6, FILES_MAX = 40 };

static struct {
  lsm_options opt;
  lsm_env *base; /* the sound store; never opened again */
  uint32_t ids[KEYSPACES];
  model *now[KEYSPACES];
  model *states[LOGGED + 1][KEYSPACES]; /* after so many transactions of the log */
  char names[FILES_MAX][32];
  size_t sizes[FILES_MAX];
  int files;
} fx;

/*----------------------------------------------------------- a small store */

static void write_rows(lsm_db *db, int k, int from, int to, int step, const char *tag) {
  lsm_txn *t = store_begin(db);
  for (int i = from; i < to; i += step) {
    char key[32], value[80];
    snprintf(key, sizeof(key), "key-%05d", i);
    snprintf(value, sizeof(value), "%s %d %0*d", tag, i, 5 + i % 40, i);
    ck_lsm(lsm_txn_put(t, fx.ids[k], S(key), S(value)));
    model_put(fx.now[k], S(key), S(value));
  }
  store_commit(t, LSM_SYNC_FULL);
}

static void delete_rows(lsm_db *db, int k, const char *lo, const char *hi, const char *one) {
  lsm_txn *t = store_begin(db);
  ck_lsm(lsm_txn_delete_range(t, fx.ids[k], S(lo), S(hi)));
  ck_lsm(lsm_txn_delete(t, fx.ids[k], S(one)));
  store_commit(t, LSM_SYNC_FULL);
  model_delete_range(fx.now[k], S(lo), S(hi));
  model_delete(fx.now[k], S(one));
}

static lsm_rc add_name(void *arg, const char *name) {
  (void)arg;
  ck_assert_int_lt(fx.files, FILES_MAX);
  snprintf(fx.names[fx.files++], sizeof(fx.names[0]), "%s", name);
  return LSM_OK;
}

static void list_files(void) {
  fx.files = 0;
  ck_lsm(fx.base->list(fx.base, STORE_DIR, add_name, NULL));
  for (int f = 0; f < fx.files; f++) {
    char path[64];
    lsm_buf buf = {0};
    snprintf(path, sizeof(path), STORE_DIR "/%s", fx.names[f]);
    ck_lsm(lsm_env_read_file(fx.base, path, &buf));
    fx.sizes[f] = buf.size;
    lsm_buf_fini(&buf);
  }
}

static lsm_rc count_level(void *arg, const lsm_file_info *info) {
  ck_assert_int_lt(info->level, 2);
  ((int *)arg)[info->level]++;
  return LSM_OK;
}

static void build(bool closed) {
  lsm_env *env = NULL;
  memset(&fx, 0, sizeof(fx));
  fx.opt = store_options(32u << 10);
  ck_lsm(env_fault_new(NULL, &env));
  lsm_db *db = store_open(env, &fx.opt);
  for (int k = 0; k < KEYSPACES; k++) {
    fx.ids[k] = store_keyspace(db, k == 0 ? LSM_LEVELED : LSM_TIERED);
    fx.now[k] = model_new();
  }
  write_rows(db, 0, 0, 120, 1, "oldest");
  ck_lsm(lsm_flush(db, NULL));
  write_rows(db, 0, 100, 200, 1, "old");
  write_rows(db, 1, 0, 60, 1, "old");
  ck_lsm(lsm_compact(db, fx.ids[0], NULL)); /* to level 1, compressed */
  write_rows(db, 0, 20, 100, 4, "new");
  write_rows(db, 1, 30, 90, 4, "new");
  delete_rows(db, 0, "key-00100", "key-00140", "key-00004");
  delete_rows(db, 1, "key-00010", "key-00020", "key-00004");
  delete_rows(db, 0, "key-00190", "key-00250", "key-00005");
  ck_lsm(lsm_flush(db, NULL));
  for (int i = 0; i <= LOGGED; i++) {
    char last[16];
    snprintf(last, sizeof(last), "%d", i);
    lsm_txn *t = store_begin(db);
    ck_lsm(lsm_txn_put(t, fx.ids[0], S("last"), S(last)));
    ck_lsm(lsm_txn_put(t, fx.ids[1], S("key-00042"), S(last)));
    ck_lsm(lsm_txn_delete_range(t, fx.ids[0], S("key-00030"), S("key-00040")));
    store_commit(t, LSM_SYNC_FULL);
    model_put(fx.now[0], S("last"), S(last));
    model_put(fx.now[1], S("key-00042"), S(last));
    model_delete_range(fx.now[0], S("key-00030"), S("key-00040"));
    for (int k = 0; k < KEYSPACES; k++) fx.states[i][k] = model_copy(fx.now[k]);
    if (i == 0) ck_lsm(lsm_flush(db, NULL));
    if (i == 0) ck_lsm(lsm_wait_idle(db, NULL));
  }
  int levels[2] = {0, 0};
  ck_lsm(lsm_list_files(db, fx.ids[0], count_level, levels));
  ck_assert(levels[0] >= 1 && levels[1] == 1); /* what rests in level 0 has become one run */
  if (closed) ck_lsm(lsm_close(db));
  ck_lsm(env_fault_crash(env, ENV_FAULT_KEEP, 1, &fx.base));
  if (!closed) ck_lsm(lsm_close(db));
  env_fault_free(env);
  list_files();
}

static void tear_down(void) {
  for (int k = 0; k < KEYSPACES; k++) {
    model_free(fx.now[k]);
    for (int i = 0; i <= LOGGED; i++) model_free(fx.states[i][k]);
  }
  env_fault_free(fx.base);
}

/*----------------------------------------------------------------- checks */

static char where[128]; /* the damage, for messages */

static bool is_kind(const char *name, const char *suffix) {
  size_t n = strlen(name), m = strlen(suffix);
  return n >= m && strcmp(name + n - m, suffix) == 0;
}

/* An error that damage may have: LSM_CORRUPT or, of a file as a whole,
** LSM_CANTOPEN, and it names a file. */
static void check_error(lsm_rc rc, const char *what) {
  ck_assert_msg(rc == LSM_CORRUPT || rc == LSM_CANTOPEN, "%s: %s: %s: %s", where, what,
                lsm_rc_name(rc), lsm_errmsg());
  ck_assert_msg(strstr(lsm_errmsg(), STORE_DIR) != NULL, "%s: %s: \"%s\" names no file", where,
                what, lsm_errmsg());
}

/* Each get is right or an error. */
static int check_gets(lsm_snapshot *snap, uint32_t ks, const model *m) {
  int errors = 0;
  lsm_buf value = {0};
  for (size_t i = 0; i < model_count(m); i++) {
    char missing[64];
    lsm_slice key = model_key(m, i);
    lsm_rc rc = lsm_get(snap, ks, key, &value);
    if (rc == LSM_OK) {
      ck_assert_msg(lsm_slice_eq(lsm_buf_slice(&value), model_value(m, i)),
                    "%s: another value of %.*s", where, (int)key.size, (const char *)key.data);
    } else {
      ck_assert_msg(rc != LSM_NOTFOUND, "%s: %.*s is not found", where, (int)key.size,
                    (const char *)key.data);
      check_error(rc, "get");
      errors++;
    }
    snprintf(missing, sizeof(missing), "%.*s-", (int)key.size, (const char *)key.data);
    rc = lsm_get(snap, ks, S(missing), &value);
    if (rc != LSM_NOTFOUND) {
      ck_assert_msg(rc != LSM_OK, "%s: %s is found", where, missing);
      check_error(rc, "get of nothing");
      errors++;
    }
  }
  for (int i = 100; i < 140; i += 3) { /* covered by a range tombstone, or never there */
    char key[32];
    lsm_slice found;
    snprintf(key, sizeof(key), "key-%05d", i);
    if (model_get(m, S(key), &found)) continue;
    lsm_rc rc = lsm_get(snap, ks, S(key), &value);
    ck_assert_msg(rc != LSM_OK, "%s: %s is back", where, key);
    if (rc != LSM_NOTFOUND) check_error(rc, "get of a deleted key");
  }
  lsm_buf_fini(&value);
  return errors;
}

/* Up to the first error a scan is right. */
static int check_scan(lsm_snapshot *snap, uint32_t ks, const model *m, bool forward) {
  lsm_cursor *c = NULL;
  size_t n = 0, count = model_count(m);
  lsm_rc rc = lsm_cursor_open(snap, ks, LSM_SLICE_NULL, LSM_SLICE_NULL, &c);
  if (rc == LSM_OK) rc = forward ? lsm_cursor_first(c) : lsm_cursor_last(c);
  while (rc == LSM_OK && lsm_cursor_valid(c)) {
    ck_assert_msg(n < count, "%s: a scan finds too much", where);
    size_t i = forward ? n : count - 1 - n;
    ck_assert_msg(lsm_slice_eq(lsm_cursor_key(c), model_key(m, i)) &&
                      lsm_slice_eq(lsm_cursor_value(c), model_value(m, i)),
                  "%s: a scan differs at %.*s", where, (int)model_key(m, i).size,
                  (const char *)model_key(m, i).data);
    n++;
    rc = forward ? lsm_cursor_next(c) : lsm_cursor_prev(c);
  }
  if (rc == LSM_OK) {
    ck_assert_msg(n == count, "%s: a scan finds %zu of %zu", where, n, count);
  } else {
    ck_assert(c == NULL || !lsm_cursor_valid(c));
    check_error(rc, "scan");
  }
  lsm_cursor_close(c);
  return rc != LSM_OK;
}

/* How many of the log's transactions are there? */
static int count_logged(lsm_snapshot *snap) {
  lsm_buf value = {0};
  int k = LOGGED;
  lsm_rc rc = lsm_get(snap, fx.ids[0], S("last"), &value);
  ck_assert_msg(rc != LSM_NOTFOUND, "%s: last is not found", where);
  if (rc == LSM_OK) {
    ck_lsm(lsm_buf_put_u8(&value, 0));
    k = atoi((const char *)value.data);
  } else {
    check_error(rc, "get of last");
  }
  lsm_buf_fini(&value);
  ck_assert(k >= 0 && k <= LOGGED);
  return k;
}

/* All reads; errors are counted. At least LEAST transactions must be there. */
static int check_reads(lsm_db *db, int least) {
  lsm_snapshot *snap = NULL;
  ck_lsm(lsm_snapshot_acquire(db, &snap));
  int k = count_logged(snap), errors = 0;
  ck_assert_msg(k >= least, "%s: %d transactions are there", where, k);
  for (int s = 0; s < KEYSPACES; s++) {
    errors += check_gets(snap, fx.ids[s], fx.states[k][s]);
    errors += check_scan(snap, fx.ids[s], fx.states[k][s], true);
    errors += check_scan(snap, fx.ids[s], fx.states[k][s], false);
  }
  lsm_snapshot_release(snap);
  return errors;
}

static void ignore(void *arg, const char *text) {
  (void)arg;
  ck_assert_msg(strstr(text, STORE_DIR) != NULL, "%s: finding \"%s\" names no file", where, text);
}

static uint64_t check_verify(lsm_db *db) {
  uint64_t findings = 0;
  ck_lsm(lsm_verify(db, NULL, ignore, NULL, &findings));
  return findings;
}

/* Compaction of damaged files fails, and changes nothing that is right. */
static void check_compact(lsm_db *db, int least) {
  for (int s = 0; s < KEYSPACES; s++) {
    lsm_rc rc = lsm_compact(db, fx.ids[s], NULL);
    if (rc != LSM_OK) check_error(rc, "compact");
  }
  (void)check_reads(db, least);
}

/* What the damage of a file may do. */
typedef struct leave {
  int least;   /* transactions of the log that must be there */
  bool unseen; /* open and verify may find nothing */
  bool old;    /* the store may stand at an older state: reads are not compared */
} leave;

static void check_damaged(lsm_env *env, leave l, bool compact) {
  lsm_db *db = NULL;
  lsm_rc rc = lsm_open(env, STORE_DIR, &fx.opt, &db);
  if (rc != LSM_OK) {
    ck_assert_ptr_null(db);
    check_error(rc, "open");
  } else if (l.old) {
    lsm_snapshot *snap = NULL;
    lsm_buf value = {0};
    ck_lsm(lsm_snapshot_acquire(db, &snap));
    (void)lsm_get(snap, fx.ids[0], S("key-00001"), &value);
    lsm_buf_fini(&value);
    lsm_snapshot_release(snap);
    (void)check_verify(db);
  } else {
    int errors = check_reads(db, l.least);
    uint64_t findings = check_verify(db);
    ck_assert_msg(findings > 0 || (l.unseen && errors == 0), "%s: verify finds nothing", where);
    if (compact) check_compact(db, l.least);
  }
  if (db != NULL) (void)lsm_close(db);
}

/*----------------------------------------------------------------- damage */

static lsm_env *copy_store(void) {
  lsm_env *env = NULL;
  ck_lsm(env_fault_crash(fx.base, ENV_FAULT_KEEP, 1, &env));
  return env;
}

static lsm_file *open_file(lsm_env *env, const char *name) {
  char path[64];
  lsm_file *f = NULL;
  snprintf(path, sizeof(path), STORE_DIR "/%s", name);
  ck_lsm(env->open(env, path, LSM_OPEN_WRITE, &f));
  return f;
}

static leave leave_of(const char *name) {
  leave l = {LOGGED, false, false};
  if (is_kind(name, ".wal")) {
    l.least = LOGGED - 1;
    l.unseen = true;
  }
  return l;
}

static void flip(int f, size_t off, uint8_t bits) {
  lsm_env *env = copy_store();
  lsm_file *file = open_file(env, fx.names[f]);
  uint8_t byte = 0;
  size_t got = 0;
  snprintf(where, sizeof(where), "%s, byte %zu of %zu ^ %02x", fx.names[f], off, fx.sizes[f], bits);
  ck_lsm(lsm_file_read(file, off, &byte, 1, &got));
  byte ^= bits;
  ck_lsm(lsm_file_write(file, off, &byte, 1));
  lsm_file_close(file);
  check_damaged(env, leave_of(fx.names[f]), off % 16 == 3);
  env_fault_free(env);
}

/* _i: 0 killed, 1 closed in order. */
START_TEST(test_flip) {
  static const uint8_t bits[] = {0x01, 0x80, 0xFF, 0x10};
  uint64_t stride = store_param("LSM_TEST_STRIDE", 41 * STORE_SLOW), at = (uint64_t)_i;
  int n = 0;
  build(_i == 1);
  for (int f = 0; f < fx.files; f++) {
    for (; at < fx.sizes[f]; at += stride) {
      for (int b = 0; b < (stride == 1 ? 3 : 1); b++) {
        flip(f, at, bits[stride == 1 ? (uint64_t)b : (at + (uint64_t)n) % 4]);
        n++;
      }
    }
    at -= fx.sizes[f];
  }
  if (getenv("LSM_TEST_STRIDE") != NULL) fprintf(stderr, "%d flips, %d files\n", n, fx.files);
  ck_assert_int_gt(n, STORE_SLOW > 1 ? 20 : 50);
  tear_down();
}
END_TEST

static void resize(int f, size_t size, uint8_t fill) {
  lsm_env *env = copy_store();
  lsm_file *file = open_file(env, fx.names[f]);
  snprintf(where, sizeof(where), "%s, %zu bytes made %zu with %d", fx.names[f], fx.sizes[f], size,
           fill);
  if (size < fx.sizes[f]) {
    ck_lsm(file->ops->truncate(file, size));
  } else {
    for (size_t i = fx.sizes[f]; i < size; i++) ck_lsm(lsm_file_write(file, i, &fill, 1));
  }
  lsm_file_close(file);
  leave l = leave_of(fx.names[f]);
  if (is_kind(fx.names[f], ".wal")) l.least = size < fx.sizes[f] ? 0 : LOGGED;
  /* An unfinished record at the end of the manifest is what a crash leaves. */
  if (is_kind(fx.names[f], ".manifest")) l.old = size < fx.sizes[f];
  if (is_kind(fx.names[f], ".manifest")) l.unseen = true;
  if (strcmp(fx.names[f], "LOCK") == 0) l.unseen = true;
  check_damaged(env, l, false);
  env_fault_free(env);
}

START_TEST(test_resize) {
  uint64_t stride = store_param("LSM_TEST_STRIDE", 97 * STORE_SLOW);
  build(_i == 1);
  for (int f = 0; f < fx.files; f++) {
    for (size_t size = fx.sizes[f] % stride; size < fx.sizes[f]; size += stride) {
      resize(f, size, 0);
    }
    static const size_t more[] = {1, 7, 8, 15, 16, 32, 40, 48, 512};
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
      resize(f, fx.sizes[f] + more[i], 0);
      resize(f, fx.sizes[f] + more[i], 0xA5);
      resize(f, fx.sizes[f] + more[i], 1);
    }
  }
  tear_down();
}
END_TEST

/* One file in the place of another, or gone. */
START_TEST(test_swap) {
  build(false);
  for (int a = 0; a < fx.files; a++) {
    for (int b = 0; b <= fx.files; b++) {
      char from[64], to[64];
      if (a == b || strcmp(fx.names[a], "LOCK") == 0) continue;
      if (is_kind(fx.names[a], ".wal") && b == fx.files) continue; /* as if never there */
      lsm_env *env = copy_store();
      snprintf(to, sizeof(to), STORE_DIR "/%s", fx.names[a]);
      snprintf(where, sizeof(where), "%s in the place of %s",
               b < fx.files ? fx.names[b] : "nothing", fx.names[a]);
      if (b < fx.files) {
        lsm_buf buf = {0};
        snprintf(from, sizeof(from), STORE_DIR "/%s", fx.names[b]);
        ck_lsm(lsm_env_read_file(env, from, &buf));
        lsm_file *file = open_file(env, fx.names[a]);
        ck_lsm(file->ops->truncate(file, 0));
        if (buf.size > 0) ck_lsm(lsm_file_write(file, 0, buf.data, buf.size));
        lsm_file_close(file);
        lsm_buf_fini(&buf);
      } else {
        ck_lsm(env->remove(env, to));
      }
      leave l = {LOGGED, false, false};
      /* An empty log is one whose first write was lost. */
      if (is_kind(fx.names[a], ".wal")) l = (leave){0, true, false};
      check_damaged(env, l, false);
      env_fault_free(env);
    }
  }
  tear_down();
}
END_TEST

Suite *db_flip_suite(void) {
  Suite *s = suite_create("db_flip");
  TCase *tc = tcase_create("db_flip");
  tcase_add_loop_test(tc, test_flip, 0, 2);
  tcase_add_loop_test(tc, test_resize, 0, 2);
  tcase_add_test(tc, test_swap);
  tcase_set_timeout(tc, 0);
  suite_add_tcase(s, tc);
  return s;
}
