"""Programs of a few lines of shell in the place of Kamailio."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from bridge.edge.daemon import Quiet, Spec, kill_leftovers

ROOT = Path(__file__).parents[2]
GUARD_S = 15.0


async def start(folder, script, name="rtpengine", **fields):
    (folder / "program.sh").write_text(script)
    config = str(folder / "program.conf")
    spec = Spec(name, ("/bin/sh", str(folder / "program.sh"), config), config, str(folder), **fields)
    (folder / "spec.json").write_text(json.dumps(asdict(spec)))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge.edge.daemon", str(folder / "spec.json")), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


def alive(path):
    """Whether the process whose number the file holds runs."""
    try:
        return Path(f"/proc/{path.read_text().strip()}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


async def until(condition):
    async with asyncio.timeout(GUARD_S):
        while not condition():  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.02)


@pytest.mark.system
async def test_its_lines_come_in_our_form_and_a_stop_ends_all_of_it(tmp_path):
    script = f"echo 'ERR: [call1]: something' >&2; sleep 60 & echo $! >{tmp_path}/child; wait"
    process = await start(tmp_path, script, log_format="json", ng_port=1)
    async with asyncio.timeout(GUARD_S):
        said = json.loads(await process.stderr.readline())
    assert (said["event"], said["level"], said["process"]) == ("rtpengine.said", "error", "rtpengine")
    await until(lambda: alive(tmp_path / "child"))
    process.terminate()
    async with asyncio.timeout(GUARD_S):
        assert await process.wait() == 0
    assert not alive(tmp_path / "child")


@pytest.mark.system
async def test_when_the_first_process_dies_the_others_that_hold_its_ports_are_killed(tmp_path):
    script = f"sleep 60 & echo $! >{tmp_path}/child; echo $$ >{tmp_path}/first; wait"
    process = await start(tmp_path, script, ng_port=1)
    await until(lambda: alive(tmp_path / "child") and (tmp_path / "first").exists())
    os.kill(int((tmp_path / "first").read_text()), signal.SIGKILL)
    async with asyncio.timeout(GUARD_S):
        assert await process.wait() == 1
    assert not alive(tmp_path / "child")


@pytest.mark.system
async def test_a_program_that_is_not_there_is_told(tmp_path):
    process = await start(tmp_path, "")
    spec = json.loads((tmp_path / "spec.json").read_text())
    (tmp_path / "spec.json").write_text(json.dumps({**spec, "argv": ["/nowhere/kamailio"]}))
    await process.wait()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge.edge.daemon", str(tmp_path / "spec.json")), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"cannot start /nowhere/kamailio" in errors


@pytest.mark.system
def test_what_an_earlier_life_left_is_ended_and_nothing_else(tmp_path):
    config = str(tmp_path / "kamailio.cfg")
    script = "import time; print(flush=True); time.sleep(60)"
    ours = [
        subprocess.Popen([sys.executable, "-c", script, one], stdout=subprocess.PIPE)
        for one in (config, config + "x")
    ]
    try:
        for one in ours:
            one.stdout.readline()
        kill_leftovers(config)
        assert ours[0].wait(GUARD_S) == -signal.SIGKILL
        assert ours[1].poll() is None
    finally:
        for one in ours:
            one.kill()
            one.wait()
            one.stdout.close()


def test_a_flood_of_lines_is_cut_and_counted():
    quiet = Quiet(burst=3, per_s=2.0)
    assert [quiet.admits(10.0) for _ in range(5)] == [True, True, True, False, False]
    assert quiet.dropped == 2
    assert [quiet.admits(11.0) for _ in range(3)] == [True, True, False]
