#!/usr/bin/env bash
# run.sh [binding...]: the extension through other languages' SQLite: each in its own
# way of loading, binding, transactions and errors. One that is not installed is skipped
# and says so; `make deps-bindings` installs all of them. Ends with "N checks[, N skipped]".
# (Python's sqlite3 has tests of its own, tests/sql/test_python.py.)
#
# All take the same steps: two tables and an ordinary one; 1,000 rows through a prepared
# statement; by key, by range, counted; update and delete, with their row counts; 64-bit integer,
# real, text beyond ASCII, blob and NULL there and back; rollback and commit over both
# kinds of table; a duplicate key's error; the same rows from memory, from a file, reopened.
#
# run.sh --packages   names the Debian packages of the bindings that are missing
# LSMVTAB             the extension to load, without its suffix (./lsmvtab)
set -u
cd "$(dirname "$0")/../.." || exit 1
ext=$(cd "$(dirname "${LSMVTAB:-./lsmvtab}")" && pwd)/$(basename "${LSMVTAB:-./lsmvtab}")
here=tests/bindings
all="apsw perl ruby tcl php java go"
export LC_ALL=C.UTF-8
has() { command -v "$1" >/dev/null 2>&1; }
php_suffix=so
[ -e "$ext.dylib" ] && php_suffix=dylib

python=/usr/bin/python3
[ -x $python ] || python=python3
jar=/usr/share/java/sqlite-jdbc.jar
gopath=${GOPATH:-}:/usr/share/gocode
gopath=${gopath#:}

# Each binding: is it here, its Debian packages, how it is run with $ext and a database.
here_apsw() { "$python" -c 'import apsw; apsw.Connection.loadextension' 2>/dev/null; }
packages_apsw=python3-apsw
run_apsw() { "$python" $here/apsw_test.py "$ext" "$1"; }

here_perl() { has perl && perl -MDBD::SQLite -e 1 2>/dev/null; }
packages_perl=libdbd-sqlite3-perl
run_perl() { perl $here/perl_test.pl "$ext" "$1"; }

here_ruby() { has ruby && ruby -e 'require "sqlite3"' 2>/dev/null; }
packages_ruby="ruby ruby-sqlite3"
run_ruby() { ruby $here/ruby_test.rb "$ext" "$1"; }

here_tcl() { has tclsh && [ "$(echo 'puts [catch {package require sqlite3}]' | tclsh)" = 0 ]; }
packages_tcl="tcl libsqlite3-tcl"
run_tcl() { tclsh $here/tcl_test.tcl "$ext" "$1"; }

here_php() { has php && php -r 'exit(class_exists("SQLite3") ? 0 : 1);' 2>/dev/null; }
packages_php="php-cli php-sqlite3"
run_php() { php -d sqlite3.extension_dir="$(dirname "$ext")" $here/php_test.php "$ext.$php_suffix" "$1"; }

here_java() { has javac && has java && [ -e $jar ]; }
packages_java="default-jdk-headless libxerial-sqlite-jdbc-java"
run_java() {
  javac -encoding UTF-8 -cp $jar -d "$tmp/java" $here/JdbcTest.java &&
    java -Dfile.encoding=UTF-8 -Dstdout.encoding=UTF-8 -cp "$jar:$tmp/java" JdbcTest "$ext" "$1"
}

go_env() { env GO111MODULE=off GOPATH="$gopath" GOCACHE="$PWD/build/go" GOFLAGS= "$@"; }
here_go() { has go && go_env go list github.com/mattn/go-sqlite3 >/dev/null 2>&1; }
packages_go="golang-go golang-github-mattn-go-sqlite3-dev"
run_go() { go_env go build -o "$tmp/go_test" $here/main.go && "$tmp/go_test" "$ext" "$1"; }

if [ "${1:-}" = --packages ]; then
  for binding in $all; do
    list=packages_$binding
    "here_$binding" || echo "${!list}"
  done
  exit 0
fi

mkdir -p build
tmp=$(mktemp -d "$PWD/build/bindings.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
checks=0 failed=0 skipped=0
for binding in ${*:-$all}; do
  if ! "here_$binding"; then
    list=packages_$binding
    echo "  $binding: skipped, not here (${!list})"
    skipped=$((skipped + 1))
    continue
  fi
  mkdir "$tmp/$binding"
  "run_$binding" "$tmp/$binding/test.db" >"$tmp/$binding.out" 2>&1
  rc=$?
  n=$(sed -nE 's/^([0-9]+) checks(, [0-9]+ failed)?$/\1/p' "$tmp/$binding.out" | tail -1)
  f=$(grep -c '^FAILED' "$tmp/$binding.out")
  n=${n:-0}
  [ "$f" -eq 0 ] && { [ $rc -ne 0 ] || [ "$n" -eq 0 ]; } && f=1 && n=$((n + 1))
  [ "$n" -lt "$f" ] && n=$f
  checks=$((checks + n)) failed=$((failed + f))
  if [ "$f" -gt 0 ]; then
    tail -40 "$tmp/$binding.out"
    echo "  $binding: FAILED (status $rc)"
  else
    echo "  $binding: ok ($n checks)"
  fi
done
line="$checks checks"
[ $failed -gt 0 ] && line="$line, $failed failed"
[ $skipped -gt 0 ] && line="$line, $skipped skipped"
echo "$line"
exit $((failed > 0))
