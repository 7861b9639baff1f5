-- tour_kv.sql: a cache of values by key: sessions, pages, thumbnails.
--     sqlite3 cache.db < sql/tour_kv.sql
.load ./lsmvtab
.mode list
PRAGMA synchronous = NORMAL;

DROP TABLE IF EXISTS cache;
CREATE VIRTUAL TABLE cache USING lsm(
  key TEXT PRIMARY KEY, expires INTEGER, body BLOB,
  bloom_bits=14,               -- a miss costs no read of the disk
  memtable_size='16MB', cache_size='32MB'
);

.print -- put: INSERT OR REPLACE needs no read of what was there before
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT OR REPLACE INTO cache
  SELECT 'page:' || (i % 4000), 1000 + i, CAST('<html>' || i || '</html>' AS BLOB) FROM n;
INSERT OR REPLACE INTO cache VALUES('session:ada', 5000, x'0102030405'), ('session:bob', 900, x'ff');
SELECT count(*) FROM cache;

.print -- get, hit and miss
SELECT CAST(body AS TEXT), expires FROM cache WHERE key = 'page:1234' AND expires > 3000;
SELECT count(*) FROM cache WHERE key = 'page:4000';

.print -- get many
SELECT key, length(body) FROM cache WHERE key IN ('session:ada', 'session:bob', 'session:eve', 'page:1') ORDER BY key;

.print -- all keys with a prefix, by range and by GLOB
SELECT count(*) FROM cache WHERE key >= 'session:' AND key < 'session;';
SELECT count(*) FROM cache WHERE key GLOB 'page:39*';

.print -- what UPSERT does elsewhere: keep the larger of old and new
INSERT OR REPLACE INTO cache
  SELECT 'session:bob', max(4000, coalesce((SELECT expires FROM cache WHERE key = 'session:bob'), 0)), x'fe';
SELECT key, expires, hex(body) FROM cache WHERE key = 'session:bob';

.print -- expire
DELETE FROM cache WHERE expires < 19000;
SELECT count(*) FROM cache;
SELECT lsm_compact('cache');
SELECT sum(entries), sum(tombstones) FROM lsm_levels('cache');
SELECT lsm_verify('cache');

.print -- or let them expire by themselves: seconds since 1970; NULL is never
CREATE VIRTUAL TABLE session USING lsm(key TEXT PRIMARY KEY, expires INTEGER, user, ttl_column=expires);
INSERT INTO session VALUES('a', strftime('%s', 'now') + 3600, 'alice'), ('b', strftime('%s', 'now') - 1, 'bob'),
  ('c', NULL, 'carol');
SELECT key, user FROM session;
UPDATE session SET expires = 0 WHERE user = 'carol';
SELECT count(*) FROM session;
