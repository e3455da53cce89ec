"""What goes wrong while steps run: people who hang up at the wrong moment, control away, models lost, silence."""

import asyncio
import shutil
import time
from dataclasses import replace

import pytest

from bridge.config import PathsConfig
from bridge.dialplan.recording import RecordingRule
from bridge.dialplan.steps import (
    AgentStep,
    AnswerStep,
    CollectStep,
    ConferenceStep,
    DialStep,
    GoStep,
    HangUpStep,
    HoldStep,
    MenuStep,
    SwitchStep,
    ToolStep,
    TransferStep,
    WarmTransferStep,
)
from bridge.errors import FailureKind, RemoteSessionError
from bridge.sip.events import Held, Resumed, TransferProgress
from tests.fakes.call import AGENT, config_of, on_stage, recording_config
from tests.fakes.line import FakeLine, frame, settle
from tests.scenarios.test_steps_in_memory import (
    BYE,
    REFUSED,
    Word,
    control,
    dialled,
    end,
    on_stage_with_targets,
    plan_of,
    sound,
    told,
)


def warm(**changes):
    return replace(
        WarmTransferStep("sales", "A caller.", "en", False, "1", 5, "", False, (end(504),)), **changes
    )


def dial(*targets, ring_s=5, together=False, or_else=()):
    return DialStep(targets or ("sales",), ring_s, together, "", {}, or_else)


async def pass_time(stage, seconds, *, speaking=()):
    """Real time, and the media clock with it; `speaking` lines send audio."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and not stage.task.done():
        for line in speaking:
            line.stream.arrive(frame(1))
            line.port.last_rx_s = time.monotonic()
        await asyncio.gather(*(line.advance(20) for line in (stage.line, *stage.others)))
        await asyncio.sleep(0.005)


async def asked_to_take_over(stage):
    """The agent talks, somebody is called and has heard the summary."""
    await stage.talking()
    stage.call.commands.take(Word("warm_transfer", {"target": "sales", "summary": "Wants a refund."}))
    callee = await dialled(stage)
    callee.answer()
    await stage.until(callee.heard)
    return callee


async def test_a_target_that_hangs_up_during_the_spoken_summary_does_not_leave_the_caller_in_silence(
    tmp_path,
):
    async with on_stage_with_targets(plan_of(warm(spoken=True)), request=control(tmp_path)) as stage:
        callee = await dialled(stage)
        callee.answer()
        await stage.until(callee.heard)
        callee.press("1")
        await stage.until(lambda: stage.of("leg.asked"))
        callee.hang_up()
        assert (await stage.over()).end_reason == "transferred"


async def test_a_tool_that_control_has_forgotten_ends_the_step(tmp_path, monkeypatch):
    monkeypatch.setattr("bridge.call.steptool.ASK_AGAIN_S", 0.02)
    answers = {"tool.call": {"state": "pending", "request_id": "r1"}, "tool.state": {"calls": {}}}
    step = ToolStep("refund", "{}", "", "", (end(504),))
    async with on_stage(plan_of(AnswerStep(), step, BYE), request=control(tmp_path, answers)) as stage:
        assert (await stage.over()).end_reason == "way 504"
        assert stage.of("step.failed")[0]["reason"] == "nobody knows what became of it"


async def test_a_take_over_before_the_answer_answers_the_call(tmp_path):
    request = control(tmp_path, {"tool.command_done": {}})
    async with on_stage_with_targets(plan_of(AgentStep("front")), request=request, greeting=b"") as stage:
        await stage.session()
        await stage.until(lambda: stage.call.talk.conversation is not None)
        stage.call.commands.take(Word("warm_transfer", {"target": "sales", "summary": "A refund."}))
        callee = await dialled(stage)
        callee.answer()
        await stage.until(callee.heard)
        callee.press("1")
        await stage.until(lambda: stage.of("leg.connected"))
        assert 200 in stage.line.pj.responses


async def test_an_agents_time_limit_is_not_that_of_the_people_after_it(tmp_path):
    request = control(tmp_path, {"tool.command_done": {}})
    plan = replace(plan_of(AgentStep("front")), agents=(replace(AGENT, max_call_s=2),))
    async with on_stage_with_targets(plan, request=request) as stage:
        callee = await asked_to_take_over(stage)
        callee.press("1")
        await stage.until(lambda: stage.of("leg.connected"))
        await pass_time(stage, 2.5, speaking=(stage.line, callee))
        assert not stage.task.done()


async def test_people_in_a_conference_go_on_without_a_model():
    step = ConferenceStep(("sales",), "front", 5)
    async with on_stage_with_targets(plan_of(step, end(501)), failures=(REFUSED,) * 5) as stage:
        callee = await dialled(stage)
        callee.answer()
        await stage.until(lambda: [one for one in stage.of("error") if one["code"] == "agent_lost"])
        assert callee.pj.ended is None
        callee.hang_up()
        assert (await stage.over()).end_reason == "way 501"


async def test_a_dead_phone_leaves_the_conference():
    step = ConferenceStep(("sales",), "", 5)
    config = config_of(limits={"rtp_timeout_s": 1})
    async with on_stage_with_targets(plan_of(step, end(501)), config=config) as stage:
        callee = await dialled(stage)
        callee.answer()
        await pass_time(stage, 5, speaking=(stage.line,))
        assert stage.record.end_reason == "way 501"


async def test_one_who_answers_first_is_in_the_conference_at_once_and_the_others_come_later():
    step = ConferenceStep(("sales", "support"), "", 5)
    async with on_stage_with_targets(plan_of(step, end(501))) as stage:
        first, second = await dialled(stage), await dialled(stage, 1)
        second.answer()
        await stage.until(lambda: stage.of("leg.answered"))
        for _ in range(10):
            stage.line.stream.arrive(frame(100))
            await asyncio.gather(stage.line.advance(20), second.advance(20))
        assert frame(100) in second.heard()
        first.answer()
        await stage.until(lambda: len(stage.of("leg.answered")) == 2)


async def test_a_callee_back_from_hold_is_not_taken_for_dead():
    config = config_of(limits={"rtp_timeout_s": 2})
    async with on_stage_with_targets(plan_of(dial(), end(501)), config=config) as stage:
        callee = await dialled(stage)
        callee.answer()
        await stage.until(lambda: stage.of("leg.connected"))
        callee.event(Held())
        await pass_time(stage, 2.2, speaking=(stage.line,))
        callee.event(Resumed())
        await pass_time(stage, 1.1, speaking=(stage.line,))  # it is looked at once a second
        assert not stage.task.done()


@pytest.mark.parametrize("turns", range(0, 14, 1))
async def test_a_wish_in_the_moment_in_which_the_session_dies_gets_its_answer(turns):
    async with on_stage_with_targets(plan_of(AgentStep("front", (HoldStep(20), BYE)))) as stage:
        await stage.talking()
        talk = stage.call.talk

        def fail(_now):
            raise RemoteSessionError(FailureKind.FATAL, "gone", "gone")

        talk.conversation._session.to_send = fail
        talk.conversation._outgoing.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        waiter = asyncio.create_task(talk.leave(lambda: asyncio.Event().wait()))
        await settle(80)
        await asyncio.sleep(0.02)
        answered = waiter.done()
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        assert answered


async def test_an_answer_that_is_cancelled_on_its_way_counts_all_the_same():
    class SlowLine(FakeLine):
        async def command(self, leg_id, action, default):
            result = default if self.gone else action(self.pj)
            await settle(8)
            return result

    line = SlowLine()
    async with on_stage(plan_of(AgentStep("front", (end(504),))), line=line) as stage:
        await stage.until(lambda: 200 in line.pj.responses)
        conversation = stage.call.talk.conversation

        def fail(_now):
            raise RemoteSessionError(FailureKind.FATAL, "gone", "gone")

        conversation._session.to_send = fail
        conversation._outgoing.set()
        assert (await stage.over()).end_reason == "way 504"
        assert stage.of("call.answered")


async def test_targets_may_ring_longer_than_a_call_that_nobody_wants_to_answer():
    config = config_of(limits={"ring_max_s": 1})
    plan = plan_of(dial("sales", "support", ring_s=0.8, or_else=(end(504),)), BYE)
    async with on_stage_with_targets(plan, config=config) as stage:
        assert (await stage.over()).end_reason == "way 504"
        assert len(stage.dialler.lines) == 2


async def test_deep_flows_end_with_a_reason():
    typed = CollectStep((), "x", 1, 1, "#", 0.0, 1, (SwitchStep("c", {"c": (GoStep("main"),)}),))
    flows = {"main": (SwitchStep("a", {"a": (SwitchStep("b", {"b": (typed,)}),)}),)}
    async with on_stage(plan_of(AnswerStep(), GoStep("main"), flows=flows)) as stage:
        assert (await stage.over()).end_reason == "the dialplan goes round in circles"


async def test_a_late_word_about_an_earlier_transfer_says_nothing_of_the_next(monkeypatch):
    monkeypatch.setattr("bridge.call.commands.TRANSFER_S", 0.3)
    plan = plan_of(TransferStep("sales", (HoldStep(1), TransferStep("support", (end(504),)))))
    async with on_stage(plan) as stage:
        await stage.until(lambda: stage.of("step.failed"))
        stage.line.event(TransferProgress(603, "Decline", final=True))
        await stage.until(lambda: stage.line.pj.referred == "sip:support@pbx")
        await stage.until(lambda: len(stage.of("step.failed")) == 2)
        assert "603" not in stage.of("step.failed")[1]["reason"]


async def test_a_caller_whose_network_takes_the_refer_and_does_nothing_hears_music_until_or_else(monkeypatch):
    monkeypatch.setattr("bridge.call.commands.TRANSFER_S", 0.5)
    async with on_stage(plan_of(TransferStep("sales", (HoldStep(1, ""), end(504))))) as stage:
        await stage.until(lambda: stage.line.pj.referred)
        stage.line.event(TransferProgress(100, "Trying", final=False))
        await stage.until(lambda: len(stage.line.heard()) > 10)
        assert not stage.of("step.failed")
        await stage.until(lambda: stage.of("step.failed"))
        assert (await stage.over()).end_reason == "way 504"


async def test_a_terminator_pressed_out_of_habit_is_no_choice_in_the_next_menu():
    menu = MenuStep((), {"1": (end(501),)}, {}, "en", 3, 1, (end(504),))
    steps = (CollectStep((), "order", 4, 4, "#", 3, 2), menu, BYE)
    async with on_stage(plan_of(*steps)) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        for key in "1234":
            stage.line.press(key)
        await stage.until(lambda: stage.of("collect"))
        await settle()
        stage.line.press("#")
        await settle()
        stage.line.press("1")
        assert (await stage.over()).end_reason == "way 501"


async def test_digits_typed_while_the_recording_is_paused_are_not_in_the_record():
    steps = (
        AnswerStep(),
        CollectStep((), "order", 9, 9, "#", 3, 2),
        SwitchStep("{{ vars.order }}", {"9": (BYE,)}),
        BYE,
    )
    async with on_stage(plan_of(*steps)) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        stage.call._recording.pause("operator")
        for key in "471108150":
            stage.line.press(key)
        await stage.over()
        assert "471108150" not in str(stage.events)


async def test_nothing_counts_as_lost_that_nobody_wanted_to_hear():
    async with on_stage_with_targets(plan_of(dial(), end(501))) as stage:
        callee = await dialled(stage)
        callee.answer()
        await stage.until(lambda: stage.of("leg.connected"))
        await pass_time(stage, 3.5, speaking=(stage.line,))
        callee.hang_up()
        await stage.over()
        assert stage.of("media")[0]["intake_dropped_ms"] == 0


async def test_the_gates_question_does_not_wait_behind_the_music(tmp_path):
    confirming = {"state": "confirming", "request_id": "r1", "question": "Refund 40 dollars?", "key": "1"}
    request = control(tmp_path, {"tool.call": confirming, "tool.confirm": {}})
    plan = plan_of(AnswerStep(), HoldStep(1), ToolStep("refund", "{}", "", ""), end(501))
    async with on_stage(plan, request=request) as stage:
        await stage.until(lambda: [kind for kind, _ in request.asked if kind == "speech.say"])
        before = len(stage.line.heard())
        await stage.until(lambda: frame(3000) in stage.line.heard())
        assert stage.line.heard().index(frame(3000)) - before <= 3


async def test_targets_that_answer_no_cancel_do_not_keep_others_ringing():
    names = "abcd"
    plan = replace(plan_of(dial(*names, together=True)), transfers={one: f"sip:{one}@x" for one in names})
    async with on_stage_with_targets(plan) as stage:
        await dialled(stage, 3)
        for line in stage.dialler.lines[1:]:
            line.pj.answers_bye = False
        stage.line.hang_up()
        await stage.until(lambda: stage.dialler.lines[0].pj.ended is not None)
        began_s = time.monotonic()
        await stage.over()
        assert time.monotonic() - began_s < 5  # one after the other they would take 6


async def test_the_target_of_a_warm_transfer_is_called_when_everything_is_spoken(tmp_path):
    base = control(tmp_path)
    spoken = []

    async def slow(kind, data, deadline_s):
        if kind == "speech.say":
            await asyncio.sleep(0.1)
            spoken.append(data["text"])
        return await base(kind, data, deadline_s)

    async with on_stage_with_targets(plan_of(warm(language="de")), request=slow) as stage:
        await dialled(stage)
        assert [text[:7] for text in spoken] == ["A calle", "Drücken"]


async def test_a_release_that_the_callers_side_refuses_leaves_no_dead_air(tmp_path):
    async with on_stage_with_targets(plan_of(warm(release=True)), request=control(tmp_path)) as stage:
        stage.line.pj.refer_replacing = lambda leg_id: setattr(stage.line.pj, "referred", leg_id)
        callee = await dialled(stage)
        callee.answer()
        await stage.until(callee.heard)
        callee.press("1")
        await stage.until(lambda: stage.line.pj.referred)
        for _ in range(10):
            stage.line.stream.arrive(frame(111))
            await asyncio.gather(stage.line.advance(20), callee.advance(20))
        assert frame(111) in callee.heard()
        stage.line.event(TransferProgress(603, "Decline", final=True))
        await stage.until(lambda: stage.of("leg.connected"))
        assert [one["message"] for one in stage.of("error")] == ["603 Decline"]


async def test_a_harmless_failure_is_not_why_the_call_ended():
    steps = (TransferStep("nowhere", (HoldStep(1),)), HangUpStep(None, "fine"))
    async with on_stage(plan_of(*steps)) as stage:
        await stage.over()
        assert stage.of("call.ended")[0]["detail"] == ""


async def test_commands_are_answered_when_the_call_ends(tmp_path):
    request = control(tmp_path, {"tool.command_done": {}})
    async with on_stage_with_targets(plan_of(AgentStep("front")), request=request) as stage:
        await asked_to_take_over(stage)
        stage.line.hang_up()
        await stage.over()
        assert [one["ok"] for one in told(request)] == [False]


async def test_a_route_that_records_records_people_too_after_telling_the_caller(tmp_path):
    rule = RecordingRule(announce="We record.", prompt_id="ask", consent="announce")
    plan = plan_of(dial(), end(501))
    plan = replace(plan, routes=(replace(plan.routes[0], recording=rule),))
    config = replace(recording_config(tmp_path), paths=PathsConfig(prompts=str(tmp_path)))
    shutil.copy(sound(tmp_path, 100).path, tmp_path / "ask.wav")
    async with on_stage_with_targets(plan, config=config) as stage:
        callee = await dialled(stage)
        assert stage.of("recording.consent")[0]["how"] == "announced"
        callee.answer()
        await stage.until(lambda: stage.of("leg.connected"))
        await pass_time(stage, 0.3, speaking=(stage.line, callee))
        callee.hang_up()
        await stage.over()
        assert stage.record.recording_s > 0.1


async def test_a_route_without_such_a_rule_records_no_people(tmp_path):
    async with on_stage_with_targets(plan_of(dial(), end(501)), config=recording_config(tmp_path)) as stage:
        callee = await dialled(stage)
        callee.answer()
        await stage.until(lambda: stage.of("leg.connected"))
        callee.hang_up()
        await stage.over()
        assert stage.of("recording") == []
