"""PESQ (ITU-T P.862, narrow band) of a clip that went through the bridge. Offline; slow, so after the calls.

The line itself costs something: µ-law alone scores below 4 on our clip. So the bridge is judged against the µ-law
coded clip, as it was on the wire; the score against the original is reported beside it.
"""

import numpy as np
import soxr
from pesq import pesq

from bridge.media import g711
from tests.bench.measures import model_audio
from tests.bench.rounds import Joined
from tests.bench.sound import MODEL_RATE_HZ, RATE_HZ, Pcm


def coded(clip: Pcm) -> Pcm:
    """The clip as it is on the wire."""
    return np.frombuffer(g711.pcmu_decode(g711.pcmu_encode(clip.astype("<i2").tobytes())), "<i2")


def to_model_rate(clip: Pcm) -> Pcm:
    """8 → 24 kHz, offline quality."""
    return _resampled(clip, RATE_HZ, MODEL_RATE_HZ)


def _resampled(pcm: Pcm, from_hz: int, to_hz: int) -> Pcm:
    exact = soxr.resample(pcm.astype(np.float64), from_hz, to_hz, "VHQ")
    return np.asarray(np.clip(exact, -32768, 32767), np.int16)


def uplink_scores(call: Joined, clip: Pcm) -> tuple[float, float]:
    """Against the clip on the wire, and against the original."""
    pcm, rate = model_audio(call)
    if rate != RATE_HZ:
        pcm = _resampled(pcm, rate, RATE_HZ)
    return _scores(pcm, clip)


def downlink_scores(call: Joined, clip: Pcm) -> tuple[float, float]:
    """Against the clip on the wire, and against the original."""
    return _scores(call.heard(), clip)


def _scores(degraded: Pcm, clip: Pcm) -> tuple[float, float]:
    at = _place(degraded, clip)
    cut = degraded[max(at, 0) : at + len(clip)]
    cut = np.pad(cut, (max(-at, 0), 0))
    cut = np.pad(cut, (0, max(len(clip) - len(cut), 0)))[: len(clip)]
    return float(pesq(RATE_HZ, coded(clip), cut, "nb")), float(pesq(RATE_HZ, clip, cut, "nb"))


def _place(pcm: Pcm, clip: Pcm) -> int:
    """Where the clip begins in `pcm`: the best correlation."""
    size = 1 << (len(pcm) + len(clip)).bit_length()
    spectrum = np.fft.rfft(pcm.astype(np.float64), size) * np.conj(np.fft.rfft(clip.astype(np.float64), size))
    at = int(np.argmax(np.fft.irfft(spectrum, size)))
    return at - size if at > size // 2 else at
