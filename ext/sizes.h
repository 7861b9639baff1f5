/* sizes.h: how many rows a table has, and a part of it, for the planner: from the
** store's metadata and, at the ends of a range, the index blocks of two tables a
** level. No row is read. */
#ifndef LSM_EXT_SIZES_H
#define LSM_EXT_SIZES_H

#include "vtab.h"

/* What stands on the other side of a comparison. */
typedef struct lsm_literal {
  sqlite3_value *value; /* borrowed; NULL: not known before the query runs */
  bool strict;          /* of a bound: > or < */
} lsm_literal;

typedef struct lsm_sizes {
  lsm_vtab *v;
  lsm_snapshot *snap; /* NULL: the store could not be asked */
  double rows;        /* of the table: never few, it may grow under the plan */
  bool many;          /* so many that shares of them are worth asking for */
} lsm_sizes;

/* Never fails: a store that cannot be asked has a usual size. */
void lsm_sizes_open(lsm_sizes *s, lsm_vtab *v);
void lsm_sizes_close(lsm_sizes *s);

/* About how many keys of PATH have these values in their first NEQ columns and the
** next one between the bounds (value NULL: none); less than 0: not known. */
double lsm_sizes_of_range(lsm_sizes *s, const lsm_path *path, const lsm_literal *eq, int neq,
                          lsm_literal lower, lsm_literal upper);

#endif
