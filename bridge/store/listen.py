"""Hears what other nodes tell over PostgreSQL's NOTIFY, on a connection of its own; comes back when it is cut.

    notify(connection, topic, …) ──commit──► "sipbridge" channel ──► Listener.run ──► told(topic, words)

A word is only a reason to look: what it is about is in the tables. Words are lost while the connection is, so whoever
depends on them looks by itself now and then too, and at once when `told` says "connected". Runs on its caller's loop.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from bridge.errors import StoreError
from bridge.store.database import CHANNEL, POSTGRESQL, DatabaseOptions, parsed

log = structlog.get_logger(__name__)

CONNECTED = "connected"
CHECK_S = 5.0
"""A connection that a network swallowed says nothing: it is asked so often."""
BACKOFF_S = (0.2, 5.0)
MAX_WORDS = 8000
Told = Callable[[str, Mapping[str, Any]], None]


class Listener:
    """`told(topic, words)` is called on the loop. `listening`: words arrive now."""

    def __init__(self, url: str, told: Told, options: DatabaseOptions | None = None) -> None:
        self.listening = False
        self._url = url
        self._told = told
        self._options = options or DatabaseOptions()

    async def run(self) -> None:
        """Until cancelled. Returns at once when the database is none that tells."""
        url = parsed(self._url)
        if url.get_backend_name() != POSTGRESQL:
            return
        dsn = url.set(drivername=POSTGRESQL).render_as_string(hide_password=False)
        first_s, most_s = BACKOFF_S
        pause_s = first_s
        while True:
            try:
                await self._listen(dsn)
            except (OSError, StoreError) as error:
                if self.listening or pause_s == first_s:
                    log.warning("nodes.deaf", reason=str(error))
                pause_s = first_s if self.listening else min(pause_s * 2, most_s)
            finally:
                self.listening = False
            await asyncio.sleep(pause_s)

    async def _listen(self, dsn: str) -> None:
        """Until the connection ends, which raises OSError."""
        from bridge.store.postgres import connection_to, driver_errors  # noqa: PLC0415  # asyncpg is an extra

        closed = asyncio.Event()
        connection = await connection_to(dsn, self._options)
        try:
            connection.add_termination_listener(lambda *_: closed.set())
            with driver_errors():
                await connection.add_listener(CHANNEL, self._hear)
                self.listening = True
                log.info("nodes.listening")
                self._told(CONNECTED, {})
                while not closed.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(CHECK_S):
                            await closed.wait()
                    if not closed.is_set():
                        await connection.execute("SELECT 1", timeout=CHECK_S)
            raise OSError("the connection was closed")
        finally:
            connection.terminate()

    def _hear(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        try:
            words = json.loads(str(payload)[:MAX_WORDS])
        except ValueError:
            return
        if isinstance(words, dict):
            self._told(str(words.get("topic")), words)
