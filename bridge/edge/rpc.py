"""Asks a running Kamailio something: JSON-RPC over its Unix datagram socket (module jsonrpcs).

One question at a time, each with a deadline. Shell: its own socket file beside Kamailio's, removed afterwards. Used by
control, the daemon's wrapper and the command line.
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
ANSWER_S = 2.0
MAX_ANSWER_BYTES = 1 << 20
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
    "astray": "requests of no known dialog",
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

    async def table(self, name: str) -> dict[str, str]:
        """Everything in one of Kamailio's htables. Raises EdgeError."""
        found = await self.ask("htable.dump", name)
        slots = [slot for entry in found or [] for slot in entry.get("slot", ())]
        return {str(slot["name"]): str(slot["value"]) for slot in slots}

    async def _exchange(self, ours: socket.socket, question: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._answer_s):
            await loop.sock_sendto(ours, question, str(self._folder / SOCKET))
            return await loop.sock_recv(ours, MAX_ANSWER_BYTES)


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
