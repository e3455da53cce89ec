"""baresip, a phone nobody here wrote, calls a real worker."""

import shutil
import wave
from itertools import pairwise

import pytest

from tests.fakes.baresip import MODULES, baresip
from tests.fakes.realtime_server import tone
from tests.fakes.worker_process import running_worker

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        shutil.which("baresip") is None or not (MODULES / "sndfile.so").exists(),
        reason="baresip (Debian: baresip-core) is not installed",
    ),
]


@pytest.fixture
def speech(tmp_path):
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(tone(20_000, 8000, hz=700))
    return path


def crossings_per_s(samples):
    """How often the loud part crosses zero upwards each second: the frequency of a tone."""
    loud = [index for index, sample in enumerate(samples) if abs(sample) > 2000]
    part = samples[loud[0] : loud[-1]]
    ups = sum(a < 0 <= b for a, b in pairwise(part))
    return ups / (len(part) / 8000)


async def test_a_call_by_baresip_is_heard_both_ways(tmp_path, speech):
    options = {"greeting": tone(1000, hz=440)}
    async with running_worker(tmp_path, **options) as worker, baresip(tmp_path / "bare", speech) as phone:
        phone.tell("dial", worker.uri)
        await phone.event("CALL_ESTABLISHED")
        session = await worker.model.session()
        await session.hears(50)
        await worker.event("agent.finished")
        phone.tell("hangup")
        (record,) = await worker.ended()
        assert (record.ended_by, record.codec, record.rx_lost) == ("caller", "PCMU", 0)
        model_heard = session.heard()
        at_8k = [
            int.from_bytes(model_heard[n : n + 2], "little", signed=True)
            for n in range(0, len(model_heard), 6)
        ]
        assert crossings_per_s(at_8k) == pytest.approx(700, rel=0.05)
    caller_heard = phone.recorded("dec")
    assert sum(abs(sample) > 2000 for sample in caller_heard) > 4000
    assert crossings_per_s(caller_heard) == pytest.approx(440, rel=0.05)


async def test_baresip_holds_resumes_and_presses_keys(tmp_path, speech):
    options = {"greeting": tone(600)}
    async with running_worker(tmp_path, **options) as worker, baresip(tmp_path / "bare", speech) as phone:
        phone.tell("dial", worker.uri)
        await phone.event("CALL_ESTABLISHED")
        session = await worker.model.session()
        await session.hears(10)
        phone.tell("hold")
        await worker.event("call.held")
        phone.tell("resume")
        await worker.event("call.resumed")
        since = len(session.of("input_audio_buffer.append"))
        await session.hears(10, since=since)
        for count, digit in enumerate("4*", start=1):
            phone.tell("sndcode", digit)
            await worker.event("dtmf", count)
        assert [event["digit"] for event in worker.of("dtmf")] == ["4", "*"]
        phone.tell("hangup")
        (record,) = await worker.ended()
        assert (record.ended_by, record.holds, record.dtmf_digits) == ("caller", 1, 2)


async def test_baresip_hears_our_bye(tmp_path, speech):
    async with (
        running_worker(tmp_path, limits={"max_call_s": 1}) as worker,
        baresip(tmp_path / "bare", speech) as phone,
    ):
        phone.tell("dial", worker.uri)
        await phone.event("CALL_CLOSED")
        (record,) = await worker.ended()
        assert record.end_reason == "max_duration"
