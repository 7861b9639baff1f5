-- A statement never sees its own writes.
CREATE TABLE t(k INTEGER, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE u(id INTEGER PRIMARY KEY, x); -- lsm
CREATE TABLE o(k INTEGER PRIMARY KEY, v);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 500) INSERT INTO t SELECT i, 'r' || i FROM c;
INSERT INTO t SELECT k + 500, v FROM t;
SELECT count(*), max(k) FROM t;
INSERT INTO t SELECT k + 1000, v FROM t WHERE k > 100 ORDER BY k DESC;
SELECT count(*), max(k), sum(k) FROM t;
INSERT INTO u(x) SELECT v FROM t WHERE k <= 10;
INSERT INTO u(x) SELECT x || '+' FROM u;
SELECT * FROM u;
INSERT INTO o SELECT * FROM t;
DELETE FROM t WHERE k IN (SELECT k FROM t WHERE k % 3 = 0);
SELECT count(*), sum(k) FROM t;
INSERT OR REPLACE INTO t SELECT k, v || '*' FROM o WHERE k % 2 = 0;
SELECT count(*), sum(k), sum(v LIKE '%*') FROM t;
UPDATE t SET k = k + 1 WHERE k = (SELECT max(k) FROM t);
SELECT max(k) FROM t;
DELETE FROM o WHERE k IN (SELECT k FROM t);
SELECT count(*) FROM o;
UPDATE t SET v = (SELECT count(*) FROM t t2 WHERE t2.k < t.k) WHERE k < 20;
SELECT * FROM t WHERE k < 20;
DELETE FROM t WHERE (SELECT count(*) FROM t) > 100 AND k > 10;
SELECT count(*) FROM t;
