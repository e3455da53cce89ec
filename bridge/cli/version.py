"""`sipbridge version`: of the program, and which revisions of the database it knows. Not worker-safe."""

import json
import platform
from typing import Annotated

import typer

import bridge
from bridge.store.migrate import revisions


def version(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Which version this is, and of which database."""
    head, known = revisions()
    if as_json:
        body = {"version": bridge.__version__, "database": head, "reads": sorted(known)}
        typer.echo(json.dumps({**body, "python": platform.python_version()}))
        return
    typer.echo(
        f"sipbridge {bridge.__version__}, database revision {head}, Python {platform.python_version()}"
    )
