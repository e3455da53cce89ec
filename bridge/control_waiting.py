"""Control's desk for calls that wait: queues, parked calls, and wishes to be called back.

    worker ──queue.wait/leave──► Queues        worker ──park.wait/take/leave──► Slots
    worker ──callback.request──► CallBack (the outbound rules; given by whoever composes control)

Everything that waits is asked for again every second by the worker that carries it, so nothing is stored and a restart
of control loses nothing. Shell round the machines in bridge/waiting; on control's loop.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from bridge.control_health import Metric
from bridge.errors import LinkError
from bridge.strictjson import decode, encode
from bridge.waiting.queues import Place, Queues, QueueState
from bridge.waiting.slots import Parked, Slots

log = structlog.get_logger(__name__)

MEMBER_STATES = ("free", "ringing", "talking", "wrap_up", "resting")


@dataclass(frozen=True, slots=True)
class CallBackWish:
    """A caller wants to be called back. `number`: as the dialplan gave it, not judged yet. `after_s`: not before."""

    call_id: str
    number: str
    after_s: int


CallBack = Callable[[CallBackWish], Awaitable[str]]
"""Puts the wish to the outbound rules; the answer is why not, "" when it will be called. Raises BridgeError."""


class WaitingRoom:
    """`clock`: monotonic seconds; `wall`: unix seconds. Without `call_back` nobody is called back."""

    def __init__(
        self,
        call_back: CallBack | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._call_back = call_back
        self._clock = clock
        self._wall = wall
        self._queues = Queues(clock())
        self._slots = Slots()

    def knows(self, kind: str) -> bool:
        """Whether this request is one of ours."""
        return kind in _ANSWERS

    async def answer(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """A worker's request. Raises LinkError: the words do not fit."""
        return await _ANSWERS[kind](self, data)

    # ---- requests --------------------------------------------------------------------------------------------

    async def _queue_wait(self, data: Mapping[str, Any]) -> dict[str, Any]:
        place = decode(Place, dict(data), "queue.wait")
        turn = self._queues.poll(place, self._clock())
        if turn.refused:
            log.info("queue.refused", call_id=place.call_id, queue=place.queue.name, reason=turn.refused)
        return asdict(turn)

    async def _queue_leave(self, data: Mapping[str, Any]) -> dict[str, Any]:
        self._queues.leave(_word(data, "call_id"), self._clock())
        return {}

    async def _park_wait(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return {"parked": self._slots.wait(decode(Parked, dict(data), "park.wait"), self._clock())}

    async def _park_take(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The token goes to one taker only, and only over the link."""
        parked = self._slots.take(_word(data, "slot"), _word(data, "call_id"), self._clock())
        return {"parked": None if parked is None else encode(parked)}

    async def _park_leave(self, data: Mapping[str, Any]) -> dict[str, Any]:
        self._slots.leave(_word(data, "call_id"), self._clock())
        return {}

    async def _callback(self, data: Mapping[str, Any]) -> dict[str, Any]:
        wish = decode(CallBackWish, dict(data), "callback.request")
        if self._call_back is None:
            return {"refused": "this bridge places no calls"}
        return {"refused": await self._call_back(wish)}

    # ---- for admins ------------------------------------------------------------------------------------------

    def states(self) -> list[QueueState]:
        """Every queue that was used since control came up."""
        return self._queues.states(self._clock(), self._wall())

    def overview(self) -> dict[str, Any]:
        """Queues and parked calls, for programs (GET /api/v1/queues)."""
        parked = [
            {"slot": one.slot, "call_id": one.call_id, "waiting_s": round(self._wall() - one.parked_at, 1)}
            for one in self._slots.parked(self._clock())
        ]
        return {"queues": [asdict(state) for state in self.states()], "parked": parked}

    def metrics(self) -> Iterator[Metric]:
        """Families for /metrics. Their labels come from the dialplan, so their number is bounded."""
        states = self.states()
        waiting = tuple(({"queue": one.name}, float(one.waiting)) for one in states)
        longest = tuple(({"queue": one.name}, one.longest_wait_s) for one in states)
        members = tuple(
            ({"queue": one.name, "state": state}, float(sum(m.state == state for m in one.members)))
            for one in states
            for state in MEMBER_STATES
        )
        yield Metric("sipbridge_queue_callers", "gauge", "Callers who wait in a queue.", waiting)
        yield Metric("sipbridge_queue_longest_wait_seconds", "gauge", "Who waits longest.", longest)
        yield Metric("sipbridge_queue_members", "gauge", "Members of a queue by state.", members)
        count = float(sum(1 for _ in self._slots.parked(self._clock())))
        yield Metric("sipbridge_parked_calls", "gauge", "Calls that are parked.", (({}, count),))


def _word(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 100:
        raise LinkError(f"the request lacks {name}")
    return value


_ANSWERS: Mapping[str, Callable[[WaitingRoom, Mapping[str, Any]], Awaitable[dict[str, Any]]]] = {
    "queue.wait": WaitingRoom._queue_wait,  # noqa: SLF001  # the class's own table
    "queue.leave": WaitingRoom._queue_leave,  # noqa: SLF001
    "park.wait": WaitingRoom._park_wait,  # noqa: SLF001
    "park.take": WaitingRoom._park_take,  # noqa: SLF001
    "park.leave": WaitingRoom._park_leave,  # noqa: SLF001
    "callback.request": WaitingRoom._callback,  # noqa: SLF001
}
