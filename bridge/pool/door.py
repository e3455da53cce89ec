"""The supervisor's socket: where ops ask how the pool is and have workers restarted or drained.

    client ──one line of JSON──► run/supervisor.sock ──► Crew.ask ──one line of JSON──► client, closed

Mode 0600: whoever may connect may also kill the processes. Everything is bounded: clients, length, time. Never blocks;
an answer that does not fit into the socket's buffer is cut off by closing it. Called by bridge/supervisor.py.
"""

import contextlib
import json
import os
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

MAX_CLIENTS = 8
MAX_ORDER_BYTES = 4096
PATIENCE_S = 5.0
DEAF_S = 1.0
SEND_BUFFER_BYTES = 1024 * 1024

Ask = Callable[[Mapping[str, Any], float], Mapping[str, Any]]


class Door:
    """Listens from the beginning; a socket that cannot be made is no reason not to carry calls, see `problem`."""

    def __init__(self, path: Path, selector: selectors.BaseSelector, ask: Ask) -> None:
        self._path = path
        self._selector = selector
        self._ask = ask
        self._clients: dict[socket.socket, tuple[float, bytes]] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.problem = ""
        self._deaf_until = 0.0
        before = os.umask(0o177)
        try:
            path.unlink(missing_ok=True)
            self._socket.bind(str(path))
            self._socket.listen(MAX_CLIENTS)
        except OSError as error:
            self.problem = f"nobody can ask for the workers: {path}: {error.strerror or error}"
            self._socket.close()
            return
        finally:
            os.umask(before)
        selector.register(self._socket, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Let go of the socket and of everybody who is there."""
        for client in list(self._clients):
            self._drop(client)
        if not self.problem:
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._socket)
            self._socket.close()
            self._path.unlink(missing_ok=True)

    def next_due(self) -> float | None:
        """When `tick` has something to do."""
        dues = [since + PATIENCE_S for since, _ in self._clients.values()]
        return min([*dues, *([self._deaf_until] if self._deaf_until else [])], default=None)

    def tick(self, now: float) -> None:
        """Send away who says nothing; listen again."""
        if self._deaf_until and now >= self._deaf_until:
            self._deaf_until = 0.0
            self._selector.register(self._socket, selectors.EVENT_READ, self._accept)
        for client, (since, _) in list(self._clients.items()):
            if now - since >= PATIENCE_S:
                self._drop(client)

    def _accept(self) -> None:
        try:
            client, _ = self._socket.accept()
        except OSError:  # no descriptor is left: whoever knocks would wake us again and again
            self._selector.unregister(self._socket)
            self._deaf_until = time.monotonic() + DEAF_S
            return
        if len(self._clients) >= MAX_CLIENTS:
            client.close()
            return
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._clients[client] = time.monotonic(), b""
        self._selector.register(client, selectors.EVENT_READ, partial(self._hear, client))

    def _hear(self, client: socket.socket) -> None:
        since, said = self._clients[client]
        try:
            data = client.recv(MAX_ORDER_BYTES)
        except OSError:
            data = b""
        said += data
        if b"\n" in said:
            answer = self._answer(said.partition(b"\n")[0])
            with contextlib.suppress(OSError):
                client.send(json.dumps(answer).encode() + b"\n")
        elif data and len(said) < MAX_ORDER_BYTES:
            self._clients[client] = since, said
            return
        self._drop(client)

    def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            order = json.loads(line)
        except (ValueError, RecursionError):
            order = None
        if not isinstance(order, dict):
            return {"ok": False, "error": 'one line with a JSON object is wanted: {"do": "status"}'}
        return self._ask(order, time.monotonic())

    def _drop(self, client: socket.socket) -> None:
        del self._clients[client]
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(client)
        client.close()
