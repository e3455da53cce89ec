"""G.711 companding, µ-law (PCMU) and A-law (PCMA), by table look-up.

ITU-T G.711, tables 1a to 2b, with the 16-bit conventions of the ITU's own reference code (G.191
`ulaw_compress`, `alaw_compress`): a negative sample is folded by one's complement, so that both signs
quantise alike. (Sun's g711.c, which others copied, negates instead: codes differ where a sample is a tie.)
Pure and stateless, called from any thread. PCM is 16-bit little-endian mono; one payload byte is one sample.
A PCM argument of odd length is a mistake of the caller and raises ValueError.
"""

import numpy as np
from numpy.typing import NDArray

_BIAS = 33  # µ-law: makes every segment start at a power of two (14-bit domain)
_ULAW_MAX = 0x1FFF


def _magnitudes() -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Folded magnitude (15 bits) and sign of every 16-bit pattern, in the order of the unsigned pattern."""
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    return np.where(samples < 0, ~samples, samples), samples < 0


def _segment(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Index of the highest set bit: exact, because a double holds these integers exactly."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int32) - 1


def _ulaw_encode_table() -> NDArray[np.uint8]:
    magnitude, negative = _magnitudes()
    value = np.minimum((magnitude >> 2) + _BIAS, _ULAW_MAX)
    segment = _segment(value) - 5
    code = (segment << 4) | ((value >> (segment + 1)) & 0x0F)
    code |= np.where(negative, 0x80, 0)
    return np.asarray(~code & 0xFF, dtype=np.uint8)


def _ulaw_decode_table() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    segment, step = (code >> 4) & 7, code & 0x0F
    value = ((((step << 1) + _BIAS) << segment) - _BIAS) << 2
    return np.asarray(np.where(code & 0x80, -value, value), dtype="<i2")


def _alaw_encode_table() -> NDArray[np.uint8]:
    magnitude, negative = _magnitudes()
    value = magnitude >> 4
    segment = np.maximum(_segment(np.maximum(value, 1)) - 3, 0)
    shift = np.maximum(segment - 1, 0)
    code = (segment << 4) | ((value >> shift) & 0x0F)
    # 0x55: every second bit is inverted on the line, and the sign bit is 1 for positive values.
    code |= np.where(negative, 0, 0x80)
    return np.asarray(code ^ 0x55, dtype=np.uint8)


def _alaw_decode_table() -> NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment, step = (code >> 4) & 7, code & 0x0F
    value = ((step << 4) + 8 + np.where(segment > 0, 0x100, 0)) << np.maximum(segment - 1, 0)
    return np.asarray(np.where(code & 0x80, value, -value), dtype="<i2")


_ULAW_ENCODE = _ulaw_encode_table()
_ULAW_DECODE = _ulaw_decode_table()
_ALAW_ENCODE = _alaw_encode_table()
_ALAW_DECODE = _alaw_decode_table()


def pcmu_encode(pcm: bytes) -> bytes:
    """16-bit PCM to µ-law payload, one byte a sample."""
    return _ULAW_ENCODE.take(np.frombuffer(pcm, dtype="<u2")).tobytes()


def pcmu_decode(payload: bytes) -> bytes:
    """µ-law payload to 16-bit PCM."""
    return _ULAW_DECODE.take(np.frombuffer(payload, dtype=np.uint8)).tobytes()


def pcma_encode(pcm: bytes) -> bytes:
    """16-bit PCM to A-law payload, one byte a sample."""
    return _ALAW_ENCODE.take(np.frombuffer(pcm, dtype="<u2")).tobytes()


def pcma_decode(payload: bytes) -> bytes:
    """A-law payload to 16-bit PCM."""
    return _ALAW_DECODE.take(np.frombuffer(payload, dtype=np.uint8)).tobytes()
