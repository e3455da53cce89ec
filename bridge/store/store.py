"""The store: calls and their events in a database, written by control only, read by control and the CLI.

    write(events)   one transaction: drop what is there already, append events, fold records, move the offset
    adopt(boot)     the same, then end the calls the dead process left open

Whoever gets an answer from `write` or `adopt` may forget the events: they are committed. Everything that
goes wrong is a StoreError and changes nothing, so it can be tried again. Holds no rule about what a record is; that is
bridge/records/cdr.py. What runs the transactions: database.py. On PostgreSQL several nodes write at once; the events
of one boot are written under a lock of its name, so that an offset that was read is still true when it is moved.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Protocol, Self, TypeVar

import sqlalchemy as sa

from bridge.errors import StoreAwayError, StoreError
from bridge.records.cdr import LOST_BOOT, NODE_LOST, CallEvent, CallRecord, apply, number
from bridge.store.database import (
    POSTGRESQL,
    Database,
    DatabaseOptions,
    lock,
    now,
    parsed,
    plain,
    shown,
    usable,
)
from bridge.store.migrate import upgrade
from bridge.store.sqlite import Sqlite
from bridge.store.tables import OPEN_STATES, call_events, calls, link_offsets, tool_requests
from bridge.store.voicemailrows import keep_voicemails

T = TypeVar("T")
_FIELDS = tuple(field.name for field in fields(CallRecord))


class NewEvent(CallEvent, Protocol):
    """An event on its way in: `seq` counts from 1 within its boot."""

    @property
    def seq(self) -> int: ...


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the store gives it back."""

    seq: int
    boot: str
    call_id: str
    type: str
    at: float
    mono: float
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker process ended: unix seconds and words for the record."""

    at: float
    detail: str


@dataclass(frozen=True, slots=True)
class Source:
    """Whose events they are: a worker by its index, on a node."""

    worker: int
    node: str


class Store:
    """Async context manager. `migrate` is control's part; a reader opens what is there.

    `patient`: a database that cannot be reached yet is no reason not to begin; it is opened by the first transaction
    that reaches it. `node`: whose calls are written here. `shared`: other nodes may write too.
    """

    def __init__(
        self,
        url: str,
        *,
        migrate: bool = True,
        patient: bool = False,
        node: str = "",
        options: DatabaseOptions | None = None,
    ) -> None:
        self.node = node
        self.shared = url.startswith(POSTGRESQL)
        self._url = url
        self._migrate = migrate
        self._patient = patient
        self._options = options or DatabaseOptions()
        self._database: Database | None = None
        self._ready = False
        self._opening = asyncio.Lock()
        self.on_stored: Callable[[Sequence[NewEvent]], None] = lambda _events: None
        """Told of every event once: right after the commit that stored it for the first time."""

    async def __aenter__(self) -> Self:
        """Open and migrate. StoreError says what is wrong with the database."""
        self._database = database_of(self._url, self._options)
        try:
            with contextlib.suppress(*((StoreAwayError,) if self._patient else ())):
                await self._open(self._database)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_exit: object) -> None:
        if self._database is not None:
            await self._database.close()
            self._database, self._ready = None, False

    async def write(self, worker: int, events: Sequence[NewEvent]) -> int:
        """Keep these events of one boot, in order; answers how many of them were new."""
        fresh = await self.transaction(
            "cannot write events", lambda it: _append(it, self._from(worker), events)
        )
        self.on_stored(fresh)
        return len(fresh)

    async def adopt(self, worker: int, boot: str, events: Sequence[NewEvent], death: Death) -> list[str]:
        """Keep the last events of a dead process and end its open calls; answers the ids of those."""

        def work(connection: sa.Connection) -> tuple[list[NewEvent], list[StoredEvent]]:
            lock(connection, f"boot {boot}")
            fresh = _append(connection, self._from(worker), events)
            seq = _offset(connection, boot) or 0
            endings = [
                _ending(connection, (call_id, boot, seq + number), death)
                for number, call_id in enumerate(_open_calls(connection, boot), 1)
            ]
            _append(connection, self._from(worker), endings)
            return fresh, endings

        fresh, endings = await self.transaction("cannot adopt the events of a dead worker", work)
        self.on_stored([*fresh, *endings])
        return [ending.call_id for ending in endings]

    async def homeless(self, live: Collection[str]) -> list[str]:
        """Names of nodes, but these, that left calls or requests open."""
        one, other = calls.c, tool_requests.c
        query = sa.union(
            sa.select(one.node).where(one.ended_at.is_(None), one.node.not_in(live)),
            sa.select(other.node).where(other.state.in_(OPEN_STATES), other.node.not_in(live)),
        )
        return sorted(row[0] for row in await self._rows(query))

    async def end_lost(self, node: str, death: Death) -> list[str]:
        """End the open calls of a lost node; answers their ids. What it still has to tell is kept when it comes."""

        def work(connection: sa.Connection) -> list[NewEvent]:
            query = sa.select(calls.c.call_id, calls.c.boot).where(
                calls.c.node == node, calls.c.ended_at.is_(None)
            )
            ended: list[NewEvent] = []
            for call_id, boot in connection.execute(query.order_by(calls.c.started_at)).all():
                by = f"{LOST_BOOT}{boot}"[:64]
                lock(connection, f"boot {by}")
                seq = (_offset(connection, by) or 0) + 1
                ending = _ending(connection, (call_id, by, seq), death, NODE_LOST)
                ended += _append(connection, self._from(0), [ending])
            return ended

        ended = await self.transaction("cannot end the calls of a lost node", work)
        self.on_stored(ended)
        return [event.call_id for event in ended]

    async def go_on(self, boots: Collection[str]) -> list[str]:
        """Calls of these living processes that were taken for lost are not over; answers their ids."""

        def work(connection: sa.Connection) -> list[NewEvent]:
            row = calls.c
            query = sa.select(row.call_id, row.boot).where(row.boot.in_(boots), row.end_reason == NODE_LOST)
            told: list[NewEvent] = []
            for call_id, boot in connection.execute(query).all():
                by = f"back.{boot}"[:64]
                lock(connection, f"boot {by}")
                seq, at = (_offset(connection, by) or 0) + 1, now(connection)
                back = StoredEvent(seq, by, call_id, "node.returned", at, 0.0, {"node": self.node})
                told += _append(connection, self._from(0), [back])
            return told

        told = await self.transaction("cannot take up calls that go on", work)
        self.on_stored(told)
        return [event.call_id for event in told]

    async def open_boots(self) -> list[tuple[int, str]]:
        """(worker, boot) of every process of this node that has calls without an end."""
        offset = link_offsets.c
        query = (
            sa.select(sa.func.coalesce(offset.worker, 0), calls.c.boot)
            .distinct()
            .select_from(calls.outerjoin(link_offsets, offset.boot == calls.c.boot))
            .where(calls.c.ended_at.is_(None), self.mine(calls))
        )
        return [(row[0], row[1]) for row in await self._rows(query)]

    async def open_calls(self) -> list[tuple[str, str]]:
        """(boot, call id) of every call of this node without an end."""
        query = sa.select(calls.c.boot, calls.c.call_id).where(calls.c.ended_at.is_(None), self.mine(calls))
        return [(row[0], row[1]) for row in await self._rows(query)]

    async def recent(self, limit: int) -> list[CallRecord]:
        """The newest calls first."""
        query = sa.select(calls).order_by(calls.c.started_at.desc(), calls.c.call_id).limit(limit)
        return [_record(row) for row in await self._rows(query)]

    async def live(self, limit: int) -> list[CallRecord]:
        """Calls without an end, the newest first."""
        open_ = sa.select(calls).where(calls.c.ended_at.is_(None))
        query = open_.order_by(calls.c.started_at.desc(), calls.c.call_id).limit(limit)
        return [_record(row) for row in await self._rows(query)]

    async def find(self, prefix: str, limit: int = 10) -> list[CallRecord]:
        """Calls whose id begins with `prefix`, newest first; an exact id is alone in the answer."""
        starts = calls.c.call_id.startswith(prefix, autoescape=True)
        query = sa.select(calls).where(starts).order_by(calls.c.started_at.desc()).limit(limit)
        found = [_record(row) for row in await self._rows(query)]
        return [record for record in found if record.call_id == prefix] or found

    async def events(self, call_id: str) -> list[StoredEvent]:
        """Everything that happened in a call, in order."""
        query = sa.select(call_events).where(call_events.c.call_id == call_id).order_by(call_events.c.id)
        return [
            StoredEvent(row.seq, row.boot, row.call_id, row.type, row.at, row.mono, json.loads(row.data))
            for row in await self._rows(query)
        ]

    async def _rows(self, query: sa.Executable) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        return await self.transaction("cannot read the store", lambda it: list(it.execute(query).all()))

    def _from(self, worker: int) -> Source:
        return Source(worker, self.node)

    def mine(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """Rows of this node; without others all of them, whatever this one was called before."""
        return table.c.node == self.node if self.shared else sa.true()

    async def transaction(
        self, doing: str, work: Callable[[sa.Connection], T], *, one_moment: bool = False
    ) -> T:
        """Do `work` in one transaction (see Database.run). StoreError: nothing of it was done."""
        if self._database is None:
            raise StoreError("the store is not open")
        if not self._ready:
            await self._open(self._database)
        return await self._database.run(doing, work, one_moment=one_moment)

    async def _open(self, database: Database) -> None:
        async with self._opening:
            if not self._ready:
                await database.run(f"cannot open the store {shown(self._url)}", self._start)
                self._ready = True

    def _start(self, connection: sa.Connection) -> None:
        if self._migrate:
            upgrade(connection)
        elif not sa.inspect(connection).has_table("calls"):
            raise StoreError("the store has no tables yet; `sipbridge serve` makes them at its first start")


def database_of(url: str, options: DatabaseOptions) -> Database:
    """The one for the URL. StoreError: it cannot be used."""
    if parsed(url).get_backend_name() != POSTGRESQL:
        return Sqlite(url)
    with usable(url):
        from bridge.store.postgres import Postgres  # noqa: PLC0415  # asyncpg is an extra

        return Postgres(url, options)


def _append(connection: sa.Connection, source: Source, events: Sequence[NewEvent]) -> list[NewEvent]:
    """Store those that are not there yet; answers them."""
    if not events:
        return []
    boot = events[0].boot
    lock(connection, f"boot {boot}")
    known = _offset(connection, boot)
    fresh = [event for event in events if event.seq > (known or 0)]
    if not fresh:
        return []
    connection.execute(sa.insert(call_events), [_row(event) for event in fresh])
    _fold(connection, source, fresh)
    keep_voicemails(connection, fresh)
    if known is None:
        connection.execute(sa.insert(link_offsets).values(boot=boot, seq=fresh[-1].seq, **asdict(source)))
    else:
        moved = sa.update(link_offsets).where(link_offsets.c.boot == boot).values(seq=fresh[-1].seq)
        connection.execute(moved)
    return fresh


def _fold(connection: sa.Connection, source: Source, events: Sequence[NewEvent]) -> None:
    """Update the row of every call the events speak of; an event without a call is about the worker."""
    ids = {_key(event.call_id) for event in events if event.call_id}
    query = sa.select(calls).where(calls.c.call_id.in_(ids))
    before = {row.call_id: _record(row) for row in (connection.execute(query)).all()}
    after: dict[str, CallRecord] = dict(before)
    for event in events:
        if event.call_id:
            key = _key(event.call_id)
            after[key] = apply(after.get(key), event)
    for key, record in after.items():
        values = asdict(replace(record, call_id=key, worker=record.worker or f"worker-{source.worker}"))
        values["node"] = record.node or source.node
        if key in before:
            connection.execute(sa.update(calls).where(calls.c.call_id == key).values(values))
        else:
            connection.execute(sa.insert(calls).values(values))


def _offset(connection: sa.Connection, boot: str) -> int | None:
    query = sa.select(link_offsets.c.seq).where(link_offsets.c.boot == boot)
    return (connection.execute(query)).scalar_one_or_none()


def _open_calls(connection: sa.Connection, boot: str) -> list[str]:
    query = sa.select(calls.c.call_id).where(calls.c.boot == boot, calls.c.ended_at.is_(None))
    return list((connection.execute(query.order_by(calls.c.started_at))).scalars())


def _ending(
    connection: sa.Connection, which: tuple[str, str, int], death: Death, reason: str = "worker_died"
) -> StoredEvent:
    """The `call.ended` the dead process could not say, at the latest at its death. `which`: call, boot and seq."""
    call_id, boot, seq = which
    last = sa.select(sa.func.max(call_events.c.at), sa.func.max(call_events.c.mono))
    row = (connection.execute(last.where(call_events.c.call_id == call_id))).one()
    at, mono = row[0] or death.at, row[1] or 0.0
    later_s = max(death.at - at, 0.0)
    data = {"by": "bridge", "status": None, "reason": reason, "detail": death.detail}
    return StoredEvent(seq, boot, call_id, "call.ended", at + later_s, mono + later_s, data)


def _row(event: NewEvent) -> dict[str, Any]:
    return {
        "boot": event.boot,
        "seq": event.seq,
        "call_id": _key(event.call_id),
        "type": _key(event.type)[:64],
        "at": number(event.at) or 0.0,
        "mono": number(event.mono) or 0.0,
        "data": json.dumps(event.data, separators=(",", ":")),
    }


def _key(text: str) -> str:
    return plain(text[:100])


def _record(row: sa.Row[Any]) -> CallRecord:
    return CallRecord(**{name: row._mapping[name] for name in _FIELDS})  # noqa: SLF001  # SQLAlchemy's public name
