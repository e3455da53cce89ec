r"""Streaming sample-rate conversion for the live path: a short polyphase FIR as two matrix products.

    input  |  previous block  |  current block  |        a block is N_in samples, laid out as one row
                    \ @ B            / @ A
    output           +---- sum ------+                   a block of N_out samples

A row of output depends on its own block of input and, because the filter is shorter than a block, on the one
before. Writing that as two constant matrices lets BLAS do all phases of many blocks at once, without strided
views. The filter is a Kaiser-windowed sinc: flat to 3.4 kHz, stop band from 4.6 kHz at 24 kHz, so what folds
back on decimation lands above the telephone band. Delay is the price of the slope: 79 taps are 1.6 ms.

Sans-IO, used by one owner at a time (uplink and downlink have their own instance). soxr holds 40 ms back and
is for offline work only (recorder.py).
"""

import numpy as np
from numpy.typing import NDArray

_HIGH_RATE_HZ = 24000
_CUTOFF_HZ = 3950
_TAPS = 79
_KAISER_BETA = 5.6
_BLOCK_MS = 4  # longer than the filter, and 20 ms is a whole number of blocks
_MAX_BLOCKS = 5  # 20 ms a step: keeps the work arrays in cache and BLAS on one thread


class Resampler:
    """Converts 16-bit mono PCM by the rate ratio `up`/`down`, one of 3/1 (8 to 24 kHz) and 1/3 (24 to 8 kHz).

    `delay_ms` is the constant algorithmic delay. Raises ValueError for other ratios.
    """

    def __init__(self, up: int, down: int) -> None:
        if (up, down) not in {(3, 1), (1, 3)}:
            raise ValueError(f"no filter for the ratio {up}/{down}")
        self.delay_ms = (_TAPS - 1) / 2 * 1000 / _HIGH_RATE_HZ
        self._up = up
        self._unit = 2 * down
        self._carry = b""
        self._n_in = _HIGH_RATE_HZ * _BLOCK_MS // 1000 // up
        n_out = _HIGH_RATE_HZ * _BLOCK_MS // 1000 // down
        self._now, self._before = _matrices(up, down, self._n_in, n_out)
        self._history = np.zeros((_MAX_BLOCKS + 1) * self._n_in, dtype=np.float32)
        self._sum = np.zeros((_MAX_BLOCKS, n_out), dtype=np.float32)
        self._part = np.zeros((_MAX_BLOCKS, n_out), dtype=np.float32)

    def push(self, pcm: bytes) -> bytes:
        """Feed any number of bytes, get what can be given: 3x the samples up, a third down (rest carried)."""
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


def _matrices(up: int, down: int, n_in: int, n_out: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The filter as (n_in, n_out) matrices for the current and for the previous block."""
    ideal = np.sinc((np.arange(_TAPS) - (_TAPS - 1) / 2) * 2 * _CUTOFF_HZ / _HIGH_RATE_HZ)
    taps = ideal * np.kaiser(_TAPS, _KAISER_BETA)
    taps *= up / taps.sum()
    # Sample i of the input stands at i * up and sample o of the output at o * down on the common fine grid.
    lag = np.arange(n_out)[None, :] * down - np.arange(n_in)[:, None] * up

    def coefficients(lags: NDArray[np.int_]) -> NDArray[np.float32]:
        inside = (lags >= 0) & (lags < _TAPS)
        return np.where(inside, taps[np.clip(lags, 0, _TAPS - 1)], 0.0).astype(np.float32)

    return coefficients(lag), coefficients(lag + n_in * up)
