"""The bench's arithmetic, on calls made by hand: it must find what was put in, or no figure of it means anything."""

from base64 import b64encode

import numpy as np
import pytest

from tests.bench import measures
from tests.bench.report import Measure
from tests.bench.rounds import Joined, Spec
from tests.bench.sound import PACKET, burst, onsets, packets, stretches, with_markers

MS = 1_000_000


def call(scene, pcm, marks=(), *, heard=None, uplink_ms=7, downlink_ms=12, audio="pcmu", **model):
    """A call whose every packet goes up in `uplink_ms`; what the caller hears arrives every 20 ms."""
    spec = Spec(scene, audio, pcm, tuple(marks))
    rows = packets(pcm, 0)
    sent = [1000 * MS + n * 20 * MS for n in range(len(rows))]
    back = packets(pcm if heard is None else heard, 0)
    rtp = [bytes([0x80, 0]) + n.to_bytes(2) + (n * PACKET).to_bytes(4) + bytes(4) for n in range(len(back))]
    caller = {
        "sent_ns": sent,
        "rx_ns": [1000 * MS + n * 20 * MS + downlink_ms * MS for n in range(len(back))],
        "rx": [header + row.tobytes() for header, row in zip(rtp, back, strict=True)],
        "invite_ns": 900 * MS,
        "answer_ns": 930 * MS,
    }
    log = {
        "append_ns": [at + uplink_ms * MS for at in sent],
        "appends": [b64encode(row.tobytes()).decode() for row in rows],
        "updated_ns": 925 * MS,
        **model,
    }
    return Joined(spec, caller, log)


def test_markers_are_found_to_the_sample():
    pcm, marks = with_markers(80_000, (1600, 3600), 60, np.random.default_rng(1))
    assert len(marks) > 20
    assert onsets(pcm, 320) == marks


def test_a_stretch_of_sound_has_its_first_and_last_loud_sample():
    pcm = np.concatenate([np.zeros(1000, np.int16), burst(100, 8000), np.zeros(1000, np.int16)])
    assert stretches(pcm, 320) == [(1000, 1799)]
    assert stretches(np.zeros(500, np.int16), 320) == []


def test_the_uplink_of_every_packet_and_marker_is_found():
    pcm, marks = with_markers(40_000, (1600, 3600), 60, np.random.default_rng(2))
    found = measures.uplink(call("marker", pcm, marks))
    assert len(found.sample_ms) == len(marks)
    assert set(found.sample_ms) == {7.0}
    assert len(found.ms) > 240
    assert set(found.ms) == {7.0}
    assert (found.missing, found.shift) == (0, 0)


def test_audio_lost_in_the_middle_of_a_call_shows_as_a_shift():
    pcm, marks = with_markers(40_000, (1600, 3600), 60, np.random.default_rng(3))
    one = call("marker", pcm, marks)
    quiet = next(
        n
        for n in range(125, 250)
        if not any(0 <= m // PACKET - n <= 1 or 0 <= n - m // PACKET <= 4 for m in marks)
    )
    del one.model["appends"][quiet], one.model["append_ns"][quiet]
    assert measures.uplink(one).shift == PACKET


def test_the_downlink_is_the_first_loud_packet_after_a_delta():
    heard = np.zeros(160 * 200, np.int16)
    heard[160 * 50 : 160 * 53] = burst(60, 8000)
    delta = 1000 * MS + 50 * 20 * MS + 3 * MS
    one = call("marker", heard, heard=heard, delta_ns=[delta, delta + 1000 * MS])
    assert measures.downlink(one) == ([9.0], 1)


def test_a_cut_is_measured_by_what_the_caller_got():
    heard = np.zeros(160 * 200, np.int16)
    heard[160 * 50 : 160 * 100] = burst(1000, 8000)
    spoke = 1000 * MS + 99 * 20 * MS
    one = call(
        "talk", heard, heard=heard, speech_ns=[spoke], cut_items=["a"], cuts=[(spoke + 2 * MS, "a", 996)]
    )
    found = measures.cuts(one)
    assert found.stop_ms == [12.0]
    assert found.told_ms == [2.0]
    assert found.error_ms == [pytest.approx(4, abs=0.5)]
    assert found.missing == 0


def test_a_cut_nobody_was_told_of_is_missing():
    heard = np.zeros(160 * 200, np.int16)
    heard[160 * 50 : 160 * 100] = burst(1000, 8000)
    one = call("talk", heard, heard=heard, speech_ns=[2500 * MS], cut_items=["a"], cuts=[])
    assert measures.cuts(one).missing == 1


def test_breaks_in_sequence_and_timestamp_are_counted():
    one = call("marker", np.zeros(160 * 50, np.int16))
    assert measures.pacing(one) == measures.Pacing([20.0] * 44, 0, 0)
    one.rx[10], one.rx[11] = one.rx[11], one.rx[10]
    assert measures.pacing(one).bad_sequence == 3
    assert measures.pacing(one).bad_timestamp == 3


def test_a_measure_without_samples_misses_its_target():
    assert Measure("x", "ms", [], {"p50": 1}).verdict == "MISS"
    assert Measure("x", "ms", [1, 2, 3], {"p50": 2, "max": 3}).verdict == "OK"
    assert Measure("x", "ms", [1, 2, 3], {"p50": 2, "max": 2.5}).verdict == "MISS"
    assert Measure("x", "MOS", [4.5, 4.6], {"min": 4.4}, at_least=True).verdict == "OK"
    assert Measure("x", "MOS", [4.3, 4.6], {"min": 4.4}, at_least=True).verdict == "MISS"
    assert Measure("x", "ms", [1]).verdict == ""
