import numpy as np
import pytest

from bridge.media import tones
from bridge.media.frame import duration_ms, rms_dbfs


def samples(pcm):
    return np.frombuffer(pcm, dtype="<i2").astype(float)


def peaks_hz(pcm, count):
    power = abs(np.fft.rfft(samples(pcm) * np.hanning(len(pcm) // 2), 8000))
    found = []
    for _ in range(count):
        at = int(power.argmax())
        found.append(at)
        power[max(at - 40, 0) : at + 40] = 0
    return sorted(found)


def test_a_tone_has_its_length_frequency_and_level():
    pcm = tones.tone((440,), 500, level_dbm0=-13)

    assert duration_ms(pcm) == 500
    assert peaks_hz(pcm, 1) == [440]
    # A full-scale sine is +3.14 dBm0 and -3.01 dBFS.
    assert rms_dbfs(pcm) == pytest.approx(-13 - 3.14 - 3.01, abs=0.2)


def test_tones_begin_and_end_softly():
    edges = samples(tones.beep())

    assert edges[0] == edges[-1] == 0
    assert abs(np.diff(edges[:8])).max() < abs(np.diff(edges)).max() / 4


@pytest.mark.parametrize("ms", [0, 1, 3])
def test_the_shortest_tones_are_possible(ms):
    assert duration_ms(tones.beep(ms)) == ms


@pytest.mark.parametrize(
    ("make", "region", "hz", "on_ms", "period_ms"),
    [
        (tones.ringback, "eu", [425], 1000, 5000),
        (tones.ringback, "us", [440, 480], 2000, 6000),
        (tones.busy, "eu", [425], 500, 1000),
        (tones.busy, "us", [480, 620], 500, 1000),
    ],
)
def test_call_progress_tones_have_their_cadence(make, region, hz, on_ms, period_ms):
    pcm = make(2 * period_ms + 300, region)

    assert duration_ms(pcm) == 2 * period_ms + 300
    on, period = 16 * on_ms, 16 * period_ms
    assert pcm[:on] == pcm[period : period + on]
    assert any(pcm[:on])
    assert not any(pcm[on:period])
    power = abs(np.fft.rfft(samples(pcm[:on]), 8000))
    assert all(power[wanted] > power.max() / 2 for wanted in hz)


@pytest.mark.parametrize(
    ("digit", "low", "high"), [("1", 697, 1209), ("9", 852, 1477), ("#", 941, 1477), ("d", 941, 1633)]
)
def test_a_key_is_two_frequencies(digit, low, high):
    pcm = tones.dtmf(digit, tone_ms=200, gap_ms=50)

    assert duration_ms(pcm) == 250
    assert not any(pcm[16 * 200 :])
    assert peaks_hz(pcm[: 16 * 200], 2) == pytest.approx([low, high], abs=3)


def test_keys_follow_each_other():
    assert tones.dtmf("12") == tones.dtmf("1") + tones.dtmf("2")
    assert tones.dtmf("") == b""


@pytest.mark.parametrize("key", ["E", "12x", "ß", " "])
def test_what_is_not_a_key_is_refused(key):
    with pytest.raises(ValueError, match="not a telephone key"):
        tones.dtmf(key)


def test_comfort_noise_is_quiet_and_the_same_each_time():
    noise = tones.comfort_noise(1000)

    assert noise == tones.comfort_noise(1000)
    assert noise != tones.comfort_noise(1000, seed=1)
    assert rms_dbfs(noise) == pytest.approx(-60 - 3.14 - 3.01, abs=0.3)
