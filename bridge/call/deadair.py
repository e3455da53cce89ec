"""Dead air: it is the model's turn, and the model says nothing. A machine.

A lost event, a rate limit or a stuck server leaves the caller in silence with every connection alive. So from
the end of the caller's words, from every answer we ask for (a function's result, a greeting) and from the last sound of
an answer that is not over, the model has a time to be heard. Then it is asked once more, unless it is working on an
answer already (a reasoning model may think for long: that gets more time); if nothing comes of it the session counts as
lost, which the call knows how to mend.
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
        self._midway = False

    def caller_finished(self, now: float) -> None:
        """The caller stopped speaking, or an entry of digits is complete: the model's turn."""
        self._wait_from(now)
        self._midway = False

    def asked(self, now: float) -> None:
        """An answer was asked for. It changes nothing where one is waited for already: asking is then a remedy."""
        if self._due_s is None:
            self.caller_finished(now)

    def heard(self, until_s: float) -> bool:
        """A piece of an answer came that is heard until then; more is to come. True: nothing was waited for before."""
        idle = self._due_s is None
        self._wait_from(until_s)
        self._midway = True
        return idle

    def answer_over(self) -> None:
        """An answer has ended. One of which nothing was heard was none: it is waited for on."""
        if self._midway:
            self.broken()

    def broken(self) -> None:
        """Somebody is heard, or nobody has to be: no dead air."""
        self._due_s, self._midway = None, False

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

    def _wait_from(self, since_s: float) -> None:
        self._since_s = since_s
        self._due_s = since_s + self._patience_s
        self._asked = False
