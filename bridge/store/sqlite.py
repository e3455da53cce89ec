"""SQLite as a Database: one thread of its own, so that no loop waits for a disk and transactions never overlap.

WAL mode: the CLI reads while control writes. A transaction that has read may write only when no other program has
written since, nor writes now; SQLite refuses it at once otherwise (SQLITE_BUSY_SNAPSHOT, sqlite.org/isolation.html;
SQLITE_BUSY without the busy timeout, sqlite.org/c3ref/busy_handler.html), and it is done anew, as a writer from its
beginning, which waits. A cancelled caller cannot cut a transaction in half.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from bridge.store.database import errors, usable

BUSY_TIMEOUT_MS = 5000
_PRIMARY = 0xFF
"""Of an extended result code: the code that it extends."""
T = TypeVar("T")


class Sqlite:
    """See Database. Any other driver of SQLAlchemy that needs no more would do as well."""

    def __init__(self, url: str) -> None:
        with usable(url):
            parsed = sa.make_url(url)
            self._engine = sa.create_engine(parsed)
        self.name = parsed.get_backend_name()
        if self.name == "sqlite":
            sa.event.listen(self._engine, "connect", _tune)
            sa.event.listen(self._engine, "begin", lambda plain: plain.exec_driver_sql(self._begin))
        self._begin = "BEGIN"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    async def run(self, doing: str, work: Callable[[sa.Connection], T], *, one_moment: bool = False) -> T:
        """One transaction; every one of SQLite sees one moment."""
        del one_moment

        def alone() -> T:
            with errors(doing):
                began = time.monotonic()
                try:
                    return once()
                except OperationalError as error:
                    if not _at_once(error, time.monotonic() - began):
                        raise
                self._begin = "BEGIN IMMEDIATE"
                try:
                    return once()
                finally:
                    self._begin = "BEGIN"

        def once() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, alone)

    async def close(self) -> None:
        """After what is under way."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown(wait=False)


def _at_once(error: OperationalError, after_s: float) -> bool:
    """Whether it was refused for another program that writes, or has written since its first look, without a wait."""
    code = getattr(error.orig, "sqlite_errorcode", None) or 0
    return code & _PRIMARY == sqlite3.SQLITE_BUSY and after_s < BUSY_TIMEOUT_MS / 1000


def _tune(connection: Any, _record: Any) -> None:
    """Let SQLAlchemy begin transactions: sqlite3 itself would leave DDL, so migrations, outside of them."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
