"""Somebody at a browser in a running call, in memory but for the datagrams: hears, whispers, joins, takes over."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest

from bridge.dialplan.plan import AgentStep
from bridge.errors import FailureKind, LinkError, RemoteSessionError
from tests.call.test_seatline import SeatEnd
from tests.scenarios.test_steps_in_memory import on_stage_with_targets, plan_of
from tests.scenarios.test_waiting_in_memory import CALLER, SUPERVISOR, Word, loudest

KEY = os.urandom(32)
REFUSED = RemoteSessionError(FailureKind.FATAL, "invalid_api_key", "key refused")
SEAT = {"target": "seat:0123456789abcdef", "key": KEY.hex(), "by": "anna"}

OTHER_KEY = os.urandom(32)
OTHER = {"target": "seat:aaaaaaaaaaaaaaaa", "key": OTHER_KEY.hex(), "by": "bert"}


class Person:
    """At the browser: speaks and hears for as long as a block runs."""

    def __init__(self, stage, address, key=KEY):
        self.stage, self.end = stage, SeatEnd(address, key)
        self.heard = []

    async def speak(self, frames=15):
        """Both speak at once: what the caller hears, what the person hears, how loud it is for the model."""
        line, session = self.stage.line, self.stage.session_
        line.stream.written.clear()
        self.heard.clear()
        before = len(session.of("input_audio_buffer.append")) + 1
        for _ in range(frames):
            line.stream.arrive(CALLER)
            self.heard.append(await self.end.exchange(SUPERVISOR))
            await line.advance(20)
        await asyncio.sleep(0.05)
        appended = session.of("input_audio_buffer.append")[before:]
        return line.heard(), self.heard, [loudest(one["audio"]) for one in appended]


async def ordered(stage, kind, data):
    """A command's answer."""
    stage.call.commands.take(Word(f"c{len(stage.done)}", kind, data))
    count = len(stage.done)
    await stage.until(lambda: len(stage.done) > count)
    return stage.done[-1]


@asynccontextmanager
async def seated(mode):
    """A caller who talks with an agent, and a person at a browser."""
    done = []

    async def request(kind, data, deadline_s):
        if kind == "tool.command_done":
            done.append(data)
            return {}
        raise LinkError("no")

    async with on_stage_with_targets(plan_of(AgentStep("front")), request=request) as stage:
        stage.session_, stage.done = await stage.talking(), done
        answer = await ordered(stage, "seat", {**SEAT, "mode": mode})
        assert answer["ok"], answer
        assert answer["rate_hz"] == 8000
        person = Person(stage, answer["address"])
        await person.end.exchange()
        await stage.until(lambda: stage.of("supervisor.joined"))
        await asyncio.sleep(0.15)  # into the conference
        try:
            yield stage, person
        finally:
            person.end.socket.close()


@pytest.mark.parametrize(
    ("mode", "caller_hears", "model_peak"), [("listen", False, 1), ("whisper", False, 4), ("join", True, 4)]
)
async def test_who_hears_whom(mode, caller_hears, model_peak):
    async with seated(mode) as (stage, person):
        caller, heard, model = await person.speak()
        assert CALLER in heard
        assert (SUPERVISOR in caller) == caller_hears
        assert max(model) == model_peak
        assert stage.of("supervisor.joined") == [{"leg": "browser of anna", "mode": mode}]


async def test_the_mode_changes_while_it_listens():
    async with seated("listen") as (stage, person):
        assert (await ordered(stage, "seat", {**SEAT, "mode": "join"}))["ok"]
        assert SUPERVISOR in (await person.speak())[0]
        assert (await ordered(stage, "seat", {**SEAT, "mode": "listen"}))["ok"]
        await person.speak()  # what was on its way
        assert SUPERVISOR not in (await person.speak())[0]


async def test_it_takes_over_and_gives_back_and_goes_on_listening():
    async with seated("listen") as (stage, person):
        assert (await ordered(stage, "seat_take_over", {"target": SEAT["target"], "by": "anna"}))["ok"]
        caller, heard, model = await person.speak()
        assert (SUPERVISOR in caller, CALLER in heard, model) == (True, True, [])
        assert stage.of("supervisor.took_over") == [{"leg": "browser of anna"}]

        stage.call.commands.take(Word("back", "hand_back", {"note": "They get the refund.", "by": "anna"}))
        session = stage.session_ = await stage.session(1)
        await stage.until(lambda: session.of("response.create"))
        facts = session.of("conversation.item.create")[0]["item"]["content"][0]["text"]
        assert 'person, "anna"' in facts
        assert "They get the refund." in facts
        await stage.until(lambda: stage.of("supervisor.gave_back"))
        await stage.until(lambda: stage.of("supervisor.mode")[-1]["mode"] == "listen")
        await person.speak()
        caller, heard, model = await person.speak()
        assert (SUPERVISOR in caller, CALLER in heard, set(model)) == (False, True, {1})
        assert not stage.of("supervisor.left")


async def test_when_the_agent_cannot_come_back_who_took_over_still_has_the_caller_and_may_try_again():
    async with seated("listen") as (stage, person):
        assert (await ordered(stage, "seat_take_over", {"target": SEAT["target"], "by": "anna"}))["ok"]
        await person.speak()
        stage.connector.failures = [REFUSED]
        answer = await ordered(stage, "hand_back", {"by": "anna"})
        assert "the agent is not available" in answer["error"]
        caller, heard, _ = await person.speak()
        assert (SUPERVISOR in caller, CALLER in heard, stage.task.done()) == (True, True, False)
        assert not stage.of("supervisor.gave_back")

        stage.call.commands.take(Word("again", "hand_back", {"by": "anna"}))
        await stage.until(lambda: stage.of("supervisor.gave_back"))
        assert not stage.task.done()


async def test_who_cannot_take_over_stays_as_unheard_as_before():
    async with seated("whisper") as (stage, _):
        assert (await ordered(stage, "seat_take_over", {"target": SEAT["target"], "by": "anna"}))["ok"]
        other = Person(
            stage, (await ordered(stage, "seat", {**OTHER, "mode": "whisper"}))["address"], OTHER_KEY
        )
        await other.end.exchange()
        await stage.until(lambda: len(stage.of("supervisor.joined")) == 2)
        refused = await ordered(stage, "seat_take_over", {"target": OTHER["target"], "by": "bert"})
        assert "no agent has the caller" in refused["error"]
        await asyncio.sleep(0.15)
        assert SUPERVISOR not in (await other.speak())[0]
        other.end.socket.close()


async def test_when_the_browser_is_lost_after_a_take_over_the_agent_has_the_caller_again():
    async with seated("listen") as (stage, person):
        assert (await ordered(stage, "seat_take_over", {"target": SEAT["target"], "by": "anna"}))["ok"]
        person.end.send(person.end.wire.seal())
        session = await stage.session(1)
        await stage.until(lambda: session.of("response.create"))
        assert stage.of("supervisor.gave_back") == [{"leg": "browser of anna", "lost": True}]
        facts = session.of("conversation.item.create")[0]["item"]["content"][0]["text"]
        assert "connection was lost" in facts
        assert not stage.task.done()


async def test_a_stop_sends_it_away_and_its_place_is_free():
    async with seated("join") as (stage, person):
        assert (await ordered(stage, "seat", {**SEAT, "stop": True}))["ok"]
        assert await person.end.heard() == b""
        assert stage.of("supervisor.left") == [{"leg": "browser of anna"}]
        assert stage.line.port.conference is None


async def test_a_seat_that_is_not_connected_yet_cannot_take_over():
    async with seated("listen") as (stage, _):
        other = {**SEAT, "target": "seat:aaaaaaaaaaaaaaaa"}
        assert (await ordered(stage, "seat", {**other, "mode": "listen"}))["ok"]
        refused = await ordered(stage, "seat_take_over", {"target": other["target"], "by": "anna"})
        assert "not connected yet" in refused["error"]


async def test_a_key_that_is_none_is_refused():
    async with seated("listen") as (stage, _):
        answer = await ordered(stage, "seat", {"target": "seat:bbbbbbbbbbbbbbbb", "key": "00", "by": "anna"})
        assert "no seat can be taken" in answer["error"]
