/* powercut.c: what is left when the power goes, or all processes die, at any
** system call of a mixed load; and how a process that dies leaves the others.
**
** Usage: powercut [options]
**   cuts=N      images to look at, over all scenarios (2000)
**   seed=N      other loads cannot be had, but other cuts and losses (1)
**   only=TEXT   scenarios whose name has TEXT in it
**   break=WHAT  expect failures: wal, sst, manifest, dir: syncs of these in the
**               store are not done; token: the last COMMIT's decision is missing
**   jobs=N      scenarios at a time (2)
**
** A scenario is a journal mode, PRAGMA synchronous and a number of processes. Its
** load (load.c) runs once under record.so; then, for calls of the record, a crash
** is made (disk.c): its image goes to a directory and a child opens it and checks
** every promise (load_check). Some images are the start of another load, recorded
** and cut in the same way: a crash while, or after, a crash is recovered from.
** In scenarios "kill" the others live on: one process of three dies instead of its
** nth call, the others have to finish, and then everything is checked.
**
** Owns   a directory in /dev/shm, kept when a check fails: fail-N is the image.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../bench/sqlutil.h"
#include "disk.h"
#include "load.h"

enum {
  PATH_SIZE = 600,
  LIVE_SECONDS = 400, /* who hangs; many times what a machine that is busy takes */
  CHECK_SECONDS = 200,
  MAX_FAILURES = 3,
  EACH_SECOND = 30
};
#define LOG_SIZE (UINT64_C(1) << 28)

typedef struct scenario {
  const char *journal, *sync;
  unsigned processes, count; /* transactions of each */
  bool live_kill;
  char name[64];
} scenario;

typedef struct options {
  unsigned long cuts, jobs;
  uint64_t seed;
  const char *only;
  unsigned deaf;
  bool no_token;
  bool broken; /* failures are what is wanted */
} options;

typedef struct tally {
  unsigned long images, failures, loads, calls;
} tally;

typedef struct run_state {
  const scenario *s;
  const options *o;
  char dir[PATH_SIZE]; /* of the scenario */
  tally t;
  uint64_t seed;
} run_state;

static char self[PATH_SIZE], layer[PATH_SIZE], extension[PATH_SIZE];

static uint64_t draw(run_state *r, uint64_t below) {
  r->seed = mix(r->seed);
  return r->seed % below;
}

static void path_in(const run_state *r, const char *name, char path[PATH_SIZE]) {
  if (snprintf(path, PATH_SIZE, "%s/%s", r->dir, name) >= PATH_SIZE) die("the path is too long");
}

static void fresh_dir(const char *path) {
  remove_dir(path);
  if (mkdir(path, 0755) != 0) die("cannot make %s", path);
}

/*----------------------------------------------------------------- recording */

static record_head *new_log(const char *path) {
  pthread_mutexattr_t attr;
  unlink(path); /* the one before may be in use yet */
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || ftruncate(fd, (off_t)LOG_SIZE) != 0) die("cannot make %s", path);
  record_head *h = mmap(NULL, LOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (h == MAP_FAILED) die("cannot map %s", path);
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&h->mu, &attr);
  h->size = (sizeof *h + 7) & ~(size_t)7;
  h->limit = LOG_SIZE;
  return h;
}

/* A process of the load: this program again, under the layer. */
static pid_t start_load(const run_state *r, const char *what, unsigned writer, unsigned count,
                        uint64_t kill_at) {
  char dir[PATH_SIZE], log[PATH_SIZE], db[PATH_SIZE + 8], w[16], n[16], at[32], errors[PATH_SIZE];
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) die("cannot fork");
  if (child > 0) return child;
  path_in(r, "live", dir);
  path_in(r, "log", log);
  path_in(r, "said", errors);
  snprintf(db, sizeof db, "%s/t.db", dir);
  snprintf(w, sizeof w, "%u", writer);
  snprintf(n, sizeof n, "%u", count);
  snprintf(at, sizeof at, "%llu", (unsigned long long)kill_at);
  setenv("LD_PRELOAD", layer, 1);
  setenv(RECORD_LOG, log, 1);
  setenv(RECORD_DIR, dir, 1);
  if (kill_at != 0) setenv(RECORD_KILL, at, 1);
  setenv("LSMVTAB", extension, 1);
  int fd = open(errors, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (fd >= 0) dup2(fd, 2);
  execl(self, self, what, db, r->s->journal, r->s->sync, w, n, (char *)NULL);
  _exit(3);
}

/* Prints what children said. */
static void print_said(const run_state *r) {
  char path[PATH_SIZE], line[600];
  path_in(r, "said", path);
  FILE *f = fopen(path, "r");
  for (int i = 0; f != NULL && i < 8 && fgets(line, sizeof line, f) != NULL; i++) {
    printf("      %s", line);
  }
  if (f != NULL) fclose(f);
  fflush(stdout);
}

/* Waits for a child, not longer than SECONDS; its status, or -1: it hung. */
static int wait_for(pid_t child, double limit) {
  int status = 0;
  double start = seconds();
  unsigned nap = 100;
  for (;;) {
    pid_t r = waitpid(child, &status, WNOHANG);
    if (r == child) return status;
    if (r < 0 && errno != EINTR) die("waitpid");
    if (seconds() - start > limit) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return -1;
    }
    usleep(nap);
    if (nap < 2000) nap *= 2;
  }
}

/* Runs the load in live/, all its processes; whether all went well. */
static bool run_load(run_state *r, bool setup, unsigned count) {
  pid_t child[LOAD_WRITERS];
  bool good = true;
  r->t.loads++;
  if (setup && wait_for(start_load(r, "setup", 0, 0, 0), LIVE_SECONDS) != 0) return false;
  for (unsigned i = 0; i < r->s->processes; i++) child[i] = start_load(r, "write", i + 1, count, 0);
  for (unsigned i = 0; i < r->s->processes; i++) {
    if (wait_for(child[i], LIVE_SECONDS) != 0) good = false;
  }
  return good;
}

/*------------------------------------------------------------------ checking */

/* The image at DIR in a child of its own. NULL: all promises kept; else why not. */
static const char *check_image(const run_state *r, const char *dir, const load_history *h,
                               load_promise promise) {
  char db[PATH_SIZE + 8], errors[PATH_SIZE];
  static char text[64];
  snprintf(db, sizeof db, "%s/t.db", dir);
  path_in(r, "said", errors);
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) die("cannot fork");
  if (child == 0) {
    int fd = open(errors, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0) dup2(fd, 2);
    if (r->o->no_token) load_drop_token(db);
    load_check(db, h, promise);
    _exit(0);
  }
  int status = wait_for(child, CHECK_SECONDS);
  if (status == 0) return NULL;
  if (status == -1) return "it hangs";
  if (WIFSIGNALED(status)) {
    snprintf(text, sizeof text, "signal %d", WTERMSIG(status));
    return text;
  }
  return "a promise is broken";
}

static void report(run_state *r, const char *why, const char *what) {
  r->t.failures++;
  if (r->o->broken && r->t.failures > 1) return;
  printf("  %s %s: %s: %s\n", r->o->broken ? "seen:" : "FAILED", r->s->name, what, why);
  print_said(r);
}

static const char *const loss_names[] = {"kill", "nothing unsynced", "unsynced in order",
                                         "any unsynced"};

/* One crash after entry INDEX: image, check, and the image once more if it fails. */
static void cut(run_state *r, disk *d, const load_history *h, unsigned gen, size_t index,
                disk_loss loss, uint64_t seed) {
  char image[PATH_SIZE], what[200], name[32];
  path_in(r, "image", image);
  fresh_dir(image);
  bool undone = disk_image(d, loss, seed, image);
  bool full = strcmp(r->s->sync, "FULL") == 0;
  load_promise promise = {loss == DISK_KILL || full, loss != DISK_KILL && undone};
  const char *why = check_image(r, image, h, promise);
  r->t.images++;
  if (why == NULL) return;
  snprintf(what, sizeof what, "generation %u, after call %zu, %s, seed %llu%s", gen, index,
           loss_names[loss], (unsigned long long)seed, undone ? ", journal is back" : "");
  report(r, why, what);
  if (r->o->broken) return;
  snprintf(name, sizeof name, "fail-%lu", r->t.failures);
  path_in(r, name, image);
  fresh_dir(image);
  disk_image(d, loss, seed, image);
}

/*------------------------------------------------------------------ campaign */

static const record_entry *next_entry(const record_entry *e) {
  return (const record_entry *)((const uint8_t *)(e + 1) +
                                ((e->size + e->path_size + 7) & ~(uint64_t)7));
}

static const record_entry *first_entry(const record_head *h) {
  return (const record_entry *)((const uint8_t *)h + ((sizeof *h + 7) & ~(size_t)7));
}

static size_t count_calls(const record_head *log) {
  const void *end = (const uint8_t *)log + log->size;
  size_t n = 0;
  for (const record_entry *e = first_entry(log); (const void *)e < end; e = next_entry(e)) {
    n += e->type != RECORD_MARK;
  }
  return n;
}

static void campaign(run_state *r, disk *d, load_history *h, unsigned gen, unsigned long budget);

/* Goes on from a crash of d: a second load over its image. */
static void second_load(run_state *r, const disk *now, const load_history *past, unsigned gen,
                        unsigned long budget) {
  static const disk_loss ways[] = {DISK_KILL, DISK_ANY, DISK_KILL, DISK_ORDER, DISK_NONE};
  char live[PATH_SIZE], what[100];
  load_history *h = malloc(sizeof *h);
  disk *d = disk_clone(now);
  bool power = strcmp(r->s->sync, "OFF") != 0;
  disk_loss loss = power ? ways[draw(r, 5)] : DISK_KILL;
  uint64_t seed = draw(r, UINT32_MAX);
  if (h == NULL) die("out of memory");
  *h = *past;
  if (loss != DISK_KILL) { /* the next load says what it builds on */
    memset(h->acknowledged, 0, sizeof h->acknowledged);
    h->setup = false;
  }
  path_in(r, "live", live);
  fresh_dir(live);
  disk_image(d, loss, seed, live);
  disk_restart(d, loss, live);
  snprintf(what, sizeof what, "a load over a crash, %s, seed %llu", loss_names[loss],
           (unsigned long long)seed);
  campaign(r, d, h, gen, budget);
  disk_free(d);
  free(h);
}

/* Runs and records a load that begins with disk d, and cuts it BUDGET times. */
static void campaign(run_state *r, disk *d, load_history *h, unsigned gen, unsigned long budget) {
  static const disk_loss ways[] = {DISK_KILL, DISK_ANY, DISK_ORDER, DISK_ANY, DISK_NONE, DISK_ANY};
  char path[PATH_SIZE];
  bool power = strcmp(r->s->sync, "OFF") != 0;
  path_in(r, "log", path);
  record_head *log = new_log(path);
  if (!run_load(r, true, gen == 0 ? r->s->count : 8)) {
    report(r, "it failed or hung", gen == 0 ? "the load" : "a load over a crash");
  }
  size_t calls = count_calls(log), index = 0;
  const void *end = (const uint8_t *)log + log->size;
  unsigned way = (unsigned)draw(r, 6);
  unsigned long later = gen == 0 ? budget / 3 : 0, done = 0;
  size_t gap = calls / (later / EACH_SECOND + 1) + 1, next = draw(r, gap);
  budget -= later;
  r->t.calls += calls;
  for (const record_entry *e = first_entry(log); (const void *)e < end; e = next_entry(e)) {
    if (e->type == RECORD_MARK) {
      load_note(h, e->ino, e->offset);
      continue;
    }
    disk_apply(d, e);
    index++;
    for (; done < budget * index / calls && r->t.failures < MAX_FAILURES; done++) {
      cut(r, d, h, gen, index, power ? ways[way++ % 6] : DISK_KILL, draw(r, UINT32_MAX));
    }
    for (; index >= next && later > 0 && r->t.failures < MAX_FAILURES; next += gap) {
      unsigned long n = later < EACH_SECOND ? later : EACH_SECOND;
      second_load(r, d, h, gen + 1, n);
      later -= n;
    }
  }
  munmap(log, LOG_SIZE);
}

/* One of three dies at its nth call, the others finish; then all is checked. */
static void live_kills(run_state *r, unsigned long budget) {
  char path[PATH_SIZE], live[PATH_SIZE], what[100];
  path_in(r, "log", path);
  path_in(r, "live", live);
  for (unsigned long i = 0; i < budget && r->t.failures < MAX_FAILURES; i++) {
    static load_history h;
    pid_t child[LOAD_WRITERS];
    uint64_t at = 1 + (i * 997 + draw(r, 31)) % 1200;
    unsigned victim = (unsigned)(i % r->s->processes);
    record_head *log = new_log(path);
    fresh_dir(live);
    memset(&h, 0, sizeof h);
    r->t.loads++;
    snprintf(what, sizeof what, "process %u died instead of its call %llu", victim + 1,
             (unsigned long long)at);
    bool good = wait_for(start_load(r, "setup", 0, 0, 0), LIVE_SECONDS) == 0;
    for (unsigned p = 0; p < r->s->processes; p++) {
      child[p] = start_load(r, "write", p + 1, r->s->count, p == victim ? at : 0);
    }
    for (unsigned p = 0; p < r->s->processes; p++) {
      int status = wait_for(child[p], LIVE_SECONDS);
      bool died = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && status != -1;
      if (status != 0 && !(p == victim && died)) good = false;
    }
    const void *end = (const uint8_t *)log + log->size;
    for (const record_entry *e = first_entry(log); (const void *)e < end; e = next_entry(e)) {
      r->t.calls += e->type != RECORD_MARK;
      if (e->type == RECORD_MARK) load_note(&h, e->ino, e->offset);
    }
    munmap(log, LOG_SIZE);
    for (unsigned n = 0; n < LOAD_MAX; n++) h.begun[victim + 1][n] = true; /* it kept no record */
    const char *why =
        good ? check_image(r, live, &h, (load_promise){true, false}) : "the others failed or hung";
    r->t.images++;
    if (why != NULL) report(r, why, what);
  }
}

/*----------------------------------------------------------------- scenarios */

static void run_scenario(run_state *r, unsigned long budget) {
  char live[PATH_SIZE];
  double start = seconds();
  load_history *h = calloc(1, sizeof *h);
  if (h == NULL) die("out of memory");
  path_in(r, "live", live);
  fresh_dir(live);
  bool once = strcmp(r->s->sync, "NORMAL") == 0;
  disk *d = disk_new(live, r->o->deaf | (once ? DISK_JOURNAL_IN_ORDER : 0));
  if (r->s->live_kill) {
    live_kills(r, budget);
  } else {
    campaign(r, d, h, 0, budget);
  }
  disk_free(d);
  free(h);
  printf("  %-24s %6lu cuts of %6lu calls in %3lu loads, %lu failed, %.0f s\n", r->s->name,
         r->t.images, r->t.calls, r->t.loads, r->t.failures, seconds() - start);
  fflush(stdout);
}

static unsigned make_scenarios(const options *o, scenario *all) {
  static const char *const journals[] = {"WAL", "DELETE", "TRUNCATE", "PERSIST"};
  static const char *const syncs[] = {"FULL", "NORMAL", "OFF"};
  unsigned n = 0;
  for (unsigned p = 1; p <= 3; p += 2) {
    for (unsigned j = 0; j < 4; j++) {
      for (unsigned s = 0; s < 3; s++) {
        for (int kill = 0; kill <= (p > 1); kill++) {
          scenario *c = &all[n];
          *c = (scenario){journals[j], syncs[s], p, p == 1 ? 60 : 24, kill, ""};
          snprintf(c->name, sizeof c->name, "%s%s %s, %u process%s", kill ? "kill " : "",
                   c->journal, c->sync, p, p > 1 ? "es" : "");
          if (j >= 2 && (s > 0 || p > 1)) continue;
          if (kill && s == 2) continue;
          if (o->only == NULL || strstr(c->name, o->only) != NULL) n++;
        }
      }
    }
  }
  return n;
}

static void read_options(int argc, char **argv, options *o) {
  for (int i = 1; i < argc; i++) {
    const char *value = strchr(argv[i], '=');
    if (value == NULL) die("powercut: what is %s?", argv[i]);
    value++;
    if (strncmp(argv[i], "cuts=", 5) == 0)
      o->cuts = strtoul(value, NULL, 10);
    else if (strncmp(argv[i], "seed=", 5) == 0)
      o->seed = strtoull(value, NULL, 10);
    else if (strncmp(argv[i], "jobs=", 5) == 0)
      o->jobs = strtoul(value, NULL, 10);
    else if (strncmp(argv[i], "only=", 5) == 0)
      o->only = value[0] != 0 ? value : NULL;
    else if (strcmp(argv[i], "break=wal") == 0)
      o->deaf |= DISK_DEAF_LOG;
    else if (strcmp(argv[i], "break=sst") == 0)
      o->deaf |= DISK_DEAF_TABLES;
    else if (strcmp(argv[i], "break=manifest") == 0)
      o->deaf |= DISK_DEAF_MANIFEST;
    else if (strcmp(argv[i], "break=dir") == 0)
      o->deaf |= DISK_DEAF_STORE_DIR;
    else if (strcmp(argv[i], "break=token") == 0)
      o->no_token = true;
    else
      die("powercut: what is %s?", argv[i]);
  }
  o->broken = o->deaf != 0 || o->no_token;
}

static void find_files(const char *argv0) {
  const char *ext = getenv("LSMVTAB");
  if (realpath(argv0, self) == NULL) die("cannot find %s", argv0);
  char *slash = strrchr(self, '/');
  if (slash == NULL || (size_t)(slash - self) + 12 > sizeof layer) die("the path is too long");
  snprintf(layer, sizeof layer, "%.*s/record.so", (int)(slash - self), self);
  char found_path[PATH_MAX];
  if (realpath(ext != NULL ? ext : "lsmvtab.so", found_path) == NULL) die("no extension");
  snprintf(extension, sizeof extension, "%.*s", PATH_SIZE - 1, found_path);
  setenv("LSMVTAB", extension, 1);
  /* Loaded here once: a child's sqlite3_load_extension() only finds it. */
  if (dlopen(extension, RTLD_NOW | RTLD_LOCAL) == NULL) die("%s", dlerror());
}

static int load_main(char **argv) {
  unsigned writer = (unsigned)strtoul(argv[5], NULL, 10);
  unsigned count = (unsigned)strtoul(argv[6], NULL, 10);
  if (strcmp(argv[1], "setup") == 0)
    load_setup(argv[2], argv[3], argv[4]);
  else
    load_write(argv[2], argv[3], argv[4], writer, count);
  return 0;
}

/* One scenario in a process of its own; its tally goes to *t, shared. */
static pid_t start_scenario(const scenario *s, const options *o, const char *base, unsigned i,
                            unsigned long budget, tally *t) {
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) die("cannot fork");
  if (child > 0) return child;
  run_state r = {.s = s, .o = o, .seed = mix(o->seed * 1000 + i)};
  snprintf(r.dir, sizeof r.dir, "%.500s/%u", base, i);
  fresh_dir(r.dir);
  run_scenario(&r, budget);
  *t = r.t;
  if (r.t.failures == 0 || o->broken) remove_dir(r.dir);
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc == 7 && (strcmp(argv[1], "setup") == 0 || strcmp(argv[1], "write") == 0)) {
    return load_main(argv);
  }
  options o = {.cuts = 2000, .seed = 1, .jobs = 2};
  static scenario all[64];
  char base[] = "/dev/shm/powercut.XXXXXX";
  read_options(argc, argv, &o);
  find_files(argv[0]);
  if (mkdtemp(base) == NULL) die("cannot make a directory in /dev/shm");
  unsigned n = make_scenarios(&o, all), running = 0;
  tally *t = mmap(NULL, sizeof *t * 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  tally sum = {0};
  int status = 0;
  bool good = n > 0 && t != MAP_FAILED;
  if (!good) die("no such scenario");
  for (unsigned i = 0; i < n; i++) {
    /* A live kill costs as much as many images. */
    unsigned long budget = all[i].live_kill ? 1 + o.cuts / n / 12 : 1 + o.cuts / n;
    if (running == o.jobs && wait(&status) > 0) {
      running--;
      good = good && status == 0;
    }
    start_scenario(&all[i], &o, base, i, budget, &t[i]);
    running++;
  }
  while (running-- > 0 && wait(&status) > 0) good = good && status == 0;
  for (unsigned i = 0; i < n; i++) {
    sum.images += t[i].images;
    sum.failures += t[i].failures;
    sum.calls += t[i].calls;
  }
  if (o.broken) {
    remove_dir(base);
    printf("%lu of %lu images broke a promise, as they should\n", sum.failures, sum.images);
    printf("%d checks%s\n", 1, sum.failures > 0 && good ? "" : ", 1 failed");
    return sum.failures > 0 && good ? 0 : 1;
  }
  if (sum.failures == 0 && good)
    remove_dir(base);
  else
    printf("  images kept in %s\n", base);
  printf("%lu cuts of %lu calls\n%lu checks", sum.images, sum.calls, sum.images);
  if (sum.failures > 0 || !good) printf(", %lu failed", sum.failures + !good);
  printf("\n");
  return sum.failures > 0 || !good;
}
