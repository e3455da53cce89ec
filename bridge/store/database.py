"""What runs transactions: SQLite on a thread (sqlite.py), PostgreSQL by asyncpg on a loop of its own (postgres.py).

    Store.transaction ─► Database.run(doing, work) ─► work(connection) in one transaction

`work` is the same plain function for both: it gets a SQLAlchemy connection, reads and writes, and returns. On SQLite
transactions of one process never overlap; on PostgreSQL they do (READ COMMITTED), and so do those of several nodes:
whoever reads something in order to write what depends on it takes `lock` first. `work` may be called again from the
start when PostgreSQL picked it as the victim of a deadlock, so it must have no effect but on the connection.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, InterfaceError, NoSuchModuleError, OperationalError, SQLAlchemyError

from bridge.errors import StoreAwayError, StoreError

T = TypeVar("T")
POSTGRESQL = "postgresql"
CHANNEL = "sipbridge"


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """Of PostgreSQL; seconds. `connections`: at most so many transactions at a time."""

    connections: int = 4
    connect_s: float = 3.0
    deadline_s: float = 10.0


class Database(Protocol):
    """One opened database. Every method raises StoreError; then nothing was done."""

    name: str
    """`sqlite` or `postgresql`."""

    async def run(self, doing: str, work: Callable[[sa.Connection], T], *, one_moment: bool = False) -> T:
        """Do `work` in one transaction, to its end even when the caller is cancelled.

        `one_moment`: all its reads see the database as it was at the first of them.
        """

    async def close(self) -> None:
        """Let go of every connection. Safe to call again."""


def few_lengths(keys: Collection[str]) -> list[str]:
    """Keys for an IN, some of them again at the end, so that there are as many as a power of two.

    An IN of another length is another statement. What links bring at a time is of every length, and each connection
    keeps each statement, on our side and on the server's: some megabytes, which took hours to fill.
    """
    ordered = sorted({*keys})
    wanted = 1 << (len(ordered) - 1).bit_length() if ordered else 0
    return ordered + ordered[-1:] * (wanted - len(ordered))


def lock(connection: sa.Connection, name: str) -> None:
    """Until this transaction ends nobody else, on any node, has the lock of this name."""
    if connection.dialect.name == POSTGRESQL:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key(name)})


def lock_key(name: str) -> int:
    """A name as the 64 bits that an advisory lock takes."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def notify(connection: sa.Connection, topic: str, **words: str | int) -> None:
    """Wake every node that listens (listen.py) when this transaction commits; nothing on SQLite."""
    if connection.dialect.name == POSTGRESQL:
        text = json.dumps({"topic": topic, **words}, separators=(",", ":"))
        connection.execute(sa.text("SELECT pg_notify(:channel, :text)"), {"channel": CHANNEL, "text": text})


def now(connection: sa.Connection) -> float:
    """Unix seconds of the database's clock: the only one that all nodes share."""
    if connection.dialect.name == POSTGRESQL:
        query = sa.text("SELECT extract(epoch FROM clock_timestamp())::float8")
    else:
        query = sa.text("SELECT (julianday('now') - 2440587.5) * 86400.0")
    return float(connection.execute(query).scalar_one())


def plain(text: str) -> str:
    """What a database takes: no lone surrogate (legal JSON, but no UTF-8), no NUL (PostgreSQL has none)."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def parsed(url: str) -> sa.URL:
    """The URL in parts. StoreError: it is none."""
    try:
        return sa.make_url(url)
    except ArgumentError as error:
        raise StoreError(f"the store url (unreadable) cannot be used: {error}") from error


def shown(url: str) -> str:
    """The URL without a password."""
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(unreadable)"


@contextlib.contextmanager
def usable(url: str) -> Iterator[None]:
    """While an engine is made: what is wrong with the URL, or missing for it, as a StoreError."""
    try:
        yield
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError(f"the store url {shown(url)} cannot be used: {error}") from error
    except ImportError as error:
        name = error.name or "greenlet"
        how = "sipbridge[postgres]" if name in {"asyncpg", "greenlet"} else name
        raise StoreError(f"the store {shown(url)} needs the package {name}: pip install {how}") from error


@contextlib.contextmanager
def errors(doing: str) -> Iterator[None]:
    """What a driver raises, as a StoreError; StoreAwayError when the database cannot be reached."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        away = isinstance(error, InterfaceError | OperationalError) and getattr(
            error, "connection_invalidated", False
        )
        kind = StoreAwayError if away else StoreError
        raise kind(f"{doing}: {_plain(cause)}") from error
    except OSError as error:
        raise StoreAwayError(f"{doing}: {error}") from error


def _plain(cause: BaseException) -> str:
    """SQLAlchemy's asyncpg dialect puts the class of the driver's error before its words."""
    words = str(cause)
    return words.partition(">: ")[2] or words if words.startswith("<class ") else words
