-- Time to live by a column: rows of a time that is past are gone, whatever reads them.
CREATE TABLE clock(t); -- seconds since 1970, as this script began
INSERT INTO clock SELECT CAST(strftime('%s', 'now') AS INTEGER);
CREATE VIRTUAL TABLE s USING lsm(id INTEGER PRIMARY KEY, until, v, ttl_column=until);
INSERT INTO s SELECT 1, t - 10, 'past' FROM clock;
INSERT INTO s SELECT 2, t + 1000, 'coming' FROM clock;
INSERT INTO s VALUES(3, NULL, 'null'), (4, '1', 'text'), (5, x'31', 'blob'), (6, 1, 'long ago'), (7, 0, 'zero'), (8, -5, 'negative');
INSERT INTO s VALUES(9, 9223372036854775807, 'largest'), (10, -9223372036854775808, 'least'), (11, 9e999, 'infinite'), (12, -9e999, 'never was');
INSERT INTO s SELECT 13, t - 0.5, 'real, past' FROM clock;
INSERT INTO s SELECT 14, t + 999.5, 'real, coming' FROM clock;
INSERT INTO s VALUES(15, 1e300, 'large'), (16, 9223372036854775, 'before the end of numbers');
SELECT id, v FROM s ORDER BY id;
SELECT id FROM s ORDER BY id DESC LIMIT 1;
SELECT count(*), min(id), max(id) FROM s;
SELECT v FROM s WHERE id = 1;
SELECT v FROM s WHERE id IN (1, 2, 6, 3) ORDER BY id;
-- The column is what it is: nothing is changed in it.
SELECT id, typeof(until), until = 9223372036854775807, until = 1e300 FROM s WHERE id IN (3, 4, 5, 9, 11, 15);
-- There is no such row for UPDATE and DELETE, and no conflict for INSERT.
UPDATE s SET v = 'x' WHERE id = 1;
SELECT changes();
DELETE FROM s WHERE id = 6;
SELECT changes();
INSERT INTO s VALUES(6, NULL, 'anew');
INSERT INTO s VALUES(6, NULL, 'twice');
INSERT OR IGNORE INTO s VALUES(7, NULL, 'not ignored');
INSERT OR REPLACE INTO s VALUES(8, 1, 'replaced by the past');
SELECT id, v FROM s WHERE id BETWEEN 6 AND 8;
-- An update sets the time anew.
UPDATE s SET until = 1 WHERE id = 2;
SELECT count(*) FROM s WHERE id = 2;
INSERT INTO s(until, v) VALUES(NULL, 'next');
SELECT id FROM s WHERE v = 'next';
--@flush s
SELECT count(*), sum(id) FROM s;
--@reopen
SELECT count(*), sum(id) FROM s;
SELECT lsm_verify('s');
SELECT lsm_compact('s');
SELECT sum(entries), sum(tombstones) FROM lsm_files('s');
SELECT count(*), sum(id) FROM s;
DROP TABLE s;

-- Text is a time where the column's affinity makes it a number.
CREATE VIRTUAL TABLE n USING lsm(id INTEGER PRIMARY KEY, until INTEGER, ttl_column = 'UNTIL');
INSERT INTO n VALUES(1, '5'), (2, '5.5'), (3, 'five'), (4, '9999999999');
SELECT * FROM n;
CREATE VIRTUAL TABLE x USING lsm(id INTEGER PRIMARY KEY, until TEXT, ttl_column=until);
INSERT INTO x VALUES(1, 5), (2, '5');
SELECT * FROM x;
CREATE VIRTUAL TABLE r USING lsm(id INTEGER PRIMARY KEY, until REAL DEFAULT 5 NOT NULL, ttl_column=until);
INSERT INTO r(id) VALUES(1);
INSERT INTO r VALUES(2, 5), (3, '1e10');
SELECT * FROM r;

-- ttl is added to the column's time.
CREATE VIRTUAL TABLE b USING lsm(id INTEGER PRIMARY KEY, at, ttl_column=at, ttl=100);
INSERT INTO b SELECT 1, t - 99999 FROM clock;
INSERT INTO b SELECT 2, t - 101 FROM clock;
INSERT INTO b SELECT 3, t + 50 FROM clock;
INSERT INTO b VALUES(4, NULL), (5, 9223372036854775807), (6, -9223372036854775808);
SELECT id FROM b ORDER BY id;

-- The column may be the key, or part of it.
CREATE VIRTUAL TABLE k USING lsm(at INTEGER PRIMARY KEY, v, ttl_column=at);
INSERT INTO k VALUES(5, 'past'), (9999999999, 'far'), (NULL, 'next');
SELECT * FROM k;
UPDATE k SET at = 7 WHERE at = 9999999999;
SELECT * FROM k;
CREATE VIRTUAL TABLE e USING lsm(host TEXT, at INTEGER, v, PRIMARY KEY(host, at DESC), ttl_column=at, compaction=tiered);
INSERT INTO e VALUES('a', 1, 'x'), ('a', 9999999999, 'y'), ('b', 9999999998, 'z'), ('c', 2, 'w');
SELECT host, v FROM e;
SELECT host, v FROM e WHERE host = 'a';
SELECT DISTINCT host FROM e;
--@flush e
SELECT host, v FROM e ORDER BY host DESC, at;

-- With indexes: entries live as long as their rows.
CREATE VIRTUAL TABLE i USING lsm(id INTEGER PRIMARY KEY, mail TEXT, age, until, UNIQUE(mail), INDEX by_age(age, mail), ttl_column=until);
INSERT INTO i VALUES(1, 'a@x', 30, 1), (2, 'b@x', 30, 9999999999), (3, 'c@x', 40, NULL), (4, NULL, 30, 5);
SELECT id FROM i WHERE mail = 'a@x';
SELECT id FROM i WHERE age = 30;
SELECT mail FROM i WHERE age >= 30 ORDER BY age, mail;
SELECT age, count(*) FROM i GROUP BY age;
INSERT INTO i VALUES(5, 'a@x', 50, NULL); -- free again
INSERT INTO i VALUES(6, 'a@x', 50, NULL);
INSERT OR REPLACE INTO i VALUES(7, 'b@x', 31, NULL);
SELECT id, mail, age FROM i ORDER BY id;
UPDATE i SET mail = 'b@x' WHERE id = 3;
SELECT lsm_verify('i');
-- What stays the same in an index lives on with the row, or ends with it.
INSERT INTO i SELECT 8, 'h@x', 80, t + 1000 FROM clock;
UPDATE i SET until = 1 WHERE id = 8;
SELECT count(*) FROM i WHERE mail = 'h@x';
SELECT count(*) FROM i WHERE age = 80;
SELECT lsm_verify('i');
--@flush i
--@reopen
SELECT id, mail, age FROM i WHERE age > 0;
SELECT lsm_create_index('i', 'by_until', 'until, id');
SELECT id FROM i WHERE until IS NULL;
SELECT lsm_add_column('i', 'note DEFAULT ''-''');
SELECT id, note FROM i ORDER BY id;
SELECT lsm_verify('i');
SELECT lsm_compact('i');
SELECT sum(entries) - sum(tombstones) FROM lsm_files('i');
SELECT lsm_delete_range('i', 5, NULL);
SELECT id, mail FROM i;
SELECT lsm_verify('i');

-- Transactions and savepoints.
CREATE VIRTUAL TABLE a USING lsm(id INTEGER PRIMARY KEY, until, ttl_column=until);
BEGIN;
INSERT INTO a VALUES(1, NULL), (2, 1);
SAVEPOINT p;
UPDATE a SET until = 1;
SELECT count(*) FROM a;
ROLLBACK TO p;
SELECT id FROM a;
INSERT INTO a SELECT id + 10, NULL FROM a;
COMMIT;
SELECT id FROM a;
BEGIN;
CREATE VIRTUAL TABLE fresh USING lsm(id INTEGER PRIMARY KEY, until, UNIQUE(until), ttl_column=until);
INSERT INTO fresh VALUES(1, 1), (2, NULL), (3, 1);
SELECT id FROM fresh;
COMMIT;
SELECT id FROM fresh;

-- What is past is not written to a file any more.
CREATE VIRTUAL TABLE f USING lsm(id INTEGER PRIMARY KEY, until, v, ttl=3, ttl_column=until, compression=none);
INSERT INTO f WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000) SELECT i, 1, 'text' FROM c;
--@flush f
SELECT count(*) FROM lsm_files('f');
SELECT value >= 1000 FROM lsm_stats('f') WHERE name = 'expired_entries';

-- What cannot be.
CREATE VIRTUAL TABLE bad USING lsm(a, ttl=0);
CREATE VIRTUAL TABLE bad USING lsm(a, ttl=-5);
CREATE VIRTUAL TABLE bad USING lsm(a, ttl=1.5);
CREATE VIRTUAL TABLE bad USING lsm(a, ttl='a day');
CREATE VIRTUAL TABLE bad USING lsm(a, ttl=10000000001);
CREATE VIRTUAL TABLE bad USING lsm(a, ttl=99999999999999999999999);
CREATE VIRTUAL TABLE bad USING lsm(a, ttl=1, ttl=2);
CREATE VIRTUAL TABLE bad USING lsm(a, ttl_column=b);
CREATE VIRTUAL TABLE bad USING lsm(a, ttl_column=a, ttl_column=a);
CREATE VIRTUAL TABLE bad USING lsm(a, ttl_column=rowid);
CREATE VIRTUAL TABLE bad USING lsm(a, ttl_column='');
-- The definition cannot be given a time to live later, nor rid of it.
PRAGMA writable_schema=ON;
UPDATE sqlite_master SET sql = replace(sql, ', ttl_column=until', '') WHERE name = 'a';
UPDATE sqlite_master SET sql = replace(sql, 'v, PRIMARY', 'v, ttl=5, PRIMARY') WHERE name = 'e';
PRAGMA writable_schema=OFF;
CREATE VIRTUAL TABLE plain USING lsm(id INTEGER PRIMARY KEY, v);
INSERT INTO plain VALUES(1, 2);
PRAGMA writable_schema=ON;
UPDATE sqlite_master SET sql = replace(sql, ', v)', ', v, ttl=5)') WHERE name = 'plain';
PRAGMA writable_schema=OFF;
--@reopen
SELECT * FROM a;
SELECT * FROM plain;
SELECT host, v FROM e;
