-- The same answers along indexes as without them: ranges, lists, order, joins, odd values.
CREATE TABLE e(id INTEGER PRIMARY KEY, host TEXT, ts INTEGER, level TEXT COLLATE NOCASE, v, UNIQUE(host, ts), INDEX by_level (level, ts DESC), INDEX by_v (v), INDEX by_host (host COLLATE RTRIM)); -- lsm
INSERT INTO e WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 500) SELECT i, 'h' || (i % 7), i * 10, CASE i % 4 WHEN 0 THEN 'Info' WHEN 1 THEN 'WARN' WHEN 2 THEN 'info' ELSE NULL END, CASE i % 9 WHEN 0 THEN NULL WHEN 1 THEN i WHEN 2 THEN i + 0.5 WHEN 3 THEN CAST(i AS REAL) WHEN 4 THEN 't' || i WHEN 5 THEN CAST(i AS TEXT) WHEN 6 THEN CAST(i AS BLOB) WHEN 7 THEN 9007199254740993 + i ELSE '' END FROM c;
SELECT level, count(*), min(ts), max(ts) FROM e GROUP BY level ORDER BY level;
SELECT id, level FROM e WHERE level = 'INFO' AND ts > 4900 ORDER BY ts;
SELECT id, level FROM e WHERE level = 'info' AND ts BETWEEN 100 AND 200 ORDER BY ts DESC;
SELECT id, level FROM e WHERE level = 'info' COLLATE BINARY AND ts < 200 ORDER BY id;
SELECT count(*) FROM e WHERE level IS NULL;
SELECT count(*) FROM e WHERE level IS NULL AND ts > 2500;
SELECT count(*) FROM e WHERE level IS NOT NULL AND level > 'm';
SELECT count(*) FROM e WHERE level IN ('info', 'warn', NULL);
SELECT count(*) FROM e WHERE level = NULL;
SELECT id FROM e WHERE host = 'h3' AND ts = 1010;
SELECT id FROM e WHERE host IN ('h3', 'h5', 'nobody') AND ts IN (1010, 50, 7) ORDER BY id;
SELECT ts FROM e WHERE host = 'h3' ORDER BY ts DESC LIMIT 3;
SELECT count(*) FROM e WHERE host = 'h3  ' COLLATE RTRIM;
SELECT id, v, typeof(v) FROM e WHERE v = 3;
SELECT id, v, typeof(v) FROM e WHERE v = '5';
SELECT id, v, typeof(v) FROM e WHERE v = 12.0;
SELECT id, v, typeof(v) FROM e WHERE v > 9007199254740993 AND v < 9007199254741093 ORDER BY v;
SELECT id, v, typeof(v) FROM e WHERE v < 20 ORDER BY v, id;
SELECT id, v, typeof(v) FROM e WHERE v >= 't4' ORDER BY v DESC, id LIMIT 12;
SELECT id FROM e WHERE v = '' AND id > 400 ORDER BY id;
SELECT v, typeof(v) FROM e ORDER BY v, id LIMIT 5 OFFSET 54;
SELECT level, ts FROM e ORDER BY level DESC, ts LIMIT 5;
SELECT level, ts FROM e ORDER BY level, ts DESC LIMIT 3 OFFSET 123;
SELECT a.id, b.id FROM e a JOIN e b ON b.host = a.host AND b.ts = a.ts + 70 WHERE a.id < 4 ORDER BY a.id;
SELECT id FROM e WHERE id = 3 OR host = 'h1' AND ts < 100 OR v = 't40' ORDER BY id;
CREATE TABLE o(i INTEGER, t TEXT, x);
INSERT INTO o VALUES(3, '3', 3), (5, '5', '5'), (12, '12', 12.0), (NULL, NULL, NULL), (54, 't40', 't40');
SELECT o.i, e.id FROM o JOIN e ON e.v = o.i ORDER BY 1, 2;
SELECT o.i, e.id FROM o JOIN e ON e.v = o.t ORDER BY 1, 2;
SELECT o.i, e.id FROM o JOIN e ON e.v = o.x ORDER BY 1, 2;
SELECT o.i, e.id FROM o LEFT JOIN e ON e.v IS o.x AND e.id < 20 ORDER BY 1, 2;
SELECT id FROM e WHERE v IN (SELECT x FROM o) ORDER BY id;
--@flush e
UPDATE e SET level = 'error' WHERE level = 'WARN' AND ts < 1000;
UPDATE e SET ts = ts + 1, v = id WHERE host = 'h2';
DELETE FROM e WHERE level = 'info' AND ts > 1000;
SELECT level, count(*), sum(ts) FROM e GROUP BY level ORDER BY level;
SELECT count(*) FROM e WHERE level = 'error';
SELECT count(*) FROM e WHERE level = 'info';
SELECT id, v FROM e WHERE v > 480 AND v < 500 ORDER BY v;
BEGIN;
DELETE FROM e WHERE host = 'h4';
SAVEPOINT a;
UPDATE e SET level = 'x' WHERE level IS NULL;
SELECT count(*) FROM e WHERE level = 'X';
ROLLBACK TO a;
SELECT count(*) FROM e WHERE level = 'x';
SELECT count(*) FROM e WHERE level IS NULL;
ROLLBACK;
SELECT count(*) FROM e WHERE host = 'h4';
--@compact e
--@reopen
SELECT level, count(*), sum(ts) FROM e GROUP BY level ORDER BY level;
SELECT count(*) FROM e WHERE host = 'h4';
ALTER TABLE e RENAME TO e2;
SELECT count(*) FROM e2 WHERE host = 'h4' AND ts > 2000;
-- keys of columns, hidden rowids, rowids at their ends
CREATE TABLE w(k TEXT COLLATE NOCASE, n REAL, a TEXT, b BLOB, PRIMARY KEY(k, n DESC), INDEX by_a (a), INDEX by_b (b, a DESC)) WITHOUT ROWID; -- lsm
INSERT INTO w VALUES('A', 1, 'x', x'00'), ('a', 2, 'x', x'0001'), ('B', 1, 'x' || char(0), x''), ('b', 2.5, NULL, NULL), ('c', -1, 'xy', 'text');
SELECT k, n, a FROM w WHERE a = 'x' ORDER BY k, n DESC;
SELECT k, n FROM w WHERE a >= 'x' ORDER BY a, k, n DESC;
SELECT k, n, hex(b) FROM w ORDER BY b, a DESC;
SELECT k, n, hex(b) FROM w ORDER BY b DESC, a;
SELECT k FROM w WHERE b IS NULL;
SELECT count(*) FROM w WHERE b = x'00';
UPDATE w SET k = 'Z' WHERE a = 'xy';
SELECT k, a FROM w WHERE a = 'xy';
CREATE TABLE h(a TEXT, b, INDEX by_a (a), INDEX by_b (b DESC)); -- lsm
INSERT INTO h(rowid, a, b) VALUES(9223372036854775806, 'a', 1), (-9223372036854775808, 'a', 2), (0, 'a', 3), (7, 'a' || char(0), 4), (9079256848778919936, 'a', 5), (9079256848778919937, 'b', 6);
SELECT rowid, b FROM h WHERE a = 'a' ORDER BY rowid;
SELECT rowid, b FROM h WHERE a = 'a' AND rowid > 0 ORDER BY rowid DESC;
SELECT rowid, a FROM h ORDER BY b DESC;
UPDATE h SET rowid = 8 WHERE a = 'b';
SELECT rowid, b FROM h WHERE a = 'b';
DELETE FROM h WHERE a = 'a';
SELECT rowid, a, b FROM h ORDER BY b;
-- several entries equal the number of an INTEGER column: the order is still the one asked for
CREATE TABLE q(id INTEGER PRIMARY KEY, a UNIQUE, b, INDEX by_b (b)); -- lsm
INSERT INTO q VALUES(3, '05', '05'), (1, '5', '5'), (2, 5, 5), (4, '5.0', '5.0'), (0, ' 5', ' 5'), (6, '6', '5'), (5, '50', 5);
SELECT id, a, typeof(a) FROM q WHERE a = (SELECT i FROM o WHERE i = 5) ORDER BY id;
SELECT id, a, typeof(a) FROM q WHERE a = (SELECT i FROM o WHERE i = 5) AND id > 1 ORDER BY id DESC;
SELECT id, b, typeof(b) FROM q WHERE b = (SELECT i FROM o WHERE i = 5) ORDER BY id;
SELECT id, b, typeof(b) FROM q WHERE b = (SELECT i FROM o WHERE i = 5) ORDER BY id DESC LIMIT 3;
SELECT id, b FROM q WHERE b = 5 AND id > 2 ORDER BY id;
SELECT id, a FROM q WHERE a = '5' AND id > 0;
SELECT id, a FROM q WHERE a = '5' AND id > 1;
CREATE TABLE q2(k, n, a UNIQUE, PRIMARY KEY(k, n)) WITHOUT ROWID; -- lsm
INSERT INTO q2 VALUES(3, 1, '05'), (1, 1, '5'), (2, 1, 5), (4, 1, '5.0'), (0, 1, ' 5'), (6, 1, '6');
SELECT k, a FROM q2 WHERE a = (SELECT i FROM o WHERE i = 5) ORDER BY k;
SELECT k, a FROM q2 WHERE a = (SELECT i FROM o WHERE i = 5) ORDER BY k DESC, n;
