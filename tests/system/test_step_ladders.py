"""Steps whose ladder the other tests do not keep: a call each, over real SIP. The whole table: tests/data/ladders."""

import json
import os
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bridge.cli.demo import embedded_bridge, environment
from bridge.dialplan.plan import AgentStep, Plan
from bridge.dialplan.steps import (
    CollectStep,
    GoStep,
    MenuStep,
    QueueStep,
    SayStep,
    SetStep,
    SwitchStep,
    ToolStep,
)
from tests.fakes.ladder import check, ladder
from tests.fakes.rawphone import raw_phone
from tests.fakes.trunk import fake_trunk, reject
from tests.fakes.wire import wire
from tests.fakes.worker_process import AGENT, plan_of, running_worker
from tests.system.test_steps import sound, way
from tests.system.test_waiting import QUEUE, Callee, bridge, route

pytestmark = pytest.mark.system
NO_ONE = (way(9),)


@asynccontextmanager
async def calling(folder, *steps, flows=None):
    """A worker with that route, and a caller."""
    plan = replace(plan_of(*steps), flows=flows or {})
    async with running_worker(folder, plan) as worker, raw_phone(worker.port) as caller:
        yield worker, caller


async def ends(worker, caller):
    """The bridge hangs up: the reason in the record."""
    caller.reply(await caller.request("BYE"))
    return (await worker.ended())[0].end_reason


async def press(caller, digit):
    """A key by INFO."""
    body = f"Signal={digit}\r\nDuration=160\r\n"
    number = caller.request_out("INFO", body=body, kind="application/dtmf-relay")
    assert (await caller.response(number, "INFO")).status == 200


async def test_an_agent_answers_and_the_caller_hangs_up(tmp_path):
    async with calling(tmp_path, AgentStep("front")) as (worker, caller):
        assert (await caller.invite()).status == 200
        await worker.event("agent.finished")
        assert (await caller.bye()).status == 200
        await worker.ended()
        check("agent", ladder(caller=caller))


async def test_a_text_a_value_and_a_flow_lead_to_the_end(tmp_path):
    steps = (
        SetStep({"tier": "gold of {{ caller.number }}"}),
        SayStep("Hello {{ caller.number }}.", "en", ""),
        GoStep("more"),
    )
    more = (sound(tmp_path), SwitchStep("{{ vars.tier }}", {"gold of raw": (way(1),)}, NO_ONE))
    async with calling(tmp_path, *steps, flows={"more": more}) as (worker, caller):
        assert (await caller.invite()).status == 200
        await caller.heard(20)
        assert await ends(worker, caller) == "way 1"
        assert ("speech.say", "Hello raw.") in [
            (kind, data.get("text")) for kind, data in worker.control.asked
        ]
        check("say", ladder(caller=caller))


async def test_a_menu_by_info_keys(tmp_path):
    step = MenuStep((sound(tmp_path, 2000),), {"1": (way(1),), "2": (way(2),)}, {}, "en", 2.0, 1, NO_ONE)
    async with calling(tmp_path, step) as (worker, caller):
        await caller.invite()
        await caller.heard(5)
        await press(caller, "2")
        assert await ends(worker, caller) == "way 2"
        check("menu-info", ladder(caller=caller))


async def test_digits_are_collected_by_info_keys(tmp_path):
    steps = (
        CollectStep((sound(tmp_path),), "pin", 1, 4, "#", 5.0, 1, NO_ONE),
        SwitchStep("{{ vars.pin }}", {"47": (way(1),)}, (way(2),)),
    )
    async with calling(tmp_path, *steps) as (worker, caller):
        await caller.invite()
        await caller.heard(3)
        for digit in "47#":
            await press(caller, digit)
        assert await ends(worker, caller) == "way 1"
        check("collect-info", ladder(caller=caller))


@pytest.mark.parametrize(("state", "expected"), [("succeeded", "way 1"), ("denied", "way 9")])
async def test_a_tools_answer_leads_the_way_and_a_refusal_is_or_else(tmp_path, state, expected):
    steps = (
        ToolStep("customer_tier", json.dumps({"number": "{{ caller.number }}"}), "tier", "", NO_ONE),
        SwitchStep("{{ vars.tier }}", {"gold": (way(1),)}, (way(2),)),
    )
    async with calling(tmp_path, sound(tmp_path), *steps) as (worker, caller):
        asked = []

        async def gate(kind, data, hello):
            assert kind == "tool.call"
            asked.append((data["tool"], json.loads(data["arguments"])))
            return {
                "state": state,
                "request_id": "r1",
                "output": json.dumps({"status": state, "tier": "gold"}),
            }

        worker.control.answer = gate
        assert (await caller.invite()).status == 200
        assert await ends(worker, caller) == expected
        assert asked == [("customer_tier", {"number": "raw"})]
        check("tool", ladder(caller=caller))


async def test_a_queue_tries_the_next_member_when_one_is_busy(tmp_path):
    async with raw_phone(0) as ann_phone, raw_phone(0) as bob_phone:
        ann, bob = Callee(ann_phone), Callee(bob_phone)
        queue = replace(QUEUE, announce="")
        targets = {"ann": ann.uri, "bob": bob.uri}
        plan = Plan(
            (route("100", QueueStep("help", NO_ONE), way(1)),), (AGENT,), transfers=targets, queues=(queue,)
        )
        async with bridge(tmp_path, plan, workers=1) as (worker,), raw_phone(worker.port) as caller:
            assert (await caller.invite()).status == 200
            await ann.rings()
            ann.refuses()
            await ann.phone.request("ACK")
            await bob.answers()
            await worker.event("leg.connected")
            await bob.hangs_up()
            assert await ends(worker, caller) == "way 1"
            check("queue", ladder(caller=caller, ann=ann.phone, bob=bob.phone))


CALLBACK = """
version: 1
agents:
  caller: {{greeting: Good morning., instructions: Be kind.}}
outbound:
  allow: ["+49"]
  region: DE
  target: sip:{{number}}@127.0.0.1:{port}
  caller_id: "+493012345"
  ring_s: 5
  amd: false
  do: [{{agent: caller}}]
routes:
  - name: all
    do:
      - callback: {{number: "+49301234567"}}
        or_else: [{{hang_up: {{status: 403}}}}]
      - say: We call you back.
      - hang_up: {{}}
"""


async def test_a_callback_is_an_invite_when_the_caller_has_gone(tmp_path):
    async with fake_trunk(default=reject) as trunk, wire() as line:
        (tmp_path / "plans").mkdir()
        (tmp_path / "plans" / "plan.yaml").write_text(CALLBACK.format(port=trunk.port))
        environ = environment(tmp_path, os.environ) | {"SIPBRIDGE_DIALPLANS": str(tmp_path / "plans")}
        async with embedded_bridge(tmp_path, environ) as address:
            port = int(address.rpartition(":")[2])
            async with raw_phone(port) as caller:
                assert (await caller.invite()).status == 200
                caller.reply(await caller.request("BYE"))
                await trunk.until(lambda: trunk.invites)
                assert trunk.invites == ["+49301234567"]
                await trunk.until(lambda: trunk.requests[-1].method == "ACK")
                check(
                    "callback", line.ladder(apart=True, bridge=port, caller=caller.sip_port, trunk=trunk.port)
                )
