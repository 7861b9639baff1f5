/* load.h: the mixed load whose crashes powercut looks at, and what must be true
** of its database after any of them. */
#ifndef TESTS_CRASH_LOAD_H
#define TESTS_CRASH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
  LOAD_WRITERS = 4,
  LOAD_MAX = 2048
}; /* writers count from 1; the last one is the checker's */

/* Marks in the record: what is one of these, the number writer << 32 | n. */
enum load_mark { LOAD_SETUP, LOAD_BEGUN, LOAD_ACKNOWLEDGED };

/* What is known of the load at an instant. */
typedef struct load_history {
  bool setup; /* acknowledged */
  bool begun[LOAD_WRITERS + 1][LOAD_MAX];
  bool acknowledged[LOAD_WRITERS + 1][LOAD_MAX];
} load_history;

typedef struct load_promise {
  bool durable;    /* what was acknowledged is there */
  bool may_lose_1; /* but for one transaction that the host decides */
} load_promise;

void load_note(load_history *h, uint64_t what, uint64_t number);

/* A process of the load: makes the tables, if first, or writes COUNT transactions. */
void load_setup(const char *db, const char *journal, const char *sync);
void load_write(const char *db, const char *journal, const char *sync, unsigned writer,
                unsigned count);

/* Opens the database after a crash; ends the process with a message if a promise
** is broken, or returns after one transaction more. */
void load_check(const char *db, const load_history *h, load_promise promise);

/* Takes the last decision out of the database, as if COMMIT had not written it. */
void load_drop_token(const char *db);

#endif
