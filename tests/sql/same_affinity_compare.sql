-- needs SQLite 3.38: sqlite3_vtab_in(), for IN with a column of another type
-- Comparisons whose result depends on affinity: right answers before fast paths.
CREATE TABLE ti(k INT, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE tt(k TEXT, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE tb(k, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE tr(k REAL, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE tn(k NUMERIC, v, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE probe(pi INTEGER, pt TEXT, pb, pr REAL);
INSERT INTO probe VALUES(5, '5', '5', 5.0), (10, '10', 10, 10.5), (NULL, 'abc', x'61', 1e3);
INSERT INTO ti VALUES(5, 'five'), (10, 'ten'), ('abc', 'text'), (x'61', 'blob'), (1000, 'thousand'), (10.5, 'tenhalf');
INSERT INTO tt VALUES(5, 'five'), (10, 'ten'), ('abc', 'text'), (x'61', 'blob'), ('5.0', 'fivezero'), ('05', 'zerofive'), (1000.0, 'th');
INSERT INTO tb VALUES(5, 'five'), ('5', 'fivetext'), (10, 'ten'), ('10', 'tentext'), ('abc', 'text'), (x'61', 'blob'), (10.5, 'tenhalf');
INSERT INTO tr VALUES(5, 'five'), (10, 'ten'), ('abc', 'text'), (x'61', 'blob'), ('1e3', 'thousand'), (10.5, 'tenhalf');
INSERT INTO tn VALUES('5', 'five'), (10.0, 'ten'), ('abc', 'text'), (x'61', 'blob'), ('1e3', 'thousand'), (10.5, 'tenhalf');
SELECT 'ti', v FROM ti WHERE k = '5';
SELECT 'ti', v FROM ti WHERE k = 5.0;
SELECT 'ti', v FROM ti WHERE k = '5.0';
SELECT 'ti', v FROM ti WHERE k = 'abc';
SELECT 'ti', v FROM ti WHERE k > '9';
SELECT 'ti', v FROM ti WHERE k IN ('5', '10', 'abc');
SELECT 'tt', v FROM tt WHERE k = 5;
SELECT 'tt', v FROM tt WHERE k = 5.0;
SELECT 'tt', v FROM tt WHERE k = '5';
SELECT 'tt', v FROM tt WHERE k > 5;
SELECT 'tt', v FROM tt WHERE k < 5;
SELECT 'tt', v FROM tt WHERE k IN (5, 10);
SELECT 'tb', v FROM tb WHERE k = 5;
SELECT 'tb', v FROM tb WHERE k = '5';
SELECT 'tb', v FROM tb WHERE k > 5;
SELECT 'tb', v FROM tb WHERE k > '5';
SELECT 'tb', v FROM tb WHERE k IN (5, '10');
SELECT 'tr', v FROM tr WHERE k = 5;
SELECT 'tr', v FROM tr WHERE k = '1000';
SELECT 'tr', v FROM tr WHERE k BETWEEN '5' AND '10.5';
SELECT 'tn', v FROM tn WHERE k = '5';
SELECT 'tn', v FROM tn WHERE k = '1000.0';
SELECT 'pi', t, v FROM (SELECT 'ti' AS t, pi, v FROM probe JOIN ti ON ti.k = probe.pi) ORDER BY 2, 3;
SELECT 'ti-pt', pt, v FROM probe JOIN ti ON ti.k = probe.pt ORDER BY 2, 3;
SELECT 'ti-pb', quote(pb), v FROM probe JOIN ti ON ti.k = probe.pb ORDER BY 2, 3;
SELECT 'ti-pr', pr, v FROM probe JOIN ti ON ti.k = probe.pr ORDER BY 2, 3;
SELECT 'tt-pi', pi, v FROM probe JOIN tt ON tt.k = probe.pi ORDER BY 2, 3;
SELECT 'tt-pt', pt, v FROM probe JOIN tt ON tt.k = probe.pt ORDER BY 2, 3;
SELECT 'tt-pb', quote(pb), v FROM probe JOIN tt ON tt.k = probe.pb ORDER BY 2, 3;
SELECT 'tt-pr', pr, v FROM probe JOIN tt ON tt.k = probe.pr ORDER BY 2, 3;
SELECT 'tb-pi', pi, v FROM probe JOIN tb ON tb.k = probe.pi ORDER BY 2, 3;
SELECT 'tb-pt', pt, v FROM probe JOIN tb ON tb.k = probe.pt ORDER BY 2, 3;
SELECT 'tb-pb', quote(pb), v FROM probe JOIN tb ON tb.k = probe.pb ORDER BY 2, 3;
SELECT 'tb-pr', pr, v FROM probe JOIN tb ON tb.k = probe.pr ORDER BY 2, 3;
SELECT 'tn-pt', pt, v FROM probe JOIN tn ON tn.k = probe.pt ORDER BY 2, 3;
SELECT 'tr-pt', pt, v FROM probe JOIN tr ON tr.k = probe.pt ORDER BY 2, 3;
SELECT 'tt>pi', pi, v FROM probe JOIN tt ON tt.k > probe.pi ORDER BY 2, 3;
SELECT 'tt<pi', pi, v FROM probe JOIN tt ON tt.k < probe.pi ORDER BY 2, 3;
SELECT 'ti<pt', pt, v FROM probe JOIN ti ON ti.k < probe.pt ORDER BY 2, 3;
SELECT 'tb>=pi', pi, v FROM probe JOIN tb ON tb.k >= probe.pi ORDER BY 2, 3;
SELECT 'in-pt', v FROM ti WHERE k IN (SELECT pt FROM probe) ORDER BY v;
SELECT 'expr', v FROM tt WHERE k = 2 + 3 ORDER BY v;
SELECT 'ti-tt', ti.v, tt.v FROM ti JOIN tt ON ti.k = tt.k ORDER BY 2, 3;
SELECT 'tt-tb', tt.v, tb.v FROM tt JOIN tb ON tt.k = tb.k ORDER BY 2, 3;
SELECT 'tt-tt', a.v, b.v FROM tt a JOIN tt b ON a.k = b.v || '' ORDER BY 2, 3;
SELECT 'cast', v FROM tt WHERE k = CAST('5' AS INTEGER) ORDER BY v;
SELECT 'cast', v FROM tb WHERE k = CAST('5' AS INTEGER) ORDER BY v;
SELECT 'cast', v FROM tt WHERE k = CAST('5' AS REAL) ORDER BY v;
SELECT 'cast', v FROM tt WHERE k = CAST(5 AS TEXT) ORDER BY v;
SELECT 'cast', v FROM tb WHERE k = CAST(5 AS TEXT) ORDER BY v;
SELECT 'cast', v FROM tt WHERE k > CAST('5' AS INTEGER) ORDER BY v;
SELECT 'cast', v FROM tt WHERE k < CAST('7' AS INTEGER) ORDER BY v;
SELECT 'cast', v FROM tb WHERE k < CAST('7' AS INTEGER) ORDER BY v;
SELECT 'cast', v FROM tb WHERE k BETWEEN CAST('5' AS NUMERIC) AND CAST('10' AS NUMERIC) ORDER BY v;
-- One-pass UPDATE and DELETE must still meet every row.
UPDATE tt SET v = v || '!' WHERE k = CAST('5' AS INTEGER);
SELECT k, v FROM tt ORDER BY k;
DELETE FROM tb WHERE k = CAST('5' AS INTEGER);
SELECT quote(k), v FROM tb ORDER BY k;
-- The texts of infinity do not begin as a number does.
INSERT INTO tt VALUES(9e999, 'inf'), (-9e999, 'minus inf');
INSERT INTO tb VALUES(9e999, 'inf'), ('Inf', 'inf text');
SELECT 'inf', k, v FROM tt WHERE k = 9e999;
SELECT 'inf', k, v FROM tt WHERE k = -9e999;
SELECT 'inf', v FROM tt WHERE k = CAST(9e999 AS REAL);
SELECT 'inf', v FROM tb WHERE k = 9e999;
-- The first columns of a longer key.
CREATE TABLE tc(a TEXT, b, c TEXT, v, PRIMARY KEY(a, b, c)) WITHOUT ROWID; -- lsm
INSERT INTO tc VALUES(1, 1, 1, 'a'), ('01', 1, '01', 'b'), (1, '1', '1', 'c'), (1, 2, 'x', 'd'), ('1.0', '01', '1.0', 'e'), ('x', 1, 1, 'f');
SELECT v FROM tc WHERE a = 1 AND b = 1 AND c = 1 ORDER BY v;
SELECT v FROM tc WHERE a = CAST('1' AS INT) AND b = CAST('1' AS INT) AND c = CAST(1 AS INT) ORDER BY v;
SELECT v FROM tc WHERE a = '1' AND b = CAST('1' AS INT) AND c > CAST('0' AS INT) ORDER BY v;
SELECT v FROM tc WHERE a = 1 AND b > 1 ORDER BY v;
-- A column that several spellings of a number equal does not keep the order of the next.
INSERT INTO tc VALUES('1', 5, 'z', 'g'), ('01', 3, 'y', 'h'), ('1.0', 4, 'x', 'i'), ('+1', 2, 'w', 'j'), (' 1e0 ', 2.5, 'v', 'k'), ('1x', 2, 'u', 'l');
SELECT a, b, v FROM tc WHERE a = CAST('1' AS INT) AND typeof(b) <> 'text' ORDER BY b, c;
SELECT a, b, v FROM tc WHERE a = CAST('1' AS INT) AND typeof(b) <> 'text' ORDER BY b DESC, c DESC;
SELECT a, b, v FROM tc WHERE a = CAST('1' AS INT) ORDER BY a, b, c;
SELECT a, b, v FROM tc WHERE a = CAST('1' AS INT) AND b = 2 ORDER BY c;
SELECT b, count(*) FROM tc WHERE a = CAST('1' AS INT) GROUP BY b;
SELECT DISTINCT b FROM tc WHERE a = CAST('1' AS INT) ORDER BY b LIMIT 3;
SELECT p.pi, tc.b, tc.v FROM (SELECT DISTINCT CAST(1 AS INT) AS pi FROM probe) p CROSS JOIN tc ON tc.a = p.pi ORDER BY tc.b, tc.c;
SELECT v FROM tc WHERE a = '1' ORDER BY b DESC, c DESC;
-- IN with a column on its right side has that column's affinity as well.
CREATE TABLE ins(i INTEGER, t TEXT, b, r REAL);
INSERT INTO ins VALUES(5, '5', 5, 5.0), (10, '10', '10', 10.5), (NULL, NULL, NULL, NULL), (7, 'abc', x'61', 1e3), (1, 'x', 1, 1);
INSERT INTO tt VALUES(' 5', 'spacefive'), ('7', 'seven'), ('+10', 'plusten');
INSERT INTO tb VALUES(' 5', 'spacefive'), ('7', 'seven'), (7, 'sevennumber'), (5.5, 'fivehalf');
SELECT 'tt in i', quote(k), v FROM tt WHERE k IN (SELECT i FROM ins) ORDER BY 2, 3;
SELECT 'tt in t', quote(k), v FROM tt WHERE k IN (SELECT t FROM ins) ORDER BY 2, 3;
SELECT 'tt in b', quote(k), v FROM tt WHERE k IN (SELECT b FROM ins) ORDER BY 2, 3;
SELECT 'tt in r', quote(k), v FROM tt WHERE k IN (SELECT r FROM ins) ORDER BY 2, 3;
SELECT 'tb in i', quote(k), v FROM tb WHERE k IN (SELECT i FROM ins) ORDER BY 2, 3;
SELECT 'tb in t', quote(k), v FROM tb WHERE k IN (SELECT t FROM ins) ORDER BY 2, 3;
SELECT 'tb in b', quote(k), v FROM tb WHERE k IN (SELECT b FROM ins) ORDER BY 2, 3;
SELECT 'tb in r', quote(k), v FROM tb WHERE k IN (SELECT r FROM ins) ORDER BY 2, 3;
SELECT 'tb in list', quote(k), v FROM tb WHERE k IN (5, '7', 7, 7.0, NULL, x'61', 'none', 5) ORDER BY 2, 3;
SELECT 'tt in list', quote(k), v FROM tt WHERE k IN (5, '7', 7, 7.0, NULL, x'61', 'none', 5) ORDER BY k;
SELECT 'tt in list', quote(k), v FROM tt WHERE k IN ('7', '5', x'61', 'abc') ORDER BY k DESC;
SELECT 'tt in none', v FROM tt WHERE k IN (NULL);
SELECT 'tt in none', v FROM tt WHERE k IN (SELECT i FROM ins WHERE 0);
SELECT 'tt not in', v FROM tt WHERE k NOT IN (SELECT i FROM ins WHERE i IS NOT NULL) ORDER BY v;
SELECT 'tc', v FROM tc WHERE a IN (SELECT i FROM ins) AND b IN (SELECT i FROM ins) ORDER BY v;
SELECT 'tc', v FROM tc WHERE a IN ('1', '01', 'x') AND b IN (1, 2, '1', 5) ORDER BY a, b, c;
SELECT 'tc', v FROM tc WHERE a IN ('1', '01', 'x') AND b IN (1, 2, '1', 5) ORDER BY a DESC, b DESC, c DESC;
SELECT 'tc', v FROM tc WHERE a IN ('1', '01', 'x') AND b IN (1, 2, '1', 5) ORDER BY b, a, c;
SELECT 'tc', v FROM tc WHERE a IN ('1', '01') AND b > 1 ORDER BY v;
SELECT 'tc', v FROM tc WHERE a = '1' AND b = 2 AND c IN ('x', 'w', 1) ORDER BY c LIMIT 1;
SELECT 'tc', v FROM tc WHERE a IN (SELECT t FROM ins) AND b = 1 AND c = '1' ORDER BY v;
SELECT 'join', ins.i, tt.v FROM ins JOIN tt ON tt.k IN (ins.i, ins.b, 'abc') ORDER BY 2, 3;
SELECT 'exists', i FROM ins WHERE EXISTS (SELECT 1 FROM tb WHERE tb.k IN (ins.i, ins.t)) ORDER BY 2;
UPDATE tt SET v = v || '.' WHERE k IN (SELECT i FROM ins);
DELETE FROM tb WHERE k IN (SELECT i FROM ins);
SELECT k, v FROM tt ORDER BY k;
SELECT quote(k), v FROM tb ORDER BY k;
