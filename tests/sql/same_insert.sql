-- INSERT in its many forms: column lists, DEFAULT VALUES, SELECT, conflict clauses, RETURNING, generated rowids.
CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT, y INT NOT NULL DEFAULT 7, z REAL); -- lsm
CREATE TABLE b(k TEXT, n INT, v, PRIMARY KEY(k, n)) WITHOUT ROWID; -- lsm
CREATE TABLE c(x, y); -- lsm
CREATE TABLE u(id INTEGER PRIMARY KEY, e TEXT COLLATE NOCASE, f INT, UNIQUE(e), UNIQUE(f, id)); -- lsm
CREATE TABLE o(i, t);
INSERT INTO o VALUES(1, 'one'), (2, 'two'), (3, NULL), ('4', 'four'), (2, 'two again');
INSERT INTO a DEFAULT VALUES;
INSERT INTO a(x) VALUES('x');
INSERT INTO a(z, x) VALUES(1, 5), ('2.5', x'61');
INSERT INTO a(id, y) VALUES(10, '12'), (NULL, 1.0), ('20', '1e2');
INSERT INTO a VALUES(5, 'five', 5, 5);
INSERT INTO a(rowid, x) VALUES(30, 'by rowid');
INSERT INTO a(x, y) VALUES('no default for null', 3);
SELECT *, typeof(x), typeof(y), typeof(z) FROM a ORDER BY id;
SELECT last_insert_rowid(), changes(), total_changes() > 5;
.print -- lists that do not fit
INSERT INTO a VALUES(1, 2);
INSERT INTO a(id, x) VALUES(1);
INSERT INTO a(id, nothing) VALUES(1, 2);
INSERT INTO a(id) VALUES('text');
INSERT INTO a(id) VALUES(1.5);
INSERT INTO a(id) VALUES(x'31');
INSERT INTO a(id, x) VALUES(10, 'taken');
INSERT INTO b(k, v) VALUES('a', 1);
INSERT INTO b(n, v) VALUES(1, 1);
INSERT INTO b VALUES(NULL, 1, 1);
.print -- SELECT, VALUES with many rows, compound sources, the table itself
INSERT INTO b SELECT t, i, rowid FROM o WHERE t IS NOT NULL;
INSERT INTO b SELECT t, i, rowid FROM o;
INSERT OR IGNORE INTO b SELECT coalesce(t, 'none'), i, 'again' FROM o;
INSERT OR REPLACE INTO b SELECT coalesce(t, 'none'), i, 'replaced' FROM o WHERE i = 2;
INSERT INTO b SELECT k || '2', n, v FROM b;
INSERT INTO b SELECT 'u', i, t FROM o WHERE i < 3 UNION SELECT 'u', 9, 9;
INSERT INTO b WITH w(x) AS (VALUES(1), (2)) SELECT 'w', x, x FROM w;
INSERT INTO b VALUES('v', 1, (SELECT count(*) FROM b)), ('v', 2, (SELECT max(n) FROM b)), ('v', 3, (SELECT v FROM b WHERE k = 'two' AND n = 2));
INSERT INTO c SELECT * FROM b ORDER BY k DESC LIMIT 2;
INSERT INTO c SELECT k, n FROM b ORDER BY k DESC, n LIMIT 2;
INSERT INTO c SELECT x, y FROM c;
INSERT INTO c(rowid, x) VALUES(100, 'hundred');
INSERT INTO c DEFAULT VALUES;
INSERT INTO c(rowid, x) VALUES(-5, 'negative');
INSERT INTO c(x) VALUES('after');
SELECT * FROM b ORDER BY k, n;
SELECT rowid, * FROM c ORDER BY rowid;
.print -- conflicts: which clause, how far a statement gets
INSERT INTO u VALUES(1, 'A', 1), (2, 'b', 2), (3, 'c', 3);
INSERT INTO u VALUES(4, 'd', 4), (5, 'a', 5), (6, 'f', 6);
INSERT OR FAIL INTO u VALUES(4, 'd', 4), (5, 'a', 5), (6, 'f', 6);
INSERT OR IGNORE INTO u VALUES(7, 'g', 7), (8, 'G', 8), (9, 'h', 9);
INSERT OR ABORT INTO u VALUES(10, 'j', 10), (1, 'k', 11);
REPLACE INTO u VALUES(20, 'B', 20);
INSERT OR REPLACE INTO u VALUES(1, 'C', 1);
INSERT OR REPLACE INTO u(e, f) VALUES('new', 1), ('NEW', 2);
SELECT * FROM u ORDER BY id;
SELECT changes();
BEGIN;
INSERT INTO u VALUES(50, 'x', 50);
INSERT OR ROLLBACK INTO u VALUES(51, 'y', 51), (50, 'z', 50);
COMMIT;
SELECT count(*) FROM u WHERE id >= 50;
.print -- the largest rowid
INSERT INTO a(id, x) VALUES(9223372036854775807, 'last');
INSERT INTO a(x) VALUES('random');
SELECT count(*), count(DISTINCT id), min(id), max(id) FROM a;
DELETE FROM a WHERE id = 9223372036854775807 OR x = 'random';
INSERT INTO a(x) VALUES('next');
SELECT id FROM a WHERE x = 'next';
