-- lsm_create_index, lsm_drop_index, lsm_add_column: errors, plans, files. (same_alter.sql has what they mean for rows.)
CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, a TEXT, b, UNIQUE(b), CONSTRAINT con UNIQUE(a, b), INDEX ia(a));
CREATE TABLE o(x);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000) INSERT INTO t SELECT i, 'a' || i % 50, i FROM c;
.print -- errors name the table, and the index or column
SELECT lsm_create_index('nobody', 'i', 'a');
SELECT lsm_create_index('o', 'i', 'x');
SELECT lsm_create_index(NULL, 'i', 'a');
SELECT lsm_create_index('t', NULL, 'a');
SELECT lsm_create_index('t', 'i', 5);
SELECT lsm_create_index('t', 'i', '');
SELECT lsm_create_index('t', 'i', 'nosuch');
SELECT lsm_create_index('t', 'i', 'a, b COLLATE german');
SELECT lsm_create_index('t', 'i', 'a || b');
SELECT lsm_create_index('t', 'i', 'a) , UNIQUE (b');
SELECT lsm_create_index('t', 'i', 'a), c INT DEFAULT (5');
SELECT lsm_create_index('t', 'IA', 'b');
SELECT lsm_create_index('t', 'con', 'b');
SELECT lsm_create_index('t', 'i');
SELECT lsm_drop_index('nobody', 'ia');
SELECT lsm_drop_index('t', 'nosuch');
SELECT lsm_drop_index('t', 'con');
SELECT lsm_drop_index('t', NULL);
SELECT lsm_add_column('nobody', 'c');
SELECT lsm_add_column('t', NULL);
SELECT lsm_add_column('t', '');
SELECT lsm_add_column('t', 'A TEXT');
SELECT lsm_add_column('t', 'c NOT NULL');
SELECT lsm_add_column('t', 'c NOT NULL DEFAULT NULL');
SELECT lsm_add_column('t', 'c INTEGER PRIMARY KEY');
SELECT lsm_add_column('t', 'c UNIQUE');
SELECT lsm_add_column('t', 'c CHECK (c > 5)');
SELECT lsm_add_column('t', 'c REFERENCES o(x)');
SELECT lsm_add_column('t', 'c AS (a || b)');
SELECT lsm_add_column('t', 'c DEFAULT CURRENT_TIME');
SELECT lsm_add_column('t', 'c DEFAULT (1 + 1)');
SELECT lsm_add_column('t', 'c, d');
SELECT lsm_add_column('t', 'compression=none');
SELECT lsm_add_column('t', 'UNIQUE (a)');
SELECT lsm_add_column('t', 'c HIDDEN');
.print -- nothing has changed
SELECT name, value FROM t_lsm WHERE name GLOB 'index*' OR name IN ('format', 'keyspace') OR name GLOB 'define*';
.print -- plans
SELECT lsm_create_index('main.t', 'odd "name', ' "b" DESC , A COLLATE nocase /* why not */');
SELECT lsm_create_index('t', 'twice', 'a, b, a, A');
SELECT value FROM t_lsm WHERE name GLOB 'define*';
EXPLAIN QUERY PLAN SELECT id FROM t WHERE a = 'a7' COLLATE NOCASE AND b > 5;
EXPLAIN QUERY PLAN SELECT a FROM t ORDER BY b DESC;
EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = 'a7' ORDER BY b;
SELECT lsm_drop_index('t', 'TWICE');
SELECT lsm_drop_index('t', 'ia');
EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = 'a7' ORDER BY b;
SELECT lsm_create_index('t', 'ia', 'a, id DESC');
EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = 'a7' ORDER BY id DESC;
SELECT name FROM t_lsm WHERE name GLOB 'define*' OR name GLOB 'index*';
.print -- columns
SELECT lsm_add_column('t', 'c DEFAULT ''it is''');
SELECT lsm_add_column('t', '"INDEX" INT NOT NULL DEFAULT +5 COLLATE nocase');
SELECT lsm_create_index('t', 'ic', '"INDEX", c');
EXPLAIN QUERY PLAN SELECT c FROM t WHERE "index" = 5;
SELECT count(*), min(c) FROM t WHERE "index" = 5;
SELECT sql FROM sqlite_master WHERE name = 't';
SELECT name, type, "notnull", pk FROM pragma_table_info('t');
INSERT INTO t(a, b, c) VALUES('left out', -1, NULL), ('left out', -2, 'c');
SELECT * FROM t WHERE b < 0;
INSERT INTO t VALUES(1, 2);
.print -- key value
CREATE VIRTUAL TABLE kv USING lsm;
INSERT INTO kv VALUES('k', 'v'), (2, x'00');
SELECT lsm_add_column('kv', 'more DEFAULT 1.0');
SELECT lsm_create_index('kv', 'by_value', 'value');
EXPLAIN QUERY PLAN SELECT * FROM kv WHERE value = 'v';
SELECT * FROM kv WHERE value = 'v';
.print -- a column called as the hidden key of a composite one
CREATE VIRTUAL TABLE two USING lsm(a, b, v, PRIMARY KEY(a, b));
INSERT INTO two VALUES(1, 2, 3), (1, 3, 4);
SELECT lsm_add_column('two', 'lsm_key DEFAULT ''k''');
SELECT lsm_create_index('two', 'iv', 'v DESC, lsm_key');
UPDATE two SET v = 5, b = 9 WHERE v = 4;
SELECT * FROM two WHERE v > 0;
DELETE FROM two WHERE v = 5;
SELECT *, lsm_verify('two') FROM two WHERE v > 0;
.print -- files and levels
SELECT lsm_compact('t');
SELECT index_name, sum(entries), sum(files) > 0 FROM lsm_levels('t') GROUP BY index_name;
SELECT index_name, min_key, max_key FROM lsm_files('t') WHERE index_name NOT NULL ORDER BY index_name;
SELECT count(*), typeof(max(bytes)) FROM lsm_files('t') WHERE index_name IS NULL;
SELECT lsm_drop_index('t', 'ic');
SELECT count(*) FROM lsm_levels('t') WHERE index_name = 'ic';
.print -- too many
CREATE VIRTUAL TABLE many USING lsm(a, INDEX i(a));
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 59) SELECT count(lsm_create_index('many', 'i' || i, 'a')) FROM c;
SELECT lsm_create_index('many', 'last', 'a');
SELECT lsm_drop_index('many', 'i30');
SELECT lsm_create_index('many', 'last', 'a');
INSERT INTO many VALUES('one');
SELECT * FROM many;
SELECT lsm_verify('t'), lsm_verify('many'), lsm_verify('kv');
.print -- in a trigger, in a statement that writes, on a database that is only read
CREATE TRIGGER tr AFTER INSERT ON o BEGIN SELECT lsm_add_column('t', 'z'); END;
INSERT INTO o VALUES(1);
CREATE TABLE made AS SELECT lsm_add_column('t', 'z');
PRAGMA query_only = ON;
SELECT lsm_add_column('t', 'z');
PRAGMA query_only = OFF;
.print -- what is left after a dump is the definition
.once /dev/null
.dump t
DROP TABLE t;
SELECT name FROM sqlite_master ORDER BY name;
