"""`sipbridge approvals list|show|watch|approve|deny|ask|reconcile`: what waits for a person, and the decision.

Reads the store and leaves the decision in it, sealed; control takes it up within a tenth of a second and answers, so
what is printed is what happened. Who decides: identity.py. Not worker-safe.
"""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bridge.approval.canonical import read
from bridge.cli.identity import with_store
from bridge.errors import StoreError, ToolArgumentsError
from bridge.keys import decision_key
from bridge.settings import Settings
from bridge.store.gaterows import StoredRequest
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from bridge.store.tables import OPEN_STATES
from bridge.store.userstore import User
from bridge.verdicts import ANSWER_S, TAKEN, Verdict, leave

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Function calls that wait.",
)
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Which = Annotated[str, typer.Argument(help="Beginning of the request's id.")]
As = Annotated[str, typer.Option("--as", help="Decide in this name (root only).")]
Reason = Annotated[str, typer.Option("--reason", help="The caller may hear it.")]
WATCH_S = 0.5
WIDE = 140  # columns where the output is no terminal
SHOWN_ID = 8  # enough to name a request by
SHOWN_FORM = 6


@app.command("list")
def list_(
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    config: Config = None,
) -> None:
    """What waits, newest first."""
    states = () if everything else OPEN_STATES
    found = with_store(config, "look", lambda store, _settings, _me: GateStore(store).requests(states))
    rows = [row for row in found if row.gate]
    if as_json:
        typer.echo(json.dumps([_plain(row) for row in rows], indent=2))
    elif not rows:
        typer.echo("nothing waits")
    else:
        _console().print(_table(rows))


@app.command()
def show(which: Which, config: Config = None) -> None:
    """One request, whole."""
    row = with_store(config, "look", lambda store, _settings, _me: _one(GateStore(store), which))
    typer.echo(json.dumps(row.gate, indent=2))


@app.command()
def watch(
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="So long; 0: until Ctrl-C.")] = 0,
    config: Config = None,
) -> None:
    """A table of what waits, kept up to date."""

    async def work(store: Store, _settings: Settings, _me: User) -> None:
        gates, until_s = GateStore(store), time.monotonic() + (seconds or 1e9)
        with Live(console=_console(), auto_refresh=False, transient=False) as live:
            while time.monotonic() < until_s:
                rows = [row for row in await gates.requests(OPEN_STATES) if row.gate]
                live.update(_table(rows) if rows else Text("nothing waits"), refresh=True)
                await asyncio.sleep(WATCH_S)

    try:
        with_store(config, "look", work)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command()
def approve(
    which: Which,
    name: As = "",
    reason: Reason = "",
    arguments: Annotated[
        str, typer.Option("--arguments", help="Approve it in this form instead: JSON of all arguments.")
    ] = "",
    form: Annotated[
        str, typer.Option("--form", help="The form you saw (list, show): needed once somebody has edited it.")
    ] = "",
    config: Config = None,
) -> None:
    """Let it be done."""
    edited = _object(arguments) if arguments else None
    words = {"verdict": "approve", "reason": reason, "arguments": edited}
    _decide(config, which, words, name, form=form)


@app.command()
def deny(which: Which, name: As = "", reason: Reason = "", config: Config = None) -> None:
    """Do not let it be done."""
    _decide(config, which, {"verdict": "deny", "reason": reason}, name)


@app.command()
def ask(
    which: Which,
    question: Annotated[str, typer.Argument(help="The agent asks the caller exactly this.")],
    name: As = "",
    config: Config = None,
) -> None:
    """Have the agent ask the caller something first. It decides nothing, and the clocks keep running."""
    _decide(config, which, {"verdict": "ask", "reason": question}, name)


@app.command()
def reconcile(
    which: Which,
    done: Annotated[bool, typer.Option("--done/--not-done", help="What you found out.")],
    note: Annotated[str, typer.Option("--note", help="How you know.")],
    name: As = "",
    config: Config = None,
) -> None:
    """Say what became of a request whose outcome is unknown, after you looked."""
    words = {"verdict": "succeeded" if done else "failed", "reason": note}
    _decide(config, which, words, name, may="reconcile")


def _decide(
    config: Path | None, which: str, words: dict[str, Any], name: str, *, may: str = "decide", form: str = ""
) -> None:
    async def work(store: Store, settings: Settings, me: User) -> str:
        gates = GateStore(store)
        row = await _one(gates, which)
        if words["verdict"] == "approve":
            _seen(row, form)
        decision = Verdict(**words, by=me.name, via="cli", binding=row.gate["binding"])
        return await leave(gates, decision_key(settings, os.environ), row.request_id, decision, ANSWER_S)

    answer = with_store(config, may, work, name=name)
    typer.echo(answer)
    if not answer.startswith(TAKEN):
        raise typer.Exit(1)


def _seen(row: StoredRequest, form: str) -> None:
    """What is approved must be what was seen: an edit may have come in between."""
    now = row.gate["binding"][:SHOWN_FORM]
    if (form and form != now) or (row.gate["edited_by"] and not form):
        arguments = json.dumps(row.gate["arguments"])
        raise StoreError(
            f"{row.gate['edited_by'] or 'somebody'} changed it to {arguments}: approve with --form {now}"
        )


def _object(text: str) -> dict[str, Any]:
    try:
        value = read(text)
    except ToolArgumentsError as error:
        raise typer.BadParameter(f"--arguments: {error}") from error
    if not isinstance(value, dict):
        raise typer.BadParameter("--arguments must be a JSON object")
    return value


async def _one(gates: GateStore, prefix: str) -> StoredRequest:
    rows = await gates.find(prefix)
    if len(rows) != 1:
        raise StoreError(f"{len(rows) or 'no'} requests begin with {prefix!r}")
    return rows[0]


def _plain(row: StoredRequest) -> dict[str, object]:
    gate = row.gate
    return {
        "request_id": row.request_id,
        "call_id": row.call_id,
        "tool": row.tool,
        "state": row.state,
        "arguments": gate["arguments"],
        "rule": gate["ruling"]["rule"],
        "why": gate["ruling"]["why"],
        "reason": gate["reason"],
        "caller": gate["request"]["caller"]["number"],
        "approved_by": gate["approved_by"],
        "edited_by": gate["edited_by"],
        "form": gate["binding"][:SHOWN_FORM],
        "created_at": row.created_at,
        "due_at": gate["due_at"],
    }


def _console() -> Console:
    """The terminal; wide enough for a line each when there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


def _table(rows: Sequence[StoredRequest]) -> Table:
    table = Table(box=None)
    for column in ("request", "state", "tool", "arguments", "caller", "rule", "form", "approved", "left"):
        table.add_column(column, no_wrap=column in {"request", "state", "caller", "left"})
    now = time.time()
    for row in rows:
        plain = _plain(row)
        due, ask = row.gate["due_at"], row.gate["ruling"]["ask"]
        left = f"{max(due - now, 0):.0f} s" if due is not None else ""
        wanted = ask["approvers"] if ask else 1
        approved = f"{len(row.gate['approved_by'])} of {wanted}"
        arguments = " ".join(f"{name}={value}" for name, value in row.gate["arguments"].items())
        shown = (row.request_id[:SHOWN_ID], plain["state"], plain["tool"], arguments)
        cells = (*shown, plain["caller"], plain["rule"], plain["form"], approved, left)
        table.add_row(*(Text(_visible(str(cell))) for cell in cells))
    return table


def _visible(text: str) -> str:
    """What a caller or a model wrote must not move the cursor of who decides about it."""
    return "".join(char if char.isprintable() else "�" for char in text)
