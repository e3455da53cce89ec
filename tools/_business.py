"""The example business: one SQLite file, made and filled at the first use. Not a tool file (its name begins with _)."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from bridge.toolbox.spec import ToolContext

_TABLES = """
CREATE TABLE IF NOT EXISTS orders (number TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refunds (
    key TEXT PRIMARY KEY, call_id TEXT NOT NULL, caller TEXT NOT NULL, amount REAL NOT NULL, currency TEXT NOT NULL,
    reason TEXT NOT NULL, made_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS appointments (
    code TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, day TEXT NOT NULL, time TEXT NOT NULL, name TEXT NOT NULL,
    caller TEXT NOT NULL, cancelled_at TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS one_a_slot ON appointments (day, time) WHERE cancelled_at IS NULL;
CREATE TABLE IF NOT EXISTS messages (
    key TEXT PRIMARY KEY, call_id TEXT NOT NULL, caller TEXT NOT NULL, name TEXT NOT NULL, callback TEXT NOT NULL,
    text TEXT NOT NULL, taken_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS customers (number TEXT PRIMARY KEY, pin TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pin_tries (call_id TEXT NOT NULL, customer TEXT NOT NULL);
INSERT OR IGNORE INTO customers VALUES ('100001', '4711'), ('100002', '0815');
INSERT OR IGNORE INTO orders VALUES ('1234', 'left the warehouse'), ('5678', 'waits for payment');
"""


@contextmanager
def database(context: ToolContext) -> Iterator[sqlite3.Connection]:
    """A connection whose changes are one transaction."""
    context.folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(context.folder / "shop.db", timeout=5)) as connection:
        connection.executescript(_TABLES)
        with connection:
            yield connection
