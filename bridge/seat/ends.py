"""The bridge's side of a seat: a call to listen to, or one that the seat places itself. 20 ms each way, at each beat.

    WorkerEnd   datagrams with the worker that has the call (call/seatline.py)
    PhoneEnd    a SIP call to this bridge, as any phone makes one: same routing, recording, gate

Shells.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from bridge.config import MediaConfig, SipConfig
from bridge.errors import SipError
from bridge.media.frame import FRAME_MS, RATE_HZ, WIDE_RATE_HZ, bytes_per_ms
from bridge.media.mixer import Mixer
from bridge.media.resample import converted
from bridge.media.seatwire import SeatWire, Side
from bridge.media.tones import ringback
from bridge.ports import free_sip_port
from bridge.seat.order import Dial, Listen
from bridge.seat.steady import Steady
from bridge.sip.agent import SipAgent
from bridge.sip.events import Confirmed, HangUpBy, HungUp, Ringing
from bridge.sip.leg import Leg

log = structlog.get_logger(__name__)

FIRST_SIP_PORT, SIP_PORTS = 10_000, 9_000
"""As bridge/sim/phone.py: each process looks for a free port from one of its own on."""
RTP_PORTS = (31000, 31998)
SILENT_S = 4.0
NO_WORKER = "worker"
"""Why, when the worker was never heard: the page has words for it."""
LOOK_S = 0.5
RING_S = 60.0
BYE_S = 2.0
BYES = 3
KEYS = frozenset("0123456789*#ABCD")
MAX_KEYS = 32
ME, PHONE = "seat", "phone"
Tell = Callable[[dict[str, Any]], None]


class End(Protocol):
    """`rate_hz`: of the frames."""

    rate_hz: int

    def exchange(self, frame: bytes) -> bytes | None:
        """20 ms of the microphone there; 20 ms for the loudspeaker back, None: nothing."""

    def obey(self, words: dict[str, Any]) -> None:
        """What the page wants."""

    async def run(self, tell: Tell) -> str:
        """To the end; says why. `tell`: what the page is to know."""


class Caller(Protocol):
    """The part of SipAgent that is used."""

    async def call(self, uri: str, headers: Mapping[str, str] | None = None, from_uri: str = "") -> Leg:
        """Place a call."""


class WorkerEnd(asyncio.DatagramProtocol):
    """A party of a call; one of which nothing is heard for `silent_s` is over."""

    def __init__(self, listen: Listen, silent_s: float = SILENT_S) -> None:
        self._silent_s = silent_s
        self.rate_hz = listen.rate_hz
        size = FRAME_MS * bytes_per_ms(listen.rate_hz)
        self._wire = SeatWire(bytes.fromhex(listen.key), Side.SEAT, size)
        host, _, port = listen.address.rpartition(":")
        self._address = (host, int(port))
        self._heard = Steady(size)
        self._heard_s = time.monotonic()
        self._ever = False
        self._transport: asyncio.DatagramTransport | None = None
        self._over = asyncio.Event()

    def exchange(self, frame: bytes) -> bytes | None:
        """See End."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(self._wire.seal(frame))
        return self._heard.take()

    def obey(self, words: dict[str, Any]) -> None:
        """Nothing: what a supervisor may do goes through control."""

    async def run(self, tell: Tell) -> str:
        """See End."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=self._address)
        self._heard_s = time.monotonic()
        tell({"state": "on_call"})
        try:
            while not self._over.is_set():
                await asyncio.sleep(LOOK_S)
                if time.monotonic() - self._heard_s > self._silent_s:
                    return "nothing is heard of the call any more" if self._ever else NO_WORKER
            return "the call is over"
        finally:
            for _ in range(BYES):
                self._transport.sendto(self._wire.seal())
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Of asyncio; the socket is connected, so the kernel lets in nobody else."""
        del addr
        frame = self._wire.open(data)
        if frame is None:
            return
        self._heard_s, self._ever = time.monotonic(), True
        if frame:
            self._heard.put(frame)
        else:
            self._over.set()

    def error_received(self, exc: Exception) -> None:
        """Of asyncio: nobody is there. Silence says it too."""
        del exc


class PhoneEnd:
    """A phone with the browser's microphone. Wideband is offered; a bridge without it takes G.711."""

    def __init__(self, dial: Dial) -> None:
        self.rate_hz = WIDE_RATE_HZ
        self._dial = dial
        self._mixer = Mixer()
        self._mixer.join(ME)
        self._mixer.join(PHONE)
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_KEYS)
        self._tone, self._toned = b"", 0

    def exchange(self, frame: bytes) -> bytes | None:
        """See End."""
        self._mixer.say(ME, frame)
        return self._mixer.hear(ME) or self._ringing()

    def obey(self, words: dict[str, Any]) -> None:
        """{"keys": …}, {"hang_up": true}."""
        if not self._orders.full():
            self._orders.put_nowait(words)

    async def run(self, tell: Tell) -> str:
        """See End."""
        bind = self._dial.bind
        port = free_sip_port(bind, FIRST_SIP_PORT + os.getpid() % SIP_PORTS)
        first, last = RTP_PORTS
        sip = SipConfig(
            bind=bind, port=port, rtp_first=first, rtp_last=last, codecs=("G722", "PCMU", "PCMA"),
            user_agent="sipbridge-console", max_calls=1,
        )  # fmt: skip
        tell({"state": "calling"})
        async with SipAgent(sip, MediaConfig(rate_hz=self.rate_hz)) as agent:
            return await self.place(agent, tell)

    async def place(self, agent: Caller, tell: Tell) -> str:
        """The call, on this SIP side; as `run`."""
        try:
            leg = await agent.call(self._dial.uri, self._dial.headers, self._dial.from_uri)
        except SipError as error:
            return str(error)
        obeying = asyncio.create_task(self._obey(leg))
        try:
            return await self._follow(leg, tell)
        finally:
            obeying.cancel()
            await asyncio.wait({obeying})
            await asyncio.shield(asyncio.create_task(_hung_up(leg)))

    async def _follow(self, leg: Leg, tell: Tell) -> str:
        due_s: float | None = time.monotonic() + RING_S
        while True:
            try:
                async with asyncio.timeout(None if due_s is None else max(due_s - time.monotonic(), 0)):
                    event = await leg.next_event()
            except TimeoutError:
                return f"not answered within {RING_S:g} s" if not leg.dialog.answered else "the longest call"
            match event:
                case Ringing():
                    self._tone = converted(ringback(5000), RATE_HZ, self.rate_hz)
                    tell({"state": "ringing"})
                case Confirmed():
                    self._tone, due_s = b"", time.monotonic() + self._dial.max_s
                    leg.audio.join(self._mixer, PHONE)
                    leg.audio.start()
                    tell({"state": "talking", "codec": leg.media.codec if leg.media else ""})
                case HungUp(status=status, reason=reason):
                    answered = leg.dialog.answered or status == 200
                    return reason or "hung up" if answered else f"{status} {reason}".strip()

    async def _obey(self, leg: Leg) -> None:
        while True:
            words = await self._orders.get()
            keys = str(words.get("keys", ""))[:MAX_KEYS]
            try:
                if words.get("hang_up"):
                    await leg.hang_up(HangUpBy.BRIDGE, 200, "the caller has finished")
                elif keys and set(keys) <= KEYS:
                    await leg.send_dtmf(keys)
            except (SipError, TimeoutError) as error:
                log.warning("seat.not_done", reason=str(error))

    def _ringing(self) -> bytes | None:
        """20 ms of the ringing tone, while it rings."""
        size = FRAME_MS * bytes_per_ms(self.rate_hz)
        if not self._tone:
            return None
        self._toned = (self._toned + size) % (len(self._tone) - len(self._tone) % size)
        return self._tone[self._toned : self._toned + size]


async def _hung_up(leg: Leg) -> None:
    """BYE or CANCEL, and its answer, if the other side does give one."""
    if leg.ended:
        return
    try:
        async with asyncio.timeout(BYE_S):
            await leg.hang_up(HangUpBy.BRIDGE, 200, "the browser has gone")
            while not isinstance(await leg.next_event(), HungUp):
                pass
    except (SipError, TimeoutError):
        log.warning("seat.bye_not_answered")
