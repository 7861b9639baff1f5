-- needs SQLite 3.38: sqlite3_vtab_in(), for IN with a column of another type
-- Searches where equal is not the same: numbers and texts that look like them, collations of
-- the key that are not the column's, IN lists; and the order of what they find.
CREATE TABLE t(a, b, PRIMARY KEY(a, b)) WITHOUT ROWID; -- lsm
CREATE TABLE x(a TEXT, b, c, PRIMARY KEY(a, b DESC)) WITHOUT ROWID; -- lsm
CREATE TABLE n(a TEXT, b, PRIMARY KEY(a COLLATE NOCASE, b)) WITHOUT ROWID; -- lsm
CREATE TABLE r(a TEXT COLLATE RTRIM, v, PRIMARY KEY(a COLLATE NOCASE)) WITHOUT ROWID; -- lsm
CREATE TABLE o(i INTEGER, t TEXT, n NUMERIC);
INSERT INTO o VALUES(5, '5', 5), (-3, 'x', ' '), (7, ' 7', 'abc');
INSERT INTO t VALUES(5, 1), (5, 3), ('5', 2), ('05', 4), (6, 1), ('x', 1), (x'35', 9), (' ', 0);
INSERT INTO x VALUES('5', 1, 0), ('5', 3, 0), ('05', 2, 0), ('6', 1, 0), ('x', 1, 0), (' 5e0', 4, 0), (' ', 6, 0);
--@flush t
INSERT INTO x VALUES('5.0', 0, 0), ('5.00000000000000000000000000001', 7, 0), ('-3', 1, 0), ('0.5e1', 9, 0);
.print -- one value, several spellings: in the order of what follows
SELECT b FROM t WHERE a = (SELECT i FROM o) ORDER BY b;
SELECT b FROM t WHERE a = (SELECT i FROM o) ORDER BY b DESC;
SELECT b FROM x WHERE a = (SELECT i FROM o) ORDER BY b;
SELECT b FROM x WHERE a = (SELECT i FROM o) ORDER BY b DESC LIMIT 2;
SELECT b FROM x WHERE a = CAST('5' AS REAL) AND b > 1 ORDER BY b;
SELECT b FROM x WHERE a = CAST('5' AS REAL) AND b = 3;
SELECT quote(a), b FROM t WHERE a = CAST('5' AS INTEGER) ORDER BY b;
SELECT quote(a), b FROM t WHERE a = 5 ORDER BY b;
SELECT quote(a), b FROM x WHERE a = 5 ORDER BY b;
.print -- IN, whose list has an affinity when it is a column
SELECT quote(a), b FROM t WHERE a IN (SELECT i FROM o) ORDER BY a, b;
SELECT quote(a), b FROM x WHERE a IN (SELECT i FROM o) ORDER BY a, b;
SELECT quote(a), b FROM x WHERE a IN (SELECT i FROM o) ORDER BY a DESC, b;
SELECT quote(a), b FROM t WHERE a IN (SELECT t FROM o) ORDER BY a, b;
SELECT quote(a), b FROM t WHERE a IN (5, '5', NULL, 5.0, x'35') ORDER BY a, b;
SELECT quote(a), b FROM x WHERE a IN (5, '5', NULL) ORDER BY a, b;
SELECT quote(a), b FROM x WHERE a IN ('x', '5', '6') AND b IN (3, 1) ORDER BY a, b;
SELECT quote(a), b FROM x WHERE a IN ('x', '5', '6') AND b IN (3, 1) ORDER BY a DESC, b;
SELECT quote(a), b FROM x WHERE a IN ('x', '5', '6') AND b < 2 ORDER BY a, b DESC;
SELECT quote(a), b FROM t WHERE a IN (NULL);
SELECT quote(a), b FROM t WHERE a IN (SELECT i FROM o WHERE i > 100);
SELECT o.i, quote(t.a), t.b FROM o JOIN t ON t.a IN (o.i, o.t) ORDER BY o.i, t.a, t.b;
.print -- ranges that end at a text that may stand for numbers' column
SELECT quote(a) FROM x WHERE a < (SELECT n FROM o WHERE i = -3) ORDER BY a;
SELECT quote(a) FROM t WHERE a < (SELECT n FROM o WHERE i = -3) ORDER BY a, b;
SELECT quote(a) FROM x WHERE a <= (SELECT n FROM o WHERE i = 7) ORDER BY a DESC;
SELECT quote(a) FROM x WHERE a > (SELECT n FROM o WHERE i = -3) ORDER BY a;
SELECT quote(a) FROM x WHERE a < 'abc' AND a >= ' 5' ORDER BY a;
.print -- a key by another collation than its column's
INSERT INTO n VALUES('b', 1), ('A', 2), ('a', 1), ('B', 0), ('C', 4);
SELECT * FROM n ORDER BY a, b;
SELECT * FROM n ORDER BY a DESC, b DESC;
SELECT * FROM n ORDER BY a COLLATE NOCASE, b;
SELECT * FROM n WHERE a = 'a' COLLATE NOCASE ORDER BY a;
SELECT * FROM n WHERE a = 'a' ORDER BY a, b;
SELECT a, count(*) FROM n GROUP BY a;
SELECT count(DISTINCT a) FROM n;
INSERT INTO r VALUES('a', 1), ('a ', 2), ('b', 3), ('B ', 4);
SELECT count(DISTINCT a), count(*) FROM r;
SELECT quote(a) FROM r WHERE a = 'A' COLLATE NOCASE;
UPDATE r SET v = v + 1;
SELECT sum(v) FROM r;
DELETE FROM r WHERE v > 0;
SELECT changes(), count(*) FROM r;
