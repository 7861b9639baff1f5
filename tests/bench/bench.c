/* bench.c: runs the workloads on all rivals in turn, compares what they read, and
** reports: tables here and in bench.txt, figures in bench.csv, a picture in bench.svg.
**
** Usage: bench [smoke]; smoke: few rows, no figures shown, only whether all is right. From the
*environment: N rows (2,000,000); ONLY='scan ycsb'
** and RIVALS='lsm btree' pick those whose names begin so (unless one is quite
** that name); BIG=1 adds ten times N rows, where the b-trees stop after BIG_LIMIT
** seconds (300); BENCH_DIR for files and results (build/bench).
** Ends with 1 when rivals read different rows.
**
** Owns   the workers: one process a rival, on a socket; the directory of their files.
*/
#define _GNU_SOURCE
#include <sys/socket.h>
#include <sys/wait.h>
#include <zlib.h>

#include "report.h"
#include "rows.h"

const rival_info rival_list[RIVALS] = {
    [R_LSM] = {"lsm", "sql_bench", "lsm", "#1f6f8b"},
    [R_TIERED] = {"tiered", "sql_bench", "lsm tiered", "#74b3ce"},
    [R_BTREE] = {"btree", "sql_bench", "WITHOUT ROWID", "#c8553d"},
    [R_ROWID] = {"rowid", "sql_bench", "rowid table", "#e8a598"},
    [R_NULL] = {"null", "sql_bench", "null vtab", "#b8b8b8"},
    [R_KV] = {"lsm.h", "kv_bench", "lsm.h, no SQL", "#2a4d3e"},
    [R_ROCKSDB] = {"rocksdb", "kv_bench", "RocksDB, no SQL", "#8a6fb0"},
    [R_LEVELDB] = {"leveldb", "kv_bench", "LevelDB, no SQL", "#d9a441"},
};

typedef struct worker {
  pid_t pid;
  int fd;
} worker;

typedef struct show {
  report rep;
  worker workers[RIVALS];
  bool chosen[WORKLOADS];
  char dir[600];
  FILE *text; /* bench.txt */
  bool smoke;
  int checks, failed;
} show;

/* Whether `name` is in a list: as a word, or, if no word is quite so, as a beginning. */
static bool picked(const char *list, const char *name, bool exact_only) {
  size_t n = strlen(name);
  if (list == NULL || *list == '\0') return true;
  for (const char *p = list; *p != '\0';) {
    size_t len = strcspn(p, " ,");
    if (len > 0 && len <= n && strncmp(p, name, len) == 0 && (len == n || !exact_only)) return true;
    p += len;
    p += strspn(p, " ,");
  }
  return false;
}

/* Each word stands for the name it is, or for all that begin with it. */
static bool wanted(const char *list, const char *name, const char *(*nth)(int), int count) {
  char word[100];
  if (list == NULL || *list == '\0') return true;
  for (const char *p = list; *p != '\0'; p += strspn(p, " ,")) {
    size_t len = strcspn(p, " ,");
    bool is_name = false;
    snprintf(word, sizeof word, "%.*s", (int)len, p);
    for (int i = 0; i < count; i++) is_name = is_name || strcmp(nth(i), word) == 0;
    if (len > 0 && picked(word, name, is_name)) return true;
    p += len;
  }
  return false;
}

static const char *workload_name(int i) {
  return workload_list[i].name;
}

static const char *rival_name(int i) {
  return rival_list[i].name;
}

/*--------------------------------------------------------------- workers */

static void start_worker(show *sh, int rival, const char *bin) {
  char program[700], dir[700];
  int ends[2];
  snprintf(program, sizeof program, "%s/%s", bin, rival_list[rival].program);
  snprintf(dir, sizeof dir, "%s/%s", sh->dir, rival_list[rival].name);
  if (mkdir(dir, 0777) != 0) die("cannot make %s", dir);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) die("no socket");
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) die("cannot fork");
  if (pid == 0) {
    dup2(ends[1], 0);
    dup2(2, 1);
    execl(program, program, rival_list[rival].name, dir, (char *)NULL);
    die("cannot run %s", program);
  }
  close(ends[1]);
  sh->workers[rival] = (worker){pid, ends[0]};
}

static bool transfer(int fd, void *data, size_t size, bool sending) {
  for (size_t at = 0; at < size;) {
    char *p = (char *)data + at;
    ssize_t n = sending ? send(fd, p, size - at, MSG_NOSIGNAL) : read(fd, p, size - at);
    if (n <= 0) return false;
    at += (size_t)n;
  }
  return true;
}

static void end_worker(show *sh, int rival) {
  worker *w = &sh->workers[rival];
  int status = 0;
  if (w->pid == 0) return;
  close(w->fd);
  waitpid(w->pid, &status, 0);
  w->pid = 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
    sh->rep.missing[rival] = true;
    printf("%s is not installed: make deps-bench\n", rival_list[rival].label);
  } else if (status != 0) {
    printf("%s ended with status %d\n", rival_list[rival].label, status);
    sh->failed++;
  }
}

static bool ask(show *sh, int rival, workload what, int round, result *out) {
  request q = {what, round, sh->rep.rows, sh->rep.limit};
  worker *w = &sh->workers[rival];
  if (w->pid == 0) return false;
  if (transfer(w->fd, &q, sizeof q, true) && transfer(w->fd, out, sizeof *out, false)) return true;
  end_worker(sh, rival);
  return false;
}

/*--------------------------------------------------------------- results */

/* One more round of the same workload. */
static void add_round(result **to, const result *r) {
  if (*to == NULL) {
    *to = malloc(sizeof **to);
    if (*to == NULL) die("out of memory");
    **to = *r;
    return;
  }
  result *t = *to;
  t->ops += r->ops;
  t->seconds += r->seconds;
  t->cpu += r->cpu;
  t->written += r->written;
  t->device += r->device;
  t->settle += r->settle;
  if (r->peak_mb > t->peak_mb) t->peak_mb = r->peak_mb;
  hist_merge(&t->latency, &r->latency);
  t->sum = t->sum * 31 + r->sum;
  t->rows += r->rows;
}

/* All rivals must have read the same. A fill that was cut short has other rows. */
static void compare(show *sh, workload what) {
  const result *first = NULL;
  for (int i = 0; i < RIVALS; i++) {
    const result *r = sh->rep.all[what][i];
    bool cut = what == W_BIG && r != NULL && r->ops != sh->rep.rows * 10;
    if (r == NULL || i == R_NULL || cut) continue;
    if (first == NULL) first = r;
    sh->checks++;
    if (r->rows == first->rows && r->sum == first->sum) continue;
    sh->failed++;
    printf("%s: %s read %.0f rows with the sum %016llx; expected are %.0f and %016llx\n",
           workload_list[what].name, rival_list[i].label, (double)r->rows,
           (unsigned long long)r->sum, (double)first->rows, (unsigned long long)first->sum);
  }
}

static void run_workload(show *sh, workload what) {
  static result r;
  int rounds = sh->rep.rows < 50000 ? 1 : workload_list[what].rounds;
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < RIVALS; i++) {
      /* Nobody is always the first. */
      int rival = (i + round) % RIVALS;
      if (!ask(sh, rival, what, round, &r) || !r.done) continue;
      add_round(&sh->rep.all[what][rival], &r);
    }
  }
  compare(sh, what);
  report_workload(sh->text, &sh->rep, what);
  if (!sh->smoke) report_workload(stdout, &sh->rep, what);
  fflush(stdout);
}

/*---------------------------------------------------------------- checks */

static void check(show *sh, bool good, const char *what) {
  sh->checks++;
  if (good) return;
  sh->failed++;
  printf("%s\n", what);
}

/* Are the values what they are said to be, and the percentiles? */
static void check_tools(show *sh) {
  enum { ROWS = 1000 };
  static uint8_t values[ROWS * VALUE_SIZE], packed[ROWS * VALUE_SIZE * 2];
  static hist h;
  uLongf size = sizeof packed;
  for (uint64_t i = 0; i < ROWS; i++) {
    row r;
    make_row(i, 1, false, &r);
    memcpy(values + i * VALUE_SIZE, r.value, VALUE_SIZE);
  }
  int rc = compress2(packed, &size, values, sizeof values, 6);
  double part = (double)size / sizeof values;
  check(sh, rc == Z_OK && part > 0.5 && part < 0.56, "values do not compress to a half");
  for (uint64_t ns = 1; ns <= 100000; ns++) hist_add(&h, ns * 10);
  check(sh, hist_us(&h, 0.5) > 485 && hist_us(&h, 0.5) < 520, "the median is wrong");
  check(sh, hist_us(&h, 0.999) > 985 && hist_us(&h, 0.999) <= 1000, "p99.9 is wrong");
  check(sh, hist_us(&h, 1) == 1000 && h.count == 100000, "the maximum is wrong");
}

/* How often `what` is in a file. */
static int occurrences(const char *path, const char *what) {
  char line[4096];
  int n = 0;
  FILE *f = fopen(path, "r");
  if (f == NULL) return -1;
  while (fgets(line, sizeof line, f) != NULL) {
    for (char *p = line; (p = strstr(p, what)) != NULL; p += strlen(what)) n++;
  }
  fclose(f);
  return n;
}

static void write_files(show *sh, const char *base) {
  char csv[700], svg[700];
  int results = 0;
  snprintf(csv, sizeof csv, "%s/bench.csv", base);
  snprintf(svg, sizeof svg, "%s/bench.svg", base);
  for (int w = 0; w < WORKLOADS; w++) {
    for (int i = 0; i < RIVALS; i++) results += sh->rep.all[w][i] != NULL;
  }
  check(sh, report_csv(&sh->rep, csv) && occurrences(csv, "\n") == results + 1,
        "bench.csv is not whole");
  check(sh,
        report_svg(&sh->rep, svg) && occurrences(svg, "</svg>") == 1 &&
            occurrences(svg, "<text") == occurrences(svg, "</text>") &&
            occurrences(svg, "<rect") > results,
        "bench.svg is not whole");
}

static void finish(show *sh, const char *base) {
  for (int i = 0; i < RIVALS; i++) end_worker(sh, i);
  remove_dir(sh->dir);
  report_asked(sh->text, &sh->rep);
  if (!sh->smoke) report_asked(stdout, &sh->rep);
  write_files(sh, base);
  check(sh, fclose(sh->text) == 0, "bench.txt is not whole");
  printf("\nbench.txt, bench.csv and bench.svg are in %s.\n", base);
  if (sh->failed > 0) printf("FAILED: what rivals read differs, or they ended early\n");
  printf("%d checks", sh->checks);
  if (sh->failed > 0) printf(", %d failed", sh->failed);
  printf("\n");
}

static void choose(show *sh) {
  const char *only = getenv("ONLY"), *rivals = getenv("RIVALS"), *big = getenv("BIG");
  for (int i = 0; i < WORKLOADS; i++) {
    sh->chosen[i] = wanted(only, workload_list[i].name, workload_name, WORKLOADS);
  }
  if (big == NULL || strcmp(big, "1") != 0) sh->chosen[W_BIG] = sh->smoke;
  sh->rep.partial = (only != NULL && *only != '\0') || (rivals != NULL && *rivals != '\0');
  for (int i = 0; i < RIVALS; i++) {
    sh->rep.used[i] = wanted(rivals, rival_list[i].name, rival_name, RIVALS);
  }
}

static void open_files(show *sh, const char *base) {
  char path[700];
  mkdir(base, 0777);
  snprintf(sh->dir, sizeof sh->dir, "%s/data.XXXXXX", base);
  if (mkdtemp(sh->dir) == NULL) die("cannot make %s", sh->dir);
  snprintf(path, sizeof path, "%s/bench.txt", base);
  sh->text = fopen(path, "w");
  if (sh->text == NULL) die("cannot write %s", path);
}

static void introduce(FILE *f, uint64_t rows) {
  fprintf(f,
          "SQLite %s; %.0f rows of a %d-byte key and a %d-byte value, half of which compresses;\n"
          "transactions of %d; WAL, synchronous=NORMAL; caches %d MB, memtables %d MB.\n"
          "Per second; latencies in microseconds; MB written are those given to write calls.\n",
          sqlite3_libversion(), (double)rows, KEY_SIZE, VALUE_SIZE, BATCH, CACHE_MB, MEMTABLE_MB);
}

int main(int argc, char **argv) {
  static show sh;
  const char *n = getenv("N"), *limit = getenv("BIG_LIMIT"), *base = getenv("BENCH_DIR");
  char bin[600];
  sh.smoke = argc > 1 && strcmp(argv[1], "smoke") == 0;
  sh.rep.rows = n != NULL && *n != '\0' ? strtoull(n, NULL, 10) : sh.smoke ? 2000 : 2000000;
  if (sh.rep.rows < 100) die("N is too small");
  if (base == NULL) base = "build/bench";
  snprintf(bin, sizeof bin, "%s", argv[0]);
  *strrchr(bin, '/') = '\0';
  open_files(&sh, base);
  choose(&sh);
  check_tools(&sh);
  introduce(sh.text, sh.rep.rows);
  if (!sh.smoke) introduce(stdout, sh.rep.rows);
  for (int i = 0; i < RIVALS; i++) {
    if (sh.rep.used[i]) start_worker(&sh, i, bin);
  }
  for (int i = 0; i < WORKLOADS; i++) {
    sh.rep.limit = i != W_BIG ? 0 : limit != NULL ? strtod(limit, NULL) : 300;
    if (sh.chosen[i]) run_workload(&sh, (workload)i);
  }
  finish(&sh, base);
  return sh.failed > 0;
}
