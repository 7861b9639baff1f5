/* run.c: runs the unit tests.
**
** Usage: unit [suite...]. Without names every suite runs; a name is that of
** the file, test_<name>.c. The environment variables of libcheck apply
** (CK_FORK=no under sanitizers and in a debugger, CK_VERBOSITY). The last line
** says how many checks ran, for tests/tools/test_all.sh.
**
** Owns   one SRunner per suite, freed as soon as the suite has run, so that
**        what failed stands next to the suite's name.
*/
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "suites.h"

#define DECLARE(name) Suite *name##_suite(void);
SUITES(DECLARE)

static const struct {
  const char *name;
  Suite *(*make)(void);
} suites[] = {
#define ENTRY(name) {#name, name##_suite},
    SUITES(ENTRY){NULL, NULL}};

static bool chosen(const char *name, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], name) == 0) return true;
  }
  return argc == 1;
}

static bool known(const char *name) {
  for (size_t i = 0; suites[i].name != NULL; i++) {
    if (strcmp(suites[i].name, name) == 0) return true;
  }
  return false;
}

static double now(void) {
  struct timespec ts;
  timespec_get(&ts, TIME_UTC);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  int ran = 0, failed = 0;
  for (int i = 1; i < argc; i++) {
    if (known(argv[i])) continue;
    fprintf(stderr, "no suite is called %s; there are:", argv[i]);
    for (size_t k = 0; suites[k].name != NULL; k++) fprintf(stderr, " %s", suites[k].name);
    fprintf(stderr, "\n");
    return EXIT_FAILURE;
  }
  for (size_t i = 0; suites[i].name != NULL; i++) {
    if (!chosen(suites[i].name, argc, argv)) continue;
    double start = now();
    SRunner *runner = srunner_create(suites[i].make());
    srunner_run_all(runner, getenv("CK_VERBOSITY") ? CK_ENV : CK_SILENT);
    int tests = srunner_ntests_run(runner), bad = srunner_ntests_failed(runner);
    /* Silent but for suites with failures, which are then named one by one. */
    if (bad > 0) srunner_print(runner, CK_NORMAL);
    srunner_free(runner);
    printf("  %-16s %4d tests, %d failed, %.1f s\n", suites[i].name, tests, bad, now() - start);
    fflush(stdout);
    ran += tests;
    failed += bad;
  }
  printf("%d checks, %d failed\n", ran, failed);
  return failed == 0 && ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
