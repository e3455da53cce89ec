"""What a node says of its own health to the others: a small object, and what another node reads out of it. Pure.

    NodeHealth ─packed─► JSON in the store ─read─► NodeHealth

Bounded: few rows of each kind, short texts. What is read came from another version's program, or from whoever can write
the database: every value has its kind afterwards, whatever was there.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from bridge.console.healthfacts import Disk, McpState, NodeHealth, Trunk

MAX_WORKERS, MAX_TRUNKS, MAX_CHILDREN, MAX_FIGURES, MAX_SERVERS, MAX_DISKS = 48, 48, 20, 30, 30, 5
MAX_CHARS = 80


def _text(value: Any) -> str:
    return str(value)[:MAX_CHARS] if isinstance(value, str) else ""


def _whole(value: Any) -> int:
    return int(_figure(value))


def _figure(value: Any) -> float:
    with contextlib.suppress(OverflowError):
        if isinstance(value, int | float) and math.isfinite(value):
            return round(float(value), 3)
    return 0.0


def _maybe(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _flag(value: Any) -> bool:
    return value is True


Kinds = Mapping[str, Callable[[Any], Any]]
_WORKER: Kinds = {
    "slot": _whole, "name": _text, "state": _text, "calls": _whole, "taken": _whole, "age_s": _figure,
    "cpu_percent": _figure, "memory_mb": _figure, "late_ms": _figure, "why": _text, "plan_lag": _text,
}  # fmt: skip
_CHILD: Kinds = {
    "name": _text, "state": _text, "since_s": _figure, "restarts": _whole, "failures": _whole, "last": _text,
}  # fmt: skip
_TRUNK: Kinds = {
    "name": _text, "registers": _flag, "registered": _maybe, "reachable": _maybe, "problem": _text,
}  # fmt: skip
_MCP: Kinds = {"name": _text, "problem": _text, "tools": _whole, "accepted": _whole}
_DISK: Kinds = {"what": _text, "path": _text, "free": _whole, "total": _whole}


def packed(one: NodeHealth) -> dict[str, Any]:
    """As JSON has it; without the name, which is the row's."""
    told = asdict(one)
    children = [it for it in told["children"] if it.get("restarts") or not _is_worker(it)]
    return {
        "workers": _rows(_WORKER, _first(told["workers"]), MAX_WORKERS),
        "children": _rows(_CHILD, children, MAX_CHILDREN),
        "supervisor": _text(one.supervisor),
        "trunks": _rows(_TRUNK, told["trunks"], MAX_TRUNKS),
        "edge": _figures(one.edge),
        "mcp": _rows(_MCP, told["mcp"], MAX_SERVERS),
        "disks": _rows(_DISK, told["disks"], MAX_DISKS),
        "pending": one.pending,
        "registering": one.registering,
        "certificate_until": one.certificate_until,
    }


def read(name: str, age_s: float, facts: Mapping[str, Any], state: str, console: str) -> NodeHealth:
    """What a node called `name` said `age_s` ago. Whatever is missing or strange is nothing."""
    until = facts.get("certificate_until")
    return NodeHealth(
        name,
        age_s,
        state,
        console,
        workers=_rows(_WORKER, facts.get("workers"), MAX_WORKERS),
        children=_rows(_CHILD, facts.get("children"), MAX_CHILDREN),
        supervisor=_text(facts.get("supervisor")),
        trunks=[Trunk(**it) for it in _rows(_TRUNK, facts.get("trunks"), MAX_TRUNKS)],
        edge=_figures(facts.get("edge")),
        mcp=[McpState(**it) for it in _rows(_MCP, facts.get("mcp"), MAX_SERVERS)],
        disks=[Disk(**it) for it in _rows(_DISK, facts.get("disks"), MAX_DISKS)],
        pending=_whole(facts.get("pending")),
        registering=_flag(facts.get("registering")),
        certificate_until=None if until is None else _figure(until),
    )


def _rows(kinds: Kinds, value: Any, most: int) -> list[dict[str, Any]]:
    rows: Iterable[Any] = value if isinstance(value, list | tuple) else ()
    return [
        {name: kind(row.get(name)) for name, kind in kinds.items()}
        for row in list(rows)[:most]
        if isinstance(row, Mapping)
    ]


def _figures(value: Any) -> dict[str, float] | None:
    if not isinstance(value, Mapping) or not value:
        return None
    return {_text(name): _figure(found) for name, found in list(value.items())[:MAX_FIGURES]}


def _first(workers: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that something is to be said of; where not all have room, those that do not simply work."""
    used = [one for one in workers if one.get("state") != "free"]
    return used if len(used) <= MAX_WORKERS else sorted(used, key=_is_well)


def _is_well(worker: Mapping[str, Any]) -> bool:
    return worker.get("state") == "active" and not worker.get("plan_lag")


def _is_worker(child: Mapping[str, Any]) -> bool:
    return str(child.get("name", "")).startswith("worker")
