"""Workers are replaced behind the edge: the new one takes calls before the old one gives up its place."""

import asyncio
import time

import pytest

from bridge.pool.client import ask
from tests.fakes.realedge import edge_phone, missing, running_edge
from tests.system.test_pool import lives

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(missing(), reason="kamailio and rtpengine-daemon are not installed"),
]


async def test_a_replaced_worker_keeps_its_call_while_the_next_call_goes_to_its_replacement(tmp_path):
    async with running_edge(tmp_path) as edge, edge_phone(edge) as old, edge_phone(edge) as new:

        def workers():
            return ask(tmp_path / "state", {"do": "status"})["workers"]

        async def until(*states):
            async with asyncio.timeout(30):
                while [one["state"] for one in workers()] != list(states):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

        async def until_dispatched_to(port):
            async with asyncio.timeout(30):
                while True:
                    found = await edge.active()
                    assert found, "nobody would take a call"
                    if all(f":{port};" in one.uri for one in found):
                        return
                    await asyncio.sleep(0.05)

        await until("active", "free")
        assert (await old.invite()).status == 200
        async with old.speaking(b"\xff" * 160):
            began = time.monotonic()
            ask(tmp_path / "state", {"do": "restart", "slot": "rolling"})
            await until_dispatched_to(edge.workers_port + 1)
            await until("draining", "active")
            assert (await new.invite()).status == 200
            assert [one["calls"] for one in workers()] == [1, 1]
            assert lives(old, began)
            assert (await old.bye()).status == 200
        await until("free", "active")
        assert ask(tmp_path / "state", {"do": "status"})["rolling"] == ""
        assert (await new.bye()).status == 200
        await edge.until_active(1)
