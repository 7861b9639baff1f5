/* test_wal_writer.c: logs appended to, taken back, synced, with room, reopened, failing. */
#include <check.h>

#include "wal_model.h"

Suite *wal_writer_suite(void);

/*------------------------------------------------------------------ records */

/* Sizes around sectors and the reader's window, types, many parts. */
START_TEST(test_roundtrip) {
  static const size_t sizes[] = {0,   1,    7,     8,      9,      440,    511,     512,
                                 513, 4095, 70000, 262112, 262144, 300000, 3000000, 5};
  lsm_wal *w = wal_create();
  wal_model m = {0};
  lsm_wal_info info;
  wal_seed = 1;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    static const lsm_wal_type types[] = {LSM_WAL_BATCH, LSM_WAL_PREPARE, LSM_WAL_FILES,
                                         LSM_WAL_PREPARE_FILES};
    lsm_wal_type type = types[i % 4];
    ck_lsm(wal_append(w, &m, type, sizes[i], i % 3 == 0));
    if (i % 2 != 0) ck_lsm(wal_append(w, &m, LSM_WAL_COMMIT, 0, false));
    if (i % 5 == 0) ck_lsm(lsm_wal_sync(w));
  }
  ck_lsm(wal_append(w, &m, LSM_WAL_ABORT, 0, false));
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert_uint_eq(m.seen, m.count);
  ck_assert(!info.torn && !info.empty && !info.clean);
  ck_assert_uint_eq(info.end, lsm_wal_end(w));
  ck_assert_uint_eq(info.salt, WAL_SALT);
  ck_assert_uint_eq(info.prev.number, 0);
  ck_lsm(wal_append(w, &m, LSM_WAL_CLOSE, 0, false));
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert_uint_eq(m.seen, m.count);
  ck_assert(info.clean);
  lsm_wal_close(w);
  wal_model_fini(&m);
}
END_TEST

static lsm_rc one_payload(void *arg, const lsm_wal_record *rec) {
  return lsm_buf_set(arg, rec->payload);
}

START_TEST(test_many_parts) {
  lsm_wal *w = wal_create();
  lsm_slice parts[100];
  lsm_buf got = {0};
  lsm_wal_info info;
  for (int i = 0; i < 100; i++) parts[i] = lsm_slice_str(i % 3 == 0 ? "" : "xyz");
  ck_lsm(lsm_wal_append(w, LSM_WAL_BATCH, 1, parts, 100));
  lsm_wal_close(w);
  ck_lsm(lsm_wal_replay(wal_env, WAL_PATH, wal_store_id, WAL_NUMBER, 0, one_payload, &got, &info));
  ck_assert_uint_eq(got.size, 66 * 3);
  for (size_t i = 0; i < got.size; i++) ck_assert_uint_eq(got.data[i], "xyz"[i % 3]);
  lsm_buf_fini(&got);
}
END_TEST

START_TEST(test_too_large) {
  lsm_wal *w = wal_create();
  lsm_slice parts[2] = {lsm_slice_of("x", 0x80000000u), lsm_slice_of("x", 0x80000000u)};
  ck_assert_int_eq(lsm_wal_append(w, LSM_WAL_BATCH, 1, parts, 2), LSM_FULL); /* reads nothing */
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), WAL_PATH));
  ck_assert_uint_eq(lsm_wal_end(w), LSM_WAL_HEADER_SIZE);
  ck_assert(!lsm_wal_is_broken(w));
  lsm_wal_close(w);
}
END_TEST

/*------------------------------------------------------------------ failures */

START_TEST(test_failed_append) {
  wal_model m = {0};
  lsm_wal_info info;
  lsm_wal *w = wal_create();
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 100, false));
  env_fault_fail(wal_env, ENV_FAULT_WRITE, 1, LSM_FULL, ENV_FAULT_SHORT);
  ck_assert_int_eq(wal_append(w, &m, LSM_WAL_BATCH, 5000, false), LSM_FULL);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), WAL_PATH ": cannot append at offset 200"));
  ck_assert(!lsm_wal_is_broken(w));
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert(!info.torn && m.seen == 1);
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 50, false));
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert_uint_eq(m.seen, 2);
  /* Nor could it be cut back: broken for ever, but what was there is there. */
  env_fault_fail(wal_env, ENV_FAULT_WRITE | ENV_FAULT_TRUNCATE, 1, LSM_IOERR,
                 ENV_FAULT_SHORT | ENV_FAULT_STICKY);
  ck_assert_int_eq(wal_append(w, &m, LSM_WAL_BATCH, 5000, false), LSM_IOERR);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "cannot append"));
  env_fault_clear(wal_env);
  ck_assert(lsm_wal_is_broken(w));
  ck_assert_int_eq(wal_append(w, &m, LSM_WAL_BATCH, 1, false), LSM_IOERR);
  ck_assert_int_eq(lsm_wal_sync(w), LSM_IOERR);
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert_uint_eq(m.seen, 2);
  lsm_wal_close(w);
  wal_model_fini(&m);
}
END_TEST

START_TEST(test_failed_sync) {
  for (unsigned kind = ENV_FAULT_SYNC; kind != 0;
       kind = kind == ENV_FAULT_SYNC ? ENV_FAULT_SYNC_DIR : 0) {
    wal_model m = {0};
    lsm_wal_info info;
    lsm_wal *w = wal_create();
    ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 10, false));
    env_fault_fail(wal_env, kind, 1, LSM_IOERR, 0);
    ck_assert_int_eq(lsm_wal_sync(w), LSM_IOERR);
    ck_assert_ptr_nonnull(strstr(lsm_errmsg(), WAL_PATH));
    ck_assert(lsm_wal_is_broken(w));
    ck_assert_uint_eq(lsm_wal_synced(w), 0);
    ck_assert_int_eq(lsm_wal_sync(w), LSM_IOERR);
    ck_assert_int_eq(wal_append(w, &m, LSM_WAL_BATCH, 10, false), LSM_IOERR);
    /* The commit that failed is taken back all the same. */
    ck_lsm(lsm_wal_undo(w));
    ck_assert_uint_eq(lsm_wal_end(w), LSM_WAL_HEADER_SIZE);
    ck_assert(lsm_wal_is_broken(w));
    wal_forget(&m);
    ck_lsm(wal_replay(&m, 0, &info));
    ck_assert(m.seen == 0 && !info.torn);
    lsm_wal_close(w);
    wal_model_fini(&m);
  }
}
END_TEST

START_TEST(test_syncs) {
  wal_model m = {0};
  lsm_wal *w = wal_create();
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 10, false));
  uint64_t before = env_fault_syncs(wal_env);
  ck_lsm(lsm_wal_sync(w)); /* file and directory */
  ck_assert_uint_eq(env_fault_syncs(wal_env), before + 2);
  ck_lsm(lsm_wal_sync(w)); /* nothing to do */
  ck_assert_uint_eq(env_fault_syncs(wal_env), before + 2);
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 10, false));
  ck_lsm(lsm_wal_sync(w));
  ck_assert_uint_eq(env_fault_syncs(wal_env), before + 3);
  lsm_wal_close(w);
  wal_model_fini(&m);
}
END_TEST

START_TEST(test_undo) {
  wal_model m = {0};
  lsm_wal_info info;
  lsm_wal *w = wal_create();
  ck_assert_int_eq(lsm_wal_undo(w), LSM_MISUSE);
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 10, false));
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 20, false));
  ck_lsm(lsm_wal_sync(w));
  ck_lsm(lsm_wal_undo(w));
  ck_assert_int_eq(lsm_wal_undo(w), LSM_MISUSE); /* once */
  wal_forget(&m);
  ck_assert_uint_eq(lsm_wal_end(w), m.at[0].end);
  ck_assert_uint_eq(lsm_wal_synced(w), m.at[0].end);
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert(m.seen == 1 && !info.torn);
  /* A cut that is not durable yet is made so before the next record. */
  uint64_t before = env_fault_syncs(wal_env);
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 30, false));
  ck_assert_uint_eq(env_fault_syncs(wal_env), before + 1);
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert_uint_eq(m.seen, 2);
  env_fault_fail(wal_env, ENV_FAULT_TRUNCATE, 1, LSM_IOERR, 0);
  ck_assert_int_eq(lsm_wal_undo(w), LSM_IOERR);
  ck_assert(lsm_wal_is_broken(w));
  lsm_wal_close(w);
  wal_model_fini(&m);
}
END_TEST

START_TEST(test_reopen) {
  wal_model m = {0};
  lsm_wal_info info;
  lsm_wal *w = wal_create();
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 10, false));
  uint64_t end = lsm_wal_end(w);
  lsm_wal_close(w);
  ck_assert_int_eq(lsm_wal_reopen(wal_env, WAL_PATH, WAL_NUMBER, WAL_SALT, end + 8, &w),
                   LSM_CORRUPT);
  ck_assert_ptr_null(w);
  ck_assert_int_eq(lsm_wal_reopen(wal_env, WAL_PATH, WAL_NUMBER, WAL_SALT, 8, &w), LSM_MISUSE);
  ck_assert_int_eq(lsm_wal_reopen(wal_env, "d/000008.wal", WAL_NUMBER, WAL_SALT, end, &w),
                   LSM_NOTFOUND);
  ck_lsm(lsm_wal_reopen(wal_env, WAL_PATH, WAL_NUMBER, WAL_SALT, end, &w));
  ck_assert_uint_eq(lsm_wal_synced(w), 0);
  ck_lsm(wal_append(w, &m, LSM_WAL_CLOSE, 0, false));
  lsm_wal_close(w);
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert(info.clean && m.seen == 2);
  env_fault_fail(wal_env, ENV_FAULT_TRUNCATE, 1, LSM_IOERR, 0);
  ck_assert_int_eq(lsm_wal_reopen(wal_env, WAL_PATH, WAL_NUMBER, WAL_SALT, end, &w), LSM_IOERR);
  ck_assert_ptr_null(w);
  wal_model_fini(&m);
}
END_TEST

/*--------------------------------------------------------------------- room */

static uint64_t file_size(void) {
  uint64_t size = 0;
  lsm_file *f;
  ck_lsm(wal_env->open(wal_env, WAL_PATH, LSM_OPEN_READ, &f));
  ck_lsm(f->ops->size(f, &size));
  lsm_file_close(f);
  return size;
}

/* Zeros behind the last record are its end. */
START_TEST(test_room) {
  wal_model m = {0};
  lsm_wal_info info;
  lsm_wal *w = wal_create();
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 100, false));
  lsm_wal_reserve(w, 1u << 20);
  uint64_t size = file_size(), end = lsm_wal_end(w);
  ck_assert_uint_ge(size, end + 60000);
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert(m.seen == 1 && info.end == end && info.torn);
  while (lsm_wal_end(w) + 9000 < size) {
    ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 8000, false));
    lsm_wal_reserve(w, 1u << 20);
    ck_assert_uint_eq(file_size(), size); /* there is room */
  }
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 30000, false));
  lsm_wal_reserve(w, 1u << 20);
  ck_assert_uint_gt(file_size(), lsm_wal_end(w) + 60000);
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert_uint_eq(m.seen, m.count);
  lsm_wal_trim(w);
  ck_assert_uint_eq(file_size(), lsm_wal_end(w));
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert(m.seen == m.count && !info.torn);
  lsm_wal_reserve(w, lsm_wal_end(w) + 100); /* not more than may be needed */
  ck_assert_uint_eq(file_size(), lsm_wal_end(w) + 100);
  lsm_wal_close(w);
  wal_model_fini(&m);
}
END_TEST

/* Who opens the log again keeps the room, and makes sure that it is one. */
START_TEST(test_room_reopened) {
  wal_model m = {0};
  lsm_wal_info info;
  lsm_wal *w = wal_create();
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 100, false));
  lsm_wal_reserve(w, 1u << 20);
  ck_lsm(lsm_wal_sync(w));
  uint64_t size = file_size(), end = lsm_wal_end(w);
  lsm_wal_close(w);
  ck_lsm(lsm_wal_reopen(wal_env, WAL_PATH, WAL_NUMBER, WAL_SALT, end, &w));
  ck_assert_uint_eq(file_size(), size);
  uint64_t syncs = env_fault_syncs(wal_env);
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 200, false));
  ck_assert_uint_eq(env_fault_syncs(wal_env), syncs + 1);
  ck_lsm(wal_replay(&m, 0, &info));
  ck_assert_uint_eq(m.seen, 2);
  /* Another process has gone on, and given the room back. */
  uint64_t on = lsm_wal_end(w);
  ck_lsm(wal_append(w, &m, LSM_WAL_BATCH, 300, false));
  end = lsm_wal_end(w);
  lsm_wal_trim(w);
  lsm_wal_seek(w, on);
  lsm_wal_seek(w, end);
  lsm_wal_reserve(w, 1u << 20);
  ck_assert_uint_gt(file_size(), end + 60000);
  lsm_wal_close(w);
  wal_poke(file_size() - 1, "x", 1); /* not room: a torn tail */
  ck_lsm(lsm_wal_reopen(wal_env, WAL_PATH, WAL_NUMBER, WAL_SALT, end, &w));
  ck_assert_uint_eq(file_size(), end);
  lsm_wal_close(w);
  wal_model_fini(&m);
}
END_TEST

/* One life of a log, until the first failure. */
static lsm_rc life(void) {
  static uint8_t big[300000] = {1, 2, 3};
  lsm_slice parts[20];
  lsm_wal *w = NULL;
  lsm_wal_info info;
  for (int i = 0; i < 20; i++) parts[i] = lsm_slice_of(big, sizeof big / 20);
  lsm_rc rc =
      lsm_wal_create(wal_env, WAL_PATH, wal_store_id, WAL_NUMBER, WAL_SALT, wal_prev_none, &w);
  if (rc == LSM_OK) rc = lsm_wal_append(w, LSM_WAL_BATCH, 1, parts, 20);
  if (rc == LSM_OK) lsm_wal_reserve(w, 1u << 20);
  if (rc == LSM_OK) rc = lsm_wal_sync(w);
  if (rc == LSM_OK) rc = lsm_wal_append(w, LSM_WAL_PREPARE, 2, parts, 1);
  if (rc == LSM_OK) rc = lsm_wal_undo(w);
  if (rc == LSM_OK) rc = lsm_wal_append(w, LSM_WAL_PREPARE, 3, parts, 2);
  uint64_t end = w == NULL ? 0 : lsm_wal_end(w);
  lsm_wal_close(w);
  w = NULL;
  if (rc == LSM_OK) rc = lsm_wal_reopen(wal_env, WAL_PATH, WAL_NUMBER, WAL_SALT, end, &w);
  if (rc == LSM_OK) rc = lsm_wal_append(w, LSM_WAL_CLOSE, 4, NULL, 0);
  lsm_wal_close(w);
  int left = 100;
  if (rc == LSM_OK) rc = wal_read(&left, &info);
  if (rc == LSM_OK) ck_assert(info.clean && left == 97);
  return rc;
}

static bool count_down(void *arg) {
  int *left = arg;
  return --*left != 0;
}

START_TEST(test_out_of_memory) {
  int n = 0, left = 0;
  while (left <= 0) {
    left = ++n;
    lsm_set_malloc_hook(count_down, &left);
    lsm_rc rc = life();
    lsm_set_malloc_hook(NULL, NULL);
    /* Not every allocation is needed: a file that shrinks may keep its memory. */
    ck_assert_msg(rc == LSM_NOMEM || rc == LSM_OK, "n = %d: %s", n, lsm_errmsg());
    ck_assert(left <= 0 || rc == LSM_OK);
  }
  ck_assert_int_gt(n, 8);
}
END_TEST

/* Every call failing in turn: the error comes back, and nothing unreadable is
** left behind. */
START_TEST(test_every_call_fails) {
  lsm_rc rc = LSM_IOERR;
  uint64_t n = 0;
  while (rc != LSM_OK) {
    lsm_wal_info info;
    int left = 100;
    env_fault_fail(wal_env, ENV_FAULT_ALL, ++n, LSM_IOERR, ENV_FAULT_SHORT);
    rc = life();
    uint64_t fired = env_fault_fired(wal_env);
    env_fault_clear(wal_env);
    ck_assert_int_eq(rc, fired > 0 ? LSM_IOERR : LSM_OK);
    lsm_rc after = wal_read(&left, &info);
    ck_assert(after == LSM_OK || after == LSM_NOTFOUND);
    if (after == LSM_OK) ck_lsm(wal_env->remove(wal_env, WAL_PATH));
  }
  ck_assert_uint_gt(n, 12);
}
END_TEST

Suite *wal_writer_suite(void) {
  Suite *s = suite_create("wal_writer");
  TCase *tc = tcase_create("wal_writer");
  tcase_add_checked_fixture(tc, wal_setup, wal_teardown);
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, test_roundtrip);
  tcase_add_test(tc, test_many_parts);
  tcase_add_test(tc, test_too_large);
  tcase_add_test(tc, test_failed_append);
  tcase_add_test(tc, test_failed_sync);
  tcase_add_test(tc, test_syncs);
  tcase_add_test(tc, test_undo);
  tcase_add_test(tc, test_reopen);
  tcase_add_test(tc, test_room);
  tcase_add_test(tc, test_room_reopened);
  tcase_add_test(tc, test_out_of_memory);
  tcase_add_test(tc, test_every_call_fails);
  suite_add_tcase(s, tc);
  return s;
}
