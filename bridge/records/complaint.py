"""A failure that stays is told once, and once more when it is over: repeated every second it would hide the rest."""

from typing import Any


class Complaint:
    """One kind of failure. `log` is a structlog logger; events are `event` and `over`."""

    def __init__(self, log: Any, event: str, over: str) -> None:
        self._log = log
        self._event = event
        self._over = over
        self._reason = ""

    def failed(self, reason: str) -> None:
        """It went wrong; told when that is new, or for another reason than before."""
        if reason != self._reason:
            self._log.warning(self._event, reason=reason)
        self._reason = reason

    def worked(self) -> None:
        """It went well."""
        if self._reason:
            self._log.info(self._over)
        self._reason = ""
