"""Between the browser's 48 kHz and the telephone's 8 or 16 kHz: the live path's own filters, one behind the other.

    48 ◄─3─► 16 ◄─2─► 8 kHz      2.4 ms and less; soxr would hold 25 ms and more back (design section 2)

The filters are laid out for other rates, but only their ratio counts: 3/1 cuts at the same place of the lower band.
Machine.
"""

from collections.abc import Sequence

from bridge.media.resample import Resampler

BROWSER_HZ = 48000
_UP = {16000: ((3, 1),), 8000: ((2, 1), (3, 1))}
_DOWN = {16000: ((1, 3),), 8000: ((1, 3), (1, 2))}


class Chain:
    """Resamplers, one after the other."""

    def __init__(self, ratios: Sequence[tuple[int, int]]) -> None:
        self._stages = [Resampler(up, down) for up, down in ratios]

    def push(self, pcm: bytes) -> bytes:
        """Of 20 ms, 20 ms."""
        for stage in self._stages:
            pcm = stage.push(pcm)
        return pcm


def to_browser(rate_hz: int) -> Chain:
    """From 8000 or 16000 to 48000 Hz."""
    return Chain(_UP[rate_hz])


def from_browser(rate_hz: int) -> Chain:
    """From 48000 to 8000 or 16000 Hz."""
    return Chain(_DOWN[rate_hz])
