/* report.c: the tables of `bench`, and its figures as comma-separated values. */
#define _GNU_SOURCE
#include "report.h"

static const double quantiles[] = {0.5, 0.99, 0.999};

static void print_rate(FILE *f, double rate) {
  if (rate >= 1e5) {
    fprintf(f, "%9.0fk", rate / 1e3);
  } else {
    fprintf(f, "%10.0f", rate);
  }
}

static void print_us(FILE *f, double us) {
  fprintf(f, us < 1e4 ? "%9.1f" : "%9.0f", us);
}

/* The rate in the last tenth that was begun. */
static double last_rate(const result *r) {
  for (int i = 9; r != NULL && i >= 0; i--) {
    if (r->tenth[i] > 0) return r->tenth[i];
  }
  return 0;
}

void report_workload(FILE *f, const report *rep, workload what) {
  const workload_info *info = &workload_list[what];
  const result *btree = rep->all[what][R_BTREE];
  fprintf(f, "\n%s: %s\n", info->name, info->what);
  fprintf(f, "  %-16s%10s%9s%9s%9s%9s%9s %7s%7s%8s%8s%6s\n", "", info->unit, "/btree", "p50", "p99",
          "p99.9", "max", "cpu us", "MB wr", "MB disk", "MB mem", "idle");
  for (int i = 0; i < RIVALS; i++) {
    const result *r = rep->all[what][i];
    if (r == NULL) continue;
    fprintf(f, "  %-16s", rival_list[i].label);
    print_rate(f, rate_of(r));
    if (rate_of(btree) > 0) {
      fprintf(f, "%8.2fx", rate_of(r) / rate_of(btree));
    } else {
      fprintf(f, "%9s", "");
    }
    for (int q = 0; q < 3; q++) print_us(f, hist_us(&r->latency, quantiles[q]));
    print_us(f, (double)r->latency.max / 1e3);
    fprintf(f, " %7.2f%7.0f%8.1f%8.0f%6.1f", r->cpu * 1e6 / (double)r->ops, r->written / 1e6,
            r->disk / 1e6, r->peak_mb - r->base_mb, r->settle);
    if (r->beside > 0) fprintf(f, "  %.0f rows/s written beside", r->beside);
    if (r->compactions > 0) fprintf(f, "  %d compactions", r->compactions);
    if (what == W_BIG) {
      fprintf(f, "  first tenth %.0fk/s, last %.0fk/s", r->tenth[0] / 1e3, last_rate(r) / 1e3);
      if (r->ops < rep->rows * 10) fprintf(f, "; stopped after %.0f rows", (double)r->ops);
    }
    fprintf(f, "\n");
  }
}

bool report_csv(const report *rep, const char *path) {
  FILE *f = fopen(path, "w");
  if (f == NULL) return false;
  fprintf(f,
          "workload,rival,rows_in_table,ops,seconds,per_second,cpu_seconds,settle_seconds,"
          "latency_of,p50_us,p99_us,p999_us,max_us,written_bytes,device_bytes,disk_bytes,"
          "memory_mb,beside_per_second,rows_read,checksum,"
          "tenth1,tenth2,tenth3,tenth4,tenth5,tenth6,tenth7,tenth8,tenth9,tenth10\n");
  for (int w = 0; w < WORKLOADS; w++) {
    for (int i = 0; i < RIVALS; i++) {
      const result *r = rep->all[w][i];
      if (r == NULL) continue;
      fprintf(f, "%s,%s,%.0f,%.0f,%.6f,%.1f,%.4f,%.3f,%s", workload_list[w].name,
              rival_list[i].name, (double)rep->rows, (double)r->ops, r->seconds, rate_of(r), r->cpu,
              r->settle, workload_list[w].latency);
      for (int q = 0; q < 3; q++) fprintf(f, ",%.2f", hist_us(&r->latency, quantiles[q]));
      fprintf(f, ",%.2f,%.0f,%.0f,%.0f,%.1f,%.1f,%.0f,%016llx", (double)r->latency.max / 1e3,
              r->written, r->device, r->disk, r->peak_mb - r->base_mb, r->beside, (double)r->rows,
              (unsigned long long)r->sum);
      for (int t = 0; t < 10; t++) fprintf(f, ",%.0f", r->tenth[t]);
      fprintf(f, "\n");
    }
  }
  bool good = ferror(f) == 0;
  return fclose(f) == 0 && good;
}

/*------------------------------------------------------------------ asked */

/* A line of the table: a figure of one of our columns, and what is asked of it. */
typedef enum figure {
  FASTER,      /* rate over the rival's */
  SLOWER,      /* time over the rival's */
  WRITTEN,     /* bytes written over the rival's */
  DISK,        /* bytes on disk over the rival's */
  P999,        /* ms */
  MAXIMUM,     /* ms */
  MEMORY,      /* MB, the most of all workloads with caches of 64 MB */
  BIG_TO_FILL, /* rate of big, or of its last tenth if that is less, over fillreplace's */
  BIG_TO_BTREE /* rate of big over the b-tree's in the last tenth that it did */
} figure;

typedef struct asked {
  const char *text;
  figure figure;
  workload what;
  int rival;
  double bound;
  const char *asked;
} asked;

static const asked asked_list[] = {
    {"fillrandom (INSERT) to b-tree", FASTER, W_FILLRANDOM, R_BTREE, 25, "25 x"},
    {"fillrandom (INSERT) to LevelDB, no SQL", FASTER, W_FILLRANDOM, R_LEVELDB, 2, "2 x"},
    {"fillrandom (OR REPLACE) to b-tree", FASTER, W_FILLREPLACE, R_BTREE, 25, "25 x"},
    {"fillrandom (OR REPLACE) to LevelDB, no SQL", FASTER, W_FILLREPLACE, R_LEVELDB, 2, "2 x"},
    {"ten times the rows, to fillrandom (OR REPLACE)", BIG_TO_FILL, W_BIG, R_LSM, 0.6, "0.6 x"},
    {"ten times the rows, to b-tree", BIG_TO_BTREE, W_BIG, R_BTREE, 60, "60 x"},
    {"fillseq to b-tree", FASTER, W_FILLSEQ, R_BTREE, 1, "1 x"},
    {"overwrite to b-tree", FASTER, W_OVERWRITE, R_BTREE, 15, "15 x"},
    {"update by key to b-tree", FASTER, W_UPDATE, R_BTREE, 10, "10 x"},
    {"delete by key to b-tree", FASTER, W_DELETE, R_BTREE, 10, "10 x"},
    {"one-row transactions, NORMAL, to b-tree", FASTER, W_ONE_NORMAL, R_BTREE, 5, "5 x"},
    {"one-row transactions, FULL, to b-tree", FASTER, W_ONE_FULL, R_BTREE, 1, "1 x"},
    {"readrandom, all cached, to b-tree", FASTER, W_READCACHED, R_BTREE, 1, "1 x"},
    {"readrandom, data 10 x the cache, to b-tree", FASTER, W_READ10X, R_BTREE, 1.5, "1.5 x"},
    {"the same, files not in the system's cache", FASTER, W_READCOLD, R_BTREE, 1.5, "1.5 x"},
    {"readmissing to b-tree", FASTER, W_READMISSING, R_BTREE, 2, "2 x"},
    {"seek 10 forward to b-tree", FASTER, W_SEEK10, R_BTREE, 1, "1 x"},
    {"seek 10 backward to b-tree", FASTER, W_SEEK10_REV, R_BTREE, 1, "1 x"},
    {"full scan forward to b-tree", FASTER, W_SCAN, R_BTREE, 1, "1 x"},
    {"full scan backward to b-tree", FASTER, W_SCAN_REV, R_BTREE, 1, "1 x"},
    {"count(*) to b-tree", FASTER, W_COUNT, R_BTREE, 1, "1 x"},
    {"memtable-only insert, time to null vtab", SLOWER, W_MEMTABLE, R_NULL, 3, "<= 3 x"},
    {"bytes written by fillrandom to b-tree", WRITTEN, W_FILLRANDOM, R_BTREE, 1.0 / 40,
     "<= 0.025 x"},
    {"disk after the load to b-tree", DISK, W_FILLRANDOM, R_BTREE, 0.6, "<= 0.6 x"},
    {"commit of overwrite, p99.9", P999, W_OVERWRITE, R_LSM, 10, "<= 10 ms"},
    {"commit of overwrite, max", MAXIMUM, W_OVERWRITE, R_LSM, 50, "<= 50 ms"},
    {"commit while compacting, p99.9", P999, W_COMMIT_COMPACT, R_LSM, 10, "<= 10 ms"},
    {"commit while compacting, max", MAXIMUM, W_COMMIT_COMPACT, R_LSM, 50, "<= 50 ms"},
    {"memory over the baseline (memtables + cache)", MEMORY, W_FILLRANDOM, R_LSM, BUDGET_MB * 1.1,
     "<= 141 MB"},
    {"insert with two indexes to b-tree", FASTER, W_INDEX2, R_BTREE, 15, "15 x"},
};

static double most_memory(const report *rep, int ours) {
  double most = 0;
  for (int w = 0; w < WORKLOADS; w++) {
    const result *r = rep->all[w][ours];
    if (r == NULL || w == W_READCACHED || w == W_READ10X || w == W_READCOLD) continue;
    if (r->peak_mb - r->base_mb > most) most = r->peak_mb - r->base_mb;
  }
  return most;
}

static double ratio(double a, double b) {
  return a > 0 && b > 0 ? a / b : -1;
}

/* -1: was not measured. */
static double measured(const report *rep, const asked *a, int ours) {
  const result *r = rep->all[a->what][ours], *other = rep->all[a->what][a->rival];
  if (a->figure == MEMORY) return most_memory(rep, ours) > 0 ? most_memory(rep, ours) : -1;
  if (r == NULL) return -1;
  switch (a->figure) {
    case FASTER:
      return ratio(rate_of(r), rate_of(other));
    case SLOWER:
      return ratio(rate_of(other), rate_of(r));
    case WRITTEN:
      return other == NULL ? -1 : ratio(r->written, other->written);
    case DISK:
      return other == NULL ? -1 : ratio(r->disk, other->disk);
    case P999:
      return hist_us(&r->latency, 0.999) / 1e3;
    case MAXIMUM:
      return (double)r->latency.max / 1e6;
    case BIG_TO_FILL:
      return ratio(last_rate(r) < rate_of(r) ? last_rate(r) : rate_of(r),
                   rate_of(rep->all[W_FILLREPLACE][ours]));
    case BIG_TO_BTREE:
      return ratio(rate_of(r), last_rate(other));
    case MEMORY:
      break;
  }
  return -1;
}

static bool holds(const asked *a, double value) {
  bool more = a->figure == FASTER || a->figure == BIG_TO_FILL || a->figure == BIG_TO_BTREE;
  return more ? value >= a->bound : value <= a->bound;
}

static void print_column(FILE *f, const asked *a, double value) {
  bool times = a->figure != P999 && a->figure != MAXIMUM && a->figure != MEMORY;
  const char *unit = times ? " x" : a->figure == MEMORY ? " MB" : " ms";
  if (value < 0) {
    fprintf(f, " | %10s | %-5s", "-", "-");
  } else {
    fprintf(f, value < 0.1 ? " | %7.4f%-3s | %-5s" : " | %7.2f%-3s | %-5s", value, unit,
            holds(a, value) ? "yes" : "NO");
  }
}

/* How many times less processor time an operation took than the rival's, background work
** included: steadier than time where a machine is not quiet. -1: says nothing here. */
static double by_processor(const report *rep, const asked *a) {
  const result *r = rep->all[a->what][R_LSM], *other = rep->all[a->what][a->rival];
  if (a->figure != FASTER || r == NULL || other == NULL) return -1;
  return ratio(other->cpu / (double)other->ops, r->cpu / (double)r->ops);
}

void report_asked(FILE *f, const report *rep) {
  int held[2] = {0, 0}, seen[2] = {0, 0};
  fprintf(f, "\n| %-48s | %-10s | %10s | %-5s | %10s | %-5s | %10s |\n", "workload", "asked",
          "leveled", "holds", "tiered", "holds", "by CPU");
  fprintf(f, "|%.50s|%.12s|%.12s|%.7s|%.12s|%.7s|%.12s|\n",
          "--------------------------------------------------", "------------", "------------",
          "-------", "------------", "-------", "------------");
  for (size_t i = 0; i < sizeof asked_list / sizeof asked_list[0]; i++) {
    const asked *a = &asked_list[i];
    bool known = measured(rep, a, R_LSM) >= 0 || measured(rep, a, R_TIERED) >= 0;
    if (rep->partial && !known) continue;
    fprintf(f, "| %-48s | %-10s", a->text, a->asked);
    for (int ours = 0; ours < 2; ours++) {
      double value = measured(rep, a, ours == 0 ? R_LSM : R_TIERED);
      print_column(f, a, value);
      seen[ours] += value >= 0;
      held[ours] += value >= 0 && holds(a, value);
    }
    double cpu = by_processor(rep, a);
    if (cpu >= 0) {
      fprintf(f, " | %8.2f x |\n", cpu);
    } else {
      fprintf(f, " | %10s |\n", "-");
    }
  }
  fprintf(
      f, "By CPU: the b-tree's or LevelDB's processor time over leveled's, background included.\n");
  fprintf(f, "Held: %d of %d leveled, %d of %d tiered.\n", held[0], seen[0], held[1], seen[1]);
}
