"""What webhooks still have to be told, and how that goes. Part of the Store.

    take_up: events ─► rows `pending`, and the endpoint's place moved, in one transaction   (each event once)
    due ─► POST ─► delivered | pending, later | parked: for a person to look at, and to try again

A row names its event and does not hold it: what was forgotten meanwhile (retention, erasure) is not told any more. Of
one call and endpoint only the oldest pending row is due, so that a call's events come in their order.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.records.announce import TEST
from bridge.store.database import now
from bridge.store.eventstore import Position
from bridge.store.nodestore import guard
from bridge.store.store import Store
from bridge.store.tables_webhooks import webhook_deliveries, webhook_endpoints

PENDING, DELIVERED, PARKED = "pending", "delivered", "parked"
STATES = (PENDING, DELIVERED, PARKED)
LEASE = "webhooks"
KEEP_DELIVERED_S = 86_400.0
KEEP_PARKED_S = 30 * 86_400.0
KEEP = 5000
"""Rows of an endpoint that are kept of each, besides the time."""
MAX_ERROR = 300


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one endpoint is. `key` is part of every message's id; times are unix seconds."""

    name: str
    key: str
    place: Position
    failing_since: float | None = None
    failures: int = 0
    disabled_at: float | None = None
    delivered_at: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint. `source` and `number` name it; `status`: of the last answer."""

    delivery_id: int
    endpoint: str
    source: str
    number: int
    type: str
    call_id: str
    state: str
    tries: int
    next_at: float
    created_at: float
    updated_at: float
    status: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint as people and programs see it. `to`: its host; a whole URL may hold a secret."""

    name: str
    to: str
    events: tuple[str, ...]
    personal: bool
    health: str
    failing_since: float | None
    disabled_at: float | None
    delivered_at: float | None
    error: str
    pending: int
    delivered: int
    parked: int


@dataclass(frozen=True, slots=True)
class Item:
    """An event to tell, before it is a row."""

    source: str
    number: int
    type: str
    call_id: str


class WebhookStore:
    """The tables in `store`. Every method raises StoreError.

    `token`: of the lease under which this node sends (nodestore.guard); looked at where several nodes share the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    # ---- endpoints -------------------------------------------------------------------------------------------

    async def settle(self, names: Collection[str], head: Position) -> None:
        """Have exactly these endpoints; a new one is told of what happens from now on."""

        def work(connection: sa.Connection) -> None:
            row = webhook_endpoints.c
            known = set(connection.execute(sa.select(row.name)).scalars())
            for table, column in (
                (webhook_deliveries, webhook_deliveries.c.endpoint),
                (webhook_endpoints, row.name),
            ):
                connection.execute(sa.delete(table).where(column.not_in(names)))
            for name in sorted({*names} - known):
                place = {"calls_at": head.calls, "audit_at": head.audit}
                new = {"name": name, "key": secrets.token_hex(4), "failures": 0, "error": "", **place}
                connection.execute(sa.insert(webhook_endpoints).values(**new))

        await self._store.transaction("cannot keep the webhooks", work)

    async def endpoints(self) -> list[Endpoint]:
        """All of them, by name."""
        query = sa.select(webhook_endpoints).order_by(webhook_endpoints.c.name)
        return [_endpoint(row) for row in await self._rows(query)]

    async def keep(self, endpoint: Endpoint, token: int) -> None:
        """How it fares; its place is not touched."""
        names = ("failing_since", "failures", "disabled_at", "delivered_at")
        values = {name: getattr(endpoint, name) for name in names} | {"error": endpoint.error[:MAX_ERROR]}
        change = (
            sa.update(webhook_endpoints).where(webhook_endpoints.c.name == endpoint.name).values(**values)
        )
        await self._write("cannot keep a webhook", change, token)

    async def enable(self, name: str) -> bool:
        """As if it had never failed; False: there is no such endpoint."""
        healthy = {"failing_since": None, "failures": 0, "disabled_at": None, "error": ""}
        change = sa.update(webhook_endpoints).where(webhook_endpoints.c.name == name).values(**healthy)
        return bool(
            await self._store.transaction("cannot enable a webhook", lambda it: it.execute(change).rowcount)
        )

    # ---- taking up -------------------------------------------------------------------------------------------

    async def take_up(
        self, name: str, span: tuple[Position, Position], items: Sequence[Item], token: int, most: int
    ) -> int:
        """Keep what one endpoint has to be told of a span of events; answers how many were parked for room.

        Nothing is done when its place is not where the span begins: somebody else has been here. Beyond `most`
        pending ones the oldest are parked.
        """
        before, after = span

        def work(connection: sa.Connection) -> int:
            self._guarded(connection, token)
            at, row = now(connection), webhook_endpoints.c
            here = (row.name == name) & (row.calls_at == before.calls) & (row.audit_at == before.audit)
            moved = sa.update(webhook_endpoints).where(here)
            if not connection.execute(moved.values(calls_at=after.calls, audit_at=after.audit)).rowcount:
                return 0
            if not items:
                return 0
            connection.execute(sa.insert(webhook_deliveries), [_new(name, one, at) for one in items])
            return _make_room(connection, name, most, at)

        return await self._store.transaction("cannot take up what webhooks are told", work)

    async def add(self, name: str, item: Item) -> int:
        """One more, such as a test; answers its id."""

        def work(connection: sa.Connection) -> int:
            new = sa.insert(webhook_deliveries).values(**_new(name, item, now(connection)))
            return int(connection.execute(new).inserted_primary_key[0])  # type: ignore[index]  # one column, always there

        return await self._store.transaction("cannot keep what a webhook is told", work)

    # ---- delivering ------------------------------------------------------------------------------------------

    async def due(self, name: str, limit: int) -> list[Delivery]:
        """What may be sent to an endpoint now, the oldest first."""
        one, older = webhook_deliveries.alias(), webhook_deliveries.alias()
        waits = sa.exists().where(
            older.c.endpoint == one.c.endpoint,
            older.c.call_id == one.c.call_id,
            older.c.state == PENDING,
            older.c.delivery_id < one.c.delivery_id,
        )

        def work(connection: sa.Connection) -> list[Delivery]:
            mine = (one.c.endpoint == name) & (one.c.state == PENDING)
            mine &= one.c.next_at <= now(connection)
            mine &= (one.c.call_id == "") | ~waits
            tests_first = sa.case((one.c.source == TEST, 0), else_=1)
            query = sa.select(one).where(mine).order_by(tests_first, one.c.delivery_id).limit(limit)
            return [_delivery(row) for row in connection.execute(query).all()]

        return await self._store.transaction("cannot read what webhooks are told", work)

    async def settle_one(self, delivery: Delivery, wait_s: float, token: int) -> None:
        """What became of a try: the delivery as it is now; a pending one is due in `wait_s`."""

        def work(connection: sa.Connection) -> None:
            self._guarded(connection, token)
            at = now(connection)
            values = {"state": delivery.state, "tries": delivery.tries, "status": delivery.status}
            values |= {"error": delivery.error[:MAX_ERROR], "next_at": at + wait_s, "updated_at": at}
            mine = webhook_deliveries.c.delivery_id == delivery.delivery_id
            connection.execute(sa.update(webhook_deliveries).where(mine).values(**values))

        await self._store.transaction("cannot keep a delivery", work)

    async def park(self, name: str, why: str, token: int, older_s: float = 0.0) -> int:
        """Park what is pending for an endpoint for longer than `older_s`; answers how much that is."""

        def work(connection: sa.Connection) -> int:
            self._guarded(connection, token)
            at, row = now(connection), webhook_deliveries.c
            mine = (row.endpoint == name) & (row.state == PENDING) & (row.created_at <= at - older_s)
            parked = {"state": PARKED, "error": why[:MAX_ERROR], "updated_at": at}
            return connection.execute(sa.update(webhook_deliveries).where(mine).values(**parked)).rowcount

        return await self._store.transaction("cannot park what webhooks are told", work)

    async def again(self, delivery_id: int) -> bool:
        """Try a delivery anew that was parked or delivered; False: there is none such."""

        def work(connection: sa.Connection) -> bool:
            at, row = now(connection), webhook_deliveries.c
            mine = (row.delivery_id == delivery_id) & (row.state != PENDING)
            fresh = {"state": PENDING, "tries": 0, "next_at": at, "created_at": at, "updated_at": at}
            return bool(
                connection.execute(sa.update(webhook_deliveries).where(mine).values(**fresh)).rowcount
            )

        return await self._store.transaction("cannot take a delivery up again", work)

    async def prune(self) -> int:
        """Forget what is delivered or parked for long, or too much of it; answers how much."""

        def work(connection: sa.Connection) -> int:
            at, row, gone = now(connection), webhook_deliveries.c, 0
            for state, keep_s in ((DELIVERED, KEEP_DELIVERED_S), (PARKED, KEEP_PARKED_S)):
                old = (row.state == state) & (row.updated_at < at - keep_s)
                gone += connection.execute(sa.delete(webhook_deliveries).where(old)).rowcount
                for name in list(connection.execute(sa.select(row.endpoint).distinct()).scalars()):
                    gone += _beyond(connection, name, state)
            return gone

        return await self._store.transaction("cannot prune what webhooks were told", work)

    # ---- looking ---------------------------------------------------------------------------------------------

    async def deliveries(self, endpoint: str = "", state: str = "", limit: int = 100) -> list[Delivery]:
        """The newest first."""
        query = sa.select(webhook_deliveries).order_by(webhook_deliveries.c.delivery_id.desc()).limit(limit)
        if endpoint:
            query = query.where(webhook_deliveries.c.endpoint == endpoint)
        if state:
            query = query.where(webhook_deliveries.c.state == state)
        return [_delivery(row) for row in await self._rows(query)]

    async def counts(self) -> dict[tuple[str, str], int]:
        """How many rows by (endpoint, state)."""
        row = webhook_deliveries.c
        query = sa.select(row.endpoint, row.state, sa.func.count()).group_by(row.endpoint, row.state)
        return {(one[0], one[1]): int(one[2]) for one in await self._rows(query)}

    def _guarded(self, connection: sa.Connection, token: int) -> None:
        if self._store.shared:
            guard(connection, LEASE, token)

    async def _write(self, doing: str, change: sa.Executable, token: int) -> None:
        def work(connection: sa.Connection) -> None:
            self._guarded(connection, token)
            connection.execute(change)

        await self._store.transaction(doing, work)

    async def _rows(self, query: sa.Executable) -> list[Any]:
        return await self._store.transaction(
            "cannot read the webhooks", lambda it: list(it.execute(query).all())
        )


def _new(name: str, item: Item, at: float) -> dict[str, Any]:
    return {
        "endpoint": name,
        "source": item.source,
        "number": item.number,
        "type": item.type,
        "call_id": item.call_id,
        "state": PENDING,
        "tries": 0,
        "next_at": at,
        "created_at": at,
        "updated_at": at,
        "error": "",
    }


def _make_room(connection: sa.Connection, name: str, most: int, at: float) -> int:
    row = webhook_deliveries.c
    mine = (row.endpoint == name) & (row.state == PENDING)
    newest = sa.select(row.delivery_id).where(mine).order_by(row.delivery_id.desc())
    last = connection.execute(newest.offset(most).limit(1)).scalar_one_or_none()
    if last is None:
        return 0
    parked = {"state": PARKED, "error": f"more than {most} waited: the oldest were parked", "updated_at": at}
    change = sa.update(webhook_deliveries).where(mine, row.delivery_id <= last).values(**parked)
    return connection.execute(change).rowcount


def _beyond(connection: sa.Connection, name: str, state: str) -> int:
    row = webhook_deliveries.c
    mine = (row.endpoint == name) & (row.state == state)
    newest = sa.select(row.delivery_id).where(mine).order_by(row.delivery_id.desc())
    last = connection.execute(newest.offset(KEEP).limit(1)).scalar_one_or_none()
    if last is None:
        return 0
    return connection.execute(sa.delete(webhook_deliveries).where(mine, row.delivery_id <= last)).rowcount


def _endpoint(row: sa.Row[Any]) -> Endpoint:
    kept = row._mapping  # noqa: SLF001  # SQLAlchemy's public name
    rest = {name: kept[name] for name in Endpoint.__slots__ if name != "place"}
    return Endpoint(**rest, place=Position(kept["calls_at"], kept["audit_at"]))


def _delivery(row: sa.Row[Any]) -> Delivery:
    return Delivery(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name
