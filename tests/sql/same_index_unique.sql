-- UNIQUE: which constraint is named, what each conflict clause leaves behind.
CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE, b TEXT COLLATE NOCASE UNIQUE, c, d, UNIQUE(c, d)); -- lsm
INSERT INTO t VALUES(1, 1, 'a', 1, 1), (2, 2, 'b', 1, 2), (3, 3, 'c', 2, 1);
INSERT INTO t VALUES(4, 1, 'd', 5, 5);
INSERT INTO t VALUES(4, 4, 'A', 5, 5);
INSERT INTO t VALUES(4, 4, 'd', 1, 2);
INSERT INTO t VALUES(1, 1, 'a', 1, 1);
INSERT INTO t VALUES(9, 1, 'b', 2, 1);
INSERT INTO t VALUES(9, 1, 'b', 9, 9);
INSERT INTO t VALUES(4, 1.0, 'd', 5, 5);
SELECT * FROM t ORDER BY id;
-- NULL is not equal to NULL
INSERT INTO t VALUES(10, NULL, NULL, NULL, 1), (11, NULL, NULL, NULL, 1), (12, NULL, NULL, 1, NULL), (13, NULL, NULL, 1, NULL);
SELECT count(*) FROM t WHERE a IS NULL;
SELECT id FROM t WHERE a IS NULL AND id > 11 ORDER BY id;
SELECT id FROM t WHERE c IS NULL AND d = 1 ORDER BY id;
SELECT id FROM t WHERE c = 1 AND d IS NULL ORDER BY id;
SELECT count(*) FROM t WHERE a = NULL;
-- conflict clauses
INSERT OR IGNORE INTO t VALUES(20, 20, 'x', 20, 20), (21, 1, 'y', 21, 21), (22, 22, 'X', 22, 22), (23, 23, 'z', 23, 23);
SELECT changes(), group_concat(id) FROM (SELECT id FROM t ORDER BY id);
INSERT OR FAIL INTO t VALUES(30, 30, 'p', 30, 30), (31, 30, 'q', 31, 31), (32, 32, 'r', 32, 32);
SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id);
INSERT OR ABORT INTO t VALUES(40, 40, 'k', 40, 40), (41, 40, 'q', 41, 41);
SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id);
BEGIN;
INSERT INTO t VALUES(50, 50, 's', 50, 50);
INSERT INTO t VALUES(51, 51, 't', 51, 51), (52, 50, 'u', 52, 52);
SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id);
INSERT OR ROLLBACK INTO t VALUES(53, 53, 'v', 53, 53), (54, 50, 'w', 54, 54);
SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id);
COMMIT;
-- REPLACE takes every row in the way, with all its entries
REPLACE INTO t VALUES(60, 1, 'B', 2, 1);
SELECT changes();
SELECT * FROM t WHERE id < 10 OR id = 60 ORDER BY id;
INSERT INTO t VALUES(1, 100, 'a', 1, 1), (2, 2, 'bb', 1, 2), (3, 3, 'c', 3, 3);
SELECT * FROM t WHERE id < 10 ORDER BY id;
REPLACE INTO t(a, b, c, d) VALUES(2, 'new', 7, 7), (100, 'new2', 8, 8);
SELECT * FROM t ORDER BY id;
-- UPDATE: a row is not in its own way
UPDATE t SET a = a, b = upper(b), c = c WHERE id < 30;
SELECT * FROM t WHERE b = 'C' OR b = 'x' ORDER BY id;
UPDATE t SET a = 23 WHERE id = 20;
UPDATE t SET b = 'Z' WHERE id = 20;
UPDATE OR IGNORE t SET a = 23, c = 99 WHERE id IN (20, 3);
SELECT * FROM t WHERE id IN (20, 3) ORDER BY id;
UPDATE OR REPLACE t SET a = 23 WHERE id = 20;
SELECT id, a FROM t ORDER BY id;
UPDATE t SET id = id + 1000, a = a + 1000 WHERE a > 0;
SELECT * FROM t ORDER BY id;
UPDATE t SET id = 10 WHERE id = 11;
UPDATE OR REPLACE t SET id = 10, b = 'moved' WHERE id = 11;
SELECT * FROM t WHERE id < 20 ORDER BY id;
SELECT id FROM t WHERE b = 'MOVED';
DELETE FROM t WHERE b = 'moved';
INSERT INTO t VALUES(10, 5, 'moved', 6, 6);
SELECT * FROM t WHERE b = 'moved';
--@flush t
INSERT INTO t VALUES(70, 5, 'n', 6, 7);
INSERT INTO t VALUES(70, 6, 'MOVED', 6, 7);
INSERT INTO t VALUES(70, 6, 'n', 6, 6);
--@compact t
INSERT INTO t VALUES(70, 5, 'n', 6, 7);
--@reopen
INSERT INTO t VALUES(70, 6, 'MOVED', 6, 7);
DELETE FROM t;
INSERT INTO t VALUES(1, 1, 'a', 1, 1), (2, 2, 'b', 1, 2), (3, 3, 'c', 2, 1);
SELECT * FROM t ORDER BY id;
-- by another key, and without one
CREATE TABLE w(k TEXT, n INT, u UNIQUE, PRIMARY KEY(k, n DESC), UNIQUE(n, u)) WITHOUT ROWID; -- lsm
INSERT INTO w VALUES('a', 1, 1), ('a', 2, 2), ('b', 1, 3);
INSERT INTO w VALUES('a', 1, 1);
INSERT INTO w VALUES('c', 1, 1);
INSERT INTO w VALUES('a', 1, 7);
UPDATE w SET u = 3 WHERE k = 'a' AND n = 1;
UPDATE OR REPLACE w SET u = 3, k = 'c' WHERE k = 'a' AND n = 1;
SELECT * FROM w ORDER BY k, n DESC;
REPLACE INTO w VALUES('a', 2, 3), ('z', 9, 9);
SELECT * FROM w ORDER BY k, n DESC;
DELETE FROM w WHERE u = 9;
INSERT INTO w VALUES('z', 9, 9);
SELECT * FROM w WHERE u = 9;
CREATE TABLE h(a UNIQUE, b, UNIQUE(b)); -- lsm
INSERT INTO h VALUES(1, 1), (2, 2);
INSERT INTO h VALUES(1, 1);
INSERT INTO h(rowid, a, b) VALUES(1, 1, 1);
INSERT INTO h(rowid, a, b) VALUES(1, 7, 7);
UPDATE h SET rowid = 2 WHERE a = 1;
UPDATE OR REPLACE h SET b = 2 WHERE a = 1;
SELECT rowid, * FROM h;
REPLACE INTO h(rowid, a, b) VALUES(9, 1, 9);
SELECT rowid, * FROM h;
DROP TABLE h;
CREATE TABLE h(a UNIQUE, b); -- lsm
INSERT INTO h VALUES(1, 1);
SELECT rowid, * FROM h;
