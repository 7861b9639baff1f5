/* sizes.c: how many rows a table has, and a part of it.
**
** Holds: the snapshot lives only while one xBestIndex runs. An estimate that cannot be
** had (a damaged file, no memory) is no error: whoever reads will meet it. */
#include "sizes.h"

#include "base.h"
#include "keyenc.h"

#define DEFAULT_ROWS 1048576.0 /* what SQLite takes for a table it knows nothing of */
#define FEW_ROWS     1000.0

void lsm_sizes_open(lsm_sizes *s, lsm_vtab *v) {
  uint64_t rows = 0, bytes = 0;
  memset(s, 0, sizeof(*s));
  s->v = v;
  s->rows = DEFAULT_ROWS;
  if (lsm_vtab_open_store(v) != SQLITE_OK) {
    sqlite3_free(v->base.zErrMsg); /* xFilter will say it */
    v->base.zErrMsg = NULL;
    return;
  }
  if (lsm_snapshot_acquire(lsm_store_db(v->cs->store), &s->snap) != LSM_OK) return;
  if (lsm_estimate(s->snap, v->keyspace, LSM_SLICE_NULL, LSM_SLICE_NULL, &rows, &bytes) != LSM_OK) {
    return;
  }
  s->rows = (double)rows + FEW_ROWS;
  s->many = (double)rows > FEW_ROWS;
}

void lsm_sizes_close(lsm_sizes *s) {
  lsm_snapshot_release(s->snap);
  s->snap = NULL;
}

/* V as the column compares it. */
static lsm_rc load(const lsm_literal *l, const lsm_key_part *part, lsm_value *v,
                   sqlite3_value **hold) {
  bool text = part->affinity == LSM_AFF_TEXT || part->affinity == LSM_AFF_BLOB;
  return lsm_value_load(l->value, text ? part->affinity : LSM_AFF_NUMERIC, v, hold);
}

/* One bound; *b has none when the literal is not there. */
static lsm_rc load_bound(const lsm_literal *l, const lsm_key_part *part, lsm_value *v,
                         sqlite3_value **hold, lsm_key_bound *b) {
  *b = (lsm_key_bound){NULL, l->strict};
  if (l->value == NULL) return LSM_OK;
  b->value = v;
  return load(l, part, v, hold);
}

#define MAX_LOADED 34 /* equalities of a plan and two bounds */

double lsm_sizes_of_range(lsm_sizes *s, const lsm_path *path, const lsm_literal *eq, int neq,
                          lsm_literal lower, lsm_literal upper) {
  lsm_value value[MAX_LOADED];
  sqlite3_value *hold[MAX_LOADED] = {NULL};
  lsm_key_range r = {0};
  lsm_key_bound lo = {NULL, false}, hi = {NULL, false};
  uint64_t rows = 0, bytes = 0;
  int n = 0;
  if (s->snap == NULL || neq + 2 > MAX_LOADED) return -1;
  lsm_rc rc = LSM_OK;
  for (; n < neq && rc == LSM_OK; n++) rc = load(&eq[n], &path->part[n], &value[n], &hold[n]);
  if (rc == LSM_OK && neq < path->npart) {
    rc = load_bound(&lower, &path->part[neq], &value[neq], &hold[neq], &lo);
    if (rc == LSM_OK) rc = load_bound(&upper, &path->part[neq], &value[neq + 1], &hold[neq + 1], &hi);
  }
  if (rc == LSM_OK && path->rowids) {
    if (neq > 0) lo.value = hi.value = &value[0];
    rc = lsm_key_range_of_rowids(&r, lo, hi);
  } else if (rc == LSM_OK) {
    rc = lsm_key_range_of(&r, path->part, value, neq, lo, hi);
  }
  if (rc == LSM_OK && !r.empty) {
    rc = lsm_estimate(s->snap, path->keyspace, lsm_key_range_lower(&r), lsm_key_range_upper(&r),
                      &rows, &bytes);
  }
  for (int i = 0; i < MAX_LOADED; i++) sqlite3_value_free(hold[i]);
  lsm_key_range_fini(&r);
  return rc == LSM_OK ? (double)rows : -1;
}
