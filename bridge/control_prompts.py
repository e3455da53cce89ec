"""Spoken prompts that no kept plan refers to go, when no call can need them any more.

A call keeps the plan it began with and may last `max_call_s`. So a prompt goes when nothing has referred to it for that
long; what a restart of control makes us forget only has it stay longer. Blocking; called on a thread.
"""

import re
from collections.abc import Collection
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

MARGIN_S = 600.0
"""For a worker that took the new plan late, and a call that was about to end."""
_NAME = re.compile(r"[0-9a-f]{16}\.wav")


class Prompts:
    """The folder of the spoken prompts, `<id>.wav`; other files in it are not ours."""

    def __init__(self, folder: Path, max_call_s: float) -> None:
        self.folder = folder
        self._wait_s = max_call_s + MARGIN_S
        self._unused_since: dict[str, float] = {}

    def tidy(self, used: Collection[str], now: float) -> list[str]:
        """Remove what has not been used for long enough; answers the ids. `now`: monotonic seconds."""
        here = [path.stem for path in self.folder.glob("*.wav") if _NAME.fullmatch(path.name)]
        self._unused_since = {one: self._unused_since.get(one, now) for one in here if one not in used}
        gone = [one for one, since in self._unused_since.items() if now - since >= self._wait_s]
        for one in gone:
            (self.folder / f"{one}.wav").unlink(missing_ok=True)
            del self._unused_since[one]
        if gone:
            log.info("prompts.removed", count=len(gone))
        return gone
