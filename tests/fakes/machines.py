"""A whole installation on machines of its own: one edge, nodes, PostgreSQL, a speech model and the phones outside.

    phones 203.0.113.9 ──out── 203.0.113.1 edge 10.77.0.1 ──in──┬── 10.77.0.11 node-a    sipbridge serve, workers
                                 Kamailio, rtpengine            ├── 10.77.0.12 node-b
                                 sipbridge serve, workers: 0    ├── 10.77.0.5  database  PostgreSQL
                                                                └── 10.77.0.6  model     tests/fakes/echomodel.py

Every machine is a network namespace (tests/fakes/netns.py); processes are started as their user starts them, by
`sipbridge serve --config FILE`, and killed as a fault does it.
"""

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.edge.dispatch import listed
from bridge.edge.rpc import KamailioRpc
from bridge.errors import EdgeError
from tests.bench.loadsystem import by_kind, tree
from tests.fakes.fleet import Fleet
from tests.fakes.netns import Network, why_not
from tests.fakes.postgres import BIN, Cluster

ROOT = Path(__file__).parents[2]
PHONES, EDGE, EDGE_IN = "203.0.113.9", "203.0.113.1", "10.77.0.1"
DATABASE, MODEL = "10.77.0.5", "10.77.0.6"
NODES = {"node-a": "10.77.0.11", "node-b": "10.77.0.12"}
HOSTS = {
    "phones": {"out": PHONES},
    "edge": {"out": EDGE, "in": EDGE_IN},
    "database": {"in": DATABASE},
    "model": {"in": MODEL},
    **{name: {"in": address} for name, address in NODES.items()},
}
DATABASE_NAME = "bridge"
MODEL_PORT = 8000
GUARD_S = 90.0
PLAN = f"""\
version: 1
trunks:
  phones: {{addresses: {PHONES}}}
agents:
  echo: {{instructions: Say what you hear., audio: {{format: pcmu}}, recording: false}}
  refunds:
    instructions: 'Say what you hear. [call refund {{"amount": 40}}]'
    audio: {{format: pcmu}}
    recording: false
    tools: [refund]
routes:
  - {{name: echo, when: {{to: "100"}}, do: [{{agent: echo}}]}}
  - {{name: refunds, when: {{to: "200"}}, do: [{{agent: refunds}}]}}
"""
SPEAKING = {
    "version": 1,
    "agents": {
        "desk": {
            "provider": "engine",
            "greeting": "Hello.",
            "instructions": "Be brief.",
            "tools": ["refund"],
        },
    },
    "routes": [{"name": "desk", "when": {"to": "300"}, "do": [{"agent": "desk"}]}],
}
"""An agent of the local engine, which understands speech, on 300."""
POLICY = """\
version: 1
default_ask: {group: supervisors, decide_s: 120}
rules: [{name: reads, risk: [read], allow: true}]
"""
TOOLS = '''\
"""Money back; every time it is given stands in a file."""

from pathlib import Path

from bridge.toolbox.spec import ToolContext, tool

DONE = Path(__file__).parent / "done.log"


@tool("Give money back.", risk="irreversible")
def refund(amount: float, context: ToolContext, currency: str = "USD", reason: str = "") -> dict[str, str]:
    """One line a refund."""
    del currency, reason
    with DONE.open("a") as file:
        file.write(f"{context.caller} {amount}\\n")
    return {"status": "refunded"}
'''


def why_not_here():
    """Why no such installation can be made here; "" when it can."""
    missing = [
        name for name in ("kamailio", "rtpengine") if shutil.which(name, path="/usr/sbin:/usr/bin") is None
    ]
    if missing:
        return f"not installed: {', '.join(missing)} (ops/setup.sh)"
    if not BIN.exists():
        return "not installed: postgresql (ops/setup.sh)"
    return why_not()


class Database(Cluster):
    """PostgreSQL as another machine's: on an address of the inner network, and durable."""

    def __init__(self):
        super().__init__(5432, durable=True)
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.0.0/24 trust\n")

    def _options(self):
        return [
            word.replace("listen_addresses=127.0.0.1", f"listen_addresses={DATABASE}")
            for word in super()._options()
        ]

    def rows(self, query):
        """What a query finds, row by row, each a dict."""
        found = self.sql(DATABASE_NAME, f"SELECT coalesce(json_agg(t), '[]') FROM ({query}) t")
        return json.loads(found)


class Machine:
    """One that runs `sipbridge serve`."""

    def __init__(self, network, name, folder, settings, environ):
        self.network, self.name, self.folder, self.environ = network, name, folder, environ
        folder.mkdir()
        self.config = folder / "sipbridge.yaml"
        self.config.write_text(json.dumps(settings))
        self.state = folder / "state"
        self.process = None

    def start(self):
        with (self.folder / "serve.log").open("ab") as log, self.network.inside(self.name):
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=self.environ, start_new_session=True,
            )  # fmt: skip

    @property
    def log(self):
        return (self.folder / "serve.log").read_text(errors="replace")

    @property
    def kinds(self):
        """Process numbers by kind: supervisor, control, worker, kamailio, rtpengine, zygote …"""
        return by_kind(tree(self.process.pid)) if self.process and self.process.poll() is None else {}

    def kill(self, kind, number=0):
        """SIGKILL to one process of a kind; for Kamailio and rtpengine to the program, not to who watches it."""
        pid = self.programs(kind)[number]
        os.kill(pid, signal.SIGKILL)
        return pid

    def programs(self, kind):
        """Processes of a kind that are the program itself, the first one of a group first."""
        return sorted(
            pid
            for pid in self.kinds.get(kind, [])
            if not _is_ours(pid) or kind not in {"kamailio", "rtpengine"}
        )

    def kill_all(self):
        """Everything at once, as when the machine's power goes."""
        for _ in range(3):  # what is forked while we look is found by the next look
            for pid in tree(self.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """In order; by force after a while."""
        if self.process is None or self.process.poll() is not None:
            return
        pids = tree(self.process.pid)
        self.terminate()
        try:
            self.process.wait(8)
        except subprocess.TimeoutExpired:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(10)

    async def cli(self, *words, guard_s=60):
        """`sipbridge …` on this machine: status and what it printed."""
        process = await asyncio.to_thread(self._command, words)
        try:
            output, _ = await asyncio.to_thread(process.communicate, timeout=guard_s)
        except subprocess.TimeoutExpired:
            process.kill()
            output = process.communicate()[0] + f"not done within {guard_s} s"
        return process.returncode, output

    def _command(self, words):
        with self.network.inside(self.name):
            return subprocess.Popen(
                [sys.executable, "-m", "bridge", *words, "--config", str(self.config)],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, env=self.environ, text=True,
            )  # fmt: skip


def _is_ours(pid):
    try:
        return b"bridge.edge" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


class Installation:
    """All machines. `workers`: on each node. `nodes`: none means that the edge's machine has the workers itself.

    `speech`: with the local engine on each node, and an agent of its own on 300.
    """

    def __init__(self, folder, *, workers=2, nodes=tuple(NODES), speech=False, settings=None):
        self.folder, self.workers, self._names, self._speech = folder, workers, nodes, speech
        self._more = settings or {}
        self.network = Network(HOSTS)
        self.edge = None
        self.nodes = []
        self.model = None

    @property
    def calls(self):
        """How many calls there is room for."""
        return 4 * self.workers * len(self.nodes)

    @property
    def machines(self):
        return [self.edge, *(node for node in self.nodes if node is not self.edge)]

    @property
    def done(self):
        """Refunds that were given, by the caller's number."""
        path = self.folder / "tools" / "done.log"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    @asynccontextmanager
    async def running(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.network)
            await asyncio.to_thread(self._prepare, stack)
            for machine in self.machines:
                machine.start()
                stack.callback(machine.stop)
            self.fleet = Fleet(self.network, "phones", PHONES, (EDGE, 5060))
            async with self.fleet.running():
                await self.until_ready()
                account = pwd.getpwuid(os.geteuid()).pw_name
                words = ("users", "add", account, "--role", "approver", "--group", "supervisors")
                status, said = await self.nodes[-1].cli(*words)
                assert status == 0, said
                yield self

    def _prepare(self, stack):
        self.database = Database()
        stack.callback(self.database.close)
        self.start_database()
        self.database._create(DATABASE_NAME)
        self.start_model()
        stack.callback(self.stop_model)
        plans = self.folder / "plans"
        plans.mkdir()
        (plans / "1.yaml").write_text(PLAN)
        if self._speech:
            (plans / "2.json.yaml").write_text(json.dumps(SPEAKING))
        (self.folder / "tools").mkdir()
        (self.folder / "tools" / "policy.yaml").write_text(POLICY)
        (self.folder / "tools" / "shop.py").write_text(TOOLS)
        self.edge = self._machine("edge", self._edge_settings(), "edge")
        for name in self._names:
            self.nodes.append(self._machine(name, self._node_settings(name), "node"))
        self.nodes = self.nodes or [self.edge]

    def _machine(self, name, settings, role):
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SIPBRIDGE_", "OPENAI_"))
        }
        environ["DECISION_KEY"] = "5" * 64
        common = {
            "store": f"postgresql://postgres@{DATABASE}/{DATABASE_NAME}",
            "state_dir": "state",
            "dialplans": str(self.folder / "plans"),
            "tools": str(self.folder / "tools"),
            "providers": {"echo": {"kind": "compatible", "url": f"ws://{MODEL}:{MODEL_PORT}/v1/realtime"}}
            | ({"engine": {"kind": "local"}} if self._speech else {}),
            "default_provider": "echo",
            "log": {"level": "info", "format": "json"},
            "deadlines": {"drain_s": 5},
        }
        folder = self.folder / name
        return Machine(self.network, name, folder, common | settings | self._more.get(role, {}), environ)

    def _edge_settings(self):
        edge = {"enabled": True, "probe_every_s": 1, "memory_mb": 32}
        chosen = {"sip": {"bind": EDGE, "port": 5060, "rtp_ports": "30000-30999"}, "edge": edge}
        if not self._names:
            return chosen | {"workers": self.workers}
        edge |= {"inner": EDGE_IN, "workers_bind": EDGE_IN}
        node = {"name": "edge", "address": EDGE_IN, "decision_key_env": "DECISION_KEY"}
        return chosen | {"workers": 0, "node": node}

    def _node_settings(self, name):
        address = NODES[name]
        edge = {"at": [f"{EDGE_IN}:5090"], "workers_bind": address, "workers_rtp_ports": "40000-40999"}
        node = {"name": name, "address": address, "decision_key_env": "DECISION_KEY"}
        return {"workers": self.workers, "edge": edge, "node": node}

    def start_database(self):
        with self.network.inside("database"):
            self.database.start()

    def start_model(self):
        with self.network.inside("model"):
            self.model = subprocess.Popen(
                [sys.executable, "-m", "tests.fakes.echomodel", MODEL, str(MODEL_PORT)],
                stdout=subprocess.PIPE, cwd=ROOT,
            )  # fmt: skip
        assert self.model.stdout.readline() == b"listening\n"

    def stop_model(self):
        self.model.kill()
        self.model.wait()
        self.model.stdout.close()

    async def until_ready(self, guard_s=GUARD_S):
        """Until the edge has a place for every call, and counts none that is over."""
        until = time.monotonic() + guard_s
        while (found := await self.places()) != (self.calls, 0):
            for machine in self.machines:
                assert machine.process.poll() is None, machine.log[-4000:]
            assert time.monotonic() < until, f"places, counted calls: {found}, not {self.calls, 0}"
            await asyncio.sleep(0.2)

    async def places(self):
        """How many calls the edge's Kamailio has room for, those that are up included, and how many it counts."""
        entries = [one for one in await self.entries() if one.flags.startswith("A")]
        return 4 * len(entries), sum(one.load for one in entries)

    async def entries(self):
        """The dispatcher's list as Kamailio shows it; nothing while it is away."""
        path = self.edge.state / "edge"
        try:
            owner = path.resolve().stat().st_uid if os.geteuid() == 0 else None
            return listed(await KamailioRpc(path, owner=owner).ask("dispatcher.list"))
        except (OSError, EdgeError):
            return []

    # ---- what is in the store ----------------------------------------------------------------------------------

    def records(self, calls):
        """Caller → the records of that call."""
        rows = self.database.rows(
            "SELECT from_uri, worker, answered_at, ended_at, ended_by, end_reason FROM calls"
        )
        return {call.caller: [row for row in rows if row["from_uri"] == call.caller] for call in calls}

    async def recorded(self, calls, guard_s=20.0):
        """Wait until every one of these calls, which were answered, has a record with an end; all their records."""
        until = time.monotonic() + guard_s
        while True:
            found = await asyncio.to_thread(self.records, calls)
            if all(any(row["ended_at"] for row in rows) for rows in found.values()):
                return found
            assert time.monotonic() < until, {
                caller: rows for caller, rows in found.items() if len(rows) != 1
            }
            await asyncio.sleep(0.2)

    def requests(self, state=None):
        """Function calls that reached the gate."""
        rows = self.database.rows("SELECT request_id, call_id, state, gate FROM tool_requests")
        for row in rows:
            row["gate"] = json.loads(row["gate"]) if isinstance(row["gate"], str) else row["gate"]
        return [row for row in rows if state in {None, row["state"]}]
