"""What the console shows of calls that are going on: all of them in one question, and what is new of a few.

Reads only. While somebody looks both are asked some times a second, so each goes over indices: what a call does now is
its newest telling event, found from the end of its events. Part of the Store.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.records.cdr import CallRecord
from bridge.store.callrows import record_of
from bridge.store.store import Store
from bridge.store.tables import call_events, calls

AT_ONCE = 1000
"""Events of one call that are read at a time."""


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call without an end, and the newest of its events that tell what happens now ("": there was none)."""

    record: CallRecord
    type: str = ""
    at: float = 0.0
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a call. `place`: grows within the call."""

    place: int
    type: str
    at: float
    mono: float
    data: Mapping[str, Any]


class LiveStore:
    """The questions. Every method raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def calls(self, telling: Sequence[str], limit: int) -> list[LiveCall]:
        """Live calls of all nodes, the newest first, each with its newest event of a type in `telling`."""
        event = call_events.alias("newest")
        row = call_events.c
        mine = sa.select(row.id).where(row.call_id == calls.c.call_id, row.type.in_(telling))
        newest = mine.order_by(row.id.desc()).limit(1).correlate(calls).scalar_subquery()
        joined = sa.outerjoin(calls, event, event.c.id == newest)
        told = (event.c.type.label("told"), event.c.at.label("told_at"), event.c.data.label("told_data"))
        query = sa.select(*calls.c, *told).select_from(joined).where(calls.c.ended_at.is_(None))
        query = query.order_by(calls.c.started_at.desc(), calls.c.call_id).limit(limit)

        def work(connection: sa.Connection) -> list[LiveCall]:
            return [_live(one) for one in connection.execute(query).all()]

        return await self._store.transaction("cannot read the live calls", work)

    async def call(self, call_id: str) -> CallRecord | None:
        """One call, live or over."""
        query = sa.select(calls).where(calls.c.call_id == call_id)

        def work(connection: sa.Connection) -> CallRecord | None:
            found = connection.execute(query).one_or_none()
            return None if found is None else record_of(found)

        return await self._store.transaction("cannot read a call", work)

    async def news(self, places: Mapping[str, int]) -> dict[str, list[Told]]:
        """Events behind these places, by call, in order; at most AT_ONCE a call: ask again for more."""
        row = call_events.c

        def work(connection: sa.Connection) -> dict[str, list[Told]]:
            found = {}
            for call_id, place in places.items():
                query = sa.select(row.id, row.type, row.at, row.mono, row.data)
                query = query.where(row.call_id == call_id, row.id > place).order_by(row.id).limit(AT_ONCE)
                found[call_id] = [
                    Told(one.id, one.type, one.at, one.mono, _object(one.data))
                    for one in connection.execute(query).all()
                ]
            return found

        return await self._store.transaction("cannot read what is new of calls", work)


def _live(row: sa.Row[*tuple[Any, ...]]) -> LiveCall:
    if row.told is None:
        return LiveCall(record_of(row))
    return LiveCall(record_of(row), row.told, row.told_at, _object(row.told_data))


def _object(text: str) -> Mapping[str, Any]:
    value = json.loads(text)
    return value if isinstance(value, dict) else {}
