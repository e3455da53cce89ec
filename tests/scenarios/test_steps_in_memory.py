"""The steps of the dialplan in whole calls in memory: keys, variables, branches, other legs."""

import asyncio
import base64
import json
import wave
from dataclasses import dataclass, replace

import numpy as np
import pytest

from bridge.dialplan.plan import Plan, Route
from bridge.dialplan.steps import (
    AgentStep,
    AnswerStep,
    CollectStep,
    ConferenceStep,
    DialStep,
    EarlyMediaStep,
    GoStep,
    HangUpStep,
    HoldStep,
    MenuStep,
    PlayStep,
    RejectStep,
    SayStep,
    SetStep,
    SwitchStep,
    ToolStep,
    TransferStep,
    VoicemailStep,
    WarmTransferStep,
)
from bridge.errors import FailureKind, LinkError, RemoteSessionError, SipError
from bridge.sip.events import Replaced
from tests.fakes.call import AGENT, on_stage, recording_config
from tests.fakes.line import FakeLine, frame, settle

REFUSED = RemoteSessionError(FailureKind.FATAL, "invalid_api_key", "key refused")
BYE = HangUpStep(None, "")
TARGETS = {"sales": "sip:sales@pbx", "support": "sip:support@pbx"}


def end(status):
    """A hang-up that shows in the record which way the call went."""
    return HangUpStep(status, f"way {status}")


def plan_of(*steps, flows=None):
    return Plan((Route("all", (), tuple(steps)),), (AGENT,), transfers=TARGETS, flows=flows or {})


def menu(tmp_path=None, *, options, tries=2, timeout_s=0.2, or_else=(), prompts=()):
    return MenuStep(prompts, options, {}, "en", timeout_s, tries, or_else)


def collect(**changes):
    step = CollectStep((), "order", 1, 4, "#", 0.3, 2)
    return replace(step, **changes)


def sound(tmp_path, ms=200, value=2000):
    path = tmp_path / f"{ms}-{value}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(frame(value, ms))
    return PlayStep(str(path), "id")


def control(tmp_path, answers=None):
    """Control speaks every text as 100 ms of tone, and answers the rest from a table."""
    asked = []

    async def request(kind, data, deadline_s):
        asked.append((kind, dict(data)))
        if kind == "speech.say":
            return {"path": sound(tmp_path, 100, 3000).path}
        if answers and kind in answers:
            return answers[kind](data) if callable(answers[kind]) else answers[kind]
        raise LinkError("control is away", fatal=True)

    request.asked = asked
    return request


class Dialler:
    """What a worker's SIP agent does: a fake line for every call that is placed."""

    def __init__(self, stage_of, *, refuse=()):
        self.lines, self.placed, self.refuse = [], [], refuse
        self.stage_of = stage_of

    async def __call__(self, uri, headers, from_uri, trunk):
        if uri in self.refuse:
            raise SipError(486, "all lines are busy")
        line = FakeLine(to=uri, incoming=False, leg_id=f"out-{len(self.lines)}")
        self.lines.append(line)
        self.placed.append((uri, dict(headers), from_uri, trunk))
        self.stage_of().others.append(line)
        return line.leg


def on_stage_with_targets(plan, **options):
    box = []
    dialler = Dialler(lambda: box[0], refuse=options.pop("refuse", ()))
    manager = on_stage(plan, dial=dialler, **options)

    class Both:
        async def __aenter__(self):
            stage = await manager.__aenter__()
            box.append(stage)
            stage.dialler = dialler
            return stage

        async def __aexit__(self, *exc):
            return await manager.__aexit__(*exc)

    return Both()


# ---- keys ------------------------------------------------------------------------------------------------------------


async def test_a_key_of_the_menu_leads_to_its_steps():
    steps = (menu(options={"1": (end(501),), "2": (end(502),)}, timeout_s=5), end(599))
    async with on_stage(plan_of(*steps)) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        stage.line.press("2")
        assert (await stage.over()).end_reason == "way 502"
        assert stage.of("menu") == [{"key": "2", "chosen": True, "attempt": 1}]


async def test_a_key_during_the_prompt_stops_it(tmp_path):
    steps = (menu(options={"1": (end(501),)}, prompts=(sound(tmp_path, 5000),)), BYE)
    async with on_stage(plan_of(*steps)) as stage:
        await stage.until(lambda: len(stage.line.heard()) > 10)
        stage.line.press("1")
        assert (await stage.over()).end_reason == "way 501"
        assert len(stage.line.heard()) < 60


async def test_a_menu_without_a_valid_choice_goes_on_with_or_else_after_its_tries():
    steps = (menu(options={"1": (end(501),)}, or_else=(end(504),), timeout_s=0.6), BYE)
    async with on_stage(plan_of(*steps)) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        stage.line.press("7")
        assert (await stage.over()).end_reason == "way 504"
        assert [one["key"] for one in stage.of("menu")] == ["7", ""]


async def test_after_the_steps_of_an_option_the_call_goes_on_behind_the_menu():
    steps = (
        menu(options={"1": (SetStep({"way": "one"}),)}, timeout_s=5),
        SwitchStep("{{ vars.way }}", {"one": (end(501),)}),
    )
    async with on_stage(plan_of(*steps)) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        stage.line.press("1")
        assert (await stage.over()).end_reason == "way 501"


@pytest.mark.parametrize(("keys", "typed"), [("12#", "12"), ("1234", "1234"), ("9", "9")])
async def test_digits_are_collected_to_the_terminator_the_most_or_a_pause(keys, typed):
    steps = (collect(timeout_s=0.8), SwitchStep("{{ vars.order }}", {typed: (end(501),)}, (end(502),)))
    async with on_stage(plan_of(*steps)) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        for key in keys:
            stage.line.press(key)
            await settle()
        assert (await stage.over()).end_reason == "way 501"


async def test_too_few_digits_are_asked_for_again_and_then_given_up():
    steps = (collect(least=4, or_else=(end(504),), timeout_s=0.1), BYE)
    async with on_stage(plan_of(*steps)) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        stage.line.press("1")
        stage.line.press("#")
        assert (await stage.over()).end_reason == "way 504"
        assert [one["digits"] for one in stage.of("collect")] == ["", ""]


# ---- before the answer, waiting, going on ----------------------------------------------------------------------------


async def test_early_media_is_heard_before_the_answer_and_the_call_can_still_be_refused(tmp_path):
    async with on_stage(plan_of(EarlyMediaStep((sound(tmp_path),)), RejectStep(486, "Busy Here"))) as stage:
        record = await stage.over()
        assert stage.line.pj.responses == [183]
        assert len(stage.line.heard()) == pytest.approx(10, abs=1)
        assert (record.end_status, stage.of("call.answered")) == (486, [])


async def test_hold_plays_music_for_its_time():
    async with on_stage(plan_of(AnswerStep(), HoldStep(1), BYE)) as stage:
        await stage.until(lambda: len(stage.line.heard()) > 20)
        assert set(stage.line.heard()[:20]) == {frame(300)}
        await stage.over()


async def test_a_prompt_with_variables_is_spoken_by_control(tmp_path):
    request = control(tmp_path)
    steps = (
        SetStep({"order": "4711"}),
        SayStep("Order {{ vars.order }} of {{ caller.number }}", "en", ""),
        BYE,
    )
    async with on_stage(plan_of(*steps), request=request) as stage:
        await stage.over()
        assert ("speech.say", {"text": "Order 4711 of 200", "language": "en"}) in request.asked
        assert len(stage.line.heard()) == pytest.approx(5, abs=1)


async def test_while_control_is_away_such_a_prompt_is_left_out_and_the_call_goes_on():
    async with on_stage(plan_of(SayStep("Hi {{ caller.number }}", "en", ""), end(501))) as stage:
        assert (await stage.over()).end_reason == "way 501"
        assert stage.of("error")[0]["code"] == "not_spoken"


async def test_a_flow_that_never_ends_is_ended():
    flows = {"round": (GoStep("round"),)}
    async with on_stage(plan_of(GoStep("round"), end(503), flows=flows)) as stage:
        assert (await stage.over()).end_reason == "the dialplan goes round in circles"
        assert "jumps" in stage.of("step.failed")[0]["reason"]


# ---- listening -------------------------------------------------------------------------------------------------------


def speech(ms=600):
    """Something that sounds like a voice: a buzz of 150 Hz, louder and softer by syllables."""
    at = np.arange(8 * ms)
    buzz = sum(np.sin(2 * np.pi * 150 * n * at / 8000) / n for n in range(1, 12))
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * at / 8000)
    return (3000 * buzz * syllables).astype("<i2").tobytes()


async def say(stage, pcm, silence_ms=0):
    """The caller says something, in real time as far as the bridge can tell."""
    padded = pcm + bytes(16 * silence_ms)
    for start in range(0, len(padded) - 319, 320):
        stage.line.stream.arrive(padded[start : start + 320])
        await stage.line.advance(20)


async def test_a_word_of_the_menu_is_understood_by_control_and_chosen(tmp_path):
    heard = {"speech.hear": {"option": "2", "heard": "billing"}}
    step = replace(menu(options={"1": (end(501),), "2": (end(502),)}, timeout_s=5), words={"2": ("billing",)})
    request = control(tmp_path, heard)
    async with on_stage(plan_of(step, BYE), request=request) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        await say(stage, bytes(3200) + speech(), silence_ms=1000)
        assert (await stage.over()).end_reason == "way 502"
        (asked,) = [data for kind, data in request.asked if kind == "speech.hear"]
        assert asked["options"] == {"2": ["billing"]}
        assert 600 * 8 <= len(base64.b64decode(asked["audio"])) <= 1400 * 8


async def test_where_words_are_not_understood_keys_still_are(tmp_path):
    step = replace(menu(options={"1": (end(501),)}, timeout_s=5), words={"1": ("billing",)})
    async with on_stage(plan_of(step, BYE), request=control(tmp_path)) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        await say(stage, speech(), silence_ms=1000)
        await stage.until(lambda: [one for one in stage.of("error") if one["code"] == "not_heard"])
        stage.line.press("1")
        assert (await stage.over()).end_reason == "way 501"


def voicemail(**changes):
    return replace(VoicemailStep((), "office", ("mail",), 30, 1.0, "#", (end(504),)), **changes)


@pytest.mark.parametrize("how", ["key", "silence", "hang up"])
async def test_a_message_is_kept_however_it_ends(tmp_path, how):
    config = recording_config(tmp_path)
    async with on_stage(plan_of(voicemail(), end(501)), config=config) as stage:
        await stage.until(lambda: len(stage.line.heard()) >= 9)  # the tone
        await stage.line.advance(100)
        await say(stage, speech(2000), silence_ms=1500 if how == "silence" else 100)
        if how == "key":
            stage.line.press("#")
        elif how == "hang up":
            stage.line.hang_up()
        record = await stage.over()
        assert record.end_reason == ("Normal" if how == "hang up" else "way 501")
        (message,) = stage.of("voicemail")
        assert (message["mailbox"], message["to"], message["from"]) == ("office", ["mail"], "200")
        with wave.open(message["path"], "rb") as file:
            assert file.getnframes() / 8000 == pytest.approx(message["seconds"], abs=0.1)
            assert 1.9 < message["seconds"] < 2.8


async def test_a_caller_who_says_nothing_leaves_no_message(tmp_path):
    async with on_stage(plan_of(voicemail(), BYE), config=recording_config(tmp_path)) as stage:
        await stage.until(lambda: len(stage.line.heard()) >= 9)
        await say(stage, bytes(320), silence_ms=1500)
        assert (await stage.over()).end_reason == "way 504"
        assert stage.of("voicemail") == []


# ---- tools -----------------------------------------------------------------------------------------------------------


def succeeded(**output):
    return {"state": "succeeded", "request_id": "r1", "output": json.dumps({"status": "done", **output})}


async def test_a_tools_output_becomes_a_variable(tmp_path):
    request = control(tmp_path, {"tool.call": succeeded(tier="Gold")})
    steps = (
        ToolStep("customer_tier", json.dumps({"number": "{{ caller.number }}"}), "tier", ""),
        SwitchStep("{{ vars.tier }}", {"gold": (end(501),)}, (end(502),)),
    )
    async with on_stage(plan_of(*steps), request=request) as stage:
        assert (await stage.over()).end_reason == "way 501"
        (asked,) = [data for kind, data in request.asked if kind == "tool.call"]
        assert json.loads(asked["arguments"]) == {"number": "200"}
        assert (asked["agent"], asked["caller"]) == ("dialplan", "200")


async def test_a_tool_that_is_denied_is_a_failure_of_the_step(tmp_path):
    denied = {
        "state": "denied",
        "output": json.dumps({"status": "denied", "message": "No.", "reason": "policy"}),
    }
    steps = (ToolStep("refund", "{}", "", "", (end(504),)), BYE)
    async with on_stage(plan_of(*steps), request=control(tmp_path, {"tool.call": denied})) as stage:
        assert (await stage.over()).end_reason == "way 504"
        assert stage.of("step.failed") == [{"step": "tool", "reason": "policy"}]


async def test_a_tool_that_needs_the_callers_yes_asks_and_takes_a_key(tmp_path):
    confirming = {"state": "confirming", "request_id": "r1", "question": "Refund 40 dollars?", "key": "1"}
    request = control(tmp_path, {"tool.call": confirming, "tool.confirm": {}})
    async with on_stage(plan_of(ToolStep("refund", "{}", "", ""), end(501)), request=request) as stage:
        await stage.until(lambda: len(stage.line.heard()) >= 5)
        await stage.line.advance(100)
        stage.line.press("1")
        await stage.until(lambda: [kind for kind, _ in request.asked if kind == "tool.confirm"])
        (words,) = [data for kind, data in request.asked if kind == "tool.confirm"]
        assert (words["yes"], words["how"]) == (True, "key 1")
        step_id = next(data["function_call_id"] for kind, data in request.asked if kind == "tool.call")
        stage.call.tools.update(step_id, succeeded())
        assert (await stage.over()).end_reason == "way 501"


async def test_another_caller_cannot_confirm_what_was_asked_of_the_one_before(tmp_path):
    confirming = {"state": "confirming", "request_id": "r1", "question": "Refund 40 dollars?", "key": "1"}
    request = control(tmp_path, {"tool.call": confirming, "tool.confirm": {}})
    async with on_stage(plan_of(ToolStep("refund", "{}", "", ""), end(501)), request=request) as stage:
        await stage.until(lambda: len(stage.line.heard()) >= 5)
        stage.line.event(Replaced(stage.line.leg.invite))
        await stage.line.advance(100)
        stage.line.press("1")
        await stage.until(lambda: [kind for kind, _ in request.asked if kind == "tool.confirm"])
        (words,) = [data for kind, data in request.asked if kind == "tool.confirm"]
        assert (words["yes"], words["how"]) == (False, "another caller is on the line")


# ---- other legs ------------------------------------------------------------------------------------------------------


def dial(*targets, together=False, or_else=(), ring_s=5):
    return DialStep(targets or ("sales",), ring_s, together, "", {}, or_else)


async def dialled(stage, number=0):
    await stage.until(lambda: len(stage.dialler.lines) > number)
    return stage.dialler.lines[number]


async def test_dial_connects_both_and_goes_on_when_the_callee_hangs_up():
    async with on_stage_with_targets(plan_of(dial(), end(501))) as stage:
        callee = await dialled(stage)
        assert stage.dialler.placed[0][0] == "sip:sales@pbx"
        assert stage.dialler.placed[0][2] == "<sip:200@127.0.0.1>"
        assert stage.line.pj.responses == [180]
        callee.answer()
        await stage.until(lambda: stage.of("leg.connected"))
        assert stage.line.pj.responses == [180, 200]
        for _ in range(10):
            stage.line.stream.arrive(frame(111))
            callee.stream.arrive(frame(222))
            await asyncio.gather(stage.line.advance(20), callee.advance(20))
        assert frame(111) in callee.heard()
        assert frame(222) in stage.line.heard()
        callee.hang_up()
        record = await stage.over()
        assert record.end_reason == "way 501"
        assert stage.of("leg.ended")[0] | {"seconds": 0} == {
            "leg": "sales", "answered": True, "seconds": 0, "by": "callee", "status": 200, "reason": "Normal",
        }  # fmt: skip


async def test_targets_are_tried_one_after_the_other():
    async with on_stage_with_targets(plan_of(dial("sales", "support"), BYE)) as stage:
        (await dialled(stage)).refuse()
        second = await dialled(stage, 1)
        second.answer()
        await stage.until(lambda: stage.of("leg.connected"))
        assert stage.of("leg.connected") == [{"leg": "support"}]


async def test_nobody_who_answers_leads_to_or_else():
    plan = plan_of(dial("sales", "support", or_else=(end(504),)), BYE)
    async with on_stage_with_targets(plan, refuse={"sip:support@pbx"}) as stage:
        (await dialled(stage)).refuse(480, "Temporarily Unavailable")
        assert (await stage.over()).end_reason == "way 504"
        reason = stage.of("step.failed")[0]["reason"]
        assert "sales could not be reached: 480" in reason
        assert "support cannot be called" in reason


async def test_a_target_that_rings_too_long_is_cancelled():
    async with on_stage_with_targets(plan_of(dial(ring_s=0.1, or_else=(end(504),)), BYE)) as stage:
        callee = await dialled(stage)
        assert (await stage.over()).end_reason == "way 504"
        assert callee.pj.ended is not None


async def test_of_several_that_ring_together_the_first_to_answer_has_the_call_and_the_others_stop():
    async with on_stage_with_targets(plan_of(dial("sales", "support", together=True), end(501))) as stage:
        first, second = await dialled(stage), await dialled(stage, 1)
        second.answer()
        await stage.until(lambda: stage.of("leg.connected"))
        assert stage.of("leg.connected") == [{"leg": "support"}]
        assert first.pj.ended is not None
        second.hang_up()
        assert (await stage.over()).end_reason == "way 501"


async def test_a_caller_who_hangs_up_takes_the_other_leg_along():
    async with on_stage_with_targets(plan_of(dial(), BYE)) as stage:
        callee = await dialled(stage)
        callee.answer()
        await stage.until(lambda: stage.of("leg.connected"))
        stage.line.hang_up()
        await stage.over()
        assert callee.pj.ended is not None
        assert stage.record.ended_by == "caller"


async def test_the_callers_keys_go_to_the_other_side():
    async with on_stage_with_targets(plan_of(dial(), BYE)) as stage:
        callee = await dialled(stage)
        callee.answer()
        await stage.until(lambda: stage.of("leg.connected"))
        await settle()
        stage.line.press("5")
        await stage.until(lambda: callee.pj.digits)
        assert callee.pj.digits[0][0] == "5"


def warm(**changes):
    step = WarmTransferStep(
        "sales", "A caller, {{ caller.number }}.", "en", False, "1", 5, "", False, (end(504),)
    )
    return replace(step, **changes)


async def test_a_warm_transfer_tells_the_target_and_connects_when_it_accepts(tmp_path):
    request = control(tmp_path)
    async with on_stage_with_targets(plan_of(warm()), request=request) as stage:
        callee = await dialled(stage)
        await stage.until(lambda: frame(300) in stage.line.heard())
        callee.answer()
        await stage.until(lambda: len(callee.heard()) >= 10)
        assert {data["text"] for kind, data in request.asked if kind == "speech.say"} >= {"A caller, 200."}
        assert frame(3000) not in stage.line.heard()
        callee.press("1")
        await stage.until(lambda: stage.of("leg.connected"))
        callee.hang_up()
        record = await stage.over()
        assert (record.end_status, record.end_reason) == (200, "transferred")


async def test_a_refused_warm_transfer_brings_the_caller_back(tmp_path):
    async with on_stage_with_targets(plan_of(warm()), request=control(tmp_path)) as stage:
        callee = await dialled(stage)
        callee.answer()
        await stage.until(callee.heard)
        callee.press("9")
        assert (await stage.over()).end_reason == "way 504"
        assert "refused" in stage.of("step.failed")[0]["reason"]
        assert callee.pj.ended is not None


@dataclass
class Word:
    """A command of control."""

    kind: str
    data: dict
    command_id: str = "c1"


def told(request):
    return [data for kind, data in request.asked if kind == "tool.command_done"]


async def test_a_person_takes_over_from_the_agent_after_a_whispered_summary(tmp_path):
    request = control(tmp_path, {"tool.command_done": {}})
    async with on_stage_with_targets(plan_of(AgentStep("front")), request=request) as stage:
        await stage.talking()
        stage.call.commands.take(Word("warm_transfer", {"target": "sales", "summary": "Wants a refund."}))
        callee = await dialled(stage)
        callee.answer()
        await stage.until(lambda: len(callee.heard()) >= 10)
        assert frame(3000) not in stage.line.heard()
        assert not told(request)
        callee.press("1")
        await stage.until(lambda: told(request))
        assert told(request)[0]["ok"] is True
        await stage.until(lambda: stage.of("leg.connected") and stage.call.talk.conversation is None)
        for _ in range(10):
            stage.line.stream.arrive(frame(111))
            await asyncio.gather(stage.line.advance(20), callee.advance(20))
        assert frame(111) in callee.heard()
        callee.hang_up()
        record = await stage.over()
        assert (record.end_status, record.end_reason) == (200, "transferred")


async def test_a_person_who_refuses_leaves_the_caller_with_the_agent(tmp_path):
    request = control(tmp_path, {"tool.command_done": {}})
    async with on_stage_with_targets(plan_of(AgentStep("front")), request=request) as stage:
        await stage.talking()
        stage.call.commands.take(Word("warm_transfer", {"target": "sales", "summary": "Wants a refund."}))
        callee = await dialled(stage)
        callee.answer()
        await stage.until(callee.heard)
        callee.press("5")
        await stage.until(lambda: told(request))
        assert (told(request)[0]["ok"], "refused" in told(request)[0]["error"]) == (False, True)
        assert stage.call.talk.conversation is not None
        assert callee.pj.ended is not None


async def test_a_call_that_ends_while_somebody_is_being_asked_takes_them_along(tmp_path):
    request = control(tmp_path, {"tool.command_done": {}})
    async with on_stage_with_targets(plan_of(AgentStep("front")), request=request) as stage:
        await stage.talking()
        stage.call.commands.take(Word("warm_transfer", {"target": "sales", "summary": "Wants a refund."}))
        callee = await dialled(stage)
        stage.line.hang_up()
        await stage.over()
        assert callee.pj.ended is not None
        assert told(request)[0]["ok"] is False


async def test_in_a_conference_all_hear_all():
    step = ConferenceStep(("sales", "support"), "", 5)
    async with on_stage_with_targets(plan_of(step, end(501))) as stage:
        (await dialled(stage)).answer()
        (await dialled(stage, 1)).answer()
        await stage.until(lambda: stage.of("conference.started"))
        one, two = stage.dialler.lines
        for _ in range(10):
            stage.line.stream.arrive(frame(100))
            one.stream.arrive(frame(20))
            two.stream.arrive(frame(3))
            await asyncio.gather(stage.line.advance(20), one.advance(20), two.advance(20))
        assert frame(23) in stage.line.heard()
        assert frame(103) in one.heard()
        assert frame(120) in two.heard()
        one.hang_up()
        two.hang_up()
        assert (await stage.over()).end_reason == "way 501"


async def test_an_agent_takes_part_in_a_conference():
    step = ConferenceStep(("sales",), "front", 5)
    async with on_stage_with_targets(plan_of(step, BYE)) as stage:
        callee = await dialled(stage)
        callee.answer()
        session = await stage.session()
        await stage.until(lambda: stage.of("agent.started"))
        assert [one for one in callee.heard() if one != frame(100)]
        before = len(session.of("input_audio_buffer.append"))
        for _ in range(10):
            callee.stream.arrive(frame(222))
            stage.line.stream.arrive(frame(0))
            await asyncio.gather(stage.line.advance(20), callee.advance(20))
        assert len(session.of("input_audio_buffer.append")) > before


async def test_a_failed_transfer_goes_on_with_or_else():
    async with on_stage(plan_of(TransferStep("nowhere", (end(504),)))) as stage:
        assert (await stage.over()).end_reason == "way 504"


async def test_an_agent_that_cannot_be_had_goes_on_with_or_else():
    async with on_stage(plan_of(AgentStep("front", (end(504),))), failures=(REFUSED,) * 5) as stage:
        assert (await stage.over()).end_reason == "way 504"
