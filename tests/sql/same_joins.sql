-- Newer shells start without it; views and triggers may then use no table of a module like this.
PRAGMA trusted_schema = ON;
-- Joins of all kinds, subqueries, unions, windows.
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT, city TEXT); -- lsm
CREATE TABLE visit(city TEXT, day INTEGER, person INTEGER, cost REAL, PRIMARY KEY(city, day, person)) WITHOUT ROWID; -- lsm
CREATE TABLE city(name TEXT PRIMARY KEY, country TEXT);
INSERT INTO city VALUES('Oslo', 'NO'), ('Bergen', 'NO'), ('Turin', 'IT'), ('Lyon', 'FR');
INSERT INTO person VALUES(1, 'Ada', 'Oslo'), (2, 'Bo', 'Turin'), (3, 'Cy', 'Nowhere'), (4, 'Di', NULL), (5, 'Ed', 'Oslo');
WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 39)
  INSERT INTO visit SELECT CASE i % 3 WHEN 0 THEN 'Oslo' WHEN 1 THEN 'Turin' ELSE 'Lyon' END, i / 4, i % 5 + 1, i * 1.25 FROM c;
SELECT p.name, c.country FROM person p JOIN city c ON c.name = p.city ORDER BY p.id;
SELECT p.name, c.country FROM person p LEFT JOIN city c ON c.name = p.city ORDER BY p.id;
SELECT c.name, p.name FROM city c LEFT JOIN person p ON p.city = c.name ORDER BY c.name, p.id;
SELECT c.name, count(v.day), sum(v.cost) FROM city c LEFT JOIN visit v ON v.city = c.name GROUP BY c.name ORDER BY c.name;
SELECT v.city, v.day, p.name FROM visit v JOIN person p ON p.id = v.person WHERE v.city = 'Oslo' AND v.day BETWEEN 2 AND 5 ORDER BY v.day, p.name;
SELECT p.name, (SELECT max(cost) FROM visit v WHERE v.person = p.id) FROM person p ORDER BY p.id;
SELECT name FROM person p WHERE EXISTS (SELECT 1 FROM visit v WHERE v.city = p.city AND v.person = p.id AND v.day > 8) ORDER BY id;
SELECT name FROM person WHERE id NOT IN (SELECT person FROM visit WHERE city = 'Lyon' AND day < 5) ORDER BY id;
SELECT a.city, a.day, b.day FROM visit a JOIN visit b ON b.city = a.city AND b.day = a.day + 1 AND b.person = a.person ORDER BY 1, 2, 3;
SELECT city, day FROM visit WHERE day = 3 UNION SELECT city, id FROM person WHERE city IS NOT NULL ORDER BY 1, 2;
SELECT city, day, person FROM visit WHERE city = 'Turin' EXCEPT SELECT city, day, person FROM visit WHERE day > 4 ORDER BY 2, 3;
SELECT city, day, sum(cost) OVER (PARTITION BY city ORDER BY day, person ROWS 1 PRECEDING) FROM visit WHERE day < 4 ORDER BY city, day, person;
SELECT p.name, v.n FROM person p JOIN (SELECT person, count(*) n FROM visit GROUP BY person) v ON v.person = p.id ORDER BY 1;
SELECT count(*) FROM person, visit;
SELECT country, group_concat(DISTINCT p.name) FROM city c JOIN person p ON p.city = c.name GROUP BY country ORDER BY 1;
WITH oslo AS (SELECT * FROM visit WHERE city = 'Oslo') SELECT min(day), max(day), count(*) FROM oslo;
SELECT p.name FROM person p NATURAL JOIN (SELECT 'Ada' AS name);
SELECT * FROM person WHERE (id, name) IN (VALUES(1, 'Ada'), (2, 'Nobody'));
CREATE VIEW v AS SELECT p.name AS who, v.city, v.day FROM person p JOIN visit v ON v.person = p.id;
SELECT * FROM v WHERE who = 'Bo' ORDER BY city, day;
