#!/usr/bin/env python3
"""Time to live as time goes by: rows that live a second, looked at until they are
gone. Nothing is asserted of how long that takes. LSMVTAB names the extension.
"""
import os
import shutil
import sqlite3
import sys
import tempfile
import time
import unittest

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
PATIENCE = 120  # seconds; then something is wrong
LONGER = (1, 1, 4, 16, 60)  # times to live: the next where one was over before there was a look


def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    return db


def one(db, sql, *args):
    return db.execute(sql, args).fetchone()[0]


class Ttl(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-ttl-")
        self.path = os.path.join(self.dir, "test.db")
        self.db = connect(self.path)

    def tearDown(self):
        self.db.close()
        shutil.rmtree(self.dir)

    def wait(self, done, what):
        end = time.monotonic() + PATIENCE
        while not done():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def gone(self, table="t", db=None):
        self.wait(lambda: one(db or self.db, "SELECT count(*) FROM %s" % table) == 0,
                  "rows of %s are still there" % table)

    def test_a_second(self):
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, v, UNIQUE(v), ttl=1)")
        self.db.execute("INSERT INTO t VALUES(1, 'a'), (2, 'b')")
        self.gone()
        self.assertEqual(self.db.execute("SELECT id FROM t WHERE v = 'a'").fetchall(), [])
        self.db.execute("INSERT INTO t VALUES(2, 'a')")  # in nobody's way
        self.assertEqual(one(self.db, "SELECT lsm_verify('t')"), "ok")
        self.gone(db=connect(self.path))
        self.assertEqual(one(self.db, "SELECT lsm_verify('t')"), "ok")

    def test_an_update_renews(self):
        """What is written again and again outlives what is written once."""
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, n, k, INDEX ix(k), ttl=1)")
        self.db.execute("INSERT INTO t VALUES(1, 0, 'x'), (2, 0, 'x')")
        seen = []

        def once_gone():
            alive = self.db.execute("UPDATE t SET n = n + 1 WHERE id = 1").rowcount
            seen.append(alive)
            return one(self.db, "SELECT count(*) FROM t WHERE id = 2") == 0

        self.wait(once_gone, "row 2 is still there")
        if all(seen):  # unless this machine slept for a second between two updates
            self.db.execute("UPDATE t SET n = -1 WHERE id = 1")
            rows = self.db.execute("SELECT id, n FROM t WHERE k = 'x'").fetchall()
            self.assertIn(rows, ([(1, -1)], []))
        self.gone()
        self.assertEqual(one(self.db, "SELECT count(*) FROM t WHERE k = 'x'"), 0)

    def test_a_statement_sees_one_time(self):
        for start in (0, 1000):  # in memory, then in files
            for ttl in LONGER:
                self.db.execute("DROP TABLE IF EXISTS t")
                self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, ttl=%d)" % ttl)
                self.db.execute("INSERT INTO t WITH RECURSIVE c(i) AS (SELECT ? UNION ALL "
                                "SELECT i + 1 FROM c WHERE i < ? + 999) SELECT i FROM c", (start, start))
                if start:
                    self.db.execute("SELECT lsm_flush('t')")
                rows = self.db.execute("SELECT a.id, (SELECT count(*) FROM t AS b WHERE b.id >= a.id) "
                                       "FROM t AS a WHERE id >= ? ORDER BY id", (start,))
                first = rows.fetchone()
                if first is not None:
                    break
            self.assertIsNotNone(first)
            self.gone(db=connect(self.path))
            rest = [first] + rows.fetchall()
            self.assertEqual([n for _, n in rest], list(range(len(rest), 0, -1)))

    def test_written_beside_an_open_statement(self):
        """What is written goes by the present, whatever the connection still reads."""
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, v UNIQUE, ttl=2)")
        other = connect(self.path)
        first = None
        while first != (1,):  # unless this machine slept until 1, 2 and 3 had expired
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            self.db.execute("INSERT OR REPLACE INTO t VALUES(1, 'a'), (2, 'b'), (3, 'c')")
            self.db.execute("BEGIN")
            self.db.execute("INSERT INTO t VALUES(4, 'd')")
            open_rows = self.db.execute("SELECT id FROM t ORDER BY id")
            first = open_rows.fetchone()
        self.gone(db=other)
        self.db.execute("INSERT INTO t VALUES(1, 'b')")  # keys and values are free
        self.assertEqual(len(open_rows.fetchall()), 3)
        self.db.execute("COMMIT")
        other.close()

    def test_in_a_transaction(self):
        """Rows go while a transaction reads, too; other tables stay as they are."""
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, ttl=1)")
        self.db.execute("CREATE VIRTUAL TABLE u USING lsm(id INTEGER PRIMARY KEY)")
        self.db.execute("INSERT INTO u VALUES(1)")
        self.db.execute("INSERT INTO t VALUES(1)")
        self.db.execute("BEGIN")
        self.db.execute("SELECT * FROM u").fetchall()
        self.gone()
        self.db.execute("INSERT INTO t VALUES(1)")
        self.gone()
        self.db.execute("INSERT INTO t VALUES(1)")
        self.db.execute("COMMIT")
        self.assertEqual(one(self.db, "SELECT count(*) FROM u"), 1)
        self.gone()

    def test_files_go(self):
        """From disk, without a write or a call, while the database is open."""
        for tiered in ("leveled", "tiered"):
            for ttl in LONGER:
                self.db.execute("DROP TABLE IF EXISTS %s" % tiered)
                self.db.execute("CREATE VIRTUAL TABLE %s USING lsm(id INTEGER PRIMARY KEY, v, INDEX ix(v), ttl=%d, "
                                "compression=none, compaction=%s)" % (tiered, ttl, tiered))
                self.db.execute("INSERT INTO %s WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL "
                                "SELECT i + 1 FROM c WHERE i < 1000) SELECT i, i %% 7 FROM c" % tiered)
                self.db.execute("SELECT lsm_flush(?)", (tiered,))
                files = one(self.db, "SELECT count(*) FROM lsm_files(?)", tiered)
                if files > 0:
                    break
            self.assertGreater(files, 0)
            self.wait(lambda: one(self.db, "SELECT count(*) FROM lsm_files(?)", tiered) == 0,
                      "its files are still there")
        self.assertGreater(one(self.db, "SELECT value FROM lsm_stats('tiered') WHERE name = 'expired_entries'"), 0)

    def test_backup(self):
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(id INTEGER PRIMARY KEY, until, UNIQUE(until), "
                        "ttl_column=until)")
        self.db.execute("INSERT INTO t VALUES(1, 9999999999), (2, ?), (3, 1)", (time.time() + 1,))
        copy = os.path.join(self.dir, "copy.db")
        self.db.execute("SELECT lsm_backup(?)", (copy,))
        other = connect(copy)
        self.wait(lambda: one(other, "SELECT count(*) FROM t") == 1, "row 2 is still there")
        self.assertEqual(one(other, "SELECT id FROM t"), 1)
        self.assertEqual(one(other, "SELECT lsm_verify('t')"), "ok")
        other.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
