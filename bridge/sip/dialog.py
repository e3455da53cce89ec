"""The life of one SIP leg as a table: which command is legal when, and what the peer's events change.

Sans-IO: the asyncio side of the leg asks `may()` before it sends a command to the pj thread and tells
`receive()` every
event that comes back. pjsip runs the real RFC 3261 dialog and its transactions; this is the bridge's own view
of it, kept
so that a late command (answer after CANCEL, hang up twice) is a quiet no, never a pjsip assertion.

    INCOMING ──ring──► EARLY ──answer──► ANSWERED ──ACK──► CONFIRMED ◄──hold/resume──► HELD
    CALLING ──1xx──► EARLY ─────────────200/ACK──────────► CONFIRMED         any ──► ENDED
"""

from enum import Enum

from bridge.sip.events import Confirmed, Held, HungUp, LegEvent, Resumed, Ringing


class LegState(Enum):
    """Where the leg is. The words are RFC 3261's where it has one (early, confirmed)."""

    INCOMING = "incoming"
    CALLING = "calling"
    EARLY = "early"
    ANSWERED = "answered"
    CONFIRMED = "confirmed"
    HELD = "held"
    ENDED = "ended"


class Command(Enum):
    """What the bridge may ask of a leg."""

    RING = "ring"
    EARLY_MEDIA = "early media"
    ANSWER = "answer"
    REFUSE = "refuse"
    HANG_UP = "hang up"
    SEND_DTMF = "send dtmf"
    TRANSFER = "transfer"


_S = LegState
_AFTER_COMMAND: dict[tuple[LegState, Command], LegState] = {
    (_S.INCOMING, Command.RING): _S.EARLY,
    (_S.EARLY, Command.RING): _S.EARLY,
    (_S.INCOMING, Command.EARLY_MEDIA): _S.EARLY,
    (_S.EARLY, Command.EARLY_MEDIA): _S.EARLY,
    (_S.INCOMING, Command.ANSWER): _S.ANSWERED,
    (_S.EARLY, Command.ANSWER): _S.ANSWERED,
    (_S.INCOMING, Command.REFUSE): _S.ENDED,
    (_S.EARLY, Command.REFUSE): _S.ENDED,
    **{(state, Command.HANG_UP): _S.ENDED for state in _S if state is not _S.ENDED},
    (_S.CONFIRMED, Command.SEND_DTMF): _S.CONFIRMED,
    (_S.CONFIRMED, Command.TRANSFER): _S.CONFIRMED,
    (_S.HELD, Command.TRANSFER): _S.HELD,
}
_AFTER_EVENT: dict[tuple[LegState, type[LegEvent]], LegState] = {
    (_S.CALLING, Ringing): _S.EARLY,
    (_S.CALLING, Confirmed): _S.CONFIRMED,
    (_S.EARLY, Confirmed): _S.CONFIRMED,
    (_S.ANSWERED, Confirmed): _S.CONFIRMED,
    (_S.CONFIRMED, Held): _S.HELD,
    (_S.HELD, Resumed): _S.CONFIRMED,
    **{(state, HungUp): _S.ENDED for state in _S},
}


class LegDialog:
    """One leg's state. `incoming` is False for a call we place."""

    def __init__(self, *, incoming: bool) -> None:
        self.state = LegState.INCOMING if incoming else LegState.CALLING

    def may(self, command: Command) -> bool:
        """True when `command` is legal now; the state then moves as if the command had been carried out."""
        after = _AFTER_COMMAND.get((self.state, command))
        if after is None:
            return False
        self.state = after
        return True

    def receive(self, event: LegEvent) -> bool:
        """Take an event of the pj thread.

        False when it changes nothing: a repeat, or it does not concern the dialog.
        """
        after = _AFTER_EVENT.get((self.state, type(event)))
        if after is None or after is self.state:
            return False
        self.state = after
        return True

    @property
    def answered(self) -> bool:
        """Whether media may flow: the peer's audio counts, ours is heard unless the leg is held."""
        return self.state in {LegState.ANSWERED, LegState.CONFIRMED, LegState.HELD}
