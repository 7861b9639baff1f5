-- Temporary and attached schemas.
ATTACH ':memory:' AS aux1;
CREATE TABLE main.t(k PRIMARY KEY, v) WITHOUT ROWID; -- lsm
CREATE TABLE temp.t(k PRIMARY KEY, v) WITHOUT ROWID; -- lsm
CREATE TABLE aux1.t(k PRIMARY KEY, v) WITHOUT ROWID; -- lsm
INSERT INTO main.t VALUES(1, 'main');
INSERT INTO temp.t VALUES(1, 'temp');
INSERT INTO aux1.t VALUES(1, 'aux');
SELECT v FROM t WHERE k = 1;
SELECT v FROM main.t WHERE k = 1;
SELECT v FROM temp.t WHERE k = 1;
SELECT v FROM aux1.t WHERE k = 1;
BEGIN;
INSERT INTO main.t VALUES(2, 'm');
INSERT INTO temp.t VALUES(2, 't');
INSERT INTO aux1.t VALUES(2, 'a');
SELECT count(*) FROM main.t, temp.t, aux1.t;
ROLLBACK;
SELECT count(*) FROM main.t, temp.t, aux1.t;
BEGIN;
INSERT INTO main.t VALUES(2, 'm');
INSERT INTO temp.t VALUES(2, 't');
INSERT INTO aux1.t VALUES(2, 'a');
COMMIT;
SELECT m.v, t.v, a.v FROM main.t m JOIN temp.t t USING(k) JOIN aux1.t a USING(k);
INSERT INTO main.t SELECT k + 10, v FROM aux1.t;
SELECT * FROM main.t;
DROP TABLE temp.t;
SELECT count(*) FROM t;
DROP TABLE aux1.t;
DETACH aux1;
--@reopen
SELECT * FROM t;
SELECT * FROM temp.t;
