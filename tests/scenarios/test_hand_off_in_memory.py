"""Hand-offs between agents within a call: the context goes along, no gap is heard, and nobody goes in circles."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bridge.call.handoff import MAX_HAND_OFFS
from bridge.config import ProviderConfig
from bridge.dialplan.plan import Agent, AgentStep
from bridge.errors import FailureKind, RemoteSessionError
from tests.fakes.call import AGENT, CONFIG, PROVIDER, VAD, on_stage, plan_of
from tests.fakes.realtime_server import tone

REFUSED = RemoteSessionError(FailureKind.FATAL, "invalid_api_key", "key refused")
FRONT = replace(AGENT, hand_off_to=("billing",), tools=("hand_off",))
BILLING = Agent(
    "billing", "You do bills.", greeting="Billing", language="de", voice="cedar", provider="other", model="m2",
    turn_detection=VAD, recording=False, hand_off_to=("front",),
)  # fmt: skip
PLAN = plan_of(AgentStep("front"), agents=(FRONT, BILLING))
CONFIG_2 = replace(
    CONFIG, providers=(PROVIDER, ProviderConfig(name="other", kind="compatible", url="ws://other/v1"))
)


class Control:
    """Offers every tool and keeps the answers to commands."""

    def __init__(self):
        self.done = []

    async def __call__(self, kind, data, deadline_s):
        if kind == "tool.command_done":
            self.done.append(data)
        if kind == "tool.offer":
            return {"tools": [{"type": "function", "name": name} for name in data["names"]]}
        return {}


async def speak_up(server, session, event):
    """Every session after the first answers its first response.create too, under item names of its own."""
    if event["type"] == "session.update":
        session.items = 100 * server.sessions.index(session)


def stage_of(control, plan=PLAN, **more):
    return on_stage(plan, config=CONFIG_2, request=control, on_event=speak_up, **more)


def command(stage, kind="hand_off", number=1, **data):
    stage.call.commands.take(SimpleNamespace(command_id=f"c{number}", kind=kind, data=data))


async def test_the_other_agent_takes_over_with_the_context_and_the_note():
    control = Control()
    async with stage_of(control) as stage:
        first = await stage.talking()
        await first.send(
            "conversation.item.input_audio_transcription.completed", item_id="u1", content_index=0,
            transcript="My bill is wrong",
        )  # fmt: skip
        command(stage, agent="billing", note='Customer {{ 7*7 }} says "wrong bill"')
        second = await stage.session(1)
        await stage.until(lambda: control.done)
        await stage.until(lambda: len(stage.of("agent.finished")) == 2)
        assert control.done[0]["ok"] is True
        settings = second.of("session.update")[0]["session"]
        assert settings["audio"]["output"]["voice"] == "cedar"
        assert settings["instructions"].startswith("You do bills.\n\nYou can hand the caller over")
        assert stage.connector.asked[1][0].startswith("ws://other/v1?model=m2")
        facts = second.of("conversation.item.create")[0]["item"]["content"][0]["text"]
        assert 'Caller: "My bill is wrong"' in facts
        assert 'You: "hello"' in facts
        assert "Customer (( 7*7 )) says 'wrong bill'" in facts
        hand_off = stage.of("agent.hand_off")[0]
        assert (hand_off["from"], hand_off["to"]) == ("front", "billing")
        assert stage.record.agent == "billing"
        assert stage.record.state == "answered"
        assert second.of("response.create")
        assert first.connection.to_server.empty()


async def test_the_caller_is_heard_by_the_new_agent_and_no_more_by_the_old_one():
    control = Control()
    async with stage_of(control) as stage:
        first = await stage.talking()
        command(stage, agent="billing")
        second = await stage.session(1)
        await stage.until(lambda: control.done)
        before = len(first.of("input_audio_buffer.append"))
        await stage.until(lambda: len(second.of("input_audio_buffer.append")) > 5)
        assert len(first.of("input_audio_buffer.append")) - before <= 1
        assert stage.line.pj.responses == [180, 200]


async def test_what_the_first_agent_is_saying_is_heard_to_its_end():
    control = Control()
    async with stage_of(control) as stage:
        first = await stage.talking()
        await first.say(tone(600), "One moment, I connect you")
        command(stage, agent="billing")
        await stage.until(lambda: len(stage.of("agent.finished")) == 3)
        heard = [one["heard_ms"] for one in stage.of("agent.finished")]
        assert heard[1] == pytest.approx(600, abs=2)
        assert not any(one["interrupted"] for one in stage.of("agent.finished"))
        facts = stage.model.sessions[1].of("conversation.item.create")[0]["item"]["content"][0]["text"]
        assert 'You: "One moment, I connect you"' in facts


async def test_the_caller_may_talk_over_the_first_agents_last_words():
    control = Control()
    async with stage_of(control, greeting=tone(200)) as stage:
        first = await stage.talking()
        await first.say(tone(3000), "One moment, I connect you")
        command(stage, agent="billing")
        second = await stage.session(1)
        await stage.until(lambda: stage.of("agent.hand_off"))
        await second.speech_started()
        await stage.until(lambda: stage.of("barge_in"))
        assert stage.of("barge_in")[0]["dropped_ms"] > 1000


@pytest.mark.parametrize("target", ["sales", "front", "", "billing\n"])
async def test_an_agent_the_dialplan_does_not_allow_is_refused_and_no_session_is_opened(target):
    control = Control()
    async with stage_of(control) as stage:
        await stage.talking()
        command(stage, agent=target)
        await stage.until(lambda: control.done)
        assert (control.done[0]["ok"], "there are: billing" in control.done[0]["error"]) == (False, True)
        assert len(stage.model.sessions) == 1


async def test_an_agent_that_does_not_come_up_leaves_the_caller_where_they_are():
    control = Control()
    async with stage_of(control) as stage:
        first = await stage.talking()
        stage.connector.failures.append(REFUSED)
        command(stage, agent="billing")
        await stage.until(lambda: control.done)
        assert control.done[0]["error"] == "the agent billing is not available now"
        before = len(first.of("input_audio_buffer.append"))
        await stage.until(lambda: len(first.of("input_audio_buffer.append")) > before + 5)
        await first.say(tone(200), "I am still here")
        await stage.until(lambda: len(stage.of("agent.finished")) == 2)
        assert not stage.of("agent.hand_off")
        assert stage.of("error")[0]["code"] == "not_handed_over"


async def test_a_call_does_not_go_round_for_ever():
    control = Control()
    async with stage_of(control) as stage:
        await stage.talking()
        for number in range(MAX_HAND_OFFS + 1):
            target = ("billing", "front")[number % 2]
            command(stage, number=number, agent=target)
            await stage.until(lambda n=number: len(control.done) == n + 1)
            await stage.until(lambda: stage.line.port.silent and len(stage.of("agent.finished")) > 0)
            seat = stage.call.talk._seat
            await stage.until(lambda seat=seat: seat.spoke)
        assert [one["ok"] for one in control.done] == [True] * MAX_HAND_OFFS + [False]
        assert "too often" in control.done[-1]["error"]


async def test_a_lost_session_after_a_hand_off_is_mended_with_the_agent_who_has_the_caller():
    control = Control()
    async with stage_of(control) as stage:
        await stage.talking()
        command(stage, agent="billing")
        second = await stage.session(1)
        await stage.until(lambda: len(stage.of("agent.finished")) == 2)
        second.connection.drop()
        third = await stage.session(2)
        await stage.until(lambda: third.of("conversation.item.create"))
        assert third.of("session.update")[0]["session"]["instructions"].startswith("You do bills.")


async def test_the_hand_offs_own_outcome_is_not_told_to_the_agent_who_took_over():
    control = Control()
    async with stage_of(control) as stage:
        first = await stage.talking()
        await first.send("response.created", response={"id": "r9", "status": "in_progress"})
        call = {"id": "i9", "type": "function_call", "name": "hand_off", "call_id": "f9", "arguments": "{}"}
        await first.send("response.output_item.done", response_id="r9", output_index=0, item=call)
        await first.send(
            "response.done", response={"id": "r9", "status": "completed", "output": [call], "usage": {}}
        )
        await stage.until(lambda: stage.of("function_call"))
        command(stage, agent="billing")
        second = await stage.session(1)
        await stage.until(lambda: control.done)
        told = {"state": "done", "status": "executed", "output": "ok", "told": "ok", "result": "ok"}
        stage.call.tools.update("f9", told)
        await stage.line.advance(200)
        assert not [one for one in second.of("conversation.item.create") if "hand_off" in str(one)]


async def test_a_caller_who_hangs_up_during_a_hand_off_ends_the_call_and_both_sessions():
    control = Control()
    async with stage_of(control) as stage:
        await stage.talking()
        command(stage, agent="billing")
        await stage.session(1)
        stage.line.hang_up()
        record = await stage.over()
        assert record.ended_by == "caller"
        await asyncio.sleep(0)
        assert control.done[0]["ok"] in {True, False}
