"""PostgreSQL as a Database: asyncpg below SQLAlchemy's AsyncEngine, on a thread with an asyncio loop of its own.

    control's loop ──coroutine──► thread "store": pool of connections ─► BEGIN, run_sync(work), COMMIT

Why a thread: `work` is plain code that may go through a hundred thousand rows; a call's tool must not wait for it, and
a cancelled caller must not cut a transaction in half. Every transaction has a deadline; a connection that does not
answer within it is thrown away, and the server ends a session that stands idle in a transaction for so long: a node
that vanished holds no lock. Isolation is READ COMMITTED; a deadlock's victim is tried again.
"""

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import asyncpg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bridge.errors import StoreError
from bridge.store.database import POSTGRESQL, DatabaseOptions, errors, usable

T = TypeVar("T")
AGAIN = frozenset({"40001", "40P01"})
"""SQLSTATE of serialization_failure and deadlock_detected: surely nothing was done."""
TRIES = 4
_AWAY = ("08", "57P", "53300")
"""SQLSTATEs of a server that starts, stops, is a standby or has no room: another time it may."""


class Postgres:
    """See Database. Nothing is connected before the first `run`."""

    name = POSTGRESQL

    def __init__(self, url: str, options: DatabaseOptions) -> None:
        self._options = options
        with usable(url):
            self._engine = _engine(url, options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="store", daemon=True)
        self._thread.start()
        self._under_way: set[asyncio.Future[Any]] = set()

    async def run(self, doing: str, work: Callable[[sa.Connection], T], *, one_moment: bool = False) -> T:
        """One transaction within the deadline."""
        return await self._there(self._transaction(doing, work, one_moment))

    async def close(self) -> None:
        """After what is under way, which has its deadline: close the pool and end the thread."""
        if self._loop.is_closed():
            return
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self._there(self._engine.dispose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it on the store's loop, to its end whoever still waits."""
        running = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
        self._under_way.add(running)
        running.add_done_callback(self._seen)
        return await asyncio.shield(running)

    def _seen(self, done: "asyncio.Future[Any]") -> None:
        """Nobody may be waiting any more; an error that nobody fetches would be logged as a bug."""
        self._under_way.discard(done)
        if not done.cancelled():
            done.exception()

    async def _transaction(self, doing: str, work: Callable[[sa.Connection], T], one_moment: bool) -> T:
        limit_s = self._options.deadline_s
        with errors(doing):
            try:
                async with asyncio.timeout(limit_s):
                    return await self._tried(work, one_moment)
            except TimeoutError as error:
                raise OSError(f"the database has not answered within {limit_s:g} s") from error

    async def _tried(self, work: Callable[[sa.Connection], T], one_moment: bool) -> T:
        for tries in range(1, TRIES + 1):
            try:
                return await self._once(work, one_moment)
            except PoolTimeoutError as error:
                raise TimeoutError from error
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in AGAIN or tries == TRIES:
                    raise
            await asyncio.sleep(random.uniform(0.005, 0.02) * tries)  # noqa: S311  # not a secret
        raise AssertionError

    async def _once(self, work: Callable[[sa.Connection], T], one_moment: bool) -> T:
        async with self._engine.connect() as connection:
            if one_moment:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            async with connection.begin():
                return await connection.run_sync(work)


def _engine(url: str, options: DatabaseOptions) -> AsyncEngine:
    # asyncpg reads the URL itself: only so it knows libpq's words (sslmode, several hosts, target_session_attrs).
    parsed = sa.make_url(url)
    dsn = parsed.set(drivername=POSTGRESQL).render_as_string(hide_password=False)

    async def connect() -> "asyncpg.Connection[Any]":
        return await connection_to(dsn, options)

    return create_async_engine(
        parsed.set(drivername="postgresql+asyncpg", query={}),
        async_creator=connect,
        pool_size=options.connections,
        max_overflow=0,
        pool_timeout=options.deadline_s,
        # After a restart of the server every kept connection is dead: that is found out before a work, not in it.
        pool_pre_ping=True,
    )


async def connection_to(dsn: str, options: DatabaseOptions) -> "asyncpg.Connection[Any]":
    """A connection. Raises OSError: the server is not there now; StoreError: it does not want us."""
    limit_ms = f"{options.deadline_s * 1000:.0f}"
    settings = {
        "application_name": "sipbridge",
        "statement_timeout": limit_ms,
        "idle_in_transaction_session_timeout": limit_ms,
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }
    try:
        return await asyncpg.connect(
            dsn, timeout=options.connect_s, command_timeout=options.deadline_s, server_settings=settings
        )
    except TimeoutError as error:
        raise OSError(f"the server has not answered within {options.connect_s:g} s") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        state = getattr(error, "sqlstate", None)
        if isinstance(error, asyncpg.TargetServerAttributeNotMatched) or (state or "").startswith(_AWAY):
            raise OSError(str(error)) from error
        raise StoreError(f"PostgreSQL does not take the connection: {error}") from error


@contextlib.contextmanager
def driver_errors() -> Iterator[None]:
    """For who uses a connection without SQLAlchemy: what asyncpg raises, as an OSError."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise OSError(str(error) or "no answer in time") from error
