-- The simplest table: a key and a value, read, overwritten, removed.
CREATE TABLE kv(key PRIMARY KEY, value) WITHOUT ROWID; -- lsm
INSERT INTO kv VALUES('b', 2), ('a', 1), ('c', 3);
SELECT * FROM kv;
SELECT value FROM kv WHERE key = 'b';
SELECT value FROM kv WHERE key = 'nobody';
SELECT count(*), min(key), max(key), sum(value) FROM kv;
INSERT INTO kv VALUES('a', 100);
SELECT changes();
INSERT OR REPLACE INTO kv VALUES('a', 10);
SELECT changes();
UPDATE kv SET value = value + 1 WHERE key >= 'b';
SELECT changes();
SELECT * FROM kv ORDER BY key DESC;
DELETE FROM kv WHERE key = 'b';
SELECT changes();
SELECT * FROM kv;
DELETE FROM kv WHERE key = 'nobody';
SELECT changes();
--@flush kv
SELECT * FROM kv;
INSERT INTO kv VALUES('b', 'back');
SELECT * FROM kv;
--@compact kv
SELECT * FROM kv;
DELETE FROM kv;
SELECT count(*) FROM kv;
--@flush kv
SELECT count(*) FROM kv;
INSERT INTO kv VALUES(1, 2);
SELECT * FROM kv;
DROP TABLE kv;
SELECT * FROM kv;
SELECT count(*) FROM sqlite_schema WHERE name = 'kv';
