"""Music on hold: the operator's own WAV, or a quiet piece made here, and a source that plays it round and round.

The default is ours, so nobody owes a licence for it: four slow broken chords of soft bell tones, 24 s, whose last
notes ring on over the beginning. Notes lie between 196 and 988 Hz, where G.711 and a telephone's ear-piece do no harm.
`music` blocks (a file, or some 20 ms of arithmetic): call it in a thread. `Loop` is plain arithmetic.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bridge.errors import MediaError
from bridge.media.frame import RATE_HZ, SAMPLE_BYTES
from bridge.media.offline import read_wav

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_SECONDS = 600
LEVEL_DBFS = -28.0
"""Well under a voice (-20 to -26 dBFS): what is said over it is understood."""
_NOTE_S = 0.75
_CHORDS = (  # Hz: C major 7, A minor 7, F major 7, G 6; eight notes each
    (261.63, 329.63, 392.00, 493.88),
    (220.00, 261.63, 329.63, 392.00),
    (349.23, 440.00, 523.25, 659.26),
    (196.00, 246.94, 293.66, 329.63),
)
_ORDER = (0, 2, 1, 3, 2, 1, 3, 2)
_PARTIALS = ((1.0, 1.0, 1.4), (2.0, 0.22, 0.8), (3.0, 0.06, 0.4))
"""(multiple of the pitch, loudness, seconds until it has decayed to 1/e)."""
_ATTACK_S = 0.03
_RING_S = 5.0


def music(path: str | None) -> bytes:
    """8 kHz mono 16-bit PCM to loop: the WAV at `path` (any rate, 16 bit), or the default piece for None.

    Raises MediaError: unreadable, empty, or more than 10 minutes.
    """
    if path is None:
        return _default()
    file = Path(path)
    try:
        size = file.stat().st_size
    except OSError as error:
        raise MediaError(f"{path}: {error.strerror}") from error
    pcm = read_wav(file) if size <= MAX_FILE_BYTES else b""
    seconds = len(pcm) / SAMPLE_BYTES / RATE_HZ
    if size > MAX_FILE_BYTES or seconds > MAX_SECONDS:
        raise MediaError(f"{path}: longer than {MAX_SECONDS // 60} minutes; cut it")
    if not pcm:
        raise MediaError(f"{path}: there is no sound in it")
    return pcm


class Loop:
    """`pcm` without an end. Each caller has a Loop of its own and shares the bytes."""

    def __init__(self, pcm: bytes) -> None:
        if not pcm or len(pcm) % SAMPLE_BYTES:
            raise ValueError("a loop needs whole 16-bit samples")
        self._pcm = pcm
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes (even)."""
        if size < 0 or size % SAMPLE_BYTES:
            raise ValueError(f"{size} bytes are no whole samples")
        end = self._at + size
        taken = self._pcm[self._at : end]
        while len(taken) < size:
            taken += self._pcm[: size - len(taken)]
        self._at = end % len(self._pcm)
        return taken


@cache
def _default() -> bytes:
    notes = [chord[step] for chord in _CHORDS for step in _ORDER]
    length = round(len(notes) * _NOTE_S * RATE_HZ)
    sound = np.zeros(length)
    for number, pitch in enumerate(notes):
        tone = _bell(pitch)
        at = (round(number * _NOTE_S * RATE_HZ) + np.arange(len(tone))) % length  # tails ring over the seam
        sound[at] += tone * (1.0 if number % 8 == 0 else 0.7)
    wanted = 32768 * 10 ** (LEVEL_DBFS / 20)
    sound *= wanted / np.sqrt(np.mean(sound**2))
    return np.rint(sound).clip(-32768, 32767).astype("<i2").tobytes()


def _bell(pitch_hz: float) -> NDArray[np.float64]:
    at = np.arange(round(_RING_S * RATE_HZ)) / RATE_HZ
    tone = sum(
        loudness * np.exp(-at / decay_s) * np.sin(2 * np.pi * pitch_hz * multiple * at)
        for multiple, loudness, decay_s in _PARTIALS
    )
    fade = np.minimum(1.0, at / _ATTACK_S) * np.minimum(1.0, (at[-1] - at) / 0.5)
    return np.asarray(tone * fade)
