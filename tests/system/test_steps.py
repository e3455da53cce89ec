"""The dialplan's steps over real SIP and RTP: what goes over the line is kept as ladders in tests/data/ladders."""

import itertools
import time
import wave
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bridge.dialplan.steps import (
    AnswerStep,
    CollectStep,
    ConferenceStep,
    DialStep,
    EarlyMediaStep,
    HangUpStep,
    HoldStep,
    MenuStep,
    PlayStep,
    RejectStep,
    RingStep,
    SwitchStep,
    VoicemailStep,
    WarmTransferStep,
)
from bridge.media.g711 import pcmu_decode, pcmu_encode
from bridge.media.tones import tone
from bridge.sim.voice import speak
from tests.fakes.callee import callee
from tests.fakes.ladder import check, ladder
from tests.fakes.line import frame
from tests.fakes.rawphone import raw_phone
from tests.fakes.worker_process import plan_of, running_worker

pytestmark = pytest.mark.system

BYE = HangUpStep(None, "")
LOW = pcmu_encode(tone((400.0,), 20))
HIGH = pcmu_encode(tone((1600.0,), 20))


def way(number):
    """A hang-up whose reason tells which way the call went."""
    return HangUpStep(486, f"way {number}")


def sound(folder, ms=300, value=3000):
    path = folder / f"{ms}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(frame(value, ms))
    return PlayStep(str(path), "id")


@asynccontextmanager
async def scene(folder, *steps, callees=0, **options):
    """A worker with that route, a caller, and callees that the plan names one, two, ….."""
    names = ("one", "two", "three")
    async with callee() as first, callee() as second:
        called = (first, second)[:callees]
        plan = plan_of(*steps)
        plan = replace(plan, transfers={name: phone.uri for name, phone in zip(names, called, strict=False)})
        async with running_worker(folder, plan, **options) as worker, raw_phone(worker.port) as caller:
            yield worker, caller, *called


def pitch(packets):
    """Which of the two tones some packets are: crossings of zero a second, halved."""
    pcm = b"".join(pcmu_decode(packet.payload) for packet in packets)
    values = [int.from_bytes(pcm[n : n + 2], "little", signed=True) for n in range(0, len(pcm), 2)]
    crossings = sum(1 for one, two in itertools.pairwise(values) if (one < 0) != (two < 0))
    return crossings / 2 / (len(values) / 8000)


async def test_early_media_then_a_refusal(tmp_path):
    async with scene(tmp_path, EarlyMediaStep((sound(tmp_path),)), RejectStep(486, "Busy Here")) as (
        worker,
        caller,
    ):
        number = caller.request_out("INVITE", body=caller.sdp())
        early = await caller.response(number, at_least=183)
        caller.take(early)
        assert early.status == 183
        await caller.heard(10)
        answer = await caller.response(number)
        caller.ack(number, f"z9hG4bK{caller.call_id}INVITE{number}")
        assert answer.status == 486
        (record,) = await worker.ended()
        assert (record.answered_at, record.end_status) == (None, 486)
        check("early-media-then-reject", ladder(caller=caller))


async def test_early_media_then_the_answer_on_the_same_stream(tmp_path):
    steps = (EarlyMediaStep((sound(tmp_path),)), sound(tmp_path, 400), BYE)
    async with scene(tmp_path, *steps) as (worker, caller):
        assert (await caller.invite()).status == 200
        await caller.heard(30)
        caller.reply(await caller.request("BYE"))
        await worker.ended()
        sequences = [packet.sequence for packet in caller.rtp.got]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        check("early-media-then-answer", ladder(caller=caller))


async def test_ring_answer_hold_hang_up(tmp_path):
    async with scene(tmp_path, RingStep(100), AnswerStep(), HoldStep(1), BYE) as (worker, caller):
        assert (await caller.invite()).status == 200
        await caller.heard(20)
        caller.reply(await caller.request("BYE"))
        await worker.ended()
        check("ring-answer-hold-hang-up", ladder(caller=caller))


@pytest.mark.parametrize(("key", "expected"), [("1", "way 1"), ("2", "way 2"), ("7", "way 9")])
async def test_a_menu_by_rfc4733_keys(tmp_path, key, expected):
    step = MenuStep((sound(tmp_path, 2000),), {"1": (way(1),), "2": (way(2),)}, {}, "en", 1.0, 1, (way(9),))
    async with scene(tmp_path, step) as (worker, caller):
        await caller.invite()
        await caller.heard(5)
        await caller.press(key)
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == expected


async def test_digits_typed_in_lead_the_way(tmp_path):
    steps = (
        CollectStep((sound(tmp_path),), "pin", 4, 4, "#", 5.0, 1, (way(9),)),
        SwitchStep("{{ vars.pin }}", {"4711": (way(1),)}, (way(2),)),
        BYE,
    )
    async with scene(tmp_path, *steps) as (worker, caller):
        await caller.invite()
        await caller.heard(3)
        for digit in "4711":
            await caller.press(digit)
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "way 1"


async def test_a_message_after_the_tone_is_a_file(tmp_path):
    step = VoicemailStep((), "office", (), 20, 2.0, "#", (way(9),))
    words = pcmu_encode(speak("Please call me back tomorrow morning.", rate_hz=8000))
    async with scene(tmp_path, step, way(1), recording=tmp_path / "rec") as (worker, caller):
        await caller.invite()
        await caller.heard(8)
        await caller.speak(len(words) // 8, lambda n: words[n * 160 : n * 160 + 160].ljust(160, b"\xff"))
        await caller.press("#")
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "way 1"
        (message,) = worker.of("voicemail")
        with wave.open(message["path"]) as file:
            assert file.getnframes() / file.getframerate() == pytest.approx(message["seconds"], abs=0.1)
        assert message["seconds"] > 1
        check("voicemail", ladder(caller=caller))


def dial(*targets, **changes):
    return replace(
        DialStep(targets or ("one",), 5, False, "", {"X-Context": "{{ caller.number }}"}, (way(9),)),
        **changes,
    )


async def test_dial_connects_caller_and_callee_with_audio_both_ways(tmp_path):
    async with scene(tmp_path, dial(), way(1), callees=1) as (worker, caller, one):
        number = caller.request_out("INVITE", body=caller.sdp())
        await one.takes()
        assert one.offer.headers["x-context"] == "raw"
        answer = await caller.response(number)
        caller.take(answer)
        caller.ack(number)
        async with caller.speaking(LOW), one.speaking(HIGH):
            await one.heard(30)
            await caller.heard(30)
            assert pitch((await one.heard(30))[-20:]) == pytest.approx(400, rel=0.1)
            assert pitch((await caller.heard(30))[-20:]) == pytest.approx(1600, rel=0.1)
        assert (await one.bye()).status == 200
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "way 1"
        check("dial", ladder(caller=caller, callee=one))


async def test_the_next_target_is_dialled_when_the_first_is_busy(tmp_path):
    async with scene(tmp_path, dial("one", "two"), way(1), callees=2) as (worker, caller, one, two):
        number = caller.request_out("INVITE", body=caller.sdp())
        await one.refuses()
        await two.takes()
        caller.take(await caller.response(number))
        caller.ack(number)
        await worker.event("leg.connected")
        await caller.bye()
        two.reply(await two.request("BYE"))
        await worker.ended()
        check("dial-busy-then-next", ladder(caller=caller, first=one, second=two))
        kept = {"caller": [], "one": [], "two": []}
        for data in worker.of("sip.messages"):
            kept[data["leg"]] += [
                line["what"]
                for line in data["messages"]
                if not line["what"].startswith("1")
                and line["what"] != "200 BYE"  # it may come after the record
            ]
        assert kept == {
            "caller": ["INVITE", "200 INVITE", "ACK", "BYE"],
            "one": ["INVITE", "486 INVITE", "ACK"],
            "two": ["INVITE", "200 INVITE", "ACK", "BYE"],
        }, "the record has the messages of every leg"


async def test_of_two_that_ring_together_one_gets_the_call_and_the_other_a_cancel(tmp_path):
    async with scene(tmp_path, dial("one", "two", together=True), way(1), callees=2) as (
        worker,
        caller,
        one,
        two,
    ):
        number = caller.request_out("INVITE", body=caller.sdp())
        await one.called()
        one.answer_with(180, "Ringing")
        await two.takes()
        cancel = await one.request("CANCEL")
        one.reply(cancel)
        one.answer_with(487, "Request Terminated")
        caller.take(await caller.response(number))
        caller.ack(number)
        await two.bye()
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "way 1"
        check("dial-together", ladder(apart=True, caller=caller, first=one, second=two))


async def test_a_caller_who_gives_up_while_it_rings_cancels_the_callee(tmp_path):
    async with scene(tmp_path, dial(), callees=1) as (worker, caller, one):
        number = caller.request_out("INVITE", body=caller.sdp())
        await one.called()
        one.answer_with(180, "Ringing")
        await caller.response(number, at_least=180)
        caller.raw(caller.message("CANCEL", number=number, branch=f"z9hG4bK{caller.call_id}INVITE{number}"))
        one.reply(await one.request("CANCEL"))
        one.answer_with(487, "Request Terminated")
        (record,) = await worker.ended()
        assert record.ended_by == "caller"
        check("dial-caller-gives-up", ladder(callee=one))


def warm(**changes):
    return replace(WarmTransferStep("one", "A caller.", "en", False, "1", 5, "", False, (way(9),)), **changes)


async def test_a_warm_transfer_is_accepted_by_key_and_connects(tmp_path):
    async with scene(tmp_path, AnswerStep(), warm(), callees=1) as (worker, caller, one):
        await caller.invite()
        await one.takes()
        await caller.heard(10)
        await one.heard(20)
        await one.presses("1")
        await worker.event("leg.connected")
        async with caller.speaking(LOW):
            later = time.monotonic() + 0.3
            assert pitch((await one.heard(20, after=later))[-15:]) == pytest.approx(400, rel=0.1)
        await one.bye()
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "transferred"
        check("warm-transfer-accepted", ladder(caller=caller, target=one))


async def test_a_warm_transfer_refused_by_key_brings_the_caller_back(tmp_path):
    async with scene(tmp_path, AnswerStep(), warm(), callees=1) as (worker, caller, one):
        await caller.invite()
        await one.takes()
        await caller.heard(5)
        await one.heard(20)
        await one.presses("3")
        one.reply(await one.request("BYE"))
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "way 9"
        check("warm-transfer-refused", ladder(apart=True, caller=caller, target=one))


async def test_three_in_a_conference_hear_each_other(tmp_path):
    async with scene(tmp_path, ConferenceStep(("one", "two"), "", 5), way(1), callees=2) as (
        worker,
        caller,
        one,
        two,
    ):
        await caller.invite()
        await one.takes()
        await two.takes()
        await worker.event("conference.started")
        async with one.speaking(HIGH):
            assert pitch((await caller.heard(20))[-15:]) == pytest.approx(1600, rel=0.1)
            assert pitch((await two.heard(20))[-15:]) == pytest.approx(1600, rel=0.1)
        await one.bye()
        await two.bye()
        caller.reply(await caller.request("BYE"))
        assert (await worker.ended())[0].end_reason == "way 1"
        check("conference", ladder(caller=caller) + ladder(first=one) + ladder(second=two))
