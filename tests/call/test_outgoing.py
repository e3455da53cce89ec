"""The first seconds of a call that we place, with a real Call on a line in memory."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bridge.call.call import Call
from bridge.call.modelside import CallDeps
from bridge.call.outgoing import Order, order_of
from bridge.dialplan.outbound import Outbound
from bridge.dialplan.plan import Agent, AgentStep, HangUpStep, Plan, Route
from bridge.media.recorder import RecorderThread
from bridge.sip.dialog import LegDialog
from bridge.sip.events import Confirmed, HangUpBy, HungUp, MediaStarted, Ringing
from tests.fakes.call import AGENT, CONFIG, PRICES, Stage, plan_of
from tests.fakes.line import FakeLine, frame
from tests.fakes.memory import Connector
from tests.fakes.realtime_server import FakeRealtime, tone

RULES = Outbound(("+49",), "sip:{number}@trunk.example", "+49301", (AgentStep("front"),), ring_s=30)
NUMBER = "+493012345678"
VOICE = frame(8000)


def order(**changes):
    rules = replace(RULES, **changes)
    return Order(NUMBER, rules, rules.steps, {"name": "Ann"})


@asynccontextmanager
async def placed(wanted):
    line = FakeLine()
    line.leg.dialog = LegDialog(incoming=False)
    model = FakeRealtime(tone(400), None)
    stage = Stage(line, model, Connector(model, ()), [])

    async def refuse(kind, data, deadline_s):
        raise AssertionError(kind)

    with RecorderThread(flush_s=0.05) as recorder:
        deps = CallDeps(CONFIG, PRICES, recorder, stage.emit, refuse, stage.connector)
        agent = replace(AGENT, instructions='Call "{{ vars.name }}" at {{ called.number }}.')
        stage.call = Call(line.leg, plan_of(AgentStep("front"), agents=(agent,)), deps, wanted)
        stage.task = asyncio.create_task(stage.call.run())
        try:
            yield stage
        finally:
            stage.task.cancel()
            await asyncio.gather(stage.task, return_exceptions=True)


async def answer(stage):
    stage.line.event(Ringing(180))
    stage.line.event(MediaStarted("PCMU", 20, "127.0.0.1:4000", direct=True))
    stage.line.event(Confirmed())
    await stage.until(lambda: stage.of("call.answered"))


async def test_the_model_is_ready_while_it_rings_and_is_not_heard_before_somebody_has_spoken():
    async with placed(order()) as stage:
        session = await stage.session()
        await stage.until(lambda: stage.of("session.ready"))
        said = session.of("session.update")[0]["session"]["instructions"]
        assert said == f'Call "Ann" at {NUMBER}.'
        assert stage.line.pj.responses == []  # a call we place is not answered by us
        await answer(stage)
        await stage.line.advance(300, frame(0))
        await stage.line.advance(600, VOICE)
        assert not stage.line.heard()
        await stage.until(stage.line.heard, speech=frame(0))
        (verdict,) = stage.of("amd")
        assert verdict["verdict"] == "human"
        assert stage.types.index("session.ready") < stage.types.index("call.answered")
        assert stage.types.count("call.answered") == 1
        stage.line.hang_up()
        record = await stage.over()
        assert record.answered_at is not None


async def test_who_talks_on_is_a_machine_and_is_hung_up_on():
    async with placed(order()) as stage:
        await answer(stage)
        await stage.until(stage.task.done, speech=VOICE)
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 200, "machine")
        assert not stage.line.heard()


async def test_with_agent_for_machines_the_agent_talks_to_it():
    async with placed(order(on_machine="agent")) as stage:
        await answer(stage)
        await stage.until(stage.line.heard, speech=VOICE)
        assert stage.of("amd")[0]["verdict"] == "machine"


async def test_without_amd_the_agent_speaks_at_once():
    async with placed(order(amd=False)) as stage:
        await stage.until(lambda: stage.of("session.ready"))
        await answer(stage)
        await stage.until(stage.line.heard)
        assert stage.of("amd") == []


async def test_a_line_without_any_audio_is_silence_and_gets_the_agent():
    async with placed(order(amd_s=0.2)) as stage:
        await stage.until(lambda: stage.of("session.ready"))
        await answer(stage)
        await stage.until(stage.line.heard)
        assert stage.of("amd")[0]["verdict"] in {"silence", "human"}


async def test_ringing_ends_after_its_time():
    async with placed(order(ring_s=0)) as stage:
        await stage.until(stage.task.done)
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 487, "no_answer")


async def test_a_busy_callee_ends_the_call_with_the_network_s_status():
    async with placed(order()) as stage:
        stage.line.over(HungUp(HangUpBy.CALLER, 486, "Busy Here"))
        record = await stage.over()
        assert (record.end_status, record.answered_at) == (486, None)


async def test_steps_that_end_before_the_answer_stop_the_ringing():
    async with placed(order(steps=(HangUpStep(503, "no agent"),))) as stage:
        record = await stage.over()
        assert (record.end_status, record.end_reason) == (503, "no agent")


def test_an_order_names_steps_of_the_plan_and_a_number_it_allows():
    plan = Plan((Route("night", (), (HangUpStep(None, ""),)),), (Agent("front", "x"),), outbound=RULES)
    assert order_of(plan, NUMBER, "", {}).steps == RULES.steps
    assert order_of(plan, NUMBER, "agent:front", {}).steps == (AgentStep("front"),)
    assert order_of(plan, NUMBER, "route:night", {}).steps == (HangUpStep(None, ""),)
    for number, run in (("+43112345678", ""), (NUMBER, "agent:x"), (NUMBER, "route:x"), ("x", "")):
        with pytest.raises(ValueError, match=r"\w"):
            order_of(plan, number, run, {})
    with pytest.raises(ValueError, match="no outbound section"):
        order_of(Plan((), ()), NUMBER, "", {})


def test_the_record_has_the_number_as_the_called_party_and_ours_as_the_caller():
    invite = order().invite("10.0.0.1")
    assert (invite.called.user, invite.caller.user) == (NUMBER, "+49301")
    assert invite.request_uri == f"sip:{NUMBER}@trunk.example"
    assert order().from_uri("10.0.0.1") == "<sip:+49301@10.0.0.1>"
    facts = order().facts()
    assert (facts.to_number, facts.from_number, facts.vars) == (NUMBER, "+49301", {"name": "Ann"})
