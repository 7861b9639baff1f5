-- Keys that are prefixes of each other, with zero bytes, in several columns.
CREATE TABLE p(a TEXT, b TEXT, n, PRIMARY KEY(a, b)) WITHOUT ROWID; -- lsm
INSERT INTO p VALUES('', '', 1), ('', 'a', 2), ('a', '', 3), ('a', 'a', 4), ('aa', '', 5), ('a', 'aa', 6), (CAST(x'6100' AS TEXT), '', 7), (CAST(x'610061' AS TEXT), '', 8), (CAST(x'6100' AS TEXT), 'a', 9), (CAST(x'6101' AS TEXT), '', 10), (CAST(x'00' AS TEXT), CAST(x'00' AS TEXT), 11), (CAST(x'0000' AS TEXT), '', 12), (CAST(x'00' AS TEXT), '', 13), (CAST(x'61ff' AS TEXT), '', 14), (CAST(x'6100ff' AS TEXT), '', 15);
SELECT n, hex(a), hex(b) FROM p;
SELECT n FROM p WHERE a = 'a';
SELECT n FROM p WHERE a = '';
SELECT n FROM p WHERE a > 'a';
SELECT n FROM p WHERE a = CAST(x'6100' AS TEXT);
SELECT n FROM p WHERE a = 'a' AND b > '';
SELECT n FROM p WHERE a = 'a' AND b >= '' AND b < 'aa';
SELECT n FROM p ORDER BY a DESC, b DESC;
CREATE TABLE q(a BLOB, b BLOB, n, PRIMARY KEY(a DESC, b)) WITHOUT ROWID; -- lsm
INSERT INTO q SELECT CAST(a AS BLOB), CAST(b AS BLOB), n FROM p;
SELECT n, hex(a), hex(b) FROM q;
SELECT n FROM q WHERE a = x'61';
SELECT n FROM q WHERE a < x'6100';
SELECT n FROM q WHERE a >= x'6100' AND a <= x'6101';
