"""The HTTP doors of control: a TCP port for health, metrics and API, a Unix socket for the commands of this machine.

uvicorn's HTTP/1.1 under two ASGI applications, on control's loop, with bounds: a head of 16 KB that must come within
5 s, one request a connection, a bounded number of connections. Over the Unix socket `scope["state"][ACCOUNT]` is the
uid of the process at the other end, by SO_PEERCRED; no header can set it, and over TCP it is not there.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import structlog
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

log = structlog.get_logger(__name__)

HEAD_DEADLINE_S = 5.0
MAX_HEAD_BYTES = 16 * 1024
MAX_CONNECTIONS = 200
CLOSE_S = 2.0
ACCOUNT = "bridge.account"
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7)


class _Connection(H11Protocol):
    """Who opens a connection asks, soon."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        peer = transport.get_extra_info("socket")
        if peer.family == socket.AF_UNIX:
            packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            self.app_state = {ACCOUNT: _CREDENTIALS.unpack(packed)[1]}
        self._late = self.loop.call_later(HEAD_DEADLINE_S, self._close_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        self._late.cancel()
        super().connection_lost(exc)

    def _close_silent(self) -> None:
        if getattr(self, "cycle", None) is None:  # uvicorn's annotation leaves out that it begins as None
            self.transport.abort()


@contextlib.asynccontextmanager
async def serve(app: Any, host: str, port: int) -> AsyncIterator[int]:
    """Serve the ASGI application inside the with block; gives the port. OSError when it is taken."""
    async with _served(app) as factory:
        server = await asyncio.get_running_loop().create_server(factory, host, port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


@contextlib.asynccontextmanager
async def serve_unix(app: Any, path: Path) -> AsyncIterator[None]:
    """The same on a Unix socket that only our own account (and root) can open. OSError when it cannot be made."""
    async with _served(app) as factory:
        before = os.umask(0o177)
        try:
            server = await asyncio.get_running_loop().create_unix_server(factory, str(path))
        finally:
            os.umask(before)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)  # noqa: ASYNC240  # no wait


@contextlib.asynccontextmanager
async def serve_both(app: Any, address: tuple[str, int], path: Path) -> AsyncIterator[int]:
    """Both; the TCP port, 0 when it is taken: that is no reason to be without records."""
    async with contextlib.AsyncExitStack() as stack:
        port = 0
        try:
            port = await stack.enter_async_context(serve(app, *address))
        except OSError as error:
            log.error("health.no_port", port=address[1], reason=str(error))  # noqa: TRY400
        try:
            await stack.enter_async_context(serve_unix(app, path))
        except OSError as error:
            log.error("api.no_socket", reason=str(error))  # noqa: TRY400
        yield port


@contextlib.asynccontextmanager
async def _served(app: Any) -> AsyncIterator[Any]:
    """Makes connections; in the end it waits a moment for those that are being answered."""
    config = Config(
        app,
        log_config=None,
        log_level="error",
        access_log=False,
        lifespan="off",
        ws="none",
        http=_Connection,
        server_header=False,
        proxy_headers=False,  # who asks is not for a header to say
        headers=[("connection", "close")],
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        limit_concurrency=MAX_CONNECTIONS,
    )
    config.load()
    state = ServerState()
    state.default_headers = config.encoded_headers
    loop = asyncio.get_running_loop()
    try:
        yield lambda: _Connection(config, state, {}, loop)
    finally:
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=CLOSE_S)
        for connection in tuple(state.connections):
            connection.transport.abort()
        for task in state.tasks:
            task.cancel()
