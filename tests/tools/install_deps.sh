#!/usr/bin/env bash
# install_deps.sh [build|test|demo|bindings|bench]: makes sure that what the build and the tests
# need is here. Looks by trying it out, so that a system without apt, or with
# hand-made installations, is fine too; when something is missing it installs
# the Debian packages (as root or through sudo without a password) or says
# which ones to install and how, and exits 1.
set -u
cd "$(dirname "$0")/../.." || exit 1
what=${1:-test}
cc=${CC:-gcc}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

has() { command -v "$1" >/dev/null 2>&1; }
compiles() { # libraries... < source
  { has "$cc" || has cc; } && "$(has "$cc" && echo "$cc" || echo cc)" -x c - -o "$tmp/a.out" "$@" >/dev/null 2>&1
}
python_with_extensions() {
  for p in /usr/bin/python3 python3; do
    has "$p" && "$p" -c 'import sqlite3; sqlite3.connect(":memory:").enable_load_extension(True)' \
      >/dev/null 2>&1 && return
  done
  return 1
}

probe() { # sets `missing` to Debian package names
  missing=()
  if [ "$what" = bindings ]; then
    missing=($(tests/bindings/run.sh --packages))
    return
  fi
  if [ "$what" = bench ]; then # only what it is measured against
    compiles -lrocksdb <<<'#include <stddef.h>
#include <rocksdb/c.h>
int main(void) { return 0; }' || missing+=(librocksdb-dev)
    compiles -lleveldb <<<'#include <stddef.h>
#include <leveldb/c.h>
int main(void) { return 0; }' || missing+=(libleveldb-dev)
    return
  fi
  compiles <<<'#include <stdio.h>
int main(void) { return 0; }' || missing+=(gcc libc6-dev)
  compiles -lsqlite3 <<<'#include <sqlite3.h>
int main(void) { return sqlite3_libversion_number() == 0; }' || missing+=(libsqlite3-dev)
  compiles -lz <<<'#include <zlib.h>
int main(void) { return zlibVersion() == 0; }' || missing+=(zlib1g-dev)
  has sqlite3 || missing+=(sqlite3)
  has pkg-config || missing+=(pkg-config)
  has nm || missing+=(binutils)
  if [ "$what" = test ]; then
    compiles $(pkg-config --libs check 2>/dev/null || echo -lcheck -lm -lrt -lpthread) <<<'#include <check.h>
int main(void) { return suite_create("x") == 0; }' || missing+=(check)
    python_with_extensions || missing+=(python3)
  fi
  if [ "$what" = demo ]; then
    sql/demo.sh --data >/dev/null || missing+=(wamerican-huge)
  fi
}

probe
[ ${#missing[@]} -eq 0 ] && exit 0
echo "missing: ${missing[*]}"

root=()
if [ "$(id -u)" -ne 0 ]; then
  if has sudo && sudo -n true 2>/dev/null; then root=(sudo -n); else root=(none); fi
fi
if has apt-get && [ "${root[0]:-}" != none ]; then
  echo "installing through apt-get ..."
  # A fresh machine may be updating itself just now: wait for dpkg's lock.
  apt() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 "$@" >>"$tmp/apt.log" 2>&1; }
  install() { apt install -y --no-install-recommends "$@"; }
  # Its package lists may be empty or old: refresh, then once more.
  if ! install "${missing[@]}" && ! { apt update; install "${missing[@]}"; }; then
    tail -5 "$tmp/apt.log"
    # No reason to go without the other languages.
    [ "$what" = bindings ] && for package in "${missing[@]}"; do install "$package"; done
  fi
  probe
  [ ${#missing[@]} -eq 0 ] && exit 0
fi

echo "Please install these packages, then run make again: ${missing[*]}"
if has apt-get || [ "$what" = bindings ]; then
  echo "    sudo apt-get update && sudo apt-get install ${missing[*]}"
else
  echo "(these are Debian's names: a C compiler, SQLite's library with headers and its shell,"
  echo " zlib with headers, libcheck, pkg-config and Python 3 with sqlite3 extension loading)"
fi
exit 1
