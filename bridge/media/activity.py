"""Whether a 20 ms frame of telephone audio is speech: level over an adaptive noise floor, tones left out.

    frame ─► spectrum ─► level of 150-3400 Hz ─► over the floor?  ─► SPEECH
                    └──► one or two narrow peaks? ─► TONE (DTMF, beeps, ringback, fax)

The floor is the lowest level of the last 1.6 s, so that it follows the line in both directions and no speech can push
it up: people pause between syllables. Cheap enough for a worker (about 20 µs a frame); a neural detector has no place
there (design.md section 2 keeps it in the local engine). Pure state: no clock, frames are time.
"""

import math
from collections import deque
from enum import Enum

import numpy as np

from bridge.media.frame import FRAME_BYTES, FRAME_SAMPLES, RATE_HZ, SILENCE_DBFS

ENTER_DB = 8.0
"""So far over the floor is speech; STAY_DB while somebody is speaking."""
STAY_DB = 5.0
QUIETEST_DBFS = -50.0
"""Nothing below is speech, however quiet the line."""
EARLY_FLOOR_DBFS = -40.0
"""Highest floor in the first second: who speaks at once is heard at once."""
_EARLY_FRAMES = 50
_BLOCK_FRAMES = 16
_BLOCKS = 5
_NO_AUDIO_DBFS = (
    -85.0
)  # packets that never came, or a far end that sends nothing: says nothing about the line
_BIN_HZ = RATE_HZ / FRAME_SAMPLES
_FIRST_BIN, _LAST_BIN = round(150 / _BIN_HZ), round(3400 / _BIN_HZ)
_LOW_BINS = round((1200 - 150) / _BIN_HZ)
_VOICED_SHARE = 0.5
_TONE_SHARE = 0.93
_TONE_FROM_HZ = 380.0  # below, a vowel's first harmonics can be as narrow
_WINDOW = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)
# Power of the windowed spectrum to mean square of the samples, both sides of the spectrum counted.
_SCALE = 2.0 / (FRAME_SAMPLES * float(np.sum(_WINDOW.astype(np.float64) ** 2))) / 32768.0**2


class Sound(Enum):
    """What a frame is. VOICED is speech with a pitch: most of its power lies below 1.2 kHz."""

    QUIET = "quiet"
    TONE = "tone"
    SPEECH = "speech"
    VOICED = "voiced"

    @property
    def speech(self) -> bool:
        """Somebody speaks."""
        return self in (Sound.SPEECH, Sound.VOICED)


class Activity:
    """One caller's line. Feed it every frame, in order."""

    def __init__(self) -> None:
        self._frames = 0
        self._speaking = False
        self._block = math.inf
        self._blocks: deque[float] = deque(maxlen=_BLOCKS)
        self.level_dbfs = SILENCE_DBFS
        """Of the last frame, 150 to 3400 Hz."""

    @property
    def floor_dbfs(self) -> float:
        """The line's noise, as far as it is known."""
        floor = min(self._block, *self._blocks) if self._blocks else self._block
        if floor == math.inf:
            return EARLY_FLOOR_DBFS
        return min(floor, EARLY_FLOOR_DBFS) if self._frames <= _EARLY_FRAMES else floor

    def push(self, frame: bytes) -> Sound:
        """Judge the next 20 ms (320 bytes; a shorter frame is continued with silence)."""
        samples = np.frombuffer(frame[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0"), dtype="<i2")
        spectrum = np.fft.rfft(samples * _WINDOW)
        power = (spectrum.real**2 + spectrum.imag**2)[_FIRST_BIN : _LAST_BIN + 1]
        total = float(power.sum())
        self.level_dbfs = 10 * math.log10(total * _SCALE) if total > 0 else SILENCE_DBFS
        self._learn()
        margin = STAY_DB if self._speaking else ENTER_DB
        if self.level_dbfs < max(QUIETEST_DBFS, self.floor_dbfs + margin):
            self._speaking = False
            return Sound.QUIET
        if _is_tone(power, total):
            self._speaking = False
            return Sound.TONE
        self._speaking = True
        return Sound.VOICED if float(power[:_LOW_BINS].sum()) >= _VOICED_SHARE * total else Sound.SPEECH

    def _learn(self) -> None:
        if self.level_dbfs < _NO_AUDIO_DBFS:
            return
        self._frames += 1
        self._block = min(self._block, self.level_dbfs)
        if self._frames % _BLOCK_FRAMES == 0:
            self._blocks.append(self._block)
            self._block = math.inf


def _is_tone(power: "np.ndarray[tuple[int], np.dtype[np.floating]]", total: float) -> bool:
    """One or two narrow peaks hold nearly all of the power (a window's main lobe is three bins wide)."""
    first = int(power.argmax())
    if (first + _FIRST_BIN) * _BIN_HZ < _TONE_FROM_HZ:
        return False
    peak = float(power[max(first - 2, 0) : first + 3].sum())
    if peak >= _TONE_SHARE * total:
        return True
    rest = power.copy()
    rest[max(first - 2, 0) : first + 3] = 0
    second = int(rest.argmax())
    if (second + _FIRST_BIN) * _BIN_HZ < _TONE_FROM_HZ:
        return False
    return peak + float(rest[max(second - 2, 0) : second + 3].sum()) >= _TONE_SHARE * total
