"""Messages no decent phone sends. The worker may answer them as it likes; afterwards it must carry a call as before.

Valid and invalid ones after RFC 4475; SDP after the published pjproject advisories (reference/reliability.md A3).
Known and accepted: pjmedia takes RTP from any source that guesses the port and persists (rtpbleed); rtpengine at the
edge locks the source, a worker binds loopback or a private address only.
"""

import asyncio
import random

import pytest

from bridge.sip.pace import REST_S
from tests.fakes.rawphone import SILENCE, RawPhone, raw_phone
from tests.fakes.worker_process import running_worker
from tests.system.test_outbound import place, worker_that_dials

pytestmark = pytest.mark.system


async def carries_a_call(worker):
    """A whole call, heard."""
    async with raw_phone(worker.port) as phone:
        assert (await phone.invite()).status == 200
        await phone.heard(15)
        assert (await phone.bye()).status == 200


def invite(phone, *, start=None, drop=(), extra="", body=None, length=None):
    """An INVITE with some of it missing, doubled or wrong."""
    text = phone.message(
        "INVITE", body=phone.sdp() if body is None else body, branch=f"z9hG4bKt{random.random()}"
    )
    head, _, rest = text.partition("\r\n\r\n")
    lines = [line for line in head.split("\r\n") if line.split(":")[0] not in drop]
    lines[0] = start or lines[0]
    if length is not None:
        lines = [f"Content-Length: {length}" if line.startswith("Content-Length") else line for line in lines]
    return "\r\n".join(lines) + f"\r\n{extra}\r\n{rest}"


def torture(phone):
    """What is sent, one datagram each."""
    sdp = phone.sdp()
    yield b""
    yield b"\r\n\r\n"
    yield b"\x00" * 100
    yield b"\xff" * 1400
    yield "INVITE"
    yield "INVITE sip:100@127.0.0.1 SIP/2.0\r\n\r\n"
    yield "SIP/2.0 200 OK\r\n\r\n"
    yield "NEWMETHOD sip:x SIP/2.0\r\n\r\n"
    yield invite(phone, start="INVITE sip:100@127.0.0.1 SIP/7.0")
    yield invite(phone, start="INVITE <sip:100@127.0.0.1> SIP/2.0")
    yield invite(phone, start="INVITE sip:100@127.0.0.1; lr SIP/2.0")
    yield invite(phone, start="INVITE  sip:100@127.0.0.1  SIP/2.0")
    yield invite(phone, start="INVITE nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0")
    yield invite(
        phone,
        start="!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)@127.0.0.1 SIP/2.0",
    )
    yield from (
        invite(phone, drop=(name,))
        for name in ("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards")
    )
    yield invite(phone, length=99999)
    yield invite(phone, length=-5)
    yield invite(phone, length=3)
    yield invite(phone, length="9" * 40)
    yield invite(phone, extra="CSeq: 36893488147419103232 REGISTER\r\n")
    yield invite(phone, extra="Max-Forwards: 300\r\n")
    yield invite(phone, extra="Max-Forwards: 0\r\n", drop=("Max-Forwards",))
    yield invite(phone, extra="Via: SIP/2.0/UDP 1.2.3.4:999999;branch=\r\n" * 30)
    yield invite(phone, extra="Expires: " + "1" * 200 + "\r\n")
    yield invite(phone, extra='Contact: "Joe" <sip:joe@x>>>>;q=\r\n')
    yield invite(phone, extra='To: "Unterminated <sip:x@y>\r\n', drop=("To",))
    yield invite(phone, extra="From: Bell, Alexander <sip:a.g.bell@x>;tag=43\r\n", drop=("From",))
    yield invite(phone, extra="X-Long: " + "a" * 3000 + "\r\n")
    yield invite(phone, extra="Require: nothingSupportsThis\r\n")
    yield invite(phone, extra="Session-Expires: 0\r\nMin-SE: 99999999999\r\n")
    yield invite(phone, extra="Replaces: x;to-tag=y;from-tag=z\r\n")
    yield invite(phone, extra="Authorization: Digest username=\r\n")
    yield invite(phone, extra="Route: <sip:127.0.0.1;lr>, <sip:[::1]>\r\nRecord-Route: <sip:x@@>\r\n")
    yield invite(phone, body="v=0\r\n")
    yield invite(phone, body="garbage")
    yield invite(phone, body=sdp.replace("a=ptime:20", "a=ptime:0"))
    yield invite(phone, body=sdp.replace("a=ptime:20", "a=ptime:-20"))
    yield invite(phone, body=sdp.replace("a=ptime:20", "a=ptime:99999999999"))
    yield invite(phone, body=sdp.replace("a=ptime:20", "a=ptime:1000"))
    yield invite(phone, body=sdp.replace("a=ptime:20", "a=maxptime:1"))
    yield invite(phone, body=sdp.replace("RTP/AVP 0", "RTP/AVP " + "0 " * 200))
    yield invite(phone, body=sdp.replace("RTP/AVP", "RTP/SAVP"))
    yield invite(phone, body=sdp + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n" * 20)
    yield invite(phone, body=sdp.replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:0 PCMU/0"))
    yield invite(phone, body=sdp.replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:0 PCMU/8000/99999"))
    yield invite(phone, body=sdp.replace("a=rtpmap:101 telephone-event/8000", "a=rtpmap:999 x"))
    yield invite(phone, body=sdp.replace("IN IP4 127.0.0.1", "IN IP6 ::::"))
    yield invite(phone, body=sdp.replace("m=audio", "m=audio 0\r\nm=audio"))
    yield invite(phone, body=sdp + sdp.partition("t=0 0\r\n")[2] * 10)
    multipart = "--b\r\nContent-Type: application/sdp\r\n\r\n" + sdp + "\r\n--b--\r\n"
    yield invite(phone, body=multipart).replace("application/sdp", "multipart/mixed;boundary=b", 1)
    yield invite(phone, body="--b\r\n--b\r\n--b").replace("application/sdp", "multipart/mixed;boundary=b", 1)
    yield invite(phone, body="x").replace("application/sdp", "multipart/mixed", 1)


async def test_torture_messages_do_not_hurt_the_worker(tmp_path):
    async with running_worker(tmp_path, limits={"rtp_timeout_s": 1}) as worker:
        count = len(list(torture(RawPhone(worker.port))))
        for number in range(count):
            async with raw_phone(worker.port) as phone:
                message = list(torture(phone))[number]
                phone.raw(message)
                if isinstance(message, str) and message.startswith("INVITE sip:100@127.0.0.1:"):
                    await final_if_any(phone)
            assert worker.alive(), message
        await worker.ended(len(worker.of("call.started")))
        await asyncio.sleep(REST_S)
        await carries_a_call(worker)


async def final_if_any(phone):
    """End what the message may have begun."""
    try:
        answer = await phone.sip.until(lambda ms: next((m for m in ms if m.status >= 200), None), 0.25)
    except TimeoutError:
        return
    phone.take(answer)
    number = int(answer.headers["cseq"].split()[0])
    phone.ack(number)
    if answer.status == 200:
        await phone.bye()


async def test_mutated_invites_do_not_hurt_the_worker(tmp_path):
    luck = random.Random(4475)
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        for number in range(400):
            phone.call_id = f"mutant-{number}"
            message = bytearray(
                phone.message("INVITE", body=phone.sdp(), branch=f"z9hG4bKm{number}").encode()
            )
            for _ in range(luck.randint(1, 12)):
                place = luck.randrange(len(message))
                match luck.randrange(3):
                    case 0:
                        message[place] = luck.randrange(256)
                    case 1:
                        del message[place : place + luck.randint(1, 20)]
                    case _:
                        message[place:place] = bytes(
                            luck.choices(b'\r\n;:<>@="\\%, \x00\xff0', k=luck.randint(1, 8))
                        )
            phone.raw(bytes(message))
            if number % 10 == 9:
                options = phone.request_out("OPTIONS")
                assert (await phone.response(options, "OPTIONS")).status >= 200
        assert worker.alive()


@pytest.mark.parametrize(
    "method", ["BYE", "UPDATE", "INFO", "PRACK", "REFER", "NOTIFY", "CANCEL", "ACK", "INVITE"]
)
async def test_requests_for_dialogs_that_never_were_are_refused(tmp_path, method):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        phone.to_tag = "never"
        number = phone.request_out(method, body=phone.sdp() if method == "INVITE" else "")
        if method != "ACK":
            assert (await phone.response(number, method)).status >= 400
        phone.to_tag = ""
        await carries_a_call(worker)


def mixed(phone):
    """At this pjmedia aborts the process."""
    return phone.sdp().replace("c=IN IP4 127.0.0.1", "c=IN IP4 ::1")


async def test_an_address_of_the_other_kind_never_reaches_pjmedia(tmp_path):
    async with (
        running_worker(tmp_path) as worker,
        raw_phone(worker.port) as phone,
        raw_phone(worker.port) as late,
    ):
        assert (await late.invite(mixed(late))).status == 488
        number = late.request_out("INVITE")  # without an offer: ours is in the 200
        late.take(await late.response(number))
        late.ack(number, body=mixed(late))
        await phone.invite()
        for method in ("INVITE", "UPDATE", "INFO"):
            number = phone.request_out(method, body=mixed(phone))
            assert (await phone.response(number, method)).status == 488
        assert (await phone.bye()).status == 200
        assert worker.alive()
        await carries_a_call(worker)


async def test_an_answer_with_an_address_of_the_other_kind_never_reaches_pjmedia(tmp_path):
    somewhere = RawPhone(0)
    somewhere.rtp_port = 4000

    async def answer(call):
        call.reply(200, "OK", body=mixed(somewhere))

    async with worker_that_dials(tmp_path, answer) as (worker, _, plan):
        await place(worker, plan)
        (ended,) = await worker.event("call.ended", guard_s=15)
        assert ended["status"] >= 400
        assert worker.alive()


async def test_requests_a_call_does_not_expect_leave_it_alive(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        for method, headers in [
            ("REFER", "Refer-To: <sip:9@127.0.0.1>\r\n"),
            ("REFER", ""),
            ("NOTIFY", "Event: refer\r\nSubscription-State: active\r\n"),
            ("PRACK", "RAck: 1 1 INVITE\r\n"),
            ("MESSAGE", ""),
            ("SUBSCRIBE", "Event: x\r\n"),
            ("WHATEVER", ""),
        ]:
            assert (await phone.response(phone.request_out(method, headers=headers), method)).status >= 200
        assert worker.of("call.ended") == []
        assert (await phone.bye()).status == 200


async def test_garbage_on_the_rtp_port_does_not_hurt_the_call(tmp_path):
    luck = random.Random(1889)
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.speak(100, SILENCE)
        for size in (0, 1, 2, 11, 12, 13, 100, 1400):
            for _ in range(10):
                phone.rtp_transport.sendto(luck.randbytes(size), phone.rtp_to)
                rtcp = (phone.rtp_to[0], phone.rtp_to[1] + 1)
                phone.rtp_transport.sendto(b"\x81\xc9" + luck.randbytes(size), rtcp)
        for kind in (3, 8, 9, 72, 96, 127):
            phone.packet(luck.randbytes(160), kind=kind)
        phone.packet(luck.randbytes(1400))
        await asyncio.sleep(0.1)
        session = await worker.model.session()
        async with phone.speaking():
            await session.hears(10)
        assert (await phone.bye()).status == 200
