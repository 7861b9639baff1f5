/* homes.h: which databases use a store, noted in its directory, so that processes that do
** not have them open know whom to ask, and to make durable.
**
** Only of a store that a database has not for itself alone. A note is good for as long as the
** store is where it was when it was written: a copied store must not ask the databases of
** its original. */
#ifndef LSM_EXT_HOMES_H
#define LSM_EXT_HOMES_H

#include "lsm.h"

/* Notes FILE, a database, in the store at PATH. Best effort: without the note a cut-off
** transaction waits for its database to be opened. */
void lsm_homes_note(const char *path, const char *file);

/* Is the store at PATH the one that the database FILE has for itself, beside it? */
bool lsm_homes_is_own(const char *path, const char *file);

/* Is it noted already? */
bool lsm_homes_noted(const char *path, const char *file);
/* Takes the note back; best effort. */
void lsm_homes_forget(const char *path, const char *file);

/* Calls fn for each database noted; a result other than LSM_OK ends it. What cannot be
** read is passed over. */
lsm_rc lsm_homes_each(const char *path, lsm_rc (*fn)(void *arg, const char *file), void *arg);

#endif
