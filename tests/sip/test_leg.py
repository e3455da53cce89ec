import asyncio

import pytest

from bridge.sip.dialog import LegState
from bridge.sip.events import (
    Confirmed,
    Dtmf,
    DtmfMethod,
    HangUpBy,
    Held,
    HungUp,
    Invite,
    MediaStarted,
    MediaStats,
    Party,
    Replaced,
    Resumed,
)
from bridge.sip.leg import MAX_DIGITS, MAX_QUEUED_EVENTS
from tests.fakes.line import FakeLine, settle


@pytest.fixture
async def line():
    return FakeLine()


async def test_a_leg_rings_then_answers(line):
    assert await line.leg.ring()
    assert await line.leg.answer()
    assert line.pj.responses == [180, 200]


async def test_another_provisional_status_can_be_sent(line):
    assert await line.leg.ring(183)
    assert line.pj.responses == [183]


async def test_an_answer_after_the_caller_gave_up_is_a_quiet_no(line):
    line.hang_up()
    await settle()
    assert not await line.leg.answer()
    assert line.pj.responses == []


async def test_an_answer_that_crosses_the_cancel_on_its_way_is_a_quiet_no(line):
    line.gone = True
    assert not await line.leg.answer()


async def test_a_leg_is_hung_up_once(line):
    await line.leg.answer()
    assert await line.leg.hang_up(HangUpBy.BRIDGE, 408, "rtp_timeout")
    assert not await line.leg.hang_up(HangUpBy.BRIDGE)
    assert line.pj.ended == (HangUpBy.BRIDGE, 408, "rtp_timeout")
    assert line.leg.ended


async def test_events_come_in_order_and_hung_up_is_the_last(line):
    await line.leg.answer()
    for event in (Held(), Resumed()):
        line.event(event)
    line.hang_up()
    kinds = [type(await line.leg.next_event()) for _ in range(5)]
    assert kinds == [MediaStarted, Confirmed, Held, Resumed, HungUp]
    assert line.leg.dialog.state is LegState.ENDED
    assert line.leg.media == MediaStarted("PCMU", 20, "127.0.0.1:4000", direct=True)


async def test_digits_go_out_while_the_call_is_up(line):
    assert not await line.leg.send_dtmf("1")
    await line.leg.answer()
    await settle()
    assert await line.leg.send_dtmf("12#", DtmfMethod.INFO)
    assert line.pj.digits == [("12#", DtmfMethod.INFO)]


async def test_a_flood_of_digits_never_costs_the_hang_up(line):
    for _ in range(MAX_QUEUED_EVENTS + 50):
        line.leg.receive(Dtmf("1", DtmfMethod.RFC4733))
    line.hang_up()
    await settle()
    events = [await line.leg.next_event() for _ in range(MAX_QUEUED_EVENTS + 1)]
    assert isinstance(events[-1], HungUp)
    assert line.leg.dropped_events == 50


async def test_so_many_digits_as_nobody_presses_are_no_events(line):
    events = 0
    for number in range(MAX_DIGITS + 20):
        method, digit = (DtmfMethod.INFO, "1") if number % 2 else (DtmfMethod.RFC4733, "2")
        line.leg.receive(Dtmf(digit, method))
        while line.leg._events.qsize():
            events += bool(await line.leg.next_event())
    assert (events, line.leg.dropped_events) == (MAX_DIGITS, 20)
    line.hang_up()
    await settle()
    assert isinstance(await line.leg.next_event(), HungUp)


async def test_a_key_that_comes_by_two_methods_is_one_event(line):
    for method in DtmfMethod:
        line.leg.receive(Dtmf("5", method))
    line.hang_up()
    await settle()
    assert await line.leg.next_event() == Dtmf("5", DtmfMethod.RFC4733)
    assert isinstance(await line.leg.next_event(), HungUp)


async def test_a_leg_knows_that_it_is_held_even_before_the_ack(line):
    assert not line.leg.held
    line.leg.receive(Held())
    assert line.leg.held
    line.leg.receive(Resumed())
    assert not line.leg.held


async def test_a_leg_that_is_over_has_no_statistics_but_zeros(line):
    assert (await line.leg.stats()).rx_packets == 7
    line.gone = True
    assert await line.leg.stats() == MediaStats()


async def test_waiting_for_an_event_can_be_cancelled_without_loss(line):
    waiting = asyncio.create_task(line.leg.next_event())
    await settle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    line.leg.receive(Held())
    assert await line.leg.next_event() == Held()


async def test_the_messages_of_a_leg_are_those_of_every_dialog_it_has_had(line):
    line.book.add("sip-1", {"what": "INVITE"})
    line.book.add("other", {"what": "INVITE"})
    assert [one["what"] for one in line.leg.messages()] == ["INVITE"]
    line.event(Replaced(Invite("sip-2", "sip:100@b", Party("200", "p"), Party("100", "b"))))
    await settle()
    line.book.add("sip-1", {"what": "BYE"})
    line.book.add("sip-2", {"what": "ACK"})
    assert [one["what"] for one in line.leg.messages()] == ["BYE", "ACK"]
    assert line.leg.messages() == []
