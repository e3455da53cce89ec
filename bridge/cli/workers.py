"""`sipbridge workers list|restart|drain|undrain`: the worker processes of this node.

Asks the supervisor on its socket (bridge/pool/client.py), which goes on with what it was told whether or not anybody
watches, and whether control is there or not. Who may open the socket: the user the bridge runs as, and root. Not
worker-safe.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.errors import BridgeError
from bridge.pool.client import ask
from bridge.settings import load

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The worker processes."
)
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
Slot = Annotated[int, typer.Argument(help="Slot of the worker, from 0.", min=0)]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until it is done.")]
LOOK_S = 0.25
COLUMNS = ("slot", "worker", "pool", "state", "calls", "carried", "age", "memory", "cpu", "pid", "")
STYLES = {"active": "green", "draining": "yellow", "drained": "yellow", "starting": "cyan", "free": "dim"}


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False, config: Config = None
) -> None:
    """Every slot: its worker, how many calls it carries and has carried, what it uses, why it is being replaced."""
    state = _ask(config, "status")
    if as_json:
        typer.echo(json.dumps(state, indent=2))
        return
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for worker in state["workers"]:
        table.add_row(*_row(worker))
    Console(highlight=False).print(table)
    if state["rolling"]:
        typer.echo(f"rolling restart: {state['rolling']}")


@app.command()
def restart(
    slot: Annotated[int | None, typer.Argument(help="Slot of the worker, from 0.", min=0)] = None,
    everyone: Annotated[
        bool,
        typer.Option("--all", help="Rolling: all of them, one after the other, with freshly loaded code."),
    ] = False,
    no_wait: NoWait = False,
    config: Config = None,
) -> None:
    """Replace a worker, or all of them, without ending a call.

    A worker that is replaced takes no new calls and ends after its last one. With the edge its replacement takes calls
    before that; without it, the replacement follows when the worker is empty. It goes on when you stop watching.
    """
    if everyone == (slot is not None):
        raise BridgeError("name a slot, or --all: sipbridge workers restart 0")
    before = {one["pid"] for one in _ask(config, "status")["workers"] if _concerned(one, slot)}
    _ask(config, "restart", "rolling" if slot is None else slot)
    if no_wait:
        typer.echo("it is under way: sipbridge workers list")
    elif slot is None:
        _follow_all(config, before)
    else:
        _follow_one(config, slot, before)


@app.command()
def drain(slot: Slot, config: Config = None) -> None:
    """Have a worker take no new calls. It keeps those it has, and stays until it is undrained or restarted."""
    worker = _ask(config, "drain", slot)["workers"][slot]
    typer.echo(f"{worker['name']} takes no new calls; it has {worker['calls']}")


@app.command()
def undrain(slot: Slot, config: Config = None) -> None:
    """Have a drained worker take calls again."""
    worker = _ask(config, "undrain", slot)["workers"][slot]
    typer.echo(f"{worker['name']} takes calls again")


def _ask(config: Path | None, do: str, slot: int | str | None = None) -> dict[str, Any]:
    return ask(load(config, os.environ).state_dir, {"do": do, "slot": slot})


def _concerned(worker: dict[str, Any], slot: int | None) -> bool:
    return worker["slot"] == slot if slot is not None else worker["state"] in ("active", "starting")


def _follow_all(config: Path | None, before: set[int]) -> None:
    shown = ""
    while (state := _ask(config, "status"))["rolling"]:
        busy = [
            f"{one['name']} ({one['calls']} calls)" for one in state["workers"] if one["state"] == "draining"
        ]
        line = state["rolling"] + (f": {', '.join(busy)}" if busy else "")
        if line != shown:
            typer.echo(line)
            shown = line
        time.sleep(LOOK_S)
    _judge(before & {one["pid"] for one in state["workers"]}, "all workers have been replaced")


def _follow_one(config: Path | None, slot: int, before: set[int]) -> None:
    shown = ""
    while True:
        state = _ask(config, "status")
        old = [one for one in state["workers"] if one["pid"] in before]
        waits = any(one["why"] for one in state["workers"] if one["slot"] == slot)
        leaving = [f"{one['name']} drains: {one['calls']} calls" for one in old if one["state"] == "draining"]
        if not waits and not leaving:
            break
        for line in leaving[:1]:
            if line != shown:
                typer.echo(line)
                shown = line
        time.sleep(LOOK_S)
    _judge({one["pid"] for one in old}, f"worker-{slot} has been replaced")


def _judge(left: Sequence[int] | set[int], done: str) -> None:
    """Say how it ended. Raises BridgeError when some are still the old ones."""
    if left:
        raise BridgeError(
            f"{len(left)} worker(s) were not replaced, because a new one did not get ready: see the log of the bridge"
        )
    typer.echo(done)


def _row(worker: dict[str, Any]) -> list[str | Text]:
    state = Text(worker["state"], style=STYLES.get(worker["state"], ""))
    if worker["state"] == "free":
        return [str(worker["slot"]), worker["name"], "", state, "", "", "", "", "", "", ""]
    return [
        str(worker["slot"]),
        worker["name"],
        worker["pool"],
        state,
        str(worker["calls"]),
        str(worker["taken"]),
        _age(worker["age_s"]),
        f"{worker['memory_mb']:.0f} MB",
        f"{worker['cpu_percent']:.1f} %",
        str(worker["pid"]),
        worker["why"],
    ]


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
