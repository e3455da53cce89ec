"""`sipbridge queues`: who waits now, in which queue, for whom; and which calls are parked.

Asks the running control (GET /queues on its health port), because nobody else knows. Changes nothing. Not worker-safe.
"""

import json
import os
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.errors import LinkError
from bridge.settings import load

ANSWER_S = 3.0


def queues(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file.", envvar="SIPBRIDGE_CONFIG")
    ] = None,
) -> None:
    """Callers who wait in queues, the members' states, and parked calls, at this moment."""
    console = load(config, os.environ).console
    host = "127.0.0.1" if console.bind == "0.0.0.0" else console.bind  # noqa: S104  # compared, not bound
    state = _ask(f"http://{host}:{console.port}/queues")
    if as_json:
        typer.echo(json.dumps(state, indent=2))
        return
    lines = [_queue_line(one) for one in state["queues"]]
    lines += [
        f"parked on {one['slot']}: call {one['call_id'][:8]} for {one['waiting_s']:.0f} s"
        for one in state["parked"]
    ]
    typer.echo("\n".join(lines) or "nobody has waited since the bridge was started")


def _ask(url: str) -> Mapping[str, Any]:
    """Raises LinkError: control is not there."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:  # noqa: S310  # http, from the settings
            return dict(json.load(answer))
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        raise LinkError(
            f"{url} does not answer ({error}): does the bridge run with these settings?"
        ) from None


def _queue_line(queue: Mapping[str, Any]) -> str:
    states = Counter(member["state"] for member in queue["members"])
    members = ", ".join(f"{member['name']} {member['state']}" for member in queue["members"])
    wait = f", the longest for {queue['longest_wait_s']:.0f} s" if queue["waiting"] else ""
    return f"{queue['name']}: {queue['waiting']} waiting{wait}; {states['free']} free ({members})"
