/* obsolete.c: tables that are the store's no more, and when they may go.
**
** A table is garbage when nobody in this process holds it. It is removed by the process
** whose edit left it out, and when no other one reads a version with it: so each tells
** the others, in SHM, from which place of the manifest on it reads (share.h).
**
** Owns:  the numbers noted (garbage, removed), the living versions' places (gens), the
**        count of readers.
** Locks: garbage_mu, a leaf; removing, none. */
#include "db_int.h"

#define PURGE_FEW 2 /* files that a user's thread removes itself: each takes milliseconds */

/* Version callback: nobody in this process holds the SSTable any more. It may
** come under locks, so it is only noted; lsm_db_purge() acts. Without memory
** for the note the file stays until a later open finds it. */
void lsm_db_note_garbage(void *arg, uint64_t number) {
  lsm_db *db = arg;
  lsm_mutex_lock(&db->garbage_mu);
  if (lsm_buf_put_u64(&db->garbage, number) == LSM_OK) {
    atomic_fetch_add(&db->garbage_count, 1);
  }
  lsm_mutex_unlock(&db->garbage_mu);
}

/* Tells the others how far back this process still reads, if it does. The versions
** that it merely has may be of older files. REQUIRES: garbage_mu. */
static void announce_oldest(lsm_db *db, bool reads) {
  uint64_t min = LSM_SHARE_NONE;
  if (db->share == NULL) return;
  for (size_t i = 0; reads && i < db->gens.size; i += 8) {
    uint64_t gen = lsm_get_u64(db->gens.data + i);
    if (gen < min) min = gen;
  }
  lsm_share_set_min(db->share, reads && db->gen_lost ? 1 : min);
}

void lsm_reading_begin(lsm_db *db) {
  uint64_t n = atomic_load(&db->readers);
  while (n > 0) { /* the others know */
    if (atomic_compare_exchange_weak(&db->readers, &n, n + 1)) return;
  }
  lsm_mutex_lock(&db->garbage_mu);
  if (atomic_load(&db->readers) == 0) announce_oldest(db, true);
  atomic_fetch_add(&db->readers, 1);
  lsm_mutex_unlock(&db->garbage_mu);
}

void lsm_reading_end(lsm_db *db) {
  uint64_t n = atomic_load(&db->readers);
  while (n > 1) {
    if (atomic_compare_exchange_weak(&db->readers, &n, n - 1)) return;
  }
  lsm_mutex_lock(&db->garbage_mu);
  assert(atomic_load(&db->readers) > 0);
  if (atomic_fetch_sub(&db->readers, 1) == 1) announce_oldest(db, false);
  lsm_mutex_unlock(&db->garbage_mu);
}

/* Version callback: it is gone. */
static void forget_gen(void *arg, uint64_t gen) {
  lsm_db *db = arg;
  lsm_mutex_lock(&db->garbage_mu);
  for (size_t i = 0; i < db->gens.size; i += 8) {
    if (lsm_get_u64(db->gens.data + i) != gen) continue;
    memmove(db->gens.data + i, db->gens.data + i + 8, db->gens.size - i - 8);
    db->gens.size -= 8;
    break;
  }
  announce_oldest(db, atomic_load(&db->readers) > 0);
  lsm_mutex_unlock(&db->garbage_mu);
}

void lsm_db_note_gen(lsm_db *db, lsm_version *version, uint64_t pos) {
  lsm_mutex_lock(&db->garbage_mu);
  version->gen = pos;
  if (lsm_buf_put_u64(&db->gens, pos) == LSM_OK) {
    version->on_free = forget_gen;
  } else {
    db->gen_lost = true;
  }
  announce_oldest(db, atomic_load(&db->readers) > 0);
  lsm_mutex_unlock(&db->garbage_mu);
}

/* Where our own edit removed the file, 0 if it was not ours. Forgets it when
** take is set. REQUIRES: garbage_mu. */
static uint64_t removed_at(lsm_db *db, uint64_t number, bool take) {
  for (size_t i = 0; i < db->removed.size; i += 16) {
    uint8_t *p = db->removed.data + i;
    if (lsm_get_u64(p) != number) continue;
    uint64_t pos = lsm_get_u64(p + 8);
    if (take) {
      memmove(p, p + 16, db->removed.size - i - 16);
      db->removed.size -= 16;
    }
    return pos;
  }
  return 0;
}

/* May the file go now? Of others' edits only what is open here does: who made
** the edit removes the file. Ours waits for the slowest process. */
static bool may_remove(lsm_db *db, uint64_t number, bool *wait) {
  lsm_mutex_lock(&db->garbage_mu);
  uint64_t pos = removed_at(db, number, false);
  *wait = pos != 0 && db->share != NULL && !lsm_share_all_past(db->share, pos);
  if (!*wait) (void)removed_at(db, number, true);
  lsm_mutex_unlock(&db->garbage_mu);
  return pos != 0 && !*wait;
}

void lsm_db_purge(lsm_db *db) {
  if (atomic_load(&db->garbage_count) == 0) return;
  lsm_mutex_lock(&db->garbage_mu);
  lsm_buf numbers = db->garbage;
  memset(&db->garbage, 0, sizeof(db->garbage));
  atomic_store(&db->garbage_count, 0);
  lsm_mutex_unlock(&db->garbage_mu);
  for (size_t i = 0; i + 8 <= numbers.size; i += 8) {
    uint64_t number = lsm_get_u64(numbers.data + i);
    bool wait;
    lsm_table_cache_evict(db->tables, number);
    if (may_remove(db, number, &wait)) {
      (void)lsm_remove_file(db, LSM_FILE_SST, number); /* else found on open */
    } else if (wait) {
      lsm_db_note_garbage(db, number);
    }
  }
  lsm_buf_fini(&numbers);
}

void lsm_db_purge_soon(lsm_db *db) {
  if (atomic_load(&db->garbage_count) <= PURGE_FEW) {
    lsm_db_purge(db);
    return;
  }
  lsm_mutex_lock(&db->mu);
  bool thread = db->compactor != NULL && !db->closing;
  if (thread && !db->purge_asked) {
    db->purge_asked = true;
    lsm_cond_broadcast(&db->cv);
  }
  lsm_mutex_unlock(&db->mu);
  if (!thread) lsm_db_purge(db);
}

static bool edit_adds(const lsm_edit *e, uint64_t number) {
  for (size_t i = 0; i < e->nadded; i++) {
    if (e->added[i].file->number == number) return true;
  }
  return false;
}

void lsm_db_note_removed(lsm_db *db, const lsm_version *next, const lsm_edit *e, uint64_t pos) {
  lsm_mutex_lock(&db->garbage_mu);
  for (size_t i = 0; i < next->nleaving; i++) {
    if (edit_adds(e, next->leaving[i]->number)) continue;
    if (lsm_buf_reserve(&db->removed, 16) != LSM_OK) break;
    (void)lsm_buf_put_u64(&db->removed, next->leaving[i]->number);
    (void)lsm_buf_put_u64(&db->removed, pos);
  }
  lsm_mutex_unlock(&db->garbage_mu);
}
