-- Newer shells start without it; views and triggers may then use no table of a module like this.
PRAGMA trusted_schema = ON;
-- Triggers of ordinary tables that write to an lsm table.
CREATE TABLE o(id INTEGER PRIMARY KEY, v);
CREATE TABLE log(n INTEGER PRIMARY KEY, what TEXT, id, old, new); -- lsm
CREATE TABLE latest(id PRIMARY KEY, v) WITHOUT ROWID; -- lsm
CREATE TRIGGER oi AFTER INSERT ON o BEGIN
  INSERT INTO log(what, id, new) VALUES('insert', new.id, new.v);
  INSERT OR REPLACE INTO latest VALUES(new.id, new.v);
END;
CREATE TRIGGER ou AFTER UPDATE ON o BEGIN
  INSERT INTO log(what, id, old, new) VALUES('update', new.id, old.v, new.v);
  UPDATE latest SET v = new.v WHERE id = new.id;
END;
CREATE TRIGGER od AFTER DELETE ON o BEGIN
  INSERT INTO log(what, id, old) VALUES('delete', old.id, old.v);
  DELETE FROM latest WHERE id = old.id;
END;
INSERT INTO o VALUES(1, 'a'), (2, 'b'), (3, 'c');
UPDATE o SET v = upper(v) WHERE id <> 2;
DELETE FROM o WHERE id = 2;
SELECT * FROM log;
SELECT * FROM latest;
BEGIN;
DELETE FROM o;
SELECT count(*) FROM log;
SELECT count(*) FROM latest;
ROLLBACK;
SELECT count(*) FROM log;
SELECT * FROM latest;
INSERT INTO o VALUES(4, 'd'), (5, 'e'), (1, 'duplicate');
SELECT * FROM latest;
CREATE TRIGGER stop BEFORE INSERT ON o WHEN new.v = 'bad' BEGIN SELECT RAISE(ABORT, 'no bad rows'); END;
INSERT INTO o VALUES(6, 'good'), (7, 'bad');
SELECT * FROM latest;
SELECT last_insert_rowid();
INSERT INTO o VALUES(40, 'good');
SELECT last_insert_rowid();
