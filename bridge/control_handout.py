"""Gives a plan to the workers: a small one to all at once, a large one to one after the other.

Reading a plan of 5,000 routes keeps a core busy for 0.2 s. If every worker did it at the same moment, no core would be
left for the sound of the calls. So the next one gets it when the one before has said that it has it in force (or has
refused it, or says nothing for a while). A newer plan takes the place of one that is being given out. Runs on control's
loop; a worker that connects gets the plan by itself (bridge/link/server.py).
"""

import asyncio
from collections.abc import Callable, Mapping

from bridge.link.messages import PlanPush
from bridge.link.server import LinkServer

SMALL_CHARS = 64 * 1024
"""About 300 routes: read in 10 ms."""
WAIT_S = 3.0
LOOK_S = 0.02


class Handout:
    """`reported`: by worker, the version it has in force, as control knows it."""

    def __init__(self, link: LinkServer, reported: Callable[[], Mapping[int, str]]) -> None:
        self._link = link
        self._reported = reported
        self._version = ""
        self._new = asyncio.Event()

    def give(self, text: str, version: str) -> None:
        """Have every worker take this plan (`Plan.to_json`)."""
        self._version = version
        if len(text) < SMALL_CHARS:
            self._link.push_plan(text)
            return
        self._link.plan = text
        self._new.set()

    async def run(self) -> None:
        """Give large plans out, until cancelled."""
        while True:
            await self._new.wait()
            self._new.clear()
            await self._round(self._link.plan or "", self._version)

    async def _round(self, text: str, version: str) -> None:
        for peer in self._link.peers():
            if self._version != version or self._new.is_set():
                return
            peer.tell(PlanPush(text))
            until = asyncio.get_running_loop().time() + WAIT_S
            while asyncio.get_running_loop().time() < until and not self._new.is_set():
                if self._reported().get(peer.hello.worker) == version or peer.status.get("plan_refused"):
                    break
                await asyncio.sleep(LOOK_S)
