#!/usr/bin/env python3
"""Rows of which nothing is asked are counted, not read: count(*), OFFSET, and queries that
want a column of a row now and then. They must agree with a walk over all rows, whatever is
in memory and in files: writes, tombstones, range tombstones, rows that expire, indexes,
open transactions. LSMVTAB names the extension; LSM_TEST_SEEDS: how many seeds.
"""
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import unittest

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
SEEDS = int(os.environ.get("LSM_TEST_SEEDS", "12"))
KEYS = 6000


class Counted(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-counted-")
        self.db = sqlite3.connect(os.path.join(self.dir, "test.db"), isolation_level=None)
        self.db.enable_load_extension(True)
        self.db.load_extension(EXTENSION)
        self.ticks = 0
        self.every = 1
        self.db.create_function("tick", 0, self.tick)

    def tearDown(self):
        self.db.close()
        shutil.rmtree(self.dir)

    def tick(self):
        """Not known beforehand, so SQLite asks for no column unless it says 1."""
        self.ticks += 1
        return int(self.ticks % self.every == 0)

    def column(self, sql, *args):
        return [row[0] for row in self.db.execute(sql, args)]

    def check(self, rnd, order="k"):
        """`order` is what the walk goes along: k, the key, or a, an index."""
        plain = self.column("SELECT k FROM t ORDER BY %s, k" % order)
        n = len(plain)
        self.assertEqual(self.column("SELECT count(*) FROM t"), [n])
        self.assertEqual(self.column("SELECT count(*) FROM (SELECT 1 FROM t ORDER BY %s)" % order), [n])
        self.assertEqual(len(self.column("SELECT 1 FROM t ORDER BY %s, k" % order)), n)
        for back in (False, True):
            desc = " DESC" if back else ""
            want = plain[::-1] if back else plain
            by = "%s%s, k%s" % (order, desc, desc)
            for at in (0, 1, n - 1, n, n + 1, rnd.randrange(n + 1), rnd.randrange(n + 1)):
                if at >= 0:
                    self.assertEqual(self.column("SELECT k FROM t ORDER BY %s LIMIT 3 OFFSET ?" % by, at),
                                     want[at:at + 3])
            self.ticks, self.every = 0, rnd.choice((1, 2, 7, 40, 500))
            self.assertEqual(self.column("SELECT CASE WHEN tick() THEN k END FROM t ORDER BY %s" % by),
                             [k if (i + 1) % self.every == 0 else None for i, k in enumerate(want)])
        if n > 0 and order == "k":
            low, high = sorted(rnd.choice(plain) for _ in "ab")
            inside = [k for k in plain if low <= k < high]
            self.assertEqual(self.column("SELECT count(*) FROM t WHERE k >= ? AND k < ?", low, high),
                             [len(inside)])
            self.assertEqual(self.column("SELECT k FROM t WHERE k >= ? AND k < ? LIMIT 2 OFFSET ?", low, high,
                                         len(inside) // 2), inside[len(inside) // 2:][:2])

    def change(self, rnd):
        what = rnd.randrange(10)
        at = rnd.randrange(KEYS)
        some = rnd.choice((1, 20, 2000))
        if what < 5:
            if what == 0:  # near each other
                keys = range(at, min(KEYS, at + some))
            else:
                keys = rnd.sample(range(KEYS), some)
            self.db.executemany("INSERT OR REPLACE INTO t VALUES(?, ?, ?)",
                                [(k, k % 17, "value of %d, and so on" % k) for k in keys])
        elif what < 7:
            self.db.executemany("DELETE FROM t WHERE k = ?", [(k,) for k in rnd.sample(range(KEYS), some)])
        elif what == 7:
            self.db.execute("SELECT lsm_delete_range('t', ?, ?)", (at, at + some))
        elif not self.db.in_transaction:
            self.db.execute("SELECT lsm_flush('t')" if what == 8 else "SELECT lsm_compact('t')")

    def rounds(self, seed, options):
        rnd = random.Random(seed)
        self.db.execute("DROP TABLE IF EXISTS t")
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, a, v%s, sync=off, block_size=%d)"
                        % (options, rnd.choice((512, 1024, 4096))))
        self.db.execute("INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c "
                        "WHERE i < ?) SELECT i, i % 17, 'value' FROM c", (KEYS - 1,))
        self.db.execute("SELECT lsm_flush('t')")
        for _ in range(rnd.randrange(8, 16)):
            if rnd.randrange(4) == 0:
                self.db.execute("COMMIT" if self.db.in_transaction else "BEGIN")
            self.change(rnd)
            self.check(rnd)
            if "INDEX" in options:
                self.check(rnd, "a")
        if self.db.in_transaction:
            self.db.execute("COMMIT")

    def test_random(self):
        for seed in range(SEEDS):
            options = ("", ", compaction=tiered", ", INDEX ia(a)", ", ttl=100000")[seed % 4]
            with self.subTest(seed=seed):
                self.rounds(seed, options)

    def test_expired_rows_are_not_counted(self):
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, until REAL, ttl_column=until)")
        self.db.execute("INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c "
                        "WHERE i < 3000) SELECT i, CASE WHEN i % 3 = 0 THEN 1 ELSE 9999999999 END FROM c")
        for _ in range(2):
            self.assertEqual(self.column("SELECT count(*) FROM t"), [2000])
            self.assertEqual(self.column("SELECT k FROM t LIMIT 1 OFFSET 1001"), [1502])
            self.db.execute("SELECT lsm_flush('t')")

    def test_what_is_counted_can_be_deleted(self):
        """A cursor that counts, and others that write below it."""
        self.db.execute("CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v)")
        self.db.execute("INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c "
                        "WHERE i < 3000) SELECT i, 'value' FROM c")
        self.db.execute("SELECT lsm_flush('t')")
        cursor = self.db.execute("SELECT 1 FROM t")
        self.assertEqual(cursor.fetchone(), (1,))
        self.db.execute("DELETE FROM t WHERE k % 2 = 0")
        self.db.execute("SELECT lsm_compact('t')")
        self.assertEqual(len(cursor.fetchall()), 2999)
        self.assertEqual(self.column("SELECT count(*) FROM t"), [1500])
        self.db.execute("DELETE FROM t")
        self.assertEqual(self.column("SELECT count(*) FROM t"), [0])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
