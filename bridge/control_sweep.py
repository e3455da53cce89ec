"""Brings home the events of workers that are gone, and ends the calls they left open.

A worker holds a lock on its spool as long as it lives (bridge/link/spool.py). A spool nobody holds
belongs to a dead process, whoever killed it and whether or not its slot ever comes back: control stores
what is left in it and writes `call.ended {by: bridge, reason: worker_died}` for every call of that boot
that has no end, in one transaction. Only then the file goes. How the worker ended is in the exit note of
the supervisor; it comes some milliseconds after the death, so a spool seen dead without a note gets `grace_s`.
Calls of a boot that has no spool at all (somebody deleted it) end as well. Runs in control at its start
and every second.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from bridge.errors import StoreError
from bridge.link.spool import DeadSpool, dead_spools, known_boots
from bridge.records.complaint import Complaint
from bridge.store.callrows import Death
from bridge.store.store import Store

log = structlog.get_logger(__name__)

SWEEP_EVERY_S = 1.0
NOTE_KEEP_S = 60.0
"""An exit note whose worker never had a spool is of no use; it is deleted after this."""


class Sweeper:
    """One per control process; it remembers since when it has seen a spool without an owner."""

    def __init__(self, spool_dir: Path, store: Store, *, grace_s: float) -> None:
        self._spool_dir = spool_dir
        self._store = store
        self._grace_s = grace_s
        self._dead_since: dict[str, float] = {}

    async def run(
        self,
        worker_left: asyncio.Event,
        ended: Callable[[list[str]], Awaitable[None]],
        looks: Callable[[], None] = lambda: None,
    ) -> None:
        """Every second, and as soon as a worker has left; until cancelled.

        `ended` gets the ids of the calls; `looks` is called every time.
        """
        complaint = Complaint(log, "sweep.failed", "sweep.works_again")
        while True:
            worker_left.clear()
            looks()
            try:
                await ended(await self.sweep(time.monotonic()))
                complaint.worked()
            except (StoreError, OSError) as error:
                complaint.failed(str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_EVERY_S):
                    await worker_left.wait()

    async def sweep(self, now: float) -> list[str]:
        """Adopt every dead spool that is due; answers the ids of the calls ended. `now` is monotonic seconds.

        Raises StoreError or OSError; whatever is not done yet is done by the next sweep.
        """
        ended: list[str] = []
        for spool in dead_spools(self._spool_dir):
            with spool:
                ended += await self._adopt(spool, now)
        ended += await _orphans(self._spool_dir, self._store)
        _old_notes(self._spool_dir)
        return ended

    async def _adopt(self, spool: DeadSpool, now: float) -> list[str]:
        how = spool.exit()
        if how is None and now - self._dead_since.setdefault(spool.boot, now) < self._grace_s:
            return []
        detail = f"the worker process ended: {how or 'how is not known'}"
        events = spool.events()
        ended = await self._store.adopt(spool.worker, spool.boot, events, Death(spool.died_at(), detail))
        spool.remove()
        self._dead_since.pop(spool.boot, None)
        log.info(
            "worker.adopted",
            worker=spool.worker,
            boot=spool.boot,
            exit=how,
            events=len(events),
            calls_ended=len(ended),
        )
        return ended


async def _orphans(spool_dir: Path, store: Store) -> list[str]:
    ended: list[str] = []
    open_boots = await store.open_boots()
    here = known_boots(spool_dir)
    for worker, boot in open_boots:
        if boot not in here:
            death = Death(0.0, "the worker process and its event spool are gone")
            ended += await store.adopt(worker, boot, [], death)
            log.warning("worker.orphans_ended", worker=worker, boot=boot)
    return ended


def _old_notes(spool_dir: Path) -> None:
    for note in spool_dir.glob("worker-*.exit"):
        if not note.with_suffix(".jsonl").exists() and time.time() - note.stat().st_mtime > NOTE_KEEP_S:
            note.unlink(missing_ok=True)
