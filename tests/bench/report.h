/* report.h: what `bench` found, and the ways to show it. */
#ifndef TESTS_BENCH_REPORT_H
#define TESTS_BENCH_REPORT_H

#include "bench.h"

/* In the order of the columns. */
enum { R_LSM, R_TIERED, R_BTREE, R_ROWID, R_NULL, R_KV, R_ROCKSDB, R_LEVELDB, RIVALS };

typedef struct rival_info {
  const char *name;
  const char *program;
  const char *label;
  const char *colour;
} rival_info;

extern const rival_info rival_list[RIVALS];

typedef struct report {
  uint64_t rows;
  double limit; /* of fills of the b-trees */
  bool partial; /* not all workloads or rivals were chosen */
  bool used[RIVALS], missing[RIVALS];
  result *all[WORKLOADS][RIVALS]; /* NULL: not measured */
} report;

UTIL double rate_of(const result *r) {
  return r != NULL && r->seconds > 0 ? (double)r->ops / r->seconds : 0;
}

void report_workload(FILE *f, const report *rep, workload what); /* a few lines, when it is done */
void report_asked(FILE *f, const report *rep);                   /* the table of what is asked */
bool report_csv(const report *rep, const char *path);
bool report_svg(const report *rep, const char *path);

#endif
