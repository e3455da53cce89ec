"""The worker pool, a real bridge, real calls (issue 5): a crash costs one worker's calls, replacing workers none."""

import asyncio
import itertools
import os
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from bridge.cli.demo import embedded_bridge, environment
from bridge.pool.client import ask
from tests.fakes.rawphone import raw_phone, turned_away
from tests.system.test_tools import sipbridge

pytestmark = pytest.mark.system

PLAN = """
version: 1
agents:
  host: {greeting: Good morning., instructions: Be kind.}
routes:
  - {name: all, do: [{agent: host}]}
"""


class Pool:
    """A bridge with two workers, and the calls that its workers carry."""

    def __init__(self, folder, environ, port, stack):
        self.folder, self.environ, self.port, self.stack = folder, environ, port, stack

    def workers(self):
        return ask(self.folder, {"do": "status"})["workers"]

    def pids(self):
        return [worker["pid"] for worker in self.workers()]

    async def until(self, condition):
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110  # the supervisor tells nobody
                await asyncio.sleep(0.02)

    async def call(self, worker):
        """A phone that is answered by this worker and speaks until it hangs up."""
        phone = await self.stack.enter_async_context(raw_phone(self.port + worker))
        answer = await phone.invite()
        assert answer.status == 200
        await self.stack.enter_async_context(phone.speaking(b"\xff" * 160))
        return phone

    async def cli(self, *words):
        return await sipbridge(self.environ, "workers", *words)


@asynccontextmanager
async def pool(folder, **more):
    (folder / "plan.yaml").write_text(PLAN)
    environ = environment(folder, os.environ) | {
        "SIPBRIDGE_WORKERS": "2",
        "SIPBRIDGE_DIALPLANS": str(folder / "plan.yaml"),
        **more,
    }
    async with embedded_bridge(folder, environ) as address, AsyncExitStack() as stack:
        one = Pool(folder, environ, int(address.rpartition(":")[2]), stack)
        await one.until(lambda: [worker["state"] for worker in one.workers()] == ["active", "active"])
        yield one


def lives(phone, since):
    """Whether the bridge has sent this phone a packet in every 200 ms since then, and no BYE."""
    times = [packet.at for packet in phone.rtp.got if packet.at > since]
    gaps = [later - earlier for earlier, later in itertools.pairwise([since, *times, time.monotonic()])]
    ended = [message for message in phone.sip.got if message.method == "BYE"]
    return not ended and max(gaps) < 0.2


async def test_a_rolling_restart_under_calls_drops_none_of_them(tmp_path):
    async with pool(tmp_path) as bridge:
        phones = [await bridge.call(worker) for worker in (0, 0, 1, 1)]
        began, old = time.monotonic(), bridge.pids()
        restart = asyncio.create_task(bridge.cli("restart", "--all"))
        await bridge.until(lambda: bridge.workers()[0]["state"] == "draining")
        assert (await turned_away(bridge.port)).status == 503
        assert [worker["state"] for worker in bridge.workers()] == ["draining", "active"]
        assert all(lives(phone, began) for phone in phones)

        assert [(await phone.bye()).status for phone in phones[:2]] == [200, 200]
        await bridge.until(lambda: bridge.workers()[0]["state"] == "active")
        await bridge.until(lambda: bridge.workers()[1]["state"] == "draining")
        phones.append(await bridge.call(0))
        assert all(lives(phone, began) for phone in phones[2:4])
        assert [(await phone.bye()).status for phone in phones[2:4]] == [200, 200]

        status, output = await restart
        assert (status, output.splitlines()[-1]) == (0, "all workers have been replaced")
        assert "0 of 2 replaced: worker-0 (2 calls)" in output
        assert not set(old) & set(bridge.pids())
        assert (await phones[-1].bye()).status == 200


async def test_a_worker_that_is_killed_is_replaced_within_a_second_and_nobody_else_notices(tmp_path):
    async with pool(tmp_path) as bridge:
        await bridge.call(0)
        other = await bridge.call(1)
        began, (victim, neighbour) = time.monotonic(), bridge.pids()
        os.kill(victim, signal.SIGKILL)
        await bridge.until(
            lambda: bridge.workers()[0]["life"] == 2 and bridge.workers()[0]["state"] == "active"
        )
        assert time.monotonic() - began < 1
        assert (await (await bridge.call(0)).bye()).status == 200
        assert bridge.workers()[0]["ready_ms"] < 300

        zygote = next(pid for pid in children(bridge) if b"zygote" in command(pid))
        os.kill(zygote, signal.SIGKILL)
        await bridge.until(lambda: zygote not in children(bridge))
        os.kill(bridge.pids()[0], signal.SIGKILL)  # its replacement is the spare that the dead zygote left
        await bridge.until(
            lambda: bridge.workers()[0]["life"] == 3 and bridge.workers()[0]["state"] == "active"
        )
        assert lives(other, began)
        assert bridge.pids()[1] == neighbour

        assert (await bridge.cli("drain", "1"))[1] == "worker-1 takes no new calls; it has 1\n"
        await bridge.until(lambda: bridge.workers()[1]["state"] == "drained")
        assert (await turned_away(bridge.port + 1)).status == 503
        status, output = await bridge.cli("list")
        assert (status, "drained" in output) == (0, True)
        assert (await other.bye()).status == 200
        assert (await bridge.cli("undrain", "1"))[0] == 0
        assert (await (await bridge.call(1)).bye()).status == 200
        assert bridge.pids()[1] == neighbour


def children(bridge):
    supervisor = ask(bridge.folder, {"do": "status"})["supervisor"]
    return [int(pid) for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()]


def command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
