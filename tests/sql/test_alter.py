#!/usr/bin/env python3
"""lsm_create_index, lsm_drop_index and lsm_add_column as several connections and
processes see them, and when they are stopped. LSMVTAB names the extension.
"""
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
ROWS = 3000


def connect(path, timeout=0.0):
    db = sqlite3.connect(path, isolation_level=None, timeout=timeout, check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    return db


def fill(db, table, first, last):
    db.execute("WITH RECURSIVE c(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM c WHERE i < ?) "
               "INSERT INTO %s(id, a, b) SELECT i, 'v' || i * 7919 %% 1000, i %% 10 FROM c" % table, (first, last))


class Case(unittest.TestCase):
    mode = "wal"
    asked = 0

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-alter-")
        self.path = os.path.join(self.dir, "test.db")
        self.opened = []
        self.a = self.open()
        self.a.execute("PRAGMA journal_mode=" + self.mode)
        self.a.execute("PRAGMA synchronous=OFF")
        self.a.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, a TEXT, b, UNIQUE(a, id),"
                       " INDEX ib(b), memtable_size='64KB')")
        self.a.execute("CREATE TABLE o(k INTEGER PRIMARY KEY, v)")
        fill(self.a, "t", 1, ROWS)
        self.b = self.open()

    def open(self, path=None, **kwargs):
        db = connect(path or self.path, **kwargs)
        self.opened.append(db)
        return db

    def tearDown(self):
        for db in self.opened:
            db.close()
        shutil.rmtree(self.dir)

    def way(self, db, sql):
        self.asked += 1  # a text that is not in sqlite3's cache
        return " ".join(r[3] for r in db.execute("EXPLAIN QUERY PLAN %s -- %d" % (sql, self.asked)))

    def one(self, db, sql, *args):
        return db.execute(sql, args).fetchone()[0]

    def assertWhole(self, db, table="t"):
        self.assertEqual(self.one(db, "SELECT lsm_verify('%s')" % table), "ok")

    def assertFails(self, db, sql, words, code=None):
        with self.assertRaises(sqlite3.Error) as caught:
            db.execute(sql).fetchall()
        self.assertIn(words, str(caught.exception))
        if code is not None and hasattr(caught.exception, "sqlite_errorcode"):
            self.assertEqual(caught.exception.sqlite_errorcode & 0xff, code)

    def assertIndexed(self, db, name, where, rows):
        self.assertEqual(self.one(db, "SELECT count(*) FROM (SELECT * FROM t WHERE %s)" % where), rows)
        # (EXPLAIN alone does not look whether the schema has changed.)
        self.assertIn("INDEX " + name, self.way(db, "SELECT * FROM t WHERE " + where))

    # ------------------------------------------------- other connections

    def test_used_by_all_at_once(self):
        select = "SELECT id FROM t WHERE a = 'v1' AND b = 5"
        before = self.b.execute(select).fetchall()  # the statement stays prepared, in sqlite3's cache
        self.b.execute("INSERT INTO t VALUES(10001, 'w', 5)")
        self.a.execute("SELECT lsm_create_index('t', 'ia', 'b, a')")
        self.assertIndexed(self.a, "ia", "b = 5 AND a = 'v1'", len(before))
        self.assertEqual(self.b.execute(select).fetchall(), before)
        self.b.execute("INSERT INTO t VALUES(10002, 'w', 5)")
        self.assertIndexed(self.b, "ia", "b = 5 AND a = 'w'", 2)
        self.assertIndexed(self.a, "ia", "b = 5 AND a = 'w'", 2)
        self.b.execute("DELETE FROM t WHERE id = 10001")
        self.assertIndexed(self.a, "ia", "b = 5 AND a = 'w'", 1)
        self.assertIndexed(self.open(), "ia", "b = 5 AND a = 'w'", 1)
        self.assertWhole(self.b)
        self.assertWhole(self.a)

    def test_first_use_after_the_schema_was_read(self):
        self.b.execute("SELECT count(*) FROM o")  # the schema is known, t is not connected
        self.a.execute("SELECT lsm_add_column('t', 'c DEFAULT 7')")
        self.a.execute("SELECT lsm_create_index('t', 'ic', 'c')")
        self.b.execute("INSERT INTO t VALUES(10001, 'x', 1, 7)")
        self.assertIndexed(self.b, "ic", "c = 7", ROWS + 1)
        self.assertWhole(self.a)

    def test_functions_see_what_another_has_changed(self):
        self.b.execute("SELECT count(*) FROM t WHERE b = 1").fetchall()
        self.a.execute("SELECT lsm_create_index('t', 'ia', 'a')")
        self.a.execute("INSERT INTO t VALUES(10001, 'x', 1)")
        self.a.execute("SELECT lsm_flush('t')")
        names = [r[0] for r in self.b.execute("SELECT DISTINCT index_name FROM lsm_files('t') ORDER BY 1")]
        self.assertEqual(names, [None, "UNIQUE(a, id)", "ia", "ib"])
        self.a.execute("SELECT lsm_drop_index('t', 'ib')")
        self.a.execute("INSERT INTO t VALUES(10002, 'y', 1)")
        self.assertWhole(self.b)  # by the new definition, not by the one it has
        self.a.execute("SELECT lsm_drop_index('t', 'ia')")
        self.assertEqual(self.one(self.b, "SELECT lsm_compact('t')"), "ok")
        self.a.execute("SELECT lsm_create_index('t', 'ic', 'b DESC')")
        self.assertEqual(self.one(self.b, "SELECT count(*) FROM lsm_levels('t') WHERE index_name = 'ib'"), 0)
        self.assertWhole(self.b)

    def test_a_writer_before_it_is_waited_for(self):
        self.b.execute("BEGIN")
        self.b.execute("INSERT INTO t VALUES(10001, 'early', 77)")
        for sql in ("SELECT lsm_create_index('t', 'ia', 'a')", "SELECT lsm_drop_index('t', 'ib')",
                    "SELECT lsm_add_column('t', 'c')"):
            self.assertFails(self.a, sql, "locked", sqlite3.SQLITE_BUSY if hasattr(sqlite3, "SQLITE_BUSY") else 5)
        self.assertFalse(self.a.in_transaction)
        self.b.execute("INSERT INTO t VALUES(10002, 'early', 77)")
        self.b.execute("COMMIT")
        self.a.execute("SELECT lsm_create_index('t', 'ia', 'b, a')")
        self.assertIndexed(self.a, "ia", "b = 77 AND a = 'early'", 2)
        self.assertWhole(self.a)

    def test_a_writer_after_it_waits(self):
        self.a.execute("BEGIN")
        self.a.execute("SELECT lsm_create_index('t', 'ia', 'b, a')")
        self.a.execute("SELECT lsm_drop_index('t', 'ib')")
        self.assertFails(self.b, "INSERT INTO t VALUES(10001, 'x', 77)", "locked")
        self.assertIn("INDEX ib", self.way(self.b, "SELECT * FROM t WHERE b = 5"))
        if self.mode == "wal":
            self.assertEqual(self.one(self.b, "SELECT count(*) FROM t WHERE b = 5"), ROWS // 10)
        self.a.execute("COMMIT")
        self.b.execute("INSERT INTO t VALUES(10001, 'x', 77)")
        self.assertIndexed(self.b, "ia", "b = 77 AND a = 'x'", 1)
        self.assertNotIn("INDEX ib", self.way(self.b, "SELECT * FROM t WHERE b = 5"))
        self.assertWhole(self.b)

    def test_two_writers_through_prepared_statements(self):
        insert = "INSERT OR REPLACE INTO t(id, a, b) VALUES(?, ?, ?)"
        rng = random.Random(1)
        for n in range(60):
            for db in (self.a, self.b):
                db.execute(insert, (rng.randint(1, 500), "v%d" % rng.randint(1, 50), rng.randint(1, 5)))
            db = rng.choice((self.a, self.b))
            db.execute("SELECT lsm_create_index('t', 'i%d', '%s')" % (n, rng.choice(("a", "b, a", "b DESC", "a, b"))))
            if n >= 5:
                rng.choice((self.a, self.b)).execute("SELECT lsm_drop_index('t', 'i%d')" % (n - 5))
            if n % 20 == 7:
                db.execute("SELECT lsm_add_column('t', 'c%d DEFAULT %d')" % (n, n))
        self.assertWhole(self.a)
        self.assertWhole(self.b)
        self.assertEqual(self.a.execute("SELECT * FROM t ORDER BY id").fetchall(),
                         self.b.execute("SELECT * FROM t ORDER BY id").fetchall())

    # ------------------------------------------------------- transactions

    def test_taken_back(self):
        plans = [self.way(self.a, "SELECT * FROM t WHERE " + w) for w in ("a = 'v1'", "b = 1")]
        columns = self.a.execute("PRAGMA table_info(t)").fetchall()

        def unchanged(db):
            self.assertEqual([self.way(db, "SELECT * FROM t WHERE " + w) for w in ("a = 'v1'", "b = 1")], plans)
            self.assertEqual(db.execute("PRAGMA table_info(t)").fetchall(), columns)
            self.assertEqual(self.one(db, "SELECT count(*) FROM t WHERE b = 1"), ROWS // 10)
            self.assertWhole(db)

        for sql in ("SELECT lsm_create_index('t', 'ia', 'a')", "SELECT lsm_drop_index('t', 'ib')",
                    "SELECT lsm_add_column('t', 'c DEFAULT 5')"):
            self.a.execute("BEGIN")
            self.a.execute("INSERT INTO o VALUES(NULL, 1)")
            self.a.execute(sql)
            self.a.execute("UPDATE t SET b = 100 WHERE id < 100")
            self.a.execute("ROLLBACK")
            unchanged(self.a)
            self.a.execute("BEGIN")
            self.a.execute("INSERT INTO t(id, a, b) VALUES(20001, 'x', 55)")
            self.a.execute("SAVEPOINT s")
            self.a.execute(sql)
            self.a.execute("INSERT INTO t(id, a, b) VALUES(20002, 'x', 55)")
            self.a.execute("ROLLBACK TO s")
            self.a.execute("INSERT INTO t(id, a, b) VALUES(20003, 'x', 55)")
            self.a.execute("COMMIT")
            self.assertEqual([r[0] for r in self.a.execute("SELECT id FROM t WHERE b = 55 ORDER BY id")],
                             [20001, 20003])
            self.a.execute("DELETE FROM t WHERE b = 55")
            unchanged(self.a)
            unchanged(self.b)
        # Nothing is left of indexes that never were.
        self.a.execute("SELECT lsm_compact('t')")
        self.assertEqual({r[0] for r in self.a.execute("SELECT name FROM t_lsm WHERE name LIKE 'index:%'")},
                         {"index:0", "index:1"})

    def test_a_failed_statement_in_a_transaction(self):
        self.a.execute("BEGIN")
        self.a.execute("INSERT INTO t(id, a, b) VALUES(20001, 'x', 55)")
        self.assertFails(self.a, "SELECT lsm_create_index('t', 'ix', 'nosuch')", "no such column: nosuch")
        self.assertFails(self.a, "SELECT lsm_create_index('t', 'IB', 'a')", "index IB already exists")
        self.assertFails(self.a, "SELECT lsm_add_column('t', 'c NOT NULL')", "NOT NULL column with default value NULL")
        self.assertTrue(self.a.in_transaction)
        self.a.execute("SELECT lsm_create_index('t', 'ix', 'b, a')")
        self.a.execute("COMMIT")
        self.assertIndexed(self.b, "ix", "b = 55 AND a = 'x'", 1)
        self.assertWhole(self.b)

    def test_renamed_in_the_same_transaction(self):
        self.a.execute("BEGIN")
        self.a.execute("SELECT lsm_create_index('t', 'ia', 'b, a')")
        self.a.execute("ALTER TABLE t RENAME TO u")
        self.a.execute("INSERT INTO u(id, a, b) VALUES(20001, 'x', 55)")
        self.a.execute("COMMIT")
        self.assertEqual(self.b.execute("SELECT id FROM u WHERE b = 55 AND a = 'x'").fetchall(), [(20001,)])
        self.assertIn("ia", self.way(self.b, "SELECT id FROM u WHERE b = 55 AND a = 'x'"))
        self.assertWhole(self.b, "u")
        # A DROP that was taken back, of a table that is called otherwise now.
        self.a.execute("BEGIN")
        self.a.execute("SAVEPOINT s")
        self.a.execute("DROP TABLE u")
        self.a.execute("ROLLBACK TO s")
        self.a.execute("ALTER TABLE u RENAME TO w")
        self.a.execute("COMMIT")
        self.assertEqual(self.one(self.b, "SELECT count(*) FROM w"), ROWS + 1)
        self.assertWhole(self.a, "w")

    def test_in_the_transaction_that_makes_the_table(self):
        self.a.execute("BEGIN")
        self.a.execute("CREATE VIRTUAL TABLE n USING lsm(id INTEGER PRIMARY KEY, a, b)")
        fill(self.a, "n", 1, 500)
        self.a.execute("SELECT lsm_create_index('n', 'na', 'a')")
        self.a.execute("SELECT lsm_add_column('main.n', 'c NOT NULL DEFAULT x''00''')")
        self.a.execute("SELECT lsm_create_index('n', 'nc', 'c, b DESC')")
        fill(self.a, "n", 501, 1000)
        self.a.execute("COMMIT")
        self.assertEqual(self.one(self.b, "SELECT count(*) FROM n WHERE c = x'00' AND b = 3"), 100)
        self.assertWhole(self.b, "n")

    # --------------------------------------- statements of the connection

    def test_while_statements_read(self):
        along = self.a.execute("SELECT id FROM t WHERE b >= 0 ORDER BY b, id")
        first = [next(along)[0] for _ in range(5)]
        ordinary = self.a.execute("SELECT 1 FROM sqlite_master")
        next(ordinary)
        if self.mode == "wal":
            other = self.b.execute("SELECT id FROM t WHERE b >= 0 ORDER BY b, id")
            next(other)
        self.a.execute("SELECT lsm_drop_index('t', 'ib')")
        self.a.execute("SELECT lsm_create_index('t', 'ib', 'b DESC')")
        self.a.execute("SELECT lsm_add_column('t', 'c DEFAULT 1')")
        self.a.execute("INSERT INTO t VALUES(20001, 'x', 5, 2)")
        rest = [r[0] for r in along]
        self.assertEqual(len(first + rest), ROWS)
        self.assertEqual(first + rest, sorted(range(1, ROWS + 1), key=lambda i: (i % 10, i)))
        ordinary.fetchall()
        if self.mode == "wal":
            self.assertEqual(len(other.fetchall()), ROWS - 1)
        self.assertWhole(self.a)

    def test_not_while_one_writes(self):
        for sql in ("INSERT INTO o SELECT NULL, lsm_create_index('t', 'ia', 'a')",
                    "UPDATE t SET b = lsm_create_index('t', 'ia', 'a') WHERE id = 1",
                    "DELETE FROM t WHERE id = 1 AND lsm_drop_index('t', 'ib') = 'ok'"):
            self.assertFails(self.a, sql, "a statement that writes is at work")
        self.a.execute("CREATE TRIGGER tr AFTER INSERT ON o BEGIN SELECT lsm_create_index('t', 'ia', 'a'); END")
        self.assertFails(self.a, "INSERT INTO o VALUES(1, 1)", "unsafe use of lsm_create_index()")
        self.assertEqual(self.one(self.a, "SELECT count(*) FROM o"), 0)
        self.assertWhole(self.a)

    def test_several_in_one_statement(self):
        self.a.execute("CREATE TABLE want(n, c)")
        self.a.execute("INSERT INTO want VALUES('i1', 'a'), ('i2', 'a DESC, b'), ('i3', '\"b\" COLLATE NOCASE')")
        self.assertEqual(self.a.execute("SELECT n, lsm_create_index('t', n, c) FROM want").fetchall(),
                         [("i1", "ok"), ("i2", "ok"), ("i3", "ok")])
        self.assertWhole(self.a)
        self.assertWhole(self.b)

    def test_another_reader_of_an_older_state(self):
        if self.mode != "wal":
            return
        self.b.execute("BEGIN")
        self.assertEqual(self.one(self.b, "SELECT count(*) FROM t WHERE b = 3"), ROWS // 10)
        c = self.open()
        c.execute("BEGIN")
        c.execute("SELECT count(*) FROM o")  # the database's state, but not yet the store's
        self.a.execute("SELECT lsm_create_index('t', 'ia', 'b, a')")
        self.a.execute("SELECT lsm_drop_index('t', 'ib')")
        self.a.execute("SELECT lsm_add_column('t', 'c DEFAULT 5')")
        for i in range(3):
            self.a.execute("INSERT INTO t VALUES(?, 'late', 3, 6)", (20001 + i,))
        self.assertIn("INDEX ib", self.way(self.b, "SELECT * FROM t WHERE b = 3"))
        self.assertEqual(self.one(self.b, "SELECT count(*) FROM t WHERE b = 3"), ROWS // 10)
        self.assertEqual(self.one(self.b, "SELECT count(*) FROM t WHERE a = 'late'"), 0)
        self.assertFails(self.b, "INSERT INTO t(id, a, b) VALUES(30001, 'x', 3)", "")
        try:  # what it began to see is not kept: then it is told so, and never sees half of it
            self.assertEqual(self.one(c, "SELECT count(*) FROM t WHERE b = 3"), ROWS // 10)
        except sqlite3.OperationalError as e:
            self.assertRegex(str(e), "no longer kept|older")
        for db in (self.b, c):
            db.execute("ROLLBACK")
            db.execute("INSERT INTO t VALUES(NULL, 'x', 3, 6)")
            self.assertIndexed(db, "ia", "b = 3 AND a = 'late'", 3)
            self.assertWhole(db)

    def test_a_table_first_met_inside_a_savepoint(self):
        """Connecting it anew must not move the mark of the savepoint."""
        self.a.execute("CREATE VIRTUAL TABLE u USING lsm(id INTEGER PRIMARY KEY, a, b)")
        self.b.execute("BEGIN")
        self.b.execute("INSERT INTO t VALUES(20001, 'kept', 1)")
        self.b.execute("SAVEPOINT s")
        self.b.execute("INSERT INTO t VALUES(20002, 'gone', 1)")
        self.b.execute("INSERT INTO u VALUES(1, 'gone', 1)")
        self.b.execute("ROLLBACK TO s")
        self.b.execute("COMMIT")
        self.assertEqual(self.a.execute("SELECT id FROM t WHERE id > 20000").fetchall(), [(20001,)])
        self.assertEqual(self.one(self.a, "SELECT count(*) FROM u"), 0)

    def test_a_savepoint_before_it_and_writes_after(self):
        self.a.execute("BEGIN")
        self.a.execute("INSERT INTO t VALUES(20001, 'kept', 1)")
        self.a.execute("SAVEPOINT s")
        self.a.execute("INSERT INTO t VALUES(20002, 'gone', 1)")
        self.a.execute("SELECT lsm_add_column('t', 'c DEFAULT 3')")
        self.a.execute("INSERT INTO t VALUES(20003, 'gone', 1, 2)")
        self.a.execute("SAVEPOINT s2")
        self.a.execute("SELECT lsm_create_index('t', 'ic', 'c')")
        self.a.execute("INSERT INTO t VALUES(20004, 'gone', 1, 2)")
        self.a.execute("ROLLBACK TO s2")
        self.assertEqual(self.one(self.a, "SELECT count(*) FROM t WHERE c = 2"), 1)
        self.a.execute("INSERT INTO t VALUES(20005, 'gone', 1, 2)")
        self.a.execute("ROLLBACK TO s")
        self.a.execute("INSERT INTO t VALUES(20006, 'kept', 1)")
        self.a.execute("RELEASE s")
        self.a.execute("COMMIT")
        self.assertEqual(self.b.execute("SELECT * FROM t WHERE id > 20000").fetchall(),
                         [(20001, "kept", 1), (20006, "kept", 1)])
        self.assertWhole(self.b)

    # ------------------------------------------------------------ schemas

    def test_temp_attached_and_memory(self):
        self.a.execute("ATTACH ? AS other", (os.path.join(self.dir, "other.db"),))
        self.a.execute("ATTACH ':memory:' AS mem")
        for schema in ("temp", "other", "mem"):
            name = schema + ".x"
            self.a.execute("CREATE VIRTUAL TABLE %s USING lsm(id INTEGER PRIMARY KEY, a, b)" % name)
            fill(self.a, name, 1, 2000)
            self.a.execute("SELECT lsm_create_index('%s', 'i', 'a')" % name)
            self.a.execute("SELECT lsm_add_column('%s', 'c DEFAULT ''d''')" % name)
            self.a.execute("SELECT lsm_create_index('%s', 'ic', 'c COLLATE NOCASE, b')" % name)
            self.a.execute("BEGIN")
            self.a.execute("SELECT lsm_drop_index('%s', 'i')" % name)
            self.a.execute("ROLLBACK")
            self.a.execute("INSERT INTO %s VALUES(NULL, 'q', 1, 'D')" % name)
            self.assertEqual(self.one(self.a, "SELECT count(*) FROM %s WHERE c = 'd' COLLATE NOCASE AND b = 1" % name), 201)
            self.assertIn("i (", self.way(self.a, "SELECT * FROM %s WHERE a = 'q'" % name))
            self.assertWhole(self.a, name)

    # --------------------------------------------------------- interrupted

    def test_interrupted(self):
        fill(self.a, "t", 4000, 30000)
        rows = self.one(self.a, "SELECT count(*) FROM t")
        ended = threading.Event()

        def nag():
            ended.wait(0.02)  # in the middle, or not: both must be whole
            self.a.interrupt()

        thread = threading.Thread(target=nag)
        thread.start()
        try:
            self.a.execute("SELECT lsm_create_index('t', 'ia', 'b, a')").fetchall()
        except sqlite3.OperationalError as e:
            self.assertIn("interrupt", str(e))
        ended.set()
        thread.join()
        self.assertFalse(self.a.in_transaction)
        if self.one(self.b, "SELECT count(*) FROM t_lsm WHERE value LIKE 'INDEX \"ia\" %'") == 0:
            self.a.execute("SELECT lsm_create_index('t', 'ia', 'b, a')")
        self.assertEqual(self.one(self.b, "SELECT count(*) FROM t"), rows)
        self.assertWhole(self.b)

    # ----------------------------------------------------------- processes

    WRITER = """
import sqlite3, sys
sys.path.insert(0, sys.argv[3])
import test_alter
db = test_alter.connect(sys.argv[1], 60)
print('ready', flush=True)
base, n = int(sys.argv[2]), 0
for line in sys.stdin:
    db.execute('BEGIN IMMEDIATE')
    for i in range(20):
        n += 1
        db.execute("INSERT INTO t(id, a, b) VALUES(?, ?, ?)", (base + n, 'p%d' % (n % 50), n % 10))
        db.execute("DELETE FROM t WHERE id = ?", (base + n // 2,))
    db.execute('COMMIT')
    print(n, flush=True)
"""

    def spawn(self, program, *args):
        here = os.path.dirname(os.path.abspath(__file__))
        return subprocess.Popen([sys.executable, "-c", program, self.path, *args, here], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)

    def test_two_processes_write(self):
        child = self.spawn(self.WRITER, "1000000")
        self.assertEqual(child.stdout.readline(), "ready\n")
        self.a.execute("PRAGMA busy_timeout=60000")
        for n in range(25):
            child.stdin.write("go\n")  # it writes while we change the table, before or after
            child.stdin.flush()
            self.a.execute("SELECT lsm_create_index('t', 'i%d', 'a, b')" % n)
            if n > 2:
                self.a.execute("SELECT lsm_drop_index('t', 'i%d')" % (n - 3))
            if n % 10 == 5:
                self.a.execute("SELECT lsm_add_column('t', 'c%d TEXT DEFAULT ''x''')" % n)
            child.stdout.readline()
        child.stdin.close()
        self.assertEqual(child.wait(), 0)
        child.stdout.close()
        self.assertWhole(self.a)
        self.assertEqual(self.one(self.a, "SELECT count(*) FROM t WHERE b = 3 AND a >= ''"),
                         self.one(self.a, "SELECT count(*) FROM t WHERE +b = 3"))

    KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
import test_alter
db = test_alter.connect(sys.argv[1], 60)
print('ready', flush=True)
n = 0
while True:
    n += 1
    db.execute("SELECT lsm_create_index('t', 'k%d', 'a, b')" % n)
    db.execute("INSERT INTO o VALUES(NULL, 'k%d')" % n)
    db.execute("INSERT INTO t(id, a, b) VALUES(NULL, 'k', 3)")
    db.execute("SELECT lsm_drop_index('t', 'k%d')" % n)
    db.execute("DELETE FROM o")
    print(n, flush=True)
"""

    def test_killed(self):
        rng = random.Random(7)
        for n in range(8):
            child = self.spawn(self.KILLED)
            self.assertEqual(child.stdout.readline(), "ready\n")
            for _ in range(rng.randint(1, 4)):
                child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdin.close()
            child.stdout.close()
            self.assertWhole(self.b)
            names = [r[0] for r in self.b.execute("SELECT v FROM o")]
            for name in names:  # committed after its index was: that is there, or dropped by then
                self.assertIn(self.one(self.b, "SELECT count(*) FROM t_lsm WHERE value LIKE 'INDEX \"' || ? || '\"%'",
                                       name), (0, 1))
            for (text,) in self.b.execute("SELECT value FROM t_lsm WHERE name LIKE 'define:%'").fetchall():
                self.b.execute("SELECT lsm_drop_index('t', ?)", (text.split('"')[1],))
            self.b.execute("DELETE FROM o")
            self.assertWhole(self.b)


class RollbackJournal(Case):
    mode = "delete"

    def test_readers_make_it_wait(self):
        reader = self.b.execute("SELECT id FROM t ORDER BY id")
        next(reader)
        for sql in ("SELECT lsm_create_index('t', 'ia', 'a')", "SELECT lsm_drop_index('t', 'ib')",
                    "SELECT lsm_add_column('t', 'c')"):
            self.assertFails(self.a, sql, "locked")
            self.assertFalse(self.a.in_transaction)
        reader.close()
        self.assertEqual(len(self.a.execute("PRAGMA table_info(t)").fetchall()), 3)
        self.assertIn("INDEX ib", self.way(self.a, "SELECT * FROM t WHERE b = 3"))
        self.a.execute("SELECT lsm_create_index('t', 'ia', 'b, a')")
        self.assertIndexed(self.b, "ia", "b = 3 AND a = 'v1'", 0)
        self.assertWhole(self.b)


if __name__ == "__main__":
    unittest.main()
