#!/usr/bin/env bash
# run.sh [name...]: the SQL tests, through the stock sqlite3 shell and through
# Python's sqlite3. Prints one line per script and at the end "N checks".
#
#   same_*.sql   Ordinary SQL, run twice: as it stands, and with every line
#                    CREATE TABLE name(columns) [WITHOUT ROWID]; -- lsm
#                turned into CREATE VIRTUAL TABLE name USING lsm(columns). Both
#                runs must print the same, errors and their line numbers too.
#                The same for lines CREATE INDEX i ON t(columns); -- lsm
#                ALTER TABLE t ADD COLUMN definition; -- lsm    DROP INDEX i; -- lsm t
#   other *.sql  Run once; must print what stands in <name>.expected.
#   ../../sql/*.sql   The scripts for people; expected/<name>.out.
#   test_python.py    The same ideas in a second binding, and random ones.
#   test_snapshots.py What several connections see of each other.
#   test_alter.py     And of indexes made and dropped, and columns added.
#   test_mishaps.py   Files that are missing, or where they should not be.
#   fuzz_diff.py      Random schemas and statements: 50 seeds, in at most a minute.
#   fuzz_savepoints.py  Tables made, changed and dropped inside savepoints: 80 seeds.
#
# In same_*.sql and *.sql these lines are replaced in place:
#   --@reopen        closes the database and opens it again
#   --@flush t       the memtable of t becomes an SSTable (not in the ordinary run)
#   --@compact t     t becomes one sorted run (not in the ordinary run)
# A script with a line
#   -- needs SQLite 3.38: why
# is skipped, and counted so, where the shell's SQLite is older.
#
# LSMVTAB   the extension to load, without its suffix (./lsmvtab)
# PRELOAD   a sanitizer's library, for an extension that was built with it
# UPDATE=1  writes the expected files instead of comparing (look at the diff!)
set -u
cd "$(dirname "$0")/../.." || exit 1
ext=${LSMVTAB:-./lsmvtab}
case $ext in ./* | /*) ;; *) ext=./$ext ;; esac
preload=${PRELOAD:-}
sqlite3=${SQLITE3:-sqlite3}
mkdir -p build
# The shell's .open and .shell take names apart at spaces and quotes.
case $PWD in
*[!A-Za-z0-9/_.+-]*) tmp=$(mktemp -d /tmp/sql.XXXXXX) || exit 1 ;;
*) tmp=$(mktemp -d "$PWD/build/sql.XXXXXX") || exit 1 ;;
esac
trap 'rm -rf "$tmp"' EXIT
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:${ASAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1:${UBSAN_OPTIONS:-}
export LC_ALL=C TZ=UTC
checks=0 failed=0 skipped=0
version=$("$sqlite3" :memory: 'SELECT sqlite_version()')

shell() { # database, script
  LD_PRELOAD=$preload timeout 300 "$sqlite3" -batch -init /dev/null "$1" <"$2" 2>&1
  local rc=$?
  # 1 is an error the script meant to cause; anything above is a crash or a hang.
  [ $rc -le 1 ] || echo "the shell ended with status $rc"
}

# Versions of the shell word errors differently, and number plans as we like:
# leaves "Error near line N: message" and no numbers of plans.
plain() {
  sed -E '/^  .*(\^--- error here|error here ---\^)$/d; /^  (CREATE|SELECT|INSERT|UPDATE|DELETE|ALTER) .*$/d
    s/^(Runtime error|Parse error|Error:) near line ([0-9]+): /Error near line \2: /
    /^Error near line/{s/: (stepping|in prepare), /: /; s/ \([0-9]+\)$//;}
    s/(SCAN|SEARCH) TABLE /\1 /; s/VIRTUAL TABLE INDEX -?[0-9]+:/VIRTUAL TABLE INDEX /'
}

directives() { # lsm|ordinary, database
  local quiet='.output /dev/null\n&\n.output stdout'
  if [ "$1" = lsm ]; then
    sed -E "s#^--@reopen\$#.open $2\n.load $ext#
      /^--@flush /{s#^--@flush (.*)\$#SELECT lsm_flush('\1');#;s#.*#$quiet#;}
      /^--@compact /{s#^--@compact (.*)\$#SELECT lsm_compact('\1');#;s#.*#$quiet#;}
      /^(CREATE INDEX|DROP INDEX|ALTER TABLE) .*; -- lsm/{s#'#''#g
      s#^CREATE INDEX (.*) ON ([^ (]*) ?\((.*)\); -- lsm\$#SELECT 1 WHERE lsm_create_index('\2', '\1', '\3') IS NULL;#
      s#^DROP INDEX (.*); -- lsm (.*)\$#SELECT 1 WHERE lsm_drop_index('\2', '\1') IS NULL;#
      s#^ALTER TABLE (.*) ADD COLUMN (.*); -- lsm\$#SELECT 1 WHERE lsm_add_column('\1', '\2') IS NULL;#;}
      s#^CREATE TABLE ([^(]*)\((.*)\)( WITHOUT ROWID)?; -- lsm\$#CREATE VIRTUAL TABLE \1 USING lsm(\2);#"
  else
    sed -E "s#^--@reopen\$#.open $2\n.load $ext#
      /; -- lsm\$/s#, INDEX [a-z_]+ ?\([^)]*\)##g
      s#^--@(flush|compact) .*\$#\n\n#"
  fi
}

report() { # name, 0 when good
  checks=$((checks + 1))
  if [ "$2" -eq 0 ]; then
    echo "  $1: ok"
  else
    failed=$((failed + 1))
    echo "  $1: FAILED"
  fi
}

wanted() { # name: was it asked for?
  [ ${#names[@]} -eq 0 ] && return 0
  local n
  for n in "${names[@]}"; do [ "$n" = "$1" ] && return 0; done
  return 1
}
names=("$@")

same() { # script: the ordinary table is the oracle
  local name dir kind
  name=$(basename "$1" .sql)
  for kind in ordinary lsm; do
    dir=$tmp/$name.$kind
    mkdir "$dir"
    # Relative names in both runs, so that messages with paths compare equal.
    { printf '.load %s\n.nullvalue NULL\n' "$ext"; directives $kind "$dir/db" <"$1"; } >"$dir/script"
    shell "$dir/db" "$dir/script" | sed "s#$dir/##g" | plain >"$tmp/$name.$kind.out"
  done
  if grep -q 'USING lsm' "$tmp/$name.lsm/script" && [ -s "$tmp/$name.ordinary.out" ]; then
    diff -u --label ordinary --label lsm "$tmp/$name.ordinary.out" "$tmp/$name.lsm.out"
    report "$name" $?
  else
    echo "$1 creates no lsm table or prints nothing"
    report "$name" 1
  fi
}

expected() { # script, file with what it must print
  local name dir
  name=$(basename "$1" .sql)
  dir=$tmp/$name.dir
  mkdir "$dir"
  { [[ $1 == sql/* ]] || printf '.load %s\n.nullvalue NULL\n' "$ext"
    sed "s#\./lsmvtab#$ext#g" "$1" | directives lsm "$dir/db"; } >"$dir/script"
  sed -i "s#@DIR@#$dir#g" "$dir/script"
  if [ "$name" = inspect ]; then
    # It looks at a database that is there; its figures depend on the machine.
    sed "s#\./lsmvtab#$ext#g" sql/quickstart.sql >"$dir/first"
    shell "$dir/db" "$dir/first" >/dev/null
    shell "$dir/db" "$dir/script" | sed -E 's/[0-9]+(\.[0-9]+)?/N/g' >"$tmp/$name.out"
  else
    shell "$dir/db" "$dir/script" | sed "s#$dir/##g" | plain >"$tmp/$name.out"
  fi
  if [ "${UPDATE:-0}" = 1 ]; then mkdir -p "$(dirname "$2")" && cp "$tmp/$name.out" "$2"; fi
  diff -u "$2" "$tmp/$name.out"
  report "${1#tests/sql/}" $?
}

too_old() { # script: does it need a newer SQLite?
  local need
  need=$(sed -nE 's/^-- needs SQLite (3\.[0-9]+).*/\1/p' "$1" | head -1)
  [ -n "$need" ] && [ "$(printf '%s\n' "$need" "$version" | sort -V | head -1)" != "$need" ]
}

shopt -s nullglob
for script in tests/sql/*.sql; do
  name=$(basename "$script" .sql)
  wanted "$name" || continue
  if too_old "$script"; then
    echo "  $name: skipped, $(sed -n 's/^-- \(needs SQLite .*\)/\1/p' "$script") (this is $version)"
    skipped=$((skipped + 1))
    continue
  fi
  case $name in
  same_*) same "$script" ;;
  *) expected "$script" "tests/sql/$name.expected" ;;
  esac
done
for script in sql/*.sql; do
  name=$(basename "$script" .sql)
  wanted "$name" && expected "$script" "tests/sql/expected/$name.out"
done

# A python3 whose sqlite3 can load extensions.
find_python() {
  for python in /usr/bin/python3 python3; do
    "$python" -c 'import sqlite3; sqlite3.connect(":memory:").enable_load_extension(True)' \
      >/dev/null 2>&1 && return 0
  done
  python=
  return 1
}

# run_unittest NAME: tests/sql/test_NAME.py.
run_unittest() {
  wanted "$1" || return 0
  LD_PRELOAD=$preload LSMVTAB=$ext TMPDIR=$tmp "$python" "tests/sql/test_$1.py" >"$tmp/$1.out" 2>&1
  rc=$?
  n=$(sed -nE 's/^Ran ([0-9]+) tests? .*/\1/p' "$tmp/$1.out" | tail -1)
  if [ $rc -eq 0 ] && [ "${n:-0}" -gt 0 ]; then
    checks=$((checks + n - 1))
    report "test_$1.py ($n tests)" 0
  else
    tail -60 "$tmp/$1.out"
    report "test_$1.py" 1
  fi
}

# run_fuzz SCRIPT SEEDS: at most a minute.
run_fuzz() {
  LD_PRELOAD=$preload LSMVTAB=$ext TMPDIR=$tmp "$python" "tests/sql/$1" \
    --seeds "$2" --seconds 60 >"$tmp/fuzz.out" 2>&1
  rc=$?
  n=$(sed -nE 's/^([0-9]+) checks$/\1/p' "$tmp/fuzz.out" | tail -1)
  if [ $rc -eq 0 ] && [ "${n:-0}" -gt 0 ]; then
    checks=$((checks + n - 1))
    report "$1 ($n sessions)" 0
  else
    tail -40 "$tmp/fuzz.out"
    report "$1" 1
  fi
}

if find_python; then
  for script in tests/sql/test_*.py; do
    name=${script##*/test_}
    run_unittest "${name%.py}"
  done
elif wanted python; then
  echo "  no python3 here whose sqlite3 can load extensions (Debian's package python3 can)"
  report test_python.py 1
fi

if wanted fuzz && [ -n "$python" ] &&
  ! "$python" -c 'import sqlite3, sys; sys.exit(sqlite3.sqlite_version_info < (3, 38))'; then
  echo "  fuzz_diff.py: skipped, IN with a column of another type needs SQLite 3.38"
  skipped=$((skipped + 1))
elif wanted fuzz && [ -n "$python" ]; then
  run_fuzz fuzz_diff.py 50
fi
if wanted fuzz && [ -n "$python" ]; then run_fuzz fuzz_savepoints.py 80; fi

line="$checks checks"
[ $failed -gt 0 ] && line="$line, $failed failed"
[ $skipped -gt 0 ] && line="$line, $skipped skipped"
echo "$line"
exit $((failed > 0))
