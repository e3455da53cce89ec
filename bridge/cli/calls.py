"""`sipbridge calls list|show|why`: look at calls, running and past. What acts on them: calls_live.py.

Reads the store directly, so it works while the bridge runs (SQLite in WAL mode lets us read beside
control's writing) and when it is down; a running call is shown as far as its events are stored. Changes
nothing. Not worker-safe.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.cli import calls_export, calls_keep, calls_live
from bridge.cli.calls_why import explanation, moment_lines, why_lines
from bridge.errors import StoreError
from bridge.records.cdr import CallRecord, number
from bridge.records.timeline import build, chart, listing
from bridge.settings import load
from bridge.store.callrows import StoredEvent
from bridge.store.store import Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Look at calls, running and past, and act on those that run.",
)
calls_live.add_to(app)
calls_keep.add_to(app)
calls_export.add_to(app)

Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
T = TypeVar("T")


@app.command("list")
def list_(
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="The newest so many.")] = 20,
    config: Config = None,
) -> None:
    """The newest calls first."""
    records = _read(config, lambda store: store.recent(limit))
    if as_json:
        typer.echo(json.dumps([_plain(record) for record in records], indent=2))
    elif not records:
        typer.echo("no calls yet")
    else:
        _print(_calls_table(records))


@app.command()
def show(
    call: Annotated[str, typer.Argument(help="Beginning of the call's id, or `last`.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """One call: its record, who spoke when, the transcript, what the responses took and cost."""
    record, events = _read(config, lambda store: _one(store, call))
    if as_json:
        body = {"record": _plain(record), "events": [asdict(event) for event in events]}
        typer.echo(json.dumps(body, indent=2))
        return
    timeline = build(events)
    _print(_record_table(record))
    typer.echo("\nwho spoke when (seconds from the answer)")
    typer.echo("\n".join(_clean(line) for line in chart(timeline)))
    typer.echo("\nwhat happened")
    typer.echo("\n".join(_clean(line) for line in listing(timeline)))
    _section("transcript", [_transcript_line(event) for event in events if event.type == "transcript"])
    _section("moments", moment_lines(events))
    responses = [event for event in events if event.type == "response"]
    if responses:
        typer.echo("")
        _print(_responses_table(responses))


@app.command()
def why(
    call: Annotated[str, typer.Argument(help="Beginning of the call's id, or `last`.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Why a call ended as it did: cause, class, where it went wrong, what to look at next."""
    record, events = _read(config, lambda store: _one(store, call))
    for line in why_lines(record.call_id, explanation(events), as_json=as_json):
        typer.echo(line if as_json else _clean(line))


async def _one(store: Store, call: str) -> tuple[CallRecord, list[StoredEvent]]:
    if not call.strip():
        raise StoreError("which call? give the beginning of its id, or `last`")
    found = await (store.recent(1) if call == "last" else store.find(call))
    if not found:
        raise StoreError("no calls yet" if call == "last" else f"no call's id begins with {call!r}")
    if len(found) > 1:
        ids = ", ".join(record.call_id for record in found)
        raise StoreError(f"{call!r} is the beginning of more than one call: {ids}")
    return found[0], await store.events(found[0].call_id)


def _read(config: Path | None, work: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        async with Store(url, migrate=False) as store:
            return await work(store)

    url = str(load(config, os.environ).store)
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise StoreError(f"there is no store at {url.removeprefix('sqlite:///')} yet: no call has been made")
    return asyncio.run(run())


def _plain(record: CallRecord) -> dict[str, Any]:
    return {"state": record.state, **asdict(record)}


def _calls_table(records: Sequence[CallRecord]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in (
        "id",
        "started",
        "from",
        "to",
        "route",
        "state",
        "seconds",
        "ended by",
        "reason",
        "$",
        "mos",
    ):
        table.add_column(
            name, justify="right" if name in {"seconds", "$", "mos"} else "left", overflow="fold"
        )
    for record in records:
        cells = (
            record.call_id[:8],
            _when(record.started_at),
            record.from_uri,
            record.to_uri,
            record.route,
            record.state,
            _figure(record.duration_s, 1),
            record.ended_by,
            _reason(record),
            _figure(record.cost_usd, 4),
            _figure(record.mos, 2),
        )
        table.add_row(*(_cell(cell) for cell in cells))
    return table


def _record_table(record: CallRecord) -> Table:
    rows = {
        "call": record.call_id,
        "state": f"{record.state} ({record.direction or 'unknown direction'})",
        "from": " ".join(filter(None, (record.from_display, record.from_uri))),
        "to": record.to_uri,
        "route": f"{record.route or '-'} (plan {record.plan_version or '-'}), agent {record.agent or '-'}",
        "worker": f"{record.worker} (boot {record.boot})",
        "SIP": f"{record.sip_call_id or '-'} from {record.remote or '-'}",
        "started": _when(record.started_at),
        "answered": _when(record.answered_at),
        "ended": _ending(record),
        "session": _session(record),
        "media": _media(record),
        "counts": f"{record.responses} responses, {record.barge_ins} barge-ins, {record.dtmf_digits} DTMF digits, "
        f"{record.function_calls} function calls, {record.holds} holds, {record.errors} errors",
        "cost": None if record.cost_usd is None else f"${record.cost_usd:.4f}",
        "latency": None if record.worst_latency_ms is None else f"worst {record.worst_latency_ms:.0f} ms",
        "recording": _recording(record),
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value:
            table.add_row(name, _cell(value))
    return table


def _responses_table(events: Sequence[StoredEvent]) -> Table:
    table = Table(title="responses", title_justify="left", box=None, pad_edge=False)
    for name in ("response", "status", "latency ms", "first audio ms", "took ms", "tokens", "$"):
        table.add_column(name, justify="left" if name in {"response", "status"} else "right", overflow="fold")
    for event in events:
        data = event.data
        usage = data.get("usage")
        status = " ".join(str(data[key]) for key in ("status", "reason") if data.get(key))
        cells = (
            data.get("response_id"),
            status,
            _figure(number(data.get("latency_ms")), 0),
            _figure(number(data.get("first_audio_ms")), 0),
            _figure(number(data.get("duration_ms")), 0),
            _figure(number(usage.get("total")) if isinstance(usage, dict) else None, 0),
            _figure(number(data.get("cost_usd")), 4),
        )
        table.add_row(*(_cell(cell) for cell in cells))
    return table


def _transcript_line(event: StoredEvent) -> str:
    return f"  {event.data.get('who', '?'):<7} {_clean(event.data.get('text') or '')}"


def _section(title: str, lines: Sequence[str]) -> None:
    if lines:
        typer.echo("\n".join(("", title, *lines)))


def _ending(record: CallRecord) -> str | None:
    if record.ended_at is None:
        return None
    talked = "" if record.duration_s is None else f" after {record.duration_s:.1f} s"
    return f"{_when(record.ended_at)}{talked}, by {record.ended_by or '-'}: {_reason(record)}"


def _reason(record: CallRecord) -> str:
    words = (record.end_status, record.end_reason, record.end_detail)
    return " ".join(str(word) for word in words if word)


def _session(record: CallRecord) -> str | None:
    if record.provider is None:
        return None
    state = record.session_error or (
        "not connected" if record.session_ms is None else f"ready after {record.session_ms:.0f} ms"
    )
    return f"{record.provider} {record.model or ''}, {state}"


def _media(record: CallRecord) -> str | None:
    if record.codec is None:
        return None
    parts = [f"{record.codec} {_figure(record.ptime_ms, 0)} ms"]
    parts += [f"loss {record.rx_loss_pct:.2f} %"] if record.rx_loss_pct is not None else []
    parts += [f"jitter {record.rx_jitter_ms:.1f} ms"] if record.rx_jitter_ms is not None else []
    parts += [f"round trip {record.rtt_ms:.0f} ms"] if record.rtt_ms else []
    parts += [f"MOS {record.mos:.2f}"] if record.mos is not None else []
    return ", ".join(parts)


def _recording(record: CallRecord) -> str | None:
    if record.recording_path is None:
        return None
    return f"{record.recording_path} ({_figure(record.recording_s, 1)} s)"


def _when(at: float | None) -> str:
    if at is None:
        return ""
    try:
        return datetime.fromtimestamp(at).astimezone().isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):
        return str(at)


def _figure(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"


def _cell(value: Any) -> Text:
    return Text("" if value is None else _clean(value))


def _clean(value: Any) -> str:
    """What a stranger sent must not steer the terminal."""
    return "".join(char if char.isprintable() else "�" for char in str(value))


def _print(table: Table) -> None:
    console = Console(soft_wrap=False)
    width = None if console.is_terminal else 160
    Console(width=width).print(table)
