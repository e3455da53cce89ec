"""`python -m tests.bench.gate`: the figures of issue 3 as a table and build/gate.json.

A real control process with SQLite and the delivered tools; this process is a worker of its link and leaves decisions in
its store, as a command does. Measured from just before a decision is written to the moment its outcome is here.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from bridge.approval.policy import Facts, Policy, load
from bridge.approval.signing import DECISION_KEY, seal, secret
from bridge.link.client import LinkClient, LinkHandlers
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from bridge.store.userstore import User, UserStore
from tests.bench import report
from tests.bench.report import Measure

REPO = Path(__file__).parents[2]
ALONE, CROWD = 40, 100
DEADLINE_S = 10.0
POLICY = """
version: 1
default_ask: {group: boss, decide_s: 600}
rules:
"""
RULE = "- {{name: r{n}, tools: [t{n}], when: args.amount > {n} && caller.verified && hour > 8, deny: no}}\n"


class Peer:
    """This end of the link: tool calls out, updates in, with the time each came."""

    def __init__(self, folder: Path) -> None:
        self.news: dict[str, tuple[float, dict[str, Any]]] = {}
        self.changed = asyncio.Event()
        handlers = LinkHandlers(
            plan=lambda _text: None,
            drain=lambda: None,
            hang_up=lambda _call, _reason: None,
            tool_update=self._update,
            call_command=lambda _command: None,
            facts=lambda: {"sip_port": 0, "plan_version": "", "calls": 0},
        )
        self.link = LinkClient(folder / "link.sock", 7, folder / "bench-spool", handlers)

    def _update(self, _call_id: str, function_call_id: str, data: Any) -> None:
        self.news[function_call_id] = time.perf_counter(), dict(data)
        self.changed.set()

    async def call(self, tool: str, number: int, arguments: dict[str, Any]) -> tuple[float, str]:
        """Ask for a function; how long the answer took in ms, and the request's id."""
        words = {"call_id": f"bench-{number}", "function_call_id": f"f{number}", "tool": tool}
        began = time.perf_counter()
        answer = await self.link.request(
            "tool.call", {**words, "arguments": json.dumps(arguments)}, DEADLINE_S
        )
        return (time.perf_counter() - began) * 1000, str(answer["request_id"])

    async def outcome(self, number: int) -> float:
        """When the outcome came."""
        async with asyncio.timeout(DEADLINE_S):
            while "output" not in self.news.get(f"f{number}", (0.0, {}))[1]:
                self.changed.clear()
                await self.changed.wait()
        return self.news[f"f{number}"][0]


async def decide(gates: GateStore, key: bytes, request_id: str) -> float:
    """Leave an approval; when that began."""
    (row,) = await gates.find(request_id)
    words = {"by": "bench", "verdict": "approve", "binding": row.gate["binding"], "via": "bench"}
    began = time.perf_counter()
    await gates.decide(request_id, {**words, "seal": seal(key, request_id, words)})
    return began


async def measure(folder: Path, say: Callable[[str], None]) -> list[Measure]:
    """Everything that needs control."""
    peer = Peer(folder)
    link = asyncio.create_task(peer.link.run())
    async with Store(f"sqlite:///{folder}/sipbridge.db", migrate=False) as store:
        await UserStore(store).put(User("bench", frozenset({"approver"}), frozenset({"boss"})))
        gates, key = GateStore(store), secret(folder / "keys" / DECISION_KEY)
        await asyncio.sleep(1)
        say("one at a time")
        alone, asked = [], []
        for number in range(ALONE):
            took, request_id = await peer.call("refund", number, {"amount": 40.0})
            asked.append(took)
            began = await decide(gates, key, request_id)
            alone.append((await peer.outcome(number) - began) * 1000)
        say(f"{CROWD} pending at once")
        crowd_asked, waiting = [], []
        for number in range(ALONE, ALONE + CROWD):
            took, request_id = await peer.call("refund", number, {"amount": 40.0})
            crowd_asked.append(took)
            waiting.append((number, request_id))
        reads = []
        for _ in range(20):
            began = time.perf_counter()
            await peer.call("opening_hours", 10_000 + len(reads), {})
            reads.append((time.perf_counter() - began) * 1000)
        listed = []
        for _ in range(20):
            began = time.perf_counter()
            assert len(await gates.requests(("pending",))) == CROWD
            listed.append((time.perf_counter() - began) * 1000)
        among = []
        for number, request_id in waiting[:20]:
            began = await decide(gates, key, request_id)
            among.append((await peer.outcome(number) - began) * 1000)
        say("80 decisions at once")
        began = {}
        for number, request_id in waiting[20:]:
            began[number] = await decide(gates, key, request_id)
        at_once = [(await peer.outcome(number) - at) * 1000 for number, at in began.items()]
    link.cancel()
    await asyncio.gather(link, return_exceptions=True)
    target = {"p95": 250.0}
    return [
        Measure("call asked → answer (pending)", "ms", asked),
        Measure(
            "decision → outcome at the call, one pending", "ms", alone, target, note="runs the refund too"
        ),
        Measure(f"call asked → answer, up to {CROWD} pending", "ms", crowd_asked),
        Measure(f"an allowed look-up, {CROWD} pending", "ms", reads),
        Measure(f"list of {CROWD} pending", "ms", listed),
        Measure(f"decision → outcome at the call, {CROWD} pending", "ms", among, target),
        Measure("decision → outcome, 80 decided as fast as can be written", "ms", at_once),
    ]


def policy_times(folder: Path) -> list[Measure]:
    """One ruling, as control makes it."""
    measures = []
    for count, target in ((10, {"p99": 1.0}), (200, {"p99": 1.0}), (1000, {})):
        path = folder / f"policy{count}.yaml"
        path.write_text(POLICY + "".join(RULE.format(n=n) for n in range(count)))
        policy: Policy = load(path)
        last = Facts(f"t{count - 1}", {"amount": 40.0}, "money", hour=9)
        every = Facts("other", {"amount": 40.0}, "money", hour=9)
        times = []
        for number in range(2000):
            began = time.perf_counter()
            policy.rule(last if number % 2 else every)
            times.append((time.perf_counter() - began) * 1000)
        measures.append(
            Measure(f"policy of {count} rules, no rule or the last one fits", "ms", times, target)
        )
    return measures


async def main() -> int:
    """Exit status 1: a target was missed."""
    console = Console(width=140)
    folder = Path(tempfile.mkdtemp(prefix="gate-bench-"))
    tools = folder / "tools"
    tools.mkdir()
    for path in (REPO / "tools").glob("*.py"):
        (tools / path.name).write_text(path.read_text())
    reads = "- {name: reads, risk: [read], allow: true}\n"
    (tools / "policy.yaml").write_text(POLICY + reads)
    config = folder / "bridge.yaml"
    config.write_text(
        f"state_dir: {folder}\ntools: {tools}\ndialplans: {REPO}/dialplans\nconsole: {{port: 18099}}\n"
    )
    with (folder / "control.log").open("wb") as log:
        control = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "control", "--config", str(config)),
            stdout=asyncio.subprocess.PIPE, stderr=log, env=os.environ | {"SIPBRIDGE_LOG__LEVEL": "info"},
        )  # fmt: skip
    try:
        assert control.stdout is not None
        async with asyncio.timeout(30):
            while not (line := await control.stdout.readline()).startswith(b"ready"):
                assert line, (folder / "control.log").read_text()
        found = policy_times(folder) + await measure(folder, console.print)
    finally:
        control.kill()
        await control.wait()
    console.print(report.table(found))
    out = REPO / "build" / "gate.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps([one.to_dict() for one in found], indent=2) + "\n")
    return int(any(one.verdict == "MISS" for one in found))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
