"""Keypad digits of the caller, gathered until the caller pauses or presses `#`.

So the model hears a number as one. A machine: digits and `now` in, whole entries out. OpenAI's service never sees
RFC 4733 events on a WebSocket session, so the conversation tells it in words.
"""


class Keypad:
    """`gap_s`: the pause that ends an entry. `max_digits`: an entry of that length is complete at once."""

    def __init__(self, gap_s: float = 1.5, max_digits: int = 32) -> None:
        self._gap_s = gap_s
        self._max_digits = max_digits
        self._digits = ""
        self._last_s = 0.0

    def press(self, digit: str, now: float) -> str | None:
        """A key at `now`. Returns the entry when this key completes it (`#` ends one and is not part of it)."""
        if digit != "#" or not self._digits:
            self._digits += digit
            self._last_s = now
            if len(self._digits) < self._max_digits and digit != "#":
                return None
        return self._take()

    def poll(self, now: float) -> str | None:
        """The entry, when the caller has paused long enough."""
        due_s = self.due_s
        return self._take() if due_s is not None and now >= due_s else None

    @property
    def due_s(self) -> float | None:
        """When to poll next; None while nothing waits."""
        return self._last_s + self._gap_s if self._digits else None

    def _take(self) -> str:
        digits, self._digits = self._digits, ""
        return digits
