-- DISTINCT and GROUP BY along a key or an index, across it, in another order or direction.
CREATE TABLE t(a TEXT, b INT, c INT, d, PRIMARY KEY(a, b DESC, c)) WITHOUT ROWID; -- lsm
CREATE TABLE u(id INTEGER PRIMARY KEY, x TEXT COLLATE NOCASE, y, z, INDEX xy (x, y), INDEX yz (y, z)); -- lsm
INSERT INTO t WITH RECURSIVE n(i) AS (VALUES(0) UNION ALL SELECT i + 1 FROM n WHERE i < 99) SELECT 'a' || (i % 4), i % 5, i, i % 3 FROM n;
INSERT INTO u WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 60) SELECT i, CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN 'Abc' WHEN 2 THEN 'aBC' WHEN 3 THEN 'b' ELSE 'B' END, CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN 1.0 WHEN 2 THEN 1 ELSE 'one' END, i % 2 FROM n;
--@flush t
SELECT DISTINCT a FROM t;
SELECT DISTINCT a FROM t ORDER BY a DESC;
SELECT DISTINCT a, b FROM t ORDER BY a, b DESC;
SELECT DISTINCT a, b FROM t ORDER BY a, b;
SELECT count(*), sum(b) FROM (SELECT DISTINCT b, a FROM t);
SELECT * FROM (SELECT DISTINCT b, a FROM t) ORDER BY 1, 2;
SELECT * FROM (SELECT DISTINCT b FROM t WHERE a = 'a1') ORDER BY 1;
SELECT * FROM (SELECT DISTINCT c, b, a FROM t) ORDER BY 1 LIMIT 5;
SELECT * FROM (SELECT DISTINCT d FROM t) ORDER BY 1;
SELECT * FROM (SELECT DISTINCT a FROM t WHERE d = 2) ORDER BY 1;
SELECT * FROM (SELECT DISTINCT a FROM t WHERE c > 97) ORDER BY 1;
SELECT * FROM (SELECT DISTINCT a FROM t WHERE c % 4 = 2) ORDER BY 1;
SELECT * FROM (SELECT DISTINCT b, a FROM t WHERE a IN ('a3', 'a0') AND b > 1) ORDER BY 1, 2;
SELECT * FROM (SELECT DISTINCT a, d FROM t) ORDER BY 1, 2;
SELECT DISTINCT a || '' FROM t ORDER BY 1;
SELECT count(DISTINCT a), count(DISTINCT b), count(DISTINCT d) FROM t;
SELECT a, count(*), min(b), max(c) FROM t GROUP BY a;
SELECT a, count(*) FROM t GROUP BY a ORDER BY a DESC;
SELECT * FROM (SELECT b, a, count(*), sum(c) FROM t GROUP BY b, a) ORDER BY 1, 2;
SELECT b, a, count(*), sum(c) FROM t GROUP BY b, a ORDER BY b, a;
SELECT b, a, count(*) FROM t GROUP BY a, b ORDER BY a, b;
SELECT b, a, count(*) FROM t GROUP BY a, b ORDER BY a DESC, b;
SELECT b, a, count(*) FROM t GROUP BY a, b ORDER BY b, a;
SELECT a, count(*) FROM t WHERE b = 2 GROUP BY a HAVING count(*) > 4;
SELECT a, count(*) FROM t GROUP BY a ORDER BY count(*), a;
SELECT DISTINCT a, count(*) FROM t GROUP BY a, b ORDER BY a;
SELECT min(a), max(a) FROM t;
SELECT min(c), max(c) FROM t WHERE a = 'a2' AND b = 1;
.print -- folded text, nulls, numbers of two types
SELECT lower(x), count(*) FROM u GROUP BY x;
SELECT lower(x) FROM (SELECT DISTINCT x FROM u) ORDER BY 1;
SELECT lower(x), y, count(*) FROM u GROUP BY x, y;
SELECT lower(x), y FROM (SELECT DISTINCT y, x FROM u) ORDER BY 1, 2;
SELECT count(*) FROM (SELECT DISTINCT x COLLATE BINARY FROM u);
SELECT count(*) FROM (SELECT DISTINCT y FROM u);
SELECT * FROM (SELECT y, z, count(*) FROM u GROUP BY y, z) ORDER BY 1, 2, 3;
SELECT * FROM (SELECT z, y, count(*) FROM u GROUP BY z, y) ORDER BY 1, 2, 3;
SELECT count(*) FROM (SELECT DISTINCT z, y FROM u);
SELECT lower(x), count(DISTINCT y) FROM u GROUP BY x;
SELECT count(*) FROM (SELECT DISTINCT x, id FROM u);
SELECT count(*) FROM (SELECT DISTINCT id FROM u);
SELECT count(*) FROM (SELECT DISTINCT rowid, x FROM u);
.print -- joins
SELECT DISTINCT t.a FROM t JOIN u ON u.id = t.c WHERE u.x = 'b' ORDER BY t.a;
SELECT t.a, count(*) FROM t JOIN u ON u.id = t.c GROUP BY t.a;
SELECT count(*) FROM (SELECT DISTINCT t.a, u.x FROM t JOIN u ON u.id = t.c);
SELECT a FROM t WHERE c < 5 UNION SELECT x FROM u WHERE id < 3 ORDER BY 1;
