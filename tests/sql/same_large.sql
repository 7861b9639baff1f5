-- Values and keys from nothing to megabytes.
CREATE TABLE t(k PRIMARY KEY, v) WITHOUT ROWID; -- lsm
INSERT INTO t VALUES('empty', x''), ('one', x'01'), ('4k', zeroblob(4096)), ('64k', zeroblob(65536)), ('1M', zeroblob(1048576)), ('5M', zeroblob(5000000));
INSERT INTO t VALUES('text', hex(zeroblob(500000)));
INSERT INTO t VALUES(hex(zeroblob(1000)), 'long key'), (hex(zeroblob(1000)) || '1', 'longer key'), (zeroblob(20000), 'zero key');
INSERT INTO t VALUES(hex(zeroblob(1000)), 'long key again');
SELECT substr(hex(k), 1, 10), length(k), typeof(v), length(v) FROM t;
--@flush t
SELECT substr(hex(k), 1, 10), length(k), typeof(v), length(v) FROM t;
SELECT v FROM t WHERE k = hex(zeroblob(1000));
SELECT v FROM t WHERE k > hex(zeroblob(1000)) AND k < '1';
SELECT v FROM t WHERE k = zeroblob(20000);
SELECT v = zeroblob(5000000) FROM t WHERE k = '5M';
UPDATE t SET v = zeroblob(2000000) || v WHERE k = 'one';
SELECT length(v) FROM t WHERE k = 'one';
DELETE FROM t WHERE length(v) > 100000;
--@compact t
SELECT count(*), sum(length(v)) FROM t;
.print -- rows that are longer than a value may be, and those that just fit
.limit length 100000
CREATE TABLE lim(id INTEGER PRIMARY KEY, a, b TEXT, UNIQUE(a)); -- lsm
CREATE TABLE lk(a, b, c, PRIMARY KEY(a, b)) WITHOUT ROWID; -- lsm
INSERT INTO lim VALUES(1, zeroblob(99000), 'x');
INSERT INTO lim VALUES(2, zeroblob(99000), hex(zeroblob(600)));
INSERT INTO lim VALUES(3, zeroblob(60000), hex(zeroblob(30000)));
INSERT OR IGNORE INTO lim VALUES(4, zeroblob(60000), hex(zeroblob(30000)));
INSERT INTO lim VALUES(5, zeroblob(100001), 'x');
INSERT INTO lim VALUES(6, zeroblob(50000), hex(zeroblob(20000)));
UPDATE lim SET b = hex(zeroblob(30000)) WHERE id = 6;
UPDATE lim SET b = b || b;
UPDATE lim SET b = hex(zeroblob(24000)) WHERE id = 6;
INSERT INTO lk VALUES(zeroblob(50000), hex(zeroblob(26000)), 1);
INSERT INTO lk VALUES(zeroblob(50000), hex(zeroblob(24000)), 1);
INSERT INTO lk VALUES('a', 'b', zeroblob(99900)), ('a', 'c', zeroblob(99999));
BEGIN;
INSERT INTO lim VALUES(7, 'kept', 'x');
INSERT INTO lim VALUES(8, 'not', 'x'), (9, zeroblob(99000), hex(zeroblob(600)));
COMMIT;
SELECT id, length(a), length(b) FROM lim ORDER BY id;
SELECT length(a), length(b), length(c) FROM lk ORDER BY a, b;
SELECT length(a || b) FROM lim;
.limit length 1000000000
SELECT id, length(a), length(b) FROM lim ORDER BY id;
