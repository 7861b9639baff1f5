/* worker.h: a rival, as the workloads see it; and the loop that serves `bench`.
**
** A rival's functions end the program when a call fails. Nothing here is timed:
** the workloads do that (worker.c).
*/
#ifndef TESTS_WORKER_H
#define TESTS_WORKER_H

#include "bench.h"
#include "rows.h"

/* What reading came to: the order counts, too. */
typedef struct check {
  uint64_t rows, sum;
} check;

UTIL uint64_t load64(const void *p) {
  uint64_t x;
  memcpy(&x, p, 8);
  return x;
}

/* Takes in one row that was read; key may be NULL. Touches both ends of the value. */
UTIL void check_row(check *c, const void *key, size_t nkey, const void *value, size_t nvalue) {
  if (nvalue != VALUE_SIZE || (key != NULL && nkey != KEY_SIZE)) die("a row of a wrong size");
  const uint8_t *v = value;
  c->sum = c->sum * 31 + load64(v) + 7 * load64(v + VALUE_SIZE - 8);
  if (key != NULL) c->sum += 3 * load64(key);
  c->rows++;
}

typedef struct open_options {
  const char *dir;
  size_t cache; /* bytes */
  bool create;
  bool indexes; /* columns a and b, with an index each */
} open_options;

typedef struct store store;

typedef struct rival {
  const char *name;
  bool blackhole; /* keeps nothing: takes part in inserts only */
  bool indexes;   /* knows secondary indexes */
  bool bounded;   /* a b-tree: no memtable, and large random fills may be cut short */
  bool brief;     /* the slower of two: leaves out what it is not asked for */
  int quiet_ms;   /* after so long without a sign of work there will be none */
  store *(*open)(const struct rival *rival, const open_options *opt);
  store *(*second)(store *s); /* for another thread */
  void (*close)(store *s);
  void (*set_full)(store *s, bool full); /* commits wait for the disk */
  void (*begin)(store *s);
  void (*commit)(store *s);
  /* A write outside begin and commit is a transaction. */
  void (*insert)(store *s, const row *r); /* the key is new, and that is made sure */
  void (*put)(store *s, const row *r);    /* whether it is or not */
  void (*update)(store *s, const row *r); /* it is there */
  void (*erase)(store *s, const row *r);
  bool (*get)(store *s, const uint8_t *key, check *c);
  void (*seek)(store *s, const uint8_t *key, int limit, bool backward, check *c);
  void (*scan)(store *s, bool backward, check *c);
  uint64_t (*count)(store *s);
  void (*by_index)(store *s, check *c); /* what is found through a and through b */
  void (*flush)(store *s);              /* memory to files; a b-tree's log into its file */
  bool (*busy)(store *s);               /* background work is due */
  void (*compact)(store *s);            /* all of it, now */
} rival;

/* Serves requests on descriptor 0 until the end; the name of the rival and the
** directory for its files come from the command line. */
int worker_main(int argc, char **argv, const rival *rivals, int count);

#endif
