import asyncio
import threading
import time

import numpy as np
import pytest

from bridge.media.frame import FRAME_BYTES, SILENCE
from bridge.media.playout import ItemFinished, ItemStarted
from bridge.media.tape import DELAY_FRAMES, MAX_FRAMES
from bridge.sip.mediaclock import MAX_LATE_S, wake
from tests.fakes.line import FakeStream, frame, make_port, settle

GUARD_S = 20.0


def ticking(port, start_s, ms, every_ms=5):
    """Tick like the media clock; returns the time afterwards."""
    for number in range(1, ms // every_ms + 1):
        port.tick(start_s + number * every_ms / 1000)
        wake((port,))
    return start_s + ms / 1000


class Attached:
    """A started port with a stream, and the time of its media clock."""

    def __init__(self, ptime_ms=20, *, started=True, stream_hz=8000, **options):
        self.port = make_port(**options)
        self.stream = FakeStream(ptime_ms, stream_hz)
        if started:
            self.port.start()
        self.port.attach(self.stream)
        self.now = time.monotonic()

    def run(self, ms):
        self.now = ticking(self.port, self.now, ms)

    def clock(self, ms):
        """The clock comes once, `ms` later."""
        self.now += ms / 1000
        self.port.tick(self.now)
        wake((self.port,))


@pytest.fixture
async def line():
    return Attached()


async def test_a_port_tells_the_length_of_its_packets():
    assert make_port().ptime_ms == 20
    assert Attached(30).port.ptime_ms == 30


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
async def test_a_packet_goes_out_every_ptime(ptime_ms):
    line = Attached(ptime_ms)
    line.run(1200)
    assert len(line.stream.written) == pytest.approx(1200 / ptime_ms, abs=1)
    assert {len(pcm) for pcm in line.stream.written} == {16 * ptime_ms}


@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])
async def test_a_clock_that_ticks_every_20_ms_misses_no_packet(ptime_ms):
    line = Attached(ptime_ms)
    for _ in range(60):
        line.clock(20)
    assert len(line.stream.written) == pytest.approx(1200 / ptime_ms, abs=2)


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
async def test_agent_audio_arrives_whole_whatever_the_packet_time(ptime_ms):
    line = Attached(ptime_ms)
    speech = b"".join(frame(value) for value in range(1, 13))
    assert line.port.play("a", speech) == 0
    line.port.finish("a")
    line.run(480)
    assert b"".join(line.stream.written)[: len(speech)] == speech


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
async def test_caller_audio_arrives_whole_whatever_the_packet_time(ptime_ms):
    line = Attached(ptime_ms)
    speech = b"".join(frame(value) for value in range(1, 13))
    for start in range(0, len(speech), line.stream.frame_bytes):
        line.stream.arrive(speech[start : start + line.stream.frame_bytes])
        line.run(ptime_ms)
    async with asyncio.timeout(GUARD_S):
        heard = [await line.port.read() for _ in range(12)]
    assert b"".join(heard) == speech
    assert {len(pcm) for pcm in heard} == {FRAME_BYTES}


@pytest.mark.parametrize("ptime_ms", [20, 30])
async def test_silence_of_the_caller_passes_at_the_pace_of_time(ptime_ms):
    line = Attached(ptime_ms)
    line.stream.arrive(frame(5, ptime_ms))
    line.run(600)
    heard = drain(line.port)
    assert len(heard) * 20 == pytest.approx(600 - 60, abs=ptime_ms + 40)


def drain(port):
    frames = []
    with port._lock:
        while (pcm := port._intake.pull()) is not None:
            frames.append(pcm)
    return frames


async def test_a_packet_is_read_the_moment_it_is_there(line):
    line.stream.arrive(frame(7))
    line.clock(5)
    assert await line.port.read() == frame(7)


async def test_a_reader_that_waits_is_woken_by_the_media_thread(line):
    waiting = asyncio.create_task(line.port.read())
    await settle()
    line.stream.arrive(frame(9))
    threading.Thread(target=line.clock, args=(5,)).start()
    assert await asyncio.wait_for(waiting, GUARD_S) == frame(9)


async def test_a_cancelled_read_loses_nothing(line):
    waiting = asyncio.create_task(line.port.read())
    await settle()
    line.stream.arrive(frame(9))
    line.clock(5)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await line.port.read() == frame(9)


async def test_one_wake_up_serves_many_frames(line):
    calls = []
    port = line.port
    port._loop = type("Loop", (), {"call_soon_threadsafe": lambda self, *call: calls.append(call)})()
    for _ in range(3):
        line.stream.arrive(frame(1))
        line.clock(5)
    assert len(calls) == 1


async def test_a_closed_loop_does_not_hurt_the_media_thread(line):
    def closed(self, callback, *args):
        raise RuntimeError("Event loop is closed")

    line.port._loop = type("Loop", (), {"call_soon_threadsafe": closed})()
    line.stream.arrive(frame(1))
    line.clock(5)


async def test_before_the_answer_the_line_is_silent_and_the_caller_is_not_heard():
    line = Attached(started=False)
    line.port.play("a", frame(3))
    line.stream.arrive(frame(7))
    line.run(100)
    assert set(line.stream.written) == {SILENCE}
    assert drain(line.port) == []
    line.port.start()
    line.run(20)
    assert line.stream.written[-1] == frame(3)


async def test_on_hold_the_playout_clock_stops_and_goes_on_where_it_was(line):
    line.port.play("a", frame(1) + frame(2))
    line.port.finish("a")
    line.run(20)
    line.port.pause(True)
    line.stream.arrive(frame(7))
    line.run(200)
    line.port.pause(False)
    line.run(20)
    assert [pcm for pcm in line.stream.written if any(pcm)] == [frame(1), frame(2)]
    assert frame(7) not in drain(line.port)


async def test_clear_stops_within_one_frame_and_says_what_was_heard(line):
    line.port.play("a", frame(1000) * 50)
    line.run(200)
    before = len(line.stream.written)
    cleared = line.port.clear()
    assert (cleared.item_id, cleared.heard_ms) == ("a", before * 20)
    line.run(100)
    after = line.stream.written[before:]
    assert not any(after[0][80:])
    assert set(after[1:]) == {SILENCE}


async def test_a_full_playout_says_what_it_refused():
    line = Attached(playout_ms=40)
    assert line.port.play("a", frame(1) * 3) == FRAME_BYTES
    assert line.port.queued_ms == 40


async def test_playout_events_come_as_they_happen(line):
    line.port.play("a", frame(1))
    line.port.finish("a")
    waiting = asyncio.create_task(line.port.playout_events())
    await settle()
    line.run(20)
    assert await asyncio.wait_for(waiting, GUARD_S) == [ItemStarted("a"), ItemFinished("a", 20)]


async def test_an_item_that_ran_dry_in_the_middle_is_not_silence(line):
    assert line.port.silent
    line.port.play("a", frame(1))
    assert not line.port.silent
    line.run(40)
    assert line.port.queued_ms == 0
    assert not line.port.silent
    line.port.finish("a")
    assert line.port.silent


async def test_audio_the_loop_did_not_fetch_is_dropped_oldest_first_and_counted():
    line = Attached(intake_ms=40)
    for value in range(1, 5):
        line.stream.arrive(frame(value))
        line.clock(20)
    assert line.port.intake_dropped_ms == 40
    assert await line.port.read() == frame(3)


async def test_a_late_clock_catches_up_packet_by_packet(line):
    line.run(20)
    sent = len(line.stream.written)
    line.clock(100)
    assert len(line.stream.written) == sent + 1
    line.run(100)
    assert len(line.stream.written) == pytest.approx(sent + 10, abs=1)


async def test_a_hopelessly_late_clock_sends_no_burst(line):
    line.run(20)
    sent = len(line.stream.written)
    line.clock(MAX_LATE_S * 1000 + 1000)
    line.run(100)
    assert len(line.stream.written) <= sent + 1 + 100 // 20 + 1


async def test_the_time_of_the_last_packet_is_the_media_clocks(line):
    line.run(100)
    assert line.port.last_rx_s < line.now
    line.stream.arrive(frame(1))
    line.clock(5)
    assert line.port.last_rx_s == line.now


async def test_a_new_stream_replaces_the_old_one_which_is_given_back_once(line):
    second = FakeStream(40)
    line.port.attach(second)
    line.run(80)
    assert line.stream.releases == 1
    assert len(second.written) == pytest.approx(2, abs=1)
    line.port.detach()
    line.port.detach()
    assert second.releases == 1
    line.run(80)
    assert len(second.written) <= 3


async def test_both_channels_of_a_recording_are_aligned(line):
    taped = []
    line.port.record(lambda caller, agent: taped.append((caller, agent)))
    line.port.play("a", b"".join(frame(100 + n) for n in range(20)))
    for n in range(20):
        line.stream.arrive(frame(n + 1))
        line.run(20)
    delay = DELAY_FRAMES
    callers = [caller for caller, _ in taped]
    agents = [agent for _, agent in taped]
    assert callers[:delay] == agents[:delay] == [SILENCE] * delay
    assert agents[delay : delay + 10] == [frame(100 + n) for n in range(10)]
    first = callers.index(frame(1))
    assert first - delay in {0, 1}
    assert callers[first : first + 10] == [frame(n + 1) for n in range(10)]


async def test_a_recording_may_begin_in_the_middle_of_a_call(line):
    line.run(100)
    taped = []
    line.port.record(lambda caller, agent: taped.append((caller, agent)))
    line.port.play("a", frame(1))
    line.run(100)
    assert frame(1) in [agent for _, agent in taped]


async def test_a_burst_of_caller_audio_costs_the_recording_its_oldest_frames_only(line):
    taped = []
    line.port.record(lambda caller, agent: taped.append(caller))
    burst = MAX_FRAMES + 10
    for n in range(burst):
        line.stream.arrive(frame(n + 1))
    line.run(400)
    assert len(drain(line.port)) >= burst
    kept = [pcm for pcm in taped if any(pcm)]
    assert kept == [frame(n + 1) for n in range(burst)][-len(kept) :]


async def test_a_recording_is_as_long_as_the_call_hold_and_lost_streams_included(line):
    taped = []
    line.port.record(lambda caller, agent: taped.append((caller, agent)))
    line.run(200)
    line.port.pause(True)
    line.run(400)
    line.port.detach()
    line.run(400)
    line.port.attach(FakeStream())
    line.port.pause(False)
    line.port.play("a", frame(5) * 50)
    line.run(200)
    assert len(taped) == pytest.approx(1200 / 20, abs=2)
    assert [agent for _, agent in taped].index(frame(5)) == pytest.approx(1000 / 20 + DELAY_FRAMES, abs=2)


async def test_a_stall_of_the_clock_is_silence_in_the_recording(line):
    taped = []
    line.port.record(lambda caller, agent: taped.append(caller))
    line.run(200)
    line.clock(1000)
    line.run(200)
    assert len(taped) == pytest.approx(1400 / 20, abs=2)


async def test_after_a_stall_of_the_network_both_channels_are_in_step_again(line):
    """The caller's audio comes in a burst behind the silence that stands for it; it must not lag for ever."""
    taped = []
    line.port.record(lambda caller, agent: taped.append(caller))
    line.run(200)
    for _ in range(8):
        line.stream.arrive(frame(1))
    for _ in range(110):
        line.stream.arrive(frame(1))
        line.run(20)
    assert line.port.recording_dropped_ms >= 100
    before = len(taped)
    line.stream.arrive(frame(7))
    line.run(20 * (DELAY_FRAMES + 2))
    assert frame(7) in taped[before:]


async def test_a_call_without_recording_dropped_nothing_of_it(line):
    line.run(20)
    assert line.port.recording_dropped_ms == 0


async def test_after_stop_the_tap_hears_nothing_more(line):
    taped = []
    line.port.record(lambda caller, agent: taped.append(caller))
    line.run(40)
    line.port.stop()
    count = len(taped)
    line.run(100)
    assert len(taped) == count


async def test_a_port_that_listens_hears_the_peer_and_keeps_what_is_to_be_said_for_later():
    line = Attached(started=False)
    line.port.play("a", frame(500))
    line.stream.arrive(frame(7))
    line.run(40)
    line.port.listen()
    line.stream.arrive(frame(9))
    line.run(60)
    assert await line.port.read() == frame(9)
    assert not any(any(pcm) for pcm in line.stream.written)
    line.port.start()
    line.run(60)
    assert any(pcm == frame(500) for pcm in line.stream.written)


async def test_a_sink_gets_every_frame_where_it_comes_in_until_it_wants_no_more(line):
    line.stream.arrive(frame(1))
    line.run(40)
    fed = []
    line.port.feed(lambda pcm: (fed.append(pcm), len(fed) < 3)[1])
    assert frame(1) in fed
    for number in (2, 3, 4):
        line.stream.arrive(frame(number))
        line.run(20)
        await settle()
    assert [pcm for pcm in fed if any(pcm)] == [frame(1), frame(2), frame(3)]
    assert await line.port.read() == frame(4)


async def test_without_a_sink_frames_are_read_again(line):
    fed = []

    def sink(pcm):
        return not fed.append(pcm)

    line.port.feed(sink)
    line.port.unfeed(sink)
    line.stream.arrive(frame(5))
    line.run(20)
    await settle()
    assert fed == []
    assert await line.port.read() == frame(5)


async def test_a_sink_that_was_replaced_takes_nothing_away_when_it_goes(line):
    fed = {"old": [], "new": []}
    sinks = {name: lambda pcm, name=name: not fed[name].append(pcm) for name in fed}
    line.port.feed(sinks["old"])
    line.port.feed(sinks["new"])
    line.port.unfeed(sinks["old"])
    line.stream.arrive(frame(5))
    line.run(20)
    await settle()
    assert fed == {"old": [], "new": [frame(5)]}


@pytest.mark.parametrize("phase_ms", [0, 5, 10, 15])
async def test_our_packets_settle_half_a_packet_after_the_peers_and_stay_there(phase_ms):
    line = Attached()
    sent = []
    line.stream.write = lambda pcm: sent.append(line.now_ms)
    for ms in range(0, 600, 5):
        line.now_ms = ms
        if ms % 20 == phase_ms:
            line.stream.arrive(frame(1))
        line.clock(5)
    settled = [ms for ms in sent if ms >= 200]
    assert {(ms - phase_ms) % 20 for ms in settled} == {10}
    assert len(sent) == pytest.approx(30, abs=1)


# ---- a wideband worker -------------------------------------------------------------------------------------------


def sine(hz, ms, rate_hz):
    at = np.arange(rate_hz * ms // 1000) / rate_hz
    return (9000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes()


def pitch(pcm, rate_hz):
    samples = np.frombuffer(pcm, "<i2").astype(float)
    power = abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return power.argmax() * rate_hz / len(samples)


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
async def test_audio_of_a_wide_stream_passes_as_it_is(ptime_ms):
    line = Attached(ptime_ms, stream_hz=16000, rate_hz=16000)
    said, heard = sine(6000, 240, 16000), sine(5000, 240, 16000)
    assert line.port.play("a", said) == 0
    for start in range(0, len(heard), line.stream.frame_bytes):
        line.stream.arrive(heard[start : start + line.stream.frame_bytes])
        line.run(ptime_ms)
    assert b"".join(line.stream.written)[: len(said)] == said
    frames = drain(line.port)
    assert b"".join(frames) == heard
    assert {len(pcm) for pcm in frames} == {640}


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
async def test_a_g711_stream_of_a_wide_worker_is_converted_both_ways(ptime_ms):
    line = Attached(ptime_ms, stream_hz=8000, rate_hz=16000)
    said, heard = sine(1000, 480, 16000), sine(700, 480, 8000)
    assert line.port.play("a", said) == 0
    for start in range(0, len(heard), line.stream.frame_bytes):
        line.stream.arrive(heard[start : start + line.stream.frame_bytes])
        line.run(ptime_ms)
    assert {len(pcm) for pcm in line.stream.written} == {16 * ptime_ms}
    assert pitch(b"".join(line.stream.written), 8000) == pytest.approx(1000, abs=5)
    frames = drain(line.port)
    assert len(frames) * 20 == 480
    assert pitch(b"".join(frames), 16000) == pytest.approx(700, abs=5)


async def test_a_call_that_changes_its_codec_goes_on_at_the_workers_rate():
    line = Attached(20, stream_hz=16000, rate_hz=16000)
    line.stream.arrive(sine(700, 20, 16000))
    line.run(20)
    line.stream = FakeStream(30, 8000)  # a re-INVITE to G.711 with 30 ms packets
    line.port.attach(line.stream)
    for _ in range(4):
        line.stream.arrive(sine(700, 30, 8000))
        line.run(30)
    line.stream = FakeStream(20, 16000)
    line.port.attach(line.stream)
    line.stream.arrive(sine(700, 20, 16000))
    line.run(20)
    frames = drain(line.port)
    assert {len(pcm) for pcm in frames} == {640}
    assert len(frames) * 20 == 160


async def test_who_listens_for_words_hears_a_wide_call_at_8_khz():
    line = Attached(20, stream_hz=16000, rate_hz=16000)
    heard = b""
    for _ in range(10):
        line.stream.arrive(sine(1000, 20, 16000))
        line.run(20)
        heard += await line.port.read_narrow()
    assert len(heard) == 10 * FRAME_BYTES
    assert pitch(heard, 8000) == pytest.approx(1000, abs=5)


async def test_a_recording_of_a_wide_call_has_wide_frames_also_in_silence():
    line, taped = Attached(20, stream_hz=8000, rate_hz=16000), []
    line.port.record(lambda caller, agent: taped.append((caller, agent)))
    line.port.play("a", sine(700, 60, 16000))
    line.run(100)
    line.port.detach()
    line.run(100)
    assert {(len(caller), len(agent)) for caller, agent in taped} == {(640, 640)}
