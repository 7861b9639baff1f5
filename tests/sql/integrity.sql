-- needs SQLite 3.44: virtual tables take part in PRAGMA integrity_check
.output /dev/null
.dbconfig defensive off
.output stdout
CREATE TABLE o(x);
CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v TEXT, w INT, INDEX by_v (v), UNIQUE (w));
CREATE VIRTUAL TABLE u USING lsm(a TEXT, b, PRIMARY KEY(a, b));
INSERT INTO t WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT i, 'v' || i % 10, i FROM n;
INSERT INTO u SELECT v, w FROM t;
--@flush t
DELETE FROM t WHERE k % 3 = 0;
.print -- all is well, also inside a transaction that has written
PRAGMA integrity_check;
PRAGMA quick_check;
PRAGMA integrity_check(t);
PRAGMA quick_check(u);
BEGIN;
INSERT INTO t VALUES(1000, 'new', -1);
DELETE FROM u WHERE a = 'v1';
PRAGMA integrity_check;
ROLLBACK;
--@reopen
.output /dev/null
.dbconfig defensive off
.output stdout
PRAGMA integrity_check;
.print -- an index whose entries are missing, or of another: found by the full check
CREATE TABLE kept AS SELECT * FROM t_lsm;
UPDATE t_lsm SET value = (SELECT value FROM u_lsm WHERE name = 'keyspace') WHERE name = 'index:0';
--@reopen
.output /dev/null
.dbconfig defensive off
.output stdout
SELECT count(*) > 0, sum(integrity_check LIKE '%by_v%') > 0 FROM pragma_integrity_check('t') WHERE integrity_check <> 'ok';
PRAGMA quick_check(t);
PRAGMA integrity_check(u);
.print -- rows that are not the table's
UPDATE t_lsm SET value = (SELECT value FROM kept WHERE kept.name = t_lsm.name);
UPDATE t_lsm SET value = (SELECT value FROM u_lsm WHERE name = 'keyspace') WHERE name = 'keyspace';
--@reopen
.output /dev/null
.dbconfig defensive off
.output stdout
SELECT count(*) > 0 FROM pragma_quick_check('t') WHERE quick_check <> 'ok';
UPDATE t_lsm SET value = (SELECT value FROM kept WHERE kept.name = t_lsm.name);
--@reopen
.output /dev/null
.dbconfig defensive off
.output stdout
PRAGMA integrity_check;
.print -- a table without its shadow, a store that is not there
DROP TABLE u_lsm;
--@reopen
.output /dev/null
.dbconfig defensive off
.output stdout
PRAGMA integrity_check;
PRAGMA quick_check;
.open @DIR@/empty
.shell mv "@DIR@/db-lsm" "@DIR@/elsewhere"
--@reopen
.output /dev/null
.dbconfig defensive off
.output stdout
PRAGMA integrity_check(t);
PRAGMA integrity_check(o);
