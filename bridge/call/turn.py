"""Barge-in: who has the floor, and what must happen when the caller takes it.

A machine. The conversation (shell) tells it what the model side and the playout did; it answers with orders.
It never touches
audio or network.

    LISTENING ──agent audio──► SPEAKING ──caller speaks or presses a key──► YIELDING ──playout cleared──► LISTENING
                                   └────────────── all audio heard ──────────────────────────────────────────┘

First form: the server's `speech_started` is believed at once. The playout says what was heard; that is what
the model is told
(`conversation.item.truncate`; an item nobody heard is deleted), so it never thinks the caller heard what was cut.
Source: OpenAI Realtime guide, "Interruption and truncation" (WebSocket).
"""

from dataclasses import dataclass
from enum import Enum


class Floor(Enum):
    """Whose audio is on the line."""

    LISTENING = "listening"
    SPEAKING = "speaking"
    YIELDING = "yielding"


@dataclass(frozen=True, slots=True)
class AgentAudio:
    """Audio of a response item was queued for the caller."""


@dataclass(frozen=True, slots=True)
class AgentSilent:
    """All queued audio was heard."""


@dataclass(frozen=True, slots=True)
class CallerSpoke:
    """The server's VAD heard the caller."""


@dataclass(frozen=True, slots=True)
class CallerPressed:
    """The caller pressed a key."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The playout was cleared.

    `item_id` (None: nothing was playing) was heard for `heard_ms`, the `unheard` not at all.
    """

    item_id: str | None
    heard_ms: int
    dropped_ms: int
    unheard: tuple[str, ...]


TurnEvent = AgentAudio | AgentSilent | CallerSpoke | CallerPressed | Cut


@dataclass(frozen=True, slots=True)
class ClearPlayout:
    """Stop speaking within one frame and come back with a Cut."""


@dataclass(frozen=True, slots=True)
class DropLateAudio:
    """Audio of running responses that still arrives is not for the caller any more."""


@dataclass(frozen=True, slots=True)
class TruncateItem:
    """Tell the model that only `heard_ms` of the item were heard."""

    item_id: str
    heard_ms: int


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """Tell the model that the item was never heard."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ReportBargeIn:
    """For the record. `stop_s` is the time from the caller's word to the cleared playout."""

    item_id: str | None
    heard_ms: int
    dropped_ms: int
    stop_s: float


TurnAction = ClearPlayout | DropLateAudio | TruncateItem | DeleteItem | ReportBargeIn


class Turn:
    """One call's floor. `barge_in` False: the caller's words wait until the agent has finished."""

    def __init__(self, *, barge_in: bool = True) -> None:
        self.floor = Floor.LISTENING
        self._barge_in = barge_in
        self._since_s = 0.0

    def receive(self, event: TurnEvent, now: float) -> list[TurnAction]:
        """Take one event at monotonic `now`, return what must happen, in order."""
        match self.floor, event:
            case Floor.LISTENING, AgentAudio():
                self.floor = Floor.SPEAKING
            case Floor.SPEAKING, AgentSilent():
                self.floor = Floor.LISTENING
            case Floor.SPEAKING, CallerSpoke() | CallerPressed() if self._barge_in:
                self.floor, self._since_s = Floor.YIELDING, now
                return [DropLateAudio(), ClearPlayout()]
            case Floor.LISTENING, CallerSpoke() | CallerPressed() if self._barge_in:
                # A response may be on its way though none of it has come: it answers a turn that is over.
                return [DropLateAudio()]
            case Floor.YIELDING, Cut():
                self.floor = Floor.LISTENING
                return self._yielded(event, now)
        return []

    def _yielded(self, cut: Cut, now: float) -> list[TurnAction]:
        actions: list[TurnAction] = []
        if cut.item_id is not None:
            actions.append(TruncateItem(cut.item_id, cut.heard_ms))
        actions.extend(DeleteItem(item_id) for item_id in cut.unheard)
        if actions:
            actions.append(ReportBargeIn(cut.item_id, cut.heard_ms, cut.dropped_ms, now - self._since_s))
        return actions
