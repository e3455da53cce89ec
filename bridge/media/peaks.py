"""How loud a recording is, moment by moment, for a picture: WAV file in, two rows of numbers out. Blocks: on a thread.

A file that is still written, or was cut by a crash, has a header that promises no more than it holds (recorder.py).
Read piece by piece: an hour of stereo is 115 MB.
"""

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bridge.errors import MediaError

PIECE_FRAMES = 1 << 18
MAX_SECONDS = 24 * 3600.0
FULL = 100
"""The loudest value: 0 dBFS. Values are in decibels from FLOOR_DB on, which is how loud it seems."""
FLOOR_DB = -54.0


@dataclass(frozen=True, slots=True)
class Peaks:
    """Each value stands for `seconds / len(caller)` and is 0 (silent) to FULL."""

    seconds: float
    caller: tuple[int, ...]
    agent: tuple[int, ...]


def peaks(path: Path, buckets: int) -> Peaks:
    """The loudest sample of each part of the file. MediaError: it cannot be read, or is no stereo recording of ours."""
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth()) != (2, 2):
                raise MediaError(f"{path}: not 16-bit stereo")
            frames, rate_hz = file.getnframes(), file.getframerate()
            if not 0 < frames <= MAX_SECONDS * rate_hz:
                raise MediaError(f"{path}: empty, or longer than a day")
            loudest = _loudest(file, frames, min(buckets, frames))
    except (OSError, EOFError, wave.Error) as error:
        raise MediaError(f"{path}: cannot be read: {error}") from error
    caller, agent = (tuple(int(value) for value in _decibels(loudest[:, side])) for side in (0, 1))
    return Peaks(frames / rate_hz, caller, agent)


def _loudest(
    file: wave.Wave_read, frames: int, buckets: int
) -> "np.ndarray[tuple[int, int], np.dtype[np.int32]]":
    found = np.zeros((buckets, 2), dtype=np.int32)
    done = 0
    while done < frames:
        raw = file.readframes(min(PIECE_FRAMES, frames - done))
        samples = np.abs(np.frombuffer(raw, dtype="<i2").astype(np.int32)).reshape(-1, 2)
        if not len(samples):
            break
        places = (np.arange(done, done + len(samples)) * buckets) // frames
        firsts = np.flatnonzero(np.diff(places, prepend=-1))
        np.maximum.at(found, places[firsts], np.maximum.reduceat(samples, firsts, axis=0))
        done += len(samples)
    return found


def _decibels(
    loudest: "np.ndarray[tuple[int], np.dtype[np.int32]]",
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    level = 20 * np.log10(np.maximum(loudest, 1) / 32768)
    return np.clip(np.rint((level - FLOOR_DB) * FULL / -FLOOR_DB), 0, FULL).astype(np.int64)
