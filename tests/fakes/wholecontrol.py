"""A control as it runs, with everything on its HTTP door, users of every role, and no worker."""

import asyncio
import time
from contextlib import asynccontextmanager

import httpx

from bridge.approval.request import ROLES
from bridge.control import Control
from bridge.settings import load
from bridge.store.sessionstore import SessionStore
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore
from tests.fakes.link import GUARD_S

PLAN = "version: 1\nroutes:\n  - name: first\n    do:\n      - say: Hello\n      - hang_up: {}\n"
SETTINGS = """
dialplans: plans
state_dir: state
tools: none
console: {api_per_s: 10000, api_burst: 100000}
"""
NOBODY = ""
"""A user of this role has none."""


class Whole:
    """`tokens` and `sessions`: by role."""

    def __init__(self, control, store):
        self.control, self.store = control, store
        self.base = f"http://127.0.0.1:{control.health_port}"
        self.tokens, self.sessions = {}, {}

    async def people(self):
        users, sessions = UserStore(self.store), SessionStore(self.store, 3600, 43_200)
        for role in (NOBODY, *ROLES):
            name = f"a-{role or 'nobody'}"
            await users.put(User(name, frozenset({role} - {NOBODY}), frozenset()))
            self.tokens[role] = await users.give_token(name, "test", None)
            self.sessions[role] = await sessions.begin(name, time.time())

    def client(self, role=None):
        """Over TCP; `role` None: without a token."""
        headers = {} if role is None else {"authorization": f"Bearer {self.tokens[role]}"}
        return httpx.AsyncClient(base_url=self.base, headers=headers, timeout=20)

    async def document(self):
        async with self.client("admin") as client:
            return (await client.get("/api/v1/openapi.json")).json()


@asynccontextmanager
async def running(folder, extra="", environ=None):
    """`extra`: more settings, as YAML."""
    (folder / "plans").mkdir()
    (folder / "plans" / "plan.yaml").write_text(PLAN)
    (folder / "settings.yaml").write_text(SETTINGS + extra)
    settings = load(folder / "settings.yaml", {})
    free = settings.console.model_copy(update={"port": 0})
    settings = settings.model_copy(update={"console": free})
    control = Control(settings, environ or {}, speak=lambda _prompt: b"\0\0")
    task = asyncio.create_task(control.run())
    try:
        async with asyncio.timeout(GUARD_S), asyncio.TaskGroup() as first:
            first.create_task(_ready(control, task))
        async with Store(str(settings.store), migrate=False) as store:
            whole = Whole(control, store)
            await whole.people()
            yield whole
    finally:
        control.stop()
        await asyncio.gather(task, return_exceptions=True)


async def _ready(control, task):
    ready = asyncio.create_task(control.ready.wait())
    await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if task.done():
        await task
