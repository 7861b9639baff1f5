-- tour_timeseries.sql: measurements, newest first, rolled up into an ordinary table.
--     sqlite3 series.db < sql/tour_timeseries.sql
.load ./lsmvtab
.mode list

DROP TABLE IF EXISTS sample;
DROP TABLE IF EXISTS hourly;
CREATE VIRTUAL TABLE sample USING lsm(
  series INTEGER, at INTEGER, value REAL,
  PRIMARY KEY (series, at DESC)      -- newest first within a series
);
CREATE TABLE hourly(series INTEGER, hour INTEGER, n INTEGER, low REAL, high REAL, mean REAL,
                    PRIMARY KEY (series, hour)) WITHOUT ROWID;

.print -- 20 series, a sample a minute for a day and a half
WITH RECURSIVE s(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM s WHERE id < 20),
               m(t) AS (SELECT 0 UNION ALL SELECT t + 1 FROM m WHERE t < 2159)
INSERT INTO sample SELECT id, 1700006400 + t * 60, id + (t * 37 + id * 11) % 100 / 4.0 FROM m, s;
SELECT count(*), min(at), max(at) FROM sample;

.print -- the latest value of every series: one seek each
WITH RECURSIVE s(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM s WHERE id < 5)
SELECT id, (SELECT value FROM sample WHERE series = id ORDER BY at DESC LIMIT 1) FROM s;

.print -- ten minutes of one series, oldest first: the same key read backwards
SELECT at, value FROM sample WHERE series = 7 AND at >= 1700010000 AND at < 1700010600 ORDER BY at;

.print -- a late sample corrects an earlier one
INSERT OR REPLACE INTO sample VALUES(7, 1700010000, 99.5);
SELECT value FROM sample WHERE series = 7 AND at = 1700010000;

.print -- roll up the first day, then drop its samples, in one transaction
BEGIN;
INSERT INTO hourly
  SELECT series, at / 3600 * 3600, count(*), min(value), max(value), round(avg(value), 3)
    FROM sample WHERE at < 1700006400 + 86400 GROUP BY 1, 2;
WITH RECURSIVE s(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM s WHERE id < 20)
DELETE FROM sample WHERE series IN (SELECT id FROM s) AND at < 1700006400 + 86400;
COMMIT;
SELECT count(*) FROM hourly;
SELECT * FROM hourly WHERE series = 7 ORDER BY hour LIMIT 3;
SELECT count(*), min(at) FROM sample;

.print -- moving average over the newest samples
SELECT at, value, round(avg(value) OVER (ORDER BY at ROWS 2 PRECEDING), 3)
  FROM (SELECT at, value FROM sample WHERE series = 3 ORDER BY at DESC LIMIT 5) ORDER BY at;
