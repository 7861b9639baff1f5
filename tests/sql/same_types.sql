-- What goes in comes out: value and typeof(), through every affinity.
CREATE TABLE t(k PRIMARY KEY, i INTEGER, r REAL, x TEXT, b BLOB, n NUMERIC, z) WITHOUT ROWID; -- lsm
INSERT INTO t VALUES('int', 1, 1, 1, 1, 1, 1);
INSERT INTO t VALUES('real', 1.5, 1.5, 1.5, 1.5, 1.5, 1.5);
INSERT INTO t VALUES('whole', 3.0, 3.0, 3.0, 3.0, 3.0, 3.0);
INSERT INTO t VALUES('text', 'abc', 'abc', 'abc', 'abc', 'abc', 'abc');
INSERT INTO t VALUES('digits', '12', '12', '12', '12', '12', '12');
INSERT INTO t VALUES('decimal', '12.50', '12.50', '12.50', '12.50', '12.50', '12.50');
INSERT INTO t VALUES('expo', '1e3', '1e3', '1e3', '1e3', '1e3', '1e3');
INSERT INTO t VALUES('spaces', ' 7 ', ' 7 ', ' 7 ', ' 7 ', ' 7 ', ' 7 ');
INSERT INTO t VALUES('hex', '0x10', '0x10', '0x10', '0x10', '0x10', '0x10');
INSERT INTO t VALUES('blob', x'313233', x'313233', x'313233', x'313233', x'313233', x'313233');
INSERT INTO t VALUES('null', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO t VALUES('empty', '', '', '', '', '', '');
INSERT INTO t VALUES('noblob', x'', x'', x'', x'', x'', x'');
INSERT INTO t VALUES('max', 9223372036854775807, 9223372036854775807, 9223372036854775807, 9223372036854775807, 9223372036854775807, 9223372036854775807);
INSERT INTO t VALUES('min', -9223372036854775808, -9223372036854775808, -9223372036854775808, -9223372036854775808, -9223372036854775808, -9223372036854775808);
INSERT INTO t VALUES('over', 9223372036854775808, 9223372036854775808, 9223372036854775808, 9223372036854775808, 9223372036854775808, 9223372036854775808);
INSERT INTO t VALUES('inf', 9e999, 9e999, 9e999, 9e999, 9e999, 9e999);
INSERT INTO t VALUES('ninf', -9e999, -9e999, -9e999, -9e999, -9e999, -9e999);
INSERT INTO t VALUES('tiny', 5e-324, 5e-324, 5e-324, 5e-324, 5e-324, 5e-324);
INSERT INTO t VALUES('zero', -0.0, -0.0, -0.0, -0.0, -0.0, -0.0);
INSERT INTO t VALUES('utf8', 'grüße', '日本語', '😀', 'ß', 'É', 'ñ');
INSERT INTO t VALUES('nul', CAST(x'610062' AS TEXT), x'00', CAST(x'00' AS TEXT), x'000000', 0, CAST(x'6100' AS TEXT));
INSERT INTO t VALUES('small', 127, -128, 255, -32768, 32767, -2147483648);
INSERT INTO t VALUES('mid', 8388607, 140737488355327, -140737488355328, 65536, 4294967296, 281474976710656);
SELECT k, quote(i), quote(r), quote(x), quote(b), quote(n), quote(z) FROM t;
SELECT k, typeof(i), typeof(r), typeof(x), typeof(b), typeof(n), typeof(z) FROM t;
SELECT k, length(i), length(r), length(x), length(b), hex(z) FROM t;
--@flush t
SELECT k, quote(i), quote(r), quote(x), quote(b), quote(n), quote(z) FROM t;
SELECT k, typeof(i), typeof(r), typeof(x), typeof(b), typeof(n), typeof(z) FROM t;
--@reopen
.nullvalue NULL
SELECT k, quote(i), quote(r), quote(x), quote(b), quote(n), quote(z) FROM t;
UPDATE t SET i = '77', r = '78', x = 79, n = '80.0';
SELECT DISTINCT quote(i), quote(r), quote(x), quote(n) FROM t;
