"""`sipbridge tools list`: what a model may ask for. What would become of it: `sipbridge policy explain`.

Loads the tools folder, which runs its files but no tool. Not worker-safe.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from bridge.settings import load
from bridge.toolbox.load import load as load_toolbox

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Look at the function tools.",
)
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]


@app.callback()
def root() -> None:
    """Look at the function tools."""


@app.command("list")
def list_(config: Config = None) -> None:
    """Every tool, and what is wrong with the files that give none. Exit status 1 when something is."""
    toolbox = load_toolbox(load(config, os.environ).tools)
    for spec in toolbox.tools.values():
        typer.echo(f"{spec.name:24} {spec.options.risk:13} {spec.options.description}")
    for problem in toolbox.problems:
        typer.echo(str(problem), err=True)
    raise typer.Exit(bool(toolbox.problems))
