"""The step `queue`: the caller waits with music until control names a member, who is called and connected.

    Standing: waiting ──Turn with a member──► ringing ──answered──► talking ──► the next step
                 ▲                               └──no answer──► failed ┐
                 └──────────────────────────────────────────────────────┘

What the caller is doing is told to control every second (bridge/waiting/queues.py), and at once when it changes; the
answer says where in the line it stands and whom to call. Control that is away keeps nobody: the place is kept for
a while, then or_else runs. On the worker's loop.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import structlog

from bridge.call.connecting import talk, waiting
from bridge.call.context import CallContext, NotDoneError
from bridge.call.secondleg import second_leg
from bridge.call.tasks import cancelled, either
from bridge.dialplan.queue import Queue
from bridge.dialplan.steps import QueueStep
from bridge.errors import LinkError
from bridge.strictjson import decode, encode
from bridge.waiting.queues import Place, State, Turn

log = structlog.get_logger(__name__)

ASK_S = 3.0
LEAVE_S = 1.0
REFUSED = {"full": "the queue {name} is full", "overloaded": "too many callers wait"}


class Standing:
    """One caller's place in a queue, as control and this worker see it."""

    def __init__(self, context: CallContext, queue: Queue) -> None:
        self._context = context
        self._queue = queue
        self._times = context.deps.times
        self._place = Place(context.call_id, queue, time.time(), "waiting")
        self._turn = Turn(0, 0)
        self._heard_s = time.monotonic()
        self._changed = asyncio.Event()
        self._said = asyncio.Event()

    @property
    def turn(self) -> Turn:
        """Control's last word."""
        return self._turn

    @property
    def admitted(self) -> bool:
        """Whether control has let the caller in."""
        return self._place.admitted

    def becomes(self, state: State) -> None:
        """What the caller does with the member it was given; control hears it at once."""
        self._place = replace(self._place, state=state, member=self._turn.member, offer=self._turn.offer)
        self._said.set()

    async def change(self) -> None:
        """Wait for control's next word."""
        self._changed.clear()
        await self._changed.wait()

    async def member(self) -> str:
        """Wait for a member to call. Raises NotDoneError: not let in, or control is away."""
        while True:
            if self._turn.refused:
                raise NotDoneError(REFUSED.get(self._turn.refused, "{name}").format(name=self._queue.name))
            if self._turn.member and self._place.state == "waiting":
                return self._turn.member
            if time.monotonic() - self._heard_s >= self._times.queue_away_s:
                raise NotDoneError(
                    f"control is away, nobody knows who is next in the queue {self._queue.name}"
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._times.poll_s):
                    await self.change()

    async def run(self) -> None:
        """Tell control, until cancelled."""
        while True:
            self._said.clear()
            place = self._place
            try:
                answer = await self._context.deps.request("queue.wait", encode(place), ASK_S)
                self._take(place, decode(Turn, dict(answer), "queue.wait"))
            except LinkError as error:
                log.debug("queue.not_told", reason=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._times.poll_s):
                    await self._said.wait()

    async def leave(self) -> None:
        """Free the place, and the member. When control does not hear it, it sees that nobody asks any more."""
        with contextlib.suppress(LinkError):
            await self._context.deps.request("queue.leave", {"call_id": self._context.call_id}, LEAVE_S)

    def _take(self, place: Place, turn: Turn) -> None:
        self._heard_s = time.monotonic()
        if not turn.refused:
            self._place = replace(self._place, admitted=True)
        if place.state in {"ringing", "talking"} or place.state != self._place.state:
            return  # the member we have stays; or this answers what is no longer so
        if place.state == "failed":
            self._place = replace(self._place, state="waiting", member="", offer="")
        self._turn = turn
        self._changed.set()


@contextlib.asynccontextmanager
async def standing(context: CallContext, queue: Queue) -> AsyncIterator[Standing]:
    """A place in the line for as long as the block runs."""
    place = Standing(context, queue)
    task = asyncio.create_task(place.run())
    try:
        yield place
    finally:
        await cancelled(task)
        await asyncio.shield(asyncio.create_task(place.leave()))


async def queue(context: CallContext, step: QueueStep) -> None:
    """Wait for a member and talk. Raises NotDoneError: full, waited too long, control is away."""
    spec = context.plan.queue(step.queue)
    began_s = time.monotonic()
    await context.caller.answer()
    async with standing(context, spec) as place, contextlib.AsyncExitStack() as stack:
        async with waiting(context, spec.music):
            announcer = Announcer(context, spec, place)
            while True:
                member = await _next_member(place, announcer, began_s + spec.max_wait_s, spec)
                place.becomes("ringing")
                try:
                    leg = second_leg(context, member, ring_s=spec.ring_s)
                    other = await stack.enter_async_context(leg)
                    break
                except NotDoneError as error:
                    context.journal.note("queue.no_answer", queue=spec.name, member=member, reason=str(error))
                    place.becomes("failed")
        place.becomes("talking")
        waited_s = round(time.monotonic() - began_s, 1)
        context.journal.note("queue.connected", queue=spec.name, member=member, waited_s=waited_s)
        await talk(context, other)


async def _next_member(place: Standing, announcer: "Announcer", until_s: float, spec: Queue) -> str:
    try:
        async with asyncio.timeout(max(until_s - time.monotonic(), 0)):
            return await either(place.member(), announcer.run()) or ""
    except TimeoutError:
        raise NotDoneError(f"nobody of the queue {spec.name} was free within {spec.max_wait_s} s") from None


class Announcer:
    """Says the position: at the start, when it changed (not too often), and again after a while."""

    def __init__(self, context: CallContext, queue: Queue, place: Standing) -> None:
        self._context = context
        self._queue = queue
        self._place = place
        self._times = context.deps.times
        self._said: tuple[int, float] | None = None

    async def run(self) -> None:
        """Until cancelled: a member was found."""
        while True:
            if self._place.admitted and self._due(time.monotonic()):
                await self._say()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._times.poll_s):
                    await self._place.change()

    def _due(self, now: float) -> bool:
        if not self._place.turn.position or self._place.turn.member:
            return False
        if self._said is None:
            return True
        position, at = self._said
        changed = position != self._place.turn.position
        return now - at >= (self._times.position_pause_s if changed else self._queue.announce_every_s)

    async def _say(self) -> None:
        context, queue, turn = self._context, self._queue, self._place.turn
        self._said = turn.position, time.monotonic()
        context.journal.note("queue.position", queue=queue.name, position=turn.position, waiting=turn.waiting)
        context.set({"position": str(turn.position), "waiting": str(turn.waiting)})
        pcm = await context.speech(context.render(queue.announce, queue.language), queue.language)
        if pcm:
            context.caller.hush()
            await context.caller.play(pcm)
