/* picker.h: what to compact next. Pure functions from a tree to a plan.
**
** Leveled. Level 0 is due when it has l0_trigger runs, or twice the bytes of
** level 1's target; level n >= 1 when its bytes reach base_level_bytes *
** multiplier^(n-1). The most overdue level wins. From level 0 all runs go, with
** what they overlap in level 1, but not before they have as many bytes as that, or as
** level 1 may hold: till then those that are cheapest to merge become one run, and stay.
** So a fill writes a row again once in level 0 and about twice on its way into level 1,
** instead of all of level 1 for each few memtables. With the runs go small files beside
** what they overlap, so that a keyspace of few rows does not become many files; from level n the file after
** the level's compact_key, with what it overlaps in n+1. A file that overlaps
** nothing there (and no other run of level 0) is moved, not rewritten. A file
** of which at least two thirds are tombstones is due as well, at score 1: it
** goes down, and where nothing older lies below it, it is rewritten in place,
** without them. (Half would be too eager: an index whose rows are updated gets
** one tombstone for each new entry, and every flush would go down to the last
** level.) So is a file of which half the values have expired: that frees as much space
** as it writes; but not one in which soon all will have, since then it goes unread. What
** goes down from level 0 is all of it, and what becomes one there are neighbours in age,
** so older and newer versions of a key never swap places.
**
** Tiered. Runs (all in level 0) form tiers by size; when tier_trigger adjacent
** runs are within a factor of size_ratio of each other they are merged into
** one. More than max_runs in all: the cheapest adjacent ones are merged. A run
** of tombstones, as above, is merged with the next older, or rewritten alone
** where nothing older overlaps it. Only neighbours in
** age are merged. (O'Neil et al. 1996; Lakshman and Malik 2010.)
**
** Rest. Files that are not packed (version.h) are for when nothing is due. Of a
** leveled tree all of level 0 goes down if what it overlaps there is not more than
** itself, and where it overlaps nothing, file by file; else its runs in a row of which
** nothing is packed become one, and of others, and below, a file and its neighbours are
** written again where they are. A packed file is never looked at
** again, whatever packing saved, so this comes to an end. */
#ifndef LSM_PICKER_H
#define LSM_PICKER_H

#include "version.h"

#define LSM_EXPIRY_SOON 600000 /* milliseconds */

typedef struct lsm_picker_options {
  int l0_trigger;            /* leveled: 8 runs */
  uint64_t base_level_bytes; /* target of level 1: 16 memtables */
  int multiplier;            /* 10 */
  double size_ratio;         /* tiered: 2.0 */
  int max_runs;              /* tiered: 16 */
  uint64_t rest_bytes;       /* fewer are not worth packing: a 64th of a memtable */
  uint64_t rest_job;         /* packed in one go: half a memtable */
  uint64_t now;              /* what has expired then counts as tombstones; 0: nothing does */
  int tier_trigger;          /* tiered: 4 runs alike */
} lsm_picker_options;

typedef struct lsm_plan {
  uint32_t keyspace;
  int output_level;
  uint64_t output_run;   /* run number of the output; 0 below level 0 */
  bool move;             /* inputs[0] alone moves to output_level */
  bool pack;             /* compression does not depend on what else waits */
  bool raw;              /* the output will soon be merged again: nothing is compressed */
  lsm_filemeta **inputs; /* referenced; newest source first: the level-0 runs,
                            newest first, then the upper level, then the lower */
  size_t ninputs;
  /* files below: older than all inputs, for lsm_gc; referenced */
  lsm_filemeta **below;
  size_t nbelow;
  lsm_slice next_key; /* new compact_key of source_level; owned; NULL data: none */
  int source_level;
  double score;
} lsm_plan;

void lsm_plan_fini(lsm_plan *plan);

/* Score of each level (LSM_MAX_LEVELS); tiered: level 0 only. */
void lsm_picker_scores(const lsm_tree *t, const lsm_picker_options *opt, double *score);

/* The most urgent compaction of a tree; *found says whether one is due. */
lsm_rc lsm_picker_pick(const lsm_tree *t, const lsm_picker_options *opt, bool *found,
                       lsm_plan *plan);

/* What is left to do of a tree of which nothing is due. */
lsm_rc lsm_picker_rest(const lsm_tree *t, const lsm_picker_options *opt, bool *found,
                       lsm_plan *plan);

/* A step towards one run, that is towards less room: of a leveled tree the newest
** level that has files goes down, level 0 as a whole and of others the next file; of a
** tiered one all runs become one. found: false when the tree is one run. */
lsm_rc lsm_picker_down(const lsm_tree *t, const lsm_picker_options *opt, bool *found,
                       lsm_plan *plan);

/* All files of a tree into one run (lsm_compact): to the deepest level that
** holds files, at least 1; tiered: level 0. found: false for an empty tree,
** and for a tree that already is one run without tombstones, packed, and of which
** nothing has expired at NOW. */
lsm_rc lsm_picker_full(const lsm_tree *t, uint64_t now, bool *found, lsm_plan *plan);

#endif
