"""The sounds the bench measures with, and finding them again in what came back. Pure numpy.

A marker is a burst that begins at full level: a cosine, so that its very first sample is loud. It is found at half
its level; a band-limiting filter moves that point by a tenth of a millisecond and its own delay, which counts as
latency like everything else. All positions are samples of the stream they are in.
"""

import math

import numpy as np
from numpy.typing import NDArray

from bridge.media import g711

RATE_HZ = 8000
MODEL_RATE_HZ = 24000
PACKET = 160
LEVEL = 16000
LOUD = LEVEL // 2
TONE_HZ = 500.0

Pcm = NDArray[np.int16]
CODECS = {
    0: (g711.pcmu_encode, g711.pcmu_decode),
    8: (g711.pcma_encode, g711.pcma_decode),
}


def burst(ms: float, rate_hz: int) -> Pcm:
    """A tone that is loud from its first sample on."""
    n = np.arange(round(ms * rate_hz / 1000))
    return (LEVEL * np.cos(2 * math.pi * TONE_HZ * n / rate_hz)).astype(np.int16)


def with_markers(
    length: int, gap: tuple[int, int], ms: float, rng: np.random.Generator
) -> tuple[Pcm, list[int]]:
    """Silence of `length` samples (8 kHz) with bursts at random distances; their first samples."""
    pcm = np.zeros(length, np.int16)
    tone = burst(ms, RATE_HZ)
    onsets = []
    at = int(rng.integers(*gap))
    while at + len(tone) + gap[0] < length:
        pcm[at : at + len(tone)] = tone
        onsets.append(at)
        at += len(tone) + int(rng.integers(*gap))
    return pcm, onsets


def onsets(pcm: Pcm, quiet_samples: int) -> list[int]:
    """First samples of everything loud that follows `quiet_samples` or more of quiet."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) >= LOUD)
    if not len(loud):
        return []
    fresh = np.diff(loud, prepend=-quiet_samples - 1) > quiet_samples
    return [int(at) for at in loud[fresh]]


def stretches(pcm: Pcm, quiet_samples: int) -> list[tuple[int, int]]:
    """(first, last) loud sample of every stretch of sound; stretches are `quiet_samples` or more apart."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) >= LOUD)
    if not len(loud):
        return []
    cuts = np.flatnonzero(np.diff(loud) > quiet_samples)
    firsts = np.concatenate(([loud[0]], loud[cuts + 1]))
    lasts = np.concatenate((loud[cuts], [loud[-1]]))
    return [(int(a), int(b)) for a, b in zip(firsts, lasts, strict=True)]


def packets(pcm: Pcm, payload_type: int) -> NDArray[np.uint8]:
    """RTP payloads of 20 ms, one a row; an incomplete last one is dropped."""
    whole = pcm[: len(pcm) // PACKET * PACKET]
    encoded = CODECS[payload_type][0](whole.astype("<i2").tobytes())
    return np.frombuffer(encoded, np.uint8).reshape(-1, PACKET)


def decoded(payload: bytes, payload_type: int) -> Pcm:
    """8 kHz samples of G.711 bytes."""
    return np.frombuffer(CODECS[payload_type][1](payload), "<i2")
