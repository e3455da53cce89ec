"""Which bytes of a spool file still have to go to control. A machine: numbers in, numbers out.

    file   |=== acked ===|--- in flight ---|...... not sent yet ......|
           0             acked_at          sent_at                    size

The file holds one event a line, in order, and only grows at its end; once everything in it is acked it is
emptied. At most `window` events are in flight, so memory is bounded however long control is away.

When the file is full (`max_bytes`) new chatter is refused and counted while the life of a call
(`LIFECYCLE`) still goes in, up to twice the size; then that is refused and counted too. Refusing the
newest keeps the order on disk and never rewrites a file that a crash could cut in half. Called by
LinkClient on its loop; no I/O here.
"""

from collections import deque
from dataclasses import dataclass

LIFECYCLE = frozenset(
    {
        "call.started",
        "call.answered",
        "call.closing",
        "call.ended",
        "media",
        "recording",
        "response",
        "transcript",
    }
)


@dataclass(frozen=True, slots=True)
class Span:
    """Read from byte `start` of the file, at most `events` lines."""

    start: int
    events: int


class Outbox:
    """Counts the bytes of one spool file. `window`: events in flight; `max_bytes`: see "full" above."""

    def __init__(self, *, window: int = 256, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._window = window
        self._max_bytes = max_bytes
        self._in_flight: deque[tuple[int, int]] = deque()
        self._acked_at = 0
        self._sent_at = 0
        self.size = 0
        self.refused = 0

    @property
    def backlog_bytes(self) -> int:
        """Bytes control has not acked yet."""
        return self.size - self._acked_at

    def admit(self, event_type: str, n_bytes: int) -> bool:
        """Whether an event of this type and length may be written; a no is counted."""
        limit = self._max_bytes * 2 if event_type in LIFECYCLE else self._max_bytes
        if self.size + n_bytes <= limit:
            return True
        self.refused += 1
        return False

    def appended(self, n_bytes: int) -> None:
        """A line of this length is in the file now."""
        self.size += n_bytes

    def unsent(self) -> Span | None:
        """What to read and send next, or None: all sent, or the window is full."""
        room = self._window - len(self._in_flight)
        if room <= 0 or self._sent_at >= self.size:
            return None
        return Span(self._sent_at, room)

    def sent(self, seq: int, n_bytes: int) -> None:
        """The next line of the file went out; it holds event `seq`. seq 0 marks a line that holds none."""
        self._sent_at += n_bytes
        self._in_flight.append((seq, self._sent_at))

    def acked(self, seq: int) -> bool:
        """Control has everything up to `seq`. True: the whole file is delivered and has to be emptied now."""
        while self._in_flight and self._in_flight[0][0] <= seq:
            self._acked_at = self._in_flight.popleft()[1]
        if self.size and self._acked_at >= self.size:
            self.size = self._acked_at = self._sent_at = 0
            return True
        return False

    def emptied(self) -> None:
        """Somebody else cut the file: what was in it is lost, and counted as one refusal."""
        self._in_flight.clear()
        self.size = self._acked_at = self._sent_at = 0
        self.refused += 1

    def disconnected(self) -> None:
        """The connection is gone: what was in flight has to be sent again."""
        self._in_flight.clear()
        self._sent_at = self._acked_at
