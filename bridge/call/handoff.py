"""May an agent hand the caller over to another one: the rules. Pure, but for its count.

The dialplan says to whom (`hand_off_to`); a call that goes round and round ends with the agent who has it.
"""

from bridge.dialplan.agent import Agent
from bridge.dialplan.variables import clean

MAX_HAND_OFFS = 10
MAX_NOTE_CHARS = 500
MAX_WHISPER_CHARS = 1000


class HandOffs:
    """The hand-offs of one call."""

    def __init__(self) -> None:
        self.count = 0

    def refusal(self, agent: Agent, target: str) -> str:
        """Why `agent` may not hand the caller to `target`, for the model; "" when it may."""
        if target not in agent.hand_off_to:
            known = ", ".join(agent.hand_off_to) or "none"
            return f"the caller cannot be handed over to {target[:40]!r}; there are: {known}"
        if self.count >= MAX_HAND_OFFS:
            return "the caller was handed over too often already: help them yourself"
        return ""

    def done(self) -> None:
        """One more."""
        self.count += 1


def note_text(note: str, most: int = MAX_NOTE_CHARS) -> str:
    """A note as it may be shown to a model: one line, of at most so many characters."""
    return clean(note, most)
