"""The control process from its start to its exit status: settings, log, signals. Started by the supervisor.

`python -m bridge control [--config FILE]`. What it does meanwhile: bridge/control.py.
"""

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

import structlog

from bridge.control import Control
from bridge.errors import BridgeError
from bridge.records.log import configure
from bridge.secretsource import Secrets
from bridge.settings import Settings, load

log = structlog.get_logger(__name__)

SWITCH_INTERVAL_S = 0.0005
"""As a worker's: a thread that makes a page of an hour's call holds up the links' loop by this much instead of 5 ms."""


def main(config_path: Path | None) -> int:
    """`python -m bridge control [--config FILE]`. Exit status 1: could not start, or an error ended it."""
    status = 0
    try:
        settings = load(config_path, os.environ)
        configure(settings.log.level, settings.log.format, redact=settings.log.redact, process="control")
        asyncio.run(_main(settings, config_path))
    except* BridgeError as group:
        reasons = "; ".join(str(error) for error in group.exceptions)
        log.error("control.failed", reason=reasons)  # noqa: TRY400  # the sentence says it all
        status = 1
    return status


async def _main(settings: Settings, config: Path | None) -> None:
    control = Control(settings, Secrets(os.environ), config=config)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, control.reload)
    for number_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number_, control.stop)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(control.run())
        told = tasks.create_task(_tell_ready(control))
        await running
        told.cancel()


def settle() -> None:
    """What control has loaded stays: to look for garbage in it, again and again, held the loop up by 0.3 s."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()


async def _tell_ready(control: Control) -> None:
    await control.ready.wait()
    settle()
    print(f"ready: control, health on port {control.health_port}", flush=True)  # noqa: T201  # the supervisor reads it
