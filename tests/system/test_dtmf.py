"""Keypad digits in and out: RFC 4733 events in the RTP stream, and SIP INFO (application/dtmf-relay)."""

import asyncio
import struct

import pytest

from tests.fakes.rawphone import SILENCE, raw_phone
from tests.fakes.worker_process import running_worker

pytestmark = pytest.mark.system


async def test_rfc_4733_digits_reach_the_record_and_the_model_once_each(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.speak(200, SILENCE)
        for digit in "15*D#":
            await phone.press(digit)
            await phone.speak(60, SILENCE)
        digits = await worker.event("dtmf", 5)
        assert [event["digit"] for event in digits] == list("15*D#")
        assert {(event["method"], event["direction"]) for event in digits} == {("rfc4733", "in")}
        session = await worker.model.session()
        item = (await session.wait("conversation.item.create"))[0]["item"]
        assert item["content"][0]["text"] == "The caller pressed 1 5 * D on the keypad."
        await phone.bye()
        assert (await worker.ended())[0].dtmf_digits == 5


async def test_a_digit_without_the_marker_bit_counts(tmp_path):
    """Providers omit it; other products drop such digits without a word (livekit/sip PR 585)."""
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.speak(100, SILENCE)
        await phone.press("7", marker=False)
        await phone.speak(60, SILENCE)
        await phone.press("7", marker=False)
        assert [event["digit"] for event in await worker.event("dtmf", 2)] == ["7", "7"]
        await phone.bye()


async def test_a_digit_of_which_only_the_end_packets_arrive_counts_once(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.speak(100, SILENCE)
        await phone.press("9", packets=0)
        await phone.speak(100, SILENCE)
        await phone.press("#")
        assert [event["digit"] for event in await worker.event("dtmf", 2)] == ["9", "#"]
        await phone.bye()


@pytest.mark.parametrize("kind", ["application/dtmf-relay", "application/dtmf"])
async def test_info_digits_are_understood_and_answered(tmp_path, kind):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        body = "Signal=5\r\nDuration=160\r\n" if kind.endswith("relay") else "5"
        info = phone.message("INFO", body=body, kind=kind)
        phone.raw(info)
        phone.raw(info)
        assert (await phone.response(2, "INFO")).status == 200
        number = phone.request_out("INFO", body=body.replace("5", "6"), kind=kind)
        await phone.response(number, "INFO")
        digits = await worker.event("dtmf", 2)
        assert [(event["digit"], event["method"]) for event in digits] == [("5", "info"), ("6", "info")]
        await phone.bye()


async def test_strange_info_bodies_hurt_nobody(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        for body in [
            "Signal=",
            "Signal",
            "Signal=%n%n%n\r\n",
            "Signal=" + "1" * 900,
            "Duration=160",
            "\x00~",
        ]:
            number = phone.request_out("INFO", body=body, kind="application/dtmf-relay")
            assert (await phone.response(number, "INFO")).status == 400
        for kind, body in [("text/plain", "Signal=5"), ("", "")]:
            number = phone.request_out("INFO", body=body, kind=kind)
            assert (await phone.response(number, "INFO")).status == 415
        assert (await phone.bye()).status == 200
        await worker.ended()


DISGUISES = {
    "line ends before it": (lambda info: "\r\n" * 300 + info, 200),
    "its To behind a hundred headers": (lambda info: info.replace("To: ", "a:\r\n" * 101 + "To: "), 415),
    "a long name before its To tag": (
        lambda info: info.replace("\r\nTo: <", '\r\nTo: "' + "x" * 300 + '" <'),
        200,
    ),
    "small letters": (lambda info: info.replace("INFO", "info"), 200),
    "no To tag": (lambda info: info.replace(info.split("100@127.0.0.1>")[1].split("\r\n")[0], ""), 481),
}


@pytest.mark.parametrize("name", DISGUISES)
async def test_no_info_reaches_pjsua_which_would_abort_the_worker(tmp_path, name):
    disguise, status = DISGUISES[name]
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        info = disguise(phone.message("INFO", body="Signal=5", kind="application/dtmf-relay"))
        phone.raw(info)
        cseq = info.split("CSeq: ")[1].split("\r\n")[0]
        answer = await phone.response(*cseq.split(), guard_s=3)
        assert answer.status == status
        assert (await phone.bye()).status == 200
        assert worker.alive()


async def test_a_long_name_does_not_open_a_call_to_strangers_requests(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        plain = phone.message
        phone.message = lambda *a, **k: plain(*a, **k).replace('"Raw"', '"' + "x" * 300 + '"')
        await phone.invite()
        for tag, status in (("other", 481), ("r1", 200)):
            info = phone.message("INFO", body="Signal=5", kind="application/dtmf-relay")
            phone.raw(info.replace("tag=r1", f"tag={tag}"))
            number = int(info.split("CSeq: ")[1].split()[0])
            assert (await phone.response(number, "INFO")).status == status
        assert (await phone.bye()).status == 200


async def test_a_digit_for_another_call_is_refused(tmp_path):
    async with (
        running_worker(tmp_path) as worker,
        raw_phone(worker.port) as phone,
        raw_phone(worker.port) as stranger,
    ):
        await phone.invite()
        stranger.to_tag = phone.to_tag
        for call_id in (stranger.call_id, phone.call_id):
            stranger.call_id = call_id
            message = stranger.message("INFO", body="Signal=5", kind="application/dtmf-relay").replace(
                "tag=r1", "tag=other"
            )
            number = int(message.split("CSeq: ")[1].split()[0])
            stranger.raw(message)
            assert (await stranger.response(number, "INFO")).status == 481
        await phone.bye()
        await worker.ended()
        assert worker.of("dtmf") == []


async def test_strange_telephone_events_hurt_nobody(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.speak(100, SILENCE)
        for payload in (
            b"",
            b"\x01",
            b"\xff\x80\x00\xa0",
            struct.pack("!BBH", 200, 128, 65535),
            b"\x05" * 1000,
        ):
            phone.packet(payload, kind=101, step=160)
            await asyncio.sleep(0.02)
        await phone.press("1")
        await phone.speak(100, SILENCE)
        digits = await worker.event("dtmf")
        assert digits[-1]["digit"] == "1"
        assert (await phone.bye()).status == 200
