#!/usr/bin/env python3
"""Every comparison with every kind of value on every kind of key: an ordinary table is the oracle.

Where the fuzzer draws lots, this goes through all: tables of one column k of each affinity and
collation, as key, as INTEGER PRIMARY KEY, as index, up and down, in UTF-8 and UTF-16; operators,
BETWEEN, IN, LIKE, GLOB, IS, NULL, ORDER BY, min() and max(), row values; the other side a literal,
a parameter, a CAST, a column of each affinity. LSMVTAB names the extension.
"""
import itertools
import os
import sqlite3
import unittest

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
STEP = 4 if os.environ.get("LD_PRELOAD") else 1  # a sanitizer: slow, and there for other faults
NEW = sqlite3.sqlite_version_info >= (3, 38)  # affinities are known at planning

TYPES = ["", "INT", "TEXT", "REAL", "NUMERIC", "BLOB", "TEXT COLLATE NOCASE", "COLLATE NOCASE", "TEXT COLLATE RTRIM"]
KEYS = ["k {t} PRIMARY KEY, v", "k {t}, v, PRIMARY KEY(k DESC)", "k {t}, v INT, PRIMARY KEY(v, k), UNIQUE(k)",
        "id INTEGER PRIMARY KEY, k {t}, v, INDEX i(k)", "k {t}, v, INDEX i(k DESC, v)"]
STORED = [0, 1, -1, 2, 10, 9, 2**53, 2**53 + 1, 2**63 - 1, -2**63, 0.5, -0.5, 1.5, 9007199254740996.0, 1e300, -1e300,
          "", "0.5x", "10x", "9x", "-", "a", "A ", "b", "B", "ab", "aB ", "abc", "ABD", "abc\u00e9", "\u00c9", "\uff5e",
          "\U0001F600", "z", "Z  ", " 5", "05", "5 ", b"", b"\0", b"0.5", b"a", b"ab", b"\xff"]
LITERALS = ["NULL", "0", "1", "1.0", "-1", "2", "10", "9", "0.5", "9007199254740992", "9007199254740993", "9223372036854775807",
            "-9223372036854775808", "9.3e18", "-1e300", "1e400", "''", "'1'", "'01'", "'1.0'", "'10'", "'9'", "'a'", "'A'",
            "'AB'", "'ab '", "'abc'", "'b'", "'\u00e9'", "'\uff5e'", "'z'", "'05'", "' 5'", "5", "x''", "x'61'", "x'00'",
            "x'302E35'", "CAST('1' AS TEXT)", "CAST(1 AS TEXT)", "CAST('a' AS BLOB)", "+1", "1 + 0", "(SELECT '1')",
            "(SELECT 1)", "'1' || ''"]
OPERATORS = ["k = {x}", "k IS {x}", "k < {x}", "k <= {x}", "k > {x}", "k >= {x}", "k <> {x}", "k IS NOT {x}", "{x} < k",
             "NOT k = {x}", "+k = {x}", "k = {x} COLLATE NOCASE", "k > {x} COLLATE BINARY", "k < {x} COLLATE RTRIM"]
PATTERNS = ["'a%'", "'A%'", "'ab%'", "'%'", "'a_'", "'abc'", "'1%'", "'0%'", "'\u00e9%'", "''", "'a*'", "'*'", "'[ab]*'", "'a?'",
            "'1*'", "NULL", "5", "'5%'", "' %'"]


def exact(row):
    return tuple((type(v).__name__, repr(v)) for v in row)


class Pair:
    """The same definition, once ordinary and once lsm."""

    def __init__(self, encoding="UTF-8"):
        self.dbs = []
        for _ in ("ordinary", "lsm"):
            db = sqlite3.connect(":memory:", isolation_level=None)
            db.enable_load_extension(True)
            db.load_extension(EXTENSION)
            db.execute("PRAGMA encoding = '%s'" % encoding)
            db.execute("PRAGMA automatic_index = OFF")
            db.execute("CREATE TABLE o(i INT, t TEXT, r REAL, n NUMERIC, b)")
            for x in (0, 1, "1", "01", 1.0, 10, "9", "a", "A", "ab ", "", None, b"a", 0.5, "0.5", 2**53 + 1, "\uff5e"):
                db.execute("INSERT INTO o VALUES(?1, ?1, ?1, ?1, ?1)", (x,))
            self.dbs.append(db)

    def table(self, name, definition, rows, columns):
        ordinary, lsm = self.dbs
        for db in self.dbs:
            db.execute("DROP TABLE IF EXISTS " + name)
        plain = ", ".join(p for p in split(definition) if not p.startswith("INDEX"))
        tail = " WITHOUT ROWID" if "PRIMARY KEY" in plain and "INTEGER PRIMARY KEY" not in plain else ""
        ordinary.execute("CREATE TABLE %s(%s)%s" % (name, plain, tail))
        lsm.execute("CREATE VIRTUAL TABLE %s USING lsm(%s)" % (name, definition))
        sql = "INSERT OR IGNORE INTO %s(%s) VALUES(%s)" % (name, columns, ", ".join("?" * (columns.count(",") + 1)))
        for db in self.dbs:
            half = len(rows) // 2
            db.executemany(sql, rows[:half])
            if db is lsm:
                db.execute("SELECT lsm_flush('%s')" % name)
            db.executemany(sql, rows[half:])

    def check(self, test, sql, args=(), ordered=False):
        got = []
        for db in self.dbs:
            try:
                rows = [exact(r) for r in db.execute(sql, args)]
                got.append(rows if ordered else sorted(rows))
            except sqlite3.Error as e:
                got.append(str(e))
        test.count += 1
        if got[0] != got[1]:
            plan = [r[-1] for r in self.dbs[1].execute("EXPLAIN QUERY PLAN " + sql, args)]
            schema = [r[0] for r in self.dbs[1].execute("SELECT sql FROM sqlite_master WHERE sql LIKE '%USING lsm%'")]
            test.fail("%s\n%r\n%s\n%s\nordinary: %s\nlsm:      %s" % (sql, args, schema, plan, got[0], got[1]))

    def close(self):
        for db in self.dbs:
            db.close()


def split(definition):
    """At commas outside parentheses."""
    depth, parts, part = 0, [], ""
    for c in definition:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += c
    return parts + [part.strip()]


class Case(unittest.TestCase):
    encoding = "UTF-8"

    def setUp(self):
        self.count = 0
        self.pair = Pair(self.encoding)

    def tearDown(self):
        self.pair.close()

    def tables(self, types=TYPES, keys=KEYS):
        for t, key in itertools.islice(itertools.product(types, keys), 0, None, STEP):
            rows = [(x, i % 7) for i, x in enumerate(STORED)]
            self.pair.table("t", key.format(t=t), rows, "k, v")
            yield t, key

    def ordered(self, t, sql):
        """Values that are equal by a collation may come in any order."""
        if "COLLATE" in t:
            sql = "SELECT upper(rtrim(k)) FROM (%s)" % sql
        self.check(sql, ordered=True)

    def check(self, *args, **kwargs):
        self.pair.check(self, *args, **kwargs)


class Comparisons(Case):
    def test_literals(self):
        for t, _ in self.tables():
            for op, x in itertools.product(OPERATORS, LITERALS):
                self.check("SELECT k, v FROM t WHERE " + op.format(x=x))
        self.assertGreater(self.count, 20000 / STEP)

    def test_parameters(self):
        for t, _ in self.tables():
            for op, x in itertools.product(OPERATORS[:8], STORED + [None, 1.0, "1", "01", "A", b"1"]):
                self.check("SELECT k, v FROM t WHERE " + op.format(x="?1"), (x,))

    def test_between(self):
        pairs = list(itertools.combinations(["NULL", "-1", "1", "10", "0.5", "''", "'1'", "'a'", "'AB'", "'z'", "x''", "x'61'",
                                             "1e300"], 2))
        for t, _ in self.tables():
            for a, b in pairs:
                self.check("SELECT k, v FROM t WHERE k BETWEEN %s AND %s" % (a, b))
                self.check("SELECT k, v FROM t WHERE k > %s AND k <= %s AND v <> 3" % (a, b))
            for a, b in pairs[::5]:
                self.check("SELECT k, v FROM t WHERE k NOT BETWEEN %s AND %s" % (a, b))
                self.check("SELECT k, v FROM t WHERE k BETWEEN %s AND %s" % (b, a))
                self.ordered(t, "SELECT k FROM t WHERE k >= %s AND k < %s ORDER BY k" % (a, b))
                self.ordered(t, "SELECT k FROM t WHERE k >= %s AND k < %s ORDER BY k DESC LIMIT 3" % (a, b))

    def test_patterns(self):
        for t, _ in self.tables():
            for p in PATTERNS:
                for op in ("LIKE", "GLOB", "NOT LIKE", "NOT GLOB"):
                    self.check("SELECT k, v FROM t WHERE k %s %s" % (op, p))
                self.check("SELECT k, v FROM t WHERE k LIKE ?1", (p.strip("'"),))
                self.check("SELECT k, v FROM t WHERE k LIKE %s ESCAPE '_'" % p)
            for db in self.pair.dbs:
                db.execute("PRAGMA case_sensitive_like = ON")
            for p in PATTERNS:
                self.check("SELECT k, v FROM t WHERE k LIKE %s" % p)
            for db in self.pair.dbs:
                db.execute("PRAGMA case_sensitive_like = OFF")

    def test_null(self):
        for t, _ in self.tables():
            for w in ("k IS NULL", "k IS NOT NULL", "k NOTNULL", "v IS NULL", "k = NULL", "k IS k", "k = k", "coalesce(k, 0) = 0",
                      "k IS NULL OR v = 1", "k IS NULL AND v IS NULL", "NOT k IS NULL", "k", "NOT k", "k AND v", "typeof(k) = 'text'",
                      "ifnull(k, v) = v", "CASE WHEN k > 5 THEN v END = 1"):
                self.check("SELECT k, v FROM t WHERE " + w)

    @unittest.skipUnless(NEW, "needs SQLite 3.38")
    def test_columns(self):
        """The other side is a column: its affinity counts, and is not told to the module."""
        for t, _ in self.tables([x for x in TYPES if "COLLATE" not in x]):
            for c, op in itertools.product("itrnb", ("=", "<", ">=", "IS")):
                self.check("SELECT o.rowid, k, t.v FROM o CROSS JOIN t ON t.k %s o.%s" % (op, c))
                self.check("SELECT o.rowid, k, t.v FROM o LEFT JOIN t ON t.k %s o.%s AND t.v < 5" % (op, c))
            for c in "itrnb":
                self.check("SELECT k, v FROM t WHERE k IN (SELECT %s FROM o)" % c)
                self.check("SELECT k, v FROM t WHERE k NOT IN (SELECT %s FROM o WHERE %s IS NOT NULL)" % (c, c))
                self.check("SELECT rowid FROM o WHERE %s IN (SELECT k FROM t)" % c)
                self.check("SELECT rowid FROM o WHERE EXISTS (SELECT 1 FROM t WHERE k = o.%s)" % c)
                self.check("SELECT rowid, (SELECT count(*) FROM t WHERE k <= o.%s) FROM o" % c)
                self.check("SELECT k FROM t WHERE k IN (SELECT %s FROM o) ORDER BY k" % c, ordered=True)

    def test_in(self):
        lists = ["", "NULL", "1", "1, 2, 10", "'1', 'a'", "'a', 'AB', 'abc', NULL", "0.5, '0.5'", "x'', x'61'", "'05', 5, ' 5'",
                 "9007199254740992, 9007199254740993", "-1, 1e300, 'z'", "1, 1, 1.0, '1'", "'A', 'a', 'B'"]
        for t, _ in self.tables():
            for x in lists:
                if "," in x or NEW:
                    self.check("SELECT k, v FROM t WHERE k IN (%s)" % x)
                    self.check("SELECT k, v FROM t WHERE k NOT IN (%s)" % x)
                self.ordered(t, "SELECT k FROM t WHERE k IN (%s) AND v > 2 ORDER BY k" % x)
                self.ordered(t, "SELECT k FROM t WHERE k IN (%s) ORDER BY k DESC LIMIT 2" % x)
                self.check("SELECT k, v FROM t WHERE k IN (SELECT * FROM (VALUES(%s)))" % "), (".join(x.split(",") if x else ["NULL"]))
            self.check("SELECT k, v FROM t WHERE k IN (?1, ?2, ?3)", (1, "a", None))


class Order(Case):
    def test_order(self):
        for t, key in self.tables():
            for by in ("k", "k DESC", "k, v", "k DESC, v DESC", "v, k", "v DESC, k", "k COLLATE NOCASE, k COLLATE BINARY",
                       "k IS NULL, k", "typeof(k), k", "k NULLS LAST", "k DESC NULLS FIRST"):
                unique = "k COLLATE" not in by
                self.check("SELECT k FROM t ORDER BY " + by, ordered="NOCASE" not in t and "RTRIM" not in t and unique)
                self.check("SELECT count(*) FROM (SELECT k FROM t ORDER BY %s LIMIT 5 OFFSET 4)" % by)
            if "COLLATE" not in t:
                for limit in ("LIMIT 1", "LIMIT 3", "LIMIT 2 OFFSET 5", "LIMIT 100 OFFSET 40", "LIMIT -1 OFFSET 30"):
                    self.check("SELECT k FROM t ORDER BY k " + limit, ordered=True)
                    self.check("SELECT k FROM t ORDER BY k DESC " + limit, ordered=True)
                    self.check("SELECT k FROM t WHERE k > 1 ORDER BY k " + limit, ordered=True)
                    self.check("SELECT k FROM t WHERE k < 'a' ORDER BY k DESC " + limit, ordered=True)

    def test_minmax(self):
        for t, _ in self.tables([x for x in TYPES if "COLLATE" not in x]):
            for w in ("1", "k > 1", "k < 'a'", "k >= 'a'", "k > 'zz'", "k IS NULL", "v = 3", "v = 99", "k BETWEEN 1 AND 'b'"):
                self.check("SELECT min(k) FROM t WHERE " + w)
                self.check("SELECT max(k) FROM t WHERE " + w)
                self.check("SELECT min(k), max(k), count(k), count(*) FROM t WHERE " + w)
                self.check("SELECT min(v), max(v), sum(v), avg(v), total(v) FROM t WHERE " + w)
                self.check("SELECT k FROM t WHERE %s ORDER BY k LIMIT 1" % w)
                self.check("SELECT v, min(k), max(k) FROM t WHERE %s GROUP BY v" % w)
                self.check("SELECT min(k) FROM t WHERE %s GROUP BY v HAVING count(*) > 2" % w)
                self.check("SELECT max(k, v), min(k, v) FROM t WHERE " + w)
            self.check("SELECT (SELECT max(k) FROM t WHERE t.k < o.b) FROM o", ordered=True)

    def test_groups(self):
        for t, _ in self.tables([x for x in TYPES if "COLLATE" not in x]):
            self.check("SELECT k, count(*) FROM t GROUP BY k")
            self.check("SELECT v, count(*), count(DISTINCT k) FROM t GROUP BY v")
            self.check("SELECT v, k, count(*) FROM t GROUP BY v, k")
            self.check("SELECT DISTINCT k FROM t")
            self.check("SELECT DISTINCT v FROM t")
            self.check("SELECT DISTINCT v, k FROM t ORDER BY k, v", ordered=True)
            self.check("SELECT typeof(k), count(*) FROM t GROUP BY 1")
            self.check("SELECT k, row_number() OVER (ORDER BY k) FROM t")
            self.check("SELECT k, sum(v) OVER (PARTITION BY v ORDER BY k) FROM t")


class RowValues(Case):
    ROWS = [(a, b, i) for i, (a, b) in enumerate(itertools.product(
        [1, 2, 10, "1", "a", "A", "b", 0.5, b"a", ""], [None, 1, 2, "1", "x", "X", 1.5, b"x"]))]
    PAIRS = ["(1, 1)", "(1, '1')", "('1', 1)", "('a', 'x')", "('A', 'X')", "(2, 1.5)", "(x'61', x'78')", "(1, NULL)", "(NULL, 1)",
             "('', 2)", "(10, 'zz')", "(0.5, 2)"]

    def each(self):
        for types in (("", ""), ("INT", "TEXT"), ("TEXT", "INT"), ("TEXT COLLATE NOCASE", ""), ("NUMERIC", "BLOB"), ("", "TEXT COLLATE NOCASE")):
            for definition in ("a {0}, b {1}, c, INDEX i(a, b)", "a {0}, b {1}, c INT, INDEX i(a DESC, b), INDEX j(b)",
                               "a {0}, b {1}, c INT PRIMARY KEY, INDEX i(b, a)", "a {0}, b {1}, c INT, PRIMARY KEY(a, c), INDEX i(b, a)"):
                self.pair.table("t", definition.format(*types), self.ROWS, "a, b, c")
                yield types

    def test_pairs(self):
        for types in self.each():
            for op, x in itertools.product(("=", "<", "<=", ">", ">=", "<>", "IS", "IS NOT"), self.PAIRS):
                self.check("SELECT a, b, c FROM t WHERE (a, b) %s %s" % (op, x))
            for x, y in itertools.combinations(self.PAIRS[:6], 2):
                self.check("SELECT a, b, c FROM t WHERE (a, b) BETWEEN %s AND %s" % (x, y))
                self.check("SELECT a, b, c FROM t WHERE (a, b) = %s OR (b, a) = %s" % (x, y))
                self.check("SELECT a, b, c FROM t WHERE (a, b) > %s ORDER BY c LIMIT 5" % x, ordered=True)
            self.check("SELECT a, b, c FROM t WHERE (a, b) = (?1, ?2)", ("a", "x"))

    @unittest.skipUnless(NEW, "needs SQLite 3.38")
    def test_in_pairs(self):
        for types in self.each():
            self.check("SELECT a, b, c FROM t WHERE (a, b) IN (VALUES %s)" % ", ".join(self.PAIRS))
            self.check("SELECT a, b, c FROM t WHERE (a, b) NOT IN (VALUES (1, 1), ('a', 'x'))")
            self.check("SELECT a, b, c FROM t WHERE (b, a) IN (VALUES (1, 'a'), ('x', 1), (1, 1))")
            self.check("SELECT c FROM t WHERE (a, b) IN (VALUES (1, 1), (1, 2), ('a', 'x'), (2, '1')) ORDER BY c", ordered=True)
            # Where the selected columns have an affinity that counts SQLite itself compares a virtual
            # table's columns without it: see README, limits.
            numeric = ("INT", "NUMERIC")
            for x, y in itertools.product("itnb", "itnb"):
                if (types[0] in numeric or x in "tb") and (types[1] in numeric or y in "tb"):
                    self.check("SELECT a, b, c FROM t WHERE (a, b) IN (SELECT %s, %s FROM o)" % (x, y))
            self.check("SELECT a, b, c FROM t WHERE (a, b) IN (SELECT a, b FROM t WHERE c % 3 = 1)")
            self.check("SELECT a, b, c FROM t WHERE (a, b) = (SELECT a, b FROM t WHERE c = 9)")
            self.check("SELECT a, b, c FROM t WHERE (a, b, c) IN (SELECT a, b, c FROM t WHERE c < 20)")
            self.check("SELECT a, b, c FROM t WHERE a IN (1, 'a', 'A') AND b IN (1, 'x', '1')")
            self.check("SELECT a, b FROM t WHERE a IN (1, 'a') AND b IN (1, 'x') ORDER BY a, b", ordered="COLLATE" not in " ".join(types))
            self.check("SELECT c FROM t WHERE a IN (1, 2, 'b') AND b > 1 ORDER BY c DESC LIMIT 4", ordered=True)

    def test_updates(self):
        for types in self.each():
            for sql in ("UPDATE t SET (a, b) = (b, a) WHERE b IS NOT NULL AND c < 10", "UPDATE t SET b = a WHERE (a, b) = ('a', 'x')",
                        "DELETE FROM t WHERE (a, b) IN (VALUES (1, 1), ('a', 'X'))", "DELETE FROM t WHERE (a, b) > ('a', 'x')",
                        "UPDATE t SET b = c WHERE a IN (1, 'A')", "DELETE FROM t WHERE a BETWEEN 0 AND 2 AND b IS NULL"):
                self.check(sql)
                self.check("SELECT a, b, c FROM t")


class Utf16(Case):
    """A sample of the above where BINARY is the order of UTF-16."""

    def sample(self):
        for t, key in self.tables(["", "INT", "TEXT", "TEXT COLLATE NOCASE"], KEYS[:1] + KEYS[2:]):
            for op, x in itertools.product(OPERATORS, LITERALS):
                self.check("SELECT k, v FROM t WHERE " + op.format(x=x))
            for a, b in itertools.combinations(["-1", "10", "''", "'a'", "'z'", "'\u00e9'", "'\uff5e'", "'\U0001F600'", "x''"], 2):
                self.check("SELECT k, v FROM t WHERE k BETWEEN %s AND %s" % (a, b))
                self.check("SELECT k, v FROM t WHERE k > %s AND k < %s" % (b, a))
                self.check("SELECT k FROM t WHERE k >= %s AND k < %s ORDER BY k" % (a, b), ordered="COLLATE" not in t)
            for p in PATTERNS:
                self.check("SELECT k, v FROM t WHERE k LIKE %s" % p)
                self.check("SELECT k, v FROM t WHERE k GLOB %s" % p)
            if "COLLATE" not in t:
                for by in ("k", "k DESC", "k, v", "v, k DESC", "k LIMIT 5", "k DESC LIMIT 5 OFFSET 20"):
                    self.check("SELECT k FROM t ORDER BY " + by, ordered=True)
                self.check("SELECT min(k), max(k) FROM t WHERE k > 'a'")
                self.check("SELECT max(k) FROM t")
            self.check("SELECT count(*) FROM (SELECT DISTINCT k FROM t)")
            self.check("SELECT k FROM t WHERE k IN ('a', '\uff5e', '\U0001F600', 'z', 1) ORDER BY k", ordered="COLLATE" not in t)
        lsm = self.pair.dbs[1]
        self.pair.table("t", "k TEXT PRIMARY KEY, v", [(x, i) for i, x in enumerate(STORED)], "k, v")
        self.pair.dbs[0].execute("DELETE FROM t WHERE k >= 'b' AND k < '\u00e9'")
        lsm.execute("SELECT lsm_delete_range('t', 'b', '\u00e9')")
        self.check("SELECT * FROM t")
        self.assertEqual(lsm.execute("SELECT lsm_verify('t')").fetchone()[0], "ok")

    def test_little(self):
        self.sample()


class Utf16Little(Utf16):
    encoding = "UTF-16le"


class Utf16Big(Utf16):
    encoding = "UTF-16be"


if __name__ == "__main__":
    unittest.main()
