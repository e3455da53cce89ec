"""Sounds a telephone makes: call progress tones, beeps, DTMF, comfort noise. 8 kHz 16-bit mono PCM.

Deterministic and pure: the same arguments give the same bytes. Every tone fades in and out over 5 ms, so that
none clicks. Levels are dBm0, as operators write them: a full-scale sine is +3.14 dBm0 (ITU-T G.711).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bridge.media.frame import RATE_HZ

Region = Literal["eu", "us"]

_FULL_SCALE_DBM0 = 3.14
_RAMP_SAMPLES = 5 * RATE_HZ // 1000
# ITU-T Q.23: row and column frequencies of the sixteen keys.
_DTMF_ROWS_HZ = (697, 770, 852, 941)
_DTMF_COLUMNS_HZ = (1209, 1336, 1477, 1633)
_DTMF_KEYS = "123A456B789C*0#D"


@dataclass(frozen=True, slots=True)
class _Cadence:
    frequencies_hz: tuple[float, ...]
    on_ms: int
    off_ms: int


# ITU-T E.180 supplement 2 (various tones), ETSI TR 101 041 for "eu".
_RINGBACK: dict[Region, _Cadence] = {
    "eu": _Cadence((425,), 1000, 4000),
    "us": _Cadence((440, 480), 2000, 4000),
}
_BUSY: dict[Region, _Cadence] = {"eu": _Cadence((425,), 500, 500), "us": _Cadence((480, 620), 500, 500)}


def tone(frequencies_hz: Sequence[float], ms: int, level_dbm0: float = -13.0) -> bytes:
    """A sum of sines, each at `level_dbm0`."""
    at = np.arange(ms * RATE_HZ // 1000) / RATE_HZ
    sines = [np.sin(2 * np.pi * hz * at) for hz in frequencies_hz]
    return _faded(_amplitude(level_dbm0) * np.sum(sines, axis=0))


def beep(ms: int = 200, hz: float = 1000.0, level_dbm0: float = -13.0) -> bytes:
    """One short tone: "speak now"."""
    return tone((hz,), ms, level_dbm0)


def ringback(ms: int, region: Region = "eu") -> bytes:
    """What a caller hears while the other side rings, cut to `ms`."""
    return _repeated(_RINGBACK[region], ms)


def busy(ms: int, region: Region = "eu") -> bytes:
    """The busy tone, cut to `ms`."""
    return _repeated(_BUSY[region], ms)


def dtmf(digits: str, tone_ms: int = 100, gap_ms: int = 60) -> bytes:
    """Keys `0-9 * # A-D` as tones with a gap after each. Raises ValueError for any other key.

    The high group is 2 dB louder, as Q.24 receivers expect after a line that damps high frequencies.
    """
    gap = bytes(gap_ms * RATE_HZ // 1000 * 2)
    return b"".join(_key(digit, tone_ms) + gap for digit in digits.upper())


def comfort_noise(ms: int, level_dbm0: float = -60.0, seed: int = 0) -> bytes:
    """Quiet white noise, so that a caller does not take silence for a dead line."""
    # The level of a sine of this amplitude is 3 dB below its peak; noise of the same power has that as deviation.
    deviation = _amplitude(level_dbm0) / np.sqrt(2)
    noise = np.random.default_rng(seed).normal(0.0, deviation, ms * RATE_HZ // 1000)
    return _pcm(noise)


def _key(digit: str, ms: int) -> bytes:
    at = _DTMF_KEYS.find(digit)
    if at < 0:
        raise ValueError(f"{digit!r} is not a telephone key")
    row, column = divmod(at, 4)
    low = np.frombuffer(tone((_DTMF_ROWS_HZ[row],), ms, -9.0), dtype="<i2")
    high = np.frombuffer(tone((_DTMF_COLUMNS_HZ[column],), ms, -7.0), dtype="<i2")
    return _pcm(low.astype(np.float64) + high)


def _repeated(cadence: _Cadence, ms: int) -> bytes:
    off = bytes(cadence.off_ms * RATE_HZ // 1000 * 2)
    period = tone(cadence.frequencies_hz, cadence.on_ms, -19.0) + off
    wanted = ms * RATE_HZ // 1000 * 2
    return (period * (wanted // len(period) + 1))[:wanted]


def _amplitude(level_dbm0: float) -> float:
    return float(32767 * 10 ** ((level_dbm0 - _FULL_SCALE_DBM0) / 20))


def _faded(wave: NDArray[np.float64]) -> bytes:
    ramp = np.linspace(0.0, 1.0, min(_RAMP_SAMPLES, len(wave) // 2), endpoint=False)
    wave[: len(ramp)] *= ramp
    wave[len(wave) - len(ramp) :] *= ramp[::-1]
    return _pcm(wave)


def _pcm(wave: NDArray[np.float64]) -> bytes:
    return np.clip(np.rint(wave), -32768, 32767).astype("<i2").tobytes()
