#!/usr/bin/env bash
# demo.sh: what an lsm table does, on a real data set: a word list of a few hundred
# thousand words that Debian ships (package wamerican-huge), and the text of
# a licence that every Debian has. `make demo` runs it. Every figure that can be
# checked another way is: the demo fails when one is wrong.
#
# demo.sh --data   only says which word list it would take (status 1: there is none)
# DEMO_WORDS=file  takes another list: one word a line, 100,000 lines at least
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C

word_list() {
  local list
  for list in "${DEMO_WORDS:-}" /usr/share/dict/american-english-huge /usr/share/dict/*; do
    [ -f "$list" ] && [ "$(wc -l <"$list")" -ge 100000 ] && echo "$list" && return
  done
  return 1
}
list=$(word_list)
if [ "${1:-}" = --data ]; then [ -n "$list" ] && echo "$list"; exit; fi
if [ -z "$list" ]; then
  echo "the demo needs a word list: install the package wamerican-huge, or set DEMO_WORDS=file"
  exit 1
fi
text=/usr/share/common-licenses/GPL-3
[ -f $text ] || text=LICENSE

dir=$(mktemp -d "${TMPDIR:-/tmp}/lsm-demo.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
db=$dir/demo.db
sort -u "$list" | grep -v '["]' >"$dir/words"
tr -cs "A-Za-z'" '\n' <$text | tr A-Z a-z | grep . | sort | uniq -c | awk '{print $2 "," $1}' >"$dir/text"
words=$(wc -l <"$dir/words")
qu=$(grep -c '^qu' "$dir/words")
z=$(grep -c '^z' "$dir/words")
here=$(awk -F, 'NR == FNR {known[$0] = 1; next} $1 in known' "$dir/words" "$dir/text" | wc -l)

# Runs SQL from stdin in the stock shell; a line that says WRONG is a failed check.
session() {
  { printf '.bail on\n.load ./lsmvtab\n.mode list\n.separator "  "\n'; cat; } >"$dir/script"
  sqlite3 -batch -init /dev/null "$db" <"$dir/script" 2>&1 | tee "$dir/out"
  if [ "${PIPESTATUS[0]}" -ne 0 ] || grep -q 'WRONG' "$dir/out"; then
    echo "the demo FAILED"
    exit 1
  fi
}

echo "$words words of $list go into an lsm table; $text gives an ordinary one."
session <<SQL
PRAGMA journal_mode = WAL;
.print
.print == A table of words, clustered on the word; its rows live in the directory demo.db-lsm/
.print "   CREATE VIRTUAL TABLE word USING lsm(word TEXT PRIMARY KEY, length INTEGER, line INTEGER);"
CREATE VIRTUAL TABLE word USING lsm(word TEXT PRIMARY KEY, length INTEGER, line INTEGER);
CREATE TEMP TABLE raw(word TEXT);
.mode ascii
.separator "," "\n"
.import $dir/words raw
.mode list
.separator "  "
.timer on
INSERT INTO word SELECT word, length(word), rowid FROM raw ORDER BY rowid * 7919 % 1000003;
.timer off
SELECT count(*) || ' rows', CASE WHEN count(*) = $words THEN 'ok' ELSE 'WRONG' END FROM word;

.print
.print == Flush: what is in memory becomes a sorted file
CREATE TEMP TABLE quiet AS SELECT lsm_flush('word');
.headers on
SELECT level, files, bytes, entries, tombstones FROM lsm_levels('word') WHERE files > 0;
.headers off

.print
.print == By key
SELECT * FROM word WHERE word = 'quicksilver';
SELECT 'every 1000th word looked up again:', count(*),
       CASE WHEN count(*) = $words / 1000 THEN 'ok' ELSE 'WRONG' END
  FROM raw JOIN word ON word.word = raw.word WHERE raw.rowid % 1000 = 0 AND word.line = raw.rowid;

.print
.print == By range: words from qu up to qv, in order, without a sort
SELECT word FROM word WHERE word >= 'qu' AND word < 'qv' ORDER BY word LIMIT 3;
SELECT word FROM word WHERE word >= 'qu' AND word < 'qv' ORDER BY word DESC LIMIT 3;
SELECT count(*) || ' of them', CASE WHEN count(*) = $qu THEN 'ok' ELSE 'WRONG' END
  FROM word WHERE word >= 'qu' AND word < 'qv';
.print "   how SQLite reads them:"
EXPLAIN QUERY PLAN SELECT word FROM word WHERE word >= 'qu' AND word < 'qv' ORDER BY word;

.print
.print == A join with an ordinary table: the words of $text
CREATE TABLE text(word TEXT, n INTEGER);
.separator ","
.import $dir/text text
.separator "  "
.print "   the longest that the list knows, and how often they are used"
SELECT text.word, n FROM text JOIN word ON word.word = text.word ORDER BY length DESC, text.word LIMIT 5;
.print "   the most frequent that it does not know"
SELECT text.word, n FROM text LEFT JOIN word ON word.word = text.word
 WHERE word.word IS NULL ORDER BY n DESC, text.word LIMIT 5;
SELECT count(*) || ' words are in both', CASE WHEN count(*) = $here THEN 'ok' ELSE 'WRONG' END
  FROM text JOIN word ON word.word = text.word;

.print
.print == Delete all words with z in front; think better of it; delete them
BEGIN;
DELETE FROM word WHERE word >= 'z' AND word < '{';
ROLLBACK;
SELECT count(*) || ' rows after ROLLBACK', CASE WHEN count(*) = $words THEN 'ok' ELSE 'WRONG' END FROM word;
DELETE FROM word WHERE word >= 'z' AND word < '{';
SELECT count(*) || ' rows after DELETE', CASE WHEN count(*) = $words - $z THEN 'ok' ELSE 'WRONG' END FROM word;

.print
.print == A delete is an entry of its own, a tombstone: flushed, it lies over what it hides
INSERT INTO quiet SELECT lsm_flush('word');
.headers on
SELECT level, files, bytes, entries, tombstones FROM lsm_levels('word') WHERE files > 0;
.print == Compact: one sorted run, deleted rows and tombstones gone
INSERT INTO quiet SELECT lsm_compact('word');
SELECT level, files, bytes, entries, tombstones FROM lsm_levels('word') WHERE files > 0;
.headers off
SELECT 'no tombstone left, nothing twice',
       CASE WHEN sum(tombstones) = 0 AND sum(entries) = $words - $z THEN 'ok' ELSE 'WRONG' END FROM lsm_levels('word');

.print
.print == What it cost: bytes written for each byte of keys and values, bytes on disk for each one alive
SELECT name, CASE WHEN name LIKE '%bytes' THEN CAST(value AS INTEGER) ELSE round(value, 2) END FROM lsm_stats('word')
 WHERE name IN ('user_bytes', 'wal_bytes', 'flush_bytes', 'compaction_bytes', 'write_amplification', 'space_amplification');
SQL
echo
echo "== Closed and opened again by another sqlite3: everything is there"
session <<SQL
SELECT count(*) || ' rows', CASE WHEN count(*) = $words - $z THEN 'ok' ELSE 'WRONG' END FROM word;
.output $dir/again
SELECT word FROM word ORDER BY word;
.output stdout
SELECT 'lsm_verify', lsm_verify('word'), CASE WHEN lsm_verify('word') = 'ok' THEN '' ELSE 'WRONG' END;
SQL
if grep -v '^z' "$dir/words" | cmp -s - "$dir/again"; then
  echo "every word, in the order of sort(1)  ok"
else
  echo "the words read back differ from the list: the demo FAILED"
  exit 1
fi
echo
echo "The demo passed. Next: sqlite3 quick.db < sql/quickstart.sql, and README.md."
