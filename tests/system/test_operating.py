"""Ops with their hands on a running bridge: the API places a call, the command line supervises it and hangs up."""

import asyncio
import os
import pwd
from contextlib import asynccontextmanager

import httpx
import pytest

from bridge.cli.demo import embedded_bridge, environment
from bridge.media.tones import beep
from tests.fakes.ports import free_port
from tests.fakes.rawphone import loudness, raw_phone
from tests.fakes.trunk import answers, fake_trunk
from tests.system.test_tools import sipbridge
from tests.system.test_waiting import Callee

pytestmark = pytest.mark.system

NUMBER = "+493012345678"
PERSON = beep(30_000, 700.0)
PLAN = """
version: 1
agents:
  caller:
    greeting: Good morning.
    instructions: Tell "{{{{ vars.name }}}}" about the appointment.
transfers: {{boss: "{boss}"}}
outbound:
  allow: ["+49"]
  target: sip:{{number}}@127.0.0.1:{port}
  caller_id: "+493012345"
  amd: false
  do:
    - agent: caller
      or_else: [{{hang_up: {{}}}}]
routes:
  - {{name: all, do: [{{hang_up: {{}}}}]}}
"""


@asynccontextmanager
async def bridge(folder, boss):
    """A whole bridge, the trunk behind it, and a client of its API over TCP as the operator ann."""
    async with fake_trunk(default=answers(PERSON)) as trunk:
        (folder / "plans").mkdir()
        (folder / "plans" / "plan.yaml").write_text(PLAN.format(port=trunk.port, boss=boss.uri))
        port = free_port()
        environ = environment(folder, os.environ) | {
            "SIPBRIDGE_DIALPLANS": str(folder / "plans"),
            "SIPBRIDGE_CONSOLE__PORT": str(port),
        }
        async with embedded_bridge(folder, environ):
            tokens = {}
            for name, role in (("ann", "operator"), ("vic", "viewer")):
                assert (await sipbridge(environ, "users", "add", name, "--role", role))[0] == 0
                tokens[name] = (await sipbridge(environ, "users", "token", name))[1].split()[0]
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1") as api:

                async def ask(method, path, body=None, name="ann"):
                    headers = {"authorization": f"Bearer {tokens[name]}"}
                    answer = await api.request(method, path, json=body, headers=headers)
                    return answer.status_code, answer.json()

                yield trunk, environ, ask


async def answered(ask):
    """The one live call, as soon as it is answered."""
    async with asyncio.timeout(15):
        while True:
            calls = (await ask("GET", "/calls"))[1]["calls"]
            if calls and calls[0]["state"] == "answered":
                return calls[0]
            await asyncio.sleep(0.1)


async def test_a_call_asked_for_by_the_api_is_supervised_and_hung_up_by_the_command_line(tmp_path):
    async with raw_phone(0) as phone, bridge(tmp_path, boss := Callee(phone)) as (trunk, environ, ask):
        wish = {"number": NUMBER, "variables": {"name": "Anna"}}
        assert (await ask("POST", "/calls", wish, name="vic"))[0] == 403
        status, refused = await ask("POST", "/calls", {"number": "+49900123456"})
        assert (status, "premium" in refused["error"]) == (422, True)
        status, job = await ask("POST", "/calls", wish)
        assert (status, job["asked_by"]) == (202, "ann")
        call = await answered(ask)
        assert (call["direction"], call["to"], call["connected"]) == ("outbound", NUMBER, True)
        assert trunk.invites == [NUMBER]
        assert (await ask("POST", f"/calls/{call['id']}/hang_up", {}, name="vic"))[0] == 403

        short = call["id"][:8]
        supervising = asyncio.create_task(sipbridge(environ, "calls", "supervise", short, "boss"))
        await boss.answers()
        assert await supervising == (0, f"{short}: boss is there: listen\n")
        async with asyncio.timeout(10):
            while len([p for p in phone.rtp.got if loudness(p.payload) > 500]) < 25:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        status, output = await sipbridge(environ, "calls", "live")
        assert (status, short in output) == (0, True)
        words = ("calls", "hangup", short, "--reason", "the boss said so")
        assert await sipbridge(environ, *words) == (0, f"{short}: hung up\n")
        called = trunk.of(NUMBER)[0]
        await trunk.until(called.over.is_set)
        phone.reply(await phone.request("BYE"))
        bye = next(one for one in trunk.requests if one.method == "BYE")
        assert 'text="the boss said so"' in bye.headers["reason"]

        me = pwd.getpwuid(os.geteuid()).pw_name
        record, events = await over(ask, call["id"])
        assert (record["ended_by"], record["end_reason"]) == ("operator", "the boss said so")
        commands = [event["data"] for event in events if event["type"] == "command"]
        assert [(one["kind"], one["by"], one["ok"]) for one in commands] == [
            ("supervise", me, True),
            ("hang_up", me, True),
        ]
        _, output = await sipbridge(environ, "calls", "show", short)
        assert f"supervise boss listen by {me}" in output
        assert (await ask("POST", f"/calls/{short}/hang_up", {}))[0] == 409
        assert (await ask("GET", f"/outbound/{job['job_id']}"))[1]["call_id"] == call["id"]
        log = (tmp_path / "serve.log").read_text()
        line = next(line for line in log.splitlines() if "call.command" in line)
        assert f"kind=supervise by={me} how=CLI ok=True target=boss mode=listen" in line


async def over(ask, call_id):
    async with asyncio.timeout(10):
        while True:
            data = (await ask("GET", f"/calls/{call_id}"))[1]
            if data["record"]["state"] == "ended":
                return data["record"], data["events"]
            await asyncio.sleep(0.1)
