"""What goes wrong on one call, or at the door, on a real endpoint: it costs that call or request, nothing else."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from bridge.sip.agent import STUCK_S
from bridge.sip.events import HangUpBy, HungUp, Ringing
from tests.fakes.rawphone import raw_phone

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session")]
GUARD_S = 20.0


@asynccontextmanager
async def called(agent, *, answer=True, **sdp):
    """A phone that has called: (leg, phone, the task of its INVITE). It answers our BYE, so no line stays taken."""
    legs = asyncio.Queue()
    agent.listen(legs.put_nowait, lambda *refusal: None)
    async with raw_phone(agent.info.port) as phone:
        phone.sip.hook = lambda message: phone.reply(message) if message.method == "BYE" else None
        invited = asyncio.create_task(phone.invite(phone.sdp(**sdp)))
        leg = await asyncio.wait_for(legs.get(), GUARD_S)
        if answer:
            assert await leg.answer()
            assert (await invited).status == 200
        yield leg, phone, invited
        if await leg.hang_up(HangUpBy.BRIDGE):
            await end_of(leg)
        if answer and not any(message.status and message.cseq == "BYE" for message in phone.sip.got):
            await phone.request("BYE")


async def end_of(leg):
    async with asyncio.timeout(GUARD_S):
        while not isinstance(event := await leg.next_event(), HungUp):
            assert not isinstance(event, Ringing)
    return event


async def test_a_hang_up_before_the_answer_never_answers_the_call(agent):
    async with called(agent, answer=False) as (leg, phone, invited):
        assert await leg.hang_up(HangUpBy.BRIDGE, 200, "asked by control")
        assert (await invited).status == 480
        end = await end_of(leg)
        assert (end.by, end.status, end.reason) == (HangUpBy.BRIDGE, 480, "asked by control")
        assert not [message for message in phone.sip.got if message.method == "BYE"]


async def test_a_failing_tap_ends_its_own_call_only(agent):
    async with called(agent) as (good, good_phone, _), called(agent) as (bad, _, _):
        good.audio.start()
        bad.audio.start()
        bad.audio.record(lambda caller, agent_side: 1 / 0)
        end = await end_of(bad)
        assert (end.by, end.status, end.reason) == (HangUpBy.BRIDGE, 500, "media failed")
        before = time.monotonic()
        await good_phone.heard(10, loud=False, after=before)
        assert agent.problem(time.monotonic()) == ""
        assert not good.ended


async def test_a_callback_that_raises_ends_its_own_call_only(agent):
    async with called(agent) as (good, _, _), called(agent) as (bad, phone, _):
        bad.audio.attach = lambda stream: 1 / 0
        number = phone.request_out("INVITE", body=phone.sdp(codecs=(8,)))
        assert (await phone.response(number)).status == 200
        phone.ack(number)
        end = await end_of(bad)
        assert (end.by, end.status, end.reason) == (HangUpBy.BRIDGE, 500, "internal error")
        assert not good.ended
        assert agent.problem(time.monotonic()) == ""


async def test_a_round_that_raises_does_not_end_the_pj_thread(agent):
    agent._errands.post(lambda: 1 / 0)
    assert await agent._submit(lambda: 7) == 7
    assert agent.problem(time.monotonic()) == ""


async def test_a_pj_thread_that_stands_still_is_a_problem(agent):
    assert "stands still" in agent.problem(time.monotonic() + STUCK_S + 1)


@pytest.mark.parametrize(
    ("direction", "held", "peer_sends"),
    [("sendrecv", False, True), ("sendonly", True, True), ("recvonly", False, False)],
)
async def test_what_the_peer_offers_to_send_is_known_when_the_answer_is_out(
    agent, direction, held, peer_sends
):
    async with called(agent, direction=direction) as (leg, _, _):
        assert leg.held is held
        assert leg.media.peer_sends is peer_sends


async def test_a_call_answered_on_hold_without_any_stream_is_held(agent):
    async with called(agent, direction="inactive") as (leg, _, _):
        assert (leg.held, leg.media) == (True, None)


async def test_a_full_recording_of_a_call_without_a_stream_is_silence(agent):
    async with called(agent, direction="inactive") as (leg, _, _):
        taped = asyncio.Event()
        loop = asyncio.get_running_loop()
        leg.audio.start()
        leg.audio.record(lambda caller, agent_side: loop.call_soon_threadsafe(taped.set))
        await asyncio.wait_for(taped.wait(), GUARD_S)


async def test_options_outside_a_call_say_what_we_can_and_whether_we_take_calls(agent):
    agent.listen(lambda leg: None, lambda *refusal: None)
    async with raw_phone(agent.info.port) as phone:
        answer = await phone.response(phone.request_out("OPTIONS"), "OPTIONS")
        assert (answer.status, answer.headers["accept"]) == (200, "application/sdp")
        assert "INVITE" in answer.headers["allow"]
        agent.accepting = False
        answer = await phone.response(phone.request_out("OPTIONS"), "OPTIONS")
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert "INVITE" in answer.headers["allow"]


async def test_probing_costs_no_call_its_place(agent):
    agent.listen(lambda leg: None, lambda *refusal: None)
    async with raw_phone(agent.info.port) as phone:
        numbers = [phone.request_out("OPTIONS") for _ in range(60)]
        assert {(await phone.response(number, "OPTIONS")).status for number in numbers} == {200}


@pytest.mark.parametrize("method", ["BYE", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY"])
@pytest.mark.parametrize("tag", ["", "never"])
async def test_what_only_a_dialog_may_ask_gets_481_outside(agent, method, tag):
    async with raw_phone(agent.info.port) as phone:
        phone.to_tag = tag
        assert (await phone.response(phone.request_out(method), method)).status == 481


async def test_options_of_a_call_that_is_over_get_481(agent):
    async with called(agent) as (leg, phone, _):
        assert (await phone.response(phone.request_out("OPTIONS"), "OPTIONS")).status == 200
        await phone.bye()
        await end_of(leg)
        assert (await phone.response(phone.request_out("OPTIONS"), "OPTIONS")).status == 481
