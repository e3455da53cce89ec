"""What happens when something fails: the model, the network, time, the process. The caller is never left in silence."""

import asyncio
import contextlib
import wave
from contextlib import AsyncExitStack

import pytest

from bridge.dialplan.plan import AgentStep, HangUpStep, PlayStep
from bridge.ports import free_tcp_port
from bridge.records.cdr import fold
from tests.fakes.rawphone import LOUD, raw_phone, turned_away
from tests.fakes.realtime_server import tone
from tests.fakes.worker_process import plan_of, running_worker

pytestmark = pytest.mark.system
NOBODY = f"ws://127.0.0.1:{free_tcp_port('127.0.0.1')}/v1/realtime"


def prompt(folder, ms=300):
    path = folder / "prompt.wav"
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(tone(ms, 8000))
    return PlayStep(str(path), "p")


async def test_when_the_model_is_down_the_caller_hears_the_fallback(tmp_path):
    plan = plan_of(AgentStep("front", (prompt(tmp_path), HangUpStep(503, "no agent"))))
    options = {"model_url": NOBODY, "deadlines": {"answer_wait_s": 1.0}}
    async with running_worker(tmp_path, plan, **options) as worker, raw_phone(worker.port) as phone:
        assert (await phone.invite()).status == 200
        await phone.heard(14)
        bye = await phone.request("BYE")
        phone.reply(bye)
        assert bye.headers["reason"] == 'SIP;cause=503;text="no agent"'
        (record,) = await worker.ended()
        assert "connect" in record.session_error
        assert "connect" in record.end_detail


async def test_when_the_model_is_down_and_there_is_no_fallback_the_invite_gets_503_and_a_reason(tmp_path):
    options = {"model_url": NOBODY, "deadlines": {"answer_wait_s": 0.5}}
    async with running_worker(tmp_path, **options) as worker, raw_phone(worker.port) as phone:
        answer = await phone.invite()
        assert answer.status == 503
        assert answer.headers["reason"] == 'SIP;cause=503;text="the agent is not available"'
        (record,) = await worker.ended()
        assert record.answered_at is None


async def test_a_model_that_vanishes_in_the_call_is_mended_without_losing_it(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.heard(15)
        session = await worker.model.session()
        session.connection.transport.abort()
        second = await worker.model.session(1)
        await second.wait("response.create")
        async with phone.speaking():
            await second.hears(5)
        assert (await phone.bye()).status == 200
        assert "close_1006" in (await worker.ended())[0].session_error


async def test_a_peer_whose_rtp_stops_is_hung_up_with_the_reason(tmp_path):
    async with (
        running_worker(tmp_path, limits={"rtp_timeout_s": 1}) as worker,
        raw_phone(worker.port) as phone,
    ):
        await phone.invite()
        await phone.speak(1500)
        assert worker.of("call.ended") == []
        bye = await phone.request("BYE")
        phone.reply(bye)
        assert bye.headers["reason"] == 'SIP;cause=408;text="rtp_timeout"'
        (record,) = await worker.ended()
        assert (record.ended_by, record.end_reason, record.end_status) == ("bridge", "rtp_timeout", 408)
        assert "no RTP" in record.end_detail


async def test_a_peer_that_does_not_answer_our_bye_leaves_a_record_and_its_line_free(tmp_path):
    options = {"limits": {"rtp_timeout_s": 1}, "sip": {"max_calls": 1}}
    async with running_worker(tmp_path, **options) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.request("BYE")
        await worker.ended()
        async with raw_phone(worker.port) as other:
            assert (await other.invite()).status == 200


async def test_deaf_peers_that_hold_every_line_cost_later_callers_a_503_with_a_record(tmp_path):
    async with running_worker(tmp_path, limits={"rtp_timeout_s": 1}) as worker, AsyncExitStack() as stack:
        for _ in range(4):
            phone = await stack.enter_async_context(raw_phone(worker.port))
            assert (await phone.invite()).status == 200
        await worker.ended(4)
        late = await stack.enter_async_context(raw_phone(worker.port))
        answer = await late.invite()
        assert answer.status == 503
        assert "retry-after" in answer.headers
        assert (await worker.ended(5))[-1].sip_call_id == late.call_id


async def test_a_call_ends_at_its_longest_duration_with_the_reason(tmp_path):
    async with running_worker(tmp_path, limits={"max_call_s": 1}) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        async with phone.speaking():
            bye = await phone.request("BYE")
            phone.reply(bye)
        assert bye.headers["reason"] == 'SIP;cause=200;text="max_duration"'
        assert (await worker.ended())[0].duration_s == pytest.approx(1.0, abs=0.7)


async def test_a_terminated_worker_finishes_its_calls_and_takes_no_new_ones(tmp_path):
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.heard(10)
        worker.terminate()
        answer = await turned_away(worker.port)
        assert answer.status == 503
        assert "retry-after" in answer.headers
        session = await worker.model.session()
        async with phone.speaking():
            await session.hears(10)
        assert worker.alive()
        assert (await phone.bye()).status == 200
        assert await worker.exit() == 0
        records = await worker.ended(2)
        assert {record.end_status for record in records} == {200, 503}


async def test_at_the_drain_deadline_running_calls_are_hung_up_and_recorded(tmp_path):
    async with (
        running_worker(tmp_path, deadlines={"drain_s": 0.5}) as worker,
        raw_phone(worker.port) as phone,
    ):
        await phone.invite()
        worker.terminate()
        bye = await phone.request("BYE")
        phone.reply(bye)
        assert bye.headers["reason"] == 'SIP;cause=503;text="shutdown"'
        assert await worker.exit() == 0
        (record,) = await worker.ended()
        assert (record.ended_by, record.end_reason) == ("bridge", "shutdown")


async def test_a_deaf_peer_does_not_stop_the_worker_from_stopping(tmp_path):
    async with (
        running_worker(tmp_path, deadlines={"drain_s": 0.2}) as worker,
        raw_phone(worker.port) as phone,
    ):
        await phone.invite()
        worker.terminate()
        assert await worker.exit() == 0


async def test_without_control_every_event_is_on_disk(tmp_path):
    async with running_worker(tmp_path, control=False) as worker:
        for _ in range(3):
            async with raw_phone(worker.port) as phone:
                await phone.invite()
                await phone.heard(5)
                await phone.bye()
        worker.terminate()
        assert await worker.exit() == 0
        events = worker.spooled()
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        calls = {event.call_id for event in events}
        assert len(calls) == 3
        records = [fold([event for event in events if event.call_id == call_id]) for call_id in calls]
        assert all(record.state == "ended" and record.rx_packets is not None for record in records)


async def test_a_killed_worker_leaves_what_it_knew_on_disk(tmp_path):
    async with running_worker(tmp_path, control=False) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.heard(10)
        worker.process.kill()
        assert await worker.exit() == -9
        record = fold(worker.spooled())
        assert record.state == "answered"
        assert record.codec == "PCMU"


async def test_a_worker_whose_plan_cannot_be_read_refuses_calls_and_records_them(tmp_path):
    async with (
        running_worker(tmp_path, plan_text='{"version": "?"}') as worker,
        raw_phone(worker.port) as phone,
    ):
        answer = None
        async with asyncio.timeout(10):
            while answer is None:
                with contextlib.suppress(TimeoutError):
                    answer = await phone.invite(guard_s=0.5)
        assert answer.status == 503
        (record,) = await worker.ended()
        assert record.end_reason == "no dialplan yet"


async def test_twenty_quick_calls_leave_nothing_behind(tmp_path):
    async with running_worker(tmp_path, greeting=tone(60)) as worker:

        async def call():
            async with raw_phone(worker.port) as phone:
                assert (await phone.invite()).status == 200
                phone.packet(LOUD)
                assert (await phone.bye()).status == 200
            await asyncio.sleep(0.03)

        for _ in range(8):
            await call()
        await worker.ended(8)
        await asyncio.sleep(0.6)
        rss_kib, threads, files = worker.usage()
        for _ in range(20):
            await call()
        await worker.ended(28)
        await asyncio.sleep(0.6)
        after_kib, threads_after, files_after = worker.usage()
        assert threads_after == threads
        assert files_after <= files
        assert after_kib - rss_kib < 2048
        assert {record.end_status for record in await worker.ended(28)} == {200}


async def test_a_recorded_call_holds_both_sides_in_one_file(tmp_path):
    folder = tmp_path / "rec"
    options = {"recording": folder, "greeting": tone(600)}
    async with (
        running_worker(tmp_path, plan_of(recording=True), **options) as worker,
        raw_phone(worker.port) as phone,
    ):
        await phone.invite()
        await phone.speak(800)
        await phone.bye()
        (record,) = await worker.ended()
        with wave.open(record.recording_path) as reader:
            assert (reader.getnchannels(), reader.getframerate(), reader.getsampwidth()) == (2, 8000, 2)
            data = reader.readframes(reader.getnframes())
    sides = [
        [
            abs(int.from_bytes(data[n + side : n + side + 2], "little", signed=True))
            for n in range(0, len(data), 4)
        ]
        for side in (0, 2)
    ]
    caller_ms, agent_ms = (
        sum(max(side[n : n + 80]) > 1000 for n in range(0, len(side) - 79, 80)) * 10 for side in sides
    )
    assert caller_ms == pytest.approx(800, abs=80)
    assert agent_ms == pytest.approx(600, abs=40)
