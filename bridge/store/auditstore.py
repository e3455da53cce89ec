"""The audit as people look through it: the newest entries first, by call, kind or who did it. Part of the Store.

Reads only, in pages over the chain's own number. That the chain holds is not looked at here: `sipbridge audit verify`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.gaterows import json_object
from bridge.store.store import Store
from bridge.store.tables import audit_entries, audit_payloads

MOST = 500


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
    """Which entries; "" is any. `before`: only numbers below; 0: the newest. `deeds`: none about a tool request."""

    call_id: str = ""
    type: str = ""
    actor: str = ""
    before: int = 0
    deeds: bool = False


class AuditStore:
    """The question."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def listed(self, sought: Sought, limit: int = MOST) -> list[AuditEntry]:
        """The newest first, MOST at most. Raises StoreError."""
        row, payload = audit_entries.c, audit_payloads.c
        columns = [row[name] for name in AuditEntry.__dataclass_fields__ if name != "personal"]
        table = audit_entries.outerjoin(audit_payloads, payload.hash == row.payload_hash)
        query = sa.select(*columns, payload.payload).select_from(table).order_by(row.seq.desc())
        for name in ("call_id", "type", "actor"):
            if wanted := getattr(sought, name):
                query = query.where(row[name] == wanted)
        if sought.before:
            query = query.where(row.seq < sought.before)
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
