/* bench.h: what the benchmark's programs agree on: the workloads, the rows, a
** histogram of latencies, and what a worker sends back.
**
** `bench` runs the show. For each rival it starts a worker, a process of its own
** (so that memory and bytes can be told apart): sql_bench or kv_bench. It sends a
** request for each workload, to one rival after the other, and gets a result;
** while one works the others are idle and settled. All rivals get the same keys
** and values in the same order, and what they read must agree (rows, sum).
**
** Owns   nothing; each program that includes it gets its own copy.
*/
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdbool.h>

#include "sqlutil.h"

enum {
  BATCH = 1000,    /* rows of a transaction */
  CACHE_MB = 64,   /* what every rival gets for blocks or pages */
  MEMTABLE_MB = 64 /* and for its memtables or write buffer */
};
#define BUDGET_MB (CACHE_MB + MEMTABLE_MB)
#define RAW_ROW   (KEY_SIZE + VALUE_SIZE)

/*------------------------------------------------------------ workloads */

typedef enum workload {
  W_FILLSEQ,
  W_FILLREPLACE,
  W_FILLRANDOM,
  W_READRANDOM,
  W_READMISSING,
  W_SEEK10,
  W_SEEK10_REV,
  W_SEEK100,
  W_SEEK100_REV,
  W_SCAN,
  W_SCAN_REV,
  W_COUNT,
  W_READCACHED,
  W_READ10X,
  W_READCOLD,
  W_READ_WRITING,
  W_ONE_NORMAL,
  W_ONE_FULL,
  W_YCSB_A,
  W_YCSB_B,
  W_YCSB_C,
  W_YCSB_D,
  W_YCSB_E,
  W_YCSB_F,
  W_OVERWRITE,
  W_UPDATE,
  W_DELETE,
  W_COMMIT_COMPACT,
  W_INDEX2,
  W_MEMTABLE,
  W_BIG,
  WORKLOADS
} workload;

typedef struct workload_info {
  const char *name;
  const char *unit;    /* of the rate */
  const char *latency; /* what a latency is the latency of */
  const char *what;
  bool on_main; /* works on the table that fillrandom made */
  int rounds;   /* the rivals take turns so often */
} workload_info;

static MAYBE_UNUSED const workload_info workload_list[WORKLOADS] = {
    [W_FILLSEQ] = {"fillseq", "rows", "transaction", "INSERT, rising keys", false, 2},
    [W_FILLREPLACE] = {"fillreplace", "rows", "transaction",
                       "INSERT OR REPLACE, random keys, empty table", false, 1},
    [W_FILLRANDOM] = {"fillrandom", "rows", "transaction", "INSERT, random keys, empty table", true,
                      1},
    [W_READRANDOM] = {"readrandom", "rows", "read", "SELECT value WHERE key = ?, 64 MB caches",
                      true, 3},
    [W_READMISSING] = {"readmissing", "keys", "read", "the same, keys that are not there", true, 3},
    [W_SEEK10] = {"seek10", "seeks", "seek", "10 rows from a key on, forward", true, 3},
    [W_SEEK10_REV] = {"seek10-rev", "seeks", "seek", "10 rows backward", true, 3},
    [W_SEEK100] = {"seek100", "seeks", "seek", "100 rows forward", true, 3},
    [W_SEEK100_REV] = {"seek100-rev", "seeks", "seek", "100 rows backward", true, 3},
    [W_SCAN] = {"scan", "rows", "scan", "every key and value, ascending", true, 3},
    [W_SCAN_REV] = {"scan-rev", "rows", "scan", "every key and value, descending", true, 3},
    [W_COUNT] = {"count", "rows", "count", "count(*)", true, 3},
    [W_READCACHED] = {"readcached", "rows", "read",
                      "readrandom, caches of 4 x the data, every block in them", true, 3},
    [W_READ10X] = {"read10x", "rows", "read",
                   "readrandom, caches of a tenth of the data (files in the system's cache)", true,
                   3},
    [W_READCOLD] = {"readcold", "rows", "read",
                    "the same, files dropped from the system's cache before", true, 3},
    [W_READ_WRITING] = {"readwhilewriting", "rows", "read",
                        "readrandom while a thread overwrites as fast as it can", true, 1},
    [W_ONE_NORMAL] = {"one-row-normal", "rows", "transaction",
                      "one INSERT a transaction, synchronous=NORMAL", true, 1},
    [W_ONE_FULL] = {"one-row-full", "rows", "transaction", "the same, synchronous=FULL", true, 1},
    [W_YCSB_A] = {"ycsb-a", "ops", "operation", "half reads, half updates; zipfian", true, 1},
    [W_YCSB_B] = {"ycsb-b", "ops", "operation", "95 % reads, 5 % updates", true, 1},
    [W_YCSB_C] = {"ycsb-c", "ops", "operation", "reads", true, 1},
    [W_YCSB_D] = {"ycsb-d", "ops", "operation", "95 % reads of the latest, 5 % inserts", true, 1},
    [W_YCSB_E] = {"ycsb-e", "ops", "operation", "95 % scans of 1 to 100 rows, 5 % inserts", true,
                  1},
    [W_YCSB_F] = {"ycsb-f", "ops", "operation", "half reads, half read-modify-write", true, 1},
    [W_OVERWRITE] = {"overwrite", "rows", "transaction",
                     "INSERT OR REPLACE of keys that are there, random", true, 1},
    [W_UPDATE] = {"update", "rows", "transaction", "UPDATE SET value WHERE key = ?, random", true,
                  1},
    [W_DELETE] = {"delete", "rows", "transaction", "DELETE WHERE key = ?, random, half of the rows",
                  true, 1},
    [W_COMMIT_COMPACT] = {"commit-compacting", "rows", "transaction",
                          "overwrite, while a full compaction runs all the time", true, 1},
    [W_INDEX2] = {"index2", "rows", "transaction", "INSERT, random keys, two secondary indexes",
                  false, 1},
    [W_MEMTABLE] = {"memtable", "rows", "transaction",
                    "INSERT OR REPLACE of rows that fit into the memtable", false, 5},
    [W_BIG] = {"big", "rows", "transaction", "fillreplace of ten times as many rows (BIG=1)", false,
               1},
};

/*------------------------------------------------------------ histogram */

/* Nanoseconds, in buckets of 1/32 of their octave: 3 % at most off. */
enum { HIST_SUB = 32, HIST_BUCKETS = 60 * HIST_SUB };

typedef struct hist {
  uint64_t count, max;
  uint32_t bucket[HIST_BUCKETS];
} hist;

UTIL void hist_add(hist *h, uint64_t ns) {
  unsigned shift = ns < HIST_SUB ? 0 : 63u - (unsigned)__builtin_clzll(ns) - 5u;
  uint64_t index =
      ns < HIST_SUB ? ns : (uint64_t)(shift + 1) * HIST_SUB + ((ns >> shift) - HIST_SUB);
  h->bucket[index]++;
  h->count++;
  if (ns > h->max) h->max = ns;
}

UTIL void hist_merge(hist *to, const hist *from) {
  for (int i = 0; i < HIST_BUCKETS; i++) to->bucket[i] += from->bucket[i];
  to->count += from->count;
  if (from->max > to->max) to->max = from->max;
}

/* The latency that a share q of all did not exceed, in microseconds. */
UTIL double hist_us(const hist *h, double q) {
  uint64_t want = (uint64_t)(q * (double)h->count), seen = 0;
  if (h->count == 0) return 0;
  if (want >= h->count) return (double)h->max / 1e3;
  for (int i = 0; i < HIST_BUCKETS; i++) {
    seen += h->bucket[i];
    if (seen <= want) continue;
    unsigned shift = i < HIST_SUB ? 0 : (unsigned)i / HIST_SUB - 1;
    uint64_t base = i < HIST_SUB ? (uint64_t)i : (uint64_t)(i % HIST_SUB + HIST_SUB) << shift;
    uint64_t top = base + ((uint64_t)1 << shift) - 1;
    return (double)(top < h->max ? top : h->max) / 1e3;
  }
  return (double)h->max / 1e3;
}

/*------------------------------------------------------------- messages */

/* Both go through a socket between two processes of one build. */
typedef struct request {
  int workload; /* -1: end */
  int round;
  uint64_t rows; /* of the main table */
  double limit;  /* seconds after which a fill may end early; 0: none */
} request;

typedef struct result {
  bool done;        /* false: this rival does not take part */
  uint64_t ops;     /* rows or operations, see workload_info.unit */
  double seconds;   /* for them */
  double cpu;       /* seconds of processor time, all threads, settling included */
  double settle;    /* seconds of background work after them */
  double tenth[10]; /* ops a second in each tenth of them */
  hist latency;
  double written; /* bytes given to write calls, settling included */
  double device;  /* bytes that reached the disk's queue meanwhile */
  double disk;    /* bytes of all files, settled */
  double base_mb; /* resident before the first store was opened */
  double peak_mb; /* resident at most */
  uint64_t rows;  /* what was read: all rivals must agree */
  uint64_t sum;
  double beside; /* rows a second written by the other thread */
  int compactions;
} result;

#endif
