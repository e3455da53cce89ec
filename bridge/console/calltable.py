"""The table of live calls: rows, their order and what is looked for in them. Pure."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.console.doing import doing
from bridge.console.pieces import key_of
from bridge.records.cdr import CallRecord
from bridge.records.public import masked

MAX_ROWS = 500
SORTS: tuple[str, ...] = ("since", "from", "to", "agent", "doing", "node")


@dataclass(frozen=True, slots=True)
class Row:
    """One live call. `doing`: what happens now (doing.py); `pending`: approvals it waits for; times: unix seconds."""

    call_id: str
    caller: str
    display: str
    called: str
    direction: str
    route: str
    agent: str
    node: str
    worker: str
    since: float
    answered: bool
    connected: bool
    doing: str
    pending: int = 0

    @property
    def short_id(self) -> str:
        """Enough to name it by."""
        return self.call_id[:8]

    @property
    def key(self) -> str:
        """For the page: letters and digits, whatever the call's id is."""
        return key_of(self.call_id)


@dataclass(frozen=True, slots=True)
class Table:
    """Live calls, the newest first. `more`: there are more than are shown."""

    rows: tuple[Row, ...] = ()
    more: bool = False
    name: str = ""
    by_key: Mapping[str, Row] = field(default_factory=dict, compare=False)


def table_of(rows: Iterable[Row]) -> Table:
    """The table of these rows; `name` is the same for the same rows."""
    every = tuple(rows)
    shown = every[:MAX_ROWS]
    name = hashlib.sha256(repr(shown).encode("utf-8", "replace")).hexdigest()[:16]
    return Table(shown, len(every) > MAX_ROWS, name, {row.key: row for row in shown})


def row_of(
    record: CallRecord, told: tuple[str, Mapping[str, Any] | None], boots: Collection[str], pending: int
) -> Row:
    """The row of a live call. `told`: the newest event that tells what happens; `boots`: workers that are there."""
    now = doing(*told) or ("ringing" if record.answered_at is None else "listening")
    return Row(
        call_id=record.call_id,
        caller=record.from_uri or "",
        display=record.from_display or "",
        called=record.to_uri or "",
        direction=record.direction or "",
        route=record.route or "",
        agent=record.agent or "",
        node=record.node,
        worker=record.worker or "",
        since=record.started_at,
        answered=record.answered_at is not None,
        connected=record.boot in boots,
        doing="approval" if pending else now,
        pending=pending,
    )


def shown_to(row: Row, *, personal: bool) -> tuple[str, str, str]:
    """Caller, their display name and the number called, as this visitor may see them."""
    if personal:
        return row.caller, row.display, row.called
    return masked(row.caller) or "", "", masked(row.called) or ""


_BY: Mapping[str, Callable[[Row], Any]] = {
    "since": lambda row: -row.since,
    "from": lambda row: row.caller,
    "to": lambda row: row.called,
    "agent": lambda row: (row.agent, row.route),
    "doing": lambda row: (-row.pending, row.doing),
    "node": lambda row: (row.node, row.worker),
}


def arranged(rows: Iterable[Row], sort: str, wanted: str, *, personal: bool) -> list[Row]:
    """In the order and with the words that an address asks for ("-" in front of `sort`: the other way round).

    Only what the visitor may see is looked at, so that nobody finds a number by trying.
    """
    words = wanted.casefold().split()
    kept = [row for row in rows if all(word in _text(row, personal=personal) for word in words)]
    by = _BY.get(sort.removeprefix("-"), _BY["since"])
    if not personal and sort.removeprefix("-") in {"from", "to"}:
        by = _BY["since"]
    return sorted(kept, key=by, reverse=sort.startswith("-"))


def _text(row: Row, *, personal: bool) -> str:
    parts = (*shown_to(row, personal=personal), row.route, row.agent, row.node, row.worker, row.doing)
    return " ".join((row.call_id, *parts)).casefold()
