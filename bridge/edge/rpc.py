"""Asks a running Kamailio something: JSON-RPC over its Unix datagram socket (module jsonrpcs), or over its FIFO.

An answer by datagram may have 128 kB, which is a list of 36 workers (measured, Kamailio 5.6.3: a longer one is not sent
at all). So what grows with the installation, the dispatcher's list and the htables, is asked for through the FIFO and
comes back through one of ours (`ask_long`). One question at a time, each with a deadline. Shell: its own file beside
Kamailio's, removed afterwards. Used by control, the daemon's wrapper and the command line.
"""

import asyncio
import contextlib
import itertools
import json
import os
import socket
from pathlib import Path
from typing import Any

from bridge.errors import EdgeError

SOCKET = "kamailio.sock"
FIFO = "kamailio.fifo"
ANSWER_S = 2.0
MAX_ANSWER_BYTES = 1 << 20
MAX_LONG_BYTES = 64 << 20
LONG_ANSWER_S = 10.0
COUNTERS = {
    "full": "calls refused or overflowed because all workers were full",
    "overflow": "calls sent to edge.overflow",
    "failover": "workers passed over for the next one",
    "media": "calls refused because rtpengine was away",
    "rate": "calls refused by edge.limits",
    "silent": "requests of strangers without an answer",
    "denied": "requests of edge.deny",
    "banned": "addresses banned",
    "badauth": "wrong passwords",
    "sdp": "SDP refused",
    "multipart": "multipart bodies refused",
    "large": "messages too large",
    "insane": "malformed requests",
    "badreply": "answers whose body was taken out",
    "astray": "requests and answers of no known dialog",
}
"""Counters of the configuration (htable `count`), for people."""
_NUMBERS = itertools.count(1)


class KamailioRpc:
    """`folder`: where its socket lies. `owner`: user id that Kamailio has, when we are root."""

    def __init__(self, folder: Path, *, owner: int | None = None, answer_s: float = ANSWER_S) -> None:
        self._folder = (
            folder.resolve()
        )  # Kamailio answers to this path, and may not get at the one by the link
        self._owner = owner
        self._answer_s = answer_s

    async def ask(self, method: str, *params: str | int) -> Any:
        """The result. Raises EdgeError: nobody answers, or Kamailio refuses."""
        number = next(_NUMBERS)
        path = self._folder / f"rpc-{os.getpid()}-{number}.sock"
        question = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": number}
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
                ours.setblocking(False)
                ours.bind(str(path))
                if self._owner is not None:
                    os.chown(path, self._owner, -1)
                answer = await self._exchange(ours, json.dumps(question).encode())
        except TimeoutError:
            raise EdgeError(f"Kamailio did not answer {method} within {self._answer_s:g} s") from None
        except OSError as error:
            raise EdgeError(f"Kamailio is not there ({self._folder / SOCKET}: {error.strerror})") from error
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
        return _result(method, answer)

    async def ask_long(self, method: str, *params: str | int) -> Any:
        """The same for an answer of any length."""
        name = f"reply-{os.getpid()}-{next(_NUMBERS)}"  # no dot: Kamailio refuses such a name
        question = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1, "reply_name": name}
        path, ours = self._folder / name, -1
        try:
            os.mkfifo(path, 0o600)
            if self._owner is not None:
                os.chown(path, self._owner, -1)
            ours = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            _write(self._folder / FIFO, json.dumps(question).encode() + b"\n")
            async with asyncio.timeout(max(self._answer_s, LONG_ANSWER_S)):
                answer = await _read_all(ours)
        except TimeoutError:
            raise EdgeError(f"Kamailio did not answer {method} within {LONG_ANSWER_S:g} s") from None
        except OSError as error:
            raise EdgeError(f"Kamailio is not there ({self._folder / FIFO}: {error.strerror})") from error
        finally:
            if ours >= 0:
                os.close(ours)
            path.unlink(missing_ok=True)
        return _result(method, answer)

    async def table(self, name: str) -> dict[str, str]:
        """Everything in one of Kamailio's htables. Raises EdgeError."""
        found = await self.ask_long("htable.dump", name)
        slots = [slot for entry in found or [] for slot in entry.get("slot", ())]
        return {str(slot["name"]): str(slot["value"]) for slot in slots}

    async def _exchange(self, ours: socket.socket, question: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._answer_s):
            await loop.sock_sendto(ours, question, str(self._folder / SOCKET))
            return await loop.sock_recv(ours, MAX_ANSWER_BYTES)


def _write(path: Path, data: bytes) -> None:
    """To a FIFO that somebody reads. Raises OSError when nobody does. Less than PIPE_BUF bytes go in whole."""
    fifo = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(fifo, data)
    finally:
        os.close(fifo)


async def _read_all(fifo: int) -> bytes:
    """What somebody writes to it, until they close it. Before they have opened it, it is at its end as well."""
    loop, pieces, readable = asyncio.get_running_loop(), bytearray(), asyncio.Event()
    loop.add_reader(fifo, readable.set)
    try:
        while len(pieces) < MAX_LONG_BYTES:
            await readable.wait()
            readable.clear()
            with contextlib.suppress(BlockingIOError):
                piece = os.read(fifo, 1 << 20)
                if not piece and pieces:
                    break
                pieces += piece
    finally:
        loop.remove_reader(fifo)
    return bytes(pieces)


def _result(method: str, answer: bytes) -> Any:
    try:
        data = json.loads(answer)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise EdgeError(f"Kamailio's answer to {method} is not JSON")
    if "error" in data:
        error = data["error"]
        said = error.get("message", "") if isinstance(error, dict) else error
        raise EdgeError(f"Kamailio refuses {method}: {said}")
    return data.get("result")
