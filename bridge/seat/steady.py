"""Frames that come in bursts, go out one at a time: the little store between two clocks. Machine, one owner.

Empty, it gives nothing until it has a reserve again; full, the oldest frame goes: delay never grows.
"""

from collections import deque


class Steady:
    """`frame_bytes`: of what goes out. `reserve`: frames before it begins; at most `most` wait."""

    def __init__(self, frame_bytes: int, reserve: int = 2, most: int = 8) -> None:
        self._frame_bytes = frame_bytes
        self._reserve = reserve
        self._frames: deque[bytes] = deque(maxlen=most)
        self._rest = b""
        self._flows = False

    def put(self, pcm: bytes) -> None:
        """PCM of any length."""
        pcm = self._rest + pcm
        size = self._frame_bytes
        whole = len(pcm) - len(pcm) % size
        self._rest = pcm[whole:]
        self._frames.extend(pcm[at : at + size] for at in range(0, whole, size))
        self._flows = self._flows or len(self._frames) >= self._reserve

    def take(self) -> bytes | None:
        """The next frame; None: nothing, or not enough yet."""
        if not self._frames:
            self._flows = False
        return self._frames.popleft() if self._flows else None
