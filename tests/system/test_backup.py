"""A bridge is backed up while calls go on, destroyed, restored and started again: everything of before is there."""

import asyncio
import json
import os
import shutil

import pytest

from bridge.cli.demo import embedded_bridge, environment
from bridge.store.store import Store
from tests.system.test_tools import sipbridge

pytestmark = pytest.mark.system


async def call(environ, address, number, seconds):
    words = ("--wait", str(seconds), "--max-seconds", "60")
    return await sipbridge(environ, "call", f"sip:{number}@{address}", *words)


async def records(folder):
    async with Store(f"sqlite:///{folder}/sipbridge.db", migrate=False) as store:
        return {one.call_id: one for one in await store.recent(100)}


async def test_a_backup_under_load_brings_everything_back(tmp_path):
    state, target = tmp_path / "state", tmp_path / "backup.tar.gz"
    state.mkdir()
    environ = environment(state, os.environ)
    async with embedded_bridge(state, environ) as address:
        assert (await call(environ, address, 199, 0.5))[0] in {0, 3, 4, 5}
        running = [asyncio.create_task(call(environ, address, 100, 50)) for _ in range(2)]
        async with asyncio.timeout(20):
            while sum(one.state != "ended" for one in (await records(state)).values()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        before = await records(state)
        status, output = await sipbridge(environ, "backup", str(target), "--recordings", "--json")
        assert status == 0, output
        assert json.loads(output)["calls"] == 3
        for one in before.values():
            if one.state != "ended":
                assert (await sipbridge(environ, "calls", "hangup", one.call_id))[0] == 0
        await asyncio.gather(*running)
        heard = {one.call_id: one.state for one in (await records(state)).values()}
    assert set(heard.values()) == {"ended"}
    shutil.rmtree(state)
    status, output = await sipbridge(environ, "restore", str(target))
    assert status == 0, output
    assert "the audit holds" in output
    after = await records(state)
    assert set(after) == set(before)
    assert {one.state for one in after.values()} == {"ended"}
    ended = [one for one in before.values() if one.state == "ended"]
    assert [after[one.call_id] for one in ended] == ended
    cut = [one for one in after.values() if one.call_id not in {done.call_id for done in ended}]
    assert {(one.end_reason, "the backup of" in (one.end_detail or "")) for one in cut} == {
        ("worker_died", True)
    }
    async with embedded_bridge(state, environ) as address:
        assert (await sipbridge(environ, "audit", "verify"))[0] == 0
        await call(environ, address, 199, 0.5)
        async with asyncio.timeout(10):
            while len(await records(state)) < len(before) + 1:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
