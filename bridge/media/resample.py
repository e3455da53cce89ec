r"""Streaming sample-rate conversion for the live path: a short polyphase FIR as two matrix products.

    input  |  previous block  |  current block  |        a block is N_in samples, laid out as one row
                    \ @ B            / @ A
    output           +---- sum ------+                   a block of N_out samples

A row of output depends on its own block of input and, because the filter is shorter than a block, on the one
before. Writing that as two constant matrices lets BLAS do all phases of many blocks at once, without strided
views. The filter is a Kaiser-windowed sinc on the grid that both rates share. Towards 8 kHz it is flat to 3.4 kHz
and stops from 4.6 kHz on, between 16 and 24 kHz flat to 7 kHz and stops from 8.5 kHz on: what folds back on decimation
lands above the telephone's (G.722's) band. Delay is the price of the slope: 1.5 to 1.9 ms, see `_FILTERS`.

Sans-IO, used by one owner at a time (uplink and downlink have their own instance). soxr holds 40 ms back and
is for offline work only (recorder.py).
"""

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

MODEL_RATE_HZ = 24000
_BLOCK_MS = 4  # longer than the filters, and 20 ms is a whole number of blocks
_MAX_BLOCKS = 5  # 20 ms a step: keeps the work arrays in cache and BLAS on one thread


@dataclass(frozen=True, slots=True)
class _Filter:
    """`fine_hz`: the grid both rates share. `taps` stand on it; half of them, less a half, are the delay."""

    fine_hz: int
    cutoff_hz: int
    taps: int
    beta: float


_TELEPHONE = _Filter(24000, 3950, 79, 5.6)  # 8 <-> 24 kHz: 1.6 ms
_WIDE = _Filter(48000, 7750, 145, 6.2)  # 16 <-> 24 kHz: 1.5 ms
_HALF = _Filter(16000, 4000, 61, 6.2)  # 8 <-> 16 kHz: 1.9 ms
_FILTERS = {
    (3, 1): _TELEPHONE, (1, 3): _TELEPHONE,
    (3, 2): _WIDE, (2, 3): _WIDE,
    (2, 1): _HALF, (1, 2): _HALF,
}  # fmt: skip


def ratio(from_hz: int, to_hz: int) -> tuple[int, int]:
    """(up, down) in its lowest terms: 16000 to 24000 is 3, 2."""
    common = gcd(from_hz, to_hz)
    return to_hz // common, from_hz // common


def between(from_hz: int, to_hz: int) -> "Resampler | None":
    """What converts from one rate to the other; None: they are the same."""
    return None if from_hz == to_hz else Resampler(*ratio(from_hz, to_hz))


class Resampler:
    """Converts 16-bit mono PCM by the rate ratio `up`/`down`.

    3/1 and 1/3 (8 kHz to 24 kHz and back), 3/2 and 2/3 (16 and 24 kHz), 2/1 and 1/2 (8 and 16 kHz).
    `delay_ms` is the constant algorithmic delay. Raises ValueError for other ratios.
    """

    def __init__(self, up: int, down: int) -> None:
        shape = _FILTERS.get((up, down))
        if shape is None:
            raise ValueError(f"no filter for the ratio {up}/{down}")
        self.delay_ms = (shape.taps - 1) / 2 * 1000 / shape.fine_hz
        self._up = up
        self._unit = 2 * down
        self._carry = b""
        self._n_in = shape.fine_hz * _BLOCK_MS // 1000 // up
        n_out = shape.fine_hz * _BLOCK_MS // 1000 // down
        self._now, self._before = _matrices(shape, up, down, self._n_in, n_out)
        self._history = np.zeros((_MAX_BLOCKS + 1) * self._n_in, dtype=np.float32)
        self._sum = np.zeros((_MAX_BLOCKS, n_out), dtype=np.float32)
        self._part = np.zeros((_MAX_BLOCKS, n_out), dtype=np.float32)

    def push(self, pcm: bytes) -> bytes:
        """Feed any number of bytes, get what can be given: `up`/`down` times the samples (a rest is carried)."""
        if self._carry:
            pcm = self._carry + pcm
        usable = len(pcm) - len(pcm) % self._unit
        self._carry = pcm[usable:]
        samples = np.frombuffer(pcm, dtype="<i2", count=usable // 2)
        step = self._n_in * _MAX_BLOCKS
        if len(samples) <= step:
            return self._convert(samples)
        return b"".join(self._convert(samples[at : at + step]) for at in range(0, len(samples), step))

    def reset(self) -> None:
        """Forget the past: the next push starts from silence."""
        self._carry = b""
        self._history[:] = 0

    def _convert(self, samples: NDArray[np.int16]) -> bytes:
        n, n_in, history = len(samples), self._n_in, self._history
        blocks = -(-n // n_in)
        # Row 0 is the block before; a last block that is not full is computed over old samples and cut off.
        history[n_in : n_in + n] = samples
        rows = history.reshape(-1, n_in)
        out = np.matmul(rows[1 : blocks + 1], self._now, out=self._sum[:blocks])
        out += np.matmul(rows[:blocks], self._before, out=self._part[:blocks])
        np.rint(out, out=out)
        np.minimum(out, 32767, out=out)
        np.maximum(out, -32768, out=out)
        history[:n_in] = history[n : n + n_in].copy()
        wanted = n * self._up * 2 // self._unit
        return out.astype("<i2").tobytes()[: wanted * 2]


def converted(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """A whole piece at another rate, as long as before: the filter's delay is cut off, its tail kept."""
    if from_hz == to_hz or not pcm:
        return pcm
    one = Resampler(*ratio(from_hz, to_hz))
    late = round(one.delay_ms * to_hz / 1000) * 2
    padding = bytes(4 * -(-from_hz // 1000))  # 2 ms and more: as much as the filter holds back
    wanted = len(pcm) // 2 * to_hz // from_hz * 2
    return one.push(pcm + padding)[late : late + wanted]


Matrix = NDArray[np.float32]


def _matrices(shape: _Filter, up: int, down: int, n_in: int, n_out: int) -> tuple[Matrix, Matrix]:
    """The filter as (n_in, n_out) matrices for the current and for the previous block."""
    ideal = np.sinc((np.arange(shape.taps) - (shape.taps - 1) / 2) * 2 * shape.cutoff_hz / shape.fine_hz)
    taps = ideal * np.kaiser(shape.taps, shape.beta)
    taps *= up / taps.sum()
    # Sample i of the input stands at i * up and sample o of the output at o * down on the common fine grid.
    lag = np.arange(n_out)[None, :] * down - np.arange(n_in)[:, None] * up

    def coefficients(lags: NDArray[np.int_]) -> Matrix:
        inside = (lags >= 0) & (lags < shape.taps)
        return np.where(inside, taps[np.clip(lags, 0, shape.taps - 1)], 0.0).astype(np.float32)

    return coefficients(lag), coefficients(lag + n_in * up)
