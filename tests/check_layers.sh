#!/usr/bin/env bash
# check_layers.sh: which source may include what. The order of the layers is
# lsm/ (the store) below ext/ (SQLite) below tests/.
#
#   lsm/   knows nothing of SQLite nor of ext/, and of the operating system only
#          in the files that wrap it
#   ext/   uses lsm.h and the few helpers listed here, no internals, and
#          the operating system in one file
cd "$(dirname "$0")/.." || exit 1

# Headers of the operating system, and who in lsm/ may include them.
OS_HEADERS='unistd\.h|fcntl\.h|pthread\.h|dirent\.h|time\.h|sched\.h|windows\.h|sys/[a-z_]+\.h'
OS_FILES='lsm/env\.c lsm/env_posix\.c lsm/env_mem\.c lsm/env_win\.c lsm/sync\.c lsm/sync\.h'
# The one in ext/ that must know of processes and their threads.
EXT_OS_FILES='ext/store\.c'
# Headers of lsm/ that ext/ may include.
EXT_MAY='lsm|base|env|sync|key|coding|buf'

checks=0 failed=0
complain() { # what, lines (empty: fine)
  checks=$((checks + 1))
  [ -z "$2" ] && return
  failed=$((failed + 1))
  printf '%s:\n%s\n' "$1" "$2"
}
includes() { grep -nHE '^[[:space:]]*#[[:space:]]*include' "$@" /dev/null; }

shopt -s nullglob
lsm=(lsm/*.[ch]) ext=(ext/*.[ch])

complain 'lsm/ includes SQLite' "$(includes "${lsm[@]}" | grep -E 'sqlite3')"
lsm_names=$(cd lsm && ls -- *.h)
ext_headers=$(cd ext && ls -- *.h 2>/dev/null | grep -vxF "$lsm_names" | paste -sd'|' | sed 's/\./\\./g')
complain 'lsm/ includes a header of ext/' \
  "$(includes "${lsm[@]}" | grep -E "[\"</](${ext_headers:-none/})[\">]|ext/")"
complain 'lsm/ or ext/ includes from tests/' \
  "$(includes "${lsm[@]}" "${ext[@]}" | grep -E 'tests/|support/|env_fault|check\.h')"
complain 'lsm/ includes a system header outside the files that wrap the system' \
  "$(includes "${lsm[@]}" | grep -E "<($OS_HEADERS)>" | grep -vE "^(${OS_FILES// /|}):")"
lsm_headers=$(sed 's/\.h$//' <<<"$lsm_names" | grep -vxE "$EXT_MAY" | paste -sd'|')
complain "ext/ includes internals of the store (it may include: ${EXT_MAY//|/ })" \
  "$(includes "${ext[@]}" | grep -E "\"(\.\./)?(lsm/)?(${lsm_headers:-none/})\.h\"")"
complain 'ext/ includes a system header outside the file that knows of processes' \
  "$(includes "${ext[@]}" | grep -E "<($OS_HEADERS)>" | grep -vE "^(${EXT_OS_FILES// /|}):")"

# Sizes a reader can take in (style: files under 800 lines).
complain 'a source is longer than 800 lines' \
  "$(wc -l "${lsm[@]}" "${ext[@]}" /dev/null | awk '$2 != "total" && $1 > 800')"
# Every heading comment names its file.
complain 'a source does not begin with a comment that names it' "$(for f in "${lsm[@]}" "${ext[@]}"; do
  head -1 "$f" | grep -qF "/* $(basename "$f"):" || echo "$f"; done)"

if [ $failed -gt 0 ]; then echo "$checks checks, $failed failed"; exit 1; fi
echo "$checks checks"
