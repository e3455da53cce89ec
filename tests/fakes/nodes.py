"""Two and more controls on one PostgreSQL in one process, each with a state folder and workers that carry no calls."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.control import Control
from bridge.link.client import LinkClient
from bridge.settings import load
from tests.fakes.link import FAST, GUARD_S, Worker

KEY = "ab" * 32
SETTINGS = """
dialplans: {plans}
state_dir: {state}
console: {{port: {port}}}
store: "{url}"
node: {{name: {name}, heartbeat_s: 0.1, lost_after_s: {lost_after_s}, lease_s: 0.8, decision_key_env: SEAL}}
{more}
"""
PLAN = """
version: 1
routes:
  - name: all
    do:
      - say: Good evening
      - hang_up: {}
"""


def settings(folder, name, url, port=1, lost_after_s=1.0, more=""):
    """Settings of a node whose files lie in `folder`/name."""
    home = Path(folder, name)
    home.mkdir(exist_ok=True)
    plans = Path(folder, "plans")
    plans.mkdir(exist_ok=True)
    (plans / "plan.yaml").write_text(PLAN)
    text = SETTINGS.format(
        plans=plans, state=home / "state", port=port, url=url, name=name, lost_after_s=lost_after_s, more=more
    )
    (home / "settings.yaml").write_text(text)
    return load(home / "settings.yaml", {})


class Node:
    """A running control. `stop` ends it in good order, `vanish` as if its machine had lost its power."""

    def __init__(self, chosen, environ=None):
        self.settings = chosen
        self.control = Control(chosen, {"SEAL": KEY, **(environ or {})}, speak=lambda _prompt: b"\0\0")
        self.task = None

    @property
    def desk(self):
        return self.control.nodes.desk

    async def start(self):
        self.task = asyncio.create_task(self.control.run())
        ready = asyncio.create_task(self.control.ready.wait())
        async with asyncio.timeout(4 * GUARD_S):
            await asyncio.wait({self.task, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self.task.done():
            await self.task
        return self

    async def stop(self):
        self.control.stop()
        async with asyncio.timeout(4 * GUARD_S):
            await self.task

    @asynccontextmanager
    async def worker(self, index=0, boot="b1", words=None):
        state = self.settings.state_dir
        link = LinkClient(
            state / "link.sock",
            index,
            state / "spool",
            (words or Worker()).handlers(),
            boot=boot,
            deadlines=FAST,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(link.run())
                yield link
                running.cancel()
        finally:
            link.close()


@asynccontextmanager
async def node(folder, name, url, **changes):
    """One running node."""
    running = await Node(settings(folder, name, url, **changes)).start()
    try:
        yield running
    finally:
        if not running.task.done():
            await running.stop()


async def eventually(check, seconds=15.0):
    """Until `check()` is true; it may be a coroutine function."""
    async with asyncio.timeout(seconds):
        while True:
            found = check()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)
