"""`sipbridge dialplan reload|status|versions|rollback`: the dialplan of the running bridge.

They ask control and wait for what becomes of it. Exit code 1: refused, or the bridge is not running.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bridge.cli.control_client import ask, refuse
from bridge.errors import BridgeError

Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
BASE = "/api/v1/dialplan"
WIDE = 120


def reload(
    as_json: AsJson = False,
    all_nodes: Annotated[
        bool, typer.Option("--all-nodes", help="Then have every other node reload its own files too.")
    ] = False,
    config: Config = None,
) -> None:
    """Put the files in force, without dropping a call, and say what became of it. Exit code 1: refused."""
    status, data = ask(config, "POST", f"{BASE}/reload")
    _outcome(status, data, as_json=as_json)
    if all_nodes and status == 200:
        _, told = ask(config, "POST", "/api/v1/nodes/reload")
        names = ", ".join(told["asked"])
        typer.echo(
            f"asked too: {names} (sipbridge nodes list shows their plan)"
            if names
            else "there is no other node"
        )


def rollback(
    version: Annotated[str, typer.Argument(help="As `versions` shows it; a beginning will do.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Put an earlier plan in force for new calls, whatever the files say, until the next reload that succeeds."""
    status, data = ask(config, "POST", f"{BASE}/rollback", {"version": version})
    _outcome(status, data, as_json=as_json)


def versions(as_json: AsJson = False, config: Config = None) -> None:
    """Every plan that was in force and is still kept, newest first."""
    _, data = ask(config, "GET", f"{BASE}/versions")
    found = data["versions"]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table(box=None)
    for column in ("", "version", "in force from", "by", "routes", "agents", "files"):
        table.add_column(column)
    for one in found:
        by = _cause(one) + (", rollback" if one["action"] == "rollback" else "")
        files = ", ".join(name for name in one["files"] if name.endswith((".yaml", ".yml")))
        mark = "->" if one["in_force"] else ""
        row = (mark, one["version"], _when(one["at"]), by, str(one["routes"]), str(one["agents"]), files)
        table.add_row(*row)
    console = Console()
    (console if console.is_terminal else Console(width=WIDE)).print(
        table if found else "no plan was in force yet"
    )


def status(as_json: AsJson = False, config: Config = None) -> None:
    """What is in force, since when and why; the last refusal. Exit code 1: a refusal stands, or workers lag."""
    _, data = ask(config, "GET", BASE)
    refused, lagging = data["refused"], data["lagging"]
    if as_json:
        typer.echo(json.dumps(data, indent=2))
        raise typer.Exit(int(bool(refused or lagging)))
    if data["version"] is None:
        typer.echo("no plan is in force: calls get 503")
    else:
        counts = f"{data['routes']} routes, {data['agents']} agents"
        typer.echo(f"version {data['version']} ({counts}) since {_when(data['since'])}, by {_cause(data)}")
    if data["rolled_back"]:
        typer.echo("rolled back: it stays until the next successful reload" + _or_change(data))
    typer.echo(f"files: {data['dialplans']}{', watched' if data['watched'] else ''}")
    for worker, seen in lagging.items():
        typer.echo(f"worker {worker} has {seen or 'no plan'} in force")
    if refused:
        typer.echo(f"refused: {refused['action']} at {_when(refused['at'])}, by {_cause(refused)}")
        for problem in refused["problems"]:
            typer.echo(f"  {problem['text']}")
    raise typer.Exit(int(bool(refused or lagging)))


def add_to(app: typer.Typer) -> None:
    """Join them to `sipbridge dialplan`."""
    for command in (reload, status, versions, rollback):
        app.command()(command)


def _outcome(status_code: int, data: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(data, indent=2))
        raise typer.Exit(int(status_code != 200))
    if status_code == 422:
        typer.echo(f"in force: {data['version'] or 'no plan'}")
        raise refuse(data)
    if status_code != 200:
        raise BridgeError(str(data.get("error")))
    for warning in data["warnings"]:
        typer.echo(f"{warning['text']} [warning]")
    typer.echo(f"in force: {data['version']}{'' if data['changed'] else ', as before'}")
    if data["note"]:
        typer.echo(data["note"])
    for worker, seen in data["lagging"].items():
        typer.echo(f"worker {worker} has not taken it yet: it has {seen or 'no plan'} in force")


def _or_change(data: Mapping[str, Any]) -> str:
    return " or change of a file" if data["watched"] else ""


def _cause(data: Mapping[str, Any]) -> str:
    return f"{data['how']}, {data['by']}" if data["by"] else str(data["how"])


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
