-- needs SQLite 3.38: to learn at planning that a text key is compared with text, not a number
-- EXPLAIN QUERY PLAN: seeks and ranges, never a sort along the key, index and columns named.
CREATE VIRTUAL TABLE kv USING lsm;
CREATE VIRTUAL TABLE n USING lsm(id INTEGER PRIMARY KEY, body TEXT);
CREATE VIRTUAL TABLE e USING lsm(host TEXT NOT NULL, ts INTEGER, seq INTEGER, msg, PRIMARY KEY(host, ts DESC, seq));
CREATE VIRTUAL TABLE c USING lsm(k TEXT COLLATE NOCASE PRIMARY KEY, v);
CREATE TABLE o(a TEXT, b INTEGER);
.eqp on
.mode list
.print -- the whole table, along the key both ways, and against it
SELECT * FROM kv;
SELECT * FROM kv ORDER BY key;
SELECT * FROM kv ORDER BY key DESC LIMIT 1;
SELECT * FROM kv ORDER BY value;
.print -- a point, points, ranges
SELECT * FROM kv WHERE key = 1;
SELECT * FROM kv WHERE key IN (1, 2, 3);
SELECT * FROM kv WHERE key > 1;
SELECT * FROM kv WHERE key BETWEEN 1 AND 2 ORDER BY key DESC;
SELECT * FROM n WHERE id = 1;
SELECT * FROM n WHERE rowid = 1;
SELECT * FROM n WHERE id >= 1 AND id < 5 ORDER BY id;
SELECT * FROM n ORDER BY id DESC LIMIT 3;
.print -- a composite key
SELECT * FROM e WHERE host = 'a';
SELECT * FROM e WHERE host = 'a' ORDER BY ts DESC, seq;
SELECT * FROM e WHERE host = 'a' ORDER BY ts, seq DESC;
SELECT * FROM e WHERE host = 'a' AND ts > 5 ORDER BY ts DESC;
SELECT * FROM e WHERE host = 'a' AND ts BETWEEN 5 AND 6;
SELECT * FROM e WHERE host = 'a' AND ts = 5 AND seq = 6;
SELECT * FROM e WHERE host > 'a' ORDER BY host, ts DESC, seq;
SELECT * FROM e ORDER BY host DESC, ts, seq DESC;
SELECT * FROM e WHERE ts = 5;
.print -- these do need a sort
SELECT * FROM e ORDER BY host, ts;
SELECT * FROM e ORDER BY ts;
.print -- joins, prefixes, other collations
SELECT * FROM o JOIN e ON e.host = o.a AND e.ts = o.b;
SELECT * FROM c WHERE k = 'x';
SELECT * FROM c WHERE k LIKE 'x%';
SELECT * FROM c WHERE k = 'x' COLLATE BINARY;
SELECT * FROM c ORDER BY k COLLATE BINARY;
