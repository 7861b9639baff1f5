/* test_version.c: file records, versions, what edits make of them, and when a
** file becomes garbage. */
#include <check.h>

#include "version.h"

Suite *version_suite(void);

#define MAX_NUMBER 4096

/* How often each number was reported as garbage. */
static int garbage[MAX_NUMBER];
static void on_garbage(void *arg, uint64_t number) {
  ck_assert_ptr_eq(arg, garbage);
  ck_assert_uint_lt(number, MAX_NUMBER);
  garbage[number]++;
}

static lsm_version *new_version(void) {
  lsm_version *v;
  memset(garbage, 0, sizeof garbage);
  ck_assert_int_eq(lsm_version_new(on_garbage, garbage, &v), LSM_OK);
  return v;
}

/* A file of keyspace KS from LO to HI (without the prefix; below 0xF0). */
static lsm_filemeta *make_file(uint64_t number, uint32_t ks, int level, uint64_t run,
                               const char *lo, const char *hi, bool open) {
  uint8_t a[32] = {(uint8_t)ks};
  uint8_t b[32] = {(uint8_t)ks};
  lsm_sst_props p;
  memset(&p, 0, sizeof p);
  memcpy(a + 1, lo, strlen(lo));
  memcpy(b + 1, hi, strlen(hi));
  p.smallest.data = a;
  p.smallest.size = strlen(lo) + 1;
  p.largest.data = b;
  p.largest.size = strlen(hi) + 1;
  p.largest_open = open;
  p.size = 1000 + number;
  lsm_filemeta *f;
  ck_assert_int_eq(lsm_filemeta_new(number, ks, level, run, &p, &f), LSM_OK);
  return f;
}

static void add(lsm_edit *e, uint64_t number, uint32_t ks, int level, uint64_t run, const char *lo,
                const char *hi, bool open) {
  lsm_filemeta *f = make_file(number, ks, level, run, lo, hi, open);
  ck_assert_int_eq(lsm_edit_add_file(e, f), LSM_OK);
  lsm_filemeta_unref(f);
}

static lsm_filemeta *find(const lsm_version *v, uint32_t ks, int level, uint64_t number) {
  const lsm_tree *t = lsm_version_tree(v, ks);
  for (size_t i = 0; t != NULL && i < t->levels[level].count; i++) {
    if (t->levels[level].files[i]->number == number) return t->levels[level].files[i];
  }
  return NULL;
}

static void take(lsm_edit *e, const lsm_version *v, uint32_t ks, int level, uint64_t number) {
  lsm_filemeta *f = find(v, ks, level, number);
  ck_assert_ptr_nonnull(f);
  ck_assert_int_eq(lsm_edit_remove_file(e, f), LSM_OK);
}

static void create(lsm_edit *e, uint32_t ks) {
  lsm_keyspace_options opt = {LSM_TIERED, LSM_COMPRESS_NONE, 100 + ks, ks, false};
  ck_assert_int_eq(lsm_edit_add_keyspace(e, ks, &opt), LSM_OK);
}

/* Applies e, expecting it to fit, and empties it. */
static lsm_version *applied(lsm_version *v, lsm_edit *e) {
  lsm_version *next;
  ck_assert_int_eq(lsm_version_apply(v, e, "m", 0, &next), LSM_OK);
  lsm_edit_fini(e);
  return next;
}

/* The whole of what the store does: apply, commit, replace *v. */
static void install(lsm_version **v, lsm_edit *e) {
  lsm_version *next;
  ck_assert_int_eq(lsm_version_apply(*v, e, "m", 0, &next), LSM_OK);
  lsm_version_commit(next, e);
  lsm_version_unref(*v);
  *v = next;
  lsm_edit_fini(e);
}

static void check_garbage(uint64_t number, int want) {
  ck_assert_msg(garbage[number] == want, "file %u: %d times, not %d", (unsigned)number,
                garbage[number], want);
}

/*-------------------------------------------------------------------- files */

START_TEST(test_filemeta) {
  lsm_filemeta *f = make_file(1, 1, 0, 3, "c", "f", false);
  lsm_filemeta *o = make_file(2, 1, 2, 3, "c", "f", true);
  lsm_slice b = lsm_slice_str("\1b");
  lsm_slice c = lsm_slice_str("\1c");
  lsm_slice d = lsm_slice_str("\1d");
  lsm_slice end = lsm_slice_str("\1f");
  lsm_slice g = lsm_slice_str("\1g");
  lsm_slice none = LSM_SLICE_NULL;
  ck_assert_uint_eq(f->run, 3);
  ck_assert_uint_eq(o->run, 0); /* there are none below level 0 */
  ck_assert(!lsm_filemeta_contains(f, b) && lsm_filemeta_contains(f, c));
  ck_assert(lsm_filemeta_contains(f, d) && lsm_filemeta_contains(f, end));
  ck_assert(!lsm_filemeta_contains(f, g));
  ck_assert(!lsm_filemeta_contains(o, end) && lsm_filemeta_contains(o, d));

  ck_assert(lsm_filemeta_overlaps(f, none, none, false));
  ck_assert(lsm_filemeta_overlaps(f, none, c, false));
  ck_assert(!lsm_filemeta_overlaps(f, none, c, true));
  ck_assert(!lsm_filemeta_overlaps(f, none, b, false));
  ck_assert(lsm_filemeta_overlaps(f, end, none, true));
  ck_assert(!lsm_filemeta_overlaps(o, end, none, true));
  ck_assert(!lsm_filemeta_overlaps(f, g, none, false));
  ck_assert(lsm_filemeta_overlaps(f, b, g, true));
  ck_assert(lsm_filemeta_overlaps(f, d, d, false));
  lsm_filemeta_unref(f);
  lsm_filemeta_unref(o);
  lsm_filemeta_unref(NULL);
}
END_TEST

START_TEST(test_find) {
  lsm_filemeta *files[3] = {make_file(1, 1, 1, 0, "b", "d", true),
                            make_file(2, 1, 1, 0, "d", "f", false),
                            make_file(3, 1, 1, 0, "k", "m", false)};
  static const struct {
    const char *key;
    size_t want;
  } rows[] = {{"\1a", 0}, {"\1b", 0}, {"\1c", 0},  {"\1cz", 0}, {"\1d", 1},
              {"\1f", 1}, {"\1g", 2}, {"\1fa", 2}, {"\1m", 2},  {"\1n", 3}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    ck_assert_uint_eq(lsm_files_find(files, 3, lsm_slice_str(rows[i].key)), rows[i].want);
  }
  ck_assert_uint_eq(lsm_files_find(NULL, 0, lsm_slice_str("\1a")), 0);
  for (int i = 0; i < 3; i++) lsm_filemeta_unref(files[i]);
}
END_TEST

START_TEST(test_order) {
  lsm_version *v = new_version();
  lsm_edit e = {0};
  create(&e, 7);
  create(&e, 2);
  add(&e, 1, 2, 0, 1, "a", "z", false);
  add(&e, 2, 2, 0, 9, "m", "z", false);
  add(&e, 3, 2, 0, 9, "a", "m", true);
  add(&e, 4, 2, 0, 5, "a", "b", false);
  add(&e, 5, 2, 3, 0, "x", "y", false);
  add(&e, 6, 2, 3, 0, "a", "b", false);
  add(&e, 7, 2, 3, 0, "c", "x", true);
  install(&v, &e);
  ck_assert_uint_eq(v->count, 2);
  ck_assert_uint_eq(v->trees[0]->keyspace, 2);
  ck_assert_uint_eq(v->trees[1]->keyspace, 7);
  const lsm_tree *t = lsm_version_tree(v, 2);
  ck_assert_uint_eq(t->opt.block_size, 102);
  ck_assert_int_eq(t->opt.compaction, LSM_TIERED);
  const lsm_level *l0 = &t->levels[0];
  ck_assert_uint_eq(l0->count, 4);
  ck_assert_uint_eq(l0->files[0]->number, 3);
  ck_assert_uint_eq(l0->files[1]->number, 2);
  ck_assert_uint_eq(l0->files[2]->number, 4);
  ck_assert_uint_eq(l0->files[3]->number, 1);
  ck_assert_uint_eq(lsm_run_length(l0, 0), 2);
  ck_assert_uint_eq(lsm_run_length(l0, 1), 1);
  ck_assert_uint_eq(lsm_run_length(l0, 2), 1);
  ck_assert_uint_eq(lsm_run_length(l0, 3), 1);
  ck_assert_uint_eq(t->levels[3].count, 3);
  ck_assert_uint_eq(t->levels[3].files[0]->number, 6);
  ck_assert_uint_eq(t->levels[3].files[1]->number, 7);
  ck_assert_uint_eq(t->levels[3].files[2]->number, 5);
  ck_assert_uint_eq(lsm_level_bytes(l0), 4010);
  ck_assert_uint_eq(lsm_level_bytes(&t->levels[1]), 0);
  ck_assert_ptr_null(lsm_version_tree(v, 1));
  ck_assert_ptr_null(lsm_version_tree(v, 8));
  lsm_version_unref(v);
  lsm_version_unref(NULL);
}
END_TEST

/*------------------------------------------------------- edits that misfit */

/* Keyspaces 1 and 2; file 1 of level 0, run 1; file 2 [d,f) of level 1 in
** keyspace 1; file 5 of keyspace 2. */
static lsm_version *base_version(void) {
  lsm_version *v = new_version();
  lsm_edit e = {0};
  create(&e, 1);
  create(&e, 2);
  add(&e, 1, 1, 0, 1, "a", "z", false);
  add(&e, 2, 1, 1, 0, "d", "f", true);
  add(&e, 5, 2, 1, 0, "d", "f", false);
  install(&v, &e);
  return v;
}

static void bad_edit(int i, lsm_edit *e, lsm_version *v) {
  switch (i) {
    case 0:
      create(e, 1);
      break;
    case 1:
      ck_assert_int_eq(lsm_edit_drop_keyspace(e, 3), LSM_OK);
      break;
    case 2:
      add(e, 9, 3, 0, 1, "a", "b", false);
      break;
    case 3:
      add(e, 2, 1, 0, 4, "a", "b", false);
      break; /* there already */
    case 4:
      add(e, 5, 1, 0, 4, "a", "b", false);
      break; /* in another keyspace */
    case 5:
      add(e, 9, 1, 0, 4, "a", "b", false);
      add(e, 9, 2, 0, 4, "a", "b", false);
      break;
    case 6:
      add(e, 9, 1, 1, 0, "a", "d", false);
      break; /* overlaps 2 */
    case 7:
      add(e, 9, 1, 1, 0, "e", "g", false);
      break;
    case 8:
      add(e, 9, 1, 0, 1, "c", "d", false);
      break; /* overlaps 1 in its run */
    case 9:
    case 10: { /* a file that is not there; not in that level */
      lsm_filemeta *f = make_file(i == 9 ? 77 : 2, 1, 0, 0, "a", "b", false);
      ck_assert_int_eq(lsm_edit_remove_file(e, f), LSM_OK);
      lsm_filemeta_unref(f);
      break;
    }
    case 11:
      take(e, v, 1, 1, 2);
      take(e, v, 1, 1, 2);
      break;
    case 12:
      ck_assert_int_eq(lsm_edit_set_pointer(e, 9, 1, lsm_slice_str("\x09x")), LSM_OK);
      break;
    case 13: /* the drop took its files with it */
      ck_assert_int_eq(lsm_edit_drop_keyspace(e, 1), LSM_OK);
      take(e, v, 1, 1, 2);
      break;
    default:
      ck_abort();
  }
}
#define BAD_EDITS 14

START_TEST(test_misfit) {
  lsm_version *v = base_version();
  lsm_version *next = v;
  lsm_edit e = {0};
  add(&e, 8, 1, 0, 8, "a", "b", false); /* fits; must not survive the rest */
  bad_edit(_i, &e, v);
  ck_assert_int_eq(lsm_version_apply(v, &e, "000003.manifest", 99, &next), LSM_CORRUPT);
  ck_assert_ptr_null(next);
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "000003.manifest"));
  ck_assert_ptr_nonnull(strstr(lsm_errmsg(), "99"));
  lsm_edit_fini(&e);
  ck_assert_uint_eq(lsm_version_tree(v, 1)->levels[0].count, 1);
  ck_assert_uint_eq(lsm_version_tree(v, 1)->levels[1].count, 1);
  /* The neighbour that only touches the open end fits. */
  add(&e, 9, 1, 1, 0, "f", "g", false);
  install(&v, &e);
  ck_assert_uint_eq(lsm_version_tree(v, 1)->levels[1].count, 2);
  lsm_version_unref(v);
  for (uint64_t n = 0; n < 10; n++) check_garbage(n, 0);
}
END_TEST

/* Edits without files to change share the trees; others only their own. */
START_TEST(test_sharing) {
  lsm_version *v = base_version();
  lsm_edit e = {0};
  lsm_version *next = applied(v, &e);
  ck_assert_ptr_eq(lsm_version_tree(next, 1), lsm_version_tree(v, 1));
  add(&e, 9, 2, 0, 8, "a", "b", false);
  lsm_version *third = applied(next, &e);
  ck_assert_ptr_eq(lsm_version_tree(third, 1), lsm_version_tree(v, 1));
  ck_assert_ptr_ne(lsm_version_tree(third, 2), lsm_version_tree(v, 2));
  ck_assert_ptr_eq(find(third, 2, 1, 5), find(v, 2, 1, 5));
  ck_assert_ptr_null(find(v, 2, 0, 9));
  lsm_version_unref(v);
  lsm_version_unref(next);
  lsm_version_unref(third);
}
END_TEST

START_TEST(test_pointers) {
  lsm_version *v = base_version();
  lsm_edit e = {0};
  ck_assert_int_eq(lsm_edit_set_pointer(&e, 1, 2, lsm_slice_str("\1m")), LSM_OK);
  lsm_version *next = applied(v, &e);
  ck_assert(lsm_slice_eq(lsm_version_tree(next, 1)->compact_key[2], lsm_slice_str("\1m")));
  ck_assert_ptr_null(lsm_version_tree(v, 1)->compact_key[2].data);
  ck_assert_int_eq(lsm_edit_set_pointer(&e, 1, 2, LSM_SLICE_NULL), LSM_OK);
  install(&next, &e);
  ck_assert_ptr_null(lsm_version_tree(next, 1)->compact_key[2].data);
  lsm_version_unref(next);
  lsm_version_unref(v);
}
END_TEST

/*----------------------------------------------------------------- garbage */

START_TEST(test_close_is_no_garbage) {
  lsm_version *v = base_version();
  lsm_version_unref(v);
  for (uint64_t n = 0; n < 10; n++) check_garbage(n, 0);
}
END_TEST

START_TEST(test_removed) {
  lsm_version *v = base_version();
  lsm_version *reader = lsm_version_ref(v);
  lsm_filemeta *plan = lsm_filemeta_ref(find(v, 1, 0, 1));
  lsm_edit e = {0};
  take(&e, v, 1, 0, 1);
  take(&e, v, 1, 1, 2);
  install(&v, &e);
  check_garbage(1, 0);
  check_garbage(2, 0);
  lsm_version_unref(reader);
  check_garbage(1, 0); /* the plan has it */
  check_garbage(2, 1);
  lsm_filemeta_unref(plan);
  check_garbage(1, 1);
  lsm_version_unref(v);
  check_garbage(1, 1);
  check_garbage(2, 1);
  check_garbage(5, 0);
}
END_TEST

/* A version that is given up removes nothing, and can be made again. */
START_TEST(test_given_up) {
  lsm_version *v = base_version();
  lsm_edit e = {0};
  lsm_version *next;
  take(&e, v, 1, 1, 2);
  add(&e, 9, 1, 1, 0, "d", "e", false);
  ck_assert_int_eq(lsm_version_apply(v, &e, "m", 0, &next), LSM_OK);
  lsm_version_unref(next);
  check_garbage(2, 0);
  check_garbage(9, 0);
  install(&v, &e);
  check_garbage(2, 1);
  lsm_version_unref(v);
  check_garbage(9, 0);
}
END_TEST

/* Commit may come after the old version has gone. */
START_TEST(test_late_commit) {
  lsm_version *v = base_version();
  lsm_edit e = {0};
  lsm_version *next;
  take(&e, v, 1, 1, 2);
  ck_assert_int_eq(lsm_version_apply(v, &e, "m", 0, &next), LSM_OK);
  lsm_version_unref(v);
  check_garbage(2, 0);
  lsm_version_commit(next, &e);
  check_garbage(2, 1);
  lsm_edit_fini(&e);
  lsm_version_unref(next);
  check_garbage(2, 1);
}
END_TEST

static void move_2_down(lsm_version **v) {
  lsm_edit e = {0};
  take(&e, *v, 1, 1, 2);
  add(&e, 2, 1, 2, 0, "d", "f", true);
  install(v, &e);
}

START_TEST(test_moved) {
  lsm_version *v = base_version();
  move_2_down(&v);
  check_garbage(2, 0);
  ck_assert_ptr_null(find(v, 1, 1, 2));
  ck_assert_ptr_nonnull(find(v, 1, 2, 2));
  lsm_version_unref(v);
  check_garbage(2, 0);
}
END_TEST

/* Moved, then removed, while a reader still uses the first record. */
START_TEST(test_moved_and_removed) {
  lsm_version *v = base_version();
  lsm_version *reader = lsm_version_ref(v);
  move_2_down(&v);
  lsm_edit e = {0};
  take(&e, v, 1, 2, 2);
  install(&v, &e);
  check_garbage(2, 0);
  lsm_version_unref(reader);
  check_garbage(2, 1);
  lsm_version_unref(v);
  check_garbage(2, 1);
}
END_TEST

START_TEST(test_dropped) {
  lsm_version *v = base_version();
  lsm_version *reader = lsm_version_ref(v);
  lsm_edit e = {0};
  ck_assert_int_eq(lsm_edit_drop_keyspace(&e, 1), LSM_OK);
  install(&v, &e);
  ck_assert_ptr_null(lsm_version_tree(v, 1));
  ck_assert_ptr_nonnull(lsm_version_tree(v, 2));
  check_garbage(1, 0);
  lsm_version_unref(reader);
  check_garbage(1, 1);
  check_garbage(2, 1);
  check_garbage(5, 0);
  lsm_version_unref(v);
  check_garbage(5, 0);
}
END_TEST

/*--------------------------------------------------- whole versions as edits */

static void check_same_versions(const lsm_version *a, const lsm_version *b) {
  ck_assert_uint_eq(a->count, b->count);
  for (size_t k = 0; k < a->count; k++) {
    const lsm_tree *t = a->trees[k];
    const lsm_tree *u = b->trees[k];
    ck_assert_uint_eq(t->keyspace, u->keyspace);
    ck_assert_int_eq(t->opt.compaction, u->opt.compaction);
    ck_assert_int_eq(t->opt.compression, u->opt.compression);
    ck_assert_uint_eq(t->opt.block_size, u->opt.block_size);
    ck_assert_uint_eq(t->opt.bloom_bits, u->opt.bloom_bits);
    for (int l = 0; l < LSM_MAX_LEVELS; l++) {
      ck_assert(lsm_slice_eq(t->compact_key[l], u->compact_key[l]));
      ck_assert_uint_eq(t->levels[l].count, u->levels[l].count);
      for (size_t i = 0; i < t->levels[l].count; i++) {
        const lsm_filemeta *f = t->levels[l].files[i];
        const lsm_filemeta *g = u->levels[l].files[i];
        ck_assert_uint_eq(f->number, g->number);
        ck_assert_uint_eq(f->run, g->run);
        ck_assert_uint_eq(f->size, g->size);
        ck_assert(lsm_slice_eq(f->smallest, g->smallest));
        ck_assert(lsm_slice_eq(f->largest, g->largest));
        ck_assert(f->largest_open == g->largest_open);
      }
    }
  }
}

/* v to an edit, to bytes, to an edit, to a version: the same. */
static void check_roundtrip(const lsm_version *v) {
  lsm_edit e = {0};
  lsm_edit back;
  lsm_buf bytes = {0};
  lsm_version *empty;
  ck_assert_int_eq(lsm_version_new(NULL, NULL, &empty), LSM_OK);
  ck_assert_int_eq(lsm_version_to_edit(v, &e), LSM_OK);
  ck_assert(!e.has_next_file && !e.has_log && !e.has_next_keyspace && !e.has_last_txid);
  ck_assert_int_eq(lsm_edit_encode(&e, &bytes), LSM_OK);
  ck_assert_int_eq(lsm_edit_decode(lsm_buf_slice(&bytes), "m", 0, &back), LSM_OK);
  lsm_version *copy = applied(empty, &back);
  check_same_versions(v, copy);
  lsm_version_unref(copy);
  lsm_version_unref(empty);
  lsm_edit_fini(&e);
  lsm_buf_fini(&bytes);
}

START_TEST(test_to_edit) {
  lsm_version *v = base_version();
  lsm_edit e = {0};
  ck_assert_int_eq(lsm_edit_set_pointer(&e, 2, 4, lsm_slice_str("\2m")), LSM_OK);
  add(&e, 9, 1, 0, 8, "a", "b", false);
  install(&v, &e);
  check_roundtrip(v);
  lsm_version_unref(v);
}
END_TEST

static bool fail_nth(void *arg) {
  return (*(int *)arg)-- != 0;
}

START_TEST(test_nomem) {
  lsm_version *v = base_version();
  lsm_edit e = {0};
  create(&e, 3);
  ck_assert_int_eq(lsm_edit_drop_keyspace(&e, 2), LSM_OK);
  take(&e, v, 1, 1, 2);
  add(&e, 2, 1, 2, 0, "d", "f", true);
  add(&e, 9, 3, 0, 8, "a", "b", false);
  ck_assert_int_eq(lsm_edit_set_pointer(&e, 1, 4, lsm_slice_str("\1m")), LSM_OK);
  lsm_version *next = NULL;
  for (int n = 0; next == NULL; n++) {
    int left = n;
    ck_assert_int_lt(n, 100);
    lsm_set_malloc_hook(fail_nth, &left);
    lsm_rc rc = lsm_version_apply(v, &e, "m", 0, &next);
    lsm_set_malloc_hook(NULL, NULL);
    ck_assert_int_eq(rc, next == NULL ? LSM_NOMEM : LSM_OK);
    ck_assert_ptr_nonnull(find(v, 1, 1, 2));
    ck_assert_ptr_nonnull(find(v, 2, 1, 5));
  }
  lsm_version_commit(next, &e);
  lsm_edit_fini(&e);
  lsm_version_unref(v);
  check_garbage(5, 1);
  check_garbage(2, 0);
  ck_assert_ptr_nonnull(find(next, 1, 2, 2));
  ck_assert_ptr_nonnull(find(next, 3, 0, 9));

  bool done = false;
  for (int n = 0; !done; n++) {
    int left = n;
    lsm_set_malloc_hook(fail_nth, &left);
    lsm_rc rc = lsm_version_to_edit(next, &e);
    lsm_set_malloc_hook(NULL, NULL);
    ck_assert(rc == LSM_OK || rc == LSM_NOMEM);
    done = rc == LSM_OK;
    lsm_edit_fini(&e);
  }
  lsm_version_unref(next);
}
END_TEST

/*------------------------------------------------------------------ random */

#define KEYSPACES 4
#define HELD      6
#define SPAN      26

typedef struct model_file {
  uint64_t number, run;
  uint32_t ks;
  int level;
  int lo, hi; /* letters */
  bool open;
} model_file;

typedef struct model {
  model_file files[MAX_NUMBER];
  size_t count;
  bool exists[KEYSPACES + 1];
} model;

static uint64_t rng_state;
static unsigned rnd(unsigned n) {
  rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
  return (unsigned)(rng_state >> 33) % n;
}

static bool model_fits(const model *m, const model_file *f) {
  if (!m->exists[f->ks]) return false;
  for (size_t i = 0; i < m->count; i++) {
    const model_file *g = &m->files[i];
    if (g->number == f->number) return false;
    if (g->ks != f->ks || g->level != f->level || g->run != f->run) continue;
    bool before = f->hi < g->lo || (f->hi == g->lo && f->open);
    bool after = g->hi < f->lo || (g->hi == f->lo && g->open);
    if (!before && !after) return false;
  }
  return true;
}

/* Turns a random part of *m over, and says the same in e. False: e misfits. */
static bool random_edit(model *m, lsm_edit *e, const lsm_version *v, uint64_t *next_number) {
  bool fits = true;
  for (uint32_t ks = 1; ks <= KEYSPACES; ks++) {
    if (rnd(8) != 0) continue;
    if (!m->exists[ks]) {
      create(e, ks);
    } else if (rnd(4) == 0) {
      ck_assert_int_eq(lsm_edit_drop_keyspace(e, ks), LSM_OK);
      size_t kept = 0;
      for (size_t i = 0; i < m->count; i++) {
        if (m->files[i].ks != ks) m->files[kept++] = m->files[i];
      }
      m->count = kept;
    } else {
      continue;
    }
    m->exists[ks] = !m->exists[ks];
  }
  model_file moved = {0};
  for (unsigned n = rnd(4); n > 0 && m->count > 0; n--) {
    size_t i = rnd((unsigned)m->count);
    model_file f = m->files[i];
    take(e, v, f.ks, f.level, f.number);
    m->files[i] = m->files[--m->count];
    moved = f;
  }
  for (unsigned n = rnd(5); n > 0; n--) {
    model_file f = {*next_number, 0, 1 + rnd(KEYSPACES), (int)rnd(4), (int)rnd(SPAN), 0, false};
    if (moved.number != 0 && rnd(2) == 0) {
      f.number = moved.number; /* the same file at another place */
    } else if (rnd(40) == 0 && m->count > 0) {
      f.number = m->files[rnd((unsigned)m->count)].number;
    } else {
      ++*next_number;
    }
    f.hi = f.lo + (int)rnd(3);
    f.open = f.hi > f.lo && rnd(2) == 0;
    if (f.level == 0) f.run = rnd(6);
    bool ok = model_fits(m, &f);
    if (!ok && rnd(8) != 0) continue; /* mostly edits that fit */
    fits = fits && ok;
    char lo[2] = {(char)('a' + f.lo), 0};
    char hi[2] = {(char)('a' + f.hi), 0};
    add(e, f.number, f.ks, f.level, f.run, lo, hi, f.open);
    m->files[m->count++] = f;
  }
  return fits;
}

static void check_model(const lsm_version *v, const model *m) {
  size_t files = 0;
  for (uint32_t ks = 1; ks <= KEYSPACES; ks++) {
    const lsm_tree *t = lsm_version_tree(v, ks);
    ck_assert_int_eq(t != NULL, m->exists[ks]);
    for (int l = 0; t != NULL && l < LSM_MAX_LEVELS; l++) {
      files += t->levels[l].count;
      for (size_t i = 1; i < t->levels[l].count; i++) {
        const lsm_filemeta *a = t->levels[l].files[i - 1];
        const lsm_filemeta *b = t->levels[l].files[i];
        ck_assert(a->run > b->run || (a->run == b->run && !lsm_filemeta_contains(a, b->smallest) &&
                                      lsm_slice_cmp(a->smallest, b->smallest) < 0));
      }
    }
  }
  ck_assert_uint_eq(files, m->count);
  for (size_t i = 0; i < m->count; i++) {
    const model_file *f = &m->files[i];
    const lsm_filemeta *g = find(v, f->ks, f->level, f->number);
    ck_assert_ptr_nonnull(g);
    ck_assert_uint_eq(g->run, f->run);
    ck_assert_int_eq(g->smallest.data[1], 'a' + f->lo);
    ck_assert_int_eq(g->largest.data[1], 'a' + f->hi);
    ck_assert(g->largest_open == f->open);
  }
}

static bool has_number(const model *m, uint64_t number) {
  for (size_t i = 0; i < m->count; i++) {
    if (m->files[i].number == number) return true;
  }
  return false;
}

static struct held {
  lsm_version *v;
  model m;
} held[HELD];

/* A number is garbage exactly when it was in force once and nobody has it. */
static void check_all_garbage(const model *now, const bool *was, uint64_t next_number) {
  for (uint64_t n = 1; n < next_number; n++) {
    bool holds = has_number(now, n);
    for (int i = 0; i < HELD && !holds; i++) {
      holds = held[i].v != NULL && has_number(&held[i].m, n);
    }
    check_garbage(n, was[n] && !holds);
  }
}

START_TEST(test_random) {
  static model now;
  static model next_model;
  static bool was[MAX_NUMBER];
  uint64_t next_number = 1;
  int refused = 0;
  memset(&now, 0, sizeof now);
  memset(was, 0, sizeof was);
  memset(held, 0, sizeof held);
  rng_state = 20240607u + (unsigned)_i;
  lsm_version *v = new_version();
  for (int step = 0; step < 500; step++) {
    lsm_edit e = {0};
    lsm_version *next;
    next_model = now;
    bool fits = random_edit(&next_model, &e, v, &next_number);
    lsm_rc rc = lsm_version_apply(v, &e, "m", 0, &next);
    ck_assert_int_eq(rc, fits ? LSM_OK : LSM_CORRUPT);
    refused += !fits;
    if (fits && rnd(10) == 0) {
      lsm_version_unref(next); /* the manifest could not be written */
    } else if (fits) {
      struct held *h = &held[rnd(HELD)];
      if (rnd(3) == 0) {
        lsm_version_unref(h->v);
        h->v = rnd(2) == 0 ? NULL : lsm_version_ref(v);
        h->m = now;
      }
      lsm_version_commit(next, &e);
      lsm_version_unref(v);
      v = next;
      now = next_model;
      for (size_t i = 0; i < now.count; i++) was[now.files[i].number] = true;
    }
    lsm_edit_fini(&e);
    check_model(v, &now);
    if (step % 10 == 0) {
      check_all_garbage(&now, was, next_number);
      check_roundtrip(v);
      for (int i = 0; i < HELD; i++) {
        if (held[i].v != NULL) check_model(held[i].v, &held[i].m);
      }
    }
  }
  ck_assert_int_gt(refused, 20);
  ck_assert_uint_gt(next_number, 200);
  for (int i = 0; i < HELD; i++) lsm_version_unref(held[i].v);
  memset(held, 0, sizeof held);
  lsm_version_unref(v);
  check_all_garbage(&now, was, next_number);
}
END_TEST

Suite *version_suite(void) {
  Suite *s = suite_create("version");
  TCase *tc = tcase_create("version");
  tcase_add_test(tc, test_filemeta);
  tcase_add_test(tc, test_find);
  tcase_add_test(tc, test_order);
  tcase_add_loop_test(tc, test_misfit, 0, BAD_EDITS);
  tcase_add_test(tc, test_sharing);
  tcase_add_test(tc, test_pointers);
  tcase_add_test(tc, test_close_is_no_garbage);
  tcase_add_test(tc, test_removed);
  tcase_add_test(tc, test_given_up);
  tcase_add_test(tc, test_late_commit);
  tcase_add_test(tc, test_moved);
  tcase_add_test(tc, test_moved_and_removed);
  tcase_add_test(tc, test_dropped);
  tcase_add_test(tc, test_to_edit);
  tcase_add_test(tc, test_nomem);
  tcase_add_loop_test(tc, test_random, 0, 3);
  suite_add_tcase(s, tc);
  return s;
}
