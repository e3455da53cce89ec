"""What is kept how long: legal holds, what is due, and forgetting it. Part of the Store, on its one thread.

Every method is one short transaction over a bounded number of calls: whoever has much to delete calls it often, and
the workers' events get their turn in between. Files are not touched here; who deletes files does so before the rows
that name them, so that a crash leaves a row and no file nobody knows of. The audit is GateStore's.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.errors import StoreError, StoreRefusedError
from bridge.outbound.job import FINAL
from bridge.records.retention import WORDS
from bridge.store.database import lock
from bridge.store.store import Store
from bridge.store.tables import (
    HOLDS,
    audit_payloads,
    call_events,
    call_holds,
    calls,
    outbound_attempts,
    outbound_calls,
    outbound_campaigns,
    voicemail_deliveries,
    voicemails,
)
from bridge.store.tables_history import console_shares

ATTEMPTS_KEEP_S = 2 * 86_400.0
"""So long a try counts for the caps (bridge/outbound/policy.py): those of a day, in any time zone."""

GONE = "forgotten"
"""Boot and type of the row that holds the place of a newest event."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A call that has to stay as it is."""

    call_id: str
    reason: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class OldCall:
    """One call, and what of it is there. `payloads`: of the audit, not erased yet."""

    call_id: str
    started_at: float
    ended_at: float | None
    recording_path: str | None
    words: int
    events: int
    payloads: int
    held: bool


@dataclass(frozen=True, slots=True)
class OldMessage:
    """A voicemail message whose time is up."""

    voicemail_id: int
    call_id: str
    path: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows went."""

    calls: int = 0
    events: int = 0
    recordings: int = 0
    voicemails: int = 0
    outbound: int = 0


class KeepStore:
    """The tables in `store`. Every method raises StoreError when the database does not do it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def hold(self, hold: Hold) -> bool:
        """Keep a call as it is. False: it is held already. StoreRefusedError: there is no such call."""

        def work(connection: sa.Connection) -> bool:
            lock(connection, HOLDS)
            known = connection.execute(sa.select(calls.c.call_id).where(calls.c.call_id == hold.call_id))
            if known.first() is None:
                raise StoreRefusedError(f"there is no call {hold.call_id}")
            mine = call_holds.c.call_id == hold.call_id
            if connection.execute(sa.select(call_holds.c.at).where(mine)).first() is not None:
                return False
            row = {"call_id": hold.call_id, "reason": hold.reason, "by": hold.by[:64], "at": hold.at}
            connection.execute(sa.insert(call_holds).values(row))
            return True

        return await self._store.transaction("cannot hold a call", work)

    async def release(self, call_id: str) -> bool:
        """Let retention have it again. False: it was not held."""
        gone = sa.delete(call_holds).where(call_holds.c.call_id == call_id)
        return bool(
            await self._store.transaction("cannot release a call", lambda it: it.execute(gone).rowcount)
        )

    async def hold_of(self, call_id: str) -> Hold | None:
        """The hold on a call; None: it is not held."""
        query = sa.select(call_holds).where(call_holds.c.call_id == call_id)

        def work(connection: sa.Connection) -> Hold | None:
            row = connection.execute(query).first()
            return None if row is None else Hold(row.call_id, row.reason, row.by, row.at)

        return await self._store.transaction("cannot read a hold", work)

    async def holds(self) -> list[Hold]:
        """All of them, the newest first."""
        query = sa.select(call_holds).order_by(call_holds.c.at.desc())

        def work(connection: sa.Connection) -> list[Hold]:
            rows = connection.execute(query).all()
            return [Hold(row.call_id, row.reason, row.by, row.at) for row in rows]

        return await self._store.transaction("cannot read the holds", work)

    async def page(self, after: tuple[float, str], before: float, limit: int) -> list[OldCall]:
        """The next calls that started before `before`, in the order (started_at, call_id), after that pair."""
        row = calls.c
        later = (row.started_at > after[0]) | ((row.started_at == after[0]) & (row.call_id > after[1]))
        query = sa.select(row.call_id, row.started_at, row.ended_at, row.recording_path)
        query = query.where(row.started_at < before, row.started_at >= after[0], later)
        query = query.order_by(row.started_at, row.call_id).limit(limit)

        def work(connection: sa.Connection) -> list[OldCall]:
            found = connection.execute(query).all()
            ids = [one.call_id for one in found]
            event, payload = call_events.c, audit_payloads.c
            n_events = _counted(connection, event.call_id, event.call_id.in_(ids))
            n_words = _counted(connection, event.call_id, event.call_id.in_(ids) & event.type.in_(WORDS))
            there = payload.call_id.in_(ids) & payload.payload.is_not(None)
            n_payloads = _counted(connection, payload.call_id, there)
            held = set(
                connection.execute(
                    sa.select(call_holds.c.call_id).where(call_holds.c.call_id.in_(ids))
                ).scalars()
            )
            return [
                OldCall(
                    call_id=one.call_id,
                    started_at=one.started_at,
                    ended_at=one.ended_at,
                    recording_path=one.recording_path,
                    words=n_words.get(one.call_id, 0),
                    events=n_events.get(one.call_id, 0),
                    payloads=n_payloads.get(one.call_id, 0),
                    held=one.call_id in held,
                )
                for one in found
            ]

        return await self._store.transaction("cannot read old calls", work)

    async def forget(
        self,
        *,
        recordings: Collection[str] = (),
        words: Collection[str] = (),
        events: Collection[str] = (),
        calls_: Collection[str] = (),
    ) -> Forgotten:
        """Forget, of the calls with these ids: where the recording is, what was said, the timeline, the record.

        The record takes everything else of the call with it, its messages too. A call that was held meanwhile stays.
        """

        def work(connection: sa.Connection) -> Forgotten:
            lock(connection, HOLDS)
            wanted = {*recordings, *words, *events, *calls_}
            query = sa.select(call_holds.c.call_id).where(call_holds.c.call_id.in_(wanted))
            held = set(connection.execute(query).scalars())
            return _forget(
                connection,
                recordings={*recordings} - held,
                words={*words} - held,
                events={*events} - held,
                records={*calls_} - held,
            )

        return await self._store.transaction("cannot forget old calls", work)

    async def old_messages(self, before: float, limit: int) -> list[OldMessage]:
        """Messages left before that, of calls that are not held and with no delivery open, the oldest first."""
        row, delivery = voicemails.c, voicemail_deliveries.c
        held = sa.exists().where(call_holds.c.call_id == row.call_id)
        open_ = sa.exists().where(delivery.voicemail_id == row.voicemail_id, delivery.state == "pending")
        query = sa.select(row.voicemail_id, row.call_id, row.path).where(row.at < before, ~held, ~open_)

        def work(connection: sa.Connection) -> list[OldMessage]:
            rows = connection.execute(query.order_by(row.voicemail_id).limit(limit)).all()
            return [OldMessage(one.voicemail_id, one.call_id, one.path) for one in rows]

        return await self._store.transaction("cannot read old messages", work)

    async def messages_of(self, call_id: str) -> list[OldMessage]:
        """Every message of one call."""
        row = voicemails.c
        query = sa.select(row.voicemail_id, row.call_id, row.path).where(row.call_id == call_id)

        def work(connection: sa.Connection) -> list[OldMessage]:
            rows = connection.execute(query).all()
            return [OldMessage(one.voicemail_id, one.call_id, one.path) for one in rows]

        return await self._store.transaction("cannot read a call's messages", work)

    async def forget_messages(self, ids: Collection[int]) -> int:
        """Forget messages and their deliveries; those of a call that was held meanwhile stay."""
        row = voicemails.c
        free = row.voicemail_id.in_(ids) & ~sa.exists().where(call_holds.c.call_id == row.call_id)

        def work(connection: sa.Connection) -> int:
            lock(connection, HOLDS)
            return _forget_messages(connection, free)

        return await self._store.transaction("cannot forget messages", work)

    async def forget_outbound(self, before: float, limit: int) -> int:
        """Forget jobs that are over, tries that count for no cap any more, and campaigns without jobs."""
        row = outbound_calls.c
        old = (
            sa.select(row.job_id)
            .where(row.state.in_(FINAL), row.updated_at < before)
            .order_by(row.updated_at)
        )
        tries = outbound_attempts.c
        counts_since = min(before, time.time() - ATTEMPTS_KEEP_S)
        campaign = outbound_campaigns.c
        empty = ~sa.exists().where(row.campaign == campaign.name)

        def work(connection: sa.Connection) -> int:
            ids = list(connection.execute(old.limit(limit)).scalars())
            gone = connection.execute(sa.delete(outbound_calls).where(row.job_id.in_(ids))).rowcount
            if gone < limit:  # the rest only once
                connection.execute(sa.delete(outbound_attempts).where(tries.at < counts_since))
                connection.execute(sa.delete(outbound_campaigns).where(campaign.created_at < before, empty))
            return gone

        return await self._store.transaction("cannot forget outbound calls", work)

    async def count_outbound(self, before: float) -> int:
        """How many jobs `forget_outbound` would forget."""
        row = outbound_calls.c
        query = sa.select(sa.func.count()).where(row.state.in_(FINAL), row.updated_at < before)
        return int(
            await self._store.transaction(
                "cannot count outbound calls", lambda it: it.execute(query).scalar_one()
            )
        )

    async def erase(self, call_id: str) -> Forgotten:
        """Forget everything about one call but the audit. StoreError: it goes on, is held, or is not there."""

        def work(connection: sa.Connection) -> Forgotten:
            lock(connection, HOLDS)
            found = connection.execute(sa.select(calls.c.ended_at).where(calls.c.call_id == call_id)).first()
            if found is None:
                raise StoreError(f"there is no call {call_id}")
            if found.ended_at is None:
                raise StoreError(f"call {call_id} goes on: hang it up first (sipbridge calls hangup)")
            mine = call_holds.c.call_id == call_id
            held = connection.execute(sa.select(call_holds.c.reason).where(mine)).first()
            if held is not None:
                raise StoreError(f"call {call_id} is held ({held.reason}): sipbridge calls release first")
            job = outbound_calls.c
            jobs = (job.call_id == call_id) & job.state.in_(FINAL)
            outbound = connection.execute(sa.delete(outbound_calls).where(jobs)).rowcount
            gone = _forget(connection, recordings=set(), words=set(), events=set(), records={call_id})
            return Forgotten(gone.calls, gone.events, gone.recordings, gone.voicemails, outbound)

        return await self._store.transaction("cannot erase a call", work)


def _counted(
    connection: sa.Connection, key: sa.ColumnElement[str], where: sa.ColumnElement[bool]
) -> Mapping[str, int]:
    query = sa.select(key, sa.func.count()).where(where).group_by(key)
    return {row[0]: int(row[1]) for row in connection.execute(query).all()}


def _forget(
    connection: sa.Connection, *, recordings: set[str], words: set[str], events: set[str], records: set[str]
) -> Forgotten:
    event, call = call_events.c, calls.c
    spoken = event.call_id.in_(words) & event.type.in_(WORDS)
    all_of = event.call_id.in_(events | records)
    newest = sa.select(sa.func.max(event.id))
    before = connection.execute(newest).scalar_one()
    n_events = connection.execute(sa.delete(call_events).where(spoken | all_of)).rowcount
    if n_events and connection.execute(newest).scalar_one() != before:
        _hold_number(connection, before)
    there = call.call_id.in_(recordings) & call.recording_path.is_not(None)
    path = sa.update(calls).where(there).values(recording_path=None, recording_s=None)
    n_recordings = connection.execute(path).rowcount
    n_messages = _forget_messages(connection, voicemails.c.call_id.in_(records))
    connection.execute(sa.delete(console_shares).where(console_shares.c.call_id.in_(records)))
    n_calls = connection.execute(sa.delete(calls).where(call.call_id.in_(records))).rowcount
    return Forgotten(n_calls, n_events, n_recordings, n_messages)


def _hold_number(connection: sa.Connection, number: int) -> None:
    """An empty row in the place of the newest event: SQLite would give its number again, to something else.

    Whoever is told of events knows them by their numbers (eventstore.py).
    """
    row = call_events.c
    nothing = {"type": GONE, "call_id": "", "at": 0.0, "mono": 0.0, "data": "{}"}
    connection.execute(sa.delete(call_events).where(row.boot == GONE))
    connection.execute(sa.insert(call_events).values(id=number, boot=GONE, seq=number, **nothing))


def _forget_messages(connection: sa.Connection, where: sa.ColumnElement[bool]) -> int:
    ids: Sequence[int] = list(connection.execute(sa.select(voicemails.c.voicemail_id).where(where)).scalars())
    delivery = voicemail_deliveries.c.voicemail_id.in_(ids)
    connection.execute(sa.delete(voicemail_deliveries).where(delivery))
    return connection.execute(sa.delete(voicemails).where(voicemails.c.voicemail_id.in_(ids))).rowcount
