/* run.c: main() of a fuzz target that is not built with libFuzzer.
**
**   fuzz_x -w DIR                       writes the target's examples to DIR
**   fuzz_x [-n ROUNDS] [-s SEED] [FILE|DIR]...
**                                       runs examples and files, then ROUNDS
**                                       mutations of them
**
** The same seed makes the same inputs. When a run fails, its input is left in a
** file crash-<name of the target> in $FUZZ_CRASH_DIR, or here: give that file
** as an argument to run it again. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { SIZE_MAX_INPUT = 64 << 10 };

typedef struct input {
  uint8_t *data;
  size_t size;
} input;

typedef struct corpus {
  input *items;
  size_t count, cap;
} corpus;

/*---------------------------------------------------------------- failures */

static const char *target = "target";
static input current;

static void keep_input(void) {
  char path[600];
  const char *dir = getenv("FUZZ_CRASH_DIR");
  snprintf(path, sizeof path, "%s/crash-%s", dir == NULL ? "." : dir, target);
  FILE *f = fopen(path, "wb");
  if (f == NULL) return;
  size_t n = fwrite(current.data, 1, current.size, f);
  if (fclose(f) == 0 && n == current.size) fprintf(stderr, "its input is in %s\n", path);
}

static void on_abort(int signal_number) {
  (void)signal_number;
  keep_input();
  signal(SIGABRT, SIG_DFL);
  abort();
}

/* There when the program is built with a sanitizer. */
extern void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static void run(const uint8_t *data, size_t size) {
  current.data = (uint8_t *)(uintptr_t)data;
  current.size = size;
  (void)LLVMFuzzerTestOneInput(data, size);
}

/*------------------------------------------------------------------ corpus */

static void add(void *arg, const void *data, size_t size) {
  corpus *c = arg;
  if (c->count == c->cap) {
    c->cap = c->cap == 0 ? 16 : 2 * c->cap;
    c->items = realloc(c->items, c->cap * sizeof *c->items);
    FUZZ_CHECK(c->items != NULL);
  }
  c->items[c->count].data = fuzz_copy(lsm_slice_of(data, size));
  c->items[c->count++].size = size;
}

static void add_file(corpus *c, const char *path) {
  static uint8_t bytes[SIZE_MAX_INPUT];
  FILE *f = fopen(path, "rb");
  if (f == NULL) {
    perror(path);
    exit(2);
  }
  add(c, bytes, fread(bytes, 1, sizeof bytes, f));
  fclose(f);
}

static void add_path(corpus *c, const char *path) {
  struct stat st;
  DIR *dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? opendir(path) : NULL;
  if (dir == NULL) {
    add_file(c, path);
    return;
  }
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    char name[1000];
    if (e->d_name[0] == '.') continue;
    snprintf(name, sizeof name, "%s/%s", path, e->d_name);
    add_file(c, name);
  }
  closedir(dir);
}

static int write_corpus(const corpus *c, const char *dir) {
  for (size_t i = 0; i < c->count; i++) {
    char path[1000];
    snprintf(path, sizeof path, "%s/seed-%zu", dir, i);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(c->items[i].data, 1, c->items[i].size, f) != c->items[i].size ||
        fclose(f) != 0) {
      perror(path);
      return 2;
    }
  }
  return 0;
}

/*---------------------------------------------------------------- mutation */

static uint64_t state;

static uint32_t below(size_t n) { /* n > 0 */
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (uint32_t)((state * UINT64_C(2685821657736338717)) >> 33) % (uint32_t)n;
}

/* Makes room for n bytes at AT; false: there is none. */
static bool open_gap(input *in, size_t at, size_t n) {
  if (in->size + n > SIZE_MAX_INPUT) return false;
  memmove(in->data + at + n, in->data + at, in->size - at);
  in->size += n;
  return true;
}

static void close_gap(input *in, size_t at, size_t n) {
  if (n > in->size - at) n = in->size - at;
  memmove(in->data + at, in->data + at + n, in->size - at - n);
  in->size -= n;
}

/* Numbers that lengths and counts fail on. */
static void put_number(input *in, size_t at) {
  static const uint64_t hard[] = {0,          1,          0x7F,       0x80,
                                  0xFF,       0x100,      0x7FFF,     0xFFFF,
                                  0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF,
                                  1u << 30,   UINT64_MAX, 1ull << 63, (1ull << 63) - 1};
  uint64_t v = hard[below(sizeof hard / sizeof hard[0])];
  uint8_t bytes[LSM_VARINT_MAX];
  size_t n = (size_t)1 << below(4);
  lsm_set_u64(bytes, v);
  if (below(3) == 0) n = (size_t)(lsm_varint_put(bytes, v) - bytes);
  if (n > in->size - at) n = in->size - at;
  memcpy(in->data + at, bytes, n);
}

/* A piece of another example over, or into, this one. */
static void splice(input *in, size_t at, const input *other) {
  if (other->size == 0) return;
  size_t from = below(other->size);
  size_t n = 1 + below(other->size - from < 64 ? other->size - from : 64);
  if (below(2) == 0) {
    if (!open_gap(in, at, n)) return;
  } else if (n > in->size - at) {
    n = in->size - at;
  }
  memmove(in->data + at, other->data + from, n);
}

static void mutate(input *in, const input *other) {
  size_t at = in->size == 0 ? 0 : below(in->size);
  if (in->size == 0) {
    splice(in, 0, other);
    return;
  }
  switch (below(10)) {
    case 0:
    case 1:
      in->data[at] ^= (uint8_t)(1u << below(8));
      break;
    case 2:
      in->data[at] = (uint8_t)below(256);
      break;
    case 3:
      in->data[at] = (uint8_t)(in->data[at] + 1 + 254 * below(2)); /* one more or less */
      break;
    case 4:
    case 5:
      put_number(in, at);
      break;
    case 6:
      close_gap(in, at, 1 + below(below(8) == 0 ? in->size : 8));
      break;
    case 7:
      splice(in, at, in);
      break;
    case 8:
      splice(in, at, other);
      break;
    default:
      if (below(4) == 0) {
        in->size = at; /* cut off */
      } else {
        size_t n = 1 + below(16);
        memset(in->data + at, below(2) ? 0 : 0xFF, n < in->size - at ? n : in->size - at);
      }
      break;
  }
}

static void run_mutations(const corpus *c, unsigned long rounds, unsigned long seed) {
  uint8_t *buf = malloc(SIZE_MAX_INPUT);
  FUZZ_CHECK(buf != NULL);
  for (unsigned long i = 0; i < rounds; i++) {
    state = (seed * 1000003 + i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    const input *from = &c->items[below(c->count)];
    input in = {buf, from->size};
    memcpy(buf, from->data, from->size);
    for (uint32_t n = 1 + below(4); n > 0; n--) mutate(&in, &c->items[below(c->count)]);
    run(in.data, in.size);
  }
  free(buf);
}

/*-------------------------------------------------------------------- main */

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

int main(int argc, char **argv) {
  corpus c = {0};
  unsigned long rounds = 0, seed = 1;
  const char *out = NULL;
  int rc = 0;
  target = base_name(argv[0]);
  fuzz_seeds(add, &c);
  for (int i = 1; i < argc; i++) {
    bool option = argv[i][0] == '-' && i + 1 < argc;
    if (option && strcmp(argv[i], "-n") == 0) {
      rounds = strtoul(argv[++i], NULL, 10);
    } else if (option && strcmp(argv[i], "-s") == 0) {
      seed = strtoul(argv[++i], NULL, 10);
    } else if (option && strcmp(argv[i], "-w") == 0) {
      out = argv[++i];
    } else {
      add_path(&c, argv[i]);
    }
  }
  if (out != NULL) {
    rc = write_corpus(&c, out);
  } else {
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback != NULL) __sanitizer_set_death_callback(keep_input);
    for (size_t i = 0; i < c.count; i++) run(c.items[i].data, c.items[i].size);
    run(NULL, 0);
    run_mutations(&c, rounds, seed);
    printf("%s: %zu inputs, %lu mutations of them\n", target, c.count, rounds);
  }
  for (size_t i = 0; i < c.count; i++) free(c.items[i].data);
  free(c.items);
  return rc;
}
