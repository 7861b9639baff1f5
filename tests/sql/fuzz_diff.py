#!/usr/bin/env python3
"""Random schemas and statements; an ordinary table is the oracle.

    fuzz_diff.py [--seed N] [--seeds N] [--steps N] [--seconds S] [--verbose]

Each seed makes a table of random definition, once ordinary and once lsm, in two
databases, sends both the same statements (and lets indexes come and go, and adds columns, by each
one's own means) and compares rows, types, error codes
and messages, changes(), last_insert_rowid() and whether a transaction is open.
Memtables are as small as can be; the table is flushed, compacted and reopened in
between. LSMVTAB names the extension. Ends with "N checks" (sessions), or with
the seed, the statements that led to a difference and exit status 1.

Known differences, left out below where they are named:
 D1  An explicit NULL in a NOT NULL column with a DEFAULT becomes the default:
     SQLite does not tell the module an omitted value from NULL.
 D2  changes() after UPDATE OR REPLACE, REPLACE ordering: a row that an earlier row
     of the same UPDATE replaced is still counted.
 D3  UPDATE ... FROM inside a transaction has no statement savepoint for virtual
     tables: one that fails keeps its first rows. Used in autocommit only.
 D4  An ordinary table keeps the rows before a "datatype mismatch" of a multi-row
     INSERT OR IGNORE inside a transaction. Such INSERTs give rowids that are none
     only in single rows.
 D5  A rowid given twice, as rowid and as INTEGER PRIMARY KEY: the last one written
     counts, which the module is not told.
 D6  UPDATE computes all new rows before it writes the first: subqueries in SET that
     read the table itself see it unchanged. Not generated.
 D7  Conflict clauses other than ABORT in an UPDATE that moves several keys depend on
     the order in which rows are visited: generated for one key only, compared as the key compares
     (a column's own collation may find several). An ordinary WITHOUT ROWID table is updated in the order of
     the key, whatever way the rows are found; a virtual table in the order in which they are found.
 D8  SQLite takes a column that is compared with = to be constant in ORDER BY, though
     5 and '5' may both equal 5 there: the order of such rows is nobody's promise.
 D9  SQLite 3.38 to 3.40 loses rows of a join by RTRIM columns that it makes an automatic
     index for, with ordinary tables (its Bloom filter counts the spaces).
 D10 UPDATE ... FROM updates a virtual table's row once for every row it joins with, and
     changes() counts them all. Not compared.
 D11 SQLite 3.40 drops the rows of a LEFT JOIN whose ON has a LIKE on a rowid, or on a
     column without affinity, with ordinary tables.
 D12 SQLite takes = to be transitive over collations: t.c = o.t AND t.c = ' ' with c of
     another collation than o.t loses rows if o is the outer table, ordinary tables too.
     The same with GLOB, and between two columns of one table that is joined with itself.
 D13 What an INSERT leaves out of a nullable column that was added with a DEFAULT is NULL (see D1). Not left out.
 D14 SQLite 3.40 at times calls an ordinary WITHOUT ROWID table to which columns were added malformed, in a SELECT,
     while integrity_check finds nothing. Not compared then. The same in ALTER TABLE ADD COLUMN: the session ends there.
 D15 Looking for a rowid, an ordinary table does not find -9223372036854775808 when that is given as a REAL (a row
     of o.r, a CAST), though it is equal to it and <= and >= find it. Left out for rowids alone.
 D16 min() and max() of 1 and 1.0 are either. Not generated where a column may hold both.
 D17 SQLite reads c = x COLLATE RTRIM OR c = y as c IN (x, y), without the COLLATE, where it finds c by an index; with
     ordinary tables, too. Whether it does depends on the plan. OR of = on one column, or IN (x), has no COLLATE.
 D18 ORDER BY c COLLATE k DESC LIMIT 1, with c IN (x, y) along an index in which c has another collation: SQLite at times
     stops too early, with ordinary tables: LIMIT 2 begins with another row, that which is right. Not a difference
     where the ordinary table's rows without LIMIT begin as ours.
"""
import argparse
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import time
import zlib

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
TYPES = ["", "", "INTEGER", "INT", "TEXT", "TEXT", "REAL", "NUMERIC", "BLOB", "VARCHAR(10)"]
TEXTISH = ("TEXT", "VARCHAR(10)", "", "BLOB")


class Schema:
    def __init__(self, rng):
        n = rng.randint(1, 5)
        self.columns = ["c%d" % i for i in range(n)]
        self.types = [rng.choice(TYPES) for _ in range(n)]
        self.collations = [rng.choice(["", "", "NOCASE", "RTRIM", "BINARY"]) if rng.random() < 0.5 else ""
                           for _ in range(n)]
        self.not_null = [rng.random() < 0.2 for _ in range(n)]
        self.defaults = [rng.choice(["5", "'x'", "-1.5", "x'00ff'", "'7'"])
                         if self.not_null[i] and rng.random() < 0.5 else None for i in range(n)]
        kind = rng.choice(["hidden", "alias", "one", "one", "many", "many", "many"])
        if kind == "many" and n == 1:
            kind = "one"
        self.kind = kind
        self.key = []  # (column, collation, desc)
        tail = []
        self.alias = None
        if kind == "alias":
            self.alias = self.columns[rng.randrange(n)]
            i = self.columns.index(self.alias)
            self.types[i], self.not_null[i], self.defaults[i], self.collations[i] = "INTEGER", False, None, ""
        elif kind != "hidden":
            take = 1 if kind == "one" else rng.randint(2, min(n, 4))
            for c in rng.sample(self.columns, take):
                i = self.columns.index(c)
                if kind == "one" and self.types[i] == "INTEGER":
                    self.types[i] = "INT"  # ("INTEGER PRIMARY KEY" is the rowid)
                coll = rng.choice(["", "", "", "NOCASE", "RTRIM", "BINARY"])
                self.key.append((c, coll, rng.random() < 0.3))
            tail = ["PRIMARY KEY(%s)" % ", ".join(
                c + (" COLLATE " + coll if coll else "") + (" DESC" if desc else "")
                for c, coll, desc in self.key)]
        defs = []
        for i, c in enumerate(self.columns):
            d = c + " " + self.types[i]
            if c == self.alias:
                d += " PRIMARY KEY"
            if self.collations[i]:
                d += " COLLATE " + self.collations[i]
            if self.not_null[i]:
                d += " NOT NULL"
            if self.defaults[i]:
                d += " DEFAULT " + self.defaults[i]
            defs.append(d)
        self.make_indexes(rng, kind)
        self.text = ", ".join(defs + tail + self.unique)
        self.ordinary = "CREATE TABLE t(%s)%s" % (self.text, "" if kind in ("hidden", "alias") else " WITHOUT ROWID")
        self.rowid = kind in ("hidden", "alias")
        self.given = set()  # D13
        self.known = {}  # all columns there have been
        self.known_paths = {}  # and indexes, by name
        self.note_columns()
        options = ["memtable_size='64KB'"]
        options += rng.sample(["compaction=tiered", "compression=none", "block_size=512", "bloom_bits=0"],
                              rng.randint(0, 2))
        if zlib.crc32(self.text.encode()) % 4 == 0:
            options.append("ttl=10000000000")  # no row lives to see its end
        self.lsm = "CREATE VIRTUAL TABLE t USING lsm(%s)" % ", ".join([self.text] + self.plain + options)
        self.all_key = [c for c, _, _ in self.key] or ["rowid"]

    def make_indexes(self, rng, kind):
        """UNIQUE constraints, in both definitions; indexes, in the ordinary database by CREATE INDEX."""
        self.unique, self.plain, self.create_index, self.paths, self.unique_columns = [], [], [], [], set()
        for i in range(rng.choice([0, 0, 1, 1, 2, 3])):
            part = []
            for c in rng.sample(self.columns, rng.randint(1, min(3, len(self.columns)))):
                part.append((c, rng.choice(["", "", "", "NOCASE", "RTRIM", "BINARY"]), rng.random() < 0.3))
            text = ", ".join(c + (" COLLATE " + coll if coll else "") + (" DESC" if desc else "")
                             for c, coll, desc in part)
            if rng.random() < 0.4:
                self.unique.append("UNIQUE(%s)" % text)
                self.unique_columns.update(c for c, _, _ in part)
            else:
                self.plain.append("INDEX i%d (%s)" % (i, text))
                self.create_index.append("CREATE INDEX i%d ON t(%s)" % (i, text))
            self.paths.append(part)

    LISTS = ("types", "collations", "not_null", "defaults")

    def note_columns(self):
        for i, c in enumerate(self.columns):
            self.known[c] = [getattr(self, name)[i] for name in self.LISTS]

    def is_now(self, columns, indexes):
        """What ROLLBACK, or an error, may have left of columns and indexes."""
        self.columns = columns
        for k, name in enumerate(self.LISTS):
            setattr(self, name, [self.known[c][k] for c in columns])
        later = set(map(id, self.known_paths.values()))
        self.paths = [p for p in self.paths if id(p) not in later]
        self.paths += [p for name, p in sorted(self.known_paths.items()) if name in indexes]

    def new_column(self, rng):
        """Its definition."""
        name = "n%d" % len(self.known)
        kind, coll = rng.choice(TYPES), rng.choice(["", "", "NOCASE", "RTRIM"])
        default = rng.choice(["5", "'x'", "-1.5", "x'00ff'", "'7'", "(2)", None])
        not_null = default is not None and rng.random() < 0.5
        if default is not None and not not_null:
            self.given.add(name)
        self.columns = self.columns + [name]
        for attr, v in zip(self.LISTS, (kind, coll, not_null, default if not_null else None)):
            setattr(self, attr, getattr(self, attr) + [v])
        self.note_columns()
        return "%s %s%s%s%s" % (name, kind, " COLLATE " + coll if coll else "",
                                " NOT NULL" if not_null else "", " DEFAULT " + default if default else "")

    def new_index(self, rng):
        """Its name and columns."""
        part = [(c, rng.choice(["", "", "", "NOCASE", "RTRIM", "BINARY"]), rng.random() < 0.3)
                for c in rng.sample(self.columns, rng.randint(1, min(3, len(self.columns))))]
        name = "x%d" % len(self.known_paths)
        self.known_paths[name] = part
        self.paths = self.paths + [part]
        return name, ", ".join(c + (" COLLATE " + coll if coll else "") + (" DESC" if desc else "")
                               for c, coll, desc in part)

    def collation(self, column):
        return self.collations[self.columns.index(column)] if column in self.columns else ""

    def holds_both(self, column):
        """May 1 and 1.0 both be in it?"""
        return column in self.columns and self.types[self.columns.index(column)] in ("", "BLOB")


class Generator:
    def __init__(self, rng, schema):
        self.rng, self.s = rng, schema
        self.args = []

    # ------------------------------------------------------------- values
    def value(self, null=0.06):
        rng = self.rng
        k = rng.random()
        if k < null:
            return None
        if k < 0.40:
            return rng.randint(-12, 12)
        if k < 0.48:
            return rng.randint(-24, 24) / 2.0
        if k < 0.52:
            return rng.choice([2**53, 2**53 + 1, -(2**53) - 1, float(2**53), 2**62 + 1, -(2**63), 1e19, -1e19,
                               9.2e18, 1e-300, -0.0, float("inf"), 2**63 - 1 if not self.s.rowid else 2**61])
        if k < 0.68:
            n = rng.randint(-12, 12)
            return rng.choice(["%d", " %d", "%d ", "0%d", "%d.0", "%de0", "+%d", "%d.5", "x%d"]) % n
        if k < 0.93:
            return "".join(rng.choice("aAbB  \0é_%") for _ in range(rng.randint(0, 4)))
        return bytes(rng.choice(b"\0\1aA\xff 5") for _ in range(rng.randint(0, 3)))

    def put(self, v):
        """A value in the text of a statement: a literal or a parameter."""
        if isinstance(v, float) and (v != v or v in (float("inf"), float("-inf"))) or self.rng.random() < 0.6:
            self.args.append(v)
            return "?"
        if v is None:
            return "NULL"
        if isinstance(v, bytes):
            return "x'%s'" % v.hex()
        if isinstance(v, str):
            if "\0" in v:
                self.args.append(v)
                return "?"
            return "'%s'" % v.replace("'", "''")
        return repr(v)

    def small_key(self):
        return self.rng.randint(-30, 30)

    def column_value(self, c, insert=False):
        s, rng = self.s, self.rng
        if c == "rowid" or c == s.alias:
            return self.small_key() if rng.random() < 0.9 else rng.choice([str(self.small_key()), 3.0, None if insert else 1])
        v = self.value()
        i = s.columns.index(c)
        if v is None and s.defaults[i]:
            return 1  # D1
        if v is None and (s.not_null[i] or c in s.all_key) and rng.random() < 0.8:
            return 2
        return v

    # -------------------------------------------------------------- terms
    def column(self):
        rng, s = self.rng, self.s
        if s.paths and rng.random() < 0.4:
            return rng.choice(rng.choice(s.paths))[0]
        if rng.random() < 0.65:
            c = rng.choice(s.all_key)
            if c == "rowid" and s.alias and rng.random() < 0.7:
                c = s.alias
            return c
        return rng.choice(s.columns)

    def term(self, prefix=""):
        rng, s = self.rng, self.s
        c = self.column()
        p = prefix + c
        coll = ""
        if rng.random() < 0.12:
            coll = " COLLATE " + rng.choice(["NOCASE", "RTRIM", "BINARY"])
        k = rng.randint(0, 15)
        if k <= 3:
            return "%s = %s%s" % (p, self.put(self.value()), coll)
        if k <= 5:
            return "%s %s %s%s" % (p, rng.choice(["<", "<=", ">", ">="]), self.put(self.value()), coll)
        if k == 6:
            return "%s BETWEEN %s AND %s" % (p, self.put(self.value()), self.put(self.value()))
        if k <= 8:
            return "%s IN (%s)" % (p, ", ".join(self.put(self.value()) for _ in range(rng.randint(1, 5))))
        if k == 9:
            return "%s IN (SELECT %s FROM o%s)" % (p, rng.choice("itrnb"),
                                                   rng.choice(["", " WHERE i > 0", " WHERE i < 3"]))
        if k == 10:
            return "%s %s %s" % (p, rng.choice(["LIKE", "GLOB"]),
                                 self.put(rng.choice(["a%", "A%", "1%", "%", "-1%", "aB_", "a*", "A*", "[aA]*", "5", "b?", "a_%"])))
        if k == 11:
            return "%s IS %s%s" % (p, rng.choice(["", "NOT "]), self.put(self.value(0.4)))
        if k == 12:
            return "%s = (SELECT %s FROM o WHERE rowid = %d)" % (p, rng.choice("itrnb"), rng.randint(1, 12))
        if k == 13:
            return "%s %s (SELECT %s FROM o WHERE rowid = %d)" % (p, rng.choice(["<", ">="]),
                                                                  rng.choice("itrnb"), rng.randint(1, 12))
        if k == 14:
            return "NOT (%s = %s)" % (p, self.put(self.value()))
        v = self.value()
        literal, kind = self.put(v), rng.choice(["INTEGER", "TEXT", "REAL", "NUMERIC"])
        if kind == "REAL" and v == -2**63 and c in ("rowid", s.alias):  # D15
            kind = "NUMERIC"
        return "%s = CAST(%s AS %s)" % (p, literal, kind)

    def where(self, prefix=""):
        rng, s = self.rng, self.s
        k = rng.random()
        if k < 0.1:
            return "1"
        if k < 0.3 and (len(s.key) > 1 or s.paths):  # along the key or an index
            key = rng.choice([s.key] * (len(s.key) > 1) + s.paths)
            terms = []
            for c, coll, _ in key[:rng.randint(1, len(key))]:
                terms.append("%s%s = %s" % (prefix, c, rng.choice(
                    [self.put(self.value()), "(SELECT %s FROM o WHERE rowid = %d)" % (rng.choice("itrnb"), rng.randint(1, 12))])))
            if rng.random() < 0.5:
                c = key[min(len(terms), len(key) - 1)][0]
                terms[-1 if len(terms) > 1 else len(terms):] = [
                    "%s%s %s %s" % (prefix, c, rng.choice(["<", ">", ">=", "<="]), self.put(self.value()))]
            elif rng.random() < 0.3:
                c = key[rng.randrange(len(key))][0]
                terms.append("%s%s IN (%s)" % (prefix, c, ", ".join(self.put(self.value()) for _ in range(3))))
            return " AND ".join(terms)
        n = rng.choice([1, 1, 1, 2, 2, 3])
        if n > 1 and rng.random() < 0.25:
            terms = [self.term(prefix) for _ in range(n)]
            equal = [re.match(r"([a-z0-9.]+) (=|IN) ", t) for t in terms]
            if all(equal) and len({m.group(1) for m in equal}) == 1:  # D17
                terms = [re.sub(" COLLATE [A-Z]+$", "", t) for t in terms]
            return "(" + " OR ".join(terms) + ")"
        return " AND ".join(self.term(prefix) for _ in range(n))

    # --------------------------------------------------------- statements
    def insert(self):
        rng, s = self.rng, self.s
        verb = rng.choice(["INSERT", "INSERT", "REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE", "INSERT OR FAIL",
                           "INSERT OR ABORT", "INSERT OR ROLLBACK"])
        if verb == "INSERT OR ROLLBACK" and rng.random() < 0.7:
            verb = "INSERT"
        # A column with a default may be left out.
        cols = [c for c in s.columns if rng.random() < 0.95 or c in s.all_key or c in s.given] or [s.columns[0]]
        use_rowid = s.kind == "hidden" and rng.random() < 0.4
        if rng.random() < 0.15:
            return self.insert_select(verb)
        n = rng.choice([1, 1, 1, 2, 3, 6, 40])
        rows = []
        for _ in range(n):
            row = []
            for c in cols:
                if c == s.alias and n > 1:
                    row.append(self.put(rng.choice([None, self.small_key(), self.small_key()])))  # D4
                elif c == s.alias and rng.random() < 0.2:
                    row.append(self.put(rng.choice([None, self.value()])))
                else:
                    row.append(self.put(self.column_value(c, True)))
            if use_rowid:
                row.append(self.put(self.small_key() if n > 1 or rng.random() < 0.8 else rng.choice([None, "x", 1.5, "4", 2.0])))
            rows.append("(%s)" % ", ".join(row))
        names = cols + (["rowid"] if use_rowid else [])
        returning = " RETURNING %s" % ", ".join(c for c in cols) if rng.random() < 0.0 else ""
        return "%s INTO t(%s) VALUES %s%s" % (verb, ", ".join(names), ", ".join(rows), returning)

    def insert_select(self, verb):
        rng, s = self.rng, self.s
        exprs = []
        for i, c in enumerate(s.columns):
            if c == s.alias:
                exprs.append(rng.choice(["NULL", c + " + 100", "-" + c]))
            elif c in s.all_key:
                exprs.append(rng.choice([c + " || 'z'", c, c + " + 1", "ifnull(%s, 1)" % c]))
            elif s.not_null[i]:
                exprs.append("ifnull(%s, 1)" % c)
            else:
                exprs.append(c)
        order = "rowid" if s.rowid else ", ".join(self.key_order())
        where = self.where()
        if any(w in where for w in (" = CAST", " = (SELECT", "IN (SELECT")):  # D8
            where, self.args = "1", []
        return "%s INTO t(%s) SELECT %s FROM t WHERE %s ORDER BY %s" % (
            verb, ", ".join(s.columns), ", ".join(exprs), where, order + " LIMIT 50")

    def key_order(self, back=False):
        out = []
        for c, coll, desc in self.s.key:
            out.append(c + (" COLLATE " + coll if coll else "") + (" DESC" if desc != back else ""))
        return out or ["rowid" + (" DESC" if back else "")]

    def one_key(self, exactly=False):
        """The key of a row; of not more than one (exactly), where a column compares otherwise than the key."""
        s, terms = self.s, []
        collations = {c: coll for c, coll, _ in s.key if exactly and coll not in ("", s.collation(c))}  # D7
        for c in s.all_key:
            terms.append("%s = %s%s" % (c, self.put(self.column_value(c)),
                                        " COLLATE " + collations[c] if c in collations else ""))
        return " AND ".join(terms)

    def update(self, autocommit):
        rng, s = self.rng, self.s
        verb = rng.choice(["UPDATE"] * 4 + ["UPDATE OR REPLACE", "UPDATE OR IGNORE", "UPDATE OR FAIL", "UPDATE OR ROLLBACK"])
        targets = rng.sample(s.columns, rng.randint(1, min(2, len(s.columns))))
        if s.kind == "hidden" and rng.random() < 0.15:
            targets = ["rowid"]
        moves = any(c in s.all_key or c == s.alias or c in s.unique_columns for c in targets)
        sets = []
        for c in targets:
            if rng.random() < 0.25 and (c not in ("rowid", s.alias)):
                sets.append("%s = %s" % (c, rng.choice(["%s || 'u'", "%s + 1", "typeof(%s)", "ifnull(%s, 0)"]) % rng.choice(s.columns)))
                i = s.columns.index(c)
                if s.defaults[i]:
                    sets[-1] = "%s = 3" % c
            elif moves and (c == "rowid" or c == s.alias) and rng.random() < 0.4:
                sets.append("%s = %s + %d" % (c, c, rng.choice([1, -1, 50])))
            else:
                v = self.column_value(c)
                if (c == "rowid" or c == s.alias) and rng.random() < 0.1:
                    v = self.value()
                sets.append("%s = %s" % (c, self.put(v)))
        if verb != "UPDATE" and (moves or "NULL" in " ".join(sets) or True) and (moves or any(s.not_null)):
            where = self.one_key(True) if moves else self.where()  # D7
            if not moves and verb in ("UPDATE OR FAIL", "UPDATE OR REPLACE"):
                where = self.one_key(True)
        elif rng.random() < 0.3 or moves and s.paths:  # D7: other paths, other orders
            where = self.one_key(moves)
        else:
            n = len(self.args)
            where = self.where()
            if moves and " OR " in where:  # D7
                del self.args[n:]
                where = self.one_key(True)
        if autocommit and rng.random() < 0.12 and verb == "UPDATE" and not moves:  # D3
            return "UPDATE t SET %s FROM o WHERE t.%s = o.i AND o.rowid < 4" % (
                ", ".join(sets), rng.choice(s.columns))
        return "%s t SET %s WHERE %s" % (verb, ", ".join(sets), where)

    def select(self):
        rng, s = self.rng, self.s
        k = rng.random()
        key = ", ".join(self.key_order(rng.random() < 0.4))
        plain = ", ".join(s.columns)
        full = plain if s.kind != "hidden" else "rowid, " + plain
        where = self.where()
        # D8
        loose = any(w in where for w in (" = CAST", " = (SELECT", "IN (SELECT"))
        if k < 0.42 and loose:
            return ("rows", "SELECT %s FROM t WHERE %s ORDER BY %s" % (full, where, key))
        if k < 0.30:  # a total order
            limit = rng.choice(["", "", " LIMIT 3", " LIMIT 4 OFFSET 2", " LIMIT 1"])
            return ("ordered", "SELECT %s FROM t WHERE %s ORDER BY %s%s" % (full, where, key, limit))
        if k < 0.42:  # any order; checked by its keys
            terms = [self.column() for _ in range(rng.randint(1, 3))]
            terms = [c for c in dict.fromkeys(terms)]
            text = ", ".join(c + rng.choice(["", " DESC"]) + (rng.choice([" NULLS LAST", " NULLS FIRST"]) if rng.random() < 0.08 else "")
                             for c in terms)
            return (("keys", terms), "SELECT %s, %s FROM t WHERE %s ORDER BY %s" % (", ".join(terms), full, where, text))
        if k < 0.48:  # the order of the key, or an index, without its first columns
            path = rng.choice([s.key] + s.paths)
            if len(path) > 1:
                self.args = []
                terms = [c for c, _, _ in path[1:]]
                first = path[0][0]
                text = ", ".join(c + (" COLLATE " + coll if coll else "") + (" DESC" if desc else "") for c, coll, desc in path[1:])
                source = rng.choice([self.put(self.value()), "(SELECT %s FROM o WHERE rowid = %d)" % (rng.choice("itrnb"), rng.randint(1, 12))])
                return (("keys", [c for c in terms], [coll for _, coll, _ in path[1:]]),
                        "SELECT %s, %s FROM t WHERE %s = %s ORDER BY %s" % (", ".join(terms), full, first, source, text))
        if k < 0.58:
            return ("rows", "SELECT %s FROM t WHERE %s" % (full, where))
        self.args = []
        if k < 0.68:
            c = self.column()
            f = rng.choice(["min(%s)", "max(%s)", "count(%s)", "count(*), min(%s), max(%s)", "sum(typeof(%s) = 'text')",
                            "count(DISTINCT %s)"])
            if s.collation(c) or any(coll for path in [s.key] + s.paths for kc, coll, _ in path if kc == c):
                f = rng.choice(["count(%s)", "count(DISTINCT %s)"])  # min() of equal texts: any of them
            elif rng.random() < 0.5:
                f = f.replace("min(%s)", "min(%s) + 0.0").replace("max(%s)", "max(%s) + 0.0")
            elif ("min" in f or "max" in f) and s.holds_both(c):  # D16
                f = "count(%s)"
            where = self.where()
            if any(w in where for w in (" = CAST", " = (SELECT", "IN (SELECT")) and ("min" in f or "max" in f or "DISTINCT" in f):  # D8
                f = "count(%s)"
            return ("rows", "SELECT %s FROM t WHERE %s" % (f.replace("%s", c), where))
        if k < 0.75:
            c = self.column()
            where = self.where()
            if any(w in where for w in (" = CAST", " = (SELECT", "IN (SELECT")):  # D8
                where, self.args = "1", []
            if s.collation(c) in ("NOCASE", "RTRIM"):
                return ("rows", "SELECT count(*) FROM t WHERE %s GROUP BY %s" % (where, c))
            shown = "typeof(%s) = 'text', %s" % (c, c)
            if s.types[s.columns.index(c)] in ("", "BLOB", "NUMERIC", "INTEGER", "INT") if c in s.columns else False:
                shown = "CAST(%s AS TEXT)" % c if False else "count(*)"
            return ("rows", rng.choice(["SELECT %s, count(*) FROM t WHERE %s GROUP BY %s" % (shown, where, c),
                                        "SELECT count(*) FROM (SELECT DISTINCT %s FROM t WHERE %s)" % (c, where)]))
        if k < 0.90:
            c, d = self.column(), rng.choice("itrnb")
            extra = " AND " + self.term("t.") if rng.random() < 0.4 else ""
            join = rng.choice(["o JOIN t ON t.%s = o.%s%s", "t JOIN o ON o.%s = t.%s%s", "o CROSS JOIN t ON t.%s = o.%s%s",
                               "o LEFT JOIN t ON t.%s = o.%s%s"])
            if "LEFT" in join and ("LIKE" in extra or "GLOB" in extra):  # D11
                extra, self.args = "", []
            if s.collation(c) in ("NOCASE", "RTRIM"):  # D12
                extra, self.args = "", []
            cols = (d, c) if join.startswith("t") else (c, d)
            if rng.random() < 0.3 and not s.paths:  # D8
                order = " ORDER BY o.rowid, %s LIMIT 7" % ", ".join("t." + x for x in self.key_order())
                mode = "ordered"
            else:
                order, mode = "", "rows"
            full_t = ", ".join("t." + x for x in full.split(", "))
            return (mode, "SELECT o.rowid, %s FROM %s%s" % (full_t, join % (cols[0], cols[1], extra), order))
        if k < 0.95:
            c, d, op = self.column(), self.column(), rng.choice(["=", "<"])
            where = self.where("a.")
            if op == "=" and any(s.collation(x) in ("NOCASE", "RTRIM") for x in (c, d)):  # D12
                where, self.args = "1", []
            if s.rowid:
                return ("rows", "SELECT a.rowid, count(*) FROM t a JOIN t b ON a.%s %s b.%s WHERE %s GROUP BY a.rowid" % (
                    c, op, d, where))
            return ("rows", "SELECT count(*) FROM t a JOIN t b ON a.%s %s b.%s WHERE %s" % (c, op, d, where))
        return ("rows", "SELECT i FROM o WHERE EXISTS (SELECT 1 FROM t WHERE t.%s = o.%s) OR i IN (SELECT %s FROM t WHERE %s)" % (
            self.column(), rng.choice("itrnb"), self.column(), self.where()))

    def statement(self, in_transaction):
        rng = self.rng
        self.args = []
        k = rng.random()
        if k < 0.30:
            return ("write", self.insert())
        if k < 0.40:
            return ("write", self.update(not in_transaction))
        if k < 0.46:
            return ("write", "DELETE FROM t WHERE " + (self.where() if rng.random() < 0.5 else self.one_key()))
        if k < 0.53:
            return ("txn", rng.choice(["BEGIN", "BEGIN IMMEDIATE", "COMMIT", "COMMIT", "ROLLBACK", "SAVEPOINT a", "SAVEPOINT b", "SAVEPOINT a",
                                       "ROLLBACK TO a", "ROLLBACK TO b", "RELEASE a", "RELEASE b"]))
        if k < 0.56:
            return ("write", rng.choice(["INSERT INTO log SELECT count(*) FROM t", "INSERT INTO trig VALUES(%d, %s)"
                                         % (self.rng.randint(1, 9), self.put(self.value())), "UPDATE log SET n = n + 1"]))
        return self.select()


def exact(v):
    if isinstance(v, float) and v == 0.0:
        return ("float", repr(v))
    return (type(v).__name__, repr(v))


def folded(v, collation):
    if isinstance(v, str):
        if collation == "NOCASE":
            size = len(v.encode("utf-8", "surrogateescape"))  # counts where there is a zero
            v = v.split("\0")[0].lower() + "\0%d" % size if "\0" in v else v.lower()
        elif collation == "RTRIM":
            v = v.rstrip(" ")
        return ("str", v)
    if isinstance(v, (int, float)):
        return ("number", v)
    return exact(v)


class Malformed(Exception):
    """There is no ordinary table to compare with any more (D14)."""


class Session:
    def __init__(self, seed, directory, verbose):
        self.rng = random.Random(seed)
        self.seed, self.dir, self.verbose = seed, directory, verbose
        self.s = Schema(self.rng)
        self.g = Generator(self.rng, self.s)
        self.history = []
        self.dbs = []
        self.open()
        setup = ["CREATE TABLE o(i INTEGER, t TEXT, r REAL, n NUMERIC, b)", "CREATE TABLE log(n)",
                 "CREATE TABLE trig(k INTEGER, v)"]
        setup.append(self.trigger())
        for db, create in zip(self.dbs, (self.s.ordinary, self.s.lsm)):
            db.execute(create)
            for sql in setup + (self.s.create_index if db is self.dbs[0] else []):
                db.execute(sql)
        self.look()
        for _ in range(12):
            v = self.g.value(0)
            r = v + 1024 if self.s.rowid and v == -2**63 else v  # D15
            for db in self.dbs:
                db.execute("INSERT INTO o VALUES(?1, ?1, ?2, ?1, ?1)", (v, r))

    def trigger(self):
        others = self.s.columns
        values = ", ".join("new.k" if c in self.s.all_key or c == self.s.alias else "ifnull(new.v, 1)" for c in others)
        return ("CREATE TRIGGER tr AFTER INSERT ON trig BEGIN INSERT OR %s INTO t(%s) VALUES(%s);"
                " DELETE FROM t WHERE %s = new.v; END"
                % (self.rng.choice(["REPLACE", "IGNORE", "ABORT"]), ", ".join(others), values, others[0]))

    def alter(self):
        """Changes both tables."""
        rng, s = self.rng, self.s
        indexes = [r[0] for r in self.dbs[0].execute("SELECT name FROM sqlite_master WHERE tbl_name = 't' AND sql LIKE 'CREATE INDEX%'")]
        k = rng.random()
        if k < 0.45 and len(indexes) < 8:
            name, columns = s.new_index(rng)
            both = ("CREATE INDEX %s ON t(%s)" % (name, columns),
                    "SELECT lsm_create_index('t', '%s', '%s')" % (name, columns))
        elif k < 0.7 and indexes:
            name = rng.choice(indexes)
            both = ("DROP INDEX " + name, "SELECT lsm_drop_index('main.t', '%s')" % name)
        elif len(s.columns) < 9:
            definition = s.new_column(rng)
            both = ("ALTER TABLE t ADD COLUMN " + definition,
                    "SELECT lsm_add_column('t', '%s')" % definition.replace("'", "''"))
        else:
            return
        self.history.append((both[1], ()))
        want, got = self.run(self.dbs[0], both[0], ()), self.run(self.dbs[1], both[1], ())
        if want[1] is not None and want[1][1] & 0xff == 11:
            raise Malformed
        if want[1] is not None or got[1] is not None:
            self.fail("a change of the table failed", want[1], got[1])
        if want[2][1] != got[2][1] or want[3] != got[3]:
            self.fail("last_insert_rowid(), transaction open", want[2:], got[2:])
        for sql in ["DROP TRIGGER tr", self.trigger()] if "ADD" in both[0] else []:
            for db in self.dbs:
                db.execute(sql)
        self.look()

    def look(self):
        """What is there now?"""
        db = self.dbs[0]
        self.s.is_now([r[0] for r in db.execute("SELECT name FROM pragma_table_info('t') ORDER BY cid")],
                      {r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 't'")})

    def open(self):
        self.close()
        for name in ("ordinary.db", "lsm.db"):
            db = sqlite3.connect(os.path.join(self.dir, name), isolation_level=None)
            db.text_factory = lambda b: b.decode("utf-8", "surrogateescape")
            db.enable_load_extension(True)
            db.load_extension(EXTENSION)
            db.execute("PRAGMA synchronous=OFF")
            db.execute("PRAGMA automatic_index=OFF")  # D9
            self.dbs.append(db)

    def close(self):
        for db in self.dbs:
            db.close()
        self.dbs = []

    def run(self, db, sql, args):
        try:
            rows = [tuple(r) for r in db.execute(sql, args)]
            error = None
        except sqlite3.Error as e:
            rows, error = None, (type(e).__name__, getattr(e, "sqlite_errorcode", 0), str(e))
        state = db.execute("SELECT changes(), last_insert_rowid()").fetchone()
        return rows, error, state, db.in_transaction

    def fail(self, what, want, got):
        lines = ["seed %d: %s" % (self.seed, what), "  " + self.s.ordinary, "  " + self.s.lsm]
        for sql, args in self.history[-12:]:
            lines.append("    %s  %r" % (sql, args))
        lines += ["  ordinary: %s" % (want,), "  lsm:      %s" % (got,)]
        raise AssertionError("\n".join(lines))

    def compare(self, mode, sql, args):
        s = self.s
        want = self.run(self.dbs[0], sql, args)
        got = self.run(self.dbs[1], sql, args)
        if self.verbose:
            print(sql, args, want[1])
        if want[1] and want[1][1] & 0xff == 11 and sql.startswith("SELECT"):  # D14
            return
        if (want[1] is None) != (got[1] is None) or want[1] != got[1]:
            self.fail("errors differ", want[1], got[1])
        if want[3] != got[3]:
            self.fail("transaction open", want[3], got[3])
        if want[1] is None and want[2][1] != got[2][1] or want[1] is None and mode == "write" and want[2] != got[2]:
            uncounted = sql.startswith("UPDATE OR REPLACE") or " FROM o WHERE t." in sql  # D2, D10
            if not uncounted or want[2][1] != got[2][1]:
                self.fail("changes(), last_insert_rowid()", want[2], got[2])
        if want[0] is None:
            return
        a = [tuple(exact(v) for v in r) for r in want[0]]
        b = [tuple(exact(v) for v in r) for r in got[0]]
        if mode == "ordered":
            if a != b and not self.stopped_early(sql, args, b):
                self.fail("rows differ", want[0], got[0])
            return
        if sorted(a) != sorted(b):
            x, y = sorted(a), sorted(b)
            self.fail("rows differ", [r for r in x if r not in y] or x, [r for r in y if r not in x] or y)
        if isinstance(mode, tuple):
            colls = mode[2] if len(mode) > 2 else [""] * len(mode[1])
            colls = [k or s.collation(c) for c, k in zip(mode[1], colls)]
            ka = [tuple(folded(v, c) for v, c in zip(r, colls)) for r in want[0]]
            kb = [tuple(folded(v, c) for v, c in zip(r, colls)) for r in got[0]]
            if ka != kb:
                self.fail("order differs", want[0], got[0])

    def stopped_early(self, sql, args, rows):
        """Is ROWS what the LIMIT should have left of the ordinary table's rows? (D18)"""
        limit = re.search(" LIMIT ([0-9]+)(?: OFFSET ([0-9]+))?$", sql)
        if limit is None:
            return False
        every = [tuple(exact(v) for v in r) for r in self.dbs[0].execute(sql[:limit.start()], args)]
        first = int(limit.group(2) or 0)
        return rows == every[first:first + int(limit.group(1))]

    def check_all(self):
        s = self.s
        cols = ", ".join((["rowid"] if s.kind == "hidden" else []) + s.columns)
        self.compare("ordered", "SELECT %s FROM t ORDER BY %s" % (cols, ", ".join(self.g.key_order())), ())
        self.compare("rows", "SELECT %s FROM t" % cols, ())
        self.compare("rows", "SELECT * FROM log", ())

    def step(self, n):
        rng = self.rng
        open_txn = self.dbs[1].in_transaction
        if rng.random() < 0.03:
            self.alter()
        mode, sql = self.g.statement(open_txn)
        args = tuple(self.g.args)
        self.history.append((sql, args))
        self.compare(mode, sql, args)
        if mode == "txn" or open_txn and not self.dbs[1].in_transaction:
            self.look()
        if n % 40 == 39:
            self.check_all()
        if not self.dbs[1].in_transaction and rng.random() < 0.02:
            what = rng.choice(["SELECT lsm_flush('t')", "SELECT lsm_flush('main.t')", "SELECT lsm_compact('t')", "reopen"])
            self.history.append((what, ()))
            if what == "reopen":
                self.check_all()
                self.open()
                self.check_all()
            else:
                self.dbs[1].execute(what).fetchall()

    def finish(self):
        for db in self.dbs:
            if db.in_transaction:
                db.execute("COMMIT")
        self.check_all()
        verdict = self.dbs[1].execute("SELECT lsm_verify('t')").fetchone()[0]
        if verdict != "ok":
            self.fail("lsm_verify", "ok", verdict)
        self.close()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seed", type=int, default=1, help="the first")
    p.add_argument("--seeds", type=int, default=1000000, help="how many")
    p.add_argument("--steps", type=int, default=400, help="statements a session")
    p.add_argument("--seconds", type=float, default=20)
    p.add_argument("--keep-going", action="store_true")
    p.add_argument("--verbose", action="store_true")
    o = p.parse_args()
    start, done, failed = time.time(), 0, 0
    for seed in range(o.seed, o.seed + o.seeds):
        if time.time() - start > o.seconds:
            break
        directory = tempfile.mkdtemp(prefix="lsm-fuzz-")
        try:
            session = Session(seed, directory, o.verbose)
            try:
                for n in range(o.steps):
                    session.step(n)
                session.finish()
            except Malformed:
                pass
            except AssertionError as e:
                print(e)
                failed += 1
                if not o.keep_going:
                    print("%d checks, 1 failed" % (done + 1))
                    return 1
            finally:
                session.close()
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        done += 1
    print("%d checks" % done if failed == 0 else "%d checks, %d failed" % (done, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
