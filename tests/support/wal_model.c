/* wal_model.c: one log file and what should be read back from it. */
#include "wal_model.h"

const uint8_t wal_store_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
const lsm_wal_prev wal_prev_none = {0, 0};
lsm_env *wal_env;

void wal_setup(void) {
  ck_lsm(env_fault_new(NULL, &wal_env));
  ck_lsm(wal_env->mkdir(wal_env, "d"));
  ck_lsm(wal_env->sync_dir(wal_env, "."));
}

void wal_teardown(void) {
  env_fault_free(wal_env);
  wal_env = NULL;
}

uint64_t wal_seed;

uint32_t wal_rnd(uint32_t n) {
  wal_seed = wal_seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(wal_seed >> 33) % n;
}

/*------------------------------------------------------------------- model */

void wal_model_fini(wal_model *m) {
  for (size_t i = 0; i < m->count; i++) lsm_buf_fini(&m->at[i].payload);
  memset(m, 0, sizeof *m);
}

void wal_forget(wal_model *m) {
  ck_assert_uint_gt(m->count, 0);
  lsm_buf_fini(&m->at[--m->count].payload);
}

lsm_rc wal_append(lsm_wal *w, wal_model *m, lsm_wal_type type, size_t n, bool zeros) {
  wal_expected *x = &m->at[m->count];
  ck_assert(m->count < WAL_MODEL_MAX);
  memset(x, 0, sizeof *x);
  ck_lsm(lsm_buf_reserve(&x->payload, n + 1));
  x->payload.size = n;
  for (size_t i = 0; i < n; i++) {
    bool zero = zeros && (i / 700) % 2 == 1;
    x->payload.data[i] = zero ? 0 : (uint8_t)(1 + wal_rnd(255));
  }
  x->type = type;
  x->txid = 100 + m->count;
  x->off = lsm_wal_end(w);
  lsm_slice parts[3] = {lsm_slice_of(x->payload.data, n / 3), LSM_SLICE_NULL,
                        lsm_slice_of(x->payload.data + n / 3, n - n / 3)};
  lsm_rc rc = lsm_wal_append(w, type, x->txid, parts, 3);
  x->end = lsm_wal_end(w);
  if (rc == LSM_OK) {
    m->count++;
  } else {
    ck_assert_uint_eq(x->end, x->off);
    lsm_buf_fini(&x->payload);
  }
  return rc;
}

static lsm_rc compare(void *arg, const lsm_wal_record *rec) {
  wal_model *m = arg;
  if (m->seen >= m->count) {
    m->mismatch = true;
    return LSM_OK;
  }
  const wal_expected *x = &m->at[m->seen++];
  if (rec->type != x->type || rec->txid != x->txid || rec->off != x->off ||
      !lsm_slice_eq(rec->payload, lsm_buf_slice(&x->payload))) {
    m->mismatch = true;
  }
  return LSM_OK;
}

lsm_rc wal_replay(wal_model *m, uint64_t limit, lsm_wal_info *info) {
  m->seen = 0;
  m->mismatch = false;
  lsm_rc rc = lsm_wal_replay(wal_env, WAL_PATH, wal_store_id, WAL_NUMBER, limit, compare, m, info);
  ck_assert(!m->mismatch);
  if (rc == LSM_OK && !info->empty) {
    ck_assert_uint_eq(info->end, m->seen == 0 ? LSM_WAL_HEADER_SIZE : m->at[m->seen - 1].end);
  }
  return rc;
}

lsm_wal *wal_create(void) {
  lsm_wal *w;
  ck_lsm(lsm_wal_create(wal_env, WAL_PATH, wal_store_id, WAL_NUMBER, WAL_SALT, wal_prev_none, &w));
  return w;
}

static lsm_rc count_down(void *arg, const lsm_wal_record *rec) {
  int *left = arg;
  (void)rec;
  return --*left == 0 ? LSM_INTERRUPT : LSM_OK;
}

lsm_rc wal_read(int *left, lsm_wal_info *info) {
  return lsm_wal_replay(wal_env, WAL_PATH, wal_store_id, WAL_NUMBER, 0, count_down, left, info);
}

/*-------------------------------------------------------------------- file */

static void write_at(int flags, size_t off, const void *data, size_t n) {
  lsm_file *f;
  ck_lsm(wal_env->open(wal_env, WAL_PATH, LSM_OPEN_WRITE | flags, &f));
  ck_lsm(lsm_file_write(f, off, data, n));
  lsm_file_close(f);
}

void wal_put_file(const uint8_t *data, size_t n) {
  write_at(LSM_OPEN_CREATE | LSM_OPEN_TRUNCATE, 0, data, n);
}

void wal_poke(size_t off, const void *data, size_t n) {
  write_at(0, off, data, n);
}
