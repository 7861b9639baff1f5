/* manifest.h: the edit log on disk, and CURRENT, which names it.
**
** The manifest is a header (magic, version, store id) and a sequence of records
** (length, checksum, edit). It is replaced as a whole when it is long, or broken: a
** new file is written and synced, then a temporary file is written, synced and
** renamed over CURRENT, and the directory synced: the switch is atomic.
**
** Damage: a record that does not check and is the last one may be a write that
** never finished, and was never acted on: it is dropped. Anything else is
** LSM_CORRUPT with file and offset.
** Threads: one at a time, under LSM_RANK_MANIFEST. */
#ifndef LSM_MANIFEST_H
#define LSM_MANIFEST_H

#include "env.h"
#include "version.h"

typedef struct lsm_manifest lsm_manifest;

/* What reading a manifest found. */
typedef struct lsm_manifest_state {
  uint8_t store_id[16];
  uint64_t number; /* of the manifest file */
  uint64_t size;   /* behind its last good record */
  lsm_version *version; /* the caller's reference */
  uint64_t next_file;
  uint64_t log;
  uint32_t next_keyspace;
  uint64_t last_txid;
} lsm_manifest_state;

/* Reads CURRENT and the manifest it names. LSM_NOTFOUND: no CURRENT.
** on_garbage goes into the version. Writes nothing. */
lsm_rc lsm_manifest_read(lsm_env *env, const char *dir,
                         void (*on_garbage)(void *arg, uint64_t number), void *arg,
                         lsm_manifest_state *state);

/* The id of the store in DIR, from CURRENT and the head of the manifest it names; no
** other file is opened, nothing is written or locked. LSM_NOTFOUND: no CURRENT. */
lsm_rc lsm_manifest_peek(lsm_env *env, const char *dir, uint8_t store_id[16]);

/* Reads the manifest NUMBER up to SIZE, which another process has published;
** as lsm_manifest_read() otherwise. */
lsm_rc lsm_manifest_load(lsm_env *env, const char *dir, uint64_t number, uint64_t size,
                         void (*on_garbage)(void *arg, uint64_t number), void *arg,
                         lsm_manifest_state *state);

/* Reads on in manifest state->number, from state->size to SIZE: applies the edits
** to *state, whose version it replaces; files they remove become garbage. On
** failure *state is as it was. */
lsm_rc lsm_manifest_read_on(lsm_env *env, const char *dir, uint64_t size,
                            lsm_manifest_state *state);

/* Opens manifest NUMBER for appending at SIZE. */
lsm_rc lsm_manifest_open(lsm_env *env, const char *dir, uint64_t number, uint64_t size,
                         lsm_manifest **m);

/* Writes a new manifest file NUMBER that says all of state, switches CURRENT
** to it and returns it open for appending. After an error CURRENT names the
** old manifest or, when only the last sync failed, the new one: nothing may be
** appended to the old one; create another. */
lsm_rc lsm_manifest_create(lsm_env *env, const char *dir, uint64_t number,
                           const lsm_manifest_state *state, lsm_manifest **m);

/* Appends one edit and syncs. What is behind the last record, an edit that was
** never published, is cut off first. On failure the tail is cut off again; when that
** fails too the manifest is broken: make a new one (lsm_manifest_create). */
lsm_rc lsm_manifest_append(lsm_manifest *m, const lsm_edit *edit);
bool lsm_manifest_is_broken(const lsm_manifest *m);
uint64_t lsm_manifest_number(const lsm_manifest *m);
uint64_t lsm_manifest_size(const lsm_manifest *m);
/* Have edits of more than 4 MB, and of more than what its first record takes, come
** behind that one? Then a new manifest is worth its writing. */
bool lsm_manifest_is_long(const lsm_manifest *m);
void lsm_manifest_close(lsm_manifest *m); /* accepts NULL */

#endif
