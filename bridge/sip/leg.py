"""One SIP leg as the call sees it: commands to give, events to await, audio to move. asyncio side only.

A leg holds no pj object and no rule: commands go to the agent's pj thread by leg id, legality is
`LegDialog`'s, audio is
`AudioPort`'s. It is made by the agent, for an INVITE that came or for a call we place.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from bridge.sip.dialog import Command, LegDialog, LegState
from bridge.sip.events import (
    Dtmf,
    DtmfMethod,
    HangUpBy,
    Held,
    HungUp,
    Invite,
    LegEvent,
    MediaStarted,
    MediaStats,
    Replaced,
    Resumed,
)
from bridge.sip.headers import with_headers
from bridge.sip.keys import Keys
from bridge.sip.ladder import Book, Line
from bridge.sip.port import AudioPort
from bridge.trunk import Trunk

MAX_QUEUED_EVENTS = 200  # a peer that floods digits loses digits, never a hang-up
MAX_DIGITS = 1000  # of one call: each is an event in the store, and nobody presses so many

T = TypeVar("T")


class CommandSink(Protocol):
    """The part of SipAgent a leg needs. `book`: what was read of SIP messages and not taken yet."""

    book: Book

    async def command(self, leg_id: str, action: Callable[[Any], T], default: T) -> T:
        """Run `action` with the leg's pj call on the pj thread."""


class Leg:
    """A call leg.

    `next_event()` gives its LegEvents in order, at last a HungUp. `media`: the stream that ran last, if any.
    `trunk`: whose call it is, None when it came from nobody known.
    `dialogs`: Call-IDs that it has had.
    `held`: the peer has us on hold, from the start perhaps; known when `answer()` returns.
    """

    def __init__(
        self,
        leg_id: str,
        invite: Invite,
        audio: AudioPort,
        sink: CommandSink,
        *,
        incoming: bool,
        trunk: Trunk | None = None,
    ) -> None:
        self.id = leg_id
        self.invite = invite
        self.audio = audio
        self.trunk = trunk
        self.dialog = LegDialog(incoming=incoming)
        self.media: MediaStarted | None = None
        self.held = False
        self.dropped_events = 0
        self.dialogs = [invite.sip_call_id]
        self._digits = 0
        self._keys = Keys()
        self._sink = sink
        self._events: asyncio.Queue[LegEvent] = asyncio.Queue()

    def receive(self, event: LegEvent) -> None:
        """An event of the pj thread, now on the loop."""
        self.dialog.receive(event)
        if isinstance(event, HungUp):
            self.audio.stop()
        if isinstance(event, MediaStarted):
            self.media = event
        if isinstance(event, Replaced):
            self.dialogs.append(event.invite.sip_call_id)
        if isinstance(event, Held | Resumed):
            self.held = isinstance(event, Held)
        if isinstance(event, Dtmf) and not self._keys.is_new(event, time.monotonic()):
            return
        if isinstance(event, Dtmf):
            self._digits += 1
            if self._digits > MAX_DIGITS or self._events.qsize() >= MAX_QUEUED_EVENTS:
                self.dropped_events += 1
                return
        self._events.put_nowait(event)

    async def next_event(self) -> LegEvent:
        """The next event; safe to cancel."""
        return await self._events.get()

    def messages(self) -> list[Line]:
        """The SIP messages of this leg since the last time, for the record; none where none are kept."""
        return [line for dialog in self.dialogs if dialog for line in self._sink.book.take(dialog)]

    async def ring(self, status: int = 180) -> bool:
        """Send 180 Ringing (or another provisional status). False when it is too late for it."""
        return await self._do(Command.RING, lambda call: call.respond(status))

    async def early_media(self) -> bool:
        """Send 183 Session Progress with SDP: from then on `audio` can be started and heard before the answer.

        False when it is too late. Raises SipError when there is no common codec.
        """
        return await self._do(Command.EARLY_MEDIA, lambda call: call.respond(183))

    async def answer(self) -> bool:
        """Send 200 OK. False when it is too late (the caller has cancelled)."""
        return await self._do(Command.ANSWER, lambda call: call.respond(200))

    async def hang_up(self, by: HangUpBy, status: int = 200, reason: str = "") -> bool:
        """End the leg: a final response before the answer, BYE after it. The cause goes along as a Reason header."""
        return await self._do(Command.HANG_UP, lambda call: call.end(by, status, reason))

    async def send_dtmf(self, digits: str, method: DtmfMethod | None = None) -> bool:
        """Send keypad digits to the peer, by the trunk's method when none is named."""
        method = method or DtmfMethod(self.trunk.dtmf if self.trunk else DtmfMethod.RFC4733)
        return await self._do(Command.SEND_DTMF, lambda call: call.send_digits(digits, method))

    async def transfer(self, target: str, headers: Mapping[str, str] | None = None) -> bool:
        """REFER the peer to a SIP URI (RFC 3515); TransferProgress events tell what became of it.

        `headers` go along in the Refer-To URI: the peer is to put them into its INVITE (RFC 3261 section 19.1.1).
        Raises SipError for a header that may not.
        """
        uri = with_headers(target, headers or {})
        return await self._do(Command.TRANSFER, lambda call: call.refer(uri))

    async def transfer_to(self, other: "Leg") -> bool:
        """Attended transfer: REFER the peer to the peer of `other`, whose dialog it is to replace (RFC 3891).

        TransferProgress events tell what became of it; both legs stay until somebody hangs them up. False when either
        is not up.
        """
        if not other.dialog.answered:
            return False
        return await self._do(Command.TRANSFER, lambda call: call.refer_replacing(other.id))

    async def stats(self) -> MediaStats:
        """RTP counters so far."""
        return await self._sink.command(self.id, lambda call: call.read_stats(), MediaStats())

    async def sip_call_id(self) -> str:
        """The Call-ID header of this dialog, for a call we placed; "" when it is over."""
        return await self._sink.command(self.id, lambda call: str(call.getInfo().callIdString), "")

    @property
    def ended(self) -> bool:
        """Whether the leg is over (or a hang-up is on its way)."""
        return self.dialog.state is LegState.ENDED

    async def _do(self, command: Command, action: Callable[[Any], None]) -> bool:
        if not self.dialog.may(command):
            return False

        def run(call: Any) -> bool:
            action(call)
            return True

        return await self._sink.command(self.id, run, default=False)
