# ruby_test.rb EXTENSION DATABASE: the steps of run.sh through the gem sqlite3.
require 'sqlite3'

$extension, $path = ARGV
$checks = $failed = 0
BIG, TEXT, REAL, DATA = 9007199254740993, "Grüße \u{1f600}", -1.5e300, "\x00\xff\x10".b

def check(what, got, want)
  $checks += 1
  return if got == want
  $failed += 1
  puts "FAILED #{what}: got #{got.inspect}, wanted #{want.inspect}"
end

def open_database
  db = SQLite3::Database.new($path)
  db.enable_load_extension(true)
  db.load_extension($extension)
  db.enable_load_extension(false)
  db
end

def rows(sql, *values) = $db.execute(sql, values)
def one(sql, *values) = $db.get_first_value(sql, values)

def stored(at)
  found = rows('SELECT ts FROM log WHERE host = ? AND ts >= ? AND ts < ? ORDER BY ts DESC', 'h3', 100, 140)
  check("range #{at}", found.flatten, [133, 123, 113, 103])
  check("values #{at}", rows('SELECT name, price, data FROM item WHERE id = ?', BIG), [[TEXT, REAL, DATA]])
  check("nulls #{at}", rows('SELECT name, price, data FROM item WHERE id = ?', BIG + 1), [[nil, nil, nil]])
  check("count #{at}", one('SELECT count(*) FROM log'), 901)
end

$db = open_database
check('version', one("SELECT lsm_version() <> ''"), 1)
rows('CREATE VIRTUAL TABLE log USING lsm(host TEXT, ts INTEGER, msg, PRIMARY KEY (host, ts))')
rows('CREATE VIRTUAL TABLE item USING lsm(id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB)')
rows('CREATE TABLE ordinary(n INTEGER)')

$db.transaction do
  $db.prepare('INSERT INTO log VALUES(?, ?, ?)') do |insert|
    1000.times { |i| insert.execute("h#{i % 10}", i, "message #{i}") }
  end
end
check('count', one('SELECT count(*) FROM log'), 1000)
check('by key', one('SELECT msg FROM log WHERE host = ? AND ts = ?', 'h7', 507), 'message 507')

rows("UPDATE log SET msg = msg || '!' WHERE host = ? AND ts < ?", 'h3', 100)
check('rows updated', $db.changes, 10)
check('updated', one("SELECT msg FROM log WHERE host = 'h3' AND ts = 93"), 'message 93!')
rows('DELETE FROM log WHERE host = ?', 'h9')
check('rows deleted', $db.changes, 100)

rows('INSERT INTO item VALUES(?, ?, ?, ?)', BIG, TEXT, REAL, SQLite3::Blob.new(DATA))
rows('INSERT INTO item VALUES(?, ?, ?, ?)', nil, nil, nil, nil)
check('rowid', $db.last_insert_row_id, BIG + 1)

$db.transaction
rows("INSERT INTO log VALUES('new', 1, 'x')")
rows("DELETE FROM log WHERE host = 'h3'")
rows('INSERT INTO ordinary VALUES(1)')
check('read in the transaction', one('SELECT count(*) FROM log'), 801)
$db.rollback
check('rolled back', one('SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM ordinary)'), 900)
$db.transaction do
  rows("INSERT INTO log VALUES('new', 1, 'x')")
  rows('INSERT INTO ordinary VALUES(1)')
end

begin
  rows("INSERT INTO log VALUES('new', 1, 'y')")
  message = 'no error'
rescue SQLite3::ConstraintException => e
  message = e.message
end
check('duplicate key', message.include?('UNIQUE constraint failed: log.host, log.ts'), true)

stored('from memory')
rows("SELECT lsm_flush('log')")
stored('from a file')
$db.close
$db = open_database
stored('after reopening')
check('verify', one("SELECT lsm_verify('log')"), 'ok')
$db.close
puts "#{$checks} checks#{", #{$failed} failed" if $failed > 0}"
