#!/usr/bin/env python3
"""What several connections see of each other: snapshots of transactions, and
ordinary and lsm tables that agree. LSMVTAB names the extension.
"""
import ctypes
import ctypes.util
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")


def connect(path, timeout=0.0):
    db = sqlite3.connect(path, isolation_level=None, timeout=timeout, check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    return db


class Case(unittest.TestCase):
    mode = "wal"

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-snapshots-")
        self.path = os.path.join(self.dir, "test.db")
        self.opened = []
        self.a = self.open()
        self.a.execute("PRAGMA journal_mode=" + self.mode)
        self.a.execute("PRAGMA synchronous=OFF")
        self.a.execute("CREATE VIRTUAL TABLE t USING lsm")
        self.a.execute("CREATE TABLE o(key INTEGER PRIMARY KEY, value)")
        self.a.execute("INSERT INTO t VALUES(1, 'one')")
        self.b = self.open()

    def open(self, **kwargs):
        db = connect(self.path, **kwargs)
        self.opened.append(db)
        return db

    def tearDown(self):
        for db in self.opened:
            db.close()
        shutil.rmtree(self.dir)

    def elsewhere(self, *statements):
        """Runs the statements in another process."""
        program = ("import sqlite3, sys\n"
                   "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                   "db.enable_load_extension(True)\n"
                   "db.load_extension(sys.argv[2])\n"
                   "for sql in sys.argv[3:]: db.execute(sql).fetchall()\n"
                   "db.close()\n")
        subprocess.run([sys.executable, "-c", program, self.path, EXTENSION, *statements],
                       check=True)

    def keys(self, db, table="t"):
        return [r[0] for r in db.execute("SELECT key FROM %s ORDER BY key" % table)]

    def stat(self, name):
        return dict(self.a.execute("SELECT name, value FROM lsm_stats('t')"))[name]

    def assertStale(self, db, sql):
        with self.assertRaises(sqlite3.OperationalError) as caught:
            db.execute(sql)
        if hasattr(caught.exception, "sqlite_errorcode"):
            self.assertEqual(caught.exception.sqlite_errorcode, 517)
        self.assertRegex(str(caught.exception), "since this transaction|locked")


class OneSnapshot(Case):
    def test_from_first_read_to_commit(self):
        for begin, end in (("BEGIN", "COMMIT"), ("BEGIN", "ROLLBACK"), ("SAVEPOINT s", "RELEASE s")):
            before = self.keys(self.a)
            self.b.execute(begin)
            self.assertEqual(self.keys(self.b), before)
            self.a.execute("INSERT INTO t VALUES(?, 'more')", (before[-1] + 1,))
            self.a.execute("UPDATE t SET value = value || '.'")
            self.assertEqual(self.keys(self.b), before)
            self.assertEqual(self.b.execute("SELECT value FROM t WHERE key = 1").fetchone()[0],
                             "one" + "." * (len(before) - 1))
            self.assertEqual(self.stat("snapshots"), 1)
            self.b.execute(end)
            self.assertEqual(self.stat("snapshots"), 0)
            self.assertEqual(self.keys(self.b), before + [before[-1] + 1])

    def test_begins_with_the_first_read(self):
        self.b.execute("BEGIN")
        self.a.execute("INSERT INTO t VALUES(2, 'two')")
        self.assertEqual(self.keys(self.b), [1, 2])
        self.a.execute("INSERT INTO t VALUES(3, 'three')")
        self.assertEqual(self.keys(self.b), [1, 2])
        self.b.execute("COMMIT")

    def test_survives_rollback_to(self):
        self.b.execute("SAVEPOINT outer")
        self.b.execute("SAVEPOINT inner")
        self.assertEqual(self.keys(self.b), [1])
        self.a.execute("INSERT INTO t VALUES(2, 'two')")
        self.b.execute("ROLLBACK TO inner")
        self.assertEqual(self.keys(self.b), [1])
        self.b.execute("ROLLBACK TO outer")
        self.assertEqual(self.keys(self.b), [1])
        self.b.execute("RELEASE outer")
        self.assertEqual(self.keys(self.b), [1, 2])

    def test_own_writes_are_seen(self):
        self.b.execute("BEGIN")
        self.assertEqual(self.keys(self.b), [1])
        self.b.execute("INSERT INTO t VALUES(2, 'two')")
        self.assertEqual(self.keys(self.b), [1, 2])
        self.assertEqual(self.keys(self.a), [1])
        self.b.execute("INSERT INTO t SELECT key + 10, value FROM t")
        self.b.execute("COMMIT")
        self.assertEqual(self.keys(self.a), [1, 2, 11, 12])

    def test_a_write_needs_the_present(self):
        self.b.execute("BEGIN")
        self.assertEqual(self.keys(self.b), [1])
        self.a.execute("INSERT INTO t VALUES(2, 'two')")
        self.assertStale(self.b, "INSERT INTO t VALUES(3, 'three')")
        self.assertEqual(self.keys(self.b), [1])
        self.b.execute("ROLLBACK")
        self.b.execute("INSERT INTO t VALUES(3, 'three')")
        self.assertEqual(self.keys(self.a), [1, 2, 3])

    def test_of_another_process(self):
        self.b.execute("BEGIN")
        self.assertEqual(self.keys(self.b), [1])
        self.elsewhere("INSERT INTO t VALUES(2, 'two')", "SELECT lsm_flush('t')")
        self.assertEqual(self.keys(self.b), [1])
        self.assertStale(self.b, "INSERT INTO t VALUES(3, 'three')")
        self.b.execute("ROLLBACK")
        self.assertEqual(self.keys(self.b), [1, 2])
        self.b.execute("BEGIN")
        self.assertEqual(self.keys(self.b), [1, 2])
        self.elsewhere("SELECT * FROM t")
        self.b.execute("INSERT INTO t VALUES(3, 'three')")
        self.b.execute("COMMIT")
        self.assertEqual(self.keys(self.a), [1, 2, 3])

    def test_a_rolled_back_write_of_others_does_not_count(self):
        self.b.execute("BEGIN")
        self.assertEqual(self.keys(self.b), [1])
        self.a.execute("BEGIN")
        self.a.execute("INSERT INTO t VALUES(2, 'two')")
        self.a.execute("ROLLBACK")
        self.b.execute("INSERT INTO t VALUES(3, 'three')")
        self.b.execute("COMMIT")
        self.assertEqual(self.keys(self.a), [1, 3])

    def test_without_the_marker(self):
        self.b.execute("PRAGMA query_only=1")
        self.b.execute("BEGIN")
        self.assertEqual(self.keys(self.b), [1])
        self.assertEqual(self.keys(self.b), [1])
        self.b.execute("COMMIT")
        self.b.execute("PRAGMA query_only=0")
        for lose in ("PRAGMA temp_store=MEMORY", 'DROP TABLE temp."sqlite-lsm-marker"'):
            self.b.execute("BEGIN")
            self.b.execute("SELECT * FROM t").fetchall()
            self.b.execute("COMMIT")
            self.b.execute(lose)
            before = self.keys(self.a)
            for end in ("ROLLBACK", "COMMIT"):
                self.b.execute("BEGIN")
                self.b.execute("SELECT * FROM t").fetchall()
                self.a.execute("INSERT INTO t SELECT max(key) + 1, 'x' FROM t")
                self.assertEqual(self.keys(self.b), before)
                self.b.execute(end)
                before.append(before[-1] + 1)

    def test_reads_of_a_transaction_that_drops(self):
        self.b.execute("BEGIN")
        self.assertEqual(self.keys(self.b), [1])
        self.b.execute("CREATE VIRTUAL TABLE u USING lsm")
        self.b.execute("INSERT INTO u VALUES(7, 7)")
        self.assertEqual(self.keys(self.b, "u"), [7])
        self.b.execute("DROP TABLE u")
        self.assertEqual(self.keys(self.b), [1])
        self.b.execute("COMMIT")
        self.a.execute("INSERT INTO t VALUES(2, 'two')")  # nothing holds the writer's role
        self.a.execute("DELETE FROM t WHERE key = 2")
        self.b.execute("BEGIN")
        self.b.execute("DROP TABLE t")
        self.b.execute("ROLLBACK")
        self.assertEqual(self.keys(self.b), [1])

    def test_a_statement_that_outlives_its_transaction(self):
        self.a.executemany("INSERT INTO t VALUES(?, 'x')", [(i,) for i in range(2, 500)])
        self.b.execute("BEGIN")
        cursor = self.b.execute("SELECT key FROM t ORDER BY key")
        cursor.fetchone()
        self.b.execute("COMMIT")
        self.a.execute("DELETE FROM t")
        self.assertEqual(len(cursor.fetchall()), 498)
        self.assertEqual(self.keys(self.b), [])

    def test_the_connection_closes(self):
        """sqlite3_close(), which Python does not call, refuses to go with statements left."""
        name = ctypes.util.find_library("sqlite3")
        if name is None:
            self.skipTest("no library sqlite3")
        lib = ctypes.CDLL(name)
        db = ctypes.c_void_p()
        self.assertEqual(lib.sqlite3_open(self.path.encode(), ctypes.byref(db)), 0)
        self.assertEqual(lib.sqlite3_enable_load_extension(db, 1), 0)
        if lib.sqlite3_load_extension(db, EXTENSION.encode(), None, None) != 0:
            self.skipTest("another sqlite3 than Python's")
        for sql in (b"BEGIN", b"SELECT * FROM t", b"COMMIT",
                    b"BEGIN; INSERT INTO t VALUES(2, 2); INSERT INTO o VALUES(2, 2); COMMIT",
                    b"BEGIN; SELECT * FROM t JOIN o USING(key)"):
            self.assertEqual(lib.sqlite3_exec(db, sql, None, None, None), 0, sql)
        self.assertEqual(lib.sqlite3_close(db), 0)
        self.assertEqual(self.keys(self.a), [1, 2])


if __name__ == "__main__":
    unittest.main(verbosity=1)
