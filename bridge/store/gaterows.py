"""Rows of the gate's tables as values, and questions that several methods of GateStore ask. Part of the Store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.approval.tally import Past
from bridge.errors import StoreRaceError
from bridge.store.database import lock
from bridge.store.tables import audit_entries, tool_requests

COLUMNS = tuple(column for column in tool_requests.c if column.name != "node")


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """One row: `gate` is what Gate.from_json reads."""

    request_id: str
    call_id: str
    function_call_id: str
    tool: str
    caller: str
    state: str
    version: int
    gate: Mapping[str, Any]
    created_at: float
    updated_at: float


def recent(connection: sa.Connection, tool: str, since: float) -> int:
    """How often a tool was asked for since unix second `since`."""
    row = tool_requests.c
    query = sa.select(sa.func.count()).select_from(tool_requests)
    return int(connection.execute(query.where(row.tool == tool, row.created_at >= since)).scalar_one())


def nobody_else(connection: sa.Connection, tool: str, seen: tuple[float, int] | None) -> None:
    """Two half amounts asked for at once, on two nodes, must see each other."""
    if seen is None:
        return
    lock(connection, f"tool {tool}")
    if recent(connection, tool, seen[0]) != seen[1]:
        raise StoreRaceError(f"{tool} was asked for on another node at the same moment")


def newest() -> sa.Select[Any]:
    """The head of the audit chain."""
    head = sa.select(audit_entries.c.seq, audit_entries.c.hash)
    return head.order_by(audit_entries.c.seq.desc()).limit(1)


def without_person(gate: dict[str, Any]) -> dict[str, Any]:
    """A gate that is over, as it is kept once its call was erased."""
    if not gate:
        return {}
    request = {**gate["request"], "arguments": {}, "caller": {**gate["request"]["caller"], "number": ""}}
    ruling = {**gate["ruling"], "why": "", "confirm": None}
    return {
        **gate,
        "request": request,
        "ruling": ruling,
        "arguments": {},
        "outcome": {},
        "reason": "",
        "questions": [],
    }


def stored(row: sa.Row[Any]) -> StoredRequest:
    """A row of COLUMNS."""
    return StoredRequest(**{**row._mapping, "gate": json_object(row.gate)})  # noqa: SLF001  # SQLAlchemy's public name


def past_of(row: sa.Row[Any]) -> tuple[str, Past] | None:
    """A request as the policy counts it, under its id; None when its gate cannot be read."""
    gate = json_object(row.gate)
    arguments = gate.get("arguments")
    if not isinstance(arguments, dict):
        return None
    return row.request_id, Past(row.tool, row.call_id, row.caller, row.state, arguments, row.created_at)


def json_object(text: str) -> dict[str, Any]:
    """A JSON object; an empty one for anything else: who wrote that did not come by us."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
