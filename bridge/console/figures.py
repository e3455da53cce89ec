"""What people made of each rule's questions, counted from the audit and kept for a short while, for all who look."""

import asyncio
import time
from collections.abc import Callable

from bridge.approval.statistics import RuleFigures, figures
from bridge.store.paststore import PastStore

DAYS = (1, 7, 30)
DAY_S = 86_400.0
KEEP_S = 30.0
MAX_ENTRIES = 40_000


class Figures:
    """`clock`: unix seconds."""

    def __init__(self, past: PastStore, clock: Callable[[], float] = time.time) -> None:
        self._past = past
        self._clock = clock
        self._kept: dict[int, tuple[float, tuple[RuleFigures, ...], bool]] = {}
        self._counting = asyncio.Lock()

    async def of(self, days: int) -> tuple[tuple[RuleFigures, ...], bool]:
        """Over so many days (of DAYS), and whether that is everything. Counted once in KEEP_S. Raises StoreError."""
        async with self._counting:
            now = self._clock()
            known = self._kept.get(days)
            if known is not None and 0 <= now - known[0] < KEEP_S:
                return known[1:]
            entries, complete = await self._past.audit_since(now - days * DAY_S, MAX_ENTRIES)
            found = await asyncio.to_thread(figures, entries)
            self._kept[days] = (now, found, complete)
            return found, complete
