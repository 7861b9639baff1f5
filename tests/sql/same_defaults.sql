-- DEFAULT literals on NOT NULL columns.
CREATE TABLE t(k PRIMARY KEY, i INTEGER NOT NULL DEFAULT 7, s TEXT NOT NULL DEFAULT 'it''s', r REAL NOT NULL DEFAULT -1.5, b BLOB NOT NULL DEFAULT x'0102', o) WITHOUT ROWID; -- lsm
INSERT INTO t(k) VALUES(1);
INSERT INTO t(k, i, o) VALUES(2, 3, 4);
INSERT INTO t(s, k) VALUES('given', 3);
SELECT k, quote(i), quote(s), quote(r), quote(b), quote(o) FROM t;
INSERT OR REPLACE INTO t(k) VALUES(2);
SELECT k, quote(i), quote(s), quote(r), quote(b), quote(o) FROM t;
