-- Cursors of one table, opened again and again: side by side, after large rows, along
-- other ways than the time before.
CREATE TABLE t(k BLOB PRIMARY KEY, a INTEGER, b TEXT, c) WITHOUT ROWID; -- lsm
CREATE TABLE n(id INTEGER PRIMARY KEY, v); -- lsm
WITH RECURSIVE i(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < 200)
  INSERT INTO t SELECT CAST(printf('k%03d', x * 7 % 200) AS BLOB), x % 10, 'b' || x % 3, x FROM i;
INSERT INTO t VALUES(x'00ff00', 77, 'zero', NULL), (zeroblob(70000), 78, 'long', zeroblob(90000));
INSERT INTO n SELECT c, b FROM t WHERE c < 50;
--@flush t
SELECT count(*), sum(a) FROM t;
SELECT k, length(c) FROM t WHERE length(k) > 10 AND 0 OR a = 77;
SELECT length(k), length(c) FROM t WHERE k = zeroblob(70000);
SELECT a, b FROM t WHERE k = CAST('k014' AS BLOB);
SELECT (SELECT b FROM t AS u WHERE u.k = t.k), (SELECT count(*) FROM t AS w WHERE w.k < t.k),
       (SELECT v FROM n WHERE id = t.a)
  FROM t WHERE k BETWEEN CAST('k010' AS BLOB) AND CAST('k020' AS BLOB) ORDER BY k DESC;
SELECT count(*) FROM t AS x, t AS y WHERE x.k = y.k AND x.a < 5;
SELECT count(*), min(x.k), max(y.k) FROM t AS x, t AS y
  WHERE y.k > x.k AND y.k <= CAST('k1' AS BLOB) AND x.a = 3;
SELECT k, b, k, b, length(k) FROM t WHERE k >= CAST('k19' AS BLOB) ORDER BY k;
SELECT group_concat(v) FROM (SELECT v FROM n ORDER BY id DESC LIMIT 5);
UPDATE n SET v = (SELECT max(b) FROM t WHERE t.a = n.id) WHERE id < 12;
SELECT id, v FROM n WHERE id IN (1, 5, 11, 12);
DELETE FROM t WHERE k IN (SELECT k FROM t WHERE a = 3);
SELECT count(*), sum(a) FROM t;
