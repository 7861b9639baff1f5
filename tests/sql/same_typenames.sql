-- Affinity follows from the declared type as in CREATE TABLE.
CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b TINYINT, c BIGINT UNSIGNED, d CHARACTER(20), e VARCHAR(255), f CLOB, g DOUBLE PRECISION, h FLOAT, i DECIMAL(10,5), j BOOLEAN, k DATE, l POINT, m STRING, n BLOB, o); -- lsm
INSERT INTO t VALUES(1, '5', '5', '5', 5, 5, 5, '5', '5', '5', '5', '5', '5', '5', '5', '5');
INSERT INTO t VALUES(2, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5);
INSERT INTO t VALUES(3, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x');
SELECT typeof(a), typeof(b), typeof(c), typeof(d), typeof(e), typeof(f), typeof(g), typeof(h) FROM t;
SELECT typeof(i), typeof(j), typeof(k), typeof(l), typeof(m), typeof(n), typeof(o) FROM t;
SELECT count(*) FROM t WHERE a = '5';
SELECT count(*) FROM t WHERE d = 5;
SELECT count(*) FROM t WHERE o = 5;
SELECT count(*) FROM t WHERE o = '5';
SELECT count(*) FROM t WHERE n = 5;
SELECT name, upper(type), pk FROM pragma_table_info('t') WHERE pk = 0 ORDER BY cid;
