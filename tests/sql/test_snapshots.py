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
PATIENCE = 120  # seconds; then something is wrong


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
        self.assertRegex(str(caught.exception), "since this transaction|no longer kept|locked")


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
        for lose in ("PRAGMA temp_store=MEMORY", 'DROP TABLE IF EXISTS temp."sqlite-lsm-marker"'):
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

    def test_a_connection_that_begins_with_a_transaction(self):
        self.a.execute("CREATE TABLE p(h INTEGER PRIMARY KEY, k)")
        self.a.execute("INSERT INTO p VALUES(0, 0)")
        new = self.open()
        new.execute("BEGIN IMMEDIATE")
        new.execute("INSERT INTO p SELECT max(h) + 1, (SELECT key FROM t ORDER BY key DESC LIMIT 1)"
                    " FROM p")
        new.execute("COMMIT")
        self.assertEqual(self.a.execute("SELECT * FROM p").fetchall(), [(0, 0), (1, 1)])

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


TRANSFER = ("BEGIN IMMEDIATE", "UPDATE account SET money = money - %d WHERE name = 'a'",
            "UPDATE t SET value = value + %d WHERE key = 'b'", "COMMIT")


class Agreement(Case):
    """Money goes from an ordinary table to an lsm table and back: the sum stays."""

    def setUp(self):
        super().setUp()
        self.a.execute("CREATE TABLE account(name TEXT PRIMARY KEY, money)")
        self.a.execute("INSERT INTO account VALUES('a', 1000)")
        self.a.execute("DELETE FROM t")
        self.a.execute("INSERT INTO t VALUES('b', 0)")

    def ordinary(self, db):
        return db.execute("SELECT money FROM account WHERE name = 'a'").fetchone()[0]

    def lsm(self, db):
        return db.execute("SELECT value FROM t WHERE key = 'b'").fetchone()[0]

    def transfer(self, db, amount):
        for sql in TRANSFER:
            db.execute(sql % amount if "%d" in sql else sql)

    def test_an_older_state_of_the_database(self):
        for n in (1, 3, 8):
            for db in (self.b, self.open()):  # one has read the store before, one not
                db.execute("BEGIN")
                before = self.ordinary(db)
                for _ in range(n):
                    self.transfer(self.a, 10)
                self.assertEqual(self.ordinary(db), before)
                self.assertEqual(self.lsm(db) + before, 1000)
                self.a.execute("UPDATE t SET value = value WHERE key = 'b'")
                self.assertEqual(self.lsm(db) + before, 1000)
                db.execute("COMMIT")
                self.assertEqual(self.lsm(db) + self.ordinary(db), 1000)
                self.assertEqual(self.ordinary(db), before - 10 * n)

    def test_each_state_has_its_own(self):
        readers = []
        for _ in range(8):
            db = self.open()
            db.execute("BEGIN")
            readers.append((db, self.ordinary(db)))
            self.transfer(self.a, 1)
        for db, money in readers:
            self.assertEqual(self.lsm(db), 1000 - money)
            db.execute("COMMIT")

    def test_too_old_a_state(self):
        self.b.execute("BEGIN")
        self.assertEqual(self.ordinary(self.b), 1000)
        for _ in range(9):
            self.transfer(self.a, 1)
        self.assertStale(self.b, "SELECT * FROM t")
        self.assertEqual(self.ordinary(self.b), 1000)
        self.b.execute("ROLLBACK")
        self.assertEqual(self.lsm(self.b) + self.ordinary(self.b), 1000)

    def test_states_go_with_the_files(self):
        self.b.execute("BEGIN")
        self.assertEqual(self.ordinary(self.b), 1000)
        self.transfer(self.a, 1)
        self.a.execute("SELECT lsm_flush('t')")
        self.assertEqual(self.stat("snapshots"), 0)
        self.assertStale(self.b, "SELECT * FROM t")
        self.b.execute("ROLLBACK")
        self.assertEqual(self.lsm(self.b) + self.ordinary(self.b), 1000)

    def test_commits_of_the_lsm_table_alone_are_no_matter(self):
        self.transfer(self.a, 10)
        self.assertEqual(self.lsm(self.b), 10)
        self.b.execute("BEGIN")
        self.assertEqual(self.ordinary(self.b), 990)
        for i in range(20):
            self.a.execute("INSERT INTO t VALUES(?, 0)", (i,))
        self.a.execute("SELECT lsm_flush('t')")
        self.assertEqual(self.lsm(self.b), 10)
        self.b.execute("COMMIT")

    def test_rolled_back_transfers(self):
        self.transfer(self.a, 5)
        self.b.execute("BEGIN")
        self.assertEqual(self.ordinary(self.b), 995)
        for sql in TRANSFER[:-1]:
            self.a.execute(sql % 7 if "%d" in sql else sql)
        self.a.execute("ROLLBACK")
        self.assertEqual(self.lsm(self.b), 5)
        self.b.execute("COMMIT")
        self.transfer(self.b, 5)
        self.assertEqual(self.lsm(self.a) + self.ordinary(self.a), 1000)

    def test_after_another_process(self):
        self.transfer(self.a, 1)
        steps = [[sql % 10 if "%d" in sql else sql for sql in TRANSFER]]
        steps.append(steps[0] + steps[0])
        for statements in steps:
            for db in (self.b, self.open()):
                db.execute("BEGIN")
                before = self.ordinary(db)
                self.elsewhere(*statements)
                self.assertEqual(self.lsm(db) + before, 1000)
                db.execute("COMMIT")
                self.assertEqual(self.lsm(db) + self.ordinary(db), 1000)
        # What came in files is not known: an error, or the right answer.
        self.b.execute("BEGIN")
        before = self.ordinary(self.b)
        self.elsewhere(*steps[0], "SELECT lsm_flush('t')", *steps[0], "SELECT lsm_flush('t')")
        self.assertStale(self.b, "SELECT * FROM t")
        self.b.execute("ROLLBACK")
        self.assertEqual(self.lsm(self.b) + self.ordinary(self.b), 1000)

    def test_before_the_store_was_opened_here(self):
        for db in (self.a, self.b):
            db.close()
        db = self.open()
        db.execute("BEGIN")
        self.assertEqual(self.ordinary(db), 1000)
        self.elsewhere(*[sql % 10 if "%d" in sql else sql for sql in TRANSFER])
        self.assertStale(db, "SELECT * FROM t")
        db.execute("ROLLBACK")
        self.assertEqual(self.lsm(db) + self.ordinary(db), 1000)

    def readers(self, stop, wrong, stale):
        db = self.open(timeout=PATIENCE)
        try:
            while not stop.is_set():
                try:
                    row = db.execute("SELECT money + value, money, value FROM account JOIN t"
                                     " ON key = 'b' WHERE name = 'a'").fetchone()
                    if row[0] != 1000:
                        wrong.append(row)
                    db.execute("BEGIN")
                    first, second = self.ordinary(db), self.lsm(db)
                    time.sleep(0.0005)
                    row = (first, second, self.ordinary(db), self.lsm(db))
                    if first + second != 1000 or row != (first, second, first, second):
                        wrong.append(row)
                except sqlite3.OperationalError as error:
                    if "no longer kept" not in str(error) and "locked" not in str(error):
                        wrong.append(error)
                    stale.append(error)
                if db.in_transaction:
                    db.execute("ROLLBACK")
        except Exception as error:  # the thread's only way to say it
            wrong.append(error)

    def stress(self, write, seconds=1.5, least=100):
        """So many seconds, and on a slow machine until there were so many transfers."""
        stop, wrong, stale = threading.Event(), [], []
        threads = [threading.Thread(target=self.readers, args=(stop, wrong, stale))
                   for _ in range(2)]
        for thread in threads:
            thread.start()
        start = time.monotonic()
        count = 0
        try:
            while count < least or time.monotonic() < start + seconds:
                self.assertLess(time.monotonic(), start + PATIENCE)
                count += write(count)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])
        self.assertLess(len(stale), count)
        self.assertEqual(self.lsm(self.a) + self.ordinary(self.a), 1000)

    def test_threads(self):
        self.a.execute("PRAGMA busy_timeout=%d" % (PATIENCE * 1000))

        def write(i):
            self.transfer(self.a, i % 7 - 3)
            if i % 50 == 49:
                self.a.execute("SELECT lsm_flush('t')")
            time.sleep(0.001)
            return 1
        self.stress(write)

    def test_processes(self):
        self.transfer(self.a, 1)
        statements = []
        for i in range(100):
            statements += [sql % (i % 7 - 3) if "%d" in sql else sql for sql in TRANSFER]
            if i % 40 == 39:
                statements.append("SELECT lsm_flush('t')")
        statements.insert(0, "PRAGMA busy_timeout=%d" % (PATIENCE * 1000))

        def write(_):
            self.elsewhere(*statements)
            return 100
        self.stress(write)


class AgreementWithJournal(Agreement):
    """With a rollback journal nobody can commit while others read."""
    mode = "delete"

    def transfer(self, db, amount):
        readers = [d for d in self.opened if d is not db]
        for d in readers:
            if d.in_transaction:
                d.execute("COMMIT")
        super().transfer(db, amount)

    test_an_older_state_of_the_database = None
    test_each_state_has_its_own = None
    test_too_old_a_state = None
    test_states_go_with_the_files = None
    test_after_another_process = None
    test_before_the_store_was_opened_here = None
    test_commits_of_the_lsm_table_alone_are_no_matter = None
    test_rolled_back_transfers = None

    def test_threads(self):
        self.a.execute("PRAGMA busy_timeout=%d" % (PATIENCE * 1000))
        transfer = super().transfer

        def write(i):
            transfer(self.a, i % 7 - 3)
            time.sleep(0.002)
            return 1
        self.stress(write)


if __name__ == "__main__":
    unittest.main(verbosity=1)
