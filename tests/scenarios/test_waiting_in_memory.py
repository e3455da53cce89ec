"""Calls that wait, in memory: queues, parked calls, call backs, and supervisors. Control's desk is the real one."""

import asyncio
import base64
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from bridge.call.rendezvous import Rendezvous
from bridge.call.waittimes import WaitTimes
from bridge.config import SipConfig
from bridge.control_waiting import WaitingRoom
from bridge.dialplan.plan import AgentStep
from bridge.dialplan.queue import Queue
from bridge.dialplan.steps import CallbackStep, HoldStep, ParkStep, PickUpStep, QueueStep
from bridge.errors import LinkError
from bridge.strictjson import encode
from tests.fakes.call import GUARD_S, config_of
from tests.fakes.line import FakeLine, frame, settle
from tests.scenarios.test_steps_in_memory import (
    BYE,
    control,
    dial,
    dialled,
    end,
    on_stage_with_targets,
    plan_of,
)

SALES = Queue(
    "sales", ("sales", "support"), "in_order", 5, 0, 20, 2, 60, "", "Number {{ vars.position }} of {{ vars.waiting }}.",
    45, "en",
)  # fmt: skip


def room(**options):
    """Control's desk that has been up for a while."""
    starts = iter((time.monotonic() - 100,))
    return WaitingRoom(clock=lambda: next(starts, None) or time.monotonic(), **options)


def asks(desk, tmp_path):
    """A worker's request: the desk answers what is its own, texts are spoken as a tone, the rest fails."""
    other = control(tmp_path)

    async def request(kind, data, deadline_s):
        if request.away:
            raise LinkError("control is away")
        if not desk.knows(kind):
            return await other(kind, data, deadline_s)
        other.asked.append((kind, dict(data)))
        return await desk.answer(kind, data)

    request.asked, request.away = other.asked, False
    return request


def queue_plan(*more, spec=SALES):
    return replace(plan_of(QueueStep("sales", OTHER_WAY), *more), queues=(spec,))


OTHER_WAY = (end(504),)
TIMES = WaitTimes(poll_s=0.05, queue_away_s=0.4, park_away_s=0.3, position_pause_s=0.2)


def on_stage(plan, **options):
    return on_stage_with_targets(plan, times=TIMES, **options)


# ---- queue -----------------------------------------------------------------------------------------------------------


async def test_a_caller_is_connected_with_a_free_member_and_goes_on_after_the_call(tmp_path):
    desk = room()
    async with on_stage(queue_plan(end(501)), request=asks(desk, tmp_path)) as stage:
        member = await dialled(stage)
        assert stage.dialler.placed[0][0] == "sip:sales@pbx"
        await stage.until(lambda: frame(300) in stage.line.heard())
        member.answer()
        await stage.until(lambda: stage.of("queue.connected"))
        assert stage.of("queue.connected")[0]["member"] == "sales"
        await stage.until(lambda: desk.states()[0].members[0].state == "talking")
        member.hang_up()
        assert (await stage.over()).end_reason == "way 501"
        assert desk.states()[0].members[0].state == "free"


async def test_a_member_who_does_not_answer_is_followed_by_the_next(tmp_path):
    async with on_stage(queue_plan(BYE), request=asks(room(), tmp_path)) as stage:
        (await dialled(stage)).refuse()
        (await dialled(stage, 1)).answer()
        await stage.until(lambda: stage.of("queue.connected"))
        assert [uri for uri, *_ in stage.dialler.placed] == ["sip:sales@pbx", "sip:support@pbx"]
        assert stage.of("queue.no_answer")[0]["member"] == "sales"


async def busy(desk, *names, spec=SALES):
    """Other calls talk with these members."""
    for name in names:
        place = {"call_id": f"on-{name}", "queue": encode(spec), "joined_at": 0.0, "state": "talking"}
        await desk.answer("queue.wait", {**place, "admitted": True, "member": name, "offer": "x"})


async def test_a_caller_hears_the_position_and_music_and_moves_up(tmp_path):
    desk = room()
    request = asks(desk, tmp_path)
    await busy(desk, "sales", "support")
    ahead = {"call_id": "ahead", "queue": encode(SALES), "joined_at": 1.0, "state": "waiting"}
    await desk.answer("queue.wait", {**ahead, "admitted": True, "member": "", "offer": ""})

    async with on_stage(queue_plan(BYE), request=request) as stage:
        await stage.until(lambda: stage.of("queue.position"))
        assert stage.of("queue.position") == [{"queue": "sales", "position": 2, "waiting": 2}]
        await stage.until(lambda: frame(3000) in stage.line.heard() and frame(300) in stage.line.heard())
        await desk.answer("queue.leave", {"call_id": "ahead"})
        await stage.until(lambda: len(stage.of("queue.position")) == 2)
        assert stage.of("queue.position")[1] == {"queue": "sales", "position": 1, "waiting": 1}
        texts = [data["text"] for kind, data in request.asked if kind == "speech.say"]
        assert texts == ["Number 2 of 2.", "Number 1 of 1."]
        await desk.answer("queue.leave", {"call_id": "on-support"})
        (await dialled(stage)).answer()
        await stage.until(lambda: stage.of("queue.connected"))
        assert stage.of("queue.connected")[0]["member"] == "support"


async def test_a_full_queue_leads_to_or_else(tmp_path):
    desk, spec = room(), replace(SALES, max_callers=1)
    await busy(desk, "sales", "support", spec=spec)
    ahead = {"call_id": "ahead", "queue": encode(spec), "joined_at": 1.0, "state": "waiting"}
    await desk.answer("queue.wait", {**ahead, "admitted": False, "member": "", "offer": ""})
    async with on_stage(queue_plan(BYE, spec=spec), request=asks(desk, tmp_path)) as stage:
        assert (await stage.over()).end_reason == "way 504"
        assert stage.of("step.failed")[0]["reason"] == "the queue sales is full"


async def test_who_waited_too_long_goes_on_with_or_else_and_is_out_of_the_line(tmp_path):
    desk, spec = room(), replace(SALES, max_wait_s=1)
    await busy(desk, "sales", "support", spec=spec)
    async with on_stage(queue_plan(BYE, spec=spec), request=asks(desk, tmp_path)) as stage:
        assert (await stage.over()).end_reason == "way 504"
        assert "within 1 s" in stage.of("step.failed")[0]["reason"]
        assert desk.states()[0].waiting == 0


async def test_a_caller_is_not_stuck_when_control_stays_away(tmp_path):
    request = asks(room(), tmp_path)
    request.away = True
    async with on_stage(queue_plan(BYE), request=request) as stage:
        assert (await stage.over()).end_reason == "way 504"
        assert "control is away" in stage.of("step.failed")[0]["reason"]


async def test_a_restart_of_control_loses_neither_the_place_nor_a_talk(tmp_path):
    desk = room()
    await busy(desk, "sales", "support")
    request = asks(desk, tmp_path)
    desks = [desk]

    async def through(kind, data, deadline_s):
        if kind.startswith("queue."):
            return await desks[-1].answer(kind, data)
        return await request(kind, data, deadline_s)

    async with on_stage(queue_plan(BYE), request=through) as stage:
        await stage.until(lambda: stage.of("queue.position"))
        desks.append(room())  # a new control knows nobody
        await busy(desks[-1], "support")
        (await dialled(stage)).answer()
        await stage.until(lambda: stage.of("queue.connected"))
        desks.append(room())
        await stage.until(lambda: desks[-1].states() and desks[-1].states()[0].members[0].state == "talking")


async def test_a_caller_who_hangs_up_frees_place_and_member_at_once(tmp_path):
    desk = room()
    async with on_stage(queue_plan(BYE), request=asks(desk, tmp_path)) as stage:
        member = await dialled(stage)
        assert desk.states()[0].waiting == 1
        stage.line.hang_up()
        await stage.over()
        assert member.pj.ended is not None
        assert (desk.states()[0].waiting, desk.states()[0].members[0].state) == (0, "free")


# ---- park and pick up ------------------------------------------------------------------------------------------------


def park(slot="701", timeout_s=5):
    return ParkStep(slot, timeout_s, "", OTHER_WAY)


@asynccontextmanager
async def two_calls(parked_plan, picking_plan, tmp_path, *, other_worker=False):
    """Two calls, on one worker or on two; the second begins when the first is parked."""
    desk, here, there = room(), Rendezvous(), Rendezvous()
    request = asks(desk, tmp_path)
    near = config_of(sip=SipConfig(port=5062))
    far = config_of(sip=SipConfig(port=5064)) if other_worker else near
    async with on_stage(
        parked_plan, request=request, config=near, rendezvous=here, line=FakeLine(leg_id="parked")
    ) as first:
        await first.until(lambda: first.of("park.parked"))
        async with on_stage(
            picking_plan, request=request, config=far, rendezvous=there if other_worker else here,
            line=FakeLine(leg_id="picking"),
        ) as second:  # fmt: skip
            first.others.append(second.line)
            yield Pair(first, second, here)


@dataclass
class Pair:
    first: Any
    second: Any
    rendezvous: Any

    async def hear(self):
        """What parked and picking caller hear of each other, within 200 ms."""
        self.first.line.stream.written.clear()
        self.second.line.stream.written.clear()
        for _ in range(10):
            self.first.line.stream.arrive(frame(111))
            self.second.line.stream.arrive(frame(222))
            await asyncio.gather(self.first.line.advance(20), self.second.line.advance(20))
        return self.first.line.heard(), self.second.line.heard()


async def test_on_one_worker_the_two_callers_are_joined_without_sip(tmp_path):
    async with two_calls(plan_of(park()), plan_of(PickUpStep("701"), end(501)), tmp_path) as pair:
        await pair.first.until(lambda: frame(300) in pair.first.line.heard())
        await pair.first.until(lambda: pair.first.of("park.picked_up"))
        await settle()
        parked, picking = await pair.hear()
        assert frame(222) in parked
        assert frame(111) in picking
        assert frame(300) not in parked
        assert pair.first.dialler.placed == pair.second.dialler.placed == []
        pair.first.line.hang_up()
        await pair.first.over()
        assert (await pair.second.over()).end_reason == "way 501"


async def test_when_the_one_who_picked_up_hangs_up_the_parked_call_ends(tmp_path):
    async with two_calls(plan_of(park(), end(501)), plan_of(PickUpStep("701"), BYE), tmp_path) as pair:
        await pair.first.until(lambda: pair.first.of("park.picked_up"))
        pair.second.line.hang_up()
        await pair.first.until(pair.second.task.done)
        assert (await pair.first.over()).end_reason == "picked_up"


async def test_keys_pass_between_the_two(tmp_path):
    async with two_calls(plan_of(park()), plan_of(PickUpStep("701"), BYE), tmp_path) as pair:
        await pair.first.until(lambda: pair.first.of("park.picked_up"))
        await settle()
        pair.first.line.press("5")
        pair.second.line.press("6")
        await pair.first.until(lambda: pair.first.line.pj.digits and pair.second.line.pj.digits)
        assert (pair.second.line.pj.digits[0][0], pair.first.line.pj.digits[0][0]) == ("5", "6")


async def test_on_another_worker_the_call_is_fetched_by_an_invite_with_its_token(tmp_path):
    plans = plan_of(park()), plan_of(PickUpStep("701", OTHER_WAY), end(501))
    async with two_calls(*plans, tmp_path, other_worker=True) as pair:
        await pair.first.until(lambda: pair.second.dialler.lines)
        uri = pair.second.dialler.placed[0][0]
        assert uri.startswith("sip:meet-")
        assert uri.endswith("@127.0.0.1:5062")
        guest = FakeLine(to=uri[4:].split("@")[0], leg_id="guest")
        pair.first.others += [guest, pair.second.dialler.lines[0]]
        assert pair.rendezvous.admit(guest.leg)
        await pair.first.until(lambda: 200 in guest.pj.responses)
        pair.second.dialler.lines[0].answer()
        await pair.first.until(lambda: pair.second.of("park.picks_up") and pair.first.of("park.picked_up"))
        await settle()
        for _ in range(10):
            pair.first.line.stream.arrive(frame(111))
            guest.stream.arrive(frame(222))
            await asyncio.gather(pair.first.line.advance(20), guest.advance(20))
        assert frame(111) in guest.heard()
        assert frame(222) in pair.first.line.heard()
        guest.hang_up()
        assert (await pair.first.over()).end_reason == "picked_up"
        pair.second.dialler.lines[0].hang_up()
        assert (await pair.second.over()).end_reason == "way 501"


async def test_a_taken_slot_leads_to_or_else(tmp_path):
    async with two_calls(plan_of(park()), plan_of(park(), BYE), tmp_path) as pair:
        assert (await pair.second.over()).end_reason == "way 504"
        assert pair.second.of("step.failed")[0]["reason"] == "slot 701 is taken"


async def test_nobody_who_comes_leads_to_or_else_and_the_slot_is_free_again(tmp_path):
    desk = room()
    async with on_stage(plan_of(park(timeout_s=0.2)), request=asks(desk, tmp_path)) as stage:
        assert (await stage.over()).end_reason == "way 504"
        assert "nobody picked up" in stage.of("step.failed")[0]["reason"]
        assert desk.overview()["parked"] == []


async def test_a_call_that_control_never_heard_of_is_not_parked(tmp_path):
    request = asks(room(), tmp_path)
    request.away = True
    async with on_stage(plan_of(park()), request=request) as stage:
        assert (await stage.over()).end_reason == "way 504"


@pytest.mark.parametrize("slot", ["702", "{{ vars.nothing }}", "7 0 1; drop"])
async def test_an_empty_slot_leads_to_or_else(tmp_path, slot):
    plan = plan_of(PickUpStep(slot, OTHER_WAY), BYE)
    async with on_stage(plan, request=asks(room(), tmp_path)) as stage:
        assert (await stage.over()).end_reason == "way 504"


# ---- call back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "reason"), [("", "way 501"), ("the number is on the do-not-call list", "way 504")]
)
async def test_a_call_back_goes_by_the_outbound_rules(tmp_path, refused, reason):
    wishes = []

    async def rules(wish):
        wishes.append(wish)
        return refused

    plan = plan_of(CallbackStep("{{ caller.number }}", 60, OTHER_WAY), end(501))
    async with on_stage(plan, request=asks(room(call_back=rules), tmp_path)) as stage:
        assert (await stage.over()).end_reason == reason
        assert (wishes[0].number, wishes[0].after_s) == ("200", 60)
        assert [one["reason"] for one in stage.of("step.failed")] == (
            [f"no call back: {refused}"] if refused else []
        )


# ---- supervisors -----------------------------------------------------------------------------------------------------


@dataclass
class Word:
    command_id: str
    kind: str
    data: Any


CALLER, SUPERVISOR = frame(1000), frame(3000)


@asynccontextmanager
async def supervised(mode, tmp_path):
    """A caller who talks with an agent, and a supervisor who was called in."""
    done = []

    async def request(kind, data, deadline_s):
        if kind == "tool.command_done":
            done.append(data)
            return {}
        raise LinkError("no")

    async with on_stage(plan_of(AgentStep("front")), request=request) as stage:
        stage.session_ = await stage.talking()
        stage.done = done
        stage.call.commands.take(Word("1", "supervise", {"target": "sales", "mode": mode}))
        supervisor = await dialled(stage)
        supervisor.answer()
        await stage.until(lambda: done)
        assert done[0]["ok"], done
        await settle()
        yield stage, supervisor


async def speak(stage, supervisor):
    """Caller and supervisor speak at once: what the two hear, and how loud it is for the model."""
    stage.line.stream.written.clear()
    supervisor.stream.written.clear()
    before = len(stage.session_.of("input_audio_buffer.append")) + 1  # of what was before
    for _ in range(15):
        stage.line.stream.arrive(CALLER)
        supervisor.stream.arrive(SUPERVISOR)
        await asyncio.gather(stage.line.advance(20), supervisor.advance(20))
    await asyncio.sleep(0.05)
    appended = stage.session_.of("input_audio_buffer.append")[before:]
    return stage.line.heard(), supervisor.heard(), [loudest(one["audio"]) for one in appended]


def loudest(audio):
    """Peak of PCM in base64, rounded to what was said."""
    return round(float(np.abs(np.frombuffer(base64.b64decode(audio), "<i2")).max()) / 1000)


async def test_a_supervisor_who_listens_hears_and_is_heard_by_nobody(tmp_path):
    async with supervised("listen", tmp_path) as (stage, supervisor):
        caller, heard, model = await speak(stage, supervisor)
        assert CALLER in heard
        assert caller == []
        assert max(model) <= 1


async def test_a_supervisor_who_whispers_is_heard_by_the_agent_alone(tmp_path):
    async with supervised("whisper", tmp_path) as (stage, supervisor):
        caller, heard, model = await speak(stage, supervisor)
        assert CALLER in heard
        assert caller == []
        assert max(model) >= 4  # both at once


async def test_a_supervisor_who_joins_is_heard_by_both(tmp_path):
    async with supervised("join", tmp_path) as (stage, supervisor):
        caller, heard, model = await speak(stage, supervisor)
        assert CALLER in heard
        assert SUPERVISOR in caller
        assert max(model) >= 4


async def test_the_mode_changes_without_another_call_and_a_stop_ends_it(tmp_path):
    async with supervised("listen", tmp_path) as (stage, supervisor):
        stage.call.commands.take(Word("2", "supervise", {"target": "sales", "mode": "join"}))
        await stage.until(lambda: len(stage.done) == 2)
        caller, _, _ = await speak(stage, supervisor)
        assert SUPERVISOR in caller
        assert len(stage.dialler.lines) == 1
        stage.call.commands.take(Word("3", "supervise", {"target": "sales", "stop": True}))
        await stage.until(lambda: len(stage.done) == 3)
        assert supervisor.pj.ended is not None
        caller, _, model = await speak(stage, supervisor)
        assert (caller, set(model)) == ([], {1})
        types = [one for one in stage.types if one.startswith("supervisor.")]
        assert types == ["supervisor.joined", "supervisor.mode", "supervisor.left"]
        assert not stage.task.done()


async def test_the_supervisor_goes_when_the_call_ends(tmp_path):
    async with supervised("listen", tmp_path) as (stage, supervisor):
        stage.line.hang_up()
        await stage.over()
        assert supervisor.pj.ended is not None
        assert stage.record.ended_by == "caller"


async def test_a_supervisor_who_takes_over_talks_with_the_caller_alone(tmp_path):
    async with supervised("listen", tmp_path) as (stage, supervisor):
        stage.call.commands.take(Word("2", "take_over", {"target": "sales"}))
        await stage.until(lambda: len(stage.done) == 2)
        caller, heard, model = await speak(stage, supervisor)
        assert (SUPERVISOR in caller, CALLER in heard, model) == (True, True, [])
        supervisor.hang_up()
        assert (await stage.over()).end_reason == "taken_over"


async def test_who_took_over_gives_the_caller_back_to_the_agent_who_knows_what_was_said_and_leaves(tmp_path):
    async with supervised("listen", tmp_path) as (stage, supervisor):
        stage.call.commands.take(Word("2", "take_over", {"target": "sales"}))
        await stage.until(lambda: len(stage.done) == 2)
        stage.call.commands.take(Word("3", "hand_back", {"note": "They get the refund.", "by": "anna"}))
        session = await stage.session(1)
        await stage.until(lambda: session.of("response.create"))
        assert len(stage.done) == 2  # the caller is not left alone until the agent is heard
        (facts,) = [one["item"] for one in session.of("conversation.item.create")]
        assert facts["role"] == "system"
        words = facts["content"][0]["text"]
        assert 'person, "sales"' in words
        assert 'note to you: "They get the refund."' in words
        await stage.until(lambda: len(stage.done) == 3)
        assert stage.done[2]["ok"], stage.done
        await stage.until(lambda: stage.of("supervisor.left"))
        assert supervisor.pj.ended is not None
        assert [one["by"] for one in stage.of("command") if one["kind"] == "hand_back"] == ["anna"]
        stage.session_ = session
        caller, _, model = await speak(stage, supervisor)
        assert (SUPERVISOR in caller, set(model)) == (False, {1})
        stage.call.commands.take(Word("4", "hand_back", {}))
        await stage.until(lambda: len(stage.done) == 4)
        assert "nobody has taken the caller over" in stage.done[3]["error"]


async def test_a_whisper_is_a_word_for_the_agent_that_the_caller_does_not_hear(tmp_path):
    async with supervised("listen", tmp_path) as (stage, _):
        before = len(stage.session_.of("response.create"))
        words = {"text": 'Offer "ten" percent.', "by": "anna"}
        stage.call.commands.take(Word("2", "whisper", words))
        item = (await stage.session_.wait("conversation.item.create"))[-1]["item"]
        assert item["role"] == "system"
        assert "tells you: \"Offer 'ten' percent.\"" in item["content"][0]["text"]
        await stage.until(lambda: len(stage.done) == 2)
        assert len(stage.session_.of("response.create")) == before
        assert stage.of("supervisor.whispered") == [{"by": "anna", "text": "Offer 'ten' percent."}]
        stage.call.commands.take(Word("3", "whisper", {**words, "now": True}))
        await stage.session_.wait("response.create", before + 1)


async def test_without_an_agent_nobody_can_be_whispered_to(tmp_path):
    done = []

    async def request(kind, answer, deadline_s):
        done.append(answer)
        return {}

    async with on_stage(plan_of(HoldStep(60)), request=request) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        stage.call.commands.take(Word("1", "whisper", {"text": "Hello", "by": "anna"}))
        await stage.until(lambda: done)
        assert "no agent has the caller" in done[0]["error"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"target": "nobody"}, "there is no transfer target"),
        ({"target": "sales", "mode": "shout"}, "there is no mode"),
        ({"target": "sales", "stop": True}, "supervises nothing here"),
    ],
)
async def test_a_wrong_wish_is_refused(tmp_path, data, words):
    done = []

    async def request(kind, answer, deadline_s):
        done.append(answer)
        return {}

    async with on_stage(plan_of(HoldStep(60)), request=request) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        stage.call.commands.take(Word("1", "supervise", data))
        await stage.until(lambda: done)
        assert words in done[0]["error"]
        assert not stage.task.done()


async def test_a_supervisor_moves_along_when_a_step_connects_the_caller_with_somebody(tmp_path):
    done = []

    async def request(kind, answer, deadline_s):
        done.append(answer)
        return {}

    async with on_stage(plan_of(HoldStep(1), dial("support"), HoldStep(60)), request=request) as stage:
        await stage.until(lambda: stage.of("call.answered"))
        stage.call.commands.take(Word("1", "supervise", {"target": "sales", "mode": "listen"}))
        supervisor = await dialled(stage)
        supervisor.answer()
        callee = await dialled(stage, 1)
        callee.answer()
        await stage.until(lambda: stage.of("leg.connected"))
        async with asyncio.timeout(GUARD_S):
            while frame(222) not in supervisor.heard():
                callee.stream.arrive(frame(222))
                await asyncio.gather(stage.line.advance(20), callee.advance(20), supervisor.advance(20))
        callee.hang_up()
        await stage.until(lambda: frame(300) in supervisor.heard()[-5:])
