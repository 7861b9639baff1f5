-- tour_logs.sql: ingesting logs. Many writers of small rows, read by host and time.
--     sqlite3 logs.db < sql/tour_logs.sql
.load ./lsmvtab
.mode list
PRAGMA journal_mode = WAL;
-- Log lines may be lost with the last moments before a power cut, never torn.
PRAGMA synchronous = NORMAL;

DROP TABLE IF EXISTS log;
CREATE VIRTUAL TABLE log USING lsm(
  host TEXT NOT NULL, ts INTEGER, seq INTEGER, level TEXT COLLATE NOCASE, msg TEXT,
  PRIMARY KEY (host, ts, seq),
  compaction=tiered            -- written much more than read: fewer rewrites
);

.print -- 50,000 lines in transactions of 10,000
CREATE TEMP VIEW line AS
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
SELECT 'web' || (i % 5) AS host, 1700000000 + i / 20 AS ts, i AS seq,
       CASE WHEN i % 100 = 0 THEN 'ERROR' WHEN i % 10 = 0 THEN 'warn' ELSE 'info' END AS level,
       'GET /page/' || (i * 7919 % 1000) || ' took ' || (i % 250) || ' ms' AS msg FROM n;
BEGIN; INSERT INTO log SELECT host, ts, seq, level, msg FROM line; COMMIT;
BEGIN; INSERT INTO log SELECT host, ts + 500, seq + 10000, level, msg FROM line; COMMIT;
BEGIN; INSERT INTO log SELECT host, ts + 1000, seq + 20000, level, msg FROM line; COMMIT;
BEGIN; INSERT INTO log SELECT host, ts + 1500, seq + 30000, level, msg FROM line; COMMIT;
BEGIN; INSERT INTO log SELECT host, ts + 2000, seq + 40000, level, msg FROM line; COMMIT;
SELECT count(*), count(DISTINCT host) FROM log;

.print -- the last lines of one host, newest first
SELECT ts, level, msg FROM log WHERE host = 'web3' ORDER BY ts DESC, seq DESC LIMIT 3;

.print -- one host, one minute, errors only
SELECT ts, msg FROM log WHERE host = 'web0' AND ts BETWEEN 1700000600 AND 1700000610 AND level = 'error';

.print -- lines a level
SELECT lower(level), count(*) FROM log GROUP BY 1 ORDER BY 1;

.print -- throw the oldest away, host by host: a range of the key each
DELETE FROM log WHERE host IN (SELECT 'web' || value FROM json_each('[0,1,2,3,4]')) AND ts < 1700001000;
SELECT count(*), min(ts) FROM log;
SELECT lsm_compact('log');
SELECT sum(entries), sum(tombstones) FROM lsm_levels('log');
