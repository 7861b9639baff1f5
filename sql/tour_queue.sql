-- tour_queue.sql: a job queue. Taken from the front, put at the back, retried later.
--     sqlite3 queue.db < sql/tour_queue.sql
.load ./lsmvtab
.mode list

DROP TABLE IF EXISTS job;
DROP TABLE IF EXISTS running;
CREATE VIRTUAL TABLE job USING lsm(
  queue TEXT, due INTEGER, id INTEGER, payload TEXT,
  PRIMARY KEY (queue, due, id)
);
CREATE TABLE running(id INTEGER PRIMARY KEY, queue TEXT, due INTEGER, payload TEXT);

.print -- 3,000 jobs in three queues
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
INSERT INTO job SELECT CASE i % 3 WHEN 0 THEN 'mail' WHEN 1 THEN 'image' ELSE 'report' END,
                       1000 + i / 3, i, 'job ' || i FROM n;
SELECT queue, count(*) FROM job GROUP BY queue;

.print -- take the five that are due first: off the queue and into the ordinary table, together
BEGIN IMMEDIATE;
INSERT INTO running SELECT id, queue, due, payload FROM job
  WHERE queue = 'mail' AND due <= 1500 ORDER BY due, id LIMIT 5;
DELETE FROM job WHERE (queue, due, id) IN (SELECT queue, due, id FROM running);
COMMIT;
SELECT id, due, payload FROM running ORDER BY id;
SELECT count(*) FROM job WHERE queue = 'mail';

.print -- one fails: back into the queue, a minute later
BEGIN IMMEDIATE;
INSERT INTO job SELECT queue, due + 60, id, payload || ', 2nd try' FROM running WHERE id = 9;
DELETE FROM running WHERE id = 9;
COMMIT;
SELECT due, payload FROM job WHERE queue = 'mail' AND due BETWEEN 1060 AND 1063;

.print -- a worker that gives up: all as it was
BEGIN IMMEDIATE;
DELETE FROM job WHERE queue = 'mail' AND due < 1100;
SELECT count(*) FROM job;
ROLLBACK;
SELECT count(*) FROM job;

.print -- work 500 off the front; compaction clears the way for the next to look there
DELETE FROM job WHERE queue = 'image' AND due < 1500;
SELECT min(due), count(*) FROM job WHERE queue = 'image';
SELECT lsm_compact('job');
SELECT due, id FROM job WHERE queue = 'image' ORDER BY due, id LIMIT 1;
SELECT sum(entries), sum(tombstones) FROM lsm_levels('job');
