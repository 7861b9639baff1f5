/* version.h: which files make up the store at one instant.
**
** A version is immutable: for each keyspace a tree of levels, each an array of
** file records. Level 0 holds whole runs that may overlap, newest first (by
** run number); every level below is one run, its files sorted and disjoint. A
** tiered keyspace keeps all its runs in level 0.
**
** Applying an edit to a version makes the next one; trees that did not change
** are shared.
**
** Garbage: a file that a committed edit removed (lsm_version_commit) goes to
** the owner's callback, once, when the last reference to its last record is
** dropped, whoever drops it: a version, or a plan that took its own. Closing
** the store frees all versions and removes no file. All records of a number
** share its fate: a file that moves to another level gets a second record
** while old versions still hold the first.
**
** Threads: a version that is published is read without locks. Reference counts
** are atomic. */
#ifndef LSM_VERSION_H
#define LSM_VERSION_H

#include "iter.h"
#include "sst.h"

/* One SSTable. Immutable but for refs and the compactor's mark. */
typedef struct lsm_filemeta {
  _Atomic uint32_t refs;
  uint64_t number;
  uint64_t run; /* of level 0: age; larger is newer. 0 below */
  uint32_t keyspace;
  uint8_t level;
  uint64_t size, entries, tombstones, ranges, raw_bytes; /* see lsm_sst_props */
  lsm_slice smallest, largest;                           /* owned */
  bool largest_open;
  bool packed; /* compression was tried on it: it is as small as it gets */
  lsm_expiry expiry;
  struct lsm_file_life *life; /* version.c's: set when a version adopts it */
} lsm_filemeta;

/* Copies props. */
lsm_rc lsm_filemeta_new(uint64_t number, uint32_t keyspace, int level, uint64_t run,
                        const lsm_sst_props *props, lsm_filemeta **f);
lsm_filemeta *lsm_filemeta_ref(lsm_filemeta *f);
void lsm_filemeta_unref(lsm_filemeta *f); /* accepts NULL; may call on_garbage */

/* Another record of the same file, in another level, or as part of run RUN of level 0.
** Shares its fate. REQUIRES: a version has adopted f. */
lsm_rc lsm_filemeta_place(const lsm_filemeta *f, int level, uint64_t run, lsm_filemeta **out);

/* doomed: the file is garbage as soon as nobody holds it, without an edit that
** removes it. Else it is like one of a version again. on_garbage is told.
** REQUIRES: a version has adopted f; the caller holds it. */
void lsm_filemeta_doom(lsm_filemeta *f, bool doomed,
                       void (*on_garbage)(void *arg, uint64_t number), void *arg);

/* Could the file say something of key? */
bool lsm_filemeta_contains(const lsm_filemeta *f, lsm_slice key);
/* Does it meet [lo, hi] (hi_open: [lo, hi))? NULL data: open end. */
bool lsm_filemeta_overlaps(const lsm_filemeta *f, lsm_slice lo, lsm_slice hi, bool hi_open);

/* Files of a level, as an array of borrowed pointers. */
typedef struct lsm_level {
  lsm_filemeta **files;
  size_t count;
} lsm_level;

typedef struct lsm_tree {
  _Atomic uint32_t refs;
  uint32_t keyspace;
  lsm_keyspace_options opt;
  lsm_level levels[LSM_MAX_LEVELS];
  lsm_slice compact_key[LSM_MAX_LEVELS]; /* where the next pick goes on; owned */
  uint32_t dirty; /* version.c's: levels changed while it is being built */
} lsm_tree;

typedef struct lsm_version {
  _Atomic uint32_t refs;
  lsm_tree **trees; /* by keyspace number */
  size_t count;
  /* A file nobody holds. Called under whatever locks the caller of an unref
  ** or a commit holds: it should only note the number. May be NULL. */
  void (*on_garbage)(void *arg, uint64_t file_number);
  void *garbage_arg;
  /* The owner's: where in the manifest it stands; on_free, if set, is told when
  ** it is gone. Not inherited by the next version. */
  uint64_t gen;
  void (*on_free)(void *arg, uint64_t gen);
  /* version.c's */
  uint64_t max_number;    /* no file above it was ever in here */
  lsm_filemeta **leaving; /* what the edit that made it removed; until commit */
  size_t nleaving;
} lsm_version;

lsm_rc lsm_version_new(void (*on_garbage)(void *arg, uint64_t number), void *arg,
                       lsm_version **v); /* empty */
lsm_version *lsm_version_ref(lsm_version *v);
void lsm_version_unref(lsm_version *v); /* accepts NULL; may call on_garbage */

/* The tree of a keyspace, or NULL. */
const lsm_tree *lsm_version_tree(const lsm_version *v, uint32_t keyspace);

/* Has it a keyspace whose values expire? */
bool lsm_version_expires(const lsm_version *v);

/* First file of a sorted level whose end is not before key, i.e. the only one
** that may contain it; == count: none. Also the way into a level-0 run, given
** as a slice of the array. */
size_t lsm_files_find(lsm_filemeta *const *files, size_t count, lsm_slice key);

/* The extent of the level-0 run that begins at files[i]: how many files. */
size_t lsm_run_length(const lsm_level *level0, size_t i);

uint64_t lsm_level_bytes(const lsm_level *level); /* of all its files */

/*------------------------------------------------------------------ edits */

/* One atomic change; also one record of the manifest. Zero-initialise. */
typedef struct lsm_edit_file { /* an SSTable to add, or to remove */
  lsm_filemeta *file;          /* add: owned reference */
  uint32_t keyspace;           /* remove: these three */
  uint8_t level;
  uint64_t number;
} lsm_edit_file;

typedef struct lsm_edit_keyspace {
  uint32_t id;
  bool drop;
  lsm_keyspace_options opt;
} lsm_edit_keyspace;

typedef struct lsm_edit_pointer { /* compact_key of a level */
  uint32_t keyspace;
  uint8_t level;
  lsm_buf key;
} lsm_edit_pointer;

typedef struct lsm_edit {
  bool has_next_file, has_log, has_next_keyspace, has_last_txid;
  uint64_t next_file;    /* no number from here on has been used */
  uint64_t log;          /* logs numbered below are not needed any more */
  uint32_t next_keyspace;
  uint64_t last_txid;    /* of what the tables hold */
  lsm_edit_keyspace *keyspaces;
  size_t nkeyspaces;
  lsm_edit_file *added, *removed;
  size_t nadded, nremoved;
  lsm_edit_pointer *pointers;
  size_t npointers;
} lsm_edit;

void lsm_edit_fini(lsm_edit *e);
lsm_rc lsm_edit_add_keyspace(lsm_edit *e, uint32_t id, const lsm_keyspace_options *opt);
lsm_rc lsm_edit_drop_keyspace(lsm_edit *e, uint32_t id);
lsm_rc lsm_edit_add_file(lsm_edit *e, lsm_filemeta *f); /* takes its own reference */
lsm_rc lsm_edit_remove_file(lsm_edit *e, const lsm_filemeta *f);
/* An empty key: from the start again. */
lsm_rc lsm_edit_set_pointer(lsm_edit *e, uint32_t keyspace, int level, lsm_slice key);

/* The next version: v with the edit applied. LSM_CORRUPT (file: the manifest's
** name, off: the record's) when it does not fit: an unknown keyspace or file, a number added
** twice, files of a sorted level that overlap. */
lsm_rc lsm_version_apply(lsm_version *v, const lsm_edit *e, const char *file, uint64_t off,
                         lsm_version **next);

/* Says that e, which made v, is durable and v is in force: what e removed is
** garbage from now on. Not for a v that is given up, nor while a manifest is
** read. Once. May call on_garbage. */
void lsm_version_commit(lsm_version *v, const lsm_edit *e);

/* Adds to e all that makes v out of an empty version (a fresh manifest):
** keyspaces, files, pointers; the counters are the caller's to set. */
lsm_rc lsm_version_to_edit(const lsm_version *v, lsm_edit *e);

/* Bytes of an edit (FORMAT.md). Encode appends to *out; decode overwrites *e
** (the caller finis it) and checks everything: LSM_CORRUPT. */
lsm_rc lsm_edit_encode(const lsm_edit *e, lsm_buf *out);
lsm_rc lsm_edit_decode(lsm_slice in, const char *file, uint64_t off, lsm_edit *e);

#endif
