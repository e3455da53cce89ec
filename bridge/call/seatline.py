"""A person's seat (bridge/seat: their browser) as a party of the call's conference: datagrams instead of a SIP leg.

    seat process ──20 ms, sealed──► SeatLine ─► mixer.say     mixer.hear ─► SeatLine ──► seat process

A worker has four lines and all may be busy with calls; this takes none. The seat is the clock: each of its datagrams is
answered by one, so that nobody who listens costs nothing, and nothing here paces audio. Only who has the key is heard,
and only at the address from which the first good datagram came. On the worker's loop; the mixer may be asked anywhere.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, cast

from bridge.call.context import NotDoneError
from bridge.media.mixer import Mixer
from bridge.media.seatwire import SeatWire, Side

FIRST_S = 20.0
"""For a seat to be made and to speak up: its process begins only when the worker's address is known."""
SILENT_S = 4.0
"""It sends all the time; one that does not is gone."""
LOOK_S = 0.5
BYES = 3

Address = tuple[str, int]


class SeatLine(asyncio.DatagramProtocol):
    """`here`: its first word has come; `over`: it is gone."""

    def __init__(self, wire: SeatWire, silence: bytes) -> None:
        self.here, self.over = asyncio.Event(), asyncio.Event()
        self.rejected = 0
        self._wire = wire
        self._silence = silence
        self._peer: Address | None = None
        self._heard_s = time.monotonic()
        self._transport: asyncio.DatagramTransport | None = None
        self._mixer: Mixer | None = None
        self._party = ""

    def join(self, mixer: Mixer, party: str) -> None:
        """From now on it is `party` of this conference, which must know it."""
        self._mixer, self._party = mixer, party

    def leave(self) -> None:
        """Out of the conference."""
        self._mixer = None

    async def watch(self) -> None:
        """Until it is gone."""
        while not self.over.is_set():
            await asyncio.sleep(LOOK_S)
            if time.monotonic() - self._heard_s > (SILENT_S if self._peer else FIRST_S):
                self.over.set()

    # ---- datagrams -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Of asyncio: a frame of the seat's, and one for it."""
        address = (str(addr[0]), int(addr[1]))
        frame = self._wire.open(data) if self._peer in {None, address} else None
        if frame is None:
            self.rejected += 1
            return
        self._peer, self._heard_s = address, time.monotonic()
        self.here.set()
        if not frame:
            self.over.set()
            return
        mixer, heard = self._mixer, None
        if mixer is not None:
            mixer.say(self._party, frame)
            heard = mixer.hear(self._party)
        self._send(heard or self._silence)

    def error_received(self, exc: Exception) -> None:
        """Of asyncio. A seat whose process has died: silence says it too, later."""
        del exc

    def _send(self, frame: bytes) -> None:
        if self._transport is not None and self._peer is not None and not self._transport.is_closing():
            self._transport.sendto(self._wire.seal(frame), self._peer)

    def close(self) -> None:
        """Say that it is over."""
        for _ in range(BYES):
            self._send(b"")
        if self._transport is not None:
            self._transport.close()
        self.over.set()

    @property
    def address(self) -> str:
        """IP:PORT, where the seat sends to."""
        host, port = self._transport.get_extra_info("sockname")[:2] if self._transport else ("", 0)
        return f"{host}:{port}"


@contextlib.asynccontextmanager
async def seat_line(bind: str, key: str, frame_bytes: int) -> AsyncIterator[SeatLine]:
    """A socket for one seat; at the end of the block it is told that it is over. `key`: hex. Raises NotDoneError."""
    try:
        wire = SeatWire(bytes.fromhex(key), Side.WORKER, frame_bytes)
    except ValueError as error:
        raise NotDoneError(f"no seat can be taken: {error}") from None
    try:
        _, line = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: SeatLine(wire, bytes(frame_bytes)), local_addr=(bind, 0)
        )
    except OSError as error:
        raise NotDoneError(f"no socket for a seat on {bind}: {error.strerror}") from None
    try:
        yield line
    finally:
        line.close()
