-- UPDATE by a whole key whose other side is not known when the statement is compiled: of
-- one row, and of the several that a number from an INTEGER column may equal.
CREATE TABLE tt(k TEXT, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE tb(k, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE tc(a TEXT, b, v, PRIMARY KEY(a, b)) WITHOUT ROWID; -- lsm
CREATE TABLE tu(id INTEGER PRIMARY KEY, k TEXT UNIQUE, v); -- lsm
CREATE TABLE probe(id INTEGER PRIMARY KEY, pi INTEGER, pt TEXT, pb);
INSERT INTO probe VALUES(1, 5, '5', '5'), (2, 6, '6', 6), (3, NULL, 'abc', x'61'), (4, 77, '77', 77);
INSERT INTO tt VALUES('5', 0), ('05', 0), ('5.0', 0), ('6', 0), ('abc', 0), (' 7', 0);
INSERT INTO tb VALUES(5, 0), ('5', 0), (' 5', 0), (6, 0), ('abc', 0), (x'61', 0);
INSERT INTO tc VALUES('5', 5, 0), ('05', 5, 0), ('5', '5', 0), ('6', 6, 0), ('abc', x'61', 0);
INSERT INTO tu VALUES(1, '5', 0), (2, '05', 0), (3, '6', 0), (4, 'abc', 0), (5, NULL, 0);
--@flush tt
-- one row
UPDATE tt SET v = v + 1 WHERE k = (SELECT pi FROM probe WHERE id = 2);
UPDATE tt SET v = v + 1 WHERE k = (SELECT pt FROM probe WHERE id = 1);
UPDATE tt SET v = v + 1 WHERE k = (SELECT pb FROM probe WHERE id = 3);
UPDATE tt SET v = v + 1 WHERE k = (SELECT pi FROM probe WHERE id = 3);
UPDATE tt SET v = v + 1 WHERE k = 'a' || 'bc';
UPDATE tt SET v = v + 1 WHERE k = 2 + 4;
UPDATE tb SET v = v + 1 WHERE k = (SELECT pb FROM probe WHERE id = 1);
UPDATE tb SET v = v + 1 WHERE k = 2 + 3;
UPDATE tb SET v = v + 1 WHERE k = (SELECT pb FROM probe WHERE id = 3);
UPDATE tc SET v = v + 1 WHERE a = 'a' || 'bc' AND b = (SELECT pb FROM probe WHERE id = 3);
UPDATE tu SET v = v + 1 WHERE k = 'a' || 'bc';
SELECT changes();
SELECT 'tt', quote(k), v FROM tt;
SELECT 'tb', quote(k), v FROM tb;
SELECT 'tc', quote(a), quote(b), v FROM tc;
SELECT 'tu', id, quote(k), v FROM tu;
-- several
UPDATE tt SET v = v + 10 WHERE k = (SELECT pi FROM probe WHERE id = 1);
SELECT changes();
UPDATE tb SET v = v + 10 WHERE k = (SELECT pi FROM probe WHERE id = 1);
SELECT changes();
BEGIN;
INSERT INTO tb VALUES('5.00', 1);
UPDATE tb SET v = v + 100 WHERE k = CAST('5' AS INTEGER);
SELECT changes();
UPDATE tc SET v = v + 10 WHERE a = (SELECT pi FROM probe WHERE id = 1) AND b = (SELECT pi FROM probe WHERE id = 1);
SELECT changes();
UPDATE tu SET v = v + 10 WHERE k = CAST('5' AS INTEGER);
SELECT changes();
COMMIT;
UPDATE tt SET v = v + 1 WHERE k = CAST(' 7' AS INTEGER);
SELECT changes();
UPDATE tt SET v = v + 10 WHERE k = CAST('77' AS INTEGER);
SELECT changes();
SELECT 'tt', quote(k), v FROM tt;
SELECT 'tb', quote(k), v FROM tb;
SELECT 'tc', quote(a), quote(b), v FROM tc;
SELECT 'tu', id, quote(k), v FROM tu;
-- the key itself, and refusals
UPDATE tt SET k = k || 'x' WHERE k = CAST('6' AS INTEGER);
UPDATE tt SET k = 'abc' WHERE k = '6' || 'x';
UPDATE OR IGNORE tt SET k = 'abc' WHERE k = '6' || 'x';
UPDATE OR REPLACE tt SET k = 'abc', v = 'moved' WHERE k = '6' || 'x';
SELECT 'tt', quote(k), v FROM tt;
-- by a trigger, in the middle of a statement that has changed something
CREATE TABLE log(i INTEGER);
CREATE TRIGGER logged AFTER INSERT ON log BEGIN
  UPDATE tb SET v = v + 1000 WHERE k = (SELECT pi FROM probe WHERE pi = NEW.i);
  UPDATE tu SET v = v + 1000 WHERE k = (SELECT pi FROM probe WHERE pi = NEW.i);
END;
INSERT INTO log VALUES(6), (5), (6);
BEGIN;
INSERT INTO log VALUES(5);
INSERT INTO log VALUES(6), (5);
COMMIT;
SELECT * FROM log;
SELECT 'tb', quote(k), v FROM tb;
SELECT 'tu', id, quote(k), v FROM tu;
