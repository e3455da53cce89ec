"""The steps `park` and `pick_up`: one call waits on a slot, another one fetches it, perhaps on another worker.

    parked ──park.wait (every second, with a fresh token)──► control ◄──park.take── picker
    parked ◄──INVITE sip:meet-<token>@worker (or, on the same worker, directly)──── picker

The parked caller hears music until somebody comes. Afterwards: when the one who picked up hangs up the parked call
ends; when the parked caller hangs up the picker's call goes on with its next step. On the worker's loop.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import structlog

from bridge.call.connecting import waiting
from bridge.call.context import CallContext, NotDoneError
from bridge.call.limits import Ending
from bridge.call.party import Party
from bridge.call.rendezvous import USER, Guest, Meeting, Visit
from bridge.call.secondleg import (
    SecondLeg,
    answer_of,
    attended,
    connected,
    dialling_uri,
    end_when_silent,
    pass_keys,
)
from bridge.call.tasks import either
from bridge.dialplan.steps import ParkStep, PickUpStep
from bridge.errors import LinkError
from bridge.strictjson import decode, encode
from bridge.waiting.slots import Parked

log = structlog.get_logger(__name__)

ASK_S = 3.0
LEAVE_S = 1.0
PICK_UP_S = 5.0
_SLOT = re.compile(r"[A-Za-z0-9*#._-]{1,32}")
NAME = "slot {slot}"


class Parking:
    """One call on one slot, as control is told."""

    def __init__(self, context: CallContext, slot: str, meeting: Meeting) -> None:
        self._context = context
        self._slot = slot
        self._meeting = meeting
        self._times = context.deps.times
        self._parked_at = time.time()
        self._since_s = time.monotonic()
        self.confirmed = False

    async def run(self) -> None:
        """Tell control, until cancelled. Raises NotDoneError: the slot is another's, or control is away."""
        while True:
            try:
                answer = await self._context.deps.request("park.wait", encode(self._now()), ASK_S)
            except LinkError as error:
                if not self.confirmed and time.monotonic() - self._since_s >= self._times.park_away_s:
                    raise NotDoneError(f"control does not know of the parked call: {error}") from None
            else:
                if not answer.get("parked"):
                    raise NotDoneError(f"slot {self._slot} is taken")
                if not self.confirmed:
                    self._context.journal.note("park.parked", slot=self._slot)
                self.confirmed = True
            await asyncio.sleep(self._times.poll_s)

    async def leave(self) -> None:
        """Parked no more. When control does not hear it, it sees that nobody asks any more."""
        with contextlib.suppress(LinkError):
            await self._context.deps.request("park.leave", {"call_id": self._context.call_id}, LEAVE_S)

    def _now(self) -> Parked:
        address = own_address(self._context)
        return Parked(self._context.call_id, self._slot, self._parked_at, address, self._meeting.token())


async def park(context: CallContext, step: ParkStep) -> None:
    """Wait to be picked up. Raises NotDoneError: the slot is taken, nobody came in time, control is away."""
    slot = _slot(context, step.slot)
    await context.caller.answer()
    with context.deps.rendezvous.meeting() as meeting:
        async with waiting(context, step.music):
            guest = await _picked_up(context, slot, meeting, step.timeout_s)
        context.journal.note("park.picked_up", slot=slot, here=isinstance(guest, Visit))
        async with received(context, NAME.format(slot=slot), guest) as (party, over):
            await _talk(context, party, over)
    await context.end(Ending(200, "picked_up", "the one who picked up hung up"))


async def _picked_up(context: CallContext, slot: str, meeting: Meeting, timeout_s: float) -> Guest:
    parking = Parking(context, slot, meeting)
    try:
        async with asyncio.timeout(timeout_s):
            guest = await either(meeting.guest(), parking.run())
    except TimeoutError:
        raise NotDoneError(f"nobody picked up slot {slot} within {timeout_s:g} s") from None
    finally:
        await asyncio.shield(asyncio.create_task(parking.leave()))
    if guest is None:
        raise NotDoneError("nobody came")
    return guest


@contextlib.asynccontextmanager
async def received(
    context: CallContext, name: str, guest: Guest
) -> AsyncIterator[tuple[Party, asyncio.Event]]:
    """The guest as a party, and the event that it is gone. At the end of the block it is sent home."""
    if isinstance(guest, Visit):
        try:
            yield guest.party, guest.over
        finally:
            guest.ended.set()
        return
    async with attended(context, SecondLeg(name, guest)) as other:
        if not await guest.answer():
            raise NotDoneError("who came hung up before the answer")
        await answer_of(other, PICK_UP_S)
        yield other, other.over


async def pick_up(context: CallContext, step: PickUpStep) -> None:
    """Connect with the parked call. Raises NotDoneError: there is none, or it cannot be reached."""
    slot = _slot(context, step.slot)
    parked = await _take(context, slot)
    if parked.address == own_address(context):
        visit = context.deps.rendezvous.visit(parked.token, context.caller)
        if visit is None:
            raise NotDoneError(f"the call on slot {slot} is gone")
        try:
            await context.caller.answer()
            context.journal.note("park.picks_up", slot=slot, parked_call_id=parked.call_id)
            await visit.ended.wait()
        finally:
            visit.over.set()
        return
    uri = f"sip:{USER}{parked.token}@{parked.address}"
    async with dialling_uri(context, NAME.format(slot=slot), uri, {}) as other:
        await answer_of(other, PICK_UP_S)
        await context.caller.answer()
        context.journal.note("park.picks_up", slot=slot, parked_call_id=parked.call_id)
        await _talk(context, other, other.over)


async def _take(context: CallContext, slot: str) -> Parked:
    """Raises NotDoneError."""
    words: Mapping[str, Any] = {"slot": slot, "call_id": context.call_id}
    try:
        answer = await context.deps.request("park.take", words, ASK_S)
        found = answer.get("parked")
        if found is not None:
            return decode(Parked, found, "park.take")
    except LinkError as error:
        raise NotDoneError(f"slot {slot}: {error}") from None
    raise NotDoneError(f"nobody is parked on slot {slot}")


async def _talk(context: CallContext, other: Party, over: asyncio.Event) -> None:
    """Both hear each other, keys included, until the other one is gone. The caller's hang-up ends the call anyway."""
    caller = context.caller
    async with connected(caller, other):
        await either(over.wait(), _look_after(context, caller, other))


async def _look_after(context: CallContext, caller: Party, other: Party) -> None:
    """Until cancelled. A call of this worker has its own limits."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pass_keys(caller, other))
        tasks.create_task(pass_keys(other, caller))
        if isinstance(other, SecondLeg):
            tasks.create_task(end_when_silent(other, context.deps.config.limits))


def own_address(context: CallContext) -> str:
    """Where other workers reach this one. They are on this machine, or on its private network (design section 5)."""
    sip = context.deps.config.sip
    host = "127.0.0.1" if sip.bind == "0.0.0.0" else sip.bind  # noqa: S104  # compared, not bound
    return f"{host}:{sip.port}"


def _slot(context: CallContext, template: str) -> str:
    slot = context.render(template).strip()
    if not _SLOT.fullmatch(slot):
        raise NotDoneError(f"{slot[:40]!r} is no slot: letters, digits and *#._- up to 32")
    return slot
