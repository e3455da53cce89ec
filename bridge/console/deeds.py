"""What people do to users, factors, sessions, tokens and calls: in the log, and in the audit where control signs one.

A deed about a call names it beside its facts, so that it is found with the call and its `words` (what somebody typed)
are forgotten with it. Facts are for ever: no number, no word, no secret of a link is among them.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from bridge.store.gatestore import GateStore, NewAudit

log = structlog.get_logger(__name__)

EVERY_S = 3600.0
MAX_KEPT = 10_000
ANYBODY = "link"
"""Who comes by a share link: `link ID`, which no user can be called."""


class Deeds:
    """`gates`: the store that signs; None: only the log is written. `logged`: not where a command prints its own."""

    def __init__(self, gates: GateStore | None, *, logged: bool = True) -> None:
        self._gates = gates
        self._logged = logged

    async def note(
        self, what: str, by: str, *, call_id: str = "", words: Mapping[str, Any] | None = None, **facts: Any
    ) -> None:
        """Who did what. Raises StoreError: it is in the log, and not in the audit."""
        if self._logged:
            log.info("console.deed", what=what, by=by, **({"call_id": call_id} if call_id else {}), **facts)
        if self._gates is not None:
            kept: Mapping[str, Any] = {name: value for name, value in facts.items() if value is not None}
            await self._gates.note(NewAudit(what, by, kept, words or {}), "", time.time(), call_id)


class Listening:
    """Who heard a recording, or took it along: one entry an hour for each of them, call and way.

    A player asks for a file in parts, as often as it likes. What is kept here is bounded, and gone with control.
    """

    def __init__(self, deeds: Deeds, clock: Callable[[], float] = time.monotonic) -> None:
        self._deeds = deeds
        self._clock = clock
        self._noted: OrderedDict[tuple[str, ...], float] = OrderedDict()

    async def note(self, call_id: str, by: str, via: str, *, download: bool, **facts: Any) -> None:
        """Before the first byte leaves. Raises StoreError: not audited, so not to be heard."""
        what = "recording_downloaded" if download else "recording_played"
        key, now = (call_id, by, via, what), self._clock()
        if now - self._noted.get(key, -EVERY_S) < EVERY_S:
            return
        await self._deeds.note(what, by, call_id=call_id, via=via, **facts)
        self._noted[key] = now
        self._noted.move_to_end(key)
        while len(self._noted) > MAX_KEPT:
            self._noted.popitem(last=False)
