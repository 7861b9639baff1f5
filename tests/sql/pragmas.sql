-- What PRAGMAs say of lsm tables: as of ordinary ones, but for the pk of composite keys, which SQLite
-- allows no writable virtual table to declare.
CREATE VIRTUAL TABLE a USING lsm(id INTEGER PRIMARY KEY, v VARCHAR(10), w NOT NULL DEFAULT 5);
CREATE VIRTUAL TABLE b USING lsm("odd name" TEXT COLLATE NOCASE PRIMARY KEY, v BLOB);
CREATE VIRTUAL TABLE c USING lsm(k TEXT, n INT, v, PRIMARY KEY(k, n DESC), UNIQUE(v));
CREATE VIRTUAL TABLE d USING lsm(x, y);
CREATE VIRTUAL TABLE kv USING lsm;
.print -- cid, name, type, notnull, pk
SELECT 'a', cid, name, type, "notnull", pk FROM pragma_table_info('a');
SELECT 'b', cid, name, type, "notnull", pk FROM pragma_table_info('b');
SELECT 'c', cid, name, type, "notnull", pk FROM pragma_table_info('c');
SELECT 'd', cid, name, type, "notnull", pk FROM pragma_table_info('d');
SELECT 'kv', cid, name, type, "notnull", pk FROM pragma_table_info('kv');
.print -- indexes that SQLite knows of: the key it was told, none of its own; no foreign keys
SELECT (SELECT count(*) FROM pragma_index_list('a')), (SELECT count(*) FROM pragma_index_list('b')), (SELECT count(*) FROM pragma_index_list('d'));
SELECT count(*) FROM pragma_foreign_key_list('c');
PRAGMA foreign_key_check;
PRAGMA quick_check;
.print -- kinds of tables
SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '%\_lsm' ESCAPE '\' ORDER BY name;
SELECT DISTINCT type FROM pragma_table_list WHERE schema = 'main' AND name LIKE '%\_lsm' ESCAPE '\';
.print -- what VACUUM and ANALYZE leave as it was
INSERT INTO c VALUES('a', 1, 'x'), ('a', 2, 'y');
VACUUM;
ANALYZE;
REINDEX;
SELECT * FROM c;
SELECT lsm_verify('c');
