"""What was said so far, for a new session that takes over in the middle of a call. Pure.

It is made of transcripts, so it is data: the words are quoted, their length is bounded, and the newest count most.
"""

from collections import deque

MAX_LINES = 60
MAX_CHARS = 6000
MAX_LINE_CHARS = 1000  # one long answer must not push everything else out
WHO = {"caller": "Caller", "agent": "You"}


class History:
    """The last lines of the conversation, oldest first."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MAX_LINES)

    def add(self, who: str, text: str) -> None:
        """A finished line of `caller` or `agent`."""
        words = " ".join(text.split())[:MAX_LINE_CHARS]
        if words:
            self._lines.append(f'{WHO[who]}: "{words}"')

    def __bool__(self) -> bool:
        return bool(self._lines)

    def text(self) -> str:
        """All lines, at most 6000 characters; the oldest are left out first."""
        kept: deque[str] = deque()
        room = MAX_CHARS
        for line in reversed(self._lines):
            room -= len(line) + 1
            if room < 0:
                break
            kept.appendleft(line)
        return "\n".join(kept)
