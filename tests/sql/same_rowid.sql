-- INTEGER PRIMARY KEY is the rowid; with no key at all there is a hidden one.
CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT); -- lsm
INSERT INTO t(body) VALUES('one'), ('two');
SELECT last_insert_rowid();
INSERT INTO t VALUES(NULL, 'three');
INSERT INTO t VALUES(10, 'ten');
INSERT INTO t(body) VALUES('eleven');
SELECT last_insert_rowid();
SELECT id, rowid, body FROM t;
SELECT body FROM t WHERE id = 10;
SELECT body FROM t WHERE rowid = 11;
SELECT body FROM t WHERE id BETWEEN 2 AND 10 ORDER BY id DESC;
SELECT max(id), min(id) FROM t;
INSERT INTO t VALUES(10, 'again');
INSERT OR REPLACE INTO t VALUES(10, 'ten again');
INSERT OR IGNORE INTO t VALUES(10, 'ignored');
SELECT body FROM t WHERE id = 10;
INSERT INTO t VALUES('12', 'twelve'), (13.0, 'thirteen'), (-5, 'minus five'), (-9223372036854775808, 'least');
SELECT id, typeof(id), body FROM t;
INSERT INTO t VALUES('abc', 'not a number');
INSERT INTO t VALUES(1.5, 'not whole');
INSERT INTO t VALUES(x'00', 'a blob');
UPDATE t SET id = id + 100 WHERE id = 1;
UPDATE t SET id = 2 WHERE id = 101;
SELECT id, body FROM t WHERE id IN (1, 2, 101);
UPDATE t SET rowid = 200 WHERE id = 3;
SELECT id FROM t WHERE body = 'three';
DELETE FROM t WHERE id > 11;
INSERT INTO t(body) VALUES('after delete');
SELECT last_insert_rowid();
--@reopen
INSERT INTO t(body) VALUES('after reopen');
SELECT last_insert_rowid();
SELECT id, body FROM t;
INSERT INTO t VALUES(9223372036854775807, 'greatest');
SELECT id FROM t ORDER BY id DESC LIMIT 2;
CREATE TABLE h(a, b TEXT); -- lsm
INSERT INTO h VALUES(1, 'x'), (2, 'y'), (1, 'x'), (NULL, NULL);
SELECT last_insert_rowid();
SELECT rowid, a, b FROM h;
SELECT a FROM h WHERE rowid = 2;
UPDATE h SET b = 'z' WHERE a = 1;
DELETE FROM h WHERE rowid = 3;
SELECT rowid, a, b FROM h;
SELECT rowid, a FROM h WHERE rowid >= 2 ORDER BY rowid DESC;
INSERT INTO h(rowid, a) VALUES(77, 'given');
INSERT INTO h(a) VALUES('next');
SELECT rowid, a FROM h;
