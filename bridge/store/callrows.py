"""A call's events and its record as rows: appended once, folded, ended for who could not say so. Part of the Store.

Functions of a connection, inside a transaction of store.py. The events of one boot are written under a lock of its
name, so that an offset that was read is still true when it is moved.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Protocol

import sqlalchemy as sa

from bridge.records.cdr import CallEvent, CallRecord, apply, number
from bridge.store.database import few_lengths, lock, plain
from bridge.store.tables import HERE_STATES, call_events, calls, link_offsets, nodes
from bridge.store.voicemailrows import keep_voicemails

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


Brought = tuple[Source, Sequence[NewEvent]]


NODES = "nodes"
"""The lock under which a node joins."""


def is_here(connection: sa.Connection, node: str) -> bool:
    """Whether a node has come back, until this transaction ends: what another one saw of it is a moment old."""
    lock(connection, NODES)
    state = sa.select(nodes.c.state).where(nodes.c.name == node)
    return connection.execute(state).scalar_one_or_none() in HERE_STATES


def append(connection: sa.Connection, source: Source, events: Sequence[NewEvent]) -> list[NewEvent]:
    """Store those that are not there yet; answers them."""
    return append_all(connection, [(source, events)])[0]


def append_all(connection: sa.Connection, batch: Sequence[Brought]) -> list[list[NewEvent]]:
    """The same for several boots, in as few statements as for one."""
    boots = sorted({events[0].boot for _, events in batch if events})
    for boot in boots:  # in the order of names: two nodes that lock several lock them in the same order
        lock(connection, f"boot {boot}")
    known = offsets_of(connection, boots)
    offsets, fresh = dict(known), []
    for _, events in batch:
        fresh.append([event for event in events if event.seq > offsets.get(event.boot, 0)])
        offsets |= {event.boot: event.seq for event in fresh[-1][-1:]}
    everything = [event for events in fresh for event in events]
    if everything:
        connection.execute(sa.insert(call_events), [_row(event) for event in everything])
        _fold(connection, [(source, events) for (source, _), events in zip(batch, fresh, strict=True)])
        keep_voicemails(connection, everything)
        sources = {events[0].boot: source for source, events in batch if events}
        _move(
            connection, {boot: seq for boot, seq in offsets.items() if seq != known.get(boot)}, known, sources
        )
    return fresh


def _move(
    connection: sa.Connection,
    offsets: Mapping[str, int],
    known: Mapping[str, int],
    sources: Mapping[str, Source],
) -> None:
    moved = [{"moved": boot, "seq": seq} for boot, seq in offsets.items() if boot in known]
    if moved:
        connection.execute(sa.update(link_offsets).where(link_offsets.c.boot == sa.bindparam("moved")), moved)
    new = [
        {"boot": boot, "seq": seq, **asdict(sources[boot])}
        for boot, seq in offsets.items()
        if boot not in known
    ]
    if new:
        connection.execute(sa.insert(link_offsets), new)


def _fold(connection: sa.Connection, batch: Sequence[Brought]) -> None:
    """Update the row of every call the events speak of; an event without a call is about the worker."""
    spoken = [
        (source, _key(event.call_id), event) for source, events in batch for event in events if event.call_id
    ]
    query = sa.select(calls).where(calls.c.call_id.in_(few_lengths({key for _, key, _ in spoken})))
    before = {row.call_id: record_of(row) for row in (connection.execute(query)).all()}
    after: dict[str, CallRecord] = dict(before)
    for _, key, event in spoken:
        after[key] = apply(after.get(key), event)
    sources = {key: source for source, key, _ in reversed(spoken)}
    rows = {key: _values(record, key, sources[key]) for key, record in after.items()}
    changed = [values | {"changed": key} for key, values in rows.items() if key in before]
    if changed:
        connection.execute(sa.update(calls).where(calls.c.call_id == sa.bindparam("changed")), changed)
    new = [values for key, values in rows.items() if key not in before]
    if new:
        connection.execute(sa.insert(calls), new)


def _values(record: CallRecord, key: str, source: Source) -> dict[str, Any]:
    values = asdict(replace(record, call_id=key, worker=record.worker or f"worker-{source.worker}"))
    return values | {"node": record.node or source.node}


def offsets_of(connection: sa.Connection, boots: Collection[str]) -> dict[str, int]:
    """How far the events of these boots are stored; one of which nothing is stored is left out."""
    query = sa.select(link_offsets.c.boot, link_offsets.c.seq).where(
        link_offsets.c.boot.in_(few_lengths(boots))
    )
    return {row.boot: row.seq for row in connection.execute(query)} if boots else {}


def open_calls_of(connection: sa.Connection, boot: str) -> list[str]:
    """Calls of a boot without an end, the oldest first."""
    query = sa.select(calls.c.call_id).where(calls.c.boot == boot, calls.c.ended_at.is_(None))
    return list((connection.execute(query.order_by(calls.c.started_at))).scalars())


Place = tuple[str, str, int]
"""A call, and the boot and seq of an event about it."""


def places_beside(
    connection: sa.Connection, prefix: str, open_calls: Sequence[tuple[str, str]]
) -> list[Place]:
    """Where something is said about calls of other processes, (call, boot) each: in boots of their own, now locked."""
    names = {boot: f"{prefix}{boot}"[:64] for _, boot in open_calls}
    for name in sorted({*names.values()}):
        lock(connection, f"boot {name}")
    seqs = Counter(offsets_of(connection, {*names.values()}))
    places = []
    for call_id, boot in open_calls:
        seqs[names[boot]] += 1
        places.append((call_id, names[boot], seqs[names[boot]]))
    return places


def by_boot(source: Source, events: Sequence[NewEvent]) -> list[Brought]:
    """Events of several boots, each boot's in order, as `append_all` takes them."""
    found: dict[str, list[NewEvent]] = {}
    for event in events:
        found.setdefault(event.boot, []).append(event)
    return [(source, those) for those in found.values()]


def endings_of(
    connection: sa.Connection, places: Sequence[Place], death: Death, reason: str = "worker_died"
) -> list[StoredEvent]:
    """The `call.ended` that a dead process could not say, of each call, at the latest at its death."""
    row = call_events.c
    last = sa.select(row.call_id, sa.func.max(row.at), sa.func.max(row.mono)).group_by(row.call_id)
    mine = last.where(row.call_id.in_([call_id for call_id, _, _ in places]))
    heard = {call_id: (at, mono) for call_id, at, mono in connection.execute(mine).all()} if places else {}
    data = {"by": "bridge", "status": None, "reason": reason, "detail": death.detail}
    found = []
    for call_id, boot, seq in places:
        at, mono = heard.get(call_id, (death.at, 0.0))
        later_s = max(death.at - at, 0.0)
        found.append(StoredEvent(seq, boot, call_id, "call.ended", at + later_s, mono + later_s, data))
    return found


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


def record_of(row: sa.Row[Any]) -> CallRecord:
    """A row of `calls`."""
    return CallRecord(**{name: row._mapping[name] for name in _FIELDS})  # noqa: SLF001  # SQLAlchemy's public name
