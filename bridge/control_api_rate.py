"""How often each token may ask: a bucket a token that fills by so many a second. Machine: `now` in, seconds out."""

PER_S, BURST = 20.0, 100.0
MOST = 4096
"""Buckets kept; the one that was used longest ago goes first, which is full again by then."""


class Buckets:
    """`per_s` requests a second in the long run, `burst` at once."""

    def __init__(self, per_s: float = PER_S, burst: float = BURST, most: int = MOST) -> None:
        self.per_s = per_s
        self._burst = burst
        self._most = most
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, key: str, now: float) -> float:
        """0.0: it may ask; else in so many seconds. `now`: monotonic seconds."""
        left, at = self._left.pop(key, (self._burst, now))
        left = min(left + max(now - at, 0.0) * self.per_s, self._burst)
        wait_s = 0.0 if left >= 1.0 else (1.0 - left) / self.per_s
        self._left[key] = (left if wait_s else left - 1.0, now)
        if len(self._left) > self._most:
            del self._left[next(iter(self._left))]
        return wait_s
