"""Looks at the audit chain bit by bit, over and over: an entry that was edited, removed or cut off becomes a banner.

Each step reads and hashes a few hundred entries; signatures, payloads and heads are `sipbridge audit verify`'s, which
the banner says to run. Never takes long; one per control, on its loop, hashing on a thread.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bridge.approval.chain import GENESIS, broken
from bridge.console.healthfacts import Chain
from bridge.store.auditstore import AuditStore

STEP = 400
AGAIN_S = 3600.0
"""From the start of one pass over the whole chain to the next; new entries are looked at in every step."""


class AuditWatch:
    """`chain`: how far it was looked at since control's start, and the first thing that is wrong."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store
        self._begin()
        self.chain = Chain(since=self._began_at)

    def _begin(self) -> None:
        self._seq, self._hash = 0, GENESIS
        self._began_s, self._began_at = time.monotonic(), time.time()

    async def step(self) -> str:
        """A few entries further; what is wrong with the chain, "" when nothing was found. Raises StoreError."""
        entries = await self._store.chain(self._seq, STEP)
        wrong = await (asyncio.to_thread(self._wrong, entries) if entries else self._end())
        if entries:
            self._seq, self._hash = int(entries[-1]["seq"]), str(entries[-1]["hash"])
        known = self.chain
        self.chain = replace(
            known, to=max(known.to, self._seq), at=time.time(), problem=known.problem or wrong
        )
        return self.chain.problem

    async def _end(self) -> str:
        """There is nothing behind what was looked at: a pass over everything is done."""
        if gone := self.chain.missing(await self._store.end()):
            return gone
        self.chain = replace(self.chain, since=self._began_at)
        if time.monotonic() - self._began_s > AGAIN_S:
            self._begin()
        return ""

    def _wrong(self, entries: Sequence[Mapping[str, Any]]) -> str:
        return next(iter(broken(entries, begins=(self._seq + 1, self._hash))), "")
