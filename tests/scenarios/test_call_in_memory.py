"""Whole calls in memory: the real Call, Conversation, Leg and machines; a fake line and a fake model; no network."""

import asyncio
import time
import wave
from dataclasses import dataclass

import pytest

from bridge.config import ProviderConfig
from bridge.dialplan.plan import AgentStep, HangUpStep, PlayStep, RejectStep, RingStep
from bridge.errors import FailureKind, LinkError, RemoteSessionError
from bridge.media.playout import Playout
from bridge.sip.events import Dtmf, DtmfMethod, HangUpBy, Held, Resumed
from tests.fakes.call import AGENT, SPEAK, VAD, config_of, on_stage, plan_of, recording_config
from tests.fakes.line import FakeLine, frame, settle
from tests.fakes.realtime_server import tone

LOST = RemoteSessionError(FailureKind.RETRY, "connect_timeout", "no answer")
REFUSED = RemoteSessionError(FailureKind.FATAL, "invalid_api_key", "key refused")
HANG_UP = HangUpStep(status=503, reason="no agent")


@dataclass(frozen=True)
class Command:
    """A word of control to the call."""

    command_id: str
    kind: str
    data: dict


def kinds(session):
    return [event["type"] for event in session.events if event["type"] != "input_audio_buffer.append"]


async def test_the_caller_hears_ringing_until_the_first_word_is_there():
    async with on_stage() as stage:
        await stage.talking()
        assert stage.line.pj.responses == [180, 200]
        order = [kind for kind in stage.types if kind.startswith(("call.", "session.", "agent."))]
        assert order == [
            "call.started", "session.connecting", "call.ringing", "session.ready", "call.answered",
            "agent.started", "agent.finished",
        ]  # fmt: skip


async def test_the_whole_greeting_is_heard_and_measured():
    async with on_stage() as stage:
        await stage.talking()
        assert stage.of("agent.finished")[0]["heard_ms"] == pytest.approx(400, abs=2)
        assert len(stage.line.heard()) == pytest.approx(20, abs=1)


async def test_the_session_is_told_who_calls_and_how_audio_looks():
    async with on_stage() as stage:
        session = await stage.talking()
        settings = session.of("session.update")[0]["session"]
        assert settings["instructions"] == "Be kind to 200."
        assert settings["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
        assert settings["audio"]["input"]["turn_detection"] == VAD


async def test_caller_audio_goes_up_in_frames_of_20_ms_from_the_answer_on():
    async with on_stage() as stage:
        session = await stage.talking()
        before = len(session.of("input_audio_buffer.append"))
        await stage.line.advance(200, speech=frame(500))
        await stage.until(lambda: len(session.of("input_audio_buffer.append")) >= before + 10)
        sizes = {len(event["audio"]) for event in session.of("input_audio_buffer.append")}
        assert sizes == {960 // 3 * 4}


@pytest.mark.parametrize("rate_hz", [8000, 16000])
async def test_barge_in_stops_the_agent_within_a_frame_and_tells_the_model_what_was_heard(rate_hz):
    async with on_stage(greeting=tone(2000), line=FakeLine(rate_hz=rate_hz)) as stage:
        session = await stage.session()
        await stage.until(lambda: len(stage.line.heard()) >= 20)
        await session.speech_started()
        await stage.until(lambda: stage.of("barge_in"), ticking=False)
        heard = len(stage.line.heard())
        await stage.line.advance(200)
        assert len(stage.line.heard()) <= heard + 1
        truncate = session.of("conversation.item.truncate")[0]
        cut = stage.of("barge_in")[0]
        assert truncate["audio_end_ms"] == cut["heard_ms"] == heard * 20
        assert cut["heard_ms"] + cut["dropped_ms"] == pytest.approx(2000, abs=2)
        assert stage.record.barge_ins == 1


async def test_late_audio_of_the_cut_answer_is_not_heard():
    async with on_stage(greeting=b"") as stage:
        session = await stage.session()
        await stage.until(lambda: session.of("response.create"))
        response_id, item_id = await session.start_response()
        await session.audio(response_id, item_id, tone(400))
        await stage.until(lambda: len(stage.line.heard()) >= 10)
        await session.speech_started()
        await stage.until(lambda: stage.of("barge_in"))
        await stage.line.advance(40)
        heard = len(stage.line.heard())
        await session.audio(response_id, item_id, tone(400))
        await stage.line.advance(400)
        assert len(stage.line.heard()) == heard


async def test_an_answer_cut_before_its_first_sample_is_deleted():
    async with on_stage() as stage:
        session = await stage.talking()
        stage.line.event(Held())
        await settle()
        await session.say(tone(300))
        await stage.until(lambda: not stage.line.port.silent, ticking=False)
        await session.speech_started()
        await stage.until(lambda: session.of("conversation.item.delete"))
        assert session.of("conversation.item.delete")[0]["item_id"] == "item_2"
        assert not session.of("conversation.item.truncate")


async def test_without_barge_in_the_agent_finishes_its_sentence():
    agent = AGENT.__class__(**{name: getattr(AGENT, name) for name in AGENT.__slots__} | {"barge_in": False})
    async with on_stage(plan_of(AgentStep("front"), agents=(agent,)), greeting=tone(1000)) as stage:
        session = await stage.session()
        await stage.until(lambda: len(stage.line.heard()) >= 10)
        await session.speech_started()
        await stage.talking()
        assert stage.of("agent.finished")[0] == {"item_id": "item_1", "heard_ms": 1000, "interrupted": False}
        assert not session.of("conversation.item.truncate")


async def test_a_caller_who_speaks_into_the_agents_goodbye_keeps_the_line():
    asked = []

    async def control(kind, data, deadline_s):
        asked.append((kind, data))
        return {}

    async with on_stage(request=control) as stage:
        session = await stage.talking()
        await session.say(tone(2000))
        await stage.until(lambda: not stage.line.port.silent)
        stage.call.commands.take(Command("1", "hang_up", {}))
        await session.speech_started()
        await stage.until(lambda: stage.of("command"))
        assert not stage.of("command")[0]["ok"]
        await session.send("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="user_1")
        await stage.until(lambda: stage.of("speech.stopped"))
        stage.call.commands.take(Command("2", "hang_up", {}))
        record = await stage.over()
        assert (record.ended_by, record.end_status) == ("agent", 200)


async def test_keypad_digits_reach_the_model_in_words_as_one_number():
    async with on_stage() as stage:
        session = await stage.talking()
        for digit in "42#":
            stage.line.event(Dtmf(digit, DtmfMethod.RFC4733))
        await stage.until(lambda: len(session.of("response.create")) == 2)
        text = session.of("conversation.item.create")[0]["item"]["content"][0]["text"]
        assert text == "The caller pressed 4 2 on the keypad."
        assert [(event["digit"], event["method"]) for event in stage.of("dtmf")] == [
            ("4", "rfc4733"), ("2", "rfc4733"), ("#", "rfc4733"),
        ]  # fmt: skip


async def test_a_key_interrupts_the_agent():
    async with on_stage(greeting=tone(3000)) as stage:
        await stage.session()
        await stage.until(lambda: len(stage.line.heard()) >= 10)
        stage.line.event(Dtmf("1", DtmfMethod.INFO))
        await stage.until(lambda: stage.of("barge_in"))


async def test_digits_are_told_when_the_caller_pauses():
    async with on_stage() as stage:
        session = await stage.talking()
        stage.line.event(Dtmf("7", DtmfMethod.INFO))
        await settle()
        stage.call.talk.conversation._keypad._gap_s = 0.0
        stage.line.event(Dtmf("8", DtmfMethod.INFO))
        await stage.until(lambda: session.of("conversation.item.create"))
        text = session.of("conversation.item.create")[0]["item"]["content"][0]["text"]
        assert text == "The caller pressed 7 8 on the keypad."


async def test_hold_stops_the_agent_and_resume_lets_it_go_on():
    async with on_stage(greeting=tone(1000)) as stage:
        await stage.session()
        await stage.until(lambda: len(stage.line.heard()) >= 10)
        stage.line.event(Held())
        await settle()
        heard = len(stage.line.heard())
        await stage.line.advance(500)
        assert len(stage.line.heard()) == heard
        stage.line.event(Resumed())
        await stage.talking()
        assert stage.of("agent.finished")[0]["heard_ms"] == 1000
        assert stage.record.holds == 1
        assert "call.resumed" in stage.types


async def test_the_callers_hang_up_ends_everything_and_the_record_says_so():
    async with on_stage() as stage:
        await stage.talking()
        stage.line.hang_up("Normal Clearing")
        record = await stage.over()
        assert (record.ended_by, record.end_status, record.end_reason) == ("caller", 200, "Normal Clearing")
        assert record.state == "ended"
        assert (record.rx_packets, record.rx_lost) == (7, 1)
        assert (record.route, record.agent, record.codec) == ("all", "front", "PCMU")
        assert stage.types[-1] == "call.ended"


async def test_a_caller_who_gives_up_while_it_rings_leaves_a_record_too():
    async with on_stage(greeting=b"") as stage:
        await stage.until(lambda: 180 in stage.line.pj.responses)
        stage.line.hang_up("Request Terminated")
        record = await stage.over()
        assert record.state == "ended"
        assert record.answered_at is None
        assert 200 not in stage.line.pj.responses


async def test_a_call_that_fits_no_route_gets_404_and_a_record():
    plan = plan_of().__class__((), ())
    async with on_stage(plan) as stage:
        record = await stage.over()
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 404, "no route fits this call")
        assert record.end_status == 404
        assert "no route" in record.end_detail


async def test_a_route_may_refuse():
    async with on_stage(plan_of(RejectStep(603, "closed"))) as stage:
        record = await stage.over()
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 603, "closed")
        assert stage.line.pj.responses == []
        assert record.end_reason == "closed"


async def test_a_route_may_ring_for_a_while_and_then_end():
    async with on_stage(plan_of(RingStep(1), HangUpStep(None, ""))) as stage:
        await stage.over()
        assert stage.line.pj.responses == [180]
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 480, "Temporarily Unavailable")


@pytest.fixture
def prompt(tmp_path):
    def write(ms, rate_hz=8000, name="prompt.wav"):
        path = tmp_path / name
        with wave.open(str(path), "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(rate_hz)
            writer.writeframes(tone(ms, rate_hz))
        return PlayStep(str(path), name)

    return write


async def test_a_prompt_is_heard_to_its_end_and_then_the_call_ends(prompt):
    async with on_stage(plan_of(prompt(300))) as stage:
        record = await stage.over()
        assert stage.line.pj.responses == [200]
        assert len(stage.line.heard()) == 15
        assert stage.of("prompt") == [{"text": "prompt.wav", "ms": 300}]
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 200, "dialplan_end")
        assert record.end_status == 200


async def test_an_empty_prompt_is_over_at_once(prompt):
    async with on_stage(plan_of(prompt(0))) as stage:
        await stage.over()
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 200, "dialplan_end")


async def test_an_unreadable_prompt_is_reported_and_the_route_goes_on(prompt, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    steps = (
        PlayStep(str(tmp_path / "none.wav"), "none"),
        PlayStep(str(broken), "broken"),
        prompt(20, 16000, "wide.wav"),
    )
    async with on_stage(plan_of(*steps, prompt(40))) as stage:
        record = await stage.over()
        assert record.errors == 3
        assert len(stage.line.heard()) == 2


async def test_when_the_model_does_not_come_up_the_caller_hears_the_fallback(prompt):
    step = AgentStep("front", (prompt(100), HANG_UP))
    async with on_stage(plan_of(step), failures=[REFUSED]) as stage:
        record = await stage.over()
        assert len(stage.line.heard()) == 5
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 503, "no agent")
        assert record.session_error == "invalid_api_key: key refused"
        assert "invalid_api_key" in record.end_detail


async def test_without_a_fallback_the_call_is_refused_with_503_and_the_reason():
    async with on_stage(failures=[REFUSED]) as stage:
        await stage.over()
        assert stage.line.pj.responses == [180]
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 503, "the agent is not available")


async def test_while_it_rings_a_lost_connection_is_tried_again():
    async with on_stage(failures=[LOST, LOST]) as stage:
        await stage.talking()
        assert len(stage.connector.asked) == 3
        assert len(stage.of("session.failed")) == 2


async def test_a_model_that_says_nothing_is_not_waited_for_for_ever():
    config = config_of(deadlines={"answer_wait_s": 0.1, "session_ready_s": 0.1})
    async with on_stage(config=config, greeting=b"") as stage:
        record = await stage.over()
        assert "silent_model" in record.session_error
        assert 200 not in stage.line.pj.responses


async def test_a_session_that_is_never_ready_is_given_up():
    async def mute(server, session, event):
        await asyncio.Event().wait()

    config = config_of(deadlines={"answer_wait_s": 0.15, "session_ready_s": 0.05})
    async with on_stage(config=config, on_event=mute) as stage:
        stage.model._answer = lambda session, event: asyncio.sleep(0)
        record = await stage.over()
        assert "ready_timeout" in record.session_error


async def test_a_connection_lost_in_the_call_is_mended_and_the_model_told_what_was_said():
    async with on_stage() as stage:
        session = await stage.talking()
        session.connection.drop()
        second = await stage.session(1)
        await stage.until(lambda: second.of("response.create"))
        facts = second.of("conversation.item.create")[0]["item"]
        assert facts["role"] == "system"
        assert 'You: "hello"' in facts["content"][0]["text"]
        assert stage.line.pj.ended is None
        assert stage.record.session_error == "close_1006: connection lost"


async def test_a_session_at_its_longest_goes_on_in_another_that_knows_what_was_said():
    """OpenAI ends every session after an hour: elsewhere that is the end of the call (pipecat issue 3170)."""
    async with on_stage() as stage:
        session = await stage.talking()
        error = {"type": "invalid_request_error", "code": "session_expired", "message": "60 minutes"}
        await session.send("error", error=error)
        second = await stage.session(1)
        await stage.until(lambda: second.of("response.create"))
        assert 'You: "hello"' in second.of("conversation.item.create")[0]["item"]["content"][0]["text"]
        assert stage.line.pj.ended is None


async def test_a_session_lost_in_mid_speech_is_cut_and_its_words_are_remembered():
    async with on_stage(greeting=b"") as stage:
        session = await stage.session()
        await stage.until(lambda: session.of("response.create"))
        response_id, item_id = await session.start_response()
        await session.send(
            "response.output_audio_transcript.delta",
            response_id=response_id, item_id=item_id, output_index=0, content_index=0, delta="Once upon a time",
        )  # fmt: skip
        await session.audio(response_id, item_id, tone(3000))
        await stage.until(lambda: len(stage.line.heard()) >= 10)
        session.connection.drop()
        second = await stage.session(1)
        await stage.until(lambda: second.of("response.create"))
        heard = len(stage.line.heard())
        await stage.line.advance(500)
        assert len(stage.line.heard()) <= heard + 1
        assert stage.of("agent.finished")[-1]["interrupted"]
        told = second.of("conversation.item.create")[0]["item"]
        assert told["role"] == "system"
        assert 's): "Once upon a time"' in told["content"][0]["text"]


@pytest.mark.parametrize("turns", range(7))
@pytest.mark.parametrize("how", ["hang up", "cancel"])
async def test_a_hang_up_while_a_lost_session_unwinds_is_never_lost(how, turns):
    async with on_stage() as stage:
        session = await stage.talking()
        session.connection.drop()
        for _ in range(turns):
            await asyncio.sleep(0)
        if how == "cancel":
            stage.task.cancel()
        else:
            stage.line.hang_up()
        async with asyncio.timeout(3):
            await asyncio.wait({stage.task})
        assert len(stage.of("call.ended")) == 1


async def test_a_call_answered_on_hold_is_no_ghost():
    line = FakeLine()
    async with on_stage(line=line, config=config_of(limits={"rtp_timeout_s": 1})) as stage:
        line.event(Held())
        await stage.session()
        await stage.until(lambda: stage.of("call.answered"))
        assert stage.call.caller.limits.check(-1000.0, time.monotonic() + 5) is None


async def test_a_prompt_longer_than_the_playout_holds_is_heard_to_its_end(prompt):
    line = FakeLine()
    line.port._playout = Playout(1000)
    async with on_stage(plan_of(prompt(1500)), line=line) as stage:
        await stage.over()
        assert len(stage.line.heard()) * 20 == 1500


async def test_a_refused_key_is_not_asked_for_again():
    provider = ProviderConfig(url="ws://model", api_key_env="KEY")
    asked = []

    async def request(kind, data, deadline_s):
        asked.append(kind)
        raise LinkError("401: incorrect API key", fatal=True)

    async with on_stage(config=config_of(providers=(provider,)), request=request) as stage:
        record = await stage.over()
        assert asked == ["credential"]
        assert (record.end_status, record.ended_by) == (503, "bridge")


async def test_a_connection_that_stays_lost_ends_in_the_fallback_never_in_silence(prompt):
    step = AgentStep("front", (prompt(100), HANG_UP))
    async with on_stage(plan_of(step)) as stage:
        session = await stage.talking()
        stage.connector.failures = [REFUSED]
        heard = len(stage.line.heard())
        session.connection.drop()
        await stage.over()
        assert len(stage.line.heard()) - heard == 5
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 503, "no agent")


async def test_a_fatal_error_event_ends_the_session():
    async with on_stage() as stage:
        session = await stage.talking()
        await session.send(
            "error", error={"type": "invalid_request_error", "code": "insufficient_quota", "message": "empty"}
        )
        record = await stage.over()
        assert record.session_error == "insufficient_quota: empty"


async def test_three_failed_responses_in_a_row_are_a_lost_model():
    async def fail(server, session, event):
        if event["type"] == "response.create":
            response_id, item_id = await session.start_response()
            await session.end_response(response_id, item_id, status="failed")

    async with on_stage(
        greeting=b"", on_event=fail, config=config_of(deadlines={"answer_wait_s": 7.0})
    ) as stage:
        await stage.over()
        assert len(stage.of("response")) == 3


async def test_a_provider_that_needs_a_key_gets_a_fresh_one_from_control():
    provider = (
        config_of()
        .providers[0]
        .__class__(name="local", kind="openai", url="wss://api.example/v1/realtime", api_key_env="KEY")
    )

    async def answer(kind, data, deadline_s):
        assert (kind, data["provider"], data["call_id"]) == ("credential", "local", "leg-1")
        return {"value": "ek_1", "headers": {"X-Org": "o"}}

    async with on_stage(config=config_of(providers=(provider,)), request=answer) as stage:
        await stage.talking()
        url, headers = stage.connector.asked[0]
        assert url == "wss://api.example/v1/realtime?model=gpt-realtime-2.1"
        assert headers["Authorization"] == "Bearer ek_1"
        assert headers["X-Org"] == "o"


async def test_no_key_to_be_had_is_a_failed_session():
    provider = (
        config_of()
        .providers[0]
        .__class__(name="local", kind="openai", url="wss://x/v1/realtime", api_key_env="KEY")
    )
    config = config_of(providers=(provider,), deadlines={"answer_wait_s": 0.1})
    async with on_stage(config=config) as stage:
        record = await stage.over()
        assert record.session_error == "no_credential: control is away"


async def test_an_agent_without_provider_is_a_failed_session():
    async with on_stage(config=config_of(default_provider="nobody")) as stage:
        record = await stage.over()
        assert record.session_error.startswith("no_provider")


async def test_a_silent_line_is_ended_with_408_as_a_ghost():
    async with on_stage(config=config_of(limits={"rtp_timeout_s": 0})) as stage:
        record = await stage.over()
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 408, "rtp_timeout")
        assert record.ended_by == "bridge"


async def test_a_call_ends_at_its_longest_duration():
    async with on_stage(config=config_of(limits={"max_call_s": 0})) as stage:
        await stage.over()
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 200, "max_duration")


async def test_an_agent_may_have_a_shorter_limit():
    agent = AGENT.__class__(**{name: getattr(AGENT, name) for name in AGENT.__slots__} | {"max_call_s": 1})
    async with on_stage(plan_of(AgentStep("front"), agents=(agent,))) as stage:
        await stage.talking()
        assert stage.call.caller.limits._max_call_s == 1


async def test_a_call_nobody_answers_stops_ringing():
    config = config_of(limits={"ring_max_s": 0})
    async with on_stage(plan_of(RingStep(60_000)), config=config) as stage:
        await stage.over()
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 480, "ring_timeout")


async def test_a_peer_that_never_answers_our_bye_keeps_no_record_open():
    line = FakeLine()
    line.pj.answers_bye = False
    async with on_stage(plan_of(RejectStep(486, "busy")), line=line) as stage:
        record = await stage.over()
        assert (record.end_status, record.ended_by) == (486, "bridge")


async def test_control_may_end_a_call_and_the_record_says_who_asked():
    async with on_stage() as stage:
        await stage.talking()
        await stage.call.hang_up(200, "operator", "asked by control")
        record = await stage.over()
        assert (record.ended_by, record.end_reason, record.end_detail) == (
            "bridge",
            "operator",
            "asked by control",
        )


async def test_a_cancelled_call_hangs_up_records_and_stays_cancelled():
    async with on_stage() as stage:
        await stage.talking()
        stage.task.cancel()
        await stage.until(stage.task.done)
        assert stage.task.cancelled()
        assert stage.line.pj.ended == (HangUpBy.BRIDGE, 503, "shutdown")
        assert stage.types[-1] == "call.ended"


async def test_a_bug_of_ours_ends_one_call_with_500_and_a_complete_record(capsys):
    async with on_stage() as stage:
        await stage.talking()
        stage.call.caller.limits.check = None
        record = await stage.over()
        assert (record.end_status, record.end_reason) == (500, "internal error")
        assert "NoneType" in record.end_detail
        assert stage.line.pj.ended is not None


async def test_a_recording_holds_both_sides(tmp_path):
    agent = AGENT.__class__(**{name: getattr(AGENT, name) for name in AGENT.__slots__} | {"recording": True})
    async with on_stage(
        plan_of(AgentStep("front"), agents=(agent,)), config=recording_config(tmp_path)
    ) as stage:
        await stage.talking()
        await stage.line.advance(400, speech=frame(3000))
        stage.line.hang_up()
        record = await stage.over()
        with wave.open(record.recording_path) as reader:
            assert (reader.getnchannels(), reader.getframerate()) == (2, 8000)
            data = reader.readframes(reader.getnframes())
        assert record.recording_s == pytest.approx(len(data) / 32000)
        left = {data[n : n + 2] for n in range(0, len(data), 4)}
        right = {data[n + 2 : n + 4] for n in range(0, len(data), 4)}
        assert (3000).to_bytes(2, "little") in left
        assert len(right) > 10


async def test_a_call_that_began_with_a_prompt_is_recorded_from_the_agent_on(prompt, tmp_path):
    agent = AGENT.__class__(**{name: getattr(AGENT, name) for name in AGENT.__slots__} | {"recording": True})
    plan = plan_of(prompt(100), AgentStep("front"), agents=(agent,))
    async with on_stage(plan, config=recording_config(tmp_path / "rec")) as stage:
        await stage.talking()
        stage.line.hang_up()
        record = await stage.over()
        assert record.recording_s > 0.3


async def test_an_unwritable_recording_costs_the_recording_not_the_call(tmp_path):
    (tmp_path / "file").write_text("")
    agent = AGENT.__class__(**{name: getattr(AGENT, name) for name in AGENT.__slots__} | {"recording": True})
    config = recording_config(tmp_path / "file")
    async with on_stage(plan_of(AgentStep("front"), agents=(agent,)), config=config) as stage:
        await stage.talking()
        assert stage.of("error")[0]["where"] == "recording"


async def test_functions_nobody_configured_are_refused_in_words():
    async with on_stage() as stage:
        session = await stage.talking()
        item = {
            "id": "fc_1",
            "type": "function_call",
            "call_id": "c1",
            "name": "pay",
            "arguments": "{}",
            "status": "completed",
        }
        await session.send("response.created", response={"id": "r9", "status": "in_progress"})
        await session.send("response.output_item.done", response_id="r9", output_index=0, item=item)
        await session.send("response.done", response={"id": "r9", "status": "completed", "output": [item]})
        await stage.until(lambda: session.of("conversation.item.create"))
        output = session.of("conversation.item.create")[0]["item"]
        assert (output["type"], output["call_id"]) == ("function_call_output", "c1")
        assert "not available" in output["output"]
        assert stage.record.function_calls == 1


async def test_what_both_said_is_in_the_record():
    async with on_stage() as stage:
        session = await stage.talking()
        await session.send("input_audio_buffer.speech_started", audio_start_ms=100, item_id="u1")
        await session.send("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="u1")
        await session.send(
            "conversation.item.input_audio_transcription.completed",
            item_id="u1",
            content_index=0,
            transcript="a room please",
        )
        await stage.until(lambda: len(stage.of("transcript")) == 2)
        assert [(line["who"], line["text"]) for line in stage.of("transcript")] == [
            ("agent", "hello"), ("caller", "a room please"),
        ]  # fmt: skip
        assert stage.of("speech.started")[0]["audio_ms"] == 100
        assert stage.of("speech.stopped")[0]["audio_ms"] == 900


async def test_an_answer_longer_than_the_playout_holds_is_cut_and_the_call_goes_on():
    config = config_of()
    line = FakeLine()
    line.port._playout._max_bytes = 16 * 500
    async with on_stage(config=config, line=line, greeting=tone(2000)) as stage:
        session = await stage.session()
        await stage.until(lambda: session.of("response.cancel") or stage.of("agent.finished"))
        await session.speech_started()
        await stage.until(lambda: stage.of("agent.finished"))
        assert stage.line.pj.ended is None


@pytest.mark.parametrize("audio_format", ["pcmu", "pcma"])
async def test_g711_passes_through_when_the_agent_asks_for_it(audio_format):
    agent = AGENT.__class__(
        **{name: getattr(AGENT, name) for name in AGENT.__slots__} | {"audio_format": audio_format}
    )
    async with on_stage(plan_of(AgentStep("front"), agents=(agent,)), greeting=b"\x55\xd5" * 1600) as stage:
        session = await stage.talking()
        await stage.line.advance(100, speech=frame(500))
        await stage.until(lambda: session.of("input_audio_buffer.append"))
        assert session.of("session.update")[0]["session"]["audio"]["output"]["format"] == {
            "type": f"audio/{audio_format}"
        }
        assert len(session.of("input_audio_buffer.append")[0]["audio"]) == -(-160 // 3) * 4
        assert stage.of("agent.finished")[0]["heard_ms"] == 400


def test_the_speech_of_the_fake_is_loud():
    assert max(SPEAK) > 0
