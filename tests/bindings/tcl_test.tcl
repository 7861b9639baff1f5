# tcl_test.tcl EXTENSION DATABASE: the steps of run.sh through Tcl's package sqlite3.
package require sqlite3
encoding system utf-8

lassign $argv extension path
set checks 0
set failed 0
set big 9007199254740993
set text "Gr\u00fc\u00dfe \u4f60"
set real -1.5e300
set blob [binary format H* 00ff10]

proc check {what got want} {
  incr ::checks
  if {$got ne $want} {
    incr ::failed
    puts "FAILED $what: got $got, wanted $want"
  }
}

proc open_database {} {
  sqlite3 db $::path
  db enable_load_extension 1
  db eval {SELECT load_extension($::extension)}
  db enable_load_extension 0
}

proc stored {when} {
  global big text real blob
  check "range $when" \
    [db eval {SELECT ts FROM log WHERE host = 'h3' AND ts >= 100 AND ts < 140 ORDER BY ts DESC}] {133 123 113 103}
  lassign [db eval {SELECT name, price, data, hex(data) FROM item WHERE id = $big}] name price data hex
  check "text $when" $name $text
  check "real $when" [expr {$price == $real}] 1
  check "blob $when" [list $data $hex] [list $blob 00FF10]
  check "nulls $when" \
    [db eval {SELECT name IS NULL AND price IS NULL AND data IS NULL FROM item WHERE id = $big + 1}] 1
  check "count $when" [db one {SELECT count(*) FROM log}] 901
}

open_database
check version [db one {SELECT lsm_version() <> ''}] 1
db eval {
  CREATE VIRTUAL TABLE log USING lsm(host TEXT, ts INTEGER, msg, PRIMARY KEY (host, ts));
  CREATE VIRTUAL TABLE item USING lsm(id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB);
  CREATE TABLE ordinary(n INTEGER);
}

db transaction {
  for {set i 0} {$i < 1000} {incr i} {
    set host h[expr {$i % 10}]
    set msg "message $i"
    db eval {INSERT INTO log VALUES($host, $i, $msg)}
  }
}
check count [db one {SELECT count(*) FROM log}] 1000
check {by key} [db one {SELECT msg FROM log WHERE host = 'h7' AND ts = 507}] {message 507}

db eval {UPDATE log SET msg = msg || '!' WHERE host = 'h3' AND ts < 100}
check {rows updated} [db changes] 10
check updated [db one {SELECT msg FROM log WHERE host = 'h3' AND ts = 93}] {message 93!}
db eval {DELETE FROM log WHERE host = 'h9'}
check {rows deleted} [db changes] 100

# @ binds a blob.
db eval {INSERT INTO item VALUES($big, $text, $real, @blob)}
db eval {INSERT INTO item VALUES(NULL, NULL, NULL, NULL)}
check rowid [db last_insert_rowid] [expr {$big + 1}]

db eval BEGIN
db eval {INSERT INTO log VALUES('new', 1, 'x')}
db eval {DELETE FROM log WHERE host = 'h3'}
db eval {INSERT INTO ordinary VALUES(1)}
check {read in the transaction} [db one {SELECT count(*) FROM log}] 801
db eval ROLLBACK
check {rolled back} [db one {SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM ordinary)}] 900
db transaction {
  db eval {INSERT INTO log VALUES('new', 1, 'x')}
  db eval {INSERT INTO ordinary VALUES(1)}
}

check {duplicate key} [catch {db eval {INSERT INTO log VALUES('new', 1, 'y')}} message] 1
check {its message} $message {UNIQUE constraint failed: log.host, log.ts}
check {its code} [db errorcode] 19

stored {from memory}
db eval {SELECT lsm_flush('log')}
stored {from a file}
db close
open_database
stored {after reopening}
check verify [db one {SELECT lsm_verify('log')}] ok
db close
puts "$checks checks[expr {$failed ? ", $failed failed" : ""}]"
