-- needs SQLite 3.38: to learn literals at planning
-- EXPLAIN QUERY PLAN where sizes decide: which table is the outer one of a join, which of two
-- indexes has fewer rows between two literals. Rows are in files for the most part.
CREATE VIRTUAL TABLE small USING lsm(id INTEGER PRIMARY KEY, big_id INT, tag TEXT, INDEX by_big (big_id));
CREATE VIRTUAL TABLE big USING lsm(id INTEGER PRIMARY KEY, small_id INT, a INT, b INT, kind TEXT, pad TEXT, INDEX by_small (small_id), INDEX by_a (a), INDEX by_b (b), INDEX by_kind (kind, a));
CREATE VIRTUAL TABLE log USING lsm(host TEXT, ts INTEGER, msg TEXT, PRIMARY KEY(host, ts));
CREATE TABLE plain(id INTEGER PRIMARY KEY, big_id INT, host TEXT);
CREATE TABLE tiny(id INTEGER PRIMARY KEY, x);
INSERT INTO small WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT i, i * 7, 'tag' || i FROM n;
INSERT INTO big WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, i % 50 + 1, i, i % 100, CASE WHEN i % 1000 = 0 THEN 'rare' ELSE 'usual' END, hex(i * 1234567) FROM n;
INSERT INTO log WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT CASE WHEN i < 200 THEN 'a' ELSE 'b' END, i, hex(i) FROM n;
INSERT INTO plain WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT i, i, 'b' FROM n;
INSERT INTO tiny VALUES(1, 2), (3, 4);
ANALYZE;
--@flush big
.mode list
.print -- the small one outside, whichever comes first
EXPLAIN QUERY PLAN SELECT * FROM small, big WHERE small.big_id = big.id AND big.small_id = small.id;
EXPLAIN QUERY PLAN SELECT * FROM big, small WHERE small.big_id = big.id AND big.small_id = small.id;
EXPLAIN QUERY PLAN SELECT * FROM big JOIN small ON big.a = small.id AND small.big_id = big.b;
EXPLAIN QUERY PLAN SELECT * FROM big JOIN plain ON big.id = plain.big_id AND plain.id = big.small_id;
EXPLAIN QUERY PLAN SELECT * FROM plain JOIN big ON big.id = plain.big_id AND plain.id = big.small_id;
EXPLAIN QUERY PLAN SELECT * FROM tiny, big, small WHERE big.id = tiny.x AND small.id = big.small_id;
EXPLAIN QUERY PLAN SELECT * FROM big, tiny WHERE big.id = tiny.id AND tiny.id = big.small_id;
EXPLAIN QUERY PLAN SELECT * FROM small JOIN log ON log.host = small.tag AND log.ts = small.id;
EXPLAIN QUERY PLAN SELECT * FROM log JOIN small ON log.host = small.tag AND log.ts = small.id;
.print -- a literal makes the large one small
EXPLAIN QUERY PLAN SELECT * FROM small, big WHERE small.big_id = big.id AND big.small_id = small.id AND big.id = 5;
EXPLAIN QUERY PLAN SELECT * FROM plain, big WHERE plain.id = big.id AND big.id BETWEEN 100 AND 110;
EXPLAIN QUERY PLAN SELECT * FROM plain, big WHERE plain.id = big.id AND big.id > 100;
.print -- of two ranges the shorter
EXPLAIN QUERY PLAN SELECT * FROM big WHERE a > 19000 AND b > 5;
EXPLAIN QUERY PLAN SELECT * FROM big WHERE a > 1000 AND b > 97;
EXPLAIN QUERY PLAN SELECT * FROM big WHERE a BETWEEN 100 AND 200 AND id > 15;
EXPLAIN QUERY PLAN SELECT * FROM big WHERE a BETWEEN 100 AND 19000 AND id > 19900;
EXPLAIN QUERY PLAN SELECT * FROM big WHERE kind = 'rare' AND b = 5;
EXPLAIN QUERY PLAN SELECT * FROM big WHERE kind = 'usual' AND b = 5;
.print -- an index with a term comes before a scan, whatever its share
EXPLAIN QUERY PLAN SELECT * FROM big WHERE a > 5;
EXPLAIN QUERY PLAN SELECT * FROM big WHERE kind = 'usual';
EXPLAIN QUERY PLAN SELECT * FROM big WHERE kind = 'rare';
.print -- order, when few rows are wanted
EXPLAIN QUERY PLAN SELECT * FROM big WHERE a > 5 ORDER BY a LIMIT 10;
EXPLAIN QUERY PLAN SELECT * FROM big WHERE a > 5 ORDER BY a DESC LIMIT 10 OFFSET 20;
EXPLAIN QUERY PLAN SELECT * FROM big ORDER BY b LIMIT 3;
EXPLAIN QUERY PLAN SELECT * FROM big ORDER BY b LIMIT 3 OFFSET 100;
