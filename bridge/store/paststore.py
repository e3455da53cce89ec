"""What was asked of people before, for the console: old requests, the audit of one, and the audit since a moment.

Reads only, by indices and in pieces: SQLite does one transaction after the other, and calls write too. What is looked
for in a gate's JSON is looked for here, in a thread, in a bounded number of rows. Part of the Store.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.approval.statistics import TYPES, Entry
from bridge.store.gaterows import COLUMNS, StoredRequest, json_object, stored
from bridge.store.store import Store
from bridge.store.tables import audit_entries, audit_payloads, tool_requests

CHUNK = 300
MAX_SCANNED = 3000
PAGE = 50
MAX_FUNCTIONS = 200
MAX_TRAIL = 300
AUDIT_CHUNK = 1000
SKEW_S = 300.0
"""Clocks of nodes differ: the chain's order is not exactly that of its times."""
STATES = ("approved", "executing", "succeeded", "failed", "unknown", "denied", "expired", "cancelled")
"""Those after a decision, or without one because it came too late."""
_BY = ("approved", "denied", "reconciled")
Place = tuple[float, str]
"""Of a request in this order: (created at, id)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests; "" is any. `everything`: also those that no person was asked about."""

    state: str = ""
    tool: str = ""
    rule: str = ""
    caller: str = ""
    everything: bool = False

    def fits(self, row: StoredRequest) -> bool:
        """What no index knows."""
        ruling = row.gate.get("ruling")
        if not isinstance(ruling, dict):
            return False
        asked = ruling.get("ask") is not None or ruling.get("effect") == "ask"
        return (not self.rule or ruling.get("rule") == self.rule) and (self.everything or asked)


@dataclass(frozen=True, slots=True)
class Found:
    """`older`: where to look on; None: there are no more."""

    rows: tuple[StoredRequest, ...]
    older: Place | None


@dataclass(frozen=True, slots=True)
class Trace:
    """One entry of the audit about a request. `personal`: None once erased, and where there was nothing."""

    at: float
    type: str
    actor: str
    facts: Mapping[str, Any]
    personal: Mapping[str, Any] | None


class PastStore:
    """The questions. Every method raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def functions(self) -> list[str]:
        """Every function that was ever asked for, MAX_FUNCTIONS at most: one look into the index for each."""
        row = tool_requests.c

        def work(connection: sa.Connection) -> list[str]:
            found: list[str] = []
            while len(found) < MAX_FUNCTIONS:
                after = row.tool > (found[-1] if found else "")
                name = connection.execute(sa.select(sa.func.min(row.tool)).where(after)).scalar_one()
                if name is None:
                    break
                found.append(str(name))
            return found

        return await self._store.transaction("cannot read which functions there are", work)

    async def search(self, wanted: Wanted, before: Place | None = None) -> Found:
        """The newest first. A page may be short, or empty, and there may be older ones all the same."""
        tools = await self.functions() if wanted.caller and not wanted.tool else [wanted.tool]
        found: list[StoredRequest] = []
        for _ in range(MAX_SCANNED // CHUNK):
            rows = await self._chunk(wanted, tools, before)
            for row in await asyncio.to_thread(lambda raw: [stored(one) for one in raw], rows):
                before = row.created_at, row.request_id
                if wanted.fits(row):
                    found.append(row)
                if len(found) == PAGE:
                    return Found(tuple(found), before)
            if len(rows) < CHUNK:
                return Found(tuple(found), None)
        return Found(tuple(found), before)

    async def _chunk(
        self, wanted: Wanted, tools: Collection[str], before: Place | None
    ) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        row = tool_requests.c
        where = []
        if before is not None:
            where.append(sa.tuple_(row.created_at, row.request_id) < sa.tuple_(*map(sa.literal, before)))
        if wanted.caller:
            where.append(row.caller == wanted.caller)
        states = [wanted.state] if wanted.state else STATES
        if wanted.caller or wanted.tool:  # the index of tool (and caller) is in the order of time for each
            parts = [[row.tool == tool, row.state.in_(states)] for tool in tools]
        else:  # as is that of states
            parts = [[row.state == state] for state in states]
        pieces = [_newest(sa.select(row.request_id, row.created_at).where(*where, *part)) for part in parts]
        if not pieces:
            return []
        newest = sa.union_all(*(sa.select(piece.subquery()) for piece in pieces)).subquery()
        ids = _newest(sa.select(newest.c.request_id, newest.c.created_at), newest.c).subquery()
        query = sa.select(*COLUMNS).join(ids, ids.c.request_id == row.request_id)
        query = query.order_by(row.created_at.desc(), row.request_id.desc())
        return await self._store.transaction(
            "cannot look for requests", lambda it: list(it.execute(query).all())
        )

    async def deciders(self, rows: Sequence[StoredRequest]) -> dict[str, tuple[str, ...]]:
        """Who approved, denied or settled these, by request id."""
        row = audit_entries.c
        mine = row.call_id.in_({one.call_id for one in rows}) & row.request_id.in_(
            [one.request_id for one in rows]
        )
        query = sa.select(row.request_id, row.actor).where(mine, row.type.in_(_BY)).order_by(row.seq)
        found: dict[str, dict[str, None]] = {}
        for one in await self._rows(query):
            found.setdefault(one.request_id, {})[one.actor] = None
        return {request_id: tuple(names) for request_id, names in found.items()}

    async def trail(self, request_id: str, call_id: str) -> list[Trace]:
        """What the audit has about a request, in order; MAX_TRAIL entries at most."""
        row, payload = audit_entries.c, audit_payloads.c
        columns = (row.at, row.type, row.actor, row.facts, payload.payload)
        table = audit_entries.outerjoin(audit_payloads, payload.hash == row.payload_hash)
        mine = (row.call_id == call_id) & (row.request_id == request_id)
        query = sa.select(*columns).select_from(table).where(mine).order_by(row.seq).limit(MAX_TRAIL)
        return [
            Trace(
                one.at,
                one.type,
                one.actor,
                json_object(one.facts),
                None if one.payload is None else json_object(one.payload),
            )
            for one in await self._rows(query)
        ]

    async def audit_since(self, since: float, most: int) -> tuple[list[Entry], bool]:
        """What statistics are made of, in order, `most` of the newest; and whether that is all since then."""
        row, raw, before = audit_entries.c, list[sa.Row[*tuple[Any, ...]]](), None
        while len(raw) < most:
            query = sa.select(row.seq, row.at, row.request_id, row.type, row.actor, row.facts)
            query = query.where(row.type.in_(TYPES)).order_by(row.seq.desc()).limit(AUDIT_CHUNK)
            chunk = await self._rows(query if before is None else query.where(row.seq < before))
            raw += chunk
            if len(chunk) < AUDIT_CHUNK or chunk[-1].at < since - SKEW_S:
                return await asyncio.to_thread(_entries, raw[:most], since), len(raw) <= most
            before = chunk[-1].seq
        return await asyncio.to_thread(_entries, raw[:most], since), False

    async def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        return await self._store.transaction(
            "cannot read the audit", lambda it: list(it.execute(query).all())
        )


def _newest(query: sa.Select[Any], columns: Any = tool_requests.c) -> sa.Select[Any]:
    return query.order_by(columns.created_at.desc(), columns.request_id.desc()).limit(CHUNK)


def _entries(rows: Sequence[sa.Row[*tuple[Any, ...]]], since: float) -> list[Entry]:
    return [
        Entry(one.at, one.request_id, one.type, one.actor, json_object(one.facts))
        for one in reversed(rows)
        if one.at >= since
    ]
