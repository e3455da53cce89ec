"""Hold and resume by re-INVITE and UPDATE (RFC 3264 section 8.4, RFC 3311), and what is heard before and after."""

import asyncio

import pytest

from tests.fakes.rawphone import raw_phone
from tests.fakes.realtime_server import tone
from tests.fakes.worker_process import plan_of, running_worker

pytestmark = pytest.mark.system

HOLDS = {
    "sendonly": {"direction": "sendonly"},
    "inactive": {"direction": "inactive"},
    "old style address": {"address": "0.0.0.0", "direction": "sendrecv"},
}


async def change(phone, method="INVITE", **sdp):
    """A re-INVITE or UPDATE with a new offer; the answer."""
    number = phone.request_out(method, body=phone.sdp(**sdp))
    answer = await phone.response(number, method)
    assert answer.status == 200
    phone.take(answer)
    if method == "INVITE":
        phone.ack(number)
    return answer


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("hold", HOLDS)
async def test_hold_stops_the_media_and_resume_brings_it_back(tmp_path, hold, method):
    async with running_worker(tmp_path, greeting=tone(2000)) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.heard(10)
        await change(phone, method, **HOLDS[hold])
        await worker.event("call.held")
        heard = len(await phone.heard(1))
        await asyncio.sleep(0.3)
        assert len(await phone.heard(1)) <= heard + 2
        await change(phone, method, direction="sendrecv")
        await worker.event("call.resumed")
        finished = await worker.event("agent.finished")
        assert finished == [{"item_id": "item_1", "heard_ms": 2000, "interrupted": False}]
        assert len(await phone.heard(1)) == pytest.approx(100, abs=5)
        session = await worker.model.session()
        async with phone.speaking():
            await session.hears(20)
        await phone.bye()
        (record,) = await worker.ended()
        assert (record.ended_by, record.holds) == ("caller", 1)


async def test_music_on_hold_is_not_taken_for_the_caller(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.heard(15)
        await change(phone, direction="sendonly")
        await worker.event("call.held")
        session = await worker.model.session()
        await phone.speak(300)
        assert not any(session.loud())
        await change(phone)
        await worker.event("call.resumed")
        async with phone.speaking():
            await session.hears(10)
        await phone.bye()


@pytest.mark.parametrize("hold", HOLDS)
async def test_a_held_call_may_be_silent_for_longer_than_the_rtp_timeout(tmp_path, hold):
    """Also where the phone says that it goes on sending (`sendonly`) and does not: it has no music."""
    limits = {"rtp_timeout_s": 1, "hold_max_s": 30}
    async with running_worker(tmp_path, limits=limits) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        async with phone.speaking():
            await phone.heard(15)
        await change(phone, **HOLDS[hold])
        await worker.event("call.held")
        await asyncio.sleep(2.0)
        await change(phone)
        async with phone.speaking():
            await worker.event("call.resumed")
        assert (await phone.bye()).status == 200
        assert (await worker.ended())[0].ended_by == "caller"


async def test_a_call_held_for_too_long_is_ended_with_bye(tmp_path):
    limits = {"hold_max_s": 1}
    async with running_worker(tmp_path, limits=limits) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await change(phone, direction="sendonly")
        bye = await phone.request("BYE")
        phone.reply(bye)
        assert "hold_timeout" in bye.headers["reason"]


async def test_a_re_invite_may_move_the_audio_and_change_the_codec(tmp_path):
    async with (
        running_worker(tmp_path, greeting=tone(3000)) as worker,
        raw_phone(worker.port) as phone,
        raw_phone(worker.port) as elsewhere,
    ):
        await phone.invite()
        await phone.heard(10)
        phone.rtp_port = elsewhere.rtp_port
        await change(phone, codecs=(8,))
        packets = await elsewhere.heard(30, law="pcma")
        assert {packet.payload_type for packet in packets} == {8}
        await phone.bye()
        (record,) = await worker.ended()
        assert record.codec == "PCMA"
        assert record.holds == 0


async def test_a_re_invite_without_sdp_keeps_the_call(tmp_path):
    async with running_worker(tmp_path, greeting=tone(1500)) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.heard(10)
        number = phone.request_out("INVITE")
        offer = await phone.response(number)
        assert "m=audio" in offer.body
        phone.ack(number, body=phone.sdp())
        await worker.event("agent.finished")
        assert len(await phone.heard(60)) >= 60
        assert (await phone.bye()).status == 200


async def test_an_update_without_sdp_is_a_harmless_refresh(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        assert (await phone.response(phone.request_out("UPDATE"), "UPDATE")).status == 200
        await phone.heard(15)
        await phone.bye()
        assert (await worker.ended())[0].holds == 0


async def test_a_refused_codec_change_leaves_the_call_as_it_was(tmp_path):
    async with (
        running_worker(tmp_path, plan_of(), greeting=tone(1500)) as worker,
        raw_phone(worker.port) as phone,
    ):
        await phone.invite()
        await phone.heard(10)
        number = phone.request_out("INVITE", body=phone.sdp(codecs=(97,)))
        answer = await phone.response(number)
        assert answer.status in {488, 500}  # pjsip 2.15 says 500 with a Warning
        phone.ack(number, f"z9hG4bK{phone.call_id}INVITE{number}")
        await phone.heard(65)
        assert (await phone.bye()).status == 200
