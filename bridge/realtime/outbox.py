"""Client events on their way out, in order, each with an id.

A machine part of the session: gives ids, holds what must wait for READY, remembers which of our items the server has
not acknowledged yet. Bound: 1024 waiting events; a shell that does not collect them any more gets LocalSessionError.
"""

from typing import Any

from bridge.errors import LocalSessionError
from bridge.realtime import wire

MAX_WAITING = 1024
MAX_UNACKNOWLEDGED = 256


class Outbox:
    """Ordered JSON texts to send. Event ids are `sb_1`, `sb_2`, …; item ids `sb_item_1` and so on."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._unacknowledged: dict[str, None] = {}
        self._count = 0

    def put(self, event: dict[str, Any]) -> str:
        """Queue an event; returns its id."""
        if len(self._events) >= MAX_WAITING:
            raise LocalSessionError(f"{MAX_WAITING} events wait to be sent")
        event_id = self.next_id()
        self.put_as(event_id, event)
        return event_id

    def put_as(self, event_id: str, event: dict[str, Any]) -> None:
        """Queue an event under an id taken before by `next_id`."""
        self._events.append({"event_id": event_id, **event})

    def next_id(self) -> str:
        """A fresh event id."""
        self._count += 1
        return f"sb_{self._count}"

    def next_item_id(self) -> str:
        """A fresh id for an item we create; it counts as unacknowledged from now on."""
        self._count += 1
        item_id = f"sb_item_{self._count}"
        self._unacknowledged[item_id] = None
        if len(self._unacknowledged) > MAX_UNACKNOWLEDGED:
            del self._unacknowledged[next(iter(self._unacknowledged))]
        return item_id

    def acknowledged(self, item_id: str) -> None:
        """The server has this item."""
        self._unacknowledged.pop(item_id, None)

    @property
    def unacknowledged(self) -> set[str]:
        """Items of ours the server has not confirmed."""
        return set(self._unacknowledged)

    def take(self) -> list[str]:
        """Everything queued, as JSON texts in order; the queue is empty afterwards."""
        events, self._events = self._events, []
        return [wire.dumps(event) for event in events]
