# perl_test.pl EXTENSION DATABASE: the steps of run.sh through DBD::SQLite.
use strict;
use warnings;
use utf8;
use DBI qw(:sql_types);
binmode STDOUT, ':utf8';

my ($extension, $path) = @ARGV;
my ($checks, $failed) = (0, 0);
my ($big, $text, $real, $blob) = (9007199254740993, "Grüße \x{1f600}", -1.5e300, "\x00\xff\x10");

sub shown { join '|', map { defined $_ ? $_ : 'NULL' } @_ }

sub check {
  my ($what, $got, $want) = @_;
  $checks++;
  return if $got eq $want;
  $failed++;
  print "FAILED $what: got $got, wanted $want\n";
}

sub open_database {
  my $db = DBI->connect("dbi:SQLite:dbname=$path", '', '',
    {RaiseError => 1, PrintError => 0, AutoCommit => 1, sqlite_unicode => 1});
  $db->sqlite_enable_load_extension(1);
  $db->sqlite_load_extension($extension);
  return $db;
}

my $db = open_database();
sub one { my ($sql, @values) = @_; return ($db->selectrow_array($sql, undef, @values))[0] }

sub stored {
  my ($when) = @_;
  my $ts = $db->selectcol_arrayref(
    'SELECT ts FROM log WHERE host = ? AND ts >= ? AND ts < ? ORDER BY ts DESC', undef, 'h3', 100, 140);
  check("range $when", shown(@$ts), '133|123|113|103');
  my @row = $db->selectrow_array('SELECT name, price, hex(data) FROM item WHERE id = ?', undef, $big);
  check("values $when", shown(@row), shown($text, $real, '00FF10'));
  check("blob $when", one('SELECT data FROM item WHERE id = ?', $big), $blob);
  @row = $db->selectrow_array('SELECT name, price, data FROM item WHERE id = ?', undef, $big + 1);
  check("nulls $when", shown(@row), 'NULL|NULL|NULL');
  check("count $when", one('SELECT count(*) FROM log'), 901);
}

check('version', one("SELECT lsm_version() <> ''"), 1);
$db->do('CREATE VIRTUAL TABLE log USING lsm(host TEXT, ts INTEGER, msg, PRIMARY KEY (host, ts))');
$db->do('CREATE VIRTUAL TABLE item USING lsm(id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB)');
$db->do('CREATE TABLE ordinary(n INTEGER)');

$db->begin_work;
my $insert = $db->prepare('INSERT INTO log VALUES(?, ?, ?)');
$insert->execute('h' . $_ % 10, $_, "message $_") for 0 .. 999;
$db->commit;
check('count', one('SELECT count(*) FROM log'), 1000);
check('by key', one('SELECT msg FROM log WHERE host = ? AND ts = ?', 'h7', 507), 'message 507');

check('rows updated', $db->do("UPDATE log SET msg = msg || '!' WHERE host = ? AND ts < ?", undef, 'h3', 100), 10);
check('updated', one("SELECT msg FROM log WHERE host = 'h3' AND ts = 93"), 'message 93!');
check('rows deleted', $db->do('DELETE FROM log WHERE host = ?', undef, 'h9'), 100);

my $item = $db->prepare('INSERT INTO item VALUES(?, ?, ?, ?)');
$item->bind_param(1, $big, SQL_INTEGER);
$item->bind_param(2, $text);
$item->bind_param(3, $real, SQL_REAL);
$item->bind_param(4, $blob, SQL_BLOB);
$item->execute;
$db->do('INSERT INTO item VALUES(NULL, NULL, NULL, NULL)');
check('rowid', $db->sqlite_last_insert_rowid, $big + 1);

$db->begin_work;
$db->do("INSERT INTO log VALUES('new', 1, 'x')");
$db->do("DELETE FROM log WHERE host = 'h3'");
$db->do('INSERT INTO ordinary VALUES(1)');
check('read in the transaction', one('SELECT count(*) FROM log'), 801);
$db->rollback;
check('rolled back', one('SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM ordinary)'), 900);
$db->begin_work;
$db->do("INSERT INTO log VALUES('new', 1, 'x')");
$db->do('INSERT INTO ordinary VALUES(1)');
$db->commit;

eval { $db->do("INSERT INTO log VALUES('new', 1, 'y')") };
check('duplicate key', $@ =~ /UNIQUE constraint failed: log\.host, log\.ts/ ? 1 : 0, 1);

stored('from memory');
$db->selectrow_array("SELECT lsm_flush('log')");
stored('from a file');
undef $insert;
undef $item;
$db->disconnect;
$db = open_database();
stored('after reopening');
check('verify', one("SELECT lsm_verify('log')"), 'ok');
$db->disconnect;
print "$checks checks", ($failed ? ", $failed failed" : ''), "\n";
