-- SELECT in its many forms over lsm tables: expressions, aggregates, compounds, subqueries, CTEs, windows, joins.
CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT, boss INT, pay REAL, team TEXT); -- lsm
CREATE TABLE s(team TEXT, year INT, points INT, PRIMARY KEY(team, year DESC)) WITHOUT ROWID; -- lsm
CREATE TABLE tag(pid INT, tag TEXT COLLATE NOCASE, PRIMARY KEY(pid, tag), INDEX by_tag (tag)) WITHOUT ROWID; -- lsm
INSERT INTO p VALUES(1, 'Ada', NULL, 100.5, 'red'), (2, 'Bob', 1, 80, 'red'), (3, 'Cyd', 1, 80, 'blue'), (4, 'Dee', 2, 60.25, 'blue'), (5, 'Eve', 2, NULL, NULL), (6, 'Flo', 3, 55, 'green'), (9, 'Gus', 99, -1, 'red');
INSERT INTO s WITH RECURSIVE y(n) AS (VALUES(2000) UNION ALL SELECT n + 1 FROM y WHERE n < 2009) SELECT t.column1, n, (n * 7 + length(t.column1)) % 11 FROM y, (VALUES('red'), ('blue'), ('green')) t;
INSERT INTO tag VALUES(1, 'boss'), (1, 'Old'), (2, 'old'), (3, 'NEW'), (4, 'new'), (4, 'boss'), (7, 'ghost');
--@flush s
.print -- expressions and aliases
SELECT id, name || '-' || coalesce(team, '?'), pay * 2, -pay, pay IS NULL, CASE WHEN pay > 70 THEN 'high' WHEN pay IS NULL THEN 'none' ELSE 'low' END FROM p ORDER BY id;
SELECT p.*, id AS again, rowid = id FROM p WHERE id < 3 ORDER BY id;
SELECT typeof(id), typeof(name), typeof(boss), typeof(pay) FROM p ORDER BY id;
SELECT 1 FROM p WHERE 0;
SELECT *, * FROM tag WHERE pid = 1 ORDER BY tag;
SELECT upper(name) AS u FROM p WHERE u LIKE 'B%' OR length(u) = 3 AND id > 4 ORDER BY u DESC;
.print -- aggregates
SELECT count(*), count(pay), count(DISTINCT pay), sum(pay), avg(pay), min(pay), max(pay), total(pay) FROM p;
SELECT count(*), sum(pay), min(name) FROM p WHERE id > 100;
SELECT team, count(*), sum(pay), group_concat(id) FROM (SELECT * FROM p ORDER BY id) GROUP BY team ORDER BY team;
SELECT team, count(*) AS n FROM p GROUP BY team HAVING n > 1 ORDER BY n DESC, team;
SELECT team, max(points), year FROM s GROUP BY team ORDER BY team;
SELECT year / 5, team, sum(points) FROM s GROUP BY 1, 2 ORDER BY 1 DESC, 2;
SELECT count(*) FROM s WHERE team = 'red' AND year BETWEEN 2003 AND 2006;
SELECT sum(points) FILTER (WHERE year > 2004), sum(points) FROM s;
SELECT lower(tag), count(*) FROM tag GROUP BY tag ORDER BY tag;
.print -- compounds
SELECT team FROM p UNION SELECT team FROM s ORDER BY 1;
SELECT team FROM p UNION ALL SELECT DISTINCT team FROM s ORDER BY 1;
SELECT team FROM s INTERSECT SELECT team FROM p ORDER BY 1;
SELECT id FROM p EXCEPT SELECT pid FROM tag ORDER BY 1;
SELECT id, name FROM p WHERE id < 3 UNION ALL SELECT year, team FROM s WHERE year = 2009 ORDER BY 2, 1 LIMIT 4 OFFSET 1;
SELECT tag FROM tag WHERE pid < 3 UNION SELECT tag FROM tag WHERE pid > 2 ORDER BY 1;
.print -- subqueries
SELECT name FROM p WHERE pay = (SELECT max(pay) FROM p);
SELECT name FROM p a WHERE pay > (SELECT avg(pay) FROM p b WHERE b.team = a.team) ORDER BY name;
SELECT name, (SELECT points FROM s WHERE s.team = p.team AND year = 2005) FROM p ORDER BY id;
SELECT name FROM p WHERE EXISTS (SELECT 1 FROM tag WHERE pid = id AND tag = 'OLD') ORDER BY name;
SELECT name FROM p WHERE NOT EXISTS (SELECT 1 FROM tag WHERE pid = id) ORDER BY name;
SELECT name FROM p WHERE team IN (SELECT team FROM s WHERE points > 9) ORDER BY name;
SELECT name FROM p WHERE (team, 2005) IN (SELECT team, year FROM s WHERE points > 3) ORDER BY name;
SELECT (SELECT name FROM p WHERE id = t.pid), tag FROM tag t ORDER BY pid, tag;
SELECT * FROM (SELECT team, sum(points) AS n FROM s GROUP BY team) WHERE n > 40 ORDER BY n;
SELECT a.n, b.n FROM (SELECT count(*) AS n FROM p) a, (SELECT count(*) AS n FROM s) b;
.print -- CTEs
WITH t AS (SELECT team, sum(points) AS n FROM s GROUP BY team) SELECT p.name, t.n FROM p JOIN t USING (team) ORDER BY name;
WITH RECURSIVE up(id, depth, path) AS (SELECT id, 0, name FROM p WHERE boss IS NULL UNION ALL SELECT p.id, depth + 1, path || '/' || name FROM p JOIN up ON p.boss = up.id) SELECT * FROM up ORDER BY path;
WITH RECURSIVE y(n) AS (SELECT min(year) FROM s UNION ALL SELECT n + 1 FROM y WHERE n < (SELECT max(year) FROM s)) SELECT n, (SELECT sum(points) FROM s WHERE year = n) FROM y WHERE n % 3 = 0;
.print -- windows
SELECT team, year, points, sum(points) OVER (PARTITION BY team ORDER BY year) FROM s WHERE year < 2003 ORDER BY team, year;
SELECT name, rank() OVER (ORDER BY pay DESC), lag(name) OVER (ORDER BY id), ntile(3) OVER (ORDER BY id) FROM p ORDER BY id;
SELECT team, year, first_value(year) OVER w, max(points) OVER (w ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM s WHERE team <> 'green' AND year > 2005 WINDOW w AS (PARTITION BY team ORDER BY year DESC) ORDER BY team, year;
.print -- joins
SELECT p.name, b.name FROM p LEFT JOIN p b ON b.id = p.boss ORDER BY p.id;
SELECT p.name, tag FROM p LEFT JOIN tag ON pid = id AND tag <> 'boss' ORDER BY id, tag;
SELECT p.name, tag FROM p LEFT JOIN tag ON pid = id WHERE tag IS NULL ORDER BY id;
SELECT count(*) FROM p, s, tag;
SELECT count(*) FROM p CROSS JOIN s ON p.team = s.team;
SELECT name, year FROM p NATURAL JOIN s WHERE points = 0 ORDER BY id, year;
SELECT x.team, x.year FROM s x JOIN s y ON x.team = y.team AND x.year = y.year + 1 AND x.points > y.points ORDER BY 1, 2 DESC;
SELECT a.pid, b.pid, a.tag FROM tag a JOIN tag b ON a.tag = b.tag AND a.pid < b.pid ORDER BY 1, 2;
SELECT name FROM p WHERE id IN (SELECT pid FROM tag WHERE tag IN ('new', 'BOSS')) ORDER BY 1;
.print -- errors
SELECT nothing FROM p;
SELECT count(*) FROM p WHERE max(id) > 1;
SELECT * FROM p ORDER BY 9;
SELECT (SELECT id, name FROM p);
SELECT * FROM p WHERE id IN (SELECT id, name FROM p);
SELECT abs(-9223372036854775808) FROM p;
