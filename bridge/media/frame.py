"""The audio unit of the phone side: a 20 ms frame of 16-bit little-endian mono PCM at 8000 Hz.

Every part of the bridge counts audio with these numbers; those that carry the audio of a wideband worker (16000 Hz)
are told its rate and ask `bytes_per_ms`. Pure: constants and a few measurements, called from any thread. It never
resamples, mixes or stores anything.
"""

import math

import numpy as np

RATE_HZ = 8000
FRAME_MS = 20
SAMPLE_BYTES = 2
FRAME_SAMPLES = RATE_HZ * FRAME_MS // 1000
FRAME_BYTES = FRAME_SAMPLES * SAMPLE_BYTES
BYTES_PER_MS = RATE_HZ * SAMPLE_BYTES // 1000
SILENCE = bytes(FRAME_BYTES)
WIDE_RATE_HZ = 16000
"""Of a worker that takes G.722."""

# What rms_dbfs answers for digital silence: below the -96 dB floor of 16 bits, and still a number.
SILENCE_DBFS = -120.0


def bytes_per_ms(rate_hz: int) -> int:
    """Of 16-bit mono PCM."""
    return rate_hz * SAMPLE_BYTES // 1000


def duration_ms(pcm: bytes, rate_hz: int = RATE_HZ) -> float:
    """Length of 16-bit mono `pcm` in milliseconds."""
    return len(pcm) * 1000 / (rate_hz * SAMPLE_BYTES)


def rms_dbfs(pcm: bytes) -> float:
    """Level of 16-bit mono `pcm` in dB below a full-scale square wave; `SILENCE_DBFS` for silence."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64)
    power = float(np.dot(samples, samples))
    if power == 0.0:
        return SILENCE_DBFS
    return 10 * math.log10(power / len(samples) / 32768**2)
