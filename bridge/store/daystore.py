"""What the overview and the health page ask of the store: the day in figures, providers, unknown outcomes.

Reads only, bounded: a day of calls over an index, or so many of the newest. Part of the Store.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.historystore import TROUBLE
from bridge.store.store import Store
from bridge.store.tables import calls, leases, tool_requests

NEWEST = 2000
MAX_LEASES = 50
SIZES = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


@dataclass(frozen=True, slots=True)
class Today:
    """Of the calls since `since` on all nodes. `cost_usd` None: nobody knows of any."""

    calls: int = 0
    trouble: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """Of the newest calls. Times are unix seconds; None: none was."""

    name: str
    calls: int
    failed: int
    connected_at: float | None = None
    failed_at: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """How the database itself is. `leases`: (name, node)."""

    latency_ms: float
    size_bytes: int | None
    unknown: int
    leases: tuple[tuple[str, str], ...]


class DayStore:
    """The questions. Every method raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def today(self, since: float) -> Today:
        """Figures of the calls that began since then."""
        mine = calls.c.started_at >= since
        query = sa.select(
            sa.func.count(),
            sa.func.sum(sa.case((TROUBLE, 1), else_=0)),
            sa.func.sum(calls.c.cost_usd),
        ).where(mine)
        row = await self._store.transaction("cannot read the day", lambda it: it.execute(query).one())
        return Today(int(row[0]), int(row[1] or 0), None if row[2] is None else float(row[2]))

    async def providers(self) -> list[ProviderRow]:
        """Of the newest calls, by provider."""
        row = calls.c
        newest = (
            sa.select(row.provider, row.started_at, row.session_id, row.session_error)
            .where(row.provider.is_not(None))
            .order_by(row.started_at.desc())
            .limit(NEWEST)
        )

        def work(connection: sa.Connection) -> list[ProviderRow]:
            return _providers(connection.execute(newest).all())

        return await self._store.transaction("cannot read the providers", work)

    async def condition(self, now: float) -> Condition:
        """How quick and how large it is, and requests whose outcome nobody knows."""

        def work(connection: sa.Connection) -> tuple[int | None, int, tuple[tuple[str, str], ...]]:
            size = SIZES.get(connection.dialect.name)
            unknown = sa.select(sa.func.count()).where(tool_requests.c.state == "unknown")
            held = sa.select(leases.c.name, leases.c.node).where(leases.c.until > now).limit(MAX_LEASES)
            return (
                int(connection.execute(sa.text(size)).scalar_one()) if size else None,
                int(connection.execute(unknown).scalar_one()),
                tuple((one.name, one.node) for one in connection.execute(held)),
            )

        began_s = time.monotonic()
        found = await self._store.transaction("cannot look at the store", work)
        return Condition((time.monotonic() - began_s) * 1000, *found)


def _providers(rows: Sequence[Any]) -> list[ProviderRow]:
    found: dict[str, ProviderRow] = {}
    for row in rows:
        name = str(row.provider)
        known = found.get(name) or ProviderRow(name, 0, 0)
        failed, connected = bool(row.session_error), row.session_id is not None
        first = failed and known.failed_at is None
        found[name] = ProviderRow(
            name,
            known.calls + 1,
            known.failed + failed,
            known.connected_at or (row.started_at if connected else None),
            row.started_at if first else known.failed_at,
            str(row.session_error)[:200] if first else known.error,
        )
    return sorted(found.values(), key=lambda one: one.name)
