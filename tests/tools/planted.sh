#!/usr/bin/env bash
# planted.sh: does the differential test see a defect? Builds the extension from a
# copy of the sources, once for each line of `defects` with that line's change made,
# and lets tests/sql/fuzz_diff.py look for it: it must find a difference. Sound
# sources must show none.
#
#   tests/tools/planted.sh [SEEDS [NAME...]]     at most SEEDS sessions each (200)
set -u
cd "$(dirname "$0")/../.." || exit 1
seeds=${1:-200}
shift $(($# > 0 ? 1 : 0))
python=${PYTHON:-/usr/bin/python3}
copy=build/planted
passed=0 failed=0

# name | file | perl substitution
defects='
lower bounds always excluded|ext/keyrange.c|s/p, first\.strict\)/p, true)/
upper bounds never included|ext/keyrange.c|s/p, !last\.strict\)/p, false)/
IS NULL finds nothing|ext/search.c|s/if \(!s->nulls\) continue;/if (s->nulls || !s->nulls) continue;/
removed index entries stay|ext/indexed.c|s/if \(!same_key\) rc = add_removal\([^;]*;/(void)same_key;/
REPLACE leaves the entries of the row it replaces|ext/indexed.c|s/return rc == LSM_OK \? remove_row\(v, key\) : rc;/return rc == LSM_OK ? add_removal(v, v->keyspace, key) : rc;/
UNIQUE is looked at in the wrong order|ext/indexed.c|s/for \(int i = v->nindex; i >= 0 && rc == LSM_OK && !\*stop; i--\)/for (int i = 0; i <= v->nindex && rc == LSM_OK && !*stop; i++)/
folded columns read from the entry|ext/index.c|s/faithful \? 0 : ENTRY_FOLDED/0/
the next rowid is one too high|ext/write.c|s/v->max_rowid \+ 1;/v->max_rowid + 2;/
last_insert_rowid() after a failed INSERT|ext/write.c|s/\*rowid = sqlite3_last_insert_rowid\(db\);/*rowid = 0;/
NOT NULL is not checked|ext/write.c|s/return not_null_failed\(w, i\);/if (i >= 0) continue; else return not_null_failed(w, i);/
ROLLBACK TO does nothing|lsm/txn.c|s/lsm_memtable_rollback\(t->overlay, &s->mark\);/(void)s->mark;/
compaction drops tombstones too early|lsm/gc.c|s/return gc->hint < gc->count && lsm_slice_cmp\(gc->spans\[gc->hint\]\.lo, key\) <= 0;/return false;/
DESC columns of text inverted but for their end|ext/keyenc.c|s/enum \{ ESCAPE = 0xFF/enum { ESCAPE = 0xFE/
an index that is built loses the last rows|ext/build.c|s/  if \(rc == LSM_OK\) rc = sorter_empty\(&sort\);\n//
rows from before a column do not read its default|ext/rowenc.c|s/else if \(col->has_default\)/else if (col->has_default \&\& col->not_null)/
integers beyond 2^53 compared as reals|ext/keyenc.c|s/#define TWO_53 9007199254740992\.0/#define TWO_53 9.3e18/
'

rm -rf "$copy"
mkdir -p "$copy"
cp -r Makefile sqlite-lsm.def lsm ext tests "$copy" || exit 1
rm -rf "$copy"/build

# Builds the copy; its compiler's words only when it fails.
build() {
  ${MAKE:-make} -C "$copy" --no-print-directory lsmvtab.so >"$copy/log" 2>&1 || { cat "$copy/log"; return 1; }
}

# Does the differential test find a difference? 0: no.
differ() {
  (cd "$copy" && LSMVTAB=./lsmvtab timeout 1800 "$python" tests/sql/fuzz_diff.py --seed 1 --seeds "$seeds" --seconds 100000) >"$copy/log" 2>&1
}

report() {
  echo "  $1"
  passed=$((passed + $2)) failed=$((failed + 1 - $2))
}

build || exit 1
if differ; then
  report "sound sources: no difference in $seeds sessions" 1
else
  tail -30 "$copy/log"
  report "sound sources: a DIFFERENCE" 0
fi
while IFS='|' read -r name file change; do
  [ -n "$name" ] || continue
  case $# in 0) ;; *) [[ " $* " == *" $name "* ]] || continue ;; esac
  perl -0pi -e "$change" "$copy/$file"
  if cmp -s "$file" "$copy/$file"; then
    report "$name: NOTHING TO CHANGE in $file: this script is out of date" 0
    continue
  fi
  if ! build; then
    report "$name: does not build" 0
  elif differ; then
    report "$name: NOT SEEN in $seeds sessions" 0
  else
    report "$name: seen$(grep -m1 -oE 'seed [0-9]+' "$copy/log" | sed 's/^/, /')" 1
  fi
  cp "$file" "$copy/$file"
done <<<"$defects"
echo "$((passed + failed)) checks, $failed failed"
[ "$failed" -eq 0 ]
