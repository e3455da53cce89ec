"""`sipbridge approvals list|show|approve|deny`: what waits for a person, and the decision.

Reads the store and leaves the decision in it; control takes it up within a tenth of a second and answers, so what is
printed is what happened. Who decides is the account that runs the command (root may name another with --as); the
policy's `people` say whether they may. Not worker-safe.
"""

import asyncio
import json
import os
import pwd
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.errors import StoreError
from bridge.settings import load
from bridge.store.gatestore import OPEN_STATES, GateStore, StoredRequest
from bridge.store.store import Store

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
T = TypeVar("T")
ANSWER_S = 5.0
LOOK_S = 0.05


@app.command("list")
def list_(
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    config: Config = None,
) -> None:
    """What waits, newest first."""
    rows = _with_store(config, lambda gate: gate.requests(() if everything else OPEN_STATES))
    if as_json:
        typer.echo(json.dumps([_plain(row) for row in rows], indent=2))
    elif not rows:
        typer.echo("nothing waits")
    else:
        Console().print(_table(rows))


@app.command()
def show(which: Which, config: Config = None) -> None:
    """One request, whole."""
    typer.echo(json.dumps(_with_store(config, lambda gate: _one(gate, which)).gate, indent=2))


@app.command()
def approve(which: Which, name: As = "", reason: Reason = "", config: Config = None) -> None:
    """Let it be done."""
    _decide(config, which, "approve", name, reason)


@app.command()
def deny(which: Which, name: As = "", reason: Reason = "", config: Config = None) -> None:
    """Do not let it be done."""
    _decide(config, which, "deny", name, reason)


def _decide(config: Path | None, which: str, verdict: str, name: str, reason: str) -> None:
    account = pwd.getpwuid(os.geteuid()).pw_name
    if name and name != account and os.geteuid() != 0:
        raise StoreError("only root may decide in another's name")

    async def work(gate: GateStore) -> str | None:
        row = await _one(gate, which)
        decision = {
            "by": name or account,
            "verdict": verdict,
            "reason": reason,
            "binding": row.gate["binding"],
        }
        number = await gate.decide(row.request_id, decision)
        until = time.monotonic() + ANSWER_S
        while (answer := await gate.answered(number)) is None and time.monotonic() < until:  # noqa: ASYNC110  # a file
            await asyncio.sleep(LOOK_S)
        return answer

    answer = _with_store(config, work)
    if answer is None:
        raise StoreError("the bridge did not take the decision up: it is not running, or its store is busy")
    typer.echo(answer)
    if not answer.startswith("taken"):
        raise typer.Exit(1)


async def _one(gate: GateStore, prefix: str) -> StoredRequest:
    rows = await gate.find(prefix)
    if len(rows) != 1:
        raise StoreError(f"{len(rows) or 'no'} requests begin with {prefix!r}")
    return rows[0]


def _with_store(config: Path | None, work: Callable[[GateStore], Awaitable[T]]) -> T:
    async def run() -> T:
        async with Store(str(load(config, os.environ).store), migrate=False) as store:
            return await work(GateStore(store))

    return asyncio.run(run())


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
        "created_at": row.created_at,
        "due_at": gate["due_at"],
    }


def _table(rows: list[StoredRequest]) -> Table:
    table = Table(box=None)
    for column in ("request", "state", "tool", "arguments", "caller", "rule", "left"):
        table.add_column(column)
    now = time.time()
    for row in rows:
        plain = _plain(row)
        due = row.gate["due_at"]
        left = f"{max(due - now, 0):.0f} s" if due is not None else ""
        cells = (
            plain["request_id"],
            plain["state"],
            plain["tool"],
            json.dumps(plain["arguments"]),
            plain["caller"],
        )
        table.add_row(*(Text(str(cell)) for cell in (*cells, plain["rule"], left)))
    return table
