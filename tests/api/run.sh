#!/usr/bin/env bash
# run.sh LIBRARY LIBS: is lsm.h all that a program needs, in C and C++, with every warning?
# Compiles example.c, links it with the library and runs it twice. Prints "N checks".
set -u
cd "$(dirname "$0")/../.." || exit 1
library=$1
libs=$2
cc=${CC:-gcc}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
checks=0 failed=0 skipped=0
printf 'apple is red\nplum is blue\nno pear\n' >"$tmp/expected"

check() { # what, command...
  local what=$1
  shift
  checks=$((checks + 1))
  if ! "$@" >"$tmp/out" 2>&1; then
    echo "  $what: FAILED"
    cat "$tmp/out"
    failed=$((failed + 1))
  fi
}
prints() { "$@" >"$tmp/printed" && cmp "$tmp/printed" "$tmp/expected"; }
as() { # name, flags of the compiler...
  local name=$1 run
  shift
  # shellcheck disable=SC2086
  check "$name" $cc "$@" -Wall -Wextra -pedantic -Wconversion -Wno-sign-conversion -Werror -Ilsm tests/api/example.c \
    -x none "$library" $libs -o "$tmp/$name"
  for run in new existing; do
    check "$name, a store that is $run" prints "$tmp/$name" "$tmp/$name.store"
  done
}

as c99 -std=c99
as c11 -std=c11
if echo 'int main() {}' | $cc -x c++ -fsyntax-only - >/dev/null 2>&1; then
  as c++11 -x c++ -std=c++11
else
  echo "  C++: skipped, $cc does not compile it here"
  skipped=1
fi
line="$checks checks"
[ "$failed" -gt 0 ] && line="$line, $failed failed"
[ "$skipped" -gt 0 ] && line="$line, $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ]
