"""Every record of a database on stdout, once the whole of it was checked.

Whoever opens it recovers it: a hot journal is rolled back, a log is read.
"""

import os
import sqlite3
import sys

db = sqlite3.connect(os.environ.get("DATABASE", "/data/records.db"))
damage = db.execute("PRAGMA integrity_check").fetchall()
if damage != [("ok",)]:
    sys.exit(f"the database is damaged: {damage[0][0]}")
if db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'records'").fetchone()[0]:
    for (record,) in db.execute("SELECT record FROM records ORDER BY n"):
        print(record)
