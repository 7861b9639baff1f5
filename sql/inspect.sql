-- inspect.sql: what the lsm tables of a database look like inside.
--     sqlite3 your.db < sql/inspect.sql
-- Bytes and counts are those since this process opened the store; levels and
-- files are as they stand on disk.
.load ./lsmvtab
.headers on
.mode list
.separator " | "
CREATE TEMP VIEW lsm_table AS
  SELECT name FROM main.sqlite_schema
   WHERE type = 'table' AND lower(sql) LIKE 'create virtual table%' AND lower(sql) LIKE '%using lsm%'
   ORDER BY name;

.print == levels
SELECT t.name AS tbl, l.level, l.files, l.bytes, l.entries, l.tombstones, round(l.score, 2) AS score
  FROM lsm_table t, lsm_levels(t.name) l;

.print == amplification
SELECT t.name AS tbl,
       max(CASE s.name WHEN 'user_bytes' THEN s.value END) AS user_bytes,
       max(CASE s.name WHEN 'wal_bytes' THEN s.value END) AS wal_bytes,
       max(CASE s.name WHEN 'flush_bytes' THEN s.value END) AS flush_bytes,
       max(CASE s.name WHEN 'compaction_bytes' THEN s.value END) AS compaction_bytes,
       round(max(CASE s.name WHEN 'write_amplification' THEN s.value END), 2) AS write_amp,
       round(max(CASE s.name WHEN 'space_amplification' THEN s.value END), 2) AS space_amp
  FROM lsm_table t, lsm_stats(t.name) s GROUP BY t.name ORDER BY t.name;

.print == everything that is counted
SELECT t.name AS tbl, s.name, round(s.value, 2) AS value FROM lsm_table t, lsm_stats(t.name) s;

.print == files
SELECT t.name AS tbl, f.level, f.file, f.bytes, f.entries, f.tombstones FROM lsm_table t, lsm_files(t.name) f;

.print == damage
SELECT t.name AS tbl, lsm_verify(t.name) AS verify FROM lsm_table t;
