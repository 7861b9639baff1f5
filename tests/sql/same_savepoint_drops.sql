-- Tables dropped in a transaction that ROLLBACK TO brings back, and tables whose CREATE it takes back.
CREATE TABLE t(k PRIMARY KEY, v UNIQUE) WITHOUT ROWID; -- lsm
CREATE TABLE ordinary(x);
INSERT INTO t VALUES(1, 'a'), (2, 'b');
.print -- what came after the savepoint goes
BEGIN;
SAVEPOINT s;
DELETE FROM t WHERE k = 1;
INSERT INTO t VALUES(7, 'not kept 7');
DROP TABLE t;
ROLLBACK TO s;
SELECT * FROM t ORDER BY k;
SELECT k FROM t WHERE v = 'not kept 7';
COMMIT;
SELECT * FROM t ORDER BY k;
.print -- what came before it is committed
BEGIN;
INSERT INTO t VALUES(3, 'kept 3');
SAVEPOINT s;
INSERT INTO t VALUES(8, 'not kept 8');
DROP TABLE t;
ROLLBACK TO s;
COMMIT;
--@reopen
SELECT * FROM t ORDER BY k;
.print -- two levels, and on from there
BEGIN;
INSERT INTO t VALUES(4, 'kept too 4');
SAVEPOINT s;
INSERT INTO t VALUES(9, 'not kept 9');
SAVEPOINT s2;
INSERT INTO t VALUES(10, 'not kept 10');
DROP TABLE t;
ROLLBACK TO s2;
SELECT k FROM t ORDER BY k;
INSERT INTO t VALUES(11, 'neither 11');
ROLLBACK TO s;
SELECT k FROM t ORDER BY k;
INSERT INTO t VALUES(5, 'after 5');
COMMIT;
--@reopen
SELECT k FROM t ORDER BY k;
.print -- the savepoint that is the transaction, in a connection that sees the table for the first time
SAVEPOINT q;
INSERT INTO t VALUES(12, 'not kept 12');
DROP TABLE t;
ROLLBACK TO q;
SELECT count(*) FROM t;
INSERT INTO t VALUES(6, 'kept 6');
RELEASE q;
--@reopen
BEGIN;
SAVEPOINT s;
INSERT INTO t VALUES(13, 'not kept 13');
DROP TABLE t;
ROLLBACK TO s;
SELECT count(*) FROM t;
INSERT INTO ordinary VALUES(1);
COMMIT;
SELECT count(*) FROM t;
.print -- dropped and made again
BEGIN;
INSERT INTO t VALUES(14, 'kept 14');
SAVEPOINT s;
DELETE FROM t;
DROP TABLE t;
CREATE TABLE t(k PRIMARY KEY, v UNIQUE) WITHOUT ROWID; -- lsm
INSERT INTO t VALUES(33, 'not kept 33');
ROLLBACK TO s;
SELECT k FROM t ORDER BY k;
COMMIT;
SELECT k FROM t ORDER BY k;
.print -- all of them dropped
CREATE TABLE u(k PRIMARY KEY) WITHOUT ROWID; -- lsm
BEGIN;
INSERT INTO u VALUES(1);
SAVEPOINT s;
INSERT INTO u VALUES(2);
DELETE FROM t WHERE k > 5;
DROP TABLE t;
DROP TABLE u;
ROLLBACK TO s;
SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u);
COMMIT;
--@reopen
SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u);
DROP TABLE t;
DROP TABLE u;
.print -- a CREATE that is taken back does not keep the others from being committed
BEGIN;
SAVEPOINT s;
CREATE TABLE t(k PRIMARY KEY) WITHOUT ROWID; -- lsm
INSERT INTO t VALUES(1);
ROLLBACK TO s;
INSERT INTO ordinary VALUES(2);
COMMIT;
BEGIN;
SAVEPOINT s;
CREATE TABLE t(k PRIMARY KEY) WITHOUT ROWID; -- lsm
INSERT INTO t VALUES(1);
ROLLBACK TO s;
CREATE TABLE u(k PRIMARY KEY) WITHOUT ROWID; -- lsm
INSERT INTO u VALUES(1);
DROP TABLE u;
INSERT INTO ordinary VALUES(3);
COMMIT;
SELECT * FROM ordinary ORDER BY x;
SELECT count(*) FROM t;
.print -- with a write-ahead log a new table's place for the transaction's number is not there for others yet
PRAGMA journal_mode = WAL;
CREATE TABLE t(k PRIMARY KEY) WITHOUT ROWID; -- lsm
INSERT INTO t VALUES(1);
DROP TABLE t;
BEGIN;
CREATE TABLE t(k PRIMARY KEY) WITHOUT ROWID; -- lsm
SELECT count(*) FROM t;
INSERT INTO t VALUES(2);
COMMIT;
SELECT * FROM t;
