-- Every error says what is wrong and names the object.
.print -- options
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, nonsense=1);
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, compaction=sideways);
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, compression=zip);
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, memtable_size='big');
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, memtable_size=-5);
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, block_size='64XB');
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, bloom_bits=lots);
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, sync=sometimes);
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, compression=none, compression=zlib);
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, path='');
.print -- columns
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, k);
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, PRIMARY KEY(v));
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v PRIMARY KEY);
CREATE VIRTUAL TABLE e1 USING lsm(k, v, PRIMARY KEY(nobody));
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v, PRIMARY KEY(k));
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v CHECK (v > 0));
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v REFERENCES o(x));
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v GENERATED ALWAYS AS (k + 1));
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v AS (k + 1));
CREATE VIRTUAL TABLE e1 USING lsm(k TEXT COLLATE german PRIMARY KEY, v);
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v DEFAULT 5);
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v NOT NULL DEFAULT (1 + 2));
CREATE VIRTUAL TABLE e1 USING lsm(k PRIMARY KEY, v NOT NULL DEFAULT CURRENT_TIMESTAMP);
SELECT count(*) FROM sqlite_schema;
.print -- options alone leave the columns key and value
CREATE VIRTUAL TABLE e1 USING lsm(compression=none);
INSERT INTO e1(key, value) VALUES(1, 2);
DROP TABLE e1;
.print -- a column twice in a key counts once, as in SQLite
CREATE VIRTUAL TABLE e1 USING lsm(k, v, PRIMARY KEY(k, v, k));
SELECT count(*) FROM e1;
DROP TABLE e1;
.print -- a table that is there already
CREATE VIRTUAL TABLE t USING lsm;
CREATE VIRTUAL TABLE t USING lsm;
CREATE VIRTUAL TABLE IF NOT EXISTS t USING lsm;
.print -- functions
SELECT lsm_flush('nobody');
SELECT lsm_compact('nobody');
SELECT lsm_verify('nobody');
SELECT lsm_verify('nowhere.t');
SELECT lsm_verify();
SELECT lsm_verify(NULL);
SELECT * FROM lsm_stats('nobody');
SELECT * FROM lsm_levels('nobody');
SELECT * FROM lsm_files('nobody');
CREATE TABLE ordinary(a);
SELECT lsm_flush('ordinary');
SELECT * FROM lsm_stats('ordinary');
.print -- what SQLite refuses on any virtual table
CREATE INDEX i ON t(value);
CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END;
ALTER TABLE t ADD COLUMN x;
INSERT INTO t VALUES(1, 2) ON CONFLICT DO NOTHING;
.print -- and the table still works
INSERT INTO t VALUES(1, 2);
SELECT * FROM t;
