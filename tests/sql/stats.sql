-- lsm_stats, lsm_levels, lsm_files and the functions: names, and figures that add up.
CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v TEXT);
CREATE TEMP TABLE want(name TEXT PRIMARY KEY);
INSERT INTO want VALUES('user_bytes'), ('wal_bytes'), ('flush_bytes'), ('compaction_bytes'), ('write_amplification'), ('space_amplification'), ('memtable_bytes'), ('memtable_entries'), ('sst_files'), ('sst_bytes'), ('flushes'), ('compactions'), ('stalls'), ('stall_us'), ('gets'), ('scans'), ('bloom_checks'), ('bloom_hits'), ('bloom_false_positives'), ('cache_hits'), ('cache_misses'), ('cache_bytes'), ('snapshots');
.print -- names missing:
SELECT name FROM want WHERE name NOT IN (SELECT name FROM lsm_stats('t'));
.print -- every value a number, none negative:
SELECT name, value FROM lsm_stats('t') WHERE typeof(value) NOT IN ('integer', 'real') OR value < 0;
SELECT lsm_version() GLOB '[0-9]*.[0-9]*.[0-9]*';
SELECT lsm_version() = (SELECT lsm_version());
CREATE TEMP VIEW s AS SELECT name, value FROM lsm_stats('t');
.print -- a fresh store
SELECT name, value FROM s WHERE name IN ('memtable_entries', 'sst_files', 'flushes', 'stalls') ORDER BY name;
SELECT count(*) FROM lsm_files('t');
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 5000) INSERT INTO t SELECT i, 'value number ' || i FROM c;
.print -- in the memtable
SELECT value >= 5000 FROM s WHERE name = 'memtable_entries';
SELECT value >= 5000 * 13 FROM s WHERE name = 'user_bytes';
SELECT (SELECT value FROM s WHERE name = 'wal_bytes') >= (SELECT value FROM s WHERE name = 'user_bytes');
SELECT lsm_flush('t');
.print -- in a file
SELECT value FROM s WHERE name = 'memtable_entries';
SELECT value FROM s WHERE name = 'flushes';
SELECT value >= 1 FROM s WHERE name = 'sst_files';
SELECT sum(entries) >= 5000, sum(tombstones), sum(files) = (SELECT value FROM s WHERE name = 'sst_files'), sum(bytes) = (SELECT value FROM s WHERE name = 'sst_bytes') FROM lsm_levels('t');
SELECT count(*) = (SELECT value FROM s WHERE name = 'sst_files'), sum(bytes) = (SELECT value FROM s WHERE name = 'sst_bytes'), min(min_key <= max_key), min(typeof(file)) FROM lsm_files('t');
DELETE FROM t WHERE k > 1000;
SELECT lsm_flush('main.t');
SELECT sum(tombstones) IN (4000, 0) FROM lsm_levels('main.t'); -- 0: a quiet moment's merge has been there
SELECT lsm_compact('t');
SELECT sum(entries), sum(tombstones), sum(files) FROM lsm_levels('t');
SELECT abs((SELECT value FROM s WHERE name = 'write_amplification') -
  (SELECT sum(value) FROM s WHERE name IN ('wal_bytes', 'flush_bytes', 'compaction_bytes')) /
  (SELECT value * 1.0 FROM s WHERE name = 'user_bytes')) < 0.001;
.print -- reads are counted, absent keys by the bloom filter
CREATE TEMP TABLE before AS SELECT name, value FROM s;
SELECT count(*) FROM (SELECT v FROM t WHERE k = 5 UNION ALL SELECT v FROM t WHERE k = 5000 UNION ALL SELECT v FROM t WHERE k = 100000);
SELECT count(*) FROM t WHERE k BETWEEN 10 AND 20;
SELECT s.name, s.value > before.value FROM s JOIN before USING(name) WHERE name IN ('gets', 'scans', 'bloom_checks') ORDER BY name;
SELECT lsm_verify('t');
.print -- after reopening
--@reopen
.nullvalue NULL
SELECT sum(entries), sum(tombstones) FROM lsm_levels('t');
SELECT name, value FROM lsm_stats('t') WHERE name IN ('flushes', 'compactions', 'flush_bytes') ORDER BY name;
SELECT lsm_verify('t');
.print -- in memory, and temporary
ATTACH ':memory:' AS mem;
CREATE VIRTUAL TABLE mem.t USING lsm(k INTEGER PRIMARY KEY, v);
INSERT INTO mem.t VALUES(1, 2);
SELECT lsm_flush('mem.t');
SELECT sum(entries) FROM lsm_levels('mem.t');
SELECT lsm_verify('mem.t');
.print -- an OR, whose sides SQLite looks at one by one
SELECT name FROM lsm_stats('t') WHERE name = 'gets' OR name LIKE 'scan%';
SELECT count(*) > 0 FROM lsm_levels('t') WHERE level = 0 OR files > 0;
SELECT s.name FROM lsm_stats s WHERE s.name = 'gets' OR s.value = 1;
