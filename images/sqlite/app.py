"""A service that keeps its records in SQLite: as small as one can be, and no smaller.

    PUT /records/KEY   committed before it answers 200
    GET /records       all of them, as they were committed
    GET /health        200 while the database can be read

    DATABASE           where it is, /data/records.db by default
    JOURNAL            `PRAGMA journal_mode`, wal by default
    SYNCHRONOUS        `PRAGMA synchronous`, full by default
"""

import os
import signal
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATABASE = os.environ.get("DATABASE", "/data/records.db")
JOURNAL = os.environ.get("JOURNAL", "wal")
SYNCHRONOUS = os.environ.get("SYNCHRONOUS", "full")
SCHEMA = "CREATE TABLE IF NOT EXISTS records (n INTEGER PRIMARY KEY, key TEXT UNIQUE, record TEXT)"


class Store:
    """One connection for all, opened again after an error."""

    def __init__(self):
        self.lock = threading.Lock()
        self.db = None

    def run(self, work):
        with self.lock:
            try:
                if self.db is None:
                    self.db = connect()
                return work(self.db)
            except sqlite3.Error:
                # what this connection believes of the file counts no more
                if self.db is not None:
                    self.db.close()
                    self.db = None
                raise

    def put(self, key, record):
        """Whether the key holds this record now; every statement is a transaction."""

        def work(db):
            db.execute("INSERT OR IGNORE INTO records (key, record) VALUES (?, ?)", (key, record))
            held = db.execute("SELECT record FROM records WHERE key = ?", (key,))
            return held.fetchone()[0] == record

        return self.run(work)

    def all(self):
        return self.run(lambda db: [row[0] for row in db.execute("SELECT record FROM records ORDER BY n")])


def connect():
    db = sqlite3.connect(DATABASE, isolation_level=None, check_same_thread=False)
    db.execute(f"PRAGMA journal_mode = {JOURNAL}")
    db.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
    db.execute(SCHEMA)
    return db


class Face(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = Store()

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        key = self.path.removeprefix("/records/")
        self.answer(lambda: (200, "") if self.store.put(key, body) else (409, "another record has this key"))

    def do_GET(self):
        records = lambda: "".join(f"{record}\n" for record in self.store.all())
        if self.path == "/records":
            self.answer(lambda: (200, records()))
        elif self.path == "/health":
            self.answer(lambda: (200, f"{len(self.store.all())} records\n"))
        else:
            self.answer(lambda: (404, "no such path\n"))

    def answer(self, work):
        try:
            status, text = work()
        except sqlite3.Error as error:
            print(f"records: {error}", flush=True)
            status, text = 503, f"{error}\n"
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


# the first process of a container gets no signal that it has not asked for
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("", 8080), Face).serve_forever()
