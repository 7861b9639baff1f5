/* wal_model.h: one log file and what should be read back from it.
**
** The log is file 7 of a store in an environment of memory that can fail and lose power
** (env_fault.h), fresh in each test. What fails here fails the test, but for results that
** are returned. */
#ifndef WAL_MODEL_H
#define WAL_MODEL_H

#include "store.h"
#include "wal_format.h"

#define WAL_PATH "d/000007.wal"
#define WAL_SALT 0x5A17C0DEu
enum { WAL_NUMBER = 7, WAL_MODEL_MAX = 64 };

extern const uint8_t wal_store_id[16];
extern const lsm_wal_prev wal_prev_none;
extern lsm_env *wal_env;

/* The fixture: the environment. */
void wal_setup(void);
void wal_teardown(void);

/* A random number below n; the same after the same seed. */
extern uint64_t wal_seed;
uint32_t wal_rnd(uint32_t n);

/*------------------------------------------------------------------- model */

/* What was appended, and what the replay must give back. */
typedef struct wal_expected {
  lsm_wal_type type;
  uint64_t txid, off, end;
  lsm_buf payload;
} wal_expected;

/* Zero-initialise. */
typedef struct wal_model {
  wal_expected at[WAL_MODEL_MAX];
  size_t count;
  size_t seen; /* by the replay under way, and the last one */
  bool mismatch;
} wal_model;

void wal_model_fini(wal_model *m);

/* The log, made anew. */
lsm_wal *wal_create(void);

/* Appends n random bytes, zero in part if asked, to log and model; on failure to neither. */
lsm_rc wal_append(lsm_wal *w, wal_model *m, lsm_wal_type type, size_t n, bool zeros);
/* The last record was taken back, or is lost. */
void wal_forget(wal_model *m);

/* lsm_wal_replay(): what it gives is always a beginning of the model, m->seen records of it,
** and info agrees. */
lsm_rc wal_replay(wal_model *m, uint64_t limit, lsm_wal_info *info);

/* Without a model: each record takes one from *left, and the one that brings it to 0 ends the
** reading, LSM_INTERRUPT. */
lsm_rc wal_read(int *left, lsm_wal_info *info);

/*-------------------------------------------------------------------- file */

/* Replaces the file, or n bytes of it. */
void wal_put_file(const uint8_t *data, size_t n);
void wal_poke(size_t off, const void *data, size_t n);

#endif
