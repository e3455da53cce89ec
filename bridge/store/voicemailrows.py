"""From the event "voicemail" to its rows, in the transaction that keeps the event: no message is ever between the two.

The event's data: path, seconds, mailbox, to (names of channels), from, called, and maybe transcript. It comes from a
worker and is taken as it is, cut to length; what may be read from disk is judged by who delivers it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from bridge.records.cdr import number
from bridge.store.database import plain
from bridge.store.tables import voicemail_deliveries, voicemails

EVENT = "voicemail"
MAX_CHANNELS = 32


class _Event(Protocol):
    @property
    def boot(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def call_id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


def keep_voicemails(connection: sa.Connection, events: Sequence[_Event]) -> None:
    """Insert what the new events among these say of messages."""
    for event in events:
        if event.type == EVENT and event.data.get("path"):
            _keep(connection, event)


def _keep(connection: sa.Connection, event: _Event) -> None:
    data = event.data
    at = number(event.at) or 0.0
    row = {
        "boot": event.boot,
        "seq": event.seq,
        "call_id": _text(event.call_id, 100),
        "at": at,
        "mailbox": _text(data.get("mailbox"), 100),
        "path": _text(data.get("path"), 4096),
        "seconds": number(data.get("seconds")) or 0.0,
        "from_uri": _text(data.get("from"), 500),
        "called": _text(data.get("called"), 500),
        "transcript": _text(data["transcript"], 20_000) if data.get("transcript") else None,
        "state": "new",
    }
    key = connection.execute(sa.insert(voicemails).values(row)).inserted_primary_key
    channels = data.get("to")
    for channel in _names(channels if isinstance(channels, list) else []):
        delivery = {"voicemail_id": key[0] if key else None, "channel": channel, "state": "pending"}
        connection.execute(sa.insert(voicemail_deliveries).values(**delivery, tries=0, next_at=at))


def _names(channels: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(_text(one, 32) for one in channels[:MAX_CHANNELS]))


def _text(value: Any, length: int) -> str:
    return plain("" if value is None else str(value)[:length])
