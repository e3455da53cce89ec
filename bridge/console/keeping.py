"""Legal holds as admins set and lift them, by console, API and command line: the store's rules, the deed in the audit.

CallPage, KeepingApi, `sipbridge calls hold` ──► Keeping ──► KeepStore
                                                    └──────► Deeds (who, which call, by what; why, until it is erased)
"""

import time

from bridge.console.deeds import Deeds
from bridge.store.keepstore import Hold, KeepStore

MAX_REASON_CHARS = 300


class Keeping:
    """Every method raises StoreError: not done, or not audited."""

    def __init__(self, keep: KeepStore, deeds: Deeds) -> None:
        self._keep = keep
        self._deeds = deeds

    async def of(self, call_id: str) -> Hold | None:
        """The hold on a call, if there is one."""
        return await self._keep.hold_of(call_id)

    async def all(self) -> list[Hold]:
        """Every hold, the newest first."""
        return await self._keep.holds()

    async def hold(self, call_id: str, reason: str, by: str, via: str) -> bool:
        """Keep a call as it is. False: it is held already, and stays held for the reason it is."""
        if not await self._keep.hold(Hold(call_id, reason, by, time.time())):
            return False
        await self._deeds.note("held", by, call_id=call_id, words={"reason": reason}, via=via)
        return True

    async def release(self, call_id: str, by: str, via: str) -> bool:
        """Let retention have it again. False: it was not held.

        The audit comes first: a hold tells who set it, of a lifted one nothing else is left.
        """
        if await self._keep.hold_of(call_id) is None:
            return False
        await self._deeds.note("released", by, call_id=call_id, via=via)
        return await self._keep.release(call_id)
