-- INTEGER PRIMARY KEY and rowids: what is one, the ends of the range, comparisons with other types, updates.
CREATE TABLE t(id INTEGER PRIMARY KEY, v); -- lsm
CREATE TABLE n(a INT PRIMARY KEY, v) WITHOUT ROWID; -- lsm
CREATE TABLE h(v); -- lsm
INSERT INTO t VALUES(-9223372036854775808, 'least'), (-1, 'minus'), (0, 'zero'), (1, 'one'), (2, 'two'), (9007199254740993, 'large'), (9223372036854775807, 'most');
INSERT INTO n SELECT * FROM t;
INSERT INTO h(rowid, v) SELECT * FROM t;
SELECT * FROM t;
SELECT id, rowid, oid, _rowid_ FROM t WHERE id < 3 ORDER BY id DESC;
.print -- equal: numbers, texts, reals, others
SELECT 1, v FROM t WHERE id = 1;
SELECT 2, v FROM t WHERE id = '1';
SELECT 3, v FROM t WHERE id = 1.0;
SELECT 4, v FROM t WHERE id = 1.5;
SELECT 5, v FROM t WHERE id = ' 1 ';
SELECT 6, v FROM t WHERE id = '1x';
SELECT 7, v FROM t WHERE id = x'31';
SELECT 8, v FROM t WHERE id = NULL;
SELECT 9, v FROM t WHERE id IS NULL;
SELECT 10, v FROM t WHERE id = 9223372036854775807;
SELECT 11, v FROM t WHERE id = 9223372036854775808;
SELECT 12, v FROM t WHERE id = 9223372036854775807.0;
SELECT 13, v FROM t WHERE id = -9223372036854775808;
SELECT 14, v FROM t WHERE id = 9007199254740992;
SELECT 15, v FROM t WHERE id = 9007199254740993;
SELECT 16, v FROM t WHERE id = 9007199254740992.0;
SELECT 17, v FROM t WHERE id IN (0, '1', 2.0, 'x', NULL, 1e300);
SELECT 18, v FROM t WHERE id IN (SELECT '2');
SELECT 19, v FROM t WHERE rowid = '0';
SELECT 20, v FROM t WHERE +id = '1';
.print -- ranges
SELECT 1, group_concat(v) FROM (SELECT v FROM t WHERE id > 0 ORDER BY id);
SELECT 2, group_concat(v) FROM (SELECT v FROM t WHERE id >= 0.5 ORDER BY id);
SELECT 3, group_concat(v) FROM (SELECT v FROM t WHERE id > 1.5 ORDER BY id);
SELECT 4, group_concat(v) FROM (SELECT v FROM t WHERE id < 1.5 ORDER BY id);
SELECT 5, group_concat(v) FROM (SELECT v FROM t WHERE id <= -0.5 ORDER BY id);
SELECT 6, group_concat(v) FROM (SELECT v FROM t WHERE id > '1' ORDER BY id);
SELECT 7, group_concat(v) FROM (SELECT v FROM t WHERE id < 'x' ORDER BY id);
SELECT 8, group_concat(v) FROM (SELECT v FROM t WHERE id > 'x' ORDER BY id);
SELECT 9, group_concat(v) FROM (SELECT v FROM t WHERE id < x'' ORDER BY id);
SELECT 10, group_concat(v) FROM (SELECT v FROM t WHERE id > NULL ORDER BY id);
SELECT 11, group_concat(v) FROM (SELECT v FROM t WHERE id > 9223372036854775806 ORDER BY id);
SELECT 12, group_concat(v) FROM (SELECT v FROM t WHERE id > 9223372036854775807 ORDER BY id);
SELECT 13, group_concat(v) FROM (SELECT v FROM t WHERE id >= 9223372036854775807.0 ORDER BY id);
SELECT 14, group_concat(v) FROM (SELECT v FROM t WHERE id < 9.3e18 ORDER BY id);
SELECT 15, group_concat(v) FROM (SELECT v FROM t WHERE id > -9.3e18 ORDER BY id);
SELECT 16, group_concat(v) FROM (SELECT v FROM t WHERE id <= -9223372036854775808 ORDER BY id);
SELECT 17, group_concat(v) FROM (SELECT v FROM t WHERE id BETWEEN -1 AND '1' ORDER BY id);
SELECT 18, group_concat(v) FROM (SELECT v FROM t WHERE id > 9007199254740992.0 AND id < 9007199254740994.0 ORDER BY id);
SELECT 19, group_concat(v) FROM (SELECT v FROM t WHERE id > 1e400 ORDER BY id);
SELECT 20, group_concat(v) FROM (SELECT v FROM t WHERE id > -1e400 ORDER BY id DESC);
.print -- the same on an INT key
SELECT 1, v FROM n WHERE a = '1';
SELECT 2, v FROM n WHERE a = 9007199254740992.0;
SELECT 3, group_concat(v) FROM (SELECT v FROM n WHERE a > 1.5 ORDER BY a);
SELECT 4, group_concat(v) FROM (SELECT v FROM n WHERE a < 'x' ORDER BY a DESC);
SELECT 5, group_concat(v) FROM (SELECT v FROM n WHERE a >= 9223372036854775807.0 ORDER BY a);
SELECT 6, group_concat(v) FROM (SELECT v FROM n WHERE a BETWEEN -1 AND '1' ORDER BY a);
INSERT INTO n VALUES('text', 't'), (1.5, 'r'), (x'01', 'b'), ('7', 'seven');
SELECT a, typeof(a), v FROM n ORDER BY a;
INSERT INTO n VALUES(7.0, 'taken');
INSERT INTO n VALUES('1.5', 'taken');
.print -- updates of the key
UPDATE t SET id = id + 1 WHERE id = 2;
UPDATE t SET id = 1 WHERE id = 3;
UPDATE t SET id = 'x' WHERE id = 3;
UPDATE t SET id = NULL WHERE id = 3;
UPDATE t SET id = '33' WHERE id = 3;
UPDATE t SET id = 34.0 WHERE id = 33;
UPDATE OR REPLACE t SET id = 1 WHERE id = 34;
UPDATE OR IGNORE t SET id = 0 WHERE id = 1;
UPDATE t SET id = id + 1 WHERE id = 9223372036854775807;
SELECT id, typeof(id), v FROM t ORDER BY id;
UPDATE h SET rowid = rowid - 1 WHERE rowid = 1;
UPDATE h SET rowid = 77 WHERE rowid = 2;
SELECT rowid, v FROM h ORDER BY rowid;
.print -- new ones
DELETE FROM t WHERE id > 100;
INSERT INTO t(v) VALUES('a');
INSERT INTO t(v) VALUES('b'), ('c');
SELECT last_insert_rowid(), max(id) FROM t;
DELETE FROM t WHERE id = (SELECT max(id) FROM t);
INSERT INTO t(v) VALUES('d');
SELECT id, v FROM t WHERE v IN ('a', 'b', 'c', 'd') ORDER BY id;
DELETE FROM t;
INSERT INTO t VALUES(-5, 'negative');
INSERT INTO t(v) VALUES('after');
SELECT * FROM t ORDER BY id;
