-- Keys of every class in one column: NULL < numbers < TEXT < BLOB, numbers
-- compared exactly whatever their class.
CREATE TABLE t(k PRIMARY KEY, n) WITHOUT ROWID; -- lsm
INSERT INTO t(k, n) VALUES
  (x'', 1), (x'00', 2), (x'ff', 3), (x'00ff', 4), (x'0001', 5), ('', 6), ('a', 7), ('A', 8),
  ('aa', 9), ('b', 10), ('é', 11), ('z', 12), (0, 13), (1, 14), (-1, 15), (1.5, 16), (-1.5, 17),
  (9223372036854775807, 18), (-9223372036854775807, 19), (9223372036854775806, 20),
  (9223372036854774784.0, 21), (9223372036854775808.0, 22), (-9223372036854775808, 23),
  (-9223372036854777856.0, 24), (9e999, 25), (-9e999, 26), (5e-324, 27), (-5e-324, 28),
  (9007199254740992, 29), (9007199254740993, 30), (9007199254740994.0, 31), (0.1, 32), (-0.1, 33),
  (255, 34), (256, 35), (65535, 36), (65536, 37), (1e18, 38), (1e19, 39), (-1e19, 40), (2.5, 41), (2, 42), (3, 43),
  ('10', 44), ('9', 45), (CAST(x'6100' AS TEXT), 46), (CAST(x'610061' AS TEXT), 47), (x'6100', 48), (x'61', 49), (x'610061', 50),
  (4611686018427387904, 51), (4611686018427387905, 52), (4611686018427390000.5, 53), (1e-300, 54), (1e300, 55);
SELECT quote(k), typeof(k), n FROM t;
SELECT n FROM t ORDER BY k DESC;
--@flush t
SELECT quote(k), n FROM t;
SELECT n FROM t WHERE k = 1.0;
SELECT n FROM t WHERE k = 9007199254740993;
SELECT n FROM t WHERE k = 9007199254740992.0;
SELECT n FROM t WHERE k > 9007199254740992.0 LIMIT 2;
SELECT n FROM t WHERE k < 9223372036854775807 ORDER BY k DESC LIMIT 3;
SELECT n FROM t WHERE k > 9223372036854775806 LIMIT 3;
SELECT n FROM t WHERE k >= '' AND k < 'b';
SELECT n FROM t WHERE k >= x'';
SELECT n FROM t WHERE k < '';
SELECT n FROM t WHERE k BETWEEN -1 AND 1;
SELECT n FROM t WHERE k BETWEEN 'A' AND 'a';
SELECT n FROM t WHERE k IN (1, 2.0, '9', x'00', NULL, 'nobody');
INSERT INTO t VALUES(1.0, 'duplicate of integer 1');
INSERT INTO t VALUES(0.0, 'duplicate of integer 0');
INSERT INTO t VALUES(-0.0, 'duplicate of integer 0');
INSERT INTO t VALUES(9007199254740994, 'duplicate of the real');
INSERT INTO t VALUES(NULL, 'no null in a key');
