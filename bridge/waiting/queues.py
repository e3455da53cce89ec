"""Who waits in which queue, and which member each caller gets. A machine of control, which alone sees all workers.

    worker ──Place (once a second)──► Queues.poll ──► Turn(position, waiting, member)
    worker ──leave──────────────────► Queues.leave      not polled for GONE_S: gone as well

Nothing is stored: workers go on polling with the time at which their caller came, so the order is there again a moment
after a restart; nobody is offered a member before all of them had the time to come back (SETTLE_S). A member (the name
of a target) is busy as long as any place holds it, whichever queue that is in: it never gets two calls at once. Callers
are served in the order of their coming; of those who could take the call the strategy chooses. All times in seconds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from bridge.dialplan.queue import Queue

GONE_S = 5.0
SETTLE_S = 4.0  # a worker's link is back after 2 s at the latest, its next polls come 1 s later
MAX_PLACES = 500
MAX_QUEUES = 500
MAX_MEMBERS = 5000

State = Literal["waiting", "ringing", "talking", "failed"]
FULL = "full"
OVERLOADED = "overloaded"


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker says about its caller. `joined_at`: unix time. `admitted`: was let in before.

    `member` and `offer` repeat the Turn that `state` (but for waiting) is about; failed: that member did not answer.
    """

    call_id: str
    queue: Queue
    joined_at: float
    state: State
    admitted: bool = False
    member: str = ""
    offer: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """`position` counts from 1 of `waiting`, 0 when connected. `member`: call it now. `refused`: not let in, why."""

    position: int
    waiting: int
    member: str = ""
    offer: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class MemberState:
    """`state`: free, ringing, talking, wrap_up, resting (did not answer)."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class QueueState:
    """What an admin wants to know of a queue."""

    name: str
    waiting: int
    longest_wait_s: float
    members: tuple[MemberState, ...]


@dataclass(slots=True)
class _Entry:
    place: Place
    seen: float
    member: str = ""
    offer: str = ""
    talking: bool = False


@dataclass(slots=True)
class _Rest:
    """A member that no place holds. `since`: when its last call, or try, ended."""

    since: float
    until: float
    why: str


@dataclass(slots=True)
class Queues:
    """All queues of one control process. `now`: monotonic seconds, at its start and with every word."""

    started: float
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _rests: dict[str, _Rest] = field(default_factory=dict)
    _known: dict[str, Queue] = field(default_factory=dict)
    _offers: int = 0

    def poll(self, place: Place, now: float) -> Turn:
        """A worker says how its caller is doing, and hears what to do. Saying the same twice does no harm."""
        self._expire(now)
        entry = self._entries.get(place.call_id)
        if entry is not None and entry.place.queue.name != place.queue.name:
            self._free(place.call_id, now)
            entry = None
        if entry is None:
            refused = self._refusal(place)
            if refused:
                return Turn(0, self._count(place.queue.name), refused=refused)
            entry = self._entries[place.call_id] = _Entry(place, now)
        entry.place, entry.seen = place, now
        self._know(place.queue)
        self._follow(entry, now)
        self._assign(now)
        return self._turn(entry)

    def leave(self, call_id: str, now: float) -> None:
        """The caller is out of the queue; the member it had, if any, may rest. Idempotent."""
        self._expire(now)
        self._free(call_id, now)
        self._assign(now)

    def states(self, now: float, wall: float) -> list[QueueState]:
        """Every queue that was used; `wall` is the unix time of `now`."""
        self._expire(now)
        return [self._state(queue, now, wall) for _, queue in sorted(self._known.items())]

    # ---- places ----------------------------------------------------------------------------------------------

    def _refusal(self, place: Place) -> str:
        if len(self._entries) >= MAX_PLACES:
            return OVERLOADED
        first = not place.admitted and place.state == "waiting"
        return FULL if first and self._count(place.queue.name) >= place.queue.max_callers else ""

    def _follow(self, entry: _Entry, now: float) -> None:
        """What the worker says wins over what was thought: an offer of the same member that nobody took is void."""
        place = entry.place
        if place.state == "failed":
            if entry.offer in {place.offer, ""}:
                entry.member = entry.offer = ""
                self._rest(place.member, now, place.queue.retry_s, "resting")
        elif place.state != "waiting":
            for other in self._entries.values():
                if other.member == place.member and other.place.state in {"waiting", "failed"}:
                    other.member = other.offer = ""
            entry.member, entry.offer = place.member, place.offer
        entry.talking = place.state == "talking"

    def _expire(self, now: float) -> None:
        for call_id in [one for one, entry in self._entries.items() if now - entry.seen >= GONE_S]:
            self._free(call_id, now)

    def _free(self, call_id: str, now: float) -> None:
        entry = self._entries.pop(call_id, None)
        if entry is None or not entry.member:
            return
        if entry.talking:
            self._rest(entry.member, now, entry.place.queue.wrap_up_s, "wrap_up")

    # ---- members ---------------------------------------------------------------------------------------------

    def _rest(self, member: str, now: float, seconds: float, why: str) -> None:
        if len(self._rests) >= MAX_MEMBERS:
            self._rests.pop(next(iter(self._rests)))
        self._rests[member] = _Rest(now, now + seconds, why)

    def _assign(self, now: float) -> None:
        """Give free members to those who wait, the longest first."""
        if now - self.started < SETTLE_S:
            return
        held = {entry.member for entry in self._entries.values()}
        for entry in self._in_order(self._entries.values()):
            if entry.member:
                continue
            free = [
                name for name in entry.place.queue.members if name not in held and self._rested(name, now)
            ]
            if free:
                member = self._chosen(entry.place.queue, free)
                self._offers += 1
                entry.member, entry.offer = member, f"{self.started:.6f}-{self._offers}"
                held.add(member)

    def _chosen(self, queue: Queue, free: list[str]) -> str:
        if queue.strategy == "in_order":
            return free[0]
        return min(free, key=lambda name: self._rests[name].since if name in self._rests else float("-inf"))

    def _rested(self, member: str, now: float) -> bool:
        rest = self._rests.get(member)
        return rest is None or now >= rest.until

    # ---- what is told ----------------------------------------------------------------------------------------

    @staticmethod
    def _in_order(entries: Iterable[_Entry]) -> list[_Entry]:
        return sorted(entries, key=lambda entry: (entry.place.joined_at, entry.place.call_id))

    def _waiting(self, queue: str) -> Iterator[_Entry]:
        """Those of a queue who are not connected yet, in order."""
        mine = (entry for entry in self._entries.values() if entry.place.queue.name == queue)
        return (entry for entry in self._in_order(mine) if not entry.talking)

    def _count(self, queue: str) -> int:
        return sum(1 for _ in self._waiting(queue))

    def _turn(self, entry: _Entry) -> Turn:
        line = [one.place.call_id for one in self._waiting(entry.place.queue.name)]
        position = 0 if entry.talking else line.index(entry.place.call_id) + 1
        return Turn(position, len(line), entry.member, entry.offer)

    def _know(self, queue: Queue) -> None:
        if queue.name not in self._known and len(self._known) >= MAX_QUEUES:
            self._known.pop(next(iter(self._known)))
        self._known[queue.name] = queue

    def _state(self, queue: Queue, now: float, wall: float) -> QueueState:
        line = list(self._waiting(queue.name))
        longest = max((wall - entry.place.joined_at for entry in line), default=0.0)
        held = {e.member: "talking" if e.talking else "ringing" for e in self._entries.values() if e.member}
        members = tuple(MemberState(name, held.get(name) or self._idle(name, now)) for name in queue.members)
        return QueueState(queue.name, len(line), round(max(longest, 0.0), 1), members)

    def _idle(self, member: str, now: float) -> str:
        rest = self._rests.get(member)
        return rest.why if rest is not None and now < rest.until else "free"
