"""Dead air: the caller has spoken, and the model says nothing. A machine.

A lost event, a rate limit or a stuck server leaves the caller in silence with every connection alive. So from
the end of the
caller's words the model has a time to be heard. Then it is asked once more, unless it is working on an answer already
(a reasoning model may think for long: that gets more time); if nothing comes of it the session counts as lost, which
the call knows how to mend.
"""

from enum import Enum

BUSY_PATIENCE = 4  # an answer on its way may take so many times as long


class Remedy(Enum):
    """What to do about the silence."""

    ASK_AGAIN = "ask again"
    GIVE_UP = "give up"


class DeadAir:
    """`patience_s` from the caller's last word to the model's first; the same again after it was asked once more."""

    def __init__(self, patience_s: float = 6.0) -> None:
        self._patience_s = patience_s
        self._since_s = 0.0
        self._due_s: float | None = None
        self._asked = False

    def caller_finished(self, now: float) -> None:
        """The caller stopped speaking, or an entry of digits or a function's result is complete: the model's turn."""
        self._since_s = now
        self._due_s = now + self._patience_s
        self._asked = False

    def broken(self) -> None:
        """Somebody is heard: no dead air."""
        self._due_s = None

    def poll(self, now: float, *, answering: bool) -> Remedy | None:
        """What is due at `now`. `answering`: the model works on a response, though none of it is heard yet."""
        if self._due_s is None or now < self._due_s:
            return None
        if answering and now - self._since_s < BUSY_PATIENCE * self._patience_s:
            self._due_s = now + self._patience_s
            return None
        if answering or self._asked:
            self._due_s = None
            return Remedy.GIVE_UP
        self._asked = True
        self._due_s = now + self._patience_s
        return Remedy.ASK_AGAIN

    @property
    def due_s(self) -> float | None:
        """When to poll next; None while nobody waits for the model."""
        return self._due_s
