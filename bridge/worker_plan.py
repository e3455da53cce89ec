"""The plan a worker has in force, and how the next one takes its place without a gap in anybody's audio.

    link ──came──► newest text ──a thread reads it──► plan            one that cannot be read leaves the running one

Reading a plan of 5,000 routes takes a third of a second of Python. On a thread of its own it gives way to the loop and
to the media clock; what would not is a full garbage collection, 50 to 100 ms with so many objects, so those are put off
to when no call is there (`rest`), or until very much has been allocated. Belongs to the loop.
"""

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path

import structlog

from bridge.dialplan.plan import Plan
from bridge.errors import LinkError

log = structlog.get_logger(__name__)

FULL_COLLECTION_AFTER = 1000
"""Collections of the middle generation; Python's own default is 10. 7 million objects more than before."""
RESTED_AFTER = 10
"""As many make a full one worth its time when no call is there."""


class PlanIntake:
    """`plan` None: there was none yet. `refused`: why the last one was not taken. `changed` is called after each."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.plan: Plan | None = None
        self.refused = ""
        self._changed = changed
        self._newest: str | None = None
        self._came = asyncio.Event()
        self._grown = False

    @property
    def version(self) -> str:
        """Of the plan in force; "" before there is one."""
        return self.plan.version if self.plan else ""

    def came(self, text: str) -> None:
        """A plan from control (`Plan.to_json`): in force as soon as it has been read, unless a newer one comes."""
        self._newest = text
        self._came.set()

    def take(self, text: str) -> None:
        """Read it here and now: for the start, when there are no calls."""
        try:
            plan = Plan.from_json(text)
        except LinkError as error:
            self._refuse(error)
        else:
            self._take(plan)

    def read(self, path: Path) -> None:
        """While control is away (it may be restarting) the plan it wrote last is in force."""
        try:
            self.take(path.read_text(encoding="utf-8"))
        except OSError:
            log.info("plan.none_on_disk", path=str(path))

    async def run(self) -> None:
        """Read what came, until cancelled."""
        while True:
            await self._came.wait()
            self._came.clear()
            text, self._newest = self._newest, None
            if text is None:
                continue
            try:
                plan = await asyncio.to_thread(Plan.from_json, text)
            except LinkError as error:
                self._refuse(error)
            else:
                self._take(plan)

    def rest(self) -> None:
        """No call is there now: a good moment to clear away."""
        if self._grown or gc.get_count()[2] > RESTED_AFTER:
            self._grown = False
            gc.collect()

    def _take(self, plan: Plan) -> None:
        self.plan, self.refused, self._grown = plan, "", True
        log.info("plan.in_force", version=plan.version, routes=len(plan.routes))
        self._changed()

    def _refuse(self, error: LinkError) -> None:
        self.refused = str(error)
        log.warning("plan.refused", reason=str(error), in_force=self.version)
        self._changed()


def calm() -> None:
    """Have this process collect garbage in full only when there is time for it. Called once, at its start."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_COLLECTION_AFTER)
