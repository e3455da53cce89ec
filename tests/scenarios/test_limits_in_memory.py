"""Limits, consent and recording of an agent in a whole call in memory."""

import asyncio
import time
import wave
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bridge.dialplan.plan import AgentStep, Plan, Route
from bridge.dialplan.recording import RecordingRule
from bridge.sip.events import Dtmf, DtmfMethod, Invite, Party, Replaced
from tests.fakes.call import AGENT, config_of, on_stage, plan_of, recording_config
from tests.fakes.realtime_server import tone

ASK = RecordingRule(announce="May we record? Press 1.", prompt_id="ask", consent="ask", wait_s=2)
TELL = RecordingRule(announce="We record.", prompt_id="ask", consent="announce")
RECORDED = replace(AGENT, recording=True)


async def obedient(server, session, event):
    if event["type"] == "session.update":
        session.items = 10
    if event["type"] == "response.create" and session.responses and "goodbye" in str(event):
        await session.say(tone(300), "Goodbye")
    elif event["type"] == "response.create" and "still there" in str(event):
        await session.say(tone(300), "Are you still there?")


async def calling(kind, data, deadline_s):
    return {"tools": [{"type": "function", "name": name} for name in data.get("names", ())]}


async def function_call(session, number):
    await session.send("response.created", response={"id": f"r{number}", "status": "in_progress"})
    call = {
        "id": f"i{number}",
        "type": "function_call",
        "name": "look",
        "call_id": f"f{number}",
        "arguments": "{}",
    }
    await session.send("response.output_item.done", response_id=f"r{number}", output_index=0, item=call)
    await session.send(
        "response.done", response={"id": f"r{number}", "status": "completed", "output": [call]}
    )


async def test_a_used_up_budget_ends_in_a_goodbye_that_is_heard_and_a_reason_of_its_own():
    plan = plan_of(AgentStep("front"), agents=(replace(AGENT, max_tokens=10),))
    async with on_stage(plan, on_event=obedient) as stage:
        session = await stage.talking()
        usage = {
            "input_tokens": 10,
            "output_tokens": 0,
            "total_tokens": 10,
            "input_token_details": {"text_tokens": 10},
        }
        await session.send("response.created", response={"id": "r1x", "status": "in_progress"})
        await session.send(
            "response.done", response={"id": "r1x", "status": "completed", "output": [], "usage": usage}
        )
        record = await stage.over()
        assert record.end_reason == "max_tokens"
        assert [one["what"] for one in stage.of("agent.limit")] == ["goodbye"]
        assert stage.of("transcript")[-1]["text"] == "Goodbye"
        assert stage.of("agent.finished")[-1]["heard_ms"] == pytest.approx(300, abs=2)


async def test_a_caller_who_says_nothing_is_asked_hears_a_goodbye_and_the_call_ends():
    plan = plan_of(AgentStep("front"), agents=(replace(AGENT, idle_s=1),))
    async with on_stage(plan, on_event=obedient) as stage:
        record = await stage.over()
        assert record.end_reason == "caller_silent"
        assert [one["what"] for one in stage.of("agent.limit")] == ["silence", "goodbye"]
        assert stage.of("transcript")[-1]["text"] == "Goodbye"


async def test_a_caller_who_answers_keeps_the_line():
    plan = plan_of(AgentStep("front"), agents=(replace(AGENT, idle_s=1),))
    async with on_stage(plan, on_event=obedient) as stage:
        session = await stage.talking()
        await stage.until(lambda: stage.of("agent.limit"))
        await session.speech_started()
        begin_s = time.monotonic()
        await stage.until(lambda: time.monotonic() - begin_s > 2.0)
        assert [one["what"] for one in stage.of("agent.limit")] == ["silence"]
        assert not stage.task.done()


async def test_a_function_call_beyond_the_limit_is_refused_in_words():
    plan = plan_of(AgentStep("front"), agents=(replace(AGENT, max_tool_calls=1, tools=("look",)),))
    async with on_stage(plan, request=calling) as stage:
        session = await stage.talking()
        await function_call(session, 1)
        await function_call(session, 2)
        await stage.until(lambda: [one for one in stage.of("function_output") if one["call_id"] == "f2"])
        told = next(one for one in stage.of("function_output") if one["call_id"] == "f2")
        assert "No more functions" in told["output"]


def with_rule(rule, folder):
    plan = Plan((Route("all", (), (AgentStep("front"),), recording=rule),), (RECORDED,))
    config = recording_config(folder)
    prompts = folder / "prompts"
    prompts.mkdir()

    with wave.open(str(prompts / "ask.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(tone(200, 8000))
    return plan, replace(config, paths=replace(config.paths, prompts=str(prompts)))


async def test_the_recording_begins_after_the_announcement(tmp_path):
    plan, config = with_rule(TELL, tmp_path)
    async with on_stage(plan, config=config) as stage:
        await stage.talking()
        kinds = [kind for kind in stage.types if kind in {"prompt", "recording.consent", "recording"}]
        assert kinds == ["prompt", "recording.consent", "recording"]
        assert stage.of("recording.consent") == [{"how": "announced", "recorded": True, "text": "We record."}]


@pytest.mark.parametrize(("key", "how", "recorded"), [("1", "key", True), ("2", "refused", False)])
async def test_the_callers_key_decides(tmp_path, key, how, recorded):
    plan, config = with_rule(ASK, tmp_path)
    async with on_stage(plan, config=config) as stage:
        await stage.until(lambda: stage.of("prompt"))
        stage.line.event(Dtmf(key, DtmfMethod.RFC4733))
        await stage.talking()
        assert (stage.of("recording.consent")[0]["how"], bool(stage.of("recording"))) == (how, recorded)
        assert not [
            one for one in stage.model.sessions[0].of("conversation.item.create") if "keypad" in str(one)
        ]


HEIR = Invite("sip-2", "sip:x@b", Party("300", "phone"), Party("100", "b"), verstat="TN-Validation-Passed")


async def test_who_takes_a_call_over_is_not_recorded_on_the_consent_of_the_one_before(tmp_path):
    plan, config = with_rule(TELL, tmp_path)
    async with on_stage(plan, config=config) as stage:
        await stage.talking()
        stage.line.event(Replaced(HEIR))
        await stage.until(lambda: stage.of("recording.paused"))
        assert stage.of("recording.paused") == [{"by": "replaced"}]
        recorded, agent = stage.call._recorded, plan.agent("front")
        await stage.line.advance(20)
        asked = asyncio.create_task(recorded.prepare(agent))
        await stage.until(asked.done)
        recorded.heard(agent)
        assert len(stage.of("recording.consent")) == 2
        assert [one["by"] for one in stage.of("recording.resumed")] == ["replaced"]


async def test_who_takes_a_call_over_during_the_announcement_hears_it_too(tmp_path):
    plan, config = with_rule(TELL, tmp_path)
    async with on_stage(plan, config=config) as stage:
        await stage.until(lambda: stage.of("prompt"))
        stage.line.event(Replaced(HEIR))
        await stage.talking()
        assert len(stage.of("prompt")) == 2
        assert len(stage.of("recording.consent")) == 1


async def test_a_recording_nobody_had_to_agree_to_goes_on_with_another_caller(tmp_path):
    plan = plan_of(AgentStep("front"), agents=(RECORDED,))
    async with on_stage(plan, config=recording_config(tmp_path)) as stage:
        await stage.talking()
        stage.line.event(Replaced(HEIR))
        await stage.until(lambda: stage.of("call.replaced"))
        assert not stage.of("recording.paused")


async def test_functions_are_asked_for_in_the_name_of_the_caller_who_is_on_the_line():
    asked = []

    async def request(kind, data, deadline_s):
        asked.append((kind, dict(data)))
        return await calling(kind, data, deadline_s)

    plan = plan_of(AgentStep("front"), agents=(replace(AGENT, tools=("look",)),))
    async with on_stage(plan, request=request) as stage:
        session = await stage.talking()
        stage.call.tools.facts = {**stage.call.tools.facts, "verstat": "TN-Validation-Passed"}
        stage.line.event(Replaced(HEIR))
        await stage.until(lambda: stage.of("call.replaced"))
        await function_call(session, 1)
        await stage.until(lambda: [kind for kind, _ in asked if kind == "tool.call"])
        data = next(data for kind, data in asked if kind == "tool.call")
        assert (data["caller"], data["verstat"], data["callers"]) == ("300", "", 1)
        assert stage.call.context.facts.from_number == "300"
        assert "Another person" in str(session.of("conversation.item.create"))


async def test_a_refusal_may_end_the_call_before_any_model_is_asked(tmp_path):
    plan, config = with_rule(replace(ASK, on_refusal="hang_up"), tmp_path)
    async with on_stage(plan, config=config) as stage:
        await stage.until(lambda: stage.of("prompt"))
        stage.line.event(Dtmf("9", DtmfMethod.RFC4733))
        record = await stage.over()
        assert record.end_reason == "no_consent"
        assert not stage.model.sessions


async def test_a_command_pauses_and_resumes_the_recording(tmp_path):
    plan = plan_of(AgentStep("front"), agents=(RECORDED,))
    async with on_stage(plan, config=recording_config(tmp_path)) as stage:
        await stage.talking()
        for number, action in enumerate(("pause", "resume", "stop")):
            word = SimpleNamespace(command_id=str(number), kind="recording", data={"action": action})
            stage.call.commands.take(word)
            await stage.until(lambda n=number: len(stage.of("command")) == n + 1)
        assert [one["ok"] for one in stage.of("command")] == [True, True, False]
        assert len(stage.of("recording.paused")) == len(stage.of("recording.resumed")) == 1


async def test_a_template_with_logic_reaches_the_model():
    agent = replace(AGENT, instructions="{% if vars.tier == 'gold' %}Be quick.{% else %}Be kind.{% endif %}")
    async with on_stage(plan_of(AgentStep("front"), agents=(agent,)), config=config_of()) as stage:
        stage.call.variables["tier"] = "gold"
        session = await stage.talking()
        assert session.of("session.update")[0]["session"]["instructions"] == "Be quick."
