"""Real SIP and RTP on loopback against a real worker process; the phone is tests/fakes/rawphone.py."""

import asyncio
import re
import wave
from itertools import pairwise

import pytest

from bridge.dialplan.plan import AgentStep, HangUpStep, Plan, PlayStep
from tests.fakes.rawphone import LOUD, loudness, raw_phone
from tests.fakes.realtime_server import tone
from tests.fakes.worker_process import plan_of, running_worker

pytestmark = pytest.mark.system


async def test_a_caller_is_answered_greeted_understood_and_let_go(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        answer = await phone.invite()
        assert answer.status == 200
        assert [m.status for m in phone.sip.got] == [100, 180, 200]
        await phone.heard(19)
        session = await worker.model.session()
        async with phone.speaking():
            await session.hears(30)
        assert (await phone.bye()).status == 200
        (record,) = await worker.ended()
        assert (record.ended_by, record.end_status, record.codec, record.ptime_ms) == (
            "caller",
            200,
            "PCMU",
            20,
        )
        assert (record.rx_lost, record.route, record.agent) == (0, "all", "front")
        assert record.rx_packets >= 29


async def test_a_call_in_pcma_sounds_the_same(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        answer = await phone.invite(phone.sdp(codecs=(8,)))
        assert "RTP/AVP 8 101" in answer.body
        await phone.heard(19, law="pcma")
        session = await worker.model.session()
        async with phone.speaking(bytes([0x2A, 0xAA] * 80), kind=8):
            await session.hears(10)
        await phone.bye()
        assert (await worker.ended())[0].codec == "PCMA"


@pytest.mark.quiet
@pytest.mark.parametrize("ptime_ms", [10, 30, 40, 60])
async def test_audio_is_whole_both_ways_at_other_packet_times(tmp_path, ptime_ms):
    payload = LOUD[:80] * (ptime_ms // 10)
    async with running_worker(tmp_path, greeting=tone(600)) as worker, raw_phone(worker.port) as phone:
        answer = await phone.invite(phone.sdp(ptime_ms=ptime_ms))
        assert answer.status == 200
        packets = await phone.heard(600 // ptime_ms - 2)
        sizes = {len(packet.payload) for packet in packets}
        steps = {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(packets)}
        assert sizes == steps == {8 * ptime_ms}
        session = await worker.model.session()
        await phone.speak(1200, payload, ptime_ms=ptime_ms)
        loud = await session.hears(57)
        first = loud.index(True)
        assert loud[first : first + 57] == [True] * 57
        await phone.bye()
        assert (await worker.ended())[0].rx_lost == 0


async def test_an_invite_without_sdp_gets_our_offer(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        number = phone.request_out("INVITE")
        offer = await phone.response(number)
        assert re.search(r"m=audio \d+ RTP/AVP (0 8|8 0)( \d+)*", offer.body)
        phone.take(offer)
        phone.ack(number, body=phone.sdp())
        await phone.heard(15)
        await phone.bye()
        (record,) = await worker.ended()
        assert record.codec == "PCMU"


@pytest.mark.parametrize("codecs", [(3,), (97,), (9,)])
async def test_codecs_we_do_not_speak_are_refused_with_488(tmp_path, codecs):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        assert (await phone.invite(phone.sdp(codecs=codecs))).status == 488
        (record,) = await worker.ended()
        assert (record.end_status, record.end_reason, record.to_uri) == (488, "no_common_media", "100")
        assert worker.alive()


async def test_a_number_without_route_gets_404_and_a_record(tmp_path):
    async with running_worker(tmp_path, Plan((), ())) as worker, raw_phone(worker.port) as phone:
        assert (await phone.invite()).status == 404
        (record,) = await worker.ended()
        assert (record.end_status, record.to_uri, record.answered_at) == (404, "100", None)


async def test_a_bye_right_after_the_ack_ends_cleanly(tmp_path):
    async with running_worker(tmp_path) as worker:
        for _ in range(3):
            async with raw_phone(worker.port) as phone:
                assert (await phone.invite()).status == 200
                assert (await phone.bye()).status == 200
        records = await worker.ended(3)
        assert {record.ended_by for record in records} == {"caller"}
        assert worker.alive()


async def test_a_cancel_while_it_rings_is_obeyed_and_recorded(tmp_path):
    async with running_worker(tmp_path, greeting=b"") as worker, raw_phone(worker.port) as phone:
        number = next(phone.numbers)
        branch = "z9hG4bK-cancel"
        phone.raw(phone.message("INVITE", body=phone.sdp(), number=number, branch=branch))
        await phone.response(number, at_least=180)
        phone.raw(phone.message("CANCEL", number=number, branch=branch))
        assert (await phone.response(number, "CANCEL")).status == 200
        assert (await phone.response(number)).status == 487
        phone.ack(number, branch)
        (record,) = await worker.ended()
        assert (record.ended_by, record.end_status, record.answered_at) == ("caller", 487, None)


async def test_cancels_that_cross_the_answer_never_stop_the_worker(tmp_path):
    async with running_worker(tmp_path) as worker:
        for delay_ms in range(0, 60, 5):
            async with raw_phone(worker.port) as phone:
                number, branch = next(phone.numbers), f"z9hG4bK-cross-{delay_ms}"
                phone.raw(phone.message("INVITE", body=phone.sdp(), number=number, branch=branch))
                await phone.response(number, at_least=100)
                await asyncio.sleep(delay_ms / 1000)
                phone.raw(phone.message("CANCEL", number=number, branch=branch))
                final = await phone.response(number)
                phone.take(final)
                phone.ack(number, branch if final.status >= 300 else None)
                if final.status == 200:
                    assert (await phone.bye()).status == 200
        assert len(await worker.ended(12)) == 12
        async with raw_phone(worker.port) as phone:
            assert (await phone.invite()).status == 200


async def test_options_are_answered_inside_and_outside_calls(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        for _ in range(2):
            answer = await phone.response(phone.request_out("OPTIONS"), "OPTIONS")
            assert answer.status == 200
            assert "INVITE" in answer.headers["allow"]
            if not phone.to_tag:
                await phone.invite()
        assert (await phone.bye()).status == 200


@pytest.mark.parametrize("method", ["SUBSCRIBE", "MESSAGE", "REGISTER", "PUBLISH"])
async def test_what_a_worker_does_not_serve_gets_405(tmp_path, method):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        headers = "Event: presence\r\nExpires: 600\r\n" if method in {"SUBSCRIBE", "PUBLISH"} else ""
        answer = await phone.response(phone.request_out(method, headers=headers), method)
        assert answer.status == 405
        assert "INVITE" in answer.headers["allow"]


async def test_a_full_worker_says_503_with_retry_after_and_records_it(tmp_path):
    async with running_worker(tmp_path, sip={"max_calls": 1}) as worker, raw_phone(worker.port) as first:
        await first.invite()
        async with raw_phone(worker.port) as second:
            refused = await second.invite()
            assert refused.status == 503
            assert int(refused.headers["retry-after"]) > 0
        (record,) = await worker.ended()
        assert (record.end_status, record.ended_by, record.sip_call_id) == (503, "bridge", second.call_id)
        await first.bye()
        await worker.ended(2)
        async with raw_phone(worker.port) as third:
            assert (await third.invite()).status == 200


async def test_four_calls_are_carried_and_the_fifth_is_refused_with_a_record(tmp_path):
    async with running_worker(tmp_path) as worker:
        phones = []
        for _ in range(4):
            phone = raw_phone(worker.port)
            phones.append((phone, await phone.__aenter__()))
        assert {(await phone.invite()).status for _, phone in phones} == {200}
        async with raw_phone(worker.port) as fifth:
            assert (await fifth.invite()).status in {486, 503}
        for number, (_, phone) in enumerate(phones):
            await phone.heard(10)
            await phone.speak(200)
            await (await worker.model.session(number)).hears(9)
        heard = [sum(session.loud()) for session in worker.model.sessions]
        assert max(heard) <= 13, f"10 packets of each caller, heard by their own model only: {heard}"
        (record,) = await worker.ended()
        assert record.sip_call_id == fifth.call_id
        for context, phone in phones:
            await phone.bye()
            await context.__aexit__(None, None, None)
        await worker.ended(5)


async def test_headers_of_the_invite_reach_the_record_cleaned(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        headers = 'P-Asserted-Identity: "Ann" <sip:+4930123@trunk>\r\nX-Customer: 7\x01\x7f8\r\n'
        await phone.invite(headers=headers)
        await phone.bye()
        await worker.ended()
        started = worker.of("call.started")[0]
        assert (started["from"], started["from_display"], started["to"]) == ("+4930123", "Ann", "100")
        assert started["headers"]["X-Customer"] == "78"


async def test_the_models_hang_up_step_ends_the_call_with_bye_and_reason(tmp_path):
    plan = plan_of(PlayStep(str(prompt(tmp_path, 100)), "p"), HangUpStep(503, "closed"))
    async with running_worker(tmp_path, plan) as worker, raw_phone(worker.port) as phone:
        assert (await phone.invite()).status == 200
        bye = await phone.request("BYE")
        phone.reply(bye)
        assert bye.headers["reason"] == 'SIP;cause=503;text="closed"'
        assert len(await phone.heard(4)) in {5, 6}
        await worker.ended()


def prompt(folder, ms):
    path = folder / "prompt.wav"
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(tone(ms, 8000))
    return path


@pytest.mark.quiet
async def test_rtp_goes_out_every_20_ms_without_a_gap_from_the_answer_on(tmp_path):
    async with running_worker(tmp_path, greeting=tone(2000)) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.heard(95)
        packets = phone.rtp.got
        assert {(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(packets)} == {1}
        assert {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(packets)} == {160}
        span_ms = (packets[-1].at - packets[0].at) * 1000
        assert span_ms == pytest.approx(20 * (len(packets) - 1), abs=30)
        await phone.bye()


@pytest.mark.quiet
async def test_when_the_caller_interrupts_the_line_is_silent_within_two_packets(tmp_path):
    async with running_worker(tmp_path, greeting=tone(4000)) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.heard(20)
        session = await worker.model.session()
        said = await session.speech_started()
        await session.wait("conversation.item.truncate")
        await phone.heard(5, loud=False, after=said)
        last_loud = max(p.at for p in phone.rtp.got if loudness(p.payload) > 500)
        assert last_loud - said < 0.1
        heard_ms = session.of("conversation.item.truncate")[0]["audio_end_ms"]
        sent_ms = 20 * sum(loudness(p.payload) > 500 for p in phone.rtp.got)
        assert heard_ms == pytest.approx(sent_ms, abs=25)
        await phone.bye()


async def test_when_no_ack_comes_the_ghost_ends_by_the_rtp_timeout(tmp_path):
    """With sound but no ACK pjsip itself sends BYE after 8 s; without sound we need not wait for that."""
    async with (
        running_worker(tmp_path, limits={"rtp_timeout_s": 2}) as worker,
        raw_phone(worker.port) as phone,
    ):
        number = phone.request_out("INVITE", body=phone.sdp())
        phone.take(await phone.response(number))
        (record,) = await worker.ended()
        assert (record.end_reason, record.end_status) == ("rtp_timeout", 408)


@pytest.mark.timeout(40)
async def test_a_caller_who_speaks_but_never_acknowledges_our_answer_gets_a_bye(tmp_path):
    """RFC 3261 section 13.3.1.4. Elsewhere such calls stay for ever (pjproject issue 1857)."""
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        number = phone.request_out("INVITE", body=phone.sdp())
        phone.take(await phone.response(number))
        async with phone.speaking():
            phone.reply(await phone.request("BYE", guard_s=35))
        (record,) = await worker.ended()
        assert record.answered_at is not None


async def test_a_phone_that_names_an_address_behind_its_nat_is_answered_where_its_audio_comes_from(tmp_path):
    """What it says is 127.0.0.77, what it has is 127.0.0.1. Elsewhere: one-way audio (livekit/sip issue 424)."""
    async with (
        running_worker(tmp_path, greeting=tone(4000)) as worker,
        raw_phone(worker.port) as phone,
    ):
        await phone.invite(phone.sdp(address="127.0.0.77"))
        async with phone.speaking():
            await (await worker.model.session()).hears(20)
            await phone.heard(20)
        await phone.bye()


async def test_a_route_to_a_mute_agent_ends_in_its_fallback(tmp_path):
    plan = plan_of(AgentStep("front", (PlayStep(str(prompt(tmp_path, 200)), "p"), HangUpStep(503, "sorry"))))
    options = {"greeting": b"", "deadlines": {"answer_wait_s": 1.0}}
    async with running_worker(tmp_path, plan, **options) as worker, raw_phone(worker.port) as phone:
        assert (await phone.invite()).status == 200
        phone.reply(await phone.request("BYE"))
        assert len(await phone.heard(9)) >= 9
        (record,) = await worker.ended()
        assert "silent_model" in record.session_error
