#!/usr/bin/env python3
"""lsm_delete_range() on tables with indexes: ranges so large that the entries stay
behind, against an ordinary table and DELETE. LSMVTAB names the extension, SEEDS
the number of random courses.
"""
import os
import random
import shutil
import sqlite3
import tempfile
import unittest

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
SEEDS = int(os.environ.get("SEEDS", "4"))
KEYS = 6000
COLUMNS = "k INTEGER PRIMARY KEY, u TEXT UNIQUE, g INTEGER, w TEXT COLLATE NOCASE"
QUERIES = [
    "SELECT count(*), sum(k) FROM t",
    "SELECT k, u FROM t WHERE u >= 'u2' AND u < 'u4' ORDER BY u",
    "SELECT u FROM t ORDER BY u DESC LIMIT 50",
    "SELECT k FROM t WHERE u IN ('u10', 'u2000', 'u3000', 'u4000', 'u5999') ORDER BY u",
    "SELECT g, count(*) FROM t WHERE g >= 0 GROUP BY g ORDER BY g",
    "SELECT g FROM t WHERE g IS NULL",
    "SELECT g, k FROM t WHERE g = 7 ORDER BY k",
    "SELECT k, w FROM t WHERE w = 'W3' ORDER BY k",
    "SELECT w, g FROM t WHERE w > 'w5' ORDER BY w, g, k",
]


def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    return db


class DeleteRange(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-delete-range-")
        self.path = os.path.join(self.dir, "test.db")
        self.lsm = connect(self.path)
        self.plain = sqlite3.connect(":memory:", isolation_level=None)
        self.lsm.execute("CREATE VIRTUAL TABLE t USING lsm(%s, INDEX by_g(g DESC), INDEX by_w(w, g), "
                         "memtable_size='64KB')" % COLUMNS)
        self.plain.execute("CREATE TABLE t(%s)" % COLUMNS)
        self.plain.execute("CREATE INDEX by_g ON t(g DESC)")
        self.plain.execute("CREATE INDEX by_w ON t(w, g)")

    def tearDown(self):
        self.lsm.close()
        shutil.rmtree(self.dir)

    def both(self, sql, args=()):
        """Runs it on both; the same rows or the same error."""
        out = []
        for db in (self.lsm, self.plain):
            try:
                out.append(db.execute(sql, args).fetchall())
            except sqlite3.IntegrityError as e:
                out.append(str(e))
        self.assertEqual(out[0], out[1], (sql, args))
        return out[0]

    def many(self, sql, rows):
        """The same in one transaction; on error none of it."""
        self.both("BEGIN")
        for row in rows:
            self.both(sql, row)
        self.both("COMMIT")

    def delete(self, low, high):
        self.assertEqual(self.lsm.execute("SELECT lsm_delete_range('t', ?, ?)", (low, high)).fetchone(),
                         ("ok",))
        self.plain.execute("DELETE FROM t WHERE k >= ? AND k < ?",
                           (low if low is not None else -1, high if high is not None else KEYS + 1))

    def check(self, db=None):
        for sql in QUERIES:
            self.assertEqual((db or self.lsm).execute(sql).fetchall(), self.plain.execute(sql).fetchall(),
                             sql)

    def verify(self):
        self.assertEqual(self.lsm.execute("SELECT lsm_verify('t')").fetchone(), ("ok",))

    def entries(self):
        """Of the files of the table and its indexes."""
        self.lsm.execute("SELECT lsm_flush('t')").fetchone()
        return self.lsm.execute("SELECT value FROM lsm_stats('t') WHERE name = 'sst_bytes'").fetchone()[0]

    def row(self, r):
        k = r.randrange(KEYS)
        return (k, "u%d" % r.randrange(KEYS), r.choice([None, r.randrange(20)]), "%s%d" % (
            r.choice("wW"), r.randrange(10)))

    def fill(self):
        self.many("INSERT INTO t VALUES(?, ?, ?, ?)",
                  [(k, "u%d" % k, k % 20, "%s%d" % ("wW"[k & 1], k % 10)) for k in range(KEYS)])

    def test_entries_without_rows(self):
        self.fill()
        before = self.entries()
        self.delete(100, 5000)
        self.check()
        self.verify()
        self.both("INSERT INTO t VALUES(200, 'u3000', 7, 'w3')")  # a key and a text of two gone
        self.assertIn("UNIQUE", self.both("INSERT INTO t VALUES(3000, 'u50', 1, 'w1')"))
        self.both("INSERT OR REPLACE INTO t VALUES(3000, 'u50', 1, 'w1')")
        self.both("UPDATE t SET u = 'u400' WHERE k = 60")
        self.both("INSERT INTO t VALUES(400, 'u60', NULL, 'w1')")
        self.check()
        self.verify()
        self.assertEqual(self.lsm.execute("SELECT lsm_compact('t')").fetchone(), ("ok",))
        self.check()
        self.verify()
        self.assertLess(self.entries(), before / 2)

    def test_rollback(self):
        self.fill()
        for step in ("SAVEPOINT s", "BEGIN"):
            self.both(step)
            self.delete(1000, 4000)
            self.check()
            self.both("INSERT INTO t VALUES(2000, 'u2500', 7, 'w3')")
            self.check()
            self.both("ROLLBACK TO s" if step == "SAVEPOINT s" else "ROLLBACK")
            if step == "SAVEPOINT s":
                self.both("RELEASE s")
            self.check()
            self.assertIn("UNIQUE", self.both("INSERT INTO t VALUES(9999, 'u2500', 7, 'w3')"))
        self.verify()

    def test_other_connections(self):
        self.lsm.execute("PRAGMA journal_mode=WAL")
        self.fill()
        other = connect(self.path)
        self.check(other)
        other.execute("BEGIN")
        counted = other.execute("SELECT count(*) FROM t WHERE g >= 0").fetchone()
        self.delete(None, 5500)
        self.check()
        self.assertEqual(other.execute("SELECT count(*) FROM t WHERE g >= 0").fetchone(), counted)
        other.execute("COMMIT")
        self.check(other)
        other.close()
        self.lsm.close()
        self.lsm = connect(self.path)
        self.check()
        self.verify()

    def course(self, seed):
        r = random.Random(seed)
        self.both("DELETE FROM t")
        self.fill()
        for step in range(40):
            what = r.randrange(10)
            if what < 3:
                low = r.choice([None, r.randrange(KEYS)])
                self.delete(low, r.choice([None, (low or 0) + r.randrange(1, KEYS)]) if low is not None
                            else r.randrange(1, KEYS))
            elif what < 5:
                verb = r.choice(["INSERT", "INSERT OR IGNORE", "INSERT OR REPLACE"])
                self.many(verb + " INTO t VALUES(?, ?, ?, ?)", [self.row(r) for _ in range(500)])
            elif what == 5:
                verb = r.choice(["UPDATE", "UPDATE OR IGNORE", "UPDATE OR REPLACE"])
                self.many(verb + " t SET u = ?, g = ?, k = ? WHERE k = ?",
                          [(self.row(r)[1], r.randrange(20), self.row(r)[0], self.row(r)[0])
                           for _ in range(200)])
            elif what == 6:
                self.both("DELETE FROM t WHERE g = ?", (r.randrange(20),))
            elif what == 7:
                self.lsm.execute("SELECT lsm_flush('t')").fetchone()
            elif what == 8 and r.random() < 0.3:
                self.lsm.execute("SELECT lsm_compact('t')").fetchone()
            else:
                self.check()
        self.check()
        self.verify()

    def test_random(self):
        for seed in range(SEEDS):
            with self.subTest(seed=seed):
                self.course(seed)


if __name__ == "__main__":
    unittest.main()
