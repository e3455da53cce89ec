"""Who hears whom when more than two speak: each party gets the sum of what the others say.

    Mixer ── say("caller", frame) ──► a short line of frames for each other party ──► hear("supervisor") ──► the sum

A line holds at most LINE_FRAMES: when the two clocks drift apart the oldest frame goes, and an empty line is silence.
That is also the jitter buffer between two legs: after the first empty line one frame stays in reserve. A party that
`listens` only is heard by nobody. Pure: no lock, no time. `say` and `hear` run on the media thread, `join` and `leave`
on the loop; the parties are replaced as a whole, so that neither sees half of a change.
"""

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np

LINE_FRAMES = 4
"""80 ms: more would be heard as delay, less breaks with two peers that jitter."""

Lines = Mapping[str, deque[bytes]]


def mix(one: bytes, other: bytes) -> bytes:
    """The sum of two frames of 16-bit PCM of the same length, limited to what 16 bits hold."""
    total = np.frombuffer(one, "<i2").astype(np.int32) + np.frombuffer(other, "<i2")
    limited: bytes = np.clip(total, -32768, 32767).astype("<i2").tobytes()
    return limited


class Mixer:
    """A conference of parties, by name."""

    def __init__(self) -> None:
        self._lines: Mapping[str, Lines] = {}
        self._muted: frozenset[str] = frozenset()
        self._hidden: Mapping[str, frozenset[str]] = {}

    @property
    def parties(self) -> frozenset[str]:
        """Who is in it."""
        return frozenset(self._lines)

    def join(self, party: str, *, muted: bool = False, hidden_from: Iterable[str] = ()) -> None:
        """From now on `party` hears the others, and they hear it unless it is `muted` or hidden from them.

        Joining again changes only that.
        """
        names = {*self._lines, party}
        self._muted |= {party}  # not heard for as long as the lines to whom it is hidden from are still there
        self._hidden = {**self._hidden, party: frozenset(hidden_from)}
        self._lines = self._rebuilt(names)
        if not muted:
            self._muted -= {party}

    def leave(self, party: str) -> None:
        """`party` hears and says nothing any more; idempotent."""
        self._muted -= {party}
        self._hidden = {name: hidden for name, hidden in self._hidden.items() if name != party}
        self._lines = self._rebuilt({*self._lines} - {party})

    def say(self, party: str, frame: bytes) -> None:
        """20 ms of `party`. Full: the oldest frame goes. Media thread."""
        if party in self._muted:
            return
        for listener, lines in self._lines.items():
            line = lines.get(party)
            if line is not None and listener != party:
                line.append(frame)

    def hear(self, party: str) -> bytes | None:
        """The next 20 ms of all others together; None: nobody said anything. Media thread."""
        total: bytes | None = None
        for line in self._lines.get(party, {}).values():
            if line:
                frame = line.popleft()
                total = frame if total is None else mix(total, frame)
        return total

    def _rebuilt(self, names: set[str]) -> Mapping[str, Lines]:
        known = self._lines
        return {
            listener: {
                speaker: known.get(listener, {}).get(speaker) or deque(maxlen=LINE_FRAMES)
                for speaker in names
                if speaker != listener and listener not in self._hidden.get(speaker, ())
            }
            for listener in names
        }
