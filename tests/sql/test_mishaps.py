#!/usr/bin/env python3
"""What people do to files by accident: every error says what is wrong and where, nothing is made
worse, and what is whole is read. LSMVTAB names the extension.
"""
import os
import shutil
import sqlite3
import tempfile
import unittest

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")


def connect(path, **kwargs):
    db = sqlite3.connect(path, isolation_level=None, **kwargs)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    return db


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-mishaps-")
        self.path = os.path.join(self.dir, "test.db")
        self.store = self.path + "-lsm"
        db = connect(self.path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v)")
        db.execute("CREATE TABLE o(k)")
        for k in (1, 2, 3):  # transactions of both, which the database decides about
            db.execute("BEGIN")
            db.execute("INSERT INTO t VALUES(?, 'v')", (k,))
            db.execute("INSERT INTO o VALUES(?)", (k,))
            db.execute("COMMIT")
        db.close()

    def tearDown(self):
        shutil.rmtree(self.dir)

    def fails(self, db, sql, *words):
        with self.assertRaises(sqlite3.Error) as caught:
            db.execute(sql).fetchall()
        for word in words:
            self.assertIn(word, str(caught.exception))
        return caught.exception

    def keys(self, db):
        return [k for k, in db.execute("SELECT k FROM t ORDER BY k")]


class Files(Case):
    def test_the_lock_file_is_missing(self):
        os.remove(os.path.join(self.store, "LOCK"))
        db = connect(self.path)
        self.fails(db, "SELECT * FROM t", self.store + "/LOCK: missing")
        self.assertFalse(os.path.exists(os.path.join(self.store, "LOCK")))
        open(os.path.join(self.store, "LOCK"), "w").close()
        self.assertEqual(self.keys(db), [1, 2, 3])
        db.close()

    def test_a_directory_with_other_files(self):
        """path= names somebody's directory: nothing is put into it."""
        other = os.path.join(self.dir, "photos")
        os.mkdir(other)
        open(os.path.join(other, "tree.jpg"), "w").close()
        db = connect(self.path)
        self.fails(db, "CREATE VIRTUAL TABLE u USING lsm(path='photos')", other, "other files (tree.jpg)")
        self.assertEqual(os.listdir(other), ["tree.jpg"])
        os.rename(os.path.join(other, "tree.jpg"), os.path.join(other, ".hidden"))
        db.execute("CREATE VIRTUAL TABLE u USING lsm(path='photos')")
        open(os.path.join(other, "tree.jpg"), "w").close()  # later: as one likes
        db.execute("CREATE VIRTUAL TABLE w USING lsm(path='photos')")
        db.execute("INSERT INTO w VALUES(1, 2)")
        db.close()
        db = connect(self.path)
        self.assertEqual(db.execute("SELECT * FROM w").fetchall(), [(1, 2)])
        self.assertTrue(os.path.exists(os.path.join(other, "tree.jpg")))
        db.close()

    def test_the_directory_goes_while_it_is_open(self):
        db = connect(self.path)
        self.assertEqual(self.keys(db), [1, 2, 3])
        shutil.rmtree(self.store)
        e = self.fails(db, "SELECT lsm_compact('t')", self.store)
        if hasattr(e, "sqlite_errorcode"):
            self.assertEqual(e.sqlite_errorcode & 0xFF, sqlite3.SQLITE_CANTOPEN)
        self.assertEqual(self.keys(db), [1, 2, 3])  # in memory still: can be saved
        db.execute("CREATE TABLE saved AS SELECT * FROM t")
        db.close()
        db = connect(self.path)
        self.assertEqual(db.execute("SELECT count(*) FROM saved").fetchone(), (3,))
        self.fails(db, "SELECT * FROM t", "no store there")
        db.close()


class ReadOnlyMedia(Case):
    """A database in WAL mode where SQLite cannot write: it reads it with immutable=1 alone."""

    def setUp(self):
        super().setUp()
        # What the user may not write, root may: so stand in the way of the file that is needed.
        os.symlink(os.path.join(self.dir, "nowhere", "x"), self.path + "-shm")

    def immutable(self):
        return connect("file:%s?immutable=1" % self.path, uri=True)

    def test_immutable(self):
        self.fails(connect(self.path), "SELECT * FROM o")
        db = self.immutable()
        self.assertEqual(db.execute("SELECT count(*) FROM o").fetchone(), (3,))
        self.assertEqual(self.keys(db), [1, 2, 3])
        self.assertEqual(db.execute("SELECT lsm_verify('t')").fetchone(), ("ok",))
        db.close()

    def test_with_odd_names(self):
        odd = os.path.join(self.dir, "50% of #1?.db")
        for end in ("", "-lsm", "-shm"):
            os.rename(self.path + end, odd + end)
        db = connect("file:%s?immutable=1" % odd.replace("%", "%25").replace("#", "%23").replace("?", "%3f"), uri=True)
        self.assertEqual(self.keys(db), [1, 2, 3])
        db.close()

    def test_not_without_the_wal(self):
        """What is in a WAL that cannot be read decides too: nobody may guess."""
        with open(self.path + "-wal", "wb") as f:
            f.write(b"something")
        db = self.immutable()
        self.fails(db, "SELECT * FROM t", "cannot ask whether a transaction was committed")
        db.close()


if __name__ == "__main__":
    unittest.main()
