#!/usr/bin/env python3
"""Database files and stores made to do harm: nothing may be read or written outside what
was opened, nothing may crash or hang, and every refusal is an error that says why.

LSMVTAB names the extension.
"""
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import unittest

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
ADMIN = ["lsm_flush('t')", "lsm_compact('t')", "lsm_verify('t')", "lsm_delete_range('t', NULL, NULL)"]
# Older versions do not check what triggers write to.
TRIGGERS_CHECKED = sqlite3.sqlite_version_info >= (3, 40)
READ_ALL = ["SELECT * FROM t", "SELECT v FROM t WHERE v > ''"]
# All that one can do with a table t(k, v).
USES = ["SELECT * FROM t", "SELECT count(*) FROM t", "SELECT * FROM t WHERE k = 1", "SELECT * FROM t ORDER BY k DESC",
        "SELECT * FROM t WHERE v = 'a'", "SELECT v FROM t WHERE v > ''", "INSERT INTO t(k, v) VALUES(77, 'new')",
        "UPDATE t SET v = 'changed'", "UPDATE t SET k = k + 1000", "DELETE FROM t WHERE k > 1", "DELETE FROM t",
        "SELECT * FROM lsm_stats('t')", "SELECT * FROM lsm_levels('t')", "SELECT * FROM lsm_files('t')",
        "PRAGMA table_info(t)", "PRAGMA integrity_check"] + ["SELECT " + f for f in ADMIN]


def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    db.execute("PRAGMA synchronous = OFF")
    return db


def image(directory):
    """Names, links and contents of all that is in a directory."""
    found = {}
    for root, dirs, files in os.walk(directory):
        for name in dirs + files:
            path = os.path.join(root, name)
            key = os.path.relpath(path, directory)
            if os.path.islink(path):
                found[key] = "-> " + os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as f:
                    found[key] = hashlib.sha256(f.read()).hexdigest()
            else:
                found[key] = "directory"
    return found


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="lsm-hostile-")
        self.victim_dir = os.path.join(self.dir, "victim")
        self.hostile_dir = os.path.join(self.dir, "hostile")
        os.mkdir(self.victim_dir)
        os.mkdir(self.hostile_dir)
        self.victim = os.path.join(self.victim_dir, "victim.db")
        self.hostile = os.path.join(self.hostile_dir, "hostile.db")
        db = connect(self.victim)
        db.execute("CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v)")
        db.execute("INSERT INTO t VALUES(1, 'secret'), (2, 'secret too')")
        db.execute("SELECT lsm_flush('t')")
        db.close()
        self.before = image(self.victim_dir)
        signal.alarm(60)  # nothing may hang

    def tearDown(self):
        signal.alarm(0)
        shutil.rmtree(self.dir)

    def make(self, definition="k INTEGER PRIMARY KEY, v, INDEX by_v (v)", rows=20):
        """A database with a table t and a store of its own, and an ordinary table o."""
        db = connect(self.hostile)
        db.execute("CREATE VIRTUAL TABLE t USING lsm(%s)" % definition)
        db.execute("CREATE TABLE o(x)")
        db.executemany("INSERT INTO t(k, v) VALUES(?, ?)", [(i, "v%d" % i) for i in range(rows)])
        db.execute("SELECT lsm_flush('t')")
        db.execute("INSERT INTO t(k, v) VALUES(1000, 'in the log')")
        db.close()

    def rewrite(self, definition):
        """Changes the definition of t behind the module's back."""
        db = sqlite3.connect(self.hostile)
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 't'",
                   ("CREATE VIRTUAL TABLE t USING lsm(%s)" % definition,))
        db.commit()
        db.close()

    def use_all(self, statements=USES):
        """Runs each on a connection of its own; returns the errors."""
        errors = []
        for sql in statements:
            db = connect(self.hostile)
            try:
                db.execute(sql).fetchall()
            except sqlite3.Error as e:
                errors.append(str(e))
            db.execute("INSERT INTO o VALUES(1)")  # ordinary tables do not suffer
            db.close()
        return errors

    def check_victim(self):
        self.assertEqual(image(self.victim_dir), self.before)


class Paths(Case):
    """Definitions whose path= leads to another store, or to what is none."""

    def lead_to(self, path):
        self.make()
        self.rewrite("k INTEGER PRIMARY KEY, v, path='%s'" % path)
        errors = self.use_all([u for u in USES if u.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))])
        self.assertEqual(len(errors), len([u for u in USES if not u.startswith("PRAGMA")]))
        self.check_victim()
        return errors

    def test_another_store(self):
        for e in self.lead_to(self.victim + "-lsm"):
            self.assertIn("another store", e)

    def test_another_store_by_dots(self):
        for e in self.lead_to("../victim/../victim/victim.db-lsm"):
            self.assertIn("another store", e)

    def test_another_store_by_a_link(self):
        os.symlink(self.victim + "-lsm", os.path.join(self.hostile_dir, "link"))
        for e in self.lead_to("link"):
            self.assertIn("another store", e)

    def test_the_default_directory_is_a_link(self):
        self.make()
        shutil.rmtree(self.hostile + "-lsm")
        os.symlink(self.victim + "-lsm", self.hostile + "-lsm")
        for e in self.use_all(["SELECT * FROM t", "INSERT INTO t VALUES(1, 2)", "SELECT lsm_compact('t')"]):
            self.assertIn("another store", e)
        self.check_victim()

    def test_no_store(self):
        for name in ("LOCK", "000001.sst", "000002.wal", "000003.tmp", "letter.txt"):
            with open(os.path.join(self.victim_dir, name), "w") as f:
                f.write("mine")
        self.before = image(self.victim_dir)
        for e in self.lead_to(self.victim_dir):
            self.assertIn("no store there", e)

    def test_nowhere(self):
        self.lead_to(os.path.join(self.victim_dir, "new"))
        self.lead_again("/dev/null")
        self.lead_again("/proc/self")

    def lead_again(self, path):
        self.rewrite("k INTEGER PRIMARY KEY, v, path='%s'" % path)
        self.assertEqual(len(self.use_all(["SELECT * FROM t", "INSERT INTO t VALUES(1, 2)"])), 2)
        self.check_victim()

    def test_drop_of_a_table_that_leads_elsewhere(self):
        self.make()
        self.rewrite("k INTEGER PRIMARY KEY, v, path='%s'" % (self.victim + "-lsm"))
        db = connect(self.hostile)
        db.execute("DROP TABLE t")
        self.assertEqual(db.execute("SELECT name FROM sqlite_master").fetchall(), [("o",)])
        db.close()
        self.check_victim()

    def test_while_the_other_is_open(self):
        other = connect(self.victim)
        self.assertEqual(other.execute("SELECT count(*) FROM t").fetchone(), (2,))
        self.make()
        self.rewrite("k INTEGER PRIMARY KEY, v, path='%s'" % (self.victim + "-lsm"))
        self.assertEqual(len(self.use_all(["SELECT * FROM t", "DELETE FROM t", "SELECT lsm_flush('t')"])), 3)
        self.assertEqual(other.execute("SELECT count(*) FROM t").fetchone(), (2,))
        other.close()


class Files(Case):
    """The store's own directory, its files replaced."""

    def each_file(self, replace, statements):
        """replace(path) instead of each file in turn; gives the errors."""
        self.make()
        store = self.hostile + "-lsm"
        keep = self.hostile + "-kept"
        shutil.copytree(store, keep)
        errors = {}
        for name in sorted(os.listdir(keep)):
            shutil.rmtree(store)
            shutil.copytree(keep, store)
            path = os.path.join(store, name)
            os.remove(path)
            replace(path)
            errors[name] = self.use_all(statements)
            self.check_victim()
        return errors

    def test_links_to_files_of_others(self):
        letter = os.path.join(self.victim_dir, "letter.txt")
        with open(letter, "w") as f:
            f.write("mine")
        self.before = image(self.victim_dir)
        errors = self.each_file(lambda path: os.symlink(letter, path),
                                READ_ALL + ["INSERT INTO t VALUES(5000, 1)", "SELECT lsm_flush('t')"])
        for name, found in errors.items():
            self.assertGreaterEqual(len(found), 1, name)
            for e in found:
                self.assertIn("symbolic link", e)
                self.assertNotIn("mine", e)

    def test_links_to_the_same_file_of_another_store(self):
        def replace(path):
            same = os.path.join(self.victim + "-lsm", os.path.basename(path))
            os.symlink(same if os.path.exists(same) else self.victim, path)
        for name, found in self.each_file(replace, READ_ALL + ["INSERT INTO t VALUES(5000, 1)"]).items():
            self.assertGreaterEqual(len(found), 1, name)

    def test_links_to_nothing(self):
        missing = os.path.join(self.victim_dir, "made.txt")
        self.each_file(lambda path: os.symlink(missing, path), ["SELECT * FROM t", "INSERT INTO t VALUES(5000, 1)"])

    def test_pipes(self):
        for name, found in self.each_file(os.mkfifo, READ_ALL).items():
            self.assertGreaterEqual(len(found), 1, name)

    def test_directories(self):
        for name, found in self.each_file(os.mkdir, READ_ALL).items():
            self.assertGreaterEqual(len(found), 1, name)


class Shadows(Case):
    """The shadow table's rows and the table itself altered."""

    VALUES = [None, "text", "1", 1.5, -1, 0, 1, 2, 3, 2**31, 2**32 - 1, 2**32, 2**63 - 1, -2**63, b"", b"\0" * 15,
              b"\0" * 16, b"\xff" * 17, "x" * 100000]

    def alter(self, *statements):
        db = sqlite3.connect(self.hostile)
        for sql, args in statements:
            db.execute(sql, args)
        db.commit()
        db.close()

    def test_each_value_of_each_row(self):
        self.make()
        db = sqlite3.connect(self.hostile)
        rows = db.execute("SELECT name, value FROM t_lsm").fetchall()
        db.close()
        self.assertGreaterEqual({"format", "keyspace", "store", "host", "txid", "index:0"}, set())
        keep = self.hostile_dir + "-kept"
        shutil.copytree(self.hostile_dir, keep)
        rng = random.Random(1)
        for name, value in rows:
            for new in rng.sample(self.VALUES, 9):
                if str(new) == str(value) or (name == "txid" and new not in (None, -1, 2**63 - 1)):
                    continue
                shutil.rmtree(self.hostile_dir)
                shutil.copytree(keep, self.hostile_dir)
                self.alter(("UPDATE t_lsm SET value = ? WHERE name = ?", (new, name)))
                uses = rng.sample(USES, 5)
                errors = self.use_all(uses)
                if name in ("store", "keyspace", "format") and (name, str(new)) != ("format", "2"):
                    self.assertNotEqual(errors, [], (name, new, uses))
                self.check_victim()

    def test_rows_lost_doubled_and_strange(self):
        self.make()
        for sql in ("DELETE FROM t_lsm WHERE name = 'store'", "DELETE FROM t_lsm WHERE name = 'keyspace'",
                    "DELETE FROM t_lsm WHERE name = 'index:0'", "DELETE FROM t_lsm"):
            keep = self.hostile_dir + "-kept"
            shutil.copytree(self.hostile_dir, keep)
            self.alter((sql, ()))
            self.assertEqual(len(self.use_all(["SELECT * FROM t", "INSERT INTO t VALUES(1, 2)"])), 2, sql)
            shutil.rmtree(self.hostile_dir)
            os.rename(keep, self.hostile_dir)
        self.alter(("INSERT INTO t_lsm VALUES('index:-1', 1), ('index:99999999999999999999', 1), ('index:', 1),"
                    " ('index:60', 1), ('index:1', 1), (x'00', 1), ('', ''), ('unknown', zeroblob(100000))", ()))
        self.assertEqual(self.use_all(["SELECT * FROM t"]), [])

    def test_rows_of_one_table_read_as_anothers(self):
        self.make()
        db = connect(self.hostile)
        db.execute("CREATE VIRTUAL TABLE u USING lsm(a TEXT COLLATE NOCASE, b, c, PRIMARY KEY(a DESC, b), UNIQUE(c))")
        db.execute("INSERT INTO u VALUES('x', 1, 2), ('y', 2.5, x'00')")
        db.close()
        for name, other in (("keyspace", "keyspace"), ("index:0", "keyspace"), ("keyspace", "index:0"),
                            ("index:0", "index:0")):
            keep = self.hostile_dir + "-kept"
            shutil.copytree(self.hostile_dir, keep)
            self.alter(("UPDATE t_lsm SET value = (SELECT value FROM u_lsm WHERE name = ?) WHERE name = ?",
                        (other, name)))
            self.use_all(USES + ["DROP TABLE t"])  # wrong or an error, but whole
            shutil.rmtree(self.hostile_dir)
            os.rename(keep, self.hostile_dir)

    def test_the_shadow_is_something_else(self):
        self.make()
        for made in ("CREATE VIEW t_lsm AS SELECT 'format' AS name, 1 AS value",
                     "CREATE TABLE t_lsm(name, value AS (abs(-9223372036854775808)))",
                     "CREATE TABLE t_lsm(a)", "CREATE TABLE t_lsm(value, name)"):
            keep = self.hostile_dir + "-kept"
            shutil.copytree(self.hostile_dir, keep)
            self.alter(("DROP TABLE t_lsm", ()), (made, ()))
            self.assertEqual(len(self.use_all(["SELECT * FROM t", "INSERT INTO t VALUES(1, 2)"])), 2, made)
            shutil.rmtree(self.hostile_dir)
            os.rename(keep, self.hostile_dir)

    def test_the_shadow_is_dropped(self):
        self.make()
        self.alter(("DROP TABLE t_lsm", ()))
        for e in self.use_all(["SELECT * FROM t", "DELETE FROM t", "ALTER TABLE t RENAME TO u"]):
            self.assertIn("t_lsm", e)
        db = connect(self.hostile)
        db.execute("DROP TABLE t")
        db.execute("CREATE VIRTUAL TABLE t USING lsm")
        db.execute("INSERT INTO t VALUES(1, 2)")
        self.assertEqual(db.execute("SELECT * FROM t").fetchall(), [(1, 2)])
        db.close()

    def test_the_shadow_has_triggers(self):
        """They run inside the commit, when the token is written."""
        for body in ("INSERT INTO t VALUES(4242, 'from the trigger')", "DELETE FROM t", "DELETE FROM t_lsm",
                     "UPDATE t_lsm SET value = 1 WHERE name = 'txid'", "SELECT RAISE(ROLLBACK, 'no')",
                     "SELECT RAISE(ABORT, 'no')", "SELECT RAISE(IGNORE)", "DELETE FROM lsm_marker",
                     "INSERT INTO o SELECT 5 FROM t"):
            for when in ("BEFORE", "AFTER"):
                self.make()
                self.alter(("CREATE TRIGGER tr %s UPDATE ON t_lsm BEGIN %s; END" % (when, body), ()))
                db = connect(self.hostile)
                done = True
                try:
                    db.execute("BEGIN")
                    db.execute("INSERT INTO o VALUES('both')")
                    db.execute("INSERT INTO t VALUES(5000, 'both')")
                    db.execute("COMMIT")
                except sqlite3.Error:
                    done = False
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                db.close()
                db = connect(self.hostile)
                o = db.execute("SELECT count(*) FROM o WHERE x = 'both'").fetchone()[0]
                try:
                    t = db.execute("SELECT count(*) FROM t WHERE v = 'both'").fetchone()[0]
                    self.assertEqual((o, t), (done, done), body)
                    self.assertEqual(db.execute("SELECT lsm_verify('t')").fetchone()[0], "ok", body)
                except sqlite3.Error as e:
                    self.assertIn("has triggers", str(e))
                db.close()
                shutil.rmtree(self.hostile_dir)
                os.mkdir(self.hostile_dir)


class Schemas(Case):
    """What views, triggers and definitions may do."""

    def test_functions_are_not_for_views_and_triggers(self):
        self.make()
        copy = os.path.join(self.victim_dir, "copy.db")
        db = connect(self.hostile)
        for i, call in enumerate(ADMIN + ["lsm_backup('%s')" % copy]):
            db.execute("CREATE VIEW view%d AS SELECT %s AS x" % (i, call))
            db.execute("CREATE TABLE w%d(x)" % i)
            db.execute("CREATE TRIGGER tr%d AFTER INSERT ON w%d BEGIN SELECT %s; END" % (i, i, call))
            for sql in ("SELECT * FROM view%d" % i, "INSERT INTO w%d VALUES(1)" % i):
                with self.assertRaisesRegex(sqlite3.Error, "unsafe use"):
                    db.execute(sql)
            for made in ("CREATE TABLE bad(x DEFAULT (%s), z)", "CREATE TABLE bad(z, y AS (%s))",
                         "CREATE TABLE bad(z CHECK (%s))", "CREATE INDEX bad ON o(%s)"):
                with self.assertRaises(sqlite3.Error, msg=made % call):
                    db.execute(made % call)
                    db.execute("INSERT INTO bad(z) VALUES(1)")
                    db.execute("SELECT * FROM bad").fetchall()
                db.execute("DROP TABLE IF EXISTS bad")
        self.assertEqual(db.execute("SELECT count(*) FROM t").fetchone(), (21,))
        db.close()
        self.check_victim()

    def test_untrusted_schema(self):
        self.make()
        db = connect(self.hostile)
        db.execute("CREATE VIEW view AS SELECT * FROM t")
        db.execute("CREATE VIEW files AS SELECT * FROM lsm_files('t')")
        db.execute("CREATE TRIGGER tr AFTER INSERT ON o BEGIN DELETE FROM t; END")
        self.assertEqual(len(db.execute("SELECT * FROM view").fetchall()), 21)
        db.execute("PRAGMA trusted_schema = OFF")
        for sql in ("SELECT * FROM view", "SELECT * FROM files", "INSERT INTO o VALUES(1)")[:3 if TRIGGERS_CHECKED else 2]:
            with self.assertRaisesRegex(sqlite3.Error, "unsafe use"):
                db.execute(sql)
        self.assertEqual(db.execute("SELECT count(*) FROM t").fetchone(), (21,))
        db.execute("INSERT INTO t VALUES(2000, 'by hand')")
        self.assertEqual(db.execute("SELECT count(*) FROM t").fetchone(), (22,))
        db.close()

    def test_definitions_run_nothing(self):
        self.make()
        for default in ("(SELECT 1)", "(load_extension('x'))", "(abs(1))", "x'00' || 1", "lsm_version()",
                        "(lsm_flush('t'))", "CURRENT_TIME", "?1", ":a", "1 2"):
            self.rewrite("k INTEGER PRIMARY KEY, v NOT NULL DEFAULT %s" % default)
            errors = self.use_all(["SELECT * FROM t", "INSERT INTO t(k) VALUES(5000)"])
            self.assertEqual(len(errors), 2, default)

    def test_definitions_that_do_not_fit_the_rows(self):
        self.make("k, v, PRIMARY KEY(k, v)")
        for definition in ("k INTEGER PRIMARY KEY, v", "k TEXT PRIMARY KEY", "v, k, a, b, c, PRIMARY KEY(v DESC, k, a, b)",
                           "k, v", "k COLLATE NOCASE, v, PRIMARY KEY(k, v)", "k, v, w NOT NULL DEFAULT 5, PRIMARY KEY(k, v)",
                           "k, v, PRIMARY KEY(k, v), UNIQUE(v)"):
            keep = self.hostile_dir + "-kept"
            shutil.copytree(self.hostile_dir, keep)
            self.rewrite(definition)
            self.use_all(USES + ["DROP TABLE t"])  # wrong or an error, but whole
            shutil.rmtree(self.hostile_dir)
            os.rename(keep, self.hostile_dir)

    @unittest.skipUnless(TRIGGERS_CHECKED, "this SQLite lets triggers write to any virtual table")
    def test_the_marker_is_not_for_triggers(self):
        self.make()
        db = connect(self.hostile)
        db.execute("CREATE TRIGGER tr AFTER INSERT ON o BEGIN DELETE FROM lsm_marker; END")
        with self.assertRaisesRegex(sqlite3.Error, "unsafe use"):
            db.execute("INSERT INTO o VALUES(1)")
        db.execute("DELETE FROM lsm_marker")
        db.close()


if __name__ == "__main__":
    unittest.main()
