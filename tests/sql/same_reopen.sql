-- What was committed is there after closing and opening, from log, memtable or table files.
CREATE TABLE t(k INTEGER, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE u(a TEXT, b REAL, c BLOB, PRIMARY KEY(a, b DESC)) WITHOUT ROWID; -- lsm
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO t SELECT i * 7 % 2003, 'value ' || i FROM c;
INSERT INTO u SELECT 'g' || (k % 10), k / 10.0, CAST(v AS BLOB) FROM t;
SELECT count(*), sum(k), sum(length(v)) FROM t;
--@reopen
SELECT count(*), sum(k), sum(length(v)) FROM t;
SELECT count(*), total(b), sum(length(c)) FROM u;
UPDATE t SET v = 'second ' || k WHERE k % 5 = 0;
DELETE FROM t WHERE k % 7 = 0;
--@flush t
--@reopen
SELECT count(*), sum(k), sum(length(v)) FROM t;
SELECT * FROM t WHERE k IN (5, 6, 7, 8);
INSERT INTO t SELECT k, 'third' FROM (SELECT b * 10 AS k FROM u) WHERE k % 49 = 0 AND k = CAST(k AS INT);
--@reopen
--@compact t
SELECT count(*), sum(k), sum(length(v)) FROM t;
SELECT count(*) FROM t WHERE v = 'third';
--@reopen
SELECT count(*), sum(k), sum(length(v)) FROM t;
SELECT a, count(*), max(b) FROM u GROUP BY a;
SELECT b FROM u WHERE a = 'g3' AND b < 20 ORDER BY b DESC LIMIT 4;
DELETE FROM t;
DELETE FROM u WHERE a > 'g4';
--@reopen
SELECT count(*) FROM t;
SELECT count(*) FROM u;
DROP TABLE u;
--@reopen
SELECT * FROM u;
CREATE TABLE u(x PRIMARY KEY, y) WITHOUT ROWID; -- lsm
SELECT count(*) FROM u;
