"""What happened on all nodes, in order, for who is told of it: call events and entries of the audit. Part of the Store.

Both tables only grow, and a row's number says how far somebody is. The audit is written one entry at a time; call
events get their number before they can be seen, so that on PostgreSQL a lower one may come a moment later:
control_events.py waits for those. Reads only, over indices, in pages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.records.announce import AUDIT, AUDIT_TYPES, CALL, CALL_TYPES, Told
from bridge.store.database import few_lengths
from bridge.store.gaterows import json_object
from bridge.store.store import Store
from bridge.store.tables import audit_entries, call_events, calls, tool_requests

_CALL_FACTS = ("direction", "from_uri", "to_uri", "route", "agent", "node", "duration_s", "answered_at")


@dataclass(frozen=True, slots=True)
class Position:
    """How far somebody is: the last call event, the last entry of the audit."""

    calls: int = 0
    audit: int = 0

    def __str__(self) -> str:
        return f"c{self.calls}a{self.audit}"


class EventStore:
    """The questions. Every method raises StoreError."""

    def __init__(self, store: Store) -> None:
        self.shared = store.shared
        self._store = store

    async def head(self) -> Position:
        """The newest of both."""

        def work(connection: sa.Connection) -> Position:
            newest = (sa.func.max(call_events.c.id), sa.func.max(audit_entries.c.seq))
            found = [connection.execute(sa.select(one)).scalar_one_or_none() or 0 for one in newest]
            return Position(int(found[0]), int(found[1]))

        return await self._store.transaction("cannot read what happened", work)

    async def numbers(self, after: int, limit: int) -> list[int]:
        """Numbers of call events beyond this one, in order."""
        query = sa.select(call_events.c.id).where(call_events.c.id > after)
        query = query.order_by(call_events.c.id).limit(limit)
        return await self._store.transaction(
            "cannot read what happened", lambda it: list(it.execute(query).scalars())
        )

    async def between(self, after: Position, until: Position, limit: int) -> tuple[list[Told], Position]:
        """What may be told beyond `after` and not beyond `until`, by time; and how far it was read."""

        def work(connection: sa.Connection) -> tuple[list[Told], Position]:
            spoken = _page(connection, call_events.c.id, (after.calls, until.calls), limit)
            noted = _page(connection, audit_entries.c.seq, (after.audit, until.audit), limit)
            found = [*_calls(connection, after.calls, spoken), *_audit(connection, after.audit, noted)]
            return sorted(found, key=lambda one: one.at), Position(spoken, noted)

        return await self._store.transaction("cannot read what happened", work)

    async def one(self, source: str, number: int) -> Told | None:
        """One of them; None: it has been forgotten."""

        def work(connection: sa.Connection) -> list[Told]:
            if source == CALL:
                return _calls(connection, number - 1, number)
            return _audit(connection, number - 1, number) if source == AUDIT else []

        found = await self._store.transaction("cannot read what happened", work)
        return found[0] if found else None


def _page(connection: sa.Connection, number: sa.ColumnElement[int], span: tuple[int, int], limit: int) -> int:
    """The last number of a page of so many rows beyond span[0]; span[1] when there are fewer."""
    query = sa.select(number).where(number > span[0], number <= span[1]).order_by(number)
    last = connection.execute(query.offset(limit - 1).limit(1)).scalar_one_or_none()
    return int(last) if last is not None else max(span)


def _calls(connection: sa.Connection, after: int, until: int) -> list[Told]:
    row = call_events.c
    query = sa.select(row.id, row.type, row.call_id, row.at, row.data).where(
        row.id > after, row.id <= until, row.type.in_(CALL_TYPES)
    )
    rows = connection.execute(query.order_by(row.id)).all()
    known = _records(connection, {one.call_id for one in rows})
    return [
        Told(CALL, one.id, one.type, one.call_id, one.at, json_object(one.data), known.get(one.call_id, {}))
        for one in rows
    ]


def _records(connection: sa.Connection, call_ids: set[str]) -> dict[str, Mapping[str, Any]]:
    if not call_ids:
        return {}
    columns = [calls.c[name] for name in ("call_id", *_CALL_FACTS)]
    rows = connection.execute(sa.select(*columns).where(calls.c.call_id.in_(few_lengths(call_ids))))
    return {row.call_id: dict(row._mapping) for row in rows}  # noqa: SLF001  # SQLAlchemy's public name


def _audit(connection: sa.Connection, after: int, until: int) -> list[Told]:
    row, of = audit_entries.c, tool_requests.c
    query = sa.select(row.seq, row.type, row.call_id, row.at, row.facts, row.actor, row.request_id, of.gate)
    query = query.select_from(audit_entries.join(tool_requests, of.request_id == row.request_id))
    query = query.where(row.seq > after, row.seq <= until, row.type.in_(AUDIT_TYPES)).order_by(row.seq)
    return [
        Told(
            AUDIT,
            one.seq,
            one.type,
            one.call_id,
            one.at,
            {**json_object(one.facts), "actor": one.actor},
            request_id=one.request_id,
            request=json_object(one.gate),
        )
        for one in connection.execute(query).all()
    ]
