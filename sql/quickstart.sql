-- quickstart.sql: the first five minutes.
--     sqlite3 quick.db < sql/quickstart.sql        (after make, in its directory)
-- The data goes to quick.db-lsm/, next to quick.db. Run it as often as you like.
.load ./lsmvtab
.headers off
.mode list

.print -- a key and a value: the default table
DROP TABLE IF EXISTS kv;
CREATE VIRTUAL TABLE kv USING lsm;
INSERT INTO kv VALUES('apple', 'red'), ('banana', 'yellow'), ('cherry', 'dark red');
SELECT * FROM kv WHERE key = 'banana';
INSERT OR REPLACE INTO kv VALUES('banana', 'green');
SELECT * FROM kv WHERE key = 'banana';

.print -- a typed table, clustered on a key of two columns
DROP TABLE IF EXISTS reading;
CREATE VIRTUAL TABLE reading USING lsm(
  sensor TEXT, at INTEGER, celsius REAL,
  PRIMARY KEY (sensor, at DESC),
  compression=zlib
);
WITH RECURSIVE minute(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM minute WHERE n < 9999)
INSERT INTO reading SELECT 'sensor-' || (n % 10), 1700000000 + n / 10 * 60, 20 + n % 7 * 0.5 FROM minute;
SELECT count(*) FROM reading;

.print -- the newest three of one sensor: a seek, no sort
SELECT * FROM reading WHERE sensor = 'sensor-4' ORDER BY at DESC LIMIT 3;

.print -- a range of its time
SELECT count(*), avg(celsius) FROM reading
 WHERE sensor = 'sensor-4' AND at BETWEEN 1700000000 AND 1700003600;

.print -- a join with an ordinary table
DROP TABLE IF EXISTS place;
CREATE TABLE place(sensor TEXT PRIMARY KEY, room TEXT);
INSERT INTO place VALUES('sensor-1', 'kitchen'), ('sensor-2', 'cellar');
SELECT room, count(*), max(celsius) FROM place JOIN reading USING(sensor) GROUP BY room ORDER BY room;

.print -- a transaction, thought better of
BEGIN;
DELETE FROM reading WHERE sensor = 'sensor-4';
SELECT count(*) FROM reading;
ROLLBACK;
SELECT count(*) FROM reading;

.print -- and one meant
DELETE FROM reading WHERE sensor = 'sensor-4';
SELECT count(*) FROM reading;

.print -- memtable to disk; one sorted run, deleted rows gone for good; every checksum checked
SELECT lsm_flush('reading');
SELECT lsm_compact('reading');
SELECT lsm_verify('reading');
SELECT sum(entries), sum(tombstones) FROM lsm_levels('reading');
