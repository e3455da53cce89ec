"""Tools through the gate, as callers and approvers live it: real SIP, real speech, the command line as the approver."""

import asyncio
import json
import os
import pwd
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from bridge.approval.chain import broken
from bridge.cli.demo import embedded_bridge, environment
from bridge.settings import load
from bridge.store.gatestore import GateStore
from bridge.store.store import Store

ROOT = Path(__file__).parents[2]
SCRIPT = """
version: 1
voice: en-us
wpm: 140
steps:
  - after_agent: true
  - say: I want a refund of forty dollars.
  - after_agent: true
  - {answer}
  - after_agent: true
  - wait_ms: {wait_ms}
  - say: Goodbye.
  - after_agent: true
"""
ANSWERS = {
    "approved": "say: Yes please.",
    "denied": 'dtmf: "1"',
    "expired": 'dtmf: "1"',
    "refused": 'dtmf: "2"',
}

pytestmark = pytest.mark.system


def script_of(answer, wait_ms):
    """`answer`: to the read-back; `wait_ms`: at least so long for what becomes of it."""
    return SCRIPT.format(answer=answer, wait_ms=wait_ms)


def tools_of(folder):
    """The delivered tools with little time to decide: as much as the command line needs on a busy machine."""
    tools = folder / "my-tools"
    shutil.copytree(ROOT / "tools", tools, ignore=shutil.ignore_patterns("__pycache__"))
    policy = (ROOT / "tools" / "policy.yaml").read_text()
    (tools / "policy.yaml").write_text(policy.replace("decide_s: 90", "decide_s: 20"))
    return tools


async def sipbridge(environ, *words):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", *words, cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def me_approver(environ):
    """Makes this account one that may decide."""
    account = pwd.getpwuid(os.geteuid()).pw_name
    words = ("users", "add", account, "--role", "approver", "--group", "supervisors")
    assert (await sipbridge(environ, *words))[0] == 0


async def phone(environ, folder, address, caller):
    script = folder / f"{caller}.yaml"
    script.write_text(script_of(ANSWERS[caller], wait_ms=23_000))
    words = ("call", f"sip:100@{address}", "--script", str(script), "--from", caller, "--json")
    status, output = await sipbridge(environ, *words)
    assert status == 0, output
    return json.loads(output)


async def approver(environ, wanted):
    """Decides what waits for these callers, as they come; answers what became of each decision."""
    answers = {}
    while set(wanted) - set(answers):
        _, output = await sipbridge(environ, "approvals", "list", "--json")
        for row in json.loads(output or "[]"):
            verdict = wanted.get(row["caller"])
            if row["state"] == "pending" and verdict and row["caller"] not in answers:
                words = ("approvals", verdict, row["request_id"], "--reason", "the boss said so")
                answers[row["caller"]] = await sipbridge(environ, *words)
        await asyncio.sleep(1)  # each look is a process of its own
    return answers


async def test_refunds_are_read_back_approved_denied_and_timed_out_and_each_caller_hears_what_became_of_it(
    tmp_path,
):
    environ = environment(tmp_path, os.environ) | {"SIPBRIDGE_TOOLS": str(tools_of(tmp_path))}
    async with (
        embedded_bridge(tmp_path, environ) as address,
        asyncio.timeout(120),
        asyncio.TaskGroup() as tasks,
    ):
        await me_approver(environ)
        decided = tasks.create_task(approver(environ, {"approved": "approve", "denied": "deny"}))
        for caller in ANSWERS:
            tasks.create_task(phone(environ, tmp_path, address, caller))
    async with Store(str(load(None, environ).store), migrate=False) as store:
        said = {}
        for record in await store.recent(10):
            events = await store.events(record.call_id)
            lines = [e.data["text"] for e in events if e.type == "transcript" and e.data["who"] == "agent"]
            said[record.from_uri] = " / ".join(lines)
        states = {
            row.gate["request"]["caller"]["number"]: row.state for row in await GateStore(store).requests()
        }
        audit = await GateStore(store).audit()

    assert {caller: status for caller, (status, _) in decided.result().items()} == {
        "approved": 0,
        "denied": 0,
    }
    assert states == {
        "approved": "succeeded",
        "denied": "denied",
        "expired": "expired",
        "refused": "cancelled",
    }
    for lines in said.values():
        assert "You want a refund of 40 dollars. Is that right?" in lines
    assert "Done. I have refunded" in said["approved"]
    assert "was not approved" in said["denied"]
    for caller in ("denied", "expired", "refused"):
        assert "Done" not in said[caller], said
        assert any(words in said[caller] for words in ("did not work", "not approved", "in time")), said
    rows = (
        sqlite3.connect(tmp_path / "tools" / "shop.db")
        .execute("SELECT caller, amount FROM refunds")
        .fetchall()
    )
    assert rows == [("approved", 40.0)]
    assert broken(audit) == []
    assert [entry["type"] for entry in audit].count("executing") == 1
