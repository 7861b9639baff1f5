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
