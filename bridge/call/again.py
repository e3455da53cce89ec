"""When the words of a failed response are asked for again, and when the model side counts as lost. A machine."""

from bridge.errors import FailureKind, RemoteSessionError
from bridge.realtime.events import ResponseReport, SessionError

MAX_FAILED = 3  # in a row; then the model side counts as lost
WAIT_S = 0.5  # doubles with each failure
Lost = ResponseReport | SessionError


class Again:
    """The failures of one session. `due_s`: when something falls due, monotonic; None: nothing does."""

    def __init__(self) -> None:
        self.due_s: float | None = None
        self._lost: Lost | None = None
        self._failed = 0

    def ended(self, report: ResponseReport, now: float) -> None:
        """A response is over. Raises RemoteSessionError: too many in a row have failed."""
        if report.status != "failed":
            self._failed = 0
            return
        self._failed += 1
        if self._failed >= MAX_FAILED:
            code = report.error_code or "response_failed"
            raise RemoteSessionError(FailureKind.FATAL, code, report.error_message)
        self.lost(report, now)

    def lost(self, lost: Lost, now: float) -> None:
        """Its words are to be said after all, in a moment."""
        self._lost, self.due_s = lost, now + WAIT_S * 2**self._failed

    def take(self, now: float) -> Lost | None:
        """What is to be asked for again now; None: nothing."""
        if self._lost is None or self.due_s is None or now < self.due_s:
            return None
        found, self._lost, self.due_s = self._lost, None, None
        return found
