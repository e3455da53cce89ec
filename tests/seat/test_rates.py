"""The browser's 48 kHz and the telephone's rates: tones stay where they are, what does not fit goes."""

import numpy as np
import pytest

from bridge.seat.rates import BROWSER_HZ, from_browser, to_browser


def tone(hz, rate_hz, ms=1000):
    at = np.arange(rate_hz * ms // 1000) / rate_hz
    return (8000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes()


def converted(chain, pcm, rate_hz):
    size = rate_hz // 50 * 2
    out = b"".join(chain.push(pcm[at : at + size]) for at in range(0, len(pcm), size))
    return np.frombuffer(out, "<i2").astype(float)[1000:]


def peak(samples, rate_hz):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return int(np.argmax(spectrum)) * rate_hz / len(samples), np.sqrt(2 * np.mean(samples**2))


@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("hz", [300, 1000, 3000])
def test_a_tone_of_the_telephones_band_comes_through_both_ways(rate_hz, hz):
    down = converted(from_browser(rate_hz), tone(hz, BROWSER_HZ), BROWSER_HZ)
    up = converted(to_browser(rate_hz), tone(hz, rate_hz), rate_hz)
    for samples, rate in ((down, rate_hz), (up, BROWSER_HZ)):
        found_hz, loudest = peak(samples, rate)
        assert found_hz == pytest.approx(hz, abs=5)
        assert loudest == pytest.approx(8000, rel=0.06)


@pytest.mark.parametrize(("rate_hz", "hz"), [(8000, 5500), (8000, 10_000), (16000, 11_000), (16000, 15_000)])
def test_what_the_lower_rate_cannot_hold_does_not_fold_back(rate_hz, hz):
    samples = converted(from_browser(rate_hz), tone(hz, BROWSER_HZ), BROWSER_HZ)
    assert np.abs(samples).max() < 8000 * 0.01, "-40 dB"


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_20_ms_give_20_ms(rate_hz):
    assert len(from_browser(rate_hz).push(bytes(1920))) == rate_hz // 25
    assert len(to_browser(rate_hz).push(bytes(rate_hz // 25))) == 1920
