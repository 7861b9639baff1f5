#!/usr/bin/env bash
# test_all.sh: runs the parts of `make test` one after the other, stops at the
# first that fails, and ends with one line that counts the checks of all.
#
# A part is a make target. It ends with a line "N checks[, N failed][, N skipped]".
# Its whole output is kept in build/log/<part>.log.
#
# TEST_PARTS='unit sql' runs only these.
set -u
cd "$(dirname "$0")/../.." || exit 1
make=${MAKE:-make}
parts=${TEST_PARTS:-layers symbols api unit sql bench-smoke bindings unit-asan sql-asan unit-tsan fuzz-short clang-build crash powercut-short stress stress-tsan}
jobs=$(nproc 2>/dev/null || echo 2)
passed=0 failed=0 skipped=0 start=$SECONDS

closing() {
  line="$passed passed, $failed failed"
  [ "$skipped" -gt 0 ] && line="$line, $skipped skipped"
  echo "$line"
}

mkdir -p build/log
for part in $parts; do
  began=$SECONDS
  log=build/log/$part.log
  if [ "$part" = clang-build ] && ! command -v "${CLANG:-clang}" >/dev/null 2>&1; then
    echo "== $part: skipped, no clang here"
    skipped=$((skipped + 1))
    continue
  fi
  echo "== $part"
  slice=(COUNT="${COUNT:-5}" TIME="${TIME:-10}") # of crash and stress: short ones
  $make --no-print-directory -j"$jobs" "$part" "${slice[@]}" 2>&1 | tee "$log"
  rc=${PIPESTATUS[0]}
  tally=$(grep -E '^[0-9]+ checks(, [0-9]+ failed)?(, [0-9]+ skipped)?$' "$log" | tail -1)
  n=$(sed -nE 's/^([0-9]+) checks.*/\1/p' <<<"$tally")
  f=$(sed -nE 's/.* ([0-9]+) failed.*/\1/p' <<<"$tally")
  s=$(sed -nE 's/.* ([0-9]+) skipped.*/\1/p' <<<"$tally")
  n=${n:-0} f=${f:-0} s=${s:-0}
  # A part that broke off without counting, or counted nothing, has failed.
  [ "$f" -eq 0 ] && { [ "$rc" -ne 0 ] || [ $((n + s)) -eq 0 ]; } && f=1 && n=$((n + 1))
  passed=$((passed + n - f)) failed=$((failed + f)) skipped=$((skipped + s))
  if [ "$f" -gt 0 ]; then
    echo "== $part FAILED (exit $rc; output in $log); the parts after it did not run"
    closing
    exit 1
  fi
  echo "== $part: $n checks$([ "$s" -gt 0 ] && echo ", $s skipped") in $((SECONDS - began)) s"
done
echo "all parts passed in $((SECONDS - start)) s"
closing
