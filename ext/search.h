/* search.h: from a plan and the values it compares with to ranges of keys. */
#ifndef LSM_EXT_SEARCH_H
#define LSM_EXT_SEARCH_H

#include "keyenc.h"
#include "vtab.h"

/* What one column is compared with: one value, or those of an IN list. */
typedef struct lsm_operand {
  lsm_value value;
  sqlite3_value *hold; /* owns bytes of value, or NULL */
  bool loose;          /* a number that may also find texts: head of search.c */
  bool literal;
  double number;
} lsm_operand;

typedef struct lsm_operands {
  lsm_operand *item;
  int count, cap;
} lsm_operands;

/* Zero-initialise, then lsm_search_init(); used again for every scan. */
typedef struct lsm_search {
  lsm_path path;
  lsm_key_range *ranges; /* in key order, apart from each other, none empty */
  size_t nranges;
  bool points; /* each range is one whole key: its lower bound */

  /* search.c's own */
  size_t cap;
  lsm_operands *operands; /* by column of the path; two more: the bounds */
  int noperands;
  lsm_value *eq; /* the columns' values on the way down */
  bool nulls;    /* an equality with NULL finds NULLs */
  lsm_key_bound lower, upper;
  bool text_too; /* texts that are numbers may lie below the upper bound too */
  int neq;
  size_t most;        /* ranges, then the rest of the key is left to SQLite */
  lsm_snapshot *snap; /* borrowed, while building */
} lsm_search;

lsm_rc lsm_search_init(lsm_search *s, int max_parts);
/* Lets go of the values of the last search; false: it holds much memory still. */
bool lsm_search_clear(lsm_search *s);
void lsm_search_fini(lsm_search *s);

/* The ranges of PATH that hold all keys the plan asks for, perhaps others too.
** argv: as xFilter gets it; nothing of it is kept. */
lsm_rc lsm_search_build(lsm_search *s, const lsm_path *path, const lsm_scan_plan *p,
                        sqlite3_value **argv, lsm_snapshot *snap);

#endif
