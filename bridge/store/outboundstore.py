"""What is kept of outbound calls: jobs, tries, campaigns. Part of the Store, on its one thread.

A change of a job is guarded by its version: of two processes that would carry a job on, one is told that it was too
late. A try is written in the transaction that makes its job `dialling`, before any worker is told: a call that is not
in the tables is never dialled, one that is there is never dialled twice. Used by control and the CLI.
"""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from bridge.errors import StoreError
from bridge.outbound.job import EVENTS, OPEN, Fact, Job, Wish
from bridge.outbound.policy import Counts
from bridge.store.database import lock
from bridge.store.store import Store
from bridge.store.tables import call_events, outbound_attempts, outbound_calls, outbound_campaigns

BATCH = 200
UNKNOWN_KEEP_S = 86_400.0
"""So long facts are still looked for that settle a job whose fate is unknown."""
_FIELDS = (
    "job_id", "seal", "number", "state", "version", "attempts", "due_at", "call_id", "boot", "dialled_at", "heard",
    "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Campaign:
    """`counts`: jobs by state."""

    name: str
    state: str
    asked_by: str
    created_at: float
    counts: Mapping[str, int]


class OutboundStore:
    """The tables of outbound calls in `store`. Every method raises StoreError when the database does not do it.

    `lives_s`: how long a call may go on; one of which nothing is heard counts as running for so long.
    """

    def __init__(self, store: Store, lives_s: float = 3600.0) -> None:
        self._store = store
        self._lives_s = lives_s

    async def add(self, jobs: Sequence[Job], campaign: str = "", asked_by: str = "") -> None:
        """Keep new jobs; all or none. `campaign`: make it as well. StoreError: there is one of this name."""
        now = time.time()
        rows = [{**_values(job), "created_at": now, "updated_at": now, "cancel": 0} for job in jobs]
        new = {"name": campaign, "state": "running", "asked_by": asked_by[:64], "created_at": now}

        def work(connection: sa.Connection) -> None:
            if campaign:
                try:
                    connection.execute(sa.insert(outbound_campaigns).values(new))
                except IntegrityError:
                    raise StoreError(f"there is a campaign {campaign} already") from None
            if rows:
                connection.execute(sa.insert(outbound_calls), rows)

        await self._store.transaction("cannot keep an outbound call", work)

    async def save(self, job: Job) -> bool:
        """Keep the next version of a job. False: somebody else changed it meanwhile."""
        return await self._store.transaction("cannot keep an outbound call", lambda it: _save(it, job))

    async def dial(
        self, job: Job, midnight: float = 0.0, allowed: Callable[[Counts], bool] = lambda _: True
    ) -> bool:
        """Keep a job that is about to be dialled, and its try.

        False: somebody else changed it meanwhile, or it is not `allowed` by what is counted in the same transaction.
        """

        def work(connection: sa.Connection) -> bool:
            lock(connection, "outbound")  # every node dials: two must not both take the last call of a cap
            counts = _counts(connection, job.number, midnight, job.dialled_at, self._lives_s)
            if not allowed(counts) or not _save(connection, job):
                return False
            row = {"call_id": job.call_id, "job_id": job.job_id, "number": job.number, "at": job.dialled_at}
            connection.execute(sa.insert(outbound_attempts).values(row))
            return True

        return await self._store.transaction("cannot keep a try", work)

    async def not_placed(self, job: Job, call_id: str) -> bool:
        """Keep a job that surely was not dialled, and forget the try."""

        def work(connection: sa.Connection) -> bool:
            kept = _save(connection, job)
            if kept:
                row = outbound_attempts.c
                connection.execute(sa.delete(outbound_attempts).where(row.call_id == call_id))
            return kept

        return await self._store.transaction("cannot keep an outbound call", work)

    async def counts(self, number: str, midnight: float, now: float) -> Counts:
        """What has been dialled already."""
        return await self._store.transaction(
            "cannot count outbound calls", lambda it: _counts(it, number, midnight, now, self._lives_s)
        )

    async def work(self, now: float) -> list[Job]:
        """Jobs that need something: asked for, being called, to be cancelled, or due in a campaign that runs."""
        row, of = outbound_calls.c, outbound_campaigns.c
        recent = (row.state == "unknown") & (row.dialled_at > now - UNKNOWN_KEEP_S)
        runs = (row.campaign == "") | (of.state == "running")
        stops = (row.cancel == 1) | (of.state == "cancelled")
        due = (row.state == "queued") & (((row.due_at <= now) & runs) | stops)
        table = outbound_calls.outerjoin(outbound_campaigns, of.name == row.campaign)
        # A cancelled campaign cancels what still waits; who is on the line may finish.
        waits = row.state.in_(("asked", "queued"))
        cancel = sa.case(((of.state == "cancelled") & waits, 1), else_=row.cancel).label("wanted")
        query = sa.select(*outbound_calls.c, cancel).select_from(table)
        # A call that somebody waits for goes before a campaign of thousands.
        alone = sa.case((row.campaign == "", 0), else_=1)
        queries = (
            query.where(row.state.in_(OPEN)),
            query.where(recent).order_by(row.dialled_at.desc()).limit(BATCH),
            query.where(row.state == "asked").order_by(alone, row.created_at).limit(BATCH),
            query.where(due).order_by(alone, row.due_at, row.created_at).limit(BATCH),
        )

        def read(connection: sa.Connection) -> list[Any]:
            return [found for one in queries for found in connection.execute(one).all()]

        return [_job(one) for one in await self._store.transaction("cannot read outbound calls", read)]

    async def facts(self, call_ids: Collection[str]) -> dict[str, list[Fact]]:
        """What workers told of these calls, in order."""
        row = call_events.c
        query = sa.select(row.call_id, row.type, row.data).where(
            row.call_id.in_(call_ids), row.type.in_(EVENTS)
        )
        found: dict[str, list[Fact]] = {}
        for one in await self._rows(query.order_by(row.id)) if call_ids else ():
            found.setdefault(one.call_id, []).append(Fact(one.type, json.loads(one.data)))
        return found

    async def jobs(
        self, states: Sequence[str] = (), campaign: str | None = None, limit: int = 200
    ) -> list[Job]:
        """The newest first; all states when none is named."""
        query = sa.select(outbound_calls).order_by(outbound_calls.c.created_at.desc()).limit(limit)
        if states:
            query = query.where(outbound_calls.c.state.in_(states))
        if campaign is not None:
            query = query.where(outbound_calls.c.campaign == campaign)
        return [_job(row) for row in await self._rows(query)]

    async def wishes(self, via: str, limit: int = 1000) -> list[Job]:
        """The newest that came this way and were not refused."""
        row = outbound_calls.c
        came = row.wish.contains(f'"via": {json.dumps(via)}', autoescape=True)  # as _values writes it
        query = sa.select(outbound_calls).where(came, row.state.not_in(("asked", "refused")))
        found = await self._rows(query.order_by(row.created_at.desc()).limit(limit))
        return [job for job in map(_job, found) if job.wish.via == via]

    async def find(self, prefix: str) -> list[Job]:
        """Jobs whose id begins with `prefix`."""
        starts = outbound_calls.c.job_id.startswith(prefix, autoescape=True)
        return [_job(row) for row in await self._rows(sa.select(outbound_calls).where(starts).limit(10))]

    async def by_call(self, call_id: str) -> Job | None:
        """The job whose last try this call is."""
        rows = await self._rows(sa.select(outbound_calls).where(outbound_calls.c.call_id == call_id))
        return _job(rows[0]) if rows else None

    async def cancel(self, job_id: str) -> None:
        """Somebody does not want it any more; control does the rest."""
        mine = outbound_calls.c.job_id == job_id
        wanted = sa.update(outbound_calls).where(mine).values(cancel=1)
        await self._store.transaction("cannot cancel a call", lambda it: it.execute(wanted))

    async def campaigns(self) -> list[Campaign]:
        """All of them, newest first."""
        row = outbound_calls.c
        query = sa.select(row.campaign, row.state, sa.func.count().label("jobs")).group_by(
            row.campaign, row.state
        )
        counts: dict[str, dict[str, int]] = {}
        for one in await self._rows(query):
            counts.setdefault(one.campaign, {})[one.state] = int(one.jobs)
        newest = sa.select(outbound_campaigns).order_by(outbound_campaigns.c.created_at.desc())
        return [
            Campaign(one.name, one.state, one.asked_by, one.created_at, counts.get(one.name, {}))
            for one in await self._rows(newest)
        ]

    async def set_campaign(self, name: str, before: Collection[str], state: str) -> bool:
        """Pause, resume, cancel. False: there is none of this name in one of the states `before`."""
        of = outbound_campaigns.c
        change = (
            sa.update(outbound_campaigns).where(of.name == name, of.state.in_(before)).values(state=state)
        )
        return bool(
            await self._store.transaction("cannot change a campaign", lambda it: it.execute(change).rowcount)
        )

    async def _rows(self, query: sa.Executable) -> list[sa.Row[Any]]:
        return await self._store.transaction(
            "cannot read outbound calls", lambda it: list(it.execute(query).all())
        )


def _counts(connection: sa.Connection, number: str, midnight: float, now: float, lives_s: float) -> Counts:
    row, of = outbound_attempts.c, outbound_calls.c

    def tries(*where: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(outbound_attempts).where(*where)
        return int(connection.execute(query).scalar_one())

    event = call_events.c
    over = sa.exists().where(event.call_id == of.call_id, event.type == "call.ended")
    lives = (of.state == "unknown") & (of.dialled_at > now - lives_s) & ~over
    running = sa.select(sa.func.count()).select_from(outbound_calls).where(of.state.in_(OPEN) | lives)
    return Counts(
        day=tries(row.at >= midnight),
        number=tries(row.at >= midnight, row.number == number),
        minute=tries(row.at > now - 60),
        running=int(connection.execute(running).scalar_one()),
    )


def _save(connection: sa.Connection, job: Job) -> bool:
    row = outbound_calls.c
    mine = (row.job_id == job.job_id) & (row.version == job.version - 1)
    values = {**_values(job), "updated_at": time.time()}
    return bool(connection.execute(sa.update(outbound_calls).where(mine).values(values)).rowcount)


def _values(job: Job) -> dict[str, Any]:
    values = {name: getattr(job, name) for name in _FIELDS}
    return {**values, "campaign": job.wish.campaign, "wish": json.dumps(asdict(job.wish))}


def _job(row: sa.Row[Any]) -> Job:
    kept = row._mapping  # noqa: SLF001  # SQLAlchemy's public name
    cancel = bool(kept.get("wanted", kept["cancel"]))
    values = {name: kept[name] for name in _FIELDS}
    return Job(wish=_wish(kept["wish"]), cancel=cancel, **values)


def _wish(text: str) -> Wish:
    """What somebody wrote into the table by hand has no seal and is refused; it must only be readable."""
    try:
        return Wish(**json.loads(text))
    except (ValueError, TypeError):
        return Wish("")
