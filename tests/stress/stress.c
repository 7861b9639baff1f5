/* stress.c: several processes of several threads on one database; killed and
** started again; money moves and none is lost.
**
** Usage: stress [seconds [processes [threads [seed]]]]; JOURNAL=delete, KILLS=no.
**
** Tables acct (ordinary), l1, l2, l3 (lsm, one store). A transfer takes from one
** row and gives to another: inside l1; from l1 to l2; from acct to l3. So the
** sums of l1 + l2 and of acct + l3 never move, nor does what they are made of:
** l1 alone has a second column that only transfers inside l1 touch. Each writer
** counts its transactions in a row of `seq` and of `lseq`, by the same transaction.
**
**   readers     in one statement, and in several of one transaction: the sums;
**               that seq and lseq say the same (WAL: elsewhere only lsm tables)
**   restarts    what was acknowledged to a process that was killed is there
**   the end     sums, counts, lsm_verify, integrity_check; then again, reopened
**
** SQLITE_BUSY, of whatever kind, means once more; but a plain SELECT from lsm tables is
** never told SQLITE_BUSY_SNAPSHOT. Any other error is a failure.
**
** Some kills come at any moment, from outside; the others, on Linux, in front of
** a system call that changes a file, of the store or of SQLite: the program has
** functions of those names of its own, which the libraries find first.
**
** Owns   the directory of the database, kept when a check fails;
**        a page shared by all processes: what was acknowledged, counts, the end.
*/
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../bench/sqlutil.h"

enum { ROWS = 100, START = 1000, PROCESSES_MAX = 16, THREADS_MAX = 16, BUSY_MS = 5000 };

typedef struct shared {
  _Atomic bool stop;
  _Atomic uint64_t kills, commits, rollbacks, reads, busy, jobs;
  _Atomic uint64_t acknowledged[PROCESSES_MAX][THREADS_MAX];
} shared;

typedef struct worker {
  pthread_t id;
  int process, thread;
  uint64_t random;
  sqlite3 *db;
  uint64_t seq; /* of the last transaction that may be in the database */
} worker;

static shared *all;
static char path[600];
static bool wal = true, may_kill = true;
static int processes = 3, threads = 4;

static uint64_t rnd(worker *w, uint64_t n) {
  w->random = mix(w->random);
  return w->random % n;
}

/*--------------------------------------------------- kills from inside */

static _Atomic uint64_t kill_seed; /* 0: nobody is killed */

#if defined(__linux__) && defined(__LP64__) && !defined(__SANITIZE_THREAD__)
#define SEEN __attribute__((visibility("default")))
static _Atomic uint64_t calls;

static void maybe_die(void) {
  uint64_t seed = atomic_load(&kill_seed);
  if (seed != 0 && mix(seed ^ atomic_fetch_add(&calls, 1)) % 1500 == 0) kill(getpid(), SIGKILL);
}

SEEN ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t off) {
  maybe_die();
  return syscall(SYS_pwritev, fd, iov, (long)n, (long)off, 0L);
}
SEEN ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t off) {
  return pwritev64(fd, iov, n, off);
}
SEEN ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off) {
  maybe_die();
  return syscall(SYS_pwrite64, fd, p, n, off);
}
SEEN ssize_t pwrite(int fd, const void *p, size_t n, off_t off) { return pwrite64(fd, p, n, off); }
SEEN int fdatasync(int fd) {
  maybe_die();
  return (int)syscall(SYS_fdatasync, fd);
}
SEEN int fsync(int fd) {
  maybe_die();
  return (int)syscall(SYS_fsync, fd);
}
SEEN int unlink(const char *name) {
  maybe_die();
  return (int)syscall(SYS_unlinkat, AT_FDCWD, name, 0);
}
#endif

/*---------------------------------------------------------------- SQL */

/* Runs SQL; false: busy, and the transaction, if any, was given up. */
static bool attempt(worker *w, const char *sql) {
  char *message = NULL;
  int rc = sqlite3_exec(w->db, sql, NULL, NULL, &message);
  if (rc == SQLITE_OK) return true;
  if ((rc & 0xff) != SQLITE_BUSY) {
    die("process %d, thread %d: error %d: %s\n  in %s", w->process, w->thread,
        sqlite3_extended_errcode(w->db), message ? message : sqlite3_errmsg(w->db), sql);
  }
  sqlite3_free(message);
  atomic_fetch_add(&all->busy, 1);
  if (!sqlite3_get_autocommit(w->db)) run(w->db, "ROLLBACK");
  return false;
}

/* Does the statement read lsm tables alone? Then its state is never refused it. */
static bool is_lsm_alone(const char *sql) {
  return strstr(sql, "acct") == NULL && strstr(sql, " seq") == NULL && strstr(sql, "pragma") == NULL;
}

/* One number; false: busy. */
static bool number(worker *w, const char *sql, int64_t *value) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(w->db, sql, -1, &stmt, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) *value = sqlite3_column_int64(stmt, 0);
  int code = sqlite3_finalize(stmt);
  if (rc == SQLITE_ROW && code == SQLITE_OK) return true;
  bool stale = sqlite3_extended_errcode(w->db) == SQLITE_BUSY_SNAPSHOT;
  bool refused = stale && sqlite3_get_autocommit(w->db) && is_lsm_alone(sql);
  if ((rc & 0xff) != SQLITE_BUSY || refused) {
    die("process %d, thread %d: error %d: %s\n  in %s", w->process, w->thread,
        sqlite3_extended_errcode(w->db), sqlite3_errmsg(w->db), sql);
  }
  atomic_fetch_add(&all->busy, 1);
  if (!sqlite3_get_autocommit(w->db)) run(w->db, "ROLLBACK");
  return false;
}

static bool expect(worker *w, const char *sql, int64_t should_be) {
  int64_t is = 0;
  if (!number(w, sql, &is)) return false;
  atomic_fetch_add(&all->reads, 1);
  if (is != should_be) {
    die("process %d, thread %d: %.0f, not %.0f\n  in %s", w->process, w->thread, (double)is,
        (double)should_be, sql);
  }
  return true;
}

/*------------------------------------------------------------- writing */

static const char *const from_table[] = {"l1", "l1", "acct"};
static const char *const to_table[] = {"l1", "l2", "l3"};

/* One transfer, noted under the worker's number; false: busy. */
static bool transfer(worker *w) {
  static const char *const begins[] = {"BEGIN", "BEGIN IMMEDIATE"};
  char sql[700];
  int kind = (int)rnd(w, 3), amount = 1 + (int)rnd(w, 50), me = w->process * 100 + w->thread;
  int a = 1 + (int)rnd(w, ROWS), b = 1 + (int)rnd(w, ROWS);
  bool keep = rnd(w, 10) != 0;
  if (!attempt(w, begins[rnd(w, 2)])) return false;
  snprintf(sql, sizeof(sql),
           "UPDATE %s SET v = v - %d, pad = hex(randomblob(%d)) WHERE id = %d;"
           "UPDATE %s SET v = v + %d WHERE id = %d;",
           from_table[kind], amount, 10 + (int)rnd(w, 200), a, to_table[kind], amount, b);
  if (!attempt(w, sql)) return false;
  if (rnd(w, 4) == 0) {
    snprintf(sql, sizeof(sql),
             "SAVEPOINT s; UPDATE l1 SET v = v + 7 WHERE id < 20; DELETE FROM l2 WHERE id > 90;"
             "UPDATE acct SET v = 0 WHERE id = %d; ROLLBACK TO s; RELEASE s;", a);
    if (!attempt(w, sql)) return false;
  }
  if (rnd(w, 100) == 0) { /* larger than the memtable */
    for (int i = 0; i < 3; i++) {
      if (!attempt(w, "UPDATE l3 SET pad = hex(randomblob(1000 + id * 5))")) return false;
    }
  }
  uint64_t next = w->seq + 1;
  snprintf(sql, sizeof(sql),
           "UPDATE lseq SET n = %llu WHERE id = %d; UPDATE seq SET n = %llu WHERE id = %d;",
           (unsigned long long)next, me, (unsigned long long)next, me);
  if (!attempt(w, sql)) return false;
  if (!keep) {
    run(w->db, "ROLLBACK");
    atomic_fetch_add(&all->rollbacks, 1);
    return true;
  }
  if (!attempt(w, "COMMIT")) return false;
  w->seq = next;
  atomic_store(&all->acknowledged[w->process][w->thread], next);
  atomic_fetch_add(&all->commits, 1);
  return true;
}

/* One statement that changes lsm tables only, several rows at once. */
static bool shift(worker *w) {
  char sql[400];
  int a = 1 + (int)rnd(w, ROWS), b = 1 + (int)rnd(w, ROWS), amount = 1 + (int)rnd(w, 50);
  if (a == b) return true;
  snprintf(sql, sizeof(sql),
           "UPDATE l1 SET w = w + CASE id WHEN %d THEN %d ELSE %d END WHERE id IN (%d, %d)", a,
           amount, -amount, a, b);
  if (!attempt(w, sql)) return false;
  atomic_fetch_add(&all->commits, 1);
  return true;
}

/*------------------------------------------------------------- reading */

#define MIXED "SELECT (SELECT sum(v) FROM acct) + (SELECT sum(v) FROM l3)"
#define LSM   "SELECT (SELECT sum(v) FROM l1) + (SELECT sum(v) FROM l2)"
#define SEQS  "SELECT count(*) FROM seq JOIN lseq USING(id) WHERE seq.n <> lseq.n"

static bool read_once(worker *w) {
  switch (rnd(w, wal ? 5 : 3)) {
    case 0: return expect(w, "SELECT sum(w) FROM l1", ROWS * START);
    case 1: return expect(w, LSM, 2 * ROWS * START);
    case 2: return expect(w, "SELECT count(*) FROM l2 WHERE id BETWEEN 1 AND 1000", ROWS);
    case 3: return expect(w, MIXED, 2 * ROWS * START);
    default: return expect(w, SEQS, 0);
  }
}

/* Several statements see one state. */
static bool read_in_transaction(worker *w) {
  int64_t a = 0, b = 0, again = 0;
  if (!attempt(w, "BEGIN")) return false;
  bool lsm_first = rnd(w, 2);
  if (!number(w, lsm_first ? "SELECT sum(v) FROM l3" : "SELECT sum(v) FROM acct", &a)) return false;
  if (rnd(w, 2)) sched_yield();
  if (!number(w, lsm_first ? "SELECT sum(v) FROM acct" : "SELECT sum(v) FROM l3", &b)) return false;
  if (!expect(w, LSM, 2 * ROWS * START)) return false;
  if (!number(w, "SELECT sum(v) FROM l3", &again)) return false;
  if (wal && (a + b != 2 * ROWS * START || again != (lsm_first ? a : b))) {
    die("process %d, thread %d: in one transaction, lsm first %d: %.0f + %.0f, again %.0f", w->process,
        w->thread, lsm_first, (double)a, (double)b, (double)again);
  }
  run(w->db, "COMMIT");
  return true;
}

/*------------------------------------------------------------- workers */

static void setup_connection(worker *w) {
  static const char *const syncs[] = {"OFF", "NORMAL", "FULL"};
  char sql[100];
  w->db = open_db(path);
  sqlite3_busy_timeout(w->db, BUSY_MS);
  snprintf(sql, sizeof(sql), "PRAGMA synchronous=%s", syncs[rnd(w, 3)]);
  run(w->db, sql);
}

/* What was acknowledged before a kill is there; what was not may be. */
static void check_acknowledged(worker *w) {
  char sql[100];
  int64_t n = 0;
  int me = w->process * 100 + w->thread;
  uint64_t sure = atomic_load(&all->acknowledged[w->process][w->thread]);
  snprintf(sql, sizeof(sql), "SELECT n FROM seq WHERE id = %d", me);
  while (!number(w, sql, &n)) {}
  if ((uint64_t)n != sure && (uint64_t)n != sure + 1) {
    die("process %d, thread %d: transaction %.0f was acknowledged, %.0f is the last", w->process,
        w->thread, (double)sure, (double)n);
  }
  snprintf(sql, sizeof(sql), "SELECT n FROM lseq WHERE id = %d", me);
  while (!expect(w, sql, n)) {}
  w->seq = (uint64_t)n;
}

/* Each worker has an index on l2 that comes and goes. */
static bool toggle_index(worker *w) {
  char sql[200];
  int64_t there = 0, changes = 0;
  int me = w->process * 100 + w->thread;
  snprintf(sql, sizeof(sql), "SELECT count(*) FROM l2_lsm WHERE value LIKE 'INDEX \"x%d\" %%'", me);
  if (!number(w, sql, &there)) return false;
  if (!number(w, "SELECT count(*) FROM pragma_table_info('l2_lsm')", &changes)) return false;
  if (changes > 1500) return false; /* a table can be changed 1,998 times */
  snprintf(sql, sizeof(sql),
           there ? "SELECT lsm_drop_index('l2', 'x%d')"
                 : "SELECT lsm_create_index('l2', 'x%d', 'v, pad')",
           me);
  return attempt(w, sql);
}

static void *work(void *arg) {
  static const char *const jobs[] = {"SELECT lsm_flush('l1')", "SELECT lsm_compact('l2')",
                                     "SELECT lsm_flush('l3')", "SELECT lsm_compact('l3')"};
  worker *w = arg;
  setup_connection(w);
  check_acknowledged(w);
  bool writer = w->thread < 2;
  while (!atomic_load(&all->stop)) {
    uint64_t what = rnd(w, 1000);
    if (what < 8) {
      if (attempt(w, jobs[rnd(w, 4)])) atomic_fetch_add(&all->jobs, 1);
    } else if (what < 9) {
      if (toggle_index(w)) atomic_fetch_add(&all->jobs, 1);
    } else if (what < 11) {
      close_db(w->db); /* the process' store may go with it, and come back */
      setup_connection(w);
    } else if (writer ? what < 800 : what < 100) {
      (void)(rnd(w, 3) == 0 ? shift(w) : transfer(w));
    } else {
      (void)(rnd(w, 3) == 0 ? read_in_transaction(w) : read_once(w));
    }
  }
  close_db(w->db);
  return NULL;
}

static void child(int process, uint64_t seed) {
  worker w[THREADS_MAX];
  if (may_kill) atomic_store(&kill_seed, seed | 1);
  for (int i = 0; i < threads; i++) {
    w[i] = (worker){0};
    w[i].process = process;
    w[i].thread = i;
    w[i].random = mix(seed + (uint64_t)i);
    if (pthread_create(&w[i].id, NULL, work, &w[i]) != 0) die("cannot start a thread");
  }
  for (int i = 0; i < threads; i++) pthread_join(w[i].id, NULL);
  atomic_store(&kill_seed, 0);
}

/*------------------------------------------------------ begin and end */

static void create(void) {
  static const char *const tables[] = {"l1", "l2", "l3"};
  char sql[500];
  sqlite3 *db = open_db(path);
  run(db, wal ? "PRAGMA journal_mode=WAL" : "PRAGMA journal_mode=DELETE");
  run(db, "CREATE TABLE acct(id INTEGER PRIMARY KEY, v, pad); CREATE TABLE seq(id INTEGER PRIMARY KEY, n)");
  for (int i = 0; i < 3; i++) {
    snprintf(sql, sizeof(sql),
             "CREATE VIRTUAL TABLE %s USING lsm(id INTEGER PRIMARY KEY, v, w, pad,"
             " memtable_size='256KB', cache_size='1MB'%s)",
             tables[i], i == 2 ? ", compaction=tiered" : "");
    run(db, sql);
  }
  run(db, "CREATE VIRTUAL TABLE lseq USING lsm(id INTEGER PRIMARY KEY, n)");
  snprintf(sql, sizeof(sql),
           "WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
           " INSERT INTO acct SELECT i, %d, '' FROM c;", ROWS, START);
  run(db, sql);
  run(db, "INSERT INTO l1 SELECT id, v, v, '' FROM acct; INSERT INTO l2 SELECT * FROM l1;"
          "INSERT INTO l3 SELECT * FROM l1");
  for (int p = 0; p < processes; p++) {
    for (int t = 0; t < threads; t++) {
      snprintf(sql, sizeof(sql), "INSERT INTO seq VALUES(%d, 0)", p * 100 + t);
      run(db, sql);
    }
  }
  run(db, "INSERT INTO lseq SELECT * FROM seq");
  close_db(db);
}

/* The state at the end, as one connection finds it. */
static void check(void) {
  worker w = {0};
  for (int round = 0; round < 2; round++) {
    w.db = open_db(path);
    sqlite3_busy_timeout(w.db, BUSY_MS);
    if (!expect(&w, MIXED, 2 * ROWS * START) || !expect(&w, LSM, 2 * ROWS * START) ||
        !expect(&w, SEQS, 0) || !expect(&w, "SELECT sum(w) FROM l1", ROWS * START) ||
        !expect(&w, "SELECT count(*) FROM l1 JOIN l2 USING(id) JOIN l3 USING(id)", ROWS) ||
        !expect(&w, "SELECT count(*) FROM lseq", processes * threads) ||
        !expect(&w, "SELECT lsm_verify('l1') = 'ok' AND lsm_verify('l2') = 'ok' AND"
                    " lsm_verify('l3') = 'ok' AND lsm_verify('lseq') = 'ok'", 1) ||
        !expect(&w, "SELECT integrity_check = 'ok' FROM pragma_integrity_check", 1)) {
      die("busy, though nobody else is there");
    }
    for (w.process = 0; w.process < processes; w.process++) {
      for (w.thread = 0; w.thread < threads; w.thread++) check_acknowledged(&w);
    }
    close_db(w.db);
  }
}

static void nap(unsigned ms) {
  struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};
  nanosleep(&ts, NULL);
}

static pid_t start(int process, uint64_t seed) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) die("cannot fork");
  if (pid > 0) return pid;
  if (process == -1) create();
  if (process == -2) check();
  if (process >= 0) child(process, seed);
  exit(0);
}

/* Has the process ended? Waits for it if asked. Ends the program if it failed. */
static bool ended(pid_t pid, bool wait_for, const char *what) {
  int status = 0;
  pid_t got = waitpid(pid, &status, wait_for ? 0 : WNOHANG);
  if (got < 0) die("waitpid");
  if (got == 0) return false;
  bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && may_kill;
  if (killed) atomic_fetch_add(&all->kills, 1);
  if (killed || (status == 0 && wait_for)) return true;
  atomic_store(&all->stop, true);
  nap(200);
  printf("%s FAILED with status %x; database kept: %s\n1 checks, 1 failed\n", what, (unsigned)status,
         path);
  exit(1);
}

int main(int argc, char **argv) {
  double until = seconds() + (argc > 1 ? strtod(argv[1], NULL) : 60);
  if (argc > 2) processes = atoi(argv[2]);
  if (argc > 3) threads = atoi(argv[3]);
  uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : (uint64_t)time(NULL), n = 0, ticks = 0;
  const char *journal = getenv("JOURNAL"), *kills = getenv("KILLS");
  may_kill = kills == NULL || strcmp(kills, "no") != 0;
  wal = journal == NULL || strcmp(journal, "delete") != 0;
  char dir[512];
  pid_t pids[PROCESSES_MAX];
  if (processes < 1 || processes > PROCESSES_MAX || threads < 1 || threads > THREADS_MAX) {
    die("usage: stress [seconds [processes [threads [seed]]]]");
  }
  all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) die("mmap");
  make_dir("stress", dir, sizeof(dir));
  snprintf(path, sizeof(path), "%s/bank.db", dir);
  (void)ended(start(-1, 0), true, "creation");
  for (int i = 0; i < processes; i++) pids[i] = start(i, mix(seed + n++));
  while (seconds() < until) {
    nap(10);
    if (may_kill && mix(seed ^ ++ticks) % 40 == 0) {
      kill(pids[mix(seed - ticks) % (uint64_t)processes], SIGKILL);
    }
    for (int i = 0; i < processes; i++) {
      if (ended(pids[i], false, "a process")) pids[i] = start(i, mix(seed + n++));
    }
  }
  atomic_store(&all->stop, true);
  for (int i = 0; i < processes; i++) (void)ended(pids[i], true, "a process");
  (void)ended(start(-2, 0), true, "the last check");
  printf("seed %.0f: %.0f kills, %.0f commits, %.0f rollbacks, %.0f sums, %.0f flushes and"
         " compactions, %.0f times busy\n%.0f checks\n",
         (double)seed, (double)all->kills, (double)all->commits,
         (double)all->rollbacks, (double)all->reads, (double)all->jobs, (double)all->busy,
         (double)n + 1); /* each start looks for what was acknowledged; and the end */
  remove_dir(dir);
  return 0;
}
