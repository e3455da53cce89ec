"""A phone line in memory: an RTP stream without RTP, a pj call without pjsip, a clock that moves when told.

`FakeStream` has the shape of natives.NativeStream, `FakePjCall` what a Leg asks of sip.pjcall.PjCall. Real
AudioPort, Leg and machines run on them.
"""

import asyncio
import time
from collections import deque

from bridge.media.dejitter import Dejitter
from bridge.media.frame import FRAME_BYTES
from bridge.media.intake import Intake
from bridge.media.playout import Playout
from bridge.sip.events import (
    Confirmed,
    Dtmf,
    DtmfMethod,
    HangUpBy,
    HungUp,
    Invite,
    MediaStarted,
    MediaStats,
    Party,
    Ringing,
    SdpFacts,
)
from bridge.sip.ladder import Book
from bridge.sip.leg import Leg
from bridge.sip.mediaclock import wake
from bridge.sip.port import AudioPort

TICK_S = 0.005


def frame(value=1000, ms=20):
    """PCM of a constant sample, recognisable after its journey."""
    return value.to_bytes(2, "little", signed=True) * (8 * ms)


class FakeStream:
    """One RTP stream: what the caller sends waits in `incoming`, what we send lands in `written`."""

    def __init__(self, ptime_ms=20, rate_hz=8000):
        self.ptime_ms = ptime_ms
        self.rate_hz = rate_hz
        self.frame_bytes = rate_hz // 500 * ptime_ms
        self.incoming = deque()
        self.written = []
        self.packets = 0
        self.lost = 0
        self.releases = 0

    def arrive(self, pcm):
        """A packet of `ptime_ms` came in."""
        assert len(pcm) == self.frame_bytes
        self.incoming.append(pcm)
        self.packets += 1

    def queued_frames(self):
        return len(self.incoming) * self.ptime_ms // 10

    def received(self):
        return self.packets, self.lost

    def read(self):
        return self.incoming.popleft() if self.incoming else bytes(self.frame_bytes)

    def write(self, pcm):
        assert len(pcm) == self.frame_bytes
        self.written.append(pcm)

    def release(self):
        self.releases += 1


def make_port(playout_ms=120_000, intake_ms=1000, rate_hz=8000):
    return AudioPort(
        asyncio.get_running_loop(),
        Playout(playout_ms, rate_hz=rate_hz),
        Intake(intake_ms, rate_hz),
        lambda ptime_ms: Dejitter(20, 60, ptime_ms),
        rate_hz,
    )


class FakePjCall:
    """Does what PjCall does, as far as the leg can see it: remembers, and answers with events."""

    def __init__(self, line):
        self.line = line
        self.responses = []
        self.ended = None
        self.digits = []
        self.stats = MediaStats(rx_packets=7, rx_lost=1)
        self.answers_bye = True
        self.referred = None

    def respond(self, status):
        self.responses.append(status)
        if status == 200:
            self.line.event(MediaStarted("PCMU", 20, "127.0.0.1:4000", direct=True))
            self.line.event(Confirmed())

    def end(self, by, status, reason):
        self.ended = (by, status, reason)
        if self.answers_bye:
            self.line.over(HungUp(by, 200 if 200 in self.responses else status, reason, self.stats))

    def refer(self, target, headers=None):
        self.referred = target

    def send_digits(self, digits, method):
        self.digits.append((digits, method))

    def read_stats(self):
        return self.stats


class FakeLine:
    """A leg with everything around it. `advance(ms)` lets the media clock tick; nothing else moves time."""

    def __init__(self, to="100", caller="200", headers=None, *, incoming=True, leg_id="leg-1", rate_hz=8000):
        self.stream = FakeStream(rate_hz=rate_hz)
        self.pj = FakePjCall(self)
        self.gone, self.book = False, Book()
        invite = Invite(
            "sip-1", f"sip:{to}@bridge", Party(caller, "phone", "Ann"), Party(to, "bridge"), headers=headers or {},
            source="127.0.0.1:5080", sdp=SdpFacts(("PCMU",)),
        )  # fmt: skip
        self.port = make_port(rate_hz=rate_hz)
        self.leg = Leg(leg_id, invite, self.port, self, incoming=incoming)
        self.port.attach(self.stream)
        self.now = time.monotonic()

    async def command(self, leg_id, action, default):
        """SipAgent.command."""
        await asyncio.sleep(0)
        return default if self.gone else action(self.pj)

    def event(self, event):
        """The pj thread says something."""
        asyncio.get_running_loop().call_soon(self.leg.receive, event)

    def over(self, end):
        """The dialog is over."""
        self.gone = True
        self.event(end)

    def answer(self):
        """Who was called takes the call."""
        self.event(Ringing(180))
        self.event(MediaStarted("PCMU", 20, "127.0.0.1:4002", direct=True))
        self.event(Confirmed())

    def refuse(self, status=486, reason="Busy Here"):
        """Who was called does not."""
        self.over(HungUp(HangUpBy.CALLER, status, reason))

    def press(self, digit):
        """A key."""
        self.event(Dtmf(digit, DtmfMethod.INFO))

    def hang_up(self, reason="Normal"):
        """The caller hangs up."""
        self.over(HungUp(HangUpBy.CALLER, 200, reason, self.pj.stats))

    def tick(self):
        """5 ms pass on the media clock."""
        self.now += TICK_S
        self.port.tick(self.now)
        wake((self.port,))

    async def advance(self, ms, speech=None):
        """Time passes; with `speech` the caller sends a packet of it every 20 ms."""
        for number in range(round(ms / 5)):
            if speech is not None and number % 4 == 0:
                self.stream.arrive(speech)
            self.tick()
            if number % 4 == 3:
                await settle()

    def heard(self):
        """Frames with agent audio the caller heard so far."""
        return [pcm for pcm in self.stream.written if any(pcm)]


async def settle(turns=10):
    """Let everything that is ready run."""
    for _ in range(turns):
        await asyncio.sleep(0)


SILENT = bytes(FRAME_BYTES)
