"""What happened on all nodes, as it becomes readable: for the API's stream and for webhooks. Runs on control's loop.

    EventStore.numbers, a few times a second while anybody wants to know ─► Gaps ─► `position` ─► news

One look serves all who wait; each reads its own pages up to `position`.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from bridge.bell import Watchers
from bridge.control_gaps import Gaps
from bridge.errors import StoreError
from bridge.records.complaint import Complaint
from bridge.store.eventstore import EventStore, Position

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.25
SLACK_S = 5.0
"""Beyond what a transaction may take (postgres.deadline_s); SQLite has one writer, and no gaps that anybody fills."""
PAGE = 1000


class EventWatch:
    """`position`: so far everything can be read; None before the first look. `head`: the newest there is.

    `deadline_s`: of a transaction. A number that is missing for longer than that will not come any more.
    """

    def __init__(
        self, store: EventStore, clock: Callable[[], float] = time.monotonic, deadline_s: float = 10.0
    ) -> None:
        self.position: Position | None = None
        self.head = Position()
        self.store = store
        self._clock = clock
        self._gap_s = deadline_s + SLACK_S if store.shared else 0.0
        self._gaps: Gaps | None = None
        self._watchers, self._news = Watchers(), asyncio.Event()
        self._complaint = Complaint(log, "events.store", "events.store_back")
        self.closed = False

    async def run(self) -> None:
        """Look, while somebody wants to know. Until cancelled; no mistake in here may end control."""
        try:
            while True:
                await self._watchers.some()
                full = False
                try:
                    full = await self.look()
                    self._complaint.worked()
                except StoreError as error:
                    self._complaint.failed(str(error))
                except Exception:
                    log.exception("events.look_failed")
                await asyncio.sleep(0 if full else LOOK_EVERY_S)
        finally:
            self.closed = True
            self._tell()

    def watched(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Inside of it `position` is kept up to date."""
        return self._watchers.one()

    def begin(self, at: Position) -> None:
        """Somebody is only here: what comes after this must be looked through for what is still to come."""
        if self._gaps is None or at.calls < self._gaps.at:
            self._gaps = Gaps(at.calls, self._gap_s)

    async def news(self, known: Position | None, within_s: float) -> Position | None:
        """Another position than this one, or this one again after so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.position == known and not self.closed:
                    await self._news.wait()
        return self.position

    async def look(self) -> bool:
        """Whether there is more to look at. Raises StoreError."""
        head = self.head = await self.store.head()
        if self._gaps is None or head.calls < self._gaps.at:  # events were forgotten: numbers may come again
            self._gaps = Gaps(head.calls, self._gap_s)
        before, numbers = self._gaps.at, []
        if head.calls > before:
            numbers = await self.store.numbers(before, PAGE)
            self._gaps.look(numbers, self._clock())
        found = Position(self._gaps.at, head.audit)
        if found != self.position:
            self.position = found
            self._tell()
        return len(numbers) == PAGE and self._gaps.at > before

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
