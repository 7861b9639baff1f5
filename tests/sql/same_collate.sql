-- Collations in keys and elsewhere.
CREATE TABLE n(k TEXT COLLATE NOCASE, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE r(k TEXT COLLATE RTRIM, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE m(a TEXT COLLATE NOCASE, b TEXT, v TEXT COLLATE NOCASE, PRIMARY KEY(a DESC, b)) WITHOUT ROWID; -- lsm
INSERT INTO n VALUES('abc', 1), ('Abd', 2), ('ABE', 3), ('_', 4), ('É', 5), ('é', 6), ('[', 7), ('Z', 8);
INSERT INTO n VALUES('ABC', 'duplicate');
INSERT OR REPLACE INTO n VALUES('ABD', 'replaced');
SELECT k, v FROM n;
SELECT k, v FROM n WHERE k = 'aBc';
SELECT k, v FROM n WHERE k > 'ABC' ORDER BY k;
SELECT k, v FROM n WHERE k > 'ABC' COLLATE BINARY ORDER BY k;
SELECT k, v FROM n WHERE k = 'ABC' COLLATE BINARY;
SELECT k, v FROM n WHERE k = 'abc' COLLATE BINARY;
SELECT k, v FROM n ORDER BY k COLLATE BINARY;
SELECT k, v FROM n WHERE k IN ('ABC', 'abe', 'é');
SELECT k, v FROM n WHERE k LIKE 'ab%';
SELECT k, v FROM n WHERE k GLOB 'ab*';
SELECT k FROM n WHERE k >= 'a' AND k < 'b' ORDER BY k DESC;
INSERT INTO r VALUES('a', 1), ('b  ', 2), ('c d ', 3);
INSERT INTO r VALUES('a   ', 'duplicate');
SELECT '[' || k || ']', v FROM r;
SELECT v FROM r WHERE k = 'b';
SELECT v FROM r WHERE k = 'b    ';
SELECT v FROM r WHERE k > 'b ';
SELECT '[' || k || ']' FROM r ORDER BY k DESC;
INSERT INTO m VALUES('x', 'A', 'One'), ('X', 'a', 'two'), ('y', 'a', 'ONE'), ('Y', 'b', 'TWO');
SELECT * FROM m;
SELECT * FROM m WHERE a = 'X';
SELECT * FROM m WHERE a = 'X' AND b = 'a';
SELECT * FROM m WHERE v = 'one' ORDER BY b;
SELECT count(DISTINCT v), count(DISTINCT a) FROM m;
SELECT v, count(*) FROM m GROUP BY v;
UPDATE n SET k = upper(k) WHERE k = 'abc';
SELECT k FROM n WHERE k = 'abc';
UPDATE n SET k = 'abe' WHERE k = 'ABC';
SELECT count(*) FROM n;
