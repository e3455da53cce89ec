"""When the model side fails: try again, or go on with the dialplan's `or_else`. A machine.

One budget for an outage: from the moment the agent cannot be heard (the INVITE, or a session lost in mid-call)
until it can
be heard again. While it rings the caller hears ringing, in a call silence; either way the budget is what the answer
may take. A failure that another try cannot mend (key refused, quota used up) is final at once, and so is a model
side that comes and goes too often. A new session is a new conversation: the call tells it what was said so far.
"""

from collections import deque

from bridge.errors import FailureKind, RemoteSessionError

FIRST_PAUSE_S = 0.2  # doubles with each try of one outage
MAX_OUTAGES = 4
OUTAGES_WITHIN_S = 120.0


class Recovery:
    """The failures of one agent step. `budget_s`: how long the caller may be without the agent."""

    def __init__(self, budget_s: float, now: float) -> None:
        self._budget_s = budget_s
        self._tries = 0
        self._outages: deque[float] = deque(maxlen=MAX_OUTAGES)
        self.due_s = now + budget_s

    def after(self, failure: RemoteSessionError, *, spoke: bool, now: float) -> float | None:
        """Seconds to wait before the next try; None: give up. `spoke`: the failed session had been heard."""
        if failure.kind is FailureKind.FATAL:
            return None
        if spoke:
            self._outages.append(now)
            if len(self._outages) == MAX_OUTAGES and now - self._outages[0] < OUTAGES_WITHIN_S:
                return None
            self._tries = 0
            self.due_s = now + self._budget_s
        pause_s = float(FIRST_PAUSE_S * 2**self._tries)
        self._tries += 1
        return pause_s if now + pause_s < self.due_s else None
