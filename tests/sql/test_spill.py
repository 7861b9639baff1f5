#!/usr/bin/env python3
"""Transactions larger than their share of memory: 300,000 rows in one, with a
memtable of 1 MB; ROLLBACK, ROLLBACK TO and COMMIT. LSMVTAB names the extension.
"""
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
ROWS = 300000
ALL = (ROWS, ROWS * (ROWS + 1) // 2)
FILL = ("WITH RECURSIVE s(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM s WHERE i < %d) "
        "INSERT INTO t SELECT (i * 7919) %% 1000003, i, 'text of row ' || i FROM s")


def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    return db


class Spill(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-spill-")
        self.path = os.path.join(self.dir, "test.db")
        self.db = connect(self.path)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, n INTEGER, "
                        "b TEXT, INDEX by_n(n), memtable_size='1MB')")
        self.db.execute("CREATE TABLE o(x)")

    def tearDown(self):
        self.db.close()
        shutil.rmtree(self.dir)

    def fill(self, first=1, last=ROWS):
        self.db.execute(FILL % (first, last))

    def sums(self, db=None):
        return (db or self.db).execute("SELECT count(*), sum(n) FROM t").fetchone()

    def tables(self):
        """Bytes of SSTables on disk."""
        return sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(self.dir)
                   for f in files if f.endswith(".sst"))

    def other_process(self):
        program = ("import sqlite3, sys\n"
                   "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                   "db.enable_load_extension(True)\n"
                   "db.load_extension(sys.argv[2])\n"
                   "print(*db.execute('SELECT count(*), sum(n) FROM t').fetchone())\n")
        out = subprocess.run([sys.executable, "-c", program, self.path, EXTENSION], check=True,
                             stdout=subprocess.PIPE, universal_newlines=True).stdout
        return tuple(None if x == "None" else int(x) for x in out.split())

    def test_rollback(self):
        self.db.execute("BEGIN")
        self.fill()
        self.assertGreater(self.tables(), 5000000)
        self.assertEqual(self.sums(), ALL)
        self.assertEqual(self.other_process(), (0, None))
        self.db.execute("ROLLBACK")
        self.assertEqual(self.sums(), (0, None))
        self.assertEqual(self.tables(), 0)

    def test_rollback_to(self):
        self.db.execute("BEGIN")
        self.fill(1, 1000)
        before = self.sums()
        self.db.execute("SAVEPOINT a")
        self.fill(1001)
        self.assertEqual(self.sums(), ALL)
        self.db.execute("SAVEPOINT b")
        self.db.execute("DELETE FROM t WHERE id BETWEEN 1000 AND 500000")
        self.db.execute("UPDATE t SET n = n + 1")
        self.assertNotEqual(self.sums(), ALL)
        self.db.execute("ROLLBACK TO b")
        self.assertEqual(self.sums(), ALL)
        self.db.execute("ROLLBACK TO a")
        self.assertEqual(self.sums(), before)
        self.assertLess(self.tables(), 1000000)
        self.db.execute("COMMIT")
        self.assertEqual(self.sums(), before)
        self.assertEqual(self.other_process(), before)

    def test_failed_statement(self):
        """A statement that fails late takes back what it had spilled."""
        self.db.execute("BEGIN")
        self.db.execute("INSERT INTO t VALUES(%d, 1, 'there')" % ((ROWS - 5) * 7919 % 1000003))
        with self.assertRaises(sqlite3.IntegrityError):
            self.fill()
        self.assertEqual(self.sums(), (1, 1))
        self.db.execute("COMMIT")
        self.assertEqual(self.sums(), (1, 1))

    def test_commit(self):
        for mixed in (False, True):
            with self.subTest(mixed=mixed):
                self.db.execute("DELETE FROM t")
                self.db.execute("BEGIN")
                if mixed:
                    self.db.execute("INSERT INTO o VALUES(1)")
                self.fill()
                self.assertEqual(self.sums(), ALL)
                self.db.execute("COMMIT")
                self.assertEqual(self.sums(), ALL)
                self.assertEqual(self.other_process(), ALL)
                self.db.execute("UPDATE t SET n = n + 1 WHERE id = 7919")
                self.assertEqual(self.other_process(), (ALL[0], ALL[1] + 1))
                self.assertEqual(self.db.execute("SELECT id FROM t WHERE n = 77").fetchall(),
                                 [(77 * 7919 % 1000003,)])
                self.db.close()
                self.db = connect(self.path)
                self.assertEqual(self.sums(), (ALL[0], ALL[1] + 1))
        self.assertEqual(self.db.execute("SELECT count(*) FROM o").fetchone(), (1,))

    def test_insert_from_itself(self):
        """The statement reads what was there before it, spilled or not."""
        self.db.execute("BEGIN")
        self.fill()
        self.db.execute("INSERT INTO t SELECT id + 2000000, n, b FROM t")
        self.db.execute("UPDATE t SET id = id + 1000000 WHERE id >= 2000000")
        self.assertEqual(self.sums(), (2 * ALL[0], 2 * ALL[1]))
        self.db.execute("COMMIT")
        self.assertEqual(self.sums(), (2 * ALL[0], 2 * ALL[1]))


if __name__ == "__main__":
    unittest.main(verbosity=0)
