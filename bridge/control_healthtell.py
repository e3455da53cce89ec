"""Says how this node is to the others, and knows how they are: for health pages that show every node.

    HealthLook.mine ─every TELL_S─► node_health                 NodeOffice (who is there) ─┐
                                    node_health ─when asked─► read ─► NodeHealth of each ◄─┘

One write of some kilobytes every ten seconds; read only while somebody looks at a page. While the store is away the
others stay as they were, and grow old. Runs on control's loop.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from bridge.console.healthfacts import HERE, NodeHealth
from bridge.console.nodehealth import packed, read
from bridge.errors import StoreError
from bridge.records.complaint import Complaint
from bridge.store.healthstore import HealthStore
from bridge.store.nodestore import LOST, NodeRow

log = structlog.get_logger(__name__)

TELL_S = 10.0
READ_S = 3.0
SHOWN = (*HERE, LOST)
"""Who has left in good order has no health."""


class Others(Protocol):
    """The nodes there are (control_node.NodeOffice)."""

    def known(self) -> Mapping[str, tuple[NodeRow, str]]:
        """Every other node by its name, and where its console is."""


class HealthTeller:
    """One per control. `name`: this node; `mine`: how it is now."""

    def __init__(
        self, name: str, store: HealthStore, others: Others, mine: Callable[[], Awaitable[NodeHealth]]
    ) -> None:
        self._name = name
        self._store = store
        self._others = others
        self._mine = mine
        self._known: tuple[NodeHealth, ...] = ()
        self._known_s = 0.0

    async def run(self) -> None:
        """Until cancelled. No mistake in here may end control."""
        complaint = Complaint(log, "health.not_told", "health.told")
        while True:
            try:
                if await self._store.tell(self._name, packed(await self._mine())):
                    complaint.worked()
                else:
                    complaint.failed("what this node has to say is too long")
            except StoreError as error:
                complaint.failed(str(error))
            except Exception:
                log.exception("health.failed")
            await asyncio.sleep(TELL_S)

    async def others(self) -> Sequence[NodeHealth]:
        """How the other nodes said that they are; of one that never said so there is nothing."""
        try:
            async with asyncio.timeout(READ_S):
                told = await self._store.told()
        except (StoreError, TimeoutError):
            old_s = time.monotonic() - self._known_s
            return [replace(one, age_s=one.age_s + old_s) for one in self._known]
        there = self._others.known()
        found = []
        for one in told:
            row, console = there.get(one.name, (None, ""))
            if row is not None and row.state in SHOWN:
                found.append(read(one.name, one.age_s, one.facts, row.state, console))
        self._known, self._known_s = tuple(found), time.monotonic()
        return found
