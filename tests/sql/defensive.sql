-- Defensive mode: shadow tables are out of reach, and everything else works as without it.
.output /dev/null
.dbconfig defensive on
.output stdout
.print -- made, written in transactions with ordinary tables, renamed, dropped
CREATE TABLE o(x);
CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v, INDEX by_v (v));
CREATE VIRTUAL TABLE u USING lsm(a TEXT, b, PRIMARY KEY(a, b));
INSERT INTO t VALUES(1, 'a'), (2, 'b');
BEGIN;
INSERT INTO o VALUES(1);
INSERT INTO t VALUES(3, 'c');
INSERT INTO u SELECT v, k FROM t;
SAVEPOINT s;
DELETE FROM t;
ROLLBACK TO s;
COMMIT;
SELECT (SELECT count(*) FROM o), (SELECT count(*) FROM t), (SELECT count(*) FROM u);
ALTER TABLE t RENAME TO renamed;
INSERT INTO renamed VALUES(4, 'd');
SELECT * FROM renamed ORDER BY v DESC LIMIT 2;
SELECT lsm_delete_range('u', 'a', 'b'), lsm_verify('renamed'), lsm_flush('u'), lsm_compact('u');
SELECT * FROM u;
DROP TABLE u;
--@reopen
.output /dev/null
.dbconfig defensive on
.output stdout
BEGIN;
INSERT INTO renamed VALUES(5, 'e');
INSERT INTO o VALUES(2);
COMMIT;
SELECT count(*), max(k) FROM renamed;
.print -- the shadow table can be read, not written, dropped, altered or replaced
SELECT name FROM renamed_lsm WHERE name NOT IN ('host', 'txid') ORDER BY name;
UPDATE renamed_lsm SET value = 1;
DELETE FROM renamed_lsm;
INSERT INTO renamed_lsm VALUES('x', 1);
DROP TABLE renamed_lsm;
ALTER TABLE renamed_lsm RENAME TO other;
CREATE TABLE any_lsm(x);
SELECT count(*), max(k) FROM renamed;
.print -- without it, a table whose shadow is gone says so; it can be dropped, and the others live on
.output /dev/null
.dbconfig defensive off
.output stdout
CREATE VIRTUAL TABLE w USING lsm;
INSERT INTO w VALUES(1, 2);
DROP TABLE w_lsm;
--@reopen
SELECT * FROM w;
INSERT INTO w VALUES(3, 4);
SELECT lsm_verify('w');
SELECT count(*), max(k) FROM renamed;
DROP TABLE w;
CREATE VIRTUAL TABLE w USING lsm;
SELECT count(*) FROM w;
SELECT lsm_verify('renamed');
