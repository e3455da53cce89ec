"""When the model side fails: try again, or go on with the dialplan's `or_else`. A machine.

Before the answer the caller hears ringing, so there is time for another try until the answer is due. In the
middle of a call a
new session is a new conversation (the protocol has no resume): it is told what was said so far. A failure that
another try
cannot mend (key refused, quota used up) is final at once.
"""

from bridge.errors import FailureKind, RemoteSessionError

FIRST_PAUSE_S = 0.2  # doubles with each try
MAX_TRIES_IN_CALL = 3
FORGET_AFTER_S = 120.0  # a session that held so long starts the count anew


class Recovery:
    """Counts the failures of one agent step."""

    def __init__(self) -> None:
        self._failures = 0
        self._last_s = 0.0

    def after(self, failure: RemoteSessionError, *, answer_due_s: float | None, now: float) -> float | None:
        """Seconds to wait before the next try; None: give up. `answer_due_s` is None once the call is answered."""
        if failure.kind is FailureKind.FATAL:
            return None
        if now - self._last_s > FORGET_AFTER_S:
            self._failures = 0
        self._last_s = now
        pause_s = float(FIRST_PAUSE_S * 2**self._failures)
        self._failures += 1
        if answer_due_s is not None:
            return pause_s if now + pause_s < answer_due_s else None
        return pause_s if self._failures <= MAX_TRIES_IN_CALL else None
