"""How many calls may come in at once. A machine: `now` in, yes or no out.

pjproject 2.15.1 as compiled has 64 socket handles for media, a call takes two, and a closed one rests for 500 ms
(PJ_IOQUEUE_MAX_HANDLES, PJ_IOQUEUE_KEY_FREE_DELAY). The 33rd call within that time aborts the process, however short
the calls before it were; so a worker admits fewer. Owned by SipAgent, on the pj thread.
"""

from collections import deque

REST_S = 0.6
MAX_CALLS = 24


class Pace:
    """At most `max_calls` in any `window_s` seconds."""

    def __init__(self, max_calls: int = MAX_CALLS, window_s: float = REST_S) -> None:
        self._max_calls = max_calls
        self._window_s = window_s
        self._admitted: deque[float] = deque()

    def admit(self, now: float) -> bool:
        """Whether a call may come in at monotonic `now`; it counts if so."""
        while self._admitted and now - self._admitted[0] >= self._window_s:
            self._admitted.popleft()
        if len(self._admitted) >= self._max_calls:
            return False
        self._admitted.append(now)
        return True
