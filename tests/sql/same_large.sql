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
