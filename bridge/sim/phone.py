"""The phone: a SIP caller for the demo, the tests and canary calls, made of the bridge's own SIP agent.

    PhoneScript ──orders──► Phone ──► leg (INVITE, DTMF, BYE), audio.play
         ▲                    │
         └── level of what is heard, every 20 ms ◄── tap of the audio port ──► stereo recording, levels ──► Times

A shell: what to do when is phonescript.py's, what the audio tells is phonetimes.py's. One call and one SIP endpoint per
process (pjsua2 allows one). It never understands speech: that a caller was understood is the bridge's record to tell.
"""

import asyncio
import contextlib
import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bridge.config import MediaConfig, SipConfig
from bridge.errors import SipError
from bridge.media.frame import rms_dbfs
from bridge.media.recorder import RecorderThread, Recording
from bridge.ports import free_sip_port
from bridge.sim.phonefile import MAX_UTTERANCE_S, Lines
from bridge.sim.phonescript import HangUp, Order, Outcome, PhoneScript, SendKeys, Speak
from bridge.sim.phonetimes import Times, measure
from bridge.sip.agent import SipAgent
from bridge.sip.events import Confirmed, HangUpBy, HungUp, MediaStats, Ringing
from bridge.sip.leg import Leg

FIRST_SIP_PORT, SIP_PORTS = 10_000, 9_000
"""Each process looks for a free port from one of its own on, so that phones which start together do not collide."""
RTP_PORTS = (31000, 31998)
HANG_UP_WAIT_S = 2.0  # a peer that does not answer our BYE or CANCEL is not waited for any longer
RESOLVE_S = 5.0


@dataclass(frozen=True, slots=True)
class PhoneCall:
    """A call to place. `record`: stereo WAV, what the phone said left, what it heard right.

    `codecs`: offered, best first; the audio has the rate of `lines`, 16 kHz for G722.
    `from_uri`: a number, a SIP URI or a name-addr; the phone's own address when empty.
    `ring_s`: how long it may ring; `max_s`: how long it may last once answered.
    """

    uri: str
    lines: Lines
    headers: Mapping[str, str] = field(default_factory=dict)
    from_uri: str = ""
    record: Path | None = None
    ring_s: float = 30.0
    max_s: float = 120.0
    codecs: tuple[str, ...] = ("PCMU", "PCMA")


@dataclass(frozen=True, slots=True)
class PhoneReport:
    """How a call went. Times in milliseconds from the INVITE (`ring_ms`, `answer_ms`) or as `Times` says.

    `ended_by` is `phone` or `peer`; `status` and `reason` are the final SIP status, or the peer's Reason header.
    """

    uri: str
    answered: bool
    ring_ms: float | None
    answer_ms: float | None
    duration_s: float
    ended_by: str
    status: int
    reason: str
    codec: str
    script: Outcome
    steps: int
    steps_done: int
    problem: str
    times: Times
    rtp: MediaStats
    recording: str | None


async def place(call: PhoneCall) -> PhoneReport:
    """Place the call and run its script to the end.

    Raises SipError (no address to call from, no free port), MediaError (recording cannot be written).
    """
    bind = await asyncio.wait_for(asyncio.to_thread(address_towards, call.uri), RESOLVE_S)
    first, last = RTP_PORTS
    port = free_sip_port(bind, FIRST_SIP_PORT + os.getpid() % SIP_PORTS)
    sip = SipConfig(
        bind=bind,
        port=port,
        rtp_first=first,
        rtp_last=last,
        codecs=call.codecs,
        user_agent="sipbridge-phone",
        max_calls=1,
    )
    media = MediaConfig(rate_hz=call.lines.rate_hz, playout_max_s=2 * MAX_UTTERANCE_S)
    with RecorderThread(media.rate_hz) as recorder:
        recording = recorder.open(call.record) if call.record else None
        async with SipAgent(sip, media) as agent:
            report = await Phone(agent, call, recording, own_uri(call.from_uri, bind)).run()
        if recording is not None:
            await asyncio.to_thread(recording.close)
    return report


def address_towards(uri: str) -> str:
    """The local address from which the host of a SIP URI is reached. Blocks (DNS). Raises SipError."""
    found = re.match(r"^sips?:(?:[^@]*@)?(\[[^\]]+\]|[^:;?@\s]+)(?::(\d+))?(?=[;?]|$)", uri)
    if not found:
        raise SipError(400, f"{uri} is not a SIP URI such as sip:100@127.0.0.1:5060")
    host, port = found[1].strip("[]"), int(found[2] or 5060)
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError) as error:
        raise SipError(404, f"cannot reach {host}: {error}") from None


def own_uri(caller: str, host: str) -> str:
    """The From of a call: a number becomes a SIP URI at `host`; a URI or name-addr, and nothing, stay what they are."""
    return f"sip:{caller}@{host}" if caller and not re.search(r"[:<@]", caller) else caller


class Line(Protocol):
    """The part of SipAgent a phone needs."""

    async def call(self, uri: str, headers: Mapping[str, str] | None = None, from_uri: str = "") -> Leg:
        """Place a call."""


class Phone:
    """One call on `line`. Everything runs on the loop but `_tap`, which the media clock calls."""

    def __init__(
        self,
        line: Line,
        call: PhoneCall,
        recording: Recording | None = None,
        from_uri: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = line
        self._call = call
        self._recording = recording
        self._from_uri = from_uri
        self._clock = clock
        self._script = PhoneScript(call.lines.steps, call.lines.patience_ms)
        self._loop = asyncio.get_running_loop()
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        self._answered = asyncio.Event()
        self._said_dbfs: list[float] = []
        self._heard_dbfs: list[float] = []
        self._leg: Leg
        self._dialled_s = self._ended_s = clock()
        self._ringing_s: float | None = None
        self._answered_s: float | None = None

    async def run(self) -> PhoneReport:
        """From the INVITE to the end of the call. Raises SipError when the URI cannot be called at all."""
        self._leg = await self._line.call(self._call.uri, self._call.headers, self._from_uri)
        self._dialled_s = self._clock()
        async with asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(self._obey()), tasks.create_task(self._limit())]
            end = await self._until_hung_up()
            for helper in helpers:
                helper.cancel()
        return self._report(end)

    async def _until_hung_up(self) -> HungUp:
        while True:
            event = await self._leg.next_event()
            now = self._clock()
            match event:
                case Ringing():
                    self._ringing_s = self._ringing_s or now
                case Confirmed():
                    self._answered_s = now
                    self._answered.set()
                    self._leg.audio.record(self._tap)
                    self._leg.audio.start()
                    self._take(self._script.answered(now))
                case HungUp():
                    self._ended_s = now
                    self._script.hung_up(now)
                    return event

    async def _obey(self) -> None:
        while True:
            match await self._orders.get():
                case SendKeys(keys):
                    await self._send_keys(keys)
                case HangUp():
                    await self._leg.hang_up(HangUpBy.BRIDGE, 200, "the caller has finished")
                    await asyncio.sleep(HANG_UP_WAIT_S)
                    self._leg.receive(
                        HungUp(HangUpBy.BRIDGE, 408, "no answer to our hang-up", await self._leg.stats())
                    )

    async def _send_keys(self, keys: str) -> None:
        try:
            await self._leg.send_dtmf(keys)
        except SipError as error:
            self._script.stop(f"cannot send {keys}: {error}")
            self._orders.put_nowait(HangUp())

    async def _limit(self) -> None:
        try:
            async with asyncio.timeout(self._call.ring_s):
                await self._answered.wait()
        except TimeoutError:
            self._script.stop(f"not answered within {self._call.ring_s:g} s")
        else:
            await asyncio.sleep(self._call.max_s)
            self._script.stop(f"still not over after {self._call.max_s:g} s")
        self._orders.put_nowait(HangUp())

    # ---- audio -----------------------------------------------------------------------------------------------

    def _tap(self, heard: bytes, said: bytes) -> None:
        """Media thread: 20 ms of both sides."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the call is over
            self._loop.call_soon_threadsafe(self._frame, heard, said)

    def _frame(self, heard: bytes, said: bytes) -> None:
        level_dbfs = rms_dbfs(heard)
        self._heard_dbfs.append(level_dbfs)
        self._said_dbfs.append(rms_dbfs(said))
        if self._recording is not None:
            self._recording.write(said, heard)
        self._take(self._script.frame(level_dbfs, self._clock()))

    def _take(self, orders: list[Order]) -> None:
        for order in orders:
            if isinstance(order, Speak):
                item_id = f"utterance-{order.index}"
                self._leg.audio.play(item_id, self._call.lines.utterances[order.index])
                self._leg.audio.finish(item_id)
            else:
                self._orders.put_nowait(order)

    # ---- the report ------------------------------------------------------------------------------------------

    def _report(self, end: HungUp) -> PhoneReport:
        answered_s, ringing_s = self._answered_s, self._ringing_s
        media = self._leg.media
        return PhoneReport(
            uri=self._call.uri,
            answered=answered_s is not None,
            ring_ms=_since(self._dialled_s, ringing_s),
            answer_ms=_since(self._dialled_s, answered_s),
            duration_s=0.0 if answered_s is None else round(self._ended_s - answered_s, 3),
            ended_by="phone" if end.by is HangUpBy.BRIDGE else "peer",
            status=end.status,
            reason=end.reason,
            codec=media.codec if media else "",
            script=self._script.outcome,
            steps=len(self._call.lines.steps),
            steps_done=self._script.position,
            problem=self._script.problem,
            times=measure(self._said_dbfs, self._heard_dbfs),
            rtp=end.stats,
            recording=str(self._call.record) if self._call.record else None,
        )


def _since(start_s: float, at_s: float | None) -> float | None:
    return None if at_s is None else round((at_s - start_s) * 1000, 1)
