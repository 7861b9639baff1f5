-- Enough rows for several files, in a pseudo-random order, with overwrites and deletes.
CREATE TABLE t(k INTEGER, s TEXT, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
WITH RECURSIVE c(i, x) AS (SELECT 1, 12345 UNION ALL SELECT i + 1, (x * 1103515245 + 12345) % 2147483648 FROM c WHERE i < 20000)
  INSERT OR REPLACE INTO t SELECT x % 30011, 's' || x, i FROM c;
SELECT count(*), sum(k), sum(v), min(s), max(s) FROM t;
--@flush t
DELETE FROM t WHERE k % 3 = 1;
UPDATE t SET v = -v, s = s || 'u' WHERE k % 5 = 0;
--@flush t
WITH RECURSIVE c(i, x) AS (SELECT 1, 777 UNION ALL SELECT i + 1, (x * 1103515245 + 12345) % 2147483648 FROM c WHERE i < 5000)
  INSERT OR IGNORE INTO t SELECT x % 30011, 'n' || x, i FROM c;
SELECT count(*), sum(k), sum(v), min(s), max(s) FROM t;
SELECT k, v FROM t WHERE k >= 15000 ORDER BY k LIMIT 10;
SELECT k, v FROM t WHERE k <= 15000 ORDER BY k DESC LIMIT 10;
SELECT count(*) FROM t WHERE k BETWEEN 1000 AND 2000;
--@compact t
SELECT count(*), sum(k), sum(v), min(s), max(s) FROM t;
SELECT k, v FROM t WHERE k <= 15000 ORDER BY k DESC LIMIT 10;
SELECT count(*) FROM t a WHERE EXISTS (SELECT 1 FROM t b WHERE b.k = a.k + 1);
SELECT sum(n), sum(first) FROM (SELECT count(*) AS n, min(k) AS first FROM t GROUP BY k / 100);
