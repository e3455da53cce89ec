"""One pressed key, reported twice: phones exist that send RFC 4733 and SIP INFO for the same key. A machine.

A digit is taken for the echo of one that came by the other method at most `ECHO_S` ago and has had no echo yet;
so "11" by both methods is two digits, in whatever order the four reports come. Owned by Leg.
"""

from collections import deque

from bridge.sip.events import Dtmf

ECHO_S = 0.5
MAX_WAITING = 16  # nobody presses more keys in half a second


class Keys:
    """Tells a pressed key from the second report of one."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Dtmf, float]] = deque(maxlen=MAX_WAITING)

    def is_new(self, key: Dtmf, now: float) -> bool:
        """Whether `key`, reported at monotonic `now`, is a key press of its own."""
        while self._waiting and now - self._waiting[0][1] > ECHO_S:
            self._waiting.popleft()
        for index, (other, _) in enumerate(self._waiting):
            if other.digit == key.digit and other.method is not key.method:
                del self._waiting[index]
                return False
        self._waiting.append((key, now))
        return True
