"""What the call needs of a connection to the speech model, whichever way it is made.

Only the shape; websocket.py is one, tests bring in-memory ones. A transport carries text frames in order, knows
nothing of the protocol in them, and turns every failure into RemoteSessionError with a kind and a code.
"""

from typing import Protocol, Self


class Transport(Protocol):
    """An open, ordered, two-way stream of text frames. `async with` closes it at the end."""

    async def send(self, frame: str) -> None:
        """Send one frame. Raises RemoteSessionError when the peer is gone or does not take it in time."""

    def send_at_once(self, frame: str) -> bool:
        """Send one frame if that cannot wait for anything; False: nothing was sent, `send` may (or raises why not)."""

    async def recv(self) -> str | bytes:
        """The next frame. Raises RemoteSessionError at the end, whoever ended it."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End it in bounded time. Idempotent, never raises."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...
