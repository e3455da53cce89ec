"""What everybody who looks at the console sees: read once for all of them, and seldom while nobody does.

    QueueStore.pulse, ten times a second ─► did anything move? ─► what moved is read ─► Snapshot ─► every page
    (every five seconds while no page is open)

It is the store that is looked at, not this control's own gates: requests of other nodes are among them. Nothing is
queued for a slow page: whoever comes again gets what there is then. Runs on control's loop.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

import structlog

from bridge.bell import Looks, Watchers
from bridge.console.card import Card, Described, card
from bridge.console.snapshot import Snapshot
from bridge.errors import StoreError
from bridge.records.complaint import Complaint
from bridge.store.gaterows import StoredRequest
from bridge.store.queuestore import Pulse, QueueStore

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.1
IDLE_LOOK_S = 5.0
"""While nobody looks: then who comes first waits for what has moved since, not for all that is open (140 ms for a
hundred requests on a quiet machine, 0.5 to 0.9 s on a busy one). A look at which nothing moved is one query."""
SETTLED_S = 300.0
"""So long a page shows what became of a request, and what was said then."""
MAX_SETTLED = 200
Describe = Callable[[str], Described]


class Feed:
    """`snapshot`: as of the last look; `closed`: there is no other. `describe`: what a function is."""

    def __init__(
        self,
        queue: QueueStore,
        describe: Describe,
        clock: Callable[[], float] = time.monotonic,
        idle_s: float = IDLE_LOOK_S,
    ) -> None:
        self._idle_s = idle_s
        self.snapshot, self.closed = Snapshot(), False
        self._queue = queue
        self._describe = describe
        self._clock = clock
        self._cards: dict[str, Card] = {}
        self._settled: dict[str, float] = {}
        self._pulse: Pulse | None = None
        self._looks = Looks(clock)
        self._watchers, self._news = Watchers(), asyncio.Event()
        self._complaint = Complaint(log, "console.store", "console.store_back")

    async def run(self) -> None:
        """Look, often while somebody does. Until cancelled; no mistake in here may end control."""
        while True:
            await self._watchers.some(self._idle_s)
            try:
                await self.look()
            except StoreError:  # `snapshot.problem` says it
                pass
            except Exception:
                log.exception("console.feed_failed")
            await asyncio.sleep(LOOK_EVERY_S)

    def watched(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Inside of it the snapshot is kept up to date."""
        return self._watchers.one()

    async def news(self, known: Snapshot, within_s: float) -> Snapshot:
        """Another snapshot than this one, or this one again after so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.snapshot is known and not self.closed:
                    await self._news.wait()
        return self.snapshot

    def close(self) -> None:
        """Whoever waits for news need not any more."""
        self.closed = True
        self._news.set()

    async def look(self) -> Snapshot:
        """What there is now; who asks at the same moment shares a look. Raises StoreError."""
        await self._looks.share(self._look_once)
        return self.snapshot

    async def one(self, request_id: str) -> Card | None:
        """One request, open or not; None: there is none, or it cannot be read any more. Raises StoreError."""
        cards = await self._read(await self._queue.requests([request_id]))
        return cards[0] if cards else None

    async def _look_once(self) -> None:
        try:
            await self._look()
        except StoreError as error:
            self._complaint.failed(str(error))
            self._tell(Snapshot(*_parts(self.snapshot), problem=str(error)))
            raise
        self._complaint.worked()

    async def _look(self) -> None:
        pulse, now = await self._queue.pulse(tuple(self._settled)), self._clock()
        late = [known for known, at in self._settled.items() if now - at > SETTLED_S]
        if pulse == self._pulse and not late and not self.snapshot.problem:
            return
        before = dict((self._pulse or Pulse()).places)
        moved = [known for known, place in pulse.places if before.get(known) != place]
        gone = [
            known for known in self._cards if known not in dict(pulse.places) and known not in self._settled
        ]
        await self._take([*moved, *gone])
        if beside := self._beside([*moved, *gone]):
            await self._take(beside)
        self._settled |= dict.fromkeys(gone, now)
        for known in [*late, *list(self._settled)[:-MAX_SETTLED]]:
            self._settled.pop(known, None)
            self._cards.pop(known, None)
        self._pulse = pulse
        cards = sorted(self._cards.values(), key=lambda one: (one.asked_at, one.request_id))
        self._tell(Snapshot(tuple(cards), pulse.pending, pulse.live_calls))

    async def _take(self, request_ids: Sequence[str]) -> None:
        for found in await self._read(await self._queue.requests(request_ids)):
            self._cards[found.request_id] = found

    def _beside(self, moved: Sequence[str]) -> list[str]:
        """What waits of the same caller and function as something that is over now: it is an earlier decision there."""
        over = [self._cards[known] for known in moved if known in self._cards and self._cards[known].over]
        about = {(one.tool, one.caller.number) for one in over}
        return [
            one.request_id
            for one in self._cards.values()
            if one.pending and one.request_id not in moved and (one.tool, one.caller.number) in about
        ]

    async def _read(self, rows: Sequence[StoredRequest]) -> list[Card]:
        around = await self._queue.around(rows) if rows else {}
        cards = []
        for row in rows:
            try:
                cards.append(card(row, around[row.request_id], self._describe(row.tool)))
            except (
                KeyError,
                TypeError,
                ValueError,
                AttributeError,
            ) as error:  # who wrote that did not come by us
                log.error("console.unreadable", request_id=row.request_id, reason=repr(error))  # noqa: TRY400
        return cards

    def _tell(self, snapshot: Snapshot) -> None:
        if snapshot == self.snapshot:
            return
        self.snapshot = snapshot
        news, self._news = self._news, asyncio.Event()
        news.set()  # who waited looks at the snapshot


def _parts(snapshot: Snapshot) -> tuple[tuple[Card, ...], int, int]:
    return snapshot.cards, snapshot.pending, snapshot.live_calls
