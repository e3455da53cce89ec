"""Who has answered a call that we placed: a person, or a machine. Levels and tones in, a verdict out.

    20 ms PCM ─► level (dBFS), pure tone? ─► Amd ─► HUMAN · MACHINE · SILENCE · UNDECIDED
                                          └► MessageMoment ─► when a message can be left

A person says a word or two and waits; a machine talks on, or plays tones (a beep, SIT) or music. So: a short greeting
that is followed by silence is a person, a long one a machine. It is a guess, and a wrong "machine" hangs up on a
person, so what is not clear counts as a person. Machines without a clock: 20 ms frames count the time. Uses numpy.
"""

from collections import deque
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from bridge.media.frame import FRAME_MS, RATE_HZ

FLOOR_DBFS = -90.0
SPEECH_DBFS = -46.0
"""Quieter than this is never a greeting."""
OVER_NOISE_DB = 10.0
FIRST_FRAMES = 6
FIRST_DBFS = -35.0
HANG_MS = 120
"""Gaps within a word: after voice so much counts as voice."""
BESIDE_GREETING_MS = 1100
"""A greeting that lasts longer than the time for the verdict without this is a machine's: 1.9 of 3 s. Who has time to
listen longer takes fewer long greetings of offices for machines. Measured: tests/media/test_amd.py."""
AFTER_GREETING_MS = 720
"""So much silence after a short greeting is a person who waits."""
MIN_VOICE_MS = 100
TONE_MS = 100
TONE_HZ = (400.0, 2000.0)
TONE_PURITY = 0.9
"""Share of a frame's energy that lies in the one peak."""
TONE_DBFS = -40.0
TONE_DRIFT_HZ = 40.0
MUSIC_MS = 1600
"""Sound with peaks in its spectrum that goes on without a pause for so long is music (noise has no peaks)."""
MUSIC_DBFS = -42.0
FLATNESS = 0.2
"""Geometric by arithmetic mean of the power spectrum: about 0.5 for noise, below 0.1 for tones."""
MESSAGE_SILENCE_MS = 2500
_NOISE_FRAMES = 100
_WINDOW: NDArray[np.float64] = np.hanning(2 * FRAME_MS * RATE_HZ // 1000)
_HZ_A_BIN = RATE_HZ / len(_WINDOW)
_SPEECH_BINS = slice(round(200 / _HZ_A_BIN), round(3400 / _HZ_A_BIN))


class Verdict(Enum):
    """Who has answered. SILENCE and UNDECIDED are treated as a person."""

    HUMAN = "human"
    MACHINE = "machine"
    SILENCE = "silence"
    UNDECIDED = "undecided"


def level_dbfs(pcm: bytes) -> float:
    """Level of a frame: a full-scale square wave is 0 dBFS; FLOOR_DBFS for digital silence."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    power = float(np.mean(samples * samples)) if len(samples) else 0.0
    return max(10 * float(np.log10(power / 32768.0**2)), FLOOR_DBFS) if power > 0 else FLOOR_DBFS


class ToneEar:
    """Pure tones of 400 to 2000 Hz, and music, in windows of 40 ms that overlap by half."""

    def __init__(self) -> None:
        self._before = bytes(FRAME_MS * RATE_HZ // 1000 * 2)
        self._hz = 0.0
        self.ms = 0
        """How long the tone has lasted; 0: there is none."""
        self.music_ms = 0
        """How long there has been sound with peaks, without a pause."""

    def hear(self, pcm: bytes) -> int:
        """Take the next 20 ms; the length of the tone so far."""
        samples = np.frombuffer(self._before + pcm, "<i2").astype(np.float64)
        self._before = pcm
        level = level_dbfs(pcm)
        power = np.abs(np.fft.rfft(samples * _WINDOW[: len(samples)])) ** 2
        hz = _pure_tone_hz(power) if level > TONE_DBFS else 0.0
        peaks = level > MUSIC_DBFS and _flatness(power) < FLATNESS
        self.music_ms = self.music_ms + FRAME_MS if peaks else 0
        same = hz > 0 and abs(hz - self._hz) <= TONE_DRIFT_HZ
        self._hz = hz
        self.ms = self.ms + FRAME_MS if same else (FRAME_MS if hz else 0)
        return self.ms


def _flatness(power: NDArray[np.float64]) -> float:
    band = power[_SPEECH_BINS] + 1.0
    return float(np.exp(np.mean(np.log(band))) / np.mean(band))


def _pure_tone_hz(power: NDArray[np.float64]) -> float:
    """The frequency of a window that is one sine; 0.0 when it is anything else."""
    peak, total = int(np.argmax(power)), float(np.sum(power))
    hz = peak * _HZ_A_BIN
    if total <= 0 or not TONE_HZ[0] <= hz <= TONE_HZ[1]:
        return 0.0
    near = float(np.sum(power[max(peak - 2, 0) : peak + 3]))
    return hz if near / total >= TONE_PURITY else 0.0


class VoiceEar:
    """Voice or not, over a noise floor that it learns: the quietest tenth of the last two seconds."""

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=_NOISE_FRAMES)
        self._hang_ms = 0

    def hear(self, level: float) -> bool:
        """Whether the frame belongs to a word."""
        self._levels.append(level)
        ordered = sorted(self._levels)
        noise = ordered[len(ordered) // 10]
        if len(self._levels) < FIRST_FRAMES:  # nothing is known of the noise yet
            loud = level > FIRST_DBFS
        else:
            loud = level > SPEECH_DBFS and level > noise + OVER_NOISE_DB
        self._hang_ms = HANG_MS if loud else max(self._hang_ms - FRAME_MS, 0)
        return self._hang_ms > 0


class Amd:
    """One call, from the answer. `seconds`: when the verdict is due at the latest. `why`: words for the record."""

    def __init__(self, seconds: float = 3.0) -> None:
        self.why = ""
        self._due_ms = round(seconds * 1000)
        self._longest_ms = max(self._due_ms - BESIDE_GREETING_MS, MIN_VOICE_MS)
        self._tones = ToneEar()
        self._voice = VoiceEar()
        self._ms = 0
        self._voice_ms = 0
        self._began_ms: int | None = None
        self._last_ms = 0

    def hear(self, pcm: bytes) -> Verdict | None:
        """Take the next 20 ms; the verdict as soon as there is one."""
        self._ms += FRAME_MS
        if self._tones.hear(pcm) >= TONE_MS:
            return self._say(Verdict.MACHINE, "a tone")
        if self._tones.music_ms >= MUSIC_MS:
            return self._say(Verdict.MACHINE, "music")
        if self._voice.hear(level_dbfs(pcm)):
            if self._began_ms is None:
                self._began_ms = self._ms
            self._voice_ms += FRAME_MS
            self._last_ms = self._ms
        greeting_ms = self._last_ms - (self._began_ms or self._last_ms)
        if greeting_ms > self._longest_ms:
            return self._say(Verdict.MACHINE, f"talked for {greeting_ms} ms")
        quiet_ms = self._ms - self._last_ms
        if self._began_ms is not None and quiet_ms >= AFTER_GREETING_MS:
            if self._voice_ms >= MIN_VOICE_MS + HANG_MS:
                return self._say(Verdict.HUMAN, f"said something for {greeting_ms} ms, then waited")
            self._began_ms, self._voice_ms = None, 0  # a click
        return self.give_up() if self._ms >= self._due_ms else None

    def give_up(self) -> Verdict:
        """The verdict of what was heard so far."""
        if self._began_ms is None:
            return self._say(Verdict.SILENCE, "nothing was said")
        return self._say(Verdict.UNDECIDED, f"still talking after {self._last_ms - self._began_ms} ms")

    def _say(self, verdict: Verdict, why: str) -> Verdict:
        self.why = why
        return verdict


class MessageMoment:
    """When a machine that has answered can be told something: after its beep, or when it is silent for long."""

    def __init__(self) -> None:
        self._tones = ToneEar()
        self._voice = VoiceEar()
        self._beeped = False
        self._quiet_ms = 0

    def hear(self, pcm: bytes) -> str:
        """Take the next 20 ms; why it is time now, or ""."""
        tone_ms = self._tones.hear(pcm)
        self._beeped = self._beeped or tone_ms >= TONE_MS
        if self._beeped and not tone_ms:
            return "beep"
        self._quiet_ms = 0 if self._voice.hear(level_dbfs(pcm)) else self._quiet_ms + FRAME_MS
        return "silence" if self._quiet_ms >= MESSAGE_SILENCE_MS else ""
