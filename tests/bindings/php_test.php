<?php
// php_test.php EXTENSION DATABASE: the steps of run.sh through PHP's SQLite3. PHP loads
// extensions only from the directory that sqlite3.extension_dir in php.ini (or php -d) names.
[, $extension, $path] = $argv;
$checks = $failed = 0;
const BIG = 9007199254740993;
const TEXT = "Grüße \u{1f600}";
const REAL = -1.5e300;
const BLOB = "\x00\xff\x10";

function check($what, $got, $want) {
    global $checks, $failed;
    $checks++;
    if ($got === $want) return;
    $failed++;
    echo "FAILED $what: got ", var_export($got, true), ', wanted ', var_export($want, true), "\n";
}

function open_database() {
    global $extension, $path;
    $db = new SQLite3($path);
    $db->enableExceptions(true);
    $db->loadExtension(basename($extension));
    return $db;
}

function rows($sql, ...$values) {
    global $db;
    $statement = $db->prepare($sql);
    foreach ($values as $i => $value) {
        $value === BLOB ? $statement->bindValue($i + 1, $value, SQLITE3_BLOB) : $statement->bindValue($i + 1, $value);
    }
    $result = $statement->execute();
    $found = [];
    // Fetching steps: a statement that returns no columns has been run by execute().
    while ($result->numColumns() > 0 && ($row = $result->fetchArray(SQLITE3_NUM))) $found[] = $row;
    $result->finalize();
    return $found;
}

function one($sql, ...$values) {
    return rows($sql, ...$values)[0][0] ?? null;
}

function stored($when) {
    $range = rows('SELECT ts FROM log WHERE host = ? AND ts >= ? AND ts < ? ORDER BY ts DESC', 'h3', 100, 140);
    check("range $when", $range, [[133], [123], [113], [103]]);
    check("values $when", rows('SELECT name, price, data FROM item WHERE id = ?', BIG), [[TEXT, REAL, BLOB]]);
    check("nulls $when", rows('SELECT name, price, data FROM item WHERE id = ?', BIG + 1), [[null, null, null]]);
    check("count $when", one('SELECT count(*) FROM log'), 901);
}

$db = open_database();
check('version', one("SELECT lsm_version() <> ''"), 1);
$db->exec('CREATE VIRTUAL TABLE log USING lsm(host TEXT, ts INTEGER, msg, PRIMARY KEY (host, ts))');
$db->exec('CREATE VIRTUAL TABLE item USING lsm(id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB)');
$db->exec('CREATE TABLE ordinary(n INTEGER)');

$db->exec('BEGIN');
$insert = $db->prepare('INSERT INTO log VALUES(?, ?, ?)');
for ($i = 0; $i < 1000; $i++) {
    $insert->bindValue(1, 'h' . $i % 10);
    $insert->bindValue(2, $i);
    $insert->bindValue(3, "message $i");
    $insert->execute();
}
$insert->close();
$db->exec('COMMIT');
check('count', one('SELECT count(*) FROM log'), 1000);
check('by key', one('SELECT msg FROM log WHERE host = ? AND ts = ?', 'h7', 507), 'message 507');

rows("UPDATE log SET msg = msg || '!' WHERE host = ? AND ts < ?", 'h3', 100);
check('rows updated', $db->changes(), 10);
check('updated', one("SELECT msg FROM log WHERE host = 'h3' AND ts = 93"), 'message 93!');
rows('DELETE FROM log WHERE host = ?', 'h9');
check('rows deleted', $db->changes(), 100);

rows('INSERT INTO item VALUES(?, ?, ?, ?)', BIG, TEXT, REAL, BLOB);
rows('INSERT INTO item VALUES(?, ?, ?, ?)', null, null, null, null);
check('rowid', $db->lastInsertRowID(), BIG + 1);

$db->exec('BEGIN');
$db->exec("INSERT INTO log VALUES('new', 1, 'x')");
$db->exec("DELETE FROM log WHERE host = 'h3'");
$db->exec('INSERT INTO ordinary VALUES(1)');
check('read in the transaction', one('SELECT count(*) FROM log'), 801);
$db->exec('ROLLBACK');
check('rolled back', one('SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM ordinary)'), 900);
$db->exec("BEGIN; INSERT INTO log VALUES('new', 1, 'x'); INSERT INTO ordinary VALUES(1); COMMIT");

$message = 'no error';
try {
    $db->exec("INSERT INTO log VALUES('new', 1, 'y')");
} catch (Exception $error) {
    $message = $error->getMessage();
}
check('duplicate key', $message, 'UNIQUE constraint failed: log.host, log.ts');
check('its code', $db->lastErrorCode(), 19);

stored('from memory');
one("SELECT lsm_flush('log')");
stored('from a file');
$db->close();
$db = open_database();
stored('after reopening');
check('verify', one("SELECT lsm_verify('log')"), 'ok');
$db->close();
echo "$checks checks", $failed ? ", $failed failed" : '', "\n";
