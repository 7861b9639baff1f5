-- LIKE and GLOB on a key, in each case sensitivity, with patterns that end oddly.
CREATE TABLE w(k TEXT, n, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE c(k TEXT COLLATE NOCASE, n, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
CREATE TABLE any(k, n, PRIMARY KEY(k)) WITHOUT ROWID; -- lsm
INSERT INTO w VALUES('abc', 1), ('ABC', 2), ('abd', 3), ('ab', 4), ('b', 5), ('aB%', 6), ('ab%c', 7), ('', 8), ('12', 9), ('ab_', 10), ('über', 11), ('abÿ', 12), ('ac', 13);
INSERT INTO c SELECT k || n, n FROM w;
INSERT INTO any SELECT k, n FROM w;
INSERT INTO any VALUES(12, 'int'), (120, 'int'), (1.2, 'real'), (x'6162', 'blob');
SELECT n FROM w WHERE k LIKE 'ab%' ORDER BY n;
SELECT n FROM w WHERE k LIKE 'AB%' ORDER BY n;
SELECT n FROM w WHERE k GLOB 'ab*' ORDER BY n;
SELECT n FROM w WHERE k GLOB 'AB*' ORDER BY n;
SELECT n FROM w WHERE k LIKE 'ab\%%' ESCAPE '\' ORDER BY n;
SELECT n FROM w WHERE k LIKE '%c' ORDER BY n;
SELECT n FROM w WHERE k LIKE '1%' ORDER BY n;
SELECT n FROM w WHERE k LIKE 'ab' ORDER BY n;
SELECT n FROM w WHERE k NOT LIKE 'ab%' ORDER BY n;
SELECT n FROM c WHERE k LIKE 'ab%' ORDER BY n;
SELECT n FROM c WHERE k GLOB 'ab*' ORDER BY n;
SELECT n FROM any WHERE k LIKE 'ab%' ORDER BY n;
SELECT n FROM any WHERE k LIKE '12%' ORDER BY n;
SELECT n FROM any WHERE k GLOB '1*' ORDER BY n;
SELECT n FROM w WHERE k LIKE NULL;
SELECT n FROM w WHERE k LIKE '';
PRAGMA case_sensitive_like = 1;
SELECT n FROM w WHERE k LIKE 'ab%' ORDER BY n;
SELECT n FROM w WHERE k LIKE 'AB%' ORDER BY n;
SELECT n FROM c WHERE k LIKE 'ab%' ORDER BY n;
SELECT n FROM w WHERE k LIKE 'ü%' ORDER BY n;
SELECT n FROM any WHERE k LIKE '12%' ORDER BY n;
