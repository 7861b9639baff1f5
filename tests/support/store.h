/* store.h: short words for tests of a store: text keys, transactions of one
** change, checks that hold after each step. Failures end the test (Check). */
#ifndef STORE_H
#define STORE_H

#include <check.h>

#include "base.h"
#include "env_fault.h"
#include "model.h"

#define STORE_DIR "/store"

/* rc must be LSM_OK; else the test fails with lsm_errmsg(). */
#define ck_lsm(expr)                                                                       \
  do {                                                                                     \
    lsm_rc ck_rc = (expr);                                                                 \
    ck_assert_msg(ck_rc == LSM_OK, "%s: %s: %s", #expr, lsm_rc_name(ck_rc), lsm_errmsg()); \
  } while (0)

static inline lsm_slice S(const char *text) {
  return lsm_slice_str(text);
}

/* A host of the store (lsm_txn_prepare): what it committed last. */
typedef struct store_host {
  uint64_t txid;
  bool unknown; /* it can't be asked */
  lsm_rc rc;    /* not LSM_OK: asking fails */
  int calls;
} store_host;
extern const uint8_t store_host_name[LSM_HOST_SIZE];
/* opt->host_txid, with a store_host as host_arg. */
lsm_rc store_host_txid(void *arg, const uint8_t *host, uint64_t *txid, bool *known);

/* Options of a small store that is made when missing. */
lsm_options store_options(size_t memtable_size);
lsm_db *store_open(lsm_env *env, const lsm_options *opt);
/* A keyspace with small blocks, so that few rows make many. */
uint32_t store_keyspace(lsm_db *db, lsm_compaction compaction);

lsm_txn *store_begin(lsm_db *db);
void store_commit(lsm_txn *t, lsm_sync sync);
/* Transactions of one change, as text; NULL value: a delete. */
void store_put(lsm_db *db, uint32_t ks, const char *key, const char *value);
void store_delete_range(lsm_db *db, uint32_t ks, const char *lower, const char *upper);
/* Keys k00000, k00001, .. from FROM to before TO, in the transaction and in the model, if any:
** "VALUE-0", "VALUE-1", .. */
void store_fill(lsm_txn *t, uint32_t ks, int from, int to, const char *value, model *m);
/* The value as text ("-": none); static, until the next call. */
const char *store_get(lsm_db *db, uint32_t ks, const char *key);
const char *store_get_in(lsm_snapshot *snap, uint32_t ks, const char *key);
/* All of the keyspace in a bound, as "a=1 b=2"; backward: "b=2 a=1". */
const char *store_scan(lsm_snapshot *snap, uint32_t ks, const char *lower, const char *upper,
                       bool backward);
const char *store_all(lsm_db *db, uint32_t ks);

/* The keyspace must be the model, in all ways of reading it. */
void store_check_in(lsm_snapshot *snap, uint32_t ks, const model *m);
void store_check(lsm_db *db, uint32_t ks, const model *m);
/* lsm_verify() must find nothing. */
void store_verify(lsm_db *db);
lsm_stats store_stats(lsm_db *db);

/* Files of a kind (".sst") in the directory. */
int store_count_files(lsm_env *env, const char *suffix);
/* The same once it is WANT, or after ten seconds: threads of the store remove files, and write others,
** when they come to it. */
int store_await_files(lsm_env *env, const char *suffix, int want);
/* There are as many tables as the store says, in the same sense. */
void store_check_files(lsm_env *env, lsm_db *db);

/* ThreadSanitizer is slow: samples are smaller there. */
#ifdef __SANITIZE_THREAD__
#define STORE_SLOW 5
#else
#define STORE_SLOW 1
#endif

/* A number from the environment variable, for longer campaigns by hand. */
uint64_t store_param(const char *name, uint64_t otherwise);

#endif
