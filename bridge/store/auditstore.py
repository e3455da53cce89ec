"""The audit as people look through it: the newest entries first, by call, kind, who did it, when. Part of the Store.

Reads only, in pages over the chain's own number; each transaction looks at a bounded number of entries, as those of
the history do (historystore.py). That the chain holds is not looked at here: `sipbridge audit verify`.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from bridge.store.gaterows import json_object
from bridge.store.store import Store
from bridge.store.tables import audit_entries, audit_payloads, tool_requests

MOST = 500
WINDOW = 5000
"""Entries that one transaction looks at."""
WITHIN_S = 1.5


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry. `facts` name nobody, `personal` may: None where there was nothing, or it was erased. Unix seconds."""

    seq: int
    at: float
    type: str
    actor: str
    call_id: str
    request_id: str
    facts: Mapping[str, Any]
    hash: str
    personal: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """Which entries; "" and None are any. `since`, `until`: unix seconds, both included.

    `before`: only numbers below; 0: the newest. `deeds`: none about a tool request.
    """

    call_id: str = ""
    type: str = ""
    actor: str = ""
    before: int = 0
    deeds: bool = False
    since: float | None = None
    until: float | None = None

    def below(self, before: int) -> "Sought":
        """The same from another number on."""
        return replace(self, before=before)

    def told(self) -> dict[str, Any]:
        """What was looked for, as the audit may keep it for ever: of what was typed, only that there was something."""
        typed = {"call_id": bool(self.call_id), "type": self.type, "actor": bool(self.actor)}
        kept: dict[str, Any] = {**typed, "since": self.since, "until": self.until}
        return {name: value for name, value in kept.items() if value}


@dataclass(frozen=True, slots=True)
class Found:
    """A page. `next`: `before` of the next one, 0: nothing is older. `cut`: time was up before it was full."""

    entries: tuple[AuditEntry, ...]
    next: int = 0
    cut: bool = False


class AuditStore:
    """The questions. Every method raises StoreError."""

    def __init__(self, store: Store, window: int = WINDOW) -> None:
        self._store = store
        self._window = window

    async def page(self, sought: Sought, limit: int, within_s: float = WITHIN_S) -> Found:
        """At most `limit` entries (and MOST) that fit."""
        until_s, found, limit = time.monotonic() + within_s, list[AuditEntry](), min(limit, MOST)
        newest = await self.end()
        before = min(sought.before or newest + 1, newest + 1)
        while before > 1:
            size = before if sought.call_id else self._window  # a call's entries are found by their index
            begin, left = max(before - size, 1), limit - len(found)
            some = await self.listed(sought.below(before), left, begin)
            found += some
            before = some[-1].seq if len(some) == left else begin
            if len(found) >= limit:
                break
            if time.monotonic() >= until_s and before > 1:
                return Found(tuple(found), before, cut=True)
        return Found(tuple(found), before if before > 1 else 0)

    async def end(self) -> int:
        """The number of the newest entry; 0: there is none."""
        query = sa.select(sa.func.coalesce(sa.func.max(audit_entries.c.seq), 0))
        return int(
            await self._store.transaction("cannot read the audit", lambda it: it.execute(query).scalar_one())
        )

    async def chain(self, after: int, limit: int) -> list[Mapping[str, Any]]:
        """Entries as the chain has them, in its order, for who looks whether it holds."""
        query = sa.select(audit_entries).where(audit_entries.c.seq > after).order_by(audit_entries.c.seq)
        rows = await self._store.transaction(
            "cannot read the audit", lambda it: it.execute(query.limit(limit)).all()
        )
        return [{**row._mapping, "facts": json_object(row.facts)} for row in rows]  # noqa: SLF001  # its public name

    async def tools(self, request_ids: Collection[str]) -> dict[str, str]:
        """The function of each of these requests that is still there."""
        row = tool_requests.c
        query = sa.select(row.request_id, row.tool).where(row.request_id.in_(request_ids))
        rows = await self._store.transaction(
            "cannot read the requests", lambda it: it.execute(query).all() if request_ids else ()
        )
        return {one.request_id: one.tool for one in rows}

    async def listed(self, sought: Sought, limit: int = MOST, begin: int = 0) -> list[AuditEntry]:
        """The newest first, MOST at most, in one transaction. `begin`: none of a lower number."""
        row, payload = audit_entries.c, audit_payloads.c
        columns = [row[name] for name in AuditEntry.__dataclass_fields__ if name != "personal"]
        table = audit_entries.outerjoin(audit_payloads, payload.hash == row.payload_hash)
        query = sa.select(*columns, payload.payload).select_from(table).order_by(row.seq.desc())
        for name in ("call_id", "type", "actor"):
            if wanted := getattr(sought, name):
                query = query.where(row[name] == wanted)
        if sought.before:
            query = query.where(row.seq < sought.before)
        if begin:
            query = query.where(row.seq >= begin)
        if sought.since is not None:
            query = query.where(row.at >= sought.since)
        if sought.until is not None:
            query = query.where(row.at <= sought.until)
        if sought.deeds:
            query = query.where(row.request_id == "")
        rows = await self._store.transaction(
            "cannot read the audit", lambda it: it.execute(query.limit(min(limit, MOST))).all()
        )
        return [
            AuditEntry(
                one.seq,
                one.at,
                one.type,
                one.actor,
                one.call_id,
                one.request_id,
                json_object(one.facts),
                one.hash,
                None if one.payload is None else json_object(one.payload),
            )
            for one in rows
        ]
