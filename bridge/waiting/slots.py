"""Which call is parked where, and who may pick it up. A machine of control, which alone sees all workers.

    parked worker ──Parked (once a second, with a fresh token)──► Slots.wait ──► False: the slot is another's
    picking worker ──────────────────────────────────────────────► Slots.take ──► Parked: address and token
    parked worker ──leave───────────────────────────────────────► Slots.leave       not polled for GONE_S: gone too

Nothing is stored: the polls bring everything back after a restart; of two who claim one slot then, whoever was parked
first has it. Who takes a call has TAKE_S to get there; then somebody else may try. All times in seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

GONE_S = 5.0
TAKE_S = 5.0
MAX_SLOTS = 1000


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked call. `parked_at`: unix time. `address`: host:port of its worker. `token`: lets one caller in."""

    call_id: str
    slot: str
    parked_at: float
    address: str
    token: str = field(repr=False)


@dataclass(slots=True)
class _Entry:
    parked: Parked
    seen: float
    taker: str = ""
    taken_until: float = 0.0


@dataclass(slots=True)
class Slots:
    """All slots of one control process. `now`: monotonic seconds."""

    _entries: dict[str, _Entry] = field(default_factory=dict)

    def wait(self, parked: Parked, now: float) -> bool:
        """A worker says that its call is (to be) parked. False: somebody else is there. Idempotent."""
        self._expire(now)
        entry = self._entries.get(parked.slot)
        if entry is not None and entry.parked.call_id != parked.call_id:
            if (entry.parked.parked_at, entry.parked.call_id) <= (parked.parked_at, parked.call_id):
                return False
            entry = None
        if entry is None:
            if len(self._entries) >= MAX_SLOTS:
                return False
            entry = self._entries[parked.slot] = _Entry(parked, now)
        entry.parked, entry.seen = parked, now
        return True

    def take(self, slot: str, taker: str, now: float) -> Parked | None:
        """Whom to call to get the parked call. None: nobody is there, or somebody else is taking it."""
        self._expire(now)
        entry = self._entries.get(slot)
        if entry is None or entry.parked.call_id == taker:
            return None
        if now < entry.taken_until and entry.taker != taker:
            return None
        entry.taker, entry.taken_until = taker, now + TAKE_S
        return entry.parked

    def leave(self, call_id: str, now: float) -> None:
        """The call is parked no more. Idempotent."""
        self._expire(now)
        for slot in [one for one, entry in self._entries.items() if entry.parked.call_id == call_id]:
            del self._entries[slot]

    def parked(self, now: float) -> Iterator[Parked]:
        """All that are parked, by slot."""
        self._expire(now)
        return (entry.parked for _, entry in sorted(self._entries.items()))

    def _expire(self, now: float) -> None:
        for slot in [one for one, entry in self._entries.items() if now - entry.seen >= GONE_S]:
            del self._entries[slot]
