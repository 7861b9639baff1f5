#!/usr/bin/env python3
"""Tables that come, change and go inside savepoints; ordinary tables are the oracle.

    fuzz_savepoints.py [--seed N] [--seeds N] [--steps N] [--seconds S]

Each seed sends the same random statements to two databases: CREATE, DROP, indexes, columns,
ranges deleted, rows, and above all SAVEPOINT, ROLLBACK TO and RELEASE; in one of them the
tables are lsm, and what SQLite has no statement for is done by our functions. A ROLLBACK TO
brings back tables that SQLite no longer tells of it, and takes back others that it goes on
to tell. Some tables are attached or temporary. LSMVTAB names the extension. Ends with
"N checks" (sessions), or with the seed, its statements and exit status 1.

Left out: a name that is in several schemas (a statement that SQLite has kept is not compiled
anew for a table in another one), and columns left out of an INSERT that have a DEFAULT
without NOT NULL (fuzz_diff.py, D13).
"""
import argparse
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
COLUMNS = ["(x INTEGER PRIMARY KEY)", "(x INTEGER PRIMARY KEY, y)", "(x INTEGER PRIMARY KEY, y UNIQUE)"]


def changed(rng, table):
    """A change that has a statement for ordinary tables and a function for ours."""
    schema, name = table.split(".")
    column = index = rng.choice("ij")
    return rng.choice([
        ("CREATE INDEX %s.%s_%s ON %s(x)" % (schema, name, index, name),
         "SELECT lsm_create_index('%s', '%s_%s', 'x')" % (table, name, index)),
        ("DROP INDEX %s.%s_%s" % (schema, name, index), "SELECT lsm_drop_index('%s', '%s_%s')" % (table, name, index)),
        ("ALTER TABLE %s ADD COLUMN z%s NOT NULL DEFAULT 5" % (table, column),
         "SELECT lsm_add_column('%s', 'z%s NOT NULL DEFAULT 5')" % (table, column)),
        ("DELETE FROM %s WHERE x >= 2 AND x < 11" % table, "SELECT lsm_delete_range('%s', 2, 11)" % table)])


def statement(rng, tables):
    """What the two databases are sent, and whether their answers are to be the same."""
    k, t = rng.random(), rng.choice(tables)
    some = [rng.randint(0, 20) for _ in range(3)]
    if k < 0.14:
        columns = rng.choice(COLUMNS)
        return "CREATE TABLE %s%s" % (t, columns), "CREATE VIRTUAL TABLE %s USING lsm%s" % (t, columns), True
    if k < 0.20:
        return changed(rng, t) + (False,)
    if k < 0.30:
        sql = "DROP TABLE " + t
    elif k < 0.56:
        sql = rng.choice(["INSERT INTO %s(x) VALUES(%d), (%d), (%d)", "INSERT OR REPLACE INTO %s(x, y) VALUES(%d, %d + %d)"])
        sql %= (t, *some)
    elif k < 0.64:
        sql = rng.choice(["DELETE FROM %s WHERE x %% 3 = 1", "UPDATE %s SET x = -x"]).replace("%s", t).replace("%%", "%")
    elif k < 0.70:
        sql = rng.choice(["INSERT INTO log VALUES(%d)" % some[0], "SELECT * FROM " + t])
    elif k < 0.76:
        sql = rng.choice(["BEGIN", "BEGIN IMMEDIATE", "COMMIT", "COMMIT", "ROLLBACK"])
    else:
        sql = rng.choice(["SAVEPOINT ", "SAVEPOINT ", "ROLLBACK TO ", "ROLLBACK TO ", "RELEASE "]) + rng.choice("pqr")
    return sql, sql, True


class Session:
    def __init__(self, seed, directory):
        self.rng, self.seed, self.dir, self.history = random.Random(seed), seed, directory, []
        self.tables = ["main.a", "main.b", "main.c"]
        if self.rng.random() < 0.4:
            self.tables += ["aux.d", "temp.e"]
        self.journal = self.rng.choice(["WAL", "DELETE"])
        self.dbs = []
        self.open()

    def open(self):
        self.close()
        for name in ("ordinary", "lsm"):
            db = sqlite3.connect(os.path.join(self.dir, name), isolation_level=None)
            db.enable_load_extension(True)
            db.load_extension(EXTENSION)
            db.execute("ATTACH ? AS aux", (os.path.join(self.dir, name + "-aux"),))
            for sql in ("PRAGMA synchronous = OFF", "PRAGMA journal_mode = " + self.journal,
                        "CREATE TABLE IF NOT EXISTS log(x)"):
                db.execute(sql).fetchall()
            self.dbs.append(db)

    def close(self):
        for db in self.dbs:
            db.close()
        self.dbs = []

    @staticmethod
    def run(db, sql):
        try:
            rows, error = sorted(db.execute(sql).fetchall(), key=repr), None
        except sqlite3.Error as e:
            rows, error = None, (getattr(e, "sqlite_errorcode", 0), str(e))
        return rows, error, db.in_transaction

    def compare(self, ordinary, lsm, same=True):
        self.history.append(lsm)
        want, got = self.run(self.dbs[0], ordinary), self.run(self.dbs[1], lsm)
        if not same:  # no rows, other messages
            want, got = (want[1] is None, want[2]), (got[1] is None, got[2])
        if want != got:
            raise AssertionError("seed %d, %s:\n    %s\n  ordinary: %s\n  lsm:      %s" % (
                self.seed, self.journal, "\n    ".join(self.history), want, got))

    def look(self, tables):
        for t in tables + ["log"]:
            self.compare("SELECT * FROM " + t, "SELECT * FROM " + t)

    def go(self, steps):
        for _ in range(steps):
            self.compare(*statement(self.rng, self.tables))
            if self.rng.random() < 0.3:
                self.look(self.tables)
            if self.rng.random() < 0.02 and not self.dbs[0].in_transaction:
                self.history.append("(opened again)")
                self.open()
        self.compare("COMMIT", "COMMIT")
        self.open()
        kept = [t for t in self.tables if not t.startswith("temp.")]
        self.look(kept)
        for t in kept:
            rows, error, _ = self.run(self.dbs[1], "SELECT lsm_verify('%s')" % t)
            if error is None and rows != [("ok",)]:
                raise AssertionError("seed %d: lsm_verify('%s'): %s" % (self.seed, t, rows))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seed", type=int, default=1, help="the first")
    p.add_argument("--seeds", type=int, default=1000000, help="how many")
    p.add_argument("--steps", type=int, default=60, help="statements a session")
    p.add_argument("--seconds", type=float, default=20)
    o = p.parse_args()
    start, done = time.time(), 0
    for seed in range(o.seed, o.seed + o.seeds):
        if time.time() - start > o.seconds:
            break
        directory = tempfile.mkdtemp(prefix="lsm-savepoints-")
        session = None
        try:
            session = Session(seed, directory)
            session.go(o.steps)
        except AssertionError as e:
            print("%s\n%d checks, 1 failed" % (e, done + 1))
            return 1
        finally:
            if session is not None:
                session.close()
            shutil.rmtree(directory, ignore_errors=True)
        done += 1
    print("%d checks" % done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
