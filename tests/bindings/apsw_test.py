# apsw_test.py EXTENSION DATABASE: the steps of run.sh through APSW.
import sys

import apsw

extension, path = sys.argv[1:]
checks = failed = 0
IN_ORDER = ("SELECT ts FROM log WHERE host = ? AND ts >= ? AND ts < ? ORDER BY ts DESC", ("h3", 100, 140))
BIG, TEXT, REAL, BLOB = 9007199254740993, "Grüße \U0001f600", -1.5e300, b"\x00\xff\x10"


def check(what, got, want):
    global checks, failed
    checks += 1
    if got != want:
        failed += 1
        print(f"FAILED {what}: got {got!r}, wanted {want!r}")


def connect():
    db = apsw.Connection(path)
    db.enableloadextension(True)
    db.loadextension(extension)
    db.enableloadextension(False)
    return db


def rows(sql, *values):
    return list(db.cursor().execute(sql, values))


def one(sql, *values):
    found = rows(sql, *values)
    return found[0][0] if found else None


def stored(when):
    check(f"range {when}", rows(*IN_ORDER[:1], *IN_ORDER[1]), [(133,), (123,), (113,), (103,)])
    check(f"values {when}", rows("SELECT name, price, data FROM item WHERE id = ?", BIG), [(TEXT, REAL, BLOB)])
    check(f"nulls {when}", rows("SELECT name, price, data FROM item WHERE id = ?", BIG + 1), [(None,) * 3])
    check(f"count {when}", one("SELECT count(*) FROM log"), 901)


db = connect()
check("version", one("SELECT lsm_version() <> ''"), 1)
rows("CREATE VIRTUAL TABLE log USING lsm(host TEXT, ts INTEGER, msg, PRIMARY KEY (host, ts))")
rows("CREATE VIRTUAL TABLE item USING lsm(id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB)")
rows("CREATE TABLE ordinary(n INTEGER)")

with db:
    db.cursor().executemany("INSERT INTO log VALUES(?, ?, ?)",
                            ((f"h{i % 10}", i, f"message {i}") for i in range(1000)))
check("count", one("SELECT count(*) FROM log"), 1000)
check("by key", one("SELECT msg FROM log WHERE host = ? AND ts = ?", "h7", 507), "message 507")

rows("UPDATE log SET msg = msg || '!' WHERE host = ? AND ts < ?", "h3", 100)
check("rows updated", db.changes(), 10)
check("updated", one("SELECT msg FROM log WHERE host = 'h3' AND ts = 93"), "message 93!")
rows("DELETE FROM log WHERE host = ?", "h9")
check("rows deleted", db.changes(), 100)

rows("INSERT INTO item VALUES(?, ?, ?, ?)", BIG, TEXT, REAL, BLOB)
rows("INSERT INTO item VALUES(?, ?, ?, ?)", None, None, None, None)
check("rowid", db.last_insert_rowid(), BIG + 1)

rows("BEGIN")
rows("INSERT INTO log VALUES('new', 1, 'x')")
rows("DELETE FROM log WHERE host = 'h3'")
rows("INSERT INTO ordinary VALUES(1)")
check("read in the transaction", one("SELECT count(*) FROM log"), 801)
rows("ROLLBACK")
check("rolled back", one("SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM ordinary)"), 900)
with db:
    rows("INSERT INTO log VALUES('new', 1, 'x')")
    rows("INSERT INTO ordinary VALUES(1)")

try:
    rows("INSERT INTO log VALUES('new', 1, 'y')")
    message = "no error"
except apsw.ConstraintError as error:
    message = str(error)
check("duplicate key", "UNIQUE constraint failed: log.host, log.ts" in message, True)

stored("from memory")
rows("SELECT lsm_flush('log')")
stored("from a file")
db.close()
db = connect()
stored("after reopening")
check("verify", one("SELECT lsm_verify('log')"), "ok")
db.close()
print(f"{checks} checks" + (f", {failed} failed" if failed else ""))
