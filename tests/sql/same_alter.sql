-- Indexes made and dropped, and columns added, on tables with rows.
CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, b); -- lsm
CREATE TABLE k(x TEXT, y REAL, z, PRIMARY KEY(x, y DESC)) WITHOUT ROWID; -- lsm
CREATE TABLE h(v, w INT); -- lsm
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO t SELECT i, CASE i % 3 WHEN 0 THEN 'Ab' || i % 40 WHEN 1 THEN 'aB' || i % 40 ELSE i % 25 END, CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN i * 0.5 WHEN 2 THEN 'text ' || i % 9 ELSE x'00ff' END FROM c;
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 500) INSERT INTO k SELECT 'x' || i % 20, i * 1.5, i % 7 FROM c;
INSERT INTO h VALUES(1, 1), ('one', 2), (NULL, 3), (x'01', 4), (1.0, 5), ('one', 6);
--@flush t
INSERT INTO t VALUES(5000, 'ab1', 1), (5001, NULL, NULL);
CREATE INDEX t_ab ON t(a, b DESC); -- lsm
CREATE INDEX t_b ON t(b); -- lsm
CREATE INDEX k_z ON k(z DESC, x COLLATE NOCASE); -- lsm
CREATE INDEX h_v ON h (v COLLATE RTRIM); -- lsm
SELECT id, a, b FROM t WHERE a = 'AB1' ORDER BY b DESC, id;
SELECT count(*), sum(id) FROM t WHERE b IS NULL;
SELECT count(*), sum(id) FROM t WHERE b > 100 AND b < 300;
SELECT id FROM t WHERE b = 'text 3' AND id < 200 ORDER BY id;
SELECT id, quote(b) FROM t ORDER BY b, id LIMIT 12 OFFSET 500;
SELECT id, a, quote(b) FROM t ORDER BY a DESC, b, id DESC LIMIT 12;
SELECT x, y, z FROM k WHERE z = 3 AND x > 'X5' COLLATE NOCASE ORDER BY x, y;
SELECT rowid, quote(v), w FROM h WHERE v = 'one ' COLLATE RTRIM ORDER BY rowid;
SELECT rowid, quote(v) FROM h ORDER BY v COLLATE RTRIM, rowid;
UPDATE t SET b = 'new' WHERE a = 'ab1';
DELETE FROM t WHERE b > 900;
SELECT count(*), sum(id) FROM t WHERE b = 'new';
SELECT count(*), sum(id) FROM t WHERE b >= 0;
-- columns
ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'it''s'; -- lsm
ALTER TABLE t ADD COLUMN d REAL NOT NULL DEFAULT 5; -- lsm
ALTER TABLE t ADD COLUMN "odd name"; -- lsm
ALTER TABLE k ADD COLUMN n INTEGER DEFAULT (-7); -- lsm
ALTER TABLE h ADD COLUMN t1 VARCHAR(10) COLLATE NOCASE DEFAULT x'4142'; -- lsm
ALTER TABLE h ADD COLUMN t2 DEFAULT NULL; -- lsm
ALTER TABLE h ADD COLUMN t3 TEXT DEFAULT 12; -- lsm
SELECT * FROM t WHERE id IN (1, 5000, 5001);
SELECT typeof(d), typeof(c), typeof("odd name"), count(*) FROM t GROUP BY 1, 2, 3;
SELECT * FROM k WHERE x = 'x3' LIMIT 3;
SELECT rowid, *, typeof(t1), typeof(t3) FROM h;
SELECT name, type, "notnull", pk FROM pragma_table_info('h');
INSERT INTO t VALUES(6000, 'six', 6, NULL, 1.5, 'odd');
INSERT INTO t(id, a, c, "odd name") VALUES(6001, 'six', 'see', 7);
INSERT INTO h VALUES('all', 1, 'tt', 2, 3);
SELECT * FROM t WHERE a = 'SIX' ORDER BY id;
SELECT count(*) FROM t WHERE c = 'it''s';
SELECT count(*) FROM t WHERE c IS NULL;
CREATE INDEX t_c ON t(c COLLATE NOCASE, d, id DESC); -- lsm
CREATE INDEX t_odd ON t("odd name" DESC, a); -- lsm
CREATE INDEX h_t1 ON h(t1, t3); -- lsm
SELECT count(*), min(id), max(id) FROM t WHERE c = 'IT''S' COLLATE NOCASE AND d = 5;
SELECT id, c, d FROM t WHERE c = 'it''S' COLLATE NOCASE ORDER BY d, id DESC LIMIT 3;
SELECT id FROM t WHERE "odd name" > 6 ORDER BY "odd name" DESC;
UPDATE t SET c = c || id WHERE id BETWEEN 10 AND 14;
UPDATE t SET "odd name" = id WHERE id < 20;
UPDATE OR REPLACE t SET id = 11, c = 'moved' WHERE id = 6000;
SELECT * FROM t WHERE id BETWEEN 9 AND 15;
SELECT id FROM t WHERE c = 'IT''S12' COLLATE NOCASE;
SELECT id, "odd name" FROM t WHERE "odd name" < 15 ORDER BY "odd name" DESC, id;
UPDATE h SET t2 = t3, t1 = upper(t1) WHERE t1 IN ('tt', x'4142');
SELECT rowid, * FROM h WHERE t1 = 'TT';
SELECT rowid, * FROM h ORDER BY t1, t3, rowid;
--@reopen
.nullvalue NULL
SELECT * FROM t WHERE id BETWEEN 9 AND 15;
SELECT count(*), min(id), max(id) FROM t WHERE c = 'IT''S' COLLATE NOCASE AND d = 5;
--@compact t
DROP INDEX t_b; -- lsm t
DROP INDEX T_AB; -- lsm t
DROP INDEX k_z; -- lsm k
SELECT count(*), sum(id) FROM t WHERE b = 'new';
SELECT x, y, z, n FROM k WHERE z = 3 AND x > 'x5' ORDER BY x, y LIMIT 5;
CREATE INDEX t_b ON t(b DESC, c); -- lsm
SELECT id, quote(b), c FROM t WHERE b = 'new' ORDER BY c, id LIMIT 5;
-- taken back
BEGIN;
CREATE INDEX t_x ON t(d); -- lsm
ALTER TABLE t ADD COLUMN gone; -- lsm
INSERT INTO t(id, a, gone) VALUES(7000, 'x', 'y');
SELECT id, gone FROM t WHERE id >= 6001 AND d = 5;
SAVEPOINT s;
DROP INDEX t_b; -- lsm t
DROP INDEX t_c; -- lsm t
ALTER TABLE t ADD COLUMN gone2 INT DEFAULT 3; -- lsm
UPDATE t SET gone2 = 4 WHERE id = 7000;
SELECT gone, gone2 FROM t WHERE gone2 = 4;
ROLLBACK TO s;
SELECT id, quote(b), c FROM t WHERE b = 'new' ORDER BY c, id LIMIT 5;
SELECT gone2 FROM t;
ROLLBACK;
SELECT gone FROM t;
SELECT count(*) FROM t WHERE d = 5;
SELECT * FROM t WHERE id >= 6000;
-- an empty table takes NOT NULL without a default
CREATE TABLE e(a); -- lsm
ALTER TABLE e ADD COLUMN b NOT NULL; -- lsm
INSERT INTO e VALUES(1, 2);
INSERT INTO e(a) VALUES(1);
SELECT * FROM e;
ALTER TABLE e RENAME TO e2;
ALTER TABLE e2 ADD COLUMN c DEFAULT -1.5; -- lsm
CREATE INDEX ec ON e2(c); -- lsm
SELECT * FROM e2 WHERE c < 0;
DROP TABLE e2;
-- A table that is made in the same transaction.
BEGIN;
CREATE TABLE young(k INTEGER PRIMARY KEY, v); -- lsm
CREATE INDEX young_v ON young(v); -- lsm
COMMIT;
INSERT INTO young VALUES(1, 'a'), (2, 'b');
SELECT k FROM young WHERE v = 'b';
DROP TABLE young;
BEGIN;
CREATE TABLE young(k INTEGER PRIMARY KEY, v); -- lsm
ALTER TABLE young ADD COLUMN w TEXT; -- lsm
INSERT INTO young VALUES(1, 'a', 'c');
COMMIT;
SELECT * FROM young;
