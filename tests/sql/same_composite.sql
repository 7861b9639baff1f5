-- Composite keys: prefixes, a range on the next column, mixed directions.
CREATE TABLE e(host TEXT NOT NULL, ts INTEGER, seq, msg, PRIMARY KEY(host, ts DESC, seq)) WITHOUT ROWID; -- lsm
WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 119)
  INSERT INTO e SELECT 'h' || (i % 4), i / 8, i % 3 + 0.5 * (i % 2), 'm' || i FROM c;
--@flush e
SELECT host, ts, seq, msg FROM e WHERE host = 'h1';
SELECT host, ts, seq, msg FROM e WHERE host = 'h2' AND ts = 7;
SELECT ts, seq FROM e WHERE host = 'h3' AND ts > 11;
SELECT ts, seq FROM e WHERE host = 'h3' AND ts >= 11 AND ts < 13;
SELECT ts, seq FROM e WHERE host = 'h3' AND ts BETWEEN 3 AND 4 AND seq > 1;
SELECT ts, seq FROM e WHERE host = 'h3' AND ts <= 1 ORDER BY ts DESC, seq;
SELECT ts, seq FROM e WHERE host = 'h0' ORDER BY ts, seq DESC LIMIT 6;
SELECT host, ts, seq FROM e ORDER BY host DESC, ts, seq DESC LIMIT 5;
SELECT host, ts, seq FROM e ORDER BY host, ts DESC, seq LIMIT 5;
SELECT host, ts, seq FROM e ORDER BY host, ts, seq LIMIT 5;
SELECT count(*) FROM e WHERE host > 'h1';
SELECT count(*) FROM e WHERE host >= 'h1' AND host < 'h3';
SELECT count(*) FROM e WHERE host IN ('h0', 'h3', 'nobody') AND ts IN (1, 2, 99);
SELECT msg FROM e WHERE host IN ('h3', 'h0') AND ts = 2 ORDER BY host, ts DESC, seq;
SELECT msg FROM e WHERE ts = 2 ORDER BY msg;
SELECT msg FROM e WHERE host = 'h1' AND seq = 1.5 ORDER BY msg;
SELECT (SELECT msg FROM e WHERE host = 'h1' ORDER BY ts DESC, seq LIMIT 1), (SELECT msg FROM e WHERE host = 'h1' ORDER BY ts, seq LIMIT 1);
SELECT host, count(*), min(ts), max(ts) FROM e GROUP BY host;
SELECT DISTINCT host FROM e;
INSERT INTO e SELECT host, ts, seq, 'again' FROM e WHERE host = 'h1' AND ts = 5;
INSERT OR IGNORE INTO e SELECT host, ts, seq, 'again' FROM e WHERE host = 'h1' AND ts = 5;
SELECT msg FROM e WHERE host = 'h1' AND ts = 5;
INSERT OR REPLACE INTO e SELECT host, ts, seq, 'again' FROM e WHERE host = 'h1' AND ts = 5;
SELECT msg FROM e WHERE host = 'h1' AND ts = 5;
INSERT INTO e VALUES(NULL, 1, 1, 1);
INSERT INTO e VALUES('h1', NULL, 1, 1);
INSERT INTO e VALUES('h1', 1, NULL, 1);
UPDATE e SET ts = ts + 100 WHERE host = 'h1' AND ts >= 10;
SELECT ts, seq, msg FROM e WHERE host = 'h1' AND ts > 5;
DELETE FROM e WHERE host = 'h1' AND ts > 100;
SELECT count(*), max(ts) FROM e WHERE host = 'h1';
CREATE TABLE d(a DESC_TYPE, b BLOB, c TEXT, v, PRIMARY KEY(a DESC, b DESC, c)) WITHOUT ROWID; -- lsm
INSERT INTO d VALUES(1, x'', '', 1), (1, x'00', '', 2), (1, x'0000', '', 3), (2, x'ff', 'a', 4), (2, x'ffff', 'a', 5), (2, x'ff00', 'a', 6), ('t', 'x', 'b', 7), ('t', 'x', 'bb', 8), ('tt', 'x', 'b', 9), ('t', 'xx', 'a', 10), (-5, 0.5, 'z', 11), (-5, -0.5, 'z', 12);
SELECT v, quote(a), quote(b), quote(c) FROM d;
SELECT v FROM d WHERE a = 2 AND b < x'ffff';
SELECT v FROM d WHERE a = 't' ORDER BY b, c DESC;
SELECT v FROM d WHERE a > 1;
SELECT v FROM d WHERE a < 't' ORDER BY a, b, c DESC;
