"""Dead air: the caller has spoken, and the model says nothing. A machine.

A lost event, a rate limit or a stuck server leaves the caller in silence with every connection alive. So from
the end of the
caller's words (and from an answer's beginning) the model has a time to be heard; then it is asked once more,
and if that
brings nothing either the session counts as lost, which the call knows how to mend.
"""

from enum import Enum


class Remedy(Enum):
    """What to do about the silence."""

    ASK_AGAIN = "ask again"
    GIVE_UP = "give up"


class DeadAir:
    """`patience_s` from the caller's last word to the model's first; the same again after it was asked once more."""

    def __init__(self, patience_s: float = 6.0) -> None:
        self._patience_s = patience_s
        self._due_s: float | None = None
        self._asked = False

    def caller_finished(self, now: float) -> None:
        """The caller stopped speaking (or an entry of digits is complete): it is the model's turn."""
        self._due_s = now + self._patience_s
        self._asked = False

    def broken(self) -> None:
        """Somebody is heard, or the model works visibly (a function call): no dead air."""
        self._due_s = None
        self._asked = False

    def poll(self, now: float) -> Remedy | None:
        """What is due at `now`."""
        if self._due_s is None or now < self._due_s:
            return None
        if self._asked:
            self._due_s = None
            return Remedy.GIVE_UP
        self._asked = True
        self._due_s = now + self._patience_s
        return Remedy.ASK_AGAIN

    @property
    def due_s(self) -> float | None:
        """When to poll next; None while nobody waits for the model."""
        return self._due_s
