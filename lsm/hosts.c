/* hosts.c: the store as a host's own snapshot sees it.
**
** A reader that has an older state of the host (a read transaction in WAL mode)
** must have the store as it was then, as far as transactions with that host are
** concerned; one with a newer state, whose transaction is on its way into the
** memtable, must wait for it. The host tells the number of the last transaction
** in its state. Numbers rise with each commit, so a transaction is in the store
** if its number is not above db->committed; whether there are later ones is
** answered by a short list, which has the snapshots from before them too.
**
** Guarded by mu, but for what is said to be atomic. Snapshots are released
** outside. */
#include "db_int.h"

#define WAIT_US 1000u
#define MAX_OUT (2 * LSM_HOST_KEPT)

typedef struct entry {
  uint64_t txid;
  lsm_snapshot *before; /* NULL: not kept */
} entry;

struct lsm_host {
  lsm_host *next;
  uint8_t id[LSM_HOST_SIZE];
  uint64_t lost;    /* transactions up to this number are not in the list */
  uint64_t checked; /* nor are there others than those up to this one, */
  uint64_t newest;  /* but for some up to this one, of which nothing is known */
  bool met;         /* in the present go, see lsm_host_first() */
  int n;
  entry last[LSM_HOST_KEPT]; /* oldest first */
  int nout;
  lsm_snapshot *out[MAX_OUT]; /* to be released */
};

static lsm_host *find_host(lsm_db *db, const uint8_t *id) {
  lsm_host *h = db->hosts;
  while (h != NULL && memcmp(h->id, id, LSM_HOST_SIZE) != 0) h = h->next;
  return h;
}

void lsm_db_raise_committed(lsm_db *db, uint64_t txid) {
  if (atomic_load(&db->committed) < txid) atomic_store(&db->committed, txid);
}

bool lsm_has_hosts(const lsm_db *db) {
  return db->share != NULL ? lsm_share_hosts(db->share) : atomic_load(&db->any_host);
}

lsm_rc lsm_host_enter(lsm_db *db, const uint8_t *id) {
  lsm_rc rc = LSM_OK;
  lsm_mutex_lock(&db->mu);
  if (find_host(db, id) == NULL) {
    lsm_host *h = lsm_calloc(sizeof(*h));
    if (h != NULL) {
      memcpy(h->id, id, LSM_HOST_SIZE);
      h->next = db->hosts;
      db->hosts = h;
    } else {
      rc = lsm_nomem();
    }
  }
  lsm_mutex_unlock(&db->mu);
  return rc;
}

void lsm_host_announce(lsm_db *db) {
  atomic_store(&db->any_host, true);
  if (db->share != NULL) lsm_share_set_hosts(db->share);
}

void lsm_host_note(lsm_db *db, const uint8_t *id, uint64_t txid, lsm_snapshot *before) {
  lsm_mutex_lock(&db->mu);
  lsm_host *h = find_host(db, id);
  assert(h != NULL && h->nout < MAX_OUT);
  if (h->n > 0 && h->last[h->n - 1].txid >= txid) { /* read once more */
    if (before != NULL) h->out[h->nout++] = before;
  } else {
    if (h->n == LSM_HOST_KEPT) {
      h->out[h->nout] = h->last[0].before;
      if (h->out[h->nout] != NULL) h->nout++;
      h->lost = h->last[0].txid;
      memmove(h->last, h->last + 1, sizeof(h->last) - sizeof(h->last[0]));
      h->n--;
    }
    h->last[h->n].txid = txid;
    h->last[h->n].before = before;
    h->n++;
  }
  lsm_mutex_unlock(&db->mu);
}

void lsm_hosts_go(lsm_db *db) {
  lsm_mutex_lock(&db->mu);
  for (lsm_host *h = db->hosts; h != NULL; h = h->next) h->met = false;
  lsm_mutex_unlock(&db->mu);
}

bool lsm_host_first(lsm_db *db, const uint8_t *id) {
  lsm_mutex_lock(&db->mu);
  lsm_host *h = find_host(db, id);
  bool first = !h->met;
  h->met = true;
  lsm_mutex_unlock(&db->mu);
  return first;
}

/* Takes one of the snapshots that are to go, or (all) any, out of the lists. */
static lsm_snapshot *take_one(lsm_db *db, bool all) {
  lsm_snapshot *s = NULL;
  lsm_mutex_lock(&db->mu);
  for (lsm_host *h = db->hosts; h != NULL && s == NULL; h = h->next) {
    if (h->nout > 0) s = h->out[--h->nout];
    for (int i = 0; all && i < h->n && s == NULL; i++) {
      s = h->last[i].before;
      h->last[i].before = NULL;
    }
  }
  lsm_mutex_unlock(&db->mu);
  return s;
}

void lsm_hosts_drop(lsm_db *db) {
  lsm_snapshot *s;
  while ((s = take_one(db, false)) != NULL) lsm_snapshot_drop(s);
}

void lsm_hosts_sweep(lsm_db *db) {
  lsm_hosts_drop(db);
  lsm_db_purge_soon(db);
}

void lsm_hosts_forget(lsm_db *db) {
  lsm_snapshot *s;
  while ((s = take_one(db, true)) != NULL) lsm_snapshot_drop(s);
  lsm_db_purge(db);
}

void lsm_hosts_free(lsm_db *db) {
  for (lsm_host *h = db->hosts, *next; h != NULL; h = next) {
    next = h->next;
    lsm_free(h);
  }
  db->hosts = NULL;
}

/*---------------------------------------------------------------- reading */

static lsm_rc stale(const lsm_db *db) {
  return lsm_fail(LSM_STALE, "%s: the state that this transaction reads is no longer kept",
                  db->dir);
}

/* A kept snapshot, if its tables are there: those that other processes have left out
** since may be gone. Ours are not while anybody has a version with them. */
static bool take_kept(lsm_db *db, lsm_snapshot *kept, lsm_snapshot **before) {
  if (kept == NULL || kept->version->gen < db->foreign_edit) return false;
  *before = lsm_snapshot_ref(kept);
  return true;
}

/* What a host that is at TXID may see: *before, or the present state if that is
** NULL. REQUIRES: lsm_reading_begin(); apply_mu, mu. */
static lsm_rc choose(lsm_db *db, const uint8_t *id, uint64_t txid, lsm_snapshot **before) {
  const lsm_host *h = find_host(db, id);
  uint64_t committed = atomic_load(&db->committed);
  *before = NULL;
  /* What came in tables is in all states, on no list. */
  bool seen = txid >= db->unseen ||
              (h != NULL && h->checked >= db->unseen && txid >= h->newest);
  if (!seen) return stale(db);
  int i = 0;
  while (h != NULL && i < h->n && h->last[i].txid <= txid) i++;
  if (h != NULL && i < h->n && h->last[i].txid <= committed) {
    bool first = i > 0 || txid >= h->lost;
    return first && take_kept(db, h->last[i].before, before) ? LSM_OK : stale(db);
  }
  return h != NULL && i == 0 && txid < h->lost ? stale(db) : LSM_OK;
}

/* Waits until the host's transaction TXID is in the store. Whoever can be the
** writer knows that nothing is on its way: what a killed one left is settled
** then, and a number that is above all the same was lost with a tail of the log. */
static lsm_rc wait_for(lsm_db *db, uint64_t txid, int64_t busy_ms, const lsm_interrupt *intr) {
  uint64_t start = 0;
  while (txid > atomic_load(&db->committed) && txid > atomic_load(&db->ahead)) {
    lsm_rc rc = lsm_catch_up(db);
    if (rc == LSM_OK && txid <= atomic_load(&db->committed)) break;
    if (rc == LSM_OK && db->share == NULL && db->opt.read_only) return LSM_OK; /* it stays as it is */
    if (rc == LSM_OK) rc = db->opt.read_only ? LSM_BUSY : lsm_writer_look(db);
    if (rc == LSM_OK) {
      if (txid > atomic_load(&db->committed)) atomic_store(&db->ahead, txid);
      break;
    }
    if (rc != LSM_BUSY) return rc;
    uint64_t now = db->env->now_us(db->env);
    if (start == 0) start = now;
    if (now - start >= (uint64_t)busy_ms * 1000) {
      return lsm_fail(LSM_BUSY, "%s: transaction %llu is being committed", db->dir,
                      (unsigned long long)txid);
    }
    if (lsm_interrupted(intr)) return lsm_fail(LSM_INTERRUPT, "interrupted");
    lsm_mutex_lock(&db->mu);
    lsm_cond_wait_us(&db->roles_cv, &db->mu, WAIT_US);
    lsm_mutex_unlock(&db->mu);
  }
  return LSM_OK;
}

bool lsm_is_committing(lsm_db *db) {
  if (db->share != NULL) return lsm_share_dirty(db->share);
  lsm_mutex_lock(&db->mu);
  bool held = db->log_held;
  lsm_mutex_unlock(&db->mu);
  return held;
}

void lsm_wait_committed(lsm_db *db, int64_t wait_ms, const lsm_interrupt *intr) {
  uint64_t start = db->env->now_us(db->env);
  while (lsm_is_committing(db)) {
    lsm_settle_dead(db);
    if (!lsm_is_committing(db) || lsm_interrupted(intr)) return;
    if (db->env->now_us(db->env) - start >= (uint64_t)wait_ms * 1000) return;
    lsm_mutex_lock(&db->mu);
    lsm_cond_wait_us(&db->roles_cv, &db->mu, WAIT_US);
    lsm_mutex_unlock(&db->mu);
  }
}

lsm_rc lsm_snapshot_acquire_at(lsm_db *db, const uint8_t *host, uint64_t txid, int64_t busy_ms,
                               const lsm_interrupt *intr, lsm_snapshot **snap) {
  lsm_snapshot *now = NULL, *before = NULL;
  *snap = NULL;
  lsm_rc rc = wait_for(db, txid, busy_ms, intr);
  if (rc == LSM_OK) rc = lsm_snapshot_alloc(db, &now);
  if (rc != LSM_OK) return rc;
  lsm_reading_begin(db);
  rc = lsm_catch_up(db);
  if (rc != LSM_OK) {
    lsm_snapshot_release(now);
    return rc;
  }
  lsm_mutex_lock(&db->apply_mu);
  lsm_mutex_lock(&db->mu);
  rc = choose(db, host, txid, &before);
  bool present = rc == LSM_OK && before == NULL;
  if (present) before = lsm_snapshot_latest(now);
  lsm_mutex_unlock(&db->mu);
  lsm_mutex_unlock(&db->apply_mu);
  if (before != now) lsm_snapshot_drop(now);
  if (!present) lsm_reading_end(db); /* before, if any, has begun its own */
  *snap = before;
  return rc;
}

lsm_rc lsm_host_confirm(lsm_db *db, const uint8_t *id, uint64_t txid, const lsm_snapshot *snap) {
  lsm_rc rc = lsm_host_enter(db, id);
  if (rc != LSM_OK) return rc;
  lsm_mutex_lock(&db->mu);
  lsm_host *h = find_host(db, id);
  if (h->checked < snap->txid) {
    h->checked = snap->txid;
    h->newest = txid;
  }
  lsm_mutex_unlock(&db->mu);
  return LSM_OK;
}
