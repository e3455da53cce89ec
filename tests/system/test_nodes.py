"""Real bridges, real calls, a real PostgreSQL that goes away; two nodes of which one dies (issue 5)."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from bridge.cli.demo import environment, said_address
from bridge.store.store import Store
from tests.fakes.nodes import KEY, eventually
from tests.fakes.postgres import Cluster
from tests.fakes.rawphone import raw_phone
from tests.system.test_pool import PLAN
from tests.system.test_tools import ROOT, sipbridge

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
WAIT_S = 60.0
START_S = 90.0
"""Beside seven other test runs on two cores a bridge takes half a minute to start."""
QUICK = {
    "SIPBRIDGE_NODE__HEARTBEAT_S": "0.3",
    "SIPBRIDGE_NODE__LEASE_S": "2",
    "SIPBRIDGE_NODE__LOST_AFTER_S": "4",
}


def told(words):
    """What was measured, for who runs it with -s."""
    sys.stdout.write(words + "\n")


class Bridge:
    """One node: a real `sipbridge serve` with one worker."""

    def __init__(self, folder, environ, address):
        self.folder, self.environ, self.port = folder, environ, int(address.rpartition(":")[2])

    async def health(self):
        transport = httpx.AsyncHTTPTransport(uds=str(self.folder / "api.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://c", timeout=5) as client:
            answer = await client.get("/healthz")
        return answer.status_code, answer.json()

    async def healthy(self):
        with contextlib.suppress(httpx.TransportError):
            return (await self.health())[0] == 200

    async def cli(self, *words):
        status, output = await sipbridge(self.environ, *words)
        assert status == 0, output
        return output

    def processes(self):
        """Every process of this node: they have the same state folder, or a parent that has."""
        wanted = f"SIPBRIDGE_STATE_DIR={self.folder}".encode()
        parents, mine = {}, set()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    mine.add(int(entry.name))
        while grown := {pid for pid, parent in parents.items() if parent in mine} - mine:
            mine |= grown
        return mine - {os.getpid()}


@asynccontextmanager
async def bridge(folder, url, name, **more):
    folder.mkdir(exist_ok=True)
    (folder / "plan.yaml").write_text(PLAN)
    environ = environment(folder, os.environ) | {
        "SIPBRIDGE_STORE": url,
        "SIPBRIDGE_NODE__NAME": name,
        "SIPBRIDGE_NODE__DECISION_KEY_ENV": "SEAL",
        "SEAL": KEY,
        "SIPBRIDGE_WORKERS": "1",
        "SIPBRIDGE_DIALPLANS": str(folder / "plan.yaml"),
        **QUICK,
        **more,
    }
    output = folder / "serve.log"
    output.unlink(missing_ok=True)
    with output.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "serve"), cwd=ROOT, env=environ, stdout=log, stderr=log
        )
    try:
        address = await eventually(lambda: said_address(output), START_S)
        yield Bridge(folder, environ, address)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(START_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@pytest.fixture
def server():
    """Durable: what was committed must outlive a kill -9."""
    running = Cluster(durable=True)
    try:
        running.start()
        yield running
    finally:
        running.close()


@asynccontextmanager
async def phone_call(port):
    """An answered call that speaks; hang up with `bye`."""
    async with raw_phone(port) as phone:
        assert (await phone.invite()).status == 200
        async with phone.speaking(b"\xff" * 160):
            yield phone


async def records(url):
    async with Store(url, migrate=False) as reader:
        return {record.call_id: record for record in await reader.recent(20)}


async def ended(url, count):
    found = [record for record in (await records(url)).values() if record.ended_at]
    return found if len(found) >= count else None


async def test_calls_go_on_and_are_taken_while_the_database_is_killed_and_nothing_is_lost(server, tmp_path):
    url = server.fresh()
    async with bridge(tmp_path / "a", url, "a") as node, AsyncExitStack() as stack:
        await eventually(node.healthy, WAIT_S)
        before = await stack.enter_async_context(phone_call(node.port))
        await eventually(lambda: records(url), WAIT_S)

        server.kill()
        killed = time.monotonic()
        status, page = await eventually(lambda: unhealthy(node), WAIT_S)
        told(f"/healthz {status} after {time.monotonic() - killed:.1f} s: {page['problems']}")
        during = await stack.enter_async_context(phone_call(node.port))
        assert goes_on(before, killed)
        assert (await before.bye()).status == 200

        server.start()
        await eventually(node.healthy, WAIT_S)
        assert goes_on(during, killed + 2)
        assert (await during.bye()).status == 200
        found = await eventually(lambda: ended(url, 2), WAIT_S)
        assert [(one.ended_by, one.answered_at is not None) for one in found] == [("caller", True)] * 2
        assert len(await records(url)) == 2


async def unhealthy(node):
    status, page = await node.health()
    why = any("the store has not answered" in problem for problem in page["problems"])
    return (status, page) if status == 503 and why else None


def goes_on(phone, since):
    """Whether the bridge sends this phone sound until now, and no BYE. Seven other test runs make gaps."""
    times = [packet.at for packet in phone.rtp.got if packet.at > since]
    ended = [message for message in phone.sip.got if message.method == "BYE"]
    return bool(times) and time.monotonic() - times[-1] < 2.0 and not ended


async def test_a_bridge_that_starts_without_its_database_takes_calls_and_tells_of_them_later(
    server, tmp_path
):
    url = server.fresh()
    server.kill()
    async with bridge(tmp_path / "a", url, "a") as node:
        await eventually(lambda: unhealthy(node), WAIT_S)
        assert "cannot be reached now" in (tmp_path / "a" / "serve.log").read_text()
        async with phone_call(node.port) as phone:
            assert (await phone.bye()).status == 200
        server.start()
        (record,) = await eventually(lambda: ended(url, 1), WAIT_S)
        assert (record.ended_by, record.node) == ("caller", "a")
        await eventually(node.healthy, WAIT_S)


async def test_a_node_that_dies_has_its_calls_ended_in_the_record_and_the_other_goes_on(server, tmp_path):
    url = server.fresh()
    async with bridge(tmp_path / "b", url, "b") as other, AsyncExitStack() as stack:
        async with bridge(tmp_path / "a", url, "a") as victim:
            await eventually(lambda: listed(other, {"a": "live", "b": "live"}), WAIT_S)
            theirs = await stack.enter_async_context(phone_call(other.port))
            await stack.enter_async_context(phone_call(victim.port))
            calls = await eventually(lambda: live(other, 2), WAIT_S)
            assert {call["node"] for call in calls} == {"a", "b"}
            assert all(call["connected"] for call in calls)

            for pid in victim.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            (record,) = await eventually(lambda: ended(url, 1), WAIT_S)
            told(f"ended in the record {time.monotonic() - killed:.1f} s after kill -9 of the node")
            assert (record.node, record.end_reason, record.ended_by) == ("a", "node_lost", "bridge")
            await eventually(lambda: listed(other, {"a": "lost", "b": "live"}), WAIT_S)
            assert goes_on(theirs, killed)
            async with phone_call(other.port) as new:
                assert (await new.bye()).status == 200
            assert (await theirs.bye()).status == 200
        # It comes back with a spool in which nothing is that the record does not have: the record stays as it is.
        async with bridge(tmp_path / "a", url, "a"):
            await eventually(lambda: listed(other, {"a": "live", "b": "live"}), WAIT_S)
            found = await records(url)
            assert (len(found), found[record.call_id]) == (3, record)


async def listed(node, wanted):
    nodes = json.loads(await node.cli("nodes", "list", "--json"))
    return {one["name"]: one["state"] for one in nodes} == wanted


async def live(node, count):
    calls = json.loads(await node.cli("calls", "live", "--json"))
    return calls if len(calls) == count else None


async def test_a_call_is_hung_up_from_another_node(server, tmp_path):
    url = server.fresh()
    async with bridge(tmp_path / "a", url, "a") as a, bridge(tmp_path / "b", url, "b") as b:
        await eventually(lambda: listed(a, {"a": "live", "b": "live"}), WAIT_S)
        async with phone_call(b.port) as phone:
            (call,) = await eventually(lambda: live(a, 1), WAIT_S)
            began = time.monotonic()
            assert "hung up" in await a.cli("calls", "hangup", call["id"][:8])
            told(
                f"hung up from the other node in {time.monotonic() - began:.1f} s, the command's start included"
            )
            await eventually(lambda: [one for one in phone.sip.got if one.method == "BYE"], 5.0)
        (record,) = await eventually(lambda: ended(url, 1), WAIT_S)
        assert record.node == "b"
