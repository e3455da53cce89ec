"""Bounded queue of uplink audio between pjmedia's clock thread and the call's loop.

Full means the loop or the model side cannot keep up. The rule is to drop the oldest: what the caller says
now matters more than what was said before, and delay must not grow in silence. `dropped_ms` counts it.
Sans-IO and without a lock of its own: the port holds one lock around it, as around the playout.
"""

from collections import deque

from bridge.media.frame import RATE_HZ, bytes_per_ms


class Intake:
    """FIFO of PCM pieces at `rate_hz`, at most `max_ms` long in sum. Raises ValueError for a bound below 1 ms."""

    def __init__(self, max_ms: int = 1000, rate_hz: int = RATE_HZ) -> None:
        if max_ms < 1:
            raise ValueError("an intake needs room")
        self._bytes_per_ms = bytes_per_ms(rate_hz)
        self._max_bytes = max_ms * self._bytes_per_ms
        self._pieces: deque[bytes] = deque()
        self._queued_bytes = 0
        self._dropped_bytes = 0

    @property
    def queued_ms(self) -> float:
        """Audio that waits."""
        return self._queued_bytes / self._bytes_per_ms

    @property
    def dropped_ms(self) -> float:
        """Audio lost since the start because nobody pulled it in time."""
        return self._dropped_bytes / self._bytes_per_ms

    def push(self, pcm: bytes) -> None:
        """Append a piece; the oldest go when the bound is passed (one longer than the bound goes itself)."""
        self._pieces.append(pcm)
        self._queued_bytes += len(pcm)
        while self._queued_bytes > self._max_bytes:
            lost = len(self._pieces.popleft())
            self._queued_bytes -= lost
            self._dropped_bytes += lost

    def pull(self) -> bytes | None:
        """The oldest piece, or None."""
        if not self._pieces:
            return None
        pcm = self._pieces.popleft()
        self._queued_bytes -= len(pcm)
        return pcm

    def clear(self) -> None:
        """Drop all on purpose (hold, a new session); not counted as lost."""
        self._pieces.clear()
        self._queued_bytes = 0
