"""A seat's end in the bridge: a call that it hears, or one that it places."""

import asyncio
import os

import pytest

from bridge.call.seatline import seat_line
from bridge.media.mixer import Mixer
from bridge.seat.ends import NO_WORKER, PhoneEnd, WorkerEnd
from bridge.seat.order import Dial, Listen
from bridge.sip.events import HangUpBy, Ringing
from tests.fakes.line import FakeLine, frame
from tests.fakes.link import until

KEY = os.urandom(32).hex()
GUARD_S = 20.0


async def test_it_hears_the_call_and_is_heard_20_ms_at_a_time():
    async with seat_line("127.0.0.1", KEY, 320) as line:
        mixer = Mixer()
        mixer.join("caller")
        mixer.join("seat")
        line.join(mixer, "seat")
        end, told = WorkerEnd(Listen(line.address, KEY, 8000)), []
        running = asyncio.create_task(end.run(told.append))
        heard = []
        async with asyncio.timeout(GUARD_S):
            while frame(1000) not in heard:
                mixer.say("caller", frame(1000))
                heard.append(end.exchange(frame(3000)))
                await asyncio.sleep(0.005)
        assert mixer.hear("caller") == frame(3000)
        assert told == [{"state": "on_call"}]
        line.close()
        async with asyncio.timeout(GUARD_S):
            assert await running == "the call is over"


async def test_a_call_of_which_nothing_is_ever_heard_is_over_for_another_reason_than_one_that_falls_silent():
    async with asyncio.timeout(GUARD_S):
        assert await WorkerEnd(Listen("127.0.0.1:9", KEY, 8000), 0.1).run(lambda _: None) == NO_WORKER
    async with seat_line("127.0.0.1", KEY, 320) as line, asyncio.timeout(GUARD_S):
        end = WorkerEnd(Listen(line.address, KEY, 8000), 0.1)
        running = asyncio.create_task(end.run(lambda _: None))
        while end.exchange(frame(0)) is None:  # noqa: ASYNC110  # the beat is a timer's
            await asyncio.sleep(0.005)
        assert await running == "nothing is heard of the call any more"


class Dialled:
    """SipAgent for one call, on a line in memory."""

    def __init__(self):
        self.line = FakeLine(incoming=False, rate_hz=16000)
        self.placed = []

    async def call(self, uri, headers, from_uri):
        self.placed.append((uri, dict(headers), from_uri))
        return self.line.leg


@pytest.fixture
def dialled():
    return Dial("sip:100@127.0.0.1:5060", "127.0.0.1", "<sip:1@127.0.0.1>", {"X-Console-Call": "p"}, 60)


async def test_it_rings_then_talks_both_ways_and_presses_keys(dialled):
    end, agent, told = PhoneEnd(dialled), Dialled(), []
    running = asyncio.create_task(end.place(agent, told.append))
    await until(lambda: agent.placed)
    assert agent.placed == [(dialled.uri, dialled.headers, dialled.from_uri)]
    agent.line.answer()
    await until(lambda: told and told[-1]["state"] == "talking")
    assert [one["state"] for one in told] == ["ringing", "talking"]
    wide = frame(1000) * 2
    agent.line.stream.arrive(wide)
    end.exchange(frame(3000) * 2)
    await agent.line.advance(40)
    assert frame(3000) * 2 in agent.line.heard()
    assert end.exchange(bytes(640)) == wide
    end.obey({"keys": "5#"})
    end.obey({"keys": "drop table"})
    end.obey({"keys": "7"})
    await until(lambda: len(agent.line.pj.digits) == 2)
    assert [digits for digits, _ in agent.line.pj.digits] == ["5#", "7"]
    end.obey({"hang_up": True})
    async with asyncio.timeout(GUARD_S):
        await running
    assert agent.line.pj.ended[0] is HangUpBy.BRIDGE


async def test_while_it_rings_a_ringing_tone_is_heard(dialled):
    end = PhoneEnd(dialled)
    assert end.exchange(bytes(640)) is None
    agent = Dialled()
    running = asyncio.create_task(end.place(agent, lambda _: None))
    await until(lambda: agent.placed)
    agent.line.event(Ringing(180))
    await until(lambda: any(end.exchange(bytes(640)) or b""))
    agent.line.refuse(486, "Busy Here")
    async with asyncio.timeout(GUARD_S):
        assert await running == "486 Busy Here"


async def test_when_the_browser_goes_the_call_is_hung_up(dialled):
    end, agent = PhoneEnd(dialled), Dialled()
    told = []
    running = asyncio.create_task(end.place(agent, told.append))
    await until(lambda: agent.placed)
    agent.line.answer()
    await until(lambda: told and told[-1]["state"] == "talking")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert agent.line.pj.ended == (HangUpBy.BRIDGE, 200, "the browser has gone")
