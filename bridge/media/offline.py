"""Audio work that has time: WAV files, prompts, analysis. Never on the live path (soxr HQ holds 40 ms back).

soxr is imported when it is first needed, so that a worker which never plays a file does not pay for it.
Called from any thread; blocks for as long as the file is big.
"""

import wave
from pathlib import Path

import numpy as np

from bridge.errors import MediaError
from bridge.media import mixer
from bridge.media.frame import RATE_HZ, SAMPLE_BYTES


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """A whole piece of 16-bit mono PCM at another rate, in soxr's high quality."""
    if from_hz == to_hz or not pcm:
        return pcm
    import soxr  # noqa: PLC0415  # see above: 6 MB that most workers never need

    return bytes(soxr.resample(np.frombuffer(pcm, dtype="<i2"), from_hz, to_hz).astype("<i2").tobytes())


def mix(left: bytes, right: bytes) -> bytes:
    """Two mono pieces added up (clipped); the shorter one is continued with silence."""
    size = max(len(left), len(right))
    return mixer.mix(left.ljust(size, b"\0"), right.ljust(size, b"\0"))


def read_wav(path: Path, rate_hz: int = RATE_HZ) -> bytes:
    """A 16-bit WAV file of any rate and channel count as mono PCM at `rate_hz`. Raises MediaError."""
    try:
        with wave.open(str(path)) as file:
            channels, width, from_hz = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise MediaError(f"{path}: not a readable WAV file: {error}") from error
    if width != SAMPLE_BYTES:
        raise MediaError(f"{path}: {8 * width}-bit samples; save it as 16-bit PCM")
    if channels > 1:
        whole = len(data) // (width * channels) * channels
        samples = np.frombuffer(data, dtype="<i2", count=whole).reshape(-1, channels)
        data = np.rint(samples.mean(axis=1)).astype("<i2").tobytes()
    return resample(data, from_hz, rate_hz)


def write_wav(path: Path, pcm: bytes, rate_hz: int = RATE_HZ) -> None:
    """Mono 16-bit PCM as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(rate_hz)
        file.writeframes(pcm)
