#!/usr/bin/env python3
"""large_value.py [MB]: how much memory one large value takes on its way in and out.

Writes a random blob of so many megabytes (500), reads it, in a process of its own each, and
prints the peak of the process as a multiple of the value. Fails above LIMIT. LSMVTAB names
the extension.
"""
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

EXTENSION = os.environ.get("LSMVTAB", "./lsmvtab")
LIMIT = 3.3
STEPS = {
    "insert": ["CREATE VIRTUAL TABLE t USING lsm(k INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES(1, randomblob(%d))",
               "SELECT lsm_flush('t')"],
    "select": ["SELECT length(v) = %d, substr(v, -1) FROM t WHERE k = 1"],
    "scan": ["SELECT sum(length(v)) = %d FROM t"],
    "verify": ["SELECT lsm_verify('t') = 'ok' AND %d"],
    "delete": ["DELETE FROM t WHERE length(v) = %d"],
}


def step(name, path, size):
    db = sqlite3.connect(path, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    start = time.time()
    for sql in STEPS[name]:
        row = db.execute(sql % size if "%d" in sql else sql).fetchone()
        if sql.startswith("SELECT") and not row[0]:
            sys.exit("%s: %r" % (sql, row))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("%-8s %5.2f times the value, %6.1f s" % (name, (peak - base) / size, time.time() - start), flush=True)
    db.close()
    sys.exit((peak - base) / size > LIMIT)


def main():
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else 500) * 1000000)
    if len(sys.argv) > 3:
        step(sys.argv[2], sys.argv[3], size)
    directory = tempfile.mkdtemp(prefix="lsm-large-", dir=os.environ.get("TMPDIR"))
    failed = 0
    try:
        for name in STEPS:
            command = [sys.executable, __file__, str(size / 1000000), name, os.path.join(directory, "t.db")]
            failed += subprocess.run(command).returncode != 0
    finally:
        shutil.rmtree(directory)
    print("%d checks%s" % (len(STEPS), ", %d failed" % failed if failed else ""))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
