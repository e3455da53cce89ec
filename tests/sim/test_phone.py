"""The phone's shell on a line in memory: real leg, real audio port, no SIP, no network, no waiting."""

import asyncio
import wave
from contextlib import asynccontextmanager

import numpy as np
import pytest

from bridge.errors import SipError
from bridge.media.recorder import RecorderThread
from bridge.media.tones import tone
from bridge.sim.phone import Phone, PhoneCall, address_towards, own_uri
from bridge.sim.phonefile import Lines
from bridge.sim.phonescript import AfterAgent, DuringAgent, Outcome, Press, Say, UntilHungUp, Wait
from bridge.sip.events import Confirmed, DtmfMethod, HangUpBy, HungUp, MediaStarted, Ringing
from bridge.sip.leg import Leg
from tests.fakes.line import FakeLine, frame, settle

WORDS = tone((400.0,), 1000)
AGENT = frame(8000)


class Exchange:
    """What the phone dials into: hands out the leg of a FakeLine and lets the far end act."""

    def __init__(self) -> None:
        self.line = FakeLine()
        self.line.leg = Leg("leg-1", self.line.leg.invite, self.line.port, self.line, incoming=False)
        self.dialled = None

    async def call(self, uri, headers=None, from_uri=""):
        self.dialled = (uri, dict(headers or {}), from_uri)
        return self.line.leg

    async def pick_up(self):
        self.line.event(Ringing(180))
        await settle()
        self.line.now += 0.25
        self.line.pj.responses.append(200)
        self.line.event(MediaStarted("PCMA", 20, "127.0.0.1:4000", direct=True))
        self.line.event(Confirmed())
        await settle()

    async def agent(self, ms):
        await self.line.advance(ms, speech=AGENT)

    async def quiet(self, ms):
        await self.line.advance(ms, speech=bytes(320))


@asynccontextmanager
async def calling(*steps, recording=None, **changes):
    """A phone that is dialling; its report is `await`ed from the task."""
    exchange = Exchange()
    call = PhoneCall("sip:100@bridge", Lines(steps, (WORDS,), 2000), headers={"X-A": "b"}, **changes)
    phone = Phone(exchange, call, recording, "sip:200@phone", clock=lambda: exchange.line.now)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(phone.run())
        await settle()
        yield exchange, running


async def test_a_whole_call_is_played_and_measured() -> None:
    async with calling(AfterAgent(400), Say(0, 1000), AfterAgent(400), Press("5")) as (exchange, running):
        assert exchange.dialled == ("sip:100@bridge", {"X-A": "b"}, "sip:200@phone")
        await exchange.pick_up()
        await exchange.quiet(300)
        await exchange.agent(800)
        await exchange.quiet(400 + 1000 + 600)
        await exchange.agent(600)
        await exchange.quiet(1200)
    report = running.result()

    assert report.answered
    assert report.script is Outcome.DONE
    assert (report.steps, report.steps_done, report.problem) == (4, 4, "")
    assert (report.ended_by, report.status) == ("phone", 200)
    assert exchange.line.pj.digits == [("5", DtmfMethod.RFC4733)]
    assert exchange.line.pj.ended == (HangUpBy.BRIDGE, 200, "the caller has finished")
    assert (report.ring_ms, report.answer_ms, report.codec) == (0.0, 250.0, "PCMA")
    assert report.times.greeting_ms == pytest.approx(340, abs=40)
    assert [turn.response_ms for turn in report.times.turns] == [pytest.approx(600, abs=80)]
    assert report.times.own_speech_ms == pytest.approx(1000, abs=40)
    assert report.rtp.rx_packets == 7
    assert report.recording is None


async def test_an_interruption_is_measured_from_the_first_word_to_the_agents_last() -> None:
    async with calling(DuringAgent(1000), Say(0, 1000), AfterAgent(200)) as (exchange, running):
        await exchange.pick_up()
        await exchange.agent(1000 + 40 + 300)
        await exchange.quiet(1500)
        await exchange.agent(200)
        await exchange.quiet(1000)
    times = running.result().times

    assert [turn.stop_ms for turn in times.turns] == [pytest.approx(300, abs=80)]


async def test_what_was_said_is_left_and_what_was_heard_is_right(tmp_path) -> None:
    path = tmp_path / "call.wav"
    with RecorderThread() as recorder:
        recording = recorder.open(path)
        async with calling(Say(0, 1000), AfterAgent(200), recording=recording, record=path) as (
            exchange,
            running,
        ):
            await exchange.pick_up()
            await exchange.quiet(1400)
            await exchange.agent(600)
            await exchange.quiet(600)
        await asyncio.to_thread(recording.close)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    said, heard = (np.flatnonzero(np.abs(samples[:, side]) > 500) / 8 for side in (0, 1))

    assert running.result().recording == str(path)
    assert said[0] < 100
    assert said[-1] - said[0] == pytest.approx(1000, abs=20)
    assert heard[-1] - heard[0] == pytest.approx(600, abs=21)
    assert heard[0] == pytest.approx(1440, abs=40)


async def test_a_busy_line_is_reported() -> None:
    async with calling(Wait(100)) as (exchange, running):
        exchange.line.over(HungUp(HangUpBy.CALLER, 486, "Busy Here"))
    report = running.result()

    assert not report.answered
    assert (report.status, report.reason, report.ended_by) == (486, "Busy Here", "peer")
    assert report.problem == "the call was not answered"
    assert report.answer_ms is None
    assert report.duration_s == 0.0


async def test_a_phone_that_rings_for_ever_is_put_down() -> None:
    async with calling(Wait(100), ring_s=0.01) as (exchange, running):
        exchange.line.event(Ringing(180))
    report = running.result()

    assert report.problem == "not answered within 0.01 s, 0 of 1 steps were done"
    assert exchange.line.pj.ended is not None


async def test_a_call_that_never_ends_is_ended() -> None:
    async with calling(Wait(60_000), max_s=0.01) as (exchange, running):
        await exchange.pick_up()
    report = running.result()

    assert report.answered
    assert report.problem == "still not over after 0.01 s, 0 of 1 steps were done"


async def test_the_other_side_may_hang_up_where_it_is_waited_for() -> None:
    async with calling(UntilHungUp()) as (exchange, running):
        await exchange.pick_up()
        await exchange.agent(500)
        exchange.line.over(HungUp(HangUpBy.CALLER, 200, "Normal"))
    report = running.result()

    assert report.script is Outcome.DONE
    assert report.ended_by == "peer"


async def test_keys_that_cannot_be_sent_end_the_call_with_a_word() -> None:
    async with calling(Press("5"), Wait(60_000)) as (exchange, running):

        def refuse(digits, method):
            raise SipError(500, "no telephone-event")

        exchange.line.pj.send_digits = refuse
        await exchange.pick_up()
    report = running.result()

    assert report.script is Outcome.FAILED
    assert report.problem.startswith("cannot send 5: SIP 500 no telephone-event")


def test_the_address_to_call_from_is_on_the_way_to_the_uri() -> None:
    assert address_towards("sip:100@127.0.0.1:5060;transport=udp") == "127.0.0.1"
    assert address_towards("sip:127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize("uri", ["", "100@127.0.0.1", "mailto:a@b", "sip:", "sip:100@"])
def test_what_is_no_sip_uri_is_refused(uri: str) -> None:
    with pytest.raises(SipError, match="not a SIP URI"):
        address_towards(uri)


def test_a_number_becomes_a_uri_and_a_uri_stays_one() -> None:
    assert own_uri("+4930", "10.0.0.1") == "sip:+4930@10.0.0.1"
    assert own_uri('"Ann" <sip:1@b>', "10.0.0.1") == '"Ann" <sip:1@b>'
    assert own_uri("", "10.0.0.1") == ""
