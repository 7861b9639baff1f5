/* pace.c: how fast a writer may go while the background is busy: a little slower
** early, so that it need not stop later.
**
** Two things can get full. Level 0: from LSM_L0_SLOW runs on each batch is delayed
** in proportion to its bytes, more with each further run. The memtable, while the
** one before it is being flushed: how long that will take is known from how far it
** has come, so what room there is can be made to last. A writer who takes his time
** anyway is not delayed.
**
** Both memtables together may be larger than their budget, for a while: what is
** too much the cache lends. */
#include "db_int.h"

#define SLOW_BYTES_PER_US 64u /* pace at the first step of slow-down */
#define SLOW_MAX_US 6000u     /* longest delay of one commit, */
#define SLOW_LATE_US 20000u   /* and when level 0 is all but full */
#define SLOW_MIN_US 500u      /* shorter ones are saved up */
#define LEND_STEP ((size_t)1 << 20)
#define METER_US 100000u        /* between looks how fast users write */
#define FAST_BYTES_PER_US 32u   /* a row is merged about thrice, a core compresses 100 MB/s */

uint64_t lsm_pace_level0(size_t bytes, int runs) {
  if (runs < LSM_L0_SLOW) return 0;
  return bytes / SLOW_BYTES_PER_US * (uint64_t)(runs - LSM_L0_SLOW + 1);
}

uint64_t lsm_pace_flush(size_t bytes, size_t room, uint64_t done, uint64_t total,
                        uint64_t elapsed_us) {
  if (done == 0 || done > total || room <= bytes) return 0; /* not known; or a rotation comes */
  double left = (double)elapsed_us * (double)(total - done) / (double)done;
  left += (double)elapsed_us / 8; /* to sync it */
  return (uint64_t)((double)bytes / (double)room * left);
}

bool lsm_pace_is_fast(lsm_meter *m, uint64_t now, uint64_t bytes) {
  if (m->at != 0 && now - m->at < METER_US) return m->fast;
  m->fast = m->at != 0 && (bytes - m->bytes) / FAST_BYTES_PER_US > now - m->at;
  m->at = now;
  m->bytes = bytes;
  return m->fast;
}

size_t lsm_memtable_limit(const lsm_db *db) { return db->opt.memtable_size / 4 * 3; }

/* What the flush of the immutable memtable asks of a batch that comes US after the
** one before. */
static uint64_t flush_delay(lsm_db *db, size_t bytes, uint64_t now, uint64_t us) {
  uint64_t total = atomic_load(&db->flush_total), done = atomic_load(&db->flush_done);
  uint64_t start = atomic_load(&db->flush_start);
  size_t limit = lsm_memtable_limit(db), used = lsm_memtable_used(db->mem);
  if (total == 0 || used >= limit || now <= start) return 0;
  uint64_t pace = lsm_pace_flush(bytes, limit - used, done, total, now - start);
  return pace > us ? pace - us : 0;
}

void lsm_pace(lsm_db *db, size_t bytes, int runs) {
  if (runs < LSM_L0_SLOW && atomic_load_explicit(&db->flush_total, memory_order_relaxed) == 0) {
    db->paced_at = 0;
    return;
  }
  uint64_t now = db->env->now_us(db->env);
  uint64_t us = lsm_pace_level0(bytes, runs);
  if (db->paced_at != 0) {
    uint64_t flush = flush_delay(db, bytes, now, now - db->paced_at);
    if (flush > us) us = flush;
  }
  db->paced_at = now;
  db->slow_debt_us += us;
  if (db->slow_debt_us < SLOW_MIN_US) return;
  uint64_t most = runs < (LSM_L0_SLOW + LSM_L0_STOP) / 2 ? SLOW_MAX_US : SLOW_LATE_US;
  us = db->slow_debt_us < most ? db->slow_debt_us : most;
  db->slow_debt_us = 0;
  db->env->sleep_us(db->env, us);
  db->paced_at = db->env->now_us(db->env);
  LSM_COUNT(db, slowdowns, 1);
  LSM_COUNT(db, stall_us, us);
}

void lsm_flush_begins(lsm_db *db, uint64_t entries) {
  atomic_store(&db->flush_done, 0);
  atomic_store(&db->flush_start, db->env->now_us(db->env));
  atomic_store(&db->flush_total, entries);
}

void lsm_flush_ends(lsm_db *db) { atomic_store(&db->flush_total, 0); }

void lsm_lend_cache(lsm_db *db) {
  lsm_mutex_lock(&db->mu);
  size_t used = lsm_memtable_memory(db->mem);
  if (db->imm != NULL) used += lsm_memtable_memory(db->imm);
  lsm_mutex_unlock(&db->mu);
  size_t lent = used > db->opt.memtable_size ? used - db->opt.memtable_size : 0;
  lent = (lent + LEND_STEP - 1) / LEND_STEP * LEND_STEP;
  lsm_cache_lend(db->cache, lent);
}
