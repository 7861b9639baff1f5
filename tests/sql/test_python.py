#!/usr/bin/env python3
"""The lsm table through a second binding: Python's sqlite3.

LSMVTAB names the extension. An ordinary table with the same definition is
the oracle: the same statements go to both, the same answers must come back.
The random tests have fixed seeds; LSM_SEED=n runs them with another one.
"""
import math
import os
import random
import shutil
import sqlite3
import tempfile
import threading
import unittest

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
SEED = int(os.environ.get("LSM_SEED", "1"))


def connect(path, **kwargs):
    db = sqlite3.connect(path, isolation_level=None, **kwargs)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    return db


def exact(value):
    """Tells 1 from 1.0 and -0.0 from 0.0, and makes NaN-free values comparable."""
    return (type(value).__name__, repr(value))


def rows(cursor):
    return [tuple(exact(v) for v in row) for row in cursor]


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-python-")
        self.path = os.path.join(self.dir, "test.db")
        self.db = connect(self.path)

    def tearDown(self):
        self.db.close()
        shutil.rmtree(self.dir)

    def reopen(self):
        self.db.close()
        self.db = connect(self.path)

    def one(self, sql, *args):
        return self.db.execute(sql, args).fetchone()[0]


class TextKeys(Case):
    def scans(self):
        return self.one("SELECT value FROM lsm_stats('t') WHERE name = 'scans'")

    def test_a_number_is_looked_for_in_few_places(self):
        """A number given for a TEXT key may equal several texts, if it comes from a numeric column."""
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(k TEXT PRIMARY KEY, v)")
        self.db.execute("CREATE TABLE n(i INTEGER)")
        self.db.execute("INSERT INTO t WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM c WHERE i < 20000)"
                        " SELECT i, 'v' || i FROM c")
        self.db.execute("INSERT INTO t VALUES('0777', 'zero'), (' 777', 'blank'), ('777.0', 'point'), ('7770e-1', 'exponent'),"
                        " ('776.99999999999999999999', 'nines'), ('777x', 'none')")
        self.db.execute("SELECT lsm_flush('t')")
        self.db.execute("INSERT INTO n VALUES(777), (5), (20001)")
        for number, found in ((777, 1), (19999, 1), (20001, 0), (-3, 0), (10000, 1)):
            before = self.scans()
            self.assertEqual(len(self.db.execute("SELECT * FROM t WHERE k = ?", (number,)).fetchall()), found)
            self.assertLess(self.scans() - before, 150)
        self.assertEqual(self.db.execute("SELECT v FROM t WHERE k = 777").fetchall(), [("v777",)])
        names = {v for v, in self.db.execute("SELECT t.v FROM n CROSS JOIN t ON t.k = n.i")}
        if sqlite3.sqlite_version_info >= (3, 38):
            self.assertEqual(names, {"zero", "blank", "point", "exponent", "nines", "v777", "v5"})


class UpdateByKey(Case):
    """An UPDATE by a whole key is told that it finds one row; a number may find more."""

    def passes(self, key):
        program = self.db.execute(f"EXPLAIN UPDATE t SET v = '' WHERE k = :{key}", {key: 0}).fetchall()
        return 2 if any(op[1] == "OpenEphemeral" for op in program) else 1

    def test_parameters(self):
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(k PRIMARY KEY, v)")
        self.db.execute("CREATE TABLE o(k PRIMARY KEY, v) WITHOUT ROWID")
        self.db.execute("CREATE TABLE number(i INTEGER)")
        self.db.execute("INSERT INTO number VALUES(5)")
        keys = [5, "5", " 5", 5.5, "5.5", "five", b"five", 7]
        for table in "to":
            self.db.executemany(f"INSERT INTO {table} VALUES(?, '')", [(k,) for k in keys])
        self.assertEqual(self.passes("before"), 1)
        for begin, end in (("BEGIN", "COMMIT"), ("BEGIN", "ROLLBACK"), ("SELECT 1", "SELECT 1")):
            self.db.execute(begin)
            for k in ["five", b"five", 7, 5, "5", 5.5, 6, None]:
                for where in ("?", "? + 0", "CAST(? AS NUMERIC)"):
                    counts = [self.db.execute(f"UPDATE {table} SET v = v || 'x' WHERE k = {where}",
                                              (k,)).rowcount for table in "to"]
                    self.assertEqual(counts[0], counts[1], (k, where))
            counts = [self.db.execute(f"UPDATE {table} SET v = v || 'y' "
                                      "WHERE k = (SELECT i FROM number)").rowcount for table in "to"]
            self.assertEqual(counts, [3, 3])
            self.db.execute(end)
            self.assertEqual(rows(self.db.execute("SELECT * FROM t")),
                             rows(self.db.execute("SELECT * FROM o")))
        self.assertEqual(self.passes("after"), 2)


class Basics(Case):
    def test_values_come_back(self):
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm")
        values = [None, 0, 1, -1, 2**63 - 1, -(2**63), 0.0, 1.5, -2.5e300, 5e-324, math.inf,
                  "", "text", "grüße 😀", "a\0b", b"", b"\0", b"\xff" * 1000, "x" * 100000]
        for i, value in enumerate(values):
            self.db.execute("INSERT INTO t VALUES(?, ?)", (i, value))
        for flushed in (False, True):
            if flushed:
                self.db.execute("SELECT lsm_flush('t')")
            got = [r[0] for r in self.db.execute("SELECT value FROM t ORDER BY key")]
            self.assertEqual([exact(v) for v in got], [exact(v) for v in values])
        self.reopen()
        got = [r[0] for r in self.db.execute("SELECT value FROM t ORDER BY key")]
        self.assertEqual([exact(v) for v in got], [exact(v) for v in values])

    def test_keys_come_back_in_order(self):
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm")
        keys = [-math.inf, -(2**63), -1.5, -1, -5e-324, 0, 5e-324, 1, 1.5, 2**53, 2**53 + 1,
                2**63 - 1, 9.3e18, math.inf, "", "\0", "\0\0", "\0a", "a", "a\0", "aa", "b", "é",
                "\U0001F600", b"", b"\0", b"\0\0", b"\x01", b"a", b"\xff", b"\xff\xff"]
        mixed = keys[:]
        random.Random(SEED).shuffle(mixed)
        self.db.executemany("INSERT INTO t VALUES(?, 1)", [(k,) for k in mixed])
        want = [exact(k) for k in keys]
        self.assertEqual([exact(r[0]) for r in self.db.execute("SELECT key FROM t")], want)
        self.db.execute("SELECT lsm_flush('t')")
        self.assertEqual([exact(r[0]) for r in self.db.execute("SELECT key FROM t")], want)
        back = self.db.execute("SELECT key FROM t ORDER BY key DESC")
        self.assertEqual([exact(r[0]) for r in back], want[::-1])
        for i, key in enumerate(keys):
            self.assertEqual(self.one("SELECT count(*) FROM t WHERE key = ?", key), 1)
            self.assertEqual(self.one("SELECT count(*) FROM t WHERE key < ?", key), i)
            self.assertEqual(self.one("SELECT count(*) FROM t WHERE key >= ?", key), len(keys) - i)

    def test_error_classes(self):
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, v NOT NULL)")
        self.db.execute("INSERT INTO t VALUES(1, 1)")
        with self.assertRaisesRegex(sqlite3.IntegrityError, "UNIQUE constraint failed: t.id"):
            self.db.execute("INSERT INTO t VALUES(1, 2)")
        with self.assertRaisesRegex(sqlite3.IntegrityError, "NOT NULL constraint failed: t.v"):
            self.db.execute("INSERT INTO t VALUES(2, NULL)")
        with self.assertRaisesRegex(sqlite3.OperationalError, "nobody"):
            self.db.execute("SELECT lsm_flush('nobody')")
        self.assertEqual(self.one("SELECT count(*) FROM t"), 1)

    def test_lastrowid_and_rowcount(self):
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, v)")
        self.assertEqual(self.db.execute("INSERT INTO t(v) VALUES('a')").lastrowid, 1)
        self.assertEqual(self.db.execute("INSERT INTO t VALUES(41, 'b')").lastrowid, 41)
        self.assertEqual(self.db.execute("INSERT INTO t VALUES(NULL, 'c')").lastrowid, 42)
        self.assertEqual(self.db.execute("UPDATE t SET v = 'x'").rowcount, 3)
        self.assertEqual(self.db.execute("DELETE FROM t WHERE id > 40").rowcount, 2)

    def test_memory_database(self):
        db = connect(":memory:")
        db.execute("CREATE VIRTUAL TABLE t USING lsm")
        db.executemany("INSERT INTO t VALUES(?, ?)", [(i, i * i) for i in range(1000)])
        db.execute("SELECT lsm_flush('t')")
        self.assertEqual(db.execute("SELECT sum(value) FROM t").fetchone()[0],
                         sum(i * i for i in range(1000)))
        self.assertEqual(os.listdir(self.dir), [os.path.basename(self.path)]
                         if os.path.exists(self.path) else [])
        db.close()

    def test_a_cursor_open_while_rows_change(self):
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, v)")
        self.db.executemany("INSERT INTO t VALUES(?, ?)", [(i, i) for i in range(500)])
        read = self.db.execute("SELECT id FROM t ORDER BY id")
        first = [read.fetchone()[0] for _ in range(100)]
        self.db.execute("DELETE FROM t WHERE id >= 400")
        self.db.execute("SELECT lsm_flush('t')")
        rest = [r[0] for r in read]
        self.assertEqual(first, list(range(100)))
        # What it has not reached yet may be gone or not, but all it gives is in order and was there.
        self.assertEqual(rest[:300], list(range(100, 400)))
        self.assertEqual(self.one("SELECT count(*) FROM t"), 400)

    def test_interrupt(self):
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, v)")
        self.db.execute("INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c"
                        " WHERE i < 20000) SELECT i, 'v' || i FROM c")
        calls = [0]

        def stop():
            calls[0] += 1
            return calls[0] > 50
        self.db.set_progress_handler(stop, 1000)
        with self.assertRaises(sqlite3.OperationalError):
            self.db.execute("UPDATE t SET v = v || (SELECT count(*) FROM t)")
        self.db.set_progress_handler(None, 0)
        self.assertEqual(self.one("SELECT count(*) FROM t WHERE v = 'v' || id"), 20000)


class Indexes(Case):
    """What an index adds beyond the same answers: keyspaces, damage, transactions."""

    DEFINITION = "id INTEGER PRIMARY KEY, a TEXT UNIQUE, b, memtable_size='64KB', INDEX by_b (b)"

    def fill(self, table="t", rows=3000):
        self.db.execute("CREATE VIRTUAL TABLE %s USING lsm(%s)" % (table, self.DEFINITION))
        self.db.execute("INSERT INTO %s WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
                        " SELECT i, 'a' || i, i %% 10 FROM c" % (table, rows))

    def check(self, table="t"):
        self.assertEqual(self.one("SELECT lsm_verify('%s')" % table), "ok")
        self.assertEqual(self.one("SELECT count(*) FROM %s" % table),
                         self.one("SELECT count(*) FROM %s WHERE b IS NULL OR b >= 0 OR b < 0" % table))

    def test_rollback_and_savepoints_take_entries_back(self):
        self.fill()
        self.db.execute("SELECT lsm_flush('t')")
        self.db.execute("BEGIN")
        self.db.execute("UPDATE t SET b = b + 100 WHERE id <= 1000")
        self.db.execute("SAVEPOINT s")
        self.db.execute("DELETE FROM t WHERE b >= 100")
        self.db.execute("REPLACE INTO t VALUES(5000, 'a2000', 1)")
        self.assertEqual(self.one("SELECT id FROM t WHERE a = 'a2000'"), 5000)
        self.db.execute("ROLLBACK TO s")
        self.assertEqual(self.one("SELECT count(*) FROM t WHERE b >= 100"), 1000)
        self.assertEqual(self.one("SELECT id FROM t WHERE a = 'a2000'"), 2000)
        self.db.execute("ROLLBACK")
        self.assertEqual(self.one("SELECT count(*) FROM t WHERE b = 3"), 300)
        self.check()
        self.reopen()
        self.assertEqual(self.one("SELECT count(*) FROM t WHERE b = 3"), 300)
        self.check()

    def test_a_failed_statement_leaves_no_entry(self):
        self.fill(rows=100)
        for inside in (False, True):
            if inside:
                self.db.execute("BEGIN")
            with self.assertRaisesRegex(sqlite3.IntegrityError, "UNIQUE constraint failed: t.a"):
                self.db.execute("INSERT INTO t VALUES(1000, 'new', 1), (1001, 'a50', 1)")
            self.assertIsNone(self.db.execute("SELECT id FROM t WHERE a = 'new'").fetchone())
            if inside:
                self.db.execute("COMMIT")
            self.assertEqual(self.one("SELECT count(*) FROM t WHERE b = 1"), 10)
        self.check()

    def test_drop_takes_the_indexes_along(self):
        self.fill()
        self.db.execute("SELECT lsm_flush('t')")
        self.db.execute("CREATE VIRTUAL TABLE other USING lsm")
        self.assertGreater(self.one("SELECT value FROM lsm_stats('other') WHERE name = 'sst_files'"), 0)
        self.db.execute("BEGIN")
        self.db.execute("DROP TABLE t")
        self.db.execute("ROLLBACK")
        self.check()
        self.assertEqual(self.one("SELECT id FROM t WHERE a = 'a7'"), 7)
        self.db.execute("DROP TABLE t")
        self.assertEqual(self.one("SELECT value FROM lsm_stats('other') WHERE name = 'sst_files'"), 0)
        self.fill(rows=10)
        self.assertEqual(self.one("SELECT id FROM t WHERE a = 'a7'"), 7)
        self.check()

    def test_verify_finds_entries_that_do_not_fit(self):
        self.fill(rows=20)
        self.fill("u", rows=20)
        self.db.execute("UPDATE u SET b = 77 WHERE id = 4")
        self.db.execute("DELETE FROM u WHERE id = 5")
        # The catalog of t names the other table's index.
        self.db.execute("UPDATE t_lsm SET value = (SELECT value FROM u_lsm WHERE name = 'index:1')"
                        " WHERE name = 'index:1'")
        self.reopen()
        report = self.one("SELECT lsm_verify('t')")
        self.assertIn("entry of index 1 (by_b)", report)
        self.assertIn("missing", report)
        self.assertIn("its row has other values", report)
        self.assertEqual(self.one("SELECT lsm_verify('u')"), "ok")

    def test_a_catalog_without_the_index_is_damaged(self):
        self.fill(rows=20)
        self.db.execute("DELETE FROM t_lsm WHERE name = 'index:1'")
        self.reopen()
        with self.assertRaisesRegex(sqlite3.DatabaseError, "t_lsm.* is damaged: index 1"):
            self.db.execute("SELECT * FROM t").fetchall()
        self.db.execute("DROP TABLE t")

    def test_no_more_than_sixty(self):
        columns = ", ".join("c%d UNIQUE" % i for i in range(61))
        with self.assertRaisesRegex(sqlite3.OperationalError, "more than 60 indexes"):
            self.db.execute("CREATE VIRTUAL TABLE t USING lsm(%s)" % columns)
        columns = ", ".join("c%d UNIQUE" % i for i in range(60))
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(%s)" % columns)
        self.db.execute("INSERT INTO t VALUES(%s)" % ", ".join("?" * 60), list(range(60)))
        self.assertEqual(self.one("SELECT c7 FROM t WHERE c59 = 59"), 7)
        with self.assertRaisesRegex(sqlite3.IntegrityError, "UNIQUE constraint failed: t.c59"):
            self.db.execute("INSERT INTO t(c3, c59) VALUES(3, 59)")

    def test_a_reader_keeps_its_entries(self):
        self.fill()
        read = self.db.execute("SELECT id, a, b FROM t WHERE b = 5 ORDER BY b, id")
        first = [read.fetchone() for _ in range(10)]
        self.db.execute("UPDATE t SET b = 6, a = a || 'x' WHERE b = 5")
        self.db.execute("SELECT lsm_compact('t')")
        got = first + read.fetchall()
        self.assertEqual(got, [(i, "a%d" % i, 5) for i in range(5, 3001, 10)])
        self.assertEqual(self.one("SELECT count(*) FROM t WHERE b = 6"), 600)
        self.check()

    def test_large_columns(self):
        self.fill(rows=3)
        big = "x" * 1000000
        self.db.execute("INSERT INTO t VALUES(10, ?, ?)", (big, big + "b"))
        with self.assertRaisesRegex(sqlite3.IntegrityError, "t.a"):
            self.db.execute("INSERT INTO t VALUES(11, ?, 1)", (big,))
        self.db.execute("SELECT lsm_flush('t')")
        self.assertEqual(self.one("SELECT id FROM t WHERE a = ?", big), 10)
        self.assertEqual(self.one("SELECT id FROM t WHERE b > ?", big), 10)
        self.db.execute("DELETE FROM t WHERE b > ?", (big,))
        self.assertEqual(self.one("SELECT count(*) FROM t"), 3)
        self.check()


class Connections(Case):
    """Several connections to one database in one process."""

    def setUp(self):
        super().setUp()
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, v)")
        self.db.execute("CREATE TABLE o(id INTEGER PRIMARY KEY, v)")

    def test_others_see_commits_only(self):
        other = connect(self.path)
        self.db.execute("BEGIN")
        self.db.execute("INSERT INTO t VALUES(1, 'x')")
        self.assertEqual(other.execute("SELECT count(*) FROM t").fetchone()[0], 0)
        self.db.execute("COMMIT")
        self.assertEqual(other.execute("SELECT count(*) FROM t").fetchone()[0], 1)
        other.close()

    def test_a_statement_reads_one_snapshot(self):
        self.db.executemany("INSERT INTO t VALUES(?, 'x')", [(i,) for i in range(200)])
        other = connect(self.path)
        read = other.execute("SELECT a.id, b.v FROM t a JOIN t b ON b.id = a.id")
        first = [read.fetchone() for _ in range(50)]
        self.db.execute("UPDATE t SET v = 'y'")
        self.db.execute("DELETE FROM t WHERE id % 2 = 1")
        self.db.execute("SELECT lsm_compact('t')")
        self.assertEqual(first + read.fetchall(), [(i, "x") for i in range(200)])
        self.assertEqual(other.execute("SELECT count(*), min(v) FROM t").fetchone(), (100, "y"))
        other.close()

    def test_one_writer(self):
        other = connect(self.path, timeout=0.05)
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO t VALUES(1, 'x')")
        with self.assertRaisesRegex(sqlite3.OperationalError, "locked"):
            other.execute("INSERT INTO t VALUES(2, 'y')")
        self.db.execute("COMMIT")
        other.execute("INSERT INTO t VALUES(2, 'y')")
        self.assertEqual(self.one("SELECT count(*) FROM t"), 2)
        other.close()

    def test_threads(self):
        errors = []

        def work(n):
            try:
                db = connect(self.path, timeout=60)
                for i in range(60):
                    db.execute("BEGIN IMMEDIATE")
                    db.execute("INSERT INTO t VALUES(?, ?)", (n * 1000 + i, "v%d" % i))
                    db.execute("UPDATE t SET v = v || '.' WHERE id = ?", (n * 1000 + i // 2,))
                    db.execute("COMMIT")
                    mine = db.execute("SELECT count(*) FROM t WHERE id >= ? AND id < ?",
                                      (n * 1000, n * 1000 + 1000)).fetchone()[0]
                    if mine != i + 1:
                        errors.append("thread %d sees %d rows after %d" % (n, mine, i + 1))
                db.close()
            except Exception as e:  # reported by the test, below
                errors.append(repr(e))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])
        self.assertEqual(self.one("SELECT count(*) FROM t"), 240)
        self.assertEqual(self.one("SELECT lsm_verify('t')"), "ok")


class Differential(Case):
    """Random statements, an ordinary table as the oracle."""

    SCHEMAS = [
        ("k PRIMARY KEY, a, b", " WITHOUT ROWID", ["k"]),
        ("k INTEGER PRIMARY KEY, a, b", "", ["k"]),
        ("k TEXT, a INTEGER, b, PRIMARY KEY(k, a)", " WITHOUT ROWID", ["k", "a"]),
        ("k, a REAL, b TEXT, PRIMARY KEY(k DESC, a)", " WITHOUT ROWID", ["k DESC", "a"]),
        ("k TEXT COLLATE NOCASE, a BLOB, b NUMERIC, PRIMARY KEY(a DESC, k DESC)", " WITHOUT ROWID",
         ["a DESC", "k DESC"]),
    ]

    def value(self, rng, null=0.1):
        kind = rng.random()
        if kind < null:
            return None
        if kind < 0.45:
            return rng.randint(-20, 20)
        if kind < 0.55:
            return rng.randint(-20, 20) / 2.0
        if kind < 0.60:
            # (Not 2**63 - 1: after that rowid an ordinary table takes random ones.)
            return rng.choice([2**53, 2**53 + 1, float(2**53), 2**61 + 1, -(2**63), 1e19, -1e19])
        if kind < 0.85:
            return "".join(rng.choice("aAbB1\0é") for _ in range(rng.randint(0, 4)))
        if kind < 0.90:
            return str(rng.randint(-20, 20))
        return bytes(rng.choice(b"\0\1a\xff") for _ in range(rng.randint(0, 4)))

    def where(self, rng, args):
        column = rng.choice(["k", "a", "k", "b"])
        shape = rng.randint(0, 7)
        if shape == 0:
            args.append(self.value(rng))
            return column + " = ?"
        if shape == 1:
            args.append(self.value(rng))
            return column + rng.choice([" < ?", " <= ?", " > ?", " >= ?"])
        if shape == 2:
            args.extend([self.value(rng), self.value(rng)])
            return column + " BETWEEN ? AND ?"
        if shape == 3:
            n = rng.randint(1, 4)
            args.extend(self.value(rng) for _ in range(n))
            return column + " IN (" + ", ".join("?" * n) + ")"
        if shape == 4:
            args.extend([self.value(rng), self.value(rng)])
            return "k = ? AND a " + rng.choice(["=", "<", ">=", "IS NOT"]) + " ?"
        if shape == 5:
            args.extend([self.value(rng), self.value(rng), self.value(rng)])
            return "k > ? AND k <= ? AND a < ?"
        if shape == 6:
            args.append(rng.choice(["a%", "A%", "1%", "%", "-1%", "aB_"]))
            return column + " LIKE ?"
        args.extend([self.value(rng), self.value(rng)])
        return "k = ? OR a = ?"

    def statement(self, rng):
        args = []
        kind = rng.random()
        conflict = rng.choice(["", "", " OR REPLACE", " OR IGNORE", " OR FAIL", " OR ABORT"])
        if kind < 0.40:
            n = rng.randint(1, 5)
            args = [self.value(rng, 0.05) for _ in range(3 * n)]
            if self.rowid and n > 1:
                # An ordinary table may keep the rows before a datatype mismatch.
                args[::3] = [rng.choice([None, rng.randint(-20, 20)]) for _ in range(n)]
            return "INSERT%s INTO {t} VALUES %s" % (conflict, ", ".join(["(?, ?, ?)"] * n)), args
        if kind < 0.50:
            column = rng.choice(["a", "b", "b", "k"])
            args.append(self.value(rng))
            if conflict and column != "b":
                # Which of two rows wins depends on their order: keep it that of the key.
                args.append(self.value(rng))
                return "UPDATE%s {t} SET %s = ? WHERE k = ?" % (conflict, column), args
            return "UPDATE%s {t} SET %s = ? WHERE %s" % (conflict, column, self.where(rng, args)), args
        if kind < 0.58:
            return "DELETE FROM {t} WHERE " + self.where(rng, args), args
        if kind < 0.62:
            where = self.where(rng, args)
            return ("INSERT%s INTO {t} SELECT k || '+', a, b FROM {t} WHERE %s ORDER BY {keys}"
                    % (conflict, where)), args
        if kind < 0.66:
            return rng.choice(["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s",
                               "RELEASE s"]), args
        order = rng.choice(["{keys}", "{back}"])
        where = self.where(rng, args) if rng.random() < 0.85 else "1"
        limit = rng.choice(["", "", " LIMIT 3", " LIMIT 2 OFFSET 2"])
        return "SELECT * FROM {t} WHERE %s ORDER BY %s%s" % (where, order, limit), args

    @staticmethod
    def outcome(db, sql, args):
        """What a statement gave: rows and changes, or the class of its error."""
        try:
            cursor = db.execute(sql, args)
            got = rows(cursor)
            changes = cursor.rowcount if sql.startswith(("INSERT", "UPDATE", "DELETE")) else None
            return ("ok", got, changes)
        except sqlite3.Error as e:
            return ("error", type(e).__name__, str(e))

    @staticmethod
    def fast(path):
        """Power loss is tested elsewhere: here nobody waits for the disk."""
        db = connect(path)
        db.execute("PRAGMA synchronous=OFF")
        # A blob that || made a text may be anything.
        db.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        return db

    def session(self, schema, seed, count):
        definition, suffix, keys = schema
        rng = random.Random(seed)
        self.rowid = suffix == ""
        oracle = self.fast(os.path.join(self.dir, "oracle.db"))
        self.db.close()
        self.db = self.fast(self.path)
        oracle.execute("CREATE TABLE t(%s)%s" % (definition, suffix))
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(%s)" % definition)
        back = [k[:-5] if k.endswith(" DESC") else k + " DESC" for k in keys]
        history = []
        for n in range(count):
            sql, args = self.statement(rng)
            sql = sql.format(t="t", keys=", ".join(keys), back=", ".join(back))
            history.append((sql, args))
            if self.rowid and sql.startswith("INSERT"):
                # New rowids follow the largest; with negative ones only, they differ.
                for db in (oracle, self.db):
                    db.execute("INSERT OR IGNORE INTO t VALUES(1000, 'top', 'top')")
            want = self.outcome(oracle, sql, args)
            got = self.outcome(self.db, sql, args)
            if got != want:
                tail = "\n".join("    %s %r" % h for h in history[-6:])
                self.fail("seed %d, statement %d of t(%s):\n%s\n  ordinary: %s\n  lsm:      %s"
                          % (seed, n, definition, tail, want, got))
            if n % 97 == 50 and not self.db.in_transaction:
                self.db.execute("SELECT lsm_flush('t')")
            if n % 389 == 200 and not self.db.in_transaction:
                self.db.execute("SELECT lsm_compact('t')")
            if n % 500 == 499:
                oracle.close()
                self.db.close()
                oracle = self.fast(os.path.join(self.dir, "oracle.db"))
                self.db = self.fast(self.path)
        for db in (oracle, self.db):
            if db.in_transaction:
                db.execute("COMMIT")
        final = "SELECT * FROM t ORDER BY " + ", ".join(keys)
        self.assertEqual(rows(self.db.execute(final)), rows(oracle.execute(final)))
        self.assertEqual(self.one("SELECT lsm_verify('t')"), "ok")
        oracle.close()


def add_sessions():
    for i, schema in enumerate(Differential.SCHEMAS):
        for round_ in range(2):
            def test(self, schema=schema, seed=SEED * 1000 + i * 10 + round_):
                self.session(schema, seed, 2500)
            setattr(Differential, "test_schema_%d_round_%d" % (i, round_), test)


add_sessions()

if __name__ == "__main__":
    unittest.main()
