-- Names quoted in any way, strange and foreign ones, keywords.
CREATE TABLE "two words"("a b" PRIMARY KEY, "select" TEXT) WITHOUT ROWID; -- lsm
CREATE TABLE [br]([x y] INTEGER PRIMARY KEY, `back tick` TEXT); -- lsm
CREATE TABLE 'it''s'("say ""hi""" PRIMARY KEY, v) WITHOUT ROWID; -- lsm
CREATE TABLE größe(schlüssel PRIMARY KEY, wert) WITHOUT ROWID; -- lsm
CREATE TABLE "semi;colon"(a PRIMARY KEY, b) WITHOUT ROWID; -- lsm
CREATE TABLE "a.b"("c.d" PRIMARY KEY, "e,f" TEXT) WITHOUT ROWID; -- lsm
CREATE TABLE "%s%n"("%d" PRIMARY KEY, v) WITHOUT ROWID; -- lsm
INSERT INTO "two words" VALUES(1, 'x');
INSERT INTO br VALUES(5, 'y');
INSERT INTO "it's" VALUES('k', 'v');
INSERT INTO größe VALUES('ü', 'ö');
INSERT INTO "semi;colon" VALUES(1, 2);
INSERT INTO "a.b" VALUES(1, 2);
INSERT INTO "%s%n" VALUES(1, 2);
--@flush two words
--@flush semi;colon
SELECT "a b", "select" FROM "two words";
SELECT [x y], "back tick" FROM br WHERE "X Y" = 5;
SELECT "say ""hi""" FROM "it's";
SELECT schlüssel, wert FROM größe;
SELECT * FROM "semi;colon" WHERE A = 1;
SELECT "c.d", "e,f" FROM "a.b";
SELECT * FROM "%s%n" WHERE "%d" = 1;
ALTER TABLE "two words" RENAME TO "three more words";
SELECT * FROM "three more words";
SELECT * FROM "two words";
ALTER TABLE br RENAME TO "it""s";
INSERT INTO "it""s" VALUES(6, 'after');
SELECT * FROM "it""s";
--@reopen
SELECT * FROM "three more words";
SELECT * FROM "it""s";
ALTER TABLE "it""s" RENAME TO br;
SELECT * FROM br;
CREATE TABLE "two words"(a PRIMARY KEY, b) WITHOUT ROWID; -- lsm
INSERT INTO "two words" VALUES('other', 'table');
SELECT * FROM "two words";
SELECT * FROM "three more words";
DROP TABLE "two words";
SELECT * FROM "three more words";
BEGIN;
ALTER TABLE br RENAME TO elsewhere;
SELECT * FROM elsewhere;
ROLLBACK;
SELECT * FROM br;
DROP TABLE "semi;colon";
DROP TABLE IF EXISTS "semi;colon";
SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('br', 'it''s', 'größe', 'semi;colon', 'three more words') ORDER BY name;
