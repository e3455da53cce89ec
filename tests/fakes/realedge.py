"""A whole bridge with its edge: Kamailio, rtpengine, control, workers, the local engine; and a phone that dials it.

Every port is one nobody has now. The phone is the raw one, with what a real one does besides: Route and the remote
target (RFC 3261 section 12.2.1.1).
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.edge.dispatch import listed
from bridge.edge.rpc import KamailioRpc
from tests.fakes.ports import UDP, free_block
from tests.fakes.rawphone import RawPhone

ROOT = Path(__file__).parents[2]
GUARD_S = 75.0
TRUNKS = "  lo: {addresses: 127.0.0.1}\n"
ECHO_PLAN = """\
version: 1
trunks:
{trunks}agents:
  front: {{greeting: "Good morning, this is the front desk of the shop.", instructions: Be brief.}}
routes:
  - name: all
    do: [{{agent: front, or_else: [{{hang_up: {{status: 503}}}}]}}]
"""


def missing():
    """Whether a program of the edge is not installed."""
    return any(shutil.which(name, path="/usr/sbin:/usr/bin") is None for name in ("kamailio", "rtpengine"))


class Edge:
    """A running one."""

    def __init__(self, folder, ports, process, environ=None):
        self.folder = folder
        self.port, self.inner_port, self.workers_port = ports["sip"], ports["inner"], ports["workers"]
        self.ports, self.rtp_last = ports, ports["rtp"] + 199
        self.process = process
        self.environ = environ
        path = folder / "state" / "edge"
        owner = path.resolve().stat().st_uid if os.geteuid() == 0 else None
        self.rpc = KamailioRpc(path, owner=owner)

    def log(self):
        return (self.folder / "serve.log").read_text(errors="replace")

    async def until_log(self, text, count=1, guard_s=GUARD_S):
        async with asyncio.timeout(guard_s):
            while self.log().count(text) < count:  # noqa: ASYNC110  # it is another process's file
                await asyncio.sleep(0.05)

    async def active(self):
        """Entries of the dispatcher that get calls."""
        return [one for one in listed(await self.rpc.ask("dispatcher.list")) if one.flags[0] in "AT"]

    async def load(self):
        """Calls that Kamailio counts."""
        return sum(one.load for one in listed(await self.rpc.ask("dispatcher.list")))

    async def until_active(self, count, guard_s=GUARD_S):
        async with asyncio.timeout(guard_s):
            while True:
                with contextlib.suppress(Exception):
                    if len(await self.active()) == count:
                        return
                await asyncio.sleep(0.1)

    async def counted(self, name):
        """One of the edge's counters."""
        found = await self.rpc.ask("htable.dump", "count")
        return sum(slot["value"] for entry in found for slot in entry["slot"] if slot["name"] == name)

    async def banned(self):
        """Addresses that are."""
        found = await self.rpc.ask("htable.dump", "ban")
        return {slot["name"] for entry in found or [] for slot in entry["slot"]}

    def pids(self, program):
        """Its first process's number, as its wrapper's child."""
        spec = json.loads((self.folder / "state" / "run" / f"{program}.json").read_text())
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and spec["config"].encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return sorted(found)

    def group_leader(self, program):
        return next(pid for pid in self.pids(program) if os.getpgid(pid) == pid)


class EdgePhone(RawPhone):
    """Follows the route set and the remote target of its dialog, as every real phone does."""

    target = ""
    routes = ""

    def message(self, method, **fields):
        text = super().message(method, **fields)
        if method in {"CANCEL", "INVITE"} and not self.target:
            return text
        if method == "ACK" and fields.get("branch"):
            return text
        start, _, rest = text.partition("\r\n")
        return (
            f"{method} {self.target} SIP/2.0\r\n{self.routes}{rest}" if self.target else f"{start}\r\n{rest}"
        )

    def take(self, answer):
        super().take(answer)
        if 200 <= answer.status < 300 and not self.target:
            self.target = re.search(r"<([^>]+)>", answer.headers["contact"])[1]
            routes = answer.headers.get("record-route", "").split(", ")
            self.routes = "".join(f"Route: {route}\r\n" for route in reversed(routes) if route)


@asynccontextmanager
async def edge_phone(edge, host="127.0.0.1"):
    phone = EdgePhone(edge.port, host)
    await phone.open()
    try:
        yield phone
    except BaseException:
        if phone.to_tag:  # a test that fails leaves no call behind for the next one to stumble over
            phone.request_out("BYE")
        raise
    finally:
        phone.close()


@asynccontextmanager
async def running_edge(folder, *, workers=1, settings="", edge="", trunks=TRUNKS, plan=None, environ=None):
    """`sipbridge serve` with an edge; `settings`, `edge`: more YAML of the file and of its section."""
    rtp = free_block(600, (UDP,))
    names = ("sip", "inner", "control", "console", "tls", "websocket")
    first = free_block(len(names) + workers + 2)
    ports = {name: first + number for number, name in enumerate(names)}
    ports["workers"], ports["rtp"] = first + len(names), rtp
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.yaml").write_text(plan or ECHO_PLAN.format(trunks=trunks or " {}\n"))
    more = f", {edge}" if edge else ""
    (folder / "bridge.yaml").write_text(
        f"state_dir: state\ndialplans: plan.yaml\nworkers: {workers}\n"
        f'sip: {{port: {ports["sip"]}, rtp_ports: "{rtp}-{rtp + 199}"}}\nconsole: {{port: {ports["console"]}}}\n'
        f"edge: {{enabled: true, workers_port: {ports['workers']}, inner_port: {ports['inner']}, processes: 2, "
        f'control_port: {ports["control"]}, workers_rtp_ports: "{rtp + 200}-{rtp + 599}"'
        f"{more.format(**ports)}}}\n{settings}"
    )
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("SIPBRIDGE_", "OPENAI"))
    }
    with (folder / "serve.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "serve", "--config", str(folder / "bridge.yaml")),
            cwd=ROOT, env=kept | (environ or {}), stdout=log, stderr=log,
        )  # fmt: skip
    try:
        async with asyncio.timeout(GUARD_S):
            while b"health on" not in (folder / "serve.log").read_bytes().replace(b"health on port", b""):
                assert process.returncode is None, (folder / "serve.log").read_text()
                await asyncio.sleep(0.05)
        one = Edge(folder, ports, process, kept | (environ or {}))
        await one.until_active(workers)
        yield one
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(15):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        left = folder / "state" / "edge"
        where = left.resolve()
        shutil.rmtree(where, ignore_errors=True)
        assert not left.is_symlink() or process.returncode, f"{where} was left behind by a stop"
