"""A real pjsua2 endpoint in this process, a raw phone on the other side."""

import asyncio
import struct
from collections import Counter
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from bridge.errors import SipError
from bridge.sip.events import (
    Confirmed,
    Dtmf,
    DtmfMethod,
    HangUpBy,
    Held,
    HungUp,
    MediaStarted,
    MediaStopped,
    Ringing,
)
from tests.fakes.rawphone import raw_phone

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session")]
GUARD_S = 20.0


class Desk:
    """Takes the legs an agent hands out."""

    def __init__(self, agent):
        self.agent = agent
        self.legs = asyncio.Queue()
        self.refused = []
        agent.listen(self.legs.put_nowait, lambda *refusal: self.refused.append(refusal))

    async def leg(self):
        return await asyncio.wait_for(self.legs.get(), GUARD_S)


async def event(leg, kind):
    """The next event of a kind; others are passed over."""
    async with asyncio.timeout(GUARD_S):
        while not isinstance(found := await leg.next_event(), kind):
            pass
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def talk(agent):
    """An answered call: (leg, phone)."""
    desk = Desk(agent)
    async with raw_phone(agent.info.port) as phone:
        invited = asyncio.create_task(phone.invite())
        leg = await desk.leg()
        assert await leg.ring()
        assert await leg.answer()
        assert (await invited).status == 200
        await event(leg, Confirmed)
        leg.audio.start()
        yield leg, phone
        if await leg.hang_up(HangUpBy.BRIDGE):
            phone.reply(await phone.request("BYE"))


async def test_audio_goes_directly_to_the_stream(agent):
    assert (agent.info.audio, agent.info.note) == ("direct", "")


async def test_a_call_has_its_whole_life_as_events(talk):
    leg, phone = talk
    assert leg.media == MediaStarted("PCMU", 20, f"127.0.0.1:{phone.rtp_port}", direct=True)
    leg.audio.play("a", b"\x00\x40" * 1600)
    await phone.heard(9)
    await phone.speak(200)
    async with asyncio.timeout(GUARD_S):
        while not any(await leg.audio.read()):
            pass
    assert (await phone.bye()).status == 200
    await event(leg, MediaStopped)
    end = await event(leg, HungUp)
    assert (end.by, end.status, end.stats.rx_packets, end.stats.rx_lost) == (HangUpBy.CALLER, 200, 10, 0)


async def test_the_peers_reason_header_is_the_reason(talk):
    leg, phone = talk
    number = phone.request_out("BYE", headers='Reason: Q.850;cause=16;text="gone fishing"\r\n')
    await phone.response(number, "BYE")
    assert (await event(leg, HungUp)).reason == "gone fishing"


async def test_our_bye_carries_the_cause_cleaned(talk):
    leg, phone = talk
    assert await leg.hang_up(HangUpBy.AGENT, 200, 'said "good\r\nbye"')
    bye = await phone.request("BYE")
    phone.reply(bye)
    assert bye.headers["reason"] == "SIP;cause=200;text=\"said 'goodbye'\""
    assert (await event(leg, HungUp)).by is HangUpBy.AGENT
    assert not await leg.answer()


async def test_an_unanswered_call_is_refused_with_status_and_reason(agent):
    desk = Desk(agent)
    async with raw_phone(agent.info.port) as phone:
        invited = asyncio.create_task(phone.invite())
        leg = await desk.leg()
        assert await leg.hang_up(HangUpBy.BRIDGE, 486, "busy")
        answer = await invited
        assert answer.status == 486
        assert answer.headers["reason"] == 'SIP;cause=486;text="busy"'


async def test_digits_go_out_as_rfc_4733_events(talk):
    leg, phone = talk
    assert await leg.send_dtmf("4#")

    def events(packets):
        found = [packet for packet in packets if packet.payload_type == 101]
        ended = Counter(packet.payload[0] for packet in found if packet.payload[1] & 128)
        return found if min(ended[4], ended[11]) >= 2 else None

    packets = await phone.rtp.until(events, GUARD_S)
    starts = [packet for packet in packets if packet.marker]
    assert [packet.payload[0] for packet in starts] == [4, 11]
    for digit in (4, 11):
        one = [packet for packet in packets if packet.payload[0] == digit]
        durations = [struct.unpack("!H", packet.payload[2:4])[0] for packet in one]
        assert len({packet.timestamp for packet in one}) == 1
        assert durations == sorted(durations)


async def test_digits_go_out_as_info(talk):
    leg, phone = talk
    sending = asyncio.create_task(leg.send_dtmf("7", DtmfMethod.INFO))
    info = await phone.request("INFO")
    phone.reply(info)
    assert await sending
    assert info.headers["content-type"] == "application/dtmf-relay"
    assert "Signal=7" in info.body.replace(" ", "")


async def test_digits_come_in_both_ways(talk):
    leg, phone = talk
    await phone.speak(100)
    await phone.press("5")
    await phone.speak(60)
    assert await event(leg, Dtmf) == Dtmf("5", DtmfMethod.RFC4733)
    number = phone.request_out("INFO", body="Signal=6", kind="application/dtmf-relay")
    assert (await phone.response(number, "INFO")).status == 200
    assert await event(leg, Dtmf) == Dtmf("6", DtmfMethod.INFO)


async def test_the_streams_own_counters_are_pjsuas(talk):
    """natives.py reads pjmedia's statistics by offset; this is where a wrong offset would show."""
    leg, phone = talk
    for number in range(60):
        if number not in {10, 20, 21, 40}:
            phone.packet(b"\x55" * 160, sequence=3000 + number, timestamp=160 * number)
        await asyncio.sleep(0.005)
    async with asyncio.timeout(GUARD_S):
        while (stats := await leg.stats()).rx_packets < 56:  # noqa: ASYNC110  # counters ring no bell
            await asyncio.sleep(0.02)
    with leg.audio._lock:
        native = leg.audio._stream.received()
    assert native == (stats.rx_packets, stats.rx_lost) == (56, 4)


async def test_a_hold_is_an_event(talk):
    leg, phone = talk
    number = phone.request_out("INVITE", body=phone.sdp(direction="inactive"))
    assert (await phone.response(number)).status == 200
    phone.ack(number)
    await event(leg, Held)


async def test_a_full_or_draining_agent_refuses_and_says_whom(agent):
    desk = Desk(agent)
    async with AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(raw_phone(agent.info.port)) for _ in range(6)]
        invited = [asyncio.create_task(phone.invite()) for phone in phones[:4]]
        legs = [await desk.leg() for _ in range(4)]
        assert (await phones[4].invite()).status == 503
        for leg in legs:
            await leg.hang_up(HangUpBy.BRIDGE, 480, "x")
        assert {answer.status for answer in await asyncio.gather(*invited)} == {480}
        agent.accepting = False
        assert (await phones[5].invite()).status == 503
        assert [(refusal[1].sip_call_id, *refusal[2:]) for refusal in desk.refused] == [
            (phones[4].call_id, 503, "All Lines Busy"),
            (phones[5].call_id, 503, "Not Accepting Calls"),
        ]


async def test_a_cancelled_command_is_carried_out_and_the_agent_lives(agent):
    desk = Desk(agent)
    async with raw_phone(agent.info.port) as phone:
        invited = asyncio.create_task(phone.invite())
        leg = await desk.leg()
        for _ in range(20):
            ringing = asyncio.create_task(leg.ring())
            await asyncio.sleep(0)
            ringing.cancel()
            await asyncio.gather(ringing, return_exceptions=True)
        answering = asyncio.create_task(leg.answer())
        await asyncio.sleep(0)
        answering.cancel()
        assert (await invited).status == 200
        assert (await phone.bye()).status == 200


async def test_a_bug_in_a_command_reaches_its_caller_and_not_the_pj_thread(talk):
    leg, phone = talk
    with pytest.raises(ZeroDivisionError):
        await leg._sink.command(leg.id, lambda call: 1 / 0, default=None)
    assert (await phone.bye()).status == 200


async def test_we_can_place_a_call_too(agent):
    Desk(agent)
    async with raw_phone(agent.info.port) as phone:
        leg = await agent.call(f"sip:200@127.0.0.1:{phone.sip_port}", {"X-Trace": "7"})
        invite = await phone.request("INVITE")
        assert invite.headers["x-trace"] == "7"
        tagged = dict(invite.headers) | {"to": invite.headers["to"] + ";tag=p1"}
        invite.headers = tagged
        phone.reply(invite, 180, "Ringing")
        assert await event(leg, Ringing) == Ringing(180)
        contact = f"Contact: <sip:200@127.0.0.1:{phone.sip_port}>\r\n"
        phone.reply(invite, 200, "OK", contact, phone.sdp())
        await event(leg, Confirmed)
        assert (await phone.request("ACK")).method == "ACK"
        await leg.hang_up(HangUpBy.AGENT)
        phone.reply(await phone.request("BYE"))
        await event(leg, HungUp)


async def test_a_uri_that_cannot_be_called_is_said(agent):
    with pytest.raises(SipError, match="cannot call"):
        await agent.call("not a uri")
