"""MCP servers nobody here wrote, at the end of a real phone call: SIP, Realtime session, control, gate, server.

mcp-server-time (PyPI) over stdio, the same behind mcp-proxy (PyPI) over streamable HTTP, and as a server that the
Realtime provider calls itself. Definitions are accepted by `sipbridge tools accept`, as an admin does it.
"""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import pytest

from bridge.cli.demo import environment, said_address
from tests.fakes.ports import free_port
from tests.fakes.rawphone import raw_phone
from tests.fakes.realtime_server import FakeRealtime, tone
from tests.system.test_tools import me_approver, sipbridge

ROOT = Path(__file__).parents[2]
PROXY = ROOT / ".venv-peers" / "bin" / "mcp-proxy"
TIME = [sys.executable, "-m", "mcp_server_time"]
GUARD_S = 30.0

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not PROXY.exists(), reason="mcp-proxy is not installed: make .venv-peers/.setup"),
]

POLICY = """
version: 1
default_ask: {group: supervisors, decide_s: 60}
rules: [{name: reads, risk: [read], allow: true}]
"""
DIALPLAN = """
version: 1
agents: {desk: {instructions: Be kind., greeting: Hello., recording: false, tools: [%s]}}
routes: [{name: all, do: [{agent: desk}]}]
"""


@contextlib.asynccontextmanager
async def proxy():
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        PROXY,
        "--port",
        str(port),
        "--",
        *TIME,
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(GUARD_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except OSError:
                    await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def bridge(folder, model, mcp, tools):
    """A bridge with a settings file of its own, its definitions accepted; its SIP port and its environment."""
    (folder / "tools").mkdir()
    (folder / "tools" / "policy.yaml").write_text(POLICY)
    (folder / "plan.yaml").write_text(DIALPLAN % ", ".join(tools))
    settings = {
        "state_dir": str(folder / "var"),
        "tools": "tools",
        "dialplans": "plan.yaml",
        "providers": {"fake": {"kind": "compatible", "url": model.url}},
        "mcp": mcp,
        "console": {"port": free_port()},
        "sip": {"port": free_port()},
    }
    (folder / "bridge.yaml").write_text(json.dumps(settings))
    environ = environment(folder / "var", os.environ) | {"SIPBRIDGE_CONFIG": str(folder / "bridge.yaml")}
    await me_approver(environ)
    for server in mcp:
        status, output = await sipbridge(environ, "tools", "accept", server, "--yes")
        assert status == 0, output
    assert (await sipbridge(environ, "tools", "mcp"))[0] == 0
    with (folder / "serve.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge", "serve", cwd=ROOT, env=environ, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(GUARD_S):
            while (address := said_address(folder / "serve.log")) is None:
                assert process.returncode is None, (folder / "serve.log").read_text()
                await asyncio.sleep(0.1)
            while (folder / "serve.log").read_text().count("mcp.connected") < len(mcp):  # noqa: ASYNC110  # a file
                await asyncio.sleep(0.1)
            await asyncio.sleep(1.2)  # the lock file is looked at once a second
        yield int(address.rpartition(":")[2]), environ
    finally:
        process.terminate()
        await process.wait()
        assert "Traceback" not in (folder / "serve.log").read_text()


async def call_function(session, name, arguments, call_id):
    """The model calls a function; its output."""
    item = {"type": "function_call", "id": f"item_{call_id}", "call_id": call_id, "name": name}
    item |= {"arguments": json.dumps(arguments), "status": "completed"}
    await session.send("response.created", response={"id": f"resp_{call_id}", "status": "in_progress"})
    await session.send("response.output_item.done", response_id=f"resp_{call_id}", output_index=0, item=item)
    done = {"id": f"resp_{call_id}", "status": "completed", "output": [item], "usage": {"total_tokens": 10}}
    await session.send("response.done", response=done)
    return await answer_to(session, "function_call_output", "call_id", call_id)


async def waiting(environ):
    while not (rows := json.loads((await sipbridge(environ, "approvals", "list", "--json"))[1])):  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    return rows


async def answer_to(session, kind, key, value):
    async with asyncio.timeout(GUARD_S), session.arrived:
        while True:
            for event in session.of("conversation.item.create"):
                if event["item"]["type"] == kind and event["item"].get(key) == value:
                    return event["item"]
            await session.arrived.wait()


async def test_tools_over_stdio_and_http_answer_a_call_and_what_is_no_read_waits_for_a_person(tmp_path):
    read = {"risk": {"get_current_time": "read"}}
    async with FakeRealtime(tone(300)).running() as model, proxy() as url:
        mcp = {"near": {"command": TIME, **read}, "far": {"url": url, **read}}
        async with (
            bridge(tmp_path, model, mcp, ["near__*", "far__*"]) as (port, environ),
            raw_phone(port) as phone,
        ):
            assert (await phone.invite()).status == 200
            session = await model.session()
            (update, *_) = await session.wait("session.update")
            offered = {tool["name"] for tool in update["session"]["tools"]}
            assert offered == {
                f"{name}__{tool}" for name in mcp for tool in ("get_current_time", "convert_time")
            }
            for number, name in enumerate(mcp):
                item = await call_function(
                    session, f"{name}__get_current_time", {"timezone": "Asia/Tokyo"}, f"call_{number}"
                )
                assert json.loads(item["output"])["timezone"] == "Asia/Tokyo"
            bad = await call_function(session, "near__get_current_time", {"timezone": 5}, "call_bad")
            assert "is not of type 'string'" in bad["output"]
            wanted = {"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "Etc/UTC"}
            asked = asyncio.create_task(call_function(session, "far__convert_time", wanted, "call_write"))
            rows = await waiting(environ)
            assert [(row["tool"], row["state"]) for row in rows] == [("far__convert_time", "pending")]
            assert not asked.done()
            assert (await sipbridge(environ, "approvals", "approve", rows[0]["request_id"]))[0] == 0
            assert "03:00" in (await asked)["output"]
            await phone.bye()


async def test_a_server_that_the_provider_calls_waits_for_the_gate_too(tmp_path):
    async with FakeRealtime(tone(300)).running() as model, proxy() as url:
        mcp = {"crm": {"url": url, "run_by": "provider"}}
        async with (
            bridge(tmp_path, model, mcp, ["crm__get_current_time"]) as (port, environ),
            raw_phone(port) as phone,
        ):
            assert (await phone.invite()).status == 200
            session = await model.session()
            (update, *_) = await session.wait("session.update")
            (entry,) = update["session"]["tools"]
            assert (entry["type"], entry["require_approval"]) == ("mcp", "always")
            assert entry["allowed_tools"] == ["get_current_time"]

            lock = json.loads((tmp_path / "tools" / "mcp.lock.json").read_text())
            pinned = lock["crm"]["get_current_time"]["definition"]
            shown = {
                "name": pinned["name"],
                "description": pinned["description"],
                "input_schema": pinned["schema"],
            }
            for number, (listed, verdict) in enumerate(
                ((None, False), ({**shown, "description": "Do more."}, False), (shown, True))
            ):
                if listed is not None:
                    item = {
                        "type": "mcp_list_tools",
                        "id": f"list_{number}",
                        "server_label": "crm",
                        "tools": [listed],
                    }
                    await session.send("conversation.item.done", item=item, previous_item_id=None)
                request = {"type": "mcp_approval_request", "id": f"ask_{number}", "server_label": "crm"}
                request |= {"name": "get_current_time", "arguments": '{"timezone": "Etc/UTC"}'}
                await session.send("conversation.item.done", item=request, previous_item_id=None)
                if verdict:
                    rows = await waiting(environ)
                    assert (await sipbridge(environ, "approvals", "approve", rows[0]["request_id"]))[0] == 0
                answer = await answer_to(
                    session, "mcp_approval_response", "approval_request_id", f"ask_{number}"
                )
                assert answer["approve"] is verdict
            await phone.bye()
