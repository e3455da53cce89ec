"""The store: calls and their events in a database, written by control only, read by control and the CLI.

    write(events)   one transaction: drop what is there already, append events, fold records, move the offset. What
                    several workers bring at the same time goes into one: a commit costs more than what is in it
    adopt(boot)     the same, then end the calls the dead process left open

Whoever gets an answer from `write` or `adopt` may forget the events: they are committed. Everything that
goes wrong is a StoreError and changes nothing, so it can be tried again. Holds no rule about what a record is; that is
bridge/records/cdr.py. What runs the transactions: database.py. On PostgreSQL several nodes write at once; the events
of one boot are written under a lock of its name, so that an offset that was read is still true when it is moved.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Self, TypeVar

import sqlalchemy as sa

from bridge.errors import StoreAwayError, StoreError
from bridge.records.cdr import LOST_BOOT, NODE_LOST, CallRecord
from bridge.store.callrows import (
    Brought,
    Death,
    NewEvent,
    Source,
    StoredEvent,
    append,
    append_all,
    by_boot,
    endings_of,
    is_here,
    offsets_of,
    open_calls_of,
    places_beside,
    record_of,
)
from bridge.store.database import (
    POSTGRESQL,
    Database,
    DatabaseOptions,
    lock,
    now,
    parsed,
    shown,
    usable,
)
from bridge.store.migrate import upgrade
from bridge.store.sqlite import Sqlite
from bridge.store.tables import OPEN_STATES, call_events, calls, link_offsets, tool_requests
from bridge.store.together import Together

OPEN_AGAIN_S = 0.3
LOST_AT_ONCE = 500
"""So many calls of a node are ended, or taken up again, in one transaction: it has a deadline, a node has thousands."""
T = TypeVar("T")


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
        self._refused: tuple[float, str] | None = None
        self._together = Together(self._commit)
        self.on_stored: Callable[[Sequence[NewEvent]], None] = lambda _events: None
        """Told of every event once: right after the commit that stored it for the first time."""

    @property
    def ready(self) -> bool:
        """Whether it has been opened; a patient one may not have been yet."""
        return self._ready

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
        fresh = await self._together.write((self._from(worker), events))
        self.on_stored(fresh)
        return len(fresh)

    async def _commit(self, batch: Sequence[Brought]) -> list[list[NewEvent]]:
        return await self.transaction("cannot write events", lambda it: append_all(it, batch))

    async def adopt(self, worker: int, boot: str, events: Sequence[NewEvent], death: Death) -> list[str]:
        """Keep the last events of a dead process and end its open calls; answers the ids of those."""

        def work(connection: sa.Connection) -> tuple[list[NewEvent], list[StoredEvent]]:
            lock(connection, f"boot {boot}")
            fresh = append(connection, self._from(worker), events)
            seq = offsets_of(connection, {boot}).get(boot, 0)
            left = open_calls_of(connection, boot)
            places = [(call_id, boot, seq + number) for number, call_id in enumerate(left, 1)]
            endings = endings_of(connection, places, death)
            append(connection, self._from(worker), endings)
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
        """End open calls of a lost node; answers their ids, at most LOST_AT_ONCE: none when there are no more.

        What the node still has to tell is kept when it comes. Nothing is done when it has come back meanwhile.
        """

        def work(connection: sa.Connection) -> list[NewEvent]:
            if is_here(connection, node):
                return []
            query = sa.select(calls.c.call_id, calls.c.boot).where(
                calls.c.node == node, calls.c.ended_at.is_(None)
            )
            rows = connection.execute(query.order_by(calls.c.started_at).limit(LOST_AT_ONCE)).all()
            places = places_beside(connection, LOST_BOOT, [(row.call_id, row.boot) for row in rows])
            endings = endings_of(connection, places, death, NODE_LOST)
            return _all_of(append_all(connection, by_boot(self._from(0), endings)))

        ended = await self.transaction("cannot end the calls of a lost node", work)
        self.on_stored(ended)
        return [event.call_id for event in ended]

    async def go_on(self, boots: Collection[str]) -> list[str]:
        """Calls of these living processes that were taken for lost are not over; answers their ids, as `end_lost`."""

        def work(connection: sa.Connection) -> list[NewEvent]:
            row = calls.c
            query = sa.select(row.call_id, row.boot).where(row.boot.in_(boots), row.end_reason == NODE_LOST)
            rows, at = connection.execute(query.limit(LOST_AT_ONCE)).all(), now(connection)
            places = places_beside(connection, "back.", [(one.call_id, one.boot) for one in rows])
            backs = [
                StoredEvent(seq, boot, call_id, "node.returned", at, 0.0, {"node": self.node})
                for call_id, boot, seq in places
            ]
            return _all_of(append_all(connection, by_boot(self._from(0), backs)))

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
        return [record_of(row) for row in await self._rows(query)]

    async def live(self, limit: int) -> list[CallRecord]:
        """Calls without an end, the newest first."""
        open_ = sa.select(calls).where(calls.c.ended_at.is_(None))
        query = open_.order_by(calls.c.started_at.desc(), calls.c.call_id).limit(limit)
        return [record_of(row) for row in await self._rows(query)]

    async def find(self, prefix: str, limit: int = 10) -> list[CallRecord]:
        """Calls whose id begins with `prefix`, newest first; an exact id is alone in the answer."""
        starts = calls.c.call_id.startswith(prefix, autoescape=True)
        query = sa.select(calls).where(starts).order_by(calls.c.started_at.desc()).limit(limit)
        found = [record_of(row) for row in await self._rows(query)]
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
            if self._ready:
                return
            if self._refused is not None and time.monotonic() - self._refused[0] < OPEN_AGAIN_S:
                raise StoreAwayError(
                    self._refused[1]
                )  # everybody who waited for the try before is told the same
            try:
                await database.run(f"cannot open the store {shown(self._url)}", self._start)
            except StoreAwayError as error:
                self._refused = time.monotonic(), str(error)
                raise
            self._ready = True

    def _start(self, connection: sa.Connection) -> None:
        if self._migrate:
            upgrade(connection)
        elif not sa.inspect(connection).has_table("calls"):
            raise StoreError("the store has no tables yet; `sipbridge serve` makes them at its first start")


def _all_of(events: Sequence[Sequence[NewEvent]]) -> list[NewEvent]:
    return [event for those in events for event in those]


def database_of(url: str, options: DatabaseOptions) -> Database:
    """The one for the URL. StoreError: it cannot be used."""
    if parsed(url).get_backend_name() != POSTGRESQL:
        return Sqlite(url)
    with usable(url):
        from bridge.store.postgres import Postgres  # noqa: PLC0415  # asyncpg is an extra

        return Postgres(url, options)
