# sqlite-lsm: an LSM tree as an SQLite table.      `make help` lists what there is.
#
#   make            lsmvtab.so, the extension
#   make demo       what it does, on real data
#   make test       every test
#
# Everything but lsmvtab.so is built in build/<variant>/: one variant per way
# of compiling (plain, debug, asan, tsan, clang), so that none disturbs another.
# Variables: CC, CFLAGS (added last), LIBDEFLATE=0, PREFIX, DESTDIR, V=1 (show commands).

ifeq ($(origin CC),default)
  CC = gcc
endif
CLANG ?= clang
PREFIX ?= /usr/local
DESTDIR ?=
CFLAGS ?=
V ?= 0
Q := $(if $(filter 1,$(V)),,@)

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

#------------------------------------------------------------------ platform
TARGET := $(shell $(CC) -dumpmachine 2>/dev/null)
ifneq (,$(findstring darwin,$(TARGET)))
  SOEXT := dylib
  SHARED := -dynamiclib -undefined dynamic_lookup
else ifneq (,$(findstring mingw,$(TARGET)))
  SOEXT := dll
  SHARED := -shared sqlite-lsm.def
else
  SOEXT := so
  SHARED := -shared
  # A name nobody defines is an error now, not at .load (the sanitizers leave theirs open).
  DEFS := -Wl,-z,defs
endif
EXTENSION := lsmvtab.$(SOEXT)

# libdeflate writes the same zlib format faster; plain zlib serves without it.
ifneq ($(LIBDEFLATE),0)
  PROBE := printf '\#include <libdeflate.h>\nint main(void){return !libdeflate_crc32(0,"a",1);}\n'
  LIBDEFLATE := $(shell $(PROBE) | $(CC) -x c - -o /dev/null -ldeflate 2>/dev/null && echo 1)
endif
ifeq ($(LIBDEFLATE),1)
  ZFLAGS := -DLSM_LIBDEFLATE
  ZLIBS := -ldeflate -lz
else
  ZLIBS := -lz
endif

#--------------------------------------------------------------------- flags
WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
        -Wmissing-prototypes -Werror
BASE := -std=c11 -g -fPIC -fvisibility=hidden -pthread $(WARN) $(ZFLAGS)
LIBS := $(ZLIBS) -lpthread -lm
CHECK_LIBS = $(shell pkg-config --libs check 2>/dev/null || echo -lcheck -lsubunit -lrt -lm -lpthread)

cc_plain := $(CC)
cc_debug := $(CC)
cc_asan := $(CC)
cc_tsan := $(CC)
cc_clang := $(CLANG)
cc_libfuzzer := $(CLANG)
flags_plain := -O2
flags_debug := -O1 -DLSM_DEBUG
flags_asan := -O1 -DLSM_DEBUG -fno-omit-frame-pointer -fsanitize=address,undefined \
              -fno-sanitize-recover=all
flags_tsan := -O1 -DLSM_DEBUG -fsanitize=thread
flags_clang := -O2
flags_libfuzzer := $(flags_asan) -fsanitize=fuzzer-no-link
defs_plain := $(DEFS)
defs_clang := $(DEFS)

#------------------------------------------------------------------- sources
LSM_C := $(wildcard lsm/*.c)
EXT_C := $(wildcard ext/*.c)
SUITE_C := $(sort $(wildcard tests/lsm/test_*.c tests/ext/test_*.c))
UNIT_C := tests/run.c $(SUITE_C) $(wildcard tests/support/*.c)
PROGRAM_C := $(wildcard tests/bench/*.c tests/crash/*.c tests/fuzz/*.c tests/stress/*.c)
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
SUITES := $(patsubst test_%.c,%,$(notdir $(SUITE_C)))
# Suites that start threads themselves or through an open store: those for TSan.
THREADED = $(patsubst test_%.c,%,$(notdir $(shell \
             grep -lE 'thread_start|thread_create|(lsm|store|sql|sqlite3)_open' $(SUITE_C) /dev/null)))

.PHONY: FORCE
FORCE:

# The list of suites, rewritten only when it changes: test_foo.c holds foo_suite().
build/suites.h: FORCE
	@mkdir -p build
	@{ echo '/* Made by the Makefile from the names in tests/. */'; \
	   echo '#define SUITES(X) \'; \
	   for s in $(SUITES); do echo "  X($$s) \\"; done; echo '  /* end */'; } > $@.tmp
	@cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@

# What the benchmark can be run against, as far as it is installed.
HASH := \#
HAS = $(shell printf '$(HASH)include <stddef.h>\n$(HASH)include <$(1)/c.h>\nint main(void){return 0;}\n' | \
        $(CC) -x c - -o /dev/null -l$(1) 2>/dev/null && echo $(1))
RIVAL_LIBS = $(addprefix -l,$(call HAS,rocksdb) $(call HAS,leveldb))
build/rivals.h: FORCE
	@mkdir -p build
	@{ echo '/* Made by the Makefile: what the benchmark is linked with. */'; \
	   for l in $(RIVAL_LIBS:-l%=%); do echo "#define BENCH_$$l 1" | tr a-z A-Z | sed 's/DEFINE/define/'; done; } > $@.tmp
	@cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@

# One variant: $(1) its name. Objects depend on a file that holds the compile
# command, so that another CC or other flags build anew.
define VARIANT
o_lsm_$(1) := $$(LSM_C:%.c=build/$(1)/%.o)
o_ext_$(1) := $$(EXT_C:%.c=build/$(1)/%.o)
o_core_$(1) := $$(EXT_C:%.c=build/$(1)/core/%.o)
o_unit_$(1) := $$(UNIT_C:%.c=build/$(1)/%.o)
o_prog_$(1) := $$(PROGRAM_C:%.c=build/$(1)/%.o)
cmd_$(1) = $$(cc_$(1)) $$(BASE) $$(flags_$(1)) $$(CFLAGS)

build/$(1)/command: FORCE
	@type $$(firstword $$(cc_$(1))) >/dev/null 2>&1 || \
	  { echo 'there is no $$(firstword $$(cc_$(1))) here: make deps installs what is missing'; exit 1; }
	@mkdir -p build/$(1)
	@echo '$$(cmd_$(1))' | cmp -s - $$@ || echo '$$(cmd_$(1))' > $$@

build/$(1)/lsm/%.o: lsm/%.c build/$(1)/command
	@mkdir -p $$(@D)
	$$(Q)$$(cmd_$(1)) -MMD -MP -Ilsm -c -o $$@ $$<

build/$(1)/ext/%.o: ext/%.c build/$(1)/command
	@mkdir -p $$(@D)
	$$(Q)$$(cmd_$(1)) -MMD -MP -Ilsm -Iext -c -o $$@ $$<

# The extension as the unit tests link it: calling SQLite directly.
build/$(1)/core/ext/%.o: ext/%.c build/$(1)/command
	@mkdir -p $$(@D)
	$$(Q)$$(cmd_$(1)) -DSQLITE_CORE -MMD -MP -Ilsm -Iext -c -o $$@ $$<

build/$(1)/tests/run.o: build/suites.h
build/$(1)/tests/%.o: tests/%.c build/$(1)/command
	@mkdir -p $$(@D)
	$$(Q)$$(cmd_$(1)) -DSQLITE_CORE -MMD -MP -Itests/support -Ilsm -Iext -Ibuild -c -o $$@ $$<

build/$(1)/$(EXTENSION): $$(o_lsm_$(1)) $$(o_ext_$(1))
	@echo "  link $$@"
	$$(Q)$$(cmd_$(1)) $(SHARED) $$(defs_$(1)) -o $$@ $$^ $(LIBS)

build/$(1)/liblsm.a: $$(o_lsm_$(1))
	@echo "  link $$@"
	$$(Q)rm -f $$@ && ar rcs $$@ $$^

build/$(1)/unit: $$(o_lsm_$(1)) $$(o_core_$(1)) $$(o_unit_$(1))
	@echo "  link $$@"
	$$(Q)$$(cmd_$(1)) -o $$@ $$^ $$(CHECK_LIBS) -lsqlite3 $(LIBS)

build/$(1)/load: build/$(1)/tests/bench/load.o
	$$(Q)$$(cmd_$(1)) -o $$@ $$^ -lsqlite3 $(LIBS)

build/$(1)/bench: $$(addprefix build/$(1)/tests/bench/,bench.o report.o chart.o)
	$$(Q)$$(cmd_$(1)) -o $$@ $$^ -lsqlite3 $(LIBS)

build/$(1)/sql_bench: $$(addprefix build/$(1)/tests/bench/,sql_bench.o null_vtab.o worker.o)
	$$(Q)$$(cmd_$(1)) -o $$@ $$^ -lsqlite3 $(LIBS)

build/$(1)/kv_bench: $$(addprefix build/$(1)/tests/bench/,kv_bench.o kv_lsm.o kv_rocksdb.o kv_leveldb.o worker.o) $$(o_lsm_$(1))
	$$(Q)$$(cmd_$(1)) -o $$@ $$^ $$(RIVAL_LIBS) -lsqlite3 $(LIBS)

build/$(1)/tests/bench/kv_rocksdb.o build/$(1)/tests/bench/kv_leveldb.o: build/rivals.h

build/$(1)/powercut: $$(addprefix build/$(1)/tests/crash/,powercut.o disk.o load.o) build/$(1)/record.so
	$$(Q)$$(cmd_$(1)) -o $$@ $$(filter %.o,$$^) -lsqlite3 -ldl $(LIBS)

build/$(1)/record.so: build/$(1)/tests/crash/record.o
	$$(Q)$$(cmd_$(1)) $(SHARED) -o $$@ $$^ -ldl $(LIBS)

build/$(1)/stress: build/$(1)/tests/stress/stress.o
	$$(Q)$$(cmd_$(1)) -rdynamic -o $$@ $$^ -lsqlite3 $(LIBS)

build/$(1)/kill9: build/$(1)/tests/crash/kill9.o
	$$(Q)$$(cmd_$(1)) -o $$@ $$^ -lsqlite3 $(LIBS)

# A fuzz target: its main() is run.c's, or libFuzzer's.
build/$(1)/fuzz_%: build/$(1)/tests/fuzz/fuzz_%.o $(if $(filter libfuzzer,$(1)),,build/$(1)/tests/fuzz/run.o) $$(o_lsm_$(1)) $$(o_core_$(1))
	$$(Q)$$(cmd_$(1)) $(if $(filter libfuzzer,$(1)),-fsanitize=fuzzer) -o $$@ $$^ -lsqlite3 $(LIBS)

-include $$(patsubst %.o,%.d,$$(o_lsm_$(1)) $$(o_ext_$(1)) $$(o_core_$(1)) $$(o_unit_$(1)) $$(o_prog_$(1)))
endef
$(foreach v,plain debug asan tsan clang libfuzzer,$(eval $(call VARIANT,$(v))))

# Keep objects that only pattern rules name.
.SECONDARY:

#------------------------------------------------------------------- targets
.PHONY: all deps deps-bindings deps-bench demo test unit unit-asan unit-tsan layers symbols api lib sql sql-asan bindings \
        clang-build crash powercut powercut-short stress stress-tsan fuzz fuzz-short bench bench-smoke large load diff planted install uninstall clean \
        format help

all: $(EXTENSION) ## build the extension, lsmvtab.so (default)

$(EXTENSION): build/plain/$(EXTENSION)
	$(Q)cp -f $< $@.$$$$ && mv -f $@.$$$$ $@

lib: build/plain/liblsm.a ## the store alone, for C programs: build/plain/liblsm.a and lsm/lsm.h

deps: ## install the packages that are missing, or say which
	@tests/tools/install_deps.sh $(DEPS)

deps-bindings: ## the same for the languages of `make bindings`
	@tests/tools/install_deps.sh bindings

deps-bench: ## and RocksDB and LevelDB, for `make bench` (which does without)
	@tests/tools/install_deps.sh bench

demo: ## load the extension in sqlite3 and run it on real data
	@$(MAKE) --no-print-directory deps DEPS=demo
	@$(MAKE) --no-print-directory -j$$(nproc 2>/dev/null || echo 2) all
	@sql/demo.sh

test: ## every test; the last line counts them (under 15 minutes)
	@$(MAKE) --no-print-directory deps DEPS=test
	@$(if $(filter true 1,$(CI)),$(MAKE) --no-print-directory deps-bindings || echo 'the bindings that are missing are skipped')
	@MAKE='$(MAKE)' tests/tools/test_all.sh

# The parts of `make test`; SUITE='memtable view' picks unit test suites.
SUITE ?=
PYTHON ?= /usr/bin/python3
# A run under ThreadSanitizer needs the address space unrandomized on new kernels.
NORANDOM = $(shell setarch $$(uname -m) -R true 2>/dev/null && echo setarch $$(uname -m) -R)

unit: build/debug/unit ## unit tests (SUITE='memtable view' runs only these)
	@CK_DEFAULT_TIMEOUT=120 CK_TIMEOUT_MULTIPLIER=5 build/debug/unit $(SUITE)

unit-asan: build/asan/unit ## unit tests under ASan and UBSan
	@CK_FORK=no UBSAN_OPTIONS=print_stacktrace=1 build/asan/unit $(SUITE)

unit-tsan: build/tsan/unit ## unit tests that use threads, under TSan
	@CK_FORK=no TSAN_OPTIONS=halt_on_error=1 $(NORANDOM) build/tsan/unit $(or $(SUITE),$(THREADED))

layers: ## which source includes what
	@tests/check_layers.sh

symbols: $(EXTENSION) ## only the entry point is exported
	@tests/tools/check_symbols.sh $(EXTENSION)

api: build/plain/liblsm.a ## a C program, and as C++, with lsm.h and the library alone
	@CC='$(CC)' tests/api/run.sh $< '$(LIBS)'

sql: $(EXTENSION) ## SQL tests: the stock shell and Python's sqlite3
	@LSMVTAB=./lsmvtab tests/sql/run.sh $(SQL)

sql-asan: build/asan/$(EXTENSION) ## the same with an ASan and UBSan build
	@LSMVTAB=./build/asan/lsmvtab \
	 PRELOAD=$$($(CC) -print-file-name=libasan.so) tests/sql/run.sh $(SQL)

bindings: $(EXTENSION) ## Perl, Ruby, Tcl, PHP, Java, Go, APSW, as far as they are installed
	@LSMVTAB=./lsmvtab tests/bindings/run.sh $(BINDINGS)

clang-build: build/clang/$(EXTENSION) build/clang/unit ## build all with clang, warnings are errors
	@echo "2 checks"

COUNT ?= 50
crash: $(EXTENSION) build/plain/kill9 ## kill -9 a load COUNT=50 times; nothing may be lost
	@build/plain/kill9 $(COUNT)

CUTS ?= 12000
SEED ?= 1
powercut: $(EXTENSION) build/plain/powercut ## power cuts and kills at the calls of a mixed load: CUTS=12000 of them, SEED=1
	@nice build/plain/powercut cuts=$(CUTS) seed=$(SEED) only='$(ONLY)'

SEEDS ?= 5000
diff: $(EXTENSION) ## random schemas and statements against an ordinary table, SEEDS=5000 sessions from SEED=1
	@LSMVTAB=./lsmvtab $(PYTHON) tests/sql/fuzz_diff.py --seed $(SEED) --seeds $(SEEDS) --seconds 1000000 --keep-going

planted: ## does `make diff` see defects? It builds some, in a copy of the sources
	@MAKE='$(MAKE)' PYTHON='$(PYTHON)' tests/tools/planted.sh 100

# What the test must see: a sync that was not done, a decision that was not written.
BREAKS := wal sst manifest dir token
powercut-short: $(EXTENSION) build/plain/powercut ## some hundred of them; and with syncs left out, which must be seen
	@{ build/plain/powercut cuts=900 && for b in $(BREAKS); do \
	     build/plain/powercut cuts=300 only='FULL, 1' break=$$b || exit 1; done; } | \
	   awk '/^[0-9]+ checks/ {n += $$1; f += $$3; next} {print} END {print n " checks, " f + 0 " failed"}'

# JOURNAL=delete: another journal mode; KILLS=no: nobody is killed.
stress: $(EXTENSION) build/plain/stress ## processes of threads move money for TIME=60 s and are killed; none may be lost
	@nice -n 10 build/plain/stress $(TIME)

stress-tsan: build/tsan/$(EXTENSION) build/tsan/stress ## the same under TSan
	@LSMVTAB=./build/tsan/lsmvtab TSAN_OPTIONS=halt_on_error=1:suppressions=tests/stress/tsan.supp \
	 nice -n 10 $(NORANDOM) build/tsan/stress $(TIME)

# FUZZ='wal sst' picks decoders, for both.
TIME ?= 60
FUZZ ?= $(FUZZERS:fuzz_%=%)
fuzz: $(FUZZ:%=build/asan/fuzz_%) ## libFuzzer (clang's) on each decoder for TIME=60 s; FUZZ='wal sst'
	@MAKE='$(MAKE)' CLANG='$(CLANG)' tests/fuzz/fuzz.sh long $(TIME) $(FUZZ)

fuzz-short: $(FUZZ:%=build/asan/fuzz_%) ## the same decoders, some thousand mutations under ASan and UBSan
	@tests/fuzz/fuzz.sh short 0 $(FUZZ)

BENCH := $(addprefix build/plain/,bench sql_bench kv_bench)
bench: $(EXTENSION) $(BENCH) ## against b-trees, RocksDB, LevelDB: N=2000000 rows; ONLY='scan ycsb', RIVALS='lsm btree', BIG=1
	@mkdir -p build/bench
	@N='$(N)' ONLY='$(ONLY)' RIVALS='$(RIVALS)' BIG='$(BIG)' build/plain/bench

bench-smoke: $(EXTENSION) $(BENCH) ## all of it with few rows: do all rivals read the same?
	@mkdir -p build/bench/smoke
	@N='$(N)' BENCH_DIR=build/bench/smoke build/plain/bench smoke

large: $(EXTENSION) ## one value of MB=500 megabytes in and out: memory it takes
	@LSMVTAB=./lsmvtab nice /usr/bin/python3 tests/tools/large_value.py $(or $(MB),500)

load: $(EXTENSION) build/plain/load ## N=5000000 random rows in 256 MB, then find them all again
	@build/plain/load $(or $(N),5000000)

install: $(EXTENSION) ## PREFIX (/usr/local) and DESTDIR say where
	install -d "$(DESTDIR)$(PREFIX)/lib"
	install -m 755 $(EXTENSION) "$(DESTDIR)$(PREFIX)/lib/$(EXTENSION)"

uninstall: ## remove what install put there
	rm -f "$(DESTDIR)$(PREFIX)/lib/$(EXTENSION)"

clean: ## remove everything that was built
	rm -rf build lsmvtab.so lsmvtab.dylib lsmvtab.dll

format: ## clang-format every source
	clang-format -i $$(find lsm ext tests -name '*.[ch]')

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | \
	  while IFS='|' read -r a b; do printf '%-20s %s\n' "$$a" "$$b"; done
