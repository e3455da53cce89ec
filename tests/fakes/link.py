"""The two ends of the link without what stands behind them: a store in memory, a worker without calls."""

import asyncio
from contextlib import asynccontextmanager

from bridge.errors import LinkError, StoreError
from bridge.link.client import LinkClient, LinkDeadlines, LinkHandlers
from bridge.link.server import LinkServer, ServerDeadlines

GUARD_S = 20.0
FAST = LinkDeadlines(retry_min_s=0.01, retry_max_s=0.02, status_s=60)


class MemoryStore:
    """ServerHandlers that keep events in lists, drop doubles like the real store, and fail on demand."""

    def __init__(self):
        self.kept = {}
        self.failures = 0
        self.doubles = 0
        self.left = []
        self.changed = asyncio.Condition()

    async def store(self, worker, events):
        if self.failures:
            self.failures -= 1
            raise StoreError("database is locked")
        rows = self.kept.setdefault(events[0].boot, [])
        for event in events:
            if rows and event.seq <= rows[-1].seq:
                self.doubles += 1
            else:
                rows.append(event)
        async with self.changed:
            self.changed.notify_all()

    async def answer(self, kind, data, hello):
        del hello
        if kind == "echo":
            return dict(data)
        if kind == "crash":
            raise KeyError(kind)
        if kind == "never":
            await asyncio.Event().wait()
        raise LinkError(f"no such request {kind!r}", fatal=kind == "refused")

    def gone(self, hello):
        self.left.append(hello.boot)

    def glimpse(self, hello, call_id, data):
        self.glimpses = [*getattr(self, "glimpses", []), (hello.worker, call_id, data)]

    def status(self, hello, before, now):
        pass

    def seqs(self, boot):
        return [event.seq for event in self.kept.get(boot, [])]

    async def until(self, count, boot):
        async with asyncio.timeout(GUARD_S), self.changed:
            await self.changed.wait_for(lambda: len(self.kept.get(boot, [])) >= count)


class Worker:
    """What a worker does with control's words: remembers them."""

    def __init__(self):
        self.plans, self.drains, self.hang_ups = [], 0, []
        self.tool_updates, self.commands = [], []
        self.told = asyncio.Event()
        self.calls = 0

    def handlers(self):
        return LinkHandlers(
            plan=self._plan,
            drain=self._drain,
            hang_up=self._hang_up,
            tool_update=self._tool_update,
            call_command=self.commands.append,
            facts=self._facts,
        )

    def _facts(self):
        return {"sip_port": 5070, "plan_version": "v0", "calls": self.calls}

    def _tool_update(self, call_id, function_call_id, data):
        self.tool_updates.append((call_id, function_call_id, data))

    def _plan(self, text):
        self.plans.append(text)
        self.told.set()

    def _drain(self):
        self.drains += 1
        self.told.set()

    def _hang_up(self, call_id, reason):
        self.hang_ups.append((call_id, reason))
        self.told.set()


def server(folder, store):
    return LinkServer(folder / "s", store, deadlines=ServerDeadlines(store_retry_s=0.01, hello_s=1))


@asynccontextmanager
async def client(folder, worker=None, index=0, boot="b1"):
    """A running LinkClient; `run` is cancelled at the end and the spool let go."""
    link = LinkClient(
        folder / "s", index, folder / "spool", (worker or Worker()).handlers(), boot=boot, deadlines=FAST
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(link.run())
            yield link
            running.cancel()
    finally:
        link.close()


async def until(condition):
    """Wait for something that has no event of its own."""
    async with asyncio.timeout(GUARD_S):
        while not condition():  # noqa: ASYNC110  # what is waited for belongs to the code under test
            await asyncio.sleep(0.002)
