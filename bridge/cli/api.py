"""`sipbridge api schema`: what the API of the running bridge is, for programs and generators. Not worker-safe."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.control_client import ask, refuse

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The HTTP API."
)
Config = Annotated[Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")]


@app.callback()
def root() -> None:
    """The HTTP API."""


@app.command()
def schema(config: Config = None) -> None:
    """Print the OpenAPI 3.1 description (GET /api/v1/openapi.json)."""
    status, data = ask(config, "GET", "/api/v1/openapi.json")
    if status != 200:
        raise refuse(data)
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
