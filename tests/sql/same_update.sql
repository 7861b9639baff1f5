-- UPDATE: values, keys, keys that move into the path of the scan, other tables.
CREATE TABLE t(k INT, v INTEGER, w TEXT, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 50) INSERT INTO t SELECT i, i * i, 'w' || i FROM c;
--@flush t
UPDATE t SET v = 0 WHERE k = 7;
UPDATE t SET v = v + 1, w = w || '!' WHERE k BETWEEN 10 AND 12;
SELECT * FROM t WHERE k < 13;
UPDATE t SET k = k + 1000 WHERE k >= 1;
SELECT count(*), min(k), max(k), sum(v) FROM t;
UPDATE t SET k = k - 990;
SELECT count(*), min(k), max(k), sum(v) FROM t;
UPDATE t SET k = -k;
SELECT count(*), min(k), max(k), sum(v) FROM t;
SELECT * FROM t LIMIT 3;
UPDATE t SET v = (SELECT count(*) FROM t), w = (SELECT max(w) FROM t) WHERE k > -14;
SELECT * FROM t WHERE k > -15;
UPDATE t SET v = v WHERE 0;
SELECT changes();
CREATE TABLE src(id INTEGER PRIMARY KEY, x);
INSERT INTO src VALUES(-11, 'from src'), (-12, 'from src too'), (5, 'nobody');
UPDATE t SET w = (SELECT x FROM src WHERE id = t.k) WHERE k IN (SELECT id FROM src);
SELECT * FROM t WHERE w LIKE 'from%';
UPDATE src SET x = (SELECT v FROM t WHERE k = src.id);
SELECT * FROM src;
DELETE FROM t WHERE k IN (SELECT id FROM src);
SELECT count(*) FROM t;
DELETE FROM t WHERE v % 2 = 1;
SELECT count(*), sum(v) FROM t;
DELETE FROM t WHERE k < -30 AND k > -50;
SELECT group_concat(k) FROM t;
--@flush t
SELECT group_concat(k) FROM t;
--@compact t
SELECT group_concat(k) FROM t;
UPDATE t SET k = 'text', v = 'text' WHERE k = -30;
SELECT quote(k), quote(v) FROM t WHERE k = 'text';
