"""What the console shows beside a request: what moved, what was said on its call, what was decided before.

Reads only, each question in one transaction over indices: while somebody looks, `pulse` is asked ten times a second,
and the calls must not notice. Part of the Store.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.gaterows import COLUMNS, StoredRequest, stored
from bridge.store.store import Store
from bridge.store.tables import OPEN_STATES, call_events, calls, tool_requests

MAX_OPEN = 200
MAX_LINES = 8
MAX_EARLIER = 5
AT_ONCE = 10
_SPOKEN = ("transcript", "agent.finished")
_READ_EVENTS = 4 * MAX_LINES
DECIDED = ("succeeded", "failed", "denied", "expired", "unknown")
"""States of an earlier request that tell something."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """`places`: (request id, (version, newest event of its call)), the oldest first; `live_calls` on all nodes."""

    places: tuple[tuple[str, tuple[int, int]], ...] = ()
    pending: int = 0
    live_calls: int = 0


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """Somebody said `text`. `interrupted`: the caller did not hear all of it."""

    who: str
    text: str
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Around:
    """What is known beside a request. `display`: the name the caller's phone sent; it proves nothing."""

    display: str
    lines: tuple[SpokenLine, ...]
    earlier: tuple[StoredRequest, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests somebody asks for; what is empty is any."""

    states: tuple[str, ...] = ()
    tool: str = ""
    call_id: str = ""


class QueueStore:
    """The questions. Every method raises StoreError. `most`: open requests that are told of."""

    def __init__(self, store: Store, most: int = MAX_OPEN) -> None:
        self._store = store
        self._most = most

    async def pulse(self, also: Collection[str] = ()) -> Pulse:
        """What is open, and these requests, in a form that is cheap to compare. What waits for a person comes first."""
        row, event = tool_requests.c, call_events.c
        newest = sa.select(sa.func.max(event.id)).where(event.call_id == row.call_id).scalar_subquery()
        columns = (row.request_id, row.version, sa.func.coalesce(newest, 0), row.created_at)
        waits = row.state == "pending"
        wanted = (row.state.in_(OPEN_STATES) & ~waits) | row.request_id.in_(also)
        first = sa.select(*columns).where(waits).order_by(row.created_at, row.request_id).limit(self._most)
        others = sa.select(*columns).where(wanted).order_by(row.created_at.desc(), row.request_id)
        pending = sa.select(sa.func.count()).select_from(tool_requests).where(row.state == "pending")
        live = sa.select(sa.func.count()).select_from(calls).where(calls.c.ended_at.is_(None))

        def work(connection: sa.Connection) -> Pulse:
            found = {one[0]: one for one in connection.execute(first)}
            left = self._most - len(found) + len(also)
            found |= {one[0]: one for one in connection.execute(others.limit(left))}
            oldest = sorted(found.values(), key=lambda one: (one[3], one[0]))
            places = tuple((one[0], (int(one[1]), int(one[2]))) for one in oldest)
            counts = [int(connection.execute(one).scalar_one()) for one in (pending, live)]
            return Pulse(places, *counts)

        return await self._store.transaction("cannot read what waits", work)

    async def requests(self, request_ids: Sequence[str]) -> list[StoredRequest]:
        """These, as far as they exist."""
        if not request_ids:
            return []
        query = sa.select(*COLUMNS).where(tool_requests.c.request_id.in_(request_ids))
        return await self._store.transaction(
            "cannot read requests", lambda it: [stored(one) for one in it.execute(query).all()]
        )

    async def listed(self, wanted: Wanted, limit: int) -> list[StoredRequest]:
        """The newest first."""
        row = tool_requests.c
        query = sa.select(*COLUMNS).order_by(row.created_at.desc(), row.request_id).limit(limit)
        if wanted.states:
            query = query.where(row.state.in_(wanted.states))
        if wanted.tool:
            query = query.where(row.tool == wanted.tool)
        if wanted.call_id:
            query = query.where(row.call_id == wanted.call_id)
        return await self._store.transaction(
            "cannot read requests", lambda it: [stored(one) for one in it.execute(query).all()]
        )

    async def around(self, requests: Sequence[StoredRequest]) -> dict[str, Around]:
        """By request id. A few at a time: SQLite does one transaction after the other, and calls have events too."""
        found: dict[str, Around] = {}
        for first in range(0, len(requests), AT_ONCE):
            found |= await self._around(requests[first : first + AT_ONCE])
        return found

    async def _around(self, requests: Sequence[StoredRequest]) -> dict[str, Around]:
        def work(connection: sa.Connection) -> dict[str, Around]:
            call_ids = {request.call_id for request in requests}
            named = sa.select(calls.c.call_id, calls.c.from_display).where(calls.c.call_id.in_(call_ids))
            names = {one.call_id: str(one.from_display or "") for one in connection.execute(named)}
            lines = {call_id: _lines(connection, call_id) for call_id in call_ids}
            return {
                request.request_id: Around(
                    names.get(request.call_id, ""), lines[request.call_id], _earlier(connection, request)
                )
                for request in requests
            }

        return await self._store.transaction("cannot read what is around a request", work)


def _lines(connection: sa.Connection, call_id: str) -> tuple[SpokenLine, ...]:
    """The last that was said, in order; of an item that was told twice, its last form."""
    row = call_events.c
    mine = sa.select(row.type, row.data).where(row.call_id == call_id, row.type.in_(_SPOKEN))
    rows = connection.execute(mine.order_by(row.id.desc()).limit(_READ_EVENTS)).all()
    texts: dict[tuple[str, str], str] = {}
    cut: set[str] = set()
    for one in reversed(rows):
        data = _object(one.data)
        item = str(data.get("item_id"))
        if one.type == "transcript":
            texts[str(data.get("who")), item] = str(data.get("text") or "").strip()
        elif data.get("interrupted") is True:
            cut.add(item)
    spoken = [
        SpokenLine(who, text, who == "agent" and item in cut) for (who, item), text in texts.items() if text
    ]
    return tuple(spoken[-MAX_LINES:])


def _earlier(connection: sa.Connection, request: StoredRequest) -> tuple[StoredRequest, ...]:
    """What became of the same caller's requests of the same function, the newest first."""
    if not request.caller:
        return ()
    row = tool_requests.c
    same = (row.tool == request.tool) & (row.caller == request.caller)
    before = (row.created_at < request.created_at) & row.state.in_(DECIDED)
    query = sa.select(*COLUMNS).where(same, before).order_by(row.created_at.desc()).limit(MAX_EARLIER)
    return tuple(stored(one) for one in connection.execute(query))


def _object(text: str) -> Mapping[str, Any]:
    value = json.loads(text)
    return value if isinstance(value, dict) else {}
