"""What people do to users, factors, sessions and tokens: in the log, and in the audit chain where control signs one."""

import time
from collections.abc import Mapping
from typing import Any

import structlog

from bridge.store.gatestore import GateStore, NewAudit

log = structlog.get_logger(__name__)


class Deeds:
    """`gates`: the store that signs; None: only the log is written."""

    def __init__(self, gates: GateStore | None) -> None:
        self._gates = gates

    async def note(self, what: str, by: str, **facts: Any) -> None:
        """Who did what. Raises StoreError: it was done, and is in the log, and not in the audit."""
        log.info("console.deed", what=what, by=by, **facts)
        if self._gates is not None:
            kept: Mapping[str, Any] = {name: value for name, value in facts.items() if value is not None}
            await self._gates.note(NewAudit(what, by, kept), "", time.time())
