"""A hand-off between agents, the limits' goodbye and consent by key, over real SIP and RTP."""

import asyncio
import wave
from dataclasses import replace

import pytest

from bridge.dialplan.plan import Agent, AgentStep, Plan, Route
from bridge.dialplan.recording import RecordingRule
from tests.fakes.ladder import check, ladder
from tests.fakes.rawphone import raw_phone
from tests.fakes.realtime_server import tone
from tests.fakes.worker_process import AGENT, plan_of, running_worker

pytestmark = pytest.mark.system

FRONT = replace(AGENT, hand_off_to=("billing",))
BILLING = Agent("billing", "You do bills.", language="de", voice="cedar", recording=False)
MAX_GAP_S = 0.5  # of silence between the two agents; a fake model answers at once, so it is all ours


async def own_items(server, session, event):
    if event["type"] == "session.update":
        session.items = 100 * server.sessions.index(session)


async def test_the_caller_goes_to_another_agent_within_the_call_and_hears_hardly_a_pause(tmp_path):
    plan = Plan((Route("all", (), (AgentStep("front"),)),), (FRONT, BILLING))
    async with (
        running_worker(tmp_path, plan, on_event=own_items) as worker,
        raw_phone(worker.port) as phone,
    ):
        assert (await phone.invite()).status == 200
        await worker.event("agent.finished")
        first = await worker.model.session()
        async with phone.speaking():
            await first.hears(5)
            worker.command("hand_off", agent="billing", note="wrong bill")
            second = await worker.model.session(1)
            assert (await worker.done())["ok"] is True
            await second.hears(10)
        assert "wrong bill" in str(second.of("conversation.item.create")[0])
        assert second.of("session.update")[0]["session"]["audio"]["output"]["voice"] == "cedar"
        await worker.event("agent.finished", 2)
        (hand_off,) = worker.of("agent.hand_off")
        assert (hand_off["from"], hand_off["to"]) == ("front", "billing")
        started = [one for one in worker.control.events if one.type == "agent.started"][1]
        told = next(one for one in worker.control.events if one.type == "agent.hand_off")
        assert started.mono - told.mono < MAX_GAP_S
        assert (await phone.bye()).status == 200
        (record,) = await worker.ended()
        assert (record.agent, record.end_status) == ("billing", 200)
        check("agent-hand-off", ladder(caller=phone))


async def test_a_caller_who_presses_the_key_is_recorded_from_then_on_and_the_pause_is_silent(tmp_path):
    rule = RecordingRule(announce="May we record?", prompt_id="ask", consent="ask", wait_s=10)
    plan = plan_of(recording=True, recording_rule=rule)
    (tmp_path / "prompts").mkdir()
    with wave.open(str(tmp_path / "prompts" / "ask.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(tone(300, 8000))
    async with (
        running_worker(tmp_path, plan, recording=tmp_path / "rec") as worker,
        raw_phone(worker.port) as phone,
    ):
        assert (await phone.invite()).status == 200
        await worker.event("prompt")
        assert not worker.of("recording")
        assert not worker.model.sessions
        await phone.press("1")
        assert (await worker.event("recording.consent"))[0]["how"] == "key"
        await worker.event("agent.finished")
        async with phone.speaking():
            await asyncio.sleep(0.5)
            worker.command("recording", action="pause")
            await worker.event("recording.paused")
            await asyncio.sleep(1.0)
        worker.command("recording", "2", action="resume")
        await worker.event("recording.resumed")
        await phone.press("4")
        await phone.bye()
        (record,) = await worker.ended()
        with wave.open(record.recording_path) as file:
            pcm = file.readframes(10**7)
        frames = [any(pcm[at : at + 640]) for at in range(0, len(pcm), 640)]
        quiet = max(len(run) for run in "".join("x" if loud else "." for loud in frames).split("x"))
        assert any(frames)
        assert quiet >= 45
