"""`sipbridge tools list|check` and `policy explain`: what a model may ask for, and what would become of it.

Reads the tools folder and its policy; runs no tool. Not worker-safe.
"""

import json
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from bridge.approval.policy import Facts
from bridge.approval.policy import load as load_policy
from bridge.errors import ToolError
from bridge.settings import load
from bridge.toolbox.load import load as load_toolbox
from bridge.toolbox.run import validate

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Look at the function tools.",
)
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]


@app.command("list")
def list_(config: Config = None) -> None:
    """Every tool, and what is wrong with the files that give none. Exit status 1 when something is."""
    toolbox = load_toolbox(load(config, os.environ).tools)
    for spec in toolbox.tools.values():
        typer.echo(f"{spec.name:24} {spec.options.risk:13} {spec.options.description}")
    for problem in toolbox.problems:
        typer.echo(str(problem), err=True)
    raise typer.Exit(bool(toolbox.problems))


@app.command()
def explain(
    tool: Annotated[str, typer.Argument(help="Name of the tool.")],
    arguments: Annotated[str, typer.Argument(help="JSON, as the model would write it.")] = "{}",
    caller: Annotated[str, typer.Option("--from", help="The caller's number.")] = "",
    config: Config = None,
) -> None:
    """Which rule of the policy would decide about this call, and why not the ones before it. Runs nothing."""
    folder = load(config, os.environ).tools
    toolbox = load_toolbox(folder)
    if tool not in toolbox.tools:
        raise ToolError(f"there is no tool {tool}: sipbridge tools list")
    spec = toolbox.tools[tool]
    policy = load_policy(folder / "policy.yaml")
    local = time.localtime()
    facts = Facts(
        tool=tool,
        arguments=validate(spec, arguments),
        risk=spec.options.risk,
        caller={"number": caller, "verified": False, "verstat": ""},
        hour=local.tm_hour,
        weekday=local.tm_wday + 1,
    )
    for verdict in policy.explain(facts):
        typer.echo(f"{'→' if verdict.fits else ' '} {verdict.rule}: {verdict.why}")
    ruling = policy.rule(facts)
    details = {"effect": ruling.effect, "why": ruling.why, "words": ruling.words}
    details["group"] = ruling.ask.group if ruling.ask else ""
    details["question"] = ruling.confirm.question if ruling.confirm else ""
    typer.echo(json.dumps({key: value for key, value in details.items() if value}, indent=2))
