"""`sipbridge sim`: run the local engine as its own process.

First line of standard output: `listening ws://HOST:PORT/v1/realtime`. SIGTERM or SIGINT ends it with exit code 0;
a wrong scenario or script ends it with 1 and every mistake on standard error. Not worker-safe.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from bridge.errors import BridgeError
from bridge.records.log import configure
from bridge.sim import scenario as scenarios
from bridge.sim import script as scripts
from bridge.sim.server import Engine, Limits, listen

Host = Annotated[str, typer.Option(help="Address to listen on; there is no authentication: keep it local.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")]
ScenarioPath = Annotated[Path, typer.Option("--scenario", help="What is understood and answered (YAML).")]
ScriptPath = Annotated[Path | None, typer.Option("--script", help="What goes wrong, and when (YAML).")]
Connections = Annotated[int, typer.Option(min=1, help="More are refused with 429.")]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], typer.Option(help="Least severe shown.")]
LogFormat = Annotated[Literal["console", "json"], typer.Option(help="For eyes, or one JSON object a line.")]


def sim(  # noqa: PLR0913  # a command's options
    host: Host = "127.0.0.1",
    port: Port = 0,
    scenario: ScenarioPath = scenarios.DEFAULT,
    script: ScriptPath = None,
    connections: Connections = 64,
    *,
    log_level: LogLevel = "info",
    log_format: LogFormat = "console",
) -> None:
    """Run the local engine, a Realtime server without key or network."""
    configure(log_level, log_format, process="sim")
    try:
        faults = scripts.load(script) if script else scripts.Script()
        engine = Engine(scenarios.load(scenario), faults, Limits(connections=connections))
        asyncio.run(_serve(engine, host, port))
    except BridgeError as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from None
    except OSError as problem:
        reason = os.strerror(problem.errno) if problem.errno else str(problem)
        typer.echo(f"cannot listen on {host}:{port}: {reason}", err=True)
        raise typer.Exit(1) from None


async def _serve(engine: Engine, host: str, port: int) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with listen(engine, host, port) as url:
        sys.stdout.write(f"listening {url}\n")
        sys.stdout.flush()
        await stop.wait()
