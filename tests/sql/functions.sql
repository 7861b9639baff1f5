-- The functions by themselves: names, keys as they are shown, transactions, backups.
CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v TEXT);
CREATE VIRTUAL TABLE u USING lsm(a TEXT COLLATE NOCASE, b REAL, c, d, PRIMARY KEY(a, b DESC, c), compaction=tiered);
CREATE VIRTUAL TABLE h USING lsm(a, b);
CREATE VIRTUAL TABLE "odd.na""me" USING lsm(k BLOB PRIMARY KEY);
CREATE TABLE o(k INTEGER PRIMARY KEY, v TEXT);
.print -- the columns, and the names of lsm_stats in their order
SELECT group_concat(name) FROM pragma_table_xinfo('lsm_stats');
SELECT group_concat(name) FROM pragma_table_xinfo('lsm_levels');
SELECT group_concat(name) FROM pragma_table_xinfo('lsm_files');
SELECT name, typeof(value) FROM lsm_stats('t');
SELECT name, value FROM lsm_stats('t') WHERE name LIKE '%amplification';
SELECT tab, count(*) FROM lsm_stats('t') GROUP BY tab;
.print -- keys
INSERT INTO t VALUES(-5, 'a'), (3, 'b'), (9223372036854775807, 'c');
INSERT INTO u VALUES('It''s', 1.5, 7, 1), ('zz', 1e400, x'00ff', 2);
INSERT INTO h VALUES(1, 2), (3, 4);
INSERT INTO "odd.na""me" VALUES(x''), (x'0001'), ('text' || char(0)), (0.1);
SELECT lsm_flush('t'), lsm_flush('odd.na"me'), lsm_flush('main.odd.na"me');
SELECT level, entries, tombstones, min_key, max_key, typeof(min_key) FROM lsm_files('t');
SELECT min_key, max_key, typeof(min_key) FROM lsm_files('u');
SELECT min_key, max_key FROM lsm_files('h');
SELECT min_key, max_key FROM lsm_files('odd.na"me');
SELECT file GLOB '[0-9][0-9][0-9][0-9][0-9][0-9].sst' FROM lsm_files('t');
SELECT level, files, entries, tombstones, bytes > 0, typeof(score) FROM lsm_levels('main.u');
.print -- several tables in a join
WITH n(x) AS (VALUES ('t'), ('u'), ('h')) SELECT x, sum(l.entries) FROM n JOIN lsm_levels(x) l GROUP BY x ORDER BY x;
SELECT count(DISTINCT f.file) FROM (VALUES ('t'), ('u')) n, lsm_files(n.column1) f;
.print -- the last row of a table is deleted: files go with compaction
DELETE FROM h;
SELECT lsm_flush('h');
SELECT lsm_compact('h');
SELECT count(*) FROM lsm_files('h');
.print -- arguments
SELECT * FROM lsm_stats;
SELECT * FROM lsm_levels(NULL);
SELECT * FROM lsm_files(5);
SELECT lsm_flush(5);
SELECT lsm_compact(x'74');
SELECT lsm_flush('t', 't');
SELECT lsm_backup(NULL);
SELECT lsm_backup('');
CREATE VIRTUAL TABLE x USING lsm_stats;
.print -- not in views and triggers
CREATE VIEW w AS SELECT lsm_compact('t');
SELECT * FROM w;
DROP VIEW w;
CREATE VIEW w AS SELECT lsm_version() IS NOT NULL;
SELECT * FROM w;
.print -- in transactions
BEGIN;
SELECT lsm_flush('t');
INSERT INTO t VALUES(4, 'd');
SELECT lsm_verify('t');
SELECT lsm_flush('t');
SELECT lsm_compact('u');
SELECT lsm_backup('@DIR@/never');
SELECT count(*) FROM t;
COMMIT;
SELECT lsm_flush('t');
SELECT lsm_verify('t'), lsm_verify('u'), lsm_verify('h'), lsm_verify('main.t');
.print -- backup, rollback journal
PRAGMA journal_mode;
INSERT INTO o SELECT * FROM t;
SELECT lsm_backup('@DIR@/copy1');
INSERT INTO t VALUES(100, 'not in the copy');
SELECT lsm_backup('@DIR@/copy1');
.print -- backup, WAL
PRAGMA journal_mode = wal;
INSERT INTO o VALUES(100, 'not in the first copy');
SELECT lsm_backup('@DIR@/copy2');
DELETE FROM t;
DELETE FROM o;
.shell ls @DIR@ | grep -v script
.print -- the first copy
.open @DIR@/copy1
.load ./lsmvtab
SELECT * FROM t;
SELECT count(*) FROM t JOIN o USING(k) WHERE t.v = o.v;
SELECT a, b, typeof(c), d FROM u;
SELECT count(*) FROM "odd.na""me";
SELECT lsm_verify('t');
PRAGMA integrity_check;
INSERT INTO t VALUES(5, 'written to the copy');
SELECT lsm_flush('t');
SELECT max(a) FROM u;
SELECT count(*) FROM t;
.print -- the second copy
.open @DIR@/copy2
.load ./lsmvtab
SELECT count(*), (SELECT count(*) FROM o) FROM t;
SELECT v FROM t WHERE k = 100;
SELECT lsm_verify('t');
PRAGMA journal_mode;
.print -- the original
--@reopen
SELECT count(*) FROM t;
.print -- what is not copied, and says so
CREATE VIRTUAL TABLE p USING lsm(k PRIMARY KEY, path='@DIR@/own.lsm');
SELECT lsm_backup('@DIR@/copy3');
DROP TABLE p;
.shell mkdir @DIR@/copy4-lsm && touch @DIR@/copy4-lsm/LOCK
SELECT lsm_backup('@DIR@/copy4');
SELECT lsm_backup('@DIR@/no/such/place');
CREATE VIRTUAL TABLE fts USING fts5(x);
SELECT lsm_backup('@DIR@/copy5');
.shell ls @DIR@ | grep -v script
.open :memory:
.load ./lsmvtab
SELECT lsm_backup('@DIR@/copy6');
.print -- what lsm_verify finds: a damaged file, rows of another definition
.open @DIR@/damaged
.load ./lsmvtab
CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v, compression=none);
CREATE VIRTUAL TABLE u USING lsm(k INTEGER PRIMARY KEY, v, path='@DIR@/other.lsm');
INSERT INTO t VALUES(1, 'one'), (2, 'two');
INSERT INTO u SELECT value, 'x' FROM json_each('[1,2,3]');
SELECT lsm_flush('t');
SELECT lsm_verify('t');
SELECT file FROM lsm_files('t');
.shell f=$(ls @DIR@/damaged-lsm/*.sst) && printf damage 1<>"$f"
SELECT lsm_verify('t');
.output /dev/null
.dbconfig defensive off
.output stdout
PRAGMA writable_schema = ON;
UPDATE sqlite_master SET sql = replace(sql, 'k INTEGER PRIMARY KEY, v', 'k, v, w, PRIMARY KEY (k, v)') WHERE name = 'u';
PRAGMA writable_schema = OFF;
.open @DIR@/damaged
.load ./lsmvtab
SELECT lsm_verify('u');
