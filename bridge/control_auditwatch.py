"""Looks at the audit chain bit by bit, over and over: an entry that was edited, removed or cut off becomes a banner.

Each step reads and hashes a few hundred entries; signatures, payloads and heads are `sipbridge audit verify`'s, which
the banner says to run. Never takes long; one per control, on its loop, hashing on a thread.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.approval.chain import GENESIS, broken
from bridge.store.daystore import DayStore

STEP = 400
AGAIN_S = 3600.0
"""From the start of one pass over the whole chain to the next; new entries are looked at in every step."""


class AuditWatch:
    """`problem`: the first thing that is wrong, "" when nothing was found."""

    def __init__(self, store: DayStore) -> None:
        self.problem = ""
        self._store = store
        self._seq, self._hash = 0, GENESIS
        self._highest = 0
        self._began_s = time.monotonic()

    async def step(self) -> str:
        """A few entries further. Raises StoreError."""
        entries = await self._store.audit(self._seq, STEP)
        if not entries:
            last = await self._store.audit_end()
            if last < self._highest:
                self.problem = self.problem or f"entries {last + 1} to {self._highest} are gone"
            elif time.monotonic() - self._began_s > AGAIN_S:
                self._seq, self._hash, self._began_s = 0, GENESIS, time.monotonic()
            return self.problem
        wrong = await asyncio.to_thread(self._wrong, entries)
        self.problem = self.problem or wrong
        self._seq, self._hash = int(entries[-1]["seq"]), str(entries[-1]["hash"])
        self._highest = max(self._highest, self._seq)
        return self.problem

    def _wrong(self, entries: Sequence[Mapping[str, Any]]) -> str:
        return next(iter(broken(entries, begins=(self._seq + 1, self._hash))), "")
