"""`sipbridge serve`: check the settings and the plan, then become the supervisor (bridge/serve.py). Not worker-safe."""

import os
from pathlib import Path
from typing import Annotated

import typer

from bridge import settings
from bridge.serve import run

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Settings file; without it a complete embedded default runs.",
        envvar="SIPBRIDGE_CONFIG",
    ),
]


def serve(config: Config = None) -> None:
    """Run the bridge: supervisor, control, workers, and the local engine when a provider needs it.

    SIGTERM drains, a second one stops at once; SIGHUP reloads the dialplan.
    """
    raise typer.Exit(run(settings.load(config, os.environ), config))
