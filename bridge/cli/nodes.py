"""`sipbridge nodes list|drain|undrain|forget`: the nodes that share the store.

They ask this node's control over its Unix socket (bridge/control_api_nodes.py). Not worker-safe.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.cli.control_client import ask
from bridge.cli.dial import visible
from bridge.errors import BridgeError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Nodes that share the store.",
)
BASE = "/api/v1/nodes"
WIDE = 140
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
Name = Annotated[str, typer.Argument(help="The node, as `nodes list` names it.")]


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False, config: Config = None
) -> None:
    """Every node: whether it lives, its version and plan, workers and calls."""
    data = _asked(config, "GET", BASE)
    if as_json:
        typer.echo(json.dumps(data["nodes"], indent=2))
        return
    table = Table(box=None)
    for column in (
        "node",
        "state",
        "seen",
        "address",
        "version",
        "plan",
        "workers",
        "calls",
        "since",
        "problems",
    ):
        table.add_column(column, overflow="fold")
    plans = {one["plan"] for one in data["nodes"] if one["state"] in {"live", "draining"}}
    for one in data["nodes"]:
        table.add_row(*(Text(visible(str(cell))) for cell in _cells(one, data["me"], differ=len(plans) > 1)))
    console = Console()
    (console if console.is_terminal else Console(width=WIDE)).print(table)


@app.command()
def drain(name: Name, config: Config = None) -> None:
    """Give a node no new calls; those it has go on."""
    _told(_asked(config, "POST", f"{BASE}/{_name(name)}/drain"))


@app.command()
def undrain(name: Name, config: Config = None) -> None:
    """Give it calls again."""
    _told(_asked(config, "POST", f"{BASE}/{_name(name)}/undrain"))


@app.command()
def forget(name: Name, config: Config = None) -> None:
    """Remove a node that will not come back from the list."""
    _told(_asked(config, "DELETE", f"{BASE}/{_name(name)}"))


def _cells(one: Mapping[str, Any], me: str, *, differ: bool) -> tuple[Any, ...]:
    mark = " (this one)" if one["name"] == me else ""
    since = time.strftime("%m-%d %H:%M:%S", time.localtime(one["started_at"]))
    plan = (one["plan"] or "-")[:12] + (" !" if differ else "")
    seen = f"{one['seen_s']:.0f} s ago"
    return (
        one["name"] + mark, one["state"], seen, one["address"], one["version"], plan, one["workers"], one["calls"],
        since, "; ".join(one["problems"]),
    )  # fmt: skip


def _told(data: Mapping[str, Any]) -> None:
    typer.echo(f"{data['node']}: {data['state']}")


def _name(name: str) -> str:
    if not name or not all(letter.isascii() and (letter.isalnum() or letter in "._-") for letter in name):
        raise BridgeError(f"{visible(name[:40])!r} is no node's name: `nodes list` shows them")
    return name


def _asked(config: Path | None, method: str, path: str) -> dict[str, Any]:
    status, data = ask(config, method, path)
    if status != 200:
        raise BridgeError(visible(str(data.get("error") or f"control answered {status}")))
    return data
