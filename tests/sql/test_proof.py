#!/usr/bin/env python3
"""When does a COMMIT need the host's word? (ext/proof.h)

The token, a row of the table's shadow table, moves when the transaction was
not proved to have changed nothing but lsm tables. A token too many costs time;
one too few could leave half of a transaction after a power loss: so for each
way to change the host there is a case here that must move it.

Usage: test_proof.py [unittest arguments]; LSMVTAB names the extension.
"""
import os
import shutil
import sqlite3
import tempfile
import unittest

EXTENSION = os.environ.get("LSMVTAB", os.path.abspath("./lsmvtab"))
MODES = ["wal", "delete", "truncate", "persist", "memory"]
# Before 3.39 only a transaction of one statement is proved; others always move the token.
PROVES_MANY = sqlite3.sqlite_version_info >= (3, 39)


class Base(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-proof-")
        self.path = os.path.join(self.dir, "test.db")

    def tearDown(self):
        self.db.close()
        shutil.rmtree(self.dir)

    def open(self, mode):
        if os.path.exists(self.path):
            self.db.close()
            shutil.rmtree(self.dir)
            os.mkdir(self.dir)
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.enable_load_extension(True)
        self.db.load_extension(EXTENSION)
        self.run_all(
            "PRAGMA journal_mode=" + mode,
            "CREATE TABLE o(id INTEGER PRIMARY KEY, v, w)",
            "CREATE INDEX ow ON o(w)",
            "INSERT INTO o VALUES(1, 'one', 1), (2, 'two', 2)",
            "CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, v)",
            "CREATE VIRTUAL TABLE u USING lsm(k TEXT PRIMARY KEY, v)",
            "INSERT INTO t VALUES(1, 'x')",
        )
        # The first transaction is of an unknown past.
        self.run_all("BEGIN", "INSERT INTO t VALUES(2, 'y')", "COMMIT")
        self.run_all("BEGIN", "INSERT INTO t VALUES(3, 'y')", "COMMIT")

    def run_all(self, *statements):
        for s in statements:
            self.db.execute(s).fetchall()

    def token(self):
        rows = self.db.execute(
            "SELECT value FROM t_lsm WHERE name = 'txid' UNION ALL "
            "SELECT value FROM u_lsm WHERE name = 'txid'"
        ).fetchall()
        self.assertEqual(len(rows), 1)
        return rows[0][0]

    def moves(self, *statements):
        before = self.token()
        self.run_all(*statements)
        return self.token() != before


class Proof(Base):
    def test_alone(self):
        """What changes lsm tables alone needs no token."""
        cases = [
            ["INSERT INTO t(v) VALUES('a')"],
            ["INSERT INTO t(v) VALUES('a'), ('b'), ('c')"],
            ["UPDATE t SET v = v || 'x'"],
            ["DELETE FROM t WHERE id > 5"],
            ["INSERT OR REPLACE INTO u VALUES(5, 6)"],
            ["BEGIN", "INSERT INTO t(v) VALUES('a')", "COMMIT"],
            ["BEGIN", "INSERT INTO t(v) VALUES('a')", "DELETE FROM u", "SELECT * FROM o", "COMMIT"],
            ["BEGIN IMMEDIATE", "UPDATE t SET v = 'x'", "END"],
            ["SAVEPOINT s", "INSERT INTO t(v) VALUES('a')", "RELEASE s"],
            ["BEGIN", "INSERT INTO t(v) VALUES('a')", "ROLLBACK"],
            ["BEGIN", "INSERT INTO t(v) VALUES('b')", "COMMIT"],
        ]
        if not PROVES_MANY:
            cases = [case for case in cases if len(case) == 1]
        for mode in MODES:
            self.open(mode)
            for case in cases:
                with self.subTest(mode=mode, case=case):
                    self.assertFalse(self.moves(*case))

    def test_mixed(self):
        """Each way to change the host too must move the token."""
        write = "INSERT INTO t(v) VALUES('m')"
        host = [
            ["UPDATE o SET v = 'z' WHERE id = 1"],
            ["INSERT INTO o(v, w) VALUES('n', 7)"],
            ["DELETE FROM o WHERE w = 7"],
            ["PRAGMA user_version = 17"],
            ["PRAGMA application_id = 19"],
            ["CREATE VIEW ov AS SELECT * FROM o"],
            ["DROP VIEW ov"],
            ["CREATE TABLE p(x)"],
            ["ALTER TABLE p RENAME TO q"],
            ["DROP TABLE q"],
            ["ANALYZE"],
            ["REINDEX ow"],
        ]
        for mode in MODES:
            self.open(mode)
            self.run_all("ANALYZE")
            for change in host:
                for case in (
                    ["BEGIN"] + change + [write, "COMMIT"],
                    ["BEGIN", write] + change + ["COMMIT"],
                ):
                    with self.subTest(mode=mode, case=case):
                        # A quiet one first: the past is known again.
                        self.run_all("BEGIN", write, "COMMIT", "BEGIN", write, "COMMIT")
                        self.undo(change)
                        self.run_all("BEGIN", write, "COMMIT", "BEGIN", write, "COMMIT")
                        if PROVES_MANY:
                            self.assertFalse(self.moves("BEGIN", write, "COMMIT"))
                        self.assertTrue(self.moves(*case))

    def test_schema_of_another_file(self):
        """What is known of an attached database is not believed of the next of that name."""
        paths = [os.path.join(self.dir, name) for name in ("a.db", "b.db")]
        self.open("wal")
        for path in paths:
            self.run_all(f"ATTACH '{path}' AS x", "PRAGMA x.journal_mode=wal",
                         "CREATE VIRTUAL TABLE x.s USING lsm(id INTEGER PRIMARY KEY, v)",
                         "DETACH x")
        write = "INSERT INTO x.s(v) VALUES('m')"
        for n, path in enumerate(paths * 2):
            self.run_all(f"ATTACH '{path}' AS x")
            for _ in range(3):
                self.run_all("BEGIN", write, "COMMIT")
            token = "SELECT value FROM x.s_lsm WHERE name = 'txid'"
            before = self.db.execute(token).fetchone()
            self.run_all("BEGIN", write, f"PRAGMA x.user_version = {n + 1}", "COMMIT")
            self.assertNotEqual(self.db.execute(token).fetchone(), before)
            self.run_all("DETACH x")

    def undo(self, change):
        """Makes the change possible, and one, again."""
        head = change[0]
        if head.startswith("PRAGMA"):
            self.run_all(head.rsplit("=", 1)[0] + "= 0")
        if head == "CREATE VIEW ov AS SELECT * FROM o":
            self.run_all("DROP VIEW IF EXISTS ov")
        if head == "DROP VIEW ov":
            self.run_all("CREATE VIEW IF NOT EXISTS ov AS SELECT * FROM o")
        if head == "CREATE TABLE p(x)":
            self.run_all("DROP TABLE IF EXISTS p")
        if head.startswith("ALTER"):
            self.run_all("DROP TABLE IF EXISTS q", "CREATE TABLE IF NOT EXISTS p(x)")
        if head == "DROP TABLE q":
            self.run_all("CREATE TABLE IF NOT EXISTS q(x)")
        if head.startswith("DELETE"):
            self.run_all("INSERT INTO o(v, w) VALUES('n', 7)")

    def test_savepoints(self):
        """What was taken back leaves the counts in doubt."""
        self.open("wal")
        self.assertTrue(self.moves(
            "BEGIN", "INSERT INTO t(v) VALUES('a')", "SAVEPOINT s", "INSERT INTO t(v) VALUES('b')",
            "INSERT INTO o(v) VALUES('c')", "ROLLBACK TO s", "INSERT INTO t(v) VALUES('d')", "COMMIT"))

    def test_failed_statement(self):
        """Rows of a failed statement do not hide those of the host."""
        self.open("wal")
        before = self.token()
        self.db.execute("BEGIN")
        self.db.execute("INSERT INTO t(v) VALUES('a')")
        with self.assertRaises(sqlite3.IntegrityError):
            self.db.execute("INSERT INTO t VALUES(900, 'a'), (901, 'b'), (1, 'dup')")
        self.db.execute("INSERT INTO o(v) VALUES('a'), ('b')")
        self.db.execute("COMMIT")
        self.assertNotEqual(self.token(), before)

    def test_triggers(self):
        """A trigger of an ordinary table that writes here is of both sides."""
        for mode in MODES:
            self.open(mode)
            self.run_all("CREATE TRIGGER tr AFTER INSERT ON o BEGIN INSERT INTO t(v) VALUES(new.v); END")
            with self.subTest(mode=mode):
                self.assertTrue(self.moves("INSERT INTO o(v) VALUES('via trigger')"))

    def test_functions(self):
        """A function that writes elsewhere while the statement runs."""
        for mode in MODES:
            self.open(mode)

            def sneak(x):
                self.db.execute("INSERT INTO o(v) VALUES('sneaked')")
                return x

            self.db.create_function("sneak", 1, sneak)
            with self.subTest(mode=mode):
                self.assertTrue(self.moves("INSERT INTO t(v) VALUES(sneak('x'))"))

    def test_other_virtual_table(self):
        """FTS writes its tables in its own xSync, before or after ours."""
        for mode in MODES:
            self.open(mode)
            self.run_all("CREATE VIRTUAL TABLE f USING fts4(x)")
            for case in (
                ["BEGIN", "INSERT INTO f VALUES('a b')", "INSERT INTO t(v) VALUES('m')", "COMMIT"],
                ["BEGIN", "INSERT INTO t(v) VALUES('m')", "INSERT INTO f VALUES('a b')", "COMMIT"],
            ):
                with self.subTest(mode=mode, case=case):
                    for _ in range(2):
                        self.run_all("BEGIN", "INSERT INTO t(v) VALUES('q')", "COMMIT")
                    self.assertTrue(self.moves(*case))

    def test_attached(self):
        """Another file that is written in the same transaction."""
        for mode in MODES:
            self.open(mode)
            self.run_all("ATTACH '%s' AS a" % os.path.join(self.dir, "a.db"), "CREATE TABLE a.x(y)")
            for _ in range(2):
                self.run_all("BEGIN", "INSERT INTO t(v) VALUES('q')", "COMMIT")
            with self.subTest(mode=mode):
                self.assertTrue(self.moves(
                    "BEGIN", "INSERT INTO a.x VALUES(1)", "INSERT INTO t(v) VALUES('m')", "COMMIT"))

    def test_two_stores(self):
        """Two stores are made one by the host alone."""
        self.open("wal")
        self.run_all("CREATE VIRTUAL TABLE s USING lsm(k PRIMARY KEY, v, path='other.lsm')")
        for _ in range(2):
            self.run_all("BEGIN", "INSERT INTO t(v) VALUES('q')", "COMMIT")
        self.assertTrue(self.moves(
            "BEGIN", "INSERT INTO s VALUES(1, 2)", "INSERT INTO t(v) VALUES('m')", "COMMIT"))


class Identity(Base):
    """An older store is told from the right one by the same token."""

    def test_older_store(self):
        self.open("wal")
        self.run_all("BEGIN", "INSERT INTO o(v) VALUES(1)", "INSERT INTO t(v) VALUES('a')", "COMMIT")
        self.db.close()
        store = self.path + "-lsm"
        shutil.copytree(store, store + ".old")
        self.reopen()
        self.run_all("BEGIN", "INSERT INTO o(v) VALUES(2)", "INSERT INTO t(v) VALUES('b')", "COMMIT")
        count = self.db.execute("SELECT count(*) FROM t").fetchone()
        self.db.close()
        os.rename(store, store + ".new")
        os.rename(store + ".old", store)
        self.reopen()
        with self.assertRaisesRegex(sqlite3.OperationalError, "is older than the database"):
            self.db.execute("SELECT count(*) FROM t")
        with self.assertRaisesRegex(sqlite3.OperationalError, "is older than the database"):
            self.db.execute("INSERT INTO t(v) VALUES('c')")
        self.db.close()
        shutil.rmtree(store)
        os.rename(store + ".new", store)
        self.reopen()
        self.assertEqual(self.db.execute("SELECT count(*) FROM t").fetchone(), count)

    def reopen(self):
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.enable_load_extension(True)
        self.db.load_extension(EXTENSION)


if __name__ == "__main__":
    unittest.main()
