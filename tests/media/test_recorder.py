import os
import signal
import subprocess
import sys
import threading
import wave

import numpy as np
import pytest
import structlog

from bridge.errors import MediaError
from bridge.media.recorder import RESUME_MS, RecorderThread, Recording, RecordingFacts, wav_header

LOUD = np.full(160, 1000, dtype="<i2").tobytes()
SOFT = np.full(160, -7, dtype="<i2").tobytes()


def by_hand(path, max_queued_ms=5000):
    """A recording without its thread: the test is the writer."""
    return Recording(path, 8000, max_queued_ms, threading.Event())


def sides(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        data = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        assert len(data) == 2 * file.getnframes()
    return data[::2], data[1::2]


def finished(recording):
    recording.finish()
    assert recording.flush() is False
    return recording.close()


def test_the_caller_is_left_and_the_agent_right(tmp_path):
    with RecorderThread(flush_s=60) as recorder:
        recording = recorder.open(tmp_path / "deep" / "a.wav")
        recording.write(LOUD, SOFT)
        recording.write(SOFT, LOUD)
        facts = recording.close()

    assert facts == RecordingFacts(tmp_path / "deep" / "a.wav", 0.04, 0.0)
    left, right = sides(facts.path)
    assert left.tobytes() == LOUD + SOFT
    assert right.tobytes() == SOFT + LOUD
    assert facts.path.stat().st_mode & 0o007 == 0


def test_many_calls_share_one_thread(tmp_path):
    before = threading.active_count()
    with RecorderThread(flush_s=60) as recorder:
        recordings = [recorder.open(tmp_path / f"{number}.wav") for number in range(5)]
        assert threading.active_count() == before + 1
        for number, recording in enumerate(recordings):
            for _ in range(number):
                recording.write(LOUD, SOFT)
        seconds = [recording.close().seconds for recording in recordings]

    assert seconds == [0.0, 0.02, 0.04, 0.06, 0.08]
    assert threading.active_count() == before


def test_a_side_that_is_short_or_missing_is_silent(tmp_path):
    recording = by_hand(tmp_path / "a.wav")
    recording.write(LOUD[:100], SOFT)
    recording.write(b"", SOFT)
    recording.write(LOUD, b"")
    finished(recording)

    left, right = sides(tmp_path / "a.wav")
    assert left.tobytes() == LOUD[:100] + bytes(220 + 320) + LOUD
    assert right.tobytes() == SOFT * 2 + bytes(320)


def test_a_slow_disk_costs_audio_and_never_alignment(tmp_path):
    recording = by_hand(tmp_path / "a.wav", max_queued_ms=40)
    for _ in range(5):
        recording.write(LOUD, SOFT)
    recording.flush()
    recording.write(SOFT, LOUD)
    facts = finished(recording)

    assert facts.dropped_ms == 60
    assert facts.seconds == pytest.approx(0.12)
    left, right = sides(facts.path)
    assert left.tobytes() == LOUD * 2 + bytes(960) + SOFT
    assert right.tobytes() == SOFT * 2 + bytes(960) + LOUD


def test_a_gap_at_the_end_is_part_of_the_length(tmp_path):
    recording = by_hand(tmp_path / "a.wav", max_queued_ms=20)
    recording.write(LOUD, SOFT)
    recording.write(LOUD, SOFT)

    assert finished(recording).seconds == pytest.approx(0.04)


def test_the_file_can_be_played_at_any_moment(tmp_path):
    recording = by_hand(tmp_path / "a.wav")
    assert len(sides(tmp_path / "a.wav")[0]) == 0

    for count in range(1, 4):
        recording.write(LOUD, SOFT)
        recording.flush()
        assert len(sides(tmp_path / "a.wav")[0]) == 160 * count
    finished(recording)


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from bridge.media.recorder import RESUME_MS, RecorderThread
with RecorderThread(flush_s=0.01) as recorder:
    first, second = (recorder.open(Path(sys.argv[1]) / name) for name in ("a.wav", "b.wav"))
    first.write(b"\\1\\0" * 8000, b"\\2\\0" * 8000)
    while os.stat(Path(sys.argv[1]) / "a.wav").st_size < 44 + 32000:
        pass
    second.close()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_a_file_that_plays(tmp_path):
    code = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], timeout=50, check=False).returncode

    assert code == -signal.SIGKILL
    left, right = sides(tmp_path / "a.wav")
    assert (left == 1).all()
    assert (right == 2).all()
    assert len(left) == 8000


def test_close_and_stop_can_be_said_twice_and_late_audio_is_ignored(tmp_path):
    recorder = RecorderThread(flush_s=60)
    with recorder:
        recording = recorder.open(tmp_path / "a.wav")
        recording.write(LOUD, SOFT)
        first = recording.close()
        recording.write(LOUD, SOFT)
        assert recording.close() == first
    recorder.stop()


def test_stopping_finishes_open_recordings_and_refuses_new_ones(tmp_path):
    with RecorderThread(flush_s=60) as recorder:
        recording = recorder.open(tmp_path / "a.wav")
        recording.write(LOUD, SOFT)

    assert recording.close().seconds == pytest.approx(0.02)
    with pytest.raises(MediaError, match="has stopped"):
        recorder.open(tmp_path / "b.wav")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(MediaError, match=r"a\.wav: cannot record there"):
        by_hand(tmp_path / "file" / "a.wav")


@pytest.mark.parametrize(
    ("context", "call_id"), [({}, "c1"), ({"call_id": "c1"}, ""), ({"call_id": "c1", "path": "x"}, "c1")]
)
def test_a_full_disk_ends_the_recording_and_counts_and_says_what_is_missing(tmp_path, context, call_id):
    with structlog.contextvars.bound_contextvars(process="worker-0", **context):
        recording = Recording(tmp_path / "a.wav", 8000, 5000, threading.Event(), call_id)
    recording.write(LOUD, SOFT)
    recording.flush()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, recording._file)
    os.close(full)

    recording.write(LOUD, SOFT)
    with structlog.testing.capture_logs() as logs:
        assert recording.flush() is True
    recording.write(LOUD, SOFT)
    facts = finished(recording)

    (told,) = logs
    assert (told["event"], told["call_id"], told["process"]) == ("recording.failed", "c1", "worker-0")
    assert told["reason"] == facts.error == "No space left on device"
    assert "exc_info" not in told
    assert facts.seconds == pytest.approx(0.02)
    assert facts.dropped_ms == 40
    assert len(sides(tmp_path / "a.wav")[0]) == 160


def test_a_writer_that_hangs_does_not_hold_the_call(tmp_path):
    recording = by_hand(tmp_path / "a.wav")
    recording.write(LOUD, SOFT)

    assert recording.close(deadline_s=0.0).seconds == 0
    recording.flush()


def test_sizes_stop_at_what_a_riff_header_can_say():
    assert wav_header(2**33)[40:] == (0xFFFFFFFF - 44).to_bytes(4, "little")
    assert wav_header(320)[40:] == (320).to_bytes(4, "little")


def test_a_pause_is_silence_of_the_same_length_and_a_little_more(tmp_path):
    loud = (1000).to_bytes(2, "little", signed=True) * 160
    with RecorderThread(flush_s=0.01) as recorder:
        recording = recorder.open(tmp_path / "a.wav")
        for paused in (False, True, False):
            recording.pause(paused=paused)
            for _ in range(50):
                recording.write(loud, loud)
        recording.close()
    with wave.open(str(tmp_path / "a.wav")) as file:
        pcm = file.readframes(10**6)
    frames = [any(pcm[at : at + 640]) for at in range(0, len(pcm), 640)]
    assert len(frames) == 150
    assert frames == [True] * 50 + [False] * (50 + RESUME_MS // 20) + [True] * (50 - RESUME_MS // 20)
