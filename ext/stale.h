/* stale.h: index entries that lost their rows to lsm_delete_range().
**
** Removing a range of rows with one record leaves the indexes' entries of those
** rows where they are, since only the rows themselves could tell which they
** are. Each index then gets a mark, and while it is there, an entry counts only
** if its row exists and asks for that very entry. lsm_compact() removes the
** entries without rows, and then the mark (FORMAT.md).
**
** An entry that has lost its row stays harmless whatever comes later: a row that
** comes back with the same columns writes the entry anew, one that comes back
** with others does not ask for it. */
#ifndef LSM_EXT_STALE_H
#define LSM_EXT_STALE_H

#include "index.h"
#include "vtab.h"

/* Below every entry, above the mark: where walks over an index begin. */
lsm_slice lsm_index_start(void);

/* The table's transaction has removed rows, but not their entries. REQUIRES: a
** transaction. */
lsm_rc lsm_stale_mark(lsm_vtab *v);

/* Has the index got the mark? */
lsm_rc lsm_stale_in(lsm_snapshot *snap, const lsm_vindex *x, bool *stale);
lsm_rc lsm_stale_in_txn(lsm_txn *txn, const lsm_vindex *x, bool *stale);

/* Does the row ask for the entry with this key in X? scratch: any entry. */
lsm_rc lsm_stale_check(const lsm_schema *s, const lsm_index *x, lsm_row *row, lsm_slice entry_key,
                       lsm_entry *scratch, bool *stale);

/* Removes the stale entries of the table's indexes, and the marks, in
** transactions of the store's own. REQUIRES: the connection has none open there.
** Waits for other writers up to BUSY_MS. */
lsm_rc lsm_stale_sweep(lsm_vtab *v, int64_t busy_ms, const lsm_interrupt *intr);

#endif
