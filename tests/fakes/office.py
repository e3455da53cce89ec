"""Control's tool desk over a real store, with tools that remember what was done."""

import asyncio
import contextlib
import threading

from bridge.approval.actions import FINAL
from bridge.approval.policy import load as load_policy
from bridge.approval.signing import Signer, seal
from bridge.control_toolbox import ToolSource
from bridge.control_tools import OfficeDeps, ToolOffice
from bridge.link.messages import ToolUpdate
from bridge.settings import load as load_settings
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore
from bridge.toolbox.spec import ToolContext, spec_of, tool
from tests.fakes import databases

GUARD_S = 20.0
POLICY = """
version: 1
default_ask: {group: boss, decide_s: 60}
rules:
- {name: reads, risk: [read], allow: true}
- {name: never, tools: [wipe], deny: Not on the phone.}
- {name: short, tools: [quick], ask: {group: boss, decide_s: 0.2}}
- name: much
  tools: [book]
  when: has(counts.call.sums.amount) && counts.call.sums.amount + args.amount > 100
  deny: Too much.
- {name: big, tools: [big], when: args.amount < 1000, ask: {group: boss}}
- {name: too big, tools: [big], deny: Too much.}
- {name: hang, tools: [hang], allow: true}
- {name: two, tools: [two], ask: {group: boss, approvers: 2}}
- {name: both, tools: [both], confirm: {question: "Pay {amount} dollars now?"}, ask: {group: boss}}
- {name: kept, tools: [kept], ask: {group: boss, on_hangup: keep}}
- {name: read back, tools: [book], confirm: {question: "Book {amount}?"}}
"""


PEOPLE = (
    User("anna", frozenset({"approver"}), frozenset({"boss"})),
    User("caller", frozenset({"approver"}), frozenset({"boss"}), frozenset({"+491"})),
    User("bert", frozenset({"approver"}), frozenset({"boss"})),
    User("sales", frozenset({"approver"}), frozenset({"sales"})),
    User("chief", frozenset({"admin"}), frozenset({"boss"})),
)
KEY = b"k" * 32


def lost(amount: int) -> dict:
    raise RuntimeError(f"the line to the bank broke after {amount}")


def check(amount: int) -> dict:
    return {"verified": amount == 1}


def gift(to: str, amount: int = 500) -> dict:
    return {"to": to, "amount": amount}


async def hang(amount: int, context: ToolContext) -> dict:
    await context.call.transfer("sales")
    return {"amount": amount}


class Office:
    """An office over a store, with tools that remember."""

    def __init__(self, folder, store):
        self.store = store
        self.done, self.updates, self.release = [], [], threading.Event()
        self.notices, self.commands = [], []
        self.release.set()
        self.told = asyncio.Event()
        (folder / "policy.yaml").write_text(POLICY)
        self.gates, self.users = GateStore(store, Signer(folder / "keys")), UserStore(store)
        specs = [self._spec("pay", "money"), self._spec("wipe", "irreversible"), self._spec("book", "write")]
        specs += [self._spec("look", "read"), self._spec("quick", "money"), self._spec("kept", "money")]
        specs += [self._spec("two", "money"), self._spec("both", "money")]
        specs += [self._spec("big", "money"), spec_of(tool("x", risk="money")(lost))]
        specs += [
            spec_of(tool("x", risk="read")(hang)),
            spec_of(tool("x", risk="read", verifies=True)(check)),
            spec_of(tool("x", risk="write")(gift)),
            self._spec("slow_check", "read", verifies=True),
        ]
        self.tools = {spec.name: spec for spec in specs}
        settings = load_settings(None, {"SIPBRIDGE_STATE_DIR": str(folder)})
        self.source = ToolSource.of(self.tools, load_policy(folder / "policy.yaml"), settings)
        self.office = ToolOffice(
            OfficeDeps(self.gates, self.users, self.source, folder, self._tell, self._notify, KEY)
        )

    def _spec(self, name, risk, description="x", **options):
        def run(amount: int, context: ToolContext) -> dict:
            self.release.wait(GUARD_S)
            self.done.append((name, amount, context.idempotency_key))
            return {"status": "paid", "verified": True}

        run.__name__ = name
        return spec_of(tool(description, risk=risk, **options)(run))

    def _notify(self, kind, group, gate):
        self.notices.append((kind, group, gate.request.tool))

    def change(self, name):
        self.tools[name] = self._spec(name, "money", "something else")

    def _tell(self, update):
        if not isinstance(update, ToolUpdate):
            self.commands.append(update)
            return
        self.updates.append((update.function_call_id, update.data))
        self.told.set()

    async def call(self, name="pay", arguments='{"amount": 40}', function_call_id="f1", call_id="c1", **more):
        data = {
            "call_id": call_id,
            "function_call_id": function_call_id,
            "tool": name,
            "arguments": arguments,
        }
        return await self.office.answer("tool.call", {**data, "agent": "desk", "caller": "+491", **more})

    async def leave(self, request_id, words):
        """Put a decision into the table as it is; what became of it."""
        number = await self.gates.decide(request_id, words)
        async with asyncio.timeout(GUARD_S):
            while (answer := await self.gates.answered(number)) is None:  # noqa: ASYNC110  # a database row
                await asyncio.sleep(0.01)
        return answer

    async def confirm(self, request_id, *, yes=True, call_id="c1"):
        words = {"call_id": call_id, "request_id": request_id, "how": "voice", "yes": yes}
        return (await self.office.answer("tool.confirm", words))["taken"]

    async def state(self, request_id):
        (row,) = await self.gates.find(request_id)
        return row.state

    async def settled(self, request_id):
        """Its final state, as soon as it has one."""
        async with asyncio.timeout(GUARD_S * 2):
            while (state := await self.state(request_id)) not in {*FINAL, "unknown"}:  # noqa: ASYNC110  # a row
                await asyncio.sleep(0.02)
        return state

    async def decide(self, request_id, by="anna", verdict="approve", binding=None, key=KEY, **more):
        if binding is None:
            (row,) = await self.gates.find(request_id)
            binding = row.gate["binding"]
        words = {"by": by, "verdict": verdict, "binding": binding, "reason": "because", "via": "cli", **more}
        words["seal"] = seal(key, request_id, words)
        return await self.leave(request_id, words)

    async def until(self, state):
        async with asyncio.timeout(GUARD_S):
            while not (self.updates and self.updates[-1][1]["state"] == state):
                self.told.clear()
                await self.told.wait()
        return self.updates[-1][1]


@contextlib.asynccontextmanager
async def running(folder, url="", node="", **changes):
    async with Store(url or databases.migrated(f"{folder}/store.db"), node=node) as store:
        office = Office(folder, store)
        for person in PEOPLE:
            await office.users.put(person)
        for name, value in changes.items():
            setattr(office, name, value)
        task = asyncio.create_task(office.office.run())
        try:
            await asyncio.sleep(0)
            yield office
        finally:
            office.release.set()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
