-- needs SQLite 3.38: to learn at planning that a text key is compared with text, not a number
-- EXPLAIN QUERY PLAN along secondary indexes: which one, what of it, whether rows are looked up.
CREATE VIRTUAL TABLE e USING lsm(id INTEGER PRIMARY KEY, host TEXT, ts INTEGER, level TEXT COLLATE NOCASE, msg, code INT UNIQUE, UNIQUE(host, ts), INDEX by_level (level, ts DESC), INDEX by_msg (msg));
CREATE VIRTUAL TABLE w USING lsm(k TEXT, n INT, v, u, PRIMARY KEY(k, n), INDEX by_n (n, k), INDEX by_v (v COLLATE NOCASE), INDEX "odd name" (u));
CREATE TABLE o(a TEXT, b INTEGER);
.eqp on
.mode list
.print -- equality, prefix and range, both ends
SELECT * FROM e WHERE level = 'x';
SELECT * FROM e WHERE level = 'x' AND ts > 5;
SELECT * FROM e WHERE level = 'x' AND ts BETWEEN 5 AND 6;
SELECT * FROM e WHERE level > 'x';
SELECT * FROM e WHERE host = 'h' AND ts = 1;
SELECT * FROM e WHERE host = 'h';
SELECT * FROM e WHERE code = 5;
SELECT * FROM e WHERE code IS NULL;
SELECT * FROM e WHERE level IN ('a', 'b');
SELECT * FROM e WHERE msg LIKE 'abc%';
SELECT * FROM e WHERE level LIKE 'abc%';
SELECT * FROM w WHERE u = 3;
.print -- the primary key is as good or better
SELECT * FROM e WHERE id = 5 AND code = 5;
SELECT * FROM e;
SELECT * FROM w WHERE k = 'a' AND n = 1;
SELECT * FROM w WHERE k > 'a';
.print -- another collation, another column
SELECT * FROM e WHERE level = 'x' COLLATE BINARY;
SELECT * FROM w WHERE v = 'x';
SELECT * FROM w WHERE v = 'x' COLLATE NOCASE;
SELECT * FROM e WHERE ts = 5;
.print -- order, both ways
SELECT * FROM e ORDER BY level, ts DESC;
SELECT * FROM e ORDER BY level DESC, ts;
SELECT * FROM e WHERE level = 'x' ORDER BY ts;
SELECT * FROM e WHERE level = 'x' ORDER BY ts DESC, id LIMIT 1;
SELECT * FROM e WHERE level = 'x' AND ts < 9 ORDER BY ts DESC LIMIT 1;
SELECT * FROM e ORDER BY code DESC LIMIT 3;
SELECT * FROM e ORDER BY host, ts;
SELECT * FROM w ORDER BY n, k;
SELECT * FROM w WHERE n = 1 ORDER BY k DESC;
.print -- sorted
SELECT * FROM e ORDER BY level, ts;
SELECT * FROM w ORDER BY v;
.print -- all that is asked for is in the index or the key
SELECT level, ts, id FROM e WHERE level = 'x';
SELECT count(*) FROM e WHERE level = 'x';
SELECT ts FROM e WHERE host = 'h' ORDER BY ts DESC LIMIT 1;
SELECT k, n FROM w WHERE n = 4;
SELECT max(code) FROM e;
SELECT DISTINCT level FROM e ORDER BY level;
.print -- joins, alternatives, writes
SELECT * FROM o JOIN e ON e.host = o.a AND e.ts = o.b;
SELECT * FROM e WHERE code = 1 OR msg = 'a';
UPDATE e SET ts = ts + 1 WHERE code = 5;
DELETE FROM e WHERE level = 'x';
