/* drop.c: the clock by which values expire, and files in which all have.
**
** Such a file goes by an edit alone, without being read. It may hide older
** entries of its keys, by what it has that is newer, by tombstones and ranges. So
** it goes only when every older file that meets its bounds goes as well: then,
** whatever the clock does later, nothing comes back. Files are looked at from the
** oldest to the newest. A file that has to wait for an older one is merged with it
** in time, since picker.c takes it for one of tombstones.
**
** Only compactions take files away, and we have their slot: what is chosen stays
** until our edit, unless its keyspace is dropped. */
#include "db_int.h"

uint64_t lsm_now(const lsm_db *db) {
  uint64_t ms = db->env->time_us(db->env) / 1000;
  return ms > 0 ? ms : 1;
}

bool lsm_keyspace_expires(lsm_db *db, const lsm_version *v, uint32_t keyspace) {
  const lsm_tree *t = lsm_version_tree(v, keyspace);
  if (LSM_LIKELY(t != NULL)) return t->opt.expires;
  lsm_version *now = lsm_db_version(db);
  t = lsm_version_tree(now, keyspace);
  bool expires = t != NULL && t->opt.expires;
  lsm_version_unref(now);
  return expires;
}

/*------------------------------------------------------------- next look */

/* The earlier of two times, 0 being none; a time that is not after NOW is none. */
static uint64_t earlier(uint64_t a, uint64_t b, uint64_t now) {
  if (b == 0 || b <= now) return a;
  return a == 0 || b < a ? b : a;
}

uint64_t lsm_next_expiry(const lsm_version *v, uint64_t now) {
  uint64_t next = 0;
  for (size_t t = 0; t < v->count; t++) {
    if (!v->trees[t]->opt.expires) continue;
    for (int l = 0; l < LSM_MAX_LEVELS; l++) {
      const lsm_level *level = &v->trees[t]->levels[l];
      for (size_t i = 0; i < level->count; i++) {
        next = earlier(next, level->files[i]->expiry.half, now);
        next = earlier(next, level->files[i]->expiry.last, now);
      }
    }
  }
  return next;
}

/* If the threads cannot be started, they are with the first flush. */
void lsm_drop_at_open(lsm_db *db) {
  lsm_version *v = lsm_db_version(db);
  bool expires = lsm_next_expiry(v, 0) != 0;
  lsm_version_unref(v);
  if (expires) (void)lsm_sched_kick(db);
}

/*------------------------------------------------------------------ dropping */

/* The files of a tree that have been looked at, oldest first. */
typedef struct look {
  uint64_t now;
  lsm_edit *edit;
  lsm_filemeta **kept; /* borrowed */
  size_t nkept;
  uint64_t entries;
} look;

static bool hides_kept(const look *k, const lsm_filemeta *f) {
  for (size_t i = 0; i < k->nkept; i++) {
    if (lsm_filemeta_overlaps(k->kept[i], f->smallest, f->largest, f->largest_open)) return true;
  }
  return false;
}

/* Files of one run: none of them hides another. */
static lsm_rc look_at_run(look *k, lsm_filemeta *const *files, size_t count) {
  size_t older = k->nkept, kept = older;
  lsm_rc rc = LSM_OK;
  for (size_t i = 0; i < count && rc == LSM_OK; i++) {
    lsm_filemeta *f = files[i];
    k->nkept = older;
    if (!lsm_until_past(f->expiry.last, k->now) || hides_kept(k, f)) {
      k->kept[kept++] = f;
      continue;
    }
    rc = lsm_edit_remove_file(k->edit, f);
    k->entries += f->entries - f->tombstones;
  }
  k->nkept = kept;
  return rc;
}

lsm_rc lsm_tree_drop_expired(const lsm_tree *t, uint64_t now, lsm_edit *e, uint64_t *entries) {
  const lsm_level *l0 = &t->levels[0];
  look k = {.now = now, .edit = e};
  size_t count = 0;
  lsm_rc rc = LSM_OK;
  for (int l = 0; l < LSM_MAX_LEVELS; l++) count += t->levels[l].count;
  k.kept = lsm_malloc(count * sizeof *k.kept);
  if (k.kept == NULL) return lsm_nomem();
  for (int l = LSM_MAX_LEVELS - 1; l > 0 && rc == LSM_OK; l--) {
    rc = look_at_run(&k, t->levels[l].files, t->levels[l].count);
  }
  for (size_t end = l0->count, i; end > 0 && rc == LSM_OK; end = i) {
    for (i = end - 1; i > 0 && l0->files[i - 1]->run == l0->files[end - 1]->run; i--) continue;
    rc = look_at_run(&k, l0->files + i, end - i);
  }
  lsm_free(k.kept);
  *entries += k.entries;
  return rc;
}

/* Has any file of V expired wholly, be it one that must wait? */
static bool any_expired(const lsm_version *v, uint64_t now) {
  for (size_t t = 0; t < v->count; t++) {
    if (!v->trees[t]->opt.expires) continue;
    for (int l = 0; l < LSM_MAX_LEVELS; l++) {
      const lsm_level *level = &v->trees[t]->levels[l];
      for (size_t i = 0; i < level->count; i++) {
        if (lsm_until_past(level->files[i]->expiry.last, now)) return true;
      }
    }
  }
  return false;
}

static lsm_rc look_at_version(const lsm_version *v, uint64_t now, lsm_edit *e, uint64_t *entries) {
  lsm_rc rc = LSM_OK;
  for (size_t t = 0; t < v->count && rc == LSM_OK; t++) {
    if (v->trees[t]->opt.expires) rc = lsm_tree_drop_expired(v->trees[t], now, e, entries);
  }
  return rc;
}

lsm_rc lsm_drop_expired(lsm_db *db, bool *dropped) {
  lsm_edit e = {0};
  uint64_t now = lsm_now(db), entries = 0;
  bool unknown = false;
  *dropped = false;
  lsm_version *v = lsm_db_version(db);
  bool any = any_expired(v, now);
  lsm_version_unref(v);
  if (!any) return LSM_OK;
  lsm_rc rc = lsm_manifest_enter(db);
  if (rc != LSM_OK) return rc;
  v = lsm_db_version(db);
  rc = look_at_version(v, now, &e, &entries);
  if (rc == LSM_OK && e.nremoved > 0) {
    rc = lsm_db_log_edit(db, &e, &unknown);
    *dropped = rc == LSM_OK;
  }
  lsm_manifest_exit(db);
  lsm_version_unref(v);
  if (*dropped) {
    LSM_COUNT(db, expired_files, e.nremoved);
    LSM_COUNT(db, expired_entries, entries);
  }
  lsm_edit_fini(&e);
  lsm_db_purge(db);
  return rc;
}
