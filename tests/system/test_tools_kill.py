"""kill -9 while a caller waits for an approval: control comes back and goes on, a worker that is gone cancels."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bridge.cli.demo import embedded_bridge, environment
from tests.system.test_tools import ROOT, approver, me_approver, script_of, sipbridge

pytestmark = pytest.mark.system


def process_of(folder, role):
    """The pid of a child of the bridge that keeps its state in this folder. Workers do not get its environment."""
    wanted = f"SIPBRIDGE_STATE_DIR={folder}".encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            mine = wanted in (entry / "environ").read_bytes().split(b"\0")
            found[int(entry.name)] = (words, parent, mine)
    parents = {parent for words, parent, mine in found.values() if mine and b"control" in words}
    (pid,) = [
        pid for pid, (words, parent, _) in found.items() if parent in parents and role.encode() in words
    ]
    return pid


async def phone(environ, folder, address, caller, seconds):
    script = folder / f"{caller}.yaml"
    script.write_text(script_of('dtmf: "1"', wait_ms=9_000))
    words = (
        "call",
        f"sip:100@{address}",
        "--script",
        str(script),
        "--from",
        caller,
        *("--json", "--max-seconds", str(seconds)),
    )
    return await sipbridge(environ, *words)


async def waiting(environ, caller):
    while True:
        _, output = await sipbridge(environ, "approvals", "list", "--json")
        for row in json.loads(output or "[]"):
            if row["caller"] == caller and row["state"] == "pending":
                return row
        await asyncio.sleep(1)  # each look is a process of its own


def refunds(folder):
    path = folder / "tools" / "shop.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as shop:
        return [row[0] for row in shop.execute("SELECT caller FROM refunds")]


async def test_control_and_worker_may_be_killed_while_an_approval_is_waited_for(tmp_path):
    environ = environment(tmp_path, os.environ) | {"SIPBRIDGE_TOOLS": str(ROOT / "tools")}
    async with embedded_bridge(tmp_path, environ) as address, asyncio.timeout(130):
        await me_approver(environ)

        call = asyncio.create_task(phone(environ, tmp_path, address, "first", 70))
        row = await waiting(environ, "first")
        os.kill(process_of(tmp_path, "control"), signal.SIGKILL)
        decided = await approver(environ, {"first": "approve"})
        assert decided["first"][0] == 0, decided
        status, output = await call
        assert status == 0, output
        assert refunds(tmp_path) == ["first"]

        call = asyncio.create_task(phone(environ, tmp_path, address, "second", 20))
        row = await waiting(environ, "second")
        os.kill(process_of(tmp_path, "worker"), signal.SIGKILL)
        while True:
            _, output = await sipbridge(environ, "approvals", "list", "--all", "--json")
            state = {one["caller"]: one["state"] for one in json.loads(output)}["second"]
            if state != "pending":
                break
            await asyncio.sleep(1)  # each look is a process of its own
        assert state == "cancelled"
        status, output = await sipbridge(environ, "approvals", "approve", row["request_id"])
        assert (status, "already_decided" in output) == (1, True)
        await call
        assert refunds(tmp_path) == ["first"]
        assert (await sipbridge(environ, "audit", "verify"))[0] == 0
