-- Where the data lives: the default store, one of its own, one that is shared, none.
CREATE VIRTUAL TABLE a USING lsm(k INTEGER PRIMARY KEY, v);
CREATE VIRTUAL TABLE b USING lsm(k INTEGER PRIMARY KEY, v, path='@DIR@/own.lsm');
CREATE VIRTUAL TABLE c USING lsm(k INTEGER PRIMARY KEY, v, path='@DIR@/own.lsm', compaction=tiered, compression=none);
INSERT INTO a VALUES(1, 'a');
INSERT INTO b VALUES(1, 'b'), (2, 'b');
INSERT INTO c VALUES(1, 'c'), (2, 'c'), (3, 'c');
BEGIN;
INSERT INTO a VALUES(10, 'x');
INSERT INTO b VALUES(10, 'x');
INSERT INTO c VALUES(10, 'x');
ROLLBACK;
SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), (SELECT count(*) FROM c);
BEGIN;
INSERT INTO a VALUES(10, 'x');
INSERT INTO b VALUES(10, 'x');
INSERT INTO c VALUES(10, 'x');
COMMIT;
SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), (SELECT count(*) FROM c);
DROP TABLE b;
SELECT * FROM c;
--@reopen
.nullvalue NULL
SELECT * FROM a;
SELECT * FROM c;
CREATE VIRTUAL TABLE b USING lsm(k INTEGER PRIMARY KEY, v, path='@DIR@/own.lsm');
SELECT count(*) FROM b;
INSERT INTO b SELECT * FROM c;
SELECT count(*) FROM b;
.print -- the directories are there
.shell test -d "@DIR@/db-lsm" && test -d "@DIR@/own.lsm" && echo yes
.print -- a missing store is an error that names it, and nothing is made
.open @DIR@/empty
.shell mv "@DIR@/db-lsm" "@DIR@/elsewhere"
--@reopen
SELECT * FROM a;
.shell test -e "@DIR@/db-lsm" || echo "nothing was made"
.shell mv "@DIR@/elsewhere" "@DIR@/db-lsm"
SELECT * FROM a;
SELECT * FROM c;
