"""SIPp calls a real worker: a peer whose SIP nobody here wrote. The scenarios are in tests/system/sipp."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from bridge.media.g711 import pcmu_encode
from tests.fakes.ports import free_block, free_port
from tests.fakes.rawphone import raw_phone
from tests.fakes.realtime_server import tone
from tests.fakes.worker_process import running_worker

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp (Debian: sip-tester) is not installed"),
]
SCENARIOS = Path(__file__).parent / "sipp"
GUARD_S = 25.0
needs_raw_sockets = pytest.mark.skipif(
    os.geteuid() != 0, reason="SIPp plays pcap files through raw sockets: root only"
)


async def sipp(worker, folder, name, *, calls=1, rate=1):
    """Run a scenario to its end; fails with SIPp's own words when one of its calls did."""
    errors = folder / f"{name}.errors"
    arguments = [
        "sipp", f"127.0.0.1:{worker.port}", "-sf", str(SCENARIOS / f"{name}.xml"), "-m", str(calls), "-r", str(rate),
        "-i", "127.0.0.1", "-p", str(free_port()), "-mp", str(free_block(4, step=4)), "-nostdin",
        "-timeout", "20", "-timeout_error", "-recv_timeout", "15000", "-trace_err", "-error_file", str(errors),
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(GUARD_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = errors.read_text() if errors.exists() else ""
    assert process.returncode == 0, f"{said[-3000:]}\n{output.decode()[-2000:]}"


async def test_a_call_with_sound_from_sipp_is_heard_by_the_model(tmp_path):
    (tmp_path / "speech.wav").write_bytes(
        pcmu_encode(tone(2000, 8000))
    )  # sent as it is, whatever the name says
    async with running_worker(tmp_path) as worker:
        running = asyncio.create_task(sipp(worker, tmp_path, "call"))
        session = await worker.model.session()
        await session.hears(20)
        await running
        (record,) = await worker.ended()
        assert (record.ended_by, record.codec, record.rx_lost) == ("caller", "PCMU", 0)


async def test_ten_calls_hung_up_with_the_ack_end_cleanly(tmp_path):
    async with running_worker(tmp_path) as worker:
        await sipp(worker, tmp_path, "early_bye", calls=10, rate=5)
        assert {record.ended_by for record in await worker.ended(10)} == {"caller"}


async def test_a_cancelled_call_gets_487(tmp_path):
    async with running_worker(tmp_path, greeting=b"") as worker:
        await sipp(worker, tmp_path, "cancel")
        (record,) = await worker.ended()
        assert (record.end_status, record.answered_at) == (487, None)


async def test_three_kinds_of_hold_are_seen_and_survived(tmp_path):
    async with running_worker(tmp_path, greeting=tone(3000)) as worker:
        await sipp(worker, tmp_path, "hold")
        (record,) = await worker.ended()
        assert (record.holds, record.ended_by) == (3, "caller")
        assert len(worker.of("call.resumed")) == 3


async def test_updates_hold_resume_and_refresh(tmp_path):
    async with running_worker(tmp_path) as worker:
        await sipp(worker, tmp_path, "update")
        (record,) = await worker.ended()
        assert (record.holds, record.ended_by) == (1, "caller")


async def test_options_get_200(tmp_path):
    async with running_worker(tmp_path) as worker:
        await sipp(worker, tmp_path, "options")


@needs_raw_sockets
async def test_digits_from_sipps_own_recordings_are_seen(tmp_path):
    async with running_worker(tmp_path) as worker:
        await sipp(worker, tmp_path, "dtmf")
        await worker.ended()
        assert [event["digit"] for event in worker.of("dtmf")] == ["1", "9", "*", "#"]


async def test_digits_by_info_are_seen(tmp_path):
    async with running_worker(tmp_path) as worker:
        await sipp(worker, tmp_path, "info")
        await worker.ended()
        assert [(event["digit"], event["method"]) for event in worker.of("dtmf")] == [
            ("5", "info"), ("*", "info"), ("#", "info"),
        ]  # fmt: skip


async def test_an_unknown_codec_gets_488(tmp_path):
    async with running_worker(tmp_path) as worker:
        await sipp(worker, tmp_path, "refused_codec")


async def test_a_delayed_offer_is_carried(tmp_path):
    async with running_worker(tmp_path) as worker:
        await sipp(worker, tmp_path, "delayed_offer")
        assert (await worker.ended())[0].codec == "PCMU"


async def test_a_call_without_ack_is_ended_by_us(tmp_path):
    async with running_worker(tmp_path, limits={"rtp_timeout_s": 2}) as worker:
        running = asyncio.create_task(sipp(worker, tmp_path, "no_ack"))
        (record,) = await worker.ended()
        assert record.end_reason == "rtp_timeout"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_full_worker_sends_callers_elsewhere(tmp_path):
    async with running_worker(tmp_path, sip={"max_calls": 1}) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await sipp(worker, tmp_path, "full")
        (record,) = await worker.ended()
        assert record.end_status == 503
