"""A leg that the call places itself: to a transfer target, a member of a queue, a supervisor.

    async with second_leg(context, "sales", ring_s=30) as other:      # INVITE; answered here, or NotDoneError
        async with connected(context.caller, other): await other.over.wait()

Whoever opens it closes it: at the end of the block the leg is hung up, whatever happened. On the worker's loop.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Mapping

import structlog

from bridge.call.context import CallContext, NotDoneError
from bridge.call.party import Party
from bridge.call.tasks import cancelled
from bridge.config import LimitsConfig
from bridge.errors import SipError
from bridge.media.mixer import Mixer
from bridge.sip.events import Confirmed, Dtmf, HangUpBy, Held, HungUp, MediaStarted, Resumed, Ringing
from bridge.sip.headers import clean
from bridge.sip.leg import Leg

log = structlog.get_logger(__name__)

HANG_UP_WAIT_S = 2.0
_PLAIN = re.compile(r"\+?[A-Za-z0-9._-]{1,64}")


class SecondLeg(Party):
    """`answered` and `over` are set as it goes; `end` says how it ended."""

    def __init__(self, name: str, leg: Leg) -> None:
        super().__init__(leg)
        self.name = name
        self.ringing = asyncio.Event()
        self.answered = asyncio.Event()
        self.over = asyncio.Event()
        self.end: HungUp | None = None
        self.codec = ""
        self.held_s: float | None = None
        self.ended_s: float | None = None
        self._gave_up_s: float | None = None

    async def watch(self) -> None:
        """Take the leg's events to its end."""
        while self.end is None:
            match await self.leg.next_event():
                case Ringing():
                    self.ringing.set()
                case Confirmed():
                    self.leg.audio.start()
                    self.answered.set()
                case MediaStarted() as media:
                    self.codec = media.codec
                case Dtmf(digit):
                    self.press(digit)
                case Held() | Resumed() as event:
                    self.held_s = time.monotonic() if isinstance(event, Held) else None
                    self.leg.audio.pause(self.held_s is not None)
                case HungUp() as end:
                    self.end, self.ended_s = end, time.monotonic()
                    self.over.set()
                    self.hush()  # nobody hears the rest

    async def give_up(self) -> None:
        """CANCEL or BYE, if that is still needed; does not wait for the other side."""
        if self.end is None and self._gave_up_s is None:
            self._gave_up_s = time.monotonic()
            with contextlib.suppress(SipError, TimeoutError):
                await self.leg.hang_up(HangUpBy.BRIDGE, 200, "the call is over")

    async def gone(self) -> None:
        """Until it is over, or its peer has had long enough to answer our BYE or CANCEL."""
        since_s = self._gave_up_s or time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(since_s + HANG_UP_WAIT_S - time.monotonic(), 0)):
                await self.over.wait()

    async def watch_playout(self) -> None:
        """Prompts on this leg end when they have been heard."""
        while True:
            for event in await self.leg.audio.playout_events():
                self.played(event)


@contextlib.asynccontextmanager
async def second_leg(
    context: CallContext, name: str, *, ring_s: float, headers: Mapping[str, str] | None = None
) -> AsyncIterator[SecondLeg]:
    """Call a target of the plan. In the block it is answered; raises NotDoneError when that does not happen."""
    async with dialling(context, name, headers) as other:
        await answer_of(other, ring_s)
        context.journal.note("leg.answered", leg=name, codec=other.codec)
        yield other


@contextlib.asynccontextmanager
async def dialling(
    context: CallContext, name: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[SecondLeg]:
    """Call a target of the plan; in the block it may be ringing yet. Raises NotDoneError."""
    uri = context.plan.transfers.get(name)
    if uri is None:
        known = ", ".join(sorted(context.plan.transfers)) or "none"
        raise NotDoneError(f"there is no transfer target {name[:40]!r}; there are: {known}")
    shown = {field: clean(context.render(value)) for field, value in (headers or {}).items()}
    trunk = context.plan.over.get(name, "")
    async with dialling_uri(context, name, uri, shown, trunk) as other:
        yield other


@contextlib.asynccontextmanager
async def dialling_uri(
    context: CallContext, name: str, uri: str, headers: Mapping[str, str], trunk: str = ""
) -> AsyncIterator[SecondLeg]:
    """Like `dialling`, to a SIP URI that is ours: never one that a caller or a model has given."""
    if context.deps.dial is None:
        raise NotDoneError("this process cannot place calls")
    try:
        shown = {"X-Call-ID": context.call_id, **headers}
        leg = await context.deps.dial(uri, shown, _from(context), trunk)
    except (SipError, TimeoutError) as error:
        raise NotDoneError(
            f"{name} cannot be called: {str(error) or 'no answer of the SIP thread'}"
        ) from None
    ordered_s, context.ordered_s = context.ordered_s, None
    since = {} if ordered_s is None else {"after_ms": round((time.monotonic() - ordered_s) * 1000, 1)}
    context.journal.note("leg.dialled", leg=name, leg_id=leg.id, **since)
    async with attended(context, SecondLeg(name, leg)) as other:
        yield other


@contextlib.asynccontextmanager
async def attended(context: CallContext, other: SecondLeg) -> AsyncIterator[SecondLeg]:
    """Its events are taken inside the block; at the end of it the leg is hung up."""
    tasks = [asyncio.create_task(other.watch()), asyncio.create_task(other.watch_playout())]
    began_s = time.monotonic()
    try:
        yield other
    finally:
        # Of a cancelled call too: a second leg must never outlive it.
        await asyncio.shield(asyncio.create_task(_close(context, other, tasks, began_s)))


async def answer_of(other: SecondLeg, ring_s: float) -> None:
    """Wait until it is answered. Raises NotDoneError: refused, busy, or it rang too long."""
    try:
        async with asyncio.timeout(ring_s):
            while not other.answered.is_set() and other.end is None:
                await _first(other.answered, other.over)
    except TimeoutError:
        raise NotDoneError(f"{other.name} did not answer within {ring_s:g} s") from None
    if other.end is not None:
        raise NotDoneError(f"{other.name} could not be reached: {other.end.status} {other.end.reason}")


@contextlib.asynccontextmanager
async def connected(*parties: Party) -> AsyncIterator[Mixer]:
    """The parties hear each other for as long as the block runs; keys of the first go to the second."""
    mixer = Mixer()
    names = [f"party-{number}" for number in range(len(parties))]
    for name, party in zip(names, parties, strict=True):
        mixer.join(name)
        party.leg.audio.join(mixer, name)
    try:
        yield mixer
    finally:
        for party in parties:
            party.leg.audio.leave()


async def pass_keys(caller: Party, other: Party) -> None:
    """What the caller presses goes to the other side (RFC 4733), until cancelled."""
    with caller.keys() as keys:
        while True:
            digit = await keys.get()
            with contextlib.suppress(SipError, TimeoutError):
                await other.leg.send_dtmf(digit)


async def end_when_silent(other: SecondLeg, limits: LimitsConfig) -> None:
    """Hang up on a party from which no packet has come for too long, or which has held us for too long."""
    while other.end is None:
        await asyncio.sleep(1)
        media = other.leg.media
        listens_only = media is not None and not media.peer_sends
        now = time.monotonic()
        silent_s = now - other.leg.audio.last_rx_s
        if other.held_s is not None:
            lost = now - other.held_s >= limits.hold_max_s
        else:
            lost = not listens_only and silent_s >= limits.rtp_timeout_s
        if lost:
            log.warning("leg.lost", leg=other.name, silent_s=round(silent_s), held=other.held_s is not None)
            await other.give_up()
            other.over.set()  # whoever sends nothing may not answer our BYE either
            return


async def _first(*events: asyncio.Event) -> None:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            await cancelled(task)


async def _close(
    context: CallContext, other: SecondLeg, tasks: list["asyncio.Task[None]"], began_s: float
) -> None:
    await other.give_up()
    await other.gone()
    for task in tasks:
        await cancelled(task)
    other.leg.audio.stop()
    end = other.end
    context.journal.sip(other.name, other.leg.messages())
    context.journal.note(
        "leg.ended",
        leg=other.name,
        answered=other.answered.is_set(),
        seconds=round((other.ended_s or time.monotonic()) - began_s, 1),
        by="" if end is None else ("callee" if end.by is HangUpBy.CALLER else end.by.value),
        status=0 if end is None else end.status,
        reason="" if end is None else end.reason,
    )


def _from(context: CallContext) -> str:
    """The caller's number goes along when it is one: whoever is called sees who it is."""
    number = context.facts.from_number
    bind = context.deps.config.sip.bind
    return f"<sip:{number}@{bind}>" if _PLAIN.fullmatch(number) else ""
