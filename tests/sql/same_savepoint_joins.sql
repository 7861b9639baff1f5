-- Tables that join a transaction at different depths of savepoints.
CREATE TABLE t(k PRIMARY KEY, v) WITHOUT ROWID; -- lsm
CREATE TABLE u(k PRIMARY KEY, v) WITHOUT ROWID; -- lsm
CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID; -- lsm
BEGIN;
SAVEPOINT a;
SAVEPOINT b;
INSERT INTO t VALUES(1, 'in b');
RELEASE b;
INSERT INTO t VALUES(2, 'in a');
INSERT INTO u VALUES(2, 'in a');
SELECT * FROM t, u;
ROLLBACK TO a;
SELECT count(*) FROM t;
SELECT count(*) FROM u;
INSERT INTO w VALUES(3, 'in a again');
RELEASE a;
COMMIT;
SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u), (SELECT count(*) FROM w);
-- A statement that changes nothing joins too, and hears of the next savepoint.
BEGIN;
INSERT INTO t VALUES(10, 'kept');
DELETE FROM u WHERE k = 99;
SAVEPOINT a;
INSERT INTO u VALUES(10, 'not kept');
INSERT INTO t VALUES(11, 'not kept');
ROLLBACK TO a;
COMMIT;
SELECT (SELECT group_concat(k) FROM t), (SELECT group_concat(k) FROM u);
BEGIN;
DELETE FROM u WHERE k = 99;
DELETE FROM t WHERE k = 99;
SAVEPOINT a;
INSERT INTO t VALUES(20, 'a');
SAVEPOINT b;
INSERT INTO u VALUES(21, 'b');
INSERT INTO w VALUES(21, 'b'), (22, 'b'), (21, 'twice');
INSERT INTO w VALUES(21, 'b');
ROLLBACK TO b;
INSERT INTO w VALUES(23, 'a');
RELEASE b;
SELECT (SELECT group_concat(k) FROM t), (SELECT group_concat(k) FROM u), (SELECT group_concat(k) FROM w);
ROLLBACK TO a;
COMMIT;
SELECT (SELECT group_concat(k) FROM t), (SELECT group_concat(k) FROM u), (SELECT group_concat(k) FROM w);
