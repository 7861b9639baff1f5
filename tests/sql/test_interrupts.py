#!/usr/bin/env python3
"""sqlite3_interrupt() at any moment: a statement ends with SQLITE_INTERRUPT or it is
done, the transaction is whole or gone, and nothing crashes. LSMVTAB names the
extension.
"""
import os
import random
import shutil
import sqlite3
import tempfile
import threading
import unittest

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
ROUNDS = int(os.environ.get("ROUNDS", "150"))


def connect(path):
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    return db


class Interrupts(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-interrupts-")
        self.path = os.path.join(self.dir, "test.db")
        self.a, self.b = connect(self.path), connect(self.path)
        self.a.execute("PRAGMA journal_mode=WAL")
        self.a.execute("PRAGMA synchronous=OFF")
        self.a.execute("CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v, INDEX by_v(v))")
        self.a.execute("CREATE TABLE o(k INTEGER PRIMARY KEY, v)")

    def tearDown(self):
        self.a.close()
        self.b.close()
        shutil.rmtree(self.dir)

    def nagged(self, statements, args=()):
        """Runs them while another thread interrupts all the time; how many were done."""
        ended, begun = threading.Event(), threading.Event()

        def nag():
            begun.set()
            while not ended.is_set():
                self.a.interrupt()
                for _ in range(random.randrange(2000)):
                    pass

        thread = threading.Thread(target=nag)
        thread.start()
        begun.wait()
        done = 0
        try:
            for sql in statements:
                self.a.execute(sql, args if "?" in sql else ()).fetchall()
                done += 1
        except sqlite3.OperationalError as e:
            self.assertIn("interrupt", str(e))
        finally:
            ended.set()
            thread.join()
        return done

    def count(self, db):
        return db.execute("SELECT count(*) FROM t").fetchone()[0]

    def swept(self, statements, anew=False):
        """The same with one interrupt, at SQLite's nth look around: n = 1, 2, ... until none comes.

        anew: by a new connection each time, which has yet to learn what there is.
        """
        n, done = 0, 0
        while True:
            n += 1
            if anew:
                self.a.close()
                self.a = connect(self.path)
            calls = [0]

            def look():
                calls[0] += 1
                if calls[0] == n:
                    self.a.interrupt()
                return 0

            self.a.set_progress_handler(look, 1)
            done = 0
            try:
                for sql in statements:
                    self.a.execute(sql.replace("?", str(n))).fetchall()
                    done += 1
            except sqlite3.OperationalError as e:
                self.assertIn("interrupt", str(e))
            self.a.set_progress_handler(None, 1)
            yield n, done
            if calls[0] < n:
                return

    def test_every_look(self):
        """A statement of its own; one in a transaction; the first read of one."""
        for sql in ["INSERT INTO t VALUES(?, 1)", "UPDATE t SET v = v + 1 WHERE k < 20",
                    "DELETE FROM t WHERE k < 10"]:
            for n, done in self.swept([sql]):
                self.assertFalse(self.a.in_transaction)
            self.assertEqual(self.count(self.a), self.count(self.b))
        for n, done in self.swept(["BEGIN", "SELECT v FROM t WHERE k = 1", "INSERT INTO o VALUES(?, 1)", "SAVEPOINT s",
                                   "INSERT INTO t VALUES(1000 + ?, 1)", "RELEASE s", "COMMIT"]):
            if self.a.in_transaction:
                self.a.execute("ROLLBACK")
            there = [self.b.execute("SELECT count(*) FROM %s WHERE k = %d" % (t, k)).fetchone()[0]
                     for t, k in (("o", n), ("t", 1000 + n))]
            self.assertEqual(there[0], there[1])
            if done == 7:
                self.assertEqual(there, [1, 1])
        self.assertEqual(self.a.execute("SELECT lsm_verify('t')").fetchone(), ("ok",))

    def test_every_look_of_a_new_connection(self):
        for sql in ["SELECT count(*) FROM t", "INSERT INTO t VALUES(?, 1)", "SELECT lsm_verify('t')",
                    "PRAGMA table_info(t)"]:
            for n, done in self.swept([sql], anew=True):
                self.assertFalse(self.a.in_transaction)
            self.assertEqual(self.count(self.a), self.count(self.b))
        for sql in ["SELECT lsm_create_index('t', 'x', 'v, k')", "SELECT lsm_drop_index('t', 'x')",
                    "SELECT lsm_add_column('t', 'c')"]:
            for n, done in self.swept(["BEGIN", sql, "ROLLBACK"], anew=True):
                if self.a.in_transaction:
                    self.a.execute("ROLLBACK")
            self.assertEqual(done, 3)
            self.assertEqual(self.a.execute("SELECT lsm_verify('t')").fetchone(), ("ok",))
            if "drop" not in sql:
                self.a.execute(sql)

    def test_one_statement(self):
        n = 0
        for i in range(ROUNDS):
            n += self.nagged(["INSERT INTO t VALUES(?, 1)"], (i,))
        self.assertEqual((self.count(self.a), self.count(self.b)), (n, n))

    def test_first_statement_of_a_connection(self):
        for i in range(ROUNDS // 3):
            self.a.close()
            self.a = connect(self.path)
            before = self.count(self.b)
            done = self.nagged(["INSERT INTO t VALUES(?, 1)"], (i,))
            self.assertEqual(self.count(self.b), before + done)

    def test_both_kinds(self):
        for i in range(ROUNDS):
            done = self.nagged(["BEGIN", "SELECT count(*) FROM t", "INSERT INTO o VALUES(?, 1)", "SAVEPOINT s",
                                "INSERT INTO t VALUES(?, 1)", "UPDATE t SET v = 2", "RELEASE s", "COMMIT"], (i,))
            if self.a.in_transaction:
                self.a.execute("ROLLBACK")
            for db in (self.a, self.b):
                there = [db.execute("SELECT count(*) FROM %s WHERE k = %d" % (t, i)).fetchone()[0] for t in "ot"]
                self.assertEqual(there[0], there[1])
                if done == 8:
                    self.assertEqual(there, [1, 1])
        self.assertEqual(self.a.execute("SELECT lsm_verify('t')").fetchone(), ("ok",))

    def test_functions(self):
        self.a.execute("INSERT INTO t SELECT value, value FROM json_each('[' || "
                       "(SELECT group_concat(i) FROM (WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s"
                       " WHERE i < 3000) SELECT i FROM s)) || ']')")
        for i in range(ROUNDS // 5):
            self.nagged(["SELECT lsm_create_index('t', 'x', 'v, k')", "SELECT lsm_drop_index('t', 'x')"])
            self.nagged(["SELECT lsm_delete_range('t', %d, %d)" % (i, i + 1)])
            # Not by a plan: by_v serves as well.
            if self.b.execute("SELECT 1 FROM t_lsm WHERE value LIKE 'INDEX \"x\" %'").fetchone():
                self.a.execute("SELECT lsm_drop_index('t', 'x')")
        self.assertEqual(self.a.execute("SELECT lsm_verify('t')").fetchone(), ("ok",))
        self.assertEqual(self.count(self.a), self.count(self.b))


if __name__ == "__main__":
    unittest.main()
