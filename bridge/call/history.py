"""What was said so far, for a new session that takes over in the middle of a call. Pure.

It is made of transcripts, so it is data: the words are quoted, their length is bounded, and the newest count
most. What the
caller never heard is not in it, what was cut short is marked, so that the model does not build on words that
were lost.
"""

from collections import deque
from dataclasses import dataclass

MAX_LINES = 60
MAX_CHARS = 6000
MAX_LINE_CHARS = 1000
WHO = {"caller": "Caller", "agent": "You", "supervisor": "A supervisor, to you alone"}


@dataclass(slots=True)
class _Line:
    who: str
    item_id: str
    words: str


class History:
    """The last lines of the conversation, oldest first."""

    def __init__(self) -> None:
        self._lines: deque[_Line] = deque(maxlen=MAX_LINES)
        self._cut: deque[tuple[str, int]] = deque(maxlen=MAX_LINES)

    def add(self, who: str, text: str, item_id: str = "") -> None:
        """A finished line of `caller` or `agent`."""
        words = " ".join(text.replace('"', "'").split())[:MAX_LINE_CHARS]
        if words:
            self._lines.append(_Line(who, item_id, words))

    def cut(self, item_id: str, heard_ms: int) -> None:
        """Only so much of the item was heard; 0: nothing. Its words may come later."""
        self._cut.append((item_id, heard_ms))

    def muted(self, item_id: str) -> None:
        """The item's words came after it was interrupted: nothing of it was heard, unless `cut` says otherwise."""
        if all(known != item_id for known, _ in self._cut):
            self._cut.append((item_id, 0))

    def __bool__(self) -> bool:
        return bool(self._lines)

    def text(self) -> str:
        """All lines, at most 6000 characters; the oldest are left out first."""
        kept: deque[str] = deque()
        room = MAX_CHARS
        heard = dict(self._cut)
        for line in reversed(self._lines):
            heard_ms = heard.get(line.item_id)
            if heard_ms == 0:
                continue
            mark = "" if heard_ms is None else f" (cut off after {heard_ms / 1000:.1f} s)"
            text = f'{WHO[line.who]}{mark}: "{line.words}"'
            room -= len(text) + 1
            if room < 0:
                break
            kept.appendleft(text)
        return "\n".join(kept)
