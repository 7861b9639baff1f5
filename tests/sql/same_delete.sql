-- DELETE: by key, ranges, index, subqueries, all, in transactions; what is left, what changes() says.
CREATE TABLE t(a INT, b TEXT, c, PRIMARY KEY(a, b)) WITHOUT ROWID; -- lsm
CREATE TABLE r(id INTEGER PRIMARY KEY, v INT, w TEXT COLLATE NOCASE, INDEX by_v (v), INDEX by_w (w, v)); -- lsm
CREATE TABLE h(x, y); -- lsm
CREATE TABLE gone(n);
INSERT INTO t WITH RECURSIVE n(i) AS (VALUES(0) UNION ALL SELECT i + 1 FROM n WHERE i < 199) SELECT i / 10, 'b' || i % 10, CASE i % 4 WHEN 0 THEN NULL ELSE i END FROM n;
INSERT INTO r SELECT a * 10 + c % 10, c, b FROM t WHERE c IS NOT NULL AND a * 10 + c % 10 > 0;
INSERT INTO h SELECT a, b FROM t;
--@flush t
DELETE FROM t WHERE a = 3 AND b = 'b3';
SELECT changes();
DELETE FROM t WHERE a = 3 AND b = 'b3';
SELECT changes();
DELETE FROM t WHERE a = 4;
SELECT changes();
DELETE FROM t WHERE a = 5 AND b > 'b4' AND b <= 'b7';
SELECT changes();
DELETE FROM t WHERE a BETWEEN 6 AND 8 AND c IS NULL;
SELECT changes();
DELETE FROM t WHERE b = 'b9';
SELECT changes();
DELETE FROM t WHERE (a, b) IN (VALUES(0, 'b0'), (1, 'b1'), (100, 'b0'));
SELECT changes(), count(*), sum(a), sum(c) FROM t;
--@flush t
DELETE FROM t WHERE a IN (SELECT a FROM t WHERE b = 'b2' AND c % 3 = 0);
SELECT changes(), count(*), sum(a), sum(c) FROM t;
DELETE FROM t WHERE c = (SELECT max(c) FROM t);
DELETE FROM t WHERE EXISTS (SELECT 1 FROM r WHERE r.v = t.c AND r.w = 'B5');
SELECT changes(), count(*), sum(a), sum(c) FROM t;
.print -- along indexes, by rowid, with OR, with LIKE
DELETE FROM r WHERE v = 13;
SELECT changes();
DELETE FROM r WHERE w = 'B1' AND v < 100;
SELECT changes();
DELETE FROM r WHERE v IN (21, 22, 23, 9999);
SELECT changes();
DELETE FROM r WHERE id > 150 OR v BETWEEN 30 AND 35;
SELECT changes();
DELETE FROM r WHERE w LIKE 'b7%';
SELECT changes(), count(*), sum(v), group_concat(DISTINCT w) FROM (SELECT * FROM r ORDER BY id);
DELETE FROM r WHERE id = 55 OR rowid = 57;
DELETE FROM r WHERE v % 2 = 0 AND w > 'b4';
SELECT id, v, w FROM r ORDER BY w, v;
SELECT count(*) FROM h;
DELETE FROM h WHERE rowid IN (1, 3, 5);
DELETE FROM h WHERE rowid > 190;
DELETE FROM h WHERE x = 7 AND y >= 'b5';
SELECT count(*), min(rowid), max(rowid) FROM h;
INSERT INTO h VALUES('new', 'new');
SELECT max(rowid) FROM h;
.print -- what was deleted comes back, and goes with a rollback
INSERT INTO t VALUES(4, 'b1', 'back');
SELECT * FROM t WHERE a = 4;
BEGIN;
DELETE FROM t;
SELECT changes() > 50, count(*) FROM t;
INSERT INTO t VALUES(1, 'only', 1);
SAVEPOINT s;
DELETE FROM t WHERE b = 'only';
SELECT count(*) FROM t;
ROLLBACK TO s;
SELECT * FROM t;
ROLLBACK;
SELECT count(*), sum(a) FROM t;
--@reopen
.nullvalue NULL
SELECT count(*), sum(a), sum(c) FROM t;
SELECT count(*), sum(v) FROM r;
.print -- everything
DELETE FROM t;
SELECT changes() > 50, count(*) FROM t;
DELETE FROM r WHERE 1;
SELECT count(*) FROM r;
SELECT count(*) FROM r WHERE v > 0;
SELECT count(*) FROM r WHERE w >= '';
DELETE FROM t;
SELECT changes();
INSERT INTO r VALUES(NULL, 1, 'a');
SELECT * FROM r;
.print -- errors
DELETE FROM t WHERE nothing = 1;
DELETE FROM nothing;
DELETE FROM t WHERE a = (SELECT 1, 2);
