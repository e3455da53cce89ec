"""Calls that were: found by a filter, the newest first, page by page; what belongs to one of them. Part of the Store.

    page ─► a transaction over some rows of the index (started_at, call_id), until the page is full or time is up

Every transaction looks at a bounded number of rows, whatever the filter is: on SQLite the calls' events are written
between two of them. A filter that fits few calls of a large table may take several pages that say how far was looked.
Reads only. Every method raises StoreError.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.records.cdr import CallRecord
from bridge.records.search import LOST, TROUBLE_MOS, Filter, Place
from bridge.store.callrows import StoredEvent, record_of
from bridge.store.gaterows import COLUMNS, StoredRequest, stored
from bridge.store.store import Store
from bridge.store.tables import call_events, calls, tool_requests

WITHIN_S = 1.5
MAX_REQUESTS = 200
_PLAIN_RUN = re.compile(r"[A-Za-z0-9 ,.'?!-]+")


@dataclass(frozen=True, slots=True)
class Looks:
    """How much is looked at: rows in one transaction, and events of a call.

    Fewer rows where events are read too: `some` of a few of the calls, `deep` of all of them.
    """

    window: int = 2000
    some_window: int = 500
    deep_window: int = 100
    events: int = 20_000


@dataclass(frozen=True, slots=True)
class Found:
    """A page. `next`: where the next one begins, None: nothing is older. `cut`: time was up before it was full."""

    records: tuple[CallRecord, ...]
    next: Place | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class OneCall:
    """Everything that is kept of a call. `complete`: all its events are here."""

    record: CallRecord
    events: tuple[StoredEvent, ...]
    requests: tuple[StoredRequest, ...]
    complete: bool = True


class HistoryStore:
    """The questions. `node`: the name of this one."""

    def __init__(self, store: Store, looks: Looks = Looks()) -> None:  # frozen
        self._store = store
        self._looks = looks
        self.node = store.node

    async def page(
        self, wanted: Filter, after: Place | None, limit: int, within_s: float = WITHIN_S
    ) -> Found:
        """At most `limit` calls that fit, from `after` on."""
        until_s, found = time.monotonic() + within_s, list[CallRecord]()
        while True:
            left, begin = limit - len(found), after

            def work(connection: sa.Connection, left: int = left, begin: Place | None = begin) -> _Step:
                return _step(connection, wanted, begin, left, self._looks)

            step = await self._store.transaction("cannot read the history", work)
            found += step.records
            after = step.next
            if after is None or len(found) >= limit:
                return Found(tuple(found), after)
            if time.monotonic() >= until_s:
                return Found(tuple(found), after, cut=True)

    async def asked(self, call_ids: Sequence[str]) -> dict[str, int]:
        """How many tool requests each of these calls made, where it made any."""
        row = tool_requests.c
        query = sa.select(row.call_id, sa.func.count()).where(row.call_id.in_(call_ids)).group_by(row.call_id)

        def work(connection: sa.Connection) -> dict[str, int]:
            return {one[0]: int(one[1]) for one in connection.execute(query).all()}

        return await self._store.transaction("cannot count requests", work) if call_ids else {}

    async def one(self, call_id: str) -> OneCall | None:
        """A call by its whole id; None: there is none (any more)."""
        event, request, most = call_events.c, tool_requests.c, self._looks.events
        events = sa.select(call_events).where(event.call_id == call_id).order_by(event.id).limit(most + 1)
        requests = sa.select(*COLUMNS).where(request.call_id == call_id).order_by(request.created_at)

        def work(connection: sa.Connection) -> OneCall | None:
            row = connection.execute(sa.select(calls).where(calls.c.call_id == call_id)).first()
            if row is None:
                return None
            rows = connection.execute(events).all()
            asked = connection.execute(requests.limit(MAX_REQUESTS)).all()
            return OneCall(
                record_of(row),
                tuple(_event(one) for one in rows[:most]),
                tuple(stored(one) for one in asked),
                len(rows) <= most,
            )

        return await self._store.transaction("cannot read a call", work)


@dataclass(frozen=True, slots=True)
class _Step:
    records: list[CallRecord]
    next: Place | None


def _step(connection: sa.Connection, wanted: Filter, after: Place | None, limit: int, looks: Looks) -> _Step:
    """Look at one window. `next`: its end, or the last call that was looked at when the page is full."""
    row = calls.c
    deep = looks.deep_window if wanted.words else looks.some_window
    size = deep if wanted.words or wanted.approvals else looks.window
    newest_first = (row.started_at.desc(), row.call_id.desc())
    between = _between(wanted, after)
    window = sa.select(row.started_at, row.call_id).where(*between).order_by(*newest_first)
    last = connection.execute(window.offset(size - 1).limit(1)).first()
    if last is not None:
        between.append(row.started_at >= last.started_at)
        between.append((row.started_at > last.started_at) | (row.call_id >= last.call_id))
    query = sa.select(calls).where(*between, *_conditions(wanted)).order_by(*newest_first)
    looked = [record_of(one) for one in connection.execute(query.limit(limit)).all()]
    kept = [one for one in looked if one.call_id in _spoken(connection, wanted.words, looked)]
    if len(looked) == limit:
        return _Step(kept, Place.of(looked[-1]))
    return _Step(kept, None if last is None else Place(last.started_at, last.call_id))


def _between(wanted: Filter, after: Place | None) -> list[sa.ColumnElement[bool]]:
    row, found = calls.c, list[sa.ColumnElement[bool]]()
    if wanted.since is not None:
        found.append(row.started_at >= wanted.since)
    if wanted.until is not None:
        found.append(row.started_at <= wanted.until)
    if after is not None:
        found.append(row.started_at <= after.started_at)
        found.append((row.started_at < after.started_at) | (row.call_id < after.call_id))
    return found


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    row = calls.c
    found = [getattr(row, name) == value for name in _SAME if (value := getattr(wanted, name))]
    if wanted.number:
        ends = (column.endswith(wanted.number, autoescape=True) for column in (row.from_uri, row.to_uri))
        found.append(sa.or_(*ends))
    if wanted.reason:
        columns = (row.end_reason, row.end_detail, row.session_error)
        found.append(sa.or_(*(column.icontains(wanted.reason, autoescape=True) for column in columns)))
    if wanted.outcome:
        found.append(_OUTCOMES[wanted.outcome])
    if wanted.shortest_s is not None:
        found.append(row.duration_s >= wanted.shortest_s)
    if wanted.longest_s is not None:
        found.append(sa.func.coalesce(row.duration_s, 0.0) <= wanted.longest_s)
    if wanted.words:
        found.append(_may_have_said(wanted.words))
    flags = (("trouble", TROUBLE), ("barge_ins", row.barge_ins > 0), ("approvals", _APPROVALS))
    return found + [condition for name, condition in flags if getattr(wanted, name)]


_SAME = ("direction", "route", "agent", "node", "ended_by")
_REFUSED = (calls.c.ended_by == "bridge") & (calls.c.end_status >= 400)
_OVER_UNANSWERED = calls.c.ended_at.is_not(None) & calls.c.answered_at.is_(None)
_OUTCOMES: Mapping[str, sa.ColumnElement[bool]] = {
    "live": calls.c.ended_at.is_(None),
    "answered": calls.c.ended_at.is_not(None) & calls.c.answered_at.is_not(None),
    "refused": _OVER_UNANSWERED & sa.func.coalesce(_REFUSED, sa.false()),
    "missed": _OVER_UNANSWERED & ~sa.func.coalesce(_REFUSED, sa.false()),
}
_BRIDGE = calls.c.ended_by == "bridge"
TROUBLE = sa.or_(
    calls.c.errors > 0,
    calls.c.session_error.is_not(None),
    calls.c.ended_by == "network",
    _BRIDGE & (calls.c.end_status >= 500),
    _BRIDGE & calls.c.end_reason.in_(LOST),
    calls.c.mos < TROUBLE_MOS,
)
_ASKED = sa.exists().where(tool_requests.c.call_id == calls.c.call_id)
_WAITED = sa.exists().where(
    call_events.c.call_id == calls.c.call_id,
    call_events.c.type == "tool.state",
    call_events.c.data.contains('"state":"pending"'),
)
_APPROVALS = _ASKED & _WAITED
"""A person was asked. The gate's row alone does not say so: what a rule allows has one too."""


def _spoken(connection: sa.Connection, words: str, records: Sequence[CallRecord]) -> set[str]:
    """The calls of these on which the words were said; without words all of them."""
    ids = [record.call_id for record in records]
    if not words or not ids:
        return set(ids)
    row, wanted = call_events.c, words.casefold()
    query = sa.select(row.call_id, row.data).where(row.call_id.in_(ids), _like(words))
    return {one.call_id for one in connection.execute(query) if wanted in _text(one.data).casefold()}


def _may_have_said(words: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(call_events.c.call_id == calls.c.call_id, _like(words))


def _like(words: str) -> sa.ColumnElement[bool]:
    """A transcript that may have these words.

    What is stored is JSON in ASCII: the database looks for the longest run of plain characters, Python at the text.
    """
    row, run = call_events.c, max(_PLAIN_RUN.findall(words), key=len, default="")
    spoken = row.type == "transcript"
    return spoken & row.data.icontains(run, autoescape=True) if run else spoken


def _text(data: str) -> str:
    found = json.loads(data)
    return str(found.get("text") or "") if isinstance(found, dict) else ""


def _event(row: sa.Row[Any]) -> StoredEvent:
    return StoredEvent(row.seq, row.boot, row.call_id, row.type, row.at, row.mono, json.loads(row.data))
