/* worker.c: the workloads, on one rival, measured in this process.
**
** What is timed   Only the calls of the rival: keys and values are made before a
**                 transaction's clock starts (reads make their key inside: some ns).
** Settling        After each workload that writes, the rival writes its memory to
**                 files and the worker waits until no thread uses the processor
**                 and no file grows. So none works while another one is measured.
** Checks          Every read is summed up; after every write the whole table is
**                 read and summed up, untimed. `bench` compares the sums.
** Threads         readwhilewriting and commit-compacting start one, join it.
*/
#define _GNU_SOURCE
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

typedef struct worker {
  const rival *rival;
  const char *dir; /* for all files of this rival */
  char main_dir[600];
  store *main;   /* the table that fillrandom made; NULL: not made yet */
  uint64_t rows; /* of it, when it is made */
  uint64_t ids;  /* ids below this have been inserted */
  uint64_t gone; /* so many of them have been deleted */
  uint64_t version;
  double base_mb;
} worker;

typedef enum change { INSERT, PUT, UPDATE, ERASE } change;

static uint64_t now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t least(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/*---------------------------------------------------------------- system */

static double cpu_seconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static double device_bytes(void) {
  return proc_number("/proc/self/io", "write_bytes:");
}

/* Blocks that the files in a directory occupy, in bytes. */
static double disk_bytes(const char *path) {
  double total = 0;
  DIR *dir = opendir(path);
  if (dir == NULL) return 0;
  for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
    char name[1024];
    struct stat st;
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    snprintf(name, sizeof name, "%s/%s", path, e->d_name);
    if (lstat(name, &st) != 0) continue;
    total += S_ISDIR(st.st_mode) ? disk_bytes(name) : (double)st.st_blocks * 512;
  }
  closedir(dir);
  return total;
}

/* Asks the system to forget what it has cached of the files. */
static void drop_files(const char *path) {
  DIR *dir = opendir(path);
  if (dir == NULL) return;
  for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
    char name[1024];
    struct stat st;
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    snprintf(name, sizeof name, "%s/%s", path, e->d_name);
    if (lstat(name, &st) != 0) continue;
    if (S_ISDIR(st.st_mode)) {
      drop_files(name);
      continue;
    }
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
  }
  closedir(dir);
}

/* From here on VmHWM counts anew. */
static void reset_peak(void) {
  int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, "5", 1) != 1)
    fprintf(stderr, "the peak of memory is that of all workloads so far\n");
  close(fd);
}

/* What one store left to the allocator is not the memory of those that follow. */
static void trim_memory(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

static void sleep_ms(long ms) {
  struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&ts, &ts) != 0 && errno == EINTR) continue;
}

/* Background work is over when for a while neither processor time nor files grow. */
static double settle(worker *w, store *s, const char *dir) {
  int polls = w->rows < 10000 ? 1 : w->rows < 500000 ? 5 : 15;
  if (polls > 1 && w->rival->quiet_ms / 20 > polls) polls = w->rival->quiet_ms / 20;
  double began = seconds(), end = began, cpu = cpu_seconds(), bytes = -1;
  if (w->rival->blackhole) return 0;
  w->rival->flush(s);
  end = seconds();
  for (int quiet = 0; quiet < polls; quiet++) {
    if (seconds() - began > 60 + (double)w->rows / 1e4) {
      printf("%s is still busy after %.0f s\n", w->rival->name, seconds() - began);
      break;
    }
    sleep_ms(20);
    double cpu_now = cpu_seconds(), bytes_now = tree_bytes(dir);
    bool busy = w->rival->busy != NULL && w->rival->busy(s);
    if (busy || bytes_now != bytes || cpu_now - cpu > 0.005) {
      quiet = -1;
      end = seconds();
    }
    cpu = cpu_seconds();
    bytes = bytes_now;
  }
  return end - began;
}

/*------------------------------------------------------------------ rows */

/* Which row comes n-th: 0, 1, 2, ... have random keys already; or picked at random. */
typedef struct sequence {
  bool random; /* below `rows` */
  bool rising; /* keys, too */
  bool once;   /* random, and none twice */
  uint64_t first, rows, seed;
} sequence;

static uint64_t sequence_id(const sequence *q, uint64_t n) {
  if (!q->random) return q->first + n;
  if (!q->once) return mix(n + q->seed) % q->rows;
  /* A permutation of 0 .. rows-1: a few rounds of Feistel over the next square, walked until
   * inside. */
  unsigned half = 1;
  while ((UINT64_C(1) << (2 * half)) < q->rows) half++;
  uint64_t mask = (UINT64_C(1) << half) - 1, x = n;
  do {
    for (uint64_t i = 0; i < 4; i++) {
      uint64_t left = x >> half, right = x & mask;
      x = right << half | (left ^ (mix(right + (i << 40) + q->seed) & mask));
    }
  } while (x >= q->rows);
  return x;
}

/*---------------------------------------------------------------- writing */

typedef struct writes {
  change change;
  sequence from;
  uint64_t ops;
  uint64_t version;
  double limit; /* seconds; 0: none */
  bool single;  /* each row a transaction of its own */
} writes;

static void apply(const rival *rv, store *s, change what, const row *r) {
  switch (what) {
    case INSERT:
      rv->insert(s, r);
      break;
    case PUT:
      rv->put(s, r);
      break;
    case UPDATE:
      rv->update(s, r);
      break;
    case ERASE:
      rv->erase(s, r);
      break;
  }
}

static void write_rows(worker *w, store *s, const writes *plan, result *out) {
  static row rows[BATCH];
  const rival *rv = w->rival;
  double tenth_seconds[10] = {0};
  uint64_t tenth_ops[10] = {0};
  for (uint64_t n = 0; n < plan->ops && (plan->limit == 0 || out->seconds < plan->limit);) {
    uint64_t some = least(BATCH, plan->ops - n);
    for (uint64_t i = 0; i < some; i++) {
      make_row(sequence_id(&plan->from, n + i), plan->version, plan->from.rising, &rows[i]);
    }
    uint64_t start = now_ns(), before = start, after = start;
    if (!plan->single) rv->begin(s);
    for (uint64_t i = 0; i < some; i++) {
      apply(rv, s, plan->change, &rows[i]);
      if (!plan->single) continue;
      after = now_ns();
      hist_add(&out->latency, after - before);
      before = after;
    }
    if (!plan->single) {
      rv->commit(s);
      after = now_ns();
      hist_add(&out->latency, after - start);
    }
    int tenth = (int)(n * 10 / plan->ops);
    tenth_seconds[tenth] += (double)(after - start) * 1e-9;
    tenth_ops[tenth] += some;
    out->seconds += (double)(after - start) * 1e-9;
    out->ops += some;
    n += some;
  }
  for (int i = 0; i < 10; i++) {
    out->tenth[i] = tenth_seconds[i] > 0 ? (double)tenth_ops[i] / tenth_seconds[i] : 0;
  }
}

/* What was counted when a workload began. */
typedef struct meter {
  double written, device, cpu;
} meter;

static meter meter_start(void) {
  return (meter){bytes_written(), device_bytes(), cpu_seconds()};
}

/* Lets the rival come to rest, which is part of what it costs. */
static void meter_stop(worker *w, store *s, const char *dir, const meter *m, result *out) {
  out->settle = settle(w, s, dir);
  out->written = bytes_written() - m->written;
  out->device = device_bytes() - m->device;
  out->cpu = cpu_seconds() - m->cpu;
  out->disk = disk_bytes(dir);
  out->peak_mb = peak_mb();
}

/* Reads all rows back, after a workload that wrote; there should be `rows`. */
static void verify(worker *w, store *s, bool indexes, uint64_t rows, result *out) {
  check c = {0, 0};
  if (w->rival->blackhole) return;
  w->rival->scan(s, false, &c);
  if (c.rows != rows || w->rival->count(s) != rows) {
    die("%s: %.0f rows by a scan, expected are %.0f", w->rival->name, (double)c.rows, (double)rows);
  }
  if (indexes) w->rival->by_index(s, &c);
  out->rows = c.rows;
  out->sum = c.sum;
}

static store *open_store(worker *w, const char *dir, size_t cache, bool create, bool indexes) {
  open_options opt = {dir, cache, create, indexes};
  return w->rival->open(w->rival, &opt);
}

static store *open_fresh(worker *w, const char *name, bool indexes, char *dir, size_t size) {
  snprintf(dir, size, "%s/%s", w->dir, name);
  if (mkdir(dir, 0777) != 0) die("cannot make %s", dir);
  return open_store(w, dir, (size_t)CACHE_MB << 20, true, indexes);
}

/* Until it is needed again. */
static void close_main(worker *w) {
  if (w->main == NULL) return;
  w->rival->close(w->main);
  w->main = NULL;
  trim_memory();
}

/* A fill of a table of its own, which is gone afterwards. */
static void fill_apart(worker *w, const writes *plan, bool indexes, result *out) {
  char dir[600];
  close_main(w);
  reset_peak();
  store *s = open_fresh(w, "apart", indexes, dir, sizeof dir);
  meter m = meter_start();
  write_rows(w, s, plan, out);
  meter_stop(w, s, dir, &m, out);
  verify(w, s, indexes, out->ops, out);
  w->rival->close(s);
  remove_dir(dir);
}

/* Writes to the main table. */
static void write_main(worker *w, const writes *plan, result *out) {
  meter m = meter_start();
  write_rows(w, w->main, plan, out);
  meter_stop(w, w->main, w->main_dir, &m, out);
  if (plan->change == INSERT) w->ids += plan->ops;
  if (plan->change == ERASE) w->gone += plan->ops;
  verify(w, w->main, false, w->ids - w->gone, out);
}

static void fill_main(worker *w, uint64_t rows, result *out) {
  writes plan = {.change = INSERT, .ops = rows};
  w->main = open_fresh(w, "main", false, w->main_dir, sizeof w->main_dir);
  write_main(w, &plan, out);
}

static void need_main(worker *w, result *ignored) {
  if (w->ids == 0) fill_main(w, w->rows, ignored);
  if (w->main == NULL) w->main = open_store(w, w->main_dir, (size_t)CACHE_MB << 20, false, false);
}

static void reopen_main(worker *w, size_t cache) {
  w->rival->close(w->main);
  w->main = open_store(w, w->main_dir, cache, false, false);
}

/*---------------------------------------------------------------- reading */

typedef struct reads {
  uint64_t ops;
  uint64_t seed;
  bool missing;
  int limit; /* rows of a seek; 0: a lookup */
  bool backward;
} reads;

static void read_rows(worker *w, const reads *plan, result *out) {
  const rival *rv = w->rival;
  check c = {0, 0};
  uint64_t start = now_ns(), before = start;
  for (uint64_t n = 0; n < plan->ops; n++) {
    uint8_t key[KEY_SIZE];
    uint64_t id = mix(n + plan->seed);
    /* Half of the seeks start at a row, half between two. */
    bool present = plan->limit > 0 ? n % 2 == 0 : !plan->missing;
    make_key(present ? id % w->ids : (UINT64_C(1) << 40) + id % (UINT64_C(1) << 40), key);
    if (plan->limit > 0) {
      rv->seek(w->main, key, plan->limit, plan->backward, &c);
    } else if (rv->get(w->main, key, &c) == plan->missing) {
      die("%s: a key that should%s be there", rv->name, plan->missing ? " not" : "");
    }
    uint64_t after = now_ns();
    hist_add(&out->latency, after - before);
    before = after;
  }
  out->ops += plan->ops;
  out->seconds += (double)(before - start) * 1e-9;
  out->rows = c.rows;
  out->sum = c.sum;
}

/* Unmeasured reads first, so that caches are as warm as they get: `first` others, or,
** when that is all there are to be, the very same. */
static void read_main(worker *w, const reads *plan, uint64_t first, result *out) {
  static result ignored;
  reads others = *plan;
  others.ops = first;
  if (first < plan->ops) others.seed += UINT64_C(1) << 50;
  read_rows(w, &others, &ignored);
  double cpu = cpu_seconds();
  read_rows(w, plan, out);
  out->cpu = cpu_seconds() - cpu;
}

static void scan_main(worker *w, workload what, result *out) {
  check c = {0, 0};
  double cpu = cpu_seconds();
  uint64_t start = now_ns();
  if (what == W_COUNT) {
    c.rows = w->rival->count(w->main);
  } else {
    w->rival->scan(w->main, what == W_SCAN_REV, &c);
  }
  uint64_t took = now_ns() - start;
  hist_add(&out->latency, took);
  out->seconds = (double)took * 1e-9;
  out->ops = out->rows = c.rows;
  out->sum = c.sum;
  out->cpu = cpu_seconds() - cpu;
}

static void reads_with_cache(worker *w, workload what, int round, result *out) {
  double raw = (double)w->ids * RAW_ROW;
  size_t cache = (size_t)(what == W_READCACHED ? 4 * raw : raw / 10);
  reads plan = {.ops = least(w->rows, 200000), .seed = 11 + (uint64_t)round * 1000003};
  if (what == W_READCOLD) {
    w->rival->close(w->main);
    drop_files(w->main_dir);
    w->main = open_store(w, w->main_dir, cache, false, false);
    plan.ops = least(w->rows / 20 + 1, 3000);
  } else {
    reopen_main(w, cache);
  }
  /* Of the cold ones only a few, that open what has to be open. */
  read_main(w, &plan,
            what == W_READCACHED ? plan.ops
            : what == W_READCOLD ? 20
                                 : plan.ops / 5,
            out);
  reopen_main(w, (size_t)CACHE_MB << 20);
  trim_memory();
}

/*-------------------------------------------------------------- two threads */

typedef struct helper {
  worker *w;
  store *s;
  uint64_t rows;
  _Atomic bool stop;
  uint64_t ops;
  int rounds;
  double seconds;
} helper;

/* Overwrites rows with what they hold already: so reads find what they expect. */
static void *write_beside(void *arg) {
  static row rows[BATCH];
  helper *h = arg;
  double start = seconds();
  for (uint64_t n = 0; !atomic_load(&h->stop); n += BATCH) {
    for (uint64_t i = 0; i < BATCH; i++) make_row(mix(n + i + 77) % h->rows, 0, false, &rows[i]);
    h->w->rival->begin(h->s);
    for (uint64_t i = 0; i < BATCH; i++) h->w->rival->put(h->s, &rows[i]);
    h->w->rival->commit(h->s);
    h->ops += BATCH;
  }
  h->seconds = seconds() - start;
  return NULL;
}

static void *compact_beside(void *arg) {
  helper *h = arg;
  while (!atomic_load(&h->stop)) {
    h->w->rival->compact(h->s);
    h->rounds++;
    sleep_ms(1);
  }
  return NULL;
}

static void with_helper(worker *w, void *(*run_helper)(void *), const reads *read_plan,
                        const writes *write_plan, result *out) {
  helper h = {.w = w, .s = w->rival->second(w->main), .rows = w->rows};
  pthread_t thread;
  meter m = meter_start();
  if (pthread_create(&thread, NULL, run_helper, &h) != 0) die("cannot start a thread");
  if (read_plan != NULL) read_rows(w, read_plan, out);
  if (write_plan != NULL) write_rows(w, w->main, write_plan, out);
  atomic_store(&h.stop, true);
  pthread_join(thread, NULL);
  w->rival->close(h.s);
  out->beside = h.seconds > 0 ? (double)h.ops / h.seconds : 0;
  out->compactions = h.rounds;
  meter_stop(w, w->main, w->main_dir, &m, out);
  if (write_plan == NULL) return;
  /* What was deleted is there again, in part. */
  if (w->gone > 0) w->gone = w->ids - w->rival->count(w->main);
  verify(w, w->main, false, w->ids - w->gone, out);
}

/*-------------------------------------------------------------------- YCSB */

/* Numbers below n, small ones more often (Gray et al., "Quickly generating
** billion-record synthetic databases"; theta 0.99 as YCSB has it). */
typedef struct zipf {
  double n, theta, alpha, zeta, eta;
  uint64_t state;
} zipf;

static void zipf_init(zipf *z, uint64_t n, uint64_t seed) {
  double zeta2 = 1 + pow(0.5, 0.99);
  *z = (zipf){.n = (double)n, .theta = 0.99, .alpha = 1 / (1 - 0.99), .state = seed};
  for (uint64_t i = 1; i <= n; i++) z->zeta += pow(1 / (double)i, z->theta);
  z->eta = (1 - pow(2 / z->n, 1 - z->theta)) / (1 - zeta2 / z->zeta);
}

static double uniform(zipf *z) {
  return (double)(mix(z->state++) >> 11) * 0x1p-53;
}

static uint64_t zipf_next(zipf *z) {
  double u = uniform(z), uz = u * z->zeta;
  if (uz < 1) return 0;
  if (uz < 1 + pow(0.5, z->theta)) return 1;
  double x = z->n * pow(z->eta * u - z->eta + 1, z->alpha);
  return x < z->n ? (uint64_t)x : (uint64_t)z->n - 1;
}

typedef struct ycsb_mix {
  double reads, updates, inserts, scans; /* the rest: read-modify-write */
  bool latest;
} ycsb_mix;

static const ycsb_mix ycsb_mixes[] = {
    {0.50, 0.50, 0, 0, false}, {0.95, 0.05, 0, 0, false}, {1, 0, 0, 0, false},
    {0.95, 0, 0.05, 0, true},  {0, 0, 0.05, 0.95, false}, {0.50, 0, 0, 0, false},
};

/* One operation; the nanoseconds it took. */
static uint64_t ycsb_one(worker *w, const ycsb_mix *m, zipf *z, uint64_t *ids, check *c) {
  const rival *rv = w->rival;
  double p = uniform(z);
  uint64_t rank = zipf_next(z);
  bool insert = p >= m->reads + m->updates && p < m->reads + m->updates + m->inserts;
  uint64_t id = insert ? (*ids)++ : m->latest ? *ids - 1 - rank : mix(rank ^ 0xc0ffee) % w->rows;
  int limit = 1 + (int)(uniform(z) * 100);
  row r;
  make_row(id, w->version + z->state, false, &r);
  uint64_t start = now_ns();
  if (p < m->reads) {
    if (!rv->get(w->main, r.key, c)) die("%s: a row is missing", rv->name);
  } else if (insert) {
    rv->insert(w->main, &r);
  } else if (p < m->reads + m->updates) {
    rv->update(w->main, &r);
  } else if (m->scans > 0) {
    rv->seek(w->main, r.key, limit, false, c);
  } else {
    rv->begin(w->main);
    if (!rv->get(w->main, r.key, c)) die("%s: a row is missing", rv->name);
    rv->update(w->main, &r);
    rv->commit(w->main);
  }
  return now_ns() - start;
}

static void ycsb(worker *w, workload what, result *out) {
  const ycsb_mix *m = &ycsb_mixes[what - W_YCSB_A];
  uint64_t ops = least(w->rows, m->scans > 0 ? 20000 : 100000);
  uint64_t ids = w->ids;
  meter begun = meter_start();
  check c = {0, 0}, after = {0, 0};
  zipf z;
  zipf_init(&z, w->rows, (uint64_t)what << 40);
  w->version += UINT64_C(1) << 32;
  for (uint64_t n = 0; n < ops; n++) {
    uint64_t ns = ycsb_one(w, m, &z, &ids, &c);
    hist_add(&out->latency, ns);
    out->seconds += (double)ns * 1e-9;
  }
  out->ops = ops;
  w->ids = ids;
  meter_stop(w, w->main, w->main_dir, &begun, out);
  w->rival->scan(w->main, false, &after);
  out->rows = after.rows;
  out->sum = c.sum + after.sum;
}

/*------------------------------------------------------------ one workload */

static void one_row(worker *w, bool full, result *out) {
  uint64_t ops = full ? least(w->rows / 40 + 1, 2000) : least(w->rows / 4 + 1, 50000);
  writes plan = {.change = INSERT, .from = {.first = w->ids}, .ops = ops, .single = true};
  if (full) w->rival->set_full(w->main, true);
  write_main(w, &plan, out);
  if (full) w->rival->set_full(w->main, false);
}

static void changes(worker *w, workload what, result *out) {
  sequence any = {.random = true, .rows = w->ids, .seed = mix((uint64_t)what)};
  writes plan = {.change = PUT, .from = any, .ops = w->rows};
  plan.version = w->version += UINT64_C(1) << 32;
  if (what == W_UPDATE) plan.change = UPDATE, plan.ops = w->rows / 2;
  if (what == W_DELETE) plan.change = ERASE, plan.ops = w->rows / 2, plan.from.once = true;
  if (what == W_COMMIT_COMPACT) {
    with_helper(w, compact_beside, NULL, &plan, out);
  } else {
    write_main(w, &plan, out);
  }
}

static void fills(worker *w, const request *q, result *out) {
  writes plan = {.change = INSERT, .ops = q->rows, .limit = w->rival->bounded ? q->limit : 0};
  switch (q->workload) {
    case W_FILLSEQ:
      plan.from.rising = true;
      break;
    case W_FILLREPLACE:
      plan.change = PUT;
      break;
    case W_MEMTABLE:
      plan.change = PUT, plan.ops = least(q->rows, 200000);
      break;
    case W_INDEX2:
      plan.ops = q->rows / 2;
      break;
    case W_BIG:
      plan.change = PUT, plan.ops = q->rows * 10;
      break;
    default:
      break;
  }
  fill_apart(w, &plan, q->workload == W_INDEX2, out);
}

static void measure_main(worker *w, const request *q, result *out) {
  uint64_t seed = 1 + (uint64_t)q->round * 1000003, ops = least(w->rows, 200000);
  reads plan = {.ops = ops, .seed = seed};
  switch (q->workload) {
    case W_READRANDOM:
      break;
    case W_READMISSING:
      plan.missing = true;
      break;
    case W_SEEK10:
      plan.limit = 10;
      break;
    case W_SEEK10_REV:
      plan.limit = 10, plan.backward = true;
      break;
    case W_SEEK100:
      plan.limit = 100;
      break;
    case W_SEEK100_REV:
      plan.limit = 100, plan.backward = true;
      break;
    case W_SCAN:
    case W_SCAN_REV:
    case W_COUNT:
      scan_main(w, (workload)q->workload, out);
      return;
    case W_READCACHED:
    case W_READ10X:
    case W_READCOLD:
      reads_with_cache(w, (workload)q->workload, q->round, out);
      return;
    case W_READ_WRITING:
      with_helper(w, write_beside, &plan, NULL, out);
      return;
    case W_ONE_NORMAL:
    case W_ONE_FULL:
      one_row(w, q->workload == W_ONE_FULL, out);
      return;
    case W_OVERWRITE:
    case W_UPDATE:
    case W_COMMIT_COMPACT:
    case W_DELETE:
      changes(w, (workload)q->workload, out);
      return;
    default:
      ycsb(w, (workload)q->workload, out);
      return;
  }
  if (plan.limit > 0) plan.ops = least(w->rows, plan.limit > 10 ? 10000 : 50000);
  read_main(w, &plan, plan.ops / 5, out);
}

static bool takes_part(const rival *rv, workload what) {
  if (what == W_INDEX2) return rv->indexes;
  if (what == W_MEMTABLE && rv->bounded) return false;
  if (rv->brief && (what == W_FILLREPLACE || what == W_COMMIT_COMPACT || what == W_BIG))
    return false;
  if (!rv->blackhole) return true;
  return what <= W_FILLRANDOM || what == W_MEMTABLE;
}

static void measure(worker *w, const request *q, result *out) {
  static result ignored;
  memset(out, 0, sizeof *out);
  w->rows = q->rows;
  if (!takes_part(w->rival, (workload)q->workload)) return;
  bool on_main = workload_list[q->workload].on_main;
  if (on_main && q->workload != W_FILLRANDOM) need_main(w, &ignored);
  reset_peak();
  if (q->workload == W_FILLRANDOM) {
    fill_main(w, q->rows, out);
  } else if (on_main) {
    measure_main(w, q, out);
  } else {
    fills(w, q, out);
  }
  if (out->peak_mb == 0) out->peak_mb = peak_mb();
  if (out->disk == 0 && on_main) out->disk = disk_bytes(w->main_dir);
  out->base_mb = w->base_mb;
  out->done = true;
}

static bool transfer(void *data, size_t size, bool sending) {
  for (size_t at = 0; at < size;) {
    char *p = (char *)data + at;
    ssize_t n = sending ? write(0, p, size - at) : read(0, p, size - at);
    if (n <= 0) return false;
    at += (size_t)n;
  }
  return true;
}

int worker_main(int argc, char **argv, const rival *rivals, int count) {
  static result out;
  worker w = {0};
  request q;
  for (int i = 0; i < count && argc == 3; i++) {
    if (strcmp(rivals[i].name, argv[1]) == 0) w.rival = &rivals[i];
  }
  if (w.rival == NULL) {
    printf("not installed\n");
    return 3;
  }
  w.dir = argv[2];
  w.base_mb = proc_number("/proc/self/status", "VmRSS:") / 1024;
  while (transfer(&q, sizeof q, false) && q.workload >= 0 && q.workload < WORKLOADS) {
    measure(&w, &q, &out);
    if (!transfer(&out, sizeof out, true)) break;
  }
  if (w.main != NULL) w.rival->close(w.main);
  return 0;
}
