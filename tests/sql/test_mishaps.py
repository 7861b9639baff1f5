#!/usr/bin/env python3
"""What people do to files by accident: every error says what is wrong and where, nothing is made
worse, and what is whole is read. LSMVTAB names the extension.
"""
import os
import shutil
import sqlite3
import subprocess
import sys
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


def on_a_full_disk(path, pages):
    """All but so many pages are taken: asks for everything, makes room, asks again. Run in a mount
    namespace of its own."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", path], check=True)
    db = connect(os.path.join(path, "test.db"))
    db.execute("CREATE TABLE o(x)")
    filler = os.path.join(path, "filler")
    with open(filler, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            f.truncate(max(0, f.tell() - 4096 * int(pages)))

    def run(sql):
        """Done, or refused for lack of space, or, of what could not be made, for that."""
        try:
            return db.execute(sql).fetchall()
        except sqlite3.Error as e:
            if not any(s in str(e) for s in ("disk is full", "No space left", "no such table", "no such lsm table")):
                raise
            return None

    create = "CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v, memtable_size='64KB')"
    run(create)
    kept = []
    for k in range(300):
        if run("INSERT INTO t VALUES(%d, hex(randomblob(200)))" % k) is not None:
            kept.append((k,))
    for sql in ("SELECT lsm_flush('t')", "SELECT lsm_compact('t')", "SELECT lsm_verify('t')",
                "CREATE VIRTUAL TABLE IF NOT EXISTS u USING lsm"):
        run(sql)
    if kept and db.execute("SELECT k FROM t ORDER BY k").fetchall() != kept:
        sys.exit("rows are missing on the full disk")
    os.remove(filler)
    if not kept:
        db.execute("DROP TABLE IF EXISTS t")
        db.execute(create)
    db.execute("INSERT INTO t VALUES(1000, 1)")
    db.execute("SELECT lsm_compact('t')")
    db.close()
    db = connect(os.path.join(path, "test.db"))
    if db.execute("SELECT k FROM t ORDER BY k").fetchall() != kept + [(1000,)]:
        sys.exit("rows are missing")
    if db.execute("SELECT lsm_verify('t')").fetchone() != ("ok",):
        sys.exit("damage")
    db.close()


class FullDisk(unittest.TestCase):
    UNSHARE = ["unshare", "--mount", "--map-root-user"]

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-mishaps-")
        try:
            r = subprocess.run(self.UNSHARE + ["mount", "-t", "tmpfs", "none", self.dir], capture_output=True)
            can = r.returncode == 0
        except OSError:
            can = False
        if not can:
            os.rmdir(self.dir)
            self.skipTest("no file system can be mounted here")

    def tearDown(self):
        shutil.rmtree(self.dir)

    def test_from_the_first_byte(self):
        for pages in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 20, 40, 73):
            r = subprocess.run(self.UNSHARE + [sys.executable, __file__, "--full-disk", self.dir, str(pages)],
                               capture_output=True, text=True)
            self.assertEqual((r.returncode, r.stderr), (0, ""), "%d pages" % pages)


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
    if sys.argv[1:2] == ["--full-disk"]:
        on_a_full_disk(*sys.argv[2:])
    else:
        unittest.main()
