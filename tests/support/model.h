/* model.h: an ordered map that is too simple to be wrong, beside which a store
** is tested.
**
** Owns   a sorted array of references to immutable items, so that a copy (what
**        a snapshot should show) costs a reference a key.
** Memory its own, from malloc(); it aborts when there is none. So that
**        lsm_set_malloc_hook() counts the store's allocations only.
** Threads: none; copies share nothing that changes but counts. */
#ifndef MODEL_H
#define MODEL_H

#include "lsm.h"

typedef struct model model;

model *model_new(void);
model *model_copy(const model *m);
void model_free(model *m); /* accepts NULL */

void model_put(model *m, lsm_slice key, lsm_slice value);
void model_delete(model *m, lsm_slice key);
/* lower <= k < upper; NULL data: open. */
void model_delete_range(model *m, lsm_slice lower, lsm_slice upper);

size_t model_count(const model *m);
/* The i-th key in order; borrowed until the next change. */
lsm_slice model_key(const model *m, size_t i);
lsm_slice model_value(const model *m, size_t i);
/* How many keys are below KEY: where it is, or would be. */
size_t model_rank(const model *m, lsm_slice key);
bool model_get(const model *m, lsm_slice key, lsm_slice *value);
bool model_equal(const model *a, const model *b);

/* Reads all of the keyspace in SNAP: each key of the model by lsm_get(), keys
** between them, a scan forward and one backward. A difference ends it:
** LSM_OK and a sentence in WHY. A read that fails ends it too, its result is
** returned; what was read till then was right. WHY is empty when all is well. */
#define MODEL_WHY 256
lsm_rc model_compare(const model *m, lsm_snapshot *snap, uint32_t keyspace, char *why);

#endif
