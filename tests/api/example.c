/* example.c: the store from a program of one's own, through lsm.h alone. Also compiled as
** C++ by `make api`.
**
**     make lib
**     cc -Ilsm example.c build/plain/liblsm.a -lz -lpthread -lm
**
** (and -ldeflate if libdeflate was found). example DIR makes a store in DIR, or opens the
** one that is there; the number of its keyspace, which a program keeps, is 1. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lsm.h"

#define WORDS 1

static lsm_slice slice(const char *text) {
  lsm_slice s;
  s.data = (const uint8_t *)text;
  s.size = strlen(text);
  return s;
}

static lsm_rc open_words(const char *dir, lsm_db **db) {
  lsm_options opt;
  lsm_keyspace_options words;
  uint32_t number = WORDS;
  lsm_options_init(&opt);
  lsm_keyspace_options_init(&words);
  opt.create = true;
  lsm_rc rc = lsm_open(lsm_env_default(), dir, &opt, db);
  if (rc != LSM_OK) return rc;
  rc = lsm_keyspace_get(*db, WORDS, &words);
  if (rc == LSM_NOTFOUND) rc = lsm_keyspace_create(*db, &words, &number);
  return rc;
}

/* All of it or nothing, and durable. */
static lsm_rc write_words(lsm_db *db) {
  lsm_txn *txn = NULL;
  lsm_rc rc = lsm_txn_begin(db, 1000, NULL, &txn);
  if (rc == LSM_OK) rc = lsm_txn_put(txn, WORDS, slice("pear"), slice("yellow"));
  if (rc == LSM_OK) rc = lsm_txn_put(txn, WORDS, slice("apple"), slice("red"));
  if (rc == LSM_OK) rc = lsm_txn_put(txn, WORDS, slice("plum"), slice("blue"));
  if (rc == LSM_OK) rc = lsm_txn_delete(txn, WORDS, slice("pear"));
  if (rc == LSM_OK) rc = lsm_txn_prepare(txn, LSM_SYNC_FULL, NULL, NULL);
  if (rc == LSM_OK) {
    lsm_txn_commit(txn);
  } else {
    (void)lsm_txn_rollback(txn);
  }
  return rc;
}

static lsm_rc print_words(lsm_db *db) {
  lsm_snapshot *snap = NULL;
  lsm_cursor *cur = NULL;
  lsm_slice open_end = {NULL, 0};
  lsm_rc rc = lsm_snapshot_acquire(db, &snap);
  if (rc == LSM_OK) rc = lsm_cursor_open(snap, WORDS, open_end, open_end, &cur);
  if (rc == LSM_OK) rc = lsm_cursor_first(cur);
  while (rc == LSM_OK && lsm_cursor_valid(cur)) {
    lsm_slice k = lsm_cursor_key(cur), v = lsm_cursor_value(cur);
    printf("%.*s is %.*s\n", (int)k.size, (const char *)k.data, (int)v.size,
           (const char *)v.data);
    rc = lsm_cursor_next(cur);
  }
  lsm_cursor_close(cur);
  lsm_buf value = {NULL, 0, 0};
  if (rc == LSM_OK) rc = lsm_get(snap, WORDS, slice("pear"), &value);
  if (rc == LSM_NOTFOUND) {
    printf("no pear\n");
    rc = LSM_OK;
  }
  lsm_buf_fini(&value);
  lsm_snapshot_release(snap);
  return rc;
}

int main(int argc, char **argv) {
  lsm_db *db = NULL;
  lsm_rc rc = LSM_MISUSE;
  if (argc == 2) rc = open_words(argv[1], &db);
  if (rc == LSM_OK) rc = write_words(db);
  if (rc == LSM_OK) rc = print_words(db);
  if (rc == LSM_OK) rc = lsm_flush(db, NULL);
  if (rc != LSM_OK) fprintf(stderr, "%s: %s\n", lsm_rc_name(rc), lsm_errmsg());
  if (db != NULL && lsm_close(db) != LSM_OK) fprintf(stderr, "%s\n", lsm_errmsg());
  return rc == LSM_OK ? 0 : 1;
}
