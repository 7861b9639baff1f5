#!/usr/bin/env bash
# fuzz.sh: runs fuzz targets, built already in build/asan.
#
#   fuzz.sh short 0 batch block ...      some thousand seeded mutations of each
#   fuzz.sh long SECONDS batch block ... clang's libFuzzer on each for so long;
#                                        without it, mutations for as long
#
# Examples come from the target, what libFuzzer finds worth keeping goes to
# build/fuzz/corpus/<decoder>. An input that fails is left in build/fuzz.
set -u
cd "$(dirname "$0")/../.." || exit 1
mode=$1 seconds=$2
shift 2
export FUZZ_CRASH_DIR=build/fuzz UBSAN_OPTIONS=print_stacktrace=1
mkdir -p build/fuzz
checks=0 failed=0
tally() { # decoder, exit status
  checks=$((checks + 1))
  [ "$2" -eq 0 ] && return
  failed=$((failed + 1))
  echo "fuzz_$1 FAILED"
}

short() {
  local rounds=10000
  [ "$1" = store ] && rounds=3000 # opens a store twice for each
  build/asan/"fuzz_$1" -n "$rounds" -s 1
}

mutations() {
  local end=$((SECONDS + seconds)) seed=0
  while [ "$SECONDS" -lt "$end" ]; do
    seed=$((seed + 1))
    build/asan/"fuzz_$1" -n 20000 -s "$RANDOM$seed" || return 1
  done
}

libfuzzer() {
  local corpus=build/fuzz/corpus/$1
  mkdir -p "$corpus"
  build/asan/"fuzz_$1" -w "$corpus" || return 1
  build/libfuzzer/"fuzz_$1" "$corpus" -max_total_time="$seconds" -max_len=8192 -timeout=20 \
    -rss_limit_mb=2048 -artifact_prefix="build/fuzz/$1-" -print_final_stats=1 \
    >"build/fuzz/$1.log" 2>&1
  local rc=$?
  if [ $rc -ne 0 ]; then tail -40 "build/fuzz/$1.log"; fi
  sed -nE 's/^stat::(number_of_executed_units|new_units_added): */  \1 /p' "build/fuzz/$1.log"
  grep -E ' cov: ' "build/fuzz/$1.log" | tail -1
  return $rc
}

has_libfuzzer() {
  echo 'int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n);
        int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n) {
          return p == 0 && n != 0; }' |
    "${CLANG:-clang}" -x c - -fsanitize=fuzzer,address -o build/fuzz/probe 2>/dev/null
}

how=$mode
if [ "$mode" = long ]; then
  how=mutations
  if has_libfuzzer; then
    how=libfuzzer
    ${MAKE:-make} --no-print-directory "${@/#/build/libfuzzer/fuzz_}" || exit 1
  else
    echo "no libFuzzer here (clang with libclang-rt-14-dev has it): seeded mutations instead"
  fi
fi
for decoder; do
  [ "$how" = short ] || echo "== $decoder: $seconds s"
  $how "$decoder"
  tally "$decoder" $?
done
if [ $failed -gt 0 ]; then echo "$checks checks, $failed failed"; exit 1; fi
echo "$checks checks"
