"""`sipbridge tools list|show|run|mcp|accept|forget`: what a model may ask for. What becomes of it: `policy explain`.

list and show load the tools folder, which runs its files but no tool. mcp and accept connect to the MCP servers of the
settings, as control does. run is for trying a tool by hand, past the gate: an admin's business, and in the audit. Not
worker-safe.
"""

import asyncio
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.identity import gates_of, with_store
from bridge.errors import StoreError, ToolError
from bridge.secretsource import Secrets
from bridge.settings import Settings, load
from bridge.store.gatestore import NewAudit
from bridge.store.store import Store
from bridge.store.userstore import User
from bridge.toolbox.load import load as load_toolbox
from bridge.toolbox.mcplock import LOCK, McpLock
from bridge.toolbox.mcptools import McpDefinition
from bridge.toolbox.run import ToolResult, ToolRunner, validate
from bridge.toolbox.spec import ToolContext, ToolSpec

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Look at the tools.",
)
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]
Name = Annotated[str, typer.Argument(help="Name of the tool.")]


@app.command("list")
def list_(config: Config = None) -> None:
    """Every function and every accepted MCP tool, and what is wrong with files that give none. Exit status 1 then."""
    settings = load(config, os.environ)
    toolbox = load_toolbox(settings.tools)
    for spec in toolbox.tools.values():
        typer.echo(f"{spec.name:24} {spec.options.risk:13} {spec.options.description}")
    lock = McpLock(settings.tools / LOCK)
    lock.read()
    for (server, tool), pin in sorted(lock.pins.items()):
        if server in settings.mcp:
            risk = settings.mcp[server].risk.get(tool, "write")
            typer.echo(f"{server + '__' + tool:24} {risk:13} {_line(pin.definition['description'])}")
    for problem in toolbox.problems:
        typer.echo(str(problem), err=True)
    raise typer.Exit(bool(toolbox.problems))


@app.command()
def show(name: Name, config: Config = None) -> None:
    """One function: where it is, its risk and limits, and what the model is shown."""
    spec = _spec(load(config, os.environ), name)
    options = spec.options
    typer.echo(f"{spec.name} at {spec.where}")
    typer.echo(f"risk {options.risk}, {'' if options.idempotent else 'not '}idempotent")
    typer.echo(f"at most {options.timeout_s:g} s and {options.max_result_bytes} bytes of result")
    typer.echo(f"not shown in logs: {', '.join(options.redact) or 'nothing'}")
    typer.echo(f"definition {spec.definition_hash}")
    typer.echo(json.dumps(spec.definition(), indent=2))


@app.command()
def run(
    name: Name,
    arguments: Annotated[str, typer.Argument(help="JSON, as the model would write it.")] = "{}",
    caller: Annotated[str, typer.Option("--from", help="The caller's number.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, whatever the tool does.")] = False,
    config: Config = None,
) -> None:
    """Run a function by hand, past policy and gate (admin). There is no call: tools that need one say so."""
    spec = _spec(load(config, os.environ), name)
    values = validate(spec, arguments)
    if spec.options.risk != "read" and not yes:
        typer.confirm(f"{name} really does something ({spec.options.risk}). Run it?", abort=True)

    async def work(store: Store, settings: Settings, me: User) -> ToolResult:
        key = f"cli:{uuid.uuid4().hex[:16]}"
        gates = await gates_of(store, settings) if spec.options.risk != "read" else None
        facts = {"tool": name, "definition": spec.definition_hash, "key": key}
        if gates is not None:
            await gates.note(NewAudit("run_by_hand", me.name, facts, {"arguments": values}), key, time.time())
        context = ToolContext("", caller, key, settings.state_dir / "tools")
        result = await ToolRunner().run(spec, values, context)
        if gates is not None:
            done = NewAudit(
                "ran_by_hand", me.name, {**facts, "ok": result.ok}, {"outcome": dict(result.output)}
            )
            await gates.note(done, key, time.time())
        return result

    result = with_store(config, "administer", work)
    typer.echo(json.dumps(result.output, indent=2))
    raise typer.Exit(not result.ok)


@app.command()
def mcp(config: Config = None) -> None:
    """Connect to every MCP server and say how its tools stand: accepted, new, changed. Exit status 1 if any waits."""
    settings = load(config, os.environ)
    lock = McpLock(settings.tools / LOCK)
    lock.read()
    waiting = 0
    for server in settings.mcp:
        try:
            definitions = asyncio.run(_definitions(settings, server))
        except ToolError as error:
            typer.echo(f"{server}: {error}", err=True)
            waiting += 1
            continue
        for one in definitions.values():
            standing = lock.standing(one)
            waiting += standing != "accepted"
            typer.echo(f"{standing:9} {one.name:32} {_line(one.description)}")
    raise typer.Exit(bool(waiting))


@app.command()
def accept(
    server: Annotated[str, typer.Argument(help="Name of the MCP server.")],
    tools: Annotated[list[str] | None, typer.Argument(help="Its tools; all of them when left out.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
) -> None:
    """Read the definitions of an MCP server's tools, and accept them as they are now (admin)."""
    settings, me = with_store(config, "accept_tools", _me)
    found = asyncio.run(_definitions(settings, server))
    missing = sorted({*(tools or ())} - {*found})
    if missing:
        raise ToolError(f"{server} has no tool {missing[0]}; it has: {', '.join(sorted(found))}")
    lock = McpLock(settings.tools / LOCK)
    lock.read()
    wanted = [
        one for one in found.values() if (not tools or one.tool in tools) and lock.standing(one) != "accepted"
    ]
    for one in wanted:
        typer.echo(f"--- {one.name} ({lock.standing(one)})")
        typer.echo("\n".join(lock.difference(one)))
    if not wanted:
        typer.echo("nothing to accept")
        return
    if not yes:
        typer.confirm(f"Accept {len(wanted)} definitions? The model will be shown these words.", abort=True)
    lock.accept(wanted, me.name, time.time())
    deeds = [{"server": server, "tool": one.tool, "hash": one.hash} for one in wanted]
    _audit(config, "definition_accepted", deeds)
    typer.echo(f"accepted {len(wanted)}; in force within a second: {lock.path}")


@app.command()
def forget(
    server: Annotated[str, typer.Argument(help="Name of the MCP server.")],
    tools: Annotated[list[str], typer.Argument(help="Its tools.")],
    config: Config = None,
) -> None:
    """Take back what was accepted (admin)."""
    settings, _ = with_store(config, "accept_tools", _me)
    McpLock(settings.tools / LOCK).remove(server, tools)
    _audit(config, "definition_forgotten", [{"server": server, "tool": tool} for tool in tools])
    typer.echo("taken back; in force within a second")


async def _me(_store: Store, settings: Settings, me: User) -> tuple[Settings, User]:
    return settings, me


def _audit(config: Path | None, what: str, deeds: Sequence[Mapping[str, Any]]) -> None:
    """The lock file is what counts, and may be kept by who has no bridge: what cannot be audited is told, and done."""

    async def work(store: Store, settings: Settings, me: User) -> None:
        gates = await gates_of(store, settings)
        for facts in deeds:
            await gates.note(NewAudit(what, me.name, {**facts, "via": "cli"}), "", time.time())

    try:
        with_store(config, "accept_tools", work)
    except StoreError as error:
        typer.echo(f"not in the audit: {error}", err=True)


async def _definitions(settings: Settings, server: str) -> Mapping[str, McpDefinition]:
    # Half a second and 60 MB that only these commands need.
    from bridge.toolbox.mcpclient import McpConnection  # noqa: PLC0415

    if server not in settings.mcp:
        raise ToolError(f"there is no MCP server {server} in the settings (mcp: …)")
    connection = McpConnection(server, settings.mcp[server], Secrets(os.environ), settings.state_dir / "log")
    try:
        async with connection.connected():
            return connection.definitions
    except Exception as error:
        words = str(error) or type(error).__name__
        raise ToolError(f"it cannot be reached: {words[:300]}") from error


def _spec(settings: Settings, name: str) -> ToolSpec:
    spec = load_toolbox(settings.tools).tools.get(name)
    if spec is None:
        raise ToolError(f"there is no function {name} in {settings.tools} (sipbridge tools list)")
    return spec


def _line(text: Any) -> str:
    words = " ".join(str(text).split())
    return words if len(words) <= 100 else words[:100] + "…"
