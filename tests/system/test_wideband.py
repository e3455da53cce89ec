"""Wideband calls: G.722 between a phone, a worker of the wide pool and the model; G.711 on the same worker.

Speech is the embedded voice (22 kHz). Quality is PESQ wideband (ITU-T P.862.2), by what the model got and what the
caller's recording has.
"""

import asyncio
import json
import sys
import wave
from functools import cache

import numpy as np
import pytest
from pesq import pesq

from bridge.dialplan.plan import HangUpStep
from bridge.dialplan.steps import AnswerStep, DialStep, SayStep, VoicemailStep
from bridge.media.offline import resample
from bridge.sim.voice import speak
from tests.fakes.baresip import baresip, speech_file
from tests.fakes.callee import callee
from tests.fakes.rawphone import raw_phone
from tests.fakes.realtime_server import tone
from tests.fakes.worker_process import ROOT, plan_of, running_worker
from tests.system.test_transfers import needs_baresip

pytestmark = pytest.mark.system
WIDE = {"media": {"rate_hz": 16000}, "sip": {"codecs": ("G722", "PCMU", "PCMA")}}
TEXT = "She sells sea shells and six fresh fish."
FIRST_MS = 400  # of silence: a phone may miss the very first packet
GUARD_S = 30.0


@cache
def spoken(rate_hz):
    """The same samples each time: the voice's hiss is random."""
    return speak(TEXT, rate_hz=24000) if rate_hz == 24000 else resample(spoken(24000), 24000, rate_hz)


def save(path, pcm, rate_hz):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm)
    return path


def channels(path):
    """(rate in Hz, left, right) of a stereo WAV."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        return file.getframerate(), samples[:, 0], samples[:, 1]


async def phones(folder, worker, codec, *options):
    """`sipbridge call` with a codec; its report, and the recording's path."""
    path = folder / f"{codec}.wav"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "call", worker.uri, "--codec", codec, "--record", str(path), "--json", *options,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(GUARD_S):
        out, _ = await process.communicate()
    return json.loads(out), path


def loud_part(samples, rate_hz):
    """From 100 ms before the first sound to 100 ms after the last."""
    at = np.flatnonzero(abs(samples.astype(int)) > 300)
    edge = rate_hz // 10
    return samples[max(at[0] - edge, 0) : at[-1] + edge]


def quality(reference, heard):
    """PESQ wideband of two pieces at 16 kHz."""
    return pesq(16000, loud_part(reference, 16000), loud_part(heard, 16000), "wb")


def above_4_khz(samples, rate_hz):
    """Its share of the power, in dB."""
    power = abs(np.fft.rfft(samples.astype(float))) ** 2
    at = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    return 10 * np.log10(power[(at > 4200) & (at < 7000)].sum() / power.sum())


async def conversation(folder, worker, number, codec):
    """One call: model and caller say TEXT. What either got, at 16 kHz, and the phone's report."""
    caller = save(folder / f"caller-{codec}.wav", spoken(16000), 16000)
    report, path = await phones(
        folder, worker, codec, "--after-agent", "--play", str(caller), "--wait", "0.3"
    )
    session = await worker.model.session(number)
    got = np.frombuffer(resample(session.heard(), 24000, 16000), "<i2")
    rate_hz, _, heard = channels(path)
    return got, np.frombuffer(resample(heard.tobytes(), rate_hz, 16000), "<i2"), report


async def test_both_sides_of_a_g722_call_are_heard_in_wideband_and_those_of_a_g711_call_in_narrowband(
    tmp_path,
):
    """On one worker at the same time."""
    reference = np.frombuffer(spoken(16000), "<i2")
    found = {}
    async with running_worker(tmp_path, greeting=bytes(48 * FIRST_MS) + spoken(24000), **WIDE) as worker:
        wide = asyncio.create_task(conversation(tmp_path, worker, 0, "G722"))
        await worker.event("call.started")
        await worker.model.session()
        narrow = asyncio.create_task(conversation(tmp_path, worker, 1, "G711"))
        calls = {"G722": await wide, "G711": await narrow}
        records = await worker.ended(2)
    assert {(record.codec, record.rx_lost) for record in records} == {("G722", 0), ("PCMU", 0)}
    for codec, (got, heard, report) in calls.items():
        assert (report["script"], report["rtp"]["rx_lost"]) == ("done", 0)
        found[codec] = quality(reference, got), quality(reference, heard)
        high = above_4_khz(got, 16000), above_4_khz(heard, 16000)
        assert bool(min(high) > -30) is (codec == "G722"), high
        assert bool(max(high) < -40) is (codec == "G711"), high
    # The G.722 of ITU-T's own kind gives this voice 3.1 (hiss is the hardest), µ-law 2.0: nothing of ours costs more.
    assert min(found["G722"]) >= 2.8, found
    assert min(found["G722"]) >= max(found["G711"]) + 0.6, found


@needs_baresip
async def test_baresip_with_g722_hears_and_is_heard_above_4_khz(tmp_path):
    speech = speech_file(tmp_path, hz=6000, rate_hz=16000)
    async with (
        running_worker(tmp_path, greeting=tone(3000, hz=5500), **WIDE) as worker,
        baresip(tmp_path / "bare", speech, codecs=("g711", "g722")) as phone,  # G.711 first: we choose
    ):
        phone.tell("dial", worker.uri)
        await phone.event("CALL_ESTABLISHED")
        session = await worker.model.session()
        await session.hears(50)
        await worker.event("agent.finished")
        phone.tell("hangup")
        (record,) = await worker.ended()
        assert record.codec == "G722"
        heard = np.frombuffer(session.heard(), "<i2")[-24000:]
        assert abs(pitch(heard, 24000) - 6000) < 20
        assert abs(pitch(np.array(phone.recorded("dec")), 16000) - 5500) < 20


def pitch(samples, rate_hz):
    power = abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return power.argmax() * rate_hz / len(samples)


async def test_a_narrow_worker_offers_and_takes_no_g722(tmp_path):
    dial = DialStep(("one",), 5, False, "", {}, (HangUpStep(486, "no"),))
    async with callee() as other:
        plan = plan_of(dial)
        plan = type(plan)(plan.routes, plan.agents, transfers={"one": other.uri})
        async with running_worker(tmp_path, plan) as worker, raw_phone(worker.port) as phone:
            assert (await phone.invite(phone.sdp(codecs=(9,)))).status == 488
            phone.forget()
            phone.request_out("INVITE", body=phone.sdp(codecs=(9, 0)))
            offer = await other.called()
            assert "G722" not in offer.body
            other.answer_with(486, "Busy")


async def test_a_wide_worker_connects_a_g722_caller_with_a_g711_callee_and_records_both(tmp_path):
    dial = DialStep(("one",), 5, False, "", {}, (HangUpStep(486, "no"),))
    async with callee() as other:
        plan = plan_of(dial)
        plan = type(plan)(plan.routes, plan.agents, transfers={"one": other.uri})
        async with running_worker(tmp_path, plan, **WIDE) as worker:
            caller = save(tmp_path / "c.wav", tone(2500, 16000, hz=3000), 16000)
            calling = asyncio.create_task(
                phones(tmp_path, worker, "G722", "--play", str(caller), "--until-hang-up")
            )
            await other.called()
            assert "G722" in other.offer.body
            await other.takes(codecs=(0,))
            await other.heard(40)
            async with other.speaking(ptime_ms=20):
                await asyncio.sleep(0.6)
            assert (await other.response(other.request_out("BYE"), "BYE")).status == 200
            report, path = await calling
            assert report["codec"] == "G722"
            rate_hz, said, heard = channels(path)
            assert abs(pitch(loud_part(said, rate_hz)[3200:-3200], rate_hz) - 3000) < 20
            assert abs(pitch(loud_part(heard, rate_hz)[1600:-1600], rate_hz) - 1000) < 20  # LOUD: 1 kHz


async def test_barge_in_and_its_truncation_are_as_exact_as_in_narrowband(tmp_path):
    greeting = bytes(48 * FIRST_MS) + tone(6000, hz=5000)
    async with running_worker(tmp_path, greeting=greeting, **WIDE) as worker:
        talking = asyncio.create_task(phones(tmp_path, worker, "G722", "--wait", "3"))
        session = await worker.model.session()
        await worker.event("agent.started")
        await asyncio.sleep(1.5)
        await session.speech_started()
        (cut,) = await worker.event("barge_in")
        (truncate,) = await session.wait("conversation.item.truncate")
        assert truncate["audio_end_ms"] == cut["heard_ms"]
        _, path = await talking
    rate_hz, _, heard = channels(path)
    agent = loud_part(heard, rate_hz)
    heard_ms = FIRST_MS + (len(agent) - 2 * rate_hz // 10) * 1000 / rate_hz
    # 5 ms are faded out; a busy machine's phone hears gaps, which lengthen what it heard. To the sample: in memory.
    assert cut["heard_ms"] - 3 <= heard_ms <= cut["heard_ms"] + 80
    assert cut["heard_ms"] + cut["dropped_ms"] == pytest.approx(len(greeting) / 48, abs=3)


async def test_prompts_menus_keys_and_messages_work_on_a_wide_worker(tmp_path):
    """Prompts are 8 kHz files, words and messages are looked for at 8 kHz: seen from a wideband phone."""
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    save(prompts / "p1.wav", tone(600, 8000, hz=700), 8000)
    steps = (
        AnswerStep(),
        VoicemailStep((SayStep("a tone", "en", "p1"),), "shop", (), 20, 2.0, "#", (HangUpStep(500, "no"),)),
        HangUpStep(None, "done"),
    )
    words = save(tmp_path / "w.wav", spoken(16000), 16000)
    async with running_worker(tmp_path, plan_of(*steps), recording=tmp_path / "rec", **WIDE) as worker:
        report, path = await phones(
            tmp_path, worker, "G722", "--after-agent", "--wait", "0.3", "--play", str(words), "--dtmf", "#",
            "--until-hang-up",
        )  # fmt: skip
        (record,) = await worker.ended()
        (message,) = worker.of("voicemail")
    assert (record.codec, record.end_reason, report["ended_by"]) == ("G722", "done", "peer")
    rate_hz, _, heard = channels(path)
    first = loud_part(heard, rate_hz)[1600 : 1600 + 6400]
    assert abs(pitch(first, rate_hz) - 700) < 10
    with wave.open(message["path"]) as file:
        assert file.getframerate() == 8000
        kept = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert len(kept) / 8000 == pytest.approx(len(spoken(8000)) / 16000, abs=0.9)
    said = np.frombuffer(spoken(8000), "<i2")
    assert np.sqrt((kept.astype(float) ** 2).mean()) == pytest.approx(
        np.sqrt((said.astype(float) ** 2).mean()), rel=0.4
    )
