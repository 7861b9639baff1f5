/* test_filename.c: names made and read; what is not exactly ours is not ours. */
#include <check.h>
#include <stdio.h>

#include "filename.h"

Suite *filename_suite(void);

static const struct {
  lsm_filetype type;
  uint64_t number;
  const char *name;
} golden[] = {
    {LSM_FILE_LOCK, 0, "LOCK"},
    {LSM_FILE_CURRENT, 0, "CURRENT"},
    {LSM_FILE_MANIFEST, 1, "000001.manifest"},
    {LSM_FILE_WAL, 42, "000042.wal"},
    {LSM_FILE_SST, 999999, "999999.sst"},
    {LSM_FILE_SST, 1000000, "1000000.sst"},
    {LSM_FILE_TMP, 0, "000000.tmp"},
    {LSM_FILE_WAL, UINT64_MAX, "18446744073709551615.wal"},
};
enum { GOLDEN = sizeof golden / sizeof golden[0] };

START_TEST(made_and_read) {
  lsm_buf buf = {0};
  for (int i = 0; i < GOLDEN; i++) {
    char want[100];
    uint64_t number = 12345;
    snprintf(want, sizeof want, "/some/dir/%s", golden[i].name);
    ck_assert_int_eq(lsm_filename(&buf, "/some/dir", golden[i].type, golden[i].number), LSM_OK);
    ck_assert_str_eq((const char *)buf.data, want);
    ck_assert_uint_eq(buf.size, strlen(want));
    char *copy = lsm_filename_new("/some/dir/", golden[i].type, golden[i].number);
    ck_assert_str_eq(copy, want);
    lsm_free(copy);
    ck_assert_int_eq(lsm_filename_parse(golden[i].name, &number), golden[i].type);
    ck_assert_uint_eq(number, golden[i].number);
  }
  ck_assert_int_eq(lsm_filename(&buf, "", LSM_FILE_LOCK, 0), LSM_OK);
  ck_assert_str_eq((const char *)buf.data, "LOCK");
  ck_assert_int_eq(lsm_filename(&buf, "/", LSM_FILE_LOCK, 0), LSM_OK);
  ck_assert_str_eq((const char *)buf.data, "/LOCK");
  ck_assert_int_eq(lsm_filename(&buf, "d", LSM_FILE_OTHER, 0), LSM_MISUSE);
  ck_assert_ptr_null(lsm_filename_new("d", LSM_FILE_OTHER, 0));
  lsm_buf_fini(&buf);
}
END_TEST

START_TEST(not_ours) {
  static const char *const names[] = {"",
                                      ".",
                                      "..",
                                      "lock",
                                      "LOCK ",
                                      "LOCK2",
                                      "CURRENT.bak",
                                      "1.sst",
                                      "00001.sst",
                                      "0000001.sst",
                                      "000001",
                                      "000001.",
                                      "000001.ss",
                                      "000001.sstx",
                                      "000001.SST",
                                      "000001.sst.tmp",
                                      " 00001.sst",
                                      "+00001.sst",
                                      "-00001.sst",
                                      "000001sst",
                                      "x000001.sst",
                                      "0x0001.sst",
                                      "00000a.sst",
                                      "18446744073709551616.wal",
                                      "99999999999999999999.wal",
                                      "100000000000000000000000000.wal",
                                      ".sst",
                                      "000001.log"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    uint64_t number = 1;
    ck_assert_msg(lsm_filename_parse(names[i], &number) == LSM_FILE_OTHER, "%s", names[i]);
    ck_assert_uint_eq(number, 0);
  }
}
END_TEST

/* Whatever is taken for ours is spelt as we would spell it. */
START_TEST(parse_is_the_inverse) {
  lsm_buf buf = {0};
  for (int i = 0; i < GOLDEN; i++) {
    size_t n = strlen(golden[i].name);
    for (size_t at = 0; at < n; at++) {
      for (int c = 0; c < 256; c++) {
        char name[40];
        uint64_t number;
        strcpy(name, golden[i].name);
        name[at] = (char)c;
        lsm_filetype type = lsm_filename_parse(name, &number);
        if (type == LSM_FILE_OTHER) continue;
        ck_assert_int_eq(lsm_filename(&buf, "", type, number), LSM_OK);
        ck_assert_str_eq((const char *)buf.data, name);
      }
    }
  }
  lsm_buf_fini(&buf);
}
END_TEST

static bool never(void *arg) {
  (void)arg;
  return false;
}

START_TEST(without_memory) {
  lsm_buf buf = {0};
  lsm_set_malloc_hook(never, NULL);
  lsm_rc rc = lsm_filename(&buf, "d", LSM_FILE_SST, 1);
  char *copy = lsm_filename_new("d", LSM_FILE_SST, 1);
  lsm_set_malloc_hook(NULL, NULL);
  ck_assert_int_eq(rc, LSM_NOMEM);
  ck_assert_ptr_null(copy);
  lsm_buf_fini(&buf);
}
END_TEST

Suite *filename_suite(void) {
  Suite *s = suite_create("filename");
  TCase *t = tcase_create("filename");
  suite_add_tcase(s, t);
  tcase_add_test(t, made_and_read);
  tcase_add_test(t, not_ours);
  tcase_add_test(t, parse_is_the_inverse);
  tcase_add_test(t, without_memory);
  return s;
}
