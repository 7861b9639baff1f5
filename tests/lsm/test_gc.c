/* test_gc.c: a tombstone stays while something below could be under it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "gc.h"

Suite *gc_suite(void);

/* A file over "lo..hi" or, open, "lo..hi)". */
static lsm_filemeta *file_of(const char *lo, const char *hi, bool open) {
  lsm_sst_props p = {0};
  lsm_filemeta *f;
  p.size = p.entries = 1;
  p.smallest.data = (uint8_t *)(uintptr_t)lo;
  p.smallest.size = strlen(lo);
  p.largest.data = (uint8_t *)(uintptr_t)hi;
  p.largest.size = strlen(hi);
  p.largest_open = open;
  ck_assert_int_eq(lsm_filemeta_new(1, 1, 2, 0, &p, &f), LSM_OK);
  return f;
}

/* Files from "b..d f..h)"; returns how many. */
static size_t files_of(const char *text, lsm_filemeta **files) {
  char copy[128];
  size_t n = 0;
  strcpy(copy, text);
  for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " ")) {
    char *dots = strstr(w, "..");
    bool open = w[strlen(w) - 1] == ')';
    *dots = 0;
    if (open) w[strlen(dots + 2) + (size_t)(dots + 2 - w) - 1] = 0;
    files[n++] = file_of(w, dots + 2, open);
  }
  return n;
}

static void free_files(lsm_filemeta **files, size_t n) {
  for (size_t i = 0; i < n; i++) lsm_filemeta_unref(files[i]);
}

static const struct {
  const char *below;
  const char *kept;   /* of the keys a to l */
  const char *ranges; /* ranges that stay */
  const char *gone;   /* ranges that go */
} cases[] = {
    {"", "", "", "aa-az a-z"},
    {"b..d", "bcd", "a-c a-z d-e c-ca bb-bc", "a-b da-e e-z"},
    {"b..d)", "bc", "a-c c-d b-ba", "a-b d-e e-f"},
    {"f..h b..d", "bcdfgh", "a-c e-g h-i a-z", "e-f da-e i-j"},
    {"b..d) d..f", "bcdef", "d-da c-d e-z", "fa-g a-b"},
    {"b..d) d..f)", "bcde", "d-da", "f-g a-b"},
    {"b..k c..d e..f)", "bcdefghijk", "g-h k-l", "ka-l"},
    {"c..d b..f) e..f", "bcdef", "f-g", "fa-g"},
    {"c..c e..e g..g)", "ce", "c-d b-ca", "d-e f-g"},
};

START_TEST(test_tables) {
  lsm_filemeta *files[8];
  size_t n = files_of(cases[_i].below, files);
  lsm_gc *gc;
  char kept[16] = "", again[16] = "";
  ck_assert_int_eq(lsm_gc_new(n > 0 ? files : NULL, n, &gc), LSM_OK);
  for (char c = 'a'; c <= 'l'; c++) {
    if (lsm_gc_keep_tombstone(gc, lsm_slice_of(&c, 1))) strncat(kept, &c, 1);
  }
  ck_assert_str_eq(kept, cases[_i].kept);
  for (char c = 'l'; c >= 'a'; c--) { /* going back is right too, if slower */
    if (lsm_gc_keep_tombstone(gc, lsm_slice_of(&c, 1))) {
      memmove(again + 1, again, strlen(again) + 1);
      again[0] = c;
    }
  }
  ck_assert_str_eq(again, cases[_i].kept);
  for (int keep = 0; keep < 2; keep++) {
    char copy[64];
    strcpy(copy, keep ? cases[_i].ranges : cases[_i].gone);
    for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " ")) {
      char *dash = strchr(w, '-');
      *dash = 0;
      ck_assert_msg(lsm_gc_keep_range(gc, lsm_slice_str(w), lsm_slice_str(dash + 1)) == (keep == 1),
                    "[%s, %s) over %s", w, dash + 1, cases[_i].below);
    }
  }
  lsm_gc_free(gc);
  free_files(files, n);
}
END_TEST

/* Against asking each file. */
START_TEST(test_random) {
  srand(21);
  for (int round = 0; round < 500; round++) {
    lsm_filemeta *files[12];
    size_t n = (size_t)(rand() % 12);
    for (size_t i = 0; i < n; i++) {
      int lo = rand() % 90, hi = lo + rand() % 12;
      bool open = hi > lo && rand() % 2;
      char a[16], b[16];
      snprintf(a, sizeof a, "%03d", lo);
      snprintf(b, sizeof b, "%03d", hi);
      files[i] = file_of(a, b, open);
    }
    lsm_gc *gc;
    ck_assert_int_eq(lsm_gc_new(files, n, &gc), LSM_OK);
    for (int k = 0; k < 200; k++) {
      char key[16], end[16];
      int v = k < 100 ? k : rand() % 100;
      snprintf(key, sizeof key, "%03d", v);
      snprintf(end, sizeof end, "%03d", v + 1 + rand() % 5);
      lsm_slice lo = lsm_slice_str(key), hi = lsm_slice_str(end);
      bool point = false, range = false;
      for (size_t i = 0; i < n; i++) {
        point |= lsm_filemeta_contains(files[i], lo);
        range |= lsm_filemeta_overlaps(files[i], lo, hi, true);
      }
      ck_assert_int_eq(lsm_gc_keep_tombstone(gc, lo), point);
      ck_assert_int_eq(lsm_gc_keep_range(gc, lo, hi), range);
    }
    lsm_gc_free(gc);
    free_files(files, n);
  }
}
END_TEST

static bool fail_all(void *arg) {
  (void)arg;
  return false;
}

START_TEST(test_nomem) {
  lsm_gc *gc;
  lsm_set_malloc_hook(fail_all, NULL);
  lsm_rc rc = lsm_gc_new(NULL, 0, &gc);
  lsm_set_malloc_hook(NULL, NULL);
  ck_assert_int_eq(rc, LSM_NOMEM);
  ck_assert_ptr_null(gc);
  lsm_gc_free(NULL);
}
END_TEST

Suite *gc_suite(void) {
  Suite *s = suite_create("gc");
  TCase *tc = tcase_create("gc");
  tcase_add_loop_test(tc, test_tables, 0, (int)(sizeof cases / sizeof *cases));
  tcase_add_test(tc, test_random);
  tcase_add_test(tc, test_nomem);
  suite_add_tcase(s, tc);
  return s;
}
