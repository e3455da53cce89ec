"""The table of live calls for everybody who looks at it: read once for all of them, and only while somebody does.

    LiveStore.calls ─┐
    Feed (approvals) ┴─► Table ─► every page          when an event is stored here at once, five times a second anyway

Calls of all nodes are in the store; what this node stores itself rings at once (`poke`). Runs on control's loop.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Collection

import structlog

from bridge.bell import Bell, Looks, Watchers
from bridge.console.calltable import MAX_ROWS, Table, row_of, table_of
from bridge.console.doing import TELLING
from bridge.console.feed import Feed
from bridge.errors import StoreError
from bridge.store.livestore import LiveStore

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.2
PAUSE_S = 0.1
"""At least between two looks, however much happens."""
Boots = Callable[[], Collection[str]]


class LiveCalls:
    """`table`: as of the last look. `boots`: workers that can be reached."""

    def __init__(self, store: LiveStore, feed: Feed, boots: Boots) -> None:
        self.table, self.bell = Table(), Bell()
        self._store = store
        self._feed = feed
        self._boots = boots
        self._looks = Looks()
        self._watchers, self._poked = Watchers(), asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether control ends: there is no other table."""
        return self._feed.closed

    def poke(self) -> None:
        """Something was stored here."""
        self._poked.set()

    async def run(self) -> None:
        """Look, while somebody does. Until cancelled; no mistake in here may end control."""
        while True:
            await self._watchers.some()
            self._poked.clear()
            try:
                await self.look()
            except StoreError:  # the feed's snapshot says it
                pass
            except Exception:
                log.exception("console.calls_failed")
            await asyncio.sleep(PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S - PAUSE_S):
                    await self._poked.wait()

    def watched(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Inside of it the table is kept up to date."""
        return self._watchers.one()

    async def look(self) -> Table:
        """The table now. Raises StoreError."""
        await self._looks.share(self._look)
        return self.table

    async def _look(self) -> None:
        before = self._feed.snapshot
        try:
            await self._feed.look()
            found = await self._store.calls(tuple(TELLING), MAX_ROWS + 1)
        finally:
            if self._feed.snapshot is not before:
                self.bell.ring()
        pending = Counter(card.call_id for card in self._feed.snapshot.cards if card.pending)
        boots = set(self._boots())
        rows = (row_of(one.record, (one.type, one.data), boots, pending[one.record.call_id]) for one in found)
        table = table_of(rows)
        if table.name != self.table.name or table.more != self.table.more:
            self.table = table
            self.bell.ring()
