"""One response as it comes in: what of its spoken messages the call was given, and which calls it only drafted.

A machine part of the conversation; the conversation makes one at each `response.created` and keeps the last 64.
It knows no items beyond its own, and at most 64 messages of them (a response rarely has more than two).
"""

from dataclasses import dataclass, field
from enum import Enum

from bridge.realtime.responses import Created
from bridge.realtime.wire import Json, text

MAX_MESSAGES = 64


class HandedOn(Enum):
    """How much audio of a message the call was given; ENDED: and told that no more comes."""

    NOTHING = "nothing"
    SOME = "some"
    ENDED = "ended"


@dataclass(slots=True)
class Response:
    """Times are monotonic seconds. `muted`: interrupted, nothing of it is handed on any more."""

    id: str
    created: Created
    created_s: float
    first_audio_s: float | None = None
    muted: bool = False
    ended: bool = False
    drafts: dict[str, dict[str, str]] = field(default_factory=dict)
    _messages: dict[str, HandedOn] = field(default_factory=dict)

    def saw(self, item: Json) -> None:
        """The server named this item as part of the response."""
        if text(item, "type") == "message":
            self.withheld(text(item, "id"))

    def withheld(self, item_id: str) -> None:
        """The message exists, but this time the call was given nothing of it."""
        self._note(item_id, self._messages.get(item_id, HandedOn.NOTHING))

    def handed_on(self, item_id: str) -> None:
        """The call was given audio of the message."""
        self._note(item_id, HandedOn.SOME)

    def end(self, item_id: str) -> bool:
        """No more audio of the message comes. Whether the call is to be told: it was not, and the response counts."""
        first = self._messages.get(item_id) is not HandedOn.ENDED
        if self.muted or not first:
            return False
        self._note(item_id, HandedOn.ENDED)
        return True

    def messages(self, state: HandedOn) -> list[str]:
        """Ids of the messages in this state, in order of appearance."""
        return [item_id for item_id, so_far in self._messages.items() if so_far is state]

    def _note(self, item_id: str, state: HandedOn) -> None:
        self._messages[item_id] = state
        if len(self._messages) > MAX_MESSAGES:
            del self._messages[next(iter(self._messages))]
