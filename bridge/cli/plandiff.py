"""`sipbridge dialplan diff OLD NEW`: what a change of the dialplan changes, before it is live.

OLD and NEW are files, folders, or versions that were in force (state_dir/plans/VERSION.json). With --calls the newest
calls of the store are put through both plans: which of them would go elsewhere. Reads, changes nothing. Exit status 1
when the plans are different.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.planread import Config, clean, count, plan_at, settings_of
from bridge.dialplan.diff import asks_for_headers, compare, rerouted
from bridge.dialplan.plan import CallFacts, Plan
from bridge.records.cdr import CallRecord
from bridge.settings import Settings
from bridge.store.store import Store

IN_FORCE = "running"
MAX_SHOWN = 20
_URI = re.compile(r"^(?:sips?|tel):([^@;>]*)", re.IGNORECASE)

Old = Annotated[str, typer.Argument(help="File, folder, version, or `running`: the plan in force.")]
New = Annotated[str, typer.Argument(help="The same; the settings' dialplans when left out.")]
Calls = Annotated[
    int, typer.Option("--calls", min=0, max=100_000, help="Put the newest N calls through both plans.")
]


def diff(old: Old = IN_FORCE, new: New = "", *, calls: Calls = 0, config: Config = None) -> None:
    """Compare two dialplans. Exit code 1: they are different."""
    loaded = settings_of(config)
    before, after = _plan(old, loaded), _plan(new, loaded)
    changes = list(compare(before, after))
    typer.echo(f"{before.version} -> {after.version}: {count(changes, 'change')}")
    for change in changes:
        typer.echo(f"{change.sign} {change.what}")
        for line in change.lines:
            typer.echo(f"    {line}")
    if calls:
        headers = asks_for_headers(before) or asks_for_headers(after)
        past = asyncio.run(_recent(loaded, calls, with_headers=headers))
        typer.echo("\n".join(_calls(before, after, past)))
    raise typer.Exit(bool(changes))


def _plan(name: str, loaded: Settings) -> Plan:
    return plan_at(where(name, loaded), loaded).plan


def where(name: str, loaded: Settings) -> Path:
    """The file or folder that a person means."""
    if not name:
        return loaded.dialplans
    if name == IN_FORCE:
        return loaded.state_dir / "run" / "plan.json"
    kept = (
        sorted((loaded.state_dir / "plans").glob(f"{name}*.json"))
        if re.fullmatch(r"[0-9a-f]{4,12}", name)
        else []
    )
    return kept[0] if len(kept) == 1 and not Path(name).exists() else Path(name)


@dataclass(frozen=True, slots=True)
class Past:
    """A call that was: its record, and the headers of its INVITE when a route asks for any."""

    record: CallRecord
    headers: Mapping[str, str]


async def _recent(loaded: Settings, number: int, *, with_headers: bool) -> list[Past]:
    async with Store(str(loaded.store), migrate=False) as store:
        records = [
            one for one in await store.recent(number) if one.direction in {None, "inbound"} and one.to_uri
        ]
        return [Past(one, await _headers(store, one.call_id) if with_headers else {}) for one in records]


async def _headers(store: Store, call_id: str) -> dict[str, str]:
    for event in await store.events(call_id):
        headers = event.data.get("headers") if event.type == "call.started" else None
        if isinstance(headers, dict):
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


def _calls(old: Plan, new: Plan, past: Sequence[Past]) -> list[str]:
    found = list(rerouted(old, new, [(_facts(old, one), _facts(new, one)) for one in past]))
    lines = [f"\n{len(found)} of the last {count(past, 'call')} would be routed differently"]
    ways: dict[tuple[str, str], list[CallFacts]] = {}
    for one in found:
        ways.setdefault((one.before, one.after), []).append(one.facts)
    for (before, after), facts in sorted(ways.items(), key=lambda way: -len(way[1])):
        lines.append(f"  {len(facts):5}  {before} -> {after}")
        examples = sorted({f"{one.from_number or 'anonymous'} to {one.to_number}" for one in facts})
        lines += [f"           {clean(example)}" for example in examples[:MAX_SHOWN]]
    return lines


def _facts(plan: Plan, past: Past) -> CallFacts:
    record = past.record
    at = datetime.fromtimestamp(record.started_at, UTC)
    return plan.complete(CallFacts(user(record.to_uri), user(record.from_uri), headers=past.headers), at)


def user(party: str | None) -> str:
    """The number of a record's party: it is a number already, or a URI."""
    found = _URI.match(party or "")
    return found[1] if found else party or ""
